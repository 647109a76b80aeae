/* SPDX-License-Identifier: BSD-2-Clause */
/* See vg_change.h. */
#include "tools/vg_change.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "rpc/rpc.h"
#include "tools/describe.h"
#include "tools/lv_size.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/size.h"
#include "volume/volume.h"

/* A change in the hands of its method. */
struct vg_work {
	struct volume_group *group;
	struct vg_change *change;
	struct volume_pv **pvs; /* that it names */
	unsigned pv_count;
	struct error *error;
};

static void tell_news(const struct vg_work *work, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void tell_news(const struct vg_work *work, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_array_append_new(work->change->news, describe_text(text));
}

static const char *device_of(const struct volume_pv *pv)
{
	return pv->block ? pv->block->name : pv->uuid;
}

/* ---- Settings ---- */

static int list_words(json_t *list, const char *const **out, unsigned *count)
{
	const char **words = calloc(json_array_size(list) + 1, sizeof(*words));
	json_t *item;
	size_t index;

	if (!words)
		return -ENOMEM;
	*count = 0;
	json_array_foreach(list, index, item) {
		if (json_is_string(item))
			words[(*count)++] = json_string_value(item);
	}
	*out = words;
	return 0;
}

static const bool *optional_flag(json_t *params, const char *key, bool *value)
{
	json_t *flag = json_object_get(params, key);

	*value = json_is_true(flag);
	return json_is_boolean(flag) ? value : NULL;
}

/* *out is NULL where it is not given. */
static int optional_count(json_t *params, const char *key, unsigned *value, const unsigned **out,
			  struct error *error)
{
	json_t *given = json_object_get(params, key);
	json_int_t count = json_integer_value(given);

	if (!json_is_integer(given))
		return 0;
	if (count < 0 || count > UINT32_MAX)
		return error_set(error, -EINVAL, "%s: %lld, expected 0 to %u", key,
				 (long long)count, UINT32_MAX);
	*value = (unsigned)count;
	*out = value;
	return 0;
}

static int change_settings(struct vg_work *work)
{
	json_t *params = work->change->params;
	const char *policy = json_string_value(json_object_get(params, "allocation"));
	CLEANUP_FREE const char *const *add = NULL;
	CLEANUP_FREE const char *const *delete = NULL;
	enum volume_allocation allocation;
	bool autoactivate, allocatable, resizeable;
	json_t *extent_size = json_object_get(params, "extent_size");
	const uint64_t extent_bytes = (uint64_t)json_integer_value(extent_size);
	unsigned max_lv, max_pv;
	struct volume_settings settings = {
		.autoactivate = optional_flag(params, "autoactivate", &autoactivate),
		.allocatable = optional_flag(params, "allocatable", &allocatable),
		.allocation = policy ? &allocation : NULL,
		.resizeable = optional_flag(params, "resizeable", &resizeable),
		.extent_size = json_is_integer(extent_size) ? &extent_bytes : NULL,
	};
	int rc = list_words(json_object_get(params, "add_tags"), &add, &settings.add_count);

	if (!rc)
		rc = list_words(json_object_get(params, "delete_tags"), &delete,
				&settings.delete_count);
	if (!rc && policy)
		rc = volume_allocation_parse(policy, &allocation, work->error);
	if (!rc)
		rc = optional_count(params, "max_lvs", &max_lv, &settings.max_lv, work->error);
	if (!rc)
		rc = optional_count(params, "max_pvs", &max_pv, &settings.max_pv, work->error);
	settings.add_tags = add;
	settings.delete_tags = delete;
	if (!rc && !strncmp(work->change->method, "vg.", 3))
		return volume_group_set(work->group, &settings, work->error);
	for (unsigned i = 0; !rc && i < work->pv_count; i++)
		rc = volume_pv_set(work->group, work->pvs[i], &settings, work->error);
	return rc;
}

/* ---- PVs come and go ---- */

static int extend(struct vg_work *work)
{
	const struct volume_group_options options = {
		.force = json_is_true(json_object_get(work->change->params, "force"))
	};
	struct volume_group *group = work->group;
	unsigned before = group->pv_count;
	char size[SIZE_TEXT];
	int rc = volume_group_extend(group, work->change->blocks, work->change->block_count,
				     &options, work->error);

	for (unsigned i = before; !rc && i < group->pv_count; i++)
		tell_news(work, "%s: has %s more on %s", group->name,
			  size_format(group->pvs[i]->extent_count * group->extent_size, size),
			  device_of(group->pvs[i]));
	return rc;
}

static int reduce(struct vg_work *work)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < work->pv_count; i++) {
		CLEANUP_FREE char *device = strdup(device_of(work->pvs[i]));

		rc = device ? volume_group_reduce(work->group, work->pvs[i], work->error) : -ENOMEM;
		if (!rc)
			tell_news(work,
				  work->change->rehearsal
					  ? "%s: would be a physical volume of no group"
					  : "%s: is a physical volume of no group now",
				  device);
		else if (i)
			error_advise(work->error, "%u of the %u devices had left by then", i,
				     work->pv_count);
	}
	return rc;
}

