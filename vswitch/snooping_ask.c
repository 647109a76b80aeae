/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is asked for: by us, RFC 3376, 6.6.3 and RFC 3810, 7.6.3, and by another querier; see snooping.h and snooping_internal.h.
 *
 * What we ask for has its timer lowered to the last member query time, and as many queries as the robustness says. The rest of them go out after
 * an answer, too, since the answer may have got lost on its way to other routers: with the bit by which these leave their timers alone. Queries
 * of the older versions have no such bit, and end with the answer (RFC 2236, 7; RFC 2710, 6).
 */
#include "vswitch/snooping_internal.h"

uint64_t snooping_until_asked(const struct snooping *snooping)
{
	return snooping->now +
	       snooping->settings.robustness * snooping->settings.last_member_interval;
}

/* ---- Queries ---- */

/* Of the sources that are to be asked for those that were answered for, or those that were not. */
static void send_source_queries(struct snooping_member *member, bool answered)
{
	struct snooping_vlan *vlan = member->group->vlan;
	struct group_address sources[GROUP_QUERY_SOURCES], group = member->group->entry.key.group;
	uint64_t until = snooping_until_asked(vlan->snooping);
	unsigned count = 0;

	list_for_each(node, &member->sources) {
		struct snooping_source *source = snooping_source_of(node);

		if (!source->ask || (source->expire.when > until) != answered)
			continue;
		source->ask = false;
		source->queries_left--;
		sources[count++] = source->at->address;
		if (count == GROUP_QUERY_SOURCES) {
			snooping_vlan_query(vlan, member->port, group, sources, count, answered);
			count = 0;
		}
	}
	if (count)
		snooping_vlan_query(vlan, member->port, group, sources, count, answered);
}

static void send_group_query(struct snooping_member *member)
{
	struct snooping_vlan *vlan = member->group->vlan;

	member->ask = false;
	member->queries_left--;
	snooping_vlan_query(vlan, member->port, member->group->entry.key.group, NULL, 0,
			    member->expire.when > snooping_until_asked(vlan->snooping));
}

void snooping_ask_now(struct snooping_member *member)
{
	struct snooping *snooping = snooping_of(member);
	bool more;

	send_source_queries(member, true);
	send_source_queries(member, false);
	if (member->ask)
		send_group_query(member);
	more = member->queries_left;
	list_for_each(node, &member->sources)
		more = more || snooping_source_of(node)->queries_left;
	if (more && !member->query.place)
		timer_arm(&snooping->timers, &member->query,
			  snooping->now + snooping->settings.last_member_interval);
}

/* What was lowered for our queries, not all of which are out, lasts as if nobody had left: who is the querier now has asked for all, and may have to do so
 * again. */
static void keep_unasked(struct snooping_member *member)
{
	struct snooping *snooping = snooping_of(member);
	uint64_t until = snooping->now + snooping_vlan_membership(member->group->vlan);

	if (member->queries_left && member->expire.when < until)
		timer_arm(&snooping->timers, &member->expire, until);
	list_for_each(node, &member->sources) {
		struct snooping_source *source = snooping_source_of(node);

		if (source->queries_left && source->expire.when < until)
			timer_arm(&snooping->timers, &source->expire, until);
	}
}

/* Who is not the querier any more asks no more; nor for sources if its queries have none now. */
static void ask_again(struct timer *timer)
{
	struct snooping_member *member = container_of(timer, struct snooping_member, query);
	const struct snooping_vlan *vlan = member->group->vlan;
	bool is_ours = snooping_vlan_is_ours(vlan);

	if (!is_ours) {
		keep_unasked(member);
		member->queries_left = 0;
	}
	member->ask = member->queries_left;
	list_for_each(node, &member->sources) {
		struct snooping_source *source = snooping_source_of(node);

		if (!is_ours || !snooping_vlan_asks_newly(vlan))
			source->queries_left = 0;
		source->ask = source->queries_left;
	}
	snooping_ask_now(member);
}

void snooping_begin_asking(struct snooping_member *member)
{
	member->query.expire = ask_again;
}

/* ---- What is asked for ---- */

void snooping_ask_group(struct snooping_member *member)
{
	struct snooping *snooping = snooping_of(member);
	uint64_t until = snooping_until_asked(snooping);

	/* Another querier asks, when it hears of the leave. */
	if (!member->exclude || !snooping_vlan_is_ours(member->group->vlan) ||
	    member->expire.when <= until)
		return;
	timer_arm(&snooping->timers, &member->expire, until);
	member->queries_left = snooping->settings.robustness;
	member->ask = true;
}

void snooping_ask_source(struct snooping_source *source)
{
	struct snooping *snooping = snooping_of(source->member);
	uint64_t until = snooping_until_asked(snooping);

	if (!snooping_vlan_is_ours(source->member->group->vlan) || source->expire.when <= until)
		return;
	timer_arm(&snooping->timers, &source->expire, until);
	source->queries_left = snooping->settings.robustness;
	source->ask = true;
}

void snooping_was_answered(struct snooping_member *member)
{
	if (!snooping_vlan_asks_newly(member->group->vlan))
		member->queries_left = 0;
}

/* ---- Another querier ---- */

void snooping_lower_sources(struct snooping_group *group, const struct group_message *message,
			    uint64_t until)
{
	struct snooping *snooping = group->vlan->snooping;

	for (unsigned i = 0; i < message->source_count; i++) {
		struct group_source *at =
			group_source_find(&snooping->set, &group->entry,
					  group_source_at(message->is_mld, message->sources, i));

		if (at)
			at->named = true;
	}
	list_for_each(node, &group->members) {
		struct snooping_member *member = list_entry(node, struct snooping_member, node);
		/* A host of an older version does not know what is asked. */
		bool old = member->v1_until > snooping->now || member->v2_until > snooping->now;

		list_for_each(at, &member->sources) {
			struct snooping_source *source = snooping_source_of(at);

			if (!old && source->at->named && snooping_is_wanted(source) &&
			    source->expire.when > until)
				timer_arm(&snooping->timers, &source->expire, until);
		}
	}
	list_for_each(node, &group->members)
		list_for_each(at, &list_entry(node, struct snooping_member, node)->sources)
			snooping_source_of(at)->at->named = false;
}
