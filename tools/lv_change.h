/* SPDX-License-Identifier: BSD-2-Clause */
/* Changes to volumes, named as the control socket names them; the same in a server and in a command. */
#ifndef TENON_TOOLS_LV_CHANGE_H
#define TENON_TOOLS_LV_CHANGE_H

#include <jansson.h>

struct error;
struct volume_group;

/*
 * `method` is lv.create, lv.remove, lv.rename or lv.resize; `params` has "name" (VG/LV) and what the method
 * takes; and, where the change was planned (lv_plan.h), "uuid" and "old_size_bytes", without which it is not the volume
 * any more that was asked about: -EAGAIN. `news` is given a text where the size is not what was asked for, or
 * another one than before. 0 or a negative errno with `error` set.
 */
int lv_change(struct volume_group *group, const char *method, json_t *params, json_t *news,
	      struct error *error);

/* What lv.create would do, as texts in `lines`; writes nothing, and refuses what that would. */
int lv_change_plan_create(struct volume_group *group, json_t *params, json_t *lines,
			  struct error *error);

/* What the last change of the group left to tell, as a list of texts. */
json_t *lv_change_notes(const struct volume_group *group);
/* Tells such lists on standard error; NULL is fine. */
void lv_change_tell(json_t *notes, json_t *news);

#endif
