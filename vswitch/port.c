/* SPDX-License-Identifier: BSD-2-Clause */
/* What all ports have in common; see port.h. */
#include "vswitch/port.h"

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "util/bytes.h"
#include "vswitch/internal.h"

static const char *const drop_names[] = {
	[PORT_DROP_BAD_LENGTH] = "bad_length",
	[PORT_DROP_BAD_CHECKSUM] = "bad_checksum_request",
	[PORT_DROP_BAD_GSO] = "bad_gso",
	[PORT_DROP_BAD_PACKET] = "bad_packet",
	[PORT_DROP_BAD_SOURCE] = "bad_source",
	[PORT_DROP_RESERVED] = "reserved_address",
	[PORT_DROP_SAME_PORT] = "same_port",
	[PORT_DROP_NO_PORT] = "no_port",
	[PORT_DROP_NO_MEMBER] = "no_member",
	[PORT_DROP_VLAN] = "vlan",
	[PORT_DROP_ISOLATED] = "isolated",
	[PORT_DROP_BLOCKED] = "blocked",
	[PORT_DROP_TO_BLOCKED] = "to_blocked",
	[PORT_DROP_PARTITIONED] = "partitioned",
	[PORT_DROP_STORM_BROADCAST] = "storm_broadcast",
	[PORT_DROP_STORM_MULTICAST] = "storm_multicast",
	[PORT_DROP_STORM_UNKNOWN] = "storm_unknown",
	[PORT_DROP_OVERRUN] = "overrun",
	[PORT_DROP_TX_DISABLED] = "tx_disabled",
	[PORT_DROP_FILTERED] = "filtered",
	[PORT_DROP_POLICED] = "policed",
	[PORT_DROP_CONTROL_OVERRUN] = "control_overrun",
	[PORT_DROP_MIRROR] = "mirror_port",
	[PORT_DROP_TUNNEL_HEADER] = "bad_tunnel_header",
	[PORT_DROP_TUNNEL_VNI] = "wrong_vni",
	[PORT_DROP_TUNNEL_OPTION] = "critical_option",
	[PORT_DROP_TUNNEL_REMOTE] = "unknown_remote",
	[PORT_DROP_TUNNEL_MARKED] = "ecn_not_capable",
	[PORT_DROP_FILTERED_OUT] = "filtered_out",
	[PORT_DROP_POLICED_OUT] = "policed_out",
	[PORT_DROP_DOWN] = "down",
	[PORT_DROP_RX_DISABLED] = "rx_disabled",
	[PORT_DROP_NO_BUFFER] = "no_buffer",
	[PORT_DROP_TOO_LONG] = "too_long",
	[PORT_DROP_FAILED] = "failed",
};

static_assert(ARRAY_SIZE(drop_names) == PORT_DROP_COUNT, "each reason has a name");

const char *port_drop_name(enum port_drop drop)
{
	return drop_names[drop];
}

void port_drops_note(const struct port *port, struct port_drops_out *before)
{
	memcpy(before->drops, port->counters.drops + PORT_DROP_FILTERED_OUT, sizeof(before->drops));
}

const char *port_drops_since(const struct port *port, const struct port_drops_out *before)
{
	for (unsigned i = PORT_DROP_COUNT; i-- > PORT_DROP_FILTERED_OUT;)
		if (port->counters.drops[i] != before->drops[i - PORT_DROP_FILTERED_OUT])
			return port_drop_name(i);
	return NULL;
}

enum port_drop port_drop_of_fault(enum virtio_net_fault fault)
{
	switch (fault) {
	case VIRTIO_NET_FAULT_CHECKSUM:
		return PORT_DROP_BAD_CHECKSUM;
	case VIRTIO_NET_FAULT_GSO:
		return PORT_DROP_BAD_GSO;
	case VIRTIO_NET_FAULT_PACKET:
		return PORT_DROP_BAD_PACKET;
	default:
		return PORT_DROP_BAD_LENGTH;
	}
}

