/* SPDX-License-Identifier: BSD-2-Clause */
/* Changes of a device under its users: its gate, and what those above are told. See block.h. */
#include "block/block.h"
#include "block/lease.h"
#include "block/view.h"

void block_watch(struct block *block, struct block_watch *watch)
{
	list_add_tail(&block->watches, &watch->node);
}

void block_unwatch(struct block_watch *watch)
{
	list_remove(&watch->node);
}

static void announce(struct block *block, unsigned what)
{
	list_for_each_safe(at, &block->watches) {
		struct block_watch *watch = list_entry(at, struct block_watch, node);

		watch->changed(watch, block, what);
	}
}

void block_set_size(struct block *block, uint64_t size)
{
	if (block->size == size)
		return;
	block->size = size;
	block_views_tell(block, true);
	announce(block, BLOCK_CHANGED_SIZE);
}

void block_set_read_only(struct block *block, bool read_only)
{
	if (block->read_only == read_only)
		return;
	block->read_only = read_only;
	block_leases_tell(block);
	block_views_tell(block, false);
	announce(block, BLOCK_CHANGED_READ_ONLY);
}

void block_set_gone(struct block *block)
{
	if (block->gone)
		return;
	block->gone = true;
	block_leases_tell(block);
	block_views_tell(block, false);
	announce(block, BLOCK_CHANGED_GONE);
}

void block_quiesce(struct block *block)
{
	block_views_close(block);
	block_leases_wait(block);
	block_gate_drain(&block->gate);
}

void block_resume(struct block *block)
{
	block_views_open(block);
}
