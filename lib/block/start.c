/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests without a fiber; see start.h. */
#include "block/start.h"

#include "util/bytes.h"

static void request_done(struct block_work *work, int rc)
{
	struct block_request *request = container_of(work, struct block_request, work);

	piece_leave(&request->piece);
	request->done(request, rc);
}

/* As far as it stays whole and no gate is closed; else it is in none. */
static int descend_at_once(struct piece *piece)
{
	struct piece first;
	int rc = piece_descend(piece, &first, false);

	if (rc == PIECE_SPLIT)
		piece_leave(&first);
	if (rc == PIECE_SPLIT || rc == PIECE_CLOSED)
		piece_leave(piece);
	return rc;
}

bool block_start(struct block_request *request)
{
	struct piece *piece = &request->piece;
	int rc;

	piece->kind = request->kind;
	piece->flags = request->flags;
	piece->block = request->block;
	piece->offset = request->offset;
	piece->length = request->length;
	piece->data = iov_range_of(request->iov, request->count);
	piece->exact = true;
	piece->depth = 0;
	if (piece_check(piece) || (!piece->length && piece->kind != BLOCK_FLUSH))
		return false;
	rc = descend_at_once(piece);
	if (rc == PIECE_NOTHING)
		request->done(request, 0);
	if (rc != PIECE_STANDS)
		return rc == PIECE_NOTHING;
	request->work.done = request_done;
	if (piece_start(piece, &request->work, NULL, 0))
		return true;
	piece_leave(piece);
	return false;
}
