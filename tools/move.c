/* SPDX-License-Identifier: BSD-2-Clause */
/* See move.h. */
#include "tools/move.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "tools/describe.h"
#include "tools/lv_size.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/size.h"

static int find_source(const struct volume_group *group, json_t *params, struct lv_places *places,
		       struct error *error)
{
	json_t *from = json_object_get(params, "from"), *one;
	int rc;

	if (!json_is_string(from))
		return 0;
	one = json_pack("[O]", from);
	rc = one ? lv_place_find(group, one, places, error) : -ENOMEM;
	json_decref(one);
	if (!rc && places->pv_count != 1)
		rc = error_set(error, -EINVAL, "%s: stands for %u physical volumes, expected one",
			       json_string_value(from), places->pv_count);
	return rc;
}

/* Names in the group, also as VG/LV. */
static int list_volumes(const struct volume_group *group, json_t *list, const char ***out,
			unsigned *count, struct error *error)
{
	const char **names = *out = calloc(json_array_size(list) + 1, sizeof(*names));
	size_t length = strlen(group->name), index;
	json_t *item;

	if (!names)
		return -ENOMEM;
	if (list && !json_is_array(list))
		return error_set(error, -EINVAL, "\"volumes\": expected a list");
	json_array_foreach(list, index, item) {
		const char *name = json_string_value(item), *slash;

		if (!name)
			return error_set(error, -EINVAL, "\"volumes\": expected names");
		slash = strchr(name, '/');
		if (slash &&
		    ((size_t)(slash - name) != length || strncmp(name, group->name, length)))
			return error_set(error, -EINVAL, "%s: is no volume of volume group %s",
					 name, group->name);
		names[(*count)++] = slash ? slash + 1 : name;
	}
	return 0;
}

struct volume_move_run move_run_options(json_t *params)
{
	json_int_t rate = json_integer_value(json_object_get(params, "rate"));

	return (struct volume_move_run){ .rate = rate > 0 ? (uint64_t)rate : 0 };
}

int move_begin(struct volume_group *group, json_t *params, json_t *news, struct error *error)
{
	const char *policy = json_string_value(json_object_get(params, "allocation"));
	CLEANUP_LV_PLACES struct lv_places from = { 0 }, to = { 0 };
	CLEANUP_FREE const char **volumes = NULL;
	struct volume_move_options options = { 0 };
	char text[VOLUME_NAME_LENGTH + 128], size[SIZE_TEXT];
	uint32_t extents = 0;
	int rc;

	rc = list_volumes(group, json_object_get(params, "volumes"), &volumes,
			  &options.volume_count, error);
	if (!rc)
		rc = find_source(group, params, &from, error);
	if (!rc)
		rc = lv_place_find(group, json_object_get(params, "pvs"), &to, error);
	if (!rc && policy)
		rc = volume_allocation_parse(policy, &options.allocation, error);
	options.volumes = volumes;
	options.rate = move_run_options(params).rate;
	options.from = from.pv_count ? from.pvs[0] : NULL;
	options.from_ranges = from.ranges;
	options.from_range_count = from.range_count;
	options.to = to.pvs;
	options.to_count = to.pv_count;
	options.to_ranges = to.ranges;
	options.to_range_count = to.range_count;
	if (!rc)
		rc = volume_move_begin(group, &options, &extents, error);
	if (rc)
		return rc;
	snprintf(text, sizeof(text), "%s: %u extents are to move, %s", group->name, extents,
		 size_format(extents * group->extent_size, size));
	json_array_append_new(news, describe_text(text));
	return 0;
}

const char *move_command_text(json_t *params)
{
	return json_is_true(json_object_get(params, "of_volume")) ? "tenon lv move"
								  : "tenon pv move";
}

static const char *device_of(const struct volume_area *area)
{
	return area->pv->block ? area->pv->block->name : area->pv->uuid;
}

/* Whether a step goes on where the last one ends, on both sides. */
static bool continues(const struct volume_segment *last, const struct volume_segment *next)
{
	for (unsigned i = 0; i < 2; i++)
		if (last->areas[i].pv != next->areas[i].pv ||
		    last->areas[i].extent + last->extent_count != next->areas[i].extent)
			return false;
	return true;
}

void move_describe_plan(const struct volume_group *group, json_t *lines)
{
	const struct volume_lv *move = volume_move_layer(group);

	for (unsigned i = 0, next; move && i < move->segment_count; i = next) {
		const struct volume_area *areas = move->segments[i].areas;
		uint32_t extents = move->segments[i].extent_count;
		CLEANUP_FREE char *text = NULL;

		for (next = i + 1; next < move->segment_count &&
				   continues(&move->segments[next - 1], &move->segments[next]);
		     next++)
			extents += move->segments[next].extent_count;
		if (asprintf(&text, "  %s: extents %u to %u, to extent %u of %s on",
			     device_of(&areas[0]), areas[0].extent, areas[0].extent + extents - 1,
			     areas[1].extent, device_of(&areas[1])) < 0)
			return;
		json_array_append_new(lines, describe_text(text));
	}
}

json_t *move_describe(const struct volume_group *group, const struct volume_move_status *status)
{
	double total = status->total ? (double)status->total : 1;

	return json_pack(
		"{s:o, s:o, s:I, s:I, s:f, s:o, s:b, s:o}", "name", describe_text(group->name),
		"from", describe_path(*status->from ? status->from : NULL), "position_bytes",
		(json_int_t)status->done, "total_bytes", (json_int_t)status->total, "done_percent",
		100.0 * (double)status->done / total, "rate_bytes",
		status->running ? json_integer((json_int_t)status->rate) : json_null(), "running",
		status->running, "problem",
		describe_text(status->rc && !status->running && *status->why ? status->why : NULL));
}
