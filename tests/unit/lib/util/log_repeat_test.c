/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/util/log_repeat: an error that stays is told once a minute, and hides nothing else. */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/log.h"
#include "util/log_repeat.h"

#define SECOND 1000000000ull
#define BEGIN  (1000 * SECOND)

static unsigned left_out;

static bool tells(struct log_repeat *repeat, const char *text, uint64_t now_ns)
{
	left_out = 0;
	return log_repeat_tells(repeat, text, now_ns, &left_out);
}

static void test_what_stays_is_told_once_a_minute(void)
{
	struct log_repeat repeat = { 0 };
	unsigned told = 0;

	for (unsigned i = 0; i < 18001; i++) /* three minutes */
		told += tells(&repeat, "/mnt: cannot be taken: EMFILE", BEGIN + i * (SECOND / 100));
	CU_ASSERT_EQUAL(told, 4);
	CU_ASSERT_EQUAL(left_out, 5999);
}

static void test_what_is_new_is_told_at_once(void)
{
	struct log_repeat repeat = { 0 };

	CU_ASSERT(tells(&repeat, "port a: refused", BEGIN));
	CU_ASSERT_FALSE(tells(&repeat, "port a: refused", BEGIN + 1));
	CU_ASSERT(tells(&repeat, "port b: refused", BEGIN + 2));
	CU_ASSERT_EQUAL(left_out, 0);
	CU_ASSERT(tells(&repeat, "port a: gone", BEGIN + 3));
	CU_ASSERT_EQUAL(left_out, 1);
	/* It came back, and went again. */
	CU_ASSERT(tells(&repeat, "port a: refused", BEGIN + 4));
	CU_ASSERT_EQUAL(left_out, 0);
}

static void test_one_thing_has_only_so_many_lines(void)
{
	struct log_repeat repeat = { 0 };
	unsigned told = 0;
	char text[64];

	for (unsigned i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "vg/bad: byte %u: EIO", i);
		told += tells(&repeat, text, BEGIN + i);
	}
	CU_ASSERT_EQUAL(told, LOG_REPEAT_LINES);
	CU_ASSERT(tells(&repeat, "vg/good: byte 1: EIO", BEGIN + 1000));
	CU_ASSERT(tells(&repeat, "vg/bad: byte 1: EIO", BEGIN + LOG_REPEAT_NS));
	CU_ASSERT_EQUAL(left_out, 1000 - LOG_REPEAT_LINES);
}

static void test_the_one_told_last_is_not_forgotten(void)
{
	struct log_repeat repeat = { 0 };
	char text[64];

	for (unsigned i = 0; i < 3 * LOG_REPEAT_SEEN; i++) {
		snprintf(text, sizeof(text), "p%u: down", i);
		CU_ASSERT(tells(&repeat, text, BEGIN + 2 * i));
		CU_ASSERT_FALSE(tells(&repeat, text, BEGIN + 2 * i + 1));
	}
	CU_ASSERT_FALSE(tells(&repeat, "p191: down", BEGIN + SECOND));
	CU_ASSERT(tells(&repeat, "p0: down", BEGIN + SECOND));
}

/* A flood of others had all the room: what comes again a moment later is told then. */
static void test_what_had_no_room_is_told_next_time(void)
{
	FILE *file = tmpfile();
	int kept = dup(STDERR_FILENO);
	bool found = false;
	struct log log;
	char line[1024];

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	dup2(fileno(file), STDERR_FILENO);
	log_to_stderr(&log, LOG_LEVEL_WARNING);
	log_warning(&log, "m: first");
	log_warning(&log, "m: first");
	log.lines = LOG_LINES_PER_SECOND;
	log.second = (long)(monotonic_ns() / SECOND);
	log_warning(&log, "m: is over");
	log.second--;
	log_warning(&log, "m: is over");
	dup2(kept, STDERR_FILENO);
	rewind(file);
	while (fgets(line, sizeof(line), file))
		found |= !strcmp(line,
				 "tenon: warning: m: is over (1 more about it were left out)\n");
	CU_ASSERT(found);
	fclose(file);
	close(kept);
}

static void test_standard_error_says_how_many(void)
{
	int ends[2], kept = dup(STDERR_FILENO);
	char text[1024];
	struct log log;
	ssize_t length;

	CU_ASSERT_EQUAL_FATAL(pipe2(ends, O_NONBLOCK), 0);
	dup2(ends[1], STDERR_FILENO);
	log_to_stderr(&log, LOG_LEVEL_WARNING);
	for (unsigned i = 0; i < 5; i++)
		log_warning(&log, "m: stays");
	log_warning(&log, "m: is over");
	dup2(kept, STDERR_FILENO);
	length = read(ends[0], text, sizeof(text) - 1);
	text[length > 0 ? length : 0] = '\0';
	CU_ASSERT_STRING_EQUAL(text,
			       "tenon: warning: m: stays\n"
			       "tenon: warning: m: is over (4 more about it were left out)\n");
	close(kept);
	close(ends[0]);
	close(ends[1]);
}

UNIT_MAIN("log_repeat", UNIT(test_what_stays_is_told_once_a_minute),
	  UNIT(test_what_is_new_is_told_at_once), UNIT(test_one_thing_has_only_so_many_lines),
	  UNIT(test_the_one_told_last_is_not_forgotten),
	  UNIT(test_what_had_no_room_is_told_next_time), UNIT(test_standard_error_says_how_many))
