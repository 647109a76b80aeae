/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon switch`: see switch.h. What a running switch does, for people and programs. */
#include "tools/switch.h"

#include <inttypes.h>
#include <stdio.h>

#include "tools/devices.h"
#include "tools/output.h"

#define SHOW_USAGE "switch show NAME [--config] [--watch] [--json]"

static void print_captures(json_t *captures)
{
	json_t *capture;
	size_t index;

	json_array_foreach(captures, index, capture) {
		json_int_t lost = json_integer_value(json_object_get(capture, "lost"));
		const char *port = json_string_value(json_object_get(capture, "port"));

		if (!index)
			printf("\n");
		cli_say("capture %" JSON_INTEGER_FORMAT ", %s%s%s: %s; %" JSON_INTEGER_FORMAT
			" frames written, %" JSON_INTEGER_FORMAT " lost%s",
			json_integer_value(json_object_get(capture, "number")),
			json_string_value(json_object_get(capture, "path")),
			port ? " of port " : "", port ? port : "",
			json_string_value(json_object_get(capture, "state")),
			json_integer_value(json_object_get(capture, "written")), lost,
			lost ? " (dropped here only, not on the network)" : "");
	}
}

static void print_show(json_t *result, const struct cli_listing *listing)
{
	json_t *ports = json_object_get(result, "ports");

	cli_say("switch %s", json_string_value(json_object_get(result, "name")));
	printf("\n");
	switch_print_ports(ports, listing);
	printf("\n");
	switch_print_counters(ports, listing);
	printf("\n");
	switch_print_addresses(json_object_get(result, "addresses"), listing);
	print_captures(json_object_get(result, "captures"));
}

static int switch_show(int argc, char **argv)
{
	json_t *result = NULL;
	struct cli_listing listing = { 0 };
	struct switch_watch watch = { 0 };
	bool config = false;
	const struct cli_option options[] = {
		{ "config", CLI_FLAG, &config, NULL, "as `switch run --config` takes it" },
		CLI_OPTIONS_WATCH(&watch),
		CLI_OPTIONS_SHOW(&listing),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	int status;

	if (!cli_parse(SHOW_USAGE, options, argc, argv, 1, 1, &operands, &status) ||
	    !cli_listing_check(&listing, NULL, &status) || !switch_watch_check(&watch, &status))
		return status;
	if (config && watch.on)
		return cli_usage_error("--config and --watch: expected one of them");
	if (watch.on)
		return switch_watch_run(operands.words[0], &switch_watched_rates, &watch, &listing);
	status = switch_ask(operands.words[0], config ? "switch.config" : "switch.show", NULL,
			    &result);
	if (status != EXIT_DONE)
		return status;
	if (listing.json || config)
		cli_print_json(result);
	else
		print_show(result, &listing);
	json_decref(result);
	return EXIT_DONE;
}

int command_switch(int argc, char **argv)
{
	static const struct cli_verb verbs[] = {
		{ "run", switch_run,
		  "NAME [--socket-dir DIR] [--port PORT=TYPE[,OPTION]...]... [--threads N] "
		  "[--config FILE] [--capture FILE]",
		  "run a switch until SIGTERM or SIGINT" },
		{ "list", switch_list, "[--json]", "the switches that run for this user" },
		{ "show", switch_show, "NAME [--config] [--watch] [--json]",
		  "ports, learned addresses, counters; or all of it as a file" },
		{ "port", switch_port_verb,
		  "[add|remove|set|list|show] NAME [PORT|PORT=TYPE] [KEY=VALUE...] [--json]",
		  "add, remove, change and list its ports while it runs" },
		{ "table", switch_table,
		  "[list|add|remove|flush] NAME [ADDRESS|PORT] [PORT] [--vlan VLAN] [--watch] "
		  "[--json]",
		  "the addresses that it knows" },
		{ "counters", switch_counters, "NAME [--prometheus] [--watch] [--json]",
		  "what came, went and was dropped, and why" },
		{ "capture", switch_capture,
		  "NAME [PORT] -w FILE|- [--filter EXPR] [--direction in|out|both] [--snaplen N] "
		  "[--format pcap|pcapng] [--segments] [--count N] [--rotate-size SIZE] "
		  "[--rotate-time SECONDS] [--files N] [--force]",
		  "record what passes, live, until a signal" },
		{ "filter", switch_filter,
		  "NAME [add|remove|list] [PORT] [in|out] [EXPR] [ACTION] [--position N] [--json]",
		  "rules of ports: what passes, what is dropped, at what rate" },
		{ "vlan", switch_vlan, "NAME [show|set] [PORT] [KEY=VALUE...] [--json]",
		  "which VLANs its ports carry, with tags and without" },
		{ "stp", switch_stp, "NAME [show|set|port|off] [PORT] [KEY=VALUE...] [--json]",
		  "its spanning tree: roles and states of ports, priorities, costs, guards" },
		{ "igmp", switch_igmp, "NAME [show|set] [PORT] [KEY=VALUE...] [--watch] [--json]",
		  "IGMP and MLD snooping: who wants what group" },
		{ "lldp", switch_lldp, "NAME [show|set] [PORT] [KEY=VALUE...] [--json]",
		  "LLDP: who is at the other end of a port, and what it is told" },
		{ "forward", switch_forward,
		  "NAME add|remove PORT tcp|udp:[HOST]:PORT[-[GUEST]:PORT]",
		  "what a port user forwards to guests" },
		{ "dhcp", switch_dhcp, "NAME [show|add|remove] [PORT] [WORD...] [--json]",
		  "DHCP and DNS of its segments: who has what address" },
		{ "lacp", switch_lacp,
		  "NAME [show|add|set|remove] [BOND|PORT] [KEY=VALUE...] [--json]",
		  "bonds: several ports as one, by LACP, static, or one for the other" },
		{ "reserved", switch_reserved, "NAME [PROTOCOL=drop|flood|handle[,...]] [--json]",
		  "what becomes of frames to 01:80:c2:00:00:0X, by protocol or address" },
		{ "mirror", switch_mirror,
		  "NAME [add|remove|list] [MIRROR] [PORT[:in|out|both]...] [--to PORT|FILE] "
		  "[--to-vlan VLAN] [--vlan VLANS] [--shared] [--json]",
		  "copies of what passes at ports, to a port, into a file or a VLAN" },
		{ "stop", switch_stop, "NAME", "end it, and wait until it has ended" },
		{ NULL, NULL, NULL, NULL },
	};

	return cli_run_verb("switch", verbs, argc, argv);
}
