/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What can be done with groups in a scenario; see volume.h. Whoever adds a verb that changes metadata adds a row, for which a test asks; one of
 * a kind of volume that is not there yet (a snapshot, a pool) says with it what its volumes must hold.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "block/block.h"
#include "tools/lab/volume.h"
#include "util/bytes.h"

/* ---- Words ---- */

/* "disk2". */
struct lab_disk *lab_volume_find_disk(struct lab_volume_stage *stage, const char *name,
				      struct error *error)
{
	const struct lab_scenario *scenario = stage->volume->scenario;
	unsigned number;
	char rest;

	if (sscanf(name, "disk%u%c", &number, &rest) == 1 && number < scenario->disk_count)
		return stage->disks[number];
	error_set(error, -ENOENT, "%s: expected disk0 to disk%u", name, scenario->disk_count - 1);
	return NULL;
}

struct volume_group *lab_volume_group(struct lab_volume_stage *stage, const char *name,
				      struct error *error)
{
	struct volume_group *group = NULL;

	if (!stage->scan && lab_volume_scan(stage, &stage->scan, error))
		return NULL;
	if (volume_scan_find(stage->scan, name ? name : stage->here.group, &group, error))
		return NULL;
	return group;
}

struct volume_pv *lab_volume_find_pv(struct lab_volume_stage *stage, const char *name,
				     struct error *error)
{
	struct lab_disk *disk = lab_volume_find_disk(stage, name, error);

	for (unsigned i = 0; disk && i < stage->scan->device_count; i++)
		if (stage->scan->devices[i].block == &disk->block && stage->scan->devices[i].pv)
			return stage->scan->devices[i].pv;
	if (disk)
		error_set(error, -ENOENT, "%s: is not in a group", name);
	return NULL;
}

/* ---- The table ---- */

const struct lab_volume_operation lab_volume_operations[] = {
	{ "create", "NAME SIZE [STRIPES]", 2, 3, "lv create", lab_op_create, NULL, false },
	{ "create-raid", "NAME SIZE TYPE [STRIPES]", 3, 4, "lv create", lab_op_create_raid, NULL,
	  false },
	{ "resize", "NAME SIZE", 2, 2, "lv resize, lv extend, lv reduce", lab_op_resize, NULL,
	  false },
	{ "rename", "NAME NEW", 2, 2, "lv rename", lab_op_rename, NULL, false },
	{ "remove", "NAME", 1, 1, "lv remove", lab_op_remove, NULL, false },
	{ "write", "NAME", 1, 1, NULL, lab_op_write, NULL, false },
	{ "tag", "NAME TAG", 2, 2, "lv tag", lab_op_tag, NULL, false },
	{ "lv-change", "NAME read-only|read-write", 2, 2, "lv change", lab_op_lv_change, NULL,
	  false },
	{ "lv-repair", "NAME", 1, 1, "lv repair", lab_op_lv_repair, lab_finish_lv_repair, true },
	{ "lv-convert", "NAME TYPE MIRRORS", 3, 3, "lv convert", lab_op_lv_convert,
	  lab_finish_lv_repair, true },
	{ "lv-move", "NAME DISK", 2, 2, "lv move", lab_op_lv_move, lab_finish_move, true },
	{ "move", "DISK DISK", 2, 2, "pv move", lab_op_move, lab_finish_move, true },
	{ "pv-create", "DISK [COPIES]", 1, 2, "pv create", lab_op_pv_create, NULL, false },
	{ "pv-remove", "DISK", 1, 1, "pv remove", lab_op_pv_remove, NULL, false },
	{ "pv-resize", "DISK SIZE", 2, 2, "pv resize", lab_op_pv_resize, NULL, false },
	{ "pv-tag", "DISK TAG", 2, 2, "pv tag", lab_op_pv_tag, NULL, false },
	{ "pv-change", "DISK yes|no", 2, 2, "pv change", lab_op_pv_change, NULL, false },
	{ "vg-create", "VG DISK [DISK]", 2, 3, "vg create", lab_op_vg_create, NULL, false },
	{ "vg-extend", "DISK", 1, 1, "vg extend", lab_op_vg_extend, NULL, false },
	{ "vg-reduce", "DISK", 1, 1, "vg reduce", lab_op_vg_reduce, NULL, false },
	{ "vg-reduce-missing", "[force]", 0, 1, "vg reduce", lab_op_vg_reduce_missing, NULL,
	  false },
	{ "vg-rename", "NEW", 1, 1, "vg rename", lab_op_vg_rename, NULL, false },
	{ "vg-remove", "VG", 1, 1, "vg remove", lab_op_vg_remove, NULL, false },
	{ "vg-tag", "TAG", 1, 1, "vg tag", lab_op_vg_tag, NULL, false },
	{ "vg-change", "POLICY", 1, 1, "vg change", lab_op_vg_change, NULL, false },
	{ "vg-export", "VG", 1, 1, "vg export", lab_op_vg_export, NULL, false },
	{ "vg-import", "VG", 1, 1, "vg import", lab_op_vg_import, NULL, false },
	{ "vg-split", "VG DISK", 2, 2, "vg split", lab_op_vg_split, lab_finish_regroup, false },
	{ "vg-merge", "FROM", 1, 1, "vg merge", lab_op_vg_merge, lab_finish_regroup, false },
	{ "vg-clone", "VG", 1, 1, "vg clone", lab_op_vg_clone, lab_finish_clone, false },
	{ "vg-backup", "", 0, 0, NULL, lab_op_vg_backup, NULL, false },
	{ "vg-restore", "", 0, 0, "vg restore", lab_op_vg_restore, NULL, false },
	{ "vg-repair", "[restore-missing]", 0, 1, "vg repair", lab_op_vg_repair, NULL, false },
	{ "gone", "DISK", 1, 1, NULL, lab_op_gone, NULL, false },
	{ "back", "DISK", 1, 1, NULL, lab_op_back, NULL, false },
	{ NULL, NULL, 0, 0, NULL, NULL, NULL, false },
};

