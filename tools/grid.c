/* SPDX-License-Identifier: BSD-2-Clause */
/* See grid.h. */
#include "tools/grid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"

#define RANK_MINOR 3u /* from here on a column is rather left out than a text shortened */
#define GAP        2u
#define LEAST_TEXT 12u /* columns that a shortened text keeps */
#define FAIR_TEXT  24u /* and has before columns that matter are left out for it */
#define LEAST_NOTE 32u /* and one that goes on in further lines has */
#define BELOW      4   /* where one begins for which there is no room beside the others */

/* ---- Cells ---- */

/* Texts of cells, which go together. */
struct texts {
	struct texts *next;
	size_t used, size;
	char at[];
};

static char *keep_text(struct grid *grid, const char *text)
{
	size_t size = strlen(text) + 1;
	struct texts *texts = grid->texts;

	if (!texts || texts->size - texts->used < size) {
		size_t room = MAX(size, (size_t)32768);

		texts = malloc(sizeof(*texts) + room);
		if (!texts)
			abort();
		*texts = (struct texts){ .next = grid->texts, .size = room };
		grid->texts = texts;
	}
	texts->used += size;
	return memcpy(texts->at + texts->used - size, text, size);
}

static char *keep_owned(struct grid *grid, char *text)
{
	char *kept = keep_text(grid, text);

	free(text);
	return kept;
}

static void set_cell(struct grid *grid, size_t row, unsigned i, char *cell, size_t width)
{
	grid->cells[row * grid->count + i] = cell;
	grid->widths[i] = MAX(grid->widths[i], width);
	grid->empty[i] &= !strcmp(cell, "-") || !strcmp(cell, "0");
}

void grid_set(struct grid *grid, size_t row, unsigned i, const char *text)
{
	char *cell = keep_text(grid, text);

	set_cell(grid, row, i, cell, terminal_columns(cell));
}

void grid_begin(struct grid *grid, size_t rows, const struct cli_style *style)
{
	grid->row_count = rows;
	grid->cells = calloc(grid->row_count * grid->count + 1, sizeof(char *));
	if (!grid->cells)
		abort();
	for (unsigned i = 0; i < grid->count; i++) {
		grid->widths[i] = style->header ? strlen(grid->columns[i].title) : 0;
		grid->empty[i] = true;
	}
}

/* What needs no cleaning. */
static bool is_plain(const char *text)
{
	const char *at = text;

	while (*at >= ' ' && *at <= '~')
		at++;
	return !*at && at > text;
}

/* The cell before it in the column: thousands of rows have the same there. */
struct cell_before {
	char *cell;
	size_t width;
	enum cli_value_kind kind;
	int64_t number;
};

static void fill_cell(struct grid *grid, size_t row, unsigned i, struct cli_value *value,
		      const struct cli_style *style, struct cell_before *before)
{
	enum cli_format format = grid->columns[i].format;
	json_t *json = value->kind == CLI_VALUE_JSON   ? value->json
		       : value->kind == CLI_VALUE_TEXT ? NULL
						       : json_null();
	bool plain =
		value->kind == CLI_VALUE_TEXT && format != CLI_AS_PATH && is_plain(value->text);

	if (before->cell && before->kind == value->kind && value->kind != CLI_VALUE_JSON &&
	    (plain                           ? !strcmp(before->cell, value->text)
	     : value->kind != CLI_VALUE_TEXT ? before->number == value->number
					     : false)) {
		set_cell(grid, row, i, before->cell, before->width);
		return;
	}
	before->kind = value->kind;
	before->number = value->number;
	if (plain)
		before->cell = keep_text(grid, value->text);
	else if (value->kind == CLI_VALUE_NUMBER)
		before->cell = keep_owned(grid, cli_number_cell(value->number, format, style));
	else if (json || (json = json_string(value->text)) || (json = json_null()))
		before->cell = keep_owned(grid, cli_cell(json, format, style));
	json_decref(json);
	before->width = terminal_columns(before->cell);
	set_cell(grid, row, i, before->cell, before->width);
}

void grid_fill_from(struct grid *grid, const struct cli_source *source,
		    const struct cli_column *columns, const struct cli_style *style)
{
	grid_begin(grid, source->count, style);
	for (unsigned i = 0; i < grid->count; i++) {
		struct cell_before before = { 0 };
		unsigned number = 0;

		while (columns[number].key != grid->columns[i].key)
			number++;
		for (size_t row = 0; row < grid->row_count; row++) {
			struct cli_value value;

			value.kind = CLI_VALUE_NONE;
			value.number = 0;
			source->value(source, row, number, &value);
			fill_cell(grid, row, i, &value, style, &before);
		}
	}
}

