/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/host/privilege.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_eal.h>

#include "control/host/capability.h"
#include "control/host/cleaner.h"
#include "control/host/eal_files.h"
#include "control/host/folder.h"
#include "control/base/log.h"
#include "control/host/syscalls.h"

static struct {
	uid_t uid;
	gid_t gid;	 /* the user's own */
	gid_t admin_gid; /* of the admin socket */
	bool changes;	 /* root becomes that user */
	bool dropped;
	char user[CONFIG_USER];
} self;

__attribute__((format(printf, 4, 5))) static int fail(char *why, size_t size, int err,
						      const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, size, format, args);
	va_end(args);
	return err;
}

/* ---- who ---- */

static int user_find(const char *name, char *why, size_t size)
{
	struct passwd *pw;

	errno = 0;
	pw = getpwnam(name);
	if (!pw && errno && errno != ENOENT)
		return fail(why, size, -errno, "[relay] user: %s cannot be looked up: %s", name,
			    strerror(errno));
	if (!pw)
		return fail(why, size, -ENOENT,
			    "[relay] user: there is no user %s; run: useradd --system --home-dir / "
			    "--shell /usr/sbin/nologin %s",
			    name, name);
	self.uid = pw->pw_uid;
	self.gid = pw->pw_gid;
	return 0;
}

static int group_find(const char *name, char *why, size_t size)
{
	struct group *gr;

	self.admin_gid = self.gid;
	if (name[0] == '\0')
		return 0;
	errno = 0;
	gr = getgrnam(name);
	if (!gr && errno && errno != ENOENT)
		return fail(why, size, -errno, "[relay] admin_group: %s cannot be looked up: %s",
			    name, strerror(errno));
	if (!gr)
		return fail(why, size, -ENOENT,
			    "[relay] admin_group: there is no group %s; run: groupadd --system %s",
			    name, name);
	self.admin_gid = gr->gr_gid;
	return 0;
}

/* Not root: the daemon stays who it is. */
static void user_stay(const char *wanted)
{
	const struct passwd *pw = getpwuid(geteuid());

	if (pw)
		snprintf(self.user, sizeof(self.user), "%s", pw->pw_name);
	else
		snprintf(self.user, sizeof(self.user), "%u", geteuid());
	self.uid = geteuid();
	self.gid = getegid();
	if (strcmp(self.user, wanted) != 0)
		log_line(LOG_WARNING,
			 "warning: runs as %s, not as [relay] user = %s: only root can change it",
			 self.user, wanted);
}

static int user_choose(const struct config *c, char *why, size_t size)
{
	int err;

	if (geteuid() != 0) {
		user_stay(c->user);
		return 0;
	}
	err = user_find(c->user, why, size);
	if (err)
		return err;
	snprintf(self.user, sizeof(self.user), "%s", c->user);
	self.changes = self.uid != 0;
	if (!self.changes)
		log_line(LOG_WARNING, "WARNING: stays root: whoever takes over the relay owns this "
				      "host's files; set [relay] user = oncewire");
	return 0;
}

int privilege_prepare(const struct config *c, char *why, size_t why_size)
{
	int err;

	memset(&self, 0, sizeof(self));
	err = user_choose(c, why, why_size);
	if (!err)
		err = group_find(c->admin_group, why, why_size);
	if (err)
		return err;
	err = capabilities_confine();
	if (err)
		return fail(why, why_size, err, "PR_SET_NO_NEW_PRIVS: %s", strerror(-err));
	err = self.changes ? cleaner_start() : 0;
	if (err)
		return fail(why, why_size, err, "the cleaner process does not start: %s",
			    strerror(-err));
	return 0;
}

const char *privilege_user(void)
{
	return self.user;
}

/* ---- what belongs to whom ---- */

static int cleaner_brief(const struct config *c)
{
	static struct cleaner_files files; /* too large for a stack */
	struct stat st;

	if (lstat(c->admin_socket, &st) < 0)
		return -errno;
	eal_prefix(c, files.prefix);
	snprintf(files.runtime, sizeof(files.runtime), "%s", rte_eal_get_runtime_dir());
	snprintf(files.socket, sizeof(files.socket), "%s", c->admin_socket);
	files.dev = st.st_dev;
	files.ino = st.st_ino;
	return cleaner_tell(&files);
}

static int files_give(const struct config *c, privilege_give *give, void *socket, char *why,
		      size_t size)
{
	char prefix[EAL_PREFIX];
	int err;

	if (c->engine != ENGINE_MEMORY) {
		err = folder_prepare(c->store_path, self.uid, self.gid, why, size);
		if (err)
			return err;
	}
	err = give(socket, self.uid, self.admin_gid);
	if (err)
		return fail(why, size, err, "admin socket %s: cannot be given to %s%s%s: %s",
			    c->admin_socket, self.user, c->admin_group[0] ? " and group " : "",
			    c->admin_group, strerror(-err));
	if (!self.changes)
		return 0;
	eal_prefix(c, prefix);
	err = eal_files_give(prefix, self.uid, self.gid);
	if (!err)
		err = cleaner_brief(c);
	if (err)
		return fail(why, size, err, "DPDK's files cannot be given to user %s: %s",
			    self.user, strerror(-err));
	return 0;
}

/* A reload reads these again. */
static void file_check(const char *path)
{
	if (access(path, R_OK) < 0)
		log_line(LOG_WARNING,
			 "warning: %s cannot be read again by %s (%s): no reload; let it into the "
			 "folder and run: chown %s %s",
			 path, self.user, strerror(errno), self.user, path);
}

static void files_check(const struct config *c, const char *path)
{
	file_check(path);
	file_check(c->master_key_file);
	if (c->upstream.addr.type != ADDR_NONE)
		file_check(c->upstream.key_file);
	for (uint32_t i = 0; i < c->peer_count; i++)
		file_check(c->peers[i].key_file);
	for (uint32_t i = 0; i < c->domain_count; i++)
		file_check(c->domains[i].key_file);
}

/* ---- the end of privilege ---- */

static int syscalls_drop(char *why, size_t size)
{
	int err;

	if (SANITIZED) {
		log_line(LOG_WARNING, "warning: no seccomp filter: built with a sanitizer");
		return 0;
	}
	err = syscalls_limit();
	if (err)
		return fail(why, size, err,
			    "no seccomp filter: %s; the kernel needs CONFIG_SECCOMP_FILTER",
			    strerror(-err));
	return 0;
}

int privilege_drop(const struct config *c, const char *path, const struct port *p,
		   privilege_give *give, void *socket, char *why, size_t why_size)
{
	int err;

	err = files_give(c, give, socket, why, why_size);
	if (err)
		return err;
	self.dropped = true;
	err = self.changes ? capabilities_drop_as(p, self.uid, self.gid) : capabilities_drop(p);
	if (err)
		return fail(why, why_size, err,
			    "capabilities cannot be dropped, as user %s: %s; start it as root, or "
			    "as that user",
			    self.user, strerror(-err));
	/* no core files, no debugger but root's: the keys are in memory */
	if (prctl(PR_SET_DUMPABLE, SANITIZED, 0, 0, 0) < 0)
		return fail(why, why_size, -errno, "PR_SET_DUMPABLE: %s", strerror(errno));
	files_check(c, path);
	return syscalls_drop(why, why_size);
}

void privilege_explain(const struct port *p)
{
	char names[256];

	if (self.dropped || !capabilities_missing(p, self.changes, names, sizeof(names))[0])
		return;
	log_line(LOG_ERR,
		 "capabilities that it takes and that are missing: %s; start it as root, or with "
		 "these as AmbientCapabilities= of its unit",
		 names);
}
