/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reshapes in place, with a backup of what is written over: in a file, or on members that are new. Whenever the power goes, on members and file, nothing
 * is lost; what is not the backup of this reshape is refused. Virtual time.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raid/array.h"
#include "raid/md_backup.h"
#include "raid/reshape_backup.h"
#include "raid_rig.h"
#include "reshape_held.h"
#include "reshape_scene.h"
#include "util/bytes.h"

/* No room before the data, nor behind them. */
#define FULL(l, c)                                                                                 \
	{                                                                                          \
		.level = l, .chunk = c, .metadata = RAID_METADATA_1_0                              \
	}

static const struct reshape_kind kinds[] = {
	{ FULL(5, 65536), 4, { .chunk = 16384, .layout = "right-asymmetric" }, .in_place = true },
	{ FULL(5, 65536), 3, { .devices = 5, .chunk = 32768 } },
	{ FULL(5, 65536), 3, { .level = "6", .layout = "left-symmetric" }, .in_place = true },
	/* Only these have a backup on the way down, from where it is needed on. */
	{ FULL(5, 65536),
	  4,
	  { .devices = 3, .array_size = 1 },
	  .in_place = true,
	  .version_90 = true },
	/* These with TORTURE only. */
	{ FULL(5, 65536), 4, { .chunk = 131072 }, .in_place = true },
	{ FULL(6, 32768), 5, { .layout = "ddf-N-continue" }, .in_place = true },
	{ FULL(4, 65536), 3, { .chunk = 32768 }, .in_place = true },
	{ FULL(5, 65536), 3, { .devices = 4 }, .in_place = true },
	{ FULL(6, 65536), 4, { .devices = 5 } },
};

#define FEW 4u

static void test_power(void)
{
	unsigned count = getenv("TORTURE") ? ARRAY_SIZE(kinds) : FEW;

	for (unsigned i = 0; i < count; i++)
		reshape_play(&kinds[i], i);
}

/* ---- One that is held in the middle ---- */

/* Who finds it where it stands has a backup of the next part, as mdadm needs it; unless that was written to. */
static void is_held_ahead(struct raid_rig *rig)
{
	struct held held;
	struct md_backup found;
	uint64_t position, size;

	make_backup_file(&held);
	CU_ASSERT_EQUAL_FATAL(begin(rig, &held, &(struct raid_grow){ .chunk = 32768 }), 0);
	found = header_of(&held);
	CU_ASSERT(found.piece[0].start == 0 && found.piece[0].count);
	hold(rig);
	size = rig_array_size(rig);
	position = rig->array->reshape_position << MD_SECTOR_SHIFT;
	found = header_of(&held);
	CU_ASSERT(found.piece[0].count ? found.piece[0].start == position >> MD_SECTOR_SHIFT
				       : found.piece[1].start == position >> MD_SECTOR_SHIFT);
	CU_ASSERT(found.piece[0].count || found.piece[1].count);
	rig_write(rig, position - 8192, 65536, 2);
	found = header_of(&held);
	CU_ASSERT(!found.piece[0].count && !found.piece[1].count);
	CU_ASSERT_EQUAL_FATAL(crash(rig, &held, 3), 0);
	CU_ASSERT(rig_holds(rig, 0, position - 8192, 1));
	CU_ASSERT(rig_holds(rig, position - 8192, 65536, 2));
	rig_wait(rig);
	CU_ASSERT(rig_holds(rig, position - 8192, 65536, 2));
	CU_ASSERT(rig_holds(rig, position + 57344, size - position - 57344, 1));
	CU_ASSERT_FALSE(rig->array->reshaping);
	rig_stop(rig);
	drop_backup_file(&held);
}

