/* SPDX-License-Identifier: BSD-2-Clause */
/* The clock of what waits and polls outside of fibers; those have worker_now(), which tests can set. */
#ifndef TENON_UTIL_CLOCK_H
#define TENON_UTIL_CLOCK_H

#include <stdint.h>
#include <time.h>

/* CLOCK_MONOTONIC in nanoseconds. */
static inline uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif
