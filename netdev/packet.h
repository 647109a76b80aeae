/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packet sockets: the frames of an interface as its wire has them, in promiscuous mode, without those that this host
 * sends there. The host's own stack goes on receiving, too: an interface whose other end is to be the switch's alone has
 * no addresses.
 *
 * Source: packet(7); Linux net/packet/af_packet.c (6.1).
 */
#ifndef TENON_NETDEV_PACKET_H
#define TENON_NETDEV_PACKET_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "netdev/packet_ring.h"

struct error;
struct link_place;

struct packet_socket {
	int fd; /* non-blocking, close-on-exec */
	int index;
	char name[IFNAMSIZ];
	bool header; /* each frame has a virtio-net header of 10 bytes before it */
	struct packet_ring ring;
	int refused; /* why the kernel gave no ring: all frames are in the socket's queue */
};

struct packet_options {
	int netns;  /* an fd; 0 or -1: the caller's own */
	bool plain; /* no header */
};

/* -ENODEV, -EPERM (says what to do), -EINVAL (it is no Ethernet interface), with `error` set. */
int packet_open(struct packet_socket *packet, const char *name,
		const struct packet_options *options, struct error *error);
void packet_close(struct packet_socket *packet);

/* Whether both are of one interface. */
bool packet_same(const struct packet_socket *a, const struct packet_socket *b);

/* What befell the interface is told once, and its socket is ready for reading until somebody was told. For one with a ring, which nobody
 * reads. */
void packet_clear_error(const struct packet_socket *packet);

/* How many frames the kernel had no room for since the last call. */
uint64_t packet_drops(struct packet_socket *packet);

/* The tag that the kernel took off a frame, from its ancillary data: type and contents, or 0. */
uint32_t packet_tag(const struct msghdr *message);

/* Where the interface is, and what it is called, now. False: it is gone, and the name is empty; or (without
 * CAP_NET_ADMIN there) only the name is known. */
bool packet_place(const struct packet_socket *packet, struct link_place *place);

/* Its IFF_* flags; false: it is gone. */
bool packet_flags(const struct packet_socket *packet, unsigned *flags);

#endif
