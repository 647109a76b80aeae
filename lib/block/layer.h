/* SPDX-License-Identifier: BSD-2-Clause */
/* For the layers in this folder: parts of piece.c that they use too. */
#ifndef TENON_BLOCK_LAYER_H
#define TENON_BLOCK_LAYER_H

#include <stdbool.h>
#include <stdint.h>

struct block;
struct block_work;

/* Writes zeroes through the layer's own writev(), a bounded piece at a time: write_zeroes for a layer
 * that finds at run time that it has nothing better. The range has been checked. */
int block_write_zero_buffers(struct block *block, uint64_t offset, uint64_t length, unsigned flags);

/* start() for a layer whose work never suspends: does it and calls done(). */
bool block_start_at_once(struct block *block, struct block_work *work);
/* start() for a layer that may suspend, so that those above find it like a disk: a fiber does it. */
bool block_start_on_fiber(struct block *block, struct block_work *work);

#endif