/* What would go. */
static void tell_missing(struct vg_work *work)
{
	const struct volume_group *group = work->group;

	for (unsigned i = 0; i < group->pv_count; i++)
		if (!group->pvs[i]->block)
			tell_news(work, "%s: PV %s, which is missing, would leave it", group->name,
				  group->pvs[i]->uuid);
	for (unsigned i = 0; i < group->lv_count; i++)
		if (group->lvs[i]->partial && group->lvs[i]->visible &&
		    !volume_lv_cut(group->lvs[i]))
			tell_news(work, "%s/%s, which lies on what is missing, would be removed",
				  group->name, group->lvs[i]->name);
}

static int reduce_missing(struct vg_work *work)
{
	bool force = json_is_true(json_object_get(work->change->params, "force"));
	unsigned pvs = work->group->pv_count, lvs = work->group->lv_count;
	int rc;

	if (work->change->rehearsal)
		tell_missing(work);
	rc = volume_group_remove_missing(work->group, force, work->error);
	if (!rc)
		tell_news(work,
			  work->change->rehearsal
				  ? "%s: would have %u physical volumes, has %u; volumes that "
				    "would be removed: %u"
				  : "%s: has %u physical volumes now, had %u; volumes removed: %u",
			  work->group->name, work->group->pv_count, pvs,
			  lvs - work->group->lv_count);
	return rc;
}

static int resize_pv(struct vg_work *work)
{
	json_int_t size = json_integer_value(json_object_get(work->change->params, "size"));
	struct volume_pv *pv = work->pvs[0];
	char sizes[2][SIZE_TEXT];
	uint32_t before = pv->extent_count;
	int rc;

	rc = volume_pv_resize(work->group, pv, size > 0 ? (uint64_t)size : 0, work->error);
	if (rc)
		return rc;
	size_format(pv->extent_count * work->group->extent_size, sizes[0]);
	size_format(before * work->group->extent_size, sizes[1]);
	if (work->change->rehearsal)
		tell_news(work, "%s: would have %s for volumes, has %s", device_of(pv), sizes[0],
			  sizes[1]);
	else
		tell_news(work, "%s: has %s for volumes %s, had %s", device_of(pv), sizes[0],
			  pv->extent_count == before ? "as before" : "now", sizes[1]);
	return 0;
}

/* ---- The group itself ---- */

static int rename_group(struct vg_work *work)
{
	const char *new_name;
	int rc = rpc_param_string(work->change->params, "new_name", &new_name, work->error);

	return rc ? rc : volume_group_rename(work->group, new_name, work->error);
}

static int export_group(struct vg_work *work)
{
	return volume_group_set_exported(work->group, true, work->error);
}

static int import_group(struct vg_work *work)
{
	if (json_is_true(json_object_get(work->change->params, "partial")))
		return volume_group_import_partial(work->group, work->error);
	return volume_group_set_exported(work->group, false, work->error);
}

