/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>

#include "client/lib/fault.h"

int fault_set(struct fault *f, int code, const char *format, ...)
{
	va_list args;

	if (f->code != OW_OK)
		return f->code;
	f->code = code;
	va_start(args, format);
	vsnprintf(f->text, sizeof(f->text), format, args);
	va_end(args);
	return code;
}

const char *ow_strerror(int code)
{
	switch (code) {
	case OW_AGAIN:
		return "not finished";
	case OW_OK:
		return "done";
	case OW_FAILED:
		return "failed";
	case OW_INVALID:
		return "an option is missing or out of range";
	case OW_UNREACHABLE:
		return "the relay does not answer";
	case OW_UNCONFIRMED:
		return "the target did not confirm";
	case OW_REFUSED:
		return "refused";
	case OW_CHANGED:
		return "the file was changed while it was sent";
	case OW_TIMEOUT:
		return "timed out";
	case OW_STOPPED:
		return "stopped";
	case OW_UNKEPT:
		return "delivered, but the relay did not keep it";
	default:
		return "unknown code";
	}
}

const char *ow_version(void)
{
	return ONCEWIRE_VERSION;
}
