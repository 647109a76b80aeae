/* SPDX-License-Identifier: BSD-2-Clause */
/* See crew.h. */
#include "crew.h"

#include <stdlib.h>

#include "block/view.h"
#include "unit.h"
#include "util/bytes.h"

/* ---- Workers ---- */

static int live(void *arg)
{
	struct crew_member *member = arg;

	while (!member->ended)
		fiber_queue_wait_always(&member->end);
	return 0;
}

static int end(void *arg)
{
	struct crew_member *member = arg;

	member->ended = true;
	fiber_queue_wake_all(&member->end);
	return 0;
}

void crew_begin(struct crew *crew)
{
	for (unsigned i = 0; i < CREW_WORKERS; i++) {
		fiber_queue_init(&crew->members[i].end);
		crew->members[i].ended = false;
		CU_ASSERT_EQUAL_FATAL(worker_create(&crew->workers[i], NULL, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(
			worker_start(crew->workers[i], "crew", live, &crew->members[i]), 0);
	}
}

void crew_end(struct crew *crew)
{
	for (unsigned i = 0; i < CREW_WORKERS; i++) {
		worker_call(crew->workers[i], end, &crew->members[i]);
		worker_join(crew->workers[i]);
		worker_destroy(crew->workers[i]);
	}
}

/* ---- A layer with views ---- */

struct shared {
	struct block block;
	struct block *lower; /* NULL in a view */
};

static struct block *lower_of(struct block *block)
{
	return container_of(block, struct shared, block)->lower;
}

static int shared_readv(struct block *block, uint64_t offset, uint64_t length,
			const struct iovec *iov, unsigned count)
{
	(void)length;
	return block_readv(lower_of(block), offset, iov, count);
}

static int shared_writev(struct block *block, uint64_t offset, uint64_t length,
			 const struct iovec *iov, unsigned count, unsigned flags)
{
	/* Some take long, so that what does not wait for them goes wrong. */
	unsigned turns = worker_random() % 4 ? 0 : (unsigned)(worker_random() % 1000);

	(void)length;
	while (turns--)
		fiber_yield();
	return block_writev(lower_of(block), offset, iov, count, flags);
}

static int shared_write_zeroes(struct block *block, uint64_t offset, uint64_t length,
			       unsigned flags)
{
	return block_write_zeroes(lower_of(block), offset, length, flags);
}

static int shared_flush(struct block *block)
{
	return block_flush(lower_of(block));
}

static void shared_close(struct block *block)
{
	block_unref(lower_of(block));
	free(container_of(block, struct shared, block));
}

static bool has_views(const struct block *block)
{
	(void)block;
	return true;
}

static const struct block_ops view_ops = {
	.type = "view",
	.readv = block_view_readv,
	.writev = block_view_writev,
	.discard = block_view_discard,
	.write_zeroes = block_view_write_zeroes,
	.flush = block_view_flush,
	.close = shared_close,
};

static struct block *view(struct block *block)
{
	struct shared *shared = calloc(1, sizeof(*shared));

	if (!shared)
		return NULL;
	block_init(&shared->block, &view_ops, block->name);
	return &shared->block;
}

static const struct block_ops shared_ops = {
	.type = "shared",
	.has_views = has_views,
	.view = view,
	.readv = shared_readv,
	.writev = shared_writev,
	.write_zeroes = shared_write_zeroes,
	.flush = shared_flush,
	.close = shared_close,
};

struct block *crew_share(struct block *lower)
{
	struct shared *shared = calloc(1, sizeof(*shared));

	CU_ASSERT_PTR_NOT_NULL_FATAL(shared);
	block_init(&shared->block, &shared_ops, lower->name);
	block_copy_limits(&shared->block, lower);
	shared->lower = block_ref(lower);
	return &shared->block;
}