static int change_uuid(struct vg_work *work)
{
	int rc = volume_group_renew_uuid(work->group, work->error);

	if (!rc && !work->change->rehearsal)
		tell_news(work, "%s: has UUID %s now", work->group->name, work->group->uuid);
	return rc;
}

static int change_system_id(struct vg_work *work)
{
	const char *was = json_string_value(json_object_get(work->change->params, "was"));
	json_t *cleaned = describe_text(work->group->system_id ? work->group->system_id : "");
	const char *now = json_string_value(cleaned), *id;
	int rc = rpc_param_string(work->change->params, "system_id", &id, work->error);

	if (!rc && was && strcmp(was, now)) {
		error_set(work->error, -EBUSY,
			  "volume group %s: its system ID was \"%s\" when that was asked, and is "
			  "\"%s\" now",
			  work->group->name, was, now);
		rc = error_advise(work->error, "look whose it is now, and ask again");
	}
	json_decref(cleaned);
	return rc ? rc : volume_group_set_system_id(work->group, id, work->error);
}

static int repair_group(struct vg_work *work)
{
	bool restore = json_is_true(json_object_get(work->change->params, "restore_missing"));
	int rc = volume_group_repair(work->group, restore, work->error);

	if (!rc)
		tell_news(work, "%s: its metadata %s written anew on all its physical volumes",
			  work->group->name, work->change->rehearsal ? "would be" : "are");
	return rc;
}

/* ---- All of them ---- */

static const struct vg_method {
	const char *name;
	int (*carry_out)(struct vg_work *work);
	bool of_pvs, served;
} vg_methods[] = {
	{ "vg.tag", change_settings, false, true },
	{ "vg.change", change_settings, false, true },
	{ "pv.tag", change_settings, true, true },
	{ "pv.change", change_settings, true, true },
	{ "pv.resize", resize_pv, true, true },
	{ "vg.extend", extend, false, true },
	{ "vg.reduce", reduce, true, true },
	{ "vg.reduce_missing", reduce_missing, false, false },
	{ "vg.repair", repair_group, false, true },
	{ "vg.rename", rename_group, false, false },
	{ "vg.export", export_group, false, false },
	{ "vg.import", import_group, false, false },
	{ "vg.change_uuid", change_uuid, false, false },
	{ "vg.change_systemid", change_system_id, false, false },
};

static const struct vg_method *find_method(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(vg_methods); i++)
		if (!strcmp(vg_methods[i].name, name))
			return &vg_methods[i];
	return NULL;
}

bool vg_change_while_served(const char *method)
{
	const struct vg_method *found = find_method(method);

	return found && found->served;
}

int vg_change(struct volume_group *group, struct vg_change *change, struct error *error)
{
	const struct vg_method *method = find_method(change->method);
	CLEANUP_FREE struct volume_pv **pvs = NULL;
	struct vg_work work = { .group = group, .change = change, .error = error };
	CLEANUP_VOLUME_COMMAND struct volume_command command = { 0 };
	char text[VOLUME_COMMAND];
	int rc;

	if (!method)
		return error_set(error, -EINVAL, "%s: no such method", change->method);
	rc = method->of_pvs ? lv_place_find_pvs(group, change->params, &pvs, &work.pv_count, error)
			    : 0;
	if (!rc && method->of_pvs && !work.pv_count)
		rc = error_set(error, -EINVAL, "%s: names no physical volume", change->method);
	work.pvs = pvs;
	/* "tenon vg reduce" of "vg.reduce_missing" */
	snprintf(text, sizeof(text), "tenon %.2s %.*s", method->name,
		 (int)strcspn(method->name + 3, "_"), method->name + 3);
	volume_command_begin(&command, group, text);
	return rc ? rc : method->carry_out(&work);
}

json_t *vg_words(const struct cli_words *words)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < words->count; i++)
		json_array_append_new(list, describe_text(words->words[i]));
	return list;
}
