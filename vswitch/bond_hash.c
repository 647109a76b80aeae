/* SPDX-License-Identifier: BSD-2-Clause */
/* See bond_hash.h. */
#include "vswitch/bond_hash.h"

#include <string.h>

#include "util/bytes.h"
#include "util/random.h"
#include "vswitch/mac_table.h"

#define TYPE_IPV4 0x0800
#define TYPE_IPV6 0x86dd

#define IPV4_LEAST    20
#define IPV4_FRAGMENT 0x3fff /* more fragments, or an offset */
#define IPV6_LEN      40
#define PORTS_LEN     4

enum { PROTOCOL_TCP = 6, PROTOCOL_UDP = 17, PROTOCOL_DCCP = 33, PROTOCOL_SCTP = 132 };

static bool has_ports(uint8_t protocol)
{
	return protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP || protocol == PROTOCOL_DCCP ||
	       protocol == PROTOCOL_SCTP;
}

/* Both ports, either way the same. */
static uint64_t ports_of(const uint8_t *at)
{
	return (uint64_t)(get_be16(at) ^ get_be16(at + 2)) << 40;
}

/* Of IP, else false. */
static bool hash_ip(const uint8_t *head, size_t length, size_t network, bool with_ports,
		    uint64_t *value)
{
	uint16_t type = get_be16(head + network);
	const uint8_t *ip = head + network + 2;
	size_t left = length - network - 2, transport;
	uint8_t protocol;

	if (type == TYPE_IPV4 && left >= IPV4_LEAST) {
		*value = get_be32(ip + 12) ^ get_be32(ip + 16);
		protocol = get_be16(ip + 6) & IPV4_FRAGMENT ? 0 : ip[9];
		transport = (size_t)(ip[0] & 0xf) * 4;
		if (transport < IPV4_LEAST)
			return true;
	} else if (type == TYPE_IPV6 && left >= IPV6_LEN) {
		/* One number of both, in which a change of either address is seen. */
		uint64_t from = get_be64(ip + 8) ^ random_mix(get_be64(ip + 16));
		uint64_t to = get_be64(ip + 24) ^ random_mix(get_be64(ip + 32));

		*value = from ^ to;
		protocol = ip[6];
		transport = IPV6_LEN;
	} else {
		return false;
	}
	if (with_ports && has_ports(protocol) && left >= transport + PORTS_LEN)
		*value ^= ports_of(ip + transport);
	return true;
}

uint32_t bond_hash(enum bond_hash_kind kind, uint16_t vlan, const uint8_t *head, size_t length,
		   size_t network)
{
	uint64_t from = mac_from_bytes(head + 6), value = from ^ mac_from_bytes(head), ip = 0;
	bool has_type = length >= network + 2;

	if (kind == BOND_VLAN_SOURCE)
		return (uint32_t)random_mix(from ^ (uint64_t)vlan << 48);
	if (kind != BOND_LAYER2 && has_type &&
	    hash_ip(head, length, network, kind == BOND_LAYER34, &ip))
		value = kind == BOND_LAYER34 ? ip : value ^ random_mix(ip);
	else if (has_type)
		value ^= (uint64_t)get_be16(head + network) << 48;
	return (uint32_t)random_mix(value);
}

/* ---- Buckets ---- */

void bond_buckets_init(struct bond_buckets *buckets)
{
	*buckets = (struct bond_buckets){ 0 };
	for (unsigned i = 0; i < BOND_BUCKETS; i++)
		buckets->at[i] = buckets->next[i] = BOND_NOWHERE;
}

static unsigned place_among(uint16_t slot, const uint16_t *slots, unsigned count)
{
	unsigned at = 0;

	while (at < count && slots[at] != slot)
		at++;
	return at;
}

static unsigned least_of(const unsigned *shares, unsigned count)
{
	unsigned least = 0;

	for (unsigned i = 1; i < count; i++)
		if (shares[i] < shares[least])
			least = i;
	return least;
}

void bond_buckets_share(struct bond_buckets *buckets, const uint16_t *slots, unsigned count)
{
	unsigned shares[BOND_LINKS_MAX] = { 0 };
	unsigned most = count ? (BOND_BUCKETS + count - 1) / count : 0;

	count = MIN(count, (unsigned)BOND_LINKS_MAX);
	buckets->moving = 0;
	/* Who has no more than its share keeps it. */
	for (unsigned i = 0; i < BOND_BUCKETS; i++) {
		unsigned place = place_among(buckets->next[i], slots, count);

		if (place == count || shares[place] >= most)
			buckets->next[i] = BOND_NOWHERE;
		else
			shares[place]++;
	}
	for (unsigned i = 0; i < BOND_BUCKETS; i++) {
		if (count && buckets->next[i] == BOND_NOWHERE) {
			unsigned least = least_of(shares, count);

			buckets->next[i] = slots[least];
			shares[least]++;
		}
		if (place_among(buckets->at[i], slots, count) == count)
			buckets->at[i] = buckets->next[i];
		buckets->moving += buckets->at[i] != buckets->next[i];
		buckets->used[i] = true; /* so that it is looked at for a whole while first */
	}
}

void bond_buckets_move(struct bond_buckets *buckets, bool all)
{
	buckets->moving = 0;
	for (unsigned i = 0; i < BOND_BUCKETS; i++) {
		if (all || !buckets->used[i])
			buckets->at[i] = buckets->next[i];
		buckets->used[i] = false;
		buckets->moving += buckets->at[i] != buckets->next[i];
	}
}

unsigned bond_buckets_at(const struct bond_buckets *buckets, uint16_t slot)
{
	unsigned count = 0;

	for (unsigned i = 0; i < BOND_BUCKETS; i++)
		count += buckets->next[i] == slot;
	return count;
}
