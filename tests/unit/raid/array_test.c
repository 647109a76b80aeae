/* SPDX-License-Identifier: BSD-2-Clause */
/* RAID1 arrays over memory: create, assemble, lose and regain members, rebuild. Virtual time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "raid/md_superblock.h"
#include "raid_rig.h"

#define DATA   (1u << 20) /* data_offset of so small a device */
#define SECOND 1000000000ull

static const struct raid_create_options plain = { .name = "m", .level = 1, .now = 1000000 };
static const struct raid_create_options with_bitmap = {
	.name = "m",
	.homehost = "host",
	.level = 1,
	.now = 1000000,
	.bitmap = RAID_BITMAP_INTERNAL,
	.bitmap_chunk = 65536,
};

static struct md_superblock superblock(struct raid_rig *rig, unsigned disk)
{
	struct md_superblock sb;
	bool found;

	CU_ASSERT_EQUAL(md_superblock_find(rig->memory[disk], &sb, &found, &rig->error), 0);
	return sb;
}

static void create_write_stop_assemble_read(struct raid_rig *rig)
{
	struct raid_status status;

	rig_create(rig, 2, &plain);
	CU_ASSERT_STRING_EQUAL(raid_array_block(rig->array)->name, "md/m");
	CU_ASSERT_EQUAL(raid_array_block(rig->array)->size, RIG_SIZE - DATA);
	rig_write(rig, 0, 100000 / 512 * 512, 1);
	rig_wait(rig);
	rig_stop(rig);
	CU_ASSERT(rig_equal(rig, 0, 1));
	CU_ASSERT_EQUAL(superblock(rig, 0).resync_offset, MD_RESYNC_DONE);
	CU_ASSERT_EQUAL(superblock(rig, 0).events, superblock(rig, 1).events);

	rig_assemble(rig, 2, NULL);
	CU_ASSERT(rig_holds(rig, 0, 99840, 1));
	raid_status(rig->array, &status);
	CU_ASSERT_STRING_EQUAL(status.state, "clean");
	CU_ASSERT_EQUAL(status.working, 2);
	raid_status_free(&status);
}

static void test_create_write_stop_assemble_read(void)
{
	rig_run(create_write_stop_assemble_read);
}

static void first_resync_makes_mirrors_agree(struct raid_rig *rig)
{
	uint8_t noise[4096];

	memset(noise, 0x77, sizeof(noise));
	block_write(rig->memory[1], DATA + 65536, noise, sizeof(noise), 0);
	rig_create(rig, 2, &plain);
	CU_ASSERT_EQUAL(superblock(rig, 0).resync_offset, 0);
	rig_wait(rig);
	CU_ASSERT(rig_equal(rig, 0, 1));
	CU_ASSERT_EQUAL(superblock(rig, 0).resync_offset, MD_RESYNC_DONE);
}

static void test_first_resync_makes_mirrors_agree(void)
{
	rig_run(first_resync_makes_mirrors_agree);
}

static void dirty_then_clean(struct raid_rig *rig)
{
	rig_create(rig, 2,
		   &(struct raid_create_options){ .name = "m", .level = 1, .assume_clean = true });
	rig_write(rig, 0, 4096, 1);
	CU_ASSERT_EQUAL(superblock(rig, 0).resync_offset, 0);
	CU_ASSERT_EQUAL(superblock(rig, 1).resync_offset, 0);
	fiber_sleep(SECOND / 10);
	CU_ASSERT_EQUAL(superblock(rig, 0).resync_offset, 0);
	fiber_sleep(SECOND / 5);
	CU_ASSERT_EQUAL(superblock(rig, 0).resync_offset, MD_RESYNC_DONE);
	/* and again */
	rig_write(rig, 0, 4096, 2);
	CU_ASSERT_EQUAL(superblock(rig, 0).resync_offset, 0);
	fiber_sleep(SECOND);
	CU_ASSERT_EQUAL(superblock(rig, 1).resync_offset, MD_RESYNC_DONE);
}

