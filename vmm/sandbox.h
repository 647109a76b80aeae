/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a thread of the machine may still ask of the kernel once it runs guest code. A guest that breaks
 * out of KVM into a vCPU thread finds no way to open a file, start a program or reach the network: any
 * call that is not on the list ends the process (SIGSYS). To open a file or to start a thread is refused (EACCES), for the C
 * library's allocator, and who closes a back-end's file (util/peer_file.h), try it.
 */
#ifndef TENON_VMM_SANDBOX_H
#define TENON_VMM_SANDBOX_H

struct error;

/* Locks the calling thread in; for vCPU threads. Nothing is done in builds with sanitizers, which make
 * calls of their own. 0 or a negative errno with `error` set. */
int sandbox_enter_vcpu(struct error *error);

#endif
