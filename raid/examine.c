/* SPDX-License-Identifier: BSD-2-Clause */
/* What is on one device, for people: each fact that mdadm --examine has. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "block/block.h"
#include "block/signature.h"
#include "raid/dm_raid.h"
#include "raid/geometry.h"
#include "raid/md_badblocks.h"
#include "raid/md_bitmap.h"
#include "raid/md_superblock.h"
#include "raid/raid.h"
#include "raid/raid5_geometry.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/size.h"

struct report {
	raid_field_fn *field;
	void *arg;
};

static void put_text(const struct report *report, const char *key, const char *label,
		     const char *format, ...) __attribute__((format(printf, 4, 5)));

static void put_text(const struct report *report, const char *key, const char *label,
		     const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	report->field(&(struct raid_field){ .key = key, .label = label, .text = text },
		      report->arg);
}

static void put_number(const struct report *report, const char *key, const char *label,
		       uint64_t number, const char *unit)
{
	char text[64];

	snprintf(text, sizeof(text), "%llu%s%s", (unsigned long long)number, *unit ? " " : "",
		 unit);
	report->field(&(struct raid_field){ .key = key,
					    .label = label,
					    .text = text,
					    .is_number = true,
					    .number = number },
		      report->arg);
}

static void put_size(const struct report *report, const char *key, const char *label,
		     uint64_t sectors)
{
	char text[64], size[SIZE_TEXT];
	uint64_t bytes = sectors << MD_SECTOR_SHIFT;

	snprintf(text, sizeof(text), "%llu sectors (%s)", (unsigned long long)sectors,
		 size_format(bytes, size));
	report->field(&(struct raid_field){ .key = key,
					    .label = label,
					    .text = text,
					    .is_number = true,
					    .number = bytes },
		      report->arg);
}

static void put_time(const struct report *report, const char *key, const char *label,
		     uint64_t seconds)
{
	time_t time = (time_t)seconds;
	char text[64] = "?";
	struct tm tm;

	if (gmtime_r(&time, &tm))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	put_text(report, key, label, "%s", text);
}

static void put_uuid(const struct report *report, const char *key, const char *label,
		     const uint8_t uuid[16])
{
	char text[RAID_UUID_TEXT];

	put_text(report, key, label, "%s", raid_uuid_format(uuid, text));
}

static void put_features(const struct report *report, const struct md_superblock *sb)
{
	static const char *const names[] = {
		"bitmap",       "recovery-offset",   "reshape",    "bad-blocks",
		"replacement",  "reshape-backwards", "new-offset", "recovery-bitmap",
		"clustered",    "journal",           "ppl",        "multiple-ppls",
		"raid0-layout",
	};
	char text[256];
	int length = snprintf(text, sizeof(text), "0x%x", sb->features);

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		if (sb->features & (1u << i))
			length += snprintf(text + length, sizeof(text) - (size_t)length, " %s",
					   names[i]);
	}
	put_text(report, "features", "Feature Map", "%s", text);
}

/* What it has once data have been moved, as md or we say it. */
static int final_level(const struct md_superblock *sb)
{
	switch (sb->next) {
	case MD_NEXT_LEVEL_0:
		return RAID_LEVEL_0;
	case MD_NEXT_LEVEL_5:
		return RAID_LEVEL_5;
	default:
		return sb->new_level;
	}
}

