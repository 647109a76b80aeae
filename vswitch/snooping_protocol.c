/* SPDX-License-Identifier: BSD-2-Clause */
/* Snooping in a switch; see snooping_protocol.h. All but wants() runs in calls. */
#include "vswitch/snooping_protocol.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "vswitch/internal.h"
#include "vswitch/snooping_words.h"

struct snooping_protocol {
	struct protocol protocol;
	struct snooping *snooping;
	struct timer timer;
	const struct protocol_frame *came; /* while it is looked at */
};

static struct snooping_protocol *of(struct protocol *protocol)
{
	return container_of(protocol, struct snooping_protocol, protocol);
}

static struct snooping_protocol *find_snooping(const struct vswitch *vswitch)
{
	struct protocol *protocol = protocol_find(vswitch, "igmp");

	return protocol ? of(protocol) : NULL;
}

static bool is_on(const struct snooping_protocol *self)
{
	const struct snooping_settings *settings = snooping_get(self->snooping);

	return settings->igmp || settings->mld;
}

/* What was done may have changed when there is more to do. */
static void arm(struct snooping_protocol *self)
{
	uint64_t next = snooping_next(self->snooping);

	if (next == TIMER_NEVER)
		protocol_timer_disarm(&self->protocol, &self->timer);
	else
		protocol_timer_arm(&self->protocol, &self->timer, next);
}

static void due(struct timer *timer)
{
	struct snooping_protocol *self = container_of(timer, struct snooping_protocol, timer);

	snooping_run(self->snooping, protocol_now(&self->protocol));
	arm(self);
}

/* ---- Frames ---- */

static bool reaches(const struct port *source, const struct port *port, uint16_t vlan)
{
	return !port_is_parted(source, port) && vlan_has(&port->config.vlan, vlan) &&
	       (!port->config.isolation || port->config.isolation != source->config.isolation);
}

static void send_by(struct snooping_protocol *self, const struct port *port,
		    const struct port *source, uint16_t vlan, const uint8_t *frame, size_t length)
{
	if (port == source || (port->holds & PORT_HOLDS_OUT) || !port_is_up(port) ||
	    (source ? !reaches(source, port, vlan) : !vlan_has(&port->config.vlan, vlan)))
		return;
	if (self->came && frame == self->came->bytes)
		protocol_pass_on(&self->protocol, port->index, self->came);
	else
		protocol_send(&self->protocol, port->index, vlan, frame, length);
}

static void send_on(void *arg, unsigned slot, unsigned except, uint16_t vlan, const uint8_t *frame,
		    size_t length)
{
	struct snooping_protocol *self = arg;
	struct vswitch *vswitch = self->protocol.vswitch;
	const struct port *source = protocol_port(&self->protocol, except);
	const struct port *port = protocol_port(&self->protocol, slot);

	if (port)
		send_by(self, port, source, vlan, frame, length);
	for (unsigned i = 0; slot == SNOOPING_PORTS && i < vswitch->port_count; i++)
		send_by(self, vswitch->list[i], source, vlan, frame, length);
}

static bool all_hear(void *arg, unsigned slot, uint16_t vlan)
{
	struct snooping_protocol *self = arg;
	const struct vswitch *vswitch = self->protocol.vswitch;
	const struct port *source = protocol_port(&self->protocol, slot);

	for (unsigned i = 0; source && i < vswitch->port_count; i++) {
		const struct port *port = vswitch->list[i];

		if (port != source && vlan_has(&port->config.vlan, vlan) &&
		    !reaches(source, port, vlan))
			return false;
	}
	return true;
}

static const struct snooping_actions actions = { send_on, all_hear };

static void frame_came(struct protocol *protocol, const struct protocol_frame *frame)
{
	struct snooping_protocol *self = of(protocol);

	self->came = frame;
	snooping_frame(self->snooping, frame->slot, frame->vlan, frame->bytes, frame->length,
		       protocol_now(protocol));
	self->came = NULL;
	arm(self);
}

static enum protocol_verdict wants_v4(const struct protocol *protocol, const struct port *port,
				      const uint8_t *payload, size_t length)
{
	(void)protocol, (void)port;
	return group_message_may_be(false, payload, length) ? PROTOCOL_TAKE : PROTOCOL_IGNORE;
}

static enum protocol_verdict wants_v6(const struct protocol *protocol, const struct port *port,
				      const uint8_t *payload, size_t length)
{
	(void)protocol, (void)port;
	return group_message_may_be(true, payload, length) ? PROTOCOL_TAKE : PROTOCOL_IGNORE;
}

/* ---- Ports ---- */

