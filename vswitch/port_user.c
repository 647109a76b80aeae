/* SPDX-License-Identifier: BSD-2-Clause */
/* See port_user.h. */
#include "vswitch/port_user.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fiber/fiber.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/peer_file.h"
#include "vswitch/internal.h"
#include "vswitch/port_link.h"
#include "vswitch/port_stream.h"

#define SOCKET_FD   3
#define READY_FD    4
#define CONTROL_FD  5
#define PATIENCE_NS 50000000000ull
#define ANSWER_NS   5000000000ull

struct user_port {
	char *program, **argv, *where;
	int fd; /* of the first process, until it is asked for */
	int saying; /* it says here that it is ready, why it cannot be, or what is wrong; -1: nothing more */
	char said[1024];
	size_t said_end;
	int control;                /* by which it is told what has changed; -1: none */
	uint64_t processes, failed; /* that there were; the last that did not get ready, 0: none */
	struct error why;           /* of that one, or what is wrong with one that is ready */
	unsigned asked;             /* how often */
	pid_t child;                /* 0: none */
	bool ready, again;          /* again: it was ended to have another one */
};

/* A line, and advice in another; `text` is ended where they part. */
static int set_said(char *text, struct error *error)
{
	char *advice = text;

	error_set(error, -EIO, "%s", strsep(&advice, "\n"));
	return advice && *advice ? error_advise(error, "%s", advice) : -EIO;
}

/* Whole lines of one that is ready: the last counts. */
static void take_troubles(struct user_port *user)
{
	char *line = user->said, *end;

	for (; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		user->why.code = *line ? error_set(&user->why, -EIO, "%s", line) : 0;
	}
	user->said_end = strlen(line);
	memmove(user->said, line, user->said_end + 1);
}

/* Whether the process is ready, by what it has said until now. */
static bool look_ready(struct user_port *user)
{
	ssize_t got = 1;

	while (user->saying >= 0 && got > 0 && user->said_end < sizeof(user->said) - 1) {
		got = read(user->saying, user->said + user->said_end,
			   sizeof(user->said) - 1 - user->said_end);
		user->said_end += got > 0 ? (size_t)got : 0;
		user->said[user->said_end] = '\0';
		user->ready |= !strncmp(user->said, USER_PORT_READY, strlen(USER_PORT_READY));
		if (user->ready)
			take_troubles(user);
	}
	if (got <= 0 && (!got || errno != EAGAIN))
		cleanup_close(&user->saying);
	return user->ready;
}

/* It has ended. */
static void note_end(struct user_port *user)
{
	if (look_ready(user)) {
		user->why.code = 0;
	} else {
		user->failed = user->processes;
		if (!user->said_end)
			error_set(&user->why, -EIO, "it ended before it was ready");
		else
			set_said(user->said, &user->why);
	}
	cleanup_close(&user->saying);
}

static bool user_port_gone(void *context, struct error *why)
{
	struct user_port *user = context;
	bool again = user->again;

	user->again = false;
	peer_socket_close(steal_fd(&user->control));
	if (user->child <= 0)
		return again;
	/* It has no state, and nobody waits for it long: it was killed. */
	kill(user->child, SIGKILL);
	while (waitpid(user->child, NULL, 0) < 0 && errno == EINTR)
		;
	user->child = 0;
	note_end(user);
	*why = user->why;
	return again;
}

/* By a signal (SIGSTOP, a terminal's, a debugger's). It is looked at, not waited for: that is user_port_gone()'s. */
static bool is_stopped(const struct user_port *user)
{
	siginfo_t found = { 0 };

	return !waitid(P_PID, (id_t)user->child, &found, WSTOPPED | WNOHANG | WNOWAIT) &&
	       found.si_code == CLD_STOPPED;
}

