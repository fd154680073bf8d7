/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include "client/clock.h"
#include "client/sender.h"

#define SEND_FIRST (250 * MILLISECOND)
#define SEND_LONGEST (1 * SECOND)
#define UNREACHABLE_AT_FIRST (5 * SECOND) /* before the first WELCOME */
#define UNREACHABLE_LATER (10 * SECOND)	  /* after it: a relay may restart */
#define HASH_SLICES 4			  /* pieces hashed in one call */
#define RECEIVE_BATCHES 8		  /* read in one call */
#define REPORT_EVERY (100 * MILLISECOND)

static bool status_seen(const struct ow_sender *s, uint8_t code)
{
	return s->seen & 1U << code;
}

/* ---- how it ends ---- */

static int changed_fault(struct ow_sender *s)
{
	return fault_set(&s->fault, OW_CHANGED,
			 "the file was changed while it was being sent; send it again when "
			 "nothing writes to it");
}

static int unreachable_fault(struct ow_sender *s)
{
	char text[ADDR_TEXT_MAX];

	return fault_set(&s->fault, OW_UNREACHABLE,
			 "relay %s does not answer%s%s%s; check the address, that oncewired runs "
			 "there and that UDP to it is allowed",
			 addr_text(&s->relay.asked, text), s->udp.error != 0 ? " (" : "",
			 s->udp.error != 0 ? strerror(s->udp.error) : "",
			 s->udp.error != 0 ? ")" : "");
}

static int deadline_fault(struct ow_sender *s)
{
	char relay[ADDR_TEXT_MAX], target[ADDR_TEXT_MAX];
	double seconds = (double)(s->deadline - s->opened) / SECOND;

	if (s->hash != NULL)
		return fault_set(&s->fault, OW_UNCONFIRMED,
				 "hashing was not finished after %g s; allow more time", seconds);
	if (!s->relay.known || s->seen == 0)
		return unreachable_fault(s);
	addr_text(&s->relay.addr, relay);
	addr_text(&s->target, target);
	if (s->newest == STATUS_UPLOAD || s->newest == STATUS_WAITING)
		return fault_set(&s->fault, OW_UNCONFIRMED,
				 "the upload to relay %s was not finished after %g s; allow more "
				 "time",
				 relay, seconds);
	return fault_set(&s->fault, OW_UNCONFIRMED,
			 "target %s did not confirm within %g s; check that `oncewire recv` runs "
			 "there and that relay %s reaches it",
			 target, seconds, relay);
}

/* Statuses may be lost; what was uploaded is known for certain. A blob of no
 * bytes has no upload, but a relay that stored it says so. */
static int outcome(const struct ow_sender *s)
{
	bool uploaded = s->upload.distinct > 0 ||
			(s->blob.length == 0 &&
			 (status_seen(s, STATUS_STORED) || status_seen(s, STATUS_UPLOAD)));

	if (!s->delivered)
		return OW_NONE;
	if (s->via == OW_VIA_CENTRAL)
		return uploaded ? OW_UPLOADED_CENTRAL : OW_DIRECT_HIT;
	if (uploaded)
		return OW_UPLOADED_PRIVATE;
	/* Without an upload, all that keeps a private relay working is its question
	 * to the central one. */
	if (status_seen(s, STATUS_SERVING_CENTRAL) ||
	    (status_seen(s, STATUS_WORKING) && !status_seen(s, STATUS_SERVING_PRIVATE) &&
	     !status_seen(s, STATUS_WAITING)))
		return OW_CENTRAL_HIT;
	return OW_PRIVATE_HIT;
}

const char *ow_outcome_name(int value)
{
	static const char *const names[] = {
		[OW_PRIVATE_HIT] = "private-hit",	    [OW_CENTRAL_HIT] = "central-hit",
		[OW_UPLOADED_PRIVATE] = "uploaded-private", [OW_DIRECT_HIT] = "direct-hit",
		[OW_UPLOADED_CENTRAL] = "uploaded-central",
	};

	return value > 0 && value < (int)(sizeof(names) / sizeof(names[0])) ? names[value] : NULL;
}

/* ---- what comes in ---- */

static void delivered_take(struct ow_sender *s, const struct status *st)
{
	uint8_t digest[8];

	meta_digest(s->meta, s->meta_len, digest);
	s->renamed = memcmp(digest, st->meta_digest, sizeof(digest)) != 0;
	s->delivered = true;
	s->delivered_bytes = s->blob.length;
}

