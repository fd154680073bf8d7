/* SPDX-License-Identifier: BSD-3-Clause
 * What is dropped stays dropped, so each case has a child process of its own.
 * Its failed checks are on stderr.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/host/capability.h"
#include "control/host/cleaner.h"
#include "control/host/privilege.h"
#include "control/host/syscalls.h"

#define NOBODY 65534
#define WORKED 42 /* not what a program says that should not have been executed */

static char folder[] = "test_privilege.XXXXXX";

/* In children only. Not _exit(): AddressSanitizer calls more before it than a
 * filter allows. */
static void leave(int status)
{
	syscall(SYS_exit_group, status);
}

#define CHECK(condition)                                                                   \
	do {                                                                               \
		if (!(condition)) {                                                        \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, \
				strerror(errno));                                          \
			leave(1);                                                          \
		}                                                                          \
	} while (0)
#define FORBIDDEN(call) CHECK((call) < 0 && errno == EPERM)

static void in_child(void (*work)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		work();
		leave(WORKED);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), WORKED);
}

static void need_root(void)
{
	if (geteuid() != 0)
		skip();
}

/* ---- threads that are there before anything is dropped ---- */

struct helper {
	pthread_t thread;
	atomic_bool go;
	int unshared; /* errno of unshare(2) */
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
};

static void caps_get(struct __user_cap_data_struct *caps)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	CHECK(syscall(SYS_capget, &header, caps) == 0);
}

static bool caps_are(const struct __user_cap_data_struct *caps, uint64_t mask)
{
	return caps[0].effective == (uint32_t)mask && caps[1].effective == mask >> 32 &&
	       caps[0].permitted == (uint32_t)mask && caps[1].permitted == mask >> 32 &&
	       caps[0].inheritable == 0 && caps[1].inheritable == 0;
}

static void *helper_run(void *arg)
{
	struct helper *h = arg;

	while (!atomic_load(&h->go))
		usleep(1000);
	h->unshared = unshare(CLONE_NEWUTS) < 0 ? errno : 0;
	caps_get(h->caps);
	return NULL;
}

static void helper_start(struct helper *h)
{
	memset(h, 0, sizeof(*h));
	CHECK(pthread_create(&h->thread, NULL, helper_run, h) == 0);
}

static void helper_finish(struct helper *h)
{
	atomic_store(&h->go, true);
	CHECK(pthread_join(h->thread, NULL) == 0);
}

/* ---- system calls ---- */

static void check_forbidden(void)
{
	char *const argv[] = {"/bin/true", NULL};
	union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER};

	FORBIDDEN(execv(argv[0], argv));
	FORBIDDEN(execveat(AT_FDCWD, argv[0], argv, argv + 1, 0));
	FORBIDDEN(fork());
	FORBIDDEN(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	FORBIDDEN(syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0));
	FORBIDDEN(syscall(SYS_process_vm_writev, getpid(), NULL, 0, NULL, 0, 0));
	FORBIDDEN(mount("none", "/nowhere", "tmpfs", 0, NULL));
	FORBIDDEN(umount("/nowhere"));
	FORBIDDEN(syscall(SYS_pivot_root, "/", "/"));
	FORBIDDEN(chroot("/"));
	FORBIDDEN(syscall(SYS_init_module, NULL, 0, ""));
	FORBIDDEN(syscall(SYS_finit_module, -1, "", 0));
	FORBIDDEN(syscall(SYS_delete_module, "none", 0));
	FORBIDDEN(syscall(SYS_kexec_load, 0, 0, NULL, 0));
	FORBIDDEN(syscall(SYS_reboot, 0, 0, 0, NULL));
	FORBIDDEN(setns(-1, 0));
	FORBIDDEN(unshare(CLONE_NEWNET));
	FORBIDDEN(syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)));
	FORBIDDEN(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)));
	FORBIDDEN(syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
	FORBIDDEN(syscall(SYS_keyctl, 0, 0, 0, 0, 0));
	FORBIDDEN(syscall(SYS_add_key, "user", "a", "b", 1, 0));
	FORBIDDEN(syscall(SYS_userfaultfd, 0));
	FORBIDDEN(syscall(SYS_io_uring_setup, 1, NULL));
	FORBIDDEN(kill(getppid(), 0));
	FORBIDDEN(setuid(getuid()));
	FORBIDDEN(socket(AF_PACKET, SOCK_RAW, 0));
	FORBIDDEN(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static void check_files(void)
{
	char path[64], other[64], text[8];
	int fd;

	snprintf(path, sizeof(path), "%s/file", folder);
	snprintf(other, sizeof(other), "%s/other", folder);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(fd >= 0);
	CHECK(pwrite(fd, "text", 4, 0) == 4);
	CHECK(fsync(fd) == 0 && fdatasync(fd) == 0);
	CHECK(flock(fd, LOCK_EX) == 0);
	CHECK(pread(fd, text, sizeof(text), 0) == 4);
	CHECK(ftruncate(fd, 0) == 0);
	CHECK(posix_fallocate(fd, 0, 4096) == 0);
	close(fd);
	CHECK(rename(path, other) == 0 && unlink(other) == 0);
	CHECK(mkdir(path, 0700) == 0 && rmdir(path) == 0);
}

static void check_allowed(void)
{
	union bpf_attr attr = {.map_fd = (uint32_t)-1};
	struct helper h;
	int fd;

	check_files();
	helper_start(&h); /* clone3() is not there, clone() is */
	helper_finish(&h);
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
	CHECK(fd >= 0);
	close(fd);
	CHECK(syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &attr, sizeof(attr)) < 0 && errno == EBADF);
	CHECK(prctl(PR_GET_SECCOMP) == 2);
}

static void limited(void)
{
	struct helper h;

	helper_start(&h);
	CHECK(syscalls_limit() == 0);
	helper_finish(&h);
	CHECK(h.unshared == EPERM); /* without the filter root may */
	check_allowed();
	check_forbidden();
}

static void test_syscalls(void **state)
{
	(void)state;
	in_child(limited);
}

static void limited_cleaner(void)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/gone", folder);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	CHECK(fd >= 0);
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(syscalls_limit_cleaner() == 0);
	FORBIDDEN(open(path, O_WRONLY));
	FORBIDDEN(open(path, O_RDONLY | O_CREAT, 0600));
	FORBIDDEN(socket(AF_UNIX, SOCK_STREAM, 0));
	FORBIDDEN(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	FORBIDDEN(fork());
	fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	CHECK(unlink(path) == 0);
}

static void test_syscalls_of_the_cleaner(void **state)
{
	(void)state;
	in_child(limited_cleaner);
}

/* ---- capabilities ---- */

static const struct port with_interface = {.kind = PORT_AF_XDP, .ifname = "eth0", .ifindex = 1};
static const struct port without_interface = {.kind = PORT_VDEV};

static void names_are(const char *expected)
{
	json_t *names = capabilities_names();
	char *text = json_dumps(names, JSON_COMPACT);

	CHECK(strcmp(text, expected) == 0);
	free(text);
	json_decref(names);
}

static void dropped(void)
{
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
	struct helper h;

	CHECK(capabilities_confine() == 0);
	helper_start(&h);
	CHECK(capabilities_drop(&with_interface) == 0);
	helper_finish(&h);
	CHECK(caps_are(h.caps, 0));
	caps_get(caps);
	CHECK(caps_are(caps, UINT64_C(1) << CAP_NET_ADMIN));
	names_are("[\"cap_net_admin\"]");
	CHECK(prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN) == 0);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	CHECK(capabilities_drop(&without_interface) == 0);
	names_are("[]");
}

