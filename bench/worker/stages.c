/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/worker/stages.h"

#include "dataplane/stage.h"

#ifdef WORKER_STAGES
#define MARKS 100000

struct stages worker_stages;

/* Of one mark, in a row of them. */
static double mark_cycles(void)
{
	const struct stages saved = worker_stages;
	const uint64_t begin = rte_rdtsc();
	double each;

	for (unsigned int i = 0; i < MARKS; i++)
		stage_over(STAGE_rest);
	each = (double)(rte_rdtsc() - begin) / MARKS;
	worker_stages = saved;
	return each;
}

void stages_clear(void)
{
	worker_stages = (struct stages){.last = rte_rdtsc()};
}

json_t *stages_json(void)
{
	static const char *const names[STAGE_COUNT] = {
#define X(name) #name,
		STAGES(X)
#undef X
	};
	const double mark = mark_cycles();
	json_t *j = json_object();

	for (unsigned int i = 0; i < STAGE_COUNT; i++)
		json_object_set_new(j, names[i],
				    json_real((double)worker_stages.cycles[i] -
					      mark * (double)worker_stages.marks[i]));
	return j;
}
#else
void stages_clear(void)
{
}

json_t *stages_json(void)
{
	return json_null();
}
#endif