static int status_take(struct ow_sender *s, const struct frame *f, uint64_t now)
{
	struct status st;

	if (status_decode(f, &st) != DROP_NONE || st.leg != 0 ||
	    memcmp(st.transfer, s->transfer, TRANSFER_SIZE) != 0)
		return 0;
	s->seen |= 1U << st.code;
	if (st.code != s->newest) /* something happens: ask again sooner */
		s->send_wait = SEND_FIRST;
	s->newest = st.code;
	s->send_at = now + s->send_wait;
	if (st.retry_after != 0)
		s->send_at = now + st.retry_after * MILLISECOND;
	if (st.code == STATUS_DELIVERED)
		delivered_take(s, &st);
	if (st.code == STATUS_DELIVERING && st.bytes <= s->blob.length &&
	    st.bytes > s->delivered_bytes)
		s->delivered_bytes = st.bytes;
	if (st.code == STATUS_REFUSED)
		return fault_set(&s->fault, OW_REFUSED, "refused: %s", refuse_text(st.reason));
	return 0;
}

static int pull_take(struct ow_sender *s, const struct frame *f)
{
	struct pull p;

	if (s->hash != NULL || pull_decode(f, &p) != DROP_NONE || !p.upload || p.rule != s->rule ||
	    p.length != s->blob.length || !ident_equal(p.id, &s->id))
		return 0;
	if (blob_changed(&s->blob))
		return changed_fault(s);
	if (upload_pull(&s->upload, &s->blob, &p) < 0)
		return fault_set(&s->fault, OW_FAILED, "out of memory");
	return 0;
}

static void error_take(struct ow_sender *s, const struct frame *f, uint64_t now)
{
	struct error e;

	if (error_decode(f, &e) != DROP_NONE)
		return;
	if (e.code == ERROR_STALE)
		peer_ask(&s->relay, now);
	if (e.code == ERROR_BUSY && e.retry_after != 0)
		s->send_at = now + e.retry_after * MILLISECOND;
}

static int frame_take(struct ow_sender *s, const uint8_t *data, size_t len, const struct addr *from,
		      uint64_t now)
{
	struct frame f;

	if (frame_parse(data, len, &f) != DROP_NONE)
		return 0;
	if (f.verb == VERB_WELCOME) {
		if (peer_welcome(&s->relay, &f, from, now)) {
			s->unanswered = 0;
			s->send_at = now;
		}
		return 0;
	}
	if (!s->relay.known || !peer_owns(&s->relay, from, f.conn))
		return 0;
	s->relay.heard = now;
	s->unanswered = 0;
	switch (f.verb) {
	case VERB_STATUS:
		return status_take(s, &f, now);
	case VERB_PULL:
		return pull_take(s, &f);
	case VERB_ERROR:
		error_take(s, &f, now);
		return 0;
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
		for (i = 0; i < n && !s->delivered; i++) {
			ret = frame_take(s, s->rx->data[i], s->rx->len[i], &s->rx->from[i], now);
			if (ret < 0)
				return ret;
		}
		if (n < UDP_BATCH)
			break;
	}
	return 0;
}

/* ---- what is due ---- */

static int hash_run(struct ow_sender *s)
{
	const uint8_t *bytes;
	uint64_t rest;
	uint32_t i;

	for (i = 0; i < HASH_SLICES && s->hashed < s->blob.length; i++) {
		rest = s->blob.length - s->hashed;
		if (rest > BLOB_PIECE)
			rest = BLOB_PIECE;
		bytes = blob_read(&s->blob, s->hashed, rest);
		if (bytes == NULL)
			return blob_changed(&s->blob)
				       ? changed_fault(s)
				       : fault_set(&s->fault, OW_FAILED, "cannot read the file: %s",
						   strerror(errno));
		ident_update(s->hash, bytes, rest);
		s->hashed += rest;
	}
	if (s->hashed < s->blob.length)
		return 0;
	if (blob_changed(&s->blob))
		return changed_fault(s);
	ident_final(s->hash, &s->id);
	ident_free(s->hash);
	s->hash = NULL;
	s->send_wait = SEND_FIRST;
	s->send_at = 0;
	return 0;
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
		.deadline = (uint32_t)((s->deadline - now + SECOND - 1) / SECOND),
		.length = s->blob.length,
	};
	uint8_t *buf = udp_slot(&s->udp, s->tx);

	udp_commit(&s->udp, s->tx, &s->relay.addr,
		   send_encode(buf, WIRE_MAX_FRAME, 0, s->relay.conn, &sd));
	s->unanswered++;
	s->send_at = now + s->send_wait;
	s->send_wait = earlier(s->send_wait * 2, SEND_LONGEST);
}

