/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <sodium.h>

#include "client/lib/clock.h"
#include "client/lib/twin.h"

#define FRAME_MEMORY 2304	      /* what a full frame costs in the receive buffer */
#define WINDOW_LEAST 2		      /* chunks */
#define NOTES_ABOVE (1 * MILLISECOND) /* of round trip */
#define REPORT_EVERY (250 * MILLISECOND)
#define REPORT_LONGEST (2 * SECOND)
#define REPORTERS 64 /* more of them report less often */
#define ASK_EVERY (1 * SECOND)
#define CROWDED_EVERY (60 * SECOND)
#define ERROR_WAIT (10 * MILLISECOND) /* before pulling again; doubles */
#define BUSY_WAIT (1 * MILLISECOND)   /* likewise, after BUSY: what it means is there soon */
#define ERROR_WAIT_DOUBLINGS 10
#define ERROR_WAIT_MOST (1000 * MILLISECOND)
#define ERRORS_MOST 16		      /* in a row: then the next OFFER is waited for */
#define PROBE_LEAST (5 * MILLISECOND) /* before more is asked for than there was, */
#define PROBE_MOST (250 * MILLISECOND)
#define PROBE_DOUBLINGS 6

/* All deliveries share one receive buffer. */
static uint32_t window_cap(const struct ow_receiver *r)
{
	uint32_t cap = r->udp.receive_bytes / FRAME_MEMORY * r->usable / USABLE_ALL;

	if (r->deliveries.count > 0)
		cap /= r->deliveries.count;
	return cap < WINDOW_LEAST ? WINDOW_LEAST : cap;
}

static void window_free(struct delivery *d)
{
	free(d->window);
	d->window = NULL;
	if (d->bits_size > 0)
		munmap(d->bits, d->bits_size);
	d->bits_size = 0;
}

/* An OFFER's length costs its sender nothing, so bitmaps for it must cost us
 * nothing: untouched pages become memory as chunks arrive. */
static int window_alloc(struct delivery *d)
{
	size_t size = pullwin_memory(d->length);

	d->window = malloc(sizeof(*d->window));
	if (d->window == NULL)
		return -ENOMEM;
	if (size == 0)
		return 0;
	d->bits = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (d->bits == MAP_FAILED) {
		window_free(d);
		return -ENOMEM;
	}
	d->bits_size = size;
	return 0;
}

int delivery_start(struct ow_receiver *r, struct delivery *d, uint64_t now)
{
	uint64_t random;

	window_free(d);
	if (window_alloc(d) < 0)
		return -ENOMEM;
	deliveries_begun(&r->deliveries, d);
	pullwin_init(d->window, d->length, d->bits, window_cap(r), now);
	randombytes_buf(&random, sizeof(random));
	d->stream = (random & ~(uint64_t)(DELIVERIES_MAX - 1)) | delivery_slot(d);
	d->hashed = 0;
	d->laters = 0;
	d->probe_at = NEVER;
	if (d->attempt == 0)
		d->available = chunk_count(d->length);
	d->window->pulls.limit = d->available;
	return 0;
}

void delivery_restart(struct ow_receiver *r, struct delivery *d, uint64_t now)
{
	if (r->gather.delivery == d)
		r->gather.count = 0;
	ident_free(d->hash);
	d->hash = ident_begin(d->rule);
	d->kept = 0;
	d->error = d->hash != NULL ? part_clear(&d->part, d->attempt) : -ENOMEM;
	if (d->error == 0)
		d->error = delivery_start(r, d, now);
	if (d->error < 0)
		delivery_fail(r, d, "pull", d->error);
}

/* ---- a blob that is still on its way to the relay ---- */

/* Chunks that it has; more are not asked for. */
static void available_take(struct delivery *d, uint32_t available)
{
	const uint32_t chunks = chunk_count(d->length);

	if (available > chunks)
		available = chunks;
	if (available > d->available)
		d->available = available;
}

/* Nothing of what it has will be needed. */
static void attempt_take(struct ow_receiver *r, struct delivery *d, uint64_t now)
{
	d->attempt = d->newest;
	d->available = d->newest_available;
	d->gone = false;
	d->state = DELIVERY_PULLING;
	delivery_restart(r, d, now);
}

