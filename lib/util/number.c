/* SPDX-License-Identifier: BSD-2-Clause */
/* See number.h. */
#include "util/number.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>

#include "util/error.h"
#include "util/size.h"

int number_parse(const char *text, uint64_t least, uint64_t most, uint64_t *value,
		 struct error *error)
{
	bool digits = *text != '\0', fits = true;
	uint64_t sum = 0;

	for (const char *at = text; *at; at++) {
		digits &= isdigit((unsigned char)*at) != 0;
		fits &= !__builtin_mul_overflow(sum, 10, &sum) &&
			!__builtin_add_overflow(sum, (unsigned)(*at - '0'), &sum);
	}
	if (digits && fits && sum >= least && sum <= most) {
		*value = sum;
		return 0;
	}
	return error_set(error, digits ? -ERANGE : -EINVAL,
			 "'%.40s': expected a whole number from %" PRIu64 " to %" PRIu64, text,
			 least, most);
}

int number_parse_size(const char *text, uint64_t least, uint64_t most, uint64_t *bytes,
		      struct error *error)
{
	char from[SIZE_TEXT], to[SIZE_TEXT];
	uint64_t size;
	int rc = size_parse(text, &size, error);

	if (rc && rc != -ERANGE)
		return rc;
	if (!rc && size >= least && size <= most) {
		*bytes = size;
		return 0;
	}
	return error_set(error, -ERANGE, "size '%.40s': expected one from %s to %s", text,
			 size_format(least, from), size_format(most, to));
}
