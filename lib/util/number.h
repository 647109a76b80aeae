/* SPDX-License-Identifier: BSD-2-Clause */
/* Whole numbers as people write them, each within the range that its use has. */
#ifndef TENON_UTIL_NUMBER_H
#define TENON_UTIL_NUMBER_H

#include <stdint.h>

struct error;

/*
 * Parses a decimal number from `least` to `most`, digits only: no sign, no space, no other base. -EINVAL
 * for what is none, -ERANGE for one that is out of range, however large; `error` then names the range.
 */
int number_parse(const char *text, uint64_t least, uint64_t most, uint64_t *value,
		 struct error *error);

/* The same for a size as size_parse() reads it; -EINVAL and -ERANGE, with `error` naming the range. */
int number_parse_size(const char *text, uint64_t least, uint64_t most, uint64_t *bytes,
		      struct error *error);

#endif
