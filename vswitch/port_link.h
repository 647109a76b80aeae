/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bad link: a port over a port, as a fault is a block over a block. It has the slot and the name of the port below, which
 * the switch does not see any more; frames between them wait in queues, in copies of the link's own (link_queue.h), for as long
 * as the model says (link_model.h).
 *
 *	 switch							a way that is perfect passes frames through
 *	in ^   | out
 *	 port_link						as on a wire: large frames in their segments, checksums
 *	   ^   v						finished
 *	 port below
 *
 * Captures of the port are at the machine's side: what comes in is recorded before anything is done to it, what goes out when it goes; and
 * what the link drops when it does, with the reason. A packet has the same number on both sides, and so have its copies.
 *
 * In a way that is bad, packets are those that a wire would have. What goes in the way "in" comes from the machine, "out" goes to it.
 */
#ifndef TENON_VSWITCH_PORT_LINK_H
#define TENON_VSWITCH_PORT_LINK_H

#include "vswitch/link_model.h"
#include "vswitch/link_schedule.h"
#include "vswitch/port.h"

/* A link over no port yet. NULL without memory. */
struct port *port_link_create(void);
/* Puts it over `lower`, in a call: it then has all that the switch knows of that port. */
void port_link_put_over(struct port *link, struct port *lower);

/* The port below, or NULL: `port` is no link. */
struct port *port_link_lower(const struct port *port);

/* In a call: links have gone, or are others. Each way that is bad, or holds something, has the same share of the memory that all of them may
 * have: what one holds costs no other any. What is on its way stays. */
void port_link_share(struct vswitch *vswitch);

/* With `out_lock`, after transmit() of one frame: whether the link has taken it, and records itself what it sends. If nothing of it
 * will be sent *dropped says why; else it is NULL. */
bool port_link_out_waits(const struct port *port, const char **dropped);

/* In a call: changes the ways of `directions` (enum link_direction). With another seed than before a way begins anew, with packet
 * 1. What is on its way stays. */
void port_link_set(struct port *link, unsigned directions, const struct link_model *model);

/* In a call: the schedule, which is taken, changes the link from now on, for its port `number`. */
void port_link_follow(struct port *link, struct link_schedule *schedule, unsigned number);
/* In a call: it does no more; the link is up, and on no side of a partition. */
void port_link_end_schedule(struct port *link);
/* In a call: where the schedule is; NULL: there is none. */
const struct link_run *port_link_run(const struct port *link);

/* In a call. */
const struct link_way *port_link_way(const struct port *link, enum link_direction direction);

#endif
