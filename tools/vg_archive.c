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
#include "tools/describe.h"
#include "tools/device_look.h"
#include "tools/look.h"
#include "tools/raid.h"
#include "tools/stack.h"
#include "tools/state.h"
#include "util/bytes.h"

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
		{ "SEQNO", "seqno", CLI_AS_TEXT },
		{ "KIND", "kind", CLI_AS_TEXT },
		{ "TIME", "created", CLI_AS_TEXT },
		{ "DESCRIPTION", "description", CLI_AS_TEXT },
		{ "FILE", "file", CLI_AS_TEXT },
		{ "PROBLEM", "problem", CLI_AS_TEXT },
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

/* The archive's backup of the group: after a restore to some other time, that one is the newest. */
static int find_backup(const struct vg_file *restore, char **path, struct error *error)
{
	CLEANUP_STATE_ARCHIVE struct state_archive state;
	CLEANUP_VOLUME_KEPT struct volume_kept_list list = { 0 };
	const struct volume_archive *archive = state_archive(&state);
	const struct volume_kept *found = NULL;
	int rc = archive ? volume_archive_list(archive->directory, restore->name, &list, error) : 0;

	for (unsigned i = 0; !rc && i < list.count; i++) {
		const struct volume_kept *kept = &list.at[i];

		if (!kept->backup || kept->problem)
			continue;
		if (found) {
			error_set(error, -EEXIST, "%s: there are backups of two groups: %s and %s",
				  restore->name, found->path, kept->path);
			return error_advise(error, "name one with --file");
		}
		found = kept;
	}
	if (rc)
		return rc;
	if (!found) {
		error_set(error, -ENOENT, "%s: no backup is kept of it", restore->name);
		return error_advise(error,
				    "name a file with --file; `tenon vg archive` lists them");
	}
	*path = strdup(found->path);
	return *path ? 0 : -ENOMEM;
}

/* Of the devices that are looked at, those that are PVs of the text. */
static int find_devices(const struct vg_file *restore, const struct volume_group *wanted,
			struct cli_words *devices, struct error *error)
{
	CLEANUP_STACK struct stack *stack = NULL;
	int rc = stack_look(&stack, &restore->given, error);

	for (unsigned i = 0; !rc && i < stack->scan->device_count; i++) {
		const struct volume_scanned *scanned = &stack->scan->devices[i];

		if (scanned->is_pv && volume_group_get_pv(wanted, scanned->info.uuid))
			cli_words_add(devices, cli_keep_text(scanned->block->name));
	}
	if (!rc && !devices->count)
		rc = error_set(error, -ENXIO, "%s: none of its PVs is on the devices of the list",
			       wanted->name);
	return rc;
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

	for (unsigned i = 0; !rc && i < devices->count; i++)
		rc = device_open_new(*below, devices->words[i], true, &blocks[i], error);
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
	const struct vg_file *restore = arg;
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
		rc = find_devices(restore, wanted, &devices, error);
	if (!rc)
		rc = put_back(restore, path, text, size, &devices, &below, error);
	return stack_finish(below, rc, error);
}

int vg_restore_verb(int argc, char **argv)
{
	struct vg_file restore = { 0 };
	const struct cli_option options[] = {
		{ "file", CLI_TEXT, &restore.file, "FILE", "from this file; else the last backup" },
		{ "force", CLI_FLAG, &restore.force, NULL, "also of thin pools and caches" },
		CLI_OPTION_DEVICE(&restore.given),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	int status;

	if (!cli_parse("vg restore VG [--file FILE]", options, argc, argv, 1, 1, &operands,
		       &status))
		return status;
	restore.name = operands.words[0];
	return cli_on_fiber(restore_run, &restore);
}
