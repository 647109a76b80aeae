/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files of the archive; see archive.h. Runs in a process of its own, with the memory of ours: plain system calls, which may block.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/directory.h"
#include "util/replace_file.h"
#include "volume/archive.h"

#define DAY_S      86400
#define UUID_CHARS 6 /* of the file's name: the first part */
#define BESIDE     ".new-"

/* What is there of a group. */
struct kept_file {
	char *name;
	unsigned number;
	int64_t time;
	uint64_t size;
};

struct kept_files {
	struct kept_file *at;
	size_t count;
};

static void kept_files_free(struct kept_files *kept)
{
	for (size_t i = 0; i < kept->count; i++)
		free(kept->at[i].name);
	free(kept->at);
}

/* Of "NAME_NNNNN-UUID.vg" the number, or -1 where it is no such file of this group. */
static long number_of(const struct archive_file *file, const char *entry)
{
	size_t length = strlen(file->name);
	char *end;
	long number;

	if (strncmp(entry, file->name, length) || entry[length] != '_')
		return -1;
	number = strtol(entry + length + 1, &end, 10);
	if (end == entry + length + 1 || number < 0 || *end != '-' ||
	    strncmp(end + 1, file->uuid, UUID_CHARS) || strcmp(end + 1 + UUID_CHARS, ".vg"))
		return -1;
	return number;
}

static int keep(struct kept_files *kept, const char *entry, long number, const struct stat *status)
{
	struct kept_file *grown = realloc(kept->at, (kept->count + 1) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	kept->at = grown;
	grown[kept->count] = (struct kept_file){ .name = strdup(entry),
						 .number = (unsigned)number,
						 .time = status->st_mtime,
						 .size = (uint64_t)status->st_size };
	return grown[kept->count++].name ? 0 : -ENOMEM;
}

static int compare_files(const void *a, const void *b)
{
	const struct kept_file *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

/* Oldest first. What a process that was killed left beside its place goes when it is a day old. */
static int list_files(const struct archive_file *file, int directory, struct kept_files *kept)
{
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int rc = 0;

	if (!stream) {
		rc = -errno;
		if (fd >= 0)
			close(fd);
		return rc;
	}
	while (!rc && (entry = readdir(stream))) {
		long number = number_of(file, entry->d_name);
		bool beside = !strncmp(entry->d_name, BESIDE, strlen(BESIDE));
		struct stat status;

		if ((number < 0 && !beside) ||
		    fstatat(directory, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (!beside)
			rc = keep(kept, entry->d_name, number, &status);
		else if (status.st_mtime < file->now - DAY_S)
			unlinkat(directory, entry->d_name, 0);
	}
	closedir(stream);
	if (kept->count)
		qsort(kept->at, kept->count, sizeof(*kept->at), compare_files);
	return rc;
}

/* With the one to come. */
static void expire(const struct archive_file *file, int directory, const struct kept_files *kept)
{
	size_t left = kept->count + 1;
	uint64_t bytes = file->head_size + file->size;

	for (size_t i = 0; i < kept->count; i++)
		bytes += kept->at[i].size;
	for (size_t i = 0; i < kept->count && left > MAX(file->least, 1u); i++) {
		const struct kept_file *oldest = &kept->at[i];
		bool old = oldest->time <= file->now - (int64_t)file->days * DAY_S;

		if (!old && left <= ARCHIVE_FILES && bytes <= ARCHIVE_BYTES)
			continue;
		if (unlinkat(directory, oldest->name, 0) < 0 && errno != ENOENT)
			continue;
		left--;
		bytes -= oldest->size;
	}
}

static int write_beside(const struct archive_file *file, int directory, const char *beside)
{
	int fd = openat(directory, beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			0600);
	int rc;

	if (fd < 0)
		return -errno;
	rc = replace_file_put(fd, file->head, file->head_size);
	if (!rc)
		rc = replace_file_fill(fd, file->text, file->size);
	if (close(fd) < 0 && !rc)
		rc = -errno;
	if (rc)
		unlinkat(directory, beside, 0);
	return rc;
}

/* A number that is free stays free only if nobody else takes it: then the next one. */
static int put_numbered(const struct archive_file *file, int directory, const char *beside,
			unsigned number, char *place)
{
	int rc = -EEXIST;

	for (unsigned i = 0; rc == -EEXIST && i < 100; i++) {
		snprintf(place, NAME_MAX + 1, "%s_%05u-%.*s.vg", file->name, number + i, UUID_CHARS,
			 file->uuid);
		rc = linkat(directory, beside, directory, place, 0) < 0 ? -errno : 0;
	}
	/* where there are no hard links */
	if (rc && rc != -EEXIST)
		return renameat(directory, beside, directory, place) < 0 ? -errno : 0;
	unlinkat(directory, beside, 0);
	return rc;
}

static int put(const struct archive_file *file, int directory, char *place)
{
	CLEANUP(kept_files_free) struct kept_files kept = { 0 };
	char beside[64];
	unsigned number = 0;
	int rc = 0;

	snprintf(place, NAME_MAX + 1, "%s_%.*s", file->name, UUID_CHARS, file->uuid);
	snprintf(beside, sizeof(beside), BESIDE "%d", (int)getpid());
	unlinkat(directory, beside, 0); /* of a process of this number that was killed */
	rc = list_files(file, directory, &kept);
	if (file->numbered && kept.count)
		number = kept.at[kept.count - 1].number + 1;
	/* Before, so that it makes room. */
	if (!rc && file->numbered)
		expire(file, directory, &kept);
	if (!rc)
		rc = write_beside(file, directory, beside);
	if (rc)
		return rc;
	if (*file->left)
		rc = -ETIMEDOUT;
	else if (file->numbered)
		rc = put_numbered(file, directory, beside, number, place);
	else if (renameat(directory, beside, directory, place) < 0)
		rc = -errno;
	if (rc)
		unlinkat(directory, beside, 0);
	else if (fsync(directory) < 0)
		rc = -errno;
	return rc;
}

/* A file of such a text gives way to another; what else has that name is somebody's disk, or a device. */
static int check_replaced(const char *path)
{
	static const char mark[] = "Text Format Volume Group";
	CLEANUP_CLOSE int fd = -1;
	struct stat status;
	char head[4096];
	ssize_t got;

	if (stat(path, &status))
		return errno == ENOENT ? 0 : -errno;
	if (S_ISDIR(status.st_mode))
		return -EISDIR;
	if (!S_ISREG(status.st_mode))
		return -EEXIST;
	if (!status.st_size)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	got = fd < 0 ? -1 : read(fd, head, sizeof(head));
	if (got < 0)
		return -errno;
	return memmem(head, (size_t)got, mark, strlen(mark)) ? 0 : -EEXIST;
}

int archive_file_write_to(const struct archive_file *file, const char *path)
{
	int rc = check_replaced(path);

	return rc ? rc : replace_file(path, file->text, file->size);
}

int archive_file_write(const struct archive_file *file, char **path)
{
	char place[NAME_MAX + 1] = "";
	int directory, rc = directory_make(file->directory);

	*path = NULL;
	if (rc)
		return rc;
	directory = open(file->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return -errno;
	rc = put(file, directory, place);
	close(directory);
	if (asprintf(path, "%s/%s", file->directory, place) < 0)
		*path = NULL;
	return rc;
}
