/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/block: limits of requests and bytes a second, in virtual time. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "block/fault.h"
#include "block/limit.h"
#include "block/view.h"
#include "crew.h"
#include "fiber/fiber.h"
#include "fiber_run.h"
#include "util/bytes.h"

#define MIB    (1ull << 20)
#define SECOND 1000000000ull

static struct block *memory(void)
{
	struct block *block = NULL;

	CU_ASSERT_EQUAL_FATAL(block_create_memory(&block, "m", 16 * MIB, NULL), 0);
	return block;
}

static struct block *limited(struct block *lower, uint64_t iops, uint64_t bandwidth,
			     uint64_t burst_ns)
{
	const struct block_limits limits = { iops, bandwidth, burst_ns };
	struct block *block = NULL;

	CU_ASSERT_EQUAL_FATAL(block_create_limit(&block, "l", lower, &limits, NULL), 0);
	return block;
}

/* How long `count` requests of `length` take, one after another. */
static uint64_t time_of_reads(struct block *block, unsigned count, uint64_t length)
{
	static char bytes[MIB];
	uint64_t began = worker_now();

	while (count--)
		CU_ASSERT_EQUAL(block_read(block, 0, bytes, length), 0);
	return worker_now() - began;
}

/* Many at once, each on a fiber. */
struct crowd {
	struct block *block;
	struct fiber *fibers[64];
	unsigned count, done;
	unsigned order[64];
	struct crowd_one {
		struct crowd *crowd;
		unsigned number;
	} ones[64];
};

static int one_of_crowd(void *arg)
{
	struct crowd_one *one = arg;
	char bytes[4096];
	int rc = block_read(one->crowd->block, 0, bytes, sizeof(bytes));

	one->crowd->order[one->crowd->done++] = one->number;
	return rc;
}

static void crowd_start(struct crowd *crowd, struct block *block, unsigned count)
{
	*crowd = (struct crowd){ .block = block, .count = count };
	for (unsigned i = 0; i < count; i++) {
		crowd->ones[i] = (struct crowd_one){ crowd, i };
		crowd->fibers[i] = fiber_spawn(one_of_crowd, &crowd->ones[i]);
	}
	for (unsigned i = 0; i < 10; i++)
		fiber_yield();
}

static void crowd_end(struct crowd *crowd)
{
	for (unsigned i = 0; i < crowd->count; i++)
		CU_ASSERT_EQUAL(fiber_join(crowd->fibers[i]), 0);
	for (unsigned i = 0; i < crowd->count; i++)
		CU_ASSERT_EQUAL(crowd->order[i], i);
}

static unsigned waiting(const struct block *block)
{
	struct block_limit_status status;

	block_limit_status(block, &status);
	return status.waiting;
}

/* ---- Rates ---- */

static int rates(void *arg)
{
	CLEANUP_BLOCK struct block *lower = memory();
	struct block *block;

	(void)arg;
	block = limited(lower, 10, 0, 0);
	CU_ASSERT_EQUAL(time_of_reads(block, 1, 4096), 0);
	CU_ASSERT_EQUAL(time_of_reads(block, 20, 4096), 2 * SECOND);
	block_unref(block);
	block = limited(lower, 0, MIB, 0);
	CU_ASSERT_EQUAL(time_of_reads(block, 1, MIB), 0);
	CU_ASSERT_EQUAL(time_of_reads(block, 4, MIB / 4), 7 * SECOND / 4);
	block_unref(block);
	/* Whichever is less. */
	block = limited(lower, 100, MIB, 0);
	CU_ASSERT_EQUAL(time_of_reads(block, 1, 512), 0);
	CU_ASSERT_EQUAL(time_of_reads(block, 100, 512), SECOND);
	CU_ASSERT_EQUAL(time_of_reads(block, 1, MIB), SECOND / 100);
	CU_ASSERT_EQUAL(time_of_reads(block, 1, 512), SECOND);
	block_unref(block);
	block = limited(lower, 0, 0, 0);
	CU_ASSERT_EQUAL(time_of_reads(block, 1000, 4096), 0);
	block_unref(block);
	return 0;
}

static int bursts(void *arg)
{
	CLEANUP_BLOCK struct block *lower = memory();
	CLEANUP_BLOCK struct block *block = limited(lower, 100, 0, 5 * SECOND);

	(void)arg;
	CU_ASSERT_EQUAL(time_of_reads(block, 501, 4096), 0);
	CU_ASSERT_EQUAL(time_of_reads(block, 100, 4096), SECOND);
	/* An hour of rest saves up five seconds. */
	fiber_sleep(3600 * SECOND);
	CU_ASSERT_EQUAL(time_of_reads(block, 501, 4096), 0);
	CU_ASSERT_EQUAL(time_of_reads(block, 1, 4096), SECOND / 100);
	return 0;
}

