/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sources that members named, and what a record changes; see snooping.h and snooping_internal.h.
 *
 * A port's bit in the set of group_set.h follows each change: of `members` while it is EXCLUDE, of `wants` while a source's timer runs,
 * and else of `blocks`.
 */
#include <stdlib.h>

#include "util/bytes.h"
#include "vswitch/snooping_internal.h"

bool snooping_keeps_sources(const struct snooping_vlan *vlan)
{
	const struct snooping_settings *settings = &vlan->snooping->settings;

	return settings->sources_per_group &&
	       (snooping_vlan_asks_newly(vlan) || !snooping_vlan_is_ours(vlan));
}

/* ---- One source ---- */

static struct snooping_source *find_source(const struct snooping_member *member,
					   struct group_address address)
{
	const struct group_source *at =
		group_source_find(&snooping_of(member)->set, &member->group->entry, address);

	if (!at ||
	    (!port_set_has(&at->wants, member->port) && !port_set_has(&at->blocks, member->port)))
		return NULL;
	list_for_each(node, &member->sources)
		if (snooping_source_of(node)->at == at)
			return snooping_source_of(node);
	return NULL;
}

static void want(struct snooping_source *source, uint64_t until)
{
	unsigned port = source->member->port;

	port_set_remove(&source->at->blocks, port);
	port_set_add(&source->at->wants, port);
	timer_arm(&snooping_of(source->member)->timers, &source->expire, until);
}

static void block(struct snooping_source *source)
{
	unsigned port = source->member->port;

	port_set_remove(&source->at->wants, port);
	port_set_add(&source->at->blocks, port);
	source->queries_left = 0;
	timer_disarm(&snooping_of(source->member)->timers, &source->expire);
}

static void forget_source(struct snooping_source *source)
{
	struct snooping_member *member = source->member;
	struct snooping *snooping = snooping_of(member);
	struct group_source *at = source->at;

	timer_disarm(&snooping->timers, &source->expire);
	port_set_remove(&at->wants, member->port);
	port_set_remove(&at->blocks, member->port);
	if (port_set_is_empty(&at->wants) && port_set_is_empty(&at->blocks)) {
		group_source_remove(&snooping->set, at);
		free(at);
	}
	list_remove(&source->node);
	member->source_count--;
	snooping->source_count--;
	snooping->port_sources[member->port]--;
	free(source);
}

static void forget_all(struct snooping_member *member)
{
	list_for_each_safe(node, &member->sources)
		forget_source(snooping_source_of(node));
}

/* ---- The end ---- */

static void end_group(struct snooping_group *group)
{
	group_set_remove(&group->vlan->snooping->set, &group->entry);
	group->vlan->group_count--;
	free(group);
}

void snooping_end_member(struct snooping_member *member)
{
	struct snooping_group *group = member->group;
	struct snooping *snooping = group->vlan->snooping;

	timer_disarm(&snooping->timers, &member->expire);
	timer_disarm(&snooping->timers, &member->query);
	forget_all(member);
	port_set_remove(&group->entry.members, member->port);
	snooping->port_groups[member->port]--;
	list_remove(&member->node);
	free(member);
	if (list_empty(&group->members))
		end_group(group);
}

/* RFC 3376, 6.3. */
static void source_expired(struct timer *timer)
{
	struct snooping_source *source = container_of(timer, struct snooping_source, expire);
	struct snooping_member *member = source->member;

	if (member->exclude) {
		block(source);
		return;
	}
	forget_source(source);
	if (list_empty(&member->sources)) {
		snooping_of(member)->counters.expired++;
		snooping_end_member(member);
	}
}

/* ---- Another source ---- */

static struct group_source *get_entry(struct snooping_member *member, struct group_address address)
{
	struct group_set *set = &snooping_of(member)->set;
	struct group_source *at = group_source_find(set, &member->group->entry, address);

	if (at)
		return at;
	at = calloc(1, sizeof(*at));
	if (!at)
		return NULL;
	at->group = &member->group->entry;
	at->address = address;
	group_source_insert(set, at);
	return at;
}

/* Wanted until then, or (0) blocked. False: there is no room. */
static bool add_source(struct snooping_member *member, struct group_address address, uint64_t until)
{
	struct snooping *snooping = snooping_of(member);
	const struct snooping_settings *settings = &snooping->settings;
	struct snooping_source *source;

	if (member->source_count >= settings->sources_per_group ||
	    snooping->port_sources[member->port] >= settings->sources_per_port ||
	    snooping->source_count >= settings->sources)
		return false;
	source = calloc(1, sizeof(*source));
	if (!source)
		return false;
	source->at = get_entry(member, address);
	if (!source->at) {
		free(source);
		return false;
	}
	source->member = member;
	source->expire.expire = source_expired;
	source->named = true;
	list_add_tail(&member->sources, &source->node);
	member->source_count++;
	snooping->source_count++;
	snooping->port_sources[member->port]++;
	if (until)
		want(source, until);
	else
		block(source);
	return true;
}

/* ---- The mode ---- */

static void set_exclude(struct snooping_member *member)
{
	struct snooping *snooping = snooping_of(member);

	member->exclude = true;
	snooping_was_answered(member);
	port_set_add(&member->group->entry.members, member->port);
	timer_arm(&snooping->timers, &member->expire,
		  snooping->now + snooping_vlan_membership(member->group->vlan));
}

/* RFC 3376, 6.5. */
static void set_include(struct snooping_member *member)
{
	member->exclude = false;
	member->queries_left = 0;
	port_set_remove(&member->group->entry.members, member->port);
	timer_disarm(&snooping_of(member)->timers, &member->expire);
	list_for_each_safe(node, &member->sources)
		if (!snooping_is_wanted(snooping_source_of(node)))
			forget_source(snooping_source_of(node));
}

