/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon switch vlan`: which VLANs the ports of a running switch carry, by their settings; the command. See vswitch/vlan.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/devices.h"
#include "tools/output.h"
#include "tools/switch.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"

#define VLAN_USAGE "switch vlan NAME [show|set] [PORT] [KEY=VALUE...] [--json]"

static const struct cli_column vlan_columns[] = {
	{ "PORT", "port", CLI_AS_TEXT },
	{ "KIND", "kind", CLI_AS_TEXT },
	{ "UNTAGGED", "untagged", CLI_AS_TEXT },
	{ "TAGGED", "tagged", CLI_AS_TEXT },
	{ "TAGS", "tag_type", CLI_AS_TEXT, 1 },
	{ "BOND", "bond", CLI_AS_TEXT, 1 },
	{ NULL },
};

/* What each setting says. */
static const struct {
	const char *key, *kind, *field;
} settings_of_vlans[] = {
	{ "vlan=", "access", "untagged" },  { "trunk=", "trunk", "tagged" },
	{ "native=", "trunk", "untagged" }, { "dot1q-tunnel=", "tunnel", "untagged" },
	{ "cvlans=", NULL, "tagged" },      { "tag-type=", NULL, "tag_type" },
	{ "bond=", "link", "bond" }, /* it carries what its bond does */
};

static json_t *port_vlans(const char *name, const char *settings)
{
	json_t *port = json_pack("{s:s, s:s, s:n, s:s, s:s, s:n}", "port", name, "kind", "any",
				 "untagged", "tagged", "all", "tag_type", "802.1q", "bond");
	CLEANUP_FREE char *copy = settings ? strdup(settings) : NULL;
	char *rest = copy, *word;

	while ((word = strsep(&rest, ",")))
		for (size_t i = 0; i < ARRAY_SIZE(settings_of_vlans); i++) {
			const char *kind = settings_of_vlans[i].kind;
			const char *field = settings_of_vlans[i].field;
			size_t length = strlen(settings_of_vlans[i].key);

			if (strncmp(word, settings_of_vlans[i].key, length) != 0)
				continue;
			if (kind)
				json_object_set_new(port, "kind", json_string(kind));
			if (kind && strcmp(kind, "trunk") != 0)
				json_object_set_new(port, "tagged", json_string(""));
			json_object_set_new(port, field,
					    strcmp(field, "untagged") != 0
						    ? json_string(word + length)
						    : json_integer(atoi(word + length)));
		}
	return port;
}

static int show_vlans(const char *name, const char *only, const struct cli_listing *listing)
{
	json_t *result = NULL, *rows, *port;
	int status = switch_ask(name, "switch.show", NULL, &result);
	size_t index;

	if (status != EXIT_DONE)
		return status;
	rows = json_array();
	json_array_foreach(json_object_get(result, "ports"), index, port) {
		const char *at = json_string_value(json_object_get(port, "name"));

		if (at && (!only || !strcmp(at, only)))
			json_array_append_new(
				rows, port_vlans(at, json_string_value(
							     json_object_get(port, "settings"))));
	}
	json_decref(result);
	if (only && !json_array_size(rows)) {
		struct error error = { 0 };

		json_decref(rows);
		error_set(&error, -ENXIO, "switch %s: port %.40s: there is none of that name", name,
			  only);
		error_advise(&error, "`tenon switch port list %s` shows those there are", name);
		return cli_fail(-ENXIO, &error);
	}
	cli_print_result(rows, vlan_columns, NULL, listing);
	json_decref(rows);
	return EXIT_DONE;
}

static bool is_of_vlans(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(settings_of_vlans); i++)
		if (strcmp(settings_of_vlans[i].kind ? settings_of_vlans[i].kind : "", "link") &&
		    !strncmp(word, settings_of_vlans[i].key, strlen(settings_of_vlans[i].key)))
			return true;
	return false;
}

/* Of the settings of ports those that are of VLANs. */
static int set_vlans(const struct cli_words *operands)
{
	for (unsigned i = 3; i < operands->count; i++) {
		CLEANUP_FREE char *copy = strdup(operands->words[i]);
		char *rest = copy, *word;

		while ((word = strsep(&rest, ",")))
			if (!is_of_vlans(word))
				return cli_usage_error("\"%.60s\": expected vlan=, trunk=, "
						       "native=, dot1q-tunnel=, "
						       "cvlans= or tag-type=; `tenon switch port "
						       "set` has the rest",
						       word);
	}
	return switch_set_port_words(operands->words[0], operands);
}

int switch_vlan(int argc, char **argv)
{
	struct cli_listing listing = { 0 };
	const struct cli_option options[] = { CLI_OPTIONS_LISTING(&listing), CLI_OPTION_END };
	struct cli_words operands;
	const char *action;
	int status;

	if (!cli_parse(VLAN_USAGE, options, argc, argv, 1, CLI_ANY, &operands, &status) ||
	    !cli_listing_check(&listing, vlan_columns, &status) ||
	    !switch_names_check(&operands, &status))
		return status;
	action = switch_action(&operands, "show");
	if (!strcmp(action, "show") && operands.count <= 3)
		return show_vlans(operands.words[0], operands.count > 2 ? operands.words[2] : NULL,
				  &listing);
	if (!strcmp(action, "set") && operands.count > 3)
		return set_vlans(&operands);
	return switch_wrong_action(action, operands.count - 2,
				   "show [PORT] or set PORT KEY=VALUE...");
}
