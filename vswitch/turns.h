/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who has which turn: of the ports of a thread, and of the senders to a receiver that has little room.
 *
 * Ports have turns by what their frames cost, as in deficit round robin (Shreedhar and Varghese, 1995). What a burst costs beyond a turn is a debt,
 * and a port in debt passes rounds by until that is paid, unless nobody else has frames. The cost is counted and not measured, so
 * that the same frames always give the same rounds: in bytes that are copied in the same time. It is for copies to all that get a frame, for the
 * segments it is cut into, and for what the kernel is called for. What a burst may cost is bounded by what the port's frames have cost lately.
 */
#ifndef TENON_VSWITCH_TURNS_H
#define TENON_VSWITCH_TURNS_H

#include "util/bytes.h"
#include "vswitch/internal.h"

/* A burst of frames of 1514 bytes, each to one port, is a turn. */
#define TURN_COST (PORT_BURST * 2048u)
/* A burst of frames that cost more is smaller: so many turns at once, or one frame. */
#define TURN_MOST (10 * TURN_COST)

#define TURN_FRAME   512u  /* taking a frame, or handing on one, beside its bytes */
#define TURN_SEGMENT 2048u /* making a segment of a large frame, and its checksum */
#define TURN_CALL    8192u /* what the kernel does for a frame, about 0.7 us */

static inline uint32_t turn_frame_cost(uint32_t length)
{
	return TURN_FRAME + length;
}

/* What the kernel does for a frame that comes from the port, or goes to it. */
static inline uint32_t turn_call_cost(const struct port *port)
{
	return port->ops->polled || port->ops->no_calls ? 0 : TURN_CALL;
}

/* Its thread's: the frames of `port` cost that more. */
static inline void turn_charge(struct port *port, uint64_t cost)
{
	port->debt += cost;
}

/* The same of the port that `entry` came in at, if it is the thread's: who says that of a frame of the switch's own may be anybody, or gone. */
static inline void turn_charge_source(const struct vswitch_thread *thread,
				      const struct egress_entry *entry, uint64_t cost)
{
	struct port *source = thread->vswitch->ports[entry->source];

	if (source && source->thread == thread)
		turn_charge(source, cost);
}

/* A round comes to the port: how many frames to ask it for, at most `most`; 0: it is in debt. */
static inline unsigned turn_begin(struct port *port, unsigned most)
{
	port->debt -= MIN(port->debt, (uint64_t)TURN_COST);
	if (port->debt >= TURN_COST)
		return 0;
	return port->frame_cost * most <= TURN_MOST ? most : MAX(TURN_MOST / port->frame_cost, 1u);
}

/* Its `count` frames have gone. */
static inline void turn_end(struct port *port, unsigned count)
{
	port->frame_cost -= port->frame_cost >> 6;
	if (port->debt > (uint64_t)port->frame_cost * count)
		port->frame_cost = (uint32_t)MIN(port->debt / count, (uint64_t)TURN_MOST);
}

/* Nobody had frames but who is in debt, if anybody: who owes least has the next turn. */
void turns_forgive(struct vswitch_thread *thread);

/* How many frames a round asks each port for: so few that those for one receiver, which has little room, are ordered at once. */
static inline unsigned turn_burst(const struct vswitch_thread *thread)
{
	unsigned most = (EGRESS_ROOM - 1) / MAX(thread->busy_count, 1u);

	return !thread->crowded || most >= PORT_BURST ? PORT_BURST : MAX(most, 1u);
}

/*
 * A port that has no room for all takes the first. So where that has happened lately its sources take turns, by buffers that the frames need: what is
 * too much is of who sends most, and one that floods costs another nothing who asks for less than its share. Where there is not even
 * room for one of each, the lot says who begins: a guest may give back a buffer a round, which would else always be the same one's.
 */
void turns_at_receiver(struct vswitch_thread *thread, struct egress *egress);

#endif
