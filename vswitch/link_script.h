/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A schedule's text as it is read: link_schedule.c reads its lines, times and repeats, link_script_changes.c what it does to links, and this is
 * what both share.
 */
#ifndef TENON_VSWITCH_LINK_SCRIPT_H
#define TENON_VSWITCH_LINK_SCRIPT_H

#include "vswitch/link_schedule.h"

#define SCRIPT_WORDS 64

struct script_word {
	char *text;
	unsigned column; /* from 1 */
};

/* A block: the script, or a repeat. */
struct script_block {
	unsigned start; /* the step after its REPEAT */
	unsigned line, column;
	uint64_t count;
	uint64_t elapsed; /* since the pass began, at least */
	bool endless;     /* what follows is never reached */
};

struct script_reader {
	struct link_schedule *schedule;
	const struct link_schedule_files *files;
	struct link_trace *traces[LINK_SCHEDULE_FILES]; /* of these, as they are needed ... */
	struct link_table *tables[LINK_SCHEDULE_FILES]; /* ... as one or the other */
	struct error *error;
	unsigned line, room;
	bool seeded, said; /* there was a seed; anything but a seed */
	struct script_word words[SCRIPT_WORDS + 1];
	unsigned count;
	struct script_block blocks[LINK_SCHEDULE_DEPTH + 1];
	unsigned depth;
};

/* Says where in the script an error is that is set; returns `rc`. */
int script_wrong_at(struct script_reader *reader, unsigned line, unsigned column, int rc);
/* Sets one at a word of this line; `at` may be the one after the last, where something is missing. -EINVAL. */
int script_wrong_word(struct script_reader *reader, unsigned at, const char *expected);
/* -ENOMEM */
int script_no_memory(struct script_reader *reader);

/* Adds a step, whose line is this one. */
int script_add_step(struct script_reader *reader, const struct link_step *step);

/* ---- Of link_script_changes.c: statements ---- */

int script_read_port(struct script_reader *reader);
int script_read_partition(struct script_reader *reader);
int script_read_heal(struct script_reader *reader);
/* What begins with the word `at`: down, up, set or clear, for `ports`. */
int script_read_change(struct script_reader *reader, unsigned at, uint64_t ports);

#endif
