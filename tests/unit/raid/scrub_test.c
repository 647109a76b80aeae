/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks and repairs: what they find, where, what they change, and what stopping them leaves. Virtual time. */
#include <errno.h>
#include <string.h>

#include "raid_rig.h"
#include "util/log.h"

#define DATA   (1u << 20)
#define SECOND 1000000000ull

static const char *layout;

static struct raid_progress progress_of(struct raid_rig *rig)
{
	struct raid_progress progress;
	struct raid_status status;

	raid_status(rig->array, &status);
	progress = status.progress;
	raid_status_free(&status);
	return progress;
}

static struct raid_progress scrub(struct raid_rig *rig, bool repair, bool force)
{
	CU_ASSERT_EQUAL_FATAL(force ? raid_repair_anyway(rig->array, &rig->error)
				    : raid_scrub_start(rig->array, repair, &rig->error),
			      0);
	rig_wait(rig);
	return progress_of(rig);
}

static void create(struct raid_rig *rig)
{
	const struct raid_create_options options = { .name = "s",
						     .level = rig->level,
						     .layout = layout,
						     .chunk = rig->level == 1 ? 0 : 65536,
						     .assume_clean = true };

	rig_create(rig, rig->disks, &options);
	rig_write(rig, 0, raid_array_block(rig->array)->size, 1);
}

/* Of two copies, or data and one parity, nobody can know which is wrong: nothing is changed. */
static void leaves_what_nobody_knows(struct raid_rig *rig)
{
	struct raid_progress progress;
	uint8_t before[2][4096], after[4096];

	create(rig);
	block_fault_rot(rig->disk[1], DATA + 8192, 1024, 40);
	for (unsigned i = 0; i < 2; i++)
		block_read(rig->memory[i], DATA + 8192, before[i], sizeof(before[i]));
	progress = scrub(rig, false, false);
	CU_ASSERT_EQUAL(progress.mismatches, 1024);
	CU_ASSERT_EQUAL(progress.unresolved, 0);
	CU_ASSERT_EQUAL(progress.scrub, RAID_CHECK);
	CU_ASSERT_FALSE(progress.cut_short);
	CU_ASSERT_EQUAL(progress.scrubbed, progress.to_scrub);
	CU_ASSERT_EQUAL(progress.found.count, 1);
	CU_ASSERT_EQUAL(progress.found.ranges[0].offset, 8192);
	CU_ASSERT_EQUAL(progress.found.ranges[0].length, 1024);
	CU_ASSERT_EQUAL(progress.found.ranges[0].role, RAID_SPARE);
	progress = scrub(rig, true, false);
	CU_ASSERT_EQUAL(progress.mismatches, 1024);
	CU_ASSERT_EQUAL(progress.unresolved, 1024);
	for (unsigned i = 0; i < 2; i++) {
		block_read(rig->memory[i], DATA + 8192, after, sizeof(after));
		CU_ASSERT_EQUAL(memcmp(before[i], after, sizeof(after)), 0);
	}
	progress = scrub(rig, true, true);
	CU_ASSERT_EQUAL(progress.mismatches, 1024);
	CU_ASSERT_EQUAL(progress.unresolved, 0);
	progress = scrub(rig, false, false);
	CU_ASSERT_EQUAL(progress.mismatches, 0);
	/* Of mirrors the first copy is taken, whichever was read last. */
	if (rig->level == 1 || rig->level == 10)
		CU_ASSERT(rig_holds(rig, 0, raid_array_block(rig->array)->size, 1));
}

static void test_leaves_what_nobody_knows(void)
{
	static const struct {
		int level;
		unsigned disks;
	} shapes[] = { { 1, 2 }, { 10, 2 }, { 10, 4 }, { 5, 3 } };

	layout = NULL;
	for (unsigned i = 0; i < 4; i++) {
		/* At four members' RAID10 byte 8192 of the second member is that of the array, too. */
		rig_run_level(shapes[i].level, shapes[i].disks, leaves_what_nobody_knows);
	}
}

/* Three copies vote, and two parities tell: a check says who it is, a repair mends that one. */
static void finds_the_liar(struct raid_rig *rig)
{
	for (unsigned liar = 0; liar < 3; liar++) {
		struct raid_progress progress;

		if (rig->array)
			rig_stop(rig);
		create(rig);
		block_fault_rot(rig->disk[liar], DATA + 4096, 512, 40);
		for (unsigned repair = 0; repair < 2; repair++) {
			progress = scrub(rig, repair, false);
			CU_ASSERT_EQUAL(progress.mismatches, 512);
			CU_ASSERT_EQUAL(progress.unresolved, 0);
			CU_ASSERT_EQUAL(progress.found.count, 1);
			CU_ASSERT_EQUAL(progress.found.ranges[0].offset, 4096);
			CU_ASSERT_EQUAL(progress.found.ranges[0].role, (int)liar);
		}
		progress = scrub(rig, false, false);
		CU_ASSERT_EQUAL(progress.mismatches, 0);
		CU_ASSERT(rig_holds(rig, 0, raid_array_block(rig->array)->size, 1));
	}
}

