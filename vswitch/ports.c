/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ports of a switch: they come, change and go while others run; see switch.h.
 *
 * A port's slot is its index in the address table and with all threads. It is free for another one when, in one
 * call, no thread has anything for it and no address is at it any more. What is then left of the port is nobody's but the
 * caller's, who ends it outside of the call, for that may wait.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "util/log.h"
#include "vswitch/bond.h"
#include "vswitch/internal.h"
#include "vswitch/port_link.h"
#include "vswitch/stp.h"

int vswitch_no_such_port(const struct vswitch *vswitch, const char *name, struct error *error)
{
	error_set(error, -ENOENT, "switch %s: port %.40s: there is none of that name",
		  vswitch->name, name);
	error_advise(error, "`tenon switch port list %s` shows those there are", vswitch->name);
	return -ENOENT;
}

struct port_call {
	struct vswitch *vswitch;
	struct port *port;
	const char *name;
	const struct port_config *config;
	struct error *error;
	bool anyway; /* of a bond that goes: also if it has links */
};

/* ---- Coming ---- */

static unsigned free_slot(const struct vswitch *vswitch)
{
	unsigned slot = 0;

	while (vswitch->ports[slot])
		slot++;
	return slot;
}

/* Beyond `attach`, nothing can fail. */
static int put_into_slot(struct port *port, struct error *error)
{
	int rc = vswitch_thread_add(port->thread, port);

	if (rc)
		return error_set(error, rc, "port %s: out of memory", port->name);
	if (port->ops->attach) {
		rc = port->ops->attach(port, error);
		if (rc) {
			vswitch_thread_remove(port->thread, port);
			return rc;
		}
	}
	port->vswitch->ports[port->index] = port;
	port->vswitch->list[port->vswitch->port_count++] = port;
	return 0;
}

static int add_port(void *arg)
{
	const struct port_call *call = arg;
	struct vswitch *vswitch = call->vswitch;
	struct port *port = call->port;
	int rc;

	if (vswitch->port_count == VSWITCH_PORTS_MAX)
		return error_set(call->error, -ENOSPC,
				 "switch %s: port %s: it has %d ports, no more fit", vswitch->name,
				 call->name, VSWITCH_PORTS_MAX);
	if (vswitch_find_port(vswitch, call->name))
		return error_set(call->error, -EEXIST,
				 "switch %s: port %s: there is one of that "
				 "name already",
				 vswitch->name, call->name);
	port->vswitch = vswitch;
	port->log = vswitch->log;
	port->thread = vswitch_thread_for_port(vswitch);
	port->index = (uint16_t)free_slot(vswitch);
	strcpy(port->name, call->name);
	rc = bond_check_port(vswitch, port, call->config, call->error);
	if (!rc)
		rc = stp_check_port(vswitch, call->name, call->config, call->error);
	if (!rc && call->config)
		rc = port_prepare_police(port, call->config, call->error);
	if (rc) {
		port_free_filters(port);
		return rc;
	}
	port->home = bond_home(port, call->config);
	rc = put_into_slot(port, call->error);
	if (rc) {
		port_free_filters(port);
		return rc;
	}
	if (call->config)
		bond_configure_port(port, call->config);
	capture_sessions_add_port(vswitch, port);
	checkpoint_refresh(vswitch);
	protocols_port_added(vswitch, port);
	return 0;
}

int vswitch_add_port_as(struct vswitch *vswitch, struct port *port, const char *name,
			const struct port_config *config, struct error *error)
{
	struct port_call call = {
		.vswitch = vswitch, .port = port, .name = name, .config = config, .error = error
	};
	int rc = vswitch_check_port_name(name, error);

	pthread_mutex_init(&port->out_lock, NULL);
	list_init(&port->watches);
	if (!rc)
		rc = vswitch_call(vswitch, add_port, &call);
	if (rc)
		port->ops->destroy(port);
	return rc;
}

int vswitch_add_port(struct vswitch *vswitch, struct port *port, const char *name,
		     struct error *error)
{
	return vswitch_add_port_as(vswitch, port, name, NULL, error);
}

/* ---- Changing ---- */

static int addresses_agree(const struct port_call *call, const struct port *port)
{
	struct mac_entry entry;
	int found = port_static_addresses(port, &call->config->vlan, &entry);
	char text[MAC_TEXT];

	if (found < 0)
		return error_set(call->error, -ENOMEM, "port %s: out of memory", port->name);
	if (!found)
		return 0;
	mac_format(entry.mac, text);
	error_set(call->error, -EBUSY,
		  "port %s: it would not carry VLAN %u any more, in which the static address %s is "
		  "at it",
		  port->name, entry.fid, text);
	error_advise(call->error, "`tenon switch table remove %s %s --vlan %u` takes it away",
		     call->vswitch->name, text, entry.fid);
	return -EBUSY;
}

