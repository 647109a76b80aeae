/* SPDX-License-Identifier: BSD-2-Clause */
/* Levels 4, 5 and 6 against a plain copy of the data: whole, degraded, rebuilt, with errors. Virtual time. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raid/array.h"
#include "raid/raid5.h"
#include "raid_rig.h"
#include "util/bytes.h"
#include "util/random.h"

struct shape {
	int level;
	const char *layout;
	unsigned members;
	uint64_t chunk;
};

static const struct shape *shape;

struct model {
	struct raid_rig *rig;
	struct block *block;
	struct random random;
	uint64_t size;
	uint8_t *truth;
};

static void model_begin(struct model *model, struct raid_rig *rig)
{
	model->rig = rig;
	model->block = raid_array_block(rig->array);
	model->random = (struct random){ 11 };
	model->size = model->block->size;
	model->truth = aligned_alloc(4096, model->size);
	random_fill(&model->random, model->truth, model->size);
	CU_ASSERT_EQUAL(block_write(model->block, 0, model->truth, model->size, 0), 0);
}

static void model_end(struct model *model)
{
	free(model->truth);
}

static bool holds(const struct model *model)
{
	uint8_t *found = malloc(model->size);
	bool same = !block_read(raid_array_block(model->rig->array), 0, found, model->size) &&
		    memcmp(found, model->truth, model->size) == 0;

	free(found);
	return same;
}

/* Somewhere, up to `most` bytes; now and then zeroes or a discard. */
static void write_somewhere(struct model *model, uint64_t most)
{
	uint64_t length = 512 * (1 + random_below(&model->random, most / 512));
	uint64_t offset = 512 * random_below(&model->random, (model->size - length) / 512 + 1);

	if (random_below(&model->random, 8) == 0) {
		memset(model->truth + offset, 0, length);
		CU_ASSERT_EQUAL(block_write_zeroes(model->block, offset, length, 0), 0);
		return;
	}
	random_fill(&model->random, model->truth + offset, length);
	CU_ASSERT_EQUAL(block_write(model->block, offset, model->truth + offset, length,
				    (random_below(&model->random, 4) ? 0 : BLOCK_FUA) |
					    (random_below(&model->random, 2) ? 0 : BLOCK_STABLE)),
			0);
}

static bool read_somewhere(struct model *model)
{
	uint64_t length = 512 * (1 + random_below(&model->random, 200));
	uint64_t offset = 512 * random_below(&model->random, (model->size - length) / 512 + 1);
	uint8_t *found = malloc(length);
	struct iovec iov[2] = { { found, 512 }, { found + 512, length - 512 } };
	bool same = !block_readv(model->block, offset, iov, length > 512 ? 2 : 1) &&
		    memcmp(found, model->truth + offset, length) == 0;

	free(found);
	return same;
}

static void work(struct model *model, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		write_somewhere(model, i % 5 == 0 ? 600000 : i % 2 ? 8192 : 100000);
		CU_ASSERT_TRUE(read_somewhere(model));
	}
}

static uint64_t mismatches(struct raid_rig *rig)
{
	struct raid_status status;
	uint64_t bytes;

	CU_ASSERT_EQUAL(raid_scrub_start(rig->array, false, &rig->error), 0);
	rig_wait(rig);
	raid_status(rig->array, &status);
	CU_ASSERT_EQUAL(status.progress.skipped, 0);
	bytes = status.progress.mismatches;
	raid_status_free(&status);
	return bytes;
}

static const char *disk_name(unsigned disk)
{
	static const char *const names[] = { "disk0", "disk1", "disk2", "disk3", "disk4", "disk5" };

	return names[disk];
}

static void create(struct raid_rig *rig, bool assume_clean)
{
	const struct raid_create_options options = { .name = "x",
						     .level = shape->level,
						     .layout = shape->layout,
						     .chunk = shape->chunk,
						     .assume_clean = assume_clean };

	rig_create(rig, shape->members, &options);
}

static void lose(struct raid_rig *rig, unsigned disk)
{
	CU_ASSERT_EQUAL(raid_fail(rig->array, disk_name(disk), &rig->error), 0);
	CU_ASSERT_EQUAL(raid_remove(rig->array, disk_name(disk), &rig->error), 0);
}

static void bring_back(struct raid_rig *rig, unsigned disk)
{
	CU_ASSERT_EQUAL(block_write_zeroes(rig->memory[disk], 0, RIG_SIZE, 0), 0);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[disk], &rig->error), 0);
}

