/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/util/replace_file: what has the place, what does not work, and what a process that is killed leaves. */
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/replace_file.h"

#define NOBODY 65534

static char folder[] = "/tmp/replace-XXXXXX";

static const char *path_of(const char *name)
{
	static char path[64 + NAME_MAX];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static bool holds(const char *name, const char *text)
{
	CLEANUP_CLOSE int fd = open(path_of(name), O_RDONLY | O_CLOEXEC);
	char found[64] = "";

	return fd >= 0 && read(fd, found, sizeof(found) - 1) >= 0 && !strcmp(found, text);
}

static unsigned count_files(void)
{
	DIR *stream = opendir(folder);
	unsigned count = 0;

	for (struct dirent *entry; (entry = readdir(stream));)
		count += entry->d_name[0] != '.';
	closedir(stream);
	return count;
}

static void test_places(void)
{
	struct stat status;

	CU_ASSERT_EQUAL(replace_file(path_of("f.new"), "other", 5), 0);
	CU_ASSERT_EQUAL(replace_file(path_of("f"), "one", 3), 0);
	CU_ASSERT(holds("f", "one"));
	CU_ASSERT_EQUAL(replace_file(path_of("f"), "three", 5), 0);
	CU_ASSERT(holds("f", "three"));
	CU_ASSERT(holds("f.new", "other"));
	CU_ASSERT_EQUAL(stat(path_of("f"), &status), 0);
	CU_ASSERT_EQUAL(status.st_mode & 07777, 0600);
	CU_ASSERT_EQUAL(count_files(), 2);
}

static void test_what_does_not_work(void)
{
	CU_ASSERT_EQUAL(replace_file(path_of("none/f"), "one", 3), -ENOENT);
	CU_ASSERT_EQUAL(mkdir(path_of("d"), 0700), 0);
	CU_ASSERT_EQUAL(replace_file(path_of("d"), "one", 3), -EISDIR);
	CU_ASSERT_EQUAL(rmdir(path_of("d")), 0);
	CU_ASSERT_EQUAL(count_files(), 2);
}

/* A folder where anybody may put something, and not see what others have put there. */
static void test_unreadable(void)
{
	int status = 0;
	pid_t child;

	CU_ASSERT_EQUAL(mkdir(path_of("d"), 0700), 0);
	CU_ASSERT_EQUAL(chmod(path_of("d"), 0333), 0);
	CU_ASSERT_EQUAL(chmod(folder, 0711), 0);
	child = fork();
	if (!child) {
		if (!geteuid() && (setgid(NOBODY) || setuid(NOBODY)))
			_exit(2);
		if (replace_file(path_of("d/f"), "one", 3))
			_exit(1);
		_exit(replace_file(path_of("d/f"), "three", 5) ? 1 : 0);
	}
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	/* Its owner can read it again. */
	CU_ASSERT_EQUAL(chmod(path_of("d"), 0700), 0);
	CU_ASSERT_EQUAL(unlink(path_of("d/f")), 0);
	CU_ASSERT_EQUAL(rmdir(path_of("d")), 0);
}

/* The longest name that there is has none beside it that is longer. */
static void test_long_name(void)
{
	char name[NAME_MAX + 1];

	memset(name, 'n', NAME_MAX);
	name[NAME_MAX] = '\0';
	CU_ASSERT_EQUAL(replace_file(path_of(name), "one", 3), 0);
	CU_ASSERT_EQUAL(replace_file(path_of(name), "three", 5), 0);
	CU_ASSERT(holds(name, "three"));
	CU_ASSERT_EQUAL(count_files(), 3);
	CU_ASSERT_EQUAL(unlink(path_of(name)), 0);
}

/* In a chroot, or early in a boot. 2: it cannot be hidden. */
static int replace_without_proc(void)
{
	if ((geteuid() ? unshare(CLONE_NEWUSER | CLONE_NEWNS) : unshare(CLONE_NEWNS)) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/proc", "tmpfs", 0, NULL))
		return 2;
	return replace_file(path_of("f"), "two", 3) || replace_file(path_of("f"), "three", 5);
}

static void test_without_proc(void)
{
	int status = 0;
	pid_t child = fork();

	if (!child)
		_exit(replace_without_proc());
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT_FATAL(WIFEXITED(status));
	if (WEXITSTATUS(status) == 2) {
		unit_skip("/proc cannot be hidden from a process here");
		return;
	}
	CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
	CU_ASSERT(holds("f", "three"));
	CU_ASSERT_EQUAL(count_files(), 2);
}

/* By a limit of what it may write, in the middle of that. */
static void test_killed(void)
{
	static char bytes[8192];
	const struct rlimit small = { 1024, 1024 };
	int status = 0;
	pid_t child = fork();

	if (!child) {
		setrlimit(RLIMIT_FSIZE, &small);
		signal(SIGXFSZ, SIG_DFL);
		_exit(replace_file(path_of("f"), bytes, sizeof(bytes)) ? 1 : 0);
	}
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
	CU_ASSERT(holds("f", "three"));
	CU_ASSERT_EQUAL(count_files(), 2);
	CU_ASSERT_EQUAL(unlink(path_of("f")), 0);
	CU_ASSERT_EQUAL(unlink(path_of("f.new")), 0);
	CU_ASSERT_EQUAL(rmdir(folder), 0);
}

static void test_folder(void)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
}

UNIT_MAIN("files that are replaced", UNIT(test_folder), UNIT(test_places),
	  UNIT(test_what_does_not_work), UNIT(test_unreadable), UNIT(test_long_name),
	  UNIT(test_without_proc), UNIT(test_killed))
