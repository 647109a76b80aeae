/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon switch port`, `table` and `counters`: see switch.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/devices.h"
#include "tools/output.h"
#include "tools/switch.h"
#include "util/cleanup.h"
#include "vswitch/mac_table.h"
#include "vswitch/port_config.h"

#define PORT_USAGE                                                                                 \
	"switch port [add|remove|set|list|show] NAME [PORT|PORT=TYPE] [KEY=VALUE...] [--json]"
#define TABLE_USAGE                                                                                \
	"switch table [list|add|remove|flush] NAME [ADDRESS|PORT] [PORT] [--vlan VLAN] [--watch] " \
	"[--json]"
#define PORT_ACTIONS                                                                               \
	"add NAME PORT=TYPE, remove NAME PORT, set NAME PORT KEY=VALUE..., list NAME or show "     \
	"NAME PORT"
#define TABLE_ACTIONS  "list NAME, add NAME ADDRESS PORT, remove NAME ADDRESS or flush NAME [PORT]"
#define COUNTERS_USAGE "switch counters NAME [--prometheus] [--watch] [--json]"

/* What follows the switch prints lines as they come. */
static bool check_watch(const struct switch_watch *watch, const struct cli_listing *listing,
			int *status)
{
	if (!switch_watch_check(watch, status))
		return false;
	if (watch->on && (listing->columns || listing->sort || listing->no_header))
		*status =
			cli_usage_error("--watch: its lines have no columns to choose or sort by");
	else
		return true;
	return false;
}

static int list_ports(const char *name, const char *port, const struct cli_listing *listing)
{
	json_t *result = NULL, *ports, *found;
	int status = switch_ask_ports(name, port, &result, &found);

	if (status != EXIT_DONE)
		return status;
	ports = json_object_get(result, "ports");
	if (listing->json && port) {
		cli_print_json(found);
	} else if (listing->json) {
		cli_print_result(ports, switch_port_columns, NULL, listing);
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
		cli_print_result(json_object_get(result, "addresses"), switch_address_columns, NULL,
				 listing);
	else
		switch_print_addresses(json_object_get(result, "addresses"), listing);
	json_decref(result);
	return status;
}

/* ---- tenon switch port ---- */

int switch_set_port_words(const char *name, const struct cli_words *operands)
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
			if (!switch_shape_direction(one) && port_config_set(&config, one, &error) &&
			    !port_config_knows(one)) {
				json_decref(words);
				return cli_usage_error("%s", error.text);
			}
			json_array_append_new(words, json_string(one));
		}
	}
	return switch_ask(name, "switch.port.set",
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
	const struct cli_option options[] = { CLI_OPTIONS_LISTING(&listing), CLI_OPTION_END };
	struct cli_words operands;
	const char *action, *name;
	int status;

	if (!cli_parse(PORT_USAGE, options, argc, argv, 1, CLI_ANY, &operands, &status) ||
	    !cli_listing_check(&listing, switch_port_columns, &status) ||
	    !switch_names_check(&operands, &status))
		return status;
	action = switch_action_before(&operands, "add|remove|set|list|show", PORT_ACTIONS, &name,
				      &status);
	if (!action)
		return status;
	if (!strcmp(action, "list") && operands.count <= 2)
		return list_ports(name, NULL, &listing);
	if (!strcmp(action, "show") && operands.count == 3)
		return list_ports(name, operands.words[2], &listing);
	if (!strcmp(action, "add") && operands.count == 3)
		return add_port(&operands);
	if (!strcmp(action, "remove") && operands.count == 3)
		return switch_ask(name, "switch.port.remove",
				  json_pack("{s:s}", "port", operands.words[2]), NULL);
	if (!strcmp(action, "set") && operands.count > 3)
		return switch_set_port_words(name, &operands);
	return switch_wrong_action(action, operands.count - 1, PORT_ACTIONS);
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
	struct switch_watch watch = { 0 };
	uint64_t vlan = 0, mac;
	const struct cli_option options[] = {
		{ "vlan", CLI_NUMBER, &vlan, "VLAN", "the address is in this one (none)", 1,
		  VLAN_ID_MAX },
		CLI_OPTIONS_WATCH(&watch),
		CLI_OPTIONS_LISTING(&listing),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	const char *action, *name;
	int status;

	if (!cli_parse(TABLE_USAGE, options, argc, argv, 1, 4, &operands, &status) ||
	    !cli_listing_check(&listing, switch_address_columns, &status) ||
	    !switch_names_check(&operands, &status) || !check_watch(&watch, &listing, &status))
		return status;
	action = switch_action_before(&operands, "list|add|remove|flush", TABLE_ACTIONS, &name,
				      &status);
	if (!action)
		return status;
	if (watch.on && (strcmp(action, "list") || operands.count > 2))
		return cli_usage_error("--watch: it is of list NAME");
	if (watch.on)
		return switch_watch_run(name, &switch_watched_table, &watch, &listing);
	if (!strcmp(action, "list") && operands.count <= 2)
		return list_addresses(name, &listing);
	if (!strcmp(action, "flush") && operands.count <= 3)
		return switch_ask(
			name, "switch.table.flush",
			operands.count == 3 ? json_pack("{s:s}", "port", operands.words[2]) : NULL,
			NULL);
	if ((strcmp(action, "add") || operands.count != 4) &&
	    (strcmp(action, "remove") || operands.count != 3))
		return switch_wrong_action(action, operands.count - 1, TABLE_ACTIONS);
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
	struct switch_watch watch = { 0 };
	bool prometheus = false;
	const struct cli_option options[] = {
		{ "prometheus", CLI_FLAG, &prometheus, NULL, "in Prometheus's text format" },
		CLI_OPTIONS_WATCH(&watch),
		CLI_OPTIONS_LISTING(&listing),
		CLI_OPTION_END,
	};
	json_t *result = NULL, *ports;
	struct cli_words operands;
	int status;

	if (!cli_parse(COUNTERS_USAGE, options, argc, argv, 1, 1, &operands, &status) ||
	    !cli_listing_check(&listing, switch_counter_columns, &status) ||
	    !switch_names_check(&operands, &status) || !check_watch(&watch, &listing, &status))
		return status;
	if (prometheus && watch.on)
		return cli_usage_error("--prometheus and --watch: expected one of them");
	if (watch.on)
		return switch_watch_run(operands.words[0], &switch_watched_rates, &watch, &listing);
	if (prometheus)
		return print_metrics(operands.words[0]);
	status = switch_ask(operands.words[0], "switch.show", NULL, &result);
	if (status != EXIT_DONE)
		return status;
	ports = json_object_get(result, "ports");
	if (listing.json)
		cli_print_result(ports, switch_counter_columns, NULL, &listing);
	else
		switch_print_counters(ports, &listing);
	json_decref(result);
	return EXIT_DONE;
}
