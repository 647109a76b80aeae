/* SPDX-License-Identifier: BSD-2-Clause */
/* Packed rings, driver side: see virtqueue_driver.h, and virtqueue_packed.c for how such a ring works. */
#include <linux/virtio_config.h>

#include "util/bytes.h"
#include "virtio/virtqueue.h"
#include "virtio/virtqueue_driver.h"

#define AVAIL_BIT (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED_BIT  (1u << VRING_PACKED_DESC_F_USED)
#define WRAP_BIT  (1u << VRING_PACKED_EVENT_F_WRAP_CTR)

/* Fills the next entry. The flags of the first that the device does not see yet are kept back. */
static void fill_packed(struct virtqueue_driver *q, const struct virtqueue_part *part, uint16_t id,
			unsigned flags)
{
	struct vring_packed_desc *desc = &q->ring[q->avail_next];

	flags |= q->avail_wrap ? AVAIL_BIT : USED_BIT;
	desc->addr = htole64(part->guest_address);
	desc->len = htole32(part->length);
	desc->id = htole16(id);
	if (q->unshown++)
		__atomic_store_n(&desc->flags, htole16((uint16_t)flags), __ATOMIC_RELAXED);
	else
		q->shown_flags = (uint16_t)flags;
	if (++q->avail_next == q->size) {
		q->avail_next = 0;
		q->avail_wrap = !q->avail_wrap;
	}
}

void virtqueue_driver_add_packed(struct virtqueue_driver *q, uint16_t id,
				 const struct virtqueue_part *parts, unsigned readable,
				 unsigned count)
{
	struct virtqueue_part table = { q->tables_address + id * VIRTQUEUE_DRIVER_TABLE_BYTES,
					count * (uint32_t)sizeof(struct vring_packed_desc) };

	if (q->chains[id].slots != count) {
		virtqueue_driver_fill_table(q, id, parts, readable, count);
		fill_packed(q, &table, id, VRING_DESC_F_INDIRECT);
		return;
	}
	for (unsigned i = 0; i < count; i++)
		fill_packed(q, &parts[i], id,
			    (i < readable ? 0 : VRING_DESC_F_WRITE) |
				    (i + 1 < count ? VRING_DESC_F_NEXT : 0));
}

bool virtqueue_driver_show_packed(struct virtqueue_driver *q)
{
	uint16_t moved = q->unshown, at;
	uint32_t event;

	/* Ordering 2: whoever sees these flags sees the entries behind. */
	__atomic_store_n(&q->ring[q->avail_shown].flags, htole16(q->shown_flags), __ATOMIC_RELEASE);
	q->avail_shown = q->avail_next;
	/* Ordering 3: they are out before we look whether the device sleeps. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	event = le32toh(__atomic_load_n((const __le32 *)q->device_event, __ATOMIC_RELAXED));
	if ((event >> 16 & 3) != VRING_PACKED_EVENT_FLAG_DESC)
		return (event >> 16 & 3) != VRING_PACKED_EVENT_FLAG_DISABLE;
	at = event & (WRAP_BIT - 1);
	if ((bool)(event & WRAP_BIT) != q->avail_wrap)
		at -= q->size;
	return vring_need_event(at, q->avail_next, (uint16_t)(q->avail_next - moved));
}

bool virtqueue_driver_used_packed(const struct virtqueue_driver *q, uint32_t *id, uint32_t *written)
{
	const struct vring_packed_desc *entry = &q->ring[q->used_seen];
	/* Ordering 1: the rest of the entry, and the data, are seen after the flags. */
	uint16_t flags = le16toh(__atomic_load_n(&entry->flags, __ATOMIC_ACQUIRE));

	*id = le16toh(__atomic_load_n(&entry->id, __ATOMIC_RELAXED));
	*written = le32toh(__atomic_load_n(&entry->len, __ATOMIC_RELAXED));
	return (bool)(flags & AVAIL_BIT) == q->used_wrap &&
	       (bool)(flags & USED_BIT) == q->used_wrap;
}

void virtqueue_driver_want_calls_packed(struct virtqueue_driver *q, bool wanted)
{
	uint32_t event = VRING_PACKED_EVENT_FLAG_DISABLE << 16;

	if (wanted && q->event_index)
		event = VRING_PACKED_EVENT_FLAG_DESC << 16 | (q->used_wrap ? WRAP_BIT : 0) |
			q->used_seen;
	else if (wanted)
		event = VRING_PACKED_EVENT_FLAG_ENABLE << 16;
	__atomic_store_n((__le32 *)q->driver_event, htole32(event), __ATOMIC_RELAXED);
}