/* Stopped and started again, read only too; the file is given back at the end, and is no backup any more. */
static void goes_on(struct raid_rig *rig)
{
	struct held held;
	struct raid_assemble_options options = { .backup_count = 1, .read_only = true };
	uint8_t page[MD_BACKUP_BYTES];
	uint64_t size;

	make_backup_file(&held);
	CU_ASSERT_EQUAL_FATAL(begin(rig, &held, &(struct raid_grow){ .layout = "parity-first" }),
			      0);
	hold(rig);
	size = rig_array_size(rig);
	rig_write(rig, size / 2, size / 2, 2);
	rig_stop(rig);
	CU_ASSERT(header_of(&held).piece[0].count || header_of(&held).piece[1].count);
	options.backups = &held.faulty;
	rig_assemble(rig, 3, &options);
	CU_ASSERT(rig_holds(rig, 0, size / 2, 1));
	CU_ASSERT(rig_holds(rig, size / 2, size / 2, 2));
	rig_stop(rig);
	options.read_only = false;
	rig_assemble(rig, 3, &options);
	rig_wait(rig);
	CU_ASSERT_FALSE(rig->array->reshaping);
	CU_ASSERT(rig_holds(rig, 0, size / 2, 1));
	CU_ASSERT(rig_holds(rig, size / 2, size / 2, 2));
	CU_ASSERT_EQUAL(held.backup->references, 2);
	CU_ASSERT_EQUAL(block_read(held.backup, 0, page, sizeof(page)), 0);
	CU_ASSERT(bytes_all_zero(page, sizeof(page)));
	rig_stop(rig);
	drop_backup_file(&held);
}

/* However long it stands, and whoever writes elsewhere, backup and superblocks are of one time. */
static void stands_for_long(struct raid_rig *rig)
{
	const uint64_t minute = 60000000000;
	struct raid_assemble_options options = { .backup_count = 1 };
	struct held held;
	uint64_t size;

	make_backup_file(&held);
	CU_ASSERT_EQUAL_FATAL(begin(rig, &held, &(struct raid_grow){ .chunk = 32768 }), 0);
	hold(rig);
	size = rig_array_size(rig);
	options.backups = &held.faulty;
	/* Nothing is written, and a backup is made at the end. */
	fiber_sleep(30 * minute);
	options.now = raid_array_seconds(rig->array);
	rig_stop(rig);
	options.no_resync = true;
	rig_assemble(rig, 3, &options);
	CU_ASSERT(rig_holds(rig, 0, size, 1));
	for (unsigned i = 0; i < 10; i++) {
		rig_write(rig, size - 65536, 65536, 1);
		fiber_sleep(60 * minute);
	}
	rig_write(rig, size - 65536, 65536, 2);
	CU_ASSERT_EQUAL_FATAL(crash(rig, &held, 3), 0);
	CU_ASSERT(rig_holds(rig, 0, size - 65536, 1));
	CU_ASSERT(rig_holds(rig, size - 65536, 65536, 2));
	rig_wait(rig);
	CU_ASSERT_FALSE(rig->array->reshaping);
	CU_ASSERT(rig_holds(rig, 0, size - 65536, 1));
	rig_stop(rig);
	drop_backup_file(&held);
}

/* ---- What is refused ---- */

static void put_header(struct held *held, const struct md_backup *header, unsigned damaged)
{
	uint8_t page[MD_BACKUP_BYTES];

	md_backup_encode(header, page);
	if (damaged)
		page[damaged] ^= 1;
	CU_ASSERT_EQUAL(block_write(held->backup, 0, page, sizeof(page), 0), 0);
}

static void cannot(struct raid_rig *rig, struct held *held, int expected, const char *word)
{
	const struct raid_assemble_options options = { .backups = &held->faulty,
						       .backup_count = held->faulty ? 1 : 0 };
	struct raid_array *array = NULL;
	struct error error = { 0 };
	uint64_t writes = rig_writes(rig, 0);

	CU_ASSERT_EQUAL(raid_assemble(&array, rig->disk, 3, &options, &error), expected);
	if (array)
		raid_stop(array, NULL);
	CU_ASSERT(strstr(error.text, word) != NULL);
	CU_ASSERT(strstr(error.text, word) || !printf("%s: %s\n", word, error.text));
	CU_ASSERT_EQUAL(rig_writes(rig, 0), writes);
}

