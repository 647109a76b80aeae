/* SPDX-License-Identifier: BSD-2-Clause */
/* volume/: RAID volumes: made, opened, renamed and grown while they are used, their rates, and cuts of power. Virtual time. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "block/fault.h"
#include "block/block.h"
#include "block/volatile.h"
#include "raid/raid.h"
#include "util/bytes.h"
#include "volume/lvm_vg.h"
#include "volume/volume_raid.h"
#include "volume_fixture.h"

/* ---- What is asked for ---- */

static void what_cannot_be_is_refused(struct fixture *f)
{
	struct volume_lv_options options = { .type = "raid7", .extents = 1 };

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(volume_lv_create(f->group, "a", &options, NULL, &f->error), -EINVAL);
	options.type = "raid6"; /* five images, four PVs */
	CU_ASSERT_EQUAL(volume_lv_create(f->group, "a", &options, NULL, &f->error), -ENOSPC);
	options.type = "raid5";
	options.mirrors = 1;
	CU_ASSERT_EQUAL(volume_lv_create(f->group, "a", &options, NULL, &f->error), -EINVAL);
	options.mirrors = 0;
	options.stripe_size = 5000;
	CU_ASSERT_EQUAL(volume_lv_create(f->group, "a", &options, NULL, &f->error), -EINVAL);
	CU_ASSERT_EQUAL(f->group->lv_count, 0);
	CU_ASSERT_EQUAL(fixture_raid(f, "a", "raid5", 3), 0);
	CU_ASSERT_EQUAL(f->group->lv_count, 7);
	CU_ASSERT_EQUAL(volume_group_get_lv(f->group, "a")->extent_count, 4);
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "a", "b", &f->error), 0);
	CU_ASSERT_PTR_NOT_NULL(volume_group_get_lv(f->group, "b_rimage_2"));
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "b", &f->error), 0);
	CU_ASSERT_EQUAL(f->group->lv_count, 0);
}

static void test_what_cannot_be_is_refused(void)
{
	fixture_run(what_cannot_be_is_refused, 4, 8 * MIB);
}

/* Of a part of what is free the images have whole extents, also where these are no power of two. */
static void part_is_rounded_down(struct fixture *f)
{
	const struct volume_lv_options part = {
		.type = "raid1", .mirrors = 1, .less = true, .size = 2 * 614400
	};

	fixture_create(f, &(struct volume_group_options){ .extent_size = 3 * 131072 });
	CU_ASSERT_EQUAL(volume_lv_create(f->group, "a", &part, NULL, &f->error), 0);
	CU_ASSERT_EQUAL(volume_group_get_lv(f->group, "a")->extent_count, 1);
}

static void test_part_is_rounded_down(void)
{
	fixture_run(part_is_rounded_down, 2, 4 * MIB);
}

/* ---- In use ---- */

static void who_reads_writes_nothing(struct fixture *f)
{
	struct block *reader, *writer;
	struct raid_status status;

	fixture_create(f, NULL);
	fixture_filled_raid(f, "a", "raid5", 4);
	reader = fixture_open(f, "a", false);
	raid_status(volume_lv_array(volume_group_get_lv(f->group, "a")), &status);
	CU_ASSERT_TRUE(status.read_only);
	raid_status_free(&status);
	/* The first who writes has it assembled anew, under the reader. */
	writer = fixture_open(f, "a", true);
	raid_status(volume_lv_array(volume_group_get_lv(f->group, "a")), &status);
	CU_ASSERT_FALSE(status.read_only);
	raid_status_free(&status);
	CU_ASSERT_TRUE(fixture_filled(reader, 7));
	fixture_fill(writer, 9);
	CU_ASSERT_TRUE(fixture_filled(reader, 9));
	block_unref(reader);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "a", &f->error), -EBUSY);
	block_unref(writer);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "a", &f->error), 0);
}

static void test_who_reads_writes_nothing(void)
{
	fixture_run(who_reads_writes_nothing, 4, 8 * MIB);
}

