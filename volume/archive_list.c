/* SPDX-License-Identifier: BSD-2-Clause */
/* What the archive holds; see archive.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/error.h"
#include "volume/archive.h"

static void kept_free(struct volume_kept *kept)
{
	free(kept->path);
	free(kept->vg);
	free(kept->description);
	free(kept->host);
	free(kept->problem);
}

void volume_archive_list_free(struct volume_kept_list *list)
{
	for (unsigned i = 0; i < list->count; i++)
		kept_free(&list->at[i]);
	free(list->at);
}

int archive_text_read(int directory, const char *name, int flags, char **text, size_t *size)
{
	int fd = openat(directory, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC | flags);
	struct stat status;
	ssize_t got = 0;
	size_t done = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) ||
	    status.st_size > (off_t)LVM_METADATA_TEXT_MAX) {
		close(fd);
		return -EINVAL;
	}
	*text = malloc((size_t)status.st_size + 1);
	while (*text && done < (size_t)status.st_size &&
	       (got = read(fd, *text + done, (size_t)status.st_size - done)) > 0)
		done += (size_t)got;
	close(fd);
	if (!*text || got < 0)
		return *text ? -EIO : -ENOMEM;
	(*text)[done] = '\0';
	*size = done;
	return 0;
}

static char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

/* What is in one file; false where it is none of `vg`. */
static bool look(int directory, const char *name, const char *vg, struct volume_kept *kept)
{
	CLEANUP_VOLUME_GROUP struct volume_group *group = NULL;
	CLEANUP_FREE char *text = NULL;
	struct error why = { 0 };
	size_t size = 0, length = vg ? strlen(vg) : 0;
	int rc = archive_text_read(directory, name, O_NOFOLLOW, &text, &size);

	if (rc)
		error_set(&why, rc, "%s", error_name(rc));
	else
		rc = volume_text_read(text, size, name, &group, &why);
	if (rc) {
		kept->problem = strdup(why.text);
		return !vg || (!strncmp(name, vg, length) && name[length] == '_');
	}
	memcpy(kept->uuid, group->uuid, sizeof(kept->uuid));
	kept->vg = copy(group->name);
	kept->description = copy(group->description);
	kept->host = copy(group->creation_host);
	kept->time = group->creation_time;
	kept->seqno = group->seqno;
	return !vg || !strcmp(vg, group->name) || !strcmp(vg, group->uuid);
}

static int add(struct volume_kept_list *list, int directory, const char *path, const char *name,
	       const char *vg, bool backup)
{
	struct volume_kept kept = { .backup = backup };
	struct volume_kept *grown;

	if (!look(directory, name, vg, &kept)) {
		kept_free(&kept);
		return 0;
	}
	if (asprintf(&kept.path, "%s/%s", path, name) < 0)
		kept.path = NULL;
	grown = realloc(list->at, (list->count + 1) * sizeof(*grown));
	if (grown)
		list->at = grown;
	if (!grown || !kept.path) {
		kept_free(&kept);
		return -ENOMEM;
	}
	grown[list->count++] = kept;
	return 0;
}

static int list_directory(struct volume_kept_list *list, const char *above, const char *vg,
			  bool backup)
{
	CLEANUP_FREE char *path = NULL;
	struct dirent *entry;
	DIR *stream;
	int rc = 0;

	if (asprintf(&path, "%s/%s", above, backup ? "backup" : "archive") < 0)
		return -ENOMEM;
	stream = opendir(path);
	if (!stream)
		return errno == ENOENT ? 0 : -errno;
	while (!rc && (entry = readdir(stream)))
		if (entry->d_name[0] != '.')
			rc = add(list, dirfd(stream), path, entry->d_name, vg, backup);
	closedir(stream);
	return rc;
}

static int compare_kept(const void *a, const void *b)
{
	const struct volume_kept *x = a, *y = b;
	int order = strcmp(x->vg ? x->vg : "", y->vg ? y->vg : "");

	if (!order)
		order = strcmp(x->uuid, y->uuid);
	if (!order)
		order = (x->seqno > y->seqno) - (x->seqno < y->seqno);
	return order ? order : strcmp(x->path, y->path);
}

int volume_archive_list(const char *directory, const char *vg, struct volume_kept_list *out,
			struct error *error)
{
	int rc;

	*out = (struct volume_kept_list){ 0 };
	rc = list_directory(out, directory, vg, false);
	if (!rc)
		rc = list_directory(out, directory, vg, true);
	if (rc)
		return error_set(error, rc, "%s: cannot be listed: %s", directory, error_name(rc));
	if (out->count)
		qsort(out->at, out->count, sizeof(*out->at), compare_kept);
	return 0;
}
