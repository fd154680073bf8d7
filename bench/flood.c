/* SPDX-License-Identifier: BSD-3-Clause
 * Sends the packets of a capture file out of an interface, again and again, as
 * fast as the kernel takes them, for some seconds or until SIGTERM. Prints one
 * JSON object.
 */
#include <errno.h>
#include <getopt.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EXIT_USAGE 2
#define PACKETS 65536
#define PACKET_MAX 1514
#define BATCH 64
#define MAGIC 0xa1b2c3d4 /* a classic capture file, microseconds */
#define ETHERNET 1
#define SECONDS_MAX 3600

struct flood {
	unsigned int count;
	struct iovec iov[PACKETS + BATCH]; /* the first ones again at the end */
	struct mmsghdr msg[PACKETS + BATCH];
	uint64_t sent, refused;
};

static atomic_bool stopped;

static void on_signal(int number)
{
	(void)number;
	atomic_store_explicit(&stopped, true, memory_order_relaxed);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* ---- the file ---- */

static bool head_read(FILE *f)
{
	uint32_t head[6];

	return fread(head, sizeof(head), 1, f) == 1 && head[0] == MAGIC && head[5] == ETHERNET;
}

/* 1: there was a packet; 0: the end; else -errno. */
static int packet_read(FILE *f, struct iovec *iov)
{
	uint32_t head[4];
	void *bytes;

	if (fread(head, 1, sizeof(head), f) != sizeof(head))
		return feof(f) ? 0 : -EIO;
	if (head[2] == 0 || head[2] > PACKET_MAX)
		return -EINVAL;
	bytes = malloc(head[2]);
	if (bytes == NULL)
		return -ENOMEM;
	*iov = (struct iovec){.iov_base = bytes, .iov_len = head[2]};
	if (fread(bytes, head[2], 1, f) == 1)
		return 1;
	free(bytes);
	return -EINVAL;
}

static int packets_read(struct flood *flood, FILE *f)
{
	int ret = 1;

	if (!head_read(f))
		return -EINVAL;
	while (flood->count < PACKETS && ret == 1) {
		ret = packet_read(f, &flood->iov[flood->count]);
		if (ret == 1)
			flood->count++;
	}
	return ret < 0 ? ret : flood->count > 0 ? 0 : -ENODATA;
}

static int file_read(struct flood *flood, const char *path)
{
	FILE *f = fopen(path, "re");
	int ret;

	if (f == NULL)
		return -errno;
	ret = packets_read(flood, f);
	fclose(f);
	for (unsigned int i = 0; ret == 0 && i < flood->count + BATCH; i++) {
		flood->iov[i] = flood->iov[i % flood->count];
		flood->msg[i].msg_hdr = (struct msghdr){.msg_iov = &flood->iov[i], .msg_iovlen = 1};
	}
	return ret;
}

/* ---- sending ---- */

static int socket_open(const char *ifname)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET};
	int fd, one = 1, err;

	to.sll_ifindex = (int)if_nametoindex(ifname);
	if (to.sll_ifindex == 0)
		return -errno;
	/* protocol 0: it receives nothing */
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) == 0 &&
	    bind(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static int flood_until(struct flood *f, int fd, uint64_t end)
{
	unsigned int at = 0;

	while (now_ns() < end && !atomic_load_explicit(&stopped, memory_order_relaxed)) {
		int n = sendmmsg(fd, &f->msg[at], BATCH, 0);

		if (n > 0)
			f->sent += (uint64_t)n;
		else if (errno == ENOBUFS || errno == EAGAIN || errno == EINTR)
			f->refused++;
		else
			return -errno;
		at = (at + BATCH) % f->count;
	}
	return 0;
}

static int flood_run(struct flood *f, const char *ifname, double seconds)
{
	uint64_t start;
	int fd = socket_open(ifname), ret;

	if (fd < 0)
		return fd;
	start = now_ns();
	ret = flood_until(f, fd, start + (uint64_t)(seconds * 1e9));
	if (ret == 0)
		printf("{\"packets\":%llu,\"refused\":%llu,\"seconds\":%.6f}\n",
		       (unsigned long long)f->sent, (unsigned long long)f->refused,
		       (double)(now_ns() - start) / 1e9);
	close(fd);
	return ret;
}

/* ---- command line ---- */

struct command_line {
	const char *ifname, *file;
	double seconds;
};

static void usage(FILE *out)
{
	fputs("usage: flood --interface NAME --seconds S FILE\n"
	      "\n"
	      "  FILE  a capture file of Ethernet packets; the first 65536 are sent\n",
	      out);
}

static bool seconds_parse(const char *text, double *out)
{
	char *end;

	*out = strtod(text, &end);
	return end != text && *end == '\0' && *out > 0 && *out <= SECONDS_MAX;
}

static bool command_line_parse(int argc, char **argv, struct command_line *cl)
{
	static const struct option options[] = {
		{"interface", required_argument, NULL, 'i'},
		{"seconds", required_argument, NULL, 's'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int opt;

	*cl = (struct command_line){0};
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'h') {
			usage(stdout);
			exit(EXIT_SUCCESS);
		}
		if (opt == 'i')
			cl->ifname = optarg;
		else if (opt != 's' || !seconds_parse(optarg, &cl->seconds))
			return false;
	}
	if (optind + 1 != argc || cl->ifname == NULL || cl->seconds == 0)
		return false;
	cl->file = argv[optind];
	return true;
}

int main(int argc, char **argv)
{
	static struct flood flood;
	struct command_line cl;
	const char *what;
	int ret;

	if (!command_line_parse(argc, argv, &cl)) {
		usage(stderr);
		return EXIT_USAGE;
	}
	signal(SIGTERM, on_signal);
	what = cl.file;
	ret = file_read(&flood, cl.file);
	if (ret == 0) {
		what = cl.ifname;
		ret = flood_run(&flood, cl.ifname, cl.seconds);
	}
	for (unsigned int i = 0; i < flood.count; i++)
		free(flood.iov[i].iov_base);
	if (ret == 0)
		return EXIT_SUCCESS;
	fprintf(stderr, "flood: %s: %s\n", what,
		ret == -EINVAL ? "not a capture file of Ethernet packets" : strerror(-ret));
	return EXIT_FAILURE;
}
