/* SPDX-License-Identifier: BSD-2-Clause */
/* The write-intent bitmap of a RAID1 array, on disk and at work; bad-block logs. Virtual time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "raid/md_badblocks.h"
#include "raid/md_bitmap.h"
#include "raid/md_superblock.h"
#include "raid_rig.h"
#include "util/bytes.h"

#define DATA   (1u << 20)
#define CHUNK  65536u
#define CHUNKS ((RIG_SIZE - DATA) / CHUNK)
#define BITMAP 8192u /* sector 16 of a member with version 1.2 */
#define SECOND 1000000000ull

static const struct raid_create_options clean_bitmap = {
	.name = "m",
	.level = 1,
	.now = 1000000,
	.assume_clean = true,
	.bitmap = RAID_BITMAP_INTERNAL,
	.bitmap_chunk = CHUNK,
};

/* What is on the disk itself. */
static struct md_bitmap bitmap_on(struct raid_rig *rig, unsigned disk, uint64_t *set)
{
	struct md_bitmap bitmap = { 0 };
	uint8_t image[4096];

	CU_ASSERT_EQUAL(block_read(rig->memory[disk], BITMAP, image, sizeof(image)), 0);
	CU_ASSERT_EQUAL(md_bitmap_decode(image, sizeof(image), &bitmap, &rig->error), 0);
	*set = 0;
	for (uint64_t i = 0; i < CHUNKS; i++)
		*set |= (uint64_t)md_bitmap_test(image, i) << i;
	return bitmap;
}

static uint64_t bits_on(struct raid_rig *rig, unsigned disk)
{
	uint64_t set;

	bitmap_on(rig, disk, &set);
	return set;
}

static uint64_t events_on(struct raid_rig *rig, unsigned disk)
{
	struct raid_info info;

	CU_ASSERT_EQUAL(raid_probe(rig->memory[disk], &info, &rig->error), 1);
	return info.events;
}

static void set_before_cleared_after(struct raid_rig *rig)
{
	rig_create(rig, 2, &clean_bitmap);
	CU_ASSERT_EQUAL(bits_on(rig, 0), 0);
	rig_write(rig, 3 * CHUNK - 512, 1024, 1); /* chunks 2 and 3 */
	CU_ASSERT_EQUAL(bits_on(rig, 0), 0xc);
	CU_ASSERT_EQUAL(bits_on(rig, 1), 0xc);
	fiber_sleep(4 * SECOND);
	CU_ASSERT_EQUAL(bits_on(rig, 0), 0xc);
	fiber_sleep(2 * SECOND); /* the first round: they age */
	CU_ASSERT_EQUAL(bits_on(rig, 0), 0xc);
	rig_write(rig, 3 * CHUNK, 512, 1); /* chunk 3 is young again */
	fiber_sleep(5 * SECOND);
	CU_ASSERT_EQUAL(bits_on(rig, 0), 0x8);
	CU_ASSERT_EQUAL(bits_on(rig, 1), 0x8);
	fiber_sleep(10 * SECOND);
	CU_ASSERT_EQUAL(bits_on(rig, 0), 0);
}

static void test_bits_are_set_before_and_cleared_after(void)
{
	rig_run(set_before_cleared_after);
}

static void stop_leaves_it_clean(struct raid_rig *rig)
{
	struct md_bitmap bitmap;
	uint64_t set;

	rig_create(rig, 2, &clean_bitmap);
	rig_write(rig, 0, 1 << 20, 1);
	rig_stop(rig);
	for (unsigned i = 0; i < 2; i++) {
		bitmap = bitmap_on(rig, i, &set);
		CU_ASSERT_EQUAL(set, 0);
		CU_ASSERT_EQUAL(bitmap.events, events_on(rig, i));
		CU_ASSERT(bitmap.events_cleared <= bitmap.events);
	}
}

static void test_stop_leaves_it_clean(void)
{
	rig_run(stop_leaves_it_clean);
}

struct one_write {
	struct raid_rig *rig;
	uint64_t offset;
};

static int write_one(void *arg)
{
	struct one_write *job = arg;

	rig_write(job->rig, job->offset, 4096, 1);
	return 0;
}

