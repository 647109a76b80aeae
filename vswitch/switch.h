/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual switch: an Ethernet bridge between guests (vhost-user), host interfaces (TAP), and whatever
 * else implements port.h.
 *
 * How a frame passes. A forwarding thread goes round its ports and takes a burst of frames from each.
 * A frame's bytes stay in the source guest's buffers; only its head is copied, so that what is decided
 * on cannot change (frame.h). decide.c finds its VLAN, learns the source address, looks the destination up
 * (mac_table.h), and lines the frame up at one port, or at several. At the end of the round each
 * destination port gets its frames once, and copies each once, into the destination guest's buffers (egress.c).
 * Tags are put on and taken off there. Requests for checksums and segmentation pass through unchanged where the
 * destination negotiated them, and are done in software where it did not (virtio/virtio_net.h). Every frame that ends
 * in the switch has a counter with a name (port.h).
 *
 * Waiting. A thread polls rings in memory for a short while that adapts to the traffic, then has its
 * ports ask for kicks and sleeps until a kick or the next timer; an idle switch uses no CPU (thread.c). Control messages
 * of vhost-user front-ends are handled on the port's thread between rounds. Other threads reach the switch's state
 * through vswitch_call() only.
 *
 * A guest can break its own port and no other: rings, headers and messages are checked where they are
 * read, and a ring that breaks the rules stops that port's queue until its driver sets it up anew.
 *
 * The link to a port can be bad on purpose: delays, losses, and so on (port_link.h).
 *
 * Ports come, change and go while others run; each keeps its slot while it lives (ports.c). With several threads each
 * port belongs to one of them, and any of them sends to any port (internal.h).
 *
 * Time comes from a clock that a test replaces; the hash seed may be given; learning happens frame by
 * frame in the order of arrival. So the same frames give the same result.
 */
#ifndef TENON_VSWITCH_SWITCH_H
#define TENON_VSWITCH_SWITCH_H

#include <stdbool.h>
#include <stdint.h>

#include "util/cleanup.h"
#include "vswitch/capture.h"
#include "vswitch/filter.h"
#include "vswitch/filter_program.h"
#include "vswitch/frame_cost.h"
#include "vswitch/link_model.h"
#include "vswitch/link_schedule.h"
#include "vswitch/mac_table.h"
#include "vswitch/port_mirror.h"
#include "vswitch/port.h"
#include "vswitch/port_config.h"
#include "vswitch/reserved.h"

struct error;
struct link_schedule_files;
struct log;
struct unix_socket_access;
struct vswitch;

#define VSWITCH_PORTS_MAX   256
#define VSWITCH_THREADS_MAX 64
#define VSWITCH_SEND_MAX    1518 /* bytes */

struct vswitch_options {
	const char *name;        /* copied; NULL: "switch" */
	struct log *log;         /* may be NULL; must outlive the switch */
	uint64_t seed;           /* of the address table's hash; 0: one from the system */
	uint64_t mac;            /* that it has in frames of its own, a station's; 0: at random */
	uint64_t ageing_ns;      /* 0: 300 s */
	bool hub;                /* learn no addresses: each frame goes to all other ports */
	unsigned table_size;     /* 0: 8192 */
	unsigned table_per_port; /* 0: 4096 */
	unsigned move_limit;     /* see mac_table.h; 0: none */
	unsigned threads;        /* 0: 1 */
	uint64_t
		link_memory; /* of packets on their way over bad links, in bytes; 0: link_memory_most() */
	uint64_t poll_ns; /* the longest it polls before it sleeps; 0: the default of 50 us */

	struct reserved_choices reserved;

	/* Nanoseconds; NULL: CLOCK_MONOTONIC. `epoch_ns` is what to add for the time of day in captures;
	 * 0: found from the system. */
	uint64_t (*clock)(void *arg);
	void *clock_arg;
	uint64_t epoch_ns;
};

/* A switch without ports; `options` may be NULL. -ENOMEM, -EMFILE, with `error` set. */
int vswitch_create(struct vswitch **out, const struct vswitch_options *options,
		   struct error *error);

/* Stops the thread if it runs; closes ports, sockets (their files are removed) and captures. NULL is
 * fine. */
void vswitch_destroy(struct vswitch *vswitch);
DEFINE_CLEANUP(cleanup_vswitch, struct vswitch, vswitch_destroy)

/* For as long as it lives. */
const char *vswitch_name(const struct vswitch *vswitch);

