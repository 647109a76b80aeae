/* SPDX-License-Identifier: BSD-2-Clause */
/* volume/: one active object for each volume, volumes on volumes, and a group that does not grow by its changes. */
#include "unit.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "volume/active.h"
#include "volume_fixture.h"

static void opens_share_one_table(struct fixture *f)
{
	struct block *one, *two, *reader;
	const struct volume_lv *lv;
	char sector[512] = "shared", found[512];

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL_FATAL(fixture_lv(f, "a", 2), 0);
	lv = volume_group_get_lv(f->group, "a");
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "a", true, &one, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "a", true, &two, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "a", false, &reader, NULL), 0);
	CU_ASSERT_PTR_EQUAL(one, two);
	CU_ASSERT_PTR_NOT_EQUAL(one, reader);
	CU_ASSERT(reader->read_only);
	CU_ASSERT_EQUAL(lv->open_count, 2);
	block_unref(two);
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "a", 5 * MIB, NULL, NULL), 0);
	CU_ASSERT_EQUAL(one->size, 5 * MIB);
	CU_ASSERT_EQUAL(reader->size, 5 * MIB);
	CU_ASSERT_EQUAL(block_write(one, 4 * MIB, sector, sizeof(sector), 0), 0);
	block_unref(one);
	CU_ASSERT_EQUAL(lv->open_count, 1);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "a", NULL), -EBUSY);
	CU_ASSERT_EQUAL(block_read(reader, 4 * MIB, found, sizeof(found)), 0);
	CU_ASSERT_EQUAL(memcmp(sector, found, sizeof(found)), 0);
	block_unref(reader);
	CU_ASSERT_EQUAL(lv->open_count, 0);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "a", NULL), 0);
}

static void test_opens_share_one_table(void)
{
	fixture_run(opens_share_one_table, 2, 16 * MIB);
}

/* While a volume changes nobody reads or writes it past us, whoever opens it in the middle. */
static void changes_bar_leases(struct fixture *f)
{
	struct block *reader, *writer;
	struct volume_lv *lv;

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL_FATAL(fixture_lv(f, "a", 2), 0);
	lv = (struct volume_lv *)volume_group_get_lv(f->group, "a");
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "a", false, &reader, NULL), 0);
	/* What does not move it is no change to them. */
	CU_ASSERT_EQUAL(lvm_active_prepare(f->group, lv, NULL), 0);
	CU_ASSERT_FALSE(reader->leases.barred);
	lvm_active_swap(lv, true);
	for (unsigned made = 0; made < 2; made++) {
		lv->segments->areas->extent++;
		CU_ASSERT_EQUAL(lvm_active_prepare(f->group, lv, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(lvm_active_open(f->group, lv, true, &writer, NULL), 0);
		CU_ASSERT_TRUE(reader->leases.barred);
		CU_ASSERT_TRUE(writer->leases.barred);
		lvm_active_swap(lv, made);
		CU_ASSERT_FALSE(reader->leases.barred);
		CU_ASSERT_FALSE(writer->leases.barred);
		block_unref(writer);
	}
	block_unref(reader);
}

static void test_changes_bar_leases(void)
{
	fixture_run(changes_bar_leases, 2, 16 * MIB);
}

/* ---- Areas on volumes ---- */

/* Extents 1 to 2 of "u" are extents 0 to 1 of "b", and extent 0 is extent 2 of it. */
#define UPPER(first)                                                                               \
	"u {\nid = \"aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa\"\n"                                   \
	"status = [\"READ\", \"WRITE\", \"VISIBLE\"]\nflags = []\nsegment_count = 2\n\n"           \
	"segment1 {\nstart_extent = 0\nextent_count = 1\n\ntype = \"striped\"\n"                   \
	"stripe_count = 1\n\nstripes = [\n\"" first "\", 2\n]\n}\n"                                \
	"segment2 {\nstart_extent = 1\nextent_count = 2\n\ntype = \"striped\"\n"                   \
	"stripe_count = 1\n\nstripes = [\n\"b\", 0\n]\n}\n}\n}\n\n}\n# Generated"

static void put_upper(struct fixture *f, const char *upper)
{
	char *text, *more;

	CU_ASSERT_EQUAL_FATAL(volume_pv_dump_metadata(f->disks[0], &text, NULL), 0);
	more = fixture_replace(text, "}\n\n}\n# Generated", upper);
	for (unsigned i = 0; i < f->count; i++)
		fixture_put_text(f, i, more);
	free(text);
	free(more);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
}

static void volumes_lie_on_volumes(struct fixture *f)
{
	struct block *lower, *upper, *again;
	char sector[512] = "on the lower one", found[512];

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL_FATAL(fixture_lv(f, "b", 4), 0);
	put_upper(f, UPPER("b"));
	CU_ASSERT(volume_group_get_lv(f->group, "u")->supported);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "u", true, &upper, NULL), 0);
	CU_ASSERT_EQUAL(volume_group_get_lv(f->group, "b")->open_count, 1);
	/* writing below what lies on it is refused, reading shows the same bytes */
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "b", true, &lower, NULL), -EOPNOTSUPP);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "b", false, &lower, NULL), 0);
	CU_ASSERT_EQUAL(block_write(upper, 4096, sector, sizeof(sector), 0), 0);
	CU_ASSERT_EQUAL(block_read(lower, 2 * MIB + 4096, found, sizeof(found)), 0);
	CU_ASSERT_EQUAL(memcmp(sector, found, sizeof(found)), 0);
	CU_ASSERT_EQUAL(block_write(upper, 2 * MIB, sector, sizeof(sector), 0), 0);
	CU_ASSERT_EQUAL(block_read(lower, MIB, found, sizeof(found)), 0);
	CU_ASSERT_EQUAL(memcmp(sector, found, sizeof(found)), 0);
	CU_ASSERT_EQUAL(block_flush(upper), 0);
	/* a change of another volume rewrites it, and those that are open go on */
	CU_ASSERT_EQUAL(fixture_lv(f, "c", 1), 0);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "u", true, &again, NULL), 0);
	CU_ASSERT_PTR_EQUAL(again, upper);
	CU_ASSERT_EQUAL(block_read(upper, 4096, found, sizeof(found)), 0);
	CU_ASSERT_EQUAL(memcmp(sector, found, sizeof(found)), 0);
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "u", 9 * MIB, NULL, NULL), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "b", NULL), -EOPNOTSUPP);
	block_unref(again);
	block_unref(upper);
	block_unref(lower);
	CU_ASSERT_EQUAL(volume_group_get_lv(f->group, "b")->open_count, 0);
}

