/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a volume can become without its data being moved, as lvconvert's takeovers. Levels 0, 4, 5 and 6 whose parity has disks of its own
 * (raid4: the first, raid5_n: the last, raid6_n_6: the last two), raid10 of pairs and plain stripes all have the same data disks in the
 * same order: one becomes another by leaving parity and copies out, and by adding what is then made anew. Two images of level 5 are a
 * mirror. The layouts raid6_ls_6 and the like are those of level 5 with another parity on a disk of its own. All else is a
 * reshape (raid_reshape_plan.c).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "raid/dm_raid.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/mirror.h"
#include "volume/raid_change.h"
#include "volume/raid_convert.h"

#define STRIPE_USUAL (64u << 10)

/* What is there: images of an array, or stripes. */
struct source {
	const struct volume_group *group;
	const struct volume_lv *lv;
	const struct volume_segment *segment; /* of an array, or the first of a plain one */
	const struct lvm_raid_kind *kind;     /* NULL: plain, or a mirror */
	bool mirror;
	unsigned count;
	int data[DM_RAID_DEVICES]; /* places with data, in order, where parity has disks of its own */
	unsigned data_count;       /* 0: it has not */
	int parity, second;        /* or CONVERT_NEW */
};

void convert_plan_free(struct convert_plan *plan)
{
	free(plan->places);
	*plan = (struct convert_plan){ 0 };
}

/* ---- What is there ---- */

static void take_data(struct source *source, unsigned from, unsigned count, unsigned step)
{
	for (unsigned i = from; i < from + count; i += step)
		source->data[source->data_count++] = (int)i;
}

#define RAID4(kind)     lvm_raid_is_kind(kind, 5, 4)
#define RAID5_N(kind)   lvm_raid_is_kind(kind, 5, 5)
#define RAID6_N_6(kind) lvm_raid_is_kind(kind, 6, 5)

static void find_data(struct source *source)
{
	const struct lvm_raid_kind *kind = source->kind;
	unsigned n = source->count;

	source->parity = source->second = CONVERT_NEW;
	if (source->mirror || (kind && kind->level == 1)) {
		take_data(source, 0, 1, 1);
	} else if (!kind || !kind->level) {
		take_data(source, 0, n, 1);
	} else if (RAID4(kind)) {
		take_data(source, 1, n - 1, 1);
		source->parity = 0;
	} else if (RAID5_N(kind)) {
		take_data(source, 0, n - 1, 1);
		source->parity = (int)n - 1;
	} else if (RAID6_N_6(kind)) {
		take_data(source, 0, n - 2, 1);
		source->parity = (int)n - 2;
		source->second = (int)n - 1;
	} else if (kind->level == 10 && n % 2 == 0 && source->segment->private->raid->copies == 2) {
		take_data(source, 0, n, 2);
	}
}

static int find_source(struct source *source, struct error *error)
{
	const struct volume_lv *lv = source->lv;
	const struct volume_segment *segment = lvm_lv_raid(lv);

	const struct volume_segment *mirror = lvm_lv_mirror(lv);

	source->segment = segment ? segment : lv->segments;
	source->kind = segment ? segment->private->raid->kind : NULL;
	source->mirror = mirror;
	source->count = mirror ? mirror->private->mirror->legs : source->segment->area_count;
	for (unsigned i = 0; !segment && !mirror && i < lv->segment_count; i++)
		if (lv->segments[i].area_count != source->count ||
		    lv->segments[i].stripe_size != source->segment->stripe_size)
			return error_set(
				error, -EOPNOTSUPP,
				"%s/%s: its segments have different numbers or sizes of stripes",
				source->group->name, lv->name);
	if (source->count > DM_RAID_DEVICES)
		return error_set(error, -EOPNOTSUPP,
				 "%s/%s: has %u stripes, at most %u can be images",
				 source->group->name, lv->name, source->count, DM_RAID_DEVICES);
	find_data(source);
	return 0;
}

/* ---- What it becomes ---- */

/* Of the names that stand for many layouts the one that data need not be moved for. */
static const struct lvm_raid_kind *fitting(const struct source *source, const char *name)
{
	const struct lvm_raid_kind *kind = lvm_raid_kind_find(name), *from = source->kind;
	bool five = !strcmp(name, "raid5"), six = !strcmp(name, "raid6");

	if (!five && !six)
		return kind;
	if (from && from->level == (five ? 6 : 5) && lvm_raid_pair(from))
		return lvm_raid_pair(from);
	if (from && (from->level == 1 || (from->level == kind->level && !RAID4(from))))
		return from->level == 1 ? kind : from;
	return source->data_count ? lvm_raid_kind_find(five ? "raid5_n" : "raid6_n_6") : kind;
}

