/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A tunnel to other hosts: frames in UDP datagrams, behind a header that says which segment they are of (tunnel_format.h).
 *
 * Which remote. What is to be flooded goes to each remote of the list (head-end replication); what comes from a remote teaches behind
 * which one its sender is, and what is for that sender goes to that one alone. In place of the list there may be a multicast group
 * (tunnel_group.h), whose hosts become remotes as they are heard. What came from one remote never goes to another: it came
 * in at this port, and no frame leaves by the port that it came from. Datagrams from others than the remotes are dropped.
 *
 * Ports. Datagrams come to one socket, at the tunnel's known port. They leave by several, each with a port of its own, which one
 * by the flow of the frame: so that networks that spread load by ports spread flows and keep their order (RFC 7348, section 5).
 *
 * Size. A frame and its headers must fit into what the route to each remote carries: the least of these is the port's frame_max, and
 * is asked for again when the kernel says that something did not fit, and every ten seconds, since nobody says that more fits. Large TCP frames are cut to it (egress.c), whatever size
 * their sender wanted its segments in.
 *
 * Who may touch what: receive() is the port's thread's; transmit() anybody's with `out_lock`. Both use `table`, which has locks of its
 * own. Remotes of the options do not change while the port lives; those that are heard are added by the port's thread, with `out_lock`.
 */
#include "vswitch/port_tunnel.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"
#include "vswitch/internal.h"
#include "vswitch/link_ecn.h"
#include "vswitch/tunnel_send.h"

#define BUFFERS       32
#define BUFFER_SIZE   65536
#define DATAGRAM_MOST 65535 /* of UDP, also with many segments */
#define RECEIVE_ROOM  (4 << 20)

/* Datagrams that came together: one, or the segments of one flow that the kernel had put together. */
struct tunnel_arrival {
	struct sockaddr_in6 from; /* or sockaddr_in */
	size_t length, segment, done;
	unsigned ecn; /* of the packets that they came in */
	union {
		char room[2 * CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint32_t)) + 64];
		struct cmsghdr align;
	} control;
};

struct port_tunnel {
	struct port port;
	struct vswitch_tunnel_options options;
	struct port_config config;
	struct tunnel_send send; /* the remotes, and the way to them */
	unsigned flooded;        /* the first so many of the remotes are flooded to */
	struct mac_table *table; /* which remote an address is behind; its ports are these */
	int fd;                  /* datagrams come here */
	struct port_watch watch;
	bool readable;
	uint32_t overrun; /* the socket's count of what it had no room for */

	uint8_t *buffers;
	struct tunnel_arrival arrivals[BUFFERS];
	unsigned arrived, next; /* of these */
	struct frame frames[PORT_BURST];
	struct iovec pieces[PORT_BURST];
};

static struct port_tunnel *tunnel_of(struct port *port)
{
	return container_of(port, struct port_tunnel, port);
}

/* ---- In ---- */

static void tunnel_ready(struct port_watch *watch)
{
	tunnel_of(watch->port)->readable = true;
}

/* One byte of IPv4's, an int of IPv6's. */
static unsigned traffic_class(const struct cmsghdr *control)
{
	int value;

	if (control->cmsg_len < CMSG_LEN(sizeof(value)))
		return *CMSG_DATA(control);
	memcpy(&value, CMSG_DATA(control), sizeof(value));
	return (unsigned)value;
}

/* What the kernel says beside the datagram: the size of its segments, marks, and how many it had no room for. */
static void read_control(struct port_tunnel *tunnel, struct tunnel_arrival *arrival,
			 struct msghdr *message)
{
	arrival->segment = arrival->length;
	arrival->ecn = 0;
	for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at; at = CMSG_NXTHDR(message, at)) {
		int segment;
		uint32_t overrun;

		if (at->cmsg_level == SOL_UDP && at->cmsg_type == UDP_GRO) {
			memcpy(&segment, CMSG_DATA(at), sizeof(segment));
			if (segment > 0)
				arrival->segment = (size_t)segment;
		} else if (at->cmsg_level == SOL_SOCKET && at->cmsg_type == SO_RXQ_OVFL) {
			memcpy(&overrun, CMSG_DATA(at), sizeof(overrun));
			tunnel->port.counters.drops[PORT_DROP_OVERRUN] +=
				(uint32_t)(overrun - tunnel->overrun);
			tunnel->overrun = overrun;
		} else if ((at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_TOS) ||
			   (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_TCLASS)) {
			arrival->ecn = traffic_class(at) & LINK_ECN_CE;
		}
	}
}

