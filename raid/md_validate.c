/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What makes a superblock acceptable: the kernel's own refusals (super_1_load() of Linux 6.1, before
 * 6.19 grew a field in the padding), and areas that overlap each other or the device's end.
 */
#include <errno.h>

#include "raid/geometry.h"
#include "raid/md_superblock.h"
#include "util/bytes.h"
#include "util/error.h"

struct area {
	const char *what;
	uint64_t start, length; /* sectors */
};

static int check_header(const struct md_superblock *sb, uint64_t device_sectors,
			struct error *error)
{
	uint64_t place;

	if (md_superblock_place(sb->minor_version, device_sectors, &place))
		return error_set(error, -EINVAL, "the device has %llu sectors, expected 24 or more",
				 (unsigned long long)device_sectors);
	if (sb->super_offset != place)
		return error_set(error, -EINVAL, "super_offset is sector %llu, expected %llu",
				 (unsigned long long)sb->super_offset, (unsigned long long)place);
	if (sb->features & ~MD_FEATURE_ALL)
		return error_set(error, -EINVAL, "feature map is 0x%x, expected bits of 0x%x only",
				 sb->features, MD_FEATURE_ALL);
	if (sb->padding_dirty)
		return error_set(error, -EINVAL,
				 "the padding at bytes 12 or 228 to 255 is not zero, expected "
				 "zeroes");
	if (sb->logical_block_size &&
	    (!is_power_of_two(sb->logical_block_size) || sb->logical_block_size < 512 ||
	     sb->logical_block_size > 4096))
		return error_set(error, -EINVAL,
				 "logical_block_size at byte 224 is %u, expected 0 or a power of "
				 "two from 512 to 4096",
				 sb->logical_block_size);
	return 0;
}

static int check_numbers(const struct md_superblock *sb, struct error *error)
{
	if (sb->raid_disks == 0 || sb->raid_disks > MD_MAX_DEVICES)
		return error_set(error, -EINVAL, "raid_disks is %u, expected 1 to %u",
				 sb->raid_disks, MD_MAX_DEVICES);
	if (sb->data_size < 10)
		return error_set(error, -EINVAL, "data_size is %llu sectors, expected 10 or more",
				 (unsigned long long)sb->data_size);
	if (sb->level > 0 && sb->size == 0)
		return error_set(error, -EINVAL, "size is 0 sectors, expected more");
	/* A spare or a member of a smaller generation may be short; the array would refuse it then. */
	if (sb->level > 0 && sb->size > sb->data_size &&
	    md_superblock_role(sb, sb->dev_number) != MD_ROLE_JOURNAL)
		return error_set(error, -EINVAL,
				 "size is %llu sectors, expected at most data_size, %llu",
				 (unsigned long long)sb->size, (unsigned long long)sb->data_size);
	if (sb->resync_offset != MD_RESYNC_DONE && sb->resync_offset > INT64_MAX)
		return error_set(error, -EINVAL,
				 "resync_offset is sector %llu, expected a sector "
				 "of the array",
				 (unsigned long long)sb->resync_offset);
	if ((sb->features & MD_FEATURE_RAID0_LAYOUT) && sb->level != 0)
		return error_set(error, -EINVAL,
				 "feature RAID0_LAYOUT is set, expected level 0, "
				 "found level %d",
				 sb->level);
	if (sb->bblog_size > MD_BBLOG_SECTORS && (sb->features & MD_FEATURE_BAD_BLOCKS))
		return error_set(error, -EINVAL,
				 "the bad-block log has %u sectors, expected at "
				 "most %u",
				 sb->bblog_size, MD_BBLOG_SECTORS);
	if (sb->bblog_shift > 32)
		return error_set(error, -EINVAL, "bblog_shift is %u, expected at most 32",
				 sb->bblog_shift);
	if ((sb->features & MD_FEATURE_BAD_BLOCKS) && (!sb->bblog_offset || !sb->bblog_size))
		return error_set(error, -EINVAL,
				 "feature BAD_BLOCKS is set, expected a log, found "
				 "offset %d and %u sectors",
				 sb->bblog_offset, sb->bblog_size);
	return raid_geometry_check(sb->level, sb->layout, sb->chunk_sectors, sb->raid_disks, error);
}

static int check_overlap(const struct area *a, const struct area *b, struct error *error)
{
	if (a->start < b->start + b->length && b->start < a->start + a->length)
		return error_set(error, -EINVAL,
				 "%s (sectors %llu to %llu) overlaps %s (sectors %llu to %llu)",
				 a->what, (unsigned long long)a->start,
				 (unsigned long long)(a->start + a->length - 1), b->what,
				 (unsigned long long)b->start,
				 (unsigned long long)(b->start + b->length - 1));
	return 0;
}

/* Adds an area at a signed offset from the superblock. */
static int add_relative(struct area *areas, unsigned *count, const struct md_superblock *sb,
			const char *what, int64_t offset, uint64_t length, uint64_t device_sectors,
			struct error *error)
{
	int64_t start = (int64_t)sb->super_offset + offset;

	if (start < 0 || !range_within((uint64_t)start, length, device_sectors))
		return error_set(error, -EINVAL,
				 "%s is at sector %lld with %llu sectors, expected "
				 "within the device's %llu",
				 what, (long long)start, (unsigned long long)length,
				 (unsigned long long)device_sectors);
	areas[*count] = (struct area){ what, (uint64_t)start, length };
	(*count)++;
	return 0;
}

