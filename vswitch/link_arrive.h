/* SPDX-License-Identifier: BSD-2-Clause */
/* The way of a bad link from the machine to the switch: it belongs to the port's thread. */
#ifndef TENON_VSWITCH_LINK_ARRIVE_H
#define TENON_VSWITCH_LINK_ARRIVE_H

#include "vswitch/link_model.h"
#include "vswitch/link_queue.h"
#include "vswitch/port.h"

/* Zeroed to begin. */
struct link_arrival {
	struct link_way way;
	struct link_queue queue;
	bool passed;    /* the frames that were given are the lower port's */
	unsigned taken; /* else so many of its frames, which are on their way */
	unsigned given_count;
	struct link_frame *given[PORT_BURST]; /* else these */
};

/* receive() and release() of the link `port` over `lower`. */
unsigned link_arrive(struct link_arrival *arrival, struct port *port, struct port *lower,
		     struct frame **frames, unsigned max);
void link_arrived(struct link_arrival *arrival, struct port *lower);

#endif
