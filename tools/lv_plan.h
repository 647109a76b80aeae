/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Before a volume is removed or gets another size: what would that do, and may it? The first is found out where the group
 * is open, in a server (`lv.plan`) or by a look; the second is between the command and its user.
 */
#ifndef TENON_TOOLS_LV_PLAN_H
#define TENON_TOOLS_LV_PLAN_H

#include <jansson.h>
#include <stdbool.h>

struct consent;
struct error;
struct volume_group;

/*
 * `params` has "name" (VG/LV) and, for another size, what lv_size.h has. The result:
 *	uuid, size_bytes	of the volume as it is
 *	new_size_bytes		rounded up to extents, or null when it is to be removed
 *	wanted_bytes		before that
 *	holds, needs_bytes	what was recognised on it and how much of it that needs, where it is removed or made smaller;
 *				null for nothing, and for not known
 *	unread			why that could not be found out, or null
 * Of one that is to be made ("create", and what lv.create takes) it is "lines", texts.
 * Writes to nothing. At the group's home.
 */
int lv_plan(struct volume_group *group, json_t *params, json_t **plan, struct error *error);

/* Which way a size may go. */
struct lv_plan_rules {
	bool remove, grow, shrink, force;
};

/* Whether the plan may be carried out: 0, 1 for a dry run, -EINVAL for a size that goes the wrong way, -EEXIST where a file
 * system would be cut, -EPERM without consent. */
int lv_plan_agree(json_t *plan, const char *name, const struct lv_plan_rules *rules,
		  struct consent *consent, struct error *error);

#endif
