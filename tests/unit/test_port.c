/* SPDX-License-Identifier: BSD-3-Clause
 * What a port decides before DPDK sees it: the interface's state, the locks,
 * the kernel's socket, the XDP program that is already there. Works on the
 * loopback interface of a network namespace of its own. Needs root.
 */
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/if_link.h>

#include "dataplane/message.h"
#include "dataplane/port_part.h"

#define SKIPPED 77 /* meson's */
#define BUFFERS 16384

static char why[512];

static int prepare_at(struct port *p, const char *spec, const char *address)
{
	struct addr_pair listen = {0};
	struct addr a;

	assert_int_equal(addr_parse(address, 0, &a), 0);
	*(a.type == ADDR_IP6 ? &listen.ip6 : &listen.ip4) = a;
	why[0] = 0;
	return port_prepare(p, spec, &listen, 1, STEER_BUILT, false, why, sizeof(why));
}

static int prepare(struct port *p, const char *spec)
{
	return prepare_at(p, spec, "127.0.0.1:4870");
}

static void assert_why(const char *part)
{
	if (!strstr(why, part))
		fail_msg("\"%s\" does not say \"%s\"", why, part);
	assert_null(strchr(why, '\n'));
}

static void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("'%s' failed", command);
}

static uint32_t attached(void)
{
	uint32_t id = 0;

	assert_int_equal(bpf_xdp_query_id(if_nametoindex("lo"), 0, &id), 0);
	return id;
}

static void wrong_specs_refused(void **state)
{
	struct port p;

	(void)state;
	assert_int_equal(prepare(&p, "eth0"), -EINVAL);
	assert_why("af_xdp:INTERFACE or vdev:DEVICE");
	assert_int_equal(prepare(&p, "af_xdp:"), -EINVAL);
	assert_int_equal(prepare(&p, "af_xdp:a-name-of-16-chr"), -EINVAL);
	assert_int_equal(prepare(&p, "af_xdp:lo,xdp_prog=x"), -EINVAL);
	assert_int_equal(prepare(&p, "af_xdp:nosuch"), -ENODEV);
	assert_why("nosuch");
	assert_int_equal(prepare(&p, "vdev:"), -EINVAL);
	assert_int_equal(prepare(&p, "vdev:net_af_xdp0,iface=lo"), -EINVAL);
	assert_why("af_xdp:");
}

static void program_must_be_readable(void **state)
{
	struct addr_pair listen = {0};
	struct port p;

	(void)state;
	assert_int_equal(addr_parse("127.0.0.1:4870", 0, &listen.ip4), 0);
	assert_int_equal(port_prepare(&p, "af_xdp:lo", &listen, 1, "/nonexistent/steer.o", false,
				      why, sizeof(why)),
			 -ENOENT);
	assert_why("xdp_program");
}

static void workers_are_bounded(void **state)
{
	struct addr_pair listen = {0};
	struct port p;

	(void)state;
	assert_int_equal(addr_parse("127.0.0.1:4870", 0, &listen.ip4), 0);
	assert_int_equal(
		port_prepare(&p, "vdev:net_null0", &listen, 0, "", false, why, sizeof(why)),
		-EINVAL);
	assert_int_equal(port_prepare(&p, "vdev:net_null0", &listen, PORT_WORKERS + 1, "", false,
				      why, sizeof(why)),
			 -EINVAL);
	/* loopback has one queue */
	assert_int_equal(
		port_prepare(&p, "af_xdp:lo", &listen, 2, STEER_BUILT, false, why, sizeof(why)),
		-EINVAL);
	assert_why("1 queues for 2 workers");
}

static void down_interface_refused(void **state)
{
	struct port p;

	(void)state;
	run("ip link set lo down");
	assert_int_equal(prepare(&p, "af_xdp:lo"), -ENETDOWN);
	assert_why("ip link set lo up");
	run("ip link set lo up");
}

static void vdev_string_and_copy_mode(void **state)
{
	struct addr_pair listen = {0};
	struct port p;

	(void)state;
	assert_int_equal(prepare(&p, "af_xdp:lo"), 0);
	assert_string_equal(p.vdev, "net_af_xdp0,iface=lo,start_queue=0,queue_count=1,"
				    "busy_budget=0,xdp_prog=" STEER_BUILT);
	assert_int_equal(p.ifindex, if_nametoindex("lo"));
	port_release(&p);
	assert_int_equal(addr_parse("127.0.0.1:4870", 0, &listen.ip4), 0);
	assert_int_equal(
		port_prepare(&p, "af_xdp:lo", &listen, 1, STEER_BUILT, true, why, sizeof(why)), 0);
	assert_non_null(strstr(p.vdev, ",force_copy=1"));
	port_release(&p);
}