static int set_port(void *arg)
{
	const struct port_call *call = arg;
	struct port *port = vswitch_find_port(call->vswitch, call->name);
	int rc;

	if (!port)
		return vswitch_no_such_port(call->vswitch, call->name, call->error);
	rc = bond_check_port(call->vswitch, port, call->config, call->error);
	if (!rc)
		rc = stp_check_port(call->vswitch, call->name, call->config, call->error);
	if (!rc && !vlan_port_same(&port->config.vlan, &call->config->vlan))
		rc = addresses_agree(call, port);
	if (!rc)
		rc = port_prepare_police(port, call->config, call->error);
	if (rc)
		return rc;
	/* What it has learned may be in VLANs that it is no member of any more. */
	if (!vlan_port_same(&port->config.vlan, &call->config->vlan))
		port_forget(port);
	bond_configure_port(port, call->config);
	checkpoint_refresh(call->vswitch);
	protocols_port_event(call->vswitch, port->index, PROTOCOL_PORT_CHANGED);
	return 0;
}

int vswitch_set_port(struct vswitch *vswitch, const char *name, const struct port_config *config,
		     struct error *error)
{
	struct port_call call = {
		.vswitch = vswitch, .name = name, .config = config, .error = error
	};

	return vswitch_call(vswitch, set_port, &call);
}

struct reserved_call {
	struct vswitch *vswitch;
	const struct reserved_choices *choices;
	struct error *error;
};

static int change_reserved(void *arg)
{
	const struct reserved_call *call = arg;

	int rc = stp_check_reserved(call->vswitch, call->choices, call->error);

	if (!rc)
		call->vswitch->reserved = *call->choices;
	return rc;
}

int vswitch_set_reserved(struct vswitch *vswitch, const struct reserved_choices *choices,
			 struct error *error)
{
	struct reserved_call call = { vswitch, choices, error };

	return vswitch_call(vswitch, change_reserved, &call);
}

/* ---- Going ---- */

static void take_out(struct port *port)
{
	struct vswitch *vswitch = port->vswitch;
	unsigned at = 0;

	bond_port_goes(port);
	protocols_port_event(vswitch, port->index, PROTOCOL_PORT_LEAVES);
	port_end_watches(port);
	if (port->ops->detach)
		port->ops->detach(port);
	port->removed = true;
	__atomic_store_n(&port->up, false, __ATOMIC_RELAXED); /* protocols send to others now */
	mac_table_drop_port(vswitch->table, port->index);
	protocols_port_removed(vswitch, port);
	vswitch_thread_remove(port->thread, port);
	while (vswitch->list[at] != port)
		at++;
	vswitch->port_count--;
	memmove(&vswitch->list[at], &vswitch->list[at + 1],
		(vswitch->port_count - at) * sizeof(vswitch->list[0]));
	vswitch->ports[port->index] = NULL;
	port_link_share(vswitch);
}

static int remove_port(void *arg)
{
	struct port_call *call = arg;

	call->port = vswitch_find_port(call->vswitch, call->name);
	if (!call->port)
		return vswitch_no_such_port(call->vswitch, call->name, call->error);
	if (!call->anyway && bond_check_idle(call->port, call->error))
		return -EBUSY;
	log_info(call->vswitch->log, "port %s: removed", call->name);
	take_out(call->port);
	checkpoint_refresh(call->vswitch);
	return 0;
}

static void end_port(struct port *port)
{
	pthread_mutex_destroy(&port->out_lock);
	port_free_filters(port);
	free(port->shares);
	port->ops->destroy(port);
}

static int remove_named(struct vswitch *vswitch, const char *name, bool anyway, struct error *error)
{
	struct port_call call = {
		.vswitch = vswitch, .name = name, .error = error, .anyway = anyway
	};
	int rc = vswitch_call(vswitch, remove_port, &call);

	if (!rc)
		end_port(call.port);
	return rc;
}

int vswitch_remove_port(struct vswitch *vswitch, const char *name, struct error *error)
{
	return remove_named(vswitch, name, false, error);
}

void vswitch_destroy_ports(struct vswitch *vswitch)
{
	while (vswitch->port_count)
		remove_named(vswitch, vswitch->list[vswitch->port_count - 1]->name, true, NULL);
}

/* ---- Frames of the switch's own ---- */

struct send_call {
	struct vswitch *vswitch;
	const char *name;
	uint16_t vlan;
	struct frame frame;
	struct error *error;
};

