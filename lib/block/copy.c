/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copying; see copy.h.
 *
 * Every request has a fiber, which again and again takes the next piece of the source, one fiber at a
 * time, and carries it over. Taking a piece asks block_status(), so that an extent of zeroes is one
 * piece however long it is; within a piece of data, runs of zeroes are found by looking.
 *
 * Pieces are taken in order and done in any. What is to be told in order waits for its turn between being read and being
 * written. Before a checkpoint, all is done that lies before the first piece which a fiber has in hand, or else before the
 * next one to be taken; a fiber whose piece failed keeps it in hand.
 */
#include "block/copy.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "block/block.h"
#include "block/rescue.h"
#include "fiber/fiber.h"
#include "util/bytes.h"
#include "util/error.h"

/* Data is looked through for zeroes in units of this: leaving them out costs nothing, zeroing them a request. */
#define ZERO_UNIT         (64u << 10)
#define ZERO_UNIT_LEFT    4096u
#define ZERO_EXTENT       (64ULL << 20) /* longer extents of zeroes are several pieces */
#define PROGRESS_INTERVAL 100000000ULL
#define REQUESTS_MAXIMUM  256u
#define SECOND            1000000000ULL
#define NOTHING           UINT64_MAX

/* A fiber of the copy. */
struct block_copy_hand {
	struct block_copier *copy;
	uint64_t at; /* of the piece that it has, from source_offset; or NOTHING */
};

struct block_copier {
	struct block *source, *destination;
	struct block_copy_options options;
	struct block_copy_result result;
	struct error *error;
	int rc; /* of the first that failed */

	struct fiber_mutex taking;
	uint64_t next, end;     /* what is still to take, from source_offset */
	uint64_t known;         /* block_status() has told of [next, known) ... */
	enum block_status kind; /* ... that it is this */
	uint64_t paced_until;   /* by bytes_per_second */

	uint64_t told_to;         /* all before it was told */
	struct fiber_queue turns; /* who waits to tell */
	struct block_copy_hand *hands;
	uint64_t noted; /* worker_now() of the last checkpoint */
	bool noting;
	bool lost; /* a flush failed: what it was to write may be gone, though the next one succeeds */

	uint64_t done, reported; /* bytes; worker_now() of the last progress() */
	bool reporting;
};

struct block_copy_piece {
	uint64_t at, length; /* from source_offset */
	enum block_status kind;
};

/* Whether it is the first failure. */
static bool stop(struct block_copier *copy, int rc)
{
	bool first = !copy->rc;

	if (first)
		copy->rc = rc;
	fiber_queue_wake_all(&copy->turns);
	return first;
}

static int failed(struct block_copier *copy, const char *what, struct block *block, uint64_t offset,
		  uint64_t length, int rc)
{
	if (stop(copy, rc)) {
		error_set(copy->error, rc, "%s: %s %llu bytes at byte %llu: %s", block->name, what,
			  (unsigned long long)length, (unsigned long long)offset, error_name(rc));
	}
	return rc;
}

/* ---- Taking ---- */

static void pace(struct block_copier *copy, uint64_t length)
{
	uint64_t now = worker_now();

	if (!copy->options.bytes_per_second)
		return;
	if (copy->paced_until > now)
		fiber_sleep(copy->paced_until - now);
	copy->paced_until =
		MAX(copy->paced_until, now) +
		(uint64_t)((unsigned __int128)length * SECOND / copy->options.bytes_per_second);
}

/* Finds out what comes next. */
static int look(struct block_copier *copy)
{
	uint64_t offset = copy->options.source_offset + copy->next;
	uint64_t length = MIN(copy->end - copy->next, ZERO_EXTENT);
	int rc = block_status(copy->source, offset, &length, &copy->kind);

	if (rc < 0)
		return failed(copy, "asking for the state of", copy->source, offset, length, rc);
	copy->known = copy->next + length;
	return 0;
}

