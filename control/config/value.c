/* SPDX-License-Identifier: BSD-3-Clause
 * Values of configuration keys: one reader a type. Each writes nothing but its
 * field, and on failure says what is wrong and what to do.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <strings.h>

#include "control/config/options.h"
#include "wire/frame.h"

struct value {
	const struct config_key *key;
	const char *text;
	void *field;
	char *why;
	size_t why_size;
};

__attribute__((format(printf, 2, 3))) static int refuse(const struct value *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(v->why, v->why_size, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

const char *config_bytes_text(uint64_t bytes, char *buf)
{
	static const char unit[] = {0, 'K', 'M', 'G', 'T'};
	unsigned int u = 0;

	while (bytes && bytes % 1024 == 0 && u + 1 < sizeof(unit)) {
		bytes /= 1024;
		u++;
	}
	sprintf(buf, "%" PRIu64 "%.1s", bytes, &unit[u]);
	return buf;
}

/* Digits alone, no sign; end is behind them. */
static int digits_parse(const char *text, uint64_t *out, const char **end)
{
	uint64_t n = 0;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	for (; isdigit((unsigned char)*text); text++) {
		unsigned int digit = (unsigned int)(*text - '0');

		if (n > (UINT64_MAX - digit) / 10)
			return -EINVAL;
		n = n * 10 + digit;
	}
	*out = n;
	*end = text;
	return 0;
}

/* The position of text in "one|other", or -1. */
static int word_find(const char *words, const char *text)
{
	size_t len = strlen(text);

	for (int i = 0;; i++) {
		size_t n = strcspn(words, "|");

		if (n == len && memcmp(words, text, n) == 0)
			return i;
		if (words[n] == '\0')
			return -1;
		words += n + 1;
	}
}

static int choice_parse(const struct value *v)
{
	int i = word_find(v->key->words, v->text);

	if (i < 0)
		return refuse(v, "'%.40s' is not a choice; use one of %s", v->text, v->key->words);
	if (v->key->type == TYPE_WORD) {
		snprintf(v->field, v->key->size, "%s", v->text);
	} else if (v->key->size == sizeof(bool)) {
		*(bool *)v->field = i != 0;
	} else {
		*(unsigned int *)v->field = (unsigned int)v->key->min + (unsigned int)i;
	}
	return 0;
}

