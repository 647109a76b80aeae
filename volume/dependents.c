/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Volumes that are made of other volumes, as far as it matters to code that reads linear and striped
 * ones only: who names whom, and old-style snapshots.
 *
 * A snapshot is two volumes in the metadata: `snapshotN`, flagged visible, whose one segment names
 * origin and cow_store; and the store, not flagged visible, which is what users see under its name. The
 * origin's own extents hold its present data: it can be read, but a write would have to copy what it
 * overwrites into the store first.
 */
#include <string.h>

#include "volume/lvm_vg.h"

bool lvm_config_names(const struct lvm_config_node *node, const char *name)
{
	for (; node; node = node->next) {
		if (lvm_config_names(node->child, name))
			return true;
		for (unsigned i = 0; i < node->value_count; i++)
			if (node->values[i].type == LVM_CONFIG_STRING &&
			    !strcmp(node->values[i].string, name))
				return true;
	}
	return false;
}

static bool names(const struct volume_lv *lv, const char *name)
{
	for (unsigned i = 0; i < lv->segment_count; i++) {
		const struct volume_segment *segment = &lv->segments[i];

		if (segment->private->node && lvm_config_names(segment->private->node->child, name))
			return true;
		for (unsigned k = 0; k < segment->area_count; k++) {
			if (segment->areas[k].lv_name && !strcmp(segment->areas[k].lv_name, name))
				return true;
			if (segment->metas && !strcmp(segment->metas[k].lv_name, name))
				return true;
		}
	}
	return false;
}

const struct volume_lv *lvm_lv_dependent(const struct volume_group *group,
					 const struct volume_lv *lv)
{
	const struct lvm_index *index = &group->private->index;

	if (lvm_index_build((struct volume_group *)group))
		return lvm_index_find(&index->namers, lv->name);
	for (unsigned i = 0; i < group->lv_count; i++)
		if (group->lvs[i] != lv && names(group->lvs[i], lv->name))
			return group->lvs[i];
	return NULL;
}

/* The volume that a key of a snapshot's segment names, or NULL. */
static struct volume_lv *named_at(const struct volume_group *group,
				  const struct lvm_config_node *section, const char *key)
{
	const struct lvm_config_node *node = lvm_config_find(section->child, key);

	if (!node || node->value_count != 1 || node->values->type != LVM_CONFIG_STRING)
		return NULL;
	return volume_group_get_lv(group, node->values->string);
}

static bool zeroes(const struct volume_lv *pool)
{
	const struct lvm_config_node *section = pool->segments->private->node;
	const struct lvm_config_node *node =
		section ? lvm_config_find(section->child, "zero_new_blocks") : NULL;

	return node && node->value_count == 1 && node->values->type == LVM_CONFIG_INTEGER &&
	       node->values->integer;
}

static void mark_thin(const struct volume_group *group, struct volume_lv *lv)
{
	const struct volume_segment *segment = lv->segments;
	const struct lvm_config_node *section = segment->private->node;
	const struct volume_lv *pool = lv;

	if (!section || strncmp(segment->type, "thin", 4) != 0)
		return;
	if (strncmp(segment->type, "thin-pool", 9) != 0)
		pool = named_at(group, section, "thin_pool");
	lv->private->zeroing = pool && pool->segment_count && zeroes(pool);
}

void lvm_vg_mark_kept(struct volume_group *group)
{
	for (unsigned i = 0; i < group->lv_count; i++) {
		const struct volume_segment *segment = group->lvs[i]->segments;
		const struct lvm_config_node *section = segment->private->node;
		struct volume_lv *store, *merging, *origin;

		mark_thin(group, group->lvs[i]);
		if (!section || strcmp(segment->type, "snapshot") != 0)
			continue;
		group->lvs[i]->visible = false;
		origin = named_at(group, section, "origin");
		store = named_at(group, section, "cow_store");
		merging = named_at(group, section, "merging_store");
		if (store) {
			store->visible = true;
			store->private->shown_type = "snapshot";
		}
		if (origin)
			origin->private->origin = true;
		/* The data of an origin is that of the snapshot that is merged into it. */
		if (origin && merging) {
			origin->private->shown_type = "snapshot-merge";
		}
	}
}
