/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where volumes may lie, as people say it: devices, UUIDs or @tags of PVs, each with ranges of extents behind it or not:
 *
 *	DEVICE:0-99	these extents; :N one, :N- from there on, :-N up to there, :N+L so many; several one after the other
 *
 * "disk.img:2" is partition 2 where that is a PV of the group, else extent 2 of disk.img.
 */
#ifndef TENON_TOOLS_LV_PLACE_H
#define TENON_TOOLS_LV_PLACE_H

#include <jansson.h>
#include <stdint.h>

#include "tools/cli.h"
#include "util/cleanup.h"
#include "volume/volume.h"

struct error;

/* Words as they are sent to where the group is open: paths are absolute then. */
json_t *lv_place_words(const struct cli_words *words, unsigned from);
/* Sets "pvs" to that. */
void lv_place_add(const struct cli_words *words, unsigned from, json_t *params);
/* A copy of a word without the ranges behind it (or the number of a partition), which the caller frees. NULL without memory. */
char *lv_place_device(const char *word);

struct lv_places {
	struct volume_pv **pvs; /* NULL where none are named */
	unsigned pv_count;
	struct volume_range *ranges; /* of those of which not all is meant */
	unsigned range_count;
};

void lv_places_free(struct lv_places *places);
#define CLEANUP_LV_PLACES CLEANUP(lv_places_free)

/* What a list of words means in a group. -ENOENT, -EINVAL for ranges that a PV has not, or that overlap. */
int lv_place_find(const struct volume_group *group, json_t *list, struct lv_places *places,
		  struct error *error);
/* The PVs that "pvs" of the parameters names, in *out, which the caller frees; NULL where it names none. Whole ones only. */
int lv_place_find_pvs(const struct volume_group *group, json_t *params, struct volume_pv ***out,
		      unsigned *count, struct error *error);
/* Free extents there. */
int lv_place_free(const struct volume_group *group, const struct lv_places *places,
		  uint64_t *extents, struct error *error);
/* Has a volume be made, or grow, there. */
void lv_place_options(const struct lv_places *places, struct volume_lv_options *options);

#endif
