/* SPDX-License-Identifier: BSD-2-Clause */
/* volume/: texts of groups with RAID volumes are put back where their superblocks fit, and refused where not. Virtual time. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/fault.h"
#include "raid/raid.h"
#include "volume/volume_move.h"
#include "volume/volume_raid.h"
#include "volume_fixture.h"

/* Opened, and all that it has to do is done. */
static struct block *open_settled(struct fixture *f)
{
	struct block *block = NULL;

	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "a", true, &block, &f->error), 0);
	CU_ASSERT_EQUAL(raid_rebuild_wait(volume_lv_array(volume_group_get_lv(f->group, "a")), NULL,
					  NULL, 1000000000, &f->error),
			0);
	return block;
}

static void make(struct fixture *f, struct volume_lv_options options)
{
	struct block *block;

	fixture_create(f, NULL);
	options.extents = 6;
	CU_ASSERT_EQUAL_FATAL(volume_lv_create(f->group, "a", &options, NULL, &f->error), 0);
	block = open_settled(f);
	fixture_fill(block, 7);
	block_unref(block);
}

static char *text_of(struct fixture *f)
{
	char *text = NULL;

	CU_ASSERT_EQUAL_FATAL(volume_group_text(f->group, &text, &f->error), 0);
	return text;
}

static void convert(struct fixture *f, struct volume_convert wish)
{
	CU_ASSERT_EQUAL(volume_lv_convert(f->group, "a", &wish, &f->error), 0);
	if (volume_lv_is_raid(volume_group_get_lv(f->group, "a")))
		block_unref(open_settled(f));
}

static int restore(struct fixture *f, const char *text, bool force)
{
	struct volume_group *group = NULL;
	int rc;

	memset(&f->error, 0, sizeof(f->error));
	rc = volume_group_restore(&group, text, strlen(text), "text", f->disks, f->count, force,
				  &f->context, &f->error);
	if (!rc)
		volume_group_unref(group);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	return rc;
}

static void expect_refused(struct fixture *f, char *text, const char *why)
{
	uint32_t seqno = f->group->seqno;

	CU_ASSERT_EQUAL(restore(f, text, false), -EOPNOTSUPP);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, why));
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.advice, "--force"));
	CU_ASSERT_EQUAL(f->group->seqno, seqno);
	free(text);
}

static bool is_filled(struct fixture *f)
{
	struct block *block = NULL;
	bool filled;

	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "a", false, &block, &f->error), 0);
	filled = fixture_filled(block, 7);
	block_unref(block);
	return filled;
}

/* Room that was before the data, and is none any more: the text would have them begin where the room was. */
static void after_a_reshape(struct fixture *f)
{
	const struct volume_convert more = { .stripes = 3 };
	char *before, *with_room;

	make(f, (struct volume_lv_options){ .type = "raid5", .stripes = 2 });
	before = text_of(f);
	convert(f, more);
	with_room = text_of(f);
	CU_ASSERT_EQUAL(restore(f, with_room, false), 0); /* it is so */
	convert(f, more);
	expect_refused(f, strdup(with_room), "keeps room of 0 extents");
	expect_refused(f, before, "has 4 images by now");
	/* By superblocks alone: the volume is gone, and its text may be of either time. */
	before = text_of(f);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "a", &f->error), 0);
	expect_refused(f, strdup(with_room), "nothing says whether that is before its data");
	CU_ASSERT_EQUAL(restore(f, before, false), 0);
	CU_ASSERT_EQUAL(volume_group_get_lv(f->group, "a")->segments->area_count, 4);
	CU_ASSERT_EQUAL(restore(f, with_room, true), 0);
	free(before);
	free(with_room);
}

static void after_another_stripe_size(struct fixture *f)
{
	const struct volume_convert wish = { .stripe_size = 128 << 10 };
	char *before;

	make(f, (struct volume_lv_options){ .type = "raid5", .stripes = 2 });
	before = text_of(f);
	convert(f, wish);
	convert(f, wish);
	expect_refused(f, strdup(before), "has stripes of 131072 bytes");
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "a", &f->error), 0);
	expect_refused(f, before, "its superblock has stripe sectors 256, expected 128");
}