void port_forget(struct port *port)
{
	mac_table_flush_port(port->vswitch->table, port->index);
	if (port->ops->forget)
		port->ops->forget(port);
}

int port_static_addresses(const struct port *port, const struct vlan_port *without,
			  struct mac_entry *first)
{
	struct vswitch *vswitch = port->vswitch;
	unsigned space = mac_table_count(vswitch->table), count;
	CLEANUP_FREE struct mac_entry *entries = calloc(space + 1, sizeof(*entries));
	int found = 0;

	if (!entries)
		return -ENOMEM;
	count = mac_table_list(vswitch->table, vswitch->clock(vswitch->clock_arg), entries, space);
	for (unsigned i = 0; i < count && entries[i].is_static; i++) {
		if (entries[i].port != port->index ||
		    (without && vlan_has(without, entries[i].fid)))
			continue;
		if (!found++)
			*first = entries[i];
	}
	return found;
}

void port_set_up(struct port *port, bool up)
{
	bool changes = port->up != up;
	struct port *over = port->over;

	if (changes && !up && port->vswitch && !port->removed)
		port_forget(port);
	__atomic_store_n(&port->up, up, __ATOMIC_RELAXED);
	if (over)
		__atomic_store_n(&over->up, up && !over->held_down, __ATOMIC_RELAXED);
	if (!changes || !port->vswitch)
		return;
	__atomic_fetch_add(&port->downs, !up, __ATOMIC_RELEASE);
	if (over)
		__atomic_fetch_add(&over->downs, !up, __ATOMIC_RELEASE);
	vswitch_control_soon(port->vswitch);
}

void port_set_features(struct port *port, uint64_t features)
{
	port->features = features;
	if (port->over)
		__atomic_store_n(&port->over->features, port->over->hides_features ? 0 : features,
				 __ATOMIC_RELAXED);
}

int port_watch(struct port *port, struct port_watch *watch, int fd,
	       void (*ready)(struct port_watch *watch))
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = watch };

	*watch = (struct port_watch){ .fd = fd, .port = port, .ready = ready };
	if (epoll_ctl(port->thread->epoll_fd, EPOLL_CTL_ADD, fd, &event)) {
		watch->fd = -1;
		watch->port = NULL;
		return -errno;
	}
	list_add_tail(&port->watches, &watch->node);
	return 0;
}

void port_watch_output(struct port_watch *watch, bool wanted)
{
	struct epoll_event event = { .events = EPOLLIN | (wanted ? EPOLLOUT : 0),
				     .data.ptr = watch };

	if (watch->fd >= 0 && watch->port)
		epoll_ctl(watch->port->thread->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event);
}

void port_unwatch(struct port_watch *watch)
{
	if (watch->fd >= 0 && watch->port) {
		epoll_ctl(watch->port->thread->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
		list_remove(&watch->node);
	}
	watch->fd = -1;
}

void port_end_watches(struct port *port)
{
	while (!list_empty(&port->watches))
		port_unwatch(list_entry(port->watches.next, struct port_watch, node));
}

void vswitch_thread_wake(struct vswitch_thread *thread)
{
	uint64_t one = 1;
	ssize_t unused = write(thread->wake_fd, &one, sizeof(one));

	(void)unused; /* it is non-blocking; when full, the thread is awake already */
}

void port_wake_thread(struct port *port)
{
	vswitch_thread_wake(port->thread);
}

void vswitch_control_soon(struct vswitch *vswitch)
{
	if (!vswitch->protocols ||
	    __atomic_exchange_n(&vswitch->control_pending, true, __ATOMIC_ACQ_REL))
		return;
	vswitch_thread_wake(&vswitch->threads[0]);
}

uint64_t port_now(const struct port *port)
{
	return port->thread->now;
}

void port_timer_arm(struct port *port, struct timer *timer, uint64_t when)
{
	timer_arm(&port->thread->timers, timer, when);
}

void port_timer_disarm(struct port *port, struct timer *timer)
{
	if (port->thread)
		timer_disarm(&port->thread->timers, timer);
}
