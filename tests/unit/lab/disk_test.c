/* SPDX-License-Identifier: BSD-2-Clause */
/* Simulated disks: each fault does what its name says, no more, and ends when it should. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fiber_run.h"
#include "tools/lab/disk.h"
#include "tools/lab/store.h"
#include "unit.h"
#include "util/bytes.h"

#define SECTOR 512u
#define MS_NS  1000000ull
#define SIZE   (1u << 20)

struct rig {
	struct lab_rack rack;
	struct lab_disk *disk;
	struct block *block;
	void (*test)(struct rig *rig);
	enum lab_model_kind kind;
};

static int rig_fiber(void *arg)
{
	struct rig *rig = arg;
	struct lab_disk_model model = { .kind = rig->kind, .size = SIZE };

	lab_disk_model_complete(&model);
	rig->disk =
		lab_disk_create(&rig->rack, 0, "disk0", lab_store_create(SIZE, NULL), &model, 7);
	rig->disk->cached = true;
	rig->block = &rig->disk->block;
	rig->test(rig);
	lab_disk_disarm(rig->disk, LAB_FAULT_HANG);
	block_unref(rig->block);
	return 0;
}

/* On a disk that takes no time, and on one that does. */
static void run(void (*test)(struct rig *rig))
{
	for (unsigned i = 0; i < 2; i++) {
		struct rig rig = { .rack.random.state = 3,
				   .test = test,
				   .kind = i ? LAB_MODEL_SSD : LAB_MODEL_INSTANT };

		fiber_run_virtual(fiber_run_first_engine(), rig_fiber, &rig);
	}
}

static int put(struct rig *rig, uint64_t sector, uint64_t count, char what)
{
	char bytes[64 * SECTOR];

	memset(bytes, what, sizeof(bytes));
	return block_write(rig->block, sector * SECTOR, bytes, count * SECTOR, 0);
}

/* The byte that all of the sector has; '?': it has several; '!': it cannot be read. */
static char get(struct rig *rig, uint64_t sector)
{
	char bytes[SECTOR];

	if (block_read(rig->block, sector * SECTOR, bytes, SECTOR))
		return '!';
	for (unsigned i = 1; i < SECTOR; i++)
		if (bytes[i] != bytes[0])
			return '?';
	return bytes[0];
}

/* What is on the medium after the power went, with nothing kept that was not durable. */
static bool keep_none(void *arg, uint64_t number)
{
	(void)arg;
	(void)number;
	return false;
}

static void cut(struct rig *rig)
{
	lab_rack_cut(&rig->rack);
	lab_disk_settle(rig->disk, keep_none, NULL);
	lab_rack_power_on(&rig->rack);
}

static void arm(struct rig *rig, struct lab_rule rule)
{
	lab_disk_arm(rig->disk, &rule);
}

/* ---- Absent, silent, slow ---- */

static void drop(struct rig *rig)
{
	CU_ASSERT_EQUAL(put(rig, 0, 1, 'a'), 0);
	arm(rig,
	    (struct lab_rule){ .fault = LAB_FAULT_GONE, .until_ns = worker_now() + 50 * MS_NS });
	CU_ASSERT_EQUAL(get(rig, 0), '!');
	CU_ASSERT_EQUAL(put(rig, 0, 1, 'b'), -EIO);
	CU_ASSERT_EQUAL(block_flush(rig->block), -EIO);
	fiber_sleep(60 * MS_NS);
	/* It is back, with what it had, and nothing of what it refused. */
	CU_ASSERT_EQUAL(get(rig, 0), 'a');
	CU_ASSERT_EQUAL(block_flush(rig->block), 0);
	cut(rig);
	CU_ASSERT_EQUAL(get(rig, 0), 'a');
}

static void test_drop_refuses_everything_and_returns(void)
{
	run(drop);
}

static uint64_t time_of_read(struct rig *rig)
{
	uint64_t began = worker_now();

	CU_ASSERT_NOT_EQUAL(get(rig, 0), '!');
	return worker_now() - began;
}

