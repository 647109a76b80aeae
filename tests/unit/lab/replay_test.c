/* SPDX-License-Identifier: BSD-2-Clause */
/* A workload that replays a dm-log-writes log: the same places, flushes and FUA, in order; and what is no such log is refused. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "block/record.h"
#include "fiber_run.h"
#include "tools/lab/run.h"
#include "unit.h"
#include "util/bytes.h"

#define DISK (4u << 20)

/* Writes (sector, count; count 0: a flush) as they were made; a log has each when it is durable, those of one flush in order. */
static const struct step {
	uint64_t sector, count;
	bool fua;
} steps[] = {
	{ 0, 8, false },    { 64, 16, false }, { 0, 0, false },    { 8, 8, true },
	{ 4096, 8, false }, { 0, 0, false },   { 7000, 8, false }, /* beyond the region */
	{ 16, 256, false }, { 0, 0, false },
};

static int record_fiber(void *arg)
{
	const char *path = arg;
	CLEANUP_BLOCK struct block *disk = NULL, *log = NULL, *record = NULL;
	CLEANUP_FREE char *bytes = calloc(256, LAB_SECTOR);
	struct error error = { 0 };
	int rc = block_create_memory(&disk, "disk", DISK, &error);

	if (!rc)
		rc = block_open_file(&log, path, BLOCK_OPEN_WRITE | BLOCK_OPEN_CREATE, 8u << 20,
				     &error);
	if (!rc)
		rc = block_create_record(&record, "record", disk, log, &error);
	for (unsigned i = 0; i < ARRAY_SIZE(steps) && !rc; i++)
		rc = !steps[i].count ? block_flush(record)
				     : block_write(record, steps[i].sector * LAB_SECTOR, bytes,
						   steps[i].count * LAB_SECTOR,
						   steps[i].fua ? BLOCK_FUA : 0);
	if (!rc)
		rc = block_record_finish(record, &error);
	CU_ASSERT_EQUAL(rc, 0);
	return rc;
}

static int play(const char *log, const char *more, struct lab_trace *trace,
		struct lab_result *result, struct error *error)
{
	struct lab_run_options options = { .seed = 1, .trace = trace };
	struct lab_scenario scenario;
	char text[1000];
	int rc;

	snprintf(text, sizeof(text),
		 "name: replayed\n"
		 "array: {level: 5, members: 3, chunk: 16K}\n"
		 "disks: {model: ssd, size: 8M}\n"
		 "workload: {kind: replay, length: 3M, fill: yes, log: '%s'}\n%s",
		 log, more);
	*result = (struct lab_result){ 0 };
	rc = lab_scenario_parse(&scenario, "replayed", text, strlen(text), error);
	if (!rc)
		rc = lab_run_scenario(&scenario, &options, result, error);
	lab_scenario_free(&scenario);
	return rc;
}

static void test_a_log_is_replayed(void)
{
	/* As what became durable: a write with FUA before those that a later flush covers. */
	static const struct step expected[] = {
		{ 0, 8, false },    { 64, 16, false }, { 0, 0, false },    { 8, 8, true },
		{ 4096, 8, false }, { 0, 0, false },   { 16, 256, false }, { 0, 0, false },
	};
	struct lab_trace trace = { 0 };
	struct lab_result result;
	struct error error = { 0 };
	unsigned at = 0;
	char path[300];

	snprintf(path, sizeof(path), "%s/log", unit_directory());
	if (fiber_run_real(fiber_run_first_engine(), record_fiber, path))
		return;
	CU_ASSERT_EQUAL(play(path, "", &trace, &result, &error), 0);
	CU_ASSERT_TRUE(result.met);
	for (uint64_t i = 0; i < trace.count; i++) {
		const struct lab_trace_event *event = &trace.events[i];

		if (event->kind != LAB_TRACE_ISSUE && event->kind != LAB_TRACE_FLUSH)
			continue;
		CU_ASSERT_TRUE_FATAL(at < ARRAY_SIZE(expected));
		if (event->kind == LAB_TRACE_FLUSH) {
			CU_ASSERT_EQUAL(expected[at].count, 0);
		} else {
			CU_ASSERT_EQUAL(event->offset, expected[at].sector);
			CU_ASSERT_EQUAL(event->length, expected[at].count);
			CU_ASSERT_EQUAL(event->flag, expected[at].fua);
		}
		at++;
	}
	CU_ASSERT_EQUAL(at, ARRAY_SIZE(expected));
	CU_ASSERT_EQUAL(result.work.writes, 5);
	CU_ASSERT_EQUAL(result.work.flushes, 3);
	lab_trace_free(&trace);
	lab_result_end(&result);

	/* With a fault, as any other workload. */
	CU_ASSERT_EQUAL(play(path, "events: [{at: write 5, do: power}]\n", NULL, &result, &error),
			0);
	CU_ASSERT_TRUE(result.met);
	CU_ASSERT_TRUE(result.off_ns > 0);
	lab_result_end(&result);
}

static void expect_refusal(const char *path, const char *words)
{
	struct lab_result result;
	struct error error = { 0 };
	int rc = play(path, "", NULL, &result, &error);

	CU_ASSERT_TRUE(rc < 0);
	if (!strstr(error.text, words))
		printf("  %s\n", error.text);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, words));
	lab_result_end(&result);
}

static void test_what_is_no_log_is_refused(void)
{
	char path[300];
	FILE *file;

	snprintf(path, sizeof(path), "%s/nowhere", unit_directory());
	expect_refusal(path, "nowhere");
	snprintf(path, sizeof(path), "%s/other", unit_directory());
	file = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	for (unsigned i = 0; i < 4096; i++)
		fputc('x', file);
	fclose(file);
	expect_refusal(path, "other");
}

UNIT_MAIN("lab replay", UNIT(test_a_log_is_replayed), UNIT(test_what_is_no_log_is_refused))
