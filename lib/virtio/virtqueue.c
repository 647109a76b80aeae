/* SPDX-License-Identifier: BSD-2-Clause */
/* The device side of a virtqueue, as far as both formats have it in common: see virtqueue.h. */
#include "virtio/virtqueue.h"

#include <errno.h>
#include <stdlib.h>

#include "util/bytes.h"
#include "util/event_guard.h"
#include "virtio/virtqueue_private.h"

void virtqueue_set_features(struct virtqueue *vq, uint64_t features)
{
	vq->packed = features >> VIRTIO_F_RING_PACKED & 1;
	vq->indirect = features >> VIRTIO_RING_F_INDIRECT_DESC & 1;
	vq->event_index = features >> VIRTIO_RING_F_EVENT_IDX & 1;
	vq->in_order = features >> VIRTIO_F_IN_ORDER & 1;
}

void virtqueue_init(struct virtqueue *vq, const struct guest_memory *memory, unsigned index,
		    uint64_t features)
{
	*vq = (struct virtqueue){
		.memory = memory,
		.index = index,
		.enabled = true,
		.kick_fd = -1,
		.call_fd = -1,
		.error_fd = -1,
	};
	virtqueue_set_features(vq, features);
}

/* As many places as a chain's `order`, modulo their number, tells apart. */
static int make_window(struct virtqueue *vq)
{
	unsigned places = 1;

	while (places < vq->size)
		places *= 2;
	vq->window = calloc(places, sizeof(*vq->window));
	vq->window_mask = (uint16_t)(places - 1);
	return vq->window ? 0 : -ENOMEM;
}

int virtqueue_start(struct virtqueue *vq, uint16_t size, uint64_t desc, uint64_t avail,
		    uint64_t used, uint32_t base)
{
	int rc;

	virtqueue_stop(vq);
	if (!size || size > VIRTQUEUE_MAX_SIZE || (!vq->packed && !is_power_of_two(size)))
		return -EINVAL;
	vq->size = size;
	vq->region.size = 0;
	vq->desc_address = desc;
	vq->used_log = used;
	vq->used_checked_valid = false;
	vq->unshown = vq->popped = vq->returned = vq->early = 0;
	vq->unwritten_count = 0;
	vq->burst = 0;
	vq->in_flight = vq->slots_taken = 0;
	rc = vq->packed ? packed_start(vq, desc, avail, used, base)
			: split_start(vq, desc, avail, used, base);
	if (rc == 0 && vq->inflight)
		rc = virtqueue_inflight_start(vq);
	if (rc == 0 && vq->in_order)
		rc = make_window(vq);
	vq->plain = !vq->in_order && !vq->inflight;
	if (rc == 0)
		vq->broken = NULL;
	return rc;
}

void virtqueue_stop(struct virtqueue *vq)
{
	free(vq->window);
	vq->window = NULL;
	if (vq->inflight)
		virtqueue_inflight_stop(vq->inflight);
}

static void signal_driver(struct virtqueue *vq)
{
	/* A closed one belongs to a peer whose hang-up shows elsewhere. */
	if (event_give(vq->call_fd) == -EINTR)
		virtqueue_break(vq, "its call eventfd is full and held who wrote to it");
	virtqueue_count(&vq->counters.signals, 1);
}

void virtqueue_resume_in_order(struct virtqueue *vq)
{
	if (vq->packed)
		packed_resume_in_order(vq);
	else
		vq->last_avail = vq->avail_seen = vq->used_next;
	/* Who was here before us may have ended between showing a chain and telling of it. */
	if (!vq->was_ours && virtqueue_resumed(vq) && vq->call_fd >= 0)
		signal_driver(vq);
}

uint32_t virtqueue_base(const struct virtqueue *vq)
{
	return vq->packed ? packed_base(vq) : vq->last_avail;
}

bool virtqueue_resumed(const struct virtqueue *vq)
{
	return (vq->inflight && vq->inflight->resumed) ||
	       virtqueue_base(vq) != (vq->packed ? VIRTQUEUE_BASE_PACKED : VIRTQUEUE_BASE_SPLIT);
}

/* ---- Orders that ThreadSanitizer cannot see ---- */

/* Buffers that one queue has given back may come by another: between them is the driver, in memory of its own. */
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#define DRIVER_GIVES(vq) __tsan_acquire((void *)(uintptr_t)(vq)->memory)
#define DRIVER_TAKES(vq) __tsan_release((void *)(uintptr_t)(vq)->memory)
#else
#define DRIVER_GIVES(vq) ((void)0)
#define DRIVER_TAKES(vq) ((void)0)
#endif

/* ---- Taking ---- */

