/* SPDX-License-Identifier: BSD-3-Clause
 * A worker's life: poll, process, answer control, rest.
 */
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_pause.h>

#include "dataplane/worker.h"

#define SPIN_POLLS 256	      /* empty polls before an adaptive worker sleeps */
#define SLEEP_NS 100000000    /* with something to wake it */
#define SLEEP_BLIND_NS 100000 /* when the port has nothing that could */

static struct rte_ring *ring_create(const char *what, uint16_t id, unsigned int size, int socket)
{
	char name[RTE_RING_NAMESIZE];

	snprintf(name, sizeof(name), "%s-%u", what, id);
	return rte_ring_create_elem(name, sizeof(struct message), size, socket,
				    RING_F_SP_ENQ | RING_F_SC_DEQ);
}

struct worker *worker_create(struct relay *relay, uint16_t id, int socket)
{
	struct worker *w = rte_zmalloc_socket("worker", sizeof(*w), RTE_CACHE_LINE_SIZE, socket);

	if (w == NULL)
		return NULL;
	w->relay = relay;
	w->id = id;
	w->pool = relay->port.pool[id];
	w->chain_pool = relay->port.chain_pool[id];
	w->touched = cache_reader(relay->cache, id);
	w->bell.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	w->to_control = ring_create("to-control", id, RING_TO_CONTROL, socket);
	w->from_control = ring_create("from-control", id, RING_TO_WORKER, socket);
	if (w->bell.fd < 0 || w->to_control == NULL || w->from_control == NULL) {
		worker_destroy(w);
		return NULL;
	}
	shed_init(&w->shed, &relay->strangers, relay->port.workers, &relay->stranger_source);
	return w;
}

static void ring_drain(struct rte_ring *r)
{
	struct message m;

	while (r != NULL && message_get(r, &m, 1) == 1)
		if (m.kind != MESSAGE_CHUNK)
			rte_pktmbuf_free(m.mbuf);
	rte_ring_free(r);
}

void worker_destroy(struct worker *w)
{
	if (w == NULL)
		return;
	ring_drain(w->to_control);
	ring_drain(w->from_control);
	if (w->bell.fd >= 0)
		close(w->bell.fd);
	rte_free(w);
}

static unsigned int control_serve(struct worker *w)
{
	struct message msg[WORKER_BURST];
	unsigned int n = message_get(w->from_control, msg, WORKER_BURST);

	for (unsigned int i = 0; i < n; i++)
		egress_send(w, msg[i].mbuf);
	return n;
}

/* Blocks until a packet, control's bell, or the cap. The port's fd is level-
 * triggered, so a packet that came before is not missed. */
static void worker_sleep(struct worker *w)
{
	struct relay *r = w->relay;
	struct pollfd fds[2] = {
		{.fd = w->bell.fd, .events = POLLIN},
		{.fd = r->port.rx_fd[w->id], .events = POLLIN},
	};
	struct timespec cap = {.tv_nsec = fds[1].fd >= 0 ? SLEEP_NS : SLEEP_BLIND_NS};

	atomic_store_explicit(&w->bell.sleeping, 1, memory_order_relaxed);
	/* `sleeping` must be visible before the ring is looked at again */
	atomic_thread_fence(memory_order_seq_cst);
	if (rte_ring_empty(w->from_control) &&
	    !atomic_load_explicit(&r->stop, memory_order_relaxed)) {
		rte_rcu_qsbr_thread_offline(r->qsbr, w->id);
		w->stats.sleeps++;
		/* a signal or a timeout is as good as an event here */
		(void)ppoll(fds, fds[1].fd >= 0 ? 2 : 1, &cap, NULL);
		rte_rcu_qsbr_thread_online(r->qsbr, w->id);
	}
	doorbell_clear(&w->bell);
}

unsigned int worker_turn(struct worker *w)
{
	struct relay *r = w->relay;
	struct rte_mbuf *mbufs[WORKER_BURST];
	uint16_t n = rte_eth_rx_burst(r->port.id, w->id, mbufs, WORKER_BURST);
	unsigned int served;

	stage_over(STAGE_receive);
	w->now_us = clock_unix_us(&r->clock, rte_rdtsc());
	w->keys = relay_keys(r);
	w->keyring = relay_keyring(r);
	if (w->chain_pool != NULL)
		w->flight = flight_now(r->port.flights, w->id);
	if (n > 0) {
		stats_burst(&w->stats, n);
		burst_process(w, mbufs, n);
	}
	served = control_serve(w);
	stage_over(STAGE_rest);
	if (w->tx_count > 0 || w->headed_count > 0)
		egress_flush(w);
	rte_rcu_qsbr_quiescent(r->qsbr, w->id);
	if (w->told_control) {
		w->told_control = false;
		w->stats.control_wakes += doorbell_ring(&r->control_bell);
	}
	stage_over(STAGE_rest);
	return n + served;
}

int worker_run(void *arg)
{
	struct worker *w = arg;
	struct relay *r = w->relay;
	unsigned int idle = 0;

	rte_rcu_qsbr_thread_register(r->qsbr, w->id);
	rte_rcu_qsbr_thread_online(r->qsbr, w->id);
	while (!atomic_load_explicit(&r->stop, memory_order_relaxed)) {
		if (worker_turn(w) > 0) {
			idle = 0;
		} else if (!r->spin && ++idle >= SPIN_POLLS) {
			worker_sleep(w);
			idle = SPIN_POLLS / 2;
		} else {
			rte_pause();
		}
	}
	rte_rcu_qsbr_thread_offline(r->qsbr, w->id);
	rte_rcu_qsbr_thread_unregister(r->qsbr, w->id);
	return 0;
}
