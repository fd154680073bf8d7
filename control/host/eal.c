/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/host/eal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_pdump.h>

#include "control/host/eal_files.h"
#include "control/host/hugepages.h"
#include "control/base/log.h"

#define MIB (UINT64_C(1) << 20)
/* The EAL's and its drivers' own: device tables, queues, IPC. */
#define EAL_OWN (32 * MIB)
#define EAL_ARGS 24

static struct {
	cpu_set_t affinity;
	bool hugepages;
	bool running;
} eal;

__attribute__((format(printf, 4, 5))) static int eal_fail(char *why, size_t size, int err,
							  const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, size, format, args);
	va_end(args);
	return err;
}

void eal_prefix(const struct config *c, char prefix[EAL_PREFIX])
{
	snprintf(prefix, EAL_PREFIX, "oncewire-%s", c->instance);
}

bool eal_hugepages(const struct config *c, uint64_t need, uint64_t slab, char *why, size_t why_size)
{
	uint64_t available;
	char prefix[EAL_PREFIX];
	bool mounted;

	why[0] = 0;
	eal.hugepages = false;
	if (!c->hugepages)
		return false;
	eal_prefix(c, prefix);
	hugepages_remove(prefix, false);
	need += EAL_OWN;
	available = hugepages_free(&mounted);
	if (mounted && available >= need) {
		eal.hugepages = true;
		return true;
	}
	snprintf(why, why_size,
		 "no hugepages for %" PRIu64 " MiB of packet memory (%" PRIu64
		 " MiB free), using ordinary pages, which is slower; for these and the slab of "
		 "%" PRIu64 " MiB: %secho %" PRIu64 " > /proc/sys/vm/nr_hugepages",
		 need / MIB, available / MIB, slab / MIB,
		 mounted ? "" : "mkdir -p /dev/hugepages; mount -t hugetlbfs none /dev/hugepages; ",
		 hugepages_wanted(need, slab));
	return false;
}

/* ---- arguments ---- */

struct arguments {
	int argc;
	char *argv[EAL_ARGS + 1];
};

/* A failed allocation leaves the list short by one, which arguments_whole() tells. */
__attribute__((format(printf, 2, 3))) static void argument_add(struct arguments *a,
							       const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (vasprintf(&a->argv[a->argc], format, args) < 0)
		a->argv[a->argc] = NULL;
	va_end(args);
	a->argc++;
}

static bool arguments_whole(const struct arguments *a)
{
	int i;

	for (i = 0; i < a->argc; i++)
		if (!a->argv[i])
			return false;
	return true;
}

static void cpus_print(FILE *f, int cpu)
{
	const char *separator = "";
	int i;

	if (cpu >= 0) {
		fprintf(f, "(%d)", cpu);
		return;
	}
	fputc('(', f);
	for (i = 0; i < RTE_MAX_LCORE; i++) {
		if (!CPU_ISSET(i, &eal.affinity))
			continue;
		fprintf(f, "%s%d", separator, i);
		separator = ",";
	}
	fputc(')', f);
}

/* lcore 0 is control, lcores 1..N are the workers, each with its set of CPUs. */
static char *lcores_text(const struct config *c, const struct port *p)
{
	char *text = NULL;
	size_t size;
	FILE *f;
	int i;

	f = open_memstream(&text, &size);
	if (!f)
		return NULL;
	fputs("0@", f);
	cpus_print(f, c->control_cpu);
	for (i = 0; i < p->workers; i++) {
		fprintf(f, ",%d@", i + 1);
		cpus_print(f, c->worker_cpus[i]);
	}
	fclose(f);
	return text;
}

static void memory_arguments(struct arguments *a, uint64_t eal_memory)
{
	argument_add(a, "-m");
	argument_add(a, "%" PRIu64, (eal_memory + EAL_OWN + MIB - 1) / MIB);
	if (!eal.hugepages)
		argument_add(a, "--no-huge");
}

