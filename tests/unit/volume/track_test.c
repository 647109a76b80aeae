/* SPDX-License-Identifier: BSD-2-Clause */
/* volume/: an image of a mirror is split off for a while and put back; what it missed it gets, wherever the power goes. Virtual time. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/volatile.h"
#include "raid/raid.h"
#include "util/bytes.h"
#include "volume/volume_raid.h"
#include "volume_fixture.h"

#define IMAGE "a_rimage_1"

static struct raid_array *array_of(struct fixture *f)
{
	struct raid_array *array = volume_lv_array(volume_group_get_lv(f->group, "a"));

	CU_ASSERT_PTR_NOT_NULL_FATAL(array);
	return array;
}

static void wait_in_sync(struct fixture *f)
{
	CU_ASSERT_EQUAL(raid_rebuild_wait(array_of(f), NULL, NULL, 1000000000, &f->error), 0);
}

/* A mirror that is filled with 7; it is open. */
static struct block *make(struct fixture *f)
{
	struct volume_lv_options options = { .type = "raid1", .extents = 2, .region_size = 65536 };
	struct block *block;

	fixture_create(f, &(struct volume_group_options){ .extent_size = MIB, .force = true });
	CU_ASSERT_EQUAL_FATAL(volume_lv_create(f->group, "a", &options, NULL, &f->error), 0);
	block = fixture_open(f, "a", true);
	wait_in_sync(f);
	fixture_fill(block, 7);
	CU_ASSERT_EQUAL(block_flush(block), 0);
	return block;
}

static int track(struct fixture *f)
{
	const char *name = NULL;
	int rc = volume_lv_track(f->group, "a", NULL, 0, &name, &f->error);

	if (!rc)
		CU_ASSERT_STRING_EQUAL(name, IMAGE);
	return rc;
}

static int merge(struct fixture *f)
{
	const char *name = NULL;

	return volume_lv_merge(f->group, IMAGE, &name, &f->error);
}

static uint64_t mismatches(struct fixture *f)
{
	struct raid_status status;
	uint64_t found;

	CU_ASSERT_EQUAL(raid_scrub_start(array_of(f), false, &f->error), 0);
	wait_in_sync(f);
	raid_status(array_of(f), &status);
	found = status.progress.mismatches;
	raid_status_free(&status);
	return found;
}

/* ---- What it is meanwhile ---- */

static void refuses(struct fixture *f)
{
	struct volume_convert more = { .mirrors = 2 };
	struct volume_settings settings = { 0 };
	struct block *block = NULL;
	unsigned replaced;

	CU_ASSERT_EQUAL(track(f), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "a_rimage_1 is split off"));
	CU_ASSERT_EQUAL(volume_lv_convert(f->group, "a", &more, &f->error), -EBUSY);
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "a", 3 * MIB, NULL, &f->error), -EBUSY);
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "a", "b", &f->error), -EBUSY);
	CU_ASSERT_EQUAL(volume_lv_repair(f->group, "a", NULL, &replaced, &f->error), -EBUSY);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, IMAGE, &f->error), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, IMAGE, "b", &f->error), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(volume_open_lv(f->group, IMAGE, true, &block, &f->error), -EROFS);
	settings.writable = &(bool){ true };
	CU_ASSERT_EQUAL(volume_lv_set(f->group, IMAGE, &settings, &f->error), -EOPNOTSUPP);
}

