/* SPDX-License-Identifier: BSD-2-Clause */
/* One object as lines; see output.h. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/output.h"
#include "tools/terminal.h"
#include "util/bytes.h"
#include "util/cleanup.h"

#define MOST_COLUMNS 32
#define TITLE        18

struct show {
	const struct cli_part *parts;
	const struct cli_style *style;
};

static void print_value(json_t *value, const char *key, size_t column,
			const struct cli_style *style)
{
	CLEANUP_FREE char *text = cli_cell(value, cli_format_of(key), style);
	const char *color =
		style->color && cli_format_of(key) == CLI_AS_STATE ? terminal_color_of(text) : "";

	fputs(color, stdout);
	terminal_print_wrapped(stdout, text, column, style->width);
	fputs(*color ? TERMINAL_PLAIN : "", stdout);
}

/* All members of the first row are columns. */
static void print_rows_plainly(json_t *rows, int indent, const struct cli_style *style)
{
	struct cli_column columns[MOST_COLUMNS];
	char titles[MOST_COLUMNS][64];
	unsigned count = 0;
	const char *key;
	json_t *value;

	json_object_foreach(json_array_get(rows, 0), key, value) {
		if (count == MOST_COLUMNS || json_is_object(value))
			continue;
		cli_title(key, titles[count]);
		columns[count] = (struct cli_column){ titles[count], key, cli_format_of(key),
						      (unsigned char)count };
		count++;
	}
	cli_print_table(rows, columns, count, indent, true, style);
}

/* Counters and the like. */
static bool all_numbers(json_t *object)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
		if (!json_is_integer(value))
			return false;
	return json_object_size(object) > 0;
}

/* "superblock updates 3, bitmap writes 0": for people, who have few lines. */
static void print_numbers(json_t *object, size_t column, const struct cli_style *style)
{
	CLEANUP_FREE char *text = NULL;
	const char *key, *between = "";
	json_t *value;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	if (!out)
		abort();
	json_object_foreach(object, key, value) {
		CLEANUP_FREE char *number = cli_cell(value, cli_format_of(key), style);
		char title[64];

		cli_title(key, title);
		title[0] = (char)tolower((unsigned char)title[0]);
		fprintf(out, "%s%s %s", between, title, number);
		between = ", ";
	}
	fclose(out);
	terminal_print_wrapped(stdout, text, column, style->width);
}

static const struct cli_part *part_of(const struct cli_part *parts, const char *key)
{
	for (; parts && parts->key; parts++)
		if (!strcmp(parts->key, key))
			return parts;
	return NULL;
}

static void print_part(const struct show *show, const char *key, json_t *rows, int indent)
{
	const struct cli_part *part = part_of(show->parts, key);
	unsigned count = 0;
	char title[64];

	cli_title(key, title);
	printf("%*s%s:\n", indent, "", part && part->title ? part->title : title);
	/* Scripts get all there is. */
	if (!part || !show->style->width) {
		print_rows_plainly(rows, indent + 2, show->style);
		return;
	}
	while (part->columns[count].title)
		count++;
	cli_print_table(rows, part->columns, count, indent + 2, true, show->style);
}

static void print_members(const struct show *show, json_t *object, int indent)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value) {
		char title[66];

		cli_title(key, title);
		if (show->style->width && all_numbers(value)) {
			printf("%*s%-*s ", indent, "", TITLE, strcat(title, ":"));
			print_numbers(value, (size_t)indent + TITLE + 1, show->style);
		} else if (json_is_object(value)) {
			printf("%*s%s:\n", indent, "", title);
			print_members(show, value, indent + 2);
		} else if (json_is_array(value) && json_is_object(json_array_get(value, 0))) {
			print_part(show, key, value, indent);
		} else {
			size_t length = strlen(strcat(title, ":"));

			printf("%*s%-*s ", indent, "", TITLE, title);
			print_value(value, key, (size_t)indent + MAX(length, (size_t)TITLE) + 1,
				    show->style);
		}
	}
}

void cli_print_object(json_t *object, const struct cli_part *parts,
		      const struct cli_listing *listing)
{
	struct cli_style style;
	const struct show show = { parts, &style };

	cli_style_begin(&style, listing);
	print_members(&show, object, 0);
	cli_style_end(&style);
}

void cli_print_result(json_t *result, const struct cli_column *columns,
		      const struct cli_part *parts, const struct cli_listing *listing)
{
	if (listing->json && columns && listing->sort)
		cli_sort_rows(result, columns, listing);
	if (listing->json)
		cli_print_json(result);
	else if (columns)
		cli_print_rows(result, columns, listing);
	else
		cli_print_object(result, parts, listing);
}
