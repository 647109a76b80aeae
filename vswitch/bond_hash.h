/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which link of a bond a frame leaves by: a hash of its headers, which is the same for all frames of a flow, so that they stay in
 * order (802.1AX-2014, 6.2.4). What is hashed is named as the policies of Linux's bonding are (xmit_hash_policy):
 *
 *	layer2		both addresses and the EtherType
 *	layer2+3	and of IP both addresses
 *	layer3+4	of IP both addresses, and of what is no fragment both ports; of all else as layer2
 *	vlan+srcmac	the VLAN and the source address: for a peer that learns addresses at each link
 *
 * Both ways of a conversation have the same value, but of the last.
 *
 * Hashes fall into buckets, and each bucket is at a link. When a link goes only its buckets move; when one comes it gets its share
 * of the others', each as soon as it was idle for a while: so what is under way on the old link arrives first.
 */
#ifndef TENON_VSWITCH_BOND_HASH_H
#define TENON_VSWITCH_BOND_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vswitch/bond_config.h"

#define BOND_BUCKETS 256
#define BOND_NOWHERE UINT16_MAX

/* Of a frame whose headers begin at `head`, of which `length` bytes are there (at least VIRTIO_NET_FRAME_MIN); `network`: where its
 * EtherType is, behind the tag of its VLAN if it has one. */
uint32_t bond_hash(enum bond_hash_kind kind, uint16_t vlan, const uint8_t *head, size_t length,
		   size_t network);

struct bond_buckets {
	uint16_t at[BOND_BUCKETS];   /* the slot of a link; BOND_NOWHERE: there is none */
	uint16_t next[BOND_BUCKETS]; /* where it is to be */
	bool used[BOND_BUCKETS];     /* since the last look; set by any thread */
	unsigned moving;             /* buckets that are not where they are to be */
};

void bond_buckets_init(struct bond_buckets *buckets);

/* These links are there now, in the order of slots. Those of links that went move at once. */
void bond_buckets_share(struct bond_buckets *buckets, const uint16_t *slots, unsigned count);

/* Moves what was not used since the last time, or (`all`) all. */
void bond_buckets_move(struct bond_buckets *buckets, bool all);

/* How many are at a link, or to be there. */
unsigned bond_buckets_at(const struct bond_buckets *buckets, uint16_t slot);

#endif