static void writes_share_bitmap_writes(struct raid_rig *rig)
{
	struct one_write jobs[16];
	struct fiber *fibers[16];
	uint64_t before;

	rig_create(rig, 2, &clean_bitmap);
	rig_write(rig, RIG_SIZE - DATA - 4096, 4096, 1); /* dirty already */
	before = rig_writes(rig, 0);
	for (unsigned i = 0; i < 16; i++) {
		jobs[i] = (struct one_write){ rig, i * (uint64_t)CHUNK };
		fibers[i] = fiber_spawn(write_one, &jobs[i]);
	}
	for (unsigned i = 0; i < 16; i++)
		fiber_join(fibers[i]);
	/* 16 of data, and one or two of the bitmap */
	CU_ASSERT(rig_writes(rig, 0) - before <= 18);
	CU_ASSERT_EQUAL(bits_on(rig, 1), 0xffff | 1ull << (CHUNKS - 1));
	before = rig_writes(rig, 0);
	rig_write(rig, 0, 4096, 2);
	CU_ASSERT_EQUAL(rig_writes(rig, 0) - before, 1);
}

static void test_writes_share_bitmap_writes(void)
{
	rig_run(writes_share_bitmap_writes);
}

static void readd_copies_what_changed(struct raid_rig *rig)
{
	uint64_t before;

	rig_create(rig, 2, &clean_bitmap);
	rig_write(rig, 0, RIG_SIZE - DATA, 1);
	fiber_sleep(20 * SECOND);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
	CU_ASSERT_EQUAL(raid_remove(rig->array, "disk1", &rig->error), 0);
	rig_write(rig, 5 * CHUNK, 4096, 2);
	fiber_sleep(30 * SECOND);
	CU_ASSERT_EQUAL(bits_on(rig, 0), 0x20); /* kept while degraded */

	rig_count_reads(rig, 0);
	before = rig_reads(rig, 0);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[1], &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_reads(rig, 0) - before, 1); /* one chunk */
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_IN_SYNC);
	fiber_sleep(30 * SECOND);
	CU_ASSERT_EQUAL(bits_on(rig, 0), 0);
	rig_stop(rig);
	CU_ASSERT(rig_equal(rig, 0, 1));
}

static void test_readd_copies_what_changed(void)
{
	rig_run(readd_copies_what_changed);
}

/* Bits were cleared after it went: it must be copied in full. */
static void too_old_for_a_readd(struct raid_rig *rig)
{
	uint64_t before;

	rig_create(rig, 3, &clean_bitmap);
	rig_write(rig, 0, RIG_SIZE - DATA, 1);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk2", &rig->error), 0);
	CU_ASSERT_EQUAL(raid_remove(rig->array, "disk2", &rig->error), 0);
	rig_write(rig, 5 * CHUNK, 4096, 2);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[3], &rig->error), 0);
	rig_wait(rig);
	fiber_sleep(30 * SECOND);
	CU_ASSERT_EQUAL(bits_on(rig, 0), 0);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk3", &rig->error), 0);
	before = rig_writes(rig, 2);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[2], &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT(rig_writes(rig, 2) - before >= 6); /* 3 MiB in windows of 512 KiB */
	rig_stop(rig);
	CU_ASSERT(rig_equal(rig, 0, 2));
}

static void test_too_old_for_a_readd(void)
{
	rig_run(too_old_for_a_readd);
}

/* One that comes back while another is being filled gets all that it missed, too. */
static void readd_during_a_recovery(struct raid_rig *rig)
{
	rig_create(rig, 3, &clean_bitmap);
	rig_write(rig, 0, 2 << 20, 1);
	for (unsigned i = 1; i < 3; i++) {
		CU_ASSERT_EQUAL(raid_fail(rig->array, rig->disk[i]->name, &rig->error), 0);
		CU_ASSERT_EQUAL(raid_remove(rig->array, rig->disk[i]->name, &rig->error), 0);
	}
	rig_write(rig, 0, 2 << 20, 2);
	raid_rebuild_set_rate(rig->array, 1 << 20);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[1], &rig->error), 0);
	fiber_sleep(1200000000);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_REBUILDING);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[2], &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, 2), RAID_MEMBER_IN_SYNC);
	rig_stop(rig);
	CU_ASSERT(rig_equal(rig, 0, 1));
	CU_ASSERT(rig_equal(rig, 0, 2));
}

static void test_readd_during_a_recovery(void)
{
	rig_run(readd_during_a_recovery);
}

