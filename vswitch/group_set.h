/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What forwarding knows of groups: which ports a frame to one goes to. Written between rounds only, by snooping.c; read by all
 * threads in rounds, without a lock and without a write.
 *
 * Where ports named sources (IGMPv3, MLDv2) it goes by the frame's source, too; groups of which none was named cost no look-up for that.
 *
 * Groups are told apart by their IP addresses, as RFC 4541 would rather have it: 32 groups of IPv4 share a MAC address. What is
 * for everybody stays so: 224.0.0.0/24, ff02::1 and what has not even the scope of a link, frames that are no IP, and those
 * whose two addresses do not belong together.
 */
#ifndef TENON_VSWITCH_GROUP_SET_H
#define TENON_VSWITCH_GROUP_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vswitch/group_message.h"

#define GROUP_SET_PORTS 256
#define GROUP_SET_VLANS 4096

struct port_set {
	uint64_t bits[GROUP_SET_PORTS / 64];
};

static inline void port_set_add(struct port_set *set, unsigned port)
{
	set->bits[port / 64] |= 1ULL << port % 64;
}

static inline void port_set_remove(struct port_set *set, unsigned port)
{
	set->bits[port / 64] &= ~(1ULL << port % 64);
}

static inline bool port_set_has(const struct port_set *set, unsigned port)
{
	return set->bits[port / 64] >> port % 64 & 1;
}

static inline bool port_set_is_empty(const struct port_set *set)
{
	return !(set->bits[0] | set->bits[1] | set->bits[2] | set->bits[3]);
}

static inline void port_set_unite(struct port_set *restrict out, const struct port_set *a,
				  const struct port_set *b)
{
#pragma GCC unroll 4
	for (unsigned i = 0; i < GROUP_SET_PORTS / 64; i++)
		out->bits[i] = a->bits[i] | b->bits[i];
}

struct group_key {
	struct group_address group;
	uint16_t vlan;
};

/* A group of a VLAN; embedded in what else is known of it. */
struct group_entry {
	struct group_key key;
	struct group_entry *chain;
	unsigned source_count;   /* of its group_sources */
	struct port_set members; /* that want what no source says otherwise of */
};

/* A source of a group that ports have named; one that no port has any more is to be removed. */
struct group_source {
	struct group_entry *group;
	struct group_address address;
	struct group_source *chain;
	struct port_set wants,
		blocks; /* a port is in one of them at most; who wants needs not be a member */
	bool named;     /* the owner's */
};

/* Of a VLAN and family. */
struct group_policy {
	bool trusted;           /* memberships count */
	bool drop_unknown;      /* what no port reported goes to `always` only */
	struct port_set always; /* ports that get every group */
};

struct group_set {
	uint64_t hash_key;
	unsigned mask; /* of the buckets */
	unsigned count;
	struct group_entry **buckets;
	struct group_source **sources; /* of all groups; as many buckets */
	const struct group_policy
		*policies[2][GROUP_SET_VLANS]; /* of IPv4, IPv6; NULL: all is flooded */
};

/* -ENOMEM. `groups`: about how many there may be. */
int group_set_init(struct group_set *set, unsigned groups, uint64_t seed);
void group_set_finish(struct group_set *set);

struct group_entry *group_set_find(const struct group_set *set, const struct group_key *key);
void group_set_insert(struct group_set *set, struct group_entry *entry);
void group_set_remove(struct group_set *set, struct group_entry *entry);

struct group_source *group_source_find(const struct group_set *set, const struct group_entry *group,
				       struct group_address address);
void group_source_insert(struct group_set *set, struct group_source *source);
void group_source_remove(struct group_set *set, struct group_source *source);

/*
 * Where a frame to a group's address goes, besides not to where it came from: true, and the ports in *out; false: everywhere.
 * `head` is its first 64 bytes, or all of a shorter one; behind `at` bytes is its EtherType.
 */
bool group_set_look(const struct group_set *set, uint16_t vlan, const uint8_t *head, size_t at,
		    size_t length, struct port_set *out);

#endif
