/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/rpc: requests without I/O, and a server and clients on one worker. */
#include "fiber_run.h"
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fiber/fiber.h"
#include "lingering.h"
#include "rpc/rpc.h"
#include "util/unix_socket.h"
#include "util/cleanup.h"
#include "util/error.h"

static int method_echo(void *context, json_t *params, json_t **result, struct error *error)
{
	(void)context, (void)error;
	*result = json_incref(params);
	return 0;
}

static int method_fail(void *context, json_t *params, json_t **result, struct error *error)
{
	(void)context, (void)params, (void)result;
	error_set(error, -ENOSPC, "disk: no room, found 1, expected 2");
	return error_advise(error, "buy one");
}

static int method_slow(void *context, json_t *params, json_t **result, struct error *error)
{
	(void)context, (void)params, (void)error;
	*result = json_integer(fiber_sleep(3600 * 1000000000ull));
	return 0;
}

/* As many bytes as are asked for. */
static int method_much(void *context, json_t *params, json_t **result, struct error *error)
{
	size_t length = (size_t)json_integer_value(json_object_get(params, "bytes"));
	CLEANUP_FREE char *text = malloc(length);

	(void)context, (void)error;
	memset(text, 'x', length);
	*result = json_stringn(text, length);
	return 0;
}

static const struct rpc_method methods[] = { { "echo", method_echo },
					     { "fail", method_fail },
					     { "slow", method_slow },
					     { "much", method_much },
					     { NULL, NULL } };

static void check_line(const char *line, const char *expected)
{
	CLEANUP_FREE char *answer = rpc_handle_line(methods, NULL, line, strlen(line));

	if (!expected) {
		CU_ASSERT_PTR_NULL(answer);
	} else {
		CU_ASSERT_PTR_NOT_NULL_FATAL(answer);
		CU_ASSERT_STRING_EQUAL(answer, expected);
	}
}

static void test_requests_follow_the_specification(void)
{
	check_line("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"echo\",\"params\":{\"a\":1}}",
		   "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"a\":1}}");
	check_line("{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"no\"}",
		   "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"error\":{\"code\":-32601,\"message\":"
		   "\"no such method\"}}");
	check_line("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":[1]}",
		   "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32602,\"message\":\"params "
		   "must be an object\"}}");
	check_line("{", "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":"
			"\"not JSON\"}}");
	check_line("[1]", "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600,"
			  "\"message\":\"not a request\"}}");
	check_line("{\"id\":1,\"method\":\"echo\"}",
		   "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32600,\"message\":\"not a "
		   "JSON-RPC 2.0 request\"}}");
	/* A notification has no answer, not even when it fails. */
	check_line("{\"jsonrpc\":\"2.0\",\"method\":\"fail\"}", NULL);
}

struct socket_test {
	char path[128];
	struct rpc_server *server;
};

static int call_slow(void *arg)
{
	struct socket_test *test = arg;

	return rpc_call(test->path, "slow", NULL, NULL, NULL);
}

static int socket_test_run(void *arg)
{
	struct socket_test *test = arg;
	struct unix_listener listener;
	struct error error = { 0 };
	struct fiber *waiting;
	json_t *result = NULL;

	CU_ASSERT_EQUAL(rpc_call(test->path, "echo", NULL, NULL, &error), -ENOENT);
	CU_ASSERT_EQUAL(rpc_server_start(&test->server, test->path, methods, NULL, NULL, &error),
			0);
	CU_ASSERT_EQUAL(unix_listen(&listener, test->path, &error), -EADDRINUSE);

	CU_ASSERT_EQUAL(rpc_call(test->path, "echo", json_pack("{s:s}", "k", "v"), &result, &error),
			0);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(result, "k")), "v");
	json_decref(result);

	CU_ASSERT_EQUAL(rpc_call(test->path, "fail", NULL, NULL, &error), -ENOSPC);
	CU_ASSERT_STRING_EQUAL(error.text, "disk: no room, found 1, expected 2");
	CU_ASSERT_STRING_EQUAL(error.advice, "buy one");

	/* Stopping ends a method that waits, and its client is told. */
	waiting = fiber_spawn(call_slow, test);
	for (int i = 0; i < 20; i++)
		fiber_yield();
	rpc_server_stop(test->server);
	CU_ASSERT_TRUE(fiber_join(waiting) != -EINPROGRESS);
	CU_ASSERT_NOT_EQUAL(access(test->path, F_OK), 0);
	return 0;
}

