/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packed rings (virtio 1.2, 2.8), device side: see virtqueue.h, whose numbers of the orderings are used in
 * comments.
 *
 * There is one ring of descriptors. Each side goes round it in order; whose an entry is, its two flags AVAIL
 * and USED say, compared with a wrap counter that turns over with each round. The driver makes a chain
 * available in entries that follow each other; we give chains back in any order, each as one used entry, and
 * go on behind it by as many entries as the chain had. So used entries overwrite descriptors of chains that
 * were taken, never of chains that were not: used_next stays behind last_avail by the entries that are
 * with us (slots_taken and unshown ones).
 *
 * Used entries become visible one by one, by their flags. To show a burst at once, the first is
 * written last, and the driver, which looks at them in order, sees the others behind it.
 *
 * The driver looks at the line where the first will be all the time, and writes descriptors into lines beside it. So used entries are
 * kept in memory of ours (`unwritten`) until the burst is shown, or they are too many: then each line goes over to this
 * processor once, not once for each entry. Positions move on at once.
 */
#include <errno.h>
#include <stddef.h>

#include "util/bytes.h"
#include "virtio/virtqueue_private.h"

#define AVAIL_BIT  (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED_BIT   (1u << VRING_PACKED_DESC_F_USED)
#define WRAP_BIT   (1u << VRING_PACKED_EVENT_F_WRAP_CTR)
#define INDEX_MASK (WRAP_BIT - 1)

#define ENTRIES_IN_LINE (64 / sizeof(struct vring_packed_desc))

/* Where it goes on, and where it gives back: a half of the base each. */
static bool take_position(const struct virtqueue *vq, uint32_t half, uint16_t *position, bool *wrap)
{
	*position = half & INDEX_MASK;
	*wrap = half & WRAP_BIT;
	return *position < vq->size;
}

/* Entries from the used position to the available one. */
static unsigned distance(const struct virtqueue *vq)
{
	return vq->avail_wrap == vq->used_wrap ? vq->last_avail - vq->used_next
					       : vq->last_avail + vq->size - vq->used_next;
}

/* Whether no device has given back anything in this ring. One that did, and is at 0 with both wrap counters 0, has
 * just gone round it, and left flags that say so. */
static bool never_used(const struct virtqueue *vq)
{
	bool used = false;

	for (unsigned i = 0; i < vq->size && !used; i++)
		used = le16toh(__atomic_load_n(&vq->ring[i].flags, __ATOMIC_RELAXED)) & USED_BIT;
	return !used;
}

int packed_start(struct virtqueue *vq, uint64_t ring, uint64_t driver, uint64_t device,
		 uint32_t base)
{
	uint32_t available = base & 0xffff, used = base >> 16;

	vq->ring = guest_memory_translate(vq->memory, ring, virtqueue_desc_bytes(vq->size));
	vq->driver_event =
		guest_memory_translate(vq->memory, driver, virtqueue_avail_bytes(vq->size, true));
	vq->device_event =
		guest_memory_translate(vq->memory, device, virtqueue_used_bytes(vq->size, true));
	if (!vq->ring || !vq->driver_event || !vq->device_event)
		return -EFAULT;
	if ((ring | (uintptr_t)vq->ring) % 16 || (driver | (uintptr_t)vq->driver_event) % 4 ||
	    (device | (uintptr_t)vq->device_event) % 4)
		return -EINVAL;
	/* User-mode Linux (6.1) knows of no wrap counters, and begins every ring at 0. */
	if (!base && never_used(vq)) {
		available = VIRTQUEUE_BASE_PACKED & 0xffff;
		used = VIRTQUEUE_BASE_PACKED >> 16;
	}
	/* DPDK's virtio-user leaves the used half out. */
	if (!take_position(vq, available, &vq->last_avail, &vq->avail_wrap) ||
	    !take_position(vq, used ? used : available, &vq->used_next, &vq->used_wrap) ||
	    distance(vq) > vq->size)
		return -EINVAL;
	vq->slots_taken = (uint16_t)distance(vq);
	vq->used_shown = vq->used_next;
	vq->shown_wrap = vq->used_wrap;
	return 0;
}

uint32_t packed_base(const struct virtqueue *vq)
{
	uint32_t available = vq->last_avail | (vq->avail_wrap ? WRAP_BIT : 0);
	uint32_t used = vq->used_next | (vq->used_wrap ? WRAP_BIT : 0);

	return available | used << 16;
}

