/* SPDX-License-Identifier: BSD-2-Clause */
/* See log.h. */
#include "util/log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/text.h"

/* Whoever reads standard error may have paused (a terminal's Ctrl-S, a pager): no thread of ours waits. */
static bool is_writable(void)
{
	struct pollfd entry = { .fd = STDERR_FILENO, .events = POLLOUT };

	return poll(&entry, 1, 0) == 1;
}

/* Whether another line may be written in this second. */
static bool has_room(struct log *log)
{
	long second = (long)(monotonic_ns() / 1000000000u);

	if (atomic_exchange(&log->second, second) != second) {
		unsigned left_out = atomic_exchange(&log->left_out, 0);

		atomic_store(&log->lines, 0);
		if (left_out)
			fprintf(stderr, "tenon: warning: %u messages were left out here\n",
				left_out);
	}
	return atomic_fetch_add(&log->lines, 1) < LOG_LINES_PER_SECOND;
}

static bool is_repeated(struct log *log, const char *text, unsigned *left_out)
{
	bool tells;

	pthread_mutex_lock(&log->lock);
	tells = log_repeat_tells(&log->repeat, text, monotonic_ns(), left_out);
	pthread_mutex_unlock(&log->lock);
	return !tells;
}

static void log_write_stderr(struct log *log, enum log_level level, const char *text)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };
	unsigned more = 0;

	if (is_writable()) {
		if (is_repeated(log, text, &more))
			return;
		if (has_room(log)) {
			fprintf(stderr,
				more ? "tenon: %s: %s (%u more about it were left out)\n"
				     : "tenon: %s: %s\n",
				names[level], text, more);
			return;
		}
		pthread_mutex_lock(&log->lock);
		log_repeat_take_back(&log->repeat, text, more);
		pthread_mutex_unlock(&log->lock);
	}
	atomic_fetch_add(&log->left_out, 1);
}

void log_to_stderr(struct log *log, enum log_level level)
{
	*log = (struct log){ .level = level,
			     .write = log_write_stderr,
			     .lock = PTHREAD_MUTEX_INITIALIZER };
}

void log_message(struct log *log, enum log_level level, const char *format, ...)
{
	char raw[1024], text[1024];
	va_list args;

	if (!log || level > log->level)
		return;
	va_start(args, format);
	vsnprintf(raw, sizeof(raw), format, args);
	va_end(args);
	text_clean(text, sizeof(text), raw);
	log->write(log, level, text);
}
