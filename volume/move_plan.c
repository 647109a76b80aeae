/* SPDX-License-Identifier: BSD-2-Clause */
/* The beginning of a move (move.h): the layer under the volumes whose extents move. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/lvm_io.h"
#include "volume/move.h"
#include "volume/move_plan.h"

/* A step is done again as a whole after a crash, and costs a commit and some 400 bytes of metadata. */
#define STEPS_MOST  64u
#define REGION_MOST 4096u /* sectors: LVM2's mirror_region_size */
#define STEP_LEAST  (256ull << 20)

/* ---- The layer ---- */

/* LVM2 wants one, though it chooses again when it makes its mirror: a power of two that divides the step. */
static uint32_t region_of(const struct volume_group *group, uint32_t extents)
{
	uint64_t sectors = extents * group->private->extent_sectors;
	uint32_t region = REGION_MOST;

	while (sectors % region)
		region /= 2;
	return region;
}

static int add_step(struct move_planning *planning, const struct volume_area *from,
		    const struct volume_area *to, uint32_t extents)
{
	struct volume_lv *move = planning->move;
	struct lvm_config *memory = &planning->group->private->memory;
	struct volume_segment *step;

	if (move->segment_count == planning->step_room) {
		uint32_t room = planning->step_room ? 2 * planning->step_room : 64;
		struct volume_segment *grown = lvm_config_alloc(memory, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		if (move->segment_count)
			memcpy(grown, move->segments, move->segment_count * sizeof(*grown));
		move->segments = grown;
		planning->step_room = room;
	}
	step = &move->segments[move->segment_count];
	*step = (struct volume_segment){
		.start_extent = move->extent_count,
		.extent_count = extents,
		.type = (char *)lvm_segment_move.name,
		.area_count = 2,
		.areas = lvm_config_alloc(memory, 2 * sizeof(*step->areas)),
		.private = lvm_config_alloc(memory, sizeof(*step->private)),
	};
	if (!step->areas || !step->private)
		return -ENOMEM;
	step->private->type = &lvm_segment_move;
	step->private->region_sectors = region_of(planning->group, extents);
	step->areas[0] = *from;
	step->areas[1] = *to;
	move->segment_count++;
	move->extent_count += extents;
	return 0;
}

/* One segment of a volume on its way: of each area that moves, what it was given. */
struct moved_area {
	uint32_t start, count; /* extents of the area, from its own start on */
	struct allocate_result pieces;
};

/* Where after `at` the first of them, or of their pieces, begins or ends, at most a step further. */
static uint32_t next_cut(const struct move_planning *planning, const struct volume_segment *segment,
			 const struct moved_area *moved, uint32_t at)
{
	uint64_t cut = lvm_segment_area_extents(segment);
	bool moves = false;

	for (unsigned i = 0; i < segment->area_count; i++) {
		uint64_t end = moved[i].start;

		if (!moved[i].count)
			continue;
		if (end > at)
			cut = MIN(cut, end);
		for (size_t k = 0; k < moved[i].pieces.count; k++) {
			uint64_t start = end;

			end += moved[i].pieces.lengths[k];
			if (end > at)
				cut = MIN(cut, end);
			moves |= start <= at && end > at;
		}
	}
	return moves ? MIN((uint32_t)cut, at + planning->step_extents) : (uint32_t)cut;
}

/* Where extent `at` of an area goes to; false: it stays. */
static bool piece_at(const struct move_planning *planning, const struct moved_area *moved,
		     uint32_t at, struct volume_area *to)
{
	uint32_t start = moved->start;

	for (size_t k = 0; moved->count && k < moved->pieces.count; k++) {
		uint32_t length = moved->pieces.lengths[k];

		if (at >= start && at - start < length) {
			const struct allocate_place *place = &moved->pieces.places[k];

			*to = (struct volume_area){ .pv = planning->group->pvs[place->pv],
						    .extent = place->extent + at - start };
			return true;
		}
		start += length;
	}
	return false;
}

/* The part [at, cut) of the areas of a segment, on the layer where it moves. */
static int add_part(struct move_planning *planning, const struct volume_segment *segment,
		    const struct moved_area *moved, uint32_t at, uint32_t cut,
		    struct volume_segment *part)
{
	struct volume_lv *move = planning->move;

	*part = *segment;
	part->start_extent = segment->start_extent + at * segment->area_count;
	part->extent_count = (cut - at) * segment->area_count;
	part->areas = lvm_config_alloc(&planning->group->private->memory,
				       segment->area_count * sizeof(*part->areas));
	if (!part->areas)
		return -ENOMEM;
	for (unsigned i = 0; i < segment->area_count; i++) {
		struct volume_area from = segment->areas[i], to;
		uint32_t start = move->extent_count;

		from.extent += at;
		part->areas[i] = from;
		if (!piece_at(planning, &moved[i], at, &to))
			continue;
		if (add_step(planning, &from, &to, cut - at))
			return -ENOMEM;
		part->areas[i] =
			(struct volume_area){ .lv_name = move->name, .lv = move, .extent = start };
	}
	return 0;
}

static int allocate_areas(struct move_planning *planning, const struct volume_lv *lv,
			  const struct volume_segment *segment, struct moved_area *moved)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < segment->area_count; i++) {
		uint32_t start;

		moved[i].count = lvm_move_source_part(planning, &segment->areas[i],
						      lvm_segment_area_extents(segment), &start);
		moved[i].start = start - segment->areas[i].extent;
		if (moved[i].count)
			rc = lvm_move_allocate(planning, lv, segment, i, moved[i].count,
					       &moved[i].pieces);
	}
	return rc;
}

