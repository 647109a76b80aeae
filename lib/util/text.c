/* See text.h. */
#include "util/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

void text_clean(char *to, size_t size, const char *from)
{
	size_t used = 0;

	while (*from) {
		size_t length = harmless(from);

		if (used + (length ? length : 4) >= size)
			break;
		if (length)
			memcpy(to + used, from, length);
		else
			snprintf(to + used, 5, "\\x%02x", (unsigned char)*from);
		used += length ? length : 4;
		from += length ? length : 1;
	}
	if (size)
		to[used] = '\0';
}

static char *rewrite(const char *from, const char *keep, const char *also)
{
	size_t used = 0;
	char *to = malloc(4 * strlen(from) + 1);

	while (to && *from) {
		size_t length = harmless(from);

		if (!length && strchr(keep, *from))
			length = 1;
		if (length == 1 && strchr(also, *from))
			length = 0;
		if (length)
			memcpy(to + used, from, length);
		else
			snprintf(to + used, 5, "\\x%02x", (unsigned char)*from);
		used += length ? length : 4;
		from += length ? length : 1;
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
