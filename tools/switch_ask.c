/* SPDX-License-Identifier: BSD-2-Clause */
/* Asking a running switch: see switch.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fiber/fiber.h"
#include "tools/ask.h"
#include "tools/devices.h"
#include "tools/output.h"
#include "tools/switch.h"
#include "util/cleanup.h"
#include "util/process.h"
#include "vswitch/mac_table.h"
#include "vswitch/port_config.h"

#define STOP_USAGE "switch stop NAME"

#define STOP_NS 60000000000ULL /* longer than it waits for a capture's disk */
#define LOOK_NS 20000000

/* ---- One question ---- */

struct switch_question {
	const char *name, *method;
	json_t *params; /* stolen */
	json_t *result;
	bool until_gone; /* wait until its process has ended */
};

/* Of one in another namespace of processes there is its socket only. */
static bool has_ended(const char *control, pid_t pid)
{
	int rc = pid ? 0 : ask_listener(control, &pid);

	return pid ? process_is_gone(pid) : rc == -ECONNREFUSED || rc == -ENOENT;
}

/* Its ports and a capture are others' once the process has ended. */
static int wait_until_gone(const char *control, pid_t pid, const char *name, struct error *error)
{
	for (uint64_t end = worker_now() + STOP_NS; worker_now() < end; fiber_sleep(LOOK_NS))
		if (has_ended(control, pid))
			return 0;
	return error_set(error, -ETIMEDOUT, "switch %s: it has been told to end, and has not yet",
			 name);
}

void switch_none_running(const char *name, const char *control, int rc, struct error *error)
{
	error_set(error, rc, "switch %s: none of that name is running (nobody listens at %s)", name,
		  control);
	error_advise(error, "start it with `tenon switch run %s`, as the same user", name);
}

static int ask_on_fiber(void *arg, struct error *error)
{
	struct switch_question *question = arg;
	CLEANUP_FREE char *control = NULL;
	int rc = switch_control_path(question->name, &control, error);
	pid_t pid = 0;

	if (rc) {
		json_decref(question->params);
		return rc;
	}
	/* Whose it is now: another may have its name before this one is looked for again. */
	if (question->until_gone)
		(void)ask_listener(control, &pid);
	rc = rpc_call(control, question->method, question->params, &question->result, error);
	/* It may have ended before it could say so. */
	if (question->until_gone && (!rc || rc == -EPIPE))
		return wait_until_gone(control, pid, question->name, error);
	if (rc == -ENOENT || rc == -ECONNREFUSED)
		switch_none_running(question->name, control, rc, error);
	return rc;
}

int switch_ask(const char *name, const char *method, json_t *params, json_t **result)
{
	struct switch_question question = { .name = name, .method = method, .params = params };
	int status = cli_on_fiber(ask_on_fiber, &question);

	if (result && status == EXIT_DONE)
		*result = question.result;
	else
		json_decref(question.result);
	return status;
}

int switch_stop(int argc, char **argv)
{
	const struct cli_option options[] = { CLI_OPTION_END };
	struct switch_question question = { .method = "switch.stop", .until_gone = true };
	struct cli_words operands;
	int status;

	if (!cli_parse(STOP_USAGE, options, argc, argv, 1, 1, &operands, &status))
		return status;
	question.name = operands.words[0];
	status = cli_on_fiber(ask_on_fiber, &question);
	json_decref(question.result);
	return status;
}

bool switch_names_check(const struct cli_words *operands, int *status)
{
	for (unsigned i = 0; i < operands->count; i++) {
		json_t *word = json_string(operands->words[i]);

		if (!word) {
			*status = cli_usage_error("\"%s\": expected text in UTF-8",
						  operands->words[i]);
			return false;
		}
		json_decref(word);
	}
	return true;
}

int switch_wrong_action(const char *action, unsigned behind, const char *expected)
{
	if (!behind)
		return cli_usage_error("\"%s\" alone: expected %s", action, expected);
	return cli_usage_error("\"%s\" with %u word%s behind it: expected %s", action, behind,
			       behind == 1 ? "" : "s", expected);
}

const char *switch_action(const struct cli_words *operands, const char *usual)
{
	return operands->count > 1 ? operands->words[1] : usual;
}

static bool is_one_of(const char *word, const char *words)
{
	size_t length = strlen(word);

	for (; *words; words += strcspn(words, "|"), words += *words == '|')
		if (strcspn(words, "|") == length && !strncmp(words, word, length))
			return true;
	return false;
}

const char *switch_action_before(const struct cli_words *operands, const char *actions,
				 const char *expected, const char **name, int *status)
{
	const char *first = operands->words[0];

	if (operands->count > 1) {
		*name = operands->words[1];
		return first;
	}
	*name = first;
	if (!is_one_of(first, actions))
		return "list";
	*status = switch_wrong_action(first, 0, expected);
	return NULL;
}

/* ---- Listings ---- */

int switch_ask_ports(const char *name, const char *port, json_t **result, json_t **found)
{
	struct error error = { 0 };
	json_t *each;
	size_t index;
	int status = switch_ask(name, "switch.show", NULL, result);

	*found = NULL;
	if (status != EXIT_DONE || !port)
		return status;
	json_array_foreach(json_object_get(*result, "ports"), index, each)
		if (!strcmp(json_string_value(json_object_get(each, "name")), port))
			*found = each;
	if (*found)
		return status;
	json_decref(*result);
	*result = NULL;
	error_set(&error, -ENOENT, "switch %s: port %.40s: there is none of that name", name, port);
	error_advise(&error, "`tenon switch port list %s` shows those there are", name);
	return cli_fail(-ENOENT, &error);
}
