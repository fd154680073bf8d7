/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "dataplane/port_part.h"
#include "dataplane/xdp/steer.h"

#define PROGRAM_MAPS 16 /* of a program that is looked at; ours has 7 */

/* An interface can carry one program in each mode. */
struct xdp_mode {
	uint32_t id; /* of the attached program, 0: none */
	uint32_t flag;
	const char *name; /* for `ip link` */
};
#define XDP_MODES 3

static int xdp_query(const struct port *p, struct xdp_mode mode[XDP_MODES])
{
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);
	int err;

	err = bpf_xdp_query(p->ifindex, 0, &opts);
	if (err)
		return err;
	mode[0] = (struct xdp_mode){opts.drv_prog_id, XDP_FLAGS_DRV_MODE, "xdpdrv"};
	mode[1] = (struct xdp_mode){opts.skb_prog_id, XDP_FLAGS_SKB_MODE, "xdpgeneric"};
	mode[2] = (struct xdp_mode){opts.hw_prog_id, XDP_FLAGS_HW_MODE, "xdpoffload"};
	return 0;
}

static bool map_is(int fd, const char *name, uint32_t *id)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return false;
	*id = info.id;
	return !strcmp(info.name, name);
}

static bool program_info(int fd, struct bpf_prog_info *info, uint32_t maps[PROGRAM_MAPS])
{
	uint32_t len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	info->nr_map_ids = PROGRAM_MAPS;
	info->map_ids = (uintptr_t)maps;
	if (bpf_obj_get_info_by_fd(fd, info, &len))
		return false;
	/* the kernel reports the whole number, and fills in what there was room for */
	if (info->nr_map_ids > PROGRAM_MAPS)
		info->nr_map_ids = PROGRAM_MAPS;
	return true;
}

/* A program of oncewire's, whichever process loaded it? */
static bool program_is_steer(const struct bpf_prog_info *info, const uint32_t *maps)
{
	uint32_t i, id;
	bool found = false;
	int fd;

	if (strcmp(info->name, STEER_PROGRAM))
		return false;
	for (i = 0; i < info->nr_map_ids && !found; i++) {
		fd = bpf_map_get_fd_by_id(maps[i]);
		if (fd < 0)
			continue;
		found = map_is(fd, STEER_PORTS, &id);
		close(fd);
	}
	return found;
}

/* old_fd: nothing is detached if another program took its place meanwhile. */
static int xdp_detach_mode(const struct port *p, const struct xdp_mode *mode, int old_fd)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = old_fd);

	return bpf_xdp_detach(p->ifindex, mode->flag, &opts);
}

/* We hold the interface's lock, so a program of ours is a killed relay's. */
static int xdp_clear_mode(const struct port *p, const struct xdp_mode *mode, char *why, size_t size)
{
	uint32_t maps[PROGRAM_MAPS];
	struct bpf_prog_info info = {0};
	int fd, err = -EBUSY;

	fd = bpf_prog_get_fd_by_id(mode->id);
	if (fd == -ENOENT) /* gone since the query */
		return 0;
	if (fd >= 0 && program_info(fd, &info, maps) && program_is_steer(&info, maps))
		err = xdp_detach_mode(p, mode, fd);
	if (fd >= 0)
		close(fd);
	if (!err)
		return 0;
	return port_fail(
		why, size, err,
		"%s: another XDP program (\"%s\", id %u) is attached; stop what uses it, or "
		"`ip link set dev %s %s off`, or use another interface",
		p->ifname, info.name, mode->id, p->ifname, mode->name);
}

int xdp_clear(const struct port *p, char *why, size_t size)
{
	struct xdp_mode mode[XDP_MODES];
	int i, err;

	err = xdp_query(p, mode);
	if (err)
		return port_fail(why, size, err, "%s: cannot be asked for its XDP program: %s",
				 p->ifname, strerror(-err));
	for (i = 0; i < XDP_MODES && !err; i++)
		if (mode[i].id)
			err = xdp_clear_mode(p, &mode[i], why, size);
	return err;
}

/* Calls fn for each of our descriptors until it returns true. */
static bool fd_find(bool (*fn)(int fd, void *ctx), void *ctx)
{
	struct dirent *entry;
	bool found = false;
	DIR *dir;
	int fd;

	dir = opendir("/proc/self/fd");
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		fd = (int)strtol(entry->d_name, NULL, 10);
		found = fd != dirfd(dir) && fn(fd, ctx);
	}
	closedir(dir);
	return found;
}

struct socket_list {
	int *fds;
	unsigned int max;
	unsigned int count;
};

static bool socket_collect(int fd, void *ctx)
{
	struct socket_list *list = ctx;
	socklen_t len = sizeof(int);
	int domain;

	if (!getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) && domain == AF_XDP)
		list->fds[list->count++] = fd;
	return list->count == list->max;
}

unsigned int xdp_sockets(int *fds, unsigned int max)
{
	struct socket_list list = {.fds = fds, .max = max};

	fd_find(socket_collect, &list);
	return list.count;
}

/* A map or a program: the kernel's information about one looks like garbage
 * when read as the other's. */