static int what_counts(void *arg)
{
	CLEANUP_BLOCK struct block *lower = memory();
	CLEANUP_BLOCK struct block *block = limited(lower, 10, MIB, 0);
	uint64_t began = worker_now();
	char bytes[4096] = { 1 }, back[4096];

	(void)arg;
	/* As requests, not by the bytes. */
	CU_ASSERT_EQUAL(block_write_zeroes(block, 0, 16 * MIB, 0), 0);
	CU_ASSERT_EQUAL(block_discard(block, 0, 16 * MIB), 0);
	CU_ASSERT_EQUAL(block_write(block, 8192, bytes, 4096, BLOCK_FUA), 0);
	CU_ASSERT_EQUAL(worker_now() - began, 2 * SECOND / 10);
	CU_ASSERT_EQUAL(block_read(lower, 8192, back, 4096), 0);
	CU_ASSERT_EQUAL(memcmp(bytes, back, 4096), 0);
	return 0;
}

/* ---- Those that wait ---- */

static int flush_overtakes(void *arg)
{
	CLEANUP_BLOCK struct block *lower = memory();
	CLEANUP_BLOCK struct block *block = limited(lower, 1, 0, 0);
	uint64_t began = worker_now();
	struct crowd crowd;

	(void)arg;
	crowd_start(&crowd, block, 10);
	CU_ASSERT_EQUAL(waiting(block), 9);
	CU_ASSERT_EQUAL(block_flush(block), 0);
	CU_ASSERT_EQUAL(worker_now(), began);
	CU_ASSERT_EQUAL(waiting(block), 9);
	crowd_end(&crowd);
	CU_ASSERT_EQUAL(worker_now() - began, 9 * SECOND);
	return 0;
}

static int changed_while_they_wait(void *arg)
{
	CLEANUP_BLOCK struct block *lower = memory();
	CLEANUP_BLOCK struct block *block = limited(lower, 0, 1, 0);
	uint64_t began = worker_now();
	struct block_limit_status status;
	struct crowd crowd;

	(void)arg;
	/* The first owes more than an hour. */
	crowd_start(&crowd, block, 11);
	CU_ASSERT_EQUAL(waiting(block), 10);
	CU_ASSERT_EQUAL(block_limit_set(block, &(struct block_limits){ .bandwidth = 4096 }, NULL),
			0);
	CU_ASSERT_EQUAL(worker_now(), began);
	crowd_end(&crowd);
	/* What the first had taken is owed still. */
	CU_ASSERT_TRUE(worker_now() - began >= 10 * SECOND - SECOND / 100 &&
		       worker_now() - began <= 10 * SECOND + SECOND / 100);

	began = worker_now();
	CU_ASSERT_EQUAL(block_limit_set(block, &(struct block_limits){ .iops = 1 }, NULL), 0);
	crowd_start(&crowd, block, 60);
	CU_ASSERT_EQUAL(block_limit_set(block, &(struct block_limits){ .iops = 0 }, NULL), 0);
	crowd_end(&crowd);
	CU_ASSERT_EQUAL(worker_now(), began);
	CU_ASSERT_EQUAL(time_of_reads(block, 100, 4096), 0);
	block_limit_status(block, &status);
	CU_ASSERT_EQUAL(status.delayed, 10 + 59);

	/* From no limit to one, with requests on their way below. */
	CU_ASSERT_EQUAL(block_limit_set(block, &(struct block_limits){ .iops = 10 }, NULL), 0);
	began = worker_now();
	crowd_start(&crowd, block, 11);
	crowd_end(&crowd);
	CU_ASSERT_EQUAL(worker_now() - began, SECOND);
	return 0;
}

static int hurry(void *arg)
{
	CLEANUP_BLOCK struct block *lower = memory();
	CLEANUP_BLOCK struct block *block = limited(lower, 1, 0, 0);
	uint64_t began = worker_now();
	struct crowd crowd;

	(void)arg;
	crowd_start(&crowd, block, 11);
	block_limit_hurry(block, true);
	block_limit_hurry(block, true);
	block_limit_hurry(block, false);
	crowd_end(&crowd);
	block_limit_hurry(block, false);
	CU_ASSERT_EQUAL(worker_now(), began);
	/* It was not for nothing. */
	CU_ASSERT_EQUAL(time_of_reads(block, 1, 4096), 11 * SECOND);
	/* But for no longer than a minute. */
	block_limit_hurry(block, true);
	time_of_reads(block, 1000, 4096);
	block_limit_hurry(block, false);
	CU_ASSERT_EQUAL(time_of_reads(block, 1, 4096), 60 * SECOND);
	block_limit_hurry(lower, true);
	return 0;
}

static int cancelled(void *arg)
{
	CLEANUP_BLOCK struct block *lower = memory();
	CLEANUP_BLOCK struct block *block = limited(lower, 1, 0, 0);
	uint64_t began = worker_now();
	struct crowd crowd;

	(void)arg;
	crowd_start(&crowd, block, 3);
	fiber_cancel(crowd.fibers[1]);
	fiber_join(crowd.fibers[1]);
	CU_ASSERT_EQUAL(worker_now(), began);
	fiber_join(crowd.fibers[0]);
	fiber_join(crowd.fibers[2]);
	CU_ASSERT_EQUAL(worker_now() - began, 2 * SECOND);
	return 0;
}

