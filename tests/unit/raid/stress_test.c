/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes, reads, failures, additions and rebuilds at the same time, on members that answer late and out
 * of order: what was written is read all the while, and the mirrors are equal in the end. Virtual time.
 */
#include <stdlib.h>
#include <string.h>

#include "raid_rig.h"
#include "util/random.h"

#define WRITERS 4u
#define UNITS   96u /* of 32 KiB; each writer has a quarter of them */
#define UNIT_   32768u
#define SECOND  1000000000ull

struct scene {
	struct raid_rig *rig;
	bool ended;
	uint8_t seeds[UNITS];
};

struct writer {
	struct scene *scene;
	unsigned index;
	struct random random;
};

static int writer(void *arg)
{
	struct writer *me = arg;
	struct scene *scene = me->scene;

	while (!scene->ended) {
		unsigned unit =
			me->index + WRITERS * (unsigned)random_below(&me->random, UNITS / WRITERS);
		uint64_t offset = unit * (uint64_t)UNIT_;

		if (random_below(&me->random, 3)) {
			uint8_t seed = (uint8_t)(1 + random_below(&me->random, 200));

			rig_write(scene->rig, offset, UNIT_, seed);
			scene->seeds[unit] = seed;
		}
		if (scene->seeds[unit])
			CU_ASSERT(rig_holds(scene->rig, offset, UNIT_, scene->seeds[unit]));
		fiber_sleep(random_below(&me->random, 20000000));
	}
	return 0;
}

/* While others write. */
static void check_mirrors(struct raid_rig *rig)
{
	struct raid_status status;

	rig_wait(rig);
	CU_ASSERT_EQUAL(raid_scrub_start(rig->array, false, &rig->error), 0);
	rig_wait(rig);
	raid_status(rig->array, &status);
	CU_ASSERT_EQUAL(status.progress.mismatches, 0);
	raid_status_free(&status);
}

/* Members fail and come back, until the scene has lasted long enough. */
static void meddle(struct scene *scene, struct random *random)
{
	struct raid_rig *rig = scene->rig;

	for (unsigned i = 0; i < 15; i++) {
		unsigned disk = (unsigned)random_below(random, 3);
		const char *name = rig->disk[disk]->name;
		int rule = -1;

		fiber_sleep(random_below(random, SECOND));
		if (random_below(random, 2)) {
			rule = rig_break(rig, disk, BLOCK_FAULT_WRITE, 0, 0);
			fiber_sleep(SECOND / 2);
		} else {
			raid_fail(rig->array, name, &rig->error);
		}
		fiber_sleep(random_below(random, SECOND));
		if (rule >= 0)
			block_fault_remove(rig->disk[disk], rule);
		if (rig_state(rig, disk) != RAID_MEMBER_FAULTY)
			continue;
		CU_ASSERT_EQUAL(raid_remove(rig->array, name, &rig->error), 0);
		CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[disk], &rig->error), 0);
		if (random_below(random, 2))
			check_mirrors(rig);
	}
	rig_wait(rig);
}

static void stress(struct raid_rig *rig, bool bitmap)
{
	struct raid_create_options options = { .name = "m", .level = 1, .rebuild_rate = 3 << 20 };
	struct scene scene = { .rig = rig };
	struct random random = { 11 };
	struct writer writers[WRITERS];
	struct fiber *fibers[WRITERS];
	struct raid_status status;

	if (bitmap) {
		options.bitmap = RAID_BITMAP_INTERNAL;
		options.bitmap_chunk = 65536;
	}
	for (unsigned i = 0; i < 3; i++)
		block_fault_add(rig->disk[i],
				&(struct block_fault_rule){ .requests = BLOCK_FAULT_ALL,
							    .chance = 500000,
							    .action = BLOCK_FAULT_LATENCY,
							    .latency_ns = 1000000 * (i + 1) });
	rig_create(rig, 3, &options);
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){ &scene, i, { i } };
		fibers[i] = fiber_spawn(writer, &writers[i]);
	}
	meddle(&scene, &random);
	scene.ended = true;
	for (unsigned i = 0; i < WRITERS; i++)
		fiber_join(fibers[i]);
	raid_status(rig->array, &status);
	CU_ASSERT_EQUAL(status.working, 3);
	raid_status_free(&status);
	check_mirrors(rig);
	rig_stop(rig);
	CU_ASSERT(rig_equal(rig, 0, 1));
	CU_ASSERT(rig_equal(rig, 0, 2));
}

static void stress_plain(struct raid_rig *rig)
{
	stress(rig, false);
}

static void stress_bitmap(struct raid_rig *rig)
{
	stress(rig, true);
}

static void test_stress(void)
{
	rig_run(stress_plain);
}

static void test_stress_with_a_bitmap(void)
{
	rig_run(stress_bitmap);
}

UNIT_MAIN("raid stress", UNIT(test_stress), UNIT(test_stress_with_a_bitmap))
