/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request on its way down: inside of block.c, which checks requests and makes pieces of them, of piece.c,
 * which takes a piece through the layers to where it is worked on, and of batch.c, which does several
 * at once.
 */
#ifndef TENON_BLOCK_PIECE_H
#define TENON_BLOCK_PIECE_H

#include "block/block.h"
#include "block/iov.h"

/* Layers whose gates a piece notes on its way; where there are more below, they are a way of their own. */
#define PIECE_LAYERS 6u

struct piece {
	enum block_kind kind;
	unsigned flags;
	struct block *block; /* where it stands */
	uint64_t offset, length;
	struct iov_range data; /* read and write */
	bool exact;            /* `data` is `length` long, to the end of its array */
	unsigned depth;
	struct block *layers[PIECE_LAYERS]; /* in whose gates it is */
};

/* How far a piece came. */
enum piece_step {
	PIECE_STANDS,  /* all of it is to be worked on where it stands */
	PIECE_SPLIT,   /* `first` was taken off; it has not come to its end */
	PIECE_NOTHING, /* nothing is to be done for it (any more), and it is in no gate */
	PIECE_CLOSED,  /* it is before a closed gate, and was not to wait */
	PIECE_BELOW,   /* one layer further; piece_descend() goes on */
};

/* Takes a piece down as far as it stays whole. It enters gates, and before a closed one suspends if
 * `wait`. An enum piece_step, or a negative errno, after which it is in no gate. */
int piece_descend(struct piece *piece, struct piece *first, bool wait);
/* Whether it stands before a gate that it has no room to note. */
static inline bool piece_is_deep(const struct piece *piece)
{
	return piece->depth == PIECE_LAYERS && piece->layers[PIECE_LAYERS - 1] != piece->block;
}
/* Has the layer on which a piece stands, and which it has entered, do it: 0 or a negative errno. Suspends. */
int piece_work_here(struct piece *piece);
/* Has the layer on which a piece stands begin it, if that can do so without waiting: work->done, the caller's, is
 * called then, see block_ops.start(). Room for the iovecs of one that is not exact: `few` of them. */
bool piece_start(const struct piece *piece, struct block_work *work, struct iovec *iov,
		 unsigned few);
/* Out of all gates. */
void piece_leave(struct piece *piece);

/* Checks a request. */
int piece_check(const struct piece *piece);
/* Whether a range lies in the device and is aligned: 0 or -EINVAL. */
int block_check_range(const struct block *block, uint64_t offset, uint64_t length);
/* One step through a layer that has map(). What it answers is checked, for a wrong answer would harm data. */
int block_map(struct block *block, enum block_kind kind, uint64_t offset, uint64_t length,
	      struct block_extent *extent);

/* ---- In batch.c ---- */

/* Does a piece that stands: 0 or a negative errno. Suspends. */
int piece_work(struct piece *piece);
/* Takes a piece down and does it, in parts if need be. The piece is used up. Suspends. */
int piece_carry_out(struct piece *piece);

#endif
