/* SPDX-License-Identifier: BSD-2-Clause */
/* Groups and their members; see snooping.h and snooping_internal.h. */
#include <stdlib.h>

#include "util/bytes.h"
#include "vswitch/snooping_internal.h"

static struct snooping_group *find_group(const struct snooping_vlan *vlan,
					 struct group_address address)
{
	struct group_key key = { address, vlan->vlan };

	return (struct snooping_group *)group_set_find(&vlan->snooping->set, &key);
}

static struct snooping_member *find_member(const struct snooping_group *group, unsigned port)
{
	list_for_each(node, &group->members) {
		struct snooping_member *member = list_entry(node, struct snooping_member, node);

		if (member->port == port)
			return member;
	}
	return NULL;
}

/* ---- Ending ---- */

static void forget_at(struct snooping_group *group, unsigned port)
{
	struct list *node = group->members.next;
	bool last = false;

	while (!last) {
		struct snooping_member *member = list_entry(node, struct snooping_member, node);

		node = node->next;
		last = node == &group->members; /* the group goes with its last member */
		if (port == SNOOPING_PORTS || member->port == port)
			snooping_end_member(member);
	}
}

void snooping_forget_members(struct snooping_vlan *vlan, unsigned port)
{
	const struct group_set *set = &vlan->snooping->set;

	if (port < SNOOPING_PORTS && !vlan->snooping->port_groups[port])
		return;
	for (unsigned i = 0; vlan->group_count && i <= set->mask; i++) {
		struct group_entry *entry = set->buckets[i], *next;

		for (; entry; entry = next) {
			struct snooping_group *group = (struct snooping_group *)entry;

			next = entry->chain;
			if (group->vlan == vlan)
				forget_at(group, port);
		}
	}
}

/* ---- Joining ---- */

static struct snooping_group *make_group(struct snooping_vlan *vlan, struct group_address address)
{
	struct snooping *snooping = vlan->snooping;
	struct snooping_group *group =
		snooping->set.count < snooping->settings.groups ? calloc(1, sizeof(*group)) : NULL;

	if (!group)
		return NULL;
	group->entry.key = (struct group_key){ address, vlan->vlan };
	group->vlan = vlan;
	list_init(&group->members);
	group_set_insert(&snooping->set, &group->entry);
	vlan->group_count++;
	return group;
}

static bool port_has_enough(const struct snooping *snooping, unsigned port)
{
	unsigned most = snooping->ports[port].groups ? snooping->ports[port].groups
						     : snooping->settings.groups_per_port;

	return snooping->port_groups[port] >= most;
}

static struct snooping_member *make_member(struct snooping_vlan *vlan, struct group_address address,
					   unsigned port)
{
	struct snooping *snooping = vlan->snooping;
	struct snooping_member *member =
		port_has_enough(snooping, port) ? NULL : calloc(1, sizeof(*member));
	struct snooping_group *group;

	if (!member)
		return NULL;
	group = find_group(vlan, address);
	if (!group)
		group = make_group(vlan, address);
	if (!group) {
		free(member);
		return NULL;
	}
	member->group = group;
	member->port = port;
	snooping_begin_sources(member);
	list_add_tail(&group->members, &member->node);
	snooping->port_groups[port]++;
	return member;
}

/* What is for everybody anyway has no members. */
static bool is_snooped(struct group_address group)
{
	if (group_address_is_v4(group))
		return (uint32_t)group.low >> 8 != 0xe00000;
	return (group.high >> 48 & 15) > 1 && !(group.high == 0xff02000000000000 && group.low == 1);
}

static struct snooping_member *look_up(const struct snooping_vlan *vlan,
				       struct group_address address, unsigned port)
{
	const struct snooping_group *group = find_group(vlan, address);

	return group ? find_member(group, port) : NULL;
}

/* NULL: it is one too many, and gets all groups. */
static struct snooping_member *get_member(struct snooping_vlan *vlan, struct group_address address,
					  unsigned port)
{
	struct snooping_member *member = look_up(vlan, address, port);

	if (!member)
		member = make_member(vlan, address, port);
	if (!member) {
		vlan->snooping->counters.refused++;
		snooping_vlan_open(vlan, port, false,
				   vlan->snooping->now + snooping_vlan_membership(vlan));
	}
	return member;
}

/* ---- Records ---- */

/*
 * Where hosts of older versions are, what only newer ones say takes nothing from them: RFC 3376, 7.3.2; RFC 3810, 8.3.2. What they
 * want is heard all the same. False: nothing is left of the record.
 */
static bool heed_old_hosts(const struct snooping_member *member, uint64_t now,
			   struct group_record *record)
{
	bool v1 = member->v1_until > now;

	if (!v1 && member->v2_until <= now)
		return true;
	if (record->type == GROUP_IS_EXCLUDE || record->type == GROUP_TO_EXCLUDE)
		record->source_count = 0;
	else if (record->type == GROUP_TO_INCLUDE && v1)
		record->type = GROUP_IS_INCLUDE;
	return record->type != GROUP_BLOCK;
}

