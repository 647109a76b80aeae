/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An interface that was deleted; see port_tap.h. A thread of the port's own looks for one of that name, three times a second, attaches to it, and
 * hands it over; for what it does may wait in the kernel. While it runs, it alone touches `next`, and the forwarding threads `tap`.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "netdev/link.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"
#include "vswitch/internal.h"
#include "vswitch/port_place.h"
#include "vswitch/port_tap.h"

#define LOOK_NS 300000000 /* between two looks for it */

/* The offloads are what the kernel may give us. It takes all kinds but UDP segments, which old kernels
 * know neither way. */
uint64_t port_tap_features(const struct tap *tap)
{
	uint64_t features = VIRTIO_NET_GUEST_OFFLOADS;

	if (!tap->header)
		return 0;
	if (!(tap->offloads & TUN_F_USO4))
		features &= ~(VIRTIO_NET_BIT(GUEST_USO4) | VIRTIO_NET_BIT(GUEST_USO6));
	return features;
}

/* Reading and writing may be on two threads at once. Where io_uring is refused it goes without. */
void port_tap_make_batches(struct tap_batch **reads, struct tap_batch **writes,
			   const struct tap *tap)
{
	if (tap_batch_create(reads, tap))
		*reads = NULL;
	if (!*reads || tap_batch_create(writes, tap))
		*writes = NULL;
}

struct taking_over {
	struct port_tap *tap;
	struct error *error;
};

/* In a call: goes on with the new one, unless another port of the switch is on it: that may have come while this one was gone. */
static int take_over(void *arg)
{
	const struct taking_over *taking = arg;
	struct port_tap *tap = taking->tap;
	struct link_place place;
	int rc = tap->port.removed ? -ESHUTDOWN : 0;

	if (!rc && tap_place(&tap->next, &place))
		rc = port_check_place(&tap->port, &place, taking->error);
	tap->taken = rc == -EBUSY;
	if (rc)
		return rc;
	rc = port_tap_watch(tap, &tap->next);
	if (rc)
		return error_set(taking->error, rc, "port %s: cannot watch TAP interface %s: %s",
				 tap->port.name, tap->name, error_name(rc));
	tap_batch_destroy(tap->reads);
	tap_batch_destroy(tap->writes);
	tap_close(&tap->tap);
	tap->tap = tap->next;
	tap->reads = steal_pointer(&tap->next_reads);
	tap->writes = steal_pointer(&tap->next_writes);
	tap->next.fd = -1;
	port_set_features(&tap->port, port_tap_features(&tap->tap));
	if (tap->port.over && tap->port.over->held_down)
		tap->port.ops->carrier(&tap->port, false);
	port_set_up(&tap->port, true);
	return 0;
}

static void let_go_of_next(struct port_tap *tap)
{
	tap_batch_destroy(steal_pointer(&tap->next_reads));
	tap_batch_destroy(steal_pointer(&tap->next_writes));
	tap_close(&tap->next);
}

/* One that is another port's is kept until that port goes: opened and closed at each look, it would have its carrier come and go under that one. */
static int try_it(struct port_tap *tap, struct error *error)
{
	struct taking_over taking = { tap, error };
	int rc;

	if (tap->next.fd < 0) {
		rc = tap_open(&tap->next, tap->name, &tap->options, error);
		if (rc) {
			error_prefix(error, "port %s", tap->port.name);
			return rc;
		}
		port_tap_make_batches(&tap->next_reads, &tap->next_writes, &tap->next);
	}
	rc = vswitch_call(tap->port.vswitch, take_over, &taking);
	if (rc && rc != -EBUSY)
		let_go_of_next(tap);
	return rc;
}

/* Sleeps; true: the port ends. */
static bool pause_or_stop(struct port_tap *tap)
{
	struct timespec until;
	bool stopping;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += LOOK_NS;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&tap->lock);
	while (!tap->stopping && !pthread_cond_timedwait(&tap->stop, &tap->lock, &until))
		;
	stopping = tap->stopping;
	pthread_mutex_unlock(&tap->lock);
	return stopping;
}

static void *look_for_it(void *arg)
{
	struct port_tap *tap = arg;
	struct error told = { 0 };

	while (!pause_or_stop(tap)) {
		struct error error = { 0 };
		int rc = try_it(tap, &error);

		if (!rc) {
			log_warning(tap->port.log, "port %s: TAP interface %s is there again",
				    tap->port.name, tap->name);
			break;
		}
		if (rc == -ENODEV || rc == -ESHUTDOWN || !strcmp(error.text, told.text))
			continue;
		log_warning(tap->port.log, "%s", error.text);
		told = error;
	}
	return NULL;
}

void port_tap_gone(struct port_tap *tap, int code)
{
	int rc;

	log_warning(tap->port.log, "port %s: TAP interface %s is gone: %s", tap->port.name,
		    tap->tap.name, error_name(code));
	port_tap_unwatch(tap);
	port_set_up(&tap->port, false);
	/* The last one that looked has handed over, and has nothing more to do. */
	if (tap->looking)
		pthread_join(tap->thread, NULL);
	rc = pthread_create(&tap->thread, NULL, look_for_it, tap);
	tap->looking = !rc;
	if (rc)
		log_warning(tap->port.log, "port %s: nobody looks for it: %s", tap->port.name,
			    error_name(rc));
}

void port_tap_again_begin(struct port_tap *tap)
{
	pthread_condattr_t attributes;

	pthread_mutex_init(&tap->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&tap->stop, &attributes);
	pthread_condattr_destroy(&attributes);
}

void port_tap_again_end(struct port_tap *tap)
{
	pthread_mutex_lock(&tap->lock);
	tap->stopping = true;
	pthread_cond_signal(&tap->stop);
	pthread_mutex_unlock(&tap->lock);
	if (tap->looking)
		pthread_join(tap->thread, NULL);
	let_go_of_next(tap);
	pthread_cond_destroy(&tap->stop);
	pthread_mutex_destroy(&tap->lock);
}
