/* SPDX-License-Identifier: BSD-2-Clause */
/* See spawn.h. */
#include "tools/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"

#define SYSTEM_PATH "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"

char *spawn_find(const char *program)
{
	const char *given = getenv("PATH");
	CLEANUP_FREE char *all = NULL;
	char *folder, *rest, *path;

	if (asprintf(&all, "%s%s" SYSTEM_PATH, given ? given : "", given ? ":" : "") < 0)
		return all = NULL, NULL;
	for (rest = all; (folder = strsep(&rest, ":"));) {
		if (asprintf(&path, "%s/%s", *folder ? folder : ".", program) < 0)
			return NULL;
		if (!access(path, X_OK))
			return path;
		free(path);
	}
	return NULL;
}

bool spawn_finds(const char *program)
{
	CLEANUP_FREE char *path = spawn_find(program);

	return path != NULL;
}

int spawn_wait(char *const argv[], bool quiet)
{
	CLEANUP_FREE char *path = spawn_find(argv[0]);
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	int rc, status = 0;
	pid_t pid;

	if (!path)
		return -ENOENT;
	sigemptyset(&none);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	posix_spawn_file_actions_init(&actions);
	if (quiet)
		posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
	rc = posix_spawn(&pid, path, &actions, &attributes, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	if (rc)
		return -rc;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;
}
