/* SPDX-License-Identifier: BSD-2-Clause */
/* volume/move.h: what a move asks the first place, and copies. */
#include "unit.h"

#include <string.h>

#include "block/block.h"
#include "fiber/fiber.h"
#include "fiber_run.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/move.h"

#define PIECE  65536u
#define PIECES 16u
#define DATA   12u /* of these; then a hole */

/* Data, and then a hole; each byte says which piece it is of. */
struct place {
	struct block block;
	unsigned asked, read;
};

static int place_status(struct block *block, uint64_t offset, uint64_t *length,
			enum block_status *status)
{
	struct place *place = container_of(block, struct place, block);
	bool data = offset < DATA * PIECE;

	place->asked++;
	*status = data ? BLOCK_STATUS_DATA : BLOCK_STATUS_ZERO;
	*length = MIN(*length, (data ? DATA : PIECES) * (uint64_t)PIECE - offset);
	return 0;
}

static int place_readv(struct block *block, uint64_t offset, uint64_t length,
		       const struct iovec *iov, unsigned count)
{
	CU_ASSERT_EQUAL(count, 1);
	CU_ASSERT_EQUAL(iov->iov_len, length);
	container_of(block, struct place, block)->read++;
	memset(iov->iov_base, (int)(offset / PIECE + 1), length);
	return 0;
}

static void place_close(struct block *block)
{
	(void)block; /* on a stack */
}

static const struct block_ops place_ops = {
	.type = "place",
	.readv = place_readv,
	.status = place_status,
	.close = place_close,
};

/* Where data end is asked once, and once for each piece of the hole: that may be none by then. */
static int copy_all(void *arg)
{
	struct place place = { .asked = 0 };
	struct block *to, *move;
	struct error error;
	uint8_t bytes[PIECE];

	(void)arg;
	block_init(&place.block, &place_ops, "place");
	place.block.size = PIECES * PIECE;
	CU_ASSERT_EQUAL_FATAL(block_create_memory(&to, "to", PIECES * PIECE, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(lvm_move_block_create(&move, "move", &place.block, 0, to, 0,
						    PIECES * PIECE, &error),
			      0);
	for (unsigned i = 0; i < PIECES; i++)
		CU_ASSERT_EQUAL(lvm_move_block_copy(move, i * PIECE, bytes, PIECE), 0);
	CU_ASSERT_EQUAL(place.asked, 1 + PIECES - DATA);
	CU_ASSERT_EQUAL(place.read, DATA);
	for (unsigned i = 0; i < PIECES; i++) {
		CU_ASSERT_EQUAL(block_read(to, i * PIECE, bytes, PIECE), 0);
		CU_ASSERT_EQUAL(bytes[0], i < DATA ? i + 1 : 0);
		CU_ASSERT_EQUAL(bytes[PIECE - 1], bytes[0]);
	}
	block_unref(move);
	block_unref(to);
	block_unref(&place.block);
	return 0;
}

static void test_asks_once_for_data(void)
{
	fiber_run_each(copy_all, NULL);
}

UNIT_MAIN("volume move block", UNIT(test_asks_once_for_data))
