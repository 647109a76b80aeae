/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that a worker's requests go to and from again and again: the kernel is told of it once, and need not look its
 * pages up for each request (fixed buffers of io_uring).
 *
 * It is locked into RAM, all of it, and stays what it is: a hole that somebody punches into its file later, as a guest's
 * balloon has done, is not seen any more by requests, which go on to the old pages. So only whoever is sure that nobody
 * does that may pin memory. Of a file that becomes shorter, what is written goes nowhere.
 */
#ifndef TENON_FIBER_PINNED_H
#define TENON_FIBER_PINNED_H

#include <stddef.h>

struct worker_pinned;

/*
 * Pins [at, at + length), page-aligned and readable and writable, for the calling fiber's worker, until it is let go of, when no
 * request uses it. Requests there need not know. It is no error to go without: -EOPNOTSUPP (libaio; Linux before
 * 5.19), -ENOSPC (no place for so much: 64 GiB in all), -ENOMEM (more than RLIMIT_MEMLOCK, or than there is), or what the
 * kernel says. Suspends from time to time: so much takes long.
 */
int worker_pin(struct worker_pinned **out, void *at, size_t length);
void worker_unpin(struct worker_pinned *pinned); /* NULL is fine */

#endif
