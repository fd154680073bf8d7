/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/scene_frames.h"

struct scene_about about;

size_t make_listen(struct person *p, const struct cookie *c, uint8_t *buf)
{
	const struct listen l = {.cookie = c, .number = 1, .seconds = 60};

	return listen_encode(buf, WIRE_MAX_FRAME, box_field(p->domain), p->conn, &l);
}

size_t make_stop(struct person *p, const struct cookie *c, uint8_t *buf)
{
	const struct stop stop = {.cookie = c, .number = 2};

	return stop_encode(buf, WIRE_MAX_FRAME, box_field(p->domain), p->conn, &stop);
}

size_t make_send(struct person *p, const struct cookie *c, uint8_t *buf)
{
	static const uint8_t meta[META_MAX];
	uint8_t transfer[TRANSFER_SIZE];
	const struct send send = {
		.cookie = c,
		.transfer = transfer,
		.id = about.id,
		.target = &about.target,
		.meta = meta,
		.meta_len = about.meta_len,
		.proof = about.proof,
		.vouch = about.vouch,
		.moved = about.moved,
		.rule = RULE_SHA256,
		.deadline = about.deadline != 0 ? about.deadline : 60,
		.length = about.length,
	};

	memset(transfer, about.transfer + 1, sizeof(transfer));
	return send_encode(buf, WIRE_MAX_FRAME, box_field(p->domain), p->conn, &send);
}

size_t make_pull(struct person *p, const struct cookie *c, uint8_t *buf)
{
	const struct pull pull = {
		.cookie = c,
		.echo = &about.echo,
		.ticket = &about.ticket,
		.id = about.id,
		.rule = RULE_SHA256,
		.stream = 1,
		.number = 1,
		.first = about.first,
		.mask = about.first > 0 ? 1 : (1u << chunk_count(about.length)) - 1,
		.length = about.length,
		.attempt = about.attempt,
	};

	return pull_encode(buf, WIRE_MAX_FRAME, box_field(p->domain), p->conn, &pull);
}

size_t make_receipt(struct person *p, const struct cookie *c, uint8_t *buf)
{
	static const uint8_t digest[8];
	const struct receipt receipt = {
		.cookie = c,
		.id = about.id,
		.meta_digest = digest,
		.ticket = &about.ticket,
		.code = RECEIPT_COMPLETE,
		.rule = RULE_SHA256,
		.length = about.length,
		.bytes = about.length,
	};

	return receipt_encode(buf, WIRE_MAX_FRAME, box_field(p->domain), p->conn, &receipt);
}

size_t make_unknown(struct person *p, const struct cookie *c, uint8_t *buf)
{
	struct wire_header *h = (struct wire_header *)buf;

	*h = (struct wire_header){
		.version = WIRE_VERSION,
		.verb = VERB_COUNT,
		.key = put32(box_field(p->domain)),
		.conn = put64(p->conn),
	};
	memcpy(h + 1, c, sizeof(*c));
	return sizeof(*h) + sizeof(*c);
}

void about_ticket(struct scene *s, struct person *source, const struct addr *home, uint32_t seconds)
{
	source->proven = true;
	about.ticket = (struct ticket){
		.expiry = put32((uint32_t)box_seconds() + seconds),
		.key = put32(box_field(source->domain)),
		.source_conn = put64(source->conn),
		.source = source->addr,
		.home = *home,
	};
	ticket_mint(scene_keys(s), &about.ticket, about.id, RULE_SHA256, about.length);
}