/* With an in-flight region. */
static int pop_tracked(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	int got;

	if (!virtqueue_inflight_waiting(vq->inflight)) {
		got = vq->packed ? packed_pop(vq, chain) : split_pop(vq, chain);
		chain->again = false;
		if (got > 0)
			virtqueue_inflight_taken(vq, chain);
		return got;
	}
	/* One that a process before us had; its slots count as taken since the start. */
	chain->again = true;
	got = virtqueue_inflight_pop(vq, chain);
	if (got > 0)
		virtqueue_count(&vq->counters.resubmitted, 1);
	return got > 0 ? virtqueue_took(vq, chain) : got;
}

int virtqueue_pop(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	DRIVER_GIVES(vq);
	if (vq->broken)
		return 0;
	if (vq->inflight)
		return pop_tracked(vq, chain);
	return vq->packed ? packed_pop(vq, chain) : split_pop(vq, chain);
}

/* One by one, where each has to be noted. */
static unsigned pop_burst_tracked(struct virtqueue *vq, struct virtqueue_space *space,
				  struct virtqueue_chain *chains, unsigned count)
{
	unsigned taken = 0;

	while (taken < count && virtqueue_chain_fits(space, &chains[taken]) &&
	       pop_tracked(vq, &chains[taken]) > 0) {
		unsigned used = chains[taken].readable + chains[taken].writable + space->gap;

		space->iov += used;
		space->capacity -= used;
		taken++;
	}
	return taken;
}

unsigned virtqueue_pop_burst(struct virtqueue *vq, struct virtqueue_space *space,
			     struct virtqueue_chain *chains, unsigned count)
{
	unsigned taken;

	DRIVER_GIVES(vq);
	if (vq->broken)
		return 0;
	if (vq->inflight)
		return pop_burst_tracked(vq, space, chains, count);
	taken = vq->packed ? packed_pop_burst(vq, space, chains, count)
			   : split_pop_burst(vq, space, chains, count);
	vq->burst = (uint16_t)taken;
	if (taken)
		virtqueue_count(&vq->counters.chains, taken);
	return taken;
}

unsigned virtqueue_prefetch(struct virtqueue *vq, unsigned count)
{
	if (!virtqueue_available(vq))
		return 0;
	if (vq->inflight && virtqueue_inflight_waiting(vq->inflight))
		return count;
	return vq->packed ? packed_prefetch(vq, count) : split_prefetch(vq, count);
}

void virtqueue_rewind(struct virtqueue *vq, const struct virtqueue_chain *chains, unsigned count)
{
	unsigned slots = 0, from_ring = 0;

	/* What a process before us took does not go back to the ring: its slots stay taken, and it waits to be popped again. */
	for (unsigned i = 0; i < count; i++) {
		if (vq->inflight && chains[i].again)
			continue;
		slots += chains[i].slots;
		from_ring++;
	}
	if (vq->inflight) {
		virtqueue_inflight_rewind(vq, chains, count);
		virtqueue_count(&vq->counters.resubmitted, -(uint64_t)(count - from_ring));
	}
	if (vq->packed)
		packed_rewind(vq, slots);
	else
		vq->last_avail -= (uint16_t)from_ring;
	vq->popped -= (uint16_t)count;
	vq->in_flight -= (uint16_t)count;
	vq->slots_taken -= (uint16_t)slots;
	virtqueue_count(&vq->counters.chains, -(uint64_t)count);
}

/* ---- Giving back ---- */

/* The pieces are in host memory; the log is of guest addresses. */
static void note_pieces(const struct virtqueue *vq, const struct virtqueue_chain *chain)
{
	for (unsigned i = chain->readable; i < chain->readable + chain->writable; i++)
		guest_memory_note_host(vq->memory, chain->iov[i].iov_base, chain->iov[i].iov_len);
}

static inline void use(struct virtqueue *vq, uint16_t head, uint16_t slots, uint16_t tracked,
		       uint32_t written)
{
	if (vq->packed) {
		packed_use(vq, head, slots, written);
	} else {
		split_note(vq, &vq->used->ring[vq->used_next & (vq->size - 1)],
			   sizeof(vring_used_elem_t));
		split_use(vq, head, written);
	}
	vq->slots_taken -= slots;
	if (vq->inflight)
		virtqueue_inflight_used(vq->inflight, tracked);
}

/* Keeps it until all that were taken before it are back. */
static void use_in_order(struct virtqueue *vq, const struct virtqueue_chain *chain,
			 uint32_t written)
{
	struct virtqueue_done *next = &vq->window[chain->order & vq->window_mask];

	if (!vq->early && chain->order == vq->returned) {
		vq->returned++;
		use(vq, chain->head, chain->slots, chain->tracked, written);
		return;
	}
	*next = (struct virtqueue_done){ true, chain->head, chain->slots, chain->tracked, written };
	vq->early++;
	while ((next = &vq->window[vq->returned & vq->window_mask])->done) {
		next->done = false;
		vq->returned++;
		vq->early--;
		use(vq, next->head, next->slots, next->tracked, next->written);
	}
}

