/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process of a guest of User Mode Linux; see uml.h.
 *
 * A keeper stands between: it starts the guest in a process group of its own, and waits for a word from us, or our end, by
 * a pipe. Then it ends the group (the guest's own processes are processes here), and after our end it removes the folder, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/image.h"
#include "tools/uml.h"
#include "util/error.h"

#define KEEPER_ORDER 3
#define GUEST_LINE   4
#define GUEST_EVENTS 5

const char uml_events_variable[] = "LD_PRELOAD=/proc/self/fd/5";

/* Where it cannot be had, the loader says so on the console, and goes on. */
static void give_events(void)
{
	int fd = memfd_create("uml-events", 0);

	if (fd >= 0 && write(fd, uml_events, uml_events_size) == (ssize_t)uml_events_size)
		(void)dup2(fd, GUEST_EVENTS);
}

/* In the child's child. */
static void become_guest(const char *const *argv, const char *console)
{
	int from = open("/dev/null", O_RDONLY),
	    to = open(console, O_WRONLY | O_CREAT | O_APPEND, 0600);

	setpgid(0, 0);
	if (from < 0 || to < 0 || dup2(from, 0) || dup2(to, 1) != 1 || dup2(to, 2) != 2)
		_exit(127);
	give_events();
	if (!close_range(GUEST_EVENTS + 1, ~0u, 0) && !close(KEEPER_ORDER))
		execv(argv[0], (char *const *)argv);
	_exit(127);
}

/* In the child. */
static void keep(const char *const *argv, const char *console, const char *folder)
{
	struct pollfd order = { .fd = KEEPER_ORDER, .events = POLLIN };
	ssize_t said = 0;
	pid_t guest;
	char word;

	setsid();
	signal(SIGPIPE, SIG_IGN);
	guest = fork();
	if (guest == 0)
		become_guest(argv, console);
	/* So that the line ends with the guest. */
	close(GUEST_LINE);
	close_range(GUEST_LINE + 1, ~0u, 0);
	setpgid(guest, guest);
	while (poll(&order, 1, -1) < 0 && errno == EINTR)
		;
	said = read(KEEPER_ORDER, &word, 1);
	if (guest > 0)
		kill(-guest, SIGKILL);
	while (guest > 0 && waitpid(guest, NULL, 0) < 0 && errno == EINTR)
		;
	if (said <= 0)
		image_remove_folder(folder);
	_exit(0);
}

/* Moves both out of the way of the numbers that they are to have. */
static bool place_descriptors(int order, int line)
{
	order = fcntl(order, F_DUPFD, 10);
	line = fcntl(line, F_DUPFD, 10);
	return order >= 0 && line >= 0 && dup2(order, KEEPER_ORDER) >= 0 &&
	       dup2(line, GUEST_LINE) >= 0;
}

int uml_process_start(struct uml_process *process, const char *const *argv, const char *console,
		      const char *folder, struct error *error)
{
	int lines[2] = { -1, -1 }, orders[2] = { -1, -1 };
	pid_t child = -1;
	int rc = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, lines) || pipe2(orders, O_CLOEXEC) ||
	    fcntl(lines[0], F_SETFL, O_NONBLOCK) || (child = fork()) < 0)
		rc = error_set(error, -errno, "%s: %s", argv[0], error_name(errno));
	if (child == 0) {
		if (place_descriptors(orders[0], lines[1]))
			keep(argv, console, folder);
		_exit(127);
	}
	if (orders[0] >= 0)
		close(orders[0]);
	if (lines[1] >= 0)
		close(lines[1]);
	if (!rc) {
		*process = (struct uml_process){ child, lines[0], orders[1] };
		return 0;
	}
	if (orders[1] >= 0)
		close(orders[1]);
	if (lines[0] >= 0)
		close(lines[0]);
	return rc;
}

void uml_process_kill(struct uml_process *process)
{
	if (!process->keeper)
		return;
	if (write(process->order, "k", 1) < 0) /* it is gone */
		kill(process->keeper, SIGKILL);
	while (waitpid(process->keeper, NULL, 0) < 0 && errno == EINTR)
		;
	close(process->order);
	close(process->line);
	process->keeper = 0;
}
