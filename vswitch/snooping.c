/* SPDX-License-Identifier: BSD-2-Clause */
/* Snooping: the object, its settings, and what becomes of a frame; see snooping.h. */
#include "vswitch/snooping.h"

#include <errno.h>
#include <stdlib.h>

#include "util/bytes.h"
#include "vswitch/snooping_internal.h"

#define GROUPS_USUAL     4096
#define GROUPS_OF_PORT   512
#define SOURCES_USUAL    8192
#define SOURCES_OF_PORT  1024
#define SOURCES_OF_GROUP 64

void snooping_settings_init(struct snooping_settings *settings)
{
	*settings = (struct snooping_settings){
		.igmp_version = 3,
		.mld_version = 2,
		.robustness = 2,
		.query_interval = 125 * SNOOPING_SECOND,
		.response_interval = 10 * SNOOPING_SECOND,
		.last_member_interval = SNOOPING_SECOND,
		.groups = GROUPS_USUAL,
		.groups_per_port = GROUPS_OF_PORT,
		.sources = SOURCES_USUAL,
		.sources_per_port = SOURCES_OF_PORT,
		.sources_per_group = SOURCES_OF_GROUP,
	};
}

int snooping_create(struct snooping **out, const struct snooping_options *options)
{
	struct snooping *snooping = calloc(1, sizeof(*snooping));

	if (!snooping)
		return -ENOMEM;
	snooping->options = *options;
	snooping_settings_init(&snooping->settings);
	if (group_set_init(&snooping->set, GROUPS_USUAL, options->seed)) {
		free(snooping);
		return -ENOMEM;
	}
	*out = snooping;
	return 0;
}

static void end_vlan(struct snooping_vlan *vlan)
{
	snooping_forget_members(vlan, SNOOPING_PORTS);
	snooping_vlan_free(vlan);
}

void snooping_destroy(struct snooping *snooping)
{
	struct snooping_vlan *vlan;

	if (!snooping)
		return;
	SNOOPING_EACH_VLAN(snooping, vlan)
	end_vlan(vlan);
	group_set_finish(&snooping->set);
	timer_heap_destroy(&snooping->timers);
	free(snooping);
}

const struct group_set *snooping_set(const struct snooping *snooping)
{
	return &snooping->set;
}

/* ---- Settings ---- */

const struct snooping_settings *snooping_get(const struct snooping *snooping)
{
	return &snooping->settings;
}

static bool snoops(const struct snooping *snooping, bool is_mld)
{
	return is_mld ? snooping->settings.mld : snooping->settings.igmp;
}

void snooping_change(struct snooping *snooping, const struct snooping_settings *settings,
		     uint64_t now)
{
	struct snooping_vlan *vlan;

	snooping->now = now;
	snooping->settings = *settings;
	SNOOPING_EACH_VLAN(snooping, vlan)
	if (snoops(snooping, vlan->is_mld))
		snooping_vlan_settle(vlan);
	else
		end_vlan(vlan);
}

const struct snooping_port_settings *snooping_get_port(const struct snooping *snooping,
						       unsigned port)
{
	return &snooping->ports[port];
}

void snooping_change_port(struct snooping *snooping, unsigned port,
			  const struct snooping_port_settings *settings, uint64_t now)
{
	struct snooping_vlan *vlan;

	snooping->now = now;
	snooping->ports[port] = *settings;
	SNOOPING_EACH_VLAN(snooping, vlan)
	{
		if (settings->router == SNOOPING_ROUTER_NEVER)
			snooping_vlan_close_router(vlan, port);
		snooping_vlan_refresh(vlan);
	}
}

/* ---- VLANs and ports ---- */

void snooping_begin_vlans(struct snooping *snooping)
{
	struct snooping_vlan *vlan;

	SNOOPING_EACH_VLAN(snooping, vlan)
	vlan->wanted = false;
}

void snooping_add_vlan(struct snooping *snooping, uint16_t vlan, uint64_t now)
{
	snooping->now = now;
	for (unsigned mld = 0; mld < 2; mld++) {
		struct snooping_vlan *found =
			snoops(snooping, mld) ? snooping_vlan_get(snooping, vlan, mld) : NULL;

		if (found)
			found->wanted = true;
	}
}

void snooping_port_up(struct snooping *snooping, unsigned port, uint64_t now)
{
	struct snooping_vlan *vlan;

	snooping->now = now;
	SNOOPING_EACH_VLAN(snooping, vlan)
	snooping_vlan_port_up(vlan, port);
}

void snooping_port_down(struct snooping *snooping, unsigned port, uint64_t now)
{
	struct snooping_vlan *vlan;

	snooping->now = now;
	SNOOPING_EACH_VLAN(snooping, vlan)
	{
		snooping_forget_members(vlan, port);
		snooping_vlan_port_down(vlan, port);
	}
}

