/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changes of groups and physical volumes, carried out by whoever has the group open: a server, as methods of its control
 * socket of the same names, or the command.
 *
 *	vg.tag, pv.tag		{add_tags, delete_tags}
 *	vg.change		{autoactivate, allocation, resizeable, max_lvs, max_pvs, extent_size}
 *	pv.change		{allocatable}
 *	vg.extend		{pvs}: devices that become PVs of it, opened by the caller
 *	vg.reduce		{pvs}
 *	vg.reduce_missing	{force}
 *	vg.repair		{restore_missing}
 *	vg.rename		{new_name}
 *	vg.export		{}
 *	vg.import		{partial: take it though PVs are missing}
 *	pv.resize		{size}; 0 or none: what its device has
 *
 * All have "name", the group's; those of PVs have "pvs" with one.
 */
#ifndef TENON_TOOLS_VG_CHANGE_H
#define TENON_TOOLS_VG_CHANGE_H

#include <jansson.h>

#include "tools/cli.h"

struct block;
struct error;
struct volume_group;

/* What a change needs and leaves beside its parameters. */
struct vg_change {
	const char *method;
	json_t *params;
	struct block **blocks; /* of vg.extend */
	unsigned block_count;
	json_t *news;   /* lines for the user are appended */
	bool rehearsal; /* they say what would be */
};

/* At the group's home. 0 or a negative errno with `error` set. */
int vg_change(struct volume_group *group, struct vg_change *change, struct error *error);

/* The words of a list option, as a list of texts. */
json_t *vg_words(const struct cli_words *words);

/* Whether a server carries it out while it serves volumes of the group. */
bool vg_change_while_served(const char *method);

/* `tenon vg ...` and `tenon pv ...` that change something. */
command_fn vg_extend_verb, vg_reduce_verb, vg_rename_verb, vg_export_verb, vg_import_verb,
	vg_tag_verb, vg_change_verb, vg_repair_verb, vg_clone_verb, vg_split_verb, vg_merge_verb;
command_fn pv_create_verb, pv_remove_verb, pv_resize_verb, pv_tag_verb, pv_change_verb;

#endif
