/* SPDX-License-Identifier: BSD-2-Clause */
/* What a running switch says and does about LLDP when it is asked; see switch.h. Neighbours' texts are cleaned here. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/switch.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/text.h"
#include "vswitch/lldp.h"

/* ---- As JSON ---- */

/* Bytes of any kind as a line of text: also a zero is written as \x00. */
static json_t *bytes_json(const uint8_t *bytes, unsigned length)
{
	char raw[4 * LLDP_TEXT_MAX + 1], clean[4 * sizeof(raw)];
	size_t used = 0;

	for (unsigned i = 0; i < length; i++)
		if (bytes[i])
			raw[used++] = (char)bytes[i];
		else
			used += (size_t)sprintf(raw + used, "\\x00");
	raw[used] = '\0';
	text_clean(clean, sizeof(clean), raw);
	return json_string(clean);
}

static json_t *told_json(const struct lldp_text *text)
{
	return text->there ? bytes_json(text->bytes, text->length) : json_null();
}

static json_t *hex_json(const uint8_t *bytes, unsigned length)
{
	char text[3 * LLDP_TEXT_MAX + 1] = "";

	for (unsigned i = 0; i < length; i++)
		sprintf(text + 3 * (size_t)i, "%02x:", bytes[i]);
	return json_stringn(text, length ? 3 * (size_t)length - 1 : 0);
}

static json_t *lldp_address_json(uint8_t kind, const uint8_t *bytes, unsigned length)
{
	char text[INET6_ADDRSTRLEN];

	if (kind == LLDP_ADDRESS_IPV4 && length == 4)
		return json_string(inet_ntop(AF_INET, bytes, text, sizeof(text)));
	if (kind == LLDP_ADDRESS_IPV6 && length == 16)
		return json_string(inet_ntop(AF_INET6, bytes, text, sizeof(text)));
	return hex_json(bytes, length);
}

static json_t *id_json(const struct lldp_id *id, uint8_t mac_kind, uint8_t network_kind)
{
	if (id->kind == mac_kind)
		return hex_json(id->bytes, id->length);
	if (id->kind == network_kind)
		return lldp_address_json(id->bytes[0], id->bytes + 1, id->length - 1u);
	return bytes_json(id->bytes, id->length);
}

static json_t *capabilities_json(uint16_t capabilities)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < LLDP_CAPABILITIES; i++)
		if (capabilities >> i & 1)
			json_array_append_new(list, json_string(lldp_capability_name(i)));
	return list;
}

static json_t *management_json(const struct lldp_address *address)
{
	return address->length ? lldp_address_json(address->kind, address->bytes, address->length)
			       : json_null();
}

static json_t *lldp_json(const struct lldp_settings *settings)
{
	char chassis[MAC_TEXT];

	return json_pack("{s:s, s:i, s:i, s:i, s:i, s:s, s:o, s:o, s:o}", "mode",
			 lldp_mode_name(settings->mode), "interval_seconds", settings->interval,
			 "hold", settings->hold, "fast", settings->fast, "ttl_seconds",
			 lldp_settings_ttl(settings), "chassis",
			 mac_format(settings->chassis, chassis), "system_name",
			 told_json(&settings->name), "system_description",
			 told_json(&settings->description), "management_address",
			 management_json(&settings->management));
}

static json_t *lldp_port_json(const struct vswitch_lldp_port *port)
{
	const struct lldp_counters *counters = &port->counters;

	return json_pack("{s:s, s:s, s:b, s:b, s:o, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			 "port", port->name, "mode", lldp_mode_name(port->settings.mode), "sends",
			 port->sends, "receives", port->receives, "port_description",
			 told_json(&port->settings.description), "neighbour_count",
			 (int)port->neighbours, "sent", (json_int_t)counters->sent, "received",
			 (json_int_t)counters->received, "discarded",
			 (json_int_t)counters->discarded, "errors", (json_int_t)counters->errors,
			 "refused", (json_int_t)counters->refused, "aged",
			 (json_int_t)counters->aged, "tlvs_discarded",
			 (json_int_t)counters->tlvs_discarded, "tlvs_unknown",
			 (json_int_t)counters->tlvs_unknown);
}

static json_t *aggregation_json(const struct lldp_message *message)
{
	return message->has_aggregation
		       ? json_pack("{s:b, s:b, s:I}", "capable",
				   message->aggregation & LLDP_AGGREGATION_CAPABLE, "enabled",
				   message->aggregation & LLDP_AGGREGATION_ENABLED, "port",
				   (json_int_t)message->aggregated_port)
		       : json_null();
}

