/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/util: sizes, bytes, errors. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/error.h"
#include "util/ethernet.h"
#include "util/event.h"
#include "util/log.h"
#include "util/number.h"
#include "util/random.h"
#include "util/size.h"
#include "util/spelling.h"

static void test_sizes_are_powers_of_1024(void)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "0", 0 },          { "512", 512 },       { "1K", 1024 },
		{ "1k", 1024 },      { "1KiB", 1024 },     { "1KB", 1024 },
		{ "1.5M", 1572864 }, { "2g", 2ULL << 30 }, { "3TiB", 3ULL << 40 },
		{ "100B", 100 },     { "7E", 7ULL << 60 }, { "0.5G", 1ULL << 29 },
	};
	static const char *const bad[] = {
		"", "G", "-1", "1X", "1GG", "1.5", "1 G", "0x10", "1iB"
	};
	uint64_t bytes;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		CU_ASSERT_EQUAL(size_parse(good[i].text, &bytes, NULL), 0);
		CU_ASSERT_EQUAL(bytes, good[i].bytes);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct error error = { 0 };

		CU_ASSERT_EQUAL(size_parse(bad[i], &bytes, &error), -EINVAL);
		CU_ASSERT_NOT_EQUAL(error.text[0], '\0');
	}
	CU_ASSERT_EQUAL(size_parse("8E", &bytes, NULL), -ERANGE);
}

static void test_a_word_that_is_likely_meant(void)
{
	static const char *const verbs[] = { "create", "list", "remove", "rename", "resize" };
	static const struct {
		const char *word, *meant;
	} cases[] = {
		{ "creat", "create" },  { "lits", "list" },     { "lst", "list" },
		{ "REMOVE", "remove" }, { "remvoe", "remove" }, { "rename", "rename" },
		{ "explode", NULL },    { "", NULL },           { "x", NULL },
	};
	char longer[200];

	CU_ASSERT_EQUAL(spelling_distance("", ""), 0);
	CU_ASSERT_EQUAL(spelling_distance("abc", ""), 3);
	CU_ASSERT_EQUAL(spelling_distance("", "abc"), 3);
	CU_ASSERT_EQUAL(spelling_distance("abcd", "abdc"), 1);
	CU_ASSERT_EQUAL(spelling_distance("kitten", "sitting"), 3);
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	CU_ASSERT_EQUAL(spelling_distance(longer, longer), 0);
	CU_ASSERT_EQUAL(spelling_distance(longer, ""), 63);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct spelling spelling = { .word = cases[i].word };

		for (size_t k = 0; k < ARRAY_SIZE(verbs); k++)
			spelling_consider(&spelling, verbs[k]);
		if (cases[i].meant)
			CU_ASSERT_STRING_EQUAL_FATAL(spelling.closest ? spelling.closest : "none",
						     cases[i].meant)
		else
			CU_ASSERT_PTR_NULL(spelling.closest);
	}
}

/* Each number of a person's has a range, which the message names; nothing wraps. */
static void test_numbers_have_a_range(void)
{
	static const char *const bad[] = { "", " 1", "1 ", "+1", "-1", "0x10", "1k", "1.0", "one" };
	struct error error = { 0 };
	uint64_t value = 77;

	CU_ASSERT_EQUAL(number_parse("0", 0, 10, &value, &error), 0);
	CU_ASSERT_EQUAL(value, 0);
	CU_ASSERT_EQUAL(number_parse("18446744073709551615", 1, UINT64_MAX, &value, &error), 0);
	CU_ASSERT_EQUAL(value, UINT64_MAX);
	CU_ASSERT_EQUAL(number_parse("010", 1, 10, &value, &error), 0);
	CU_ASSERT_EQUAL(value, 10);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CU_ASSERT_EQUAL(number_parse(bad[i], 0, 1000000, &value, &error), -EINVAL);
	CU_ASSERT_EQUAL(number_parse("0", 1, 10, &value, &error), -ERANGE);
	CU_ASSERT_EQUAL(number_parse("11", 1, 10, &value, &error), -ERANGE);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "'11'"));
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "from 1 to 10"));
	CU_ASSERT_EQUAL(number_parse("18446744073709551616", 0, UINT64_MAX, &value, &error),
			-ERANGE);
	CU_ASSERT_EQUAL(number_parse("99999999999999999999999", 0, 10, &value, &error), -ERANGE);
	CU_ASSERT_EQUAL(value, 10);
	CU_ASSERT_EQUAL(number_parse_size("4K", 4096, 8192, &value, &error), 0);
	CU_ASSERT_EQUAL(value, 4096);
	CU_ASSERT_EQUAL(number_parse_size("9K", 4096, 8192, &value, &error), -ERANGE);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "from 4 KiB to 8 KiB"));
	CU_ASSERT_EQUAL(number_parse_size("99E", 4096, 8192, &value, &error), -ERANGE);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "from 4 KiB to 8 KiB"));
	CU_ASSERT_EQUAL(number_parse_size("0", 1, 8192, &value, &error), -ERANGE);
	CU_ASSERT_EQUAL(value, 4096);
}

