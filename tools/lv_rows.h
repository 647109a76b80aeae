/* SPDX-License-Identifier: BSD-2-Clause */
/* The rows of `tenon lv list`. */
#ifndef TENON_TOOLS_LV_ROWS_H
#define TENON_TOOLS_LV_ROWS_H

#include "tools/output.h"

struct stack;
struct volume_group;
struct volume_lv;

extern const struct cli_column lv_columns[];

/* Which volumes a listing has. */
struct lv_wanted {
	const struct volume_group *group; /* its only; NULL: those of all */
	const struct volume_lv *lv;       /* it only; NULL: all of them */
	bool all;                         /* hidden ones too */
};

bool lv_wants(const struct lv_wanted *wanted, const struct volume_group *group,
	      const struct volume_lv *lv);

/*
 * Prints what is wanted of a look's groups as a table. JSON of thousands of volumes costs
 * more than to read them, so none is made. On a fiber. 1: printed; 0: not, as that takes JSON: it is asked for, rows
 * are to be sorted, or servers are asked about RAID volumes; or -ENOMEM.
 */
int lv_rows_print(const struct stack *stack, const struct lv_wanted *wanted,
		  const struct cli_listing *listing);

#endif