/* Starts the forwarding thread; stopping waits for its end. */
int vswitch_start(struct vswitch *vswitch, struct error *error);
void vswitch_stop(struct vswitch *vswitch);

/* ---- Ports: may come and go before and after the start; -EEXIST for a name that is taken ---- */

/* A name is 1 to 31 letters, digits, '.', '_' and '-'. */
int vswitch_check_port_name(const char *name, struct error *error);
int vswitch_check_switch_name(const char *name, struct error *error);

/* Of one interface: the kernel has room for 256. */
#define VSWITCH_TAP_QUEUES_MAX 128

struct vswitch_tap_options {
	bool plain;                       /* no header and no offloads */
	unsigned queues;                  /* at most VSWITCH_TAP_QUEUES_MAX; 0: one */
	int netns;                        /* an fd; 0: the caller's own */
	const struct port_config *config; /* NULL: nothing was decided */
};

/* Attaches the host interface `ifname`, which is made if it is missing. See tap_open() for errors;
 * `options` may be NULL. */
int vswitch_add_port_tap(struct vswitch *vswitch, const char *name, const char *ifname,
			 const struct vswitch_tap_options *options, struct error *error);

/* As many as a message of the protocol can name the queues of. */
#define VSWITCH_VHOST_USER_PAIRS_MAX 128

struct vswitch_vhost_user_options {
	const struct unix_socket_access *access; /* who may connect; NULL: this user */
	bool client; /* the front-end listens: connect to it, again whenever it was lost */
	unsigned
		pairs; /* of queues that its guest may have, at most VSWITCH_VHOST_USER_PAIRS_MAX; 0: one */
	const struct port_config *config; /* NULL: nothing was decided */
};

/* Listens on the unix socket `path` for a vhost-user front-end; when one leaves, for the next. A socket
 * file that nobody listens on any more is replaced. `options` may be NULL. -ENAMETOOLONG, -EADDRINUSE, ... A client's server that is
 * not there yet is no error. */
int vswitch_add_port_vhost_user(struct vswitch *vswitch, const char *name, const char *path,
				const struct vswitch_vhost_user_options *options,
				struct error *error);

/* Serves the front-end at the other end of the connected socket `fd`, which is taken over, also when it
 * fails. When the front-end hangs up, the port stays down. */
int vswitch_add_port_vhost_user_fd(struct vswitch *vswitch, const char *name, int fd,
				   struct error *error);

/* Adds a port of any kind; the switch takes it over, also when it fails. `port->ops` is set, all else
 * besides `up`, `features` and `frame_max` is the switch's. */
int vswitch_add_port(struct vswitch *vswitch, struct port *port, const char *name,
		     struct error *error);

/* The same, with what a user decided of it; NULL: nothing. */
int vswitch_add_port_as(struct vswitch *vswitch, struct port *port, const char *name,
			const struct port_config *config, struct error *error);

/* Puts `config` in place of what was decided of the port. Addresses that were learned at it are forgotten if its
 * VLANs change. -ENOENT. */
int vswitch_set_port(struct vswitch *vswitch, const char *name, const struct port_config *config,
		     struct error *error);

/* Ends a port; its socket's file is removed, a TAP that is not persistent goes. Frames of other ports are not held up
 * but for a moment. -ENOENT. */
int vswitch_remove_port(struct vswitch *vswitch, const char *name, struct error *error);

/*
 * Makes the link to a port bad, or good again (a model of all zero), in the ways of `directions` (LINK_IN, LINK_OUT or both;
 * port_link.h). Packets that are on their way arrive as was decided, but for those that wait for a wire which is another one then
 * (link_change.h). -EINVAL (link_model_check()), -ENOENT.
 */
int vswitch_set_link(struct vswitch *vswitch, const char *name, unsigned directions,
		     const struct link_model *model, struct error *error);

/*
 * Has links change by the script `text` (link_schedule.h), beginning now on the switch's clock; `name` is what users know it by, `port`
 * its first port; `files` are those that it names (NULL: none). Another one of that port ends. Ports that are removed leave it, and it
 * goes on with the others; those that come later are not in it, with `absent` neither those that are missing now. -EINVAL (line and
 * column in `error`), -ENOENT (with `absent`: none of its ports is there), -EBUSY: one of its ports is in the schedule of another port;
 * nothing has changed then.
 */
int vswitch_start_schedule(struct vswitch *vswitch, const char *port, const char *name,
			   const char *text, const struct link_schedule_files *files, bool absent,
			   struct error *error);
