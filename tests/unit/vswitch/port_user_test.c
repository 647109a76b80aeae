/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch: ports whose other end is a process: when they are up, and what is said while one starts, stops or cannot be. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fiber_run.h"
#include "util/error.h"
#include "vswitch/internal.h"
#include "vswitch/port_user.h"

#define SECOND  1000000000ULL
#define PAUSE   5000000ULL
#define PAUSES  12000 /* a minute: no figure is asked for */
#define IS_GOOD "echo >&4; exec sleep 1000"

struct bed {
	uint64_t clock;
	struct vswitch *vswitch;
	char state[PORT_TEXT_MAX];
};

static uint64_t test_clock(void *arg)
{
	return *(uint64_t *)arg;
}

static void bed_run(struct bed *bed)
{
	for (unsigned i = 0; i < 1000; i++)
		if (!(vswitch_thread_dispatch(&bed->vswitch->threads[0], 0) +
		      vswitch_round(bed->vswitch)))
			return;
	CU_FAIL("it never ends");
}

static const char *state_of(struct bed *bed)
{
	struct vswitch_status *status;

	CU_ASSERT_EQUAL_FATAL(vswitch_status(bed->vswitch, &status), 0);
	snprintf(bed->state, sizeof(bed->state), "%s", status->ports[0].state);
	CU_ASSERT_EQUAL(status->ports[0].up,
			!strcmp(bed->state, "up") || !strncmp(bed->state, "up; ", 4));
	vswitch_status_free(status);
	return bed->state;
}

/* The words of a shell that does this. */
static char **shell(char *script)
{
	static char name[] = "sh", word[] = "-c";
	static char *argv[4] = { name, word };

	argv[2] = script;
	return argv;
}

static int add(struct bed *bed, char *script, struct error *error)
{
	struct vswitch_user_options options = {
		.argv = shell(script), .program = "/bin/sh", .type = "user", .where = "here"
	};
	int rc = vswitch_add_port_user(bed->vswitch, "u", &options, error);

	bed_run(bed);
	return rc;
}

static uint64_t restart(struct bed *bed, char *script)
{
	struct error error;
	uint64_t process = 0;

	CU_ASSERT_EQUAL(
		vswitch_restart_port_user(bed->vswitch, "u", shell(script), &process, &error), 0);
	return process;
}

/* Looks until something comes of it; never is the port up before. */
static int await(struct bed *bed, uint64_t process, struct error *error)
{
	int rc = -EINPROGRESS;

	for (unsigned i = 0; i < PAUSES && rc == -EINPROGRESS; i++) {
		bed_run(bed);
		rc = vswitch_look_port_user(bed->vswitch, "u", process, error);
		if (rc == -EINPROGRESS)
			fiber_sleep_always(PAUSE);
	}
	return rc;
}

static int bed_make(struct bed *bed)
{
	struct vswitch_options options = { .seed = 1,
					   .clock = test_clock,
					   .clock_arg = &bed->clock };

	bed->clock = 1000 * SECOND;
	return vswitch_create(&bed->vswitch, &options, NULL);
}

/* One that waits until it is let go, at each step. */
static int start_slowly(void *arg)
{
	static char good[] = IS_GOOD, slow[400];
	struct bed bed;
	struct error error = { 0 };
	char path[256];
	uint64_t process;
	int fd;

	(void)arg;
	snprintf(path, sizeof(path), "%s/gate", unit_directory());
	snprintf(slow, sizeof(slow), "until read line <%s; do :; done; " IS_GOOD, path);
	CU_ASSERT_EQUAL_FATAL(mkfifo(path, 0600), 0);
	CU_ASSERT_EQUAL_FATAL(bed_make(&bed), 0);
	CU_ASSERT_EQUAL_FATAL(add(&bed, good, &error), 0);
	CU_ASSERT_STRING_EQUAL(state_of(&bed), "up");
	process = restart(&bed, slow);
	/* It opens the gate when it runs. */
	fd = -1;
	for (unsigned i = 0; i < PAUSES && fd < 0; i++) {
		bed_run(&bed);
		fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			fiber_sleep_always(PAUSE);
	}
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_STRING_EQUAL(state_of(&bed), "its process is starting");
	CU_ASSERT_EQUAL(vswitch_look_port_user(bed.vswitch, "u", process, &error), -EINPROGRESS);
	CU_ASSERT_EQUAL(write(fd, "\n", 1), 1);
	CU_ASSERT_EQUAL(await(&bed, process, &error), 0);
	CU_ASSERT_STRING_EQUAL(state_of(&bed), "up");
	close(fd);
	vswitch_destroy(bed.vswitch);
	return 0;
}

static void test_starts_slowly(void)
{
	CU_ASSERT_EQUAL(fiber_run_real(fiber_run_first_engine(), start_slowly, NULL), 0);
}

/* Told to be another one, that can be, after those that could not. */
static void comes_up_again(struct bed *bed, char *good)
{
	uint64_t process = restart(bed, good);
	struct error error = { 0 };

	for (unsigned i = 0; i < PAUSES && strcmp(state_of(bed), "up") != 0; i++) {
		bed->clock += SECOND / 10;
		bed_run(bed);
		fiber_sleep_always(PAUSE);
	}
	CU_ASSERT_EQUAL(vswitch_look_port_user(bed->vswitch, "u", process, &error), 0);
}

