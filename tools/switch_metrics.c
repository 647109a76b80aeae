/* SPDX-License-Identifier: BSD-2-Clause */
/* The counters of a switch in Prometheus's text exposition format, version 0.0.4; see switch.h. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/switch.h"
#include "util/bytes.h"
#include "vswitch/switch.h"

/* Names of switches and ports are letters, digits, '.', '_' and '-': nothing in a label needs escaping. */

static const struct {
	const char *name, *help;
	size_t offset; /* in struct port_counters */
} port_metrics[] = {
	{ "rx_frames", "frames that came in at the port",
	  offsetof(struct port_counters, rx_frames) },
	{ "rx_bytes", "bytes of them", offsetof(struct port_counters, rx_bytes) },
	{ "tx_frames", "frames that left by the port", offsetof(struct port_counters, tx_frames) },
	{ "tx_bytes", "bytes of them", offsetof(struct port_counters, tx_bytes) },
	{ "flooded", "frames that came in and went to several ports",
	  offsetof(struct port_counters, flooded) },
	{ "taken", "frames that came in and ended at a protocol of the switch",
	  offsetof(struct port_counters, taken) },
	{ "checksummed", "checksums finished in software for the port",
	  offsetof(struct port_counters, checksummed) },
	{ "segmented", "large frames cut in software for the port",
	  offsetof(struct port_counters, segmented) },
	{ "connections", "front-ends that came", offsetof(struct port_counters, connections) },
};

static void head(FILE *out, const char *name, const char *suffix, const char *type,
		 const char *help)
{
	fprintf(out, "# HELP tenon_switch_%s%s %s\n# TYPE tenon_switch_%s%s %s\n", name, suffix,
		help, name, suffix, type);
}

static void put_ports(FILE *out, const char *name, const struct vswitch_status *status)
{
	head(out, "port_up", "", "gauge", "whether frames can be sent to the port");
	for (unsigned i = 0; i < status->port_count; i++)
		fprintf(out, "tenon_switch_port_up{switch=\"%s\",port=\"%s\"} %d\n", name,
			status->ports[i].name, status->ports[i].up);
	for (size_t k = 0; k < ARRAY_SIZE(port_metrics); k++) {
		head(out, port_metrics[k].name, "_total", "counter", port_metrics[k].help);
		for (unsigned i = 0; i < status->port_count; i++)
			fprintf(out,
				"tenon_switch_%s_total{switch=\"%s\",port=\"%s\"} %" PRIu64 "\n",
				port_metrics[k].name, name, status->ports[i].name,
				*(const uint64_t *)((const char *)&status->ports[i].counters +
						    port_metrics[k].offset));
	}
	/* With those that are zero: a rate needs to know that they were. */
	head(out, "dropped_frames", "_total", "counter", "frames that ended here, by reason");
	for (unsigned i = 0; i < status->port_count; i++)
		for (unsigned k = 0; k < PORT_DROP_COUNT; k++)
			fprintf(out,
				"tenon_switch_dropped_frames_total{switch=\"%s\",port=\"%s\","
				"reason=\"%s\"} %" PRIu64 "\n",
				name, status->ports[i].name, port_drop_name(k),
				status->ports[i].counters.drops[k]);
}

static const struct {
	const char *event;
	size_t offset; /* in struct link_counters */
} link_metrics[] = {
	{ "offered", offsetof(struct link_counters, offered) },
	{ "lost", offsetof(struct link_counters, lost) },
	{ "down", offsetof(struct link_counters, down) },
	{ "marked", offsetof(struct link_counters, marked) },
	{ "queue_full", offsetof(struct link_counters, queue_full) },
	{ "duplicated", offsetof(struct link_counters, duplicated) },
	{ "corrupted", offsetof(struct link_counters, corrupted) },
	{ "reordered", offsetof(struct link_counters, reordered) },
	{ "delivered", offsetof(struct link_counters, delivered) },
};

