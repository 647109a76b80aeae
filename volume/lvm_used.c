/* SPDX-License-Identifier: BSD-2-Clause */
/* Which extents of a group are taken, and by whom: see lvm_vg.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "volume/segment.h"

static int compare_names(const void *a, const void *b)
{
	return strcmp((*(struct volume_pv *const *)a)->name, (*(struct volume_pv *const *)b)->name);
}

static int compare_key(const void *key, const void *item)
{
	return strcmp(key, (*(struct volume_pv *const *)item)->name);
}

int lvm_pv_names_init(struct lvm_pv_names *names, const struct volume_group *group)
{
	names->sorted = malloc(group->pv_count * sizeof(*names->sorted) + 1);
	if (!names->sorted)
		return -ENOMEM;
	names->count = group->pv_count;
	names->last = NULL;
	for (unsigned i = 0; i < names->count; i++)
		names->sorted[i] = group->pvs[i];
	if (names->count)
		qsort(names->sorted, names->count, sizeof(*names->sorted), compare_names);
	return 0;
}

void lvm_pv_names_free(struct lvm_pv_names *names)
{
	free(names->sorted);
}

struct volume_pv *lvm_pv_names_find(struct lvm_pv_names *names, const char *name)
{
	struct volume_pv **found;

	if (!names->count)
		return NULL;
	if (names->last && !strcmp(names->last->name, name))
		return names->last;
	found = bsearch(name, names->sorted, names->count, sizeof(*names->sorted), compare_key);
	if (found)
		names->last = *found;
	return found ? *found : NULL;
}

struct collector {
	struct lvm_pv_names names;
	struct lvm_used *at;
	size_t count, capacity;
	bool failed, unsorted;
};

static int compare(const void *a, const void *b)
{
	const struct lvm_used *x = a, *y = b;

	if (x->pv != y->pv)
		return (x->pv > y->pv) - (x->pv < y->pv);
	return (x->start > y->start) - (x->start < y->start);
}

static void add_used(void *arg, const struct volume_pv *pv, uint32_t start, uint32_t count,
		     bool guessed)
{
	struct collector *all = arg;

	if (all->count == all->capacity) {
		size_t capacity = all->capacity ? 2 * all->capacity : 64;
		struct lvm_used *grown = realloc(all->at, capacity * sizeof(*grown));

		if (!grown) {
			all->failed = true;
			return;
		}
		all->at = grown;
		all->capacity = capacity;
	}
	all->at[all->count++] = (struct lvm_used){
		.pv = pv->private->index, .start = start, .count = count, .guessed = guessed
	};
	if (all->count > 1)
		all->unsorted |= compare(&all->at[all->count - 2], &all->at[all->count - 1]) > 0;
}

int lvm_vg_used(const struct volume_group *group, struct lvm_used **out, size_t *count)
{
	struct collector all = { 0 };

	if (lvm_pv_names_init(&all.names, group))
		return -ENOMEM;
	for (unsigned i = 0; i < group->lv_count; i++)
		for (unsigned k = 0; k < group->lvs[i]->segment_count; k++) {
			const struct volume_segment *segment = &group->lvs[i]->segments[k];

			segment->private->type->used(segment, &all.names, add_used, &all);
		}
	lvm_pv_names_free(&all.names);
	if (all.failed) {
		free(all.at);
		return -ENOMEM;
	}
	if (all.unsorted)
		qsort(all.at, all.count, sizeof(*all.at), compare);
	*out = all.at;
	*count = all.count;
	return 0;
}

/* Counts one range; `end` is where the ranges before it on the same PV end. */
static void count_used(struct volume_group *group, const struct lvm_used *used, uint64_t end)
{
	uint64_t start = MAX((uint64_t)used->start, end);
	uint64_t stop = (uint64_t)used->start + used->count;

	if (stop <= start)
		return;
	group->pvs[used->pv]->allocated_extents += (uint32_t)(stop - start);
	group->free_extents -= (uint32_t)(stop - start);
}

int lvm_vg_count(struct volume_group *group, struct error *error)
{
	CLEANUP_FREE struct lvm_used *used = NULL;
	bool guessed = false; /* the range that ends last */
	uint64_t end = 0;
	size_t count;
	int rc = lvm_vg_used(group, &used, &count);

	if (rc)
		return error_set(error, rc, "%s: no memory to count extents", group->name);
	group->free_extents = group->extent_count;
	for (unsigned i = 0; i < group->pv_count; i++)
		group->pvs[i]->allocated_extents = 0;
	for (size_t i = 0; i < count; i++) {
		if (i && used[i].pv != used[i - 1].pv)
			end = 0;
		if (used[i].start < end && !used[i].guessed && !guessed)
			return error_set(error, -EBADMSG,
					 "volume group %s: extent %u of %s is used twice",
					 group->name, used[i].start, group->pvs[used[i].pv]->name);
		count_used(group, &used[i], end);
		if ((uint64_t)used[i].start + used[i].count > end) {
			end = (uint64_t)used[i].start + used[i].count;
			guessed = used[i].guessed;
		}
	}
	return 0;
}

uint64_t lvm_pv_end(const struct volume_group *group, const struct volume_pv *pv)
{
	return pv->pe_start + pv->extent_count * group->extent_size;
}
