/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests to image files and host block devices; see file.h for how direct I/O is fitted in. */
#include "block/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "block/iov.h"
#include "block/layer.h"
#include "block/output.h"
#include "fiber/fiber.h"
#include "fiber/request.h"
#include "util/bytes.h"

/* ---- Transfers by one descriptor ---- */

/* A request or a part of one. */
struct transfer {
	bool write;
	int rwf_flags;
	uint64_t offset, length;
	struct iov_range data;
	bool exact; /* `data` is `length` long, to the end of its array */
};

static ssize_t transfer_some(struct file *file, int fd, const struct transfer *transfer,
			     const struct iovec *iov, unsigned count)
{
	if (file->in_memory && file_transfers_now(file, transfer->length))
		return file_transfer_now(fd, transfer->write, iov, count, transfer->offset);
	return transfer->write
		       ? fiber_pwritev(fd, iov, count, transfer->offset, transfer->rwf_flags)
		       : fiber_preadv(fd, iov, count, transfer->offset);
}

/*
 * Reads or writes all of it by `fd`, one of the file's. `unit`: what a short transfer goes on at.
 *
 * The end of the file before the end of the device means that somebody truncated it. A read then comes
 * back short. A write would make the file longer again, with a hole that reads as good zeroes before it,
 * and nothing tells the kernel not to: so it is asked for the size before each one, or before those that go to it
 * together. Whoever truncates between the two calls is noticed by the next write.
 */
static int transfer_all(struct file *file, int fd, struct transfer transfer, uint32_t unit)
{
	struct iovec part[64];

	while (transfer.length) {
		const struct iovec *iov = transfer.data.iov;
		unsigned count = transfer.data.count;
		ssize_t done;

		if (!transfer.exact || count > IOV_MAX) {
			struct iov_range data = transfer.data;

			iov_take(&data, transfer.length, part, ARRAY_SIZE(part), &count);
			iov = part;
		}
		if (transfer.write && file_shrank_before(file))
			return -ENXIO;
		done = transfer_some(file, fd, &transfer, iov, count);
		if (done == -EINTR || done == -EAGAIN) {
			fiber_yield();
			continue;
		}
		if (done < 0)
			return file_error(file, (int)done);
		if ((uint64_t)done == transfer.length)
			return 0;
		transfer.exact = false;
		done -= done % unit;
		if (!done)
			return file_shrank(file) ? -ENXIO : -EIO;
		iov_advance(&transfer.data, (uint64_t)done);
		transfer.offset += (uint64_t)done;
		transfer.length -= (uint64_t)done;
	}
	return 0;
}

/* ---- Direct I/O ---- */

static void *bounce_get(struct file *file)
{
	void *at;

	for (unsigned i = 0; i < FILE_BOUNCE_COUNT; i++)
		if (file->bounce[i])
			return steal_pointer(&file->bounce[i]);
	if (posix_memalign(&at, MAX(file->direct_memory, 4096u), FILE_BOUNCE_SIZE))
		return NULL;
	return at;
}

static void bounce_put(struct file *file, void *at)
{
	for (unsigned i = 0; i < FILE_BOUNCE_COUNT; i++)
		if (!file->bounce[i]) {
			file->bounce[i] = at;
			return;
		}
	free(at);
}

static int bounce_transfer(struct file *file, bool write, void *at, uint64_t offset,
			   uint64_t length, int rwf_flags)
{
	struct iovec iov = { .iov_base = at, .iov_len = length };

	return transfer_all(file, file->fd,
			    (struct transfer){ .write = write,
					       .rwf_flags = rwf_flags,
					       .offset = offset,
					       .length = length,
					       .data = iov_range_of(&iov, 1),
					       .exact = true },
			    file->direct_unit);
}

