/* SPDX-License-Identifier: BSD-3-Clause */
#include <langinfo.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/lib/clock.h"
#include "client/cli/progress.h"

#define BAR_MOST 40
#define BAR_LEAST 5
#define TAIL_USUAL 44 /* reserved behind the bar, so that it keeps its length */
#define BYTES_TEXT 16
#define RATE_AFTER (200 * MILLISECOND)

bool terminal_utf8(void)
{
	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

int terminal_width(void)
{
	struct winsize w;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) < 0 || w.ws_col == 0)
		return 80;
	return w.ws_col;
}

/* "512 B", "1.50 MB": three digits that count, decimal units. */
static const char *bytes_text(double bytes, char *buf)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
	int unit = 0;

	while (bytes >= 999.5 && unit < 4) {
		bytes /= 1000;
		unit++;
	}
	snprintf(buf, BYTES_TEXT, "%.*f %s",
		 unit == 0 || bytes >= 99.95 ? 0
		 : bytes >= 9.995	     ? 1
					     : 2,
		 bytes, units[unit]);
	return buf;
}

static const char *phase_name(int phase)
{
	switch (phase) {
	case OW_HASHING:
		return "hashing";
	case OW_UPLOADING:
		return "uploading";
	case OW_WAITING:
		return "waiting for the target";
	case OW_DELIVERING:
		return "delivering";
	case OW_RECEIVING:
		return "receiving";
	case PROGRESS_VERIFYING:
		return "verifying";
	case PROGRESS_EXPORTING:
		return "exporting";
	case PROGRESS_IMPORTING:
		return "importing";
	}
	return "";
}

static void bar_draw(char *buf, size_t cap, int cells, bool utf8, double part)
{
	static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
	int steps = (int)(part * cells * (utf8 ? 8 : 1)), full = utf8 ? steps / 8 : steps;
	int drawn = full, i;
	size_t n = 0;

	for (i = 0; i < full; i++)
		n += (size_t)snprintf(buf + n, cap - n, "%s", utf8 ? "█" : "#");
	if (utf8 && steps % 8 != 0) {
		n += (size_t)snprintf(buf + n, cap - n, "%s", eighths[steps % 8]);
		drawn++;
	}
	for (i = drawn; i < cells; i++)
		n += (size_t)snprintf(buf + n, cap - n, "%s", utf8 ? "░" : ".");
}

/* What is left, as "0:07" or "1:02:03"; "" if that cannot be told. */
static const char *left_text(uint64_t done, uint64_t total, double rate, char *buf, size_t cap)
{
	double left = rate > 0 ? (double)(total - done) / rate : -1;
	unsigned s;

	if (left < 0 || left > 359999 || done == total) {
		buf[0] = '\0';
		return buf;
	}
	s = (unsigned)(left + 0.999);
	if (s >= 3600)
		snprintf(buf, cap, "  %u:%02u:%02u left", s / 3600, s / 60 % 60, s % 60);
	else
		snprintf(buf, cap, "  %u:%02u left", s / 60, s % 60);
	return buf;
}

char *progress_line(char *buf, size_t cap, int width, bool utf8, int phase, uint64_t done,
		    uint64_t total, double rate)
{
	char bar[4 * BAR_MOST + 1] = "", tail[128], a[BYTES_TEXT], b[BYTES_TEXT], c[BYTES_TEXT + 4];
	char left[32];
	double part;
	int cells;

	if (done > total)
		done = total;
	if (phase == OW_WAITING) {
		snprintf(tail, sizeof(tail), "%s%s", phase_name(phase),
			 left_text(done, total, 1000, left, sizeof(left)));
		snprintf(buf, cap, "%.*s", width > 1 ? width - 1 : 0, tail);
		return buf;
	}
	part = total > 0 ? (double)done / (double)total : 1;
	c[0] = '\0';
	if (rate > 0)
		snprintf(c, sizeof(c), "  %s/s", bytes_text(rate, a));
	snprintf(tail, sizeof(tail), "%3d%%  %s of %s%s%s", (int)(part * 100),
		 bytes_text((double)done, a), bytes_text((double)total, b), c,
		 left_text(done, total, rate, left, sizeof(left)));
	/* The last column stays free: some terminals wrap there. */
	cells = width - 1 - 12 - 2 - (int)(strlen(tail) < TAIL_USUAL ? TAIL_USUAL : strlen(tail));
	if (cells > BAR_MOST)
		cells = BAR_MOST;
	if (cells >= BAR_LEAST) {
		bar_draw(bar, sizeof(bar), cells, utf8, part);
		snprintf(buf, cap, "%-12s%s  %s", phase_name(phase), bar, tail);
	} else {
		snprintf(buf, cap, "%-12s%.*s", phase_name(phase), width > 13 ? width - 13 : 0,
			 tail);
	}
	return buf;
}

bool progress_begin(struct progress *p)
{
	*p = (struct progress){.utf8 = terminal_utf8()};
	return isatty(STDERR_FILENO);
}

void progress_show(void *ctx, enum ow_phase phase, uint64_t done, uint64_t total)
{
	progress_draw(ctx, (int)phase, done, total);
}

void progress_draw(struct progress *p, int phase, uint64_t done, uint64_t total)
{
	uint64_t now = clock_now();
	double rate = 0;
	char line[512];

	if (p->phase != phase || !p->drawn) {
		progress_end(p);
		p->phase = phase;
		p->begun = now;
		p->before = done;
	}
	if (now - p->begun >= RATE_AFTER && done > p->before)
		rate = (double)(done - p->before) * SECOND / (double)(now - p->begun);
	fprintf(stderr, "\r\033[K%s",
		progress_line(line, sizeof(line), terminal_width(), p->utf8, phase, done, total,
			      rate));
	p->drawn = true;
}

void progress_end(struct progress *p)
{
	if (p->drawn)
		fputs("\r\033[K", stderr);
	p->drawn = false;
}