static void fill(struct port_tunnel *tunnel)
{
	struct mmsghdr messages[BUFFERS];
	struct iovec pieces[BUFFERS];
	int got;

	for (unsigned i = 0; i < BUFFERS; i++) {
		struct tunnel_arrival *arrival = &tunnel->arrivals[i];

		pieces[i] =
			(struct iovec){ tunnel->buffers + (size_t)i * BUFFER_SIZE, BUFFER_SIZE };
		messages[i].msg_hdr = (struct msghdr){ .msg_name = &arrival->from,
						       .msg_namelen = sizeof(arrival->from),
						       .msg_iov = &pieces[i],
						       .msg_iovlen = 1,
						       .msg_control = &arrival->control,
						       .msg_controllen = sizeof(arrival->control) };
	}
	got = recvmmsg(tunnel->fd, messages, BUFFERS, MSG_DONTWAIT, NULL);
	tunnel->readable = got == BUFFERS || (got < 0 && errno == EINTR);
	tunnel->next = 0;
	tunnel->arrived = got > 0 ? (unsigned)got : 0;
	for (unsigned i = 0; i < tunnel->arrived; i++) {
		tunnel->arrivals[i].length = messages[i].msg_len;
		tunnel->arrivals[i].done = 0;
		read_control(tunnel, &tunnel->arrivals[i], &messages[i].msg_hdr);
	}
}

static enum port_drop drop_of(enum tunnel_fault fault)
{
	switch (fault) {
	case TUNNEL_FAULT_OPTION:
		return PORT_DROP_TUNNEL_OPTION;
	case TUNNEL_FAULT_VNI:
		return PORT_DROP_TUNNEL_VNI;
	default:
		return PORT_DROP_TUNNEL_HEADER;
	}
}

/* Teaches where the sender is; of each VLAN for itself. */
static void learn_remote(struct port_tunnel *tunnel, const uint8_t *frame, size_t length,
			 int remote)
{
	uint64_t source = mac_from_bytes(frame + 6);

	if (mac_is_station(source))
		mac_table_learn(tunnel->table, tunnel_vlan(frame, length), source, (uint16_t)remote,
				port_now(&tunnel->port));
}

/* Makes a frame of the `length` bytes of a datagram; false: there is none in it, and that is counted. */
static bool tunnel_take(struct port_tunnel *tunnel, const struct tunnel_arrival *arrival,
			uint8_t *bytes, size_t length, unsigned slot)
{
	struct frame *frame = &tunnel->frames[slot];
	int remote = tunnel_remote_of(&tunnel->send, &arrival->from);
	enum tunnel_fault fault;
	size_t inner = 0, most;

	if (remote < 0 && !tunnel->send.group) {
		port_drop(&tunnel->port, PORT_DROP_TUNNEL_REMOTE);
		return false;
	}
	fault = tunnel_decode(tunnel->options.kind, tunnel->options.vni, bytes, length, &inner);
	if (fault) {
		port_drop(&tunnel->port, drop_of(fault));
		return false;
	}
	bytes += inner;
	length -= inner;
	if (length < VIRTIO_NET_FRAME_MIN || length > VIRTIO_NET_FRAME_MAX) {
		port_drop(&tunnel->port, PORT_DROP_BAD_LENGTH);
		return false;
	}
	if (tunnel->send.group)
		remote = tunnel_group_heard(tunnel->send.group, &tunnel->send, &tunnel->port,
					    tunnel->table, remote, &arrival->from);
	if (remote < 0) {
		port_drop(&tunnel->port, PORT_DROP_TUNNEL_REMOTE);
		return false;
	}
	learn_remote(tunnel, bytes, length, remote);
	if (!tunnel_ecn_in(bytes, length, arrival->ecn)) {
		port_drop(&tunnel->port, PORT_DROP_TUNNEL_MARKED);
		return false;
	}
	tunnel->pieces[slot] = (struct iovec){ bytes, length };
	*frame = (struct frame){ .pieces = &tunnel->pieces[slot],
				 .count = 1,
				 .length = (uint32_t)length };
	most = __atomic_load_n(&tunnel->send.mtu_frame, __ATOMIC_RELAXED);
	tunnel_find_offload(bytes, length, most, &frame->offload);
	return true;
}

