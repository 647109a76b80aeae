/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside volume/: volumes that get another type or other images.
 *
 *	raid_convert_plan.c	which of them become what: pure
 *	raid_convert_kinds.c	which layouts belong together
 *	raid_convert_parts.c	room for what is new, and the parts, in memory
 *	raid_convert.c		carries it out
 */
#ifndef TENON_VOLUME_RAID_CONVERT_H
#define TENON_VOLUME_RAID_CONVERT_H

#include "volume/raid_change.h"
#include "volume/volume_raid.h"

#define CONVERT_NEW (-1)

/* What a place of the new array is made of. */
struct convert_place {
	int from; /* the image of the array that it was, or the stripe of a plain volume; CONVERT_NEW: filled from the others */
	bool filled; /* has its data */
};

struct convert_plan {
	const struct lvm_raid_kind
		*kind;  /* of the array that comes of it; NULL: a linear or striped volume */
	unsigned count; /* places, or stripes */
	struct convert_place *places;
	bool keep_metas; /* a mirror that gets more or fewer images keeps the metadata of those that stay */
	uint32_t stripe_size; /* bytes; 0 of mirrors and linear volumes */
	uint64_t region;      /* 0: as it is, or the usual */
	int split;            /* the image that becomes a volume of its own, or CONVERT_NEW */
};

/*
 * What a volume would become. *plan is zero before, and convert_plan_free() is called in both cases. `from` says which
 * of a mirror's images go first when there are to be fewer. 0; -EALREADY for one that is so already; -EOPNOTSUPP for what would move
 * data, with what is possible in `error`; -EINVAL for what cannot be; -ENOMEM.
 */
int lvm_convert_plan(const struct volume_group *group, const struct volume_lv *lv,
		     const struct volume_convert *wish, struct convert_plan *plan,
		     struct error *error);
/* Whether it is that one; NULL is none. */
bool lvm_raid_is_kind(const struct lvm_raid_kind *kind, int level, uint32_t layout);
/* Of levels 5 and 6 the layout of the other level that has its data in the same places; NULL: there is none. */
const struct lvm_raid_kind *lvm_raid_pair(const struct lvm_raid_kind *kind);
/* Options of the commands by which one becomes another that it does not in one step, into `text`; false: who knows. `from` may be NULL for so many plain
 * stripes, and `to` for a plain volume; `name` is what it was called. */
bool lvm_convert_way(const struct lvm_raid_kind *from, unsigned count,
		     const struct lvm_raid_kind *to, const char *name, char *text, size_t size);
void convert_plan_free(struct convert_plan *plan);

/* One on its way. */
struct conversion {
	struct volume_group *group;
	const struct volume_convert *wish;
	struct error *error;
	struct change change;
	struct volume_lv *lv;
	struct convert_plan plan;
	struct lvm_raid raid;               /* what it will be */
	const struct volume_segment *old;   /* of an array or a mirror, or NULL */
	unsigned old_images;                /* what follows these areas is a mirror's log */
	struct volume_lv **images, **metas; /* by place, of what will be */
	struct allocate_place *meta_places; /* of new metadata volumes beside images that stay */
	struct allocate_result fresh;       /* of new images */
	unsigned fresh_count;
	uint32_t image_extents, meta_extents;
	struct block *block; /* keeps it in use */
};

/* How large its parts are, by the plan; before all else. */
void lvm_convert_set_sizes(struct conversion *c);
/* Finds the extents for all that is new. -ENOSPC, -ENOMEM. */
int lvm_convert_find_room(struct conversion *c);
/* Makes of the volume and its parts in memory what they will be; the change keeps what they were. -ENOMEM. */
int lvm_convert_parts(struct conversion *c);

/* Whether some of the volume is on the PV. */
bool lvm_lv_lies_on(const struct volume_lv *lv, const struct volume_pv *pv);

#endif
