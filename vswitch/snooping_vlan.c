/* SPDX-License-Identifier: BSD-2-Clause */
/* Queriers and router ports of a VLAN; see snooping.h and snooping_internal.h. */
#include <stdlib.h>

#include "util/bytes.h"
#include "vswitch/snooping_internal.h"

/* ---- Variables ---- */

uint64_t snooping_vlan_robustness(const struct snooping_vlan *vlan)
{
	return vlan->robustness ? vlan->robustness : vlan->snooping->settings.robustness;
}

static uint64_t query_interval(const struct snooping_vlan *vlan)
{
	return vlan->query_interval ? vlan->query_interval
				    : vlan->snooping->settings.query_interval;
}

uint64_t snooping_vlan_response(const struct snooping_vlan *vlan)
{
	return vlan->response_interval ? vlan->response_interval
				       : vlan->snooping->settings.response_interval;
}

/* RFC 3376, 8.4; RFC 3810, 9.4. */
uint64_t snooping_vlan_membership(const struct snooping_vlan *vlan)
{
	return snooping_vlan_robustness(vlan) * query_interval(vlan) + snooping_vlan_response(vlan);
}

/* RFC 3376, 8.5. */
static uint64_t other_querier_present(const struct snooping_vlan *vlan)
{
	return snooping_vlan_robustness(vlan) * query_interval(vlan) +
	       snooping_vlan_response(vlan) / 2;
}

/* ---- Queries of ours ---- */

static bool is_armed(const struct timer *timer)
{
	return timer->place != 0;
}

bool snooping_vlan_is_ours(const struct snooping_vlan *vlan)
{
	return vlan->snooping->settings.querier && !is_armed(&vlan->other);
}

/* RFC 4291, 2.5.6 and appendix A. */
static struct group_address link_local(uint64_t mac)
{
	uint64_t identifier = (mac >> 24 << 40) | 0xfffe000000ULL | (mac & 0xffffff);

	return (struct group_address){ 0xfe80000000000000, identifier ^ 0x0200000000000000 };
}

struct group_address snooping_our_address(const struct snooping_vlan *vlan)
{
	const struct snooping *snooping = vlan->snooping;

	if (!vlan->is_mld)
		return group_address_v4(snooping->settings.address);
	return group_address_is_zero(snooping->settings.mld_address)
		       ? link_local(snooping->options.mac)
		       : snooping->settings.mld_address;
}

/* `query` says what is asked, and by whom. */
static void send_query(struct snooping_vlan *vlan, unsigned port, struct group_query query)
{
	struct snooping *snooping = vlan->snooping;
	const struct snooping_options *options = &snooping->options;
	uint8_t frame[GROUP_QUERY_ROOM];
	size_t length;

	query.is_mld = vlan->is_mld;
	query.version =
		vlan->is_mld ? snooping->settings.mld_version : snooping->settings.igmp_version;
	query.mac = options->mac;
	query.robustness = snooping->settings.robustness;
	query.interval_ns = snooping->settings.query_interval;
	length = group_query_make(&query, frame);

	snooping->counters.sent[vlan->is_mld]++;
	options->actions->send(options->arg, port, SNOOPING_PORTS, vlan->vlan, frame, length);
}

static void query_all(struct snooping_vlan *vlan, unsigned port)
{
	send_query(vlan, port,
		   (struct group_query){ .source = snooping_our_address(vlan),
					 .response_ns =
						 vlan->snooping->settings.response_interval });
}

bool snooping_vlan_asks_newly(const struct snooping_vlan *vlan)
{
	const struct snooping_settings *settings = &vlan->snooping->settings;

	return vlan->is_mld ? settings->mld_version >= 2 : settings->igmp_version >= 3;
}

void snooping_vlan_query(struct snooping_vlan *vlan, unsigned port, struct group_address group,
			 const struct group_address *sources, unsigned count, bool suppress)
{
	send_query(vlan, port,
		   (struct group_query){ .source = snooping_our_address(vlan),
					 .group = group,
					 .sources = sources,
					 .source_count = count,
					 .suppress = suppress,
					 .response_ns =
						 vlan->snooping->settings.last_member_interval });
}

