/* SPDX-License-Identifier: BSD-2-Clause */
/* Volumes in use; see active.h. */
#include "volume/active.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/lease.h"
#include "block/view.h"
#include "raid/raid.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "volume/active_raid.h"
#include "volume/mirror.h"
#include "volume/segment_raid.h"

struct lvm_active {
	struct volume_group *group; /* a reference */
	struct volume_lv *lv;
	struct lv_table table;
	struct lv_table next; /* while the volume changes: what it will be */
	bool assemble_anew;   /* the same, of one whose array will be another */
	bool filled_later;    /* the array of `next` fills nobody until it is in use */
	bool closing;
	bool barred; /* nobody begins to read or write it by himself, past us */
	struct active_block *reader, *writer;
	struct block_watch watch; /* on the array's block: it grows when a reshape is over */
};

struct active_block {
	struct block block;
	struct lvm_active *active;
};

static struct active_block *active_block_of(const struct block *block)
{
	return container_of(block, struct active_block, block);
}

bool lvm_active_has_requests(const struct volume_lv *lv)
{
	const struct lvm_active *active = lv->private->active;

	return active && ((active->reader && active->reader->block.gate.inside) ||
			  (active->writer && active->writer->block.gate.inside));
}

/* ---- The block ---- */

static int lv_map(struct block *block, enum block_kind kind, uint64_t offset, uint64_t length,
		  struct block_extent *extent)
{
	const struct lv_table *table = &active_block_of(block)->active->table;

	(void)kind;
	/* Its array could not be assembled anew. */
	if (!table->segment_count)
		return -EIO;
	lv_table_map(table, offset, length, extent);
	return 0;
}

static bool lv_stripes(const struct block *block, uint64_t offset, struct block_stripes *out)
{
	const struct lv_table *table = &active_block_of(block)->active->table;

	return table->segment_count && lv_table_stripes(table, offset, out);
}

/* Where some of it lies on an array, most of its requests would be called home. */
static bool lv_has_views(const struct block *block)
{
	const struct lv_table *table = &active_block_of(block)->active->table;

	for (unsigned i = 0; i < table->device_count; i++)
		if (!block_has_views(table->devices[i]))
			return false;
	return table->segment_count; /* none while its array is assembled anew */
}

static int lv_flush(struct block *block)
{
	const struct lv_table *table = &active_block_of(block)->active->table;

	return table->segment_count ? block_flush_all(table->devices, table->device_count) : -EIO;
}

static void lv_close(struct block *block)
{
	struct active_block *open = active_block_of(block);
	struct lvm_active *active = open->active;
	struct volume_group *group = active->group;

	if (active->reader == open)
		active->reader = NULL;
	else
		active->writer = NULL;
	if (active->reader || active->writer) {
		active->lv->open_count--;
		free(open);
		return;
	}
	free(open);
	active->closing = true;
	block_unwatch(&active->watch);
	lv_table_free(&active->table);
	lv_table_free(&active->next); /* closed in the middle of a change */
	active->lv->open_count--;
	active->lv->private->active = NULL;
	free(active);
	fiber_queue_wake_all(&group->private->closing);
	volume_group_unref(group);
}

static const struct block_ops lv_ops = {
	.type = "lv",
	.map = lv_map,
	.stripes = lv_stripes,
	.has_views = lv_has_views,
	.flush = lv_flush,
	.close = lv_close,
};

/* Of one that is reshaped no more than there is in both shapes. */
static uint64_t size_of(const struct lvm_active *active)
{
	const struct raid_array *array =
		active->table.array ? lvm_array_raid(active->table.array) : NULL;

	return array ? MIN(raid_array_block((struct raid_array *)array)->size, active->lv->size)
		     : active->lv->size;
}

static void array_changed(struct block_watch *watch, struct block *block, unsigned what)
{
	struct lvm_active *active = container_of(watch, struct lvm_active, watch);

	(void)block;
	if (what != BLOCK_CHANGED_SIZE)
		return;
	if (active->reader)
		block_set_size(&active->reader->block, size_of(active));
	if (active->writer)
		block_set_size(&active->writer->block, size_of(active));
}

static void watch_array(struct lvm_active *active)
{
	active->watch.changed = array_changed;
	if (active->table.array)
		block_watch(raid_array_block(lvm_array_raid(active->table.array)), &active->watch);
}

