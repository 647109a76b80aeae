/* SPDX-License-Identifier: BSD-2-Clause */
/* See tunnel_send.h. */
#include "vswitch/tunnel_send.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"
#include "vswitch/internal.h"
#include "vswitch/vlan.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

#define SEND_ROOM     (4 << 20)
#define DATAGRAM_MOST 65000 /* of several segments; below what UDP and IP leave of 65535 */
#define SEGMENTS_MOST 60    /* the kernel takes 64, or more */
#define MTU_UNKNOWN   1500
#define PACKET_MOST   65535 /* bytes; IPv4 has no larger ones */
#define MTU_LEAST     128
#define RESIZE_NS     10000000000ULL /* between two looks at what routes carry */

#define IPV4_HEADER 20
#define IPV6_HEADER 40

void tunnel_send_init(struct tunnel_send *send)
{
	for (unsigned i = 0; i < TUNNEL_SOCKETS; i++)
		send->sockets[i] = -1;
}

int tunnel_send_add(struct tunnel_send *send, const struct endpoint *remote)
{
	if (!send->remotes)
		send->remotes = calloc(send->group ? TUNNEL_REMOTES_MAX + TUNNEL_HEARD_MAX
						   : TUNNEL_REMOTES_MAX,
				       sizeof(*send->remotes));
	if (!send->remotes)
		return -ENOMEM;
	for (unsigned i = 0; i < send->count; i++)
		if (endpoint_same_host(&send->remotes[i].endpoint, remote))
			return (int)i;
	if (send->count == TUNNEL_REMOTES_MAX)
		return -ENOSPC;
	send->remotes[send->count].endpoint = *remote;
	return (int)send->count++;
}

int tunnel_remote_of(struct tunnel_send *send, const struct sockaddr_in6 *from)
{
	struct endpoint other = { .address.in6 = *from };

	if (send->recent < send->count &&
	    endpoint_same_host(&send->remotes[send->recent].endpoint, &other))
		return (int)send->recent;
	for (unsigned i = 0; i < send->count; i++)
		if (endpoint_same_host(&send->remotes[i].endpoint, &other)) {
			send->recent = i;
			return (int)i;
		}
	return -1;
}

uint16_t tunnel_vlan(const uint8_t *head, size_t there)
{
	if (there < VIRTIO_NET_FRAME_MIN + VLAN_TAG_SIZE || get_be16(head + VLAN_AT) != VLAN_TYPE)
		return 0;
	return get_be16(head + VLAN_AT + 2) & VLAN_ID;
}

/* ---- Sizes ---- */

/* What the route to a remote carries; 0: it cannot be told, for there is none now. Only a connected socket can ask. */
static unsigned route_mtu(const struct tunnel_send *send, const struct endpoint *remote)
{
	bool ipv6 = remote->address.any.sa_family == AF_INET6;
	CLEANUP_CLOSE int fd = endpoint_socket(remote, SOCK_DGRAM);
	socklen_t size = sizeof(int);
	int mtu = 0;

	if (fd >= 0 && send->group)
		tunnel_group_aim(send->group, fd);
	if (fd < 0 || connect(fd, &remote->address.any, remote->length) ||
	    getsockopt(fd, ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, ipv6 ? IPV6_MTU : IP_MTU, &mtu,
		       &size) ||
	    mtu < MTU_LEAST)
		return 0;
	return (unsigned)mtu;
}

static size_t headers_of(const struct tunnel_send *send)
{
	bool ipv6 = send->remotes[0].endpoint.address.any.sa_family == AF_INET6;

	return (ipv6 ? IPV6_HEADER : IPV4_HEADER) + TUNNEL_UDP_HEADER + TUNNEL_HEADER;
}

size_t tunnel_frame_most(const struct tunnel_send *send)
{
	return PACKET_MOST - headers_of(send);
}