static void test_ethernet_addresses(void)
{
	static const char *const bad[] = { "",
					   "52:54:00:12:34",
					   "52:54:00:12:34:5",
					   "52:54:00:12:34:567",
					   "52-54-00-12-34-56",
					   " 2:54:00:12:34:56",
					   "0x:54:00:12:34:56",
					   "g2:54:00:12:34:56",
					   "01:00:5e:00:00:01",
					   "ff:ff:ff:ff:ff:ff",
					   "00:00:00:00:00:00" };
	static const uint8_t good[6] = { 0x52, 0x5a, 0, 0xFF, 0x34, 0x56 };
	struct error error = { 0 };
	uint8_t address[6];

	CU_ASSERT_EQUAL(ethernet_parse("52:5a:00:Ff:34:56", address, &error), 0);
	CU_ASSERT_EQUAL(memcmp(address, good, 6), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CU_ASSERT_EQUAL(ethernet_parse(bad[i], address, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "00:00:00:00:00:00"));
}

/* Two labs name a socket alike, each as seen from its own folder. */
static void test_ethernet_addresses_of_sockets(void)
{
	uint8_t one[6], other[6], again[6];
	char path[300], here[256];

	CU_ASSERT_PTR_NOT_NULL_FATAL(getcwd(here, sizeof(here)));
	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/lab%u", unit_directory(), i);
		CU_ASSERT_EQUAL_FATAL(mkdir(path, 0700), 0);
		CU_ASSERT_EQUAL_FATAL(chdir(path), 0);
		fclose(fopen("vm1.sock", "we"));
		ethernet_from_path("vm1.sock", 1, i ? other : one);
	}
	CU_ASSERT_NOT_EQUAL(memcmp(one, other, 6), 0);
	CU_ASSERT_EQUAL(one[0], 0x52);
	/* The same socket by other ways. */
	ethernet_from_path("../lab0/./vm1.sock", 1, again);
	CU_ASSERT_EQUAL(memcmp(one, again, 6), 0);
	CU_ASSERT_EQUAL(symlink("../lab0", "link"), 0);
	ethernet_from_path("link/vm1.sock", 1, again);
	CU_ASSERT_EQUAL(memcmp(one, again, 6), 0);
	ethernet_from_path("link/vm1.sock", 2, again);
	CU_ASSERT_NOT_EQUAL(memcmp(one, again, 6), 0);
	CU_ASSERT_EQUAL(chdir(here), 0);
}

static void test_sizes_for_people(void)
{
	char text[SIZE_TEXT];

	CU_ASSERT_STRING_EQUAL(size_format(0, text), "0 B");
	CU_ASSERT_STRING_EQUAL(size_format(1023, text), "1023 B");
	CU_ASSERT_STRING_EQUAL(size_format(1536, text), "1.50 KiB");
	CU_ASSERT_STRING_EQUAL(size_format(64ULL << 20, text), "64 MiB");
}

static void test_ranges_do_not_wrap(void)
{
	CU_ASSERT_TRUE(range_within(0, 10, 10));
	CU_ASSERT_TRUE(range_within(10, 0, 10));
	CU_ASSERT_FALSE(range_within(11, 0, 10));
	CU_ASSERT_FALSE(range_within(1, 10, 10));
	CU_ASSERT_FALSE(range_within(8, UINT64_MAX - 4, 10));
}

static void test_all_zero(void)
{
	char bytes[100] = { 0 };

	for (size_t length = 0; length <= sizeof(bytes); length++) {
		CU_ASSERT_TRUE(bytes_all_zero(bytes, length));
		if (!length)
			continue;
		bytes[length - 1] = 1;
		CU_ASSERT_FALSE(bytes_all_zero(bytes, length));
		bytes[length - 1] = 0;
	}
}

