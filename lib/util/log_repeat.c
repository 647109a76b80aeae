/* SPDX-License-Identifier: BSD-2-Clause */
/* See log_repeat.h. */
#include "util/log_repeat.h"

#include <stddef.h>
#include <string.h>

/* FNV-1a; never 0, which nothing has that was not seen. */
static uint64_t hash(const char *text, size_t length)
{
	uint64_t sum = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < length; i++)
		sum = (sum ^ (unsigned char)text[i]) * 0x100000001b3ull;
	return sum ? sum : 1;
}

/* What is remembered of it, anew if nothing is. */
static struct log_repeat_of *find(struct log_repeat *repeat, uint64_t about)
{
	struct log_repeat_of *oldest = &repeat->seen[0];

	for (unsigned i = 0; i < LOG_REPEAT_SEEN; i++) {
		struct log_repeat_of *at = &repeat->seen[i];

		if (at->about == about)
			return at;
		if (at->told_ns < oldest->told_ns)
			oldest = at;
	}
	*oldest = (struct log_repeat_of){ .about = about };
	return oldest;
}

static uint64_t about(const char *text)
{
	const char *colon = strstr(text, ": ");

	return hash(text, colon ? (size_t)(colon - text) : strlen(text));
}

bool log_repeat_tells(struct log_repeat *repeat, const char *text, uint64_t now_ns,
		      unsigned *left_out)
{
	uint64_t whole = hash(text, strlen(text));
	struct log_repeat_of *of = find(repeat, about(text));

	if (now_ns - of->minute_ns >= LOG_REPEAT_NS) {
		of->minute_ns = now_ns;
		of->lines = 0;
	}
	if ((of->text == whole && now_ns - of->told_ns < LOG_REPEAT_NS) ||
	    of->lines >= LOG_REPEAT_LINES) {
		of->left_out++;
		return false;
	}
	*left_out = of->left_out;
	of->left_out = 0;
	of->lines++;
	of->text = whole;
	of->told_ns = now_ns;
	return true;
}

void log_repeat_take_back(struct log_repeat *repeat, const char *text, unsigned left_out)
{
	struct log_repeat_of *of = find(repeat, about(text));

	of->text = 0;
	of->left_out += left_out;
}
