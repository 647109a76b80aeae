/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of segment types; see segment.h. */
#include "volume/segment.h"

#include <errno.h>
#include <string.h>

#include "util/bytes.h"
#include "volume/segment_raid.h"

#define KEPT(type, shown, device)                                                                  \
	{                                                                                          \
		.name = (type), .attribute = (shown), .target = (device),                          \
		.import = lvm_kept_import, .export = lvm_kept_export, .used = lvm_kept_used        \
	}

bool lvm_segment_flags_within(const char *flags, const char *const *known, unsigned count)
{
	while (*flags == '+') {
		size_t length = strcspn(++flags, "+");
		bool found = false;

		for (unsigned i = 0; i < count; i++)
			found |= strlen(known[i]) == length && !strncmp(known[i], flags, length);
		if (!found)
			return false;
		flags += length;
	}
	return !*flags;
}

int lvm_segment_take_flags(const struct lvm_segment_reader *from, struct volume_segment *segment)
{
	size_t length = strcspn(segment->type, "+");
	char *name;

	if (!segment->type[length])
		return 0;
	name = lvm_config_alloc(from->reader->memory, length + 1);
	if (!name)
		return -ENOMEM;
	memcpy(name, segment->type, length);
	name[length] = '\0';
	segment->private->flags = segment->type + length;
	segment->type = name;
	return 0;
}

/* An image, as lvm2 begins a reshape and ends it. */
static bool is_striped(const char *name)
{
	static const char *const flags[] = { "RESHAPE_DELTA_DISKS_PLUS",
					     "RESHAPE_DELTA_DISKS_MINUS", "REMOVE_AFTER_RESHAPE" };
	size_t length = strlen(lvm_segment_striped.name);

	return !strcmp(name, "linear") ||
	       (!strncmp(name, lvm_segment_striped.name, length) &&
		lvm_segment_flags_within(name + length, flags, ARRAY_SIZE(flags)));
}

static bool is_raid(const char *name)
{
	static const char *const flags[] = { "RESHAPE", "RESHAPE_DATA_OFFSET" };
	size_t length = strcspn(name, "+");
	char base[32];

	if (length >= sizeof(base) ||
	    !lvm_segment_flags_within(name + length, flags, ARRAY_SIZE(flags)))
		return false;
	memcpy(base, name, length);
	base[length] = '\0';
	return lvm_raid_kind_find(base);
}

const struct lvm_segment_type *lvm_segment_type_find(const char *name)
{
	/* A name that another begins with comes after that. */
	static const struct lvm_segment_type kept[] = {
		KEPT("raid", 'r', 'r'),     KEPT("thin-pool", 't', 't'),
		KEPT("thin", 'V', 't'),     KEPT("cache-pool", 'C', 'C'),
		KEPT("cache", 'C', 'C'),    KEPT("writecache", 'C', 'C'),
		KEPT("snapshot", 's', 's'), KEPT("vdo-pool", 'd', 0),
		KEPT("vdo", 'v', 'v'),      KEPT("error", 'v', 'v'),
		KEPT("integrity", 'g', 0),  KEPT("zero", 'v', 'v'),
		KEPT("", 'v', 'u'),
	};
	size_t i = 0;

	if (is_striped(name))
		return &lvm_segment_striped;
	if (!strncmp(name, lvm_segment_move.name, strlen(lvm_segment_move.name)))
		return &lvm_segment_move;
	if (is_raid(name))
		return &lvm_segment_raid;
	while (strncmp(name, kept[i].name, strlen(kept[i].name)) != 0)
		i++;
	return &kept[i];
}

const char *lvm_segment_type_shown(const struct lvm_segment_type *type, const char *name)
{
	size_t length = strlen(type->name);

	return length && !strncmp(name, type->name, length) && name[length] == '+' ? type->name
										   : name;
}

uint32_t lvm_segment_area_extents(const struct volume_segment *segment)
{
	const struct lvm_segment_type *type = segment->private->type;

	if (!segment->area_count)
		return 0;
	return type->area_extents ? type->area_extents(segment)
				  : segment->extent_count / segment->area_count;
}

void lvm_segment_export_extra(const struct volume_segment *segment, struct lvm_text *text)
{
	for (const struct lvm_config_node *node = segment->private->extra; node; node = node->next)
		lvm_text_node(text, node);
}
