/* SPDX-License-Identifier: BSD-2-Clause */
/* Pure arithmetic on md's levels. Sources: drivers/md/{raid0,raid1,raid5,raid10}.c of Linux 6.1. */
#include "raid/geometry.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raid/md_format.h"
#include "raid/parity.h"
#include "raid/raid.h"
#include "raid/raid10_geometry.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/size.h"

#define LEVEL_MULTIPATH (-4)
#define LEVEL_FAULTY    (-5)

static int check_disks(uint32_t raid_disks, uint32_t least, const char *what, struct error *error)
{
	if (raid_disks < least)
		return error_set(error, -EINVAL, "raid_disks is %u, expected %u or more for %s",
				 raid_disks, least, what);
	return 0;
}

static int check_chunk(uint32_t chunk_sectors, struct error *error)
{
	char text[SIZE_TEXT];

	if (chunk_sectors >= 8 && is_power_of_two(chunk_sectors))
		return 0;
	return error_set(error, -EINVAL,
			 "the chunk is %u sectors (%s), expected a power of two of 8 or more",
			 chunk_sectors,
			 size_format((uint64_t)chunk_sectors << MD_SECTOR_SHIFT, text));
}

static int check_parity(int level, uint32_t layout, uint32_t chunk_sectors, uint32_t raid_disks,
			struct error *error)
{
	bool known = layout <= 5 || (level == RAID_LEVEL_6 && ((layout >= 8 && layout <= 10) ||
							       (layout >= 16 && layout <= 20)));
	int rc;

	/* mdadm gives raid4 the layout 0, the kernel looks at none. */
	if (level != RAID_LEVEL_4 && !known)
		return error_set(error, -EINVAL, "the layout is %u, expected one of raid%d's",
				 layout, level);
	rc = check_chunk(chunk_sectors, error);
	if (rc)
		return rc;
	if (level == RAID_LEVEL_6 && raid_disks > RAID_PARITY_SLOTS_Q)
		return error_set(error, -EINVAL, "raid_disks is %u, expected at most %u for raid6",
				 raid_disks, RAID_PARITY_SLOTS_Q);
	return level == RAID_LEVEL_6 ? check_disks(raid_disks, 4, "raid6", error)
				     : check_disks(raid_disks, 2, "raid4 and raid5", error);
}

static int check_raid10(uint32_t layout, uint32_t chunk_sectors, uint32_t raid_disks,
			struct error *error)
{
	const uint32_t sets = RAID10_LAYOUT_FAR_SETS | RAID10_LAYOUT_FAR_SETS_OLD;
	uint32_t copies = raid10_near_copies(layout) * raid10_far_copies(layout);
	int rc;

	if (layout >> 19 || copies < 2 || (layout & sets) == sets)
		return error_set(error, -EINVAL,
				 "the layout is 0x%x, expected near and far copies "
				 "of which there are two or more",
				 layout);
	rc = check_chunk(chunk_sectors, error);
	if (!rc)
		rc = check_disks(raid_disks, copies, "its copies", error);
	if (rc || !(layout & sets))
		return rc;
	/* __raid10_find_phys() goes wrong at the border of the last set: two chunks are in one place. */
	if (raid10_near_copies(layout) > 1 &&
	    raid_disks % (layout & RAID10_LAYOUT_FAR_SETS ? copies
							  : raid_disks / raid10_far_copies(layout)))
		return error_set(error, -EINVAL,
				 "the layout is 0x%x with %u members: far sets of near copies, "
				 "expected members that the sets divide evenly",
				 layout, raid_disks);
	return 0;
}