static void it_grows_while_it_is_open(struct fixture *f)
{
	struct block *block;

	fixture_create(f, NULL);
	fixture_filled_raid(f, "a", "raid5", 4);
	block = fixture_open(f, "a", true);
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "a", 6 * MIB, NULL, &f->error), 0);
	CU_ASSERT_EQUAL(block->size, 6 * MIB);
	fixture_wait_in_sync(f, "a");
	fixture_fill(block, 7);
	block_unref(block);
	f->count = 2; /* what is new has parity, too */
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_TRUE(fixture_is_filled(f, "a", 7));
	f->count = 3;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "a", 2 * MIB, NULL, &f->error), 0);
	block = fixture_open(f, "a", true);
	CU_ASSERT_EQUAL(block->size, 2 * MIB);
	block_unref(block);
}

static void test_it_grows_while_it_is_open(void)
{
	fixture_run(it_grows_while_it_is_open, 3, 8 * MIB);
}

/* lvm2 lets parts keep their names where it has places change, as of raid0 that becomes raid10, and then cannot repair it: all are called by their
 * places after that. */
static void swap_names(struct volume_area *one, struct volume_area *other)
{
	char *name = one->lv->name;

	one->lv_name = one->lv->name = other->lv->name;
	other->lv_name = other->lv->name = name;
}

static void check_names(struct fixture *f)
{
	const struct volume_segment *segment = volume_group_get_lv(f->group, "a")->segments;
	char name[64];

	for (unsigned i = 0; i < segment->area_count; i++) {
		snprintf(name, sizeof(name), "a_rimage_%u", i);
		CU_ASSERT_STRING_EQUAL(segment->areas[i].lv->name, name);
		snprintf(name, sizeof(name), "a_rmeta_%u", i);
		CU_ASSERT_STRING_EQUAL(segment->metas[i].lv->name, name);
	}
}

static void parts_called_otherwise(struct fixture *f)
{
	struct volume_segment *segment;
	struct block *block;
	unsigned replaced;

	fixture_create(f, NULL);
	fixture_filled_raid(f, "a", "raid10", 4);
	segment = volume_group_get_lv(f->group, "a")->segments;
	swap_names(&segment->areas[2], &segment->areas[1]);
	swap_names(&segment->metas[2], &segment->metas[1]);
	block = fixture_open(f, "a", true);
	CU_ASSERT_EQUAL(volume_lv_replace(f->group, "a", &f->group->pvs[1], 1, NULL, &replaced,
					  &f->error),
			0);
	check_names(f);
	fixture_wait_in_sync(f, "a");
	CU_ASSERT_TRUE(fixture_filled(block, 7));
	block_unref(block);
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(f->group->lv_count, 9);
	check_names(f);
	CU_ASSERT_TRUE(fixture_is_filled(f, "a", 7));
}

static void test_parts_called_otherwise(void)
{
	fixture_run(parts_called_otherwise, 5, 8 * MIB);
}

/* ---- Cuts of power ---- */

/* Something is written and flushed; then the power of all goes at some request of what is done next. */
static bool write_with_cut(struct fixture *f, uint64_t after, uint64_t seed)
{
	uint8_t sector[4096];
	struct block *block;
	bool cut;

	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	block = fixture_open(f, "a", true);
	memset(sector, (int)seed, sizeof(sector));
	CU_ASSERT_EQUAL(block_write(block, MIB / 2, sector, sizeof(sector), 0), 0);
	CU_ASSERT_EQUAL(block_flush(block), 0);
	block_volatile_cut_after(f->disks[after % f->count], after / f->count, seed);
	block_write(block, MIB, sector, sizeof(sector), 0);
	block_flush(block);
	block_unref(block);
	cut = block_volatile_is_off(f->disks[after % f->count]);
	fixture_cut_power(f, f->count, seed);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	block = fixture_open(f, "a", true);
	memset(sector, 0, sizeof(sector));
	CU_ASSERT_EQUAL(block_read(block, MIB / 2, sector, sizeof(sector)), 0);
	CU_ASSERT_TRUE(sector[0] == (uint8_t)seed && sector[4095] == (uint8_t)seed);
	fixture_wait_in_sync(f, "a");
	block_unref(block);
	return cut;
}

