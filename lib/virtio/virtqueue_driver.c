/* The driver side of a split virtqueue: see virtqueue_driver.h, and virtqueue.h for the orderings, whose
 * numbers are used here. */
#include "virtio/virtqueue_driver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/virtio_config.h>

#include "util/bytes.h"
#include "virtio/virtqueue.h"

/* The parts of a ring in memory, each on cache lines of its own, for they are written by different
 * processors. */
#define RING_ALIGN 64

static size_t avail_offset(uint16_t size)
{
	return round_up(virtqueue_desc_bytes(size), RING_ALIGN);
}

static size_t used_offset(uint16_t size)
{
	return avail_offset(size) + round_up(virtqueue_avail_bytes(size), RING_ALIGN);
}

size_t virtqueue_driver_bytes(uint16_t size)
{
	return used_offset(size) + round_up(virtqueue_used_bytes(size), RING_ALIGN);
}

static __virtio16 *used_event(const struct virtqueue_driver *q)
{
	return &q->avail->ring[q->size];
}

static const __virtio16 *avail_event(const struct virtqueue_driver *q)
{
	return (const __virtio16 *)&q->used->ring[q->size];
}

static uint16_t load16(const __virtio16 *at)
{
	return le16toh(__atomic_load_n(at, __ATOMIC_RELAXED));
}

int virtqueue_driver_init(struct virtqueue_driver *q, void *at, uint64_t guest_address,
			  uint16_t size, uint64_t features)
{
	uint8_t *bytes = at;

	if (!is_power_of_two(size) || size > VIRTQUEUE_MAX_SIZE)
		return -EINVAL;
	memset(at, 0, virtqueue_driver_bytes(size));
	*q = (struct virtqueue_driver){
		.size = size,
		.event_index = features >> VIRTIO_RING_F_EVENT_IDX & 1,
		.kick_fd = -1,
		.desc = at,
		.avail = (struct vring_avail *)(bytes + avail_offset(size)),
		.used = (struct vring_used *)(bytes + used_offset(size)),
		.desc_address = guest_address,
		.avail_address = guest_address + avail_offset(size),
		.used_address = guest_address + used_offset(size),
		.next = calloc(size, sizeof(*q->next)),
		.length = calloc(size, sizeof(*q->length)),
		.free_count = size,
	};
	if (!q->next || !q->length) {
		virtqueue_driver_destroy(q);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < size; i++)
		q->next[i] = (uint16_t)(i + 1);
	return 0;
}

void virtqueue_driver_destroy(struct virtqueue_driver *q)
{
	free(q->next);
	free(q->length);
	q->next = q->length = NULL;
}

int virtqueue_driver_add(struct virtqueue_driver *q, const struct virtqueue_part *parts,
			 unsigned readable, unsigned writable, uint16_t *head)
{
	unsigned count = readable + writable;
	uint16_t index = q->free_head;

	if (!count || count > q->free_count)
		return -ENOSPC;
	*head = index;
	q->length[index] = (uint16_t)count;
	for (unsigned i = 0; i < count; i++) {
		struct vring_desc *desc = &q->desc[index];
		unsigned flags = (i < readable ? 0 : VRING_DESC_F_WRITE) |
				 (i + 1 < count ? VRING_DESC_F_NEXT : 0);

		desc->addr = htole64(parts[i].guest_address);
		desc->len = htole32(parts[i].length);
		desc->flags = htole16((uint16_t)flags);
		desc->next = htole16(q->next[index]);
		index = q->next[index];
	}
	q->free_head = index;
	q->free_count -= (uint16_t)count;
	__atomic_store_n(&q->avail->ring[q->avail_next++ & (q->size - 1)], htole16(*head),
			 __ATOMIC_RELAXED);
	return 0;
}

void virtqueue_driver_kick(struct virtqueue_driver *q)
{
	uint16_t old = q->avail_shown;
	uint64_t one = 1;
	bool wanted;

	if (q->avail_next == old)
		return;
	q->avail_shown = q->avail_next;
	/* Ordering 2, of the available ring. */
	__atomic_store_n(&q->avail->idx, htole16(q->avail_shown), __ATOMIC_RELEASE);
	/* Ordering 3: the index is out before we look whether the device sleeps. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (q->event_index)
		wanted = vring_need_event(load16(avail_event(q)), q->avail_shown, old);
	else
		wanted = !(load16(&q->used->flags) & VRING_USED_F_NO_NOTIFY);
	if (!wanted || q->kick_fd < 0)
		return;
	q->kicks++;
	/* It fails only when the counter is full, and then the device is woken anyway. */
	if (write(q->kick_fd, &one, sizeof(one)) < 0)
		return;
}

int virtqueue_driver_take(struct virtqueue_driver *q, uint16_t *head, uint32_t *written)
{
	const vring_used_elem_t *entry = &q->used->ring[q->used_seen & (q->size - 1)];
	/* Ordering 1, of the used ring. */
	uint16_t shown = le16toh(__atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE));
	uint32_t id;
	uint16_t last;

	if (shown == q->used_seen)
		return 0;
	id = le32toh(__atomic_load_n(&entry->id, __ATOMIC_RELAXED));
	if (id >= q->size || !q->length[id])
		return -EPROTO;
	*head = last = (uint16_t)id;
	*written = le32toh(__atomic_load_n(&entry->len, __ATOMIC_RELAXED));
	for (unsigned i = 1; i < q->length[id]; i++)
		last = q->next[last];
	q->next[last] = q->free_head;
	q->free_head = (uint16_t)id;
	q->free_count += q->length[id];
	q->length[id] = 0;
	q->used_seen++;
	return 1;
}

bool virtqueue_driver_enable_calls(struct virtqueue_driver *q)
{
	if (q->event_index)
		__atomic_store_n(used_event(q), htole16(q->used_seen), __ATOMIC_RELAXED);
	else
		__atomic_store_n(&q->avail->flags, 0, __ATOMIC_RELAXED);
	/* Ordering 3: the device sees our wish before we look at its index a last time. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return load16(&q->used->idx) != q->used_seen;
}

void virtqueue_driver_disable_calls(struct virtqueue_driver *q)
{
	if (!q->event_index)
		__atomic_store_n(&q->avail->flags, htole16(VRING_AVAIL_F_NO_INTERRUPT),
				 __ATOMIC_RELAXED);
}
