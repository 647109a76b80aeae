/* SPDX-License-Identifier: BSD-2-Clause */
/* Disks in memory and groups on them, for the tests of volume/. */
#ifndef TENON_TESTS_VOLUME_FIXTURE_H
#define TENON_TESTS_VOLUME_FIXTURE_H

#include "block/block.h"
#include "fiber/fiber.h"
#include "util/error.h"
#include "util/random.h"
#include "volume/volume.h"

#define MIB (1ULL << 20)

#define FIXTURE_DISKS 6

struct fixture {
	struct block *disks[FIXTURE_DISKS];
	unsigned count;
	struct random random;
	struct volume_context context; /* fixed host, time and uuids */
	struct volume_scan *scan;
	struct volume_group *group; /* of the last scan; "vg0" */
	struct error error;         /* of the last scan or find */
};

/* Runs `test` on a fiber with `count` zeroed disks of `size` bytes, and frees what it leaves. */
void fixture_run(void (*test)(struct fixture *fixture), unsigned count, uint64_t size);
/* The same in real time: for what asks other processes. */
void fixture_run_real(void (*test)(struct fixture *fixture), unsigned count, uint64_t size);

/* Scans all disks anew; 0 when vg0 was found. */
int fixture_scan(struct fixture *fixture);

/* Puts files of that folder, which are there until the disks are closed, in the place of the disks. */
void fixture_put_files(struct fixture *fixture, const char *folder);

/* Puts a layer of faults (block/fault.h), which has none yet, over each disk. */
void fixture_put_faults(struct fixture *fixture);

/* Puts a layer that can lose its power (block/volatile.h) over each disk. */
void fixture_make_volatile(struct fixture *fixture);

/* The power of the first `count` of these goes, where it has not gone yet, and comes back. The scan is the old one. */
void fixture_cut_power(struct fixture *fixture, unsigned count, uint64_t seed);

/* Makes vg0 of all disks with 1 MiB extents unless `options` say otherwise, and scans. */
void fixture_create(struct fixture *fixture, const struct volume_group_options *options);

/* Creates a linear volume of so many extents in the fixture's group. */
int fixture_lv(struct fixture *fixture, const char *name, uint32_t extents);
/* The same of a type (raid1, ...), with its usual number of stripes. */
int fixture_raid(struct fixture *fixture, const char *name, const char *type, uint32_t extents);

/* Opens a volume. */
struct block *fixture_open(struct fixture *fixture, const char *name, bool writable);
/* Waits until the array of a RAID volume, which is open, has nothing to do. */
void fixture_wait_in_sync(struct fixture *fixture, const char *name);
/* A RAID volume all of which is filled with seed 7 and in sync. */
void fixture_filled_raid(struct fixture *fixture, const char *name, const char *type,
			 uint32_t extents);
/* Whether a volume is filled so. */
bool fixture_is_filled(struct fixture *fixture, const char *name, uint64_t seed);

/* Replaces the metadata of vg0 on disk `disk` by `text`, as another LVM2 might have written it. */
void fixture_put_text(struct fixture *fixture, unsigned disk, const char *text);

/* Has a disk's metadata area be one that is ignored (pvchange --metadataignore): its PV has none. */
void fixture_ignore_area(struct fixture *fixture, unsigned disk);

/* `text` with each `from` replaced by `to`; the caller frees it. */
char *fixture_replace(const char *text, const char *from, const char *to);

/* Fills all of a block with a pattern drawn from `seed`, or checks that it is there. */
void fixture_fill(struct block *block, uint64_t seed);
bool fixture_filled(struct block *block, uint64_t seed);

#endif
