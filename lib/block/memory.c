/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A block device in memory: for tests, benchmarks and scratch disks.
 *
 * One anonymous mapping without reservation, so that it costs only what was written. A bitmap of chunks
 * remembers where that was: residency as the kernel tells it would call swapped pages empty.
 */
#include "block/block.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "block/iov.h"
#include "block/layer.h"
#include "util/bytes.h"
#include "util/error.h"

#define CHUNK_SHIFT 16
#define CHUNK_SIZE  (1u << CHUNK_SHIFT)

struct memory {
	struct block block;
	char *bytes;
	uint8_t *written; /* one bit per chunk */
};

static struct memory *memory_of(struct block *block)
{
	return container_of(block, struct memory, block);
}

static bool chunk_written(const struct memory *memory, uint64_t chunk)
{
	return memory->written[chunk / 8] & (1u << chunk % 8);
}

static int memory_readv(struct block *block, uint64_t offset, uint64_t length,
			const struct iovec *iov, unsigned count)
{
	struct iov_range to = iov_range_of(iov, count);

	iov_copy_in(&to, memory_of(block)->bytes + offset, length);
	return 0;
}

static int memory_writev(struct block *block, uint64_t offset, uint64_t length,
			 const struct iovec *iov, unsigned count, unsigned flags)
{
	struct memory *memory = memory_of(block);
	struct iov_range from = iov_range_of(iov, count);

	(void)flags; /* it is as durable as it will be */
	iov_copy_out(&from, memory->bytes + offset, length);
	for (uint64_t chunk = offset >> CHUNK_SHIFT; chunk << CHUNK_SHIFT < offset + length;
	     chunk++)
		memory->written[chunk / 8] |= (uint8_t)(1u << chunk % 8);
	return 0;
}

/* Zeroes the range; whole chunks are given back. A chunk that was never written is zero already. */
static int memory_discard(struct block *block, uint64_t offset, uint64_t length)
{
	struct memory *memory = memory_of(block);
	uint64_t end = offset + length;

	while (offset < end) {
		uint64_t chunk = offset >> CHUNK_SHIFT;
		uint64_t next = MIN((chunk + 1) << CHUNK_SHIFT, end);

		if (chunk_written(memory, chunk)) {
			if (next - offset < CHUNK_SIZE ||
			    madvise(memory->bytes + offset, CHUNK_SIZE, MADV_DONTNEED))
				memset(memory->bytes + offset, 0, next - offset);
			else
				memory->written[chunk / 8] &= (uint8_t) ~(1u << chunk % 8);
		}
		offset = next;
	}
	return 0;
}

static int memory_write_zeroes(struct block *block, uint64_t offset, uint64_t length,
			       unsigned flags)
{
	(void)flags;
	return memory_discard(block, offset, length);
}

static int memory_status(struct block *block, uint64_t offset, uint64_t *length,
			 enum block_status *status)
{
	struct memory *memory = memory_of(block);
	uint64_t chunk = offset >> CHUNK_SHIFT, end = offset + *length;
	bool written = chunk_written(memory, chunk);

	while (++chunk << CHUNK_SHIFT < end && chunk_written(memory, chunk) == written)
		;
	*length = MIN(chunk << CHUNK_SHIFT, end) - offset;
	*status = written ? BLOCK_STATUS_DATA : BLOCK_STATUS_ZERO;
	return 0;
}

static const void *memory_lend(struct block *block, uint64_t offset)
{
	return memory_of(block)->bytes + offset;
}

static int memory_flush(struct block *block)
{
	(void)block;
	return 0;
}

static void memory_close(struct block *block)
{
	struct memory *memory = memory_of(block);

	munmap(memory->bytes, block->size);
	free(memory->written);
	free(memory);
}

static const struct block_ops memory_ops = {
	.type = "memory",
	.start = block_start_at_once,
	.readv = memory_readv,
	.writev = memory_writev,
	.discard = memory_discard,
	.write_zeroes = memory_write_zeroes,
	.status = memory_status,
	.lend = memory_lend,
	.flush = memory_flush,
	.close = memory_close,
};

int block_create_memory(struct block **out, const char *name, uint64_t size, struct error *error)
{
	CLEANUP_FREE struct memory *memory = NULL;
	CLEANUP_FREE uint8_t *written = NULL;
	char *bytes;

	if (!size || size % 512 || size > INT64_MAX)
		return error_set(error, -EINVAL,
				 "%s: memory device of %llu bytes: expected a multiple of 512",
				 name, (unsigned long long)size);
	memory = calloc(1, sizeof(*memory));
	written = calloc(1, (size >> CHUNK_SHIFT) / 8 + 1);
	if (!memory || !written)
		return error_set(error, -ENOMEM, "%s: out of memory", name);
	bytes = mmap(NULL, size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (bytes == MAP_FAILED)
		return error_set(error, -errno, "%s: mapping %llu bytes of memory: %s", name,
				 (unsigned long long)size, error_name(errno));
	block_init(&memory->block, &memory_ops, name);
	memory->block.size = size;
	memory->block.discard_granularity = CHUNK_SIZE;
	memory->bytes = bytes;
	memory->written = steal_pointer(&written);
	*out = &steal_pointer(&memory)->block;
	return 0;
}
