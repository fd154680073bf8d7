/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "control/core.h"
#include "control/transfer/attempt_host.h"
#include "control/transfer/parked.h"
#include "control/transfer/slot.h"

#define HASH_WINDOW 4096u /* chunks pulled beyond the hashed prefix, at most */
#define GROW_STEP 224u	  /* chunks: memory is taken four extents at a time */
#define WINDOW_MAX 1024u  /* chunks in flight, one upload */
#define WINDOW_MIN 8u
#define BITS_SHORT 65536u     /* bytes: of blobs up to about a megabyte */
#define STALL_US 5000000u     /* without a new chunk: others go first */
#define ROOM_WAIT_US 500      /* until what made room is free */
#define RECLAIM_WAIT_US 50000 /* likewise, other uploads' */

void attempts_init(struct control *ctl)
{
	struct attempts *as = ctl->attempts;

	TAILQ_INIT(&as->open);
	TAILQ_INIT(&as->parked);
	TAILQ_INIT(&as->dirty);
	TAILQ_INIT(&as->news);
	slots_init(as);
}

void attempt_mark(struct attempt *a)
{
	if (!a->dirty)
		TAILQ_INSERT_TAIL(&a->ctl->attempts->dirty, a, dirty_link);
	a->dirty = true;
}

/* Of several news before they are looked at, the gravest counts. */
static void attempt_tell(struct attempt *a, enum attempt_news news)
{
	if (a->news == ATTEMPT_QUIET)
		TAILQ_INSERT_TAIL(&a->ctl->attempts->news, a, news_link);
	a->news = RTE_MAX(a->news, news);
}

static void attempt_fail(struct attempt *a, enum refuse_reason reason)
{
	a->reason = reason;
	attempt_tell(a, ATTEMPT_FAILED);
}

/* ---- memory ---- */

static void attempt_timer(evutil_socket_t fd, short what, void *arg)
{
	struct attempt *a = arg;

	(void)fd;
	(void)what;
	control_clock(a->ctl);
	pullwin_tick(&a->window, a->ctl->now_us);
	attempt_mark(a);
}

/* Who promises a long blob and sends none must not cost its bitmaps' memory: those are
 * mapped, and taken page by page. Short ones are not worth a mapping, whose end every
 * core is told. */
static int bits_alloc(struct attempt *a, size_t size)
{
	void *p;

	a->bits_size = size;
	if (size <= BITS_SHORT) {
		a->bits = calloc(1, size);
		return a->bits != NULL ? 0 : -ENOMEM;
	}
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		 -1, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	a->bits = p;
	return 0;
}

static void bits_free(struct attempt *a)
{
	if (a->bits_size <= BITS_SHORT)
		free(a->bits);
	else if (a->bits != NULL)
		munmap(a->bits, a->bits_size);
	a->bits = NULL;
}

/* NULL members are ones that were never made. */
void attempt_free(struct attempt *a)
{
	if (a->timer != NULL)
		event_free(a->timer);
	ident_free(a->hash);
	bits_free(a);
	free(a);
}

static void attempt_put_ended(struct store_put *put)
{
	struct attempt *a = attempt_of_put(put);

	slot_release(a->ctl->attempts, a->slot);
	attempt_free(a);
}

/* Nothing of what came behind the first gap stays: its bits do not. */
static bool attempt_rest(struct attempt *a)
{
	if (!ident_peek(a->hash, &a->prefix))
		a->hashed = 0;
	if (!parked_weigh(a))
		return false;
	bits_free(a);
	if (!a->put.parked) /* an earlier process's is */
		store_put_park(&a->put);
	a->rested = true;
	a->limit = a->hashed;
	attempt_tell(a, ATTEMPT_RESTED);
	return true;
}

void attempt_left(struct attempt *a)
{
	if (a->parked && attempt_rest(a))
		return;
	host_leave(a);
	store_put_end(&a->put, attempt_put_ended);
}

/* No worker uses it any more. */
static void attempt_retired(void *ctx, uint64_t arg)
{
	(void)ctx;
	attempt_left((struct attempt *)(uintptr_t)arg);
}

/* No worker may start to use the slot any more; one that already does is
 * waited for. */
static void attempt_retire(struct attempt *a)
{
	/* without memory for the queue it leaks rather than being freed early */
	reclaim_defer(a->ctl->reclaim, attempt_retired, a->ctl, (uint64_t)(uintptr_t)a);
}

