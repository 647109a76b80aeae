/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A logical volume as a block: a table from bytes of the volume to bytes of PVs. It only translates;
 * a new table is put in place with the gate closed.
 *
 *	linear	  one area:  extent e of the segment is extent area + e of its PV
 *	striped	  n areas:   chunk c of the segment is chunk c / n of area c % n
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "block/view.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/change.h"
#include "volume/commit.h"
#include "volume/lvm_vg.h"

/* One place on a PV: byte `offset` of `lower`. */
struct lv_area {
	struct block *lower;
	uint64_t offset;
};

struct lv_segment {
	uint64_t start, length; /* bytes of the volume */
	uint64_t stripe_size;   /* 0: linear */
	unsigned area_count;
	unsigned first_area; /* in the table's areas */
};

/* What a volume's segments say, in bytes. Replaced as a whole when the volume grows. */
struct lv_table {
	unsigned segment_count, area_count;
	struct lv_segment *segments;
	struct lv_area *areas;
	struct block **devices; /* that the areas lie on, each once: what a flush goes to */
	unsigned device_count;
};

struct lv_block {
	struct block block;
	struct volume_group *group;
	struct volume_lv *lv;
	struct lv_table table;
	struct lv_table next; /* while the volume grows: what it will be */
	struct list node;     /* in the group's open_lvs */
};

static struct lv_block *lv_block_of(struct block *block)
{
	return container_of(block, struct lv_block, block);
}

/* ---- The table ---- */

static void table_free(struct lv_table *table)
{
	for (unsigned i = 0; i < table->area_count; i++)
		block_unref(table->areas[i].lower);
	free(table->segments);
	free(table->areas);
	free(table->devices);
	memset(table, 0, sizeof(*table));
}

static struct lv_table steal_table(struct lv_table *table)
{
	struct lv_table stolen = *table;

	*table = (struct lv_table){ 0 };
	return stolen;
}

/* Whether a PV may be used at all. */
static int check_pv(const struct volume_group *group, const struct volume_lv *lv,
		    const struct volume_pv *pv, struct error *error)
{
	if (pv->duplicate) {
		error_set(error, -ENOTUNIQ, "%s/%s: PV %s is there more than once", group->name,
			  lv->name, pv->uuid);
		error_advise(error, "leave out the devices that are copies");
		return -ENOTUNIQ;
	}
	if (!pv->block) {
		error_set(error, -ENXIO, "%s/%s: PV %s is missing (last seen as %s)", group->name,
			  lv->name, pv->uuid, pv->device_hint ? pv->device_hint : "unknown");
		error_advise(error, "name the device that carries it, too");
		return -ENXIO;
	}
	if (pv->marked_missing)
		return error_set(error, -ENXIO,
				 "%s/%s: PV %s (%s) was missing when the group was last changed, "
				 "its data may be old",
				 group->name, lv->name, pv->uuid, pv->block->name);
	return 0;
}

/* The newest first: areas of one device are mostly neighbours. */
static void add_device(struct lv_table *table, struct block *device)
{
	for (unsigned i = table->device_count; i-- > 0;)
		if (table->devices[i] == device)
			return;
	table->devices[table->device_count++] = device;
}

static int add_area(const struct volume_group *group, const struct volume_lv *lv,
		    const struct volume_segment *segment, const struct volume_area *area,
		    struct lv_table *table, struct error *error)
{
	uint64_t length = lvm_segment_area_extents(segment) * group->extent_size;
	uint64_t offset, end;
	int rc = check_pv(group, lv, area->pv, error);

