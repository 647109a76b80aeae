/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port of the switch: what kinds of ports implement, and what forwarding does with them.
 *
 * A port belongs to one thread (thread.h), which makes all calls but transmit(); that one is made by any thread, with the
 * port's `out_lock` held, as are the calls of its watches: so transmit() shares what it needs of the port with
 * them, and must share nothing with receive() and release() but what changes in watches and calls.
 * (While no thread runs, all is on the caller's.) Frames that receive() returned stay the port's until release():
 * they are valid in between, and may be passed to transmit() of any number of ports meanwhile. transmit() keeps nothing of
 * what it is given.
 *
 * A frame that ends here is counted where it was decided: at the source port for what is wrong with the
 * frame, at the destination port for what it cannot take. Nothing is dropped without a counter.
 */
#ifndef TENON_VSWITCH_PORT_H
#define TENON_VSWITCH_PORT_H

#include <net/if.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/list.h"
#include "vswitch/checkpoint.h"
#include "vswitch/frame.h"
#include "vswitch/mac_table.h"
#include "vswitch/port_config.h"

struct bond;
struct error;
struct link_place;
struct log;
struct port;
struct timer;
struct capture;
struct vswitch;
struct vswitch_thread;

#define PORT_BURST    32
#define PORT_NAME_MAX 32 /* with the final zero */
#define PORT_TEXT_MAX 128

/* Why a frame was dropped. Names in port_drop_name(). */
enum port_drop {
	/* On the way in. */
	PORT_DROP_BAD_LENGTH,   /* shorter than an Ethernet header, or too long */
	PORT_DROP_BAD_CHECKSUM, /* asks for a checksum outside its headers */
	PORT_DROP_BAD_GSO,      /* a large frame of unknown kind, without size, ... */
	PORT_DROP_BAD_PACKET,   /* a large frame that is not what it says */
	PORT_DROP_BAD_SOURCE,  /* from a group address or 00:00:00:00:00:00, which no station has */
	PORT_DROP_RESERVED,    /* to 01:80:c2:00:00:0X, which no bridge forwards */
	PORT_DROP_SAME_PORT,   /* to an address at the port it came from */
	PORT_DROP_NO_PORT,     /* to be flooded, and no other port is up and may have it */
	PORT_DROP_NO_MEMBER,   /* to a group that no other port wants */
	PORT_DROP_TX_DISABLED, /* sent on a queue that is disabled */
	PORT_DROP_VLAN,        /* of a VLAN, or without one, that the port does not carry */
	PORT_DROP_ISOLATED,    /* to a port of the same isolation group */
	PORT_DROP_BLOCKED,     /* the port does not forward: a protocol holds it (protocol.h) */
	PORT_DROP_TO_BLOCKED,  /* to a port that does not */
	PORT_DROP_PARTITIONED, /* to a port from which a schedule of links parts it */
	PORT_DROP_STORM_BROADCAST, /* beyond the port's limits, in the order of enum port_storm */
	PORT_DROP_STORM_MULTICAST,
	PORT_DROP_STORM_UNKNOWN,
	PORT_DROP_OVERRUN,       /* the kernel had no room for it before we took it */
	PORT_DROP_FILTERED,      /* by a rule of the port it came from */
	PORT_DROP_POLICED,       /* beyond the rate of one */
	PORT_DROP_MIRROR,        /* from or to a port that is a mirror's alone */
	PORT_DROP_TUNNEL_HEADER, /* of a tunnel: in front of the frame is what cannot be */
	PORT_DROP_TUNNEL_VNI,    /* of another segment */
	PORT_DROP_TUNNEL_OPTION, /* with a critical option that is not known */
	PORT_DROP_TUNNEL_REMOTE, /* from who is none of its remotes */
	PORT_DROP_TUNNEL_MARKED, /* marked as congested on its way, though its ends do not know that */
	PORT_DROP_CONTROL_OVERRUN, /* for a protocol of the switch, of which the port has sent too many */
	/* On the way out. */
	PORT_DROP_FILTERED_OUT, /* the same of the port it was for */
	PORT_DROP_POLICED_OUT,
	PORT_DROP_DOWN,        /* nobody is connected */
	PORT_DROP_RX_DISABLED, /* the guest's driver does not receive (yet) */
	PORT_DROP_NO_BUFFER, /* the guest has given too few receive buffers; the TAP's queue is full */
	PORT_DROP_TOO_LONG, /* longer than the port takes */
	PORT_DROP_FAILED,   /* the kernel refused it */
	PORT_DROP_COUNT
};

/* "bad_length" ... */
const char *port_drop_name(enum port_drop drop);

/* The counters of the way out, at a time. */
struct port_drops_out {
	uint64_t drops[PORT_DROP_COUNT - PORT_DROP_FILTERED_OUT];
};

/* As seen from the switch: rx is what came in at the port. Large frames count as one frame here. */
struct port_counters {
	/* The port's thread writes these. */
	uint64_t rx_frames, rx_bytes;
	uint64_t flooded;     /* came in here and went to all ports */
	uint64_t taken;       /* came in here and ended at a protocol of the switch */
	uint64_t connections; /* front-ends that came */
	/* Those on the way in the port's thread, those on the way out who holds `out_lock`. */
	uint64_t drops[PORT_DROP_COUNT];
	/* Who holds `out_lock`. */
	uint64_t tx_frames, tx_bytes;
	uint64_t checksummed; /* checksums finished in software for this port */
	uint64_t segmented;   /* large frames cut in software for this port */
};

struct port_ops {
	const char *type; /* "tap", "vhost-user" */

	/* Looking for frames costs no system call, so it may be done often. */
	bool polled;
	/* Nor does taking or giving one, though looking may: turns (turns.h) are by that. Of who is polled it is so anyway. */
	bool no_calls;

	/* The port belongs to a switch now: start watching. A negative errno with `error` set to refuse;
	 * destroy() follows. Optional. */
	int (*attach)(struct port *port, struct error *error);
	/* The port leaves the switch, which has ended its watches: end its timers. destroy() follows, maybe on another
	 * thread, with others running. Optional. */
	void (*detach)(struct port *port);

	/* Takes up to `max` (at most PORT_BURST) frames; each is at least VIRTIO_NET_FRAME_MIN long and
	 * has its offload decoded. What cannot be decoded is counted and not returned. */
	unsigned (*receive)(struct port *port, struct frame **frames, unsigned max);
	/* All frames received since the last release() are done with. After a receive() that returned some. */
	void (*release)(struct port *port);
	/* Sends at most PORT_BURST frames, which ask for no more than port->features. Returns how many of them, from the
	 * first on, are done with: sent, or dropped and counted. The next one is not, for want of room now. */
	unsigned (*transmit)(struct port *port, struct frame *const *frames, unsigned count);

	/* About how many buffers the other end has ready; UINT_MAX: not known. With `out_lock`. Optional. */
	unsigned (*room)(struct port *port);

	/* At the end of each round: does what is due at `now`; returns how much, and in *next when there will be more
	 * (UINT64_MAX: never). That may be frames to receive, so who has it never rests (thread_ports.c). Optional: what has
	 * nothing to do with frames is a timer's. */
	unsigned (*tick)(struct port *port, uint64_t now, uint64_t *next);

	/* Before sleeping: asks to be woken, and returns true if frames came meanwhile. */
	bool (*arm)(struct port *port);
	/* After it: wakes are not needed. Both are optional. */
	void (*disarm)(struct port *port);

	/* Forgets the addresses that it learned for itself, as the switch forgets those of the port. On any thread. Optional. */
	void (*forget)(struct port *port);

	/* The other end is to see a cable, or none. On the port's thread; may wait for the kernel. Optional: most other ends cannot be told. */
	void (*carrier)(struct port *port, bool on);

	/* Which interface of the host it is on. False: on none, or only its name is known, or nothing. Optional. */
	bool (*place)(struct port *port, struct link_place *place);

	/* What a user would like to know: an interface, a socket; its state ("up", "waiting"); what was
	 * negotiated. In a call. */
	void (*describe)(struct port *port, char where[PORT_TEXT_MAX], char state[PORT_TEXT_MAX],
			 char features[PORT_TEXT_MAX]);
	void (*destroy)(struct port *port);
};

/* What a port does not do now. */
enum port_hold {
	PORT_HOLD_LEARNING = 1, /* it learns no addresses */
	PORT_HOLD_FORWARDING =
		2,          /* nothing comes in or goes out but what protocols take and send */
	PORT_HOLD_LINK = 4, /* it is a link of a bond: who sends to it sends to that (bond.h) */
};

/* With any of these it is none of the ports that others send to. */
#define PORT_HOLDS_OUT (PORT_HOLD_FORWARDING | PORT_HOLD_LINK)

/* A file descriptor of a port that its thread watches for input. */
struct port_watch {
	int fd; /* -1: not watched */
	struct port *port;
	void (*ready)(struct port_watch *watch);
	struct list node; /* in port.watches */
};

struct port {
	const struct port_ops *ops;
	struct vswitch *vswitch;
	struct vswitch_thread *thread;
	struct log *log;
	uint16_t index; /* its slot */
	uint16_t
		home; /* where its addresses are learned: its slot, or of a link that of its bond */
	struct bond *bond; /* that it is; or NULL */
	char name[PORT_NAME_MAX];
	struct port_config config;
	/* Of protocols (protocol.h), changed in calls. */
	uint8_t holds;      /* enum port_hold */
	uint16_t protocols; /* which run here: a bit for each */
	uint32_t downs;     /* how often it went down */
	struct list watches;
	bool removed; /* the switch has let go of it */

	pid_t peer; /* the process at the other end; 0: none, or not known */
	bool up;    /* frames can be sent to it; change it by port_set_up() */
	uint64_t
		features; /* the VIRTIO_NET_F_GUEST_* of what it can be handed; change it by port_set_features() */
	struct port *over; /* the link over it (port_link.h), which has these two of it; or NULL */
	bool hides_features; /* of a link: it takes no offloads, whatever the port below does */
	bool numbered; /* of a link: what receive() gave last had come before, and has its numbers */
	bool held_down; /* of a link: it is not up, whatever the port below is */
	uint32_t
		side; /* ports whose sides differ in the low byte only do not reach each other; 0: none */
	size_t frame_max; /* the longest frame on its wire, with Ethernet header; 0: no limit */
	/* A tunnel: frame_max is of all of a frame, its tag as well, and large TCP frames are cut to what fits. */
	bool encloses;
	bool mirror_only;                /* it gets copies (port_mirror.h), and nothing else */
	const struct capture *recording; /* that what leaves by it goes to; or NULL */
	struct checkpoint checkpoint[PORT_WAYS]; /* what looks at its frames */
	struct filter *filter[PORT_WAYS];        /* its rules, or NULL */
	/* Its thread's. */
	bool resting; /* it is not asked for frames until one of its watches is ready (thread.c) */
	uint64_t busy_at; /* when it last had frames, or was woken */
	struct shares *
		shares; /* who asks it for how much, once it was crowded (shares.h); or NULL; with `out_lock` */
	/* Turns' (turns.h): what its frames have cost beyond its turns, and one of them lately. */
	uint64_t debt;
	uint32_t frame_cost;
	/* Deciding's. */
	uint64_t storm_next[PORT_STORM_COUNT];
	struct mac_recent recent_source, recent_destination;

	uint8_t crowded; /* with `out_lock`: rounds in which it has frames, until it has had room for long enough */
	pthread_mutex_t out_lock; /* only taken where there are several threads */
	struct port_counters counters;
};

static inline bool port_is_up(const struct port *port)
{
	return __atomic_load_n(&port->up, __ATOMIC_RELAXED);
}

static inline void port_drop(struct port *port, enum port_drop why)
{
	port->counters.drops[why]++;
}

static inline void port_count_tx(struct port *port, const struct frame *frame)
{
	port->counters.tx_frames++;
	port->counters.tx_bytes += frame->length;
}

/* Which of the drops of the way out is one more since they were noted; NULL: none. Those of the way in the port's own thread counts
 * meanwhile. */
void port_drops_note(const struct port *port, struct port_drops_out *before);
const char *port_drops_since(const struct port *port, const struct port_drops_out *before);

/* The counter for what virtio_net_decode() found. */
enum port_drop port_drop_of_fault(enum virtio_net_fault fault);

/* Going down forgets the addresses learned at the port. */
void port_set_up(struct port *port, bool up);
/* Forgets what was learned at the port, also what it learned itself. */
void port_forget(struct port *port);
/* In a call: how many static addresses are at the port, with `without` only those in VLANs that this does not carry; one of them in *first. -ENOMEM. */
int port_static_addresses(const struct port *port, const struct vlan_port *without,
			  struct mac_entry *first);

void port_set_features(struct port *port, uint64_t features);

static inline bool port_is_parted(const struct port *a, const struct port *b)
{
	uint32_t sides[2] = { __atomic_load_n(&a->side, __ATOMIC_RELAXED),
			      __atomic_load_n(&b->side, __ATOMIC_RELAXED) };

	return sides[0] != sides[1] && sides[0] && sides[1] && sides[0] >> 8 == sides[1] >> 8;
}

/* Starts and ends watching an fd. 0 or a negative errno. The watch must not move. */
int port_watch(struct port *port, struct port_watch *watch, int fd,
	       void (*ready)(struct port_watch *watch));
void port_unwatch(struct port_watch *watch);
/* Whether it is ready as well when there is room for output. */
void port_watch_output(struct port_watch *watch, bool wanted);
void port_end_watches(struct port *port);

/* The time of the port's thread: of its present round. On that thread only. */
uint64_t port_now(const struct port *port);
/* Has `timer` expire on the port's thread; to be called there, or from attach(). */
void port_timer_arm(struct port *port, struct timer *timer, uint64_t when);
void port_timer_disarm(struct port *port, struct timer *timer);

/* Has the port's thread go round once more; from any thread. */
void port_wake_thread(struct port *port);

#endif
