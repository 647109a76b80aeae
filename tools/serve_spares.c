/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Spare groups, as mdadm's monitor has them: where an array of a group is degraded and has no spare, one of an array of
 * the same group that is whole goes there. Groups are what --spare-group says, and are kept nowhere else.
 *
 *	spare of one --raid_take_spare()--> held by nobody but us --raid_add_over()--> spare of the other
 *	                                              `--if that fails, or is not needed any more--> spare of the one
 *
 * Whether one has a spare to give and the other needs it is asked again when it leaves and before it is added: between the looks an array may
 * have failed, or been rebuilt. The device stays open and locked all the time, so that nobody else can put anything on it, and what it
 * says is not written over before the other array's word is on it. Should the server end in between, it is still a spare of the first by
 * its superblock.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
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
	bool whole, needs;
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

static bool runs(const struct raid_status *status)
{
	return !status->failed && !status->read_only;
}

/* A place is empty, and it has no spare for it. */
static bool needs_one(const struct raid_status *status)
{
	unsigned taken = 0, spares = 0;

	for (unsigned i = 0; i < status->member_count; i++) {
		const struct raid_member_status *member = &status->members[i];

		taken += !member->replaces && (member->state == RAID_MEMBER_IN_SYNC ||
					       member->state == RAID_MEMBER_REBUILDING);
		spares += member->state == RAID_MEMBER_SPARE;
	}
	return runs(status) && taken < status->raid_disks && !spares;
}

/* At home. */
static int look_at(struct array_call *call)
{
	struct standing *standing = container_of(call, struct standing, call);
	struct raid_status status;

	raid_status(call->array, &status);
	strcpy(standing->target, "md/");
	raid_uuid_format(status.uuid, standing->target + 3);
	standing->least = status.member_size + data_start(&status);
	for (unsigned i = 0; i < status.member_count; i++) {
		const struct raid_member_status *member = &status.members[i];

		if (member->state != RAID_MEMBER_SPARE ||
		    (standing->spare && standing->spare_size <= member->device_size))
			continue;
		free(standing->spare);
		standing->spare = strdup(member->device);
		standing->spare_size = member->device_size;
	}
	standing->whole = runs(&status) && !status.degraded;
	standing->needs = needs_one(&status);
	raid_status_free(&status);
	return 0;
}

static int look(struct serve *serve, struct standing *standing)
{
	int rc;

	standing->call.serve = serve;
	standing->call.params = json_pack("{s:s}", "name", standing->word);
	standing->whole = standing->needs = false;
	/* One that this server does not have is none of its group. */
	rc = array_call_find(&standing->call, false);
	return rc ? rc : array_call_do(&standing->call, look_at);
}

static void end_look(struct standing *standing)
{
	json_decref(standing->call.params);
	free(standing->spare);
}

/* Arrays that a group names and that this server does not run: their names may be wrong. */
static void tell_absent(struct serve *serve, const char *group)
{
	CLEANUP_FREE char *copy = strdup(strchr(group, '=') + 1);
	char *rest = copy, *word;

	while (copy && (word = strsep(&rest, ","))) {
		struct standing standing = { .word = word };

		if (look(serve, &standing))
			log_warning(&serve->log,
				    "--spare-group %s: this server runs no array %s, which gives "
				    "no spares and gets none",
				    group, word);
		end_look(&standing);
	}
}

/* ---- Moving ---- */

static int note_move(struct array_call *call)
{
	const char *from = json_string_value(json_object_get(call->params, "from"));

	raid_event_note(call->array, "MoveSpare", from);
	return 0;
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

/* A move: at the home of the one, then of the other. */
struct spare_call {
	struct array_call call;
	struct serve_home *home;         /* where it was */
	char giver[RAID_UUID_TEXT + 3];  /* md/UUID */
	char target[RAID_UUID_TEXT + 3]; /* of the array that the call is about */
	const char *device;
	struct block *block; /* while nobody but us holds it */
};

static int take(struct array_call *call)
{
	struct spare_call *spare = container_of(call, struct spare_call, call);
	int rc = raid_take_spare(call->array, spare->device, &spare->block, call->error);

	spare->home = call->home;
	if (!rc)
		array_call_forget(call, spare->device);
	return rc;
}

/* What it is, is what left the other array. */
static int check_taken(const struct spare_call *spare, struct block *block, struct error *error)
{
	struct raid_info info;
	char uuid[RAID_UUID_TEXT];

	if (raid_probe(block, &info, NULL) == 1 && info.role == RAID_SPARE &&
	    !strcmp(raid_uuid_format(info.set_uuid, uuid), spare->giver + 3))
		return 0;
	return error_set(error, -EINVAL, "%s is not what it was: no spare of %s by its superblock",
			 block->name, spare->giver);
}

static int give(struct array_call *call)
{
	struct spare_call *spare = container_of(call, struct spare_call, call);
	struct raid_status status;
	bool wanted;
	int rc;

	block_move(spare->block);
	raid_status(call->array, &status);
	wanted = needs_one(&status) || !strcmp(spare->target, spare->giver);
	raid_status_free(&status);
	if (!wanted)
		return error_set(call->error, -EBUSY, "%s needs no spare any more",
				 raid_array_block(call->array)->name);
	rc = check_taken(spare, spare->block, call->error);
	if (!rc)
		rc = raid_add_over(call->array, spare->block, call->error);
	if (!rc)
		block_unref(steal_pointer(&spare->block));
	return rc;
}

/* No array has it any more. */
static int let_go(void *arg)
{
	struct spare_call *spare = arg;

	block_move(spare->block);
	block_unref(steal_pointer(&spare->block));
	return 0;
}

static int call_spare(struct serve *serve, struct spare_call *spare,
		      int (*fn)(struct array_call *call), const char *target, struct error *error)
{
	int rc;

	snprintf(spare->target, sizeof(spare->target), "%s", target);
	spare->call = (struct array_call){ .serve = serve,
					   .params = json_pack("{s:s}", "name", target),
					   .error = error };
	rc = array_call_find(&spare->call, false);
	if (!rc)
		rc = array_call_do(&spare->call, fn);
	json_decref(spare->call.params);
	return rc;
}

static int move(struct serve *serve, struct standing *to, const struct standing *from)
{
	struct spare_call spare = { .device = from->spare };
	struct error why = { 0 }, back = { 0 };
	int rc;

	snprintf(spare.giver, sizeof(spare.giver), "%s", from->target);
	rc = call_spare(serve, &spare, take, from->target, &why);
	if (!rc)
		rc = call_spare(serve, &spare, give, to->target, &why);
	if (rc && spare.block && call_spare(serve, &spare, give, from->target, &back)) {
		log_error(&serve->log, "%s: %s is no spare of it any more: %s", from->word,
			  from->spare, back.text);
		serve_call(spare.home, let_go, &spare);
		device_list_remove(&serve->owned, from->spare);
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
		/* An array that is a spare stays where it is: it is open for what lies on it. */
		if (&all[i] != to && all[i].whole && all[i].spare &&
		    !stack_names_array(all[i].spare) && all[i].spare_size >= to->least &&
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
	for (unsigned i = 0; i < count; i++)
		end_look(&all[i]);
	free(all);
	return well;
}

int serve_spares_fiber(void *arg)
{
	struct serve *serve = arg;
	bool well = true;

	for (unsigned i = 0; i < serve->spare_groups.count; i++)
		tell_absent(serve, serve->spare_groups.words[i]);
	while (!fiber_sleep(well ? LOOK_NS : AGAIN_NS)) {
		well = true;
		for (unsigned i = 0; i < serve->spare_groups.count; i++)
			well &= serve_group(serve, serve->spare_groups.words[i]);
	}
	return 0;
}
