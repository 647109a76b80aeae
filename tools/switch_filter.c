/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon switch filter`: rules of the ports of a running switch; see switch.h and vswitch/filter.h. */
#include <string.h>

#include "tools/devices.h"
#include "tools/output.h"
#include "tools/switch.h"
#include "vswitch/filter.h"

#define FILTER_USAGE                                                                               \
	"switch filter NAME [add|remove|list] [PORT] [in|out] [EXPR] [ACTION] [--position N] "     \
	"[--json]"

static const struct cli_column rule_columns[] = {
	{ "PORT", "port", CLI_AS_TEXT },
	{ "WAY", "direction", CLI_AS_TEXT },
	{ "RULE", "position", CLI_AS_TEXT },
	{ "FRAMES", "frames", CLI_AS_TEXT },
	{ "DROPPED", "dropped", CLI_AS_TEXT },
	{ "ACTION", "action", CLI_AS_TEXT },
	{ "EXPRESSION", "expression", CLI_AS_NOTE },
	{ NULL },
};

static int list_rules(const char *name, const char *port, const struct cli_listing *listing)
{
	json_t *result = NULL, *rows, *rule, *found;
	size_t index;
	int status = port ? switch_ask_ports(name, port, &result, &found) : EXIT_DONE;

	json_decref(result);
	result = NULL;
	if (status != EXIT_DONE)
		return status;
	rows = json_array();
	status = switch_ask(name, "switch.filter.list", NULL, &result);
	if (status == EXIT_DONE) {
		json_array_foreach(result, index, rule)
			if (!port ||
			    !strcmp(json_string_value(json_object_get(rule, "port")), port))
				json_array_append(rows, rule);
		cli_print_result(rows, rule_columns, NULL, listing);
	}
	json_decref(result);
	json_decref(rows);
	return status;
}

static json_t *place(const struct cli_words *operands, uint64_t position)
{
	return json_pack("{s:s, s:s, s:I}", "port", operands->words[2], "direction",
			 operands->words[3], "position", (json_int_t)position);
}

static int add_rule(const char *name, const struct cli_words *operands, uint64_t position)
{
	struct filter_action action;
	struct error error = { 0 };
	json_t *params, *filter;

	if (filter_action_parse(&action, operands->words[5], &error))
		return cli_usage_error("%s", error.text);
	filter = switch_filter_json(operands->words[4], &error);
	if (!filter)
		return cli_usage_error("%s", error.text);
	params = place(operands, position);
	json_object_set_new(params, "filter", filter);
	json_object_set_new(params, "action", json_string(operands->words[5]));
	return switch_ask(name, "switch.filter.add", params, NULL);
}

static int remove_rule(const char *name, const struct cli_words *operands, uint64_t position)
{
	if (!position)
		return cli_usage_error("remove %s %s: which rule: expected --position N, as in "
				       "`tenon switch filter %s list %s`",
				       operands->words[2], operands->words[3], name,
				       operands->words[2]);
	return switch_ask(name, "switch.filter.remove", place(operands, position), NULL);
}

int switch_filter(int argc, char **argv)
{
	struct cli_listing listing = { 0 };
	uint64_t position = 0;
	const struct cli_option options[] = {
		{ "position", CLI_NUMBER, &position, "N",
		  "of the rule, from 1: added there (at the end), or removed", 1,
		  FILTER_RULES_MAX },
		CLI_OPTIONS_LISTING(&listing),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	const char *action, *name;
	bool placed;
	int status;

	if (!cli_parse(FILTER_USAGE, options, argc, argv, 1, 6, &operands, &status) ||
	    !cli_listing_check(&listing, rule_columns, &status) ||
	    !switch_names_check(&operands, &status))
		return status;
	name = operands.words[0];
	action = switch_action(&operands, "list");
	placed = operands.count > 3 &&
		 (!strcmp(operands.words[3], "in") || !strcmp(operands.words[3], "out"));
	if (!strcmp(action, "list") && operands.count <= 3)
		return list_rules(name, operands.count == 3 ? operands.words[2] : NULL, &listing);
	if (!strcmp(action, "remove") && operands.count == 4 && placed)
		return remove_rule(name, &operands, position);
	if (!strcmp(action, "add") && operands.count == 6 && placed)
		return add_rule(name, &operands, position);
	return switch_wrong_action(
		action, operands.count - 2,
		"add PORT in|out EXPR ACTION, remove PORT in|out --position N or list [PORT]");
}
