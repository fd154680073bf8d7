/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};
static const uint8_t zeros[12];

bool addr_valid(const struct addr *a)
{
	if (a->zero != 0 || get16(a->port) == 0)
		return false;
	if (a->type == ADDR_IP4)
		return memcmp(a->ip + 4, zeros, 12) == 0;
	return a->type == ADDR_IP6 && memcmp(a->ip, mapped_prefix, 12) != 0;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool addr_same_host(const struct addr *a, const struct addr *b)
{
	return a->type == b->type && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

static int port_parse(const char *text, uint16_t *port)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long n;

	if (digits == 0 || digits > 5 || text[digits] != '\0')
		return -EINVAL;
	n = strtoul(text, NULL, 10);
	if (n == 0 || n > 65535)
		return -EINVAL;
	*port = (uint16_t)n;
	return 0;
}

/* Cuts "host:port", "[host]:port" or "host" into a host in `host` and the text
 * of the port, NULL if there is none. */
static int addr_split(const char *text, char host[INET6_ADDRSTRLEN], const char **port)
{
	const char *start = text, *end, *colon = strchr(text, ':');

	*port = NULL;
	if (*text == '[') {
		start = text + 1;
		end = strchr(start, ']');
		if (!end || memchr(start, ':', (size_t)(end - start)) == NULL)
			return -EINVAL;
		if (end[1] == ':')
			*port = end + 2;
		else if (end[1] != '\0')
			return -EINVAL;
	} else if (colon && !strchr(colon + 1, ':')) {
		end = colon;
		*port = colon + 1;
	} else {
		end = text + strlen(text);
	}
	if (end - start >= INET6_ADDRSTRLEN)
		return -EINVAL;
	memcpy(host, start, (size_t)(end - start));
	host[end - start] = '\0';
	return 0;
}

int addr_parse(const char *text, uint16_t default_port, struct addr *out)
{
	char host[INET6_ADDRSTRLEN];
	uint16_t port = default_port;
	const char *port_text;
	struct addr a = {0};

	if (addr_split(text, host, &port_text) < 0)
		return -EINVAL;
	if (port_text && port_parse(port_text, &port) < 0)
		return -EINVAL;
	if (inet_pton(AF_INET, host, a.ip) == 1)
		a.type = ADDR_IP4;
	else if (inet_pton(AF_INET6, host, a.ip) == 1)
		a.type = ADDR_IP6;
	a.port = put16(port);
	if (!addr_valid(&a))
		return -EINVAL;
	*out = a;
	return 0;
}

const char *addr_text(const struct addr *a, char *buf)
{
	char host[INET6_ADDRSTRLEN];

	if (a->type == ADDR_IP4 && inet_ntop(AF_INET, a->ip, host, sizeof(host)))
		snprintf(buf, ADDR_TEXT_MAX, "%s:%u", host, get16(a->port));
	else if (a->type == ADDR_IP6 && inet_ntop(AF_INET6, a->ip, host, sizeof(host)))
		snprintf(buf, ADDR_TEXT_MAX, "[%s]:%u", host, get16(a->port));
	else
		snprintf(buf, ADDR_TEXT_MAX, "none");
	return buf;
}

struct prefix {
	uint8_t ip[16];
	uint8_t bits;
};

/* RFC 6890 and the IANA registry of IPv4 special-purpose addresses. */
static const struct prefix special_ip4[] = {
	{{0}, 8},	      /* this network, unspecified */
	{{10}, 8},	      /* private */
	{{100, 64}, 10},      /* shared (CGNAT) */
	{{127}, 8},	      /* loopback */
	{{169, 254}, 16},     /* link-local */
	{{172, 16}, 12},      /* private */
	{{192, 0, 0}, 24},    /* protocol assignments */
	{{192, 0, 2}, 24},    /* documentation */
	{{192, 88, 99}, 24},  /* 6to4 relays, deprecated */
	{{192, 168}, 16},     /* private */
	{{198, 18}, 15},      /* benchmarking */
	{{198, 51, 100}, 24}, /* documentation */
	{{203, 0, 113}, 24},  /* documentation */
	{{224}, 4},	      /* multicast */
	{{240}, 4},	      /* reserved, broadcast */
};

/* Global unicast is 2000::/3; all of the rest is special: unspecified, loopback,
 * unique-local, link-local, site-local, multicast, discard, reserved. */
static const struct prefix global_ip6 = {{0x20}, 3};
/* NAT64 (RFC 6052): an IPv4 host, which decides. */
static const struct prefix nat64_ip6 = {{0x00, 0x64, 0xff, 0x9b}, 96};
/* The special parts of 2000::/3. */
static const struct prefix special_ip6[] = {
	{{0x20, 0x01, 0x00, 0x00}, 23}, /* protocol assignments, Teredo, benchmarking, ORCHID */
	{{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
	{{0x20, 0x02}, 16},		/* 6to4: wraps an IPv4 address */
	{{0x3f, 0xff}, 20},		/* documentation (RFC 9637) */
};

static bool prefix_match(const struct prefix *p, const uint8_t *ip)
{
	unsigned int whole = p->bits / 8, rest = p->bits % 8;

	if (memcmp(p->ip, ip, whole) != 0)
		return false;
	return rest == 0 || ((p->ip[whole] ^ ip[whole]) >> (8 - rest)) == 0;
}

static bool prefix_match_any(const struct prefix *p, size_t count, const uint8_t *ip)
{
	for (size_t i = 0; i < count; i++)
		if (prefix_match(&p[i], ip))
			return true;
	return false;
}

static bool ip4_special_use(const uint8_t *ip)
{
	return prefix_match_any(special_ip4, sizeof(special_ip4) / sizeof(*special_ip4), ip);
}

bool addr_special_use(const struct addr *a)
{
	if (a->type == ADDR_IP4)
		return ip4_special_use(a->ip);
	if (a->type != ADDR_IP6)
		return true;
	if (prefix_match(&nat64_ip6, a->ip))
		return ip4_special_use(a->ip + 12);
	if (!prefix_match(&global_ip6, a->ip))
		return true;
	return prefix_match_any(special_ip6, sizeof(special_ip6) / sizeof(*special_ip6), a->ip);
}

bool addr_one_host(const struct addr *a)
{
	static const uint8_t unspecified[16];

	if (a->type == ADDR_IP4)
		return a->ip[0] != 0 && a->ip[0] < 224;
	return a->type == ADDR_IP6 && a->ip[0] != 0xff && memcmp(a->ip, unspecified, 16) != 0;
}

bool addr_loopback(const struct addr *a)
{
	static const uint8_t loopback6[16] = {[15] = 1};

	return a->type == ADDR_IP4 ? a->ip[0] == 127 : memcmp(a->ip, loopback6, 16) == 0;
}

char *addr_pair_text(const struct addr_pair *p, char buf[ADDR_PAIR_TEXT_MAX])
{
	char ip4[ADDR_TEXT_MAX], ip6[ADDR_TEXT_MAX];

	if (p->ip4.type == ADDR_NONE || p->ip6.type == ADDR_NONE)
		snprintf(buf, ADDR_PAIR_TEXT_MAX, "%s", addr_text(addr_pair_any(p), ip4));
	else
		snprintf(buf, ADDR_PAIR_TEXT_MAX, "%s, %s", addr_text(&p->ip4, ip4),
			 addr_text(&p->ip6, ip6));
	return buf;
}