static void test_calls_over_a_socket(void)
{
	struct socket_test test = { 0 };
	struct worker *worker;

	snprintf(test.path, sizeof(test.path), "%s/rpc.sock", unit_directory());
	CU_ASSERT_EQUAL_FATAL(worker_create(&worker, NULL, NULL), 0);
	worker_run(worker, socket_test_run, &test);
	worker_destroy(worker);
}

static int garbage_run(void *arg)
{
	struct socket_test *test = arg;
	static char long_line[RPC_MESSAGE_MAX + 4096];
	CLEANUP_CLOSE int fd = -1;
	json_t *result = NULL;
	char byte;

	memset(long_line, 'x', sizeof(long_line));
	CU_ASSERT_EQUAL(rpc_server_start(&test->server, test->path, methods, NULL, NULL, NULL), 0);
	fd = fiber_connect_unix(test->path);
	CU_ASSERT_TRUE(fd >= 0);
	fiber_write(fd, long_line, sizeof(long_line));
	CU_ASSERT_TRUE(fiber_read(fd, &byte, 1) <= 0);
	CU_ASSERT_EQUAL(rpc_call(test->path, "echo", NULL, &result, NULL), 0);
	json_decref(result);
	rpc_server_stop(test->server);
	return 0;
}

/* Who finds no room is not told that the server has ended, which may be what its socket is removed for. */
static int full_run(void *arg)
{
	struct socket_test *test = arg;
	int clients[RPC_CONNECTIONS];
	struct error error = { 0 };
	unsigned asked = 0;

	CU_ASSERT_EQUAL(rpc_server_start(&test->server, test->path, methods, NULL, NULL, NULL), 0);
	for (unsigned i = 0; i < RPC_CONNECTIONS; i++) {
		clients[i] = fiber_connect_unix(test->path);
		CU_ASSERT(clients[i] >= 0);
		fiber_sleep(1000000);
	}
	for (unsigned i = 0; i < 20; i++) {
		error = (struct error){ 0 };
		CU_ASSERT_EQUAL(rpc_call(test->path, "echo", NULL, NULL, &error), -EBUSY);
		CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "has 256 clients"));
		CU_ASSERT_PTR_NOT_NULL(strstr(error.advice, "nothing was done"));
	}
	for (unsigned i = 0; i < RPC_CONNECTIONS; i++)
		close(clients[i]);
	while (rpc_call(test->path, "echo", NULL, NULL, NULL) && asked++ < 1000)
		fiber_sleep(1000000);
	CU_ASSERT(asked < 1000);
	rpc_server_stop(test->server);
	return 0;
}

static void test_who_finds_no_room_is_told(void)
{
	struct socket_test test = { 0 };

	snprintf(test.path, sizeof(test.path), "%s/full.sock", unit_directory());
	fiber_run_virtual(WORKER_ENGINE_AUTO, full_run, &test);
}

static void test_an_endless_line_closes_only_its_connection(void)
{
	struct socket_test test = { 0 };
	struct worker *worker;

	snprintf(test.path, sizeof(test.path), "%s/garbage.sock", unit_directory());
	CU_ASSERT_EQUAL_FATAL(worker_create(&worker, NULL, NULL), 0);
	worker_run(worker, garbage_run, &test);
	worker_destroy(worker);
}

/* Files that have whoever closes them wait, with what is asked; and with what is not read any more. */
static int file_run(void *arg)
{
	struct socket_test *test = arg;
	static const char request[] = "{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"none\"}\n";
	struct lingering lingering[2];
	char answer[16];
	int fd;

	CU_ASSERT_EQUAL(rpc_server_start(&test->server, test->path, methods, NULL, NULL, NULL), 0);
	fd = fiber_connect_unix(test->path);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	for (unsigned i = 0; i < 2; i++)
		lingering_make(&lingering[i]);
	lingering_send(&lingering[0], fd, request, sizeof(request) - 1, 1, 0);
	CU_ASSERT_TRUE(fiber_read(fd, answer, sizeof(answer)) > 0);
	close(fd);
	fd = fiber_connect_unix(test->path);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	lingering_send(&lingering[1], fd, request, sizeof(request) - 1, 1, 0);
	close(fd);
	rpc_server_stop(test->server);
	for (unsigned i = 0; i < 2; i++)
		lingering_end(&lingering[i]);
	return 0;
}

