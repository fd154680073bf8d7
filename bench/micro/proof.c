/* SPDX-License-Identifier: BSD-3-Clause
 * A proof of possession, once its chunks are read.
 */
#include "bench/content.h"
#include "bench/micro/member.h"
#include "bench/micro/micro.h"

#define BLOB_LENGTH (UINT64_C(100) << 20)

static const struct challenge challenge;
static uint8_t chunks[PROOF_CHUNKS * CHUNK_SIZE];

static bool pick_run(uint64_t times)
{
	uint32_t chunk[PROOF_CHUNKS];
	bool ok = true;

	while (times-- > 0) {
		ok &= proof_pick(&challenge, BLOB_LENGTH, chunk) == PROOF_CHUNKS;
		micro_use(chunk);
	}
	return ok;
}

static bool make_run(uint64_t times)
{
	const struct ident *id = &member_get()->id;
	struct proof p = {0};

	while (times-- > 0) {
		proof_make(&challenge, id, chunks, sizeof(chunks), &p);
		micro_use(&p);
	}
	return proof_check(&p, id, chunks, sizeof(chunks));
}

void micro_proof(void)
{
	static const struct micro list[] = {
		{.name = "proof_pick", .run = pick_run},
		{.name = "proof_make", .run = make_run, .bytes = sizeof(chunks)},
	};

	content_fill(1, 4, chunks, sizeof(chunks));
	micro_add(list, sizeof(list) / sizeof(list[0]));
}
