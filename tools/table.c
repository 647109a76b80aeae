/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows as a table; see output.h. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli.h"
#include "tools/grid.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/text.h"

/* ---- Names ---- */

/* "done" of "progress.done_percent". */
static const char *name_of(const struct cli_column *column)
{
	const char *dot = strrchr(column->key, '.');

	return dot ? dot + 1 : column->key;
}

static size_t name_length(const struct cli_column *column)
{
	const char *name = name_of(column);
	size_t length = strlen(name);

	if (length > 6 && !strcmp(name + length - 6, "_bytes"))
		return length - 6;
	if (length > 8 && !strcmp(name + length - 8, "_percent"))
		return length - 8;
	return length;
}

/* Of a row, also inside of an object in it. */
static json_t *value_of(json_t *row, const struct cli_column *column)
{
	const char *name = name_of(column);
	CLEANUP_FREE char *outer =
		name > column->key ? strndup(column->key, (size_t)(name - column->key) - 1) : NULL;

	return json_object_get(outer ? json_object_get(row, outer) : row, name);
}

/* Of a title what is before a comma, in letters of any size, with `_` for a space. */
static bool is_title(const char *title, const char *word, size_t length)
{
	if (strcspn(title, ",") != length)
		return false;
	for (size_t i = 0; i < length; i++)
		if (tolower((unsigned char)title[i]) != tolower((unsigned char)word[i]) &&
		    !(title[i] == ' ' && word[i] == '_'))
			return false;
	return true;
}

/* By its name in JSON, or else by what stands over it. */
static const struct cli_column *find_column(const struct cli_column *columns, const char *word,
					    size_t length)
{
	for (const struct cli_column *column = columns; column->title; column++)
		if ((strlen(name_of(column)) == length || name_length(column) == length) &&
		    !strncmp(name_of(column), word, length))
			return column;
	for (; columns->title; columns++)
		if (is_title(columns->title, word, length))
			return columns;
	return NULL;
}

static char *known_names(const struct cli_column *columns)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	if (!out)
		abort();
	for (const struct cli_column *column = columns; column->title; column++)
		fprintf(out, "%s%.*s", column == columns ? "" : ", ", (int)name_length(column),
			name_of(column));
	fclose(out);
	return text;
}

/* The next of words with commas between, in `*word`; its length, 0 at the end. */
static size_t next_word(const char **at, const char **word)
{
	while (**at == ',')
		(*at)++;
	*word = *at;
	*at += strcspn(*at, ",");
	return (size_t)(*at - *word);
}

static bool check_names(const char *option, const char *list, const struct cli_column *columns,
			bool signs)
{
	const char *word;
	size_t length;

	while ((length = next_word(&list, &word))) {
		CLEANUP_FREE char *known = NULL;

		if (signs && (*word == '-' || *word == '+')) {
			word++;
			length--;
		}
		if (find_column(columns, word, length))
			continue;
		known = known_names(columns);
		cli_usage_error("%s: there is no column '%.*s'; there are: %s", option, (int)length,
				word, known);
		return false;
	}
	return true;
}

static bool check_units(const char *units)
{
	if (units && (strlen(units) != 1 || !strchr("hbkmgtpeKMGTPE", units[0]))) {
		cli_usage_error("--units %s: expected h, b, k, m, g, t, p, e, K, M, G, T, P or E",
				units);
		return false;
	}
	return true;
}

static bool check_color(const char *color)
{
	if (color && strcmp(color, "auto") && strcmp(color, "always") && strcmp(color, "never")) {
		cli_usage_error("--color %s: expected auto, always or never", color);
		return false;
	}
	return true;
}

/* What has no meaning beside another is not passed over. */
static bool check_json(const struct cli_listing *listing)
{
	const char *option = listing->columns     ? "-o"
			     : listing->no_header ? "-H"
			     : listing->units     ? "--units"
			     : listing->color     ? "--color"
						  : NULL;

	if (!listing->json || !option)
		return true;
	cli_usage_error("%s is about tables: --json prints all there is, sizes in bytes", option);
	return false;
}

bool cli_listing_check(const struct cli_listing *listing, const struct cli_column *columns,
		       int *status)
{
	*status = EXIT_USAGE;
	if (!check_json(listing) || !check_units(listing->units) || !check_color(listing->color))
		return false;
	if (!columns)
		return true;
	if (listing->columns && !strcmp(listing->columns, "help")) {
		for (; columns->title; columns++)
			printf("%.*s\n", (int)name_length(columns), name_of(columns));
		*status = EXIT_DONE;
		return false;
	}
	if (listing->columns &&
	    !check_names("-o", listing->columns + (*listing->columns == '+'), columns, false))
		return false;
	return !listing->sort || check_names("--sort", listing->sort, columns, true);
}

/* ---- Order ---- */

struct order {
	const struct cli_listing *listing;
	const struct cli_column *columns;
};

