/*
 * The control socket of a storage server: what commands ask the owner of an array or a group.
 *
 *	server.describe	{} -> devices, arrays, groups
 *	server.exports	{from} -> {exports, more}: those from that number on, a thousand at most
 *	raid.show	{name} -> as `tenon raid show --json`
 *	raid.fail, raid.remove, raid.add	{name, device, force}
 *	raid.check	{name, repair}: starts it
 *	raid.wait	{name} -> {done, progress}, after at most a quarter of a second
 *	lv.create, lv.remove, lv.rename, lv.resize	{name, ...}: see lv_change.h -> {problem, clients, notes}:
 *		why the volume is not served, or null; how many machines have it
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
	for (unsigned i = 0; i < serve->stack->array_count; i++)
		json_array_append_new(arrays, describe_name(serve->stack->arrays[i].md.name));
	for (unsigned i = 0; i < serve->stack->scan->group_count; i++)
		json_array_append_new(groups, describe_text(serve->stack->scan->groups[i]->name));
	*result = json_pack("{s:o, s:o, s:o}", "devices", devices, "arrays", arrays, "groups",
			    groups);
	return 0;
}

/* A message has room for so many, whatever their names are. */
#define EXPORTS_AT_ONCE 1000

static int serve_exports(void *context, json_t *params, json_t **result, struct error *error)
{
	json_int_t from = json_integer_value(json_object_get(params, "from")), at_index = 0;
	struct serve *serve = context;
	json_t *exports = json_array();

	(void)error;
	list_for_each(at, &serve->exports) {
		if (at_index++ < from)
			continue;
		json_array_append_new(exports,
				      export_describe(list_entry(at, struct export, node)));
		if (json_array_size(exports) == EXPORTS_AT_ONCE)
			break;
	}
	*result = json_pack("{s:o, s:b}", "exports", exports, "more",
			    json_array_size(exports) == EXPORTS_AT_ONCE);
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
	CLEANUP_FREE char *device = NULL;
	int rc = find_array(context, params, &array, error);

	(void)result;
	if (!rc)
		rc = device_param(context, params, &device, error);
	return rc ? rc : raid_fail(array, device, error);
}

static int serve_raid_remove(void *context, json_t *params, json_t **result, struct error *error)
{
	struct serve *serve = context;
	struct raid_array *array;
	CLEANUP_FREE char *device = NULL;
	int rc = find_array(serve, params, &array, error);

	(void)result;
	if (!rc)
		rc = device_param(context, params, &device, error);
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
	CLEANUP_FREE char *device = NULL;
	int rc = find_array(serve, params, &array, error);

	(void)result;
	if (!rc)
		rc = device_param(context, params, &device, error);
	if (!rc && serve->read_only)
		rc = error_set(error, -EROFS, "%s: the server runs with --read-only", device);
	if (!rc)
		rc = raid_open_member(serve->stack, array, device,
				      json_is_true(json_object_get(params, "force")), &block,
				      error);
	if (!rc)
		rc = json_is_true(json_object_get(params, "force"))
			     ? raid_add_over(array, block, error)
			     : raid_add(array, block, error);
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
static int export_again(struct serve *serve, struct volume_group *group, const char *name)
{
	struct volume_lv *lv = volume_group_get_lv(group, strchr(name, '/') + 1);
	struct export *export;
	int rc = 0;

	if (serves_whole(serve, group))
		rc = export_plan_group(serve, group);
	else if (lv)
		rc = export_plan_volume(serve, group, lv, &export);
	export_open_all(serve);
	return rc;
}

/* One change: its group, the volume's name before and after it. */
struct volume_change {
	const char *method;
	json_t *params;
	const char *name;
	char *new_name; /* owned; VG/LV */
	struct volume_group *group;
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
		rc = vg ? stack_find_group(serve->stack, vg, &change->group, error) : -ENOMEM;
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

static int change_volume(struct serve *serve, struct volume_change *change, json_t **result,
			 struct error *error)
{
	bool was_exported, whole, gone = !strcmp(change->method, "lv.remove");
	unsigned told;
	struct export *export;
	int rc = change_prepare(serve, change, error);

	if (rc)
		return rc;
	was_exported = export_find(serve, change->name) != NULL;
	whole = serves_whole(serve, change->group);
	told = change->group->problem_count;
	if (!gone && (whole || was_exported))
		rc = check_rival(serve, change->new_name, error);
	if (!rc && strcmp(change->method, "lv.create") && strcmp(change->method, "lv.resize"))
		rc = unexport(serve, change->name, error);
	if (!rc)
		rc = lv_change(change->group, change->method, change->params, error);
	if (whole || (was_exported && !(gone && !rc)))
		export_again(serve, change->group, rc ? change->name : change->new_name);
	export = export_find(serve, rc ? change->name : change->new_name);
	/* A failure that took it off its socket is worse than one that did not. */
	if (rc && was_exported && (!export || export->problem))
		error_advise(error, "and it is not served any more%s%s", export ? ": " : "",
			     export ? export->problem : "");
	if (!rc)
		*result = json_pack("{s:o, s:i, s:o}", "problem",
				    describe_text(export ? export->problem : NULL), "clients",
				    export ? (int)export_clients(export) : 0, "notes",
				    lv_change_notes(change->group, told));
	return rc;
}

static int change_volume_locked(struct serve *serve, const char *method, json_t *params,
				json_t **result, struct error *error)
{
	struct volume_change change = { .method = method, .params = params };
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
	*result = json_pack("{s:o, s:i}", "socket", describe_text(export->path), "clients",
			    (int)export_clients(export));
	return 0;
}

const struct rpc_method serve_methods[] = {
	{ "server.describe", serve_describe }, { "server.exports", serve_exports },
	{ "raid.show", serve_raid_show },      { "raid.fail", serve_raid_fail },
	{ "raid.remove", serve_raid_remove },  { "raid.add", serve_raid_add },
	{ "raid.check", serve_raid_check },    { "raid.wait", serve_raid_wait },
	{ "lv.create", serve_lv_create },      { "lv.remove", serve_lv_remove },
	{ "lv.rename", serve_lv_rename },      { "lv.resize", serve_lv_resize },
	{ "export.find", serve_export_find },  { NULL, NULL },
};
