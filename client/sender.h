/* SPDX-License-Identifier: BSD-3-Clause
 * A sender's insides. sender.c runs it, sender_open.c sets it up and takes it
 * down, upload.c answers the relay's PULLs.
 */
#ifndef CLIENT_SENDER_H
#define CLIENT_SENDER_H

#include "client/fault.h"
#include "client/upload.h"

#define SEND_TIMEOUT_MS 300000 /* default */

struct ow_sender {
	struct fault fault;
	struct udp udp;
	struct udp_rx *rx;
	struct udp_tx *tx;
	struct peer relay;
	struct upload upload;

	struct blob blob;
	struct ident_state *hash; /* NULL once the identifier is there */
	uint64_t hashed;	  /* bytes */
	struct ident id;
	uint8_t rule;
	uint8_t via; /* enum ow_via */
	uint8_t meta_len;
	uint8_t meta[META_MAX];
	struct addr target;
	uint8_t transfer[TRANSFER_SIZE];

	uint64_t opened, deadline, finished; /* microseconds */
	uint64_t send_at;		     /* when the next SEND is due */
	uint64_t send_wait;		     /* and how long after it the one that follows */
	uint32_t unanswered;		     /* SENDs since the relay was last heard */
	uint32_t seen;			     /* bit (1 << enum status_code) */
	uint8_t newest;			     /* enum status_code */
	uint64_t delivered_bytes;	     /* as STATUS_DELIVERING says */
	bool delivered;
	bool renamed;

	ow_progress_fn *progress;
	void *ctx;
	uint8_t phase;	      /* enum ow_phase last reported */
	uint64_t reported_at; /* when */
	uint64_t reported;    /* bytes */
};

/* When process() is due. */
uint64_t sender_due(const struct ow_sender *s);

#endif