struct convert_planning {
	struct source source;
	const struct volume_convert *wish;
	struct convert_plan *plan;
	struct error *error;
};

static void put(struct convert_planning *planning, int from)
{
	struct convert_plan *plan = planning->plan;

	plan->places[plan->count++] =
		(struct convert_place){ .from = from, .filled = from != CONVERT_NEW };
}

static void put_data(struct convert_planning *planning, bool copies)
{
	for (unsigned i = 0; i < planning->source.data_count; i++) {
		put(planning, planning->source.data[i]);
		if (copies)
			put(planning, CONVERT_NEW);
	}
}

static void put_all(struct convert_planning *planning, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		put(planning, (int)i);
}

static bool is_mirror_like(const struct lvm_raid_kind *kind, unsigned count)
{
	return kind && count == 2 && (kind->level == 1 || kind->level == 5);
}

/* Whether its data are in the order of disks, so that it is known what is data and what is not. */
static bool is_plain_order(const struct lvm_raid_kind *kind)
{
	return !kind || !kind->level || RAID4(kind) || RAID5_N(kind) || RAID6_N_6(kind) ||
	       kind->level == 10;
}

static bool put_places(struct convert_planning *planning, const struct lvm_raid_kind *to)
{
	const struct source *source = &planning->source;
	const struct lvm_raid_kind *from = source->kind;
	bool stripes = source->data_count > 1;

	if (is_mirror_like(from, source->count) && to && (to->level == 1 || to->level == 5)) {
		put_all(planning, 2);
		return true;
	}
	if (to && from && lvm_raid_pair(from) && lvm_raid_pair(from)->layout == to->layout &&
	    lvm_raid_pair(from)->level == to->level) {
		put_all(planning, MIN(source->count, source->count - from->parity + to->parity));
		if (to->parity > from->parity)
			put(planning, CONVERT_NEW);
		return true;
	}
	if (!source->data_count || !is_plain_order(to) || !is_plain_order(from) || (to && !stripes))
		return false;
	if (RAID4(to))
		put(planning, source->parity);
	put_data(planning, to && to->level == 10);
	if (RAID5_N(to) || RAID6_N_6(to))
		put(planning, source->parity);
	if (RAID6_N_6(to))
		put(planning, source->second);
	return true;
}

/* ---- Mirrors ---- */

static bool image_lies_on(const struct source *source, unsigned place,
			  const struct volume_convert *wish)
{
	for (unsigned i = 0; i < wish->pv_count; i++)
		if (lvm_lv_lies_on(source->segment->areas[place].lv, wish->pvs[i]))
			return true;
	return false;
}

/* Fewer images: those on the PVs that are named go, the last of them first; none named: the last. */
static int put_fewer(struct convert_planning *planning, unsigned images)
{
	const struct source *source = &planning->source;
	unsigned fewer = source->count - images;
	bool go[DM_RAID_DEVICES] = { false };

	for (unsigned i = source->count; i-- > 0 && fewer;) {
		if (planning->wish->pv_count && !image_lies_on(source, i, planning->wish))
			continue;
		go[i] = true;
		planning->plan->split = (int)i;
		fewer--;
	}
	if (fewer)
		return error_set(
			planning->error, -EINVAL,
			"%s/%s: %u images are to go, and %u of them are on the devices named",
			source->group->name, source->lv->name, source->count - images,
			source->count - images - fewer);
	for (unsigned i = 0; i < source->count; i++)
		if (!go[i])
			put(planning, (int)i);
	return 0;
}

static int put_mirrors(struct convert_planning *planning, unsigned images)
{
	const struct source *source = &planning->source;

	if (source->kind && source->kind->level != 1)
		return error_set(planning->error, -EOPNOTSUPP,
				 "%s/%s: its type is %s; only linear volumes and raid1 get another "
				 "number of mirrors",
				 source->group->name, source->lv->name, volume_lv_type(source->lv));
	if (!source->kind && !source->mirror && source->count > 1) {
		error_set(planning->error, -EOPNOTSUPP, "%s/%s: is striped, and raid1 is not",
			  source->group->name, source->lv->name);
		return error_advise(planning->error, "raid10 has both: --type raid10");
	}
	if (!images || images > DM_RAID_DEVICES)
		return error_set(planning->error, -EINVAL, "%s/%s: %u images, expected 1 to %u",
				 source->group->name, source->lv->name, images, DM_RAID_DEVICES);
	planning->plan->kind = images > 1 ? lvm_raid_kind_find("raid1") : NULL;
	planning->plan->keep_metas = source->kind && images > 1;
	if (images < source->count)
		return put_fewer(planning, images);
	put_all(planning, source->count);
	while (planning->plan->count < images)
		put(planning, CONVERT_NEW);
	return 0;
}

