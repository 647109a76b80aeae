/* SPDX-License-Identifier: BSD-2-Clause */
/* Views of devices for other workers; see view.h. */
#include "block/view.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "block/piece.h"
#include "util/bytes.h"

/* ---- What is done at home ---- */

static int run_at_home(void *arg)
{
	return block_run_all(arg, 1);
}

static int call_home(const struct block *view, struct block_io *io)
{
	io->block = view->view.of;
	return worker_call(view->view.of->home, run_at_home, io);
}

int block_view_readv(struct block *view, uint64_t offset, uint64_t length, const struct iovec *iov,
		     unsigned count)
{
	return call_home(view, &(struct block_io){ .kind = BLOCK_READ,
						   .offset = offset,
						   .length = length,
						   .iov = iov,
						   .count = count });
}

int block_view_writev(struct block *view, uint64_t offset, uint64_t length, const struct iovec *iov,
		      unsigned count, unsigned flags)
{
	return call_home(view, &(struct block_io){ .kind = BLOCK_WRITE,
						   .flags = flags,
						   .offset = offset,
						   .length = length,
						   .iov = iov,
						   .count = count });
}

int block_view_discard(struct block *view, uint64_t offset, uint64_t length)
{
	return call_home(view, &(struct block_io){
				       .kind = BLOCK_DISCARD, .offset = offset, .length = length });
}

int block_view_write_zeroes(struct block *view, uint64_t offset, uint64_t length, unsigned flags)
{
	return call_home(view, &(struct block_io){ .kind = BLOCK_WRITE_ZEROES,
						   .flags = flags,
						   .offset = offset,
						   .length = length });
}

int block_view_flush(struct block *view)
{
	return call_home(view, &(struct block_io){ .kind = BLOCK_FLUSH });
}

/* ---- A layer that translates ---- */

/* A layer below the device, and its view here; NULL: it has none. */
struct view_below {
	const struct block *device;
	struct block *view;
};

struct view_of_map {
	struct block block;
	struct view_below *below;
	unsigned count;
	bool asking; /* for one more */
};

static struct view_of_map *view_of_map(struct block *block)
{
	return container_of(block, struct view_of_map, block);
}

static const struct view_below *find_below(const struct view_of_map *view,
					   const struct block *device)
{
	for (unsigned i = 0; i < view->count; i++)
		if (view->below[i].device == device)
			return &view->below[i];
	return NULL;
}

/* The device's table, which stays as it is while we are inside of our gate. */
static int map_device(struct block *view, enum block_kind kind, uint64_t offset, uint64_t length,
		      struct block_extent *extent)
{
	extent->place = BLOCK_BELOW;
	return view->view.of->ops->map(view->view.of, kind, offset, length, extent);
}

static int view_map(struct block *block, enum block_kind kind, uint64_t offset, uint64_t length,
		    struct block_extent *extent)
{
	const struct view_below *below;
	int rc;

	/* As a whole, for it comes together again on each disk. */
	if (kind > BLOCK_WRITE) {
		*extent = (struct block_extent){ .place = BLOCK_HERE, .length = length };
		return 0;
	}
	rc = map_device(block, kind, offset, length, extent);
	if (rc < 0 || extent->place != BLOCK_BELOW)
		return rc;
	below = find_below(view_of_map(block), extent->lower);
	if (below && below->view)
		extent->lower = below->view;
	else
		extent->place = BLOCK_HERE;
	return 0;
}

/* Gets a view of the device that [offset, offset + length) lies on, for the requests after this one. */
static void learn(struct block *block, enum block_kind kind, uint64_t offset, uint64_t length)
{
	struct view_of_map *view = view_of_map(block);
	struct block_extent extent;
	struct view_below *more;
	struct block *lower = NULL;

	if (view->asking || map_device(block, kind, offset, length, &extent) < 0 ||
	    extent.place != BLOCK_BELOW || find_below(view, extent.lower))
		return;
	more = realloc(view->below, (view->count + 1) * sizeof(*more));
	if (!more)
		return;
	view->below = more;
	view->asking = true;
	if (block_view(&lower, extent.lower) != -ENOMEM)
		view->below[view->count++] = (struct view_below){ extent.lower, lower };
	view->asking = false;
}

static int view_readv(struct block *block, uint64_t offset, uint64_t length,
		      const struct iovec *iov, unsigned count)
{
	learn(block, BLOCK_READ, offset, length);
	return block_view_readv(block, offset, length, iov, count);
}

static int view_writev(struct block *block, uint64_t offset, uint64_t length,
		       const struct iovec *iov, unsigned count, unsigned flags)
{
	learn(block, BLOCK_WRITE, offset, length);
	return block_view_writev(block, offset, length, iov, count, flags);
}

static void view_close(struct block *block)
{
	free(view_of_map(block)->below);
	free(view_of_map(block));
}

static const struct block_ops view_ops = {
	.type = "view",
	.map = view_map,
	.readv = view_readv,
	.writev = view_writev,
	.discard = block_view_discard,
	.write_zeroes = block_view_write_zeroes,
	.flush = block_view_flush,
	.close = view_close,
};

