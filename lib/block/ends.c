/* SPDX-License-Identifier: BSD-2-Clause */
/* See ends.h. */
#include "block/ends.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "block/iov.h"
#include "util/bytes.h"
#include "util/cleanup.h"

#define UNIT 4096u
#define HEAD (2 * UNIT)         /* LVM2's label, md 1.1 and 1.2 */
#define TAIL (3 * UNIT)         /* md 1.0, Intel, DDF */
#define ROOM (TAIL + UNIT)      /* a tail begins at a unit */
#define FAR  (257 * 512ull)     /* DDF's second header, before the end */
#define MD90 (64u << 10)        /* md 0.90: the last whole one of these */
#define SLOW (2 * (128u << 10)) /* what is smaller is not worth it */

#define PIECES  4u
#define AT_ONCE 16u /* devices */

/* What was read; without `at` it is zeroes. */
struct ends_piece {
	uint64_t offset, length; /* 0: nothing was */
	char *at;
};

struct ends {
	struct block block;
	struct block *lower;
	struct ends_piece pieces[PIECES];
};

static struct ends *ends_of(struct block *block)
{
	return container_of(block, struct ends, block);
}

static int ends_readv(struct block *block, uint64_t offset, uint64_t length,
		      const struct iovec *iov, unsigned count)
{
	struct ends *ends = ends_of(block);
	struct block_io io = { .block = ends->lower,
			       .kind = BLOCK_READ,
			       .offset = offset,
			       .length = length,
			       .iov = iov,
			       .count = count };
	struct iov_range to = iov_range_of(iov, count);

	for (unsigned i = 0; i < PIECES; i++) {
		const struct ends_piece *piece = &ends->pieces[i];

		if (offset < piece->offset ||
		    !range_within(offset - piece->offset, length, piece->length))
			continue;
		if (piece->at)
			iov_copy_in(&to, piece->at + (offset - piece->offset), length);
		else
			iov_fill(&to, 0, length);
		return 0;
	}
	return block_run_all(&io, 1);
}

static int ends_flush(struct block *block)
{
	(void)block;
	return 0;
}

static void ends_close(struct block *block)
{
	struct ends *ends = ends_of(block);

	block_unref(ends->lower);
	for (unsigned i = 0; i < PIECES; i++)
		free(ends->pieces[i].at);
	free(ends);
}

static const struct block_ops ends_ops = {
	.type = "ends",
	.readv = ends_readv,
	.flush = ends_flush,
	.close = ends_close,
};

static void lay_out(struct ends *ends)
{
	uint64_t size = ends->block.size;
	uint64_t tail = round_down(size - MIN(size, (uint64_t)TAIL), UNIT);
	const struct ends_piece pieces[PIECES] = {
		{ .offset = 0, .length = HEAD },
		{ .offset = tail, .length = size - tail },
		{ .offset = round_down(size, MD90) - MD90, .length = UNIT },
		{ .offset = round_down(size - FAR, UNIT), .length = UNIT },
	};

	if (size >= SLOW)
		memcpy(ends->pieces, pieces, sizeof(pieces));
}

static struct block *create(struct block *lower)
{
	struct ends *ends = calloc(1, sizeof(*ends));

	if (!ends)
		return NULL;
	block_init(&ends->block, &ends_ops, lower->name);
	block_copy_limits(&ends->block, lower);
	ends->block.read_only = true;
	ends->lower = block_ref(lower);
	lay_out(ends);
	return &ends->block;
}

/* What could not be read is asked for again by who wants it, and told to him. */
static void keep_piece(struct ends_piece *piece, const char *at, int rc)
{
	if (!rc && !bytes_all_zero(at, piece->length)) {
		piece->at = malloc(piece->length);
		if (piece->at)
			memcpy(piece->at, at, piece->length);
		else
			rc = -ENOMEM;
	}
	if (rc)
		piece->length = 0;
}

/* Into `room`, a place of which is for each piece. */
static void read_some(struct block **blocks, unsigned count, char *room)
{
	struct block_io ios[AT_ONCE * PIECES];
	struct iovec iovs[AT_ONCE * PIECES];
	struct ends_piece *pieces[AT_ONCE * PIECES];
	unsigned asked = 0;

	for (unsigned i = 0; i < count * PIECES; i++) {
		struct block *block = blocks[i / PIECES];
		struct ends_piece *piece = block ? &ends_of(block)->pieces[i % PIECES] : NULL;

		if (!piece || !piece->length)
			continue;
		pieces[asked] = piece;
		iovs[asked] = (struct iovec){ room + (size_t)asked * ROOM, piece->length };
		ios[asked] = (struct block_io){ .block = ends_of(block)->lower,
						.kind = BLOCK_READ,
						.offset = piece->offset,
						.length = piece->length,
						.iov = &iovs[asked],
						.count = 1 };
		asked++;
	}
	block_run_all(ios, asked);
	for (unsigned i = 0; i < asked; i++)
		keep_piece(pieces[i], iovs[i].iov_base, ios[i].result);
}

int block_create_ends(struct block **out, struct block *const *blocks, unsigned count)
{
	CLEANUP_FREE char *room = NULL;
	unsigned made = 0;

	if (posix_memalign((void **)&room, UNIT, (size_t)AT_ONCE * PIECES * ROOM))
		return -ENOMEM;
	for (; made < count; made++) {
		out[made] = blocks[made] ? create(blocks[made]) : NULL;
		if (blocks[made] && !out[made])
			break;
	}
	for (unsigned i = made; made < count && i-- > 0;)
		block_unref(out[i]);
	if (made < count)
		return -ENOMEM;
	for (unsigned done = 0; done < count; done += AT_ONCE)
		read_some(out + done, MIN(count - done, AT_ONCE), room);
	return 0;
}
