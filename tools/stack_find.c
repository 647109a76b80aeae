/* SPDX-License-Identifier: BSD-2-Clause */
/* Finding arrays, groups and volumes in a stack by the names that people use; see stack.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/block.h"
#include "block/partition.h"
#include "tools/stack.h"
#include "util/text.h"

bool stack_names_array(const char *word)
{
	return !strncmp(word, "md/", 3) && !device_exists(word);
}

bool stack_names_volume(const char *word)
{
	const char *slash = strchr(word, '/');

	return slash && slash != word && slash[1] && !strchr(slash + 1, '/') && word[0] != '.' &&
	       !stack_names_array(word) && !device_exists(word);
}

/* ---- What could not be used ---- */

unsigned stack_unseen(const struct stack *stack, void (*fn)(const char *text, void *arg), void *arg)
{
	unsigned count = 0;

	for (unsigned i = 0; i < stack->node_count; i++)
		if (stack->nodes[i].unseen) {
			if (fn && stack->nodes[i].problem)
				fn(stack->nodes[i].problem, arg);
			count++;
		}
	return count;
}

unsigned stack_problems(const struct stack *stack, void (*fn)(const char *text, void *arg),
			void *arg)
{
	unsigned count = 0;

	for (unsigned i = 0; i < stack->node_count; i++)
		if (stack->nodes[i].problem) {
			if (fn)
				fn(stack->nodes[i].problem, arg);
			count++;
		}
	for (unsigned i = 0; i < stack->array_count; i++)
		if (stack->arrays[i].note || stack->arrays[i].problem) {
			if (fn)
				fn(stack->arrays[i].note ? stack->arrays[i].note
							 : stack->arrays[i].problem,
				   arg);
			count++;
		}
	for (unsigned i = 0; i < stack->scan->device_count; i++)
		if (stack->scan->devices[i].problem) {
			if (fn)
				fn(stack->scan->devices[i].problem, arg);
			count++;
		}
	return count;
}

struct telling {
	const char *held; /* the newest, which is not told yet */
};

static void tell(const char *text, void *arg)
{
	struct telling *telling = arg;

	if (telling->held)
		cli_warn("%s", telling->held);
	telling->held = text;
}

int stack_report(const struct stack *stack, bool found, struct error *error)
{
	struct telling telling = { NULL };
	CLEANUP_FREE char *nothing = stack->node_count ? NULL : devices_say_nothing();

	if (nothing)
		cli_note("%s", nothing);
	if (!stack_problems(stack, tell, &telling))
		return 0;
	if (!found)
		return error_set(error, -EIO, "%s", telling.held);
	cli_warn("%s", telling.held);
	return 0;
}

static void keep_first(const char *text, void *arg)
{
	const char **first = arg;

	if (!*first)
		*first = text;
}

/* "OBJECT: no such KIND ...": with what kept a device from being looked at, which may be the cause. */
static int not_found(const struct stack *stack, const char *object, const char *kind,
		     struct error *error)
{
	CLEANUP_FREE char *nothing = stack->node_count ? NULL : devices_say_nothing();
	const char *first = NULL;
	unsigned problems = stack_problems(stack, keep_first, &first), looked = 0;
	char more[48] = "";

	for (unsigned i = 0; i < stack->node_count; i++)
		looked += stack->nodes[i].block && stack->nodes[i].self < 0;
	if (problems > 1)
		snprintf(more, sizeof(more), " (and %u more)", problems - 1);
	if (nothing)
		return error_set(error, -ENOENT, "%s: no such %s: %s", object, kind, nothing);
	error_set(error, -ENOENT, "%s: no such %s on the %u device%s that %s looked at%s%s%s",
		  object, kind, looked, looked == 1 ? "" : "s", looked == 1 ? "was" : "were",
		  first ? "; " : "", first ? first : "", more);
	error_advise(error, "name the devices with --device, TENON_DEVICES or `tenon device add`");
	return -ENOENT;
}

/* ---- By name ---- */

static const char *array_name(const char *word)
{
	return strncmp(word, "md/", 3) ? word : word + 3;
}

/* By one of its names as it is, or written as one word. */
static bool has_name(const struct raid_info *md, const char *name)
{
	CLEANUP_FREE char *word = text_name(md->name), *whole = text_name(md->set_name);

	return !strcmp(md->name, name) || !strcmp(md->set_name, name) ||
	       (word && !strcmp(word, name)) || (whole && !strcmp(whole, name));
}

int stack_find_array(struct stack *stack, const char *word, struct stack_array **out,
		     struct error *error)
{
	const char *name = array_name(word);
	struct stack_array *found = NULL;
	uint8_t uuid[16];

	if (!raid_uuid_parse(name, uuid))
		for (unsigned i = 0; i < stack->array_count; i++)
			if (!memcmp(stack->arrays[i].md.set_uuid, uuid, sizeof(uuid))) {
				*out = &stack->arrays[i];
				return 0;
			}
	for (unsigned i = 0; i < stack->array_count; i++) {
		struct stack_array *array = &stack->arrays[i];

		if (!has_name(&array->md, name))
			continue;
		if (found) {
			error_set(error, -EEXIST, "md/%s: two arrays have this name", name);
			error_advise(error, "name the array by its UUID (`tenon raid list`)");
			return -EEXIST;
		}
		found = array;
	}
	*out = found;
	if (!found) {
		CLEANUP_FREE char *object = NULL;

		if (asprintf(&object, "md/%s", name) < 0)
			return -ENOMEM;
		return not_found(stack, object, "array", error);
	}
	return 0;
}

int stack_find_running(struct stack *stack, const char *name, struct raid_array **out,
		       struct error *error)
{
	struct stack_array *array;
	int rc = stack_find_array(stack, name, &array, error);

	if (rc)
		return rc;
	if (!array->raid) {
		error_set(error, -EINVAL, "%s",
			  array->problem ? array->problem : "the array cannot be assembled");
		if (array->advice)
			error_advise(error, "%s", array->advice);
		return -EINVAL;
	}
	*out = array->raid;
	return 0;
}

int stack_find_group(struct stack *stack, const char *name, struct volume_group **out,
		     struct error *error)
{
	int rc = volume_scan_find(stack->scan, name, out, error);

	if (rc == -ENOENT && strchr(name, '/'))
		return error_set(error, -EINVAL,
				 "%s: expected VG, the name or UUID of a volume group", name);
	return rc == -ENOENT ? not_found(stack, name, "volume group", error) : rc;
}

int stack_find_volume(struct stack *stack, const char *name, struct volume_group **group,
		      struct volume_lv **lv, struct error *error)
{
	const char *slash = strchr(name, '/');
	CLEANUP_FREE char *vg = slash ? strndup(name, (size_t)(slash - name)) : NULL;
	int rc;

	if (!vg || !*vg || !slash[1] || strchr(slash + 1, '/'))
		return error_set(error, -EINVAL, "%s: expected VG/LV", name);
	rc = stack_find_group(stack, vg, group, error);
	if (rc)
		return rc;
	*lv = volume_group_get_lv(*group, slash + 1);
	if (*lv)
		return 0;
	error_set(error, -ENOENT, "%s: volume group %s has no volume '%s'", name, vg, slash + 1);
	error_advise(error, "`tenon lv list` shows what it has");
	return -ENOENT;
}

int stack_open_block(struct stack *stack, const char *target, bool writable, struct block **out,
		     struct error *error)
{
	struct volume_group *group;
	struct raid_array *array;
	struct volume_lv *lv;
	int rc;

	if (stack_names_array(target)) {
		rc = stack_find_running(stack, target, &array, error);
		if (!rc)
			*out = block_ref(raid_array_block(array));
		return rc;
	}
	rc = stack_find_volume(stack, target, &group, &lv, error);
	return rc ? rc : volume_open_lv(group, lv->name, writable, out, error);
}

/* ---- What lies below ---- */

static struct stack_node *node_of_block(struct stack *stack, const struct block *block)
{
	for (unsigned i = 0; i < stack->node_count; i++)
		if (stack->nodes[i].block == block)
			return &stack->nodes[i];
	return NULL;
}

static int add_node_devices(struct stack *stack, const struct stack_node *node,
			    struct device_list *paths);

static int add_array_devices(struct stack *stack, int index, struct device_list *paths)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < stack->node_count; i++)
		if (stack->nodes[i].is_member && stack->nodes[i].array == index)
			rc = add_node_devices(stack, &stack->nodes[i], paths);
	/* Behind those that it lies on. */
	if (!stack->arrays[index].wanted) {
		stack->arrays[index].wanted = true;
		stack->arrays[index].rank = stack->wanted_count++;
	}
	return rc;
}

static int add_node_devices(struct stack *stack, const struct stack_node *node,
			    struct device_list *paths)
{
	/* A node that is an array lies on its members, which come before it: this ends. */
	return node->self >= 0 ? add_array_devices(stack, node->self, paths)
			       : device_list_add_resolved(paths, node->name);
}

static int add_group_devices(struct stack *stack, const struct volume_group *group,
			     struct device_list *paths)
{
	int rc = 0;

	/* By what the scan saw rather than by the group's PVs: outdated and duplicate ones too. */
	for (unsigned i = 0; !rc && i < stack->scan->device_count; i++) {
		const struct volume_scanned *scanned = &stack->scan->devices[i];

		if (scanned->group == group)
			rc = add_node_devices(stack, node_of_block(stack, scanned->block), paths);
	}
	return rc;
}

int stack_devices_of(struct stack *stack, const char *target, struct device_list *paths,
		     struct error *error)
{
	CLEANUP_FREE char *vg = strndup(target, strcspn(target, "/"));
	struct volume_group *group;
	struct stack_array *array;
	int rc;

	if (!vg)
		return -ENOMEM;
	if (stack_names_array(target)) {
		rc = stack_find_array(stack, target, &array, error);
		return rc ? rc : add_array_devices(stack, (int)(array - stack->arrays), paths);
	}
	rc = stack_find_group(stack, vg, &group, error);
	return rc ? rc : add_group_devices(stack, group, paths);
}
