/* SPDX-License-Identifier: BSD-2-Clause */
/* Other programs that a command needs. */
#ifndef TENON_TOOLS_SPAWN_H
#define TENON_TOOLS_SPAWN_H

#include <stdbool.h>

/* Whether it is in $PATH, or where the system's programs are. */
bool spawn_finds(const char *program);
/* Where that is: malloc; NULL: nowhere. */
char *spawn_find(const char *program);

/* Runs argv[0], found so, and waits for its end: 0, -ENOENT where there is none, -EIO where its exit status was not 0. What
 * it says goes to standard error as it is; standard output too; or nowhere, if `quiet`. */
int spawn_wait(char *const argv[], bool quiet);

#endif