static void test_dirty_while_written_then_clean(void)
{
	rig_run(dirty_then_clean);
}

static void write_error_fails_the_member(struct raid_rig *rig)
{
	struct md_superblock sb;

	rig_create(rig, 3, &plain);
	rig_wait(rig);
	rig_break(rig, 1, BLOCK_FAULT_ALL, 0, 0);
	rig_write(rig, 8192, 4096, 3);
	/* known on the survivors before the write was acknowledged */
	sb = superblock(rig, 0);
	CU_ASSERT_EQUAL(sb.roles[1], MD_ROLE_FAULTY);
	CU_ASSERT_EQUAL(superblock(rig, 2).roles[1], MD_ROLE_FAULTY);
	CU_ASSERT(sb.events >= superblock(rig, 1).events + 2);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_FAULTY);
	CU_ASSERT(rig_holds(rig, 8192, 4096, 3));
	rig_stop(rig);

	/* healthy again, but stale */
	block_fault_clear(rig->disk[1]);
	rig_assemble(rig, 3, NULL);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_STALE);
	CU_ASSERT(rig_holds(rig, 8192, 4096, 3));
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[1], &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_IN_SYNC);
	rig_stop(rig);
	CU_ASSERT(rig_equal(rig, 0, 1));
}

static void test_write_error_fails_the_member(void)
{
	rig_run(write_error_fails_the_member);
}

static void the_last_member_stays(struct raid_rig *rig)
{
	uint8_t bytes[512] = { 0 };
	int rule;

	rig_create(rig, 2, &plain);
	rig_wait(rig);
	rig_write(rig, 0, 4096, 1);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk0", &rig->error), 0);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), -EBUSY);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk9", &rig->error), -ENOENT);
	rule = rig_break(rig, 1, BLOCK_FAULT_CHANGES, DATA, RIG_SIZE - DATA);
	CU_ASSERT_EQUAL(block_write(raid_array_block(rig->array), 0, bytes, 512, 0), -EIO);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_IN_SYNC);
	block_fault_remove(rig->disk[1], rule);
	CU_ASSERT(rig_holds(rig, 0, 4096, 1));
}

static void test_the_last_member_stays(void)
{
	rig_run(the_last_member_stays);
}

/* Reads go to the first of two. */
static void create_read_first(struct raid_rig *rig)
{
	struct raid_new_member members[2] = { { .block = rig->disk[0] },
					      { .block = rig->disk[1], .write_mostly = true } };

	CU_ASSERT_EQUAL_FATAL(raid_create(&rig->array, members, 2, &plain, &rig->error), 0);
	rig_wait(rig);
}

/* Also where it was written before the other one could not be, and where it is told anew that that one failed. */
static void who_cannot_be_made_a_member_leaves_no_array(struct raid_rig *rig)
{
	for (unsigned bad = 0; bad < 3; bad++) {
		struct raid_new_member members[3] = {
			{ .block = rig->disk[0] },
			{ .block = rig->disk[1] },
			{ .block = rig->disk[2] },
		};
		struct md_superblock sb;
		bool found;
		int rule = block_fault_add(
			rig->disk[bad], &(struct block_fault_rule){ .requests = BLOCK_FAULT_WRITE,
								    .action = BLOCK_FAULT_ERROR,
								    .error = -ENOSPC });

		CU_ASSERT(raid_create(&rig->array, members, 3, &plain, &rig->error) < 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "No space left"));
		for (unsigned i = 0; i < 3; i++)
			CU_ASSERT_EQUAL(md_superblock_find(rig->memory[i], &sb, &found, NULL),
					-ENOENT);
		block_fault_remove(rig->disk[bad], rule);
	}
	rig_create(rig, 3, &plain);
	rig_wait(rig);
	rig_stop(rig);
}

