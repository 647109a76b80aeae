/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads and writes of mirrors that need no fiber, and what makes them need one. Virtual time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/start.h"
#include "raid/array.h"
#include "raid/intent.h"
#include "raid/md_superblock.h"
#include "raid_rig.h"
#include "util/bytes.h"

#define UNIT_SIZE 4096u

struct started {
	struct block_request request;
	struct iovec iov;
	unsigned ended;
	int rc;
	struct fiber_queue end;
};

static void started_done(struct block_request *request, int rc)
{
	struct started *started = container_of(request, struct started, request);

	started->ended++;
	started->rc = rc;
	fiber_queue_wake_all(&started->end);
}

static bool start(struct started *started, struct raid_rig *rig, enum block_kind kind,
		  uint64_t offset, void *at)
{
	*started = (struct started){ .iov = { at, UNIT_SIZE } };
	fiber_queue_init(&started->end);
	started->request.block = raid_array_block(rig->array);
	started->request.kind = kind;
	started->request.offset = offset;
	started->request.length = UNIT_SIZE;
	started->request.iov = &started->iov;
	started->request.count = 1;
	started->request.done = started_done;
	return block_start(&started->request);
}

static int end(struct started *started)
{
	while (!started->ended)
		fiber_queue_wait_always(&started->end);
	CU_ASSERT_EQUAL(started->ended, 1);
	return started->rc;
}

/* Nothing of a request is left. */
static void check_idle(struct raid_rig *rig)
{
	CU_ASSERT_EQUAL(rig->array->requests, 0);
	CU_ASSERT_EQUAL(rig->array->writes, 0);
	CU_ASSERT_EQUAL(rig->array->block.gate.inside, 0);
	list_for_each(at, &rig->array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);

		CU_ASSERT_EQUAL(member->users, 0);
		CU_ASSERT_EQUAL(member->reads, 0);
	}
	for (uint64_t i = 0; rig->array->intent && i < rig->array->intent->chunks; i++)
		CU_ASSERT_EQUAL(rig->array->intent->state[i].writes, 0);
}

static void create(struct raid_rig *rig, int level, unsigned count, bool bitmap)
{
	const struct raid_create_options options = { .name = "s",
						     .level = level,
						     .chunk = level == 1 ? 0 : 65536,
						     .bitmap = bitmap ? RAID_BITMAP_INTERNAL
								      : RAID_BITMAP_NONE,
						     .bitmap_chunk = bitmap ? 65536 : 0,
						     .assume_clean = true };

	rig_create(rig, count, &options);
}

/* An array that has two members of memory, and nothing between. */
static struct raid_array *plain(struct raid_rig *rig)
{
	const struct raid_create_options options = {
		.name = "p", .level = 1, .bitmap = RAID_BITMAP_NONE, .assume_clean = true
	};
	struct raid_new_member members[2] = { { .block = rig->memory[0] },
					      { .block = rig->memory[1] } };

	CU_ASSERT_EQUAL_FATAL(raid_create(&rig->array, members, 2, &options, &rig->error), 0);
	return rig->array;
}

static void at_once(struct raid_rig *rig)
{
	uint8_t data[UNIT_SIZE], back[UNIT_SIZE] = { 0 };
	unsigned fibers;
	struct started one;

	plain(rig);
	memset(data, 'a', sizeof(data));
	/* Nobody has said yet that it is dirty. */
	CU_ASSERT_FALSE(start(&one, rig, BLOCK_WRITE, 0, data));
	check_idle(rig);
	rig_write(rig, 65536, UNIT_SIZE, 1);
	fibers = worker_fibers();
	CU_ASSERT_TRUE(start(&one, rig, BLOCK_WRITE, 8192, data));
	CU_ASSERT_EQUAL(one.ended, 1);
	CU_ASSERT_EQUAL(one.rc, 0);
	CU_ASSERT_TRUE(start(&one, rig, BLOCK_READ, 8192, back));
	CU_ASSERT_EQUAL(one.ended, 1);
	CU_ASSERT_EQUAL(memcmp(back, data, sizeof(data)), 0);
	CU_ASSERT_EQUAL(worker_fibers(), fibers);
	CU_ASSERT(rig_equal(rig, 0, 1));
	check_idle(rig);
	/* A request of its own for each of two parts is not whole. */
	rig_stop(rig);
	create(rig, 10, 4, false);
	rig_write(rig, 0, 65536, 2);
	CU_ASSERT_FALSE(start(&one, rig, BLOCK_READ, 65536 - 512, back));
	check_idle(rig);
}