	if (rc)
		return rc;
	offset = area->pv->pe_start + area->extent * group->extent_size;
	end = offset + length;
	if (!range_within(offset, length, area->pv->block->size))
		return error_set(error, -ENXIO,
				 "%s/%s: PV %s (%s): bytes %llu to %llu are needed, the device has "
				 "%llu",
				 group->name, lv->name, area->pv->uuid, area->pv->block->name,
				 (unsigned long long)offset, (unsigned long long)end,
				 (unsigned long long)area->pv->block->size);
	if ((offset | length) % area->pv->block->logical_block_size)
		return error_set(error, -EINVAL,
				 "%s/%s: PV %s (%s): extents begin at byte %llu, its sectors have "
				 "%u bytes",
				 group->name, lv->name, area->pv->uuid, area->pv->block->name,
				 (unsigned long long)offset, area->pv->block->logical_block_size);
	table->areas[table->area_count++] =
		(struct lv_area){ .lower = block_ref(area->pv->block), .offset = offset };
	add_device(table, area->pv->block);
	return 0;
}

static int add_segment(const struct volume_group *group, const struct volume_lv *lv,
		       const struct volume_segment *segment, struct lv_table *table,
		       struct error *error)
{
	uint64_t area_length = lvm_segment_area_extents(segment) * group->extent_size;
	int rc = 0;

	/* As dm-stripe wants it (drivers/md/dm-stripe.c). */
	if (segment->stripe_size && area_length % segment->stripe_size)
		return error_set(error, -EOPNOTSUPP,
				 "%s/%s: stripes of %llu bytes do not divide into chunks of %u",
				 group->name, lv->name, (unsigned long long)area_length,
				 segment->stripe_size);
	table->segments[table->segment_count++] =
		(struct lv_segment){ .start = segment->start_extent * group->extent_size,
				     .length = segment->extent_count * group->extent_size,
				     .stripe_size = segment->stripe_size,
				     .area_count = segment->area_count,
				     .first_area = table->area_count };
	for (unsigned i = 0; !rc && i < segment->area_count; i++)
		rc = add_area(group, lv, segment, &segment->areas[i], table, error);
	return rc;
}

static int check_supported(const struct volume_group *group, const struct volume_lv *lv,
			   struct error *error)
{
	if (lv->supported)
		return 0;
	if (lv->private->shown_type)
		return error_set(error, -EOPNOTSUPP,
				 "%s/%s: its type is %s; linear and striped volumes are supported",
				 group->name, lv->name, lv->private->shown_type);
	for (unsigned i = 0; i < lv->segment_count; i++)
		if (!lvm_segment_type_known(lv->segments[i].type))
			return error_set(error, -EOPNOTSUPP,
					 "%s/%s: its type is %s; linear and striped volumes are "
					 "supported",
					 group->name, lv->name, lv->segments[i].type);
	for (unsigned i = 0; i < lv->segment_count; i++)
		for (unsigned k = 0; k < lv->segments[i].area_count; k++)
			if (!lv->segments[i].areas[k].pv)
				return error_set(error, -EOPNOTSUPP,
						 "%s/%s: lies on another volume, %.128s",
						 group->name, lv->name,
						 lv->segments[i].areas[k].lv_name);
	return error_set(error, -EOPNOTSUPP, "%s/%s: its status is not supported (%s)", group->name,
			 lv->name,
			 lv->private->status.count
				 ? lv->private->status.at[lv->private->status.count - 1]
				 : "empty");
}

static int table_build(const struct volume_group *group, const struct volume_lv *lv,
		       struct lv_table *table, struct error *error)
{
	size_t areas = 0;
	int rc = check_supported(group, lv, error);

	memset(table, 0, sizeof(*table));
	for (unsigned i = 0; i < lv->segment_count; i++)
		areas += lv->segments[i].area_count;
	table->segments = calloc(lv->segment_count + 1, sizeof(*table->segments));
	table->areas = calloc(areas + 1, sizeof(*table->areas));
	table->devices = calloc(areas + 1, sizeof(struct block *));
	if (!rc && (!table->segments || !table->areas || !table->devices))
		rc = error_set(error, -ENOMEM, "%s/%s: no memory to open it", group->name,
			       lv->name);
	for (unsigned i = 0; !rc && i < lv->segment_count; i++)
		rc = add_segment(group, lv, &lv->segments[i], table, error);
	if (rc)
		table_free(table);
	return rc;
}

/* ---- The block ---- */