static void test_finds_the_liar(void)
{
	static const struct {
		int level;
		unsigned disks;
		const char *layout;
	} shapes[] = { { 1, 3, NULL }, { 10, 3, "n3" }, { 6, 5, NULL } };

	for (unsigned i = 0; i < 3; i++) {
		layout = shapes[i].layout;
		rig_run_level(shapes[i].level, shapes[i].disks, finds_the_liar);
	}
	layout = NULL;
}

/* ---- What is told ---- */

struct told {
	struct log log;
	unsigned lines;
};

static void count_lines(struct log *log, enum log_level level_of, const char *text)
{
	struct told *told = (struct told *)log;

	(void)text;
	told->lines += level_of <= LOG_LEVEL_WARNING;
}

/* A line a range, not one a block: who looks for what else is told would not find it. */
static void tells_ranges(struct raid_rig *rig)
{
	struct told told = { .log = { .level = LOG_LEVEL_WARNING, .write = count_lines } };

	create(rig);
	rig_stop(rig);
	rig_assemble(rig, rig->disks, &(struct raid_assemble_options){ .log = &told.log });
	for (unsigned i = 0; i < 65536; i += 512)
		block_fault_rot(rig->disk[1], DATA + i, 512, 8);
	told.lines = 0;
	CU_ASSERT_EQUAL(scrub(rig, true, false).mismatches, 65536);
	CU_ASSERT(told.lines >= 1 && told.lines <= 2);
}

static void test_tells_ranges(void)
{
	static const struct {
		int level;
		unsigned disks;
	} shapes[] = { { 1, 3 }, { 5, 3 }, { 6, 5 } };

	for (unsigned i = 0; i < 3; i++) {
		rig_run_level(shapes[i].level, shapes[i].disks, tells_ranges);
	}
}

/* A check that was stopped has not found that nothing differs. */
static void stopped_check_says_so(struct raid_rig *rig)
{
	enum raid_operation stopped;
	struct raid_progress progress;

	create(rig);
	block_fault_rot(rig->disk[1], RIG_SIZE - 65536, 512, 40);
	raid_rebuild_set_rate(rig->array, 1 << 20);
	CU_ASSERT_EQUAL(raid_scrub_start(rig->array, false, &rig->error), 0);
	fiber_sleep(SECOND);
	CU_ASSERT_EQUAL(raid_sync_stop(rig->array, &stopped, &rig->error), 0);
	CU_ASSERT_EQUAL(stopped, RAID_CHECK);
	progress = progress_of(rig);
	CU_ASSERT_EQUAL(progress.operation, RAID_IDLE);
	CU_ASSERT_EQUAL(progress.scrub, RAID_CHECK);
	CU_ASSERT(progress.cut_short);
	CU_ASSERT(progress.scrubbed > 0 && progress.scrubbed < progress.to_scrub);
	CU_ASSERT_FALSE(progress.held);
	/* One that has not begun is told of, too, and not with the result of the one before. */
	raid_rebuild_set_rate(rig->array, 0);
	CU_ASSERT_EQUAL(scrub(rig, false, false).mismatches, 512);
	CU_ASSERT_EQUAL(raid_scrub_start(rig->array, true, &rig->error), 0);
	CU_ASSERT_EQUAL(raid_sync_stop(rig->array, &stopped, &rig->error), 0);
	CU_ASSERT_EQUAL(stopped, RAID_REPAIR);
	rig_wait(rig);
	progress = progress_of(rig);
	CU_ASSERT_EQUAL(progress.scrub, RAID_REPAIR);
	CU_ASSERT(progress.cut_short);
	CU_ASSERT_EQUAL(progress.scrubbed, 0);
	/* Frozen, it does not begin at all. */
	raid_rebuild_freeze(rig->array, true);
	CU_ASSERT_EQUAL(raid_scrub_start(rig->array, false, &rig->error), -EBUSY);
	raid_rebuild_freeze(rig->array, false);
	CU_ASSERT_EQUAL(raid_sync_stop(rig->array, &stopped, &rig->error), 0);
	CU_ASSERT_EQUAL(stopped, RAID_IDLE);
}

static void test_stopped_check_says_so(void)
{
	rig_run_level(1, 2, stopped_check_says_so);
	rig_run_level(5, 3, stopped_check_says_so);
}