/* Sizes that follow from what is below. */
static void set_limits(struct block *block, const struct lv_table *table)
{
	for (unsigned i = 0; i < table->area_count; i++) {
		const struct block *lower = table->areas[i].lower;

		block->logical_block_size =
			MAX(block->logical_block_size, lower->logical_block_size);
		block->physical_block_size =
			MAX(block->physical_block_size, lower->physical_block_size);
		block->discard_granularity =
			MAX(block->discard_granularity, lower->discard_granularity);
		block->preferred_io_size = MAX(block->preferred_io_size, lower->preferred_io_size);
	}
	if (table->segments[0].stripe_size)
		block->preferred_io_size = (uint32_t)MIN(table->segments[0].stripe_size *
								 table->segments[0].area_count,
							 (uint64_t)UINT32_MAX / 2);
}

/* ---- Opening ---- */

static int no_memory(const struct volume_group *group, const struct volume_lv *lv,
		     struct error *error)
{
	return error_set(error, -ENOMEM, "%s/%s: no memory to open it", group->name, lv->name);
}

void lvm_active_settle(const struct volume_group *group, const struct volume_lv *lv)
{
	while (lv->private->active && lv->private->active->closing)
		fiber_queue_wait_always(&((struct volume_group *)group)->private->closing);
}

struct raid_array *lvm_active_raid(const struct volume_lv *lv)
{
	const struct lvm_active *active = lv->private->active;

	return active && !active->closing && active->table.array
		       ? lvm_array_raid(active->table.array)
		       : NULL;
}

static void replace_table(struct lvm_active *active, struct lv_table *next, bool anew);

/* One whose array was assembled to be read only has it assembled anew by the first who writes. */
static int make_writable(struct lvm_active *active, struct error *error)
{
	struct lv_table next = { 0 };
	int rc;

	if (active->table.segment_count && (active->table.writable || !active->table.array))
		return 0;
	rc = lv_table_build(active->group, active->lv, true, NULL, &next, error);
	if (!rc)
		replace_table(active, &next, false);
	return rc;
}

/*
 * One whose array could not be assembled anew after a change is in use, and has no table: who opens it next tries again. Others who do wait, and
 * its users stay until it is known.
 */
static int revive(struct lvm_active *active, bool writable, struct error *error)
{
	struct block *users[2] = { active->reader ? block_ref(&active->reader->block) : NULL,
				   active->writer ? block_ref(&active->writer->block) : NULL };
	struct lv_table next = { 0 };
	int rc;

	active->closing = true;
	rc = lv_table_build(active->group, active->lv, writable || active->writer, NULL, &next,
			    error);
	active->closing = false;
	fiber_queue_wake_all(&active->group->private->closing);
	if (!rc)
		replace_table(active, &next, false);
	block_unref(users[0]);
	block_unref(users[1]);
	return rc;
}

/* The volume's active object, made at the first open. */
static int activate(struct volume_group *group, struct volume_lv *lv, bool writable,
		    struct lvm_active **out, struct error *error)
{
	struct lvm_active *active;
	int rc;

	lvm_active_settle(group, lv);
	active = lv->private->active;
	*out = active;
	if (active)
		return active->table.segment_count ? 0 : revive(active, writable, error);
	active = calloc(1, sizeof(*active));
	if (!active)
		return no_memory(group, lv, error);
	/* Others that open it meanwhile wait. */
	active->closing = true;
	list_init(&active->watch.node);
	active->group = volume_group_ref(group);
	active->lv = lv;
	lv->private->active = active;
	rc = lv_table_build(group, lv, writable, NULL, &active->table, error);
	if (!rc)
		watch_array(active);
	active->closing = false;
	fiber_queue_wake_all(&group->private->closing);
	if (rc) {
		lv->private->active = NULL;
		free(active);
		volume_group_unref(group);
		return rc;
	}
	*out = active;
	return 0;
}

/* An object that nobody came to use. */
static void deactivate(struct lvm_active *active)
{
	struct volume_group *group = active->group;

	if (active->reader || active->writer)
		return;
	active->closing = true;
	block_unwatch(&active->watch);
	lv_table_free(&active->table);
	active->lv->private->active = NULL;
	free(active);
	fiber_queue_wake_all(&group->private->closing);
	volume_group_unref(group);
}

static int add_block(struct lvm_active *active, bool writable, struct block **out,
		     struct error *error)
{
	struct active_block *new = calloc(1, sizeof(*new));
	const struct volume_group *group = active->group;
	struct volume_lv *lv = active->lv;
	CLEANUP_FREE char *name = malloc(strlen(group->name) + strlen(lv->name) + 2);

