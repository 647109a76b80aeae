/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket of a storage server: what commands ask the owner of an array or a group.
 *
 *	server.describe	{} -> devices, arrays, groups
 *	server.exports	{from} -> {exports, more}: those from that number on, a thousand at most
 *	raid.list	{} -> rows as `tenon raid list --json` has them, and in each "member_devices"
 *	raid.show	{name} -> as `tenon raid show --json`
 *	raid.fail, raid.remove, raid.add	{name, device, force}
 *	raid.check	{name, repair}: starts it
 *	raid.wait	{name} -> {done, progress}, after at most a quarter of a second
 *	lv.create, lv.remove, lv.rename, lv.resize	{name, ...}: see lv_change.h -> {problem, clients, notes}:
 *		why the volume is not served, or null; how many machines have it
 *	export.find	{name} -> {socket}
 *
 * Methods run on the control worker, and what they are about is done at its home (serve.h).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "tools/describe.h"
#include "tools/lv_change.h"
#include "tools/raid.h"
#include "tools/serve.h"
#include "util/bytes.h"

#define WAIT_NS (250 * 1000 * 1000ull)

/* The path of the device that a client means: it sees paths as describe_text() writes them. The caller frees it. */
static int device_param(struct serve *serve, json_t *params, char **device, struct error *error)
{
	const char *given;
	int rc = rpc_param_string(params, "device", &given, error);

	for (unsigned i = 0; !rc && !*device && i < serve->owned.count; i++) {
		json_t *shown = describe_text(serve->owned.paths[i]);

		if (shown && !strcmp(json_string_value(shown), given))
			*device = strdup(serve->owned.paths[i]);
		json_decref(shown);
	}
	if (!rc && !*device)
		*device = strdup(given);
	return rc || *device ? rc : -ENOMEM;
}

static int serve_describe(void *context, json_t *params, json_t **result, struct error *error)
{
	struct serve *serve = context;
	json_t *devices = json_array(), *arrays = json_array(), *groups = json_array();

	(void)params, (void)error;
	for (unsigned i = 0; i < serve->owned.count; i++)
		json_array_append_new(devices, describe_text(serve->owned.paths[i]));
	for (unsigned i = 0; i < serve->home_count; i++) {
		const struct stack *stack = serve->homes[i].stack;

		for (unsigned k = 0; stack && k < stack->array_count; k++)
			json_array_append_new(arrays, describe_name(stack->arrays[k].md.name));
		for (unsigned k = 0; stack && k < stack->scan->group_count; k++)
			json_array_append_new(groups, describe_text(stack->scan->groups[k]->name));
	}
	*result = json_pack("{s:o, s:o, s:o}", "devices", devices, "arrays", arrays, "groups",
			    groups);
	return 0;
}

/* A message has room for so many, whatever their names are. */
#define EXPORTS_AT_ONCE 1000

static int serve_exports(void *context, json_t *params, json_t **result, struct error *error)
{
	json_int_t from = json_integer_value(json_object_get(params, "from"));
	json_t *exports = json_array();
	int rc = export_describe(context, (size_t)MAX(from, 0), EXPORTS_AT_ONCE, exports);

	(void)error;
	if (rc) {
		json_decref(exports);
		return rc;
	}
	*result = json_pack("{s:o, s:b}", "exports", exports, "more",
			    json_array_size(exports) == EXPORTS_AT_ONCE);
	return 0;
}

/* ---- Arrays ---- */

/* A method about an array, done at home. */
struct array_call {
	int (*fn)(struct array_call *call);
	struct serve *serve;
	struct serve_home *home;
	struct stack_array *found;
	struct raid_array *array;
	json_t *params;
	char *device;
	bool force, repair;
	struct block *block; /* a device that is added */
	json_t **result;
	struct error *error;
};

