/* SPDX-License-Identifier: BSD-2-Clause */
/* The report of a run, for people. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/lab/report.h"
#include "tools/raid_test.h"
#include "tools/terminal.h"
#include "util/bytes.h"
#include "util/text.h"

#define REPORT_COLUMN 14 /* where its texts begin, behind what they are about */

static void say_wrapped(const char *format, ...)
{
	char raw[1024], text[1024];
	size_t column;
	va_list args;

	va_start(args, format);
	vsnprintf(raw, sizeof(raw), format, args);
	va_end(args);
	text_clean(text, sizeof(text), raw);
	column = text[0] == ' ' ? MIN(strlen(text), (size_t)REPORT_COLUMN) : 0;
	printf("%.*s", (int)column, text);
	terminal_print_wrapped(stdout, text + column, column, terminal_width(STDOUT_FILENO));
}

void raid_test_tell(const struct lab_scenario *scenario, const struct lab_result *result)
{
	lab_report_text(scenario, result, say_wrapped);
}
