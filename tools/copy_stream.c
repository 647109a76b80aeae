/* SPDX-License-Identifier: BSD-2-Clause */
/* Copying in order, where one end is a stream; see copy.h. Runs of zeroes become holes, or write-zeroes requests,
 * wherever the destination has such a thing. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/block.h"
#include "fiber/fiber.h"
#include "tools/copy.h"
#include "util/bytes.h"

#define PIECE           (1u << 20)
#define HOLE_MOST       (64ULL << 20) /* at once, so that the progress moves */
#define ZERO_UNIT_FILE  4096u
#define ZERO_UNIT_BLOCK 65536u

struct stream {
	struct copy_command *copy;
	struct copy_end *source, *destination;
	char *piece;
	uint64_t offset;      /* how far it has got */
	bool source_is_file;  /* a stream that is a regular file: has holes and an end */
	bool out_nonblocking; /* writes answer -EAGAIN */
	struct error *error;
};

static int source_failed(struct stream *stream, int rc)
{
	return error_set(stream->error, rc, "%s: reading at byte %llu: %s", stream->source->word,
			 (unsigned long long)stream->offset, error_name(rc));
}

/* ---- Source ---- */

ssize_t copy_stream_read(int fd, char *at, size_t length, bool may_wait)
{
	size_t done = 0;

	while (done < length) {
		ssize_t got;

		if (may_wait && fiber_poll(fd, POLLIN, FIBER_FOREVER) == -ECANCELED)
			return -ECANCELED;
		got = read(fd, at + done, length - done);
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

/* How long the hole is that the file is at, in whole pieces; steps over it. */
static uint64_t skip_hole(struct stream *stream)
{
	int fd = stream->source->out.fd;
	off_t at = lseek(fd, 0, SEEK_CUR), next = at < 0 ? -1 : lseek(fd, at, SEEK_DATA);
	uint64_t length = 0;
	struct stat status;

	if (at < 0)
		return 0;
	if (next < 0 && errno == ENXIO && !fstat(fd, &status))
		next = status.st_size;
	if (next > at)
		length = MIN(round_down((uint64_t)(next - at), PIECE), HOLE_MOST);
	lseek(fd, at + (off_t)length, SEEK_SET);
	return length;
}

/* What comes next of a block device. */
static int next_of_block(struct stream *stream, uint64_t *length, bool *zero)
{
	struct copy_end *source = stream->source;
	struct block *block = source->block;
	uint64_t left = source->size - stream->offset, most = MIN(left, HOLE_MOST);
	enum block_status kind = BLOCK_STATUS_DATA;
	int rc;

	*length = 0;
	if (!left)
		return 0;
	*length = round_up(most, block->logical_block_size);
	rc = block_status(block, stream->offset, length, &kind);
	if (rc)
		return source_failed(stream, rc);
	*length = MIN(*length, left);
	if (*length < left)
		*length = round_down(*length, 4096);
	*zero = kind == BLOCK_STATUS_ZERO && *length;
	if (*zero)
		return 0;
	*length = MIN(left, PIECE);
	rc = block_read(block, stream->offset, stream->piece,
			round_up(*length, block->logical_block_size));
	if (rc && stream->copy->skip_errors)
		rc = rescue_read(block, stream->offset, stream->piece,
				 round_up(*length, block->logical_block_size),
				 &stream->copy->unreadable);
	return rc ? source_failed(stream, rc) : 0;
}

static int next_of_stream(struct stream *stream, uint64_t *length, bool *zero)
{
	struct copy_end *source = stream->source;
	size_t begun = source->head_length;
	ssize_t got;

	*length = stream->source_is_file && !begun ? skip_hole(stream) : 0;
	*zero = *length;
	if (*zero)
		return 0;
	memcpy(stream->piece, source->head, begun);
	source->head_length = 0;
	got = copy_stream_read(source->out.fd, stream->piece + begun, PIECE - begun,
			       !stream->source_is_file);
	if (got == -ECANCELED)
		return (int)got;
	if (got < 0)
		return source_failed(stream, (int)got);
	*length = begun + (size_t)got;
	if (!*length && source->size_known && stream->offset < source->size) {
		error_set(stream->error, -EIO,
			  "%s: ended after %llu bytes, had %llu at the start: it was cut meanwhile",
			  source->word, (unsigned long long)stream->offset,
			  (unsigned long long)source->size);
		return -EIO;
	}
	return 0;
}

/* ---- Destination ---- */

static int write_all(struct stream *stream, const char *at, size_t length)
{
	int fd = stream->destination->out.fd;

	if (stream->out_nonblocking)
		return fiber_write(fd, at, length);
	while (length) {
		/* A pipe that can be written to has room for this much. */
		size_t most = stream->destination->out.is_file ? length : MIN(length, PIPE_BUF);
		ssize_t put;

		if (!stream->destination->out.is_file &&
		    fiber_poll(fd, POLLOUT, FIBER_FOREVER) == -ECANCELED)
			return -ECANCELED;
		put = write(fd, at, most);
		if (put < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (put < 0)
			return -errno;
		at += put;
		length -= (size_t)put;
	}
	return 0;
}

static int write_zero_bytes(struct stream *stream, uint64_t length)
{
	static const char zeroes[65536];
	int rc = 0;

	while (!rc && length) {
		size_t some = MIN(length, sizeof(zeroes));

		rc = fiber_cancelled() ? -ECANCELED : write_all(stream, zeroes, some);
		length -= some;
	}
	return rc;
}

/* Goes on behind a hole: at the end of the file by making it longer, before that by punching. */
static int zero_file(struct stream *stream, uint64_t length)
{
	int fd = stream->destination->out.fd;
	bool append = fcntl(fd, F_GETFL) & O_APPEND;
	struct stat status;
	off_t at, end;

	if (fstat(fd, &status))
		return -errno;
	at = append ? status.st_size : lseek(fd, 0, SEEK_CUR);
	if (at < 0 || __builtin_add_overflow(at, (off_t)length, &end))
		return write_zero_bytes(stream, length);
	if (at < status.st_size && fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at,
					     MIN(end, status.st_size) - at))
		return write_zero_bytes(stream, length);
	if (end > status.st_size && ftruncate(fd, end))
		return -errno;
	return lseek(fd, end, SEEK_SET) < 0 ? -errno : 0;
}

static int put_zeroes(struct stream *stream, uint64_t offset, uint64_t length)
{
	struct block *block = stream->destination->block;

	if (block)
		return block_write_zeroes(block, offset,
					  round_up(length, block->logical_block_size),
					  BLOCK_MAY_UNMAP);
	return stream->destination->out.is_file ? zero_file(stream, length)
						: write_zero_bytes(stream, length);
}

/* The last piece is filled up with zeroes to a whole block. */
static int put_data(struct stream *stream, uint64_t offset, char *at, uint64_t length)
{
	struct block *block = stream->destination->block;
	char last[4096] = { 0 };
	uint64_t whole;
	int rc = 0;

	if (!block)
		return write_all(stream, at, length);
	whole = round_down(length, block->logical_block_size);
	if (whole)
		rc = block_write(block, offset, at, whole, BLOCK_STABLE);
	if (rc || whole == length)
		return rc;
	memcpy(last, at + whole, length - whole);
	return block_write(block, offset + whole, last, block->logical_block_size, 0);
}

static int put_runs(struct stream *stream, uint64_t length)
{
	const uint64_t unit = stream->destination->block ? ZERO_UNIT_BLOCK : ZERO_UNIT_FILE;
	uint64_t start = 0, end;
	int rc = 0;

	if (!stream->destination->block && !stream->destination->out.is_file)
		return put_data(stream, stream->offset, stream->piece, length);
	for (; !rc && start < length; start = end) {
		bool zero = bytes_all_zero(stream->piece + start, MIN(length - start, unit));

		for (end = start + unit; end < length; end += unit)
			if (bytes_all_zero(stream->piece + end, MIN(length - end, unit)) != zero)
				break;
		end = MIN(end, length);
		rc = zero ? put_zeroes(stream, stream->offset + start, end - start)
			  : put_data(stream, stream->offset + start, stream->piece + start,
				     end - start);
	}
	return rc;
}

static int put(struct stream *stream, uint64_t length, bool zero)
{
	const struct copy_end *destination = stream->destination;
	const struct block *block = destination->block;
	int rc;

	if (block &&
	    !range_within(stream->offset, round_up(length, block->logical_block_size), block->size))
		return error_set(stream->error, -ENOSPC, "%s: has %llu bytes, the source has more",
				 destination->word, (unsigned long long)block->size);
	rc = zero ? put_zeroes(stream, stream->offset, length) : put_runs(stream, length);
	if (rc == -EPIPE && !strcmp(destination->word, "-"))
		stream->copy->reader_left = true;
	if (rc && rc != -ECANCELED)
		error_set(stream->error, rc, "%s: writing at byte %llu: %s", destination->word,
			  (unsigned long long)stream->offset, error_name(rc));
	return rc;
}

/* ---- The whole ---- */

static int flush(struct stream *stream)
{
	const struct copy_end *destination = stream->destination;
	int rc = 0;

	if (destination->block)
		rc = block_flush(destination->block);
	else if (fsync(destination->out.fd) < 0 && errno != EINVAL && errno != EROFS)
		rc = -errno;
	return rc ? error_set(stream->error, rc, "%s: flushing: %s", destination->word,
			      error_name(rc))
		  : 0;
}

static bool is_regular(int fd)
{
	struct stat status;

	return fd >= 0 && !fstat(fd, &status) && S_ISREG(status.st_mode);
}

int copy_stream(struct copy_command *copy, struct error *error)
{
	CLEANUP_FREE char *piece = malloc(PIECE + 4096);
	struct stream stream = { .copy = copy,
				 .source = &copy->source,
				 .destination = &copy->destination,
				 .piece = piece,
				 .error = error };
	uint64_t length = 0;
	bool zero = false;
	int rc = piece ? 0 : -ENOMEM;

	stream.source_is_file = is_regular(copy->source.out.fd);
	if (!copy->destination.block)
		stream.out_nonblocking = fcntl(copy->destination.out.fd, F_GETFL) & O_NONBLOCK &&
					 !copy->destination.out.is_file;
	while (!rc) {
		/* Reads and writes of files do not suspend. */
		fiber_yield();
		rc = fiber_cancelled() ? -ECANCELED : 0;
		if (!rc)
			rc = copy->source.block ? next_of_block(&stream, &length, &zero)
						: next_of_stream(&stream, &length, &zero);
		if (rc || !length)
			break;
		if (copy->checksum)
			copy_digest_add(&copy->digest, zero ? NULL : stream.piece, length);
		rc = put(&stream, length, zero);
		stream.offset += length;
		if (!rc)
			cli_progress_report(&copy->progress, stream.offset, copy->source.size, 0);
	}
	return rc ? rc : flush(&stream);
}
