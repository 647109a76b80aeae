/* SPDX-License-Identifier: BSD-2-Clause */
/* See ask.h. */
#include "tools/ask.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rpc/rpc.h"
#include "tools/describe.h"
#include "tools/runtime.h"
#include "util/cleanup.h"
#include "util/process.h"
#include "util/unix_socket.h"

#define SETTLE_NS (100 * 1000 * 1000ull)
#define LOOKS     40u
#define LOOK_NS   (50 * 1000 * 1000ull)

static int note_path(const char *path, void *arg)
{
	cli_words_add(arg, cli_keep_text(path));
	return 0;
}

static int wait_for_none(void *arg)
{
	(void)arg;
	return -EBUSY;
}

/* By its socket alone: who hangs up may be full, or out of memory, and lives. */
static bool nobody_listens(const char *path)
{
	for (unsigned i = 0; i < LOOKS; i++) {
		CLEANUP_CLOSE int fd = unix_socket_connect_with(path, wait_for_none, NULL, NULL);
		pid_t peer = fd < 0 ? 0 : unix_socket_peer(fd);

		if (fd < 0)
			return fd == -ECONNREFUSED;
		/* The kernel closes what a process had some time after that was killed. */
		if (!peer || !process_is_gone(peer) || fiber_sleep(LOOK_NS))
			return false;
	}
	return false;
}

bool ask_is_left_over(const char *path, pid_t pid)
{
	/* Also where its number is nobody's: it may be one of another namespace. */
	bool gone = (!pid || process_is_gone(pid)) && nobody_listens(path);

	/* One that does not listen yet does so in a moment. */
	if (gone && !pid)
		gone = !fiber_sleep(SETTLE_NS) && nobody_listens(path);
	if (gone) {
		unlink(path);
		runtime_tidy_disks();
	}
	return gone;
}

int ask_listener(const char *path, pid_t *pid)
{
	CLEANUP_CLOSE int fd = unix_socket_connect_with(path, wait_for_none, NULL, NULL);

	*pid = fd < 0 ? 0 : unix_socket_peer(fd);
	return fd < 0 ? fd : 0;
}

static int ask_one(void *arg)
{
	struct ask_answer *answer = arg;

	answer->rc = rpc_call_within(answer->path, answer->method, NULL, answer->limit_ns,
				     &answer->result, &answer->error);
	/* The sockets of one that was killed may answer with a hang-up while the kernel takes it apart. */
	if (answer->rc && answer->rc != -ETIMEDOUT && ask_is_left_over(answer->path, answer->pid))
		answer->rc = -ECONNREFUSED;
	else if (answer->rc == -ECONNREFUSED) /* it listens since */
		answer->rc = -EAGAIN;
	if (!answer->pid && answer->rc != -ECONNREFUSED)
		(void)ask_listener(answer->path, &answer->pid);
	return 0;
}

static int ask_paths(struct ask *ask, const struct cli_words *paths, const char *method,
		     uint64_t limit_ns, struct error *error)
{
	ask->answers = calloc(paths->count + 1, sizeof(*ask->answers));
	if (!ask->answers)
		return error_set(error, -ENOMEM, "out of memory");
	ask->count = paths->count;
	for (unsigned i = 0; i < paths->count; i++) {
		struct ask_answer *answer = &ask->answers[i];

		*answer = (struct ask_answer){ .path = paths->words[i],
					       .pid = runtime_pid_of(paths->words[i]),
					       .method = method,
					       .limit_ns = limit_ns };
		answer->fiber = fiber_spawn(ask_one, answer);
	}
	for (unsigned i = 0; i < paths->count; i++)
		fiber_join(ask->answers[i].fiber);
	return 0;
}

int ask_all(struct ask *ask, const char *prefix, const char *method, uint64_t limit_ns,
	    struct error *error)
{
	struct cli_words paths = { 0 };
	int rc = runtime_each_socket(prefix, note_path, &paths, error);

	*ask = (struct ask){ 0 };
	return rc ? rc : ask_paths(ask, &paths, method, limit_ns, error);
}

int ask_own(struct ask *ask, const char *prefix, const char *method, uint64_t limit_ns,
	    struct error *error)
{
	struct cli_words paths = { 0 };
	int rc = runtime_each_own_socket(prefix, note_path, &paths, error);

	*ask = (struct ask){ 0 };
	return rc ? rc : ask_paths(ask, &paths, method, limit_ns, error);
}

void ask_free(struct ask *ask)
{
	for (unsigned i = 0; i < ask->count; i++)
		json_decref(ask->answers[i].result);
	free(ask->answers);
	*ask = (struct ask){ 0 };
}

json_t *ask_row(pid_t pid, const struct ask_answer *answer)
{
	json_t *row = describe_process(pid);

	json_object_set_new(row, "control", describe_path(answer->path));
	json_object_set_new(row, "problem",
			    answer->rc
				    ? describe_text(answer->error.text[0] ? answer->error.text
									  : error_name(answer->rc))
				    : json_null());
	return row;
}

void ask_take(json_t *row, json_t *answer, const char *key, json_t *nothing)
{
	json_t *value = json_object_get(answer, key);

	json_object_set_new(row, key, value ? json_incref(value) : json_incref(nothing));
	json_decref(nothing);
}
