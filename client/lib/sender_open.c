/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include <sodium.h>

#include "client/lib/clock.h"
#include "client/lib/sender.h"

static int hosts_take(struct ow_sender *s, const char *what, const char *text, uint16_t port,
		      struct hosts *hosts)
{
	const char *why = text != NULL ? hosts_resolve(text, port, hosts) : "it is missing";

	if (why != NULL)
		return fault_set(&s->fault, OW_INVALID,
				 "%s \"%s\": %s; write it as 192.0.2.1:%u, [2001:db8::1]:%u or "
				 "host.example:%u",
				 what, text != NULL ? text : "", why, port, port, port);
	return OW_OK;
}

static int addresses_take(struct ow_sender *s, const struct ow_send_options *o)
{
	if (hosts_take(s, "relay", o->relay, WIRE_PORT, &s->relays) < 0 ||
	    hosts_take(s, "target", o->target, WIRE_TARGET_PORT, &s->targets) < 0)
		return s->fault.code;
	s->target = s->targets.host[0].addr;
	s->udp.zone = s->relays.host[0].zone;
	contact_init(&s->relay, &s->relays.host[0].addr, s->member.key != 0 ? &s->member : NULL);
	return OW_OK;
}

static int numbers_take(struct ow_sender *s, const struct ow_send_options *o)
{
	uint32_t timeout = o->timeout_ms != 0 ? o->timeout_ms : SEND_TIMEOUT_MS;
	uint64_t rate = o->rate != 0 ? o->rate : OUTGOING_RATE;

	if (o->via != OW_VIA_PRIVATE && o->via != OW_VIA_CENTRAL)
		return fault_set(
			&s->fault, OW_INVALID,
			"via is neither private nor central; say which role the relay has");
	s->via = (uint8_t)o->via;
	if (o->rule != 0 && rule_name((uint8_t)o->rule) == NULL)
		return fault_set(&s->fault, OW_INVALID,
				 "rule %d does not exist; choose sha256 or xxh3", o->rule);
	s->rule = o->rule != 0 ? (uint8_t)o->rule : RULE_SHA256;
	s->opened = s->moved = s->wanted = clock_now();
	s->patience = timeout * MILLISECOND;
	s->limit = o->limit_ms != 0 ? s->opened + o->limit_ms * MILLISECOND : NEVER;
	if (rate < OUTGOING_RATE_LEAST || rate > OUTGOING_RATE_MOST)
		return fault_set(
			&s->fault, OW_INVALID,
			"the rate must be from 10,000 to 1,000,000,000,000 bytes a second");
	outgoing_init(&s->upload, rate, s->opened);
	return OW_OK;
}

static int meta_take(struct ow_sender *s, const struct ow_send_options *o)
{
	const char *name = o->name, *mime = o->mime != NULL ? o->mime : "";
	size_t name_len, mime_len = strlen(mime);

	if (name == NULL && o->path != NULL) {
		name = strrchr(o->path, '/');
		name = name != NULL ? name + 1 : o->path;
	}
	name_len = name != NULL ? strlen(name) : 0;
	if (name_len + mime_len + (mime_len != 0) > META_MAX)
		return fault_set(&s->fault, OW_INVALID,
				 "file name and MIME type are longer than %d bytes together; "
				 "give a shorter name",
				 META_MAX - 1);
	if (name_len > 0)
		memcpy(s->meta, name, name_len);
	if (mime_len > 0)
		memcpy(s->meta + name_len + 1, mime, mime_len); /* the NUL is there already */
	s->meta_len = (uint8_t)(name_len + mime_len + (mime_len != 0));
	return OW_OK;
}

static int input_take(struct ow_sender *s, const struct ow_send_options *o)
{
	const char *what = o->path != NULL ? o->path : "the data";
	int ret;

	if (o->path != NULL)
		ret = input_open_path(&s->blob, o->path);
	else if (o->data != NULL)
		ret = input_open_memory(&s->blob, o->data, o->size);
	else
		ret = input_open_fd(&s->blob, o->fd);
	if (ret == -EINVAL)
		return fault_set(&s->fault, OW_FAILED, "%s is not a regular file; save it to one",
				 what);
	if (ret == -EISDIR)
		return fault_set(&s->fault, OW_FAILED,
				 "%s is a directory; pack it into one file, `tar czf NAME.tar.gz "
				 "%s`, and send that",
				 what, what);
	if (ret == -EFBIG)
		return fault_set(&s->fault, OW_FAILED, "%s is larger than 64 GiB; split it", what);
	if (ret < 0)
		return fault_set(&s->fault, OW_FAILED, "cannot read %s: %s", what, strerror(-ret));
	return OW_OK;
}

static int resources_take(struct ow_sender *s)
{
	/* of both families, if the relay's name has both */
	const bool one = s->relays.count == 1;
	struct addr local = {.type = one ? s->relay.asked.type : ADDR_NONE};
	int ret;

	/* A shared content key follows from the file's SHA-256. */
	s->hash = ident_begin(s->encrypt == OW_ENCRYPT_SHARED ? RULE_SHA256 : s->rule);
	prefix_pass(&s->prefix, s->blob.length);
	s->rx = udp_rx_create();
	s->tx = calloc(1, sizeof(*s->tx));
	if (s->hash == NULL || s->rx == NULL || s->tx == NULL)
		return fault_set(&s->fault, OW_FAILED, "out of memory");
	ret = udp_open(&s->udp, &local, 1 << 20);
	if (ret < 0)
		return fault_set(&s->fault, OW_FAILED, "cannot open a UDP socket: %s",
				 strerror(-ret));
	return OW_OK;
}

int ow_sender_open(const struct ow_send_options *o, struct ow_sender **out)
{
	struct ow_sender *s;

	s = *out = calloc(1, sizeof(*s));
	if (s == NULL)
		return OW_FAILED;
	s->udp.fd = -1;
	wait_init(&s->wait);
	s->blob.fd = -1;
	if (sodium_init() < 0)
		return fault_set(&s->fault, OW_FAILED, "no source of random numbers");
	if (member_read(&s->member, o->domain_key_file, &s->fault) < 0 ||
	    addresses_take(s, o) < 0 || numbers_take(s, o) < 0 || meta_take(s, o) < 0 ||
	    sender_encrypt_take(s, o) < 0 || input_take(s, o) < 0 || sender_encrypt_open(s) < 0 ||
	    resources_take(s) < 0)
		return s->fault.code;
	s->progress = o->progress;
	s->ctx = o->ctx;
	randombytes_buf(s->transfer, sizeof(s->transfer));
	contact_ask(&s->relay, s->opened);
	return OW_OK;
}

void ow_sender_close(struct ow_sender *s)
{
	if (s == NULL)
		return;
	wait_close(&s->wait);
	udp_close(&s->udp);
	outgoing_free(&s->upload);
	input_close(&s->blob);
	ident_free(s->hash);
	prefix_free(&s->prefix);
	sodium_memzero(&s->member, sizeof(s->member));
	sodium_memzero(&s->relay, sizeof(s->relay));
	sodium_memzero(s->content_secret, sizeof(s->content_secret));
	free(s->rx);
	free(s->tx);
	free(s);
}

int ow_sender_fd(struct ow_sender *s)
{
	return wait_fd(&s->wait, s->udp.fd);
}

int ow_sender_timeout(const struct ow_sender *s)
{
	return clock_milliseconds(sender_due(s), clock_now());
}

const char *ow_sender_message(const struct ow_sender *s)
{
	return s->fault.text;
}
