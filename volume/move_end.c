/* SPDX-License-Identifier: BSD-2-Clause */
/* The end of a move (move.h): volumes lie on PVs again, and the layer goes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "volume/move.h"

#define DEPTH_MAX 4u

static bool has_status(const struct volume_lv *lv, const char *status)
{
	return lvm_strings_contain(&lv->private->status, status);
}

bool lvm_lv_is_move(const struct volume_lv *lv)
{
	return has_status(lv, "PVMOVE");
}

/* What LVM2 leaves between its last two commits of a move. */
static bool is_left_over(const struct volume_lv *lv)
{
	bool rest = !strncmp(lv->name, "pvmove", 6) && lv->segment_count;

	for (unsigned i = 0; i < lv->segment_count; i++)
		rest &= !strcmp(lv->segments[i].type, "error");
	return rest;
}

struct volume_lv *lvm_move_find(const struct volume_group *group)
{
	for (unsigned i = 0; i < group->lv_count; i++)
		if (lvm_lv_is_move(group->lvs[i]) || is_left_over(group->lvs[i]))
			return group->lvs[i];
	return NULL;
}

/* ---- Where an extent of the layer lies ---- */

struct move_place {
	struct volume_pv *pv;
	uint32_t extent;
	uint32_t left; /* extents that follow it there */
};

static const struct volume_segment *segment_at(const struct volume_lv *lv, uint32_t extent)
{
	for (unsigned i = 0; i < lv->segment_count; i++)
		if (extent - lv->segments[i].start_extent < lv->segments[i].extent_count &&
		    extent >= lv->segments[i].start_extent)
			return &lv->segments[i];
	return NULL;
}

/* Down through the images that LVM2 makes for `pvmove --atomic`. */
static bool find_place(const struct volume_lv *lv, uint32_t extent, bool all_moved, unsigned depth,
		       struct move_place *place)
{
	const struct volume_segment *segment = lv ? segment_at(lv, extent) : NULL;
	const struct volume_area *area;
	uint32_t within, left;

	if (!segment || depth > DEPTH_MAX)
		return false;
	if (lvm_segment_is_move(segment))
		area = &segment->areas[all_moved || lvm_segment_is_moved(segment)];
	else if (segment->private->type == &lvm_segment_striped && segment->area_count == 1)
		area = &segment->areas[0];
	else
		return false;
	within = extent - segment->start_extent;
	left = segment->extent_count - within;
	if (area->pv)
		*place = (struct move_place){ area->pv, area->extent + within, left };
	else if (!find_place(area->lv, area->extent + within, all_moved, depth + 1, place))
		return false;
	place->left = MIN(place->left, left);
	return true;
}

/* ---- A volume on it ---- */

static bool lies_on(const struct volume_lv *lv, const struct volume_lv *move)
{
	for (unsigned i = 0; i < lv->segment_count; i++)
		for (unsigned k = 0; k < lv->segments[i].area_count; k++)
			if (lv->segments[i].areas[k].lv == move)
				return true;
	return false;
}

struct move_layer {
	struct volume_group *group;
	const struct volume_lv *move;
	bool all_moved;
	struct volume_segment *segments;
	unsigned count, room;
};

static struct volume_segment *add_segment(struct move_layer *rebuild)
{
	struct lvm_config *memory = &rebuild->group->private->memory;

	if (rebuild->count == rebuild->room) {
		unsigned room = rebuild->room ? 2 * rebuild->room : 16;
		struct volume_segment *grown = lvm_config_alloc(memory, room * sizeof(*grown));

		if (!grown)
			return NULL;
		if (rebuild->count)
			memcpy(grown, rebuild->segments, rebuild->count * sizeof(*grown));
		rebuild->segments = grown;
		rebuild->room = room;
	}
	return &rebuild->segments[rebuild->count];
}

/* Whether it goes on where the last one ends: one segment then, as before the move. */
static bool joins(const struct move_layer *rebuild, const struct volume_segment *next)
{
	const struct volume_segment *last = rebuild->count ? &next[-1] : NULL;

	if (!last || last->private->type != next->private->type ||
	    next->private->type != &lvm_segment_striped || last->private->extra ||
	    next->private->extra || last->area_count != next->area_count ||
	    last->stripe_size != next->stripe_size)
		return false;
	for (unsigned i = 0; i < next->area_count; i++) {
		const struct volume_area *a = &last->areas[i], *b = &next->areas[i];

		if (a->pv != b->pv || a->lv != b->lv ||
		    a->extent + lvm_segment_area_extents(last) != b->extent)
			return false;
	}
	return true;
}

