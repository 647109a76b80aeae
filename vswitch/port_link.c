/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bad link over a port; see port_link.h.
 *
 * The way in belongs to the port's thread. The way out is used with `out_lock`: any thread lets frames in, the port's thread lets
 * them out (tick()); who lets one in that is due before all others wakes that thread.
 */
#include "vswitch/port_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/log.h"
#include "vswitch/internal.h"
#include "vswitch/link_arrive.h"
#include "vswitch/link_change.h"
#include "vswitch/link_enter.h"

struct port_link {
	struct port port;
	struct port *lower;
	struct link_arrival in;
	struct link_way out;
	struct link_queue leaving;
	struct link_run
		run;       /* used by the port's thread, and in calls; .schedule is NULL without */
	uint64_t next_out; /* when the port's thread will look at `leaving` */
	uint64_t offered;  /* to the way out, when it did last */
	const char *out_dropped; /* of what transmit() was given last: why nothing of it goes on */
	bool out_waits;          /* ... or it goes out later */
};

static struct port_link *link_of(const struct port *port)
{
	return (struct port_link *)container_of(port, struct port_link, port);
}

/* ---- From the machine ---- */

static unsigned link_receive(struct port *port, struct frame **frames, unsigned max)
{
	struct port_link *link = link_of(port);

	return link_arrive(&link->in, port, link->lower, frames, max);
}

static void link_release(struct port *port)
{
	struct port_link *link = link_of(port);

	link_arrived(&link->in, link->lower);
}

/* ---- To the machine ---- */

static bool out_is_bad(const struct port_link *link)
{
	return link_way_is_bad(&link->out) || link->leaving.count;
}

static unsigned transmit_lower(struct port_link *link, struct frame *const *frames, unsigned count)
{
	struct port *lower = link->lower;
	unsigned took;

	vswitch_lock_if_shared(link->port.vswitch, &lower->out_lock);
	took = lower->ops->transmit(lower, frames, count);
	vswitch_unlock_if_shared(link->port.vswitch, &lower->out_lock);
	return took;
}

static unsigned link_transmit(struct port *port, struct frame *const *frames, unsigned count)
{
	struct port_link *link = link_of(port);
	struct vswitch *vswitch = port->vswitch;
	struct link_entrance entrance = { &link->out, &link->leaving, 0, NULL };

	link->out_waits = out_is_bad(link);
	link->out_dropped = NULL;
	if (!link->out_waits)
		return transmit_lower(link, frames, count);
	entrance.now = vswitch->clock(vswitch->clock_arg);
	for (unsigned i = 0; i < count; i++)
		link->out_dropped = link_enter(&entrance, frames[i],
					       vswitch->captures.count ? frames[i]->id : 0);
	if (vswitch->thread_count > 1 && link_queue_due(&link->leaving) < link->next_out) {
		link->next_out = link_queue_due(&link->leaving);
		port_wake_thread(port);
	}
	return count;
}

static unsigned link_room(struct port *port)
{
	struct port_link *link = link_of(port);
	struct port *lower = link->lower;
	unsigned room;

	/* What is bad has a queue of its own. */
	if (out_is_bad(link) || !lower->ops->room)
		return UINT_MAX;
	vswitch_lock_if_shared(link->port.vswitch, &lower->out_lock);
	room = lower->ops->room(lower);
	vswitch_unlock_if_shared(link->port.vswitch, &lower->out_lock);
	return room;
}

bool port_link_out_waits(const struct port *port, const char **dropped)
{
	const struct port_link *link = port_link_lower(port) ? link_of(port) : NULL;

	if (!link || !link->out_waits)
		return false;
	*dropped = link->out_dropped;
	return true;
}

static void send_all(struct port_link *link, struct frame *const *frames, unsigned count)
{
	unsigned done = 0;

	while (done < count) {
		done += transmit_lower(link, frames + done, count - done);
		if (done < count) {
			port_drop(&link->port, PORT_DROP_NO_BUFFER);
			done++;
		}
	}
}