static void news_forget(struct attempt *a)
{
	if (a->news != ATTEMPT_QUIET)
		TAILQ_REMOVE(&a->ctl->attempts->news, a, news_link);
	a->news = ATTEMPT_QUIET;
}

/* Nobody's any more. */
static void attempt_close(struct attempt *a)
{
	struct attempts *as = a->ctl->attempts;

	slot_hide(a);
	slot_close(a);
	as->active--;
	TAILQ_REMOVE(&as->open, a, open_link);
	a->ctl->usage[a->domain_slot].uploads--;
	a->owner = NULL;
	event_del(a->timer);
	if (a->dirty)
		TAILQ_REMOVE(&as->dirty, a, dirty_link);
	a->dirty = false;
	news_forget(a);
}

void attempt_end(struct attempt *a)
{
	attempt_close(a);
	host_leave(a);
	if (!a->hashing)
		attempt_retire(a);
}

void attempt_park(struct attempt *a, const struct upload_key *key)
{
	const bool of_use = a->ctl->config->parked_seconds > 0 && a->contiguous > 0 &&
			    a->host != NULL && !pullwin_complete(&a->window);

	attempt_close(a);
	if (!of_use || !parked_enter(a, key))
		host_leave(a);
	if (!a->hashing)
		attempt_retire(a);
}

void attempt_drop(struct attempt *a)
{
	const bool idle = a->rested || a->cold;

	parked_leave(a);
	news_forget(a);
	host_leave(a);
	if (idle)
		attempt_retire(a);
}

uint64_t attempt_rate(const struct attempt *a)
{
	uint64_t us = a->ctl->now_us - a->judged;

	return us > 0 ? (uint64_t)(a->window.pulls.have - a->had) * CHUNK_SIZE * 1000000 / us : 0;
}

void attempts_fini(struct control *ctl)
{
	struct attempt *a;

	while ((a = TAILQ_FIRST(&ctl->attempts->parked)) != NULL) {
		const bool unhashed = a->hashing;

		attempt_drop(a);
		if (unhashed)
			attempt_retire(a);
	}
}

static struct attempt *attempt_of(struct job *job)
{
	return (struct attempt *)((char *)job - offsetof(struct attempt, job));
}

/* In a hash thread: the chunks do not change any more. */
static void attempt_hash_run(struct job *job)
{
	struct attempt *a = attempt_of(job);
	const struct slab *s = &a->ctl->relay->slab;

	for (uint32_t i = a->hashed; i < a->hash_to; i++) {
		const struct piece *p = slab_piece(s, a->put.piece[i / PIECE_CHUNKS]);

		ident_update(a->hash, piece_chunk(s, p, i % PIECE_CHUNKS),
			     chunk_length(p->length, i));
	}
}

static void attempt_hashed(struct job *job)
{
	struct attempt *a = attempt_of(job);

	control_clock(a->ctl);
	a->hashing = false;
	if (a->owner != NULL || a->parked) {
		a->hashed = a->hash_to;
		store_put_ready(&a->put, a->hashed);
	}
	if (a->owner == NULL) {
		attempt_retire(a);
		return;
	}
	if (a->hashed < a->window.pulls.chunks) {
		attempt_mark(a);
		return;
	}
	ident_final(a->hash, &a->computed);
	attempt_tell(a, ATTEMPT_HASHED);
}

static void attempt_stored(struct store_put *put, int result)
{
	struct attempt *a = attempt_of_put(put);

	a->result = result;
	if (a->owner == NULL) /* it has ended meanwhile */
		return;
	/* at once: its pieces are the index's now, and may leave RAM */
	slot_hide(a);
	attempt_tell(a, ATTEMPT_STORED);
}

void attempt_store(struct attempt *a)
{
	store_put_commit(&a->put, attempt_stored);
}

/* Shows targets what is here. A blob of one chunk is here whole, or not at all. */
static void attempt_show(struct attempt *a)
{
	if (!a->ctl->config->stream || a->window.pulls.chunks < 2 || a->contiguous == 0)
		return;
	/* workers must not find the piece before its beginning is there */
	if (a->put.recalled != NULL)
		return;
	/* to vouch takes an identifier; the chunks may be another's */
	if (a->foreign && a->ctl->relay->possession)
		return;
	if (slot_show(a))
		attempt_tell(a, ATTEMPT_SHOWN);
}

