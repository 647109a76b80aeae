/* SPDX-License-Identifier: BSD-2-Clause */
/* Members that do not take a write: noted in the bad-block log, or failed. Virtual time. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raid/md_badblocks.h"
#include "raid/md_superblock.h"
#include "raid_rig.h"
#include "util/bytes.h"
#include "util/log.h"

#define DATA (1u << 20)

static void create(struct raid_rig *rig)
{
	const struct raid_create_options options = { .name = "w",
						     .level = rig->level,
						     .chunk = rig->level == 1 ? 0 : 65536,
						     .assume_clean = true };

	rig_create(rig, rig->disks, &options);
	rig_write(rig, 0, raid_array_block(rig->array)->size, 1);
}

/* What is in the log on the disk. */
static unsigned logged(struct raid_rig *rig, unsigned disk, struct md_bad_range *first)
{
	struct md_badblocks list = { 0 };
	struct md_superblock sb;
	uint8_t log[4096];
	unsigned count;
	bool found;

	CU_ASSERT_EQUAL(md_superblock_find(rig->memory[disk], &sb, &found, NULL), 0);
	if (!(sb.features & MD_FEATURE_BAD_BLOCKS))
		return 0;
	block_read(rig->memory[disk], md_superblock_byte(&sb, sb.bblog_offset), log, sizeof(log));
	CU_ASSERT_EQUAL(md_badblocks_decode(&list, log, sizeof(log), 0, NULL), 0);
	count = list.count;
	if (count && first)
		*first = list.ranges[0];
	md_badblocks_free(&list);
	return count;
}

/* One bad sector costs a piece of 4 KiB, and nothing else; it is in the log before the write is acknowledged. */
static void noted(struct raid_rig *rig)
{
	struct md_bad_range range = { 0 };
	uint64_t size;
	int rule;

	create(rig);
	size = raid_array_block(rig->array)->size;
	rule = rig_break(rig, 1, BLOCK_FAULT_CHANGES, DATA + 8192, 512);
	rig_write(rig, 0, size, 2);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_EQUAL(logged(rig, 1, &range), 1);
	CU_ASSERT_EQUAL(range.sector, (DATA + 8192) / 512);
	CU_ASSERT_EQUAL(range.count, 8);
	CU_ASSERT(rig_holds(rig, 0, size, 2));
	/* Started anew, it is known. */
	rig_stop(rig);
	rig_assemble(rig, rig->disks, NULL);
	CU_ASSERT(rig_holds(rig, 0, size, 2));
	/* Whoever has those data alone is not let go of. */
	if (rig->level == 10 || rig->disks == 2)
		CU_ASSERT_EQUAL(raid_fail(rig->array, "disk0", NULL), -EBUSY);
	/* Once it can be written a repair does so. */
	block_fault_remove(rig->disk[1], rule);
	CU_ASSERT_EQUAL(raid_scrub_start(rig->array, true, &rig->error), 0);
	rig_wait(rig);
	rig_write(rig, 0, size, 3);
	fiber_sleep(1000000000);
	CU_ASSERT_EQUAL(logged(rig, 1, NULL), 0);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk0", &rig->error), 0);
	CU_ASSERT(rig_holds(rig, 0, size, 3));
}

static void test_noted(void)
{
	static const struct {
		int level;
		unsigned disks;
	} shapes[] = { { 1, 2 }, { 1, 3 }, { 10, 4 }, { 5, 3 }, { 6, 5 } };

	for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		rig_run_level(shapes[i].level, shapes[i].disks, noted);
	}
}

/* One that does not take its log either is failed before the write is acknowledged. */
static void dead_one_is_failed(struct raid_rig *rig)
{
	create(rig);
	rig_break(rig, 1, BLOCK_FAULT_ALL, 0, 0);
	rig_write(rig, 0, 131072, 2);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_FAULTY);
	CU_ASSERT(rig_holds(rig, 0, 131072, 2));
}

/* A log that is full, or is not there, cannot take it. */
static void full_log_fails(struct raid_rig *rig)
{
	uint8_t bytes[512];
	uint64_t at;

	create(rig);
	rig_break(rig, 1, BLOCK_FAULT_CHANGES, DATA, RIG_SIZE - DATA);
	memset(bytes, 7, sizeof(bytes));
	for (at = 0; at < 3 << 20 && rig_state(rig, 1) == RAID_MEMBER_IN_SYNC; at += 4096)
		CU_ASSERT_EQUAL(block_write(raid_array_block(rig->array), at, bytes, 512, 0), 0);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_FAULTY);
	CU_ASSERT(at > 500 * 4096);
}