static void it_is_how_it_was(struct fixture *f)
{
	struct block *block = make(f), *image;

	CU_ASSERT_EQUAL(merge(f), -EINVAL);
	CU_ASSERT_EQUAL_FATAL(track(f), 0);
	fixture_fill(block, 8);
	CU_ASSERT_TRUE(fixture_is_filled(f, IMAGE, 7));
	refuses(f);
	/* The same after it was stopped and started. */
	block_unref(block);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(volume_group_validate(f->group, &f->error), 0);
	CU_ASSERT_TRUE(fixture_is_filled(f, IMAGE, 7));
	CU_ASSERT_TRUE(fixture_is_filled(f, "a", 8));
	image = fixture_open(f, IMAGE, false);
	CU_ASSERT_EQUAL(merge(f), -EBUSY);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "a", &f->error), -EBUSY);
	block_unref(image);
	block = fixture_open(f, "a", true);
	CU_ASSERT_EQUAL_FATAL(merge(f), 0);
	wait_in_sync(f);
	CU_ASSERT_EQUAL(mismatches(f), 0);
	CU_ASSERT_TRUE(fixture_filled(block, 8));
	block_unref(block);
	CU_ASSERT_EQUAL(volume_open_lv(f->group, IMAGE, false, &block, &f->error), -EOPNOTSUPP);
	/* It alone has all data. */
	block = f->disks[0];
	f->disks[0] = f->disks[1];
	f->disks[1] = block;
	f->count--;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_TRUE(fixture_is_filled(f, "a", 8));
	f->count++;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "a", &f->error), 0);
	CU_ASSERT_EQUAL(f->group->lv_count, 0);
}

static void test_it_is_how_it_was(void)
{
	fixture_run(it_is_how_it_was, 2, 8 * MIB);
}

/* Whoever makes no use of it meanwhile finds it whole; removed with the volume it is, too. */
static void it_goes_with_the_volume(struct fixture *f)
{
	block_unref(make(f));
	CU_ASSERT_EQUAL_FATAL(track(f), 0);
	CU_ASSERT_EQUAL_FATAL(merge(f), 0);
	CU_ASSERT_TRUE(fixture_is_filled(f, "a", 7));
	CU_ASSERT_EQUAL_FATAL(track(f), 0);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "a", &f->error), 0);
	CU_ASSERT_EQUAL(f->group->lv_count, 0);
}

static void test_it_goes_with_the_volume(void)
{
	fixture_run(it_goes_with_the_volume, 2, 8 * MIB);
}

/* ---- The power goes ---- */

static void power(struct fixture *f, uint64_t seed)
{
	volume_scan_free(steal_pointer(&f->scan));
	fixture_cut_power(f, f->count, seed);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(volume_group_validate(f->group, &f->error), 0);
}

/* In the middle of one of both, or of what is written between them; in the end all is one again. */
static bool with_cut(struct fixture *f, uint64_t after)
{
	struct block *disk = f->disks[after % 2], *block = make(f);
	static const char later[4096] = "later";
	bool cut, flushed;

	block_volatile_cut_after(disk, after / 2, after + 1);
	track(f);
	for (uint64_t at = 0; at < 2 * MIB; at += MIB / 4)
		block_write(block, at, later, sizeof(later), 0);
	flushed = !block_flush(block);
	if (volume_group_get_lv(f->group, IMAGE)->visible)
		merge(f);
	cut = block_volatile_is_off(disk);
	block_unref(block);
	power(f, after + 1);
	if (volume_group_get_lv(f->group, IMAGE)->visible) {
		CU_ASSERT_TRUE(fixture_is_filled(f, IMAGE, 7));
		CU_ASSERT_EQUAL_FATAL(merge(f), 0);
	}
	block = fixture_open(f, "a", true);
	wait_in_sync(f);
	CU_ASSERT_EQUAL(mismatches(f), 0);
	for (uint64_t at = 0; flushed && at < 2 * MIB; at += MIB / 4) {
		char found[sizeof(later)];

		CU_ASSERT_EQUAL(block_read(block, at, found, sizeof(found)), 0);
		CU_ASSERT_EQUAL(memcmp(found, later, sizeof(later)), 0);
	}
	block_unref(block);
	volume_scan_free(steal_pointer(&f->scan));
	return cut;
}

static void at_each_request(struct fixture *f)
{
	unsigned whole = 0, cuts = 0;

	fixture_make_volatile(f);
	for (uint64_t after = 0; whole < 2; after++) {
		bool cut = with_cut(f, after);

		cuts += cut;
		whole = cut ? 0 : whole + 1;
	}
	CU_ASSERT(cuts > 20);
}