/* What it got before it failed cannot be taken off either. */
static void what_is_left_is_told(struct raid_rig *rig)
{
	struct raid_new_member members[3] = {
		{ .block = rig->disk[0] },
		{ .block = rig->disk[1] },
		{ .block = rig->disk[2] },
	};
	struct md_superblock sb;
	bool found;

	block_fault_add(rig->disk[0], &(struct block_fault_rule){ .requests = BLOCK_FAULT_WRITE,
								  .offset = 4096,
								  .length = 4096,
								  .after = 1,
								  .action = BLOCK_FAULT_ERROR,
								  .error = -EIO });
	rig_break(rig, 1, BLOCK_FAULT_WRITE, 4096, 4096);
	CU_ASSERT(raid_create(&rig->array, members, 3, &plain, &rig->error) < 0);
	CU_ASSERT_EQUAL(md_superblock_find(rig->memory[0], &sb, &found, NULL), 0);
	CU_ASSERT_EQUAL(md_superblock_find(rig->memory[2], &sb, &found, NULL), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.advice, "`tenon raid zero disk0`"));
}

static void test_who_cannot_be_made_a_member_leaves_no_array(void)
{
	rig_run(what_is_left_is_told);
	rig_run(who_cannot_be_made_a_member_leaves_no_array);
}

static void read_error_is_made_good(struct raid_rig *rig)
{
	struct raid_status status;
	int rule;

	create_read_first(rig);
	rig_write(rig, 0, 65536, 5);
	/* Reading fails until the place is written again, as with a bad sector. */
	rule = block_fault_add(rig->disk[0],
			       &(struct block_fault_rule){ .requests = BLOCK_FAULT_READ,
							   .offset = DATA + 8192,
							   .length = 512,
							   .count = 3,
							   .action = BLOCK_FAULT_ERROR,
							   .error = -EIO });
	for (unsigned i = 0; i < 4; i++)
		CU_ASSERT(rig_holds(rig, 0, 65536, 5));
	CU_ASSERT_EQUAL(block_fault_hits(rig->disk[0], rule), 3);
	CU_ASSERT_EQUAL(rig_state(rig, 0), RAID_MEMBER_IN_SYNC);
	raid_status(rig->array, &status);
	/* All around it can be read, and stays as it is. */
	CU_ASSERT_EQUAL(status.members[0].corrected, 1);
	raid_status_free(&status);
}

static void test_read_error_is_made_good(void)
{
	rig_run(read_error_is_made_good);
}

static void unreadable_for_good_is_noted(struct raid_rig *rig)
{
	struct raid_status status;

	create_read_first(rig);
	rig_write(rig, 0, 65536, 5);
	rig_break(rig, 0, BLOCK_FAULT_READ, DATA + 8192, 512);
	for (unsigned i = 0; i < 4; i++)
		CU_ASSERT(rig_holds(rig, 0, 65536, 5));
	/* It is bad there, and good for all the rest. */
	CU_ASSERT_EQUAL(rig_state(rig, 0), RAID_MEMBER_IN_SYNC);
	raid_status(rig->array, &status);
	CU_ASSERT_EQUAL(status.members[0].bad_blocks, 1);
	raid_status_free(&status);
}

static void test_unreadable_for_good_is_noted(void)
{
	rig_run(unreadable_for_good_is_noted);
}

static void spare_takes_over(struct raid_rig *rig)
{
	struct raid_new_member members[3] = { { .block = rig->disk[0] },
					      { .block = rig->disk[1] },
					      { .block = rig->disk[2], .spare = true } };

	CU_ASSERT_EQUAL_FATAL(raid_create(&rig->array, members, 3, &plain, &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, 2), RAID_MEMBER_SPARE);
	rig_write(rig, 4096, 1 << 20, 9);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk0", &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, 2), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_EQUAL(raid_remove(rig->array, "disk1", &rig->error), -EBUSY);
	CU_ASSERT_EQUAL(raid_remove(rig->array, "disk0", &rig->error), 0);
	CU_ASSERT_EQUAL(superblock(rig, 1).roles[0], MD_ROLE_SPARE);
	rig_stop(rig);
	CU_ASSERT(rig_equal(rig, 1, 2));
	rig_assemble(rig, 3, NULL);
	CU_ASSERT_EQUAL(rig_state(rig, 0), RAID_MEMBER_STALE);
	CU_ASSERT(rig_holds(rig, 4096, 1 << 20, 9));
}

