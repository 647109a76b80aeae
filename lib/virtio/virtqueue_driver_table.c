/* SPDX-License-Identifier: BSD-2-Clause */
/* Indirect tables, driver side, of both formats: see virtqueue_driver.h. */
#include "util/bytes.h"
#include "virtio/virtqueue.h"
#include "virtio/virtqueue_driver.h"

void virtqueue_driver_fill_table(const struct virtqueue_driver *q, uint16_t head,
				 const struct virtqueue_part *parts, unsigned readable,
				 unsigned count)
{
	uint8_t *table = q->tables + head * VIRTQUEUE_DRIVER_TABLE_BYTES;

	for (unsigned i = 0; i < count; i++) {
		unsigned flags = (i < readable ? 0 : VRING_DESC_F_WRITE) |
				 (i + 1 < count && !q->packed ? VRING_DESC_F_NEXT : 0);

		/* Both formats have address and length at the same place. */
		put_le64(table + 16 * i, parts[i].guest_address);
		put_le32(table + 16 * i + 8, parts[i].length);
		put_le16(table + 16 * i + 12, (uint16_t)(q->packed ? head : flags));
		put_le16(table + 16 * i + 14, (uint16_t)(q->packed ? flags : i + 1));
	}
}
