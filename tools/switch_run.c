/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon switch run`: a switch in the foreground; see switch.h. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "block/output.h"
#include "fiber/signal.h"
#include "netdev/netlink_library.h"
#include "tools/devices.h"
#include "tools/switch.h"
#include "tools/switch_port.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/log_queue.h"
#include "util/text.h"
#include "vswitch/stp.h"
#include "vswitch/switch.h"

#define RUN_USAGE                                                                                  \
	"switch run NAME [--socket-dir DIR] [--port PORT=TYPE[,OPTION]...]... [--threads N] "      \
	"[--config FILE] [--capture FILE]"

#define NOT_GIVEN   UINT64_MAX
#define TABLE_MOST  1000000u
#define AGEING_MOST 1000000u /* seconds; as IEEE 802.1Q-2022 has it, table 8-11 */

struct switch_run {
	const char *name, *capture, *reserved, *stp, *igmp, *lldp;
	bool force;
	uint64_t seed, ageing, threads, move_limit, table_size, per_port;
	struct cli_words ports;
	const char *config_path;
	json_t *config;      /* of --config, or NULL */
	char **config_ports; /* `ports`, with those of the configuration */
	struct reserved_choices choices;
	struct rstp_config tree;
	struct socket_options sockets;
	struct vswitch *vswitch;
	struct switch_control control;
	struct log log; /* standard error; the switch writes by way of the queue */
	struct log_queue *queue;
	sigset_t signals;
};

/* Where standard output is the capture's, what is said goes to standard error. */
static FILE *messages(const struct switch_run *run)
{
	return run->capture && output_is_standard(run->capture) ? stderr : stdout;
}

static void print_ready(const struct switch_run *run)
{
	FILE *to = messages(run);
	CLEANUP(cleanup_vswitch_status) struct vswitch_status *status = NULL;

	if (vswitch_status(run->vswitch, &status))
		return;
	fprintf(to, "switch %s ready:", run->name);
	for (unsigned i = 0; i < status->port_count; i++) {
		const struct vswitch_port_status *port = &status->ports[i];
		CLEANUP_FREE char *where = text_cleaned(port->where, NULL);

		fprintf(to, "%s %s%s%s%s", i ? "," : "", port->name, port->where[0] ? "=" : "",
			strcmp(port->type, "tap") ? "" : "tap:", where ? where : "?");
	}
	fprintf(to, "%s\n", status->port_count ? "" : " no ports");
	cli_ready();
}

/* A vhost-user port has a listener, a connection, two rings of three eventfds each (and two more for each further pair), and memory files on
 * their way; a TAP less. */
#define FILES_PER_PORT  16
#define FILES_PER_QUEUE 6
#define FILES_OTHER     64

static uint64_t files_of_ports(const struct switch_run *run)
{
	uint64_t files = (uint64_t)run->ports.count * FILES_PER_PORT;

	for (unsigned i = 0; i < run->ports.count; i++) {
		struct port_spec spec;

		/* What is wrong with it is said when it is added. */
		if (!port_spec_parse(&spec, run->ports.words[i], &(struct error){ 0 }) &&
		    spec.queues > 1)
			files += (uint64_t)(spec.queues - 1) * FILES_PER_QUEUE;
		port_spec_free(&spec);
	}
	return files;
}

/* Takes as many open files as there may be, and says beforehand if that is too few: a front-end would else be
 * turned away when it comes. */
static void raise_open_files(const struct switch_run *run)
{
	uint64_t needed = FILES_OTHER + files_of_ports(run);
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	if (!setrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur >= needed)
		return;
	cli_warn("%u ports may need %llu open files, and the limit is %llu: raise it (ulimit -Hn), "
		 "or "
		 "front-ends will be turned away",
		 run->ports.count, (unsigned long long)needed, (unsigned long long)limit.rlim_cur);
}

/* Makes the switch, without ports. */
static int make_switch(struct switch_run *run, struct error *error)
{
	struct vswitch_options options = { .name = run->name,
					   .log = log_queue_log(run->queue),
					   .seed = run->seed,
					   .mac = switch_usual_address(run->name),
					   .threads = (unsigned)run->threads,
					   .move_limit = (unsigned)run->move_limit,
					   .table_size = (unsigned)run->table_size,
					   .table_per_port = (unsigned)run->per_port,
					   .reserved = run->choices,
					   .hub = run->ageing == 0 };
	int rc = 0;

	if (run->ageing != NOT_GIVEN)
		options.ageing_ns = run->ageing * 1000000000;
	/* A port that comes later may want one, if it is said where. */
	if (switch_needs_sockets(&run->ports) || run->sockets.directory)
		rc = socket_options_make_directory(&run->sockets, error);
	return rc ? rc : vswitch_create(&run->vswitch, &options, error);
}

/* ---- --config ---- */

/* Of the command line and the file; what neither says is not there. */
static const struct config_number {
	const char *key;
	size_t offset; /* in struct switch_run */
	uint64_t unset, least, most;
} config_numbers[] = {
	{ "threads", offsetof(struct switch_run, threads), 0, 1, VSWITCH_THREADS_MAX },
	{ "ageing", offsetof(struct switch_run, ageing), NOT_GIVEN, 0, AGEING_MOST },
	{ "move_limit", offsetof(struct switch_run, move_limit), 0, 1, 1000000 },
	{ "table_size", offsetof(struct switch_run, table_size), 0, 1, TABLE_MOST },
	{ "port_addresses", offsetof(struct switch_run, per_port), 0, 1, TABLE_MOST },
	{ "seed", offsetof(struct switch_run, seed), 0, 1, INT64_MAX },
};

static const struct config_text {
	const char *key;
	size_t offset;
} config_texts[] = {
	{ "socket_dir", offsetof(struct switch_run, sockets.directory) },
	{ "socket_mode", offsetof(struct switch_run, sockets.mode) },
	{ "socket_group", offsetof(struct switch_run, sockets.group) },
	{ "reserved", offsetof(struct switch_run, reserved) },
	{ "capture", offsetof(struct switch_run, capture) },
};

/* Whoever takes the configuration may be in another directory. */
static json_t *text_json(const struct config_text *of, const char *value)
{
	bool is_path = !strcmp(of->key, "socket_dir") || !strcmp(of->key, "capture");
	CLEANUP_FREE char *path =
		is_path && strcmp(value, "-") != 0 ? switch_path_from_root(value) : NULL;

	return json_string(path ? path : value);
}

static json_t *config_options(struct switch_run *run)
{
	json_t *options = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(config_numbers); i++) {
		const struct config_number *each = &config_numbers[i];
		uint64_t value = *(uint64_t *)((char *)run + each->offset);

		if (value != each->unset)
			json_object_set_new(options, each->key, json_integer((json_int_t)value));
	}
	for (size_t i = 0; i < ARRAY_SIZE(config_texts); i++) {
		const char *value = *(const char **)((char *)run + config_texts[i].offset);

		if (value)
			json_object_set_new(options, config_texts[i].key,
					    text_json(&config_texts[i], value));
	}
	return options;
}

/* The ports of the file come before those of the command line. */
static int take_config_ports(struct switch_run *run, struct error *error)
{
	json_t *ports = json_object_get(run->config, "ports"), *port;
	size_t index, count = json_array_size(ports);

	run->config_ports = calloc(count + run->ports.count + 1, sizeof(*run->config_ports));
	if (!run->config_ports)
		return error_set(error, -ENOMEM, "out of memory");
	json_array_foreach(ports, index, port)
		run->config_ports[index] = (char *)json_string_value(port);
	for (unsigned i = 0; i < run->ports.count; i++)
		run->config_ports[count + i] = run->ports.words[i];
	run->ports.words = run->config_ports;
	run->ports.count += (unsigned)count;
	return 0;
}

/* What the command line says goes before what the file does. */
static int take_config(struct switch_run *run, struct error *error)
{
	int rc = switch_config_load(run->config_path, &run->config, error);

	for (size_t i = 0; !rc && i < ARRAY_SIZE(config_numbers); i++) {
		const struct config_number *each = &config_numbers[i];
		uint64_t *value = (uint64_t *)((char *)run + each->offset), found = each->unset;

		rc = switch_param_number(run->config, each->key, each->least, each->most, &found,
					 error);
		if (!rc && *value == each->unset)
			*value = found;
	}
	for (size_t i = 0; !rc && i < ARRAY_SIZE(config_texts); i++) {
		const char **value = (const char **)((char *)run + config_texts[i].offset);

		if (!*value)
			*value = json_string_value(
				json_object_get(run->config, config_texts[i].key));
	}
	return rc ? rc : take_config_ports(run, error);
}

/* The control socket, which also keeps a second switch of the name from starting. */
static int start_control(struct switch_run *run, struct rpc_server **server, struct error *error)
{
	CLEANUP_FREE char *control = NULL;
	int rc;

	run->control = (struct switch_control){ .name = run->name,
						.vswitch = run->vswitch,
						.options = config_options(run),
						.sockets = &run->sockets };
	fiber_mutex_init(&run->control.changing);
	rc = switch_control_path(run->name, &control, error);
	if (rc)
		return rc;
	rc = rpc_server_start(server, control, switch_methods, &run->control,
			      log_queue_log(run->queue), error);
	if (rc == -EADDRINUSE) {
		error_set(error, rc, "switch %s: one of that name is running already", run->name);
		error_advise(error, "give this one another name, or end that one");
	} else if (!rc)
		rpc_server_show_pages(*server, switch_pages);
	return rc;
}

/* "rstp,priority=4096": in place of what a configuration has. */
static int apply_tree(struct switch_run *run, struct error *error)
{
	CLEANUP_FREE char *copy = strdup(run->stp);
	char *rest = copy, *one;
	json_t *words = json_array();
	int rc = vswitch_set_stp(run->vswitch, &run->tree, error);

	while (!rc && (one = strsep(&rest, ",")))
		json_array_append_new(words, strchr(one, '=') ? json_string(one)
							      : json_sprintf("mode=%s", one));
	if (!rc) {
		switch_said_forget(&run->control, "stp", NULL);
		switch_said_words(&run->control, "stp", NULL, words);
	}
	json_decref(words);
	return rc;
}

static int set_igmp(struct switch_run *run, struct error *error)
{
	json_t *params = json_pack("{s:[]}", "words"), *unused;
	int rc = switch_igmp_check(run->igmp, false, json_object_get(params, "words"), error);

	if (!rc)
		rc = switch_igmp_set(&run->control, params, &unused, error);
	json_decref(params);
	return rc;
}

static int set_lldp(struct switch_run *run, struct error *error)
{
	json_t *params = json_pack("{s:[]}", "words"), *unused;
	int rc = switch_lldp_check(run->lldp, json_object_get(params, "words"), error);

	if (!rc)
		rc = switch_lldp_set(&run->control, params, &unused, error);
	json_decref(params);
	return rc;
}

/* A primary link may come later, and one that has left is kept in configurations; but it may be a slip. */
static void warn_of_primaries(const struct switch_run *run)
{
	CLEANUP(cleanup_vswitch_status) struct vswitch_status *status = NULL;
	struct log *log = log_queue_log(run->queue);

	if (vswitch_status(run->vswitch, &status))
		return;
	for (unsigned i = 0; i < status->port_count; i++) {
		const char *bond = status->ports[i].name;
		const char *primary = status->ports[i].config.bond.primary;
		bool found = !primary[0];

		for (unsigned k = 0; k < status->port_count && !found; k++)
			found = !strcmp(status->ports[k].name, primary) &&
				!strcmp(status->ports[k].config.bond.of, bond);
		if (!found)
			log_warning(log,
				    "port %s: bond-primary=%s: it has no link of that name; `tenon "
				    "switch port set %s PORT bond=%s` makes a port one",
				    bond, primary, run->name, bond);
	}
}