static void test_at_each_request(void)
{
	fixture_run(at_each_request, 2, 5 * MIB);
}

/* ---- What lvm2 said of it ---- */

static const char WORD[] = "\"WRITEMOSTLY\"";

/* Whether its image has it, of all. */
static bool has_word(struct fixture *f)
{
	char *text = NULL, *at, *end;
	bool has;

	CU_ASSERT_EQUAL_FATAL(volume_pv_dump_metadata(f->disks[0], &text, NULL), 0);
	at = strstr(text, IMAGE " {");
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	end = strchr(at, ']');
	*end = '\0';
	has = strstr(at, WORD) && !strstr(end + 1, WORD);
	free(text);
	return has;
}

static void write_mostly(struct fixture *f)
{
	char *text = NULL, *more = NULL, *at;

	block_unref(make(f));
	CU_ASSERT_EQUAL_FATAL(volume_pv_dump_metadata(f->disks[0], &text, NULL), 0);
	at = strchr(strstr(text, IMAGE " {"), ']');
	CU_ASSERT_FATAL(asprintf(&more, "%.*s, %s%s", (int)(at - text), text, WORD, at) > 0);
	for (unsigned i = 0; i < f->count; i++)
		fixture_put_text(f, i, more);
	free(text);
	free(more);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_TRUE(has_word(f));
	CU_ASSERT_EQUAL_FATAL(track(f), 0);
	CU_ASSERT_TRUE(has_word(f));
	CU_ASSERT_EQUAL_FATAL(merge(f), 0);
	CU_ASSERT_TRUE(has_word(f));
}

static void test_write_mostly(void)
{
	fixture_run(write_mostly, 2, 16 * MIB);
}

/* ---- Its PV is lost while it is off ---- */

static void lost(struct fixture *f)
{
	struct block *gone, *block = NULL;
	unsigned replaced = 0;

	block_unref(make(f));
	CU_ASSERT_EQUAL_FATAL(track(f), 0);
	volume_scan_free(steal_pointer(&f->scan));
	gone = f->disks[1];
	f->disks[1] = f->disks[2];
	f->disks[2] = gone;
	f->count--;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_TRUE(fixture_is_filled(f, "a", 7));
	CU_ASSERT_EQUAL(volume_lv_repair(f->group, "a", NULL, &replaced, &f->error), 0);
	CU_ASSERT_EQUAL(replaced, 1);
	block = fixture_open(f, "a", true);
	wait_in_sync(f);
	CU_ASSERT_EQUAL(mismatches(f), 0);
	CU_ASSERT_TRUE(fixture_filled(block, 7));
	block_unref(block);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(volume_group_validate(f->group, &f->error), 0);
	CU_ASSERT_EQUAL(volume_open_lv(f->group, IMAGE, false, &block, &f->error), -EOPNOTSUPP);
	f->count++;
}

static void test_lost(void)
{
	fixture_run(lost, 3, 16 * MIB);
}

/* Of one image nothing is split off: nothing would be left. */
static void one_image(struct fixture *f)
{
	struct block *block = make(f);
	struct volume_segment *segment = volume_group_get_lv(f->group, "a")->segments;
	const char *name = NULL;

	block_unref(block);
	segment->area_count = 1;
	CU_ASSERT_EQUAL(volume_lv_track(f->group, "a", NULL, 0, &name, &f->error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "has one image"));
	CU_ASSERT_PTR_NULL(name);
	segment->area_count = 2;
}

static void test_one_image(void)
{
	fixture_run(one_image, 2, 8 * MIB);
}

UNIT_MAIN("volume track", UNIT(test_one_image), UNIT(test_lost), UNIT(test_write_mostly),
	  UNIT(test_it_is_how_it_was), UNIT(test_it_goes_with_the_volume),
	  UNIT(test_at_each_request))
