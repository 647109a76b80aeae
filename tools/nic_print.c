/* SPDX-License-Identifier: BSD-2-Clause */
/* Interfaces as JSON and as tables; see nic.h. */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "tools/describe.h"
#include "tools/nic.h"
#include "util/bytes.h"

const struct cli_column nic_columns[] = {
	{ "NAME", "name", CLI_AS_TEXT },
	{ "TYPE", "type", CLI_AS_TEXT },
	{ "STATE", "state", CLI_AS_STATE },
	{ "MTU", "mtu", CLI_AS_TEXT, 2 },
	{ "MAC", "mac", CLI_AS_TEXT, 1 },
	{ "BRIDGE", "bridge", CLI_AS_TEXT, 3 },
	{ "PEER", "peer", CLI_AS_TEXT, 4 },
	{ "ADDRESSES", "address_text", CLI_AS_TEXT },
	{ NULL },
};

const struct cli_column nic_stats_columns[] = {
	{ "NAME", "name", CLI_AS_TEXT },
	{ "RX PACKETS", "rx_packets", CLI_AS_TEXT },
	{ "RX BYTES", "rx_bytes", CLI_AS_SIZE, 1 },
	{ "RX ERRORS", "rx_errors", CLI_AS_TEXT, 3 },
	{ "RX DROPPED", "rx_dropped", CLI_AS_TEXT, 2 },
	{ "TX PACKETS", "tx_packets", CLI_AS_TEXT },
	{ "TX BYTES", "tx_bytes", CLI_AS_SIZE, 1 },
	{ "TX ERRORS", "tx_errors", CLI_AS_TEXT, 3 },
	{ "TX DROPPED", "tx_dropped", CLI_AS_TEXT, 2 },
	{ NULL },
};

static json_t *text_or_null(const char *text)
{
	return *text ? describe_text(text) : json_null();
}

static json_t *mac_json(const struct link_info *link)
{
	char text[18];

	if (!link->has_mac)
		return json_null();
	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", link->mac[0], link->mac[1],
		 link->mac[2], link->mac[3], link->mac[4], link->mac[5]);
	return json_string(text);
}

static json_t *nic_json(const struct nic *nic)
{
	const struct link_info *link = &nic->link;
	json_t *addresses = json_array();

	for (unsigned i = 0; i < nic->address_count; i++)
		json_array_append_new(addresses, json_string(nic->addresses[i]));
	return json_pack("{s:o, s:s, s:i, s:s, s:i, s:o, s:o, s:o, s:o}", "name",
			 describe_text(link->name), "type", nic->kind, "index", link->index,
			 "state",
			 !link->up       ? "down"
			 : link->carrier ? "up"
					 : "no carrier",
			 "mtu", (int)link->mtu, "mac", mac_json(link), "bridge",
			 text_or_null(nic->bridge), "peer", text_or_null(nic->peer), "ip_addresses",
			 addresses);
}

void nic_print_list(const struct nic_list *list, const struct cli_listing *listing)
{
	json_t *rows = json_array();

	for (unsigned i = 0; i < list->count; i++) {
		const struct nic *nic = &list->nics[i];
		json_t *row = nic_json(nic);
		char text[512] = "";
		size_t used = 0;

		for (unsigned j = 0; j < nic->address_count && used < sizeof(text); j++)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s",
						 j ? " " : "", nic->addresses[j]);
		if (!listing->json)
			json_object_set_new(row, "address_text", text_or_null(text));
		json_array_append_new(rows, row);
	}
	cli_print_result(rows, nic_columns, NULL, listing);
	json_decref(rows);
}

static json_t *offloads_json(unsigned offloads)
{
	static const struct {
		enum nic_offload offload;
		const char *name;
	} names[] = {
		{ NIC_OFFLOAD_RX_CHECKSUM, "rx-checksum" },
		{ NIC_OFFLOAD_TX_CHECKSUM, "tx-checksum" },
		{ NIC_OFFLOAD_TSO, "tso" },
		{ NIC_OFFLOAD_GSO, "gso" },
		{ NIC_OFFLOAD_GRO, "gro" },
	};
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (offloads & names[i].offload)
			json_array_append_new(list, json_string(names[i].name));
	return list;
}

/* A name, or the number where there is none. */
static json_t *owner_json(bool has, const char *name, unsigned number)
{
	char text[16];

	if (!has)
		return json_null();
	snprintf(text, sizeof(text), "%u", number);
	return json_string(name ? name : text);
}

static json_t *tap_json(const struct nic_tap *tap)
{
	const struct passwd *user = tap->has_owner ? getpwuid(tap->owner) : NULL;
	const struct group *group = tap->has_group ? getgrgid(tap->group) : NULL;

	return json_pack("{s:b, s:b, s:b, s:o, s:o, s:o}", "persistent", tap->persistent,
			 "multi_queue", tap->multi_queue, "virtio_net_header", tap->header,
			 "attached_queues",
			 tap->has_queues ? json_integer(tap->queues) : json_null(), "owner",
			 owner_json(tap->has_owner, user ? user->pw_name : NULL, tap->owner),
			 "group",
			 owner_json(tap->has_group, group ? group->gr_name : NULL, tap->group));
}

void nic_print(const struct nic *nic, const struct cli_listing *listing)
{
	json_t *object = nic_json(nic);

	json_object_set_new(object, "offloads", offloads_json(nic->offloads));
	if (!nic->tap.is_tap) {
		json_object_set_new(object, "tap", json_null());
	} else if (listing->json) {
		json_object_set_new(object, "tap", tap_json(&nic->tap));
	} else {
		json_t *tap = tap_json(&nic->tap);

		json_object_update(object, tap);
		json_decref(tap);
	}
	cli_print_result(object, NULL, NULL, listing);
	json_decref(object);
}

void nic_print_stats(const struct nic_list *list, const struct nic *nic,
		     const struct cli_listing *listing)
{
	json_t *rows = json_array();

	for (unsigned i = 0; i < list->count; i++) {
		const struct nic *each = &list->nics[i];
		const struct nic_counters *counters = &each->counters;

		if (nic && nic != each)
			continue;
		json_array_append_new(rows,
				      json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
						"name", describe_text(each->link.name),
						"rx_packets", (json_int_t)counters->rx_packets,
						"rx_bytes", (json_int_t)counters->rx_bytes,
						"rx_errors", (json_int_t)counters->rx_errors,
						"rx_dropped", (json_int_t)counters->rx_dropped,
						"tx_packets", (json_int_t)counters->tx_packets,
						"tx_bytes", (json_int_t)counters->tx_bytes,
						"tx_errors", (json_int_t)counters->tx_errors,
						"tx_dropped", (json_int_t)counters->tx_dropped));
	}
	cli_print_result(rows, nic_stats_columns, NULL, listing);
	json_decref(rows);
}