static int eal_arguments(struct arguments *a, const struct config *c, const struct port *p,
			 const char *progname, uint64_t eal_memory)
{
	char prefix[EAL_PREFIX];
	char *lcores;

	lcores = lcores_text(c, p);
	if (!lcores)
		return -ENOMEM;
	eal_prefix(c, prefix);
	argument_add(a, "%s", progname);
	argument_add(a, "--file-prefix=%s", prefix);
	argument_add(a, "--lcores=%s", lcores);
	argument_add(a, "--main-lcore=0");
	argument_add(a, "--iova-mode=va");
	argument_add(a, "--no-pci");
	argument_add(a, "--log-level=%s", c->log_level);
	/* telemetry warns at every start that nobody uses its old socket; of the
	 * patterns that match a type registered later, the first given counts */
	argument_add(a, "--log-level=lib.telemetry:error");
	/* the types' own levels hide more than this level asks for */
	argument_add(a, "--log-level=*:%s", c->log_level);
	memory_arguments(a, eal_memory);
	argument_add(a, "--vdev=%s", p->vdev);
	free(lcores);
	return arguments_whole(a) ? 0 : -ENOMEM;
}

static void arguments_free(char *const *argv, int argc)
{
	int i;

	for (i = 0; i < argc; i++)
		free(argv[i]);
}

/* ---- start ---- */

static int cpu_check(int cpu, const char *key, char *why, size_t size)
{
	if (cpu < 0 || (cpu < RTE_MAX_LCORE && CPU_ISSET(cpu, &eal.affinity)))
		return 0;
	return eal_fail(why, size, -EINVAL,
			"%s: CPU %d is not one this process may run on; `taskset -p $$` and "
			"`lscpu` show which are",
			key, cpu);
}

static int cpus_check(const struct config *c, const struct port *p, char *why, size_t size)
{
	int i, err;

	err = cpu_check(c->control_cpu, "control_cpu", why, size);
	for (i = 0; i < p->workers && !err; i++)
		err = cpu_check(c->worker_cpus[i], "worker_cpus", why, size);
	return err;
}

static int eal_taken(const struct config *c, char *why, size_t size)
{
	return eal_fail(why, size, -EBUSY,
			"another oncewired with instance = %s runs on this host; give this one "
			"another name",
			c->instance);
}

static int eal_init(const struct config *c, struct arguments *a, char *why, size_t size)
{
	char *argv[EAL_ARGS + 1], prefix[EAL_PREFIX];
	int err;

	eal_prefix(c, prefix);
	err = geteuid() == 0 ? eal_files_prepare(prefix, why, size) : 0;
	if (err)
		return err == -EBUSY ? eal_taken(c, why, size) : err;
	/* the EAL reorders the array it is given */
	memcpy(argv, a->argv, sizeof(argv));
	if (rte_eal_init(a->argc, argv) >= 0)
		return 0;
	if (rte_eal_primary_proc_alive(NULL))
		return eal_taken(c, why, size);
	return eal_fail(why, size, rte_errno ? -rte_errno : -EIO,
			"DPDK does not start: %s; see its messages above",
			rte_errno ? strerror(rte_errno) : "no reason given");
}

int eal_start(const struct config *c, struct port *p, const char *progname, uint64_t eal_memory,
	      char *why, size_t why_size)
{
	struct arguments a = {0};
	int err;

	if (sched_getaffinity(0, sizeof(eal.affinity), &eal.affinity) < 0)
		return eal_fail(why, why_size, -errno, "CPU affinity: %s", strerror(errno));
	err = cpus_check(c, p, why, why_size);
	if (err)
		return err;
	err = eal_arguments(&a, c, p, progname, eal_memory);
	if (err)
		eal_fail(why, why_size, err, "no memory for the EAL's arguments");
	else
		err = eal_init(c, &a, why, why_size);
	arguments_free(a.argv, a.argc);
	eal.running = !err;
	/* dpdk-dumpcap asks this server; without shared memory there is nobody to ask */
	if (eal.running && rte_eal_has_hugepages() && rte_pdump_init() < 0)
		log_line(LOG_WARNING, "warning: dpdk-dumpcap will not work");
	return err;
}

const cpu_set_t *eal_saved_affinity(void)
{
	return &eal.affinity;
}

/* ---- stop ---- */

void eal_stop(const struct config *c)
{
	char runtime[PATH_MAX];
	char prefix[EAL_PREFIX];

	if (!eal.running)
		return;
	eal.running = false;
	snprintf(runtime, sizeof(runtime), "%s", rte_eal_get_runtime_dir());
	eal_prefix(c, prefix);
	/* The EAL closes devices that still exist, and the af_xdp driver's close
	 * detaches whatever XDP program is on the interface. port_stop() closed
	 * what may be closed. */
	if (rte_eal_has_hugepages())
		rte_pdump_uninit();
	if (rte_eth_dev_count_avail() == 0)
		rte_eal_cleanup();
	eal_files_remove(prefix, runtime);
}
