/* SPDX-License-Identifier: BSD-2-Clause */
/* Opening devices, scanning for groups, looks and claims; see stack.h. */
#include "tools/stack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "block/ends.h"
#include "tools/backup_file.h"
#include "tools/state.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/volume_move.h"

#define CLAIM_ATTEMPTS 5

/* ---- Opening ---- */

/* Of all devices at once. */
static int stack_read_ends(struct stack *stack)
{
	unsigned count = stack->node_count;
	CLEANUP_FREE struct block **blocks = calloc(count + 1, sizeof(struct block *));
	CLEANUP_FREE struct block **ends = calloc(count + 1, sizeof(struct block *));
	int rc = blocks && ends ? 0 : -ENOMEM;

	for (unsigned i = 0; !rc && i < count; i++)
		blocks[i] = stack->nodes[i].block;
	if (!rc)
		rc = block_create_ends(ends, blocks, count);
	for (unsigned i = 0; !rc && i < count; i++)
		stack->nodes[i].ends = ends[i];
	return rc;
}

/* Later somebody may have written there. */
static void stack_forget_ends(struct stack *stack)
{
	for (unsigned i = 0; i < stack->node_count; i++)
		block_unref(steal_pointer(&stack->nodes[i].ends));
}

static int stack_scan(struct stack *stack, const struct stack_options *options, struct error *error)
{
	CLEANUP_STATE_ARCHIVE struct state_archive state;
	struct volume_context context = { .command = options->command,
					  .compute = options->compute,
					  .log = &stack->log,
					  .no_resync = !options->resync,
					  .pvs_only = options->pvs_only,
					  .quick = true,
					  .lvm_conf = state_lvm_conf(),
					  .archive = state_archive(&state) };
	CLEANUP_FREE struct block **blocks = calloc(stack->node_count + 1, sizeof(struct block *));
	CLEANUP_FREE struct block **ends = calloc(stack->node_count + 1, sizeof(struct block *));
	unsigned count = 0;

	if (!blocks || !ends)
		return -ENOMEM;
	if (options->rehearse)
		context.archive = NULL;
	if (options->quiet)
		context.log = NULL;
	for (unsigned i = 0; i < stack->node_count; i++)
		if (stack->nodes[i].block && !stack->nodes[i].is_member) {
			ends[count] = stack->nodes[i].ends;
			blocks[count++] = stack->nodes[i].block;
		}
	context.ends = ends;
	return volume_groups_scan(blocks, count, &context, &stack->scan, error);
}

int stack_open(struct stack **out, const struct device_list *devices,
	       const struct stack_options *options, struct error *error)
{
	struct stack *stack = calloc(1, sizeof(*stack));
	int rc = stack ? 0 : -ENOMEM;

	if (stack)
		log_to_stderr(&stack->log, LOG_LEVEL_WARNING);
	if (!rc)
		rc = stack_open_devices(stack, devices, options, error);
	if (!rc)
		rc = stack_read_ends(stack);
	if (!rc)
		rc = backup_files_open(stack, options, error);
	if (!rc)
		rc = stack_build(stack, options);
	backup_files_release(stack, false);
	if (!rc)
		rc = stack_hide_members(stack);
	if (!rc)
		rc = stack_scan(stack, options, error);
	if (stack)
		stack_forget_ends(stack);
	if (!rc)
		stack_look_for_partitions(stack);
	if (rc) {
		stack_close(stack, NULL);
		return rc;
	}
	*out = stack;
	return 0;
}

static int look(struct stack **out, const struct cli_words *given, bool pvs_only,
		struct error *error)
{
	CLEANUP_DEVICES struct device_list devices = { 0 };
	const struct stack_options options = { .pvs_only = pvs_only,
					       .quiet = true,
					       .backups = given->backups };
	int rc = device_list_collect(&devices, given, error);

	return rc ? rc : stack_open(out, &devices, &options, error);
}

int stack_look(struct stack **out, const struct cli_words *given, struct error *error)
{
	return look(out, given, false, error);
}

int stack_look_below(struct stack **out, const struct cli_words *given, struct error *error)
{
	return look(out, given, true, error);
}

static void keep_text(const char *text, void *arg)
{
	struct error *first = arg;

	if (!first->text[0])
		error_set(first, -EIO, "%s", text);
}

static void stack_tell(const char *text, void *arg)
{
	(void)arg;
	cli_warn("%s", text);
}

/* What a claim of the targets takes. */
struct needed {
	struct device_list devices;
	struct stack_arrays arrays;
};

static void needed_free(struct needed *needed)
{
	device_list_free(&needed->devices);
	free(needed->arrays.uuids);
	*needed = (struct needed){ 0 };
}
#define CLEANUP_NEEDED CLEANUP(needed_free)

static int keep_wanted(struct stack_arrays *arrays, const struct stack *look)
{
	arrays->uuids = calloc(look->wanted_count + 1, sizeof(*arrays->uuids));
	if (!arrays->uuids)
		return -ENOMEM;
	arrays->count = look->wanted_count;
	for (unsigned i = 0; i < look->array_count; i++)
		if (look->arrays[i].wanted)
			memcpy(arrays->uuids[look->arrays[i].rank], look->arrays[i].md.set_uuid,
			       sizeof(*arrays->uuids));
	return 0;
}

/* What the targets lie on, as things are now. `trouble`: the first thing that kept us from
 * seeing one of them, for the messages of those who miss it. `tell`: what could not be looked at is told of. `below`: a
 * look at it, which is stolen, or NULL. */
