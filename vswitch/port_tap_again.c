/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An interface that was deleted; see port_tap.h. A thread of the port's own looks for one of that name, three times a second, attaches to it, and
 * hands it over; for what it does may wait in the kernel. While it runs, it alone touches `next`, and the forwarding threads `tap`.
 */
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"
#include "vswitch/internal.h"
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

/* In a call: goes on with the new one. */
static int take_over(void *arg)
{
	struct port_tap *tap = arg;
	int rc = tap->port.removed ? -ESHUTDOWN : port_tap_watch(tap, &tap->next);

	if (rc)
		return rc;
	tap_batch_destroy(tap->reads);
	tap_batch_destroy(tap->writes);
	tap_close(&tap->tap);
	tap->tap = tap->next;
	tap->reads = steal_pointer(&tap->next_reads);
	tap->writes = steal_pointer(&tap->next_writes);
	tap->next.fd = -1;
	port_set_features(&tap->port, port_tap_features(&tap->tap));
	port_set_up(&tap->port, true);
	return 0;
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
	const char *name = tap->name;
	bool told = false;

	while (!pause_or_stop(tap)) {
		struct error error = { 0 };
		int rc = tap_open(&tap->next, name, &tap->options, &error);

		if (!rc) {
			port_tap_make_batches(&tap->next_reads, &tap->next_writes, &tap->next);
			rc = vswitch_call(tap->port.vswitch, take_over, tap);
			if (!rc) {
				log_warning(tap->port.log,
					    "port %s: TAP interface %s is there again",
					    tap->port.name, name);
				break;
			}
			tap_batch_destroy(steal_pointer(&tap->next_reads));
			tap_batch_destroy(steal_pointer(&tap->next_writes));
			tap_close(&tap->next);
			error_set(&error, rc, "cannot watch it: %s", error_name(rc));
		}
		if (rc != -ENODEV && !told)
			log_warning(tap->port.log, "port %s: %s", tap->port.name, error.text);
		told |= rc != -ENODEV;
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
	pthread_cond_destroy(&tap->stop);
	pthread_mutex_destroy(&tap->lock);
}
