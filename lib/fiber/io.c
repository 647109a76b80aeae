/* SPDX-License-Identifier: BSD-2-Clause */
/* Disk I/O and poll on fibers: a request on the fiber's stack, and its wait. */
#include <errno.h>
#include <poll.h>

#include "fiber/worker_private.h"

#define LOOK_NS 10000000ULL

struct waiting_request {
	struct worker_request request;
	struct fiber *fiber;
	bool timed_out;
};

static void request_done(struct worker_request *request, int result)
{
	struct fiber *fiber = container_of(request, struct waiting_request, request)->fiber;

	/* Neither is to find the request, though the fiber does not run yet. */
	fiber->cancel_wait = NULL;
	timer_disarm(&fiber->worker->timers, &fiber->timer);
	fiber_wake(fiber, result);
}

static int run(struct worker_request *request)
{
	struct waiting_request waiting = { .request = *request, .fiber = fiber_current() };

	waiting.request.done = request_done;
	worker_submit(waiting.fiber->worker, &waiting.request);
	return fiber_suspend(waiting.fiber);
}

ssize_t fiber_preadv(int fd, const struct iovec *iov, unsigned count, uint64_t offset)
{
	return run(&(struct worker_request){
		.type = WORKER_READ, .fd = fd, .iov = iov, .count = count, .offset = offset });
}

ssize_t fiber_pwritev(int fd, const struct iovec *iov, unsigned count, uint64_t offset,
		      int rwf_flags)
{
	return run(&(struct worker_request){ .type = WORKER_WRITE,
					     .fd = fd,
					     .flags = rwf_flags,
					     .iov = iov,
					     .count = count,
					     .offset = offset });
}

int fiber_fdatasync(int fd)
{
	return run(&(struct worker_request){ .type = WORKER_FDATASYNC, .fd = fd });
}

int fiber_fallocate(int fd, int mode, uint64_t offset, uint64_t length)
{
	return run(&(struct worker_request){ .type = WORKER_FALLOCATE,
					     .fd = fd,
					     .flags = mode,
					     .offset = offset,
					     .length = length });
}

/* Neither ends the wait itself: the kernel still knows the request. */
static void poll_cancelled(struct fiber *fiber)
{
	worker_cancel(fiber->worker, fiber->request);
}

static void poll_expired(struct timer *timer)
{
	struct fiber *fiber = container_of(timer, struct fiber, timer);

	container_of(fiber->request, struct waiting_request, request)->timed_out = true;
	worker_cancel(fiber->worker, fiber->request);
}

static int poll_now(int fd, short events)
{
	struct pollfd pollfd = { .fd = fd, .events = events };
	int ready = poll(&pollfd, 1, 0);

	if (ready < 0)
		return -errno;
	return ready ? pollfd.revents : -ETIMEDOUT;
}

/* The engine has no room for another poll: looks from time to time. */
static int poll_by_looking(int fd, short events, uint64_t until)
{
	struct worker *worker = fiber_current()->worker;

	for (;;) {
		uint64_t now = worker_clock(worker);
		int rc = poll_now(fd, events);

		if (rc != -ETIMEDOUT || now >= until)
			return rc;
		rc = fiber_sleep(MIN(LOOK_NS, until - now));
		if (rc)
			return rc;
	}
}

/* Who comes late to a time limit, having been stopped or had no processor, finds there what came in time. */
static int result_of_poll(const struct waiting_request *waiting, int result)
{
	return result == -ECANCELED && waiting->timed_out
		       ? poll_now(waiting->request.fd, (short)waiting->request.flags)
		       : result;
}

int fiber_poll(int fd, short events, uint64_t timeout_ns)
{
	struct fiber *fiber = fiber_current();
	struct worker *worker = fiber->worker;
	struct waiting_request waiting = {
		.request = { .type = WORKER_POLL,
			     .fd = fd,
			     .flags = (unsigned short)events,
			     .done = request_done },
		.fiber = fiber,
	};
	uint64_t when;
	int result;

	if (fiber->cancelled)
		return -ECANCELED;
	if (!timeout_ns)
		return poll_now(fd, events);
	if (timeout_ns == FIBER_FOREVER ||
	    __builtin_add_overflow(worker_clock(worker), timeout_ns, &when))
		when = FIBER_FOREVER;
	if (when != FIBER_FOREVER) {
		fiber->timer.expire = poll_expired;
		timer_arm(&worker->timers, &fiber->timer, when);
	}
	fiber->request = &waiting.request;
	fiber->cancel_wait = poll_cancelled;
	worker_submit(worker, &waiting.request);
	result = fiber_suspend(fiber);
	if (fiber->cancelled)
		return -ECANCELED;
	if (result == -EAGAIN)
		return poll_by_looking(fd, events, when);
	return result_of_poll(&waiting, result);
}

int fiber_poll_until(int fd, short events, uint64_t until)
{
	uint64_t now = worker_now(), left = until > now ? until - now : 0;

	return fiber_poll(fd, events, until == FIBER_FOREVER ? until : left);
}
