/* SPDX-License-Identifier: BSD-3-Clause
 * One sample frame of each verb, for the tests, the fuzzer and its seeds.
 */
#ifndef TESTS_UNIT_WIRE_FRAMES_H
#define TESTS_UNIT_WIRE_FRAMES_H

#include "wire/frame.h"

#define SAMPLE_KEY 0x00000702u
#define SAMPLE_CONN UINT64_C(0x1122334455667788)

struct sample {
	const char *name;
	uint8_t verb;
	/* As X_encode: the length, or 0 if cap is too small. */
	size_t (*make)(uint8_t *buf, size_t cap);
};
extern const struct sample samples[];
extern const size_t sample_count;

/* Values that the samples use. */
extern const struct addr sample_ip4, sample_ip6;
extern const struct ident sample_id;
extern const struct ticket sample_ticket;
extern const uint8_t sample_transfer[TRANSFER_SIZE];
extern const uint8_t sample_pair_key[PAIR_KEY_SIZE];

/* The sample of a verb, in a static buffer; parsed. */
struct frame sample_parse(uint8_t verb);

/* Decodes a frame by its verb. */
enum drop frame_decode(const struct frame *f);
/* Decodes a verb's sample with one byte of the body changed. */
enum drop sample_decode_with(uint8_t verb, size_t offset, uint8_t value);
#define DROP_WITH(verb, type, field, value) \
	sample_decode_with(verb, offsetof(struct wire_##type, field), value)
/* Rejected with any byte of a field set that must be zero. */
#define assert_reserved(verb, type, field)                                                     \
	for (size_t i = 0; i < sizeof(((struct wire_##type *)0)->field); i++)                  \
	assert_int_equal(sample_decode_with(verb, offsetof(struct wire_##type, field) + i, 1), \
			 DROP_FIELD)

/* Decodes a frame and encodes what came out. The length, or 0. */
size_t frame_recode(const struct frame *f, uint8_t *buf, size_t cap);

#endif