static int label_parse(const struct value *v)
{
	size_t len = strlen(v->text);

	if (len == 0 || len >= v->key->size || !isalnum((unsigned char)v->text[0]) ||
	    strspn(v->text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") !=
		    len)
		return refuse(v,
			      "'%.40s' is not a name; use at most %zu letters, digits, '.', '_', "
			      "'-', a letter or digit first",
			      v->text, v->key->size - 1);
	memcpy(v->field, v->text, len + 1);
	return 0;
}

static int path_parse(const struct value *v)
{
	size_t len = strlen(v->text);

	if (len == 0)
		return refuse(v, "is empty; write a path, such as %s", v->key->example);
	if (len >= v->key->size)
		return refuse(v, "is too long; use a path below %zu characters", v->key->size);
	memcpy(v->field, v->text, len + 1);
	return 0;
}

static int port_parse(const struct value *v)
{
	const char *colon = strchr(v->text, ':');
	size_t len = strlen(v->text);

	if (strncmp(v->text, "af_xdp:", 7) == 0) {
		size_t n = strlen(colon + 1);

		if (n == 0 || n >= IFNAMSIZ || strpbrk(colon + 1, "/: \t"))
			return refuse(v, "'%.40s' is not an interface's name; see `ip link`",
				      colon + 1);
	} else if (strncmp(v->text, "vdev:", 5) != 0 || colon[1] == '\0') {
		return refuse(v,
			      "'%.40s' names no port; use af_xdp:IFNAME (see `ip link`) or "
			      "vdev:ARGS",
			      v->text);
	}
	if (len >= v->key->size)
		return refuse(v, "is too long; use at most %zu characters", v->key->size - 1);
	memcpy(v->field, v->text, len + 1);
	return 0;
}

static int host_parse(const struct value *v, const char *text, struct addr *a)
{
	static const uint8_t zero[16];

	if (addr_parse(text, WIRE_PORT, a) < 0 || !addr_valid(a))
		return refuse(v, "'%.60s' is not an address; write it as %s or [2001:db8::1]:%d",
			      text, v->key->example, WIRE_PORT);
	if (memcmp(a->ip, zero, sizeof(zero)) == 0)
		return refuse(v, "means any address; write the one address of the interface");
	if (a->type == ADDR_IP4 ? a->ip[0] >= 224 : a->ip[0] == 0xff)
		return refuse(v, "is a multicast or broadcast address; write a host's own");
	return 0;
}

static int address_parse(const struct value *v)
{
	struct addr a;

	if (host_parse(v, v->text, &a) < 0)
		return -EINVAL;
	memcpy(v->field, &a, sizeof(a));
	return 0;
}

static int listen_parse(const struct value *v)
{
	char text[2 * ADDR_TEXT_MAX + 16], *rest = text, *one;
	struct addr_pair pair = {0};
	struct addr a, *place;
	size_t len;

	if (snprintf(text, sizeof(text), "%s", v->text) >= (int)sizeof(text))
		return refuse(v, "is too long; write one address, or one of each IP version");
	while ((one = strsep(&rest, ",")) != NULL) {
		one += strspn(one, " \t");
		for (len = strlen(one); len > 0 && strchr(" \t", one[len - 1]) != NULL; len--)
			one[len - 1] = '\0';
		if (host_parse(v, one, &a) < 0)
			return -EINVAL;
		place = a.type == ADDR_IP4 ? &pair.ip4 : &pair.ip6;
		if (place->type != ADDR_NONE)
			return refuse(v, "has two addresses of one IP version; write one of each");
		*place = a;
	}
	memcpy(v->field, &pair, sizeof(pair));
	return 0;
}

static int mac_parse(const struct value *v)
{
	struct rte_ether_addr mac;

	if (rte_ether_unformat_addr(v->text, &mac) < 0)
		return refuse(v, "'%.40s' is not an Ethernet address; write it as %s", v->text,
			      v->key->example);
	if (!rte_is_valid_assigned_ether_addr(&mac))
		return refuse(v, "'%.40s' is no host's; write the address of one", v->text);
	memcpy(v->field, &mac, sizeof(mac));
	return 0;
}

/* What the rest decides on later (check.c) is 0 until then. */
static bool is_auto(const struct value *v)
{
	return v->key->automatic && strcmp(v->text, "auto") == 0;
}

static int count_parse(const struct value *v)
{
	const char *end;
	uint64_t n;

	if (is_auto(v)) {
		*(uint32_t *)v->field = 0;
		return 0;
	}
	if (digits_parse(v->text, &n, &end) < 0 || *end || n < v->key->min || n > v->key->max)
		return refuse(v,
			      "'%.40s' is out of range; use a whole number from %" PRIu64
			      " to %" PRIu64 "%s",
			      v->text, v->key->min, v->key->max,
			      v->key->automatic ? ", or auto" : "");
	*(uint32_t *)v->field = (uint32_t)n;
	return 0;
}

static int bytes_parse(const struct value *v)
{
	static const char units[] = "KMGT";
	char min[24], max[24];
	const char *end, *unit;
	uint64_t n;

	if (is_auto(v)) {
		*(uint64_t *)v->field = 0;
		return 0;
	}
	if (digits_parse(v->text, &n, &end) < 0)
		goto bad;
	end += strspn(end, " \t");
	if (*end) {
		unit = strchr(units, toupper((unsigned char)*end));
		if (!unit ||
		    (end[1] && strcasecmp(end + 1, "B") != 0 && strcasecmp(end + 1, "iB") != 0))
			goto bad;
		for (; unit >= units; unit--) {
			if (n > UINT64_MAX / 1024)
				goto bad;
			n *= 1024;
		}
	}
	if (n < v->key->min || n > v->key->max)
		goto bad;
	*(uint64_t *)v->field = n;
	return 0;
bad:
	return refuse(v,
		      "'%.40s' is out of range; use bytes from %s to %s, as 1048576, 1M or 1 MiB%s",
		      v->text, config_bytes_text(v->key->min, min),
		      config_bytes_text(v->key->max, max), v->key->automatic ? ", or auto" : "");
}

static int cpu_number_parse(const char *text, int *cpu, const char **end)
{
	uint64_t n;

	if (digits_parse(text, &n, end) < 0 || n >= CPU_SETSIZE)
		return -EINVAL;
	*cpu = (int)n;
	return 0;
}

static int cpu_parse(const struct value *v)
{
	const char *end;
	int cpu = -1;

	if (strcmp(v->text, "any") != 0 && (cpu_number_parse(v->text, &cpu, &end) < 0 || *end))
		return refuse(v, "'%.40s' is not a CPU; use a number below %d, or any", v->text,
			      CPU_SETSIZE);
	*(int *)v->field = cpu;
	return 0;
}

static int cpus_parse(const struct value *v)
{
	const char *p = v->text;
	int *cpus = v->field;
	unsigned int n = 0;

	for (unsigned int i = 0; i < CONFIG_WORKERS; i++)
		cpus[i] = -1;
	if (strcmp(p, "any") == 0)
		return 0;
	for (;;) {
		int first, last;

		if (cpu_number_parse(p, &first, &p) < 0)
			goto bad;
		last = first;
		if (*p == '-' && (cpu_number_parse(p + 1, &last, &p) < 0 || last < first))
			goto bad;
		for (; first <= last; first++) {
			if (n == CONFIG_WORKERS)
				return refuse(v, "names too many CPUs; at most %d workers run",
					      CONFIG_WORKERS);
			for (unsigned int i = 0; i < n; i++)
				if (cpus[i] == first)
					return refuse(v, "names CPU %d twice; use one a worker",
						      first);
			cpus[n++] = first;
		}
		if (*p == '\0')
			return 0;
		if (*p++ != ',')
			goto bad;
		p += strspn(p, " \t");
	}
bad:
	return refuse(v, "'%.40s' is not a list of CPUs; write it as 2,3 or 2-5, or any", v->text);
}

/* Cuts the next word off a list; NULL at its end. An empty word is "". */
static char *list_next(char **rest)
{
	char *word = strsep(rest, ",");
	size_t len;

	if (!word)
		return NULL;
	word += strspn(word, " \t");
	len = strlen(word);
	while (len && (word[len - 1] == ' ' || word[len - 1] == '\t'))
		word[--len] = '\0';
	return word;
}

static int rules_parse(const struct value *v)
{
	char *copy = strdup(v->text), *rest = copy, *word;
	uint32_t rules = 0;
	int rc = 0;

	if (!copy)
		return refuse(v, "cannot be read: out of memory; free some");
	while (rc == 0 && (word = list_next(&rest))) {
		uint8_t rule = rule_from_name(word);

		if (rule == 0)
			rc = refuse(v, "'%.40s' is not a rule; use sha256, xxh3 or sha256,xxh3",
				    word);
		else
			rules |= UINT32_C(1) << rule;
	}
	free(copy);
	if (rc == 0)
		*(uint32_t *)v->field = rules;
	return rc;
}

/* "10.0.0.0/8", or one address. Bits behind the prefix must be zero. */
static int range_parse(const struct value *v, char *word, struct policy_range *r)
{
	char *slash = strchr(word, '/');
	unsigned int whole;
	const char *end;
	uint64_t bits;

	memset(r, 0, sizeof(*r));
	if (slash)
		*slash = '\0';
	if (inet_pton(AF_INET, word, r->ip) == 1)
		r->type = ADDR_IP4;
	else if (inet_pton(AF_INET6, word, r->ip) == 1)
		r->type = ADDR_IP6;
	else
		goto bad;
	bits = whole = r->type == ADDR_IP4 ? 32 : 128;
	if (slash && (digits_parse(slash + 1, &bits, &end) < 0 || *end || bits > whole))
		goto bad;
	r->bits = (uint8_t)bits;
	for (unsigned int i = 0; i < whole / 8; i++) {
		unsigned int kept = bits <= i * 8      ? 0
				    : bits - i * 8 < 8 ? (unsigned int)bits % 8
						       : 8;

		if (r->ip[i] & (0xff >> kept))
			return refuse(v,
				      "'%.60s' has bits set behind its %u bits of prefix; write "
				      "zeros there",
				      word, r->bits);
	}
	return 0;
bad:
	return refuse(v, "'%.60s' is not a prefix; write it as 10.0.0.0/8 or fd00::/8, or special",
		      word);
}

static int ranges_parse(const struct value *v)
{
	char *copy = strdup(v->text), *rest = copy, *word;
	struct policy *p = v->field;
	int rc = 0;

	if (!copy)
		return refuse(v, "cannot be read: out of memory; free some");
	while (rc == 0 && (word = list_next(&rest))) {
		if (strcmp(word, "special") == 0)
			p->allow_special = true;
		else if (p->count == POLICY_RANGES)
			rc = refuse(v, "has too many prefixes; use at most %d", POLICY_RANGES);
		else if ((rc = range_parse(v, word, &p->allow[p->count])) == 0)
			p->count++;
	}
	free(copy);
	return rc;
}

int config_value_parse(const struct config_key *k, const char *text, void *base, char *why,
		       size_t why_size)
{
	static int (*const parse[])(const struct value *) = {
		[TYPE_CHOICE] = choice_parse, [TYPE_WORD] = choice_parse,
		[TYPE_LABEL] = label_parse,   [TYPE_PATH] = path_parse,
		[TYPE_PORT] = port_parse,     [TYPE_ADDRESS] = address_parse,
		[TYPE_LISTEN] = listen_parse, [TYPE_MAC] = mac_parse,
		[TYPE_COUNT] = count_parse,   [TYPE_BYTES] = bytes_parse,
		[TYPE_CPU] = cpu_parse,	      [TYPE_CPUS] = cpus_parse,
		[TYPE_RULES] = rules_parse,   [TYPE_RANGES] = ranges_parse,
	};
	struct value v = {k, text, (uint8_t *)base + k->offset, why, why_size};

	return parse[k->type](&v);
}
