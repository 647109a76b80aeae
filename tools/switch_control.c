/* SPDX-License-Identifier: BSD-2-Clause */
/* What a running switch does when it is asked to on its control socket; see switch.h. All methods run on one worker. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fiber/fiber.h"
#include "tools/switch.h"
#include "util/cleanup.h"
#include "vswitch/bond.h"
#include "vswitch/port_link.h"
#include "vswitch/switch.h"

static int take_status(const struct switch_control *control, struct vswitch_status **status,
		       struct error *error)
{
	if (vswitch_status(control->vswitch, status))
		return error_set(error, -ENOMEM, "switch %s: out of memory", control->name);
	return 0;
}

static int give(const struct switch_control *control, json_t *made, json_t **result,
		struct error *error)
{
	*result = made;
	return made ? 0 : error_set(error, -ENOMEM, "switch %s: out of memory", control->name);
}

static int method_show(void *context, json_t *params, json_t **result, struct error *error)
{
	CLEANUP(cleanup_vswitch_status) struct vswitch_status *status = NULL;
	struct switch_control *control = context;
	int rc = take_status(control, &status, error);

	(void)params;
	return rc ? rc : give(control, switch_status_json(control->name, status), result, error);
}

/* For Prometheus: text. */
static int method_metrics(void *context, json_t *params, json_t **result, struct error *error)
{
	CLEANUP(cleanup_vswitch_status) struct vswitch_status *status = NULL;
	CLEANUP_FREE char *text = NULL;
	struct switch_control *control = context;
	int rc = take_status(control, &status, error);

	(void)params;
	if (rc)
		return rc;
	text = switch_metrics(control->name, control->vswitch, status);
	return give(control, text ? json_string(text) : NULL, result, error);
}

/* The answer to a signal: the process ends as by one, when this has been answered. */
static int method_stop(void *context, json_t *params, json_t **result, struct error *error)
{
	(void)context, (void)params, (void)error;
	*result = json_integer(getpid());
	kill(getpid(), SIGTERM);
	return 0;
}

/* ---- Ports ---- */

static int method_port_add(void *context, json_t *params, json_t **result, struct error *error)
{
	const char *spec;
	int rc = rpc_param_string(params, "spec", &spec, error);

	(void)result;
	return rc ? rc : switch_control_make_port(context, spec, error);
}

static int method_port_remove(void *context, json_t *params, json_t **result, struct error *error)
{
	const char *port;
	int rc = rpc_param_string(params, "port", &port, error);

	(void)result;
	return rc ? rc : switch_control_remove_port(context, port, error);
}

/* What a port is to be. */
struct port_change {
	struct port_config config;
	struct link_model models[2];
	unsigned shaped;
	bool leaves; /* its bond */
};

static int no_such_port(const struct switch_control *control, const char *port, struct error *error)
{
	error_set(error, -ENXIO, "switch %s: port %.40s: there is none of that name", control->name,
		  port);
	error_advise(error, "`tenon switch port list %s` shows those there are", control->name);
	return -ENXIO;
}

/* By what it is now, and words. */
static int make_change(const struct switch_control *control, const char *port, json_t *words,
		       struct port_change *change, struct error *error)
{
	CLEANUP(cleanup_vswitch_status) struct vswitch_status *status = NULL;
	const struct vswitch_port_status *found;
	int rc = take_status(control, &status, error);
	const char *said = NULL;
	json_t *word;
	size_t index;

	if (rc)
		return rc;
	found = switch_find_port(status, port);
	if (!found)
		return no_such_port(control, port, error);
	*change = (struct port_change){ .config = found->config,
					.models = { found->link_in.model, found->link_out.model } };
	json_array_foreach(words, index, word) {
		const char *text = json_is_string(word) ? json_string_value(word) : "";
		unsigned direction = switch_shape_direction(text);

		change->shaped |= direction;
		rc = port_config_agree(&said, text, error);
		if (!rc)
			rc = direction ? switch_shape_change(&change->models[direction == LINK_OUT],
							     text, error)
				       : port_config_set(&change->config, text, error);
		if (rc) {
			error_prefix(error, "switch %s: port %s", control->name, port);
			return rc;
		}
	}
	change->leaves =
		found->config.bond.of[0] && strcmp(found->config.bond.of, change->config.bond.of);
	/* What can be refused comes first: then nothing has changed. */
	if (change->shaped && !strcmp(found->type, "bond"))
		return error_set(error, -EINVAL,
				 "port %s: it is a bond: shape-in= and shape-out= are for each of "
				 "its links",
				 port);
	return 0;
}