static const struct lv_segment *find_segment(const struct lv_table *table, uint64_t offset)
{
	unsigned low = 0, high = table->segment_count;

	while (high - low > 1) {
		unsigned middle = low + (high - low) / 2;

		if (table->segments[middle].start <= offset)
			low = middle;
		else
			high = middle;
	}
	return &table->segments[low];
}

static int lv_map(struct block *block, enum block_kind kind, uint64_t offset, uint64_t length,
		  struct block_extent *extent)
{
	const struct lv_table *table = &lv_block_of(block)->table;
	const struct lv_segment *segment = find_segment(table, offset);
	const struct lv_area *area = &table->areas[segment->first_area];
	uint64_t within = offset - segment->start;
	uint64_t left = segment->length - within;

	(void)kind;
	if (segment->stripe_size) {
		uint64_t chunk = within / segment->stripe_size;
		uint64_t skip = within % segment->stripe_size;

		area += chunk % segment->area_count;
		within = chunk / segment->area_count * segment->stripe_size + skip;
		left = segment->stripe_size - skip;
	}
	*extent = (struct block_extent){ .lower = area->lower,
					 .offset = area->offset + within,
					 .length = MIN(length, left) };
	return 0;
}

/* Where some of it lies on an array, most of its requests would be called home. */
static bool lv_has_views(const struct block *block)
{
	const struct lv_table *table = &container_of(block, const struct lv_block, block)->table;

	for (unsigned i = 0; i < table->device_count; i++)
		if (!block_has_views(table->devices[i]))
			return false;
	return true;
}

static int lv_flush(struct block *block)
{
	const struct lv_table *table = &lv_block_of(block)->table;

	return block_flush_all(table->devices, table->device_count);
}

static void lv_close(struct block *block)
{
	struct lv_block *lv = lv_block_of(block);

	list_remove(&lv->node);
	lv->lv->open_count--;
	table_free(&lv->table);
	table_free(&lv->next); /* closed in the middle of a change */
	volume_group_unref(lv->group);
	free(lv);
}

static const struct block_ops lv_ops = {
	.type = "lv",
	.map = lv_map,
	.has_views = lv_has_views,
	.flush = lv_flush,
	.close = lv_close,
};

/* Sizes that follow from the PVs below. */
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

/* A device that was opened for reading, or one that became shorter: who writes on to what is left of it
 * makes the loss harder to mend. */
static int check_writable(const struct volume_group *group, const struct volume_lv *lv,
			  struct error *error)
{
	for (unsigned i = 0; i < lv->segment_count; i++)
		for (unsigned k = 0; k < lv->segments[i].area_count; k++) {
			const struct volume_pv *pv = lv->segments[i].areas[k].pv;
			uint64_t end = lvm_pv_end(group, pv);

			if (pv->block->read_only)
				return error_set(error, -EROFS,
						 "%s/%s: %s is open for reading only", group->name,
						 lv->name, pv->block->name);
			if (pv->block->size < end)
				return error_set(
					error, -EROFS,
					"%s/%s: opens for reading only: %s has %llu bytes, "
					"PV %s on it must have %llu again",
					group->name, lv->name, pv->block->name,
					(unsigned long long)pv->block->size, pv->uuid,
					(unsigned long long)MAX(end, pv->device_size));
		}
	return 0;
}

int lvm_lv_block(struct volume_group *group, struct volume_lv *lv, bool writable,
		 struct block **out, struct error *error)
{
	struct lv_block *new = calloc(1, sizeof(*new));
	CLEANUP_FREE char *name = NULL;
	struct lv_table table = { 0 };
	int rc;

	name = malloc(strlen(group->name) + strlen(lv->name) + 2);
	if (!new || !name) {
		free(new);
		return error_set(error, -ENOMEM, "%s/%s: no memory to open it", group->name,
				 lv->name);
	}
	rc = table_build(group, lv, &table, error);
	if (!rc && writable)
		rc = check_writable(group, lv, error);
	if (rc) {
		table_free(&table);
		free(new);
		return rc;
	}
	stpcpy(stpcpy(stpcpy(name, group->name), "/"), lv->name);
	block_init(&new->block, &lv_ops, name);
	new->block.size = lv->size;
	new->block.read_only = !writable;
	set_limits(&new->block, &table);
	new->table = table;
	new->group = volume_group_ref(group);
	new->lv = lv;
	lv->open_count++;
	list_add_tail(&group->private->open_lvs, &new->node);
	*out = &new->block;
	return 0;
}

