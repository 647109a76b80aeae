/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside volume/: RAID volumes that are made and changed; see raid_create.c, raid_change.c, raid_repair.c. */
#ifndef TENON_VOLUME_RAID_CHANGE_H
#define TENON_VOLUME_RAID_CHANGE_H

#include "volume/allocate.h"
#include "volume/change.h"
#include "volume/segment_raid.h"

struct raid_status;

#define LVM_RAID_NAME 160 /* of a part, with its NUL */

/* Plans a new volume of options->type at the end of the list in memory, with its parts. Computes; see lvm_vg_compute(). */
int lvm_raid_plan(struct change *change, const char *name, const struct volume_lv_options *options,
		  struct volume_lv **out, struct error *error);

/* Has the metadata volumes of the array say nothing: it is a new one. Durable. Suspends. */
int lvm_raid_clear_metas(struct volume_group *group, const struct volume_lv *lv,
			 struct error *error);
/* The same of one of them. */
int lvm_raid_clear_meta(struct volume_group *group, struct volume_lv *meta, struct error *error);

/* A part of `lv`, "NAME_rimage_2", with the status READ, WRITE and (unless NULL) `more`, in the group. -ENOMEM. */
struct volume_lv *lvm_raid_new_part(struct change *change, const char *lv, const char *kind,
				    unsigned number, const char *more);

/* Extents of a metadata volume of images with so many. */
uint32_t lvm_raid_meta_extents(const struct volume_group *group, uint64_t region,
			       uint32_t image_extents);

/* A bitmap's region for a volume with so many extents: `region` (0: the usual), or more where there would be too many. */
uint64_t lvm_raid_region(const struct volume_group *group, uint64_t region, uint32_t extents);

/* Whether so many images of a volume of that name may be called as they are: 0, or -EEXIST where one that is no part of `lv` (or NULL) is. */
int lvm_raid_check_part_names(const struct volume_group *group, const char *name,
			      const struct volume_lv *lv, unsigned images, struct error *error);

/* No image has the status REBUILD any more: a commit where one had. */
int lvm_raid_clear_rebuild(struct volume_group *group, struct volume_lv *lv, struct error *error);

/* Room for `images` parts, each on PVs of its own and none of `avoid`, with blocks as large as its, in *result. -ENOSPC, -ENOMEM. */
int lvm_raid_place(const struct volume_group *group, const struct volume_lv_options *options,
		   const struct volume_lv *avoid, unsigned images, uint32_t extents,
		   struct allocate_result *result);

/* Gives column `column` of places to `meta` (its first `meta_extents`, NULL: none) and `image`. -ENOMEM. */
int lvm_raid_give(struct volume_group *group, const struct allocate_result *places, unsigned images,
		  unsigned column, struct volume_lv *meta, uint32_t meta_extents,
		  struct volume_lv *image);

/* Gives the volume a copy of its segment that may be changed; the old one stays as it is. NULL without memory. */
struct volume_segment *lvm_raid_copy_segment(struct volume_group *group, struct volume_lv *lv);

/* Of volume_lv_remove(), _rename() and _resize(), for a volume that lvm_lv_raid() knows; renamed are mirrors, too. */
int lvm_raid_drop(struct change *change, struct volume_lv *lv);
int lvm_raid_rename(struct change *change, struct volume_lv *lv, const char *new_name,
		    struct error *error);
/* Gives a part the name that `lv`'s of that kind has at that place: 0 or -ENOMEM. Who lies on it has still to be told (lv_name). */
int lvm_raid_name_part(struct change *change, const char *lv, struct volume_lv *part,
		       const char *kind, unsigned number);
int lvm_raid_resize(struct change *change, struct volume_lv *lv, uint64_t size,
		    const struct volume_lv_options *options, struct error *error);

/* Gives each of the first `images` images of an array `more` extents behind its end, on the PV that it is on. -ENOSPC, -ENOMEM. */
int lvm_raid_grow_images(struct change *change, const struct volume_segment *segment,
			 unsigned images, uint32_t more, struct error *error);

/* Segments of a part, in a copy, get other flags behind their type, or none. The change keeps the part. -ENOMEM. */
int lvm_raid_set_flags(struct change *change, struct volume_lv *part, const char *flags);

/* Of volume_lv_set(): whether it has such a recovery rate, in memory, and for the array that runs. -EOPNOTSUPP, -EINVAL; -ENOMEM. */
int lvm_raid_check_speed(const struct volume_group *group, const struct volume_lv *lv,
			 const struct volume_settings *settings, struct error *error);
int lvm_raid_plan_speed(struct volume_group *group, struct volume_lv *lv,
			const struct volume_settings *settings);
void lvm_raid_apply_speed(const struct volume_lv *lv, const struct volume_settings *settings);

/* Superblocks say that a reshape has begun: the group says so no more, as lvm2's second commit. -ENOMEM. */
int lvm_raid_forget_beginning(struct change *change, struct volume_lv *lv);

/* Volumes that are reshaped, or keep room for that, get no other size or level: 0, or -EBUSY. */
int lvm_raid_refuse_reshaped(const struct volume_group *group, const struct volume_lv *lv,
			     struct error *error);

/* ---- An image that is split off for a while ---- */

/* Then a volume is not changed otherwise: 0, or -EBUSY. */
int lvm_raid_refuse_tracked(const struct volume_group *group, const struct volume_lv *lv,
			    struct error *error);
/* Whether nobody reads it: 0, or -EBUSY. */
int lvm_raid_check_tracked_closed(const struct volume_group *group, const struct volume_lv *lv,
				  struct error *error);

/* What an array says of the image at a place; NULL: it does without one there. */
const struct raid_member_status *lvm_raid_member(const struct raid_status *status, unsigned place);
/* Whether it says that the image has all data. */
bool lvm_raid_is_in_sync(const struct raid_status *status, unsigned place);
/* Whether all images of an array that runs, but those in `gone` (NULL: none), have all data and agree: 0, or -EBUSY. */
int lvm_raid_check_in_sync(const struct volume_group *group, const struct volume_lv *lv,
			   const bool *gone, struct error *error);

#endif
