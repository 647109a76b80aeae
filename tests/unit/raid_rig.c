/* SPDX-License-Identifier: BSD-2-Clause */
/* Arrays over memory, for the unit tests. */
#include "raid_rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raid/md_superblock.h"

struct run {
	void (*body)(struct raid_rig *rig);
	int level;
	unsigned disks;
};

static int run_body(void *arg)
{
	struct run *run = arg;
	struct raid_rig rig = { .level = run->level, .disks = run->disks };

	for (unsigned i = 0; i < RIG_MEMBERS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "disk%u", i);
		CU_ASSERT_EQUAL_FATAL(
			block_create_memory(&rig.memory[i], name, RIG_SIZE, &rig.error), 0);
		CU_ASSERT_EQUAL_FATAL(
			block_create_fault(&rig.disk[i], name, rig.memory[i], i, &rig.error), 0);
	}
	run->body(&rig);
	if (rig.array)
		CU_ASSERT_EQUAL(raid_stop(rig.array, &rig.error), 0);
	for (unsigned i = 0; i < RIG_MEMBERS; i++) {
		block_unref(rig.disk[i]);
		block_unref(rig.memory[i]);
	}
	return 0;
}

void rig_run(void (*body)(struct raid_rig *rig))
{
	rig_run_level(1, 2, body);
}

void rig_run_level(int level, unsigned disks, void (*body)(struct raid_rig *rig))
{
	struct worker_options options = { .virtual_clock = true, .seed = 7 };
	struct run run = { body, level, disks };
	struct worker *worker;
	struct error error = { 0 };

	if (worker_create(&worker, &options, &error)) {
		CU_FAIL(error.text);
		return;
	}
	worker_run(worker, run_body, &run);
	worker_destroy(worker);
}

void rig_create(struct raid_rig *rig, unsigned count, const struct raid_create_options *options)
{
	struct raid_new_member members[RIG_MEMBERS] = { 0 };
	int rc;

	for (unsigned i = 0; i < count; i++)
		members[i].block = rig->disk[i];
	rc = raid_create(&rig->array, members, count, options, &rig->error);
	if (rc)
		printf("create: %s\n", rig->error.text);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
}

void rig_assemble(struct raid_rig *rig, unsigned count, const struct raid_assemble_options *options)
{
	int rc = raid_assemble(&rig->array, rig->disk, count, options, &rig->error);

	if (rc)
		printf("assemble: %s\n", rig->error.text);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
}

void rig_stop(struct raid_rig *rig)
{
	CU_ASSERT_EQUAL(raid_stop(rig->array, &rig->error), 0);
	rig->array = NULL;
}

void rig_wait(struct raid_rig *rig)
{
	CU_ASSERT_EQUAL(raid_rebuild_wait(rig->array, NULL, NULL, 1000000000, &rig->error), 0);
}

static uint8_t pattern(uint64_t at, uint8_t seed)
{
	return (uint8_t)(at ^ at >> 8 ^ at >> 16 ^ seed * 37u);
}

void rig_write(struct raid_rig *rig, uint64_t offset, uint64_t length, uint8_t seed)
{
	uint8_t *bytes = malloc(length);

	for (uint64_t i = 0; i < length; i++)
		bytes[i] = pattern(offset + i, seed);
	CU_ASSERT_EQUAL(block_write(raid_array_block(rig->array), offset, bytes, length, 0), 0);
	free(bytes);
}

bool rig_holds(struct raid_rig *rig, uint64_t offset, uint64_t length, uint8_t seed)
{
	uint8_t *bytes = malloc(length);
	int rc = block_read(raid_array_block(rig->array), offset, bytes, length);
	bool holds = rc == 0;

	for (uint64_t i = 0; holds && i < length; i++)
		holds = bytes[i] == pattern(offset + i, seed);
	free(bytes);
	return holds;
}

bool rig_equal(struct raid_rig *rig, unsigned a, unsigned b)
{
	struct raid_info first, second;
	uint8_t *bytes;
	bool equal;

	CU_ASSERT_EQUAL_FATAL(raid_probe(rig->memory[a], &first, &rig->error), 1);
	CU_ASSERT_EQUAL_FATAL(raid_probe(rig->memory[b], &second, &rig->error), 1);
	bytes = malloc(2 * first.member_size);
	block_read(rig->memory[a], first.data_offset, bytes, first.member_size);
	block_read(rig->memory[b], second.data_offset, bytes + first.member_size,
		   first.member_size);
	equal = memcmp(bytes, bytes + first.member_size, first.member_size) == 0;
	free(bytes);
	return equal;
}

uint64_t rig_array_size(const struct raid_rig *rig)
{
	return raid_array_block(rig->array)->size;
}

enum raid_member_state rig_state(struct raid_rig *rig, unsigned disk)
{
	enum raid_member_state state = RAID_MEMBER_STALE;
	struct raid_status status;

	raid_status(rig->array, &status);
	for (unsigned i = 0; i < status.member_count; i++) {
		if (strcmp(status.members[i].device, rig->disk[disk]->name) == 0)
			state = status.members[i].state;
	}
	raid_status_free(&status);
	return state;
}

void rig_count_reads(struct raid_rig *rig, unsigned disk)
{
	block_fault_add(rig->disk[disk], &(struct block_fault_rule){ .requests = BLOCK_FAULT_READ,
								     .after = UINT64_MAX });
}

uint64_t rig_reads(struct raid_rig *rig, unsigned disk)
{
	struct block_fault_counts counts;

	block_fault_counts(rig->disk[disk], &counts);
	return counts.reads;
}

uint64_t rig_writes(struct raid_rig *rig, unsigned disk)
{
	struct block_fault_counts counts;

	block_fault_counts(rig->disk[disk], &counts);
	return counts.writes + counts.write_zeroes + counts.discards;
}

int rig_break(struct raid_rig *rig, unsigned disk, unsigned requests, uint64_t offset,
	      uint64_t length)
{
	return block_fault_add(rig->disk[disk],
			       &(struct block_fault_rule){ .requests = requests,
							   .offset = offset,
							   .length = length,
							   .action = BLOCK_FAULT_ERROR,
							   .error = -EIO });
}
