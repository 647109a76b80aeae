/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon switch list`: the switches that run for this user; see switch.h. They are found by their control sockets (runtime.h). */
#include <errno.h>
#include <string.h>

#include "tools/ask.h"
#include "tools/describe.h"
#include "tools/devices.h"
#include "tools/output.h"
#include "tools/switch.h"
#include "util/bytes.h"
#include "util/cleanup.h"

#define LIST_USAGE "switch list [--json]"

/* DIRECTORY/switch-NAME.sock */
static json_t *name_of(const char *path)
{
	const char *name = strrchr(path, '/');
	size_t length = name ? strlen(name) : 0;
	json_t *text = length > 13 ? json_stringn(name + 8, length - 13) : NULL;

	return text ? text : json_null();
}

static json_t *make_row(const struct ask_answer *answer)
{
	static const char *const lists[] = { "ports", "addresses", "captures" };
	static const char *const others[] = { "table", "threads", "sleeps", "peer_closings",
					      "frame_cost" };
	/* Not as it says: that may be its number in another namespace, where another process has it here. */
	json_t *row = ask_row(answer->pid, answer);

	ask_take(row, answer->result, "name", name_of(answer->path));
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		ask_take(row, answer->result, lists[i], json_array());
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		ask_take(row, answer->result, others[i], json_null());
	return row;
}

int switch_rows(json_t *rows, json_t *killed, struct error *error)
{
	CLEANUP(ask_free) struct ask ask = { 0 };
	int rc = ask_all(&ask, "switch-", "switch.show", ASK_LIST_NS, error);

	for (unsigned i = 0; !rc && i < ask.count; i++)
		if (ask.answers[i].rc != -ECONNREFUSED)
			json_array_append_new(rows, make_row(&ask.answers[i]));
		else
			json_array_append_new(killed, describe_path(ask.answers[i].path));
	return rc;
}

/* ---- The command ---- */

struct switch_list {
	json_t *rows, *killed;
};

/* Of one port: the row's sums. */
static void add_port(json_t *port, unsigned *up, json_t *sockets)
{
	const char *type = json_string_value(json_object_get(port, "type"));
	const char *where = json_string_value(json_object_get(port, "where"));

	*up += json_is_true(json_object_get(port, "up"));
	if (type && where && *where == '/' && strcmp(type, "pcap") != 0)
		json_array_append(sockets, json_object_get(port, "where"));
}

/* In place of all that a switch has: what a list is for. */
static json_t *shorten(json_t *row)
{
	static const char *const same[] = { "name",    "pid",     "command",
					    "control", "problem", "threads" };
	json_t *made = json_object(), *ports = json_object_get(row, "ports"), *port;
	json_t *sockets = json_array();
	bool answered = json_is_null(json_object_get(row, "problem"));
	unsigned up = 0;
	size_t index;

	for (size_t i = 0; i < ARRAY_SIZE(same); i++)
		json_object_set(made, same[i], json_object_get(row, same[i]));
	json_array_foreach(ports, index, port)
		add_port(port, &up, sockets);
	json_object_set_new(made, "state", json_string(answered ? "running" : "does not answer"));
	json_object_set_new(made, "port_count",
			    answered ? json_integer((json_int_t)index) : json_null());
	json_object_set_new(made, "up_count", answered ? json_integer(up) : json_null());
	json_object_set_new(made, "sockets", sockets);
	return made;
}

static int list_run(void *arg, struct error *error)
{
	struct switch_list *list = arg;
	json_t *rows = json_array(), *row;
	size_t index;
	int rc = switch_rows(rows, list->killed, error);

	json_array_foreach(rows, index, row)
		json_array_append_new(list->rows, shorten(row));
	json_decref(rows);
	return rc;
}

int switch_list(int argc, char **argv)
{
	static const struct cli_column columns[] = {
		{ "SWITCH", "name", CLI_AS_TEXT },
		{ "STATE", "state", CLI_AS_STATE },
		{ "PROCESS", "pid", CLI_AS_TEXT },
		{ "PORTS", "port_count", CLI_AS_TEXT },
		{ "UP", "up_count", CLI_AS_TEXT },
		{ "THREADS", "threads", CLI_AS_TEXT, 3 },
		{ "CONTROL", "control", CLI_AS_PATH, 2 },
		{ "SOCKETS", "sockets", CLI_AS_TEXT, CLI_LONG },
		{ "PROBLEM", "problem", CLI_AS_NOTE, 1 },
		{ NULL },
	};
	struct cli_listing listing = { 0 };
	const struct cli_option options[] = { CLI_OPTIONS_LISTING(&listing), CLI_OPTION_END };
	struct switch_list list = { .rows = json_array(), .killed = json_array() };
	struct cli_words operands;
	json_t *path;
	size_t index;
	int status;

	if (!cli_parse(LIST_USAGE, options, argc, argv, 0, 0, &operands, &status) ||
	    !cli_listing_check(&listing, columns, &status))
		return status;
	status = cli_on_fiber(list_run, &list);
	json_array_foreach(list.killed, index, path)
		cli_warn("%s: the switch was killed: its control socket is removed",
			 json_string_value(path));
	if (!listing.sort)
		listing.sort = "name";
	if (status == EXIT_DONE)
		cli_print_result(list.rows, columns, NULL, &listing);
	json_decref(list.rows);
	json_decref(list.killed);
	return status;
}