/* Ordering 1: the descriptor and its buffers are seen after its flags. */
static uint16_t load_flags(const struct virtqueue *vq, unsigned position, int order)
{
	return le16toh(__atomic_load_n(&vq->ring[position].flags, order));
}

static bool is_available(uint16_t flags, bool wrap)
{
	return (bool)(flags & AVAIL_BIT) == wrap && (bool)(flags & USED_BIT) != wrap;
}

/* Takes the descriptors of the chain whose first has `flags`. Returns why it is wrong, or NULL. */
static inline const char *walk_packed(struct chain_walk *walk, uint16_t flags, unsigned most)
{
	struct virtqueue *vq = walk->vq;
	struct virtqueue_chain *chain = walk->chain;
	unsigned position = vq->last_avail;

	for (chain->slots = 0;;) {
		const struct vring_packed_desc *at = &vq->ring[position];
		uint64_t address = le64toh(__atomic_load_n(&at->addr, __ATOMIC_RELAXED));
		uint32_t length = le32toh(__atomic_load_n(&at->len, __ATOMIC_RELAXED));
		const char *wrong;

		if (chain->slots == most)
			return "a chain is longer than it may be, or has no end";
		/* That of the last counts; drivers write it into all. */
		chain->head = le16toh(__atomic_load_n(&at->id, __ATOMIC_RELAXED));
		if (vq->inflight)
			virtqueue_inflight_copy(vq, chain->slots, address, length, flags,
						chain->head);
		chain->slots++;
		if (!(flags & VRING_DESC_F_INDIRECT))
			wrong = chain_add_buffer(walk, address, length, flags & VRING_DESC_F_WRITE);
		else if (chain->slots > 1)
			wrong = "an indirect descriptor in a chain of others";
		else
			wrong = chain_add_table(walk, address, length, flags, true);
		if (wrong)
			return wrong;
		if (!(flags & VRING_DESC_F_NEXT))
			return NULL;
		position = position + 1u == vq->size ? 0 : position + 1;
		/* The driver made them available before the first. */
		flags = load_flags(vq, position, __ATOMIC_RELAXED);
	}
}

static __attribute__((noinline)) int take_any(struct virtqueue *vq, struct virtqueue_chain *chain,
					      uint16_t flags)
{
	/* Those that are with us and those that are used and not shown cannot be available too. */
	unsigned most = vq->size - vq->slots_taken - vq->unshown;
	struct chain_walk walk = chain_walk_begin(vq, chain);
	const char *wrong = walk_packed(&walk, flags, most);

	if (wrong)
		return virtqueue_broken(vq, wrong);
	chain_walk_end(&walk);
	return 1;
}

static inline int take(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	const struct vring_packed_desc *at = &vq->ring[vq->last_avail];
	uint16_t flags = load_flags(vq, vq->last_avail, __ATOMIC_ACQUIRE);

	if (!is_available(flags, vq->avail_wrap))
		return 0;
	if (!vq->inflight && (unsigned)vq->slots_taken + vq->unshown < vq->size &&
	    chain->capacity &&
	    chain_of_one(vq, chain, chain->iov,
			 le64toh(__atomic_load_n(&at->addr, __ATOMIC_RELAXED)),
			 le32toh(__atomic_load_n(&at->len, __ATOMIC_RELAXED)), flags)) {
		chain->head = le16toh(__atomic_load_n(&at->id, __ATOMIC_RELAXED));
		chain->slots = 1;
	} else if (take_any(vq, chain, flags) < 0) {
		return -EPROTO;
	}
	packed_advance(vq, &vq->last_avail, &vq->avail_wrap, chain->slots);
	vq->slots_taken += chain->slots;
	return 1;
}

int packed_pop(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	int got = take(vq, chain);

	return got > 0 ? virtqueue_took(vq, chain) : got;
}

/* Takes up to `count` chains as long as they are of one buffer. */
static unsigned packed_pop_simple(struct virtqueue *vq, struct virtqueue_space *space,
				  struct virtqueue_chain *chains, unsigned count)
{
	unsigned most = (unsigned)vq->size - vq->slots_taken - vq->unshown;
	const struct vring_packed_desc *at = &vq->ring[vq->last_avail];
	const struct vring_packed_desc *end = vq->ring + vq->size;
	struct iovec *iov = space->iov + space->gap;
	unsigned taken, step = space->gap + 1;
	bool wrap = vq->avail_wrap;

