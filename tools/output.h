/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Listings: everything that is listed is JSON first, and printed from it.
 *
 *	output.h	this interface
 *	table.c		rows as a table: which columns, in which order
 *	grid.c		its cells, by the terminal's width
 *	show.c		one object as lines, with tables of what it consists of
 *	cell.c		one value as text
 *	cli_output.c	JSON
 *
 * On a terminal a table fits its width: columns that matter less are left out, then long texts are shortened; paths
 * below the working directory are printed as seen from there. Elsewhere a table has all of its columns and all
 * of each value, whatever the width, so that scripts find what they found before.
 */
#ifndef TENON_TOOLS_OUTPUT_H
#define TENON_TOOLS_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>

#include "tools/terminal.h"

enum cli_format {
	CLI_AS_TEXT,
	CLI_AS_SIZE, /* bytes */
	CLI_AS_RATE, /* bytes per second */
	CLI_AS_PERCENT,
	CLI_AS_STATE, /* coloured */
	CLI_AS_PATH,
	CLI_AS_NOTE, /* a sentence: as the last column it goes on in further lines */
};

/* Of a column that a terminal shows only if asked for it (-o). */
#define CLI_LONG 255

/* A column of a listing: the member `key` of each row. Its name for -o and --sort is the key without the unit
 * (`_bytes`, `_percent`); the key itself is understood too. */
struct cli_column {
	const char *title, *key;
	enum cli_format format;
	unsigned char
		rank; /* 0: a terminal always shows it; the higher, the sooner it is left out */
};

/* What the user says about a listing. */
struct cli_listing {
	const char *columns, *sort, *units, *color;
	bool no_header, json;
};

#define CLI_OPTIONS_SHOW(listing)                                                                  \
	{ "json", CLI_FLAG, &(listing)->json, NULL, "print JSON" },                                \
		{ "units", CLI_TEXT, &(listing)->units, "UNIT",                                    \
		  "of sizes: h (the default), b (bytes), k m g t p e (of 1024), K M G T P E (of "  \
		  "1000)" },                                                                       \
	{                                                                                          \
		"color", CLI_TEXT, &(listing)->color, "WHEN",                                      \
			"auto (on a terminal, unless NO_COLOR is set), always or never"            \
	}
#define CLI_OPTIONS_LISTING(listing)                                                               \
	CLI_OPTIONS_SHOW(listing),                                                                 \
		{ .name = "columns",                                                               \
		  .letter = 'o',                                                                   \
		  .kind = CLI_TEXT,                                                                \
		  .value = &(listing)->columns,                                                    \
		  .placeholder = "COL,...",                                                        \
		  .help = "these columns; +COL,...: these too; help: which there are" },           \
		{ .name = "no-header",                                                             \
		  .letter = 'H',                                                                   \
		  .kind = CLI_FLAG,                                                                \
		  .value = &(listing)->no_header,                                                  \
		  .help = "no titles, and one tab between columns" },                              \
	{                                                                                          \
		.name = "sort", .kind = CLI_TEXT, .value = &(listing)->sort,                       \
		.placeholder = "COL,...", .help = "by these columns; -COL: the greatest first"     \
	}

/* Whether all of that has a meaning, with the columns of the listing (NULL: one object). False: what is wrong, or
 * which columns there are, was printed; *status is the exit status. */
bool cli_listing_check(const struct cli_listing *listing, const struct cli_column *columns,
		       int *status);

/* A list of objects inside of an object: the member `key`, under `title`. */
struct cli_part {
	const char *key, *title;
	const struct cli_column *columns;
};

/* A value of a row that is not JSON. */
enum cli_value_kind { CLI_VALUE_NONE, CLI_VALUE_TEXT, CLI_VALUE_NUMBER, CLI_VALUE_JSON };

struct cli_value {
	enum cli_value_kind kind;
	const char *text; /* as it is: it is cleaned when it is printed */
	int64_t number;
	json_t *json;    /* which is given away */
	char buffer[64]; /* room for a text */
};

/* Rows by the thousand, of which JSON is not made first. */
struct cli_source {
	size_t count;
	/* What row `row` has in column `column` of the listing; *out is CLI_VALUE_NONE before. */
	void (*value)(const struct cli_source *source, size_t row, unsigned column,
		      struct cli_value *out);
};

/* As cli_print_rows(); not with --json or --sort. */
void cli_print_source(const struct cli_source *source, const struct cli_column *columns,
		      const struct cli_listing *listing);

/* Prints rows (an array of objects) as the user wants them. */
void cli_print_rows(json_t *rows, const struct cli_column *columns,
		    const struct cli_listing *listing);

/* Prints an object as "Title: value" lines; members whose name ends in "_bytes" as sizes, lists of objects as
 * tables: those in `parts` (ended by a NULL key; or NULL) on a terminal with these columns. */
void cli_print_object(json_t *object, const struct cli_part *parts,
		      const struct cli_listing *listing);

/* Sorts rows as the listing asks, by the columns' titles and keys. */
void cli_sort_rows(json_t *rows, const struct cli_column *columns,
		   const struct cli_listing *listing);

/* A verb's result: as JSON if asked for, else rows as a table (columns given) or an object as lines. */
void cli_print_result(json_t *result, const struct cli_column *columns,
		      const struct cli_part *parts, const struct cli_listing *listing);

/* Prints any value as indented JSON. */
void cli_print_json(json_t *value);

/* ---- Between the files above ---- */

/* How values are written; from what the user says, and from what standard output is. */
struct cli_style {
	char unit;
	bool color, header, tabs;
	unsigned width; /* of the terminal; 0: none */
	char *folder;   /* on a terminal: the working directory with a slash behind, or NULL */
};

void cli_style_begin(struct cli_style *style, const struct cli_listing *listing);
void cli_style_end(struct cli_style *style);

/* A member's value as clean text, "-" where there is none; the caller frees it. */
char *cli_cell(json_t *value, enum cli_format format, const struct cli_style *style);
/* The same of a number. */
char *cli_number_cell(int64_t number, enum cli_format format, const struct cli_style *style);
/* From the key alone. */
enum cli_format cli_format_of(const char *key);
/* "device_size_bytes" as "Device size", "uuid" as "UUID". */
void cli_title(const char *key, char title[64]);

/* Prints one table; `fit`: columns and texts by the width. */
void cli_print_table(json_t *rows, const struct cli_column *columns, unsigned count, int indent,
		     bool fit, const struct cli_style *style);

#endif