int raid_geometry_check(int level, uint32_t layout, uint32_t chunk_sectors, uint32_t raid_disks,
			struct error *error)
{
	switch (level) {
	case RAID_LEVEL_0:
		if (!chunk_sectors)
			return error_set(error, -EINVAL,
					 "the chunk is 0 sectors, expected more for raid0");
		return 0;
	case RAID_LEVEL_4:
	case RAID_LEVEL_5:
	case RAID_LEVEL_6:
		return check_parity(level, layout, chunk_sectors, raid_disks, error);
	case RAID_LEVEL_10:
		return check_raid10(layout, chunk_sectors, raid_disks, error);
	case RAID_LEVEL_1:
	case RAID_LEVEL_LINEAR:
	case LEVEL_MULTIPATH:
	case LEVEL_FAULTY:
		return 0;
	default:
		return error_set(error, -EINVAL,
				 "the level is %d, expected linear, 0, 1, 4, 5, 6 or 10", level);
	}
}

uint64_t raid_geometry_array_sectors(int level, uint32_t layout, uint32_t chunk_sectors,
				     uint32_t raid_disks, uint64_t member_sectors)
{
	uint64_t sectors, data_disks;

	if (raid_geometry_check(level, layout, chunk_sectors, raid_disks, NULL))
		return 0;
	switch (level) {
	case RAID_LEVEL_1:
	case LEVEL_MULTIPATH:
	case LEVEL_FAULTY:
		return member_sectors;
	case RAID_LEVEL_4:
	case RAID_LEVEL_5:
	case RAID_LEVEL_6:
		data_disks = raid_disks - (level == RAID_LEVEL_6 ? 2 : 1);
		sectors = round_down(member_sectors, chunk_sectors);
		return __builtin_mul_overflow(sectors, data_disks, &sectors) ? 0 : sectors;
	case RAID_LEVEL_10:
		if (__builtin_mul_overflow(member_sectors, (uint64_t)raid_disks * raid_disks,
					   &sectors))
			return 0;
		return raid10_shape(&(struct raid_geometry){ level, layout, chunk_sectors,
							     raid_disks, member_sectors })
			.sectors;
	default:
		return 0;
	}
}

/* A row, with its copies at layout "offset". */
static uint64_t row_height(const struct raid_geometry *g)
{
	return (uint64_t)g->chunk_sectors *
	       (g->level == RAID_LEVEL_10 ? raid10_far_copies(g->layout) : 1);
}

uint64_t raid_geometry_reshape_height(const struct raid_geometry *from,
				      const struct raid_geometry *to)
{
	return MAX(row_height(from), row_height(to));
}

bool raid_geometry_redundant(int level)
{
	return level > 0;
}

static const struct {
	uint32_t layout;
	const char *name, *brief;
	bool raid6; /* only there */
} parity_layouts[] = {
	{ 0, "left-asymmetric", "la", false },    { 1, "right-asymmetric", "ra", false },
	{ 2, "left-symmetric", "ls", false },     { 3, "right-symmetric", "rs", false },
	{ 4, "parity-first", NULL, false },       { 5, "parity-last", NULL, false },
	{ 8, "ddf-zero-restart", NULL, true },    { 9, "ddf-N-restart", NULL, true },
	{ 10, "ddf-N-continue", NULL, true },     { 16, "left-asymmetric-6", NULL, true },
	{ 17, "right-asymmetric-6", NULL, true }, { 18, "left-symmetric-6", NULL, true },
	{ 19, "right-symmetric-6", NULL, true },  { 20, "parity-first-6", NULL, true },
};

static const char *parity_layout_name(uint32_t layout)
{
	for (unsigned i = 0; i < ARRAY_SIZE(parity_layouts); i++) {
		if (parity_layouts[i].layout == layout)
			return parity_layouts[i].name;
	}
	return "unknown";
}

