/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "client/lib/clock.h"
#include "client/lib/name.h"
#include "client/lib/possession.h"
#include "client/lib/sender.h"

#define SEND_FIRST (250 * MILLISECOND)
#define SEND_LONGEST (1 * SECOND)
#define UNREACHABLE (5 * SECOND) /* before the first WELCOME; after it only time counts */
#define HASH_SLICES 4		 /* pieces hashed in one call */
#define RECEIVE_BATCHES 8	 /* read in one call */
#define REPORT_EVERY (100 * MILLISECOND)
#define PROOF_FIRST (100 * MILLISECOND) /* between proofs; doubles */
#define PROOF_LONGEST (2 * SECOND)

/* The next SEND at `when`, but not before the relay allows it. */
static void send_plan(struct ow_sender *s, uint64_t when)
{
	s->send_at = when > s->busy_until ? when : s->busy_until;
}

static void busy_take(struct ow_sender *s, uint32_t retry_after, uint64_t now)
{
	s->busy_until = now + retry_after * MILLISECOND;
	send_plan(s, s->send_at);
}

/* When it is given up. */
static uint64_t sender_deadline(const struct ow_sender *s)
{
	return earlier(s->moved + s->patience, s->limit);
}

/* ---- what comes in ---- */

bool sender_stored(const struct ow_sender *s)
{
	return s->seen &
	       (1U << STATUS_STORED | 1U << STATUS_SERVING_PRIVATE | 1U << STATUS_SERVING_CENTRAL);
}

/* Delivered and stored are two facts, which come in any order. */
static bool sender_over(const struct ow_sender *s)
{
	return s->delivered && sender_stored(s);
}

/* A name that cannot be decrypted is not from our target. */
static void target_name_take(struct ow_sender *s, const struct status *st)
{
	const struct content *content = input_content(&s->blob);
	uint8_t plain[META_MAX];
	const uint8_t *name = st->name;
	int len = st->name_len;

	if (len > 0 && content != NULL) {
		len = meta_open(content, name, (size_t)len, plain);
		name = plain;
	}
	if (len > 0)
		name_sanitise(name, (size_t)len, &s->id, s->target_name);
}

static void delivered_take(struct ow_sender *s, const struct status *st)
{
	uint8_t digest[8];

	target_name_take(s, st);
	meta_digest(s->meta, s->meta_len, digest);
	s->renamed = memcmp(digest, st->meta_digest, sizeof(digest)) != 0;
	s->delivered = true;
	s->delivered_bytes = s->blob.length;
}

/* Is the newest challenge without its answer? */
static bool proof_due(const struct ow_sender *s)
{
	return s->challenged && (!s->proved || memcmp(&s->proof.challenge, &s->challenge,
						      sizeof(s->challenge)) != 0);
}

/* The SEND with the proof goes at once, but not over and over. */
static void challenge_take(struct ow_sender *s, const struct challenge *c, uint64_t now)
{
	s->challenged = true;
	s->challenge = *c;
	if (proof_due(s))
		send_plan(s, s->prove_at > now ? s->prove_at : now);
}

/* What it says that it has must be a beginning. */
static void kept_take(struct ow_sender *s, const struct status *st)
{
	if (st->bytes > 0 && st->bytes < s->blob.length && st->bytes % CHUNK_SIZE == 0)
		prefix_ask(&s->prefix, st->challenge, (uint32_t)(st->bytes / CHUNK_SIZE));
}

/* What may pass does not end a transfer that had begun. */
static int refusal_take(struct ow_sender *s, uint8_t reason, uint64_t now)
{
	const uint32_t begun = 1U << STATUS_UPLOAD | 1U << STATUS_STORED |
			       1U << STATUS_SERVING_PRIVATE | 1U << STATUS_SERVING_CENTRAL |
			       1U << STATUS_DELIVERING;
	const bool passes = reason == REFUSE_TARGET_UNREACHABLE || reason == REFUSE_STORE_FULL ||
			    reason == REFUSE_BUSY || reason == REFUSE_INTERNAL;

	if (s->delivered)
		return sender_unkept(s, reason);
	if (!passes || !(s->seen & begun))
		return sender_refused(s, reason);
	s->obstacle = reason;
	send_plan(s, now + SEND_LONGEST);
	return 0;
}

