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

static void end_group(struct snooping_group *group)
{
	group_set_remove(&group->vlan->snooping->set, &group->entry);
	group->vlan->group_count--;
	free(group);
}

/* And its group, if it was the last. */
static void end_member(struct snooping_member *member)
{
	struct snooping_group *group = member->group;
	struct snooping *snooping = group->vlan->snooping;

	timer_disarm(&snooping->timers, &member->expire);
	timer_disarm(&snooping->timers, &member->query);
	port_set_remove(&group->entry.members, member->port);
	snooping->port_groups[member->port]--;
	list_remove(&member->node);
	free(member);
	if (list_empty(&group->members))
		end_group(group);
}

static void member_expired(struct timer *timer)
{
	struct snooping_member *member = container_of(timer, struct snooping_member, expire);

	member->group->vlan->snooping->counters.expired++;
	end_member(member);
}

static void forget_at(struct snooping_group *group, unsigned port)
{
	struct list *node = group->members.next;
	bool last = false;

	while (!last) {
		struct snooping_member *member = list_entry(node, struct snooping_member, node);

		node = node->next;
		last = node == &group->members; /* the group goes with its last member */
		if (port == SNOOPING_PORTS || member->port == port)
			end_member(member);
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

static void ask_again(struct timer *timer)
{
	struct snooping_member *member = container_of(timer, struct snooping_member, query);
	struct snooping_vlan *vlan = member->group->vlan;
	uint64_t interval = vlan->snooping->settings.last_member_interval;

	snooping_vlan_query(vlan, member->port, member->group->entry.key.group, interval);
	if (--member->queries_left)
		timer_arm(&vlan->snooping->timers, timer, vlan->snooping->now + interval);
}

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
	member->expire.expire = member_expired;
	member->query.expire = ask_again;
	list_add_tail(&group->members, &member->node);
	port_set_add(&group->entry.members, port);
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

static void join(struct snooping_vlan *vlan, struct group_address address, unsigned port,
		 unsigned version)
{
	struct snooping *snooping = vlan->snooping;
	uint64_t until = snooping->now + snooping_vlan_membership(vlan);
	struct snooping_member *member;

	if (!is_snooped(address))
		return;
	member = look_up(vlan, address, port);
	if (!member)
		member = make_member(vlan, address, port);
	if (!member) {
		snooping->counters.refused++;
		snooping_vlan_open(vlan, port, false, until);
		return;
	}
	if (version == 1 && !vlan->is_mld)
		member->v1_until = until;
	else if (version == (vlan->is_mld ? 1 : 2))
		member->v2_until = until;
	timer_disarm(&snooping->timers, &member->query);
	timer_arm(&snooping->timers, &member->expire, until);
}

/* ---- Leaving ---- */

/* Has the port asked whether there is another member; the answer makes it one again. */
static void ask(struct snooping_member *member)
{
	struct snooping_vlan *vlan = member->group->vlan;
	struct snooping *snooping = vlan->snooping;
	const struct snooping_settings *settings = &snooping->settings;
	uint64_t until = snooping->now + settings->robustness * settings->last_member_interval;

	/* Another querier asks, when it hears of the leave. */
	if (!snooping_vlan_is_ours(vlan) || member->query.place || member->expire.when <= until)
		return;
	timer_arm(&snooping->timers, &member->expire, until);
	member->queries_left = settings->robustness;
	ask_again(&member->query);
}

static void heard_leave(struct snooping_vlan *vlan, struct group_address address, unsigned port)
{
	struct snooping_member *member = look_up(vlan, address, port);

	if (!member || member->v1_until > vlan->snooping->now)
		return;
	if (vlan->snooping->ports[port].fast_leave)
		end_member(member);
	else
		ask(member);
}

static void block(struct snooping_vlan *vlan, struct group_address address, unsigned port)
{
	struct snooping_member *member = look_up(vlan, address, port);
	uint64_t now = vlan->snooping->now;

	if (member && member->v1_until <= now && member->v2_until <= now)
		ask(member);
}

static void heard_record(struct snooping_vlan *vlan, unsigned port, unsigned version,
			 const struct group_record *record)
{
	switch (record->type) {
	case GROUP_IS_EXCLUDE:
	case GROUP_TO_EXCLUDE:
	case GROUP_ALLOW:
		join(vlan, record->group, port, version);
		break;
	case GROUP_IS_INCLUDE:
	case GROUP_TO_INCLUDE:
		if (record->source_count)
			join(vlan, record->group, port, version);
		else if (record->type == GROUP_TO_INCLUDE)
			heard_leave(vlan, record->group, port);
		break;
	case GROUP_BLOCK:
		block(vlan, record->group, port);
		break;
	default: /* RFC 3376, 4.2.12: ignored */
		break;
	}
}

/*
 * A frame may have a thousand records, and each costs all ports a moment: so many of a port in a second, at once those of one. A
 * network of hosts says less.
 */
#define RECORD_RATE     10000u
#define RECORD_INTERVAL (SNOOPING_SECOND / RECORD_RATE)

static bool record_allowed(struct snooping *snooping, unsigned port)
{
	uint64_t *next = &snooping->record_next[port];

	if (*next > snooping->now + SNOOPING_SECOND)
		return false;
	*next = MAX(*next, snooping->now) + RECORD_INTERVAL;
	return true;
}

void snooping_heard_members(struct snooping_vlan *vlan, unsigned port,
			    const struct group_message *message)
{
	const uint8_t *at = message->records;

	if (message->kind == GROUP_LEAVE)
		heard_leave(vlan, message->group, port);
	else if (!message->records)
		join(vlan, message->group, port, message->version);
	for (unsigned i = 0; i < message->record_count; i++) {
		struct group_record record;

		if (!record_allowed(vlan->snooping, port)) {
			vlan->snooping->counters.refused += message->record_count - i;
			snooping_vlan_open(vlan, port, false,
					   vlan->snooping->now + snooping_vlan_membership(vlan));
			return;
		}
		group_record_next(message, &at, &record);
		heard_record(vlan, port, message->version, &record);
	}
}

void snooping_lower_members(struct snooping_vlan *vlan, const struct group_message *message)
{
	struct snooping *snooping = vlan->snooping;
	const struct snooping_settings *settings = &snooping->settings;
	uint64_t response = MAX(message->response_ns, settings->last_member_interval);
	struct snooping_group *group = find_group(vlan, message->group);
	uint64_t until = snooping->now + settings->robustness * response;

	/* A query for sources has no answer from who wants others. */
	if (!group || message->suppress || message->source_count ||
	    !snooping_vlan_is_by_querier(vlan, message))
		return;
	list_for_each(node, &group->members) {
		struct snooping_member *member = list_entry(node, struct snooping_member, node);

		if (member->v1_until <= snooping->now && member->expire.when > until)
			timer_arm(&snooping->timers, &member->expire, until);
	}
}
