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

/* Notes whether it was given memory of the caller, and writes into that, as a guest may; lends what it has, as memory does. */
struct spy {
	struct block block;
	struct block *lower, *memory;
	uint8_t *data;
	uint64_t length;
	bool scribbles, lends, fails;
	uint64_t bad; /* a byte that it does not take; 0: all */
	unsigned from_caller, others;
};

static struct spy spies[MEMBERS + 1];

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
	if (spy->fails || (spy->bad >= offset && spy->bad && spy->bad < offset + length))
		return -EIO;
	return block_writev(spy->lower, offset, iov, count, flags & BLOCK_FUA);
}

static const void *spy_lend(struct block *block, uint64_t offset)
{
	struct spy *spy = container_of(block, struct spy, block);

	return spy->lends ? block_lend(spy->memory, offset, 512) : NULL;
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
	.lend = spy_lend,
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

	for (unsigned i = 0; i <= MEMBERS; i++) {
		spies[i] = (struct spy){ .data = data, .length = length };
		block_init(&spies[i].block, &spy_ops, rig->disk[i]->name);
		spies[i].block.size = RIG_SIZE;
		spies[i].lower = rig->disk[i];
		spies[i].memory = rig->memory[i];
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

/* ---- What members lend ---- */

static uint8_t *changing;

static uint64_t row_bytes(void)
{
	return (uint64_t)(MEMBERS - (level == 6 ? 2 : 1)) * CHUNK;
}

/* An array in which data of a guest, which changes them with each request of a member, go to members that lend but for `not_lending`. */
static void create_lending(struct raid_rig *rig, unsigned not_lending)
{
	uint64_t length = STRIPES * row_bytes();
	struct random random = { 3 };

	changing = aligned_alloc(4096, length);
	random_fill(&random, changing, length);
	create(rig, changing, length);
	for (unsigned i = 0; i <= MEMBERS; i++) {
		spies[i].scribbles = true;
		spies[i].lends = i != not_lending;
	}
}

/* Whether it is what was written at any time: that changes a byte of each page. */
static bool resembles(struct raid_rig *rig, uint64_t offset, uint64_t length)
{
	uint8_t *found = malloc(length);
	bool same = !block_read(raid_array_block(rig->array), offset, found, length);

	for (uint64_t at = 0; same && at < length; at += 4096)
		same = memcmp(found + at + 1, changing + at + 1, 4095) == 0;
	free(found);
	return same;
}

static unsigned not_lending;

static void lent(struct raid_rig *rig)
{
	unsigned all, strips = MEMBERS - (level == 6 ? 2 : 1);
	uint64_t length = STRIPES * row_bytes();
	struct iovec pieces[3];
	struct block *block;

	create_lending(rig, not_lending);
	block = raid_array_block(rig->array);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(block_write(block, 0, changing, length, 0), 0);
		if (not_lending == MEMBERS)
			CU_ASSERT_EQUAL(from_caller(&all), STRIPES * strips);
		CU_ASSERT_TRUE(resembles(rig, 0, length));
		CU_ASSERT_EQUAL(mismatches(rig), 0);
	}
	CU_ASSERT_EQUAL(raid5_of(rig->array)->full_writes, 2 * STRIPES);

	/* In pieces, as a guest has them. */
	for (unsigned i = 0; i < MEMBERS; i++)
		spies[i].scribbles = false;
	pieces[0] = (struct iovec){ changing + CHUNK, 512 };
	pieces[1] = (struct iovec){ changing + 4096, CHUNK };
	pieces[2] = (struct iovec){ changing + 512, row_bytes() - CHUNK - 512 };
	CU_ASSERT_EQUAL(block_writev(block, 0, pieces, 3, 0), 0);
	CU_ASSERT_TRUE(holds(rig, changing + CHUNK, 0, 512));
	CU_ASSERT_TRUE(holds(rig, changing + 4096, 512, CHUNK));
	CU_ASSERT_TRUE(holds(rig, changing + 512, CHUNK + 512, row_bytes() - CHUNK - 512));
	CU_ASSERT_EQUAL(mismatches(rig), 0);
	free(changing);
}

/* All of them lend, or all but one. */
static void test_parity_is_of_what_members_lend(void)
{
	for (level = 5; level <= 6; level++) {
		for (not_lending = 0; not_lending <= MEMBERS; not_lending++)
			rig_run(lent);
	}
}

static void lent_without_one(struct raid_rig *rig)
{
	uint64_t length = STRIPES * row_bytes();

	create_lending(rig, MEMBERS);
	CU_ASSERT_EQUAL(raid_fail(rig->array, rig->disk[failing]->name, &rig->error), 0);
	CU_ASSERT_EQUAL(block_write(raid_array_block(rig->array), 0, changing, length, 0), 0);
	CU_ASSERT_TRUE(resembles(rig, 0, length));
	if (level == 6)
		CU_ASSERT_EQUAL(raid_fail(rig->array, rig->disk[(failing + 1) % MEMBERS]->name,
					  &rig->error),
				0);
	CU_ASSERT_TRUE(resembles(rig, 0, length));
	free(changing);
}

/* It does not take the write, and has what was there before. */
static void lent_by_one_that_fails(struct raid_rig *rig)
{
	uint64_t length = STRIPES * row_bytes();

	create_lending(rig, MEMBERS);
	spies[failing].fails = true;
	CU_ASSERT_EQUAL(block_write(raid_array_block(rig->array), 0, changing, length, write_flags),
			0);
	CU_ASSERT_EQUAL(rig_state(rig, failing), RAID_MEMBER_FAULTY);
	CU_ASSERT_TRUE(resembles(rig, 0, length));
	free(changing);
}

/* The sum of all members in a row, but for a page. */
static bool sums_to_zero(struct raid_rig *rig, uint64_t row, uint64_t but)
{
	const uint8_t *strips[MEMBERS];
	bool zero = true;

	for (unsigned i = 0; i < MEMBERS; i++)
		strips[i] = block_lend(rig->memory[i],
				       (rig->array->places[i].member->sb.data_offset
					<< MD_SECTOR_SHIFT) +
					       row * CHUNK,
				       CHUNK);
	for (uint64_t at = 0; at < CHUNK; at++)
		zero &= at / 4096 == but ||
			!(strips[0][at] ^ strips[1][at] ^ strips[2][at] ^ strips[3][at]);
	return zero;
}

/* It does not take a page of it, which is noted, and what it is tried again with is what parity is of. */
static void lent_by_one_with_a_bad_page(struct raid_rig *rig)
{
	uint64_t length = STRIPES * row_bytes();
	struct raid_member *member;

	create_lending(rig, MEMBERS);
	member = rig->array->places[failing].member;
	spies[failing].bad = (member->sb.data_offset << MD_SECTOR_SHIFT) + CHUNK + 8192;
	CU_ASSERT_EQUAL(block_write(raid_array_block(rig->array), 0, changing, length, write_flags),
			0);
	CU_ASSERT_EQUAL(rig_state(rig, failing), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_EQUAL(member->bad.count, 1);
	CU_ASSERT_TRUE(resembles(rig, 0, length));
	CU_ASSERT_TRUE(level == 6 || sums_to_zero(rig, 1, 2));
	free(changing);
}

/* Each member, of data or of parity, in either stripe. */
static void test_who_lends_and_does_not_take_it(void)
{
	write_flags = 0;
	for (unsigned i = 0; i < 2 * MEMBERS; i++) {
		level = i % 2 ? 6 : 5;
		failing = i / 2;
		rig_run(lent_without_one);
		rig_run(lent_by_one_that_fails);
		rig_run(lent_by_one_with_a_bad_page);
	}
}

static bool is_bad;

/* Who is to replace a member gets what that has, and also what that did not take. */
static void lent_and_replaced(struct raid_rig *rig)
{
	uint8_t *found[2] = { malloc(CHUNK), malloc(CHUNK) }, *page = malloc(4096);
	struct raid_place *place;
	struct raid5_row row;
	uint64_t at;

	create_lending(rig, not_lending);
	place = &rig->array->places[1];
	raid_rebuild_set_rate(rig->array, 4096);
	CU_ASSERT_EQUAL(raid_replace_with(rig->array, rig->disk[1]->name, rig->disk[MEMBERS], false,
					  &rig->error),
			0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(place->replacement);
	/* A row where the copying has not been, in which it has data. */
	at = raid_array_block(rig->array)->size / row_bytes() / 2;
	do
		row = raid5_row(&rig->array->now, ++at);
	while (raid5_index(&row, 1) == RAID5_NO_ROLE);
	if (is_bad)
		spies[1].bad = (place->member->sb.data_offset << MD_SECTOR_SHIFT) + at * CHUNK;
	CU_ASSERT_EQUAL(block_write(raid_array_block(rig->array), at * row_bytes(), changing,
				    row_bytes(), 0),
			0);
	for (unsigned i = 0; i < 2; i++) {
		const struct raid_member *from = i ? place->replacement : place->member;

		CU_ASSERT_EQUAL(block_read(from->block,
					   (from->sb.data_offset << MD_SECTOR_SHIFT) + at * CHUNK,
					   found[i], CHUNK),
				0);
	}
	CU_ASSERT_EQUAL(memcmp(found[0] + 4096, found[1] + 4096, CHUNK - 4096), 0);
	CU_ASSERT_EQUAL(block_read(raid_array_block(rig->array),
				   at * row_bytes() + raid5_index(&row, 1) * CHUNK, page, 4096),
			0);
	CU_ASSERT_EQUAL(memcmp(found[1], page, 4096), 0);
	CU_ASSERT_TRUE(level == 6 || sums_to_zero(rig, at, is_bad ? 0 : UINT64_MAX));
	free(found[0]);
	free(found[1]);
	free(page);
	free(changing);
}

static void test_who_replaces_gets_what_is_lent(void)
{
	for (unsigned i = 0; i < 8; i++) {
		level = i % 2 ? 6 : 5;
		not_lending = i / 2 % 2 ? 1 : MEMBERS;
		is_bad = i / 4;
		rig_run(lent_and_replaced);
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
	  UNIT(test_who_does_not_take_it_is_failed), UNIT(test_parity_is_of_what_members_lend),
	  UNIT(test_who_lends_and_does_not_take_it), UNIT(test_who_replaces_gets_what_is_lent))
