/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who has a served disk alone, also while its server is away.
 *
 * A mount, a loop device or an NBD export that writes to a disk has its bytes in caches, and goes on when a killed server
 * is started anew. Were a machine the first to come to that server, each would overwrite what the other has written. So
 * who takes a disk alone holds a lock, RUNTIME/alone-ID, until he lets go of it or ends; and a server turns away
 * everybody else. The file stays: one that is removed could be locked by two.
 */
#ifndef TENON_TOOLS_ALONE_H
#define TENON_TOOLS_ALONE_H

#include <stdbool.h>
#include <sys/types.h>

struct error;

/* Takes it for this process; *fd is to be closed. A process has a disk once: closing one gives up all. 0; -EBUSY, with the process
 * that has it in *holder (0: one that cannot be seen from here); or another negative errno. Blocks, but not for others. */
int alone_take(const char *id, int *fd, pid_t *holder);

/* Whether somebody has it, and who. */
bool alone_is_taken(const char *id, pid_t *holder);

#endif
