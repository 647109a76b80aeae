/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A campaign: members of unequal speed fail, are removed, come back and are replaced, by hand and by I/O
 * errors, while two writers write and flush; at any request the power goes. Whatever happened, the array
 * then assembles with all of its devices and without insisting (but for a few that must leave out a member whose
 * companions are all gone), no flushed write is lost, and once it is rebuilt all members are equal. The one thing
 * that may be unreadable, and never wrong, is what only a member had that then failed altogether, where that was
 * told. TORTURE=1 plays many more rounds; SEED=n begins elsewhere; TRACE=1 prints the array's log.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "block/fault.h"
#include "block/volatile.h"
#include "fiber/fiber.h"
#include "raid/md_superblock.h"
#include "raid/raid.h"
#include "unit.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/log.h"
#include "util/random.h"

#define DISKS   4u
#define SIZE    ((1u << 20) + 131072u) /* 128 KiB of data */
#define UNITS   32u                    /* of 4 KiB */
#define UNIT_   4096u
#define WRITERS 2u
#define MS      1000000ull

struct scene {
	struct block *memory, *power;
	struct block *slice[DISKS], *disk[DISKS];
	struct raid_array *array;
	struct random random;
	uint64_t seed;
	bool bitmap, ended;
	unsigned asked;              /* how many halves were suspected where there is none */
	uint64_t asked_about[DISKS]; /* their events then: the same is asked until it is answered */
	unsigned lost;               /* rounds in which an only copy went */
	struct log log;
	bool trace;
	bool told; /* in this round: the only copy of something went with its member */
	/* Of each unit the last value that a flush made durable, and the last that was written since. */
	uint32_t durable[UNITS], latest[UNITS], value;
	struct error error;
};

/* For the person who has to find out. */
static void show_superblocks(struct scene *scene)
{
	for (unsigned i = 0; i < DISKS; i++) {
		struct md_superblock sb;
		bool found;

		if (md_superblock_find(scene->disk[i], &sb, &found, NULL))
			continue;
		printf("  %s: number %u, events %llu, features %x, resync %lld, roles",
		       scene->disk[i]->name, sb.dev_number, (unsigned long long)sb.events,
		       sb.features, (long long)sb.resync_offset);
		for (unsigned k = 0; k < 8 && k < sb.max_dev; k++)
			printf(" %x", sb.roles[k]);
		printf("\n");
	}
}

static void listen(struct log *log, enum log_level level, const char *text)
{
	struct scene *scene = container_of(log, struct scene, log);

	/* Without power all fail, and nothing of that is written anywhere. */
	if (!block_volatile_is_off(scene->power))
		scene->told = scene->told || strstr(text, "cannot be read any more: only");
	if (scene->trace)
		printf("[%d, %.3f ms] %s\n", level, (double)worker_now() / MS, text);
}

static void failed(struct scene *scene, const char *what, const char *text)
{
	char line[400];

	snprintf(line, sizeof(line), "seed %llu%s: %s: %s", (unsigned long long)scene->seed,
		 scene->bitmap ? " with a bitmap" : "", what, text);
	printf("%s\n", line);
	show_superblocks(scene);
	CU_FAIL(line);
}

/* ---- Writers ---- */

static void fill_unit(uint8_t *bytes, uint32_t value)
{
	for (unsigned i = 0; i < UNIT_; i += 4)
		put_le32(bytes + i, value);
}

struct writer {
	struct scene *scene;
	unsigned index;
};

/* Each has units of its own. A flush covers what both had written when it began. */
static int writer(void *arg)
{
	const struct writer *me = arg;
	struct scene *scene = me->scene;
	struct block *block = raid_array_block(scene->array);
	uint32_t covered[UNITS], acknowledged[UNITS];
	uint8_t bytes[UNIT_];

	memcpy(acknowledged, scene->durable, sizeof(acknowledged));
	while (!scene->ended && !block_volatile_is_off(scene->power)) {
		unsigned unit = WRITERS * (unsigned)random_below(&scene->random, UNITS / WRITERS) +
				me->index;

		fiber_sleep(1 + random_below(&scene->random,
					     random_below(&scene->random, 9) ? 3 * MS : 900 * MS));
		if (random_below(&scene->random, 4)) {
			uint32_t value = ++scene->value;

			fill_unit(bytes, value);
			scene->latest[unit] = value;
			if (!block_write(block, unit * UNIT_, bytes, UNIT_,
					 random_below(&scene->random, 8) ? 0 : BLOCK_FUA))
				acknowledged[unit] = value;
			continue;
		}
		memcpy(covered, acknowledged, sizeof(covered));
		if (block_flush(block) || block_volatile_is_off(scene->power))
			continue;
		for (unsigned i = me->index; i < UNITS; i += WRITERS)
			scene->durable[i] = MAX(scene->durable[i], covered[i]);
	}
	return 0;
}

