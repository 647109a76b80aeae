/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Spare groups, as mdadm's monitor has them: where an array of a group is degraded and has no spare, one of an array of
 * the same group that is whole goes there. Groups are what --spare-group says, and are kept nowhere else.
 *
 * A spare has no data. It leaves its array before it is added to the other; if it cannot be, it goes back. Should the
 * server end in between, it is still a spare of the first by its superblock.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raid/events.h"
#include "tools/describe.h"
#include "tools/raid.h"
#include "tools/serve_array_call.h"
#include "util/bytes.h"

#define LOOK_NS  1000000000ull        /* between looks */
#define AGAIN_NS (60 * 1000000000ull) /* after one that could not be moved */

/* ---- What --spare-group says: NAME=ARRAY,ARRAY... ---- */

bool serve_spares_check(const struct cli_words *groups)
{
	for (unsigned i = 0; i < groups->count; i++) {
		const char *arrays = strchr(groups->words[i], '=');

		if (arrays && arrays != groups->words[i] && strchr(arrays, ',') &&
		    !strstr(arrays, ",,") && arrays[1] != ',' && arrays[strlen(arrays) - 1] != ',')
			continue;
		cli_usage_error("--spare-group %s: expected NAME=ARRAY,ARRAY...", groups->words[i]);
		return false;
	}
	return true;
}

/* ---- How arrays stand ---- */

struct standing {
	struct array_call call;
	char *word; /* as it was named */
	char target[RAID_UUID_TEXT + 3];
	bool runs, whole, needs;
	uint64_t least; /* bytes that a device must have for it */
	char *spare;    /* the smallest that it has */
	uint64_t spare_size;
};

static uint64_t data_start(const struct raid_status *status)
{
	uint64_t start = 0;

	for (unsigned i = 0; i < status->member_count; i++)
		if (status->members[i].state == RAID_MEMBER_IN_SYNC)
			start = MAX(start, status->members[i].data_offset);
	return start;
}

/* At home. */
static int look_at(struct array_call *call)
{
	struct standing *standing = container_of(call, struct standing, call);
	struct raid_status status;
	unsigned taken = 0;

	raid_status(call->array, &status);
	strcpy(standing->target, "md/");
	raid_uuid_format(status.uuid, standing->target + 3);
	standing->least = status.member_size + data_start(&status);
	for (unsigned i = 0; i < status.member_count; i++) {
		const struct raid_member_status *member = &status.members[i];

		taken += member->state == RAID_MEMBER_IN_SYNC ||
			 member->state == RAID_MEMBER_REBUILDING;
		if (member->state != RAID_MEMBER_SPARE ||
		    (standing->spare && standing->spare_size <= member->device_size))
			continue;
		free(standing->spare);
		standing->spare = strdup(member->device);
		standing->spare_size = member->device_size;
	}
	standing->runs = !status.failed && !status.read_only;
	standing->whole = standing->runs && !status.degraded;
	standing->needs = standing->runs && taken < status.raid_disks && !standing->spare;
	raid_status_free(&status);
	return 0;
}

static void look(struct serve *serve, struct standing *standing)
{
	standing->call.serve = serve;
	standing->call.params = json_pack("{s:s}", "name", standing->word);
	standing->runs = standing->whole = standing->needs = false;
	/* One that this server does not have is none of its group. */
	if (!array_call_find(&standing->call, false))
		array_call_do(&standing->call, look_at);
}

/* ---- Moving ---- */

static int note_move(struct array_call *call)
{
	const char *from = json_string_value(json_object_get(call->params, "from"));

	raid_event_note(call->array, "MoveSpare", from);
	return 0;
}

static int ask_for(struct serve *serve, rpc_method_fn *method, const struct standing *array,
		   const char *device, struct error *error)
{
	json_t *params = json_pack("{s:s, s:o, s:b}", "name", array->target, "device",
				   describe_text(device), "force", 1);
	json_t *result = NULL;
	int rc = method(serve, params, &result, error);

	json_decref(params);
	json_decref(result);
	return rc;
}

static void tell_move(struct serve *serve, struct standing *to, const struct standing *from)
{
	CLEANUP_FREE char *name = raid_target(from->word);
	struct array_call call = { .serve = serve,
				   .params = json_pack("{s:s, s:o}", "name", to->target, "from",
						       describe_text(name)) };

	if (!array_call_find(&call, false))
		array_call_do(&call, note_move);
	json_decref(call.params);
	log_warning(&serve->log, "%s: the spare %s comes from %s", to->word, from->spare, name);
}

static int move(struct serve *serve, struct standing *to, struct standing *from)
{
	struct error why = { 0 }, back = { 0 };
	int rc = ask_for(serve, serve_raid_remove, from, from->spare, &why);

	if (!rc) {
		rc = ask_for(serve, serve_raid_add, to, from->spare, &why);
		if (rc && ask_for(serve, serve_raid_add, from, from->spare, &back))
			log_error(&serve->log, "%s: %s is no spare of it any more: %s", from->word,
				  from->spare, back.text);
	}
	if (rc)
		log_warning(&serve->log, "%s: the spare %s of %s cannot be moved there: %s",
			    to->word, from->spare, from->word, why.text);
	else
		tell_move(serve, to, from);
	return rc;
}

/* The smallest spare that is large enough, of an array that needs none itself. */
static struct standing *find_giver(struct standing *all, unsigned count, const struct standing *to)
{
	struct standing *best = NULL;

	for (unsigned i = 0; i < count; i++) {
		if (&all[i] != to && all[i].whole && all[i].spare &&
		    all[i].spare_size >= to->least &&
		    (!best || all[i].spare_size < best->spare_size))
			best = &all[i];
	}
	return best;
}

/* Whether all went well. One move at a time: what follows from it is looked at anew. */
static bool serve_group(struct serve *serve, const char *group)
{
	CLEANUP_FREE char *copy = strdup(strchr(group, '=') + 1);
	struct standing *all = copy ? calloc(strlen(copy) + 1, sizeof(*all)) : NULL;
	char *rest = copy, *word;
	unsigned count = 0;
	bool well = true;

	while (all && (word = strsep(&rest, ",")))
		all[count++].word = word;
	for (unsigned i = 0; i < count; i++)
		look(serve, &all[i]);
	for (unsigned i = 0; i < count; i++) {
		struct standing *giver = all[i].needs ? find_giver(all, count, &all[i]) : NULL;

		if (!giver)
			continue;
		well = !move(serve, &all[i], giver);
		break;
	}
	for (unsigned i = 0; i < count; i++) {
		json_decref(all[i].call.params);
		free(all[i].spare);
	}
	free(all);
	return well;
}

int serve_spares_fiber(void *arg)
{
	struct serve *serve = arg;
	bool well = true;

	while (!fiber_sleep(well ? LOOK_NS : AGAIN_NS)) {
		well = true;
		for (unsigned i = 0; i < serve->spare_groups.count; i++)
			well &= serve_group(serve, serve->spare_groups.words[i]);
	}
	return 0;
}