/* One at a time, so that it is known what becomes of which. */
static void send_recorded(struct port_link *link, struct frame *const *frames, unsigned count)
{
	struct port *port = &link->port;

	for (unsigned i = 0; i < count; i++) {
		struct port_drops_out before[2];
		const char *dropped;

		port_drops_note(port, &before[0]);
		port_drops_note(link->lower, &before[1]);
		send_all(link, frames + i, 1);
		dropped = port_drops_since(port, &before[0]);
		if (!dropped)
			dropped = port_drops_since(link->lower, &before[1]);
		checkpoint_capture(port->thread, port, PORT_OUT, frames[i], dropped);
	}
}

/* Sends what is due. Returns how many. */
static unsigned leave(struct port_link *link, uint64_t now)
{
	struct link_frame *due[PORT_BURST];
	struct frame *frames[PORT_BURST];
	unsigned count = 0;

	while (count < PORT_BURST && (due[count] = link_queue_pop(&link->leaving, now))) {
		link_way_delivered(&link->out, due[count]->due, now);
		frames[count] = &due[count]->frame;
		count++;
	}
	if (link->port.checkpoint[PORT_OUT].capture_count)
		send_recorded(link, frames, count);
	else
		send_all(link, frames, count);
	for (unsigned i = 0; i < count; i++)
		free(due[i]);
	return count;
}

/* At once there go so many, and twice what came since the last time: more of them have none else wait for them, and as many as come always go. */
#define LEAVE_AT_ONCE 256u

static unsigned leave_all(struct port_link *link, uint64_t now)
{
	uint64_t came = link->out.counters.offered - link->offered;
	unsigned sent, all = 0;

	link->offered += came;
	link_queue_waiting(&link->leaving, now);
	do {
		sent = leave(link, now);
		all += sent;
	} while (sent && all < LEAVE_AT_ONCE + 2 * came);
	return all;
}

/* ---- What a schedule does ---- */

/* A link that is down in both ways is like one without a cable. */
static void hold(struct port_link *link, bool down)
{
	struct port *port = &link->port;

	if (port->held_down == down)
		return;
	port->held_down = down;
	if (link->lower->ops->carrier)
		link->lower->ops->carrier(link->lower, !down);
	port_set_up(port, !down && port_is_up(link->lower));
}

static void note_features(struct port_link *link)
{
	link->port.hides_features = out_is_bad(link);
	port_set_features(link->lower, link->lower->features);
}

static void set_model(struct port_link *link, unsigned ways, const struct link_model *model)
{
	struct port *port = &link->port;
	uint64_t now = port->vswitch->clock(port->vswitch->clock_arg);

	if (ways & LINK_IN)
		link_change(&link->in.way, &link->in.queue, model, port->name, false, now);
	if (ways & LINK_OUT)
		link_change(&link->out, &link->leaving, model, port->name, true, now);
	note_features(link);
}

static void cut_link(struct port_link *link, unsigned ways, bool down)
{
	if (ways & LINK_IN)
		link->in.way.down = down;
	if (ways & LINK_OUT)
		link->out.down = down;
	hold(link, link->in.way.down && link->out.down);
	note_features(link);
}

static void log_step(const struct port_link *link, const struct link_step *step, const char *what)
{
	const struct link_run *run = &link->run;

	log_info(link->port.log, "port %s: %s line %u, at %.6f s: %s", link->port.name,
		 run->schedule->name, step->line,
		 (double)(run->last_due - run->schedule->began) / 1e9, what);
}

static void take_side(struct port_link *link, const struct link_step *step)
{
	uint32_t side = step->side ? link->run.schedule->id << 8 | step->side : 0;
	char what[64] = "reaches all ports again";

	if (side == link->port.side)
		return;
	__atomic_store_n(&link->port.side, side, __ATOMIC_RELAXED);
	if (side)
		snprintf(what, sizeof(what), "in group %u of a partition", step->side);
	log_step(link, step, what);
}

