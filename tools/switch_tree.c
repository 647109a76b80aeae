/* SPDX-License-Identifier: BSD-2-Clause */
/* What a running switch says of its spanning tree, and has done to it; see switch.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/switch.h"
#include "util/cleanup.h"
#include "util/ethernet.h"
#include "vswitch/stp.h"
#include "vswitch/switch.h"

/* The same at each start of the switch, and another for each on this host, also for those of one name in network namespaces. */
uint64_t switch_usual_address(const char *name)
{
	struct error unused = { 0 };
	CLEANUP_FREE char *path = NULL;
	uint8_t address[6];
	struct stat about;
	unsigned space = stat("/proc/self/ns/net", &about) ? 0 : (unsigned)about.st_ino;

	switch_control_path(name, &path, &unused);
	ethernet_from_path(path ? path : name, space, address);
	return mac_from_bytes(address);
}

int switch_tree_words(const char *name, struct rstp_config *config, const char *words,
		      struct error *error)
{
	CLEANUP_FREE char *copy = strdup(words);
	char *rest = copy, *word;
	int rc = 0;

	*config = rstp_config_default();
	config->address = switch_usual_address(name);
	while (!rc && (word = strsep(&rest, ","))) {
		if (!strcmp(word, "rstp") || !strcmp(word, "stp"))
			config->legacy = !strcmp(word, "stp");
		else
			rc = rstp_config_set(config, word, error);
	}
	return rc ? rc : rstp_config_check(config, error);
}

int switch_tree_set(void *context, json_t *params, json_t **result, struct error *error)
{
	CLEANUP(cleanup_stp_status) struct stp_status *status = NULL;
	struct switch_control *control = context;
	struct rstp_config config = rstp_config_default();
	json_t *words = json_object_get(params, "words"), *word;
	size_t index;
	int rc = vswitch_stp_status(control->vswitch, &status);

	(void)result;
	if (rc && rc != -ENOENT)
		return error_set(error, rc, "switch %s: out of memory", control->name);
	if (status)
		config = status->config;
	else
		config.address = switch_usual_address(control->name);
	json_array_foreach(words, index, word) {
		rc = rstp_config_set(&config, json_is_string(word) ? json_string_value(word) : "",
				     error);
		if (rc)
			return rc;
	}
	if (vswitch_set_stp(control->vswitch, &config, error))
		return switch_answer(error->code, error);
	switch_said_words(control, "stp", NULL, words);
	return 0;
}

int switch_tree_off(void *context, json_t *params, json_t **result, struct error *error)
{
	struct switch_control *control = context;

	(void)params, (void)result;
	if (vswitch_stop_stp(control->vswitch, error))
		return switch_answer(error->code, error);
	switch_said_forget(control, "stp", NULL);
	return 0;
}

/* ---- Showing ---- */

/* "32768 02:00:5e:10:00:01" */
static json_t *bridge_id_json(uint64_t id)
{
	char address[MAC_TEXT];

	return json_sprintf("%u %s", (unsigned)(id >> 48),
			    mac_format(id & 0xffffffffffffULL, address));
}

static json_t *tree_port_json(const struct stp_port_status *port)
{
	return json_pack(
		"{s:s, s:s, s:s, s:I, s:i, s:i, s:b, s:b, s:s, s:b, s:o, s:o, s:i, s:I, s:I, s:I, "
		"s:I, s:I, s:I, s:I}",
		"port", port->name, "tree_role", port->role, "state", port->state, "cost",
		(json_int_t)port->cost, "priority", port->id >> 12 << 4, "number", port->id & 0xfff,
		"edge", port->edge, "point_to_point", port->point_to_point, "protocol",
		port->rapid ? "rstp" : "stp", "shut", port->shut, "designated_root",
		bridge_id_json(port->designated.root), "designated_bridge",
		bridge_id_json(port->designated.bridge), "designated_port",
		(int)port->designated.port, "designated_cost", (json_int_t)port->designated.cost,
		"rx_bpdus", (json_int_t)port->rx_bpdus, "tx_bpdus", (json_int_t)port->tx_bpdus,
		"rx_bad", (json_int_t)port->rx_bad, "rx_topology_changes", (json_int_t)port->rx_tc,
		"tx_topology_changes", (json_int_t)port->tx_tc, "transitions",
		(json_int_t)port->transitions);
}