/* Adds ports and capture, and runs until SIGTERM or SIGINT, which are blocked. */
static int serve(struct switch_run *run, struct error *error)
{
	struct vswitch_capture_options capture = { .path = run->capture, .force = run->force };
	struct rpc_server *server;
	int rc = start_control(run, &server, error);

	if (rc)
		return rc;
	for (unsigned i = 0; !rc && i < run->ports.count; i++)
		rc = switch_control_add_port(&run->control, run->ports.words[i], error);
	if (!rc && run->config) {
		rc = switch_config_apply(&run->control, switch_methods, run->config, error);
		if (rc)
			error_prefix(error, "%s", run->config_path);
	}
	if (!rc && run->stp)
		rc = apply_tree(run, error);
	if (!rc && run->igmp)
		rc = set_igmp(run, error);
	if (!rc && run->lldp)
		rc = set_lldp(run, error);
	if (!rc && run->capture)
		rc = vswitch_start_capture(run->vswitch, &capture, NULL, error);
	if (!rc)
		rc = vswitch_start(run->vswitch, error);
	if (!rc) {
		warn_of_primaries(run);
		print_ready(run);
		rc = fiber_wait_signal(&run->signals);
		rc = MIN(rc, 0);
	}
	rpc_server_stop(server);
	switch_end_watching(&run->control);
	json_decref(run->control.specs);
	json_decref(run->control.recorders);
	json_decref(run->control.options);
	json_decref(run->control.said);
	json_decref(run->control.kept);
	return rc;
}