/* 1 and a piece, 0 at the end, or a negative errno. Pieces of data end at multiples of their size. */
static int take(struct block_copier *copy, struct block_copy_hand *hand,
		struct block_copy_piece *piece)
{
	uint32_t size = copy->options.piece_size;
	uint32_t unit = copy->destination->logical_block_size;

	if (copy->rc)
		return copy->rc;
	if (fiber_cancelled()) {
		stop(copy, -ECANCELED);
		error_set(copy->error, -ECANCELED, "%s: copying: cancelled", copy->source->name);
		return -ECANCELED;
	}
	if (copy->next == copy->end)
		return 0;
	if (copy->next == copy->known && look(copy) < 0)
		return copy->rc;
	piece->at = copy->next;
	piece->kind = copy->kind;
	piece->length = copy->known - copy->next;
	if (piece->kind == BLOCK_STATUS_ZERO && copy->known != copy->end)
		piece->length = round_down(piece->length, unit);
	if (piece->kind == BLOCK_STATUS_DATA || !piece->length) {
		/* What is after the extent comes along where it shares a block of the destination. */
		piece->kind = BLOCK_STATUS_DATA;
		piece->length =
			MIN(round_up(MAX(piece->length, 1u), unit), size - copy->next % size);
		piece->length = MIN(piece->length, copy->end - copy->next);
	}
	hand->at = piece->at;
	copy->next += piece->length;
	copy->known = MAX(copy->known, copy->next);
	if (piece->kind == BLOCK_STATUS_DATA)
		pace(copy, piece->length);
	return 1;
}

/* ---- Carrying over ---- */

static void progress(struct block_copier *copy, uint64_t length)
{
	uint64_t now = worker_now();

	copy->done += length;
	if (!copy->options.progress || copy->reporting ||
	    now - copy->reported < PROGRESS_INTERVAL || copy->done == copy->end)
		return;
	copy->reporting = true;
	copy->reported = now;
	copy->options.progress(copy->options.arg, copy->done, copy->end);
	copy->reporting = false;
}

static int put_zeroes(struct block_copier *copy, uint64_t at, uint64_t length)
{
	uint64_t offset = copy->options.destination_offset + at;
	int rc = 0;

	copy->result.zeroes += length;
	if (copy->options.destination_is_zero)
		return 0;
	length = round_up(length, copy->destination->logical_block_size);
	rc = block_write_zeroes(copy->destination, offset, length,
				copy->options.may_unmap ? BLOCK_MAY_UNMAP : 0);
	return rc < 0 ? failed(copy, "zeroing", copy->destination, offset, length, rc) : 0;
}

static int put_data(struct block_copier *copy, uint64_t at, char *buffer, uint64_t length)
{
	uint64_t offset = copy->options.destination_offset + at;
	uint64_t whole = round_up(length, copy->destination->logical_block_size);
	int rc;

	memset(buffer + length, 0, whole - length);
	copy->result.copied += length;
	rc = block_write(copy->destination, offset, buffer, whole, BLOCK_STABLE);
	return rc < 0 ? failed(copy, "writing", copy->destination, offset, whole, rc) : 0;
}

/* Writes a buffer in runs of zeroes and of other data. */
static int put(struct block_copier *copy, uint64_t at, char *buffer, uint64_t length)
{
	const uint64_t unit = copy->options.destination_is_zero ? ZERO_UNIT_LEFT : ZERO_UNIT;
	uint64_t start = 0, end;
	int rc = 0;

	while (start < length && !rc) {
		bool zero = bytes_all_zero(buffer + start, MIN(length - start, unit));

		for (end = start + unit; end < length; end += unit)
			if (bytes_all_zero(buffer + end, MIN(length - end, unit)) != zero)
				break;
		end = MIN(end, length);
		rc = zero ? put_zeroes(copy, at + start, end - start)
			  : put_data(copy, at + start, buffer + start, end - start);
		start = end;
	}
	return rc;
}