static void second_relay_refused(void **state)
{
	struct port first, second;

	(void)state;
	assert_int_equal(prepare(&first, "af_xdp:lo"), 0);
	assert_int_equal(prepare_at(&second, "af_xdp:lo", "127.0.0.2:4999"), -EADDRINUSE);
	assert_why("another oncewired");
	port_release(&first);
	assert_int_equal(prepare(&second, "af_xdp:lo"), 0);
	port_release(&second);
}

/* The kernel keeps a killed relay's lock until it has freed its memory. */
static void dying_relay_is_waited_for(void **state)
{
	struct port first, second;
	pid_t child;
	int status;

	(void)state;
	assert_int_equal(prepare(&first, "af_xdp:lo"), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) { /* holds the lock a little longer than its owner */
		usleep(300000);
		_exit(0);
	}
	port_release(&first);
	assert_int_equal(prepare(&second, "af_xdp:lo"), 0);
	port_release(&second);
	assert_int_equal(waitpid(child, &status, 0), child);
}

/* The driver would detach the first one's program. */
static void second_name_is_the_same_interface(void **state)
{
	struct port first, second;

	(void)state;
	run("ip link property add dev lo altname loop");
	assert_int_equal(prepare(&first, "af_xdp:loop"), 0);
	assert_string_equal(first.ifname, "lo");
	assert_non_null(strstr(first.vdev, "iface=lo,"));
	assert_int_equal(prepare_at(&second, "vdev:net_af_packet0,iface=loop", "127.0.0.2:4999"),
			 -EADDRINUSE);
	assert_why("another oncewired");
	port_release(&first);
	run("ip link property del dev lo altname loop");
}

static void listen_address_checked(void **state)
{
	struct port p;

	(void)state;
	assert_int_equal(prepare_at(&p, "af_xdp:lo", "192.0.2.1:4870"), -EADDRNOTAVAIL);
	assert_why("192.0.2.1");
	/* nothing was left behind: the lock is free again */
	assert_int_equal(prepare_at(&p, "af_xdp:lo", "[::1]:4870"), 0);
	assert_true(p.kernel_fd[1] >= 0);
	port_release(&p);
}

static void used_port_refused(void **state)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct port p, q;
	int fd;

	(void)state;
	assert_int_equal(prepare(&p, "af_xdp:lo"), 0);
	assert_int_equal(getsockname(p.kernel_fd[0], (struct sockaddr *)&ss, &len), 0);
	port_release(&p);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(prepare(&p, "af_xdp:lo"), -EADDRINUSE);
	assert_why("127.0.0.1:4870");
	/* two relays on one address, whatever their ports are */
	assert_int_equal(prepare(&q, "vdev:net_af_packet0,iface=lo"), -EADDRINUSE);
	close(fd);
}

