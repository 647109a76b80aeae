/* SPDX-License-Identifier: BSD-2-Clause */
/* RAID segments: what the metadata say; see segment_raid.h. */
#include "volume/segment_raid.h"

#include <errno.h>
#include <string.h>

#include "raid/dm_raid.h"
#include "util/bytes.h"
#include "volume/active_raid.h"
#include "volume/mirror.h"

#define SECTOR 512

static const char *const raid_keys[] = {
	"start_extent",  "extent_count", "type",        "stripe_count", "device_count",
	"stripe_size",   "region_size",  "data_copies", "raids",        "raid0_lvs",
	"reshape_count", "data_offset",  NULL
};

static const struct lvm_raid_kind kinds[] = {
	{ "raid0", 0, 0, 0, 2 },
	{ "raid0_meta", 0, 0, 0, 2 },
	{ "raid1", 1, 0, 0, 1 },
	{ "raid4", 5, 4, 1, 2 },
	{ "raid5", 5, 2, 1, 2 },
	{ "raid5_ls", 5, 2, 1, 2 },
	{ "raid5_la", 5, 0, 1, 2 },
	{ "raid5_ra", 5, 1, 1, 2 },
	{ "raid5_rs", 5, 3, 1, 2 },
	{ "raid5_n", 5, 5, 1, 2 },
	{ "raid6", 6, 8, 2, 3 },
	{ "raid6_zr", 6, 8, 2, 3 },
	{ "raid6_nr", 6, 9, 2, 3 },
	{ "raid6_nc", 6, 10, 2, 3 },
	{ "raid6_la_6", 6, 16, 2, 3 },
	{ "raid6_ra_6", 6, 17, 2, 3 },
	{ "raid6_ls_6", 6, 18, 2, 3 },
	{ "raid6_rs_6", 6, 19, 2, 3 },
	{ "raid6_n_6", 6, 5, 2, 3 },
	{ "raid10", 10, 0x100, 0, 2 },
	{ "raid10_near", 10, 0x100, 0, 2 },
};

const struct lvm_raid_kind *lvm_raid_kind_find(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	return NULL;
}

unsigned lvm_raid_data_images(const struct lvm_raid *raid, unsigned images)
{
	switch (raid->kind->level) {
	case 1:
		return 1;
	case 10:
		return MAX(images / raid->copies, 1u);
	default:
		return images - raid->kind->parity;
	}
}

static bool image_has(const struct volume_segment *segment, unsigned place, const char *flag)
{
	const struct volume_lv *image = segment->areas[place].lv;
	const char *flags = image && image->segment_count ? image->segments->private->flags : NULL;

	return flags && strstr(flags, flag);
}

bool lvm_raid_is_to_begin(const struct volume_segment *segment)
{
	if (segment->private->raid->begins)
		return true;
	for (unsigned i = 0; i < segment->area_count; i++)
		if (image_has(segment, i, "+RESHAPE_DELTA_DISKS_"))
			return true;
	return false;
}

/* As lvm2 counts it, at raid10 too. */
static uint64_t room_of(const struct lvm_raid *raid, unsigned images)
{
	return (uint64_t)raid->room * (images - raid->kind->parity);
}

uint32_t lvm_raid_extents(const struct volume_segment *segment)
{
	return segment->extent_count -
	       (uint32_t)room_of(segment->private->raid, segment->area_count);
}

bool lvm_raid_removed(const struct volume_segment *segment, unsigned place)
{
	return image_has(segment, place, "+REMOVE_AFTER_RESHAPE") ||
	       image_has(segment, place, "+RESHAPE_DELTA_DISKS_MINUS");
}

bool lvm_raid_added(const struct volume_segment *segment, unsigned place)
{
	return image_has(segment, place, "+RESHAPE_DELTA_DISKS_PLUS");
}

uint32_t lvm_raid_image_extents(const struct lvm_raid *raid, unsigned images, uint32_t extents)
{
	uint64_t all = extents - MIN(extents, room_of(raid, images));
	unsigned divisor = lvm_raid_data_images(raid, images);

	if (raid->kind->level == 10) {
		all *= raid->copies;
		divisor = images;
	}
	return (uint32_t)((all + divisor - 1) / divisor + raid->room);
}

