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
#include "volume/mirror.h"
#include "volume/move.h"
#include "volume/segment_raid.h"

/* ---- Segments ---- */

static int import_segment(const struct lvm_reader *reader, const struct lvm_config_node *section,
			  struct lvm_pv_names *names, struct volume_segment *segment)
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
	segment->private->type = lvm_segment_type_find(type);
	return segment->private->type->import(&(struct lvm_segment_reader){ reader, names },
					      section, segment);
}

static int compare_segments(const void *a, const void *b)
{
	const struct volume_segment *x = a, *y = b;

	return (x->start_extent > y->start_extent) - (x->start_extent < y->start_extent);
}

static int import_segments(const struct lvm_reader *reader, const struct lvm_config_node *section,
			   struct lvm_pv_names *names, struct volume_lv *lv)
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
	if (count > 1)
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
static const char *const lv_status_known[] = { "READ",      "WRITE",   "VISIBLE",    "FIXED_MINOR",
					       "NOTSYNCED", "REBUILD", "WRITEMOSTLY" };

/* A pvmove, and what lies on one, are LOCKED; else that is something of lvm2's that nobody here knows. */
static bool moves(const struct volume_lv *lv)
{
	if (lvm_lv_is_move(lv))
		return true;
	for (unsigned i = 0; i < lv->segment_count; i++)
		for (unsigned k = 0; k < lv->segments[i].area_count; k++)
			if (lv->segments[i].areas[k].lv &&
			    lvm_lv_is_move(lv->segments[i].areas[k].lv))
				return true;
	return false;
}

static bool status_known(const struct volume_lv *lv)
{
	const struct lvm_strings *status = &lv->private->status;
	bool moving = moves(lv);

	for (unsigned i = 0; i < status->count; i++) {
		bool known = false;

		for (unsigned k = 0; k < ARRAY_SIZE(lv_status_known); k++)
			known |= !strcmp(lv_status_known[k], status->at[i]);
		known |= moving &&
			 (!strcmp(status->at[i], "LOCKED") || !strcmp(status->at[i], "PVMOVE"));
		if (!known)
			return false;
	}
	return true;
}

static bool judge(struct volume_lv *lv, unsigned depth);

static bool area_supported(const struct volume_segment *segment, const struct volume_area *area,
			   unsigned depth)
{
	if (area->pv)
		return true;
	return area->lv &&
	       range_within(area->extent, lvm_segment_area_extents(segment),
			    area->lv->extent_count) &&
	       judge(area->lv, depth + 1);
}

/* A part of an array may be lost, which is known when it is opened. */
static bool part_supported(const struct volume_area *area, uint32_t extents, unsigned depth)
{
	if (!area->lv || area->lv->extent_count < extents || depth >= LVM_STACKED_MAX)
		return false;
	return judge(area->lv, depth + 1) ||
	       (!area->lv->private->looped && lvm_raid_part_lost(area->lv));
}

/* Whether no part is there twice. */
static bool parts_differ(const struct volume_segment *segment)
{
	unsigned count = segment->area_count;

	for (unsigned i = 0; i < count; i++)
		for (unsigned k = 0; k < count; k++) {
			const struct volume_lv *part = segment->areas[i].lv;

			if ((i != k && part == segment->areas[k].lv) ||
			    (segment->metas && part == segment->metas[k].lv) ||
			    (segment->metas && i != k &&
			     segment->metas[i].lv == segment->metas[k].lv))
				return false;
		}
	return true;
}

static bool raid_supported(const struct volume_lv *lv, unsigned depth)
{
	const struct volume_segment *segment = lvm_lv_raid(lv);

	for (unsigned k = 0; segment && k < segment->area_count; k++)
		if (!part_supported(&segment->areas[k], lvm_segment_area_extents(segment), depth) ||
		    (segment->metas && !part_supported(&segment->metas[k], 1, depth)))
			return false;
	return segment && parts_differ(segment);
}

/* A leg or a log that is lost: the same. */
static bool mirror_supported(const struct volume_lv *lv, unsigned depth)
{
	const struct volume_segment *segment = lvm_lv_mirror(lv);

	for (unsigned k = 0; segment && k < segment->area_count; k++) {
		bool log = k == segment->private->mirror->legs;

		if (!part_supported(&segment->areas[k], log ? 1 : segment->extent_count, depth))
			return false;
	}
	return segment && parts_differ(segment);
}

static bool segments_supported(const struct volume_lv *lv, unsigned depth)
{
	for (unsigned i = 0; i < lv->segment_count; i++) {
		const struct volume_segment *segment = &lv->segments[i];

		if (!segment->private->type->activate ||
		    (lvm_segment_is_move(segment) && !lvm_lv_is_move(lv)))
			return false;
		if (segment->private->type->redundant)
			return segment->private->raid ? raid_supported(lv, depth)
						      : mirror_supported(lv, depth);
		for (unsigned k = 0; k < segment->area_count; k++)
			if (!area_supported(segment, &segment->areas[k], depth))
				return false;
	}
	return true;
}

static bool lies_on_looped(const struct volume_lv *lv)
{
	for (unsigned i = 0; i < lv->segment_count; i++)
		for (unsigned k = 0; k < lv->segments[i].area_count; k++) {
			const struct volume_lv *area = lv->segments[i].areas[k].lv;
			const struct volume_area *metas = lv->segments[i].metas;

			if ((area && area->private->looped) ||
			    (metas && metas[k].lv && metas[k].lv->private->looped))
				return true;
		}
	return false;
}

/* Whether a volume can be opened, with all that it lies on. One that lies on itself cannot, nor one that is too deep in
 * others. */
