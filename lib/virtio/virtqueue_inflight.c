/* SPDX-License-Identifier: BSD-2-Clause */
/* Chains in flight in shared memory: see virtqueue_inflight.h. */
#include "virtio/virtqueue_inflight.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "util/bytes.h"
#include "virtio/virtqueue_private.h"

#define VERSION 1 /* 0: no queue has used the region yet, or it was settled */

struct split_entry {
	uint8_t inflight;
	uint8_t padding[5];
	uint16_t next;
	uint64_t counter;
};

struct split_region {
	uint64_t features;
	uint16_t version;
	uint16_t desc_num;
	uint16_t last_batch_head;
	uint16_t used_idx;
	struct split_entry desc[];
};

struct packed_entry {
	uint8_t inflight;
	uint8_t padding;
	uint16_t next;
	uint16_t last;
	uint16_t num;
	uint64_t counter;
	uint16_t id;
	uint16_t flags;
	uint32_t len;
	uint64_t addr;
};

struct packed_region {
	uint64_t features;
	uint16_t version;
	uint16_t desc_num;
	uint16_t free_head;
	uint16_t old_free_head;
	uint16_t used_idx;
	uint16_t old_used_idx;
	uint8_t used_wrap_counter;
	uint8_t old_used_wrap_counter;
	uint8_t padding[7];
	struct packed_entry desc[];
};
static_assert(sizeof(struct split_entry) == 16 && sizeof(struct split_region) == 16, "in flight");
static_assert(sizeof(struct packed_entry) == 32 && sizeof(struct packed_region) == 32, "in flight");
static_assert(offsetof(struct packed_region, used_wrap_counter) == 20, "in flight");

/* Single accesses, in the order of the program: another process reads them only when this one has ended, so
 * nothing but the compiler has to be kept from moving them. */
#define LOAD(field)         __atomic_load_n(&(field), __ATOMIC_ACQUIRE)
#define STORE(field, value) __atomic_store_n(&(field), value, __ATOMIC_RELEASE)

uint64_t virtqueue_inflight_bytes(uint16_t size, bool packed)
{
	return packed ? sizeof(struct packed_region) + size * (uint64_t)sizeof(struct packed_entry)
		      : sizeof(struct split_region) + size * (uint64_t)sizeof(struct split_entry);
}

static struct split_region *split_of(struct virtqueue_inflight *inflight)
{
	return inflight->region;
}

static struct packed_region *packed_of(struct virtqueue_inflight *inflight)
{
	return inflight->region;
}

/* Both formats have version and desc_num at the same place. */
static bool in_use(struct virtqueue_inflight *inflight)
{
	return LOAD(split_of(inflight)->version) == VERSION &&
	       LOAD(split_of(inflight)->desc_num) == inflight->size;
}

void virtqueue_inflight_settle(struct virtqueue_inflight *inflight)
{
	STORE(split_of(inflight)->version, 0);
}

/* ---- Starting ---- */

static void clear(struct virtqueue_inflight *inflight)
{
	memset(inflight->region, 0, virtqueue_inflight_bytes(inflight->size, inflight->packed));
	STORE(split_of(inflight)->desc_num, inflight->size);
}

static int by_counter(const void *a, const void *b)
{
	const struct virtqueue_again *first = a, *second = b;

	return first->counter < second->counter ? -1 : first->counter > second->counter;
}

static void add_again(struct virtqueue_inflight *inflight, uint16_t entry, uint64_t counter)
{
	inflight->again[inflight->again_count++] = (struct virtqueue_again){ counter, entry };
	inflight->counter = MAX(inflight->counter, counter + 1);
}

/* The burst that was shown last, and perhaps not noted as such. */
static void finish_split_burst(struct virtqueue *vq)
{
	struct split_region *region = split_of(vq->inflight);
	uint16_t count = vq->used_shown - LOAD(region->used_idx);
	uint16_t head = LOAD(region->last_batch_head);

	for (unsigned i = 0; i < MIN(count, vq->size) && head < vq->size; i++) {
		STORE(region->desc[head].inflight, 0);
		head = LOAD(region->desc[head].next);
	}
	STORE(region->used_idx, vq->used_shown);
}

