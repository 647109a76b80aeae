/* SPDX-License-Identifier: BSD-2-Clause */
/* Arrays of RAID volumes in use; see active_raid.h. */
#include "volume/active_raid.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raid/raid.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/log.h"
#include "volume/active.h"
#include "volume/segment_raid.h"

struct lvm_array {
	unsigned references;
	struct raid_array *raid;
	struct log *log;
	/* What it was assembled from. */
	const struct lvm_raid_kind *kind;
	uint32_t extents;
	unsigned places;
	uint32_t stripe_size;
	bool begins; /* with a reshape, or with room taken from before its data */
	uint64_t begins_at;
	char (*uuids)[VOLUME_UUID_TEXT]; /* of the images by place, then of the metadata volumes */
};

struct raid_array *lvm_array_raid(const struct lvm_array *array)
{
	return array->raid;
}

struct lvm_array *lvm_array_ref(struct lvm_array *array)
{
	array->references++;
	return array;
}

static void array_free(struct lvm_array *array)
{
	free(array->uuids);
	free(array);
}

void lvm_array_unref(struct lvm_array *array)
{
	struct error why = { 0 };

	if (!array || --array->references)
		return;
	if (raid_stop(array->raid, &why))
		log_warning(array->log, "%s", why.text);
	array_free(array);
}

/* NULL: there is none, and its uuid is empty, as that of one that is split off. */
static bool is_another(const struct volume_area *area, const char *uuid)
{
	return area && !lvm_raid_tracked(area) ? !area->lv || strcmp(area->lv->uuid, uuid) != 0
					       : uuid[0] != '\0';
}

/* Superblocks are told so when it is assembled; that the group forgets it then makes no other array of it. The next one that is to begin is at
 * another place, or of another shape. */
static bool begins_anew(const struct lvm_array *array, const struct lvm_raid *raid)
{
	return raid->begins && (!array->begins || raid->begins_at != array->begins_at);
}

bool lvm_array_differs(const struct lvm_array *array, const struct volume_lv *lv)
{
	const struct volume_segment *segment = lvm_lv_raid(lv);

	if (!segment || segment->extent_count != array->extents ||
	    segment->area_count != array->places || segment->private->raid->kind != array->kind ||
	    segment->stripe_size != array->stripe_size ||
	    begins_anew(array, segment->private->raid))
		return true;
	for (unsigned i = 0; i < array->places; i++)
		if (is_another(&segment->areas[i], array->uuids[i]) ||
		    is_another(segment->metas ? &segment->metas[i] : NULL,
			       array->uuids[array->places + i]))
			return true;
	return false;
}

static struct lvm_array *array_new(const struct volume_segment *segment, struct log *log)
{
	struct lvm_array *array = calloc(1, sizeof(*array));

	if (!array)
		return NULL;
	array->references = 1;
	array->log = log;
	array->extents = segment->extent_count;
	array->places = segment->area_count;
	array->kind = segment->private->raid->kind;
	array->stripe_size = segment->stripe_size;
	array->begins = segment->private->raid->begins;
	array->begins_at = segment->private->raid->begins_at;
	array->uuids = calloc(2ul * array->places, sizeof(*array->uuids));
	if (!array->uuids) {
		free(array);
		return NULL;
	}
	for (unsigned i = 0; i < array->places; i++) {
		if (!lvm_raid_tracked(&segment->areas[i]))
			memcpy(array->uuids[i], segment->areas[i].lv->uuid, VOLUME_UUID_TEXT);
		if (segment->metas)
			memcpy(array->uuids[array->places + i], segment->metas[i].lv->uuid,
			       VOLUME_UUID_TEXT);
	}
	return array;
}

/* ---- Parts ---- */

struct array_opening {
	struct lvm_activation *activation;
	const struct volume_segment *segment;
	struct raid_component *components;
	struct error lost; /* why the first of them is */
	struct error *error;
};

static void drop_parts(const struct array_opening *opening)
{
	for (unsigned i = 0; i < opening->segment->area_count; i++) {
		block_unref(opening->components[i].data);
		block_unref(opening->components[i].meta);
	}
}

/* One that is lost stays NULL. */
static int open_part(struct array_opening *opening, const struct volume_area *area,
		     struct block **out)
{
	struct lvm_activation *activation = opening->activation;
	struct error why = { 0 };
	int rc = lvm_active_open(activation->group, area->lv, activation->writable, out, &why);

	if (!rc)
		return 0;
	*out = NULL;
	if (rc == -ENXIO || lvm_raid_part_lost(area->lv)) {
		if (!opening->lost.text[0])
			opening->lost = why;
		return 0;
	}
	if (opening->error)
		*opening->error = why;
	error_prefix(opening->error, "%s/%s", activation->group->name, activation->lv->name);
	return rc;
}

static int open_place(struct array_opening *opening, unsigned place)
{
	const struct volume_segment *segment = opening->segment;
	struct raid_component *component = &opening->components[place];
	const struct lvm_strings *status = &segment->areas[place].lv->private->status;
	int rc = 0;

	if (lvm_raid_tracked(&segment->areas[place]))
		return 0;
	component->rebuild = lvm_strings_contain(status, "REBUILD");
	component->write_mostly = lvm_strings_contain(status, "WRITEMOSTLY");
	component->removed = lvm_raid_removed(segment, place);
	component->added = lvm_raid_added(segment, place);
	component->cut = segment->areas[place].lv->private->has_cut ||
			 (segment->metas && segment->metas[place].lv->private->has_cut);
	if (segment->metas)
		rc = open_part(opening, &segment->metas[place], &component->meta);
	if (rc || (segment->metas && !component->meta))
		return rc;
	rc = open_part(opening, &segment->areas[place], &component->data);
	if (component->data || !component->meta)
		return rc;
	block_unref(steal_pointer(&component->meta));
	return rc;
}

