/* SPDX-License-Identifier: BSD-3-Clause
 * ERROR.
 */
#include "wire/build.h"

static enum drop error_check(const struct error *e)
{
	return code_valid(e->code, ERROR_CODE_COUNT) ? DROP_NONE : DROP_FIELD;
}

size_t error_encode(uint8_t *buf, size_t cap, uint32_t key, uint64_t conn, const struct error *e)
{
	struct build b;
	struct wire_error *w = build_begin(&b, buf, cap, VERB_ERROR, 0, key, conn);

	if (!w || error_check(e) != DROP_NONE)
		return 0;
	w->code = e->code;
	w->verb = e->verb;
	w->number = put32(e->number);
	w->stream = put64(e->stream);
	field_put(&w->echo, e->echo, sizeof(w->echo));
	build_retry_after(&b, e->retry_after);
	if (e->code == ERROR_LATER)
		build_available(&b, e->available);
	return build_end(&b);
}

enum drop error_decode(const struct frame *f, struct error *e)
{
	const struct wire_error *w = (const struct wire_error *)f->body;

	*e = (struct error){
		.echo = &w->echo,
		.code = w->code,
		.verb = w->verb,
		.number = get32(w->number),
		.stream = get64(w->stream),
		.retry_after = f->retry_after,
		.available = f->available,
	};
	if (get16(w->zero) != 0 || f->has_available != (e->code == ERROR_LATER))
		return DROP_FIELD;
	return error_check(e);
}
