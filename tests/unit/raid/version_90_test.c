/* SPDX-License-Identifier: BSD-2-Clause */
/* Arrays with superblocks 0.90 from command to command. Virtual time. */
#include <errno.h>
#include <string.h>

#include "raid_rig.h"
#include "version_90.h"

/* One command each: what has been written is all that is left in between. */
static void anew(struct raid_rig *rig, unsigned count)
{
	rig_stop(rig);
	rig_assemble(rig, count, NULL);
}

static bool is_faulty(struct raid_rig *rig, const char *device)
{
	struct raid_status status;
	bool faulty = false;

	raid_status(rig->array, &status);
	for (unsigned i = 0; i < status.member_count; i++)
		faulty |= status.members[i].marked_faulty &&
			  !strcmp(status.members[i].device, device);
	raid_status_free(&status);
	return faulty;
}

/* A faulty member has another number by the superblocks of the others, and does not know that. */
static void fails_and_removes(struct raid_rig *rig)
{
	put_version_90(rig->memory, 5, 6, 65536, RIG_SIZE - 131072);
	rig_assemble(rig, 5, NULL);
	rig_write(rig, 0, rig_array_size(rig), 1);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
	anew(rig, 5);
	CU_ASSERT(is_faulty(rig, "disk1"));
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk3", &rig->error), 0);
	anew(rig, 5);
	CU_ASSERT(is_faulty(rig, "disk1"));
	CU_ASSERT(is_faulty(rig, "disk3"));
	CU_ASSERT_EQUAL(raid_remove(rig->array, "disk3", &rig->error), 0);
	anew(rig, 5);
	CU_ASSERT_EQUAL(raid_remove(rig->array, "disk1", &rig->error), 0);
	anew(rig, 5);
	CU_ASSERT_EQUAL(raid_remove(rig->array, "disk1", &rig->error), -ENOENT);
	CU_ASSERT_EQUAL(raid_remove(rig->array, "disk3", &rig->error), -ENOENT);
	CU_ASSERT(rig_holds(rig, 0, rig_array_size(rig), 1));
}

static void test_fails_and_removes(void)
{
	rig_run(fails_and_removes);
}

/* Who fails while it is filled has no place by its own superblock, and is known as faulty by its number. */
static void fails_as_it_is_filled(struct raid_rig *rig)
{
	for (unsigned removed = 0; removed < 2; removed++) {
		int rule;

		put_version_90(rig->memory, 4, 5, 65536, RIG_SIZE - 131072);
		rig_assemble(rig, 4, NULL);
		rig_write(rig, 0, rig_array_size(rig), 1);
		CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
		if (removed)
			CU_ASSERT_EQUAL(raid_remove(rig->array, "disk1", &rig->error), 0);
		rule = rig_break(rig, 4, BLOCK_FAULT_WRITE, 65536, 4096);
		CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[4], &rig->error), 0);
		rig_wait(rig);
		CU_ASSERT_EQUAL(rig_state(rig, 4), RAID_MEMBER_FAULTY);
		block_fault_remove(rig->disk[4], rule);
		anew(rig, 5);
		CU_ASSERT_EQUAL(rig_state(rig, 4), RAID_MEMBER_STALE);
		CU_ASSERT(is_faulty(rig, "disk4"));
		CU_ASSERT_EQUAL(is_faulty(rig, "disk1"), !removed);
		CU_ASSERT(rig_holds(rig, 0, rig_array_size(rig), 1));
		rig_stop(rig);
	}
}

static void test_fails_as_it_is_filled(void)
{
	rig_run(fails_as_it_is_filled);
}

/* The number of a spare that is removed goes to the next one (as md does it, in the same update): they are no copies. */
static void removes_spare(struct raid_rig *rig)
{
	put_version_90(rig->memory, 3, 5, 65536, RIG_SIZE - 131072);
	rig_assemble(rig, 3, NULL);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[3], &rig->error), 0);
	CU_ASSERT_EQUAL(raid_remove(rig->array, "disk3", &rig->error), 0);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[4], &rig->error), 0);
	anew(rig, 5);
	CU_ASSERT_EQUAL(rig_state(rig, 4), RAID_MEMBER_SPARE);
	CU_ASSERT_EQUAL(rig_state(rig, 3), RAID_MEMBER_STALE);
}

static void test_removes_spare(void)
{
	rig_run(removes_spare);
}

