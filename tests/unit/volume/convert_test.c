/* SPDX-License-Identifier: BSD-2-Clause */
/* volume/: volumes get other types and numbers of images, while they are used. Virtual time. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/fault.h"
#include "block/view.h"
#include "block/volatile.h"
#include "raid/raid.h"
#include "util/bytes.h"
#include "volume/volume_raid.h"
#include "volume_fixture.h"

static void wait_in_sync(struct fixture *f, const char *name)
{
	struct raid_array *array = volume_lv_array(volume_group_get_lv(f->group, name));

	if (array)
		CU_ASSERT_EQUAL(raid_rebuild_wait(array, NULL, NULL, 1000000000, &f->error), 0);
}

static void make(struct fixture *f, const char *type, unsigned stripes, unsigned mirrors)
{
	struct volume_lv_options options = { .extents = 6, .stripes = stripes, .mirrors = mirrors };
	struct block *block;

	options.type = strcmp(type, "linear") != 0 && strcmp(type, "striped") != 0 ? type : NULL;
	CU_ASSERT_EQUAL_FATAL(volume_lv_create(f->group, "a", &options, NULL, &f->error), 0);
	block = fixture_open(f, "a", true);
	wait_in_sync(f, "a");
	fixture_fill(block, 7);
	CU_ASSERT_EQUAL(block_flush(block), 0);
	block_unref(block);
}

static int convert(struct fixture *f, const char *type, unsigned mirrors)
{
	struct volume_convert wish = { .type = type, .mirrors = mirrors };

	memset(&f->error, 0, sizeof(f->error));
	return volume_lv_convert(f->group, "a", &wish, &f->error);
}

/* Whether every PV by itself can be missing. */
static void check_redundant(struct fixture *f)
{
	unsigned count = f->count;

	for (unsigned gone = 0; gone < count; gone++) {
		struct block *disk = f->disks[gone];

		f->disks[gone] = f->disks[count - 1];
		f->disks[count - 1] = disk;
		f->count = count - 1;
		CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
		CU_ASSERT_TRUE(fixture_is_filled(f, "a", 7));
		volume_scan_free(steal_pointer(&f->scan));
		f->disks[count - 1] = f->disks[gone];
		f->disks[gone] = disk;
		f->count = count;
	}
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
}

static const struct way {
	const char *from;
	unsigned stripes, mirrors; /* of it */
	const char *to;
	unsigned to_mirrors;
	const char *type; /* that comes of it */
	unsigned images;
} ways[] = {
	{ "linear", 0, 0, "raid1", 0, "raid1", 2 },
	{ "linear", 0, 0, "raid1", 2, "raid1", 3 },
	{ "linear", 0, 0, NULL, 3, "raid1", 4 },
	{ "raid1", 0, 1, NULL, 2, "raid1", 3 },
	{ "raid1", 0, 3, NULL, 1, "raid1", 2 },
	{ "raid1", 0, 2, NULL, 0, "linear", 1 },
	{ "raid1", 0, 1, "linear", 0, "linear", 1 },
	{ "striped", 2, 0, "raid0", 0, "raid0", 2 },
	{ "striped", 3, 0, "raid0_meta", 0, "raid0_meta", 3 },
	{ "striped", 3, 0, "raid4", 0, "raid4", 4 },
	{ "striped", 3, 0, "raid5", 0, "raid5_n", 4 },
	{ "striped", 2, 0, "raid10", 0, "raid10", 4 },
	{ "raid0", 3, 0, "striped", 0, "striped", 3 },
	{ "raid0", 2, 0, "raid0_meta", 0, "raid0_meta", 2 },
	{ "raid0_meta", 2, 0, "raid0", 0, "raid0", 2 },
	{ "raid0_meta", 2, 0, "raid5_n", 0, "raid5_n", 3 },
	{ "raid4", 2, 0, "raid5_n", 0, "raid5_n", 3 },
	{ "raid4", 2, 0, "raid0", 0, "raid0", 2 },
	{ "raid5_n", 2, 0, "raid4", 0, "raid4", 3 },
	{ "raid5_n", 3, 0, "striped", 0, "striped", 3 },
	{ "raid10", 2, 0, "raid0", 0, "raid0", 2 },
	{ "raid10", 2, 0, "striped", 0, "striped", 2 },
	{ "raid1", 0, 1, "raid5", 0, "raid5", 2 },
	{ "raid1", 0, 1, "raid4", 0, "raid4", 2 },
};