static bool fd_is_bpf(int fd, const char *kind)
{
	char path[32], link[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		return false;
	link[n] = 0;
	return !strcmp(link, kind);
}

struct adopt {
	uint32_t program; /* id of the attached one */
	struct bpf_prog_info info;
	uint32_t maps[PROGRAM_MAPS];
	const char *map; /* name looked for */
	int fd;
};

static bool program_match(int fd, void *ctx)
{
	struct adopt *a = ctx;

	a->fd = fd;
	return fd_is_bpf(fd, "anon_inode:bpf-prog") && program_info(fd, &a->info, a->maps) &&
	       a->info.id == a->program;
}

static bool map_match(int fd, void *ctx)
{
	struct adopt *a = ctx;
	uint32_t i, id;

	if (!fd_is_bpf(fd, "anon_inode:bpf-map") || !map_is(fd, a->map, &id))
		return false;
	a->fd = fd;
	for (i = 0; i < a->info.nr_map_ids; i++)
		if (a->maps[i] == id)
			return true;
	return false;
}

/* The attached program, if this process holds it. */
static bool xdp_find(const struct port *p, struct adopt *a, struct xdp_mode *which)
{
	struct xdp_mode mode[XDP_MODES];
	int i;

	if (xdp_query(p, mode))
		return false;
	for (i = 0; i < XDP_MODES; i++) {
		a->program = mode[i].id;
		if (!mode[i].id || !fd_find(program_match, a))
			continue;
		*which = mode[i];
		return true;
	}
	return false;
}

/* The descriptor of one of the program's maps, -1 if it has none of that name. */
static int map_adopt(struct adopt *a, const char *name)
{
	a->map = name;
	return fd_find(map_match, a) ? a->fd : -1;
}

int xdp_adopt(struct port *p, char *why, size_t size)
{
	struct xdp_mode mode;
	struct adopt a = {0};

	if (!xdp_find(p, &a, &mode))
		return port_fail(why, size, -ENOENT,
				 "%s: the driver did not attach our XDP program; see its messages",
				 p->ifname);
	p->program = a.fd;
	p->program_id = a.program;
	p->program_mode = mode.flag;
	p->ports_map = map_adopt(&a, STEER_PORTS);
	p->stats_map = map_adopt(&a, STEER_STATS);
	p->flows_map = map_adopt(&a, STEER_FLOWS);
	p->state_map = map_adopt(&a, STEER_STATE);
	if (p->ports_map >= 0 && p->stats_map >= 0 && p->flows_map >= 0 && p->state_map >= 0)
		return 0;
	return port_fail(why, size, -ENOENT,
			 "%s: the XDP program in xdp_program is not of this version (it needs the "
			 "maps " STEER_PORTS ", " STEER_STATS ", " STEER_FLOWS ", " STEER_STATE
			 "); use the one installed with oncewired",
			 p->ifname);
}

int port_attach(const struct port *p)
{
	return bpf_xdp_attach((int)p->ifindex, p->program,
			      p->program_mode | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL);
}

bool xdp_closable(const struct port *p)
{
	struct xdp_mode mode[XDP_MODES], ours;
	struct adopt a = {0};
	int i;

	if (xdp_query(p, mode))
		return false;
	if (xdp_find(p, &a, &ours))
		return true;
	for (i = 0; i < XDP_MODES; i++)
		if (mode[i].id)
			return false;
	return true;
}

void xdp_detach(struct port *p)
{
	struct xdp_mode mode;
	struct adopt a = {0};

	if (xdp_find(p, &a, &mode))
		xdp_detach_mode(p, &mode, a.fd);
}

static void steer_key_fill(struct steer_key *key, const struct addr *listen)
{
	_Static_assert(sizeof(key->ip) == sizeof(listen->ip), "both hold an IPv6 address");
	memset(key, 0, sizeof(*key));
	key->family = listen->type == ADDR_IP6 ? 6 : 4;
	memcpy(&key->port, &listen->port, sizeof(key->port));
	memcpy(key->ip, listen->ip, sizeof(key->ip));
}

static int steer_one(const struct port *p, const struct addr *listen, bool on)
{
	const uint8_t yes = 1;
	struct steer_key key;
	int err;

	if (listen->type == ADDR_NONE)
		return 0;
	steer_key_fill(&key, listen);
	if (on)
		return bpf_map_update_elem(p->ports_map, &key, &yes, BPF_ANY);
	err = bpf_map_delete_elem(p->ports_map, &key);
	return err == -ENOENT ? 0 : err;
}

int port_steer(struct port *p, bool on)
{
	int err;

	if (p->ports_map < 0)
		return 0;
	err = steer_one(p, &p->listen.ip4, on);
	return err ? err : steer_one(p, &p->listen.ip6, on);
}

static int stats_sum(int map, uint32_t counter, uint64_t *sum)
{
	uint64_t value[1024]; /* one a CPU the kernel could ever have */
	int i, cpus, err;

	cpus = libbpf_num_possible_cpus();
	if (cpus < 0)
		return cpus;
	if (cpus > (int)(sizeof(value) / sizeof(value[0])))
		return -ENOTSUP;
	err = bpf_map_lookup_elem(map, &counter, value);
	if (err)
		return err;
	*sum = 0;
	for (i = 0; i < cpus; i++)
		*sum += value[i];
	return 0;
}

int port_xdp_stats(const struct port *p, struct port_xdp_stats *s)
{
	uint64_t *const sum[STEER_COUNTERS] = {
		[STEER_REDIRECTED] = &s->redirected,
		[STEER_PASSED] = &s->passed,
		[STEER_SHED_SOURCE] = &s->shed_source,
		[STEER_SHED_TOTAL] = &s->shed_total,
	};
	uint32_t i;
	int err = 0;

	if (p->stats_map < 0)
		return -ENOTSUP;
	for (i = 0; i < STEER_COUNTERS && !err; i++)
		err = stats_sum(p->stats_map, i, sum[i]);
	return err;
}
