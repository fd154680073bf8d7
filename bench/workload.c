/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/workload.h"

#define STREAM UINT64_C(0x6f6e6365)

/* What a SEND is recognised by: its number, then what no other SEND has. */
struct transfer {
	be32 number;
	uint8_t mark[TRANSFER_SIZE - 4];
};
static const uint8_t mark[TRANSFER_SIZE - 4] = "measurement";

/* ---- pull: one chunk, one DATA ---- */

static size_t pull_prepare(const struct conversation *s, uint8_t *buf)
{
	const struct pull p = {
		.cookie = &s->cookie,
		.echo = &s->echo,
		.ticket = &s->ticket,
		.id = &s->id,
		.rule = RULE_SHA256,
		.stream = STREAM,
		.mask = 1,
		.length = s->length,
	};

	return pull_encode(buf, WIRE_MAX_FRAME, s->key, s->conn, &p);
}

static void pull_number(const struct conversation *s, uint8_t *buf, uint32_t number)
{
	struct wire_pull *w = (struct wire_pull *)(buf + sizeof(struct wire_header));

	w->number = put32(number);
	w->echo = s->echo;
}

static enum verdict pull_verify(struct conversation *s, const uint8_t *buf, size_t len,
				uint32_t *number, uint32_t *part)
{
	struct frame f;
	struct data d;

	if (frame_parse(buf, len, &f) != DROP_NONE || f.conn != s->conn || f.verb == VERB_ERROR)
		return VERDICT_WRONG;
	if (f.verb != VERB_DATA)
		return VERDICT_STRAY;
	if (data_decode(&f, &d) != DROP_NONE || d.upload || d.stream != STREAM || d.first != 0 ||
	    d.len != s->length || memcmp(d.bytes, s->blob, d.len) != 0)
		return VERDICT_WRONG;
	s->echo = *d.echo;
	*number = d.number;
	*part = 1;
	return VERDICT_PART;
}

/* ---- send: one STATUS and one OFFER with the blob in it ---- */

#define PART_STATUS 1u
#define PART_OFFER 2u

static size_t send_prepare(const struct conversation *s, uint8_t *buf)
{
	struct transfer t;
	const struct send w = {
		.cookie = &s->cookie,
		.transfer = (const uint8_t *)&t,
		.id = &s->id,
		.target = &s->self,
		.rule = RULE_SHA256,
		.deadline = 60,
		.length = s->length,
	};

	if (OFFER_SIZE + s->length + TRAILER_SIZE > WIRE_MAX_FRAME)
		return 0; /* the OFFER could not carry the blob */
	memset(&t, 0, sizeof(t));
	memcpy(t.mark, mark, sizeof(mark));
	return send_encode(buf, WIRE_MAX_FRAME, s->key, s->conn, &w);
}

static void send_number(const struct conversation *s, uint8_t *buf, uint32_t number)
{
	struct wire_send *w = (struct wire_send *)(buf + sizeof(struct wire_header));
	be32 n = put32(number);

	(void)s;
	memcpy(w->transfer, &n, sizeof(n));
}

static enum verdict transfer_verify(const uint8_t *transfer, bool right, uint32_t *number)
{
	const struct transfer *t = (const struct transfer *)transfer;

	if (memcmp(t->mark, mark, sizeof(mark)) != 0)
		return VERDICT_STRAY;
	*number = get32(t->number);
	return right ? VERDICT_PART : VERDICT_WRONG;
}

static enum verdict status_verify(const struct conversation *s, const struct frame *f,
				  uint32_t *number)
{
	struct status t;

	if (!session_signed(s, f) || status_decode(f, &t) != DROP_NONE)
		return VERDICT_WRONG;
	return transfer_verify(t.transfer,
			       t.code == STATUS_SERVING_PRIVATE || t.code == STATUS_SERVING_CENTRAL,
			       number);
}

static enum verdict offer_verify(const struct conversation *s, const struct frame *f,
				 uint32_t *number)
{
	struct offer o;

	if (offer_decode(f, &o) != DROP_NONE)
		return VERDICT_WRONG;
	return transfer_verify(o.transfer,
			       o.has_inline && o.rule == RULE_SHA256 && o.length == s->length &&
				       ident_equal(o.id, &s->id) &&
				       memcmp(o.data, s->blob, s->length) == 0,
			       number);
}

static enum verdict send_verify(struct conversation *s, const uint8_t *buf, size_t len,
				uint32_t *number, uint32_t *part)
{
	struct frame f;

	if (frame_parse(buf, len, &f) != DROP_NONE || f.conn != s->conn || f.verb == VERB_ERROR)
		return VERDICT_WRONG;
	if (f.verb == VERB_STATUS) {
		*part = PART_STATUS;
		return status_verify(s, &f, number);
	}
	if (f.verb == VERB_OFFER) {
		*part = PART_OFFER;
		return offer_verify(s, &f, number);
	}
	return VERDICT_STRAY;
}

/* ---- echo: a datagram that comes back as it is ---- */

static size_t echo_prepare(const struct conversation *s, uint8_t *buf)
{
	if (s->length < sizeof(be32))
		return 0;
	memcpy(buf, s->blob, s->length);
	return s->length;
}

static void echo_number(const struct conversation *s, uint8_t *buf, uint32_t number)
{
	be32 n = put32(number);

	(void)s;
	memcpy(buf, &n, sizeof(n));
}

static enum verdict echo_verify(struct conversation *s, const uint8_t *buf, size_t len,
				uint32_t *number, uint32_t *part)
{
	be32 n;

	if (len != s->length || memcmp(buf + sizeof(n), s->blob + sizeof(n), len - sizeof(n)) != 0)
		return VERDICT_WRONG;
	memcpy(&n, buf, sizeof(n));
	*number = get32(n);
	*part = 1;
	return VERDICT_PART;
}

static const struct workload workloads[] = {
	{"pull", true, 1, pull_prepare, pull_number, pull_verify},
	{"send", true, PART_STATUS | PART_OFFER, send_prepare, send_number, send_verify},
	{"echo", false, 1, echo_prepare, echo_number, echo_verify},
};

const struct workload *workload_find(const char *name)
{
	for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++)
		if (strcmp(workloads[i].name, name) == 0)
			return &workloads[i];
	return NULL;
}
