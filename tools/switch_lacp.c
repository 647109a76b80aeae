/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon switch lacp`: bonds of a running switch: the command; see switch.h and vswitch/bond.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/devices.h"
#include "tools/output.h"
#include "tools/switch.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "vswitch/port_config.h"

#define LACP_USAGE "switch lacp NAME [show|add|set|remove] [BOND|PORT] [KEY=VALUE...] [--json]"

static void print_bonds(json_t *result, const struct cli_listing *listing)
{
	static const struct cli_column bonds[] = {
		{ "BOND", "bond", CLI_AS_TEXT },
		{ "STATE", "state", CLI_AS_TEXT },
		{ "MODE", "bond_mode", CLI_AS_TEXT },
		{ "HASH", "hash", CLI_AS_TEXT, 1 },
		{ "CARRY", "carrying", CLI_AS_TEXT },
		{ "LINKS", "link_count", CLI_AS_TEXT },
		{ "PARTNER", "partner_system", CLI_AS_TEXT },
		{ "ITS KEY", "partner_key", CLI_AS_TEXT, 2 },
		{ "ACTIVE", "active_link", CLI_AS_TEXT, 1 },
		{ "FAILOVERS", "failovers", CLI_AS_TEXT, 2 },
		{ NULL },
	};
	static const struct cli_column links[] = {
		{ "PORT", "port", CLI_AS_TEXT },
		{ "BOND", "bond", CLI_AS_TEXT },
		{ "STATE", "state", CLI_AS_TEXT },
		{ "CARRIES", "carries", CLI_AS_TEXT },
		{ "SHARE", "share_percent", CLI_AS_TEXT, 1 },
		{ "LACP", "mux_state", CLI_AS_TEXT },
		{ "PARTNER", "receive_state", CLI_AS_TEXT },
		{ "ITS SYSTEM", "partner_system", CLI_AS_TEXT, 1 },
		{ "ITS PORT", "partner_port", CLI_AS_TEXT, 2 },
		{ "SENT", "tx_lacpdus", CLI_AS_TEXT, 2 },
		{ "RECEIVED", "rx_lacpdus", CLI_AS_TEXT, 2 },
		{ NULL },
	};

	cli_print_rows(json_object_get(result, "bonds"), bonds, listing);
	printf("\n");
	cli_print_rows(json_object_get(result, "bond_links"), links, listing);
}

/* All, or (`bond`) one; that it is there is looked at. Returns the exit status. */
static int ask_bonds(const char *name, const char *bond, json_t **result)
{
	return switch_ask(name, "switch.lacp.show", bond ? json_pack("{s:s}", "bond", bond) : NULL,
			  result);
}

static int show_bonds(const struct cli_words *operands, const struct cli_listing *listing)
{
	json_t *result = NULL;
	int status = ask_bonds(operands->words[0], operands->count > 2 ? operands->words[2] : NULL,
			       &result);

	if (status != EXIT_DONE)
		return status;
	if (listing->json)
		cli_print_json(result);
	else
		print_bonds(result, listing);
	json_decref(result);
	return status;
}

/* The words behind the third, also with commas between, "bond-" before those that are no other setting of a port. */
static int take_words(const struct cli_words *operands, json_t *words, struct error *error)
{
	struct port_config config = { 0 };
	int rc = 0;

	for (unsigned i = 3; i < operands->count; i++) {
		CLEANUP_FREE char *copy = strdup(operands->words[i]);
		char *rest = copy, *one;

		while (!rc && (one = strsep(&rest, ","))) {
			json_t *word =
				json_sprintf("%s%s", port_config_knows(one) ? "" : "bond-", one);

			if (!word)
				return error_set(error, -EINVAL, "%.60s: expected text in UTF-8",
						 one);
			rc = port_config_set(&config, json_string_value(word), error);
			json_array_append_new(words, word);
		}
	}
	return rc;
}

static int add_bond(const char *name, const char *bond, json_t *words)
{
	CLEANUP_FREE char *spec = NULL;
	struct error error = { 0 };
	size_t length, index;
	FILE *stream = open_memstream(&spec, &length);
	json_t *word;

	if (!stream) {
		json_decref(words);
		error_set(&error, -ENOMEM, "switch %s: out of memory", name);
		return cli_fail(-ENOMEM, &error);
	}
	fprintf(stream, "%s=bond", bond);
	json_array_foreach(words, index, word)
		fprintf(stream, ",%s", json_string_value(word));
	fclose(stream);
	json_decref(words);
	return switch_ask(name, "switch.port.add", json_pack("{s:s}", "spec", spec), NULL);
}

static int remove_bond(const char *name, const char *bond)
{
	json_t *result = NULL;
	int status = ask_bonds(name, bond, &result);

	json_decref(result);
	if (status != EXIT_DONE)
		return status;
	return switch_ask(name, "switch.port.remove", json_pack("{s:s}", "port", bond), NULL);
}

static int change_bond(const struct cli_words *operands)
{
	const char *name = operands->words[0], *bond = operands->words[2];
	json_t *words = json_array();
	struct error error = { 0 };

	if (take_words(operands, words, &error)) {
		json_decref(words);
		return cli_usage_error("%s", error.text);
	}
	if (!strcmp(operands->words[1], "add"))
		return add_bond(name, bond, words);
	return switch_ask(name, "switch.port.set",
			  json_pack("{s:s, s:o}", "port", bond, "words", words), NULL);
}

int switch_lacp(int argc, char **argv)
{
	struct cli_listing listing = { 0 };
	const struct cli_option options[] = { CLI_OPTIONS_SHOW(&listing), CLI_OPTION_END };
	struct cli_words operands;
	const char *action;
	int status;

	if (!cli_parse(LACP_USAGE, options, argc, argv, 1, CLI_ANY, &operands, &status) ||
	    !cli_listing_check(&listing, NULL, &status))
		return status;
	action = switch_action(&operands, "show");
	if (!strcmp(action, "show") && operands.count <= 3)
		return show_bonds(&operands, &listing);
	if ((!strcmp(action, "add") && operands.count >= 3) ||
	    (!strcmp(action, "set") && operands.count >= 4))
		return change_bond(&operands);
	if (!strcmp(action, "remove") && operands.count == 3)
		return remove_bond(operands.words[0], operands.words[2]);
	return switch_wrong_action(
		action, operands.count - 2,
		"show [BOND], add BOND [KEY=VALUE...], set BOND|PORT KEY=VALUE... or remove BOND");
}
