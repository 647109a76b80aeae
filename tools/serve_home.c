/* SPDX-License-Identifier: BSD-2-Clause */
/* The data workers of a storage server, and what is at home on each; see serve.h. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/serve.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/number.h"
#include "virtio/vhost_user_blk.h"

#define DEFAULT_MOST 4

uint64_t serve_default_workers(void)
{
	const char *given = getenv("TENON_WORKERS");
	uint64_t count;
	cpu_set_t set;

	if (given && *given)
		return number_parse(given, 1, SERVE_WORKERS_MAX, &count, NULL) ? 0 : count;
	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	return MIN((uint64_t)CPU_COUNT(&set), (uint64_t)DEFAULT_MOST);
}

/* ---- Beginning and end ---- */

/* Keeps the worker there while nothing runs on it. */
static int live(void *arg)
{
	struct serve_home *home = arg;

	while (!home->ending)
		fiber_queue_wait_always(&home->end);
	return 0;
}

struct beginning {
	struct serve_home *home;
	struct error *error;
};

static int begin_home(void *arg)
{
	struct beginning *beginning = arg;

	return vhost_user_blk_acceptor_start(&beginning->home->acceptor, beginning->error);
}

int serve_homes_start(struct serve *serve, unsigned count, struct error *error)
{
	int rc = 0;

	while (!rc && serve->home_count < count) {
		struct serve_home *home = &serve->homes[serve->home_count];
		char name[16];

		fiber_queue_init(&home->end);
		rc = worker_create(&home->worker, NULL, error);
		if (rc)
			break;
		snprintf(name, sizeof(name), "data-%u", serve->home_count % SERVE_WORKERS_MAX);
		rc = worker_start(home->worker, name, live, home);
		if (rc) {
			worker_destroy(home->worker);
			return error_set(error, rc, "data worker %u: no thread: %s",
					 serve->home_count, error_name(rc));
		}
		serve->queue_workers[serve->home_count++] = home->worker;
		rc = serve_call(home, begin_home, &(struct beginning){ home, error });
	}
	return rc;
}

static int close_home(void *arg)
{
	struct serve_home *home = arg;

	home->close_rc = stack_close(steal_pointer(&home->stack), &home->close_error);
	return 0;
}

static int end_home(void *arg)
{
	struct serve_home *home = arg;

	vhost_user_blk_acceptor_stop(steal_pointer(&home->acceptor));
	home->ending = true;
	fiber_queue_wake_all(&home->end);
	return 0;
}

static int call_close_home(void *arg)
{
	struct serve_home *home = arg;

	export_stop_all(home->serve, home);
	return serve_call(home, close_home, home);
}

int serve_homes_end(struct serve *serve, int rc, struct error *error)
{
	for (unsigned i = 0; i < serve->home_count; i++) {
		serve->homes[i].serve = serve;
		serve->homes[i].closer = fiber_spawn(call_close_home, &serve->homes[i]);
	}
	for (unsigned i = 0; i < serve->home_count; i++) {
		const struct serve_home *home = &serve->homes[i];

		fiber_join(home->closer);
		if (rc || !home->close_rc)
			continue;
		rc = home->close_rc;
		if (error)
			*error = home->close_error;
	}
	export_stop_all(serve, NULL);
	/* Nothing is left on them that could wait for a disk, nor queues of disks that are at home elsewhere. */
	for (unsigned i = 0; i < serve->home_count; i++) {
		serve_call(&serve->homes[i], end_home, &serve->homes[i]);
		worker_join(serve->homes[i].worker);
		worker_destroy(serve->homes[i].worker);
	}
	serve->home_count = 0;
	return rc;
}
