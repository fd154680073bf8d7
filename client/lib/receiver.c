/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>

#include "client/lib/clock.h"
#include "client/lib/receiver.h"

#define RECEIVE_BATCHES 16 /* read in one call */
#define LINGER_QUIET (1500 * MILLISECOND)
#define LINGER_LONGEST (5 * SECOND)
#define STOP_LONGEST (1 * SECOND)
#define STOP_TOLD (500 * MILLISECOND)
#define REPORT_EVERY (100 * MILLISECOND)
#define OVERFLOW_EVERY (100 * MILLISECOND)

void receiver_warn(struct ow_receiver *r, const char *format, ...)
{
	char text[OW_MESSAGE_MAX];
	va_list args;

	if (r->warning == NULL)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	r->warning(r->ctx, text);
}

void receiver_notice(struct ow_receiver *r, const char *format, ...)
{
	char text[OW_MESSAGE_MAX];
	va_list args;

	if (r->notice == NULL)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	r->notice(r->ctx, text);
}

bool receiver_finished(const struct ow_receiver *r)
{
	return r->state != RECEIVER_RUNNING || (r->count != 0 && r->files >= r->count);
}

/* ---- what comes in ---- */

static void data_take(struct ow_receiver *r, const struct frame *f, const struct addr *from,
		      uint64_t came, uint64_t now)
{
	struct delivery *d;
	struct data data;

	if (data_decode(f, &data) != DROP_NONE || data.upload)
		return;
	d = deliveries_of_stream(&r->deliveries, data.stream);
	if (d == NULL || !contact_owns(d->peer, from, f->conn))
		return;
	d->peer->heard = now;
	deliveries_touch(&r->deliveries, d);
	delivery_data(r, d, &data, came, now);
}

static void subscriptions_error(struct ow_receiver *r, const struct contact *p,
				const struct error *e, uint64_t now)
{
	uint32_t i;

	for (i = 0; i < r->subscription_count; i++)
		if (r->leases[i].peer == p)
			subscription_error(r, &r->leases[i], e, now);
}

static void error_take(struct ow_receiver *r, const struct frame *f, struct contact *p,
		       uint64_t now)
{
	struct delivery *d;
	struct error e;

	if (error_decode(f, &e) != DROP_NONE)
		return;
	if (!contact_verified(p, f)) {
		if (e.code == ERROR_KEY)
			contact_doubt(p, now);
		return;
	}
	p->heard = now;
	if (e.code == ERROR_STALE) {
		p->known = false; /* but proven */
		contact_ask(p, now);
	}
	if (e.verb == VERB_LISTEN)
		subscriptions_error(r, p, &e, now);
	if (e.verb != VERB_PULL)
		return;
	d = deliveries_of_stream(&r->deliveries, e.stream);
	if (d == NULL || d->peer != p)
		return;
	deliveries_touch(&r->deliveries, d);
	delivery_error(r, d, &e, now);
}

static void listening_take(struct ow_receiver *r, const struct frame *f, struct contact *p,
			   uint64_t now)
{
	struct listening a;
	uint32_t i;

	if (!contact_verified(p, f) || listening_decode(f, &a) != DROP_NONE)
		return;
	p->heard = now;
	for (i = 0; i < r->subscription_count; i++)
		if (r->leases[i].peer == p)
			subscription_answer(r, &r->leases[i], &a, now);
}

static void frame_take(struct ow_receiver *r, const struct udp_datagram *dg, uint64_t now)
{
	const struct addr *from = dg->from;

	struct contact *p;
	struct frame f;

	if (frame_parse(dg->bytes, dg->len, &f) != DROP_NONE)
		return;
	switch (f.verb) {
	case VERB_DATA:
		data_take(r, &f, from, dg->came, now);
		return;
	case VERB_OFFER:
		incoming_take(r, &f, from, now);
		return;
	case VERB_WELCOME:
		contacts_welcome(r, &f, from, now);
		return;
	default:
		break;
	}
	p = contacts_by_conn(r, from, f.conn);
	if (p == NULL || !p->known)
		return;
	if (f.verb == VERB_LISTENING)
		listening_take(r, &f, p, now);
	else if (f.verb == VERB_ERROR)
		error_take(r, &f, p, now);
}

