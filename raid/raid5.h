/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of levels 4, 5 and 6 share.
 *
 * A stripe here is the same few sectors of each member, a strip of each: the chunk, or a part of it. What may change a
 * stripe's parity, or has to rely on it, visits the stripe: one at a time (raid5_stripe.c). A write that comes
 * while another is at work waits, and then all that wait are carried out as one; reads of what is there
 * need no visit.
 *
 *	raid5.c		the table of the level, health
 *	raid5_stripe.c	visits, and memory for them, which is bounded
 *	raid5_io.c	requests to several members
 *	raid5_fetch.c	gets blocks of a stripe, from parity where they cannot be read, and corrects what failed
 *	raid5_read.c, raid5_write.c, raid5_whole.c, raid5_sync.c
 */
#ifndef TENON_RAID_RAID5_H
#define TENON_RAID_RAID5_H

#include "raid/array.h"
#include "raid/parity.h"
#include "raid/raid5_geometry.h"
#include "util/cleanup.h"

#define RAID5_STRIP_MAX  65536u      /* bytes */
#define RAID5_MEMORY_MAX (16u << 20) /* bytes for blocks of stripes, of one array */
#define RAID5_BUCKETS    256u
#define RAID5_SLABS      12u /* sizes of memory: 4 KiB << n */

/* array->level_state. In a reshape it is that of the new shape, and has another one for the old (raid5_reshape.h). */
struct raid5 {
	struct raid_array *array;
	struct raid_geometry g;
	bool moved;                    /* members' data of this shape begin at their new offset */
	struct raid5_reshape *reshape; /* NULL: none */
	uint32_t strip;                /* bytes, a power of two */
	struct list visits[RAID5_BUCKETS];

	uint64_t memory_used; /* lent and kept */
	struct list memory[RAID5_SLABS];
	struct fiber_queue memory_queue;
	struct raid_parity_recipes recipes;

	struct raid5_ppl *ppl;         /* NULL: no partial parity log */
	struct raid5_journal *journal; /* NULL: no journal, or its device is missing */
	uint32_t
		page; /* bytes: what is written of a chunk is whole multiples, aligned; with a journal its blocks */

	/* what writes were */
	uint64_t full_writes, rmw_writes, reconstruct_writes, merged_writes;
};

/* ---- raid5_stripe.c ---- */

/* Somebody at a stripe, or waiting for it; on the stack of a fiber. */
struct raid5_visit {
	struct list node;
	uint64_t stripe;
	bool joins; /* a write: another may carry it out */
	bool granted, done;
	struct fiber_queue queue;
	int rc;

	/* of a write: bytes of the row, from its first data chunk on, clipped to nothing */
	const struct raid_write *write;
	uint64_t start, end;
};

/* Suspends until the stripe is this fiber's (true), or another has carried out the write (false; rc). */
bool raid5_enter(struct raid5 *r, struct raid5_visit *visit);
/* Takes the writes that wait behind one that has entered, up to `most`, onto `taken`; with a partial parity log only
 * those that together with it are in one piece, as an entry of the log has to be. */
void raid5_gather(struct raid5 *r, struct raid5_visit *visit, struct list *taken, unsigned most);
/* Ends a write that was gathered. */
void raid5_carried_out(struct raid5_visit *taken, int rc);
void raid5_leave(struct raid5 *r, struct raid5_visit *visit);

/*
 * Blocks of one stripe, or of a part of it: for each role `width` bytes that were read, and as many again.
 * state[] and blocks[] are for the user. Memory is waited for: nobody may have two at a time.
 */
struct raid5_work {
	struct raid5 *r;
	struct raid5_row row;
	uint64_t sector; /* of the members' data, where the blocks begin */
	uint32_t width;  /* bytes */
	uint8_t *memory;
	uint8_t *state;
	void **blocks;     /* slots + 2 */
	const void **lent; /* disks: in others' memory, by role */
	unsigned slab;
};

/* Suspends. 0 or -ENOMEM. */
int raid5_work_begin(struct raid5 *r, struct raid5_work *work, uint64_t sector, uint32_t width);
/* With memory for no blocks but two, at its beginning, of P and of Q, and `more`. */
int raid5_work_begin_parity(struct raid5 *r, struct raid5_work *work, uint64_t sector,
			    uint32_t width, uint32_t more);
void raid5_work_end(struct raid5_work *work);
/* Takes its memory out of it, and out of the bound: for a request that uses it after the work has ended. To be free()d. */
void *raid5_work_take(struct raid5_work *work);
void raid5_memory_free(struct raid5 *r);

static inline uint8_t *raid5_block(const struct raid5_work *work, uint32_t role)
{
	return work->memory + (size_t)role * work->width;
}

static inline uint8_t *raid5_second(const struct raid5_work *work, uint32_t role)
{
	return work->memory + (size_t)(work->row.disks + role) * work->width;
}

