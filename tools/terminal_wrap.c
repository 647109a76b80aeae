/* SPDX-License-Identifier: BSD-2-Clause */
/* Long texts in lines that fit a terminal. */
#include <stdlib.h>
#include <string.h>

#include "tools/terminal.h"
#include "util/cleanup.h"

#define LEAST_WIDTH 20u /* for a text beside its title */
#define BELOW       4u  /* where one begins that has no room there */

/* At most `width` columns of whole words; returns how many bytes. One word that is longer stays whole. */
static size_t line_of(const char *text, size_t width)
{
	size_t best = 0;

	for (size_t at = 0;; at++) {
		if (text[at] && text[at] != ' ')
			continue;
		CLEANUP_FREE char *head = strndup(text, at);

		if (!head)
			abort();
		if (best && terminal_columns(head) > width)
			return best;
		best = at;
		if (!text[at])
			return best;
	}
}

void terminal_print_wrapped(FILE *to, const char *text, size_t column, size_t width)
{
	size_t least = column > BELOW ? LEAST_WIDTH : 0, room = 0;

	if (width > column + least)
		room = width - column;
	/* With `width` 0 a line holds the first word. */
	if (column > BELOW && width > BELOW && column + terminal_columns(text) > width &&
	    line_of(text, 0) > room) {
		column = BELOW;
		room = width - column;
		fprintf(to, "\n%*s", (int)column, "");
	}
	while (room) {
		size_t length = line_of(text, room);

		if (!text[length])
			break;
		fprintf(to, "%.*s\n%*s", (int)length, text, (int)column, "");
		text += length + 1;
	}
	fprintf(to, "%s\n", text);
}
