/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon switch`: see switch.h. What a running switch does, for people and programs. */
#include "tools/switch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "rpc/rpc.h"
#include "tools/describe.h"
#include "tools/devices.h"
#include "tools/output.h"
#include "tools/runtime.h"
#include "util/cleanup.h"
#include "vswitch/switch.h"

#define SHOW_USAGE "switch show NAME [--json]"

/* ---- tenon switch show ---- */

struct switch_show {
	const char *name;
	json_t *result;
};

static int show_on_fiber(void *arg, struct error *error)
{
	CLEANUP_FREE char *control = NULL;
	struct switch_show *show = arg;
	int rc;

	rc = switch_control_path(show->name, &control, error);
	if (rc)
		return rc;
	rc = rpc_call(control, "switch.show", NULL, &show->result, error);
	if (rc == -ENOENT || rc == -ECONNREFUSED) {
		error_set(error, rc,
			  "switch %s: none of that name is running (nobody listens at %s)",
			  show->name, control);
		error_advise(error, "start it with `tenon switch run %s`, as the same user",
			     show->name);
	}
	return rc;
}

/* "no_buffer 12, too_long 3" */
static void add_drop_text(json_t *port)
{
	const char *reason;
	json_t *count;
	char text[512] = "";
	size_t used = 0;

	json_object_foreach(json_object_get(port, "drops"), reason, count)
		if (used < sizeof(text))
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s %" PRId64,
						 used ? ", " : "", reason,
						 (int64_t)json_integer_value(count));
	json_object_set_new(port, "drop_text", json_string(used ? text : "0"));
}

static void print_capture(json_t *capture)
{
	json_int_t lost = json_integer_value(json_object_get(capture, "lost"));

	if (!json_is_object(capture))
		return;
	printf("\n");
	cli_say("capture %s: %s; %" JSON_INTEGER_FORMAT " frames written, %" JSON_INTEGER_FORMAT
		" lost%s",
		json_string_value(json_object_get(capture, "path")),
		json_string_value(json_object_get(capture, "state")),
		json_integer_value(json_object_get(capture, "written")), lost,
		lost ? " (dropped here only, not on the network)" : "");
}

static void print_show(json_t *result, const struct cli_listing *listing)
{
	static const struct cli_column port_columns[] = {
		{ "PORT", "name", CLI_AS_TEXT },
		{ "STATE", "state", CLI_AS_STATE },
		{ "TYPE", "type", CLI_AS_TEXT, 3 },
		{ "WHERE", "where", CLI_AS_PATH, 1 },
		{ "FEATURES", "features", CLI_AS_TEXT, 2 },
		{ NULL },
	};
	static const struct cli_column counter_columns[] = {
		{ "PORT", "name", CLI_AS_TEXT },
		{ "RX FRAMES", "rx_frames", CLI_AS_TEXT },
		{ "RX BYTES", "rx_bytes", CLI_AS_TEXT, 1 },
		{ "TX FRAMES", "tx_frames", CLI_AS_TEXT },
		{ "TX BYTES", "tx_bytes", CLI_AS_TEXT, 2 },
		{ "FLOODED", "flooded", CLI_AS_TEXT, 3 },
		{ "DROPPED", "drop_text", CLI_AS_NOTE },
		{ NULL },
	};
	static const struct cli_column address_columns[] = {
		{ "ADDRESS", "address", CLI_AS_TEXT },
		{ "PORT", "port", CLI_AS_TEXT },
		{ "AGE, S", "age_seconds", CLI_AS_TEXT },
		{ NULL },
	};
	json_t *ports = json_object_get(result, "ports"), *port;
	size_t index;

	json_array_foreach(ports, index, port)
		add_drop_text(port);
	cli_say("switch %s", json_string_value(json_object_get(result, "name")));
	printf("\n");
	cli_print_rows(ports, port_columns, listing);
	printf("\n");
	cli_print_rows(ports, counter_columns, listing);
	printf("\n");
	cli_print_rows(json_object_get(result, "addresses"), address_columns, listing);
	print_capture(json_object_get(result, "capture"));
}

static int switch_show(int argc, char **argv)
{
	struct switch_show show = { 0 };
	struct cli_listing listing = { 0 };
	const struct cli_option options[] = { CLI_OPTIONS_SHOW(&listing), CLI_OPTION_END };
	struct cli_words operands;
	int status;

	if (!cli_parse(SHOW_USAGE, options, argc, argv, 1, 1, &operands, &status) ||
	    !cli_listing_check(&listing, NULL, &status))
		return status;
	show.name = operands.words[0];
	status = cli_on_fiber(show_on_fiber, &show);
	if (status != EXIT_DONE)
		return status;
	if (listing.json)
		cli_print_json(show.result);
	else
		print_show(show.result, &listing);
	json_decref(show.result);
	return EXIT_DONE;
}

int command_switch(int argc, char **argv)
{
	static const struct cli_verb verbs[] = {
		{ "run", switch_run,
		  "NAME [--socket-dir DIR] [--port NAME=vhost-user|tap:IFNAME]... [--capture FILE]",
		  "run a switch until SIGTERM or SIGINT" },
		{ "show", switch_show, "NAME [--json]", "ports, learned addresses, counters" },
		{ NULL, NULL, NULL, NULL },
	};

	return cli_run_verb("switch", verbs, argc, argv);
}
