/* SPDX-License-Identifier: BSD-2-Clause */
/* Listings and progress; see cli.h. Everything that is listed is JSON first, and printed from it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/cli.h"
#include "util/bytes.h"
#include "util/clock.h"
#include "util/size.h"
#include "util/text.h"

#define CLI_CELL 1024
#define CLI_BAR  30

/* One value as text. */
static const char *cli_cell(json_t *value, enum cli_format format, char cell[CLI_CELL])
{
	char size[SIZE_TEXT];

	switch (json_typeof(value)) {
	case JSON_STRING:
		text_clean(cell, CLI_CELL, json_string_value(value));
		return cell;
	case JSON_INTEGER:
		if (format == CLI_AS_SIZE)
			snprintf(cell, CLI_CELL, "%s",
				 size_format((uint64_t)json_integer_value(value), size));
		else
			snprintf(cell, CLI_CELL, "%lld", (long long)json_integer_value(value));
		return cell;
	case JSON_REAL:
		snprintf(cell, CLI_CELL, format == CLI_AS_PERCENT ? "%.1f%%" : "%g",
			 json_real_value(value));
		return cell;
	case JSON_TRUE:
		return "yes";
	case JSON_FALSE:
		return "no";
	default:
		return "-";
	}
}

/* A list of plain values as "a, b, c". The caller frees it. */
static char *cli_join(json_t *list)
{
	char *text = NULL, cell[CLI_CELL];
	size_t length, index;
	json_t *value;
	FILE *out = open_memstream(&text, &length);

	if (!out)
		abort();
	json_array_foreach(list, index, value)
		fprintf(out, "%s%s", index ? ", " : "", cli_cell(value, CLI_AS_TEXT, cell));
	fclose(out);
	return text;
}

static void cli_print_value(json_t *value, enum cli_format format, int width)
{
	char cell[CLI_CELL];

	if (json_is_array(value)) {
		char *text = cli_join(value);

		printf("%-*s", width, *text ? text : "-");
		free(text);
		return;
	}
	printf("%-*s", width, value ? cli_cell(value, format, cell) : "-");
}

static int cli_width(json_t *value, enum cli_format format)
{
	char cell[CLI_CELL];
	char *text;
	int width;

	if (!json_is_array(value))
		return value ? (int)strlen(cli_cell(value, format, cell)) : 1;
	text = cli_join(value);
	width = (int)strlen(text);
	free(text);
	return width;
}

static void cli_table(json_t *rows, const struct cli_column *columns, unsigned count, int indent)
{
	int widths[32] = { 0 };
	size_t index;
	json_t *row;

	for (unsigned i = 0; i < count; i++) {
		widths[i] = (int)strlen(columns[i].title);
		json_array_foreach(rows, index, row) {
			int width =
				cli_width(json_object_get(row, columns[i].key), columns[i].format);

			widths[i] = MAX(widths[i], width);
		}
	}
	printf("%*s", indent, "");
	for (unsigned i = 0; i < count; i++)
		printf("%-*s", i + 1 < count ? widths[i] + 2 : 0, columns[i].title);
	printf("\n");
	json_array_foreach(rows, index, row) {
		printf("%*s", indent, "");
		for (unsigned i = 0; i < count; i++)
			cli_print_value(json_object_get(row, columns[i].key), columns[i].format,
					i + 1 < count ? widths[i] + 2 : 0);
		printf("\n");
	}
}

void cli_print_table(json_t *rows, const struct cli_column *columns)
{
	unsigned count = 0;

	while (columns[count].title)
		count++;
	cli_table(rows, columns, count, 0);
}

/* One character of JSON that is not for a terminal; beyond U+FFFF as two (RFC 8259, 7). */
static void cli_print_escaped(uint32_t character)
{
	if (character > 0xffff) {
		character -= 0x10000;
		printf("\\u%04x\\u%04x", 0xd800 | character >> 10, 0xdc00 | (character & 0x3ff));
	} else {
		printf("\\u%04x", character);
	}
}

