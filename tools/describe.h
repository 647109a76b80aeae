/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arrays, groups and volumes as JSON: what listings print, and what a running server answers to those
 * who ask it. Sizes are in bytes and their keys end in "_bytes".
 */
#ifndef TENON_TOOLS_DESCRIBE_H
#define TENON_TOOLS_DESCRIBE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct block;
struct raid_array;
struct raid_info;
struct raid_status;
struct volume_group;
struct volume_kept;
struct volume_lv;
struct volume_pv;
struct volume_scanned;

/* Text of unknown origin (names from disk, paths) as a JSON string; what is no UTF-8 is cleaned (text.h). */
json_t *describe_text(const char *text);

/* The same of a path, from the root: whoever reads it may be anywhere. NULL is null. */
json_t *describe_path(const char *path);

/* {pid, command} of a process of this host. */
json_t *describe_process(int pid);

/* The name of an array as one word (text_name()), by which it can be named. */
json_t *describe_name(const char *name);

/* A row of `raid list`; all of `raid show`. `looked`: it was assembled for a look (stack_look()). */
json_t *describe_array_row(struct raid_array *array, bool looked);
json_t *describe_array(struct raid_array *array, bool looked);
/* How much of it members agree in and have; null: it keeps its data once. */
json_t *describe_synced(const struct raid_status *status);
/* A row of one that could not be assembled. */
json_t *describe_broken_array(const struct raid_info *md, const char *problem);
/* A member of one, as its own superblock has it; `size` bytes, or 0. */
json_t *describe_unused_member(const char *device, uint64_t size, const struct raid_info *md);
json_t *describe_progress(const struct raid_status *status);

/* A row of `vg list`; all of `vg show`. */
json_t *describe_group_row(const struct volume_group *group);
json_t *describe_group(const struct volume_group *group);

/* A row of `lv list`; all of `lv show`. */
json_t *describe_lv_row(const struct volume_group *group, const struct volume_lv *lv);
/* Of one that a server has open for its clients. */
void describe_in_use(char *attributes);
/* A word for what can be done with it. */
const char *describe_lv_state(const struct volume_lv *lv);
json_t *describe_tags(char *const *tags, unsigned count);
json_t *describe_lv(const struct volume_group *group, const struct volume_lv *lv);

/* A row of `pv list`; all of `pv show`. */
json_t *describe_pv_row(const struct volume_scanned *scanned);
json_t *describe_pv(const struct volume_scanned *scanned);

/* A copy of metadata. */
json_t *describe_kept(const struct volume_kept *kept);

#endif
