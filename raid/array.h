/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An array in memory: what the files of raid/ share. Not for others; raid.h is the interface.
 *
 * Everything belongs to one worker, so state changes only at calls that suspend. Locks: `membership` before
 * `clearing` before all others, `transition` before `super_lock`, a range before `super_lock`, never a range and `transition` together; the bitmap's
 * own writes take none of them.
 */
#ifndef TENON_RAID_ARRAY_H
#define TENON_RAID_ARRAY_H

#include "block/block.h"
#include "block/range_lock.h"
#include "fiber/fiber.h"
#include "raid/events.h"
#include "raid/geometry.h"
#include "raid/level.h"
#include "raid/md_badblocks.h"
#include "raid/md_superblock.h"
#include "raid/metadata.h"
#include "raid/raid.h"
#include "raid/rebuild_state.h"
#include "util/error.h"
#include "util/list.h"
#include "util/log.h"

struct raid_backup;
struct raid_intent;

/* What raid_array_changed() tells. */
enum raid_change {
	RAID_CHANGED_LOST,     /* a member was failed */
	RAID_CHANGED_SHORTER,  /* a member's device became shorter: what it lost nobody knows */
	RAID_CHANGED_APART,    /* members may differ where they did not: a resync is due */
	RAID_CHANGED_SYNCED,   /* they do not any more, and no place is without its data */
	RAID_CHANGED_WRITABLE, /* superblocks can be written again */
	RAID_CHANGED_WANTING,  /* a member did not take a write: a spare is to replace it */
	RAID_CHANGED_RESHAPED, /* it has its new shape */
};

/* A part of the array that is told of changes, in the order of raid_array_watch(). changed() does not suspend and
 * watches nobody. To end it, list_remove() the node. */
struct raid_watch {
	struct list node;
	void (*changed)(struct raid_watch *watch, enum raid_change change);
};

/* Why a member is not used any more. How many bytes it has, and must have again. */
#define RAID_TOO_SHORT "it has %llu bytes and must have %llu again: it was made shorter"

/* When an update writes a member: those that have all the data first. */
enum raid_turn { RAID_TURN_NONE, RAID_TURN_FIRST, RAID_TURN_SECOND };

struct raid_member {
	struct list node;
	struct raid_array *array;
	struct block *block;
	struct block *
		meta; /* where superblock, bitmap and bad-block log are: `block`, but for dm-raid */
	enum raid_member_state state;
	int role;                /* a place while IN_SYNC or REBUILDING (and after, for people) */
	struct md_superblock sb; /* what was last read or written; this member's own fields count */

	/* REBUILDING: sectors below `recovered` hold the data. Sectors from `full_from` on must be copied
	 * whatever the bitmap says. The superblock may say `checkpoint`, which is durable. JOURNAL: `checkpoint` is where what is needed
	 * begins, `recovered` where the superblock says so. */
	uint64_t recovered, full_from, checkpoint;
	uint64_t flushed; /* the checkpoint as it was before the flush of the update that runs */
	bool target;      /* of the recovery that runs; one that came later waits for the next */
	bool replaces; /* another member in the same place, which has the data: see struct raid_place */
	bool filled;            /* it has all of them, durably; superblocks may say so */
	bool let_go;            /* by a change of level: its superblock is to go */
	bool wants_replacement; /* it did not take a write since the array was started: see spares.h */

	uint32_t own_number; /* by its own superblock 0.90, as last written or read */

	/* STALE: what the freshest superblock said of it. Until a faulty one is removed it stays marked so. */
	bool marked_faulty, removed;
	bool bitmap_fits; /* the array's bitmap can be where it is on the others */
	bool log_placed; /* it came without a place for the array's partial parity log: what is there now is none */

	enum raid_turn turn; /* in the update that runs */

	struct fiber_mutex bitmap; /* one writes its bitmap at a time */
	struct md_badblocks bad;   /* in sectors of the device: see raid_member_sector() */
	uint8_t *log;              /* that, as the update that runs is to write it */
	bool log_taken;            /* and it is to be written */
	bool log_used;             /* the log that is on the device, or is to be, has entries */
	unsigned users;            /* requests that hold it, so that it cannot be removed */
	unsigned reads;            /* in flight, for the choice of a mirror */
	uint64_t next_read;        /* byte after the last read */
	char reason[160];
	char trouble[96]; /* raid_member_trouble()'s */
};