static void survives_each_loss(struct raid_rig *rig)
{
	struct model model;

	create(rig, false);
	rig_wait(rig); /* what was there before is not zero */
	model_begin(&model, rig);
	work(&model, 20);
	CU_ASSERT_EQUAL(mismatches(rig), 0);
	for (unsigned i = 0; i < shape->members; i++) {
		unsigned other = (i + 1) % shape->members;

		lose(rig, i);
		if (shape->level == 6)
			lose(rig, other);
		else
			CU_ASSERT_EQUAL(raid_fail(rig->array, disk_name(other), &rig->error),
					-EBUSY);
		CU_ASSERT_TRUE(holds(&model));
		work(&model, 12);
		CU_ASSERT_TRUE(holds(&model));
		bring_back(rig, i);
		work(&model, 4); /* while it is filled */
		rig_wait(rig);
		CU_ASSERT_TRUE(holds(&model));
		if (shape->level == 6)
			bring_back(rig, other);
		rig_wait(rig);
		CU_ASSERT_EQUAL(rig_state(rig, i), RAID_MEMBER_IN_SYNC);
		CU_ASSERT_TRUE(holds(&model));
		CU_ASSERT_EQUAL(mismatches(rig), 0);
	}
	rig_stop(rig);
	rig_assemble(rig, shape->members, NULL);
	CU_ASSERT_TRUE(holds(&model));
	model_end(&model);
}

static const struct shape shapes[] = {
	{ 4, NULL, 3, 4096 },
	{ 5, "left-symmetric", 2, 16384 },
	{ 5, "left-symmetric", 3, 4096 },
	{ 5, "left-asymmetric", 4, 65536 },
	{ 5, "right-symmetric", 5, 131072 },
	{ 5, "right-asymmetric", 6, 8192 },
	{ 5, "parity-first", 4, 16384 },
	{ 5, "parity-last", 4, 16384 },
	{ 6, "left-symmetric", 4, 65536 },
	{ 6, "left-asymmetric", 5, 4096 },
	{ 6, "right-symmetric", 6, 16384 },
	{ 6, "right-asymmetric", 4, 262144 },
	{ 6, "parity-first", 5, 16384 },
	{ 6, "parity-last", 5, 16384 },
	{ 6, "ddf-zero-restart", 5, 16384 },
	{ 6, "ddf-N-restart", 6, 4096 },
	{ 6, "ddf-N-continue", 5, 65536 },
	{ 6, "left-symmetric-6", 5, 16384 },
	{ 6, "right-asymmetric-6", 5, 16384 },
	{ 6, "parity-first-6", 4, 16384 },
};

static void test_each_loss_is_survived(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(shapes); i++) {
		shape = &shapes[i];
		rig_run(survives_each_loss);
	}
}

/* Without the layer that makes faults they lend what is in them; in some shapes one does not, and then all are read. */
static void survives_each_loss_lent(struct raid_rig *rig)
{
	unsigned keeps = (unsigned)(shape - shapes);

	for (unsigned i = 0; i < RIG_MEMBERS; i++) {
		if (i == keeps)
			continue;
		block_unref(rig->disk[i]);
		rig->disk[i] = block_ref(rig->memory[i]);
	}
	survives_each_loss(rig);
}

static void test_each_loss_is_survived_by_what_is_lent(void)
{
	for (unsigned i = 1; i < ARRAY_SIZE(shapes); i += 3) {
		shape = &shapes[i];
		rig_run(survives_each_loss_lent);
	}
}

/* ---- Many at once ---- */

struct writer {
	struct model *model;
	uint64_t offset, length;
};

static int write_one(void *arg)
{
	struct writer *writer = arg;

	return block_write(writer->model->block, writer->offset,
			   writer->model->truth + writer->offset, writer->length, 0);
}