static json_t *tree_json(const struct stp_status *status)
{
	json_t *ports = json_array();

	for (unsigned i = 0; i < status->port_count; i++)
		json_array_append_new(ports, tree_port_json(&status->ports[i]));
	return json_pack("{s:s, s:o, s:o, s:b, s:o, s:I, s:i, s:i, s:i, s:i, s:I, s:I, s:o}",
			 "mode", status->config.legacy ? "stp" : "rstp", "bridge",
			 bridge_id_json(status->id), "root", bridge_id_json(status->root.root),
			 "is_root", !status->root_port[0], "root_port",
			 status->root_port[0] ? json_string(status->root_port) : json_null(),
			 "root_cost", (json_int_t)status->root.cost, "hello_seconds",
			 (int)rstp_seconds(status->times.hello), "max_age_seconds",
			 (int)rstp_seconds(status->times.max_age), "forward_delay_seconds",
			 (int)rstp_seconds(status->times.forward_delay), "tx_hold",
			 (int)status->config.tx_hold, "topology_changes",
			 (json_int_t)status->topology_changes, "since_change_seconds",
			 (json_int_t)status->since_change, "tree_ports", ports);
}

static int take_tree(const struct switch_control *control, struct stp_status **status,
		     struct error *error)
{
	int rc = vswitch_stp_status(control->vswitch, status);

	if (rc == -ENOENT) {
		error_set(error, -ENXIO, "switch %s: it is part of no spanning tree",
			  control->name);
		error_advise(error, "`tenon switch stp %s set` has it be", control->name);
		return -ENXIO;
	}
	return rc ? error_set(error, rc, "switch %s: out of memory", control->name) : 0;
}

int switch_tree_show(void *context, json_t *params, json_t **result, struct error *error)
{
	CLEANUP(cleanup_stp_status) struct stp_status *status = NULL;
	struct switch_control *control = context;
	int rc = take_tree(control, &status, error);

	(void)params;
	if (rc)
		return rc;
	*result = tree_json(status);
	return *result ? 0 : error_set(error, -ENOMEM, "switch %s: out of memory", control->name);
}

/* ---- For Prometheus ---- */

void switch_tree_metrics(FILE *out, const char *name, struct vswitch *vswitch)
{
	CLEANUP(cleanup_stp_status) struct stp_status *status = NULL;

	if (vswitch_stp_status(vswitch, &status))
		return;
	fprintf(out,
		"# HELP tenon_switch_stp_topology_changes_total changes of the spanning tree\n"
		"# TYPE tenon_switch_stp_topology_changes_total counter\n"
		"tenon_switch_stp_topology_changes_total{switch=\"%s\"} %llu\n"
		"# HELP tenon_switch_stp_is_root whether the switch is the root of the tree\n"
		"# TYPE tenon_switch_stp_is_root gauge\n"
		"tenon_switch_stp_is_root{switch=\"%s\"} %d\n"
		"# HELP tenon_switch_stp_forwarding whether the tree lets the port forward\n"
		"# TYPE tenon_switch_stp_forwarding gauge\n",
		name, (unsigned long long)status->topology_changes, name, !status->root_port[0]);
	for (unsigned i = 0; i < status->port_count; i++)
		fprintf(out,
			"tenon_switch_stp_forwarding{switch=\"%s\",port=\"%s\",role=\"%s\"} %d\n",
			name, status->ports[i].name, status->ports[i].role,
			!strcmp(status->ports[i].state, "forwarding"));
	fprintf(out, "# HELP tenon_switch_stp_bpdus_total BPDUs of the port\n"
		     "# TYPE tenon_switch_stp_bpdus_total counter\n");
	for (unsigned i = 0; i < status->port_count; i++)
		fprintf(out,
			"tenon_switch_stp_bpdus_total{switch=\"%s\",port=\"%s\",direction=\"in\"} "
			"%llu\n"
			"tenon_switch_stp_bpdus_total{switch=\"%s\",port=\"%s\",direction=\"out\"} "
			"%llu\n",
			name, status->ports[i].name, (unsigned long long)status->ports[i].rx_bpdus,
			name, status->ports[i].name, (unsigned long long)status->ports[i].tx_bpdus);
}
