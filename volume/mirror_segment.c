/* SPDX-License-Identifier: BSD-2-Clause */
/* Mirror segments: what the metadata say; see mirror.h. */
#include <errno.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "volume/mirror.h"
#include "volume/segment_raid.h"

#define SECTOR 512u

static const char *const mirror_keys[] = { "start_extent", "extent_count",
					   "type",         "mirror_count",
					   "mirror_log",   "region_size",
					   "mirrors",      NULL };

const struct volume_segment *lvm_lv_mirror(const struct volume_lv *lv)
{
	return lv->segment_count == 1 && lv->segments->private->type == &lvm_segment_mirror
		       ? lv->segments
		       : NULL;
}

/* ---- Metadata ---- */

static const struct lvm_segment_type kept_mirror = { .name = "mirror",
						     .attribute = 'm',
						     .import = lvm_kept_import,
						     .export = lvm_kept_export,
						     .used = lvm_kept_used };

static uint64_t number_at(const struct lvm_config_node *section, const char *key)
{
	const struct lvm_config_node *node = lvm_config_find(section->child, key);

	return node && node->value_count == 1 && node->values->type == LVM_CONFIG_INTEGER &&
			       node->values->integer > 0
		       ? (uint64_t)node->values->integer
		       : 0;
}

/* What LVM2 reads and dm-mirror does not run, or this does not: such a volume is listed, and its group is usable. Legs on PVs
 * themselves, which lvm2 has not made for long, and types with a flag; regions of no size, or of none that there is. */
static bool is_kept(const struct lvm_segment_reader *from, const struct lvm_config_node *section,
		    const struct lvm_config_node *mirrors, const struct volume_segment *segment)
{
	uint64_t region = number_at(section, "region_size");

	if (strcmp(segment->type, "mirror") != 0 ||
	    number_at(section, "mirror_count") > LVM_MIRROR_LEGS || !is_power_of_two(region) ||
	    region < 8 || region > UINT32_MAX)
		return true;
	for (size_t i = 0; mirrors && i < mirrors->value_count; i++)
		if (mirrors->values[i].type == LVM_CONFIG_STRING &&
		    lvm_pv_names_find(from->pvs, mirrors->values[i].string))
			return true;
	return false;
}

static int import_legs(const struct lvm_reader *reader, const struct lvm_config_node *mirrors,
		       unsigned legs, struct volume_segment *segment)
{
	for (unsigned i = 0; i < legs; i++) {
		const struct lvm_config_value *where = &mirrors->values[2ul * i];

		if (where[0].type != LVM_CONFIG_STRING || where[1].type != LVM_CONFIG_INTEGER ||
		    where[1].integer != 0)
			return lvm_read_fail(reader, mirrors,
					     "mirrors is no list of pairs of a volume and 0");
		segment->areas[i].lv_name = (char *)where[0].string;
	}
	return 0;
}

static int mirror_import(const struct lvm_segment_reader *from,
			 const struct lvm_config_node *section, struct volume_segment *segment)
{
	const struct lvm_reader *reader = from->reader;
	const struct lvm_config_node *mirrors = lvm_config_find(section->child, "mirrors");
	uint64_t count = 0, region = 0;
	const char *log = NULL;
	struct lvm_mirror *mirror;
	int rc;

	if (is_kept(from, section, mirrors, segment)) {
		segment->private->type = &kept_mirror;
		return lvm_kept_import(from, section, segment);
	}
	mirror = lvm_config_alloc(reader->memory, sizeof(*mirror));
	rc = mirror ? lvm_read_integer(reader, section, "mirror_count", false, LVM_MIRROR_LEGS,
				       &count)
		    : -ENOMEM;
	if (!rc)
		rc = lvm_read_integer(reader, section, "region_size", false, UINT32_MAX, &region);
	if (!rc)
		rc = lvm_read_string(reader, section, "mirror_log", true, &log);
	if (rc)
		return rc;
	if (!count || !mirrors || !mirrors->array || mirrors->value_count != 2 * count)
		return lvm_read_fail(reader, section, "mirrors of %.60s is not of %llu pairs",
				     section->key, (unsigned long long)count);
	*mirror = (struct lvm_mirror){ .legs = (unsigned)count,
				       .region = region * SECTOR,
				       .log = log };
	segment->private->mirror = mirror;
	segment->area_count = mirror->legs + mirror->log;
	segment->areas =
		lvm_config_alloc(reader->memory, segment->area_count * sizeof(*segment->areas));
	if (!segment->areas)
		return -ENOMEM;
	if (log)
		segment->areas[mirror->legs].lv_name = (char *)log;
	rc = import_legs(reader, mirrors, mirror->legs, segment);
	return rc ? rc
		  : lvm_read_extra(reader, section, mirror_keys, true, &segment->private->extra);
}

static void mirror_export(const struct volume_segment *segment, struct lvm_text *text)
{
	const struct lvm_mirror *mirror = segment->private->mirror;

	lvm_text_print(text, "type = \"mirror\"\nmirror_count = %u\n", mirror->legs);
	if (mirror->log) {
		lvm_text_print(text, "mirror_log = ");
		lvm_text_quote(text, segment->areas[mirror->legs].lv_name);
		lvm_text_print(text, "\n");
	}
	lvm_text_print(text, "region_size = %llu\n", (unsigned long long)mirror->region / SECTOR);
	lvm_segment_export_extra(segment, text);
	lvm_text_print(text, "\nmirrors = [\n");
	for (unsigned i = 0; i < mirror->legs; i++) {
		lvm_text_quote(text, segment->areas[i].lv_name);
		lvm_text_print(text, ", 0%s\n", i + 1 < mirror->legs ? "," : "");
	}
	lvm_text_print(text, "]\n");
}

/* The parts lie on PVs themselves. */
static void mirror_used(const struct volume_segment *segment, struct lvm_pv_names *pvs,
			lvm_used_fn *use, void *arg)
{
	(void)segment;
	(void)pvs;
	(void)use;
	(void)arg;
}

static uint32_t mirror_area_extents(const struct volume_segment *segment)
{
	return segment->extent_count;
}

const struct lvm_segment_type lvm_segment_mirror = {
	.name = "mirror",
	.attribute = 'm',
	.redundant = true,
	.import = mirror_import,
	.export = mirror_export,
	.used = mirror_used,
	.area_extents = mirror_area_extents,
	.activate = lvm_mirror_activate,
};