/* Without progress another one may take its place; but not when all of it came, and is hashed, or
 * decrypted, which is no progress. */
static bool attempt_over(const struct delivery *d, uint64_t now)
{
	if (pullwin_complete(d->window))
		return false;
	return d->gone || (d->newest != 0 && now - d->window->progress >= STALLED);
}

bool delivery_spent(const struct delivery *d, const struct offer *o)
{
	return o->attempt != 0 && o->attempt == d->spent;
}

void delivery_offered(struct ow_receiver *r, struct delivery *d, const struct offer *o,
		      uint64_t now)
{
	d->newest = o->attempt;
	d->newest_available = o->available;
	if (d->window == NULL) {
		d->attempt = o->attempt;
		d->available = o->available;
	} else if (delivery_spent(d, o)) {
		return;
	} else if (o->attempt == d->attempt) {
		d->gone = false;
		available_take(d, o->attempt != 0 ? o->available : chunk_count(d->length));
	} else if (attempt_over(d, now)) {
		attempt_take(r, d, now);
	} else if (o->attempt == 0) {
		available_take(d, chunk_count(d->length));
	}
}

void delivery_unpause(struct delivery *d, const struct offer *o)
{
	/* unless the relay named a time */
	if (d->state == DELIVERY_PAUSED && d->resume_at == NEVER && !delivery_spent(d, o))
		d->state = DELIVERY_PULLING;
}

/* The relay has not (any more) what it offered. */
static void attempt_gone(struct ow_receiver *r, struct delivery *d, uint64_t now)
{
	d->gone = true;
	if (d->newest != d->attempt && attempt_over(d, now))
		attempt_take(r, d, now);
}

static uint64_t probe_wait(const struct delivery *d)
{
	const uint64_t half = congestion_rtt(&d->window->congestion) / 2;
	const uint64_t wait = later(half, PROBE_LEAST) << earlier(d->laters, PROBE_DOUBLINGS);

	return earlier(wait, PROBE_MOST);
}

/* How far may be asked for now? A PULL for every chunk as it comes would cost much: some
 * gather, as long as others are under way. */
static void limit_set(struct delivery *d, uint64_t now)
{
	struct pulls *q = &d->window->pulls;
	const uint32_t fresh = d->available > q->next ? d->available - q->next : 0;

	if (q->flight == 0 || d->available == q->chunks ||
	    fresh >= congestion_quantum(&d->window->congestion))
		q->limit = d->available > q->next ? d->available : q->next;
	if (q->flight > 0 || q->next == q->chunks || pulls_ready(q) > 0) {
		d->probe_at = NEVER;
	} else if (d->probe_at == NEVER) {
		d->probe_at = now + probe_wait(d);
	} else if (now >= d->probe_at) {
		d->probe_at = NEVER;
		q->limit = q->next + 1;
	}
}

bool delivery_crowded(struct ow_receiver *r, int error)
{
	const uint64_t now = clock_now();

	if (error != -EMFILE && error != -ENFILE)
		return false;
	if (r->warned_at != 0 && now - r->warned_at < CROWDED_EVERY)
		return true;
	r->warned_at = now;
	receiver_warn(r,
		      "%u files arrive at once, and no more can be opened: the others wait; allow "
		      "more open files (ulimit -n)",
		      r->deliveries.count);
	return true;
}

static int delivery_file(struct ow_receiver *r, struct delivery *d)
{
	const struct part_of of = {.id = d->id, .length = d->length, .rule = d->rule};

	if (d->length < PART_KEPT_LEAST)
		return part_open(&r->inbox, &d->part);
	return part_open_kept(&r->inbox, &d->part, &of);
}

/* What an earlier one left is of use if it is of what is offered now; what was still uploaded
 * then may be stored by now, which its relay knows. */
static int delivery_go_on(struct delivery *d)
{
	struct part *p = &d->part;

	if (!p->begun || (p->attempt != d->attempt && d->attempt != 0))
		return part_clear(p, d->attempt);
	d->attempt = p->attempt;
	pulls_restore(&d->window->pulls, p->have);
	d->kept = delivery_bytes(d);
	return 0;
}

