/* SPDX-License-Identifier: BSD-2-Clause */
/* Sizes as people write and read them; see size.h. */
#include "util/size.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util/error.h"

static const char units[] = "KMGTPE";

/* Shift for the suffix at `text`, or -1 where it is none of ours. */
static int size_suffix(const char *text)
{
	const char *unit;

	if (!*text || !strcasecmp(text, "B"))
		return 0;
	unit = strchr(units, toupper((unsigned char)*text));
	if (!unit)
		return -1;
	text++;
	if (*text && strcasecmp(text, "B") && strcasecmp(text, "iB"))
		return -1;
	return 10 * (int)(unit - units + 1);
}

int size_parse(const char *text, uint64_t *bytes, struct error *error)
{
	const char *at = text;
	long double value = 0, place = 1;
	bool digits = false;
	int shift;

	for (; isdigit((unsigned char)*at); at++, digits = true)
		value = value * 10 + (*at - '0');
	if (digits && *at == '.')
		for (at++; isdigit((unsigned char)*at); at++)
			value += (*at - '0') * (place /= 10);
	shift = size_suffix(at);
	if (!digits || shift < 0) {
		error_set(error, -EINVAL,
			  "size '%s': expected a number with K, M, G or T (powers of "
			  "1024)",
			  text);
		error_advise(error, "write it like 512M, 1.5G or 20GiB");
		return -EINVAL;
	}
	value *= (long double)(1ULL << shift);
	if (value >= (long double)(1ULL << 63))
		return error_set(error, -ERANGE, "size '%s': larger than 8 EiB", text);
	if (value != (long double)(uint64_t)value && shift == 0)
		return error_set(error, -EINVAL, "size '%s': not a whole number of bytes", text);
	*bytes = (uint64_t)value;
	return 0;
}

char *size_format(uint64_t bytes, char buffer[SIZE_TEXT])
{
	double value = (double)bytes;
	int unit = -1;

	while (value >= 1024 && unit < (int)strlen(units) - 1) {
		value /= 1024;
		unit++;
	}
	if (unit < 0)
		snprintf(buffer, SIZE_TEXT, "%llu B", (unsigned long long)bytes);
	else if (value == (double)(uint64_t)value)
		snprintf(buffer, SIZE_TEXT, "%.0f %ciB", value, units[unit]);
	else
		snprintf(buffer, SIZE_TEXT, "%.2f %ciB", value, units[unit]);
	return buffer;
}