	if (!new || !name) {
		free(new);
		return no_memory(group, lv, error);
	}
	stpcpy(stpcpy(stpcpy(name, group->name), "/"), lv->name);
	block_init(&new->block, &lv_ops, name);
	new->block.size = size_of(active);
	new->block.read_only = !writable;
	new->block.leases.barred = active->barred;
	set_limits(&new->block, &active->table);
	new->active = active;
	*(writable ? &active->writer : &active->reader) = new;
	lv->open_count++;
	*out = &new->block;
	return 0;
}

int lvm_active_open(struct volume_group *group, struct volume_lv *lv, bool writable,
		    struct block **out, struct error *error)
{
	struct active_block *open;
	struct lvm_active *active = NULL;
	struct block *held; /* so that the reader's user cannot end it meanwhile */
	int rc = 0;

	/* An array writes as soon as it is there. */
	if (writable && lv->supported && (lvm_lv_raid(lv) || lvm_lv_mirror(lv)))
		rc = lvm_active_check_writable(group, lv, error);
	if (!rc)
		rc = activate(group, lv, writable, &active, error);
	if (rc)
		return rc;
	open = writable ? active->writer : active->reader;
	if (open) {
		*out = block_ref(&open->block);
		return 0;
	}
	held = active->reader ? block_ref(&active->reader->block) : NULL;
	rc = writable ? lvm_active_check_writable(group, lv, error) : 0;
	if (!rc && writable)
		rc = make_writable(active, error);
	if (!rc)
		rc = add_block(active, writable, out, error);
	if (rc)
		deactivate(active);
	block_unref(held);
	return rc;
}

/* ---- Leases ---- */

/* A process that reads or writes by itself what the volume lies on (block/lease.h) is told to stop, and does not begin anew until
 * allow_leases(). -EBUSY: one that does not. Suspends. */
static int stop_leases(struct lvm_active *active, struct error *error)
{
	CLEANUP_BLOCK struct block *reader =
		active->reader ? block_ref(&active->reader->block) : NULL;
	CLEANUP_BLOCK struct block *writer =
		active->writer ? block_ref(&active->writer->block) : NULL;
	int rc = 0;

	/* Who opens it meanwhile, too. */
	active->barred = true;
	if (reader)
		reader->leases.barred = true;
	if (writer)
		writer->leases.barred = true;
	if (reader)
		rc = block_leases_stop(reader, error);
	return writer && !rc ? block_leases_stop(writer, error) : rc;
}

static void allow_leases(struct lvm_active *active)
{
	active->barred = false;
	if (active->reader)
		active->reader->block.leases.barred = false;
	if (active->writer)
		active->writer->block.leases.barred = false;
}

/* ---- Holding ---- */

int lvm_active_hold(struct volume_lv *lv, struct lvm_hold *hold, struct error *error)
{
	struct lvm_active *active = lv->private->active;
	int rc = 0;

	*hold = (struct lvm_hold){ 0 };
	if (!active)
		return 0;
	if (active->reader)
		hold->blocks[0] = block_ref(&active->reader->block);
	if (active->writer)
		hold->blocks[1] = block_ref(&active->writer->block);
	rc = stop_leases(active, error);
	for (unsigned i = 0; i < 2; i++)
		if (!rc && hold->blocks[i])
			block_quiesce(hold->blocks[i]);
	/* While they are held: closed by all others meanwhile, it goes with the last of them. */
	allow_leases(active);
	for (unsigned i = 0; rc && i < 2; i++)
		block_unref(steal_pointer(&hold->blocks[i]));
	if (rc)
		return rc;
	if (active->writer)
		rc = block_flush_all(active->table.devices, active->table.device_count);
	return rc ? error_set(error, rc, "%s/%s: flushing it: %s", active->group->name, lv->name,
			      error_name(rc))
		  : 0;
}

void lvm_active_release(struct lvm_hold *hold)
{
	for (unsigned i = 0; i < 2; i++) {
		if (hold->blocks[i])
			block_resume(hold->blocks[i]);
		block_unref(steal_pointer(&hold->blocks[i]));
	}
}

/* ---- Changing ---- */

/* A guest that was told a block size goes on using it. */
static int check_block_size(const struct active_block *open, const struct lv_table *next,
			    struct error *error)
{
	for (unsigned i = 0; open && i < next->area_count; i++) {
		const struct block *lower = next->areas[i].lower;

		if (lower->logical_block_size > open->block.logical_block_size)
			return error_set(
				error, -EINVAL,
				"%s: is in use with blocks of %u bytes, and %s has blocks of "
				"%u",
				open->block.name, open->block.logical_block_size, lower->name,
				lower->logical_block_size);
	}
	return 0;
}

