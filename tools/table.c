/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows as a table; see output.h. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli.h"
#include "tools/output.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/text.h"

#define MOST_COLUMNS 32
#define RANK_MINOR   3u /* from here on a column is rather left out than a text shortened */
#define GAP          2u
#define LEAST_TEXT   12u /* columns that a shortened text keeps */
#define FAIR_TEXT    24u /* and has before columns that matter are left out for it */
#define LEAST_NOTE   32u /* and one that goes on in further lines has */

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

static const struct cli_column *find_column(const struct cli_column *columns, const char *word,
					    size_t length)
{
	for (; columns->title; columns++)
		if ((strlen(name_of(columns)) == length || name_length(columns) == length) &&
		    !strncmp(name_of(columns), word, length))
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

/* ---- Columns that fit ---- */

struct grid {
	struct cli_column columns[MOST_COLUMNS];
	size_t widths[MOST_COLUMNS];
	bool empty[MOST_COLUMNS]; /* no row has anything there */
	unsigned count;
	char **cells; /* of row 0, row 1 ... */
	size_t row_count;
};

static void grid_fill(struct grid *grid, json_t *rows, const struct cli_style *style)
{
	grid->row_count = json_array_size(rows);
	grid->cells = calloc(grid->row_count * grid->count + 1, sizeof(char *));
	if (!grid->cells)
		abort();
	for (unsigned i = 0; i < grid->count; i++) {
		const struct cli_column *column = &grid->columns[i];

		grid->widths[i] = style->header ? strlen(column->title) : 0;
		grid->empty[i] = true;
		for (size_t row = 0; row < grid->row_count; row++) {
			char *cell = cli_cell(value_of(json_array_get(rows, row), column),
					      column->format, style);

			grid->cells[row * grid->count + i] = cell;
			grid->widths[i] = MAX(grid->widths[i], terminal_columns(cell));
			grid->empty[i] &= !strcmp(cell, "-") || !strcmp(cell, "0");
		}
	}
}

static void grid_free(struct grid *grid)
{
	for (size_t i = 0; i < grid->row_count * grid->count; i++)
		free(grid->cells[i]);
	free(grid->cells);
}

static size_t grid_width(const struct grid *grid)
{
	size_t width = 0;

	for (unsigned i = 0; i < grid->count; i++)
		width += grid->widths[i] + (i ? GAP : 0);
	return width;
}

static bool is_note(const struct grid *grid, unsigned index)
{
	return index + 1 == grid->count && grid->columns[index].format == CLI_AS_NOTE;
}

/* With texts in as few columns as they can do with; `short_texts`: all, else the note alone. */
static size_t grid_least(const struct grid *grid, bool short_texts)
{
	size_t width = grid_width(grid);

	for (unsigned i = 0; i < grid->count; i++) {
		size_t least = is_note(grid, i) ? LEAST_NOTE : short_texts ? FAIR_TEXT : SIZE_MAX;

		width -= grid->widths[i] > least ? grid->widths[i] - least : 0;
	}
	return width;
}

static void grid_drop(struct grid *grid, unsigned index)
{
	unsigned after = grid->count - index - 1;

	for (size_t row = 0, to = 0; row < grid->row_count; row++)
		for (unsigned i = 0; i < grid->count; i++) {
			char *cell = grid->cells[row * grid->count + i];

			if (i == index)
				free(cell);
			else
				grid->cells[to++] = cell;
		}
	memmove(&grid->columns[index], &grid->columns[index + 1], after * sizeof(grid->columns[0]));
	memmove(&grid->widths[index], &grid->widths[index + 1], after * sizeof(grid->widths[0]));
	memmove(&grid->empty[index], &grid->empty[index + 1], after * sizeof(grid->empty[0]));
	grid->count--;
}

/* Leaves out the column of `rank` or more that matters least: those where there is nothing first. False: all matter. */
static bool grid_drop_one(struct grid *grid, unsigned least)
{
	int best = -1;

	for (unsigned i = 0; i < grid->count; i++) {
		unsigned rank = grid->columns[i].rank;

		if (!rank || (rank < least && !grid->empty[i]))
			continue;
		if (best < 0 || rank + (grid->empty[i] ? 256u : 0) >=
					grid->columns[best].rank + (grid->empty[best] ? 256u : 0))
			best = (int)i;
	}
	if (best >= 0)
		grid_drop(grid, (unsigned)best);
	return best >= 0;
}

/* Shortens the longest texts. */
static void grid_shorten(struct grid *grid, size_t width)
{
	while (grid_width(grid) > width) {
		unsigned longest = 0, over = 0;

		for (unsigned i = 0; i < grid->count; i++) {
			over += grid->widths[i] > LEAST_TEXT;
			if (grid->widths[i] > grid->widths[longest])
				longest = i;
		}
		if (!over)
			return;
		grid->widths[longest]--;
	}
	for (unsigned i = 0; i < grid->count; i++)
		for (size_t row = 0; row < grid->row_count && !is_note(grid, i); row++)
			terminal_shorten(grid->cells[row * grid->count + i], grid->widths[i],
					 grid->columns[i].format == CLI_AS_PATH);
}

static void grid_fit(struct grid *grid, size_t width)
{
	size_t *last, note;

	for (unsigned i = grid->count; i-- > 0;)
		if (grid->columns[i].rank == CLI_LONG)
			grid_drop(grid, i);
	while (grid_least(grid, false) > width && grid_drop_one(grid, RANK_MINOR))
		;
	while (grid_least(grid, true) > width && grid_drop_one(grid, 1))
		;
	if (!grid->count)
		return;
	/* A note has the room that the others leave. */
	last = &grid->widths[grid->count - 1];
	note = *last;
	if (is_note(grid, grid->count - 1))
		*last = MIN(*last, (size_t)LEAST_NOTE);
	if (grid_width(grid) > width)
		grid_shorten(grid, width);
	if (is_note(grid, grid->count - 1))
		*last = note;
}

/* ---- Printing ---- */

static void print_cell(const struct grid *grid, unsigned index, const char *text,
		       const struct cli_style *style, bool title)
{
	size_t width = terminal_columns(text);
	bool last = index + 1 == grid->count;
	const char *color = style->color && !title && grid->columns[index].format == CLI_AS_STATE
				    ? terminal_color_of(text)
				    : "";

	printf("%s%s%s", color, text, *color ? TERMINAL_PLAIN : "");
	if (style->tabs)
		fputs(last ? "" : "\t", stdout);
	else if (!last)
		printf("%*s", (int)(grid->widths[index] - MIN(width, grid->widths[index]) + GAP),
		       "");
}

static void print_row(const struct grid *grid, char *const *cells, int indent,
		      const struct cli_style *style)
{
	size_t column = (size_t)indent;

	printf("%*s", indent, "");
	for (unsigned i = 0; i < grid->count; i++) {
		if (is_note(grid, i) && style->width && !style->tabs) {
			terminal_print_wrapped(stdout, cells[i], column, style->width);
			return;
		}
		print_cell(grid, i, cells[i], style, false);
		column += grid->widths[i] + GAP;
	}
	printf("\n");
}

void cli_print_table(json_t *rows, const struct cli_column *columns, unsigned count, int indent,
		     bool fit, const struct cli_style *style)
{
	struct grid grid = { .count = MIN(count, (unsigned)MOST_COLUMNS) };

	memcpy(grid.columns, columns, grid.count * sizeof(columns[0]));
	grid_fill(&grid, rows, style);
	if (fit && style->width && !style->tabs)
		grid_fit(&grid,
			 style->width > (unsigned)indent ? style->width - (unsigned)indent : 1);
	if (style->header) {
		printf("%*s", indent, "");
		for (unsigned i = 0; i < grid.count; i++)
			print_cell(&grid, i, grid.columns[i].title, style, true);
		printf("\n");
	}
	for (size_t row = 0; row < grid.row_count; row++)
		print_row(&grid, &grid.cells[row * grid.count], indent, style);
	grid_free(&grid);
}

static unsigned choose(const char *list, const struct cli_column *columns,
		       struct cli_column *chosen, unsigned count)
{
	const char *word;
	size_t length;

	while (count < MOST_COLUMNS && (length = next_word(&list, &word))) {
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

void cli_print_rows(json_t *rows, const struct cli_column *columns,
		    const struct cli_listing *listing)
{
	struct cli_column chosen[MOST_COLUMNS];
	const char *list = listing->columns;
	struct cli_style style;
	unsigned count = 0;

	cli_style_begin(&style, listing);
	if (listing->sort)
		cli_sort_rows(rows, columns, listing);
	while ((!list || *list == '+') && columns[count].title && count < MOST_COLUMNS) {
		chosen[count] = columns[count];
		count++;
	}
	if (list)
		count = choose(list + (*list == '+'), columns, chosen, count);
	/* Who names the columns gets them, whatever the width. */
	cli_print_table(rows, chosen, count, 0, !list || *list == '+', &style);
	cli_style_end(&style);
}
