/*
 * The device side of a virtqueue: a split ring (virtio 1.2, 2.7) with indirect descriptors and event
 * index, over guest memory. No I/O framework below it: it runs over a plain buffer in a unit test.
 *
 * A device, in bursts:
 *
 *	while ((got = virtqueue_pop(vq, &chain)) > 0) {
 *		... read chain.iov[0 .. readable), fill chain.iov[readable .. readable + writable) ...
 *		virtqueue_push(vq, chain.head, written);
 *	}
 *	virtqueue_notify(vq);
 *
 * Chains may be pushed in any order and much later. virtqueue_push() only writes used entries;
 * virtqueue_notify() shows all of them to the driver at once and signals it at most once.
 *
 * Kicks. A device that polls says virtqueue_disable_kicks(); before it sleeps it says
 * virtqueue_enable_kicks() and sleeps only if that returned false.
 *
 * Everything in the ring is the driver's and hostile. A ring that breaks the rules is *broken*:
 * virtqueue_pop() says -EPROTO once, with the reason in `broken`, and the error eventfd is signalled;
 * from then on the queue gives nothing and pushes nothing, until it is set up anew. Chains that were
 * in flight may still be pushed (it does nothing).
 *
 * Threads: one at a time, except that `call_fd` may be replaced under a running queue by dup2().
 *
 * Memory ordering. The ring is shared with a driver on another processor, so three orderings are
 * needed (virtio 1.2, 2.7.13 and 2.7.14); the C11 fences named here are in virtqueue.c:
 *  1. The available index is loaded with *acquire*: what the driver wrote before it moved the index
 *     (ring entries, descriptors, buffers) is seen after the load.
 *  2. The used index is stored with *release*: used entries and buffers are seen by whoever sees it.
 *  3. Store-then-load pairs need a *full* fence, for a processor may move a later load before an
 *     earlier store: (a) between storing the used index and loading used_event or the driver's flags;
 *     else the driver arms its event after our load and before it sees our store, and both sides
 *     wait; (b) between storing avail_event (or our flags) and loading the available index again,
 *     which is the same race in the other direction.
 * Loads and stores of ring fields are single relaxed atomics, so the compiler reads each once.
 */
#ifndef TENON_VIRTIO_VIRTQUEUE_H
#define TENON_VIRTIO_VIRTQUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "virtio/guest_memory.h"

#define VIRTQUEUE_MAX_SIZE 32768

/* The longest chain taken, in descriptors. The standard bounds a chain by the queue size, but Linux
 * goes past that with indirect tables where a device's seg_max lets it, so an indirect table may be
 * this long in a smaller queue; direct descriptors are bounded by the queue size. */
#define VIRTQUEUE_MAX_CHAIN 1024

/* The virtio feature bits that this layer implements; a device offers them beside its own. */
#define VIRTQUEUE_FEATURES                                                                         \
	(1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RING_F_INDIRECT_DESC |                        \
	 1ULL << VIRTIO_RING_F_EVENT_IDX)

/*
 * A descriptor chain, translated. The caller gives `iov` and its `capacity` (pieces; a descriptor that
 * lies across two regions takes two); virtqueue_pop() fills in the rest. Empty descriptors are left
 * out. Lengths sum up to less than 4 GiB each.
 */
struct virtqueue_chain {
	struct iovec *iov;
	unsigned capacity;

	uint16_t head;     /* names the chain in virtqueue_push() */
	unsigned readable; /* pieces the device reads: iov[0 .. readable) */
	unsigned writable; /* pieces it writes: iov[readable .. readable + writable) */
	uint32_t readable_bytes;
	uint32_t writable_bytes;
};

struct virtqueue_counters {
	uint64_t kicks;      /* kicks taken, as told by virtqueue_count_kick() */
	uint64_t chains;     /* popped */
	uint64_t signals;    /* written to call_fd */
	uint64_t suppressed; /* notifications that the driver did not want */
};

struct virtqueue {
	const struct guest_memory *memory;
	unsigned index; /* which queue of the device; for messages */
	uint16_t size;  /* a power of two, 1 to VIRTQUEUE_MAX_SIZE */
	bool indirect;  /* negotiated */
	bool event_index;
	bool enabled;       /* vhost-user's SET_VRING_ENABLE; for the device to look at */
	const char *broken; /* why; NULL while all is well */

	/* Eventfds, -1 for none. Whoever set them closes them. */
	int kick_fd;
	int call_fd;
	int error_fd;

	/* The ring, in host memory. */
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;

	uint16_t last_avail;     /* the next available entry to take */
	uint16_t avail_seen;     /* the driver's available index when last loaded */
	uint16_t used_next;      /* where the next used entry goes */
	uint16_t used_shown;     /* the used index that the driver sees */
	uint16_t used_checked;   /* used_shown when it was last compared with used_event */
	bool used_checked_valid; /* false until the first comparison: then signal in any case */
	uint16_t in_flight;      /* chains popped and not pushed */
	struct virtqueue_counters counters;
};

/* A stopped queue over `memory`, with `features` (negotiated virtio bits), no ring and no eventfds. */
void virtqueue_init(struct virtqueue *vq, const struct guest_memory *memory, unsigned index,
		    uint64_t features);

/*
 * Sets up the ring: its size and the guest addresses of its parts. -EINVAL (size no power of two, or
 * too large; misaligned), -EFAULT (a part is not inside one region).
 * The device starts at `last_avail` of the available ring, and at the used ring's own index.
 */
int virtqueue_start(struct virtqueue *vq, uint16_t size, uint64_t desc, uint64_t avail,
		    uint64_t used, uint16_t last_avail);

/* The parts' sizes in bytes. */
static inline uint64_t virtqueue_desc_bytes(uint16_t size)
{
	return 16ULL * size;
}
static inline uint64_t virtqueue_avail_bytes(uint16_t size)
{
	return 6 + 2ULL * size;
}
static inline uint64_t virtqueue_used_bytes(uint16_t size)
{
	return 6 + 8ULL * size;
}

/* Takes the next chain: 1, 0 if there is none (or the queue was broken before), -EPROTO if the queue
 * is broken from now on. */
int virtqueue_pop(struct virtqueue *vq, struct virtqueue_chain *chain);

/* Puts the last `count` popped chains back, to be popped again. They must be the last ones popped, and
 * none of them pushed. */
void virtqueue_rewind(struct virtqueue *vq, unsigned count);

/* Gives a chain back, with the number of bytes written to its writable part (from its start on). The
 * driver sees it at the next virtqueue_notify(). */
void virtqueue_push(struct virtqueue *vq, uint16_t head, uint32_t written);

/* Shows the driver all that was pushed, and signals it if it wants to know. */
void virtqueue_notify(struct virtqueue *vq);

/* Whether virtqueue_notify() has anything to do. */
static inline bool virtqueue_notify_pending(const struct virtqueue *vq)
{
	return vq->used_next != vq->used_shown;
}

/* Whether the driver has made a chain available; one load from the ring. */
bool virtqueue_available(struct virtqueue *vq);

/* Asks the driver for kicks; true if chains came meanwhile, so that the device should not sleep. */
bool virtqueue_enable_kicks(struct virtqueue *vq);
/* Tells the driver that kicks are not needed (a hint, some will come all the same). */
void virtqueue_disable_kicks(struct virtqueue *vq);

/* Declares the queue broken: for devices, when a chain makes no sense to them. `reason` is a string
 * constant. */
void virtqueue_break(struct virtqueue *vq, const char *reason);

static inline void virtqueue_count_kick(struct virtqueue *vq)
{
	vq->counters.kicks++;
}

#endif