static void test_spare_takes_over(void)
{
	rig_run(spare_takes_over);
}

static void missing_member_is_added(struct raid_rig *rig)
{
	struct raid_new_member members[2] = { { .block = NULL }, { .block = rig->disk[1] } };
	struct block *small;

	CU_ASSERT_EQUAL_FATAL(raid_create(&rig->array, members, 2, &plain, &rig->error), 0);
	rig_write(rig, 0, 4096, 1);
	CU_ASSERT_EQUAL_FATAL(block_create_memory(&small, "small", RIG_SIZE - 4096, &rig->error),
			      0);
	CU_ASSERT_EQUAL(raid_add(rig->array, small, &rig->error), -ENOSPC);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "4190208"));
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "4194304"));
	block_unref(small);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[0], &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, 0), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[0], &rig->error), -EBUSY);
	rig_stop(rig);
	CU_ASSERT(rig_equal(rig, 0, 1));
}

/* Memory without the layer that makes faults lends what is in it. */
static void missing_member_is_added_to_one_that_lends(struct raid_rig *rig)
{
	block_unref(rig->disk[0]);
	rig->disk[0] = block_ref(rig->memory[0]);
	missing_member_is_added(rig);
}

static void test_missing_member_is_added(void)
{
	rig_run(missing_member_is_added);
	rig_run(missing_member_is_added_to_one_that_lends);
}

