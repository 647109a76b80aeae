/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What commands ask the owner of an array, at its control socket (serve_control.c): methods that find it, and carry
 * out at its home what is asked.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "tools/describe.h"
#include "tools/device_look.h"
#include "tools/raid.h"
#include "tools/serve_array_call.h"
#include "volume/volume_raid.h"

#define WAIT_NS (250 * 1000 * 1000ull)

/* The path of the device that a client means: it sees paths as describe_text() writes them. The caller frees it. */
static int device_param(struct serve *serve, json_t *params, const char *key, char **device,
			struct error *error)
{
	const char *given;
	int rc = rpc_param_string(params, key, &given, error);

	for (unsigned i = 0; !rc && !*device && i < serve->owned.count; i++) {
		json_t *shown = describe_text(serve->owned.paths[i]);

		if (shown && !strcmp(json_string_value(shown), given))
			*device = strdup(serve->owned.paths[i]);
		json_decref(shown);
	}
	/* Or it is one of ours under another name: the loop device over an image. */
	if (!rc && !*device)
		*device = devices_find_same(serve->owned.paths, serve->owned.count, given);
	if (!rc && !*device)
		*device = strdup(given);
	return rc || *device ? rc : -ENOMEM;
}

/* The array of a volume that is in use. */
static int check_volume_runs(struct array_call *call)
{
	const struct volume_lv *lv = volume_group_get_lv(call->group, call->volume);

	call->array = lv ? volume_lv_array(lv) : NULL;
	if (call->array)
		return 0;
	if (!lv)
		return error_set(call->error, -ENOENT, "%s/%s: no such volume", call->group->name,
				 call->volume);
	if (!volume_lv_is_raid(lv))
		return error_set(call->error, -EOPNOTSUPP, "%s/%s: its type is %s, no array",
				 call->group->name, lv->name, volume_lv_type(lv));
	return error_set(call->error, -EBUSY,
			 "%s/%s: the server has its volume group, but does not serve it",
			 call->group->name, lv->name);
}

/* The array that the method names runs. At home. */
static int check_runs(struct array_call *call)
{
	struct stack_array *found = call->found;

	if (call->group)
		return check_volume_runs(call);
	call->array = found->raid;
	if (call->array)
		return 0;
	if (!found->wanted) {
		error_set(call->error, -EBUSY,
			  "%s: does not run: a server has some of what it lies on",
			  json_string_value(json_object_get(call->params, "name")));
		return error_advise(call->error, "end that server (`tenon status`), or have it "
						 "serve this one");
	}
	error_set(call->error, -EINVAL, "%s",
		  found->problem ? found->problem : "the array cannot be assembled");
	if (found->advice)
		error_advise(call->error, "%s", found->advice);
	return -EINVAL;
}

static int array_call_run(void *arg)
{
	struct array_call *call = arg;
	int rc = check_runs(call);

	return rc ? rc : call->fn(call);
}

static int find_volume(struct array_call *call, const char *name)
{
	CLEANUP_FREE char *vg = strndup(name, strcspn(name, "/"));

	call->volume = strchr(name, '/') + 1;
	return vg ? serve_find_group(call->serve, vg, &call->home, &call->group, call->error)
		  : -ENOMEM;
}

int array_call_find(struct array_call *call, bool with_device)
{
	const char *name;
	int rc = rpc_param_string(call->params, "name", &name, call->error);

	/* A volume's, VG/LV. */
	if (!rc && strchr(name, '/') && strncmp(name, "md/", 3) != 0)
		return find_volume(call, name);
	if (!rc)
		rc = serve_find_array(call->serve, name, &call->home, &call->found, call->error);
	if (!rc && with_device)
		rc = device_param(call->serve, call->params, "device", &call->device, call->error);
	return rc;
}

int array_call_device(struct array_call *call, const char *key, char **device)
{
	return device_param(call->serve, call->params, key, device, call->error);
}

static int show_array(struct array_call *call)
{
	*call->result = describe_array(call->array, false);
	return 0;
}

/* Of a home, at home. */
struct array_rows {
	const struct stack *stack;
	json_t *rows;
};

static int list_arrays(void *arg)
{
	struct array_rows *list = arg;
	const struct stack *stack = list->stack;

	for (unsigned i = 0; i < stack->array_count; i++) {
		const struct stack_array *array = &stack->arrays[i];
		json_t *row, *devices;

		if (!array->wanted)
			continue;
		row = array->raid ? describe_array_row(array->raid, false)
				  : describe_broken_array(&array->md, array->problem);
		devices = json_array();
		for (unsigned k = 0; k < stack->node_count; k++)
			if (stack->nodes[k].array == (int)i && stack->nodes[k].is_member)
				json_array_append_new(devices, describe_text(stack->nodes[k].name));
		json_object_set_new(row, "member_devices", devices);
		json_array_append_new(list->rows, row);
	}
	return 0;
}

