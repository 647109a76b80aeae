/* SPDX-License-Identifier: BSD-2-Clause */
/* volume/: RAID volumes are reshaped while they are used, room and images are let go of afterwards; the power goes at every write. Virtual time. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/fault.h"
#include "block/volatile.h"
#include "raid/raid.h"
#include "util/bytes.h"
#include "volume/volume_raid.h"
#include "volume_fixture.h"

#define K 1024u

static const struct way {
	const char *from;
	unsigned stripes;
	const char *to; /* NULL: its type stays */
	unsigned to_stripes;
	uint32_t stripe_size;
	const char *type; /* that comes of it */
	unsigned images;  /* when it is over */
	unsigned disks;
} ways[] = {
	{ "raid5", 2, NULL, 3, 0, "raid5", 4, 4 },
	{ "raid5", 3, NULL, 2, 0, "raid5", 3, 4 },
	{ "raid5", 2, NULL, 0, 128 * K, "raid5", 3, 4 },
	{ "raid5", 2, "raid5_n", 0, 0, "raid5_n", 3, 4 },
	{ "raid10", 2, NULL, 3, 0, "raid10", 6, 6 },
	{ "raid6", 3, "raid6_ls_6", 0, 0, "raid6_ls_6", 5, 6 },
	{ "raid6_n_6", 3, NULL, 4, 0, "raid6_n_6", 6, 6 },
	{ "raid4", 2, NULL, 3, 32 * K, "raid4", 4, 4 },
	{ "raid10", 2, NULL, 0, 16 * K, "raid10", 4, 4 },
	{ "raid5_ra", 3, NULL, 2, 32 * K, "raid5_ra", 3, 4 },
};

static struct block *open_lv(struct fixture *f, bool writable)
{
	struct block *block = NULL;
	int rc = volume_open_lv(f->group, "a", writable, &block, &f->error);

	if (rc)
		fprintf(stderr, "%s\n", f->error.text);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	return block;
}

static const struct volume_lv *lv_of(const struct fixture *f)
{
	return volume_group_get_lv(f->group, "a");
}

static void wait_over(struct fixture *f)
{
	struct raid_array *array = volume_lv_array(lv_of(f));

	CU_ASSERT_PTR_NOT_NULL_FATAL(array);
	CU_ASSERT_EQUAL(raid_rebuild_wait(array, NULL, NULL, 1000000000, &f->error), 0);
}

/* Each 4 KiB says where it is. */
static void stamp(struct block *block, uint64_t seed, uint64_t size)
{
	uint64_t page[512];

	for (uint64_t at = 0; at < size; at += sizeof(page)) {
		for (unsigned i = 0; i < ARRAY_SIZE(page); i++)
			page[i] = at + i + (seed << 48);
		CU_ASSERT_EQUAL(block_write(block, at, page, sizeof(page), 0), 0);
	}
	CU_ASSERT_EQUAL(block_flush(block), 0);
}

static bool is_stamped(struct block *block, uint64_t seed, uint64_t size)
{
	uint64_t page[512];

	for (uint64_t at = 0; at < size; at += sizeof(page)) {
		if (block_read(block, at, page, sizeof(page)))
			return false;
		for (unsigned i = 0; i < ARRAY_SIZE(page); i++)
			if (page[i] != at + i + (seed << 48))
				return false;
	}
	return true;
}

static bool reads(struct fixture *f, uint64_t seed, uint64_t size)
{
	struct block *block = open_lv(f, false);
	bool same = is_stamped(block, seed, size);

	block_unref(block);
	return same;
}

static void make(struct fixture *f, const struct way *way, uint64_t *size)
{
	struct volume_lv_options options = { .type = way->from,
					     .extents = 6,
					     .stripes = way->stripes };
	struct block *block;

	CU_ASSERT_EQUAL_FATAL(volume_lv_create(f->group, "a", &options, NULL, &f->error), 0);
	block = open_lv(f, true);
	wait_over(f);
	*size = block->size;
	stamp(block, 7, *size);
	block_unref(block);
}

