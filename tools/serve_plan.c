/* SPDX-License-Identifier: BSD-2-Clause */
/* What a change of an array would do, asked of its owner: `raid.plan`; see raid_plan.h. */
#include <errno.h>
#include <stdlib.h>

#include "block/block.h"
#include "tools/raid.h"
#include "tools/raid_plan.h"
#include "tools/serve_array_call.h"

struct planning_call {
	struct array_call call;
	struct raid_plan plan;
};

static int find_open(struct array_call *call)
{
	struct planning_call *planning = container_of(call, struct planning_call, call);
	const char *device = raid_plan_adds(&planning->plan);
	struct block *open = raid_open_device(call->home->stack, device);

	if (!open)
		open = raid_open_array(call->home->stack, call->array, device);
	call->block = open ? block_ref(open) : NULL;
	return 0;
}

/* At home, where the block ends too. */
static int make_plan(struct array_call *call)
{
	struct planning_call *planning = container_of(call, struct planning_call, call);
	CLEANUP_BLOCK struct block *block = steal_pointer(&call->block);
	int rc = 0;

	if (block) {
		block_move(block);
		rc = raid_check_unused(call->home->stack, call->array, block, call->error);
	}
	planning->plan.array = call->array;
	planning->plan.block = block;
	return rc ? rc : raid_plan_make(&planning->plan, call->error);
}

int serve_raid_plan(void *context, json_t *params, json_t **result, struct error *error)
{
	struct planning_call planning = {
		.call = { .serve = context, .params = params, .error = error },
		.plan = { .force = json_is_true(json_object_get(params, "force")),
			  .back = json_is_true(json_object_get(params, "back")),
			  .journal = json_is_true(json_object_get(params, "journal")),
			  .lines = json_array() }
	};
	struct array_call *call = &planning.call;
	struct raid_plan *plan = &planning.plan;
	int rc = rpc_param_string(params, "method", &plan->method, error);

	if (!rc)
		rc = array_call_find(call, json_object_get(params, "device") != NULL);
	if (!rc && json_object_get(params, "with"))
		rc = array_call_device(call, "with", &call->with);
	plan->device = call->device;
	plan->with = call->with;
	if (!rc && call->serve->read_only)
		rc = error_set(error, -EROFS, "the server runs with --read-only");
	if (!rc && raid_plan_adds(plan)) {
		rc = array_call_check_served(call, raid_plan_adds(plan));
		if (!rc)
			rc = array_call_do(call, find_open);
		if (!rc && !call->block)
			rc = raid_plan_open(raid_plan_adds(plan), &call->block, error);
	}
	if (!rc)
		rc = array_call_do(call, make_plan);
	if (!rc)
		*result = json_pack("{s:O}", "lines", plan->lines);
	json_decref(plan->lines);
	free(call->device);
	free(call->with);
	return rc;
}
