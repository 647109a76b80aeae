/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of segment types; see segment.h. */
#include "volume/segment.h"

#include <string.h>

#include "volume/segment_raid.h"

#define KEPT(type, shown)                                                                          \
	{                                                                                          \
		.name = (type), .attribute = (shown), .import = lvm_kept_import,                   \
		.export = lvm_kept_export, .used = lvm_kept_used                                   \
	}

const struct lvm_segment_type *lvm_segment_type_find(const char *name)
{
	/* A name that another begins with comes after that. */
	static const struct lvm_segment_type kept[] = {
		KEPT("raid", 'r'),      KEPT("thin-pool", 't'),  KEPT("thin", 'V'),
		KEPT("cache", 'C'),     KEPT("writecache", 'C'), KEPT("snapshot", 's'),
		KEPT("vdo-pool", 'd'),  KEPT("vdo", 'v'),        KEPT("error", '-'),
		KEPT("integrity", 'g'), KEPT("zero", '-'),       KEPT("", '-'),
	};
	size_t i = 0;

	if (!strcmp(name, lvm_segment_striped.name) || !strcmp(name, "linear"))
		return &lvm_segment_striped;
	if (!strncmp(name, lvm_segment_move.name, strlen(lvm_segment_move.name)))
		return &lvm_segment_move;
	if (lvm_raid_kind_find(name))
		return &lvm_segment_raid;
	while (strncmp(name, kept[i].name, strlen(kept[i].name)) != 0)
		i++;
	return &kept[i];
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
