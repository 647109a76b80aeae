/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The devices at the bottom of a stack: each looked at without being held up by one that hangs, and each used once,
 * whatever names it goes by; see stack.h.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "block/overlay.h"
#include "block/partition.h"
#include "tools/device_look.h"
#include "tools/stack.h"
#include "util/bytes.h"
#include "util/error.h"

static void set_problem(struct stack_node *node, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void set_problem(struct stack_node *node, const char *format, ...)
{
	va_list arguments;

	free(node->problem);
	va_start(arguments, format);
	if (vasprintf(&node->problem, format, arguments) < 0)
		node->problem = NULL;
	va_end(arguments);
}

struct stack_node *stack_add_node(struct stack *stack, const char *name, struct block *block)
{
	struct stack_node *grown = realloc(stack->nodes, (stack->node_count + 1) * sizeof(*grown));
	struct stack_node *node;

	if (!grown)
		return NULL;
	stack->nodes = grown;
	node = &grown[stack->node_count];
	*node = (struct stack_node){
		.name = strdup(name), .block = block, .array = -1, .self = -1
	};
	if (!node->name)
		return NULL;
	stack->node_count++;
	return node;
}

static struct stack_node *add_device(struct stack *stack, const char *path, unsigned flags,
				     struct error *error)
{
	CLEANUP_BLOCK struct block *block = NULL;
	struct error why = { 0 };
	struct stack_node *node;
	int rc = block_open_file(&block, path, flags, 0, &why);

	if (rc && flags) {
		*error = why;
		return NULL;
	}
	node = stack_add_node(stack, path, block);
	if (!node)
		return NULL;
	steal_pointer(&block);
	/* -EINVAL: it was seen, and is no device. */
	node->unseen = rc && rc != -EINVAL;
	if (rc)
		set_problem(node, "%s", why.text);
	return node;
}

/* ---- Looks ---- */

/* Whether device `other` is to stand for `index`, which shows the same bytes: it lies deeper, or comes first. */
static bool stands_for(const struct device_look *looks, unsigned index, unsigned other)
{
	unsigned own = looks[index].identity.count, others = looks[other].identity.count;

	return index != other &&
	       block_identity_same(&looks[index].identity, &looks[other].identity) &&
	       (others < own || (others == own && other < index));
}

static bool has_another_name(const struct device_look *looks, unsigned count, unsigned index)
{
	for (unsigned i = 0; i < count; i++)
		if (stands_for(looks, index, i))
			return true;
	return false;
}

/* Whether the kernel has `part` in use as a member of what `whole` is, which is in the list as well. */
static bool is_member_of(const struct block_identity *whole, const struct block_identity *part)
{
	if (!whole->assembled || !part->count)
		return false;
	for (unsigned i = 1; i < whole->count; i++)
		if (!whole->parts[i].exact && !part->parts[0].is_file &&
		    whole->parts[i].device == part->parts[0].device)
			return true;
	return false;
}

static int add_unused(struct stack *stack, const char *path, const char *problem, bool unseen)
{
	struct stack_node *node = stack_add_node(stack, path, NULL);

	if (!node)
		return -ENOMEM;
	node->unseen = unseen;
	set_problem(node, "%s", problem);
	return 0;
}

static int add_looked_at(struct stack *stack, const struct device_list *devices,
			 const struct device_look *looks, unsigned index, struct error *error)
{
	const char *path = devices->paths[index];
	struct error why = { 0 };

	for (unsigned i = 0; i < devices->count; i++) {
		if (!is_member_of(&looks[i].identity, &looks[index].identity))
			continue;
		error_set(&why, -EBUSY, "%s: not used: the kernel has it as a part of %s", path,
			  devices->paths[i]);
		return add_unused(stack, path, why.text, false);
	}
	if (looks[index].silent)
		device_say_silent(path, &why);
	else if (looks[index].failed)
		device_say_failed(path, looks[index].failed, &why);
	if (why.code)
		return add_unused(stack, path, why.text, true);
	return add_device(stack, path, 0, error) ? 0 : -ENOMEM;
}

static int look(struct stack *stack, const struct device_list *devices, struct error *error)
{
	CLEANUP_FREE struct device_look *looks = calloc(devices->count + 1, sizeof(*looks));
	CLEANUP_FREE unsigned *order = calloc(devices->count + 1, sizeof(*order));
	unsigned count = devices->count, added = 0;
	int rc = looks && order ? devices_look(devices->paths, count, looks) : -ENOMEM;

	if (rc)
		return rc;
	for (unsigned i = 0; !rc && i < count; i++)
		if (!has_another_name(looks, count, i)) {
			rc = add_looked_at(stack, devices, looks, i, error);
			order[added++] = i;
		}
	for (unsigned i = 0; !rc && i < added; i++) {
		stack->nodes[i].identity = looks[order[i]].identity;
		looks[order[i]].identity = (struct block_identity){ 0 };
	}
	devices_look_free(looks, count);
	return rc;
}

static int cover(struct stack *stack, struct error *error)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < stack->node_count; i++) {
		struct stack_node *node = &stack->nodes[i];
		struct block *overlay;

		if (!node->block)
			continue;
		rc = block_create_overlay(&overlay, node->block, error);
		if (rc)
			break;
		block_unref(node->block);
		node->block = overlay;
	}
	return rc;
}

