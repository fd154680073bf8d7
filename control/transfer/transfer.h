/* SPDX-License-Identifier: BSD-3-Clause
 * transfer/: what becomes of what workers cannot do alone. A miss: send makes a request
 * of it, request has its life, query asks central for it, upload and attempt take it
 * from its source; fetch has PULLs of what is not in RAM. Between relays: peer knows who
 * they are, serve answers central's QUERYs, notice reports outcomes. possession checks proofs,
 * consent has the leases, keyring_build who may, sweep removes what nobody may ask for.
 */
#ifndef CONTROL_TRANSFER_TRANSFER_H
#define CONTROL_TRANSFER_TRANSFER_H

#include "control/transfer/adopt.h"
#include "control/transfer/attempt.h"
#include "control/transfer/attempt_host.h"
#include "control/transfer/consent.h"
#include "control/transfer/fetch.h"
#include "control/transfer/keyring_build.h"
#include "control/transfer/peer.h"
#include "control/transfer/possession.h"
#include "control/transfer/query.h"
#include "control/transfer/request.h"
#include "control/transfer/serve.h"
#include "control/transfer/sweep.h"
#include "control/transfer/upload.h"

#endif
