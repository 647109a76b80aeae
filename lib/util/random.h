/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A seeded source of random numbers (SplitMix64, Steele, Lea and Flood 2014): small, repeatable from
 * its seed, not for secrets. Whoever needs one is given one; nothing draws from a hidden source.
 */
#ifndef TENON_UTIL_RANDOM_H
#define TENON_UTIL_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random {
	uint64_t state;
};

static inline uint64_t random_mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static inline uint64_t random_next(struct random *random)
{
	return random_mix(random->state += 0x9e3779b97f4a7c15ULL);
}

/* A number in [0, limit); limit > 0. */
static inline uint64_t random_below(struct random *random, uint64_t limit)
{
	return (uint64_t)(((unsigned __int128)random_next(random) * limit) >> 64);
}

static inline void random_fill(struct random *random, void *at, size_t length)
{
	unsigned char *bytes = at;

	for (size_t i = 0; i < length; i++)
		bytes[i] = (unsigned char)random_next(random);
}

/* A seed from the kernel, for programs that were given none. */
uint64_t random_seed_from_system(void);

#endif
