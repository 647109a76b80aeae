/* SPDX-License-Identifier: BSD-2-Clause */
/* What commands ask a storage server of its groups and their physical volumes (vg_change.h). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "tools/describe.h"
#include "tools/device_look.h"
#include "tools/lv_change.h"
#include "tools/serve.h"
#include "tools/vg_change.h"
#include "util/bytes.h"
#include "util/error.h"

struct group_call {
	struct serve *serve;
	struct serve_home *home;
	struct volume_group *group;
	struct vg_change change;
	char **paths; /* of the devices that join or leave */
	unsigned path_count;
	json_t *notes;
	struct error *error;
};

static bool joins(const struct group_call *call)
{
	return !strcmp(call->change.method, "vg.extend");
}

static bool leaves(const struct group_call *call)
{
	return !strcmp(call->change.method, "vg.reduce");
}

/* Opening a device may take long: it is done here, and handed over. */
static int open_joining(struct group_call *call)
{
	json_t *list = json_object_get(call->change.params, "pvs"), *item;
	size_t index;
	int rc = 0;

	call->change.blocks = calloc(json_array_size(list) + 1, sizeof(struct block *));
	call->paths = calloc(json_array_size(list) + 1, sizeof(char *));
	if (!call->change.blocks || !call->paths)
		return -ENOMEM;
	json_array_foreach(list, index, item) {
		const char *path = json_is_string(item) ? json_string_value(item) : "";

		if (*path != '/') {
			error_set(call->error, -EOPNOTSUPP,
				  "%s: a group that is served takes image files and block devices",
				  path);
			return error_advise(call->error, "stop the server for this");
		}
		rc = device_check_answers(path, call->error);
		if (!rc)
			rc = block_open_file(&call->change.blocks[index], path,
					     BLOCK_OPEN_WRITE | BLOCK_OPEN_LOCK, 0, call->error);
		if (rc)
			return rc;
		call->change.block_count++;
		call->paths[call->path_count] = strdup(path);
		if (!call->paths[call->path_count++])
			return -ENOMEM;
	}
	return 0;
}

/* The group has let go of it: what else of the stack has it open lets go, too. At home. */
static void close_left(struct stack *stack, const char *path)
{
	struct volume_scan *scan = stack->scan;

	for (unsigned i = 0; i < scan->device_count; i++) {
		if (strcmp(scan->devices[i].block->name, path) != 0)
			continue;
		block_unref(scan->devices[i].block);
		free(scan->devices[i].problem);
		scan->device_count--;
		memmove(&scan->devices[i], &scan->devices[i + 1],
			(scan->device_count - i) * sizeof(scan->devices[0]));
		break;
	}
	for (unsigned i = 0; i < stack->node_count; i++)
		if (stack->nodes[i].block && !stack->nodes[i].raid &&
		    !strcmp(stack->nodes[i].name, path))
			block_unref(steal_pointer(&stack->nodes[i].block));
}

/* The paths of PVs that are to leave, before they do. */
static int note_leaving(struct group_call *call)
{
	const struct volume_group *group = call->group;
	json_t *list = json_object_get(call->change.params, "pvs"), *item;
	size_t index;

	call->paths = calloc(group->pv_count + 1, sizeof(char *));
	if (!call->paths)
		return -ENOMEM;
	json_array_foreach(list, index, item) {
		const char *name = json_is_string(item) ? json_string_value(item) : "";

		for (unsigned i = 0; i < group->pv_count; i++) {
			const struct volume_pv *pv = group->pvs[i];

			if (!pv->block || call->path_count == group->pv_count ||
			    (strcmp(pv->block->name, name) && strcmp(pv->uuid, name)))
				continue;
			call->paths[call->path_count] = strdup(pv->block->name);
			if (!call->paths[call->path_count++])
				return -ENOMEM;
		}
	}
	return 0;
}