static void test_files_with_a_request_hold_nobody(void)
{
	/* io_uring has what waits in the kernel end as a signal does, also after its end: so without, and before all tests with it. */
	const struct worker_options options = { .engine = WORKER_ENGINE_AIO };
	struct socket_test test = { 0 };
	struct worker *worker;

	snprintf(test.path, sizeof(test.path), "%s/files.sock", unit_directory());
	CU_ASSERT_EQUAL_FATAL(worker_create(&worker, &options, NULL), 0);
	worker_run(worker, file_run, &test);
	worker_destroy(worker);
}

/* What is asked is short, what there is to say may be long: a whole switch, with the traces of its links. */
static int long_answer_run(void *arg)
{
	static const size_t sizes[] = { RPC_MESSAGE_MAX - 4096, 3 * RPC_MESSAGE_MAX };
	struct socket_test *test = arg;

	CU_ASSERT_EQUAL(rpc_server_start(&test->server, test->path, methods, NULL, NULL, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		json_t *result = NULL, *params = json_pack("{s:I}", "bytes", (json_int_t)sizes[i]);

		CU_ASSERT_EQUAL(rpc_call(test->path, "much", params, &result, NULL), 0);
		CU_ASSERT_EQUAL(json_string_length(result), sizes[i]);
		json_decref(result);
	}
	rpc_server_stop(test->server);
	return 0;
}

static void test_an_answer_may_be_longer_than_a_request(void)
{
	struct socket_test test = { 0 };
	struct worker *worker;

	snprintf(test.path, sizeof(test.path), "%s/long.sock", unit_directory());
	CU_ASSERT_EQUAL_FATAL(worker_create(&worker, NULL, NULL), 0);
	worker_run(worker, long_answer_run, &test);
	worker_destroy(worker);
}

/* ---- Peers that hang ---- */

static const char request[] =
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":{\"a\":\"";
static const char half_line[] = "{\"jsonrpc\":\"2.0\",";

/* Reads until the server has closed the connection; returns how long that took. */
static uint64_t wait_for_end(int fd)
{
	uint64_t begin = worker_now();
	char bytes[4096];

	while (fiber_read(fd, bytes, sizeof(bytes)) > 0)
		;
	return worker_now() - begin;
}

static void check_that_it_answers(const struct socket_test *test)
{
	json_t *result = NULL;

	CU_ASSERT_EQUAL(rpc_call(test->path, "echo", json_pack("{s:i}", "n", 7), &result, NULL), 0);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(result, "n")), 7);
	json_decref(result);
}

static int hanging_clients_run(void *arg)
{
	struct socket_test *test = arg;
	CLEANUP_CLOSE int half = -1, silent = -1, deaf = -1;
	CLEANUP_FREE char *filling = calloc(1, 2 << 20);
	uint64_t took;

	CU_ASSERT_EQUAL(rpc_server_start(&test->server, test->path, methods, NULL, NULL, NULL), 0);
	half = fiber_connect_unix(test->path);
	fiber_write(half, half_line, strlen(half_line));
	check_that_it_answers(test);
	took = wait_for_end(half);
	CU_ASSERT_TRUE(took >= RPC_PEER_NS && took < RPC_PEER_NS + 1000000000);

	silent = fiber_connect_unix(test->path);
	check_that_it_answers(test);
	took = wait_for_end(silent);
	CU_ASSERT_TRUE(took >= RPC_IDLE_NS && took < RPC_IDLE_NS + 1000000000);

	/* An answer of two megabytes fits into no socket buffer. */
	deaf = fiber_connect_unix(test->path);
	memset(filling, 'x', (2 << 20) - 1);
	fiber_write(deaf, request, strlen(request));
	fiber_write(deaf, filling, strlen(filling));
	fiber_write(deaf, "\"}}\n", 4);
	check_that_it_answers(test);
	fiber_sleep(RPC_PEER_NS + 1000000000);
	CU_ASSERT_EQUAL(wait_for_end(deaf), 0);

	rpc_server_stop(test->server);
	return 0;
}

static void test_a_client_that_hangs_is_closed_in_time(void)
{
	struct socket_test test = { 0 };

	snprintf(test.path, sizeof(test.path), "%s/hanging.sock", unit_directory());
	fiber_run_virtual(WORKER_ENGINE_AUTO, hanging_clients_run, &test);
}