static int convert(struct fixture *f, const struct way *way, struct volume_reshaped *reshaped)
{
	struct volume_convert wish = { .type = way->to,
				       .stripes = way->to_stripes,
				       .stripe_size = way->stripe_size,
				       .force = true,
				       .reshaped = reshaped };

	memset(&f->error, 0, sizeof(f->error));
	return volume_lv_convert(f->group, "a", &wish, &f->error);
}

/* Each PV by itself can be missing. */
static void check_redundant(struct fixture *f, uint64_t seed, uint64_t size)
{
	unsigned count = f->count;

	for (unsigned gone = 0; gone < count; gone++) {
		struct block *disk = f->disks[gone];

		f->disks[gone] = f->disks[count - 1];
		f->disks[count - 1] = disk;
		f->count = count - 1;
		CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
		CU_ASSERT_TRUE(reads(f, seed, size));
		volume_scan_free(steal_pointer(&f->scan));
		f->disks[count - 1] = f->disks[gone];
		f->disks[gone] = disk;
		f->count = count;
	}
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
}

/* Images that are over go, then the room; then nothing is left. */
static void let_go(struct fixture *f, const struct way *way, uint64_t size)
{
	struct volume_reshaped told;

	if (lv_of(f)->segments->area_count > way->images) {
		CU_ASSERT_EQUAL(convert(f, way, &told), 0);
		CU_ASSERT_EQUAL(told.step, VOLUME_RESHAPE_DROPPED);
		CU_ASSERT_EQUAL(lv_of(f)->size, told.size);
		CU_ASSERT_TRUE(reads(f, 7, size));
	}
	CU_ASSERT_EQUAL(lv_of(f)->segments->area_count, way->images);
	CU_ASSERT_TRUE(volume_lv_reshape_room(f->group, lv_of(f)) > 0);
	CU_ASSERT_EQUAL(convert(f, way, &told), 0);
	CU_ASSERT_EQUAL(told.step, VOLUME_RESHAPE_RELEASED);
	CU_ASSERT_EQUAL(volume_lv_reshape_room(f->group, lv_of(f)), 0);
	CU_ASSERT_TRUE(reads(f, 7, size));
	CU_ASSERT_EQUAL(convert(f, way, NULL), -EALREADY);
	if (f->error.text[0] && f->error.code != -EALREADY)
		fprintf(stderr, "%s\n", f->error.text);
}

/* ---- While it is used ---- */

struct writer {
	struct block *block;
	uint64_t size;
	bool stop;
	unsigned writes;
};

static int write_on(void *arg)
{
	struct writer *writer = arg;
	uint64_t page[512];

	for (uint64_t i = 0; !writer->stop; i++) {
		uint64_t at = i * 37 % (writer->size / sizeof(page)) * sizeof(page);

		for (unsigned k = 0; k < ARRAY_SIZE(page); k++)
			page[k] = at + k + (7ull << 48);
		CU_ASSERT_EQUAL(block_write(writer->block, at, page, sizeof(page), 0), 0);
		CU_ASSERT_EQUAL(block_read(writer->block, at, page, sizeof(page)), 0);
		CU_ASSERT_EQUAL(page[5], at + 5 + (7ull << 48));
		writer->writes++;
		fiber_sleep(2000000);
	}
	return 0;
}

static const struct way *the_way;
static bool while_open;

static void go(struct fixture *f)
{
	const struct way *way = the_way;
	struct volume_reshaped told;
	struct writer writer = { 0 };
	struct fiber *fiber = NULL;
	struct block *block = NULL;
	uint32_t free_extents;
	uint64_t size;

	fixture_create(f, NULL);
	free_extents = f->group->free_extents;
	make(f, way, &size);
	while_open &= way->to_stripes == 0 || way->to_stripes > way->stripes;
	if (while_open) {
		block = writer.block = open_lv(f, true);
		writer.size = size;
		fiber = fiber_spawn(write_on, &writer);
		fiber_sleep(20000000);
	}
	CU_ASSERT_EQUAL(convert(f, way, &told), 0);
	if (f->error.text[0])
		fprintf(stderr, "%s: %s\n", way->from, f->error.text);
	CU_ASSERT_EQUAL(told.step, VOLUME_RESHAPE_BEGUN);
	CU_ASSERT_STRING_EQUAL(volume_lv_type(lv_of(f)), way->type);
	CU_ASSERT_EQUAL(volume_group_validate(f->group, &f->error), 0);
	CU_ASSERT_FALSE(volume_lv_is_to_begin(lv_of(f)));
	if (!block)
		block = open_lv(f, true);
	size = MIN(size, told.size);
	CU_ASSERT_TRUE(is_stamped(block, 7, size));
	wait_over(f);
	if (fiber) {
		writer.stop = true;
		fiber_join(fiber);
		CU_ASSERT(writer.writes > 10);
	}
	CU_ASSERT_EQUAL(block->size, told.size);
	CU_ASSERT_TRUE(is_stamped(block, 7, size));
	stamp(block, 9, told.size);
	stamp(block, 7, told.size);
	block_unref(block);
	size = told.size;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	check_redundant(f, 7, size);
	let_go(f, way, size);
	check_redundant(f, 7, size);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "a", &f->error), 0);
	CU_ASSERT_EQUAL(f->group->lv_count, 0);
	CU_ASSERT_EQUAL(f->group->free_extents, free_extents);
}