const struct volume_segment *lvm_lv_raid(const struct volume_lv *lv)
{
	return lv->segment_count == 1 && lv->segments->private->type == &lvm_segment_raid
		       ? lv->segments
		       : NULL;
}

/* Parts that are looked at for one: metadata may have volumes on volumes many times over, and then there is no end of ways down. */
#define LOOKS_MAX (1u << 16)

static bool may_survive(const struct volume_segment *segment, unsigned depth, unsigned *looks);

/* Metadata may say that a volume lies on itself. `looks`: that are left; who has none says that nothing is lost. */
static bool part_lost(const struct volume_lv *part, unsigned depth, unsigned *looks)
{
	const struct volume_segment *mirror = lvm_lv_mirror(part);

	if (depth > LVM_STACKED_MAX || !*looks || !part->private->judged || part->private->looped)
		return false;
	--*looks;
	if (mirror)
		return !may_survive(mirror, depth + 1, looks);
	for (unsigned i = 0; i < part->segment_count; i++) {
		const struct volume_segment *segment = &part->segments[i];

		if (!strcmp(segment->type, "error"))
			return true;
		for (unsigned k = 0; k < segment->area_count; k++) {
			const struct volume_area *area = &segment->areas[k];

			if (area->pv ? lvm_area_loss(segment, area) >= LVM_LOSS_CUT
				     : area->lv && part_lost(area->lv, depth + 1, looks))
				return true;
		}
	}
	return false;
}

bool lvm_raid_part_lost(const struct volume_lv *part)
{
	unsigned looks = LOOKS_MAX;

	return part_lost(part, 0, &looks);
}

static bool may_survive(const struct volume_segment *segment, unsigned depth, unsigned *looks)
{
	const struct lvm_mirror *mirror = segment->private->mirror;

	if (segment->areas[0].lv && !part_lost(segment->areas[0].lv, depth, looks))
		return true;
	if (!mirror->log || !segment->areas[mirror->legs].lv ||
	    part_lost(segment->areas[mirror->legs].lv, depth, looks))
		return false;
	for (unsigned i = 1; i < mirror->legs; i++)
		if (segment->areas[i].lv && !part_lost(segment->areas[i].lv, depth, looks))
			return true;
	return false;
}

bool lvm_mirror_may_survive(const struct volume_segment *segment, unsigned depth)
{
	unsigned looks = LOOKS_MAX;

	return may_survive(segment, depth, &looks);
}

static bool place_lost(const struct volume_segment *segment, unsigned place)
{
	return lvm_raid_tracked(&segment->areas[place]) ||
	       lvm_raid_part_lost(segment->areas[place].lv) ||
	       (segment->metas && lvm_raid_part_lost(segment->metas[place].lv));
}

/* Of raid10 as many neighbours as there are copies have the same, where all have their copies so. */
static bool copies_survive(const struct volume_segment *segment, unsigned copies, const bool *gone)
{
	unsigned lost = 0;

	for (unsigned i = 0; i < segment->area_count; i++) {
		lost += (gone && gone[i]) || place_lost(segment, i);
		if (lost >= copies)
			return false;
		if (segment->area_count % copies == 0 && i % copies == copies - 1)
			lost = 0;
	}
	return true;
}

bool lvm_raid_survives(const struct volume_segment *segment)
{
	return lvm_raid_survives_without(segment, NULL);
}

bool lvm_raid_survives_without(const struct volume_segment *segment, const bool *gone)
{
	const struct lvm_raid *raid = segment->private->raid;
	unsigned lost = 0;

	if (raid->kind->level == 10)
		return copies_survive(segment, raid->copies, gone);
	for (unsigned i = 0; i < segment->area_count; i++)
		lost += (gone && gone[i]) || place_lost(segment, i);
	return raid->kind->level == 1 ? lost < segment->area_count : lost <= raid->kind->parity;
}

/* ---- Metadata ---- */

static int import_counts(const struct lvm_reader *reader, const struct lvm_config_node *section,
			 struct volume_segment *segment, struct lvm_raid *raid)
{
	const char *key = raid->kind->level ? "device_count" : "stripe_count";
	uint64_t count = 0, stripe = 0, region = 0, copies = 2;
	int rc = lvm_read_integer(reader, section, key, false, UINT32_MAX, &count);