/* ---- What happens to members ---- */

static enum raid_member_state state_of(struct scene *scene, unsigned disk, bool *known)
{
	enum raid_member_state state = RAID_MEMBER_STALE;
	struct raid_status status;

	*known = false;
	raid_status(scene->array, &status);
	for (unsigned i = 0; i < status.member_count; i++) {
		if (strcmp(status.members[i].device, scene->disk[disk]->name))
			continue;
		state = status.members[i].state;
		*known = true;
	}
	raid_status_free(&status);
	return state;
}

/* A disk that does not do, for a while or for good, some of what it is asked. */
static void break_disk(struct scene *scene, struct block *disk)
{
	static const unsigned kinds[] = { BLOCK_FAULT_WRITE, BLOCK_FAULT_FLUSH, BLOCK_FAULT_READ,
					  BLOCK_FAULT_CHANGES, BLOCK_FAULT_ALL };
	static const int errors[] = { -EIO, -EIO, -ENOSPC, -ENXIO };
	struct block_fault_rule rule = {
		.requests = kinds[random_below(&scene->random, ARRAY_SIZE(kinds))],
		.after = random_below(&scene->random, 12),
		.count = random_below(&scene->random, 2) ? 1 + random_below(&scene->random, 3) : 0,
		.action = random_below(&scene->random, 4) ? BLOCK_FAULT_ERROR : BLOCK_FAULT_TORN,
		.error = errors[random_below(&scene->random, ARRAY_SIZE(errors))],
		.torn_sectors = (uint32_t)random_below(&scene->random, 8),
	};

	if (random_below(&scene->random, 2)) {
		rule.offset = random_below(&scene->random, 2) ? 0 : 1 << 20;
		rule.length = SIZE - (1 << 20);
	}
	block_fault_add(disk, &rule);
}

static void meddle_once(struct scene *scene)
{
	unsigned disk = (unsigned)random_below(&scene->random, DISKS);
	const char *name = scene->disk[disk]->name;
	bool known;
	enum raid_member_state state = state_of(scene, disk, &known);

	switch (random_below(&scene->random, 9)) {
	case 0:
	case 1:
		raid_fail(scene->array, name, NULL);
		break;
	case 2:
	case 3:
		raid_remove(scene->array, name, NULL);
		break;
	case 4:
	case 5:
		if (!known || state == RAID_MEMBER_STALE)
			raid_add(scene->array, scene->disk[disk], NULL);
		break;
	case 6:
		break_disk(scene, scene->disk[disk]);
		break;
	case 7:
		raid_scrub_start(scene->array, random_below(&scene->random, 2), NULL);
		break;
	case 8:
		raid_rebuild_freeze(scene->array, random_below(&scene->random, 2));
		break;
	}
}

static void play(struct scene *scene)
{
	struct writer writers[WRITERS] = { { scene, 0 }, { scene, 1 } };
	struct fiber *fibers[WRITERS];

	scene->ended = false;
	for (unsigned i = 0; i < WRITERS; i++)
		fibers[i] = fiber_spawn(writer, &writers[i]);
	for (unsigned i = 0; i < 12 && !block_volatile_is_off(scene->power); i++) {
		fiber_sleep(random_below(&scene->random,
					 random_below(&scene->random, 5) ? 20 * MS : 6000 * MS));
		meddle_once(scene);
	}
	scene->ended = true;
	for (unsigned i = 0; i < WRITERS; i++)
		fiber_join(fibers[i]);
}

/* ---- Afterwards ---- */

/* Each sector holds what was durable, or something that was written to it since. */
static bool unit_is_legal(const struct scene *scene, unsigned unit, const uint8_t *bytes)
{
	for (unsigned sector = 0; sector < UNIT_; sector += 512) {
		uint32_t value = get_le32(bytes + sector);

		for (unsigned i = 4; i < 512; i += 4) {
			if (get_le32(bytes + sector + i) != value)
				return false;
		}
		if (value < scene->durable[unit] || value > scene->latest[unit])
			return false;
	}
	return true;
}