static void a_locked_range_waits(struct raid_rig *rig)
{
	uint8_t data[UNIT_SIZE] = { 1 };
	struct range_hold hold;
	struct started one;

	create(rig, 1, 2, false);
	rig_write(rig, 0, 65536, 1);
	range_lock(&rig->array->ranges, &hold, 8, 9);
	CU_ASSERT_FALSE(start(&one, rig, BLOCK_WRITE, 4096, data));
	CU_ASSERT_TRUE(start(&one, rig, BLOCK_WRITE, 8192, data));
	CU_ASSERT_EQUAL(end(&one), 0);
	range_unlock(&rig->array->ranges, &hold);
	CU_ASSERT_TRUE(start(&one, rig, BLOCK_WRITE, 4096, data));
	/* And holds its own as long as it is on its way. */
	CU_ASSERT_FALSE(range_try_lock(&rig->array->ranges, &hold, 8, 9));
	CU_ASSERT_EQUAL(end(&one), 0);
	check_idle(rig);
}

static void bits_come_first(struct raid_rig *rig)
{
	uint8_t data[UNIT_SIZE] = { 1 };
	struct started one;

	create(rig, 1, 2, true);
	rig_write(rig, 0, UNIT_SIZE, 1);
	CU_ASSERT_TRUE(start(&one, rig, BLOCK_WRITE, 4096, data));
	CU_ASSERT_EQUAL(rig->array->intent->state[0].writes, 1);
	CU_ASSERT_EQUAL(end(&one), 0);
	CU_ASSERT_FALSE(start(&one, rig, BLOCK_WRITE, 1 << 20, data));
	check_idle(rig);
	rig_write(rig, 1 << 20, UNIT_SIZE, 1);
	CU_ASSERT_TRUE(start(&one, rig, BLOCK_WRITE, 1 << 20, data));
	CU_ASSERT_EQUAL(end(&one), 0);
	/* Once the bits are cleared it waits again. */
	fiber_sleep(30000000000ull);
	CU_ASSERT_EQUAL(rig->array->intent->set, 0);
	CU_ASSERT_FALSE(start(&one, rig, BLOCK_WRITE, 4096, data));
	check_idle(rig);
}

/* Before such a write is acknowledged the other's superblock says who missed it. */
static void a_member_that_fails(struct raid_rig *rig)
{
	uint8_t data[UNIT_SIZE] = { 7 }, back[UNIT_SIZE];
	struct md_superblock sb;
	struct started one;
	bool found;

	create(rig, 1, 2, true);
	rig_write(rig, 0, 65536, 1);
	rig_break(rig, 1, BLOCK_FAULT_CHANGES, 0, 0);
	CU_ASSERT_TRUE(start(&one, rig, BLOCK_WRITE, 4096, data));
	CU_ASSERT_EQUAL(one.ended, 0);
	CU_ASSERT_EQUAL(end(&one), 0);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_FAULTY);
	CU_ASSERT_EQUAL(md_superblock_find(rig->memory[0], &sb, &found, NULL), 0);
	CU_ASSERT_EQUAL(sb.roles[1], MD_ROLE_FAULTY);
	CU_ASSERT_EQUAL(rig->array->intent->state[0].needed, 1);
	check_idle(rig);
	/* With one leg all goes on, and what it lacks is kept. */
	CU_ASSERT_TRUE(start(&one, rig, BLOCK_WRITE, 8192, data));
	CU_ASSERT_EQUAL(end(&one), 0);
	CU_ASSERT_EQUAL(block_read(raid_array_block(rig->array), 8192, back, sizeof(back)), 0);
	CU_ASSERT_EQUAL(memcmp(back, data, sizeof(data)), 0);
	check_idle(rig);
	block_fault_clear(rig->disk[1]);
}