/* True: it is not what it was. */
static bool find_size(struct tunnel_send *send)
{
	size_t headers = headers_of(send);
	size_t before = send->mtu_frame;
	unsigned mtu = send->mtu ? send->mtu : PACKET_MOST;

	for (unsigned i = 0; i < send->count && !send->mtu; i++) {
		struct tunnel_remote *remote = &send->remotes[i];
		unsigned route = route_mtu(send, &remote->endpoint);

		/* A route that is gone for a moment says nothing of what the way carries. */
		if (route)
			remote->mtu = route;
		mtu = MIN(mtu, remote->mtu ? remote->mtu : MTU_UNKNOWN);
	}
	__atomic_store_n(&send->mtu_frame, mtu - headers, __ATOMIC_RELAXED);
	return send->mtu_frame != before;
}

/* ---- Sockets ---- */

/* Nobody has anything to say there: what comes is dropped before it takes room. */
static void hear_nothing(int fd)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program = { 1, &nothing };

	setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

static void set_ttl(int fd, bool ipv6, int ttl)
{
	if (ipv6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &ttl, sizeof(ttl));
	else
		setsockopt(fd, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl));
}

static void forbid_fragments(int fd, bool ipv6, bool fragment)
{
	int discover = fragment ? IP_PMTUDISC_DONT : IP_PMTUDISC_DO;

	if (ipv6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &discover, sizeof(discover));
	else
		setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &discover, sizeof(discover));
}

int tunnel_send_open(struct tunnel_send *send, const struct vswitch_tunnel_options *options,
		     const struct endpoint *local, struct error *error)
{
	struct endpoint from = *local;
	bool ipv6 = local->address.any.sa_family == AF_INET6;
	int room = SEND_ROOM;

	send->mtu = options->mtu;
	send->fragment = options->fragment;
	send->outer = options->outer;
	send->segments = true;
	send->copies = malloc(TUNNEL_COPY);
	if (!send->copies)
		return error_set(error, -ENOMEM, "out of memory");
	if (ipv6)
		from.address.in6.sin6_port = 0;
	else
		from.address.in.sin_port = 0;
	for (unsigned i = 0; i < TUNNEL_SOCKETS; i++) {
		int fd = endpoint_listen(&from, SOCK_DGRAM, error);

		if (fd < 0)
			return fd;
		send->sockets[i] = fd;
		hear_nothing(fd);
		forbid_fragments(fd, ipv6, options->fragment);
		if (options->outer.ttl)
			set_ttl(fd, ipv6, options->outer.ttl);
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
		if (send->group)
			tunnel_group_aim(send->group, fd);
	}
	tunnel_encode(options->kind, options->vni, send->header);
	find_size(send);
	return 0;
}

void tunnel_send_close(struct tunnel_send *send)
{
	for (unsigned i = 0; i < TUNNEL_SOCKETS; i++)
		cleanup_close(&send->sockets[i]);
	free(send->copies);
	free(send->remotes);
	send->copies = NULL;
	send->remotes = NULL;
}

/* ---- Sending ---- */

/* Puts something behind what `header`, whose memory is the message's, has to say beside its datagrams. */
static void say(struct tunnel_message *message, struct msghdr *header, int level, int type,
		const void *value, size_t size)
{
	struct cmsghdr *control =
		(struct cmsghdr *)(message->control.room + header->msg_controllen);

	control->cmsg_level = level;
	control->cmsg_type = type;
	control->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(control), value, size);
	header->msg_control = message->control.room;
	header->msg_controllen += CMSG_SPACE(size);
}

static struct msghdr begin_header(struct tunnel_send *send, struct tunnel_message *message,
				  unsigned first_piece, unsigned pieces)
{
	struct endpoint *to = &send->remotes[message->remote].endpoint;
	bool ipv6 = to->address.any.sa_family == AF_INET6;
	int tos = message->outer.tos, ttl = message->outer.ttl;
	struct msghdr header = { .msg_name = &to->address,
				 .msg_namelen = to->length,
				 .msg_iov = &send->pieces[first_piece],
				 .msg_iovlen = pieces };

	if (tos)
		say(message, &header, ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, ipv6 ? IPV6_TCLASS : IP_TOS,
		    &tos, sizeof(tos));
	if (ttl)
		say(message, &header, ipv6 ? IPPROTO_IPV6 : IPPROTO_IP,
		    ipv6 ? IPV6_HOPLIMIT : IP_TTL, &ttl, sizeof(ttl));
	return header;
}

