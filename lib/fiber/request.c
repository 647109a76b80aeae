/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests on their way to the ring and back; virtual time stands still meanwhile. */
#include "fiber/worker_private.h"

void worker_submit(struct worker *worker, struct worker_request *request)
{
	worker->counters.submitted++;
	worker->in_flight += request->type != WORKER_POLL;
	worker->engine->submit(worker, request);
}

uint64_t worker_round(const struct worker *worker)
{
	return worker->round;
}

void worker_cancel(struct worker *worker, struct worker_request *request)
{
	if (request->ending)
		return;
	request->ending = true;
	worker->in_flight++;
	worker->engine->cancel(worker, request);
}

void worker_complete(struct worker *worker, struct worker_request *request, int result)
{
	worker->in_flight -= request->type != WORKER_POLL || request->ending;
	request->done(request, result);
}
