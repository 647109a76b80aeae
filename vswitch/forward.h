/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Forwarding: what happens to a burst of frames between the port they came in at and those they leave by.
 */
#ifndef TENON_VSWITCH_FORWARD_H
#define TENON_VSWITCH_FORWARD_H

struct forward_scratch;
struct port;
struct vswitch;

/* Room for frames that are made on the way (segments). NULL without memory. */
struct forward_scratch *forward_scratch_create(void);
void forward_scratch_destroy(struct forward_scratch *scratch);

/* Takes one burst from `port` and forwards it. Returns how many frames it was. */
unsigned forward_burst(struct vswitch *vswitch, struct port *port);

#endif
