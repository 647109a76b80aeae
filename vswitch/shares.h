/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shares of those who send to a receiver that has too little room for all.
 *
 * Turns (turns.h) order what one thread has for it in one round. But a guest gives back many buffers at once, and then none for some time: a flood would have
 * all of them in the next round, and who sends a frame now and then would find none. So some of the room that the receiver has had
 * lately is kept for those who ask for no more than their share. It is a standing one, which costs the receiver nothing that it could take.
 *
 * The share is max-min fair: what the receiver took is divided among those who asked, and what some do not ask for among the others.
 * It is found anew whenever the receiver has taken SHARES_WHILE buffers, several times what a guest gives back at once.
 *
 * Of one port; who calls holds its `out_lock`. All in buffers, about (shares_buffers()).
 */
#ifndef TENON_VSWITCH_SHARES_H
#define TENON_VSWITCH_SHARES_H

#include <stdbool.h>
#include <stdint.h>

#include "vswitch/switch.h"

#define SHARES_WHILE 1024u

/* All zero: nothing is known, and all may have what there is. */
struct shares {
	uint64_t given;  /* in this while */
	unsigned room;   /* the most that was seen in it, */
	unsigned before; /* and in the one before */
	unsigned
		part; /* of that room, in 1/1024, is for who asked for no more than a share in the last while */
	unsigned left; /* of this round, for who asks for more than a share */
	uint64_t asked[VSWITCH_PORTS_MAX];
	bool greedy[VSWITCH_PORTS_MAX]; /* asked for more than a share in the last while */
};

/* About how many a frame of that length takes, or its segments. */
static inline unsigned shares_buffers(uint32_t length)
{
	return 1 + length / 1536;
}

/* A round in which the receiver has room for so many. */
void shares_begin_round(struct shares *shares, unsigned room);
/* Whether the source in that slot may try for so many now. */
bool shares_allow(struct shares *shares, unsigned source, unsigned buffers);
/* The receiver has taken so many. */
void shares_given(struct shares *shares, unsigned buffers);

#endif