const struct lab_volume_operation *lab_volume_operation(const struct lab_volume_op *op)
{
	return &lab_volume_operations[op->number];
}

static int fail_unknown(const char *text, struct error *error)
{
	char names[512] = "";
	size_t at = 0;

	for (unsigned i = 0; lab_volume_operations[i].name && at < sizeof(names); i++)
		at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%s", i ? ", " : "",
				       lab_volume_operations[i].name);
	return error_set(error, -EINVAL, "'%s': expected one of %s", text, names);
}

int lab_volume_op_parse(const char *text, struct lab_volume_op *op, struct error *error)
{
	const struct lab_volume_operation *operation;
	char *rest, *word;

	*op = (struct lab_volume_op){ 0 };
	snprintf(op->text, sizeof(op->text), "%s", text);
	rest = op->text;
	word = strsep(&rest, " ");
	while (rest && op->count < ARRAY_SIZE(op->words))
		op->words[op->count++] = strsep(&rest, " ");
	while (lab_volume_operations[op->number].name &&
	       strcmp(word, lab_volume_operations[op->number].name) != 0)
		op->number++;
	operation = lab_volume_operation(op);
	if (!operation->name)
		return fail_unknown(text, error);
	if (rest || strlen(text) >= sizeof(op->text) || op->count < operation->least ||
	    op->count > operation->most)
		return error_set(error, -EINVAL, "'%s': expected %s %s", text, operation->name,
				 operation->words);
	for (unsigned i = 0; i < op->count; i++)
		if (strlen(op->words[i]) > VOLUME_NAME_LENGTH)
			return error_set(error, -EINVAL, "'%s': is too long", op->words[i]);
	return 0;
}

/* As a command: it looks at all disks. */
int lab_volume_op_run(struct lab_volume_stage *stage, const struct lab_volume_op *op,
		      struct error *error)
{
	lab_volume_stage_end(stage);
	stage->problems = 0;
	return lab_volume_operation(op)->run(stage, op->words, op->count, error);
}