static void exclude_expired(struct timer *timer)
{
	struct snooping_member *member = container_of(timer, struct snooping_member, expire);

	set_include(member);
	if (list_empty(&member->sources)) {
		snooping_of(member)->counters.expired++;
		snooping_end_member(member);
	}
}

void snooping_widen(struct snooping_member *member)
{
	snooping_of(member)->counters.sources_refused++;
	forget_all(member);
	set_exclude(member);
	member->wide_until = member->expire.when;
}

/* Whoever wants it still answers; with fast leave there is nobody else. */
static void end_or_ask(struct snooping_source *source)
{
	struct snooping_member *member = source->member;

	if (!snooping_of(member)->ports[member->port].fast_leave)
		snooping_ask_source(source);
	else if (member->exclude)
		block(source);
	else
		forget_source(source);
}

/* ---- Records ---- */

/* The tables of RFC 3376, 6.4 and RFC 3810, 7.4. */
struct transition {
	enum {
		IGNORED,
		BLOCKED,
		GROUP_TIME,
		MEMBERSHIP
	} added;                              /* what a source that was not known gets */
	enum { KEPT, DELETED, ASKED } others; /* what is not in the record */
	bool refreshes;  /* what is: it is wanted for the membership interval */
	bool asks_named; /* what is, and is wanted */
	bool asks_group, excludes;
};

static const struct transition transitions[2][GROUP_BLOCK + 1] = {
	/* INCLUDE */
	{
		[GROUP_IS_INCLUDE] = { MEMBERSHIP, KEPT, .refreshes = true },
		[GROUP_IS_EXCLUDE] = { BLOCKED, DELETED, .excludes = true },
		[GROUP_TO_INCLUDE] = { MEMBERSHIP, ASKED, .refreshes = true },
		[GROUP_TO_EXCLUDE] = { BLOCKED, DELETED, .asks_named = true, .excludes = true },
		[GROUP_ALLOW] = { MEMBERSHIP, KEPT, .refreshes = true },
		[GROUP_BLOCK] = { IGNORED, KEPT, .asks_named = true },
	},
	/* EXCLUDE */
	{
		[GROUP_IS_INCLUDE] = { MEMBERSHIP, KEPT, .refreshes = true },
		[GROUP_IS_EXCLUDE] = { MEMBERSHIP, DELETED, .excludes = true },
		[GROUP_TO_INCLUDE] = { MEMBERSHIP, ASKED, .refreshes = true, .asks_group = true },
		[GROUP_TO_EXCLUDE] = { GROUP_TIME, DELETED, .asks_named = true, .excludes = true },
		[GROUP_ALLOW] = { MEMBERSHIP, KEPT, .refreshes = true },
		[GROUP_BLOCK] = { GROUP_TIME, KEPT, .asks_named = true },
	},
};

static struct group_address source_in(const struct snooping_member *member,
				      const struct group_record *record, unsigned number)
{
	return group_source_at(member->group->vlan->is_mld, record->sources, number);
}

/* What the record says of sources that are known. Those that are not in it go before others come, so that there is room. */
static void change_known(struct snooping_member *member, const struct group_record *record,
			 const struct transition *change, uint64_t until)
{
	list_for_each(node, &member->sources)
		snooping_source_of(node)->named = false;
	for (unsigned i = 0; i < record->source_count; i++) {
		struct snooping_source *source = find_source(member, source_in(member, record, i));

		if (!source)
			continue;
		source->named = true;
		if (change->refreshes)
			want(source, until);
	}
	list_for_each_safe(node, &member->sources) {
		struct snooping_source *source = snooping_source_of(node);

		if (source->named || change->others == KEPT)
			continue;
		if (change->others == DELETED)
			forget_source(source);
		else if (snooping_is_wanted(source))
			end_or_ask(source);
	}
}

static bool add_unknown(struct snooping_member *member, const struct group_record *record,
			const struct transition *change, uint64_t until)
{
	const uint64_t times[] = {
		[BLOCKED] = 0, [GROUP_TIME] = member->expire.when, [MEMBERSHIP] = until
	};

	for (unsigned i = 0; change->added && i < record->source_count; i++) {
		struct group_address address = source_in(member, record, i);

		if (!find_source(member, address) &&
		    !add_source(member, address, times[change->added]))
			return false;
	}
	return true;
}

void snooping_change_member(struct snooping_member *member, const struct group_record *record)
{
	const struct transition *change = &transitions[member->exclude][record->type];
	struct snooping *snooping = snooping_of(member);
	uint64_t until = snooping->now + snooping_vlan_membership(member->group->vlan);

	change_known(member, record, change, until);
	if (!add_unknown(member, record, change, until)) {
		snooping_widen(member);
		return;
	}
	if (change->excludes)
		set_exclude(member);
	list_for_each_safe(node, &member->sources)
		if (change->asks_named && snooping_source_of(node)->named &&
		    snooping_is_wanted(snooping_source_of(node)))
			end_or_ask(snooping_source_of(node));
	if (change->asks_group && snooping->ports[member->port].fast_leave)
		set_include(member);
	else if (change->asks_group)
		snooping_ask_group(member);
	snooping_ask_now(member);
	if (!member->exclude && list_empty(&member->sources))
		snooping_end_member(member);
}

void snooping_begin_sources(struct snooping_member *member)
{
	list_init(&member->sources);
	member->expire.expire = exclude_expired;
	snooping_begin_asking(member);
}
