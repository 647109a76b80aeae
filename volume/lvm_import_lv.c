/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Metadata tree -> volume group: logical volumes and their segments, and which extents they take.
 * Segments must follow each other without gap, lie on extents that exist, and never share one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "volume/lvm_vg.h"

#define SECTOR 512

bool lvm_segment_type_known(const char *type)
{
	return !strcmp(type, "striped") || !strcmp(type, "linear");
}

uint32_t lvm_segment_area_extents(const struct volume_segment *segment)
{
	return segment->area_count ? segment->extent_count / segment->area_count : 0;
}

/* ---- Segments ---- */

static const char *const striped_keys[] = { "start_extent", "extent_count", "type", "stripe_count",
					    "stripe_size",  "stripes",      NULL };

static int import_area(const struct lvm_reader *reader, const struct lvm_config_node *stripes,
		       unsigned number, const struct lvm_pv_names *names, uint32_t extents,
		       struct volume_area *area)
{
	const struct lvm_config_value *where = &stripes->values[2 * number];

	if (where[0].type != LVM_CONFIG_STRING || where[1].type != LVM_CONFIG_INTEGER)
		return lvm_read_fail(reader, stripes,
				     "stripes is no list of pairs of a volume and an extent");
	if (where[1].integer < 0 || where[1].integer > UINT32_MAX)
		return lvm_read_fail(reader, stripes, "stripes has extent %lld",
				     (long long)where[1].integer);
	area->extent = (uint32_t)where[1].integer;
	area->pv = lvm_pv_names_find(names, where[0].string);
	if (!area->pv) {
		area->lv_name = (char *)where[0].string;
		return 0;
	}
	if (!range_within(area->extent, extents, area->pv->extent_count))
		return lvm_read_fail(reader, stripes,
				     "extents %u to %llu of %.128s are used, it has %u",
				     area->extent, (unsigned long long)area->extent + extents,
				     area->pv->name, area->pv->extent_count);
	return 0;
}

static int import_striped(const struct lvm_reader *reader, const struct lvm_config_node *section,
			  const struct lvm_pv_names *names, struct volume_segment *segment)
{
	const struct lvm_config_node *stripes = lvm_config_find(section->child, "stripes");
	uint64_t count = 0, size = 0;
	int rc;

	rc = lvm_read_integer(reader, section, "stripe_count", false, UINT32_MAX, &count);
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
	if (!stripes || !stripes->array || stripes->value_count != 2 * count)
		return lvm_read_fail(reader, section,
				     "stripes of %.60s is missing or not of %llu pairs",
				     section->key, (unsigned long long)count);
	segment->stripe_size = count > 1 ? (uint32_t)size * SECTOR : 0;
	segment->area_count = (unsigned)count;
	segment->areas = lvm_config_alloc(reader->memory, count * sizeof(*segment->areas));
	if (!segment->areas)
		return -ENOMEM;
	for (unsigned i = 0; !rc && i < count; i++)
		rc = import_area(reader, stripes, i, names, lvm_segment_area_extents(segment),
				 &segment->areas[i]);
	if (!rc)
		rc = lvm_read_extra(reader, section, striped_keys, &segment->private->extra);
	return rc;
}

static int import_segment(const struct lvm_reader *reader, const struct lvm_config_node *section,
			  const struct lvm_pv_names *names, struct volume_segment *segment)
{
	uint64_t start = 0, count = 0;
	const char *type = "striped";
	int rc;

	segment->private = lvm_config_alloc(reader->memory, sizeof(*segment->private));
	if (!segment->private)
		return -ENOMEM;
	rc = lvm_read_integer(reader, section, "start_extent", false, UINT32_MAX, &start);
	if (!rc)
		rc = lvm_read_integer(reader, section, "extent_count", false, UINT32_MAX, &count);
	if (!rc)
		rc = lvm_read_string(reader, section, "type", true, &type);
	if (rc)
		return rc;
	if (!count || start + count > UINT32_MAX)
		return lvm_read_fail(reader, section, "%.60s has %llu extents from %llu",
				     section->key, (unsigned long long)count,
				     (unsigned long long)start);
	segment->start_extent = (uint32_t)start;
	segment->extent_count = (uint32_t)count;
	segment->type = (char *)type;
	if (lvm_segment_type_known(type))
		return import_striped(reader, section, names, segment);
	segment->private->node = section;
	return 0;
}

