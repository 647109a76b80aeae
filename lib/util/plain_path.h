/* SPDX-License-Identifier: BSD-2-Clause */
/* Paths that need no realpath(3), told without asking a file system, which may hang. */
#ifndef TENON_UTIL_PLAIN_PATH_H
#define TENON_UTIL_PLAIN_PATH_H

#include <stdbool.h>

/* Whether realpath(path) is `path`, as far as the kernel knows that from memory: it never blocks. False says nothing.
 * openat2(2), RESOLVE_CACHED (Linux 5.12). */
bool path_is_plain(const char *path);

#endif