static const struct group_address general;

static void query_due(struct timer *timer)
{
	struct snooping_vlan *vlan = container_of(timer, struct snooping_vlan, query);
	const struct snooping_settings *settings = &vlan->snooping->settings;
	uint64_t next = settings->query_interval;

	query_all(vlan, SNOOPING_PORTS);
	if (vlan->startup_left) {
		vlan->startup_left--;
		next /= vlan->startup_left ? 4 : 1; /* RFC 3376, 8.6 */
	}
	timer_arm(&vlan->snooping->timers, timer, vlan->snooping->now + next);
}

/* Queries begin, or begin again. */
static void start_querying(struct snooping_vlan *vlan)
{
	vlan->robustness = 0;
	vlan->query_interval = vlan->response_interval = 0;
	vlan->startup_left = vlan->snooping->settings.robustness;
	query_due(&vlan->query);
}

/* ---- Whether memberships count ---- */

static void trust_due(struct timer *timer)
{
	struct snooping_vlan *vlan = container_of(timer, struct snooping_vlan, trust);

	vlan->policy.trusted = snooping_vlan_is_ours(vlan) || is_armed(&vlan->other);
}

void snooping_vlan_distrust(struct snooping_vlan *vlan, uint64_t until)
{
	vlan->policy.trusted = false;
	timer_arm(&vlan->snooping->timers, &vlan->trust, until);
}

/* There is a querier where there was none. */
static void querier_came(struct snooping_vlan *vlan)
{
	if (!vlan->policy.trusted && !is_armed(&vlan->trust))
		snooping_vlan_distrust(vlan, vlan->snooping->now + snooping_vlan_response(vlan));
}

void snooping_vlan_settle(struct snooping_vlan *vlan)
{
	struct snooping *snooping = vlan->snooping;

	vlan->policy.drop_unknown = snooping->settings.drop_unknown;
	if (snooping_vlan_is_ours(vlan)) {
		if (!is_armed(&vlan->query)) {
			start_querying(vlan);
			querier_came(vlan);
		}
		return;
	}
	timer_disarm(&snooping->timers, &vlan->query);
	if (!is_armed(&vlan->other)) {
		timer_disarm(&snooping->timers, &vlan->trust);
		vlan->policy.trusted = false;
	}
}

/* ---- Another querier ---- */

static void other_gone(struct timer *timer)
{
	struct snooping_vlan *vlan = container_of(timer, struct snooping_vlan, other);

	vlan->querier = general;
	vlan->robustness = 0;
	vlan->query_interval = vlan->response_interval = 0;
	snooping_vlan_settle(vlan);
	/*
	 * What hosts said lasts by the variables of who is gone, and they have all of our time to say it again: RFC 3376, 8.4 and 8.5, has it end in
	 * between even where these are the same, and a guest that asked once may have said that it lasts a second.
	 */
	if (snooping_vlan_is_ours(vlan))
		snooping_vlan_distrust(vlan, vlan->snooping->now + snooping_vlan_response(vlan));
}

bool snooping_vlan_is_by_querier(const struct snooping_vlan *vlan,
				 const struct group_message *message)
{
	return is_armed(&vlan->other) && group_address_same(vlan->querier, message->source);
}

/* Whether one that asks is, or comes to be, the querier. The lowest address wins; 0.0.0.0 only where nobody has one. */
static bool wins(const struct snooping_vlan *vlan, struct group_address source)
{
	struct group_address present;

	if (!is_armed(&vlan->other) && !vlan->snooping->settings.querier)
		return true;
	present = is_armed(&vlan->other) ? vlan->querier : snooping_our_address(vlan);
	if (group_address_same(present, source))
		return is_armed(&vlan->other);
	if (group_address_is_zero(source))
		return false;
	return group_address_is_zero(present) || group_address_less(source, present);
}

