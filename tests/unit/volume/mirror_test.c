/* SPDX-License-Identifier: BSD-2-Clause */
/* volume/: lvm2's older mirrors: what their log says, reading with legs lost or unreadable, changes, and what they become. Virtual time. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/fault.h"
#include "block/volatile.h"
#include "raid/raid.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "volume/mirror.h"
#include "volume/volume_raid.h"
#include "volume_fixture.h"

#define EXTENTS 4
#define REGION  (512u << 10)
#define REGIONS (EXTENTS * MIB / REGION)

/* A log as lvm2 makes one, or dm-mirror leaves it. */
static void put_log(struct block *block, uint64_t regions, uint8_t bits)
{
	uint8_t log[4096] = "rRiM\2";

	put_le64(log + 8, regions);
	log[LVM_MIRROR_LOG_BITS] = bits;
	CU_ASSERT_EQUAL_FATAL(block_write(block, 0, log, sizeof(log), 0), 0);
}

/* On three disks: two legs and the log, named as parts of "m", which is a mirror of them. */
static void make_mirror(struct fixture *f, uint64_t regions, uint8_t bits)
{
	static const struct {
		const char *from, *to;
	} steps[] = {
		{ "\na {", "\nm_mimage_0 {" },
		{ "\nb {", "\nm_mimage_1 {" },
		{ "\nc {", "\nm_mlog {" },
		{ "[\"READ\", \"WRITE\", \"VISIBLE\"]", "[\"READ\", \"WRITE\"]" },
		{ "}\n\n}\n# Generated",
		  "m {\nid = \"bbbbbb-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa\"\n"
		  "status = [\"READ\", \"WRITE\", \"VISIBLE\"]\nflags = []\nsegment_count = 1\n\n"
		  "segment1 {\nstart_extent = 0\nextent_count = 4\n\ntype = \"mirror\"\n"
		  "mirror_count = 2\nmirror_log = \"m_mlog\"\nregion_size = 1024\nmirrors = [\n"
		  "\"m_mimage_0\", 0,\n\"m_mimage_1\", 0\n]\n}\n}\n}\n\n}\n# Generated" },
	};
	static const char *const names[] = { "a", "b", "c" };
	struct block *block;
	char *text;

	fixture_create(f, NULL);
	for (unsigned i = 0; i < 3; i++) {
		struct volume_pv *pv = f->group->pvs[i];
		struct volume_lv_options options = { .extents = i < 2 ? EXTENTS : 1,
						     .pvs = &pv,
						     .pv_count = 1 };

		CU_ASSERT_EQUAL_FATAL(
			volume_lv_create(f->group, names[i], &options, NULL, &f->error), 0);
		block = fixture_open(f, names[i], true);
		if (i < 2)
			fixture_fill(block, 7);
		else
			put_log(block, regions, bits);
		block_unref(block);
	}
	CU_ASSERT_EQUAL_FATAL(volume_group_text(f->group, &text, NULL), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
		char *next = fixture_replace(text, steps[i].from, steps[i].to);

		free(text);
		text = next;
	}
	for (unsigned i = 0; i < 3; i++)
		fixture_put_text(f, i, text);
	free(text);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
}

/* What a region of the second leg holds is of no account. */
static void spoil(struct fixture *f, unsigned region)
{
	const struct volume_area *area =
		volume_group_get_lv(f->group, "m_mimage_1")->segments->areas;
	uint8_t bytes[4096] = { 1 };

	CU_ASSERT_EQUAL_FATAL(
		block_write(area->pv->block,
			    area->pv->pe_start + area->extent * MIB + region * REGION + 8192, bytes,
			    sizeof(bytes), 0),
		0);
}

/* Without one of the disks from now on. */
static int lose(struct fixture *f, unsigned disk)
{
	struct block *last = f->disks[f->count - 1];

	f->disks[f->count - 1] = f->disks[disk];
	f->disks[disk] = last;
	f->count--;
	return fixture_scan(f);
}

