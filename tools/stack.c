/* SPDX-License-Identifier: BSD-2-Clause */
/* Opening devices, assembling arrays, scanning for groups; see stack.h. */
#include "tools/stack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "block/ends.h"
#include "tools/backup_file.h"
#include "tools/member_part.h"
#include "tools/state.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/volume_move.h"

#define CLAIM_ATTEMPTS 5

/* ---- Opening ---- */

/* The index of the array that `info` belongs to, made if it is new; negative errno without memory. */
static int stack_array_of(struct stack *stack, const struct raid_info *info)
{
	struct stack_array *grown;

	for (unsigned i = 0; i < stack->array_count; i++) {
		struct stack_array *array = &stack->arrays[i];

		if (memcmp(array->md.set_uuid, info->set_uuid, sizeof(info->set_uuid)))
			continue;
		if (info->events > array->md.events)
			array->md = *info;
		return (int)i;
	}
	grown = realloc(stack->arrays, (stack->array_count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	stack->arrays = grown;
	grown[stack->array_count] = (struct stack_array){ .md = *info };
	return (int)stack->array_count++;
}

/* Looks for an md superblock on a node. */
static int stack_probe(struct stack *stack, struct stack_node *node)
{
	struct error why = { 0 };
	int found;

	if (!node->block)
		return 0;
	found = raid_probe(node->ends ? node->ends : node->block, &node->md, &why);
	if ((found == 1 || found == -EINVAL) &&
	    member_check_whole(node->name, node->block, found == 1 ? &node->md : NULL, &why))
		found = stack_has_parts(stack, node) ? 0 : -EINVAL;
	if (found < 0) {
		free(node->problem);
		node->problem = strdup(why.text);
		node->unseen |= found != -EINVAL;
	}
	if (found <= 0)
		return 0;
	node->is_member = true;
	node->array = stack_array_of(stack, &node->md);
	return node->array < 0 ? node->array : 0;
}

/* What who only looks at an array is to know; NULL: nothing, or no memory. */
static char *stack_note(const struct raid_status *status)
{
	CLEANUP_FREE char *missing = NULL;
	char *note = NULL;

	if (status->missing &&
	    asprintf(&missing,
		     "%u of the members that it had when it was last written are not here; read "
		     "from the %u that are",
		     status->missing, status->working) < 0)
		return NULL;
	if (status->from_log &&
	    asprintf(&note,
		     "md/%s: %s%sits log has what its members have not, and is read, too; `tenon "
		     "raid "
		     "assemble %s%s` writes that to the members",
		     status->name, missing ? missing : "", missing ? "; " : "", status->name,
		     missing ? " --degraded" : "") < 0)
		return NULL;
	if (missing && !note && asprintf(&note, "md/%s: %s", status->name, missing) < 0)
		return NULL;
	return note;
}

/* Assembles array `index` from the nodes that belong to it, and adds it as a node to look at in turn. A
 * failure is the array's problem, not the stack's; without memory it is the stack's. */
static int stack_assemble(struct stack *stack, unsigned index, const struct stack_options *options)
{
	bool write = options->write || options->rehearse;
	struct raid_assemble_options assemble = { .read_only = !write,
						  .no_resync = !options->resync,
						  .refuse_degraded = (write || options->strict) &&
								     !options->degraded,
						  .force = options->force,
						  .journal_comes = options->journal_comes,
						  .backups = stack->backups,
						  .backup_count = stack->backup_count,
						  .invalid_backup = options->invalid_backup,
						  .log = options->log };
	struct stack_array *array = &stack->arrays[index];
	CLEANUP_FREE struct block **blocks = calloc(stack->node_count, sizeof(struct block *));
	struct stack_node *node;
	struct raid_status status;
	struct error why = { 0 };
	struct block *block;
	unsigned count = 0;

	if (!blocks)
		return -ENOMEM;
	if ((options->write || options->lock) && !assemble.log)
		assemble.log = &stack->log;
	for (unsigned i = 0; i < stack->node_count; i++)
		if (stack->nodes[i].array == (int)index && stack->nodes[i].is_member)
			blocks[count++] = stack->nodes[i].block;
	if (raid_assemble(&array->raid, blocks, count, &assemble, &why)) {
		array->raid = NULL;
		array->problem = strdup(why.text);
		array->advice = why.advice[0] ? strdup(why.advice) : NULL;
		return 0;
	}
	raid_status(array->raid, &status);
	if (!write)
		array->note = stack_note(&status);
	raid_status_free(&status);
	block = raid_array_block(array->raid);
	node = stack_add_node(stack, block->name, block_ref(block));
	if (!node) {
		block_unref(block);
		return -ENOMEM;
	}
	node->raid = array->raid;
	node->self = (int)index;
	return 0;
}

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

/* Whether the claim is for it. */
static bool stack_wants(const struct stack_array *array, const struct stack_options *options)
{
	const struct stack_arrays *only = options->only;

	for (unsigned i = 0; only && i < only->count; i++)
		if (!memcmp(only->uuids[i], array->md.set_uuid, sizeof(only->uuids[i])))
			return true;
	return !only;
}

/* Probes nodes and assembles arrays until nothing new appears: an array may be a member of another. */
static int stack_build(struct stack *stack, const struct stack_options *options)
{
	unsigned probed = 0, assembled = 0;
	int rc = 0;

	while (!rc && probed < stack->node_count) {
		for (; !rc && probed < stack->node_count; probed++)
			rc = stack_probe(stack, &stack->nodes[probed]);
		for (; !rc && assembled < stack->array_count; assembled++) {
			struct stack_array *array = &stack->arrays[assembled];

			array->wanted = stack_wants(array, options);
			if (array->wanted)
				rc = stack_assemble(stack, assembled, options);
		}
	}
	return rc;
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
					  .archive = state_archive(&state) };
	CLEANUP_FREE struct block **blocks = calloc(stack->node_count + 1, sizeof(struct block *));
	CLEANUP_FREE struct block **ends = calloc(stack->node_count + 1, sizeof(struct block *));
	unsigned count = 0;

	if (!blocks || !ends)
		return -ENOMEM;
	if (options->rehearse)
		context.archive = NULL;
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
	const struct stack_options options = { .pvs_only = pvs_only, .backups = given->backups };
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
	arrays->uuids = calloc(look->array_count + 1, sizeof(*arrays->uuids));
	if (!arrays->uuids)
		return -ENOMEM;
	for (unsigned i = 0; i < look->array_count; i++)
		if (look->arrays[i].wanted)
			memcpy(arrays->uuids[arrays->count++], look->arrays[i].md.set_uuid,
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
