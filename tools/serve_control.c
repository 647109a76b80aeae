/*
 * The control socket of a storage server: what commands ask the owner of an array or a group.
 *
 *	server.describe	{} -> devices, arrays, groups, exports
 *	raid.show	{name} -> as `tenon raid show --json`
 *	raid.fail, raid.remove, raid.add	{name, device, force}
 *	raid.check	{name, repair}: starts it
 *	raid.wait	{name} -> {done, progress}, after at most a quarter of a second
 *	lv.create, lv.remove, lv.rename, lv.resize	{name, ...}: see lv_change.h
 *	export.find	{name} -> {socket}
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

#define WAIT_NS (250 * 1000 * 1000ull)

static int find_array(struct serve *serve, json_t *params, struct raid_array **out,
		      struct error *error)
{
	const char *name;
	int rc = rpc_param_string(params, "name", &name, error);

	return rc ? rc : stack_find_running(serve->stack, name, out, error);
}

static int serve_describe(void *context, json_t *params, json_t **result, struct error *error)
{
	struct serve *serve = context;
	json_t *devices = json_array(), *arrays = json_array(), *groups = json_array();
	json_t *exports = json_array();

	(void)params, (void)error;
	for (unsigned i = 0; i < serve->owned.count; i++)
		json_array_append_new(devices, describe_text(serve->owned.paths[i]));
	for (unsigned i = 0; i < serve->stack->array_count; i++)
		json_array_append_new(arrays, describe_text(serve->stack->arrays[i].md.name));
	for (unsigned i = 0; i < serve->stack->scan->group_count; i++)
		json_array_append_new(groups, describe_text(serve->stack->scan->groups[i]->name));
	list_for_each(at, &serve->exports) {
		json_array_append_new(exports,
				      export_describe(list_entry(at, struct export, node)));
	}
	*result = json_pack("{s:o, s:o, s:o, s:o}", "devices", devices, "arrays", arrays, "groups",
			    groups, "exports", exports);
	return 0;
}

/* ---- Arrays ---- */

static int serve_raid_show(void *context, json_t *params, json_t **result, struct error *error)
{
	struct raid_array *array;
	int rc = find_array(context, params, &array, error);

	if (!rc)
		*result = describe_array(array);
	return rc;
}

static int serve_raid_fail(void *context, json_t *params, json_t **result, struct error *error)
{
	struct raid_array *array;
	const char *device;
	int rc = find_array(context, params, &array, error);

	(void)result;
	if (!rc)
		rc = rpc_param_string(params, "device", &device, error);
	return rc ? rc : raid_fail(array, device, error);
}

static int serve_raid_remove(void *context, json_t *params, json_t **result, struct error *error)
{
	struct serve *serve = context;
	struct raid_array *array;
	const char *device;
	int rc = find_array(serve, params, &array, error);

	(void)result;
	if (!rc)
		rc = rpc_param_string(params, "device", &device, error);
	if (!rc)
		rc = raid_remove(array, device, error);
	if (rc)
		return rc;
	/* The stack's own reference on it keeps the lock: give it up, so that it can be added again. */
	for (unsigned i = 0; i < serve->stack->node_count; i++) {
		struct stack_node *node = &serve->stack->nodes[i];

		if (node->block && !node->raid && !strcmp(node->name, device)) {
			block_unref(steal_pointer(&node->block));
			node->is_member = false;
		}
	}
	device_list_remove(&serve->owned, device);
	return 0;
}

static int serve_raid_add(void *context, json_t *params, json_t **result, struct error *error)
{
	CLEANUP_BLOCK struct block *block = NULL;
	struct serve *serve = context;
	struct raid_array *array;
	const char *device;
	int rc = find_array(serve, params, &array, error);

	(void)result;
	if (!rc)
		rc = rpc_param_string(params, "device", &device, error);
	if (!rc && serve->read_only)
		rc = error_set(error, -EROFS, "%s: the server runs with --read-only", device);
	if (!rc)
		rc = raid_open_member(serve->stack, array, device,
				      json_is_true(json_object_get(params, "force")), &block,
				      error);
	if (!rc)
		rc = raid_add(array, block, error);
	return rc ? rc : device_list_add(&serve->owned, device);
}