static int stack_needed(struct needed *needed, const struct cli_words *given,
			const struct cli_words *targets, struct stack *below, bool tell,
			struct error *trouble, struct error *error)
{
	int rc = below ? 0 : stack_look_below(&below, given, error);

	if (!rc && tell)
		stack_unseen(below, stack_tell, NULL);
	for (unsigned i = 0; !rc && i < below->array_count; i++)
		below->arrays[i].wanted = false;
	if (!rc)
		below->wanted_count = 0;
	for (unsigned i = 0; !rc && i < targets->count; i++)
		rc = stack_devices_of(below, targets->words[i], &needed->devices, error);
	if (!rc)
		rc = keep_wanted(&needed->arrays, below);
	/* What was read from less than all says nothing about why. */
	for (unsigned i = 0; !rc && i < below->array_count; i++) {
		free(below->arrays[i].note);
		below->arrays[i].note = NULL;
	}
	if (!rc)
		stack_problems(below, keep_text, trouble);
	stack_close(below, NULL);
	return rc;
}

/* Whether the targets are groups all PVs of which are claimed, by metadata that nobody else can change any more. */
static bool stack_is_whole(struct stack *stack, const struct cli_words *targets)
{
	for (unsigned i = 0; i < targets->count; i++) {
		CLEANUP_FREE char *vg = strndup(targets->words[i], strcspn(targets->words[i], "/"));
		struct volume_group *group;

		if (!vg || stack->array_count || stack_names_array(targets->words[i]) ||
		    stack_find_group(stack, vg, &group, NULL) || group->partial)
			return false;
	}
	return true;
}

/* Whether another process has put one more device below the targets between the look and the locks. */
static bool stack_outgrown(struct stack *stack, const struct device_list *claimed,
			   const struct cli_words *given, const struct cli_words *targets)
{
	CLEANUP_NEEDED struct needed now = { 0 };
	struct error trouble = { 0 };
	unsigned known = 0;

	if (stack_is_whole(stack, targets) ||
	    stack_needed(&now, given, targets, NULL, false, &trouble, NULL))
		return false;
	for (unsigned i = 0; i < now.devices.count; i++)
		for (unsigned k = 0; k < claimed->count; k++)
			known += !strcmp(now.devices.paths[i], claimed->paths[k]);
	return known < now.devices.count;
}

/* Who is to write must not do so on less than there is: the first array that does not start is the error. */
static int stack_check_arrays(const struct stack *stack, const struct error *trouble,
			      struct error *error)
{
	for (unsigned i = 0; i < stack->array_count; i++) {
		const struct stack_array *array = &stack->arrays[i];
		const char *why = array->problem ? array->problem : "an array cannot be assembled";
		bool more = trouble->text[0] && strcmp(trouble->text, why) != 0;

		if (array->raid || !array->wanted)
			continue;
		error_set(error, -ENODEV, "%s%s%s", why, more ? "; " : "",
			  more ? trouble->text : "");
		if (array->advice)
			error_advise(error, "%s", array->advice);
		return -ENODEV;
	}
	return 0;
}

int stack_claim(struct stack **out, const struct cli_words *given, const struct cli_words *targets,
		const struct stack_options *options, struct error *error)
{
	struct stack_options chosen = *options;

	chosen.degraded |= given->degraded;
	chosen.backups = given->backups;
	for (unsigned attempt = 0; attempt < CLAIM_ATTEMPTS; attempt++) {
		CLEANUP_NEEDED struct needed needed = { 0 };
		struct error trouble = { 0 };
		struct stack *below =
			chosen.below && *chosen.below ? steal_pointer(chosen.below) : NULL;
		int rc = stack_needed(&needed, given, targets, below, !attempt, &trouble, error);

		chosen.only = &needed.arrays;
		if (!rc)
			rc = stack_open(out, &needed.devices, &chosen, error);
		if (!rc && stack_outgrown(*out, &needed.devices, given, targets)) {
			stack_close(steal_pointer(out), NULL);
			continue;
		}
		if (!rc && (chosen.write || chosen.rehearse))
			rc = stack_check_arrays(*out, &trouble, error);
		for (unsigned i = 0; !rc && i < (*out)->array_count; i++)
			if ((*out)->arrays[i].note)
				cli_warn("%s", (*out)->arrays[i].note);
		return rc;
	}
	return error_set(error, -EAGAIN, "%s: other processes keep changing what it lies on",
			 targets->words[0]);
}

int stack_close(struct stack *stack, struct error *error)
{
	int rc = 0;

	if (!stack)
		return 0;
	for (unsigned i = 0; stack->scan && i < stack->scan->group_count; i++)
		volume_move_stop(stack->scan->groups[i]);
	if (stack->scan)
		volume_scan_free(stack->scan);
	/* The newest nodes lie on older ones. */
	for (unsigned i = stack->node_count; i-- > 0;) {
		struct stack_node *node = &stack->nodes[i];
		int stopped;

		block_unref(node->block);
		stopped = node->raid ? raid_stop(node->raid, rc ? NULL : error) : 0;
		rc = rc ? rc : stopped;
		block_identity_free(&node->identity);
		free(node->name);
		free(node->problem);
	}
	backup_files_release(stack, true);
	for (unsigned i = 0; i < stack->array_count; i++) {
		free(stack->arrays[i].problem);
		free(stack->arrays[i].advice);
		free(stack->arrays[i].note);
	}
	free(stack->nodes);
	free(stack->arrays);
	free(stack);
	return rc;
}

int stack_finish(struct stack *stack, int rc, struct error *error)
{
	int closed = stack_close(stack, rc ? NULL : error);

	return rc ? rc : closed;
}