static void grid_free(struct grid *grid)
{
	while (grid->texts) {
		struct texts *texts = grid->texts;

		grid->texts = texts->next;
		free(texts);
	}
	free(grid->cells);
}

/* ---- Columns that fit ---- */

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

			if (i != index)
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
			break;
		grid->widths[longest]--;
	}
	for (unsigned i = 0; i < grid->count; i++)
		for (size_t row = 0; row < grid->row_count && !is_note(grid, i); row++)
			terminal_shorten(grid->cells[row * grid->count + i], grid->widths[i],
					 grid->columns[i].format == CLI_AS_PATH);
}

/* Whether there is room for the others as they are, but none for the note beside them, or for neither. */
static bool note_is_below(const struct grid *grid, size_t width)
{
	size_t note = grid->widths[grid->count - 1], others = grid_width(grid) - note;

	return (others <= width && others + MIN(note, (size_t)LEAST_NOTE) > width) ||
	       grid_least(grid, true) > width;
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
	if (is_note(grid, grid->count - 1)) {
		grid->below = grid->count > 1 && note_is_below(grid, width);
		*last = grid->below ? 0 : MIN(*last, (size_t)LEAST_NOTE);
	}
	if (grid_width(grid) > width + (grid->below ? GAP : 0))
		grid_shorten(grid, width);
	if (is_note(grid, grid->count - 1))
		*last = note;
}

/* ---- Printing ---- */

/* Nobody else prints meanwhile, and of thousands of rows the locks would cost as much as the texts. */
static void print_bytes(const char *at, size_t length)
{
	if (length)
		fwrite_unlocked(at, 1, length, stdout);
}

static void print_spaces(size_t count)
{
	static const char spaces[] = "                                ";

	for (; count > sizeof(spaces) - 1; count -= sizeof(spaces) - 1)
		print_bytes(spaces, sizeof(spaces) - 1);
	print_bytes(spaces, count);
}

static void print_cell(const struct grid *grid, unsigned index, const char *text,
		       const struct cli_style *style, bool title)
{
	bool last = index + 1 == grid->count - grid->below;
	const char *color = style->color && !title && grid->columns[index].format == CLI_AS_STATE
				    ? terminal_color_of(text)
				    : "";

	print_bytes(color, strlen(color));
	print_bytes(text, strlen(text));
	print_bytes(TERMINAL_PLAIN, *color ? strlen(TERMINAL_PLAIN) : 0);
	if (style->tabs) {
		print_bytes("\t", !last);
	} else if (!last) {
		size_t width = terminal_columns(text);

		print_spaces(grid->widths[index] - MIN(width, grid->widths[index]) + GAP);
	}
}

static void print_note(const struct grid *grid, const char *text, size_t column, int indent,
		       const struct cli_style *style)
{
	if (grid->below) {
		printf("\n");
		if (!strcmp(text, "-"))
			return;
		column = (size_t)(indent + BELOW);
		print_spaces(column);
	}
	terminal_print_wrapped(stdout, text, column, style->width);
}

static void print_row(const struct grid *grid, char *const *cells, int indent,
		      const struct cli_style *style)
{
	size_t column = (size_t)indent;

	print_spaces((size_t)indent);
	for (unsigned i = 0; i < grid->count; i++) {
		if (is_note(grid, i) && style->width && !style->tabs) {
			print_note(grid, cells[i], column, indent, style);
			return;
		}
		print_cell(grid, i, cells[i], style, false);
		column += grid->widths[i] + GAP;
	}
	putchar_unlocked('\n');
}

void grid_print(struct grid *grid, int indent, bool fit, const struct cli_style *style)
{
	if (fit && style->width && !style->tabs)
		grid_fit(grid,
			 style->width > (unsigned)indent ? style->width - (unsigned)indent : 1);
	if (style->header) {
		print_spaces((size_t)indent);
		for (unsigned i = 0; i < grid->count - grid->below; i++)
			print_cell(grid, i, grid->columns[i].title, style, true);
		printf("\n");
		if (grid->below)
			printf("%*s%s\n", indent + BELOW, "", grid->columns[grid->count - 1].title);
	}
	for (size_t row = 0; row < grid->row_count; row++)
		print_row(grid, &grid->cells[row * grid->count], indent, style);
	grid_free(grid);
}
