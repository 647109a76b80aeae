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

bool log_repeat_tells(struct log_repeat *repeat, const char *text, uint64_t now_ns,
		      unsigned *left_out)
{
	const char *colon = strstr(text, ": ");
	size_t length = strlen(text);
	uint64_t whole = hash(text, length);
	struct log_repeat_of *of =
		find(repeat, hash(text, colon ? (size_t)(colon - text) : length));

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
