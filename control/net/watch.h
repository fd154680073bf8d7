/* SPDX-License-Identifier: BSD-3-Clause
 * The port's interface while the relay runs: its name, link, MTU, MAC address, XDP
 * program, queues, and the listen address. The kernel's news say when to look, and
 * every five seconds is looked anyway, as some changes bring none. What can be
 * mended is; what cannot ends the relay, so that the service manager starts it
 * again.
 */
#ifndef CONTROL_NET_WATCH_H
#define CONTROL_NET_WATCH_H

#include <net/if.h>

#include <event2/event.h>
#include <jansson.h>

#include "control/base/health.h"

struct control;
struct netlink;

enum watch_item {
	WATCH_NAME,
	WATCH_MAC,
	WATCH_LINK,
	WATCH_MTU,
	WATCH_PROGRAM,
	WATCH_ADDRESS,
	WATCH_ITEMS,
};

struct watch {
	struct netlink *netlink; /* NULL: the port has no interface of the kernel */
	struct event *news;
	struct event *timer;
	bool due;	       /* there is news that asks for a look */
	char name[IFNAMSIZ];   /* at the start */
	unsigned int attached; /* times our program had to be attached again */
	uint64_t attached_us;  /* when that was last */
	uint32_t flags;	       /* IFF_... */
	uint32_t mtu;
	struct health_item item[WATCH_ITEMS];
};

/* ctl->base and the started port are ready. Looks once. 0 or -errno. */
int watch_start(struct control *ctl);
void watch_stop(struct control *ctl);
/* Once a second: what had to wait is said. */
void watch_review(struct control *ctl);
/* For `oncewire status`: adds the state to `health`, and what is bad to `problems`. */
void watch_status(const struct control *ctl, json_t *health, json_t *problems);

#endif
