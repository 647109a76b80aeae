/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Split rings (virtio 1.2, 2.7), device side: see virtqueue.h, whose numbers of the orderings are used in
 * comments.
 */
#include <errno.h>
#include <stddef.h>

#include "util/bytes.h"
#include "virtio/virtqueue_private.h"

#define USED_IN_LINE (64 / sizeof(vring_used_elem_t))

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

int split_start(struct virtqueue *vq, uint64_t desc, uint64_t avail, uint64_t used, uint32_t base)
{
	uint16_t size = vq->size;

	vq->desc = guest_memory_translate(vq->memory, desc, virtqueue_desc_bytes(size));
	vq->avail = guest_memory_translate(vq->memory, avail, virtqueue_avail_bytes(size, false));
	vq->used = guest_memory_translate(vq->memory, used, virtqueue_used_bytes(size, false));
	if (!vq->desc || !vq->avail || !vq->used)
		return -EFAULT;
	/* Guest alignment is the standard's; ours could differ where a region begins at an odd
	 * offset, and then the atomic loads would be wrong. */
	if ((desc | (uintptr_t)vq->desc) % VRING_DESC_ALIGN_SIZE ||
	    (avail | (uintptr_t)vq->avail) % VRING_AVAIL_ALIGN_SIZE ||
	    (used | (uintptr_t)vq->used) % VRING_USED_ALIGN_SIZE || base > UINT16_MAX)
		return -EINVAL;
	vq->last_avail = vq->avail_seen = (uint16_t)base;
	vq->used_next = vq->used_shown = vq->used_checked = load16(&vq->used->idx);
	return 0;
}

/* Follows the chain from its head. Returns why it is wrong, or NULL. */
static inline const char *walk_split(struct chain_walk *walk, unsigned index)
{
	const struct virtqueue *vq = walk->vq;
	const char *wrong;

	for (unsigned left = vq->size;; left--) {
		const struct vring_desc *at = &vq->desc[index];
		uint64_t address;
		uint32_t length;
		uint16_t flags;

		if (index >= vq->size)
			return "a descriptor index is beyond its table";
		/* A chain that bites its own tail ends here, at the latest. */
		if (!left)
			return "a chain is longer than it may be, or has no end";
		address = le64toh(__atomic_load_n(&at->addr, __ATOMIC_RELAXED));
		length = le32toh(__atomic_load_n(&at->len, __ATOMIC_RELAXED));
		flags = load16(&at->flags);
		if (flags & VRING_DESC_F_INDIRECT)
			return chain_add_table(walk, address, length, flags, false);
		wrong = chain_add_buffer(walk, address, length, flags & VRING_DESC_F_WRITE);
		if (wrong)
			return wrong;
		if (!(flags & VRING_DESC_F_NEXT))
			return NULL;
		index = load16(&at->next);
	}
}

static __attribute__((noinline)) int pop_any(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	struct chain_walk walk = chain_walk_begin(vq, chain);
	const char *wrong = walk_split(&walk, chain->head);

	if (wrong)
		return virtqueue_broken(vq, wrong);
	chain->slots = 1;
	chain_walk_end(&walk);
	return 1;
}

static inline int pop_head(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	const struct vring_desc *at = &vq->desc[chain->head];

	if (chain->head >= vq->size || !chain->capacity ||
	    !chain_of_one(vq, chain, chain->iov,
			  le64toh(__atomic_load_n(&at->addr, __ATOMIC_RELAXED)),
			  le32toh(__atomic_load_n(&at->len, __ATOMIC_RELAXED)), load16(&at->flags)))
		return pop_any(vq, chain);
	chain->slots = 1;
	return 1;
}

int split_pop_head(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	return pop_head(vq, chain);
}

/* Loads the available index. Returns -EPROTO if it went too far: each chain holds at least one
 * descriptor until the driver has seen it used, so chains waiting, in flight and not shown yet cannot
 * be more than the ring has. This also bounds the work that a hostile driver can have in flight. */
static int look(struct virtqueue *vq)
{
	uint16_t index = load_avail_index(vq);

	if ((uint16_t)(index - vq->last_avail) + vq->slots_taken + vq->unshown > vq->size)
		return virtqueue_broken(vq,
					"more chains are available than the ring has descriptors");
	vq->avail_seen = index;
	return 0;
}

int split_pop(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	if (vq->avail_seen == vq->last_avail) {
		if (look(vq) < 0)
			return -EPROTO;
		if (vq->avail_seen == vq->last_avail)
			return 0;
	}
	chain->head = load16(&vq->avail->ring[vq->last_avail & (vq->size - 1)]);
	if (pop_head(vq, chain) < 0)
		return -EPROTO;
	vq->last_avail++;
	vq->slots_taken++;
	return virtqueue_took(vq, chain);
}

/* Takes up to `count` chains, which are available, as long as they are of one buffer. */
static unsigned split_pop_simple(struct virtqueue *vq, struct virtqueue_space *space,
				 struct virtqueue_chain *chains, unsigned count)
{
	const struct vring_desc *table = vq->desc;
	const __virtio16 *ring = vq->avail->ring;
	struct iovec *iov = space->iov + space->gap;
	unsigned taken, step = space->gap + 1, mask = vq->size - 1u, next = vq->last_avail;