static unsigned tunnel_receive(struct port *port, struct frame **frames, unsigned max)
{
	struct port_tunnel *tunnel = tunnel_of(port);
	unsigned count = 0;

	/* Frames of the last fill() have been released when it is empty. */
	if (tunnel->next == tunnel->arrived) {
		if (!tunnel->readable)
			return 0;
		fill(tunnel);
	}
	while (tunnel->next < tunnel->arrived && count < max) {
		struct tunnel_arrival *arrival = &tunnel->arrivals[tunnel->next];
		size_t length = MIN(arrival->segment, arrival->length - arrival->done);
		uint8_t *bytes =
			tunnel->buffers + (size_t)tunnel->next * BUFFER_SIZE + arrival->done;

		arrival->done += length;
		tunnel->next += arrival->done == arrival->length;
		if (tunnel_take(tunnel, arrival, bytes, length, count)) {
			frames[count] = &tunnel->frames[count];
			count++;
		}
	}
	return count;
}

/* There may be more of what came together. */
static bool tunnel_arm(struct port *port)
{
	const struct port_tunnel *tunnel = tunnel_of(port);

	return tunnel->next < tunnel->arrived || tunnel->readable;
}

static void tunnel_release(struct port *port)
{
	(void)port;
}

/* ---- Out ---- */

static unsigned tunnel_transmit(struct port *port, struct frame *const *frames, unsigned count)
{
	struct port_tunnel *tunnel = tunnel_of(port);
	struct vswitch *vswitch = port->vswitch;
	uint64_t now = vswitch->clock(vswitch->clock_arg);

	for (unsigned i = 0; i < count; i++) {
		const uint8_t *head = frames[i]->pieces[0].iov_base;
		uint64_t destination = mac_from_bytes(head);
		uint16_t remote = MAC_TABLE_NO_PORT;

		if (!mac_is_group(destination))
			remote = mac_table_lookup(tunnel->table,
						  tunnel_vlan(head, frames[i]->pieces[0].iov_len),
						  destination, now);
		if (remote != MAC_TABLE_NO_PORT)
			tunnel_send_frame(&tunnel->send, port, frames[i], remote);
		for (unsigned k = 0; remote == MAC_TABLE_NO_PORT && k < tunnel->flooded; k++)
			tunnel_send_frame(&tunnel->send, port, frames[i], k);
		if (remote == MAC_TABLE_NO_PORT && !tunnel->flooded)
			port_drop(port, PORT_DROP_DOWN);
	}
	tunnel_send_flush(&tunnel->send, port);
	return count;
}

/* ---- The port ---- */

static int tunnel_attach(struct port *port, struct error *error)
{
	struct port_tunnel *tunnel = tunnel_of(port);
	int rc = port_watch(port, &tunnel->watch, tunnel->fd, tunnel_ready);

	if (rc)
		return error_set(error, rc, "port %s: cannot watch its socket: %s", port->name,
				 error_name(rc));
	tunnel_send_follow(&tunnel->send, port);
	return 0;
}

static void tunnel_detach(struct port *port)
{
	port_timer_disarm(port, &tunnel_of(port)->send.resize);
}

static void tunnel_forget(struct port *port)
{
	mac_table_flush(tunnel_of(port)->table);
}

