/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk of which nothing is changed, whatever is written to it: for a rehearsal of a change.
 *
 * What is written stays in memory, is read back from there, and is gone when the last reference goes. `lower` gets no
 * request that could change it, and may be open for reading only; who else changes it meanwhile is seen.
 */
#ifndef TENON_BLOCK_OVERLAY_H
#define TENON_BLOCK_OVERLAY_H

#include <stdint.h>

struct block;
struct error;

/* More is -ENOSPC: a rehearsal is of metadata. */
#define BLOCK_OVERLAY_MOST (64ull << 20)

/* A layer over `lower`, of its name, on which it takes a reference. 0, or -ENOMEM with `error` set. */
int block_create_overlay(struct block **out, struct block *lower, struct error *error);

/* How many bytes were written to it; zeroes count as well. */
uint64_t block_overlay_written(const struct block *block);

#endif
