/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See compare.h. Fibers take pieces in order, as those of copy.c do; once a piece differs no more are taken, and all
 * before it were or are being compared, so that the least offset that any of them finds is the first.
 */
#include "block/compare.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "block/block.h"
#include "fiber/fiber.h"
#include "util/bytes.h"
#include "util/error.h"

#define ZERO_EXTENT       (64ULL << 20)
#define UNIT              4096u /* pieces end at multiples of it: no block is larger */
#define PROGRESS_INTERVAL 100000000ULL
#define NOWHERE           UINT64_MAX

struct comparison {
	struct block *blocks[2];
	struct block_compare_options options;
	struct error *error;
	uint64_t length, differs;
	int rc;

	struct fiber_mutex taking;
	uint64_t next, known; /* of [next, known) it was asked ... */
	bool zero;            /* ... whether both are zero there */
	uint64_t done, reported;
};

struct comparison_piece {
	uint64_t at, length;
	bool zero;
};

static int failed_to(struct comparison *comparison, const char *what, const struct block *block,
		     uint64_t offset, int rc)
{
	if (!comparison->rc) {
		comparison->rc = rc;
		error_set(comparison->error, rc, "%s: %s at byte %llu: %s", block->name, what,
			  (unsigned long long)offset, error_name(rc));
	}
	return rc;
}

/* ---- Taking ---- */

static int look_at_both(struct comparison *comparison)
{
	uint64_t at = comparison->next, least = MIN(comparison->length - at, ZERO_EXTENT);
	bool zero = true;

	for (unsigned i = 0; i < 2; i++) {
		struct block *block = comparison->blocks[i];
		uint64_t length = MIN(round_up(least, UNIT), block->size - at);
		enum block_status status;
		int rc = block_status(block, at, &length, &status);

		if (rc < 0)
			return failed_to(comparison, "asking for its state", block, at, rc);
		least = MIN(least, length);
		zero = zero && status == BLOCK_STATUS_ZERO;
	}
	comparison->known = at + least;
	if (comparison->known < comparison->length)
		comparison->known = round_down(comparison->known, UNIT);
	comparison->zero = zero && comparison->known > at;
	/* Too short to tell of: it is read. */
	if (comparison->known == at)
		comparison->known = MIN(at + UNIT, comparison->length);
	return 0;
}

/* 1 and a piece, 0 at the end, or a negative errno. */
static int take_next(struct comparison *comparison, struct comparison_piece *piece)
{
	uint64_t size = BLOCK_COMPARE_PIECE_SIZE;

	if (comparison->rc)
		return comparison->rc;
	if (fiber_cancelled()) {
		comparison->rc = -ECANCELED;
		return error_set(comparison->error, -ECANCELED, "%s: comparing: cancelled",
				 comparison->blocks[0]->name);
	}
	if (comparison->next == comparison->length || comparison->differs != NOWHERE)
		return 0;
	if (comparison->next == comparison->known && look_at_both(comparison) < 0)
		return comparison->rc;
	piece->at = comparison->next;
	piece->zero = comparison->zero;
	piece->length = comparison->known - piece->at;
	if (!piece->zero)
		piece->length = MIN(piece->length, size - piece->at % size);
	comparison->next += piece->length;
	return 1;
}

/* ---- Comparing ---- */

static uint64_t first_difference(const char *one, const char *other, uint64_t length)
{
	uint64_t at = 0;

	while (at < length && one[at] == other[at])
		at++;
	return at;
}

static int compare_piece(struct comparison *comparison, const struct comparison_piece *piece,
			 char *buffers[2])
{
	for (unsigned i = 0; i < 2 && !piece->zero; i++) {
		struct block *block = comparison->blocks[i];
		uint64_t whole = round_up(piece->length, block->logical_block_size);
		int rc = block_read(block, piece->at, buffers[i], whole);

		if (rc < 0)
			return failed_to(comparison, "reading it again", block, piece->at, rc);
	}
	if (piece->zero || !memcmp(buffers[0], buffers[1], piece->length))
		return 0;
	comparison->differs =
		MIN(comparison->differs,
		    piece->at + first_difference(buffers[0], buffers[1], piece->length));
	return 0;
}

static void tell_progress(struct comparison *comparison, uint64_t length)
{
	uint64_t now = worker_now();

	comparison->done += length;
	if (!comparison->options.progress || now - comparison->reported < PROGRESS_INTERVAL)
		return;
	comparison->reported = now;
	comparison->options.progress(comparison->options.arg, comparison->done, comparison->length);
}

static int compare_fiber(void *arg)
{
	struct comparison *comparison = arg;
	const size_t size = BLOCK_COMPARE_PIECE_SIZE;
	char *memory =
		mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct comparison_piece piece = { 0 };
	int rc;

	if (memory == MAP_FAILED)
		return failed_to(comparison, "memory for comparing", comparison->blocks[0], 0,
				 -ENOMEM);
	do {
		fiber_mutex_lock(&comparison->taking);
		rc = take_next(comparison, &piece);
		fiber_mutex_unlock(&comparison->taking);
		if (rc > 0 &&
		    compare_piece(comparison, &piece, (char *[]){ memory, memory + size }) == 0)
			tell_progress(comparison, piece.length);
	} while (rc > 0);
	munmap(memory, 2 * size);
	return rc;
}

int block_compare(struct block *one, struct block *other, uint64_t length,
		  const struct block_compare_options *options, uint64_t *differs,
		  struct error *error)
{
	struct comparison comparison = {
		.blocks = { one, other }, .error = error, .length = length, .differs = NOWHERE
	};
	struct fiber *fibers[BLOCK_COMPARE_REQUESTS];

	if (options)
		comparison.options = *options;
	for (unsigned i = 0; i < 2; i++)
		if (length > comparison.blocks[i]->size)
			return error_set(error, -EINVAL,
					 "%s: has %llu bytes, of which %llu are to be compared",
					 comparison.blocks[i]->name,
					 (unsigned long long)comparison.blocks[i]->size,
					 (unsigned long long)length);
	fiber_mutex_init(&comparison.taking);
	/* This fiber is one of them, so that its cancellation is seen. */
	for (unsigned i = 1; i < BLOCK_COMPARE_REQUESTS; i++)
		fibers[i] = fiber_spawn(compare_fiber, &comparison);
	compare_fiber(&comparison);
	for (unsigned i = 1; i < BLOCK_COMPARE_REQUESTS; i++)
		fiber_join(fibers[i]);
	if (comparison.rc)
		return comparison.rc;
	if (comparison.options.progress)
		comparison.options.progress(comparison.options.arg, length, length);
	*differs = comparison.differs;
	return comparison.differs != NOWHERE;
}