/* "near=2", "n2", ...: 0 where it is none of these. */
static uint32_t raid10_layout(const char *text)
{
	static const struct {
		const char *name, *brief;
		uint32_t base, unit;
	} kinds[] = { { "near=", "n", 0x100, 1 },
		      { "far=", "f", 1, 0x100 },
		      { "offset=", "o", RAID10_LAYOUT_OFFSET | 1, 0x100 } };

	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		size_t skip = strlen(kinds[i].name);
		unsigned long copies;
		char *end;

		if (strncmp(text, kinds[i].name, skip) != 0)
			skip = strncmp(text, kinds[i].brief, 1) == 0 ? 1 : 0;
		if (!skip || !isdigit((unsigned char)text[skip]))
			continue;
		copies = strtoul(text + skip, &end, 10);
		if (!*end && copies >= 2 && copies <= 255)
			return kinds[i].base + (uint32_t)copies * kinds[i].unit;
	}
	return 0;
}

static int parse_parity(int level, const char *text, uint32_t *layout)
{
	for (unsigned i = 0; i < ARRAY_SIZE(parity_layouts); i++) {
		if (parity_layouts[i].raid6 && level != RAID_LEVEL_6)
			continue;
		if (!strcmp(text, parity_layouts[i].name) ||
		    (parity_layouts[i].brief && !strcmp(text, parity_layouts[i].brief))) {
			*layout = parity_layouts[i].layout;
			return 0;
		}
	}
	return -EINVAL;
}

/* As the superblock has it, for what has no name. */
static bool parse_number(const char *text, uint32_t *layout)
{
	char *end;
	unsigned long number;

	if (!isdigit((unsigned char)*text))
		return false;
	number = strtoul(text, &end, 0);
	*layout = (uint32_t)number;
	return !*end && number <= UINT32_MAX;
}

int raid_geometry_layout_parse(int level, const char *text, uint32_t *layout, struct error *error)
{
	const char *expected = NULL;

	*layout = level == RAID_LEVEL_10                           ? 0x102
		  : level == RAID_LEVEL_5 || level == RAID_LEVEL_6 ? 2
								   : 0;
	if (!text || (level > 0 && level != RAID_LEVEL_1 && level != RAID_LEVEL_4 &&
		      parse_number(text, layout)))
		return 0;
	switch (level) {
	case RAID_LEVEL_0:
		if (!strcmp(text, "original") || !strcmp(text, "1"))
			*layout = RAID0_LAYOUT_ORIGINAL;
		else if (!strcmp(text, "alternate") || !strcmp(text, "2"))
			*layout = RAID0_LAYOUT_ALTERNATE;
		else
			expected = "original or alternate";
		break;
	case RAID_LEVEL_10:
		*layout = raid10_layout(text);
		if (!*layout)
			expected = "n, f or o and the number of copies, as in n2";
		break;
	case RAID_LEVEL_5:
	case RAID_LEVEL_6:
		if (parse_parity(level, text, layout))
			expected = "left-symmetric, right-asymmetric, parity-first or the like";
		break;
	default:
		expected = "none: the level has but one";
	}
	return expected ? error_set(error, -EINVAL, "layout \"%s\", expected %s", text, expected)
			: 0;
}

const char *raid_geometry_layout_name(int level, uint32_t layout, char buffer[32])
{
	uint32_t far = raid10_far_copies(layout);

	switch (level) {
	case RAID_LEVEL_0:
		return layout == RAID0_LAYOUT_ORIGINAL    ? "original"
		       : layout == RAID0_LAYOUT_ALTERNATE ? "alternate"
							  : NULL;
	case RAID_LEVEL_5:
	case RAID_LEVEL_6:
		return parity_layout_name(layout);
	case RAID_LEVEL_10:
		if (raid10_near_copies(layout) > 1 && far > 1)
			snprintf(buffer, 32, "near=%u, %s=%u", raid10_near_copies(layout),
				 layout & 0x10000 ? "offset" : "far", far);
		else if (far > 1)
			snprintf(buffer, 32, "%s=%u", layout & 0x10000 ? "offset" : "far", far);
		else
			snprintf(buffer, 32, "near=%u", raid10_near_copies(layout));
		return buffer;
	default:
		return NULL;
	}
}