/* The array that the method names runs. At home. */
static int check_runs(struct array_call *call)
{
	struct stack_array *found = call->found;

	call->array = found->raid;
	if (call->array)
		return 0;
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

static int find_array(struct array_call *call, bool with_device)
{
	const char *name;
	int rc = rpc_param_string(call->params, "name", &name, call->error);

	if (!rc)
		rc = serve_find_array(call->serve, name, &call->home, &call->found, call->error);
	if (!rc && with_device)
		rc = device_param(call->serve, call->params, &call->device, call->error);
	return rc;
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
		json_t *row = array->raid ? describe_array_row(array->raid, false)
					  : describe_broken_array(&array->md, array->problem);
		json_t *devices = json_array();

		for (unsigned k = 0; k < stack->node_count; k++)
			if (stack->nodes[k].array == (int)i && stack->nodes[k].is_member)
				json_array_append_new(devices, describe_text(stack->nodes[k].name));
		json_object_set_new(row, "member_devices", devices);
		json_array_append_new(list->rows, row);
	}
	return 0;
}

static int serve_raid_list(void *context, json_t *params, json_t **result, struct error *error)
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

static int remove_member(struct array_call *call)
{
	struct stack *stack = call->home->stack;
	bool held = raid_open_device(stack, call->device) != NULL;
	int rc = raid_remove(call->array, call->device, call->error);

	/* One that was removed before is no member; but this server still had it open. */
	if (rc == -ENOENT && held) {
		*call->error = (struct error){ 0 };
		rc = 0;
	}
	if (rc)
		return rc;
	/* The stack's own reference on it keeps the lock: give it up, so that it can be added again. */
	for (unsigned i = 0; i < stack->node_count; i++) {
		struct stack_node *node = &stack->nodes[i];

		if (node->block && !node->raid && !strcmp(node->name, call->device)) {
			block_unref(steal_pointer(&node->block));
			node->is_member = false;
		}
	}
	return 0;
}

static int find_open(struct array_call *call)
{
	struct block *open = raid_open_device(call->home->stack, call->device);

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
		rc = raid_check_member(call->array, block, call->force, call->error);
	if (rc)
		return rc;
	return call->force ? raid_add_over(call->array, block, call->error)
			   : raid_add(call->array, block, call->error);
}

static int check_array(struct array_call *call)
{
	return raid_scrub_start(call->array, call->repair, call->error);
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
	*call->result = json_pack("{s:b, s:b, s:o}", "done", !waited, "degraded", status.degraded,
				  "progress", describe_progress(&status.progress));
	raid_status_free(&status);
	return 0;
}

static int call_array(struct array_call *call, int (*fn)(struct array_call *call))
{
	call->fn = fn;
	return serve_call(call->home, array_call_run, call);
}

static int serve_raid_show(void *context, json_t *params, json_t **result, struct error *error)
{
	struct array_call call = {
		.serve = context, .params = params, .result = result, .error = error
	};
	int rc = find_array(&call, false);

	return rc ? rc : call_array(&call, show_array);
}

static int serve_raid_fail(void *context, json_t *params, json_t **result, struct error *error)
{
	struct array_call call = { .serve = context, .params = params, .error = error };
	int rc = find_array(&call, true);

	(void)result;
	call.force = json_is_true(json_object_get(params, "force"));
	if (!rc)
		rc = call_array(&call, fail_member);
	free(call.device);
	return rc;
}

static int serve_raid_remove(void *context, json_t *params, json_t **result, struct error *error)
{
	struct array_call call = { .serve = context, .params = params, .error = error };
	int rc = find_array(&call, true);

	(void)result;
	if (!rc)
		rc = call_array(&call, remove_member);
	if (!rc)
		device_list_remove(&call.serve->owned, call.device);
	free(call.device);
	return rc;
}

/* Opening a device may take long: it is done here, and handed over. */
static int serve_raid_add(void *context, json_t *params, json_t **result, struct error *error)
{
	struct serve *serve = context;
	struct array_call call = { .serve = serve, .params = params, .error = error };
	int rc = find_array(&call, true);

	(void)result;
	call.force = json_is_true(json_object_get(params, "force"));
	if (!rc && serve->read_only)
		rc = error_set(error, -EROFS, "%s: the server runs with --read-only", call.device);
	if (!rc)
		rc = call_array(&call, find_open);
	if (!rc && !call.block)
		rc = raid_open_new_member(call.device, &call.block, error);
	if (!rc)
		rc = serve_call(call.home, add_member, &call);
	/* It is a member by now: what is not known of it is just that it is ours. */
	if (!rc && device_list_add(&serve->owned, call.device))
		log_warning(&serve->log, "%s: added, but out of memory to list it as this server's",
			    call.device);
	free(call.device);
	return rc;
}

