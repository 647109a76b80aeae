/* SPDX-License-Identifier: BSD-2-Clause */
/* How fast a rebuild goes: floor, ceiling, and that it lets requests go first. Virtual time, in which disks take none. */
#include <errno.h>
#include <string.h>

#include "raid_rig.h"

#define SECOND 1000000000ull
#define KIB    1024ull

struct guest {
	struct raid_rig *rig;
	bool stop;
	struct fiber *fiber;
};

/* A request each millisecond. */
static int guest_fiber(void *arg)
{
	struct guest *guest = arg;
	uint8_t bytes[4096] = { 0 };

	while (!guest->stop) {
		block_read(raid_array_block(guest->rig->array), 0, bytes, sizeof(bytes));
		fiber_sleep(SECOND / 1000);
	}
	return 0;
}

static void guest_begin(struct guest *guest, struct raid_rig *rig)
{
	*guest = (struct guest){ .rig = rig };
	guest->fiber = fiber_spawn(guest_fiber, guest);
}

static void guest_end(struct guest *guest)
{
	guest->stop = true;
	fiber_join(guest->fiber);
}

static struct raid_progress progress_of(struct raid_rig *rig)
{
	struct raid_progress progress;
	struct raid_status status;

	raid_status(rig->array, &status);
	progress = status.progress;
	raid_status_free(&status);
	return progress;
}

/* An array that lacks a member, which is to be added. */
static void begin(struct raid_rig *rig, struct raid_speed speed)
{
	const struct raid_create_options options = { .name = "s",
						     .level = 1,
						     .assume_clean = true };

	rig_create(rig, 2, &options);
	raid_sync_set_speed(rig->array, speed);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
}

static void add(struct raid_rig *rig)
{
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[2], &rig->error), 0);
}

/* 3 MiB of data, in windows of half a MiB, the first at once. */
static void ceiling(struct raid_rig *rig)
{
	uint64_t start;

	begin(rig, (struct raid_speed){ RAID_SPEED_LEAST, 1024 * KIB });
	start = worker_now();
	add(rig);
	rig_wait(rig);
	CU_ASSERT_EQUAL(worker_now() - start, 5 * SECOND / 2);
}

static void test_ceiling(void)
{
	rig_run(ceiling);
}

/* Another limit holds at once. */
static void another_limit_is_live(struct raid_rig *rig)
{
	begin(rig, (struct raid_speed){ RAID_SPEED_LEAST, KIB });
	add(rig);
	fiber_sleep(10 * SECOND);
	CU_ASSERT(progress_of(rig).position <= 1024 * KIB);
	raid_sync_set_speed(rig->array, (struct raid_speed){ RAID_SPEED_LEAST, 0 });
	fiber_sleep(SECOND / 2);
	CU_ASSERT_EQUAL(rig_state(rig, 2), RAID_MEMBER_IN_SYNC);
}

static void test_another_limit_is_live(void)
{
	rig_run(another_limit_is_live);
}

/* While the array is used, the floor is all that a rebuild gets, in requests behind which nobody waits long; then all there is. */
static void requests_go_first(struct raid_rig *rig)
{
	struct guest guest;
	uint64_t position, writes;

	begin(rig, (struct raid_speed){ 128 * KIB, 0 });
	guest_begin(&guest, rig);
	fiber_sleep(SECOND);
	add(rig);
	writes = rig_writes(rig, 2);
	fiber_sleep(8 * SECOND + SECOND / 2);
	position = progress_of(rig).position;
	CU_ASSERT(rig_writes(rig, 2) - writes >= position / (64 * KIB));
	CU_ASSERT_EQUAL(progress_of(rig).operation, RAID_RECOVER);
	CU_ASSERT(position >= 1024 * KIB && position <= 1536 * KIB);
	guest_end(&guest);
	fiber_sleep(SECOND / 10);
	CU_ASSERT_EQUAL(rig_state(rig, 2), RAID_MEMBER_IN_SYNC);
}

static void test_requests_go_first(void)
{
	rig_run(requests_go_first);
}

/* A floor that is higher than what windows one after the other come to is reached, too: several go at a time. */
static void high_floor_is_reached(struct raid_rig *rig)
{
	struct guest guest;

	begin(rig, (struct raid_speed){ 64 * 1024 * KIB, 0 });
	for (unsigned i = 0; i < 3; i++)
		block_fault_add(rig->disk[i],
				&(struct block_fault_rule){ .requests = BLOCK_FAULT_ALL,
							    .action = BLOCK_FAULT_LATENCY,
							    .latency_ns = SECOND / 100 });
	guest_begin(&guest, rig);
	fiber_sleep(SECOND / 10);
	add(rig);
	fiber_sleep(SECOND / 2);
	CU_ASSERT_EQUAL(rig_state(rig, 2), RAID_MEMBER_IN_SYNC);
	guest_end(&guest);
}

static void test_high_floor_is_reached(void)
{
	rig_run(high_floor_is_reached);
}

/* Without a floor it stands still, and can be stopped all the same. */
static void no_floor(struct raid_rig *rig)
{
	enum raid_operation stopped;
	struct guest guest;

	begin(rig, (struct raid_speed){ 0, 0 });
	guest_begin(&guest, rig);
	fiber_sleep(SECOND);
	add(rig);
	fiber_sleep(100 * SECOND);
	CU_ASSERT_EQUAL(progress_of(rig).operation, RAID_RECOVER);
	CU_ASSERT_EQUAL(progress_of(rig).position, 0);
	CU_ASSERT_EQUAL(raid_sync_stop(rig->array, &stopped, &rig->error), 0);
	CU_ASSERT_EQUAL(stopped, RAID_RECOVER);
	raid_sync_resume(rig->array);
	guest_end(&guest);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, 2), RAID_MEMBER_IN_SYNC);
}

static void test_no_floor(void)
{
	rig_run(no_floor);
}

UNIT_MAIN("raid speed", UNIT(test_ceiling), UNIT(test_another_limit_is_live),
	  UNIT(test_requests_go_first), UNIT(test_high_floor_is_reached), UNIT(test_no_floor))
