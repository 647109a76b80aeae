/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stripes: who is at one, and memory for them; see raid5.h.
 *
 *	waiting --first at its stripe--> granted --raid5_leave()--> gone
 *	waiting --raid5_gather() by the write that is granted--> taken --raid5_carried_out()--> gone
 *
 * Visits of one stripe are in one bucket, in the order of coming; the first of them is at the stripe. Writes are
 * gathered only up to the first visit that is none, so nobody starves. Memory is given in the order of asking and
 * kept for the next, within the bound.
 */
#include <errno.h>
#include <stdlib.h>

#include "raid/raid5.h"
#include "util/bytes.h"

/* Short enough for any stripe to fit into the memory twice. */
static uint32_t choose_strip(const struct raid_geometry *g)
{
	uint64_t strip = MIN((uint64_t)g->chunk_sectors * MD_SECTOR_SIZE, RAID5_STRIP_MAX);

	while (strip > 4096 && 2 * strip * g->disks > RAID5_MEMORY_MAX / 4)
		strip /= 2;
	return (uint32_t)strip;
}

void raid5_measure(struct raid5 *r)
{
	r->strip = choose_strip(&r->g);
	r->page = 1;
}

void raid5_shape_init(struct raid5 *r, struct raid_array *array, const struct raid_geometry *g)
{
	r->array = array;
	r->g = *g;
	raid5_measure(r);
	for (unsigned i = 0; i < RAID5_BUCKETS; i++)
		list_init(&r->visits[i]);
	for (unsigned i = 0; i < RAID5_SLABS; i++)
		list_init(&r->memory[i]);
	fiber_queue_init(&r->memory_queue);
}

static struct list *bucket_of(struct raid5 *r, uint64_t stripe)
{
	return &r->visits[stripe % RAID5_BUCKETS];
}

/* ---- Visits ---- */

bool raid5_enter(struct raid5 *r, struct raid5_visit *visit)
{
	struct list *bucket = bucket_of(r, visit->stripe);

	visit->granted = true;
	visit->done = false;
	list_for_each(at, bucket) {
		if (list_entry(at, struct raid5_visit, node)->stripe == visit->stripe)
			visit->granted = false;
	}
	list_add_tail(bucket, &visit->node);
	fiber_queue_init(&visit->queue);
	while (!visit->granted && !visit->done)
		fiber_queue_wait_always(&visit->queue);
	return !visit->done;
}

void raid5_gather(struct raid5 *r, struct raid5_visit *visit, struct list *taken, unsigned most)
{
	struct list *bucket = bucket_of(r, visit->stripe);
	uint64_t start = visit->start, end = visit->end;

	list_for_each_safe(at, bucket) {
		struct raid5_visit *other = list_entry(at, struct raid5_visit, node);

		if (other == visit || other->stripe != visit->stripe)
			continue;
		if (!other->joins || !most--)
			return;
		if (r->ppl && (other->start > end || other->end < start))
			return;
		start = MIN(start, other->start);
		end = MAX(end, other->end);
		list_remove(&other->node);
		list_add_tail(taken, &other->node);
		r->merged_writes++;
	}
}

void raid5_carried_out(struct raid5_visit *taken, int rc)
{
	list_remove(&taken->node);
	taken->rc = rc;
	taken->done = true;
	fiber_queue_wake_all(&taken->queue);
}

void raid5_leave(struct raid5 *r, struct raid5_visit *visit)
{
	list_remove(&visit->node);
	list_for_each(at, bucket_of(r, visit->stripe)) {
		struct raid5_visit *next = list_entry(at, struct raid5_visit, node);

		if (next->stripe != visit->stripe)
			continue;
		next->granted = true;
		fiber_queue_wake_all(&next->queue);
		return;
	}
}

/* ---- Memory ---- */

struct slab {
	struct list node;
};

static uint64_t slab_bytes(unsigned slab)
{
	return (uint64_t)4096 << slab;
}

static void *take_kept(struct raid5 *r, unsigned slab)
{
	struct list *node = list_pop(&r->memory[slab]);

	return node ? list_entry(node, struct slab, node) : NULL;
}

