/* SPDX-License-Identifier: BSD-2-Clause */
/* See vg_archive.h. */
#include "tools/vg_archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/block.h"
#include "tools/consent.h"
#include "tools/describe.h"
#include "tools/device_look.h"
#include "tools/device_new.h"
#include "tools/look.h"
#include "tools/raid.h"
#include "tools/stack.h"
#include "tools/state.h"
#include "util/bytes.h"
#include "util/size.h"

#define FILE_MAX (32u << 20)

/* ---- archive ---- */

static int archive_list_run(struct look *look, struct error *error)
{
	CLEANUP_STATE_ARCHIVE struct state_archive state;
	CLEANUP_VOLUME_KEPT struct volume_kept_list list = { 0 };
	const struct volume_archive *archive = state_archive(&state);
	int rc;

	if (!archive)
		return error_set(error, -ENOENT,
				 "there is no archive: TENON_ARCHIVE turns it off, or HOME is not "
				 "set");
	rc = volume_archive_list(archive->directory, look->name, &list, error);
	if (rc)
		return rc;
	look->result = json_array();
	for (unsigned i = 0; i < list.count; i++)
		json_array_append_new(look->result, describe_kept(&list.at[i]));
	return 0;
}

int vg_archive_verb(int argc, char **argv)
{
	static const struct cli_column columns[] = {
		{ "VG", "vg", CLI_AS_TEXT },
		{ "UUID", "uuid", CLI_AS_TEXT, 3 },
		{ "SEQNO", "seqno", CLI_AS_TEXT, 2 },
		{ "KIND", "kind", CLI_AS_TEXT, 1 },
		{ "TIME", "created", CLI_AS_TEXT },
		{ "FILE", "file", CLI_AS_PATH },
		{ "PROBLEM", "problem", CLI_AS_TEXT, 1 },
		{ "DESCRIPTION", "description", CLI_AS_NOTE },
		{ NULL, NULL, CLI_AS_TEXT },
	};
	struct look look = { .usage = "vg archive [VG] [--json]",
			     .most = 1,
			     .columns = columns,
			     .run = archive_list_run };

	return look_verb(&look, argc, argv);
}

/* ---- backup ---- */

struct vg_file {
	struct cli_words given;
	char *name;
	const char *file;
	bool force;
	struct consent consent;
};

static int backup_run(void *arg, struct error *error)
{
	const struct vg_file *backup = arg;
	CLEANUP_STACK struct stack *stack = NULL;
	CLEANUP_FREE char *path = NULL;
	struct volume_group *group;
	int rc = stack_look(&stack, &backup->given, error);

	if (!rc)
		rc = stack_find_group(stack, backup->name, &group, error);
	if (!rc)
		rc = volume_group_backup(group, backup->file, &path, error);
	if (!rc)
		cli_say("%s: its metadata is in %s", group->name, path ? path : "the archive");
	return rc;
}

