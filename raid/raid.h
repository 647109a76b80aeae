/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Software RAID in Linux md's own format: arrays as block devices.
 *
 * An array is made of members, each a `struct block` that carries an md superblock of version 1.x, and
 * is itself a `struct block` named "md/NAME". What the kernel's md made is read and written here, and
 * what was made here is assembled by the kernel. The superblocks are the only record of an array.
 *
 *	raid.h		this interface, with name.h, sync.h (resync, recovery, scrub) and status.h
 *	md_format.h	the structures on disk
 *	md_superblock.c	superblocks: decode, encode; md_find.c looks for them, md_validate.c judges
 *	md_layout.c	where a new member's superblock, bitmap, bad-block log and data go
 *	md_bitmap.c	the write-intent bitmap on disk
 *	geometry.h	pure arithmetic on sectors, and what a RAID level implements
 *	array.c		members and their states; tells the others what changes
 *	each.c		the same thing on several members at once
 *	super.c		the superblock update protocol
 *	metadata.h	how they are kept: 1.x, 0.90, dm-raid's
 *	run.c		an array's life: made, started, stopped, gone
 *	assemble.c	from a set of blocks to a running array; assemble_supported.c and assemble_missing.c: what is refused
 *	freshest.c	which of their superblocks is believed; halves that ran apart
 *	create.c	new arrays, as create_plan.c plans them; create_dm.c: dm-raid's, of data that are there
 *	members.c	fail, remove and add; journal_add.c: a write journal is added
 *	reshape.c	other shapes are begun; raid5_reshape.c and raid10_reshape.c go on with them, by what they share: reshape_step.h,
 *			reshape_gate.h; in place with a backup: reshape_backup.h, whose format is md_backup.h
 *	grow.c	more of each member, more mirrors
 *	spares.h	where spares go; replace.c: one member for another, while both are there
 *	intent.c	the write-intent bitmap at work: set before a write, cleared lazily; bitmap_change.c: added and removed
 *	consistency.h	partial parity logs that are added and removed, journals that are given up
 *	legs.c		one request to several members; write_error.c: where one does not take it
 *	level.h		what a level implements
 *	raid0.c		RAID0 and linear, which only map
 *	mirror_span.c	what RAID1 and RAID10 have in common; mirror_read.c, mirror_write.c, mirror_sync.c, mirror_group.c
 *	raid1.c, raid10.c	and what not; raid10_geometry.c
 *	raid5.h		levels 4, 5 and 6; parity.h, raid5_geometry.h: their arithmetic; raid5_ppl.h, raid5_journal.h: their logs
 *	rebuild.c	resync, recovery and scrub: what is to be done; rebuild_windows.c does it by the level's operations,
 *			and rebuild_speed.c says how fast
 *
 * All calls are made on fibers of the home worker of the members, and may suspend. An array runs
 * fibers of its own (a daemon, a rebuild); raid_stop() ends them. Where a call takes a member by
 * `device`, that is the name of its block.
 */
#ifndef TENON_RAID_RAID_H
#define TENON_RAID_RAID_H

#include <stdbool.h>
#include <stdint.h>

#include "raid/name.h"
#include "raid/status.h"
#include "raid/sync.h"
#include "util/cleanup.h"

struct block;
struct error;
struct log;
struct raid_array;

/* ---- Discovery ---- */

/* What a superblock says, as far as device discovery needs it. */
struct raid_info {
	uint8_t set_uuid[16];          /* of the array */
	uint8_t device_uuid[16];       /* of this member */
	char set_name[RAID_NAME_SIZE]; /* "host:name" or "name", as on disk: any bytes */
	char name[RAID_NAME_SIZE];     /* without the host part */
	int level;
	unsigned minor_version; /* as raid_metadata_name() takes it */
	unsigned raid_disks;    /* places in the array */
	unsigned dev_number;    /* this member's permanent number */
	int role;               /* this member's place as it saw itself, or RAID_SPARE */
	bool faulty;            /* its own superblock calls it faulty */
	uint64_t events;
	uint64_t utime;       /* seconds */
	uint64_t data_offset; /* bytes */
	uint64_t member_size; /* bytes of each member that the array uses */
	uint64_t array_size;  /* bytes */
	uint64_t
		least_bytes; /* the device has less, and must have so much again; 0: it is large enough */
};

/*
 * Looks for an md superblock on `block`: a few reads of 4 KiB. 1 when there is a valid one (`info` is
 * filled in; also where the device has become shorter than it must be), 0 when there is none at any of the four places, a negative errno with
 * `error` set for one that is damaged, or cannot be read.
 */
