/* SPDX-License-Identifier: BSD-3-Clause
 * A small relay for the tests of the client: one blob, one source, one target,
 * on a loopback socket, in the test's own thread.
 */
#ifndef TESTS_CLIENT_RELAY_H
#define TESTS_CLIENT_RELAY_H

#include "client/lib/udp.h"
#include "wire/pullwin.h"

struct relay {
	struct udp udp;
	struct addr addr;
	struct token_ring keys;
	struct udp_rx *rx;
	struct udp_tx tx;

	/* how it behaves */
	uint32_t loss;	       /* frames in a thousand lost, in each direction */
	uint8_t serving;       /* enum status_code of a hit, */
	uint8_t first;	       /* and of the first SEND, if that is not 0 */
	uint8_t refuse;	       /* enum refuse_reason of every SEND, 0: none */
	uint8_t refuse_later;  /* the same, but of the second to the fourth only */
	uint32_t sends;	       /* answered */
	bool central;	       /* says that it is one */
	uint16_t longest;      /* MiB that it says it takes, 0: nothing */
	uint8_t speaks;	       /* another version than ours, 0: ours */
	bool deaf;	       /* answers nothing */
	bool mute_offers;      /* never tells the target */
	bool elsewhere;	       /* WELCOME names this relay's address, asked under another */
	uint32_t corrupt;      /* DATA frames to falsify */
	uint32_t stale;	       /* frames with a cookie to answer with ERROR(STALE) */
	uint32_t lose_verb;    /* a verb of which the next frame is lost, either way */
	struct relay *holder;  /* offers name it */
	const struct addr *to; /* target used instead of the SEND's */
	bool hide_inline;      /* never put the blob into the OFFER */
	bool possession;       /* challenges who sends what is stored */
	uint32_t busy;	       /* SENDs and LISTENs to answer with ERROR(BUSY) */
	uint32_t retry_after;  /* milliseconds, in that ERROR */

	/* while something is uploaded to it: */
	bool streams;		/* it offers what has come, */
	uint32_t stops_at;	/* but no more than so many chunks until LATERS_MOST; 0: no limit */
	uint32_t wrong_until;	/* so many chunks are wrong; then the attempt ends, and another one,
				 * which is right, takes its place. 0: there is one alone */
	uint64_t attempt;	/* 0: nothing has come, or it is stored: */
	uint64_t kept;		/* that attempt */
	uint32_t laters;	/* PULLs answered by ERROR(LATER) */
	uint32_t partial;	/* DATA sent of it */
	uint32_t served;	/* DATA sent, of whatever, */
	uint32_t serves_most;	/* and no more than so many; 0: no limit */
	uint64_t stream, of;	/* of the newest PULL, and the attempt that it named */
	uint32_t mixed;		/* PULLs that named another one under the same stream */
	uint32_t gone;		/* PULLs of an attempt that it has not (any more) */
	uint32_t prefix_chunks; /* it has so many of an earlier upload, */
	const uint8_t *prefix;	/* these; */
	uint32_t vouched, unvouched; /* VOUCHes that were right, or not */
	uint32_t below;		     /* chunks of these that were sent all the same */
	uint8_t unkept; /* enum refuse_reason, said once it is delivered; 0: it is stored */

	/* its domain */
	const struct domain_keys *domain; /* NULL: none, open to all */
	uint32_t key;			  /* the header's key field of its members */
	const struct addr *seen;	  /* the client's address as it sees it; NULL: truly */
	bool careless;			  /* signs nothing */
	uint32_t lies;			  /* SENDs to answer with an unsigned ERROR(KEY) as well */
	uint32_t forged;    /* STATUS(DELIVERED)s of somebody else, before each answer */
	const char *lie;    /* what it says the target called the file; NULL: the truth */
	bool forged_signed; /* with a signature, under another key */

	/* the store */
	bool stored;
	uint8_t *bytes;
	uint64_t length;
	struct ident id;
	uint8_t rule;

	/* the upload */
	bool uploading;
	struct pullwin window;
	void *bits;

	uint64_t busy_until;

	/* the transfer */
	struct addr source;
	uint64_t source_conn;
	uint32_t source_key;
	uint8_t transfer[TRANSFER_SIZE];
	bool sent; /* a SEND came */
	uint8_t meta[META_MAX];
	uint8_t meta_len;
	bool has_sealed;
	uint8_t sealed_key[SEALED_KEY_SIZE];

	/* the lease */
	struct addr lease;
	uint64_t lease_conn;
	uint64_t lease_number;

	/* what happened */
	uint32_t random;
	uint32_t frames[VERB_COUNT]; /* heard, by verb */
	uint32_t offers;
	uint32_t inlined;
	uint32_t unserved; /* PULLs answered by an ERROR */
	uint32_t challenges;
	uint32_t hasty;			  /* SENDs and LISTENs before retry_after was over */
	uint32_t signed_by[VERB_COUNT];	  /* frames with a member's good signature */
	uint32_t unsigned_by[VERB_COUNT]; /* a member's, without: dropped */
	uint8_t receipt;		  /* the newest RECEIPT's code */
	uint8_t reason;			  /* and reason */
};

#define LATERS_MOST 10

/* The address a socket is bound to; 0 or -1. */
int socket_local(const struct udp *u, struct addr *out);
void relay_open(struct relay *r, uint32_t seed);
void relay_close(struct relay *r);
/* Puts a blob into the store; relay_close frees the copy. */
void relay_store(struct relay *r, const void *bytes, uint64_t length);
/* Handles what has come and what is due. */
void relay_run(struct relay *r);
/* Sends the target an OFFER of the newest SEND (again). */
void relay_offer(struct relay *r);
const char *relay_text(const struct relay *r, char *buf);

#endif