static void stale_bitmap_counts_as_dirty(struct raid_rig *rig)
{
	struct md_bitmap bitmap;
	struct raid_status status;
	uint8_t page[4096];
	uint64_t set;

	rig_create(rig, 2, &clean_bitmap);
	rig_write(rig, 0, 4096, 1);
	rig_stop(rig);
	for (unsigned i = 0; i < 2; i++) {
		bitmap = bitmap_on(rig, i, &set);
		bitmap.events--;
		block_read(rig->memory[i], BITMAP, page, sizeof(page));
		md_bitmap_encode(&bitmap, page);
		block_write(rig->memory[i], BITMAP, page, sizeof(page), 0);
	}
	rig_assemble(rig, 2, NULL);
	raid_status(rig->array, &status);
	CU_ASSERT_EQUAL(status.bitmap.dirty, CHUNKS);
	raid_status_free(&status);
	rig_stop(rig);

	/* One that makes no sense is begun anew. */
	memset(page, 0x55, sizeof(page));
	for (unsigned i = 0; i < 2; i++)
		block_write(rig->memory[i], BITMAP, page, sizeof(page), 0);
	rig_assemble(rig, 2, NULL);
	CU_ASSERT(rig_holds(rig, 0, 4096, 1));
	rig_write(rig, 0, 4096, 2);
	rig_stop(rig);
	bitmap_on(rig, 1, &set);
	CU_ASSERT_EQUAL(set, 0);
}

static void test_stale_bitmap_counts_as_dirty(void)
{
	rig_run(stale_bitmap_counts_as_dirty);
}

static void change_superblock(struct raid_rig *rig, unsigned disk,
			      void (*change)(struct md_superblock *sb))
{
	struct md_superblock *sb = malloc(sizeof(*sb));
	bool found;

	CU_ASSERT_EQUAL(md_superblock_find(rig->memory[disk], sb, &found, &rig->error), 0);
	change(sb);
	CU_ASSERT_EQUAL(md_superblock_write(rig->memory[disk], sb), 0);
	free(sb);
}

static void drop_bitmap(struct md_superblock *sb)
{
	sb->features &= ~MD_FEATURE_BITMAP;
	sb->bitmap_offset = 0;
}

static void raise_events(struct md_superblock *sb)
{
	sb->events++;
}

/* As after an mdadm --grow --bitmap that was cut off: a bitmap written to a member without a place for
 * one would be on its superblock. */
static void member_without_bitmap(struct raid_rig *rig)
{
	struct raid_status status;

	rig_create(rig, 2, &clean_bitmap);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[2], &rig->error), 0);
	rig_stop(rig);
	change_superblock(rig, 1, drop_bitmap);
	change_superblock(rig, 2, drop_bitmap);
	rig_assemble(rig, 3, NULL);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_STALE);
	CU_ASSERT_EQUAL(rig_state(rig, 2),
			RAID_MEMBER_STALE); /* a spare would soon be written to */
	rig_write(rig, 0, 65536, 1);
	fiber_sleep(SECOND);
	CU_ASSERT_EQUAL(events_on(rig, 1), events_on(rig, 2));
	for (unsigned i = 1; i < 3; i++)
		CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[i], &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_IN_SYNC);
	rig_stop(rig);
	CU_ASSERT(rig_equal(rig, 0, 1));

	/* Where the freshest has none, there is none. */
	change_superblock(rig, 0, drop_bitmap);
	change_superblock(rig, 0, raise_events);
	rig_assemble(rig, 2, NULL);
	raid_status(rig->array, &status);
	CU_ASSERT_FALSE(status.bitmap.present);
	CU_ASSERT_EQUAL(status.working, 2);
	raid_status_free(&status);
}

static void test_a_member_without_bitmap_is_left_out(void)
{
	rig_run(member_without_bitmap);
}

static int32_t offset_on(struct raid_rig *rig, unsigned disk)
{
	struct md_superblock sb;
	bool found;

	CU_ASSERT_EQUAL(md_superblock_find(rig->memory[disk], &sb, &found, &rig->error), 0);
	return sb.bitmap_offset;
}

/* Where mdadm --grow may have put it. */
static void move_bitmap(struct md_superblock *sb)
{
	sb->bitmap_offset = 24;
}

static void crowd_bitmap(struct md_superblock *sb)
{
	sb->bblog_size = 0;
	sb->bblog_offset = 0;
	sb->bitmap_offset = 2;
}

