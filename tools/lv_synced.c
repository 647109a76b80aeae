/* SPDX-License-Identifier: BSD-2-Clause */
/* See lv_synced.h. */
#include "tools/lv_synced.h"

#include <stdio.h>
#include <stdlib.h>

#include "block/block.h"
#include "raid/raid.h"
#include "tools/describe.h"
#include "tools/owner.h"
#include "util/error.h"
#include "volume/volume_raid.h"

static const char key[] = "synced_percent";

void lv_synced_look(json_t *row, struct volume_group *group, const struct volume_lv *lv)
{
	CLEANUP_BLOCK struct block *block = NULL;
	struct error ignored = { 0 };
	struct raid_status status;
	json_t *percent = json_null();

	if (volume_lv_is_raid(lv) && !volume_open_lv(group, lv->name, false, &block, &ignored)) {
		raid_status(volume_lv_array(lv), &status);
		percent = describe_synced(&status);
		raid_status_free(&status);
	}
	json_object_set_new(row, key, percent);
}

static void ask(json_t *row, const struct cli_words *given)
{
	CLEANUP_FREE char *target = NULL;
	struct error ignored = { 0 };
	json_t *answer = NULL;

	if (!json_is_number(json_object_get(row, key)) ||
	    !json_is_string(json_object_get(row, "served")) ||
	    asprintf(&target, "%s/%s", json_string_value(json_object_get(row, "vg")),
		     json_string_value(json_object_get(row, "name"))) < 0)
		return;
	if (owner_call(given, target, "raid.show", json_pack("{s:s}", "name", target), &answer,
		       &ignored) > 0 &&
	    json_is_number(json_object_get(answer, key)))
		json_object_set(row, key, json_object_get(answer, key));
	json_decref(answer);
}

void lv_synced_ask(json_t *rows, const struct cli_words *given)
{
	json_t *row;
	size_t index;

	if (json_is_object(rows))
		ask(rows, given);
	json_array_foreach(rows, index, row)
		ask(row, given);
}
