/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scattered memory: ranges of iovec arrays, for layers that split and copy requests.
 *
 * A `struct iov_range` is a place in an iovec array. It borrows the array and is passed by value; how
 * many bytes it stands for is said beside it, as in all of lib/block.
 */
#ifndef TENON_BLOCK_IOV_H
#define TENON_BLOCK_IOV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct iov_range {
	const struct iovec *iov; /* what is left of the array */
	unsigned count;
	size_t skip; /* bytes of iov[0] that are behind us; less than its length, unless at the end */
};

static inline struct iov_range iov_range_of(const struct iovec *iov, unsigned count)
{
	return (struct iov_range){ .iov = iov, .count = count };
}

/* The sum of the lengths, or -EINVAL where it does not fit into 63 bits. */
int iov_length(const struct iovec *iov, unsigned count, uint64_t *length);

/* Steps over `length` bytes, at most to the end. */
void iov_advance(struct iov_range *at, uint64_t length);

/* How many iovecs the next `length` bytes take. */
unsigned iov_count(struct iov_range at, uint64_t length);

/* Writes the next bytes of `at` into `to`, at most `capacity` iovecs and `length` bytes, and steps over
 * them. Sets *used to the number of iovecs; returns the number of bytes. */
uint64_t iov_take(struct iov_range *at, uint64_t length, struct iovec *to, unsigned capacity,
		  unsigned *used);

/* Copies `length` bytes from `from` into the scattered memory, or from there to `to`; both step over
 * them. */
void iov_copy_in(struct iov_range *at, const void *from, size_t length);
void iov_copy_out(struct iov_range *at, void *to, size_t length);

/* Sets `length` bytes to `value`, and steps over them. */
void iov_fill(struct iov_range *at, int value, size_t length);

/* Whether the next `length` bytes are all zero. */
bool iov_all_zero(struct iov_range at, uint64_t length);

#endif