static int status_take(struct ow_sender *s, const struct frame *f, uint64_t now)
{
	struct status st;

	if (status_decode(f, &st) != DROP_NONE || st.leg != 0 ||
	    memcmp(st.transfer, s->transfer, TRANSFER_SIZE) != 0)
		return 0;
	s->here = (struct moved){.addr = s->relay.seen, .cookie = s->relay.cookie};
	s->here_conn = s->relay.conn;
	if (!(s->seen & 1U << st.code))
		s->moved = now;
	s->seen |= 1U << st.code;
	if (st.code != s->newest) /* something happens: ask again sooner */
		s->send_wait = SEND_FIRST;
	s->newest = st.code;
	send_plan(s, now + s->send_wait);
	if (st.retry_after != 0)
		busy_take(s, st.retry_after, now);
	if (st.code == STATUS_CHALLENGE)
		challenge_take(s, st.challenge, now);
	if (st.code == STATUS_UPLOAD && st.challenge != NULL)
		kept_take(s, &st);
	if (st.code == STATUS_DELIVERED)
		delivered_take(s, &st);
	if (st.code == STATUS_DELIVERING && st.bytes <= s->blob.length &&
	    st.bytes > s->delivered_bytes) {
		s->delivered_bytes = st.bytes;
		s->moved = now;
	}
	if (st.code == STATUS_REFUSED)
		return refusal_take(s, st.reason, now);
	return 0;
}

static int pull_take(struct ow_sender *s, const struct frame *f)
{
	struct pull p;

	if (s->hash != NULL || pull_decode(f, &p) != DROP_NONE || !p.upload || p.rule != s->rule ||
	    p.length != s->blob.length || !ident_equal(p.id, &s->id))
		return 0;
	if (input_changed(&s->blob))
		return sender_changed(s);
	s->prefix.pulled |= p.first < s->prefix.chunks;
	s->kept = s->prefix.vouched && !s->prefix.pulled ? (uint64_t)s->prefix.chunks * CHUNK_SIZE
							 : 0;
	if (outgoing_pull(&s->upload, &s->blob, &p) < 0)
		return fault_set(&s->fault, OW_FAILED, "out of memory");
	return 0;
}

static int error_take(struct ow_sender *s, const struct frame *f, uint64_t now)
{
	struct error e;

	if (error_decode(f, &e) != DROP_NONE)
		return 0;
	if (e.code == ERROR_KEY)
		return sender_key_refused(s);
	if (e.code == ERROR_STALE)
		contact_ask(&s->relay, now);
	if (e.code == ERROR_BUSY)
		busy_take(s, e.retry_after, now);
	return 0;
}

/* The relay may send to one version of IP alone. */
static bool target_choose(struct ow_sender *s)
{
	if (s->target.type == s->relay.addr.type)
		return true;
	if (s->targets.host[0].addr.type != s->relay.addr.type &&
	    !hosts_next(&s->targets, s->relay.addr.type) && !s->relay.both_ip)
		return false;
	s->target = s->targets.host[s->targets.at].addr;
	return true;
}

/* Of what will be sent; also before it is encrypted. */
static uint64_t sender_length(const struct ow_sender *s)
{
	return s->encrypt != 0 ? content_sealed_length(s->blob.file_length) : s->blob.length;
}

static int welcome_take(struct ow_sender *s, const struct frame *f, const struct addr *from,
			uint64_t now)
{
	if (!contact_welcome(&s->relay, f, from, now))
		return s->relay.foreign != 0 ? sender_foreign(s) : 0;
	if (s->relay.central != (s->via == OW_VIA_CENTRAL))
		return sender_misnamed(s);
	if (!target_choose(s))
		return sender_no_family(s);
	if (!welcome_takes(s->relay.longest, sender_length(s)))
		return sender_too_long(s);
	s->unanswered = 0;
	if (!s->begun)
		s->moved = now;
	s->begun = true;
	send_plan(s, now);
	return 0;
}

