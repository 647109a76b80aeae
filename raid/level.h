/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a RAID level implements. The generic parts (superblocks, bitmap, rebuild) know levels only
 * through this table; a level is one file more.
 *
 * All functions run on fibers of the array's worker, and where it says so may suspend. Sectors are of
 * 512 bytes. There are two counts of them: "member sectors" from the start of a member's data, and "array
 * sectors". What a resync has reached, what a check goes over and what the bitmap's bits stand for is in the
 * level's sync sectors, which are those of the member where all members are alike (RAID1, 4, 5, 6) and those
 * of the array at RAID10; a recovery always goes over member sectors. What a lock's sectors are is for the
 * level to say: nobody else takes them.
 *
 * A level either maps (linear, RAID0): it says where sectors are and does nothing itself, has no redundancy, is
 * never dirty, never locked, and has no bitmap; or it works: reads, writes, syncs.
 */
#ifndef TENON_RAID_LEVEL_H
#define TENON_RAID_LEVEL_H

#include <stdbool.h>
#include <stdint.h>

#include "block/block.h"
#include "raid/geometry.h"
#include "raid/md_format.h"
#include "raid/raid.h"

struct raid_array;
struct raid_member;

/* A set of places. */
struct raid_set {
	uint64_t bits[(MD_MAX_DEVICES + 63) / 64];
};

static inline bool raid_set_has(const struct raid_set *set, uint32_t place)
{
	return set->bits[place / 64] >> (place % 64) & 1;
}

static inline void raid_set_add(struct raid_set *set, uint32_t place)
{
	set->bits[place / 64] |= 1ull << (place % 64);
}

enum raid_write_kind { RAID_WRITE_DATA, RAID_WRITE_ZEROES, RAID_WRITE_DISCARD };

/* One request that changes the array. */
struct raid_write {
	enum raid_write_kind kind;
	uint64_t offset, length; /* bytes */
	const struct iovec *iov; /* RAID_WRITE_DATA only */
	unsigned count;
	unsigned flags; /* BLOCK_FUA, BLOCK_MAY_UNMAP, BLOCK_STABLE */
};

/* A part of a resync, recovery or scrub, for one of its fibers. */
struct raid_sync {
	struct raid_array *array;
	enum raid_operation operation;
	uint64_t sector, count; /* member sectors for RAID_RECOVER, else sync sectors */
	uint8_t **buffers;      /* sync_buffers() of them, each of RAID_REBUILD_SECTORS */
	bool force;             /* repair: also where nobody can know which member is wrong */
	uint64_t mismatches;    /* out: bytes that differed; check and repair */
	uint64_t
		unresolved; /* out: of these, that a repair left, since nobody can know who is wrong */
	uint64_t skipped; /* out: bytes that not all members could be compared in */
};

struct raid_level_ops {
	int level;

	/* Called once, when members are known and before anything else: checks the geometry, makes the level's
	 * state, sets array->sectors, and array->sync_sectors where it works. 0 or a negative errno with
	 * `error` set. Does not suspend. */
	int (*start)(struct raid_array *array, struct error *error);
	/* Optional: what a log says is done, before anything is read or written; may find that there is nothing left to
	 * resync. With `look` what is written is kept in memory: -EROFS where that is too much. Suspends. 0, or a negative
	 * errno with `error` set. */
	int (*replay)(struct raid_array *array, bool look, struct error *error);
	/* Optional: what of the journal (array->journal) is still needed begins at this sector once all members are flushed. */
	uint64_t (*checkpoint)(const struct raid_array *array);
	/* Optional: makes ready a device that is laid out and becomes a spare. Suspends. 0 or a negative errno. */
	int (*prepare)(struct raid_member *member);
	/* Optional, together. Whether the array can have a journal of so many sectors on the device `name`: 0, or a negative errno with
	 * `error` set; pure. And: it has another journal than before (array->journal), a partial parity log or none, by its features. Nobody is in the array;
	 * does not suspend. 0, or a negative errno with `error` set (never where it is to have none), after which there is none. */
	int (*check_journal)(const struct raid_array *array, const char *name, uint64_t sectors,
			     struct error *error);
	int (*set_log)(struct raid_array *array, struct error *error);
	/* Optional: frees array->level_state. No request is there any more, but members are. */
	void (*stop)(struct raid_array *array);
	/* Optional, at levels that work: array->now has another member_sectors, or at RAID1 other disks: sets array->sectors and
	 * sync_sectors. Nobody is in the array. Does not suspend. */
	int (*resize)(struct raid_array *array, struct error *error);
	/* Optional: changes the limits of the array's block, which are those of its members. */
	void (*limits)(struct raid_array *array);

