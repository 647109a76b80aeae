/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON that a terminal can be given; see output.h. */
#include <stdio.h>
#include <stdlib.h>

#include "tools/output.h"
#include "util/text.h"

/* One character of JSON that is not for a terminal; beyond U+FFFF as two (RFC 8259, 7). */
static void cli_print_escaped(uint32_t character)
{
	if (character > 0xffff) {
		character -= 0x10000;
		printf("\\u%04x\\u%04x", 0xd800 | character >> 10, 0xdc00 | (character & 0x3ff));
	} else {
		printf("\\u%04x", character);
	}
}

/* Characters that are no text stand in strings only, where an escape is the same. */
void cli_print_json(json_t *value)
{
	char *text = json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY);

	if (!text)
		abort();
	for (const char *at = text; *at;) {
		uint32_t character = 0;
		size_t length = text_decode(at, &character);

		if (!length || character == '\n' || text_is_harmless(character))
			fwrite(at, 1, length ? length : 1, stdout);
		else
			cli_print_escaped(character);
		at += length ? length : 1;
	}
	putchar('\n');
	free(text);
}
