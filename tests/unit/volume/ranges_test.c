/* SPDX-License-Identifier: BSD-2-Clause */
/* volume/: volumes that are made, grow and move within ranges of extents. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/cleanup.h"
#include "volume/volume_move.h"
#include "volume_fixture.h"

#define EXTENT (64u << 10)
#define SIZE   (5u << 20) /* 64 extents */

static const struct volume_group_options group_options = { .extent_size = EXTENT };

static struct volume_range range(const struct fixture *f, unsigned disk, uint32_t first,
				 uint32_t last)
{
	for (unsigned i = 0; i < f->group->pv_count; i++)
		if (f->group->pvs[i]->block == f->disks[disk])
			return (struct volume_range){ f->group->pvs[i], first, last };
	CU_FAIL_FATAL("no such disk");
	return (struct volume_range){ 0 };
}

/* "d0:4 x 2, ..." */
static void lies(const struct fixture *f, const char *name, const char *expected)
{
	const struct volume_lv *lv = volume_group_get_lv(f->group, name);
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	for (unsigned i = 0; lv && i < lv->segment_count; i++)
		for (unsigned k = 0; k < lv->segments[i].area_count; k++)
			fprintf(to, "%s%s:%u x %u", i || k ? ", " : "",
				lv->segments[i].areas[k].pv->block->name,
				lv->segments[i].areas[k].extent,
				lv->segments[i].extent_count / lv->segments[i].area_count);
	fclose(to);
	if (strcmp(text, expected))
		printf("  %s lies on %s, expected %s\n", name, text, expected);
	CU_ASSERT_STRING_EQUAL(text, expected);
	free(text);
}

static int make(struct fixture *f, const char *name, uint32_t extents, unsigned stripes,
		const struct volume_range *ranges, unsigned count)
{
	struct volume_pv *pvs[4];
	struct volume_lv_options options = {
		.extents = extents,
		.stripes = stripes,
		.stripe_size = 8192,
		.pvs = pvs,
		.pv_count = count,
		.ranges = ranges,
		.range_count = count,
	};

	for (unsigned i = 0; i < count; i++)
		pvs[i] = ranges[i].pv;
	return volume_lv_create(f->group, name, &options, NULL, &f->error);
}

static void made_within(struct fixture *f)
{
	fixture_create(f, &group_options);
	{
		const struct volume_range two[] = { range(f, 0, 10, 12), range(f, 0, 4, 5) };
		const struct volume_range overlap[] = { range(f, 1, 20, 24), range(f, 1, 22, 25) };
		const struct volume_range stripes[] = { range(f, 0, 40, 45), range(f, 1, 50, 63) };
		uint64_t extents;

		CU_ASSERT_EQUAL(volume_free_in(f->group, two, 2, &extents), 0);
		CU_ASSERT_EQUAL(extents, 5);
		CU_ASSERT_EQUAL(make(f, "no", 6, 1, two, 2), -ENOSPC);
		CU_ASSERT_EQUAL(make(f, "a", 4, 1, two, 2), 0);
		lies(f, "a", "d0:10 x 3, d0:4 x 1");
		CU_ASSERT_EQUAL(make(f, "no", 2, 1, two, 2), -ENOSPC);
		CU_ASSERT_EQUAL(make(f, "b", 1, 1, two, 2), 0);
		lies(f, "b", "d0:5 x 1");
		/* Nothing is given twice. */
		CU_ASSERT_EQUAL(volume_free_in(f->group, overlap, 2, &extents), 0);
		CU_ASSERT_EQUAL(extents, 6);
		CU_ASSERT_EQUAL(make(f, "no", 7, 1, overlap, 2), -ENOSPC);
		CU_ASSERT_EQUAL(make(f, "s", 8, 2, stripes, 2), 0);
		lies(f, "s", "d0:40 x 4, d1:50 x 4");
		CU_ASSERT_EQUAL(make(f, "no", 6, 2, stripes, 2), -ENOSPC);
	}
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	lies(f, "a", "d0:10 x 3, d0:4 x 1");
}

static void test_made_within(void)
{
	fixture_run(made_within, 2, SIZE);
}

static int move(struct fixture *f, const struct volume_range *from, unsigned from_count,
		const struct volume_range *to, unsigned to_count, uint32_t *extents)
{
	struct volume_pv *pv = to->pv;
	const struct volume_move_options options = {
		.from = from->pv,
		.from_ranges = from,
		.from_range_count = from_count,
		.to = &pv,
		.to_count = 1,
		.to_ranges = to,
		.to_range_count = to_count,
	};
	int rc = volume_move_begin(f->group, &options, extents, &f->error);

	if (!rc)
		rc = volume_move_start(f->group, NULL, &f->error);
	return rc ? rc : volume_move_wait(f->group, NULL, NULL, 1000000, &f->error);
}

static void moved_within(struct fixture *f)
{
	CLEANUP_BLOCK struct block *a = NULL, *s = NULL;
	uint32_t extents = 0;

	fixture_create(f, &group_options);
	{
		const struct volume_range whole = range(f, 0, 0, 9);
		const struct volume_range stripes[] = { range(f, 0, 20, 29), range(f, 1, 20, 29) };
		const struct volume_range from[] = { range(f, 0, 22, 22), range(f, 0, 6, 7),
						     range(f, 0, 2, 3) };
		const struct volume_range to = range(f, 1, 40, 44), small = range(f, 1, 60, 61);

		CU_ASSERT_EQUAL(make(f, "a", 10, 1, &whole, 1), 0);
		CU_ASSERT_EQUAL(make(f, "s", 10, 2, stripes, 2), 0);
		CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "a", true, &a, &f->error), 0);
		CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "s", true, &s, &f->error), 0);
		fixture_fill(a, 1);
		fixture_fill(s, 2);
		/* The other stripe of s is there. */
		CU_ASSERT_EQUAL(move(f, from, 3, &to, 1, &extents), -ENOSPC);
		CU_ASSERT_EQUAL(move(f, from + 1, 2, &small, 1, &extents), -ENOSPC);
		lies(f, "a", "d0:0 x 10");
		CU_ASSERT_EQUAL(move(f, from + 1, 2, &to, 1, &extents), 0);
	}
	CU_ASSERT_EQUAL(extents, 4);
	lies(f, "a", "d0:0 x 2, d1:40 x 2, d0:4 x 2, d1:42 x 2, d0:8 x 2");
	{
		const struct volume_range from[] = { range(f, 0, 22, 22), range(f, 0, 24, 63) };
		const struct volume_range to = range(f, 2, 7, 20);

		CU_ASSERT_EQUAL(move(f, from, 2, &to, 1, &extents), 0);
		CU_ASSERT_EQUAL(extents, 2);
		CU_ASSERT_EQUAL(move(f, from, 2, &to, 1, &extents), -ENOENT);
	}
	lies(f, "s",
	     "d0:20 x 2, d1:20 x 2, d2:7 x 1, d1:22 x 1, d0:23 x 1, d1:23 x 1, d2:8 x 1, d1:24 x "
	     "1");
	CU_ASSERT(fixture_filled(a, 1));
	CU_ASSERT(fixture_filled(s, 2));
	CU_ASSERT_EQUAL(block_flush(s), 0);
}

static void test_moved_within(void)
{
	fixture_run(moved_within, 3, SIZE);
}

UNIT_MAIN("volumes within ranges of extents", UNIT(test_made_within), UNIT(test_moved_within))
