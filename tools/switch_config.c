/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A whole switch as one JSON object: read by `switch run --config`, written by `switch show --config` (switch_config_show.c).
 *
 * All that can be seen of it alone is checked before anything is made: keys, types, ports, expressions, actions, models of links. What
 * can only fail when it is done (an interface is missing) ends the switch before it is ready, and nothing of it stays.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/devices.h"
#include "tools/output.h"
#include "tools/switch.h"
#include "util/cleanup.h"
#include "vswitch/filter.h"
#include "vswitch/port_link.h"
#include "vswitch/rstp.h"
#include "vswitch/switch.h"

#define CONFIG_NUMBER_MOST INT64_MAX

/* ---- The file ---- */

/* What each list's objects are handed to, which takes the same keys. */
static const struct config_list {
	const char *key, *method;
	const char *keys[11];
} lists[] = {
	{ "addresses", "switch.table.add", { "address", "vlan", "port" } },
	{ "rules", "switch.filter.add", { "port", "direction", "expression", "action", "absent" } },
	{ "mirrors",
	  "switch.mirror.add",
	  { "mirror", "to", "to_vlan", "sources", "vlans", "shared", "absent", "own" } },
	{ "links",
	  "switch.link.set",
	  { "port", "direction", "words", "trace", "trace_file", "table", "table_file" } },
	{ "stp", "switch.stp.set", { "words" } },
	{ "igmp", "switch.igmp.set", { "port", "words" } },
	{ "lldp", "switch.lldp.set", { "port", "words" } },
	{ "schedules",
	  "switch.link.schedule.start",
	  { "port", "file", "text", "traces", "absent" } },
	{ "captures",
	  "switch.capture.keep",
	  { "file", "port", "direction", "expression", "snaplen", "format", "segments",
	    "rotate_size", "rotate_time", "files", "absent" } },
};

static const char *const numbers[] = { "threads",    "ageing",         "move_limit",
				       "table_size", "port_addresses", "seed" };
static const char *const texts[] = { "socket_dir", "socket_mode", "socket_group", "reserved",
				     "capture" };

/* Of objects of lists. */
static const char *const item_numbers[] = { "vlan",        "to_vlan",     "snaplen",
					    "rotate_size", "rotate_time", "files" };
static const char *const item_booleans[] = { "shared", "absent", "segments", "own" };

static bool is_one_of(const char *key, const char *const *keys, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (keys[i] && !strcmp(keys[i], key))
			return true;
	return false;
}

static const struct config_list *find_list(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		if (!strcmp(lists[i].key, key))
			return &lists[i];
	return NULL;
}

/* "rules", the second: what it is about in errors. */
static void at_item(struct error *error, const struct config_list *list, size_t index)
{
	error_prefix(error, "%s[%zu]", list->key, index);
}

static int check_rule(json_t *item, struct error *error)
{
	const char *expression, *action;
	struct filter_program *program;
	struct filter_action unused;
	int rc = rpc_param_string(item, "expression", &expression, error);

	if (!rc)
		rc = rpc_param_string(item, "action", &action, error);
	if (!rc)
		rc = filter_action_parse(&unused, action, error);
	if (!rc)
		rc = filter_program_compile(&program, expression, error);
	if (!rc)
		filter_program_free(program);
	return rc;
}

int switch_link_trace(struct link_trace **trace, json_t *params, struct error *error)
{
	const char *text = NULL, *name = NULL;
	int rc;

	*trace = NULL;
	if (!json_object_get(params, "trace"))
		return 0;
	rc = rpc_param_string(params, "trace", &text, error);
	if (!rc)
		rc = rpc_param_string(params, "trace_file", &name, error);
	return rc ? rc : link_trace_read(trace, name, text, error);
}

int switch_link_table(struct link_table **table, json_t *params, struct error *error)
{
	const char *text = NULL, *name = NULL;
	int rc;

	*table = NULL;
	if (!json_object_get(params, "table"))
		return 0;
	rc = rpc_param_string(params, "table", &text, error);
	if (!rc)
		rc = rpc_param_string(params, "table_file", &name, error);
	return rc ? rc : link_table_read(table, name, text, error);
}