static void find_again(struct fixture *f)
{
	f->count = 3;
}

/* ---- The log ---- */

static void test_logs_are_read_as_dm_log_does(void)
{
	uint8_t log[LVM_MIRROR_LOG_BITS] = "rRiM\2";
	struct error error = { 0 };
	uint64_t valid = 1;

	put_le64(log + 8, UINT64_MAX);
	CU_ASSERT_EQUAL(lvm_mirror_log_decode(log, "x", 9, &valid, &error), 0);
	CU_ASSERT_EQUAL(valid, 9);
	put_le64(log + 8, 5);
	CU_ASSERT_EQUAL(lvm_mirror_log_decode(log, "x", 9, &valid, &error), 0);
	CU_ASSERT_EQUAL(valid, 5);
	log[4] = 1;
	CU_ASSERT_EQUAL(lvm_mirror_log_decode(log, "x", 9, &valid, &error), 0);
	CU_ASSERT_EQUAL(valid, 5);
	log[4] = 3;
	CU_ASSERT_EQUAL(lvm_mirror_log_decode(log, "x", 9, &valid, &error), -EBADMSG);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "version 3, expected 2"));
	log[0] = 0;
	CU_ASSERT_EQUAL(lvm_mirror_log_decode(log, "x", 9, &valid, &error), 0);
	CU_ASSERT_EQUAL(valid, 0);
}

/* ---- Reading ---- */

/* Nobody is sent to a command that sends him back. */
static void what_is_lost_is_for_lvm2(struct fixture *f)
{
	struct volume_lv_options options = { 0 };
	unsigned replaced;

	CU_ASSERT_EQUAL(volume_group_remove_missing(f->group, false, &f->error), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.advice, "lvconvert --repair vg0/m"));
	CU_ASSERT_EQUAL(volume_lv_repair(f->group, "m", &options, &replaced, &f->error),
			-EOPNOTSUPP);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "vg0/m: its type is mirror"));
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.advice, "lvconvert --repair vg0/m"));
}

static void the_first_leg_has_all(struct fixture *f)
{
	struct block *block;

	make_mirror(f, REGIONS, 0xfb);
	spoil(f, 2);
	CU_ASSERT_TRUE(fixture_is_filled(f, "m", 7));
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "m", true, &block, &f->error), -EROFS);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "vg0/m: opens for reading only"));
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.advice, "--type raid1"));
	/* Without the second leg, and without the log. */
	CU_ASSERT_EQUAL_FATAL(lose(f, 1), 0);
	CU_ASSERT_TRUE(volume_lv_degraded(volume_group_get_lv(f->group, "m")));
	CU_ASSERT_TRUE(fixture_is_filled(f, "m", 7));
	what_is_lost_is_for_lvm2(f);
	CU_ASSERT_EQUAL_FATAL(lose(f, 1), 0);
	CU_ASSERT_TRUE(fixture_is_filled(f, "m", 7));
	find_again(f);
}

static void test_the_first_leg_has_all(void)
{
	fixture_run(the_first_leg_has_all, 3, 16 * MIB);
}

static void another_leg_has_what_agrees(struct fixture *f)
{
	make_mirror(f, UINT64_MAX, 0xff);
	CU_ASSERT_EQUAL_FATAL(lose(f, 0), 0);
	CU_ASSERT_TRUE(fixture_is_filled(f, "m", 7));
	/* Nor the log, which would have to say so. */
	CU_ASSERT_EQUAL_FATAL(lose(f, 0), 0);
	CU_ASSERT_FALSE(volume_lv_degraded(volume_group_get_lv(f->group, "m")));
	find_again(f);
}

static void test_another_leg_has_what_agrees(void)
{
	fixture_run(another_leg_has_what_agrees, 3, 16 * MIB);
}

static void refuse_without_first(struct fixture *f, uint64_t regions, uint8_t bits)
{
	struct block *block;

	make_mirror(f, regions, bits);
	CU_ASSERT_EQUAL_FATAL(lose(f, 0), 0);
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "m", false, &block, &f->error), -ENXIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "says of 7 of 8 regions"));
	find_again(f);
}