static int run_on_fiber(void *arg, struct error *error)
{
	struct switch_run *run = arg;
	struct error late = { 0 };
	int rc, closed;

	/* While nobody else runs here. A port that needs it tells where it is not there. */
	(void)libnl_load(NULL);
	rc = log_queue_start(&run->queue, &run->log, error);
	if (!rc)
		rc = make_switch(run, error);
	if (!rc)
		rc = serve(run, error);
	if (!run->vswitch) {
		log_queue_stop(run->queue);
		return rc;
	}
	vswitch_stop(run->vswitch);
	closed = vswitch_stop_captures(run->vswitch, &late);
	vswitch_destroy(run->vswitch);
	log_queue_stop(run->queue);
	if (!rc && closed) {
		*error = late;
		rc = closed;
	}
	return rc;
}

/* Before any thread is made, so that all of them leave these signals alone. */
static void block_signals(struct switch_run *run)
{
	sigemptyset(&run->signals);
	sigaddset(&run->signals, SIGTERM);
	sigaddset(&run->signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &run->signals, NULL);
}

/* What can be refused before anything is made; a status other than EXIT_DONE, and it has been said why. */
static int check_options(struct switch_run *run)
{
	struct error error = { 0 };

	if (!socket_options_parse(&run->sockets))
		return EXIT_USAGE;
	if (!run->sockets.directory && switch_needs_sockets(&run->ports))
		return cli_usage_error("--socket-dir DIR is missing: ports without an address "
				       "have their sockets there");
	if (run->force && !run->capture)
		return cli_usage_error(
			"--force: it is about the file of --capture, which is not given");
	if (vswitch_check_switch_name(run->name, &error))
		return cli_usage_error("%s", error.text);
	if (run->reserved && reserved_parse(&run->choices, run->reserved, &error))
		return cli_usage_error("--reserved: %s", error.text);
	if (run->stp && switch_tree_words(run->name, &run->tree, run->stp, &error))
		return cli_usage_error("--stp: %s", error.text);
	if (run->igmp && switch_igmp_check(run->igmp, false, NULL, &error))
		return cli_usage_error("--igmp: %s", error.text);
	if (run->lldp && switch_lldp_check(run->lldp, NULL, &error))
		return cli_usage_error("--lldp: %s", error.text);
	if (switch_check_ports(&run->ports, &error))
		return cli_usage_error("%s", error.text);
	return EXIT_DONE;
}

