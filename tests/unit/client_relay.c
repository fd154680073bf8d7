/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <time.h>

#include "client/lib/clock.h"
#include "client_relay.h"

static uint64_t unix_now(void)
{
	return (uint64_t)time(NULL);
}

static uint32_t random_next(struct relay *r)
{
	r->random = r->random * 1664525u + 1013904223u;
	return r->random >> 8;
}

/* Shall this frame be lost? */
static bool lost(struct relay *r, uint8_t verb)
{
	if (r->lose_verb == verb) {
		r->lose_verb = 0;
		return true;
	}
	return random_next(r) % 1000 < r->loss;
}

static void emit(struct relay *r, const struct addr *to, size_t len)
{
	uint8_t verb = r->tx.data[r->tx.count][1];

	if (len == 0)
		abort();
	if (!lost(r, verb))
		udp_commit(&r->udp, &r->tx, to, len);
}

static void session_of(const struct relay *r, const struct addr *member, uint64_t conn,
		       struct session *out)
{
	session_derive(r->domain, conn, r->seen != NULL ? r->seen : member, out);
}

/* Sends an answer to a client, signed if its frames have a key. */
static void answer_emit(struct relay *r, const struct addr *to, uint64_t conn, uint32_t key,
			size_t len)
{
	struct session s;

	if (key != 0 && key == r->key && !r->careless) {
		session_of(r, to, conn, &s);
		len = frame_sign(r->tx.data[r->tx.count], WIRE_MAX_FRAME, len, &s);
	}
	emit(r, to, len);
}

int socket_local(const struct udp *u, struct addr *out)
{
	struct sockaddr_in raw; /* of a socket bound to an IPv4 address */
	socklen_t len = sizeof(raw);

	if (getsockname(u->fd, (struct sockaddr *)&raw, &len) < 0 || raw.sin_family != AF_INET)
		return -1;
	*out = (struct addr){.type = ADDR_IP4};
	memcpy(&out->port, &raw.sin_port, sizeof(out->port));
	memcpy(out->ip, &raw.sin_addr, 4);
	return 0;
}

void relay_open(struct relay *r, uint32_t seed)
{
	static const uint8_t master[MASTER_KEY_SIZE] = {1, 2, 3};
	struct addr local = {.type = ADDR_IP4, .ip = {127, 0, 0, 1}};

	memset(r, 0, sizeof(*r));
	r->random = seed;
	r->serving = STATUS_SERVING_PRIVATE;
	r->rx = udp_rx_create();
	if (r->rx == NULL || udp_open(&r->udp, &local, 4 << 20) < 0 ||
	    socket_local(&r->udp, &r->addr) < 0)
		abort();
	token_ring_derive(&r->keys, master, unix_now());
}

void relay_close(struct relay *r)
{
	udp_close(&r->udp);
	free(r->rx);
	free(r->bytes);
	free(r->bits);
}

const char *relay_text(const struct relay *r, char *buf)
{
	return addr_text(&r->addr, buf);
}

static void ident_of(const void *bytes, uint64_t length, uint8_t rule, struct ident *id)
{
	struct ident_state *s = ident_begin(rule);

	ident_update(s, bytes, length);
	ident_final(s, id);
	ident_free(s);
}

void relay_store(struct relay *r, const void *bytes, uint64_t length)
{
	r->bytes = malloc(length + 1);
	memcpy(r->bytes, bytes, length);
	r->length = length;
	r->rule = RULE_SHA256;
	ident_of(bytes, length, r->rule, &r->id);
	r->stored = true;
}

static size_t status_write(struct relay *r, const struct status *st)
{
	return status_encode(udp_slot(&r->udp, &r->tx), WIRE_MAX_FRAME, r->source_key,
			     r->source_conn, st);
}

/* What somebody else would like the source to believe. */
static void status_forge(struct relay *r)
{
	struct status st = {.transfer = r->transfer, .code = STATUS_DELIVERED};
	size_t len = status_write(r, &st);
	struct session s = {{1}};

	if (r->forged_signed)
		len = frame_sign(r->tx.data[r->tx.count], WIRE_MAX_FRAME, len, &s);
	emit(r, &r->source, len);
}