int serve_raid_list(void *context, json_t *params, json_t **result, struct error *error)
{
	struct serve *serve = context;
	json_t *rows = json_array();

	(void)params, (void)error;
	for (unsigned i = 0; i < serve->home_count; i++) {
		struct array_rows list = { serve->homes[i].stack, rows };

		if (list.stack)
			serve_call(&serve->homes[i], list_arrays, &list);
	}
	*result = rows;
	return 0;
}

static int fail_member(struct array_call *call)
{
	return call->force ? raid_fail_anyway(call->array, call->device, call->error)
			   : raid_fail(call->array, call->device, call->error);
}

void array_call_forget(const struct array_call *call, const char *device)
{
	struct stack *stack = call->home->stack;

	for (unsigned i = 0; i < stack->node_count; i++) {
		struct stack_node *node = &stack->nodes[i];

		if (node->block && !node->raid && !strcmp(node->name, device)) {
			block_unref(steal_pointer(&node->block));
			node->is_member = false;
		}
	}
}

static int remove_member(struct array_call *call)
{
	bool held = raid_open_device(call->home->stack, call->device) != NULL;
	int rc = raid_remove(call->array, call->device, call->error);

	/* One that was removed before is no member; but this server still had it open. */
	if (rc == -ENOENT && held) {
		*call->error = (struct error){ 0 };
		rc = 0;
	}
	if (rc)
		return rc;
	array_call_forget(call, call->device);
	return 0;
}

int array_call_check_served(const struct array_call *call, const char *device)
{
	const struct export *export =
		stack_names_array(device) ? export_find(call->serve, device) : NULL;

	if (!export || export->problem)
		return 0;
	error_set(call->error, -EBUSY, "%s: this server serves it, and whoever has it writes to it",
		  device);
	return error_advise(call->error, "end the server, and add it then");
}

/* Those that came while the server ran are not in the stack. */
static int find_open(struct array_call *call)
{
	const char *device = call->with ? call->with : call->device;
	struct block *open = raid_open_device(call->home->stack, device);

	if (!open)
		open = raid_open_array(call->home->stack, call->array, device);
	if (!open)
		open = raid_member_block(call->array, device);
	if (open)
		call->block = block_ref(open);
	return 0;
}

/* At home, where the block ends too: the array may have stopped since the device was looked for. */
static int add_member(void *arg)
{
	struct array_call *call = arg;
	CLEANUP_BLOCK struct block *block = steal_pointer(&call->block);
	int rc;

	block_move(block);
	rc = check_runs(call);
	if (!rc)
		rc = raid_check_member(call->home->stack, call->array, block, call->force,
				       call->error);
	if (rc)
		return rc;
	if (call->journal)
		return raid_add_journal(call->array, block, call->force, call->error);
	return call->back    ? raid_add_back(call->array, block, call->error)
	       : call->force ? raid_add_over(call->array, block, call->error)
			     : raid_add(call->array, block, call->error);
}

static int replace_by_spare(struct array_call *call)
{
	return raid_replace(call->array, call->device, NULL, call->error);
}

/* At home, as add_member(). */
static int replace_with(void *arg)
{
	struct array_call *call = arg;
	CLEANUP_BLOCK struct block *block = steal_pointer(&call->block);
	int rc;

	block_move(block);
	rc = check_runs(call);
	if (!rc)
		rc = raid_check_member(call->home->stack, call->array, block, call->force,
				       call->error);
	return rc ? rc
		  : raid_replace_with(call->array, call->device, block, call->force, call->error);
}

static int check_array(struct array_call *call)
{
	return call->repair && call->force
		       ? raid_repair_anyway(call->array, call->error)
		       : raid_scrub_start(call->array, call->repair, call->error);
}

static bool stop_waiting(const struct raid_progress *progress, void *arg)
{
	(void)progress, (void)arg;
	return false;
}

static int wait_array(struct array_call *call)
{
	struct raid_status status;
	int waited = raid_rebuild_wait(call->array, stop_waiting, NULL, WAIT_NS, call->error);

	if (waited && waited != -ECANCELED)
		return waited;
	raid_status(call->array, &status);
	*call->result =
		json_pack("{s:b, s:I, s:b, s:i, s:I, s:I, s:o}", "done", !waited, "left",
			  (json_int_t)raid_progress_left(&status.progress), "degraded",
			  status.degraded, "level", status.level, "working",
			  (json_int_t)status.working, "places", (json_int_t)status.raid_disks,
			  "progress", describe_progress(&status));
	raid_status_free(&status);
	return 0;
}

