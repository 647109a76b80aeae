/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What runs in a guest of User Mode Linux and does there what it is asked over the serial line; see uml.h. Each call has a fiber
 * of its own, so that a request to a disk that hangs holds up no other. There is no boundary here: who asks has started the
 * guest, and it holds nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "tools/cli.h"
#include "tools/uml.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"

#define MAILBOX "/dev/vda"
#define PAGE    4096u

struct agent {
	int line, mailbox, device;
	struct fiber_mutex saying;
};

struct uml_job {
	struct agent *agent;
	struct uml_call call;
	char text[];
};

static void answer(struct agent *agent, const struct uml_call *call, int rc, const char *text,
		   size_t length, uint64_t ns)
{
	const struct uml_answer head = { call->number, rc, (uint32_t)length, 0, ns };

	fiber_mutex_lock(&agent->saying);
	if (!fiber_write(agent->line, &head, sizeof(head)) && length)
		(void)fiber_write(agent->line, text, length);
	fiber_mutex_unlock(&agent->saying);
}

/* ---- Data ---- */

static int transfer_all(int fd, char *at, size_t length, uint64_t offset, bool write, int flags)
{
	while (length) {
		struct iovec iov = { at, length };
		ssize_t did = write ? fiber_pwritev(fd, &iov, 1, offset, flags)
				    : fiber_preadv(fd, &iov, 1, offset);

		if (did <= 0)
			return did ? (int)did : -EIO;
		at += did;
		length -= (size_t)did;
		offset += (uint64_t)did;
	}
	return 0;
}

static int transfer(struct agent *agent, const struct uml_call *call, uint64_t *ns)
{
	bool write = call->kind == UML_WRITE;
	uint64_t slot = (uint64_t)call->slot * UML_SLOT;
	CLEANUP_FREE char *bytes = NULL;
	int rc = 0;

	if (call->length > UML_SLOT || call->slot >= UML_SLOTS || agent->device < 0)
		return -EINVAL;
	if (posix_memalign((void **)&bytes, PAGE, UML_SLOT))
		return -ENOMEM;
	if (write)
		rc = transfer_all(agent->mailbox, bytes, call->length, slot, false, 0);
	*ns = worker_now();
	if (!rc)
		rc = transfer_all(agent->device, bytes, call->length, call->offset, write,
				  call->flag ? RWF_DSYNC : 0);
	*ns = worker_now() - *ns;
	if (!rc && !write)
		rc = transfer_all(agent->mailbox, bytes, call->length, slot, true, 0);
	return rc;
}

static int flush(struct agent *agent, uint64_t *ns)
{
	uint64_t began = worker_now();
	int rc = agent->device < 0 ? -EINVAL : fiber_fdatasync(agent->device);

	*ns = worker_now() - began;
	return rc;
}

static int open_device(struct agent *agent, const char *path)
{
	if (agent->device >= 0)
		close(agent->device);
	agent->device = -1;
	if (!path)
		return 0;
	agent->device = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	return agent->device < 0 ? -errno : 0;
}

/* ---- Files and commands ---- */

/* Of the kernel's own file systems, whose files answer at once. */
static size_t look(char *paths, char *all)
{
	size_t length = 0;
	char *path;

	while ((path = strsep(&paths, "\n"))) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t got = fd < 0 || length + 1 >= UML_TEXT
				      ? 0
				      : read(fd, all + length, UML_TEXT - length - 1);

		if (fd >= 0)
			close(fd);
		length += got > 0 ? (size_t)got : 0;
		if (length < UML_TEXT)
			all[length++] = '\0';
	}
	return length;
}

