/* SPDX-License-Identifier: BSD-2-Clause */
/* See text.h. */
#include "util/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ESCAPE 4u /* bytes of \xNN */

size_t text_decode(const char *from, uint32_t *character)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *at = (const unsigned char *)from;
	size_t length = at[0] < 0x80   ? 1
			: at[0] < 0xc0 ? 0
			: at[0] < 0xe0 ? 2
			: at[0] < 0xf0 ? 3
			: at[0] < 0xf8 ? 4
				       : 0;
	uint32_t value = at[0] & (length == 1 ? 0x7f : 0x7f >> length);

	for (size_t i = 1; i < length; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (at[i] & 0x3f);
	}
	if (!length || value < least[length] || value > 0x10ffff || (value >> 11) == 0xd800 >> 11)
		return 0;
	*character = value;
	return length;
}

bool text_is_harmless(uint32_t character)
{
	if (character < 0x20 || (character >= 0x7f && character <= 0x9f))
		return false;
	/* Marks and overrides of direction, separators of lines and paragraphs, byte order mark, tags. */
	return !(character == 0x61c || (character >= 0x200b && character <= 0x200f) ||
		 (character >= 0x2028 && character <= 0x202e) ||
		 (character >= 0x2060 && character <= 0x206f) || character == 0xfeff ||
		 (character >= 0xe0000 && character <= 0xe007f));
}

/* Bytes at `from` that may stay as they are: those of one character, or 0. */
static size_t harmless(const char *from)
{
	uint32_t character = 0;
	size_t length = text_decode(from, &character);

	return length && text_is_harmless(character) ? length : 0;
}

/* Writes the next `length` bytes as they are, or the next one (length 0) as \xNN. Returns how many were written. */
static size_t put(char *to, const char **from, size_t length)
{
	if (length)
		memcpy(to, *from, length);
	else
		snprintf(to, ESCAPE + 1, "\\x%02x", (unsigned char)**from);
	*from += length ? length : 1;
	return length ? length : ESCAPE;
}

void text_clean(char *to, size_t size, const char *from)
{
	size_t used = 0;

	while (*from) {
		size_t length = harmless(from);

		if (used + (length ? length : ESCAPE) >= size)
			break;
		used += put(to + used, &from, length);
	}
	if (size)
		to[used] = '\0';
}

static char *rewrite(const char *from, const char *keep, const char *also)
{
	size_t used = 0;
	char *to = malloc(ESCAPE * strlen(from) + 1);

	while (to && *from) {
		size_t length = harmless(from);

		if (!length && strchr(keep, *from))
			length = 1;
		if (length == 1 && strchr(also, *from))
			length = 0;
		used += put(to + used, &from, length);
	}
	if (to)
		to[used] = '\0';
	return to;
}

char *text_cleaned(const char *from, const char *keep)
{
	return rewrite(from, keep ? keep : "", "");
}

char *text_name(const char *from)
{
	bool dots = !strcmp(from, ".") || !strcmp(from, "..");
	char *name, *option = NULL;

	name = rewrite(from, "", dots ? "/ \\." : "/ \\");
	if (!name || *name != '-')
		return name;
	if (asprintf(&option, "\\x2d%s", name + 1) < 0)
		option = NULL;
	free(name);
	return option;
}
