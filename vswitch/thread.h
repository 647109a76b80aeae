/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A forwarding thread: its ports, and the stages of its rounds.
 *
 *	expire		timers that are due
 *	receive		a burst from each of its ports			the frames are the ports' until release; turns.h
 *	decide		each frame: where it goes (decide.c)		an entry (frame, VLAN, tag) for each destination
 *	egress		each port that has entries: once (egress.c)	tags, checksums, segments, transmit
 *	release		the frames go back to the ports they came from
 *	tick		what ports do at times of their own
 *
 * The object works without a thread, too: a test calls vswitch_round().
 */
#ifndef TENON_VSWITCH_THREAD_H
#define TENON_VSWITCH_THREAD_H

#include <pthread.h>

#include "util/poll_window.h"
#include "util/timer.h"
#include "vswitch/frame_cost.h"
#include "vswitch/port.h"
#include "vswitch/switch.h"

struct egress_scratch;
struct error;

#define EGRESS_ROOM 256

/* Whether the frame's bytes begin with an 802.1Q tag. */
enum frame_tag {
	FRAME_UNTAGGED,
	FRAME_TAGGED,          /* with the VLAN that it is in */
	FRAME_PRIORITY_TAGGED, /* with VLAN 0, and it is in the port's */
};

/* A frame that is to leave by a port. */
struct egress_entry {
	struct frame *frame;
	uint16_t vlan; /* 0: none */
	uint8_t tag;   /* enum frame_tag */
	uint16_t type; /* of the tag, if there is one */
	bool is_copy;  /* a mirror's */
	struct filter_mark mark;
	uint16_t source; /* slot of the port that it came in at; one that the switch made: any */
};

/* Whether the port carries what the frame is of VLANs: the switch's, and a customer's in it. */
static inline bool egress_carries(const struct port *port, const struct egress_entry *entry)
{
	return vlan_carries(&port->config.vlan, entry->vlan, entry->frame->pieces[0].iov_base,
			    entry->frame->length,
			    entry->tag == FRAME_UNTAGGED ? VLAN_AT : VLAN_AT + VLAN_TAG_SIZE);
}

/* What one thread has for one port. */
struct egress {
	unsigned count;
	bool listed; /* in vswitch_thread.active */
	struct egress_entry entries[EGRESS_ROOM];
};

struct vswitch_thread {
	struct vswitch *vswitch;
	unsigned index;

	struct port *ports[VSWITCH_PORTS_MAX]; /* its own */
	unsigned port_count;
	/* Those of them that rounds ask for frames, in the same order. */
	struct port *awake[VSWITCH_PORTS_MAX];
	unsigned awake_count;
	unsigned polled_count;                    /* ports that are worth polling */
	unsigned ticking_count;                   /* that have something to do at times */
	uint64_t next_tick;                       /* the first of these times */
	struct egress *egress[VSWITCH_PORTS_MAX]; /* by slot; of all ports */
	/* That have entries; a link of a bond may have been done before its bond is. */
	struct port *active[2 * VSWITCH_PORTS_MAX];
	struct port *receivers[VSWITCH_PORTS_MAX]; /* that gave frames in this round */
	uint8_t received[VSWITCH_PORTS_MAX];       /* how many */
	unsigned active_count, receiver_count;
	unsigned busy_count; /* ports that gave some in the last one */
	bool crowded;        /* a receiver of that had little room lately */
	struct egress_scratch *scratch;
	uint8_t *room; /* for what must lie in one piece for a moment: VIRTIO_NET_FRAME_MAX bytes */
	uint64_t last_id; /* of a frame; no other thread has it */
	struct timer_heap timers;
	uint64_t now; /* of this round */

	int epoll_fd, wake_fd;
	struct poll_window polling;
	uint64_t sleeps, rounds;
	struct frame_cost cost;
	unsigned last_frames; /* of the round that began at `now` */
	pthread_t thread;
};

