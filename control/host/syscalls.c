/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/host/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/sockios.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <seccomp.h>

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define NAMESPACES                                                                                 \
	(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | \
	 CLONE_NEWCGROUP)

/* What the daemon and its libraries call from the start's end to the exit. Not
 * here, on purpose: io_uring, whose requests no filter sees. */
static const int calls[] = {
	/* files */
	SCMP_SYS(access),
	SCMP_SYS(close),
	SCMP_SYS(close_range),
	SCMP_SYS(copy_file_range),
	SCMP_SYS(dup),
	SCMP_SYS(dup2),
	SCMP_SYS(dup3),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(fadvise64),
	SCMP_SYS(fallocate),
	SCMP_SYS(fcntl),
	SCMP_SYS(fdatasync),
	SCMP_SYS(flock),
	SCMP_SYS(fstat),
	SCMP_SYS(fstatfs),
	SCMP_SYS(fsync),
	SCMP_SYS(ftruncate),
	SCMP_SYS(getcwd),
	SCMP_SYS(getdents64),
	SCMP_SYS(link),
	SCMP_SYS(linkat),
	SCMP_SYS(lseek),
	SCMP_SYS(lstat),
	SCMP_SYS(mkdir),
	SCMP_SYS(mkdirat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(open),
	SCMP_SYS(openat),
	SCMP_SYS(pipe2),
	SCMP_SYS(pread64),
	SCMP_SYS(preadv),
	SCMP_SYS(preadv2),
	SCMP_SYS(pwrite64),
	SCMP_SYS(pwritev),
	SCMP_SYS(pwritev2),
	SCMP_SYS(read),
	SCMP_SYS(readahead),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(readv),
	SCMP_SYS(rename),
	SCMP_SYS(renameat),
	SCMP_SYS(renameat2),
	SCMP_SYS(rmdir),
	SCMP_SYS(stat),
	SCMP_SYS(statfs),
	SCMP_SYS(statx),
	SCMP_SYS(sync_file_range),
	SCMP_SYS(truncate),
	SCMP_SYS(umask),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	/* sockets; socket(2) is below */
	SCMP_SYS(accept),
	SCMP_SYS(accept4),
	SCMP_SYS(bind),
	SCMP_SYS(connect),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockname),
	SCMP_SYS(getsockopt),
	SCMP_SYS(listen),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(setsockopt),
	SCMP_SYS(shutdown),
	/* waiting and time */
	SCMP_SYS(clock_getres),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(eventfd2),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(nanosleep),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(pselect6),
	SCMP_SYS(select),
	SCMP_SYS(time),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_gettime),
	SCMP_SYS(timerfd_settime),
	/* memory */
	SCMP_SYS(brk),
	SCMP_SYS(get_mempolicy),
	SCMP_SYS(madvise),
	SCMP_SYS(mbind),
	SCMP_SYS(membarrier),
	SCMP_SYS(mincore),
	SCMP_SYS(mlock),
	SCMP_SYS(mlock2),
	SCMP_SYS(mmap),
	SCMP_SYS(mprotect),
	SCMP_SYS(mremap),
	SCMP_SYS(msync),
	SCMP_SYS(munlock),
	SCMP_SYS(munmap),
	SCMP_SYS(set_mempolicy),
	/* threads and signals; clone(2) is below */
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(futex),
	SCMP_SYS(get_robust_list),
	SCMP_SYS(getcpu),
	SCMP_SYS(ioprio_set),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rseq),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigpending),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigsuspend),
	SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(sched_get_priority_max),
	SCMP_SYS(sched_get_priority_min),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_getparam),
	SCMP_SYS(sched_getscheduler),
	SCMP_SYS(sched_setaffinity),
	SCMP_SYS(sched_yield),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(setpriority),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(wait4),
	SCMP_SYS(waitid),
	/* what one is and has */
	SCMP_SYS(capget),
	SCMP_SYS(getegid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getpid),
	SCMP_SYS(getppid),
	SCMP_SYS(getpriority),
	SCMP_SYS(getrandom),
	SCMP_SYS(getrlimit),
	SCMP_SYS(getrusage),
	SCMP_SYS(gettid),
	SCMP_SYS(getuid),
	SCMP_SYS(sysinfo),
	SCMP_SYS(times),
	SCMP_SYS(uname),
};

/* Calls of which one argument's value is looked at. */
static const int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
static const int prctls[] = {PR_SET_NAME,     PR_GET_NAME,    PR_GET_SECCOMP,
			     PR_CAPBSET_READ, PR_CAP_AMBIENT, PR_GET_SECUREBITS};
/* Of maps and programs that are open already; loading is over. */
static const int bpf_commands[] = {BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM, BPF_MAP_DELETE_ELEM,
				   BPF_MAP_GET_NEXT_KEY, BPF_OBJ_GET_INFO_BY_FD};
