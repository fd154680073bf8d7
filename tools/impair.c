/* SPDX-License-Identifier: BSD-3-Clause
 * A bad link between two interfaces: whatever comes in by one leaves by the other,
 * late, or not at all. Each way has faults of its own. tools/lab puts it between a
 * host and the bridge.
 *
 * A way is a bottleneck, a FIFO queue of bytes in front of a rate, and then a delay.
 * Faults are drawn from a seeded generator, so the same frames meet the same faults.
 * Frames count from the moment at which the kernel got them, so a late wake-up of this
 * process delays none that is not due yet.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#include <arpa/inet.h>

#define BATCH 64
#define BATCHES 16 /* from one side before the other's turn */
#define FRAME_MAX 9216
#define NANOSECONDS UINT64_C(1000000000)
#define IDLE_NS (NANOSECONDS / 2)
#define BUFFER_BYTES (64 << 20)

struct faults {
	uint64_t delay, jitter; /* nanoseconds; jitter adds up to this and keeps the order */
	uint64_t rate;		/* bits a second, 0: no limit */
	uint64_t queue;		/* bytes that may wait for the rate, 0: no limit */
	uint32_t mtu;		/* bytes of a frame's payload, 0: no limit */
	uint32_t burst;		/* frames lost at a time */
	double loss, reorder;	/* chances; what is reordered has half the delay */
	double duplicate, corrupt;
};

struct waiting {
	uint64_t due;	/* nanoseconds */
	uint64_t order; /* of those due at once */
	uint32_t len;
	uint8_t *frame;
};

struct counters {
	uint64_t frames, bytes; /* that left */
	uint64_t lost;		/* by chance */
	uint64_t full;		/* by the queue */
	uint64_t oversize;	/* for the MTU, or for this program */
	uint64_t failed;	/* the interface did not take it */
	uint64_t reordered, duplicated, corrupted;
	uint64_t queued_ns, queued_most_ns; /* sum and maximum of the time in the queue */
};

struct way {
	const char *name;
	int in, out; /* sockets */
	struct faults faults;
	uint64_t random;
	uint32_t burst_left;
	uint64_t free_at; /* when the bottleneck has sent what is queued */
	uint64_t last_due;
	uint64_t order;
	struct waiting *heap; /* by due */
	size_t count, room;
	struct counters counters;
};

static volatile sig_atomic_t stopped;

static void stop(int signal_number)
{
	(void)signal_number;
	stopped = 1;
}

__attribute__((format(printf, 1, 2), noreturn)) static void die(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	fputs("impair: ", stderr);
	vfprintf(stderr, format, list);
	fputc('\n', stderr);
	va_end(list);
	exit(2);
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * NANOSECONDS + (uint64_t)t.tv_nsec;
}

/* ---- options ---- */

struct unit {
	const char *name;
	double factor;
};

