/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines within a time: what came in it counts, however late it is read; and what a server works for is not counted. */
#include "fiber_run.h"
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fiber/fiber.h"
#include "rpc/rpc.h"
#include "rpc/rpc_line.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/unix_socket.h"

/* The time is over before the first byte is looked for. */
static const struct rpc_patience no_time = { 1, 1, 0, 0 };

static int read_late(void *arg)
{
	size_t bytes = *(size_t *)arg, length;
	struct rpc_reader reader = { .patience = &no_time, .most = 1u << 16 };
	CLEANUP_FREE char *text = malloc(bytes);
	char *line;
	int fds[2];

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	reader.fd = fds[0];
	memset(text, 'x', bytes);
	CU_ASSERT_EQUAL_FATAL(send(fds[1], text, bytes - 1, 0), (ssize_t)bytes - 1);
	CU_ASSERT_EQUAL(rpc_read_line(&reader, &line, &length), -ETIMEDOUT);
	CU_ASSERT_EQUAL(reader.used, bytes - 1);
	CU_ASSERT_EQUAL_FATAL(send(fds[1], "\n", 1, 0), 1);
	CU_ASSERT_EQUAL_FATAL(rpc_read_line(&reader, &line, &length), 1);
	CU_ASSERT_EQUAL(length, bytes - 1);
	CU_ASSERT(!memcmp(line, text, length));
	CU_ASSERT_EQUAL(rpc_read_line(&reader, &line, &length), -ETIMEDOUT);
	rpc_reader_free(&reader);
	close(fds[0]);
	close(fds[1]);
	return 0;
}

/* Of one piece, and of more than the reader takes at once. */
static void test_a_line_that_is_there_is_read_when_its_time_is_over(void)
{
	for (const size_t *bytes = (const size_t[]){ 2, 4096, 4097, 30000, 0 }; *bytes; bytes++)
		CU_ASSERT_EQUAL(fiber_run_real(fiber_run_first_engine(), read_late, (void *)bytes),
				0);
}

struct other {
	unsigned turns;
	bool ends;
};

static int take_turns(void *arg)
{
	struct other *other = arg;

	for (; !other->ends; other->turns++)
		fiber_yield();
	return 0;
}

static int read_beside_another(void *arg)
{
	struct rpc_reader reader = { .patience = &no_time, .most = 1u << 16 };
	struct other other = { 0 };
	struct fiber *fiber;
	char text[30000];
	size_t length;
	char *line;
	int fds[2];

	(void)arg;
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	reader.fd = fds[0];
	memset(text, 'x', sizeof(text));
	CU_ASSERT_EQUAL_FATAL(send(fds[1], text, sizeof(text), 0), (ssize_t)sizeof(text));
	fiber = fiber_spawn(take_turns, &other);
	CU_ASSERT_EQUAL(rpc_read_line(&reader, &line, &length), -ETIMEDOUT);
	/* One for each piece of it: 4096 bytes, and then as much as there was. */
	CU_ASSERT(other.turns >= 4);
	other.ends = true;
	fiber_join(fiber);
	rpc_reader_free(&reader);
	close(fds[0]);
	close(fds[1]);
	return 0;
}

static void test_others_have_turns_when_the_time_is_over(void)
{
	fiber_run_real(fiber_run_first_engine(), read_beside_another, NULL);
}

#define ANSWER "{\"jsonrpc\": \"2.0\", \"id\": 1, \"result\": 7}\n"

struct busy_server {
	char path[128];
	pid_t pid;
};

/* A server that works, and does not wait, for so long; then it answers one request. */
static void busy_begin(struct busy_server *server, uint64_t ns)
{
	struct unix_listener listener;
	int ready[2];
	char byte;

	snprintf(server->path, sizeof(server->path), "%s/works.sock", unit_directory());
	CU_ASSERT_EQUAL_FATAL(pipe(ready), 0);
	server->pid = fork();
	if (!server->pid) {
		uint64_t end = monotonic_ns() + ns;
		int fd = -1;

		if (unix_listen(&listener, server->path, NULL))
			_exit(1);
		(void)!write(ready[1], "", 1);
		while (monotonic_ns() < end)
			;
		while (fd < 0)
			fd = accept(listener.fd, NULL, NULL);
		(void)!write(fd, ANSWER, strlen(ANSWER));
		(void)!read(fd, &byte, 1);
		_exit(0);
	}
	CU_ASSERT_EQUAL(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
}

static void busy_end(const struct busy_server *server)
{
	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
	unlink(server->path);
}

static int ask_one_that_works(void *arg)
{
	const struct busy_server *server = arg;
	json_t *result = NULL;
	struct error error;

	CU_ASSERT_EQUAL(rpc_call_within(server->path, "sum", NULL, 300000000, &result, &error), 0);
	CU_ASSERT_EQUAL(json_integer_value(result), 7);
	json_decref(result);
	return 0;
}

static void test_a_server_that_works_is_not_given_up_at_once(void)
{
	struct busy_server server;

	busy_begin(&server, 1500000000);
	fiber_run_real(fiber_run_first_engine(), ask_one_that_works, &server);
	busy_end(&server);
}

static int ask_one_that_works_for_ever(void *arg)
{
	const struct busy_server *server = arg;
	uint64_t began = worker_now();
	struct error error;

	CU_ASSERT_EQUAL(rpc_call_within(server->path, "sum", NULL, 3000000000, NULL, &error),
			-ETIMEDOUT);
	CU_ASSERT_EQUAL(worker_now() - began, 3000000000 + RPC_BUSY_NS);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "no answer to sum in 33 s from process"));
	return 0;
}