/* Makes and takes down `count` threads that do not run yet. -ENOMEM, -EMFILE, with `error` set. */
int vswitch_threads_create(struct vswitch *vswitch, unsigned count, uint64_t poll_ns,
			   struct error *error);
void vswitch_threads_destroy(struct vswitch *vswitch);

/* Adds and removes a port, in a call. -ENOMEM. */
int vswitch_thread_add(struct vswitch_thread *thread, struct port *port);
void vswitch_thread_remove(struct vswitch_thread *thread, struct port *port);
/* Puts `port`, which has the slot of `old`, in its place. */
void vswitch_thread_replace(struct vswitch_thread *thread, struct port *old, struct port *port);

/* The one with the fewest ports. */
struct vswitch_thread *vswitch_thread_for_port(struct vswitch *vswitch);

/* Looks at the watched fds and waits for them at most `timeout_ns` (UINT64_MAX: for ever). Returns how many
 * were ready. */
unsigned vswitch_thread_dispatch(struct vswitch_thread *thread, uint64_t timeout_ns);

unsigned vswitch_thread_round(struct vswitch_thread *thread);

/* Has ports rest that had nothing for a while, so that a round costs what is busy: they are armed, and asked for frames again when
 * vswitch_thread_dispatch() finds one of their watches ready. Who calls this calls that from time to time. */
void vswitch_thread_rest(struct vswitch_thread *thread);
/* It is asked for frames again, if it was not. */
void vswitch_thread_wake_port(struct vswitch_thread *thread, struct port *port);

/* From any thread: has it look at its fds, and go round. (port.c) */
void vswitch_thread_wake(struct vswitch_thread *thread);

/* ---- calls.c ---- */

/* On the first thread, between two rounds: runs the calls there are. */
void vswitch_run_calls(struct vswitch *vswitch);
/* There, with `lock` held: has all others wait between two of their rounds, and go on. */
void vswitch_pause_others(struct vswitch *vswitch);
void vswitch_resume_others(struct vswitch *vswitch);
/* On one of the others, between two rounds: waits until the first is done with that. */
void vswitch_park(struct vswitch *vswitch);

/* ---- decide.c ---- */

/* Decides on a burst that came in at `port`. */
void decide_burst(struct vswitch_thread *thread, struct port *port, struct frame **frames,
		  unsigned count);

/* ---- egress.c ---- */

/* Room for frames that are made on the way (tags, segments). NULL without memory. */
struct egress_scratch *egress_scratch_create(void);
void egress_scratch_destroy(struct egress_scratch *scratch);

/* With mirrors of the port, or its first or last entry. */
void egress_line_up_slowly(struct vswitch_thread *thread, struct port *port,
			   const struct egress_entry *entry);

/* By fields, for what is whole has to be in memory: there it is stored by fields and loaded whole, which no processor forwards. */
static inline void egress_copy(struct egress_entry *to, const struct egress_entry *from)
{
	to->frame = from->frame;
	to->vlan = from->vlan;
	to->tag = from->tag;
	to->type = from->type;
	to->is_copy = from->is_copy;
	to->mark.dscp = from->mark.dscp;
	to->mark.pcp = from->mark.pcp;
	to->source = from->source;
	_Static_assert(sizeof(struct egress_entry) == 24, "all fields are here");
}

/* Has `entry` leave by `port` at the end of the round, or sooner. Inline, so that an entry need not be in memory twice. */
static inline __attribute__((always_inline)) void egress_line_up(struct vswitch_thread *thread,
								 struct port *port,
								 const struct egress_entry *entry)
{
	struct egress *egress = thread->egress[port->index];

	if (port->checkpoint[PORT_OUT].mirror_count || !egress->listed ||
	    egress->count == EGRESS_ROOM - 1) {
		struct egress_entry copy;

		egress_copy(&copy, entry);
		egress_line_up_slowly(thread, port, &copy);
	} else {
		egress_copy(&egress->entries[egress->count++], entry);
	}
}

/* Sends what was lined up. */
void egress_all(struct vswitch_thread *thread);

#endif
