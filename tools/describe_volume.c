/* SPDX-License-Identifier: BSD-2-Clause */
/* Groups and what is in them, as JSON. See describe.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "tools/describe.h"
#include "tools/describe_set.h"
#include "tools/serial.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/size.h"
#include "util/text.h"
#include "volume/volume_move.h"
#include "volume/volume_raid.h"

/* With the names of a group and a volume. */
#define PROBLEM_TEXT (512 + 4 * VOLUME_NAME_LENGTH)

json_t *describe_tags(char *const *tags, unsigned count)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < count; i++)
		json_array_append_new(list, describe_text(tags[i]));
	return list;
}

/* ---- Groups ---- */

json_t *describe_group_row(const struct volume_group *group)
{
	json_t *object = json_object();
	unsigned visible = 0;

	for (unsigned i = 0; i < group->lv_count; i++)
		visible += group->lvs[i]->visible;
	set_text(object, "name", group->name);
	set_number(object, "pv_count", group->pv_count);
	set_number(object, "lv_count", visible);
	set_number(object, "size_bytes", group->extent_count * group->extent_size);
	set_number(object, "free_bytes", group->free_extents * group->extent_size);
	set_text(object, "state",
		 group->partial    ? "partial"
		 : group->exported ? "exported"
				   : "complete");
	set_flag(object, "partial", group->partial);
	set_flag(object, "exported", group->exported);
	json_object_set_new(object, "problems",
			    describe_tags(group->problems, group->problem_count));
	set_text(object, "uuid", group->uuid);
	return object;
}

static json_t *describe_group_pv(const struct volume_group *group, const struct volume_pv *pv)
{
	json_t *object = json_object();
	uint32_t free_extents = pv->extent_count - pv->allocated_extents;

	set_text(object, "device", pv->block ? pv->block->name : NULL);
	set_text(object, "name", pv->name);
	set_number(object, "size_bytes", pv->extent_count * group->extent_size);
	set_number(object, "free_bytes", free_extents * group->extent_size);
	set_number(object, "extents", pv->extent_count);
	set_flag(object, "missing_pv", !pv->block || pv->marked_missing);
	set_text(object, "uuid", pv->uuid);
	return object;
}

json_t *describe_group(const struct volume_group *group)
{
	json_t *object = describe_group_row(group), *pvs = json_array(), *lvs = json_array();
	enum volume_allocation allocation = volume_allocation_of(group, NULL);

	set_number(object, "seqno", group->seqno);
	set_number(object, "extent_size_bytes", group->extent_size);
	set_number(object, "extents", group->extent_count);
	set_number(object, "free_extents", group->free_extents);
	set_number(object, "metadata_copies", group->metadata_copies);
	set_text(object, "allocation",
		 allocation == VOLUME_ALLOCATE_INHERIT ? "normal"
						       : volume_allocation_name(allocation));
	set_flag(object, "autoactivate", !group->no_autoactivate);
	set_flag(object, "resizeable", group->resizeable);
	set_number(object, "max_pvs", group->max_pv);
	set_number(object, "max_lvs", group->max_lv);
	set_text(object, "description", group->description);
	set_text(object, "creation_host", group->creation_host);
	set_time(object, "created", (uint64_t)group->creation_time);
	set_text(object, "system_id", group->system_id);
	set_text(object, "locked_reason", group->locked_reason);
	json_object_set_new(object, "tags", describe_tags(group->tags, group->tag_count));
	for (unsigned i = 0; i < group->pv_count; i++)
		json_array_append_new(pvs, describe_group_pv(group, group->pvs[i]));
	json_object_set_new(object, "pvs", pvs);
	for (unsigned i = 0; i < group->lv_count; i++)
		json_array_append_new(lvs, describe_lv_row(group, group->lvs[i]));
	json_object_set_new(object, "lvs", lvs);
	return object;
}

/* ---- Volumes ---- */

