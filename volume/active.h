/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Volumes in use. Of each volume there is one active object, hidden volumes included, however often it is opened and
 * whatever lies on it: one table from bytes of the volume to bytes of what is below (PVs, other volumes), and at most two
 * blocks over it, one for reading and one for writing, which all that open it share by counted references.
 *
 * States: absent (private->active NULL), active (a table, at least one block), changing (a second table, `next`, from
 * lvm_active_prepare() to lvm_active_swap()). Made by an open, changed by changes, which the group's lock keeps apart,
 * and freed with the last reference, at any time; while its array is being stopped it is `closing`, and who opens the volume
 * waits. The new table is complete before the metadata are committed, so that
 * what follows the commit cannot fail.
 */
#ifndef TENON_VOLUME_ACTIVE_H
#define TENON_VOLUME_ACTIVE_H

#include "block/block.h"
#include "volume/segment.h"

/* One place: byte `offset` of `lower`. */
struct lv_area {
	struct block *lower; /* a reference */
	uint64_t offset;
};

struct lv_segment {
	uint64_t start, length; /* bytes of the volume */
	uint64_t stripe_size;   /* 0: linear */
	unsigned area_count;
	unsigned first_area; /* in the table's areas */
};

/* What a volume's segments say, in bytes. Replaced as a whole when the volume changes. */
struct lv_table {
	unsigned segment_count, area_count;
	struct lv_segment *segments;
	struct lv_area *areas;
	struct block **devices; /* that the areas lie on, each once: what a flush goes to */
	unsigned device_count;
	struct lvm_array *array; /* of a RAID volume, one reference; its block is the only area */
	bool writable;           /* the array is, and what it lies on */
};

/* Builds it from the segments in memory, or says why that cannot be. Opens the volumes that this one lies on. A RAID
 * volume's array is assembled, writable or not, unless it is `array`. Suspends. */
int lv_table_build(struct volume_group *group, const struct volume_lv *lv, bool writable,
		   struct lvm_array *array, struct lv_table *table, struct error *error);
/* An empty one with room. 0 or -ENOMEM; lv_table_free() in both cases. */
int lv_table_allocate(struct lv_table *table, unsigned segments, size_t areas);
/* Stops an array whose last user it was: suspends then. */
void lv_table_free(struct lv_table *table);

/* For segment types: there is room for all segments and areas of the volume. */
void lv_table_add_segment(struct lv_table *table, uint64_t start, uint64_t length,
			  uint64_t stripe_size, unsigned area_count);
/* `length` bytes of the PV or volume that the area is on. -ENXIO, -ENOTUNIQ, ...: it cannot be used. */
int lv_table_add_area(struct lvm_activation *activation, const struct volume_area *area,
		      uint64_t length, struct error *error);
/* All of a block, on which it takes a reference. */
void lv_table_add_block(struct lv_table *table, struct block *lower);
/* A RAID volume's only segment and area: takes the reference over. */
void lv_table_add_array(struct lv_table *table, struct lvm_array *array, uint64_t length);
/* Whether each byte lies in the same place by both. */
bool lv_table_equal(const struct lv_table *one, const struct lv_table *other);
/* Where a byte of the volume lies. */
void lv_table_map(const struct lv_table *table, uint64_t offset, uint64_t length,
		  struct block_extent *extent);

/* As `stripes` of block.h. */
bool lv_table_stripes(const struct lv_table *table, uint64_t offset, struct block_stripes *out);

/* A reference on the block of a volume, without the checks of volume_open_lv(). */
int lvm_active_open(struct volume_group *group, struct volume_lv *lv, bool writable,
		    struct block **out, struct error *error);

/* The array of a RAID volume that is open, or NULL. */
struct raid_array *lvm_active_raid(const struct volume_lv *lv);

/* Waits for one that is just being closed. */
void lvm_active_settle(const struct volume_group *group, const struct volume_lv *lv);

/* Whether what the volume lies on can be written to: -EROFS. */
int lvm_active_check_writable(const struct volume_group *group, const struct volume_lv *lv,
			      struct error *error);

/* Its blocks, while requests wait. */
struct lvm_hold {
	struct block *blocks[2];
};

/* Has requests of all users of a volume wait, and what they have written durable. lvm_active_release() is called in both cases. Suspends. */
int lvm_active_hold(struct volume_lv *lv, struct lvm_hold *hold, struct error *error);
void lvm_active_release(struct lvm_hold *hold);

/*
 * Has a volume in use follow its segments: prepare builds the new table from the segments in memory, beside the one
 * in use, and refuses what an open volume must not become; swap puts it in place (`made`) or drops it, and cannot
 * fail. Both do nothing for volumes that are not in use. Swap suspends.
 *
 * A RAID volume whose array becomes another one is the exception, since two arrays must not have the same members: swap stops the array and
 * assembles it anew, while requests wait. Should that fail, the volume answers -EIO until it is opened again, and the
 * group's problems say why.
 */
int lvm_active_prepare(struct volume_group *group, struct volume_lv *lv, struct error *error);
void lvm_active_swap(struct volume_lv *lv, bool made);

/* Whether somebody waits for it now; requests that other workers carry out by themselves (view.h) are not seen. */
bool lvm_active_has_requests(const struct volume_lv *lv);

#endif