static __attribute__((noinline)) void push_slowly(struct virtqueue *vq,
						  const struct virtqueue_chain *chain,
						  uint32_t written)
{
	if (vq->broken)
		return;
	if (vq->memory->log)
		note_pieces(vq, chain);
	if (vq->in_order)
		use_in_order(vq, chain, written);
	else
		use(vq, chain->head, chain->slots, chain->tracked, written);
}

void virtqueue_push(struct virtqueue *vq, const struct virtqueue_chain *chain, uint32_t written)
{
	DRIVER_TAKES(vq);
	vq->in_flight--;
	if (!vq->plain || vq->broken || vq->memory->log) {
		push_slowly(vq, chain, written);
		return;
	}
	vq->slots_taken -= chain->slots;
	if (vq->packed)
		packed_use(vq, chain->head, chain->slots, written);
	else
		split_use(vq, chain->head, written);
}

/*
 * The oldest chains of a queue that is used in order: one used entry, which names the last, tells of all (virtio 1.2, 2.7.9 and
 * 2.8.9), and the place of each of them in the ring is passed over.
 */
static void use_together(struct virtqueue *vq, const struct virtqueue_chain *chains, unsigned count)
{
	unsigned slots = 0;

	for (unsigned i = 0; i < count; i++)
		slots += chains[i].slots;
	vq->returned += (uint16_t)count;
	use(vq, chains[count - 1].head, (uint16_t)slots, chains[count - 1].tracked, 0);
	for (unsigned i = 0; vq->inflight && i < count - 1; i++)
		virtqueue_inflight_used(vq->inflight, chains[i].tracked);
	if (vq->packed)
		return;
	vq->used_next += (uint16_t)(count - 1);
	vq->unshown += (uint16_t)(count - 1);
}

/* Whether no chain that was taken before them, or between them, is still away. */
static bool are_oldest(const struct virtqueue *vq, const struct virtqueue_chain *chains,
		       unsigned count)
{
	return !vq->early && chains[0].order == vq->returned &&
	       chains[count - 1].order == (uint16_t)(vq->returned + count - 1);
}

void virtqueue_push_burst(struct virtqueue *vq, const struct virtqueue_chain *chains,
			  const uint32_t *written, unsigned count)
{
	bool simple = !vq->broken && !vq->memory->log && count;
	bool oldest = simple && vq->in_order && are_oldest(vq, chains, count);

	DRIVER_TAKES(vq);
	if (oldest && count > 1 && !written) {
		vq->in_flight -= (uint16_t)count;
		use_together(vq, chains, count);
	} else if (simple && !vq->inflight && (!vq->in_order || oldest)) {
		vq->in_flight -= (uint16_t)count;
		vq->returned += (uint16_t)count;
		if (vq->packed)
			packed_use_burst(vq, chains, written, count);
		else
			split_use_burst(vq, chains, written, count);
	} else {
		for (unsigned i = 0; i < count; i++)
			virtqueue_push(vq, &chains[i], written ? written[i] : 0);
	}
}

void virtqueue_notify(struct virtqueue *vq)
{
	bool wanted;

	if (!vq->unshown)
		return;
	if (vq->inflight)
		virtqueue_inflight_show_begin(vq);
	wanted = vq->packed ? packed_show(vq) : split_show(vq);
	if (vq->inflight)
		virtqueue_inflight_show_end(vq);
	if (wanted && vq->call_fd >= 0)
		signal_driver(vq);
	else
		virtqueue_count(&vq->counters.suppressed, 1);
}

/* ---- Kicks ---- */

bool virtqueue_available(struct virtqueue *vq)
{
	if (vq->broken)
		return false;
	if (vq->inflight && virtqueue_inflight_waiting(vq->inflight))
		return true;
	return vq->packed ? packed_available(vq) : split_available(vq);
}

unsigned virtqueue_offered(const struct virtqueue *vq)
{
	if (vq->broken)
		return 0;
	return vq->packed ? packed_offered(vq) : split_offered(vq);
}

bool virtqueue_enable_kicks(struct virtqueue *vq)
{
	if (vq->broken)
		return false;
	if (vq->packed)
		packed_enable_kicks(vq);
	else
		split_enable_kicks(vq);
	/* Ordering 3b: the driver sees our wish before we look at its index a last time. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return virtqueue_available(vq);
}

void virtqueue_disable_kicks(struct virtqueue *vq)
{
	if (vq->broken)
		return;
	if (vq->packed)
		packed_disable_kicks(vq);
	else
		split_disable_kicks(vq);
}