static void put_array(const struct report *report, const struct md_superblock *sb)
{
	char level[16], layout[32], version[8];
	const char *layout_name = raid_geometry_layout_name(sb->level, sb->layout, layout);

	put_text(report, "metadata", "Version", "%s",
		 md_superblock_version(sb->minor_version, version));
	put_features(report, sb);
	put_uuid(report, "array_uuid", "Array UUID", sb->set_uuid);
	put_text(report, "set_name", "Name", "%s", sb->set_name);
	put_time(report, "created", "Creation Time", sb->ctime);
	put_text(report, "level", "Raid Level", "%s", raid_level_name(sb->level, level));
	put_number(report, "devices", "Raid Devices", sb->raid_disks, "");
	if (layout_name)
		put_text(report, "layout", "Layout", "%s", layout_name);
	if (sb->chunk_sectors)
		put_size(report, "chunk_bytes", "Chunk Size", sb->chunk_sectors);
	if (sb->logical_block_size)
		put_number(report, "logical_block_size_bytes", "Logical Block Size",
			   sb->logical_block_size, "bytes");
	/* Of levels whose members need not be alike there is none. */
	if (sb->size) {
		put_size(report, "member_size_bytes", "Used Dev Size", sb->size);
		put_size(report, "array_size_bytes", "Array Size",
			 raid_geometry_array_sectors(sb->level, sb->layout, sb->chunk_sectors,
						     sb->raid_disks, sb->size));
	}
	if (sb->features & MD_FEATURE_RESHAPE) {
		put_size(report, "reshape_position_bytes", "Reshape Position",
			 sb->reshape_position);
		put_text(report, "delta_disks", "Delta Devices", "%d", sb->delta_disks);
		put_text(report, "new_level", "New Level", "%s",
			 raid_level_name(final_level(sb), level));
		layout_name = raid_geometry_layout_name(sb->new_level, sb->new_layout, layout);
		if (layout_name)
			put_text(report, "new_layout", "New Layout", "%s", layout_name);
		if (sb->new_chunk_sectors != sb->chunk_sectors)
			put_size(report, "new_chunk_bytes", "New Chunk Size",
				 sb->new_chunk_sectors);
	}
}

static void put_member(const struct report *report, const struct md_superblock *sb)
{
	put_uuid(report, "device_uuid", "Device UUID", sb->device_uuid);
	put_size(report, "super_offset_bytes", "Super Offset", sb->super_offset);
	put_size(report, "data_offset_bytes", "Data Offset", sb->data_offset);
	if (sb->features & MD_FEATURE_NEW_OFFSET)
		put_size(report, "new_data_offset_bytes", "New Offset",
			 sb->data_offset + (uint64_t)(int64_t)sb->new_offset);
	put_size(report, "data_size_bytes", "Avail Dev Size", sb->data_size);
	if (sb->features & MD_FEATURE_RECOVERY_OFFSET)
		put_size(report, "recovery_offset_bytes", "Recovery Offset", sb->recovery_offset);
	if (sb->devflags)
		put_text(report, "flags", "Flags", "%s%s",
			 sb->devflags & MD_DEVICE_WRITE_MOSTLY ? "write-mostly " : "",
			 sb->devflags & MD_DEVICE_FAILFAST ? "failfast" : "");
	if (sb->features & (MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS)) {
		put_text(report, "ppl_offset", "PPL", "%d sectors from superblock", sb->ppl_offset);
		put_size(report, "ppl_bytes", "PPL Size", sb->ppl_size);
	}
	if (sb->corrected_reads)
		put_number(report, "corrected", "Corrected Reads", sb->corrected_reads, "sectors");
}

static void put_role(const struct report *report, const struct md_superblock *sb)
{
	uint16_t role = md_superblock_role(sb, sb->dev_number);

	put_number(report, "dev_number", "Device Number", sb->dev_number, "");
	if (role == MD_ROLE_SPARE)
		put_text(report, "role", "Device Role", "spare");
	else if (role == MD_ROLE_FAULTY)
		put_text(report, "role", "Device Role", "faulty");
	else if (role == MD_ROLE_JOURNAL)
		put_text(report, "role", "Device Role", "journal");
	else if (sb->features & MD_FEATURE_REPLACEMENT)
		put_text(report, "role", "Device Role", "%u replacement", role);
	else
		put_text(report, "role", "Device Role", "%u", role);
}

/* 'A' for a place that is filled, 'R' for one whose member is being replaced, '.' for one that is missing, as mdadm has it. */
static void put_places(const struct report *report, const struct md_superblock *sb)
{
	char text[256];
	/* In a reshape to fewer those, too, that it has until that is over. */
	bool fewer = (sb->features & MD_FEATURE_RESHAPE) && sb->delta_disks < 0;
	uint64_t places = sb->raid_disks + (fewer ? (uint64_t) - (int64_t)sb->delta_disks : 0);
	uint32_t shown = (uint32_t)MIN(places, sizeof(text) - 1);

	memset(text, '.', shown);
	text[shown] = '\0';
	for (uint32_t i = 0; i < MIN(sb->max_dev, MD_MAX_DEVICES); i++) {
		if (sb->roles[i] < shown)
			text[sb->roles[i]] = text[sb->roles[i]] == '.' ? 'A' : 'R';
	}
	put_text(report, "places", "Array State", "%s", text);
}

