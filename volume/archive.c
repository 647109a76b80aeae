/* SPDX-License-Identifier: BSD-2-Clause */
/* When metadata is kept, and what is said of it; see archive.h. */
#include "volume/archive.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fiber/aside.h"
#include "fiber/fiber.h"
#include "util/error.h"

#define LIMIT_NS (10 * 1000000000ull)

static int write_aside(void *arg, unsigned index, void **data, size_t *size)
{
	const struct archive_file *file = arg;
	char *path = NULL;
	int rc = archive_file_write(file, &path);

	(void)index;
	*data = path;
	*size = path ? strlen(path) + 1 : 0;
	return rc;
}

/* To a place that the user names, as it is: another process's file there is replaced. */
static int write_named(void *arg, unsigned index, void **data, size_t *size)
{
	const struct archive_file *file = arg;

	(void)index, (void)data, (void)size;
	return archive_file_write_to(file, file->directory);
}

struct writing {
	const struct archive_file *file;
	char **path; /* or NULL */
};

static int write_file_here(void *arg)
{
	const struct writing *writing = arg;
	const struct archive_file *file = writing->file;
	struct aside_answer answer = { 0 };
	int rc = aside_run(file->name ? write_aside : write_named, (void *)file, 1, LIMIT_NS,
			   &answer);

	if (rc)
		return rc;
	rc = answer.silent ? -ETIMEDOUT : answer.rc;
	if (writing->path && answer.data && answer.size)
		*writing->path = strdup(answer.data);
	aside_free(&answer, 1);
	return rc;
}

/* On a fiber of its own, which nobody cancels: who is told to end in the middle of a change makes that all the same. */
static int write_file(const struct archive_file *file, char **path)
{
	struct writing writing = { file, path };

	return fiber_current() ? fiber_join(fiber_spawn(write_file_here, &writing))
			       : write_file_here(&writing);
}

static void tell(struct volume_group *group, const char *what, const char *place, int rc)
{
	lvm_vg_problem(group, "%s: the metadata %s this change was not kept: %s", place, what,
		       rc == -ETIMEDOUT ? "it does not answer" : error_name(rc));
}

static int keep(struct volume_group *group, const char *metadata, bool before, char **path)
{
	const struct volume_group_private *private = group->private;
	const char *kind = before ? "archive" : "backup";
	CLEANUP_FREE char *directory = NULL, *description = NULL;
	struct archive_head head = { .host = private->host,
				     .system = private->system,
				     .time = lvm_vg_now(group) };
	struct archive_file file = { .name = group->name,
				     .uuid = group->uuid,
				     .numbered = before,
				     .least = private->archive.least,
				     .days = private->archive.days,
				     .now = (int64_t)time(NULL) };
	struct lvm_text text = { 0 };
	int rc;

	if (asprintf(&directory, "%s/%s", private->archive.directory, kind) < 0 ||
	    asprintf(&description, "Created *%s* executing '%s'", before ? "before" : "after",
		     lvm_vg_command(group)) < 0)
		return -ENOMEM;
	head.description = description;
	rc = lvm_archive_text(metadata, &head, &text);
	file.directory = directory;
	file.text = text.at;
	file.size = text.size;
	if (!rc)
		rc = write_file(&file, path);
	free(text.at);
	return rc;
}

/* The text that the disks hold now. */
static int read_committed(struct volume_group *group, char **text)
{
	int rc = -ENODATA;

	for (unsigned i = 0; i < group->pv_count; i++) {
		const struct volume_pv *pv = group->pvs[i];

		for (unsigned k = 0; pv->block && k < pv->private->area_count; k++) {
			const struct volume_metadata_area *area = &pv->private->areas[k];
			size_t size;

			if (!area->readable || !area->current || area->area.ignored ||
			    !area->area.committed.size)
				continue;
			rc = lvm_metadata_text_read(pv->block, &area->area, &area->area.committed,
						    text, &size, NULL);
			if (!rc)
				return 0;
		}
	}
	return rc;
}

int volume_group_backup(struct volume_group *group, const char *file, char **path,
			struct error *error)
{
	const struct volume_group_private *private = group->private;
	struct archive_head head = { .description = group->private->command,
				     .host = private->host,
				     .system = private->system,
				     .time = lvm_vg_now(group) };
	struct archive_file to = { .directory = file };
	CLEANUP_FREE char *metadata = NULL;
	struct lvm_text text = { 0 };
	int rc = volume_group_text(group, &metadata, error);

	if (rc)
		return rc;
	if (!file) {
		rc = private->archive.directory ? keep(group, metadata, false, path) : -ENOENT;
		return rc ? error_set(error, rc, "%s: its metadata was not kept in %s: %s",
				      group->name,
				      private->archive.directory ? private->archive.directory
								 : "an archive, there is none",
				      error_name(rc))
			  : 0;
	}
	rc = lvm_archive_text(metadata, &head, &text);
	to.text = text.at;
	to.size = text.size;
	if (!rc)
		rc = write_file(&to, NULL);
	free(text.at);
	if (!rc && !(*path = strdup(file)))
		rc = -ENOMEM;
	if (rc == -EEXIST) {
		error_set(error, rc, "%s: is there, and is no file of a group's metadata", file);
		return error_advise(error, "name another file, which is made");
	}
	return rc ? error_set(error, rc, "%s: was not written: %s", file, error_name(rc)) : 0;
}

void lvm_archive_before(struct volume_group *group, bool new)
{
	CLEANUP_FREE char *read = NULL;
	const char *text = group->private->text;
	int rc = 0;

	/* A group that is made has no past: what its devices hold is another's. */
	if (!group->private->archive.directory || new)
		return;
	if (!text) {
		rc = read_committed(group, &read);
		text = read;
	}
	if (!rc)
		rc = keep(group, text, true, NULL);
	if (rc && rc != -ENODATA)
		tell(group, "before", group->private->archive.directory, rc);
}

void lvm_archive_after(struct volume_group *group)
{
	int rc;

	if (!group->private->archive.directory)
		return;
	rc = keep(group, group->private->text, false, NULL);
	if (rc)
		tell(group, "after", group->private->archive.directory, rc);
}
