/* SPDX-License-Identifier: BSD-2-Clause */
/* See lv_change.h. */
#include "tools/lv_change.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "rpc/rpc.h"
#include "tools/cli.h"
#include "tools/describe.h"
#include "tools/lv_size.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/size.h"
#include "volume/volume_raid.h"

static uint64_t number(json_t *params, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(params, key));

	return value > 0 ? (uint64_t)value : 0;
}

static void tell(json_t *news, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void tell(json_t *news, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_array_append_new(news, describe_text(text));
}

/* That `wanted` bytes became more, or nothing. */
static const char *rounding(const struct volume_group *group, const struct volume_lv *lv,
			    uint64_t wanted, char text[96])
{
	char sizes[2][SIZE_TEXT];

	text[0] = '\0';
	if (wanted && wanted != lv->size)
		snprintf(text, 96, ": %s, rounded up to whole extents of %s",
			 size_format(wanted, sizes[0]), size_format(group->extent_size, sizes[1]));
	return text;
}

/* ---- Words ---- */

/* The strings of a list; the caller frees *out, which is NULL for an empty one. */
static int words_of(json_t *list, const char *const **out, unsigned *count)
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

static int policy_of(json_t *params, enum volume_allocation *out, struct error *error)
{
	const char *name = json_string_value(json_object_get(params, "allocation"));

	*out = VOLUME_ALLOCATE_INHERIT;
	return name ? volume_allocation_parse(name, out, error) : 0;
}

/* ---- Create ---- */

static int check_numbers(json_t *params, const char *name, struct error *error)
{
	static const char *const keys[] = { "extents", "stripe_size", "stripes", "percent",
					    "mirrors" };

	for (unsigned i = 0; i < ARRAY_SIZE(keys); i++)
		if (number(params, keys[i]) > UINT32_MAX)
			return error_set(error, -ERANGE, "%s: %s is over %u", name, keys[i],
					 UINT32_MAX);
	return 0;
}

/* Of a percentage as much as makes whole stripes. */
static int create_size(const struct volume_group *group, json_t *params,
		       struct volume_lv_options *options, struct error *error)
{
	uint64_t stripe = group->extent_size * MAX(options->stripes, 1u);
	int rc = lv_size_bytes(group, NULL, params, &options->size, error);

	if (rc || !lv_size_is_relative(params))
		return rc;
	options->less = true;
	if (options->size >= stripe && !options->type)
		options->size -= options->size % stripe;
	return 0;
}

struct planned {
	const struct volume_group *group;
	json_t *params, *lines;
};

/* Of the volume, or of its parts. */
static void say_places(const struct planned *planned, const struct volume_lv *lv)
{
	for (unsigned i = 0; i < lv->segment_count; i++) {
		const struct volume_segment *segment = &lv->segments[i];

		for (unsigned k = 0; k < segment->area_count; k++) {
			const struct volume_area *area = &segment->areas[k];

			if (area->pv)
				tell(planned->lines, "  %s: %u extents from extent %u on",
				     area->pv->block ? area->pv->block->name : area->pv->uuid,
				     segment->extent_count / segment->area_count, area->extent);
			if (segment->metas && segment->metas[k].lv)
				say_places(planned, segment->metas[k].lv);
			if (area->lv)
				say_places(planned, area->lv);
		}
	}
}

static void say_planned(const struct volume_lv *lv, void *arg)
{
	const struct planned *planned = arg;
	char size[SIZE_TEXT], rounded[96];

	rounding(planned->group, lv, number(planned->params, "bytes"), rounded);
	tell(planned->lines, "%s/%s: would be made, %s%s", planned->group->name, lv->name,
	     size_format(lv->size, size), lv_size_is_relative(planned->params) ? "" : rounded);
	say_places(planned, lv);
}

/* `plan`: only says what it would be, into `news`. */
static int create(struct volume_group *group, const char *name, json_t *params, bool plan,
		  json_t *news, struct error *error)
{
	struct planned planned = { group, params, news };
	CLEANUP_LV_PLACES struct lv_places places = { 0 };
	CLEANUP_FREE const char *const *tags = NULL;
	struct volume_lv_options options = {
		.stripes = (unsigned)number(params, "stripes"),
		.stripe_size = (uint32_t)number(params, "stripe_size"),
		.type = json_string_value(json_object_get(params, "type")),
		.mirrors = (unsigned)number(params, "mirrors"),
		.region_size = number(params, "region_size"),
		.no_sync = json_is_true(json_object_get(params, "no_sync")),
		.read_only = json_is_true(json_object_get(params, "read_only")),
	};
	char size[SIZE_TEXT], rounded[96];
	struct volume_lv *lv;
	int rc = check_numbers(params, name, error);

	if (!rc)
		rc = words_of(json_object_get(params, "tags"), &tags, &options.tag_count);
	if (!rc)
		rc = policy_of(params, &options.allocation, error);
	if (!rc)
		rc = lv_place_find(group, json_object_get(params, "pvs"), &places, error);
	if (!rc)
		rc = create_size(group, params, &options, error);
	if (rc)
		return rc;
	options.tags = tags;
	lv_place_options(&places, &options);
	if (plan) {
		options.planned = say_planned;
		options.planned_arg = &planned;
		return volume_lv_create(group, name, &options, NULL, error);
	}
	rc = volume_lv_create(group, name, &options, &lv, error);
	if (!rc &&
	    (lv_size_is_relative(params) || *rounding(group, lv, number(params, "bytes"), rounded)))
		tell(news, "%s/%s: has %s%s", group->name, name, size_format(lv->size, size),
		     lv_size_is_relative(params) ? "" : rounded);
	return rc;
}

/* ---- Settings ---- */

/* yes, no, or as it is. */
static const bool *flag_of(json_t *params, const char *key, bool *value)
{
	json_t *flag = json_object_get(params, key);

	*value = json_is_true(flag);
	return json_is_boolean(flag) ? value : NULL;
}

static const uint64_t *number_of(json_t *params, const char *key, uint64_t *value)
{
	*value = number(params, key);
	return json_is_integer(json_object_get(params, key)) ? value : NULL;
}

static int set(struct volume_group *group, const char *name, json_t *params, struct error *error)
{
	CLEANUP_FREE const char *const *add = NULL;
	CLEANUP_FREE const char *const *delete = NULL;
	enum volume_allocation allocation;
	bool writable, skip, autoactivate;
	uint64_t least, most;
	struct volume_settings settings = {
		.writable = flag_of(params, "writable", &writable),
		.activation_skip = flag_of(params, "activation_skip", &skip),
		.autoactivate = flag_of(params, "autoactivate", &autoactivate),
		.recovery_least = number_of(params, "recovery_least", &least),
		.recovery_most = number_of(params, "recovery_most", &most),
	};
	int rc = words_of(json_object_get(params, "add_tags"), &add, &settings.add_count);

	if (!rc)
		rc = words_of(json_object_get(params, "delete_tags"), &delete,
			      &settings.delete_count);
	if (!rc)
		rc = policy_of(params, &allocation, error);
	if (rc)
		return rc;
	settings.add_tags = add;
	settings.delete_tags = delete;
	if (json_object_get(params, "allocation"))
		settings.allocation = &allocation;
	return volume_lv_set(group, name, &settings, error);
}

/* That it is the volume that was asked about, as it was then. */
static int check_planned(const struct volume_group *group, const char *name, json_t *params,
			 struct error *error)
{
	const char *uuid = json_string_value(json_object_get(params, "uuid"));
	const struct volume_lv *lv = volume_group_get_lv(group, name);

	if (!uuid || !lv ||
	    (!strcmp(lv->uuid, uuid) && lv->size == number(params, "old_size_bytes")))
		return 0;
	error_set(error, -EAGAIN, "%s/%s: another command has changed it meanwhile", group->name,
		  name);
	return error_advise(error, "nothing was changed; look at it, and begin anew");
}

static int resize(struct volume_group *group, const char *name, json_t *params, json_t *news,
		  struct error *error)
{
	const struct volume_lv *lv = volume_group_get_lv(group, name);
	struct volume_lv_options options = { .less = lv_size_is_relative(params),
					     .no_sync = json_is_true(
						     json_object_get(params, "no_sync")) };
	CLEANUP_LV_PLACES struct lv_places places = { 0 };
	uint64_t before = lv ? lv->size : 0;
	char sizes[2][SIZE_TEXT], rounded[96];
	int rc = policy_of(params, &options.allocation, error);

	if (!rc)
		rc = lv_place_find(group, json_object_get(params, "pvs"), &places, error);
	lv_place_options(&places, &options);
	if (!rc)
		rc = volume_lv_resize(group, name, number(params, "size"), &options, error);
	lv = rc ? NULL : volume_group_get_lv(group, name);
	if (!lv)
		return rc;
	rounding(group, lv, number(params, "wanted_bytes"), rounded);
	size_format(lv->size, sizes[0]);
	if (lv->size == before)
		tell(news, "%s/%s: has %s already%s", group->name, name, sizes[0], rounded);
	else
		tell(news, "%s/%s: has %s now, had %s%s", group->name, name, sizes[0],
		     size_format(before, sizes[1]), rounded);
	return 0;
}

static int repair(struct volume_group *group, const char *name, json_t *params, json_t *news,
		  struct error *error)
{
	CLEANUP_LV_PLACES struct lv_places places = { 0 };
	struct volume_lv_options options = { 0 };
	unsigned replaced = 0;
	int rc = lv_place_find(group, json_object_get(params, "pvs"), &places, error);

	lv_place_options(&places, &options);
	if (!rc)
		rc = volume_lv_repair(group, name, &options, &replaced, error);
	if (!rc && replaced)
		tell(news, "%s/%s: %u lost image%s replaced", group->name, name, replaced,
		     replaced > 1 ? "s are" : " is");
	return rc;
}

/* Images go from devices that are here still. */
static int replace(struct volume_group *group, const char *name, json_t *params, json_t *news,
		   struct error *error)
{
	CLEANUP_LV_PLACES struct lv_places from = { 0 }, places = { 0 };
	struct volume_lv_options options = { 0 };
	unsigned replaced = 0;
	int rc = lv_place_find(group, json_object_get(params, "replace"), &from, error);

	if (!rc && from.range_count)
		rc = error_set(error, -EINVAL, "%s/%s: a whole device is replaced, not extents",
			       group->name, name);
	if (!rc)
		rc = lv_place_find(group, json_object_get(params, "pvs"), &places, error);
	lv_place_options(&places, &options);
	if (!rc)
		rc = volume_lv_replace(group, name, from.pvs, from.pv_count, &options, &replaced,
				       error);
	if (!rc)
		tell(news,
		     "%s/%s: %u image%s replaced; until the new one%s filled it is without %s "
		     "redundancy",
		     group->name, name, replaced, replaced > 1 ? "s are" : " is",
		     replaced > 1 ? "s are" : " is", replaced > 1 ? "their" : "its");
	return rc;
}

static void tell_converted(const struct volume_group *group, const struct volume_lv *lv,
			   json_t *news)
{
	unsigned images = lv->segments->area_count;
	bool redundant = volume_lv_is_raid(lv) && strncmp(volume_lv_type(lv), "raid0", 5) != 0;

	tell(news, "%s/%s: is %s now, in %u part%s%s", group->name, lv->name, volume_lv_type(lv),
	     images, images > 1 ? "s" : "", redundant ? "" : "; its data are kept once");
}

static void tell_reshaped(const struct volume_group *group, const struct volume_lv *lv,
			  const struct volume_reshaped *reshaped, json_t *news)
{
	char text[3][SIZE_TEXT];

	if (reshaped->step == VOLUME_RESHAPE_BEGUN)
		tell(news,
		     "%s/%s: a reshape from %u images to %u of %s: %s are moved while it is open, "
		     "with %s of each image as room; %s in the end. The same command then %sgives "
		     "the room back",
		     group->name, lv->name, reshaped->before, reshaped->images, volume_lv_type(lv),
		     size_format(reshaped->moved, text[0]), size_format(reshaped->room, text[1]),
		     size_format(reshaped->size, text[2]),
		     reshaped->images < reshaped->before
			     ? "lets go of images that are left, and once more "
			     : "");
	else if (reshaped->step == VOLUME_RESHAPE_DROPPED)
		tell(news,
		     "%s/%s: has %u images now; those that a reshape left are free. The same "
		     "command once more gives the room back",
		     group->name, lv->name, reshaped->images);
	else
		tell(news, "%s/%s: the room that a reshape needed is free, %s of each image",
		     group->name, lv->name, size_format(reshaped->room, text[0]));
}

static int convert(struct volume_group *group, const char *name, json_t *params, json_t *news,
		   struct error *error)
{
	CLEANUP_FREE struct volume_pv **pvs = NULL;
	struct volume_reshaped reshaped = { 0 };
	struct volume_convert wish = {
		.reshaped = &reshaped,
		.stripes = (unsigned)number(params, "stripes"),
		.force = json_is_true(json_object_get(params, "force")),
		.type = json_string_value(json_object_get(params, "type")),
		.split_name = json_string_value(json_object_get(params, "split")),
		.region_size = number(params, "region_size"),
		.stripe_size = (uint32_t)number(params, "stripe_size"),
		.mirrors = (unsigned)number(params, "mirrors"),
	};
	int rc = check_numbers(params, name, error);

	if (!rc)
		rc = lv_place_find_pvs(group, params, &pvs, &wish.pv_count, error);
	wish.pvs = pvs;
	if (!rc)
		rc = volume_lv_convert(group, name, &wish, error);
	if (!rc && reshaped.step) {
		tell_reshaped(group, volume_group_get_lv(group, name), &reshaped, news);
		json_object_set_new(params, "reshaped", json_true()); /* for who rehearses it */
	}
	if (!rc && !reshaped.step)
		tell_converted(group, volume_group_get_lv(group, name), news);
	if (!rc && wish.split_name)
		tell(news, "%s/%s: is a volume of its own now", group->name, wish.split_name);
	return rc;
}

/* An image of a mirror is split off for a while, or put back. */
static int track(struct volume_group *group, const char *name, json_t *params, json_t *news,
		 struct error *error)
{
	CLEANUP_FREE struct volume_pv **pvs = NULL;
	const char *other = NULL;
	unsigned count = 0;
	int rc;

	if (json_object_get(params, "merge")) {
		rc = volume_lv_merge(group, name, &other, error);
		if (!rc)
			tell(news, "%s/%s: is an image of %s again, and gets what it missed",
			     group->name, name, other);
		return rc;
	}
	rc = lv_place_find_pvs(group, params, &pvs, &count, error);
	if (!rc)
		rc = volume_lv_track(group, name, pvs, count, &other, error);
	if (!rc)
		tell(news, "%s/%s: is split off; what it misses is noted, until it is put back",
		     group->name, other);
	return rc;
}

static int carry_out(struct volume_group *group, const char *method, json_t *params, json_t *news,
		     struct error *error)
{
	const char *name, *new_name;
	int rc = rpc_param_string(params, "name", &name, error);

	if (rc)
		return rc;
	name = strchr(name, '/') ? strchr(name, '/') + 1 : name;
	if (!strcmp(method, "lv.create"))
		return create(group, name, params, false, news, error);
	rc = check_planned(group, name, params, error);
	if (rc)
		return rc;
	if (!strcmp(method, "lv.remove"))
		return volume_lv_remove(group, name, error);
	if (!strcmp(method, "lv.resize"))
		return resize(group, name, params, news, error);
	if (!strcmp(method, "lv.convert") && json_object_get(params, "replace"))
		return replace(group, name, params, news, error);
	if (!strcmp(method, "lv.convert") &&
	    (json_object_get(params, "track") || json_object_get(params, "merge")))
		return track(group, name, params, news, error);
	if (!strcmp(method, "lv.convert"))
		return convert(group, name, params, news, error);
	if (!strcmp(method, "lv.repair"))
		return repair(group, name, params, news, error);
	if (!strcmp(method, "lv.change") || !strcmp(method, "lv.tag"))
		return set(group, name, params, error);
	rc = rpc_param_string(params, "new_name", &new_name, error);
	return rc ? rc : volume_lv_rename(group, name, new_name, error);
}

int lv_change(struct volume_group *group, const char *method, json_t *params, json_t *news,
	      struct error *error)
{
	const char *name = json_string_value(json_object_get(params, "name"));
	const char *slash = name ? strchr(name, '/') : NULL;
	CLEANUP_VOLUME_COMMAND struct volume_command command = { 0 };
	char text[VOLUME_COMMAND];

	snprintf(text, sizeof(text), "tenon lv %s %s/%s", method + strlen("lv."), group->name,
		 slash  ? slash + 1
		 : name ? name
			: "");
	volume_command_begin(&command, group, text);
	return carry_out(group, method, params, news, error);
}

int lv_change_plan_create(struct volume_group *group, json_t *params, json_t *lines,
			  struct error *error)
{
	const char *name;
	int rc = rpc_param_string(params, "name", &name, error);

	if (rc)
		return rc;
	name = strchr(name, '/') ? strchr(name, '/') + 1 : name;
	return create(group, name, params, true, lines, error);
}

json_t *lv_change_notes(const struct volume_group *group)
{
	json_t *notes = json_array();

	for (unsigned i = group->lasting_problems; i < group->problem_count; i++)
		json_array_append_new(notes, describe_text(group->problems[i]));
	return notes;
}

void lv_change_tell(json_t *notes, json_t *news)
{
	json_t *text;
	size_t index;

	json_array_foreach(news, index, text) {
		if (json_is_string(text))
			cli_note("%s", json_string_value(text));
	}
	json_array_foreach(notes, index, text) {
		if (json_is_string(text))
			cli_warn("%s", json_string_value(text));
	}
}