/* One piece of a request through `buffer`; [start, end) is what it covers in whole units. */
static int bounce_piece(struct file *file, struct transfer *piece, char *buffer)
{
	uint32_t unit = file->direct_unit;
	uint64_t start = round_down(piece->offset, unit);
	uint64_t end = round_up(piece->offset + piece->length, unit);
	char *at = buffer + (piece->offset - start);
	int rc = 0;

	if (!piece->write) {
		rc = bounce_transfer(file, false, buffer, start, end - start, 0);
		if (!rc)
			iov_copy_in(&piece->data, at, piece->length);
		return rc;
	}
	if (piece->offset != start)
		rc = bounce_transfer(file, false, buffer, start, unit, 0);
	if (!rc && piece->offset + piece->length != end &&
	    (piece->offset == start || end - start > unit))
		rc = bounce_transfer(file, false, buffer + (end - start - unit), end - unit, unit,
				     0);
	if (rc < 0)
		return rc;
	iov_copy_out(&piece->data, at, piece->length);
	return bounce_transfer(file, true, buffer, start, end - start, piece->rwf_flags);
}

static int transfer_bounced(struct file *file, struct transfer transfer)
{
	char *buffer = bounce_get(file);
	int rc = 0;

	if (!buffer)
		return -ENOMEM;
	while (transfer.length && !rc) {
		struct transfer piece = transfer;
		uint64_t start = round_down(transfer.offset, file->direct_unit);

		piece.length = MIN(transfer.length, start + FILE_BOUNCE_SIZE - transfer.offset);
		rc = bounce_piece(file, &piece, buffer);
		transfer.data = piece.data;
		transfer.offset += piece.length;
		transfer.length -= piece.length;
	}
	bounce_put(file, buffer);
	return rc;
}

static int transfer_direct(struct file *file, const struct transfer *transfer)
{
	if (file_fits_direct(file, transfer->offset, transfer->length, transfer->data))
		return transfer_all(file, file->fd, *transfer, file->direct_unit);
	return transfer_bounced(file, *transfer);
}

static int transfer_any(struct file *file, const struct transfer *transfer)
{
	struct transfer head = *transfer, tail = *transfer;
	uint64_t end = transfer->offset + transfer->length;
	int rc;

	if (!file->direct)
		return transfer_all(file, file->fd, *transfer, 1);
	if (end <= file->direct_end)
		return transfer_direct(file, transfer);
	if (transfer->offset >= file->direct_end)
		return transfer_all(file, file->tail_fd, *transfer, 1);
	head.exact = tail.exact = false;
	head.length = file->direct_end - head.offset;
	tail.length -= head.length;
	tail.offset = file->direct_end;
	iov_advance(&tail.data, head.length);
	rc = transfer_direct(file, &head);
	return rc < 0 ? rc : transfer_all(file, file->tail_fd, tail, 1);
}

/* The last sector of a file that ends in the middle of it. */
static int read_odd_end(struct file *file, struct transfer *transfer)
{
	uint64_t start = round_down(file->odd_end, 512);
	struct transfer head = *transfer;
	char sector[512] = { 0 };
	struct iovec iov = { sector, (size_t)(file->odd_end - start) };
	int rc = 0;

	if (head.offset < start) {
		head.exact = false;
		head.length = start - head.offset;
		rc = transfer_any(file, &head);
		iov_advance(&transfer->data, head.length);
	}
	if (!rc)
		rc = transfer_all(file, file->tail_fd >= 0 ? file->tail_fd : file->fd,
				  (struct transfer){ .offset = start,
						     .length = iov.iov_len,
						     .data = iov_range_of(&iov, 1) },
				  1);
	if (!rc)
		iov_copy_in(&transfer->data, sector, sizeof(sector));
	return rc;
}

/* ---- Changes that must not meet within a unit ---- */

/* Where direct I/O wants more than the blocks of the device, a change to part of a unit rewrites the
 * rest of it, so changes of other parts must wait for it. */
static bool changes_lock(struct file *file, struct range_hold *hold, uint64_t offset,
			 uint64_t length)
{
	if (file->direct_unit <= file->block.logical_block_size)
		return false;
	range_lock(&file->writes, hold, round_down(offset, file->direct_unit),
		   round_up(offset + length, file->direct_unit));
	return true;
}

static void changes_unlock(struct file *file, struct range_hold *hold, bool held)
{
	if (held)
		range_unlock(&file->writes, hold);
}

static int change_by_fallocate(struct file *file, int mode, uint64_t offset, uint64_t length)
{
	struct range_hold hold;
	bool held = changes_lock(file, &hold, offset, length);
	/* Behind the end it would do nothing, and say that it is done. */
	int rc = file_shrank(file)
			 ? -ENXIO
			 : fiber_fallocate(file->fd, mode | FALLOC_FL_KEEP_SIZE, offset, length);

	changes_unlock(file, &hold, held);
	return rc;
}