static void read_only_writes_nothing(struct raid_rig *rig)
{
	static const struct raid_assemble_options read_only = { .read_only = true };
	uint64_t before[2];
	uint8_t bytes[512] = { 0 };

	rig_create(rig, 2, &with_bitmap);
	rig_write(rig, 0, 4096, 1);
	rig_wait(rig);
	rig_stop(rig);
	for (unsigned i = 0; i < 2; i++)
		before[i] = rig_writes(rig, i);
	rig_assemble(rig, 1, &read_only);
	CU_ASSERT(rig_holds(rig, 0, 4096, 1));
	CU_ASSERT_EQUAL(block_write(raid_array_block(rig->array), 0, bytes, 512, 0), -EROFS);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk0", &rig->error), -EROFS);
	fiber_sleep(100 * SECOND);
	rig_stop(rig);
	for (unsigned i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(rig_writes(rig, i), before[i]);
	/* Opening and closing without a write leaves no trace either. */
	rig_assemble(rig, 2, NULL);
	CU_ASSERT(rig_holds(rig, 0, 4096, 1));
	fiber_sleep(100 * SECOND);
	rig_stop(rig);
	CU_ASSERT_EQUAL(rig_writes(rig, 0), before[0]);
}

static void test_read_only_writes_nothing(void)
{
	rig_run(read_only_writes_nothing);
}

static void scrub_counts_and_repairs(struct raid_rig *rig)
{
	struct raid_status status;
	uint8_t noise[1024];

	rig_create(rig, 3, &plain);
	rig_wait(rig);
	rig_write(rig, 0, 65536, 1);
	memset(noise, 0xee, sizeof(noise));
	block_write(rig->memory[2], DATA + 4096, noise, sizeof(noise), 0);
	CU_ASSERT_EQUAL(raid_scrub_start(rig->array, false, &rig->error), 0);
	CU_ASSERT_EQUAL(raid_scrub_start(rig->array, false, &rig->error), -EBUSY);
	rig_wait(rig);
	raid_status(rig->array, &status);
	CU_ASSERT_EQUAL(status.progress.mismatches, 1024);
	raid_status_free(&status);
	CU_ASSERT_EQUAL(raid_scrub_start(rig->array, true, &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(raid_scrub_start(rig->array, false, &rig->error), 0);
	rig_wait(rig);
	raid_status(rig->array, &status);
	CU_ASSERT_EQUAL(status.progress.mismatches, 0);
	raid_status_free(&status);
}

static void test_scrub_counts_and_repairs(void)
{
	rig_run(scrub_counts_and_repairs);
}

static void write_mostly_is_read_last(struct raid_rig *rig)
{
	struct raid_new_member members[2] = { { .block = rig->disk[0], .write_mostly = true },
					      { .block = rig->disk[1] } };
	uint64_t before;

	CU_ASSERT_EQUAL_FATAL(raid_create(&rig->array, members, 2, &plain, &rig->error), 0);
	rig_wait(rig);
	rig_write(rig, 0, 65536, 4);
	rig_count_reads(rig, 0);
	before = rig_reads(rig, 0);
	for (unsigned i = 0; i < 16; i++)
		CU_ASSERT(rig_holds(rig, i * 4096, 4096, 4));
	CU_ASSERT_EQUAL(rig_reads(rig, 0), before);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
	CU_ASSERT(rig_holds(rig, 0, 65536, 4));
}

static void test_write_mostly_is_read_last(void)
{
	rig_run(write_mostly_is_read_last);
}

static void refusals(struct raid_rig *rig)
{
	struct raid_new_member two[2] = { { .block = rig->disk[0] }, { .block = rig->disk[1] } };
	struct raid_new_member twice[2] = { { .block = rig->disk[0] }, { .block = rig->disk[0] } };
	struct raid_create_options options = plain;
	struct block *blocks[2] = { rig->disk[0], rig->disk[2] };
	struct error *error = &rig->error;

	CU_ASSERT_EQUAL(raid_assemble(&rig->array, rig->disk, 2, NULL, error), -EINVAL);
	options.level = -4; /* multipath */
	CU_ASSERT_EQUAL(raid_create(&rig->array, two, 2, &options, error), -EOPNOTSUPP);
	options.level = 1;
	options.name = "a/b";
	CU_ASSERT_EQUAL(raid_create(&rig->array, two, 2, &options, error), -EINVAL);
	options.name = "0123456789012345678901234567890123";
	CU_ASSERT_EQUAL(raid_create(&rig->array, two, 2, &options, error), -EINVAL);
	CU_ASSERT_EQUAL(raid_create(&rig->array, twice, 2, &plain, error), -EINVAL);
	options = plain;
	options.size = RIG_SIZE;
	CU_ASSERT_EQUAL(raid_create(&rig->array, two, 2, &options, error), -ENOSPC);
	options = with_bitmap;
	options.bitmap_chunk = 12345;
	CU_ASSERT_EQUAL(raid_create(&rig->array, two, 2, &options, error), -EINVAL);
	for (unsigned i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(rig_writes(rig, i), 0);

	rig_create(rig, 2, &plain);
	rig_stop(rig);
	two[0].block = rig->disk[2];
	two[1].block = rig->disk[3];
	CU_ASSERT_EQUAL_FATAL(raid_create(&rig->array, two, 2, &plain, error), 0);
	rig_stop(rig);
	CU_ASSERT_EQUAL(raid_assemble(&rig->array, blocks, 2, NULL, error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error->text, "belongs to array"));
}

static void test_refusals(void)
{
	rig_run(refusals);
}

static void other_versions(struct raid_rig *rig)
{
	struct raid_create_options options = with_bitmap;

	for (unsigned minor = 0; minor < 3; minor++) {
		struct raid_info info;

		options.metadata = minor == 0   ? RAID_METADATA_1_0
				   : minor == 1 ? RAID_METADATA_1_1
						: RAID_METADATA_1_2;
		options.now = 1000000 + minor;
		rig_create(rig, 2, &options);
		rig_wait(rig);
		rig_write(rig, 0, raid_array_block(rig->array)->size, (uint8_t)minor);
		rig_stop(rig);
		CU_ASSERT_EQUAL(raid_probe(rig->disk[0], &info, &rig->error), 1);
		CU_ASSERT_EQUAL(info.minor_version, minor);
		CU_ASSERT_STRING_EQUAL(info.name, "m");
		CU_ASSERT_STRING_EQUAL(info.set_name, "host:m");
		CU_ASSERT(rig_equal(rig, 0, 1));
		rig_assemble(rig, 2, NULL);
		CU_ASSERT(rig_holds(rig, 0, raid_array_block(rig->array)->size, (uint8_t)minor));
		rig_stop(rig);
		CU_ASSERT_EQUAL(raid_erase(rig->disk[0], &rig->error), 0);
		CU_ASSERT_EQUAL(raid_probe(rig->disk[0], &info, &rig->error), 0);
	}
}

static void test_other_versions(void)
{
	rig_run(other_versions);
}

/* Whoever shows it cleans it; here it stays what tells two arrays apart. */
static void names_of_any_bytes(struct raid_rig *rig)
{
	const char *const names[] = { "host:m\001", "host:m\002" };

	rig_create(rig, 2, &with_bitmap);
	rig_stop(rig);
	for (unsigned i = 0; i < 2; i++) {
		struct md_superblock sb = superblock(rig, i);
		struct raid_info info;

		memset(sb.set_name, 0, sizeof(sb.set_name));
		strcpy(sb.set_name, names[i]);
		CU_ASSERT_EQUAL(md_superblock_write(rig->memory[i], &sb), 0);
		CU_ASSERT_EQUAL(raid_probe(rig->disk[i], &info, &rig->error), 1);
		CU_ASSERT_STRING_EQUAL(info.set_name, names[i]);
		CU_ASSERT_STRING_EQUAL(info.name, names[i] + strlen("host:"));
	}
}

static void test_names_of_any_bytes(void)
{
	rig_run(names_of_any_bytes);
}

/* Members with sectors of 4096 bytes: every request to them must keep to these. */
static void large_sectors(struct raid_rig *rig)
{
	struct raid_create_options options = with_bitmap;

	for (unsigned i = 0; i < RIG_MEMBERS; i++)
		rig->disk[i]->logical_block_size = 4096;
	for (unsigned minor = 0; minor < 3; minor++) {
		options.metadata = minor == 0   ? RAID_METADATA_1_0
				   : minor == 1 ? RAID_METADATA_1_1
						: RAID_METADATA_1_2;
		options.now = 1000000 + minor;
		rig_create(rig, 2, &options);
		CU_ASSERT_EQUAL(raid_array_block(rig->array)->logical_block_size, 4096);
		rig_write(rig, 0, raid_array_block(rig->array)->size, 7);
		rig_wait(rig);
		rig_break(rig, 1, BLOCK_FAULT_WRITE, 0, 0);
		rig_write(rig, 65536, 4096, 7);
		block_fault_clear(rig->disk[1]);
		CU_ASSERT_EQUAL(raid_remove(rig->array, "disk1", &rig->error), 0);
		CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[1], &rig->error), 0);
		CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[2], &rig->error), 0);
		rig_wait(rig);
		CU_ASSERT_EQUAL(raid_fail(rig->array, "disk0", &rig->error), 0);
		rig_wait(rig);
		CU_ASSERT_EQUAL(rig_state(rig, 2), RAID_MEMBER_IN_SYNC);
		CU_ASSERT(rig_holds(rig, 0, raid_array_block(rig->array)->size, 7));
		fiber_sleep(20 * SECOND);
		rig_stop(rig);
		CU_ASSERT(rig_equal(rig, 1, 2));
	}
}