/* The kernel takes one offset for all members. */
static void offset_of_the_array(struct raid_rig *rig)
{
	uint64_t before;

	rig_create(rig, 2, &clean_bitmap);
	rig_stop(rig);
	for (unsigned i = 0; i < 2; i++)
		change_superblock(rig, i, move_bitmap);
	rig_assemble(rig, 2, NULL);
	rig_write(rig, 0, RIG_SIZE - DATA, 1);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[2], &rig->error), 0);
	CU_ASSERT_EQUAL(offset_on(rig, 2), 24);

	/* One that has it elsewhere does not come back by the bitmap, but as a new member. */
	CU_ASSERT_EQUAL(raid_remove(rig->array, "disk2", &rig->error), 0);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
	CU_ASSERT_EQUAL(raid_remove(rig->array, "disk1", &rig->error), 0);
	change_superblock(rig, 1, crowd_bitmap);
	rig_count_reads(rig, 0);
	before = rig_reads(rig, 0);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[1], &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT(rig_reads(rig, 0) - before >= 6); /* 3 MiB in windows of 512 KiB */
	CU_ASSERT_EQUAL(offset_on(rig, 1), 24);
	rig_stop(rig);
	CU_ASSERT(rig_equal(rig, 0, 1));

	/* Nor is it taken at assembly. */
	change_superblock(rig, 1, crowd_bitmap);
	rig_assemble(rig, 2, NULL);
	CU_ASSERT_EQUAL(rig_state(rig, 0), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_STALE);
	rig_stop(rig);

	/* No new member has room for it there. */
	change_superblock(rig, 0, crowd_bitmap);
	CU_ASSERT_EQUAL_FATAL(raid_assemble(&rig->array, rig->disk, 1, NULL, &rig->error), 0);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[2], &rig->error), -ENOSPC);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "a bitmap 2 sectors from the superblock"));
}

/* Nor for a partial parity log, where the device is so small that data begin before its end. */
static void log_of_the_array(struct raid_rig *rig)
{
	const struct raid_create_options ppl = { .name = "p",
						 .level = 5,
						 .chunk = 65536,
						 .assume_clean = true,
						 .bitmap = RAID_BITMAP_PPL,
						 .size = 1 << 20 };
	struct block *slice;

	rig_create(rig, 3, &ppl);
	CU_ASSERT_EQUAL_FATAL(
		block_create_slice(&slice, "small", rig->disk[3], 0, 5u << 19, &rig->error), 0);
	CU_ASSERT_EQUAL(raid_add(rig->array, slice, &rig->error), -ENOSPC);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "a partial parity log 8 sectors from"));
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "it takes 2048 sectors"));
	CU_ASSERT_PTR_NULL(strstr(rig->error.advice, "bitmap"));
	block_unref(slice);
}

/* Of a cluster, which no superblock says: another machine may be writing. Without nodes it is damaged like any other. */
static void clustered(struct raid_rig *rig)
{
	const struct raid_create_options options = {
		.name = "c", .level = 1, .bitmap = RAID_BITMAP_INTERNAL, .assume_clean = true
	};

	rig_create(rig, 2, &options);
	rig_write(rig, 0, 65536, 1);
	rig_stop(rig);
	for (unsigned step = 0; step < 2; step++) {
		const uint8_t nodes = step ? 0 : 4;
		struct raid_assemble_options look = { .read_only = true };

		for (unsigned i = 0; i < 2; i++) {
			uint64_t at = 4096 + (uint64_t)offset_on(rig, i) * 512;
			uint8_t super[512];

			CU_ASSERT_EQUAL(block_read(rig->memory[i], at, super, sizeof(super)), 0);
			super[4] = 5;
			super[68] = nodes;
			CU_ASSERT_EQUAL(block_write(rig->memory[i], at, super, sizeof(super), 0),
					0);
		}
		for (unsigned way = 0; way < 2; way++) {
			int rc = raid_assemble(&rig->array, rig->disk, 2, way ? NULL : &look,
					       &rig->error);

			CU_ASSERT_EQUAL(rc, nodes ? -EOPNOTSUPP : 0);
			if (!rc) {
				CU_ASSERT(rig_holds(rig, 0, 65536, 1));
				rig_stop(rig);
			}
			rig->array = NULL;
		}
		if (nodes)
			CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "cluster of 4 machines"));
	}
}

