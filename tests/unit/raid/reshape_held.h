/* SPDX-License-Identifier: BSD-2-Clause */
/* A reshape in place of three members that is held in the middle, with its backup in a file: for the tests of backups. */
#ifndef TENON_TESTS_RESHAPE_HELD_H
#define TENON_TESTS_RESHAPE_HELD_H

#include <string.h>

#include "block/fault.h"
#include "raid/array.h"
#include "raid/md_backup.h"
#include "raid_rig.h"

#define BACKUP (4u << 20)

struct held {
	struct block *backup, *faulty; /* the latter above the former */
};

static inline void make_backup_file(struct held *held)
{
	CU_ASSERT_EQUAL_FATAL(block_create_memory(&held->backup, "backup", BACKUP, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(block_create_fault(&held->faulty, "backup", held->backup, 9, NULL),
			      0);
}

static inline void drop_backup_file(struct held *held)
{
	block_unref(held->faulty);
	block_unref(held->backup);
}

/* Three members without room; `grow`, which does not end by itself. */
static inline int begin(struct raid_rig *rig, struct held *held, const struct raid_grow *grow)
{
	struct raid_grow with = *grow;

	rig_create(
		rig, 3,
		&(struct raid_create_options){
			.name = "x", .level = 5, .chunk = 65536, .metadata = RAID_METADATA_1_0 });
	rig_wait(rig);
	rig_write(rig, 0, rig_array_size(rig), 1);
	raid_rebuild_set_rate(rig->array, 1 << 20);
	with.backup = held->faulty;
	return raid_grow(rig->array, &with, &rig->error);
}

/* Until something has been moved; then it stands. */
static inline void hold(struct raid_rig *rig)
{
	while (!raid_reshape_moved(rig->array))
		fiber_sleep(1000000);
	raid_rebuild_freeze(rig->array, true);
	while (!rig->array->rebuild.idle)
		fiber_sleep(1000000);
}

/* What is on `count` disks now, as if the power went. */
static inline int crash(struct raid_rig *rig, struct held *held, unsigned count)
{
	static uint8_t bytes[RIG_SIZE];
	struct block *copies[RIG_MEMBERS + 1] = { 0 };
	const struct raid_assemble_options options = { .backups = &copies[count],
						       .backup_count = 1 };
	int rc;

	for (unsigned i = 0; i <= count; i++) {
		struct block *from = i < count ? rig->memory[i] : held->backup;

		CU_ASSERT_EQUAL(block_create_memory(&copies[i], from->name, from->size, NULL), 0);
		CU_ASSERT_EQUAL(block_read(from, 0, bytes, from->size), 0);
		CU_ASSERT_EQUAL(block_write(copies[i], 0, bytes, from->size, 0), 0);
	}
	for (unsigned i = 0; i < count; i++)
		block_fault_clear(rig->disk[i]);
	rig_stop(rig);
	rig->error = (struct error){ 0 };
	rc = raid_assemble(&rig->array, copies, count, &options, &rig->error);
	if (rc)
		rig->array = NULL;
	for (unsigned i = 0; i <= count; i++)
		block_unref(copies[i]);
	return rc;
}

static inline struct md_backup header_of(struct held *held)
{
	struct md_backup found = { 0 };
	uint8_t page[MD_BACKUP_BYTES];

	CU_ASSERT_EQUAL(block_read(held->backup, 0, page, sizeof(page)), 0);
	CU_ASSERT_EQUAL(md_backup_decode(page, &found, NULL), 0);
	return found;
}

#endif