static void test_ways(void)
{
	for (unsigned i = 0; i < 2 * ARRAY_SIZE(ways); i++) {
		the_way = &ways[i / 2];
		while_open = i % 2;
		fixture_run(go, the_way->disks, 24 * MIB);
	}
}

/* ---- An image that cannot be read once all is committed: the array is out of use, and whoever comes next tries again ---- */

static void unreadable(struct fixture *f)
{
	const struct block_fault_rule rule = { .requests = BLOCK_FAULT_READ,
					       .offset = MIB,
					       .length = 23 * MIB,
					       .action = BLOCK_FAULT_ERROR,
					       .error = -EIO };
	struct block *writer, *reader = NULL;
	uint64_t size;

	fixture_put_faults(f);
	fixture_create(f, NULL);
	make(f, &ways[0], &size);
	writer = open_lv(f, true);
	block_fault_add(f->disks[0], &rule);
	CU_ASSERT_EQUAL(convert(f, &ways[0], NULL), -EIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "its array does not run"));
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(volume_open_lv(f->group, "a", false, &reader, &f->error), -EIO);
		CU_ASSERT_NOT_EQUAL(block_write(writer, 0, "x", 1, 0), 0);
	}
	block_fault_clear(f->disks[0]);
	CU_ASSERT_TRUE(reads(f, 7, size));
	block_unref(writer);
	CU_ASSERT_TRUE(reads(f, 7, size));
}

static void test_unreadable(void)
{
	fixture_run(unreadable, ways[0].disks, 24 * MIB);
}

/* ---- What is refused ---- */

static int ask(struct fixture *f, struct volume_convert wish)
{
	memset(&f->error, 0, sizeof(f->error));
	return volume_lv_convert(f->group, "a", &wish, &f->error);
}

/* Nothing is changed by what is refused. */
static void refused(struct fixture *f)
{
	const struct way way = { .from = "raid5", .stripes = 2 };
	uint64_t size;
	unsigned free_extents;
	struct block *block;

	fixture_create(f, NULL);
	make(f, &way, &size);
	free_extents = f->group->free_extents;
	CU_ASSERT_EQUAL(ask(f, (struct volume_convert){ .stripes = 1 }), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "3145728 bytes (3 MiB) with 1 stripes"));
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.advice, "12 MiB for all of it to stay"));
	CU_ASSERT_EQUAL(ask(f, (struct volume_convert){ .stripes = 2 }), -EALREADY);
	CU_ASSERT_EQUAL(ask(f, (struct volume_convert){ .stripes = 4 }), -ENOSPC);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "2 new images are needed"));
	CU_ASSERT_EQUAL(ask(f, (struct volume_convert){ .stripes = 300 }), -EINVAL);
	CU_ASSERT_EQUAL(ask(f, (struct volume_convert){ .stripes = 3, .type = "raid5_n" }),
			-EINVAL);
	CU_ASSERT_EQUAL(ask(f, (struct volume_convert){ .stripes = 3, .region_size = MIB }),
			-EINVAL);
	CU_ASSERT_EQUAL(ask(f, (struct volume_convert){ .stripe_size = 5000 }), -EINVAL);
	CU_ASSERT_EQUAL(ask(f, (struct volume_convert){ .stripe_size = 2 * MIB }), -EINVAL);
	CU_ASSERT_EQUAL(ask(f, (struct volume_convert){ .stripes = 3, .type = "raid6" }), -EINVAL);
	CU_ASSERT_EQUAL(f->group->free_extents, free_extents);
	CU_ASSERT_TRUE(reads(f, 7, size));
	/* In use it gets no smaller. */
	block = open_lv(f, true);
	CU_ASSERT_EQUAL(ask(f, (struct volume_convert){ .stripes = 1, .force = true }), -EBUSY);
	block_unref(block);
	CU_ASSERT_EQUAL(lv_of(f)->segments->area_count, 3);
}