static void check_contents(struct scene *scene, struct block *block, uint64_t offset,
			   const char *which)
{
	uint8_t bytes[UNIT_];

	for (unsigned unit = 0; unit < UNITS; unit++) {
		char text[160];
		int rc = block_read(block, offset + unit * (uint64_t)UNIT_, bytes, UNIT_);

		if (!rc && unit_is_legal(scene, unit, bytes))
			continue;
		if (rc == -EIO && scene->told)
			continue;
		snprintf(text, sizeof(text), "unit %u: %d, holds %u, durable %u, latest %u", unit,
			 rc, get_le32(bytes), scene->durable[unit], scene->latest[unit]);
		failed(scene, which, text);
		return;
	}
}

static unsigned with_superblock(struct scene *scene, struct block *blocks[DISKS])
{
	struct raid_info info;
	unsigned count = 0;

	for (unsigned i = 0; i < DISKS; i++) {
		if (raid_probe(scene->disk[i], &info, NULL) == 1)
			blocks[count++] = scene->disk[i];
	}
	/* In another order each time. */
	for (unsigned i = count; i > 1; i--) {
		unsigned other = (unsigned)random_below(&scene->random, i);
		struct block *block = blocks[i - 1];

		blocks[i - 1] = blocks[other];
		blocks[other] = block;
	}
	return count;
}

/* Leaves one out, which counts once; each assembly asks again as long as it is not added anew. */
static void note_asked(struct scene *scene, const struct block *block, uint64_t events)
{
	for (unsigned i = 0; i < DISKS; i++) {
		if (scene->disk[i] != block || scene->asked_about[i] == events ||
		    !strstr(scene->error.text, block->name))
			continue;
		scene->asked_about[i] = events;
		scene->asked++;
	}
}

/* Without those that were not in the last updates, as a user would who was asked. */
static unsigned leave_out_old(struct scene *scene, struct block *blocks[DISKS], unsigned count)
{
	uint64_t events = 0;
	unsigned kept = 0;
	struct raid_info info;

	for (unsigned i = 0; i < count; i++)
		if (raid_probe(blocks[i], &info, NULL) == 1)
			events = MAX(events, info.events);
	for (unsigned i = 0; i < count; i++) {
		if (raid_probe(blocks[i], &info, NULL) != 1)
			continue;
		if (info.events + 4 > events)
			blocks[kept++] = blocks[i];
		else
			note_asked(scene, blocks[i], info.events);
	}
	return kept;
}

static int assemble(struct scene *scene, bool no_resync)
{
	struct raid_assemble_options options = { .refuse_degraded = true,
						 .no_resync = no_resync,
						 .log = &scene->log };
	struct block *blocks[DISKS];
	unsigned count = with_superblock(scene, blocks);
	int rc;

	scene->error = (struct error){ 0 };
	rc = raid_assemble(&scene->array, blocks, count, &options, &scene->error);
	if (rc != -ESTALE)
		return rc;
	count = leave_out_old(scene, blocks, count);
	return raid_assemble(&scene->array, blocks, count, &options, &scene->error);
}

static unsigned bad_ranges(struct scene *scene)
{
	struct raid_status status;
	unsigned count = 0;

	raid_status(scene->array, &status);
	for (unsigned i = 0; i < status.member_count; i++) {
		if (status.members[i].state == RAID_MEMBER_IN_SYNC)
			count += status.members[i].bad_blocks;
	}
	raid_status_free(&status);
	return count;
}

/* What is bad on one is repaired from another. */
static void repair(struct scene *scene)
{
	CU_ASSERT_EQUAL(raid_scrub_start(scene->array, true, &scene->error), 0);
	raid_rebuild_wait(scene->array, NULL, NULL, 1000 * MS, &scene->error);
	if (bad_ranges(scene) && !scene->told)
		failed(scene, "repair", "bad blocks are left, and all disks are well");
}

