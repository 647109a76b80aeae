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

/* ---- A status as JSON ---- */

static json_t *drops_json(const struct port_counters *counters)
{
	json_t *drops = json_object();

	for (unsigned i = 0; i < PORT_DROP_COUNT; i++)
		if (counters->drops[i])
			json_object_set_new(drops, port_drop_name(i),
					    json_integer((json_int_t)counters->drops[i]));
	return drops;
}

/* Words with spaces between, as a list. */
static json_t *words_json(const char *words)
{
	json_t *list = json_array();

	while (*words) {
		size_t length = strcspn(words, " ");

		json_array_append_new(list, json_stringn(words, length));
		words += length + strspn(words + length, " ");
	}
	return list;
}

static json_t *port_json(const struct vswitch_port_status *port)
{
	const struct port_counters *counters = &port->counters;
	json_t *peers = json_array();
	uint64_t dropped = 0;

	if (port->peer)
		json_array_append_new(peers, describe_process(port->peer));
	for (unsigned i = 0; i < PORT_DROP_COUNT; i++)
		dropped += counters->drops[i];
	return json_pack(
		"{s:s, s:s, s:o, s:o, s:s, s:b, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
		"s:o}",
		"name", port->name, "type", port->type, "peers", peers, "where",
		strcmp(port->type, "tap") ? describe_path(port->where) : describe_text(port->where),
		"state", port->state, "up", port->up, "features", words_json(port->features),
		"rx_frames", (json_int_t)counters->rx_frames, "rx_bytes",
		(json_int_t)counters->rx_bytes, "tx_frames", (json_int_t)counters->tx_frames,
		"tx_bytes", (json_int_t)counters->tx_bytes, "flooded",
		(json_int_t)counters->flooded, "checksummed", (json_int_t)counters->checksummed,
		"segmented", (json_int_t)counters->segmented, "connections",
		(json_int_t)counters->connections, "dropped", (json_int_t)dropped, "drops",
		drops_json(counters));
}

static json_t *address_json(const struct vswitch_status *status, const struct mac_entry *entry)
{
	char text[MAC_TEXT];

	return json_pack("{s:s, s:s, s:I}", "address", mac_format(entry->mac, text), "port",
			 status->ports[entry->port].name, "age_seconds",
			 (json_int_t)((status->now - entry->seen) / 1000000000));
}

/* null where nothing is captured. */
static json_t *capture_json(const struct vswitch_status *status)
{
	const struct capture_status *capture = &status->capture;

	if (!status->capturing)
		return json_null();
	return json_pack("{s:o, s:s, s:I, s:I, s:I, s:I}", "path",
			 strcmp(capture->path, "-") ? describe_path(capture->path)
						    : json_string("-"),
			 "state", capture->state, "recorded", (json_int_t)capture->recorded,
			 "written", (json_int_t)capture->written, "lost", (json_int_t)capture->lost,
			 "written_bytes", (json_int_t)capture->bytes);
}

json_t *switch_status_json(const char *name, const struct vswitch_status *status)
{
	json_t *ports = json_array(), *addresses = json_array();

	for (unsigned i = 0; i < status->port_count; i++)
		json_array_append_new(ports, port_json(&status->ports[i]));
	for (unsigned i = 0; i < status->address_count; i++)
		json_array_append_new(addresses, address_json(status, &status->addresses[i]));
	return json_pack("{s:s, s:i, s:o, s:o, s:{s:I, s:I, s:I, s:I, s:I, s:I}, s:I, s:o, s:I}",
			 "name", name, "pid", (int)getpid(), "ports", ports, "addresses", addresses,
			 "table", "entries", (json_int_t)status->table_size, "ageing_seconds",
			 (json_int_t)(status->ageing_ns / 1000000000), "learned",
			 (json_int_t)status->table.learned, "moved",
			 (json_int_t)status->table.moved, "aged", (json_int_t)status->table.aged,
			 "refused", (json_int_t)status->table.refused, "captured",
			 (json_int_t)status->capture.recorded, "capture", capture_json(status),
			 "sleeps", (json_int_t)status->sleeps);
}

int switch_control_path(const char *name, char **path, struct error *error)
{
	CLEANUP_FREE char *base = NULL;

	if (asprintf(&base, "switch-%s", name) < 0)
		return -ENOMEM;
	return runtime_socket(base, path, error);
}

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
