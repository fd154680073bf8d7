/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/host/cleaner.h"

#include <cap-ng.h>
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/host/hugepages.h"
#include "control/host/syscalls.h"

#define NAME "oncewired-clean"

static struct {
	pid_t pid;
	int fd;
	bool told;
} cleaner;

static void files_remove(const struct cleaner_files *files)
{
	struct stat st;

	hugepages_remove(files->prefix, true);
	rmdir(files->runtime);
	if (lstat(files->socket, &st) == 0 && st.st_dev == files->dev && st.st_ino == files->ino)
		unlink(files->socket);
}

static ssize_t message_read(int fd, void *buf, size_t size)
{
	ssize_t len;

	do
		len = recv(fd, buf, size, 0);
	while (len < 0 && errno == EINTR);
	return len;
}

static int cleaner_limit(void)
{
	capng_clear(CAPNG_SELECT_CAPS);
	if (capng_apply(CAPNG_SELECT_CAPS) < 0)
		return -EPERM;
	return SANITIZED ? 0 : syscalls_limit_cleaner();
}

/* Ends with the daemon, whatever signal both of them get. */
static int cleaner_main(int fd)
{
	static struct cleaner_files files;
	char go;

	prctl(PR_SET_NAME, NAME);
	prctl(PR_SET_DUMPABLE, 0);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (cleaner_limit() < 0)
		return 1;
	if (message_read(fd, &files, sizeof(files)) != sizeof(files))
		return 0;
	if (message_read(fd, &go, sizeof(go)) == sizeof(go))
		files_remove(&files);
	return 0;
}

int cleaner_start(void)
{
	int pair[2], err;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	cleaner.pid = fork();
	if (cleaner.pid == 0) {
		close(pair[0]);
		_exit(cleaner_main(pair[1]));
	}
	err = -errno;
	close(pair[1]);
	if (cleaner.pid < 0) {
		close(pair[0]);
		cleaner.pid = 0;
		return err;
	}
	cleaner.fd = pair[0];
	return 0;
}

int cleaner_tell(const struct cleaner_files *files)
{
	if (send(cleaner.fd, files, sizeof(*files), MSG_NOSIGNAL) < 0)
		return -errno;
	cleaner.told = true;
	return 0;
}

void cleaner_finish(void)
{
	if (cleaner.pid == 0)
		return;
	if (cleaner.told)
		send(cleaner.fd, "", 1, MSG_NOSIGNAL);
	close(cleaner.fd);
	while (waitpid(cleaner.pid, NULL, 0) < 0 && errno == EINTR)
		;
	cleaner.pid = 0;
}
