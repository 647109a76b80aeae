/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/fiber/aside: answers, one that never comes, what the other process has of ours. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fiber/aside.h"
#include "fiber/fiber.h"
#include "fiber/sanitizer.h"
#include "fiber_run.h"
#include "util/clock.h"

#define SECOND 1000000000ull
#define MANY   600
#define HANGS  100

static int number(void *arg, unsigned index, void **data, size_t *size)
{
	(void)arg;
	if (asprintf((char **)data, "%u", index) < 0)
		return -ENOMEM;
	*size = strlen(*data) + 1;
	return (int)index % 2 ? -(int)index : 0;
}

static void check_numbers(const struct aside_answer *answers)
{
	char text[16];

	for (unsigned i = 0; i < MANY; i++) {
		snprintf(text, sizeof(text), "%u", i);
		CU_ASSERT_FALSE(answers[i].silent);
		CU_ASSERT_EQUAL(answers[i].rc, i % 2 ? -(int)i : 0);
		CU_ASSERT_EQUAL_FATAL(answers[i].size, strlen(text) + 1);
		CU_ASSERT_STRING_EQUAL(answers[i].data, text);
	}
}

static int numbers(void *arg)
{
	struct aside_answer answers[MANY];

	(void)arg;
	CU_ASSERT_EQUAL(aside_run(number, NULL, MANY, 60 * SECOND, answers), 0);
	check_numbers(answers);
	aside_free(answers, MANY);
	return 0;
}

static void test_each_answers(void)
{
	numbers(NULL);
	fiber_run_real(fiber_run_first_engine(), numbers, NULL);
}

/* Without descriptors it is done here. */
static void test_without_another_process(void)
{
	struct rlimit before, few;

	getrlimit(RLIMIT_NOFILE, &before);
	few = before;
	few.rlim_cur = 3;
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &few), 0);
	numbers(NULL);
	setrlimit(RLIMIT_NOFILE, &before);
}

static int hang_one(void *arg, unsigned index, void **data, size_t *size)
{
	(void)arg, (void)data, (void)size;
	if (index == 1)
		for (;;)
			pause();
	return 7;
}

static int one_hangs(void *arg)
{
	struct aside_answer answers[3];

	(void)arg;
	CU_ASSERT_EQUAL(aside_run(hang_one, NULL, 3, SECOND, answers), 0);
	CU_ASSERT_TRUE(answers[1].silent);
	CU_ASSERT_EQUAL(answers[1].rc, -ETIMEDOUT);
	CU_ASSERT_FALSE(answers[0].silent || answers[2].silent);
	CU_ASSERT_EQUAL(answers[0].rc, 7);
	CU_ASSERT_EQUAL(answers[2].rc, 7);
	aside_free(answers, 3);
	return 0;
}

static void test_one_that_hangs_is_left_behind(void)
{
	one_hangs(NULL);
	fiber_run_real(fiber_run_first_engine(), one_hangs, NULL);
}

static int wait_for_one(void *arg)
{
	struct aside_answer answers[3];

	(void)arg;
	return aside_run(hang_one, NULL, 3, 60 * SECOND, answers);
}

/* That somebody was told to end says nothing of what was asked. */
static int told_to_end(void *arg)
{
	struct fiber *fiber = fiber_spawn(wait_for_one, arg);

	fiber_sleep(SECOND / 50);
	fiber_cancel(fiber);
	CU_ASSERT_EQUAL(fiber_join(fiber), -ECANCELED);
	return 0;
}

static void test_whoever_is_told_to_end_knows_nothing(void)
{
	fiber_run_real(fiber_run_first_engine(), told_to_end, NULL);
}

/* Some; of the others each must answer all the same, those that come after, too. */
static int hang_many(void *arg, unsigned index, void **data, size_t *size)
{
	if (index % HANGS == 0)
		for (;;)
			pause();
	return number(arg, index, data, size);
}

