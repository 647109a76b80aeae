/* SPDX-License-Identifier: BSD-2-Clause */
/* See child.h. */
#include "tools/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fiber/fiber.h"
#include "tools/spawn.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/confine.h"
#include "util/error.h"

#define LISTENER    3 /* sd_listen_fds(3) */
#define PATIENCE_NS 5000000000ull
#define SAID_MOST   4096u

/* ---- Starting ---- */

static bool take_listener(int listener)
{
	char number[16];

	if (listener < 0)
		return true;
	/* dup2() of one onto itself would leave it close-on-exec. */
	if (listener == LISTENER ? fcntl(LISTENER, F_SETFD, 0) : dup2(listener, LISTENER) < 0)
		return false;
	snprintf(number, sizeof(number), "%d", (int)getpid());
	return !setenv("LISTEN_PID", number, 1) && !setenv("LISTEN_FDS", "1", 1);
}

/* In the child. It is no member of our terminal's group: a Ctrl-C is for us, and we end it in order. */
static void become(const char *path, char *const argv[], const struct child_options *options,
		   int said, pid_t parent)
{
	int nothing = open("/dev/null", O_RDONLY);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setpgid(0, 0);
	/* Not SIGTERM: qemu-nbd forgets one that comes while it starts. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent || nothing < 0 ||
	    dup2(nothing, STDIN_FILENO) < 0 || dup2(said, STDOUT_FILENO) < 0 ||
	    dup2(said, STDERR_FILENO) < 0 || setenv("LC_ALL", "C", 1) ||
	    !take_listener(options->listener))
		_exit(126);
	if (options->files)
		(void)confine_files(options->files, options->file_count);
	execv(path, argv);
	_exit(127);
}

int child_start(struct child *child, char *const argv[], const struct child_options *options,
		struct error *error)
{
	CLEANUP_FREE char *path = spawn_find(argv[0]);
	CLEANUP_CLOSE int said = memfd_create("said", MFD_CLOEXEC);
	pid_t parent = getpid(), pid;
	int pidfd;

	*child = (struct child){ .pidfd = -1, .said = -1, .program = argv[0] };
	if (!path) {
		error_set(error, -ENOENT, "%s: there is no such program on this host", argv[0]);
		error_advise(error, "install the package %s", options->package);
		return -ENOENT;
	}
	pid = said < 0 ? -1 : fork();
	if (pid == 0)
		become(path, argv, options, said, parent);
	if (pid < 0)
		return error_set(error, -errno, "%s: %s", argv[0], error_name(errno));
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0) {
		int rc = -errno;

		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return error_set(error, rc, "%s: %s", argv[0], error_name(rc));
	}
	*child = (struct child){ pid, pidfd, steal_fd(&said), argv[0] };
	return 0;
}

/* ---- Its end ---- */

int child_wait(struct child *child, uint64_t timeout_ns)
{
	int events = fiber_poll(child->pidfd, POLLIN, timeout_ns), status = 0;

	if (events < 0)
		return events;
	while (waitpid(child->pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	child->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int end_of(void *arg)
{
	struct child *child = arg;

	kill(child->pid, SIGTERM);
	if (child_wait(child, PATIENCE_NS) == -ETIMEDOUT) {
		kill(child->pid, SIGKILL);
		child_wait(child, PATIENCE_NS);
	}
	return 0;
}

void child_end(struct child *child)
{
	/* On a fiber that nobody has cancelled. */
	if (child->pid > 0)
		fiber_join(fiber_spawn(end_of, child));
}

void child_last_words(const struct child *child, char *text, size_t size)
{
	char all[SAID_MOST + 1], *line, *end;
	struct stat status;
	ssize_t got;
	off_t from;

	text[0] = '\0';
	if (child->said < 0 || fstat(child->said, &status))
		return;
	from = status.st_size > (off_t)SAID_MOST ? status.st_size - (off_t)SAID_MOST : 0;
	got = pread(child->said, all, SAID_MOST, from);
	if (got <= 0)
		return;
	all[got] = '\0';
	for (end = all + strlen(all); end > all && end[-1] == '\n';)
		*--end = '\0';
	line = strrchr(all, '\n');
	line = line ? line + 1 : all;
	if (!strncmp(line, child->program, strlen(child->program)) &&
	    !strncmp(line + strlen(child->program), ": ", 2))
		line += strlen(child->program) + 2;
	/* "what it could not do 'json:{...}': why" */
	for (end = line; (end = strstr(end, "': "));)
		line = end += 3;
	snprintf(text, size, "%s", line);
}

void child_forget(struct child *child)
{
	if (child->pidfd >= 0)
		close(child->pidfd);
	if (child->said >= 0)
		close(child->said);
	*child = (struct child){ .pidfd = -1, .said = -1 };
}
