/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket of a storage server: what commands ask the owner of an array or a group.
 *
 *	server.describe	{} -> devices, arrays, groups
 *	server.exports	{from, id} -> {exports, more}: those from that number on, a thousand or some 256 KiB at most; `id`: only the one with that
 *	server.lines	{from} -> {lines, folder, count}: where they are served, or why not, a line each (export_lines()); of paths that
 *		are not whole the folder before them
 *	raid.list	{} -> rows as `tenon raid list --json` has them, and in each "member_devices"
 *	raid.show	{name} -> as `tenon raid show --json`
 *	raid.fail, raid.remove	{name, device, force}
 *	raid.add	{name, device, force, back} -> {listed}; back: by the bitmap or not at all; listed: whether the device is among those
 *		that this server looks at
 *	raid.replace	{name, device, with, force} -> the same of `with`; with: a device, or none: a spare
 *	raid.grow	{name, size, all, devices, chunk, layout, level, adding, only_check}: size in bytes of each member, all: as much as there is; 0: as it is
 *	raid.check	{name, repair, force}: starts it
 *	raid.stop_sync	{name} -> {stopped, held}: what ran, or null; whether a resync or recovery is due still
 *	raid.resume	{name}: that goes on
 *	raid.events	{after, all} -> [{name, uuid, degraded, operation, next, lost, events}]: of each array those from the
 *		number on that `after` has for its UUID; of others none or `all`
 *	raid.bitmap	{name, remove, chunk}: adds a bitmap of that chunk in bytes (0: chosen), or removes it
 *	raid.consistency {name, wanted}: what it goes by after a crash: resync, bitmap or ppl
 *	raid.speed	{name, least, most} -> {least, most}: bytes a second; most 0: no limit; what is not given stays
 *	raid.wait	{name} -> {done, left, degraded, level, working, places, progress}, after at most a quarter of a second
 *	lv.create, lv.remove, lv.rename, lv.resize, lv.change, lv.tag, lv.repair, lv.convert	{name, ...}: see lv_change.h -> {problem, clients, notes, news}:
 *		why the volume is not served, or null; how many machines have it
 *	lv.plan		{name, ...}: see lv_plan.h
 *	lv.show		{name} -> as `tenon lv show --json`, without what is said of sockets; -EOPNOTSUPP: a look tells more
 *	lv.limit	{name, ...}: see limits.h
 *	vg.tag, vg.change, vg.repair, vg.extend, vg.reduce, pv.tag, pv.change, pv.resize	{name, ...}: see vg_change.h -> {notes, news}
 *	pv.move, pv.move_resume, pv.move_abort, pv.move_wait, pv.moves	see move.h
 *	export.find	{name} -> {socket, clients}
 *	export.attach, export.extents	see serve_beside.c
 *
 * Methods run on the control worker, and what they are about is done at its home (serve.h).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/block.h"
#include "tools/describe.h"
#include "tools/limits.h"
#include "tools/lv_change.h"
#include "tools/lv_plan.h"
#include "tools/raid.h"
#include "tools/serve.h"
#include "util/bytes.h"

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
			if (stack->arrays[k].wanted)
				json_array_append_new(arrays,
						      describe_name(stack->arrays[k].md.name));
		for (unsigned k = 0; stack && k < stack->scan->group_count; k++)
			json_array_append_new(groups, describe_text(stack->scan->groups[k]->name));
	}
	*result = json_pack("{s:o, s:o, s:o}", "devices", devices, "arrays", arrays, "groups",
			    groups);
	return 0;
}

/* In one answer, whichever comes first: names, paths and peers make an export of hundreds of bytes one of thousands. */
#define EXPORTS_AT_ONCE 1000
#define EXPORTS_BYTES   (256u << 10)

static int serve_exports(void *context, json_t *params, json_t **result, struct error *error)
{
	json_int_t from = json_integer_value(json_object_get(params, "from"));
	const struct export_choice choice = {
		.from = (size_t)MAX(from, 0),
		.most = EXPORTS_AT_ONCE,
		.bytes = EXPORTS_BYTES,
		.id = json_string_value(json_object_get(params, "id")),
	};
	json_t *exports = json_array();
	bool more;
	int rc = export_describe(context, &choice, exports, &more);

	(void)error;
	if (rc) {
		json_decref(exports);
		return rc;
	}
	*result = json_pack("{s:o, s:b}", "exports", exports, "more", more);
	return 0;
}