/* ---- The whole ---- */

static int refuse(const struct convert_planning *planning, const struct lvm_raid_kind *to,
		  const char *name)
{
	const struct source *source = &planning->source;
	char way[160];

	error_set(planning->error, -EOPNOTSUPP, "%s/%s: becomes no %s from %s in one step",
		  source->group->name, source->lv->name, name, volume_lv_type(source->lv));
	if (lvm_convert_way(source->kind, source->count, to, name, way, sizeof(way)))
		return error_advise(planning->error,
				    "`tenon lv convert` with each of these, `tenon lv repair` "
				    "waits after each: %s",
				    way);
	return error_advise(
		planning->error,
		"striped, raid0, raid0_meta, raid4, raid5_n, raid6_n_6 and raid10 become each "
		"other; raid1 of two images becomes raid4 and raid5, and back; linear becomes "
		"raid1, and back");
}

static int already(const struct convert_planning *planning)
{
	return error_set(planning->error, -EALREADY, "%s/%s: is %s with %u images already",
			 planning->source.group->name, planning->source.lv->name,
			 volume_lv_type(planning->source.lv), planning->source.count);
}

static int set_sizes(struct convert_planning *planning)
{
	const struct source *source = &planning->source;
	const struct lvm_raid_kind *to = planning->plan->kind;
	uint32_t stripe = source->segment->stripe_size, wanted = planning->wish->stripe_size;
	bool striped = to ? to->level != 1 : planning->plan->count > 1;

	if (!striped) {
		planning->plan->stripe_size = 0;
	} else if (stripe) {
		planning->plan->stripe_size = stripe;
		if (wanted && wanted != stripe)
			return error_set(planning->error, -EOPNOTSUPP,
					 "%s/%s: its stripe size is %u; change it before its type, "
					 "or after",
					 source->group->name, source->lv->name, stripe);
	} else {
		planning->plan->stripe_size =
			wanted ? wanted : (uint32_t)MIN(STRIPE_USUAL, source->group->extent_size);
	}
	if (striped &&
	    (!is_power_of_two(planning->plan->stripe_size) || planning->plan->stripe_size < 4096 ||
	     source->group->extent_size % planning->plan->stripe_size))
		return error_set(
			planning->error, -EINVAL,
			"%s/%s: stripe size is %u, expected a power of two from 4096 on of "
			"which extents of %llu bytes have a whole number",
			source->group->name, source->lv->name, planning->plan->stripe_size,
			(unsigned long long)source->group->extent_size);
	return 0;
}

static int check_region(const struct convert_planning *planning)
{
	const struct source *source = &planning->source;
	const struct lvm_raid_kind *to = planning->plan->kind;
	uint64_t region = planning->plan->region;

	if (!region)
		return 0;
	if (!to || !to->level)
		return error_set(planning->error, -EINVAL,
				 "%s/%s: will have no copies and no parity, and so no regions",
				 source->group->name, source->lv->name);
	return is_power_of_two(region) && region >= MAX(planning->plan->stripe_size, 4096u) &&
			       region <= 1u << 30
		       ? 0
		       : error_set(
				 planning->error, -EINVAL,
				 "%s/%s: region size is %llu, expected a power of two from that of "
				 "a stripe, or 4096, to 1 GiB",
				 source->group->name, source->lv->name, (unsigned long long)region);
}

static int plan_type(struct convert_planning *planning, const char *name)
{
	const struct source *source = &planning->source;
	bool plain = !strcmp(name, "linear") || !strcmp(name, "striped");
	const struct lvm_raid_kind *to = plain ? NULL : fitting(source, name);

	if (!plain && !to) {
		error_set(planning->error, -EINVAL, "%s/%s: type \"%.60s\" is none that is made",
			  source->group->name, source->lv->name, name);
		return error_advise(
			planning->error,
			"linear, striped, raid0, raid0_meta, raid1, raid4, raid5, raid6 "
			"and raid10 are, raid5_ls and the like too");
	}
	if (!strcmp(name, "linear") || (to && to->level == 1)) {
		unsigned images = plain                     ? 1
				  : planning->wish->mirrors ? planning->wish->mirrors + 1
				  : source->mirror || (source->kind && source->kind->level == 1)
					  ? source->count
					  : 2;

		if (!is_mirror_like(source->kind, source->count) || source->kind->level == 1)
			return images == source->count && !source->mirror && !source->kind == plain
				       ? already(planning)
				       : put_mirrors(planning, images);
	}
	if (planning->wish->mirrors && !(to && to->level == 10 && planning->wish->mirrors == 1))
		return error_set(planning->error, -EINVAL, "%s/%s: %s has not %u mirrors",
				 source->group->name, source->lv->name, name,
				 planning->wish->mirrors);
	if (to == source->kind && !source->mirror)
		return already(planning);
	planning->plan->kind = to;
	if (!put_places(planning, to))
		return refuse(planning, to, name);
	if (to && to->level == 6 && planning->plan->count < 5) {
		error_set(planning->error, -EINVAL,
			  "%s/%s: would have %u images, and %s has at least 5", source->group->name,
			  source->lv->name, planning->plan->count, to->name);
		return error_advise(planning->error, "give it more stripes first: --stripes 3");
	}
	if (!to && (planning->plan->count > 1) != !strcmp(name, "striped"))
		return refuse(planning, to, name);
	return 0;
}

