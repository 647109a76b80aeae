/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon raid`: opening what is to become a member of an array, after a look at what it was. */
#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "block/signature.h"
#include "tools/device_look.h"
#include "tools/member_part.h"
#include "tools/raid.h"
#include "tools/stack.h"
#include "util/cleanup.h"
#include "util/error.h"

struct block *raid_open_device(const struct stack *stack, const char *path)
{
	for (unsigned i = 0; i < stack->node_count; i++) {
		const struct stack_node *node = &stack->nodes[i];

		if (node->block && !node->raid && !strcmp(node->name, path))
			return node->block;
	}
	return NULL;
}

struct block *raid_open_array(struct stack *stack, const struct raid_array *array, const char *name)
{
	struct stack_array *found;

	if (!stack_names_array(name) || stack_find_array(stack, name, &found, NULL))
		return NULL;
	for (unsigned i = 0; i < stack->node_count; i++) {
		const struct stack_node *node = &stack->nodes[i];

		if (node->raid == array)
			break;
		if (node->raid && node->raid == found->raid)
			return node->block;
	}
	return NULL;
}

int raid_refuse_array(const char *name, struct error *error)
{
	error_set(error, -EINVAL,
		  "%s: is no array that was started here before the one that it is to be in", name);
	return error_advise(error, "end the server that has that one, and add it then");
}

int raid_open_new_member(const char *path, struct block **out, struct error *error)
{
	int rc = stack_names_array(path) ? raid_refuse_array(path, error)
					 : device_check_answers(path, error);

	return rc ? rc : block_open_file(out, path, BLOCK_OPEN_WRITE | BLOCK_OPEN_LOCK, 0, error);
}

/* One that was left behind, and is seen as that, is none. */
static bool has_member(struct raid_array *array, const char *device)
{
	struct raid_status status;
	bool found = false;

	raid_status(array, &status);
	for (unsigned i = 0; i < status.member_count; i++)
		found |= status.members[i].device && !strcmp(status.members[i].device, device) &&
			 status.members[i].state != RAID_MEMBER_STALE;
	raid_status_free(&status);
	return found;
}

int raid_check_unused(const struct stack *stack, const struct raid_array *array,
		      const struct block *block, struct error *error)
{
	for (unsigned i = 0; i < stack->array_count; i++) {
		struct raid_array *other = stack->arrays[i].raid;

		if (!other || other == array || !has_member(other, block->name))
			continue;
		error_set(error, -EBUSY, "%s: is a member of %s, which runs", block->name,
			  raid_array_block(other)->name);
		return error_advise(error, "`tenon raid remove` takes it out of that first");
	}
	for (unsigned i = 0; i < stack->scan->device_count; i++) {
		const struct volume_scanned *scanned = &stack->scan->devices[i];

		if (scanned->block != block || !scanned->group)
			continue;
		error_set(error, -EBUSY, "%s: is a physical volume of %s, which is in use",
			  block->name, scanned->group->name);
		return error_advise(error, "`tenon vg reduce` takes it out of that first");
	}
	return 0;
}

int raid_check_member(const struct stack *stack, struct raid_array *array, struct block *block,
		      bool force, struct error *error)
{
	struct raid_status status;
	struct raid_info info;
	bool former;
	int rc = raid_check_unused(stack, array, block, error);

	if (rc)
		return rc;
	/* A former member of this very array comes back without being asked about its signature. */
	raid_status(array, &status);
	former = raid_probe(block, &info, NULL) == 1 &&
		 !memcmp(info.set_uuid, status.uuid, sizeof(status.uuid));
	raid_status_free(&status);
	if (former)
		return member_check_whole(block->name, block, &info, error);
	return force ? block_signature_wipe(block, error) : block_signature_check(block, error);
}

int raid_open_member(struct stack *stack, struct raid_array *array, const char *path, bool force,
		     struct block **out, struct error *error)
{
	struct block *open = raid_open_device(stack, path);
	CLEANUP_BLOCK struct block *block = NULL;
	int rc = 0;

	if (!open)
		open = raid_open_array(stack, array, path);
	if (open)
		block = block_ref(open);
	else
		rc = raid_open_new_member(path, &block, error);
	if (!rc)
		rc = raid_check_member(stack, array, block, force, error);
	if (!rc)
		*out = steal_pointer(&block);
	return rc;
}
