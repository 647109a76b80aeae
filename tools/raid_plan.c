/* SPDX-License-Identifier: BSD-2-Clause */
/* See raid_plan.h. */
#include "tools/raid_plan.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "block/signature.h"
#include "raid/geometry.h"
#include "tools/describe.h"
#include "tools/device_look.h"
#include "tools/owner.h"
#include "tools/raid.h"
#include "tools/stack.h"
#include "util/size.h"

static void say(struct raid_plan *plan, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void say(struct raid_plan *plan, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_array_append_new(plan->lines, describe_text(text));
}

const char *raid_plan_adds(const struct raid_plan *plan)
{
	return !strcmp(plan->method, "raid.add") ? plan->device : plan->with;
}

int raid_plan_open(const char *path, struct block **out, struct error *error)
{
	int rc = stack_names_array(path) ? raid_refuse_array(path, error)
					 : device_check_answers(path, error);

	return rc ? rc : block_open_file(out, path, BLOCK_OPEN_LOCK, 0, error);
}

static const char *name_of(const struct raid_plan *plan)
{
	return raid_array_block(plan->array)->name;
}

static const struct raid_member_status *find_member(const struct raid_status *status,
						    const char *device)
{
	for (unsigned i = 0; i < status->member_count; i++)
		if (!strcmp(status->members[i].device, device))
			return &status->members[i];
	return NULL;
}

static int plan_fail(struct raid_plan *plan, const struct raid_status *status, struct error *error)
{
	const struct raid_member_status *member = find_member(status, plan->device);
	bool loses = member && member->state == RAID_MEMBER_IN_SYNC;
	struct error why = { 0 };
	int rc = raid_fail_check(plan->array, plan->device, plan->force, error);

	if (rc)
		return rc;
	say(plan, "%s: would be marked faulty; %u of %u members of %s would be in sync",
	    plan->device, status->working - loses, status->raid_disks, name_of(plan));
	if (member && member->state == RAID_MEMBER_JOURNAL)
		say(plan, "  nothing could be written to %s any more", name_of(plan));
	if (plan->force && raid_fail_check(plan->array, plan->device, false, &why))
		say(plan, "  %s; they could not be read any more", why.text);
	for (unsigned i = 0; loses && i < status->member_count; i++)
		if (status->members[i].state == RAID_MEMBER_SPARE) {
			say(plan, "  the spare %s would take its place", status->members[i].device);
			break;
		}
	return 0;
}

static int plan_remove(struct raid_plan *plan, const struct raid_status *status,
		       struct error *error)
{
	int rc = raid_remove_check(plan->array, plan->device, error);

	(void)status;
	if (!rc)
		say(plan, "%s: would be let go of by %s", plan->device, name_of(plan));
	return rc;
}

/* What is on a device that is added, unless it was a member of this array. */
static int plan_contents(struct raid_plan *plan, const struct raid_status *status,
			 struct block_signature *found, struct error *error)
{
	struct raid_info info;

	if (raid_probe(plan->block, &info, NULL) == 1 &&
	    !memcmp(info.set_uuid, status->uuid, sizeof(status->uuid)))
		return 0;
	return plan->force ? block_signature_find(plan->block, found, error)
			   : block_signature_check(plan->block, error);
}

static int plan_add(struct raid_plan *plan, const struct raid_status *status, struct error *error)
{
	bool replaces = plan->with;
	struct raid_adding what;
	struct block_signature found;
	int lost = plan_contents(plan, status, &found, error);
	int rc = lost < 0 ? lost
		 : plan->journal
			 ? raid_add_journal_check(plan->array, plan->block, plan->force, error)
			 : raid_add_check(plan->array, plan->block, plan->force, plan->back, &what,
					  error);

	if (rc)
		return rc;
	if (plan->journal)
		say(plan, "%s: would become the write journal of %s", plan->block->name,
		    name_of(plan));
	else if (replaces)
		say(plan, "%s: would be added to %s, and get all of the data of %s",
		    plan->block->name, name_of(plan), plan->device);
	else if (what.back)
		say(plan,
		    "%s: would come back to place %d of %s, and get what the bitmap says that it "
		    "missed",
		    plan->block->name, what.place, name_of(plan));
	else if (what.place != RAID_SPARE)
		say(plan, "%s: would fill place %d of %s, and get all of its data",
		    plan->block->name, what.place, name_of(plan));
	else
		say(plan, "%s: would become a spare of %s, which has no empty place",
		    plan->block->name, name_of(plan));
	if (lost)
		say(plan, "  the %s on it would be lost", found.name);
	return 0;
}

static int plan_replace(struct raid_plan *plan, const struct raid_status *status,
			struct error *error)
{
	const struct raid_member_status *with = plan->with ? find_member(status, plan->with) : NULL;
	bool spare = !plan->with || (with && with->state == RAID_MEMBER_SPARE);
	int rc = raid_replace_check(plan->array, plan->device, !plan->with, error);

	if (!rc && !spare)
		rc = plan_add(plan, status, error);
	if (rc)
		return rc;
	say(plan, "%s: would be replaced by %s, and be faulty once that has its data", plan->device,
	    plan->with ? plan->with : "a spare");
	return 0;
}

/* Who is believed where members differ. */
static const char *belief(const struct raid_status *status, bool force)
{
	unsigned copies = status->raid_disks;

	if (status->level == RAID_LEVEL_10)
		copies = raid10_near_copies(status->layout) * raid10_far_copies(status->layout);
	if (status->level == RAID_LEVEL_6)
		return force ? "where P and Q agree on who is wrong it would be written anew; "
			       "elsewhere parity, from the data as they are"
			     : "where P and Q agree on who is wrong it would be written anew; "
			       "elsewhere nothing";
	if (status->level == RAID_LEVEL_4 || status->level == RAID_LEVEL_5)
		return force ? "where parity does not fit it would be made anew from the data as "
			       "they are"
			     : "one parity cannot tell who is wrong: nothing would be written "
			       "where "
			       "it does not fit";
	if (copies > 2)
		return force ? "what most copies say would be written to the others, and the first "
			       "copy in order where most do not agree"
			     : "what most copies say would be written to the others; nothing where "
			       "most do not agree";
	return force ? "the first copy in order would be written to the others"
		     : "two copies cannot tell who is wrong: nothing would be written where they "
		       "differ";
}

static int plan_repair(struct raid_plan *plan, const struct raid_status *status,
		       struct error *error)
{
	char size[SIZE_TEXT];
	int rc = raid_scrub_check(plan->array, error);

	if (rc)
		return rc;
	if (!status->agree || status->progress.held)
		say(plan, "%s: the resync that is due would come first", name_of(plan));
	say(plan, "%s: %s of each member would be compared", name_of(plan),
	    size_format(status->member_size, size));
	say(plan, "  %s", belief(status, plan->force));
	say(plan, "  what a member cannot read would be written to it anew");
	return 0;
}

int raid_plan_make(struct raid_plan *plan, struct error *error)
{
	static const struct {
		const char *method;
		int (*make)(struct raid_plan *plan, const struct raid_status *status,
			    struct error *error);
	} plans[] = { { "raid.fail", plan_fail },
		      { "raid.remove", plan_remove },
		      { "raid.add", plan_add },
		      { "raid.replace", plan_replace },
		      { "raid.check", plan_repair } };
	struct raid_status status;
	int rc = error_set(error, -EINVAL, "%s: no such plan", plan->method);

	for (size_t i = 0; i < sizeof(plans) / sizeof(*plans); i++) {
		if (strcmp(plans[i].method, plan->method))
			continue;
		*error = (struct error){ 0 };
		raid_status(plan->array, &status);
		rc = plans[i].make(plan, &status, error);
		raid_status_free(&status);
	}
	return rc;
}

/* ---- The command's side ---- */

static json_t *plan_params(const struct raid_plan *plan, const char *target)
{
	return json_pack("{s:o, s:s, s:o*, s:o*, s:b, s:b, s:b}", "name", describe_text(target),
			 "method", plan->method, "device",
			 plan->device ? describe_text(plan->device) : NULL, "with",
			 plan->with ? describe_text(plan->with) : NULL, "force", plan->force,
			 "back", plan->back, "journal", plan->journal);
}

/* The name that the stack has for a device which it may know by another. */
static char *name_in_stack(const struct stack *stack, const char *device)
{
	CLEANUP_FREE char **paths = calloc(stack->node_count + 1, sizeof(char *));
	unsigned count = 0;
	char *same = NULL;

	for (unsigned i = 0; paths && i < stack->node_count; i++)
		if (stack->nodes[i].self < 0)
			paths[count++] = stack->nodes[i].name;
	if (paths)
		same = devices_find_same(paths, count, device);
	return same ? same : strdup(device);
}

/* All that there is; or the array that would be added, and then the one that it would be in, as the change itself has them. */
static int plan_look(struct stack **out, const char *added, const struct cli_words *given,
		     const char *target, struct error *error)
{
	const struct stack_options options = { .rehearse = true };
	char *words[] = { (char *)added, (char *)target };
	const struct cli_words targets = { words, 2 };

	return added && stack_names_array(added)
		       ? stack_claim(out, given, &targets, &options, error)
		       : stack_look(out, given, error);
}

static int plan_by_look(struct raid_plan *plan, const struct cli_words *given, const char *target,
			struct error *error)
{
	CLEANUP_STACK struct stack *stack = NULL;
	CLEANUP_BLOCK struct block *block = NULL;
	CLEANUP_FREE char *device = NULL;
	const char *added;
	int rc = plan_look(&stack, raid_plan_adds(plan), given, target, error);

	if (!rc)
		rc = stack_find_running(stack, target, &plan->array, error);
	if (!rc && plan->device) {
		device = name_in_stack(stack, plan->device);
		plan->device = device;
		rc = device ? 0 : -ENOMEM;
	}
	added = raid_plan_adds(plan);
	if (!rc && added) {
		struct block *open = raid_open_device(stack, added);

		if (!open)
			open = raid_open_array(stack, plan->array, added);
		if (open)
			block = block_ref(open);
		else
			rc = raid_plan_open(added, &block, error);
		plan->block = block;
	}
	return rc ? rc : raid_plan_make(plan, error);
}

int raid_plan_show(struct raid_plan *plan, const struct cli_words *given, const char *target,
		   struct error *error)
{
	json_t *answer = NULL, *line;
	size_t index;
	int rc = owner_call(given, target, "raid.plan", plan_params(plan, target), &answer, error);

	plan->lines = rc > 0 ? json_incref(json_object_get(answer, "lines")) : json_array();
	if (!rc)
		rc = plan_by_look(plan, given, target, error);
	json_array_foreach(plan->lines, index, line) {
		if (rc >= 0 && json_is_string(line))
			cli_say("%s", json_string_value(line));
	}
	json_decref(plan->lines);
	json_decref(answer);
	return rc > 0 ? 0 : rc;
}

/* ---- Starting ---- */

static void say_assembled(const char *name, const struct raid_status *status, const char *backup)
{
	cli_say("%s: would be started, %u of %u members are in sync", name, status->working,
		status->raid_disks);
	for (unsigned i = 0; i < status->member_count; i++) {
		const struct raid_member_status *member = &status->members[i];

		if (member->state == RAID_MEMBER_STALE || member->state == RAID_MEMBER_FAULTY)
			cli_say("  %s would be left out: %s", member->device, member->reason);
	}
	if (status->missing)
		cli_say("  %u that are not in sync any more, or not here, would be written down as "
			"missing",
			status->missing);
	if (status->backup_anew && backup)
		cli_say("  what %s has would be of no use, and be written over: if the reshape was "
			"not stopped but cut off, data are damaged then",
			backup);
}

int raid_plan_assemble(const struct cli_words *given, const char *target, bool force,
		       bool invalid_backup, struct error *error)
{
	struct stack_options options = { .strict = true,
					 .degraded = given->degraded,
					 .backups = given->backups,
					 .invalid_backup = invalid_backup };
	CLEANUP_DEVICES struct device_list devices = { 0 };
	CLEANUP_STACK struct stack *stack = NULL;
	struct stack_array *found = NULL;
	struct raid_array *array;
	struct raid_status status;
	int rc = device_list_collect(&devices, given, error);

	if (!rc)
		rc = stack_open(&stack, &devices, &options, error);
	if (!rc)
		rc = stack_find_array(stack, target, &found, error);
	if (!rc && !found->raid && force) {
		cli_say("%s", found->problem ? found->problem : "the array cannot be assembled");
		cli_say("  what was written to %s after that would be lost", target);
		stack_close(steal_pointer(&stack), NULL);
		options.force = options.degraded = true;
		rc = stack_open(&stack, &devices, &options, error);
	}
	if (!rc)
		rc = stack_find_running(stack, target, &array, error);
	if (rc)
		return rc;
	raid_status(array, &status);
	say_assembled(raid_array_block(array)->name, &status,
		      given->backups && given->backups->count ? given->backups->words[0] : NULL);
	raid_status_free(&status);
	return 0;
}
