/* `tenon switch`: runs a virtual switch in the foreground, and shows what a running one does. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fiber/fiber.h"
#include "fiber/signal.h"
#include "rpc/rpc.h"
#include "tools/cli.h"
#include "tools/devices.h"
#include "tools/runtime.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "vswitch/switch.h"

#define RUN_USAGE                                                                                  \
	"switch run NAME --socket-dir DIR [--port NAME=vhost-user|tap:IFNAME[,plain]]... "         \
	"[--capture FILE]"
#define SHOW_USAGE "switch show NAME [--json]"

/* ---- Showing ---- */

static json_t *drops_json(const struct port_counters *counters)
{
	json_t *drops = json_object();

	for (unsigned i = 0; i < PORT_DROP_COUNT; i++)
		if (counters->drops[i])
			json_object_set_new(drops, port_drop_name(i),
					    json_integer((json_int_t)counters->drops[i]));
	return drops;
}

static json_t *port_json(const struct vswitch_port_status *port)
{
	const struct port_counters *counters = &port->counters;
	uint64_t dropped = 0;

	for (unsigned i = 0; i < PORT_DROP_COUNT; i++)
		dropped += counters->drops[i];
	return json_pack(
		"{s:s, s:s, s:s, s:s, s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}",
		"name", port->name, "type", port->type, "where", port->where, "state", port->state,
		"up", port->up, "features", port->features, "rx_frames",
		(json_int_t)counters->rx_frames, "rx_bytes", (json_int_t)counters->rx_bytes,
		"tx_frames", (json_int_t)counters->tx_frames, "tx_bytes",
		(json_int_t)counters->tx_bytes, "flooded", (json_int_t)counters->flooded,
		"checksummed", (json_int_t)counters->checksummed, "segmented",
		(json_int_t)counters->segmented, "connections", (json_int_t)counters->connections,
		"dropped", (json_int_t)dropped, "drops", drops_json(counters));
}

static json_t *address_json(const struct vswitch_status *status, const struct mac_entry *entry)
{
	char text[MAC_TEXT];

	return json_pack("{s:s, s:s, s:I}", "address", mac_format(entry->mac, text), "port",
			 status->ports[entry->port].name, "age_seconds",
			 (json_int_t)((status->now - entry->seen) / 1000000000));
}

static json_t *status_json(const char *name, const struct vswitch_status *status)
{
	json_t *ports = json_array(), *addresses = json_array();

	for (unsigned i = 0; i < status->port_count; i++)
		json_array_append_new(ports, port_json(&status->ports[i]));
	for (unsigned i = 0; i < status->address_count; i++)
		json_array_append_new(addresses, address_json(status, &status->addresses[i]));
	return json_pack("{s:s, s:o, s:o, s:{s:I, s:I, s:I, s:I, s:I, s:I}, s:I, s:I}", "name",
			 name, "ports", ports, "addresses", addresses, "table", "size",
			 (json_int_t)status->table_size, "ageing_seconds",
			 (json_int_t)(status->ageing_ns / 1000000000), "learned",
			 (json_int_t)status->table.learned, "moved",
			 (json_int_t)status->table.moved, "aged", (json_int_t)status->table.aged,
			 "refused", (json_int_t)status->table.refused, "captured",
			 (json_int_t)status->captured, "sleeps", (json_int_t)status->sleeps);
}

/* ---- Running ---- */

struct run {
	const char *name, *socket_dir, *capture;
	uint64_t seed, ageing;
	struct cli_words ports;
	struct vswitch *vswitch;
	struct log log;
	sigset_t signals;
};

static int method_show(void *context, json_t *params, json_t **result, struct error *error)
{
	CLEANUP(cleanup_vswitch_status) struct vswitch_status *status = NULL;
	struct run *run = context;

	(void)params;
	if (vswitch_status(run->vswitch, &status))
		return error_set(error, -ENOMEM, "switch %s: out of memory", run->name);
	*result = status_json(run->name, status);
	return *result ? 0 : error_set(error, -ENOMEM, "switch %s: out of memory", run->name);
}