static int serve_raid_check(void *context, json_t *params, json_t **result, struct error *error)
{
	struct array_call call = { .serve = context, .params = params, .error = error };
	int rc = find_array(&call, false);

	(void)result;
	call.repair = json_is_true(json_object_get(params, "repair"));
	return rc ? rc : call_array(&call, check_array);
}

static int serve_raid_wait(void *context, json_t *params, json_t **result, struct error *error)
{
	struct array_call call = {
		.serve = context, .params = params, .result = result, .error = error
	};
	int rc = find_array(&call, false);

	return rc ? rc : call_array(&call, wait_array);
}

/* ---- Volumes ---- */

static bool serves_whole(const struct serve *serve, const struct volume_group *group)
{
	for (unsigned i = 0; i < serve->groups.count; i++)
		if (!strcmp(serve->groups.words[i], group->name))
			return true;
	return false;
}

/* A volume that is exported is open: it is taken off its socket for the change, unless a client has it. */
static int unexport(struct serve *serve, const char *name, struct error *error)
{
	struct export *export = export_find(serve, name);

	if (!export)
		return 0;
	if (export_clients(export)) {
		error_set(error, -EBUSY, "%s: a client is connected to %s", name, export->path);
		return error_advise(error, "shut the machine down that uses it");
	}
	export_stop(serve, export);
	return 0;
}

/* Two volumes must not want one socket: which of them a machine finds there would be a matter of chance. */
static int check_rival(struct serve *serve, const char *name, struct error *error)
{
	const struct export *rival = export_find_rival(serve, name);

	if (!rival || !strcmp(rival->name, name))
		return 0;
	error_set(error, -EEXIST, "%s: its socket %s would be that of %s", name, rival->path,
		  rival->name);
	return error_advise(error, "choose another name");
}

/* After a change that may have failed: all that can be served is. */
static int export_again(struct serve *serve, struct serve_home *home, struct volume_group *group,
			const char *name)
{
	/* Here, with the index that this builds. */
	struct volume_lv *lv = volume_group_get_lv(group, strchr(name, '/') + 1);
	struct export *export;
	int opened, rc = 0;

	if (serves_whole(serve, group))
		rc = export_plan_group(serve, home, group);
	else if (lv)
		rc = export_plan_volume(serve, home, group, lv, &export);
	opened = export_open_all(serve);
	return rc ? rc : opened;
}

/* One change: its group, the volume's name before and after it. */
struct volume_change {
	const char *method;
	json_t *params;
	const char *name;
	char *new_name; /* owned; VG/LV */
	struct serve_home *home;
	struct volume_group *group;
	json_t *notes;
	struct error *error;
};

static int change_prepare(struct serve *serve, struct volume_change *change, struct error *error)
{
	CLEANUP_FREE char *vg = NULL;
	const char *new_name;
	int rc = rpc_param_string(change->params, "name", &change->name, error);

	if (!rc && !strchr(change->name, '/'))
		rc = error_set(error, -EINVAL, "%s: expected VG/LV", change->name);
	if (!rc)
		vg = strndup(change->name, strcspn(change->name, "/"));
	if (!rc)
		rc = vg ? serve_find_group(serve, vg, &change->home, &change->group, error)
			: -ENOMEM;
	if (rc)
		return rc;
	if (strcmp(change->method, "lv.rename")) {
		change->new_name = strdup(change->name);
	} else {
		rc = rpc_param_string(change->params, "new_name", &new_name, error);
		if (!rc && asprintf(&change->new_name, "%s/%s", vg, new_name) < 0)
			change->new_name = NULL;
	}
	return rc ? rc : change->new_name ? 0 : -ENOMEM;
}

