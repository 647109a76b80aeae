/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages of a running server for the person who watches it. A program makes one log and hands it
 * to what it starts; library code writes to the log it was given (NULL: nowhere) and never prints. Names in
 * a message may be anything: it is made fit for a terminal here (text.h).
 */
#ifndef TENON_UTIL_LOG_H
#define TENON_UTIL_LOG_H

#include <pthread.h>

#include "util/log_repeat.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

struct log {
	enum log_level level; /* the most talkative level that is written */
	void (*write)(struct log *log, enum log_level level, const char *text);

	/* log_to_stderr()'s: the present second, and its lines so far; lines left out and not told of. */
	_Atomic long second;
	_Atomic unsigned lines, left_out;
	pthread_mutex_t lock;
	struct log_repeat repeat; /* under the lock */
};

/* A guest that breaks and resets its device, or a peer that comes and goes, could else fill the disk that
 * the log goes to, and keep the thread that serves others busy with it. */
#define LOG_LINES_PER_SECOND 200

/* A log that writes "tenon: LEVEL: text" lines to standard error; what goes beyond LOG_LINES_PER_SECOND, is said again and again (log_repeat.h),
 * or comes while whoever reads it has paused, is left out, and the next line says how much that was. From any thread. */
void log_to_stderr(struct log *log, enum log_level level);

void log_message(struct log *log, enum log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(log, ...)   log_message(log, LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(log, ...) log_message(log, LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(log, ...)    log_message(log, LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(log, ...)   log_message(log, LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
