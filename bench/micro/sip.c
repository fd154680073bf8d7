/* SPDX-License-Identifier: BSD-3-Clause
 * MACs of a burst, in the lanes of each kind of vector register that the CPU has.
 */
#include <stdio.h>

#include <sodium.h>

#include "bench/content.h"
#include "bench/micro/micro.h"
#include "wire/sip.h"

#define BURST 32

static const struct {
	const char *what;
	size_t len;
} messages[] = {
	{"echo", 36},
	{"ticket", 128},
	{"PULL", 200}, /* what a member's trailer covers */
	{"SEND", 432},
};
#define MESSAGES (sizeof(messages) / sizeof(messages[0]))

static uint8_t key[16], bytes[BURST][512];

/* A burst of messages; one step is one of them. */
static bool hash_run(uint64_t times, const struct sip_way *way, size_t len)
{
	static struct sip jobs[BURST];
	uint8_t right[16];

	for (uint64_t done = 0; done < times; done += BURST) {
		for (unsigned int i = 0; i < BURST; i++)
			sip_set(&jobs[i], key, bytes[i], len);
		way->hash(jobs, sizeof(jobs[0]), BURST);
		micro_use(jobs);
	}
	crypto_shorthash_siphashx24(right, bytes[BURST - 1], len, key);
	return memcmp(jobs[BURST - 1].out, right, sizeof(right)) == 0;
}

/* What is run has no argument of its own. */
#define RUN(w, m)                                                          \
	static bool run_##w##_##m(uint64_t times)                          \
	{                                                                  \
		unsigned int n;                                            \
		return hash_run(times, &sip_ways(&n)[w], messages[m].len); \
	}
#define RUNS(w) RUN(w, 0) RUN(w, 1) RUN(w, 2) RUN(w, 3)
RUNS(0)
RUNS(1)
RUNS(2)
#define OF(w)                                                      \
	{                                                          \
		run_##w##_0, run_##w##_1, run_##w##_2, run_##w##_3 \
	}

void micro_sip(void)
{
	static bool (*const run[][MESSAGES])(uint64_t times) = {OF(0), OF(1), OF(2)};
	static struct micro list[sizeof(run) / sizeof(run[0]) * MESSAGES];
	static char name[sizeof(list) / sizeof(list[0])][48];
	unsigned int ways, count = 0;
	const struct sip_way *way = sip_ways(&ways);

	content_fill(1, 5, key, sizeof(key));
	content_fill(1, 6, bytes[0], sizeof(bytes));
	for (unsigned int w = 0; w < ways; w++)
		for (unsigned int m = 0; m < MESSAGES; m++, count++) {
			snprintf(name[count], sizeof(name[count]), "sip_hash/%s/%s", way[w].name,
				 messages[m].what);
			list[count] = (struct micro){.name = name[count], .run = run[w][m]};
		}
	micro_add(list, count);
}