/* Of `sb`, whose numbers were checked. */
static uint64_t sectors_for_data(const struct md_superblock *sb)
{
	uint64_t end = sb->super_offset;

	if (sb->minor_version || sb->level <= 0 || sb->data_size > end || sb->data_offset > end ||
	    md_superblock_role(sb, sb->dev_number) == MD_ROLE_JOURNAL)
		return sb->data_size;
	if ((sb->features & MD_FEATURE_BITMAP) && sb->bitmap_offset < 0)
		end = MIN(end, sb->super_offset + (uint64_t)(int64_t)sb->bitmap_offset);
	if ((sb->features & (MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS)) && sb->ppl_offset < 0)
		end = MIN(end, sb->super_offset + (uint64_t)(int64_t)sb->ppl_offset);
	if (sb->bblog_size && sb->bblog_offset < 0)
		end = MIN(end, sb->super_offset + (uint64_t)(int64_t)sb->bblog_offset);
	if (end > sb->super_offset || !range_within(sb->data_offset, sb->size, end))
		return sb->data_size;
	return MIN(sb->data_size, end - sb->data_offset);
}

void md_superblock_trim(struct md_superblock *sb)
{
	sb->data_size = sectors_for_data(sb);
}

static int check_areas(const struct md_superblock *sb, uint64_t device_sectors, struct error *error)
{
	uint64_t data = sectors_for_data(sb);
	struct area areas[5];
	unsigned count = 0;
	uint64_t super = (MD_SUPERBLOCK_FIXED + 2 * (uint64_t)sb->max_dev + MD_SECTOR_SIZE - 1) >>
			 MD_SECTOR_SHIFT;
	int rc;

	if (!range_within(sb->data_offset, data, device_sectors))
		return error_set(
			error, -EINVAL,
			"the data is at sector %llu with %llu sectors, expected within the "
			"device's %llu",
			(unsigned long long)sb->data_offset, (unsigned long long)sb->data_size,
			(unsigned long long)device_sectors);
	areas[count++] = (struct area){ "the data", sb->data_offset, data };
	areas[count++] = (struct area){ "the superblock", sb->super_offset, super };
	if (sb->features & MD_FEATURE_BITMAP) {
		/* How long it is only its own super says; md_bitmap_decode() is given the room. */
		rc = add_relative(areas, &count, sb, "the bitmap", sb->bitmap_offset, 1,
				  device_sectors, error);
		if (rc)
			return rc;
	}
	if (sb->features & (MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS)) {
		rc = add_relative(areas, &count, sb, "the partial parity log", sb->ppl_offset,
				  sb->ppl_size, device_sectors, error);
		if (rc)
			return rc;
	}
	if (sb->bblog_size && sb->bblog_offset) {
		rc = add_relative(areas, &count, sb, "the bad-block log", sb->bblog_offset,
				  sb->bblog_size, device_sectors, error);
		if (rc)
			return rc;
	}
	for (unsigned i = 0; i < count; i++) {
		for (unsigned j = i + 1; j < count; j++) {
			rc = check_overlap(&areas[i], &areas[j], error);
			if (rc)
				return rc;
		}
	}
	return 0;
}

uint64_t md_superblock_bitmap_room(const struct md_superblock *sb, uint64_t device_sectors)
{
	uint64_t start = sb->super_offset + (uint64_t)(int64_t)sb->bitmap_offset;
	uint64_t end = device_sectors;

	if (sb->super_offset > start)
		end = MIN(end, sb->super_offset);
	if (sb->minor_version == MD_VERSION_90)
		end = MIN(end, sb->super_offset + MD_RESERVED_SECTORS_90);
	if (sb->data_offset > start)
		end = MIN(end, sb->data_offset);
	if (sb->bblog_size && sb->bblog_offset) {
		uint64_t log = sb->super_offset + (uint64_t)(int64_t)sb->bblog_offset;

		if (log > start)
			end = MIN(end, log);
	}
	return (end - start) << MD_SECTOR_SHIFT;
}

uint64_t md_superblock_least_bytes(const struct md_superblock *sb)
{
	uint64_t end;

	/* Of one at the end the place says it. What cannot be is no size, and check_areas() tells. */
	if (sb->minor_version == 0 || sb->minor_version == MD_VERSION_90 ||
	    __builtin_add_overflow(sb->data_offset, sb->data_size, &end) ||
	    end > (uint64_t)INT64_MAX >> MD_SECTOR_SHIFT)
		return 0;
	return end << MD_SECTOR_SHIFT;
}

int md_superblock_validate(const struct md_superblock *sb, uint64_t device_sectors,
			   struct error *error)
{
	int rc;

	rc = check_header(sb, device_sectors, error);
	if (!rc)
		rc = check_numbers(sb, error);
	if (!rc && md_superblock_least_bytes(sb) > device_sectors << MD_SECTOR_SHIFT)
		return error_set(
			error, -ENXIO,
			"the data are at sectors %llu to %llu, but the device has %llu bytes "
			"and must have %llu again: it was made shorter, and what was cut off is "
			"lost",
			(unsigned long long)sb->data_offset,
			(unsigned long long)(sb->data_offset + sb->data_size - 1),
			(unsigned long long)device_sectors << MD_SECTOR_SHIFT,
			(unsigned long long)md_superblock_least_bytes(sb));
	if (!rc)
		rc = check_areas(sb, device_sectors, error);
	return rc;
}