void snooping_vlan_heard_query(struct snooping_vlan *vlan, unsigned port,
			       const struct group_message *message)
{
	struct snooping *snooping = vlan->snooping;

	/* As at Linux's bridge: who asks for one group only is in nobody's place, or what others said would end unasked. */
	if (group_address_is_zero(message->group) && wins(vlan, message->source)) {
		vlan->querier = message->source;
		vlan->querier_port = port;
		vlan->robustness = message->robustness;
		vlan->query_interval = message->interval_ns;
		vlan->response_interval = message->response_ns;
		timer_arm(&snooping->timers, &vlan->other,
			  snooping->now + other_querier_present(vlan));
		timer_disarm(&snooping->timers, &vlan->query);
		querier_came(vlan);
	}
	snooping_vlan_open(vlan, port, true, snooping->now + other_querier_present(vlan));
}

/* ---- Changes ---- */

/* Until when hosts have told what they want, if they are asked now, or (if we are not the querier) by the next query. */
static uint64_t until_known(const struct snooping_vlan *vlan, bool asked)
{
	return vlan->snooping->now + snooping_vlan_response(vlan) +
	       (asked ? 0 : query_interval(vlan));
}

void snooping_vlan_topology_changed(struct snooping_vlan *vlan)
{
	bool ours = snooping_vlan_is_ours(vlan);

	if (!ours && !is_armed(&vlan->other))
		return;
	/* A query from 0.0.0.0 wins over nobody (RFC 4541, 2.1.1); MLD has no such address. */
	if (ours)
		start_querying(vlan);
	else if (!vlan->is_mld)
		send_query(vlan, SNOOPING_PORTS,
			   (struct group_query){ .response_ns = snooping_vlan_response(vlan) });
	snooping_vlan_distrust(vlan, until_known(vlan, ours || !vlan->is_mld));
}

void snooping_vlan_port_up(struct snooping_vlan *vlan, unsigned port)
{
	bool ours = snooping_vlan_is_ours(vlan);

	if (ours)
		query_all(vlan, port);
	snooping_vlan_open(vlan, port, false, until_known(vlan, ours));
}

/* ---- Ports that get all groups ---- */

void snooping_vlan_refresh(struct snooping_vlan *vlan)
{
	const struct snooping *snooping = vlan->snooping;
	struct port_set always = { { 0 } };

	for (unsigned port = 0; port < SNOOPING_PORTS; port++)
		if (snooping->ports[port].router == SNOOPING_ROUTER_ALWAYS)
			port_set_add(&always, port);
	list_for_each(node, &vlan->open_ports)
		port_set_add(&always, list_entry(node, struct snooping_open_port, node)->port);
	vlan->policy.always = always;
}

void snooping_vlan_routers(const struct snooping_vlan *vlan, struct port_set *out)
{
	const struct snooping *snooping = vlan->snooping;

	*out = (struct port_set){ { 0 } };
	for (unsigned port = 0; port < SNOOPING_PORTS; port++)
		if (snooping->ports[port].router == SNOOPING_ROUTER_ALWAYS)
			port_set_add(out, port);
	list_for_each(node, &vlan->open_ports) {
		const struct snooping_open_port *open =
			list_entry(node, struct snooping_open_port, node);

		if (open->is_router)
			port_set_add(out, open->port);
	}
}

static void close_port(struct snooping_open_port *open)
{
	timer_disarm(&open->vlan->snooping->timers, &open->expire);
	list_remove(&open->node);
	free(open);
}

static void open_expired(struct timer *timer)
{
	struct snooping_open_port *open = container_of(timer, struct snooping_open_port, expire);
	struct snooping_vlan *vlan = open->vlan;

	close_port(open);
	snooping_vlan_refresh(vlan);
}

static struct snooping_open_port *find_open(const struct snooping_vlan *vlan, unsigned port,
					    bool is_router)
{
	list_for_each(node, &vlan->open_ports) {
		struct snooping_open_port *open = list_entry(node, struct snooping_open_port, node);

		if (open->port == port && open->is_router == is_router)
			return open;
	}
	return NULL;
}

