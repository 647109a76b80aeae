/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Volumes of lvm2's older type "mirror", which the kernel's dm-mirror runs: two or more hidden volumes with the same data (NAME_mimage_N),
 * and a log of which regions of them agree: on a hidden volume (NAME_mlog, which may be a mirror itself), or in memory only ("core").
 *
 *	in sync		the log's bit of the region is set: all legs have the same
 *	not in sync	it was being written, or not copied yet: the first leg decides, and others are of no account
 *
 * The first leg always has all data that were flushed: what dm-mirror could not write to it was not acknowledged. They are opened for reading, with
 * the first leg or, where the log says that all agree, any other. They are not written to: raid1 does what they do and keeps better account, so such a
 * volume is converted first (raid_convert.h), for which no data are moved.
 *
 * The segment's `areas` are the legs and, behind them, the log where there is one.
 *
 *	segment_mirror.c	pvmoves, which have the same name in the metadata
 *	mirror_segment.c	the metadata
 *	mirror_log.c		the log
 *	mirror_block.c		reading
 *	mirror_change.c		removed, renamed
 *
 * Sources: lvm2 lib/mirror/mirrored.c and lib/metadata/mirror.c; drivers/md/dm-log.c and dm-raid1.c of Linux 6.1.
 */
#ifndef TENON_VOLUME_MIRROR_H
#define TENON_VOLUME_MIRROR_H

#include "volume/change.h"
#include "volume/segment.h"

#define LVM_MIRROR_LEGS 16u /* dm-mirror has 9 */

struct lvm_mirror {
	unsigned legs;
	uint64_t region; /* bytes */
	bool log;        /* on the area behind the legs; else in memory */
};

extern const struct lvm_segment_type lvm_segment_mirror;

/* The segment of a volume that is one, be it a hidden one; or NULL. */
const struct volume_segment *lvm_lv_mirror(const struct volume_lv *lv);

/* Whether what is left may have all data: whether it has, the log says when it is opened. `depth`: of mirrors in mirrors, 0 at first. */
bool lvm_mirror_may_survive(const struct volume_segment *segment, unsigned depth);

/* Its `activate`. */
int lvm_mirror_activate(struct lvm_activation *activation, const struct volume_segment *segment,
			struct error *error);

/* ---- The log ---- */

/* Which regions agree: of `regions` bits, all clear unless a log says otherwise. */
struct lvm_mirror_map {
	uint64_t regions, in_sync;
	uint8_t *bits;
};

/* What a volume's log says. One that is lost or cannot be read, and none, say nothing. 0; -EBADMSG for a log that dm-mirror does not take,
 * -ENOMEM, or why it does not open; lvm_mirror_map_free() in all cases. Suspends. */
int lvm_mirror_map_read(struct volume_group *group, const struct volume_lv *lv,
			struct lvm_mirror_map *map, struct error *error);
void lvm_mirror_map_free(struct lvm_mirror_map *map);
/* Whether [first, last] agree. */
bool lvm_mirror_map_agrees(const struct lvm_mirror_map *map, uint64_t first, uint64_t last);

/* A log's first 1024 bytes: how many of its bits count, at most `regions`. Pure. 0, or -EBADMSG with `error` set. */
int lvm_mirror_log_decode(const void *at, const char *name, uint64_t regions, uint64_t *valid,
			  struct error *error);
#define LVM_MIRROR_LOG_BITS 1024u /* the byte at which bits begin */

/* ---- Changes ---- */

/* The volume and all of its parts go. -ENOMEM. */
int lvm_mirror_drop(struct change *change, struct volume_lv *lv);

#endif
