/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changing the logical volumes of a group. Each change is made in memory, committed (commit.h), and taken
 * back in memory when that failed; one at a time. Whatever needs memory or can be refused comes before the
 * commit, so that nothing fails after it. extents.c finds the room, resize.c grows and shrinks.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "block/signature.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/active.h"
#include "volume/change.h"
#include "volume/commit.h"
#include "volume/lvm_io.h"
#include "volume/mirror.h"
#include "volume/move.h"
#include "volume/raid_change.h"

#define STRIPE_SIZE_DEFAULT (64u << 10)
#define STRIPE_SIZE_MIN     4096u
#define ZEROED              4096u /* of a new volume, as lvcreate -Zy does */

static void *allocate(struct volume_group *group, size_t size)
{
	return lvm_config_alloc(&group->private->memory, size);
}

/* ---- Create ---- */

static int check_stripes(const struct volume_group *group, const char *name, unsigned stripes,
			 uint32_t stripe_size, bool shared, struct error *error)
{
	if (stripes == 1)
		return 0;
	if (stripes > CHANGE_STRIPES_MAX || (stripes > group->pv_count && !shared))
		return error_set(error, -EINVAL,
				 "%s/%s: %u stripes are asked for, the volume group has %u PVs",
				 group->name, name, stripes, group->pv_count);
	if (group->extent_size < STRIPE_SIZE_MIN)
		return error_set(error, -EINVAL,
				 "%s/%s: extents of %llu bytes are too small to be striped, "
				 "expected %u at least",
				 group->name, name, (unsigned long long)group->extent_size,
				 STRIPE_SIZE_MIN);
	if (!is_power_of_two(stripe_size) || stripe_size < STRIPE_SIZE_MIN ||
	    stripe_size > group->extent_size)
		return error_set(error, -EINVAL,
				 "%s/%s: stripe size is %u, expected a power of two from %u to "
				 "%llu",
				 group->name, name, stripe_size, STRIPE_SIZE_MIN,
				 (unsigned long long)group->extent_size);
	return 0;
}

int change_set_strings(struct volume_group *group, struct lvm_strings *strings,
		       const char *const *from, unsigned count)
{
	strings->at = allocate(group, (count + 1) * sizeof(*strings->at));
	if (!strings->at)
		return -ENOMEM;
	for (strings->count = 0; strings->count < count; strings->count++) {
		strings->at[strings->count] = lvm_vg_string(group, from[strings->count]);
		if (!strings->at[strings->count])
			return -ENOMEM;
	}
	return 0;
}

/* A volume without segments, not yet in the group. */
struct volume_lv *change_new_lv(struct volume_group *group, const char *name,
				const struct volume_lv_options *options)
{
	static const char *const writable[] = { "READ", "WRITE", "VISIBLE" };
	static const char *const read_only[] = { "READ", "VISIBLE" };
	struct volume_lv *lv = lvm_lv_new();
	struct lvm_strings tags;

	if (!lv)
		return NULL;
	lv->name = lvm_vg_string(group, name);
	lv->creation_host = lvm_vg_string(group, group->private->host);
	if (!lv->name || !lv->creation_host ||
	    change_set_strings(group, &lv->private->flags, NULL, 0) ||
	    change_set_strings(group, &tags, options->tags, options->tag_count) ||
	    (options->read_only ? change_set_strings(group, &lv->private->status, read_only, 2)
				: change_set_strings(group, &lv->private->status, writable, 3))) {
		lvm_lv_free(lv);
		return NULL;
	}
	lvm_uuid_generate(lv->uuid, group->private->random);
	lv->creation_time = lvm_vg_now(group);
	lv->tags = (char **)tags.at;
	lv->tag_count = tags.count;
	if (options->allocation != VOLUME_ALLOCATE_INHERIT &&
	    change_set_key(group, &lv->private->extra, "allocation_policy",
			   volume_allocation_name(options->allocation))) {
		lvm_lv_free(lv);
		return NULL;
	}
	lv->visible = true;
	lv->writable = !options->read_only;
	lv->supported = true;
	lv->private->judged = true;
	return lv;
}

/* Old contents must not be taken for a file system of the new volume. The extents are free until the
 * commit, so nobody else's data is touched. */
static int clear_start(struct volume_group *group, struct volume_lv *lv, struct error *error)
{
	CLEANUP_BLOCK struct block *block = NULL;
	int rc = lvm_active_open(group, lv, true, &block, error);

	if (rc)
		return rc;
	rc = block_write_zeroes(block, 0, MIN((uint64_t)ZEROED, block->size), 0);
	if (rc)
		return error_set(error, rc, "%s: clearing its start: %s", block->name,
				 error_name(rc));
	rc = block_signature_wipe(block, error);
	/* An old signature must not come back after a power cut, when the volume is already there. */
	if (!rc && (rc = block_flush(block)))
		error_set(error, rc, "%s: flushing its start: %s", block->name, error_name(rc));
	return rc;
}