static void hang(struct rig *rig)
{
	uint64_t began = worker_now();

	arm(rig, (struct lab_rule){ .fault = LAB_FAULT_HANG, .until_ns = began + 500 * MS_NS });
	CU_ASSERT_EQUAL(put(rig, 0, 1, 'a'), 0);
	CU_ASSERT_TRUE(worker_now() - began >= 500 * MS_NS);
	CU_ASSERT_TRUE(worker_now() - began < 700 * MS_NS);
	CU_ASSERT_TRUE(time_of_read(rig) < 10 * MS_NS);
	/* Flushes and reads wait, too. */
	began = worker_now();
	arm(rig, (struct lab_rule){ .fault = LAB_FAULT_HANG, .until_ns = began + 500 * MS_NS });
	CU_ASSERT_EQUAL(block_flush(rig->block), 0);
	CU_ASSERT_TRUE(worker_now() - began >= 500 * MS_NS);
	began = worker_now();
	arm(rig, (struct lab_rule){ .fault = LAB_FAULT_HANG, .until_ns = began + 500 * MS_NS });
	CU_ASSERT_TRUE(time_of_read(rig) >= 500 * MS_NS);
}

static void test_hang_answers_nobody_for_a_while(void)
{
	run(hang);
}

/* The power goes while a write hangs: it was not done, and nobody is told that it was. */
static int cut_later(void *arg)
{
	struct rig *rig = arg;

	fiber_sleep(20 * MS_NS);
	lab_rack_cut(&rig->rack);
	return 0;
}

static void hang_cut(struct rig *rig)
{
	arm(rig, (struct lab_rule){ .fault = LAB_FAULT_HANG });
	fiber_start(cut_later, rig);
	CU_ASSERT_EQUAL(put(rig, 0, 1, 'a'), -EIO);
	lab_disk_disarm(rig->disk, LAB_FAULT_HANG);
	cut(rig);
	CU_ASSERT_EQUAL(get(rig, 0), 0);
}

static void test_power_ends_a_hang(void)
{
	run(hang_cut);
}

static void slow(struct rig *rig)
{
	uint64_t usual = time_of_read(rig), flush;

	arm(rig, (struct lab_rule){ .fault = LAB_FAULT_SLOW, .factor = 1000 });
	CU_ASSERT_EQUAL(time_of_read(rig), 10 * usual);
	lab_disk_disarm(rig->disk, LAB_FAULT_SLOW);
	CU_ASSERT_EQUAL(time_of_read(rig), usual);
	flush = worker_now();
	block_flush(rig->block);
	flush = worker_now() - flush;
	arm(rig, (struct lab_rule){ .fault = LAB_FAULT_SLOW,
				    .factor = 200,
				    .latency_ns = 30 * MS_NS,
				    .until_ns = worker_now() + 1000 * MS_NS });
	CU_ASSERT_EQUAL(time_of_read(rig), 2 * usual + 30 * MS_NS);
	usual = worker_now();
	block_flush(rig->block);
	CU_ASSERT_EQUAL(worker_now() - usual, 2 * flush + 30 * MS_NS);
	fiber_sleep(1000 * MS_NS);
	CU_ASSERT_TRUE(time_of_read(rig) < 30 * MS_NS);
}

static void test_slow_takes_a_factor_and_a_latency(void)
{
	run(slow);
}

/* ---- Unreadable, refused ---- */

static void latent(struct rig *rig)
{
	CU_ASSERT_EQUAL(put(rig, 0, 16, 'a'), 0);
	arm(rig, (struct lab_rule){
			 .fault = LAB_FAULT_LATENT, .offset = 4 * SECTOR, .length = 4 * SECTOR });
	for (unsigned i = 0; i < 16; i++)
		CU_ASSERT_EQUAL(get(rig, i), i >= 4 && i < 8 ? '!' : 'a');
	/* A write to the middle makes only that readable; from both ends it goes away. */
	CU_ASSERT_EQUAL(put(rig, 5, 1, 'b'), 0);
	for (unsigned i = 4; i < 8; i++)
		CU_ASSERT_EQUAL(get(rig, i), i == 5 ? 'b' : '!');
	CU_ASSERT_EQUAL(put(rig, 3, 2, 'c'), 0);
	CU_ASSERT_EQUAL(get(rig, 4), 'c');
	CU_ASSERT_EQUAL(put(rig, 7, 2, 'd'), 0);
	CU_ASSERT_EQUAL(get(rig, 6), '!');
	CU_ASSERT_EQUAL(put(rig, 0, 16, 'e'), 0);
	for (unsigned i = 0; i < 16; i++)
		CU_ASSERT_EQUAL(get(rig, i), 'e');
	CU_ASSERT_TRUE(list_empty(&rig->disk->rules));
}

static void test_latent_errors_end_where_they_are_written(void)
{
	run(latent);
}