static int stop_with_clients_run(void *arg)
{
	struct socket_test *test = arg;
	CLEANUP_CLOSE int half = -1, silent = -1;
	uint64_t begin;

	CU_ASSERT_EQUAL(rpc_server_start(&test->server, test->path, methods, NULL, NULL, NULL), 0);
	half = fiber_connect_unix(test->path);
	fiber_write(half, half_line, strlen(half_line));
	silent = fiber_connect_unix(test->path);
	check_that_it_answers(test);
	begin = worker_now();
	rpc_server_stop(test->server);
	CU_ASSERT_EQUAL(worker_now(), begin);
	return 0;
}

/* ---- The end of a server ---- */

struct late_call {
	const struct socket_test *test;
	struct error error;
	uint64_t took;
	bool ended;
};

static int call_late(void *arg)
{
	struct late_call *call = arg;
	uint64_t begin = worker_now();
	int rc = rpc_call(call->test->path, "echo", NULL, NULL, &call->error);

	call->took = worker_now() - begin;
	call->ended = true;
	return rc;
}

static int draining_run(void *arg)
{
	struct socket_test *test = arg;
	struct late_call late = { .test = test }, impatient = { .test = test };
	struct fiber *first, *second, *running;
	CLEANUP_CLOSE int half = -1;
	char byte;

	CU_ASSERT_EQUAL(rpc_server_start(&test->server, test->path, methods, NULL, NULL, NULL), 0);
	half = fiber_connect_unix(test->path);
	fiber_write(half, half_line, strlen(half_line));
	running = fiber_spawn(call_slow, test);
	fiber_sleep(1000000000);
	/* What runs is cancelled, and has its answer. */
	rpc_server_drain(test->server);
	CU_ASSERT_EQUAL(fiber_join(running), 0);
	/* Whoever comes then waits, and hears after a time that it is ending yet. */
	first = fiber_spawn(call_late, &impatient);
	CU_ASSERT_EQUAL(fiber_join(first), -EBUSY);
	CU_ASSERT(impatient.took >= RPC_ENDING_NS && impatient.took < RPC_ENDING_NS + 1000000000);
	CU_ASSERT_PTR_NOT_NULL(strstr(impatient.error.text, "is ending"));
	/* Or that it has ended, and nothing was done; and nobody is there any more. */
	second = fiber_spawn(call_late, &late);
	fiber_sleep(1000000000);
	CU_ASSERT_FALSE(late.ended);
	rpc_server_stop(test->server);
	CU_ASSERT_EQUAL(fiber_join(second), -ECONNREFUSED);
	CU_ASSERT_PTR_NOT_NULL(strstr(late.error.text, "has ended"));
	CU_ASSERT(fiber_read(half, &byte, 1) <= 0);
	return 0;
}

static void test_a_server_that_ends_says_so_to_whoever_comes_then(void)
{
	struct socket_test test = { 0 };

	snprintf(test.path, sizeof(test.path), "%s/draining.sock", unit_directory());
	fiber_run_virtual(WORKER_ENGINE_AUTO, draining_run, &test);
}

/* A peer that takes the line or a part of it, and hangs up. */
static int hang_up_run(void *arg)
{
	struct socket_test *test = arg;
	struct unix_listener listener;
	char bytes[4096];

	for (int reads_all = 0; reads_all < 2; reads_all++) {
		struct late_call late = { .test = test };
		struct fiber *caller;
		int fd;

		CU_ASSERT_EQUAL_FATAL(unix_listen(&listener, test->path, NULL), 0);
		caller = fiber_spawn(call_late, &late);
		fd = fiber_accept(listener.fd);
		fiber_sleep(1000000000);
		CU_ASSERT(fiber_read(fd, bytes, reads_all ? sizeof(bytes) : 5) >= 5);
		close(fd);
		unix_listener_close(&listener);
		/* Only of the one that had read all it is not known whether something was done. */
		CU_ASSERT_EQUAL(fiber_join(caller), reads_all ? -EPIPE : -ECONNREFUSED);
		CU_ASSERT_EQUAL(strstr(late.error.advice, "it may be done") != NULL, reads_all);
	}
	return 0;
}

static void test_a_request_that_was_not_read_whole_was_not_done(void)
{
	struct socket_test test = { 0 };

	snprintf(test.path, sizeof(test.path), "%s/hang-up.sock", unit_directory());
	fiber_run_virtual(WORKER_ENGINE_AUTO, hang_up_run, &test);
}

