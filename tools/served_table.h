/* SPDX-License-Identifier: BSD-2-Clause */
/* Where running servers have which volumes, for lists of thousands: a line of text each instead of an object (export_lines() in serve.h). */
#ifndef TENON_TOOLS_SERVED_TABLE_H
#define TENON_TOOLS_SERVED_TABLE_H

#include <stdbool.h>

struct served_table;
struct volume_group;
struct volume_lv;

struct served_place {
	const char *socket;  /* a path; NULL: it is not served */
	const char *problem; /* why not */
};

/* Asks all of them. A server that does not answer is noted on standard error. On a fiber. 0 or -ENOMEM. */
int served_table_ask(struct served_table **out);
void served_table_free(struct served_table *table); /* NULL is fine */

/* False: no server has to do with it. What `place` names lives as long as the table. */
bool served_table_find(const struct served_table *table, const struct volume_group *group,
		       const struct volume_lv *lv, struct served_place *place);

#endif