static void test_clustered(void)
{
	rig_run(clustered);
}

static void test_one_offset_for_all_members(void)
{
	rig_run(offset_of_the_array);
	rig_run(log_of_the_array);
}

static void say_unclean(struct md_superblock *sb)
{
	sb->resync_offset = 0;
}

/* Power went while bits were written: they are on one member only. The other must have them, too, before
 * it is the only one left. */
static void members_that_differ(struct raid_rig *rig)
{
	uint8_t page[4096];

	rig_create(rig, 2, &clean_bitmap);
	rig_stop(rig);
	block_read(rig->memory[0], BITMAP, page, sizeof(page));
	md_bitmap_put(page, 5, true);
	block_write(rig->memory[0], BITMAP, page, sizeof(page), 0);
	for (unsigned i = 0; i < 2; i++)
		change_superblock(rig, i, say_unclean);
	rig_assemble(rig, 2, &(struct raid_assemble_options){ .no_resync = true });
	CU_ASSERT_EQUAL(bits_on(rig, 0), 1 << 5);
	CU_ASSERT_EQUAL(bits_on(rig, 1), 1 << 5);
}

static void test_bitmaps_agree_after_an_unclean_stop(void)
{
	rig_run(members_that_differ);
}

/* Room for one sector of bitmap, then the log. */
static void log_behind_bitmap(struct md_superblock *sb)
{
	sb->bblog_offset = 9;
	sb->bblog_size = 7;
}

/* A bitmap that one member has room for is not written over what another has behind its own. */
static void room_on_all_members(struct raid_rig *rig)
{
	uint8_t page[4096], before[512], after[512];
	struct raid_status status;
	struct md_bitmap bitmap;
	uint64_t set;

	rig_create(rig, 2, &clean_bitmap);
	rig_write(rig, 0, 65536, 1);
	rig_stop(rig);
	bitmap = bitmap_on(rig, 0, &set);
	bitmap.chunk_bytes = 512; /* 1024 bytes of bitmap */
	block_read(rig->memory[0], BITMAP, page, sizeof(page));
	md_bitmap_encode(&bitmap, page);
	for (unsigned i = 0; i < 2; i++)
		block_write(rig->memory[i], BITMAP, page, sizeof(page), 0);
	change_superblock(rig, 1, log_behind_bitmap);
	memset(before, 0x5a, sizeof(before));
	block_write(rig->memory[1], BITMAP + 512, before, sizeof(before), 0);
	rig_assemble(rig, 2, NULL);
	raid_status(rig->array, &status);
	CU_ASSERT(status.bitmap.chunk > 512);
	raid_status_free(&status);
	rig_write(rig, 2 << 20, 65536, 1);
	rig_stop(rig);
	block_read(rig->memory[1], BITMAP + 512, after, sizeof(after));
	CU_ASSERT_EQUAL(memcmp(before, after, sizeof(after)), 0);
	CU_ASSERT(rig_equal(rig, 0, 1));
}

static void test_bitmap_has_room_on_all_members(void)
{
	rig_run(room_on_all_members);
}

/* Where mdadm --grow puts it when nothing is free before the superblock. */
static void bitmap_next_to_superblock(struct raid_rig *rig)
{
	struct md_bitmap bitmap;
	uint8_t page[512];

	rig_create(rig, 2, &clean_bitmap);
	rig_stop(rig);
	for (unsigned i = 0; i < 2; i++)
		change_superblock(rig, i, crowd_bitmap);
	rig_assemble(rig, 2, NULL);
	rig_write(rig, 0, 65536, 1);
	rig_stop(rig);
	for (unsigned i = 0; i < 2; i++) {
		block_read(rig->memory[i], BITMAP - 4096 + 1024, page, sizeof(page));
		CU_ASSERT_EQUAL(md_bitmap_decode(page, sizeof(page), &bitmap, &rig->error), 0);
	}
}

static void test_a_superblock_spares_what_is_next_to_it(void)
{
	rig_run(bitmap_next_to_superblock);
}

static int write_fifth_chunk(void *arg)
{
	rig_write(arg, 5 * CHUNK, 4096, 2);
	return 0;
}

static bool is_written(struct raid_rig *rig, unsigned disk, uint64_t offset)
{
	uint8_t bytes[512];

	block_read(rig->memory[disk], DATA + offset, bytes, sizeof(bytes));
	return !bytes_all_zero(bytes, sizeof(bytes));
}

