/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mirror segments of a pvmove: extents on their way from area 0 to area 1.
 *
 *	extents_moved = extent_count	moved: area 1 has the data
 *	less				area 0 has them; what area 1 holds is of no account
 *
 * LVM2 has at most one such segment mirrored at a time (lib/mirror/mirrored.c), and so have we: while a mover works on it
 * (move.h), its table has the mover's block, which writes to both. Without one, area 0 is all there is to it.
 *
 * Mirrors without extents_moved are an older type of volumes: mirror.h.
 */
#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/active.h"
#include "volume/mirror.h"
#include "volume/move.h"
#include "volume/segment.h"

static const char *const keys[] = { "start_extent",  "extent_count", "type",    "mirror_count",
				    "extents_moved", "region_size",  "mirrors", NULL };

static int import_area(const struct lvm_segment_reader *from, const struct lvm_config_node *mirrors,
		       unsigned number, uint32_t extents, struct volume_area *area)
{
	const struct lvm_config_value *where = &mirrors->values[2 * number];

	if (where[0].type != LVM_CONFIG_STRING || where[1].type != LVM_CONFIG_INTEGER ||
	    where[1].integer < 0 || where[1].integer > UINT32_MAX)
		return lvm_read_fail(from->reader, mirrors,
				     "mirrors is no list of pairs of a volume and an extent");
	area->extent = (uint32_t)where[1].integer;
	area->pv = lvm_pv_names_find(from->pvs, where[0].string);
	if (!area->pv)
		area->lv_name = (char *)where[0].string;
	else if (!range_within(area->extent, extents, area->pv->extent_count))
		return lvm_read_fail(from->reader, mirrors,
				     "extents %u to %llu of %.128s are used, it has %u",
				     area->extent, (unsigned long long)area->extent + extents,
				     area->pv->name, area->pv->extent_count);
	return 0;
}

static int mirror_import(const struct lvm_segment_reader *from,
			 const struct lvm_config_node *section, struct volume_segment *segment)
{
	const struct lvm_reader *reader = from->reader;
	const struct lvm_config_node *mirrors = lvm_config_find(section->child, "mirrors");
	uint64_t count = 0, moved = 0, region = 0;
	int rc;

	if (!lvm_config_find(section->child, "extents_moved")) {
		segment->private->type = &lvm_segment_mirror;
		return lvm_segment_mirror.import(from, section, segment);
	}
	rc = lvm_read_integer(reader, section, "mirror_count", false, UINT32_MAX, &count);
	if (!rc)
		rc = lvm_read_integer(reader, section, "extents_moved", false,
				      segment->extent_count, &moved);
	if (!rc)
		rc = lvm_read_integer(reader, section, "region_size", true, UINT32_MAX, &region);
	if (rc)
		return rc;
	if (count != 2 || !mirrors || !mirrors->array || mirrors->value_count != 4)
		return lvm_read_fail(reader, section, "mirrors of %.60s is not of 2 pairs",
				     section->key);
	segment->private->moved = (uint32_t)moved;
	segment->private->region_sectors = (uint32_t)region;
	segment->area_count = 2;
	segment->areas = lvm_config_alloc(reader->memory, 2 * sizeof(*segment->areas));
	if (!segment->areas)
		return -ENOMEM;
	for (unsigned i = 0; !rc && i < 2; i++)
		rc = import_area(from, mirrors, i, segment->extent_count, &segment->areas[i]);
	return rc ? rc : lvm_read_extra(reader, section, keys, true, &segment->private->extra);
}

static void mirror_export(const struct volume_segment *segment, struct lvm_text *text)
{
	lvm_text_print(text, "type = \"mirror\"\nmirror_count = 2\nextents_moved = %u\n",
		       segment->private->moved);
	if (segment->private->region_sectors)
		lvm_text_print(text, "region_size = %u\n", segment->private->region_sectors);
	lvm_segment_export_extra(segment, text);
	lvm_text_print(text, "\nmirrors = [\n");
	for (unsigned i = 0; i < 2; i++) {
		const struct volume_area *area = &segment->areas[i];

		lvm_text_quote(text, area->pv ? area->pv->name : area->lv_name);
		lvm_text_print(text, ", %u%s\n", area->extent, i ? "" : ",");
	}
	lvm_text_print(text, "]\n");
}

static void mirror_used(const struct volume_segment *segment, struct lvm_pv_names *pvs,
			lvm_used_fn *use, void *arg)
{
	(void)pvs;
	for (unsigned i = 0; i < 2; i++)
		if (segment->areas[i].pv)
			use(arg, segment->areas[i].pv, segment->areas[i].extent,
			    segment->extent_count, false);
}

/* Each of the two holds all of it. */
static uint32_t mirror_area_extents(const struct volume_segment *segment)
{
	return segment->extent_count;
}

bool lvm_segment_is_move(const struct volume_segment *segment)
{
	return segment->private->type == &lvm_segment_move;
}

bool lvm_segment_is_moved(const struct volume_segment *segment)
{
	return segment->private->moved == segment->extent_count;
}

static int mirror_activate(struct lvm_activation *activation, const struct volume_segment *segment,
			   struct error *error)
{
	const struct lvm_moving *moving = activation->lv->private->moving;
	uint64_t extent = activation->group->extent_size;
	uint64_t length = segment->extent_count * extent;

	lv_table_add_segment(activation->table, segment->start_extent * extent, length, 0, 1);
	if (lvm_segment_is_moved(segment))
		return lv_table_add_area(activation, &segment->areas[1], length, error);
	if (!moving || moving->start_extent != segment->start_extent)
		return lv_table_add_area(activation, &segment->areas[0], length, error);
	lv_table_add_block(activation->table, moving->block);
	return 0;
}

const struct lvm_segment_type lvm_segment_move = {
	.name = "mirror",
	.attribute = 'p',
	.import = mirror_import,
	.export = mirror_export,
	.used = mirror_used,
	.area_extents = mirror_area_extents,
	.activate = mirror_activate,
};