/* Rebuilt, every member in sync holds the same, and that is right. */
static void check_members(struct scene *scene)
{
	struct raid_status status;

	if (raid_rebuild_wait(scene->array, NULL, NULL, 1000 * MS, &scene->error))
		failed(scene, "rebuild", scene->error.text);
	check_contents(scene, raid_array_block(scene->array), 0, "rebuilt array");
	if (bad_ranges(scene))
		repair(scene);
	raid_status(scene->array, &status);
	if (status.progress.last == RAID_REPAIR && status.progress.mismatches)
		failed(scene, "repair", "the members differed");
	/* What a log says is bad holds anything. */
	for (unsigned i = 0; i < status.member_count && !bad_ranges(scene); i++) {
		for (unsigned disk = 0; disk < DISKS; disk++) {
			if (status.members[i].state == RAID_MEMBER_IN_SYNC &&
			    !strcmp(status.members[i].device, scene->disk[disk]->name))
				check_contents(scene, scene->disk[disk], 1 << 20,
					       status.members[i].device);
		}
	}
	raid_status_free(&status);
	CU_ASSERT_EQUAL(raid_scrub_start(scene->array, false, &scene->error), 0);
	raid_rebuild_wait(scene->array, NULL, NULL, 1000 * MS, &scene->error);
	raid_status(scene->array, &status);
	if (status.progress.mismatches)
		failed(scene, "check", "the members differ");
	raid_status_free(&status);
}

/* What there is now is what the next round begins with, in whole units. */
static void take_over(struct scene *scene)
{
	struct block *block = raid_array_block(scene->array);
	uint8_t bytes[UNIT_];

	for (unsigned unit = 0; unit < UNITS; unit++) {
		fill_unit(bytes, ++scene->value);
		scene->latest[unit] = scene->durable[unit] = scene->value;
		CU_ASSERT_EQUAL(block_write(block, unit * (uint64_t)UNIT_, bytes, UNIT_, 0), 0);
	}
	CU_ASSERT_EQUAL(block_flush(block), 0);
}

/* Members that are out come back, more often than not. */
static void refill(struct scene *scene)
{
	for (unsigned i = 0; i < DISKS; i++) {
		bool known;
		enum raid_member_state state = state_of(scene, i, &known);

		if (random_below(&scene->random, 4) == 0)
			continue;
		if (state == RAID_MEMBER_FAULTY && known)
			raid_remove(scene->array, scene->disk[i]->name, NULL);
		if (!known || state == RAID_MEMBER_STALE || state == RAID_MEMBER_FAULTY)
			raid_add(scene->array, scene->disk[i], NULL);
	}
	raid_rebuild_wait(scene->array, NULL, NULL, 1000 * MS, NULL);
}

static void clear_faults(struct scene *scene)
{
	for (unsigned i = 0; i < DISKS; i++) {
		block_fault_clear(scene->disk[i]);
		block_fault_add(scene->disk[i],
				&(struct block_fault_rule){
					.requests = BLOCK_FAULT_ALL,
					.action = BLOCK_FAULT_LATENCY,
					.latency_ns = 10000 + random_below(&scene->random, 3) *
								      random_below(&scene->random,
										   4 * MS) });
	}
}

static void go_off(struct scene *scene)
{
	if (!block_volatile_is_off(scene->power))
		block_volatile_power_cut(scene->power, random_next(&scene->random));
	raid_stop(steal_pointer(&scene->array), NULL);
	clear_faults(scene);
	block_volatile_power_on(scene->power);
}

static void round_of(struct scene *scene)
{
	block_volatile_cut_after(scene->power, random_below(&scene->random, 300),
				 random_next(&scene->random));
	play(scene);
	/* Ended by the process instead, with whatever errors there are. */
	if (!block_volatile_is_off(scene->power) && random_below(&scene->random, 2)) {
		raid_stop(steal_pointer(&scene->array), NULL);
		clear_faults(scene);
		if (assemble(scene, true) && !block_volatile_is_off(scene->power)) {
			failed(scene, "assembly after an end", scene->error.text);
			return;
		}
	}
	go_off(scene);
	/* And again while it recovers. */
	while (random_below(&scene->random, 2)) {
		block_volatile_cut_after(scene->power, random_below(&scene->random, 100),
					 random_next(&scene->random));
		if (!assemble(scene, false)) {
			if (random_below(&scene->random, 2))
				raid_rebuild_wait(scene->array, NULL, NULL, 1000 * MS, NULL);
			refill(scene);
			go_off(scene);
		} else if (!block_volatile_is_off(scene->power)) {
			failed(scene, "assembly again", scene->error.text);
			return;
		} else {
			block_volatile_power_on(scene->power);
		}
	}
	block_volatile_cut_after(scene->power, UINT64_MAX, 0);
	if (assemble(scene, false)) {
		failed(scene, "assembly", scene->error.text);
		return;
	}
	check_contents(scene, raid_array_block(scene->array), 0, "array");
	check_members(scene);
	refill(scene);
	take_over(scene);
	scene->lost += scene->told;
	scene->told = false;
}