/* At home. */
static int change_carry_out(void *arg)
{
	struct volume_change *change = arg;
	unsigned told = change->group->problem_count;
	int rc = lv_change(change->group, change->method, change->params, change->error);

	change->notes = rc ? NULL : lv_change_notes(change->group, told);
	return rc;
}

static int change_volume(struct serve *serve, struct volume_change *change, json_t **result,
			 struct error *error)
{
	bool was_exported, whole, gone = !strcmp(change->method, "lv.remove");
	struct export *export;
	int rc = change_prepare(serve, change, error);

	if (rc)
		return rc;
	was_exported = export_find(serve, change->name) != NULL;
	whole = serves_whole(serve, change->group);
	if (!gone && (whole || was_exported))
		rc = check_rival(serve, change->new_name, error);
	if (!rc && strcmp(change->method, "lv.create") && strcmp(change->method, "lv.resize"))
		rc = unexport(serve, change->name, error);
	if (!rc)
		rc = serve_call(change->home, change_carry_out, change);
	if (whole || (was_exported && !(gone && !rc)))
		export_again(serve, change->home, change->group,
			     rc ? change->name : change->new_name);
	export = export_find(serve, rc ? change->name : change->new_name);
	/* A failure that took it off its socket is worse than one that did not. */
	if (rc && was_exported && (!export || export->problem))
		error_advise(error, "and it is not served any more%s%s", export ? ": " : "",
			     export ? export->problem : "");
	if (!rc)
		*result =
			json_pack("{s:o, s:i, s:o}", "problem",
				  describe_text(export ? export->problem : NULL), "clients",
				  export ? (int)export_clients(export) : 0, "notes", change->notes);
	return rc;
}

static int change_volume_locked(struct serve *serve, const char *method, json_t *params,
				json_t **result, struct error *error)
{
	struct volume_change change = { .method = method, .params = params, .error = error };
	int rc;

	fiber_mutex_lock(&serve->changing);
	rc = change_volume(serve, &change, result, error);
	fiber_mutex_unlock(&serve->changing);
	free(change.new_name);
	return rc;
}

#define DEFINE_LV_METHOD(function, method)                                                         \
	static int function(void *context, json_t *params, json_t **result, struct error *error)   \
	{                                                                                          \
		return change_volume_locked(context, method, params, result, error);               \
	}

DEFINE_LV_METHOD(serve_lv_create, "lv.create")
DEFINE_LV_METHOD(serve_lv_remove, "lv.remove")
DEFINE_LV_METHOD(serve_lv_rename, "lv.rename")
DEFINE_LV_METHOD(serve_lv_resize, "lv.resize")

static int serve_export_find(void *context, json_t *params, json_t **result, struct error *error)
{
	struct export *export;
	const char *name;
	json_t *socket;
	int rc = rpc_param_string(params, "name", &name, error);

	if (rc)
		return rc;
	export = export_find(context, name);
	if (export && export->problem)
		return error_set(error, -EBUSY, "%s: not served: %s", name, export->problem);
	if (!export) {
		error_set(error, -EBUSY, "%s: a running server owns it and does not export it",
			  name);
		error_advise(error, "stop the server, or have it serve %s", name);
		return -EBUSY;
	}
	/* First: while its home is asked, another command may take it away. */
	socket = describe_path(export->path);
	*result = json_pack("{s:o, s:i}", "socket", socket, "clients", (int)export_clients(export));
	return 0;
}

const struct rpc_method serve_methods[] = {
	{ "server.describe", serve_describe },
	{ "server.exports", serve_exports },
	{ "raid.list", serve_raid_list },
	{ "raid.show", serve_raid_show },
	{ "raid.fail", serve_raid_fail },
	{ "raid.remove", serve_raid_remove },
	{ "raid.add", serve_raid_add },
	{ "raid.check", serve_raid_check },
	{ "raid.wait", serve_raid_wait },
	{ "lv.create", serve_lv_create },
	{ "lv.remove", serve_lv_remove },
	{ "lv.rename", serve_lv_rename },
	{ "lv.resize", serve_lv_resize },
	{ "export.find", serve_export_find },
	{ NULL, NULL },
};
