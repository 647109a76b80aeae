/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reshapes that take another level for the time, or behind it: level 0 goes as level 4 without parity, 6 becomes 5 once Q has a disk of its
 * own. Data are the same before, in the middle and after. Virtual time.
 */
#include <errno.h>

#include "raid/md_format.h"
#include "raid/md_superblock.h"
#include "raid_rig.h"
#include "util/bytes.h"

struct kind {
	struct raid_create_options options;
	unsigned count, add;
	struct raid_grow grow;
	int level; /* in the end */
};

static const struct kind kinds[] = {
	{ { .level = 0, .chunk = 65536 }, 2, 1, { .devices = 3 }, 0 },
	{ { .level = 0, .chunk = 65536 }, 2, 3, { .devices = 5, .chunk = 16384 }, 0 },
	{ { .level = 0, .chunk = 32768 }, 1, 1, { .devices = 2 }, 0 },
	{ { .level = 0, .chunk = 65536 }, 3, 0, { .chunk = 131072 }, 0 },
	{ { .level = 0, .chunk = 65536 }, 4, 0, { .devices = 2, .array_size = 1 }, 0 },
	{ { .level = 6, .chunk = 65536 }, 5, 0, { .level = "5" }, 5 },
	{ { .level = 6, .chunk = 65536, .layout = "ddf-N-continue" },
	  4,
	  0,
	  { .level = "5", .layout = "right-asymmetric" },
	  5 },
};

static const struct kind *kind;

static uint64_t size_of(struct raid_rig *rig)
{
	return raid_array_block(rig->array)->size;
}

/* Without its members. */
static struct raid_status status_of(struct raid_rig *rig)
{
	struct raid_status status, kept;

	raid_status(rig->array, &status);
	kept = status;
	raid_status_free(&status);
	return kept;
}

static void must(struct raid_rig *rig, int rc)
{
	if (rc)
		printf("%s\n", rig->error.text);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
}

/* As the command does it. */
static void begin(struct raid_rig *rig)
{
	struct raid_create_options options = kind->options;
	struct raid_grow grow = kind->grow;

	options.name = "x";
	rig_create(rig, kind->count, &options);
	rig_wait(rig);
	rig_write(rig, 0, size_of(rig), 1);
	fiber_sleep(20000000000);
	raid_rebuild_set_rate(rig->array, 1 << 20);
	grow.adding = kind->add;
	must(rig, raid_grow(rig->array, &grow, &rig->error));
	CU_ASSERT_EQUAL(raid_grow_goes_on(rig->array), kind->add != 0);
	if (!kind->add)
		return;
	for (unsigned i = 0; i < kind->add; i++)
		must(rig, raid_add(rig->array, rig->disk[kind->count + i], &rig->error));
	fiber_sleep(1000000000);
	must(rig, raid_grow(rig->array, &kind->grow, &rig->error));
}

static void check_end(struct raid_rig *rig, uint64_t size)
{
	struct raid_status status = status_of(rig);

	CU_ASSERT_EQUAL(status.level, kind->level);
	if (kind->grow.devices)
		CU_ASSERT_EQUAL(status.raid_disks, kind->grow.devices);
	if (kind->grow.chunk)
		CU_ASSERT_EQUAL(status.chunk, kind->grow.chunk);
	CU_ASSERT(!status.degraded);
	CU_ASSERT(kind->add ? size_of(rig) > size : size_of(rig) <= size);
}

static void goes_to_its_end(struct raid_rig *rig)
{
	unsigned all = kind->count + kind->add;
	uint64_t size, before, step = 300 << 10;

	begin(rig);
	size = size_of(rig);
	before = size;
	for (uint64_t at = 0; at < size; at += step) {
		CU_ASSERT(rig_holds(rig, at, MIN(step, size - at), 1));
		rig_write(rig, at, MIN(step, size - at), 2);
		CU_ASSERT(rig_holds(rig, 0, at + MIN(step, size - at), 2));
		fiber_sleep(100000000);
	}
	raid_rebuild_set_rate(rig->array, 0);
	must(rig, raid_grow_wait(rig->array, &rig->error));
	rig_wait(rig);
	check_end(rig, before);
	size = MIN(size, size_of(rig));
	CU_ASSERT(rig_holds(rig, 0, size, 2));
	rig_write(rig, size_of(rig) - 65536, 65536, 3);
	rig_stop(rig);
	/* Who was let go has no superblock any more. */
	if (kind->level == 0 && kind->grow.devices && kind->grow.devices < kind->count)
		all = kind->grow.devices;
	rig_assemble(rig, all, NULL);
	CU_ASSERT(rig_holds(rig, 0, size - 65536, 2));
	CU_ASSERT(rig_holds(rig, size_of(rig) - 65536, 65536, 3));
}

/* Stopped in the middle it has its level on the way, and goes on to the one that was asked for once it runs again. */
static void goes_on_later(struct raid_rig *rig)
{
	struct raid_grow rest = { .level = kind->level ? "5" : "0" };
	uint64_t size;

	begin(rig);
	size = size_of(rig);
	fiber_sleep(300000000);
	rig_stop(rig);
	rig_assemble(rig, kind->count + kind->add,
		     &(struct raid_assemble_options){ .no_resync = true });
	CU_ASSERT(rig_holds(rig, 0, size, 1));
	rig_stop(rig);
	rig_assemble(rig, kind->count + kind->add, NULL);
	rig_wait(rig);
	CU_ASSERT(rig_holds(rig, 0, size, 1));
	CU_ASSERT_EQUAL(status_of(rig).level, kind->level);
	must(rig, raid_grow(rig->array, &rest, &rig->error));
	check_end(rig, size);
	CU_ASSERT(rig_holds(rig, 0, size, 1));
}

