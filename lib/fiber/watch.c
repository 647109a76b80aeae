/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptors whose readability wakes a sleeping worker. */
#include <poll.h>
#include <stdlib.h>

#include "fiber/worker_private.h"
#include "util/event.h"

static void watch_done(struct worker_request *request, int result)
{
	struct watch *watch = container_of(request, struct watch, request);

	watch->armed = false;
	if (watch->removed) {
		list_remove(&watch->node);
		free(watch);
	} else if (result > 0) {
		/* So that the next poll waits for the next event. */
		watch->useless = event_take(watch->fd) < 0;
		if (watch->ready)
			watch->ready(watch);
	}
}

struct watch *watch_create(struct worker *worker, int fd)
{
	struct watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		abort();
	watch->worker = worker;
	watch->fd = fd;
	list_add_tail(&worker->watches, &watch->node);
	return watch;
}

void watch_arm(struct watch *watch)
{
	if (watch->armed || watch->useless)
		return;
	watch->armed = true;
	watch->request = (struct worker_request){ .type = WORKER_POLL,
						  .fd = watch->fd,
						  .flags = POLLIN,
						  .must = true,
						  .done = watch_done };
	worker_submit(watch->worker, &watch->request);
}

void watch_destroy(struct watch *watch)
{
	if (watch->armed) {
		watch->removed = true;
		worker_cancel(watch->worker, &watch->request);
		return;
	}
	list_remove(&watch->node);
	free(watch);
}

void watch_ring_ended(struct worker *worker, bool all)
{
	list_for_each_safe(at, &worker->watches) {
		struct watch *watch = list_entry(at, struct watch, node);

		worker->in_flight -= watch->armed && watch->request.ending;
		watch->armed = false;
		if (all || watch->removed) {
			list_remove(at);
			free(watch);
		}
	}
}
