/* SPDX-License-Identifier: BSD-2-Clause */
/* From the segments of a volume to bytes of what is below; see active.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "volume/active.h"
#include "volume/active_raid.h"
#include "raid/raid.h"

void lv_table_free(struct lv_table *table)
{
	struct lv_table old = *table;

	/* Stopping its array suspends: nobody is to find half of it meanwhile. */
	memset(table, 0, sizeof(*table));
	for (unsigned i = 0; i < old.area_count; i++)
		block_unref(old.areas[i].lower);
	free(old.segments);
	free(old.areas);
	free(old.devices);
	lvm_array_unref(old.array);
}

/* ---- Areas ---- */

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
	if (pv->marked_missing) {
		error_set(error, -ENXIO,
			  "%s/%s: PV %s (%s) was missing when the group was last changed, "
			  "its data may be old",
			  group->name, lv->name, pv->uuid, pv->block->name);
		return error_advise(error,
				    "`tenon vg repair %s --restore-missing` takes it back as it is",
				    group->name);
	}
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

/* Takes the reference over. */
static void add_lower(struct lv_table *table, struct block *lower, uint64_t offset)
{
	table->areas[table->area_count++] = (struct lv_area){ .lower = lower, .offset = offset };
	add_device(table, lower);
}

void lv_table_add_block(struct lv_table *table, struct block *lower)
{
	add_lower(table, block_ref(lower), 0);
}

static int add_pv_area(struct lvm_activation *activation, const struct volume_area *area,
		       uint64_t length, struct error *error)
{
	const struct volume_group *group = activation->group;
	const char *name = activation->lv->name;
	const struct volume_pv *pv = area->pv;
	uint64_t offset;
	int rc = check_pv(group, activation->lv, pv, error);

	if (rc)
		return rc;
	offset = pv->pe_start + area->extent * group->extent_size;
	if (!range_within(offset, length, pv->block->size))
		return error_set(error, -ENXIO,
				 "%s/%s: PV %s (%s): bytes %llu to %llu are needed, the device has "
				 "%llu",
				 group->name, name, pv->uuid, pv->block->name,
				 (unsigned long long)offset, (unsigned long long)(offset + length),
				 (unsigned long long)pv->block->size);
	if ((offset | length) % pv->block->logical_block_size)
		return error_set(error, -EINVAL,
				 "%s/%s: PV %s (%s): extents begin at byte %llu, its sectors have "
				 "%u bytes",
				 group->name, name, pv->uuid, pv->block->name,
				 (unsigned long long)offset, pv->block->logical_block_size);
	add_lower(activation->table, block_ref(pv->block), offset);
	return 0;
}

/* What is written to the upper volume is written to the lower one, if that can be. */
static int add_lv_area(struct lvm_activation *activation, const struct volume_area *area,
		       struct error *error)
{
	struct volume_group *group = activation->group;
	bool writable = !lvm_active_check_writable(group, area->lv, NULL);
	struct block *lower;
	int rc = lvm_active_open(group, area->lv, writable, &lower, error);

	if (rc) {
		error_prefix(error, "%s/%s lies on another volume", group->name,
			     activation->lv->name);
		return rc;
	}
	add_lower(activation->table, lower, area->extent * group->extent_size);
	return 0;
}

int lv_table_add_area(struct lvm_activation *activation, const struct volume_area *area,
		      uint64_t length, struct error *error)
{
	return area->pv ? add_pv_area(activation, area, length, error)
			: add_lv_area(activation, area, error);
}

void lv_table_add_segment(struct lv_table *table, uint64_t start, uint64_t length,
			  uint64_t stripe_size, unsigned area_count)
{
	table->segments[table->segment_count++] =
		(struct lv_segment){ .start = start,
				     .length = length,
				     .stripe_size = stripe_size,
				     .area_count = area_count,
				     .first_area = table->area_count };
}

void lv_table_add_array(struct lv_table *table, struct lvm_array *array, uint64_t length)
{
	lv_table_add_segment(table, 0, length, 0, 1);
	add_lower(table, block_ref(raid_array_block(lvm_array_raid(array))), 0);
	table->array = array;
}

/* ---- The whole ---- */