/* ---- Operations ---- */

int file_readv(struct block *block, uint64_t offset, uint64_t length, const struct iovec *iov,
	       unsigned count)
{
	struct file *file = file_of(block);
	struct transfer transfer = {
		.offset = offset, .length = length, .data = iov_range_of(iov, count), .exact = true
	};

	if (file->odd_end && offset + length > file->odd_end)
		return read_odd_end(file, &transfer);
	return transfer_any(file, &transfer);
}

int file_writev(struct block *block, uint64_t offset, uint64_t length, const struct iovec *iov,
		unsigned count, unsigned flags)
{
	struct file *file = file_of(block);
	struct range_hold hold;
	bool held = changes_lock(file, &hold, offset, length);
	bool cached = file_is_cached(file), through = flags & BLOCK_FUA;
	int rc;

	rc = transfer_any(file, &(struct transfer){ .write = true,
						    .rwf_flags = through && !cached ? RWF_DSYNC : 0,
						    .offset = offset,
						    .length = length,
						    .data = iov_range_of(iov, count),
						    .exact = true });
	changes_unlock(file, &hold, held);
	/* The kernel tells once of what it could not write, of earlier writes too: only a flush is to hear it. */
	return !rc && through && cached ? file_flush(block) : rc;
}

/* Errors that say "this file system or device has no such thing". */
static bool is_unsupported(int rc)
{
	return rc == -EOPNOTSUPP || rc == -ENOSYS || rc == -ENODEV || rc == -EINVAL ||
	       rc == -ENOTTY;
}

int file_discard(struct block *block, uint64_t offset, uint64_t length)
{
	struct file *file = file_of(block);
	int rc;

	if (file->no_punch)
		return 0;
	rc = change_by_fallocate(file, FALLOC_FL_PUNCH_HOLE, offset, length);
	if (is_unsupported(rc)) {
		file->no_punch = true;
		return 0;
	}
	return rc == -ENXIO ? rc : file_error(file, rc);
}

int file_write_zeroes(struct block *block, uint64_t offset, uint64_t length, unsigned flags)
{
	struct file *file = file_of(block);
	int rc = -EOPNOTSUPP;

	if (flags & BLOCK_MAY_UNMAP && !file->no_punch) {
		rc = change_by_fallocate(file, FALLOC_FL_PUNCH_HOLE, offset, length);
		file->no_punch = is_unsupported(rc);
	}
	if (is_unsupported(rc) && !file->no_zero_range) {
		rc = change_by_fallocate(file, FALLOC_FL_ZERO_RANGE, offset, length);
		file->no_zero_range = is_unsupported(rc);
	}
	if (is_unsupported(rc))
		return block_write_zero_buffers(block, offset, length, flags & BLOCK_FUA);
	rc = rc == -ENXIO ? rc : file_error(file, rc);
	return !rc && flags & BLOCK_FUA ? file_flush(block) : rc;
}

int file_status(struct block *block, uint64_t offset, uint64_t *length, enum block_status *status)
{
	struct file *file = file_of(block);
	uint64_t end = offset + *length;
	off_t next;

	*status = BLOCK_STATUS_DATA;
	if (file->is_device)
		return 0;
	next = lseek(file->fd, (off_t)offset, SEEK_DATA);
	if (next < 0 && (errno != ENXIO || file_shrank(file)))
		return 0; /* a read will tell */
	if (next < 0 || (uint64_t)next > offset) {
		*status = BLOCK_STATUS_ZERO; /* ENXIO: nothing but a hole up to the end */
		if (next >= 0)
			*length = MIN((uint64_t)next, end) - offset;
		return 0;
	}
	next = lseek(file->fd, (off_t)offset, SEEK_HOLE);
	if (next > (off_t)offset)
		*length = MIN(round_up((uint64_t)next, 512), end) - offset;
	return 0;
}

void file_free_bounce(struct file *file)
{
	for (unsigned i = 0; i < FILE_BOUNCE_COUNT; i++)
		free(file->bounce[i]);
}