/* Were power to go in between, its bitmap would be read, and say that the members agree there. */
static void lost_with_its_bits(struct raid_rig *rig)
{
	struct fiber *fiber;

	rig_create(rig, 2, &clean_bitmap);
	rig_write(rig, 0, 4096, 1);
	rig_break(rig, 0, BLOCK_FAULT_WRITE, BITMAP, 4096);
	block_fault_add(rig->disk[1], &(struct block_fault_rule){ .requests = BLOCK_FAULT_WRITE,
								  .offset = BITMAP - 4096,
								  .length = 4096,
								  .action = BLOCK_FAULT_LATENCY,
								  .latency_ns = SECOND });
	fiber = fiber_spawn(write_fifth_chunk, rig);
	fiber_sleep(SECOND / 2);
	CU_ASSERT_EQUAL(rig_state(rig, 0), RAID_MEMBER_FAULTY);
	CU_ASSERT_EQUAL(bits_on(rig, 0), 1);
	CU_ASSERT_FALSE(is_written(rig, 1, 5 * CHUNK));
	fiber_join(fiber);
	CU_ASSERT(is_written(rig, 1, 5 * CHUNK));
	block_fault_clear(rig->disk[1]);
}

static void test_a_lost_bit_is_told_before_the_data(void)
{
	rig_run(lost_with_its_bits);
}

/* ---- Bad blocks ---- */

/* Notes a bad range of 8 sectors at data sector 16 in a member's log, which counts from the start of the
 * device as the kernel's does. */
static void plant_bad_block(struct raid_rig *rig, unsigned disk)
{
	struct md_superblock *sb = malloc(sizeof(*sb));
	struct md_badblocks list = { 0 };
	uint8_t log[4096];
	bool found;

	CU_ASSERT_EQUAL(md_superblock_find(rig->memory[disk], sb, &found, &rig->error), 0);
	md_badblocks_set(&list, sb->data_offset + 16, 8);
	md_badblocks_encode(&list, log, sizeof(log));
	md_badblocks_free(&list);
	block_write(rig->memory[disk],
		    (sb->super_offset + (uint64_t)sb->bblog_offset) << MD_SECTOR_SHIFT, log,
		    sizeof(log), 0);
	sb->features |= MD_FEATURE_BAD_BLOCKS;
	md_superblock_write(rig->memory[disk], sb);
	free(sb);
}

static unsigned bad_ranges(struct raid_rig *rig, unsigned member)
{
	struct raid_status status;
	unsigned count;

	raid_status(rig->array, &status);
	count = status.members[member].bad_blocks;
	raid_status_free(&status);
	return count;
}

static void bad_blocks_are_not_read(struct raid_rig *rig)
{
	uint8_t noise[4096];

	rig_create(rig, 2, &(struct raid_create_options){ .name = "m", .level = 1 });
	rig_write(rig, 0, 65536, 1);
	rig_wait(rig);
	rig_stop(rig);
	plant_bad_block(rig, 0);
	memset(noise, 0x99, sizeof(noise));
	block_write(rig->memory[0], DATA + 8192, noise, sizeof(noise), 0);

	rig_assemble(rig, 2, NULL);
	CU_ASSERT_EQUAL(bad_ranges(rig, 0), 1);
	for (unsigned i = 0; i < 4; i++) {
		CU_ASSERT(rig_holds(rig, 0, 65536, 1));
		CU_ASSERT(rig_holds(rig, 8192, 4096, 1));
	}
	rig_write(rig, 0, 4096, 1); /* elsewhere: it stays */
	CU_ASSERT_EQUAL(bad_ranges(rig, 0), 1);
	rig_stop(rig);
	rig_assemble(rig, 2, NULL);
	CU_ASSERT_EQUAL(bad_ranges(rig, 0), 1);
	/* Without the other member it cannot be read, though all else can. */
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), -EBUSY);
	rig_break(rig, 1, BLOCK_FAULT_ALL, 0, 0);
	rig_write(rig, 0, 4096, 1);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_FAULTY);
	CU_ASSERT(rig_holds(rig, 0, 8192, 1));
	CU_ASSERT(rig_holds(rig, 12288, 4096, 1));
	CU_ASSERT(!rig_holds(rig, 8192, 4096, 1));
	/* Written in part, then all of it: it is good again. */
	rig_write(rig, 8192, 512, 3);
	CU_ASSERT(rig_holds(rig, 8192, 512, 3));
	CU_ASSERT(!rig_holds(rig, 8192, 4096, 3));
	rig_write(rig, 8192, 4096, 3);
	CU_ASSERT(rig_holds(rig, 8192, 4096, 3));
	rig_stop(rig);
	rig_assemble(rig, 1, NULL);
	CU_ASSERT_EQUAL(bad_ranges(rig, 0), 0);
}

