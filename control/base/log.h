/* SPDX-License-Identifier: BSD-3-Clause
 * What the daemon says: single lines on stderr. Where that is systemd's journal,
 * each carries its priority in front, as sd-daemon(3) has it.
 */
#ifndef CONTROL_BASE_LOG_H
#define CONTROL_BASE_LOG_H

#include <syslog.h>

/* "oncewired: ..."; priority: LOG_ERR, LOG_WARNING, LOG_NOTICE or LOG_INFO. */
void log_line(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Lines that were made already, as they are; each ends with a new line. */
void log_text(int priority, const char *lines);

#endif