/* All words or none. */
static int set_port_by_words(const struct switch_control *control, const char *port, json_t *words,
			     struct error *error)
{
	struct port_change change;
	int rc = make_change(control, port, words, &change, error);

	if (!rc && change.leaves) {
		switch_leave_bond(control, port);
		/* Links may have been set meanwhile. */
		rc = make_change(control, port, words, &change, error);
	}
	if (!rc)
		rc = vswitch_set_port(control->vswitch, port, &change.config, error);
	if (rc)
		vswitch_link_leaves(control->vswitch, port, false);
	if (!rc && change.shaped & LINK_IN)
		rc = vswitch_set_link(control->vswitch, port, LINK_IN, &change.models[0], error);
	if (!rc && change.shaped & LINK_OUT)
		rc = vswitch_set_link(control->vswitch, port, LINK_OUT, &change.models[1], error);
	return rc;
}

static int method_port_set(void *context, json_t *params, json_t **result, struct error *error)
{
	json_t *words = json_object_get(params, "words");
	struct switch_control *control = context;
	const char *port;
	int rc = rpc_param_string(params, "port", &port, error);

	(void)result;
	if (rc)
		return rc;
	fiber_mutex_lock(&control->changing);
	rc = set_port_by_words(control, port, words, error);
	fiber_mutex_unlock(&control->changing);
	return switch_answer(rc, error);
}

/* ---- Links ---- */

static int link_params(json_t *params, const char **port, unsigned *directions, struct error *error)
{
	const char *direction = NULL;
	int rc = rpc_param_string(params, "port", port, error);

	if (!rc)
		rc = rpc_param_string(params, "direction", &direction, error);
	if (rc)
		return rc;
	*directions = !strcmp(direction, "in")     ? LINK_IN
		      : !strcmp(direction, "out")  ? LINK_OUT
		      : !strcmp(direction, "both") ? LINK_IN | LINK_OUT
						   : 0;
	return *directions ? 0
			   : error_set(error, -EINVAL,
				       "direction \"%.20s\": expected in, out or both", direction);
}

/* What a model has of files, by the parameters; NULL where they say nothing. */
struct link_files {
	struct link_trace *trace;
	struct link_table *table;
};

/* A model by all words and files, beginning with what there is. */
static int change_model(struct link_model *model, json_t *words, const struct link_files *files,
			struct error *error)
{
	json_t *word;
	size_t index;
	int rc = 0;

	json_array_foreach(words, index, word) {
		rc = link_model_set(model, json_is_string(word) ? json_string_value(word) : "",
				    error);
		if (rc)
			return rc;
	}
	if (files->trace)
		model->trace = files->trace;
	if (files->table && model->jitter == LINK_TABLE)
		model->table = files->table;
	return link_model_check(model, error);
}

static int set_ways(struct switch_control *control, json_t *params, bool clear, struct error *error)
{
	CLEANUP(cleanup_vswitch_status) struct vswitch_status *status = NULL;
	const struct vswitch_port_status *found;
	struct link_model in = { 0 }, out = { 0 };
	struct link_files files = { 0 };
	json_t *words = json_object_get(params, "words");
	unsigned directions;
	const char *port;
	int rc = link_params(params, &port, &directions, error);

	if (!rc)
		rc = take_status(control, &status, error);
	if (!rc && !clear)
		rc = switch_link_trace(&files.trace, params, error);
	if (!rc && !clear)
		rc = switch_link_table(&files.table, params, error);
	if (rc) {
		link_trace_drop(files.trace);
		return rc;
	}
	found = switch_find_port(status, port);
	if (found && !clear) {
		in = found->link_in.model;
		out = found->link_out.model;
	}
	/* Both can be, before the first is changed. */
	if (directions & LINK_IN)
		rc = change_model(&in, words, &files, error);
	if (!rc && directions & LINK_OUT)
		rc = change_model(&out, words, &files, error);
	if (rc)
		error_prefix(error, "switch %s: port %.40s", control->name, port);
	if (!rc && directions & LINK_IN)
		rc = vswitch_set_link(control->vswitch, port, LINK_IN, &in, error);
	if (!rc && directions & LINK_OUT)
		rc = vswitch_set_link(control->vswitch, port, LINK_OUT, &out, error);
	link_trace_drop(files.trace);
	link_table_drop(files.table);
	return switch_answer(rc, error);
}

