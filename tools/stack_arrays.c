/* SPDX-License-Identifier: BSD-2-Clause */
/* Arrays of a stack: which there are, and in which order they are assembled, since one may be a member of another; see stack.h. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "tools/member_part.h"
#include "tools/stack.h"
#include "util/bytes.h"
#include "util/error.h"

/* ---- One ---- */

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
	if (node->array < 0)
		return node->array;
	stack->arrays[node->array].present += node->md.role >= 0 && !node->md.faulty;
	return 0;
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

/* ---- All ---- */

/* Of an array that a claim is not for. */
#define NEVER UINT_MAX

/* Its place in the order of a claim. */
static unsigned stack_rank(const struct stack_array *array, const struct stack_options *options)
{
	const struct stack_arrays *only = options->only;

	for (unsigned i = 0; only && i < only->count; i++)
		if (!memcmp(only->uuids[i], array->md.set_uuid, sizeof(only->uuids[i])))
			return i;
	return only ? NEVER : 0;
}

/*
 * The array to be assembled next, or NULL. Another one that is not assembled yet may be a member of it: a claim knows in which order they lie on each other. A
 * look, which writes nothing, begins with those that have members for all places.
 */
static struct stack_array *stack_next(struct stack *stack, const struct stack_options *options)
{
	struct stack_array *next = NULL;

	for (unsigned i = 0; i < stack->array_count; i++) {
		struct stack_array *array = &stack->arrays[i];

		if (array->tried || !array->wanted)
			continue;
		if (!options->only && array->present >= array->md.raid_disks)
			return array;
		if (!next || array->rank < next->rank)
			next = array;
	}
	return next;
}

/* A look has assembled an array without this member of it, which is an array that was not there yet. It is to be assembled again, unless something lies on it. */
static void stack_try_again(struct stack *stack, const struct stack_node *member)
{
	struct stack_array *array = &stack->arrays[member->array];

	for (unsigned i = 0; array->raid && i < stack->node_count; i++) {
		struct stack_node *node = &stack->nodes[i];

		if (node->raid != array->raid || node->is_member)
			continue;
		block_unref(steal_pointer(&node->block));
		raid_stop(steal_pointer(&array->raid), NULL);
		free(steal_pointer(&array->note));
		node->raid = NULL;
		array->tried = false;
	}
}

int stack_build(struct stack *stack, const struct stack_options *options)
{
	unsigned probed = 0, ranked = 0;
	struct stack_array *next;
	int rc = 0;

	do {
		for (; !rc && probed < stack->node_count; probed++) {
			struct stack_node *node = &stack->nodes[probed];

			rc = stack_probe(stack, node);
			if (!rc && node->is_member && node->self >= 0 && !options->only)
				stack_try_again(stack, node);
		}
		for (; ranked < stack->array_count; ranked++) {
			struct stack_array *array = &stack->arrays[ranked];

			array->rank = stack_rank(array, options);
			array->wanted = array->rank != NEVER;
		}
		next = rc ? NULL : stack_next(stack, options);
		if (next) {
			next->tried = true;
			rc = stack_assemble(stack, (unsigned)(next - stack->arrays), options);
		}
	} while (!rc && next);
	return rc;
}