	count = MIN(count, virtqueue_room(space));
	for (taken = 0; taken < count; taken++, next++, iov += step) {
		struct virtqueue_chain *chain = &chains[taken];
		uint16_t head = load16(&ring[next & mask]);
		const struct vring_desc *at = &table[head];
		uint16_t flags;

		if (head > mask)
			break;
		flags = load16(&at->flags);
		if (!chain_of_one(vq, chain, iov,
				  le64toh(__atomic_load_n(&at->addr, __ATOMIC_RELAXED)),
				  le32toh(__atomic_load_n(&at->len, __ATOMIC_RELAXED)), flags))
			break;
		virtqueue_fetch(iov, flags & VRING_DESC_F_WRITE);
		chain->head = head;
		chain->slots = 1;
		chain->order = (uint16_t)(vq->popped + taken);
	}
	vq->last_avail = (uint16_t)next;
	virtqueue_took_simple(vq, space, taken);
	return taken;
}

static void split_fetch(const struct virtqueue *vq, unsigned count)
{
	unsigned mask = vq->size - 1u;

	/* Only a hint: where it points is checked when it is taken. */
	for (unsigned i = 0; i < count; i++)
		__builtin_prefetch(
			&vq->desc[load16(&vq->avail->ring[(vq->last_avail + i) & mask]) & mask]);
	for (unsigned i = 0; i < count; i += USED_IN_LINE)
		fetch_line_to_write(&vq->used->ring[(vq->used_next + i) & mask]);
}

unsigned split_pop_burst(struct virtqueue *vq, struct virtqueue_space *space,
			 struct virtqueue_chain *chains, unsigned count)
{
	unsigned taken = 0;

	/* The driver writes the index's line all the time: it is not fetched while enough is known to be there. */
	if ((uint16_t)(vq->avail_seen - vq->last_avail) < count && look(vq) < 0)
		return 0;
	count = MIN(count, (uint16_t)(vq->avail_seen - vq->last_avail));
	split_fetch(vq, count);
	for (;; taken++) {
		struct virtqueue_chain *chain;

		taken += split_pop_simple(vq, space, chains + taken, count - taken);
		chain = &chains[taken];
		if (taken == count || !virtqueue_chain_fits(space, chain))
			break;
		chain->head = load16(&vq->avail->ring[vq->last_avail & (vq->size - 1)]);
		if (pop_any(vq, chain) < 0)
			break;
		vq->last_avail++;
		vq->slots_taken++;
		virtqueue_took_one(vq, space, chain);
	}
	return taken;
}

void split_use_burst(struct virtqueue *vq, const struct virtqueue_chain *chains,
		     const uint32_t *written, unsigned count)
{
	vring_used_elem_t *ring = vq->used->ring;
	unsigned mask = vq->size - 1u, next = vq->used_next;

	for (unsigned i = 0; i < count; i++) {
		vring_used_elem_t *entry = &ring[(next + i) & mask];

		entry->id = htole32(chains[i].head);
		entry->len = htole32(written ? written[i] : 0);
	}
	vq->used_next += (uint16_t)count;
	vq->unshown += (uint16_t)count;
	vq->slots_taken -= (uint16_t)count;
}

unsigned split_prefetch(struct virtqueue *vq, unsigned count)
{
	uint16_t waiting = load_avail_index(vq) - vq->last_avail;

	count = MIN(count, waiting);
	for (unsigned i = 0; i < count; i++) {
		unsigned entry = (vq->last_avail + i) & (vq->size - 1u);

		/* Only a hint: where it points is checked when it is taken. */
		__builtin_prefetch(&vq->desc[load16(&vq->avail->ring[entry]) & (vq->size - 1)]);
	}
	return count;
}

/* Shows the driver what was used; whether it wants to be signalled. */
bool split_show(struct virtqueue *vq)
{
	uint16_t old = vq->used_checked;
	bool valid = vq->used_checked_valid;

	vq->used_shown = vq->used_next;
	vq->unshown = 0;
	/* Ordering 2: whoever sees the index sees the entries, and the data. */
	__atomic_store_n(&vq->used->idx, htole16(vq->used_shown), __ATOMIC_RELEASE);
	split_note(vq, &vq->used->idx, sizeof(vq->used->idx));
	/* Ordering 3a: the index is out before we look whether the driver waits for it. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!vq->event_index)
		return !(load16(&vq->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
	vq->used_checked = vq->used_shown;
	vq->used_checked_valid = true;
	return !valid || vring_need_event(load16(used_event(vq)), vq->used_shown, old);
}

bool split_available(const struct virtqueue *vq)
{
	return load16(&vq->avail->idx) != vq->last_avail;
}

unsigned split_offered(const struct virtqueue *vq)
{
	return MIN((uint16_t)(load16(&vq->avail->idx) - vq->last_avail), vq->size);
}

void split_enable_kicks(struct virtqueue *vq)
{
	__virtio16 *field = vq->event_index ? avail_event(vq) : &vq->used->flags;

	store16(field, vq->event_index ? vq->last_avail : 0);
	split_note(vq, field, sizeof(*field));
}

void split_disable_kicks(struct virtqueue *vq)
{
	/* With event index nothing needs to be said: avail_event stays behind, and the driver kicks
	 * once, when it passes there. */
	if (vq->event_index)
		return;
	store16(&vq->used->flags, VRING_USED_F_NO_NOTIFY);
	split_note(vq, &vq->used->flags, sizeof(vq->used->flags));
}