/*
 * Who is IN_SYNC or REBUILDING in a place; NULL: nobody. A replacement is REBUILDING: what is written to the member
 * is written to it too, nothing is read from it, and when it has all of the data, or the member fails, it has the place for
 * itself. There is none without a member.
 */
struct raid_place {
	struct raid_member *member, *replacement;
};

struct raid_array {
	struct block block; /* first: what others see */
	const struct raid_level_ops *level;
	void *level_state; /* the level's own */
	struct log *log;

	/* identity and shape; sectors */
	uint8_t uuid[16];
	char set_name[RAID_NAME_SIZE], name[RAID_NAME_SIZE];
	unsigned minor_version;
	uint32_t preferred_minor; /* of 0.90 */
	const struct raid_metadata_ops *metadata;
	struct raid_geometry now;
	/* While `reshaping`: the old shape. Data below the position, in array sectors, are in the new one. What superblocks are to
	 * say is the checkpoint; `flushed` as it was before the flush of the update that runs. */
	bool reshaping;
	bool backwards; /* and above the position are those in the new one, and it goes down */
	struct raid_geometry before;
	struct raid_backup
		*backup; /* of a reshape in place; NULL: none is needed. See reshape_backup.h */
	bool backup_anew; /* it went on without what the file had, by raid_assemble_options.invalid_backup */
	uint64_t reshape_position, reshape_checkpoint, reshape_flushed;
	const char *
		next_level; /* that it takes over once data have been moved; NULL: none. See grow.c */
	bool takes_level;   /* now */
	struct raid_watch grow_watch;
	bool grow_watches;
	uint32_t max_dev;
	uint32_t features;            /* of the superblocks, which are there from the start */
	uint32_t recorded_block_size; /* as its superblocks say, or 0 */
	uint64_t ctime, utime;
	uint64_t utime_most;   /* superblocks say no later time; 0: any. See reshape_backup.h */
	uint64_t sectors;      /* of the array */
	uint64_t sync_sectors; /* what a resync goes over; see level.h */
	unsigned
		missing; /* places that were filled when it was last written, and not at the start */
	uint64_t start_seconds, start_ns; /* the system's and the worker's clock at the start */

	struct list members;
	struct raid_member *journal;    /* JOURNAL; NULL: none, or it is not here */
	struct raid_place *places;      /* by role */
	unsigned replacements;          /* in places */
	struct list watches;            /* who is told of changes */
	struct fiber_queue each_queue;  /* one of several calls ended, or a member was failed */
	struct fiber_queue users_queue; /* a member's last user went away */
	struct fiber_mutex membership;  /* raid_add() and raid_remove(), one at a time */
	const struct block *joining; /* is to be its journal, and is tried out without that lock */

	/* superblocks: super.c */
	uint64_t events;
	bool forced;       /* started by force */
	bool from_log;     /* read-only: some of what is read is in its log, not on members */
	bool super_failed; /* the last update did */
	bool lost;         /* a member was, and no update has said so: see super.c */
	uint64_t super_wanted, super_done;
	struct fiber_mutex super_lock, transition;
	bool clean;                 /* what the superblocks are to say */
	bool dirty;                 /* durably: writes may go on */
	uint64_t resync_position;   /* sync sectors; MD_RESYNC_DONE: members agree everywhere */
	uint64_t resync_checkpoint; /* the same, durably */
	uint64_t resync_flushed;    /* that, before the flush of the update that runs */
	uint64_t resync_from;       /* members may differ from here on: the next resync's start */
	bool resync_by_bitmap;      /* where they may is in the bitmap alone, not in superblocks */

	/* requests: request.c */
	struct range_lock ranges;                /* the level's; see raid_bracket_begin() */
	unsigned requests, writes;               /* in flight */
	uint64_t requests_begun, requests_ended; /* of those to the block: for rebuild_speed.c */
	struct fiber_queue requests_queue;       /* none is left */
	uint64_t last_write_ns;
	struct list idle_transfers; /* mirror_start.c's, for the next ones */
	unsigned idle_count;

	struct raid_counters counters;
	struct raid_event_log event_log;
	struct raid_intent *intent;  /* NULL: no bitmap */
	uint64_t bitmap_chunk;       /* bytes; of one that is made anew; 0: the usual */
	struct raid_intent *retired; /* those that were removed */
	struct fiber_mutex clearing; /* of the bitmap, by the daemon */
	struct raid_rebuild rebuild;
	struct raid_watch rebuild_watch;