/* What a member cannot believe is dropped. */
static void unverified_take(struct ow_sender *s, const struct frame *f, uint64_t now)
{
	struct error e;

	if (f->verb == VERB_ERROR && error_decode(f, &e) == DROP_NONE && e.code == ERROR_KEY)
		contact_doubt(&s->relay, now);
}

static int frame_take(struct ow_sender *s, const struct udp_datagram *d, uint64_t now)
{
	const struct addr *from = d->from;
	struct frame f;

	if (frame_parse(d->bytes, d->len, &f) != DROP_NONE)
		return 0;
	if (f.verb == VERB_WELCOME) {
		return welcome_take(s, &f, from, now);
	}
	if (!s->relay.known || !contact_owns(&s->relay, from, f.conn))
		return 0;
	if (!contact_verified(&s->relay, &f)) {
		unverified_take(s, &f, now);
		return 0;
	}
	s->relay.heard = now;
	s->unanswered = 0;
	switch (f.verb) {
	case VERB_STATUS:
		return status_take(s, &f, now);
	case VERB_PULL:
		return pull_take(s, &f);
	case VERB_ERROR:
		return error_take(s, &f, now);
	default:
		return 0;
	}
}

static int frames_take(struct ow_sender *s, uint64_t now)
{
	uint32_t batch, n, i;
	int ret;

	for (batch = 0; batch < RECEIVE_BATCHES; batch++) {
		n = udp_receive(&s->udp, s->rx);
		for (i = 0; i < n && !sender_over(s); i++) {
			ret = frame_take(s, &s->rx->datagram[i], now);
			if (ret < 0)
				return ret;
		}
		if (!s->rx->more)
			break;
	}
	return 0;
}

/* ---- what is due ---- */

/* All of the file is hashed, which gives the content key; next, the ciphertext. */
static int ciphertext_begin(struct ow_sender *s)
{
	int ret;

	s->hash = ident_begin(s->rule);
	if (s->hash == NULL)
		return fault_set(&s->fault, OW_FAILED, "out of memory");
	s->hashed_before = s->hashed;
	s->hashed = 0;
	ret = sender_encrypt_shared(s, &s->id);
	prefix_pass(&s->prefix, s->blob.length);
	return ret;
}

static int hash_run(struct ow_sender *s, uint64_t now)
{
	const uint8_t *bytes;
	uint64_t rest;
	uint32_t i;

	for (i = 0; i < HASH_SLICES && s->hashed < s->blob.length; i++) {
		rest = s->blob.length - s->hashed;
		if (rest > INPUT_PIECE)
			rest = INPUT_PIECE;
		bytes = input_read(&s->blob, s->hashed, rest);
		if (bytes == NULL)
			return sender_unreadable(s, errno);
		ident_update(s->hash, bytes, rest);
		s->hashed += rest;
		prefix_mark(&s->prefix, s->hash, s->hashed);
	}
	s->moved = now;
	if (s->hashed < s->blob.length)
		return 0;
	if (input_changed(&s->blob))
		return sender_changed(s);
	ident_final(s->hash, &s->id);
	ident_free(s->hash);
	s->hash = NULL;
	if (s->encrypt != 0 && !s->has_sealed)
		return ciphertext_begin(s);
	s->send_wait = SEND_FIRST;
	s->send_at = 0;
	return 0;
}

/* Answers the newest challenge. */
static int proof_run(struct ow_sender *s, uint64_t now)
{
	int ret;

	if (input_changed(&s->blob))
		return sender_changed(s);
	ret = possession_prove(&s->blob, &s->id, &s->challenge, &s->proof);
	if (ret < 0)
		return sender_unreadable(s, -ret);
	s->proved = true;
	s->prove_wait =
		s->prove_wait == 0 ? PROOF_FIRST : earlier(s->prove_wait * 2, PROOF_LONGEST);
	s->prove_at = now + s->prove_wait;
	return 0;
}