/* A spare that failed is faulty until it is removed, whoever is written meanwhile: its own superblock has the number that it had. */
static void fails_spare(struct raid_rig *rig)
{
	put_version_90(rig->memory, 3, 5, 65536, RIG_SIZE - 131072);
	rig_assemble(rig, 3, NULL);
	for (unsigned i = 3; i < 6; i++)
		CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[i], &rig->error), 0);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk3", &rig->error), 0);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk4", &rig->error), 0);
	for (unsigned time = 0; time < 3; time++) {
		anew(rig, 6);
		CU_ASSERT(is_faulty(rig, "disk3"));
		CU_ASSERT(is_faulty(rig, "disk4"));
		CU_ASSERT_EQUAL(rig_state(rig, 5), RAID_MEMBER_SPARE);
		rig_write(rig, 0, 4096, (uint8_t)time);
	}
	CU_ASSERT_EQUAL(raid_remove(rig->array, "disk3", &rig->error), 0);
	anew(rig, 6);
	CU_ASSERT_FALSE(is_faulty(rig, "disk3"));
	CU_ASSERT(is_faulty(rig, "disk4"));
	CU_ASSERT_EQUAL(rig_state(rig, 5), RAID_MEMBER_SPARE);
}

static void test_fails_spare(void)
{
	rig_run(fails_spare);
}

/* With 27 places no number is left: a spare without one called itself the member of place 0. */
static void widest(struct raid_rig *rig)
{
	struct md90_superblock sb;
	uint8_t page[MD90_BYTES];
	uint64_t sector;

	put_version_90(rig->memory, 2, 5, 65536, RIG_SIZE - 131072);
	CU_ASSERT_EQUAL_FATAL(md90_place(RIG_SIZE / 512, &sector), 0);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(block_read(rig->disk[i], sector * 512, page, sizeof(page)), 0);
		CU_ASSERT_EQUAL_FATAL(md90_decode(page, &sb, NULL), 0);
		sb.level = 1;
		sb.layout = sb.chunk_bytes = 0;
		sb.raid_disks = MD90_DEVICES;
		for (unsigned k = 2; k < MD90_DEVICES; k++)
			sb.devices[k] =
				(struct md90_device){ .number = k, .raid_disk = k, .state = 9 };
		md90_encode(&sb, page);
		CU_ASSERT_EQUAL(block_write(rig->disk[i], sector * 512, page, sizeof(page), 0), 0);
	}
	rig_assemble(rig, 2, NULL);
	rig_write(rig, 0, rig_array_size(rig), 1);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[2], &rig->error), -ENOSPC);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "no number is left"));
	CU_ASSERT_EQUAL(block_read(rig->disk[2], sector * 512, page, sizeof(page)), 0);
	CU_ASSERT_FALSE(md90_is_there(page));
	CU_ASSERT(rig_holds(rig, 0, rig_array_size(rig), 1));
}

static void test_widest(void)
{
	rig_run(widest);
}

/* Nothing says which of two copies of a member is up to date, whose data differ: the order in which they are given must not. */
static void copies(struct raid_rig *rig)
{
	struct block *blocks[4];
	struct raid_array *array;
	uint8_t page[65536];

	put_version_90(rig->memory, 3, 5, 65536, RIG_SIZE - 131072);
	rig_assemble(rig, 3, NULL);
	rig_write(rig, 0, rig_array_size(rig), 1);
	rig_stop(rig);
	for (uint64_t at = 0; at < RIG_SIZE; at += sizeof(page)) {
		CU_ASSERT_EQUAL(block_read(rig->memory[0], at, page, sizeof(page)), 0);
		if (!at)
			page[4096] ^= 1;
		CU_ASSERT_EQUAL(block_write(rig->memory[3], at, page, sizeof(page), 0), 0);
	}
	for (unsigned first = 0; first < 2; first++) {
		blocks[0] = rig->disk[first ? 3 : 0];
		blocks[1] = rig->disk[1];
		blocks[2] = rig->disk[2];
		blocks[3] = rig->disk[first ? 0 : 3];
		CU_ASSERT_EQUAL(raid_assemble(&array, blocks, 4, NULL, &rig->error), -EEXIST);
		CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "copies of one member"));
	}
	rig_assemble(rig, 3, NULL);
	CU_ASSERT(rig_holds(rig, 0, rig_array_size(rig), 1));
}

static void test_copies(void)
{
	rig_run(copies);
}

UNIT_MAIN("raid version 0.90", UNIT(test_fails_and_removes), UNIT(test_copies),
	  UNIT(test_fails_as_it_is_filled), UNIT(test_removes_spare), UNIT(test_fails_spare),
	  UNIT(test_widest))
