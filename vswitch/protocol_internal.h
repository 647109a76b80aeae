/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the control plane share (protocol.h).
 *
 *	protocol.c		protocols come and go; handing over, sending, timers
 *	protocol_offer.c	what forwarding threads offer them, and what waits of it
 *	protocol_ports.c	what they are told of ports, and do to them
 *
 * The waiting frames and each port's share of them are guarded by `lock`, for any thread puts frames there. `control_pending` of the switch
 * says, also without it, that there is something to hand over. All else changes on the first thread while the others pause.
 */
#ifndef TENON_VSWITCH_PROTOCOL_INTERNAL_H
#define TENON_VSWITCH_PROTOCOL_INTERNAL_H

#include "vswitch/internal.h"

struct protocol_slot {
	unsigned waiting;
	uint64_t next; /* when the next frame would come if all came evenly: see decide.c */
	bool up;       /* what protocols were told */
	uint32_t downs;
	uint8_t holds[PROTOCOLS_MAX];
	uint16_t enabled; /* a bit for each protocol that runs here */
};

struct protocols {
	struct protocol *list[PROTOCOLS_MAX]; /* by index; with holes */
	struct timer_heap timers;
	struct protocol_slot slots[VSWITCH_PORTS_MAX];
	pthread_mutex_t lock;
	struct list frames;
};

/* Whether the port is one for the protocol. */
static inline bool protocol_concerns(const struct protocol *protocol, const struct port *port)
{
	return protocol->ops->physical ? !port->bond : port->home == port->index;
}

/* A port that gets only copies is one without a neighbour. */
static inline bool protocol_port_is_up(const struct port *port)
{
	return port_is_up(port) && !port->mirror_only;
}

/* Tells how the ports are, where it is not what was told; how many there were. */
unsigned protocols_tell_states(struct vswitch *vswitch);

/* Lets go of the frames of a slot, or (NULL: all) of a protocol, that wait. */
void protocols_drop_waiting(struct protocols *protocols, const struct protocol *protocol,
			    unsigned slot);

#endif