static int check_link(json_t *item, struct error *error)
{
	struct link_model model = { 0 };
	struct link_trace *trace = NULL;
	struct link_table *table = NULL;
	json_t *word;
	size_t index;
	int rc = switch_link_trace(&trace, item, error);

	if (!rc)
		rc = switch_link_table(&table, item, error);
	json_array_foreach(json_object_get(item, "words"), index, word)
		if (!rc)
			rc = link_model_set(
				&model, json_is_string(word) ? json_string_value(word) : "", error);
	if (trace)
		model.trace = trace;
	if (table && model.jitter == LINK_TABLE)
		model.table = table;
	if (!rc)
		rc = link_model_check(&model, error);
	link_trace_drop(trace);
	link_table_drop(table);
	return rc;
}

static int check_address(json_t *item, struct error *error)
{
	const char *text;
	uint64_t mac;
	int rc = rpc_param_string(item, "address", &text, error);

	if (!rc && !mac_parse(text, &mac))
		rc = error_set(error, -EINVAL,
			       "address \"%.40s\": expected six bytes as in 02:00:00:00:00:01",
			       text);
	return rc;
}

/* What a key's value has to be, where it is not: the methods take what is of another type for nothing. */
static const char *is_not(const char *key, json_t *value)
{
	json_t *each;
	size_t index;

	if (is_one_of(key, item_numbers, ARRAY_SIZE(item_numbers)))
		return json_is_integer(value) ? NULL : "a number";
	if (is_one_of(key, item_booleans, ARRAY_SIZE(item_booleans)))
		return json_is_boolean(value) ? NULL : "true or false";
	if (!strcmp(key, "traces"))
		return json_is_object(value) ? NULL : "an object of texts";
	if (strcmp(key, "sources") && strcmp(key, "words"))
		return json_is_string(value) ? NULL : "text";
	json_array_foreach(value, index, each)
		if (!json_is_string(each))
			return "a list of texts";
	return json_is_array(value) ? NULL : "a list of texts";
}

/* As the protocol takes them. */
static int check_words(const struct config_list *list, json_t *item, struct error *error)
{
	bool of_port = json_object_get(item, "port");
	struct rstp_config tree = rstp_config_default();
	json_t *unused = json_array(), *word;
	size_t index;
	int rc = 0;

	json_array_foreach(json_object_get(item, "words"), index, word) {
		const char *text = json_string_value(word);

		if (!rc && !strcmp(list->key, "stp"))
			rc = rstp_config_set(&tree, text, error);
		else if (!rc && !strcmp(list->key, "igmp"))
			rc = switch_igmp_check(text, of_port, unused, error);
		else if (!rc)
			rc = switch_lldp_check_word(text, of_port, unused, error);
	}
	json_decref(unused);
	return rc;
}

static int check_item(const struct config_list *list, json_t *item, struct error *error)
{
	const char *key;
	json_t *value;

	if (!json_is_object(item))
		return error_set(error, -EINVAL, "expected an object");
	json_object_foreach(item, key, value) {
		if (!is_one_of(key, list->keys, ARRAY_SIZE(list->keys)))
			return error_set(error, -EINVAL, "key \"%.40s\": there is none such", key);
		if (is_not(key, value))
			return error_set(error, -EINVAL, "%s: expected %s", key,
					 is_not(key, value));
	}
	switch (list - lists) {
	case 0:
		return check_address(item, error);
	case 1:
		return check_rule(item, error);
	case 3:
		return check_link(item, error);
	case 4:
	case 5:
	case 6:
		return check_words(list, item, error);
	case 7:
		return switch_schedule_check(item, error);
	case 8:
		return switch_capture_check(item, error);
	default:
		return 0;
	}
}