/* At home. */
static int carry_out(void *arg)
{
	struct group_call *call = arg;
	json_t *unmarked = serve_unmarked(call->group);
	int rc = leaves(call) ? note_leaving(call) : 0;

	for (unsigned i = 0; i < call->change.block_count; i++)
		block_move(call->change.blocks[i]);
	call->change.news = json_array();
	if (!rc)
		rc = vg_change(call->group, &call->change, call->error);
	if (!rc)
		call->notes = lv_change_notes(call->group);
	serve_tell_marked(unmarked, call->group, call->notes);
	json_decref(unmarked);
	for (unsigned i = 0; i < call->change.block_count; i++)
		block_unref(steal_pointer(&call->change.blocks[i]));
	for (unsigned i = 0; leaves(call) && i < call->path_count; i++) {
		bool stays = false;

		for (unsigned k = 0; k < call->group->pv_count; k++)
			stays |= call->group->pvs[k]->block &&
				 !strcmp(call->group->pvs[k]->block->name, call->paths[i]);
		if (!stays)
			close_left(call->home->stack, call->paths[i]);
		else
			call->paths[i][0] = '\0';
	}
	return rc;
}

/* Which devices are this server's. */
static void note_owned(struct group_call *call)
{
	for (unsigned i = 0; i < call->path_count; i++) {
		if (leaves(call) && call->paths[i][0])
			device_list_remove(&call->serve->owned, call->paths[i]);
		if (joins(call) && device_list_add(&call->serve->owned, call->paths[i]))
			log_warning(&call->serve->log,
				    "%s: added, but out of memory to list it as this server's",
				    call->paths[i]);
	}
}

static int group_call_run(struct group_call *call, json_t **result)
{
	const char *name;
	int rc = rpc_param_string(call->change.params, "name", &name, call->error);

	if (!rc)
		rc = serve_find_group(call->serve, name, &call->home, &call->group, call->error);
	if (!rc && joins(call) && call->serve->read_only)
		rc = error_set(call->error, -EROFS, "%s: the server runs with --read-only", name);
	if (!rc && joins(call))
		rc = open_joining(call);
	if (rc)
		return rc;
	rc = serve_call(call->home, carry_out, call);
	if (!rc || leaves(call))
		note_owned(call);
	if (!rc)
		*result = json_pack("{s:O, s:O}", "notes", call->notes, "news", call->change.news);
	return rc;
}

static int group_method(void *context, const char *method, json_t *params, json_t **result,
			struct error *error)
{
	struct serve *serve = context;
	struct group_call call = { .serve = serve,
				   .change = { .method = method, .params = params },
				   .error = error };
	int rc;

	fiber_mutex_lock(&serve->changing);
	rc = group_call_run(&call, result);
	fiber_mutex_unlock(&serve->changing);
	for (unsigned i = 0; call.change.blocks && i < call.change.block_count; i++)
		block_unref(call.change.blocks[i]);
	for (unsigned i = 0; i < call.path_count; i++)
		free(call.paths[i]);
	free(call.paths);
	free(call.change.blocks);
	json_decref(call.change.news);
	json_decref(call.notes);
	return rc;
}

#define DEFINE_GROUP_METHOD(function, method)                                                      \
	int function(void *context, json_t *params, json_t **result, struct error *error)          \
	{                                                                                          \
		return group_method(context, method, params, result, error);                       \
	}

DEFINE_GROUP_METHOD(serve_vg_tag, "vg.tag")
DEFINE_GROUP_METHOD(serve_vg_change, "vg.change")
DEFINE_GROUP_METHOD(serve_vg_repair, "vg.repair")
DEFINE_GROUP_METHOD(serve_vg_extend, "vg.extend")
DEFINE_GROUP_METHOD(serve_vg_reduce, "vg.reduce")
DEFINE_GROUP_METHOD(serve_pv_tag, "pv.tag")
DEFINE_GROUP_METHOD(serve_pv_change, "pv.change")
DEFINE_GROUP_METHOD(serve_pv_resize, "pv.resize")