	/* Whether all data can be had without the members of these places. Pure. */
	bool (*survives)(const struct raid_array *array, const struct raid_set *absent);

	/* ---- A level that maps ---- */

	/* As block_ops.map(). */
	int (*map)(struct raid_array *array, enum block_kind kind, uint64_t offset, uint64_t length,
		   struct block_extent *extent);

	/* ---- A level that works ---- */

	/* Optional: members in sync cannot disagree, since each has data that no other has. Pure. */
	bool (*agrees)(const struct raid_array *array);

	/* Optional: whether this member in sync alone has some of the data, since the bad-block logs of all
	 * others name it; such a part, in array sectors. Pure. */
	bool (*holds_alone)(const struct raid_array *array, const struct raid_member *member,
			    uint64_t *sector, uint64_t *count);

	/* A read; takes care of errors of members. Suspends. */
	int (*readv)(struct raid_array *array, uint64_t offset, uint64_t length,
		     const struct iovec *iov, unsigned count);

	/* A write, with the array marked dirty. What goes to members stands in a bracket (see array.h), in one
	 * for each write or in one for several. Must have failed each member that it could not write
	 * (raid_member_fail()) when it ends the bracket. Suspends. */
	int (*write)(struct raid_array *array, const struct raid_write *write);

	/* Optional: as block_ops.start() for reads and writes, of which it does the whole: done() is never called with
	 * -EAGAIN. Counts them by raid_request_begin() or raid_write_begin(), and starts no write to an array
	 * that is not dirty. */
	bool (*start_transfer)(struct raid_array *array, struct block_work *work);

	/* As block_status(). */
	int (*status)(struct raid_array *array, uint64_t offset, uint64_t *length,
		      enum block_status *status);

	/* Optional: makes durable what was written; without it all active members are flushed. Suspends. */
	int (*flush)(struct raid_array *array);

	/* How many buffers one fiber of a sync needs. Pure. */
	unsigned (*sync_buffers)(const struct raid_array *array);

	/* Optional, where member sectors are no sync sectors: which sync sector a member's sector has, UINT64_MAX
	 * for none; shortens *count to how far that goes on. Pure. */
	uint64_t (*sync_sector)(const struct raid_array *array, const struct raid_member *member,
				uint64_t sector, uint64_t *count);

	/* Brings a part in sync, or compares it; called by rebuild.c, several parts at a time. Locks what it goes
	 * over by raid_sync_lock(). For RAID_RECOVER fills the members that are REBUILDING and targets.
	 * Suspends. 0, or the error that ends the operation; members that fail are failed and no error. */
	int (*sync)(struct raid_array *array, struct raid_sync *sync);

	/* Optional: what of a shape, which raid_geometry_check() accepts, the level cannot go to. 0, or a negative errno with `error`
	 * set. Pure. */
	int (*check_reshape)(const struct raid_array *array, const struct raid_geometry *to,
			     struct error *error);
	/* Optional, together: the array, in which nobody is, begins to go from array->before's shape to array->now's; does not
	 * suspend. 0, or with `error` set a negative errno, and nothing done. */
	int (*begin_reshape)(struct raid_array *array, struct error *error);
	/* Optional, where that may need more than all data: whether a reshape can go on without the members of these places. Pure. */
	bool (*can_reshape)(const struct raid_array *array, const struct raid_set *absent);
	/* Optional, together, where data can be moved to where they are (reshape_backup.h). Whether the next part is written over what has not been
	 * moved; pure. And: what array->backup holds is restored, so that the position is behind it. And: of the next part, if it needs
	 * that, a backup is made, though it is not moved yet, and whoever finds the array so can go on. Both suspend; 0 or a negative errno, the
	 * first with `error` set. */
	bool (*needs_backup)(const struct raid_array *array);
	int (*restore)(struct raid_array *array, struct error *error);
	int (*keep_ahead)(struct raid_array *array);
	/* Optional: whether a member that is being filled in a reshape has all that the new shape has of it so far. Pure. */
	bool (*has_its_part)(const struct raid_member *member);
	/* Moves the next part of the data from array->before's shape to array->now's, and notes it. Suspends. 1: there
	 * is more; 0: array->reshaping is over; or the error that ends the operation. */
	int (*reshape)(struct raid_array *array);
};

/* The operations of a level, or NULL where arrays of it cannot be assembled. */
const struct raid_level_ops *raid_level_ops_find(int level);

extern const struct raid_level_ops raid_linear_ops, raid0_ops, raid1_ops, raid4_ops, raid5_ops,
	raid6_ops, raid10_ops;

static inline bool raid_level_maps(const struct raid_level_ops *level)
{
	return level->map != NULL;
}

#endif