int raid_probe(struct block *block, struct raid_info *info, struct error *error);

/*
 * Whether a superblock at the end of a device of `size` bytes is also where a part of it, from `start` on and `length` bytes long, has its own: with
 * `old` of version 0.90, which does not say where it is, so that it is found as the device's; else of 1.0. `least`: bytes that it says a member
 * has (raid_info.member_size).
 */
bool raid_end_is_of_part(uint64_t size, uint64_t start, uint64_t length, bool old, uint64_t least);

/* Whether there is one, of 0.90 or of 1.0, damaged or not; false, too, where that cannot be read. */
bool raid_end_has_superblock(struct block *block, bool old);

/* ---- Creating ---- */

enum raid_metadata {
	RAID_METADATA_DEFAULT,
	RAID_METADATA_1_0,
	RAID_METADATA_1_1,
	RAID_METADATA_1_2
};
enum raid_bitmap_choice {
	RAID_BITMAP_AUTO, /* as mdadm: internal for members of 100 GiB and more */
	RAID_BITMAP_NONE,
	RAID_BITMAP_INTERNAL,
	RAID_BITMAP_JOURNAL, /* none, but a write journal on the member that is to have it; levels 4, 5 and 6 */
	RAID_BITMAP_PPL, /* none, but a partial parity log; level 5 */
};

struct raid_new_member {
	struct block *block; /* NULL: "missing", the place stays empty */
	bool spare;
	bool journal;      /* holds no data, but the write journal; RAID_BITMAP_JOURNAL */
	bool write_mostly; /* read only when no other member can */
	bool failfast;
};

struct raid_create_options {
	const char *name;     /* needed; with the host part at most 32 bytes */
	const char *homehost; /* NULL: none */
	const uint8_t *uuid;  /* 16 bytes; NULL: drawn from worker_random() */
	int level;
	const char
		*layout; /* as raid_geometry_layout_parse() takes it; NULL: the level's usual one */
	uint64_t chunk;  /* bytes; 0: 512 KiB at levels that have chunks */
	enum raid_metadata metadata;
	enum raid_bitmap_choice bitmap;
	uint64_t bitmap_chunk; /* bytes, a power of two; 0: chosen as mdadm does */
	uint64_t size;         /* bytes of each member to use; 0: what the smallest has */
	bool assume_clean;     /* members are known to be equal: no first resync */
	bool no_resync;        /* do not start resync or recovery by itself */
	uint64_t rebuild_rate; /* bytes per second at most; 0: no limit */
	uint64_t now;          /* seconds since 1970; 0: the system's clock */
	struct log *log;       /* NULL: nowhere */
};

/*
 * Writes superblocks (data offset, bitmap and bad-block log laid out as mdadm 4.2 does) to the members
 * and starts the array; a first resync then runs unless assume_clean. Members that are not spares take
 * the places in their order. Whether a device holds something else is for the caller to ask. The array
 * takes references on the blocks.
 * -EINVAL, -ENOSPC (a member is too small), -EOPNOTSUPP (level) or the error of a write.
 */
int raid_create(struct raid_array **out, const struct raid_new_member *members, unsigned count,
		const struct raid_create_options *options, struct error *error);

/* What can be seen to be wrong before the devices are known, but for how many places they fill: name, host, level, chunk,
 * layout. */
int raid_create_check_options(const struct raid_create_options *options, unsigned places,
			      struct error *error);
/* What raid_create() would refuse before it writes anything: 0, or its error. */
int raid_create_check(const struct raid_new_member *members, unsigned count,
		      const struct raid_create_options *options, struct error *error);

/* ---- Assembling ---- */

struct raid_assemble_options {
	bool read_only;       /* nothing at all is written: no resync, no events */
	bool refuse_degraded; /* -ENODEV when a place that was filled is now missing: for writing */
	bool force;           /* with the newest data there are, though newer members are missing */
	bool journal_comes; /* its journal may be missing: writes fail until raid_add_journal() gives it another */
	bool no_resync;        /* do not start resync or recovery by itself */
	uint64_t rebuild_rate; /* bytes per second at most; 0: no limit */
	uint64_t now;          /* seconds since 1970; 0: the system's clock */
	struct log *log;       /* NULL: nowhere */

	/* Files that may have the backup of a reshape in place (raid_grow.backup), mdadm's too; the array finds the one with its UUID, has a
	 * reference on it, and writes to it unless read_only. */
	struct block *const *backups;
	unsigned backup_count;
	/* What they have is of no use, and not needed either: nothing was being moved when all stopped. The first one is written anew. */
	bool invalid_backup;