static bool is_redundant(const char *type)
{
	return strncmp(type, "raid0", 5) != 0 && strcmp(type, "linear") != 0 &&
	       strcmp(type, "striped") != 0;
}

/* Somebody who writes all the time, here and there, and knows what. */
struct writer {
	struct block *block;
	uint8_t last[6 * MIB / 65536];
	bool stop;
	unsigned writes;
};

static int write_on(void *arg)
{
	struct writer *writer = arg;
	uint8_t bytes[4096];

	for (unsigned i = 0; !writer->stop; i++) {
		unsigned at = i * 7 % ARRAY_SIZE(writer->last);

		memset(bytes, (int)(i + 1), sizeof(bytes));
		CU_ASSERT_EQUAL(block_write(writer->block, at * 65536ull, bytes, sizeof(bytes), 0),
				0);
		writer->last[at] = (uint8_t)(i + 1);
		writer->writes++;
		fiber_sleep(1000);
	}
	return 0;
}

static bool has_all(const struct writer *writer)
{
	uint8_t bytes[4096];

	for (unsigned at = 0; at < ARRAY_SIZE(writer->last); at++)
		if (block_read(writer->block, at * 65536ull, bytes, sizeof(bytes)) ||
		    (writer->writes > at && bytes[0] != writer->last[at]) ||
		    bytes[0] != bytes[4095])
			return false;
	return true;
}

/* Who looks at it all the time, as listings do, and a client that comes. */
struct looker {
	struct fixture *f;
	struct block *block;
	bool stop;
	unsigned looks;
};

static void look(struct looker *looker)
{
	const struct volume_lv *lv = volume_group_get_lv(looker->f->group, "a");
	struct raid_array *array = lv ? volume_lv_array(lv) : NULL;

	(void)block_has_views(looker->block);
	if (array)
		CU_ASSERT_EQUAL(raid_array_block(array)->gone, false);
	looker->looks++;
	fiber_yield();
}

static int look_on(void *arg)
{
	struct looker *looker = arg;

	while (!looker->stop) {
		for (unsigned i = 0; i < 100 && !looker->stop; i++)
			look(looker);
		fiber_sleep(1000);
	}
	return 0;
}

static const struct way *the_way;
static bool while_open;

static void go(struct fixture *f)
{
	const struct way *way = the_way;
	const struct volume_lv *lv;
	struct block *block = NULL;
	struct writer writer = { 0 };
	struct looker looker = { .f = f };
	struct fiber *fiber = NULL, *looking = NULL;
	uint32_t free_extents;

	fixture_create(f, NULL);
	free_extents = f->group->free_extents;
	make(f, way->from, way->stripes, way->mirrors);
	if (while_open) {
		block = writer.block = looker.block = fixture_open(f, "a", true);
		fiber = fiber_spawn(write_on, &writer);
		fiber_sleep(1000000);
		looking = fiber_spawn(look_on, &looker);
	}
	CU_ASSERT_EQUAL(convert(f, way->to, way->to_mirrors), 0);
	if (fiber) {
		looker.stop = true;
		fiber_join(looking);
		CU_ASSERT(looker.looks);
		fiber_sleep(1000000);
		writer.stop = true;
		fiber_join(fiber);
		CU_ASSERT(writer.writes > ARRAY_SIZE(writer.last));
		CU_ASSERT_TRUE(has_all(&writer));
		wait_in_sync(f, "a");
		CU_ASSERT_TRUE(has_all(&writer));
		fixture_fill(block, 7);
	}
	if (f->error.text[0])
		fprintf(stderr, "%s to %s: %s\n", way->from, way->to, f->error.text);
	lv = volume_group_get_lv(f->group, "a");
	CU_ASSERT_STRING_EQUAL(volume_lv_type(lv), way->type);
	CU_ASSERT_EQUAL(lv->segments->area_count, way->images);
	CU_ASSERT_EQUAL(lv->size, 6 * MIB);
	if (!block)
		block = fixture_open(f, "a", true);
	CU_ASSERT_TRUE(fixture_filled(block, 7));
	fixture_fill(block, 9);
	wait_in_sync(f, "a");
	fixture_fill(block, 7);
	block_unref(block);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_TRUE(fixture_is_filled(f, "a", 7));
	if (is_redundant(way->type))
		check_redundant(f);
	CU_ASSERT_EQUAL(convert(f, way->to, way->to_mirrors), -EALREADY);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "a", &f->error), 0);
	CU_ASSERT_EQUAL(f->group->lv_count, 0);
	CU_ASSERT_EQUAL(f->group->free_extents, free_extents);
}

