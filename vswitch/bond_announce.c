/* SPDX-License-Identifier: BSD-2-Clause */
/* See bond_announce.h. */
#include "vswitch/bond_announce.h"

#include <stdlib.h>

#include "util/cleanup.h"
#include "vswitch/internal.h"

#define RARP_TYPE 0x8035
#define RARP_AT   VIRTIO_NET_FRAME_MIN
#define RARP_LEN  28

static void make_rarp(uint8_t frame[RARP_AT + RARP_LEN], uint64_t station)
{
	uint8_t *rarp = frame + RARP_AT;

	memset(frame, 0, RARP_AT + RARP_LEN);
	memset(frame, 0xff, 6);
	mac_to_bytes(station, frame + 6);
	put_be16(frame + VLAN_AT, RARP_TYPE);
	put_be16(rarp, 1);          /* Ethernet */
	put_be16(rarp + 2, 0x0800); /* IPv4 */
	rarp[4] = 6;
	rarp[5] = 4;
	put_be16(rarp + 6, 3); /* who has this address? */
	mac_to_bytes(station, rarp + 8);
	mac_to_bytes(station, rarp + 18);
}

/* A station that the bond's other end may hear of. */
static bool is_theirs(const struct vswitch *vswitch, const struct port *bond,
		      const struct mac_entry *entry)
{
	const struct port *port = vswitch->ports[entry->port];

	return port && port != bond && port_is_up(port) &&
	       vlan_has(&bond->config.vlan, entry->fid) && !port_is_parted(port, bond) &&
	       (!bond->config.isolation || bond->config.isolation != port->config.isolation);
}

unsigned bond_announce(struct protocol *protocol, const struct port *bond)
{
	const struct vswitch *vswitch = protocol->vswitch;
	unsigned count = mac_table_count(vswitch->table), announced = 0;
	CLEANUP_FREE struct mac_entry *entries = calloc(count + 1, sizeof(*entries));
	uint8_t frame[RARP_AT + RARP_LEN];

	if (!entries)
		return 0;
	count = mac_table_list(vswitch->table, protocol_now(protocol), entries, count);
	/* The last ones were heard last. */
	for (unsigned i = count; i-- > 0 && announced < BOND_ANNOUNCE_MOST;) {
		if (!is_theirs(vswitch, bond, &entries[i]))
			continue;
		make_rarp(frame, entries[i].mac);
		announced +=
			!protocol_send(protocol, bond->index, entries[i].fid, frame, sizeof(frame));
	}
	return announced;
}
