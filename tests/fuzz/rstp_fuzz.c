/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a hostile neighbour says to a spanning tree. The input is a row of steps: a byte that says which port and what (seconds
 * that pass, a link that comes and goes, or a message), and for messages their length and bytes. All machines must come to rest, and
 * ports obey what the standard says of all states.
 */
#include <stdlib.h>

#include "util/bytes.h"
#include "vswitch/rstp.h"

#define PORTS 4

static void count_message(struct rstp_bridge *bridge, unsigned number, const uint8_t *bytes,
			  size_t length)
{
	struct rstp_bpdu bpdu;

	(void)bridge, (void)number;
	/* Another bridge would understand it, unless what holds is as old as it may be. */
	if (!rstp_bpdu_decode(&bpdu, bytes, length) && bytes[6] != RSTP_BPDU_CONFIG)
		abort();
}

static void check_state(struct rstp_bridge *bridge, unsigned number, bool learning, bool forwarding)
{
	(void)bridge, (void)number;
	if (forwarding && !learning)
		abort();
}

static void nothing(struct rstp_bridge *bridge, unsigned number)
{
	(void)bridge, (void)number;
}

static const struct rstp_ops fuzz_ops = {
	.send = count_message, .set_state = check_state, .flush = nothing, .guarded = nothing
};

static void check(struct rstp_bridge *bridge)
{
	unsigned roots = 0;

	rstp_each_port(bridge, port)
	{
		roots += port->role == RSTP_ROOT;
		if (port->forwarding && (port->role != RSTP_ROOT && port->role != RSTP_DESIGNATED))
			abort();
		if (port->tx_count > bridge->config.tx_hold || !port->selected || port->updt_info)
			abort();
	}
	if (roots > 1 || (roots == 1) == rstp_is_root(bridge))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rstp_bridge bridge;
	static const struct rstp_port_config plain[PORTS] = {
		{ 0 }, { .root_guard = true }, { .edge = RSTP_YES }, { .point_to_point = RSTP_NO }
	};
	struct rstp_config config = rstp_config_default();
	size_t at = 1;

	if (!size)
		return 0;
	bridge = (struct rstp_bridge){ 0 };
	config.address = 0x020000000001;
	config.legacy = data[0] & 1;
	rstp_bridge_begin(&bridge, &fuzz_ops, &config);
	for (unsigned i = 0; i < PORTS; i++) {
		rstp_port_add(&bridge, i, &plain[i], 1000000000);
		rstp_port_link(&bridge, i, true);
	}
	while (at < size) {
		unsigned step = data[at++], number = step % PORTS;

		switch (step >> 6) {
		case 0:
			for (unsigned i = 0; i <= (step >> 2 & 15); i++)
				rstp_tick(&bridge);
			break;
		case 1:
			rstp_port_link(&bridge, number, step & 4);
			break;
		default: {
			size_t length = at < size ? MIN((size_t)data[at], size - at - 1) : 0;

			at++;
			rstp_receive(&bridge, number, data + MIN(at, size), length);
			at += length;
		}
		}
		check(&bridge);
	}
	return 0;
}