/* Other numbers and sizes of stripes are of arrays that are reshaped (raid_reshape_plan.c). */
static int check_stripes(const struct convert_planning *planning)
{
	const struct volume_convert *wish = planning->wish;
	const struct source *source = &planning->source;

	if (!wish->stripes && (wish->type || wish->mirrors || !wish->stripe_size))
		return 0;
	if (wish->type) {
		error_set(planning->error, -EINVAL,
			  "%s/%s: gets either another type or another number of stripes",
			  source->group->name, source->lv->name);
		return error_advise(planning->error, "do one after the other");
	}
	error_set(planning->error, -EOPNOTSUPP,
		  "%s/%s: its type is %s; only raid4, 5, 6 and 10 get other stripes",
		  source->group->name, source->lv->name, volume_lv_type(source->lv));
	return error_advise(planning->error,
			    "striped and raid0 become raid5_n, raid1 of two images raid5: --type");
}

/* A number without a type. */
static int plan_mirrors(struct convert_planning *planning, unsigned images)
{
	const struct source *source = &planning->source;

	if (source->mirror && images > 1) {
		error_set(planning->error, -EOPNOTSUPP,
			  "%s/%s: its type is mirror, lvm2's older one, which gets no other number "
			  "of "
			  "mirrors",
			  source->group->name, source->lv->name);
		return error_advise(planning->error, "as raid1 it does: --type raid1 --mirrors %u",
				    images - 1);
	}
	return images == source->count && (!source->kind || source->kind->level == 1)
		       ? already(planning)
		       : put_mirrors(planning, images);
}

static int plan_split(struct convert_planning *planning)
{
	const struct source *source = &planning->source;

	if (!source->kind || source->kind->level != 1)
		return error_set(planning->error, -EOPNOTSUPP,
				 "%s/%s: its type is %s; an image is split from raid1 only",
				 source->group->name, source->lv->name, volume_lv_type(source->lv));
	return put_mirrors(planning, source->count - 1);
}

int lvm_convert_plan(const struct volume_group *group, const struct volume_lv *lv,
		     const struct volume_convert *wish, struct convert_plan *plan,
		     struct error *error)
{
	struct convert_planning planning = {
		.source = { .group = group, .lv = lv }, .wish = wish, .plan = plan, .error = error
	};
	int rc;

	*plan = (struct convert_plan){ .region = wish->region_size, .split = CONVERT_NEW };
	plan->places = calloc(2 * DM_RAID_DEVICES + 2, sizeof(*plan->places));
	if (!plan->places)
		return error_set(error, -ENOMEM, "%s/%s: no memory to plan it", group->name,
				 lv->name);
	rc = lvm_raid_refuse_reshaped(group, lv, error);
	if (!rc)
		rc = lvm_raid_refuse_tracked(group, lv, error);
	if (!rc)
		rc = find_source(&planning.source, error);
	if (!rc)
		rc = check_stripes(&planning);
	if (!rc && wish->mirrors >= DM_RAID_DEVICES)
		rc = error_set(error, -EINVAL, "%s/%s: %u mirrors, at most %u are possible",
			       group->name, lv->name, wish->mirrors, DM_RAID_DEVICES - 1);
	else if (!rc && wish->split_name)
		rc = plan_split(&planning);
	else if (!rc && wish->type)
		rc = plan_type(&planning, wish->type);
	else if (!rc)
		rc = plan_mirrors(&planning, wish->mirrors + 1);
	if (!wish->split_name)
		plan->split = CONVERT_NEW;
	if (!rc && plan->count > DM_RAID_DEVICES)
		rc = error_set(error, -EINVAL, "%s/%s: %u images, at most %u are possible",
			       group->name, lv->name, plan->count, DM_RAID_DEVICES);
	if (!rc)
		rc = set_sizes(&planning);
	return rc ? rc : check_region(&planning);
}