static int start_split(struct virtqueue *vq)
{
	struct virtqueue_inflight *inflight = vq->inflight;
	struct split_region *region = split_of(inflight);

	if (!in_use(inflight)) {
		clear(inflight);
		STORE(region->used_idx, vq->used_shown);
		STORE(region->version, VERSION);
		return 0;
	}
	finish_split_burst(vq);
	for (uint16_t i = 0; i < vq->size; i++)
		if (LOAD(region->desc[i].inflight))
			add_again(inflight, i, LOAD(region->desc[i].counter));
	vq->last_avail = vq->avail_seen = (uint16_t)(vq->used_shown + inflight->again_count);
	vq->slots_taken = (uint16_t)inflight->again_count;
	return 0;
}

/* Whether the used descriptor at the old used position was shown. */
static bool packed_burst_was_shown(const struct virtqueue *vq, uint16_t position, bool wrap)
{
	uint16_t flags = load16(&vq->ring[position].flags);

	return (flags >> VRING_PACKED_DESC_F_USED & 1) == wrap;
}

/* Completes the burst that was being shown, or takes it back. False if the region is nonsense. */
static bool finish_packed_burst(struct virtqueue *vq)
{
	struct packed_region *region = packed_of(vq->inflight);
	uint16_t position = LOAD(region->old_used_idx), free_head = LOAD(region->free_head);
	uint16_t end = LOAD(region->old_free_head);
	bool wrap = LOAD(region->old_used_wrap_counter);

	if (position >= vq->size)
		return false;
	if ((position != LOAD(region->used_idx) || wrap != LOAD(region->used_wrap_counter)) &&
	    packed_burst_was_shown(vq, position, wrap)) {
		for (unsigned i = 0; free_head != end; i++) {
			if (free_head >= vq->size || i == vq->size)
				return false;
			STORE(region->desc[free_head].inflight, 0);
			free_head = LOAD(region->desc[free_head].next);
		}
		position = LOAD(region->used_idx);
		wrap = LOAD(region->used_wrap_counter);
	}
	vq->used_next = vq->used_shown = position;
	vq->used_wrap = vq->shown_wrap = wrap;
	return position < vq->size;
}

/* Used descriptors that were written behind one that was never shown: the driver would see them together with the
 * next one that is. All entries that are with us are made to look as the driver made them. */
static void hide_unshown(const struct virtqueue *vq)
{
	uint16_t position = vq->used_next;
	bool wrap = vq->used_wrap;

	for (unsigned i = 0; i < vq->slots_taken; i++) {
		store16(&vq->ring[position].flags,
			wrap ? 1u << VRING_PACKED_DESC_F_AVAIL : 1u << VRING_PACKED_DESC_F_USED);
		packed_advance(vq, &position, &wrap, 1);
	}
}

/* Notes the entries of the chain that begins at `head` as taken; false if they cannot be. */
static bool claim_entries(struct virtqueue *vq, uint16_t head, bool *taken)
{
	struct virtqueue_inflight *inflight = vq->inflight;
	struct packed_region *region = packed_of(inflight);
	unsigned count = LOAD(region->desc[head].num);
	uint16_t at = head;

	inflight->slots[head] = (uint16_t)count;
	if (!count || vq->slots_taken + count > vq->size)
		return false;
	for (unsigned i = 0; i < count; i++) {
		if (at >= vq->size || taken[at])
			return false;
		taken[at] = true;
		inflight->next[at] = LOAD(region->desc[at].next);
		STORE(region->desc[head].last, at);
		at = inflight->next[at];
	}
	vq->slots_taken += (uint16_t)count;
	return true;
}

static void link_free_entries(struct virtqueue *vq, const bool *taken)
{
	struct virtqueue_inflight *inflight = vq->inflight;
	struct packed_region *region = packed_of(inflight);
	uint16_t head = vq->size; /* ends the list */

	for (unsigned i = vq->size; i-- > 0;) {
		if (taken[i])
			continue;
		inflight->next[i] = head;
		STORE(region->desc[i].next, head);
		head = (uint16_t)i;
	}
	inflight->free_head = head;
	STORE(region->free_head, head);
	STORE(region->old_free_head, head);
}

static void store_used_position(const struct virtqueue *vq)
{
	struct packed_region *region = packed_of(vq->inflight);

	STORE(region->used_idx, vq->used_next);
	STORE(region->used_wrap_counter, vq->used_wrap);
	STORE(region->old_used_idx, vq->used_next);
	STORE(region->old_used_wrap_counter, vq->used_wrap);
}

