/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/drop.h"

static const char *const names[DROP_COUNT] = {[DROP_NONE] = "none",
#define X(symbol, name) [DROP_##symbol] = name,
					      DROP_REASONS(X)
#undef X
};

const char *drop_name(enum drop reason)
{
	return (unsigned int)reason < DROP_COUNT ? names[reason] : "unknown";
}
