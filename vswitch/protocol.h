/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control plane of a switch: protocols that its frames are part of (spanning trees, LLDP, LACP, snooping), and what they
 * may do to ports.
 *
 * A protocol is an object of one switch, added and removed while it runs. It says what frames it wants by
 * claims; runs at the ports that it enables (protocol_enable()); is told what becomes of ports; has timers; sends.
 *
 *	forwarding threads					the first thread, while the others pause
 *	decide: a claimed frame is copied, whole	->	ops->frame()
 *	port_set_up()					->	ops->port() PROTOCOL_PORT_UP, _DOWN
 *	calls: ports come, change, go			->	ops->port() PROTOCOL_PORT_ADDED, _CHANGED, _LEAVES, _REMOVED
 *	the switch's clock				->	timers of protocol_timer_arm()
 *
 * All of a protocol's functions but `wants` are called there, between two rounds, as vswitch_call()'s are: so a
 * protocol needs no locks, may read all of the switch and change the state of ports, and a test drives it by vswitch_round()
 * on a virtual clock. What a user sets or asks comes the same way, by vswitch_call().
 *
 * Ports are known by slot, which is theirs for as long as they live; after PROTOCOL_PORT_REMOVED nothing comes of the old one.
 * (The struct port of a slot changes when its link goes bad: keep no pointers to it.)
 *
 * Two kinds of frames are claimed.
 *	link-local	to 01:80:c2:00:00:0X without a tag, or with a priority tag. Taken whatever the port's VLANs are and also
 *			where it does not forward; never goes on. The user's choice (reserved.h) comes first.
 *	other groups'	in a VLAN that the port carries, where it forwards: `wants` says whether the protocol takes the frame, or
 *			takes a copy and it goes on, or neither.
 *
 * A guest may send any number of them: each port has room for PROTOCOL_SHARE frames that wait, and for PROTOCOL_RATE in a
 * second; what is beyond is dropped, and counted (control_overrun; of what goes on, the copy only). Of other groups' also the
 * port's storm control counts, and holds, what is taken.
 */
#ifndef TENON_VSWITCH_PROTOCOL_H
#define TENON_VSWITCH_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/list.h"
#include "util/timer.h"
#include "vswitch/filter.h"
#include "vswitch/frame.h"

struct egress_entry;
struct error;
struct port;
struct protocol;
struct vswitch;
struct vswitch_thread;

#define PROTOCOLS_MAX      16
#define PROTOCOL_SHARE     64
#define PROTOCOL_RATE      1000
#define PROTOCOL_FRAME_MAX 9216 /* bytes; what is longer is as one too many */

enum protocol_verdict {
	PROTOCOL_IGNORE,
	PROTOCOL_COPY, /* a copy for the protocol; the frame goes on */
	PROTOCOL_TAKE, /* the frame ends here, at the protocol */
};

struct protocol_claim {
	uint64_t address,
		mask;  /* destinations whose bits in `mask` are those of `address`: a group's */
	uint16_t type; /* EtherType; 0: any, also LLC */
	/*
	 * A closer look at what has both; NULL: PROTOCOL_TAKE. `payload` is what follows the EtherType (or the length, of
	 * LLC), as much of it as `length` says: a head that nobody changes. On any thread, while others run: it reads nothing
	 * that changes but in calls.
	 */
	enum protocol_verdict (*wants)(const struct protocol *protocol, const struct port *port,
				       const uint8_t *payload, size_t length);
};

/* A frame, without its tag; checksums that it left open are finished. */
struct protocol_frame {
	struct list node;
	struct protocol *protocol;
	unsigned slot; /* of the port that it came in at, or of the bond that this is a link of */
	unsigned from; /* of the port itself, whose share it is of */
	uint16_t vlan; /* 0: none */
	uint64_t time; /* when it came */
	uint8_t tag;   /* enum frame_tag: what it came with */
	uint16_t tag_type, tag_control;
	struct filter_mark mark; /* by a rule of the port */
	size_t length;           /* with its Ethernet header: at least VIRTIO_NET_FRAME_MIN */
	uint8_t bytes[];
};

enum protocol_port_event {
	PROTOCOL_PORT_ADDED,   /* also, when the protocol is added, for each port there is */
	PROTOCOL_PORT_REMOVED, /* it is still in its slot; its addresses are gone already */
	PROTOCOL_PORT_UP,
	PROTOCOL_PORT_DOWN,    /* told also if it is up again meanwhile: _UP follows */
	PROTOCOL_PORT_CHANGED, /* its settings */
	PROTOCOL_PORT_LEAVES,  /* it will be removed, and can still send */
};