void snooping_port_gone(struct snooping *snooping, unsigned port, uint64_t now)
{
	struct snooping_vlan *vlan;

	snooping_port_down(snooping, port, now);
	snooping->ports[port] = (struct snooping_port_settings){ 0 };
	SNOOPING_EACH_VLAN(snooping, vlan)
	{
		snooping_vlan_port_gone(vlan, port);
		snooping_vlan_refresh(vlan);
	}
}

void snooping_topology_changed(struct snooping *snooping, uint64_t now)
{
	struct snooping_vlan *vlan;

	snooping->now = now;
	SNOOPING_EACH_VLAN(snooping, vlan)
	snooping_vlan_topology_changed(vlan);
}

/* ---- Frames ---- */

struct frame_at {
	struct snooping *snooping;
	unsigned port;
	uint16_t vlan;
	const uint8_t *bytes;
	size_t length;
};

static void send_to(const struct frame_at *frame, unsigned port)
{
	const struct snooping_options *options = &frame->snooping->options;

	options->actions->send(options->arg, port, frame->port, frame->vlan, frame->bytes,
			       frame->length);
}

static void send_to_routers(const struct frame_at *frame, const struct snooping_vlan *vlan)
{
	struct port_set routers;

	snooping_vlan_routers(vlan, &routers);
	for (unsigned port = 0; port < SNOOPING_PORTS; port++)
		if (port_set_has(&routers, port) && port != frame->port)
			send_to(frame, port);
}

static bool is_of_routers(const struct group_message *message)
{
	return message->kind == GROUP_QUERY || message->kind == GROUP_ROUTER ||
	       message->kind == GROUP_ROUTER_GONE;
}

static void count(struct snooping_counters *counters, const struct group_message *message)
{
	uint64_t *of_kind[] = { [GROUP_QUERY] = counters->queries,
				[GROUP_REPORT] = counters->reports,
				[GROUP_LEAVE] = counters->leaves,
				[GROUP_ROUTER] = counters->routers,
				[GROUP_ROUTER_GONE] = counters->routers };

	of_kind[message->kind][message->is_mld]++;
}

static bool is_heard_by_all(const struct frame_at *frame)
{
	const struct snooping_options *options = &frame->snooping->options;

	return !options->actions->all_hear ||
	       options->actions->all_hear(options->arg, frame->port, frame->vlan);
}

static void obey(const struct frame_at *frame, struct snooping_vlan *vlan,
		 const struct group_message *message)
{
	struct snooping *snooping = frame->snooping;

	snooping_vlan_touch(vlan);
	switch (message->kind) {
	case GROUP_REPORT:
	case GROUP_LEAVE:
		/* Before it goes on: its port may get what routers get from now on. */
		snooping_heard_members(vlan, frame->port, message);
		send_to_routers(frame, vlan);
		return;
	case GROUP_QUERY:
		/* Whom others do not hear is a router, but asks nobody in our place, and ends no membership. */
		if (!is_heard_by_all(frame)) {
			snooping_vlan_open(vlan, frame->port, true,
					   snooping->now + snooping_vlan_membership(vlan));
			break;
		}
		snooping_vlan_heard_query(vlan, frame->port, message);
		if (!group_address_is_zero(message->group))
			snooping_lower_members(vlan, frame->port, message);
		break;
	case GROUP_ROUTER:
		snooping_vlan_open(vlan, frame->port, true,
				   snooping->now + snooping_vlan_membership(vlan));
		break;
	case GROUP_ROUTER_GONE:
		snooping_vlan_close_router(vlan, frame->port);
		break;
	}
	send_to(frame, SNOOPING_PORTS);
}

void snooping_frame(struct snooping *snooping, unsigned port, uint16_t vlan_id,
		    const uint8_t *bytes, size_t length, uint64_t now)
{
	struct frame_at frame = { snooping, port, vlan_id, bytes, length };
	struct snooping_vlan *vlan = NULL;
	struct group_message message;
	enum group_message_found found = group_message_parse(&message, bytes, length);

	snooping->now = now;
	if (found == GROUP_MESSAGE_NONE || !snoops(snooping, message.is_mld)) {
		send_to(&frame, SNOOPING_PORTS);
		return;
	}
	if (found == GROUP_MESSAGE_BAD) {
		snooping->counters.bad++;
		return;
	}
	if (is_of_routers(&message) && snooping->ports[port].router == SNOOPING_ROUTER_NEVER) {
		snooping->counters.guarded++;
		return;
	}
	count(&snooping->counters, &message);
	vlan = snooping_vlan_get(snooping, vlan_id, message.is_mld);
	if (vlan)
		obey(&frame, vlan, &message);
	else
		send_to(&frame, SNOOPING_PORTS);
}

/* ---- Time ---- */

uint64_t snooping_run(struct snooping *snooping, uint64_t now)
{
	snooping->now = now;
	timer_expire(&snooping->timers, now);
	return timer_next(&snooping->timers);
}

uint64_t snooping_next(const struct snooping *snooping)
{
	return timer_next(&snooping->timers);
}