static void status_emit(struct relay *r, uint8_t code, uint8_t reason, uint64_t bytes,
			const struct receipt *rc)
{
	struct status st = {.transfer = r->transfer,
			    .code = code,
			    .reason = reason,
			    .bytes = bytes,
			    .meta_digest = rc != NULL ? rc->meta_digest : NULL};
	uint32_t i;

	if (rc != NULL) {
		st.name = r->lie != NULL ? (const uint8_t *)r->lie : rc->name;
		st.name_len = r->lie != NULL ? (uint8_t)strlen(r->lie) : rc->name_len;
	}
	for (i = 0; i < r->forged; i++)
		status_forge(r);
	answer_emit(r, &r->source, r->source_conn, r->source_key, status_write(r, &st));
}

static void challenge_emit(struct relay *r, const struct challenge *c)
{
	struct status st = {.transfer = r->transfer, .code = STATUS_CHALLENGE, .challenge = c};

	r->challenges++;
	answer_emit(r, &r->source, r->source_conn, r->source_key, status_write(r, &st));
}

static struct addr target;

static void ticket_make(struct relay *r, struct ticket *t)
{
	memset(t, 0, sizeof(*t));
	memcpy(t->transfer, r->transfer, TRANSFER_SIZE);
	t->expiry = put32((uint32_t)unix_now() + 60);
	t->key = put32(r->source_key);
	t->source_conn = put64(r->source_conn);
	t->source = r->source;
	t->home = r->addr;
	ticket_mint(r->holder != NULL ? &r->holder->keys : &r->keys, t, &r->id, r->rule, r->length);
}

/* Chunks that may be pulled. */
static uint32_t available(const struct relay *r)
{
	uint32_t n = 0;

	if (r->attempt == 0)
		return 0;
	while (pullwin_has(&r->window, n) && (r->stops_at == 0 || n < r->stops_at))
		n++;
	return n;
}

void relay_offer(struct relay *r)
{
	const struct addr *to = r->lease.type != ADDR_NONE ? &r->lease : &target;
	bool leased = r->lease.type != ADDR_NONE;
	struct ticket ticket;
	struct echo echo;
	struct offer o = {.transfer = r->transfer,
			  .id = &r->id,
			  .ticket = &ticket,
			  .meta = r->meta,
			  .meta_len = r->meta_len,
			  .sealed_key = r->has_sealed ? r->sealed_key : NULL,
			  .rule = r->rule,
			  .deadline = 10,
			  .length = r->length,
			  .attempt = r->attempt,
			  .available = available(r)};

	ticket_make(r, &ticket);
	if (leased) {
		echo_mint(&r->keys, to, r->lease_conn, 0, unix_now(), &echo);
		o.echo = &echo;
	}
	if (r->holder != NULL)
		o.holder = &r->holder->addr;
	else if (leased && r->attempt == 0 && !r->hide_inline && !r->has_sealed && r->length > 0 &&
		 OFFER_SIZE + r->meta_len + 8 + r->length <= WIRE_MAX_FRAME) {
		o.has_inline = true;
		o.data = r->bytes;
		r->inlined++;
	}
	r->offers++;
	emit(r, to,
	     offer_encode(udp_slot(&r->udp, &r->tx), WIRE_MAX_FRAME, 0,
			  leased ? r->lease_conn : random_next(r), &o,
			  leased ? 0 : SEND_MIN + r->meta_len));
}

static void hello_take(struct relay *r, const struct frame *f, const struct addr *from)
{
	struct hello h;
	struct cookie cookie;
	struct echo echo;
	struct welcome w = {.cookie = &cookie,
			    .echo = &echo,
			    .seen = r->seen != NULL ? r->seen : from,
			    .self = &r->addr,
			    .longest = r->longest,
			    .lifetime = TOKEN_EPOCH_SECONDS,
			    .central = r->central};
	uint8_t *buf;
	size_t len;

	if (hello_decode(f, &h) != DROP_NONE)
		return;
	if (f->key != 0 &&
	    (h.proof == NULL || !hello_proven(r->domain, f->conn, f->key, h.nonce, h.proof)))
		return;
	w.nonce = h.nonce;
	cookie_mint(&r->keys, from, f->conn, f->key, &cookie);
	echo_mint(&r->keys, from, f->conn, f->key, unix_now(), &echo);
	buf = udp_slot(&r->udp, &r->tx);
	len = welcome_encode(buf, WIRE_MAX_FRAME, f->key, f->conn, &w);
	if (r->speaks != 0) {
		buf[0] = r->speaks;
		buf[sizeof(struct wire_header) + sizeof(struct wire_welcome) + 2] = r->speaks;
	}
	answer_emit(r, from, f->conn, f->key, len);
}