/* Writes of neighbouring sectors at the same time: they are gathered, and parity is right. */
static void many_at_once(struct raid_rig *rig)
{
	struct writer writers[32];
	struct fiber *fibers[32];
	struct model model;

	create(rig, true);
	model_begin(&model, rig);
	for (unsigned round = 0; round < 20; round++) {
		uint64_t at = 512 * random_below(&model.random, (model.size - 65536) / 512);

		for (unsigned i = 0; i < 32; i++) {
			writers[i] = (struct writer){ &model, at,
						      512 * (1 + random_below(&model.random, 4)) };
			random_fill(&model.random, model.truth + at, writers[i].length);
			at += writers[i].length;
			fibers[i] = fiber_spawn(write_one, &writers[i]);
		}
		for (unsigned i = 0; i < 32; i++)
			CU_ASSERT_EQUAL(fiber_join(fibers[i]), 0);
	}
	CU_ASSERT_TRUE(raid5_of(rig->array)->merged_writes > 0);
	CU_ASSERT_TRUE(holds(&model));
	CU_ASSERT_EQUAL(mismatches(rig), 0);
	lose(rig, 1);
	CU_ASSERT_TRUE(holds(&model));
	model_end(&model);
}

static void test_many_writes_of_one_stripe_are_one(void)
{
	static const struct shape many[] = { { 5, NULL, 4, 16384 }, { 6, NULL, 6, 65536 } };

	for (unsigned i = 0; i < ARRAY_SIZE(many); i++) {
		shape = &many[i];
		rig_run(many_at_once);
	}
}

/* ---- I/Os ---- */

static uint64_t all_reads(struct raid_rig *rig)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < shape->members; i++)
		count += rig_reads(rig, i);
	return count;
}

/* A whole stripe is not read; of a part what takes fewer reads is. */
static void reads_little(struct raid_rig *rig)
{
	struct model model;
	uint64_t before, row;

	create(rig, true);
	model_begin(&model, rig);
	row = raid5_row_bytes(raid5_of(rig->array));
	for (unsigned i = 0; i < shape->members; i++)
		rig_count_reads(rig, i);
	before = all_reads(rig);
	CU_ASSERT_EQUAL(block_write(model.block, row, model.truth, 4 * row, 0), 0);
	CU_ASSERT_EQUAL(all_reads(rig) - before, 0);
	CU_ASSERT_EQUAL(block_write(model.block, row, model.truth, 4096, 0), 0);
	CU_ASSERT_EQUAL(all_reads(rig) - before, 2); /* itself and P */
	before = all_reads(rig);
	CU_ASSERT_EQUAL(block_write(model.block, row, model.truth, row - 16384, 0), 0);
	CU_ASSERT_EQUAL(all_reads(rig) - before, 1); /* the one chunk that is not written */
	model_end(&model);
}

static void test_writes_read_little(void)
{
	static const struct shape five = { 5, NULL, 6, 16384 };

	shape = &five;
	rig_run(reads_little);
}

/* ---- Errors ---- */

/* A disk with a spot that cannot be read until it is written. */
struct sick_disk {
	struct block block;
	struct block *lower;
	uint64_t from, to;
};

static int sick_readv(struct block *block, uint64_t offset, uint64_t length,
		      const struct iovec *iov, unsigned count)
{
	const struct sick_disk *disk = (struct sick_disk *)block;

	if (offset < disk->to && disk->from < offset + length)
		return -EIO;
	return block_readv(disk->lower, offset, iov, count);
}

static int sick_writev(struct block *block, uint64_t offset, uint64_t length,
		       const struct iovec *iov, unsigned count, unsigned flags)
{
	struct sick_disk *disk = (struct sick_disk *)block;

	if (offset <= disk->from && disk->to <= offset + length)
		disk->to = disk->from = 0;
	return block_writev(disk->lower, offset, iov, count, flags);
}

static int sick_flush(struct block *block)
{
	return block_flush(((struct sick_disk *)block)->lower);
}

static void sick_close(struct block *block)
{
	block_unref(((struct sick_disk *)block)->lower);
	free(block);
}

static const struct block_ops sick_ops = { .type = "sick",
					   .readv = sick_readv,
					   .writev = sick_writev,
					   .flush = sick_flush,
					   .close = sick_close };

/* Puts such a disk in the place of one of the rig's. */
static struct sick_disk *make_sick(struct raid_rig *rig, unsigned i)
{
	struct sick_disk *disk = calloc(1, sizeof(*disk));

	block_init(&disk->block, &sick_ops, rig->disk[i]->name);
	block_copy_limits(&disk->block, rig->disk[i]);
	disk->lower = rig->disk[i];
	rig->disk[i] = &disk->block;
	return disk;
}