/* Level 0 has nothing to lose, on its way neither: no member is failed, and errors go to whoever asked. */
static void loses_nothing(struct raid_rig *rig)
{
	uint64_t size;

	begin(rig);
	size = size_of(rig);
	fiber_sleep(300000000);
	if (kind->level)
		return;
	for (unsigned i = 0; i < kind->count + (kind->add ? 1 : 0); i++) {
		char name[] = "disk0";

		name[4] = (char)('0' + i);
		CU_ASSERT_EQUAL(raid_fail(rig->array, name, &rig->error), -EBUSY);
	}
	CU_ASSERT(rig_holds(rig, 0, size, 1));
	must(rig, raid_grow_wait(rig->array, &rig->error));
	CU_ASSERT(rig_holds(rig, 0, MIN(size, size_of(rig)), 1));
}

/* What mdadm 4.4 has Linux 6.12 note, which clears what we do. */
static void say_as_md(struct raid_rig *rig, int level)
{
	for (unsigned i = 0; i < kind->count; i++) {
		struct md_superblock sb;
		bool found;

		must(rig, md_superblock_find(rig->memory[i], &sb, &found, &rig->error));
		CU_ASSERT(sb.features & MD_FEATURE_RESHAPE);
		CU_ASSERT_FALSE(sb.next_from_md);
		sb.next = MD_NEXT_NONE;
		sb.new_level = level;
		CU_ASSERT_EQUAL(md_superblock_write(rig->memory[i], &sb), 0);
	}
}

/* The level that md has noted as that of the new shape is taken at the end, also without a member. md does not start these. */
static void takes_the_level_that_md_noted(struct raid_rig *rig)
{
	uint64_t size;

	begin(rig);
	size = size_of(rig);
	fiber_sleep(300000000);
	rig_stop(rig);
	say_as_md(rig, kind->level);
	rig_assemble(rig, kind->count,
		     &(struct raid_assemble_options){ .read_only = true, .no_resync = true });
	CU_ASSERT(rig_holds(rig, 0, size, 1));
	rig_stop(rig);
	rig_assemble(rig, kind->count - 1, &(struct raid_assemble_options){ .no_resync = true });
	CU_ASSERT(rig_holds(rig, 0, size, 1));
	rig_stop(rig);
	/* That has changed what all but one say, and the one is taken back. */
	rig_assemble(rig, kind->count, NULL);
	if (status_of(rig).degraded)
		must(rig, raid_add(rig->array, rig->disk[kind->count - 1], &rig->error));
	must(rig, raid_grow_wait(rig->array, &rig->error));
	rig_wait(rig);
	CU_ASSERT_EQUAL(status_of(rig).level, kind->level);
	CU_ASSERT(rig_holds(rig, 0, size, 1));
}

/* A device that cannot be added: level 0 is had back. */
static void goes_back(struct raid_rig *rig)
{
	struct raid_grow grow = kind->grow;
	uint64_t size;

	if (!kind->add)
		return;
	rig_create(rig, kind->count,
		   &(struct raid_create_options){
			   .name = "x", .level = 0, .chunk = kind->options.chunk });
	size = size_of(rig);
	rig_write(rig, 0, size, 1);
	CU_ASSERT_EQUAL(raid_grow(rig->array, &grow, &rig->error), -ENODEV);
	CU_ASSERT_EQUAL(status_of(rig).level, 0);
	grow.adding = kind->add;
	must(rig, raid_grow(rig->array, &grow, &rig->error));
	CU_ASSERT_EQUAL(raid_grow(rig->array, &kind->grow, &rig->error), -ENODEV);
	must(rig, raid_grow(rig->array, &(struct raid_grow){ .level = "0" }, &rig->error));
	CU_ASSERT_FALSE(raid_grow_goes_on(rig->array));
	CU_ASSERT_EQUAL(status_of(rig).level, 0);
	CU_ASSERT(rig_holds(rig, 0, size, 1));
}

static void each_kind(void (*body)(struct raid_rig *rig))
{
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		kind = &kinds[i];
		rig_run(body);
	}
}

static void test_goes_to_its_end(void)
{
	each_kind(goes_to_its_end);
}

static void test_goes_on_later(void)
{
	each_kind(goes_on_later);
}

static void test_loses_nothing(void)
{
	each_kind(loses_nothing);
}

static void test_takes_the_level_that_md_noted(void)
{
	static const struct kind noted[] = {
		{ { .level = 6, .chunk = 65536 }, 5, 0, { .level = "5" }, 5 },
		{ { .level = 5, .chunk = 65536 }, 4, 0, { .layout = "parity-last" }, 0 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(noted); i++) {
		kind = &noted[i];
		rig_run(takes_the_level_that_md_noted);
	}
}

static void test_goes_back(void)
{
	each_kind(goes_back);
}

UNIT_MAIN("raid reshape and level", UNIT(test_goes_to_its_end), UNIT(test_goes_on_later),
	  UNIT(test_loses_nothing), UNIT(test_takes_the_level_that_md_noted), UNIT(test_goes_back))