static void what_was_flushed_survives(struct fixture *f)
{
	unsigned cuts = 0;

	fixture_create(f, NULL);
	fixture_filled_raid(f, "a", "raid5", 4);
	volume_scan_free(steal_pointer(&f->scan));
	fixture_make_volatile(f);
	for (uint64_t after = 0; after < 24; after++)
		cuts += write_with_cut(f, after, after + 1);
	CU_ASSERT(cuts > 8);
}

static void test_what_was_flushed_survives(void)
{
	fixture_run(what_was_flushed_survives, 3, 8 * MIB);
}

/* ---- Rates ---- */

static void put_rates(struct fixture *f, const char *text, const char *rates)
{
	char *more = fixture_replace(text, "\nregion_size = ", rates);

	for (unsigned i = 0; i < f->count; i++)
		fixture_put_text(f, i, more);
	free(more);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
}

static struct raid_speed speed_of(struct fixture *f, const char *text, const char *rates)
{
	struct raid_status status;
	struct raid_speed speed;
	struct block *block;

	put_rates(f, text, rates);
	block = fixture_open(f, "a", true);
	raid_status(volume_lv_array(volume_group_get_lv(f->group, "a")), &status);
	speed = status.speed;
	raid_status_free(&status);
	block_unref(block);
	return speed;
}

/* lvm2's --minrecoveryrate and --maxrecoveryrate, which count in KiB. */
static void rates_of_the_metadata_are_kept(struct fixture *f)
{
	struct raid_speed speed;
	char *text, *after;

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL_FATAL(fixture_raid(f, "a", "raid1", 4), 0);
	CU_ASSERT_EQUAL_FATAL(volume_pv_dump_metadata(f->disks[0], &text, NULL), 0);
	speed = speed_of(f, text, "\nregion_size = ");
	CU_ASSERT_EQUAL(speed.least, RAID_SPEED_LEAST);
	CU_ASSERT_EQUAL(speed.most, 0);
	speed = speed_of(f, text, "\nmax_recovery_rate = 128\nregion_size = ");
	CU_ASSERT_EQUAL(speed.least, 128 << 10);
	CU_ASSERT_EQUAL(speed.most, 128 << 10);
	speed = speed_of(f, text,
			 "\nmin_recovery_rate = 2048\nmax_recovery_rate = 8192\nregion_size = ");
	CU_ASSERT_EQUAL(speed.least, 2 * MIB);
	CU_ASSERT_EQUAL(speed.most, 8 * MIB);
	free(text);

	/* A change of the group leaves them there. */
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "a", "b", &f->error), 0);
	CU_ASSERT_EQUAL_FATAL(volume_pv_dump_metadata(f->disks[0], &after, NULL), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(after, "min_recovery_rate = 2048"));
	CU_ASSERT_PTR_NOT_NULL(strstr(after, "max_recovery_rate = 8192"));
	free(after);
}

static void test_rates_of_the_metadata_are_kept(void)
{
	fixture_run(rates_of_the_metadata_are_kept, 3, 16 * MIB);
}

