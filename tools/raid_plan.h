/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a change of an array would do, said instead of done (--dry-run): where the array runs, in a server (`raid.plan`), or by
 * a look. Neither writes anything. What would be refused is refused with the same words.
 */
#ifndef TENON_TOOLS_RAID_PLAN_H
#define TENON_TOOLS_RAID_PLAN_H

#include <jansson.h>
#include <stdbool.h>

struct block;
struct cli_words;
struct error;
struct raid_array;

struct raid_plan {
	const char *method; /* "raid.fail" and so on: that would be asked of a server */
	const char *device; /* absolute */
	const char *with;   /* what is to take its place; absolute, or NULL */
	bool force, back;
	bool journal; /* raid.add: as a write journal */

	/* Where it is planned: */
	struct raid_array *array;
	struct block *block; /* the device that would be added; NULL: none */
	json_t *lines;       /* owned by the caller; a text each */
};

/* The device that the plan needs to see, or NULL. */
const char *raid_plan_adds(const struct raid_plan *plan);

/* Opens a device to look at what is on it. It is locked for reading, so that who uses it is found out. The caller owns *out. */
int raid_plan_open(const char *path, struct block **out, struct error *error);

/* Fills in `lines`. At the array's home. */
int raid_plan_make(struct raid_plan *plan, struct error *error);

/* Asks the owner of md/NAME `target`, or looks; prints the plan. */
int raid_plan_show(struct raid_plan *plan, const struct cli_words *given, const char *target,
		   struct error *error);

/* The same of starting it, which no server has. */
int raid_plan_assemble(const struct cli_words *given, const char *target, bool force,
		       bool invalid_backup, struct error *error);

#endif
