/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagrams of IPv4 that come in fragments, put together (RFC 791, 3.2).
 *
 * Fragments come in any order, and twice. Where two overlap otherwise, or disagree about where the datagram ends, it is dropped, as Linux does
 * (RFC 5722 says so for IPv6): nobody sends such by accident. At most 16 datagrams wait at a time, each for 30 seconds; with one more the
 * oldest one of the station that has most waiting is given up: none can take the others' place. What another station sends is never part of
 * a datagram.
 */
#ifndef TENON_NETDEV_IP_FRAGMENTS_H
#define TENON_NETDEV_IP_FRAGMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IP_FRAGMENTS_DATAGRAMS   16
#define IP_FRAGMENTS_PATIENCE_NS 30000000000ull

struct ip_fragments;

/* NULL without memory. */
struct ip_fragments *ip_fragments_create(void);
/* NULL is fine. */
void ip_fragments_destroy(struct ip_fragments *fragments);

/* Whether an Ethernet frame of `length` bytes has a fragment of IPv4 (without a tag). */
bool ip_fragments_is_one(const uint8_t *frame, size_t length);

/*
 * Takes a frame of which that is true. When the datagram is whole: a frame with all of it, and *length; it is valid until the next call.
 * Else NULL.
 */
const uint8_t *ip_fragments_add(struct ip_fragments *fragments, const uint8_t *frame,
				size_t *length, uint64_t now);

#endif
