/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copies of metadata in files, as LVM2 keeps them: what a group was before each change (the archive), and what it is
 * after the last one (the backup).
 *
 *	DIRECTORY/archive/NAME_NNNNN-UUID.vg	before a change, numbered
 *	DIRECTORY/backup/NAME_UUID		after the last change
 *
 * UUID is the first part of the group's, so that groups of one name on different disks keep apart. The files are in
 * the form that LVM2 gives its own, and `vgcfgrestore -f` takes them.
 *
 * A file is written beside its place, flushed and renamed: it is whole, or not there. It is written by a process aside
 * (fiber/aside.h) with our memory, which a file system that hangs cannot take the server with. That it could not be written is told,
 * and does not hold up the change: the metadata on the disks is safe by itself (commit.h), and whose home directory is
 * full must still be able to remove a volume.
 *
 * Of a group's archive, files older than `days` go, but not the last `least` of them; and the oldest where there are
 * more than ARCHIVE_FILES or ARCHIVE_BYTES, which LVM2 only warns of.
 *
 * Source: lvm2 lib/format_text/archive.c, archiver.c, export.c.
 */
#ifndef TENON_VOLUME_ARCHIVE_H
#define TENON_VOLUME_ARCHIVE_H

#include <stdatomic.h>

#include "volume/lvm_vg.h"

#define ARCHIVE_FILES 1000u
#define ARCHIVE_BYTES (128ull << 20)

/* What a file says behind its head: the group of `metadata` (as it is on a disk, or in a file), indented. -EBADMSG where there is
 * none in it, -ENOMEM. */
int lvm_archive_body(const char *metadata, struct lvm_text *out);

/* Keeps the metadata that the disks hold, before a change; `new`: the group is being made. What fails becomes one of the group's problems. */
void lvm_archive_before(struct volume_group *group, bool new);
/* Keeps `metadata`, which was committed. */
void lvm_archive_after(struct volume_group *group);

/* One file to write, in the process that does it. A file of the user's has no `head` before its text, and nobody leaves it. */
struct archive_file {
	const char *directory; /* archive or backup, made if need be; or the file's own path */
	const char *name;      /* of the group; NULL: a file of the user's */
	const char *uuid;
	bool numbered; /* of the archive */
	unsigned least, days;
	int64_t now;
	const char *head, *text; /* one behind the other */
	size_t head_size, size;
	const atomic_bool *left; /* nobody waits any more, and another may be there meanwhile */
};

/* To a path that is not the archive's. */
int archive_file_write_to(const struct archive_file *file, const char *path);

/* All of a text file, with a NUL behind it; `flags`: more of open(2)'s. -EINVAL for what is no file, or too large for metadata. */
int archive_text_read(int directory, const char *name, int flags, char **text, size_t *size);

/* 0 or a negative errno; *path is where it went or should have gone, or NULL. */
int archive_file_write(const struct archive_file *file, char **path);

#endif