/* ---- what is due ---- */

static void state_enter(struct ow_receiver *r, uint8_t state, uint64_t now)
{
	struct delivery *d;
	uint32_t i;

	r->state = state;
	r->state_since = now;
	/* Who is told to stop says so to the sources; with all files here, what is left
	 * over is for another run, which they wait for. */
	for (i = 0; i < r->deliveries.room; i++) {
		d = r->deliveries.slot[i];
		if (d == NULL)
			continue;
		if (state == RECEIVER_STOPPING) {
			r->dropped++;
			delivery_end(r, d, REFUSE_TARGET_STOPPED);
		} else {
			delivery_forget(r, d);
		}
	}
	if (state != RECEIVER_STOPPING)
		return;
	for (i = 0; i < r->subscription_count; i++)
		subscription_stop(&r->leases[i], now);
}

static bool subscriptions_ended(const struct ow_receiver *r)
{
	uint32_t i;

	for (i = 0; i < r->subscription_count; i++)
		if (!subscription_ended(&r->leases[i]))
			return false;
	return true;
}

/* The source repeats its SEND for as long as our RECEIPT has not reached it. */
static uint64_t linger_end(const struct ow_receiver *r)
{
	uint64_t last = r->offered > r->state_since ? r->offered : r->state_since;

	return earlier(last + LINGER_QUIET, r->state_since + LINGER_LONGEST);
}

/* A RECEIPT may get lost: the OFFERs that follow then are answered. */
static uint64_t stop_earliest(const struct ow_receiver *r)
{
	return r->state_since + (r->dropped > 0 ? STOP_TOLD : 0);
}

static void state_tick(struct ow_receiver *r, uint64_t now)
{
	if (r->state == RECEIVER_RUNNING && receiver_finished(r))
		state_enter(r, RECEIVER_LINGERING, now);
	if (r->state == RECEIVER_LINGERING && now >= linger_end(r))
		state_enter(r, RECEIVER_STOPPING, now);
	if (r->state == RECEIVER_STOPPING && ((subscriptions_ended(r) && now >= stop_earliest(r)) ||
					      now - r->state_since >= STOP_LONGEST))
		r->state = RECEIVER_FINISHED;
}

/* Who had its turn is due behind those that are so already, who had none stays before them. */
static void delivery_run(struct ow_receiver *r, struct delivery *d, uint64_t now)
{
	const bool turn = r->settled < SETTLE_PIECES_ALL;
	const uint32_t slot = delivery_slot(d);

	if (turn)
		delivery_settle(r, d, now);
	if (delivery_active(&r->deliveries, slot, d))
		delivery_tick(r, d, now);
	if (delivery_active(&r->deliveries, slot, d))
		deliveries_schedule(&r->deliveries, d,
				    turn ? later(delivery_due(d), now)
					 : earlier(d->due, later(delivery_due(d), now)));
}

static void timers_run(struct ow_receiver *r, uint64_t now)
{
	struct delivery *d;
	uint32_t i;

	deliveries_wake(&r->deliveries, now);
	while ((d = deliveries_touched(&r->deliveries)) != NULL)
		delivery_run(r, d, now);
	deliveries_expire(&r->deliveries, now);
	contacts_tick(r, now);
	for (i = 0; i < r->subscription_count; i++)
		subscription_tick(r, &r->leases[i], now);
	udp_flush(&r->udp, r->tx);
}

