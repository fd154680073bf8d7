/* SPDX-License-Identifier: BSD-3-Clause
 * From bytes to fields.
 */
#include "bench/micro/member.h"
#include "bench/micro/micro.h"

static uint8_t send_bytes[WIRE_MAX_FRAME], pull_bytes[WIRE_MAX_FRAME];
static size_t send_len, pull_len;

static bool send_run(uint64_t times)
{
	struct frame f;
	struct send s;
	bool ok = true;

	while (times-- > 0) {
		ok &= frame_parse(send_bytes, send_len, &f) == DROP_NONE &&
		      send_decode(&f, &s) == DROP_NONE;
		micro_use(&s);
	}
	return ok;
}

static bool pull_run(uint64_t times)
{
	struct frame f;
	struct pull p;
	bool ok = true;

	while (times-- > 0) {
		ok &= frame_parse(pull_bytes, pull_len, &f) == DROP_NONE &&
		      pull_decode(&f, &p) == DROP_NONE;
		micro_use(&p);
	}
	return ok;
}

void micro_frame(void)
{
	static const struct micro list[] = {
		{.name = "frame_decode/SEND", .run = send_run},
		{.name = "frame_decode/PULL", .run = pull_run},
	};
	struct frame f;

	member_frame(MEMBER_SEND, send_bytes, &f);
	send_len = f.len;
	member_frame(MEMBER_PULL, pull_bytes, &f);
	pull_len = f.len;
	micro_add(list, sizeof(list) / sizeof(list[0]));
}