static void error_emit(struct relay *r, const struct frame *f, const struct addr *from,
		       uint8_t code, const struct pull *p)
{
	struct echo echo;
	struct error e = {.code = code, .verb = f->verb};

	if (code == ERROR_BUSY)
		e.retry_after = r->retry_after;
	if (p != NULL) {
		e.number = p->number;
		e.stream = p->stream;
	}
	if (code == ERROR_FRESH) {
		echo_mint(&r->keys, from, f->conn, f->key, unix_now(), &echo);
		e.echo = &echo;
	}
	answer_emit(r, from, f->conn, f->key,
		    error_encode(udp_slot(&r->udp, &r->tx), WIRE_MAX_FRAME, f->key, f->conn, &e));
}

static bool cookie_good(struct relay *r, const struct frame *f, const struct addr *from,
			const struct cookie *c, const struct pull *p)
{
	if (r->stale > 0) {
		r->stale--;
		error_emit(r, f, from, ERROR_STALE, p);
		return false;
	}
	return cookie_check(&r->keys, c, from, f->conn, f->key) == DROP_NONE;
}

/* Shall this SEND or LISTEN be put off? */
static bool busy(struct relay *r, const struct frame *f, const struct addr *from)
{
	if (clock_now() < r->busy_until)
		r->hasty++;
	if (r->busy == 0)
		return false;
	r->busy--;
	r->busy_until = clock_now() + r->retry_after * MILLISECOND;
	error_emit(r, f, from, ERROR_BUSY, NULL);
	return true;
}

static void listening_emit(struct relay *r, const struct frame *f, const struct addr *from,
			   uint64_t number, uint32_t seconds)
{
	struct listening l = {.number = number, .seconds = seconds};

	answer_emit(
		r, from, f->conn, f->key,
		listening_encode(udp_slot(&r->udp, &r->tx), WIRE_MAX_FRAME, f->key, f->conn, &l));
}

static void listen_take(struct relay *r, const struct frame *f, const struct addr *from)
{
	struct listen l;

	if (listen_decode(f, &l) != DROP_NONE || !cookie_good(r, f, from, l.cookie, NULL) ||
	    l.number <= r->lease_number || busy(r, f, from))
		return;
	if (f->key == 0 && r->domain != NULL) {
		error_emit(r, f, from, ERROR_KEY, NULL);
		return;
	}
	r->lease_number = l.number;
	r->lease = *from;
	r->lease_conn = f->conn;
	listening_emit(r, f, from, l.number, l.seconds);
}

static void stop_take(struct relay *r, const struct frame *f, const struct addr *from)
{
	struct stop s;

	if (stop_decode(f, &s) != DROP_NONE || !cookie_good(r, f, from, s.cookie, NULL) ||
	    s.number <= r->lease_number)
		return;
	r->lease_number = s.number;
	memset(&r->lease, 0, sizeof(r->lease));
	listening_emit(r, f, from, s.number, 0);
}

static void upload_begin(struct relay *r)
{
	r->bytes = malloc(r->length + 1);
	r->bits = calloc(1, pullwin_memory(r->length) + 8);
	pullwin_init(&r->window, r->length, r->bits, 1000, clock_now());
	r->uploading = true;
	if (r->prefix_chunks == 0)
		return;
	pulls_begin_at(&r->window.pulls, r->prefix_chunks);
	memcpy(r->bytes, r->prefix, (size_t)r->prefix_chunks * CHUNK_SIZE);
}

static void upload_end(struct relay *r)
{
	struct ident id;

	ident_of(r->bytes, r->length, r->rule, &id);
	r->uploading = false;
	if (r->unkept != 0)
		return;
	r->kept = r->attempt;
	r->attempt = 0;
	if (!ident_equal(&id, &r->id)) {
		r->refuse = REFUSE_WRONG_IDENTIFIER;
		status_emit(r, STATUS_REFUSED, r->refuse, 0, NULL);
		return;
	}
	r->stored = true;
	status_emit(r, STATUS_STORED, 0, r->length, NULL);
	if (!r->mute_offers)
		relay_offer(r);
}

