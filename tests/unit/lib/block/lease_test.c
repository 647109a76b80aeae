/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/block: leases, by which another process reads and writes what a device lies on; both sides of them here. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block/block.h"
#include "block/fault.h"
#include "block/lease.h"
#include "block/limit.h"
#include "fiber/fiber.h"
#include "fiber_run.h"
#include "lease_pair.h"
#include "util/bytes.h"
#include "util/error.h"

#define MIB    (1ull << 20)
#define SECOND 1000000000ull

static const char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", unit_directory(), name);
	return path;
}

static struct block *open_image(const char *name)
{
	struct block *block = NULL;

	unlink(path_of(name));
	CU_ASSERT_EQUAL_FATAL(block_open_file(&block, path_of(name),
					      BLOCK_OPEN_CREATE | BLOCK_OPEN_WRITE, 4 * MIB, NULL),
			      0);
	return block;
}

/* A slice, from MIB on, and a limit over it: what the server's exports are. */
static struct block *stack_over(struct block *file)
{
	const struct block_limits none = { 0, 0, 0 };
	struct block *slice = NULL, *limit = NULL;

	CU_ASSERT_EQUAL_FATAL(block_create_slice(&slice, "slice", file, MIB, 2 * MIB, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(block_create_limit(&limit, "disk", slice, &none, NULL), 0);
	block_unref(slice);
	return limit;
}

/* ---- Transfers ---- */

static int transfers(void *arg)
{
	struct block *file = open_image("image"), *disk = stack_over(file);
	static char bytes[MIB + 8192], back[MIB + 8192];
	struct lease_pair pair;

	(void)arg;
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7 + i / 4096);
	CU_ASSERT_EQUAL_FATAL(lease_pair_give(&pair, disk, getpid()), 0);
	CU_ASSERT_EQUAL(pair.use->size, 2 * MIB);
	/* Memory of any address, more than is bounced at once. */
	CU_ASSERT_EQUAL(lease_use_transfer(pair.use, true, 4096, bytes + 1, MIB + 4096), 0);
	CU_ASSERT_EQUAL(block_read(file, MIB + 4096, back, MIB + 4096), 0);
	CU_ASSERT(!memcmp(back, bytes + 1, MIB + 4096));
	CU_ASSERT_EQUAL(block_write(disk, 0, bytes, 8192, 0), 0);
	CU_ASSERT_EQUAL(lease_use_transfer(pair.use, false, 4096, back + 3, 4096), 0);
	CU_ASSERT(!memcmp(back + 3, bytes + 4096, 4096));
	/* Nothing outside of it. */
	CU_ASSERT_EQUAL(lease_use_transfer(pair.use, true, 2 * MIB, bytes, 4096), -EAGAIN);
	CU_ASSERT_EQUAL(lease_use_transfer(pair.use, true, 2 * MIB - 4096, bytes, 8192), -EAGAIN);
	CU_ASSERT_EQUAL(lease_use_transfer(pair.use, false, UINT64_MAX - 4095, bytes, 8192),
			-EAGAIN);
	/* A file that somebody made shorter is not made longer again. */
	CU_ASSERT_EQUAL(truncate(path_of("image"), 2 * MIB), 0);
	CU_ASSERT_EQUAL(lease_use_transfer(pair.use, true, 0, bytes, 4096), -EAGAIN);
	CU_ASSERT_EQUAL(lease_use_transfer(pair.use, false, MIB + 4096, bytes, 4096), -EAGAIN);
	CU_ASSERT_EQUAL(truncate(path_of("image"), 4 * MIB), 0);
	CU_ASSERT_EQUAL(atomic_load(&pair.use->page->inside), 0);
	lease_pair_end(&pair, true);
	block_unref(disk);
	block_unref(file);
	return 0;
}

/* ---- What is leased ---- */

static int what_is_leased(void *arg)
{
	struct block *file = open_image("image"), *disk = stack_over(file), *memory, *faulty;
	struct block *inner, *outer;
	const struct block_limits limits = { 100, 0, SECOND };
	struct lease_pair pair;

	(void)arg;
	CU_ASSERT_EQUAL_FATAL(block_create_memory(&memory, "m", MIB, NULL), 0);
	CU_ASSERT_EQUAL(lease_pair_give(&pair, memory, 0), -EOPNOTSUPP);
	block_unref(memory);
	CU_ASSERT_EQUAL_FATAL(block_create_fault(&faulty, "f", file, 1, NULL), 0);
	CU_ASSERT_EQUAL(lease_pair_give(&pair, faulty, 0), -EOPNOTSUPP);
	block_unref(faulty);
	/* What has a limit, is being changed, is gone; a layer on one of its kind. */
	CU_ASSERT_EQUAL(block_limit_set(disk, &limits, NULL), 0);
	CU_ASSERT_EQUAL(lease_pair_give(&pair, disk, 0), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(block_limit_set(disk, &(struct block_limits){ 0, 0, 0 }, NULL), 0);
	block_quiesce(disk);
	CU_ASSERT_EQUAL(lease_pair_give(&pair, disk, 0), -EOPNOTSUPP);
	block_resume(disk);
	disk->leases.barred = true;
	CU_ASSERT_EQUAL(lease_pair_give(&pair, disk, 0), -EOPNOTSUPP);
	disk->leases.barred = false;
	CU_ASSERT_EQUAL_FATAL(block_create_slice(&inner, "i", file, 0, MIB, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(block_create_slice(&outer, "o", inner, 0, 4096, NULL), 0);
	CU_ASSERT_EQUAL(lease_pair_give(&pair, outer, 0), -EOPNOTSUPP);
	block_unref(outer);
	block_unref(inner);
	/* One that is read-only is read. */
	CU_ASSERT_EQUAL_FATAL(lease_pair_give(&pair, disk, 0), 0);
	block_set_read_only(disk, true);
	CU_ASSERT(lease_pair_is_told(&pair));
	/* What it is told is not how it says that it has let go. */
	CU_ASSERT(fiber_poll(pair.ends[0], POLLRDHUP, SECOND / 100) <= 0);
	shutdown(pair.ends[1], SHUT_RDWR);
	CU_ASSERT(fiber_poll(pair.ends[0], POLLRDHUP, FIBER_FOREVER) > 0);
	lease_pair_end(&pair, true);
	CU_ASSERT_EQUAL_FATAL(lease_pair_give(&pair, disk, 0), 0);
	CU_ASSERT_EQUAL(lease_use_transfer(pair.use, true, 0, (char[512]){ 0 }, 512), -EAGAIN);
	CU_ASSERT_EQUAL(lease_use_transfer(pair.use, false, 0, (char[4096]){ 0 }, 4096), 0);
	block_set_gone(disk);
	CU_ASSERT(lease_pair_is_told(&pair));
	lease_pair_end(&pair, true);
	CU_ASSERT_EQUAL(lease_pair_give(&pair, disk, 0), -EOPNOTSUPP);
	block_unref(disk);
	block_unref(file);
	return 0;
}

/* A layer follows what is below it by a fiber; until then nothing of what is there no more is leased. */
static int became_smaller(void *arg)
{
	struct block *file = open_image("image"), *slice, *disk;
	struct lease_pair pair;

	(void)arg;
	CU_ASSERT_EQUAL_FATAL(block_create_slice(&slice, "s", file, 0, 2 * MIB, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(block_create_limit(&disk, "disk", slice, NULL, NULL), 0);
	block_set_size(slice, MIB);
	CU_ASSERT_EQUAL(disk->size, 2 * MIB);
	CU_ASSERT_EQUAL(lease_pair_give(&pair, disk, 0), -EOPNOTSUPP);
	fiber_sleep(SECOND);
	CU_ASSERT_EQUAL_FATAL(lease_pair_give(&pair, disk, 0), 0);
	CU_ASSERT_EQUAL(pair.use->size, MIB);
	lease_pair_end(&pair, true);
	block_unref(disk);
	block_unref(slice);
	block_unref(file);
	return 0;
}

/* Its pieces are those of what is below from the last to the first. */
struct backwards {
	struct block block;
	struct block *lower;
	uint64_t piece;
};

static int backwards_map(struct block *block, enum block_kind kind, uint64_t offset,
			 uint64_t length, struct block_extent *extent)
{
	const struct backwards *backwards = container_of(block, struct backwards, block);
	uint64_t within = offset % backwards->piece;

	(void)kind;
	*extent = (struct block_extent){ .place = BLOCK_BELOW,
					 .lower = backwards->lower,
					 .offset = block->size - (offset - within) -
						   backwards->piece + within,
					 .length = MIN(length, backwards->piece - within) };
	return 0;
}

static bool backwards_has_views(const struct block *block)
{
	(void)block;
	return true;
}

static int backwards_flush(struct block *block)
{
	return block_flush(container_of(block, struct backwards, block)->lower);
}

static void backwards_close(struct block *block)
{
	free(container_of(block, struct backwards, block));
}

static const struct block_ops backwards_ops = {
	.type = "backwards",
	.map = backwards_map,
	.has_views = backwards_has_views,
	.flush = backwards_flush,
	.close = backwards_close,
};

static struct block *create_backwards(struct block *lower, uint64_t piece, uint64_t size)
{
	struct backwards *backwards = calloc(1, sizeof(*backwards));

	CU_ASSERT_PTR_NOT_NULL_FATAL(backwards);
	block_init(&backwards->block, &backwards_ops, "backwards");
	block_copy_limits(&backwards->block, lower);
	backwards->block.size = size;
	backwards->lower = lower;
	backwards->piece = piece;
	return &backwards->block;
}

/* What is promised (CHANGELOG.md, nbdkit-tenon-plugin(1)), not what LEASE_EXTENTS says. */
#define PIECES 4096u

/* As many as there may be, each found; and one more. */
static int many_pieces(void *arg)
{
	static char bytes[2 * MIB], back[2 * MIB];
	struct block *file = open_image("image");
	struct block *disk = create_backwards(file, 512, PIECES * 512ull);
	struct block *more = create_backwards(file, 512, PIECES * 512ull + 512);
	uint64_t size = disk->size;
	struct lease_pair pair;

	(void)arg;
	CU_ASSERT_FATAL(size <= sizeof(bytes));
	for (unsigned i = 0; i < size; i++)
		bytes[i] = (char)(i / 512 * 7 + i % 512 + i / 512 / 256);
	CU_ASSERT_EQUAL_FATAL(lease_pair_give(&pair, disk, getpid()), 0);
	CU_ASSERT_EQUAL(pair.use->extent_count, PIECES);
	/* Direct I/O may have larger blocks than the pieces; then all is the server's. */
	if (pair.use->files[0].unit <= 512) {
		CU_ASSERT_EQUAL(lease_use_transfer(pair.use, true, 0, bytes, size), 0);
		CU_ASSERT_EQUAL(block_read(disk, 0, back, size), 0);
		CU_ASSERT(!memcmp(back, bytes, size));
		for (uint64_t at = 0; at < size; at += 512) {
			CU_ASSERT_EQUAL(lease_use_transfer(pair.use, false, at, back, 512), 0);
			CU_ASSERT(!memcmp(back, bytes + at, 512));
		}
	}
	lease_pair_end(&pair, true);
	CU_ASSERT_EQUAL(lease_pair_give(&pair, more, getpid()), -EOPNOTSUPP);
	block_unref(more);
	block_unref(disk);
	block_unref(file);
	return 0;
}

/* Stripes of PIECE bytes over the two halves of what is below. */
#define PIECE 65536u

static int rows_map(struct block *block, enum block_kind kind, uint64_t offset, uint64_t length,
		    struct block_extent *extent)
{
	uint64_t chunk = offset / PIECE, within = offset % PIECE;

	(void)kind;
	extent->lower = container_of(block, struct backwards, block)->lower;
	extent->offset = chunk % 2 * (block->size / 2) + chunk / 2 * PIECE + within;
	extent->length = MIN(length, PIECE - within);
	return 0;
}

static bool rows_stripes(const struct block *block, uint64_t offset, struct block_stripes *out)
{
	*out = (struct block_stripes){ .length = block->size - offset, .chunk = PIECE, .count = 2 };
	return !(offset % (2 * PIECE));
}

static const struct block_ops rows_ops = {
	.type = "rows",
	.map = rows_map,
	.stripes = rows_stripes,
	.has_views = backwards_has_views,
	.flush = backwards_flush,
	.close = backwards_close,
};

static struct block *create_rows(struct block *lower)
{
	struct block *rows = create_backwards(lower, 0, lower->size);

	rows->ops = &rows_ops;
	return rows;
}

static void compare_with(const struct lease_pair *pair, struct block *disk)
{
	static char bytes[MIB], back[MIB];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7 + i / 512);
	CU_ASSERT_EQUAL(block_write(disk, 4096, bytes, sizeof(bytes), 0), 0);
	CU_ASSERT_EQUAL(lease_use_transfer(pair->use, false, 4096, back, sizeof(back)), 0);
	CU_ASSERT(!memcmp(back, bytes, sizeof(back)));
}

/* As one piece where each place of them is one; not at all where it is not. A part that does not begin with a row is pieces until one does. */
static int stripes(void *arg)
{
	struct block *file = open_image("image"), *rows = create_rows(file), *limit, *part, *lower;
	struct lease_pair pair;

	(void)arg;
	CU_ASSERT_EQUAL_FATAL(block_create_limit(&limit, "disk", rows, NULL, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(lease_pair_give(&pair, limit, getpid()), 0);
	CU_ASSERT_EQUAL(pair.use->extent_count, 1);
	compare_with(&pair, limit);
	lease_pair_end(&pair, true);
	block_unref(limit);
	CU_ASSERT_EQUAL_FATAL(block_create_slice(&part, "part", rows, PIECE, 2 * MIB, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(lease_pair_give(&pair, part, getpid()), 0);
	CU_ASSERT_EQUAL(pair.use->extent_count, 3);
	CU_ASSERT_EQUAL(pair.use->extents[1].area_count, 2);
	compare_with(&pair, part);
	lease_pair_end(&pair, true);
	block_unref(part);
	block_unref(rows);
	lower = create_backwards(file, PIECE, file->size);
	rows = create_rows(lower);
	CU_ASSERT_EQUAL(lease_pair_give(&pair, rows, getpid()), -EOPNOTSUPP);
	block_unref(rows);
	block_unref(lower);
	block_unref(file);
	return 0;
}

/* ---- The end of one ---- */

static int leave(void *arg)
{
	struct lease_pair *pair = arg;

	fiber_sleep(SECOND);
	atomic_fetch_sub(&pair->use->page->inside, 1);
	return 0;
}

/* Who quiesces a device waits for who is inside; nobody comes in after that. */
static int is_waited_for(void *arg)
{
	struct block *file = open_image("image"), *disk = stack_over(file);
	struct error error = { 0 };
	struct fiber *fiber;
	struct lease_pair pair;
	uint64_t began;

	(void)arg;
	for (unsigned how = 0; how < 3; how++) {
		CU_ASSERT_EQUAL_FATAL(lease_pair_give(&pair, disk, getpid()), 0);
		atomic_fetch_add(&pair.use->page->inside, 1);
		fiber = fiber_spawn(leave, &pair);
		began = worker_now();
		if (how == 0) {
			block_quiesce(disk);
			block_resume(disk);
		} else if (how == 1) {
			CU_ASSERT_EQUAL(block_leases_stop(disk, &error), 0);
		}
		if (how < 2) {
			CU_ASSERT(worker_now() - began >= SECOND);
			CU_ASSERT(lease_pair_is_told(&pair));
			CU_ASSERT(lease_use_is_over(pair.use));
			CU_ASSERT_EQUAL(lease_use_transfer(pair.use, false, 0, (char[4096]){ 0 },
							   4096),
					-EAGAIN);
		}
		block_lease_end(pair.lease, false);
		CU_ASSERT(worker_now() - began >= SECOND);
		fiber_join(fiber);
		lease_use_close(pair.use);
		close(pair.ends[0]);
		close(pair.ends[1]);
	}
	/* The device's end is told as well. */
	CU_ASSERT_EQUAL_FATAL(lease_pair_give(&pair, disk, getpid()), 0);
	block_unref(disk);
	CU_ASSERT(lease_use_is_over(pair.use));
	lease_pair_end(&pair, true);
	block_unref(file);
	return 0;
}

static int hold(void *arg)
{
	block_quiesce(arg);
	block_resume(arg);
	return 0;
}

static int end_waiting(void *arg)
{
	struct lease_pair *pair = arg;

	block_lease_end(pair->lease, false);
	return 0;
}

/* Who is cancelled waits all the same, and asleep: else it would be busy for as long as somebody is inside. */
static int is_waited_for_cancelled(void *arg)
{
	struct block *file = open_image("image"), *disk = stack_over(file);
	struct fiber *fibers[2];
	struct lease_pair pair;
	uint64_t began;

	(void)arg;
	for (unsigned how = 0; how < 2; how++) {
		CU_ASSERT_EQUAL_FATAL(lease_pair_give(&pair, disk, getpid()), 0);
		atomic_fetch_add(&pair.use->page->inside, 1);
		began = worker_now();
		fibers[0] = how ? fiber_spawn(end_waiting, &pair) : fiber_spawn(hold, disk);
		fibers[1] = fiber_spawn(leave, &pair);
		fiber_sleep(SECOND / 2);
		fiber_cancel(fibers[0]);
		fiber_join(fibers[0]);
		CU_ASSERT(worker_now() - began >= SECOND);
		fiber_join(fibers[1]);
		if (how) {
			lease_use_close(pair.use);
			close(pair.ends[0]);
			close(pair.ends[1]);
		} else {
			lease_pair_end(&pair, true);
		}
	}
	block_unref(disk);
	block_unref(file);
	return 0;
}

static int drop(void *arg)
{
	block_unref(arg);
	return 0;
}

/* Who comes while the last of its users waits for who is inside has the device. */
static int is_taken_again(void *arg)
{
	struct block *file = open_image("image"), *disk = stack_over(file);
	struct fiber *fibers[2];
	struct lease_pair pair;
	char bytes[4096];

	(void)arg;
	CU_ASSERT_EQUAL_FATAL(lease_pair_give(&pair, disk, getpid()), 0);
	atomic_fetch_add(&pair.use->page->inside, 1);
	fibers[0] = fiber_spawn(drop, disk);
	fibers[1] = fiber_spawn(leave, &pair);
	fiber_sleep(SECOND / 2);
	CU_ASSERT(lease_use_is_over(pair.use));
	block_ref(disk);
	fiber_join(fibers[0]);
	fiber_join(fibers[1]);
	CU_ASSERT_EQUAL(block_read(disk, 0, bytes, sizeof(bytes)), 0);
	block_unref(disk);
	lease_pair_end(&pair, true);
	block_unref(file);
	return 0;
}

static int end_gone(void *arg)
{
	struct lease_pair *pair = arg;

	fiber_sleep(SECOND);
	block_lease_end(pair->lease, true);
	return 0;
}

/* One that does not go: it is said who, in time; and one that has ended inside keeps nobody. */
static int does_not_go(void *arg)
{
	struct block *file = open_image("image"), *disk = stack_over(file);
	struct error error = { 0 };
	struct fiber *fiber;
	struct lease_pair pair;
	char expected[64];
	uint64_t began;
	int status;
	pid_t child = fork();

	(void)arg;
	if (!child) {
		for (;;)
			pause();
	}
	CU_ASSERT_EQUAL_FATAL(lease_pair_give(&pair, disk, child), 0);
	atomic_fetch_add(&pair.use->page->inside, 1);
	began = worker_now();
	CU_ASSERT_EQUAL(block_leases_stop(disk, &error), -EBUSY);
	CU_ASSERT(worker_now() - began >= LEASE_PATIENCE_NS);
	snprintf(expected, sizeof(expected), "process %d", (int)child);
	CU_ASSERT(strstr(error.text, expected) != NULL);
	kill(child, SIGSTOP);
	waitpid(child, &status, WUNTRACED);
	began = worker_now();
	CU_ASSERT_EQUAL(block_leases_stop(disk, &error), -EBUSY);
	CU_ASSERT(worker_now() - began < 2 * LEASE_STOPPED_NS);
	snprintf(expected, sizeof(expected), "`kill -CONT %d`", (int)child);
	CU_ASSERT(strstr(error.advice, expected) != NULL);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	fiber = fiber_spawn(end_gone, &pair);
	block_quiesce(disk);
	block_resume(disk);
	fiber_join(fiber);
	lease_use_close(pair.use);
	close(pair.ends[0]);
	close(pair.ends[1]);
	block_unref(disk);
	block_unref(file);
	return 0;
}

static int limit_it(void *arg)
{
	return block_limit_set(arg, &(struct block_limits){ .iops = 100 }, NULL);
}

/* A limit that waits for who is inside is not overtaken by who wants to be; refused, it leaves all as it was. */
static int limits_bar(void *arg)
{
	struct block *file = open_image("image"), *disk = stack_over(file);
	struct block_limit_status status;
	struct fiber *fibers[2];
	struct error error = { 0 };
	struct lease_pair pair, other;

	(void)arg;
	CU_ASSERT_EQUAL_FATAL(lease_pair_give(&pair, disk, getpid()), 0);
	atomic_fetch_add(&pair.use->page->inside, 1);
	CU_ASSERT_EQUAL(block_limit_set(disk, &(struct block_limits){ .iops = 100 }, &error),
			-EBUSY);
	CU_ASSERT(strstr(error.text, "does not end that") != NULL);
	block_limit_status(disk, &status);
	CU_ASSERT_EQUAL(status.limits.iops, 0);
	fibers[0] = fiber_spawn(limit_it, disk);
	fibers[1] = fiber_spawn(leave, &pair);
	fiber_sleep(SECOND / 2);
	CU_ASSERT_EQUAL(lease_pair_give(&other, disk, getpid()), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(fiber_join(fibers[0]), 0);
	fiber_join(fibers[1]);
	block_limit_status(disk, &status);
	CU_ASSERT_EQUAL(status.limits.iops, 100);
	CU_ASSERT_EQUAL(limit_it(disk), 0);
	CU_ASSERT_EQUAL(block_limit_set(disk, &(struct block_limits){ .iops = 0 }, NULL), 0);
	lease_pair_end(&pair, true);
	CU_ASSERT_EQUAL_FATAL(lease_pair_give(&pair, disk, getpid()), 0);
	lease_pair_end(&pair, true);
	block_unref(disk);
	block_unref(file);
	return 0;
}

/* ---- Threads ---- */

struct writer {
	struct lease_use *use;
	atomic_bool begun;
};

static void *write_on(void *arg)
{
	struct writer *writer = arg;
	char bytes[4096];

	while (!lease_use_transfer(writer->use, true, 0, memset(bytes, 7, 4096), 4096))
		writer->begun = true;
	return NULL;
}

/* Once the gate is closed, nothing is written by the old table, whatever threads do. */
static int threads(void *arg)
{
	struct block *file = open_image("image"), *disk = stack_over(file);
	char bytes[4096];

	(void)arg;
	for (unsigned i = 0; i < 50; i++) {
		struct writer writer = { .use = NULL };
		pthread_t thread;
		struct lease_pair pair;

		CU_ASSERT_EQUAL_FATAL(lease_pair_give(&pair, disk, getpid()), 0);
		writer.use = pair.use;
		CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, write_on, &writer), 0);
		while (!writer.begun)
			fiber_sleep(1000);
		block_quiesce(disk);
		CU_ASSERT_EQUAL(block_write(file, MIB, memset(bytes, 0, 4096), 4096, 0), 0);
		for (unsigned k = 0; k < 20; k++)
			fiber_yield();
		CU_ASSERT_EQUAL(block_read(file, MIB, bytes, 4096), 0);
		CU_ASSERT(bytes_all_zero(bytes, 4096));
		block_resume(disk);
		pthread_join(thread, NULL);
		lease_pair_end(&pair, true);
	}
	block_unref(disk);
	block_unref(file);
	return 0;
}

/* ---- Pages that mean ill ---- */

static void make_page(struct lease_page *page)
{
	*page = (struct lease_page){ .magic = LEASE_MAGIC,
				     .extent_count = 2,
				     .area_count = 3,
				     .file_count = 1,
				     .writable = 1,
				     .size = 8192 };
	page->files[0] = (struct lease_file){ .least = 0, .unit = 1, .memory = 1 };
	page->extents[0] = (struct lease_extent){
		.start = 0, .length = 4096, .chunk = 512, .first_area = 1, .area_count = 2
	};
	page->extents[1] = (struct lease_extent){
		.start = 4096, .length = 4096, .chunk = 4096, .area_count = 1
	};
	page->areas[0].offset = 8192;
	page->areas[2].offset = 4096;
}

static int open_page(const struct lease_page *page, size_t size, unsigned seals)
{
	int fds[2] = { memfd_create("page", MFD_CLOEXEC | MFD_ALLOW_SEALING),
		       memfd_create("file", MFD_CLOEXEC) };
	struct lease_use *use = NULL;
	int rc;

	CU_ASSERT_FATAL(fds[0] >= 0 && fds[1] >= 0);
	CU_ASSERT_EQUAL(write(fds[0], page, size), (ssize_t)size);
	CU_ASSERT_EQUAL(fcntl(fds[0], F_ADD_SEALS, seals), 0);
	rc = lease_use_open(&use, fds, 2);
	CU_ASSERT_EQUAL(fcntl(fds[0], F_GETFD), -1);
	if (!rc)
		lease_use_close(use);
	CU_ASSERT_EQUAL(fcntl(fds[1], F_GETFD), -1);
	return rc;
}

static void test_pages_that_mean_ill(void)
{
	struct lease_page page;

	make_page(&page);
	CU_ASSERT_EQUAL(open_page(&page, sizeof(page), F_SEAL_SHRINK), 0);
	CU_ASSERT_EQUAL(open_page(&page, sizeof(page), 0), -EPROTO);
	CU_ASSERT_EQUAL(open_page(&page, sizeof(page) - 1, F_SEAL_SHRINK), -EPROTO);
#define ILL(what)                                                                                  \
	do {                                                                                       \
		make_page(&page);                                                                  \
		what;                                                                              \
		CU_ASSERT_EQUAL(open_page(&page, sizeof(page), F_SEAL_SHRINK), -EPROTO);           \
	} while (0)
	ILL(page.magic++);
	ILL(page.extent_count = LEASE_EXTENTS + 1);
	ILL(page.extent_count = 0);
	ILL(page.file_count = 2);
	ILL(page.size = 4096);
	ILL(page.size = 12288);
	ILL(page.extents[1].start = 0);
	ILL(page.extents[1].length = UINT64_MAX);
	ILL(page.extents[0].length = 0);
	ILL(page.extents[0].chunk = 0);
	ILL(page.extents[0].chunk = 4096);
	ILL(page.extents[0].chunk = 1536);
	ILL(page.extents[0].chunk = 1ull << 63);
	ILL(page.extents[0].area_count = 0);
	ILL(page.extents[0].area_count = 3);
	ILL(page.extents[0].area_count = UINT32_MAX);
	ILL(page.extents[0].first_area = UINT32_MAX);
	ILL(page.area_count = 2);
	ILL(page.area_count = LEASE_AREAS + 1);
	ILL(page.areas[0].offset = UINT64_MAX - 100);
	ILL(page.areas[2].offset = INT64_MAX - 2047);
	ILL(page.areas[2].file = 1);
	ILL(page.files[0].unit = 0);
	ILL(page.files[0].memory = 3);
	ILL(page.files[0].unit = 1u << 31);
}

#define RUN(name, how)                                                                             \
	static void test_##name(void)                                                              \
	{                                                                                          \
		fiber_run_##how(fiber_run_first_engine(), name, NULL);                             \
	}

RUN(transfers, real)
RUN(what_is_leased, virtual)
RUN(became_smaller, virtual)
RUN(many_pieces, real)
RUN(stripes, real)
RUN(is_waited_for, virtual)
RUN(is_waited_for_cancelled, virtual)
RUN(is_taken_again, virtual)
RUN(does_not_go, virtual)
RUN(limits_bar, virtual)
RUN(threads, real)

UNIT_MAIN("leases", UNIT(test_transfers), UNIT(test_what_is_leased), UNIT(test_became_smaller),
	  UNIT(test_many_pieces), UNIT(test_stripes), UNIT(test_is_waited_for),
	  UNIT(test_is_waited_for_cancelled), UNIT(test_is_taken_again), UNIT(test_does_not_go),
	  UNIT(test_limits_bar), UNIT(test_threads), UNIT(test_pages_that_mean_ill))