static void test_ways(void)
{
	for (unsigned i = 0; i < 2 * ARRAY_SIZE(ways); i++) {
		the_way = &ways[i / 2];
		while_open = i % 2;
		fixture_run(go, 4, 16 * MIB);
	}
}

/* ---- What is refused ---- */

static void refused(struct fixture *f)
{
	struct volume_convert wish = { .type = "raid1" };

	fixture_create(f, NULL);
	make(f, "raid5", 2, 0);
	CU_ASSERT_EQUAL(convert(f, "striped", 0), -EOPNOTSUPP);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.advice, "--type raid5_n, twice; --type striped"));
	CU_ASSERT_EQUAL(convert(f, "raid6", 0), -EINVAL);
	CU_ASSERT_EQUAL(convert(f, NULL, 2), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(convert(f, "raid7", 0), -EINVAL);
	CU_ASSERT_EQUAL(convert(f, "raid5", 0), -EALREADY);
	CU_ASSERT_STRING_EQUAL(volume_lv_type(volume_group_get_lv(f->group, "a")), "raid5");
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "a", &f->error), 0);
	make(f, "linear", 0, 0);
	CU_ASSERT_EQUAL(convert(f, "raid5", 0), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(convert(f, NULL, 5), -ENOSPC); /* six images, four PVs */
	CU_ASSERT_EQUAL(convert(f, NULL, 0), -EALREADY);
	CU_ASSERT_EQUAL(convert(f, NULL, UINT32_MAX), -EINVAL);
	CU_ASSERT_EQUAL(convert(f, "raid1", UINT32_MAX), -EINVAL);
	wish.region_size = 5000;
	CU_ASSERT_EQUAL(volume_lv_convert(f->group, "a", &wish, &f->error), -EINVAL);
	wish.region_size = 1ull << 32;
	CU_ASSERT_EQUAL(volume_lv_convert(f->group, "a", &wish, &f->error), -EINVAL);
	CU_ASSERT_EQUAL(f->group->lv_count, 1);
	CU_ASSERT_TRUE(fixture_is_filled(f, "a", 7));
}

/* An image that has not all data cannot be the one that stays; one that is to be filled can go. */
static void not_before_it_is_whole(struct fixture *f)
{
	fixture_create(f, NULL);
	make(f, "linear", 0, 0);
	f->context.no_resync = true;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(convert(f, NULL, 1), 0);
	CU_ASSERT_EQUAL(convert(f, "raid5", 0), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "a_rimage_1, which is to stay"));
	CU_ASSERT_EQUAL(convert(f, NULL, 0), 0);
	CU_ASSERT_STRING_EQUAL(volume_lv_type(volume_group_get_lv(f->group, "a")), "linear");
	CU_ASSERT_TRUE(fixture_is_filled(f, "a", 7));
}

