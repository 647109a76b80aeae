/* SPDX-License-Identifier: BSD-2-Clause */
/* See lv_change.h. */
#include "tools/lv_change.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/rpc.h"
#include "tools/cli.h"
#include "tools/describe.h"
#include "util/error.h"
#include "volume/volume.h"

static uint64_t number(json_t *params, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(params, key));

	return value > 0 ? (uint64_t)value : 0;
}

static int create(struct volume_group *group, const char *name, json_t *params, struct error *error)
{
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
	return volume_lv_create(group, name, &options, NULL, error);
}

int lv_change(struct volume_group *group, const char *method, json_t *params, struct error *error)
{
	const char *name, *new_name;
	int rc = rpc_param_string(params, "name", &name, error);

	if (rc)
		return rc;
	name = strchr(name, '/') ? strchr(name, '/') + 1 : name;
	if (!strcmp(method, "lv.create"))
		return create(group, name, params, error);
	if (!strcmp(method, "lv.remove"))
		return volume_lv_remove(group, name, error);
	if (!strcmp(method, "lv.resize"))
		return volume_lv_resize(group, name, number(params, "size"), NULL, error);
	rc = rpc_param_string(params, "new_name", &new_name, error);
	return rc ? rc : volume_lv_rename(group, name, new_name, error);
}

json_t *lv_change_notes(const struct volume_group *group, unsigned from)
{
	json_t *notes = json_array();

	for (unsigned i = from; i < group->problem_count; i++)
		json_array_append_new(notes, describe_text(group->problems[i]));
	return notes;
}

void lv_change_tell(json_t *notes)
{
	json_t *note;
	size_t index;

	json_array_foreach(notes, index, note) {
		if (json_is_string(note))
			cli_warn("%s", json_string_value(note));
	}
}