static void put_state(const struct report *report, const struct md_superblock *sb)
{
	put_text(report, "state", "State", "%s",
		 sb->resync_offset == MD_RESYNC_DONE ? "clean" : "active");
	if (sb->resync_offset != MD_RESYNC_DONE)
		put_size(report, "resync_offset_bytes", "Resync Offset", sb->resync_offset);
	put_time(report, "updated", "Update Time", sb->utime);
	put_text(report, "checksum", "Checksum", "%08x", sb->checksum);
	put_text(report, "checksum_expected", "Expected Checksum", "%08x", sb->checksum_expected);
	put_number(report, "events", "Events", sb->events, "");
	put_role(report, sb);
	put_places(report, sb);
}

/* ---- Bitmap and bad-block log ---- */

static uint64_t count_bits(struct block *block, uint64_t start, uint64_t chunks, int *rc)
{
	uint64_t bytes = round_up(md_bitmap_bytes(chunks), block->logical_block_size);
	CLEANUP_FREE uint8_t *image = malloc(bytes);
	uint64_t set = 0;

	*rc = image ? block_read(block, start, image, bytes) : -ENOMEM;
	for (uint64_t i = 0; !*rc && i < chunks; i++)
		set += md_bitmap_test(image, i);
	return set;
}

/* `bytes`: how many it has. */
static int put_bitmap(const struct report *report, struct block *block,
		      const struct md_superblock *sb, uint64_t *bytes, struct error *error)
{
	uint64_t start = md_superblock_byte(sb, sb->bitmap_offset);
	uint64_t room = md_superblock_bitmap_room(sb, block->size >> MD_SECTOR_SHIFT), set, chunks;
	uint8_t page[MD_SUPERBLOCK_BYTES];
	struct md_bitmap bitmap;
	int rc;

	put_text(report, "bitmap_offset", "Internal Bitmap", "%d sectors from superblock",
		 sb->bitmap_offset);
	if (start % block->logical_block_size)
		return 0;
	rc = block_read(block, start, page, MAX(block->logical_block_size, MD_SECTOR_SIZE));
	if (!rc) {
		rc = md_bitmap_decode(page, room, &bitmap, error);
		if (rc == -ENOENT)
			rc = error_set(error, -EINVAL, "magic is 0x%08x, expected 0x%08x",
				       get_le32(page), MD_BITMAP_MAGIC);
	}
	if (rc) {
		error_prefix(error, "%s: bitmap at byte %llu", block->name,
			     (unsigned long long)start);
		return rc;
	}
	chunks = md_bitmap_chunks(bitmap.sync_sectors, bitmap.chunk_bytes);
	*bytes = md_bitmap_bytes(chunks);
	set = count_bits(block, start, chunks, &rc);
	put_number(report, "bitmap_chunk_bytes", "Bitmap Chunk", bitmap.chunk_bytes, "bytes");
	put_number(report, "bitmap_chunks", "Bitmap Chunks", chunks, "");
	put_number(report, "bitmap_dirty", "Dirty Chunks", set, "");
	if (sb->minor_version == MD_VERSION_DM && bitmap.events >= DM_RAID_CLEAN_EVENTS)
		bitmap.events -= DM_RAID_CLEAN_EVENTS;
	put_number(report, "bitmap_events", "Bitmap Events", bitmap.events, "");
	put_number(report, "bitmap_events_cleared", "Events Cleared", bitmap.events_cleared, "");
	return rc;
}

