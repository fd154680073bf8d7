/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/host/capability.h"

#include <cap-ng.h>
#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MS 1000 /* for all threads to take one signal */

int capabilities_confine(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	/* Only CAP_SETPCAP may drop from the bounding set. Where it is not there,
	 * nothing is gained from that set either: no program is executed. */
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	return 0;
}

/* A port with an interface of the kernel: neighbours are refreshed, and the XDP
 * program is detached at the end. */
static void capabilities_select(const struct port *p)
{
	const bool had = capng_get_caps_process() == 0 &&
			 capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN);

	capng_clear(CAPNG_SELECT_CAPS);
	if (p->ifindex != 0 && had)
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_NET_ADMIN);
}

int capabilities_drop_as(const struct port *p, uid_t uid, gid_t gid)
{
	capabilities_select(p);
	errno = 0;
	/* glibc changes all threads. One that ceases to be root has no capabilities;
	 * only the caller is told to keep what is selected. */
	if (capng_change_id((int)uid, (int)gid, CAPNG_DROP_SUPP_GRP) != 0)
		return errno ? -errno : -EPERM;
	return 0;
}

static atomic_uint threads_done;
static atomic_bool threads_failed;

static void thread_reduce(int sig)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
	int saved = errno;

	(void)sig;
	if (syscall(SYS_capset, &header, none) < 0)
		atomic_store(&threads_failed, true);
	atomic_fetch_add(&threads_done, 1);
	errno = saved;
}

/* Signals every thread but the caller; how many, or -errno. */
static int threads_signal(int sig)
{
	struct dirent *entry;
	int count = 0;
	DIR *dir;

	dir = opendir("/proc/self/task");
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (tid > 0 && tid != gettid() && tgkill(getpid(), tid, sig) == 0)
			count++;
	}
	closedir(dir);
	return count;
}

/* Takes all capabilities from all other threads: capset(2) changes the thread
 * that calls it alone, so each has to. */
static int threads_reduce(void)
{
	struct sigaction act = {.sa_handler = thread_reduce, .sa_flags = SA_RESTART}, before;
	const struct timespec ms = {.tv_nsec = 1000000};
	int count;

	atomic_store(&threads_done, 0);
	atomic_store(&threads_failed, false);
	sigaction(SIGRTMIN, &act, &before);
	count = threads_signal(SIGRTMIN);
	for (int i = 0; i < THREADS_MS && (int)atomic_load(&threads_done) < count; i++)
		nanosleep(&ms, NULL);
	if (count < 0)
		return count;
	if ((int)atomic_load(&threads_done) < count)
		return -ETIMEDOUT; /* a late one still needs the handler */
	sigaction(SIGRTMIN, &before, NULL);
	return atomic_load(&threads_failed) ? -EPERM : 0;
}

int capabilities_drop(const struct port *p)
{
	int err = threads_reduce();

	if (err)
		return err;
	capabilities_select(p);
	return capng_apply(CAPNG_SELECT_CAPS) < 0 ? -EPERM : 0;
}

json_t *capabilities_names(void)
{
	json_t *names = json_array();

	if (capng_get_caps_process() < 0)
		return names;
	for (unsigned int cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (capng_have_capability(CAPNG_EFFECTIVE, cap))
			json_array_append_new(
				names, json_sprintf("cap_%s", capng_capability_to_name(cap)));
	return names;
}

const char *capabilities_missing(const struct port *p, bool change_user, char *buf, size_t size)
{
	const bool xdp = p->kind == PORT_AF_XDP, iface = p->ifname[0] != '\0';
	const struct {
		unsigned int cap;
		bool needed;
	} list[] = {
		{CAP_NET_ADMIN, iface},	  {CAP_NET_RAW, iface},	     {CAP_BPF, xdp},
		{CAP_IPC_LOCK, xdp},	  {CAP_SETUID, change_user}, {CAP_SETGID, change_user},
		{CAP_CHOWN, change_user},
	};
	size_t len = 0;

	buf[0] = '\0';
	if (capng_get_caps_process() < 0)
		return buf;
	for (unsigned int i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (list[i].needed && !capng_have_capability(CAPNG_EFFECTIVE, list[i].cap) &&
		    len < size)
			len += (size_t)snprintf(buf + len, size - len, "%scap_%s", len ? ", " : "",
						capng_capability_to_name(list[i].cap));
	return buf;
}