static void what_agrees_not_is_not_guessed(struct fixture *f)
{
	refuse_without_first(f, REGIONS, 0xef);
}

/* What it grew by since. */
static void nor_is_what_the_log_does_not_know(struct fixture *f)
{
	refuse_without_first(f, REGIONS - 1, 0xff);
}

static void test_what_agrees_not_is_not_guessed(void)
{
	fixture_run(what_agrees_not_is_not_guessed, 3, 16 * MIB);
	fixture_run(nor_is_what_the_log_does_not_know, 3, 16 * MIB);
}

/* 512 bytes of a disk cannot be read from now on; heal() ends that. */
static struct block *hurt(struct fixture *f, unsigned disk, uint64_t at)
{
	struct block *below = f->disks[disk];

	CU_ASSERT_EQUAL_FATAL(block_create_fault(&f->disks[disk], below->name, below, 1, NULL), 0);
	block_fault_add(f->disks[disk], &(struct block_fault_rule){ .requests = BLOCK_FAULT_READ,
								    .offset = at,
								    .length = 512,
								    .action = BLOCK_FAULT_ERROR,
								    .error = -EIO });
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	return below;
}

static void heal(struct fixture *f, unsigned disk, struct block *below)
{
	volume_scan_free(steal_pointer(&f->scan));
	block_unref(f->disks[disk]);
	f->disks[disk] = below;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
}

static uint64_t place_of(struct fixture *f, const char *name)
{
	const struct volume_area *area = volume_group_get_lv(f->group, name)->segments->areas;

	return area->pv->pe_start + area->extent * MIB;
}

static void read_with_bad_sector(struct fixture *f, unsigned region, int expected)
{
	struct block *below = hurt(f, 0, place_of(f, "m_mimage_0") + (uint64_t)region * REGION);
	CLEANUP_FREE char *data = malloc(EXTENTS * MIB);
	struct block *block = fixture_open(f, "m", false);

	CU_ASSERT_EQUAL(block_read(block, 0, data, EXTENTS * MIB), expected);
	CU_ASSERT_EQUAL(fixture_filled(block, 7), !expected);
	block_unref(block);
	heal(f, 0, below);
}

static void what_cannot_be_read_another_leg_has(struct fixture *f)
{
	make_mirror(f, REGIONS, 0xfb);
	spoil(f, 2);
	read_with_bad_sector(f, 3, 0);
	read_with_bad_sector(f, 2, -EIO);
}

static void test_what_cannot_be_read_another_leg_has(void)
{
	fixture_run(what_cannot_be_read_another_leg_has, 3, 16 * MIB);
}

/* As dm-log takes it: no region agrees. */
static void a_log_that_cannot_be_read_says_nothing(struct fixture *f)
{
	struct block *block = NULL, *below;

	make_mirror(f, REGIONS, 0xff);
	below = hurt(f, 2, place_of(f, "m_mlog") + LVM_MIRROR_LOG_BITS);
	CU_ASSERT_TRUE(fixture_is_filled(f, "m", 7));
	/* The last disk takes the place of the one that is lost. */
	CU_ASSERT_EQUAL_FATAL(lose(f, 0), 0);
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "m", false, &block, &f->error), -ENXIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "says of 0 of 8 regions"));
	find_again(f);
	heal(f, 0, below);
}

static void test_a_log_that_cannot_be_read_says_nothing(void)
{
	fixture_run(a_log_that_cannot_be_read_says_nothing, 3, 16 * MIB);
}

/* ---- Changes ---- */

