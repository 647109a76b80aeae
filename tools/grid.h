/* SPDX-License-Identifier: BSD-2-Clause */
/* A table as it is printed: cells of text, in columns that fit the terminal. Between table.c and grid.c. */
#ifndef TENON_TOOLS_GRID_H
#define TENON_TOOLS_GRID_H

#include "tools/output.h"

#define GRID_COLUMNS 32

struct texts;

struct grid {
	struct cli_column columns[GRID_COLUMNS];
	size_t widths[GRID_COLUMNS];
	bool empty[GRID_COLUMNS]; /* no row has anything there */
	unsigned count;
	bool below;   /* the note at the end is in lines of its own */
	char **cells; /* of row 0, row 1 ... */
	size_t row_count;
	struct texts *texts;
};

/* `columns` and `count` are set before; then all cells are, row by row or column by column, and it is printed once. */
void grid_begin(struct grid *grid, size_t rows, const struct cli_style *style);
/* The cell of column `i`, a clean text, which is copied. */
void grid_set(struct grid *grid, size_t row, unsigned i, const char *text);
/* Both at once. `columns` are those that the source knows by their numbers. */
void grid_fill_from(struct grid *grid, const struct cli_source *source,
		    const struct cli_column *columns, const struct cli_style *style);
/* Prints and frees it; `fit`: columns and texts by the width. */
void grid_print(struct grid *grid, int indent, bool fit, const struct cli_style *style);

#endif