	count = MIN(count, MIN(most, virtqueue_room(space)));
	for (taken = 0; taken < count; taken++, iov += step) {
		struct virtqueue_chain *chain = &chains[taken];
		/* Ordering 1 */
		uint16_t flags = le16toh(__atomic_load_n(&at->flags, __ATOMIC_ACQUIRE));

		if (!is_available(flags, wrap) ||
		    !chain_of_one(vq, chain, iov,
				  le64toh(__atomic_load_n(&at->addr, __ATOMIC_RELAXED)),
				  le32toh(__atomic_load_n(&at->len, __ATOMIC_RELAXED)), flags))
			break;
		virtqueue_fetch(iov, flags & VRING_DESC_F_WRITE);
		chain->head = le16toh(__atomic_load_n(&at->id, __ATOMIC_RELAXED));
		chain->slots = 1;
		chain->order = (uint16_t)(vq->popped + taken);
		if (++at == end) {
			at = vq->ring;
			wrap = !wrap;
		}
	}
	vq->last_avail = (uint16_t)(at - vq->ring);
	vq->avail_wrap = wrap;
	virtqueue_took_simple(vq, space, taken);
	return taken;
}

static void packed_fetch(const struct virtqueue *vq, unsigned count)
{
	for (unsigned i = 0; i < count; i += ENTRIES_IN_LINE) {
		unsigned position = vq->last_avail + i;

		if (position >= vq->size)
			position -= vq->size;
		if (position < vq->size)
			fetch_line_to_write(&vq->ring[position]);
	}
}

unsigned packed_pop_burst(struct virtqueue *vq, struct virtqueue_space *space,
			  struct virtqueue_chain *chains, unsigned count)
{
	unsigned taken = 0;

	if (!packed_available(vq))
		return 0;
	/* As many as came last time: lines beyond those are the driver's, who is about to write them. */
	packed_fetch(vq, MIN(count, vq->burst));
	for (;; taken++) {
		struct virtqueue_chain *chain;

		taken += packed_pop_simple(vq, space, chains + taken, count - taken);
		chain = &chains[taken];
		if (taken == count || !virtqueue_chain_fits(space, chain) || take(vq, chain) <= 0)
			break;
		virtqueue_took_one(vq, space, chain);
	}
	return taken;
}

unsigned packed_prefetch(struct virtqueue *vq, unsigned count)
{
	/* Four descriptors share a cache line, and the processor fetches ahead what is read in order:
	 * two lines are enough to begin with. */
	__builtin_prefetch(&vq->ring[vq->last_avail]);
	__builtin_prefetch(&vq->ring[vq->last_avail + 4u < vq->size ? vq->last_avail + 4u : 0]);
	return count;
}

void packed_rewind(struct virtqueue *vq, unsigned slots)
{
	unsigned position = vq->last_avail;

	if (position < slots) {
		position += vq->size;
		vq->avail_wrap = !vq->avail_wrap;
	}
	vq->last_avail = (uint16_t)(position - slots);
}

/* Length, id and flags, of a used entry. */
static void write_out(struct virtqueue *vq)
{
	for (unsigned i = 0; i < vq->unwritten_count; i++) {
		const struct virtqueue_unwritten *used = &vq->unwritten[i];
		struct vring_packed_desc *entry = &vq->ring[used->position];
		uint64_t word =
			used->written | (uint64_t)used->id << 32 | (uint64_t)used->flags << 48;

		_Static_assert(offsetof(struct vring_packed_desc, len) == 8 &&
				       offsetof(struct vring_packed_desc, id) == 12 &&
				       offsetof(struct vring_packed_desc, flags) == 14,
			       "virtio 1.2, 2.8.13");
		__atomic_store_n((__le64 *)(void *)&entry->len, htole64(word), __ATOMIC_RELAXED);
		virtqueue_note(vq, vq->desc_address + 16ULL * used->position, sizeof(*entry));
	}
	vq->unwritten_count = 0;
}

