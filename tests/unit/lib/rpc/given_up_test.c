/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/rpc: clients that close their connection, or a half of it, before what they asked for was begun. */
#include "fiber_run.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fiber/fiber.h"
#include "rpc/rpc.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/log.h"

/* The lines of a log. */
struct told {
	struct log log;
	char text[1024];
};

static void told_write(struct log *log, enum log_level level, const char *text)
{
	struct told *told = container_of(log, struct told, log);
	size_t length = strlen(told->text);

	(void)level;
	snprintf(told->text + length, sizeof(told->text) - length, "%s\n", text);
}

static int method_note(void *context, json_t *params, json_t **result, struct error *error)
{
	(void)result, (void)error;
	strcat(context, json_string_value(json_object_get(params, "who")));
	return 0;
}

#define NOTE(id, who)                                                                              \
	"{\"jsonrpc\":\"2.0\"," id "\"method\":\"note\",\"params\":{\"who\":\"" who "\"}}\n"

/* What comes while the server holds its clients, each by a connection of its own. */
static const char *const sent[] = {
	NOTE("\"id\":1,", "a") NOTE("\"id\":2,", "b"), /* and then closes it */
	NOTE("", "c") "[]\n{\n{\"id\":1}\n", /* the same: a notification, and no requests */
	NOTE("\"id\":1,", "d"),              /* shuts down its sending half, and reads */
};

static void check_told(const struct told *told, const char *path)
{
	char expected[160];
	unsigned lines = 0;

	snprintf(expected, sizeof(expected),
		 "%s: note was not done: process %d, which asked for it, had gone", path,
		 (int)getpid());
	for (const char *at = told->text; *at; at = strchr(at, '\n') + 1, lines++)
		CU_ASSERT_EQUAL(strncmp(at, expected, strlen(expected)), 0);
	CU_ASSERT_EQUAL(lines, 2);
}

static int given_up_run(void *arg)
{
	struct told told = { .log = { .level = LOG_LEVEL_INFO, .write = told_write } };
	const struct rpc_method methods[] = { { "note", method_note }, { NULL, NULL } };
	char noted[16] = "", answer[64] = "";
	struct rpc_server *server;
	int clients[3];

	CU_ASSERT_EQUAL_FATAL(rpc_server_start(&server, arg, methods, noted, &told.log, NULL), 0);
	rpc_server_hold(server);
	for (unsigned i = 0; i < ARRAY_SIZE(sent); i++) {
		clients[i] = fiber_connect_unix(arg);
		CU_ASSERT_EQUAL(fiber_write(clients[i], sent[i], strlen(sent[i])), 0);
	}
	fiber_sleep(1000000000);
	close(clients[0]);
	close(clients[1]);
	shutdown(clients[2], SHUT_WR);
	rpc_server_release(server);
	CU_ASSERT(fiber_read(clients[2], answer, sizeof(answer) - 1) > 0);
	CU_ASSERT_STRING_EQUAL(answer, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":null}\n");
	CU_ASSERT_EQUAL(fiber_read(clients[2], answer, sizeof(answer)), 0);
	close(clients[2]);
	for (unsigned i = 0; i < 1000 && strlen(noted) < 2; i++)
		fiber_sleep(1000000);
	CU_ASSERT(!strcmp(noted, "cd") || !strcmp(noted, "dc"));
	check_told(&told, arg);
	rpc_server_stop(server);
	return 0;
}

static void test_what_a_client_gave_up_before_it_was_begun_is_not_done(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/given-up.sock", unit_directory());
	fiber_run_virtual(WORKER_ENGINE_AUTO, given_up_run, path);
}

UNIT_MAIN("given_up", UNIT(test_what_a_client_gave_up_before_it_was_begun_is_not_done))
