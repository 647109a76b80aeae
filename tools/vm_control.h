/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket of a running machine, vm-PID.sock, on which `tenon status` asks what it is. */
#ifndef TENON_TOOLS_VM_CONTROL_H
#define TENON_TOOLS_VM_CONTROL_H

#include <jansson.h>

struct log;
struct vm_control;

/*
 * Answers vm.show with `description`, which is taken over, on a thread of its own. A machine runs without it too: NULL,
 * and a warning, where there can be no socket.
 */
struct vm_control *vm_control_start(json_t *description, struct log *log);
/* NULL is fine. */
void vm_control_stop(struct vm_control *control);

#endif