/* Where no sources are kept: what wants some wants all. */
static void forget_list(struct group_record *record)
{
	if (record->source_count)
		record->type = GROUP_IS_EXCLUDE;
	record->source_count = 0;
}

/* Whether the record may make a member. */
static bool has_wishes(const struct group_record *record)
{
	return record->type == GROUP_IS_EXCLUDE || record->type == GROUP_TO_EXCLUDE ||
	       (record->type != GROUP_BLOCK && record->source_count);
}

static void heard_record(struct snooping_vlan *vlan, unsigned port, struct group_record *record)
{
	struct snooping *snooping = vlan->snooping;
	struct snooping_member *member;
	bool too_many;

	/* RFC 3376, 4.2.12: other types are ignored. */
	if (!is_snooped(record->group) || !record->type || record->type > GROUP_BLOCK)
		return;
	member = has_wishes(record) ? get_member(vlan, record->group, port)
				    : look_up(vlan, record->group, port);
	if (!member || !heed_old_hosts(member, snooping->now, record))
		return;
	too_many = record->source_count > snooping->settings.sources_per_group;
	if (!snooping_keeps_sources(vlan) || member->wide_until > snooping->now) {
		if (record->type == GROUP_BLOCK) {
			snooping_ask_group(member);
			snooping_ask_now(member);
			return;
		}
		forget_list(record);
	} else if (too_many) {
		snooping_widen(member);
		return;
	}
	snooping_change_member(member, record);
}

/* What only knows all of a group. */
static void heard_plain(struct snooping_vlan *vlan, unsigned port,
			const struct group_message *message)
{
	struct snooping *snooping = vlan->snooping;
	bool leaves = message->kind == GROUP_LEAVE;
	struct group_record record = { .type = leaves ? GROUP_TO_INCLUDE : GROUP_IS_EXCLUDE,
				       .group = message->group };
	struct snooping_member *member;
	uint64_t until = snooping->now + snooping_vlan_membership(vlan);

	heard_record(vlan, port, &record);
	member = leaves ? NULL : look_up(vlan, message->group, port);
	if (!member)
		return;
	if (message->version == 1 && !vlan->is_mld)
		member->v1_until = until;
	else
		member->v2_until = until;
}

/*
 * A frame may have a thousand records, and each costs all ports a moment, as do its sources: so many of a port in a second, at once those of
 * one. A network of hosts says less.
 */
#define RECORD_RATE     10000u
#define RECORD_INTERVAL (SNOOPING_SECOND / RECORD_RATE)
#define RECORD_SOURCES  8 /* that cost as much as a record */

static bool may_cost(struct snooping *snooping, unsigned port, unsigned sources)
{
	uint64_t *next = &snooping->record_next[port];

	if (*next > snooping->now + SNOOPING_SECOND)
		return false;
	*next = MAX(*next, snooping->now) + (1 + sources / RECORD_SOURCES) * RECORD_INTERVAL;
	return true;
}

void snooping_heard_members(struct snooping_vlan *vlan, unsigned port,
			    const struct group_message *message)
{
	unsigned of_group = vlan->snooping->settings.sources_per_group;
	const uint8_t *at = message->records;

	if (!message->records)
		heard_plain(vlan, port, message);
	for (unsigned i = 0; i < message->record_count; i++) {
		struct group_record record;

		group_record_next(message, &at, &record);
		if (!may_cost(vlan->snooping, port, MIN(record.source_count, of_group))) {
			vlan->snooping->counters.refused += message->record_count - i;
			snooping_vlan_open(vlan, port, false,
					   vlan->snooping->now + snooping_vlan_membership(vlan));
			return;
		}
		heard_record(vlan, port, &record);
	}
}

void snooping_lower_members(struct snooping_vlan *vlan, unsigned port,
			    const struct group_message *message)
{
	struct snooping *snooping = vlan->snooping;
	const struct snooping_settings *settings = &snooping->settings;
	uint64_t response = MAX(message->response_ns, settings->last_member_interval);
	struct snooping_group *group = find_group(vlan, message->group);
	uint64_t until = snooping->now + snooping_vlan_robustness(vlan) * response;

	if (!group || message->suppress || !snooping_vlan_is_by_querier(vlan, message))
		return;
	/* A query for sources has no answer from who wants others. */
	if (message->source_count) {
		if (may_cost(snooping, port, message->source_count))
			snooping_lower_sources(group, message, until);
		return;
	}
	list_for_each(node, &group->members) {
		struct snooping_member *member = list_entry(node, struct snooping_member, node);

		if (member->exclude && member->v1_until <= snooping->now &&
		    member->expire.when > until)
			timer_arm(&snooping->timers, &member->expire, until);
	}
}