uint64_t receiver_due(const struct ow_receiver *r)
{
	uint64_t due = earlier(contacts_due(r), deliveries_due(&r->deliveries));
	uint32_t i;

	for (i = 0; i < r->subscription_count; i++)
		due = earlier(due, subscription_due(&r->leases[i]));
	if (r->state == RECEIVER_LINGERING)
		due = earlier(due, linger_end(r));
	if (r->state == RECEIVER_STOPPING)
		due = earlier(due, subscriptions_ended(r) ? stop_earliest(r)
							  : r->state_since + STOP_LONGEST);
	return r->state == RECEIVER_FINISHED || r->fault.code != OW_OK ? 0 : due;
}

static void progress_report(struct ow_receiver *r, uint64_t now)
{
	const struct delivery *d;
	uint64_t done = 0, total = 0;

	if (r->progress == NULL || now - r->reported_at < REPORT_EVERY)
		return;
	for (uint32_t i = 0; i < r->deliveries.room; i++) {
		d = r->deliveries.slot[i];
		done += d != NULL ? delivery_bytes(d) : 0;
		total += d != NULL ? d->length : 0;
	}
	if (done == r->reported || total == 0)
		return;
	r->reported_at = now;
	r->reported = done;
	r->progress(r->ctx, OW_RECEIVING, done, total);
}

/* What finds the receive buffer full is lost, but not on the path: less is kept in
 * flight. Each second without makes room again. */
static void overflow_mind(struct ow_receiver *r, uint64_t now)
{
	if (r->udp.overflow != r->overflow) {
		r->overflow = r->udp.overflow;
		if (now - r->usable_at < OVERFLOW_EVERY)
			return;
		r->usable = r->usable > 1 ? r->usable / 2 : 1;
	} else if (r->usable == USABLE_ALL || now - r->usable_at < SECOND) {
		return;
	} else {
		r->usable++;
	}
	r->usable_at = now;
}

/* ---- the handle ---- */

void receiver_sweep(struct ow_receiver *r)
{
	if (r->left)
		parts_sweep(&r->inbox);
	r->left = false;
}

static void introduce(struct ow_receiver *r)
{
	r->introduced = true;
	receiver_notice(r, "listening on %s, files go to %s", r->local, r->inbox.path);
}

uint32_t ow_receiver_dropped(const struct ow_receiver *r)
{
	return r->dropped;
}

static void stopped_excuse(struct ow_receiver *r, uint64_t stopped)
{
	for (uint32_t i = 0; stopped > 0 && i < r->deliveries.room; i++)
		if (r->deliveries.slot[i] != NULL)
			delivery_excuse(r->deliveries.slot[i], stopped);
	if (stopped > 0)
		deliveries_touch_all(&r->deliveries);
}

int receiver_run(struct ow_receiver *r)
{
	uint32_t batch, n, i;
	uint64_t now;

	if (r->fault.code != OW_OK)
		return r->fault.code;
	if (!r->introduced)
		introduce(r);
	r->settled = 0;
	stopped_excuse(r, clock_stopped(r->wanted, clock_now()));
	for (batch = 0; batch < RECEIVE_BATCHES && r->state != RECEIVER_FINISHED; batch++) {
		n = udp_receive(&r->udp, r->rx);
		now = clock_now();
		for (i = 0; i < n; i++)
			frame_take(r, &r->rx->datagram[i], now);
		overflow_mind(r, now);
		delivery_write_gathered(r);
		state_tick(r, now);
		timers_run(r, now);
		state_tick(r, now);
		progress_report(r, now);
		if (!r->rx->more)
			break;
	}
	receiver_sweep(r);
	r->wanted = later(receiver_due(r), clock_now());
	return r->state == RECEIVER_FINISHED ? OW_OK : OW_AGAIN;
}

int ow_receiver_process(struct ow_receiver *r)
{
	int ret = receiver_run(r);

	wait_arm(&r->wait, receiver_due(r), clock_now());
	return ret;
}

void ow_receiver_stop(struct ow_receiver *r)
{
	if (r->fault.code == OW_OK && r->state < RECEIVER_STOPPING)
		state_enter(r, RECEIVER_STOPPING, clock_now());
}
