/* SPDX-License-Identifier: BSD-3-Clause
 * The addresses that a user's text stands for: one that is written out, or all that a
 * host name has, in the order in which they are to be tried (RFC 6724).
 */
#ifndef CLIENT_LIB_HOSTS_H
#define CLIENT_LIB_HOSTS_H

#include "wire/addr.h"

#define HOSTS_MAX 8
#define HOST_TEXT_MAX 288	 /* a name of 253 bytes, a zone or a port, and the NUL */
#define HOST_PATIENCE_US 1000000 /* for one that does not answer, before the next is tried */

struct host_addr {
	struct addr addr;
	uint32_t zone; /* interface index of a link-local address, else 0 */
};

struct hosts {
	struct host_addr host[HOSTS_MAX];
	uint32_t count;
	uint32_t at; /* the one in use */
};

/* Could the text be resolved? What addr_parse() takes, a link-local address with its
 * zone ("fe80::1%eth0", "[fe80::1%eth0]:4870"), a name, and a name with a port. Asks
 * nobody. port: the default. */
bool hosts_text_valid(const char *text, uint16_t port);
/* Asks the resolver, if it is a name, which can take seconds. Returns NULL; or, in a few
 * words, why there is no address. */
const char *hosts_resolve(const char *text, uint16_t port, struct hosts *out);
/* Goes on to the next of a family: ADDR_IP4, ADDR_IP6, or ADDR_NONE for any. False: that
 * was the last. */
bool hosts_next(struct hosts *h, uint8_t family);

#endif
