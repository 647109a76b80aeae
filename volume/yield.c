/* SPDX-License-Identifier: BSD-2-Clause */
/* See yield.h. */
#include "volume/yield.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "util/error.h"

#define YIELDS_TO "tenon:yields_to:"

static bool is_yield(const char *tag)
{
	return !strncmp(tag, YIELDS_TO, strlen(YIELDS_TO));
}

int lvm_yield_set(struct volume_group *group, const char *uuid)
{
	char **tags =
		lvm_config_alloc(&group->private->memory, (group->tag_count + 1) * sizeof(*tags));
	char text[sizeof(YIELDS_TO) + VOLUME_UUID_TEXT];
	unsigned count = 0;

	if (!tags)
		return -ENOMEM;
	for (unsigned i = 0; i < group->tag_count; i++)
		if (!is_yield(group->tags[i]))
			tags[count++] = group->tags[i];
	if (uuid) {
		snprintf(text, sizeof(text), "%s%s", YIELDS_TO, uuid);
		tags[count] = lvm_vg_string(group, text);
		if (!tags[count++])
			return -ENOMEM;
	}
	group->tags = tags;
	group->tag_count = count;
	return 0;
}

const char *lvm_yield_to(const struct volume_group *group)
{
	for (unsigned i = 0; group->exported && i < group->tag_count; i++)
		if (is_yield(group->tags[i]))
			return group->tags[i] + strlen(YIELDS_TO);
	return NULL;
}

int lvm_vg_copy(const struct volume_group *group, struct volume_group **out, struct error *error)
{
	struct lvm_text text = { 0 };
	int rc = -ENOMEM;

	lvm_vg_export(group, lvm_vg_now(group), &text);
	if (text.failed)
		error_set(error, rc, "volume group %s: no memory for metadata", group->name);
	else
		rc = lvm_vg_read(text.at, text.size + 1, group->name, out, error);
	free(text.at);
	return rc;
}

void lvm_pv_copy_device(struct volume_pv *to, const struct volume_pv *from)
{
	struct volume_pv_private *private = to->private;

	to->block = block_ref(from->block);
	to->metadata_areas = from->metadata_areas;
	to->metadata_areas_used = from->metadata_areas_used;
	private->label = from->private->label;
	private->area_count = from->private->area_count;
	memcpy(private->areas, from->private->areas, sizeof(private->areas));
}