static void refuses_others(struct raid_rig *rig)
{
	struct held held, none = { 0 };
	struct md_backup good, other;

	make_backup_file(&held);
	CU_ASSERT_EQUAL_FATAL(begin(rig, &held, &(struct raid_grow){ .chunk = 32768 }), 0);
	hold(rig);
	rig_stop(rig);
	good = header_of(&held);
	cannot(rig, &none, -ENODEV, "takes the backup file");
	other = good;
	other.uuid[3] ^= 1;
	put_header(&held, &other, 0);
	cannot(rig, &held, -ENODEV, "another array");
	put_header(&held, &good, 65);
	cannot(rig, &held, -EINVAL, "checksum");
	put_header(&held, &good, 1);
	cannot(rig, &held, -ENODEV, "no header of a backup");
	other = good;
	other.time += 9000;
	put_header(&held, &other, 0);
	cannot(rig, &held, -ESTALE, "last written");
	/* A copy of the file from before, though it begins where the array is. */
	other.time = good.time - 9000;
	put_header(&held, &other, 0);
	cannot(rig, &held, -ESTALE, "old copy");
	for (unsigned i = 0; i < 2; i++) {
		unsigned in = good.piece[1].count ? 1 : 0;

		other = good;
		other.piece[in].start += i ? 1 : 4096;
		put_header(&held, &other, 0);
		cannot(rig, &held, -EINVAL, "not of this reshape");
		other = good;
		other.piece[in].count += i ? 1 : 1 << 20;
		put_header(&held, &other, 0);
		cannot(rig, &held, -EINVAL, i ? "expected multiples" : "its backup ends");
	}
	/* A copy from before: what it has was moved long ago. */
	for (unsigned i = 0; i < 2; i++) {
		other = good;
		CU_ASSERT_FATAL(!good.piece[i].count ||
				good.piece[i].start >= 2 * good.piece[i].count);
		other.piece[i].start -= good.piece[i].count ? 2 * good.piece[i].count : 0;
		put_header(&held, &other, 0);
		if (good.piece[i].count)
			cannot(rig, &held, -EINVAL, "old copy");
	}
	other = good;
	other.data = other.second = 8000;
	put_header(&held, &other, 0);
	cannot(rig, &held, -EINVAL, "made shorter");
	/* Their sum in bytes would be a place within the file. */
	other.data = other.second = (1ull << 54) - 1;
	for (unsigned i = 0; i < 2; i++)
		if (good.piece[i].count) {
			other.piece[i].start -= 512;
			other.piece[i].count += 512;
		}
	put_header(&held, &other, 0);
	cannot(rig, &held, -EINVAL, "a device can have");
	other = good;
	other.time -= 9000;
	put_header(&held, &other, 0);
	rig_assemble(rig, 3,
		     &(struct raid_assemble_options){
			     .backups = &held.faulty, .backup_count = 1, .force = true });
	rig_wait(rig);
	CU_ASSERT(rig_holds(rig, 0, rig_array_size(rig), 1));
	rig_stop(rig);
	drop_backup_file(&held);
}

/* Stopped, not cut off: what the file has is not needed. Looking at it writes nothing there; going on writes it anew, so that the next one needs no
 * such word. */