/* Of descriptors, and what ports ask and tell their interface at the end. */
static const unsigned long ioctls[] = {TCGETS,	     FIONREAD,	    FIONBIO,	  FIOCLEX,
				       SIOCGIFINDEX, SIOCGIFNAME,   SIOCGIFFLAGS, SIOCSIFFLAGS,
				       SIOCGIFMTU,   SIOCGIFHWADDR, SIOCETHTOOL};

/* The cleaner's: it reads folders and removes entries. */
static const int cleaner_calls[] = {
	SCMP_SYS(brk),	    SCMP_SYS(close),   SCMP_SYS(exit_group),   SCMP_SYS(fcntl),
	SCMP_SYS(fstat),    SCMP_SYS(fstatfs), SCMP_SYS(getdents64),   SCMP_SYS(getrandom),
	SCMP_SYS(lseek),    SCMP_SYS(lstat),   SCMP_SYS(madvise),      SCMP_SYS(mmap),
	SCMP_SYS(mprotect), SCMP_SYS(munmap),  SCMP_SYS(newfstatat),   SCMP_SYS(read),
	SCMP_SYS(recvfrom), SCMP_SYS(rmdir),   SCMP_SYS(rt_sigreturn), SCMP_SYS(stat),
	SCMP_SYS(statfs),   SCMP_SYS(unlink),  SCMP_SYS(unlinkat),     SCMP_SYS(futex),
};

/* EPERM and not death: a call that some library makes one day in a corner case
 * then fails there, where the library deals with it, instead of ending every
 * transfer. An attacker is stopped by either. */
static scmp_filter_ctx filter_create(void)
{
	return seccomp_init(SCMP_ACT_ERRNO(EPERM));
}

static int allow_list(scmp_filter_ctx f, const int *list, size_t count)
{
	int err = 0;

	for (size_t i = 0; i < count && !err; i++)
		err = seccomp_rule_add(f, SCMP_ACT_ALLOW, list[i], 0);
	return err;
}

static int allow_values(scmp_filter_ctx f, int call, unsigned int arg, const int *values,
			size_t count)
{
	int err = 0;

	for (size_t i = 0; i < count && !err; i++)
		err = seccomp_rule_add(f, SCMP_ACT_ALLOW, call, 1,
				       SCMP_CMP32(arg, SCMP_CMP_EQ, (unsigned int)values[i]));
	return err;
}

static int allow_ioctls(scmp_filter_ctx f)
{
	int err = 0;

	for (size_t i = 0; i < COUNT(ioctls) && !err; i++)
		err = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				       SCMP_CMP32(1, SCMP_CMP_EQ, (unsigned int)ioctls[i]));
	return err;
}

/* Threads, but no processes and no namespaces. clone3(2) has its flags in
 * memory, where no filter sees them: the C library falls back to clone(2). */
static int allow_threads(scmp_filter_ctx f)
{
	int err = seccomp_rule_add(
		f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
		SCMP_CMP64(0, SCMP_CMP_MASKED_EQ, CLONE_THREAD | NAMESPACES, CLONE_THREAD));

	return err ? err : seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

/* abort() and pthread_cancel() signal this process alone. */
static int allow_own_signals(scmp_filter_ctx f)
{
	return seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				SCMP_CMP32(0, SCMP_CMP_EQ, (unsigned int)getpid()));
}

/* Limits are read, never set. */
static int allow_limits_read(scmp_filter_ctx f)
{
	return seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1,
				SCMP_CMP64(2, SCMP_CMP_EQ, 0));
}

/* Takes the filter. */
static int filter_load(scmp_filter_ctx f, int err)
{
	if (!err)
		err = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!err)
		err = seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, not a chain */
	if (!err)
		err = seccomp_load(f);
	seccomp_release(f);
	return err;
}

int syscalls_limit(void)
{
	scmp_filter_ctx f = filter_create();
	int err;

	if (!f)
		return -ENOMEM;
	err = allow_list(f, calls, COUNT(calls));
	if (!err)
		err = allow_values(f, SCMP_SYS(socket), 0, families, COUNT(families));
	if (!err)
		err = allow_values(f, SCMP_SYS(socketpair), 0, families, 1);
	if (!err)
		err = allow_values(f, SCMP_SYS(prctl), 0, prctls, COUNT(prctls));
	if (!err)
		err = allow_values(f, SCMP_SYS(bpf), 0, bpf_commands, COUNT(bpf_commands));
	if (!err)
		err = allow_ioctls(f);
	if (!err)
		err = allow_threads(f);
	if (!err)
		err = allow_own_signals(f);
	if (!err)
		err = allow_limits_read(f);
	return filter_load(f, err);
}

int syscalls_limit_cleaner(void)
{
	scmp_filter_ctx f = filter_create();
	int err;

	if (!f)
		return -ENOMEM;
	err = allow_list(f, cleaner_calls, COUNT(cleaner_calls));
	if (!err)
		err = seccomp_rule_add(
			f, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
			SCMP_CMP32(2, SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY));
	return filter_load(f, err);
}