static int start_packed(struct virtqueue *vq, bool *taken)
{
	struct virtqueue_inflight *inflight = vq->inflight;
	struct packed_region *region = packed_of(inflight);

	if (!in_use(inflight)) {
		clear(inflight);
	} else {
		if (!finish_packed_burst(vq))
			return -EINVAL;
		vq->slots_taken = 0;
		for (uint16_t i = 0; i < vq->size; i++) {
			if (!LOAD(region->desc[i].inflight))
				continue;
			if (!claim_entries(vq, i, taken))
				return -EINVAL;
			add_again(inflight, i, LOAD(region->desc[i].counter));
		}
		vq->last_avail = vq->used_next;
		vq->avail_wrap = vq->used_wrap;
		packed_advance(vq, &vq->last_avail, &vq->avail_wrap, vq->slots_taken);
		hide_unshown(vq);
	}
	/* In this order: a burst that was found to be shown is looked for no more, and then the list of its
	 * entries may change. */
	store_used_position(vq);
	link_free_entries(vq, taken);
	STORE(region->version, VERSION);
	return 0;
}

static int start(struct virtqueue *vq, bool *taken)
{
	vq->inflight->resumed = in_use(vq->inflight);
	return vq->packed ? start_packed(vq, taken) : start_split(vq);
}

int virtqueue_inflight_start(struct virtqueue *vq)
{
	struct virtqueue_inflight *inflight = vq->inflight;
	bool *taken = calloc(vq->size, sizeof(*taken));
	int rc = -ENOMEM;

	inflight->size = vq->size;
	inflight->packed = vq->packed;
	inflight->counter = 0;
	inflight->pending_count = inflight->again_count = inflight->again_next = 0;
	inflight->pending = calloc(vq->size, sizeof(*inflight->pending));
	inflight->again = calloc(vq->size, sizeof(*inflight->again));
	inflight->next = calloc(vq->size, sizeof(*inflight->next));
	inflight->slots = calloc(vq->size, sizeof(*inflight->slots));
	if (inflight->bytes < virtqueue_inflight_bytes(vq->size, vq->packed))
		rc = -ENOSPC;
	else if (taken && inflight->pending && inflight->again && inflight->next && inflight->slots)
		rc = start(vq, taken);
	free(taken);
	if (rc < 0) {
		virtqueue_inflight_stop(inflight);
		return rc;
	}
	qsort(inflight->again, inflight->again_count, sizeof(*inflight->again), by_counter);
	return 0;
}

void virtqueue_inflight_stop(struct virtqueue_inflight *inflight)
{
	free(inflight->pending);
	free(inflight->again);
	free(inflight->next);
	free(inflight->slots);
	inflight->pending = inflight->next = inflight->slots = NULL;
	inflight->again = NULL;
	inflight->pending_count = inflight->again_count = inflight->again_next = 0;
}

/* ---- Taking ---- */

void virtqueue_inflight_copy(struct virtqueue *vq, unsigned number, uint64_t address,
			     uint32_t length, uint16_t flags, uint16_t id)
{
	struct virtqueue_inflight *inflight = vq->inflight;
	struct packed_entry *entry;

	if (!number)
		inflight->cursor = inflight->free_head;
	/* As many entries as slots, so that there is one. */
	entry = &packed_of(inflight)->desc[inflight->cursor];
	STORE(entry->addr, address);
	STORE(entry->len, length);
	STORE(entry->flags, flags);
	STORE(entry->id, id);
	inflight->last = inflight->cursor;
	inflight->cursor = inflight->next[inflight->cursor];
}

void virtqueue_inflight_taken(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	struct virtqueue_inflight *inflight = vq->inflight;

	if (!vq->packed) {
		struct split_entry *entry = &split_of(inflight)->desc[chain->head];

		chain->tracked = chain->head;
		STORE(entry->counter, inflight->counter++);
		STORE(entry->inflight, 1);
	} else {
		struct packed_region *region = packed_of(inflight);
		struct packed_entry *entry = &region->desc[inflight->free_head];

		chain->tracked = inflight->free_head;
		inflight->slots[chain->tracked] = chain->slots;
		STORE(entry->num, chain->slots);
		STORE(entry->last, inflight->last);
		STORE(entry->counter, inflight->counter++);
		STORE(entry->inflight, 1);
		inflight->free_head = inflight->cursor;
		STORE(region->free_head, inflight->free_head);
		STORE(region->old_free_head, inflight->free_head);
	}
}

