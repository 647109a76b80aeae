/* See log.h. */
#include "util/log.h"

#include <stdarg.h>
#include <stdio.h>

static void log_write_stderr(struct log *log, enum log_level level, const char *text)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };

	(void)log;
	fprintf(stderr, "tenon: %s: %s\n", names[level], text);
}

void log_to_stderr(struct log *log, enum log_level level)
{
	*log = (struct log){ .level = level, .write = log_write_stderr };
}

void log_message(struct log *log, enum log_level level, const char *format, ...)
{
	char text[1024];
	va_list args;

	if (!log || level > log->level)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log->write(log, level, text);
}
