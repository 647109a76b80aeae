/* SPDX-License-Identifier: BSD-2-Clause */
/* Running a fiber on a worker of its own, for the tests of what runs on fibers. */
#ifndef TENON_TESTS_FIBER_RUN_H
#define TENON_TESTS_FIBER_RUN_H

#include "fiber/fiber.h"

/* On a worker with virtual time and a fixed seed; returns what `fn` returned. Where the engine cannot
 * be had it fails the test and returns -ENOSYS. */
int fiber_run_virtual(enum worker_engine engine, fiber_fn *fn, void *arg);

/* The same in real time. */
int fiber_run_real(enum worker_engine engine, fiber_fn *fn, void *arg);

/* Once on each engine in virtual time, io_uring first; where it is refused, twice on libaio. Returns
 * what the last run returned. */
int fiber_run_each(fiber_fn *fn, void *arg);

/* WORKER_ENGINE_URING, or WORKER_ENGINE_AIO where io_uring is refused. */
enum worker_engine fiber_run_first_engine(void);

#endif
