/* SPDX-License-Identifier: BSD-3-Clause
 * A network in the hands of a test. In a program linked with --wrap=sendmmsg and
 * --wrap=recvmmsg, datagrams between its IPv4 sockets on loopback go through
 * memory: they are there at once, in order, however busy the machine is.
 */
#ifndef TESTS_UNIT_UNIT_NET_H
#define TESTS_UNIT_UNIT_NET_H

/* Drops what is under way. */
void unit_net_reset(void);

#endif