static bool judge(struct volume_lv *lv, unsigned depth)
{
	struct volume_lv_private *private = lv->private;

	if (private->judged)
		return lv->supported;
	private->looped |= private->judging;
	if (private->judging || depth > LVM_STACKED_MAX)
		return false;
	if (private->plain) {
		lv->supported = !private->shown_type;
		private->judged = true;
		return lv->supported;
	}
	private->judging = true;
	lv->supported = !private->shown_type && status_known(lv) && segments_supported(lv, depth);
	private->looped |= lies_on_looped(lv);
	private->judging = false;
	private->judged = true;
	return lv->supported;
}

static void link_lv(struct volume_group *group, const struct volume_lv *lv)
{
	for (unsigned i = 0; i < lv->segment_count; i++)
		for (unsigned k = 0; k < lv->segments[i].area_count; k++) {
			struct volume_area *area = &lv->segments[i].areas[k];

			if (area->lv_name)
				area->lv = volume_group_get_lv(group, area->lv_name);
			if (lv->segments[i].metas)
				lv->segments[i].metas[k].lv = volume_group_get_lv(
					group, lv->segments[i].metas[k].lv_name);
		}
}

void lvm_vg_link_areas(struct volume_group *group)
{
	for (unsigned i = 0; i < group->lv_count; i++)
		link_lv(group, group->lvs[i]);
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

/* lvm2 (format_text/import_vsn1.c) reads no volume that is to have a device number and has none; "major" may be missing, or be anything. */
static int import_minor(const struct lvm_reader *reader, const struct lvm_config_node *section,
			const struct volume_lv_private *private)
{
	uint64_t minor;

	return lvm_strings_contain(&private->status, "FIXED_MINOR")
		       ? lvm_read_integer(reader, section, "minor", false, INT64_MAX, &minor)
		       : 0;
}

static int import_lv(const struct lvm_reader *reader, const struct lvm_config_node *section,
		     const struct volume_group *group, struct lvm_pv_names *names,
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
		rc = import_minor(reader, section, private);
	if (!rc)
		rc = import_creation(reader, section, lv);
	if (!rc)
		rc = import_segments(reader, section, names, lv);
	if (!rc)
		rc = lvm_read_extra(reader, section, lv_keys, false, &private->extra);
	if (rc)
		return rc;
	if (__builtin_mul_overflow((uint64_t)lv->extent_count, group->extent_size, &lv->size) ||
	    lv->size > (uint64_t)INT64_MAX)
		return lvm_read_fail(reader, section, "%.128s is larger than 2^63 bytes", lv->name);
	if (lvm_lv_raid(lv))
		lv->size = lvm_raid_extents(lv->segments) * group->extent_size;
	lv->tags = (char **)tags.at;
	lv->tag_count = tags.count;
	lv->visible = lvm_strings_contain(&private->status, "VISIBLE");
	lv->writable = lvm_strings_contain(&private->status, "WRITE") ||
		       lvm_strings_contain(&private->flags, "WRITE_LOCKED");
	lv->activation_skip = lvm_strings_contain(&private->flags, "ACTIVATION_SKIP");
	lv->no_autoactivate = lvm_strings_contain(&private->flags, "NOAUTOACTIVATE");
	return 0;
}

static int say_same(const struct lvm_reader *reader, const struct lvm_config_node *section,
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

int lvm_lvs_begin(struct lvm_lvs *lvs, struct volume_group *group, const char *name,
		  struct error *error)
{
	*lvs = (struct lvm_lvs){
		.group = group,
		.reader = { .memory = &group->private->memory, .name = name, .error = error }
	};
	return lvm_pv_names_init(&lvs->names, group);
}

struct volume_lv *lvm_lvs_room(struct lvm_lvs *lvs)
{
	if (lvs->count == lvs->capacity) {
		unsigned capacity = lvs->capacity ? 2 * lvs->capacity : 64;
		struct volume_lv **grown = realloc(lvs->at, capacity * sizeof(*grown));

		if (!grown)
			return NULL;
		lvs->at = grown;
		lvs->capacity = capacity;
	}
	return lvm_lv_new_in(&lvs->row);
}

int lvm_lvs_add(struct lvm_lvs *lvs, const struct lvm_config_node *section)
{
	struct volume_lv *lv;
	int rc;

	if (!section->section)
		return lvm_read_fail(&lvs->reader, section,
				     "%.128s of logical_volumes is no section", section->key);
	lv = lvm_lvs_room(lvs);
	if (!lv)
		return -ENOMEM;
	rc = import_lv(&lvs->reader, section, lvs->group, &lvs->names, lv);
	if (rc)
		lvm_lv_free(lv);
	else
		lvs->at[lvs->count++] = lv;
	return rc;
}

int lvm_lvs_end(struct lvm_lvs *lvs, const struct lvm_config_node *section)
{
	struct volume_group *group = lvs->group;
	size_t size = lvs->count * sizeof(*group->lvs);
	int rc;

	group->lvs = lvm_config_alloc(lvs->reader.memory, size + 1);
	if (!group->lvs)
		return -ENOMEM;
	if (size)
		memcpy(group->lvs, lvs->at, size);
	group->lv_count = lvs->count;
	lvs->count = 0;
	rc = lvm_index_build_distinct(group);
	if (rc)
		return rc == -EEXIST ? say_same(&lvs->reader, section, group) : rc;
	lvm_vg_mark_kept(group);
	lvm_vg_link_areas(group);
	for (unsigned i = 0; i < group->lv_count; i++)
		judge(group->lvs[i], 0);
	return 0;
}

void lvm_lvs_free(struct lvm_lvs *lvs)
{
	for (unsigned i = 0; i < lvs->count; i++)
		lvm_lv_free(lvs->at[i]);
	lvm_lv_row_end(lvs->row);
	free(lvs->at);
	lvm_pv_names_free(&lvs->names);
}