static void no_log_fails(struct raid_rig *rig)
{
	struct md_superblock *sb = malloc(sizeof(*sb));
	bool found;

	create(rig);
	rig_stop(rig);
	for (unsigned i = 0; i < rig->disks; i++) {
		CU_ASSERT_EQUAL(md_superblock_find(rig->memory[i], sb, &found, NULL), 0);
		sb->bblog_offset = 0;
		sb->bblog_size = 0;
		CU_ASSERT_EQUAL(md_superblock_write(rig->memory[i], sb), 0);
	}
	free(sb);
	rig_assemble(rig, rig->disks, NULL);
	rig_break(rig, 1, BLOCK_FAULT_CHANGES, DATA + 8192, 512);
	rig_write(rig, 0, 131072, 2);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_FAULTY);
	CU_ASSERT(rig_holds(rig, 0, 131072, 2));
}

static void test_failed(void)
{
	rig_run_level(1, 3, dead_one_is_failed);
	rig_run_level(1, 3, no_log_fails);
	rig_run_level(1, 2, full_log_fails);
	rig_run_level(5, 3, dead_one_is_failed);
	rig_run_level(5, 3, no_log_fails);
}

/* Two that are bad in one stripe of one parity would lose data: the write is not acknowledged. */
static void second_in_a_stripe(struct raid_rig *rig)
{
	uint8_t bytes[4096];
	int rc;

	create(rig);
	/* Row 0 of three members, left-symmetric: data on the first two, parity on the third. */
	rig_break(rig, 0, BLOCK_FAULT_CHANGES, DATA, 4096);
	memset(bytes, 7, sizeof(bytes));
	CU_ASSERT_EQUAL(block_write(raid_array_block(rig->array), 0, bytes, sizeof(bytes), 0), 0);
	CU_ASSERT_EQUAL(logged(rig, 0, NULL), 1);
	rig_break(rig, 1, BLOCK_FAULT_CHANGES, DATA, 4096);
	rc = block_write(raid_array_block(rig->array), 65536, bytes, sizeof(bytes), 0);
	CU_ASSERT_EQUAL(rc, -EIO);
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(rig_state(rig, i), RAID_MEMBER_IN_SYNC);
	rc = block_read(raid_array_block(rig->array), 0, bytes, sizeof(bytes));
	CU_ASSERT(rc == -EIO || bytes[0] == 7);
}

static void test_second_in_a_stripe(void)
{
	rig_run_level(5, 3, second_in_a_stripe);
}

/* ---- A spare replaces it ---- */

static void add(struct raid_rig *rig, unsigned disk)
{
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[disk], &rig->error), 0);
}

static bool is_degraded(struct raid_rig *rig)
{
	struct raid_status status;
	bool degraded;

	raid_status(rig->array, &status);
	degraded = status.degraded;
	raid_status_free(&status);
	return degraded;
}

static void check_replaced(struct raid_rig *rig, unsigned by)
{
	while (rig_state(rig, by) != RAID_MEMBER_IN_SYNC && worker_now() < 3600000000000ull) {
		CU_ASSERT_FALSE(is_degraded(rig));
		fiber_sleep(1000000);
	}
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, by), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_FAULTY);
	CU_ASSERT_FALSE(is_degraded(rig));
	CU_ASSERT(rig_holds(rig, 0, raid_array_block(rig->array)->size, 2));
}

static void is_replaced(struct raid_rig *rig)
{
	create(rig);
	add(rig, rig->disks);
	rig_break(rig, 1, BLOCK_FAULT_CHANGES, DATA + 8192, 512);
	rig_write(rig, 0, raid_array_block(rig->array)->size, 2);
	check_replaced(rig, rig->disks);
	rig_stop(rig);
	rig_assemble(rig, rig->disks + 1, NULL);
	CU_ASSERT_EQUAL(rig_state(rig, rig->disks), RAID_MEMBER_IN_SYNC);
	CU_ASSERT(rig_holds(rig, 0, raid_array_block(rig->array)->size, 2));
}

/* The spare comes later. */
static void is_replaced_later(struct raid_rig *rig)
{
	create(rig);
	rig_break(rig, 1, BLOCK_FAULT_CHANGES, DATA + 8192, 512);
	rig_write(rig, 0, raid_array_block(rig->array)->size, 2);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_IN_SYNC);
	add(rig, rig->disks);
	check_replaced(rig, rig->disks);
}