/* An image that left, and what was written since: it would be taken for current. */
static void after_an_image_left(struct fixture *f)
{
	struct volume_pv *from;
	unsigned replaced;
	char *before;

	make(f, (struct volume_lv_options){ .type = "raid1", .mirrors = 2 });
	before = text_of(f);
	convert(f, (struct volume_convert){ .mirrors = 1 });
	expect_refused(f, before, "has 2 images by now");
	before = text_of(f);
	from = f->group->pvs[0];
	CU_ASSERT_EQUAL(volume_lv_replace(f->group, "a", &from, 1, NULL, &replaced, &f->error), 0);
	expect_refused(f, before, "has other images by now");
	block_unref(open_settled(f));
	before = text_of(f);
	convert(f, (struct volume_convert){ .type = "linear" });
	expect_refused(f, before, "is linear by now");
}

static void move(struct fixture *f, unsigned from, unsigned to)
{
	const struct volume_move_options options = { .from = f->group->pvs[from],
						     .to = &f->group->pvs[to],
						     .to_count = 1 };
	uint32_t extents;

	CU_ASSERT_EQUAL_FATAL(volume_move_begin(f->group, &options, &extents, &f->error), 0);
	CU_ASSERT_EQUAL_FATAL(volume_move_start(f->group, NULL, &f->error), 0);
	CU_ASSERT_EQUAL(volume_move_wait(f->group, NULL, NULL, 1000000, &f->error), 0);
	volume_move_stop(f->group);
}

/* The old place has what was there before, or another volume by now. */
static void after_a_move(struct fixture *f)
{
	char *before;

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL_FATAL(fixture_lv(f, "a", 6), 0);
	before = text_of(f);
	/* Only its end: what it has of it now lies where it did. */
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "a", 8 * MIB, NULL, &f->error), 0);
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "a", "b", &f->error), 0);
	CU_ASSERT_EQUAL(restore(f, before, false), 0);
	move(f, 0, 1);
	expect_refused(f, strdup(before), "a linear in it, lies elsewhere by now");
	CU_ASSERT_EQUAL(restore(f, before, true), 0);
	free(before);
}

static void after_a_move_of_stripes(struct fixture *f)
{
	const struct volume_lv_options striped = { .extents = 6, .stripes = 2 };
	char *before;

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL_FATAL(volume_lv_create(f->group, "a", &striped, NULL, &f->error), 0);
	before = text_of(f);
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "a", 10 * MIB, NULL, &f->error), 0);
	CU_ASSERT_EQUAL(restore(f, before, false), 0);
	move(f, 1, 2);
	expect_refused(f, before, "a striped in it, lies elsewhere by now");
}

/* The images of a raid0 are looked at as those of other levels, though nothing but the group tells of them. */
static void after_a_takeover_of_raid0(struct fixture *f)
{
	char *before;

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL_FATAL(volume_lv_create(f->group, "a",
					       &(struct volume_lv_options){ .type = "raid0",
									    .extents = 6,
									    .stripes = 2 },
					       NULL, &f->error),
			      0);
	before = text_of(f);
	CU_ASSERT_EQUAL(restore(f, before, false), 0);
	move(f, 1, 2);
	expect_refused(f, before, "has images elsewhere by now");
	before = text_of(f);
	convert(f, (struct volume_convert){ .type = "raid5_n" });
	expect_refused(f, before, "is raid5_n by now");
}

/* Nobody can say whether superblocks fit that cannot be read; images that are lost for good are another matter. */
static void superblocks_that_cannot_be_read(struct fixture *f)
{
	uint64_t start;
	char *text;

	fixture_put_faults(f);
	make(f, (struct volume_lv_options){ .type = "raid1", .mirrors = 1 });
	text = text_of(f);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "a", &f->error), 0);
	start = f->group->pvs[0]->pe_start;
	for (unsigned i = 0; i < f->count; i++)
		block_fault_add(f->disks[i],
				&(struct block_fault_rule){ .requests = BLOCK_FAULT_READ,
							    .offset = start,
							    .length = 10 * MIB,
							    .error = -EIO });
	CU_ASSERT_EQUAL(restore(f, text, false), -EIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "whether volume a fits is not known"));
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "superblock cannot be read"));
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.advice, "--force"));
	CU_ASSERT_PTR_NULL(volume_group_get_lv(f->group, "a"));
	CU_ASSERT_EQUAL(restore(f, text, true), 0);
	free(text);
	for (unsigned i = 0; i < f->count; i++)
		block_fault_clear(f->disks[i]);
	CU_ASSERT_TRUE(is_filled(f));
}