/* An image must be able to grow where it is. */
static void no_room(struct fixture *f)
{
	const struct way way = { .from = "raid5", .stripes = 2 };
	uint64_t size;

	fixture_create(f, NULL);
	make(f, &way, &size);
	CU_ASSERT_EQUAL_FATAL(fixture_lv(f, "full", f->group->free_extents), 0);
	CU_ASSERT_EQUAL(ask(f, (struct volume_convert){ .stripe_size = 128 * K }), -ENOSPC);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "on the PV that it is on"));
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "full", &f->error), 0);
	CU_ASSERT_EQUAL(ask(f, (struct volume_convert){ .stripe_size = 128 * K }), 0);
}

/* In the middle, and as long as there is room, other sizes and levels have to wait. */
static void in_the_middle(struct fixture *f)
{
	const struct way way = { .from = "raid5", .stripes = 2 };
	uint64_t size;

	fixture_create(f, NULL);
	make(f, &way, &size);
	f->context.no_resync = true;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(ask(f, (struct volume_convert){ .type = "raid5_la" }), 0);
	CU_ASSERT_EQUAL(ask(f, (struct volume_convert){ .type = "raid5_ra" }), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "is being reshaped already"));
	CU_ASSERT_EQUAL(ask(f, (struct volume_convert){ .type = "raid5_la" }), -EBUSY);
	CU_ASSERT_EQUAL(ask(f, (struct volume_convert){ .type = "raid6" }), -EBUSY);
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "a", 8 * MIB, NULL, &f->error), -EBUSY);
	CU_ASSERT_TRUE(reads(f, 7, size));
}

/* An image that is being filled is none that data can be taken from. */
static void not_whole(struct fixture *f)
{
	const struct way way = { .from = "raid5", .stripes = 2 };
	uint64_t size;
	unsigned replaced;
	struct volume_pv *from;

	fixture_create(f, NULL);
	make(f, &way, &size);
	f->context.no_resync = true;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	from = lv_of(f)->segments->areas[0].lv->segments->areas->pv;
	CU_ASSERT_EQUAL(volume_lv_replace(f->group, "a", &from, 1, NULL, &replaced, &f->error), 0);
	CU_ASSERT_EQUAL(ask(f, (struct volume_convert){ .type = "raid5_la" }), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "not all of its images have all data"));
	CU_ASSERT_TRUE(reads(f, 7, size));
}

static void test_refused(void)
{
	fixture_run(refused, 4, 24 * MIB);
	fixture_run(no_room, 4, 24 * MIB);
	fixture_run(in_the_middle, 4, 24 * MIB);
	fixture_run(not_whole, 4, 24 * MIB);
}

/* ---- The way that is named where one step does not do ---- */

static const struct {
	const char *from;
	unsigned stripes;
	const char *to;
} far[] = {
	{ "linear", 1, "raid6" },     { "linear", 1, "raid0" },     { "raid1", 1, "raid10" },
	{ "raid1", 1, "raid0" },      { "raid5", 2, "raid0" },      { "raid5_la", 2, "raid10" },
	{ "raid6", 3, "striped" },    { "raid6", 3, "raid5_rs" },   { "raid4", 2, "raid5_ls" },
	{ "striped", 2, "raid5_ls" }, { "striped", 3, "raid6_zr" }, { "raid10", 2, "raid5_ra" },
	{ "raid5", 2, "raid6_zr" },
};
static unsigned far_now;