static void its_parts_go_with_it(struct fixture *f)
{
	char *text;

	make_mirror(f, REGIONS, 0xff);
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "m", 5 * MIB, NULL, &f->error), -EOPNOTSUPP);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.advice, "--type raid1"));
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "m_mlog", &f->error), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "m", "n", &f->error), 0);
	CU_ASSERT_EQUAL_FATAL(volume_group_text(f->group, &text, NULL), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text,
				      "type = \"mirror\"\nmirror_count = 2\n"
				      "mirror_log = \"n_mlog\"\nregion_size = 1024\n\n"
				      "mirrors = [\n\"n_mimage_0\", 0,\n\"n_mimage_1\", 0\n]"));
	CU_ASSERT_PTR_NULL(strstr(text, "m_m"));
	free(text);
	CU_ASSERT_TRUE(fixture_is_filled(f, "n", 7));
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "n", &f->error), 0);
	CU_ASSERT_EQUAL(f->group->lv_count, 0);
	CU_ASSERT_EQUAL(f->group->free_extents, f->group->extent_count);
}

static void test_its_parts_go_with_it(void)
{
	fixture_run(its_parts_go_with_it, 3, 16 * MIB);
}

/* ---- What it becomes ---- */

static int convert(struct fixture *f, const char *type, unsigned mirrors)
{
	struct volume_convert wish = { .type = type, .mirrors = mirrors };

	memset(&f->error, 0, sizeof(f->error));
	return volume_lv_convert(f->group, "m", &wish, &f->error);
}

static void becomes_raid1(struct fixture *f, uint8_t bits)
{
	struct raid_status status;
	struct block *block, *reader;

	make_mirror(f, REGIONS, bits);
	if (bits != 0xff)
		spoil(f, 2);
	reader = fixture_open(f, "m", false);
	CU_ASSERT_EQUAL_FATAL(convert(f, "raid1", 0), 0);
	CU_ASSERT_TRUE(fixture_filled(reader, 7));
	block_unref(reader);
	CU_ASSERT_EQUAL(f->group->lv_count, 5);
	CU_ASSERT_PTR_NULL(volume_group_get_lv(f->group, "m_mlog"));
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_TRUE(fixture_is_filled(f, "m", 7));
	block = fixture_open(f, "m", true);
	raid_status(volume_lv_array(volume_group_get_lv(f->group, "m")), &status);
	CU_ASSERT_EQUAL(status.members[1].state == RAID_MEMBER_IN_SYNC, bits == 0xff);
	raid_status_free(&status);
	CU_ASSERT_EQUAL(raid_rebuild_wait(volume_lv_array(volume_group_get_lv(f->group, "m")), NULL,
					  NULL, 1000000000, &f->error),
			0);
	block_unref(block);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL_FATAL(lose(f, i), 0);
		CU_ASSERT_TRUE(fixture_is_filled(f, "m", 7));
		find_again(f);
		CU_ASSERT_EQUAL_FATAL(lose(f, i), 0);
		find_again(f);
		CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	}
}

static void one_that_agrees_becomes_raid1(struct fixture *f)
{
	becomes_raid1(f, 0xff);
}

static void one_that_does_not_is_filled(struct fixture *f)
{
	becomes_raid1(f, 0xfb);
}

static void test_it_becomes_raid1(void)
{
	fixture_run(one_that_agrees_becomes_raid1, 3, 16 * MIB);
	fixture_run(one_that_does_not_is_filled, 3, 16 * MIB);
}

/* Beside the legs that stay: two on one disk are lost together. */
static void a_new_image_is_on_a_disk_of_its_own(struct fixture *f)
{
	const struct volume_segment *segment;

	make_mirror(f, REGIONS, 0xff);
	CU_ASSERT_EQUAL_FATAL(convert(f, "raid1", 2), 0);
	segment = volume_group_get_lv(f->group, "m")->segments;
	CU_ASSERT_EQUAL_FATAL(segment->area_count, 3);
	for (unsigned i = 0; i < 3; i++)
		for (unsigned k = 0; k < i; k++)
			CU_ASSERT_PTR_NOT_EQUAL(segment->areas[i].lv->segments->areas->pv,
						segment->areas[k].lv->segments->areas->pv);
	CU_ASSERT_TRUE(fixture_is_filled(f, "m", 7));
}

