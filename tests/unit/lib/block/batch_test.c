/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/block: several requests at once, gates, watches, shared flushes, layers that say where. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "block/block.h"
#include "block/fault.h"
#include "fiber/fiber.h"
#include "fiber_run.h"
#include "util/bytes.h"

#define MIB         (1ULL << 20)
#define MILLISECOND 1000000ULL

static struct block *memory(uint64_t size)
{
	struct block *block = NULL;

	CU_ASSERT_EQUAL_FATAL(block_create_memory(&block, "m", size, NULL), 0);
	return block;
}

/* `lower` becomes slow. */
static struct block *slow(struct block *lower)
{
	struct block *fault = NULL;

	CU_ASSERT_EQUAL_FATAL(block_create_fault(&fault, "slow", lower, 1, NULL), 0);
	block_unref(lower);
	block_fault_add(fault, &(struct block_fault_rule){ .requests = BLOCK_FAULT_ALL,
							   .action = BLOCK_FAULT_LATENCY,
							   .latency_ns = MILLISECOND });
	return fault;
}

/* ---- Files ---- */

struct files {
	char folder[64];
	struct block *blocks[4];
};

static void files_create(struct files *files)
{
	char path[128];

	strcpy(files->folder, "/tmp/tenon-batch-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(files->folder));
	for (unsigned i = 0; i < ARRAY_SIZE(files->blocks); i++) {
		snprintf(path, sizeof(path), "%s/%u", files->folder, i);
		CU_ASSERT_EQUAL_FATAL(
			block_open_file(&files->blocks[i], path, BLOCK_OPEN_CREATE, MIB, NULL), 0);
	}
}

static void files_remove(struct files *files)
{
	char path[128];

	for (unsigned i = 0; i < ARRAY_SIZE(files->blocks); i++) {
		snprintf(path, sizeof(path), "%s/%u", files->folder, i);
		block_unref(files->blocks[i]);
		unlink(path);
	}
	rmdir(files->folder);
}

/* Four writes and four flushes: one wait each, and no fiber but ours. */
static int files_need_no_fibers(void *arg)
{
	struct worker_counters before, after;
	static char data[4][8192] __attribute__((aligned(4096)));
	char back[8192] __attribute__((aligned(4096)));
	struct iovec iov[4];
	struct block_io ios[4];
	struct files files;

	(void)arg;
	files_create(&files);
	for (unsigned i = 0; i < 4; i++) {
		memset(data[i], 'a' + (int)i, sizeof(data[i]));
		iov[i] = (struct iovec){ data[i], sizeof(data[i]) };
		ios[i] = (struct block_io){ .block = files.blocks[i],
					    .kind = BLOCK_WRITE,
					    .offset = 4096,
					    .length = sizeof(data[i]),
					    .iov = &iov[i],
					    .count = 1 };
	}
	worker_counters(worker_current(), &before);
	CU_ASSERT_EQUAL(block_run_all(ios, 4), 0);
	CU_ASSERT_EQUAL(block_flush_all(files.blocks, 4), 0);
	worker_counters(worker_current(), &after);
	/* One more is what a worker sleeps on. */
	CU_ASSERT_TRUE(after.submitted - before.submitted <= 9);
	CU_ASSERT_EQUAL(after.switches - before.switches, 2);
	for (unsigned i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(block_read(files.blocks[i], 4096, back, sizeof(back)), 0);
		CU_ASSERT_EQUAL(memcmp(back, data[i], sizeof(back)), 0);
		CU_ASSERT_EQUAL(files.blocks[i]->gate.inside, 0);
	}
	files_remove(&files);
	return 0;
}

/* What direct I/O does not take as it is comes out right all the same. */
static int odd_memory_in_a_batch(void *arg)
{
	static char data[4][4096 + 512];
	char back[4096];
	struct iovec iov[4][2];
	struct block_io ios[4];
	struct files files;

	(void)arg;
	files_create(&files);
	for (unsigned i = 0; i < 4; i++) {
		memset(data[i], 'k' + (int)i, sizeof(data[i]));
		iov[i][0] = (struct iovec){ data[i] + 1, 1000 };
		iov[i][1] = (struct iovec){ data[i] + 1001, 3096 };
		ios[i] = (struct block_io){ .block = files.blocks[i % 2],
					    .kind = BLOCK_WRITE,
					    .offset = 512 + i * 8192,
					    .length = 4096,
					    .iov = iov[i],
					    .count = 2 };
	}
	CU_ASSERT_EQUAL(block_run_all(ios, 4), 0);
	for (unsigned i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(block_read(files.blocks[i % 2], 512 + i * 8192, back, 4096), 0);
		CU_ASSERT_EQUAL(memcmp(back, data[i], 4096), 0);
	}
	files_remove(&files);
	return 0;
}

static int flush_fiber(void *arg)
{
	return block_flush(arg);
}

/* All that come while one runs are the next one. */
static int flushes_are_shared(void *arg)
{
	struct worker_counters before, after;
	struct fiber *fibers[64];
	struct files files;

	(void)arg;
	files_create(&files);
	worker_counters(worker_current(), &before);
	for (unsigned i = 0; i < ARRAY_SIZE(fibers); i++)
		fibers[i] = fiber_spawn(flush_fiber, files.blocks[0]);
	for (unsigned i = 0; i < ARRAY_SIZE(fibers); i++)
		CU_ASSERT_EQUAL(fiber_join(fibers[i]), 0);
	worker_counters(worker_current(), &after);
	CU_ASSERT_TRUE(after.submitted - before.submitted <= 3);
	files_remove(&files);
	return 0;
}

/* ---- Results ---- */

static int each_has_its_result(void *arg)
{
	struct block *good = slow(memory(MIB)), *bad = slow(memory(MIB));
	char data[4096] = { 7 }, back[4096];
	struct iovec iov = { data, sizeof(data) };
	struct block_io ios[100];
	uint64_t began;

	(void)arg;
	block_fault_add(bad, &(struct block_fault_rule){ .requests = BLOCK_FAULT_WRITE,
							 .action = BLOCK_FAULT_ERROR,
							 .error = -ENOSPC });
	for (unsigned i = 0; i < ARRAY_SIZE(ios); i++)
		ios[i] = (struct block_io){ .block = i % 2 ? bad : good,
					    .kind = BLOCK_WRITE,
					    .offset = i * 8192,
					    .length = 4096,
					    .iov = &iov,
					    .count = 1 };
	ios[0].offset = 1;
	ios[2].flags = BLOCK_MAY_UNMAP;
	began = worker_now();
	CU_ASSERT_EQUAL(block_run_all(ios, ARRAY_SIZE(ios)), -EINVAL);
	/* In two lots, each at once. */
	CU_ASSERT_EQUAL(worker_now() - began, 2 * MILLISECOND);
	for (unsigned i = 0; i < ARRAY_SIZE(ios); i++) {
		CU_ASSERT_EQUAL(ios[i].result, i == 0 || i == 2 ? -EINVAL : i % 2 ? -ENOSPC : 0);
		if (ios[i].result)
			continue;
		CU_ASSERT_EQUAL(block_read(good, ios[i].offset, back, 4096), 0);
		CU_ASSERT_EQUAL(back[0], 7);
	}
	CU_ASSERT_EQUAL(block_run_all(NULL, 0), 0);
	CU_ASSERT_EQUAL(good->gate.inside + bad->gate.inside, 0);
	block_unref(good);
	block_unref(bad);
	return 0;
}

/* ---- What others write is made when the first are on their way ---- */

struct late {
	struct block *disks[2];
	char *data;
	unsigned first, called;
	unsigned begun; /* of the first, when it was called */
};

static void make_others(void *arg)
{
	struct late *late = arg;

	late->called++;
	for (unsigned i = 0; i < late->first; i++) {
		/* Memory that is lent is looked at without a request. */
		const char *lent = block_lend(late->disks[0], i * 4096, 4096);

		late->begun += lent && *lent == 'a';
	}
	memset(late->data + 4096, 'b', 4096);
}

/* `first` to one disk, and as many to the other. */
static void write_late(struct late *late, unsigned first, unsigned count)
{
	struct block_io ios[80];
	struct iovec iovs[2] = { { late->data, 4096 }, { late->data + 4096, 4096 } };

	memset(late->data, 'a', 4096);
	memset(late->data + 4096, 'x', 4096);
	late->first = first;
	late->called = late->begun = 0;
	for (unsigned i = 0; i < count; i++)
		ios[i] = (struct block_io){ .block = late->disks[i >= first],
					    .kind = BLOCK_WRITE,
					    .offset = i * 4096,
					    .length = 4096,
					    .iov = &iovs[i >= first],
					    .count = 1 };
	CU_ASSERT_EQUAL(block_run_all_with(ios, count, first, make_others, late), 0);
	CU_ASSERT_EQUAL(late->called, first < count);
	for (unsigned i = 0; i < count; i++) {
		char back[4096] = { 0 };

		CU_ASSERT_EQUAL(ios[i].result, 0);
		CU_ASSERT_EQUAL(block_read(ios[i].block, ios[i].offset, back, 4096), 0);
		CU_ASSERT_EQUAL(back[0], i >= first ? 'b' : 'a');
		CU_ASSERT_EQUAL(block_write_zeroes(ios[i].block, ios[i].offset, 4096, 0), 0);
	}
}

static int others_are_made_late(void *arg)
{
	char data[8192];
	struct late late = { .data = data };
	uint64_t began;

	(void)arg;
	late.disks[0] = memory(MIB);
	late.disks[1] = slow(memory(MIB));
	for (unsigned first = 0; first <= 3; first++) {
		write_late(&late, first, 3);
		/* What needs no waiting was done. */
		CU_ASSERT_EQUAL(late.begun, late.called * first);
	}
	write_late(&late, 20, 22);
	CU_ASSERT_EQUAL(late.begun, 20);
	write_late(&late, 70, 80);
	block_unref(late.disks[0]);
	/* Those that wait do so together. */
	late.disks[0] = slow(memory(MIB));
	began = worker_now();
	write_late(&late, 20, 22);
	CU_ASSERT_EQUAL(late.begun, 0);
	CU_ASSERT_EQUAL(worker_now() - began, (1 + 2 * 22) * MILLISECOND);
	block_unref(late.disks[0]);
	block_unref(late.disks[1]);
	return 0;
}

/* ---- Gates ---- */

struct user {
	struct block *block;
	uint64_t began, ended;
	int rc;
};

static int write_fiber(void *arg)
{
	struct user *user = arg;
	char data[4096] = { 1 };

	user->began = worker_now();
	user->rc = block_write(user->block, 0, data, sizeof(data), 0);
	user->ended = worker_now();
	return 0;
}

static int a_closed_gate_keeps_requests_out(void *arg)
{
	struct block *disk = slow(memory(MIB)), *slice = NULL;
	struct user first, second;
	struct fiber *a, *b;
	uint64_t opened;

	(void)arg;
	CU_ASSERT_EQUAL_FATAL(block_create_slice(&slice, "s", disk, 4096, 8192, NULL), 0);
	first.block = second.block = slice;
	a = fiber_spawn(write_fiber, &first);
	fiber_yield();
	CU_ASSERT_EQUAL(slice->gate.inside, 1);
	CU_ASSERT_EQUAL(disk->gate.inside, 1);
	block_quiesce(slice);
	CU_ASSERT_EQUAL(first.ended, worker_now());
	block_quiesce(slice); /* counted */
	b = fiber_spawn(write_fiber, &second);
	fiber_sleep(10 * MILLISECOND);
	/* Who works below is not held. */
	CU_ASSERT_EQUAL(block_write(disk, 0, &second, 0, 0), 0);
	CU_ASSERT_EQUAL(block_flush(disk), 0);
	block_resume(slice);
	fiber_sleep(10 * MILLISECOND);
	opened = worker_now();
	CU_ASSERT_EQUAL(slice->gate.inside, 0);
	block_resume(slice);
	fiber_join(a);
	fiber_join(b);
	CU_ASSERT_EQUAL(second.ended, opened + MILLISECOND);
	block_unref(slice);
	block_unref(disk);
	return 0;
}

struct pair {
	struct block *slices[2];
	void (*late)(void *arg);
	int rc;
};

static int write_both(void *arg)
{
	struct pair *pair = arg;
	char data[4096] = { 0 };
	struct iovec iov = { data, sizeof(data) };
	struct block_io ios[2];

	for (unsigned i = 0; i < 2; i++)
		ios[i] = (struct block_io){ .block = pair->slices[i],
					    .kind = BLOCK_WRITE,
					    .length = 4096,
					    .iov = &iov,
					    .count = 1 };
	pair->rc = pair->late ? block_run_all_with(ios, 2, 1, pair->late, pair)
			      : block_run_all(ios, 2);
	return 0;
}

/* A batch that comes to a closed gate ends first what it has begun elsewhere. */
static void nothing_meanwhile(void *arg)
{
	(void)arg;
}

static void hold_no_gates(void (*late)(void *arg))
{
	struct block *disk = slow(memory(MIB));
	struct pair pair = { .late = late };
	struct fiber *fiber;

	for (unsigned i = 0; i < 2; i++)
		CU_ASSERT_EQUAL_FATAL(
			block_create_slice(&pair.slices[i], "s", disk, i * 8192, 8192, NULL), 0);
	block_quiesce(pair.slices[1]);
	fiber = fiber_spawn(write_both, &pair);
	fiber_yield();
	block_quiesce(pair.slices[0]); /* would wait for ever */
	block_resume(pair.slices[0]);
	block_resume(pair.slices[1]);
	fiber_join(fiber);
	CU_ASSERT_EQUAL(pair.rc, 0);
	block_unref(pair.slices[0]);
	block_unref(pair.slices[1]);
	block_unref(disk);
}

static int a_batch_does_not_hold_gates_while_it_waits(void *arg)
{
	(void)arg;
	hold_no_gates(NULL);
	hold_no_gates(nothing_meanwhile);
	return 0;
}

/* ---- Layers ---- */

/* More layers than a piece notes gates of. */
static int many_layers(void *arg)
{
	struct block *layers[12], *top = slow(memory(MIB));
	char data[4096], back[4096];
	struct user user;
	struct fiber *fiber;

	(void)arg;
	for (unsigned i = 0; i < ARRAY_SIZE(layers); i++) {
		layers[i] = top;
		CU_ASSERT_EQUAL_FATAL(block_create_slice(&top, "s", layers[i], 512,
							 layers[i]->size - 512, NULL),
				      0);
	}
	memset(data, 5, sizeof(data));
	CU_ASSERT_EQUAL(block_write(top, 0, data, sizeof(data), 0), 0);
	CU_ASSERT_EQUAL(block_read(layers[0], 12 * 512, back, sizeof(back)), 0);
	CU_ASSERT_EQUAL(memcmp(back, data, sizeof(data)), 0);
	user.block = top;
	fiber = fiber_spawn(write_fiber, &user);
	fiber_yield();
	for (unsigned i = 0; i < ARRAY_SIZE(layers); i++)
		CU_ASSERT_EQUAL(layers[i]->gate.inside, 1);
	fiber_join(fiber);
	for (unsigned i = 0; i < ARRAY_SIZE(layers); i++)
		CU_ASSERT_EQUAL(layers[i]->gate.inside, 0);
	block_unref(top);
	for (unsigned i = ARRAY_SIZE(layers); i-- > 0;)
		block_unref(layers[i]);
	return 0;
}

/* A thin volume of three parts: below, nowhere, and what it has to work on. */
struct thin {
	struct block block;
	struct block *lower;
	unsigned worked;
	bool lies; /* claims that a write lies nowhere */
};

#define PART 4096u

static int thin_map(struct block *block, enum block_kind kind, uint64_t offset, uint64_t length,
		    struct block_extent *extent)
{
	struct thin *thin = container_of(block, struct thin, block);
	uint64_t part = offset / PART;

	extent->length = MIN(length, PART - offset % PART);
	extent->lower = thin->lower;
	extent->offset = offset;
	if (part == 1)
		extent->place = kind == BLOCK_WRITE && !thin->lies ? BLOCK_HERE : BLOCK_ZEROES;
	if (part == 2)
		extent->place = BLOCK_HERE;
	return 0;
}

static int thin_readv(struct block *block, uint64_t offset, uint64_t length,
		      const struct iovec *iov, unsigned count)
{
	struct thin *thin = container_of(block, struct thin, block);

	thin->worked++;
	(void)length;
	return block_readv(thin->lower, offset, iov, count);
}

static int thin_writev(struct block *block, uint64_t offset, uint64_t length,
		       const struct iovec *iov, unsigned count, unsigned flags)
{
	struct thin *thin = container_of(block, struct thin, block);

	thin->worked++;
	(void)length;
	return block_writev(thin->lower, offset, iov, count, flags);
}

static int thin_flush(struct block *block)
{
	return block_flush(container_of(block, struct thin, block)->lower);
}

static void thin_close(struct block *block)
{
	block_unref(container_of(block, struct thin, block)->lower);
}

static const struct block_ops thin_ops = { .type = "thin",
					   .map = thin_map,
					   .readv = thin_readv,
					   .writev = thin_writev,
					   .flush = thin_flush,
					   .close = thin_close };

static int a_layer_maps_what_it_can(void *arg)
{
	static char data[3 * PART], back[3 * PART];
	struct thin thin = { .lower = memory(MIB) };
	struct block *block = &thin.block;
	enum block_status status;
	uint64_t length = 2 * PART;

	(void)arg;
	block_init(block, &thin_ops, "thin");
	block->size = 3 * PART;
	memset(data, 3, sizeof(data));
	CU_ASSERT_EQUAL(block_write(thin.lower, 0, data, sizeof(data), 0), 0);
	memset(back, 9, sizeof(back));
	CU_ASSERT_EQUAL(block_read(block, 0, back, sizeof(back)), 0);
	CU_ASSERT_EQUAL(memcmp(back, data, PART), 0);
	CU_ASSERT_TRUE(bytes_all_zero(back + PART, PART));
	CU_ASSERT_EQUAL(memcmp(back + 2 * PART, data, PART), 0);
	CU_ASSERT_EQUAL(thin.worked, 1);
	memset(data, 4, sizeof(data));
	CU_ASSERT_EQUAL(block_write(block, 0, data, sizeof(data), 0), 0);
	CU_ASSERT_EQUAL(thin.worked, 3);
	CU_ASSERT_EQUAL(block_write_zeroes(block, 0, 2 * PART, 0), 0);
	CU_ASSERT_EQUAL(thin.worked, 3);
	CU_ASSERT_EQUAL(block_read(thin.lower, 0, back, sizeof(back)), 0);
	CU_ASSERT_TRUE(bytes_all_zero(back, PART));
	CU_ASSERT_EQUAL(memcmp(back + PART, data, 2 * PART), 0);
	CU_ASSERT_EQUAL(block_status(block, PART, &length, &status), 0);
	CU_ASSERT_EQUAL(status, BLOCK_STATUS_ZERO);
	CU_ASSERT_EQUAL(length, PART);
	thin.lies = true;
	CU_ASSERT_EQUAL(block_write(block, PART, data, PART, 0), -EIO);
	CU_ASSERT_EQUAL(block->gate.inside + thin.lower->gate.inside, 0);
	block_unref(block);
	return 0;
}

/* ---- Watches ---- */

struct watcher {
	struct block_watch watch;
	unsigned what, times;
	bool once;
};

static void note_change(struct block_watch *watch, struct block *block, unsigned what)
{
	struct watcher *watcher = container_of(watch, struct watcher, watch);

	(void)block;
	watcher->what |= what;
	watcher->times++;
	if (watcher->once)
		block_unwatch(watch);
}

static void test_changes_are_told(void)
{
	struct watcher one = { .watch.changed = note_change, .once = true };
	struct watcher all = { .watch.changed = note_change };
	struct block *disk = memory(MIB), *slice = NULL;

	CU_ASSERT_EQUAL_FATAL(block_create_slice(&slice, "s", disk, 0, 8192, NULL), 0);
	block_watch(slice, &one.watch);
	block_watch(slice, &all.watch);
	block_set_size(slice, 8192);
	CU_ASSERT_EQUAL(all.times, 0);
	block_set_size(slice, 16384);
	CU_ASSERT_EQUAL(slice->size, 16384);
	CU_ASSERT_EQUAL(one.what & all.what, BLOCK_CHANGED_SIZE);
	block_set_read_only(slice, true);
	block_set_gone(slice);
	block_set_gone(slice);
	CU_ASSERT_EQUAL(all.times, 3);
	CU_ASSERT_EQUAL(one.times, 1);
	CU_ASSERT_EQUAL(all.what,
			BLOCK_CHANGED_SIZE | BLOCK_CHANGED_READ_ONLY | BLOCK_CHANGED_GONE);
	block_unwatch(&all.watch);
	block_unref(slice);
	block_unref(disk);
}

#define ON_FIBERS(function)                                                                        \
	static void test_##function(void)                                                          \
	{                                                                                          \
		fiber_run_each(function, NULL);                                                    \
	}

ON_FIBERS(files_need_no_fibers)
ON_FIBERS(odd_memory_in_a_batch)
ON_FIBERS(flushes_are_shared)
ON_FIBERS(each_has_its_result)
ON_FIBERS(others_are_made_late)
ON_FIBERS(a_closed_gate_keeps_requests_out)
ON_FIBERS(a_batch_does_not_hold_gates_while_it_waits)
ON_FIBERS(many_layers)
ON_FIBERS(a_layer_maps_what_it_can)

UNIT_MAIN("block batch", UNIT(test_files_need_no_fibers), UNIT(test_odd_memory_in_a_batch),
	  UNIT(test_flushes_are_shared), UNIT(test_each_has_its_result),
	  UNIT(test_others_are_made_late), UNIT(test_a_closed_gate_keeps_requests_out),
	  UNIT(test_a_batch_does_not_hold_gates_while_it_waits), UNIT(test_many_layers),
	  UNIT(test_a_layer_maps_what_it_can), UNIT(test_changes_are_told))
