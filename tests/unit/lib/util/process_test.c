/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/util/process: what a process has open, and who cannot look. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
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

#define REFUSED 100

/* What one says that has no /proc; of itself, and of one that has ended. */
static int ask_without_proc(const struct stat *status, pid_t ended)
{
	if (geteuid() && unshare(CLONE_NEWUSER))
		return REFUSED;
	if (chroot(unit_directory()))
		return REFUSED;
	return process_has_open(ended, status) ? 1 : -process_has_open(getpid(), status);
}

static void test_without_proc_nothing_is_seen(void)
{
	CLEANUP_CLOSE int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	pid_t child, ended = fork();
	struct stat own;
	int status;

	if (!ended)
		_exit(0);
	CU_ASSERT_EQUAL(waitpid(ended, NULL, 0), ended);
	CU_ASSERT_EQUAL_FATAL(fstat(fd, &own), 0);
	child = fork();
	if (!child)
		_exit(ask_without_proc(&own, ended));
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	if (WEXITSTATUS(status) == REFUSED) {
		unit_skip("chroot(2) is refused");
		return;
	}
	CU_ASSERT_EQUAL(WEXITSTATUS(status), ENOENT);
}

UNIT_MAIN("process", UNIT(test_what_a_process_has_open), UNIT(test_who_cannot_look_says_so),
	  UNIT(test_without_proc_nothing_is_seen))