void snooping_vlan_open(struct snooping_vlan *vlan, unsigned port, bool is_router, uint64_t until)
{
	struct snooping_open_port *open = find_open(vlan, port, is_router);

	if (!open) {
		open = calloc(1, sizeof(*open));
		/* Without memory: flooded to all, for that time. */
		if (!open) {
			snooping_vlan_distrust(vlan, until);
			return;
		}
		*open = (struct snooping_open_port){ .vlan = vlan,
						     .port = port,
						     .is_router = is_router,
						     .expire.expire = open_expired };
		list_add_tail(&vlan->open_ports, &open->node);
		snooping_vlan_refresh(vlan);
	}
	if (!is_armed(&open->expire) || open->expire.when < until)
		timer_arm(&vlan->snooping->timers, &open->expire, until);
}

void snooping_vlan_close_router(struct snooping_vlan *vlan, unsigned port)
{
	struct snooping_open_port *open = find_open(vlan, port, true);

	if (open)
		close_port(open);
	snooping_vlan_refresh(vlan);
}

void snooping_vlan_port_down(struct snooping_vlan *vlan, unsigned port)
{
	struct snooping_open_port *open = find_open(vlan, port, false);

	if (open)
		close_port(open);
	snooping_vlan_close_router(vlan, port);
}

void snooping_vlan_port_gone(struct snooping_vlan *vlan, unsigned port)
{
	if (!is_armed(&vlan->other) || vlan->querier_port != port)
		return;
	timer_disarm(&vlan->snooping->timers, &vlan->other);
	other_gone(&vlan->other);
}

/* ---- The object ---- */

static void idle_due(struct timer *timer)
{
	struct snooping_vlan *vlan = container_of(timer, struct snooping_vlan, idle);

	if (vlan->wanted || vlan->group_count || is_armed(&vlan->other) ||
	    !list_empty(&vlan->open_ports))
		snooping_vlan_touch(vlan);
	else
		snooping_vlan_free(vlan);
}

void snooping_vlan_touch(struct snooping_vlan *vlan)
{
	timer_arm(&vlan->snooping->timers, &vlan->idle,
		  vlan->snooping->now + 2 * snooping_vlan_membership(vlan));
}

struct snooping_vlan *snooping_vlan_get(struct snooping *snooping, uint16_t id, bool is_mld)
{
	struct snooping_vlan *vlan = id < GROUP_SET_VLANS ? snooping->vlans[is_mld][id] : NULL;

	if (vlan)
		return vlan;
	vlan = id < GROUP_SET_VLANS && snooping->vlan_count < 2 * SNOOPING_VLANS
		       ? calloc(1, sizeof(*vlan))
		       : NULL;
	if (!vlan) {
		snooping->counters.vlans_refused++;
		return NULL;
	}
	vlan->snooping = snooping;
	vlan->vlan = id;
	vlan->is_mld = is_mld;
	vlan->other.expire = other_gone;
	vlan->query.expire = query_due;
	vlan->trust.expire = trust_due;
	vlan->idle.expire = idle_due;
	list_init(&vlan->open_ports);
	snooping->vlans[is_mld][id] = vlan;
	snooping->set.policies[is_mld][id] = &vlan->policy;
	snooping->vlan_count++;
	snooping_vlan_refresh(vlan);
	snooping_vlan_touch(vlan);
	snooping_vlan_settle(vlan);
	return vlan;
}

void snooping_vlan_free(struct snooping_vlan *vlan)
{
	struct snooping *snooping = vlan->snooping;

	while (!list_empty(&vlan->open_ports))
		close_port(list_entry(vlan->open_ports.next, struct snooping_open_port, node));
	timer_disarm(&snooping->timers, &vlan->other);
	timer_disarm(&snooping->timers, &vlan->query);
	timer_disarm(&snooping->timers, &vlan->trust);
	timer_disarm(&snooping->timers, &vlan->idle);
	snooping->set.policies[vlan->is_mld][vlan->vlan] = NULL;
	snooping->vlans[vlan->is_mld][vlan->vlan] = NULL;
	snooping->vlan_count--;
	free(vlan);
}