/* Ends the one that the port is in: its links are up again and in no partition; what they are set to they stay. -ENOENT. */
int vswitch_end_schedule(struct vswitch *vswitch, const char *port, struct error *error);

struct vswitch_schedule_status {
	char name[256], owner[PORT_NAME_MAX];
	bool ended;  /* it came to the end of its script */
	bool absent; /* it has ports that are not there, or came after it */
	uint64_t elapsed_ns;
	unsigned next_line;
	uint64_t next_ns; /* since its beginning */
	unsigned port_count;
	struct vswitch_schedule_port {
		char name[PORT_NAME_MAX];
		unsigned down;  /* enum link_direction */
		unsigned group; /* of a partition, from 1; 0: none */
		uint64_t changes;
		unsigned last_line; /* of the last change, `last_ns` after the beginning */
		uint64_t last_ns;
	} ports[LINK_SCHEDULE_PORTS];
};

/* -ENOENT: the port is in none. */
int vswitch_schedule_status(struct vswitch *vswitch, const char *port,
			    struct vswitch_schedule_status *status, struct error *error);

/* ---- Frames of the switch's own ---- */

/*
 * Sends a frame without tag (its length without check sequence, at most VSWITCH_SEND_MAX), which is tagged as the port wants
 * it: to the port of that name, or (NULL) to all that carry the VLAN (0: what has no tag). -EINVAL, -ENOENT,
 * -ENETDOWN.
 */
int vswitch_send(struct vswitch *vswitch, const char *name, uint16_t vlan, const void *bytes,
		 size_t length, struct error *error);

/* ---- Addresses ---- */

/* A static entry: -ENOENT, -EINVAL (a group's address; the port does not carry the VLAN), -ENOSPC. */
int vswitch_add_address(struct vswitch *vswitch, uint16_t vlan, uint64_t mac, const char *port,
			struct error *error);
/* Forgets an address, static or learned. -ENOENT. */
int vswitch_remove_address(struct vswitch *vswitch, uint16_t vlan, uint64_t mac,
			   struct error *error);
/* Forgets what was learned, at a port or (NULL) everywhere. -ENOENT. */
int vswitch_flush_addresses(struct vswitch *vswitch, const char *port, struct error *error);

/* ---- Reserved addresses ---- */

/* What becomes of frames to 01:80:c2:00:00:0X at ports that say nothing of it. -EINVAL: the spanning tree would not hear BPDUs (stp.h). */
int vswitch_set_reserved(struct vswitch *vswitch, const struct reserved_choices *choices,
			 struct error *error);

/* ---- Captures ---- */

struct vswitch_capture_options {
	const char *path;
	const char *label; /* what users know it by; NULL: `path` */
	const char *port;  /* NULL: all ports, also those that come later */
	unsigned ways;     /* PORT_WAY()s; 0: both, or "in" of all ports to classic pcap */
	bool absent;       /* the port may come later */
	struct filter_program *filter; /* taken, also when it fails; NULL: all frames */
	bool force, once, segments;    /* these, and what follows: see capture.h */
	uint32_t snaplen;
	size_t ring_bytes;
	enum capture_format_choice format;
	struct capture_row row;
};

/*
 * Records frames to `path`, with nanoseconds: to a pcapng file with an interface for each port, and every frame as it came in and
 * as it went out, those that were dropped with the reason; or to a classic pcap file. Checksums that were left to the receiver
 * are finished in the copy. The file is readable while it grows. It may be a FIFO, or "-"; a slow reader or disk costs
 * frames of the capture, never of the network: see capture.h. Several may run; *id (may be NULL) is this one's number. Also -ENOENT,
 * -ENOSPC.
 */
int vswitch_start_capture(struct vswitch *vswitch, const struct vswitch_capture_options *options,
			  unsigned *id, struct error *error);

/* Ends it; 0, or the negative errno of a write that failed, with `error` set; -ENOENT. `last` (may be NULL) is what it has to
 * say in the end, but for its path. */
int vswitch_stop_capture(struct vswitch *vswitch, unsigned id, struct capture_status *last,
			 struct error *error);
/* Lets go of those to one reader (`once`) that has left; returns how many. */
unsigned vswitch_reap_captures(struct vswitch *vswitch);
/* Ends all; the first failure. */
int vswitch_stop_captures(struct vswitch *vswitch, struct error *error);

/* ---- Rules: see filter.h ---- */