	if (!rc)
		rc = lvm_read_integer(reader, section, "stripe_size", raid->kind->level == 1,
				      UINT32_MAX / SECTOR, &stripe);
	if (!rc)
		rc = lvm_read_integer(reader, section, "region_size", !raid->kind->level,
				      UINT32_MAX, &region);
	if (!rc && raid->kind->level == 10)
		rc = lvm_read_integer(reader, section, "data_copies", true, DM_RAID_DEVICES,
				      &copies);
	if (rc)
		return rc;
	if (!count || count > DM_RAID_DEVICES || count <= raid->kind->parity)
		return lvm_read_fail(reader, section, "%s of %.60s is %llu, expected %u to %u", key,
				     section->key, (unsigned long long)count,
				     raid->kind->parity + 1, DM_RAID_DEVICES);
	/* So lvm2 writes it when it has reshaped one. */
	if (copies == 1 && segment->private->flags)
		copies = 2;
	if (copies < 2 || (raid->kind->level == 10 && copies > count))
		return lvm_read_fail(reader, section,
				     "data_copies of %.60s is %llu, expected 2 to %llu",
				     section->key, (unsigned long long)copies,
				     (unsigned long long)count);
	if (!stripe && raid->kind->level != 1)
		return lvm_read_fail(reader, section, "stripe_size of %.60s is 0", section->key);
	segment->area_count = (unsigned)count;
	segment->stripe_size = raid->kind->level == 1 ? 0 : (uint32_t)stripe * SECTOR;
	raid->region = region * SECTOR;
	raid->copies = (unsigned)copies;
	return 0;
}

/* In KiB; they stay among what is kept of the text. */
static int import_speed(const struct lvm_reader *reader, const struct lvm_config_node *section,
			struct lvm_raid *raid)
{
	uint64_t least = 0, most = 0;
	int rc = lvm_read_integer(reader, section, "min_recovery_rate", true, UINT32_MAX, &least);

	if (!rc)
		rc = lvm_read_integer(reader, section, "max_recovery_rate", true, UINT32_MAX,
				      &most);
	raid->speed = (struct raid_speed){ least << 10, most << 10 };
	return rc;
}

/* As lvm2 tells them apart. */
static bool is_meta(const struct lvm_config_value *value)
{
	return value->type == LVM_CONFIG_STRING && strstr(value->string, "_rmeta_");
}

/* Pairs of metadata and image; or images alone. */
static int import_parts(const struct lvm_reader *reader, const struct lvm_config_node *section,
			struct volume_segment *segment)
{
	bool bare = !strcmp(segment->type, "raid0");
	const char *key = bare ? "raid0_lvs" : "raids";
	const struct lvm_config_node *list = lvm_config_find(section->child, key);
	unsigned step = bare ? 1 : 2;

	if (!list || !list->array || list->value_count != (size_t)step * segment->area_count)
		return lvm_read_fail(reader, section, "%s of %.60s is missing or not of %u volumes",
				     key, section->key, step * segment->area_count);
	segment->areas =
		lvm_config_alloc(reader->memory, segment->area_count * sizeof(*segment->areas));
	if (!bare)
		segment->metas = lvm_config_alloc(reader->memory,
						  segment->area_count * sizeof(*segment->metas));
	if (!segment->areas || (!bare && !segment->metas))
		return -ENOMEM;
	for (unsigned i = 0; i < segment->area_count; i++) {
		const struct lvm_config_value *value = &list->values[step * i];

		if (!bare) {
			if (!is_meta(value))
				return lvm_read_fail(reader, list,
						     "%s of %.60s: number %u is no volume of "
						     "metadata",
						     key, section->key, step * i + 1);
			segment->metas[i].lv_name = (char *)value->string;
			value++;
		}
		if (value->type != LVM_CONFIG_STRING || is_meta(value))
			return lvm_read_fail(reader, list, "%s of %.60s: place %u has no image",
					     key, section->key, i);
		segment->areas[i].lv_name = (char *)value->string;
	}
	return 0;
}