static int fail_below(const struct volume_group *group, const struct volume_lv *lv,
		      const struct volume_area *area, struct error *error)
{
	const struct volume_lv *part = area->lv;

	if (part && part->segment_count && !part->segments->private->type->activate)
		return error_set(error, -EOPNOTSUPP,
				 "%s/%s: lies on another volume, %.128s, whose type is %.60s",
				 group->name, lv->name, part->name, part->segments->type);
	return error_set(error, -EOPNOTSUPP, "%s/%s: lies on another volume, %.128s, which %s",
			 group->name, lv->name, area->lv_name,
			 part ? "cannot be opened" : "is not there");
}

/* Why a volume cannot be opened, of those that are not supported. */
static int fail_unsupported(const struct volume_group *group, const struct volume_lv *lv,
			    struct error *error)
{
	const struct lvm_strings *status = &lv->private->status;
	const char *type = lv->private->shown_type;

	for (unsigned i = 0; !type && i < lv->segment_count; i++)
		if (!lv->segments[i].private->type->activate)
			type = lv->segments[i].type;
	if (type)
		return error_set(
			error, -EOPNOTSUPP,
			"%s/%s: its type is %s; linear, striped and RAID volumes are supported",
			group->name, lv->name, type);
	for (unsigned i = 0; i < lv->segment_count; i++)
		for (unsigned k = 0; k < lv->segments[i].area_count; k++) {
			const struct volume_area *area = &lv->segments[i].areas[k];
			const struct volume_area *metas = lv->segments[i].metas;

			if (metas && !(metas[k].lv && metas[k].lv->supported))
				area = &metas[k];
			if (!area->pv && !(area->lv && area->lv->supported))
				return fail_below(group, lv, area, error);
		}
	return error_set(error, -EOPNOTSUPP, "%s/%s: its status is not supported (%s)", group->name,
			 lv->name, status->count ? status->at[status->count - 1] : "empty");
}

int lv_table_allocate(struct lv_table *table, unsigned segments, size_t areas)
{
	memset(table, 0, sizeof(*table));
	table->segments = calloc(segments + 1, sizeof(*table->segments));
	table->areas = calloc(areas + 1, sizeof(*table->areas));
	table->devices = calloc(areas + 1, sizeof(struct block *));
	return table->segments && table->areas && table->devices ? 0 : -ENOMEM;
}

int lv_table_build(struct volume_group *group, const struct volume_lv *lv, bool writable,
		   struct lvm_array *array, struct lv_table *table, struct error *error)
{
	struct lvm_activation activation = {
		.group = group, .lv = lv, .table = table, .writable = writable, .array = array
	};
	size_t areas = 0;
	int rc;

	if (!lv->supported)
		return fail_unsupported(group, lv, error);
	for (unsigned i = 0; i < lv->segment_count; i++)
		areas += lv->segments[i].area_count;
	rc = lv_table_allocate(table, lv->segment_count, areas);
	if (rc)
		error_set(error, rc, "%s/%s: no memory to open it", group->name, lv->name);
	for (unsigned i = 0; !rc && i < lv->segment_count; i++) {
		const struct volume_segment *segment = &lv->segments[i];

		rc = segment->private->type->activate(&activation, segment, error);
	}
	table->writable = writable;
	if (rc)
		lv_table_free(table);
	return rc;
}

bool lv_table_equal(const struct lv_table *one, const struct lv_table *other)
{
	bool equal =
		one->segment_count == other->segment_count && one->area_count == other->area_count;

	for (unsigned i = 0; equal && i < one->segment_count; i++) {
		const struct lv_segment *a = &one->segments[i], *b = &other->segments[i];

		equal = a->start == b->start && a->length == b->length &&
			a->stripe_size == b->stripe_size && a->area_count == b->area_count;
	}
	for (unsigned i = 0; equal && i < one->area_count; i++)
		equal = one->areas[i].lower == other->areas[i].lower &&
			one->areas[i].offset == other->areas[i].offset;
	return equal;
}

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

void lv_table_map(const struct lv_table *table, uint64_t offset, uint64_t length,
		  struct block_extent *extent)
{
	const struct lv_segment *segment = find_segment(table, offset);
	const struct lv_area *area = &table->areas[segment->first_area];
	uint64_t within = offset - segment->start;
	uint64_t left = segment->length - within;

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
}

bool lv_table_stripes(const struct lv_table *table, uint64_t offset, struct block_stripes *out)
{
	const struct lv_segment *segment = find_segment(table, offset);
	uint64_t within = offset - segment->start;

	if (!segment->stripe_size || within % (segment->stripe_size * segment->area_count))
		return false;
	*out = (struct block_stripes){ .length = segment->length - within,
				       .chunk = segment->stripe_size,
				       .count = segment->area_count };
	return true;
}