static void test_a_server_that_works_for_ever_is_given_up(void)
{
	struct busy_server server;

	busy_begin(&server, FIBER_FOREVER / 2);
	fiber_run_virtual(fiber_run_first_engine(), ask_one_that_works_for_ever, &server);
	busy_end(&server);
}

/* Keeps its processor, and does one step of serving for each byte that it is sent: takes the request, begins to answer, ends that. */
struct slow_server {
	struct busy_server busy;
	int orders;
};

static void take_request(int fd)
{
	char piece[4096];
	ssize_t got;

	do
		got = read(fd, piece, sizeof(piece));
	while (got > 0 && piece[got - 1] != '\n');
}

static void slow_begin(struct slow_server *server)
{
	struct unix_listener listener;
	int orders[2];
	char ready;

	snprintf(server->busy.path, sizeof(server->busy.path), "%s/slow.sock", unit_directory());
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, orders), 0);
	server->busy.pid = fork();
	if (!server->busy.pid) {
		char order;
		int fd = -1;

		if (unix_listen(&listener, server->busy.path, NULL))
			_exit(1);
		(void)!write(orders[1], "", 1);
		for (unsigned step = 0;; step++) {
			while (recv(orders[1], &order, 1, MSG_DONTWAIT) != 1)
				;
			if (step == 0) {
				fd = accept(listener.fd, NULL, NULL);
				take_request(fd);
			} else {
				(void)!write(fd, step == 1 ? "{" : ANSWER + 1,
					     step == 1 ? 1 : strlen(ANSWER + 1));
			}
			(void)!write(orders[1], &order, 1);
		}
	}
	close(orders[1]);
	CU_ASSERT_EQUAL_FATAL(read(orders[0], &ready, 1), 1);
	server->orders = orders[0];
}

static int order_slowly(void *arg)
{
	const struct slow_server *server = arg;
	char done;

	for (unsigned step = 0; step < 3 && !fiber_sleep(15000000000); step++) {
		CU_ASSERT_EQUAL(write(server->orders, "", 1), 1);
		/* Time stands still as long as somebody runs. */
		while (recv(server->orders, &done, 1, MSG_DONTWAIT) != 1)
			fiber_yield();
	}
	return 0;
}

/* More than a socket takes, so that it waits with each step. */
#define LARGE (4u << 20)

static int ask_one_that_is_slow(void *arg)
{
	const struct slow_server *server = arg;
	CLEANUP_FREE char *large = malloc(LARGE + 1);
	uint64_t began = worker_now();
	struct fiber *orders;
	struct error error;

	memset(large, 'x', LARGE);
	large[LARGE] = '\0';
	orders = fiber_spawn(order_slowly, arg);
	CU_ASSERT_EQUAL(rpc_call_within(server->busy.path, "sum", json_pack("{s:s}", "text", large),
					3000000000, NULL, &error),
			-ETIMEDOUT);
	CU_ASSERT_EQUAL(worker_now() - began, 3000000000 + RPC_BUSY_NS);
	fiber_cancel(orders);
	fiber_join(orders);
	return 0;
}

static void test_a_server_that_works_is_waited_for_once(void)
{
	struct slow_server server;

	slow_begin(&server);
	fiber_run_virtual(fiber_run_first_engine(), ask_one_that_is_slow, &server);
	close(server.orders);
	busy_end(&server.busy);
}

UNIT_MAIN("rpc_line", UNIT(test_a_line_that_is_there_is_read_when_its_time_is_over),
	  UNIT(test_others_have_turns_when_the_time_is_over),
	  UNIT(test_a_server_that_works_is_not_given_up_at_once),
	  UNIT(test_a_server_that_works_for_ever_is_given_up),
	  UNIT(test_a_server_that_works_is_waited_for_once))