/* Appends the parts of one segment to `segments`, which has `count` and grows. */
static int move_segment(struct move_planning *planning, const struct volume_lv *lv,
			const struct volume_segment *segment, struct volume_segment **segments,
			unsigned *count)
{
	struct moved_area *moved = calloc(segment->area_count + 1, sizeof(*moved));
	uint32_t all = segment->area_count ? lvm_segment_area_extents(segment) : 0;
	int rc = moved ? allocate_areas(planning, lv, segment, moved)
		       : change_no_memory(planning->group, planning->error);

	for (uint32_t at = 0; !rc && at < all;) {
		uint32_t cut = next_cut(planning, segment, moved, at);
		struct volume_segment *grown =
			realloc(*segments, (*count + 1) * sizeof(struct volume_segment));

		if (grown)
			*segments = grown;
		if (!grown || add_part(planning, segment, moved, at, cut, &grown[*count]))
			rc = change_no_memory(planning->group, planning->error);
		else
			(*count)++;
		at = cut;
	}
	for (unsigned i = 0; moved && i < segment->area_count; i++)
		allocate_result_free(&moved[i].pieces);
	free(moved);
	return rc;
}

/* Piece by piece, so that of each all of an area moves, or nothing. */
static int move_pieces(struct move_planning *planning, const struct volume_lv *lv,
		       const struct volume_segment *segment, struct volume_segment **segments,
		       unsigned *count)
{
	CLEANUP_FREE struct volume_area *areas = calloc(segment->area_count, sizeof(*areas));
	uint32_t all = lvm_segment_area_extents(segment), cut;
	int rc = areas ? 0 : change_no_memory(planning->group, planning->error);

	for (uint32_t at = 0; !rc && at < all; at = cut) {
		struct volume_segment piece = *segment;

		cut = lvm_move_same_until(planning, segment, at);
		if (at || cut < all) {
			piece.start_extent += at * segment->area_count;
			piece.extent_count = (cut - at) * segment->area_count;
			memcpy(areas, segment->areas, segment->area_count * sizeof(*areas));
			for (unsigned i = 0; i < segment->area_count; i++)
				areas[i].extent += at;
			piece.areas = areas;
		}
		rc = move_segment(planning, lv, &piece, segments, count);
	}
	return rc;
}

static int set_segments(struct move_planning *planning, struct volume_lv *lv,
			const struct volume_segment *segments, unsigned count)
{
	struct volume_group *group = planning->group;
	struct volume_segment *kept =
		lvm_config_alloc(&group->private->memory, count * sizeof(*kept));

	if (!kept || change_keep_lv(planning->change, lv) ||
	    change_set_flag(group, &lv->private->status, "LOCKED", true))
		return change_no_memory(group, planning->error);
	memcpy(kept, segments, count * sizeof(*kept));
	lv->segments = kept;
	lv->segment_count = count;
	return 0;
}

static int move_lv(struct move_planning *planning, struct volume_lv *lv)
{
	struct volume_segment *segments = NULL;
	unsigned count = 0;
	int rc = 0;

	if (lvm_strings_contain(&lv->private->status, "LOCKED"))
		return error_set(planning->error, -EBUSY,
				 "%s/%s: is locked: LVM2 is in the middle of something with it",
				 planning->group->name, lv->name);
	for (unsigned i = 0; !rc && i < lv->segment_count; i++) {
		if (lv->segments[i].area_count) {
			rc = move_pieces(planning, lv, &lv->segments[i], &segments, &count);
			continue;
		}
		rc = error_set(planning->error, -EOPNOTSUPP,
			       "%s/%s: has a part of type %s, which is not moved",
			       planning->group->name, lv->name, lv->segments[i].type);
	}
	if (!rc)
		rc = set_segments(planning, lv, segments, count);
	free(segments);
	return rc;
}

static int make_layer(struct move_planning *planning)
{
	static const char *const status[] = { "READ", "WRITE", "PVMOVE", "LOCKED" };
	struct volume_group *group = planning->group;
	struct volume_lv *move = lvm_lv_new();
	char name[24];
	bool failed;

	if (!move)
		return change_no_memory(group, planning->error);
	for (unsigned number = 0; number < UINT32_MAX; number++) {
		snprintf(name, sizeof(name), "pvmove%u", number);
		if (!volume_group_get_lv(group, name))
			break;
	}
	move->name = lvm_vg_string(group, name);
	move->creation_host = lvm_vg_string(group, group->private->host);
	move->creation_time = lvm_vg_now(group);
	failed = !move->name || !move->creation_host;
	for (unsigned i = 0; !failed && i < ARRAY_SIZE(status); i++)
		failed = change_set_flag(group, &move->private->status, status[i], true);
	if (!failed)
		failed = change_set_key(group, &move->private->extra, "allocation_policy",
					"contiguous") ||
			 lvm_move_keep_rate(group, move, planning->options->rate);
	if (failed) {
		lvm_lv_free(move);
		return change_no_memory(group, planning->error);
	}
	lvm_uuid_generate(move->uuid, group->private->random);
	move->writable = move->supported = move->private->judged = true;
	planning->move = move;
	return 0;
}