static void tunnel_describe(struct port *port, char where[PORT_TEXT_MAX], char state[PORT_TEXT_MAX],
			    char text[PORT_TEXT_MAX])
{
	const struct port_tunnel *tunnel = tunnel_of(port);
	char host[INET6_ADDRSTRLEN] = "nobody";

	if (tunnel->send.count)
		endpoint_host(&tunnel->send.remotes[0].endpoint, host);
	if (tunnel->send.group)
		snprintf(where, PORT_TEXT_MAX, "VNI %u to group %s, hosts: %u", tunnel->options.vni,
			 host, tunnel->send.count - tunnel->send.group->first);
	else
		snprintf(where, PORT_TEXT_MAX,
			 tunnel->send.count > 1 ? "VNI %u to %s and %u more" : "VNI %u to %s",
			 tunnel->options.vni, host, tunnel->send.count - 1);
	snprintf(state, PORT_TEXT_MAX, "up");
	snprintf(text, PORT_TEXT_MAX, "mtu=%zu stations=%u",
		 (port->frame_max ? port->frame_max : tunnel_frame_most(&tunnel->send)) -
			 VIRTIO_NET_FRAME_MIN,
		 mac_table_count(tunnel->table));
}

static void tunnel_destroy(struct port *port)
{
	struct port_tunnel *tunnel = tunnel_of(port);

	port_unwatch(&tunnel->watch);
	cleanup_close(&tunnel->fd);
	tunnel_send_close(&tunnel->send);
	mac_table_destroy(tunnel->table);
	if (tunnel->buffers)
		munmap(tunnel->buffers, BUFFERS * BUFFER_SIZE);
	free(tunnel);
}

static const struct port_ops vxlan_ops = {
	.type = "vxlan",
	.attach = tunnel_attach,
	.detach = tunnel_detach,
	.receive = tunnel_receive,
	.release = tunnel_release,
	.transmit = tunnel_transmit,
	.arm = tunnel_arm,
	.forget = tunnel_forget,
	.describe = tunnel_describe,
	.destroy = tunnel_destroy,
};

static const struct port_ops geneve_ops = {
	.type = "geneve",
	.attach = tunnel_attach,
	.detach = tunnel_detach,
	.receive = tunnel_receive,
	.release = tunnel_release,
	.transmit = tunnel_transmit,
	.arm = tunnel_arm,
	.forget = tunnel_forget,
	.describe = tunnel_describe,
	.destroy = tunnel_destroy,
};

/* ---- Making it ---- */

static int open_receiver(struct port_tunnel *tunnel, const struct endpoint *local,
			 struct error *error)
{
	struct endpoint at = *local;
	int on = 1, room = RECEIVE_ROOM;

	/* A socket with one address hears no group. */
	if (tunnel->send.group && local->address.any.sa_family == AF_INET6)
		at.address.in6.sin6_addr = in6addr_any;
	else if (tunnel->send.group)
		at.address.in.sin_addr.s_addr = INADDR_ANY;
	tunnel->fd = endpoint_listen(&at, SOCK_DGRAM, error);
	if (tunnel->fd == -EADDRINUSE)
		error_advise(error, "another tunnel receives there: a tunnel of another VNI needs "
				    "another local address or port (local=)");
	if (tunnel->fd < 0)
		return tunnel->fd;
	setsockopt(tunnel->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	setsockopt(tunnel->fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on));
	setsockopt(tunnel->fd, SOL_UDP, UDP_GRO, &on, sizeof(on));
	/* VXLAN without a checksum is good also over IPv6 (RFC 7348, section 5); Geneve is not unless both say so (RFC 8926, 4.3.1). */
	if (tunnel->options.kind == TUNNEL_VXLAN)
		setsockopt(tunnel->fd, SOL_UDP, UDP_NO_CHECK6_RX, &on, sizeof(on));
	if (local->address.any.sa_family == AF_INET6)
		setsockopt(tunnel->fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof(on));
	else
		setsockopt(tunnel->fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on));
	tunnel->readable = true;
	return tunnel->send.group ? tunnel_group_join(tunnel->send.group, tunnel->fd, error) : 0;
}