static void errors(struct rig *rig)
{
	CU_ASSERT_EQUAL(put(rig, 0, 8, 'a'), 0);
	arm(rig,
	    (struct lab_rule){
		    .fault = LAB_FAULT_ERROR, .offset = 2 * SECTOR, .length = SECTOR, .count = 3 });
	CU_ASSERT_EQUAL(put(rig, 1, 1, 'b'), 0);
	CU_ASSERT_EQUAL(put(rig, 0, 4, 'c'), -EIO);
	CU_ASSERT_EQUAL(get(rig, 2), '!');
	CU_ASSERT_EQUAL(block_flush(rig->block), 0); /* is about no sector */
	CU_ASSERT_EQUAL(put(rig, 2, 1, 'd'), -EIO);
	/* That was the third. Nothing of what failed was done. */
	CU_ASSERT_EQUAL(get(rig, 2), 'a');
	CU_ASSERT_EQUAL(get(rig, 1), 'b');
	CU_ASSERT_EQUAL(rig->disk->errors, 3);
}

static void test_errors_are_of_a_range_and_so_many(void)
{
	run(errors);
}

static void full(struct rig *rig)
{
	CU_ASSERT_EQUAL(put(rig, 0, 8, 'a'), 0); /* a page, in the cache */
	arm(rig, (struct lab_rule){ .fault = LAB_FAULT_FULL });
	CU_ASSERT_EQUAL(put(rig, 0, 8, 'b'), 0); /* has its room */
	CU_ASSERT_EQUAL(put(rig, 0, 16, 'c'), -ENOSPC);
	CU_ASSERT_EQUAL(put(rig, 64, 1, 'd'), -ENOSPC);
	CU_ASSERT_EQUAL(get(rig, 0), 'b');
	CU_ASSERT_EQUAL(get(rig, 64), 0);
	CU_ASSERT_EQUAL(block_flush(rig->block), 0);
	CU_ASSERT_EQUAL(put(rig, 0, 8, 'e'), 0);
	lab_disk_disarm(rig->disk, LAB_FAULT_FULL);
	CU_ASSERT_EQUAL(put(rig, 64, 1, 'f'), 0);
	CU_ASSERT_EQUAL(get(rig, 64), 'f');
}

static void test_full_refuses_what_has_no_room_yet(void)
{
	run(full);
}

/* ---- Done otherwise than it was said ---- */

