/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4608 /* a message with a path in it */

/* systemd names the stream that it gave us; a redirection since then is another. */
static bool journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

static void emit(int priority, const char *prefix, const char *line, int len)
{
	/* one write each: lines of several threads and processes stay whole */
	if (journal())
		fprintf(stderr, "<%d>%s%.*s\n", priority, prefix, len, line);
	else
		fprintf(stderr, "%s%.*s\n", prefix, len, line);
}

void log_line(int priority, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	emit(priority, "oncewired: ", line, (int)strlen(line));
}

void log_text(int priority, const char *lines)
{
	for (const char *end; (end = strchr(lines, '\n')); lines = end + 1)
		emit(priority, "", lines, (int)(end - lines));
}
