/* SPDX-License-Identifier: BSD-2-Clause */
/* Volumes by name; see lvm_index.h. */
#include "volume/lvm_index.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "util/large.h"
#include "volume/lvm_vg.h"

/* FNV-1a, of eight bytes at a time as long as there are. */
static size_t hash(const char *name)
{
	uint64_t sum = 0xcbf29ce484222325u, piece;
	size_t left = strlen(name);

	for (; left >= sizeof(piece); name += sizeof(piece), left -= sizeof(piece)) {
		memcpy(&piece, name, sizeof(piece));
		sum = (sum ^ piece) * 0x100000001b3u;
		sum ^= sum >> 29;
	}
	for (; *name; name++)
		sum = (sum ^ (uint8_t)*name) * 0x100000001b3u;
	return (size_t)(sum ^ sum >> 32);
}

static struct lvm_index_slot *slot_of(const struct lvm_index_table *table, const char *name)
{
	size_t at = hash(name) & (table->size - 1);

	while (table->slots[at].name && strcmp(table->slots[at].name, name))
		at = (at + 1) & (table->size - 1);
	return &table->slots[at];
}

struct volume_lv *lvm_index_find(const struct lvm_index_table *table, const char *name)
{
	return table->size ? slot_of(table, name)->lv : NULL;
}

static bool resize(struct lvm_index_table *table, size_t size)
{
	struct lvm_index_table grown = { .size = size, .count = table->count };

	grown.slots = large_alloc(grown.size * sizeof(*grown.slots));
	if (!grown.slots)
		return false;
	memset(grown.slots, 0, grown.size * sizeof(*grown.slots));
	for (size_t i = 0; i < table->size; i++)
		if (table->slots[i].name)
			*slot_of(&grown, table->slots[i].name) = table->slots[i];
	free(table->slots);
	*table = grown;
	return true;
}

/* Room for so many at once. */
static bool reserve(struct lvm_index_table *table, size_t count)
{
	size_t size = 64;

	while (size < 2 * (count + 1))
		size *= 2;
	return resize(table, size);
}

/* The first that comes stays. */
static bool add(struct lvm_index_table *table, const char *name, struct volume_lv *lv)
{
	struct lvm_index_slot *slot;

	if (2 * (table->count + 1) > table->size &&
	    !resize(table, table->size ? 2 * table->size : 64))
		return false;
	slot = slot_of(table, name);
	if (slot->name)
		return true;
	*slot = (struct lvm_index_slot){ name, lv };
	table->count++;
	return true;
}

static bool add_values(struct lvm_index_table *table, const struct lvm_config_node *node,
		       struct volume_lv *lv)
{
	for (; node; node = node->next) {
		if (!add_values(table, node->child, lv))
			return false;
		for (unsigned i = 0; i < node->value_count; i++) {
			const struct lvm_config_value *value = &node->values[i];

			if (value->type == LVM_CONFIG_STRING && strcmp(value->string, lv->name) &&
			    !add(table, value->string, lv))
				return false;
		}
	}
	return true;
}

static bool add_named(struct lvm_index_table *table, struct volume_lv *lv)
{
	for (unsigned i = 0; i < lv->segment_count; i++) {
		const struct volume_segment *segment = &lv->segments[i];

		if (segment->private->node && !add_values(table, segment->private->node->child, lv))
			return false;
		for (unsigned k = 0; k < segment->area_count; k++) {
			if (segment->areas[k].lv_name && !add(table, segment->areas[k].lv_name, lv))
				return false;
			if (segment->metas && !add(table, segment->metas[k].lv_name, lv))
				return false;
		}
	}
	return true;
}

bool lvm_index_build_names(struct volume_group *group)
{
	struct lvm_index *index = &group->private->index;

	if (index->named)
		return true;
	index->named = reserve(&index->names, group->lv_count);
	for (unsigned i = 0; index->named && i < group->lv_count; i++)
		index->named = add(&index->names, group->lvs[i]->name, group->lvs[i]);
	if (!index->named)
		lvm_index_forget(group);
	return index->named;
}

bool lvm_index_build(struct volume_group *group)
{
	struct lvm_index *index = &group->private->index;

	if (!lvm_index_build_names(group))
		return false;
	for (unsigned i = 0; !index->mentioned && i < group->lv_count; i++)
		if (!add_named(&index->namers, group->lvs[i])) {
			lvm_index_forget(group);
			return false;
		}
	index->mentioned = true;
	return true;
}

int lvm_index_build_distinct(struct volume_group *group)
{
	struct lvm_index_table uuids = { 0 };
	bool built = lvm_index_build_names(group) && reserve(&uuids, group->lv_count);
	size_t names = group->private->index.names.count;

	for (unsigned i = 0; built && i < group->lv_count; i++)
		built = add(&uuids, group->lvs[i]->uuid, group->lvs[i]);
	free(uuids.slots);
	if (!built)
		return -ENOMEM;
	return names < group->lv_count || uuids.count < group->lv_count ? -EEXIST : 0;
}

void lvm_index_forget(struct volume_group *group)
{
	struct lvm_index *index = &group->private->index;

	free(index->names.slots);
	free(index->namers.slots);
	*index = (struct lvm_index){ 0 };
}

/* Whether it mentions no other volume. */
static bool is_alone(const struct volume_lv *lv)
{
	bool alone = true;

	for (unsigned i = 0; i < lv->segment_count; i++) {
		const struct volume_segment *segment = &lv->segments[i];

		alone &= !segment->private->node && !segment->metas;
		for (unsigned k = 0; k < segment->area_count; k++)
			alone &= !segment->areas[k].lv_name;
	}
	return alone;
}

void lvm_index_added(struct volume_group *group, struct volume_lv *lv)
{
	struct lvm_index *index = &group->private->index;

	if (!index->named)
		return;
	if (!is_alone(lv) || !add(&index->names, lv->name, lv))
		lvm_index_forget(group);
}

/* What stood behind it because its place was taken moves up. */
static void close_gap(struct lvm_index_table *table, size_t gap)
{
	size_t mask = table->size - 1;

	for (size_t at = (gap + 1) & mask; table->slots[at].name; at = (at + 1) & mask) {
		size_t wanted = hash(table->slots[at].name) & mask;

		if (((at - wanted) & mask) < ((at - gap) & mask))
			continue;
		table->slots[gap] = table->slots[at];
		gap = at;
	}
	table->slots[gap] = (struct lvm_index_slot){ 0 };
	table->count--;
}

void lvm_index_dropped(struct volume_group *group, const struct volume_lv *lv)
{
	struct lvm_index *index = &group->private->index;
	struct lvm_index_slot *slot;

	if (!index->named)
		return;
	slot = slot_of(&index->names, lv->name);
	if (!is_alone(lv) || slot->lv != lv)
		lvm_index_forget(group);
	else
		close_gap(&index->names, (size_t)(slot - index->names.slots));
}
