/* SPDX-License-Identifier: BSD-2-Clause */
/* What an array and its members are at the moment; a part of raid.h. */
#ifndef TENON_RAID_STATUS_H
#define TENON_RAID_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "raid/name.h"
#include "raid/sync.h"

enum raid_member_state {
	RAID_MEMBER_IN_SYNC,
	RAID_MEMBER_REBUILDING, /* has a place, not yet all of the data */
	RAID_MEMBER_SPARE,
	RAID_MEMBER_FAULTY,
	RAID_MEMBER_STALE,   /* left out at assembly; see `reason` */
	RAID_MEMBER_JOURNAL, /* has no place: what is written to levels 4, 5 and 6 goes there first */
};

/* "in sync", "rebuilding", "spare", "faulty", "stale", "journal". */
const char *raid_member_state_name(enum raid_member_state state);

struct raid_member_status {
	char *device;
	enum raid_member_state state;
	int role; /* the place, or RAID_SPARE */
	unsigned dev_number;
	uint64_t events;
	uint64_t data_offset; /* bytes */
	uint64_t device_size; /* bytes */
	uint64_t recovered;   /* bytes from the start that are in sync, while rebuilding */
	uint64_t corrected;   /* read errors made good by writing again */
	unsigned bad_blocks;  /* ranges in its bad-block log */
	bool write_mostly, failfast;
	bool replaces;               /* rebuilding beside the member that it is to replace */
	bool marked_faulty, removed; /* of a stale one: what the others' superblocks say */
	uint8_t device_uuid[16];
	char reason[160]; /* why faulty or stale; else empty */
};

/* What happened off the beaten path since the array was started. */
struct raid_counters {
	uint64_t superblock_updates; /* each of all members */
	uint64_t bitmap_writes;      /* of changed pages, to all members */
	uint64_t members_failed;
	uint64_t degraded_reads, degraded_writes; /* while a place had no member in sync */
	uint64_t failed_writes;                   /* that no member in sync has taken */
	uint64_t retried_reads; /* failed, or not to be had from one member: done again in pieces */
	uint64_t made_good;  /* pieces that one could not read and that were written to it anew */
	uint64_t lost_reads; /* that no member could give */
	uint64_t
		skipped_bytes; /* of each member, that a resync or recovery left out by the bitmap */
};

struct raid_status {
	char name[RAID_NAME_SIZE], set_name[RAID_NAME_SIZE];
	uint8_t uuid[16];
	int level;
	uint32_t layout; /* as the superblock numbers it */
	uint64_t chunk;  /* bytes; 0: a level without chunks */
	unsigned minor_version;
	unsigned raid_disks;
	unsigned working;     /* places whose member is in sync */
	unsigned missing;     /* places empty now that were filled when it was last written */
	uint64_t size;        /* bytes */
	uint64_t member_size; /* bytes */
	uint64_t events, ctime, utime;
	bool read_only, from_log; /* and in its log, not on the members, is some of what is read */
	bool clean;               /* the superblocks say that no write is in flight */
	bool agree;               /* members in sync do, everywhere: no resync is due */
	/* How much of the array, by a measure of its own, members agree in and have: less than all while a resync or recovery is due. */
	uint64_t synced, sync_size;
	bool reshaping; /* superblocks say two shapes, whether or not data are moved now */
	struct { /* then: what the array had before, and what has been moved, in bytes of it */
		int level;
		uint32_t layout;
		uint64_t chunk;
		unsigned raid_disks;
		uint64_t position;
	} before;
	bool backup_anew; /* the backup file was, or would be, written anew; what it had was of no use */
	bool degraded; /* a place has no member that is in sync */
	bool failed;   /* what members are left do not have all data */
	char state
		[96]; /* as mdadm --detail puts it: "clean, degraded, recovering"; and ", stopped", ", not in sync", ... */
	struct {
		bool present;
		uint64_t chunk;         /* bytes */
		uint64_t chunks, dirty; /* counts */
		uint64_t events, events_cleared;
	} bitmap;
	bool ppl, journal; /* partial parity log; write journal, which may be missing */
	struct raid_counters counters;
	struct raid_speed speed;
	struct raid_progress progress; /* of the running operation, or the last one when idle */
	struct raid_member_status *members;
	unsigned member_count;
};

/* Fills in `status`, which the caller ends with raid_status_free(). Does not suspend. */
void raid_status(struct raid_array *array, struct raid_status *status);
void raid_status_free(struct raid_status *status);

#endif
