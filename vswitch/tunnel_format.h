/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames inside of UDP: what VXLAN and Geneve put before them, and what of it is good. Pure functions; all that they read is hostile.
 *
 * Sources: RFC 7348, section 5; RFC 8926, sections 3.4 and 3.5; RFC 6040, section 4.
 */
#ifndef TENON_VSWITCH_TUNNEL_FORMAT_H
#define TENON_VSWITCH_TUNNEL_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#include "vswitch/frame.h"

#define TUNNEL_HEADER     8 /* bytes that both have; ours have no options */
#define TUNNEL_VNI_MOST   0xffffffu
#define VXLAN_UDP_PORT    4789
#define GENEVE_UDP_PORT   6081
#define TUNNEL_UDP_HEADER 8

enum tunnel_kind { TUNNEL_VXLAN, TUNNEL_GENEVE };

/* Why a datagram is no frame of this tunnel. */
enum tunnel_fault {
	TUNNEL_FAULT_NONE,
	TUNNEL_FAULT_HEADER, /* too short, another version, no VNI, not Ethernet, or a message about the tunnel */
	TUNNEL_FAULT_OPTION, /* it has an option that who does not know it must not pass over */
	TUNNEL_FAULT_VNI,    /* of another segment */
};

/* Looks at what comes before the frame in a datagram of `length` bytes; the frame begins at *inner, and may be of any
 * length, also 0. */
enum tunnel_fault tunnel_decode(enum tunnel_kind kind, uint32_t vni, const uint8_t *bytes,
				size_t length, size_t *inner);

void tunnel_encode(enum tunnel_kind kind, uint32_t vni, uint8_t header[TUNNEL_HEADER]);

/*
 * What a frame from a tunnel leaves to be done, though nothing before it can say so: a kernel that sends over a veth, or to itself,
 * leaves the inner checksum to a card that there is none of, and a large TCP packet uncut. A TCP or UDP packet whose checksum is
 * just its pseudo header's, and not right, is taken as unfinished; if it is TCP and longer than `limit`, which is what fits into the
 * tunnel, as one to be cut to that. `frame` is in one piece. All else is left as it is, also a packet that is damaged.
 */
void tunnel_find_offload(const uint8_t *frame, size_t length, size_t limit,
			 struct virtio_net_offload *out);

/*
 * Makes a TCP frame that is longer than `limit`, or whose segments are, one whose segments fit: its receiver takes them of any
 * size. One that was not large is so after that, if its checksum is right or unfinished. False: nothing of that was to be done, or
 * could be.
 */
bool tunnel_fit(struct frame *frame, size_t limit);

/* What datagrams' IP headers have: said for all, or what the packet in them has. */
struct tunnel_outer_rule {
	uint8_t tos; /* DSCP; the last two bits are 0 */
	uint8_t ttl; /* 0: what the kernel's have */
	bool inherit_tos, inherit_ttl;
};

/* Of one datagram. */
struct tunnel_outer {
	uint8_t tos; /* DSCP and ECN */
	uint8_t ttl; /* 0: nothing but what the socket says */
};

/* Of the datagram that a frame leaves in. What is to be inherited and is not there, in a frame without an IP packet, is as nothing was said, as Linux
 * and Open vSwitch have it; the ECN field is the packet's by any rule (RFC 6040, normal mode). */
struct tunnel_outer tunnel_outer_of(const struct tunnel_outer_rule *rule, const uint8_t *head,
				    size_t length);

/*
 * What a datagram that came with the ECN field `outer` makes of its frame's: congestion that was met between the tunnel's ends. False: the
 * frame is to be dropped, for it was marked, and its ends do not know of marks, so that nothing but a loss tells them.
 */
bool tunnel_ecn_in(uint8_t *frame, size_t length, unsigned outer);

/* A number that is the same for all packets of a flow; of the frame's head. */
uint32_t tunnel_flow_hash(const uint8_t *head, size_t length);

#endif
