/* SPDX-License-Identifier: BSD-2-Clause */
/* Pollers on a ring that is full just when they are armed: it gives completions then, as io_uring's may. */
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fiber/fiber.h"
#include "fiber/worker_private.h"
#include "fiber_run.h"

#define SECOND 1000000000ULL

/* An engine over another, which keeps the watch of the first poller back and has it done when the second's comes. */
static struct full_ring {
	struct engine engine;
	const struct engine *real;
	int first, second; /* eventfds */
	struct worker_request *held;
} ring;

static void submit(struct worker *worker, struct worker_request *request)
{
	struct worker_request *held = ring.held;

	if (request->type == WORKER_POLL && request->fd == ring.first) {
		ring.held = request;
		return;
	}
	if (request->type == WORKER_POLL && request->fd == ring.second && held) {
		ring.held = NULL;
		eventfd_write(ring.first, 1);
		worker_complete(worker, held, POLLIN);
	}
	ring.real->submit(worker, request);
}

static void cancel(struct worker *worker, struct worker_request *request)
{
	if (request != ring.held) {
		ring.real->cancel(worker, request);
		return;
	}
	ring.held = NULL;
	worker_complete(worker, request, -ECANCELED);
}

struct watched {
	struct worker_poller poller;
	struct fiber_queue waiter;
	bool armed, found;
};

/* Finds something in the round after it was woken. */
static unsigned poll_it(struct worker_poller *poller)
{
	struct watched *watched = container_of(poller, struct watched, poller);

	if (!watched->armed || watched->found || watched->poller.idle)
		return 0;
	watched->found = true;
	fiber_queue_wake_all(&watched->waiter);
	return 1;
}

static bool arm(struct worker_poller *poller)
{
	(void)poller;
	return false;
}

static void disarm(struct worker_poller *poller)
{
	container_of(poller, struct watched, poller)->armed = true;
}

static int woken_while_armed(void *arg)
{
	struct watched first = { .found = false }, second = { .found = true };
	struct worker *worker = worker_current();

	(void)arg;
	ring.real = worker->engine;
	ring.engine = *ring.real;
	ring.engine.submit = submit;
	ring.engine.cancel = cancel;
	ring.first = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ring.second = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	worker->engine = &ring.engine;
	first.poller = (struct worker_poller){
		.fd = ring.first, .poll = poll_it, .arm = arm, .disarm = disarm
	};
	second.poller = first.poller;
	second.poller.fd = ring.second;
	fiber_queue_init(&first.waiter);
	worker_add_poller(&first.poller);
	worker_add_poller(&second.poller);
	CU_ASSERT_EQUAL(fiber_queue_wait(&first.waiter, 60 * SECOND), 0);
	worker_remove_poller(&first.poller);
	worker_remove_poller(&second.poller);
	worker->engine = ring.real;
	close(ring.first);
	close(ring.second);
	return 0;
}

static void test_what_is_woken_while_others_are_armed_is_polled(void)
{
	fiber_run_real(WORKER_ENGINE_AUTO, woken_while_armed, NULL);
	fiber_run_real(WORKER_ENGINE_AIO, woken_while_armed, NULL);
}

UNIT_MAIN("poller", UNIT(test_what_is_woken_while_others_are_armed_is_polled))