/* Has the source shown that it holds the blob? */
static bool possession_shown(struct relay *r, const struct send *s)
{
	struct challenge_request q = {.source = &r->source,
				      .transfer = s->transfer,
				      .id = s->id,
				      .leg = s->leg,
				      .rule = s->rule,
				      .key = r->source_key,
				      .length = s->length};
	uint8_t bytes[PROOF_CHUNKS * CHUNK_SIZE];
	uint32_t chunk[PROOF_CHUNKS], count, len, i;
	struct challenge challenge;
	size_t size = 0;

	if (s->proof != NULL && challenge_check(&r->keys, &s->proof->challenge, &q)) {
		count = proof_pick(&s->proof->challenge, r->length, chunk);
		for (i = 0; i < count; i++, size += len) {
			len = chunk_length(r->length, chunk[i]);
			memcpy(bytes + size, r->bytes + (uint64_t)chunk[i] * CHUNK_SIZE, len);
		}
		if (proof_check(s->proof, s->id, bytes, size))
			return true;
		status_emit(r, STATUS_REFUSED, REFUSE_PROOF, 0, NULL);
		return false;
	}
	challenge_mint(&r->keys, &q, &challenge);
	challenge_emit(r, &challenge);
	return false;
}

/* Has the source said that its blob begins as what is here? */
static bool prefix_vouched(struct relay *r, const struct send *s)
{
	const struct challenge challenge = {.epoch = put16((uint16_t)r->challenges),
					    .mac = "vouch"};
	const uint64_t size = (uint64_t)r->prefix_chunks * CHUNK_SIZE;
	struct status st = {.transfer = r->transfer,
			    .code = STATUS_UPLOAD,
			    .bytes = size,
			    .challenge = &challenge};
	struct ident id;

	if (s->vouch == NULL) {
		answer_emit(r, &r->source, r->source_conn, r->source_key, status_write(r, &st));
		return false;
	}
	ident_of(r->prefix, size, r->rule, &id);
	if (memcmp(&s->vouch->challenge, &challenge, sizeof(challenge)) != 0 ||
	    !vouch_check(s->vouch, &id, r->prefix_chunks)) {
		r->unvouched++;
		r->prefix_chunks = 0;
		return true;
	}
	r->vouched++;
	return true;
}

static void send_take(struct relay *r, const struct frame *f, const struct addr *from)
{
	struct send s;
	bool careless;

	if (send_decode(f, &s) != DROP_NONE || !cookie_good(r, f, from, s.cookie, NULL) ||
	    busy(r, f, from))
		return;
	r->source = *from;
	r->source_conn = f->conn;
	r->source_key = f->key;
	memcpy(r->transfer, s.transfer, TRANSFER_SIZE);
	if (s.meta_len > 0)
		memcpy(r->meta, s.meta, s.meta_len);
	r->meta_len = s.meta_len;
	r->has_sealed = s.sealed_key != NULL;
	if (r->has_sealed)
		memcpy(r->sealed_key, s.sealed_key, SEALED_KEY_SIZE);
	target = r->to != NULL ? *r->to : *s.target;
	if (r->lies > 0) {
		r->lies--;
		careless = r->careless;
		r->careless = true;
		error_emit(r, f, from, ERROR_KEY, NULL);
		r->careless = careless;
	}
	r->sends++;
	if (r->refuse != 0) {
		status_emit(r, STATUS_REFUSED, r->refuse, 0, NULL);
	} else if (r->refuse_later != 0 && r->sends >= 2 && r->sends <= 4) {
		status_emit(r, STATUS_REFUSED, r->refuse_later, 0, NULL);
	} else if (f->key == 0 && r->domain != NULL) {
		status_emit(r, STATUS_REFUSED, REFUSE_MEMBERS_ONLY, 0, NULL);
	} else if (r->stored) {
		if (r->possession && !possession_shown(r, &s))
			return;
		r->id = *s.id;
		status_emit(r, r->first != 0 ? r->first : r->serving, 0, 0, NULL);
		r->first = 0;
		if (!r->mute_offers)
			relay_offer(r);
	} else {
		if (!r->uploading) {
			r->id = *s.id;
			r->length = s.length;
			r->rule = s.rule;
			if (r->prefix_chunks > 0 && !prefix_vouched(r, &s))
				return;
			upload_begin(r);
		}
		status_emit(r, STATUS_UPLOAD, 0, 0, NULL);
		if (r->attempt != 0)
			relay_offer(r);
		if (r->length == 0)
			upload_end(r);
	}
}

