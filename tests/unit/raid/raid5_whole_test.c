/* SPDX-License-Identifier: BSD-2-Clause */
/* Whole stripes of levels 5 and 6: whose memory goes to the members, and that parity is of what they got. Virtual time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "raid/array.h"
#include "raid/raid5.h"
#include "raid_rig.h"
#include "util/bytes.h"
#include "util/random.h"

#define CHUNK   65536u
#define MEMBERS 4u

/* Notes whether it was given memory of the caller, and writes into that, as a guest may. */
struct spy {
	struct block block;
	struct block *lower;
	uint8_t *data;
	uint64_t length;
	bool scribbles, fails;
	unsigned from_caller, others;
};

static struct spy spies[MEMBERS];

static int spy_readv(struct block *block, uint64_t offset, uint64_t length, const struct iovec *iov,
		     unsigned count)
{
	(void)length;
	return block_readv(container_of(block, struct spy, block)->lower, offset, iov, count);
}

static int spy_writev(struct block *block, uint64_t offset, uint64_t length,
		      const struct iovec *iov, unsigned count, unsigned flags)
{
	struct spy *spy = container_of(block, struct spy, block);
	const uint8_t *at = iov[0].iov_base;

	if (length == CHUNK) {
		spy->from_caller += at >= spy->data && at < spy->data + spy->length;
		spy->others += at < spy->data || at >= spy->data + spy->length;
		for (uint64_t i = 0; spy->scribbles && i < spy->length; i += 4096)
			spy->data[i]++;
	}
	return spy->fails ? -EIO : block_writev(spy->lower, offset, iov, count, flags & BLOCK_FUA);
}

static int spy_flush(struct block *block)
{
	(void)block;
	return 0;
}

static void spy_close(struct block *block)
{
	block_unref(container_of(block, struct spy, block)->lower);
}

static const struct block_ops spy_ops = {
	.type = "spy",
	.readv = spy_readv,
	.writev = spy_writev,
	.flush = spy_flush,
	.close = spy_close,
};

static int level;
static bool bitmap, zeroes;

static void create(struct raid_rig *rig, uint8_t *data, uint64_t length)
{
	const struct raid_create_options options = {
		.name = "x",
		.level = level,
		.chunk = CHUNK,
		.assume_clean = true,
		.bitmap = bitmap ? RAID_BITMAP_INTERNAL : RAID_BITMAP_NONE,
		.bitmap_chunk = bitmap ? CHUNK : 0,
	};

	for (unsigned i = 0; i < MEMBERS; i++) {
		spies[i] = (struct spy){ .data = data, .length = length };
		block_init(&spies[i].block, &spy_ops, rig->disk[i]->name);
		spies[i].block.size = RIG_SIZE;
		spies[i].lower = rig->disk[i];
		rig->disk[i] = &spies[i].block;
	}
	rig_create(rig, MEMBERS, &options);
}

static uint64_t mismatches(struct raid_rig *rig)
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

static bool holds(struct raid_rig *rig, const uint8_t *data, uint64_t offset, uint64_t length)
{
	uint8_t *found = malloc(length);
	bool same = !block_read(raid_array_block(rig->array), offset, found, length) &&
		    memcmp(found, data, length) == 0;

	free(found);
	return same;
}

/* How many strips came from the caller's memory, of all that were written. */
static unsigned from_caller(unsigned *all)
{
	unsigned count = 0;

	*all = 0;
	for (unsigned i = 0; i < MEMBERS; i++) {
		count += spies[i].from_caller;
		*all += spies[i].from_caller + spies[i].others;
		spies[i].from_caller = spies[i].others = 0;
	}
	return count;
}

#define STRIPES 3u