/* Pulls it. */
static void delivery_open(struct ow_receiver *r, struct delivery *d, uint64_t now)
{
	char where[PATH_MAX];
	int ret;

	ret = inbox_follow(&r->inbox, where);
	if (ret >= 0)
		ret = delivery_file(r, d);
	if (delivery_crowded(r, ret))
		return; /* until its next OFFER */
	if (ret < 0) {
		delivery_fail(r, d, "create", ret);
		return;
	}
	d->hash = ident_begin(d->rule);
	if (d->hash == NULL || delivery_start(r, d, now) < 0) {
		delivery_fail(r, d, "take", -ENOMEM);
		return;
	}
	ret = delivery_go_on(d);
	if (ret < 0) {
		delivery_fail(r, d, "write", ret);
		return;
	}
	d->state = DELIVERY_PULLING;
	d->receipt_at = now + REPORT_EVERY;
}

struct delivery *delivery_begin(struct ow_receiver *r, struct delivery *d, uint64_t now)
{
	if (d->encrypted && d->decryption == NULL && !delivery_unseal(r, d))
		return d;
	if (!twin_wait(r, d, now, &d))
		delivery_open(r, d, now);
	return d;
}

/* ---- data ---- */

void delivery_write_gathered(struct ow_receiver *r)
{
	struct gather *g = &r->gather;
	struct delivery *d = g->delivery;

	if (g->count == 0)
		return;
	if (d->error == 0)
		d->error = part_write(&d->part, g->iov, g->count, g->offset);
	if (d->error == 0)
		d->error = part_note(&d->part, (uint32_t)(g->offset / CHUNK_SIZE),
				     chunk_count(g->end - g->offset));
	g->count = 0;
}

static void chunk_gather(struct ow_receiver *r, struct delivery *d, uint64_t offset,
			 const uint8_t *bytes, uint32_t len)
{
	struct gather *g = &r->gather;

	if (g->count > 0 && (g->delivery != d || g->end != offset || g->count == UDP_BATCH))
		delivery_write_gathered(r);
	if (g->count == 0) {
		g->delivery = d;
		g->offset = offset;
	}
	g->iov[g->count++] = (struct iovec){(void *)bytes, len};
	g->end = offset + len;
}

static bool data_fits(const struct delivery *d, const struct data *data)
{
	uint64_t offset = (uint64_t)data->first * CHUNK_SIZE;

	return offset < d->length && data->len <= d->length - offset &&
	       (data->len % CHUNK_SIZE == 0 || data->len == d->length - offset);
}

void delivery_data(struct ow_receiver *r, struct delivery *d, const struct data *data,
		   uint64_t came, uint64_t now)
{
	uint32_t done, len, chunk = data->first;
	uint64_t offset;

	if (d->window == NULL || !data_fits(d, data))
		return;
	d->peer->echo = *data->echo;
	available_take(d, data->partial ? data->available : chunk_count(d->length));
	if (d->window->congestion.rtt > NOTES_ABOVE)
		udp_notes(&r->udp);
	for (done = 0; done < data->len; done += len, chunk++) {
		len = chunk_length(d->length, chunk);
		offset = (uint64_t)chunk * CHUNK_SIZE;
		if (pullwin_data(d->window, chunk, data->number, came, now) != PULLWIN_NEW)
			continue;
		d->errors = 0;
		d->laters = 0;
		chunk_gather(r, d, offset, data->bytes + done, len);
		if (offset == d->hashed) { /* in order: not read back */
			ident_update(d->hash, data->bytes + done, len);
			d->hashed += len;
		}
	}
}

/* ---- where it stands ---- */

uint64_t delivery_bytes(const struct delivery *d)
{
	uint64_t bytes;

	if (d->state == DELIVERY_COMPLETE)
		return d->length;
	if (d->window == NULL)
		return d->lent;
	bytes = (uint64_t)d->window->pulls.have * CHUNK_SIZE;
	return bytes < d->length ? bytes : d->length;
}