static int compare_segments(const void *a, const void *b)
{
	const struct volume_segment *x = a, *y = b;

	return (x->start_extent > y->start_extent) - (x->start_extent < y->start_extent);
}

static int import_segments(const struct lvm_reader *reader, const struct lvm_config_node *section,
			   const struct lvm_pv_names *names, struct volume_lv *lv)
{
	uint64_t expected = 0;
	unsigned count = 0;
	int rc;

	for (const struct lvm_config_node *node = section->child; node; node = node->next)
		count += node->section;
	rc = lvm_read_integer(reader, section, "segment_count", false, UINT32_MAX, &expected);
	if (rc)
		return rc;
	if (expected != count || !count)
		return lvm_read_fail(reader, section, "segment_count of %.128s is %llu, it has %u",
				     lv->name, (unsigned long long)expected, count);
	lv->segments = lvm_config_alloc(reader->memory, count * sizeof(*lv->segments));
	if (!lv->segments)
		return -ENOMEM;
	for (const struct lvm_config_node *node = section->child; node; node = node->next) {
		if (!node->section)
			continue;
		rc = import_segment(reader, node, names, &lv->segments[lv->segment_count++]);
		if (rc)
			return rc;
	}
	qsort(lv->segments, count, sizeof(*lv->segments), compare_segments);
	for (unsigned i = 0; i < count; i++) {
		if (lv->segments[i].start_extent != lv->extent_count)
			return lvm_read_fail(reader, section,
					     "a segment of %.128s begins at extent %u, expected %u",
					     lv->name, lv->segments[i].start_extent,
					     lv->extent_count);
		if (__builtin_add_overflow(lv->extent_count, lv->segments[i].extent_count,
					   &lv->extent_count))
			return lvm_read_fail(reader, section, "%.128s has more than 2^32 extents",
					     lv->name);
	}
	return 0;
}

/* ---- Volumes ---- */

static const char *const lv_keys[] = {
	"id", "status", "flags", "tags", "creation_time", "creation_host", "segment_count", NULL
};

/* Status flags with which a volume is what its segments say. Others mean that it is half way through
 * something (LOCKED, PVMOVE, ...), or of a newer lvm2. */
static const char *const lv_status_known[] = { "READ", "WRITE", "VISIBLE", "FIXED_MINOR" };

static bool supported(const struct volume_lv *lv)
{
	const struct lvm_strings *status = &lv->private->status;

	for (unsigned i = 0; i < status->count; i++) {
		bool known = false;

		for (unsigned k = 0; k < ARRAY_SIZE(lv_status_known); k++)
			known |= !strcmp(lv_status_known[k], status->at[i]);
		if (!known)
			return false;
	}
	for (unsigned i = 0; i < lv->segment_count; i++) {
		if (!lvm_segment_type_known(lv->segments[i].type))
			return false;
		for (unsigned k = 0; k < lv->segments[i].area_count; k++)
			if (!lv->segments[i].areas[k].pv)
				return false;
	}
	return true;
}

static int import_creation(const struct lvm_reader *reader, const struct lvm_config_node *section,
			   struct volume_lv *lv)
{
	bool has_time = lvm_config_find(section->child, "creation_time");
	bool has_host = lvm_config_find(section->child, "creation_host");
	uint64_t time = 0;
	int rc;

	if (has_time != has_host)
		return lvm_read_fail(reader, section,
				     "%.128s has one of creation_time and creation_host without "
				     "the other",
				     lv->name);
	rc = lvm_read_integer(reader, section, "creation_time", true, INT64_MAX, &time);
	if (!rc)
		rc = lvm_read_string(reader, section, "creation_host", true,
				     (const char **)&lv->creation_host);
	lv->creation_time = (int64_t)time;
	return rc;
}

/* What is left of a section without its segments. */
static int import_lv_extra(const struct lvm_reader *reader, const struct lvm_config_node *section,
			   struct volume_lv *lv)
{
	struct lvm_config_node **link = &lv->private->extra;
	int rc = lvm_read_extra(reader, section, lv_keys, link);

