/*
 * A request on its way down: inside of block.c, which checks requests and makes pieces of them, and of
 * piece.c, which takes them to the layers that work.
 */
#ifndef TENON_BLOCK_PIECE_H
#define TENON_BLOCK_PIECE_H

#include "block/block.h"
#include "block/iov.h"

enum piece_kind { PIECE_READ, PIECE_WRITE, PIECE_DISCARD, PIECE_WRITE_ZEROES };

struct piece {
	enum piece_kind kind;
	unsigned flags;
	struct block *block;
	uint64_t offset, length;
	struct iov_range data; /* read and write */
};

/* Takes the piece down and does it. 0 or a negative errno. Suspends. */
int piece_carry_out(struct piece piece);

/* Whether a range lies in the device and is aligned: 0 or -EINVAL. */
int block_check_range(const struct block *block, uint64_t offset, uint64_t length);

/* One step through a translating layer. What the layer answers is checked, for a wrong answer would
 * harm data. */
int block_resolve(struct block *block, uint64_t offset, uint64_t length,
		  struct block_extent *extent);

#endif
