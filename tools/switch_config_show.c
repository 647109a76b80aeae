/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A running switch as one JSON object, which `switch run --config` makes it of again: see switch_config.c.
 *
 * What runs is described by what it was given and what was changed since: each port's type and options as they were said, its
 * settings as they are, static addresses, rules, mirrors, links, what protocols were told, and schedules that go on, which begin
 * anew. A mirror of a port that was removed is "absent", and so are rules, captures and schedules. Not in it: live captures, which end with who
 * reads them; what was learned; counters.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/devices.h"
#include "tools/output.h"
#include "tools/switch.h"
#include "util/cleanup.h"
#include "vswitch/filter.h"
#include "vswitch/port_link.h"
#include "vswitch/rstp.h"
#include "vswitch/switch.h"

/* As it was said, with the settings that it has now. */
static json_t *spec_json(const char *spec, const struct vswitch_port_status *port)
{
	CLEANUP_FREE char *copy = strdup(spec), *out = NULL;
	char settings[PORT_CONFIG_TEXT], *rest = copy, *piece;
	size_t length;
	FILE *stream = open_memstream(&out, &length);
	bool first = true;

	if (!stream || !copy) {
		if (stream)
			fclose(stream);
		return NULL;
	}
	for (; (piece = strsep(&rest, ",")); first = false)
		if (first || (!port_config_knows(piece) && !switch_shape_direction(piece)))
			fprintf(stream, "%s%s", first ? "" : ",", piece);
	port_config_describe(&port->config, settings, sizeof(settings));
	if (settings[0])
		fprintf(stream, ",%s", settings);
	if (fclose(stream))
		return NULL;
	return json_string(out);
}

/* As it was in the file. NULL without memory. */
static json_t *trace_json(const struct link_trace *trace)
{
	CLEANUP_FREE char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);

	if (!stream)
		return NULL;
	for (unsigned i = 0; i < trace->count; i++)
		fprintf(stream, "%u\n", trace->ms[i]);
	return fclose(stream) ? NULL : json_string(text);
}

/* As in its file, one a line. NULL without memory. */
static json_t *table_json(const struct link_table *table)
{
	CLEANUP_FREE char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);

	if (!stream)
		return NULL;
	for (unsigned i = 0; i < table->count; i++)
		fprintf(stream, "%d\n", table->values[i]);
	return fclose(stream) ? NULL : json_string(text);
}

static void add_way(json_t *links, const char *port, const char *direction,
		    const struct link_model *model)
{
	char words[2048], *rest = words, *word;
	json_t *list, *link;

	if (!link_model_is_bad(model))
		return;
	link_model_describe(model, words, sizeof(words));
	list = json_array();
	while ((word = strsep(&rest, " ")))
		if (strncmp(word, "trace=", 6))
			json_array_append_new(list, json_string(word));
	link = json_pack("{s:s, s:s, s:o}", "port", port, "direction", direction, "words", list);
	if (model->trace) {
		json_object_set_new(link, "trace", trace_json(model->trace));
		json_object_set_new(link, "trace_file", json_string(model->trace->name));
	}
	if (model->table) {
		json_object_set_new(link, "table", table_json(model->table));
		json_object_set_new(link, "table_file", json_string(model->table->name));
	}
	json_array_append_new(links, link);
}

static bool has_port(const struct vswitch_status *status, const char *name, size_t length)
{
	for (unsigned i = 0; i < status->port_count; i++)
		if (!strncmp(status->ports[i].name, name, length) && !status->ports[i].name[length])
			return true;
	return false;
}

/* It is about a port that was removed, and may come again. */
static void note_absent(json_t *item, const struct vswitch_status *status, const char *port,
			size_t length)
{
	if (length && !has_port(status, port, length))
		json_object_set_new(item, "absent", json_true());
}

static json_t *rules_json(struct vswitch *vswitch, const struct vswitch_status *status)
{
	CLEANUP_FREE struct vswitch_rule_status *rules = NULL;
	json_t *list = json_array();
	unsigned count = 0;

	if (vswitch_list_rules(vswitch, &rules, &count))
		return list;
	for (unsigned i = 0; i < count; i++) {
		json_t *rule = json_pack("{s:s, s:s, s:s, s:s}", "port", rules[i].port, "direction",
					 rules[i].way == PORT_IN ? "in" : "out", "expression",
					 rules[i].expression, "action", rules[i].action);
		struct filter_action action = { 0 };

		if (!filter_action_parse(&action, rules[i].action, NULL))
			note_absent(rule, status, action.mirror, strlen(action.mirror));
		json_array_append_new(list, rule);
	}
	return list;
}

