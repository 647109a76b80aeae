/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/util/text: what hostile names become before a person sees them. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"
#include "util/text.h"

static void test_a_line_carries_no_commands(void)
{
	static const struct {
		const char *raw, *clean;
	} lines[] = {
		{ "vg0/root: no such volume", "vg0/root: no such volume" },
		{ "gr\xc3\xb6\xc3\x9f"
		  "er \xe2\x82\xac \xf0\x9f\x90\xa7",
		  "gr\xc3\xb6\xc3\x9f"
		  "er \xe2\x82\xac \xf0\x9f\x90\xa7" },
		{ "a\033[2Jb", "a\\x1b[2Jb" },
		{ "a\nb\rc\td\x7f", "a\\x0ab\\x0dc\\x09d\\x7f" },
		{ "csi \x9b"
		  "31m",
		  "csi \\x9b31m" },
		{ "csi \xc2\x9b"
		  "31m",
		  "csi \\xc2\\x9b31m" },
		{ "nel \xc2\x85", "nel \\xc2\\x85" },
		{ "half \xe2\x82", "half \\xe2\\x82" },
		{ "overlong \xc0\xaf \xe0\x80\xaf", "overlong \\xc0\\xaf \\xe0\\x80\\xaf" },
		{ "surrogate \xed\xa0\x80", "surrogate \\xed\\xa0\\x80" },
		{ "beyond \xf4\x90\x80\x80", "beyond \\xf4\\x90\\x80\\x80" },
		{ "turned \xe2\x80\xae"
		  "gpj.exe",
		  "turned \\xe2\\x80\\xaegpj.exe" },
		{ "line \xe2\x80\xa8", "line \\xe2\\x80\\xa8" },
		{ "a\\x1b stays", "a\\x1b stays" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		CLEANUP_FREE char *whole = text_cleaned(lines[i].raw, NULL);
		char text[100], again[100];

		text_clean(text, sizeof(text), lines[i].raw);
		CU_ASSERT_STRING_EQUAL(text, lines[i].clean);
		CU_ASSERT_STRING_EQUAL(whole, lines[i].clean);
		text_clean(again, sizeof(again), text);
		CU_ASSERT_STRING_EQUAL(again, text);
	}
}

static void test_a_line_that_is_cut_ends_at_a_character(void)
{
	char text[8];

	text_clean(text, sizeof(text), "abcd\xe2\x82\xac");
	CU_ASSERT_STRING_EQUAL(text, "abcd\xe2\x82\xac");
	text_clean(text, sizeof(text), "abcde\xe2\x82\xac");
	CU_ASSERT_STRING_EQUAL(text, "abcde");
	text_clean(text, sizeof(text), "abcd\033");
	CU_ASSERT_STRING_EQUAL(text, "abcd");
	text_clean(text, 1, "abc");
	CU_ASSERT_STRING_EQUAL(text, "");
}

static void test_lines_that_may_stay(void)
{
	CLEANUP_FREE char *text = text_cleaned("a {\n\tb = \"\033\"\n}", "\n\t");

	CU_ASSERT_STRING_EQUAL(text, "a {\n\tb = \"\\x1b\"\n}");
}

static void test_names_are_one_component_and_stay_apart(void)
{
	static const char *const names[][2] = {
		{ "plain", "plain" },
		{ "data/backup", "data\\x2fbackup" },
		{ "..", "\\x2e\\x2e" },
		{ ".", "\\x2e" },
		{ "a..b", "a..b" },
		{ "data\\x2fbackup", "data\\x5cx2fbackup" },
		{ "my array", "my\\x20array" },
		{ "-rf", "\\x2drf" },
		{ "\xff", "\\xff" },
		{ "node1:pv1", "node1:pv1" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		CLEANUP_FREE char *name = text_name(names[i][0]);

		CU_ASSERT_STRING_EQUAL(name, names[i][1]);
	}
}

static char logged[1024];

static void keep(struct log *log, enum log_level level, const char *text)
{
	(void)log, (void)level;
	strcpy(logged, text);
}

static void test_errors_and_logs_are_clean(void)
{
	struct log log = { .level = LOG_LEVEL_WARNING, .write = keep };
	struct error error = { 0 };

	error_set(&error, -EIO, "%s: bad", "a\nb\033c");
	error_advise(&error, "remove %s", "\x9b");
	CU_ASSERT_STRING_EQUAL(error.text, "a\\x0ab\\x1bc: bad");
	CU_ASSERT_STRING_EQUAL(error.advice, "remove \\x9b");
	error_prefix(&error, "%s", "\r");
	CU_ASSERT_STRING_EQUAL(error.text, "\\x0d: a\\x0ab\\x1bc: bad");
	log_warning(&log, "guest says %s", "\033]0;x\a");
	CU_ASSERT_STRING_EQUAL(logged, "guest says \\x1b]0;x\\x07");
}

UNIT_MAIN("text", UNIT(test_a_line_carries_no_commands),
	  UNIT(test_a_line_that_is_cut_ends_at_a_character), UNIT(test_lines_that_may_stay),
	  UNIT(test_names_are_one_component_and_stay_apart), UNIT(test_errors_and_logs_are_clean))
