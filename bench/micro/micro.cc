// SPDX-License-Identifier: BSD-3-Clause
#include <benchmark/benchmark.h>

#include "bench/micro/micro.h"

// So many at a time, which makes the call through a pointer cost nothing.
static const uint64_t batch = 256;

static bool failed;

static void micro_run(benchmark::State &state, const struct micro *m)
{
	while (state.KeepRunningBatch(batch)) {
		if (!m->run(batch)) {
			failed = true;
			state.SkipWithError("a wrong result");
			return;
		}
	}
	if (m->bytes != 0)
		state.SetBytesProcessed(state.iterations() * (int64_t)m->bytes);
}

void micro_add(const struct micro *list, size_t count)
{
	for (const struct micro *m = list; m < list + count; m++)
		benchmark::RegisterBenchmark(m->name, micro_run, m);
}

int micro_main(int argc, char **argv)
{
	benchmark::Initialize(&argc, argv);
	if (benchmark::ReportUnrecognizedArguments(argc, argv))
		return 2;
	if (benchmark::RunSpecifiedBenchmarks() == 0)
		return 1;
	benchmark::Shutdown();
	return failed ? 1 : 0;
}
