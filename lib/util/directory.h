/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TENON_UTIL_DIRECTORY_H
#define TENON_UTIL_DIRECTORY_H

/* Makes a directory and those above it, for their owner alone; those that are there stay as they are. Blocks. 0 or a negative errno. */
int directory_make(const char *path);

#endif
