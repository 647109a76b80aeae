/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A distribution of jitter from a file, in the form of iproute2's (`/usr/lib/tc/normal.dist` and others, what `maketable` makes): whole numbers,
 * with spaces and line ends between, of which each is as likely as the others; 8192 stands for one jitter. Lines that
 * begin with '#' are comments. A delay is D + J * t / 8192, with t a number of the table, as in netem.
 *
 * What was read does not change, and is shared and counted, as a trace is (link_trace.h).
 *
 * Source: iproute2 6.1, tc/q_netem.c (get_distribution); Linux 6.1, net/sched/sch_netem.c (tabledist).
 */
#ifndef TENON_VSWITCH_LINK_TABLE_H
#define TENON_VSWITCH_LINK_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct error;

#define LINK_TABLE_BYTES    (1u << 20) /* of a file */
#define LINK_TABLE_MOST     16384      /* numbers, as netem's */
#define LINK_TABLE_SCALE    8192
#define LINK_TABLE_NAME_MAX 64

struct link_table {
	unsigned references;
	char name[LINK_TABLE_NAME_MAX]; /* as a trace's */
	unsigned count;
	int16_t values[];
};

/* Reads `text`, of the file `name`. -EINVAL with the line in `error`; -ENOMEM. */
int link_table_read(struct link_table **out, const char *name, const char *text,
		    struct error *error);
struct link_table *link_table_take(struct link_table *table);
void link_table_drop(struct link_table *table);

/* The table's name in a value of jitter ("5ms,table=NAME"); NULL: there is none. */
const char *link_jitter_table(const char *value);

/* What 63 random bits choose, in jitters. */
double link_table_value(const struct link_table *table, uint64_t bits);

#endif
