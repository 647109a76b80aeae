/* SPDX-License-Identifier: BSD-2-Clause */
/* See terminal.h. */
#include "tools/terminal.h"

#include <locale.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "util/bytes.h"
#include "util/number.h"
#include "util/text.h"

#define USUAL_WIDTH 80u
#define MOST_WIDTH  10000u

unsigned terminal_width(int fd)
{
	const char *said = getenv("COLUMNS");
	struct winsize size;
	uint64_t columns;

	if (!isatty(fd))
		return 0;
	if (!ioctl(fd, TIOCGWINSZ, &size) && size.ws_col)
		return size.ws_col;
	return said && !number_parse(said, 1, MOST_WIDTH, &columns, NULL) ? (unsigned)columns
									  : USUAL_WIDTH;
}

bool terminal_has_color(int fd, enum terminal_color color)
{
	const char *never = getenv("NO_COLOR"), *kind = getenv("TERM");

	if (color != TERMINAL_COLOR_AUTO)
		return color == TERMINAL_COLOR_ALWAYS;
	return isatty(fd) && !(never && *never) && kind && strcmp(kind, "dumb") != 0;
}

const char *terminal_color_of(const char *state)
{
	static const struct {
		const char *word, *color;
	} colors[] = {
		{ "failed", "\033[31m" },          { "faulty", "\033[31m" },
		{ "missing", "\033[31m" },         { "not assembled", "\033[31m" },
		{ "broken", "\033[31m" },          { "damaged", "\033[31m" },
		{ "does not answer", "\033[31m" }, { "degraded", "\033[33m" },
		{ "partial", "\033[33m" },         { "stale", "\033[33m" },
		{ "removed", "\033[33m" },         { "rebuilding", "\033[33m" },
		{ "replacing", "\033[33m" },       { "not in sync", "\033[33m" },
		{ "unsupported", "\033[33m" },     { "exported", "\033[33m" },
		{ "duplicate", "\033[33m" },       { "not served", "\033[33m" },
		{ "problem", "\033[33m" },         { "warning", "\033[33m" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(colors); i++)
		if (strstr(state, colors[i].word))
			return colors[i].color;
	return "";
}

/* The process has no locale of its own: what is printed is UTF-8 in any. */
static int width_of(uint32_t character)
{
	locale_t utf8, before;
	int width;

	if (character < 0x80)
		return 1;
	utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	if (!utf8)
		return 1;
	before = uselocale(utf8);
	width = wcwidth((wchar_t)character);
	uselocale(before);
	freelocale(utf8);
	return width < 0 ? 1 : width;
}

/* The next character of `*at`, which moves on, in columns. */
static size_t step(const char **at)
{
	uint32_t character = 0;
	size_t length = text_decode(*at, &character);

	*at += length ? length : 1;
	return length ? (size_t)width_of(character) : 1;
}

size_t terminal_columns(const char *text)
{
	size_t columns = 0;
	uint64_t piece;

	/* Most are ASCII to their end. */
	for (size_t left = strlen(text); left >= sizeof(piece); left -= sizeof(piece)) {
		memcpy(&piece, text, sizeof(piece));
		if (piece & 0x8080808080808080u)
			break;
		columns += sizeof(piece);
		text += sizeof(piece);
	}
	while (*text) {
		if ((unsigned char)*text >= 0x80) {
			columns += step(&text);
		} else {
			columns++;
			text++;
		}
	}
	return columns;
}

void terminal_shorten(char *text, size_t columns, bool is_path)
{
	size_t have = terminal_columns(text), dots = MIN(columns, (size_t)3), used = 0;
	const char *at = text;

	if (have <= columns)
		return;
	if (is_path) {
		while (have + dots > columns)
			have -= step(&at);
		/* At least as many bytes as columns were left out. */
		memmove(text + dots, at, strlen(at) + 1);
		memcpy(text, "...", dots);
		return;
	}
	while (*at) {
		const char *next = at;
		size_t width = step(&next);

		if (used + width + dots > columns)
			break;
		used += width;
		at = next;
	}
	memcpy(text + (at - text), "...", dots);
	text[(size_t)(at - text) + dots] = '\0';
}
