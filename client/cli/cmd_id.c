/* SPDX-License-Identifier: BSD-3-Clause
 * oncewire id
 */
#include <errno.h>

#include "client/cli/command.h"

int cmd_id(int argc, char **argv)
{
	static const struct option options[] = {
		{"rule", required_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	char id[OW_ID_MAX];
	uint64_t bytes;
	int option, rule = OW_SHA256, ret;

	while ((option = option_next(argc, argv, options)) != -1) {
		if (option != 'r' || option_rule(argv, optarg, &rule) < 0)
			return EXIT_USAGE;
	}
	if (optind + 1 != argc)
		return usage_error(argv, "name one file");
	ret = ow_identify(argv[optind], rule, id, &bytes);
	if (ret == OW_FAILED)
		complain(argv, "cannot read %s: %s", argv[optind],
			 errno == EINVAL ? "not a regular file" : strerror(errno));
	else if (ret != OW_OK)
		complain(argv, "%s: %s", argv[optind], ow_strerror(ret));
	else
		printf("%s\n", id);
	return exit_status(ret);
}
