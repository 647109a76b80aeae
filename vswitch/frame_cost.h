/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What frames cost a forwarding thread: the time of the rounds that had any, and how many frames were in rounds of which cost a
 * frame. A round in which somebody else had the processor is a dear one: the sums have it, a median is the same without it.
 */
#ifndef TENON_VSWITCH_FRAME_COST_H
#define TENON_VSWITCH_FRAME_COST_H

#include <stdint.h>

/* Eight for each doubling, from a nanosecond on; the last is for all that is more. */
#define FRAME_COST_BUCKETS 136

struct frame_cost {
	uint64_t frames, ns;
	uint64_t buckets[FRAME_COST_BUCKETS]; /* frames in rounds that cost so much a frame */
};

/* A round of `frames` (at least one) took `ns`. */
static inline void frame_cost_add(struct frame_cost *cost, uint64_t frames, uint64_t ns)
{
	uint64_t each = (ns << 8) / frames;
	unsigned bucket = 0;

	if (each > 256) {
		unsigned octave = 63u - (unsigned)__builtin_clzll(each);

		bucket = (octave - 8) * 8 + (unsigned)(each >> (octave - 3) & 7);
	}
	if (bucket > FRAME_COST_BUCKETS - 1)
		bucket = FRAME_COST_BUCKETS - 1;
	cost->frames += frames;
	cost->ns += ns;
	cost->buckets[bucket] += frames;
}

static inline void frame_cost_sum(struct frame_cost *sum, const struct frame_cost *more)
{
	sum->frames += more->frames;
	sum->ns += more->ns;
	for (unsigned i = 0; i < FRAME_COST_BUCKETS; i++)
		sum->buckets[i] += more->buckets[i];
}

/* The costs in a bucket are less than this many nanoseconds a frame. */
static inline double frame_cost_bound(unsigned bucket)
{
	return (double)((8 + (bucket & 7)) + 1) / 8 * (double)(1ULL << (bucket / 8));
}

#endif
