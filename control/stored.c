/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/core.h"

const struct blob *control_blob(struct control *ctl, const struct index_key *pad,
				const struct ask *a)
{
	const struct index_key key = index_key_make(pad, &a->id);
	const uint32_t no = index_lookup(ctl->relay->index, &key);
	const struct blob *b = no != BLOB_NONE ? slab_blob(&ctl->relay->slab, no) : NULL;

	return b != NULL && blob_match(b, ask_domain(a), &a->id, a->rule, a->length) ? b : NULL;
}
