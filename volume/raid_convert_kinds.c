/* SPDX-License-Identifier: BSD-2-Clause */
/* Which layouts have their data in the same places, and which one comes in between where two have not; see raid_convert_plan.c. */
#include <string.h>

#include "util/bytes.h"
#include "volume/raid_convert.h"

/* The five layouts of level 6 that are one of level 5 and a disk of their own. */
static const char *const pairs[][2] = {
	{ "raid5_la", "raid6_la_6" }, { "raid5_ra", "raid6_ra_6" }, { "raid5_ls", "raid6_ls_6" },
	{ "raid5_rs", "raid6_rs_6" }, { "raid5_n", "raid6_n_6" },
};

bool lvm_raid_is_kind(const struct lvm_raid_kind *kind, int level, uint32_t layout)
{
	return kind && kind->level == level && kind->layout == layout;
}

const struct lvm_raid_kind *lvm_raid_pair(const struct lvm_raid_kind *kind)
{
	for (unsigned i = 0; i < ARRAY_SIZE(pairs); i++)
		for (unsigned k = 0; k < 2; k++) {
			const struct lvm_raid_kind *one = lvm_raid_kind_find(pairs[i][k]);

			if (lvm_raid_is_kind(kind, one->level, one->layout))
				return lvm_raid_kind_find(pairs[i][!k]);
		}
	return NULL;
}

static bool is_raid4(const struct lvm_raid_kind *kind)
{
	return kind && !strcmp(kind->name, "raid4");
}

const char *lvm_convert_first_step(const struct lvm_raid_kind *from, unsigned count,
				   const struct lvm_raid_kind *to)
{
	const struct lvm_raid_kind *pair = NULL;

	if (!from && count == 1)
		return to ? "raid1 --mirrors 1" : NULL;
	if (from && from->level == 1)
		return count == 2 ? "raid5_n" : "raid1 --mirrors 1";
	if (from && from->level == 5 && !is_raid4(from)) {
		if (to && to->level == 6)
			pair = lvm_raid_pair(from);
		return pair && pair != to ? pair->name : "raid5_n";
	}
	if (from && from->level == 6) {
		if (to && to->level == 5 && !is_raid4(to))
			pair = lvm_raid_pair(to);
		return pair && pair != from ? pair->name : "raid6_n_6";
	}
	return to && to->level == 5 ? "raid5_n" : to && to->level == 6 ? "raid6_n_6" : NULL;
}