static int timers_run(struct ow_sender *s, uint64_t now)
{
	uint64_t patience = s->relay.known ? UNREACHABLE_LATER : UNREACHABLE_AT_FIRST;
	int ret;

	if (now >= s->deadline)
		return deadline_fault(s);
	if (s->relay.asking && now - s->relay.asked_since >= patience &&
	    (!s->relay.known || now - s->relay.heard >= patience))
		return unreachable_fault(s);
	if (s->relay.known && s->hash == NULL) {
		if (now >= s->send_at)
			send_emit(s, now);
		if (s->unanswered > 2 || now >= s->relay.refresh_at) /* two timeouts */
			peer_ask(&s->relay, now);
	}
	peer_tick(&s->relay, &s->udp, s->tx, now);
	ret = upload_run(&s->upload, &s->blob, &s->udp, &s->relay, now);
	if (ret < 0)
		return blob_changed(&s->blob)
			       ? changed_fault(s)
			       : fault_set(&s->fault, OW_FAILED, "cannot read the file: %s",
					   strerror(-ret));
	return 0;
}

uint64_t sender_due(const struct ow_sender *s)
{
	uint64_t due = earlier(s->deadline, peer_due(&s->relay));

	if (s->fault.code != OW_OK || s->delivered || s->hash != NULL)
		return 0;
	if (s->relay.known)
		due = earlier(due, s->send_at);
	return earlier(due, upload_due(&s->upload));
}

/* ---- progress ---- */

static void phase_report(struct ow_sender *s, uint8_t phase, uint64_t bytes, uint64_t now)
{
	bool finished = bytes == s->blob.length;

	if (phase == s->phase &&
	    (bytes == s->reported || (now - s->reported_at < REPORT_EVERY && !finished)))
		return;
	s->phase = phase;
	s->reported = bytes;
	s->reported_at = now;
	s->progress(s->ctx, phase, bytes, s->blob.length);
}

static void progress_report(struct ow_sender *s, uint64_t now)
{
	if (s->progress == NULL)
		return;
	if (s->phase < OW_UPLOADING)
		phase_report(s, OW_HASHING, s->hashed, now);
	if (s->hash != NULL)
		return;
	if (s->upload.distinct > 0 && s->phase < OW_DELIVERING)
		phase_report(s, OW_UPLOADING, s->upload.distinct, now);
	if (s->delivered_bytes > 0 || s->delivered)
		phase_report(s, OW_DELIVERING, s->delivered_bytes, now);
}

/* ---- the handle ---- */

static int sender_run(struct ow_sender *s, uint64_t now)
{
	int ret;

	ret = frames_take(s, now);
	if (ret == 0 && s->hash != NULL)
		ret = hash_run(s);
	if (ret == 0 && !s->delivered)
		ret = timers_run(s, now);
	udp_flush(&s->udp, s->tx);
	return ret;
}

int ow_sender_process(struct ow_sender *s)
{
	uint64_t now = clock_now();

	if (s->fault.code == OW_OK && !s->delivered) {
		sender_run(s, now);
		progress_report(s, now);
		s->finished = now;
	}
	if (s->fault.code != OW_OK)
		return s->fault.code;
	return s->delivered ? OW_OK : OW_AGAIN;
}

void ow_sender_result(const struct ow_sender *s, struct ow_send_result *r)
{
	memset(r, 0, sizeof(*r));
	if (s->hash == NULL && s->finished != 0)
		ident_hex(&s->id, r->id);
	r->bytes = s->blob.length;
	r->outcome = outcome(s);
	r->delivered = s->delivered;
	r->renamed = s->renamed;
	r->uploaded_bytes = s->upload.distinct;
	r->repeated_bytes = s->upload.repeated;
	if (s->finished != 0)
		r->seconds = (double)(s->finished - s->opened) / SECOND;
}
