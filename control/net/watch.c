/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "control/core.h"
#include "control/net/netlink.h"
#include "control/net/watch.h"

#define LOOK_SECONDS 5
#define ATTACH_US 1000000 /* between two attempts to attach the program again */
#define MTU_MIN 1280	  /* an IPv6 packet with WIRE_MAX_FRAME in it */

__attribute__((format(printf, 4, 5))) static void
item_set(struct control *ctl, enum watch_item item, bool bad, const char *format, ...)
{
	char text[HEALTH_TEXT];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	health_set(&ctl->watch->item[item], ctl->now_us, bad, "%s", text);
}

static void name_follow(struct control *ctl, const struct netlink_link *l)
{
	struct port *p = &ctl->relay->port;
	const char *first = ctl->watch->name;

	memcpy(p->ifname, l->name, sizeof(p->ifname));
	if (strcmp(l->name, first) == 0)
		item_set(ctl, WATCH_NAME, false, "interface %s has its name", first);
	else
		item_set(ctl, WATCH_NAME, true,
			 "interface %s is named %s now: the relay goes on, but name it so in "
			 "[relay] port before the next start",
			 first, l->name);
}

static void mac_follow(struct control *ctl, const struct netlink_link *l)
{
	char text[RTE_ETHER_ADDR_FMT_SIZE];

	if (!l->has_mac)
		return;
	port_mac_set(&ctl->relay->port, &l->mac);
	rte_ether_format_addr(text, sizeof(text), &l->mac);
	item_set(ctl, WATCH_MAC, false, "the interface has the MAC address %s", text);
}

static void link_judge(struct control *ctl, const struct netlink_link *l)
{
	ctl->watch->flags = l->flags;
	if (!(l->flags & IFF_UP))
		item_set(ctl, WATCH_LINK, true,
			 "interface %s is down: nothing arrives; `ip link set %s up`", l->name,
			 l->name);
	else if (!(l->flags & IFF_RUNNING))
		item_set(ctl, WATCH_LINK, true,
			 "interface %s has no carrier: nothing arrives; look at its cable, or its "
			 "far end",
			 l->name);
	else
		item_set(ctl, WATCH_LINK, false, "the interface's link is up");
}

static void mtu_judge(struct control *ctl, const struct netlink_link *l)
{
	ctl->watch->mtu = l->mtu;
	if (l->mtu < MTU_MIN)
		item_set(ctl, WATCH_MTU, true,
			 "interface %s has an MTU of %u: frames with data need %u; `ip link set %s "
			 "mtu 1500`",
			 l->name, l->mtu, MTU_MIN, l->name);
	else
		item_set(ctl, WATCH_MTU, false, "the interface has an MTU of %u", l->mtu);
}

/* IFLA_XDP_ATTACHED's number for the mode that our program is in. */
static unsigned int program_mode(const struct port *p)
{
	return p->program_mode == XDP_FLAGS_SKB_MODE  ? XDP_ATTACHED_SKB
	       : p->program_mode == XDP_FLAGS_HW_MODE ? XDP_ATTACHED_HW
						      : XDP_ATTACHED_DRV;
}

/* Somebody ran `xdp off`. The program and its sockets are still here. */
static void program_mend(struct control *ctl, const char *name)
{
	struct watch *w = ctl->watch;
	int err;

	if (w->attached > 0 && ctl->now_us - w->attached_us < ATTACH_US)
		return;
	err = port_attach(&ctl->relay->port);
	if (err == -EBUSY || err == -EEXIST)
		return; /* another one came in between: the next look sees it */
	if (err < 0) {
		control_fail(ctl, err,
			     "interface %s: somebody detached the XDP program, and it cannot be "
			     "attached again: %s",
			     name, strerror(-err));
		return;
	}
	w->attached++;
	w->attached_us = ctl->now_us;
	item_set(ctl, WATCH_PROGRAM, false,
		 "interface %s: somebody detached the XDP program; it is attached again (%u so "
		 "far); to take the relay off the interface stop it",
		 name, w->attached);
}

static void program_follow(struct control *ctl, const struct netlink_link *l)
{
	const struct port *p = &ctl->relay->port;
	uint32_t there;

	if (p->program < 0)
		return;
	there = l->xdp[program_mode(p)];
	if (there == 0)
		program_mend(ctl, l->name);
	else if (there == p->program_id && ctl->watch->attached == 0)
		item_set(ctl, WATCH_PROGRAM, false, "the XDP program is attached");
	else if (there != p->program_id)
		control_fail(ctl, -EBUSY,
			     "interface %s: another XDP program (id %u) took the place of the "
			     "relay's; stop what attached it",
			     l->name, there);
}

