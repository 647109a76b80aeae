/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/block: requests without a fiber. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "block/start.h"
#include "fiber/fiber.h"
#include "fiber_run.h"
#include "util/bytes.h"

#define MIB  (1ULL << 20)
#define PART 4096u

struct started {
	struct block_request request;
	struct iovec iov;
	unsigned ended;
	int rc;
	struct fiber_queue end;
};

static void started_done(struct block_request *request, int rc)
{
	struct started *started = container_of(request, struct started, request);

	started->ended++;
	started->rc = rc;
	fiber_queue_wake_all(&started->end);
}

static bool start(struct started *started, struct block *block, enum block_kind kind,
		  uint64_t offset, void *at, uint64_t length)
{
	*started = (struct started){ .iov = { at, length } };
	fiber_queue_init(&started->end);
	started->request.block = block;
	started->request.kind = kind;
	started->request.offset = offset;
	started->request.length = length;
	started->request.iov = &started->iov;
	started->request.count = at ? 1 : 0;
	started->request.done = started_done;
	return block_start(&started->request);
}

static int end(struct started *started)
{
	while (!started->ended)
		fiber_queue_wait_always(&started->end);
	CU_ASSERT_EQUAL(started->ended, 1);
	return started->rc;
}

/* ---- A layer of parts of 4 KiB: below, nowhere, at work here, and so on ---- */

struct parts {
	struct block block;
	struct block *lower;
};

static int parts_map(struct block *block, enum block_kind kind, uint64_t offset, uint64_t length,
		     struct block_extent *extent)
{
	uint64_t part = offset / PART % 3;

	extent->length = MIN(length, PART - offset % PART);
	extent->lower = container_of(block, struct parts, block)->lower;
	extent->offset = offset;
	if (part)
		extent->place = part == 1 && kind == BLOCK_READ ? BLOCK_ZEROES : BLOCK_HERE;
	return 0;
}

static int parts_readv(struct block *block, uint64_t offset, uint64_t length,
		       const struct iovec *iov, unsigned count)
{
	(void)length;
	return block_readv(container_of(block, struct parts, block)->lower, offset, iov, count);
}

static int parts_flush(struct block *block)
{
	return block_flush(container_of(block, struct parts, block)->lower);
}

static void parts_close(struct block *block)
{
	block_unref(container_of(block, struct parts, block)->lower);
}

static const struct block_ops parts_ops = { .type = "parts",
					    .map = parts_map,
					    .readv = parts_readv,
					    .flush = parts_flush,
					    .close = parts_close };

static void parts_init(struct parts *parts)
{
	CU_ASSERT_EQUAL_FATAL(block_create_memory(&parts->lower, "m", MIB, NULL), 0);
	block_init(&parts->block, &parts_ops, "parts");
	block_copy_limits(&parts->block, parts->lower);
}

/* ---- A file ---- */

struct disk {
	char path[64];
	struct block *file;
};

static void disk_create(struct disk *disk)
{
	char folder[] = "/tmp/tenon-start-XXXXXX";

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	snprintf(disk->path, sizeof(disk->path), "%s/a", folder);
	CU_ASSERT_EQUAL_FATAL(
		block_open_file(&disk->file, disk->path, BLOCK_OPEN_CREATE, MIB, NULL), 0);
}

static void disk_remove(struct disk *disk)
{
	block_unref(disk->file);
	unlink(disk->path);
	*strrchr(disk->path, '/') = '\0';
	rmdir(disk->path);
}

/* ---- Tests ---- */

static int a_file_needs_no_fiber(void *arg)
{
	static char data[PART] __attribute__((aligned(4096))),
		back[PART] __attribute__((aligned(4096)));
	struct worker_counters before, after;
	struct started one, two, three;
	struct block *slice = NULL;
	struct disk disk;

	(void)arg;
	disk_create(&disk);
	CU_ASSERT_EQUAL_FATAL(block_create_slice(&slice, "s", disk.file, 8192, 65536, NULL), 0);
	memset(data, 'd', sizeof(data));
	worker_counters(worker_current(), &before);
	CU_ASSERT_TRUE(start(&one, slice, BLOCK_WRITE, PART, data, PART));
	CU_ASSERT_EQUAL(end(&one), 0);
	CU_ASSERT_TRUE(start(&two, disk.file, BLOCK_READ, 8192 + PART, back, PART));
	CU_ASSERT_TRUE(start(&three, disk.file, BLOCK_FLUSH, 0, NULL, 0));
	CU_ASSERT_EQUAL(end(&two), 0);
	CU_ASSERT_EQUAL(end(&three), 0);
	worker_counters(worker_current(), &after);
	CU_ASSERT_TRUE(after.switches - before.switches <= 3); /* ours, which waited */
	CU_ASSERT_EQUAL(memcmp(back, data, PART), 0);
	CU_ASSERT_EQUAL(slice->gate.inside, 0);
	CU_ASSERT_EQUAL(disk.file->gate.inside, 0);
	block_unref(slice);
	disk_remove(&disk);
	return 0;
}