/* Those that cannot be say why, also as the port's state, until one can. */
static int fail_to_start(void *arg)
{
	static char good[] = IS_GOOD, mute[] = "exit 0",
		    bad[] = "echo no lease is free >&4; printf \"free one\" >&4; exit 1";
	struct bed bed;
	struct error error = { 0 };
	uint64_t process;

	(void)arg;
	CU_ASSERT_EQUAL_FATAL(bed_make(&bed), 0);
	CU_ASSERT_EQUAL(add(&bed, bad, &error), -EIO);
	CU_ASSERT_STRING_EQUAL(error.text, "port u: no lease is free");
	CU_ASSERT_STRING_EQUAL(error.advice, "free one");
	CU_ASSERT_EQUAL(add(&bed, mute, &error), -EIO);
	CU_ASSERT_STRING_EQUAL(error.text, "port u: it ended before it was ready");
	CU_ASSERT_PTR_NULL(vswitch_find_port(bed.vswitch, "u"));

	CU_ASSERT_EQUAL_FATAL(add(&bed, good, &error), 0);
	process = restart(&bed, bad);
	CU_ASSERT_EQUAL(await(&bed, process, &error), -EIO);
	CU_ASSERT_STRING_EQUAL(error.text, "port u: no lease is free");
	for (unsigned i = 0; i < 5; i++) {
		bed.clock += 2 * SECOND;
		for (unsigned k = 0; k < 20; k++) {
			bed_run(&bed);
			CU_ASSERT_STRING_NOT_EQUAL(state_of(&bed), "up");
			fiber_sleep_always(PAUSE / 5);
		}
	}
	comes_up_again(&bed, good);
	vswitch_destroy(bed.vswitch);
	return 0;
}

static void test_fails_to_start(void)
{
	CU_ASSERT_EQUAL(fiber_run_real(fiber_run_first_engine(), fail_to_start, NULL), 0);
}

/* It cannot even be started, and that is said at once. */
static int lose_program(void *arg)
{
	static char good[] = IS_GOOD;
	char program[256];
	struct vswitch_user_options options = {
		.argv = shell(good), .program = program, .type = "user", .where = "here"
	};
	struct bed bed;
	struct error error = { 0 };
	uint64_t process;

	(void)arg;
	snprintf(program, sizeof(program), "%s/program", unit_directory());
	CU_ASSERT_EQUAL_FATAL(symlink("/bin/sh", program), 0);
	CU_ASSERT_EQUAL_FATAL(bed_make(&bed), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port_user(bed.vswitch, "u", &options, &error), 0);
	bed_run(&bed);
	unlink(program);
	process = restart(&bed, good);
	CU_ASSERT_EQUAL(await(&bed, process, &error), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "port u: cannot start sh: "));
	CU_ASSERT_EQUAL_FATAL(symlink("/bin/sh", program), 0);
	comes_up_again(&bed, good);
	vswitch_destroy(bed.vswitch);
	return 0;
}

static void test_cannot_be_started(void)
{
	CU_ASSERT_EQUAL(fiber_run_real(fiber_run_first_engine(), lose_program, NULL), 0);
}

/* Of one that runs, what goes wrong is its state for as long as it says so; it is up all the time. */
static void await_state(struct bed *bed, const char *state)
{
	for (unsigned i = 0; i < PAUSES && strcmp(state_of(bed), state) != 0; i++) {
		bed_run(bed);
		fiber_sleep_always(PAUSE);
	}
	CU_ASSERT_STRING_EQUAL(state_of(bed), state);
}

static void let_go(const char *gate)
{
	int fd = -1;

	for (unsigned i = 0; i < PAUSES && fd < 0; i++) {
		fd = open(gate, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			fiber_sleep_always(PAUSE);
	}
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, "\n", 1), 1);
	close(fd);
}

static int get_into_trouble(void *arg)
{
	static char good[] = IS_GOOD, troubled[1200];
	struct error error = { 0 };
	struct bed bed;
	char path[256];

	(void)arg;
	snprintf(path, sizeof(path), "%s/next", unit_directory());
	/* More than fits at once, of which the last counts. Who still lets it go when it comes again is its end of file, and not its next line. */
	snprintf(troubled, sizeof(troubled),
		 "echo >&4; until read line <%s; do :; done; for i in 1 2 3 4 5 6 7 8 9 10; do "
		 "printf '%%0300d\\n' "
		 "$i >&4; "
		 "done; echo disk full >&4; until read line <%s; do :; done; echo >&4; until read "
		 "line <%s; do :; done; echo bad >&4; "
		 "exec sleep 1000",
		 path, path, path);
	CU_ASSERT_EQUAL_FATAL(mkfifo(path, 0600), 0);
	CU_ASSERT_EQUAL_FATAL(bed_make(&bed), 0);
	CU_ASSERT_EQUAL_FATAL(add(&bed, troubled, &error), 0);
	CU_ASSERT_STRING_EQUAL(state_of(&bed), "up");
	let_go(path);
	await_state(&bed, "up; disk full");
	CU_ASSERT_TRUE(vswitch_find_port(bed.vswitch, "u")->up);
	let_go(path);
	await_state(&bed, "up");
	let_go(path);
	await_state(&bed, "up; bad");
	/* Another one's trouble it is not. */
	comes_up_again(&bed, good);
	CU_ASSERT_STRING_EQUAL(state_of(&bed), "up");
	vswitch_destroy(bed.vswitch);
	return 0;
}

static void test_trouble(void)
{
	CU_ASSERT_EQUAL(fiber_run_real(fiber_run_first_engine(), get_into_trouble, NULL), 0);
}

UNIT_MAIN("ports with a process of their own", UNIT(test_starts_slowly), UNIT(test_fails_to_start),
	  UNIT(test_cannot_be_started), UNIT(test_trouble))