/* Frees kept memory of other sizes until there is room for this one. */
static bool make_room(struct raid5 *r, unsigned slab)
{
	for (unsigned i = 0; i < RAID5_SLABS; i++) {
		void *kept;

		while (r->memory_used + slab_bytes(slab) > RAID5_MEMORY_MAX &&
		       (kept = take_kept(r, i))) {
			free(kept);
			r->memory_used -= slab_bytes(i);
		}
	}
	return r->memory_used + slab_bytes(slab) <= RAID5_MEMORY_MAX;
}

static void *take_memory(struct raid5 *r, unsigned slab)
{
	void *memory = take_kept(r, slab);

	while (!memory && !make_room(r, slab)) {
		fiber_queue_wait_always(&r->memory_queue);
		memory = take_kept(r, slab);
	}
	if (memory)
		return memory;
	memory = aligned_alloc(4096, slab_bytes(slab));
	if (memory)
		r->memory_used += slab_bytes(slab);
	return memory;
}

static int begin_work(struct raid5 *r, struct raid5_work *work, uint64_t sector, uint32_t width,
		      uint32_t count)
{
	uint32_t disks = r->g.disks;
	uint64_t blocks = (uint64_t)count * width;
	uint64_t bytes = blocks + (2 * disks + 2) * sizeof(void *) + disks;

	*work = (struct raid5_work){ .r = r, .sector = sector, .width = width };
	while (slab_bytes(work->slab) < bytes)
		work->slab++;
	work->memory = take_memory(r, work->slab);
	if (!work->memory)
		return -ENOMEM;
	work->row = raid5_row(&r->g, sector / r->g.chunk_sectors);
	work->blocks = (void **)(work->memory + blocks);
	work->lent = (const void **)(work->blocks + disks + 2);
	work->state = (uint8_t *)(work->lent + disks);
	memset(work->state, 0, disks);
	return 0;
}

int raid5_work_begin(struct raid5 *r, struct raid5_work *work, uint64_t sector, uint32_t width)
{
	return begin_work(r, work, sector, width, 2 * r->g.disks);
}

int raid5_work_begin_parity(struct raid5 *r, struct raid5_work *work, uint64_t sector,
			    uint32_t width, uint32_t more)
{
	return begin_work(r, work, sector, width, 2 + more);
}

void raid5_work_end(struct raid5_work *work)
{
	struct raid5 *r = work->r;
	struct slab *slab = (struct slab *)work->memory;

	if (!slab)
		return;
	list_add_head(&r->memory[work->slab], &slab->node);
	fiber_queue_wake_all(&r->memory_queue);
}

void *raid5_work_take(struct raid5_work *work)
{
	struct raid5 *r = work->r;
	void *memory = work->memory;

	work->memory = NULL;
	r->memory_used -= slab_bytes(work->slab);
	fiber_queue_wake_all(&r->memory_queue);
	return memory;
}

void raid5_memory_free(struct raid5 *r)
{
	for (unsigned i = 0; i < RAID5_SLABS; i++) {
		void *kept;

		while ((kept = take_kept(r, i))) {
			free(kept);
			r->memory_used -= slab_bytes(i);
		}
	}
	raid_parity_recipes_free(&r->recipes);
}

struct raid_column raid5_column_begin(const struct raid5_work *work, uint32_t length)
{
	const struct raid5_row *row = &work->row;
	struct raid_column column = { work->blocks, raid5_slots(row), row->q != RAID5_NO_ROLE,
				      length, &work->r->recipes };

	for (uint32_t i = 0; row->ddf && i < column.slots; i++)
		column.blocks[i] = RAID_PARITY_GAP;
	return column;
}

struct raid_column raid5_column(const struct raid5_work *work, uint32_t at, uint32_t length,
				bool second)
{
	const struct raid5_row *row = &work->row;
	struct raid_column column = raid5_column_begin(work, length);

	for (uint32_t i = 0; i < row->data; i++) {
		uint32_t role = raid5_role(row, i);

		column.blocks[raid5_slot(row, role)] = raid5_block(work, role) + at;
	}
	column.blocks[column.slots] =
		(second ? raid5_second(work, row->p) : raid5_block(work, row->p)) + at;
	if (column.has_q)
		column.blocks[column.slots + 1] =
			(second ? raid5_second(work, row->q) : raid5_block(work, row->q)) + at;
	return column;
}
