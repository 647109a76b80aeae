/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon switch stp`: the spanning tree of a running switch; see switch.h and vswitch/rstp.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/devices.h"
#include "tools/output.h"
#include "tools/switch.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "vswitch/rstp.h"

#define STP_USAGE "switch stp NAME [show|set|port|off] [PORT] [KEY=VALUE...] [--json]"

static const struct cli_column tree_columns[] = {
	{ "PORT", "port", CLI_AS_TEXT },
	{ "ROLE", "tree_role", CLI_AS_TEXT },
	{ "STATE", "state", CLI_AS_TEXT },
	{ "COST", "cost", CLI_AS_TEXT },
	{ "PRIORITY", "priority", CLI_AS_TEXT, 3 },
	{ "EDGE", "edge", CLI_AS_TEXT, 1 },
	{ "SPEAKS", "protocol", CLI_AS_TEXT, 2 },
	{ "BPDUS IN", "rx_bpdus", CLI_AS_TEXT, 2 },
	{ "OUT", "tx_bpdus", CLI_AS_TEXT, 2 },
	{ "DESIGNATED BRIDGE", "designated_bridge", CLI_AS_TEXT, 1 },
	{ NULL },
};

static int show_tree(const char *name, const struct cli_listing *listing)
{
	static const struct cli_part parts[] = { { "tree_ports", "Ports", tree_columns },
						 { NULL } };
	json_t *result = NULL;
	int status = switch_ask(name, "switch.stp.show", NULL, &result);

	if (status == EXIT_DONE)
		cli_print_result(result, NULL, parts, listing);
	json_decref(result);
	return status;
}

/* The words from the `first` on, also with commas between; each with `prefix` before it where it is not there. */
static json_t *split_words(const struct cli_words *operands, unsigned first, const char *prefix)
{
	json_t *words = json_array();

	for (unsigned i = first; i < operands->count; i++) {
		CLEANUP_FREE char *copy = strdup(operands->words[i]);
		char *rest = copy, *one;

		while ((one = strsep(&rest, ",")))
			json_array_append_new(
				words,
				json_sprintf("%s%s", strncmp(one, "stp", 3) ? prefix : "", one));
	}
	return words;
}

static int set_tree(const char *name, const struct cli_words *operands)
{
	struct rstp_config config = rstp_config_default();
	struct error error = { 0 };
	json_t *words = split_words(operands, 2, ""), *word;
	size_t index;

	json_array_foreach(words, index, word)
		if (rstp_config_set(&config, json_string_value(word), &error)) {
			json_decref(words);
			return cli_usage_error("%s", error.text);
		}
	return switch_ask(name, "switch.stp.set", json_pack("{s:o}", "words", words), NULL);
}

static int set_tree_port(const char *name, const struct cli_words *operands)
{
	struct rstp_port_config config = { 0 };
	struct error error = { 0 };
	json_t *words = split_words(operands, 3, "stp-"), *word;
	size_t index;

	json_array_foreach(words, index, word) {
		/* A port takes part, or not. */
		if (!strcmp(json_string_value(word), "stp-on"))
			json_string_set(word, "stp=on");
		else if (!strcmp(json_string_value(word), "stp-off"))
			json_string_set(word, "stp=off");
		if (rstp_port_config_set(&config, json_string_value(word), &error)) {
			json_decref(words);
			return cli_usage_error("%s", error.text);
		}
	}
	return switch_ask(name, "switch.port.set",
			  json_pack("{s:s, s:o}", "port", operands->words[2], "words", words),
			  NULL);
}

int switch_stp(int argc, char **argv)
{
	struct cli_listing listing = { 0 };
	const struct cli_option options[] = { CLI_OPTIONS_SHOW(&listing), CLI_OPTION_END };
	struct cli_words operands;
	const char *action, *name;
	int status;

	if (!cli_parse(STP_USAGE, options, argc, argv, 1, 32, &operands, &status) ||
	    !cli_listing_check(&listing, NULL, &status) || !switch_names_check(&operands, &status))
		return status;
	name = operands.words[0];
	action = switch_action(&operands, "show");
	if (!strcmp(action, "show") && operands.count <= 2)
		return show_tree(name, &listing);
	if (!strcmp(action, "set"))
		return set_tree(name, &operands);
	if (!strcmp(action, "port") && operands.count >= 4)
		return set_tree_port(name, &operands);
	if (!strcmp(action, "off") && operands.count == 2)
		return switch_ask(name, "switch.stp.off", NULL, NULL);
	return switch_wrong_action(
		action, operands.count - 2,
		"show, set [KEY=VALUE...], port PORT on|off|KEY=VALUE... or off");
}