/* A column as parity.h wants it, without its blocks. */
struct raid_column raid5_column_begin(const struct raid5_work *work, uint32_t length);
/* The column [at, at + length) of the blocks that were read; P and Q from there or, with
 * `second`, as second blocks. */
struct raid_column raid5_column(const struct raid5_work *work, uint32_t at, uint32_t length,
				bool second);

/* ---- raid5_io.c ---- */

#define RAID5_IOS_FEW 6u

/* Requests to members, started together and waited for once; each is waited for. Unlike legs.h's there may be several
 * for a member. */
struct raid5_ios {
	const struct raid5 *r;
	unsigned count, capacity;
	struct block_io *ios;
	struct raid_member **members;
	struct iovec *iovs;
	struct block_io few_ios[RAID5_IOS_FEW];
	struct raid_member *few_members[RAID5_IOS_FEW];
	struct iovec few_iovs[RAID5_IOS_FEW];
};

/* 0 or -ENOMEM, after which raid5_ios_end() is fine. */
int raid5_ios_begin(struct raid5_ios *ios, const struct raid5 *r, unsigned capacity);
void raid5_ios_add(struct raid5_ios *ios, struct raid_member *member, enum block_kind kind,
		   unsigned flags, uint64_t offset, void *at, uint64_t length);
/* A read to scattered memory, which must stay. */
void raid5_ios_add_iov(struct raid5_ios *ios, struct raid_member *member, uint64_t offset,
		       const struct iovec *iov, unsigned count, uint64_t length);
void raid5_ios_run(struct raid5_ios *ios);
/* As block_run_all_with(). */
void raid5_ios_run_with(struct raid5_ios *ios, unsigned first, void (*meanwhile)(void *arg),
			void *arg);
void raid5_ios_end(struct raid5_ios *ios);
#define CLEANUP_RAID5_IOS CLEANUP(raid5_ios_end)

/*
 * Looks at what writes came to. Members that did not take one are failed, if the others have all data. If not, no
 * member is failed, for none is to blame (several images on a full host file system, perhaps), and the error is
 * returned: a resync is due then.
 */
int raid5_judge(struct raid_array *array, const struct raid5_ios *ios);

/* Whether a role has good data at these sectors of its member, as far as is known before reading. */
bool raid5_readable(const struct raid5 *r, uint32_t role, uint64_t sector, uint64_t count);

/* Where a member sector of this shape is on the device. */
static inline uint64_t raid5_device_sector(const struct raid5 *r, const struct raid_member *member,
					   uint64_t sector)
{
	return member->sb.data_offset + (uint64_t)(int64_t)(r->moved ? member->sb.new_offset : 0) +
	       sector;
}

/* ---- raid5_fetch.c ---- */

/* work->state[role] */
#define RAID5_WANT     1u  /* its block is wanted */
#define RAID5_HAVE     2u  /* its block is there */
#define RAID5_SUSPECT  4u  /* it could not be read */
#define RAID5_SOURCE   8u  /* within raid5_fetch(): wanted only to compute others from */
#define RAID5_COMPUTED 16u /* some of what is there comes from the others */

/*
 * Gets the blocks of the roles that are wanted and not there yet, [at, at + length) of the blocks' width, and writes anew
 * what could not be read; in smaller pieces where that helps. Inside of a visit. Suspends. 0, -ENOMEM, or
 * -EIO: not all of it can be had.
 */
int raid5_fetch(struct raid5_work *work, uint32_t at, uint32_t length);

/* ---- raid5_good.c ---- */

/* What a role's member could not give of [at, at + length) of its block is there now: it is written, but for what the
 * member can give, and for what does not fit with what the others have. Suspends. */
void raid5_make_good(struct raid5_work *work, uint32_t role, uint32_t at, uint32_t length);

/* ---- the rest ---- */

/* Without memory yet. */
void raid5_shape_init(struct raid5 *r, struct raid_array *array, const struct raid_geometry *g);

/* The measures of stripes, as they are without a journal. Nobody is at one. */
void raid5_measure(struct raid5 *r);

int raid5_read_shape(struct raid5 *r, uint64_t offset, uint64_t length, const struct iovec *iov,
		     unsigned count);
int raid5_write_shape(struct raid5 *r, const struct raid_write *write);
int raid5_sync(struct raid_array *array, struct raid_sync *sync);

static inline struct raid5 *raid5_of(const struct raid_array *array)
{
	return array->level_state;
}

/* The row of a request's byte, and the byte within it. */
static inline uint64_t raid5_row_bytes(const struct raid5 *r)
{
	return (uint64_t)r->g.chunk_sectors * MD_SECTOR_SIZE * raid5_data_disks(&r->g);
}

static inline uint64_t raid5_chunk_bytes(const struct raid5 *r)
{
	return (uint64_t)r->g.chunk_sectors * MD_SECTOR_SIZE;
}

#endif