static int bad_spec(struct error *error, const char *spec, const char *found)
{
	error_set(error, -EINVAL,
		  "--port %s: found \"%s\", expected NAME=vhost-user or NAME=tap:IFNAME", spec,
		  found);
	return -EINVAL;
}

/* IFNAME[,plain] */
static int add_tap(struct run *run, const char *spec, const char *name, char *ifname,
		   struct error *error)
{
	struct vswitch_tap_options options = { 0 };
	char *comma = strchr(ifname, ',');

	if (comma) {
		*comma = '\0';
		if (strcmp(comma + 1, "plain")) {
			error_set(error, -EINVAL,
				  "--port %s: TAP option \"%s\": expected \"plain\" or none", spec,
				  comma + 1);
			return -EINVAL;
		}
		options.plain = true;
	}
	if (!*ifname)
		return bad_spec(error, spec, "tap:");
	return vswitch_add_port_tap(run->vswitch, name, ifname, &options, error);
}

static int add_vhost_user(struct run *run, const char *name, struct error *error)
{
	CLEANUP_FREE char *path = NULL;

	if (asprintf(&path, "%s/%s.sock", run->socket_dir, name) < 0)
		return -ENOMEM;
	return vswitch_add_port_vhost_user(run->vswitch, name, path, error);
}

static int add_port(struct run *run, const char *spec, struct error *error)
{
	CLEANUP_FREE char *copy = strdup(spec);
	char *kind = copy ? strchr(copy, '=') : NULL;
	int status;

	if (!copy)
		return -ENOMEM;
	if (!kind)
		return bad_spec(error, spec, spec);
	*kind++ = '\0';
	status = vswitch_check_port_name(copy, error);
	if (status) {
		error_prefix(error, "--port %s", spec);
		return status;
	}
	if (!strcmp(kind, "vhost-user"))
		return add_vhost_user(run, copy, error);
	if (!strncmp(kind, "tap:", 4))
		return add_tap(run, spec, copy, kind + 4, error);
	return bad_spec(error, spec, kind);
}

/* Before anything is opened: two ports of one name, which would else quarrel about a socket. */
static int check_names(const struct run *run, struct error *error)
{
	for (unsigned i = 0; i < run->ports.count; i++) {
		size_t length = strcspn(run->ports.words[i], "=");

		for (unsigned j = 0; j < i; j++)
			if (length == strcspn(run->ports.words[j], "=") &&
			    !strncmp(run->ports.words[i], run->ports.words[j], length)) {
				error_set(error, -EEXIST,
					  "--port %s: the name \"%.*s\" is given twice",
					  run->ports.words[i], (int)length, run->ports.words[i]);
				return -EEXIST;
			}
	}
	return 0;
}

static int check_directory(const char *path, struct error *error)
{
	struct stat status;
	int rc = stat(path, &status) ? -errno : S_ISDIR(status.st_mode) ? 0 : -ENOTDIR;

	if (!rc)
		return 0;
	error_set(error, rc, "--socket-dir %s: %s", path, error_name(rc));
	error_advise(error, "make the directory first");
	return rc;
}

static void print_ready(const struct run *run)
{
	CLEANUP(cleanup_vswitch_status) struct vswitch_status *status = NULL;

	if (vswitch_status(run->vswitch, &status))
		return;
	printf("switch %s ready:", run->name);
	for (unsigned i = 0; i < status->port_count; i++) {
		const struct vswitch_port_status *port = &status->ports[i];

		printf("%s %s=%s%s", i ? "," : "", port->name,
		       strcmp(port->type, "tap") ? "" : "tap:", port->where);
	}
	printf("%s\n", status->port_count ? "" : " no ports");
	cli_ready();
}