static void test_bad_blocks_are_not_read(void)
{
	rig_run(bad_blocks_are_not_read);
}

/* What no member can give any more is noted on the one that is filled. */
static void recovery_notes_bad_blocks(struct raid_rig *rig)
{
	struct raid_new_member members[2] = { { .block = rig->disk[0] }, { .block = NULL } };

	CU_ASSERT_EQUAL_FATAL(raid_create(&rig->array, members, 2,
					  &(struct raid_create_options){ .name = "m", .level = 1 },
					  &rig->error),
			      0);
	rig_write(rig, 0, 65536, 1);
	rig_break(rig, 0, BLOCK_FAULT_READ, DATA + 8192, 512);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[1], &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_EQUAL(bad_ranges(rig, 1), 1);
	CU_ASSERT(rig_holds(rig, 0, 8192, 1));
	CU_ASSERT(rig_holds(rig, 12288, 4096, 1));
	CU_ASSERT(!rig_holds(rig, 8192, 4096, 1));
}

static void test_recovery_notes_bad_blocks(void)
{
	rig_run(recovery_notes_bad_blocks);
}

/* ---- Who waits for whom ---- */

static int write_elsewhere(void *arg)
{
	rig_write(arg, 5 * CHUNK, 4096, 5);
	return 0;
}

/* The bit of a chunk is on the disks long since: a write to it does not wait for that of another chunk, which is
 * on its way. One to the other chunk does. */
static void newer_bits_hold_nobody(struct raid_rig *rig)
{
	struct fiber *first, *second;
	uint64_t began;

	rig_create(rig, 2, &clean_bitmap);
	rig_write(rig, 0, 4096, 1);
	for (unsigned disk = 0; disk < 2; disk++)
		block_fault_add(rig->disk[disk],
				&(struct block_fault_rule){ .requests = BLOCK_FAULT_WRITE,
							    .offset = BITMAP,
							    .length = 4096,
							    .action = BLOCK_FAULT_LATENCY,
							    .latency_ns = 2 * SECOND });
	began = worker_now();
	first = fiber_spawn(write_elsewhere, rig);
	fiber_sleep(SECOND / 10);
	rig_write(rig, 4096, 4096, 2);
	CU_ASSERT(worker_now() - began < SECOND);
	CU_ASSERT_EQUAL(bits_on(rig, 0), 0x1);
	second = fiber_spawn(write_elsewhere, rig);
	CU_ASSERT_EQUAL(fiber_join(second), 0);
	CU_ASSERT(worker_now() - began >= 2 * SECOND);
	CU_ASSERT_EQUAL(bits_on(rig, 0), 0x21);
	CU_ASSERT_EQUAL(fiber_join(first), 0);
	CU_ASSERT_EQUAL(bits_on(rig, 1), 0x21);
}

static void test_newer_bits_hold_nobody(void)
{
	rig_run(newer_bits_hold_nobody);
}

UNIT_MAIN("raid bitmap", UNIT(test_bits_are_set_before_and_cleared_after),
	  UNIT(test_stop_leaves_it_clean), UNIT(test_writes_share_bitmap_writes),
	  UNIT(test_readd_copies_what_changed), UNIT(test_too_old_for_a_readd),
	  UNIT(test_readd_during_a_recovery), UNIT(test_stale_bitmap_counts_as_dirty),
	  UNIT(test_a_member_without_bitmap_is_left_out), UNIT(test_one_offset_for_all_members),
	  UNIT(test_clustered), UNIT(test_bitmaps_agree_after_an_unclean_stop),
	  UNIT(test_bitmap_has_room_on_all_members), UNIT(test_a_lost_bit_is_told_before_the_data),
	  UNIT(test_a_superblock_spares_what_is_next_to_it), UNIT(test_bad_blocks_are_not_read),
	  UNIT(test_recovery_notes_bad_blocks), UNIT(test_newer_bits_hold_nobody))