/* Why it cannot be used, or NULL; into `text`. */
static const char *lv_problem(const struct volume_group *group, const struct volume_lv *lv,
			      char *text, size_t size)
{
	const char *lost = volume_lv_cut(lv) ? "a physical volume became shorter, and has not all "
					       "of it"
					     : "a physical volume is missing";

	if (volume_lv_is_to_begin(lv) && (!lv->partial || volume_lv_degraded(lv)))
		snprintf(text, size,
			 "%s%sa reshape of it was to begin when the power went, or who began it "
			 "was ended: it opens for reading only; `tenon lv repair %s/%s` begins it, "
			 "and goes on with it",
			 lv->partial ? lost : "", lv->partial ? "; " : "", group->name, lv->name);
	else if (volume_lv_degraded(lv) && volume_lv_reads_only(lv))
		snprintf(text, size, "%s; it can be read where the others have all data", lost);
	else if (volume_lv_degraded(lv) && volume_lv_cut(lv))
		snprintf(text, size,
			 "%s; the others have all data: it is used without that. `tenon lv repair "
			 "%s/%s` replaces what was on it, unless the device is made as long as it "
			 "was",
			 lost, group->name, lv->name);
	else if (volume_lv_degraded(lv))
		snprintf(text, size,
			 "%s; where the others have all data `tenon lv repair %s/%s` replaces what "
			 "was on it",
			 lost, group->name, lv->name);
	else if (lv->partial)
		return lost;
	else if (!lv->supported)
		snprintf(text, size, "its type, %s, is not supported", volume_lv_type(lv));
	else if (volume_lv_beside_cut(lv))
		return "a physical volume became shorter, and has all of it still: it opens for "
		       "reading only until that is as long as it was, or is taken as it is (`tenon "
		       "pv "
		       "resize`)";
	else if (volume_lv_reads_only(lv))
		snprintf(text, size,
			 "its type is mirror, lvm2's older one, which is not written to here; "
			 "`tenon "
			 "lv convert %s/%s --type raid1` makes of it what is",
			 group->name, lv->name);
	else
		return NULL;
	return text;
}

const char *describe_lv_state(const struct volume_lv *lv)
{
	return volume_lv_degraded(lv)                      ? "degraded"
	       : lv->partial                               ? "partial"
	       : !lv->supported                            ? "unsupported"
	       : lv->writable && !volume_lv_reads_only(lv) ? "writable"
							   : "read-only";
}

void describe_in_use(char *attributes)
{
	if (strlen(attributes) + 1 < VOLUME_ATTRIBUTES)
		return;
	if (attributes[4] == '-')
		attributes[4] = 'a';
	attributes[5] = 'o';
}

json_t *describe_lv_row(const struct volume_group *group, const struct volume_lv *lv)
{
	char attributes[VOLUME_ATTRIBUTES], serial[SERIAL_TEXT], problem[PROBLEM_TEXT];
	uint32_t moved, moving;
	json_t *object = json_object();

	volume_lv_attributes(lv, attributes);
	set_text(object, "name", lv->name);
	set_text(object, "vg", group->name);
	set_text(object, "type", volume_lv_type(lv));
	set_text(object, "attributes", attributes);
	set_number(object, "size_bytes", lv->size);
	set_number(object, "segment_count", lv->segment_count);
	json_object_set_new(object, "tags", describe_tags(lv->tags, lv->tag_count));
	set_text(object, "state", describe_lv_state(lv));
	json_object_set_new(object, "moved_percent",
			    volume_lv_moving(lv, &moved, &moving)
				    ? json_real(100.0 * moved / moving)
				    : json_null());
	set_text(object, "problem", lv_problem(group, lv, problem, sizeof(problem)));
	set_text(object, "uuid", lv->uuid);
	set_text(object, "serial", serial_of_volume(group, lv, serial));
	return object;
}

/* The device of an area: of a PV that is here its path, else the PV's name in the metadata. */
static json_t *describe_areas(const struct volume_segment *segment)
{
	json_t *list = json_array();
	char text[512];

	for (unsigned i = 0; i < segment->area_count; i++) {
		const struct volume_area *area = &segment->areas[i];
		const char *name = area->lv_name;

		if (area->pv)
			name = area->pv->block ? area->pv->block->name : area->pv->name;
		snprintf(text, sizeof(text), "%s(%u)", name ? name : "?", area->extent);
		json_array_append_new(list, describe_text(text));
	}
	return list;
}

static void set_reshape_room(json_t *object, const struct volume_group *group,
			     const struct volume_lv *lv)
{
	uint64_t room = volume_lv_reshape_room(group, lv);
	char text[512];

	snprintf(text, sizeof(text), "tenon lv convert %s/%s --type %s", group->name, lv->name,
		 volume_lv_type(lv));
	set_number_if(object, "reshape_room_bytes", room, room);
	set_text(object, "reshape_room_command", room ? text : NULL);
}

static void set_recovery_rate(json_t *object, const struct volume_lv *lv)
{
	struct raid_speed speed = volume_lv_speed(lv);

	set_number_if(object, "recovery_min_bytes", speed.least, speed.least);
	set_number_if(object, "recovery_max_bytes", speed.most, speed.most);
}

