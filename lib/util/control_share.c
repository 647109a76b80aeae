/* SPDX-License-Identifier: BSD-2-Clause */
/* See control_share.h. */
#include "util/control_share.h"

#include <time.h>

#include "util/bytes.h"

uint64_t control_share_use(struct control_share *share, uint64_t now, uint64_t took_ns)
{
	uint64_t made_up = (now - share->at) / CONTROL_SHARE_PARTS;

	share->used_ns -= MIN(share->used_ns, made_up);
	share->at = now;
	/* One that takes very long (a large memory is unmapped) is not made up for as a whole: its driver waits. */
	share->used_ns = MIN(share->used_ns + took_ns, 2ull * CONTROL_SHARE_CREDIT);
	if (share->used_ns <= CONTROL_SHARE_CREDIT)
		return 0;
	return (share->used_ns - CONTROL_SHARE_CREDIT / 2) * CONTROL_SHARE_PARTS;
}

uint64_t control_share_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
