/* SPDX-License-Identifier: BSD-2-Clause */
/* See lv_synced.h. */
#include "tools/lv_synced.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "raid/raid.h"
#include "tools/describe.h"
#include "tools/owner.h"
#include "util/error.h"
#include "volume/volume_raid.h"

static const char key[] = "synced_percent";

/* Of an array that runs without some of its images, though no physical volume is missing: one did not do what it was to. `served`: a server has it. */
static void tell_failed(json_t *row, unsigned failed, unsigned places, bool served)
{
	const char *state = json_string_value(json_object_get(row, "state"));
	char text[512];

	if (!failed || !state ||
	    (strcmp(state, "writable") != 0 && strcmp(state, "read-only") != 0))
		return;
	json_object_set_new(row, "state", json_string("degraded"));
	if (!json_is_null(json_object_get(row, "problem")))
		return;
	snprintf(text, sizeof(text),
		 "it runs without %u of its %u images, which failed%s. "
		 "Opened anew they are filled, if they can be; `tenon lv repair` replaces those "
		 "that are lost",
		 failed, places, served ? "; what is wrong with them is in the server's log" : "");
	json_object_set_new(row, "problem", json_string(text));
}

static unsigned failed_of(const struct raid_status *status)
{
	unsigned failed = 0;

	for (unsigned i = 0; i < status->member_count; i++)
		failed += status->members[i].state == RAID_MEMBER_FAULTY;
	return failed;
}

/* As the server says it. */
static unsigned failed_there(const json_t *array)
{
	unsigned failed = 0;
	json_t *member;
	size_t index;

	json_array_foreach(json_object_get(array, "members"), index, member) {
		const char *state = json_string_value(json_object_get(member, "state"));

		failed += state && !strcmp(state, "faulty");
	}
	return failed;
}

void lv_synced_look(json_t *row, struct volume_group *group, const struct volume_lv *lv,
		    bool serves)
{
	CLEANUP_BLOCK struct block *block = NULL;
	struct error ignored = { 0 };
	struct raid_status status;
	json_t *percent = json_null();

	if (volume_lv_is_raid(lv) && !volume_open_lv(group, lv->name, false, &block, &ignored)) {
		raid_status(volume_lv_array(lv), &status);
		percent = describe_synced(&status);
		tell_failed(row, failed_of(&status), status.raid_disks, serves);
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
	    json_is_number(json_object_get(answer, key))) {
		json_object_set(row, key, json_object_get(answer, key));
		tell_failed(row, failed_there(answer),
			    (unsigned)json_integer_value(json_object_get(answer, "devices")), true);
	}
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