/* ---- The device below ---- */

static int follows_what_is_below(void *arg)
{
	CLEANUP_BLOCK struct block *lower = memory();
	CLEANUP_BLOCK struct block *block = limited(lower, 1, 0, 0);
	struct crowd crowd;
	uint64_t began = worker_now();

	(void)arg;
	/* Its table is replaced while requests wait above it. */
	crowd_start(&crowd, block, 3);
	block_quiesce(lower);
	CU_ASSERT_EQUAL(worker_now(), began);
	block_set_size(lower, 8 * MIB);
	block_resume(lower);
	fiber_yield();
	fiber_yield();
	CU_ASSERT_EQUAL(block->size, 8 * MIB);
	crowd_end(&crowd);
	block_set_read_only(lower, true);
	CU_ASSERT_TRUE(block->read_only);
	block_set_gone(lower);
	CU_ASSERT_TRUE(block->gone);
	return 0;
}

static int errors_pass(void *arg)
{
	const struct block_fault_rule rule = { .requests = BLOCK_FAULT_READ,
					       .action = BLOCK_FAULT_ERROR,
					       .error = -EIO };
	CLEANUP_BLOCK struct block *lower = memory(), *fault = NULL;
	CLEANUP_BLOCK struct block *block = NULL;
	char bytes[4096];

	(void)arg;
	CU_ASSERT_EQUAL_FATAL(block_create_fault(&fault, "f", lower, 1, NULL), 0);
	block = limited(fault, 100, 0, 0);
	block_fault_add(fault, &rule);
	CU_ASSERT_EQUAL(block_read(block, 0, bytes, 4096), -EIO);
	return 0;
}

/* ---- Several workers ---- */

struct queue {
	struct worker *worker;
	struct block *block;
	int rc;
};

static int read_a_view(void *arg)
{
	struct queue *queue = arg;
	struct block *view;
	char bytes[4096];
	int rc = block_view(&view, queue->block);

	if (rc)
		return rc;
	rc = block_read(view, 0, bytes, sizeof(bytes));
	block_view_put(view);
	return rc;
}

static int call_reader(void *arg)
{
	struct queue *queue = arg;

	return worker_call(queue->worker, read_a_view, queue);
}

/* A byte a second, and a request has taken an hour's worth: whoever comes, on whatever worker, waits for that. */
static int queues_share(void *arg)
{
	CLEANUP_BLOCK struct block *lower = memory(), *shared = crew_share(lower);
	CLEANUP_BLOCK struct block *block = limited(shared, 0, 1, 0);
	struct queue queues[CREW_WORKERS];
	struct fiber *fibers[CREW_WORKERS];
	struct block_limit_status status;
	struct crew crew;
	char bytes[4096];

	(void)arg;
	crew_begin(&crew);
	CU_ASSERT_TRUE(block_has_views(block));
	CU_ASSERT_EQUAL(block_read(block, 0, bytes, sizeof(bytes)), 0);
	for (unsigned i = 0; i < CREW_WORKERS; i++) {
		queues[i] = (struct queue){ crew.workers[i], block, 0 };
		fibers[i] = fiber_spawn(call_reader, &queues[i]);
	}
	while (waiting(block) < CREW_WORKERS)
		fiber_sleep(1000000);
	CU_ASSERT_EQUAL(block_limit_set(block, &(struct block_limits){ .iops = 0 }, NULL), 0);
	for (unsigned i = 0; i < CREW_WORKERS; i++)
		CU_ASSERT_EQUAL(fiber_join(fibers[i]), 0);
	block_limit_status(block, &status);
	CU_ASSERT_EQUAL(status.delayed, CREW_WORKERS);
	/* Without a limit the views go by themselves. */
	CU_ASSERT_EQUAL(call_reader(&queues[0]), 0);
	crew_end(&crew);
	return 0;
}

#define VIRTUAL(name)                                                                              \
	static void test_##name(void)                                                              \
	{                                                                                          \
		fiber_run_virtual(fiber_run_first_engine(), name, NULL);                           \
	}

VIRTUAL(rates)
VIRTUAL(bursts)
VIRTUAL(what_counts)
VIRTUAL(flush_overtakes)
VIRTUAL(changed_while_they_wait)
VIRTUAL(hurry)
VIRTUAL(cancelled)
VIRTUAL(follows_what_is_below)
VIRTUAL(errors_pass)

static void test_queues_share(void)
{
	fiber_run_real(fiber_run_first_engine(), queues_share, NULL);
}

UNIT_MAIN("block limits", UNIT(test_rates), UNIT(test_bursts), UNIT(test_what_counts),
	  UNIT(test_flush_overtakes), UNIT(test_changed_while_they_wait), UNIT(test_hurry),
	  UNIT(test_cancelled), UNIT(test_follows_what_is_below), UNIT(test_errors_pass),
	  UNIT(test_queues_share))