static bool user_port_waits(void *context, char text[PORT_TEXT_MAX])
{
	struct user_port *user = context;

	if (user->child > 0 && is_stopped(user))
		snprintf(text, PORT_TEXT_MAX, "its process %d is stopped (`kill -CONT %d`)",
			 user->child, user->child);
	else if (look_ready(user) && !user->why.code)
		return false;
	else if (user->why.code)
		snprintf(text, PORT_TEXT_MAX, "%s%.*s", user->ready ? "up; " : "",
			 PORT_TEXT_MAX - 5, user->why.text);
	else
		snprintf(text, PORT_TEXT_MAX, "its process is starting");
	return true;
}

static void free_words(char **words)
{
	for (char **word = words; word && *word; word++)
		free(*word);
	free(words);
}

/* NULL without memory. */
static char **copy_words(char *const *words)
{
	size_t count = 0;
	char **copy;

	while (words[count])
		count++;
	copy = calloc(count + 1, sizeof(*copy));
	for (size_t i = 0; i < count && copy; i++)
		if (!(copy[i] = strdup(words[i]))) {
			free_words(copy);
			return NULL;
		}
	return copy;
}

static void user_port_destroy(void *context)
{
	struct user_port *user = context;
	struct error unused;

	user_port_gone(user, &unused);
	cleanup_close(&user->fd);
	free_words(user->argv);
	free(user->program);
	free(user->where);
	free(user);
}

static int spawn_with(struct user_port *user, int socket, int ready, int control)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, pipe;
	int rc;

	sigemptyset(&none);
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &pipe);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, socket, SOCKET_FD);
	posix_spawn_file_actions_adddup2(&actions, ready, READY_FD);
	posix_spawn_file_actions_adddup2(&actions, control, CONTROL_FD);
	rc = posix_spawn(&user->child, user->program, &actions, &attributes, user->argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	if (rc)
		user->child = 0;
	return -rc;
}

/* Starts it. The socket, or a negative errno. */
static int user_port_spawn(struct user_port *user, struct error *error)
{
	int sockets[2] = { -1, -1 }, pipes[2] = { -1, -1 }, control[2] = { -1, -1 };
	int high[3] = { -1, -1, -1 }, rc = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) ||
	    pipe2(pipes, O_CLOEXEC) || fcntl(pipes[0], F_SETFL, O_NONBLOCK))
		rc = -errno;
	/* Out of the way of the numbers that they get. */
	if (!rc) {
		high[0] = fcntl(sockets[1], F_DUPFD_CLOEXEC, CONTROL_FD + 1);
		high[1] = fcntl(pipes[1], F_DUPFD_CLOEXEC, CONTROL_FD + 1);
		high[2] = fcntl(control[1], F_DUPFD_CLOEXEC, CONTROL_FD + 1);
		rc = high[0] < 0 || high[1] < 0 || high[2] < 0
			     ? -errno
			     : spawn_with(user, high[0], high[1], high[2]);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(high); i++)
		cleanup_close(&high[i]);
	cleanup_close(&sockets[1]);
	cleanup_close(&pipes[1]);
	cleanup_close(&control[1]);
	if (!rc) {
		user->processes++;
		user->control = control[0];
		user->saying = pipes[0];
		user->said_end = 0;
		user->ready = false;
		return sockets[0];
	}
	cleanup_close(&sockets[0]);
	cleanup_close(&pipes[0]);
	cleanup_close(&control[0]);
	error_set(error, rc, "cannot start %s: %s", user->argv[0], error_name(rc));
	if (rc == -ENOENT)
		error_advise(error, "it needs %s and /dev/null: mount /proc and /dev here",
			     user->program);
	return rc;
}

/* If it does not get ready, it says why and ends, and is started again. */
static int user_port_make(void *context, struct error *error)
{
	struct user_port *user = context;
	int fd = user->fd >= 0 ? steal_fd(&user->fd) : user_port_spawn(user, error);

	if (fd < 0) {
		user->failed = ++user->processes;
		user->why = *error;
	}
	return fd;
}