static void put_way(FILE *out, const char *name, const char *port, const char *direction,
		    const struct link_way *way)
{
	for (size_t k = 0; k < ARRAY_SIZE(link_metrics); k++)
		fprintf(out,
			"tenon_switch_link_packets_total{switch=\"%s\",port=\"%s\","
			"direction=\"%s\",event=\"%s\"} %" PRIu64 "\n",
			name, port, direction, link_metrics[k].event,
			*(const uint64_t *)((const char *)&way->counters + link_metrics[k].offset));
}

static void put_links(FILE *out, const char *name, const struct vswitch_status *status)
{
	head(out, "link_packets", "_total", "counter", "what happened to packets on bad links");
	for (unsigned i = 0; i < status->port_count; i++)
		if (status->ports[i].has_link) {
			put_way(out, name, status->ports[i].name, "in", &status->ports[i].link_in);
			put_way(out, name, status->ports[i].name, "out",
				&status->ports[i].link_out);
		}
}

static void put_table(FILE *out, const char *name, const struct vswitch_status *status)
{
	const struct {
		const char *event;
		uint64_t count;
	} events[] = {
		{ "learned", status->table.learned },     { "moved", status->table.moved },
		{ "aged", status->table.aged },           { "refused", status->table.refused },
		{ "displaced", status->table.displaced }, { "held", status->table.held }
	};

	head(out, "addresses", "", "gauge", "addresses that are known");
	fprintf(out, "tenon_switch_addresses{switch=\"%s\"} %u\n", name, status->address_count);
	head(out, "address_events", "_total", "counter", "what happened to addresses");
	for (size_t i = 0; i < ARRAY_SIZE(events); i++)
		fprintf(out,
			"tenon_switch_address_events_total{switch=\"%s\",event=\"%s\"} %" PRIu64
			"\n",
			name, events[i].event, events[i].count);
}

static void put_captures(FILE *out, const char *name, const struct vswitch_status *status)
{
	head(out, "capture_packets", "_total", "counter", "what became of packets of captures");
	for (unsigned i = 0; i < status->capture_count; i++) {
		const struct vswitch_capture_status *capture = &status->captures[i];

		fprintf(out,
			"tenon_switch_capture_packets_total{switch=\"%s\",capture=\"%u\","
			"event=\"written\"} %" PRIu64 "\n"
			"tenon_switch_capture_packets_total{switch=\"%s\",capture=\"%u\","
			"event=\"lost\"} %" PRIu64 "\n",
			name, capture->id, capture->capture.written, name, capture->id,
			capture->capture.lost);
	}
}

static void put_busy(FILE *out, const char *name, const struct vswitch_status *status)
{
	head(out, "busy_frames", "_total", "counter", "frames that the forwarding threads took");
	fprintf(out, "tenon_switch_busy_frames_total{switch=\"%s\"} %" PRIu64 "\n", name,
		status->cost.frames);
	head(out, "busy_seconds", "_total", "counter", "time that they had for them");
	fprintf(out, "tenon_switch_busy_seconds_total{switch=\"%s\"} %.9f\n", name,
		(double)status->cost.ns / 1e9);
}

static void put_closings(FILE *out, const char *name, const struct vswitch_status *status)
{
	head(out, "peer_closings", "", "gauge", "files of peers whose closing waits for somebody");
	fprintf(out, "tenon_switch_peer_closings{switch=\"%s\"} %u\n", name, status->peer_closings);
}

char *switch_metrics(const char *name, struct vswitch *vswitch, const struct vswitch_status *status)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	put_ports(out, name, status);
	put_links(out, name, status);
	put_table(out, name, status);
	put_captures(out, name, status);
	put_busy(out, name, status);
	put_closings(out, name, status);
	switch_tree_metrics(out, name, vswitch);
	switch_igmp_metrics(out, name, vswitch);
	switch_lldp_metrics(out, name, vswitch);
	switch_lacp_metrics(out, name, vswitch);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}
