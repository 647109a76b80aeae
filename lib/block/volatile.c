/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The volatile write cache; see volatile.h.
 *
 * The cache is a list of changes in the order in which they came. A read takes what lies below and lays
 * the changes over it. A flush writes the changes down in order and takes them off the list; one with
 * `durable` (from FUA) stays in its place in the order, but no power cut can lose it.
 */
#include "block/volatile.h"

#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "block/iov.h"
#include "block/layer.h"
#include "fiber/fiber.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/list.h"
#include "util/random.h"

struct volatile_change {
	struct list node;
	uint64_t offset, length;
	bool durable;
	char *data; /* NULL: zeroes */
};

struct cache {
	struct block block;
	struct block *lower;
	struct list changes;
	struct fiber_mutex mutex; /* held while changes go down */
	bool off;
	uint64_t generation;   /* counts power cuts */
	uint64_t written_down; /* counts changes */
	uint64_t cut_after, cut_seed;
};

static struct cache *cache_of(const struct block *block)
{
	return container_of((struct block *)block, struct cache, block);
}

/* ---- Changes ---- */

static void change_free(struct volatile_change *change)
{
	list_remove(&change->node);
	free(change->data);
	free(change);
}

/* Data is copied from `iov`, zeroes where `iov` is NULL. NULL without memory. */
static struct volatile_change *change_add(struct cache *cache, uint64_t offset, uint64_t length,
					  const struct iovec *iov, unsigned count)
{
	struct volatile_change *change = calloc(1, sizeof(*change));
	struct iov_range from = iov_range_of(iov, count);

	if (!change)
		return NULL;
	if (iov) {
		change->data = malloc(length);
		if (!change->data) {
			free(change);
			return NULL;
		}
		iov_copy_out(&from, change->data, length);
	}
	change->offset = offset;
	change->length = length;
	list_add_tail(&cache->changes, &change->node);
	return change;
}

/* Writes a part of the change down. */
static int change_apply(struct cache *cache, const struct volatile_change *change, uint64_t skip,
			uint64_t length)
{
	if (!change->data)
		return block_write_zeroes(cache->lower, change->offset + skip, length,
					  BLOCK_MAY_UNMAP);
	return block_write(cache->lower, change->offset + skip, change->data + skip, length, 0);
}

static void changes_drop(struct cache *cache)
{
	while (!list_empty(&cache->changes))
		change_free(list_entry(cache->changes.next, struct volatile_change, node));
}

/* ---- Power ---- */

enum survival { SURVIVE_NONE, SURVIVE_ALL, SURVIVE_PREFIX, SURVIVE_SOME, SURVIVE_STYLES };

static int apply_torn(struct cache *cache, const struct volatile_change *change,
		      struct random *random)
{
	uint32_t sector = cache->block.logical_block_size;
	int rc = 0;

	for (uint64_t at = 0; at < change->length && !rc; at += sector)
		if (random_below(random, 2))
			rc = change_apply(cache, change, at, sector);
	return rc;
}

static int apply_survivor(struct cache *cache, const struct volatile_change *change,
			  enum survival survival, struct random *random)
{
	if (change->durable || survival == SURVIVE_ALL)
		return change_apply(cache, change, 0, change->length);
	if (survival == SURVIVE_NONE)
		return 0;
	switch (random_below(random, 3)) {
	case 0:
		return 0;
	case 1:
		return change_apply(cache, change, 0, change->length);
	}
	return apply_torn(cache, change, random);
}

int block_volatile_power_cut(struct block *block, uint64_t seed)
{
	struct cache *cache = cache_of(block);
	struct random random = { .state = seed };
	enum survival style = (enum survival)random_below(&random, SURVIVE_STYLES), survival;
	uint64_t count = 0, prefix, number = 0;
	int rc = 0;

	cache->off = true;
	cache->generation++;
	/* A flush that is writing down sees the cut when its present write is done. */
	fiber_mutex_lock(&cache->mutex);
	list_for_each(at, &cache->changes)
		count++;
	prefix = random_below(&random, count + 1);
	list_for_each(at, &cache->changes) {
		survival = style;
		if (style == SURVIVE_PREFIX)
			survival = number < prefix   ? SURVIVE_ALL
				   : number > prefix ? SURVIVE_NONE
						     : SURVIVE_SOME;
		number++;
		rc = apply_survivor(cache, list_entry(at, struct volatile_change, node), survival,
				    &random);
		if (rc < 0)
			break;
	}
	changes_drop(cache);
	fiber_mutex_unlock(&cache->mutex);
	return rc;
}

void block_volatile_cut_after(struct block *block, uint64_t count, uint64_t seed)
{
	struct cache *cache = cache_of(block);

	cache->cut_after = count;
	cache->cut_seed = seed;
}

void block_volatile_power_on(struct block *block)
{
	struct cache *cache = cache_of(block);

	cache->off = false;
	cache->cut_after = UINT64_MAX;
}

bool block_volatile_is_off(const struct block *block)
{
	return cache_of(block)->off;
}

