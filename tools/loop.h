/* SPDX-License-Identifier: BSD-2-Clause */
/* Loop devices of the kernel, for root. All of these block. */
#ifndef TENON_TOOLS_LOOP_H
#define TENON_TOOLS_LOOP_H

#include <stdbool.h>

/* *file: the file of a loop device ("/dev/loop0") as the kernel tells it, also where its name is no more; NULL: it has none. The caller
 * frees it. 0 or a negative errno: it cannot be seen. */
int loop_file(const char *device, char **file);
/* *device: the loop device over `path`, or NULL. The same. */
int loop_find(const char *path, char **device);
/* Makes one over the open file; its number, or a negative errno. */
int loop_configure(int backing, const char *path, bool read_only);
/* Tells the one over `path`, if there is one, that the file is as long as it is now. 0 or a negative errno. */
int loop_follow_size(const char *path);

#endif