static void take_step(struct port_link *link, const struct link_step *step)
{
	char words[512], what[600];

	switch (step->kind) {
	case LINK_STEP_SIDE:
		take_side(link, step);
		return;
	case LINK_STEP_MODEL:
		set_model(link, step->ways, step->model);
		link_model_describe(step->model, words, sizeof(words));
		break;
	default:
		cut_link(link, step->ways, step->kind == LINK_STEP_DOWN);
		strcpy(words, step->kind == LINK_STEP_DOWN ? "down" : "up");
		break;
	}
	snprintf(what, sizeof(what), "its link is now, %s: %s", link_ways_text(step->ways),
		 words[0] ? words : "perfect");
	log_step(link, step, what);
}

/* Returns how much was done. */
static unsigned follow_schedule(struct port_link *link, uint64_t now)
{
	const struct link_step *step;
	unsigned count = 0;

	while (count < PORT_BURST && (step = link_run_next(&link->run, now))) {
		take_step(link, step);
		count++;
	}
	return count;
}

static unsigned link_tick(struct port *port, uint64_t now, uint64_t *next)
{
	struct port_link *link = link_of(port);
	struct port *lower = link->lower;
	uint64_t lower_next = UINT64_MAX;
	/* After a burst there may be another one, which nothing else would have the thread look for. */
	unsigned all = link->in.taken;

	if (lower->ops->tick)
		all += lower->ops->tick(lower, now, &lower_next);
	vswitch_lock_if_shared(port->vswitch, &port->out_lock);
	if (link->run.schedule) {
		all += follow_schedule(link, now);
		lower_next = MIN(lower_next, link_run_due(&link->run));
	}
	all += leave_all(link, now);
	/* What was on its way over a link that is perfect again has arrived. */
	if (port->hides_features && !out_is_bad(link)) {
		port->hides_features = false;
		port_set_features(lower, lower->features);
	}
	link->next_out = link_queue_due(&link->leaving);
	*next = MIN(MIN(link->next_out, link_queue_due(&link->in.queue)), lower_next);
	vswitch_unlock_if_shared(port->vswitch, &port->out_lock);
	return all;
}

/* ---- The rest is the lower port's ---- */

static bool link_arm(struct port *port)
{
	struct port *lower = link_of(port)->lower;

	return lower->ops->arm && lower->ops->arm(lower);
}

static void link_disarm(struct port *port)
{
	struct port *lower = link_of(port)->lower;

	if (lower->ops->disarm)
		lower->ops->disarm(lower);
}

static void link_forget(struct port *port)
{
	struct port *lower = link_of(port)->lower;

	if (lower->ops->forget)
		lower->ops->forget(lower);
}

static void link_describe(struct port *port, char where[PORT_TEXT_MAX], char state[PORT_TEXT_MAX],
			  char features[PORT_TEXT_MAX])
{
	struct port *lower = link_of(port)->lower;

	strcpy(state, lower->up ? "up" : "down");
	if (lower->ops->describe)
		lower->ops->describe(lower, where, state, features);
	if (port->held_down)
		strcpy(state, "cut");
}

static void link_detach(struct port *port)
{
	struct port *lower = link_of(port)->lower;

	port_end_watches(lower);
	if (lower->ops->detach)
		lower->ops->detach(lower);
	lower->removed = true;
}

static void link_destroy(struct port *port)
{
	struct port_link *link = link_of(port);

	link_queue_clear(&link->in.queue);
	link_queue_clear(&link->leaving);
	link_schedule_drop(link->run.schedule);
	link_trace_drop(link->in.way.model.trace);
	link_trace_drop(link->out.model.trace);
	link_table_drop(link->in.way.model.table);
	link_table_drop(link->out.model.table);
	if (link->lower) {
		pthread_mutex_destroy(&link->lower->out_lock);
		link->lower->over = NULL;
		free(link->lower->shares); /* from before it had a link */
		link->lower->ops->destroy(link->lower);
	}
	free(link);
}

