/* SPDX-License-Identifier: BSD-2-Clause */
/* The console's writer: readers that pause, leave or come late, and disks that are full. Whatever they do, a
 * byte of the guest's is taken at once (a put that waited would hang the test). */
#include "unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/error.h"
#include "util/log.h"
#include "vmm/console_output.h"

static char said[4096];
static pthread_mutex_t said_lock = PTHREAD_MUTEX_INITIALIZER;

static void keep_message(struct log *log, enum log_level level, const char *text)
{
	(void)log, (void)level;
	pthread_mutex_lock(&said_lock);
	strncat(said, text, sizeof(said) - strlen(said) - 1);
	pthread_mutex_unlock(&said_lock);
}

static struct log log_of_test = { .level = LOG_LEVEL_WARNING, .write = keep_message };

static bool was_said(const char *text)
{
	bool found;

	pthread_mutex_lock(&said_lock);
	found = strstr(said, text);
	pthread_mutex_unlock(&said_lock);
	return found;
}

static bool await_said(const char *text)
{
	for (int i = 0; i < 5000 && !was_said(text); i++)
		usleep(1000);
	return was_said(text);
}

static struct console_output *begin(int fd)
{
	struct console_output *output = NULL;

	said[0] = '\0';
	CU_ASSERT_EQUAL_FATAL(console_output_create(&output, fd, &log_of_test, NULL), 0);
	return output;
}

static void put(struct console_output *output, const char *text)
{
	for (; *text; text++)
		console_output_put(output, (uint8_t)*text);
}

/* Line after line, each with its number, `count` in all. */
static void put_lines(struct console_output *output, unsigned count)
{
	char line[32];

	for (unsigned i = 0; i < count; i++) {
		snprintf(line, sizeof(line), "line %u\n", i);
		put(output, line);
	}
}

static void test_all_arrives_in_order(void)
{
	struct console_output *output;
	char line[32], wanted[32];
	int ends[2];
	FILE *reader;

	CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
	output = begin(ends[1]);
	reader = fdopen(ends[0], "r");
	put_lines(output, 20000); /* far more than a pipe takes, less than the ring */
	for (unsigned i = 0; i < 20000; i++) {
		snprintf(wanted, sizeof(wanted), "line %u\n", i);
		CU_ASSERT_PTR_NOT_NULL_FATAL(fgets(line, sizeof(line), reader));
		CU_ASSERT_STRING_EQUAL_FATAL(line, wanted);
	}
	console_output_drain(output, 5000);
	CU_ASSERT_EQUAL(console_output_lost(output), 0);
	CU_ASSERT_STRING_EQUAL(said, "");
	console_output_destroy(output);
	fclose(reader);
	close(ends[1]);
}

/* What is read after a pause: the old that was in the pipe, a mark with the number of missing bytes, the
 * newest. Together they are all that was put. */
static void test_paused_reader(void)
{
	struct console_output *output;
	uint64_t put_bytes = 0, got_bytes = 0, missing = 0, told;
	char line[128], last[128] = "";
	int ends[2];
	FILE *reader;

	CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
	output = begin(ends[1]);
	for (unsigned i = 0; i < 60000; i++) {
		put_bytes += (unsigned)snprintf(line, sizeof(line), "line %u\n", i);
		put(output, line);
	}
	CU_ASSERT_TRUE(was_said("does not keep up"));
	reader = fdopen(ends[0], "r");
	put_bytes += 4;
	put(output, "end\n");
	while (strcmp(last, "end\n") && fgets(last, sizeof(last), reader)) {
		if (sscanf(last, "[tenon: %llu bytes", (unsigned long long *)&told) == 1) {
			missing += told;
			got_bytes--; /* the newline before the mark is ours */
		} else {
			got_bytes += strlen(last);
		}
	}
	CU_ASSERT_STRING_EQUAL(last, "end\n");
	CU_ASSERT_TRUE(missing > 0);
	CU_ASSERT_EQUAL(got_bytes + missing, put_bytes);
	CU_ASSERT_EQUAL(console_output_lost(output), missing);
	console_output_drain(output, 5000);
	CU_ASSERT_TRUE(await_said("written again"));
	console_output_destroy(output);
	fclose(reader);
	close(ends[1]);
}

/* The thread is stuck in write() for ever, and is ended all the same. */
static void test_reader_that_never_reads(void)
{
	struct console_output *output;
	int ends[2];

	CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
	output = begin(ends[1]);
	put_lines(output, 60000);
	console_output_drain(output, 10);
	console_output_destroy(output);
	CU_ASSERT_TRUE(was_said("were not read by anybody"));
	close(ends[0]);
	close(ends[1]);
}

static void test_reader_that_leaves(void)
{
	struct console_output *output;
	int ends[2];

	CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
	signal(SIGPIPE, SIG_DFL); /* it is the thread's business, not the process's */
	output = begin(ends[1]);
	close(ends[0]);
	put(output, "lost");
	CU_ASSERT_TRUE(await_said("nobody reads it any more"));
	put_lines(output, 1000);
	CU_ASSERT_TRUE(console_output_lost(output) > 4);
	console_output_drain(output, 5000);
	console_output_destroy(output);
	close(ends[1]);
}

/* A file that may not grow stands for a full disk: the same error path, with a signal besides. */
static void test_full_disk(void)
{
	struct console_output *output;
	struct rlimit before, small;
	char path[128], text[512] = "";
	int fd;

	snprintf(path, sizeof(path), "%s/console", unit_directory());
	fd = open(path, O_RDWR | O_CREAT | O_APPEND, 0600);
	getrlimit(RLIMIT_FSIZE, &before);
	small = (struct rlimit){ 8, before.rlim_max };
	setrlimit(RLIMIT_FSIZE, &small);
	output = begin(fd);
	put(output, "first\n123456789");
	CU_ASSERT_TRUE(await_said("cannot write"));
	put(output, "second\n");
	setrlimit(RLIMIT_FSIZE, &before);
	CU_ASSERT_TRUE(await_said("written again"));
	CU_ASSERT_EQUAL(pread(fd, text, sizeof(text) - 1, 0) > 0, true);
	CU_ASSERT_STRING_EQUAL(
		text, "first\n12\n[tenon: 7 bytes of console output are missing]\nsecond\n");
	CU_ASSERT_EQUAL(console_output_lost(output), 7);
	console_output_destroy(output);
	close(fd);
	unlink(path);
}

/* Whoever shares the file may have set O_NONBLOCK on it. */
static void test_file_that_does_not_block(void)
{
	struct console_output *output;
	char text[65536];
	size_t got = 0;
	int ends[2];

	CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	output = begin(ends[1]);
	put_lines(output, 20000);
	for (ssize_t length; got < 200000; got += (size_t)length) {
		length = read(ends[0], text, sizeof(text));
		CU_ASSERT_TRUE_FATAL(length > 0);
	}
	CU_ASSERT_STRING_EQUAL(said, "");
	console_output_destroy(output);
	close(ends[0]);
	close(ends[1]);
}

UNIT_MAIN("vmm console output", UNIT(test_all_arrives_in_order), UNIT(test_paused_reader),
	  UNIT(test_reader_that_never_reads), UNIT(test_reader_that_leaves), UNIT(test_full_disk),
	  UNIT(test_file_that_does_not_block))