int vg_backup_verb(int argc, char **argv)
{
	struct vg_file backup = { 0 };
	const struct cli_option options[] = {
		{ "file", CLI_TEXT, &backup.file, "FILE", "into this file" },
		CLI_OPTION_DEVICE(&backup.given),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	int status;

	if (!cli_parse("vg backup VG [--file FILE]", options, argc, argv, 1, 1, &operands, &status))
		return status;
	backup.name = operands.words[0];
	return cli_on_fiber(backup_run, &backup);
}

/* ---- restore ---- */

static int read_text(const char *path, char **text, size_t *size, struct error *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	CLEANUP_FREE char *at = malloc(FILE_MAX);
	ssize_t got = 0;
	int rc = fd < 0 ? -errno : at ? 0 : -ENOMEM;

	*size = 0;
	while (!rc && *size < FILE_MAX && (got = read(fd, at + *size, FILE_MAX - *size)) > 0)
		*size += (size_t)got;
	if (!rc && got < 0)
		rc = -errno;
	if (fd >= 0)
		close(fd);
	if (rc)
		return error_set(error, rc, "%s: cannot be read: %s", path, error_name(rc));
	*text = steal_pointer(&at);
	return 0;
}

/* Of groups of one name, the UUID of the one that is on the devices; "" where that is none, or more. */
static void find_uuid(const struct vg_file *restore, char uuid[VOLUME_UUID_TEXT])
{
	CLEANUP_STACK struct stack *look = NULL;
	struct volume_group *group;

	uuid[0] = '\0';
	if (!stack_look_below(&look, &restore->given, NULL) &&
	    !volume_scan_find(look->scan, restore->name, &group, NULL))
		memcpy(uuid, group->uuid, sizeof(group->uuid));
}

/* That of the group with the UUID, or the only one. */
static int choose_backup(const struct volume_kept_list *list, const char *name, const char *uuid,
			 const struct volume_kept **out, struct error *error)
{
	const struct volume_kept *found = NULL, *other = NULL;

	for (unsigned i = 0; i < list->count; i++) {
		const struct volume_kept *kept = &list->at[i];

		if (!kept->backup || kept->problem)
			continue;
		if (found && !strcmp(found->uuid, uuid))
			break;
		other = found;
		found = kept;
	}
	if (!found) {
		error_set(error, -ENOENT, "%s: no backup is kept of it", name);
		return error_advise(error,
				    "name a file with --file; `tenon vg archive` lists them");
	}
	if (other && strcmp(found->uuid, uuid)) {
		error_set(error, -EEXIST, "%s: there are backups of two groups: %s and %s", name,
			  other->path, found->path);
		return error_advise(error, "name one with --file");
	}
	*out = found;
	return 0;
}

/* The archive's backup of the group: after a restore to some other time, that one is the newest. */
static int find_backup(const struct vg_file *restore, char **path, struct error *error)
{
	CLEANUP_STATE_ARCHIVE struct state_archive state;
	CLEANUP_VOLUME_KEPT struct volume_kept_list list = { 0 };
	const struct volume_archive *archive = state_archive(&state);
	const struct volume_kept *found = NULL;
	char uuid[VOLUME_UUID_TEXT];
	int rc = archive ? volume_archive_list(archive->directory, restore->name, &list, error) : 0;

	find_uuid(restore, uuid);
	if (!rc)
		rc = choose_backup(&list, restore->name, uuid, &found, error);
	if (rc)
		return rc;
	*path = strdup(found->path);
	return *path ? 0 : -ENOMEM;
}

static const struct volume_lv *find_by_uuid(const struct volume_group *group, const char *uuid)
{
	for (unsigned i = 0; i < group->lv_count; i++)
		if (!strcmp(group->lvs[i]->uuid, uuid))
			return group->lvs[i];
	return NULL;
}

/* Whether it is a part of a mirror that is linear in the file and stays on one of its images. */
static bool is_part_of_mirror(const struct volume_group *group, const struct volume_group *wanted,
			      const struct volume_lv *part)
{
	for (unsigned i = 0; !part->visible && i < group->lv_count; i++) {
		const struct volume_lv *lv = group->lvs[i];
		const struct volume_lv *then = lv->visible ? find_by_uuid(wanted, lv->uuid) : NULL;
		size_t length = strlen(lv->name);

		if (then && !strncmp(part->name, lv->name, length) && part->name[length] == '_' &&
		    volume_restore_image(then, lv))
			return true;
	}
	return false;
}

/* What becomes of a volume that is there now. */
static void plan_volume(struct consent *consent, const struct volume_group *group,
			const struct volume_group *wanted, const struct volume_lv *now)
{
	const struct volume_lv *then = find_by_uuid(wanted, now->uuid);
	const char *image = then ? volume_restore_image(then, now) : NULL;
	char sizes[2][SIZE_TEXT];

	size_format(now->size, sizes[0]);
	if (!then && is_part_of_mirror(group, wanted, now))
		return;
	if (image)
		consent_plan(consent, "  %s/%s would be linear, on what is its image %s",
			     group->name, now->name, image);
	if (!then) {
		consent_loss(consent, "%s/%s, of %s, is not in the file and would be lost",
			     group->name, now->name, sizes[0]);
	} else if (then->size < now->size) {
		consent_loss(consent, "%s/%s would be cut from %s to %s", group->name, now->name,
			     sizes[0], size_format(then->size, sizes[1]));
	} else if (!image && !volume_lv_lies_as(now, then)) {
		consent_loss(consent,
			     "%s/%s would lie elsewhere, and what is on it now would be lost",
			     group->name, now->name);
	} else if (strcmp(now->name, then->name) != 0) {
		consent_plan(consent, "  %s/%s would have the name %s", group->name, now->name,
			     then->name);
	}
}

/* Before all PVs get the metadata of the file. */
static int plan_restore(struct vg_file *restore, struct stack *stack, const char *path,
			struct volume_group *wanted, struct error *error)
{
	struct consent *consent = &restore->consent;
	struct volume_group *now = NULL;
	char size[SIZE_TEXT];
	int rc = volume_restore_find(wanted, stack->scan, path, restore->force, &now, error);

	if (!rc && !restore->force && now)
		rc = volume_restore_check(wanted, now, path, error);
	if (rc)
		return rc;
	consent->always = true;
	consent_plan(consent, "%s: would get the metadata of %s, number %u", wanted->name, path,
		     wanted->seqno);
	if (!now)
		consent_plan(consent, "  no metadata of it is on the devices now");
	for (unsigned i = 0; now && i < now->lv_count; i++)
		plan_volume(consent, now, wanted, now->lvs[i]);
	for (unsigned i = 0; i < wanted->lv_count; i++)
		if (!now || !find_by_uuid(now, wanted->lvs[i]->uuid))
			consent_plan(consent, "  %s/%s, of %s, would be there again", wanted->name,
				     wanted->lvs[i]->name, size_format(wanted->lvs[i]->size, size));
	return 0;
}

static bool is_here(const struct volume_scan *scan, const char *uuid)
{
	for (unsigned i = 0; i < scan->device_count; i++)
		if (scan->devices[i].is_pv && !strcmp(scan->devices[i].info.uuid, uuid))
			return true;
	return false;
}

/* As the restore itself would say it, and before anybody is asked. */
static int check_whole(const struct volume_group *wanted, const char *path,
		       const struct volume_scan *scan, struct error *error)
{
	for (unsigned i = 0; i < wanted->pv_count; i++)
		if (!is_here(scan, wanted->pvs[i]->uuid))
			return error_set(error, -ENXIO,
					 "%s: PV %s of it is missing (last seen as %s)", path,
					 wanted->pvs[i]->uuid,
					 wanted->pvs[i]->device_hint ? wanted->pvs[i]->device_hint
								     : "unknown");
	return 0;
}

/* Of the devices that are looked at, those that are PVs of the text; and what that would do to what is there. 1: it is not
 * to be done. */
static int find_devices(struct vg_file *restore, struct volume_group *wanted, const char *path,
			struct cli_words *devices, struct error *error)
{
	CLEANUP_STACK struct stack *stack = NULL;
	int rc = stack_look(&stack, &restore->given, error);

	for (unsigned i = 0; !rc && i < stack->scan->device_count; i++) {
		const struct volume_scanned *scanned = &stack->scan->devices[i];

		if (scanned->is_pv && volume_group_get_pv(wanted, scanned->info.uuid))
			cli_words_add(devices, cli_keep_text(scanned->block->name));
	}
	if (!rc)
		rc = plan_restore(restore, stack, path, wanted, error);
	if (!rc && !devices->count)
		rc = error_set(error, -ENXIO, "%s: none of its PVs is on the devices of the list",
			       wanted->name);
	if (!rc)
		rc = check_whole(wanted, path, stack->scan, error);
	return rc ? rc : consent_ask(&restore->consent, error);
}

static int put_back(const struct vg_file *restore, const char *path, const char *text, size_t size,
		    struct cli_words *devices, struct stack **below, struct error *error)
{
	CLEANUP_FREE struct block **blocks = calloc(devices->count, sizeof(struct block *));
	CLEANUP_STATE_ARCHIVE struct state_archive state;
	struct volume_context context = { .command = "tenon vg restore",
					  .archive = state_archive(&state) };
	struct volume_group *group = NULL;
	int rc = blocks ? device_claim_below(below, &restore->given, devices, error) : -ENOMEM;

	if (!rc)
		rc = devices_open_new(*below, devices->words, devices->count, true, blocks, error);
	if (!rc)
		rc = volume_group_restore(&group, text, size, path, blocks, devices->count,
					  restore->force, &context, error);
	for (unsigned i = 0; !rc && i < group->problem_count; i++)
		cli_note("%s", group->problems[i]);
	if (!rc)
		cli_say("%s: restored from %s", group->name, path);
	if (!rc)
		volume_group_unref(group);
	for (unsigned i = 0; blocks && i < devices->count; i++)
		block_unref(blocks[i]);
	return rc;
}

static int restore_run(void *arg, struct error *error)
{
	struct vg_file *restore = arg;
	CLEANUP_VOLUME_GROUP struct volume_group *wanted = NULL;
	CLEANUP_FREE char *path = NULL, *text = NULL;
	struct cli_words devices = { 0 };
	struct stack *below = NULL;
	size_t size;
	int rc = 0;

	if (!restore->file)
		rc = find_backup(restore, &path, error);
	else if (!(path = strdup(restore->file)))
		rc = -ENOMEM;
	if (!rc)
		rc = read_text(path, &text, &size, error);
	if (!rc)
		rc = volume_text_read(text, size, path, &wanted, error);
	if (!rc && strcmp(wanted->name, restore->name) && strcmp(wanted->uuid, restore->name))
		rc = error_set(error, -EINVAL, "%s: describes volume group %s, expected %s", path,
			       wanted->name, restore->name);
	if (!rc)
		rc = find_devices(restore, wanted, path, &devices, error);
	if (rc > 0)
		return 0;
	if (!rc)
		rc = put_back(restore, path, text, size, &devices, &below, error);
	return stack_finish(below, rc, error);
}

int vg_restore_verb(int argc, char **argv)
{
	struct vg_file restore = { 0 };
	const struct cli_option options[] = {
		{ "file", CLI_TEXT, &restore.file, "FILE", "from this file; else the last backup" },
		{ "force", CLI_FLAG, &restore.force, NULL,
		  "also what fits no more: thin pools, caches, RAID, volumes that moved" },
		CLI_OPTIONS_CONSENT(&restore.consent),
		CLI_OPTION_DEVICE(&restore.given),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	int status;

	if (!cli_parse("vg restore VG [--file FILE] [--yes]", options, argc, argv, 1, 1, &operands,
		       &status))
		return status;
	restore.name = operands.words[0];
	return cli_on_fiber(restore_run, &restore);
}