/* Makes the switch, without ports. */
static int make_switch(struct run *run, struct error *error)
{
	struct vswitch_options options = { .name = run->name,
					   .log = &run->log,
					   .seed = run->seed,
					   .ageing_ns = run->ageing * 1000000000 };
	int status = check_names(run, error);

	if (!status)
		status = check_directory(run->socket_dir, error);
	return status ? status : vswitch_create(&run->vswitch, &options, error);
}

static const struct rpc_method methods[] = { { "switch.show", method_show }, { NULL, NULL } };

/* The control socket, which also keeps a second switch of the name from starting. */
static int start_control(struct run *run, struct rpc_server **server, struct error *error)
{
	CLEANUP_FREE char *control = NULL;
	CLEANUP_FREE char *base = NULL;
	int status;

	if (asprintf(&base, "switch-%s", run->name) < 0)
		return -ENOMEM;
	status = runtime_socket(base, &control, error);
	if (status)
		return status;
	status = rpc_server_start(server, control, methods, run, &run->log, error);
	if (status == -EADDRINUSE) {
		error_set(error, status, "switch %s: one of that name is running already",
			  run->name);
		error_advise(error, "give this one another name, or end that one");
	}
	return status;
}

/* Adds ports and capture, and runs until SIGTERM or SIGINT, which are blocked. */
static int serve(struct run *run, struct error *error)
{
	struct rpc_server *server;
	int status = start_control(run, &server, error);

	if (status)
		return status;
	for (unsigned i = 0; !status && i < run->ports.count; i++)
		status = add_port(run, run->ports.words[i], error);
	if (!status && run->capture)
		status = vswitch_start_capture(run->vswitch, run->capture, error);
	if (!status)
		status = vswitch_start(run->vswitch, error);
	if (!status) {
		print_ready(run);
		status = fiber_wait_signal(&run->signals);
		status = MIN(status, 0);
	}
	rpc_server_stop(server);
	return status;
}

static int run_on_fiber(void *arg, struct error *error)
{
	struct run *run = arg;
	struct error late = { 0 };
	int status, closed;

	status = make_switch(run, error);
	if (!status)
		status = serve(run, error);
	if (!run->vswitch)
		return status;
	vswitch_stop(run->vswitch);
	closed = vswitch_stop_capture(run->vswitch, &late);
	vswitch_destroy(run->vswitch);
	if (!status && closed) {
		*error = late;
		status = closed;
	}
	return status;
}

/* Before any thread is made, so that all of them leave these signals alone. */
static void block_signals(struct run *run)
{
	sigemptyset(&run->signals);
	sigaddset(&run->signals, SIGTERM);
	sigaddset(&run->signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &run->signals, NULL);
}

static int switch_run(int argc, char **argv)
{
	struct run run = { 0 };
	struct error error = { 0 };
	bool verbose = false;
	const struct cli_option options[] = {
		{ "socket-dir", CLI_TEXT, &run.socket_dir, "DIR",
		  "where vhost-user sockets are made: DIR/PORT.sock" },
		{ "port", CLI_LIST, &run.ports, "SPEC",
		  "a port: NAME=vhost-user, or NAME=tap:IFNAME (made if missing)" },
		{ "capture", CLI_TEXT, &run.capture, "FILE",
		  "record frames: .pcapng with ports and directions, else pcap" },
		{ "ageing", CLI_NUMBER, &run.ageing, "SECONDS",
		  "forget addresses after this long (300)" },
		{ "seed", CLI_NUMBER, &run.seed, "N",
		  "of the address table's hash (from the system)" },
		{ "verbose", CLI_FLAG, &verbose, NULL, "say who comes and goes" },
		CLI_OPTION_END,
	};
	struct cli_words operands;
	int status;

	if (!cli_parse(RUN_USAGE, options, argc, argv, 1, 1, &operands, &status))
		return status;
	run.name = operands.words[0];
	if (!run.socket_dir)
		return cli_usage_error("switch run: --socket-dir DIR is missing");
	if (vswitch_check_port_name(run.name, &error)) {
		error_prefix(&error, "switch name");
		return cli_fail(error.code, &error);
	}
	log_to_stderr(&run.log, verbose ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING);
	block_signals(&run);
	return cli_on_fiber(run_on_fiber, &run);
}

