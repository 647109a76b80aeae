/* SPDX-License-Identifier: BSD-2-Clause */
/* See link_table.h. */
#include "vswitch/link_table.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/error.h"
#include "vswitch/link_trace.h"

static int wrong_number(const struct link_table *table, unsigned line, const char *expected,
			struct error *error)
{
	return error_set(error, -EINVAL, "table %s: line %u: expected %s", table->name, line,
			 expected);
}

static int read_numbers(struct link_table *table, const char *text, struct error *error)
{
	unsigned line = 1;
	bool begins = true; /* a line */

	for (; *text; begins = text[-1] == '\n', line += begins) {
		char *end;
		long value;

		if (begins && *text == '#') {
			text += strcspn(text, "\n");
			text += *text == '\n';
			continue;
		}
		if (strchr(" \t\r\n", *text)) {
			text++;
			continue;
		}
		if (table->count == LINK_TABLE_MOST)
			return wrong_number(table, line, "at most 16384 numbers", error);
		errno = 0;
		value = strtol(text, &end, 10);
		if (end == text || (*end && !strchr(" \t\r\n", *end)) || errno ||
		    value < INT16_MIN || value > INT16_MAX)
			return wrong_number(table, line,
					    "whole numbers from -32768 to 32767, of which 8192 "
					    "stands for one jitter",
					    error);
		table->values[table->count++] = (int16_t)value;
		text = end;
	}
	return table->count
		       ? 0
		       : error_set(error, -EINVAL, "table %s: there is nothing in it", table->name);
}

int link_table_read(struct link_table **out, const char *name, const char *text,
		    struct error *error)
{
	struct link_table *table =
		calloc(1, sizeof(*table) + LINK_TABLE_MOST * sizeof(table->values[0]));
	int rc;

	if (!table)
		return error_set(error, -ENOMEM, "table: out of memory");
	table->references = 1;
	link_file_name(name, table->name, sizeof(table->name));
	if (strnlen(text, LINK_TABLE_BYTES + 1) > LINK_TABLE_BYTES)
		rc = error_set(error, -EFBIG,
			       "table %s: it is longer than the %u bytes that are read",
			       table->name, LINK_TABLE_BYTES);
	else
		rc = read_numbers(table, text, error);
	if (rc)
		free(table);
	else
		*out = table;
	return rc;
}

struct link_table *link_table_take(struct link_table *table)
{
	if (table)
		__atomic_add_fetch(&table->references, 1, __ATOMIC_RELAXED);
	return table;
}

void link_table_drop(struct link_table *table)
{
	if (table && !__atomic_sub_fetch(&table->references, 1, __ATOMIC_ACQ_REL))
		free(table);
}

const char *link_jitter_table(const char *value)
{
	const char *comma = strchr(value, ',');

	return comma && !strncmp(comma, ",table=", 7) && comma[7] ? comma + 7 : NULL;
}

double link_table_value(const struct link_table *table, uint64_t bits)
{
	unsigned at = (unsigned)(((unsigned __int128)bits * table->count) >> 63);

	return (double)table->values[at] / LINK_TABLE_SCALE;
}
