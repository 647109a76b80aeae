/* SPDX-License-Identifier: BSD-2-Clause */
/* What somebody may have meant who wrote a word that there is not. */
#ifndef TENON_UTIL_SPELLING_H
#define TENON_UTIL_SPELLING_H

/* How many letters must be put in, left out, changed or swapped with the next to make one of the other (optimal
 * string alignment distance), whatever the case. Of words longer than 63 bytes only their beginnings count. */
unsigned spelling_distance(const char *a, const char *b);

/* The closest of several words to `word`: zeroed but for that, then each is considered. */
struct spelling {
	const char *word;
	const char *closest; /* NULL: none is so close that it is likely meant */
	unsigned distance;
};

void spelling_consider(struct spelling *spelling, const char *candidate);

#endif
