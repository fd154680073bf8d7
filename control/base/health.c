/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/base/health.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "control/base/log.h"

static void item_say(struct health_item *h, uint64_t now_us)
{
	int priority = h->bad ? LOG_WARNING : LOG_NOTICE;

	if (h->changes > 1)
		log_line(priority, "%s (the last of %u changes)", h->text, h->changes);
	else
		log_line(priority, "%s", h->text);
	h->changes = 0;
	h->spoken = true;
	h->said_us = now_us;
}

void health_review(struct health_item *h, uint64_t now_us)
{
	if (h->changes > 0 && (!h->spoken || now_us - h->said_us >= HEALTH_QUIET_US))
		item_say(h, now_us);
}

void health_set(struct health_item *h, uint64_t now_us, bool bad, const char *format, ...)
{
	const bool first = h->text[0] == '\0';
	char text[HEALTH_TEXT];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (bad == h->bad && strcmp(text, h->text) == 0)
		return;
	h->bad = bad;
	memcpy(h->text, text, sizeof(text));
	if (first && !bad)
		return;
	h->changes++;
	health_review(h, now_us);
}