/* What comes next: another attempt, once the target has half of what is wrong of the first; or
 * the end. */
static void upload_turn(struct relay *r)
{
	if (r->wrong_until != 0 && r->partial >= r->wrong_until / 2) {
		r->wrong_until = 0;
		r->attempt++;
	}
	if (!r->uploading || !pullwin_complete(&r->window) || r->stops_at != 0 ||
	    r->wrong_until != 0)
		return;
	if (!r->streams || r->partial > 0) /* else the target's PULLs are still on their way */
		upload_end(r);
}

/* Tells that what it asks for, from a chunk on, is not here yet. */
static void later_emit(struct relay *r, const struct frame *f, const struct addr *from,
		       const struct pull *p)
{
	struct error e = {.code = ERROR_LATER,
			  .verb = VERB_PULL,
			  .number = p->number,
			  .stream = p->stream,
			  .available = available(r)};

	if (++r->laters == LATERS_MOST)
		r->stops_at = 0;
	answer_emit(r, from, f->conn, f->key,
		    error_encode(udp_slot(&r->udp, &r->tx), WIRE_MAX_FRAME, f->key, f->conn, &e));
}

static void serve(struct relay *r, const struct frame *f, const struct addr *from,
		  const struct pull *p)
{
	struct data d = {.stream = p->stream,
			 .number = p->number,
			 .partial = r->attempt != 0,
			 .available = available(r)};
	bool later = false;
	struct echo echo;
	uint32_t i;
	uint8_t *buf;

	if (r->serves_most != 0 && r->served >= r->serves_most)
		return;
	echo_mint(&r->keys, from, f->conn, f->key, unix_now(), &echo);
	d.echo = &echo;
	for (i = 0; i < 32; i++) {
		if (!(p->mask >> i & 1))
			continue;
		d.first = p->first + i;
		if (d.partial && d.first >= d.available) {
			later = true;
			break;
		}
		r->partial += d.partial;
		r->served++;
		d.len = (uint16_t)chunk_length(r->length, d.first);
		d.bytes = r->bytes + (uint64_t)d.first * CHUNK_SIZE;
		buf = udp_slot(&r->udp, &r->tx);
		data_encode(buf, WIRE_MAX_FRAME, 0, f->conn, &d);
		if (r->corrupt > 0) {
			r->corrupt--;
			buf[data_head_size(d.partial)] ^= 1;
		}
		if (d.first < r->wrong_until)
			buf[data_head_size(d.partial)] ^= 1;
		emit(r, from, data_head_size(d.partial) + d.len);
	}
	if (later)
		later_emit(r, f, from, p);
	upload_turn(r);
}

/* Has it the bytes that are wanted? */
static bool attempt_here(const struct relay *r, const struct pull *p)
{
	if (r->stored)
		return p->attempt == 0 || p->attempt == r->kept;
	return r->attempt != 0 && p->attempt == r->attempt;
}

static void pull_take(struct relay *r, const struct frame *f, const struct addr *from)
{
	struct pull p;

	if (pull_decode(f, &p) != DROP_NONE || p.upload || !cookie_good(r, f, from, p.cookie, &p))
		return;
	r->mixed += p.stream == r->stream && p.attempt != r->of;
	r->stream = p.stream;
	r->of = p.attempt;
	r->unserved++;
	if (echo_check(&r->keys, p.echo, from, f->conn, f->key, unix_now()) != DROP_NONE)
		error_emit(r, f, from, ERROR_FRESH, &p);
	else if (ticket_check(&r->keys, p.ticket, p.id, p.rule, p.length, unix_now()) != DROP_NONE)
		error_emit(r, f, from, ERROR_TICKET, &p);
	else if (!attempt_here(r, &p) || !ident_equal(p.id, &r->id) || p.length != r->length) {
		r->gone++;
		error_emit(r, f, from, ERROR_GONE, &p);
	} else {
		r->unserved--;
		serve(r, f, from, &p);
	}
}

