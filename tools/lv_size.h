/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sizes of volumes as people give them: 1G, +1G, -1G, 300 extents, 50%FREE, +10%VG, 100%PVS, 20%LV; where they may lie is in
 * lv_place.h. Parsed by the command into parameters, which are carried out where the group is open, since only there
 * is known what is free.
 */
#ifndef TENON_TOOLS_LV_SIZE_H
#define TENON_TOOLS_LV_SIZE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "tools/cli.h"
#include "tools/lv_place.h"

struct error;
struct volume_group;
struct volume_lv;
struct volume_pv;

/* The two options. */
struct lv_size {
	const char *size, *extents; /* as given, or NULL */
};

#define LV_SIZE_OPTIONS(lv_size)                                                                   \
	{ "size", CLI_TEXT, &(lv_size)->size, "SIZE",                                              \
	  "rounded up to whole extents; or N%VG, N%FREE, N%PVS, N%LV" },                           \
	{                                                                                          \
		"extents", CLI_TEXT, &(lv_size)->extents, "N", "the same in extents"               \
	}

/* Sets "sign", and "bytes", "extents" or "percent" with "of". `signs`: those that the verb takes. False: what is wrong was
 * printed. */
bool lv_size_parse(const struct lv_size *size, const char *signs, json_t *params);

/* What the parameters ask for, without sign, in bytes. `lv` may be NULL. A percentage is rounded down to extents, or up
 * where that much goes. -ERANGE. */
int lv_size_bytes(const struct volume_group *group, const struct volume_lv *lv, json_t *params,
		  uint64_t *bytes, struct error *error);

/* Whether it is a percentage: then less than that is allocated where there is less. */
bool lv_size_is_relative(json_t *params);

#endif
