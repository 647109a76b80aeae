/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon switch mirror`: copies of what passes at ports; see switch.h and vswitch/port_mirror.h. The command, and what the switch does. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/devices.h"
#include "tools/output.h"
#include "tools/switch.h"
#include "util/cleanup.h"
#include "vswitch/switch.h"

#define MIRROR_USAGE                                                                               \
	"switch mirror NAME [add|remove|list] [MIRROR] [PORT[:in|out|both]...] [--to PORT|FILE] "  \
	"[--to-vlan VLAN] [--vlan VLANS] [--shared] [--json]"

/* ---- The command ---- */

static const struct cli_column mirror_columns[] = {
	{ "MIRROR", "name", CLI_AS_TEXT },
	{ "STATE", "state", CLI_AS_STATE },
	{ "TO", "to", CLI_AS_TEXT },
	{ "COPIES", "copies", CLI_AS_TEXT },
	{ "SOURCES", "sources", CLI_AS_TEXT },
	{ "VLANS", "vlans", CLI_AS_NOTE },
	{ NULL },
};

static int list_mirrors(const char *name, const struct cli_listing *listing)
{
	json_t *result = NULL;
	int status = switch_ask(name, "switch.mirror.list", NULL, &result);

	if (status != EXIT_DONE)
		return status;
	cli_print_result(result, mirror_columns, NULL, listing);
	json_decref(result);
	return status;
}

struct mirror_words {
	const char *to, *vlans;
	uint64_t to_vlan;
	bool shared;
};

/* And no port. */
static bool names_file(const char *to)
{
	const char *end = to ? strrchr(to, '.') : NULL;

	return to &&
	       (strchr(to, '/') || (end && (!strcmp(end, ".pcap") || !strcmp(end, ".pcapng"))));
}

static int add_mirror_words(const struct cli_words *operands, const struct mirror_words *words)
{
	CLEANUP_FREE char *file = names_file(words->to) ? switch_path_from_root(words->to) : NULL;
	json_t *sources, *params, *recorded;

	if (!words->to == !words->to_vlan)
		return cli_usage_error("--to PORT or --to-vlan VLAN: expected one of them");
	if (words->shared && file)
		return cli_usage_error("--shared: a file gets nothing but copies");
	if (words->shared && !words->to)
		return cli_usage_error(
			"--shared: it is about the port of --to, which is not given");
	recorded = file ? json_string(file) : NULL;
	if (file && !recorded)
		return cli_usage_error("--to %s: expected a path in UTF-8, which is what the "
				       "switch can be told",
				       file);
	sources = json_array();
	for (unsigned i = 3; i < operands->count; i++)
		json_array_append_new(sources, json_string(operands->words[i]));
	params = json_pack("{s:s, s:o, s:s, s:I, s:s, s:b}", "mirror", operands->words[2],
			   "sources", sources, "to",
			   file        ? operands->words[2]
			   : words->to ? words->to
				       : "",
			   "to_vlan", (json_int_t)words->to_vlan, "vlans",
			   words->vlans ? words->vlans : "", "shared", words->shared);
	if (recorded)
		json_object_set_new(params, "file", recorded);
	return switch_ask(operands->words[0], "switch.mirror.add", params, NULL);
}

int switch_mirror(int argc, char **argv)
{
	struct cli_listing listing = { 0 };
	struct mirror_words words = { 0 };
	const struct cli_option options[] = {
		{ "to", CLI_TEXT, &words.to, "PORT|FILE",
		  "copies go to this port, or are recorded there (with '/' in it, .pcap or "
		  ".pcapng)" },
		{ "to-vlan", CLI_NUMBER, &words.to_vlan, "VLAN",
		  "or into this VLAN, at the ports that were given it", 1, VLAN_ID_MAX },
		{ "vlan", CLI_TEXT, &words.vlans, "VLANS",
		  "only what is in these VLANs, as in 10+20-29" },
		{ "shared", CLI_FLAG, &words.shared, NULL,
		  "the port of --to goes on to get and send other frames" },
		CLI_OPTIONS_LISTING(&listing),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	const char *action;
	int status;

	if (!cli_parse(MIRROR_USAGE, options, argc, argv, 1, CLI_ANY, &operands, &status) ||
	    !cli_listing_check(&listing, mirror_columns, &status) ||
	    !switch_names_check(&operands, &status))
		return status;
	action = switch_action(&operands, "list");
	if (!strcmp(action, "list") && operands.count <= 2)
		return list_mirrors(operands.words[0], &listing);
	if (!strcmp(action, "remove") && operands.count == 3)
		return switch_ask(operands.words[0], "switch.mirror.remove",
				  json_pack("{s:s}", "mirror", operands.words[2]), NULL);
	if (!strcmp(action, "add") && operands.count >= 3)
		return add_mirror_words(&operands, &words);
	return switch_wrong_action(action, operands.count - 2,
				   "add MIRROR [PORT...], remove MIRROR or list");
}

/* ---- What the switch does ---- */

/* PORT, PORT:in, PORT:out or PORT:both, which PORT alone is. */
static int take_source(struct port_mirror_options *options, const char *text, struct error *error)
{
	const char *colon = strchr(text, ':');
	size_t length = colon ? (size_t)(colon - text) : strlen(text);
	unsigned ways = !colon || !strcmp(colon, ":both") ? PORT_BOTH_WAYS
			: !strcmp(colon, ":in")           ? PORT_WAY(PORT_IN)
			: !strcmp(colon, ":out")          ? PORT_WAY(PORT_OUT)
							  : 0;

	if (!ways || !length || length >= PORT_NAME_MAX)
		return error_set(error, -EINVAL,
				 "\"%.60s\": expected PORT, PORT:in, PORT:out or PORT:both", text);
	if (options->source_count == MIRROR_SOURCES_MAX)
		return error_set(error, -EINVAL, "at most %d ports are possible, or none for all",
				 MIRROR_SOURCES_MAX);
	memcpy(options->sources[options->source_count].port, text, length);
	options->sources[options->source_count++].ways = ways;
	return 0;
}

/* As those of a trunk. */
static int take_vlans(struct port_mirror_options *options, const char *vlans, struct error *error)
{
	CLEANUP_FREE char *word = NULL;
	struct port_config config = { 0 };
	int rc;

	if (asprintf(&word, "trunk=%s", vlans) < 0)
		return error_set(error, -ENOMEM, "out of memory");
	rc = port_config_set(&config, word, error);
	memcpy(options->vlans, config.vlan.members, sizeof(options->vlans));
	return rc;
}

static int take_mirror(struct port_mirror_options *options, json_t *params, struct error *error)
{
	const char *name, *to, *vlans;
	json_t *source;
	size_t index;
	json_int_t vlan = json_integer_value(json_object_get(params, "to_vlan"));
	int rc = rpc_param_string(params, "mirror", &name, error);

	if (!rc)
		rc = vswitch_check_port_name(name, error);
	if (!rc)
		rc = rpc_param_string(params, "to", &to, error);
	if (!rc && *to)
		rc = vswitch_check_port_name(to, error);
	if (!rc)
		rc = rpc_param_string(params, "vlans", &vlans, error);
	if (!rc && (vlan < 0 || vlan > VLAN_ID_MAX))
		rc = error_set(error, -EINVAL, "VLAN %lld: expected 1 to %d", (long long)vlan,
			       VLAN_ID_MAX);
	if (rc)
		return rc;
	strcpy(options->name, name);
	strcpy(options->to, to);
	options->to_vlan = (uint16_t)vlan;
	options->shared = json_is_true(json_object_get(params, "shared"));
	options->absent = json_is_true(json_object_get(params, "absent"));
	options->some_vlans = *vlans;
	if (*vlans)
		rc = take_vlans(options, vlans, error);
	json_array_foreach(json_object_get(params, "sources"), index, source)
		if (!rc)
			rc = take_source(options,
					 json_is_string(source) ? json_string_value(source) : "",
					 error);
	return rc;
}

/* A file is a port of the mirror's name that records, and so it is in configurations. The mirror comes first: what it cannot be is
 * refused before an older capture is emptied. */
static int make_recorder(struct switch_control *control, const char *name, json_t *params,
			 struct error *error)
{
	CLEANUP_FREE char *spec = NULL;
	const char *file;
	int rc = rpc_param_string(params, "file", &file, error);

	if (!rc && strchr(file, ','))
		rc = error_set(error, -EINVAL,
			       "mirror %s: %.200s: expected a file without ',' in its name", name,
			       file);
	if (!rc && asprintf(&spec, "%s=pcap,record=%s", name, file) < 0)
		rc = error_set(error, -ENOMEM, "mirror %s: out of memory", name);
	if (!rc)
		rc = switch_control_make_port(control, spec, error);
	if (rc)
		vswitch_remove_mirror(control->vswitch, name, NULL);
	return rc;
}

/* Whether a port is what make_recorder() makes; others' may be as well. */
static bool is_recorder(const struct switch_control *control, const char *name)
{
	const char *spec = json_string_value(json_object_get(control->specs, name));
	static const char recorder[] = "=pcap,record=";
	size_t length = strlen(name);

	return spec && !strncmp(spec, name, length) &&
	       !strncmp(spec + length, recorder, strlen(recorder));
}

/* From now on the port ends with the mirror of its name. */
static void note_recorder(struct switch_control *control, const char *name)
{
	if (!control->recorders)
		control->recorders = json_object();
	json_object_set_new(control->recorders, name, json_true());
}

/* A configuration has the port by itself, and says of the mirror that it is its own. */
static int check_own(const struct switch_control *control,
		     const struct port_mirror_options *options, struct error *error)
{
	if (!strcmp(options->to, options->name) && is_recorder(control, options->name))
		return 0;
	return error_set(error, -EINVAL,
			 "%s: own: expected a port of the mirror's name that records, found \"%s\"",
			 options->name, options->to);
}

int switch_mirror_add(void *context, json_t *params, json_t **result, struct error *error)
{
	struct switch_control *control = context;
	struct port_mirror_options options = { .makes = json_object_get(params, "file") };
	bool own = json_is_true(json_object_get(params, "own"));
	int rc = take_mirror(&options, params, error);

	(void)result;
	if (!rc && own)
		rc = check_own(control, &options, error);
	if (!rc && options.makes && strcmp(options.to, options.name))
		rc = error_set(error, -EINVAL, "to: expected the mirror's own name with a file");
	if (rc)
		error_prefix(error, "switch %s: mirror", control->name);
	else
		rc = vswitch_add_mirror(control->vswitch, &options, error);
	if (!rc && options.makes)
		rc = make_recorder(control, options.name, params, error);
	if (!rc && (own || options.makes))
		note_recorder(control, options.name);
	return switch_answer(rc, error);
}

int switch_mirror_remove(void *context, json_t *params, json_t **result, struct error *error)
{
	struct switch_control *control = context;
	const char *name;
	int rc = rpc_param_string(params, "mirror", &name, error);

	(void)result;
	if (rc)
		return rc;
	rc = vswitch_remove_mirror(control->vswitch, name, error);
	if (!rc && json_object_get(control->recorders, name))
		rc = switch_control_remove_port(control, name, error);
	return switch_answer(rc, error);
}

static json_t *sources_json(const struct port_mirror_options *options)
{
	static const char *const ways[] = { "", ":in", ":out", ":both" };
	json_t *sources = json_array();

	for (unsigned i = 0; i < options->source_count; i++)
		json_array_append_new(sources, json_sprintf("%s%s", options->sources[i].port,
							    ways[options->sources[i].ways & 3]));
	return sources;
}

static json_t *mirror_json(const struct vswitch_mirror_status *mirror)
{
	const struct port_mirror_options *options = &mirror->options;
	struct port_config config = { .vlan.kind = VLAN_PORT_TRUNK };
	char vlans[PORT_CONFIG_TEXT] = "";

	if (options->some_vlans) {
		memcpy(config.vlan.members, options->vlans, sizeof(options->vlans));
		port_config_describe(&config, vlans, sizeof(vlans));
		memmove(vlans, vlans + strlen("trunk="), strlen(vlans) - strlen("trunk=") + 1);
	}
	return json_pack("{s:s, s:s, s:o, s:i, s:b, s:o, s:s, s:I}", "name", options->name, "state",
			 mirror->there ? "up" : "its port is gone", "to",
			 options->to[0] ? json_string(options->to)
					: json_sprintf("VLAN %u", options->to_vlan),
			 "to_vlan", (int)options->to_vlan, "shared", options->shared, "sources",
			 sources_json(options), "vlans", vlans, "copies",
			 (json_int_t)mirror->copies);
}

int switch_mirror_list(void *context, json_t *params, json_t **result, struct error *error)
{
	CLEANUP_FREE struct vswitch_mirror_status *mirrors = NULL;
	struct switch_control *control = context;
	unsigned count;

	(void)params;
	if (vswitch_list_mirrors(control->vswitch, &mirrors, &count))
		return error_set(error, -ENOMEM, "switch %s: out of memory", control->name);
	*result = json_array();
	for (unsigned i = 0; i < count; i++)
		json_array_append_new(*result, mirror_json(&mirrors[i]));
	return 0;
}
