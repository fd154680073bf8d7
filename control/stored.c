/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/core.h"

const struct blob *control_blob(struct control *ctl, const struct index_key *pad,
				const struct ask *a)
{
	return store_get(&ctl->store, pad, ask_domain(a), &a->id, a->rule, a->length);
}