/* ---- All of it ---- */

static int count_wanted(struct move_planning *planning)
{
	const struct volume_group *group = planning->group;
	int rc = lvm_move_check_names(planning);

	for (unsigned i = 0; !rc && i < group->lv_count; i++) {
		if (!lvm_move_is_named(planning, group->lvs[i], 0))
			continue;
		planning->wanted += lvm_move_count(planning, group->lvs[i]);
		rc = lvm_move_check_kept(planning, group->lvs[i]);
	}
	if (rc)
		return rc;
	if (!planning->wanted)
		return error_set(planning->error, -ENOENT,
				 "volume group %s: nothing %s%s is to move", group->name,
				 planning->options->from ? "on " : "of it",
				 planning->options->from
					 ? planning->options->from->block
						   ? planning->options->from->block->name
						   : planning->options->from->uuid
					 : "");
	planning->step_extents = planning->options->step_extents;
	if (!planning->step_extents)
		planning->step_extents = (uint32_t)MIN(
			MAX(MAX(planning->wanted / STEPS_MOST, STEP_LEAST / group->extent_size),
			    1u),
			(uint64_t)UINT32_MAX / 2);
	return 0;
}

static int find_room(struct move_planning *planning)
{
	const struct volume_move_options *options = planning->options;
	int rc = change_free_extents(planning->group, &planning->free, &planning->free_count);

	if (!rc && options->to_range_count)
		rc = change_cut_free(options->to_ranges, options->to_range_count, false,
				     &planning->free, &planning->free_count);
	return rc;
}

/* Computes; see lvm_vg_compute(). */
static int plan(void *arg)
{
	struct move_planning *planning = arg;
	struct volume_group *group = planning->group;
	unsigned count = group->lv_count;
	int rc = count_wanted(planning);

	if (!rc && find_room(planning))
		rc = change_no_memory(group, planning->error);
	if (!rc)
		rc = make_layer(planning);
	for (unsigned i = 0; !rc && i < count; i++)
		if (lvm_move_is_named(planning, group->lvs[i], 0) &&
		    lvm_move_count(planning, group->lvs[i]))
			rc = move_lv(planning, group->lvs[i]);
	if (rc) {
		lvm_lv_free(planning->move);
		return rc;
	}
	planning->move->size = planning->move->extent_count * group->extent_size;
	if (change_add_lv(planning->change, planning->move))
		return change_no_memory(group, planning->error);
	return 0;
}

static int check_sources(const struct move_planning *planning)
{
	const struct volume_move_options *options = planning->options;

	if (options->from && (!options->from->block || options->from->marked_missing))
		return error_set(planning->error, -ENXIO, "volume group %s: PV %s is missing",
				 planning->group->name, options->from->uuid);
	if (!options->from && !options->to_count)
		return error_set(planning->error, -EINVAL,
				 "volume group %s: a move needs a device to move from, or one to "
				 "move to",
				 planning->group->name);
	return 0;
}

static int check_idle(const struct volume_group *group, struct error *error)
{
	const struct volume_lv *move = lvm_move_find(group);

	if (!move)
		return 0;
	error_set(error, -EBUSY, "volume group %s: a move is half done (%s)", group->name,
		  move->name);
	return error_advise(
		error, "`tenon pv move DEVICE --continue` takes it to its end, --abort undoes it");
}

int volume_move_begin(struct volume_group *group, const struct volume_move_options *options,
		      uint32_t *extents, struct error *error)
{
	CHANGING(group);
	CLEANUP_CHANGE struct change change;
	CLEANUP_FREE bool *barred = calloc(group->pv_count + 1, sizeof(bool));
	enum volume_allocation policy = options->allocation;
	struct move_planning planning = { .change = &change,
					  .group = group,
					  .options = options,
					  .error = error,
					  .barred = barred };
	int rc = barred ? 0 : -ENOMEM;

	change_begin(&change, group);
	if (policy == VOLUME_ALLOCATE_INHERIT)
		policy = volume_allocation_of(group, NULL);
	planning.anywhere = policy == VOLUME_ALLOCATE_ANYWHERE;
	if (!rc)
		rc = lvm_vg_check_changeable(group, error);
	if (!rc)
		rc = check_sources(&planning);
	if (!rc)
		rc = check_idle(group, error);
	if (!rc)
		rc = lvm_vg_compute(group, plan, &planning);
	free(planning.free);
	if (!rc)
		rc = change_commit(&change, error);
	if (!rc)
		*extents = (uint32_t)planning.wanted;
	return rc;
}
