/* SPDX-License-Identifier: BSD-2-Clause */
/* Asking a running switch: see switch.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fiber/fiber.h"
#include "tools/devices.h"
#include "tools/output.h"
#include "tools/switch.h"
#include "util/cleanup.h"
#include "util/process.h"
#include "vswitch/mac_table.h"
#include "vswitch/port_config.h"

#define PORT_USAGE                                                                                 \
	"switch port add|remove|set|list|show NAME [PORT|PORT=TYPE] [KEY=VALUE...] [--json]"
#define TABLE_USAGE                                                                                \
	"switch table list|add|remove|flush NAME [ADDRESS|PORT] [PORT] [--vlan VLAN] [--json]"
#define COUNTERS_USAGE "switch counters NAME [--prometheus] [--json]"
#define STOP_USAGE     "switch stop NAME"

#define STOP_NS 60000000000ULL /* longer than it waits for a capture's disk */
#define LOOK_NS 20000000

/* ---- One question ---- */

struct switch_question {
	const char *name, *method;
	json_t *params; /* stolen */
	json_t *result;
	bool until_gone; /* wait until its process has ended */
};

/* Whose switch it is now: another may have its name before this one is looked for again. */
static int find_process(const char *control, pid_t *pid, struct error *error)
{
	json_t *shown = NULL;
	int rc = rpc_call(control, "switch.show", NULL, &shown, error);

	*pid = rc ? 0 : (pid_t)json_integer_value(json_object_get(shown, "pid"));
	json_decref(shown);
	return rc;
}