static inline void use_entry(struct virtqueue *vq, uint16_t id, uint16_t slots, uint32_t written)
{
	uint16_t flags = (uint16_t)((vq->used_wrap ? AVAIL_BIT | USED_BIT : 0) |
				    (written ? VRING_DESC_F_WRITE : 0));
	struct virtqueue_unwritten used = { written, id, flags, vq->used_next };

	if (!vq->unshown) {
		vq->first = used;
	} else {
		if (vq->unwritten_count == VIRTQUEUE_UNWRITTEN)
			write_out(vq);
		vq->unwritten[vq->unwritten_count++] = used;
	}
	packed_advance(vq, &vq->used_next, &vq->used_wrap, slots);
	vq->unshown += slots;
}

void packed_use(struct virtqueue *vq, uint16_t id, uint16_t slots, uint32_t written)
{
	use_entry(vq, id, slots, written);
}

void packed_use_burst(struct virtqueue *vq, const struct virtqueue_chain *chains,
		      const uint32_t *written, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		vq->slots_taken -= chains[i].slots;
		use_entry(vq, chains[i].head, chains[i].slots, written ? written[i] : 0);
	}
}

/* Whether the driver's event area asks for a signal, `moved` entries up to used_next. */
static bool wants_signal(const struct virtqueue *vq, unsigned moved, bool first)
{
	/* Both of its fields at once, for the driver changes one after the other. */
	uint32_t event =
		le32toh(__atomic_load_n((const __le32 *)vq->driver_event, __ATOMIC_RELAXED));
	uint16_t at = event & INDEX_MASK;

	switch (event >> 16 & 3) {
	case VRING_PACKED_EVENT_FLAG_DISABLE:
		return false;
	case VRING_PACKED_EVENT_FLAG_DESC:
		/* What is behind the event already was maybe never told of, by another device. */
		if (!vq->event_index || first)
			return true;
		if ((bool)(event & WRAP_BIT) != vq->used_wrap)
			at -= vq->size;
		return vring_need_event(at, vq->used_next, (uint16_t)(vq->used_next - moved));
	default:
		return true;
	}
}

bool packed_show(struct virtqueue *vq)
{
	struct vring_packed_desc *first = &vq->ring[vq->first.position];
	unsigned moved = vq->unshown;
	bool compared = vq->used_checked_valid;

	write_out(vq);
	__atomic_store_n(&first->id, htole16(vq->first.id), __ATOMIC_RELAXED);
	__atomic_store_n(&first->len, htole32(vq->first.written), __ATOMIC_RELAXED);
	/* Ordering 2: whoever sees these flags sees the entries behind, and the data. */
	__atomic_store_n(&first->flags, htole16(vq->first.flags), __ATOMIC_RELEASE);
	virtqueue_note(vq, vq->desc_address + 16ULL * vq->used_shown, 16);
	vq->used_shown = vq->used_next;
	vq->shown_wrap = vq->used_wrap;
	vq->unshown = 0;
	vq->used_checked_valid = true;
	/* Ordering 3a: the flags are out before we look whether the driver waits for them. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return wants_signal(vq, moved, !compared);
}

bool packed_available(const struct virtqueue *vq)
{
	return is_available(load_flags(vq, vq->last_avail, __ATOMIC_RELAXED), vq->avail_wrap);
}

/* They are made available in their order, so that half of those in question need not be looked at. */
unsigned packed_offered(const struct virtqueue *vq)
{
	unsigned least = 0, most = vq->size;

	while (least < most) {
		unsigned count = (least + most + 1) / 2, position = vq->last_avail + count - 1;
		bool round = position >= vq->size;

		if (is_available(load_flags(vq, round ? position - vq->size : position,
					    __ATOMIC_RELAXED),
				 vq->avail_wrap != round))
			least = count;
		else
			most = count - 1;
	}
	return least;
}

static void store_event(struct virtqueue *vq, uint16_t position, uint16_t flags)
{
	__atomic_store_n((__le32 *)vq->device_event, htole32((uint32_t)flags << 16 | position),
			 __ATOMIC_RELAXED);
	virtqueue_note(vq, vq->used_log, sizeof(*vq->device_event));
}

void packed_enable_kicks(struct virtqueue *vq)
{
	if (vq->event_index)
		store_event(vq, (uint16_t)(vq->last_avail | (vq->avail_wrap ? WRAP_BIT : 0)),
			    VRING_PACKED_EVENT_FLAG_DESC);
	else
		store_event(vq, 0, VRING_PACKED_EVENT_FLAG_ENABLE);
}

void packed_disable_kicks(struct virtqueue *vq)
{
	store_event(vq, 0, VRING_PACKED_EVENT_FLAG_DISABLE);
}