static void test_a_server_ends_at_once_whatever_its_clients_do(void)
{
	struct socket_test test = { 0 };

	snprintf(test.path, sizeof(test.path), "%s/stopping.sock", unit_directory());
	fiber_run_virtual(WORKER_ENGINE_AUTO, stop_with_clients_run, &test);
}

static int slow_method_run(void *arg)
{
	struct socket_test *test = arg;
	struct error error = { 0 };
	char who[80];

	CU_ASSERT_EQUAL(rpc_server_start(&test->server, test->path, methods, NULL, NULL, NULL), 0);
	CU_ASSERT_EQUAL(rpc_call_within(test->path, "slow", NULL, 2000000000, NULL, &error),
			-ETIMEDOUT);
	snprintf(who, sizeof(who), "no answer to slow in 2 s from process %d (", (int)getpid());
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, who));
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "rpc_test"));
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, ", started 2"));
	CU_ASSERT_PTR_NOT_NULL(strstr(error.advice, "look before you ask again"));
	rpc_server_stop(test->server);
	return 0;
}

static void test_a_call_has_an_end_and_says_whom_it_waited_for(void)
{
	struct socket_test test = { 0 };

	snprintf(test.path, sizeof(test.path), "%s/slow.sock", unit_directory());
	fiber_run_virtual(WORKER_ENGINE_AUTO, slow_method_run, &test);
}

/* A process that listens at `path` and stops. Killed and waited for by the caller. */
static pid_t stopped_listener(const char *path)
{
	struct unix_listener listener;
	pid_t pid;
	int status;

	pid = fork();
	if (!pid) {
		if (!unix_listen(&listener, path, NULL))
			raise(SIGSTOP);
		_exit(1);
	}
	CU_ASSERT_EQUAL(waitpid(pid, &status, WUNTRACED), pid);
	CU_ASSERT_TRUE(WIFSTOPPED(status));
	return pid;
}

static int stopped_server_run(void *arg)
{
	struct error error = { 0 };
	pid_t pid = stopped_listener(arg);
	int fds[80];
	char text[80];

	/* The limit of a minute is not what ends this. */
	CU_ASSERT_EQUAL(rpc_call(arg, "echo", NULL, NULL, &error), -ETIMEDOUT);
	snprintf(text, sizeof(text), "no answer to echo from process %d (", (int)pid);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, text));
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, ", stopped"));
	snprintf(text, sizeof(text), "`kill -CONT %d`", (int)pid);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.advice, text));

	/* Nor does a full backlog make it wait longer than it was told. */
	for (unsigned i = 0; i < 80; i++) {
		struct sockaddr_un address;

		unix_socket_address(&address, arg, NULL);
		fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(fds[i], (struct sockaddr *)&address, sizeof(address));
	}
	CU_ASSERT_EQUAL(rpc_call_within(arg, "echo", NULL, 50000000, NULL, &error), -ETIMEDOUT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "queue of clients is full"));
	for (unsigned i = 0; i < 80; i++)
		close(fds[i]);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return 0;
}

static void test_a_stopped_server_is_named_and_not_waited_for(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/stopped.sock", unit_directory());
	fiber_run_real(WORKER_ENGINE_AUTO, stopped_server_run, path);
}

static void test_paths_of_sockets(void)
{
	struct unix_listener listener, again;
	struct error error = { 0 };
	char path[256];

	memset(path, 'a', sizeof(path));
	path[108] = '\0';
	CU_ASSERT_EQUAL(unix_listen(&listener, path, &error), -ENAMETOOLONG);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "108 bytes, a socket's may have 107"));
	snprintf(path, sizeof(path), "%s/plain", unit_directory());
	fclose(fopen(path, "w"));
	CU_ASSERT_EQUAL(unix_listen(&listener, path, &error), -EEXIST);
	/* What a dead process left behind is replaced. */
	snprintf(path, sizeof(path), "%s/stale.sock", unit_directory());
	CU_ASSERT_EQUAL(unix_listen(&listener, path, &error), 0);
	close(listener.fd);
	free(listener.path);
	CU_ASSERT_EQUAL(unix_listen(&again, path, &error), 0);
	unix_listener_close(&again);
	CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
}

static mode_t mode_of(const char *path)
{
	struct stat status = { 0 };

	CU_ASSERT_EQUAL(lstat(path, &status), 0);
	return status.st_mode & 07777;
}

