/* SPDX-License-Identifier: BSD-2-Clause */
/* Looking at what snooping knows; see snooping.h. */
#include "util/bytes.h"
#include "vswitch/snooping_internal.h"

const struct snooping_counters *snooping_counters(const struct snooping *snooping)
{
	return &snooping->counters;
}

void snooping_each_vlan(const struct snooping *snooping,
			void (*each)(void *arg, const struct snooping_vlan_status *status),
			void *arg)
{
	const struct snooping_vlan *vlan;

	SNOOPING_EACH_VLAN(snooping, vlan)
	{
		bool other = vlan->other.place != 0;

		each(arg, &(struct snooping_vlan_status){
				  .vlan = vlan->vlan,
				  .is_mld = vlan->is_mld,
				  .trusted = vlan->policy.trusted,
				  .ours = snooping_vlan_is_ours(vlan),
				  .other = other,
				  .querier = other ? vlan->querier : snooping_our_address(vlan),
				  .querier_port = vlan->querier_port,
				  .querier_until = other ? vlan->other.when : TIMER_NEVER,
			  });
	}
}

void snooping_each_router(const struct snooping *snooping,
			  void (*each)(void *arg, const struct snooping_router_status *status),
			  void *arg)
{
	const struct snooping_vlan *vlan;

	SNOOPING_EACH_VLAN(snooping, vlan)
	list_for_each(node, &vlan->open_ports) {
		const struct snooping_open_port *open =
			list_entry(node, struct snooping_open_port, node);

		each(arg, &(struct snooping_router_status){ .vlan = vlan->vlan,
							    .is_mld = vlan->is_mld,
							    .port = open->port,
							    .until = open->expire.when,
							    .overflow = !open->is_router });
	}
}

static const struct snooping_source *source_at(const struct list *node)
{
	return list_entry(node, struct snooping_source, node);
}

/* It, or a source, is asked for, and nobody has answered yet: the round of queries goes on after that. */
static bool asks_still(const struct snooping *snooping, const struct snooping_member *member)
{
	uint64_t until = snooping_until_asked(snooping);
	bool leaving = member->exclude && member->expire.when <= until;

	list_for_each(node, &member->sources)
		leaving = leaving ||
			  (source_at(node)->expire.place && source_at(node)->expire.when <= until);
	return member->query.place && leaving;
}

static void show_members(const struct snooping *snooping, const struct snooping_group *group,
			 void (*each)(void *arg, const struct snooping_member_status *status),
			 void *arg)
{
	list_for_each(node, &group->members) {
		const struct snooping_member *member =
			list_entry(node, struct snooping_member, node);
		bool is_mld = group->vlan->is_mld;
		unsigned version = is_mld ? 2 : 3;
		uint64_t until = 0;

		if (member->v2_until > snooping->now)
			version = is_mld ? 1 : 2;
		if (member->v1_until > snooping->now)
			version = 1;
		if (member->exclude)
			until = member->expire.when;
		else
			list_for_each(at, &member->sources)
				until = MAX(until, source_at(at)->expire.when);
		each(arg, &(struct snooping_member_status){
				  .vlan = group->vlan->vlan,
				  .group = group->entry.key.group,
				  .port = member->port,
				  .until = until,
				  .leaving = asks_still(snooping, member),
				  .version = (uint8_t)version,
				  .exclude = member->exclude,
				  .wide = member->wide_until > snooping->now,
				  .sources = member->source_count,
			  });
	}
}

void snooping_each_member(const struct snooping *snooping,
			  void (*each)(void *arg, const struct snooping_member_status *status),
			  void *arg)
{
	for (unsigned i = 0; i <= snooping->set.mask; i++)
		for (const struct group_entry *entry = snooping->set.buckets[i]; entry;
		     entry = entry->chain)
			show_members(snooping, (const struct snooping_group *)entry, each, arg);
}

static void show_sources(const struct snooping_group *group,
			 void (*each)(void *arg, const struct snooping_source_status *status),
			 void *arg)
{
	list_for_each(node, &group->members)
		list_for_each(at, &list_entry(node, struct snooping_member, node)->sources) {
			const struct snooping_source *source = source_at(at);
			bool blocked = !source->expire.place;

			each(arg, &(struct snooping_source_status){
					  .source = source->at->address,
					  .blocked = blocked,
					  .until = blocked ? TIMER_NEVER : source->expire.when });
		}
}

void snooping_each_source(const struct snooping *snooping,
			  void (*each)(void *arg, const struct snooping_source_status *status),
			  void *arg)
{
	for (unsigned i = 0; i <= snooping->set.mask; i++)
		for (const struct group_entry *entry = snooping->set.buckets[i]; entry;
		     entry = entry->chain)
			show_sources((const struct snooping_group *)entry, each, arg);
}