static int method_link_set(void *context, json_t *params, json_t **result, struct error *error)
{
	(void)result;
	return set_ways(context, params, false, error);
}

static int method_link_clear(void *context, json_t *params, json_t **result, struct error *error)
{
	(void)result;
	return set_ways(context, params, true, error);
}

/* ---- Addresses ---- */

static int address_params(json_t *params, uint64_t *mac, uint16_t *vlan, struct error *error)
{
	json_int_t number = json_integer_value(json_object_get(params, "vlan"));
	const char *text;
	int rc = rpc_param_string(params, "address", &text, error);

	if (rc)
		return rc;
	if (!mac_parse(text, mac))
		return error_set(error, -EINVAL,
				 "address \"%.40s\": expected six bytes as in 02:00:00:00:00:01",
				 text);
	if (number < 0 || number > VLAN_ID_MAX)
		return error_set(error, -EINVAL, "VLAN %lld: expected 0 to %d", (long long)number,
				 VLAN_ID_MAX);
	*vlan = (uint16_t)number;
	return 0;
}

static int method_table_add(void *context, json_t *params, json_t **result, struct error *error)
{
	struct switch_control *control = context;
	const char *port;
	uint16_t vlan;
	uint64_t mac;
	int rc = address_params(params, &mac, &vlan, error);

	(void)result;
	if (!rc)
		rc = rpc_param_string(params, "port", &port, error);
	if (!rc)
		rc = vswitch_add_address(control->vswitch, vlan, mac, port, error);
	return switch_answer(rc, error);
}

static int method_table_remove(void *context, json_t *params, json_t **result, struct error *error)
{
	struct switch_control *control = context;
	uint16_t vlan;
	uint64_t mac;
	int rc = address_params(params, &mac, &vlan, error);

	(void)result;
	if (!rc)
		rc = vswitch_remove_address(control->vswitch, vlan, mac, error);
	return switch_answer(rc, error);
}

static int method_table_flush(void *context, json_t *params, json_t **result, struct error *error)
{
	struct switch_control *control = context;

	(void)result;
	return switch_answer(
		vswitch_flush_addresses(control->vswitch,
					json_string_value(json_object_get(params, "port")), error),
		error);
}

const struct rpc_page switch_pages[] = {
	{ "/metrics", "text/plain; version=0.0.4; charset=utf-8", method_metrics },
	{ NULL, NULL, NULL },
};

const struct rpc_method switch_methods[] = {
	{ "switch.show", method_show },
	{ "switch.config", switch_config_show },
	{ "switch.metrics", method_metrics },
	{ "switch.stop", method_stop },
	{ "switch.port.add", method_port_add },
	{ "switch.port.remove", method_port_remove },
	{ "switch.port.set", method_port_set },
	{ "switch.link.set", method_link_set },
	{ "switch.link.clear", method_link_clear },
	{ "switch.link.schedule.start", switch_schedule_start },
	{ "switch.link.schedule.show", switch_schedule_show },
	{ "switch.link.schedule.clear", switch_schedule_clear },
	{ "switch.capture.start", switch_capture_start },
	{ "switch.capture.keep", switch_capture_keep },
	{ "switch.capture.stop", switch_capture_stop },
	{ "switch.filter.add", switch_filter_add },
	{ "switch.filter.remove", switch_filter_remove },
	{ "switch.filter.list", switch_filter_list },
	{ "switch.stp.show", switch_tree_show },
	{ "switch.stp.set", switch_tree_set },
	{ "switch.stp.off", switch_tree_off },
	{ "switch.igmp.show", switch_igmp_show },
	{ "switch.igmp.set", switch_igmp_set },
	{ "switch.lldp.show", switch_lldp_show },
	{ "switch.lldp.set", switch_lldp_set },
	{ "switch.dhcp.show", switch_dhcp_show },
	{ "switch.dhcp.change", switch_dhcp_change_method },
	{ "switch.forward", switch_forward_method },
	{ "switch.lacp.show", switch_lacp_show },
	{ "switch.reserved", switch_reserved_set },
	{ "switch.mirror.add", switch_mirror_add },
	{ "switch.mirror.remove", switch_mirror_remove },
	{ "switch.mirror.list", switch_mirror_list },
	{ "switch.table.add", method_table_add },
	{ "switch.table.remove", method_table_remove },
	{ "switch.table.flush", method_table_flush },
	{ NULL, NULL },
};