static void data_take(struct relay *r, const struct frame *f)
{
	const uint64_t now = clock_now();
	struct data d;

	if (data_decode(f, &d) != DROP_NONE || !d.upload)
		return;
	r->below += d.first < r->prefix_chunks;
	if (!r->uploading || pullwin_data(&r->window, d.first, d.number, now, now) != PULLWIN_NEW)
		return;
	memcpy(r->bytes + (uint64_t)d.first * CHUNK_SIZE, d.bytes, d.len);
	if (r->streams && r->attempt == 0) {
		r->attempt = random_next(r) + 1;
		relay_offer(r);
	}
	upload_turn(r);
}

static void receipt_take(struct relay *r, const struct frame *f, const struct addr *from)
{
	struct receipt rc;

	if (receipt_decode(f, &rc) != DROP_NONE || !cookie_good(r, f, from, rc.cookie, NULL) ||
	    ticket_check(&r->keys, rc.ticket, rc.id, rc.rule, rc.length, unix_now()) != DROP_NONE)
		return;
	r->receipt = rc.code;
	r->reason = rc.reason;
	/* As a NOTICE would: the ticket leads back to the source. */
	r->source = rc.ticket->source;
	r->source_conn = get64(rc.ticket->source_conn);
	r->source_key = get32(rc.ticket->key);
	memcpy(r->transfer, rc.ticket->transfer, TRANSFER_SIZE);
	if (!addr_equal(&rc.ticket->home, &r->addr))
		return;
	if (rc.code == RECEIPT_COMPLETE)
		status_emit(r, STATUS_DELIVERED, 0, rc.bytes, &rc);
	else if (rc.code == RECEIPT_REFUSED)
		status_emit(r, STATUS_REFUSED, rc.reason, rc.bytes, NULL);
	else
		status_emit(r, STATUS_DELIVERING, 0, rc.bytes, NULL);
	if (rc.code == RECEIPT_COMPLETE && r->unkept != 0)
		status_emit(r, STATUS_REFUSED, r->unkept, 0, NULL);
}

/* Are the key and the signature as they must be? HELLO has a proof instead. */
static bool key_good(struct relay *r, const struct frame *f, const struct addr *from)
{
	struct session s;

	if (f->key == 0)
		return r->domain == NULL || f->verb != VERB_DATA;
	if (f->verb == VERB_HELLO)
		return f->key == r->key;
	if (f->key != r->key) {
		error_emit(r, f, from, ERROR_KEY, NULL);
		return false;
	}
	session_of(r, from, f->conn, &s);
	if (!frame_signed(f, &s)) {
		r->unsigned_by[f->verb]++;
		return false;
	}
	r->signed_by[f->verb]++;
	return true;
}

static void frame_take(struct relay *r, const uint8_t *bytes, size_t len, const struct addr *from)
{
	struct frame f;

	if (frame_parse(bytes, len, &f) != DROP_NONE)
		abort(); /* the client sends nothing malformed */
	r->frames[f.verb]++;
	if (r->deaf || lost(r, f.verb) || !key_good(r, &f, from))
		return;
	switch (f.verb) {
	case VERB_HELLO:
		hello_take(r, &f, from);
		break;
	case VERB_LISTEN:
		listen_take(r, &f, from);
		break;
	case VERB_STOP:
		stop_take(r, &f, from);
		break;
	case VERB_SEND:
		send_take(r, &f, from);
		break;
	case VERB_PULL:
		pull_take(r, &f, from);
		break;
	case VERB_DATA:
		data_take(r, &f);
		break;
	case VERB_RECEIPT:
		receipt_take(r, &f, from);
		break;
	default:
		abort();
	}
}

static void upload_pull(struct relay *r)
{
	struct pull p = {
		.id = &r->id, .upload = true, .rule = r->rule, .stream = 77, .length = r->length};
	uint64_t now = clock_now();

	if (pullwin_deadline(&r->window) <= now)
		pullwin_tick(&r->window, now);
	while (pullwin_next(&r->window, now, &p.number, &p.first, &p.mask))
		answer_emit(r, &r->source, r->source_conn, r->source_key,
			    pull_encode(udp_slot(&r->udp, &r->tx), WIRE_MAX_FRAME, r->source_key,
					r->source_conn, &p));
}

void relay_run(struct relay *r)
{
	uint32_t n, i;

	n = udp_receive(&r->udp, r->rx);
	for (i = 0; i < n; i++)
		frame_take(r, r->rx->datagram[i].bytes, r->rx->datagram[i].len,
			   r->rx->datagram[i].from);
	if (r->uploading)
		upload_pull(r);
	udp_flush(&r->udp, &r->tx);
}
