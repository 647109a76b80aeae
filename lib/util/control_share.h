/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The share of its thread's time that a vhost-user front-end's messages get. A message may cost as much as some hundred frames (a
 * table of memory maps and unmaps files), and a front-end can send them without end: others' frames, or requests to their disks, would wait. So a port, or a
 * disk, has CREDIT of processor time at once, enough for any driver to begin, and after that one part in PARTS.
 */
#ifndef TENON_UTIL_CONTROL_SHARE_H
#define TENON_UTIL_CONTROL_SHARE_H

#include <stdint.h>

#define CONTROL_SHARE_PARTS  20
#define CONTROL_SHARE_CREDIT 10000000u /* ns */

struct control_share {
	uint64_t used_ns; /* and not made up for by time */
	uint64_t at;      /* then */
};

/* Notes what some messages took, of the thread's processor time. Returns for how long its peer is to be left alone, 300 ms at most;
 * 0: it may go on. */
uint64_t control_share_use(struct control_share *share, uint64_t now, uint64_t took_ns);

/* The processor time of this thread, in nanoseconds. */
uint64_t control_share_clock(void);

#endif