static int tell(struct block_copier *copy, const struct block_copy_piece *piece, const char *at)
{
	struct error error = { 0 };
	int rc;

	if (!copy->options.told)
		return 0;
	while (copy->told_to != piece->at && !copy->rc)
		fiber_queue_wait_always(&copy->turns);
	if (copy->rc)
		return copy->rc;
	rc = copy->options.told(copy->options.arg, at, piece->length, &error);
	if (rc < 0 && stop(copy, rc))
		*(copy->error ? copy->error : &error) = error;
	copy->told_to += piece->length;
	fiber_queue_wake_all(&copy->turns);
	return rc;
}

static int carry(struct block_copier *copy, const struct block_copy_piece *piece, char *buffer)
{
	uint64_t offset = copy->options.source_offset + piece->at;
	int rc;

	if (piece->kind == BLOCK_STATUS_ZERO) {
		rc = tell(copy, piece, NULL);
		return rc ? rc : put_zeroes(copy, piece->at, piece->length);
	}
	rc = block_read(copy->source, offset, buffer, piece->length);
	if (rc < 0 && copy->options.unreadable)
		rc = rescue_read(copy->source, offset, buffer, piece->length,
				 copy->options.unreadable);
	if (rc < 0)
		return failed(copy, "reading", copy->source, offset, piece->length, rc);
	rc = tell(copy, piece, buffer);
	return rc ? rc : put(copy, piece->at, buffer, piece->length);
}

/* ---- Checkpoints ---- */

static uint64_t done_before(const struct block_copier *copy)
{
	uint64_t before = copy->next;

	for (unsigned i = 0; i < copy->options.requests; i++)
		before = MIN(before, copy->hands[i].at);
	return before;
}

/* What is in the destination is known before it is flushed; what comes after that may not be durable. */
static void checkpoint(struct block_copier *copy)
{
	uint64_t done = done_before(copy);
	struct error error = { 0 };
	int rc;

	copy->noting = true;
	rc = block_flush(copy->destination);
	copy->lost |= rc < 0;
	if (rc < 0)
		failed(copy, "flushing in the middle of", copy->destination,
		       copy->options.destination_offset, done, rc);
	if (!rc)
		rc = copy->options.checkpoint(copy->options.arg, done, &error);
	if (rc < 0 && stop(copy, rc))
		*(copy->error ? copy->error : &error) = error;
	copy->noted = worker_now();
	copy->noting = false;
}

/* Where the copy did not come to its end: what is there is not to be done again. It has nothing to add to why. */
static int last_checkpoint(void *arg)
{
	struct block_copier *copy = arg;

	if (!block_flush(copy->destination))
		(void)copy->options.checkpoint(copy->options.arg, done_before(copy), NULL);
	return 0;
}

static int copy_fiber(void *arg)
{
	struct block_copy_hand *hand = arg;
	struct block_copier *copy = hand->copy;
	size_t size = copy->options.piece_size;
	char *buffer = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct block_copy_piece piece = { 0 };
	int rc;

	if (buffer == MAP_FAILED)
		return failed(copy, "memory for", copy->source, 0, size, -ENOMEM);
	do {
		fiber_mutex_lock(&copy->taking);
		rc = take(copy, hand, &piece);
		fiber_mutex_unlock(&copy->taking);
		if (rc <= 0)
			break;
		rc = carry(copy, &piece, buffer);
		if (rc < 0)
			break;
		hand->at = NOTHING;
		progress(copy, piece.length);
		if (copy->options.checkpoint && !copy->noting &&
		    worker_now() - copy->noted >= copy->options.checkpoint_ns)
			checkpoint(copy);
	} while (!copy->rc);
	munmap(buffer, size);
	return rc;
}

/* ---- The whole ---- */