#define LINK_OPS(looking_is_cheap)                                                                 \
	{                                                                                          \
		.type = "link", .polled = looking_is_cheap, .detach = link_detach,                 \
		.receive = link_receive, .release = link_release, .transmit = link_transmit,       \
		.room = link_room, .tick = link_tick, .arm = link_arm, .disarm = link_disarm,      \
		.forget = link_forget, .describe = link_describe, .destroy = link_destroy          \
	}

static const struct port_ops ops_polled = LINK_OPS(true), ops_watched = LINK_OPS(false);

struct port *port_link_create(void)
{
	struct port_link *link = calloc(1, sizeof(*link));

	if (!link)
		return NULL;
	link->port.ops = &ops_watched;
	pthread_mutex_init(&link->port.out_lock, NULL);
	list_init(&link->port.watches);
	return &link->port;
}

void port_link_put_over(struct port *port, struct port *lower)
{
	struct port_link *link = link_of(port);

	link->lower = lower;
	port->ops = lower->ops->polled ? &ops_polled : &ops_watched;
	port->vswitch = lower->vswitch;
	port->thread = lower->thread;
	port->log = lower->log;
	port->index = lower->index;
	port->home = lower->home;
	memcpy(port->checkpoint, lower->checkpoint, sizeof(port->checkpoint));
	memset(lower->checkpoint, 0, sizeof(lower->checkpoint));
	memcpy(port->filter, lower->filter, sizeof(port->filter));
	memset(lower->filter, 0, sizeof(lower->filter));
	memcpy(port->name, lower->name, sizeof(port->name));
	port->config = lower->config;
	port->holds = lower->holds;
	port->protocols = lower->protocols;
	port->downs = lower->downs;
	port->up = lower->up;
	port->features = lower->features;
	port->frame_max = lower->frame_max;
	port->encloses = lower->encloses;
	port->mirror_only = lower->mirror_only;
	lower->over = port;
}

struct port *port_link_lower(const struct port *port)
{
	bool is_link = port->ops == &ops_polled || port->ops == &ops_watched;

	return is_link ? link_of(port)->lower : NULL;
}

/* How many of its ways hold packets, or may: a schedule's steps are no calls, in which the memory could be shared anew. */
static unsigned ways_that_hold(const struct port *port)
{
	const struct port_link *link = link_of(port);

	if (!port_link_lower(port) || link->run.schedule)
		return port_link_lower(port) ? 2 : 0;
	return out_is_bad(link) + (link_way_is_bad(&link->in.way) || link->in.queue.count);
}

void port_link_share(struct vswitch *vswitch)
{
	uint64_t ways = 0, share;

	for (unsigned i = 0; i < vswitch->port_count; i++)
		ways += ways_that_hold(vswitch->list[i]);
	share = MIN(MAX(vswitch->link_memory / MAX(ways, 1u), LINK_QUEUE_LEAST), LINK_QUEUE_BYTES);
	for (unsigned i = 0; i < vswitch->port_count; i++) {
		struct port_link *link = link_of(vswitch->list[i]);

		if (port_link_lower(&link->port))
			link->in.queue.room = link->leaving.room = share;
	}
}

void port_link_set(struct port *port, unsigned directions, const struct link_model *model)
{
	set_model(link_of(port), directions, model);
	port_link_share(port->vswitch);
}

void port_link_follow(struct port *port, struct link_schedule *schedule, unsigned number)
{
	port_link_end_schedule(port);
	link_run_start(&link_of(port)->run, schedule, number);
	port_link_share(port->vswitch);
}

void port_link_end_schedule(struct port *port)
{
	struct port_link *link = link_of(port);

	link_schedule_drop(link->run.schedule);
	link->run = (struct link_run){ 0 };
	port->side = 0;
	cut_link(link, LINK_IN | LINK_OUT, false);
	port_link_share(port->vswitch);
}

const struct link_run *port_link_run(const struct port *port)
{
	const struct port_link *link = link_of(port);

	return link->run.schedule ? &link->run : NULL;
}

const struct link_way *port_link_way(const struct port *port, enum link_direction direction)
{
	return direction == LINK_IN ? &link_of(port)->in.way : &link_of(port)->out;
}
