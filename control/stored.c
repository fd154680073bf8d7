/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/core.h"

const struct piece *control_blob(const struct control *ctl, const struct ask *a)
{
	const struct blob_name name = ask_blob(a);

	return store_find(&ctl->store, &name);
}