static json_t *mirrors_json(struct switch_control *control, const struct vswitch_status *status)
{
	json_t *shown = NULL, *list = json_array(), *mirror, *source;
	size_t index, at;

	if (switch_mirror_list(control, NULL, &shown, NULL))
		return list;
	json_array_foreach(shown, index, mirror) {
		json_t *item = json_object(), *vlan = json_object_get(mirror, "to_vlan");

		json_object_set(item, "mirror", json_object_get(mirror, "name"));
		if (json_integer_value(vlan))
			json_object_set(item, "to_vlan", vlan);
		else
			json_object_set(item, "to", json_object_get(mirror, "to"));
		if (!json_integer_value(vlan))
			note_absent(item, status, json_string_value(json_object_get(mirror, "to")),
				    json_string_length(json_object_get(mirror, "to")));
		json_array_foreach(json_object_get(mirror, "sources"), at, source)
			note_absent(item, status, json_string_value(source),
				    strcspn(json_string_value(source), ":"));
		json_object_set(item, "sources", json_object_get(mirror, "sources"));
		json_object_set(item, "vlans", json_object_get(mirror, "vlans"));
		json_object_set(item, "shared", json_object_get(mirror, "shared"));
		if (json_object_get(control->recorders,
				    json_string_value(json_object_get(mirror, "name"))))
			json_object_set_new(item, "own", json_true());
		json_array_append_new(list, item);
	}
	json_decref(shown);
	return list;
}

static void add_addresses(json_t *list, const struct vswitch_status *status)
{
	for (unsigned i = 0; i < status->address_count; i++) {
		const struct mac_entry *entry = &status->addresses[i];
		char text[MAC_TEXT];

		if (entry->is_static)
			json_array_append_new(list, json_pack("{s:s, s:i, s:s}", "address",
							      mac_format(entry->mac, text), "vlan",
							      (int)entry->fid, "port",
							      status->ports[entry->port].name));
	}
}

/* Bonds come before their links, which may be older. */
static void add_specs(json_t *list, const struct switch_control *control,
		      const struct vswitch_status *status, bool bonds)
{
	for (unsigned i = 0; i < status->port_count; i++) {
		const struct vswitch_port_status *port = &status->ports[i];
		json_t *spec = json_object_get(control->specs, port->name);

		if (spec && bonds == !strcmp(port->type, "bond"))
			json_array_append_new(list, spec_json(json_string_value(spec), port));
	}
}

/* Those that the switch writes by itself. */
static json_t *captures_json(const struct switch_control *control,
			     const struct vswitch_status *status)
{
	json_t *list = json_array(), *each;
	size_t index;

	json_array_foreach(control->kept, index, each) {
		json_t *item = json_copy(each), *port = json_object_get(item, "port");

		json_object_del(item, "id");
		if (port)
			note_absent(item, status, json_string_value(port),
				    json_string_length(port));
		json_array_append_new(list, item);
	}
	return list;
}

int switch_config_show(void *context, json_t *params, json_t **result, struct error *error)
{
	CLEANUP(cleanup_vswitch_status) struct vswitch_status *status = NULL;
	struct switch_control *control = context;
	json_t *ports = json_array(), *links = json_array(), *addresses = json_array();

	(void)params;
	if (vswitch_status(control->vswitch, &status)) {
		json_decref(ports);
		json_decref(links);
		json_decref(addresses);
		return error_set(error, -ENOMEM, "switch %s: out of memory", control->name);
	}
	add_specs(ports, control, status, true);
	add_specs(ports, control, status, false);
	for (unsigned i = 0; i < status->port_count; i++) {
		const struct vswitch_port_status *port = &status->ports[i];

		if (port->has_link) {
			add_way(links, port->name, "in", &port->link_in.model);
			add_way(links, port->name, "out", &port->link_out.model);
		}
	}
	add_addresses(addresses, status);
	*result = control->options ? json_deep_copy(control->options) : json_object();
	json_object_set_new(*result, "ports", ports);
	json_object_set_new(*result, "addresses", addresses);
	json_object_set_new(*result, "rules", rules_json(control->vswitch, status));
	json_object_set_new(*result, "mirrors", mirrors_json(control, status));
	json_object_set_new(*result, "links", links);
	json_object_set_new(*result, "captures", captures_json(control, status));
	switch_said_show(control, status, *result);
	return 0;
}
