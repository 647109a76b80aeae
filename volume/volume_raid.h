/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RAID volumes, beyond what volumes of all types have. While one is open its array runs (raid.h): resyncs and recoveries go on by
 * themselves where it was opened for writing.
 */
#ifndef TENON_VOLUME_VOLUME_RAID_H
#define TENON_VOLUME_VOLUME_RAID_H

#include "raid/sync.h"
#include "volume/volume.h"

struct block;
struct error;
struct raid_array;

/* Whether it is one that can be opened. */
bool volume_lv_is_raid(const struct volume_lv *lv);

/* Whether it opens for reading only: its type, lvm2's older "mirror", is not written to, a reshape of it is to begin, or a device that it lies on
 * became shorter. */
bool volume_lv_reads_only(const struct volume_lv *lv);

/* Whether parts of it are lost, and it has all data without them: it opens, and can be repaired. */
bool volume_lv_degraded(const struct volume_lv *lv);

/* Opens one for its array's sake, as volume_open_lv() does for writing, whether or not its data may be written to (snapshots that depend on it see the
 * same): what is not in sync becomes so, or is repaired. The caller writes nothing through `out` to a volume that is read-only. */
int volume_open_for_upkeep(struct volume_group *group, const char *name, struct block **out,
			   struct error *error);

/* Whether a reshape of it is committed and has not begun, or the room for one is to be given back: until volume_lv_begin() or volume_lv_repair() it opens for reading only. */
bool volume_lv_is_to_begin(const struct volume_lv *lv);

/* Bytes of each image that a reshape needed and that are kept, or 0. Once that is over volume_lv_convert() to the type that it has gives them back. */
uint64_t volume_lv_reshape_room(const struct volume_group *group, const struct volume_lv *lv);

/* Begins it: superblocks say so, and then the group need not; the array moves data while it is open for writing. 0 where there is none that is to begin. */
int volume_lv_begin(struct volume_group *group, const char *name, struct error *error);

/* What the group says of its recovery rate, in bytes of each image a second; 0: nothing. */
struct raid_speed volume_lv_speed(const struct volume_lv *lv);

/* The array of one that is open, which is good until that or a change suspends; NULL: it is not open. */
struct raid_array *volume_lv_array(const struct volume_lv *lv);

/*
 * Puts new images in the places of those that are lost, on other PVs (of `options`, which may be NULL, only `pvs` and `ranges` are looked at), and has the
 * array fill them: that goes on while the volume is open. Also while PVs of the group are missing; they are marked so, and nothing of
 * this volume is on them any more. *replaced is how many; 0 is fine.
 * -EOPNOTSUPP: no RAID, or raid0; -ENXIO, -ENODEV: what is left has not all data; -ENOSPC: no PV for one; and as for any change.
 */
int volume_lv_repair(struct volume_group *group, const char *name,
		     const struct volume_lv_options *options, unsigned *replaced,
		     struct error *error);

/*
 * The same for images that are on these PVs, which need not be lost: as `lvconvert --replace`. Until the new ones are filled the volume is without
 * their redundancy. -EINVAL: nothing of it is on them; -EBUSY: the others have not all data, or would not without these.
 */
int volume_lv_replace(struct volume_group *group, const char *name, struct volume_pv *const *from,
		      unsigned from_count, const struct volume_lv_options *options,
		      unsigned *replaced, struct error *error);

/*
 * Splits an image of a mirror off for a while, as `lvconvert --splitmirrors 1 --trackchanges`: the last of those on `pvs`, or of all. It keeps its name,
 * *image_name, good until the group changes, and is a volume that is read only; the others note what it misses. -EOPNOTSUPP: no raid1; -EBUSY: one is split
 * off already, or they do not agree yet; -EINVAL: none is there, or it has one image.
 */
int volume_lv_track(struct volume_group *group, const char *name, struct volume_pv *const *pvs,
		    unsigned pv_count, const char **image_name, struct error *error);
/* Puts that image back, which is filled with what it missed while the volume, *merged, is open. -EINVAL: it is no such image; -EBUSY: somebody reads it. */
int volume_lv_merge(struct volume_group *group, const char *name, const char **merged,
		    struct error *error);

enum volume_reshape_step {
	VOLUME_RESHAPE_NONE,
	VOLUME_RESHAPE_BEGUN, /* data are moved from now on, while the volume is open for writing */
	VOLUME_RESHAPE_DROPPED,  /* images that a reshape has left are gone */
	VOLUME_RESHAPE_RELEASED, /* the room that a reshape needed is free */
};

/* What was done, where it was a reshape. */
struct volume_reshaped {
	enum volume_reshape_step step;
	unsigned before,
		images; /* places of the array that have data, before and when it is over */
	uint64_t room;  /* bytes of each image that it takes, or that are free */
	uint64_t moved; /* bytes that are moved, at most */
	uint64_t size;  /* of the volume when it is over */
};

/* What a volume is to become. */
struct volume_convert {
	const char *
		type; /* by lvm2's names; "linear", "striped" too; NULL: as many mirrors as are said */
	unsigned
		mirrors; /* beside the first image, of linear volumes and raid1; 0: none, with a type: as many as there are */
	const char
		*split_name;  /* an image of raid1 becomes a volume of that name; NULL: none does */
	uint64_t region_size; /* 0: as it is, or the usual */
	uint32_t stripe_size; /* 0: as it is, or the usual */
	unsigned stripes;     /* of levels 4, 5, 6 and 10; 0: as many as there are */
	bool force;           /* fewer stripes: what is beyond the new end is lost */
	struct volume_pv *const *pvs; /* that new images may be on; of fewer: those that go */
	unsigned pv_count;
	struct volume_reshaped *reshaped; /* unless NULL: filled in where it is a reshape */
};

/*
 * Gives a volume another type or number of images, as lvconvert does: what needs no reshape at once, and what is new is made from the data
 * while the volume is open. Another number of stripes, stripe size or layout begins a reshape, which goes on while it is open for writing; once
 * that is over the same shape asked for again lets go of images without data, and then gives back the room that it needed. The volume may be in
 * use; its users do not notice, but for fewer stripes, for which it must not be. Old or new after a cut of power.
 * -EALREADY: it is so; -EOPNOTSUPP: not in one step; -EBUSY: images that are to stay have not all data yet; -ENOSPC; and as for any
 * change.
 */
int volume_lv_convert(struct volume_group *group, const char *name,
		      const struct volume_convert *wish, struct error *error);

#endif
