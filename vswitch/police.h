/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A policer: a token bucket that fills at a rate, up to a burst, and is asked of each packet whether it has enough for it. In bits
 * (of frames, without check sequence) or in packets; exact, in whole numbers: a credit is a token times a second in nanoseconds.
 *
 * What is larger than the burst passes when the bucket is full, and the bucket then owes it: a large frame of an offload is many
 * packets in one, and would else never pass. So the rate is kept over time, and no more than a burst, or such a frame, goes at once.
 */
#ifndef TENON_VSWITCH_POLICE_H
#define TENON_VSWITCH_POLICE_H

#include <stdbool.h>
#include <stdint.h>

struct error;

#define POLICE_RATE_MOST 1000000000000ULL /* tokens a second */

struct police {
	bool packets;         /* else bits */
	uint64_t rate, burst; /* tokens a second; tokens. Rate 0: all pass */
	__int128 credit;
	uint64_t filled; /* when it was last filled; ns */
};

/* "10M", "10M/1M" in bits, "1000p", "1000p/50p" in packets: rate and burst (else what comes in 100 ms; at least a
 * packet). The bucket is full to begin. -EINVAL with `error` set. */
int police_parse(struct police *police, const char *text, struct error *error);

#define POLICE_TEXT 48

/* As police_parse() takes it. */
void police_describe(const struct police *police, char text[POLICE_TEXT]);

/* Whether so many packets, of so many bits in all, may pass at `now` (which never goes back); takes their tokens if so. */
bool police_allows(struct police *police, uint64_t now, uint64_t packets, uint64_t bits);

#endif
