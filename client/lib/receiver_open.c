/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include <sodium.h>

#include "client/lib/clock.h"
#include "client/lib/receiver.h"

#define RECEIVE_BUFFER (8 << 20) /* the kernel doubles it for its own use */

static int socket_take(struct ow_receiver *r, const struct ow_receive_options *o)
{
	struct addr local = {.type = ADDR_NONE, .port = put16(WIRE_TARGET_PORT)};
	char text[ADDR_TEXT_MAX] = "all addresses, port 4871";
	static const uint8_t any[16];
	struct hosts hosts;
	int ret;

	if (o->listen != NULL) {
		if (hosts_resolve(o->listen, WIRE_TARGET_PORT, &hosts) != NULL)
			return fault_set(&r->fault, OW_INVALID,
					 "\"%s\" is not an address to listen on; write it as "
					 "192.0.2.1:%u or [2001:db8::1]:%u",
					 o->listen, WIRE_TARGET_PORT, WIRE_TARGET_PORT);
		local = hosts.host[0].addr;
		r->udp.zone = hosts.host[0].zone;
		addr_text(&local, text);
		/* [::] means every address, as elsewhere. */
		if (local.type == ADDR_IP6 && memcmp(local.ip, any, sizeof(any)) == 0)
			local.type = ADDR_NONE;
	}
	ret = udp_open(&r->udp, &local, RECEIVE_BUFFER);
	if (ret == -EADDRINUSE)
		return fault_set(&r->fault, OW_FAILED,
				 "another program uses %s; stop it or listen on another port",
				 text);
	if (ret == -EADDRNOTAVAIL)
		return fault_set(&r->fault, OW_FAILED,
				 "%s is not an address of this host; listen on one that is", text);
	if (ret < 0)
		return fault_set(&r->fault, OW_FAILED, "cannot listen on %s: %s", text,
				 strerror(-ret));
	memcpy(r->local, text, sizeof(r->local));
	return OW_OK;
}

/* Those of a name's addresses that the socket can reach. */
static const char *relay_resolve(const struct ow_receiver *r, const char *text, struct hosts *h)
{
	const char *why = hosts_resolve(text, WIRE_PORT, h);
	uint32_t kept = 0;

	for (uint32_t i = 0; why == NULL && i < h->count; i++)
		if (r->udp.v6 || h->host[i].addr.type == ADDR_IP4)
			h->host[kept++] = h->host[i];
	h->count = kept;
	return why == NULL && kept == 0
		       ? "it cannot be reached from an IPv4 address; listen on [::]"
		       : why;
}

static int subscription_take(struct ow_receiver *r, const char *text, uint64_t now)
{
	struct hosts hosts;
	const char *why = relay_resolve(r, text, &hosts);
	const struct host_addr *first = &hosts.host[0];
	struct contact *p;

	if (why != NULL)
		return fault_set(&r->fault, OW_INVALID,
				 "relay \"%s\": %s; write it as 192.0.2.1:%u, [2001:db8::1]:%u or "
				 "host.example:%u",
				 text, why, WIRE_PORT, WIRE_PORT, WIRE_PORT);
	if (first->zone != 0 && r->udp.zone != 0 && first->zone != r->udp.zone)
		return fault_set(&r->fault, OW_INVALID,
				 "relay %s is on another link than the others with link-local "
				 "addresses; run one recv for each link",
				 text);
	if (first->zone != 0)
		r->udp.zone = first->zone;
	if (contacts_by_addr(r, &first->addr) != NULL)
		return OW_OK; /* named twice */
	p = contacts_add(r, &first->addr, r->member.key != 0 ? &r->member : NULL);
	if (p == NULL)
		return fault_set(&r->fault, OW_FAILED, "out of memory");
	subscription_init(&r->leases[r->subscription_count++], p, &hosts, now);
	return OW_OK;
}

