/* SPDX-License-Identifier: BSD-2-Clause */
/* volume/: recovery rates of RAID volumes, as lvchange --minrecoveryrate and --maxrecoveryrate of lvm2. Virtual time. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "raid/raid.h"
#include "volume/lvm_vg.h"
#include "volume/volume_raid.h"
#include "volume_fixture.h"

static int set_rates(struct fixture *f, const char *name, const uint64_t *least,
		     const uint64_t *most)
{
	const struct volume_settings settings = { .recovery_least = least, .recovery_most = most };

	memset(&f->error, 0, sizeof(f->error));
	return volume_lv_set(f->group, name, &settings, &f->error);
}

static struct raid_speed rates(struct fixture *f, const char *name)
{
	return volume_lv_speed(volume_group_get_lv(f->group, name));
}

static struct raid_speed of_array(struct fixture *f, const char *name)
{
	struct raid_status status;
	struct raid_speed speed;

	raid_status(volume_lv_array(volume_group_get_lv(f->group, name)), &status);
	speed = status.speed;
	raid_status_free(&status);
	return speed;
}

static void kept(struct fixture *f)
{
	const uint64_t none = 0, least = 100, most = 64 << 10, huge = 1ull << 42;
	struct block *block;

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL_FATAL(fixture_raid(f, "a", "raid5", 2), 0);
	CU_ASSERT_EQUAL_FATAL(fixture_raid(f, "z", "raid0", 2), 0);
	CU_ASSERT_EQUAL_FATAL(fixture_lv(f, "l", 1), 0);
	CU_ASSERT_EQUAL(set_rates(f, "l", NULL, &most), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(set_rates(f, "z", NULL, &most), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(set_rates(f, "a", NULL, &huge), -EINVAL);
	CU_ASSERT_EQUAL(set_rates(f, "a", &huge, NULL), -EINVAL);
	CU_ASSERT_EQUAL(set_rates(f, "a", &least, &most), 0);
	CU_ASSERT_EQUAL(set_rates(f, "a", &huge, &most), -EINVAL);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	/* whole KiB, as the metadata have them */
	CU_ASSERT_EQUAL(rates(f, "a").least, 1024);
	CU_ASSERT_EQUAL(rates(f, "a").most, most);
	block = fixture_open(f, "a", true);
	CU_ASSERT_EQUAL(of_array(f, "a").least, 1024);
	CU_ASSERT_EQUAL(of_array(f, "a").most, most);
	/* at once, while it is synchronized; and the rate that is above the other one is refused */
	CU_ASSERT_EQUAL(set_rates(f, "a", &most, &least), -EINVAL);
	CU_ASSERT_EQUAL(of_array(f, "a").most, most);
	CU_ASSERT_EQUAL(set_rates(f, "a", &none, &least), 0);
	CU_ASSERT_EQUAL(of_array(f, "a").most, 1024);
	CU_ASSERT_EQUAL(set_rates(f, "a", NULL, &none), 0);
	CU_ASSERT_EQUAL(of_array(f, "a").most, 0);
	CU_ASSERT_EQUAL(of_array(f, "a").least, RAID_SPEED_LEAST);
	fixture_wait_in_sync(f, "a");
	block_unref(block);
	CU_ASSERT_EQUAL(set_rates(f, "a", &most, &none), 0);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(rates(f, "a").least, most);
	CU_ASSERT_EQUAL(rates(f, "a").most, 0);
	CU_ASSERT_EQUAL(set_rates(f, "a", &none, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(rates(f, "a").least, 0);
	CU_ASSERT_PTR_NULL(volume_group_get_lv(f->group, "a")->segments->private->extra);
}

static void test_kept(void)
{
	fixture_run(kept, 3, 16 * MIB);
}

/* What is to be filled goes at that rate: a MiB an image a second, four of them. */
static void obeyed(struct fixture *f)
{
	const uint64_t most = MIB;
	struct block *block;
	uint64_t began;

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL_FATAL(fixture_raid(f, "a", "raid1", 4), 0);
	CU_ASSERT_EQUAL(set_rates(f, "a", NULL, &most), 0);
	block = fixture_open(f, "a", true);
	began = worker_now();
	fixture_wait_in_sync(f, "a");
	CU_ASSERT_TRUE(worker_now() - began > 3000000000ull);
	block_unref(block);
}

static void test_obeyed(void)
{
	fixture_run(obeyed, 2, 16 * MIB);
}

UNIT_MAIN("volume raid recovery rates", UNIT(test_kept), UNIT(test_obeyed))
