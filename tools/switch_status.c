/* SPDX-License-Identifier: BSD-2-Clause */
/* What a running switch does, as JSON, and where it is asked; see switch.h. */
#include "tools/switch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/describe.h"
#include "tools/runtime.h"
#include "util/cleanup.h"
#include "vswitch/switch.h"

static json_t *drops_json(const struct port_counters *counters)
{
	json_t *drops = json_object();

	for (unsigned i = 0; i < PORT_DROP_COUNT; i++)
		if (counters->drops[i])
			json_object_set_new(drops, port_drop_name(i),
					    json_integer((json_int_t)counters->drops[i]));
	return drops;
}

/* Words with spaces between, as a list. */
static json_t *words_json(const char *words)
{
	json_t *list = json_array();

	while (*words) {
		size_t length = strcspn(words, " ");

		json_array_append_new(list, json_stringn(words, length));
		words += length + strspn(words + length, " ");
	}
	return list;
}

static json_t *way_json(const struct link_way *way)
{
	const struct link_counters *counters = &way->counters;
	char model[512];

	link_model_describe(&way->model, model, sizeof(model));
	return json_pack(
		"{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "model", model,
		"offered", (json_int_t)counters->offered, "lost", (json_int_t)counters->lost,
		"down", (json_int_t)counters->down, "marked", (json_int_t)counters->marked,
		"queue_full", (json_int_t)counters->queue_full, "duplicated",
		(json_int_t)counters->duplicated, "corrupted", (json_int_t)counters->corrupted,
		"reordered", (json_int_t)counters->reordered, "delivered",
		(json_int_t)counters->delivered, "late_mean_ns",
		(json_int_t)(counters->delivered ? counters->late_sum_ns / counters->delivered : 0),
		"late_p99_ns", (json_int_t)link_late_quantile(counters, 0.99), "late_max_ns",
		(json_int_t)counters->late_max_ns);
}

/* Else it is an interface, an address, or more than one thing. */
static bool where_is_path(const struct vswitch_port_status *port)
{
	return !strcmp(port->type, "vhost-user") || !strcmp(port->type, "vde") ||
	       (!strcmp(port->type, "qemu-stream") && strncmp(port->where, "tcp:", 4));
}

/* null where it never was bad. */
static json_t *link_json(const struct vswitch_port_status *port)
{
	if (!port->has_link)
		return json_null();
	return json_pack("{s:o, s:o}", "in", way_json(&port->link_in), "out",
			 way_json(&port->link_out));
}

static json_t *port_json(const struct vswitch_port_status *port)
{
	const struct port_counters *counters = &port->counters;
	char settings[PORT_CONFIG_TEXT];
	json_t *peers = json_array();
	uint64_t dropped = 0;

	if (port->peer)
		json_array_append_new(peers, describe_process(port->peer));
	for (unsigned i = 0; i < PORT_DROP_COUNT; i++)
		dropped += counters->drops[i];
	port_config_describe(&port->config, settings, sizeof(settings));
	switch_shape_describe(port, settings, sizeof(settings));
	return json_pack(
		"{s:s, s:s, s:s, s:i, s:o, s:o, s:o, s:s, s:b, s:o, s:I, s:I, s:I, s:I, s:I, s:I, "
		"s:I, s:I, s:I, s:I, "
		"s:o}",
		"name", port->name, "type", port->type, "settings", settings, "thread",
		(int)port->thread, "link", link_json(port), "peers", peers, "where",
		where_is_path(port) ? describe_path(port->where) : describe_text(port->where),
		"state", port->state, "up", port->up, "features", words_json(port->features),
		"rx_frames", (json_int_t)counters->rx_frames, "rx_bytes",
		(json_int_t)counters->rx_bytes, "tx_frames", (json_int_t)counters->tx_frames,
		"tx_bytes", (json_int_t)counters->tx_bytes, "flooded",
		(json_int_t)counters->flooded, "taken", (json_int_t)counters->taken, "checksummed",
		(json_int_t)counters->checksummed, "segmented", (json_int_t)counters->segmented,
		"connections", (json_int_t)counters->connections, "dropped", (json_int_t)dropped,
		"drops", drops_json(counters));
}