struct protocol_ops {
	const char *name; /* "stp"; one of a kind in a switch */
	/*
	 * Whether it is of wires, and runs at links of bonds (bond.h) in place of these. Of another one links are no ports:
	 * one that becomes a link is removed, as if it went.
	 */
	bool physical;
	const struct protocol_claim *claims;
	unsigned claim_count;
	void (*frame)(struct protocol *protocol, const struct protocol_frame *frame);
	void (*port)(struct protocol *protocol, unsigned slot, enum protocol_port_event event);
	/* It has left its switch, and its timers are disarmed by now: frees it. On the thread that removes it. */
	void (*destroy)(struct protocol *protocol);
	/* Before: ends its timers, and gives ports their states back. Optional. */
	void (*leave)(struct protocol *protocol);
};

/* To be embedded; zeroed but for `ops`. */
struct protocol {
	const struct protocol_ops *ops;
	struct vswitch *vswitch;
	unsigned index; /* its bit in port.protocols */
};

/* Adds it to the switch, which takes it over, also when it fails. -EEXIST, -ENOSPC, -ENOMEM. */
int vswitch_add_protocol(struct vswitch *vswitch, struct protocol *protocol, struct error *error);
/* -ENOENT. */
int vswitch_remove_protocol(struct vswitch *vswitch, const char *name, struct error *error);

/* ---- In calls, and in a protocol's functions ---- */

/* NULL: there is none of that name. */
struct protocol *protocol_find(const struct vswitch *vswitch, const char *name);

/* The port in a slot; NULL: none. For as long as the call lasts. */
struct port *protocol_port(const struct protocol *protocol, unsigned slot);

/* Whether its frames are claimed at that port. At first: no. */
void protocol_enable(struct protocol *protocol, unsigned slot, bool enabled);

/*
 * What the port does not do now: enum port_hold (port.h), 0 for a port that learns and forwards. Where several protocols hold
 * a port it is held by each: `holds` are this one's, and go with it.
 */
void protocol_hold(struct protocol *protocol, unsigned slot, uint8_t holds);

/* Forgets the addresses learned at the port. */
void protocol_flush(struct protocol *protocol, unsigned slot);

/*
 * Sends a frame by one port, whether it forwards or not: without a tag (`vlan` 0), or tagged as the port wants it of that VLAN. At
 * least VIRTIO_NET_FRAME_MIN and at most PROTOCOL_FRAME_MAX bytes; what is shorter than 60 is padded. -ENETDOWN
 * (also of a port that gets only a mirror's copies), -EINVAL.
 */
int protocol_send(struct protocol *protocol, unsigned slot, uint16_t vlan, const void *bytes,
		  size_t length);

/* The same of a frame that came, in its VLAN: as forwarding would, with the priority of its tag and what a rule marks. */
int protocol_pass_on(struct protocol *protocol, unsigned slot, const struct protocol_frame *frame);

uint64_t protocol_now(const struct protocol *protocol);
/* Timers on the switch's clock; the protocol disarms them before it ends. */
void protocol_timer_arm(struct protocol *protocol, struct timer *timer, uint64_t when);
void protocol_timer_disarm(struct protocol *protocol, struct timer *timer);

/* ---- The switch's own: see protocol_internal.h ---- */

/*
 * What becomes of a frame that decide.c offers, as classified, and in that VLAN for the protocol; IGNORE: nobody here wants it. Where
 * it may not be taken (storm control) it ends all the same.
 */
enum protocol_verdict protocol_offer(struct vswitch_thread *thread, struct port *source,
				     const struct egress_entry *entry, uint16_t vlan,
				     bool may_take);

/* A port has come; it goes, and is still in its slot. In calls. */
void protocols_port_added(struct vswitch *vswitch, const struct port *port);
void protocols_port_removed(struct vswitch *vswitch, const struct port *port);
/* It is to become a link of a bond; its `home` has changed, to a bond's or back. */
void protocols_port_hidden(struct vswitch *vswitch, const struct port *port);
void protocols_port_shown(struct vswitch *vswitch, const struct port *port);

/* When there is something to do, 0: now; and does it, on the first thread. Returns how much it was. */
uint64_t protocols_next(const struct vswitch *vswitch);
unsigned protocols_run(struct vswitch *vswitch);

/* In calls. */
void protocols_port_event(struct vswitch *vswitch, unsigned slot, enum protocol_port_event event);
void protocols_destroy(struct vswitch *vswitch);

#endif
