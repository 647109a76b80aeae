/* Pollers, and the descriptors whose readability wakes a sleeping worker. */
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

int worker_add_poller(struct worker_poller *poller)
{
	struct worker *worker = worker_self;

	poller->watch = poller->fd >= 0 ? watch_create(worker, poller->fd) : NULL;
	list_add_tail(&worker->pollers, &poller->node);
	return 0;
}

void worker_remove_poller(struct worker_poller *poller)
{
	struct worker *worker = worker_self;

	if (worker->poller_next == &poller->node)
		worker->poller_next = poller->node.next;
	list_remove(&poller->node);
	if (poller->watch)
		watch_destroy(poller->watch);
	poller->watch = NULL;
}

unsigned poller_poll_all(struct worker *worker)
{
	struct list *at = worker->pollers.next;
	unsigned found = 0;

	while (at != &worker->pollers) {
		struct worker_poller *poller = list_entry(at, struct worker_poller, node);

		/* Any poller may be removed meanwhile. */
		worker->poller_next = at->next;
		found += poller->poll(poller);
		at = worker->poller_next;
	}
	worker->poller_next = NULL;
	return found;
}

static void disarm_until(struct worker *worker, const struct list *end)
{
	for (struct list *at = worker->pollers.next; at != end; at = at->next) {
		struct worker_poller *poller = list_entry(at, struct worker_poller, node);

		if (poller->disarm)
			poller->disarm(poller);
	}
}

bool poller_arm_all(struct worker *worker)
{
	list_for_each(at, &worker->pollers) {
		struct worker_poller *poller = list_entry(at, struct worker_poller, node);

		if (poller->watch)
			watch_arm(poller->watch);
		if (poller->arm(poller)) {
			disarm_until(worker, at->next);
			return false;
		}
	}
	return true;
}

void poller_disarm_all(struct worker *worker)
{
	disarm_until(worker, &worker->pollers);
}