/* lvm2 keeps 0 for a volume without. What is to begin is 0 where data are to be taken as beginning there. */
static int import_room(const struct lvm_reader *reader, const struct lvm_config_node *section,
		       const struct volume_segment *segment, struct lvm_raid *raid)
{
	uint64_t room = 0, offset = 0;
	int rc = lvm_read_integer(reader, section, "reshape_count", true, UINT32_MAX, &room);

	if (!rc)
		rc = lvm_read_integer(reader, section, "data_offset", true, UINT32_MAX, &offset);
	if (rc)
		return rc;
	raid->room = (uint32_t)room;
	raid->begins = lvm_config_find(section->child, "data_offset");
	raid->begins_at = offset * SECTOR;
	if (room &&
	    (raid->kind->level < 4 || room_of(raid, segment->area_count) >= segment->extent_count))
		return lvm_read_fail(
			reader, section,
			"reshape_count of %.60s is %llu, expected less than its %u extents "
			"for %u images",
			section->key, (unsigned long long)room, segment->extent_count,
			segment->area_count);
	return 0;
}

static int raid_import(const struct lvm_segment_reader *from, const struct lvm_config_node *section,
		       struct volume_segment *segment)
{
	const struct lvm_reader *reader = from->reader;
	struct lvm_raid *raid;
	int rc;

	rc = lvm_segment_take_flags(from, segment);
	if (rc)
		return rc;
	raid = lvm_config_alloc(reader->memory, sizeof(*raid));
	if (!raid)
		return -ENOMEM;
	raid->kind = lvm_raid_kind_find(segment->type);
	segment->private->raid = raid;
	rc = import_counts(reader, section, segment, raid);
	if (!rc)
		rc = import_speed(reader, section, raid);
	if (!rc)
		rc = import_room(reader, section, segment, raid);
	if (!rc)
		rc = import_parts(reader, section, segment);
	return rc ? rc : lvm_read_extra(reader, section, raid_keys, true, &segment->private->extra);
}

static void put_parts(const struct volume_segment *segment, struct lvm_text *text)
{
	lvm_text_print(text, "\n%s = [\n", segment->metas ? "raids" : "raid0_lvs");
	for (unsigned i = 0; i < segment->area_count; i++) {
		if (segment->metas) {
			lvm_text_quote(text, segment->metas[i].lv_name);
			lvm_text_print(text, ", ");
		}
		lvm_text_quote(text, segment->areas[i].lv_name);
		lvm_text_print(text, "%s\n", i + 1 < segment->area_count ? "," : "");
	}
	lvm_text_print(text, "]\n");
}

static void raid_export(const struct volume_segment *segment, struct lvm_text *text)
{
	const struct lvm_raid *raid = segment->private->raid;

	if (raid->room)
		lvm_text_print(text, "reshape_count = %u\n", raid->room);
	lvm_text_print(text, "type = \"%s%s\"\n%s = %u\n", segment->type,
		       segment->private->flags ? segment->private->flags : "",
		       raid->kind->level ? "device_count" : "stripe_count", segment->area_count);
	if (raid->kind->level == 10)
		lvm_text_print(text, "data_copies = %u\n", raid->copies);
	if (raid->region)
		lvm_text_print(text, "region_size = %llu\n",
			       (unsigned long long)raid->region / SECTOR);
	if (segment->stripe_size)
		lvm_text_print(text, "stripe_size = %u\n", segment->stripe_size / SECTOR);
	lvm_segment_export_extra(segment, text);
	if (raid->begins)
		lvm_text_print(text, "data_offset = %llu\n",
			       (unsigned long long)raid->begins_at / SECTOR);
	put_parts(segment, text);
}

/* They lie on PVs themselves. */
static void raid_used(const struct volume_segment *segment, struct lvm_pv_names *pvs,
		      lvm_used_fn *use, void *arg)
{
	(void)segment;
	(void)pvs;
	(void)use;
	(void)arg;
}

static uint32_t raid_area_extents(const struct volume_segment *segment)
{
	return lvm_raid_image_extents(segment->private->raid, segment->area_count,
				      segment->extent_count);
}

const struct lvm_segment_type lvm_segment_raid = {
	.name = "raid",
	.attribute = 'r',
	.redundant = true,
	.import = raid_import,
	.export = raid_export,
	.used = raid_used,
	.area_extents = raid_area_extents,
	.activate = lvm_raid_activate,
};
