/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TENON_UTIL_REPLACE_FILE_H
#define TENON_UTIL_REPLACE_FILE_H

#include <stddef.h>

/*
 * Puts a file of these bytes, for its owner alone, in the place of whatever has that name: as a whole, and durable when it returns. It is written
 * without a name and then given one, so a process that is killed leaves nothing, but in the moment between two names: "PATH.new-" and eight
 * digits of chance, which nobody's file has (of a long PATH its beginning). Where a file system has no files without names, or /proc is not mounted, the
 * new one has that from its beginning. Blocks. 0
 * or a negative errno; then what was there is, or, where only the last flush failed, the new one.
 */
int replace_file(const char *path, const void *bytes, size_t size);

/* Of that, the writing alone: all of it. */
int replace_file_put(int fd, const void *bytes, size_t size);
/* ... and durable. */
int replace_file_fill(int fd, const void *bytes, size_t size);

/* Has what was renamed or removed in the folder of a file be durable. Blocks. 0 or a negative errno. */
int replace_file_flush_folder(const char *path);

#endif