/* ---- tenon switch show ---- */

struct show {
	const char *name;
	json_t *result;
};

static int show_on_fiber(void *arg, struct error *error)
{
	CLEANUP_FREE char *control = NULL;
	CLEANUP_FREE char *base = NULL;
	struct show *show = arg;
	int status;

	if (asprintf(&base, "switch-%s", show->name) < 0)
		return -ENOMEM;
	status = runtime_socket(base, &control, error);
	if (!status)
		status = rpc_call(control, "switch.show", NULL, &show->result, error);
	if (status == -ENOENT || status == -ECONNREFUSED) {
		error_set(error, status,
			  "switch %s: none of that name is running (nobody listens at %s)",
			  show->name, control);
		error_advise(error, "start it with `tenon switch run %s`, as the same user",
			     show->name);
	}
	return status;
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
	json_object_set_new(port, "drop_text", json_string(text));
}

static void print_show(json_t *result)
{
	static const struct cli_column port_columns[] = {
		{ "PORT", "name", CLI_AS_TEXT },         { "TYPE", "type", CLI_AS_TEXT },
		{ "STATE", "state", CLI_AS_TEXT },       { "WHERE", "where", CLI_AS_TEXT },
		{ "FEATURES", "features", CLI_AS_TEXT }, { NULL, NULL, CLI_AS_TEXT },
	};
	static const struct cli_column counter_columns[] = {
		{ "PORT", "name", CLI_AS_TEXT },         { "RX FRAMES", "rx_frames", CLI_AS_TEXT },
		{ "RX BYTES", "rx_bytes", CLI_AS_TEXT }, { "TX FRAMES", "tx_frames", CLI_AS_TEXT },
		{ "TX BYTES", "tx_bytes", CLI_AS_TEXT }, { "FLOODED", "flooded", CLI_AS_TEXT },
		{ "DROPPED", "drop_text", CLI_AS_TEXT }, { NULL, NULL, CLI_AS_TEXT },
	};
	static const struct cli_column address_columns[] = {
		{ "ADDRESS", "address", CLI_AS_TEXT },
		{ "PORT", "port", CLI_AS_TEXT },
		{ "AGE, S", "age_seconds", CLI_AS_TEXT },
		{ NULL, NULL, CLI_AS_TEXT },
	};
	json_t *ports = json_object_get(result, "ports"), *port;
	size_t index;

	json_array_foreach(ports, index, port)
		add_drop_text(port);
	printf("switch %s\n\n", json_string_value(json_object_get(result, "name")));
	cli_print_table(ports, port_columns);
	printf("\n");
	cli_print_table(ports, counter_columns);
	printf("\n");
	cli_print_table(json_object_get(result, "addresses"), address_columns);
}

static int switch_show(int argc, char **argv)
{
	struct show show = { 0 };
	bool json = false;
	const struct cli_option options[] = { CLI_OPTION_JSON(&json), CLI_OPTION_END };
	struct cli_words operands;
	int status;

	if (!cli_parse(SHOW_USAGE, options, argc, argv, 1, 1, &operands, &status))
		return status;
	show.name = operands.words[0];
	status = cli_on_fiber(show_on_fiber, &show);
	if (status != EXIT_DONE)
		return status;
	if (json)
		cli_print_json(show.result);
	else
		print_show(show.result);
	json_decref(show.result);
	return EXIT_DONE;
}

int command_switch(int argc, char **argv)
{
	static const struct cli_verb verbs[] = {
		{ "run", switch_run,
		  "NAME --socket-dir DIR [--port NAME=vhost-user|tap:IFNAME]... [--capture FILE]",
		  "run a switch until SIGTERM or SIGINT" },
		{ "show", switch_show, "NAME [--json]", "ports, learned addresses, counters" },
		{ NULL, NULL, NULL, NULL },
	};

	return cli_run_verb("switch", verbs, argc, argv);
}
