/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an array knows of how its superblocks are kept. In memory there is one kind, struct md_superblock; a member has the
 * block with its data and the one with its metadata, which are the same for md's own versions.
 *
 *	metadata.c	versions 1.0, 1.1 and 1.2
 *	metadata_90.c	version 0.90
 *	metadata_dm.c	dm-raid's
 */
#ifndef TENON_RAID_METADATA_H
#define TENON_RAID_METADATA_H

#include <stdbool.h>
#include <stdint.h>

struct raid_array;
struct raid_member;

struct raid_metadata_ops {
	const char *name;      /* for people */
	uint32_t most_devices; /* numbers of devices are smaller */
	bool behind_places;    /* who is not in sync has a number behind those of the places */
	bool replacements;     /* a member and its replacement can be told apart */
	bool adding;           /* a device can be added by itself */
	bool grows;            /* members may have become larger since, and the bitmap not */
	bool says_dirty; /* that writes are in flight; else only the bitmap tells, which is always there */
	uint64_t
		clean_events; /* then: a bitmap is so many events ahead where none were, and its bits are of members that are away */

	/* Writes what member->sb says to its place, durably. Suspends. 0 or a negative errno. */
	int (*write)(struct raid_member *member);

	/* What bitmaps of the array carry. Pure. */
	void (*bitmap_uuid)(const struct raid_array *array, uint8_t uuid[16]);
};

extern const struct raid_metadata_ops raid_metadata_1, raid_metadata_90, raid_metadata_dm;

/* By md_superblock.minor_version. */
const struct raid_metadata_ops *raid_metadata_of(unsigned minor_version);

#endif
