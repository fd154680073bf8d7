/* SPDX-License-Identifier: BSD-3-Clause
 * seed_frame DIR: writes one frame of each kind, for fuzz_frame to start from.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/wire_frames.h"

static int seed_write(const char *dir, const struct sample *s)
{
	uint8_t frame[WIRE_MAX_FRAME];
	size_t len = s->make(frame, sizeof(frame));
	char path[4096];
	FILE *out;
	bool good;

	snprintf(path, sizeof(path), "%s/%s", dir, s->name);
	out = fopen(path, "wb");
	if (!out) {
		perror(path);
		return -1;
	}
	good = fwrite(frame, 1, len, out) == len;
	if (fclose(out) != 0 || !good) {
		perror(path);
		return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: seed_frame DIR\n");
		return 2;
	}
	for (size_t i = 0; i < sample_count; i++)
		if (seed_write(argv[1], &samples[i]) < 0)
			return 1;
	return 0;
}