/* Hands what has arrived without a gap to the hash threads. */
static void attempt_hash(struct attempt *a)
{
	while (a->contiguous < a->window.pulls.chunks && pullwin_has(&a->window, a->contiguous))
		a->contiguous++;
	attempt_show(a);
	/* an empty blob has its one job too */
	if (a->hashing || (a->contiguous == a->hashed && a->window.pulls.chunks != 0))
		return;
	a->hash_to = a->contiguous;
	a->hashing = true;
	jobs_submit(a->ctl->hasher, &a->job);
}

/* Takes memory for what may be pulled next: see store_put_grow(). */
static int attempt_grow(struct attempt *a)
{
	/* a hole must not hold up the path for the round trips that its repair takes */
	uint32_t reach = RTE_MAX(2 * WINDOW_MAX, 2 * pullwin_window(&a->window));
	uint32_t want = a->hashed + RTE_MAX(HASH_WINDOW, reach);
	/* as chunks arrive, not as a length is claimed: start-up grows no faster */
	uint32_t earned = GROW_STEP + 2 * a->window.pulls.have;
	int ret;

	want = RTE_MIN(want, a->contiguous + RTE_MIN(reach, earned));
	want = want / GROW_STEP * GROW_STEP;
	if (want > a->window.pulls.chunks)
		want = a->window.pulls.chunks;
	if (want <= a->limit && a->put.begun > 0)
		return 0;
	ret = store_put_grow(&a->put, want);
	if (ret < 0)
		return ret;
	a->limit = want;
	a->window.pulls.limit = want;
	atomic_store_explicit(&a->ctl->relay->uploads[a->slot].limit, want, memory_order_release);
	return 0;
}

static void attempt_pull(struct attempt *a)
{
	const struct upload_slot *s = &a->ctl->relay->uploads[a->slot];
	struct pull p = {
		.upload = true,
		.id = &a->put.name.id,
		.rule = a->put.name.rule,
		.length = a->put.name.length,
		.stream = atomic_load_explicit(&s->stream, memory_order_relaxed),
	};
	uint32_t credit = a->ctl->config->upload_credit / a->ctl->attempts->active;

	if (a->moving)
		return;
	a->window.cap = RTE_MAX(RTE_MIN(credit, WINDOW_MAX), WINDOW_MIN);
	while (pullwin_next(&a->window, a->ctl->now_us, &p.number, &p.first, &p.mask)) {
		struct rte_mbuf *m = outbox_alloc(a->ctl, a->ask.worker, &s->source);

		if (m == NULL)
			return; /* the timer repeats it as if it had been lost */
		outbox_send_signed(
			a->ctl, m, a->ask.field, s->conn,
			pull_encode(egress_payload(m), WIRE_MAX_FRAME, a->ask.field, s->conn, &p));
	}
}

bool attempt_stalled(const struct attempt *a)
{
	return a->ctl->now_us - a->window.progress >= STALL_US && !pullwin_complete(&a->window);
}

static void attempt_rearm(struct attempt *a)
{
	uint64_t at = pullwin_deadline(&a->window), now = a->ctl->now_us;
	uint64_t stall = a->window.progress + (attempt_stalled(a) ? ATTEMPT_PARK_US : STALL_US);
	struct timeval tv;

	at = RTE_MIN(at, stall);
	at = at > now ? at - now : 1;
	tv = (struct timeval){.tv_sec = (time_t)(at / 1000000),
			      .tv_usec = (suseconds_t)(at % 1000000)};
	event_add(a->timer, &tv);
}

/* No memory, or not yet. */
static void attempt_wait(struct attempt *a, int ret)
{
	const bool soon = ret == -EAGAIN, full = ret == -ENOSPC;
	const struct timeval at = {.tv_usec = soon ? ROOM_WAIT_US : RECLAIM_WAIT_US};

	if (!soon && (!full || attempt_stalled(a) || !attempts_reclaim(a->ctl, NULL)))
		attempt_fail(a, full ? REFUSE_STORE_FULL : REFUSE_BUSY);
	else
		event_add(a->timer, &at);
}

void attempt_go_on(struct attempt *a)
{
	const int ret = attempt_grow(a);

	if (ret < 0) {
		attempt_wait(a, ret);
		return;
	}
	attempt_pull(a);
	attempt_rearm(a);
}