/* Vouches for what a relay kept, at once; to read it is progress, once. */
static int prefix_turn(struct ow_sender *s, uint64_t now)
{
	const uint64_t most = s->prefix.most;
	const int ret = prefix_run(&s->prefix, &s->blob, s->rule, now);

	if (ret < 0)
		return sender_unreadable(s, -ret);
	if (s->prefix.most > most)
		s->moved = now;
	if (ret > 0 && input_changed(&s->blob))
		return sender_changed(s);
	if (ret > 0)
		send_plan(s, now);
	return 0;
}

/* The relay knows the transfer under an address that is not ours any more. */
static bool sender_has_moved(const struct ow_sender *s)
{
	return s->here_conn == s->relay.conn && !addr_equal(&s->here.addr, &s->relay.seen);
}

static void send_emit(struct ow_sender *s, uint64_t now)
{
	struct send sd = {
		.cookie = &s->relay.cookie,
		.transfer = s->transfer,
		.id = &s->id,
		.target = &s->target,
		.meta = s->meta,
		.meta_len = s->meta_len,
		.rule = s->rule,
		.deadline = (uint32_t)earlier((sender_deadline(s) - now + SECOND - 1) / SECOND,
					      DEADLINE_MAX),
		.length = s->blob.length,
		.proof = s->proved ? &s->proof : NULL,
		.vouch = s->prefix.vouched ? &s->prefix.vouch : NULL,
		.moved = sender_has_moved(s) ? &s->here : NULL,
		.sealed_key = s->has_sealed ? s->sealed_key : NULL,
	};
	uint8_t *buf = udp_slot(&s->udp, s->tx);

	contact_commit(
		&s->relay, &s->udp, s->tx, buf,
		send_encode(buf, WIRE_MAX_FRAME, contact_key(&s->relay), s->relay.conn, &sd));
	s->unanswered++;
	send_plan(s, now + s->send_wait);
	s->send_wait = earlier(s->send_wait * 2, SEND_LONGEST);
}

/* Of several addresses of one relay the first that answers is the one. */
static void relay_try_next(struct ow_sender *s, uint64_t now)
{
	const struct host_addr *next;

	if (s->relay.known || !s->relay.asking ||
	    (s->udp.error == 0 && now - s->relay.asked_since < HOST_PATIENCE_US) ||
	    !hosts_next(&s->relays, ADDR_NONE))
		return;
	next = &s->relays.host[s->relays.at];
	s->udp.zone = next->zone;
	s->udp.error = 0;
	contact_init(&s->relay, &next->addr, s->relay.member);
	contact_ask(&s->relay, now);
}

static int timers_run(struct ow_sender *s, uint64_t now)
{
	uint64_t distinct = s->upload.distinct;
	int ret;

	if (now >= sender_deadline(s))
		return sender_late(s, now);
	relay_try_next(s, now);
	if (!s->begun && s->relay.asking && now - s->relay.asked_since >= UNREACHABLE)
		return sender_unreachable(s);
	if (contact_refused(&s->relay, now))
		return sender_key_refused(s);
	if (s->relay.known && s->hash == NULL) {
		if (now >= prefix_due(&s->prefix) && prefix_turn(s, now) < 0)
			return s->fault.code;
		if (now >= s->send_at && proof_due(s) && proof_run(s, now) < 0)
			return s->fault.code;
		if (now >= s->send_at)
			send_emit(s, now);
		if (s->unanswered > 2 || now >= s->relay.refresh_at) /* two timeouts */
			contact_ask(&s->relay, now);
	}
	contact_tick(&s->relay, &s->udp, s->tx, now);
	ret = outgoing_run(&s->upload, &s->blob, &s->udp, &s->relay, now);
	if (ret < 0)
		return sender_unreadable(s, -ret);
	if (s->upload.distinct > distinct)
		s->moved = now;
	return 0;
}

uint64_t sender_due(const struct ow_sender *s)
{
	uint64_t due = earlier(sender_deadline(s), contact_due(&s->relay));

	if (s->fault.code != OW_OK || sender_over(s) || s->hash != NULL)
		return 0;
	if (s->relay.known)
		due = earlier(due, earlier(s->send_at, prefix_due(&s->prefix)));
	else if (s->relays.at + 1 < s->relays.count)
		due = earlier(due, s->relay.asked_since + HOST_PATIENCE_US);
	return earlier(due, outgoing_due(&s->upload));
}

