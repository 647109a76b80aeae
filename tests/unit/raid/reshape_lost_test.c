/* SPDX-License-Identifier: BSD-2-Clause */
/* A reshape that comes to what no member has: it stands there, says so, and goes on once that was written anew. Virtual time. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raid_rig.h"
#include "util/bytes.h"

#define DATA  (1u << 20)
#define CHUNK 65536u

static int level;
static unsigned lost_disks;
static uint64_t lost_at; /* of a device, behind its data's beginning */
static uint64_t member_size;
static struct raid_grow change;

/* What has one parity: a row, of three chunks at level 5. */
static uint64_t row_bytes(void)
{
	return level == 5 ? 3 * CHUNK : level == 6 ? 2 * CHUNK : 4096;
}

static uint64_t differs(struct raid_rig *rig)
{
	struct raid_status status;
	uint64_t bytes;

	CU_ASSERT_EQUAL(raid_scrub_start(rig->array, false, &rig->error), 0);
	rig_wait(rig);
	raid_status(rig->array, &status);
	bytes = status.progress.mismatches + status.progress.skipped;
	raid_status_free(&status);
	return bytes;
}

/* The byte of the array that cannot be read, and where that ends. */
static uint64_t find_lost(struct raid_rig *rig, uint64_t from, bool lost)
{
	uint8_t page[4096];

	while (from < raid_array_block(rig->array)->size &&
	       !block_read(raid_array_block(rig->array), from, page, sizeof(page)) == lost)
		from += sizeof(page);
	return from;
}

static void stands_and_goes_on(struct raid_rig *rig)
{
	const struct raid_create_options options = { .name = "s",
						     .level = level,
						     .chunk = CHUNK,
						     .size = member_size,
						     .assume_clean = true };
	char byte[32], *end;
	uint64_t size, at, from;

	rig_create(rig, 4, &options);
	rig_write(rig, 0, size = raid_array_block(rig->array)->size, 1);
	for (unsigned i = 0; i < lost_disks; i++)
		rig_break(rig, i, BLOCK_FAULT_READ, DATA + lost_at, 4096);
	at = find_lost(rig, 0, true);
	CU_ASSERT_FATAL(at < size);
	CU_ASSERT_EQUAL_FATAL(raid_grow(rig->array, &change, &rig->error), 0);
	size = raid_array_block(rig->array)->size;
	CU_ASSERT_EQUAL(raid_rebuild_wait(rig->array, NULL, NULL, 1000000000, &rig->error), -EIO);
	snprintf(byte, sizeof(byte), "byte %llu,", (unsigned long long)at);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, byte));
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.advice, "`tenon raid rebuild s`"));
	if (!change.devices)
		CU_ASSERT(rig_holds(rig, 0, at, 1));
	from = strtoull(strstr(rig->error.advice, "bytes ") + 6, &end, 10);
	end += strlen(" to ");
	CU_ASSERT_EQUAL(from, at / row_bytes() * row_bytes());
	CU_ASSERT_EQUAL_FATAL(strtoull(end, NULL, 10) + 1, MIN(from + row_bytes(), size));
	rig_write(rig, from, strtoull(end, NULL, 10) + 1 - from, 1);
	for (unsigned i = 0; i < lost_disks; i++)
		block_fault_clear(rig->disk[i]);
	raid_sync_resume(rig->array);
	rig_wait(rig);
	CU_ASSERT(rig_holds(rig, 0, size, 1));
	CU_ASSERT_EQUAL(differs(rig), 0);
}

static void test_stands_and_goes_on(void)
{
	static const struct {
		int level;
		unsigned lost;
	} kinds[] = { { 5, 2 }, { 6, 3 }, { 10, 2 } };

	change = (struct raid_grow){ .chunk = 32768 };
	/* Rows in which others have their parity. */
	for (unsigned i = 0; i < 4 * ARRAY_SIZE(kinds); i++) {
		level = kinds[i / 4].level;
		lost_disks = kinds[i / 4].lost;
		lost_at = (8 + i % 4) * (uint64_t)CHUNK;
		rig_run(stands_and_goes_on);
	}
}

/* Two of 47 chunks and not three: the array ends behind the first chunk of row 31, which its parity's disk and its own cannot read. */
static void test_last_row(void)
{
	change = (struct raid_grow){ .devices = 3, .array_size = 94 * (uint64_t)CHUNK };
	level = 5;
	lost_disks = 2;
	member_size = 47 * (uint64_t)CHUNK;
	lost_at = 31 * (uint64_t)CHUNK;
	rig_run(stands_and_goes_on);
}

UNIT_MAIN("raid reshape lost", UNIT(test_stands_and_goes_on), UNIT(test_last_row))