static void prepare_message(struct tunnel_send *send, struct tunnel_message *message,
			    struct msghdr *header)
{
	uint16_t segment = (uint16_t)message->segment;

	*header = begin_header(send, message, message->first_piece, message->pieces);
	if (message->datagrams > 1)
		say(message, header, SOL_UDP, UDP_SEGMENT, &segment, sizeof(segment));
}

static enum port_drop drop_of_send(int code)
{
	switch (code) {
	case EAGAIN:
	case ENOBUFS:
	case ENOMEM:
		return PORT_DROP_NO_BUFFER;
	case EMSGSIZE:
		return PORT_DROP_TOO_LONG;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
	case ENODEV:
	case ECONNREFUSED:
		return PORT_DROP_DOWN;
	default:
		return PORT_DROP_FAILED;
	}
}

/* Asks again what the routes carry, where nobody said it. True: less. */
static bool resize(struct tunnel_send *send, struct port *port)
{
	size_t before = send->mtu_frame;

	if (send->fragment || send->mtu || !find_size(send))
		return false;
	port->frame_max = send->mtu_frame;
	if (port->over)
		port->over->frame_max = send->mtu_frame;
	log_message(port->log, send->mtu_frame < before ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
		    "port %s: frames of at most %zu bytes fit from now on (MTU %zu)", port->name,
		    send->mtu_frame, send->mtu_frame - VIRTIO_NET_FRAME_MIN);
	return send->mtu_frame < before;
}

static void resize_later(struct tunnel_send *send)
{
	if (send->group || (!send->mtu && !send->fragment))
		port_timer_arm(send->port, &send->resize, port_now(send->port) + RESIZE_NS);
}

static void resize_expired(struct timer *timer)
{
	struct tunnel_send *send = container_of(timer, struct tunnel_send, resize);
	struct port *port = send->port;

	vswitch_lock_if_shared(port->vswitch, &port->out_lock);
	if (send->group && tunnel_group_follow(send->group)) {
		send->remotes[0].endpoint = send->group->address;
		for (unsigned i = 0; i < TUNNEL_SOCKETS; i++)
			tunnel_group_aim(send->group, send->sockets[i]);
	}
	resize(send, port);
	vswitch_unlock_if_shared(port->vswitch, &port->out_lock);
	resize_later(send);
}

void tunnel_send_follow(struct tunnel_send *send, struct port *port)
{
	send->port = port;
	send->resize.expire = resize_expired;
	resize_later(send);
}

/* Each datagram of a message for itself, after the kernel would not cut it. */
static void send_one_by_one(struct tunnel_send *send, struct port *port,
			    struct tunnel_message *message)
{
	unsigned piece = message->first_piece, end = piece + message->pieces;

	while (piece < end) {
		struct msghdr header = begin_header(send, message, piece, 0);
		size_t length = 0;

		while (piece < end && (length < message->segment)) {
			length += send->pieces[piece++].iov_len;
			header.msg_iovlen++;
		}
		if (sendmsg(send->sockets[message->socket], &header, MSG_DONTWAIT) < 0) {
			port_drop(port, drop_of_send(errno));
		} else {
			port->counters.tx_frames++;
			port->counters.tx_bytes += length - TUNNEL_HEADER;
		}
	}
}

/* The kernel took none of `message`: why. */
static void refused(struct tunnel_send *send, struct port *port, struct tunnel_message *message,
		    int code)
{
	bool cut = message->datagrams > 1;
	bool shrunk = (code == EMSGSIZE || code == EINVAL) && resize(send, port);

	if (cut && (code == EIO || code == EINVAL || code == EOPNOTSUPP || code == EMSGSIZE)) {
		/* Where the size was not the reason: a device that sums nothing cannot cut, either. */
		send->segments &= shrunk || code == EMSGSIZE;
		send_one_by_one(send, port, message);
		return;
	}
	port->counters.drops[drop_of_send(code)] += message->datagrams;
}