static void test_large_sectors(void)
{
	rig_run(large_sectors);
}

static void zeroes_and_discards(struct raid_rig *rig)
{
	struct block *block;
	uint8_t bytes[8192];

	rig_create(rig, 2, &plain);
	rig_wait(rig);
	block = raid_array_block(rig->array);
	CU_ASSERT(block->discard_granularity > 0);
	rig_write(rig, 0, 1 << 20, 1);
	CU_ASSERT_EQUAL(block_write_zeroes(block, 4096, 8192, 0), 0);
	CU_ASSERT_EQUAL(block_read(block, 4096, bytes, 8192), 0);
	CU_ASSERT(bytes[0] == 0 && !memcmp(bytes, bytes + 1, 8191));
	CU_ASSERT_EQUAL(block_discard(block, 0, 1 << 20), 0);
	CU_ASSERT_EQUAL(block_flush(block), 0);
	rig_stop(rig);
	CU_ASSERT(rig_equal(rig, 0, 1));
}

static void test_zeroes_and_discards(void)
{
	rig_run(zeroes_and_discards);
}

static void stop_refuses_while_used(struct raid_rig *rig)
{
	struct block *block;

	rig_create(rig, 2, &plain);
	block = block_ref(raid_array_block(rig->array));
	CU_ASSERT_EQUAL(raid_stop(rig->array, &rig->error), -EBUSY);
	block_unref(block);
	rig_stop(rig);
}

