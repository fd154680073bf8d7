/* SPDX-License-Identifier: BSD-3-Clause
 * A receiver's insides. receiver.c runs it, receiver_open.c sets it up and
 * takes it down, incoming.c takes OFFERs, deliveries.c knows them, delivery.c moves the data,
 * delivery_settle.c makes it a file, twin.c spares a blob's second way, subscription.c keeps the
 * consent alive, contacts.c knows the relays.
 */
#ifndef CLIENT_LIB_RECEIVER_H
#define CLIENT_LIB_RECEIVER_H

#include "client/lib/clock.h"
#include "client/lib/deliveries.h"
#include "client/lib/fault.h"
#include "client/lib/subscription.h"
#include "client/lib/wait.h"

#define PEERS_MAX 192
#define STALLED (2 * SECOND)	 /* without progress: another holder, or attempt, may take over */
#define USABLE_ALL 8		 /* eighths */
#define SETTLE_BYTES (256 << 10) /* read back and hashed at a time */
#define SETTLE_PIECES 16	 /* of these, of one delivery before others have their turn, */
#define SETTLE_PIECES_ALL 32	 /* and of all in one call */

enum receiver_state {
	RECEIVER_RUNNING,
	RECEIVER_LINGERING, /* all files are here; OFFERs are still answered */
	RECEIVER_STOPPING,  /* leases are given back */
	RECEIVER_FINISHED,
};

/* Neighbouring chunks of one delivery, written with one call. */
struct gather {
	struct delivery *delivery;
	uint64_t offset;
	uint64_t end;
	int count;
	struct iovec iov[UDP_BATCH];
};

struct ow_receiver {
	struct fault fault;
	uint8_t state;	      /* enum receiver_state */
	uint64_t state_since; /* microseconds */
	uint64_t offered;     /* when an OFFER of something ended last came */
	struct udp udp;
	struct udp_rx *rx;
	struct udp_tx *tx;
	struct wait wait;
	uint32_t overflow; /* of the receive buffer, as far as it was reckoned with */
	uint32_t usable;   /* eighths of the receive buffer that windows count on */
	uint64_t usable_at;
	struct inbox inbox;
	bool inbox_moved; /* and the user was told */
	bool left;	  /* parts were, since they were last swept */
	bool has_identity;
	struct identity identity; /* opens encrypted files */
	struct gather gather;
	uint8_t *scratch; /* SETTLE_BYTES */
	struct member member;

	struct contact *peers[PEERS_MAX]; /* NULL: free */
	struct subscription leases[SUBSCRIPTIONS_MAX];
	uint32_t subscription_count;
	uint64_t number; /* of the newest LISTEN or STOP */

	struct deliveries deliveries;
	uint32_t settled;   /* pieces, in this call */
	uint64_t warned_at; /* of the last file that could not be opened for too many others */

	char local[ADDR_TEXT_MAX]; /* where it listens, in words */
	bool introduced;	   /* and that was said */
	uint32_t dropped;	   /* deliveries, by being stopped */
	uint32_t files;		   /* arrived */
	uint64_t pulled, copied;   /* bytes of these: a stranger must not fill our disk by OFFERs */
	uint32_t count;		   /* wanted, 0: no end */

	ow_file_fn *file;
	ow_warning_fn *warning;
	ow_notice_fn *notice;
	ow_progress_fn *progress;
	void *ctx;
	uint64_t wanted; /* when process() was to be called again */
	uint64_t reported_at, reported;
};

/* Of the parts that were left too many are removed. */
void receiver_sweep(struct ow_receiver *r);
/* When process() is due. */
uint64_t receiver_due(const struct ow_receiver *r);
/* ow_receiver_process() for who waits without ow_receiver_fd(). */
int receiver_run(struct ow_receiver *r);
/* Takes nothing new: all files are here, or it is ending. */
bool receiver_finished(const struct ow_receiver *r);
void receiver_warn(struct ow_receiver *r, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

void receiver_notice(struct ow_receiver *r, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* incoming.c */
void incoming_take(struct ow_receiver *r, const struct frame *f, const struct addr *from,
		   uint64_t now);

/* contacts.c: NULL if there is none. */
struct contact *contacts_by_conn(struct ow_receiver *r, const struct addr *from, uint64_t conn);
struct contact *contacts_by_addr(struct ow_receiver *r, const struct addr *addr);
/* One to pull from: it has answered, or it may be asked without a key. */
struct contact *contacts_to_pull(struct ow_receiver *r, const struct addr *addr);
/* A new one; member: NULL or ours. NULL: no memory, or too many in use. */
struct contact *contacts_add(struct ow_receiver *r, const struct addr *addr,
			     const struct member *member);
/* Runs every HELLO; drops what waits for a relay that stays silent. */
void contacts_tick(struct ow_receiver *r, uint64_t now);
uint64_t contacts_due(const struct ow_receiver *r);
/* A WELCOME: begins what waited for it. */
void contacts_welcome(struct ow_receiver *r, const struct frame *f, const struct addr *from,
		      uint64_t now);
void contacts_free(struct ow_receiver *r);

#endif