int switch_run(int argc, char **argv)
{
	struct switch_run run = { .ageing = NOT_GIVEN };
	struct error error = { 0 };
	bool verbose = false;
	const struct cli_option options[] = {
		{ "port", CLI_LIST, &run.ports, "SPEC",
		  "a port: PORT=vhost-user, PORT=tap:IFNAME (made if missing), or of another "
		  "type (tenon-switch(1)); settings behind a comma" },
		{ "threads", CLI_NUMBER, &run.threads, "N", "forwarding threads (1)", 1,
		  VSWITCH_THREADS_MAX },
		CLI_OPTION_SOCKETS(&run.sockets),
		{ "config", CLI_TEXT, &run.config_path, "FILE",
		  "what `switch show --config` writes: options, ports, rules, links, ..." },
		{ "capture", CLI_TEXT, &run.capture, "FILE",
		  "record frames: .pcapng with ports and directions, else pcap; - is a stream" },
		{ "force", CLI_FLAG, &run.force, NULL, "capture over a file that holds something" },
		{ "ageing", CLI_NUMBER, &run.ageing, "SECONDS",
		  "forget addresses after this long (300); 0: learn none", 0, AGEING_MOST },
		{ "move-limit", CLI_NUMBER, &run.move_limit, "N",
		  "hold an address that moves more often in a second (none)", 1, 1000000 },
		{ "table-size", CLI_NUMBER, &run.table_size, "N", "addresses in all (8192)", 1,
		  TABLE_MOST },
		{ "port-addresses", CLI_NUMBER, &run.per_port, "N",
		  "addresses of a port that has no such setting (4096)", 1, TABLE_MOST },
		{ "reserved", CLI_TEXT, &run.reserved, "PROTOCOL=drop|flood|handle[,...]",
		  "frames to 01:80:c2:00:00:0X: stp=flood,lldp=flood, 02=flood, all=flood (drop)" },
		{ "stp", CLI_TEXT, &run.stp, "rstp|stp[,KEY=VALUE...]",
		  "be part of a spanning tree: priority=4096, hello=, max-age=, forward-delay=, "
		  "..." },
		{ "igmp", CLI_TEXT, &run.igmp, "KEY=VALUE[,...]",
		  "IGMP and MLD snooping, as `tenon switch igmp NAME set` has it" },
		{ "lldp", CLI_TEXT, &run.lldp, "KEY=VALUE[,...]",
		  "tell neighbours of itself, and hear of them: mode=both|send|receive|off (off), "
		  "as "
		  "`tenon switch lldp NAME set` has it" },
		{ "seed", CLI_NUMBER, &run.seed, "N",
		  "of the address table's hash (from the system)", 1, INT64_MAX },
		{ "verbose", CLI_FLAG, &verbose, NULL, "say who comes and goes" },
		CLI_OPTION_END,
	};
	struct cli_words operands;
	int status;

	if (!cli_parse(RUN_USAGE, options, argc, argv, 1, 1, &operands, &status))
		return status;
	run.name = operands.words[0];
	if (run.config_path && take_config(&run, &error)) {
		json_decref(run.config);
		return cli_usage_error("--config: %s", error.text);
	}
	status = check_options(&run);
	if (status != EXIT_DONE) {
		json_decref(run.config);
		free(run.config_ports);
		return status;
	}
	log_to_stderr(&run.log, verbose ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING);
	raise_open_files(&run);
	block_signals(&run);
	status = cli_on_fiber(run_on_fiber, &run);
	json_decref(run.config);
	free(run.config_ports);
	return status;
}