static void list_vlans(struct snooping_protocol *self)
{
	const struct vswitch *vswitch = self->protocol.vswitch;
	uint64_t now = protocol_now(&self->protocol);

	snooping_begin_vlans(self->snooping);
	for (unsigned i = 0; i < vswitch->port_count; i++) {
		const struct vlan_port *vlan = &vswitch->list[i]->config.vlan;

		/* Of a trunk without a native VLAN only what is heard is known. */
		if (vlan->untagged || vlan->kind == VLAN_PORT_ANY)
			snooping_add_vlan(self->snooping, vlan->untagged, now);
	}
}

static void port_changed(struct protocol *protocol, unsigned slot, enum protocol_port_event event)
{
	struct snooping_protocol *self = of(protocol);
	uint64_t now = protocol_now(protocol);

	protocol_enable(protocol, slot, is_on(self));
	switch (event) {
	case PROTOCOL_PORT_LEAVES:
		break;
	case PROTOCOL_PORT_REMOVED:
		snooping_port_gone(self->snooping, slot, now);
		break;
	case PROTOCOL_PORT_DOWN:
		snooping_port_down(self->snooping, slot, now);
		break;
	case PROTOCOL_PORT_ADDED:
	case PROTOCOL_PORT_CHANGED:
		snooping_port_down(self->snooping, slot, now);
		list_vlans(self);
		if (port_is_up(protocol_port(protocol, slot)))
			snooping_port_up(self->snooping, slot, now);
		break;
	case PROTOCOL_PORT_UP:
		snooping_port_up(self->snooping, slot, now);
		break;
	}
	arm(self);
}

void snooping_topology_change(struct vswitch *vswitch)
{
	struct snooping_protocol *self = find_snooping(vswitch);

	if (!self)
		return;
	snooping_topology_changed(self->snooping, protocol_now(&self->protocol));
	arm(self);
}

/* ---- The object ---- */

static void part_from(struct protocol *protocol)
{
	protocol->vswitch->groups = NULL;
	protocol_timer_disarm(protocol, &of(protocol)->timer);
}

static void destroy(struct protocol *protocol)
{
	struct snooping_protocol *self = of(protocol);

	snooping_destroy(self->snooping);
	free(self);
}

#define MAC_V4      0x01005e000000
#define MAC_V4_MASK 0xffffff800000
#define MAC_V6      0x333300000000
#define MAC_V6_MASK 0xffff00000000
#define MAC_ALL     0xffffffffffff

static const struct protocol_claim claims[] = {
	{ MAC_V4, MAC_V4_MASK, 0x0800, wants_v4 },
	{ MAC_V6, MAC_V6_MASK, 0x86dd, wants_v6 },
	/* Hosts take messages that are for all by the MAC, too. */
	{ MAC_ALL, MAC_ALL, 0x0800, wants_v4 },
	{ MAC_ALL, MAC_ALL, 0x86dd, wants_v6 },
};

static const struct protocol_ops ops = {
	.name = "igmp",
	.claims = claims,
	.claim_count = ARRAY_SIZE(claims),
	.frame = frame_came,
	.port = port_changed,
	.leave = part_from,
	.destroy = destroy,
};

static int add_to(struct vswitch *vswitch, struct error *error)
{
	struct snooping_protocol *self = calloc(1, sizeof(*self));
	struct snooping_options options = {
		.mac = vswitch->mac, .seed = vswitch->seed, .actions = &actions, .arg = self
	};
	int rc;

	if (!self || snooping_create(&self->snooping, &options)) {
		free(self);
		return error_set(error, -ENOMEM, "switch %s: igmp: out of memory", vswitch->name);
	}
	self->protocol.ops = &ops;
	self->timer.expire = due;
	rc = vswitch_add_protocol(vswitch, &self->protocol, error);
	return rc == -EEXIST ? 0 : rc;
}

/* ---- Settings ---- */

struct snooping_call {
	struct vswitch *vswitch;
	const char *port;
	const char *const *words;
	unsigned count;
	struct vswitch_snooping_status *status;
	struct error *error;
};

static int exists(void *arg)
{
	const struct snooping_call *call = arg;

	if (call->port && !vswitch_find_port(call->vswitch, call->port))
		return vswitch_no_such_port(call->vswitch, call->port, call->error);
	return find_snooping(call->vswitch) != NULL;
}

static int change_port(struct snooping_protocol *self, const struct snooping_call *call)
{
	const struct port *port = vswitch_find_port(call->vswitch, call->port);
	struct snooping_port_settings settings;
	int rc = 0;

	if (!port)
		return vswitch_no_such_port(call->vswitch, call->port, call->error);
	settings = *snooping_get_port(self->snooping, port->index);
	for (unsigned i = 0; !rc && i < call->count; i++)
		rc = snooping_port_settings_set(&settings, call->words[i], call->error);
	if (rc)
		error_prefix(call->error, "port %s", call->port);
	else
		snooping_change_port(self->snooping, port->index, &settings,
				     protocol_now(&self->protocol));
	return rc;
}

