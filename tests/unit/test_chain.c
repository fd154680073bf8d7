/* SPDX-License-Identifier: BSD-3-Clause
 * Which devices are given frames by reference: those of known drivers, by how they were
 * made; not each one that says it takes chains.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <rte_dev.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>

#include "dataplane/port_part.h"
#include "store/flight.h"
#include "tests/unit/unit_eal.h"

#define WORKERS 2

static void assert_chains(uint16_t id, const char *vdev, bool taken)
{
	struct port p = {.workers = WORKERS, .id = id};
	char why[256] = "";

	snprintf(p.vdev, sizeof(p.vdev), "%s", vdev);
	assert_int_equal(chain_open(&p, id, why, sizeof(why)), 0);
	assert_int_equal(p.flights != NULL, taken);
	for (unsigned int i = 0; i < WORKERS; i++) {
		assert_int_equal(p.chain_pool[i] != NULL, taken);
		rte_mempool_free(p.chain_pool[i]);
	}
	assert_null(p.chain_pool[WORKERS]);
	flights_destroy(p.flights);
}

/* said: what more its port's line has. */
static void device(const char *name, const char *arguments, const char *said, bool taken)
{
	char vdev[256];
	uint16_t id;

	assert_int_equal(rte_eal_hotplug_add("vdev", name, arguments), 0);
	assert_int_equal(rte_eth_dev_get_port_by_name(name, &id), 0);
	snprintf(vdev, sizeof(vdev), "%s,%s%s", name, arguments, said);
	assert_chains(id, vdev, taken);
	assert_int_equal(rte_eal_hotplug_remove("vdev", name), 0);
}

/* It takes chains, and does not say so. */
static void null_is_known_good(void **state)
{
	(void)state;
	device("net_null0", "", "", true);
}

/* The driver itself wants more of the EAL for it than there is here. */
static void memif_only_if_it_copies(void **state)
{
	char arguments[128];

	(void)state;
	snprintf(arguments, sizeof(arguments), "socket-abstract=yes,socket=unit-%d,id=1", getpid());
	device("net_memif0", arguments, "", true);
	device("net_memif1", arguments, ",zero-copy=yes", false);
}

static void for_others_bytes_are_copied(void **state)
{
	(void)state;
	device("net_pcap0", "tx_pcap=/dev/null", "", false);
}

static void no_room_is_an_error(void **state)
{
	struct port p = {.workers = 1};
	char why[256] = "";
	struct rte_mempool *taken = rte_pktmbuf_pool_create("chains-0", 7, 0, 0, 0, SOCKET_ID_ANY);

	(void)state;
	assert_non_null(taken);
	assert_int_equal(rte_eal_hotplug_add("vdev", "net_null1", ""), 0);
	assert_int_equal(rte_eth_dev_get_port_by_name("net_null1", &p.id), 0);
	assert_int_equal(chain_open(&p, p.id, why, sizeof(why)), -EEXIST);
	assert_non_null(strstr(why, "zero_copy = off"));
	assert_int_equal(rte_eal_hotplug_remove("vdev", "net_null1"), 0);
	rte_mempool_free(taken);
	flights_destroy(p.flights);
}

/* What port_memory() reckons with. */
static void memory_is_reckoned(void **state)
{
	struct port p = {.workers = 1};
	char why[256] = "";
	const struct rte_mempool *mp;

	(void)state;
	assert_int_equal(rte_eal_hotplug_add("vdev", "net_null2", ""), 0);
	assert_int_equal(rte_eth_dev_get_port_by_name("net_null2", &p.id), 0);
	assert_int_equal(chain_open(&p, p.id, why, sizeof(why)), 0);
	mp = p.chain_pool[0];
	assert_true(chain_memory() >=
		    (uint64_t)mp->size * (mp->header_size + mp->elt_size + mp->trailer_size));
	assert_int_equal(rte_eal_hotplug_remove("vdev", "net_null2"), 0);
	rte_mempool_free(p.chain_pool[0]);
	flights_destroy(p.flights);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(null_is_known_good),
		cmocka_unit_test(memif_only_if_it_copies),
		cmocka_unit_test(for_others_bytes_are_copied),
		cmocka_unit_test(no_room_is_an_error),
		cmocka_unit_test(memory_is_reckoned),
	};

	return cmocka_run_group_tests_name("chain", tests, unit_eal_start, unit_eal_stop);
}
