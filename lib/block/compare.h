/* SPDX-License-Identifier: BSD-2-Clause */
/* Compares two block devices byte by byte, with several requests in flight; what both say is zero is not read. */
#ifndef TENON_BLOCK_COMPARE_H
#define TENON_BLOCK_COMPARE_H

#include <stdint.h>

struct block;
struct error;

#define BLOCK_COMPARE_REQUESTS   8u
#define BLOCK_COMPARE_PIECE_SIZE (1u << 20)

struct block_compare_options {
	/* As those of block_copy(). */
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void *arg;
};

/*
 * The first `length` bytes of both, which need not be whole blocks. 0: they are the same; 1: *differs is the offset of the first
 * byte that is not; -EINVAL where one is shorter, -ECANCELED, or the error of a request, with `error` saying which. `options` may
 * be NULL. Suspends.
 */
int block_compare(struct block *one, struct block *other, uint64_t length,
		  const struct block_compare_options *options, uint64_t *differs,
		  struct error *error);

#endif
