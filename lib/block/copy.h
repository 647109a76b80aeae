/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copies one block device to another with several requests in flight, leaving out what is zero.
 *
 * Used by `tenon copy` and by whatever fills a new device from an old one. Nothing else may change the
 * source meanwhile, or the copy is of no single moment.
 */
#ifndef TENON_BLOCK_COPY_H
#define TENON_BLOCK_COPY_H

#include <stdbool.h>
#include <stdint.h>

struct block;
struct error;
struct rescue_map;

#define BLOCK_COPY_REQUESTS   8u
#define BLOCK_COPY_PIECE_SIZE (1u << 20)

struct block_copy_options {
	uint64_t source_offset, destination_offset;
	uint64_t length; /* 0: from source_offset to the source's end */

	unsigned requests;   /* in flight; 0: BLOCK_COPY_REQUESTS */
	uint32_t piece_size; /* bytes of each; 0: BLOCK_COPY_PIECE_SIZE; a multiple of 4096 */

	/* Zeroes of the source are left out where the destination is known to hold zeroes, and else are
	 * written by block_write_zeroes(), with BLOCK_MAY_UNMAP if `may_unmap`. */
	bool destination_is_zero;
	bool may_unmap;
	bool no_flush; /* leave the flush at the end to the caller */
	/* Where given: what cannot be read is noted here and becomes zeroes in the copy. */
	struct rescue_map *unreadable;

	/* Where given: all that is copied, in order and without gaps, before it is written; `at` NULL: zeroes. 0, or a negative
	 * errno with which the copy ends. May suspend. */
	int (*told)(void *arg, const void *at, uint64_t length, struct error *error);

	/* Where given: called about every `checkpoint_ns` by the worker's clock, and once more where the copy fails (of other than a flush) or is cancelled: all
	 * bytes before `done`, from source_offset, are in the destination and flushed. As above. */
	int (*checkpoint)(void *arg, uint64_t done, struct error *error);
	uint64_t checkpoint_ns;

	uint64_t bytes_per_second; /* read from the source; 0: no limit */

	/* Called at the start, at most ten times a second by the worker's clock, and at the end. Bytes
	 * that were zero count as done. May suspend. */
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void *arg;
};

struct block_copy_result {
	uint64_t copied; /* bytes written as data */
	uint64_t zeroes; /* bytes left out or written as zeroes */
};

/*
 * Copies, and flushes the destination. `options` and `result` may be NULL. Where the destination has
 * larger blocks than the source, the last one is filled up with zeroes.
 *
 * 0; -EINVAL for a range outside the source, -ENOSPC for a destination that is too small,
 * -ECANCELED when the fiber was cancelled, or the error of a request, with `error` saying which. What has
 * been copied until then is not undone. Suspends.
 */
int block_copy(struct block *source, struct block *destination,
	       const struct block_copy_options *options, struct block_copy_result *result,
	       struct error *error);

#endif
