/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a RAID level implements. The generic parts (superblocks, bitmap, rebuild) know levels only
 * through this table; a level is one file more.
 *
 * All functions run on fibers of the array's worker, and where it says so may suspend. Sectors are of
 * 512 bytes; "member sectors" count from the start of a member's data.
 */
#ifndef TENON_RAID_LEVEL_H
#define TENON_RAID_LEVEL_H

#include <stdbool.h>
#include <stdint.h>

#include "block/block.h"
#include "raid/raid.h"

struct raid_array;
struct raid_member;

enum raid_write_kind { RAID_WRITE_DATA, RAID_WRITE_ZEROES, RAID_WRITE_DISCARD };

/* One request that changes the array. */
struct raid_write {
	enum raid_write_kind kind;
	uint64_t offset, length; /* bytes */
	const struct iovec *iov; /* RAID_WRITE_DATA only */
	unsigned count;
	unsigned flags; /* BLOCK_FUA, BLOCK_MAY_UNMAP */
};

/* A region that rebuild.c wants in sync; it holds the range lock on it. */
struct raid_sync {
	struct raid_array *array;
	enum raid_operation operation;
	uint64_t sector, count; /* member sectors */
	uint8_t *buffer;        /* count sectors, the level's to use */
	uint8_t *compare;       /* the same size again; NULL but for check and repair */
	uint64_t mismatches;    /* out: bytes that differed; check and repair */
	uint64_t skipped;       /* out: bytes that not all members could be compared in */
};

struct raid_level_ops {
	int level;
	const char *type; /* of the array's block: "raid1" */

	/* Called once, when members are known and before any request: checks the geometry, returns the
	 * array's size in sectors. 0 or a negative errno with `error` set. Does not suspend. */
	int (*start)(struct raid_array *array, uint64_t *sectors, struct error *error);

	/* Called before a member that is in sync is marked faulty: whether the data are still there
	 * without it. Pure. */
	bool (*can_lose)(const struct raid_array *array, const struct raid_member *member);

	/* Whether this member in sync alone has some of the data, since the bad-block logs of all others name
	 * it; the first such part, in member sectors. Pure. */
	bool (*holds_alone)(const struct raid_array *array, const struct raid_member *member,
			    uint64_t *sector, uint64_t *count);

	/* Called for each write: the member sectors that it touches, which are locked and noted in the
	 * bitmap meanwhile. Pure. */
	void (*member_range)(const struct raid_array *array, uint64_t offset, uint64_t length,
			     uint64_t *sector, uint64_t *count);

	/* A read; takes care of errors of members. Suspends. */
	int (*readv)(struct raid_array *array, uint64_t offset, uint64_t length,
		     const struct iovec *iov, unsigned count);

	/* A write, with the array marked dirty, the range locked and its bits set. Must have failed each
	 * member that it could not write (raid_member_fail()) when it returns; the caller then updates
	 * the superblocks before it acknowledges. Suspends. */
	int (*write)(struct raid_array *array, const struct raid_write *write);

	/* As block_status(). */
	int (*status)(struct raid_array *array, uint64_t offset, uint64_t *length,
		      enum block_status *status);

	/* Brings a region in sync, or compares it; called by rebuild.c, several regions at a time. For
	 * RAID_RECOVER fills the members that are REBUILDING. Suspends. 0, or the error that ends the
	 * operation; members that fail are failed and no error. */
	int (*sync)(struct raid_array *array, struct raid_sync *sync);
};

/* The operations of a level, or NULL where arrays of it cannot be assembled. */
const struct raid_level_ops *raid_level_ops_find(int level);

#endif
