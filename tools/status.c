/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `tenon status`: what this user's tenon processes serve, where, and to whom.
 *
 * They are found by their control sockets (runtime.h), and asked all at once. One that does not answer is listed with
 * why; what one that was killed has left behind is removed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/ask.h"
#include "tools/describe.h"
#include "tools/devices.h"
#include "tools/output.h"
#include "tools/runtime.h"
#include "tools/served.h"
#include "tools/switch.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/text.h"

struct status {
	struct cli_listing listing;
	json_t *result;
};

/* ---- Asking ---- */

/* Of the servers the arrays come from a second question, and the exports from a third. */
static json_t *find_answer(const struct ask *ask, const char *path)
{
	for (unsigned i = 0; i < ask->count; i++)
		if (!strcmp(ask->answers[i].path, path))
			return ask->answers[i].result;
	return NULL;
}

static void add_rebuilds(json_t *rebuilds, json_t *arrays, pid_t pid)
{
	json_t *array;
	size_t index;

	json_array_foreach(arrays, index, array) {
		json_t *progress = json_object_get(array, "progress"), *row;
		const char *operation = json_string_value(json_object_get(progress, "operation"));

		json_object_del(array, "member_devices");
		if (!operation || !strcmp(operation, "idle"))
			continue;
		row = json_copy(progress);
		json_object_set(row, "name", json_object_get(array, "name"));
		json_object_set_new(row, "pid", json_integer(pid));
		json_array_append_new(rebuilds, row);
	}
}

static int add_servers(json_t *result, struct error *error)
{
	CLEANUP(ask_free) struct ask servers = { 0 };
	CLEANUP(ask_free) struct ask arrays = { 0 };
	CLEANUP(ask_free) struct ask moves = { 0 };
	json_t *exports = NULL, *list = json_array(), *rebuilds = json_array();
	int rc = ask_all(&servers, "serve-", "server.describe", ASK_LIST_NS, error);

	if (!rc && servers.count)
		rc = ask_all(&arrays, "serve-", "raid.list", ASK_LIST_NS, error);
	if (!rc && servers.count)
		rc = ask_all(&moves, "serve-", "pv.moves", ASK_LIST_NS, error);
	if (!rc && servers.count)
		rc = served_exports(&exports);
	for (unsigned i = 0; !rc && i < servers.count; i++) {
		const struct ask_answer *answer = &servers.answers[i];
		json_t *row = answer->rc == -ECONNREFUSED ? NULL : ask_row(answer->pid, answer);
		json_t *rows = find_answer(&arrays, answer->path);

		if (!row)
			continue;
		ask_take(row, answer->result, "devices", json_array());
		json_object_set(row, "owned", json_object_get(row, "devices"));
		json_object_del(row, "devices");
		ask_take(row, answer->result, "groups", json_array());
		json_object_set_new(row, "arrays", rows ? json_incref(rows) : json_array());
		rows = find_answer(&moves, answer->path);
		json_object_set_new(row, "moves", rows ? json_incref(rows) : json_array());
		ask_take(row, exports, answer->path, json_array());
		json_object_set(row, "exports", json_object_get(row, answer->path));
		json_object_del(row, answer->path);
		add_rebuilds(rebuilds, json_object_get(row, "arrays"), answer->pid);
		json_array_append_new(list, row);
	}
	json_decref(exports);
	json_object_set_new(result, "servers", list);
	json_object_set_new(result, "rebuilds", rebuilds);
	return rc;
}

static int add_machines(json_t *result, struct error *error)
{
	static const char *const keys[] = { "kernel", "initrd", "cmdline", "memory_bytes",
					    "cpus",   "disks",  "nics",    "console" };
	CLEANUP(ask_free) struct ask ask = { 0 };
	json_t *list = json_array();
	int rc = ask_all(&ask, "vm-", "vm.show", ASK_LIST_NS, error);

	for (unsigned i = 0; !rc && i < ask.count; i++) {
		const struct ask_answer *answer = &ask.answers[i];
		json_t *row;

		if (answer->rc == -ECONNREFUSED)
			continue;
		row = ask_row(answer->pid, answer);
		for (size_t k = 0; k < ARRAY_SIZE(keys); k++)
			ask_take(row, answer->result, keys[k], json_null());
		json_array_append_new(list, row);
	}
	json_object_set_new(result, "machines", list);
	return rc;
}