/* Options as the advice has them. */
static void take_step(struct fixture *f, const char *options)
{
	struct volume_convert wish = { 0 };
	char type[32] = "";

	if (sscanf(options, " --type %31[a-z0-9_]", type) == 1)
		wish.type = type;
	if (strstr(options, "--mirrors 1"))
		wish.mirrors = 1;
	if (strstr(options, "--stripes"))
		wish.stripes = (unsigned)strtoul(strstr(options, "--stripes") + 9, NULL, 10);
	for (unsigned i = 0; i < (strstr(options, "twice") ? 2u : 1u); i++) {
		int rc = ask(f, wish);

		if (rc)
			printf("  %s: %s\n", options, f->error.text);
		CU_ASSERT_EQUAL(rc, 0);
		if (volume_lv_is_raid(lv_of(f)) && strncmp(volume_lv_type(lv_of(f)), "raid0", 5))
			wait_over(f);
	}
}

static void by_the_way(struct fixture *f)
{
	const char *to = far[far_now].to;
	struct volume_lv_options options = { .type = far[far_now].from,
					     .extents = 6,
					     .stripes = far[far_now].stripes };
	char advice[sizeof(f->error.advice)], *step, *rest;
	struct block *block;
	uint64_t size;

	if (options.stripes == 1)
		options.stripes = 0;
	if (strncmp(options.type, "raid", 4) != 0)
		options.type = NULL;
	fixture_create(f, NULL);
	CU_ASSERT_EQUAL_FATAL(volume_lv_create(f->group, "a", &options, NULL, &f->error), 0);
	block = open_lv(f, true);
	if (volume_lv_array(lv_of(f)))
		wait_over(f);
	size = block->size;
	stamp(block, 7, size);
	CU_ASSERT_EQUAL(ask(f, (struct volume_convert){ .type = to }), -EOPNOTSUPP);
	strcpy(advice, f->error.advice);
	step = strstr(advice, "each: ");
	CU_ASSERT_PTR_NOT_NULL_FATAL(step);
	for (step = strtok_r(step + 6, ";", &rest); step; step = strtok_r(NULL, ";", &rest))
		take_step(f, step);
	CU_ASSERT_TRUE(!strncmp(volume_lv_type(lv_of(f)), to, strlen(to)));
	CU_ASSERT_TRUE(is_stamped(block, 7, size));
	block_unref(block);
}

static void test_by_the_way(void)
{
	for (far_now = 0; far_now < ARRAY_SIZE(far); far_now++)
		fixture_run(by_the_way, 6, 32 * MIB);
}

/* By steps from a linear volume to two stripes and a parity, as lvm2 goes. */
static void from_linear(struct fixture *f)
{
	struct volume_lv_options options = { .extents = 6 };
	struct block *block;

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL_FATAL(volume_lv_create(f->group, "a", &options, NULL, &f->error), 0);
	block = open_lv(f, true);
	stamp(block, 7, 6 * MIB);
	CU_ASSERT_EQUAL(ask(f, (struct volume_convert){ .type = "raid5" }), -EOPNOTSUPP);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.advice, ": --type raid1 --mirrors 1; --type raid5"));
	CU_ASSERT_EQUAL(ask(f, (struct volume_convert){ .type = "raid1", .mirrors = 1 }), 0);
	wait_over(f);
	CU_ASSERT_EQUAL(ask(f, (struct volume_convert){ .type = "raid5_n" }), 0);
	wait_over(f);
	CU_ASSERT_EQUAL(ask(f, (struct volume_convert){ .stripes = 2 }), 0);
	wait_over(f);
	CU_ASSERT_EQUAL(block->size, 12 * MIB);
	CU_ASSERT_TRUE(is_stamped(block, 7, 6 * MIB));
	CU_ASSERT_EQUAL(ask(f, (struct volume_convert){ .stripes = 2 }), 0);
	CU_ASSERT_EQUAL(ask(f, (struct volume_convert){ .type = "striped" }), 0);
	CU_ASSERT_STRING_EQUAL(volume_lv_type(lv_of(f)), "striped");
	CU_ASSERT_TRUE(is_stamped(block, 7, 6 * MIB));
	block_unref(block);
}

static void test_steps(void)
{
	fixture_run(from_linear, 4, 24 * MIB);
}