/* One has failed under who uses it, and the PV of another is gone: with new images in the places of both nothing would be left of what they have. */
static void more_images_fail_than_it_can_do_without(struct fixture *f)
{
	struct block_fault_rule rule = { .requests = BLOCK_FAULT_WRITE,
					 .action = BLOCK_FAULT_ERROR,
					 .error = -EIO };
	struct block *block;
	unsigned replaced = 9;

	fixture_put_faults(f);
	fixture_create(f, NULL);
	fixture_filled_raid(f, "a", "raid5", 4);
	block = fixture_open(f, "a", true);
	block_fault_add(f->disks[0], &rule);
	fixture_fill(block, 9);
	block_fault_clear(f->disks[0]);
	f->group->pvs[1]->marked_missing = true;
	lvm_vg_judge_partial(f->group);
	CU_ASSERT_EQUAL(volume_lv_repair(f->group, "a", NULL, &replaced, &f->error), -EBUSY);
	CU_ASSERT_EQUAL(replaced, 0);
	f->group->pvs[1]->marked_missing = false;
	lvm_vg_judge_partial(f->group);
	CU_ASSERT_EQUAL(volume_lv_repair(f->group, "a", NULL, &replaced, &f->error), 0);
	CU_ASSERT_EQUAL(replaced, 1);
	CU_ASSERT_TRUE(fixture_filled(block, 9));
	block_unref(block);
}

static void test_more_images_fail_than_it_can_do_without(void)
{
	fixture_run(more_images_fail_than_it_can_do_without, 6, 16 * MIB);
}

/* ---- Names that change ---- */

/* All of its images are here and have their data: there is nothing to replace. */
static void check_nothing_is_lost(struct fixture *f, const char *name)
{
	unsigned replaced = 1;

	CU_ASSERT_EQUAL(volume_lv_repair(f->group, name, NULL, &replaced, &f->error), 0);
	CU_ASSERT_EQUAL(replaced, 0);
}

static void it_is_renamed_while_it_is_open(struct fixture *f)
{
	struct block *block;
	unsigned replaced;

	fixture_create(f, NULL);
	fixture_filled_raid(f, "a", "raid1", 4);
	block = fixture_open(f, "a", true);
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "a", "b", &f->error), 0);
	check_nothing_is_lost(f, "b");
	CU_ASSERT_TRUE(fixture_filled(block, 7));
	CU_ASSERT_EQUAL(volume_lv_replace(f->group, "b", &f->group->pvs[0], 1, NULL, &replaced,
					  &f->error),
			0);
	CU_ASSERT_EQUAL(replaced, 1);
	fixture_wait_in_sync(f, "b");
	block_unref(block);
	CU_ASSERT_TRUE(fixture_is_filled(f, "b", 7));
}

/* Those behind it are called by the places that they have then. */
static void an_image_leaves_while_it_is_open(struct fixture *f)
{
	struct volume_convert wish = { .mirrors = 2 };
	struct block *block;

	fixture_create(f, NULL);
	fixture_filled_raid(f, "a", "raid1", 4);
	block = fixture_open(f, "a", true);
	CU_ASSERT_EQUAL(volume_lv_convert(f->group, "a", &wish, &f->error), 0);
	fixture_wait_in_sync(f, "a");
	wish = (struct volume_convert){ .mirrors = 1, .pvs = &f->group->pvs[0], .pv_count = 1 };
	CU_ASSERT_EQUAL(volume_lv_convert(f->group, "a", &wish, &f->error), 0);
	check_nothing_is_lost(f, "a");
	CU_ASSERT_TRUE(fixture_filled(block, 7));
	block_unref(block);
	CU_ASSERT_TRUE(fixture_is_filled(f, "a", 7));
}

static void test_names_change_while_it_is_open(void)
{
	fixture_run(it_is_renamed_while_it_is_open, 4, 16 * MIB);
	fixture_run(an_image_leaves_while_it_is_open, 4, 16 * MIB);
}

UNIT_MAIN("volume raid", UNIT(test_what_cannot_be_is_refused), UNIT(test_part_is_rounded_down),
	  UNIT(test_who_reads_writes_nothing), UNIT(test_it_grows_while_it_is_open),
	  UNIT(test_parts_called_otherwise), UNIT(test_what_was_flushed_survives),
	  UNIT(test_rates_of_the_metadata_are_kept),
	  UNIT(test_more_images_fail_than_it_can_do_without),
	  UNIT(test_names_change_while_it_is_open))