/*
 * Gives a port a rule, one way, at `position` (from 1; 0: the last). `program` is taken, also when it fails. -ENOENT, -EINVAL
 * (action, position), -ENOSPC, -ENOMEM; nothing has changed then.
 */
int vswitch_add_rule(struct vswitch *vswitch, const char *name, enum port_way way,
		     unsigned position, struct filter_program *program, const char *action,
		     struct error *error);
/* The same; the port that its copies go to may come later. */
int vswitch_add_rule_of_absent(struct vswitch *vswitch, const char *name, enum port_way way,
			       unsigned position, struct filter_program *program,
			       const char *action, struct error *error);
/* -ENOENT. */
int vswitch_remove_rule(struct vswitch *vswitch, const char *name, enum port_way way,
			unsigned position, struct error *error);

struct vswitch_rule_status {
	char port[PORT_NAME_MAX];
	enum port_way way;
	unsigned position;
	char expression[FILTER_EXPRESSION_MOST + 1];
	char action[FILTER_ACTION_TEXT];
	uint64_t frames, bytes, dropped;
};

/* All of them; the caller frees the list. -ENOMEM. */
int vswitch_list_rules(struct vswitch *vswitch, struct vswitch_rule_status **out, unsigned *count);

/* ---- Mirrors: see port_mirror.h ---- */

/* -ENOENT (a port), -EEXIST, -EINVAL (a loop), -ENOSPC; nothing has changed then. */
int vswitch_add_mirror(struct vswitch *vswitch, const struct port_mirror_options *options,
		       struct error *error);
/* -ENOENT. */
int vswitch_remove_mirror(struct vswitch *vswitch, const char *name, struct error *error);

struct vswitch_mirror_status {
	struct port_mirror_options options;
	bool there; /* the port that copies go to */
	uint64_t copies;
};

/* All of them; the caller frees the list. -ENOMEM. */
int vswitch_list_mirrors(struct vswitch *vswitch, struct vswitch_mirror_status **out,
			 unsigned *count);

/* ---- Looking ---- */

struct vswitch_port_status {
	char name[PORT_NAME_MAX];
	const char *type;
	int peer; /* the process at the other end; 0: none, or not known */
	bool up;
	char where[PORT_TEXT_MAX];
	char state[PORT_TEXT_MAX];
	char features[PORT_TEXT_MAX];
	unsigned thread; /* that it belongs to */
	struct port_config config;
	struct port_counters counters;
	bool has_link; /* that is or was bad, and these hold */
	struct link_way link_in, link_out;
};

struct vswitch_capture_status {
	unsigned id, ways;
	char port[PORT_NAME_MAX];                /* "": all */
	char filter[FILTER_EXPRESSION_MOST + 1]; /* "": all frames */
	char path[256];
	struct capture_status capture; /* whose path is `path` */
};

struct vswitch_status {
	unsigned port_count, address_count;
	struct vswitch_port_status *ports;
	struct mac_entry *
		addresses; /* static ones, then the longest unseen first; ports are indices into `ports` */
	struct mac_table_counters table;
	struct reserved_choices reserved;
	unsigned table_size;
	uint64_t now; /* on the clock of mac_entry.seen */
	uint64_t ageing_ns;
	unsigned threads;
	uint64_t sleeps, rounds; /* of the forwarding threads */
	unsigned peer_closings;  /* peer_files_waiting() */
	struct frame_cost cost;
	unsigned capture_count;
	struct vswitch_capture_status captures[CHECKPOINT_CAPTURES];
};

/* -ENOMEM. The caller frees it with vswitch_status_free(). */
int vswitch_status(struct vswitch *vswitch, struct vswitch_status **out);
void vswitch_status_free(struct vswitch_status *status);
DEFINE_CLEANUP(cleanup_vswitch_status, struct vswitch_status, vswitch_status_free)

/* Runs `fn(arg)` on a forwarding thread between rounds, while the others pause (or here, if they do not run), and
 * returns what it returned. Not from `fn` itself. */
int vswitch_call(struct vswitch *vswitch, int (*fn)(void *arg), void *arg);

/* ---- For tests, which run without the thread ---- */

/* One round of each thread: timers that are due, a burst from each port. Returns how many timers and frames there were. */
unsigned vswitch_round(struct vswitch *vswitch);

/* When the next timer is due, by the switch's clock; UINT64_MAX: there is none. */
uint64_t vswitch_next_timer(const struct vswitch *vswitch);

#endif