/* Until it is, or has ended. The limit is for one that hangs, not one that gets no processor: somewhat less than a command waits, which is to tell why. */
static int await_ready(struct user_port *user, struct error *error)
{
	uint64_t now, until = monotonic_ns() + PATIENCE_NS;

	while (!look_ready(user) && user->saying >= 0) {
		now = monotonic_ns();
		if (now >= until || fiber_poll(user->saying, POLLIN, until - now) < 0)
			return error_set(error, -ETIMEDOUT, "its process does not get ready");
	}
	if (look_ready(user))
		return 0;
	note_end(user);
	*error = user->why;
	return error->code;
}

static struct user_port *user_port_create(const struct vswitch_user_options *options)
{
	struct user_port *user = calloc(1, sizeof(*user));

	if (!user)
		return NULL;
	user->fd = user->control = user->saying = -1;
	user->program = strdup(options->program);
	user->where = strdup(options->where);
	user->argv = copy_words(options->argv);
	if (user->program && user->argv && user->where)
		return user;
	user_port_destroy(user);
	return NULL;
}

int vswitch_add_port_user(struct vswitch *vswitch, const char *name,
			  const struct vswitch_user_options *options, struct error *error)
{
	struct user_port *user = user_port_create(options);
	struct port_stream_maker maker = { .type = options->type,
					   .where = user ? user->where : NULL,
					   .make = user_port_make,
					   .gone = user_port_gone,
					   .waits = user_port_waits,
					   .destroy = user_port_destroy,
					   .context = user };
	struct vswitch_stream_options stream = { .maker = &maker, .config = options->config };
	int rc;

	if (!user)
		return error_set(error, -ENOMEM, "port %s: out of memory", name);
	user->fd = user_port_spawn(user, error);
	rc = user->fd < 0 ? user->fd : await_ready(user, error);
	if (rc < 0) {
		user_port_destroy(user);
		error_prefix(error, "port %s", name);
		return rc;
	}
	return vswitch_add_port_stream(vswitch, name, &stream, error);
}

/* ---- Changes ---- */

struct user_call {
	struct vswitch *vswitch;
	const char *name;
	char **argv; /* the new ones, then the old ones; NULL: they stay */
	int control; /* a copy of the port's */
	uint64_t process;
	unsigned number; /* of what it is asked */
	struct error *error;
};

static int find_user(const struct user_call *call, struct user_port **user)
{
	struct port *port = vswitch_find_port(call->vswitch, call->name);

	if (!port)
		return vswitch_no_such_port(call->vswitch, call->name, call->error);
	if (port_link_lower(port))
		port = port_link_lower(port);
	*user = port_stream_context(port, user_port_make);
	return *user ? 0
		     : error_set(call->error, -EINVAL, "port %s: it has no process of its own",
				 call->name);
}

/* The words of the next process; the one that there is, `process` from then on, ends unless it was that already, and knows. */
static int set_words(void *arg)
{
	struct user_call *call = arg;
	struct user_port *user;
	char **old;
	int rc = find_user(call, &user);

	if (rc)
		return rc;
	old = user->argv;
	user->argv = call->argv;
	call->argv = old;
	if (user->child > 0 && user->processes != call->process) {
		user->again = true;
		kill(user->child, SIGKILL);
	}
	call->process = user->processes;
	return 0;
}

static int check_trouble(void *arg)
{
	struct user_call *call = arg;
	struct user_port *user;
	int rc = find_user(call, &user);

	if (rc || user->child <= 0 || !look_ready(user) || !user->why.code)
		return rc;
	error_set(call->error, user->why.code, "port %s: %s", call->name, user->why.text);
	return user->why.code;
}

int vswitch_check_port_user(struct vswitch *vswitch, const char *name, struct error *error)
{
	struct user_call call = { .vswitch = vswitch, .name = name, .error = error };

	return vswitch_call(vswitch, check_trouble, &call);
}

int vswitch_restart_port_user(struct vswitch *vswitch, const char *name, char *const *argv,
			      uint64_t *process, struct error *error)
{
	struct user_call call = { .vswitch = vswitch, .name = name, .error = error };
	int rc;

	call.argv = copy_words(argv);
	if (!call.argv)
		return error_set(error, -ENOMEM, "port %s: out of memory", name);
	rc = vswitch_call(vswitch, set_words, &call);
	*process = call.process;
	free_words(call.argv);
	return rc;
}