static int send_frame(void *arg)
{
	struct send_call *call = arg;
	struct vswitch *vswitch = call->vswitch;
	struct egress_entry entry = { .frame = &call->frame, .vlan = call->vlan };
	unsigned sent = 0;

	if (call->name && !vswitch_find_port(vswitch, call->name))
		return vswitch_no_such_port(vswitch, call->name, call->error);
	for (unsigned i = 0; i < vswitch->port_count; i++) {
		struct port *port = vswitch->list[i];

		if ((call->name ? strcmp(port->name, call->name) != 0 : port->mirror_only) ||
		    !port_is_up(port) || !egress_carries(port, &entry) ||
		    (!call->name && (port->holds & PORT_HOLDS_OUT)))
			continue;
		egress_line_up(&vswitch->threads[0], port, &entry);
		sent++;
	}
	egress_all(&vswitch->threads[0]);
	if (sent || !call->name)
		return 0;
	return error_set(call->error, -ENETDOWN,
			 "switch %s: port %s: it is down, or does not carry VLAN %u", vswitch->name,
			 call->name, call->vlan);
}

int vswitch_send(struct vswitch *vswitch, const char *name, uint16_t vlan, const void *bytes,
		 size_t length, struct error *error)
{
	uint8_t copy[VSWITCH_SEND_MAX];
	struct iovec piece = { copy, length };
	struct send_call call = {
		.vswitch = vswitch,
		.name = name,
		.vlan = vlan,
		.frame = { .pieces = &piece, .count = 1, .length = (uint32_t)length },
		.error = error
	};

	if (length < VIRTIO_NET_FRAME_MIN || length > sizeof(copy) || vlan > VLAN_ID_MAX)
		return error_set(error, -EINVAL,
				 "switch %s: a frame of %zu bytes in VLAN %u: expected %d to %d "
				 "bytes, and a VLAN of at most %d",
				 vswitch->name, length, vlan, VIRTIO_NET_FRAME_MIN,
				 VSWITCH_SEND_MAX, VLAN_ID_MAX);
	memcpy(copy, bytes, length);
	return vswitch_call(vswitch, send_frame, &call);
}

/* ---- Addresses ---- */

struct address_call {
	struct vswitch *vswitch;
	const char *name; /* of the port; NULL: forget the address */
	uint16_t vlan;
	uint64_t mac;
	struct error *error;
};

static int set_address(void *arg)
{
	const struct address_call *call = arg;
	struct mac_table *table = call->vswitch->table;
	struct port *port = call->name ? vswitch_find_port(call->vswitch, call->name) : NULL;
	char text[MAC_TEXT];
	int rc;

	mac_format(call->mac, text);
	if (!call->name) {
		rc = mac_table_remove(table, call->vlan, call->mac);
		return rc ? error_set(call->error, rc,
				      "switch %s: address %s: it is not known in VLAN %u",
				      call->vswitch->name, text, call->vlan)
			  : 0;
	}
	if (!port)
		return vswitch_no_such_port(call->vswitch, call->name, call->error);
	if (bond_refuse_link(port, "addresses", call->error))
		return -EINVAL;
	if (!vlan_has(&port->config.vlan, call->vlan))
		return error_set(call->error, -EINVAL,
				 "switch %s: address %s: port %s does not carry VLAN %u",
				 call->vswitch->name, text, call->name, call->vlan);
	rc = mac_table_add_static(table, call->vlan, call->mac, port->index);
	if (rc)
		error_set(call->error, rc, "switch %s: address %s: %s", call->vswitch->name, text,
			  rc == -EINVAL ? "it is a group's, or zero: no station has it"
					: "the table is full");
	return rc;
}

int vswitch_add_address(struct vswitch *vswitch, uint16_t vlan, uint64_t mac, const char *name,
			struct error *error)
{
	struct address_call call = { vswitch, name, vlan, mac, error };

	return vswitch_call(vswitch, set_address, &call);
}

int vswitch_remove_address(struct vswitch *vswitch, uint16_t vlan, uint64_t mac,
			   struct error *error)
{
	struct address_call call = { vswitch, NULL, vlan, mac, error };

	return vswitch_call(vswitch, set_address, &call);
}

static int flush_addresses(void *arg)
{
	struct address_call *call = arg;
	struct port *port = call->name ? vswitch_find_port(call->vswitch, call->name) : NULL;

	if (call->name && !port)
		return vswitch_no_such_port(call->vswitch, call->name, call->error);
	for (unsigned i = 0; i < call->vswitch->port_count; i++)
		if (!port || call->vswitch->list[i] == port)
			port_forget(call->vswitch->list[i]);
	return 0;
}

int vswitch_flush_addresses(struct vswitch *vswitch, const char *name, struct error *error)
{
	struct address_call call = { vswitch, name, 0, 0, error };

	return vswitch_call(vswitch, flush_addresses, &call);
}
