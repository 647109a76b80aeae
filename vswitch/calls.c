/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls from other threads, and having the forwarding threads pause; see thread.h.
 *
 * A call runs on the first thread, between two rounds. Where there are others they are parked first: `pausing` is set, each
 * is woken, and waits between two of its own rounds until it is no more. So a call sees all that any of them did,
 * and may change what all of them read.
 */
#include "util/list.h"
#include "vswitch/internal.h"

struct vswitch_call {
	struct list node;
	int (*fn)(void *arg);
	void *arg;
	int rc;
	bool done;
};

void vswitch_pause_others(struct vswitch *vswitch)
{
	if (vswitch->thread_count == 1 || !vswitch->running)
		return;
	__atomic_store_n(&vswitch->pausing, true, __ATOMIC_RELEASE);
	for (unsigned i = 1; i < vswitch->thread_count; i++)
		vswitch_thread_wake(&vswitch->threads[i]);
	while (vswitch->parked < vswitch->thread_count - 1)
		pthread_cond_wait(&vswitch->changed, &vswitch->lock);
}

void vswitch_resume_others(struct vswitch *vswitch)
{
	__atomic_store_n(&vswitch->pausing, false, __ATOMIC_RELEASE);
	pthread_cond_broadcast(&vswitch->changed);
}

void vswitch_park(struct vswitch *vswitch)
{
	pthread_mutex_lock(&vswitch->lock);
	vswitch->parked++;
	pthread_cond_broadcast(&vswitch->changed);
	while (vswitch->pausing)
		pthread_cond_wait(&vswitch->changed, &vswitch->lock);
	vswitch->parked--;
	pthread_mutex_unlock(&vswitch->lock);
}

/* That of the last round is old where a thread has slept since. No other runs. */
static void take_time(struct vswitch *vswitch)
{
	for (unsigned i = 0; i < vswitch->thread_count; i++)
		vswitch->threads[i].now = vswitch->clock(vswitch->clock_arg);
}

void vswitch_run_calls(struct vswitch *vswitch)
{
	pthread_mutex_lock(&vswitch->lock);
	if (!list_empty(&vswitch->calls)) {
		vswitch_pause_others(vswitch);
		take_time(vswitch);
	}
	while (!list_empty(&vswitch->calls)) {
		struct vswitch_call *call =
			list_entry(list_pop(&vswitch->calls), struct vswitch_call, node);

		pthread_mutex_unlock(&vswitch->lock);
		call->rc = call->fn(call->arg);
		pthread_mutex_lock(&vswitch->lock);
		call->done = true;
		pthread_cond_broadcast(&vswitch->changed);
	}
	vswitch_resume_others(vswitch);
	pthread_mutex_unlock(&vswitch->lock);
}

int vswitch_call(struct vswitch *vswitch, int (*fn)(void *arg), void *arg)
{
	struct vswitch_call call = { .fn = fn, .arg = arg };

	pthread_mutex_lock(&vswitch->lock);
	if (!vswitch->running) {
		take_time(vswitch);
		call.rc = fn(arg);
		pthread_mutex_unlock(&vswitch->lock);
		return call.rc;
	}
	list_add_tail(&vswitch->calls, &call.node);
	vswitch_thread_wake(&vswitch->threads[0]);
	while (!call.done)
		pthread_cond_wait(&vswitch->changed, &vswitch->lock);
	pthread_mutex_unlock(&vswitch->lock);
	return call.rc;
}