/* No stray packet may draw an ICMP error or pile up in the kernel's socket. */
static void kernel_socket_swallows(void **state)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct port p;
	char byte = 0;
	int fd;

	(void)state;
	assert_int_equal(prepare(&p, "af_xdp:lo"), 0);
	assert_int_equal(getsockname(p.kernel_fd[0], (struct sockaddr *)&ss, &len), 0);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(send(fd, &byte, 1, 0), 1);
	/* an ICMP error would fail the second one */
	assert_int_equal(send(fd, &byte, 1, 0), 1);
	assert_int_equal(recv(p.kernel_fd[0], &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	close(fd);
	port_release(&p);
}

static void vdev_shares_only_what_exists(void **state)
{
	struct port p;

	(void)state;
	assert_int_equal(prepare(&p, "vdev:net_af_packet0,iface=lo,blocksz=4096"), 0);
	assert_string_equal(p.ifname, "lo");
	assert_int_equal(p.ifindex, if_nametoindex("lo"));
	assert_true(p.lock_fd >= 0 && p.kernel_fd[0] >= 0);
	port_release(&p);
	/* a tap's far end is the kernel: there is nothing to share */
	assert_int_equal(prepare(&p, "vdev:net_tap0,iface=lo"), 0);
	assert_int_equal(p.ifindex, 0);
	assert_false(port_in_kernel(&p));
	port_release(&p);
	/* the kernel has no such address, so it sends no ICMP for it */
	assert_int_equal(prepare_at(&p, "vdev:net_af_packet0,iface=lo", "192.0.2.1:4870"), 0);
	assert_false(port_in_kernel(&p));
	port_release(&p);
}

/* A program with our name, but not with our map. */
static int foreign_program(void)
{
	const struct bpf_insn pass[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "steer", "GPL", pass, 2, NULL);
}

static void foreign_program_refused_and_left(void **state)
{
	const int lo = (int)if_nametoindex("lo");
	struct port p;
	uint32_t id;
	int fd;

	(void)state;
	fd = foreign_program();
	assert_true(fd >= 0);
	assert_int_equal(bpf_xdp_attach(lo, fd, XDP_FLAGS_SKB_MODE, NULL), 0);
	id = attached();
	assert_int_equal(prepare(&p, "af_xdp:lo"), -EBUSY);
	assert_why("ip link set dev lo xdpgeneric off");
	assert_int_equal(attached(), id);
	assert_int_equal(bpf_xdp_detach(lo, XDP_FLAGS_SKB_MODE, NULL), 0);
	close(fd);
}

static void leftover_program_removed(void **state)
{
	const int lo = (int)if_nametoindex("lo");
	struct bpf_object *object;
	struct port p;
	int fd;

	(void)state;
	object = bpf_object__open_file(STEER_BUILT, NULL);
	assert_non_null(object);
	assert_int_equal(bpf_object__load(object), 0);
	fd = bpf_program__fd(bpf_object__next_program(object, NULL));
	assert_int_equal(bpf_xdp_attach(lo, fd, XDP_FLAGS_SKB_MODE, NULL), 0);
	bpf_object__close(object);
	assert_int_not_equal(attached(), 0);
	assert_int_equal(prepare(&p, "af_xdp:lo"), 0);
	assert_int_equal(attached(), 0);
	port_release(&p);
}

/* A control thread that does not get to run keeps what its rings hold; the port must
 * receive all the same. */
static void pool_covers_every_ring(void **state)
{
	(void)state;
	assert_true(pool_minimum(PORT_AF_XDP) >= PORT_XDP_FILL + 3 * PORT_XDP_RING +
							 RING_TO_CONTROL - 1 + RING_TO_WORKER - 1 +
							 PENDING_TOTAL);
	assert_true(pool_minimum(PORT_VDEV) >=
		    2 * PORT_VDEV_RING + RING_TO_CONTROL - 1 + RING_TO_WORKER - 1 + PENDING_TOTAL);
	assert_true(pool_minimum(PORT_AF_XDP) < 24576); /* packet_buffers' default */
}

static void memory_grows_with_buffers(void **state)
{
	(void)state;
	assert_true(port_memory(1, BUFFERS) > (uint64_t)BUFFERS * 4096);
	assert_true(port_memory(3, BUFFERS) >= 3 * port_memory(1, BUFFERS));
	assert_true(port_memory(PORT_WORKERS, 1u << 20) > UINT64_C(1) << 36);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_specs_refused),
		cmocka_unit_test(program_must_be_readable),
		cmocka_unit_test(workers_are_bounded),
		cmocka_unit_test(down_interface_refused),
		cmocka_unit_test(vdev_string_and_copy_mode),
		cmocka_unit_test(second_relay_refused),
		cmocka_unit_test(dying_relay_is_waited_for),
		cmocka_unit_test(second_name_is_the_same_interface),
		cmocka_unit_test(listen_address_checked),
		cmocka_unit_test(used_port_refused),
		cmocka_unit_test(kernel_socket_swallows),
		cmocka_unit_test(vdev_shares_only_what_exists),
		cmocka_unit_test(foreign_program_refused_and_left),
		cmocka_unit_test(leftover_program_removed),
		cmocka_unit_test(pool_covers_every_ring),
		cmocka_unit_test(memory_grows_with_buffers),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "skipped: network namespaces and XDP need root\n");
		return SKIPPED;
	}
	if (unshare(CLONE_NEWNET) < 0) {
		perror("unshare");
		return 1;
	}
	run("ip link set lo up");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