static int serve_lines(void *context, json_t *params, json_t **result, struct error *error)
{
	json_int_t from = json_integer_value(json_object_get(params, "from"));
	CLEANUP_FREE char *folder = getcwd(NULL, 0);
	size_t count;
	json_t *lines = export_lines(context, (size_t)MAX(from, 0), &count);

	(void)error;
	if (!lines)
		return -ENOMEM;
	*result = json_pack("{s:o, s:o, s:I}", "lines", lines, "folder", describe_text(folder),
			    "count", (json_int_t)count);
	return *result ? 0 : -ENOMEM;
}

/* ---- Volumes ---- */

static bool serves_whole(const struct serve *serve, const struct volume_group *group)
{
	for (unsigned i = 0; i < serve->groups.count; i++)
		if (!strcmp(serve->groups.words[i], group->name))
			return true;
	return false;
}

static int say_client(const struct export *export, struct error *error)
{
	error_set(error, -EBUSY, "%s: a client is connected to %s", export->name, export->path);
	return error_advise(error, "end what uses it: `tenon status` names it");
}

/* A volume that is exported is open: it is taken off its socket for the change, unless a client has it. */
static int unexport(struct serve *serve, const char *name, struct error *error)
{
	struct export *export = export_find(serve, name);
	int rc;

	if (!export)
		return 0;
	if (export_clients(export))
		return say_client(export, error);
	/* Closing it waits for those who read or write it by themselves, however long that is. */
	rc = serve_leases_stop(export, error);
	export = rc ? NULL : export_find(serve, name);
	if (!export)
		return rc;
	if (export_clients(export))
		return say_client(export, error);
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

/* After a change that may have failed: all that can be served is. `others`: volumes may have come or gone beside this one. */
static int export_again(struct serve *serve, struct serve_home *home, struct volume_group *group,
			const char *name, bool others)
{
	/* Here, with the index that this builds. */
	struct volume_lv *lv = volume_group_get_lv(group, strchr(name, '/') + 1);
	struct export *export = NULL;
	int opened, rc = 0;

	/* What was refused may be served now. */
	if (!others && !serve->refused) {
		rc = lv ? export_plan_volume(serve, home, group, lv, &export) : 0;
		return rc || !export ? rc : export_open(serve, export);
	}
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
	json_t *notes, *news;
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
	json_t *unmarked = serve_unmarked(change->group);
	int rc;

	change->news = json_array();
	rc = lv_change(change->group, change->method, change->params, change->news, change->error);
	change->notes = rc ? NULL : lv_change_notes(change->group);
	serve_tell_marked(unmarked, change->group, change->notes);
	json_decref(unmarked);
	return rc;
}

static int change_volume(struct serve *serve, struct volume_change *change, json_t **result,
			 struct error *error)
{
	bool was_exported, whole, gone = !strcmp(change->method, "lv.remove");
	bool alone = gone || !strcmp(change->method, "lv.create") ||
		     !strcmp(change->method, "lv.resize") || !strcmp(change->method, "lv.tag");
	/* A volume that is open may only grow. */
	bool stays = !strcmp(change->method, "lv.create") || !strcmp(change->method, "lv.tag") ||
		     !strcmp(change->method, "lv.repair") ||
		     !strcmp(change->method, "lv.convert") ||
		     (!strcmp(change->method, "lv.change") &&
		      !json_object_get(change->params, "writable")) ||
		     (!strcmp(change->method, "lv.resize") &&
		      !json_is_true(json_object_get(change->params, "smaller")));
	struct export *export;
	char id[SERIAL_TEXT] = "";
	int rc = change_prepare(serve, change, error);

	if (rc)
		return rc;
	export = export_find(serve, change->name);
	was_exported = export != NULL;
	if (export)
		memcpy(id, export->id, sizeof(id));
	whole = serves_whole(serve, change->group);
	if (!gone && (whole || was_exported))
		rc = check_rival(serve, change->new_name, error);
	if (!rc && !stays)
		rc = unexport(serve, change->name, error);
	if (!rc)
		rc = serve_call(change->home, change_carry_out, change);
	if (gone && !rc)
		serve_limits_forget(serve, id);
	if (whole || (was_exported && !(gone && !rc)))
		export_again(serve, change->home, change->group,
			     rc ? change->name : change->new_name, !alone);
	export = export_find(serve, rc ? change->name : change->new_name);
	/* A failure that took it off its socket is worse than one that did not. */
	if (rc && was_exported && (!export || export->problem))
		error_advise(error, "and it is not served any more%s%s", export ? ": " : "",
			     export ? export->problem : "");
	if (!rc)
		*result = json_pack("{s:o, s:i, s:o, s:O}", "problem",
				    describe_text(export ? export->problem : NULL), "clients",
				    export ? (int)export_clients(export) : 0, "notes",
				    change->notes, "news", change->news);
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
	json_decref(change.news);
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
DEFINE_LV_METHOD(serve_lv_change, "lv.change")
DEFINE_LV_METHOD(serve_lv_tag, "lv.tag")
DEFINE_LV_METHOD(serve_lv_repair, "lv.repair")
DEFINE_LV_METHOD(serve_lv_convert, "lv.convert")

struct planning {
	struct volume_change change;
	json_t *plan;
};

/* At home. */
static int plan_at_home(void *arg)
{
	struct planning *planning = arg;

	return lv_plan(planning->change.group, planning->change.params, &planning->plan,
		       planning->change.error);
}

/* Whoever is asked about a volume that a machine has would be asked in vain. */
static int plan_check_idle(struct serve *serve, const struct planning *planning,
			   struct error *error)
{
	json_t *plan = planning->plan;
	const struct export *export = export_find(serve, planning->change.name);
	bool smaller = json_integer_value(json_object_get(plan, "new_size_bytes")) <
		       json_integer_value(json_object_get(plan, "size_bytes"));

	return smaller && export && export_clients(export) ? say_client(export, error) : 0;
}

static int serve_lv_plan(void *context, json_t *params, json_t **result, struct error *error)
{
	struct planning planning = {
		.change = { .method = "lv.plan", .params = params, .error = error }
	};
	struct serve *serve = context;
	int rc;

	fiber_mutex_lock(&serve->changing);
	rc = change_prepare(serve, &planning.change, error);
	if (!rc)
		rc = serve_call(planning.change.home, plan_at_home, &planning);
	if (!rc)
		rc = plan_check_idle(serve, &planning, error);
	fiber_mutex_unlock(&serve->changing);
	free(planning.change.new_name);
	if (rc)
		json_decref(planning.plan);
	else
		*result = planning.plan;
	return rc;
}

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

/* One a line, whatever their number. */
/* clang-format off */
const struct rpc_method serve_methods[] = {
	{ "server.describe", serve_describe },
	{ "server.lines", serve_lines },
	{ "server.exports", serve_exports },
	{ "raid.list", serve_raid_list },
	{ "raid.show", serve_raid_show },
	{ "raid.plan", serve_raid_plan },
	{ "raid.fail", serve_raid_fail },
	{ "raid.remove", serve_raid_remove },
	{ "raid.replace", serve_raid_replace },
	{ "raid.grow", serve_raid_grow },
	{ "raid.add", serve_raid_add },
	{ "raid.check", serve_raid_check },
	{ "raid.stop_sync", serve_raid_stop_sync },
	{ "raid.resume", serve_raid_resume },
	{ "raid.speed", serve_raid_speed },
	{ "raid.bitmap", serve_raid_bitmap },
	{ "raid.consistency", serve_raid_consistency },
	{ "raid.events", serve_raid_events },
	{ "raid.wait", serve_raid_wait },
	{ "lv.create", serve_lv_create },
	{ "lv.repair", serve_lv_repair },
	{ "lv.convert", serve_lv_convert },
	{ "lv.remove", serve_lv_remove },
	{ "lv.rename", serve_lv_rename },
	{ "lv.resize", serve_lv_resize },
	{ "lv.change", serve_lv_change },
	{ "lv.tag", serve_lv_tag },
	{ "lv.plan", serve_lv_plan },
	{ "lv.show", serve_lv_show },
	{ "lv.limit", serve_lv_limit },
	{ "vg.tag", serve_vg_tag },
	{ "vg.change", serve_vg_change },
	{ "vg.extend", serve_vg_extend },
	{ "vg.reduce", serve_vg_reduce },
	{ "vg.repair", serve_vg_repair },
	{ "pv.tag", serve_pv_tag },
	{ "pv.change", serve_pv_change },
	{ "pv.resize", serve_pv_resize },
	{ "pv.move", serve_pv_move },
	{ "pv.move_resume", serve_pv_move_resume },
	{ "pv.move_abort", serve_pv_move_abort },
	{ "pv.move_wait", serve_pv_move_wait },
	{ "pv.moves", serve_pv_moves },
	{ "export.find", serve_export_find },
	{ "export.attach", serve_export_attach },
	{ "export.extents", serve_export_extents },
	{ NULL, NULL },
};
/* clang-format on */
