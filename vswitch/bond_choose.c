/* SPDX-License-Identifier: BSD-2-Clause */
/* Which link of a bond a frame leaves by; see bond.h. On any thread. */
#include "vswitch/bond.h"
#include "vswitch/internal.h"

static uint32_t hash_entry(const struct bond *bond, const struct egress_entry *entry)
{
	const struct iovec *head = &entry->frame->pieces[0];
	size_t network = VLAN_AT + (entry->tag == FRAME_UNTAGGED ? 0 : VLAN_TAG_SIZE);

	return bond_hash(bond->port.config.bond.hash, entry->vlan, head->iov_base, head->iov_len,
			 network);
}

struct port *bond_choose_link(struct bond *bond, const struct egress_entry *entry)
{
	const struct vswitch *vswitch = bond->port.vswitch;
	uint32_t hash = hash_entry(bond, entry);
	unsigned bucket = hash % BOND_BUCKETS;
	uint16_t slot = bond->buckets.at[bucket];
	struct port *link;

	if (slot == BOND_NOWHERE)
		return NULL;
	if (!__atomic_load_n(&bond->buckets.used[bucket], __ATOMIC_RELAXED))
		__atomic_store_n(&bond->buckets.used[bucket], true, __ATOMIC_RELAXED);
	link = vswitch->ports[slot];
	/* It went down, and nobody was told yet. */
	for (unsigned i = 0; !port_is_up(link) && i < bond->carrier_count; i++)
		link = vswitch->ports[bond->carriers[(hash / BOND_BUCKETS + i) %
						     bond->carrier_count]];
	return port_is_up(link) ? link : NULL;
}