void delivery_report(struct ow_receiver *r, struct delivery *d)
{
	uint8_t digest[8];
	struct receipt receipt = {
		.cookie = &d->peer->cookie,
		.id = &d->id,
		.meta_digest = digest,
		.ticket = &d->ticket,
		.name = d->name,
		.name_len = d->name_len,
		.code = RECEIPT_PROGRESS,
		.reason = d->reason,
		.rule = d->rule,
		.length = d->length,
		.bytes = delivery_bytes(d),
	};
	uint8_t *buf = udp_slot(&r->udp, r->tx);

	if (d->state == DELIVERY_COMPLETE)
		receipt.code = RECEIPT_COMPLETE;
	if (d->state == DELIVERY_REFUSED)
		receipt.code = RECEIPT_REFUSED;
	meta_digest(d->meta, d->meta_len, digest);
	contact_commit(
		d->peer, &r->udp, r->tx, buf,
		receipt_encode(buf, WIRE_MAX_FRAME, contact_key(d->peer), d->peer->conn, &receipt));
	d->told_at = d->peer->heard;
}

/* keep: what has come stays, if it may. */
static void delivery_release(struct ow_receiver *r, struct delivery *d, bool keep)
{
	if (r->gather.delivery == d)
		r->gather.count = 0;
	if (keep && d->error == 0)
		part_leave(&r->inbox, &d->part);
	else
		part_discard(&r->inbox, &d->part);
	r->left |= keep && d->part.begun;
	if (d->copy_fd >= 0)
		close(d->copy_fd);
	d->copy_fd = -1;
	ident_free(d->hash);
	decryption_free(d->decryption);
	window_free(d);
	d->decryption = NULL;
	d->hash = NULL;
	deliveries_remove(&r->deliveries, d);
	d->peer->deliveries--;
}

void delivery_end(struct ow_receiver *r, struct delivery *d, uint8_t reason)
{
	delivery_release(r, d, reason == REFUSE_TARGET_STOPPED);
	d->state = reason == REFUSE_NONE ? DELIVERY_COMPLETE : DELIVERY_REFUSED;
	d->reason = reason;
	deliveries_remember(&r->deliveries, d);
	delivery_conclude(r, d);
}

void delivery_conclude(struct ow_receiver *r, struct delivery *d)
{
	const bool known = d->peer->known;

	if (known) {
		delivery_report(r, d);
		d->peer = NULL;
	}
	deliveries_owe(&r->deliveries, d, !known);
}

void delivery_forget(struct ow_receiver *r, struct delivery *d)
{
	delivery_release(r, d, true);
	free(d);
}

/* ---- timers ---- */

/* Stops pulling until `resume_at`, but at least for `wait`, or longer with each ERROR in a
 * row: what a relay answers must not set our pace. */
static void delivery_pause(struct delivery *d, uint64_t wait, uint64_t resume_at, uint64_t now)
{
	if (d->state == DELIVERY_PULLING) {
		wait <<= earlier(d->errors++, ERROR_WAIT_DOUBLINGS);
		d->resume_at =
			d->errors > ERRORS_MOST ? NEVER : now + earlier(wait, ERROR_WAIT_MOST);
	}
	d->state = DELIVERY_PAUSED;
	if (resume_at > d->resume_at)
		d->resume_at = resume_at;
}

/* What it asked for comes later: it is asked for again. */
static void later_take(struct delivery *d, const struct error *e, uint64_t now)
{
	available_take(d, e->available);
	d->resume_at = now + later(probe_wait(d), e->retry_after * MILLISECOND);
	d->state = DELIVERY_PAUSED;
	d->laters++;
}

void delivery_error(struct ow_receiver *r, struct delivery *d, const struct error *e, uint64_t now)
{
	if (d->window == NULL)
		return;
	pullwin_cancel(d->window, e->number);
	switch (e->code) {
	case ERROR_FRESH:
		d->peer->echo = *e->echo;
		delivery_pause(d, ERROR_WAIT, now, now);
		break;
	case ERROR_STALE:
		delivery_pause(d, ERROR_WAIT, now, now);
		break;
	case ERROR_BUSY:
		delivery_pause(d, BUSY_WAIT, now + e->retry_after * MILLISECOND, now);
		break;
	case ERROR_LATER:
		later_take(d, e, now);
		break;
	default:
		delivery_pause(d, ERROR_WAIT, NEVER, now);
		if (e->code == ERROR_GONE)
			attempt_gone(r, d, now);
		break;
	}
}

