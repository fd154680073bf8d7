/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/transfer/consent.h"

#include <errno.h>

#include "control/core.h"

/* As long as a cookie that an old LISTEN could be replayed with. */
#define FORGET_SECONDS (2 * TOKEN_EPOCH_SECONDS)

static void listening(struct control *ctl, const struct packet *p, const struct frame *f,
		      uint64_t number, uint32_t seconds)
{
	const struct listening l = {.number = number, .seconds = seconds};
	struct rte_mbuf *m = outbox_alloc(ctl, p->worker, &p->peer);

	if (m != NULL)
		outbox_send_signed(
			ctl, m, f->key, f->conn,
			listening_encode(egress_payload(m), WIRE_MAX_FRAME, f->key, f->conn, &l));
}

/* What is left of the target's lease. */
static uint32_t seconds_left(struct control *ctl, const struct addr *target)
{
	uint64_t now = control_seconds(ctl);
	const struct lease *l = lease_lookup(ctl->relay->leases, target, now);

	return l != NULL ? (uint32_t)(l->expiry - now) : 0;
}

/* seconds 0: consent withdrawn. */
static void consent_set(struct control *ctl, const struct packet *p, const struct frame *f,
			uint64_t number, uint32_t seconds)
{
	uint64_t now = control_seconds(ctl);
	const struct lease l = {
		.target = p->peer,
		.key = f->key,
		.conn = f->conn,
		.number = number,
		.expiry = seconds > 0 ? now + seconds : 0,
		.forget = now + seconds + FORGET_SECONDS,
	};
	const struct error busy = {
		.code = ERROR_BUSY,
		.verb = f->verb,
		.retry_after = 1000,
	};
	int ret = -ENOSPC;

	/* a renewal needs no new entry; lease_set() finds out */
	if (lease_count(ctl->relay->leases) < ctl->config->max_leases ||
	    lease_lookup(ctl->relay->leases, &p->peer, now) != NULL)
		ret = lease_set(ctl->relay->leases, &l);
	if (ret == -EALREADY)
		control_drop(ctl, DROP_REPLAY);
	else if (ret == -EEXIST) /* our answer was lost, or somebody repeats what he saw */
		listening(ctl, p, f, number, seconds_left(ctl, &p->peer));
	else if (ret < 0)
		outbox_error(ctl, p->worker, &p->peer, f->key, f->conn, &busy);
	else
		listening(ctl, p, f, number, seconds);
}

void handle_listen(struct control *ctl, const struct packet *p, const struct frame *f)
{
	struct listen l;
	enum drop reason = listen_decode(f, &l);

	if (reason != DROP_NONE) {
		control_drop(ctl, reason);
		return;
	}
	consent_set(ctl, p, f, l.number, RTE_MIN(l.seconds, ctl->config->lease_seconds));
}

void handle_stop(struct control *ctl, const struct packet *p, const struct frame *f)
{
	struct stop s;
	enum drop reason = stop_decode(f, &s);

	if (reason != DROP_NONE) {
		control_drop(ctl, reason);
		return;
	}
	consent_set(ctl, p, f, s.number, 0);
}