static void whole(struct raid_rig *rig)
{
	unsigned strips = MEMBERS - (level == 6 ? 2 : 1), all;
	uint64_t row = (uint64_t)strips * CHUNK, length = STRIPES * row;
	uint8_t *data = aligned_alloc(4096, length + 4096);
	struct iovec gaps[2] = { { data, 4096 }, { data + 8192, row - 4096 } };
	struct random random = { 3 };
	struct block *block;

	random_fill(&random, data, length + 4096);
	create(rig, data, length + 4096);
	block = raid_array_block(rig->array);

	CU_ASSERT_EQUAL(block_write(block, row, data, length, BLOCK_STABLE), 0);
	CU_ASSERT_EQUAL(from_caller(&all), STRIPES * strips);
	CU_ASSERT_EQUAL(all, STRIPES * MEMBERS);
	CU_ASSERT_TRUE(holds(rig, data, row, length));
	CU_ASSERT_EQUAL(raid5_of(rig->array)->full_writes, STRIPES);

	/* A strip in two pieces, and one that a disk could not be given as it is, are copied. */
	CU_ASSERT_EQUAL(block_writev(block, 0, gaps, 2, BLOCK_STABLE), 0);
	CU_ASSERT_EQUAL(from_caller(&all), 0);
	CU_ASSERT_TRUE(holds(rig, data, 0, 4096));
	CU_ASSERT_TRUE(holds(rig, data + 8192, 4096, row - 4096));
	CU_ASSERT_EQUAL(block_write(block, 0, data + 512, row, BLOCK_STABLE), 0);
	CU_ASSERT_EQUAL(from_caller(&all), 0);
	CU_ASSERT_TRUE(holds(rig, data + 512, 0, row));
	CU_ASSERT_EQUAL(mismatches(rig), 0);

	/* What may change under way is not relied on. */
	for (unsigned i = 0; i < MEMBERS; i++)
		spies[i].scribbles = true;
	CU_ASSERT_EQUAL(block_write(block, 0, data, length, 0), 0);
	CU_ASSERT_EQUAL(from_caller(&all), 0);
	CU_ASSERT_EQUAL(all, STRIPES * MEMBERS);
	for (unsigned i = 0; i < MEMBERS; i++)
		spies[i].scribbles = false;
	CU_ASSERT_EQUAL(mismatches(rig), 0);

	/* Without one of the members. */
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
	CU_ASSERT_EQUAL(block_write(block, 0, data, length, BLOCK_STABLE), 0);
	CU_ASSERT_TRUE(from_caller(&all) >= STRIPES * (strips - 1));
	CU_ASSERT_EQUAL(all, STRIPES * (MEMBERS - 1));
	CU_ASSERT_TRUE(holds(rig, data, 0, length));
	free(data);
}

static void test_whole_stripes_go_from_the_callers_memory(void)
{
	for (level = 5; level <= 6; level++)
		rig_run(whole);
}

static unsigned failing, write_flags;

static void one_fails(struct raid_rig *rig)
{
	uint64_t row = (uint64_t)(MEMBERS - (level == 6 ? 2 : 1)) * CHUNK;
	uint8_t *data = aligned_alloc(4096, row);
	struct random random = { 3 };

	random_fill(&random, data, row);
	create(rig, data, row);
	spies[failing].fails = true;
	CU_ASSERT_EQUAL(block_write(raid_array_block(rig->array), 0, data, row, write_flags), 0);
	CU_ASSERT_EQUAL(rig_state(rig, failing), RAID_MEMBER_FAULTY);
	CU_ASSERT_TRUE(holds(rig, data, 0, row));
	free(data);
}

/* Each of them, so of data and of parity, in the caller's memory and copied. */
static void test_who_does_not_take_it_is_failed(void)
{
	for (unsigned i = 0; i < 4 * MEMBERS; i++) {
		level = i % 2 ? 6 : 5;
		write_flags = i / 2 % 2 ? BLOCK_STABLE : 0;
		failing = i / 4;
		rig_run(one_fails);
	}
}

static int write_row(void *arg)
{
	struct raid_rig *rig = arg;
	struct block *block = raid_array_block(rig->array);
	uint64_t row = (uint64_t)(MEMBERS - (level == 6 ? 2 : 1)) * CHUNK;

	return zeroes ? block_write_zeroes(block, 0, row, 0)
		      : block_write(block, 0, spies[0].data, row, BLOCK_STABLE);
}

/* One that comes back, by the bitmap, while a write waits for its turn gets what is written. */
static void one_comes_back(struct raid_rig *rig)
{
	uint64_t row = (uint64_t)(MEMBERS - (level == 6 ? 2 : 1)) * CHUNK;
	uint8_t *data = aligned_alloc(4096, row);
	struct range_hold hold;
	struct fiber *fiber;

	memset(data, 1, row);
	create(rig, data, row);
	CU_ASSERT_EQUAL(block_write(raid_array_block(rig->array), 0, data, row, 0), 0);
	fiber_sleep(30000000000);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
	CU_ASSERT_EQUAL(raid_remove(rig->array, "disk1", &rig->error), 0);
	memset(data, zeroes ? 0 : 2, row);
	range_lock(&rig->array->ranges, &hold, 0, 8);
	fiber = fiber_spawn(write_row, rig);
	fiber_sleep(1000000000);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[1], &rig->error), 0);
	fiber_sleep(10000000000);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_IN_SYNC);
	range_unlock(&rig->array->ranges, &hold);
	CU_ASSERT_EQUAL(fiber_join(fiber), 0);
	CU_ASSERT_TRUE(holds(rig, data, 0, row));
	CU_ASSERT_EQUAL(mismatches(rig), 0);
	free(data);
}

static void test_who_comes_back_meanwhile_is_written_to(void)
{
	bitmap = true;
	for (unsigned i = 0; i < 4; i++) {
		level = i % 2 ? 6 : 5;
		zeroes = i >= 2;
		rig_run(one_comes_back);
	}
	bitmap = false;
}

UNIT_MAIN("raid5_whole", UNIT(test_who_comes_back_meanwhile_is_written_to),
	  UNIT(test_whole_stripes_go_from_the_callers_memory),
	  UNIT(test_who_does_not_take_it_is_failed))
