/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A group that is changed without some of its PVs has these marked as missing. A command that makes the change itself is told by its log; a server's log
 * is not what who asked it reads: it is told among the notes. At home.
 */
#include <string.h>

#include "tools/serve.h"
#include "util/bytes.h"

static bool is_unmarked(const struct volume_pv *pv)
{
	return !pv->block && !pv->marked_missing;
}

json_t *serve_unmarked(const struct volume_group *group)
{
	json_t *uuids = json_array();

	for (unsigned i = 0; i < group->pv_count; i++)
		if (is_unmarked(group->pvs[i]))
			json_array_append_new(uuids, json_string(group->pvs[i]->uuid));
	return uuids;
}

static const struct volume_pv *find_marked(const struct volume_group *group, const char *uuid)
{
	for (unsigned i = 0; i < group->pv_count; i++)
		if (group->pvs[i]->marked_missing && !strcmp(group->pvs[i]->uuid, uuid))
			return group->pvs[i];
	return NULL;
}

void serve_tell_marked(const json_t *unmarked, const struct volume_group *group, json_t *notes)
{
	const json_t *uuid;
	size_t index;

	json_array_foreach(unmarked, index, uuid) {
		const struct volume_pv *pv = find_marked(group, json_string_value(uuid));

		if (pv)
			json_array_append_new(
				notes,
				json_sprintf("volume group %s: was changed without PV %s, which is "
					     "marked as missing: it is used again after `tenon vg "
					     "repair %s --restore-missing`",
					     group->name, pv->uuid, group->name));
	}
}
