/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of the file system a process may use from now on, by Landlock (Linux 5.13, landlock(7)): for a child that reads hostile
 * files by a program of somebody else's.
 */
#ifndef TENON_UTIL_CONFINE_H
#define TENON_UTIL_CONFINE_H

#include <stdbool.h>

struct confine_path {
	const char *path;
	bool write;
};

/*
 * The calling thread, and whatever it starts, may read and execute what the system's programs are made of (/usr, /lib and the like), and
 * use the `count` given files; nothing else of what is not open yet. It also gives up all ways to more privileges. 0; -ENOSYS or -EOPNOTSUPP where
 * the kernel cannot do it, or another negative errno: then nothing is confined. For a child between fork() and exec(): no
 * memory is allocated.
 */
int confine_files(const struct confine_path *paths, unsigned count);

#endif
