/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RAID segments: "raid1", "raid6_zr", ... in the metadata. A volume of one lies on hidden volumes, an image (NAME_rimage_N) and, but for
 * raid0, a metadata volume (NAME_rmeta_N) for each place of the array, which is dm-raid's (raid/dm_raid.h). The segment's `areas` are
 * the images, its `metas` the metadata volumes.
 *
 *	segment_raid.c	the metadata
 *	active_raid.c	the array of a volume in use
 *	raid_create.c	new ones, and other sizes
 *	raid_repair.c	images that are lost are replaced
 *	raid_track.c	an image that is split off for a while
 *
 * Sources: lvm2 lib/raid/raid.c and lib/metadata/{raid_manip.c,lv_manip.c}.
 */
#ifndef TENON_VOLUME_SEGMENT_RAID_H
#define TENON_VOLUME_SEGMENT_RAID_H

#include "raid/sync.h"
#include "volume/segment.h"

/* Volumes on volumes: fits a fiber's stack, and what block requests note. */
#define LVM_STACKED_MAX 8u

/* One of lvm2's types. */
struct lvm_raid_kind {
	const char *name;
	int level; /* as dm-raid's superblocks have it: raid4 is a layout of level 5 */
	uint32_t layout;
	unsigned parity;          /* images that hold no data; 0 of mirrors */
	unsigned default_stripes; /* images with data */
};

/* What is particular to a RAID segment. */
struct lvm_raid {
	const struct lvm_raid_kind *kind;
	uint64_t region; /* bytes; 0 at raid0 */
	unsigned copies; /* of raid10 */
	struct raid_speed
		speed; /* bytes of each image a second; 0: as an array has it that says nothing */

	/* Extents of each image that data are moved by in a reshape, and that lvm2 keeps after it; the segment has as many more for each
	 * image with data. At which end of the images they are only superblocks say. */
	uint32_t room;
	/* A reshape is to begin as soon as the array runs, from that data offset in bytes. */
	bool begins;
	uint64_t begins_at;
};

extern const struct lvm_segment_type lvm_segment_raid;

/* NULL: none is called so. */
const struct lvm_raid_kind *lvm_raid_kind_find(const char *name);

/* Images that hold different data, of `images` in all. */
unsigned lvm_raid_data_images(const struct lvm_raid *raid, unsigned images);
/* Extents that a segment has for others, without the room for reshapes. */
uint32_t lvm_raid_extents(const struct volume_segment *segment);
/* Whether a place is only for as long as a reshape to fewer images needs it, or comes with one that is to begin. */
bool lvm_raid_removed(const struct volume_segment *segment, unsigned place);
bool lvm_raid_added(const struct volume_segment *segment, unsigned place);
/* Whether it is between the two commits with which a reshape begins, or the room is given back. */
bool lvm_raid_is_to_begin(const struct volume_segment *segment);
/* Extents of each image of a volume with so many. */
uint32_t lvm_raid_image_extents(const struct lvm_raid *raid, unsigned images, uint32_t extents);

/* The RAID segment that a volume is, or NULL. */
const struct volume_segment *lvm_lv_raid(const struct volume_lv *lv);

/* Whether the volume, of which parts are lost, has all data without them; and without the places that are in `gone`, too. */
bool lvm_raid_survives(const struct volume_segment *segment);
bool lvm_raid_survives_without(const struct volume_segment *segment, const bool *gone);

/* Whether an image is split off for a while (raid_track.c): the array does without it. */
bool lvm_raid_tracked(const struct volume_area *area);

/* Whether what a part of an array lies on is gone: a PV, or an error segment that lvm2 left in its place. */
bool lvm_raid_part_lost(const struct volume_lv *part);

#endif