json_t *describe_lv(const struct volume_group *group, const struct volume_lv *lv)
{
	json_t *object = describe_lv_row(group, lv), *segments = json_array();

	set_number(object, "extents", lv->extent_count);
	set_flag(object, "visible", lv->visible);
	set_flag(object, "writable", lv->writable);
	set_text(object, "allocation", volume_allocation_name(volume_allocation_of(group, lv)));
	set_flag(object, "autoactivate", !lv->no_autoactivate);
	set_flag(object, "activation_skip", lv->activation_skip);
	set_flag(object, "partial", lv->partial);
	set_flag(object, "supported", lv->supported);
	set_reshape_room(object, group, lv);
	set_recovery_rate(object, lv);
	set_text(object, "creation_host", lv->creation_host);
	set_time(object, "created", (uint64_t)lv->creation_time);
	for (unsigned i = 0; i < lv->segment_count; i++) {
		const struct volume_segment *segment = &lv->segments[i];
		json_t *row = json_object();

		set_number(row, "start", segment->start_extent);
		set_number(row, "extents", segment->extent_count);
		set_text(row, "type",
			 segment->area_count == 1 && !strcmp(segment->type, "striped")
				 ? "linear"
				 : segment->type);
		set_number(row, "stripe_size_bytes", segment->stripe_size);
		json_object_set_new(row, "areas", describe_areas(segment));
		json_array_append_new(segments, row);
	}
	json_object_set_new(object, "segments", segments);
	return object;
}

/* ---- Physical volumes ---- */

/* What is the matter with it, or NULL; into `text`. */
static const char *pv_problem(const struct volume_scanned *scanned, char *text, size_t size)
{
	const struct volume_pv_info *info = &scanned->info;
	char has[SIZE_TEXT], had[SIZE_TEXT];

	if (scanned->problem)
		return scanned->problem;
	if (scanned->is_pv && info->device_size > scanned->block->size) {
		snprintf(text, size, "truncated: it has %s, and had %s when it was made",
			 size_format(scanned->block->size, has),
			 size_format(info->device_size, had));
		return text;
	}
	if (scanned->pv && scanned->pv->duplicate)
		return "duplicate: another device carries its UUID";
	if (scanned->group)
		return NULL;
	if (!info->used)
		return "in no volume group";
	snprintf(text, size, "marked as in use by %s%s, whose metadata are not on these devices",
		 info->vg_name[0] ? "the volume group " : "a volume group", info->vg_name);
	return text;
}

json_t *describe_pv_row(const struct volume_scanned *scanned)
{
	const struct volume_group *group = scanned->group;
	const struct volume_pv *pv = scanned->pv;
	json_t *object = json_object();
	char problem[512];

	set_text(object, "device", scanned->block->name);
	set_text(object, "vg", group ? group->name : NULL);
	set_number(object, "size_bytes", scanned->block->size);
	if (group && pv)
		set_number(object, "free_bytes",
			   (pv->extent_count - pv->allocated_extents) * group->extent_size);
	else
		json_object_set_new(object, "free_bytes", json_null());
	set_text(object, "uuid", scanned->info.uuid);
	set_text(object, "problem", pv_problem(scanned, problem, sizeof(problem)));
	return object;
}

json_t *describe_pv(const struct volume_scanned *scanned)
{
	const struct volume_pv_info *info = &scanned->info;
	const struct volume_pv *pv = scanned->pv;
	json_t *object = describe_pv_row(scanned);

	set_number(object, "label_sector", info->label_sector);
	set_number(object, "recorded_size_bytes", info->device_size);
	set_number(object, "data_offset_bytes", info->data_offset);
	set_number(object, "bootloader_area_bytes", info->bootloader_length);
	set_flag(object, "used", info->used);
	set_number(object, "metadata_areas", info->metadata_areas);
	set_number(object, "metadata_areas_used", info->metadata_areas_used);
	set_text(object, "name", pv ? pv->name : NULL);
	set_number_if(object, "pe_start_bytes", pv, pv ? pv->pe_start : 0);
	set_number_if(object, "extents", pv, pv ? pv->extent_count : 0);
	set_number_if(object, "allocated_extents", pv, pv ? pv->allocated_extents : 0);
	json_object_set_new(object, "allocatable",
			    pv ? json_boolean(pv->allocatable) : json_null());
	json_object_set_new(object, "tags",
			    pv ? describe_tags(pv->tags, pv->tag_count) : json_array());
	return object;
}

json_t *describe_kept(const struct volume_kept *kept)
{
	json_t *object = json_object();

	set_text(object, "vg", kept->vg);
	set_number(object, "seqno", kept->seqno);
	set_text(object, "kind", kept->backup ? "backup" : "archive");
	set_time(object, "created", (uint64_t)kept->time);
	set_text(object, "description", kept->description);
	set_text(object, "creation_host", kept->host);
	set_text(object, "uuid", *kept->uuid ? kept->uuid : NULL);
	set_text(object, "file", kept->path);
	set_text(object, "problem", kept->problem);
	return object;
}
