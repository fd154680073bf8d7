/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/worker/answers.h"

#include <rte_ip.h>
#include <rte_udp.h>

#include "bench/content.h"

#define PART_STATUS 0
#define PART_OFFER 1

struct headers {
	struct rte_ether_hdr eth;
	struct rte_ipv4_hdr ip;
	struct rte_udp_hdr udp;
} __rte_packed __rte_aligned(2);

uint64_t answer_parts(const struct captured *r)
{
	if (r->blob == BLOB_NONE)
		return 0;
	return r->verb == VERB_PULL ? (UINT64_C(1) << r->chunks) - 1
				    : 1u << PART_STATUS | 1u << PART_OFFER;
}

/* NULL: they are right, for whoever they are to. */
static const char *headers_check(const struct scene *s, const struct headers *h, uint32_t len)
{
	const struct addr *self = &s->relay.self.ip4;

	if (len < sizeof(*h) || h->eth.ether_type != RTE_BE16(RTE_ETHER_TYPE_IPV4) ||
	    h->ip.version_ihl != RTE_IPV4_VHL_DEF || h->ip.next_proto_id != IPPROTO_UDP)
		return "headers";
	if (rte_be_to_cpu_16(h->ip.total_length) + sizeof(h->eth) != len ||
	    rte_be_to_cpu_16(h->udp.dgram_len) + sizeof(h->eth) + sizeof(h->ip) != len)
		return "length";
	if (memcmp(&h->ip.src_addr, self->ip, 4) != 0 ||
	    memcmp(&h->udp.src_port, &self->port, 2) != 0)
		return "source address";
	if (rte_raw_cksum(&h->ip, sizeof(h->ip)) != 0xffff)
		return "IP checksum";
	if (h->udp.dgram_cksum == 0 || rte_ipv4_udptcp_cksum(&h->ip, &h->udp) != 0xffff)
		return "UDP checksum";
	return NULL;
}

static bool sent_to(const struct headers *h, const struct addr *to)
{
	return memcmp(&h->ip.dst_addr, to->ip, 4) == 0 &&
	       memcmp(&h->udp.dst_port, &to->port, 2) == 0;
}

static bool content_right(const struct scene *s, const struct captured *r, uint32_t chunk,
			  const uint8_t *bytes, uint32_t len)
{
	uint8_t right[CHUNK_SIZE];

	if (len != chunk_length(s->catalogue.bytes, chunk))
		return false;
	content_fill_from(s->catalogue.seed, r->blob, (uint64_t)chunk * CHUNK_SIZE, right, len);
	return memcmp(bytes, right, len) == 0;
}

static bool echo_right(const struct scene *s, const struct echo *echo, const struct captured *r,
		       const struct frame *f)
{
	return echo_check(relay_keys(&s->relay), echo, &r->source, f->conn, f->key,
			  s->requests.unix_seconds) == DROP_NONE;
}

static const char *data_check(const struct scene *s, const struct frame *f, struct seen *out)
{
	const struct captured *r;
	struct data d;

	if (data_decode(f, &d) != DROP_NONE || d.upload || d.number >= s->requests.count)
		return "DATA";
	r = &s->requests.list[d.number];
	if (r->verb != VERB_PULL || d.first < r->first || d.first - r->first >= r->chunks ||
	    r->blob == BLOB_NONE || d.stream != r->conn || f->conn != r->conn)
		return "DATA that was not asked for";
	if (!content_right(s, r, d.first, d.bytes, d.len))
		return "DATA's bytes";
	if (!echo_right(s, d.echo, r, f))
		return "DATA's echo";
	*out = (struct seen){.request = d.number, .part = d.first - r->first};
	return NULL;
}

static const char *status_check(const struct scene *s, const struct frame *f, struct seen *out)
{
	struct status st;

	if (status_decode(f, &st) != DROP_NONE ||
	    !capture_number_of(&s->requests, st.transfer, &out->request))
		return "STATUS";
	out->part = PART_STATUS;
	return (st.code == STATUS_SERVING_CENTRAL) ==
			       (s->requests.list[out->request].blob != BLOB_NONE)
		       ? NULL
		       : "STATUS's code";
}

static const char *offer_check(const struct scene *s, const struct frame *f, struct seen *out)
{
	const struct token_ring *keys = relay_keys(&s->relay);
	const struct captured *r;
	struct offer o;

	if (offer_decode(f, &o) != DROP_NONE ||
	    !capture_number_of(&s->requests, o.transfer, &out->request))
		return "OFFER";
	r = &s->requests.list[out->request];
	if (!ident_equal(o.id, captured_ident(&s->requests, r)) || o.length != s->catalogue.bytes ||
	    !o.has_inline || r->blob == BLOB_NONE || !content_right(s, r, 0, o.data, o.length))
		return "OFFER's bytes";
	if (ticket_check(keys, o.ticket, o.id, o.rule, o.length, s->requests.unix_seconds) !=
		    DROP_NONE ||
	    !echo_right(s, o.echo, r, f))
		return "OFFER's tokens";
	out->part = PART_OFFER;
	return NULL;
}

bool answer_check(const struct scene *s, const struct rte_mbuf *m, struct seen *out,
		  const char **fault)
{
	uint8_t joined[2048];
	const struct headers *h = rte_pktmbuf_read(m, 0, m->pkt_len, joined);
	struct frame f;

	if (m->pkt_len > sizeof(joined) || h == NULL) {
		*fault = "length";
		return false;
	}
	*fault = headers_check(s, h, m->pkt_len);
	if (*fault == NULL && frame_parse(h + 1, m->pkt_len - sizeof(*h), &f) != DROP_NONE)
		*fault = "frame";
	if (*fault != NULL)
		return false;
	switch (f.verb) {
	case VERB_DATA:
		*fault = data_check(s, &f, out);
		break;
	case VERB_STATUS:
		*fault = status_check(s, &f, out);
		break;
	case VERB_OFFER:
		*fault = offer_check(s, &f, out);
		break;
	default:
		*fault = "verb";
		break;
	}
	if (*fault == NULL && !sent_to(h, &s->requests.list[out->request].source))
		*fault = "destination";
	return *fault == NULL;
}

bool swapped_check(const struct scene *s, const struct rte_mbuf *m, struct seen *out,
		   const char **fault)
{
	const struct headers *h = rte_pktmbuf_mtod(m, const struct headers *);
	const struct captured *r;
	struct frame f;
	struct pull p;
	struct send d;

	*fault = headers_check(s, h, m->pkt_len);
	if (*fault != NULL)
		return false;
	*fault = "frame";
	if (frame_parse(h + 1, m->pkt_len - sizeof(*h), &f) != DROP_NONE)
		return false;
	if (f.verb == VERB_PULL && pull_decode(&f, &p) == DROP_NONE)
		out->request = p.number;
	else if (f.verb != VERB_SEND || send_decode(&f, &d) != DROP_NONE ||
		 !capture_number_of(&s->requests, d.transfer, &out->request))
		return false;
	out->part = 0;
	if (out->request >= s->requests.count)
		return false;
	r = &s->requests.list[out->request];
	*fault = "bytes";
	return r->len == m->pkt_len && sent_to(h, &r->source) &&
	       memcmp(s->requests.bytes + r->at + sizeof(*h), h + 1, m->pkt_len - sizeof(*h)) == 0;
}