static void attempt_pump(struct attempt *a)
{
	progress_note(a);
	attempt_hash(a);
	if (pullwin_complete(&a->window)) {
		event_del(a->timer);
		return;
	}
	a->goes = a->goes && attempt_stalled(a);
	if (attempt_stalled(a))
		attempt_tell(a, ATTEMPT_STALLED);
	else
		attempt_go_on(a);
}

void attempts_pump(struct control *ctl)
{
	struct attempt *a;

	while ((a = TAILQ_FIRST(&ctl->attempts->dirty)) != NULL) {
		TAILQ_REMOVE(&ctl->attempts->dirty, a, dirty_link);
		a->dirty = false;
		attempt_pump(a);
	}
}

void attempt_chunk(struct control *ctl, const struct message *note)
{
	struct attempt *a = ctl->relay->uploads[note->slot].attempt;
	uint64_t came;

	/* a note about a stream that has ended since */
	if (a == NULL || (note->stream_low != a->stream && note->stream_low != a->before))
		return;
	came = RTE_MIN(note->came_us - ctl->unix_offset, ctl->now_us);
	a->came = RTE_MAX(a->came, came); /* a reference of the workers' clock may be newer */
	if (pullwin_data(&a->window, note->chunk, note->number, a->came, ctl->now_us) ==
	    PULLWIN_NEW)
		attempt_mark(a);
}

/* No worker uses the slot any more: it opens for where the source is now. */
static void attempt_moved(void *ctx, uint64_t arg)
{
	struct attempt *a = (struct attempt *)(uintptr_t)arg;
	struct control *ctl = ctx;
	const struct domain_keys *keys;

	a->moving = false;
	if (a->owner == NULL) /* it has ended meanwhile, and is freed after this */
		return;
	if (keyring_find(relay_keyring(ctl->relay), a->ask.field, &keys) == NULL) {
		attempt_fail(a, REFUSE_MEMBERS_ONLY);
		return;
	}
	slot_open(a, keys);
	attempt_mark(a);
}

void attempt_move(struct attempt *a, const struct ask *ask)
{
	struct control *ctl = a->ctl;
	struct upload_slot *s = &ctl->relay->uploads[a->slot];
	uint64_t stream = atomic_load_explicit(&s->stream, memory_order_relaxed);

	if (!a->moving) {
		atomic_store_explicit(&s->stream, 0, memory_order_release);
		if (reclaim_defer(ctl->reclaim, attempt_moved, ctl, (uint64_t)(uintptr_t)a) < 0) {
			atomic_store_explicit(&s->stream, stream, memory_order_release);
			return;
		}
		a->moving = true;
		a->before = a->stream;
	}
	host_leave(a);
	a->ask = *ask;
	if (host_enter(a) < 0)
		attempt_fail(a, REFUSE_BUSY);
	pullwin_restart(&a->window, ctl->now_us);
	attempt_mark(a);
}

/* Of the window, then of the slot. */
static size_t bits_needed(uint64_t length)
{
	return pullwin_memory(length) + (chunk_count(length) / 64 + 1) * sizeof(uint64_t);
}

struct attempt *attempt_make(struct control *ctl, uint8_t rule)
{
	struct attempt *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->ctl = ctl;
	a->hash = ident_begin(rule);
	a->timer = evtimer_new(ctl->base, attempt_timer, a);
	a->job.run = attempt_hash_run;
	a->job.done = attempt_hashed;
	if (a->hash != NULL && a->timer != NULL)
		return a;
	attempt_free(a);
	return NULL;
}

static struct attempt *attempt_alloc(struct control *ctl, const struct ask *ask)
{
	struct attempt *a = attempt_make(ctl, ask->rule);

	if (a == NULL)
		return NULL;
	a->ask = *ask;
	if (bits_alloc(a, bits_needed(ask->length)) == 0 && host_enter(a) == 0)
		return a;
	attempt_free(a);
	return NULL;
}

static enum refuse_reason begin_refusal(int ret)
{
	switch (ret) {
	case -EFBIG:
		return REFUSE_TOO_LARGE;
	case -EDQUOT:
		return REFUSE_QUOTA;
	case -ENOSPC:
		return REFUSE_STORE_FULL;
	default:
		return REFUSE_BUSY;
	}
}

/* Is there room for one more, of this source? If not, some is made for when it asks again.
 * parked: the one that it is to be, which has its slot, and its place at its own host. */