/* Exchanges the socket for a file of its own as soon as it is there. */
static void *exchange(void *arg)
{
	const char *path = arg;
	char mine[300];
	struct stat status;

	snprintf(mine, sizeof(mine), "%s.mine", path);
	fclose(fopen(mine, "w"));
	while (lstat(path, &status) || !S_ISSOCK(status.st_mode))
		;
	CU_ASSERT_EQUAL(rename(mine, path), 0);
	return NULL;
}

/* Whatever the moment: what somebody else put in the place of a socket is never removed. */
static void test_a_socket_exchanged(void)
{
	const struct unix_socket_access access = { .mode = 0660 };
	char path[256];

	snprintf(path, sizeof(path), "%s/exchanged.sock", unit_directory());
	for (unsigned i = 0; i < 50; i++) {
		struct unix_listener listener;
		struct error error = { 0 };
		struct stat status;
		pthread_t thread;
		int rc;

		CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, exchange, path), 0);
		rc = unix_listen_for(&listener, path, &access, &error);
		pthread_join(thread, NULL);
		if (!rc)
			unix_listener_close(&listener);
		CU_ASSERT(!lstat(path, &status) && S_ISREG(status.st_mode));
		unlink(path);
	}
}

/* Who may connect is settled before the first could. */
static void test_sockets_for_others(void)
{
	struct unix_socket_access access = { .mode = 0660, .has_group = true, .group = getegid() };
	struct unix_listener listener;
	struct error error = { 0 };
	mode_t mode, before = umask(0);
	struct stat status;
	char path[256];
	gid_t group;

	snprintf(path, sizeof(path), "%s/shared.sock", unit_directory());
	CU_ASSERT_EQUAL_FATAL(unix_listen(&listener, path, &error), 0);
	CU_ASSERT_EQUAL(mode_of(path), 0600);
	unix_listener_close(&listener);
	CU_ASSERT_EQUAL_FATAL(unix_listen_for(&listener, path, &access, &error), 0);
	CU_ASSERT_EQUAL(mode_of(path), 0660);
	CU_ASSERT_EQUAL(lstat(path, &status), 0);
	CU_ASSERT_EQUAL(status.st_gid, access.group);
	unix_listener_close(&listener);
	umask(before);
	if (geteuid() != 0) {
		access.group = 0; /* an ordinary user's it is not */
		CU_ASSERT_EQUAL(unix_listen_for(&listener, path, &access, &error), -EPERM);
		CU_ASSERT_NOT_EQUAL(lstat(path, &status), 0);
	}
	CU_ASSERT_EQUAL(unix_socket_parse_mode("0660", &mode, &error), 0);
	CU_ASSERT_EQUAL(mode, 0660);
	CU_ASSERT_EQUAL(unix_socket_parse_mode("777", &mode, &error), 0);
	for (const char **at =
		     (const char *[]){ "", "8", "0", "060", "1777", "07777", "-1", "rw", NULL };
	     *at; at++)
		CU_ASSERT_EQUAL(unix_socket_parse_mode(*at, &mode, &error), -EINVAL);
	CU_ASSERT_EQUAL(unix_socket_parse_group("root", &group, &error), 0);
	CU_ASSERT_EQUAL(group, 0);
	CU_ASSERT_EQUAL(unix_socket_parse_group("4242", &group, &error), 0);
	CU_ASSERT_EQUAL(group, 4242);
	CU_ASSERT_EQUAL(unix_socket_parse_group("4294967295", &group, &error), -ENOENT);
	CU_ASSERT_EQUAL(unix_socket_parse_group("none-such", &group, &error), -ENOENT);
}

UNIT_MAIN("rpc", UNIT(test_files_with_a_request_hold_nobody),
	  UNIT(test_requests_follow_the_specification), UNIT(test_calls_over_a_socket),
	  UNIT(test_who_finds_no_room_is_told),
	  UNIT(test_an_endless_line_closes_only_its_connection),
	  UNIT(test_an_answer_may_be_longer_than_a_request),
	  UNIT(test_a_client_that_hangs_is_closed_in_time),
	  UNIT(test_a_server_ends_at_once_whatever_its_clients_do),
	  UNIT(test_a_server_that_ends_says_so_to_whoever_comes_then),
	  UNIT(test_a_request_that_was_not_read_whole_was_not_done),
	  UNIT(test_a_call_has_an_end_and_says_whom_it_waited_for),
	  UNIT(test_a_stopped_server_is_named_and_not_waited_for), UNIT(test_paths_of_sockets),
	  UNIT(test_sockets_for_others), UNIT(test_a_socket_exchanged))
