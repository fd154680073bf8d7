/* SPDX-License-Identifier: BSD-3-Clause
 * Who was sent how much, against what came from it: no address that has not
 * proved itself may be sent more IP bytes than it sent, but for one OFFER for
 * each SEND that names it, no larger than that SEND.
 */
#ifndef TESTS_FUZZ_LEDGER_H
#define TESTS_FUZZ_LEDGER_H

#include "tests/unit/relay_box.h"

void ledger_reset(void);
/* A frame is about to be injected. */
void ledger_received(const struct box *b, const struct addr *from, const void *payload, size_t len,
		     uint32_t ip_bytes);
/* The relay sent this. Aborts if it may not. */
void ledger_sent(const struct box_frame *f);
/* The address is known to be willing: a token was minted that says so. */
void ledger_trust(const struct addr *a);

#endif