static void test_a_new_image_is_on_a_disk_of_its_own(void)
{
	fixture_run(a_new_image_is_on_a_disk_of_its_own, 3, 16 * MIB);
}

static void it_becomes_linear(struct fixture *f)
{
	struct volume_pv *first;
	struct volume_convert wish = { .type = "linear", .pvs = &first, .pv_count = 1 };

	make_mirror(f, REGIONS, 0xfb);
	spoil(f, 2);
	CU_ASSERT_EQUAL(convert(f, NULL, 2), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(convert(f, "raid5", 0), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(convert(f, "striped", 0), -EOPNOTSUPP);
	/* The leg that has all is not let go. */
	first = volume_group_get_lv(f->group, "m_mimage_0")->segments->areas->pv;
	CU_ASSERT_EQUAL(volume_lv_convert(f->group, "m", &wish, &f->error), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "its first leg, m_mimage_0, is to go"));
	CU_ASSERT_EQUAL(f->group->lv_count, 4);
	CU_ASSERT_EQUAL(convert(f, "linear", 0), 0);
	CU_ASSERT_EQUAL(f->group->lv_count, 1);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_STRING_EQUAL(volume_lv_type(volume_group_get_lv(f->group, "m")), "linear");
	CU_ASSERT_TRUE(fixture_is_filled(f, "m", 7));
	block_unref(fixture_open(f, "m", true));
}

static void test_it_becomes_linear(void)
{
	fixture_run(it_becomes_linear, 3, 16 * MIB);
}

/* ---- Metadata that cannot be ---- */

/* `from` of the mirror's text is `to`: it is listed, and opens not. */
static void damage(struct fixture *f, const char *from, const char *to)
{
	struct block *block = NULL;
	char *text, *other;

	CU_ASSERT_EQUAL_FATAL(volume_group_text(f->group, &text, NULL), 0);
	other = fixture_replace(text, from, to);
	for (unsigned i = 0; i < 3; i++)
		fixture_put_text(f, i, other);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "m", false, &block, &f->error), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "m", &f->error), -EOPNOTSUPP);
	for (unsigned i = 0; i < 3; i++)
		fixture_put_text(f, i, text);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	free(other);
	free(text);
}

static void what_cannot_be_is_not_opened(struct fixture *f)
{
	make_mirror(f, REGIONS, 0xff);
	damage(f, "\"m_mimage_1\", 0", "\"m_mimage_0\", 0");
	damage(f, "\"m_mimage_1\", 0", "\"m\", 0");
	damage(f, "mirror_log = \"m_mlog\"", "mirror_log = \"m\"");
	damage(f, "mirror_log = \"m_mlog\"", "mirror_log = \"m_mimage_1\"");
	damage(f, "\"m_mimage_0\", 0", "\"none\", 0");
	/* LVM2 reads these, and the group with them. */
	damage(f, "region_size = 1024\n", "");
	damage(f, "region_size = 1024\n", "region_size = 1000\n");
	damage(f, "region_size = 1024\n", "region_size = 1\n");
	/* An array that is its own image. */
	damage(f,
	       "type = \"mirror\"\nmirror_count = 2\nmirror_log = \"m_mlog\"\nregion_size = "
	       "1024\n\n"
	       "mirrors = [\n\"m_mimage_0\", 0,\n\"m_mimage_1\", 0\n]",
	       "type = \"raid1\"\ndevice_count = 1\nregion_size = 1024\n\nraids = "
	       "[\n\"x_rmeta_0\", \"m\"\n]");
	CU_ASSERT_TRUE(fixture_is_filled(f, "m", 7));
}

static void test_what_cannot_be_is_not_opened(void)
{
	fixture_run(what_cannot_be_is_not_opened, 3, 16 * MIB);
}