static int check_options(struct block_copier *copy)
{
	struct block_copy_options *options = &copy->options;
	const struct block *source = copy->source, *destination = copy->destination;
	uint32_t unit = MAX(source->logical_block_size, destination->logical_block_size);

	if (!options->length && options->source_offset <= source->size)
		options->length = source->size - options->source_offset;
	options->requests =
		options->requests ? MIN(options->requests, REQUESTS_MAXIMUM) : BLOCK_COPY_REQUESTS;
	if (!options->piece_size)
		options->piece_size = BLOCK_COPY_PIECE_SIZE;
	if (options->piece_size % 4096 || options->source_offset % source->logical_block_size ||
	    options->destination_offset % unit || options->length % source->logical_block_size)
		return error_set(
			copy->error, -EINVAL,
			"copying %s to %s: offsets %llu and %llu and length %llu: expected "
			"multiples of %u bytes",
			source->name, destination->name, (unsigned long long)options->source_offset,
			(unsigned long long)options->destination_offset,
			(unsigned long long)options->length, unit);
	if (!range_within(options->source_offset, options->length, source->size))
		return error_set(copy->error, -EINVAL,
				 "%s: %llu bytes at byte %llu to copy, but it has %llu bytes",
				 source->name, (unsigned long long)options->length,
				 (unsigned long long)options->source_offset,
				 (unsigned long long)source->size);
	if (!range_within(options->destination_offset,
			  round_up(options->length, destination->logical_block_size),
			  destination->size)) {
		error_set(copy->error, -ENOSPC,
			  "%s: %llu bytes at byte %llu to be written, but it has %llu bytes",
			  destination->name, (unsigned long long)options->length,
			  (unsigned long long)options->destination_offset,
			  (unsigned long long)destination->size);
		error_advise(copy->error, "a larger destination, or less of %s", source->name);
		return -ENOSPC;
	}
	copy->end = options->length;
	return 0;
}

static void report(struct block_copier *copy, uint64_t done)
{
	copy->reported = worker_now();
	if (copy->options.progress)
		copy->options.progress(copy->options.arg, done, copy->end);
}

/* This fiber is one of them, so that its cancellation is seen. */
static void run_all(struct block_copier *copy)
{
	struct block_copy_hand hands[REQUESTS_MAXIMUM];
	struct fiber *fibers[REQUESTS_MAXIMUM];

	for (unsigned i = 0; i < copy->options.requests; i++)
		hands[i] = (struct block_copy_hand){ copy, NOTHING };
	copy->hands = hands;
	for (unsigned i = 1; i < copy->options.requests; i++)
		fibers[i] = fiber_spawn(copy_fiber, &hands[i]);
	copy_fiber(&hands[0]);
	for (unsigned i = 1; i < copy->options.requests; i++)
		fiber_join(fibers[i]);
	/* On a fiber that nobody has cancelled. */
	if (copy->rc && copy->options.checkpoint && !copy->lost)
		fiber_join(fiber_spawn(last_checkpoint, copy));
	copy->hands = NULL;
}

int block_copy(struct block *source, struct block *destination,
	       const struct block_copy_options *options, struct block_copy_result *result,
	       struct error *error)
{
	struct block_copier copy = { .source = source, .destination = destination, .error = error };
	int rc;

	if (options)
		copy.options = *options;
	rc = check_options(&copy);
	if (rc < 0)
		return rc;
	fiber_mutex_init(&copy.taking);
	fiber_queue_init(&copy.turns);
	copy.noted = worker_now();
	report(&copy, 0);
	run_all(&copy);
	if (!copy.rc && !copy.options.no_flush) {
		rc = block_flush(destination);
		if (rc < 0)
			failed(&copy, "flushing after", destination,
			       copy.options.destination_offset, copy.end, rc);
	}
	if (!copy.rc)
		report(&copy, copy.end);
	if (result)
		*result = copy.result;
	return copy.rc;
}
