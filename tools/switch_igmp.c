/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon switch igmp`: groups of a running switch, and what it does when it is asked; see switch.h and vswitch/snooping.h. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/devices.h"
#include "tools/output.h"
#include "tools/switch.h"
#include "util/bytes.h"
#include "vswitch/snooping_protocol.h"
#include "vswitch/snooping_words.h"

#define IGMP_USAGE "switch igmp NAME [show|set] [PORT] [KEY=VALUE...] [--watch] [--json]"

/* ---- Answering ---- */

static json_t *address_json(struct group_address address, bool is_mld)
{
	char text[GROUP_ADDRESS_TEXT];

	if (group_address_is_zero(address))
		return json_string(is_mld ? "::" : "0.0.0.0");
	return json_string(group_address_format(address, text));
}

static json_int_t seconds(uint64_t ns)
{
	return (json_int_t)(ns / SNOOPING_SECOND);
}

/* How long until then; null: for ever. */
static json_t *seconds_left(const struct vswitch_snooping_status *status, uint64_t until)
{
	if (until == TIMER_NEVER)
		return json_null();
	return json_integer(seconds(until > status->now ? until - status->now : 0));
}

static json_t *settings_json(const struct snooping_settings *settings)
{
	bool has_mld_address = !group_address_is_zero(settings->mld_address);

	return json_pack("{s:b, s:b, s:b, s:s, s:o, s:o, s:i, s:i, s:i, s:I, s:I, s:I, s:I, s:I, "
			 "s:I, s:I, s:I}",
			 "igmp", settings->igmp, "mld", settings->mld, "querier", settings->querier,
			 "unknown", settings->drop_unknown ? "drop" : "flood", "igmp_address",
			 address_json(group_address_v4(settings->address), false), "mld_address",
			 has_mld_address ? address_json(settings->mld_address, true) : json_null(),
			 "igmp_version", settings->igmp_version, "mld_version",
			 settings->mld_version, "robustness", settings->robustness,
			 "query_interval_seconds", seconds(settings->query_interval),
			 "response_interval_seconds", seconds(settings->response_interval),
			 "last_member_interval_seconds", seconds(settings->last_member_interval),
			 "groups_most", (json_int_t)settings->groups, "port_groups_most",
			 (json_int_t)settings->groups_per_port, "sources_most",
			 (json_int_t)settings->sources, "port_sources_most",
			 (json_int_t)settings->sources_per_port, "group_sources_most",
			 (json_int_t)settings->sources_per_group);
}

static json_t *ports_json(const struct vswitch_snooping_status *status)
{
	json_t *ports = json_array();

	for (unsigned i = 0; i < SNOOPING_PORTS; i++) {
		const struct vswitch_snooping_port *port = &status->ports[i];
		unsigned most = port->settings.groups ? port->settings.groups
						      : status->settings.groups_per_port;

		if (port->name[0])
			json_array_append_new(ports,
					      json_pack("{s:s, s:s, s:b, s:I}", "port", port->name,
							"router",
							snooping_router_name(port->settings.router),
							"fast_leave", port->settings.fast_leave,
							"port_groups_most", (json_int_t)most));
	}
	return ports;
}

static json_t *vlans_json(const struct vswitch_snooping_status *status)
{
	json_t *vlans = json_array();

	for (unsigned i = 0; i < status->vlan_count; i++) {
		const struct snooping_vlan_status *vlan = &status->vlans[i];
		bool known = vlan->ours || vlan->other;

		json_array_append_new(
			vlans,
			json_pack("{s:i, s:s, s:s, s:o, s:o, s:o}", "vlan", vlan->vlan, "family",
				  vlan->is_mld ? "ipv6" : "ipv4", "state",
				  !known          ? "no querier: flooding"
				  : vlan->trusted ? "snooping"
						  : "waiting for reports: flooding",
				  "querier_address",
				  known ? address_json(vlan->querier, vlan->is_mld) : json_null(),
				  "querier_port",
				  vlan->other ? json_string(status->ports[vlan->querier_port].name)
					      : json_null(),
				  "querier_seconds_left",
				  vlan->other ? seconds_left(status, vlan->querier_until)
					      : json_null()));
	}
	return vlans;
}

static json_t *routers_json(const struct vswitch_snooping_status *status)
{
	json_t *routers = json_array();

	for (unsigned i = 0; i < status->router_count; i++) {
		const struct snooping_router_status *router = &status->routers[i];

		json_array_append_new(
			routers,
			json_pack("{s:i, s:s, s:s, s:s, s:o}", "vlan", router->vlan, "family",
				  router->is_mld ? "ipv6" : "ipv4", "port",
				  status->ports[router->port].name, "why",
				  router->overflow ? "not known yet, or too many groups" : "router",
				  "seconds_left", seconds_left(status, router->until)));
	}
	return routers;
}

static json_t *sources_json(const struct vswitch_snooping_status *status, unsigned first,
			    unsigned count)
{
	json_t *sources = json_array();

	for (unsigned i = first; i < first + count; i++) {
		const struct snooping_source_status *source = &status->sources[i];

		json_array_append_new(sources,
				      json_pack("{s:o, s:b, s:o}", "source_address",
						address_json(source->source, true),
						"source_blocked", source->blocked, "seconds_left",
						seconds_left(status, source->until)));
	}
	return sources;
}

static json_t *members_json(const struct vswitch_snooping_status *status)
{
	json_t *members = json_array();
	unsigned first = 0;

	for (unsigned i = 0; i < status->member_count; i++) {
		const struct snooping_member_status *member = &status->members[i];

		json_array_append_new(
			members, json_pack("{s:i, s:o, s:s, s:i, s:b, s:o, s:s, s:b, s:o}", "vlan",
					   member->vlan, "multicast_group",
					   address_json(member->group, true), "port",
					   status->ports[member->port].name, "protocol_version",
					   member->version, "leaving", member->leaving,
					   "seconds_left", seconds_left(status, member->until),
					   "filter_mode", member->exclude ? "exclude" : "include",
					   "too_many_sources", member->wide, "membership_sources",
					   sources_json(status, first, member->sources)));
		first += member->sources;
	}
	return members;
}

static json_t *counters_json(const struct snooping_counters *counters)
{
	return json_pack(
		"{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		"igmp_queries", (json_int_t)counters->queries[0], "mld_queries",
		(json_int_t)counters->queries[1], "igmp_reports", (json_int_t)counters->reports[0],
		"mld_reports", (json_int_t)counters->reports[1], "igmp_leaves",
		(json_int_t)counters->leaves[0], "mld_leaves", (json_int_t)counters->leaves[1],
		"igmp_routers", (json_int_t)counters->routers[0], "mld_routers",
		(json_int_t)counters->routers[1], "igmp_sent", (json_int_t)counters->sent[0],
		"mld_sent", (json_int_t)counters->sent[1], "bad", (json_int_t)counters->bad,
		"guarded", (json_int_t)counters->guarded, "refused", (json_int_t)counters->refused,
		"vlans_refused", (json_int_t)counters->vlans_refused, "expired",
		(json_int_t)counters->expired, "sources_refused",
		(json_int_t)counters->sources_refused);
}

static int out_of_memory(const struct switch_control *control, struct error *error)
{
	return error_set(error, -ENOMEM, "switch %s: out of memory", control->name);
}

int switch_igmp_show(void *context, json_t *params, json_t **result, struct error *error)
{
	CLEANUP(cleanup_snooping_status) struct vswitch_snooping_status *status = NULL;
	struct switch_control *control = context;

	(void)params;
	if (vswitch_snooping_status(control->vswitch, &status))
		return out_of_memory(control, error);
	*result = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "snooping",
			    settings_json(&status->settings), "snooping_ports", ports_json(status),
			    "snooped_vlans", vlans_json(status), "open_ports", routers_json(status),
			    "memberships", members_json(status), "snooping_counters",
			    counters_json(&status->counters));
	return *result ? 0 : out_of_memory(control, error);
}

#define WORDS_MOST 64

int switch_igmp_set(void *context, json_t *params, json_t **result, struct error *error)
{
	json_t *words = json_object_get(params, "words"), *word;
	const char *port = json_string_value(json_object_get(params, "port"));
	struct switch_control *control = context;
	const char *list[WORDS_MOST];
	unsigned count = 0;
	size_t index;

	(void)result;
	json_array_foreach(words, index, word) {
		if (count == WORDS_MOST)
			return error_set(error, -EINVAL, "igmp set: more than %d words",
					 WORDS_MOST);
		list[count++] = json_is_string(word) ? json_string_value(word) : "";
	}
	if (vswitch_set_snooping(control->vswitch, port, list, count, error))
		return switch_answer(error->code, error);
	switch_said_words(control, "igmp", port, words);
	return 0;
}

void switch_igmp_metrics(FILE *out, const char *name, struct vswitch *vswitch)
{
	CLEANUP(cleanup_snooping_status) struct vswitch_snooping_status *status = NULL;
	static const struct {
		const char *family, *event;
		size_t at;
	} events[] = {
#define OF_EACH(event)                                                                             \
	{ "ipv4", #event, offsetof(struct snooping_counters, event[0]) },                          \
		{ "ipv6", #event, offsetof(struct snooping_counters, event[1]) }
		OF_EACH(queries),
		OF_EACH(reports),
		OF_EACH(leaves),
		OF_EACH(routers),
		OF_EACH(sent),
		{ "", "bad", offsetof(struct snooping_counters, bad) },
		{ "", "guarded", offsetof(struct snooping_counters, guarded) },
		{ "", "refused", offsetof(struct snooping_counters, refused) },
		{ "", "sources_refused", offsetof(struct snooping_counters, sources_refused) },
		{ "", "vlans_refused", offsetof(struct snooping_counters, vlans_refused) },
		{ "", "expired", offsetof(struct snooping_counters, expired) },
	};

	if (vswitch_snooping_status(vswitch, &status))
		return;
	fprintf(out,
		"# HELP tenon_switch_groups groups that ports want\n"
		"# TYPE tenon_switch_groups gauge\n"
		"tenon_switch_groups{switch=\"%s\"} %u\n"
		"# HELP tenon_switch_group_events_total messages about groups, and what became of "
		"them\n"
		"# TYPE tenon_switch_group_events_total counter\n",
		name, status->group_count);
	for (size_t i = 0; i < ARRAY_SIZE(events); i++)
		fprintf(out,
			"tenon_switch_group_events_total{switch=\"%s\",family=\"%s\",event=\"%s\"} "
			"%llu\n",
			name, events[i].family, events[i].event,
			(unsigned long long)*(const uint64_t *)((const char *)&status->counters +
								events[i].at));
}

/* ---- The command ---- */

static void print_settings(json_t *settings)
{
	const char *key;
	json_t *value;

	json_object_foreach(settings, key, value) {
		char title[64];

		snprintf(title, sizeof(title), "%s:", key);
		for (char *c = title; *c; c++)
			*c = *c == '_' ? ' ' : *c;
		title[0] = (char)toupper((unsigned char)title[0]);
		printf("%-29s ", title);
		if (json_is_boolean(value))
			printf("%s\n", json_is_true(value) ? "on" : "off");
		else if (json_is_integer(value))
			printf("%" JSON_INTEGER_FORMAT "\n", json_integer_value(value));
		else
			printf("%s\n", json_is_string(value) ? json_string_value(value) : "none");
	}
}

static void print_all(json_t *result, const struct cli_listing *listing)
{
	static const struct cli_column vlans[] = {
		{ "VLAN", "vlan", CLI_AS_TEXT },
		{ "FAMILY", "family", CLI_AS_TEXT },
		{ "QUERIER", "querier_address", CLI_AS_TEXT },
		{ "AT", "querier_port", CLI_AS_TEXT },
		{ "FOR", "querier_seconds_left", CLI_AS_TEXT },
		{ "STATE", "state", CLI_AS_NOTE },
		{ NULL },
	};
	static const struct cli_column open_ports[] = {
		{ "VLAN", "vlan", CLI_AS_TEXT },      { "FAMILY", "family", CLI_AS_TEXT },
		{ "PORT", "port", CLI_AS_TEXT },      { "FOR", "seconds_left", CLI_AS_TEXT },
		{ "ALL GROUPS", "why", CLI_AS_NOTE }, { NULL },
	};
	static const struct cli_column members[] = {
		{ "VLAN", "vlan", CLI_AS_TEXT },
		{ "GROUP", "multicast_group", CLI_AS_TEXT },
		{ "PORT", "port", CLI_AS_TEXT },
		{ "VERSION", "protocol_version", CLI_AS_TEXT },
		{ "LEAVING", "leaving", CLI_AS_TEXT },
		{ "FOR", "seconds_left", CLI_AS_TEXT },
		{ "SOURCES", "sources_text", CLI_AS_NOTE },
		{ NULL },
	};
	static const struct cli_column ports[] = {
		{ "PORT", "port", CLI_AS_TEXT },
		{ "ROUTER", "router", CLI_AS_TEXT },
		{ "FAST LEAVE", "fast_leave", CLI_AS_TEXT },
		{ "GROUPS", "port_groups_most", CLI_AS_TEXT },
		{ NULL },
	};

	json_t *member;
	size_t index;

	print_settings(json_object_get(result, "snooping"));
	printf("\n");
	cli_print_rows(json_object_get(result, "snooping_ports"), ports, listing);
	printf("\n");
	cli_print_rows(json_object_get(result, "snooped_vlans"), vlans, listing);
	printf("\n");
	cli_print_rows(json_object_get(result, "open_ports"), open_ports, listing);
	printf("\n");
	json_array_foreach(json_object_get(result, "memberships"), index, member)
		json_object_set_new(member, "sources_text", switch_igmp_sources_text(member));
	cli_print_rows(json_object_get(result, "memberships"), members, listing);
}

static int show(const char *name, const struct cli_listing *listing)
{
	json_t *result = NULL;
	int status = switch_ask(name, "switch.igmp.show", NULL, &result);

	if (status != EXIT_DONE)
		return status;
	if (listing->json)
		cli_print_json(result);
	else
		print_all(result, listing);
	json_decref(result);
	return status;
}

int switch_igmp_check(const char *words, bool of_port, json_t *list, struct error *error)
{
	struct snooping_port_settings port = { 0 };
	struct snooping_settings all;
	CLEANUP_FREE char *copy = strdup(words);
	char *rest = copy, *one;
	int rc = copy ? 0 : error_set(error, -ENOMEM, "igmp: out of memory");

	snooping_settings_init(&all);
	while (!rc && (one = strsep(&rest, ","))) {
		rc = of_port ? snooping_port_settings_set(&port, one, error)
			     : snooping_settings_set(&all, one, error);
		if (!rc && list)
			json_array_append_new(list, json_string(one));
	}
	return rc;
}

static int set(const struct cli_words *operands)
{
	bool of_port = !strchr(operands->words[2], '=');
	json_t *list = json_array(), *params;
	struct error error = { 0 };

	for (unsigned i = of_port ? 3 : 2; i < operands->count; i++)
		if (switch_igmp_check(operands->words[i], of_port, list, &error)) {
			json_decref(list);
			return cli_usage_error("%s", error.text);
		}
	params = json_pack("{s:o}", "words", list);
	if (of_port)
		json_object_set_new(params, "port", json_string(operands->words[2]));
	return switch_ask(operands->words[0], "switch.igmp.set", params, NULL);
}

int switch_igmp(int argc, char **argv)
{
	struct cli_listing listing = { 0 };
	struct switch_watch watch = { 0 };
	const struct cli_option options[] = { CLI_OPTIONS_WATCH(&watch), CLI_OPTIONS_SHOW(&listing),
					      CLI_OPTION_END };
	struct cli_words operands;
	const char *action;
	int status;

	if (!cli_parse(IGMP_USAGE, options, argc, argv, 1, CLI_ANY, &operands, &status) ||
	    !cli_listing_check(&listing, NULL, &status) ||
	    !switch_names_check(&operands, &status) || !switch_watch_check(&watch, &status))
		return status;
	action = switch_action(&operands, "show");
	if (watch.on && (strcmp(action, "show") || operands.count > 2))
		return cli_usage_error("--watch: it is of show");
	if (watch.on)
		return switch_watch_run(operands.words[0], &switch_watched_groups, &watch,
					&listing);
	if (!strcmp(action, "show") && operands.count <= 2)
		return show(operands.words[0], &listing);
	/* The name, "set", and words, maybe behind a port. */
	if (!strcmp(action, "set") && operands.count > 2 &&
	    strchr(operands.words[operands.count - 1], '='))
		return set(&operands);
	return switch_wrong_action(action, operands.count - 2, "show or set [PORT] KEY=VALUE...");
}