	/* daemon.c */
	struct raid_watch daemon_watch;
	struct fiber *daemon;
	struct fiber_queue daemon_queue;
	uint64_t daemon_wake_ns; /* when it wakes by itself */
	bool daemon_kicked;
	bool stopping;
};

/* ---- run.c ---- */

/* An array without members; destroys with raid_array_destroy(). NULL without memory. */
struct raid_array *raid_array_new(const struct md_superblock *sb, struct log *log, uint64_t now);
/* Starts the level: sizes are known then. */
int raid_array_start_level(struct raid_array *array, struct error *error);
/* Then the block and the fibers. */
void raid_array_start(struct raid_array *array, bool read_only);
void raid_array_destroy(struct raid_array *array);

/* ---- array.c ---- */

void raid_array_watch(struct raid_array *array, struct raid_watch *watch);
/* How many places there are: in a reshape those of the shape that has more. */
static inline uint32_t raid_array_places(const struct raid_array *array)
{
	return array->reshaping && array->before.disks > array->now.disks ? array->before.disks
									  : array->now.disks;
}

/* It has level 4 for as long as data are moved, and is level 0 before and after. */
static inline bool raid_is_level_0_on_its_way(const struct raid_array *array)
{
	return array->next_level && array->next_level[0] == '0' && array->now.level == RAID_LEVEL_4;
}

/* Where the position of a reshape is at its beginning, in array sectors; and how much it moves in all, and has moved. Pure. */
uint64_t raid_reshape_start(const struct raid_array *array);
uint64_t raid_reshape_whole(const struct raid_array *array);
uint64_t raid_reshape_moved(const struct raid_array *array);

/* Tells the others. Does not suspend. */
void raid_array_changed(struct raid_array *array, enum raid_change change);

/* Adds a member with references on its blocks (`meta` NULL: the same); state and role are the caller's to set. */
struct raid_member *raid_member_new(struct raid_array *array, struct block *block,
				    struct block *meta);
void raid_member_free(struct raid_member *member);
/* The same once its last request has ended; nobody finds it any more meanwhile. Suspends. */
void raid_member_drop(struct raid_member *member);
/* What is written to it from now on stays in memory: before the level starts. 0 or a negative errno with `error` set. */
int raid_member_cover(struct raid_member *member, struct error *error);
struct raid_member *raid_member_find(struct raid_array *array, const char *device);
struct raid_member *raid_member_by_number(struct raid_array *array, uint32_t dev_number);

static inline bool raid_member_active(const struct raid_member *member)
{
	return member->state == RAID_MEMBER_IN_SYNC || member->state == RAID_MEMBER_REBUILDING;
}

/* Where a member sector is on the device; bad-block logs count from its start (md.c,
 * rdev_set_badblocks()). */
static inline uint64_t raid_member_sector(const struct raid_member *member, uint64_t sector)
{
	return member->sb.data_offset + sector;
}

/* The member sector of a byte of its data, which in a reshape may be before their start: by 64 bits' arithmetic. */
static inline uint64_t raid_member_sector_of(uint64_t offset)
{
	return (uint64_t)((int64_t)offset >> MD_SECTOR_SHIFT);
}

/* The byte of the device, as people are told of it and can look there. */
static inline unsigned long long raid_member_byte(const struct raid_member *member, uint64_t offset)
{
	return (member->sb.data_offset << MD_SECTOR_SHIFT) + offset;
}

/* Sectors for data that its device has by now. */
uint64_t raid_member_usable(const struct raid_member *member);

/* Puts a member into a place, in the state given. */
void raid_member_place(struct raid_member *member, int role, enum raid_member_state state);

/* Puts a member beside the one that has a place; it begins with nothing. */
void raid_member_replace(struct raid_member *member, int role);

/* The same for one that has some of the data already: `recovered` and the like are the caller's to set. */
void raid_member_put_beside(struct raid_member *member, int role);

/* The replacement takes the place of the member, which is faulty then: superblocks are wanted. */
void raid_place_exchange(struct raid_array *array, uint32_t role);

/* Marks a member faulty, unless the data would be gone (false). Does not suspend: superblocks are
 * wanted afterwards. */