static void dropped_as(void)
{
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
	struct helper h;

	CHECK(capabilities_confine() == 0);
	helper_start(&h);
	CHECK(capabilities_drop_as(&with_interface, NOBODY, NOBODY) == 0);
	helper_finish(&h);
	CHECK(caps_are(h.caps, 0));
	caps_get(caps);
	CHECK(caps_are(caps, UINT64_C(1) << CAP_NET_ADMIN));
	CHECK(getuid() == NOBODY && getegid() == NOBODY && getgroups(0, NULL) == 0);
	CHECK(setuid(0) < 0);
}

static void missing(void)
{
	char names[256];

	CHECK(strcmp(capabilities_missing(&with_interface, true, names, sizeof(names)), "") == 0);
	CHECK(capabilities_drop(&with_interface) == 0);
	CHECK(strcmp(capabilities_missing(&with_interface, true, names, sizeof(names)),
		     "cap_net_raw, cap_bpf, cap_ipc_lock, cap_setuid, cap_setgid, cap_chown") == 0);
	CHECK(strcmp(capabilities_missing(&without_interface, false, names, sizeof(names)), "") ==
	      0);
}

static void test_capabilities(void **state)
{
	(void)state;
	need_root();
	in_child(dropped);
	in_child(dropped_as);
	in_child(missing);
}

/* ---- whom ---- */

static void must_refuse(const char *user, const char *group, const char *what, const char *remedy)
{
	static struct config c; /* large */
	char why[512] = "";

	snprintf(c.user, sizeof(c.user), "%s", user);
	snprintf(c.admin_group, sizeof(c.admin_group), "%s", group);
	assert_int_equal(privilege_prepare(&c, why, sizeof(why)), -ENOENT);
	if (!strstr(why, what) || !strstr(why, remedy))
		fail_msg("%s", why);
}

static void test_unknown_user(void **state)
{
	(void)state;
	need_root();
	must_refuse("no-such-user", "", "there is no user no-such-user",
		    "; run: useradd --system --home-dir / --shell /usr/sbin/nologin no-such-user");
	must_refuse("nobody", "no-such-group", "there is no group no-such-group",
		    "; run: groupadd --system no-such-group");
}

/* ---- the cleaner ---- */

static bool there(const char *path)
{
	return access(path, F_OK) == 0;
}

/* Two files, of which one is another than the cleaner was told. */
static void clean(bool same, bool finish)
{
	struct cleaner_files files = {.prefix = "test_privilege-none"};
	struct stat st;
	int fd;

	snprintf(files.runtime, sizeof(files.runtime), "%s/runtime", folder);
	snprintf(files.socket, sizeof(files.socket), "%s/socket", folder);
	CHECK(mkdir(files.runtime, 0700) == 0);
	fd = open(files.socket, O_WRONLY | O_CREAT, 0600);
	CHECK(fd >= 0 && fstat(fd, &st) == 0);
	files.dev = st.st_dev;
	files.ino = st.st_ino + !same;
	CHECK(cleaner_start() == 0);
	if (finish)
		CHECK(cleaner_tell(&files) == 0);
	cleaner_finish();
	CHECK(there(files.runtime) == !finish);
	CHECK(there(files.socket) == !(finish && same));
	rmdir(files.runtime);
	unlink(files.socket);
}

static void clean_all(void)
{
	clean(true, true);
	clean(false, true);
	clean(true, false);
	cleaner_finish(); /* none is there */
}

static void test_cleaner(void **state)
{
	(void)state;
	in_child(clean_all);
}

static int folder_make(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int folder_remove(void **state)
{
	(void)state;
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_syscalls),     cmocka_unit_test(test_syscalls_of_the_cleaner),
		cmocka_unit_test(test_capabilities), cmocka_unit_test(test_unknown_user),
		cmocka_unit_test(test_cleaner),
	};

	return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