static int status_run(void *arg, struct error *error)
{
	struct status *status = arg;
	CLEANUP_FREE char *folder = NULL;
	int rc = runtime_directory(&folder, error);

	if (rc)
		return rc;
	status->result = json_pack("{s:o, s:[]}", "folder", describe_path(folder), "switches");
	rc = add_servers(status->result, error);
	if (!rc)
		rc = switch_rows(json_object_get(status->result, "switches"), NULL, error);
	return rc ? rc : add_machines(status->result, error);
}

/* ---- For people ---- */

/* "77 qemu-system-x86_64": whoever is connected, in a row's own words. */
static void add_peer_text(json_t *rows)
{
	json_t *row, *peer;
	size_t index, k;

	json_array_foreach(rows, index, row) {
		char text[256] = "";
		size_t used = 0;

		json_array_foreach(json_object_get(row, "peers"), k, peer) {
			const char *command = json_string_value(json_object_get(peer, "command"));
			int length = command ? (int)strcspn(command, " ") : 0;

			for (int i = length; i-- > 0;)
				if (command[i] == '/') {
					command += i + 1;
					length -= i + 1;
					break;
				}
			if (used < sizeof(text))
				used += (size_t)snprintf(
					text + used, sizeof(text) - used, "%s%lld %.*s",
					used ? ", " : "",
					(long long)json_integer_value(json_object_get(peer, "pid")),
					length, command ? command : "");
		}
		json_object_set_new(row, "peer_text", describe_text(*text ? text : NULL));
	}
}

static void print_head(const char *kind, const char *name, json_t *row)
{
	const char *command = json_string_value(json_object_get(row, "command"));
	const char *problem = json_string_value(json_object_get(row, "problem"));
	long long pid = json_integer_value(json_object_get(row, "pid"));
	CLEANUP_FREE char *head = NULL, *clean = NULL;
	char process[48];

	if (pid)
		snprintf(process, sizeof(process), "process %lld", pid);
	else
		snprintf(process, sizeof(process), "a process that is not seen from here");
	if (asprintf(&head, "%s%s%s, %s%s%s%s%s", kind, *name ? " " : "", name, process,
		     command ? ": " : "", command ? command : "", problem ? ": " : "",
		     problem ? problem : "") < 0)
		head = NULL;
	clean = head ? text_cleaned(head, NULL) : NULL;
	if (clean)
		terminal_print_wrapped(stdout, clean, 0, terminal_width(STDOUT_FILENO));
}

static void print_rows(json_t *rows, const struct cli_column *columns, struct status *status)
{
	if (!json_array_size(rows))
		return;
	cli_print_rows(rows, columns, &status->listing);
}

static void print_server(struct status *status, json_t *server)
{
	static const struct cli_column exports[] = {
		{ "SERVED", "name", CLI_AS_TEXT },
		{ "SIZE", "size_bytes", CLI_AS_SIZE, 5 },
		{ "CLIENT", "peer_text", CLI_AS_TEXT },
		{ "IN FLIGHT", "in_flight", CLI_AS_TEXT, 2 },
		{ "READ", "read_bytes", CLI_AS_SIZE, 3 },
		{ "WRITTEN", "written_bytes", CLI_AS_SIZE, 3 },
		{ "PINNED", "pinned_bytes", CLI_AS_SIZE, 6 },
		{ "FAILED", "failed_requests", CLI_AS_TEXT, 4 },
		{ "SOCKET", "socket", CLI_AS_PATH, 1 },
		{ "NOT SERVED", "problem", CLI_AS_NOTE, 3 },
		{ NULL },
	};
	static const struct cli_column arrays[] = {
		{ "ARRAY", "name", CLI_AS_TEXT },
		{ "STATE", "state", CLI_AS_STATE },
		{ "DEVICES", "devices", CLI_AS_TEXT, 1 },
		{ "WORKING", "working", CLI_AS_TEXT, 1 },
		{ "SPARES", "spares", CLI_AS_TEXT, 1 },
		{ "DONE", "progress.done_percent", CLI_AS_PERCENT, 1 },
		{ "RATE", "progress.rate_bytes", CLI_AS_RATE, 1 },
		{ NULL },
	};
	static const struct cli_column moves[] = {
		{ "MOVE", "name", CLI_AS_TEXT },
		{ "FROM", "from", CLI_AS_PATH, 2 },
		{ "DONE", "done_percent", CLI_AS_PERCENT },
		{ "RATE", "rate_bytes", CLI_AS_RATE, 1 },
		{ "PROBLEM", "problem", CLI_AS_NOTE },
		{ NULL },
	};
	json_t *list = json_object_get(server, "exports");

	print_head("storage server", "", server);
	add_peer_text(list);
	print_rows(json_object_get(server, "arrays"), arrays, status);
	print_rows(json_object_get(server, "moves"), moves, status);
	print_rows(list, exports, status);
}

