/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See kernels.h. What a version takes is what super_1_load(), super_1_validate() and the level's setup of that version take (drivers/md,
 * include/uapi/linux/raid/md_p.h); the version beside each limit is the first release that has the change which is named. tests/guest
 * holds what is said of 6.1 against md.
 */
#include "raid/kernels.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "raid/geometry.h"
#include "raid/md_bitmap.h"
#include "raid/md_superblock.h"
#include "raid/raid.h"
#include "util/bytes.h"
#include "util/error.h"

#define V RAID_KERNEL

/* ---- Limits ---- */

static struct raid_kernel_limit *limit(struct raid_kernels *kernels, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static struct raid_kernel_limit *limit(struct raid_kernels *kernels, const char *format, ...)
{
	struct raid_kernel_limit *new = &kernels->limits[kernels->limit_count];
	va_list arguments;

	if (kernels->limit_count + 1 < RAID_KERNEL_LIMITS)
		kernels->limit_count++;
	*new = (struct raid_kernel_limit){ .count = 0 };
	va_start(arguments, format);
	vsnprintf(new->reason, sizeof(new->reason), format, arguments);
	va_end(arguments);
	return new;
}

static void allow(struct raid_kernel_limit *limit, unsigned from, unsigned before)
{
	limit->ranges[limit->count++] = (struct raid_kernel_range){ from, before };
}

static unsigned end_of(struct raid_kernel_range range)
{
	return range.before ? range.before : UINT32_MAX;
}

/* What is in both. */
static void intersect(struct raid_kernels *kernels, const struct raid_kernel_limit *with)
{
	struct raid_kernel_range left[RAID_KERNEL_LIMITS];
	unsigned count = 0;

	for (unsigned i = 0; i < kernels->count; i++) {
		for (unsigned k = 0; k < with->count && count < RAID_KERNEL_LIMITS; k++) {
			unsigned from = MAX(kernels->ranges[i].from, with->ranges[k].from);
			unsigned end = MIN(end_of(kernels->ranges[i]), end_of(with->ranges[k]));

			if (from < end)
				left[count++] =
					(struct raid_kernel_range){ from,
								    end == UINT32_MAX ? 0 : end };
		}
	}
	memcpy(kernels->ranges, left, sizeof(left));
	kernels->count = count;
}

/* ---- The superblock ---- */

static void check_features(struct raid_kernels *kernels, const struct md_superblock *sb)
{
	/* super_1_load() refuses bits that it does not know. */
	static const struct {
		uint32_t bit;
		unsigned since;
		const char *what;
	} features[] = {
		/* checkpoints of a recovery */
		{ MD_FEATURE_RECOVERY_OFFSET, V(2, 6, 18), "a member that is being rebuilt" },
		/* checkpoints of a reshape */
		{ MD_FEATURE_RESHAPE, V(2, 6, 17), "a reshape that is under way" },
		/* bad-block logs are read */
		{ MD_FEATURE_BAD_BLOCKS, V(3, 1, 0), "a bad-block log with entries" },
		/* hot replacement */
		{ MD_FEATURE_REPLACEMENT, V(3, 3, 0), "a member that replaces another" },
		/* the direction of a reshape */
		{ MD_FEATURE_RESHAPE_BACKWARDS, V(3, 5, 0), "a reshape that goes backwards" },
		/* data offsets that change */
		{ MD_FEATURE_NEW_OFFSET, V(3, 5, 0), "a reshape that moves the data" },
		/* f466722ca614, save_raid_disk and recovery */
		{ MD_FEATURE_RECOVERY_BITMAP, V(3, 14, 0), "a rebuild by the bitmap" },
		/* md-cluster */
		{ MD_FEATURE_CLUSTERED, V(4, 1, 0), "a clustered array" },
		/* raid5-cache */
		{ MD_FEATURE_JOURNAL, V(4, 4, 0), "a write journal" },
		/* raid5-ppl */
		{ MD_FEATURE_PPL, V(4, 12, 0), "a partial parity log" },
		/* several logs for each member; what mdadm makes now */
		{ MD_FEATURE_MULTIPLE_PPLS, V(4, 14, 0), "partial parity logs, several at a time" },
		/* 33f2c35a54df; in stable updates of older ones, too */
		{ MD_FEATURE_RAID0_LAYOUT, V(5, 4, 0),
		  "RAID0 that says which layout its zones have" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(features); i++)
		if (sb->features & features[i].bit)
			allow(limit(kernels, "%s (feature 0x%x)", features[i].what,
				    features[i].bit),
			      features[i].since, 0);
	/* 62ed1b582246: what was padding before, which must be zero. */
	if (sb->logical_block_size)
		allow(limit(kernels,
			    "the logical block size, %u bytes, is recorded: older ones want zeroes "
			    "there",
			    sb->logical_block_size),
		      V(6, 19, 0), 0);
}

static void check_raid10(struct raid_kernels *kernels, uint32_t layout)
{
	/* the offset layout */
	if (layout & RAID10_LAYOUT_OFFSET)
		allow(limit(kernels, "offset copies"), V(2, 6, 18), 0);
	/* bits from 17 on were refused before; see setup_geo() */
	if (layout & RAID10_LAYOUT_FAR_SETS_OLD)
		allow(limit(kernels, "far sets of the old kind"), V(3, 9, 0), 0);
	/* the new layout as it was meant; also in stable updates */
	if (layout & RAID10_LAYOUT_FAR_SETS)
		allow(limit(kernels, "far sets"), V(4, 4, 0), 0);
}

static void check_level(struct raid_kernels *kernels, const struct md_superblock *sb)
{
	struct raid_kernel_limit *one;
	char name[32];

	switch (sb->level) {
	case RAID_LEVEL_LINEAR:
		/* 849d18e27be9 took it away, 127186cfb184 brought it back */
		one = limit(kernels,
			    "linear was not there from 6.8 to 6.13, but for late stable updates");
		allow(one, RAID_KERNEL_FIRST, V(6, 8, 0));
		allow(one, V(6, 14, 0), 0);
		break;
	case -4:
	case -5:
		/* d8730f0cf4ef, 415c7451872b */
		one = limit(kernels, "%s is not there any more",
			    sb->level == -4 ? "multipath" : "faulty");
		allow(one, RAID_KERNEL_FIRST, V(6, 8, 0));
		break;
	case RAID_LEVEL_10:
		check_raid10(kernels, sb->layout);
		break;
	case RAID_LEVEL_5:
	case RAID_LEVEL_6:
		/* only the four that go round were there */
		if (sb->layout > 3)
			allow(limit(kernels, "the layout %s",
				    raid_geometry_layout_name(sb->level, sb->layout, name)),
			      V(2, 6, 30), 0);
		break;
	default:
		break;
	}
}

/* From where which kind of reshape is carried on. */
static void check_reshape(struct raid_kernels *kernels, const struct md_superblock *sb)
{
	if (!(sb->features & MD_FEATURE_RESHAPE))
		return;
	/* raid5_run(): "unsupported reshape required". What Linux 6.12 leaves for mdadm 4.4, it does not start itself */
	if (sb->new_level != sb->level || sb->next_from_md)
		limit(kernels, "a reshape to another level, which md carries on only until it is "
			       "stopped; here it goes on");
	/* raid10_start_reshape() */
	if (sb->level == RAID_LEVEL_10)
		allow(limit(kernels, "a reshape of raid10"), V(3, 5, 0), 0);
	/* chunk, layout, and fewer members */
	else if (sb->delta_disks <= 0 || sb->new_layout != sb->layout ||
		 sb->new_chunk_sectors != sb->chunk_sectors)
		allow(limit(kernels, "a reshape that does more than add members"), V(2, 6, 31), 0);
}

static void check_bitmap(struct raid_kernels *kernels, struct block *block,
			 const struct md_superblock *sb)
{
	uint8_t super[MD_SUPERBLOCK_BYTES];
	uint32_t version;

	if (!(sb->features & MD_FEATURE_BITMAP) ||
	    block_read(block,
		       round_down(md_superblock_byte(sb, sb->bitmap_offset),
				  block->logical_block_size),
		       super, sizeof(super)))
		return;
	if (md_superblock_byte(sb, sb->bitmap_offset) % block->logical_block_size ||
	    get_le32(super) != MD_BITMAP_MAGIC)
		return;
	version = get_le32(super + offsetof(struct md_bitmap_super, version));
	/* md-cluster; 5ab829f1971d, md-llbitmap */
	if (version == MD_BITMAP_VERSION_CLUSTERED)
		allow(limit(kernels, "a bitmap of a cluster (version 5)"), V(4, 1, 0), 0);
	if (version == MD_BITMAP_VERSION_LOCKLESS)
		allow(limit(kernels, "a lockless bitmap (version 6)"), V(6, 18, 0), 0);
}

/* ---- RAID0 without a layout ---- */

/* Whether two members or more are longer than the shortest, so that it matters with whom the second zone begins: 1, 0, or -1
 * where not all are here. */
static int have_zones(struct block *const *blocks, unsigned count, const struct md_superblock *sb)
{
	CLEANUP_FREE struct md_superblock *other = malloc(sizeof(*other));
	uint64_t shortest = UINT64_MAX;
	unsigned seen = 0, longer = 0;
	bool found;

	for (unsigned i = 0; other && i < count; i++) {
		uint64_t chunks;

		if (!blocks[i] || md_superblock_find(blocks[i], other, &found, NULL) ||
		    memcmp(other->set_uuid, sb->set_uuid, sizeof(sb->set_uuid)) != 0)
			continue;
		chunks = other->data_size / MAX(sb->chunk_sectors, 1u);
		if (chunks < shortest) {
			longer = seen;
			shortest = chunks;
		} else if (chunks > shortest) {
			longer++;
		}
		seen++;
	}
	if (seen < sb->raid_disks)
		return -1;
	return longer > 1;
}

/* c84a1372df92: before 3.14 one layout, from 3.14 on the other, and since 5.4 neither is taken for granted. */
static void check_zones(struct raid_kernels *kernels, struct block *const *blocks, unsigned count,
			const struct md_superblock *sb)
{
	struct raid_kernel_limit *one;
	int zones;

	if (sb->level != RAID_LEVEL_0 || (sb->features & MD_FEATURE_RAID0_LAYOUT))
		return;
	zones = have_zones(blocks, count, sb);
	if (!zones)
		return;
	one = limit(kernels,
		    "%stwo members or more are longer than the shortest, and the superblock does "
		    "not say "
		    "which layout that has: newer ones want raid0.default_layout; those from 3.14 "
		    "on and "
		    "those before it see different data",
		    zones < 0 ? "if it is so: " : "");
	one->if_it_is_so = zones < 0;
	allow(one, RAID_KERNEL_FIRST, V(5, 4, 0));
}

/* ---- All of it ---- */

int raid_kernels_find(struct raid_kernels *kernels, struct block *const *blocks, unsigned count,
		      unsigned which, struct error *error)
{
	CLEANUP_FREE struct md_superblock *sb = malloc(sizeof(*sb));
	struct error why = { 0 };
	bool found;
	int rc;

	*kernels = (struct raid_kernels){ .ranges = { { RAID_KERNEL_FIRST, 0 } }, .count = 1 };
	if (!sb)
		return error_set(error, -ENOMEM, "out of memory");
	rc = md_superblock_find(blocks[which], sb, &found, &why);
	if (rc == -ENOENT)
		return raid_say_no_superblock(blocks[which], error);
	if (rc && !found)
		return error_set(error, rc, "%s", why.text);
	if (rc)
		limit(kernels, "%s", why.text);
	check_features(kernels, sb);
	check_level(kernels, sb);
	check_reshape(kernels, sb);
	if (!rc) {
		check_bitmap(kernels, blocks[which], sb);
		check_zones(kernels, blocks, count, sb);
	}
	for (unsigned i = 0; i < kernels->limit_count; i++)
		if (!kernels->limits[i].if_it_is_so)
			intersect(kernels, &kernels->limits[i]);
	return 0;
}

const char *raid_kernel_format(unsigned version, char text[RAID_KERNEL_TEXT])
{
	if (version >> 16 == 2)
		snprintf(text, RAID_KERNEL_TEXT, "%u.%u.%u", version >> 16, version >> 8 & 0xff,
			 version & 0xff);
	else
		snprintf(text, RAID_KERNEL_TEXT, "%u.%u", version >> 16, version >> 8 & 0xff);
	return text;
}
