/* SPDX-License-Identifier: BSD-3-Clause
 * The system calls that are left: a seccomp(2) filter that all threads get, and
 * a narrower one for the cleaner. A call that is not listed fails with EPERM.
 */
#ifndef CONTROL_HOST_SYSCALLS_H
#define CONTROL_HOST_SYSCALLS_H

/* LeakSanitizer, at the end, starts a process that traces this one: no filter
 * and no PR_SET_DUMPABLE there. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
	__has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* Both: 0 or -errno. Once loaded a filter stays. Needs no capability, only
 * PR_SET_NO_NEW_PRIVS. */
int syscalls_limit(void);
int syscalls_limit_cleaner(void);

#endif