static void torn(struct rig *rig)
{
	CU_ASSERT_EQUAL(put(rig, 0, 8, 'a'), 0);
	arm(rig, (struct lab_rule){ .fault = LAB_FAULT_TORN, .sectors = 3, .count = 1 });
	CU_ASSERT_EQUAL(get(rig, 0), 'a'); /* reads do not count */
	CU_ASSERT_EQUAL(put(rig, 0, 8, 'b'), 0);
	for (unsigned i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(get(rig, i), i < 3 ? 'b' : 'a');
	CU_ASSERT_EQUAL(put(rig, 0, 8, 'c'), 0);
	CU_ASSERT_EQUAL(get(rig, 7), 'c');
	arm(rig,
	    (struct lab_rule){ .fault = LAB_FAULT_TORN, .sectors = 2, .count = 1, .fails = true });
	CU_ASSERT_EQUAL(put(rig, 0, 8, 'd'), -EIO);
	for (unsigned i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(get(rig, i), i < 2 ? 'd' : 'c');
	CU_ASSERT_EQUAL(block_flush(rig->block), 0);
	cut(rig);
	for (unsigned i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(get(rig, i), i < 2 ? 'd' : 'c');
}

static void test_torn_does_the_first_sectors(void)
{
	run(torn);
}

static void lost(struct rig *rig)
{
	CU_ASSERT_EQUAL(put(rig, 0, 8, 'a'), 0);
	arm(rig, (struct lab_rule){ .fault = LAB_FAULT_LOST, .count = 2 });
	CU_ASSERT_EQUAL(put(rig, 0, 8, 'b'), 0);
	CU_ASSERT_EQUAL(put(rig, 8, 1, 'b'), 0);
	CU_ASSERT_EQUAL(block_flush(rig->block), 0);
	CU_ASSERT_EQUAL(get(rig, 0), 'a');
	CU_ASSERT_EQUAL(get(rig, 8), 0);
	CU_ASSERT_EQUAL(put(rig, 8, 1, 'c'), 0);
	CU_ASSERT_EQUAL(get(rig, 8), 'c');
}

static void test_lost_is_acknowledged_and_not_done(void)
{
	run(lost);
}

static void misdirect(struct rig *rig)
{
	CU_ASSERT_EQUAL(put(rig, 0, 32, 'a'), 0);
	arm(rig,
	    (struct lab_rule){ .fault = LAB_FAULT_MISDIRECTED, .shift = 8 * SECTOR, .count = 1 });
	CU_ASSERT_EQUAL(put(rig, 4, 2, 'b'), 0);
	for (unsigned i = 0; i < 32; i++)
		CU_ASSERT_EQUAL(get(rig, i), i == 12 || i == 13 ? 'b' : 'a');
	CU_ASSERT_EQUAL(put(rig, 4, 2, 'c'), 0);
	CU_ASSERT_EQUAL(get(rig, 4), 'c');
	/* Beyond the end there is nothing. */
	arm(rig, (struct lab_rule){ .fault = LAB_FAULT_MISDIRECTED, .shift = SIZE, .count = 1 });
	CU_ASSERT_EQUAL(put(rig, 4, 2, 'd'), 0);
	CU_ASSERT_EQUAL(get(rig, 4), 'c');
}

static void test_misdirected_goes_elsewhere(void)
{
	run(misdirect);
}

static bool keep_second(void *arg, uint64_t number)
{
	const uint64_t *second = arg;

	return number == *second;
}

static void reorder(struct rig *rig)
{
	uint64_t second;

	arm(rig, (struct lab_rule){ .fault = LAB_FAULT_NO_FLUSH,
				    .until_ns = worker_now() + 1000 * MS_NS });
	CU_ASSERT_EQUAL(put(rig, 0, 1, 'a'), 0);
	CU_ASSERT_EQUAL(block_flush(rig->block), 0);
	CU_ASSERT_EQUAL(put(rig, 1, 1, 'b'), 0);
	second = rig->rack.writes;
	/* What came after the flush is there, what was before it is not. */
	lab_rack_cut(&rig->rack);
	lab_disk_settle(rig->disk, keep_second, &second);
	lab_rack_power_on(&rig->rack);
	CU_ASSERT_EQUAL(get(rig, 0), 0);
	CU_ASSERT_EQUAL(get(rig, 1), 'b');
	fiber_sleep(1000 * MS_NS);
	CU_ASSERT_EQUAL(put(rig, 0, 1, 'c'), 0);
	CU_ASSERT_EQUAL(block_flush(rig->block), 0);
	cut(rig);
	CU_ASSERT_EQUAL(get(rig, 0), 'c');
}

static void test_reorder_makes_flushes_do_nothing(void)
{
	run(reorder);
}

static unsigned bits_that_differ(struct rig *rig, uint64_t sector, char from)
{
	char bytes[SECTOR];
	unsigned count = 0;

	CU_ASSERT_EQUAL(block_read(rig->block, sector * SECTOR, bytes, SECTOR), 0);
	for (unsigned i = 0; i < SECTOR; i++)
		count += (unsigned)__builtin_popcount((unsigned char)(bytes[i] ^ from));
	return count;
}

static void rot(struct rig *rig)
{
	unsigned all = 0;

	/* What is stored, on the medium and in the cache. */
	CU_ASSERT_EQUAL(put(rig, 0, 8, 'a'), 0);
	CU_ASSERT_EQUAL(block_flush(rig->block), 0);
	lab_disk_rot(rig->disk, 2 * SECTOR, SECTOR, 1);
	for (unsigned i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(bits_that_differ(rig, i, 'a'), i == 2);
	CU_ASSERT_EQUAL(put(rig, 16, 8, 'b'), 0);
	lab_disk_rot(rig->disk, 16 * SECTOR, 8 * SECTOR, 1);
	for (unsigned i = 16; i < 24; i++)
		all += bits_that_differ(rig, i, 'b');
	CU_ASSERT_EQUAL(all, 1);
	/* Of writes, which stays, and of reads, which does not. */
	arm(rig, (struct lab_rule){ .fault = LAB_FAULT_ROT, .count = 1 });
	CU_ASSERT_EQUAL(put(rig, 32, 1, 'c'), 0);
	CU_ASSERT_EQUAL(bits_that_differ(rig, 32, 'c'), 1);
	CU_ASSERT_EQUAL(bits_that_differ(rig, 32, 'c'), 1);
	CU_ASSERT_EQUAL(put(rig, 32, 1, 'd'), 0);
	arm(rig, (struct lab_rule){ .fault = LAB_FAULT_ROT, .count = 1, .reads = true });
	CU_ASSERT_EQUAL(put(rig, 33, 1, 'd'), 0);
	CU_ASSERT_EQUAL(bits_that_differ(rig, 32, 'd'), 1);
	CU_ASSERT_EQUAL(bits_that_differ(rig, 32, 'd'), 0);
	CU_ASSERT_EQUAL(bits_that_differ(rig, 33, 'd'), 0);
}

static void test_rot_turns_bits(void)
{
	run(rot);
}

/* ---- Power ---- */

static void power(struct rig *rig)
{
	unsigned old = 0, fresh = 0, mixed = 0;

	CU_ASSERT_EQUAL(put(rig, 0, 8, 'a'), 0);
	CU_ASSERT_EQUAL(block_flush(rig->block), 0);
	CU_ASSERT_EQUAL(put(rig, 0, 8, 'b'), 0);
	lab_rack_cut(&rig->rack);
	CU_ASSERT_EQUAL(get(rig, 0), '!');
	CU_ASSERT_EQUAL(put(rig, 0, 8, 'c'), -EIO);
	CU_ASSERT_EQUAL(block_flush(rig->block), -EIO);
	lab_disk_settle(rig->disk, keep_none, NULL);
	lab_rack_power_on(&rig->rack);
	CU_ASSERT_EQUAL(get(rig, 0), 'a');
	/* By chance it is the old one, the new one, or sectors of both; never of what was refused. */
	for (unsigned i = 0; i < 60; i++) {
		unsigned count = 0;

		CU_ASSERT_EQUAL(put(rig, 0, 8, 'a'), 0);
		CU_ASSERT_EQUAL(block_flush(rig->block), 0);
		CU_ASSERT_EQUAL(put(rig, 0, 8, 'b'), 0);
		lab_rack_cut(&rig->rack);
		lab_disk_settle(rig->disk, NULL, NULL);
		lab_rack_power_on(&rig->rack);
		for (unsigned k = 0; k < 8; k++) {
			char found = get(rig, k);

			CU_ASSERT_TRUE(found == 'a' || found == 'b');
			count += found == 'b';
		}
		old += count == 0;
		fresh += count == 8;
		mixed += count && count < 8;
	}
	CU_ASSERT_TRUE(old > 5 && fresh > 5 && mixed > 5);
	/* With FUA it is there without a flush. */
	CU_ASSERT_EQUAL(block_write(rig->block, 0, "", 0, 0), 0);
	{
		char bytes[SECTOR];

		memset(bytes, 'z', sizeof(bytes));
		CU_ASSERT_EQUAL(block_write(rig->block, 0, bytes, SECTOR, BLOCK_FUA), 0);
	}
	CU_ASSERT_EQUAL(put(rig, 1, 1, 'y'), 0);
	cut(rig);
	CU_ASSERT_EQUAL(get(rig, 0), 'z');
	CU_ASSERT_NOT_EQUAL(get(rig, 1), 'y');
}

static void test_power_takes_what_was_not_flushed(void)
{
	run(power);
}

/* Rules at once: a slow disk with unreadable sectors and a lost write has all three. */
static void together(struct rig *rig)
{
	uint64_t began;

	arm(rig,
	    (struct lab_rule){ .fault = LAB_FAULT_SLOW, .factor = 100, .latency_ns = 40 * MS_NS });
	arm(rig, (struct lab_rule){ .fault = LAB_FAULT_LATENT, .length = SECTOR });
	began = worker_now();
	CU_ASSERT_EQUAL(get(rig, 0), '!');
	CU_ASSERT_TRUE(worker_now() - began >= 40 * MS_NS);
	arm(rig, (struct lab_rule){ .fault = LAB_FAULT_LOST, .count = 1 });
	CU_ASSERT_EQUAL(put(rig, 1, 1, 'a'), 0);
	CU_ASSERT_EQUAL(get(rig, 1), 0);
	CU_ASSERT_EQUAL(put(rig, 1, 1, 'b'), 0);
	CU_ASSERT_EQUAL(get(rig, 1), 'b');
	CU_ASSERT_EQUAL(get(rig, 0), '!');
}

static void test_faults_stand_beside_each_other(void)
{
	run(together);
}

UNIT_MAIN("lab disk", UNIT(test_drop_refuses_everything_and_returns),
	  UNIT(test_hang_answers_nobody_for_a_while), UNIT(test_power_ends_a_hang),
	  UNIT(test_slow_takes_a_factor_and_a_latency),
	  UNIT(test_latent_errors_end_where_they_are_written),
	  UNIT(test_errors_are_of_a_range_and_so_many),
	  UNIT(test_full_refuses_what_has_no_room_yet), UNIT(test_torn_does_the_first_sectors),
	  UNIT(test_lost_is_acknowledged_and_not_done), UNIT(test_misdirected_goes_elsewhere),
	  UNIT(test_reorder_makes_flushes_do_nothing), UNIT(test_rot_turns_bits),
	  UNIT(test_power_takes_what_was_not_flushed), UNIT(test_faults_stand_beside_each_other))