static void print_switch(struct status *status, json_t *row)
{
	static const struct cli_column ports[] = {
		{ "PORT", "name", CLI_AS_TEXT },
		{ "STATE", "state", CLI_AS_STATE },
		{ "CLIENT", "peer_text", CLI_AS_TEXT },
		{ "RX FRAMES", "rx_frames", CLI_AS_TEXT, 2 },
		{ "TX FRAMES", "tx_frames", CLI_AS_TEXT, 2 },
		{ "DROPPED", "dropped", CLI_AS_TEXT, 1 },
		{ "WHERE", "where", CLI_AS_PATH, 3 },
		{ NULL },
	};
	const char *name = json_string_value(json_object_get(row, "name"));

	print_head("switch", name ? name : "?", row);
	add_peer_text(json_object_get(row, "ports"));
	print_rows(json_object_get(row, "ports"), ports, status);
}

static void print_machines(struct status *status, json_t *machines)
{
	static const struct cli_column columns[] = {
		{ "MACHINE", "pid", CLI_AS_TEXT },         { "CPUS", "cpus", CLI_AS_TEXT },
		{ "MEMORY", "memory_bytes", CLI_AS_SIZE }, { "DISKS", "disks", CLI_AS_TEXT, 1 },
		{ "NICS", "nics", CLI_AS_TEXT, 2 },        { "KERNEL", "kernel", CLI_AS_PATH, 3 },
		{ "PROBLEM", "problem", CLI_AS_NOTE, 1 },  { NULL },
	};

	print_rows(machines, columns, status);
}

static void print_status(struct status *status)
{
	json_t *servers = json_object_get(status->result, "servers"), *row;
	json_t *switches = json_object_get(status->result, "switches");
	json_t *machines = json_object_get(status->result, "machines");
	const char *between = "";
	size_t index;

	json_array_foreach(servers, index, row) {
		fputs(between, stdout);
		print_server(status, row);
		between = "\n";
	}
	json_array_foreach(switches, index, row) {
		fputs(between, stdout);
		print_switch(status, row);
		between = "\n";
	}
	if (json_array_size(machines)) {
		fputs(between, stdout);
		print_machines(status, machines);
	}
	if (!json_array_size(servers) && !json_array_size(switches) && !json_array_size(machines))
		cli_say("nothing runs: no control socket in %s",
			json_string_value(json_object_get(status->result, "folder")));
}

int command_status(int argc, char **argv)
{
	struct status status = { 0 };
	const struct cli_option options[] = { CLI_OPTIONS_SHOW(&status.listing), CLI_OPTION_END };
	struct cli_words operands;
	int rc;

	if (!cli_parse("status [--json]", options, argc, argv, 0, 0, &operands, &rc) ||
	    !cli_listing_check(&status.listing, NULL, &rc))
		return rc;
	rc = cli_on_fiber(status_run, &status);
	if (rc == EXIT_DONE && status.listing.json)
		cli_print_json(status.result);
	else if (rc == EXIT_DONE)
		print_status(&status);
	json_decref(status.result);
	return rc;
}