/* All addresses, and the usual port. */
static struct endpoint default_local(const struct vswitch_tunnel_options *options,
				     sa_family_t family)
{
	uint16_t port = options->kind == TUNNEL_VXLAN ? VXLAN_UDP_PORT : GENEVE_UDP_PORT;
	struct endpoint local = { .length = sizeof(local.address.in) };

	local.address.any.sa_family = family;
	if (family == AF_INET6) {
		local.address.in6.sin6_port = htons(port);
		local.length = sizeof(local.address.in6);
	} else {
		local.address.in.sin_port = htons(port);
	}
	snprintf(local.text, sizeof(local.text), "UDP port %u", port);
	return local;
}

static int make_tunnel(struct port_tunnel *tunnel, uint64_t seed, struct error *error)
{
	const struct vswitch_tunnel_options *options = &tunnel->options;
	struct mac_table_options table = { .seed = seed }; /* and a share for each remote */
	struct endpoint local = options->local;
	int rc = vswitch_tunnel_check(options, error);

	if (rc)
		return rc;
	rc = mac_table_create(&tunnel->table, &table);
	if (!rc) {
		tunnel->buffers = mmap(NULL, BUFFERS * BUFFER_SIZE, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (tunnel->buffers == MAP_FAILED) {
			tunnel->buffers = NULL;
			rc = -ENOMEM;
		}
	}
	if (rc)
		return error_set(error, rc, "out of memory");
	if (options->group.address.length) {
		tunnel->send.group = &tunnel->options.group;
		tunnel->send.group->ttl = options->outer.ttl ? options->outer.ttl : TUNNEL_TTL;
		rc = tunnel_send_add(&tunnel->send, &options->group.address);
		if (rc)
			return error_set(error, rc, "out of memory");
	}
	for (unsigned i = 0; i < options->remote_count; i++)
		tunnel_send_add(&tunnel->send, &options->remotes[i]);
	tunnel->flooded = tunnel->send.count;
	for (unsigned i = 0; i < options->station_count && !rc; i++) {
		int remote = tunnel_send_add(&tunnel->send, &options->stations[i].remote);

		rc = remote < 0 ? remote
				: mac_table_add_static(tunnel->table, 0, options->stations[i].mac,
						       (uint16_t)remote);
	}
	if (rc)
		return error_set(error, rc, "more than %d remotes", TUNNEL_REMOTES_MAX);
	if (!local.length)
		local = default_local(options,
				      tunnel->send.remotes[0].endpoint.address.any.sa_family);
	rc = open_receiver(tunnel, &local, error);
	if (!rc && tunnel->send.group) {
		tunnel->send.group->first = tunnel->send.count;
		tunnel->send.remotes[0].endpoint = tunnel->send.group->address;
	}
	return rc ? rc : tunnel_send_open(&tunnel->send, options, &local, error);
}

int vswitch_add_port_tunnel(struct vswitch *vswitch, const char *name,
			    const struct vswitch_tunnel_options *options, struct error *error)
{
	struct port_tunnel *tunnel = calloc(1, sizeof(*tunnel));
	int rc;

	if (!tunnel)
		return error_set(error, -ENOMEM, "port %s: out of memory", name);
	tunnel->port.ops = options->kind == TUNNEL_VXLAN ? &vxlan_ops : &geneve_ops;
	tunnel->options = *options;
	tunnel->options.config = NULL;
	tunnel->fd = tunnel->watch.fd = -1;
	tunnel_send_init(&tunnel->send);
	rc = make_tunnel(tunnel, vswitch->seed, error);
	if (rc) {
		tunnel_destroy(&tunnel->port);
		error_prefix(error, "port %s", name);
		return rc;
	}
	tunnel->port.up = true;
	tunnel->port.encloses = true;
	tunnel->port.frame_max = options->fragment ? 0 : tunnel->send.mtu_frame;
	return vswitch_add_port_as(vswitch, &tunnel->port, name, options->config, error);
}
