/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the switch share and nobody else sees.
 *
 *	switch.c	making and ending a switch		thread.c	forwarding threads, sleeping
 *	calls.c		what is done while they pause		thread_ports.c	which ports are asked for frames
 *	ports.c		slots: ports come, change and go		decide.c	where a frame goes
 *	status.c	looking					egress.c	how it leaves
 *	links.c		links go bad				port_link.c	and what they do then
 *	schedules.c	by themselves, by a script		link_schedule.h
 *	checkpoint.c	what looks at frames of a port		captures.c	captures (capture_session.h)
 *	rules.c		rules of ports (filter.h)		protocol.c	the control plane
 *	mirrors.c	mirrors						port_mirror.c	and their copies
 *	bond_ports.c	links of bonds (bond.h)				turns.c		who has which turn
 *	shares.c	and the room of a crowded receiver
 *	reserved.c	frames to reserved addresses			snooping_protocol.c	groups (snooping.h)
 *
 * Who may touch what. A port belongs to one thread, which alone receives from it, handles its watches and runs its timers.
 * Any thread may transmit to it, with its `out_lock`, under which its watches are handled too. The address
 * table has its own locks. All else is changed by calls only (vswitch_call()), which run while all threads are parked
 * between two rounds, so that reading it needs no lock.
 */
#ifndef TENON_VSWITCH_INTERNAL_H
#define TENON_VSWITCH_INTERNAL_H

#include <pthread.h>
#include <string.h>

#include "util/list.h"
#include "util/poll_window.h"
#include "util/timer.h"
#include "vswitch/capture_session.h"
#include "vswitch/filter.h"
#include "vswitch/group_set.h"
#include "vswitch/port_mirror.h"
#include "vswitch/protocol.h"
#include "vswitch/reserved.h"
#include "vswitch/switch.h"
#include "vswitch/thread.h"

struct vswitch {
	char name[64];
	struct log *log;
	uint64_t (*clock)(void *arg);
	void *clock_arg;
	uint64_t epoch;

	/* A port's slot is its for as long as it lives. `ports` has holes, `list` has none and is in the order of
	 * addition. */
	struct port *ports[VSWITCH_PORTS_MAX];
	struct port *list[VSWITCH_PORTS_MAX];
	unsigned port_count;
	struct mac_table *table;
	unsigned table_size;
	uint64_t ageing; /* 0: a hub, which learns nothing */
	struct capture_sessions captures;
	struct port_mirrors mirrors;
	struct protocols *protocols; /* NULL: none ever ran */
	bool control_pending;        /* there is something for them; atomic */
	struct reserved_choices reserved;
	const struct group_set *groups; /* where frames to groups go; NULL: everywhere */
	uint64_t mac;                   /* of frames of its own */
	uint64_t seed;
	unsigned last_schedule; /* of links: its number */
	uint64_t link_memory;   /* that packets on the way over all of them may have, in bytes */

	struct vswitch_thread *threads;
	unsigned thread_count;

	/* Calls from other threads and parking; guarded by `lock`. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct list calls;
	unsigned parked;
	bool running;
	bool pausing, stopping; /* also read without the lock */
};

static inline void vswitch_lock_if_shared(const struct vswitch *vswitch, pthread_mutex_t *lock)
{
	if (vswitch->thread_count > 1)
		pthread_mutex_lock(lock);
}

static inline void vswitch_unlock_if_shared(const struct vswitch *vswitch, pthread_mutex_t *lock)
{
	if (vswitch->thread_count > 1)
		pthread_mutex_unlock(lock);
}

/* NULL: there is none of that name. */
static inline struct port *vswitch_find_port(const struct vswitch *vswitch, const char *name)
{
	for (unsigned i = 0; i < vswitch->port_count; i++)
		if (!strcmp(vswitch->list[i]->name, name))
			return vswitch->list[i];
	return NULL;
}

/* The bond that a port is a link of, or itself. */
static inline const struct port *bond_of(const struct port *port)
{
	return port->vswitch->ports[port->home];
}

/* -ENOENT with `error` set. */
int vswitch_no_such_port(const struct vswitch *vswitch, const char *name, struct error *error);

/* Room for what `config` polices; nothing has changed where there is none: -ENOMEM. Then its settings are put in force. (port_settings.c) */
int port_prepare_police(struct port *port, const struct port_config *config, struct error *error);
void port_apply_config(struct port *port, const struct port_config *config);
void port_free_filters(struct port *port);

/* There is something for protocols: has the first thread look; from any thread. (port.c) */
void vswitch_control_soon(struct vswitch *vswitch);

/* Ends all ports' lives; no thread runs. */
void vswitch_destroy_ports(struct vswitch *vswitch);

#endif
