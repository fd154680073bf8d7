/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/worker/run.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_launch.h>

#include "bench/worker/churn.h"
#include "bench/worker/stages.h"

bool run_parse(const char *line, unsigned int workers, struct run_spec *spec)
{
	char word[16] = "";
	int words;

	*spec = (struct run_spec){.workers = 1};
	words = sscanf(line, "run %lf %15s %lf", &spec->seconds, word, &spec->churn);
	if (words == 2 && strcmp(word, "both") == 0 && workers == 2) {
		spec->workers = 2;
		return true;
	}
	spec->control = words > 1;
	return words == 1 || (words == 2 && strcmp(word, "control") == 0) ||
	       (words == 3 && strcmp(word, "churn") == 0 && spec->churn >= 1 && spec->churn <= 1e7);
}

json_t *drops_json(const struct stats *before, const struct stats *after)
{
	json_t *drops = json_object();

	for (unsigned int i = 0; i < DROP_COUNT; i++)
		if (after->drops[i] != before->drops[i])
			json_object_set_new(
				drops, drop_name((enum drop)i),
				json_integer((json_int_t)(after->drops[i] - before->drops[i])));
	return drops;
}

/* Requests that each has had so far. */
static void requests_of(const struct scene *s, uint64_t n[PORTS_WORKERS])
{
	for (unsigned int i = 0; i < s->relay.port.workers; i++)
		n[i] = s->worker[i]->stats.rx_packets;
}

/* Of all workers. */
static struct stats stats_sum(const struct scene *s)
{
	struct stats sum = {0};

	for (unsigned int i = 0; i < s->relay.port.workers; i++) {
		const struct stats *of = &s->worker[i]->stats;

		sum.rx_packets += of->rx_packets;
		sum.tx_packets += of->tx_packets;
		sum.tx_bytes += of->tx_bytes;
		sum.hits += of->hits + of->pulls;
		for (unsigned int d = 0; d < DROP_COUNT; d++)
			sum.drops[d] += of->drops[d];
	}
	return sum;
}

static uint64_t ticks_of(double seconds)
{
	return (uint64_t)(seconds * (double)rte_get_tsc_hz());
}

/* Leaves the CPU to a second worker, but for the last millisecond. */
static void wait_until(uint64_t tsc)
{
	const uint64_t now = rte_rdtsc(), spin = ticks_of(0.001);

	if (tsc > now + spin)
		usleep((useconds_t)((tsc - now - spin) * 1000000 / rte_get_tsc_hz()));
	while (rte_rdtsc() < tsc)
		rte_pause();
}

static json_t *difference(uint64_t before, uint64_t after)
{
	return json_integer((json_int_t)(after - before));
}

static json_t *by_worker(const struct scene *s, unsigned int workers, const uint64_t before[])
{
	uint64_t after[PORTS_WORKERS];
	json_t *j = json_array();

	requests_of(s, after);
	for (unsigned int i = 0; i < workers; i++)
		json_array_append_new(j, difference(before[i], after[i]));
	return j;
}

json_t *run(struct scene *s, const struct run_spec *spec)
{
	uint64_t requests[PORTS_WORKERS];
	const struct stats before = stats_sum(s);
	struct churn churn;
	struct stats after;
	uint64_t begin, end, ticks;
	json_t *j;

	churn_init(&churn, &s->control, spec->churn);
	requests_of(s, requests);
	scene_rewind(s);
	stages_clear();
	atomic_store(&s->relay.stop, false);
	begin = rte_rdtsc();
	end = begin + ticks_of(spec->seconds);
	for (unsigned int i = 0; i < spec->workers; i++)
		rte_eal_remote_launch(worker_run, s->worker[i], worker_lcore(i));
	while (spec->control && rte_rdtsc() < end) {
		churn_turn(&churn, rte_rdtsc() - begin);
		control_turn(&s->control, false);
	}
	wait_until(end);
	atomic_store(&s->relay.stop, true);
	for (unsigned int i = 0; i < spec->workers; i++)
		rte_eal_wait_lcore(worker_lcore(i));
	ticks = rte_rdtsc() - begin;
	after = stats_sum(s);
	j = json_pack("{s:I, s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "cycles",
		      (json_int_t)(ticks * spec->workers), "seconds",
		      (double)ticks / (double)rte_get_tsc_hz(), "requests",
		      difference(before.rx_packets, after.rx_packets), "by_worker",
		      by_worker(s, spec->workers, requests), "frames",
		      difference(before.tx_packets, after.tx_packets), "bytes",
		      difference(before.tx_bytes, after.tx_bytes), "hits",
		      difference(before.hits, after.hits), "drops", drops_json(&before, &after),
		      "stages", spec->workers == 1 ? stages_json() : json_null());
	if (spec->churn > 0)
		json_object_set_new(j, "churn", churn_end(&churn));
	return j;
}