static bool slot_free(struct control *ctl, const struct addr *source, const struct attempt *parked)
{
	const struct attempts *as = ctl->attempts;
	const struct attempt_host *h = host_find(ctl, source);
	const bool full =
		as->active >= ctl->config->max_uploads || (parked == NULL && as->free_count == 0);

	if (!full && (h == NULL || h->count < ctl->config->max_uploads_per_source ||
		      (parked != NULL && parked->host == h)))
		return true;
	attempts_reclaim(ctl, full ? NULL : source);
	return false;
}

/* May this source upload now? *d and *keys: its domain's. */
static enum refuse_reason attempt_admit(struct control *ctl, const struct ask *ask,
					const struct attempt *parked, const struct domain **d,
					const struct domain_keys **keys)
{
	*d = keyring_find(relay_keyring(ctl->relay), ask->field, keys);
	if (*d == NULL) /* the key was retired meanwhile */
		return REFUSE_MEMBERS_ONLY;
	if (!slot_free(ctl, &ask->key.source, parked))
		return REFUSE_BUSY;
	if ((*d)->max_uploads > 0 && ctl->usage[(*d)->slot].uploads >= (*d)->max_uploads) {
		ctl->usage[(*d)->slot].refused++;
		return REFUSE_BUSY;
	}
	return REFUSE_NONE;
}

/* Pulls from behind what is hashed. */
static void attempt_open(struct attempt *a, struct waiter *owner, const struct domain *d,
			 const struct domain_keys *keys)
{
	struct control *ctl = a->ctl;

	a->owner = owner;
	a->before = 0;
	a->goes = false;
	a->judged = ctl->now_us;
	a->had = a->contiguous = a->hashed;
	a->domain_slot = d->slot;
	pullwin_init(&a->window, a->ask.length, a->bits, WINDOW_MAX, ctl->now_us);
	pulls_begin_at(&a->window.pulls, a->hashed);
	a->window.pulls.limit = a->limit; /* until there is memory for more */
	a->progress = a->window.progress;
	slot_fill(a);
	slot_open(a, keys);
	ctl->attempts->active++;
	TAILQ_INSERT_TAIL(&ctl->attempts->open, a, open_link);
	ctl->usage[d->slot].uploads++;
	attempt_mark(a);
}

enum refuse_reason attempt_start(struct control *ctl, struct waiter *owner, const struct ask *ask,
				 struct attempt **out)
{
	const struct domain_keys *keys;
	const struct domain *d;
	const struct blob_name name = ask_blob(ask);
	const enum refuse_reason reason = attempt_admit(ctl, ask, NULL, &d, &keys);
	struct attempt *a;
	int ret;

	if (reason != REFUSE_NONE)
		return reason;
	a = attempt_alloc(ctl, ask);
	if (a == NULL)
		return REFUSE_BUSY;
	ret = store_put_begin(&ctl->store, &name, &a->put);
	if (ret < 0) {
		host_leave(a);
		attempt_free(a);
		ctl->usage[d->slot].refused += ret == -EDQUOT;
		return begin_refusal(ret);
	}
	a->slot = slot_reserve(ctl->attempts);
	a->number = slot_number(a->slot);
	a->put.attempt = a->number;
	a->put.newest_stay = ctl->config->stream;
	/* under hidden hits only the same request may go on, and the next process has none */
	a->put.keep = ctl->config->parked_seconds > 0 && !relay_hides(ctl->relay, ask->length);
	attempt_open(a, owner, d, keys);
	*out = a;
	return REFUSE_NONE;
}

enum refuse_reason attempt_resume(struct attempt *a, struct waiter *owner, const struct ask *ask)
{
	struct control *ctl = a->ctl;
	const struct domain_keys *keys;
	const struct domain *d;
	const enum refuse_reason reason = attempt_admit(ctl, ask, a, &d, &keys);
	int ret;

	if (reason != REFUSE_NONE)
		return reason;
	ret = bits_alloc(a, bits_needed(ask->length));
	if (ret == 0)
		ret = store_put_unpark(&a->put);
	if (ret < 0) {
		bits_free(a);
		ctl->usage[d->slot].refused += ret == -EDQUOT;
		return begin_refusal(ret);
	}
	parked_leave(a);
	news_forget(a);
	a->foreign |= memcmp(&a->ask.key, &ask->key, sizeof(ask->key)) != 0;
	host_leave(a);
	a->ask = *ask;
	if (host_enter(a) < 0)
		attempt_fail(a, REFUSE_BUSY);
	attempt_open(a, owner, d, keys);
	return REFUSE_NONE;
}
