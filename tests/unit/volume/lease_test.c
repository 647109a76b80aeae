/* SPDX-License-Identifier: BSD-2-Clause */
/* Volumes that another process reads and writes by itself (block/lease.h). */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "lease_pair.h"
#include "util/bytes.h"
#include "volume_fixture.h"

#define DISKS 3
#define STEP  4096u /* of requests: as direct I/O may want it */
#define MOST  (2 * MIB)

/* Memory that direct I/O takes, and such that it does not. */
struct memory {
	uint8_t *data, *back;
};

/* What the one writes the other reads, wherever that begins and however long it is. */
static void compare(struct fixture *f, const struct lease_pair *pair, struct block *volume,
		    const struct memory *memory)
{
	for (unsigned i = 0; i < 200; i++) {
		uint64_t most = MIN(MOST, volume->size) / STEP;
		uint64_t length = (1 + random_below(&f->random, most)) * STEP;
		uint64_t offset =
			random_below(&f->random, (volume->size - length) / STEP + 1) * STEP;
		uint8_t *data = memory->data + (i % 4 < 2), *back = memory->back + (i % 4 < 2);
		bool theirs = i % 2;
		int rc;

		for (uint64_t at = 0; at < length; at += 8)
			put_le64(data + at, random_next(&f->random));
		rc = theirs ? block_write(volume, offset, data, length, 0)
			    : lease_use_transfer(pair->use, true, offset, data, length);
		CU_ASSERT_EQUAL_FATAL(rc, 0);
		rc = theirs ? lease_use_transfer(pair->use, false, offset, back, length)
			    : block_read(volume, offset, back, length);
		CU_ASSERT_EQUAL_FATAL(rc, 0);
		CU_ASSERT_FATAL(!memcmp(data, back, length));
	}
}

static void check_leased(struct fixture *f, const char *name)
{
	struct memory memory = { .data = NULL };
	struct block *volume;
	struct lease_pair pair;

	CU_ASSERT_EQUAL_FATAL(posix_memalign((void **)&memory.data, STEP, MOST + STEP), 0);
	CU_ASSERT_EQUAL_FATAL(posix_memalign((void **)&memory.back, STEP, MOST + STEP), 0);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, name, true, &volume, &f->error), 0);
	CU_ASSERT_EQUAL_FATAL(lease_pair_give(&pair, volume, 0), 0);
	CU_ASSERT_EQUAL(pair.use->size, volume->size);
	CU_ASSERT_EQUAL(pair.use->extent_count, volume_group_get_lv(f->group, name)->segment_count);
	compare(f, &pair, volume, &memory);
	lease_pair_end(&pair, true);
	block_unref(volume);
	free(memory.data);
	free(memory.back);
}

static void make_striped(struct fixture *f, const char *name, unsigned stripes,
			 uint32_t stripe_size, uint64_t size)
{
	const struct volume_lv_options options = { .size = size,
						   .stripes = stripes,
						   .stripe_size = stripe_size };

	CU_ASSERT_EQUAL_FATAL(volume_lv_create(f->group, name, &options, NULL, &f->error), 0);
}

/* However many chunks there are: "many" has 15,360, and each segment is one piece. */
static void stripes_are_leased(struct fixture *f)
{
	fixture_put_files(f, unit_directory());
	fixture_create(f, NULL);
	make_striped(f, "many", 3, 65536, 960 * MIB);
	make_striped(f, "small", 2, 4096, 4 * MIB);
	make_striped(f, "other", 3, 0, 6 * MIB);
	CU_ASSERT_EQUAL_FATAL(fixture_lv(f, "linear", 3), 0);
	CU_ASSERT_EQUAL_FATAL(volume_lv_resize(f->group, "small", 10 * MIB, NULL, &f->error), 0);
	CU_ASSERT_EQUAL_FATAL(volume_lv_resize(f->group, "many", 990 * MIB, NULL, &f->error), 0);
	CU_ASSERT_EQUAL(volume_group_get_lv(f->group, "many")->segment_count, 2);
	CU_ASSERT_EQUAL(volume_group_get_lv(f->group, "small")->segment_count, 2);
	check_leased(f, "many");
	check_leased(f, "small");
	check_leased(f, "linear");
}

static void test_stripes_are_leased(void)
{
	fixture_run(stripes_are_leased, DISKS, 400 * MIB);
}

/* What a volume is called, and its tags, is nothing to who reads and writes it; where it lies is. */
static void other_names_end_none(struct fixture *f)
{
	static const char *const tags[] = { "t" };
	const struct volume_settings settings = { .add_tags = tags, .add_count = 1 };
	struct lease_pair pair;
	struct block *volume;

	fixture_put_files(f, unit_directory());
	fixture_create(f, NULL);
	CU_ASSERT_EQUAL_FATAL(fixture_lv(f, "a", 3), 0);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "a", true, &volume, &f->error), 0);
	CU_ASSERT_EQUAL_FATAL(lease_pair_give(&pair, volume, 0), 0);
	CU_ASSERT_EQUAL(volume_lv_set(f->group, "a", &settings, &f->error), 0);
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "a", "b", &f->error), 0);
	CU_ASSERT_FALSE(lease_pair_is_told(&pair));
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "b", 4 * MIB, NULL, &f->error), 0);
	CU_ASSERT(lease_pair_is_told(&pair));
	lease_pair_end(&pair, true);
	block_unref(volume);
}

static void test_other_names_end_none(void)
{
	fixture_run(other_names_end_none, 1, 400 * MIB);
}

/* A volume's disks that are no files are the server's alone. */
static void memory_is_not_leased(struct fixture *f)
{
	struct lease_pair pair;
	struct block *volume;

	fixture_create(f, NULL);
	make_striped(f, "s", 2, 0, 4 * MIB);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "s", true, &volume, NULL), 0);
	CU_ASSERT_EQUAL(lease_pair_give(&pair, volume, 0), -EOPNOTSUPP);
	block_unref(volume);
}

static void test_memory_is_not_leased(void)
{
	fixture_run(memory_is_not_leased, 2, 16 * MIB);
}

UNIT_MAIN("leases of volumes", UNIT(test_stripes_are_leased), UNIT(test_memory_is_not_leased),
	  UNIT(test_other_names_end_none))
