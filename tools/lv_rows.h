/* SPDX-License-Identifier: BSD-2-Clause */
/* The rows of `tenon lv list`. */
#ifndef TENON_TOOLS_LV_ROWS_H
#define TENON_TOOLS_LV_ROWS_H

#include "tools/output.h"

struct stack;
struct volume_group;

extern const struct cli_column lv_columns[];

/*
 * Prints the volumes of a look's groups, or of `only`, as a table; `all`: hidden ones too. JSON of thousands of volumes costs
 * more than to read them, so none is made. On a fiber. 1: printed; 0: not, as that takes JSON: it is asked for, rows
 * are to be sorted, or servers are asked about RAID volumes; or -ENOMEM.
 */
int lv_rows_print(const struct stack *stack, const struct volume_group *only, bool all,
		  const struct cli_listing *listing);

#endif
