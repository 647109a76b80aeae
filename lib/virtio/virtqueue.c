/*
 * The device side of a split virtqueue: see virtqueue.h for the rules and the memory ordering.
 *
 * Ring fields are little-endian (VERSION_1) and loaded once each, with the helpers below; the numbers
 * of the orderings in comments are those of the header.
 */
#include "virtio/virtqueue.h"

#include <errno.h>
#include <unistd.h>

#include "util/bytes.h"

static uint16_t load16(const __virtio16 *at)
{
	return le16toh(__atomic_load_n(at, __ATOMIC_RELAXED));
}

static void store16(__virtio16 *at, uint16_t value)
{
	__atomic_store_n(at, htole16(value), __ATOMIC_RELAXED);
}

/* Ordering 1: what the driver wrote before it moved the index is seen after this. */
static uint16_t load_avail_index(const struct virtqueue *vq)
{
	return le16toh(__atomic_load_n(&vq->avail->idx, __ATOMIC_ACQUIRE));
}

/* The two event fields lie behind the rings' last entries. */
static __virtio16 *used_event(const struct virtqueue *vq)
{
	return &vq->avail->ring[vq->size];
}

static __virtio16 *avail_event(const struct virtqueue *vq)
{
	return (__virtio16 *)&vq->used->ring[vq->size];
}

void virtqueue_init(struct virtqueue *vq, const struct guest_memory *memory, unsigned index,
		    uint64_t features)
{
	*vq = (struct virtqueue){
		.memory = memory,
		.index = index,
		.indirect = features >> VIRTIO_RING_F_INDIRECT_DESC & 1,
		.event_index = features >> VIRTIO_RING_F_EVENT_IDX & 1,
		.enabled = true,
		.kick_fd = -1,
		.call_fd = -1,
		.error_fd = -1,
	};
}

int virtqueue_start(struct virtqueue *vq, uint16_t size, uint64_t desc, uint64_t avail,
		    uint64_t used, uint16_t last_avail)
{
	if (!is_power_of_two(size) || size > VIRTQUEUE_MAX_SIZE)
		return -EINVAL;
	vq->size = size;
	vq->desc = guest_memory_translate(vq->memory, desc, virtqueue_desc_bytes(size));
	vq->avail = guest_memory_translate(vq->memory, avail, virtqueue_avail_bytes(size));
	vq->used = guest_memory_translate(vq->memory, used, virtqueue_used_bytes(size));
	if (!vq->desc || !vq->avail || !vq->used)
		return -EFAULT;
	/* Guest alignment is the standard's; ours could differ where a region begins at an odd
	 * offset, and then the atomic loads would be wrong. */
	if ((desc | (uintptr_t)vq->desc) % VRING_DESC_ALIGN_SIZE ||
	    (avail | (uintptr_t)vq->avail) % VRING_AVAIL_ALIGN_SIZE ||
	    (used | (uintptr_t)vq->used) % VRING_USED_ALIGN_SIZE)
		return -EINVAL;
	vq->last_avail = vq->avail_seen = last_avail;
	vq->used_next = vq->used_shown = vq->used_checked = load16(&vq->used->idx);
	vq->used_checked_valid = false;
	vq->in_flight = 0;
	vq->broken = NULL;
	return 0;
}

