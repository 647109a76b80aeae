/* SPDX-License-Identifier: BSD-2-Clause */
/* What a file allows: how long it is, what its errors mean, what direct I/O takes; see file.h. */
#include <errno.h>
#include <unistd.h>

#include "block/file.h"
#include "fiber/fiber.h"
#include "fiber/request.h"

bool file_shrank(const struct file *file)
{
	uint64_t whole = file->odd_end ? file->odd_end : file->block.size;
	off_t size = lseek(file->fd, 0, SEEK_END);

	return size >= 0 && (uint64_t)size < whole;
}

struct file_round *file_round(struct file *file)
{
	uint64_t round = worker_round(worker_current());

	if (file->round.round != round)
		file->round = (struct file_round){ .round = round };
	return &file->round;
}

bool file_shrank_before(struct file *file)
{
	struct file_round *round = file_round(file);

	/* In memory nothing waits, and a round can be long. */
	if (!round->looked || (file->in_memory && round->writes++ % FILE_LOOKS_EVERY == 0))
		round->looked = !file_shrank(file);
	return !round->looked;
}

/* A device answers a write behind its end with ENOSPC, as a thin one does that is full; and one that was
 * pulled out with ENXIO, which is ours for those that shrank. */
int file_error(const struct file *file, int code)
{
	if (code == -EDQUOT || code == -EFBIG)
		code = -ENOSPC;
	if (file->is_device && (code == -ENOSPC || code == -ENXIO) && file_shrank(file))
		return -ENXIO;
	return code == -ENXIO ? -EIO : code;
}

bool file_fits_direct(const struct file *file, uint64_t offset, uint64_t length,
		      struct iov_range data)
{
	if ((offset | length) & (file->direct_unit - 1))
		return false;
	while (length) {
		size_t step = MIN(length, data.iov->iov_len - data.skip);
		uintptr_t base = (uintptr_t)data.iov->iov_base + data.skip;

		if (step && (base & (file->direct_memory - 1) || step & (file->direct_unit - 1)))
			return false;
		length -= step;
		data.iov++;
		data.skip = 0;
	}
	return true;
}