static json_t *neighbour_json(const struct vswitch_lldp_status *status,
			      const struct vswitch_lldp_neighbour *neighbour)
{
	const struct lldp_message *message = &neighbour->message;

	return json_pack(
		"{s:s, s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:I}",
		"port", status->ports[neighbour->port].name, "chassis_kind",
		lldp_chassis_kind_name(message->chassis.kind), "chassis",
		id_json(&message->chassis, LLDP_CHASSIS_MAC, LLDP_CHASSIS_NETWORK), "port_id_kind",
		lldp_port_kind_name(message->port.kind), "port_id",
		id_json(&message->port, LLDP_PORT_MAC, LLDP_PORT_NETWORK), "port_description",
		told_json(&message->port_description), "system_name",
		told_json(&message->system_name), "system_description",
		told_json(&message->system_description), "capabilities",
		capabilities_json(message->capabilities), "enabled_capabilities",
		capabilities_json(message->enabled), "port_vlan",
		message->has_vlan ? json_integer(message->vlan) : json_null(), "aggregation",
		aggregation_json(message), "management_address",
		management_json(&message->management), "ttl_seconds", message->ttl, "seconds_left",
		(json_int_t)(neighbour->left / LLDP_SECOND));
}

int switch_lldp_show(void *context, json_t *params, json_t **result, struct error *error)
{
	CLEANUP(cleanup_lldp_status) struct vswitch_lldp_status *status = NULL;
	struct switch_control *control = context;
	json_t *ports = json_array(), *neighbours = json_array();

	(void)params;
	if (vswitch_lldp_status(control->vswitch, &status)) {
		json_decref(ports);
		json_decref(neighbours);
		return error_set(error, -ENOMEM, "switch %s: out of memory", control->name);
	}
	for (unsigned i = 0; i < status->port_count; i++)
		json_array_append_new(ports, lldp_port_json(&status->ports[i]));
	for (unsigned i = 0; i < status->neighbour_count; i++)
		json_array_append_new(neighbours, neighbour_json(status, &status->neighbours[i]));
	*result = json_pack("{s:o, s:o, s:o}", "lldp", lldp_json(&status->settings), "lldp_ports",
			    ports, "neighbours", neighbours);
	return *result ? 0 : error_set(error, -ENOMEM, "switch %s: out of memory", control->name);
}

/* ---- Setting ---- */

#define LLDP_WORDS_MOST 64

int switch_lldp_set(void *context, json_t *params, json_t **result, struct error *error)
{
	json_t *words = json_object_get(params, "words"), *word;
	const char *port = json_string_value(json_object_get(params, "port"));
	struct switch_control *control = context;
	const char *list[LLDP_WORDS_MOST];
	unsigned count = 0;
	size_t index;

	(void)result;
	json_array_foreach(words, index, word) {
		if (count == LLDP_WORDS_MOST)
			return error_set(error, -EINVAL, "lldp set: more than %d words",
					 LLDP_WORDS_MOST);
		list[count++] = json_is_string(word) ? json_string_value(word) : "";
	}
	if (vswitch_set_lldp(control->vswitch, switch_usual_address(control->name), port, list,
			     count, error))
		return switch_answer(error->code, error);
	switch_said_words(control, "lldp", port, words);
	return 0;
}

/* ---- For Prometheus ---- */

void switch_lldp_metrics(FILE *out, const char *name, struct vswitch *vswitch)
{
	CLEANUP(cleanup_lldp_status) struct vswitch_lldp_status *status = NULL;
	static const struct {
		const char *event;
		size_t at;
	} events[] = {
		{ "sent", offsetof(struct lldp_counters, sent) },
		{ "received", offsetof(struct lldp_counters, received) },
		{ "discarded", offsetof(struct lldp_counters, discarded) },
		{ "errors", offsetof(struct lldp_counters, errors) },
		{ "refused", offsetof(struct lldp_counters, refused) },
		{ "aged", offsetof(struct lldp_counters, aged) },
	};

	if (vswitch_lldp_status(vswitch, &status))
		return;
	fprintf(out, "# HELP tenon_switch_lldp_neighbours neighbours by LLDP\n"
		     "# TYPE tenon_switch_lldp_neighbours gauge\n");
	for (unsigned i = 0; i < status->port_count; i++)
		fprintf(out, "tenon_switch_lldp_neighbours{switch=\"%s\",port=\"%s\"} %u\n", name,
			status->ports[i].name, status->ports[i].neighbours);
	fprintf(out, "# HELP tenon_switch_lldp_events_total messages of LLDP, and what became of "
		     "them and of neighbours\n"
		     "# TYPE tenon_switch_lldp_events_total counter\n");
	for (unsigned i = 0; i < status->port_count; i++)
		for (size_t k = 0; k < ARRAY_SIZE(events); k++)
			fprintf(out,
				"tenon_switch_lldp_events_total{switch=\"%s\",port=\"%s\","
				"event=\"%s\"} %" PRIu64 "\n",
				name, status->ports[i].name, events[k].event,
				*(const uint64_t *)((const char *)&status->ports[i].counters +
						    events[k].at));
}
