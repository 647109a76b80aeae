/* SPDX-License-Identifier: BSD-2-Clause */
/* See random.h. */
#include "util/random.h"

#include <sys/random.h>
#include <time.h>

uint64_t random_seed_from_system(void)
{
	uint64_t seed;
	struct timespec now;

	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) == sizeof(seed))
		return seed;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return random_mix((uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec);
}