/* Only what users see counts against max_lv. */
unsigned change_visible_lvs(const struct volume_group *group)
{
	unsigned count = 0;

	for (unsigned i = 0; i < group->lv_count; i++)
		count += group->lvs[i]->visible;
	return count;
}

int change_check_resizeable(const struct volume_group *group, struct error *error)
{
	if (group->resizeable)
		return 0;
	error_set(error, -EROFS, "volume group %s: is not resizeable", group->name);
	return error_advise(error, "tenon vg change %s --resizeable yes", group->name);
}

static int check_count(const struct volume_group *group, struct error *error)
{
	if (group->max_lv && change_visible_lvs(group) >= group->max_lv)
		return error_set(error, -ENOSPC, "volume group %s: allows %u volumes and has them",
				 group->name, group->max_lv);
	return 0;
}

struct creation {
	struct change *change;
	const char *name;
	const struct volume_lv_options *options;
	struct volume_lv *lv;
	struct error *error;
};

static int add_new(struct creation *creation, uint32_t extents, unsigned stripes,
		   uint32_t stripe_size)
{
	struct volume_group *group = creation->change->group;
	struct volume_lv *lv = change_new_lv(group, creation->name, creation->options);

	if (!lv || change_add_lv(creation->change, lv))
		return change_no_memory(group, creation->error);
	creation->lv = lv;
	return change_grow(group, lv, extents, stripes, stripe_size, creation->options,
			   creation->error);
}

/* A new volume at the end of the list in memory. Computes; see lvm_vg_compute(). */
static int plan_new(void *arg)
{
	struct creation *creation = arg;
	struct volume_group *group = creation->change->group;
	const struct volume_lv_options *options = creation->options;
	unsigned stripes = options->stripes ? options->stripes : 1;
	uint32_t stripe_size = options->stripe_size ? options->stripe_size : STRIPE_SIZE_DEFAULT;
	uint64_t size = options->extents ? options->extents * group->extent_size : options->size;
	struct error *error = creation->error;
	uint32_t extents;
	int rc = lvm_lv_new_name_check(group, creation->name, error);

	if (!rc)
		rc = lvm_tags_check(options->tags, options->tag_count, error);
	if (!rc && options->type)
		rc = check_count(group, error);
	if (!rc && options->type)
		return lvm_raid_plan(creation->change, creation->name, options, &creation->lv,
				     error);
	if (!rc && stripes > 1 && !options->stripe_size)
		stripe_size = (uint32_t)MIN((uint64_t)stripe_size, group->extent_size);
	if (!rc)
		rc = check_stripes(group, creation->name, stripes, stripe_size,
				   options->allocation == VOLUME_ALLOCATE_ANYWHERE, error);
	if (!rc)
		rc = change_wanted_extents(group, creation->name, size, stripes, &extents, error);
	if (!rc)
		rc = check_count(group, error);
	if (rc)
		return rc;
	return add_new(creation, extents, stripes, stripe_size);
}

static int create(struct volume_group *group, const char *name,
		  const struct volume_lv_options *options, struct volume_lv **out,
		  struct error *error)
{
	CLEANUP_CHANGE struct change change;
	struct creation creation = { &change, name, options, NULL, error };
	int rc;

	change_begin(&change, group);
	rc = lvm_vg_compute(group, plan_new, &creation);
	if (!rc)
		rc = options->planned ? lvm_vg_check_text(group, error)
				      : change_build(&change, error);
	if (options->planned) {
		if (!rc)
			options->planned(creation.lv, options->planned_arg);
		return rc;
	}
	if (!rc && options->type) {
		rc = lvm_raid_clear_metas(group, creation.lv, error);
		if (rc)
			error_prefix(error, "%s/%s: was not made", group->name, name);
	}
	/* An array is also started once, so that its superblocks are there. */
	if (!rc && (!options->keep_contents || options->type)) {
		rc = clear_start(group, creation.lv, error);
		if (rc)
			error_prefix(error, "%s/%s: was not made", group->name, name);
	}
	if (!rc)
		rc = change_write(&change, error);
	if (!rc && out)
		*out = creation.lv;
	return rc;
}

int volume_lv_create(struct volume_group *group, const char *name,
		     const struct volume_lv_options *options, struct volume_lv **out,
		     struct error *error)
{
	CHANGING(group);
	int rc = options->planned && !group->locked_reason ? 0
							   : lvm_vg_check_changeable(group, error);

	return rc ? rc : create(group, name, options, out, error);
}

/* ---- Remove, rename ---- */

struct finding {
	struct volume_group *group;
	const char *name;
	struct volume_lv **out;
	struct error *error;
	bool raid_too, missing_too;
};

static bool is_moving(const struct volume_lv *lv)
{
	bool moving = lvm_lv_is_move(lv);

	for (unsigned i = 0; i < lv->segment_count; i++)
		for (unsigned k = 0; k < lv->segments[i].area_count; k++)
			moving |= lv->segments[i].areas[k].lv &&
				  lvm_lv_is_move(lv->segments[i].areas[k].lv);
	return moving;
}