	/* Where a bitmap has to be made: bytes of its chunk, 0: as mdadm chooses. `new_bitmap`: there is none yet. */
	uint64_t bitmap_chunk;
	bool new_bitmap;
	/* Of components, the bytes that each had: not 0, what is new of them counts as in sync, and superblocks say so at once; but not where
	 * superblocks have not been told yet of all that they had. */
	uint64_t grown_in_sync;
};

/*
 * Assembles the array that the blocks are members of. The superblock with the most events of those that
 * have all the data decides; a member one event behind is taken too, older ones are left out ("stale",
 * see raid_status) until raid_add() brings them back, and so are those that have become too short. On
 * an unclean array a resync starts, on a degraded one with a spare a recovery.
 *
 * A member that was in sync when the array was last written and is not given has then missed what is
 * written from here on: who may be mistaken about what is there sets `refuse_degraded`. `force` takes the
 * member with the newest data where a spare or the like says that the array went on without it; and, at a
 * level whose members do not each have all data, of members that were left out as many as it cannot do without, the
 * latest first. What was written since is lost, and the superblocks then say at once who is in the array.
 *
 * -EINVAL: no superblock, blocks of different arrays, damage; -ENODEV: not enough members; -ESTALE: two
 * of them each ran without the other, `error` names both; -EOPNOTSUPP: a level or feature that is not
 * supported (reshape, journal, cluster).
 */
int raid_assemble(struct raid_array **out, struct block *const *blocks, unsigned count,
		  const struct raid_assemble_options *options, struct error *error);

/* A part of an array of dm-raid's, as LVM's RAID segments have them: data and metadata are two devices (rimage and rmeta). */
struct raid_component {
	struct block *data; /* NULL: it is missing */
	struct block *meta; /* NULL: level 0 without metadata */
	bool rebuild;       /* it is filled from the others, whatever its superblock says */
	bool write_mostly;  /* read only when no other member can */
	bool removed;       /* a reshape to fewer members needs it; once that is over nobody does */
	bool added;         /* it is none before the reshape that is to begin */
	bool unread;        /* set where it is left out, since its superblock cannot be read */
	bool cut; /* missing, since its device became shorter: it comes back without what was there */
};

/* What the volume group's metadata say of such an array; the superblocks must say the same. */
struct raid_shape {
	const char *name;
	int level;
	uint32_t layout; /* as the superblock numbers it */
	uint64_t chunk;  /* bytes; 0 at level 1 */
	uint64_t region; /* bytes of a bitmap's chunk, where it has none yet; 0: as mdadm chooses */
	bool in_sync;    /* a new one counts as in sync from the start */
	uint64_t
		room; /* bytes of each component that its data leave free, for reshapes; superblocks say at which end */

	/*
	 * A reshape to this shape is to begin, if superblocks know of none and say another shape. With more members data are at `begins_at`,
	 * in bytes, by now; with fewer, or as many, they go to it, or from it to 0. Where the shape is this one 0 says that data begin there by
	 * now, whatever superblocks say.
	 */
	bool begins;
	uint64_t begins_at;
};

/*
 * Assembles an array from components, by place. A component whose superblock is zeroes is new: all of them are an array that was never
 * synchronized, some of them have to be filled. One that the others call failed is back: what the bitmap says that it missed is copied to it,
 * or all; but one that went on without them is not taken (-ESTALE). One whose superblock cannot be read counts as missing, and is marked so,
 * where the others have all data. Where components became larger what is new of them is not in sync, unless options say so. A
 * reshape that superblocks are in the middle of goes on, to `shape`; the array has the smaller one's size until then. As raid_assemble();
 * devices cannot be added to it.
 */
int raid_assemble_components(struct raid_array **out, const struct raid_shape *shape,
			     struct raid_component *components, unsigned places,
			     const struct raid_assemble_options *options, struct error *error);

/* Writes superblocks and bitmaps for an array of components that is not there yet: each of `size` bytes; those that are `filled` have their
 * data, and agree; the others will be filled from them. Durable. -EINVAL for a shape that cannot be, -ENOSPC where a bitmap does not fit. */
int raid_create_components(const struct raid_shape *shape, struct block *const *metas,
			   const bool *filled, unsigned places, uint64_t size, struct error *error);

/* Writes down that members which are missing are out of the array, as the first write would. 0, or the
 * error of the superblocks. */
int raid_note_missing(struct raid_array *array, struct error *error);