static int check_list(const char *key, json_t *value, struct error *error)
{
	const struct config_list *list = find_list(key);
	json_t *item;
	size_t index;
	int rc = 0;

	if (!json_is_array(value))
		return error_set(error, -EINVAL, "%s: expected a list", key);
	json_array_foreach(value, index, item) {
		if (!list && !json_is_string(item))
			return error_set(error, -EINVAL, "%s[%zu]: expected text, as --port has it",
					 key, index);
		if (list)
			rc = check_item(list, item, error);
		if (rc) {
			at_item(error, list, index);
			return rc;
		}
	}
	return 0;
}

static int check_config(json_t *config, struct error *error)
{
	const char *key;
	json_t *value;
	int rc = 0;

	if (!json_is_object(config))
		return error_set(error, -EINVAL, "expected an object");
	json_object_foreach(config, key, value) {
		if (is_one_of(key, numbers, ARRAY_SIZE(numbers))) {
			if (!json_is_integer(value) || json_integer_value(value) < 0)
				return error_set(error, -EINVAL, "%s: expected a number", key);
		} else if (is_one_of(key, texts, ARRAY_SIZE(texts))) {
			if (!json_is_string(value))
				return error_set(error, -EINVAL, "%s: expected text", key);
		} else if (!strcmp(key, "ports") || find_list(key)) {
			rc = check_list(key, value, error);
		} else {
			return error_set(error, -EINVAL, "key \"%.40s\": there is none such", key);
		}
		if (rc)
			return rc;
	}
	return 0;
}

struct config_source {
	int fd;
	int failed; /* reading it, with this errno: jansson takes that for the end */
};

static size_t read_some(void *buffer, size_t size, void *arg)
{
	struct config_source *source = arg;
	ssize_t got;

	do
		got = read(source->fd, buffer, size);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		source->failed = errno;
	return (size_t)got;
}

int switch_config_load(const char *path, json_t **out, struct error *error)
{
	CLEANUP_CLOSE int opened = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	struct config_source source = { strcmp(path, "-") ? opened : STDIN_FILENO, 0 };
	json_error_t where;
	json_t *config;
	int rc;

	if (source.fd < 0)
		return error_set(error, -errno, "%s: cannot open: %s", path, error_name(errno));
	config = json_load_callback(read_some, &source, JSON_REJECT_DUPLICATES, &where);
	if (!config && source.failed)
		return error_set(error, -source.failed, "%s: cannot read: %s", path,
				 error_name(source.failed));
	if (!config)
		return error_set(error, -EINVAL, "%s: line %d, column %d: %s", path, where.line,
				 where.column, where.text);
	rc = check_config(config, error);
	if (rc) {
		error_prefix(error, "%s", path);
		json_decref(config);
		return rc;
	}
	*out = config;
	return 0;
}

/* ---- Carrying it out ---- */

static rpc_method_fn *find_method(const struct rpc_method *method, const char *name)
{
	while (strcmp(method->name, name) != 0)
		method++;
	return method->call;
}

/* As the command would ask for it. */
static json_t *params_of(const struct config_list *list, json_t *item, struct error *error)
{
	json_t *params = json_copy(item), *filter;

	if (json_object_get(item, "expression")) {
		filter = switch_filter_json(json_string_value(json_object_get(item, "expression")),
					    error);
		if (!filter) {
			json_decref(params);
			return NULL;
		}
		json_object_set_new(params, "filter", filter);
	}
	if (list == &lists[2]) {
		if (!json_object_get(params, "to"))
			json_object_set_new(params, "to", json_string(""));
		if (!json_object_get(params, "vlans"))
			json_object_set_new(params, "vlans", json_string(""));
	}
	return params;
}

int switch_config_apply(struct switch_control *control, const struct rpc_method *methods,
			json_t *config, struct error *error)
{
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		rpc_method_fn *method = find_method(methods, lists[i].method);
		json_t *item;
		size_t index;

		json_array_foreach(json_object_get(config, lists[i].key), index, item) {
			json_t *params = params_of(&lists[i], item, error), *unused = NULL;
			int rc = params ? method(control, params, &unused, error) : -EINVAL;

			json_decref(params);
			json_decref(unused);
			if (rc) {
				at_item(error, &lists[i], index);
				return rc;
			}
		}
	}
	return 0;
}