static void test_errors_keep_code_and_take_a_prefix(void)
{
	struct error error = { 0 };

	CU_ASSERT_EQUAL(error_set(&error, -EIO, "sector %d", 5), -EIO);
	CU_ASSERT_EQUAL(error_advise(&error, "replace it"), -EIO);
	error_prefix(&error, "disk %s", "a");
	/* Not twice. */
	error_prefix(&error, "disk %s", "a");
	CU_ASSERT_STRING_EQUAL(error.text, "disk a: sector 5");
	CU_ASSERT_STRING_EQUAL(error.advice, "replace it");
	CU_ASSERT_EQUAL(error_set(NULL, -EIO, "x"), -EIO);
	/* A failure of which nobody wants to hear is none the less one. */
	CU_ASSERT(error_advise(NULL, "replace it") < 0);
	CU_ASSERT(error_advise(&(struct error){ 0 }, "replace it") < 0);
}

/* How many lines `count` messages make on standard error. */
static unsigned lines_of(struct log *log, unsigned count)
{
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO), byte;
	unsigned lines = 0;

	dup2(fileno(file), STDERR_FILENO);
	for (unsigned i = 0; i < count; i++)
		log_warning(log, "message %u", i);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(file);
	while ((byte = fgetc(file)) != EOF)
		lines += byte == '\n';
	fclose(file);
	return lines;
}

static void test_a_flood_of_messages_is_cut(void)
{
	struct log log;
	unsigned few, lines;
	long began;

	do { /* until no other second begins among them */
		log_to_stderr(&log, LOG_LEVEL_WARNING);
		few = lines_of(&log, 5);
		began = log.second;
		lines = lines_of(&log, 2000);
	} while (log.second != began);
	CU_ASSERT_EQUAL(few, 5);
	/* The first five are repeated. */
	CU_ASSERT(lines >= LOG_LINES_PER_SECOND - 10);
	CU_ASSERT(lines <= LOG_LINES_PER_SECOND);
	/* After a second it goes on, and says that something is missing. */
	log.second--;
	CU_ASSERT_EQUAL(lines_of(&log, 1), 2);
}

/* In blocking mode all of them, in which a peer may put its file at any time. */
static void test_an_event_is_taken_without_waiting(void)
{
	int fd = eventfd(3, 0), other = inotify_init(), pipes[2];

	CU_ASSERT_EQUAL(event_take(fd), 1);
	CU_ASSERT_EQUAL(event_take(fd), 0);
	CU_ASSERT(event_take(other) < 0);
	CU_ASSERT_EQUAL_FATAL(pipe(pipes), 0);
	close(pipes[1]);
	CU_ASSERT(event_take(pipes[0]) < 0);
	close(pipes[0]);
	close(other);
	close(fd);
}

/* Whoever reads standard error has paused: whoever logs goes on, and what was left out is told later. */
static void test_log_does_not_wait(void)
{
	char text[65536];
	int ends[2], kept = dup(STDERR_FILENO);
	struct log log;
	ssize_t length;

	CU_ASSERT_EQUAL_FATAL(pipe2(ends, O_NONBLOCK), 0);
	while (write(ends[1], text, sizeof(text)) > 0)
		;
	fcntl(ends[1], F_SETFL, 0);
	dup2(ends[1], STDERR_FILENO);
	log_to_stderr(&log, LOG_LEVEL_WARNING);
	log_error(&log, "first");
	CU_ASSERT_EQUAL(log.left_out, 1);
	while (read(ends[0], text, sizeof(text)) > 0)
		;
	log.second--; /* the next one has come */
	log_error(&log, "second");
	length = read(ends[0], text, sizeof(text) - 1);
	dup2(kept, STDERR_FILENO);
	text[length > 0 ? length : 0] = '\0';
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "1 messages were left out"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "second"));
	CU_ASSERT_PTR_NULL(strstr(text, "first"));
	close(kept);
	close(ends[0]);
	close(ends[1]);
}

UNIT_MAIN("util", UNIT(test_sizes_are_powers_of_1024), UNIT(test_numbers_have_a_range),
	  UNIT(test_a_word_that_is_likely_meant), UNIT(test_ethernet_addresses),
	  UNIT(test_ethernet_addresses_of_sockets), UNIT(test_sizes_for_people),
	  UNIT(test_ranges_do_not_wrap), UNIT(test_all_zero),
	  UNIT(test_errors_keep_code_and_take_a_prefix),
	  UNIT(test_an_event_is_taken_without_waiting), UNIT(test_a_flood_of_messages_is_cut),
	  UNIT(test_log_does_not_wait))
