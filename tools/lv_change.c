/* SPDX-License-Identifier: BSD-2-Clause */
/* See lv_change.h. */
#include "tools/lv_change.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/rpc.h"
#include "tools/cli.h"
#include "tools/describe.h"
#include "util/error.h"
#include "util/size.h"
#include "volume/volume.h"

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

static int create(struct volume_group *group, const char *name, json_t *params, json_t *news,
		  struct error *error)
{
	struct volume_lv *lv;
	char size[SIZE_TEXT], rounded[96];
	int rc;

	json_t *tags = json_object_get(params, "tags"), *tag;
	size_t count = json_array_size(tags), index;
	CLEANUP_FREE const char **texts = calloc(count + 1, sizeof(*texts));
	struct volume_lv_options options = {
		.size = number(params, "size"),
		.extents = (uint32_t)number(params, "extents"),
		.stripes = (unsigned)number(params, "stripes"),
		.stripe_size = (uint32_t)number(params, "stripe_size"),
		.read_only = json_is_true(json_object_get(params, "read_only")),
		.tags = texts,
	};

	if (!texts)
		return -ENOMEM;
	if (json_is_true(json_object_get(params, "contiguous")))
		options.allocation = VOLUME_ALLOCATE_CONTIGUOUS;
	if (number(params, "extents") > UINT32_MAX || number(params, "stripe_size") > UINT32_MAX ||
	    number(params, "stripes") > UINT32_MAX)
		return error_set(error, -ERANGE, "%s: a number of extents or stripes over %u", name,
				 UINT32_MAX);
	json_array_foreach(tags, index, tag) {
		if (json_is_string(tag))
			texts[options.tag_count++] = json_string_value(tag);
	}
	rc = volume_lv_create(group, name, &options, &lv, error);
	if (!rc && *rounding(group, lv, options.size, rounded))
		tell(news, "%s/%s: has %s%s", group->name, name, size_format(lv->size, size),
		     rounded);
	return rc;
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
	uint64_t before = lv ? lv->size : 0;
	char sizes[2][SIZE_TEXT], rounded[96];
	int rc = volume_lv_resize(group, name, number(params, "size"), NULL, error);

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

int lv_change(struct volume_group *group, const char *method, json_t *params, json_t *news,
	      struct error *error)
{
	const char *name, *new_name;
	int rc = rpc_param_string(params, "name", &name, error);

	if (rc)
		return rc;
	name = strchr(name, '/') ? strchr(name, '/') + 1 : name;
	if (!strcmp(method, "lv.create"))
		return create(group, name, params, news, error);
	rc = check_planned(group, name, params, error);
	if (rc)
		return rc;
	if (!strcmp(method, "lv.remove"))
		return volume_lv_remove(group, name, error);
	if (!strcmp(method, "lv.resize"))
		return resize(group, name, params, news, error);
	rc = rpc_param_string(params, "new_name", &new_name, error);
	return rc ? rc : volume_lv_rename(group, name, new_name, error);
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
