/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/worker/capture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <pcap/pcap.h>

#define HEADERS 42 /* Ethernet, IPv4 without options, UDP */
#define IP_SOURCE 26
#define UDP_SOURCE 34

static int fail(const char *path, const char *why)
{
	fprintf(stderr, "%s: %s\n", path, why);
	return -EINVAL;
}

static const struct wire_header *header_of(const struct capture *rs, const struct captured *r)
{
	return (const struct wire_header *)(rs->bytes + r->at + HEADERS);
}

const struct ident *captured_ident(const struct capture *rs, const struct captured *r)
{
	const void *body = header_of(rs, r) + 1;

	return r->verb == VERB_PULL ? &((const struct wire_pull *)body)->id
				    : &((const struct wire_send *)body)->id;
}

bool capture_number_of(const struct capture *rs, const uint8_t *transfer, uint32_t *number)
{
	be64 tail;

	memcpy(&tail, transfer + 8, sizeof(tail));
	*number = (uint32_t)get64(tail);
	return get64(tail) < rs->count;
}

/* What the frame asks for, as the relay would read it. */
static bool captured_parse(const struct capture *rs, struct captured *r)
{
	const uint8_t *frame = rs->bytes + r->at;
	struct frame f;
	struct send send;
	struct pull pull;

	if (r->len <= HEADERS ||
	    frame_parse(frame + HEADERS, (size_t)r->len - HEADERS, &f) != DROP_NONE)
		return false;
	r->verb = f.verb;
	r->conn = f.conn;
	r->blob = BLOB_NONE;
	r->source = (struct addr){.type = ADDR_IP4};
	memcpy(r->source.ip, frame + IP_SOURCE, 4);
	memcpy(&r->source.port, frame + UDP_SOURCE, 2);
	if (f.verb == VERB_SEND)
		return send_decode(&f, &send) == DROP_NONE && addr_equal(send.target, &r->source);
	if (f.verb != VERB_PULL || pull_decode(&f, &pull) != DROP_NONE ||
	    pull.number != (uint32_t)(r - rs->list))
		return false;
	r->first = pull.first;
	r->chunks = (uint32_t)__builtin_popcount(pull.mask);
	return (pull.mask & (pull.mask + 1)) == 0; /* from bit 0 on without a gap */
}

/* The file is larger than all its frames. */
static bool room_make(struct capture *rs, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0 || st.st_size == 0)
		return false;
	rs->bytes = malloc((size_t)st.st_size);
	return rs->bytes != NULL;
}

static bool list_grow(struct capture *rs, uint32_t *room)
{
	struct captured *list;

	if (rs->count < *room)
		return true;
	*room = *room > 0 ? 2 * *room : 1024;
	list = realloc(rs->list, *room * sizeof(*list));
	if (list != NULL)
		rs->list = list;
	return list != NULL;
}

static int packet_add(struct capture *rs, const struct pcap_pkthdr *h, const u_char *bytes,
		      uint32_t *room)
{
	struct captured *r;

	if (h->len > CAPTURE_LONGEST)
		return -EINVAL;
	if (h->len != h->caplen || !list_grow(rs, room))
		return -ENOMEM;
	if (rs->count == 0)
		rs->unix_seconds = (uint64_t)h->ts.tv_sec;
	r = &rs->list[rs->count];
	*r = (struct captured){.at = rs->size, .len = (uint16_t)h->len};
	memcpy(rs->bytes + rs->size, bytes, h->len);
	rs->size += h->len;
	if (!captured_parse(rs, r) || r->verb != rs->list[0].verb)
		return -EINVAL;
	rs->count++;
	return 0;
}

int capture_read(struct capture *rs, const char *path)
{
	char why[PCAP_ERRBUF_SIZE];
	pcap_t *file = pcap_open_offline(path, why);
	struct pcap_pkthdr *h;
	const u_char *bytes;
	uint32_t room = 0;
	int ret, more = 1;

	memset(rs, 0, sizeof(*rs));
	if (file == NULL)
		return fail(path, why);
	ret = room_make(rs, path) ? 0 : -ENOMEM;
	while (ret == 0 && (more = pcap_next_ex(file, &h, &bytes)) == 1)
		ret = packet_add(rs, h, bytes, &room);
	if (more == PCAP_ERROR)
		ret = fail(path, pcap_geterr(file));
	else if (ret == -EINVAL || (ret == 0 && rs->count == 0))
		ret = fail(path, "use request_pcap's PULLs, or SENDs to each source itself");
	else if (ret < 0)
		fail(path, "a packet is cut off, or there is no memory");
	pcap_close(file);
	if (ret < 0)
		capture_free(rs);
	return ret;
}

void capture_free(struct capture *rs)
{
	free(rs->bytes);
	free(rs->list);
	memset(rs, 0, sizeof(*rs));
}
