/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver side of a virtqueue: see virtqueue_driver.h, and virtqueue.h for the orderings, whose numbers are
 * used here. */
#include "virtio/virtqueue_driver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/virtio_config.h>

#include "util/bytes.h"
#include "util/event_guard.h"
#include "virtio/virtqueue.h"

/* The parts of a ring in memory, each on cache lines of its own, for they are written by different
 * processors. */
#define RING_ALIGN 64

static bool has(uint64_t features, unsigned feature)
{
	return features >> feature & 1;
}

static size_t avail_offset(uint16_t size)
{
	return round_up(virtqueue_desc_bytes(size), RING_ALIGN);
}

static size_t used_offset(uint16_t size, bool packed)
{
	return avail_offset(size) + round_up(virtqueue_avail_bytes(size, packed), RING_ALIGN);
}

static size_t tables_offset(uint16_t size, bool packed)
{
	return used_offset(size, packed) + round_up(virtqueue_used_bytes(size, packed), RING_ALIGN);
}

size_t virtqueue_driver_bytes(uint16_t size, uint64_t features)
{
	return tables_offset(size, has(features, VIRTIO_F_RING_PACKED)) +
	       (has(features, VIRTIO_RING_F_INDIRECT_DESC) ? size * VIRTQUEUE_DRIVER_TABLE_BYTES
							   : 0);
}

static __virtio16 *driver_event(const struct virtqueue_driver *q)
{
	return &q->avail->ring[q->size];
}

static const __virtio16 *device_event(const struct virtqueue_driver *q)
{
	return (const __virtio16 *)&q->used->ring[q->size];
}

static uint16_t load_le16(const __virtio16 *at)
{
	return le16toh(__atomic_load_n(at, __ATOMIC_RELAXED));
}

int virtqueue_driver_init(struct virtqueue_driver *q, void *at, uint64_t guest_address,
			  uint16_t size, uint64_t features)
{
	bool packed = has(features, VIRTIO_F_RING_PACKED);
	uint8_t *bytes = at;

	if (!is_power_of_two(size) || size > VIRTQUEUE_MAX_SIZE)
		return -EINVAL;
	memset(at, 0, virtqueue_driver_bytes(size, features));
	*q = (struct virtqueue_driver){
		.size = size,
		.packed = packed,
		.indirect = has(features, VIRTIO_RING_F_INDIRECT_DESC),
		.event_index = has(features, VIRTIO_RING_F_EVENT_IDX),
		.in_order = has(features, VIRTIO_F_IN_ORDER),
		.kick_fd = -1,
		.desc = at,
		.avail = (struct vring_avail *)(bytes + avail_offset(size)),
		.used = (struct vring_used *)(bytes + used_offset(size, packed)),
		.desc_address = guest_address,
		.avail_address = guest_address + avail_offset(size),
		.used_address = guest_address + used_offset(size, packed),
		.tables = bytes + tables_offset(size, packed),
		.tables_address = guest_address + tables_offset(size, packed),
		.chains = calloc(size, sizeof(*q->chains)),
		.free_count = size,
		.avail_wrap = true,
		.used_wrap = true,
	};
	if (!q->chains)
		return -ENOMEM;
	for (unsigned i = 0; i < size; i++)
		q->chains[i].next = (uint16_t)(i + 1);
	return 0;
}

void virtqueue_driver_destroy(struct virtqueue_driver *q)
{
	free(q->chains);
	q->chains = NULL;
}

uint32_t virtqueue_driver_base(const struct virtqueue_driver *q)
{
	uint32_t half = q->used_seen | (q->used_wrap ? 1u << VRING_PACKED_EVENT_F_WRAP_CTR : 0);

	return q->packed ? half | half << 16 : q->used_seen;
}

/* ---- Adding ---- */

static void fill_split(struct virtqueue_driver *q, uint16_t index,
		       const struct virtqueue_part *part, unsigned flags)
{
	struct vring_desc *desc = &q->desc[index];

	desc->addr = htole64(part->guest_address);
	desc->len = htole32(part->length);
	desc->flags = htole16((uint16_t)flags);
	desc->next = htole16(q->chains[index].next);
}

/* Fills the ring's descriptors from `head` on; returns the first that is still free. */
static uint16_t add_split(struct virtqueue_driver *q, uint16_t head,
			  const struct virtqueue_part *parts, unsigned readable, unsigned count)
{
	struct virtqueue_part table = { q->tables_address + head * VIRTQUEUE_DRIVER_TABLE_BYTES,
					count * (uint32_t)sizeof(struct vring_desc) };
	uint16_t index = head;

	if (q->chains[head].slots != count) {
		virtqueue_driver_fill_table(q, head, parts, readable, count);
		fill_split(q, head, &table, VRING_DESC_F_INDIRECT);
		index = q->chains[head].next;
	} else {
		for (unsigned i = 0; i < count; i++) {
			fill_split(q, index, &parts[i],
				   (i < readable ? 0 : VRING_DESC_F_WRITE) |
					   (i + 1 < count ? VRING_DESC_F_NEXT : 0));
			index = q->chains[index].next;
		}
	}
	__atomic_store_n(&q->avail->ring[q->avail_next++ & (q->size - 1)], htole16(head),
			 __ATOMIC_RELAXED);
	q->unshown++;
	return index;
}

