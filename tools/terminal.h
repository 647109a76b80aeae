/* SPDX-License-Identifier: BSD-2-Clause */
/* What standard output and standard error are: how wide a terminal, and whether it is to have colours. */
#ifndef TENON_TOOLS_TERMINAL_H
#define TENON_TOOLS_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Columns of the terminal that `fd` is (its own word, else $COLUMNS, else 80); 0: it is none. */
unsigned terminal_width(int fd);

enum terminal_color { TERMINAL_COLOR_AUTO, TERMINAL_COLOR_ALWAYS, TERMINAL_COLOR_NEVER };

/* Whether what is printed to `fd` is to have colours: by `--color`, else on a terminal that is not TERM=dumb, unless
 * NO_COLOR is set (no-color.org). */
bool terminal_has_color(int fd, enum terminal_color color);

/* "\033[31m" and the like for a state in words (bad: red, not as it should be: yellow), or "" for one that is as it
 * should be. TERMINAL_PLAIN ends it. */
const char *terminal_color_of(const char *state);
#define TERMINAL_PLAIN "\033[0m"

/* Columns that UTF-8 takes on a terminal, where control characters have none (text_clean() goes before). */
size_t terminal_columns(const char *text);

/* Shortens `text` in place to `columns`, with "..." at its end, or, for a path, at its begin. */
void terminal_shorten(char *text, size_t columns, bool is_path);

/* Prints a text and ends its line. `width` is that of the terminal: a long text goes on in lines that begin at
 * `column`, where the cursor is, or, where that leaves no room, begins below; 0: none. */
void terminal_print_wrapped(FILE *to, const char *text, size_t column, size_t width);

#endif
