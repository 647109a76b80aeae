/* SPDX-License-Identifier: BSD-2-Clause */
/* See pieces.h. */
#include "tools/pieces.h"

#include "fiber/fiber.h"

bool pieces_next(struct pieces *pieces, size_t count, size_t bytes)
{
	uint64_t now = worker_now();

	if (!pieces->end_ns)
		pieces->end_ns = now + PIECES_NS;
	pieces->from += count;
	pieces->bytes += bytes;
	pieces->left = count && (pieces->from >= PIECES_MOST || pieces->bytes >= PIECES_BYTES ||
				 now >= pieces->end_ns);
	return count && !pieces->left;
}