/* A guest that was told a block size goes on using it. */
static int check_block_size(const struct lv_block *open, struct error *error)
{
	const struct lv_table *next = &open->next;

	for (unsigned i = 0; i < next->area_count; i++) {
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

int lvm_lv_prepare(struct volume_group *group, struct volume_lv *lv, struct error *error)
{
	int rc = 0;

	list_for_each(at, &group->private->open_lvs) {
		struct lv_block *open = list_entry(at, struct lv_block, node);

		if (open->lv != lv)
			continue;
		if (!rc)
			rc = table_build(group, lv, &open->next, error);
		if (!rc)
			rc = check_block_size(open, error);
	}
	return rc;
}

static void swap(struct lv_block *open, uint64_t size)
{
	block_quiesce(&open->block);
	table_free(&open->table);
	open->table = steal_table(&open->next);
	block_set_size(&open->block, size);
	block_resume(&open->block);
}

void lvm_lv_swap(struct volume_group *group, struct volume_lv *lv, bool made)
{
	struct block *held = NULL;

	list_for_each(at, &group->private->open_lvs) {
		struct lv_block *open = list_entry(at, struct lv_block, node);

		if (open->lv != lv)
			continue;
		if (!made) {
			table_free(&open->next);
			continue;
		}
		/* Waiting for its requests suspends, and its user may close it meanwhile. */
		block_ref(&open->block);
		block_unref(held);
		held = &open->block;
		swap(open, lv->size);
	}
	block_unref(held);
}

/* What is flushed to a volume must stay: so it must be certain that the volume is there, and so large, before
 * it is written to. A change that failed may have removed or shrunk it. */
static int check_certain(struct volume_group *group, const char *name, struct error *error)
{
	struct error why = { 0 };
	int rc = 0;

	if (group->private->unsure)
		rc = group->locked_reason ? lvm_vg_check_changeable(group, &why)
					  : lvm_vg_settle(group, &why);
	return rc ? error_set(error, rc,
			      "%s/%s: opens for reading only: a change failed, and it is unknown "
			      "whether it was made: %s",
			      group->name, name, why.text)
		  : 0;
}

int volume_group_settle(struct volume_group *group, struct error *error)
{
	CHANGING(group);

	return lvm_vg_check_changeable(group, NULL) ? 0 : lvm_vg_settle(group, error);
}

/* Not while a change is on its way, which may be taken back. */
int volume_open_lv(struct volume_group *group, const char *name, bool writable, struct block **out,
		   struct error *error)
{
	CHANGING(group);
	struct volume_lv *lv = volume_group_get_lv(group, name);
	const struct volume_lv *dependent;

	if (!lv)
		return error_set(error, -ENOENT,
				 "%s/%.128s: no such volume in the volume group, which has %u",
				 group->name, name, group->lv_count);
	if (!lv->visible)
		return error_set(error, -EOPNOTSUPP,
				 "%s/%s: is a part of another volume and cannot be used by itself",
				 group->name, name);
	if (writable && !lv->writable)
		return error_set(error, -EROFS, "%s/%s: the volume is read-only", group->name,
				 name);
	if (writable && group->private->foreign)
		return error_set(error, -EROFS,
				 "%s/%s: opens for reading only: the volume group's reason is that "
				 "%s",
				 group->name, name, group->locked_reason);
	dependent = writable ? lvm_lv_dependent(group, lv) : NULL;
	if (dependent)
		return error_set(
			error, -EOPNOTSUPP,
			"%s/%s: opens for reading only: %s depends on its data, and writing "
			"here would damage that",
			group->name, name, dependent->name);
	if (writable) {
		int rc = check_certain(group, name, error);

		if (rc)
			return rc;
	}
	return lvm_lv_block(group, lv, writable, out, error);
}