static struct block *view_new(struct block *block)
{
	struct view_of_map *view = calloc(1, sizeof(*view));

	if (!view)
		return NULL;
	block_init(&view->block, &view_ops, block->name);
	return &view->block;
}

/* On the view's worker; nobody is inside of it. */
static void forget_below(struct block *block)
{
	struct view_of_map *view;

	if (block->ops != &view_ops)
		return;
	view = view_of_map(block);
	while (view->count)
		block_view_put(view->below[--view->count].view);
}

/* ---- Coming and going, at home ---- */

bool block_has_views(const struct block *block)
{
	return block->ops->has_views && block->ops->has_views(block);
}

struct view_question {
	struct block *block, *view;
	struct worker *worker;
};

static struct block *find_view(const struct view_question *question)
{
	list_for_each(at, &question->block->views.all) {
		struct block *view = list_entry(at, struct block, view.node);

		if (view->home == question->worker)
			return view;
	}
	return NULL;
}

static struct block *create_view(const struct view_question *question)
{
	struct block *block = question->block;
	struct block *view = block->ops->view ? block->ops->view(block) : view_new(block);

	if (!view)
		return NULL;
	block_copy_limits(view, block);
	view->gone = block->gone;
	view->home = question->worker;
	view->gate.closed = block->gate.closed;
	view->view.of = block_ref(block);
	list_add_tail(&block->views.all, &view->view.node);
	return view;
}

static int get_at_home(void *arg)
{
	struct view_question *question = arg;
	struct block *block = question->block;
	int rc = 0;

	if (!block_has_views(block))
		return -EOPNOTSUPP;
	fiber_mutex_lock(&block->views.lock);
	question->view = find_view(question);
	if (!question->view)
		question->view = create_view(question);
	if (question->view)
		question->view->view.users++;
	else
		rc = -ENOMEM;
	fiber_mutex_unlock(&block->views.lock);
	return rc;
}

int block_view(struct block **out, struct block *block)
{
	struct view_question question = { .block = block, .worker = worker_current() };
	int rc;

	assert(block->home != question.worker);
	if (!block->home)
		return -EOPNOTSUPP;
	rc = worker_call(block->home, get_at_home, &question);
	if (!rc)
		*out = question.view;
	return rc;
}

static int end_view(void *arg)
{
	forget_below(arg);
	return 0;
}

static int put_at_home(void *arg)
{
	struct block *view = arg, *block = view->view.of;
	bool last;

	fiber_mutex_lock(&block->views.lock);
	last = !--view->view.users;
	if (last) {
		/* What it was told before comes there first, and nothing after. */
		list_remove(&view->view.node);
		worker_call(view->home, end_view, view);
	}
	fiber_mutex_unlock(&block->views.lock);
	if (last) {
		block_unref(view);
		block_unref(block);
	}
	return 0;
}

void block_view_put(struct block *view)
{
	if (view)
		worker_call(view->view.of->home, put_at_home, view);
}

/* ---- Changes of the device ---- */

static int close_view(void *arg)
{
	struct block *view = arg;

	block_gate_close(&view->gate);
	forget_below(view);
	return 0;
}

static int open_view(void *arg)
{
	struct block *view = arg;

	block_gate_open(&view->gate);
	return 0;
}

/* The caller has the lock. */
static void call_all(struct block *block, fiber_fn *fn)
{
	list_for_each(at, &block->views.all) {
		struct block *view = list_entry(at, struct block, view.node);

		worker_call(view->home, fn, view);
	}
}

void block_views_close(struct block *block)
{
	fiber_mutex_lock(&block->views.lock);
	call_all(block, close_view);
	block_gate_shut(&block->gate);
	fiber_mutex_unlock(&block->views.lock);
}

void block_views_open(struct block *block)
{
	fiber_mutex_lock(&block->views.lock);
	block_gate_open(&block->gate);
	call_all(block, open_view);
	fiber_mutex_unlock(&block->views.lock);
}

/* What a view is told. It is there until it arrives: put_at_home() takes it off the list, and only then calls its worker. */
struct view_news {
	struct block *view;
	uint64_t size;
	bool read_only, gone;
};

static void news_arrived(void *arg)
{
	struct view_news *news = arg;

	news->view->size = news->size;
	news->view->read_only = news->read_only;
	news->view->gone = news->gone;
	free(news);
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

void block_views_tell(struct block *block, bool wait)
{
	list_for_each(at, &block->views.all) {
		struct block *view = list_entry(at, struct block, view.node);
		struct view_news *news = malloc(sizeof(*news));

		if (!news)
			abort();
		*news = (struct view_news){ view, block->size, block->read_only, block->gone };
		worker_post(view->home, news_arrived, news);
	}
	if (!wait || list_empty(&block->views.all))
		return;
	/* Calls come after what was posted before. */
	fiber_mutex_lock(&block->views.lock);
	call_all(block, nothing);
	fiber_mutex_unlock(&block->views.lock);
}