/* An array that a volume becomes fills nobody before it is committed: should that fail, and the array be found all the same, its superblocks say
 * that those lack what was written meanwhile. Nothing has suspended since it was assembled. */
static void fill_later(struct lvm_active *active)
{
	active->filled_later = active->next.array && !active->table.array &&
			       active->next.writable && !active->group->private->no_resync;
	if (active->filled_later)
		raid_rebuild_freeze(lvm_array_raid(active->next.array), true);
}

/* A change of its name or its tags is none to who uses it. Of linear and striped volumes on PVs alone, where finding out does not suspend. */
static bool stays_where_it_is(const struct lvm_active *active)
{
	const struct volume_lv *lv = active->lv;
	struct lv_table next;
	bool stays = !active->table.array;

	for (unsigned i = 0; i < lv->segment_count; i++)
		for (unsigned k = 0; k < lv->segments[i].area_count; k++)
			stays &= lv->segments[i].private->type == &lvm_segment_striped &&
				 lv->segments[i].areas[k].pv;
	if (!stays || lv_table_build(active->group, lv, active->table.writable, NULL, &next, NULL))
		return false;
	stays = lv_table_equal(&active->table, &next);
	lv_table_free(&next);
	return stays;
}

int lvm_active_prepare(struct volume_group *group, struct volume_lv *lv, struct error *error)
{
	struct lvm_active *active;
	int rc;

	lvm_active_settle(group, lv);
	active = lv->private->active;
	if (active && stays_where_it_is(active))
		return 0;
	rc = active ? stop_leases(active, error) : 0;
	if (rc)
		return rc;
	/* It may have been closed meanwhile, and somebody may be opening it. */
	lvm_active_settle(group, lv);
	active = lv->private->active;
	if (active && active->table.array && lvm_array_differs(active->table.array, lv)) {
		active->assemble_anew = true;
		return 0;
	}
	/* An array is written to by all its users, other tables only by those who write. */
	rc = active ? lv_table_build(group, lv, active->table.writable || active->writer,
				     active->table.array, &active->next, error)
		    : 0;
	if (active && !rc)
		rc = check_block_size(active->reader, &active->next, error);
	if (active && !rc)
		rc = check_block_size(active->writer, &active->next, error);
	if (active && !rc)
		fill_later(active);
	return rc;
}

/* Two arrays must not have the same members: the one is stopped first. */
static void assemble_anew(struct lvm_active *active, struct lv_table *next)
{
	bool writable = active->table.writable;
	struct error why = { 0 };

	lv_table_free(&active->table);
	if (lv_table_build(active->group, active->lv, writable, NULL, next, &why))
		lvm_vg_problem(active->group, "%s/%s: is out of use: %s", active->group->name,
			       active->lv->name, why.text);
}

/* `anew`: `next` is built in between. */
static void replace_table(struct lvm_active *active, struct lv_table *next, bool anew)
{
	struct block *blocks[2] = { NULL, NULL };
	struct lv_table old;

	/* Waiting for its requests suspends, and its user may close it meanwhile. */
	if (active->reader)
		blocks[0] = block_ref(&active->reader->block);
	if (active->writer)
		blocks[1] = block_ref(&active->writer->block);
	for (unsigned i = 0; i < 2; i++)
		if (blocks[i])
			block_quiesce(blocks[i]);
	block_unwatch(&active->watch);
	if (anew)
		assemble_anew(active, next);
	old = active->table;
	active->table = *next;
	*next = (struct lv_table){ 0 };
	watch_array(active);
	if (active->filled_later)
		raid_rebuild_freeze(lvm_array_raid(active->table.array), false);
	active->filled_later = false;
	for (unsigned i = 0; i < 2; i++) {
		if (!blocks[i])
			continue;
		block_set_size(blocks[i], size_of(active));
		block_resume(blocks[i]);
	}
	allow_leases(active);
	lv_table_free(&old);
	block_unref(blocks[0]);
	block_unref(blocks[1]);
}

void lvm_active_swap(struct volume_lv *lv, bool made)
{
	struct lvm_active *active = lv->private->active;
	bool anew = active && active->assemble_anew;

	if (active && !made)
		allow_leases(active);
	if (!active || (!active->next.segments && !anew))
		return;
	active->assemble_anew = false;
	if (made) {
		replace_table(active, &active->next, anew);
	} else {
		active->filled_later = false;
		lv_table_free(&active->next);
	}
}