static int subscriptions_take(struct ow_receiver *r, const struct ow_receive_options *o)
{
	uint64_t now = clock_now();

	if (o->relay_count > SUBSCRIPTIONS_MAX)
		return fault_set(&r->fault, OW_INVALID, "more than %d relays", SUBSCRIPTIONS_MAX);
	for (size_t i = 0; i < o->relay_count; i++)
		if (subscription_take(r, o->relays[i], now) < 0)
			return r->fault.code;
	return OW_OK;
}

static int inbox_take(struct ow_receiver *r, const struct ow_receive_options *o)
{
	int ret;

	if (o->directory == NULL)
		return fault_set(&r->fault, OW_INVALID, "no directory to receive into; name one");
	ret = inbox_open(&r->inbox, o->directory, o->private_files);
	if (ret < 0)
		return fault_set(&r->fault, OW_FAILED,
				 "cannot receive into %s: %s; name a directory you may write to",
				 o->directory, strerror(-ret));
	parts_sweep(&r->inbox);
	return OW_OK;
}

static int identity_take(struct ow_receiver *r, const struct ow_receive_options *o)
{
	const char *path = o->identity_file;
	int ret;

	if (path == NULL)
		return OW_OK;
	ret = identity_read(path, &r->identity);
	if (ret == -EPERM)
		return fault_set(&r->fault, OW_FAILED,
				 "identity %s can be read by others; chmod 600 it", path);
	if (ret == -EINVAL)
		return fault_set(&r->fault, OW_FAILED,
				 "%s is not an identity: 64 hex digits; make one with `oncewire "
				 "keygen identity FILE`",
				 path);
	if (ret < 0)
		return fault_set(&r->fault, OW_FAILED, "cannot read identity %s: %s", path,
				 strerror(-ret));
	r->has_identity = true;
	return OW_OK;
}

int ow_receiver_open(const struct ow_receive_options *o, struct ow_receiver **out)
{
	struct ow_receiver *r;

	r = *out = calloc(1, sizeof(*r));
	if (r == NULL)
		return OW_FAILED;
	r->udp.fd = -1;
	wait_init(&r->wait);
	deliveries_init(&r->deliveries);
	r->inbox.fd = -1;
	r->rx = udp_rx_create();
	r->tx = calloc(1, sizeof(*r->tx));
	r->scratch = malloc(SETTLE_BYTES);
	if (r->rx == NULL || r->tx == NULL || r->scratch == NULL)
		return fault_set(&r->fault, OW_FAILED, "out of memory");
	if (sodium_init() < 0)
		return fault_set(&r->fault, OW_FAILED, "no source of random numbers");
	r->count = o->count;
	r->file = o->file;
	r->warning = o->warning;
	r->notice = o->notice;
	r->usable = USABLE_ALL;
	r->progress = o->progress;
	r->ctx = o->ctx;
	if (member_read(&r->member, o->domain_key_file, &r->fault) < 0 || inbox_take(r, o) < 0 ||
	    identity_take(r, o) < 0 || socket_take(r, o) < 0 || subscriptions_take(r, o) < 0)
		return r->fault.code;
	return OW_OK;
}

void ow_receiver_close(struct ow_receiver *r)
{
	if (r == NULL)
		return;
	for (uint32_t i = 0; i < r->deliveries.room; i++)
		if (r->deliveries.slot[i] != NULL)
			delivery_forget(r, r->deliveries.slot[i]);
	deliveries_fini(&r->deliveries);
	receiver_sweep(r);
	contacts_free(r);
	wait_close(&r->wait);
	udp_close(&r->udp);
	inbox_close(&r->inbox);
	identity_wipe(&r->identity);
	sodium_memzero(&r->member, sizeof(r->member));
	free(r->scratch);
	free(r->rx);
	free(r->tx);
	free(r);
}

int ow_receiver_fd(struct ow_receiver *r)
{
	return wait_fd(&r->wait, r->udp.fd);
}

int ow_receiver_timeout(const struct ow_receiver *r)
{
	return clock_milliseconds(receiver_due(r), clock_now());
}

uint32_t ow_receiver_files(const struct ow_receiver *r)
{
	return r->files;
}

const char *ow_receiver_message(const struct ow_receiver *r)
{
	return r->fault.text;
}
