/* SPDX-License-Identifier: BSD-2-Clause */
/* Which layouts have their data in the same places, and which one comes in between where two have not; see raid_convert_plan.c. */
#include <stdio.h>
#include <string.h>

#include "util/bytes.h"
#include "volume/raid_convert.h"

/* The five layouts of level 6 that are one of level 5 and a disk of their own. */
static const char *const pairs[][2] = {
	{ "raid5_la", "raid6_la_6" }, { "raid5_ra", "raid6_ra_6" }, { "raid5_ls", "raid6_ls_6" },
	{ "raid5_rs", "raid6_rs_6" }, { "raid5_n", "raid6_n_6" },
};

bool lvm_raid_is_kind(const struct lvm_raid_kind *kind, int level, uint32_t layout)
{
	return kind && kind->level == level && kind->layout == layout;
}

const struct lvm_raid_kind *lvm_raid_pair(const struct lvm_raid_kind *kind)
{
	for (unsigned i = 0; i < ARRAY_SIZE(pairs); i++)
		for (unsigned k = 0; k < 2; k++) {
			const struct lvm_raid_kind *one = lvm_raid_kind_find(pairs[i][k]);

			if (lvm_raid_is_kind(kind, one->level, one->layout))
				return lvm_raid_kind_find(pairs[i][!k]);
		}
	return NULL;
}

static bool is_raid4(const struct lvm_raid_kind *kind)
{
	return kind && !strcmp(kind->name, "raid4");
}

static bool is_raid5_n(const struct lvm_raid_kind *kind)
{
	return lvm_raid_is_kind(kind, 5, 5);
}

/* ---- The way from one to another that is no neighbour ---- */

struct convert_way {
	const struct lvm_raid_kind *kind, *to;
	unsigned count;
	char *text;
	size_t size;
};

/* A step that is a reshape leaves room, which the same command again gives back. */
static bool take(struct convert_way *way, const char *name, unsigned count, bool reshape)
{
	size_t length = strlen(way->text);

	snprintf(way->text + length, way->size - length, "%s%s%s", length ? "; " : "", name,
		 reshape ? ", twice" : "");
	way->count = count;
	return strlen(way->text) + 1 < way->size;
}

static bool become(struct convert_way *way, const char *name, unsigned count, bool reshape)
{
	char text[64];

	if (way->kind && !strcmp(way->kind->name, name))
		return false;
	snprintf(text, sizeof(text), "--type %s", name);
	way->kind = lvm_raid_kind_find(name);
	return take(way, text, count, reshape);
}

static unsigned data_of(const struct convert_way *way)
{
	const struct lvm_raid raid = { .kind = way->kind, .copies = 2 };

	return way->kind && way->kind->level ? lvm_raid_data_images(&raid, way->count) : way->count;
}

static bool is_in_order(const struct lvm_raid_kind *kind)
{
	return !kind || !kind->level || kind->level == 10 || is_raid4(kind) || is_raid5_n(kind) ||
	       lvm_raid_is_kind(kind, 6, 5);
}

/* Whether one command makes the rest. */
static bool is_near(const struct convert_way *way)
{
	const struct lvm_raid_kind *kind = way->kind, *to = way->to;
	const struct lvm_raid_kind *pair = kind ? lvm_raid_pair(kind) : NULL;

	if (kind && way->count == 2 && (kind->level == 1 || kind->level == 5) && to &&
	    to->level == 5)
		return true;
	if (data_of(way) < (to && to->level == 6 ? 3 : 2))
		return false;
	if (pair && lvm_raid_is_kind(to, pair->level, pair->layout))
		return true;
	if (kind && to && kind->level == to->level && kind->level > 1 && !is_raid4(kind) &&
	    !is_raid4(to))
		return true;
	return is_in_order(kind) && is_in_order(to);
}

static bool step_from_5(struct convert_way *way)
{
	const struct lvm_raid_kind *pair = lvm_raid_pair(way->kind);
	unsigned wanted = way->to && way->to->level == 6 ? 3 : 2;

	if (way->count == 2 && !is_raid5_n(way->kind))
		return become(way, "raid5_n", 2, false);
	if (data_of(way) < wanted)
		return take(way, wanted == 3 ? "--stripes 3" : "--stripes 2", wanted + 1, true);
	if (is_raid4(way->kind))
		return become(way, "raid5_n", way->count, false);
	if (way->to && way->to->level == 6 && pair)
		return become(way, pair->name, way->count + 1, false);
	return become(way, "raid5_n", way->count, true);
}

static bool step(struct convert_way *way)
{
	const struct lvm_raid_kind *to = way->to, *pair;
	unsigned data = data_of(way);

	if (way->kind && way->kind->level == 1)
		return way->count > 2 ? take(way, "--mirrors 1", 2, false)
				      : become(way, "raid5_n", 2, false);
	if (way->kind && way->kind->level == 5)
		return step_from_5(way);
	if (way->kind && way->kind->level == 6) {
		pair = to && to->level == 5 && !is_raid4(to) ? lvm_raid_pair(to) : NULL;
		return become(way, pair ? pair->name : "raid6_n_6", way->count, true);
	}
	if (data == 1) {
		way->kind = lvm_raid_kind_find("raid1");
		return take(way, "--type raid1 --mirrors 1", 2, false);
	}
	if (to && to->level == 6 && data > 2)
		return become(way, "raid6_n_6", data + 2, false);
	return to && to->level > 1 ? become(way, "raid5_n", data + 1, false) : false;
}

bool lvm_convert_way(const struct lvm_raid_kind *from, unsigned count,
		     const struct lvm_raid_kind *to, const char *name, char *text, size_t size)
{
	struct convert_way way = {
		.kind = from, .to = to, .count = count, .text = text, .size = size
	};

	text[0] = '\0';
	/* What has more than one stripe becomes none of one without losing some. */
	if (!strcmp(name, "linear") || (to && to->level == 1))
		return false;
	for (unsigned steps = 0; steps < 8; steps++) {
		if (is_near(&way)) {
			char last[64];

			snprintf(last, sizeof(last), "--type %.40s", name);
			return take(&way, last, way.count, false);
		}
		if (!step(&way))
			return false;
	}
	return false;
}
