/* SPDX-License-Identifier: BSD-3-Clause
 * One blob on its way into the inbox, and what is remembered of it afterwards.
 */
#ifndef CLIENT_LIB_DELIVERY_H
#define CLIENT_LIB_DELIVERY_H

#include <bsd/sys/tree.h>
#include <sys/queue.h>

#include "client/lib/decryption.h"
#include "client/lib/part.h"
#include "client/lib/contact.h"
#include "wire/pullwin.h"

enum delivery_state {
	DELIVERY_ASKING = 1, /* the relay has not answered our HELLO yet */
	DELIVERY_PULLING,
	DELIVERY_PAUSED,   /* until the next OFFER, or resume_at */
	DELIVERY_COMPLETE, /* the file is there */
	DELIVERY_REFUSED,
};

struct delivery {
	uint8_t state; /* enum delivery_state */
	uint8_t rule;
	uint8_t reason; /* DELIVERY_REFUSED: enum refuse_reason */
	uint8_t meta_len;
	uint16_t leg;
	bool receipt_due; /* ended, but the relay is not known well enough to tell it */
	uint8_t transfer[TRANSFER_SIZE];
	struct ident id;
	uint64_t length;
	struct ticket ticket; /* of the newest OFFER */
	uint8_t meta[META_MAX];
	uint8_t name_len;
	uint8_t name[META_MAX]; /* DELIVERY_COMPLETE: what the source is told */
	bool encrypted;
	uint8_t sealed_key[SEALED_KEY_SIZE];
	uint64_t lifetime;    /* microseconds without an OFFER or progress */
	uint64_t offered;     /* when the newest OFFER came */
	struct contact *peer; /* where to pull from and report to; ended: while receipt_due */
	RB_ENTRY(delivery) offer_link;
	TAILQ_ENTRY(delivery) list_link;    /* those that wait, or those that ended */
	TAILQ_ENTRY(delivery) touched_link; /* those touched; ended: those with receipt_due */

	/* below: only while active */
	RB_ENTRY(delivery) blob_link, due_link;
	uint64_t due; /* when it is looked at next, if nothing touches it before */
	bool touched;
	bool waits;	/* for its relay, or for another one's file: begun in no way yet */
	uint32_t wrong; /* how often all of it was pulled, and was not what the OFFER named */
	/* What it is of: one source's upload, while that is under way, or (0) what is stored. */
	uint64_t attempt;
	uint32_t available; /* chunks that the relay has */
	uint64_t newest;    /* the newest OFFER's attempt, and */
	uint32_t newest_available;
	uint64_t spent;	   /* an attempt that was pulled, and was wrong; 0: none */
	bool gone;	   /* the relay has it no more */
	uint32_t laters;   /* LATERs since a chunk came */
	uint64_t probe_at; /* when more than is said to be there is asked for */
	uint32_t errors;   /* ERRORs that stopped it since data last came */
	uint64_t told_at;  /* peer->heard when it was last told how we stand */
	uint64_t stream;   /* random, but for the low bits: our slot */
	uint64_t receipt_at;
	uint64_t resume_at;
	struct pullwin *window;
	void *bits; /* the window's, pages of their own */
	size_t bits_size;
	struct ident_state *hash;
	uint64_t hashed;	       /* bytes: a contiguous prefix */
	bool verified;		       /* all of it, and it is what the OFFER named */
	struct decryption *decryption; /* NULL: not encrypted */
	uint64_t lent;		       /* bytes that the one has whose file it waits for */
	int copy_fd;		       /* that file, while it is copied; or -1 */
	bool spoilt;		       /* a copy was not what the OFFER named */
	uint64_t kept;		       /* bytes that were here of an earlier one */
	int error;		       /* -errno of a write that failed */
	struct part part;
};

static inline bool delivery_ended(const struct delivery *d)
{
	return d->state == DELIVERY_COMPLETE || d->state == DELIVERY_REFUSED;
}

struct ow_receiver;

/* The relay is known: makes the file and the window, unless it waits for another one's file.
 * Returns the one that goes on for it: d, or that one. */
struct delivery *delivery_begin(struct ow_receiver *r, struct delivery *d, uint64_t now);
/* Pulls all of it, from the beginning. 0 or -ENOMEM. */
int delivery_start(struct ow_receiver *r, struct delivery *d, uint64_t now);
/* DATA of the delivery's relay and stream. Its bytes must stay where they are
 * until delivery_write_gathered(). */
void delivery_data(struct ow_receiver *r, struct delivery *d, const struct data *data,
		   uint64_t came, uint64_t now);
/* Writes what delivery_data() has gathered. */
void delivery_write_gathered(struct ow_receiver *r);
/* Opens the key and metadata of an encrypted one; false: it has ended, because
 * that is impossible. */
bool delivery_unseal(struct ow_receiver *r, struct delivery *d);
/* Hashes what has become contiguous, or decrypts, a few MiB at most, and ends the
 * delivery if that was all. Nothing may be gathered. */
void delivery_settle(struct ow_receiver *r, struct delivery *d, uint64_t now);
/* An ERROR about this stream. */
void delivery_error(struct ow_receiver *r, struct delivery *d, const struct error *e, uint64_t now);
/* Its relay offers it once more, perhaps of another attempt. */
void delivery_offered(struct ow_receiver *r, struct delivery *d, const struct offer *o,
		      uint64_t now);
/* It may go on, if it waited for that OFFER. */
void delivery_unpause(struct delivery *d, const struct offer *o);
/* What its source will be told of the file's name, if it is not what the metadata says. */
void delivery_name_tell(struct delivery *d, const char *taken);
/* Is it offered what was pulled, and was wrong? */
bool delivery_spent(const struct delivery *d, const struct offer *o);
/* Begins anew, with nothing of what has come. A delivery that cannot ends. */
void delivery_restart(struct ow_receiver *r, struct delivery *d, uint64_t now);
/* We were stopped for so long: the delivery's time has not passed meanwhile. */
void delivery_excuse(struct delivery *d, uint64_t stopped);
/* Sends the PULLs and RECEIPTs that are due; gives up on silence. */
void delivery_tick(struct ow_receiver *r, struct delivery *d, uint64_t now);
/* When delivery_tick() or delivery_settle() is due. */
uint64_t delivery_due(const struct delivery *d);
/* Tells the relay where the delivery stands. */
void delivery_report(struct ow_receiver *r, struct delivery *d);
/* Ends it: remembered, and reported to the relay. reason: REFUSE_NONE for complete. */
void delivery_end(struct ow_receiver *r, struct delivery *d, uint8_t reason);
/* It has ended: tells its relay, or will do so when that is known. */
void delivery_conclude(struct ow_receiver *r, struct delivery *d);
/* Is that for lack of descriptors, which others give back? Then it stays as it is, and the user
 * is told, now and then. error: -errno. */
bool delivery_crowded(struct ow_receiver *r, int error);
/* Ends it because we cannot: a warning that says why. error: -errno. */
void delivery_fail(struct ow_receiver *r, struct delivery *d, const char *doing, int error);
/* Ends it as if the OFFER had never come. */
void delivery_forget(struct ow_receiver *r, struct delivery *d);
/* Bytes received. */
uint64_t delivery_bytes(const struct delivery *d);

#endif
