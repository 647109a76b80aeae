/* SPDX-License-Identifier: BSD-2-Clause */
/* What is told of an array, by the names of mdadm's monitor. Virtual time. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "raid/events.h"
#include "raid/rebuild.h"
#include "raid_rig.h"

static const struct raid_create_options clean = {
	.name = "e", .level = 1, .assume_clean = true, .now = 1000
};

static void append(const struct raid_event *event, void *arg)
{
	char *text = arg;
	size_t at = strlen(text);

	snprintf(text + at, 2000 - at, "%s%s%s;", event->name, event->component ? " " : "",
		 event->component ? event->component : "");
}

/* All from `*from` on, as "Fail disk1;RebuildStarted;". */
static const char *told(struct raid_rig *rig, uint64_t *from, char text[2000])
{
	uint64_t lost;

	text[0] = '\0';
	*from = raid_events_since(rig->array, *from, append, text, &lost);
	CU_ASSERT_EQUAL(lost, 0);
	return text;
}

static void in_order(struct raid_rig *rig)
{
	uint64_t from = 0;
	char text[2000];

	rig_create(rig, 2, &clean);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[2], &rig->error), 0);
	CU_ASSERT_STRING_EQUAL(told(rig, &from, text), "");
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_STRING_EQUAL(told(rig, &from, text),
			       "Fail disk1;RebuildStarted;Rebuild20;Rebuild40;Rebuild60;Rebuild80;"
			       "RebuildFinished;SpareActive disk2;");
	/* A spare that was not needed, and one that was being filled. */
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[3], &rig->error), 0);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk3", &rig->error), 0);
	CU_ASSERT_STRING_EQUAL(told(rig, &from, text), "FailSpare disk3;");
	raid_rebuild_set_rate(rig->array, 1 << 20);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk2", &rig->error), 0);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[4], &rig->error), 0);
	fiber_sleep(1000000);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk4", &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_STRING_EQUAL(told(rig, &from, text),
			       "Fail disk2;RebuildStarted;FailSpare disk4;RebuildFinished;");
	/* Started again, numbers go on. */
	rig_stop(rig);
	fiber_sleep(5000000000);
	rig_assemble(rig, 1, &(struct raid_assemble_options){ .now = 1010 });
	raid_event_note(rig->array, "MoveSpare", "md/other");
	CU_ASSERT_STRING_EQUAL(told(rig, &from, text), "MoveSpare md/other;");
}

static void test_in_order(void)
{
	rig_run(in_order);
}

static void differences(struct raid_rig *rig)
{
	uint64_t from = 0;
	char text[2000];

	rig_create(rig, 2, &clean);
	block_fault_rot(rig->disk[1], (1 << 20) + 4096, 512, 9);
	CU_ASSERT_EQUAL(raid_scrub_start(rig->array, false, &rig->error), 0);
	rig_wait(rig);
	told(rig, &from, text);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text, "RebuildFinished mismatches found: 1 (on raid level 1);"));
}

static void test_differences(void)
{
	rig_run(differences);
}

/* The end, who went, who came: as the monitor tells of one look. */
static void replaced(struct raid_rig *rig)
{
	uint64_t from = 0;
	char text[2000];

	rig_create(rig, 2, &clean);
	CU_ASSERT_EQUAL(raid_replace_with(rig->array, "disk0", rig->disk[2], false, &rig->error),
			0);
	rig_wait(rig);
	CU_ASSERT_STRING_EQUAL(told(rig, &from, text),
			       "RebuildStarted;Rebuild20;Rebuild40;Rebuild60;Rebuild80;"
			       "RebuildFinished;Fail disk0;SpareActive disk2;");
}

static void test_replaced(void)
{
	rig_run(replaced);
}

static void reshaped(struct raid_rig *rig)
{
	const struct raid_create_options five = {
		.name = "e", .level = 5, .assume_clean = true, .now = 1000
	};
	uint64_t from = 0;
	char text[2000];

	rig_create(rig, 3, &five);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[3], &rig->error), 0);
	CU_ASSERT_EQUAL(raid_grow(rig->array, &(struct raid_grow){ .devices = 4 }, &rig->error), 0);
	rig_wait(rig);
	/* Its parts are as large as a fifth. */
	told(rig, &from, text);
	CU_ASSERT_PTR_EQUAL(strstr(text, "SpareActive disk3;RebuildStarted;Rebuild20;Rebuild40;"),
			    text);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, ";RebuildFinished;"));
}

static void test_reshaped(void)
{
	rig_run(reshaped);
}

/* What goes on in the middle does not tell what had been done before. */
static void goes_on(struct raid_rig *rig)
{
	struct raid_progress progress = { 0 };
	uint64_t from = 0;
	char text[2000];

	rig_create(rig, 2, &clean);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[2], &rig->error), 0);
	raid_rebuild_set_rate(rig->array, 1 << 20);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
	while (!progress.total || progress.position < progress.total / 2) {
		fiber_sleep(100000000);
		raid_rebuild_progress(rig->array, &progress);
	}
	rig_stop(rig);
	fiber_sleep(5000000000);
	rig_assemble(rig, 3, &(struct raid_assemble_options){ .now = 1010 });
	rig_wait(rig);
	CU_ASSERT_STRING_EQUAL(
		told(rig, &from, text),
		"RebuildStarted;Rebuild60;Rebuild80;RebuildFinished;SpareActive disk2;");
}

static void test_goes_on(void)
{
	rig_run(goes_on);
}

static void count(const struct raid_event *event, void *arg)
{
	(void)event;
	++*(unsigned *)arg;
}

/* Whoever comes too late learns how many went by. */
static void too_late(struct raid_rig *rig)
{
	uint64_t from, lost;
	unsigned seen = 0;

	rig_create(rig, 2, &clean);
	from = raid_events_since(rig->array, UINT64_MAX, count, &seen, &lost);
	CU_ASSERT_EQUAL(seen, 0);
	for (unsigned i = 0; i < RAID_EVENTS + 10; i++)
		raid_event_note(rig->array, "Fail", "x");
	CU_ASSERT_EQUAL(raid_events_since(rig->array, from, count, &seen, &lost),
			from + RAID_EVENTS + 10);
	CU_ASSERT_EQUAL(seen, RAID_EVENTS);
	CU_ASSERT_EQUAL(lost, 10);
}

static void test_too_late(void)
{
	rig_run(too_late);
}

/* One that is marked faulty keeps its number: a new spare that had it was taken for faulty at the next start. */
static void spare_beside_a_faulty(struct raid_rig *rig)
{
	const struct raid_assemble_options still = { .no_resync = true };

	rig_create(rig, 2, &clean);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[2], &rig->error), 0);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk2", &rig->error), 0);
	rig_stop(rig);
	rig_assemble(rig, 3, &still);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[3], &rig->error), 0);
	rig_stop(rig);
	rig_assemble(rig, 4, NULL);
	CU_ASSERT_EQUAL(rig_state(rig, 2), RAID_MEMBER_STALE);
	CU_ASSERT_EQUAL(rig_state(rig, 3), RAID_MEMBER_SPARE);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, 3), RAID_MEMBER_IN_SYNC);
}

static void test_spare_beside_a_faulty(void)
{
	rig_run(spare_beside_a_faulty);
}

UNIT_MAIN("raid events", UNIT(test_in_order), UNIT(test_replaced), UNIT(test_reshaped),
	  UNIT(test_goes_on), UNIT(test_differences), UNIT(test_too_late),
	  UNIT(test_spare_beside_a_faulty))
