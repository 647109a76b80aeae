/* SPDX-License-Identifier: BSD-2-Clause */
/* How much memory the packets on bad links may have. */
#ifndef TENON_VSWITCH_LINK_MEMORY_H
#define TENON_VSWITCH_LINK_MEMORY_H

#include <stdint.h>

/* In bytes: a quarter of the machine's memory, or of what this process's control groups leave it, if that is less. 0: not known. */
uint64_t link_memory_most(void);

/* The least limit, in bytes, of the memory of the control groups in `groups` (proc_pid_cgroup(5): /proc/self/cgroup), of versions 1 and 2, and of those around
 * them; UINT64_MAX: there is none. `root` is where they are mounted: /sys/fs/cgroup. */
uint64_t link_memory_limit(const char *groups, const char *root);

#endif