static int compare_values(json_t *a, json_t *b)
{
	if (json_is_number(a) && json_is_number(b)) {
		double left = json_number_value(a), right = json_number_value(b);

		return left < right ? -1 : left > right;
	}
	if (json_is_string(a) && json_is_string(b))
		return strverscmp(json_string_value(a), json_string_value(b));
	/* What is not there comes first, as "no" does. */
	return (json_is_true(a)                          ? 1
		: json_is_string(a) || json_is_number(a) ? 2
							 : 0) -
	       (json_is_true(b)                          ? 1
		: json_is_string(b) || json_is_number(b) ? 2
							 : 0);
}

struct sorted {
	json_t *row;
	size_t before; /* rows that are equal stay in their order */
};

static int compare_rows(const void *a, const void *b, void *arg)
{
	const struct sorted *left = a, *right = b;
	const struct order *order = arg;
	const char *at = order->listing->sort, *word;
	size_t length;

	while ((length = next_word(&at, &word))) {
		bool back = *word == '-', sign = back || *word == '+';
		const struct cli_column *column =
			find_column(order->columns, word + sign, length - sign);
		int found = column ? compare_values(value_of(left->row, column),
						    value_of(right->row, column))
				   : 0;

		if (found)
			return back ? -found : found;
	}
	return left->before < right->before ? -1 : 1;
}

void cli_sort_rows(json_t *rows, const struct cli_column *columns,
		   const struct cli_listing *listing)
{
	const struct order order = { listing, columns };
	size_t count = json_array_size(rows);
	CLEANUP_FREE struct sorted *all = calloc(count + 1, sizeof(*all));

	if (!all)
		abort();
	for (size_t i = 0; i < count; i++)
		all[i] = (struct sorted){ json_incref(json_array_get(rows, i)), i };
	qsort_r(all, count, sizeof(*all), compare_rows, (void *)&order);
	json_array_clear(rows);
	for (size_t i = 0; i < count; i++)
		json_array_append_new(rows, all[i].row);
}

/* ---- The columns that are asked for ---- */

static unsigned choose(const char *list, const struct cli_column *columns,
		       struct cli_column *chosen, unsigned count)
{
	const char *word;
	size_t length;

	while (count < GRID_COLUMNS && (length = next_word(&list, &word))) {
		const struct cli_column *column = find_column(columns, word, length);

		if (!column)
			continue;
		for (unsigned i = 0; i < count; i++)
			if (chosen[i].key == column->key) {
				memmove(&chosen[i], &chosen[i + 1],
					(count - i - 1) * sizeof(chosen[0]));
				count--;
			}
		chosen[count] = *column;
		chosen[count++].rank = 0;
	}
	return count;
}

/* ---- Printing ---- */

static void fill(struct grid *grid, json_t *rows, const struct cli_style *style)
{
	grid_begin(grid, json_array_size(rows), style);
	for (unsigned i = 0; i < grid->count; i++) {
		const struct cli_column *column = &grid->columns[i];

		for (size_t row = 0; row < grid->row_count; row++) {
			char *cell = cli_cell(value_of(json_array_get(rows, row), column),
					      column->format, style);

			grid_set(grid, row, i, cell);
			free(cell);
		}
	}
}

void cli_print_table(json_t *rows, const struct cli_column *columns, unsigned count, int indent,
		     bool fit, const struct cli_style *style)
{
	struct grid grid = { .count = MIN(count, (unsigned)GRID_COLUMNS) };

	memcpy(grid.columns, columns, grid.count * sizeof(columns[0]));
	fill(&grid, rows, style);
	grid_print(&grid, indent, fit, style);
}

/* The columns that the user wants; whether they are to fit: who names the columns gets them, whatever the width. */
static bool choose_columns(const struct cli_column *columns, const struct cli_listing *listing,
			   struct cli_column chosen[GRID_COLUMNS], unsigned *count)
{
	const char *list = listing->columns;

	*count = 0;
	while ((!list || *list == '+') && columns[*count].title && *count < GRID_COLUMNS) {
		chosen[*count] = columns[*count];
		(*count)++;
	}
	if (list)
		*count = choose(list + (*list == '+'), columns, chosen, *count);
	return !list || *list == '+';
}

void cli_print_rows(json_t *rows, const struct cli_column *columns,
		    const struct cli_listing *listing)
{
	struct cli_column chosen[GRID_COLUMNS];
	struct cli_style style;
	unsigned count;
	bool fit;

	cli_style_begin(&style, listing);
	if (listing->sort)
		cli_sort_rows(rows, columns, listing);
	fit = choose_columns(columns, listing, chosen, &count);
	cli_print_table(rows, chosen, count, 0, fit, &style);
	cli_style_end(&style);
}

void cli_print_source(const struct cli_source *source, const struct cli_column *columns,
		      const struct cli_listing *listing)
{
	struct grid grid = { 0 };
	struct cli_style style;
	bool fit;

	cli_style_begin(&style, listing);
	fit = choose_columns(columns, listing, grid.columns, &grid.count);
	grid_fill_from(&grid, source, columns, &style);
	grid_print(&grid, 0, fit, &style);
	cli_style_end(&style);
}