static int look_after(void *arg)
{
	struct user_call *call = arg;
	struct user_port *user;
	int rc = find_user(call, &user);

	if (rc)
		return rc;
	if (user->child > 0 && user->processes > call->process && look_ready(user))
		return 0;
	if (user->failed <= call->process)
		return -EINPROGRESS;
	*call->error = user->why;
	error_prefix(call->error, "port %s", call->name);
	return user->why.code;
}

int vswitch_look_port_user(struct vswitch *vswitch, const char *name, uint64_t process,
			   struct error *error)
{
	struct user_call call = {
		.vswitch = vswitch, .name = name, .process = process, .error = error
	};

	return vswitch_call(vswitch, look_after, &call);
}

static int get_control(void *arg)
{
	struct user_call *call = arg;
	struct user_port *user;
	int rc = find_user(call, &user);

	if (rc)
		return rc;
	call->process = user->processes;
	call->number = ++user->asked;
	call->control = user->control < 0 ? -1 : fcntl(user->control, F_DUPFD_CLOEXEC, 0);
	return call->control < 0
		       ? error_set(call->error, -EAGAIN,
				   "port %s: its process is being started: try again", call->name)
		       : 0;
}

static int no_answer(const struct user_call *call)
{
	error_set(call->error, -ETIMEDOUT,
		  "port %s: its process does not answer: whether it was done is not known",
		  call->name);
	return error_advise(call->error, "ask again: what is done already is no error");
}

/* Its answer. What it says late of others, which were given up, is passed over. What is there at the end of the time was in time: it may be us who are late. */
static int take_answer(const struct user_call *call, uint64_t until)
{
	char answer[512], *words;

	for (uint64_t now = 0; now < until;) {
		uint64_t left = (now = monotonic_ns()) < until ? until - now : 0;
		int came = fiber_poll(call->control, POLLIN, left);
		ssize_t got;
		if (came == -ETIMEDOUT)
			continue;
		if (came < 0)
			break;
		got = peer_receive_bytes(call->control, answer, sizeof(answer) - 1);
		if (got <= 0)
			return error_set(call->error, -EPIPE,
					 "port %s: its process ended: try again", call->name);
		answer[got] = '\0';
		if (strtoul(answer, &words, 10) != call->number || *words++ != ' ')
			continue;
		return strcmp(words, "done")
			       ? error_set(call->error, -EIO, "port %s: %s", call->name, words)
			       : 0;
	}
	return no_answer(call);
}

/* Says it, and waits for "done". */
static int ask_process(const struct user_call *call, const char *text)
{
	uint64_t until = monotonic_ns() + ANSWER_NS;
	char question[256];
	int length = snprintf(question, sizeof(question), "%u %s", call->number, text);

	if (length < 0 || (size_t)length >= sizeof(question))
		return error_set(call->error, -EINVAL, "port %s: %.80s...: it is too long",
				 call->name, text);
	if (send(call->control, question, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return take_answer(call, until);
	return errno == EAGAIN ? no_answer(call)
			       : error_set(call->error, -EPIPE,
					   "port %s: its process ended: try again", call->name);
}

int vswitch_tell_port_user(struct vswitch *vswitch, const char *name, const char *text,
			   char *const *argv, struct error *error)
{
	struct user_call call = { .vswitch = vswitch, .name = name, .error = error };
	int rc;

	call.argv = copy_words(argv);
	if (!call.argv)
		return error_set(error, -ENOMEM, "port %s: out of memory", name);
	rc = vswitch_call(vswitch, get_control, &call);
	if (!rc) {
		rc = ask_process(&call, text);
		cleanup_close(&call.control);
	}
	if (!rc)
		rc = vswitch_call(vswitch, set_words, &call);
	free_words(call.argv);
	return rc;
}