/* The part of `segment` that begins `done` extents of each area after its start, as far as it lies in one piece on all of
 * them; *length is that, of each area. */
static int add_part(struct move_layer *rebuild, const struct volume_segment *segment, uint32_t done,
		    uint32_t *length)
{
	struct lvm_config *memory = &rebuild->group->private->memory;
	struct volume_segment *part = add_segment(rebuild);
	uint32_t left = lvm_segment_area_extents(segment) - done;

	if (!part)
		return -ENOMEM;
	*part = *segment;
	part->areas = lvm_config_alloc(memory, segment->area_count * sizeof(*part->areas));
	if (!part->areas)
		return -ENOMEM;
	for (unsigned i = 0; i < segment->area_count; i++) {
		const struct volume_area *area = &segment->areas[i];
		struct move_place place;

		part->areas[i] = *area;
		part->areas[i].extent += done;
		if (!area->lv || area->lv != rebuild->move)
			continue;
		if (!find_place(area->lv, area->extent + done, rebuild->all_moved, 0, &place))
			return -EBADMSG;
		part->areas[i] = (struct volume_area){ .pv = place.pv, .extent = place.extent };
		left = MIN(left, place.left);
	}
	part->start_extent = segment->start_extent + done * segment->area_count;
	part->extent_count = left * segment->area_count;
	if (joins(rebuild, part))
		part[-1].extent_count += part->extent_count;
	else
		rebuild->count++;
	*length = left;
	return 0;
}

static int settle_lv(struct change *change, struct move_layer *rebuild, struct volume_lv *lv)
{
	struct volume_group *group = change->group;
	bool others = false;
	int rc = change_keep_lv(change, lv);

	rebuild->segments = NULL;
	rebuild->count = rebuild->room = 0;
	for (unsigned i = 0; !rc && i < lv->segment_count; i++) {
		const struct volume_segment *segment = &lv->segments[i];
		uint32_t all = lvm_segment_area_extents(segment), length = 0;
		bool striped = segment->private->type == &lvm_segment_striped;

		if (!striped) { /* it does not name the move: only such are put on one */
			struct volume_segment *copy = add_segment(rebuild);

			if (!copy)
				return -ENOMEM;
			*copy = *segment;
			rebuild->count++;
			continue;
		}
		for (uint32_t done = 0; !rc && done < all; done += length)
			rc = add_part(rebuild, segment, done, &length);
	}
	if (rc)
		return rc;
	lv->segments = rebuild->segments;
	lv->segment_count = rebuild->count;
	for (unsigned i = 0; i < group->lv_count; i++)
		others |= lvm_lv_is_move(group->lvs[i]) && lies_on(lv, group->lvs[i]);
	return others ? 0 : change_set_flag(group, &lv->private->status, "LOCKED", false);
}

/* ---- The layer ---- */

/* The layer, and what is below it alone. */
static int drop_layer(struct change *change, struct volume_lv *move)
{
	struct volume_lv *images[2] = { NULL, NULL };
	int rc;

	for (unsigned i = 0; i < move->segment_count; i++)
		for (unsigned k = 0; k < move->segments[i].area_count && k < 2; k++)
			if (move->segments[i].areas[k].lv)
				images[k] = move->segments[i].areas[k].lv;
	rc = change_drop_lv(change, move);
	for (unsigned k = 0; !rc && k < 2; k++)
		if (images[k] && (!k || images[k] != images[0]))
			rc = change_drop_lv(change, images[k]);
	return rc;
}

int lvm_move_plan_end(struct change *change, struct volume_lv *move, bool all_moved,
		      struct error *error)
{
	struct volume_group *group = change->group;
	struct move_layer rebuild = { .group = group, .move = move, .all_moved = all_moved };
	int rc = 0;

	for (unsigned i = 0; !rc && i < group->lv_count; i++)
		if (lies_on(group->lvs[i], move))
			rc = settle_lv(change, &rebuild, group->lvs[i]);
	if (!rc)
		rc = drop_layer(change, move);
	if (rc == -EBADMSG)
		return error_set(error, rc, "%s/%s: is no move that can be ended here", group->name,
				 move->name);
	return rc ? change_no_memory(group, error) : 0;
}