static int check_lies_on_pvs(const struct finding *finding, const struct volume_lv *lv)
{
	if (finding->raid_too && (lvm_lv_raid(lv) || lvm_lv_mirror(lv)))
		return 0;
	for (unsigned i = 0; i < lv->segment_count; i++)
		for (unsigned k = 0; k < lv->segments[i].area_count; k++)
			if (!lv->segments[i].areas[k].pv)
				return error_set(finding->error, -EOPNOTSUPP,
						 "%s/%s: lies on the volume %s, and is not changed",
						 finding->group->name, lv->name,
						 lv->segments[i].areas[k].lv_name);
	return 0;
}

/* Computes: an index may have to be built. */
static int find_lv(void *arg)
{
	const struct finding *finding = arg;
	struct volume_group *group = finding->group;
	const char *name = finding->name;
	struct error *error = finding->error;
	struct volume_lv *lv = volume_group_get_lv(group, name);
	const struct volume_lv *dependent;
	const char *remembered;
	int rc = finding->missing_too ? change_check_but_missing(group, error)
				      : lvm_vg_check_changeable(group, error);

	if (rc)
		return rc;
	if (!lv)
		return error_set(error, -ENOENT, "%s/%.128s: no such volume", group->name, name);
	if (!lv->supported || !lv->visible)
		return error_set(error, -EOPNOTSUPP,
				 "%s/%s: its type is %s%s; it cannot be changed", group->name, name,
				 volume_lv_type(lv),
				 lv->visible ? "" : ", a part of another volume");
	if (is_moving(lv)) {
		error_set(error, -EBUSY,
			  "%s/%s: is on its way to other PVs, and not changed until "
			  "it is there",
			  group->name, name);
		return error_advise(error,
				    "`tenon lv move %s/%s --continue` takes it to its end, "
				    "--abort undoes it",
				    group->name, lv->name);
	}
	dependent = lvm_lv_dependent(group, lv);
	if (dependent)
		return error_set(error, -EOPNOTSUPP, "%s/%s: %s is made of it, or of its data",
				 group->name, name, dependent->name);
	rc = check_lies_on_pvs(finding, lv);
	if (rc)
		return rc;
	remembered = lvm_history_of(group, name);
	if (remembered)
		return error_set(error, -EOPNOTSUPP,
				 "%s/%s: the history of the removed volume %s names it",
				 group->name, name, remembered);
	*finding->out = lv;
	return 0;
}

int change_find_lv(struct volume_group *group, const char *name, struct volume_lv **out,
		   struct error *error)
{
	return lvm_vg_compute(
		group, find_lv,
		&(struct finding){ .group = group, .name = name, .out = out, .error = error });
}

int change_find_lv_or_raid(struct volume_group *group, const char *name, struct volume_lv **out,
			   struct error *error)
{
	return lvm_vg_compute(group, find_lv,
			      &(struct finding){ .group = group,
						 .name = name,
						 .out = out,
						 .error = error,
						 .raid_too = true });
}

int change_check_closed(const struct volume_group *group, const struct volume_lv *lv,
			struct error *error)
{
	lvm_active_settle(group, lv);
	if (!lv->open_count)
		return 0;
	error_set(error, -EBUSY, "%s/%s: is in use", group->name, lv->name);
	error_advise(error, "end the machine or the server that uses it first");
	return -EBUSY;
}

int volume_lv_remove(struct volume_group *group, const char *name, struct error *error)
{
	CHANGING(group);
	CLEANUP_CHANGE struct change change;
	struct volume_lv *lv;
	struct finding finding = { .group = group,
				   .name = name,
				   .out = &lv,
				   .error = error,
				   .raid_too = true,
				   .missing_too = true };
	int rc;

	change_begin(&change, group);
	rc = lvm_vg_compute(group, find_lv, &finding);
	if (!rc)
		rc = change_check_closed(group, lv, error);
	if (!rc)
		rc = lvm_raid_check_tracked_closed(group, lv, error);
	/* Of a volume without parts that is itself. */
	if (!rc && (lvm_lv_raid(lv) ? lvm_raid_drop(&change, lv) : lvm_mirror_drop(&change, lv)))
		rc = change_no_memory(group, error);
	return rc ? rc : change_commit(&change, error);
}

int volume_lv_rename(struct volume_group *group, const char *name, const char *new_name,
		     struct error *error)
{
	CHANGING(group);
	CLEANUP_CHANGE struct change change;
	struct volume_lv *lv;
	char *new;
	int rc;

	change_begin(&change, group);
	rc = change_find_lv_or_raid(group, name, &lv, error);
	/* By the index that is there now. */
	if (!rc)
		rc = lvm_lv_new_name_check(group, new_name, error);
	if (rc)
		return rc;
	new = lvm_vg_string(group, new_name);
	if (!new || change_keep_lv(&change, lv))
		return change_no_memory(group, error);
	if (lvm_lv_raid(lv) || lvm_lv_mirror(lv))
		rc = lvm_raid_rename(&change, lv, new, error);
	if (rc)
		return rc;
	lv->name = new;
	lvm_index_forget(group);
	return change_commit(&change, error);
}
