/* SPDX-License-Identifier: BSD-3-Clause
 * Every reason for which a frame is not acted on. One list: the label in the
 * code, the counter and the name in `oncewire status` are the same word.
 */
#ifndef WIRE_DROP_H
#define WIRE_DROP_H

/* X(symbol, name in `oncewire status`) */
#define DROP_REASONS(X)                                                                          \
	/* the decoder's */                                                                      \
	X(SHORT, "short")		/* ends before its header or body does */                \
	X(VERSION, "version")		/* a version not spoken here */                          \
	X(VERB, "verb")			/* no such verb */                                       \
	X(OVERLONG, "overlong")		/* bytes left over, or longer than allowed */            \
	X(FLAGS, "flags")		/* a flag that this verb does not have */                \
	X(EXT, "ext")			/* extensions overrun, unordered or misshapen */         \
	X(EXT_CRITICAL, "ext-critical") /* an unknown extension that must be understood */       \
	X(FIELD, "field")		/* a field outside its range */                          \
	/* the packet's */                                                                       \
	X(NOT_IP, "not-ip")	  /* neither IPv4 nor IPv6 */                                    \
	X(IP_HEADER, "ip-header") /* lengths, options or fragments */                            \
	X(IP_CHECKSUM, "ip-checksum")                                                            \
	X(UDP_HEADER, "udp-header") /* not UDP, or its length is wrong */                        \
	X(UDP_CHECKSUM, "udp-checksum")                                                          \
	X(NOT_OURS, "not-ours")	      /* another address or port */                              \
	X(ADDRESS, "address")	      /* a source nobody could answer */                         \
	X(SHED_SOURCE, "shed-source") /* a stranger's, over its source's rate */                 \
	X(SHED_TOTAL, "shed-total")   /* a stranger's, over the rate for all of them */          \
	/* the tokens' */                                                                        \
	X(COOKIE_STALE, "cookie-stale") /* well-formed, of an epoch that has passed */           \
	X(COOKIE_BAD, "cookie-bad")                                                              \
	X(ECHO_STALE, "echo-stale")                                                              \
	X(TICKET_BAD, "ticket-bad")                                                              \
	X(TICKET_EXPIRED, "ticket-expired")                                                      \
	X(KEY_UNKNOWN, "key-unknown") /* no such domain or pair key */                           \
	X(AUTH, "auth")		      /* the trailer is wrong or absent */                       \
	X(REPLAY, "replay")	      /* seen before, or outside the clock window */             \
	/* the relay's */                                                                        \
	X(ROLE, "role")				/* a verb this end does not take */              \
	X(CONFLICT, "conflict")			/* a transfer's number, used for another one */  \
	X(UNKNOWN_BLOB, "unknown-blob")		/* PULL of what is not (or no longer) here */    \
	X(UNKNOWN_STREAM, "unknown-stream")	/* DATA nobody asked for */                      \
	X(DUPLICATE_DATA, "duplicate-data")	/* DATA that is here already */                  \
	X(UNKNOWN_QUERY, "unknown-query")	/* ANSWER or NOTICE to nothing */                \
	X(CONTROL_BUSY, "control-busy")		/* the ring to the control thread is full */     \
	X(NO_BUFFER, "no-buffer")		/* the packet pool is empty */                   \
	X(NO_ROUTE, "no-route")			/* the kernel has no way there by this port */   \
	X(NO_NEIGHBOUR, "no-neighbour")		/* the next hop does not answer */               \
	X(NEXT_HOP_FULL, "next-hop-full")	/* too many frames wait for a next hop */        \
	X(NEIGHBOUR_BUDGET, "neighbour-budget") /* whose source had too many asked for */        \
	X(OFFER_BUDGET, "offer-budget")		/* an OFFER the target's budget did not allow */ \
	X(NO_LEASE, "no-lease")			/* an OFFER for another relay, not allowed */    \
	X(RATE, "rate")				/* over the rate allowed to one address */       \
	X(TX_FULL, "tx-full")			/* the port did not take it */

enum drop {
	DROP_NONE = 0,
#define X(symbol, name) DROP_##symbol,
	DROP_REASONS(X)
#undef X
		DROP_COUNT
};

/* The name in `oncewire status`; never NULL. */
const char *drop_name(enum drop reason);

#endif