/* ---- The array ---- */

/* Of what lvm2's --minrecoveryrate and --maxrecoveryrate say the ceiling counts, as with md. */
void lvm_array_set_speed(struct raid_array *array, struct raid_speed speed)
{
	if (!speed.least)
		speed.least = RAID_SPEED_LEAST;
	if (speed.most)
		speed.least = MIN(speed.least, speed.most);
	raid_sync_set_speed(array, speed);
}

/* Said once of each, until the group changes: an array may be assembled often. */
static void tell_unread(const struct array_opening *opening)
{
	struct volume_group *group = opening->activation->group;
	const char *name = opening->activation->lv->name;
	char text[4 * VOLUME_NAME_LENGTH + 160];

	for (unsigned i = 0; i < opening->segment->area_count; i++) {
		bool told = false;

		if (!opening->components[i].unread)
			continue;
		snprintf(text, sizeof(text),
			 "%s/%s: is used without its image %s, whose superblock cannot be read; "
			 "`tenon lv repair %s/%s` replaces it",
			 group->name, name, opening->segment->areas[i].lv->name, group->name, name);
		for (unsigned k = 0; k < group->problem_count; k++)
			told |= !strcmp(group->problems[k], text);
		if (!told)
			lvm_vg_problem(group, "%s", text);
	}
}

static int assemble(struct array_opening *opening, struct raid_array **out)
{
	const struct volume_segment *segment = opening->segment;
	const struct volume_group *group = opening->activation->group;
	const struct lvm_raid *raid = segment->private->raid;
	const struct volume_lv *lv = opening->activation->lv;
	char name[2 * VOLUME_NAME_LENGTH + 2];
	struct raid_shape shape = {
		.name = name,
		.level = raid->kind->level,
		.layout = raid->kind->layout + (raid->kind->level == 10 ? raid->copies : 0),
		.chunk = segment->stripe_size,
		.region = raid->region,
		.in_sync = lvm_strings_contain(&lv->private->status, "NOTSYNCED"),
		.room = raid->room * group->extent_size,
		.begins = raid->begins,
		.begins_at = raid->begins_at,
	};
	struct raid_assemble_options options = { .read_only = !opening->activation->writable,
						 .no_resync = group->private->no_resync,
						 .grown_in_sync = lv->private->grown_in_sync,
						 .log = group->private->log };
	int rc;

	snprintf(name, sizeof(name), "%s/%s", group->name, lv->name);
	rc = raid_assemble_components(out, &shape, opening->components, segment->area_count,
				      &options, opening->error);
	if (rc && opening->lost.text[0])
		error_advise(opening->error, "%s", opening->lost.text);
	if (!rc) {
		lvm_array_set_speed(*out, raid->speed);
		tell_unread(opening);
	}
	return rc;
}

/* While it is reshaped it has the smaller of two sizes; and lvm2 goes on saying the larger one of a volume that has fewer images now, until these
 * are let go. */
static int check_size(const struct array_opening *opening, const struct block *block)
{
	const struct lvm_activation *activation = opening->activation;
	uint64_t least = activation->lv->size;

	return block->size >= least || opening->segment->private->raid->room ||
			       opening->segment->private->flags
		       ? 0
		       : error_set(opening->error, -EINVAL,
				   "%s/%s: its array has %llu bytes, and the volume must have %llu",
				   activation->group->name, activation->lv->name,
				   (unsigned long long)block->size, (unsigned long long)least);
}

static int make_array(struct array_opening *opening, struct lvm_array **out)
{
	const struct volume_segment *segment = opening->segment;
	struct lvm_array *array = array_new(segment, opening->activation->group->private->log);
	int rc = array ? 0 : -ENOMEM;

	for (unsigned i = 0; !rc && i < segment->area_count; i++)
		rc = open_place(opening, i);
	if (!rc)
		rc = assemble(opening, &array->raid);
	drop_parts(opening);
	if (rc && array)
		array_free(array);
	if (rc)
		return rc;
	rc = check_size(opening, raid_array_block(array->raid));
	if (rc)
		lvm_array_unref(array);
	else
		*out = array;
	return rc;
}

int lvm_raid_activate(struct lvm_activation *activation, const struct volume_segment *segment,
		      struct error *error)
{
	struct array_opening opening = { .activation = activation,
					 .segment = segment,
					 .error = error };
	uint64_t length = activation->lv->size;
	struct lv_table *table = activation->table;
	struct lvm_array *array = activation->array;
	int rc;

	if (array) {
		lv_table_add_array(table, lvm_array_ref(array), length);
		return 0;
	}
	opening.components = calloc(segment->area_count, sizeof(*opening.components));
	if (!opening.components)
		return error_set(error, -ENOMEM, "%s/%s: no memory to open it",
				 activation->group->name, activation->lv->name);
	rc = make_array(&opening, &array);
	if (!rc)
		lv_table_add_array(table, array, length);
	free(opening.components);
	return rc;
}