static void test_volumes_lie_on_volumes(void)
{
	fixture_run(volumes_lie_on_volumes, 2, 16 * MIB);
}

static void what_lies_on_itself_is_not_opened(struct fixture *f)
{
	static const char *const uppers[] = { UPPER("u"), UPPER("nobody"), UPPER("b") };
	struct block *block;
	char *text;

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL_FATAL(fixture_lv(f, "b", 2), 0); /* has no extent 2 */
	CU_ASSERT_EQUAL_FATAL(volume_pv_dump_metadata(f->disks[0], &text, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(uppers); i++) {
		put_upper(f, uppers[i]);
		CU_ASSERT_FALSE(volume_group_get_lv(f->group, "u")->supported);
		CU_ASSERT_EQUAL(volume_open_lv(f->group, "u", false, &block, &f->error),
				-EOPNOTSUPP);
		/* On what is not there lvm2 lets nothing lie. */
		CU_ASSERT_EQUAL(fixture_lv(f, "c", 1), i == 1 ? -EINVAL : 0);
		for (unsigned k = 0; k < f->count; k++)
			fixture_put_text(f, k, text);
		CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	}
	free(text);
}

static void test_what_lies_on_itself_is_not_opened(void)
{
	fixture_run(what_lies_on_itself_is_not_opened, 1, 16 * MIB);
}

/* ---- Memory ---- */

static size_t allocated(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static void round_of_changes(struct fixture *f, unsigned number)
{
	char name[16];

	snprintf(name, sizeof(name), "n%u", number);
	CU_ASSERT_EQUAL_FATAL(fixture_lv(f, name, 1), 0);
	if (number % 8 == 0) {
		CU_ASSERT_EQUAL(volume_lv_resize(f->group, name, 3 * MIB, NULL, NULL), 0);
		CU_ASSERT_EQUAL(volume_lv_rename(f->group, name, "other", NULL), 0);
		CU_ASSERT_EQUAL(volume_lv_set_writable(f->group, "other", false, NULL), 0);
		CU_ASSERT_EQUAL(volume_lv_rename(f->group, "other", name, NULL), 0);
		/* and ones that fail */
		CU_ASSERT_EQUAL(fixture_lv(f, "large", 10000), -ENOSPC);
		CU_ASSERT_EQUAL(volume_lv_resize(f->group, name, 1ull << 40, NULL, NULL), -ENOSPC);
	}
	CU_ASSERT_EQUAL_FATAL(volume_lv_remove(f->group, name, NULL), 0);
}

static void changes_do_not_grow_a_group(struct fixture *f)
{
	struct block *open;
	size_t before = 0;

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL_FATAL(fixture_lv(f, "used", 3), 0);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "used", true, &open, NULL), 0);
	for (unsigned i = 0; i < 10016; i++) {
		if (i == 16)
			before = allocated();
		round_of_changes(f, i);
	}
	/* a pool's chunk more or less */
	CU_ASSERT(allocated() < before + (64u << 10));
	if (allocated() >= before + (64u << 10))
		printf("%zu bytes more\n", allocated() - before);
	block_unref(open);
}

static void test_changes_do_not_grow_a_group(void)
{
	fixture_run(changes_do_not_grow_a_group, 2, 16 * MIB);
}

UNIT_MAIN("volumes in use", UNIT(test_opens_share_one_table), UNIT(test_changes_bar_leases),
	  UNIT(test_volumes_lie_on_volumes), UNIT(test_what_lies_on_itself_is_not_opened),
	  UNIT(test_changes_do_not_grow_a_group))