static void test_stop_refuses_while_used(void)
{
	rig_run(stop_refuses_while_used);
}

/* An update that gives a spare its place is cut off before it reaches the spare itself. */
static void half_told_spare_is_not_trusted(struct raid_rig *rig)
{
	struct raid_new_member members[2] = { { .block = rig->disk[0] }, { .block = NULL } };
	struct md_superblock first, second;

	CU_ASSERT_EQUAL_FATAL(raid_create(&rig->array, members, 2, &plain, &rig->error), 0);
	rig_write(rig, 0, 65536, 1);
	fiber_sleep(SECOND);
	raid_rebuild_freeze(rig->array, true);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[1], &rig->error), 0);
	second = superblock(rig, 1);
	CU_ASSERT_EQUAL(md_superblock_role(&second, second.dev_number), MD_ROLE_SPARE);
	raid_rebuild_set_rate(rig->array, 1);
	raid_rebuild_freeze(rig->array, false);
	fiber_sleep(SECOND);
	first = superblock(rig, 0);
	CU_ASSERT_EQUAL(md_superblock_role(&first, second.dev_number), 1);
	first.events = second.events + 1; /* the update itself, not a checkpoint after it */
	rig_stop(rig);
	md_superblock_write(rig->memory[0], &first);
	md_superblock_write(rig->memory[1], &second);

	rig_assemble(rig, 2, &(struct raid_assemble_options){ .no_resync = true });
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_REBUILDING);
	CU_ASSERT(rig_holds(rig, 0, 65536, 1));
	rig_stop(rig);
	rig_assemble(rig, 2, NULL);
	rig_wait(rig);
	rig_stop(rig);
	CU_ASSERT(rig_equal(rig, 0, 1));
}

static void test_half_told_spare_is_not_trusted(void)
{
	rig_run(half_told_spare_is_not_trusted);
}

static int write_slowly(void *arg)
{
	struct raid_rig *rig = arg;

	rig_write(rig, 0, 4096, 2);
	return 0;
}

static int remove_second(void *arg)
{
	struct raid_rig *rig = arg;

	return raid_remove(rig->array, "disk1", NULL);
}