static int change_all(struct snooping_protocol *self, const struct snooping_call *call)
{
	struct snooping_settings settings = *snooping_get(self->snooping);
	struct vswitch *vswitch = call->vswitch;
	int rc = 0;

	for (unsigned i = 0; !rc && i < call->count; i++)
		rc = snooping_settings_set(&settings, call->words[i], call->error);
	if (!rc)
		rc = snooping_settings_check(&settings, call->error);
	if (rc)
		return rc;
	snooping_change(self->snooping, &settings, protocol_now(&self->protocol));
	vswitch->groups = is_on(self) ? snooping_set(self->snooping) : NULL;
	for (unsigned i = 0; i < vswitch->port_count; i++)
		protocol_enable(&self->protocol, vswitch->list[i]->index, is_on(self));
	list_vlans(self);
	return 0;
}

static int change(void *arg)
{
	const struct snooping_call *call = arg;
	struct snooping_protocol *self = find_snooping(call->vswitch);
	int rc = call->port ? change_port(self, call) : change_all(self, call);

	arm(self);
	return rc;
}

int vswitch_set_snooping(struct vswitch *vswitch, const char *port, const char *const *words,
			 unsigned count, struct error *error)
{
	struct snooping_call call = { vswitch, port, words, count, NULL, error };
	int rc = vswitch_call(vswitch, exists, &call);

	if (!rc)
		rc = add_to(vswitch, error);
	return rc < 0 ? rc : vswitch_call(vswitch, change, &call);
}

/* ---- Looking ---- */

#define DEFINE_LOOK(one, type)                                                                     \
	static void count_##one(void *arg, const type *unused)                                     \
	{                                                                                          \
		(void)unused;                                                                      \
		((struct vswitch_snooping_status *)arg)->one##_count++;                            \
	}                                                                                          \
	static void add_##one(void *arg, const type *one)                                          \
	{                                                                                          \
		struct vswitch_snooping_status *status = arg;                                      \
		status->one##s[status->one##_count++] = *one;                                      \
	}

DEFINE_LOOK(vlan, struct snooping_vlan_status)
DEFINE_LOOK(router, struct snooping_router_status)
DEFINE_LOOK(member, struct snooping_member_status)
DEFINE_LOOK(source, struct snooping_source_status)

static int fill_lists(struct vswitch_snooping_status *status, const struct snooping *snooping)
{
	snooping_each_vlan(snooping, count_vlan, status);
	snooping_each_router(snooping, count_router, status);
	snooping_each_member(snooping, count_member, status);
	snooping_each_source(snooping, count_source, status);
	status->vlans = calloc(status->vlan_count + 1, sizeof(*status->vlans));
	status->routers = calloc(status->router_count + 1, sizeof(*status->routers));
	status->members = calloc(status->member_count + 1, sizeof(*status->members));
	status->sources = calloc(status->source_count + 1, sizeof(*status->sources));
	if (!status->vlans || !status->routers || !status->members || !status->sources)
		return -ENOMEM;
	status->vlan_count = status->router_count = 0;
	status->member_count = status->source_count = 0;
	snooping_each_vlan(snooping, add_vlan, status);
	snooping_each_router(snooping, add_router, status);
	snooping_each_member(snooping, add_member, status);
	snooping_each_source(snooping, add_source, status);
	return 0;
}

static int look_all(void *arg)
{
	const struct snooping_call *call = arg;
	struct vswitch_snooping_status *status = call->status;
	const struct vswitch *vswitch = call->vswitch;
	const struct snooping_protocol *self = find_snooping(vswitch);

	snooping_settings_init(&status->settings);
	for (unsigned i = 0; i < vswitch->port_count; i++) {
		const struct port *port = vswitch->list[i];

		memcpy(status->ports[port->index].name, port->name, sizeof(port->name));
		if (self)
			status->ports[port->index].settings =
				*snooping_get_port(self->snooping, port->index);
	}
	if (!self)
		return 0;
	status->now = protocol_now(&self->protocol);
	status->settings = *snooping_get(self->snooping);
	status->counters = *snooping_counters(self->snooping);
	status->group_count = snooping_set(self->snooping)->count;
	return fill_lists(status, self->snooping);
}

int vswitch_snooping_status(struct vswitch *vswitch, struct vswitch_snooping_status **out)
{
	struct snooping_call call = { .vswitch = vswitch,
				      .status = calloc(1, sizeof(*call.status)) };
	int rc = call.status ? vswitch_call(vswitch, look_all, &call) : -ENOMEM;

	if (rc)
		vswitch_snooping_status_free(call.status);
	else
		*out = call.status;
	return rc;
}

void vswitch_snooping_status_free(struct vswitch_snooping_status *status)
{
	if (!status)
		return;
	free(status->vlans);
	free(status->routers);
	free(status->members);
	free(status->sources);
	free(status);
}