/* Sends those of one socket, from `first` on to `end`. */
static void flush_run(struct tunnel_send *send, struct port *port, unsigned first, unsigned end)
{
	struct mmsghdr messages[TUNNEL_MESSAGES];
	unsigned done = first;

	for (unsigned i = first; i < end; i++)
		prepare_message(send, &send->messages[i], &messages[i].msg_hdr);
	while (done < end) {
		int sent = sendmmsg(send->sockets[send->messages[first].socket], messages + done,
				    end - done, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0) {
			refused(send, port, &send->messages[done++], errno);
			continue;
		}
		for (int i = 0; i < sent; i++, done++) {
			port->counters.tx_frames += send->messages[done].datagrams;
			port->counters.tx_bytes += send->messages[done].frame_bytes;
		}
	}
}

void tunnel_send_flush(struct tunnel_send *send, struct port *port)
{
	unsigned first = 0;

	/* Each flow has one socket, so order among sockets says nothing. */
	while (first < send->message_count) {
		unsigned end = first + 1;

		while (end < send->message_count &&
		       send->messages[end].socket == send->messages[first].socket)
			end++;
		flush_run(send, port, first, end);
		first = end;
	}
	send->message_count = send->piece_count = 0;
	send->copied = 0;
}

/* The message that a datagram of `length` bytes goes behind; NULL: it begins one. */
static struct tunnel_message *message_for(struct tunnel_send *send, unsigned socket,
					  unsigned remote, struct tunnel_outer outer, size_t length)
{
	struct tunnel_message *last;

	if (!send->message_count || !send->segments || send->fragment)
		return NULL;
	last = &send->messages[send->message_count - 1];
	if (last->closed || last->socket != socket || last->remote != remote ||
	    last->outer.tos != outer.tos || last->outer.ttl != outer.ttl ||
	    length > last->segment || last->length + length > DATAGRAM_MOST ||
	    last->datagrams == SEGMENTS_MOST)
		return NULL;
	return last;
}

static struct tunnel_message *new_message(struct tunnel_send *send, unsigned socket,
					  unsigned remote, struct tunnel_outer outer, size_t length)
{
	struct tunnel_message *message = &send->messages[send->message_count++];

	*message = (struct tunnel_message){
		.socket = socket,
		.remote = remote,
		.outer = outer,
		.first_piece = send->piece_count,
		.segment = length,
	};
	return message;
}

void tunnel_send_frame(struct tunnel_send *send, struct port *port, const struct frame *frame,
		       unsigned remote)
{
	const uint8_t *head = frame->pieces[0].iov_base;
	unsigned socket = tunnel_flow_hash(head, frame->pieces[0].iov_len) % TUNNEL_SOCKETS;
	struct tunnel_outer outer = tunnel_outer_of(&send->outer, head, frame->pieces[0].iov_len);
	bool copied = frame->count > TUNNEL_PIECES / 8;
	unsigned needed = copied ? 2 : frame->count + 1;
	size_t length = TUNNEL_HEADER + frame->length;
	struct tunnel_message *message;
	struct iovec *pieces;

	if (send->message_count == TUNNEL_MESSAGES || send->piece_count + needed > TUNNEL_PIECES ||
	    (copied && send->copied + frame->length > TUNNEL_COPY))
		tunnel_send_flush(send, port);
	message = message_for(send, socket, remote, outer, length);
	if (!message)
		message = new_message(send, socket, remote, outer, length);
	pieces = &send->pieces[send->piece_count];
	pieces[0] = (struct iovec){ send->header, TUNNEL_HEADER };
	if (copied) {
		pieces[1] = (struct iovec){ send->copies + send->copied, frame->length };
		frame_copy_out(frame->pieces, frame->count, 0, send->copies + send->copied,
			       frame->length);
		send->copied += frame->length;
	} else {
		memcpy(pieces + 1, frame->pieces, frame->count * sizeof(struct iovec));
	}
	send->piece_count += needed;
	message->pieces += needed;
	message->length += length;
	message->frame_bytes += frame->length;
	message->datagrams++;
	message->closed = length < message->segment;
}