/* A leg that is one of the log's, too. */
static void a_part_goes_once(struct fixture *f)
{
	CLEANUP_FREE char *text = NULL, *other = NULL;

	make_mirror(f, REGIONS, 0xff);
	CU_ASSERT_EQUAL_FATAL(volume_group_text(f->group, &text, NULL), 0);
	other = fixture_replace(
		text, "type = \"striped\"\nstripe_count = 1\n\nstripes = [\n\"pv2\", 0\n]",
		"type = \"mirror\"\nmirror_count = 1\nregion_size = 1024\n"
		"mirrors = [\"m_mimage_1\", 0]");
	CU_ASSERT_STRING_NOT_EQUAL(other, text);
	for (unsigned i = 0; i < 3; i++)
		fixture_put_text(f, i, other);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "m", &f->error), 0);
	CU_ASSERT_EQUAL(f->group->lv_count, 0);
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
}

static void test_a_part_goes_once(void)
{
	fixture_run(a_part_goes_once, 3, 16 * MIB);
}

/* ---- The power goes while it becomes raid1 ---- */

static unsigned was_old, was_new;

static void cut_all(struct fixture *f, uint64_t seed)
{
	volume_scan_free(steal_pointer(&f->scan));
	fixture_cut_power(f, f->count, seed);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(volume_group_validate(f->group, &f->error), 0);
}

/* It is a mirror still, or raid1; whose second leg has all data in the end, whatever it had. */
static bool convert_with_cut(struct fixture *f, uint64_t after)
{
	struct block *disk = f->disks[after % 3], *block;
	bool cut, agrees = after % 2;

	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(block_write_zeroes(f->disks[i], 0, MIB, 0), 0);
	make_mirror(f, REGIONS, agrees ? 0xff : 0xfb);
	if (!agrees)
		spoil(f, 2);
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(block_flush(f->disks[i]), 0);
	block_volatile_cut_after(disk, after / 3, after + 1);
	convert(f, "raid1", 0);
	cut = block_volatile_is_off(disk);
	cut_all(f, after + 1);
	CU_ASSERT_TRUE(fixture_is_filled(f, "m", 7));
	if (volume_lv_reads_only(volume_group_get_lv(f->group, "m"))) {
		was_old++;
		CU_ASSERT_EQUAL(convert(f, "raid1", 0), 0);
	} else {
		was_new++;
	}
	block = fixture_open(f, "m", true);
	CU_ASSERT_EQUAL(raid_rebuild_wait(volume_lv_array(volume_group_get_lv(f->group, "m")), NULL,
					  NULL, 1000000000, &f->error),
			0);
	block_unref(block);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL_FATAL(lose(f, i), 0);
		CU_ASSERT_TRUE(fixture_is_filled(f, "m", 7));
		find_again(f);
		CU_ASSERT_EQUAL_FATAL(lose(f, i), 0);
		find_again(f);
	}
	volume_scan_free(steal_pointer(&f->scan));
	return cut;
}

static void cut_everywhere(struct fixture *f)
{
	unsigned whole = 0;

	fixture_make_volatile(f);
	was_old = was_new = 0;
	/* Until no disk has so many requests. */
	for (uint64_t after = 0; whole < 3; after++)
		whole = convert_with_cut(f, after) ? 0 : whole + 1;
	CU_ASSERT(was_old > 10 && was_new > 5);
}

static void test_cuts(void)
{
	fixture_run(cut_everywhere, 3, 16 * MIB);
}

UNIT_MAIN("volume mirror", UNIT(test_logs_are_read_as_dm_log_does),
	  UNIT(test_the_first_leg_has_all), UNIT(test_another_leg_has_what_agrees),
	  UNIT(test_what_agrees_not_is_not_guessed), UNIT(test_what_cannot_be_read_another_leg_has),
	  UNIT(test_a_log_that_cannot_be_read_says_nothing), UNIT(test_its_parts_go_with_it),
	  UNIT(test_it_becomes_raid1), UNIT(test_a_new_image_is_on_a_disk_of_its_own),
	  UNIT(test_it_becomes_linear), UNIT(test_what_cannot_be_is_not_opened),
	  UNIT(test_a_part_goes_once), UNIT(test_cuts))