/* ---- Cuts of power ---- */

static unsigned was_old, was_to_begin, was_new;

/* One that missed the beginning of a reshape downwards is filled once that is over, and the array assembled anew. */
static void fill_again(struct fixture *f)
{
	struct block *block = open_lv(f, true);

	wait_over(f);
	block_unref(block);
	block = open_lv(f, true);
	wait_over(f);
	block_unref(block);
}

/* The group has the old or the new volume, or one that is to begin; whichever, it is the new one in the end, with its data. */
static void go_on(struct fixture *f, uint64_t size)
{
	struct volume_reshaped told = { 0 };
	struct block *block;
	unsigned replaced;
	uint64_t keeps = size;

	CU_ASSERT_EQUAL(volume_group_validate(f->group, &f->error), 0);
	keeps = MIN(size, 6 * MIB / the_way->stripes *
				  (the_way->to_stripes ? the_way->to_stripes : the_way->stripes));
	if (volume_lv_is_to_begin(lv_of(f))) {
		was_to_begin++;
		CU_ASSERT_TRUE(reads(f, 7, keeps));
		CU_ASSERT_EQUAL(volume_lv_repair(f->group, "a", NULL, &replaced, &f->error), 0);
	}
	block = open_lv(f, true);
	CU_ASSERT_TRUE(is_stamped(block, 7, keeps));
	wait_over(f);
	CU_ASSERT_TRUE(is_stamped(block, 7, keeps));
	block_unref(block);
	fill_again(f);
	if (!convert(f, the_way, &told) && told.step == VOLUME_RESHAPE_BEGUN) {
		was_old++;
		fill_again(f);
	} else {
		was_new++;
	}
	CU_ASSERT_TRUE(reads(f, 7, keeps));
	while (!convert(f, the_way, NULL))
		;
	if (f->error.code != -EALREADY)
		fprintf(stderr, "%s\n", f->error.text);
	CU_ASSERT_EQUAL(f->error.code, -EALREADY);
	CU_ASSERT_EQUAL(lv_of(f)->segments->area_count, the_way->images);
	check_redundant(f, 7, keeps);
}

/* Whether it was cut: as it begins, or while it goes on, or as room and images are let go. */
static bool convert_with_cut(struct fixture *f, uint64_t after)
{
	struct block *block = NULL;
	uint64_t size;
	bool cut;

	fixture_create(f, &(struct volume_group_options){ .extent_size = MIB, .force = true });
	make(f, the_way, &size);
	block_volatile_cut_after(f->disks[after % f->count], after / f->count, after + 1);
	if (!convert(f, the_way, NULL) && !volume_open_lv(f->group, "a", true, &block, &f->error)) {
		raid_rebuild_wait(volume_lv_array(lv_of(f)), NULL, NULL, 1000000000, NULL);
		block_unref(block);
		while (!convert(f, the_way, NULL))
			;
	}
	cut = block_volatile_is_off(f->disks[after % f->count]);
	volume_scan_free(steal_pointer(&f->scan));
	fixture_cut_power(f, f->count, after + 1);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(lv_of(f));
	go_on(f, size);
	volume_scan_free(steal_pointer(&f->scan));
	return cut;
}

static unsigned step;

static void cut_everywhere(struct fixture *f)
{
	uint64_t after = 0;
	unsigned whole = 0;

	fixture_make_volatile(f);
	was_old = was_to_begin = was_new = 0;
	/* Until no disk has so many requests. */
	for (; whole < f->count; after += step)
		whole = convert_with_cut(f, after) ? 0 : whole + 1;
	CU_ASSERT(was_new > 0);
	if (getenv("TORTURE"))
		printf("%s to %s: %u old, %u to begin, %u new\n", the_way->from, the_way->type,
		       was_old, was_to_begin, was_new);
}

static void test_cuts(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
		the_way = &ways[i];
		step = getenv("TORTURE") ? 1 : 41;
		fixture_run(cut_everywhere, the_way->disks, 24 * MIB);
	}
}

UNIT_MAIN("volume reshape", UNIT(test_ways), UNIT(test_unreadable), UNIT(test_refused),
	  UNIT(test_by_the_way), UNIT(test_steps), UNIT(test_cuts))