/* Block sizes do not mix: who uses a volume was told one. */
static void not_with_larger_blocks(struct fixture *f)
{
	static const uint8_t bytes[512];
	struct block *block;

	fixture_create(f, NULL);
	f->disks[2]->logical_block_size = 4096;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	make(f, "raid1", 0, 1);
	block = fixture_open(f, "a", true);
	CU_ASSERT_EQUAL(block->logical_block_size, 512);
	CU_ASSERT_EQUAL(convert(f, NULL, 2), -ENOSPC);
	CU_ASSERT_EQUAL(block_write(block, 512, bytes, sizeof(bytes), 0), 0);
	block_unref(block);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "a", &f->error), 0);
	f->disks[2]->logical_block_size = 512;
}

static void split(struct fixture *f)
{
	struct volume_convert wish = { .split_name = "b" };
	struct block *block, *other;

	fixture_create(f, NULL);
	make(f, "raid1", 0, 2);
	block = fixture_open(f, "a", true);
	CU_ASSERT_EQUAL(volume_lv_convert(f->group, "a", &wish, &f->error), 0);
	other = fixture_open(f, "b", true);
	CU_ASSERT_TRUE(fixture_filled(other, 7));
	fixture_fill(block, 9);
	CU_ASSERT_TRUE(fixture_filled(other, 7));
	fixture_fill(other, 3);
	CU_ASSERT_TRUE(fixture_filled(block, 9));
	block_unref(block);
	block_unref(other);
	CU_ASSERT_EQUAL(volume_lv_convert(f->group, "a", &wish, &f->error), -EEXIST);
	wish.split_name = "c";
	CU_ASSERT_EQUAL(volume_lv_convert(f->group, "a", &wish, &f->error), 0);
	CU_ASSERT_STRING_EQUAL(volume_lv_type(volume_group_get_lv(f->group, "a")), "linear");
	CU_ASSERT_EQUAL(f->group->lv_count, 3);
}

static void test_refused(void)
{
	fixture_run(refused, 4, 16 * MIB);
	fixture_run(not_before_it_is_whole, 3, 16 * MIB);
	fixture_run(not_with_larger_blocks, 3, 16 * MIB);
}

static void test_split(void)
{
	fixture_run(split, 4, 16 * MIB);
}

/* ---- Commits that fail ---- */

/* The new headers are there, nobody knows, and they cannot be taken back. */
static void break_commit(struct block *disk)
{
	struct block_fault_rule rule = { .requests = BLOCK_FAULT_WRITE,
					 .offset = 4096,
					 .length = 512,
					 .count = 1,
					 .action = BLOCK_FAULT_LATENCY,
					 .latency_ns = 5000000000 };

	block_fault_add(disk, &rule);
	rule.after = 1;
	rule.count = 2;
	rule.action = BLOCK_FAULT_TORN;
	rule.error = -EIO;
	rule.torn_sectors = 1;
	block_fault_add(disk, &rule);
	rule.count = 0;
	rule.action = BLOCK_FAULT_ERROR;
	block_fault_add(disk, &rule);
}

/* What is written afterwards goes to what was there: nobody else has it, and nobody else says so. */
static void unknown(struct fixture *f)
{
	const struct way *way = the_way;
	struct block *block;

	fixture_put_faults(f);
	fixture_create(f, NULL);
	make(f, way->from, way->stripes, way->mirrors);
	block = fixture_open(f, "a", true);
	fixture_fill(block, 9);
	for (unsigned i = 0; i < f->count; i++)
		break_commit(f->disks[i]);
	CU_ASSERT_EQUAL(convert(f, way->to, way->to_mirrors), -EIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "it is unknown whether"));
	for (unsigned i = 0; i < f->count; i++)
		block_fault_clear(f->disks[i]);
	fixture_fill(block, 7);
	CU_ASSERT_EQUAL(block_flush(block), 0);
	block_unref(block);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_STRING_EQUAL(volume_lv_type(volume_group_get_lv(f->group, "a")), way->type);
	block = fixture_open(f, "a", true);
	wait_in_sync(f, "a");
	CU_ASSERT_TRUE(fixture_filled(block, 7));
	block_unref(block);
	check_redundant(f);
}

static uint64_t changes(const struct fixture *f)
{
	struct block_fault_counts counts;
	uint64_t sum = 0;

	for (unsigned i = 0; i < f->count; i++) {
		block_fault_counts(f->disks[i], &counts);
		sum += counts.writes + counts.write_zeroes + counts.discards;
	}
	return sum;
}