static json_t *address_json(const struct vswitch_status *status, const struct mac_entry *entry)
{
	char text[MAC_TEXT];

	return json_pack("{s:s, s:i, s:s, s:s, s:o}", "address", mac_format(entry->mac, text),
			 "vlan", (int)entry->fid, "port", status->ports[entry->port].name, "kind",
			 entry->is_static ? "static" : "learned", "age_seconds",
			 entry->is_static ? json_null()
					  : json_integer((json_int_t)((status->now - entry->seen) /
								      1000000000)));
}

static json_t *capture_json(const struct vswitch_capture_status *session)
{
	const struct capture_status *capture = &session->capture;

	return json_pack(
		"{s:i, s:o, s:o, s:s, s:o, s:s, s:I, s:I, s:I, s:I}", "number", (int)session->id,
		"path",
		strcmp(session->path, "-") ? describe_path(session->path) : json_string("-"),
		"port", session->port[0] ? json_string(session->port) : json_null(), "direction",
		session->ways == PORT_BOTH_WAYS      ? "both"
		: session->ways == PORT_WAY(PORT_IN) ? "in"
						     : "out",
		"filter", session->filter[0] ? describe_text(session->filter) : json_null(),
		"state", capture->state, "recorded", (json_int_t)capture->recorded, "written",
		(json_int_t)capture->written, "lost", (json_int_t)capture->lost, "written_bytes",
		(json_int_t)capture->bytes);
}

/* How many frames were in rounds that took less than so many nanoseconds a frame, where there were any. */
static json_t *cost_json(const struct frame_cost *cost)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < FRAME_COST_BUCKETS; i++)
		if (cost->buckets[i])
			json_array_append_new(list, json_pack("{s:f, s:I}", "frame_ns",
							      frame_cost_bound(i), "frames",
							      (json_int_t)cost->buckets[i]));
	return list;
}

json_t *switch_status_json(const char *name, const struct vswitch_status *status)
{
	json_t *ports = json_array(), *addresses = json_array(), *captures = json_array();

	for (unsigned i = 0; i < status->port_count; i++)
		json_array_append_new(ports, port_json(&status->ports[i]));
	for (unsigned i = 0; i < status->address_count; i++)
		json_array_append_new(addresses, address_json(status, &status->addresses[i]));
	for (unsigned i = 0; i < status->capture_count; i++)
		json_array_append_new(captures, capture_json(&status->captures[i]));
	return json_pack(
		"{s:s, s:i, s:o, s:o, s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}, s:o, s:i, s:I, "
		"s:i, s:{s:I, s:I, s:o}}",
		"name", name, "pid", (int)getpid(), "ports", ports, "addresses", addresses, "table",
		"entries", (json_int_t)status->table_size, "ageing_seconds",
		(json_int_t)(status->ageing_ns / 1000000000), "learned",
		(json_int_t)status->table.learned, "moved", (json_int_t)status->table.moved, "aged",
		(json_int_t)status->table.aged, "refused", (json_int_t)status->table.refused,
		"displaced", (json_int_t)status->table.displaced, "held_moves",
		(json_int_t)status->table.held, "captures", captures, "threads",
		(int)status->threads, "sleeps", (json_int_t)status->sleeps, "peer_closings",
		(int)status->peer_closings, "frame_cost", "frames", (json_int_t)status->cost.frames,
		"ns", (json_int_t)status->cost.ns, "below", cost_json(&status->cost));
}

int switch_control_path(const char *name, char **path, struct error *error)
{
	CLEANUP_FREE char *base = NULL;
	int rc = vswitch_check_switch_name(name, error);

	if (rc)
		return rc;
	if (asprintf(&base, "switch-%s", name) < 0)
		return -ENOMEM;
	return runtime_socket(base, path, error);
}