/* Puts the entries of a chain back into the free list of ours; the region's follows. */
static void free_entries(struct virtqueue_inflight *inflight, uint16_t head)
{
	struct packed_region *region = packed_of(inflight);
	uint16_t last = head;

	for (unsigned i = 1; i < inflight->slots[head]; i++)
		last = inflight->next[last];
	inflight->next[last] = inflight->free_head;
	STORE(region->desc[last].next, inflight->free_head);
	inflight->free_head = head;
}

void virtqueue_inflight_rewind(struct virtqueue *vq, const struct virtqueue_chain *chains,
			       unsigned count)
{
	struct virtqueue_inflight *inflight = vq->inflight;

	while (count--) {
		uint16_t entry = chains[count].tracked;

		/* It stays in flight. They were popped before all from the ring, in their order. */
		if (chains[count].again) {
			inflight->again_next--;
			continue;
		}
		if (!vq->packed) {
			STORE(split_of(inflight)->desc[entry].inflight, 0);
			continue;
		}
		STORE(packed_of(inflight)->desc[entry].inflight, 0);
		free_entries(inflight, entry);
		STORE(packed_of(inflight)->free_head, inflight->free_head);
		STORE(packed_of(inflight)->old_free_head, inflight->free_head);
	}
}

/* The chain's descriptors are in the ring no longer; these are the copies. */
static int pop_packed(struct virtqueue *vq, struct virtqueue_chain *chain, uint16_t entry)
{
	struct virtqueue_inflight *inflight = vq->inflight;
	struct packed_region *region = packed_of(inflight);
	struct chain_walk walk = chain_walk_begin(vq, chain);
	const char *wrong = NULL;

	chain->slots = inflight->slots[entry];
	for (unsigned i = 0; i < chain->slots && !wrong; i++, entry = inflight->next[entry]) {
		const struct packed_entry *at = &region->desc[entry];
		uint16_t flags = LOAD(at->flags);

		chain->head = LOAD(at->id);
		if (flags & VRING_DESC_F_INDIRECT)
			wrong = chain_add_table(&walk, LOAD(at->addr), LOAD(at->len),
						flags & ~VRING_DESC_F_NEXT, true);
		else
			wrong = chain_add_buffer(&walk, LOAD(at->addr), LOAD(at->len),
						 flags & VRING_DESC_F_WRITE);
	}
	if (wrong)
		return virtqueue_broken(vq, wrong);
	chain_walk_end(&walk);
	return 1;
}

int virtqueue_inflight_pop(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	uint16_t entry = vq->inflight->again[vq->inflight->again_next].entry;
	int got;

	chain->head = chain->tracked = entry;
	got = vq->packed ? pop_packed(vq, chain, entry) : split_pop_head(vq, chain);
	if (got > 0)
		vq->inflight->again_next++;
	return got;
}

/* ---- Giving back ---- */

void virtqueue_inflight_show_begin(struct virtqueue *vq)
{
	struct virtqueue_inflight *inflight = vq->inflight;

	for (unsigned i = 0; i < inflight->pending_count; i++) {
		uint16_t entry = inflight->pending[i];

		if (vq->packed) {
			free_entries(inflight, entry);
		} else {
			struct split_region *region = split_of(inflight);

			STORE(region->desc[entry].next, LOAD(region->last_batch_head));
			STORE(region->last_batch_head, entry);
		}
	}
	if (vq->packed) {
		STORE(packed_of(inflight)->free_head, inflight->free_head);
		STORE(packed_of(inflight)->used_wrap_counter, vq->used_wrap);
		STORE(packed_of(inflight)->used_idx, vq->used_next);
	}
}

void virtqueue_inflight_show_end(struct virtqueue *vq)
{
	struct virtqueue_inflight *inflight = vq->inflight;

	for (unsigned i = 0; i < inflight->pending_count; i++) {
		if (vq->packed)
			STORE(packed_of(inflight)->desc[inflight->pending[i]].inflight, 0);
		else
			STORE(split_of(inflight)->desc[inflight->pending[i]].inflight, 0);
	}
	inflight->pending_count = 0;
	if (vq->packed) {
		/* The wrap counter last: with the new one and the old index, the descriptor there would
		 * seem not to be used. */
		STORE(packed_of(inflight)->old_free_head, inflight->free_head);
		STORE(packed_of(inflight)->old_used_idx, vq->used_next);
		STORE(packed_of(inflight)->old_used_wrap_counter, vq->used_wrap);
	} else {
		STORE(split_of(inflight)->used_idx, vq->used_shown);
	}
}