static void pull_emit(struct ow_receiver *r, struct delivery *d, uint32_t number, uint32_t first,
		      uint32_t mask)
{
	struct pull p = {
		.cookie = &d->peer->cookie,
		.echo = &d->peer->echo,
		.ticket = &d->ticket,
		.id = &d->id,
		.rule = d->rule,
		.stream = d->stream,
		.number = number,
		.first = first,
		.mask = mask,
		.length = d->length,
		.attempt = d->attempt,
	};
	uint8_t *buf = udp_slot(&r->udp, r->tx);

	contact_commit(d->peer, &r->udp, r->tx, buf,
		       pull_encode(buf, WIRE_MAX_FRAME, contact_key(d->peer), d->peer->conn, &p));
}

static void delivery_pull(struct ow_receiver *r, struct delivery *d, uint64_t now)
{
	uint32_t number, first, mask;

	if (now >= pullwin_deadline(d->window))
		pullwin_tick(d->window, now);
	limit_set(d, now);
	d->window->cap = window_cap(r);
	while (pullwin_next(d->window, now, &number, &first, &mask))
		pull_emit(r, d, number, first, mask);
	/* Two timeouts: our address or the relay's keys may have changed. */
	if (pullwin_silent(d->window) && now - d->peer->asked_since >= ASK_EVERY)
		contact_ask(d->peer, now);
}

/* When it was offered, or a chunk came. */
static uint64_t last_moved(const struct delivery *d)
{
	return d->window != NULL ? later(d->offered, d->window->progress) : d->offered;
}

static uint64_t expiry(const struct delivery *d)
{
	return last_moved(d) + d->lifetime;
}

void delivery_excuse(struct delivery *d, uint64_t stopped)
{
	d->offered = last_moved(d) + stopped;
}

/* Many share what reports may cost. */
static uint64_t report_gap(const struct ow_receiver *r)
{
	const uint64_t gap = REPORT_EVERY * r->deliveries.count / REPORTERS;

	return later(REPORT_EVERY, earlier(gap, REPORT_LONGEST));
}

void delivery_tick(struct ow_receiver *r, struct delivery *d, uint64_t now)
{
	char text[ADDR_TEXT_MAX];

	if (now >= expiry(d)) {
		receiver_warn(r, "no data from relay %s any more; %s",
			      addr_text(&d->peer->addr, text),
			      d->part.begun ? "what has come stays for a day, for when it is sent "
					      "again"
					    : "have it sent again");
		delivery_forget(r, d);
		return;
	}
	if (d->window == NULL || !d->peer->known)
		return;
	if (d->state == DELIVERY_PAUSED && now >= d->resume_at)
		d->state = DELIVERY_PULLING;
	if (d->state == DELIVERY_PULLING && now >= contact_quiet_at(d->peer))
		contact_ask(d->peer, now); /* one HELLO a relay, instead of PULLs for each file */
	else if (d->state == DELIVERY_PULLING)
		delivery_pull(r, d, now);
	if (now >= d->receipt_at) {
		if (d->peer->heard > d->told_at) /* a relay that says nothing is told nothing */
			delivery_report(r, d);
		d->receipt_at = now + report_gap(r);
	}
}

static uint64_t pull_due(const struct delivery *d)
{
	uint64_t pull = earlier(pullwin_deadline(d->window), d->probe_at),
		 quiet = contact_quiet_at(d->peer);

	if (pull < quiet)
		return pull;
	/* then the relay's HELLO is what is due, if it may be sent any */
	return d->peer->asking || d->peer->budget == 0 ? NEVER : quiet;
}

uint64_t delivery_due(const struct delivery *d)
{
	uint64_t due = expiry(d);

	if (d->copy_fd >= 0)
		return 0;
	if (d->window == NULL || !d->peer->known)
		return due;
	if (d->error < 0 || d->hashed == d->length ||
	    pullwin_has(d->window, (uint32_t)(d->hashed / CHUNK_SIZE)))
		return 0;
	due = earlier(due, d->receipt_at);
	return earlier(due, d->state == DELIVERY_PULLING ? pull_due(d) : d->resume_at);
}