/* Without the kernel's socket an address was never the kernel's. */
static void address_judge(struct control *ctl, const char *name)
{
	const struct port *p = &ctl->relay->port;
	const struct addr *all[] = {&p->listen.ip4, &p->listen.ip6};
	const unsigned int ifindex = p->ifindex;
	char text[ADDR_PAIR_TEXT_MAX];

	if (!port_in_kernel(p))
		return;
	for (unsigned int i = 0; i < RTE_DIM(all); i++) {
		if (p->kernel_fd[i] < 0 || netlink_local(ctl->watch->netlink, all[i], ifindex) == 1)
			continue;
		item_set(ctl, WATCH_ADDRESS, true,
			 "listen address %s is not on this host any more: nobody reaches the "
			 "relay; `ip addr add` it to %s",
			 addr_text(all[i], text), name);
		return;
	}
	item_set(ctl, WATCH_ADDRESS, false, "listen address %s is on this host",
		 addr_pair_text(&p->listen, text));
}

static void look(struct control *ctl)
{
	struct watch *w = ctl->watch;
	struct netlink_link l;
	int err;

	w->due = false;
	err = netlink_link_get(w->netlink, ctl->relay->port.ifindex, &l);
	if (err == -ENODEV)
		control_fail(ctl, err,
			     "interface %s is gone: deleted, or in another network namespace now; "
			     "make it again, then the relay can start",
			     ctl->relay->port.ifname);
	if (err < 0)
		return; /* the next look finds out */
	name_follow(ctl, &l);
	mac_follow(ctl, &l);
	link_judge(ctl, &l);
	mtu_judge(ctl, &l);
	program_follow(ctl, &l);
	address_judge(ctl, l.name);
}

/* Queues bring no news of rtnetlink's. */
static void queues_check(struct control *ctl)
{
	char why[HEALTH_TEXT];
	int err = port_check_queues(&ctl->relay->port, why, sizeof(why));

	/* any other error is of asking, not of the queues */
	if (err == -EINVAL)
		control_fail(ctl, err, "%s", why);
}

static void timer_run(evutil_socket_t fd, short what, void *arg)
{
	struct control *ctl = arg;

	(void)fd;
	(void)what;
	control_clock(ctl);
	look(ctl);
	queues_check(ctl);
}

static void news_read(evutil_socket_t fd, short what, void *arg)
{
	struct control *ctl = arg;

	(void)fd;
	(void)what;
	control_clock(ctl);
	netlink_read(ctl->watch->netlink);
	if (ctl->watch->due)
		look(ctl);
}

static void link_news(void *ctx, const struct netlink_link *l)
{
	struct control *ctl = ctx;

	if (l->ifindex == ctl->relay->port.ifindex)
		ctl->watch->due = true;
}

static void news_lost(void *ctx)
{
	struct control *ctl = ctx;

	ctl->watch->due = true;
}

static void address_news(void *ctx, uint8_t type, bool gone)
{
	(void)type;
	(void)gone;
	news_lost(ctx);
}

int watch_start(struct control *ctl)
{
	static const struct netlink_news news = {
		.link = link_news,
		.address = address_news,
		.lost = news_lost,
	};
	const struct timeval period = {.tv_sec = LOOK_SECONDS};
	struct watch *w = ctl->watch;
	int err;

	if (ctl->relay->port.ifindex == 0)
		return 0;
	memcpy(w->name, ctl->relay->port.ifname, sizeof(w->name));
	err = netlink_open(&w->netlink, &news, ctl);
	if (err < 0)
		return err;
	w->news =
		event_new(ctl->base, netlink_fd(w->netlink), EV_READ | EV_PERSIST, news_read, ctl);
	w->timer = event_new(ctl->base, -1, EV_PERSIST, timer_run, ctl);
	if (w->news == NULL || w->timer == NULL || event_add(w->news, NULL) < 0 ||
	    event_add(w->timer, &period) < 0) {
		watch_stop(ctl);
		return -ENOMEM;
	}
	look(ctl);
	return 0;
}

void watch_stop(struct control *ctl)
{
	struct watch *w = ctl->watch;

	if (w->news != NULL)
		event_free(w->news);
	if (w->timer != NULL)
		event_free(w->timer);
	if (w->netlink != NULL)
		netlink_close(w->netlink);
	memset(w, 0, sizeof(*w));
}

void watch_review(struct control *ctl)
{
	for (unsigned int i = 0; i < WATCH_ITEMS; i++)
		health_review(&ctl->watch->item[i], ctl->now_us);
}

void watch_status(const struct control *ctl, json_t *health, json_t *problems)
{
	const struct watch *w = ctl->watch;
	const bool up = w->flags & IFF_UP, carrier = w->flags & IFF_RUNNING;

	if (w->netlink == NULL)
		return;
	json_object_set_new(health, "interface", json_string(ctl->relay->port.ifname));
	json_object_set_new(health, "link",
			    json_string(!up	   ? "down"
					: !carrier ? "no carrier"
						   : "up"));
	json_object_set_new(health, "mtu", json_integer(w->mtu));
	json_object_set_new(health, "program_attached_again", json_integer(w->attached));
	if (port_in_kernel(&ctl->relay->port))
		json_object_set_new(health, "address", json_boolean(!w->item[WATCH_ADDRESS].bad));
	for (unsigned int i = 0; i < WATCH_ITEMS; i++)
		if (w->item[i].bad)
			json_array_append_new(problems, json_string(w->item[i].text));
}
