/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way to the remotes of a tunnel: datagrams that wait for one system call, and how large they may be. With the `out_lock` of
 * the port whose tunnel it is.
 */
#ifndef TENON_VSWITCH_TUNNEL_SEND_H
#define TENON_VSWITCH_TUNNEL_SEND_H

#include <sys/socket.h>

#include "util/timer.h"
#include "vswitch/port_tunnel.h"
#include "vswitch/switch.h"

#define TUNNEL_SOCKETS  8   /* and so many ports that datagrams leave by */
#define TUNNEL_MESSAGES 64  /* that wait */
#define TUNNEL_PIECES   512 /* of all of them */
#define TUNNEL_COPY     (256 << 10)

struct tunnel_remote {
	struct endpoint endpoint;
	unsigned mtu; /* of the route to it, when that was last known; 0: not yet */
};

/* One or more datagrams of one flow to one remote, all but the last of one length: the kernel cuts them (UDP_SEGMENT). */
struct tunnel_message {
	unsigned socket, remote;
	unsigned first_piece, pieces;
	size_t length, segment;
	struct tunnel_outer outer;
	bool closed; /* its last datagram is shorter: no other one fits behind */
	unsigned datagrams;
	uint64_t frame_bytes; /* of the frames in it */
	union {
		char room[CMSG_SPACE(sizeof(uint16_t)) + 2 * CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
};

struct tunnel_send {
	struct tunnel_remote *remotes; /* so many of the options, then those that were heard */
	unsigned count;
	unsigned recent;            /* of the remotes: who the last datagram was from */
	struct tunnel_group *group; /* NULL: there is none */
	int sockets[TUNNEL_SOCKETS];
	uint8_t header[TUNNEL_HEADER];
	struct tunnel_outer_rule outer;
	bool segments;     /* the kernel cuts datagrams for us */
	bool fragment;     /* what does not fit is not our business */
	unsigned mtu;      /* as it was said; 0: to be asked for */
	size_t mtu_frame;  /* the longest frame that fits into a packet on the way */
	struct port *port; /* of `resize`, when that is asked for again */
	struct timer resize;

	struct tunnel_message messages[TUNNEL_MESSAGES];
	unsigned message_count, piece_count;
	struct iovec pieces[TUNNEL_PIECES];
	uint8_t *copies; /* of frames in many pieces */
	size_t copied;
};

void tunnel_send_init(struct tunnel_send *send);
/* Adds a remote; its number, also of one that is there already. -ENOSPC, -ENOMEM. */
int tunnel_send_add(struct tunnel_send *send, const struct endpoint *remote);
/* Opens the sockets, which send to `send->group` as well, with `local`'s address. */
int tunnel_send_open(struct tunnel_send *send, const struct vswitch_tunnel_options *options,
		     const struct endpoint *local, struct error *error);
void tunnel_send_close(struct tunnel_send *send);

/* Has the port, which is attached, learn what its routes carry, until it disarms `resize`. */
void tunnel_send_follow(struct tunnel_send *send, struct port *port);

/* The longest frame that a datagram carries, also in fragments. */
size_t tunnel_frame_most(const struct tunnel_send *send);

/* Which of the remotes has that address; -1: none. */
int tunnel_remote_of(struct tunnel_send *send, const struct sockaddr_in6 *from);

/* Has `frame` go to a remote, at the next flush or sooner, and counts it at `port`: once for each remote that it goes to. */
void tunnel_send_frame(struct tunnel_send *send, struct port *port, const struct frame *frame,
		       unsigned remote);
void tunnel_send_flush(struct tunnel_send *send, struct port *port);

/* The VLAN of a frame's own tag; 0: it has none. Of its first `there` bytes. */
uint16_t tunnel_vlan(const uint8_t *head, size_t there);

#endif
