/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ports of a forwarding thread, and which of them its rounds ask for frames; see thread.h.
 *
 * A port is awake, or it rests: then it is armed, as all are before the thread sleeps, and one of its watches wakes it. It rests when
 * it had nothing for a while, if it can say that it has something and does nothing by itself; only the thread's own rounds have ports
 * rest, for who goes round by hand may look at no watches.
 */
#include "vswitch/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vswitch/internal.h"

#define REST_PORTS 8       /* with more than so many ports, those rest */
#define REST_NS    1000000 /* that had nothing for so long */

struct vswitch_thread *vswitch_thread_for_port(struct vswitch *vswitch)
{
	struct vswitch_thread *least = &vswitch->threads[0];

	for (unsigned i = 1; i < vswitch->thread_count; i++)
		if (vswitch->threads[i].port_count < least->port_count)
			least = &vswitch->threads[i];
	return least;
}

static void free_egress(struct vswitch *vswitch, unsigned slot)
{
	for (unsigned i = 0; i < vswitch->thread_count; i++) {
		free(vswitch->threads[i].egress[slot]);
		vswitch->threads[i].egress[slot] = NULL;
	}
}

static void list_awake(struct vswitch_thread *thread)
{
	thread->awake_count = 0;
	for (unsigned i = 0; i < thread->port_count; i++)
		if (!thread->ports[i]->resting)
			thread->awake[thread->awake_count++] = thread->ports[i];
}

void vswitch_thread_wake_port(struct vswitch_thread *thread, struct port *port)
{
	if (!port->resting)
		return;
	port->resting = false;
	port->busy_at = thread->now;
	if (port->ops->disarm)
		port->ops->disarm(port);
	list_awake(thread);
}

/* Only those that say when there is something, and do nothing by themselves. */
static bool may_rest(const struct port *port)
{
	return port->ops->polled && port->ops->arm && !port->ops->tick;
}

void vswitch_thread_rest(struct vswitch_thread *thread)
{
	unsigned before = thread->awake_count;

	if (thread->port_count <= REST_PORTS)
		return;
	for (unsigned i = 0; i < before; i++) {
		struct port *port = thread->awake[i];

		if (!may_rest(port) || thread->now - port->busy_at < REST_NS)
			continue;
		port->resting = !port->ops->arm(port);
		if (!port->resting) {
			/* Something came meanwhile, or it cannot say so. */
			port->busy_at = thread->now;
			if (port->ops->disarm)
				port->ops->disarm(port);
		}
	}
	list_awake(thread);
}

int vswitch_thread_add(struct vswitch_thread *thread, struct port *port)
{
	struct vswitch *vswitch = thread->vswitch;

	for (unsigned i = 0; i < vswitch->thread_count; i++) {
		struct egress *egress = calloc(1, sizeof(*egress));

		vswitch->threads[i].egress[port->index] = egress;
		if (!egress) {
			free_egress(vswitch, port->index);
			return -ENOMEM;
		}
	}
	thread->ports[thread->port_count++] = port;
	port->busy_at = thread->now;
	list_awake(thread);
	thread->polled_count += port->ops->polled;
	thread->ticking_count += port->ops->tick != NULL;
	return 0;
}

static unsigned place_of(const struct vswitch_thread *thread, const struct port *port)
{
	unsigned at = 0;

	while (thread->ports[at] != port)
		at++;
	return at;
}

void vswitch_thread_replace(struct vswitch_thread *thread, struct port *old, struct port *port)
{
	vswitch_thread_wake_port(thread, old);
	thread->ports[place_of(thread, old)] = port;
	list_awake(thread);
	thread->polled_count += port->ops->polled - old->ops->polled;
	thread->ticking_count += (port->ops->tick != NULL) - (old->ops->tick != NULL);
}

void vswitch_thread_remove(struct vswitch_thread *thread, struct port *port)
{
	unsigned at = place_of(thread, port);

	vswitch_thread_wake_port(thread, port);
	thread->port_count--;
	memmove(&thread->ports[at], &thread->ports[at + 1],
		(thread->port_count - at) * sizeof(thread->ports[0]));
	list_awake(thread);
	thread->polled_count -= port->ops->polled;
	thread->ticking_count -= port->ops->tick != NULL;
	free_egress(thread->vswitch, port->index);
}