static int put(char *text)
{
	char *value = strchr(text, '\n');
	int fd, rc = 0;

	if (!value)
		return -EINVAL;
	*value++ = '\0';
	fd = open(text, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

static void become_shell(const char *command, int to)
{
	int from = open("/dev/null", O_RDONLY);

	if (from >= 0 && dup2(from, 0) == 0 && dup2(to, 1) == 1 && dup2(to, 2) == 2)
		execl("/bin/sh", "sh", "-c", command, NULL);
	_exit(127);
}

static int run(const char *command, char *all, size_t *length)
{
	int pipes[2], status = 0;
	ssize_t got = 1;
	pid_t child;

	if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	child = fork();
	if (child == 0) {
		fcntl(pipes[1], F_SETFL, 0);
		become_shell(command, pipes[1]);
	}
	close(pipes[1]);
	while (child > 0 && got > 0 && *length < UML_TEXT) {
		got = fiber_read(pipes[0], all + *length, UML_TEXT - *length);
		*length += got > 0 ? (size_t)got : 0;
	}
	close(pipes[0]);
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- Calls ---- */

static int job_fiber(void *arg)
{
	CLEANUP_FREE struct uml_job *job = arg;
	CLEANUP_FREE char *all = malloc(UML_TEXT);
	struct agent *agent = job->agent;
	size_t length = 0;
	uint64_t ns = 0;
	int rc = -EINVAL;

	if (!all)
		abort();
	switch (job->call.kind) {
	case UML_OPEN:
		rc = open_device(agent, job->text);
		break;
	case UML_CLOSE:
		rc = open_device(agent, NULL);
		break;
	case UML_READ:
	case UML_WRITE:
		rc = transfer(agent, &job->call, &ns);
		break;
	case UML_FLUSH:
		rc = flush(agent, &ns);
		break;
	case UML_RUN:
		rc = run(job->text, all, &length);
		break;
	case UML_LOOK:
		length = look(job->text, all);
		rc = 0;
		break;
	case UML_PUT:
		rc = put(job->text);
		break;
	}
	answer(agent, &job->call, rc, all, length, ns);
	return 0;
}

static int read_all(int fd, void *at, size_t length)
{
	while (length) {
		ssize_t got = fiber_read(fd, at, length);

		if (got <= 0)
			return got ? (int)got : -EPIPE;
		at = (char *)at + got;
		length -= (size_t)got;
	}
	return 0;
}

static int agent_fiber(void *arg)
{
	struct agent *agent = arg;
	struct uml_call call;
	int rc = fiber_write(agent->line, UML_HELLO, strlen(UML_HELLO));

	while (!rc && !(rc = read_all(agent->line, &call, sizeof(call)))) {
		struct uml_job *job =
			call.text < UML_TEXT ? malloc(sizeof(*job) + call.text + 1) : NULL;

		if (!job)
			return -ENOMEM;
		job->agent = agent;
		job->call = call;
		job->text[call.text] = '\0';
		rc = read_all(agent->line, job->text, call.text);
		fiber_start(job_fiber, job);
	}
	return rc;
}

static int open_line(const char *terminal)
{
	int fd = open(terminal, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	struct termios mode;

	if (fd < 0 || tcgetattr(fd, &mode))
		return -errno;
	cfmakeraw(&mode);
	return tcsetattr(fd, TCSANOW, &mode) ? -errno : fd;
}

int uml_agent(const char *terminal)
{
	struct agent agent = { .line = open_line(terminal),
			       .mailbox = open(MAILBOX, O_RDWR | O_DIRECT | O_CLOEXEC),
			       .device = -1 };
	struct error error = { 0 };
	struct worker *worker;
	int rc = 0;

	fiber_mutex_init(&agent.saying);
	if (agent.line < 0 || agent.mailbox < 0)
		rc = error_set(&error, agent.line < 0 ? agent.line : -ENODEV,
			       "raid test agent: %s: expected the line of a guest of `tenon raid "
			       "test --target`",
			       terminal);
	if (!rc)
		rc = worker_create(&worker, NULL, &error);
	if (rc) {
		cli_fail(rc, &error);
		return EXIT_FAILED;
	}
	rc = worker_run(worker, agent_fiber, &agent);
	worker_destroy(worker);
	return rc ? EXIT_FAILED : EXIT_DONE;
}
