/* SPDX-License-Identifier: BSD-2-Clause */
/* Explicit congestion notification (RFC 3168) of IPv4 and IPv6 in Ethernet frames, with up to two VLAN tags. */
#ifndef TENON_VSWITCH_LINK_ECN_H
#define TENON_VSWITCH_LINK_ECN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether the packet's ends understand a mark: it is ECT(0), ECT(1), or marked already. `length` bytes of the frame are there. */
bool link_ecn_capable(const uint8_t *frame, size_t length);

/* Marks such a packet: congestion experienced. IPv4's checksum goes along; a wrong one stays wrong. */
void link_ecn_mark(uint8_t *frame, size_t length);

#endif
