/* SPDX-License-Identifier: BSD-2-Clause */
/* What rebuilds and checks of md arrays and those of volumes have in common: by who has the array, or here. */
#ifndef TENON_TOOLS_RAID_REBUILD_H
#define TENON_TOOLS_RAID_REBUILD_H

#include <jansson.h>

#include "tools/consent.h"

struct block;
struct raid_array;
struct stack;

/* A rebuild or check that a command runs and waits for. */
struct rebuild {
	struct cli_words given, backups; /* the latter of --backup-file */
	char *target;
	bool check, repair, force;

	/* The array of a volume, VG/LV: opens it, for the caller to drop *block, and mends it where that is asked for. NULL: md/NAME. */
	int (*open)(struct rebuild *rebuild, struct stack *stack, struct block **block,
		    struct raid_array **array, struct error *error);
	int (*rehearse)(struct rebuild *rebuild, struct error *error); /* what --dry-run does */
	json_t *mend; /* its lost images are replaced first: of lv.repair, owned; or NULL */

	struct consent consent;
	struct cli_progress progress;
	json_t *result;       /* of a check, as describe_progress() has it */
	uint64_t total, rate; /* as last reported; 0: nothing was to be done */
	uint64_t left;        /* what of it was not done when it ended */
	bool in_part;         /* a check that found nothing, and could not look everywhere */
	bool ended;           /* the server, before it began */
};

#define REBUILD_FORCE_HELP                                                                         \
	"repair: make parity anew, or take the first copy, also where who is wrong cannot be "     \
	"known"

/* Runs it; `target` and what it needs are set. The status to exit with; frees what the rebuild owns, but for the target. */
int rebuild_do(struct rebuild *rebuild);

/* Compares the members of an array that was opened on overlays, and says where they differ; not while it is to be resynced. */
int rebuild_compare(struct rebuild *rebuild, struct raid_array *array, struct error *error);

/* ---- What a check found (scrub_result.c) ---- */

void scrub_say(const struct rebuild *rebuild, uint64_t mismatches, bool repaired);
/* The same, and what that means; a difference that is still there is a failure, -EIO. */
int scrub_result(struct rebuild *rebuild, struct error *error);

/* ---- What would be done (raid_rehearse.c) ---- */

/* What resyncs and recoveries an array would begin with. False: none, nothing was said. */
bool rebuild_say_planned(const char *target, struct raid_array *array);

#endif
