/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks of `tenon vm run` that are volumes or arrays, by their names. A running server that has one is asked for its socket. What
 * nobody serves gets a server of this machine's own: a child, which ends with it, and which commands find as they find any
 * other, so that a disk grows or moves while the guest runs.
 */
#ifndef TENON_TOOLS_VM_VOLUMES_H
#define TENON_TOOLS_VM_VOLUMES_H

#include <sys/types.h>

#include "tools/cli.h"

struct vm_volumes {
	pid_t server;    /* 0: none was needed */
	int output;      /* what it prints; kept, for its sake */
	char *directory; /* of its sockets */
};
#define VM_VOLUMES_NONE ((struct vm_volumes){ .output = -1 })

/* Takes "VG/LV" and "md/NAME" among `disks` for "vhost-user:SOCKET", once all are served. EXIT_DONE, or the status of what failed, of
 * which people were told. Stopping is due in any case, when the machine is gone. Before there are threads. */
int vm_volumes_start(struct vm_volumes *volumes, const struct cli_words *given,
		     struct cli_words *disks);
void vm_volumes_stop(struct vm_volumes *volumes);

#endif
