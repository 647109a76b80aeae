/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moves of extents in a storage server (move.h): begun by commands, or found half done when it starts. A mover is a fiber of the group's
 * home. The control worker reads a group under `changing`, so what the mover commits is done in a turn of that: on a fiber of
 * the control worker, which takes the mutex and calls the home.
 */
#include <errno.h>
#include <stdlib.h>

#include "tools/describe.h"
#include "tools/lv_change.h"
#include "tools/move.h"
#include "tools/serve.h"
#include "util/error.h"

#define WAIT_NS (250 * 1000 * 1000ull)

/* ---- Turns ---- */

/* One step of a mover, called from home. */
struct serve_turn {
	struct serve *serve;
	struct worker *home;
	fiber_fn *fn;
	void *arg;
};

/* On the control worker. */
static int with_changing(void *arg)
{
	const struct serve_turn *turn = arg;
	int rc;

	fiber_mutex_lock(&turn->serve->changing);
	rc = worker_call(turn->home, turn->fn, turn->arg);
	fiber_mutex_unlock(&turn->serve->changing);
	return rc;
}

static int in_turn(void *arg, int (*fn)(void *fn_arg), void *fn_arg)
{
	struct serve *serve = arg;
	struct serve_turn turn = { serve, worker_current(), fn, fn_arg };

	return worker_call(serve->control_worker, with_changing, &turn);
}

/* ---- At home ---- */

struct move_call {
	struct serve *serve;
	struct serve_home *home;
	struct volume_group *group;
	json_t *params; /* NULL: the server starts, and goes on with what is there */
	json_t *news, *notes, *result;
	bool begin;
	struct error *error;
};

static int start_at_home(void *arg)
{
	struct move_call *call = arg;
	struct volume_move_run options = move_run_options(call->params);
	struct volume_move_status status;
	CLEANUP_VOLUME_COMMAND struct volume_command command = { 0 };
	json_t *unmarked;
	int rc;

	if (call->params)
		volume_command_begin(&command, call->group, move_command_text(call->params));
	unmarked = serve_unmarked(call->group);
	rc = call->begin ? move_begin(call->group, call->params, call->news, call->error) : 0;
	if (!rc && call->begin) {
		call->notes = lv_change_notes(call->group);
		serve_tell_marked(unmarked, call->group, call->notes);
	}
	json_decref(unmarked);

	options.in_turn = in_turn;
	options.arg = call->serve;
	if (rc)
		return rc;
	volume_move_status(call->group, &status);
	if (!status.half_done && !call->params)
		return 0;
	if (!status.half_done)
		return error_set(call->error, -ENOENT, "volume group %s: no move is half done",
				 call->group->name);
	return volume_move_start(call->group, &options, call->error);
}

static int stop_at_home(void *arg)
{
	const struct move_call *call = arg;

	volume_move_stop(call->group);
	return 0;
}

static int abort_at_home(void *arg)
{
	const struct move_call *call = arg;
	CLEANUP_VOLUME_COMMAND struct volume_command command = { 0 };

	volume_command_begin(&command, call->group, move_command_text(call->params));
	return volume_move_abort(call->group, call->error);
}

static int wait_at_home(void *arg)
{
	struct move_call *call = arg;
	struct volume_move_status status;

	volume_move_pause(call->group, WAIT_NS);
	volume_move_status(call->group, &status);
	call->result = move_describe(call->group, &status);
	json_object_set_new(call->result, "done", json_boolean(!status.running));
	if (status.running || !status.rc)
		return 0;
	return error_set(call->error, status.rc, "%s", status.why);
}

static int describe_at_home(void *arg)
{
	struct move_call *call = arg;
	struct volume_move_status status;

	volume_move_status(call->group, &status);
	if (status.half_done)
		json_array_append_new(call->result, move_describe(call->group, &status));
	return 0;
}

/* ---- Methods ---- */

static int find(struct move_call *call)
{
	const char *name;
	int rc = rpc_param_string(call->params, "name", &name, call->error);

	if (!rc)
		rc = serve_find_group(call->serve, name, &call->home, &call->group, call->error);
	return rc;
}

static int start(struct move_call *call, json_t **result)
{
	int rc;

	fiber_mutex_lock(&call->serve->changing);
	call->news = json_array();
	rc = find(call);
	if (!rc && call->serve->read_only)
		rc = error_set(call->error, -EROFS, "%s: the server runs with --read-only",
			       call->group->name);
	if (!rc)
		rc = serve_call(call->home, start_at_home, call);
	fiber_mutex_unlock(&call->serve->changing);
	if (!rc)
		*result = json_pack("{s:O, s:O*}", "news", call->news, "notes", call->notes);
	json_decref(call->news);
	json_decref(call->notes);
	return rc;
}

int serve_pv_move(void *context, json_t *params, json_t **result, struct error *error)
{
	return start(
		&(struct move_call){
			.serve = context, .params = params, .begin = true, .error = error },
		result);
}

int serve_pv_move_resume(void *context, json_t *params, json_t **result, struct error *error)
{
	return start(&(struct move_call){ .serve = context, .params = params, .error = error },
		     result);
}

/* The mover is stopped first, which may wait for a turn of its own. */
int serve_pv_move_abort(void *context, json_t *params, json_t **result, struct error *error)
{
	struct move_call call = { .serve = context, .params = params, .error = error };
	int rc = find(&call);

	(void)result;
	if (!rc)
		rc = serve_call(call.home, stop_at_home, &call);
	if (rc)
		return rc;
	fiber_mutex_lock(&call.serve->changing);
	rc = find(&call);
	if (!rc)
		rc = serve_call(call.home, abort_at_home, &call);
	fiber_mutex_unlock(&call.serve->changing);
	return rc;
}

int serve_pv_move_wait(void *context, json_t *params, json_t **result, struct error *error)
{
	struct move_call call = { .serve = context, .params = params, .error = error };
	int rc = find(&call);

	if (!rc)
		rc = serve_call(call.home, wait_at_home, &call);
	if (rc)
		json_decref(call.result);
	else
		*result = call.result;
	return rc;
}

/* Calls `fn` at home for each group that is served. */
static void of_each_group(struct move_call *call, fiber_fn *fn)
{
	for (unsigned i = 0; i < call->serve->home_count; i++) {
		const struct stack *stack = call->serve->homes[i].stack;

		for (unsigned k = 0; stack && k < stack->scan->group_count; k++) {
			call->group = stack->scan->groups[k];
			serve_call(&call->serve->homes[i], fn, call);
		}
	}
}

int serve_pv_moves(void *context, json_t *params, json_t **result, struct error *error)
{
	struct move_call call = { .serve = context, .result = json_array() };

	(void)params, (void)error;
	of_each_group(&call, describe_at_home);
	*result = call.result;
	return 0;
}

static int resume_at_home(void *arg)
{
	struct move_call *call = arg;
	struct error error = { 0 };
	int rc;

	if (!volume_move_layer(call->group))
		return 0;
	call->error = &error;
	rc = start_at_home(call);
	if (rc)
		log_warning(&call->serve->log, "%s: its half-done move does not go on: %s",
			    call->group->name, error.text);
	call->error = NULL;
	return rc;
}

void serve_moves_start(struct serve *serve)
{
	struct move_call call = { .serve = serve };

	if (!serve->read_only)
		of_each_group(&call, resume_at_home);
}