static void test_all_others_answer(void)
{
	struct aside_answer answers[MANY];
	unsigned silent = 0;

	CU_ASSERT_EQUAL(aside_run(hang_many, NULL, MANY, SECOND, answers), 0);
	for (unsigned i = 0; i < MANY; i++) {
		silent += answers[i].silent;
		CU_ASSERT_EQUAL(answers[i].silent, i % HANGS == 0);
	}
	CU_ASSERT_EQUAL(silent, MANY / HANGS);
	aside_free(answers, MANY);
}

/* The others have answered before it is begun, and that is not kept back until it answers. */
static int hang_last(void *arg, unsigned index, void **data, size_t *size)
{
	if (index == 2)
		for (;;)
			pause();
	return number(arg, index, data, size);
}

static void test_the_last_hangs(void)
{
	struct aside_answer answers[3];

	CU_ASSERT_EQUAL(aside_run(hang_last, NULL, 3, SECOND, answers), 0);
	CU_ASSERT_FALSE(answers[0].silent || answers[1].silent);
	CU_ASSERT_TRUE(answers[2].silent);
	aside_free(answers, 3);
}

/* Larger than what is gathered. */
static int large(void *arg, unsigned index, void **data, size_t *size)
{
	(void)arg;
	*size = index * 10000u;
	*data = malloc(*size + 1);
	if (*data)
		memset(*data, (int)index, *size);
	return 0;
}

static void test_large_answers(void)
{
	struct aside_answer answers[10];

	CU_ASSERT_EQUAL(aside_run(large, NULL, 10, 60 * SECOND, answers), 0);
	for (unsigned i = 0; i < 10; i++) {
		const char *at = answers[i].data;

		CU_ASSERT_EQUAL_FATAL(answers[i].size, i * 10000u);
		for (size_t k = 0; k < answers[i].size; k += 999)
			CU_ASSERT_EQUAL(at[k], (char)i);
	}
	aside_free(answers, 10);
}

/* The locks of a file go with its last descriptor: a copy of one must not stay with what hangs. */
static int has_open(void *arg, unsigned index, void **data, size_t *size)
{
	(void)index, (void)data, (void)size;
	return fcntl(*(int *)arg, F_GETFD) >= 0;
}

static void test_descriptors_are_not_kept(void)
{
	int fd = fcntl(open("/dev/null", O_RDONLY | O_CLOEXEC), F_DUPFD, 50);
	struct aside_answer answer;

	CU_ASSERT_EQUAL(aside_run(has_open, &fd, 1, 60 * SECOND, &answer), 0);
	CU_ASSERT_FALSE(answer.silent);
	CU_ASSERT_EQUAL(answer.rc, 0);
	close(fd);
}

/* As where others have the processors: it would run, and has not got far when the limit is over. */
static void be_slow(void)
{
	uint64_t end = monotonic_ns() + 3 * SECOND;

	while (monotonic_ns() < end)
		;
}

static int answer_slowly(void *arg, unsigned index, void **data, size_t *size)
{
	(void)arg, (void)index, (void)data, (void)size;
	be_slow();
	return 7;
}

static void test_who_would_run_does_not_hang(void)
{
	struct aside_answer answer;

	CU_ASSERT_EQUAL(aside_run(answer_slowly, NULL, 1, 2 * SECOND, &answer), 0);
	CU_ASSERT_FALSE(answer.silent);
	CU_ASSERT_EQUAL(answer.rc, 7);
	aside_free(&answer, 1);
}

/* ---- With shared memory ---- */

struct shared {
	int fd;
	atomic_bool may_end, ended, was_left;
	char *text;
};

static void end_shared(void *arg)
{
	struct shared *shared = arg;

	atomic_store(&shared->ended, true);
}

static int answer_shared(void *arg, const atomic_bool *left)
{
	struct shared *shared = arg;
	/* Else it is on a thread. */
	bool kept = fiber_shares_memory() && fcntl(shared->fd, F_GETFD) >= 0;

	shared->text = strdup("here");
	return *left || kept || fcntl(0, F_GETFD) < 0 ? -EINVAL : 7;
}