/* Removed twice and added at the same time, while a write to it is still on its way. */
static void removed_while_in_use(struct raid_rig *rig)
{
	struct fiber *writer, *first, *second;
	int sum;

	rig_create(rig, 2, &with_bitmap);
	rig_wait(rig);
	block_fault_add(rig->disk[1], &(struct block_fault_rule){ .requests = BLOCK_FAULT_WRITE,
								  .offset = DATA,
								  .length = 4096,
								  .action = BLOCK_FAULT_LATENCY,
								  .latency_ns = SECOND });
	writer = fiber_spawn(write_slowly, rig);
	fiber_sleep(SECOND / 10);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
	first = fiber_spawn(remove_second, rig);
	second = fiber_spawn(remove_second, rig);
	fiber_sleep(SECOND / 10);
	block_fault_clear(rig->disk[1]);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[1], &rig->error), 0);
	sum = fiber_join(first);
	sum += fiber_join(second);
	CU_ASSERT_EQUAL(sum, -ENOENT);
	fiber_join(writer);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_IN_SYNC);
	rig_stop(rig);
	CU_ASSERT(rig_equal(rig, 0, 1));
}

static void test_removed_while_in_use(void)
{
	rig_run(removed_while_in_use);
}

static void slow_flushes(struct raid_rig *rig, unsigned disk, uint64_t latency_ns)
{
	block_fault_add(rig->disk[disk], &(struct block_fault_rule){ .requests = BLOCK_FAULT_FLUSH,
								     .action = BLOCK_FAULT_LATENCY,
								     .latency_ns = latency_ns });
}

/* What is copied while an update flushes the members is not in its superblocks: a window of 512 KiB is
 * copied each second, and the flush after the first takes three. */
static void checkpoint_waits_for_its_flush(struct raid_rig *rig)
{
	struct raid_create_options options = plain;

	options.rebuild_rate = 512 << 10;
	rig_create(rig, 2, &options);
	slow_flushes(rig, 0, 3 * SECOND);
	fiber_sleep(3 * SECOND + SECOND / 2);
	CU_ASSERT_EQUAL(superblock(rig, 0).resync_offset, 1024);
	CU_ASSERT_EQUAL(superblock(rig, 1).resync_offset, 1024);
	block_fault_clear(rig->disk[0]);
	raid_rebuild_set_rate(rig->array, 0);
	rig_wait(rig);

	/* The same for a recovery, after the update that gives the spare its place. */
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
	raid_rebuild_set_rate(rig->array, 512 << 10);
	raid_rebuild_freeze(rig->array, true);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[2], &rig->error), 0);
	slow_flushes(rig, 0, 3 * SECOND);
	raid_rebuild_freeze(rig->array, false);
	fiber_sleep(6 * SECOND + SECOND / 2);
	CU_ASSERT(superblock(rig, 2).features & MD_FEATURE_RECOVERY_OFFSET);
	CU_ASSERT_EQUAL(superblock(rig, 2).recovery_offset, 1024);
	block_fault_clear(rig->disk[0]);
	raid_rebuild_set_rate(rig->array, 0);
	rig_wait(rig);
	rig_stop(rig);
	CU_ASSERT(rig_equal(rig, 0, 2));
}

static void test_checkpoint_waits_for_its_flush(void)
{
	rig_run(checkpoint_waits_for_its_flush);
}

UNIT_MAIN("raid arrays", UNIT(test_create_write_stop_assemble_read),
	  UNIT(test_first_resync_makes_mirrors_agree), UNIT(test_dirty_while_written_then_clean),
	  UNIT(test_write_error_fails_the_member), UNIT(test_the_last_member_stays),
	  UNIT(test_read_error_is_made_good), UNIT(test_unreadable_for_good_is_noted),
	  UNIT(test_spare_takes_over), UNIT(test_missing_member_is_added),
	  UNIT(test_read_only_writes_nothing), UNIT(test_scrub_counts_and_repairs),
	  UNIT(test_write_mostly_is_read_last), UNIT(test_refusals), UNIT(test_other_versions),
	  UNIT(test_who_cannot_be_made_a_member_leaves_no_array), UNIT(test_names_of_any_bytes),
	  UNIT(test_large_sectors), UNIT(test_zeroes_and_discards),
	  UNIT(test_stop_refuses_while_used), UNIT(test_half_told_spare_is_not_trusted),
	  UNIT(test_removed_while_in_use), UNIT(test_checkpoint_waits_for_its_flush))