/* Behind the end of a file that became shorter: the calls tell what that is. */
static int a_short_read_is_done_again(void *arg)
{
	static char back[2 * PART] __attribute__((aligned(4096)));
	struct started one;
	struct disk disk;

	(void)arg;
	disk_create(&disk);
	CU_ASSERT_EQUAL(truncate(disk.path, PART), 0);
	CU_ASSERT_TRUE(start(&one, disk.file, BLOCK_READ, 0, back, 2 * PART));
	CU_ASSERT_EQUAL(end(&one), -EAGAIN);
	CU_ASSERT_EQUAL(block_read(disk.file, 0, back, 2 * PART), -ENXIO);
	CU_ASSERT_FALSE(start(&one, disk.file, BLOCK_WRITE, 0, back, PART));
	CU_ASSERT_EQUAL(disk.file->gate.inside, 0);
	disk_remove(&disk);
	return 0;
}

static int what_is_not_whole_is_refused(void *arg)
{
	static char data[2 * PART];
	struct started one;
	struct parts parts;

	(void)arg;
	parts_init(&parts);
	memset(data, 'x', sizeof(data));
	CU_ASSERT_TRUE(start(&one, &parts.block, BLOCK_WRITE, 0, data, PART));
	CU_ASSERT_EQUAL(end(&one), 0);
	/* Nowhere: zeroes, at once. */
	CU_ASSERT_TRUE(start(&one, &parts.block, BLOCK_READ, PART, data, PART));
	CU_ASSERT_EQUAL(one.ended, 1);
	CU_ASSERT_EQUAL(data[0], 0);
	/* A layer that can only wait, and a request that lies on two. */
	CU_ASSERT_FALSE(start(&one, &parts.block, BLOCK_READ, 2 * PART, data, PART));
	CU_ASSERT_FALSE(start(&one, &parts.block, BLOCK_READ, 0, data, 2 * PART));
	CU_ASSERT_FALSE(start(&one, &parts.block, BLOCK_READ, PART, data, 2 * PART));
	/* What is not valid. */
	CU_ASSERT_FALSE(start(&one, parts.lower, BLOCK_READ, MIB, data, PART));
	CU_ASSERT_FALSE(start(&one, parts.lower, BLOCK_READ, 100, data, PART));
	CU_ASSERT_FALSE(start(&one, parts.lower, BLOCK_READ, 0, data, 0));
	CU_ASSERT_EQUAL(one.ended, 0);
	block_set_read_only(parts.lower, true);
	CU_ASSERT_FALSE(start(&one, parts.lower, BLOCK_WRITE, 0, data, PART));
	CU_ASSERT_EQUAL(parts.block.gate.inside, 0);
	CU_ASSERT_EQUAL(parts.lower->gate.inside, 0);
	block_unref(&parts.block);
	return 0;
}

static int a_closed_gate_is_not_waited_for(void *arg)
{
	struct block *memory = NULL, *slice = NULL;
	struct started one;
	char data[PART];

	(void)arg;
	CU_ASSERT_EQUAL_FATAL(block_create_memory(&memory, "m", MIB, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(block_create_slice(&slice, "s", memory, 0, 65536, NULL), 0);
	block_quiesce(memory);
	CU_ASSERT_FALSE(start(&one, slice, BLOCK_READ, 0, data, PART));
	CU_ASSERT_EQUAL(slice->gate.inside, 0);
	block_resume(memory);
	CU_ASSERT_TRUE(start(&one, slice, BLOCK_READ, 0, data, PART));
	CU_ASSERT_EQUAL(end(&one), 0);
	CU_ASSERT_EQUAL(slice->gate.inside + memory->gate.inside, 0);
	block_unref(slice);
	block_unref(memory);
	return 0;
}

#define ON_FIBERS(function)                                                                        \
	static void test_##function(void)                                                          \
	{                                                                                          \
		fiber_run_each(function, NULL);                                                    \
	}

ON_FIBERS(a_file_needs_no_fiber)
ON_FIBERS(a_short_read_is_done_again)
ON_FIBERS(what_is_not_whole_is_refused)
ON_FIBERS(a_closed_gate_is_not_waited_for)

UNIT_MAIN("block start", UNIT(test_a_file_needs_no_fiber), UNIT(test_a_short_read_is_done_again),
	  UNIT(test_what_is_not_whole_is_refused), UNIT(test_a_closed_gate_is_not_waited_for))
