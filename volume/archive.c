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

/* What is written in the archive. Nothing in it is the group's, which may be gone before it is. */
struct writing {
	struct archive_file file;
	char *directory, *name, *uuid, *path;
	struct lvm_text head, body;
};

static void writing_free(void *arg)
{
	struct writing *writing = arg;

	free(writing->directory);
	free(writing->name);
	free(writing->uuid);
	free(writing->path);
	free(writing->head.at);
	free(writing->body.at);
	free(writing);
}

static int write_shared(void *arg, const atomic_bool *left)
{
	struct writing *writing = arg;

	writing->file.left = left;
	return archive_file_write(&writing->file, &writing->path);
}

/* Its result, and whether it was left alone. */
static int write_file_here(void *arg)
{
	struct writing **writing = arg;
	bool left;
	int rc = aside_run_shared(write_shared, *writing, writing_free, LIMIT_NS, &left);

	if (left)
		*writing = NULL;
	return rc;
}

/* To a place that the user names, as it is: another process's file there is replaced. */
static int write_named(void *arg, unsigned index, void **data, size_t *size)
{
	const struct archive_file *file = arg;

	(void)index, (void)data, (void)size;
	return archive_file_write_to(file, file->directory);
}

static int write_named_here(void *arg)
{
	struct aside_answer answer;
	int rc = aside_run(write_named, arg, 1, LIMIT_NS, &answer);

	return rc ? rc : answer.rc;
}

/* On a fiber of its own, which nobody cancels: who is told to end in the middle of a change makes that all the same. */
static int undisturbed(fiber_fn *fn, void *arg)
{
	return fiber_current() ? fiber_join(fiber_spawn(fn, arg)) : fn(arg);
}

static void tell(struct volume_group *group, const char *what, const char *place, int rc)
{
	lvm_vg_problem(group, "%s: the metadata %s this change was not kept: %s", place, what,
		       rc == -ETIMEDOUT ? "it does not answer" : error_name(rc));
}

struct body_call {
	const char *metadata;
	struct lvm_text *body;
};

/* Of thousands of volumes that takes its time. */
static int compute_body(void *arg)
{
	struct body_call *call = arg;

	return lvm_archive_body(call->metadata, call->body);
}

/* The group keeps it: what is committed is the backup of one change and the archive of the next. */
static int take_body(struct volume_group *group, const char *metadata, struct lvm_text *body)
{
	struct lvm_text *kept = &group->private->archived;
	bool current = group->private->archived_text == metadata;

	if (current)
		*body = *kept;
	else if (kept->at)
		lvm_text_reuse(body, &kept->at, kept->capacity);
	else
		lvm_text_reserve(body, strlen(metadata) / 4 * 5);
	*kept = (struct lvm_text){ 0 };
	group->private->archived_text = NULL;
	return current ? 0
		       : lvm_vg_compute(group, compute_body, &(struct body_call){ metadata, body });
}

static void give_body(struct volume_group *group, const char *metadata, struct lvm_text *body)
{
	free(group->private->archived.at);
	group->private->archived = *body;
	group->private->archived_text = metadata;
	*body = (struct lvm_text){ 0 };
}

static int fill(struct writing *writing, struct volume_group *group, bool before)
{
	const struct volume_group_private *private = group->private;
	CLEANUP_FREE char *description = NULL;

	writing->name = strdup(group->name);
	writing->uuid = strdup(group->uuid);
	if (!writing->name || !writing->uuid ||
	    asprintf(&writing->directory, "%s/%s", private->archive.directory,
		     before ? "archive" : "backup") < 0 ||
	    asprintf(&description, "Created *%s* executing '%s'", before ? "before" : "after",
		     lvm_vg_command(group)) < 0)
		return -ENOMEM;
	lvm_text_origin(&writing->head, description, private->host, private->system,
			lvm_vg_now(group));
	writing->file = (struct archive_file){ .directory = writing->directory,
					       .name = writing->name,
					       .uuid = writing->uuid,
					       .numbered = before,
					       .least = private->archive.least,
					       .days = private->archive.days,
					       .now = (int64_t)time(NULL),
					       .head = writing->head.at,
					       .head_size = writing->head.size };
	return writing->head.failed ? -ENOMEM : 0;
}

static int keep(struct volume_group *group, const char *metadata, bool before, char **path)
{
	struct writing *writing = calloc(1, sizeof(*writing));
	uint32_t seqno = group->seqno;
	int rc = writing ? fill(writing, group, before) : -ENOMEM;

	if (!rc)
		rc = take_body(group, metadata, &writing->body);
	if (!rc) {
		writing->file.text = writing->body.at;
		writing->file.size = writing->body.size;
		rc = undisturbed(write_file_here, &writing);
	}
	if (!writing)
		return rc;
	if (path)
		*path = steal_pointer(&writing->path);
	if (!rc && metadata == group->private->text && seqno == group->seqno)
		give_body(group, metadata, &writing->body);
	writing_free(writing);
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
	lvm_text_origin(&text, private->command, private->host, private->system, lvm_vg_now(group));
	rc = lvm_archive_body(metadata, &text);
	to.text = text.at;
	to.size = text.size;
	if (!rc)
		rc = undisturbed(write_named_here, &to);
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