bool raid_member_fail(struct raid_member *member, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* What its answer `rc` means, for a reason: error_name(), but of a device that has become shorter (-ENXIO, see
 * block.h) that it must have its size again, which is also told. What it lost nobody knows then: once it is
 * long enough again all of it is copied, whatever the bitmap says. */
const char *raid_member_trouble(struct raid_member *member, int rc);

/* Requests that use a member stand between these. */
static inline void raid_member_hold(struct raid_member *member)
{
	member->users++;
}
void raid_member_release(struct raid_member *member);

/* Whether its data count: it is in sync, or in a reshape has what the new shape has of it so far. */
bool raid_member_counts(const struct raid_member *member);
/* What is lost, of the places: those whose member does not count. */
struct raid_set raid_array_absent(const struct raid_array *array);
/* Whether all data can be had from the members in sync, and whether they could without this one. */
bool raid_array_survives(const struct raid_array *array);
bool raid_array_can_lose(const struct raid_array *array, const struct raid_member *member);

unsigned raid_array_working(const struct raid_array *array); /* places in sync */
static inline bool raid_array_degraded(const struct raid_array *array)
{
	return raid_array_working(array) < array->now.disks;
}
static inline bool raid_array_has_journal(const struct raid_array *array)
{
	return array->journal && array->journal->state == RAID_MEMBER_JOURNAL;
}
/* Sync sectors below which members in sync agree. */
static inline uint64_t raid_array_in_sync_below(const struct raid_array *array)
{
	return array->resync_position < array->resync_from ? array->resync_position
							   : array->resync_from;
}
/* Members may differ at and after `sector`: a resync is due. Does not suspend. */
void raid_array_resync_from(struct raid_array *array, uint64_t sector);
/* Since the epoch. */
static inline uint64_t raid_array_seconds(const struct raid_array *array)
{
	return array->start_seconds + (worker_now() - array->start_ns) / 1000000000u;
}
/* The daemon looks at once what there is to do. Does not suspend. */
void raid_daemon_wake(struct raid_array *array);

/* ---- super.c ---- */

/* Makes superblocks that are wanted durable on all members; fails those that cannot be written. Suspends.
 * 0, or -EIO when the last good member cannot be written. */
int raid_super_settle(struct raid_array *array);
/* The same for the state as it is now. */
int raid_super_update(struct raid_array *array);

/* Writes that a device which is being added (STALE still) is a spare. Before the others give it a place its own
 * superblock must say that it has no data: an old one would be taken for its word, or none be missed. Suspends. */
int raid_member_announce(struct raid_member *member);

/* Writes that a device which is being added (STALE still) is the array's journal, and from its start on has nothing; all updates say so
 * then. 0, or a negative errno, and it is not. Suspends. */
int raid_member_announce_journal(struct raid_member *member);

/* Writes what the freshest superblock says to a member that was cut off before it got that: before the next
 * update, in which it might be cut off again and be two behind. Suspends. */
int raid_member_catch_up(struct raid_member *member, const struct md_superblock *freshest);

/* Before a write: the superblocks say so. After the last one, and once all is flushed: that it is over;
 * does nothing while writes are in flight. */
int raid_array_mark_dirty(struct raid_array *array);
int raid_array_mark_clean(struct raid_array *array);

/* Notes member sectors as bad in its log, which the next update writes. Does not suspend. 0, -ENOSPC when it has
 * no log or a full one, or -ENOMEM. */
int raid_member_note_bad(struct raid_member *member, uint64_t sector, uint64_t count);

/* ---- write_error.c ---- */

/*
 * A member did not take `io`, whose data others have. Writes it again in small pieces, and notes what it does not take as bad: true,
 * it is not to be failed (or was, meanwhile). False: it is. `io` is of the device. The range is locked; suspends.
 */
bool raid_member_write_again(struct raid_member *member, const struct block_io *io);
/* ---- read_error.c ---- */

#define RAID_PIECE 4096u /* in which what could not be read is read again and made good */

/* Writes at most RAID_PIECE bytes of a member's data and reads them back: 0 when they are there, or a negative
 * errno. Suspends. */
int raid_member_write_anew(struct raid_member *member, uint64_t offset, const uint8_t *data,
			   uint64_t length);
/* Bytes that the member reads and writes as one, at most RAID_PIECE: where it has an error all of them are bad. */
uint32_t raid_member_unit(const struct raid_member *member);
/* Writes what others had, at most RAID_PIECE bytes, to one that could not read it, and reads it back; where that fails it is noted as bad,
 * or the member is faulty. Units of it that it can give are left alone. A read-only array is, too. Suspends. */
void raid_member_make_good(struct raid_member *member, uint64_t offset, const uint8_t *data,
			   uint64_t length);

/* ---- write_error.c ---- */

/* Notes bytes of its data that it could not take or give (`rc`) as bad. False: it is to be failed. Does not suspend. */
bool raid_member_note_instead(struct raid_member *member, uint64_t offset, uint64_t length, int rc);
/* Bytes of the device that could be written are good again; in memory only, for who only reads. Does not suspend. */
void raid_member_written(struct raid_member *member, uint64_t offset, uint64_t length);

/* Reads the bad-block log that the member's superblock speaks of. */
int raid_member_load_badblocks(struct raid_member *member, struct error *error);

/* ---- each.c ---- */

/* Calls fn(member, arg) for the members of `states` (bits of 1 << state) at the same time, and fails
 * those for which it returns an error; `what` is for the reason. The first error of a member that could
 * not be failed, or 0. Suspends; but not for a member that is failed meanwhile, whose call may
 * go on after the return: `arg` must live as long, for which put(arg) is called at the end of it all. The
 * second is for an `arg` that is no pointer to anything. */
int raid_members_each_with(struct raid_array *array, unsigned states,
			   int (*fn)(struct raid_member *member, void *arg), void *arg,
			   void (*put)(void *arg), const char *what);
int raid_members_each(struct raid_array *array, unsigned states,
		      int (*fn)(struct raid_member *member, void *arg), void *arg,
		      const char *what);
#define RAID_ACTIVE_STATES ((1u << RAID_MEMBER_IN_SYNC) | (1u << RAID_MEMBER_REBUILDING))
#define RAID_WRITABLE_STATES                                                                       \
	(RAID_ACTIVE_STATES | (1u << RAID_MEMBER_SPARE) | (1u << RAID_MEMBER_JOURNAL))

/* Whether its superblock, and all beside that, is kept up to date. */
static inline bool raid_member_writable(const struct raid_member *member)
{
	return RAID_WRITABLE_STATES & (1u << member->state);
}

/* Has fn() write `what`, a bitmap or log, to each of these, one after the other and to its end; who cannot is failed. On error some of them have
 * it. No member may come or go meanwhile. */
int raid_members_write_each(struct raid_array *array, int (*fn)(struct raid_member *member),
			    const char *what, struct error *error);

/* Flushes every active member. */
int raid_members_flush(struct raid_array *array);

/* ---- request.c ---- */

/* Of the array's block, as its level does requests. */
const struct block_ops *raid_array_block_ops(const struct raid_array *array);

/* Around each request, and around each write; for a level that starts its transfers. */
void raid_request_begin(struct raid_array *array);
void raid_request_end(struct raid_array *array);
void raid_write_begin(struct raid_array *array);
void raid_write_end(struct raid_array *array, int rc);

struct raid_span {
	uint64_t sector, count;
};

/* What a level changes on members, it changes between these. */
struct raid_bracket {
	struct raid_array *array;
	struct range_hold hold;
	struct raid_span sync;
};

/* Locks a range of the level's lock sectors, and makes the bits of a range of sync sectors durable; members that were
 * lost are known to be on the others. Suspends. 0, or a negative errno, after which nothing is held. */
int raid_bracket_begin(struct raid_array *array, struct raid_bracket *bracket,
		       struct raid_span lock, struct raid_span sync);
/* The same if nothing of that has to wait; else false, and nothing is held. */
bool raid_bracket_try_begin(struct raid_array *array, struct raid_bracket *bracket,
			    struct raid_span lock, struct raid_span sync);
/* Whether raid_bracket_end() would not suspend. */
bool raid_bracket_can_end(const struct raid_bracket *bracket);
/* Members that were failed meanwhile are known to be on the others when it returns: only then may a write be
 * acknowledged. `rc` is how it went; returns it, or the error of the superblocks. Suspends. */
int raid_bracket_end(struct raid_bracket *bracket, int rc);
/* Ends one in which nothing was begun. */
void raid_bracket_drop(struct raid_bracket *bracket);

/* ---- daemon.c ---- */

void raid_daemon_start(struct raid_array *array);
/* The last write in flight ended. */
void raid_daemon_wrote(struct raid_array *array);
void raid_daemon_stop(struct raid_array *array); /* suspends until it has ended */

#endif
