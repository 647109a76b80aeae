/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lists that a server gives in pieces, each from a number on. One that is broken, or means ill, says for ever that there
 * is more: such a list is left after so many entries, so many bytes, or so long.
 */
#ifndef TENON_TOOLS_PIECES_H
#define TENON_TOOLS_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PIECES_MOST  (1u << 20)
#define PIECES_BYTES (256u << 20) /* of answers; a million entries have half of that */
#define PIECES_NS    (10 * 1000000000ull)

struct pieces {
	size_t from;     /* of the next one */
	size_t bytes;    /* of the answers so far */
	uint64_t end_ns; /* set by the first */
	bool left;       /* there is said to be more */
};

/* After a piece of `count` entries, an answer of `bytes`, after which there is said to be more: whether to ask on. On a fiber. */
bool pieces_next(struct pieces *pieces, size_t count, size_t bytes);

#endif
