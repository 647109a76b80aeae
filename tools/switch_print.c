/* SPDX-License-Identifier: BSD-2-Clause */
/* What a switch says, as tables; see switch.h. */
#include <inttypes.h>
#include <stdio.h>

#include "tools/output.h"
#include "tools/switch.h"

/* "no_buffer 12, too_long 3" */
static void add_drop_text(json_t *port)
{
	const char *reason;
	json_t *count;
	char text[512] = "";
	size_t used = 0;

	json_object_foreach(json_object_get(port, "drops"), reason, count)
		if (used < sizeof(text))
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s %" PRId64,
						 used ? ", " : "", reason,
						 (int64_t)json_integer_value(count));
	json_object_set_new(port, "drop_text", json_string(used ? text : "0"));
}

const struct cli_column switch_port_columns[] = {
	{ "PORT", "name", CLI_AS_TEXT },
	{ "STATE", "state", CLI_AS_STATE },
	{ "SETTINGS", "settings", CLI_AS_TEXT },
	{ "TYPE", "type", CLI_AS_TEXT, 3 },
	{ "WHERE", "where", CLI_AS_PATH, 1 },
	{ "FEATURES", "features", CLI_AS_TEXT, 2 },
	{ NULL },
};

void switch_print_ports(json_t *ports, const struct cli_listing *listing)
{
	cli_print_rows(ports, switch_port_columns, listing);
}

const struct cli_column switch_counter_columns[] = {
	{ "PORT", "name", CLI_AS_TEXT },
	{ "RX FRAMES", "rx_frames", CLI_AS_TEXT },
	{ "RX BYTES", "rx_bytes", CLI_AS_TEXT, 1 },
	{ "TX FRAMES", "tx_frames", CLI_AS_TEXT },
	{ "TX BYTES", "tx_bytes", CLI_AS_TEXT, 2 },
	{ "FLOODED", "flooded", CLI_AS_TEXT, 3 },
	{ "TAKEN", "taken", CLI_AS_TEXT, 4 },
	{ "DROPPED", "drop_text", CLI_AS_NOTE },
	{ NULL },
};

void switch_print_counters(json_t *ports, const struct cli_listing *listing)
{
	json_t *port;
	size_t index;

	json_array_foreach(ports, index, port)
		add_drop_text(port);
	cli_print_rows(ports, switch_counter_columns, listing);
}

const struct cli_column switch_address_columns[] = {
	{ "ADDRESS", "address", CLI_AS_TEXT },
	{ "VLAN", "vlan", CLI_AS_TEXT },
	{ "PORT", "port", CLI_AS_TEXT },
	{ "AGE, S", "age_text", CLI_AS_TEXT },
	{ NULL },
};

void switch_print_addresses(json_t *addresses, const struct cli_listing *listing)
{
	json_t *address;
	size_t index;

	json_array_foreach(addresses, index, address) {
		json_t *age = json_object_get(address, "age_seconds");

		json_object_set(address, "age_text",
				json_is_integer(age) ? age : json_object_get(address, "kind"));
	}
	cli_print_rows(addresses, switch_address_columns, listing);
}
