/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/relay.h"

static void host_words(const struct addr *host, uint64_t w[2])
{
	uint8_t ip[16] = {[10] = 0xff, [11] = 0xff};

	if (host->type == ADDR_IP4)
		memcpy(ip + 12, host->ip, 4);
	else
		memcpy(ip, host->ip, sizeof(ip));
	memcpy(w, ip, sizeof(ip));
}

void peer_hosts_set(struct peer_hosts *p, uint32_t i, const struct addr *host)
{
	uint64_t w[2];

	host_words(host, w);
	atomic_store_explicit(&p->host[i].w[0], w[0], memory_order_relaxed);
	atomic_store_explicit(&p->host[i].w[1], w[1], memory_order_relaxed);
	if (i >= atomic_load_explicit(&p->count, memory_order_relaxed))
		atomic_store_explicit(&p->count, i + 1, memory_order_release);
}

bool peer_hosts_have(const struct peer_hosts *p, const struct addr *host)
{
	struct peer_hosts *q = (struct peer_hosts *)(uintptr_t)p;
	uint32_t count = atomic_load_explicit(&q->count, memory_order_acquire);
	uint64_t w[2];

	host_words(host, w);
	for (uint32_t i = 0; i < count; i++)
		if (atomic_load_explicit(&q->host[i].w[0], memory_order_relaxed) == w[0] &&
		    atomic_load_explicit(&q->host[i].w[1], memory_order_relaxed) == w[1])
			return true;
	return false;
}