/* A recovery that comes after a check does not take its result away. */
static void result_outlives_a_recovery(struct raid_rig *rig)
{
	struct raid_progress progress;

	create(rig);
	block_fault_rot(rig->disk[1], DATA + 4096, 512, 40);
	CU_ASSERT_EQUAL(scrub(rig, false, false).mismatches, 512);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk2", &rig->error), 0);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[4], &rig->error), 0);
	rig_wait(rig);
	progress = progress_of(rig);
	CU_ASSERT_EQUAL(progress.last, RAID_RECOVER);
	CU_ASSERT_EQUAL(progress.mismatches, 512);
	CU_ASSERT_EQUAL(progress.scrub, RAID_CHECK);
	CU_ASSERT_FALSE(progress.cut_short);
}

static void test_result_outlives_a_recovery(void)
{
	rig_run_level(1, 3, result_outlives_a_recovery);
}

/* A recovery that was stopped stays so, until somebody asks or another member is lost; a check may run. */
static void stopped_recovery_waits(struct raid_rig *rig)
{
	enum raid_operation stopped;
	struct raid_progress progress;
	uint64_t recovered;

	create(rig);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk2", &rig->error), 0);
	raid_rebuild_set_rate(rig->array, 1 << 20);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[4], &rig->error), 0);
	fiber_sleep(SECOND);
	CU_ASSERT_EQUAL(raid_sync_stop(rig->array, &stopped, &rig->error), 0);
	CU_ASSERT_EQUAL(stopped, RAID_RECOVER);
	progress = progress_of(rig);
	CU_ASSERT(progress.held);
	recovered = progress.position;
	CU_ASSERT(recovered > 0 && recovered < progress.total);
	raid_rebuild_set_rate(rig->array, 0);
	fiber_sleep(100 * SECOND);
	CU_ASSERT_EQUAL(rig_state(rig, 4), RAID_MEMBER_REBUILDING);
	scrub(rig, false, false);
	CU_ASSERT_EQUAL(rig_state(rig, 4), RAID_MEMBER_REBUILDING);
	CU_ASSERT(progress_of(rig).held);
	raid_sync_resume(rig->array);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, 4), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_FALSE(progress_of(rig).held);
}

static void lost_member_ends_the_stop(struct raid_rig *rig)
{
	enum raid_operation stopped;

	create(rig);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk2", &rig->error), 0);
	raid_rebuild_set_rate(rig->array, 1 << 20);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[4], &rig->error), 0);
	fiber_sleep(SECOND);
	CU_ASSERT_EQUAL(raid_sync_stop(rig->array, &stopped, &rig->error), 0);
	raid_rebuild_set_rate(rig->array, 0);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, 4), RAID_MEMBER_IN_SYNC);
}

/* A replacement too: it began anew at once, and the stop did not end. */
static void stopped_replacement_waits(struct raid_rig *rig)
{
	enum raid_operation stopped;

	create(rig);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[4], &rig->error), 0);
	raid_rebuild_set_rate(rig->array, 1 << 20);
	CU_ASSERT_EQUAL(raid_replace(rig->array, "disk1", NULL, &rig->error), 0);
	fiber_sleep(SECOND);
	CU_ASSERT_EQUAL(raid_sync_stop(rig->array, &stopped, &rig->error), 0);
	CU_ASSERT_EQUAL(stopped, RAID_RECOVER);
	CU_ASSERT(progress_of(rig).held);
	raid_rebuild_set_rate(rig->array, 0);
	fiber_sleep(100 * SECOND);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_IN_SYNC);
	raid_sync_resume(rig->array);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, 4), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_FAULTY);
}

static void test_stopped_recovery_waits(void)
{
	rig_run_level(1, 3, stopped_recovery_waits);
	rig_run_level(1, 3, lost_member_ends_the_stop);
	rig_run_level(1, 3, stopped_replacement_waits);
}

/* ---- What nobody can give ---- */

/* One more member than parity makes up for cannot read a page. */
static void lose_page(struct raid_rig *rig, int rules[3])
{
	for (unsigned i = 0; i < (rig->level == 6 ? 3 : 2); i++)
		rules[i] = rig_break(rig, i, BLOCK_FAULT_READ, DATA + 65536, 4096);
}

static void find_page(struct raid_rig *rig, const int rules[3])
{
	for (unsigned i = 0; i < (rig->level == 6 ? 3 : 2); i++)
		block_fault_remove(rig->disk[i], rules[i]);
}