/* Characters that are no text stand in strings only, where an escape is the same. */
void cli_print_json(json_t *value)
{
	char *text = json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY);

	if (!text)
		abort();
	for (const char *at = text; *at;) {
		uint32_t character = 0;
		size_t length = text_decode(at, &character);

		if (!length || character == '\n' || text_is_harmless(character))
			fwrite(at, 1, length ? length : 1, stdout);
		else
			cli_print_escaped(character);
		at += length ? length : 1;
	}
	putchar('\n');
	free(text);
}

static enum cli_format cli_format_of(const char *key)
{
	size_t length = strlen(key);

	if (length > 6 && !strcmp(key + length - 6, "_bytes"))
		return CLI_AS_SIZE;
	if (length > 8 && !strcmp(key + length - 8, "_percent"))
		return CLI_AS_PERCENT;
	return CLI_AS_TEXT;
}

/* "device_size_bytes" as "Device size". */
static void cli_title(const char *key, char title[64])
{
	size_t length;

	snprintf(title, 64, "%s", key);
	length = strlen(title);
	if (cli_format_of(key) == CLI_AS_SIZE)
		title[length - 6] = '\0';
	else if (cli_format_of(key) == CLI_AS_PERCENT)
		title[length - 8] = '\0';
	for (char *at = title; *at; at++)
		if (*at == '_')
			*at = ' ';
	if (title[0] >= 'a' && title[0] <= 'z')
		title[0] = (char)(title[0] - 'a' + 'A');
}

/* A list of objects, with the members of the first as columns. */
static void cli_print_rows(json_t *rows, int indent)
{
	struct cli_column columns[32];
	char titles[32][64];
	unsigned count = 0;
	const char *key;
	json_t *value;

	json_object_foreach(json_array_get(rows, 0), key, value) {
		if (count == ARRAY_SIZE(columns) || json_is_object(value))
			continue;
		cli_title(key, titles[count]);
		columns[count] = (struct cli_column){ titles[count], key, cli_format_of(key) };
		count++;
	}
	cli_table(rows, columns, count, indent);
}

static void cli_print_members(json_t *object, int indent)
{
	const char *key;
	json_t *value;
	char title[64];

	json_object_foreach(object, key, value) {
		cli_title(key, title);
		if (json_is_object(value)) {
			printf("%*s%s:\n", indent, "", title);
			cli_print_members(value, indent + 2);
		} else if (json_is_array(value) && json_is_object(json_array_get(value, 0))) {
			printf("%*s%s:\n", indent, "", title);
			cli_print_rows(value, indent + 2);
		} else {
			printf("%*s%-18s ", indent, "", strcat(title, ":"));
			cli_print_value(value, cli_format_of(key), 0);
			printf("\n");
		}
	}
}

void cli_print_object(json_t *object)
{
	cli_print_members(object, 0);
}

void cli_print_listing(json_t *result, const struct cli_column *columns, bool as_json)
{
	if (as_json)
		cli_print_json(result);
	else if (columns)
		cli_print_table(result, columns);
	else
		cli_print_object(result);
}

void cli_progress_report(struct cli_progress *progress, uint64_t done, uint64_t total,
			 uint64_t bytes_per_second)
{
	char sizes[3][SIZE_TEXT], bar[CLI_BAR + 1];
	uint64_t now = monotonic_ns(), elapsed;
	int filled;

	if (!isatty(STDERR_FILENO) || !total)
		return;
	if (!progress->started_ns)
		progress->started_ns = now;
	elapsed = now - progress->started_ns;
	if (!bytes_per_second && elapsed)
		bytes_per_second = (uint64_t)((double)done * 1e9 / (double)elapsed);
	filled = (int)((double)done / (double)total * CLI_BAR);
	for (int i = 0; i < CLI_BAR; i++)
		bar[i] = i < filled ? '#' : '.';
	bar[CLI_BAR] = '\0';
	fprintf(stderr, "\r%s [%s] %3d%%  %s of %s, %s/s\033[K", progress->what, bar,
		(int)((double)done * 100 / (double)total), size_format(done, sizes[0]),
		size_format(total, sizes[1]), size_format(bytes_per_second, sizes[2]));
	fflush(stderr);
	progress->shown = true;
}

void cli_progress_end(struct cli_progress *progress)
{
	if (progress->shown)
		fprintf(stderr, "\n");
	progress->shown = false;
}