int array_call_do(struct array_call *call, int (*fn)(struct array_call *call))
{
	call->fn = fn;
	return serve_call(call->home, array_call_run, call);
}

int serve_raid_show(void *context, json_t *params, json_t **result, struct error *error)
{
	struct array_call call = {
		.serve = context, .params = params, .result = result, .error = error
	};
	int rc = array_call_find(&call, false);

	return rc ? rc : array_call_do(&call, show_array);
}

int serve_raid_fail(void *context, json_t *params, json_t **result, struct error *error)
{
	struct array_call call = { .serve = context, .params = params, .error = error };
	int rc = array_call_find(&call, true);

	(void)result;
	call.force = json_is_true(json_object_get(params, "force"));
	if (!rc)
		rc = array_call_do(&call, fail_member);
	free(call.device);
	return rc;
}

int serve_raid_remove(void *context, json_t *params, json_t **result, struct error *error)
{
	struct array_call call = { .serve = context, .params = params, .error = error };
	int rc = array_call_find(&call, true);

	(void)result;
	if (!rc)
		rc = array_call_do(&call, remove_member);
	if (!rc)
		device_list_remove(&call.serve->owned, call.device);
	free(call.device);
	return rc;
}

/* It is a member by now: what is not known of it is just that it is ours. Whether this server would find it again is told. */
static void note_added(struct serve *serve, const char *device, json_t **result)
{
	if (!stack_names_array(device) && device_list_add(&serve->owned, device))
		log_warning(&serve->log, "%s: added, but out of memory to list it as this server's",
			    device);
	*result = json_pack("{s:b}", "listed", raid_is_listed(serve->given, device));
}

/* Opening a device may take long: it is done here, and handed over. */
int serve_raid_add(void *context, json_t *params, json_t **result, struct error *error)
{
	struct serve *serve = context;
	struct array_call call = { .serve = serve, .params = params, .error = error };
	int rc = array_call_find(&call, true);

	call.force = json_is_true(json_object_get(params, "force"));
	call.back = json_is_true(json_object_get(params, "back"));
	call.journal = json_is_true(json_object_get(params, "journal"));
	if (!rc && serve->read_only)
		rc = error_set(error, -EROFS, "%s: the server runs with --read-only", call.device);
	if (!rc)
		rc = array_call_check_served(&call, call.device);
	if (!rc)
		rc = array_call_do(&call, find_open);
	if (!rc && !call.block)
		rc = raid_open_new_member(call.device, &call.block, error);
	if (!rc)
		rc = serve_call(call.home, add_member, &call);
	if (!rc)
		note_added(serve, call.device, result);
	free(call.device);
	return rc;
}

int serve_raid_replace(void *context, json_t *params, json_t **result, struct error *error)
{
	struct serve *serve = context;
	struct array_call call = { .serve = serve, .params = params, .error = error };
	bool with = json_is_string(json_object_get(params, "with"));
	int rc = array_call_find(&call, true);

	call.force = json_is_true(json_object_get(params, "force"));
	if (!rc && serve->read_only)
		rc = error_set(error, -EROFS, "%s: the server runs with --read-only", call.device);
	if (!rc && with)
		rc = device_param(serve, params, "with", &call.with, error);
	if (!rc && with)
		rc = array_call_check_served(&call, call.with);
	if (!rc && with)
		rc = array_call_do(&call, find_open);
	if (!rc && with && !call.block)
		rc = raid_open_new_member(call.with, &call.block, error);
	if (!rc)
		rc = with ? serve_call(call.home, replace_with, &call)
			  : array_call_do(&call, replace_by_spare);
	if (!rc && with)
		note_added(serve, call.with, result);
	free(call.device);
	free(call.with);
	return rc;
}

int serve_raid_check(void *context, json_t *params, json_t **result, struct error *error)
{
	struct array_call call = { .serve = context, .params = params, .error = error };
	int rc = array_call_find(&call, false);

	(void)result;
	call.repair = json_is_true(json_object_get(params, "repair"));
	call.force = json_is_true(json_object_get(params, "force"));
	return rc ? rc : array_call_do(&call, check_array);
}

int serve_raid_wait(void *context, json_t *params, json_t **result, struct error *error)
{
	struct array_call call = {
		.serve = context, .params = params, .result = result, .error = error
	};
	int rc = array_call_find(&call, false);

	return rc ? rc : array_call_do(&call, wait_array);
}