/* The header that was found may be in a cache, and say that extents are free that a cut of power gives back to others. */
static void settles_first(struct fixture *f)
{
	uint64_t before;

	fixture_put_faults(f);
	fixture_create(f, NULL);
	make(f, "linear", 0, 0);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	before = changes(f);
	for (unsigned i = 0; i < f->count; i++)
		block_fault_add(f->disks[i],
				&(struct block_fault_rule){ .requests = BLOCK_FAULT_WRITE,
							    .offset = 4096,
							    .length = 512,
							    .action = BLOCK_FAULT_ERROR,
							    .error = -EIO });
	CU_ASSERT_EQUAL(convert(f, NULL, 1), -EIO);
	CU_ASSERT_EQUAL(changes(f), before + 1);
	for (unsigned i = 0; i < f->count; i++)
		block_fault_clear(f->disks[i]);
	CU_ASSERT_EQUAL(convert(f, NULL, 1), 0);
}

static void test_unknown(void)
{
	fixture_run(settles_first, 3, 16 * MIB);
	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
		the_way = &ways[i];
		if (is_redundant(the_way->type) && !is_redundant(the_way->from))
			fixture_run(unknown, 4, 16 * MIB);
	}
}

/* ---- Cuts of power ---- */

static unsigned was_old, was_new;

/* Whether it was cut. The group has the old or the new volume, which goes on from where it was. */
static bool convert_with_cut(struct fixture *f, uint64_t after)
{
	const struct way *way = the_way;
	const struct volume_lv *lv;
	struct block *block;
	bool cut;

	fixture_create(f, &(struct volume_group_options){ .extent_size = MIB, .force = true });
	make(f, way->from, way->stripes, way->mirrors);
	block = while_open ? fixture_open(f, "a", true) : NULL;
	block_volatile_cut_after(f->disks[after % f->count], after / f->count, after + 1);
	convert(f, way->to, way->to_mirrors);
	block_unref(block);
	cut = block_volatile_is_off(f->disks[after % f->count]);
	volume_scan_free(steal_pointer(&f->scan));
	fixture_cut_power(f, f->count, after + 1);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	lv = volume_group_get_lv(f->group, "a");
	CU_ASSERT_PTR_NOT_NULL_FATAL(lv);
	*(strcmp(volume_lv_type(lv), way->type) != 0 || lv->segments->area_count != way->images
		  ? &was_old
		  : &was_new) += 1;
	CU_ASSERT_EQUAL(volume_group_validate(f->group, &f->error), 0);
	block = fixture_open(f, "a", true);
	CU_ASSERT_TRUE(fixture_filled(block, 7));
	wait_in_sync(f, "a");
	CU_ASSERT_TRUE(fixture_filled(block, 7));
	block_unref(block);
	if (is_redundant(volume_lv_type(volume_group_get_lv(f->group, "a"))))
		check_redundant(f);
	volume_scan_free(steal_pointer(&f->scan));
	return cut;
}

static void cut_everywhere(struct fixture *f)
{
	uint64_t after = 0;
	unsigned whole = 0;

	fixture_make_volatile(f);
	was_old = was_new = 0;
	/* Until no disk has so many requests. */
	for (; whole < f->count; after++)
		whole = convert_with_cut(f, after) ? 0 : whole + 1;
	CU_ASSERT(was_old > 10 && was_new > 5);
	if (getenv("TORTURE"))
		printf("%s to %s: %u old, %u new\n", the_way->from, the_way->type, was_old,
		       was_new);
}

/* Of each way a few in the short form. */
static void test_cuts(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
		if (!getenv("TORTURE") && i % 11)
			continue;
		the_way = &ways[i];
		while_open = i % 2;
		fixture_run(cut_everywhere, 4, 16 * MIB);
	}
}

UNIT_MAIN("volume convert", UNIT(test_ways), UNIT(test_refused), UNIT(test_split),
	  UNIT(test_unknown), UNIT(test_cuts))