	while (!rc && *link) {
		if ((*link)->section)
			*link = (*link)->next;
		else
			link = &(*link)->next;
	}
	return rc;
}

static int import_lv(const struct lvm_reader *reader, const struct lvm_config_node *section,
		     const struct volume_group *group, const struct lvm_pv_names *names,
		     struct volume_lv *lv)
{
	struct volume_lv_private *private = lv->private;
	struct lvm_strings tags;
	struct error bad_name;
	int rc;

	lv->name = (char *)section->key;
	/* Internal volumes have the names that are reserved for them. */
	if (lvm_name_check("logical volume", lv->name, &bad_name))
		return lvm_read_fail(reader, section, "%s", bad_name.text);
	rc = lvm_read_uuid(reader, section, lv->uuid);
	if (!rc)
		rc = lvm_read_flags(reader, section, &private->status, &private->flags, &tags);
	if (!rc)
		rc = import_creation(reader, section, lv);
	if (!rc)
		rc = import_segments(reader, section, names, lv);
	if (!rc)
		rc = import_lv_extra(reader, section, lv);
	if (rc)
		return rc;
	if (__builtin_mul_overflow((uint64_t)lv->extent_count, group->extent_size, &lv->size) ||
	    lv->size > (uint64_t)INT64_MAX)
		return lvm_read_fail(reader, section, "%.128s is larger than 2^63 bytes", lv->name);
	lv->tags = (char **)tags.at;
	lv->tag_count = tags.count;
	lv->visible = lvm_strings_contain(&private->status, "VISIBLE");
	lv->writable = lvm_strings_contain(&private->status, "WRITE") ||
		       lvm_strings_contain(&private->flags, "WRITE_LOCKED");
	lv->activation_skip = lvm_strings_contain(&private->flags, "ACTIVATION_SKIP");
	lv->no_autoactivate = lvm_strings_contain(&private->flags, "NOAUTOACTIVATE");
	lv->supported = supported(lv);
	return 0;
}

static int check_lvs_unique(const struct lvm_reader *reader, const struct lvm_config_node *section,
			    const struct volume_group *group)
{
	CLEANUP_FREE const char **texts = calloc(group->lv_count + 1, sizeof(const char *));
	int rc;

	if (!texts)
		return -ENOMEM;
	for (unsigned i = 0; i < group->lv_count; i++)
		texts[i] = group->lvs[i]->name;
	rc = lvm_read_unique(reader, section, "LVs are named", texts, group->lv_count);
	for (unsigned i = 0; i < group->lv_count; i++)
		texts[i] = group->lvs[i]->uuid;
	return rc ? rc
		  : lvm_read_unique(reader, section, "LVs have the id", texts, group->lv_count);
}

int lvm_vg_import_lvs(struct volume_group *group, struct lvm_config_node *section, const char *name,
		      struct error *error)
{
	struct lvm_reader reader = { .memory = &group->private->memory,
				     .name = name,
				     .error = error };
	struct lvm_pv_names names;
	unsigned count = 0;
	int rc;

	for (const struct lvm_config_node *node = section->child; node; node = node->next)
		count++;
	group->lvs = lvm_config_alloc(reader.memory, (count + 1) * sizeof(*group->lvs));
	if (!group->lvs || lvm_pv_names_init(&names, group))
		return -ENOMEM;
	rc = 0;
	for (const struct lvm_config_node *node = section->child; !rc && node; node = node->next) {
		struct volume_lv *lv = lvm_config_alloc(reader.memory, sizeof(*lv));

		if (lv)
			lv->private = lvm_config_alloc(reader.memory, sizeof(*lv->private));
		if (!lv || !lv->private)
			rc = -ENOMEM;
		else if (!node->section)
			rc = lvm_read_fail(&reader, node, "%.128s of logical_volumes is no section",
					   node->key);
		else
			rc = import_lv(&reader, node, group, &names, lv);
		if (!rc)
			group->lvs[group->lv_count++] = lv;
	}
	lvm_pv_names_free(&names);
	if (!rc)
		rc = check_lvs_unique(&reader, section, group);
	if (!rc)
		lvm_vg_mark_snapshots(group);
	return rc;
}