/* A volume that was linear is a mirror: its text fits as long as the image that lies where it was has all data. */
static void after_it_became_a_mirror(struct fixture *f)
{
	struct block *block, *first;
	char *before;

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL_FATAL(fixture_lv(f, "a", 6), 0);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "a", true, &block, &f->error), 0);
	fixture_fill(block, 7);
	block_unref(block);
	before = text_of(f);
	CU_ASSERT_EQUAL(volume_lv_convert(f->group, "a", &(struct volume_convert){ .mirrors = 1 },
					  &f->error),
			0);
	CU_ASSERT_EQUAL(restore(f, before, false), 0);
	CU_ASSERT_STRING_EQUAL(volume_lv_type(volume_group_get_lv(f->group, "a")), "linear");
	CU_ASSERT_EQUAL(f->group->lv_count, 1);
	CU_ASSERT_TRUE(is_filled(f));
	convert(f, (struct volume_convert){ .mirrors = 1 });
	CU_ASSERT_EQUAL(restore(f, before, false), 0);
	CU_ASSERT_TRUE(is_filled(f));
	/* what it has by then is what is read */
	convert(f, (struct volume_convert){ .mirrors = 1 });
	block = open_settled(f);
	fixture_fill(block, 9);
	block_unref(block);
	/* the disk of that image is away, and misses what is written then */
	first = f->disks[0];
	f->disks[0] = f->disks[--f->count];
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "a", true, &block, &f->error), 0);
	fixture_fill(block, 7);
	block_unref(block);
	f->disks[f->count++] = f->disks[0];
	f->disks[0] = first;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	expect_refused(f, strdup(before), "a_rimage_0, which lies there, cannot stand for it");
	block_unref(open_settled(f));
	CU_ASSERT_EQUAL(restore(f, before, false), 0);
	CU_ASSERT_TRUE(is_filled(f));
	free(before);
}

/* What superblocks and data do not care for. */
static void what_fits_is_restored(struct fixture *f)
{
	char *before;
	struct block *block;

	make(f, (struct volume_lv_options){ .type = "raid5", .stripes = 2 });
	before = text_of(f);
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "a", "b", &f->error), 0);
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "b", 10 * MIB, NULL, &f->error), 0);
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "b", true, &block, &f->error), 0);
	block_unref(block);
	CU_ASSERT_EQUAL(restore(f, before, false), 0);
	CU_ASSERT_TRUE(is_filled(f));
	block_unref(open_settled(f));
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "a", &f->error), 0);
	CU_ASSERT_EQUAL(restore(f, before, false), 0);
	CU_ASSERT_TRUE(is_filled(f));
	free(before);
}

static void test_what_does_not_fit_is_refused(void)
{
	fixture_run(after_a_reshape, 4, 24 * MIB);
	fixture_run(after_another_stripe_size, 4, 24 * MIB);
	fixture_run(after_an_image_left, 4, 24 * MIB);
}

static void test_what_moved_is_refused(void)
{
	fixture_run(after_a_move, 4, 24 * MIB);
	fixture_run(after_a_move_of_stripes, 4, 24 * MIB);
	fixture_run(after_a_takeover_of_raid0, 4, 24 * MIB);
}

static void test_what_cannot_be_read_is_refused(void)
{
	fixture_run(superblocks_that_cannot_be_read, 4, 24 * MIB);
}

static void test_what_fits_is_restored(void)
{
	fixture_run(after_it_became_a_mirror, 3, 16 * MIB);
	fixture_run(what_fits_is_restored, 4, 24 * MIB);
}

UNIT_MAIN("volume restore", UNIT(test_what_does_not_fit_is_refused),
	  UNIT(test_what_moved_is_refused), UNIT(test_what_cannot_be_read_is_refused),
	  UNIT(test_what_fits_is_restored))
