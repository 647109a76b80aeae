/* SPDX-License-Identifier: BSD-2-Clause */
/* Arrays over memory, for the unit tests: members whose bytes, faults and power a test commands. */
#ifndef TENON_TESTS_RAID_RIG_H
#define TENON_TESTS_RAID_RIG_H

#include "block/block.h"
#include "block/fault.h"
#include "fiber/fiber.h"
#include "raid/raid.h"
#include "unit.h"
#include "util/error.h"

#define RIG_MEMBERS 6
#define RIG_SIZE    (4u << 20)

/* Each member is memory below a fault layer; `disk` is what the array gets. */
struct raid_rig {
	struct block *memory[RIG_MEMBERS], *disk[RIG_MEMBERS];
	struct raid_array *array;
	struct error error;
	int level; /* of the array that a body of rig_run_level() makes, on so many disks */
	unsigned disks;
};

/* Runs `body` on a fiber of a worker with a virtual clock. */
void rig_run(void (*body)(struct raid_rig *rig));
void rig_run_level(int level, unsigned disks, void (*body)(struct raid_rig *rig));

/* An array over the first `count` disks; fails the test when it cannot be had. */
void rig_create(struct raid_rig *rig, unsigned count, const struct raid_create_options *options);
void rig_assemble(struct raid_rig *rig, unsigned count,
		  const struct raid_assemble_options *options);
void rig_stop(struct raid_rig *rig);
void rig_wait(struct raid_rig *rig); /* until no rebuild runs */

uint64_t rig_array_size(const struct raid_rig *rig);

/* Writes, or compares with, a pattern that depends on place and `seed`. */
void rig_write(struct raid_rig *rig, uint64_t offset, uint64_t length, uint8_t seed);
bool rig_holds(struct raid_rig *rig, uint64_t offset, uint64_t length, uint8_t seed);

/* Whether the data of disks `a` and `b` are equal, byte by byte. */
bool rig_equal(struct raid_rig *rig, unsigned a, unsigned b);

enum raid_member_state rig_state(struct raid_rig *rig, unsigned disk);

/* A member's reads and writes since the rig began. */
/* From now on the disk lends nothing, which is a read that is not counted. */
void rig_count_reads(struct raid_rig *rig, unsigned disk);
uint64_t rig_reads(struct raid_rig *rig, unsigned disk);
uint64_t rig_writes(struct raid_rig *rig, unsigned disk);

/* The disk fails all requests of these kinds (BLOCK_FAULT_*) that touch the range (length 0: all). */
int rig_break(struct raid_rig *rig, unsigned disk, unsigned requests, uint64_t offset,
	      uint64_t length);

#endif
