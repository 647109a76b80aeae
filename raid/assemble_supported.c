/* SPDX-License-Identifier: BSD-2-Clause */
/* Arrays that are not assembled, whatever members there are: see assemble.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "raid/assemble.h"
#include "util/bytes.h"

int raid_check_same_array(const struct raid_candidate *candidates, unsigned count,
			  const struct raid_candidate *freshest, struct error *error)
{
	char found[RAID_UUID_TEXT], expected[RAID_UUID_TEXT];

	for (unsigned i = 0; i < count; i++) {
		const struct raid_candidate *candidate = &candidates[i];

		if (memcmp(candidate->sb.set_uuid, freshest->sb.set_uuid, 16) != 0)
			return error_set(
				error, -EINVAL,
				"%s belongs to array %s (%s), expected that of %s, %s (%s)",
				candidate->block->name,
				raid_uuid_format(candidate->sb.set_uuid, found),
				md_superblock_short_name(&candidate->sb), freshest->block->name,
				raid_uuid_format(freshest->sb.set_uuid, expected),
				md_superblock_short_name(&freshest->sb));
	}
	return 0;
}

static int unsupported(const struct md_superblock *sb, const char *what, struct error *error)
{
	error_set(error, -EOPNOTSUPP, "md/%s: %s; it can be examined, not assembled",
		  md_superblock_short_name(sb), what);
	return -EOPNOTSUPP;
}

static bool is_moved_level(int level)
{
	return (level >= RAID_LEVEL_4 && level <= RAID_LEVEL_6) || level == RAID_LEVEL_10;
}

/* Why a reshape cannot be carried on; NULL: it can. */
static const char *why_not_reshaped(const struct md_superblock *sb)
{
	const char *what = NULL;

	if (!is_moved_level(sb->level) || !is_moved_level(sb->new_level))
		what = "it is being reshaped, at a level that is neither 4, 5, 6 nor 10";
	else if (sb->level != sb->new_level &&
		 (sb->level >= RAID_LEVEL_6 || sb->new_level >= RAID_LEVEL_6))
		what = "it is being reshaped to another level";
	else if (sb->delta_disks < -(int32_t)(MD_MAX_DEVICES - MIN(sb->raid_disks, MD_MAX_DEVICES)))
		what = "the reshape that it is in has too many members to begin with";
	else if (sb->delta_disks >= (int32_t)MIN(sb->raid_disks, (uint32_t)INT32_MAX))
		what = "the reshape that it is in has no members to begin with";
	else if (sb->features & (MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS | MD_FEATURE_JOURNAL))
		what = "it is being reshaped, and has a log";
	return what;
}

/* As the superblock's own check of one that is not reshaped. */
static int check_shapes(const struct md_superblock *sb, struct error *error)
{
	int rc = raid_geometry_check(sb->new_level, sb->new_layout, sb->new_chunk_sectors,
				     sb->raid_disks, error);

	if (rc)
		return error_prefix(error, "md/%s: its new shape", md_superblock_short_name(sb)),
		       rc;
	rc = raid_geometry_check(sb->level, sb->layout, sb->chunk_sectors,
				 sb->raid_disks - (uint32_t)sb->delta_disks, error);
	if (rc)
		error_prefix(error, "md/%s: its old shape", md_superblock_short_name(sb));
	return rc;
}

int raid_check_supported(const struct md_superblock *sb, struct error *error)
{
	char name[16], text[64];
	const char *what = NULL;

	if (sb->features & MD_FEATURE_RESHAPE)
		what = why_not_reshaped(sb);
	else if (sb->features & MD_FEATURE_NEW_OFFSET)
		what = "its data have an offset to come, but it is not being reshaped";
	if (what)
		return unsupported(sb, what, error);
	if (sb->features & MD_FEATURE_RESHAPE) {
		int rc = check_shapes(sb, error);

		if (rc)
			return rc;
	}
	if ((sb->features & MD_FEATURE_JOURNAL) &&
	    (sb->level < RAID_LEVEL_4 || sb->level > RAID_LEVEL_6 ||
	     (sb->features & (MD_FEATURE_BITMAP | MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS))))
		return unsupported(
			sb,
			"it has a journal device, expected level 4, 5 or 6 without bitmap "
			"or partial parity log",
			error);
	if (sb->features & MD_FEATURE_CLUSTERED)
		return unsupported(sb, "it is clustered", error);
	if (!raid_level_ops_find(sb->level)) {
		snprintf(text, sizeof(text),
			 "its level is %s, expected linear, 0, 1, 4, 5, 6 or 10",
			 raid_level_name(sb->level, name));
		return unsupported(sb, text, error);
	}
	return 0;
}
