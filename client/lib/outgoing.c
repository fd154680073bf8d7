/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "client/lib/clock.h"
#include "client/lib/outgoing.h"

/* Tokens may pile up for this long. Timers are a millisecond coarse. */
#define BURST (4 * MILLISECOND)
#define BURST_LEAST (UINT64_C(2) * PULL_MAX_CHUNKS * CHUNK_SIZE)

void outgoing_init(struct outgoing *up, uint64_t rate, uint64_t now)
{
	memset(up, 0, sizeof(*up));
	up->rate = rate;
	up->refilled = now;
	up->tokens = BURST_LEAST;
}

void outgoing_free(struct outgoing *up)
{
	free(up->sent);
	up->sent = NULL;
}

int outgoing_pull(struct outgoing *up, const struct input *b, const struct pull *p)
{
	if (up->sent == NULL) {
		up->sent = calloc(chunk_count(b->length) / 64 + 1, sizeof(*up->sent));
		if (up->sent == NULL)
			return -ENOMEM;
	}
	if (up->count == OUTGOING_QUEUE)
		return 0;
	up->queue[(up->head + up->count++) % OUTGOING_QUEUE] = (struct outgoing_pull){
		.stream = p->stream,
		.number = p->number,
		.first = p->first,
		.mask = p->mask,
	};
	return 0;
}

static void tokens_refill(struct outgoing *up, uint64_t now)
{
	uint64_t depth = up->rate / (SECOND / BURST), elapsed = earlier(now - up->refilled, SECOND);

	if (depth < BURST_LEAST)
		depth = BURST_LEAST;
	/* No overflow: elapsed and OUTGOING_RATE_MOST are bounded. */
	up->tokens = earlier(up->tokens + up->rate * elapsed / SECOND, depth);
	up->refilled = now;
}

/* One frame. A signature covers it whole, so a member's has the chunk copied
 * behind its head; otherwise the socket gathers both. */
static void frame_build(struct outgoing *up, uint32_t n, const struct contact *relay,
			struct data *d, const uint8_t *chunk)
{
	uint8_t *frame = up->frames[n];
	size_t len = DATA_HEAD;

	d->bytes = relay->member != NULL ? chunk : NULL;
	data_encode(frame, WIRE_MAX_FRAME, contact_key(relay), relay->conn, d);
	if (relay->member != NULL)
		len = frame_sign(frame, WIRE_MAX_FRAME, DATA_HEAD + d->len, &relay->session);
	up->iov[n][0] = (struct iovec){frame, len};
	up->iov[n][1] = (struct iovec){(void *)chunk, relay->member != NULL ? 0 : d->len};
}

/* Frames for as many of the PULL's chunks as the tokens allow, their numbers
 * into chunks[]. */
static uint32_t frames_build(struct outgoing *up, const struct outgoing_pull *q, struct input *b,
			     const struct contact *relay, uint32_t *chunks, const uint8_t *span)
{
	struct data d = {.upload = true, .stream = q->stream, .number = q->number};
	uint64_t tokens = up->tokens;
	uint32_t i, n = 0;

	for (i = (uint32_t)__builtin_ctz(q->mask); i < 32; i++) {
		if (!(q->mask & UINT32_C(1) << i))
			continue;
		d.first = q->first + i;
		d.len = (uint16_t)chunk_length(b->length, d.first);
		if (d.len > tokens)
			break;
		tokens -= d.len;
		frame_build(up, n, relay, &d,
			    span + (size_t)(i - (uint32_t)__builtin_ctz(q->mask)) * CHUNK_SIZE);
		chunks[n++] = d.first;
	}
	return n;
}

static void chunk_account(struct outgoing *up, const struct input *b, uint32_t chunk)
{
	uint64_t bit = UINT64_C(1) << chunk % 64;
	uint32_t len = chunk_length(b->length, chunk);

	up->tokens -= len;
	if (up->sent[chunk / 64] & bit)
		up->repeated += len;
	else
		up->distinct += len;
	up->sent[chunk / 64] |= bit;
}

/* Sends n frames; returns how many the socket took, or -EAGAIN. */
static int frames_send(struct outgoing *up, struct udp *u, const struct contact *relay, uint32_t n)
{
	int sent = udp_burst(u, &relay->addr, up->iov, up->msgs, n);

	if (sent >= 0)
		return sent;
	u->error = errno;
	return errno == EAGAIN ? -EAGAIN : (int)n; /* lost; the relay asks again */
}

/* Sends from the PULL at the head of the queue. Returns the number of chunks
 * sent, -EAGAIN when rate or socket allow no more now, or another -errno. */
static int head_run(struct outgoing *up, struct input *b, struct udp *u,
		    const struct contact *relay)
{
	struct outgoing_pull *q = &up->queue[up->head];
	uint32_t low = (uint32_t)__builtin_ctz(q->mask),
		 high = 31 - (uint32_t)__builtin_clz(q->mask);
	uint64_t from = (uint64_t)(q->first + low) * CHUNK_SIZE;
	uint32_t chunks[PULL_MAX_CHUNKS], n;
	const uint8_t *span;
	int sent, i;

	if (up->tokens < chunk_length(b->length, q->first + low))
		return -EAGAIN;
	span = input_read(b, from,
			  (size_t)(high - low) * CHUNK_SIZE +
				  chunk_length(b->length, q->first + high));
	if (span == NULL)
		return -errno;
	n = frames_build(up, q, b, relay, chunks, span);
	sent = frames_send(up, u, relay, n);
	for (i = 0; i < sent; i++) {
		chunk_account(up, b, chunks[i]);
		q->mask &= ~(UINT32_C(1) << (chunks[i] - q->first));
	}
	return sent;
}

int outgoing_run(struct outgoing *up, struct input *b, struct udp *u, const struct contact *relay,
		 uint64_t now)
{
	int ret;

	if (up->count == 0 || now < up->resume_at)
		return 0;
	tokens_refill(up, now);
	while (up->count > 0) {
		ret = head_run(up, b, u, relay);
		if (ret == -EAGAIN) {
			up->resume_at = now + MILLISECOND + CHUNK_SIZE * SECOND / up->rate;
			return 0;
		}
		if (ret < 0)
			return ret;
		if (up->queue[up->head].mask == 0) {
			up->head = (up->head + 1) % OUTGOING_QUEUE;
			up->count--;
		}
	}
	return 0;
}

uint64_t outgoing_due(const struct outgoing *up)
{
	return up->count > 0 ? up->resume_at : NEVER;
}
