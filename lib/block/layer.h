/* For the layers in this folder: parts of piece.c that they use too. */
#ifndef TENON_BLOCK_LAYER_H
#define TENON_BLOCK_LAYER_H

#include <stdint.h>

struct block;

/* Writes zeroes through the layer's own writev(), a bounded piece at a time: write_zeroes for a layer
 * that finds at run time that it has nothing better. The range has been checked. */
int block_write_zero_buffers(struct block *block, uint64_t offset, uint64_t length, unsigned flags);

#endif
