/* SPDX-License-Identifier: BSD-3-Clause
 * Sends a file through a private relay and says what became of it.
 *
 *   cc example.c $(pkg-config --cflags --libs oncewire) -o example
 *   ./example FILE RELAY TARGET
 */
#include <stdio.h>

#include <oncewire.h>

static void show(void *ctx, enum ow_phase phase, uint64_t done, uint64_t total)
{
	static const char *const names[] = {
		[OW_HASHING] = "hashed, of bytes",
		[OW_UPLOADING] = "uploaded, of bytes",
		[OW_WAITING] = "waited for the target, of milliseconds",
		[OW_DELIVERING] = "delivered, of bytes",
	};

	(void)ctx;
	fprintf(stderr, "%s: %llu of %llu\n", names[phase], (unsigned long long)done,
		(unsigned long long)total);
}

int main(int argc, char **argv)
{
	struct ow_send_options options = {0};
	struct ow_send_result result;
	char message[OW_MESSAGE_MAX];

	if (argc != 4) {
		fprintf(stderr, "usage: %s FILE RELAY TARGET\n", argv[0]);
		return 2;
	}
	options.path = argv[1];
	options.relay = argv[2];
	options.target = argv[3];
	options.via = OW_VIA_PRIVATE;
	options.progress = show;
	if (ow_send(&options, &result, message) != OW_OK) {
		fprintf(stderr, "%s\n", message);
		return 1;
	}
	printf("%s: %s, %llu bytes uploaded\n", result.id, ow_outcome_name(result.outcome),
	       (unsigned long long)result.uploaded_bytes);
	return 0;
}