static void goes_on_without(struct raid_rig *rig)
{
	static const char image[512] = "image";
	struct raid_assemble_options options = { .no_resync = true, .invalid_backup = true };
	struct held held;
	struct md_backup other;

	make_backup_file(&held);
	CU_ASSERT_EQUAL_FATAL(begin(rig, &held, &(struct raid_grow){ .chunk = 32768 }), 0);
	hold(rig);
	rig_stop(rig);
	other = header_of(&held);
	for (unsigned i = 0; i < 2; i++)
		other.piece[i].start += other.piece[i].count ? 4096 : 0;
	put_header(&held, &other, 0);
	cannot(rig, &held, -EINVAL, "not of this reshape");
	CU_ASSERT_EQUAL(raid_assemble(&rig->array, rig->disk, 3, &options, &rig->error), -EINVAL);
	rig->array = NULL;
	options.backups = &held.faulty;
	options.backup_count = 1;
	/* Somebody's image, and the backup of another array, are not written over. */
	other.uuid[0] ^= 1;
	put_header(&held, &other, 0);
	CU_ASSERT_EQUAL(raid_assemble(&rig->array, rig->disk, 3, &options, &rig->error), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "the backup of another array"));
	CU_ASSERT_EQUAL(header_of(&held).uuid[0], other.uuid[0]);
	CU_ASSERT_EQUAL(block_write(held.backup, 0, image, sizeof(image), 0), 0);
	CU_ASSERT_EQUAL(raid_assemble(&rig->array, rig->disk, 3, &options, &rig->error), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "no header of a backup"));
	rig->array = NULL;
	other.uuid[0] ^= 1;
	put_header(&held, &other, 0);
	options.read_only = true;
	rig_assemble(rig, 3, &options);
	CU_ASSERT(rig_holds(rig, 0, rig_array_size(rig), 1));
	rig_stop(rig);
	CU_ASSERT_EQUAL(header_of(&held).piece[0].start, other.piece[0].start);
	options.read_only = false;
	rig_assemble(rig, 3, &options);
	rig_stop(rig);
	rig_assemble(rig, 3,
		     &(struct raid_assemble_options){ .backups = &held.faulty, .backup_count = 1 });
	rig_wait(rig);
	CU_ASSERT(rig_holds(rig, 0, rig_array_size(rig), 1));
	rig_stop(rig);
	drop_backup_file(&held);
}

/* By --invalid-backup: not what cannot be read, nor what is only of another time. */
static void useless_is_what_was_found_so(struct raid_rig *rig)
{
	struct raid_assemble_options options = { .no_resync = true,
						 .invalid_backup = true,
						 .backup_count = 1 };
	struct held held;
	struct md_backup good, other;

	make_backup_file(&held);
	CU_ASSERT_EQUAL_FATAL(begin(rig, &held, &(struct raid_grow){ .chunk = 32768 }), 0);
	hold(rig);
	rig_stop(rig);
	options.backups = &held.faulty;
	good = other = header_of(&held);
	block_fault_add(held.faulty,
			&(struct block_fault_rule){ .requests = BLOCK_FAULT_READ, .error = -EIO });
	CU_ASSERT_EQUAL(raid_assemble(&rig->array, rig->disk, 3, &options, &rig->error), -EIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "cannot be read"));
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.advice, "not an invalid backup"));
	block_fault_clear(held.faulty);
	other.time -= 9000;
	put_header(&held, &other, 0);
	CU_ASSERT_EQUAL(raid_assemble(&rig->array, rig->disk, 3, &options, &rig->error), -ESTALE);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.advice, "a file of zeroes"));
	CU_ASSERT_EQUAL(header_of(&held).time, other.time);
	put_header(&held, &good, 0);
	options.no_resync = false;
	rig_assemble(rig, 3, &options);
	rig_wait(rig);
	CU_ASSERT(rig_holds(rig, 0, rig_array_size(rig), 1));
	rig_stop(rig);
	drop_backup_file(&held);
}