static const struct unit times[] = {{"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {0}};
static const struct unit rates[] = {{"kbit", 1e3}, {"mbit", 1e6}, {"gbit", 1e9}, {0}};
static const struct unit sizes[] = {{"", 1}, {"k", 1e3}, {"m", 1e6}, {0}};
static const struct unit counts[] = {{"", 1}, {0}};
static const struct unit chances[] = {{"%", 0.01}, {0}};

static double number_take(const char *key, const char *text, const struct unit *units)
{
	const struct unit *u;
	char *end;
	double value;

	if (text == NULL)
		die("%s needs a value", key);
	value = strtod(text, &end);
	for (u = units; u->name != NULL; u++)
		if (end != text && value >= 0 && value < 1e12 && strcmp(end, u->name) == 0)
			return value * u->factor;
	die("%s=%s: a number and a unit, as in 20ms, 50mbit, 256k or 1%%", key, text);
}

static double chance_take(const char *key, const char *text)
{
	double chance = number_take(key, text, chances);

	if (chance > 1)
		die("%s=%s: more than 100%%", key, text);
	return chance;
}

static void faults_take(struct faults *f, char *list)
{
	enum { DELAY, JITTER, LOSS, BURST, REORDER, DUPLICATE, CORRUPT, RATE, QUEUE, MTU };
	static char *const keys[] = {
		[DELAY] = "delay",     [JITTER] = "jitter",   [LOSS] = "loss",
		[BURST] = "burst",     [REORDER] = "reorder", [DUPLICATE] = "duplicate",
		[CORRUPT] = "corrupt", [RATE] = "rate",	      [QUEUE] = "queue",
		[MTU] = "mtu",	       [MTU + 1] = NULL,
	};
	char *value;
	int key;

	while (*list != '\0') {
		key = getsubopt(&list, keys, &value);
		switch (key) {
		case DELAY:
			f->delay = (uint64_t)number_take(keys[key], value, times);
			break;
		case JITTER:
			f->jitter = (uint64_t)number_take(keys[key], value, times);
			break;
		case LOSS:
			f->loss = chance_take(keys[key], value);
			break;
		case BURST:
			f->burst = (uint32_t)number_take(keys[key], value, counts);
			break;
		case REORDER:
			f->reorder = chance_take(keys[key], value);
			break;
		case DUPLICATE:
			f->duplicate = chance_take(keys[key], value);
			break;
		case CORRUPT:
			f->corrupt = chance_take(keys[key], value);
			break;
		case RATE:
			f->rate = (uint64_t)number_take(keys[key], value, rates);
			break;
		case QUEUE:
			f->queue = (uint64_t)number_take(keys[key], value, sizes);
			break;
		case MTU:
			f->mtu = (uint32_t)number_take(keys[key], value, counts);
			break;
		default:
			die("unknown fault \"%s\"; impair --help lists them", value);
		}
	}
}

static void faults_check(const struct way *w)
{
	const struct faults *f = &w->faults;

	if (f->reorder > 0 && f->delay == 0)
		die("--%s: reorder needs a delay, half of which is left out", w->name);
	if (f->queue > 0 && f->rate == 0)
		die("--%s: queue needs a rate to wait for", w->name);
	if (f->burst > 1 && f->loss == 0)
		die("--%s: burst needs a loss, which comes in such bursts", w->name);
}

/* ---- chance ---- */

/* SplitMix64 (Steele, Lea, Flood 2014), as 53 bits of a number below 1. */
static double random_next(struct way *w)
{
	uint64_t z = w->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

static bool happens(struct way *w, double chance)
{
	return chance > 0 && random_next(w) < chance;
}

static bool lost(struct way *w)
{
	const struct faults *f = &w->faults;
	uint32_t burst = f->burst > 1 ? f->burst : 1;

	if (w->burst_left > 0) {
		w->burst_left--;
		return true;
	}
	if (!happens(w, f->loss / burst))
		return false;
	w->burst_left = burst - 1;
	return true;
}

/* ---- what waits ---- */

static bool before(const struct waiting *a, const struct waiting *b)
{
	return a->due != b->due ? a->due < b->due : a->order < b->order;
}

static void heap_push(struct way *w, const struct waiting *p)
{
	size_t i = w->count++;

	if (i == w->room) {
		w->room = w->room == 0 ? 1024 : 2 * w->room;
		w->heap = realloc(w->heap, w->room * sizeof(*w->heap));
		if (w->heap == NULL)
			die("out of memory");
	}
	for (; i > 0 && before(p, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = *p;
}

static struct waiting heap_pop(struct way *w)
{
	struct waiting top = w->heap[0], last = w->heap[--w->count];
	size_t i = 0, child;

	for (; (child = 2 * i + 1) < w->count; i = child) {
		if (child + 1 < w->count && before(&w->heap[child + 1], &w->heap[child]))
			child++;
		if (!before(&w->heap[child], &last))
			break;
		w->heap[i] = w->heap[child];
	}
	w->heap[i] = last;
	return top;
}

/* ---- a frame's way ---- */

/* Through the bottleneck: when it has left it, or 0: the queue is full. */
static uint64_t bottleneck_pass(struct way *w, uint32_t len, uint64_t arrival)
{
	const struct faults *f = &w->faults;
	struct counters *c = &w->counters;
	uint64_t wait;

	if (f->rate == 0)
		return arrival;
	if (w->free_at < arrival)
		w->free_at = arrival;
	wait = w->free_at - arrival;
	if (f->queue > 0 && (double)wait * (double)f->rate / 8e9 + len > (double)f->queue) {
		c->full++;
		return 0;
	}
	c->queued_ns += wait;
	if (wait > c->queued_most_ns)
		c->queued_most_ns = wait;
	w->free_at += (uint64_t)(len * 8e9 / (double)f->rate);
	return w->free_at;
}

static uint64_t delay_pass(struct way *w, uint64_t at)
{
	const struct faults *f = &w->faults;
	uint64_t due = at + f->delay;

	if (happens(w, f->reorder)) {
		w->counters.reordered++;
		return at + f->delay / 2;
	}
	if (f->jitter > 0)
		due += (uint64_t)(random_next(w) * (double)f->jitter);
	if (due < w->last_due)
		due = w->last_due;
	w->last_due = due;
	return due;
}

static void frame_enter(struct way *w, const uint8_t *frame, uint32_t len, uint64_t arrival)
{
	struct waiting p = {.order = w->order++, .len = len};
	uint64_t at = bottleneck_pass(w, len, arrival);
	uint32_t byte;

	if (at == 0)
		return;
	p.due = delay_pass(w, at);
	p.frame = malloc(len);
	if (p.frame == NULL)
		die("out of memory");
	memcpy(p.frame, frame, len);
	if (len > ETH_HLEN && happens(w, w->faults.corrupt)) {
		byte = ETH_HLEN + (uint32_t)(random_next(w) * (len - ETH_HLEN));
		p.frame[byte] ^= (uint8_t)(1U << (uint32_t)(random_next(w) * 8));
		w->counters.corrupted++;
	}
	heap_push(w, &p);
}

static void frame_take(struct way *w, const uint8_t *frame, uint32_t len, uint64_t arrival)
{
	uint32_t mtu = w->faults.mtu;

	if (lost(w)) {
		w->counters.lost++;
		return;
	}
	if (len > FRAME_MAX || (mtu > 0 && len > mtu + ETH_HLEN)) {
		w->counters.oversize++;
		return;
	}
	frame_enter(w, frame, len, arrival);
	if (happens(w, w->faults.duplicate)) {
		w->counters.duplicated++;
		frame_enter(w, frame, len, arrival);
	}
}

/* When the kernel got it, by CLOCK_REALTIME. */
static uint64_t arrival_of(struct msghdr *m)
{
	struct cmsghdr *c;
	struct timespec t;

	for (c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS) {
			memcpy(&t, CMSG_DATA(c), sizeof(t));
			return (uint64_t)t.tv_sec * NANOSECONDS + (uint64_t)t.tv_nsec;
		}
	return clock_ns(CLOCK_REALTIME);
}

/* Returns whether there may be more. */
static bool frames_receive(struct way *w)
{
	static uint8_t bytes[BATCH][FRAME_MAX];
	static uint8_t control[BATCH][CMSG_SPACE(sizeof(struct timespec))];
	struct mmsghdr m[BATCH];
	struct iovec iov[BATCH];
	uint64_t real, now;
	int i, n;

	for (i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){bytes[i], FRAME_MAX};
		m[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[i],
						    .msg_iovlen = 1,
						    .msg_control = control[i],
						    .msg_controllen = sizeof(control[i])}};
	}
	n = recvmmsg(w->in, m, BATCH, MSG_DONTWAIT | MSG_TRUNC, NULL);
	if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ENETDOWN)
		die("%s: %s", w->name, strerror(errno));
	/* the clock of the stamps may be set, that of the delays is not */
	real = clock_ns(CLOCK_REALTIME);
	now = clock_ns(CLOCK_MONOTONIC);
	for (i = 0; i < n; i++)
		frame_take(w, bytes[i], m[i].msg_len, now - (real - arrival_of(&m[i].msg_hdr)));
	return n == BATCH;
}

static void frames_send(struct way *w, uint64_t now)
{
	struct waiting p;

	while (w->count > 0 && w->heap[0].due <= now) {
		p = heap_pop(w);
		if (send(w->out, p.frame, p.len, MSG_DONTWAIT) == (ssize_t)p.len) {
			w->counters.frames++;
			w->counters.bytes += p.len;
		} else {
			w->counters.failed++;
		}
		free(p.frame);
	}
}

static void forward(struct way ways[2])
{
	struct pollfd fds[2] = {{.fd = ways[0].in, .events = POLLIN},
				{.fd = ways[1].in, .events = POLLIN}};
	uint64_t now, next;
	struct timespec wait;
	sigset_t none;
	int i, batches;

	sigemptyset(&none);
	while (!stopped) {
		for (i = 0; i < 2; i++)
			for (batches = 0; batches < BATCHES && frames_receive(&ways[i]); batches++)
				frames_send(&ways[i], clock_ns(CLOCK_MONOTONIC));
		now = clock_ns(CLOCK_MONOTONIC);
		next = now + IDLE_NS;
		for (i = 0; i < 2; i++) {
			frames_send(&ways[i], now);
			if (ways[i].count > 0 && ways[i].heap[0].due < next)
				next = ways[i].heap[0].due;
		}
		now = clock_ns(CLOCK_MONOTONIC);
		wait = (struct timespec){.tv_nsec = next > now ? (long)(next - now) : 0};
		/* signals come in here only, so that none is missed */
		if (ppoll(fds, 2, &wait, &none) < 0 && errno != EINTR)
			die("poll: %s", strerror(errno));
	}
}

/* ---- start and end ---- */

static int socket_open(const char *name)
{
	struct sockaddr_ll a = {.sll_family = AF_PACKET,
				.sll_protocol = htons(ETH_P_ALL),
				.sll_ifindex = (int)if_nametoindex(name)};
	const struct packet_mreq promiscuous = {.mr_ifindex = a.sll_ifindex,
						.mr_type = PACKET_MR_PROMISC};
	const int bytes = BUFFER_BYTES, one = 1;
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	if (fd < 0 || a.sll_ifindex == 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof(promiscuous)) <
		    0 ||
	    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0 ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		die("%s: %s", name, strerror(errno));
	return fd;
}

static void signals_prepare(void)
{
	struct sigaction action = {.sa_handler = stop};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
}

static void counters_print(const struct way *w, const char *end)
{
	const struct counters *c = &w->counters;
	uint64_t passed = c->frames + c->failed + w->count;

	printf("\"%s\": {\"frames\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"lost\": %" PRIu64
	       ", \"full\": %" PRIu64 ", \"oversize\": %" PRIu64 ", \"failed\": %" PRIu64
	       ", \"reordered\": %" PRIu64 ", \"duplicated\": %" PRIu64 ", \"corrupted\": %" PRIu64
	       ", \"queue_mean_us\": %" PRIu64 ", \"queue_most_us\": %" PRIu64 "}%s",
	       w->name, c->frames, c->bytes, c->lost, c->full, c->oversize, c->failed, c->reordered,
	       c->duplicated, c->corrupted, passed > 0 ? c->queued_ns / passed / 1000 : 0,
	       c->queued_most_ns / 1000, end);
}

static void usage(FILE *to)
{
	fputs("usage: impair HOST-SIDE NET-SIDE [--to FAULTS] [--from FAULTS] [--seed N]\n"
	      "Forwards frames between two interfaces until SIGTERM; then prints counts as JSON.\n"
	      "--to has the faults of what goes to the host, --from of what comes from it:\n"
	      "  delay=20ms      each frame's, behind the bottleneck\n"
	      "  jitter=5ms      up to so much more; the order is kept\n"
	      "  loss=1%         of the frames\n"
	      "  burst=8         frames that are lost at a time (the share stays)\n"
	      "  reorder=5%      of the frames have half the delay only\n"
	      "  duplicate=1%    of the frames come twice\n"
	      "  corrupt=0.1%    of the frames have one bit turned over, behind their MAC header\n"
	      "  rate=50mbit     of the bottleneck, Ethernet headers counted\n"
	      "  queue=256k      bytes that wait for it at most\n"
	      "  mtu=1400        longer packets vanish\n"
	      "Several are separated by commas: --to delay=20ms,rate=50mbit,queue=256k\n",
	      to);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"to", required_argument, NULL, 't'},
						{"from", required_argument, NULL, 'f'},
						{"seed", required_argument, NULL, 's'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	struct way ways[2] = {{.name = "to"}, {.name = "from"}};
	uint64_t seed = 1;
	int option, i;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 't':
			faults_take(&ways[0].faults, optarg);
			break;
		case 'f':
			faults_take(&ways[1].faults, optarg);
			break;
		case 's':
			seed = (uint64_t)number_take("--seed", optarg, counts);
			break;
		default:
			usage(option == 'h' ? stdout : stderr);
			return option == 'h' ? 0 : 2;
		}
	}
	if (optind + 2 != argc) {
		usage(stderr);
		return 2;
	}
	for (i = 0; i < 2; i++)
		faults_check(&ways[i]);
	for (i = 0; i < 2; i++) {
		ways[i].random = 2 * seed + (uint64_t)i;
		ways[1 - i].in = ways[i].out = socket_open(argv[optind + i]);
	}
	prctl(PR_SET_TIMERSLACK, 1);
	signals_prepare();
	puts("ready");
	fflush(stdout);
	forward(ways);
	putchar('{');
	counters_print(&ways[0], ", ");
	counters_print(&ways[1], "}\n");
	return 0;
}
