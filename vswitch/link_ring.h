/* SPDX-License-Identifier: BSD-2-Clause */
/* Rings of which the room, a power of two or none, grows as they fill. */
#ifndef TENON_VSWITCH_LINK_RING_H
#define TENON_VSWITCH_LINK_RING_H

#include <stddef.h>

/* What takes the place of a full `ring` of *room elements of `each` bytes, of which the first is at *first, has twice the room, and its first at
 * 0. NULL: out of memory, and the ring is as it was. */
void *link_ring_grow(void *ring, size_t each, unsigned *first, unsigned *room);

#endif
