/* SPDX-License-Identifier: BSD-2-Clause */
/* Workers come and go. */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fiber/worker_private.h"
#include "util/error.h"

#define POLL_NS_DEFAULT                                                                            \
	100000 /* three times what the wake of an idle thread costs: less than two
				* do not pay back a wake on each side and the work between them */

static int create_engine(struct worker *worker, enum worker_engine choice, struct error *error)
{
	const char *name = choice == WORKER_ENGINE_AUTO ? getenv("TENON_ENGINE") : NULL;
	int rc = 0, refused;

	if (name && !strcmp(name, "uring"))
		choice = WORKER_ENGINE_URING;
	else if (name && !strcmp(name, "aio"))
		choice = WORKER_ENGINE_AIO;
	else if (name && *name)
		return error_set(error, -EINVAL,
				 "environment: TENON_ENGINE is '%s', expected 'uring' or 'aio'",
				 name);
	if (choice != WORKER_ENGINE_AIO) {
		worker->engine = &engine_uring;
		rc = worker->engine->create(worker, error);
		if (!rc)
			return 0;
		if (choice == WORKER_ENGINE_URING) {
			error_advise(error, "TENON_ENGINE=aio works without io_uring");
			return rc;
		}
	}
	worker->engine = &engine_aio;
	if (choice == WORKER_ENGINE_AIO)
		return worker->engine->create(worker, error);
	refused = rc;
	rc = worker->engine->create(worker, error);
	if (rc)
		error_prefix(error, "io_uring: %s; and", error_name(refused));
	return rc;
}

int worker_create(struct worker **out, const struct worker_options *options, struct error *error)
{
	static const struct worker_options defaults;
	struct worker *worker = aligned_alloc(64, round_up(sizeof(*worker), 64));
	int rc;

	if (!worker)
		return error_set(error, -ENOMEM, "worker: no memory");
	if (!options)
		options = &defaults;
	memset(worker, 0, sizeof(*worker));
	list_init(&worker->ready);
	list_init(&worker->pollers);
	list_init(&worker->cold);
	list_init(&worker->watches);
	stack_pool_init(&worker->stacks);
	worker->virtual_clock = options->virtual_clock;
	worker->virtual_now = NS_PER_SECOND;
	worker->random.state = options->seed ? options->seed : random_seed_from_system();
	worker->polling.most = options->poll_ns ? options->poll_ns : POLL_NS_DEFAULT;
	worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (worker->wake_fd < 0) {
		rc = error_set(error, -errno, "worker: eventfd(): %s", error_name(errno));
		free(worker);
		return rc;
	}
	rc = create_engine(worker, options->engine, error);
	if (rc) {
		close(worker->wake_fd);
		free(worker);
		return rc;
	}
	worker->wake = watch_create(worker, worker->wake_fd);
	*out = worker;
	return 0;
}

void worker_destroy(struct worker *worker)
{
	if (!worker)
		return;
	while (atomic_load(&worker->senders))
		sched_yield();
	worker->engine->destroy(worker);
	watch_ring_ended(worker, true);
	worker_drop_messages(worker);
	stack_pool_destroy(&worker->stacks);
	timer_heap_destroy(&worker->timers);
	free(worker->pins.regions);
	close(worker->wake_fd);
	free(worker);
}