/* Has the superblocks say what the array is now, durably. 0, or their error. */
int raid_write_superblocks(struct raid_array *array, struct error *error);

/*
 * Ends the array: waits for requests in flight, stops a rebuild at a checkpoint, clears the bitmap,
 * marks the array clean, flushes and drops the members. -EBUSY (and nothing done) while others hold
 * references on its block. On any other error the array is gone all the same. NULL is fine.
 */
int raid_stop(struct raid_array *array, struct error *error);

static inline void cleanup_raid_array(struct raid_array **at)
{
	raid_stop(*at, NULL);
}
#define CLEANUP_RAID_ARRAY CLEANUP(cleanup_raid_array)

/* The array's block, "md/NAME"; the reference stays the array's: take one with block_ref(). */
struct block *raid_array_block(struct raid_array *array);

/* ---- Members ---- */

/* Marks a member faulty, as a write error does. -ENOENT; -EBUSY for one without which data are gone, and for one that alone has
 * some of the data, since the bad-block logs of the others name it. */
int raid_fail(struct raid_array *array, const char *device, struct error *error);

/* The same, but what the member alone has cannot be read any more then. */
int raid_fail_anyway(struct raid_array *array, const char *device, struct error *error);

/* Lets go of a faulty, spare or stale member. -EBUSY while it is in use; -ENOENT for one that was removed before, which
 * is let go of all the same. */
int raid_remove(struct raid_array *array, const char *device, struct error *error);

/* Lets go of a spare, of which *block is a reference then, locked as before; but of none that the array itself has a use for: -EBUSY
 * when it is degraded or replaces a member, or the device is a spare no more. -ENOENT. */
int raid_take_spare(struct raid_array *array, const char *device, struct block **block,
		    struct error *error);

/*
 * Adds a device. One that was a member before and whose bitmap reaches back far enough is brought up to
 * date by copying only what changed ("re-add"); any other becomes a spare, and a spare is rebuilt at
 * once when a place is empty. -ENOSPC when it is too small (the error names both sizes).
 */
int raid_add(struct raid_array *array, struct block *block, struct error *error);

/* The same for one that ran apart from the array (see freshest.h), which raid_add() refuses with -ESTALE:
 * what it holds and the array does not is lost. */
int raid_add_over(struct raid_array *array, struct block *block, struct error *error);

/* The same for one that must need no more than what the bitmap names: -ESTALE for any other, and nothing done. */
int raid_add_back(struct raid_array *array, struct block *block, struct error *error);

/*
 * Gives an array of level 4, 5 or 6 with superblocks 1.x, and neither bitmap nor partial parity log, a write journal: one that has none, or
 * whose journal was lost. All of the device is used; what the array writes goes there first when this returns. `over`: also where it
 * was a member or journal of this array that may hold what the members do not (-ESTALE). -EBUSY: it has one; -EINVAL, -EOPNOTSUPP, -ENOSPC.
 */
int raid_add_journal(struct raid_array *array, struct block *block, bool over, struct error *error);

/*
 * Has a member that is in sync replaced by a spare (`with`; NULL: any): the spare gets its data, and what is written meanwhile, and
 * then the member is faulty. Redundancy is there all the time. The recovery that it takes runs, or is resumed, as any other.
 * -ENOENT; -EBUSY: the member is not in sync or is being replaced, or the array is degraded; -ENODEV: no spare.
 */
int raid_replace(struct raid_array *array, const char *device, struct block *with,
		 struct error *error);

/* The same by a device that is added first where it is no spare yet; `over` as raid_add_over(). */
int raid_replace_with(struct raid_array *array, const char *device, struct block *with, bool over,
		      struct error *error);

/* The block of a member (of a faulty one and of a spare, too), by the name of its device; NULL: it is none. */
struct block *raid_member_block(struct raid_array *array, const char *device);

/*
 * Whether the others here would do it, of an array that was only looked at too; they change nothing, and their errors are those of
 * the functions. `by_spare`: one has to be there. What is not asked is whether the array and the device can be written to.
 */
struct raid_adding {
	bool back; /* only what the bitmap names would be copied */
	int place; /* that it would fill, or RAID_SPARE */
};
int raid_fail_check(struct raid_array *array, const char *device, bool force, struct error *error);
int raid_remove_check(struct raid_array *array, const char *device, struct error *error);
int raid_replace_check(struct raid_array *array, const char *device, bool by_spare,
		       struct error *error);
int raid_add_check(struct raid_array *array, struct block *block, bool over, bool only_back,
		   struct raid_adding *what, struct error *error);