uint64_t block_volatile_unflushed(const struct block *block)
{
	uint64_t sum = 0;

	list_for_each(at, &cache_of(block)->changes) {
		struct volatile_change *change = list_entry(at, struct volatile_change, node);

		sum += change->durable ? 0 : change->length;
	}
	return sum;
}

/* Counts a request that changes something: whether the power goes during this one. */
static bool cut_comes_now(struct cache *cache)
{
	if (cache->cut_after == UINT64_MAX)
		return false;
	return cache->cut_after-- == 0;
}

static int cut(struct cache *cache)
{
	int rc;

	cache->cut_after = UINT64_MAX;
	rc = block_volatile_power_cut(&cache->block, cache->cut_seed);
	return rc < 0 ? rc : -EIO;
}

/* ---- Requests ---- */

static int add(struct cache *cache, uint64_t offset, uint64_t length, const struct iovec *iov,
	       unsigned count, unsigned flags)
{
	struct volatile_change *change;

	if (cache->off)
		return -EIO;
	change = change_add(cache, offset, length, iov, count);
	if (!change)
		return -ENOMEM;
	if (cut_comes_now(cache))
		return cut(cache);
	change->durable = flags & BLOCK_FUA;
	return 0;
}

static int volatile_writev(struct block *block, uint64_t offset, uint64_t length,
			   const struct iovec *iov, unsigned count, unsigned flags)
{
	return add(cache_of(block), offset, length, iov, count, flags);
}

static int volatile_write_zeroes(struct block *block, uint64_t offset, uint64_t length,
				 unsigned flags)
{
	return add(cache_of(block), offset, length, NULL, 0, flags);
}

static int volatile_discard(struct block *block, uint64_t offset, uint64_t length)
{
	return add(cache_of(block), offset, length, NULL, 0, 0);
}

static void lay_over(const struct volatile_change *change, uint64_t offset, uint64_t length,
		     struct iov_range at)
{
	uint64_t start = MAX(offset, change->offset);
	uint64_t end = MIN(offset + length, change->offset + change->length);

	if (start >= end)
		return;
	iov_advance(&at, start - offset);
	if (change->data)
		iov_copy_in(&at, change->data + (start - change->offset), end - start);
	else
		iov_fill(&at, 0, end - start);
}

static int volatile_readv(struct block *block, uint64_t offset, uint64_t length,
			  const struct iovec *iov, unsigned count)
{
	struct cache *cache = cache_of(block);
	uint64_t generation = cache->generation, written_down;
	int rc;

	if (cache->off)
		return -EIO;
	/* A change that went down, and off the list, meanwhile may be in neither. */
	do {
		written_down = cache->written_down;
		rc = block_readv(cache->lower, offset, iov, count);
		if (cache->generation != generation)
			return -EIO;
	} while (!rc && cache->written_down != written_down);
	if (!rc)
		list_for_each(at, &cache->changes)
			lay_over(list_entry(at, struct volatile_change, node), offset, length,
				 iov_range_of(iov, count));
	return rc;
}

/* Writes down what was there when it began. */
static int write_down(struct cache *cache, uint64_t generation)
{
	struct list *last = cache->changes.prev;
	bool done = list_empty(&cache->changes);
	int rc = 0;

	while (!done) {
		struct volatile_change *change =
			list_entry(cache->changes.next, struct volatile_change, node);

		done = &change->node == last;
		rc = change_apply(cache, change, 0, change->length);
		if (cache->generation != generation)
			return -EIO; /* and the power cut decides about the rest */
		if (rc < 0)
			break;
		change_free(change);
		cache->written_down++;
	}
	return rc;
}

static int volatile_flush(struct block *block)
{
	struct cache *cache = cache_of(block);
	uint64_t generation = cache->generation;
	int rc;

	if (cache->off)
		return -EIO;
	if (cut_comes_now(cache))
		return cut(cache);
	fiber_mutex_lock(&cache->mutex);
	rc = cache->generation == generation ? write_down(cache, generation) : -EIO;
	fiber_mutex_unlock(&cache->mutex);
	if (!rc)
		rc = block_flush(cache->lower);
	return cache->generation == generation ? rc : -EIO;
}

static void volatile_close(struct block *block)
{
	struct cache *cache = cache_of(block);

	if (!cache->off)
		write_down(cache, cache->generation);
	changes_drop(cache);
	block_unref(cache->lower);
	free(cache);
}

static const struct block_ops volatile_ops = {
	.type = "volatile",
	.start = block_start_on_fiber,
	.readv = volatile_readv,
	.writev = volatile_writev,
	.discard = volatile_discard,
	.write_zeroes = volatile_write_zeroes,
	.flush = volatile_flush,
	.close = volatile_close,
};

int block_create_volatile(struct block **out, const char *name, struct block *lower,
			  struct error *error)
{
	struct cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return error_set(error, -ENOMEM, "%s: out of memory", name);
	block_init(&cache->block, &volatile_ops, name);
	block_copy_limits(&cache->block, lower);
	cache->lower = block_ref(lower);
	cache->cut_after = UINT64_MAX;
	list_init(&cache->changes);
	fiber_mutex_init(&cache->mutex);
	*out = &cache->block;
	return 0;
}
