/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device side of a virtqueue (virtio 1.2, 2.6 to 2.8): split and packed rings behind one interface,
 * each with indirect descriptors, event index and in-order use, over guest memory. No I/O framework
 * below it: it runs over a plain buffer in a unit test.
 *
 * A device, in bursts:
 *
 *	burst = virtqueue_prefetch(vq, burst);
 *	while (burst-- && (got = virtqueue_pop(vq, &chain)) > 0) {
 *		... read chain.iov[0 .. readable), fill chain.iov[readable .. readable + writable) ...
 *		virtqueue_push(vq, &chain, written);
 *	}
 *	virtqueue_notify(vq);
 *
 * or, with less for each chain, virtqueue_pop_burst() and virtqueue_push_burst().
 *
 * Chains may be pushed in any order and much later; what is pushed is the chain that was popped, with
 * its pieces. virtqueue_push() only writes used entries; virtqueue_notify() shows all of them to the
 * driver at once and signals it at most once. If the driver was promised that buffers are used in order,
 * a chain that is pushed early waits here for those before it.
 *
 * Kicks. A device that polls says virtqueue_disable_kicks(); before it sleeps it says
 * virtqueue_enable_kicks() and sleeps only if that returned false.
 *
 * Everything in the ring is the driver's and hostile. A ring that breaks the rules is *broken*:
 * virtqueue_pop() says -EPROTO once, with the reason in `broken`, and the error eventfd is signalled;
 * from then on the queue gives nothing and pushes nothing, until it is set up anew. Chains that were
 * in flight may still be pushed (it does nothing).
 *
 * In flight. With a region of virtqueue_inflight.h, which outlives this process, each chain is noted there
 * from pop to notify; virtqueue_start() finds those that a process before us took and never gave back, and
 * virtqueue_pop() gives them first, in the order in which they were taken.
 *
 * Dirty log. While `memory->log` is set, what is written into guest memory is noted in it: used entries
 * and event fields here, and the whole writable part of each chain at its push (a device may have written
 * more than it says: a disk's read that failed half way). Chains keep their writable pieces until then.
 *
 * Threads: one at a time, except that `call_fd` may be replaced under a running queue by dup2().
 *
 * Memory ordering. The ring is shared with a driver on another processor, so three orderings are
 * needed (virtio 1.2, 2.7.13, 2.7.14 and 2.8.21); the C11 fences named here are in virtqueue_split.c and
 * virtqueue_packed.c:
 *  1. The available index (packed: a descriptor's flags) is loaded with *acquire*: what the driver wrote
 *     before (ring entries, descriptors, buffers) is seen after the load.
 *  2. The used index (packed: the flags of the first used descriptor shown) is stored with *release*: used
 *     entries and buffers are seen by whoever sees it.
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

struct virtqueue_inflight;

#define VIRTQUEUE_MAX_SIZE 32768

/* The longest chain taken, in descriptors. The standard bounds a chain by the queue size, but Linux
 * goes past that with indirect tables where a device's seg_max lets it, so an indirect table may be
 * this long in a smaller queue; direct descriptors are bounded by the queue size. */
#define VIRTQUEUE_MAX_CHAIN 1024

/* The virtio feature bits that this layer implements; a device offers them beside its own. In-order use is
 * apart, for it makes a quick request wait for the slow one before it: for devices that work in order. */
#define VIRTQUEUE_FEATURES                                                                         \
	(1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RING_F_INDIRECT_DESC |                        \
	 1ULL << VIRTIO_RING_F_EVENT_IDX | 1ULL << VIRTIO_F_RING_PACKED)
#define VIRTQUEUE_IN_ORDER (1ULL << VIRTIO_F_IN_ORDER)

/*
 * A descriptor chain, translated. The caller gives `iov` and its `capacity` (pieces; a descriptor that
 * lies across two regions takes two); virtqueue_pop() fills in the rest. Empty descriptors are left
 * out. Lengths sum up to less than 4 GiB each.
 */
struct virtqueue_chain {
	struct iovec *iov;
	unsigned capacity;

	unsigned readable; /* pieces the device reads: iov[0 .. readable) */
	unsigned writable; /* pieces it writes: iov[readable .. readable + writable) */
	uint32_t readable_bytes;
	uint32_t writable_bytes;

	/* The queue's. */
	uint16_t head;    /* the driver's name for it: its first descriptor, or its buffer id */
	uint16_t slots;   /* entries of the descriptor ring that it takes; 1 in a split ring */
	uint16_t order;   /* the how manieth it is, modulo 2^16 */
	uint16_t tracked; /* its entry in the in-flight region */
	bool again;       /* with one: a process before us took it from the ring */
};

/* Where the pieces of a burst of chains go, one chain's behind the other's. */
struct virtqueue_space {
	struct iovec *iov;
	unsigned capacity; /* pieces there */
	unsigned gap;      /* pieces that stay free before those of each chain */
	unsigned
		longest; /* pieces that a chain may have: where there is less room, no more are taken */
};

struct virtqueue_counters {
	uint64_t kicks;      /* kicks taken, as told by virtqueue_count_kick() */
	uint64_t chains;     /* popped */
	uint64_t signals;    /* written to call_fd */
	uint64_t suppressed; /* notifications that the driver did not want */
	uint64_t
		resubmitted; /* popped a second time, because a process before us ended with them */
};

/* A used entry of a packed ring that is still to be written: see virtqueue_packed.c. */
struct virtqueue_unwritten {
	uint32_t written;
	uint16_t id, flags, position;
};
#define VIRTQUEUE_UNWRITTEN 32

/* A chain that was pushed before one that was popped earlier; only with in-order use. */
struct virtqueue_done {
	bool done;
	uint16_t head, slots, tracked;
	uint32_t written;
};

struct virtqueue {
	const struct guest_memory *memory;
	unsigned index; /* which queue of the device; for messages */
	uint16_t size;  /* 1 to VIRTQUEUE_MAX_SIZE; a power of two in a split ring */
	bool packed;    /* negotiated, as are the next three */
	bool indirect;
	bool event_index;
	bool in_order;
	bool plain;         /* in any order, not tracked: what is pushed needs no more */
	bool enabled;       /* vhost-user's SET_VRING_ENABLE; for the device to look at */
	bool was_ours;      /* `base` is where this process left the ring */
	const char *broken; /* why; NULL while all is well */

	/* Eventfds, -1 for none. Whoever set them closes them. */
	int kick_fd;
	int call_fd;
	int error_fd;

	/* The ring, in host memory, and where it is in the guest's. */
	union {
		struct {
			struct vring_desc *desc;
			struct vring_avail *avail;
			struct vring_used *used;
		};
		struct {
			struct vring_packed_desc *ring;
			struct vring_packed_desc_event *driver_event;
			struct vring_packed_desc_event *device_event;
		};
	};
	/* The region of the last buffer: a good guess for the next. Memory does not change under a queue that
	 * runs. */
	struct {
		uint64_t guest_address, size;
		uint8_t *host;
	} region;
	uint64_t desc_address;
	uint64_t used_log; /* where writes to the used ring, or to our event area, are noted */

	uint16_t last_avail; /* the next available entry to take */
	uint16_t avail_seen; /* split: the driver's available index when last loaded */
	uint16_t used_next;  /* where the next used entry goes */
	uint16_t used_shown; /* the same, as far as the driver sees it */
	bool avail_wrap;     /* packed: the wrap counters of last_avail, used_next, used_shown */
	bool used_wrap;
	bool shown_wrap;
	uint16_t unshown; /* entries between used_shown and used_next */
	uint16_t burst;   /* packed: how many chains the last burst had */
	uint16_t
		used_checked; /* split: used_shown when it was last compared with the driver's event */
	bool used_checked_valid; /* false until the first comparison: then signal in any case */
	uint16_t popped;         /* chains, modulo 2^16 */
	uint16_t in_flight;      /* chains popped and not pushed */
	uint16_t slots_taken;    /* entries of the descriptor ring that are with us */

	struct virtqueue_done *window; /* in-order: by `order`, as many as fit the size */
	uint16_t window_mask;
	uint16_t returned; /* in-order: chains given back */
	uint16_t early;    /* in-order: chains that wait in the window for those before them */

	/* Packed: used entries between used_shown and used_next, those of them that are not in the ring. The first one of a burst is
	 * `first`, and is written when the burst is shown. */
	struct virtqueue_unwritten first, unwritten[VIRTQUEUE_UNWRITTEN];
	unsigned unwritten_count;

	struct virtqueue_inflight *inflight; /* or NULL; set before virtqueue_start() */
	struct virtqueue_counters counters;
};

/* A stopped queue over `memory`, with `features` (negotiated virtio bits), no ring and no eventfds. */
void virtqueue_init(struct virtqueue *vq, const struct guest_memory *memory, unsigned index,
		    uint64_t features);
/* Other features, while it is stopped. */
void virtqueue_set_features(struct virtqueue *vq, uint64_t features);

/*
 * Sets up the ring: its size and the guest addresses of its parts (descriptors; what the driver writes:
 * the available ring or its event area; what the device writes: the used ring or its event area). -EINVAL
 * (a size that cannot be; a base outside the ring; misaligned), -EFAULT (a part is not inside one region),
 * -ENOSPC (the in-flight region is too short for this size), -ENOMEM.
 *
 * The device starts at `base`, as virtqueue_base() gave it. For a split ring that is the next available
 * entry; the used ring's index is in the ring itself. For a packed ring it is (vhost-user.rst, "vring
 * state") the next available entry in bits 0 to 14 with its wrap counter in bit 15, and the same of the used
 * position in bits 16 to 31; all of these zero: as for the available one. Where an in-flight region tells
 * of chains, it is believed and `base` is not.
 */
int virtqueue_start(struct virtqueue *vq, uint16_t size, uint64_t desc, uint64_t avail,
		    uint64_t used, uint32_t base);
uint32_t virtqueue_base(const struct virtqueue *vq);
/* Of a device that gives chains back in the order in which it takes them, behind virtqueue_start(): a split ring says itself how far it was served,
 * and is believed where `base` says another thing. DPDK's virtio-user says 0 after a back-end was killed. So does QEMU of packed rings, whose entries are
 * asked where indirect tables were negotiated (with these drivers make chains of one entry) and the ring is not of VIRTIO_F_IN_ORDER
 * (virtqueue_packed_find.c); what they say counts where it is one thing, and the ring is not as this process left it (`was_ours`). The driver is
 * signalled, for that one may have been killed before it did. */
void virtqueue_resume_in_order(struct virtqueue *vq);
/* Whether its driver was served before virtqueue_start(), perhaps by another process. Without an in-flight region that
 * cannot be told where it stands as at the beginning. */
bool virtqueue_resumed(const struct virtqueue *vq);
/* Frees what virtqueue_start() allocated. It may be started again. */
void virtqueue_stop(struct virtqueue *vq);

/* Where a new ring begins. */
#define VIRTQUEUE_BASE_SPLIT  0u
#define VIRTQUEUE_BASE_PACKED 0x80008000u

/* The parts' sizes in bytes. */
static inline uint64_t virtqueue_desc_bytes(uint16_t size)
{
	return 16ULL * size;
}
static inline uint64_t virtqueue_avail_bytes(uint16_t size, bool packed)
{
	return packed ? sizeof(struct vring_packed_desc_event) : 6 + 2ULL * size;
}
static inline uint64_t virtqueue_used_bytes(uint16_t size, bool packed)
{
	return packed ? sizeof(struct vring_packed_desc_event) : 6 + 8ULL * size;
}

/* Takes the next chain: 1, 0 if there is none (or the queue was broken before), -EPROTO if the queue
 * is broken from now on. */
int virtqueue_pop(struct virtqueue *vq, struct virtqueue_chain *chain);

/*
 * Takes the next chains, at most `count`, as virtqueue_pop() does one after the other, and has the processor fetch the beginnings
 * of their buffers. Their pieces go into `space`, which is what is left of it then. Returns how many it took; when that breaks the
 * queue, it says so in `broken`.
 */
unsigned virtqueue_pop_burst(struct virtqueue *vq, struct virtqueue_space *space,
			     struct virtqueue_chain *chains, unsigned count);

/* Has the processor fetch the descriptors of the next `count` chains, while it is busy with others. Returns how
 * many chains there can be, at most `count`: 0 if there is none. */
unsigned virtqueue_prefetch(struct virtqueue *vq, unsigned count);

/* Puts the last `count` popped chains back, to be popped again. They must be the last ones popped, in
 * this order, none of them pushed, and nothing pushed since the first of them was popped. */
void virtqueue_rewind(struct virtqueue *vq, const struct virtqueue_chain *chains, unsigned count);

/* Gives a chain back, with the number of bytes written to its writable part (from its start on). The
 * driver sees it at the next virtqueue_notify(). */
void virtqueue_push(struct virtqueue *vq, const struct virtqueue_chain *chain, uint32_t written);

/* Gives back the last `count` popped chains, in that order, with the numbers of bytes written to them; NULL: nothing to any. */
void virtqueue_push_burst(struct virtqueue *vq, const struct virtqueue_chain *chains,
			  const uint32_t *written, unsigned count);

/* Shows the driver all that was pushed, and signals it if it wants to know. */
void virtqueue_notify(struct virtqueue *vq);

/* Whether virtqueue_notify() has anything to do. */
static inline bool virtqueue_notify_pending(const struct virtqueue *vq)
{
	return vq->unshown;
}

/* Whether there is a chain to pop; one load from the ring. */
bool virtqueue_available(struct virtqueue *vq);

/* About how many buffers the driver has there for the device: chains of a split ring, descriptors of a packed one. It may say what it likes. */
unsigned virtqueue_offered(const struct virtqueue *vq);

/* Asks the driver for kicks; true if chains came meanwhile, so that the device should not sleep. */
bool virtqueue_enable_kicks(struct virtqueue *vq);
/* Tells the driver that kicks are not needed (a hint, some will come all the same). */
void virtqueue_disable_kicks(struct virtqueue *vq);

/* Declares the queue broken: for devices, when a chain makes no sense to them. `reason` is a string
 * constant. */
void virtqueue_break(struct virtqueue *vq, const char *reason);

/* Counters have one writer, and may be read from other threads. */
static inline void virtqueue_count(uint64_t *counter, uint64_t more)
{
	__atomic_store_n(counter, *counter + more, __ATOMIC_RELAXED);
}

static inline uint64_t virtqueue_counted(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static inline void virtqueue_count_kick(struct virtqueue *vq)
{
	virtqueue_count(&vq->counters.kicks, 1);
}

#endif