/* While superblocks are wanted nothing is begun beside them. */
static void superblocks_come_first(struct raid_rig *rig)
{
	uint8_t data[UNIT_SIZE] = { 1 };
	struct started one;

	create(rig, 1, 2, false);
	rig_write(rig, 0, 65536, 1);
	rig->array->super_wanted++;
	CU_ASSERT_FALSE(start(&one, rig, BLOCK_WRITE, 4096, data));
	check_idle(rig);
	CU_ASSERT_EQUAL(block_write(raid_array_block(rig->array), 4096, data, UNIT_SIZE, 0), 0);
	CU_ASSERT_EQUAL(rig->array->super_done, rig->array->super_wanted);
	CU_ASSERT_TRUE(start(&one, rig, BLOCK_WRITE, 4096, data));
	CU_ASSERT_EQUAL(end(&one), 0);
}

static void a_read_error_is_made_good(struct raid_rig *rig)
{
	uint8_t back[UNIT_SIZE];
	struct started one;

	create(rig, 1, 2, false);
	rig_write(rig, 0, 65536, 3);
	for (unsigned disk = 0; disk < 2; disk++)
		block_fault_add(rig->disk[disk],
				&(struct block_fault_rule){ .requests = BLOCK_FAULT_READ,
							    .count = 1,
							    .action = BLOCK_FAULT_ERROR,
							    .error = -EIO });
	for (unsigned i = 0; i < 8; i++) {
		CU_ASSERT_TRUE(start(&one, rig, BLOCK_READ, 4096, back));
		CU_ASSERT_EQUAL(end(&one), 0);
	}
	CU_ASSERT(rig->array->counters.retried_reads > 0);
	CU_ASSERT(rig_holds(rig, 0, 65536, 3));
	check_idle(rig);
	rig_break(rig, 0, BLOCK_FAULT_READ, 0, 0);
	rig_break(rig, 1, BLOCK_FAULT_READ, 0, 0);
	CU_ASSERT_TRUE(start(&one, rig, BLOCK_READ, 4096, back));
	CU_ASSERT_EQUAL(end(&one), -EIO);
	check_idle(rig);
	block_fault_clear(rig->disk[0]);
	block_fault_clear(rig->disk[1]);
}

/* A closed gate of one member: the other's leg is on its way, so this one is waited for. */
static void a_member_that_is_quiesced(struct raid_rig *rig)
{
	uint8_t data[UNIT_SIZE] = { 9 };
	struct started one;

	create(rig, 1, 2, false);
	rig_write(rig, 0, 65536, 1);
	block_quiesce(rig->disk[1]);
	CU_ASSERT_TRUE(start(&one, rig, BLOCK_WRITE, 4096, data));
	fiber_sleep(1000000);
	CU_ASSERT_EQUAL(one.ended, 0);
	block_resume(rig->disk[1]);
	CU_ASSERT_EQUAL(end(&one), 0);
	CU_ASSERT(rig_equal(rig, 0, 1));
	/* Of the first, nothing is begun. */
	block_quiesce(rig->disk[0]);
	CU_ASSERT_FALSE(start(&one, rig, BLOCK_WRITE, 4096, data));
	check_idle(rig);
	block_resume(rig->disk[0]);
}

#define ON_RIG(function)                                                                           \
	static void test_##function(void)                                                          \
	{                                                                                          \
		rig_run(function);                                                                 \
	}

ON_RIG(at_once)
ON_RIG(a_locked_range_waits)
ON_RIG(bits_come_first)
ON_RIG(a_member_that_fails)
ON_RIG(superblocks_come_first)
ON_RIG(a_read_error_is_made_good)
ON_RIG(a_member_that_is_quiesced)

UNIT_MAIN("raid mirror start", UNIT(test_at_once), UNIT(test_a_locked_range_waits),
	  UNIT(test_bits_come_first), UNIT(test_a_member_that_fails),
	  UNIT(test_superblocks_come_first), UNIT(test_a_read_error_is_made_good),
	  UNIT(test_a_member_that_is_quiesced))