static int put_bad_blocks(const struct report *report, struct block *block,
			  const struct md_superblock *sb, struct error *error)
{
	uint64_t start = md_superblock_byte(sb, sb->bblog_offset);
	size_t size = MIN(sb->bblog_size, MD_BBLOG_SECTORS) * (size_t)MD_SECTOR_SIZE;
	uint8_t log[MD_BBLOG_SECTORS * MD_SECTOR_SIZE];
	struct md_badblocks list = { 0 };
	int rc = 0;

	if (!sb->bblog_size || !sb->bblog_offset)
		return 0;
	if (sb->features & MD_FEATURE_BAD_BLOCKS) {
		rc = block_read(block, start, log, size);
		if (!rc)
			rc = md_badblocks_decode(&list, log, size, sb->bblog_shift, error);
		if (rc)
			error_prefix(error, "%s: bad-block log at byte %llu", block->name,
				     (unsigned long long)start);
	}
	put_text(report, "bad_block_log", "Bad Block Log",
		 "%zu entries available at offset %d sectors", size / 8, sb->bblog_offset);
	put_number(report, "bad_blocks", "Bad Blocks", list.count, "ranges");
	for (unsigned i = 0; i < list.count; i++)
		put_text(report, "bad_range", "Bad Range", "%llu+%llu",
			 (unsigned long long)list.ranges[i].sector,
			 (unsigned long long)list.ranges[i].count);
	md_badblocks_free(&list);
	return rc;
}

/* ---- Room ---- */

#define RESERVED_SECTORS 72 /* from the superblock on, which md keeps for it and a bitmap */

/* What is between the data and the nearest that is not, as mdadm counts it; `sb` has been validated. */
static void put_unused(const struct report *report, const struct md_superblock *sb,
		       uint64_t bitmap_bytes)
{
	bool log = sb->bblog_size && sb->bblog_offset;
	bool ppl = sb->features & (MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS);
	int64_t super = (int64_t)sb->super_offset, first = super + RESERVED_SECTORS, last = super;
	int64_t data = (int64_t)sb->data_offset;
	bool whole = sb->level <= 0 || !sb->size ||
		     md_superblock_role(sb, sb->dev_number) == MD_ROLE_JOURNAL;
	int64_t used = (int64_t)(whole ? sb->data_size : sb->size);

	if (sb->features & MD_FEATURE_BITMAP) {
		first = MAX(first,
			    super + sb->bitmap_offset +
				    (int64_t)(round_up(bitmap_bytes, 4096) >> MD_SECTOR_SHIFT));
		last = MIN(last, super + sb->bitmap_offset);
	} else if (ppl) {
		first = MAX(first, super + sb->ppl_offset + sb->ppl_size);
		last = MIN(last, super + sb->ppl_offset);
	}
	if (log) {
		first = MAX(first, super + sb->bblog_offset + sb->bblog_size);
		last = MIN(last, super + sb->bblog_offset);
	}
	if (data < super) {
		put_size(report, "unused_before_bytes", "Unused Before", (uint64_t)data);
		put_size(report, "unused_after_bytes", "Unused After",
			 (uint64_t)MAX(last - data - used, 0));
		return;
	}
	put_size(report, "unused_before_bytes", "Unused Before", (uint64_t)MAX(data - first, 0));
	put_size(report, "unused_after_bytes", "Unused After",
		 (uint64_t)MAX((int64_t)sb->data_size - used, 0));
}

/* ---- dm-raid's ---- */

static void put_failed(const struct report *report, const struct dm_raid_superblock *sb)
{
	char text[DM_RAID_DEVICES + 1];

	for (uint32_t i = 0; i < sb->devices; i++)
		text[i] = dm_raid_failed(sb, i) ? '.' : 'A';
	text[sb->devices] = '\0';
	put_text(report, "places", "Array State", "%s", text);
}