static void check_made_good(struct raid_rig *rig, struct model *model, unsigned times)
{
	struct raid_status status;

	CU_ASSERT_TRUE(holds(model));
	CU_ASSERT_EQUAL(mismatches(rig), 0);
	raid_status(rig->array, &status);
	CU_ASSERT_EQUAL(status.counters.made_good, times);
	CU_ASSERT_EQUAL(status.working, shape->members);
	raid_status_free(&status);
}

/* Each member has a spot, some of which are parity: those are found by the check. */
static void makes_read_errors_good(struct raid_rig *rig)
{
	struct sick_disk *disks[RIG_MEMBERS];
	struct model model;

	for (unsigned i = 0; i < shape->members; i++)
		disks[i] = make_sick(rig, i);
	create(rig, true);
	model_begin(&model, rig);
	for (unsigned i = 0; i < shape->members; i++) {
		disks[i]->from = (2 << 20) + i * 65536;
		disks[i]->to = disks[i]->from + 512;
	}
	check_made_good(rig, &model, shape->members);
	model_end(&model);
}

/* Two members with errors in one stripe, not at the same place: pieces are had from one or the other. */
static void errors_side_by_side(struct raid_rig *rig)
{
	struct sick_disk *disks[3];
	struct model model;

	for (unsigned i = 0; i < 3; i++)
		disks[i] = make_sick(rig, i);
	create(rig, true);
	model_begin(&model, rig);
	for (unsigned i = 0; i < 3; i++) {
		disks[i]->from = (2 << 20) + i * 512;
		disks[i]->to = disks[i]->from + 512;
	}
	check_made_good(rig, &model, 3);
	model_end(&model);
}

/* The same while a member is missing: what two lack is lost, and nothing else. */
static void errors_while_degraded(struct raid_rig *rig)
{
	struct sick_disk *disk = make_sick(rig, 1);
	struct model model;
	unsigned lost = 0;
	uint8_t sector[512];

	create(rig, true);
	model_begin(&model, rig);
	lose(rig, 0);
	disk->from = 2 << 20;
	disk->to = disk->from + 512;
	for (uint64_t at = 0; at < model.size; at += 512) {
		if (block_read(model.block, at, sector, 512))
			lost++;
		else
			CU_ASSERT_EQUAL(memcmp(sector, model.truth + at, 512), 0);
	}
	if (shape->level == 6)
		CU_ASSERT_EQUAL(lost, 0);
	if (shape->level == 5)
		CU_ASSERT_TRUE(lost == 1 || lost == 2);
	model_end(&model);
}

static void write_errors_fail_a_member(struct raid_rig *rig)
{
	struct model model;

	create(rig, true);
	model_begin(&model, rig);
	rig_break(rig, 1, BLOCK_FAULT_WRITE, 0, 0);
	work(&model, 10);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_FAULTY);
	CU_ASSERT_TRUE(holds(&model));
	model_end(&model);
}

static void test_errors(void)
{
	static const struct shape both[] = { { 5, NULL, 4, 65536 }, { 6, NULL, 5, 65536 } };

	for (unsigned i = 0; i < ARRAY_SIZE(both); i++) {
		shape = &both[i];
		rig_run(makes_read_errors_good);
		rig_run(errors_side_by_side);
		rig_run(errors_while_degraded);
		rig_run(write_errors_fail_a_member);
	}
}

/* ---- Scrub ---- */

/* Spoils bytes of a member's data area behind the array's back. */
static void spoil(struct raid_rig *rig, unsigned disk, uint64_t offset)
{
	struct raid_info info;
	uint8_t bytes[512];

	CU_ASSERT_EQUAL_FATAL(raid_probe(rig->memory[disk], &info, &rig->error), 1);
	block_read(rig->memory[disk], info.data_offset + offset, bytes, 512);
	bytes[77] ^= (uint8_t)(0x55 + disk);
	bytes[300] ^= 0x0f;
	block_write(rig->memory[disk], info.data_offset + offset, bytes, 512, 0);
}

static void repair(struct raid_rig *rig, bool anyway)
{
	int rc = anyway ? raid_repair_anyway(rig->array, &rig->error)
			: raid_scrub_start(rig->array, true, &rig->error);

	CU_ASSERT_EQUAL(rc, 0);
	rig_wait(rig);
}

