/* SPDX-License-Identifier: BSD-3-Clause
 * DPDK without hugepages, devices or root, for unit tests.
 */
#ifndef UNIT_EAL_H
#define UNIT_EAL_H

struct rte_mempool;

/* cmocka group set-up and tear-down. */
int unit_eal_start(void **state);
int unit_eal_stop(void **state);
/* A small pool with the private area that struct packet lies in. */
struct rte_mempool *unit_pool(const char *name);

#endif