/* ---- progress ---- */

static void phase_report(struct ow_sender *s, uint8_t phase, uint64_t bytes, uint64_t total,
			 uint64_t now)
{
	bool finished = bytes == total;

	if (phase == s->phase &&
	    (bytes == s->reported || (now - s->reported_at < REPORT_EVERY && !finished)))
		return;
	s->phase = phase;
	s->reported = bytes;
	s->reported_at = now;
	s->progress(s->ctx, phase, bytes, total);
}

/* What the relay has of it. */
static uint64_t sender_brought(const struct ow_sender *s)
{
	return earlier(s->kept + s->upload.distinct, s->blob.length);
}

/* The relay has all of it, and for a second the target was not heard of. */
static bool sender_waits(struct ow_sender *s, uint64_t now)
{
	const bool serving =
		s->seen & (1U << STATUS_SERVING_PRIVATE | 1U << STATUS_SERVING_CENTRAL);

	if (s->delivered || s->delivered_bytes > 0 ||
	    (!serving && sender_brought(s) < s->blob.length) || s->blob.length == 0)
		return false;
	if (s->waits_since == 0)
		s->waits_since = now;
	return now - s->waits_since >= SECOND && now < sender_deadline(s);
}

static void progress_report(struct ow_sender *s, uint64_t now)
{
	if (s->progress == NULL)
		return;
	if (s->phase < OW_UPLOADING)
		phase_report(s, OW_HASHING, s->hashed_before + s->hashed, s->hash_total, now);
	if (s->hash != NULL)
		return;
	if (s->upload.distinct > 0 && s->phase < OW_WAITING)
		phase_report(s, OW_UPLOADING, sender_brought(s), s->blob.length, now);
	if (sender_waits(s, now))
		phase_report(s, OW_WAITING, (now - s->moved) / MILLISECOND,
			     (sender_deadline(s) - s->moved) / MILLISECOND, now);
	if (s->delivered_bytes > 0 || s->delivered)
		phase_report(s, OW_DELIVERING, s->delivered_bytes, s->blob.length, now);
}

/* ---- the handle ---- */

static int sender_turn(struct ow_sender *s, uint64_t now)
{
	int ret;

	ret = frames_take(s, now);
	if (ret == 0 && s->hash != NULL)
		ret = hash_run(s, now);
	if (ret == 0 && !sender_over(s))
		ret = timers_run(s, now);
	udp_flush(&s->udp, s->tx);
	return ret;
}

int sender_run(struct ow_sender *s)
{
	uint64_t now = clock_now(), stopped = clock_stopped(s->wanted, now);

	if (s->fault.code == OW_OK && !sender_over(s)) {
		s->moved += stopped;
		if (s->relay.asking)
			s->relay.asked_since += stopped;
		sender_turn(s, now);
		progress_report(s, now);
		s->finished = now;
		s->wanted = later(sender_due(s), now);
	}
	if (s->fault.code != OW_OK)
		return s->fault.code;
	return sender_over(s) ? OW_OK : OW_AGAIN;
}

int ow_sender_process(struct ow_sender *s)
{
	int ret = sender_run(s);

	wait_arm(&s->wait, sender_due(s), clock_now());
	return ret;
}

void ow_sender_result(const struct ow_sender *s, struct ow_send_result *r)
{
	memset(r, 0, sizeof(*r));
	if (s->hash == NULL && s->finished != 0)
		ident_hex(&s->id, r->id);
	r->bytes = s->blob.file_length;
	r->outcome = sender_outcome(s);
	r->delivered = s->delivered;
	r->stored = sender_stored(s);
	r->renamed = s->renamed;
	memcpy(r->target_name, s->target_name, sizeof(r->target_name));
	r->uploaded_bytes = s->upload.distinct;
	r->kept_bytes = s->kept;
	r->repeated_bytes = s->upload.repeated;
	if (s->finished != 0)
		r->seconds = (double)(s->finished - s->opened) / SECOND;
}
