/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/content.h"
#include "pktgen-scripts/attack.h"
#include "wire/frame.h"

static void draw(struct attack_context *c, void *out, size_t len)
{
	content_fill(mix_next(&c->random), 0, out, len);
}

/* A public or private unicast address, of nobody in particular. */
static struct packet_path path_spoof(struct attack_context *c)
{
	struct packet_path path = c->path;

	draw(c, path.from.ip, 4);
	path.from.ip[0] = (uint8_t)(16 + path.from.ip[0] % 96);
	path.from.port = put16((uint16_t)(1024 + mix_next(&c->random) % 60000));
	return path;
}

static size_t hello_frame(struct attack_context *c, uint8_t *buf)
{
	const struct hello h = {.nonce = mix_next(&c->random)};

	return hello_encode(buf, WIRE_MAX_FRAME, 0, mix_next(&c->random), &h);
}

/* A hit's request but for its cookie: everybody may know an identifier. */
static size_t send_frame(struct attack_context *c, uint64_t conn, const struct cookie *cookie,
			 uint8_t *buf)
{
	uint8_t transfer[TRANSFER_SIZE];
	struct ident id;
	const struct send s = {
		.cookie = cookie,
		.transfer = transfer,
		.id = &id,
		.target = &c->path.from,
		.rule = RULE_SHA256,
		.deadline = DEADLINE_MAX,
		.length = CHUNK_SIZE,
	};

	draw(c, transfer, sizeof(transfer));
	draw(c, id.b, sizeof(id.b));
	return send_encode(buf, WIRE_MAX_FRAME, 0, conn, &s);
}

static size_t closed_make(struct attack_context *c, uint8_t packet[PACKET_MAX])
{
	struct packet_path path = c->path;
	uint8_t buf[WIRE_MAX_FRAME];

	path.to.port = put16((uint16_t)(get16(path.to.port) + 1));
	return packet_build(packet, &path, buf, hello_frame(c, buf));
}

static size_t garbage_make(struct attack_context *c, uint8_t packet[PACKET_MAX])
{
	uint8_t buf[HELLO_SIZE];

	draw(c, buf, sizeof(buf));
	return packet_build(packet, &c->path, buf, sizeof(buf));
}

static size_t hello_make(struct attack_context *c, uint8_t packet[PACKET_MAX])
{
	struct packet_path path = path_spoof(c);
	uint8_t buf[WIRE_MAX_FRAME];

	return packet_build(packet, &path, buf, hello_frame(c, buf));
}

static size_t cookie_make(struct attack_context *c, uint8_t packet[PACKET_MAX])
{
	struct cookie cookie;
	uint8_t buf[WIRE_MAX_FRAME];

	draw(c, &cookie, sizeof(cookie));
	cookie.epoch = put16((uint16_t)c->keys.epoch);
	return packet_build(packet, &c->path, buf,
			    send_frame(c, mix_next(&c->random), &cookie, buf));
}

/* As it was said from c->path.from, whose cookie is in it. */
static size_t replay_make(struct attack_context *c, uint8_t packet[PACKET_MAX])
{
	struct packet_path path = path_spoof(c);
	uint64_t conn = mix_next(&c->random);
	struct cookie cookie;
	uint8_t buf[WIRE_MAX_FRAME];

	cookie_mint(&c->keys, &c->path.from, conn, 0, &cookie);
	return packet_build(packet, &path, buf, send_frame(c, conn, &cookie, buf));
}

static size_t fragment_make(struct attack_context *c, uint8_t packet[PACKET_MAX])
{
	uint8_t buf[WIRE_MAX_FRAME];

	return packet_fragment(packet, packet_build(packet, &c->path, buf, hello_frame(c, buf)));
}

static size_t options_make(struct attack_context *c, uint8_t packet[PACKET_MAX])
{
	uint8_t buf[WIRE_MAX_FRAME];

	return packet_options(packet, packet_build(packet, &c->path, buf, hello_frame(c, buf)));
}

const struct attack attacks[] = {
	{"closed", "HELLOs to the port above the relay's: the yardstick", closed_make},
	{"garbage", "random bytes", garbage_make},
	{"hello", "HELLOs, each from another address", hello_make},
	{"cookie", "SENDs whose cookie is wrong", cookie_make},
	{"replay", "SENDs with the source's cookie, each from another address", replay_make},
	{"fragment", "first fragments that nothing follows", fragment_make},
	{"options", "packets with IP options", options_make},
	{NULL, NULL, NULL},
};
