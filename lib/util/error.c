/* SPDX-License-Identifier: BSD-2-Clause */
/* Errors that a user reads; see error.h. */
#include "util/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"

/* Formats a line and makes it fit for a terminal, whatever the names in it are. */
static void put_line(char *to, size_t size, const char *format, va_list args)
{
	char raw[1024];

	vsnprintf(raw, sizeof(raw), format, args);
	text_clean(to, size, raw);
}

int error_set(struct error *error, int code, const char *format, ...)
{
	va_list args;

	if (!error)
		return code;
	error->code = code;
	error->advice[0] = '\0';
	va_start(args, format);
	put_line(error->text, sizeof(error->text), format, args);
	va_end(args);
	return code;
}

int error_advise(struct error *error, const char *format, ...)
{
	va_list args;

	if (!error)
		return -EINVAL;
	va_start(args, format);
	put_line(error->advice, sizeof(error->advice), format, args);
	va_end(args);
	return error->code ? error->code : -EINVAL;
}

void error_prefix(struct error *error, const char *format, ...)
{
	char old[sizeof(error->text)];
	va_list args;
	size_t used;

	if (!error)
		return;
	memcpy(old, error->text, sizeof(old));
	va_start(args, format);
	put_line(error->text, sizeof(error->text), format, args);
	va_end(args);
	used = strlen(error->text);
	/* What says already whom it is about says it once. */
	if (!strncmp(old, error->text, used) && old[used] == ':')
		memcpy(error->text, old, sizeof(old));
	else
		snprintf(error->text + used, sizeof(error->text) - used, ": %s", old);
}

bool error_is_shortage(int code)
{
	return code == -EMFILE || code == -ENFILE || code == -ENOMEM;
}

const char *error_name(int code)
{
	const char *text = strerrordesc_np(abs(code));

	return text ? text : "unknown error";
}