static void make_disks(struct scene *scene)
{
	CU_ASSERT_EQUAL_FATAL(block_create_memory(&scene->memory, "memory", DISKS * (uint64_t)SIZE,
						  &scene->error),
			      0);
	CU_ASSERT_EQUAL_FATAL(
		block_create_volatile(&scene->power, "power", scene->memory, &scene->error), 0);
	for (unsigned i = 0; i < DISKS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "disk%u", i);
		CU_ASSERT_EQUAL_FATAL(block_create_slice(&scene->slice[i], name, scene->power,
							 i * (uint64_t)SIZE, SIZE, &scene->error),
				      0);
		CU_ASSERT_EQUAL_FATAL(block_create_fault(&scene->disk[i], name, scene->slice[i], i,
							 &scene->error),
				      0);
	}
}

#define ROUNDS 6u /* with one set of disks */

struct round {
	uint64_t seed;
	unsigned asked, lost;
};

static int run(void *arg)
{
	struct round *round = arg;
	const uint64_t *seed = &round->seed;
	struct scene *scene = calloc(1, sizeof(*scene));
	struct raid_new_member members[DISKS] = { 0 };
	struct raid_create_options options = { .name = "m", .level = 1, .now = 1000000 };

	scene->seed = *seed;
	scene->trace = getenv("TRACE") != NULL;
	scene->log = (struct log){ .level = LOG_LEVEL_INFO, .write = listen };
	options.log = &scene->log;
	scene->random.state = *seed * 7919;
	scene->bitmap = *seed % 2;
	options.bitmap = scene->bitmap ? RAID_BITMAP_INTERNAL : RAID_BITMAP_NONE;
	options.bitmap_chunk = scene->bitmap ? UNIT_ : 0;
	make_disks(scene);
	clear_faults(scene);
	for (unsigned i = 0; i < DISKS; i++) {
		members[i].block = scene->disk[i];
		members[i].spare = i >= 2 + *seed / 2 % 2;
	}
	CU_ASSERT_EQUAL_FATAL(raid_create(&scene->array, members, 3 + (unsigned)(*seed / 4 % 2),
					  &options, &scene->error),
			      0);
	for (unsigned i = 0; i < ROUNDS && scene->array && !CU_get_number_of_failures(); i++)
		round_of(scene);
	raid_stop(scene->array, NULL);
	round->asked += scene->asked;
	round->lost += scene->lost;
	for (unsigned i = 0; i < DISKS; i++) {
		block_unref(scene->disk[i]);
		block_unref(scene->slice[i]);
	}
	block_unref(scene->power);
	block_unref(scene->memory);
	free(scene);
	return 0;
}

static void test_campaign(void)
{
	const char *torture = getenv("TORTURE"), *first = getenv("SEED");
	uint64_t seed = first ? strtoull(first, NULL, 10) : 1;
	uint64_t rounds = torture && !strcmp(torture, "1") ? 3000 : first ? 1 : 40;
	unsigned asked = 0, lost = 0;

	for (uint64_t end = seed + rounds; seed < end && !CU_get_number_of_failures(); seed++) {
		struct round round = { .seed = seed };
		struct worker_options options = { .virtual_clock = true, .seed = seed };
		struct worker *worker;
		struct error error = { 0 };

		if (worker_create(&worker, &options, &error)) {
			CU_FAIL(error.text);
			return;
		}
		worker_run(worker, run, &round);
		worker_destroy(worker);
		asked += round.asked;
		lost += round.lost;
	}
	printf("%u times asked which half it is to be, %u times the only copy went\n", asked, lost);
	/* Where a disk was last written with others whose numbers are all given anew by now, it cannot be told
	 * whether these went on without it or it without them: to ask is right, and it is rare. */
	CU_ASSERT(asked <= rounds / 100);
}

UNIT_MAIN("raid campaign", UNIT(test_campaign))
