/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/lib/hosts.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct text {
	char host[HOST_TEXT_MAX];
	uint16_t port;
};

static bool port_read(const char *text, uint16_t *port)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long n = strtoul(text, NULL, 10);

	*port = (uint16_t)n;
	return digits > 0 && digits <= 5 && text[digits] == '\0' && n > 0 && n <= UINT16_MAX;
}

/* "host", "host:port", "[v6]", "[v6]:port", or an IPv6 address as it is. */
static bool text_split(const char *text, uint16_t port, struct text *out)
{
	const char *start = text, *end = text + strlen(text), *colon = strchr(text, ':');
	bool good = true;

	out->port = port;
	if (text[0] == '[') {
		start = text + 1;
		end = strchr(start, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return false;
		good = end[1] == '\0' || port_read(end + 2, &out->port);
	} else if (colon != NULL && strchr(colon + 1, ':') == NULL) {
		end = colon;
		good = port_read(colon + 1, &out->port);
	}
	if (!good || end == start || (size_t)(end - start) >= sizeof(out->host))
		return false;
	memcpy(out->host, start, (size_t)(end - start));
	out->host[end - start] = '\0';
	return true;
}

/* Letters, digits, '-', '_' and '.' as names have them; a number alone, such as
 * "1.2.3", is a mistyped address and not a name. */
static bool name_valid(const char *host)
{
	return strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
		       strlen(host) &&
	       strspn(host, "0123456789.") < strlen(host) && host[0] != '-' && host[0] != '.';
}

static int ask(const char *host, int flags, struct addrinfo **found)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = flags};

	*found = NULL;
	return getaddrinfo(host, NULL, &hints, found);
}

bool hosts_text_valid(const char *text, uint16_t port)
{
	struct addrinfo *found;
	struct addr a;
	struct text t;
	bool valid;

	if (addr_parse(text, port, &a) == 0)
		return true;
	if (!text_split(text, port, &t))
		return false;
	if (text[0] != '[' && name_valid(t.host))
		return true;
	/* a zone that is no interface here is refused as well */
	valid = strchr(t.host, '%') != NULL && ask(t.host, AI_NUMERICHOST, &found) == 0;
	if (valid)
		freeaddrinfo(found);
	return valid;
}

static void host_add(struct hosts *h, const struct sockaddr *sa, uint16_t port)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
	struct host_addr a = {.addr.port = put16(port)};

	if (sa->sa_family == AF_INET) {
		a.addr.type = ADDR_IP4;
		memcpy(a.addr.ip, &in->sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		a.addr.type = ADDR_IP6;
		memcpy(a.addr.ip, &in6->sin6_addr, 16);
		a.zone = in6->sin6_scope_id;
	}
	if (!addr_valid(&a.addr) || h->count == HOSTS_MAX)
		return;
	for (uint32_t i = 0; i < h->count; i++)
		if (addr_equal(&h->host[i].addr, &a.addr))
			return;
	h->host[h->count++] = a;
}

const char *hosts_resolve(const char *text, uint16_t port, struct hosts *out)
{
	struct addrinfo *found, *ai;
	struct text t;
	int err;

	memset(out, 0, sizeof(*out));
	if (!hosts_text_valid(text, port) || !text_split(text, port, &t))
		return "it is neither an address nor a host name";
	err = ask(t.host, AI_NUMERICHOST, &found);
	if (err == EAI_NONAME)
		err = ask(t.host, AI_ADDRCONFIG, &found);
	if (err != 0)
		return gai_strerror(err);
	for (ai = found; ai != NULL; ai = ai->ai_next)
		host_add(out, ai->ai_addr, t.port);
	freeaddrinfo(found);
	return out->count > 0 ? NULL : "it has no address";
}

bool hosts_next(struct hosts *h, uint8_t family)
{
	for (uint32_t i = h->at + 1; i < h->count; i++) {
		if (family != ADDR_NONE && h->host[i].addr.type != family)
			continue;
		h->at = i;
		return true;
	}
	return false;
}