/* Its ports and a capture are others' once the process has ended. */
static int wait_until_gone(pid_t pid, const char *name, struct error *error)
{
	for (uint64_t end = worker_now() + STOP_NS; worker_now() < end; fiber_sleep(LOOK_NS))
		if (pid <= 0 || process_is_gone(pid))
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
	if (question->until_gone)
		rc = find_process(control, &pid, error);
	if (!rc)
		rc = rpc_call(control, question->method, question->params, &question->result,
			      error);
	/* It may have ended before it could say so. */
	if (question->until_gone && (!rc || rc == -EPIPE))
		return wait_until_gone(pid, question->name, error);
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

static int list_ports(const char *name, const char *port, const struct cli_listing *listing)
{
	json_t *result = NULL, *ports, *found;
	int status = switch_ask_ports(name, port, &result, &found);

	if (status != EXIT_DONE)
		return status;
	ports = json_object_get(result, "ports");
	if (listing->json) {
		cli_print_json(port ? found : ports);
	} else if (port) {
		json_t *one = json_pack("[O]", found);

		switch_print_ports(one, listing);
		json_decref(one);
	} else {
		switch_print_ports(ports, listing);
	}
	json_decref(result);
	return status;
}

static int list_addresses(const char *name, const struct cli_listing *listing)
{
	json_t *result = NULL;
	int status = switch_ask(name, "switch.show", NULL, &result);

	if (status != EXIT_DONE)
		return status;
	if (listing->json)
		cli_print_json(json_object_get(result, "addresses"));
	else
		switch_print_addresses(json_object_get(result, "addresses"), listing);
	json_decref(result);
	return status;
}

/* ---- tenon switch port ---- */

static int set_words(const struct cli_words *operands)
{
	struct port_config config = { .vlan.kind = VLAN_PORT_TRUNK };
	json_t *words = json_array();
	struct error error = { 0 };

	/* What is no word at all is wrong usage; what does not fit to the port, the switch says. */
	for (unsigned i = 3; i < operands->count; i++) {
		CLEANUP_FREE char *copy = strdup(operands->words[i]);
		char *rest = copy, *one;

		if (!copy) {
			json_decref(words);
			error_set(&error, -ENOMEM, "port set: out of memory");
			return cli_fail(-ENOMEM, &error);
		}
		/* As behind a type: with commas between, too. */
		while ((one = strsep(&rest, ","))) {
			if (port_config_set(&config, one, &error) && !port_config_knows(one)) {
				json_decref(words);
				return cli_usage_error("%s", error.text);
			}
			json_array_append_new(words, json_string(one));
		}
	}
	return switch_ask(operands->words[1], "switch.port.set",
			  json_pack("{s:s, s:o}", "port", operands->words[2], "words", words),
			  NULL);
}

static int add_port(const struct cli_words *operands)
{
	struct cli_words specs = { .words = &operands->words[2], .count = 1 };
	CLEANUP_FREE char *spec = NULL;
	struct error error = { 0 };

	if (switch_check_ports(&specs, &error))
		return cli_usage_error("%s", error.text);
	spec = switch_port_from_root(operands->words[2], &error);
	if (!spec)
		return cli_fail(error.code, &error);
	return switch_ask(operands->words[1], "switch.port.add", json_pack("{s:s}", "spec", spec),
			  NULL);
}

int switch_port_verb(int argc, char **argv)
{
	struct cli_listing listing = { 0 };
	const struct cli_option options[] = { CLI_OPTIONS_SHOW(&listing), CLI_OPTION_END };
	struct cli_words operands;
	const char *action;
	int status;

	if (!cli_parse(PORT_USAGE, options, argc, argv, 2, CLI_ANY, &operands, &status) ||
	    !cli_listing_check(&listing, NULL, &status))
		return status;
	action = operands.words[0];
	if (!strcmp(action, "list") && operands.count == 2)
		return list_ports(operands.words[1], NULL, &listing);
	if (!strcmp(action, "show") && operands.count == 3)
		return list_ports(operands.words[1], operands.words[2], &listing);
	if (!strcmp(action, "add") && operands.count == 3)
		return add_port(&operands);
	if (!strcmp(action, "remove") && operands.count == 3)
		return switch_ask(operands.words[1], "switch.port.remove",
				  json_pack("{s:s}", "port", operands.words[2]), NULL);
	if (!strcmp(action, "set") && operands.count > 3)
		return set_words(&operands);
	return cli_usage_error(
		"\"%s\" with %u words behind it: expected add NAME PORT=TYPE, remove "
		"NAME PORT, set NAME PORT KEY=VALUE..., list NAME or show NAME PORT",
		action, operands.count - 1);
}

/* ---- tenon switch table ---- */

static json_t *address_of(const char *address, uint64_t vlan, const char *port)
{
	json_t *params = json_pack("{s:s, s:I}", "address", address, "vlan", (json_int_t)vlan);

	if (port)
		json_object_set_new(params, "port", json_string(port));
	return params;
}

int switch_table(int argc, char **argv)
{
	struct cli_listing listing = { 0 };
	uint64_t vlan = 0, mac;
	const struct cli_option options[] = {
		{ "vlan", CLI_NUMBER, &vlan, "VLAN", "the address is in this one (none)", 1,
		  VLAN_ID_MAX },
		CLI_OPTIONS_SHOW(&listing),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	const char *action, *name;
	int status;

	if (!cli_parse(TABLE_USAGE, options, argc, argv, 2, 4, &operands, &status) ||
	    !cli_listing_check(&listing, NULL, &status))
		return status;
	action = operands.words[0];
	name = operands.words[1];
	if (!strcmp(action, "list") && operands.count == 2)
		return list_addresses(name, &listing);
	if (!strcmp(action, "flush") && operands.count <= 3)
		return switch_ask(
			name, "switch.table.flush",
			operands.count == 3 ? json_pack("{s:s}", "port", operands.words[2]) : NULL,
			NULL);
	if ((strcmp(action, "add") || operands.count != 4) &&
	    (strcmp(action, "remove") || operands.count != 3))
		return cli_usage_error(
			"\"%s\" with %u words behind it: expected list NAME, add NAME "
			"ADDRESS PORT, remove NAME ADDRESS or flush NAME [PORT]",
			action, operands.count - 1);
	if (!mac_parse(operands.words[2], &mac))
		return cli_usage_error("address \"%s\": expected six bytes as in 02:00:00:00:00:01",
				       operands.words[2]);
	return switch_ask(name, operands.count == 4 ? "switch.table.add" : "switch.table.remove",
			  address_of(operands.words[2], vlan,
				     operands.count == 4 ? operands.words[3] : NULL),
			  NULL);
}

/* ---- tenon switch counters ---- */

static int print_metrics(const char *name)
{
	json_t *result = NULL;
	int status = switch_ask(name, "switch.metrics", NULL, &result);

	if (status == EXIT_DONE)
		fputs(json_string_value(result) ? json_string_value(result) : "", stdout);
	json_decref(result);
	return status;
}

int switch_counters(int argc, char **argv)
{
	struct cli_listing listing = { 0 };
	bool prometheus = false;
	const struct cli_option options[] = {
		{ "prometheus", CLI_FLAG, &prometheus, NULL, "in Prometheus's text format" },
		CLI_OPTIONS_SHOW(&listing),
		CLI_OPTION_END,
	};
	json_t *result = NULL, *ports;
	struct cli_words operands;
	int status;

	if (!cli_parse(COUNTERS_USAGE, options, argc, argv, 1, 1, &operands, &status) ||
	    !cli_listing_check(&listing, NULL, &status))
		return status;
	if (prometheus)
		return print_metrics(operands.words[0]);
	status = switch_ask(operands.words[0], "switch.show", NULL, &result);
	if (status != EXIT_DONE)
		return status;
	ports = json_object_get(result, "ports");
	if (listing.json)
		cli_print_json(ports);
	else
		switch_print_counters(ports, &listing);
	json_decref(result);
	return EXIT_DONE;
}
