/* SPDX-License-Identifier: BSD-2-Clause */
/* Explicit congestion notification (RFC 3168) of IPv4 and IPv6 in Ethernet frames, with up to two VLAN tags. */
#ifndef TENON_VSWITCH_LINK_ECN_H
#define TENON_VSWITCH_LINK_ECN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINK_ECN_ECT1 1u
#define LINK_ECN_ECT0 2u
#define LINK_ECN_CE   3u

/* The whole byte that the field is in, with DSCP (RFC 2474), and how many hops the packet may go. False: there is no IP header. */
bool link_ecn_header(const uint8_t *frame, size_t length, uint8_t *traffic_class, uint8_t *hops);

/* The field of the packet's IP header, 0 to 3 (Not-ECT, ECT(1), ECT(0), CE); -1: there is none. `length` bytes of the frame are there. */
int link_ecn_field(const uint8_t *frame, size_t length);

/* Gives it another value, where there is one. IPv4's checksum goes along; a wrong one stays wrong. */
void link_ecn_set(uint8_t *frame, size_t length, unsigned field);

/* Whether the packet's ends understand a mark: it is ECT(0), ECT(1), or marked already. */
bool link_ecn_capable(const uint8_t *frame, size_t length);

/* Marks a packet: congestion experienced. */
void link_ecn_mark(uint8_t *frame, size_t length);

#endif
