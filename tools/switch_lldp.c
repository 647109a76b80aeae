/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon switch lldp`: what a running switch tells its neighbours, and who they are: the command; see switch.h and vswitch/lldp.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/devices.h"
#include "tools/output.h"
#include "tools/switch.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "vswitch/lldp_settings.h"

#define LLDP_USAGE "switch lldp NAME [show|set] [PORT] [KEY=VALUE...] [--json]"

/* A port's mode with what it is if it is the default, which says nothing by itself. */
static void name_modes(json_t *ports, const char *mode)
{
	json_t *port;
	size_t index;

	json_array_foreach(ports, index, port) {
		json_t *own = json_object_get(port, "mode");

		if (!strcmp(json_string_value(own), "default"))
			json_object_set_new(port, "mode", json_sprintf("%s (default)", mode));
	}
}

static void print_lldp(json_t *result, const struct cli_listing *listing)
{
	static const struct cli_column ports[] = {
		{ "PORT", "port", CLI_AS_TEXT },
		{ "MODE", "mode", CLI_AS_TEXT },
		{ "NEIGHBOURS", "neighbour_count", CLI_AS_TEXT },
		{ "SENT", "sent", CLI_AS_TEXT },
		{ "RECEIVED", "received", CLI_AS_TEXT },
		{ "DISCARDED", "discarded", CLI_AS_TEXT, 1 },
		{ "ERRORS", "errors", CLI_AS_TEXT, 1 },
		{ "AGED", "aged", CLI_AS_TEXT, 2 },
		{ "DESCRIPTION", "port_description", CLI_AS_NOTE, 3 },
		{ NULL },
	};
	static const struct cli_column neighbours[] = {
		{ "PORT", "port", CLI_AS_TEXT },
		{ "NEIGHBOUR", "system_name", CLI_AS_TEXT },
		{ "CHASSIS", "chassis", CLI_AS_TEXT },
		{ "ITS PORT", "port_id", CLI_AS_TEXT },
		{ "VLAN", "port_vlan", CLI_AS_TEXT, 2 },
		{ "ADDRESS", "management_address", CLI_AS_TEXT, 1 },
		{ "FOR", "seconds_left", CLI_AS_TEXT, 1 },
		{ "DESCRIPTION", "system_description", CLI_AS_NOTE, 3 },
		{ NULL },
	};

	json_t *settings = json_object_get(result, "lldp");

	name_modes(json_object_get(result, "lldp_ports"),
		   json_string_value(json_object_get(settings, "mode")));
	cli_print_object(settings, NULL, listing);
	printf("\n");
	cli_print_rows(json_object_get(result, "lldp_ports"), ports, listing);
	printf("\n");
	cli_print_rows(json_object_get(result, "neighbours"), neighbours, listing);
}

static int show_lldp(const char *name, const struct cli_listing *listing)
{
	json_t *result = NULL;
	int status = switch_ask(name, "switch.lldp.show", NULL, &result);

	if (status != EXIT_DONE)
		return status;
	if (listing->json)
		cli_print_json(result);
	else
		print_lldp(result, listing);
	json_decref(result);
	return status;
}

int switch_lldp_check_word(const char *word, bool of_port, json_t *list, struct error *error)
{
	struct lldp_port_settings port = { 0 };
	struct lldp_settings all;
	json_t *text = json_string(word);
	int rc;

	if (!text)
		return error_set(error, -EINVAL, "%.60s: expected text in UTF-8", word);
	lldp_settings_init(&all, "", 0);
	rc = of_port ? lldp_port_settings_set(&port, word, error)
		     : lldp_settings_set(&all, word, error);
	if (rc)
		json_decref(text);
	else if (list)
		json_array_append_new(list, text);
	else
		json_decref(text);
	return rc;
}

int switch_lldp_check(const char *words, json_t *list, struct error *error)
{
	CLEANUP_FREE char *copy = strdup(words);
	char *rest = copy, *one;
	int rc = copy ? 0 : error_set(error, -ENOMEM, "lldp: out of memory");

	while (!rc && (one = strsep(&rest, ",")))
		rc = switch_lldp_check_word(one, false, list, error);
	return rc;
}

/* A word is a setting as it stands: a description may have commas. */
static int set_lldp(const struct cli_words *operands)
{
	bool of_port = !strchr(operands->words[2], '=');
	json_t *list = json_array(), *params;
	struct error error = { 0 };

	for (unsigned i = of_port ? 3 : 2; i < operands->count; i++)
		if (switch_lldp_check_word(operands->words[i], of_port, list, &error)) {
			json_decref(list);
			return cli_usage_error("%s", error.text);
		}
	params = json_pack("{s:o}", "words", list);
	if (of_port)
		json_object_set_new(params, "port", json_string(operands->words[2]));
	return switch_ask(operands->words[0], "switch.lldp.set", params, NULL);
}

int switch_lldp(int argc, char **argv)
{
	struct cli_listing listing = { 0 };
	const struct cli_option options[] = { CLI_OPTIONS_SHOW(&listing), CLI_OPTION_END };
	struct cli_words operands;
	const char *action;
	int status;

	if (!cli_parse(LLDP_USAGE, options, argc, argv, 1, CLI_ANY, &operands, &status) ||
	    !cli_listing_check(&listing, NULL, &status) || !switch_names_check(&operands, &status))
		return status;
	action = switch_action(&operands, "show");
	if (!strcmp(action, "show") && operands.count <= 2)
		return show_lldp(operands.words[0], &listing);
	/* The name, "set", and words, maybe behind a port. */
	if (!strcmp(action, "set") && operands.count > 2 &&
	    strchr(operands.words[operands.count - 1], '='))
		return set_lldp(&operands);
	return switch_wrong_action(action, operands.count - 2, "show or set [PORT] KEY=VALUE...");
}