/* All around it is compared, in the same stripe and behind it, and only what was not is said to be left out. */
static void compares_around_a_lost_page(struct raid_rig *rig)
{
	struct raid_progress progress;
	int rules[3];

	create(rig);
	lose_page(rig, rules);
	block_fault_rot(rig->disk[1], DATA + 65536 + 8192, 512, 40);
	block_fault_rot(rig->disk[1], DATA + 131072, 512, 40);
	progress = scrub(rig, false, false);
	CU_ASSERT_EQUAL(progress.skipped, 4096);
	CU_ASSERT_EQUAL(progress.mismatches, 1024);
	if (rig->level == 6) {
		scrub(rig, true, false);
		find_page(rig, rules);
		CU_ASSERT_EQUAL(scrub(rig, false, false).mismatches, 0);
	}
}

/* Parity is made of all that can be read, though nobody knows what a page behind which it comes has. */
static void resyncs_around_a_lost_page(struct raid_rig *rig)
{
	const struct raid_create_options options = { .name = "s",
						     .level = rig->level,
						     .chunk = 65536 };
	uint8_t *other = malloc(RIG_SIZE);
	int rules[3];

	for (unsigned i = 0; i < rig->disks; i++) {
		memset(other, 1 << i, RIG_SIZE);
		block_write(rig->memory[i], 0, other, RIG_SIZE, 0);
	}
	free(other);
	lose_page(rig, rules);
	rig_create(rig, rig->disks, &options);
	rig_wait(rig);
	find_page(rig, rules);
	CU_ASSERT_EQUAL(scrub(rig, false, false).mismatches, 4096);
}

/* What a log calls bad is computed from the others, which says nothing of them. A repair writes it, unless the others do not fit together. */
static void says_what_logs_call_bad(struct raid_rig *rig)
{
	uint64_t page = DATA + 65536 + 8192;
	uint8_t good[512], was[512], is[512];
	int rule;

	create(rig);
	rule = rig_break(rig, 1, BLOCK_FAULT_WRITE, page, 512);
	rig_write(rig, 0, raid_array_block(rig->array)->size, 2);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_EQUAL(scrub(rig, false, false).skipped, 4096);
	CU_ASSERT_EQUAL(progress_of(rig).mismatches, 0);
	/* It stays bad while it cannot be written. */
	CU_ASSERT_EQUAL(scrub(rig, true, false).skipped, 4096);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_EQUAL(scrub(rig, false, false).skipped, 512);
	block_fault_remove(rig->disk[1], rule);
	block_read(rig->memory[2], page, good, 512);
	block_fault_rot(rig->disk[2], page, 512, 40);
	block_read(rig->memory[2], page, was, 512);
	/* With P, or where there are none but the others, nobody can tell that one of these is wrong. */
	CU_ASSERT_EQUAL(scrub(rig, true, false).mismatches, rig->level == 6 ? 512 : 0);
	block_read(rig->memory[2], page, is, 512);
	CU_ASSERT_EQUAL(memcmp(was, is, 512), 0);
	if (rig->level == 6) {
		/* Nothing was made final: without the wrong one all is right. */
		CU_ASSERT_EQUAL(progress_of(rig).skipped, 512);
		block_write(rig->memory[2], page, good, 512, 0);
		CU_ASSERT_EQUAL(scrub(rig, true, false).mismatches, 0);
	}
	CU_ASSERT_EQUAL(scrub(rig, false, false).skipped, 0);
	CU_ASSERT_EQUAL(progress_of(rig).mismatches, 0);
}

/* The rest of a chunk is compared as ever, of the same member, too. */
static void compares_around_what_logs_call_bad(struct raid_rig *rig)
{
	int rule;

	create(rig);
	rule = rig_break(rig, 1, BLOCK_FAULT_WRITE, DATA + 65536 + 8192, 512);
	rig_write(rig, 0, raid_array_block(rig->array)->size, 2);
	block_fault_remove(rig->disk[1], rule);
	block_fault_rot(rig->disk[1], DATA + 65536 + 16384, 512, 40);
	CU_ASSERT_EQUAL(scrub(rig, false, false).mismatches, 512);
	CU_ASSERT_EQUAL(progress_of(rig).skipped, 4096);
}

static void test_goes_around_a_lost_page(void)
{
	for (int level = 4; level <= 6; level++) {
		rig_run_level(level, level == 6 ? 5 : 3, compares_around_a_lost_page);
		rig_run_level(level, level == 6 ? 5 : 3, resyncs_around_a_lost_page);
		rig_run_level(level, level == 6 ? 5 : 3, says_what_logs_call_bad);
		rig_run_level(level, level == 6 ? 5 : 3, compares_around_what_logs_call_bad);
	}
}

UNIT_MAIN("raid scrub", UNIT(test_leaves_what_nobody_knows), UNIT(test_finds_the_liar),
	  UNIT(test_tells_ranges), UNIT(test_stopped_check_says_so),
	  UNIT(test_result_outlives_a_recovery), UNIT(test_stopped_recovery_waits),
	  UNIT(test_goes_around_a_lost_page))