/* The metadata volume of an image of LVM's: which array it is of, only the volume group says. */
static void put_dm(const struct report *report, const struct dm_raid_superblock *sb)
{
	char level[16], layout[32];
	/* Level 4 is level 5 there, with its parity first. */
	bool four = sb->level == RAID_LEVEL_5 && sb->layout == RAID5_PARITY_FIRST;
	const char *name = four ? NULL : raid_geometry_layout_name(sb->level, sb->layout, layout);

	put_text(report, "metadata", "Version", "dm-raid");
	put_text(report, "level", "Raid Level", "%s",
		 raid_level_name(four ? RAID_LEVEL_4 : sb->level, level));
	put_number(report, "devices", "Raid Devices", sb->devices, "");
	if (name)
		put_text(report, "layout", "Layout", "%s", name);
	if (sb->stripe_sectors)
		put_size(report, "chunk_bytes", "Chunk Size", sb->stripe_sectors);
	if (sb->compatible & DM_RAID_V190) {
		put_size(report, "member_size_bytes", "Used Dev Size", sb->sectors);
		put_size(report, "array_size_bytes", "Array Size", sb->array_sectors);
	}
	if (sb->flags & DM_RAID_RESHAPE_ACTIVE)
		put_size(report, "reshape_position_bytes", "Reshape Position",
			 sb->reshape_position);
	if (sb->recovered != DM_RAID_DONE)
		put_size(report, "recovery_offset_bytes", "Recovery Offset", sb->recovered);
	put_text(report, "state", "State", "%s", sb->resynced == DM_RAID_DONE ? "clean" : "active");
	if (sb->resynced != DM_RAID_DONE)
		put_size(report, "resync_offset_bytes", "Resync Offset", sb->resynced);
	put_number(report, "events", "Events", sb->events, "");
	if (sb->position == DM_RAID_NO_PLACE)
		put_text(report, "role", "Device Role", "none");
	else
		put_text(report, "role", "Device Role", "%u", sb->position);
	put_failed(report, sb);
}

int raid_say_no_superblock(struct block *block, struct error *error)
{
	struct block_signature found;

	if (block_signature_find(block, &found, NULL) != 1)
		return error_set(error, -ENOENT, "%s: no md superblock", block->name);
	error_set(error, -ENOENT, "%s: no md superblock; found: %s (magic at byte %llu)",
		  block->name, found.name, (unsigned long long)found.offset);
	/* By libblkid's name, or by that of the magic alone (block/raid_magic.h). */
	if (!strcmp(found.type, "ddf_raid_member") || !strcmp(found.type, "isw_raid_member") ||
	    !strncmp(found.name, "DDF ", 4) || !strncmp(found.name, "Intel ", 6))
		error_advise(error, "a member of a container, in metadata of firmware (DDF, or "
				    "Intel's), which mdadm reads and `wipefs --all` takes off: "
				    "here it is left alone");
	return -ENOENT;
}

/* `place` is for where its bitmap is. */
static int examine_dm(const struct report *report, struct block *block, struct md_superblock *place,
		      struct error *error)
{
	uint8_t page[MD_SUPERBLOCK_BYTES] __attribute__((aligned(512)));
	struct dm_raid_superblock sb;
	uint64_t bytes;
	int rc = block->size < sizeof(page) ? -ENOENT : block_read(block, 0, page, sizeof(page));

	if (!rc)
		rc = dm_raid_decode(page, &sb, error);
	if (rc == -ENOENT)
		return raid_say_no_superblock(block, error);
	if (rc) {
		error_prefix(error, "%s", block->name);
		return rc;
	}
	put_dm(report, &sb);
	memset(place, 0, sizeof(*place));
	place->minor_version = MD_VERSION_DM;
	place->bitmap_offset = DM_RAID_BITMAP_BYTE >> MD_SECTOR_SHIFT;
	return sb.level ? put_bitmap(report, block, place, &bytes, error) : 0;
}

int raid_examine(struct block *block, raid_field_fn *field, void *arg, struct error *error)
{
	CLEANUP_FREE struct md_superblock *sb = malloc(sizeof(*sb));
	struct report report = { field, arg };
	uint64_t bitmap_bytes = 0;
	bool found;
	int rc;

	if (!sb)
		return error_set(error, -ENOMEM, "out of memory");
	rc = md_superblock_find(block, sb, &found, error);
	if (rc == -ENOENT)
		return examine_dm(&report, block, sb, error);
	if (!found)
		return rc;
	put_array(&report, sb);
	put_member(&report, sb);
	if (!rc && (sb->features & MD_FEATURE_BITMAP))
		rc = put_bitmap(&report, block, sb, &bitmap_bytes, error);
	/* While data move to another offset the room is what they move in. */
	if (!rc && sb->minor_version != MD_VERSION_90 && !(sb->features & MD_FEATURE_NEW_OFFSET))
		put_unused(&report, sb, bitmap_bytes);
	if (!rc)
		rc = put_bad_blocks(&report, block, sb, error);
	put_state(&report, sb);
	return rc;
}