/* Level 6 knows who is wrong, and mends it: data and parity. */
static void finds_the_liar(struct raid_rig *rig)
{
	struct model model;

	create(rig, true);
	model_begin(&model, rig);
	for (unsigned disk = 0; disk < shape->members; disk++) {
		for (unsigned i = 0; i < 7; i++)
			spoil(rig, disk, 512 * (i * 100ull + disk));
	}
	CU_ASSERT_EQUAL(mismatches(rig), 512 * 7 * shape->members);
	repair(rig, false);
	CU_ASSERT_EQUAL(mismatches(rig), 0);
	CU_ASSERT_TRUE(holds(&model));
	/* Two at the same place: nobody knows. */
	spoil(rig, 0, 51200);
	spoil(rig, 1, 51200);
	repair(rig, false);
	CU_ASSERT_EQUAL(mismatches(rig), 512);
	repair(rig, true);
	CU_ASSERT_EQUAL(mismatches(rig), 0);
	model_end(&model);
}

/* Level 5 does not know, and does not guess. */
static void does_not_guess(struct raid_rig *rig)
{
	struct model model;

	create(rig, true);
	model_begin(&model, rig);
	spoil(rig, 2, 4096);
	CU_ASSERT_EQUAL(mismatches(rig), 512);
	repair(rig, false);
	CU_ASSERT_EQUAL(mismatches(rig), 512);
	/* So what was lost can still be had from parity. */
	lose(rig, 2);
	CU_ASSERT_TRUE(holds(&model));
	bring_back(rig, 2);
	rig_wait(rig);
	spoil(rig, 1, 8192);
	repair(rig, true);
	CU_ASSERT_EQUAL(mismatches(rig), 0);
	model_end(&model);
}

static void test_repair(void)
{
	static const struct shape six[] = { { 6, NULL, 6, 16384 },
					    { 6, "ddf-zero-restart", 5, 4096 } };
	static const struct shape five = { 5, NULL, 4, 65536 };

	for (unsigned i = 0; i < ARRAY_SIZE(six); i++) {
		shape = &six[i];
		rig_run(finds_the_liar);
	}
	shape = &five;
	rig_run(does_not_guess);
}

/* ---- Starting ---- */

/* Not stopped, and a member is missing: refused, unless by force. */
static void refuses_dirty_degraded(struct raid_rig *rig)
{
	const struct raid_assemble_options forced = { .force = true },
					   readonly = { .read_only = true };
	struct block *copies[RIG_MEMBERS];
	uint8_t *bytes = malloc(RIG_SIZE);
	struct model model;
	int rc;

	create(rig, true);
	model_begin(&model, rig); /* dirty from here on */
	for (unsigned i = 0; i < shape->members - 1; i++) {
		CU_ASSERT_EQUAL(
			block_create_memory(&copies[i], disk_name(i), RIG_SIZE, &rig->error), 0);
		CU_ASSERT_EQUAL(block_read(rig->memory[i], 0, bytes, RIG_SIZE), 0);
		CU_ASSERT_EQUAL(block_write(copies[i], 0, bytes, RIG_SIZE, 0), 0);
	}
	rig_stop(rig);
	rc = raid_assemble(&rig->array, copies, shape->members - 1, NULL, &rig->error);
	CU_ASSERT_EQUAL(rc, -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "not stopped cleanly"));
	rc = raid_assemble(&rig->array, copies, shape->members - 1, &readonly, &rig->error);
	CU_ASSERT_EQUAL(rc, -EBUSY);
	rc = raid_assemble(&rig->array, copies, shape->members - 1, &forced, &rig->error);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	CU_ASSERT_TRUE(holds(&model));
	rig_stop(rig);
	for (unsigned i = 0; i < shape->members - 1; i++)
		block_unref(copies[i]);
	free(bytes);
	model_end(&model);
}

static void test_dirty_degraded_is_refused(void)
{
	static const struct shape both[] = { { 5, NULL, 4, 65536 }, { 6, NULL, 5, 65536 } };

	for (unsigned i = 0; i < ARRAY_SIZE(both); i++) {
		shape = &both[i];
		rig_run(refuses_dirty_degraded);
	}
}

UNIT_MAIN("raid5", UNIT(test_each_loss_is_survived),
	  UNIT(test_each_loss_is_survived_by_what_is_lent),
	  UNIT(test_many_writes_of_one_stripe_are_one), UNIT(test_writes_read_little),
	  UNIT(test_errors), UNIT(test_repair), UNIT(test_dirty_degraded_is_refused))
