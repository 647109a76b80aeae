/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sources that members named: what a record changes, and what it has asked for; see snooping.h and snooping_internal.h.
 *
 * A port's bit in the set of group_set.h follows each change: of `members` while it is EXCLUDE, of `wants` while a source's timer runs,
 * and else of `blocks`.
 */
#include <stdlib.h>

#include "util/bytes.h"
#include "vswitch/snooping_internal.h"

static struct snooping_source *source_of(struct list *node)
{
	return list_entry(node, struct snooping_source, node);
}

static struct snooping *snooping_of(const struct snooping_member *member)
{
	return member->group->vlan->snooping;
}

static bool is_wanted(const struct snooping_source *source)
{
	return source->expire.place != 0;
}

bool snooping_keeps_sources(const struct snooping_vlan *vlan)
{
	const struct snooping_settings *settings = &vlan->snooping->settings;
	bool can_ask = vlan->is_mld ? settings->mld_version >= 2 : settings->igmp_version >= 3;

	return settings->sources_per_group && (can_ask || !snooping_vlan_is_ours(vlan));
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
		if (source_of(node)->at == at)
			return source_of(node);
	return NULL;
}

static void want(struct snooping_source *source, uint64_t until)
{
	unsigned port = source->member->port;

	port_set_remove(&source->at->blocks, port);
	port_set_add(&source->at->wants, port);
	source->queries_left = 0;
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
		forget_source(source_of(node));
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
	member->queries_left = 0;
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
		if (!is_wanted(source_of(node)))
			forget_source(source_of(node));
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

/* ---- Asking ---- */

static void send_asked(struct snooping_member *member)
{
	struct snooping_vlan *vlan = member->group->vlan;
	struct group_address sources[GROUP_QUERY_SOURCES], group = member->group->entry.key.group;
	unsigned count = 0;

	list_for_each(node, &member->sources) {
		struct snooping_source *source = source_of(node);

		if (!source->ask)
			continue;
		source->ask = false;
		source->queries_left--;
		sources[count++] = source->at->address;
		if (count == GROUP_QUERY_SOURCES) {
			snooping_vlan_query_sources(vlan, member->port, group, sources, count);
			count = 0;
		}
	}
	if (count)
		snooping_vlan_query_sources(vlan, member->port, group, sources, count);
}

static void send_group_query(struct snooping_member *member)
{
	struct snooping_vlan *vlan = member->group->vlan;

	member->queries_left--;
	snooping_vlan_query(vlan, member->port, member->group->entry.key.group,
			    vlan->snooping->settings.last_member_interval);
}

/* The next turn, unless there is one already. */
static void ask_later(struct snooping_member *member)
{
	struct snooping *snooping = snooping_of(member);
	bool more = member->queries_left;

	list_for_each(node, &member->sources)
		more = more || source_of(node)->queries_left;
	if (more && !member->query.place)
		timer_arm(&snooping->timers, &member->query,
			  snooping->now + snooping->settings.last_member_interval);
}

static void ask_again(struct timer *timer)
{
	struct snooping_member *member = container_of(timer, struct snooping_member, query);

	list_for_each(node, &member->sources)
		source_of(node)->ask = source_of(node)->queries_left != 0;
	send_asked(member);
	if (member->queries_left)
		send_group_query(member);
	ask_later(member);
}

/* The last member query time: RFC 3376, 8.8 to 8.10. */
static uint64_t until_asked(const struct snooping *snooping)
{
	return snooping->now +
	       snooping->settings.robustness * snooping->settings.last_member_interval;
}

void snooping_ask_group(struct snooping_member *member)
{
	struct snooping *snooping = snooping_of(member);
	uint64_t until = until_asked(snooping);

	/* Another querier asks, when it hears of the leave. */
	if (!member->exclude || !snooping_vlan_is_ours(member->group->vlan) ||
	    member->queries_left || member->expire.when <= until)
		return;
	timer_arm(&snooping->timers, &member->expire, until);
	member->queries_left = snooping->settings.robustness;
	send_group_query(member);
	ask_later(member);
}

/* Whoever wants it still answers; with fast leave there is nobody else. */
static void ask_source(struct snooping_source *source)
{
	struct snooping_member *member = source->member;
	struct snooping *snooping = snooping_of(member);
	uint64_t until = until_asked(snooping);

	if (snooping->ports[member->port].fast_leave) {
		if (member->exclude)
			block(source);
		else
			forget_source(source);
		return;
	}
	if (!snooping_vlan_is_ours(member->group->vlan) || source->queries_left ||
	    source->expire.when <= until)
		return;
	timer_arm(&snooping->timers, &source->expire, until);
	source->queries_left = snooping->settings.robustness;
	source->ask = true;
}

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
			struct snooping_source *source = source_of(at);

			if (!old && source->at->named && is_wanted(source) &&
			    source->expire.when > until)
				timer_arm(&snooping->timers, &source->expire, until);
		}
	}
	list_for_each(node, &group->members)
		list_for_each(at, &list_entry(node, struct snooping_member, node)->sources)
			source_of(at)->at->named = false;
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
		source_of(node)->named = false;
	for (unsigned i = 0; i < record->source_count; i++) {
		struct snooping_source *source = find_source(member, source_in(member, record, i));

		if (!source)
			continue;
		source->named = true;
		if (change->refreshes)
			want(source, until);
	}
	list_for_each_safe(node, &member->sources) {
		struct snooping_source *source = source_of(node);

		if (source->named || change->others == KEPT)
			continue;
		if (change->others == DELETED)
			forget_source(source);
		else if (is_wanted(source))
			ask_source(source);
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
		if (change->asks_named && source_of(node)->named && is_wanted(source_of(node)))
			ask_source(source_of(node));
	send_asked(member);
	if (change->asks_group && snooping->ports[member->port].fast_leave)
		set_include(member);
	else if (change->asks_group)
		snooping_ask_group(member);
	ask_later(member);
	if (!member->exclude && list_empty(&member->sources))
		snooping_end_member(member);
}

void snooping_begin_sources(struct snooping_member *member)
{
	list_init(&member->sources);
	member->expire.expire = exclude_expired;
	member->query.expire = ask_again;
}