static int shared_answers(void *arg)
{
	struct shared shared = { .fd = fcntl(open("/dev/null", O_RDONLY | O_CLOEXEC), F_DUPFD,
					     50) };
	bool left = true;

	(void)arg;
	CU_ASSERT_EQUAL(aside_run_shared(answer_shared, &shared, end_shared, 60 * SECOND, &left),
			7);
	CU_ASSERT_FALSE(left);
	CU_ASSERT_FALSE(atomic_load(&shared.ended));
	CU_ASSERT_STRING_EQUAL(shared.text, "here");
	free(shared.text);
	CU_ASSERT_EQUAL(close(shared.fd), 0);
	return 0;
}

static void test_shared(void)
{
	shared_answers(NULL);
	fiber_run_real(fiber_run_first_engine(), shared_answers, NULL);
}

static int answer_shared_slowly(void *arg, const atomic_bool *left)
{
	(void)arg;
	be_slow();
	return *left ? -EINVAL : 7;
}

static void test_shared_that_would_run_does_not_hang(void)
{
	struct shared shared = { .fd = -1 };
	bool left = true;

	if (!fiber_shares_memory()) {
		unit_skip("threads share no memory with a process here");
		return;
	}
	CU_ASSERT_EQUAL(
		aside_run_shared(answer_shared_slowly, &shared, end_shared, 2 * SECOND, &left), 7);
	CU_ASSERT_FALSE(left);
}

static int hang_shared(void *arg, const atomic_bool *left)
{
	struct shared *shared = arg;

	while (!atomic_load(&shared->may_end))
		usleep(1000);
	atomic_store(&shared->was_left, *left);
	return 0;
}

/* What was left alone comes back, and then its argument is nobody's. */
static void see_it_end(struct shared *shared)
{
	CU_ASSERT_FALSE(atomic_load(&shared->ended));
	atomic_store(&shared->may_end, true);
	for (unsigned i = 0; i < 60000 && !atomic_load(&shared->ended); i++)
		usleep(1000);
	CU_ASSERT_TRUE_FATAL(atomic_load(&shared->ended));
	CU_ASSERT_TRUE(atomic_load(&shared->was_left));
}

static void test_shared_that_hangs_is_left(void)
{
	struct shared shared = { .fd = -1 };
	bool left = false;

	CU_ASSERT_EQUAL(aside_run_shared(hang_shared, &shared, end_shared, SECOND / 50, &left),
			-ETIMEDOUT);
	CU_ASSERT_TRUE(left);
	see_it_end(&shared);
}

static int wait_for_shared(void *arg)
{
	bool left = false;
	int rc = aside_run_shared(hang_shared, arg, end_shared, 60 * SECOND, &left);

	CU_ASSERT_TRUE(left);
	return rc;
}

static int shared_told_to_end(void *arg)
{
	struct fiber *fiber = fiber_spawn(wait_for_shared, arg);

	fiber_sleep(SECOND / 50);
	fiber_cancel(fiber);
	CU_ASSERT_EQUAL(fiber_join(fiber), -ECANCELED);
	return 0;
}

static void test_whoever_is_told_to_end_leaves_it(void)
{
	struct shared shared = { .fd = -1 };

	fiber_run_real(fiber_run_first_engine(), shared_told_to_end, &shared);
	see_it_end(&shared);
}

UNIT_MAIN("aside", UNIT(test_each_answers), UNIT(test_without_another_process),
	  UNIT(test_one_that_hangs_is_left_behind), UNIT(test_whoever_is_told_to_end_knows_nothing),
	  UNIT(test_all_others_answer), UNIT(test_the_last_hangs), UNIT(test_large_answers),
	  UNIT(test_descriptors_are_not_kept), UNIT(test_who_would_run_does_not_hang),
	  UNIT(test_shared_that_would_run_does_not_hang), UNIT(test_shared),
	  UNIT(test_shared_that_hangs_is_left), UNIT(test_whoever_is_told_to_end_leaves_it))
