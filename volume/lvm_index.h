/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finding volumes of a group by name, and those that name another one, without looking at all of them: a
 * server opens thousands.
 *
 * Built at the first question, and again at the first one after lvm_index_forget(), which whoever changes the
 * list of volumes or a name calls. Without memory for it all volumes are looked at.
 */
#ifndef TENON_VOLUME_LVM_INDEX_H
#define TENON_VOLUME_LVM_INDEX_H

#include <stdbool.h>
#include <stddef.h>

struct volume_group;
struct volume_lv;

struct lvm_index_slot {
	const char *name; /* NULL: empty */
	struct volume_lv *lv;
};

/* Open addressing; the size is a power of two, and at least twice what is in it. */
struct lvm_index_table {
	struct lvm_index_slot *slots;
	size_t size, count;
};

struct lvm_index {
	bool named, mentioned;         /* which of them are built */
	struct lvm_index_table names;  /* volumes by their names */
	struct lvm_index_table namers; /* by a name: the first volume whose segments mention it */
};

/* The names, or both, of a group; false when there was no memory. */
bool lvm_index_build_names(struct volume_group *group);
bool lvm_index_build(struct volume_group *group);
/* The names, of which there must not be two, nor of UUIDs: -EEXIST, -ENOMEM. */
int lvm_index_build_distinct(struct volume_group *group);
void lvm_index_forget(struct volume_group *group);
/* One more is in the list; one is not any more: what is built is mended, or forgotten where that is more than its name. */
void lvm_index_added(struct volume_group *group, struct volume_lv *lv);
void lvm_index_dropped(struct volume_group *group, const struct volume_lv *lv);
struct volume_lv *lvm_index_find(const struct lvm_index_table *table, const char *name);

#endif