/* Without pieces it is of the position where it came to have none. */
static void refuses_none_of_elsewhere(struct raid_rig *rig)
{
	struct held held;
	struct md_backup none;
	uint64_t position;

	make_backup_file(&held);
	CU_ASSERT_EQUAL_FATAL(begin(rig, &held, &(struct raid_grow){ .chunk = 32768 }), 0);
	hold(rig);
	position = rig->array->reshape_position;
	rig_write(rig, position << MD_SECTOR_SHIFT, 65536, 1);
	none = header_of(&held);
	CU_ASSERT(!none.piece[0].count && !none.piece[1].count);
	CU_ASSERT_EQUAL(none.piece[0].start, position);
	none.piece[0].start = 0;
	rig_stop(rig);
	/* As mdadm leaves it; and a copy from the beginning. */
	put_header(&held, &none, 0);
	cannot(rig, &held, -EINVAL, "an old copy");
	none.piece[0].start = position + 768;
	put_header(&held, &none, 0);
	cannot(rig, &held, -EINVAL, "has nothing, as of sector");
	none.piece[0].start = position;
	put_header(&held, &none, 0);
	rig_assemble(rig, 3,
		     &(struct raid_assemble_options){ .backups = &held.faulty, .backup_count = 1 });
	rig_wait(rig);
	CU_ASSERT(rig_holds(rig, position << MD_SECTOR_SHIFT, 65536, 1));
	rig_stop(rig);
	drop_backup_file(&held);
}

/* On a member that is new, with room for less than a step: parts would end within rows. */
static void refuses_small_room(struct raid_rig *rig)
{
	static uint8_t bytes[RIG_SIZE];
	struct block *copies[4];
	struct md_backup found;
	uint64_t again, data;

	rig_create(
		rig, 3,
		&(struct raid_create_options){
			.name = "x", .level = 5, .chunk = 65536, .metadata = RAID_METADATA_1_0 });
	rig_wait(rig);
	CU_ASSERT_EQUAL_FATAL(raid_add(rig->array, rig->disk[3], &rig->error), 0);
	CU_ASSERT_EQUAL_FATAL(
		raid_grow(rig->array, &(struct raid_grow){ .devices = 4 }, &rig->error), 0);
	CU_ASSERT_EQUAL_FATAL(rig->array->reshape_position, 0);
	again = raid_backup_place_on(rig->array->places[3].member, 0);
	for (unsigned i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(block_create_memory(&copies[i], rig->disk[i]->name, RIG_SIZE, NULL),
				0);
		CU_ASSERT_EQUAL(block_read(rig->memory[i], 0, bytes, RIG_SIZE), 0);
		CU_ASSERT_EQUAL(block_write(copies[i], 0, bytes, RIG_SIZE, 0), 0);
	}
	rig_stop(rig);
	CU_ASSERT_EQUAL(md_backup_decode(bytes + again, &found, NULL), 0);
	data = again - 131072;
	found.data = data / 512;
	found.piece[0].count = 0;
	md_backup_encode(&found, bytes);
	CU_ASSERT_EQUAL(block_write(copies[3], again, bytes, MD_BACKUP_BYTES, 0), 0);
	CU_ASSERT_EQUAL(block_write(copies[3], data - MD_BACKUP_HEADER_BYTES, bytes,
				    MD_BACKUP_BYTES, 0),
			0);
	CU_ASSERT_EQUAL(raid_assemble(&rig->array, copies, 4, NULL, &rig->error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "expected a multiple of 768"));
	CU_ASSERT(strstr(rig->error.text, "768") || !printf("%s\n", rig->error.text));
	for (unsigned i = 0; i < 4; i++)
		block_unref(copies[i]);
}

static void test_is_held_ahead(void)
{
	rig_run(is_held_ahead);
}

static void test_goes_on(void)
{
	rig_run(goes_on);
	rig_run(stands_for_long);
}

static void test_refuses_others(void)
{
	rig_run(refuses_others);
	rig_run(goes_on_without);
	rig_run(refuses_small_room);
	rig_run(refuses_none_of_elsewhere);
	rig_run(useless_is_what_was_found_so);
}

UNIT_MAIN("reshape with a backup", UNIT(test_is_held_ahead), UNIT(test_goes_on),
	  UNIT(test_refuses_others), UNIT(test_power))
