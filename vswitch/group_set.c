/* SPDX-License-Identifier: BSD-2-Clause */
/* Groups and their ports; see group_set.h. */
#include "vswitch/group_set.h"

#include <errno.h>
#include <stdlib.h>

#include "util/bytes.h"
#include "util/random.h"

int group_set_init(struct group_set *set, unsigned groups, uint64_t seed)
{
	unsigned buckets = 64;

	while (buckets < groups && buckets < 1u << 20)
		buckets *= 2;
	*set = (struct group_set){ .hash_key = random_mix(seed + 0x9e3779b97f4a7c15ULL),
				   .mask = buckets - 1 };
	set->buckets = calloc(buckets, sizeof(struct group_entry *));
	set->sources = calloc(buckets, sizeof(struct group_source *));
	if (set->buckets && set->sources)
		return 0;
	group_set_finish(set);
	return -ENOMEM;
}

void group_set_finish(struct group_set *set)
{
	free(set->buckets);
	free(set->sources);
}

static struct group_entry **chain_of(const struct group_set *set, const struct group_key *key)
{
	uint64_t hash = random_mix(key->group.high ^ set->hash_key) + key->vlan;

	return &set->buckets[random_mix(hash ^ key->group.low) & set->mask];
}

static bool same_key(const struct group_key *a, const struct group_key *b)
{
	return a->vlan == b->vlan && group_address_same(a->group, b->group);
}

struct group_entry *group_set_find(const struct group_set *set, const struct group_key *key)
{
	struct group_entry *entry = *chain_of(set, key);

	while (entry && !same_key(&entry->key, key))
		entry = entry->chain;
	return entry;
}

void group_set_insert(struct group_set *set, struct group_entry *entry)
{
	struct group_entry **first = chain_of(set, &entry->key);

	entry->chain = *first;
	*first = entry;
	set->count++;
}

void group_set_remove(struct group_set *set, struct group_entry *entry)
{
	struct group_entry **link = chain_of(set, &entry->key);

	while (*link != entry)
		link = &(*link)->chain;
	*link = entry->chain;
	set->count--;
}

/* ---- Sources ---- */

static struct group_source **chain_of_source(const struct group_set *set,
					     const struct group_entry *group,
					     struct group_address address)
{
	uint64_t hash = random_mix(address.high ^ set->hash_key) + (uintptr_t)group;

	return &set->sources[random_mix(hash ^ address.low) & set->mask];
}

struct group_source *group_source_find(const struct group_set *set, const struct group_entry *group,
				       struct group_address address)
{
	struct group_source *source = *chain_of_source(set, group, address);

	while (source && (source->group != group || !group_address_same(source->address, address)))
		source = source->chain;
	return source;
}

void group_source_insert(struct group_set *set, struct group_source *source)
{
	struct group_source **first = chain_of_source(set, source->group, source->address);

	source->chain = *first;
	*first = source;
	source->group->source_count++;
}

void group_source_remove(struct group_set *set, struct group_source *source)
{
	struct group_source **link = chain_of_source(set, source->group, source->address);

	while (*link != source)
		link = &(*link)->chain;
	*link = source->chain;
	source->group->source_count--;
}

/* ---- Frames ---- */

/* The group of a frame of IPv4 (0) or IPv6 (1), whose MAC address is that group's; false: for everybody, or none of these. */
static bool group_of(const uint8_t *head, size_t at, size_t length, unsigned *family,
		     struct group_address *group)
{
	const uint8_t *ip = head + at + 2;
	uint16_t type = get_be16(head + at);
	uint32_t low = get_be32(head + 2);

	if (type == 0x0800 && length >= at + 2 + 20) {
		uint32_t address = get_be32(ip + 16);

		*family = 0;
		*group = group_address_v4(address);
		return get_be16(head) == 0x0100 && low >> 24 == 0x5e && address >> 28 == 0xe &&
		       (low & 0xffffff) == (address & 0x7fffff) && address >> 8 != 0xe00000;
	}
	if (type == 0x86dd && length >= at + 2 + 40) {
		*family = 1;
		*group = (struct group_address){ get_be64(ip + 24), get_be64(ip + 32) };
		/* The scope is the low half of the second byte: 1 is an interface's. */
		return get_be16(head) == 0x3333 && ip[24] == 0xff && (ip[25] & 15) > 1 &&
		       low == (uint32_t)group->low &&
		       !(group->high == 0xff02000000000000 && group->low == 1);
	}
	return false;
}

/* The members for whom the frame's source is. */
static void __attribute__((noinline))
look_by_source(const struct group_set *set, const struct group_policy *policy,
	       const struct group_entry *entry, const uint8_t *ip, struct port_set *out)
{
	struct group_address address =
		group_address_is_v4(entry->key.group)
			? group_address_v4(get_be32(ip + 12))
			: (struct group_address){ get_be64(ip + 8), get_be64(ip + 16) };
	const struct group_source *source = group_source_find(set, entry, address);

	port_set_unite(out, &policy->always, &entry->members);
	for (unsigned i = 0; source && i < GROUP_SET_PORTS / 64; i++)
		out->bits[i] = policy->always.bits[i] | source->wants.bits[i] |
			       (entry->members.bits[i] & ~source->blocks.bits[i]);
}

bool group_set_look(const struct group_set *set, uint16_t vlan, const uint8_t *head, size_t at,
		    size_t length, struct port_set *out)
{
	const struct group_policy *policy;
	const struct group_entry *entry;
	struct group_key key = { .vlan = vlan };
	unsigned family;

	if (vlan >= GROUP_SET_VLANS || !group_of(head, at, length, &family, &key.group))
		return false;
	policy = set->policies[family][vlan];
	if (!policy || !policy->trusted)
		return false;
	entry = group_set_find(set, &key);
	if (!entry && !policy->drop_unknown)
		return false;
	if (!entry)
		*out = policy->always;
	else if (__builtin_expect(entry->source_count, 0))
		look_by_source(set, policy, entry, head + at + 2, out);
	else
		port_set_unite(out, &policy->always, &entry->members);
	return true;
}
