/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads that leave the process's signals to others. */
#ifndef TENON_UTIL_THREAD_H
#define TENON_UTIL_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/*
 * Starts fn(arg) with all signals blocked, so that only who waits for them gets them, and SIGPIPE and SIGXFSZ stay
 * errors of write(2). But for SIGBUS and SIGSEGV: a fault that is blocked ends the process whatever handler there is
 * (virtio/memory_guard.h). `name` is what tools show, 15 bytes at most. 0, or a negative errno: nothing was started.
 */
int thread_start(pthread_t *thread, const char *name, void *(*fn)(void *), void *arg);

/*
 * On one processor, polling would only keep those from running whom it waits for. What counts is what
 * all processes here may run on, which is what init has: a container may have but one. A thread that is
 * bound to one of several polls; it was given that one, and its peers run on the others.
 */
bool single_processor(void);

#endif