int virtqueue_driver_add(struct virtqueue_driver *q, const struct virtqueue_part *parts,
			 unsigned readable, unsigned writable, uint16_t *head)
{
	unsigned count = readable + writable;
	bool table = q->indirect && count > 1 && count <= VIRTQUEUE_DRIVER_TABLE;
	unsigned slots = table ? 1 : count;
	struct virtqueue_driver_chain *chain;

	if (!count || slots > q->free_count)
		return -ENOSPC;
	*head = q->free_head;
	chain = &q->chains[*head];
	chain->slots = (uint16_t)slots;
	if (q->in_order) {
		q->chains[q->added++ & (q->size - 1)].order = *head;
		chain->writable = 0;
		for (unsigned i = readable; i < count; i++)
			chain->writable += parts[i].length;
	}
	if (q->packed) {
		q->free_head = chain->next;
		virtqueue_driver_add_packed(q, *head, parts, readable, count);
	} else {
		q->free_head = add_split(q, *head, parts, readable, count);
	}
	q->free_count -= (uint16_t)slots;
	return 0;
}

static bool show_split(struct virtqueue_driver *q)
{
	uint16_t old = q->avail_shown;

	q->avail_shown = q->avail_next;
	/* Ordering 2, of the available ring. */
	__atomic_store_n(&q->avail->idx, htole16(q->avail_shown), __ATOMIC_RELEASE);
	/* Ordering 3: the index is out before we look whether the device sleeps. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (q->event_index)
		return vring_need_event(load_le16(device_event(q)), q->avail_shown, old);
	return !(load_le16(&q->used->flags) & VRING_USED_F_NO_NOTIFY);
}

void virtqueue_driver_kick(struct virtqueue_driver *q)
{
	bool wanted;

	if (!q->unshown)
		return;
	wanted = q->packed ? virtqueue_driver_show_packed(q) : show_split(q);
	q->unshown = 0;
	if (!wanted || q->kick_fd < 0)
		return;
	q->kicks++;
	/* A full counter wakes the device anyway; and if that has the flags of the file, which it shares, so that one waits
	 * then, that is not for long. */
	(void)event_give(q->kick_fd);
}

/* ---- Taking back ---- */

static bool used_split(const struct virtqueue_driver *q, uint32_t *id, uint32_t *written)
{
	const vring_used_elem_t *entry = &q->used->ring[q->used_seen & (q->size - 1)];
	/* Ordering 1, of the used ring. */
	uint16_t shown = le16toh(__atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE));

	/* Until then the device may be at it. */
	if (shown == q->used_seen)
		return false;
	*id = le32toh(__atomic_load_n(&entry->id, __ATOMIC_RELAXED));
	*written = le32toh(__atomic_load_n(&entry->len, __ATOMIC_RELAXED));
	return true;
}

/* Goes on behind the used entry, by chains or descriptors. */
static void advance(struct virtqueue_driver *q, unsigned by)
{
	unsigned next = q->used_seen + by;

	if (q->packed && next >= q->size) {
		next -= q->size;
		q->used_wrap = !q->used_wrap;
	}
	q->used_seen = (uint16_t)next;
}

static void free_chain(struct virtqueue_driver *q, uint16_t head)
{
	uint16_t last = head;

	for (unsigned i = 1; !q->packed && i < q->chains[head].slots; i++)
		last = q->chains[last].next;
	q->chains[last].next = q->free_head;
	q->free_head = head;
	q->free_count += q->chains[head].slots;
	q->chains[head].slots = 0;
}

int virtqueue_driver_take(struct virtqueue_driver *q, uint16_t *head, uint32_t *written)
{
	uint32_t id;

	if (!(q->packed ? virtqueue_driver_used_packed(q, &id, written)
			: used_split(q, &id, written)))
		return 0;
	if (id >= q->size || !q->chains[id].slots)
		return -EPROTO;
	*head = (uint16_t)id;
	/* The oldest first; an entry that names a later one tells of all up to it. */
	if (q->in_order) {
		*head = q->chains[q->taken++ & (q->size - 1)].order;
		if (*head != id)
			*written = q->chains[*head].writable;
	}
	q->batch += q->packed ? q->chains[*head].slots : 1;
	if (*head == id) {
		advance(q, q->batch);
		q->batch = 0;
	}
	free_chain(q, *head);
	return 1;
}

static bool anything_used(const struct virtqueue_driver *q)
{
	uint32_t id, written;

	return q->packed ? virtqueue_driver_used_packed(q, &id, &written)
			 : used_split(q, &id, &written);
}

bool virtqueue_driver_enable_calls(struct virtqueue_driver *q)
{
	if (q->packed)
		virtqueue_driver_want_calls_packed(q, true);
	else if (q->event_index)
		__atomic_store_n(driver_event(q), htole16(q->used_seen), __ATOMIC_RELAXED);
	else
		__atomic_store_n(&q->avail->flags, 0, __ATOMIC_RELAXED);
	/* Ordering 3: the device sees our wish before we look at its index a last time. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return anything_used(q);
}

void virtqueue_driver_disable_calls(struct virtqueue_driver *q)
{
	if (q->packed)
		virtqueue_driver_want_calls_packed(q, false);
	else if (!q->event_index)
		__atomic_store_n(&q->avail->flags, htole16(VRING_AVAIL_F_NO_INTERRUPT),
				 __ATOMIC_RELAXED);
}
