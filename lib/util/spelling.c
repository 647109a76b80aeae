/* SPDX-License-Identifier: BSD-2-Clause */
/* See spelling.h. */
#include "util/spelling.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "util/bytes.h"

#define LONGEST 63

static int letter(const char *word, size_t at)
{
	return tolower((unsigned char)word[at]);
}

unsigned spelling_distance(const char *a, const char *b)
{
	size_t lengths[2] = { strnlen(a, LONGEST), strnlen(b, LONGEST) };
	unsigned char rows[3][LONGEST + 1]; /* the last two, and the one that is made */

	for (size_t k = 0; k <= lengths[1]; k++)
		rows[0][k] = (unsigned char)k;
	for (size_t i = 1; i <= lengths[0]; i++) {
		unsigned char *now = rows[i % 3], *last = rows[(i + 2) % 3];
		const unsigned char *before = rows[(i + 1) % 3];

		now[0] = (unsigned char)i;
		for (size_t k = 1; k <= lengths[1]; k++) {
			bool same = letter(a, i - 1) == letter(b, k - 1);
			unsigned best = last[k - 1] + !same;

			best = MIN(best, last[k] + 1u);
			best = MIN(best, now[k - 1] + 1u);
			if (i > 1 && k > 1 && letter(a, i - 1) == letter(b, k - 2) &&
			    letter(a, i - 2) == letter(b, k - 1))
				best = MIN(best, before[k - 2] + 1u);
			now[k] = (unsigned char)best;
		}
	}
	return rows[lengths[0] % 3][lengths[1]];
}

void spelling_consider(struct spelling *spelling, const char *candidate)
{
	unsigned distance = spelling_distance(spelling->word, candidate);
	size_t longer = MAX(strlen(spelling->word), strlen(candidate));

	/* Another third of it is another word. */
	if (distance * 3 > longer + 1 || (spelling->closest && distance >= spelling->distance))
		return;
	spelling->closest = candidate;
	spelling->distance = distance;
}
