/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/util/process: what a process has open, and who cannot look. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/process.h"

static void test_what_a_process_has_open(void)
{
	CLEANUP_CLOSE int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct stat own, other;
	pid_t child;

	CU_ASSERT_EQUAL_FATAL(fstat(fd, &own), 0);
	CU_ASSERT_EQUAL_FATAL(stat(unit_directory(), &other), 0);
	CU_ASSERT_EQUAL(process_has_open(getpid(), &own), 1);
	CU_ASSERT_EQUAL(process_has_open(getpid(), &other), 0);
	child = fork();
	if (!child)
		_exit(0);
	CU_ASSERT_EQUAL(waitpid(child, NULL, 0), child);
	CU_ASSERT_EQUAL(process_has_open(child, &own), 0);
}

/* Who has no descriptor to look with has not seen that it is closed. */
static void test_who_cannot_look_says_so(void)
{
	CLEANUP_CLOSE int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct rlimit old, few;
	struct stat own;
	int has, next = dup(0);

	CU_ASSERT_EQUAL_FATAL(fstat(fd, &own), 0);
	close(next);
	getrlimit(RLIMIT_NOFILE, &old);
	few = old;
	few.rlim_cur = (rlim_t)next;
	setrlimit(RLIMIT_NOFILE, &few);
	has = process_has_open(getpid(), &own);
	setrlimit(RLIMIT_NOFILE, &old);
	CU_ASSERT_EQUAL(has, -EMFILE);
}

UNIT_MAIN("process", UNIT(test_what_a_process_has_open), UNIT(test_who_cannot_look_says_so))