/* Nobody may use the devices through loop devices. */
static int check_together(const struct stack *stack, struct error *error)
{
	CLEANUP_FREE struct block **blocks = calloc(stack->node_count + 1, sizeof(*blocks));

	if (!blocks)
		return -ENOMEM;
	for (unsigned i = 0; i < stack->node_count; i++)
		blocks[i] = stack->nodes[i].block;
	return block_check_together(blocks, stack->node_count, error);
}

int stack_open_devices(struct stack *stack, const struct device_list *devices,
		       const struct stack_options *options, struct error *error)
{
	unsigned flags = options->write ? BLOCK_OPEN_WRITE | BLOCK_OPEN_LOCK : 0;

	if (options->lock)
		flags |= BLOCK_OPEN_LOCK;
	if (!flags) {
		int rc = look(stack, devices, error);

		return rc || !options->rehearse ? rc : cover(stack, error);
	}
	if (options->write)
		flags |= BLOCK_OPEN_TOGETHER;
	for (unsigned i = 0; i < devices->count; i++)
		if (!add_device(stack, devices->paths[i], flags, error))
			return error->code ? error->code : -ENOMEM;
	return options->write ? check_together(stack, error) : 0;
}

/* ---- Members ---- */

/* A loop device or partition that shows a part of a member may hide the superblock, not what lies before it. */
static const struct stack_node *find_member(const struct stack *stack,
					    const struct stack_node *node)
{
	for (unsigned i = 0; i < stack->node_count; i++)
		if (stack->nodes[i].is_member &&
		    block_identity_overlaps(&node->identity, &stack->nodes[i].identity))
			return &stack->nodes[i];
	return NULL;
}

int stack_hide_members(struct stack *stack)
{
	for (unsigned i = 0; i < stack->node_count; i++) {
		struct stack_node *node = &stack->nodes[i];
		const struct stack_node *member = node->is_member ? NULL : find_member(stack, node);
		struct volume_pv_info info;

		if (!member || !node->block || volume_pv_probe(node->block, &info, NULL) != 1)
			continue;
		set_problem(node,
			    "%s: its physical volume is not used: it is a part of %s, a member of "
			    "md/%s, and counts as the array's",
			    node->name, member->name, member->md.name);
		block_unref(node->block);
		node->block = NULL;
	}
	return 0;
}

/* ---- Partitions ---- */

bool stack_has_parts(const struct stack *stack, const struct stack_node *node)
{
	size_t length = strlen(node->name);

	for (unsigned k = 0; k < stack->node_count; k++)
		if (!strncmp(stack->nodes[k].name, node->name, length) &&
		    stack->nodes[k].name[length] == ':')
			return true;
	return false;
}

static bool stack_is_pv(const struct stack *stack, const struct block *block)
{
	for (unsigned i = 0; i < stack->scan->device_count; i++)
		if (stack->scan->devices[i].block == block && stack->scan->devices[i].is_pv)
			return true;
	return false;
}

void stack_look_for_partitions(struct stack *stack)
{
	for (unsigned i = 0; i < stack->node_count; i++) {
		struct stack_node *node = &stack->nodes[i];
		bool known = !node->block || node->problem || node->is_member || node->self >= 0;

		if (!known && !stack_has_parts(stack, node) && !stack_is_pv(stack, node->block))
			node->problem = partition_hint(node->name);
	}
}
