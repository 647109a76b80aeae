/* SPDX-License-Identifier: BSD-2-Clause */
/* See shares.h. */
#include "vswitch/shares.h"

#include <string.h>

#include "util/bytes.h"

#define PART   1024 /* of `part` */
#define PASSES 8    /* in which a share is found, or is smaller than it might be */

/* The share of `capacity` that no one who asked for more can have more than. UINT64_MAX: all had what they asked for, or one was alone. */
static uint64_t find_share(const struct shares *shares, uint64_t capacity)
{
	uint64_t share = 0;

	for (unsigned pass = 0; pass < PASSES; pass++) {
		uint64_t rest = capacity, greedy = 0, sources = 0;

		for (unsigned i = 0; i < VSWITCH_PORTS_MAX; i++) {
			sources += shares->asked[i] != 0;
			if (shares->asked[i] > share)
				greedy++;
			else
				rest -= MIN(rest, shares->asked[i]);
		}
		if (!greedy || sources < 2)
			return UINT64_MAX;
		if (rest / greedy <= share)
			break;
		share = rest / greedy;
	}
	return share;
}

static void find_who_is_greedy(struct shares *shares)
{
	uint64_t share = find_share(shares, shares->given), modest = 0;

	for (unsigned i = 0; i < VSWITCH_PORTS_MAX; i++) {
		shares->greedy[i] = shares->asked[i] > share;
		modest += shares->greedy[i] ? 0 : shares->asked[i];
	}
	shares->part = (unsigned)MIN(modest * 3 * PART / (2 * shares->given), PART / 2);
	memset(shares->asked, 0, sizeof(shares->asked));
	shares->given = 0;
	shares->before = shares->room;
	shares->room = 0;
}

void shares_begin_round(struct shares *shares, unsigned room)
{
	unsigned kept;

	if (shares->given >= SHARES_WHILE)
		find_who_is_greedy(shares);
	shares->room = MAX(shares->room, room);
	kept = MAX(shares->room, shares->before) * shares->part / PART;
	shares->left = room - MIN(room, kept);
}

bool shares_allow(struct shares *shares, unsigned source, unsigned buffers)
{
	shares->asked[source] += buffers;
	if (shares->greedy[source] && buffers > shares->left)
		return false;
	shares->left -= MIN(shares->left, buffers);
	return true;
}

void shares_given(struct shares *shares, unsigned buffers)
{
	shares->given += buffers;
}