static int serve_raid_check(void *context, json_t *params, json_t **result, struct error *error)
{
	struct raid_array *array;
	int rc = find_array(context, params, &array, error);

	(void)result;
	return rc ? rc
		  : raid_scrub_start(array, json_is_true(json_object_get(params, "repair")), error);
}

static bool stop_waiting(const struct raid_progress *progress, void *arg)
{
	(void)progress, (void)arg;
	return false;
}

static int serve_raid_wait(void *context, json_t *params, json_t **result, struct error *error)
{
	struct raid_status status;
	struct raid_array *array;
	int rc = find_array(context, params, &array, error), waited;

	if (rc)
		return rc;
	waited = raid_rebuild_wait(array, stop_waiting, NULL, WAIT_NS, error);
	if (waited && waited != -ECANCELED)
		return waited;
	raid_status(array, &status);
	*result = json_pack("{s:b, s:b, s:o}", "done", !waited, "degraded", status.degraded,
			    "progress", describe_progress(&status.progress));
	raid_status_free(&status);
	return 0;
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
	export_stop(export);
	return 0;
}

static int change_volume(struct serve *serve, const char *method, json_t *params,
			 struct error *error)
{
	CLEANUP_FREE char *vg = NULL;
	struct volume_group *group;
	const char *name;
	bool was_exported;
	int rc = rpc_param_string(params, "name", &name, error);

	if (!rc)
		vg = strndup(name, strcspn(name, "/"));
	if (!rc)
		rc = vg ? stack_find_group(serve->stack, vg, &group, error) : -ENOMEM;
	if (rc)
		return rc;
	was_exported = export_find(serve, name) != NULL;
	if (!strcmp(method, "lv.remove") || !strcmp(method, "lv.rename"))
		rc = unexport(serve, name, error);
	if (!rc)
		rc = lv_change(group, method, params, error);
	if (serves_whole(serve, group)) {
		struct error why = { 0 };
		int started = export_start_group(serve, group, &why);

		if (started && !rc) {
			*error = why;
			rc = started;
		}
	} else if (rc && was_exported) {
		export_start(serve, name, NULL);
	}
	return rc;
}

static int change_volume_locked(struct serve *serve, const char *method, json_t *params,
				struct error *error)
{
	int rc;

	fiber_mutex_lock(&serve->changing);
	rc = change_volume(serve, method, params, error);
	fiber_mutex_unlock(&serve->changing);
	return rc;
}

#define DEFINE_LV_METHOD(function, method)                                                         \
	static int function(void *context, json_t *params, json_t **result, struct error *error)   \
	{                                                                                          \
		(void)result;                                                                      \
		return change_volume_locked(context, method, params, error);                       \
	}

DEFINE_LV_METHOD(serve_lv_create, "lv.create")
DEFINE_LV_METHOD(serve_lv_remove, "lv.remove")
DEFINE_LV_METHOD(serve_lv_rename, "lv.rename")
DEFINE_LV_METHOD(serve_lv_resize, "lv.resize")

static int serve_export_find(void *context, json_t *params, json_t **result, struct error *error)
{
	struct export *export;
	const char *name;
	int rc = rpc_param_string(params, "name", &name, error);

	if (rc)
		return rc;
	export = export_find(context, name);
	if (!export) {
		error_set(error, -EBUSY, "%s: a running server owns it and does not export it",
			  name);
		error_advise(error, "stop the server, or have it serve %s", name);
		return -EBUSY;
	}
	*result = json_pack("{s:o, s:i}", "socket", describe_text(export->path), "clients",
			    (int)export_clients(export));
	return 0;
}

const struct rpc_method serve_methods[] = {
	{ "server.describe", serve_describe },
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