/* Of two spares one cannot be written: the other one goes there. */
static void is_replaced_by_another(struct raid_rig *rig)
{
	create(rig);
	add(rig, rig->disks);
	add(rig, rig->disks + 1);
	rig_break(rig, rig->disks, BLOCK_FAULT_CHANGES, 0, 0);
	rig_break(rig, 1, BLOCK_FAULT_CHANGES, DATA + 8192, 512);
	rig_write(rig, 0, raid_array_block(rig->array)->size, 2);
	check_replaced(rig, rig->disks + 1);
	CU_ASSERT_EQUAL(rig_state(rig, rig->disks), RAID_MEMBER_FAULTY);
}

/* A place that is empty comes first, and the member keeps its own. */
static void empty_place_first(struct raid_rig *rig)
{
	create(rig);
	add(rig, rig->disks);
	rig_break(rig, 1, BLOCK_FAULT_CHANGES, DATA + 8192, 512);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk2", &rig->error), 0);
	rig_write(rig, 0, raid_array_block(rig->array)->size, 2);
	rig_wait(rig);
	CU_ASSERT_FALSE(is_degraded(rig));
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_EQUAL(rig_state(rig, rig->disks), RAID_MEMBER_IN_SYNC);
	CU_ASSERT(rig_holds(rig, 0, raid_array_block(rig->array)->size, 2));
}

static void test_replaced(void)
{
	static const struct {
		int level;
		unsigned disks;
	} shapes[] = { { 1, 3 }, { 10, 4 }, { 5, 3 }, { 6, 4 } };

	for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		rig_run_level(shapes[i].level, shapes[i].disks, is_replaced);
		rig_run_level(shapes[i].level, shapes[i].disks, is_replaced_later);
		rig_run_level(shapes[i].level, shapes[i].disks, is_replaced_by_another);
		if (shapes[i].level != 5)
			rig_run_level(shapes[i].level, shapes[i].disks, empty_place_first);
	}
}

/* ---- Where data move to lies before their start ---- */

struct told {
	struct log log;
	char text[8192];
};

static void listen(struct log *log, enum log_level level_of, const char *text)
{
	struct told *told = (struct told *)log;
	size_t length = strlen(told->text);

	(void)level_of;
	snprintf(told->text + length, sizeof(told->text) - length, "%s\n", text);
}

/* The byte is the device's, where people can look; `error` of what they take is noted, or costs the member. */
static void tells_the_devices_byte(struct raid_rig *rig, int error)
{
	struct told told = { .log = { .level = LOG_LEVEL_INFO, .write = listen } };
	const struct raid_grow grow = { .chunk = 131072 };
	unsigned long long byte = 0;
	const char *at;

	create(rig);
	rig_stop(rig);
	rig_assemble(rig, rig->disks, &(struct raid_assemble_options){ .log = &told.log });
	block_fault_add(rig->disk[1], &(struct block_fault_rule){ .requests = BLOCK_FAULT_CHANGES,
								  .offset = DATA - 131072,
								  .length = 131072,
								  .error = error });
	CU_ASSERT_EQUAL(raid_grow(rig->array, &grow, &rig->error), 0);
	raid_rebuild_wait(rig->array, NULL, NULL, 1000000000, NULL);
	CU_ASSERT_EQUAL(rig_state(rig, 1),
			error == -ENXIO ? RAID_MEMBER_FAULTY : RAID_MEMBER_IN_SYNC);
	at = strstr(told.text, "bytes at byte ");
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	CU_ASSERT_EQUAL(sscanf(at, "bytes at byte %llu", &byte), 1);
	CU_ASSERT(byte < DATA);
	CU_ASSERT(byte < DATA || !printf("%s", told.text));
	CU_ASSERT(rig_holds(rig, 0, raid_array_block(rig->array)->size, 1));
}

static void notes_the_devices_byte(struct raid_rig *rig)
{
	tells_the_devices_byte(rig, -EIO);
}

static void fails_at_the_devices_byte(struct raid_rig *rig)
{
	tells_the_devices_byte(rig, -ENXIO);
}

static void test_tells_the_devices_byte(void)
{
	static const int levels[] = { 5, 10 };

	for (unsigned i = 0; i < ARRAY_SIZE(levels); i++) {
		rig_run_level(levels[i], 4, notes_the_devices_byte);
		rig_run_level(levels[i], 4, fails_at_the_devices_byte);
	}
}

UNIT_MAIN("raid write error", UNIT(test_noted), UNIT(test_failed), UNIT(test_second_in_a_stripe),
	  UNIT(test_replaced), UNIT(test_tells_the_devices_byte))
