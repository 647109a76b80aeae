/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Linear and striped segments: "striped" in the metadata with one area or several, each on a PV or on another volume.
 *
 *	linear	  one area:  extent e of the segment is extent area + e of its PV
 *	striped	  n areas:   chunk c of the segment is chunk c / n of area c % n
 */
#include <errno.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "volume/active.h"
#include "volume/segment.h"

#define SECTOR 512

static const char *const keys[] = { "start_extent", "extent_count", "type", "stripe_count",
				    "stripe_size",  "stripes",      NULL };

/* ---- Metadata ---- */

static int import_area(const struct lvm_segment_reader *from, const struct lvm_config_node *stripes,
		       unsigned number, uint32_t extents, struct volume_area *area)
{
	const struct lvm_config_value *where = &stripes->values[2 * number];

	if (where[0].type != LVM_CONFIG_STRING || where[1].type != LVM_CONFIG_INTEGER)
		return lvm_read_fail(from->reader, stripes,
				     "stripes is no list of pairs of a volume and an extent");
	if (where[1].integer < 0 || where[1].integer > UINT32_MAX)
		return lvm_read_fail(from->reader, stripes, "stripes has extent %lld",
				     (long long)where[1].integer);
	area->extent = (uint32_t)where[1].integer;
	area->pv = lvm_pv_names_find(from->pvs, where[0].string);
	if (!area->pv) {
		area->lv_name = (char *)where[0].string;
		return 0;
	}
	if (!range_within(area->extent, extents, area->pv->extent_count))
		return lvm_read_fail(from->reader, stripes,
				     "extents %u to %llu of %.128s are used, it has %u",
				     area->extent, (unsigned long long)area->extent + extents,
				     area->pv->name, area->pv->extent_count);
	return 0;
}

static int import_counts(const struct lvm_reader *reader, const struct lvm_config_node *section,
			 struct volume_segment *segment)
{
	uint64_t count = 0, size = 0;
	int rc = lvm_read_integer(reader, section, "stripe_count", false, UINT32_MAX, &count);

	if (!rc)
		rc = lvm_read_integer(reader, section, "stripe_size", count <= 1,
				      UINT32_MAX / SECTOR, &size);
	if (rc)
		return rc;
	if (!count)
		return lvm_read_fail(reader, section, "stripe_count of %.60s is 0", section->key);
	if (count > 1 && !size)
		return lvm_read_fail(reader, section, "stripe_size of %.60s is 0", section->key);
	if (segment->extent_count % count)
		return lvm_read_fail(reader, section,
				     "%u extents of %.60s do not divide by %llu stripes",
				     segment->extent_count, section->key,
				     (unsigned long long)count);
	segment->stripe_size = count > 1 ? (uint32_t)size * SECTOR : 0;
	segment->area_count = (unsigned)count;
	return 0;
}

static int striped_import(const struct lvm_segment_reader *from,
			  const struct lvm_config_node *section, struct volume_segment *segment)
{
	const struct lvm_reader *reader = from->reader;
	const struct lvm_config_node *stripes = lvm_config_find(section->child, "stripes");
	int rc = import_counts(reader, section, segment);

	if (!rc)
		rc = lvm_segment_take_flags(from, segment);
	if (rc)
		return rc;
	if (!stripes || !stripes->array || stripes->value_count != 2ull * segment->area_count)
		return lvm_read_fail(reader, section,
				     "stripes of %.60s is missing or not of %u pairs", section->key,
				     segment->area_count);
	segment->areas =
		lvm_config_alloc(reader->memory, segment->area_count * sizeof(*segment->areas));
	if (!segment->areas)
		return -ENOMEM;
	for (unsigned i = 0; !rc && i < segment->area_count; i++)
		rc = import_area(from, stripes, i, lvm_segment_area_extents(segment),
				 &segment->areas[i]);
	if (!rc)
		rc = lvm_read_extra(reader, section, keys, true, &segment->private->extra);
	return rc;
}

static void striped_export(const struct volume_segment *segment, struct lvm_text *text)
{
	lvm_text_add(text, "type = \"striped");
	if (segment->private->flags)
		lvm_text_add(text, segment->private->flags);
	lvm_text_add(text, "\"\n");
	lvm_segment_export_extra(segment, text);
	lvm_text_add(text, "stripe_count = ");
	lvm_text_number(text, segment->area_count);
	if (segment->area_count > 1) {
		lvm_text_add(text, "\nstripe_size = ");
		lvm_text_number(text, segment->stripe_size / SECTOR);
	}
	lvm_text_add(text, "\n\nstripes = [\n");
	for (unsigned i = 0; i < segment->area_count; i++) {
		const struct volume_area *area = &segment->areas[i];

		lvm_text_quote(text, area->pv ? area->pv->name : area->lv_name);
		lvm_text_add(text, ", ");
		lvm_text_number(text, area->extent);
		lvm_text_add(text, i + 1 < segment->area_count ? ",\n" : "\n");
	}
	lvm_text_add(text, "]\n");
}

static void striped_used(const struct volume_segment *segment, struct lvm_pv_names *pvs,
			 lvm_used_fn *use, void *arg)
{
	(void)pvs;
	for (unsigned i = 0; i < segment->area_count; i++)
		if (segment->areas[i].pv)
			use(arg, segment->areas[i].pv, segment->areas[i].extent,
			    lvm_segment_area_extents(segment), false);
}

/* ---- Use ---- */

static int striped_activate(struct lvm_activation *activation, const struct volume_segment *segment,
			    struct error *error)
{
	const struct volume_group *group = activation->group;
	uint64_t extent = group->extent_size;
	uint64_t area_length = lvm_segment_area_extents(segment) * extent;
	int rc = 0;

	/* As dm-stripe wants it (drivers/md/dm-stripe.c). */
	if (segment->stripe_size && area_length % segment->stripe_size)
		return error_set(error, -EOPNOTSUPP,
				 "%s/%s: stripes of %llu bytes do not divide into chunks of %u",
				 group->name, activation->lv->name, (unsigned long long)area_length,
				 segment->stripe_size);
	lv_table_add_segment(activation->table, segment->start_extent * extent,
			     segment->extent_count * extent, segment->stripe_size,
			     segment->area_count);
	for (unsigned i = 0; !rc && i < segment->area_count; i++)
		rc = lv_table_add_area(activation, &segment->areas[i], area_length, error);
	return rc;
}

const struct lvm_segment_type lvm_segment_striped = {
	.name = "striped",
	.attribute = '-',
	.import = striped_import,
	.export = striped_export,
	.used = striped_used,
	.activate = striped_activate,
};
