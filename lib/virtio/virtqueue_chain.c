/* SPDX-License-Identifier: BSD-2-Clause */
/* The buffers of a chain, indirect tables, and queues that chains have broken, of both formats: see virtqueue_private.h. */
#include <errno.h>

#include "util/bytes.h"
#include "util/event_guard.h"
#include "virtio/virtqueue_private.h"

void virtqueue_break(struct virtqueue *vq, const char *reason)
{
	if (vq->broken)
		return;
	vq->broken = reason;
	if (vq->error_fd >= 0)
		(void)event_give(vq->error_fd);
}

int virtqueue_broken(struct virtqueue *vq, const char *reason)
{
	virtqueue_break(vq, reason);
	return -EPROTO;
}

const char *chain_add_slowly(struct chain_walk *walk, uint64_t address, uint32_t length,
			     bool writable)
{
	struct virtqueue_chain *chain = walk->chain;
	const struct guest_memory_region *region;
	struct virtqueue *vq = walk->vq;
	int count;

	if (!writable && walk->used != walk->readable)
		return "a readable buffer follows a writable one";
	if (!length)
		return NULL;
	region = guest_memory_find(vq->memory, address, length);
	if (region) {
		vq->region.guest_address = region->guest_address;
		vq->region.size = region->size;
		vq->region.host = region->host;
	}
	count = guest_memory_iov(vq->memory, address, length, chain->iov + walk->used,
				 chain->capacity - walk->used);
	if (count == -ENOBUFS)
		return "a chain has more buffers than the device takes";
	if (count < 0)
		return "a buffer is outside guest memory";
	walk->used += (unsigned)count;
	if (writable) {
		walk->write_bytes += length;
	} else {
		walk->readable += (unsigned)count;
		walk->read_bytes += length;
	}
	return (walk->read_bytes | walk->write_bytes) >> 32 ? "a chain is longer than 4 GiB" : NULL;
}

/* A descriptor of a table. In a packed ring's, what is `next` here is a buffer id, which means nothing. */
struct chain_entry {
	uint64_t address;
	uint32_t length;
	uint16_t flags, next;
};

/* Copies entry `index` of the table at `host`, or, where that lies across two regions (NULL), at guest
 * address `table`. Its fields are looked at only in the copy. */
static bool load_entry(const struct virtqueue *vq, const uint8_t *host, uint64_t table,
		       unsigned index, bool packed, struct chain_entry *entry)
{
	union {
		struct vring_desc split;
		struct vring_packed_desc packed;
	} raw;

	if (host)
		memcpy(&raw, host + 16ULL * index, sizeof(raw));
	else if (guest_memory_read(vq->memory, table + 16ULL * index, &raw, sizeof(raw)) < 0)
		return false;
	__asm__ volatile("" ::: "memory"); /* the copy is not to be made a second time */
	if (packed)
		*entry = (struct chain_entry){ le64toh(raw.packed.addr), le32toh(raw.packed.len),
					       le16toh(raw.packed.flags), 0 };
	else
		*entry = (struct chain_entry){ le64toh(raw.split.addr), le32toh(raw.split.len),
					       le16toh(raw.split.flags), le16toh(raw.split.next) };
	return true;
}

static const char *check_table(const struct virtqueue *vq, uint64_t address, uint32_t length,
			       uint16_t flags)
{
	if (!vq->indirect)
		return "an indirect descriptor, which was not negotiated";
	if (flags & VRING_DESC_F_NEXT)
		return "an indirect descriptor has a next one";
	if (!length || length % sizeof(struct vring_desc))
		return "an indirect table's length is no multiple of 16";
	if (address + length < address)
		return "an indirect table's address wraps around";
	return NULL;
}

const char *chain_add_table(struct chain_walk *walk, uint64_t address, uint32_t length,
			    uint16_t flags, bool packed)
{
	const char *wrong = check_table(walk->vq, address, length, flags);
	unsigned limit = length / sizeof(struct vring_desc), index = 0;
	unsigned longest = MIN(limit, VIRTQUEUE_MAX_CHAIN);
	const uint8_t *host;

	if (wrong)
		return wrong;
	if (packed && limit > longest)
		return "a chain is longer than it may be, or has no end";
	host = guest_memory_translate(walk->vq->memory, address, length);
	for (unsigned seen = 0;; seen++) {
		struct chain_entry entry;

		if (packed && seen == limit)
			return NULL;
		if (index >= limit)
			return "a descriptor index is beyond its table";
		if (seen == longest)
			return "a chain is longer than it may be, or has no end";
		if (!load_entry(walk->vq, host, address, index, packed, &entry))
			return "an indirect table is outside guest memory";
		if (entry.flags & VRING_DESC_F_INDIRECT)
			return "an indirect descriptor in an indirect table";
		wrong = chain_add_buffer(walk, entry.address, entry.length,
					 entry.flags & VRING_DESC_F_WRITE);
		if (wrong)
			return wrong;
		if (!packed && !(entry.flags & VRING_DESC_F_NEXT))
			return NULL;
		index = packed ? seen + 1 : entry.next;
	}
}
