/* SPDX-License-Identifier: BSD-3-Clause
 * A sender's insides. sender.c runs it, sender_open.c sets it up and takes it
 * down, sender_encrypt.c encrypts, sender_end.c says how it ended, upload.c answers the relay's
 * PULLs.
 */
#ifndef CLIENT_LIB_SENDER_H
#define CLIENT_LIB_SENDER_H

#include "client/lib/fault.h"
#include "client/lib/hosts.h"
#include "client/lib/seal.h"
#include "client/lib/outgoing.h"
#include "client/lib/prefix.h"
#include "client/lib/wait.h"

#define SEND_TIMEOUT_MS 120000 /* default */

struct ow_sender {
	struct fault fault;
	struct udp udp;
	struct udp_rx *rx;
	struct udp_tx *tx;
	struct wait wait;
	struct member member;
	struct contact relay;
	struct hosts relays;  /* what its name stands for; relay is the one in use */
	struct hosts targets; /* likewise */
	struct outgoing upload;

	struct input blob;
	struct ident_state *hash; /* NULL once the identifier is there */
	uint64_t hashed;	  /* bytes */
	uint64_t hashed_before;	  /* of the file, for its content key */
	uint64_t hash_total;	  /* both, in the end */
	struct ident id;
	uint8_t rule;
	uint8_t via; /* enum ow_via */
	uint8_t meta_len;
	uint8_t meta[META_MAX];
	struct addr target; /* of the targets, the one of the relay's family */
	uint8_t transfer[TRANSFER_SIZE];
	uint8_t encrypt; /* enum ow_encrypt, 0: not encrypted */
	struct recipient recipient;
	uint8_t content_secret[CONTENT_KEY_SIZE]; /* the domain's */
	bool has_sealed; /* the blob is encrypted, sealed_key goes with it */
	uint8_t sealed_key[SEALED_KEY_SIZE];

	uint64_t opened, finished; /* microseconds */
	uint64_t patience;	   /* so long without progress, and it is given up */
	uint64_t moved;		   /* when there was progress */
	uint64_t limit;		   /* when it is given up in any case, NEVER: not */
	uint64_t wanted;	   /* when process() was to be called again */
	bool begun;		   /* a relay has answered */
	uint8_t obstacle;	   /* enum refuse_reason, which may pass; in newest REFUSED */
	uint64_t send_at;	   /* when the next SEND is due */
	uint64_t send_wait;	   /* and how long after it the one that follows */
	uint64_t busy_until;	   /* the relay wants no SEND before; 0: it never said */
	struct moved here;	   /* where we were when the relay last spoke of the transfer, */
	uint64_t here_conn;	   /* under this conn; 0: it did not */
	uint32_t unanswered;	   /* SENDs since the relay was last heard */
	uint32_t seen;		   /* bit (1 << enum status_code) */
	uint8_t newest;		   /* enum status_code */
	uint64_t delivered_bytes;  /* as STATUS_DELIVERING says */
	bool challenged, proved;
	struct challenge challenge; /* the newest */
	struct proof proof;	    /* that the blob is here; goes with every SEND */
	uint64_t prove_at;	    /* not before: the next proof */
	uint64_t prove_wait;	    /* and how long after it the one that follows */
	struct prefix
		prefix; /* what a relay kept of an earlier upload; its VOUCH goes with every SEND */
	uint64_t kept;	/* bytes of that, which it does not want again */
	bool delivered;
	bool renamed;
	char target_name[OW_NAME_MAX]; /* "": the one that was given */

	ow_progress_fn *progress;
	void *ctx;
	uint8_t phase;	      /* enum ow_phase last reported */
	uint64_t reported_at; /* when */
	uint64_t reported;    /* bytes */
	uint64_t waits_since; /* when the relay was known to have all of it, 0: not yet */
};

/* ow_sender_process() for who waits without ow_sender_fd(). */
int sender_run(struct ow_sender *s);
/* Has a relay all of it, verified? */
bool sender_stored(const struct ow_sender *s);
/* When process() is due. */
uint64_t sender_due(const struct ow_sender *s);

/* sender_encrypt.c: each returns OW_OK, or sets the fault and returns its code. */
int sender_encrypt_take(struct ow_sender *s, const struct ow_send_options *o);
/* The blob is open; with a random key it is encrypted from now on. */
int sender_encrypt_open(struct ow_sender *s);
/* The SHA-256 of the file is known; the blob is encrypted from now on. */
int sender_encrypt_shared(struct ow_sender *s, const struct ident *digest);

/* sender_end.c. Each sets the fault and returns its code. */
int sender_changed(struct ow_sender *s);
int sender_unreadable(struct ow_sender *s, int error); /* errno */
int sender_unreachable(struct ow_sender *s);
int sender_foreign(struct ow_sender *s);   /* no version in common */
int sender_no_family(struct ow_sender *s); /* the target has no address that the relay can use */
int sender_too_long(struct ow_sender *s);  /* for what the relay takes */
int sender_misnamed(struct ow_sender *s);  /* the relay's role is not `via` */
int sender_refused(struct ow_sender *s, uint8_t reason);
int sender_key_refused(struct ow_sender *s);
int sender_unkept(struct ow_sender *s, uint8_t reason); /* REFUSE_NONE: in time */
int sender_late(struct ow_sender *s, uint64_t now);
/* enum ow_outcome */
int sender_outcome(const struct ow_sender *s);

#endif
