/* SPDX-License-Identifier: BSD-3-Clause
 * The failure of a handle: a code, and a sentence that names cause and remedy.
 */
#ifndef CLIENT_LIB_FAULT_H
#define CLIENT_LIB_FAULT_H

#include "client/lib/oncewire.h"

struct fault {
	int code; /* enum ow_code; OW_OK: none */
	char text[OW_MESSAGE_MAX];
};

/* Keeps the first failure; returns its code. */
int fault_set(struct fault *f, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