int raid_add_journal_check(struct raid_array *array, struct block *block, bool over,
			   struct error *error);

#define RAID_GROW_MAX UINT64_MAX

/* What an array is to become; zeroes: what it is. */
struct raid_grow {
	uint64_t size;    /* bytes of each member to use, or RAID_GROW_MAX: what the smallest has */
	unsigned devices; /* places, at RAID1; other numbers of them at levels 0, 4, 5, 6 and 10 */
	uint64_t chunk;   /* bytes; levels 0, 4, 5, 6 and 10 */
	const char *layout; /* of levels 5, 6 and 10, as raid_geometry_layout_parse() takes it */
	const char *level;  /* alone, or 5 or 6 with a layout; as raid_level_parse() takes it */
	uint64_t
		array_size; /* bytes that the array may be cut to, with fewer devices; 0: none. Nobody uses it */
	/* Where data are moved over what has not been moved, a file or device that keeps that meanwhile, as mdadm's --backup-file: on a disk of
	 * its own, of *backup_bytes or more, overwritten. The array has a reference on it until the reshape is over. */
	struct block *backup;
	bool backup_comes;      /* it does not exist yet; with only_check */
	uint64_t *backup_bytes; /* out, unless NULL: as many are needed; 0: no file is */
	bool only_check;        /* change nothing */
	unsigned adding;        /* so many spares are to be added before it is done */
};

/*
 * Makes an array use more of each member, and gives it more or fewer places. What is new is in sync only once a resync,
 * or a recovery of spares, has been there. Where data have to move to another shape that begins, and goes on as a resync does; the
 * array has its new size at the end of it. Another level is had at once, where the data are in the same places there. -EBUSY while any of that runs or is due; -ENOSPC; -ENODEV: not enough spares;
 * -EOPNOTSUPP: data cannot be moved like that.
 */
int raid_grow(struct raid_array *array, const struct raid_grow *grow, struct error *error);

/* Devices for another level can be added only once the array has it: level 0 has no spares. */
bool raid_grow_adds_later(const struct raid_array *array);

/* Then, with more devices for level 0, raid_grow() is to be called again once they have been added; or with level "0", to have it back. */
bool raid_grow_goes_on(const struct raid_array *array);

/* A change that takes another level once data have been moved (level 0 to another shape; 6 to 5) does so only while the array runs: has data
 * moved, also where nothing starts by itself (no_resync), and waits for that; nothing to wait for: 0. Suspends. */
int raid_grow_wait(struct raid_array *array, struct error *error);

/* Overwrites the md superblock on a device that is no member of a running array, so that it is found
 * no more. 0 also when there was none. */
int raid_erase(struct block *block, struct error *error);

/* ---- The bitmap ---- */

/* Gives an array a write-intent bitmap, of chunks of so many bytes (0: as mdadm chooses), or takes it away. Requests wait meanwhile.
 * -EBUSY while a resync or the like runs; -ENOSPC; -EINVAL; -EEXIST, -ENOENT: there is one, or none. Suspends. */
int raid_bitmap_add(struct raid_array *array, uint64_t chunk, struct error *error);
int raid_bitmap_remove(struct raid_array *array, struct error *error);

/*
 * What an array goes by after a crash: RAID_BITMAP_NONE (all of it is gone over), INTERNAL (a bitmap) or PPL (a partial parity log, at level 5). One with a
 * bitmap gets a log only once it has none, and the other way round; a journal is given up once its device failed and was removed. Requests
 * wait meanwhile. Errors as of raid_bitmap_add(). Suspends.
 */
int raid_set_consistency(struct raid_array *array, enum raid_bitmap_choice wanted,
			 struct error *error);

/* ---- Examine ---- */

/* One line of what is on a member: `key` for JSON, `label` for people. `text` is always there; `number`
 * is its value where `is_number`. */
struct raid_field {
	const char *key, *label, *text;
	bool is_number;
	uint64_t number;
};
typedef void raid_field_fn(const struct raid_field *field, void *arg);

/*
 * Reports all that the superblock, the bitmap and the bad-block log of one device say, in a fixed
 * order; works for every level and for what cannot be assembled. -ENOENT when there is no superblock,
 * -EINVAL with `error` set when it is damaged (the fields that could be read are reported all the same).
 */
int raid_examine(struct block *block, raid_field_fn *field, void *arg, struct error *error);

/* "no md superblock", and what else is there as far as it is known by its signature; returns -ENOENT. Suspends. */
int raid_say_no_superblock(struct block *block, struct error *error);

#endif