static void write_eventfd(int fd)
{
	uint64_t one = 1;

	/* Nothing helps if it fails: a full counter is signalled already, and a closed pipe belongs
	 * to a peer whose hang-up shows elsewhere. */
	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

void virtqueue_break(struct virtqueue *vq, const char *reason)
{
	if (vq->broken)
		return;
	vq->broken = reason;
	if (vq->error_fd >= 0)
		write_eventfd(vq->error_fd);
}

static int broken(struct virtqueue *vq, const char *reason)
{
	virtqueue_break(vq, reason);
	return -EPROTO;
}

/* Walks one chain: what is left to do, and what has been gathered. */
struct walk {
	struct virtqueue *vq;
	struct virtqueue_chain *chain;
	uint64_t table;    /* guest address of the indirect table, when in it */
	unsigned limit;    /* entries of the table walked in */
	unsigned longest;  /* how many of them a chain may take */
	unsigned seen;     /* descriptors taken from it */
	unsigned used;     /* pieces in chain->iov */
	uint64_t bytes[2]; /* readable, writable */
};

/* Copies descriptor `index` of the table walked in. Its fields are looked at only in the copy. */
static int load_descriptor(const struct walk *walk, bool indirect, unsigned index,
			   struct vring_desc *out)
{
	struct vring_desc raw;

	if (indirect) {
		if (guest_memory_read(walk->vq->memory, walk->table + 16ULL * index, &raw,
				      sizeof(raw)) < 0)
			return -EFAULT;
	} else {
		const struct vring_desc *at = &walk->vq->desc[index];

		raw.addr = __atomic_load_n(&at->addr, __ATOMIC_RELAXED);
		raw.len = __atomic_load_n(&at->len, __ATOMIC_RELAXED);
		raw.flags = __atomic_load_n(&at->flags, __ATOMIC_RELAXED);
		raw.next = __atomic_load_n(&at->next, __ATOMIC_RELAXED);
	}
	out->addr = le64toh(raw.addr);
	out->len = le32toh(raw.len);
	out->flags = le16toh(raw.flags);
	out->next = le16toh(raw.next);
	return 0;
}

/* Adds a buffer to the chain. Returns why not, or NULL. */
static const char *add_buffer(struct walk *walk, const struct vring_desc *desc)
{
	struct virtqueue_chain *chain = walk->chain;
	bool writable = desc->flags & VRING_DESC_F_WRITE;
	struct iovec *iov = chain->iov + walk->used;
	int count = 1;

	if (!writable && chain->writable)
		return "a readable buffer follows a writable one";
	if (!desc->len)
		return NULL;
	if (walk->used == chain->capacity)
		return "a chain has more buffers than the device takes";
	iov->iov_base = guest_memory_translate(walk->vq->memory, desc->addr, desc->len);
	iov->iov_len = desc->len;
	if (!iov->iov_base)
		count = guest_memory_iov(walk->vq->memory, desc->addr, desc->len, iov,
					 chain->capacity - walk->used);
	if (count == -ENOBUFS)
		return "a chain has more buffers than the device takes";
	if (count < 0)
		return "a buffer is outside guest memory";
	walk->used += (unsigned)count;
	walk->bytes[writable] += desc->len;
	if (writable)
		chain->writable += (unsigned)count;
	else
		chain->readable += (unsigned)count;
	return walk->bytes[writable] > UINT32_MAX ? "a chain is longer than 4 GiB" : NULL;
}

/* Turns to an indirect table. Returns why not, or NULL. */
static const char *enter_table(struct walk *walk, const struct vring_desc *desc)
{
	if (!walk->vq->indirect)
		return "an indirect descriptor, which was not negotiated";
	if (desc->flags & VRING_DESC_F_NEXT)
		return "an indirect descriptor has a next one";
	if (!desc->len || desc->len % sizeof(struct vring_desc))
		return "an indirect table's length is no multiple of 16";
	if (desc->addr + desc->len < desc->addr)
		return "an indirect table's address wraps around";
	walk->table = desc->addr;
	walk->limit = desc->len / sizeof(struct vring_desc);
	walk->longest = MIN(walk->limit, VIRTQUEUE_MAX_CHAIN);
	walk->seen = 0;
	return NULL;
}

/* Follows the chain from `index` of the ring's table. Returns why it is wrong, or NULL. */
static const char *walk_chain(struct walk *walk, unsigned index)
{
	const char *wrong;
	bool indirect = false;
	struct vring_desc desc;

	for (;;) {
		if (index >= walk->limit)
			return "a descriptor index is beyond its table";
		/* A chain that bites its own tail ends here, at the latest. */
		if (walk->seen++ == walk->longest)
			return "a chain is longer than it may be, or has no end";
		if (load_descriptor(walk, indirect, index, &desc) < 0)
			return "an indirect table is outside guest memory";
		if (desc.flags & VRING_DESC_F_INDIRECT) {
			if (indirect)
				return "an indirect descriptor in an indirect table";
			wrong = enter_table(walk, &desc);
			if (wrong)
				return wrong;
			indirect = true;
			index = 0;
			continue;
		}
		wrong = add_buffer(walk, &desc);
		if (wrong)
			return wrong;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return NULL;
		index = desc.next;
	}
}

/* Loads the available index. Returns -EPROTO if it went too far: each chain holds at least one
 * descriptor until it is used, so chains waiting and chains in flight together cannot be more than
 * the ring has. This also bounds the work that a hostile driver can have in flight. */
static int look(struct virtqueue *vq)
{
	uint16_t index = load_avail_index(vq);

	if ((uint16_t)(index - vq->last_avail) + vq->in_flight > vq->size)
		return broken(vq, "more chains are available than the ring has descriptors");
	vq->avail_seen = index;
	return 0;
}

int virtqueue_pop(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	struct walk walk = { .vq = vq, .chain = chain, .limit = vq->size, .longest = vq->size };
	const char *wrong;

	if (vq->broken)
		return 0;
	if (vq->avail_seen == vq->last_avail) {
		if (look(vq) < 0)
			return -EPROTO;
		if (vq->avail_seen == vq->last_avail)
			return 0;
	}
	chain->head = load16(&vq->avail->ring[vq->last_avail & (vq->size - 1)]);
	chain->readable = chain->writable = 0;
	wrong = walk_chain(&walk, chain->head);
	if (wrong)
		return broken(vq, wrong);
	chain->readable_bytes = (uint32_t)walk.bytes[0];
	chain->writable_bytes = (uint32_t)walk.bytes[1];
	vq->last_avail++;
	vq->in_flight++;
	vq->counters.chains++;
	return 1;
}

void virtqueue_rewind(struct virtqueue *vq, unsigned count)
{
	vq->last_avail -= (uint16_t)count;
	vq->in_flight -= (uint16_t)count;
	vq->counters.chains -= count;
}

void virtqueue_push(struct virtqueue *vq, uint16_t head, uint32_t written)
{
	vring_used_elem_t *entry = &vq->used->ring[vq->used_next & (vq->size - 1)];

	vq->in_flight--;
	if (vq->broken)
		return;
	entry->id = htole32(head);
	entry->len = htole32(written);
	vq->used_next++;
}

/* Whether the driver wants to hear of the entries up to used_shown. */
static bool driver_wants_signal(struct virtqueue *vq)
{
	uint16_t old = vq->used_checked;
	bool valid = vq->used_checked_valid;

	if (!vq->event_index)
		return !(load16(&vq->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
	vq->used_checked = vq->used_shown;
	vq->used_checked_valid = true;
	return !valid || vring_need_event(load16(used_event(vq)), vq->used_shown, old);
}

void virtqueue_notify(struct virtqueue *vq)
{
	if (!virtqueue_notify_pending(vq))
		return;
	vq->used_shown = vq->used_next;
	/* Ordering 2: whoever sees the index sees the entries, and the data. */
	__atomic_store_n(&vq->used->idx, htole16(vq->used_shown), __ATOMIC_RELEASE);
	/* Ordering 3a: the index is out before we look whether the driver waits for it. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (driver_wants_signal(vq) && vq->call_fd >= 0) {
		write_eventfd(vq->call_fd);
		vq->counters.signals++;
	} else {
		vq->counters.suppressed++;
	}
}

bool virtqueue_available(struct virtqueue *vq)
{
	return !vq->broken && load16(&vq->avail->idx) != vq->last_avail;
}

bool virtqueue_enable_kicks(struct virtqueue *vq)
{
	if (vq->broken)
		return false;
	if (vq->event_index)
		store16(avail_event(vq), vq->last_avail);
	else
		store16(&vq->used->flags, 0);
	/* Ordering 3b: the driver sees our wish before we look at its index a last time. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return virtqueue_available(vq);
}

void virtqueue_disable_kicks(struct virtqueue *vq)
{
	/* With event index nothing needs to be said: avail_event stays behind, and the driver kicks
	 * once, when it passes there. */
	if (!vq->event_index && !vq->broken)
		store16(&vq->used->flags, VRING_USED_F_NO_NOTIFY);
}
