/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a reshape in place writes over, kept elsewhere meanwhile: in a file, or at the end of members that are new; see reshape_backup.c, and
 * md_backup.h for the format.
 */
#ifndef TENON_RAID_RESHAPE_BACKUP_H
#define TENON_RAID_RESHAPE_BACKUP_H

#include "raid/array.h"
#include "raid/md_backup.h"

struct raid_backup_place {
	struct block *block; /* a reference */
	bool is_member;
	uint64_t data;  /* byte of the first area */
	uint64_t again; /* byte of the header behind it; 0: there is none */
};

/* What has to be written to the new shape before anything else: sectors of the array, and where they are in which place. */
struct raid_backup_held {
	uint64_t from, to, byte;
	unsigned place;
};

/* array->backup. */
struct raid_backup {
	struct raid_array *array;
	struct raid_backup_place *places;
	unsigned count;
	uint64_t area; /* sectors of an area */
	unsigned areas;
	struct md_backup
		said; /* what it says, durably; unless `unsure`: being written, or after a write that failed */
	bool unsure;
	bool is_new; /* nothing was written for it: see raid_backup_begin() */
	struct raid_backup_range {
		uint64_t from, to;
	} maybe; /* then it holds nothing beyond these sectors */
	struct fiber_mutex lock;
	struct raid_backup_held held
		[2]; /* as found at assembly, in the order in which they are to be restored; or the part that was not moved to its end */
	unsigned held_count;
};

/* Bytes of a file for areas of so many sectors. */
uint64_t raid_backup_bytes(unsigned areas, uint64_t area);

/*
 * At assembly, where places are known and the level was started: finds the backup of a reshape in place, in those of the files that carry the
 * array's UUID, or on new members, and what of it is needed. Nothing is written: where an empty file or one with an invalid backup will do, and the
 * array is not read_only, the backup is_new. 0; -ENODEV, -EINVAL, -ESTALE or the error of a read with `error` set: it cannot go on. Suspends.
 */
int raid_backup_load(struct raid_array *array, const struct raid_assemble_options *options,
		     struct error *error);

/* Of reshape_backup.c and reshape_backup_find.c: one without places; a place more (`again` 0: of a file); its end; where on a member an area of
 * so many sectors is, at the end of its data, with a header before it and one behind. */
struct raid_backup *raid_backup_make(struct raid_array *array, unsigned places, uint64_t area);
void raid_backup_add_place(struct raid_backup *backup, struct block *block, uint64_t data,
			   uint64_t again);
void raid_backup_drop(struct raid_backup *backup);
uint64_t raid_backup_place_on(const struct raid_member *member, uint64_t area);

/* For one that is to begin: in `file` or, where that is NULL, on the `spares` spares that will be new members; `backwards` as the array will be.
 * 0, and array->backup is_new; or a negative errno with `error` set, and there is none. */
int raid_backup_prepare(struct raid_array *array, struct block *file, unsigned spares,
			uint64_t area, bool backwards, struct error *error);
/* One that is_new says that it has nothing at this position; 0 or a negative errno with `error` set. Suspends. */
int raid_backup_begin(struct raid_array *array, uint64_t position, struct error *error);

/* Superblocks say no time that is much later than that of what is held, which would be refused then: array->utime_most. */
void raid_backup_bound_time(const struct raid_backup *backup);

/* Frees array->backup; NULL is fine. raid_backup_end() has it forgotten before, and no file found again. */
void raid_backup_free(struct raid_array *array);
void raid_backup_end(struct raid_array *array);

/* Bytes of the array's sectors [from, to), at most an area, which may be written over when it returns 0; what was held before may be so, too,
 * as far as the old shape goes: it is held no more. Suspends. */
int raid_backup_save(struct raid_backup *backup, uint64_t from, uint64_t to, const void *bytes);

/* Nothing is held any more. Needed before the array's data there may change. 0, or a negative errno. Suspends. */
int raid_backup_forget(struct raid_backup *backup);

/* Nothing is held at the position to which superblocks are about to come. 0, or a negative errno. Suspends. */
int raid_backup_note(struct raid_backup *backup, uint64_t position);

/* Whether exactly these sectors are held; whether any of these may be. Pure. */
bool raid_backup_has(const struct raid_backup *backup, uint64_t from, uint64_t to);
bool raid_backup_overlaps(const struct raid_backup *backup, uint64_t from, uint64_t to);

/* What is saved of these sectors is all there is of them: they were being written over, and that did not come to its end. Until they are
 * restored (held_count) they are read from there, and nobody writes to them. */
void raid_backup_rely_on(struct raid_backup *backup, uint64_t from, uint64_t to);

/* Bytes of what is held, to be restored: reads them. Suspends. */
int raid_backup_read(struct raid_backup *backup, const struct raid_backup_held *held,
		     uint64_t offset, void *bytes, uint64_t length);

/* Where what is held was not restored: puts it over what was read of the array. Suspends. */
int raid_backup_lay_over(struct raid_backup *backup, uint64_t offset, uint64_t length,
			 const struct iovec *iov, unsigned count);

#endif
