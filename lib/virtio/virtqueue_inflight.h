/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Chains in flight, noted in memory that outlives the process (vhost-user's INFLIGHT_SHMFD): after a back-end
 * was killed, the one that comes after it knows which chains were taken and never given back.
 *
 * The layout is that of vhost-user.rst ("Inflight I/O tracking"), and so is the order of the stores. A
 * process that dies between any two of them has left one of these:
 *
 *  - A chain is being taken. Its entry says "in flight" last of all, and the ring's position is in our
 *    memory only: before that store the chain is still available, after it it is noted.
 *  - A burst is being shown. Split: the heads of the burst are linked (last_batch_head, next), the used
 *    index goes up, the heads are no longer in flight, used_idx follows. While used_idx is not the used
 *    index, the burst was shown, and the heads linked are done, whatever their entries say.
 *    Packed: entries of the burst are linked into the free list (free_head, used_idx), the flags of the
 *    first used descriptor are stored, the entries are no longer in flight, and old_free_head,
 *    old_used_idx and old_used_wrap_counter follow. While old_used_idx is not used_idx, the ring itself
 *    tells: the descriptor at old_used_idx has the USED flag of that round (also if the driver has made
 *    it available again since), then the burst was shown; or it has not, then it was not.
 *
 * So a chain is given back just once, and taken again by the next process if it was not given back. What a chain
 * asked for may be carried out twice; its driver waits for it all the time.
 *
 * Chains that were pushed and not shown (virtqueue_push() without virtqueue_notify()) are in flight. They stay
 * so in a list of this process (`pending`), for a free entry could be taken by the next chain.
 *
 * The region is shared with the front-end and hostile: what hangs on it is kept in copies here, which are
 * made and checked when the queue starts.
 */
#ifndef TENON_VIRTIO_VIRTQUEUE_INFLIGHT_H
#define TENON_VIRTIO_VIRTQUEUE_INFLIGHT_H

#include <stdbool.h>
#include <stdint.h>

struct virtqueue;
struct virtqueue_chain;

struct virtqueue_again {
	uint64_t counter;
	uint16_t entry;
};

/* Of one queue, from virtqueue_start() to virtqueue_stop(). */
struct virtqueue_inflight {
	void *region; /* set by the owner, with the next one; aligned to 8 */
	uint64_t bytes;

	uint16_t size;
	bool packed;
	bool resumed;      /* a process before us began it */
	uint64_t counter;  /* of the next chain */
	uint16_t *pending; /* entries of chains that were pushed and not shown */
	unsigned pending_count;
	struct virtqueue_again *again; /* left by a process before us, oldest first */
	unsigned again_count, again_next;

	/* Packed: lists of entries, the free ones and those of each chain. */
	uint16_t *next;
	uint16_t *slots; /* of the chain that begins here */
	uint16_t free_head;
	uint16_t cursor, last; /* of the chain being taken */
};

/* How long a region must be for a queue of `size`. */
uint64_t virtqueue_inflight_bytes(uint16_t size, bool packed);

/* The ring was given up in order, with nothing in flight, and whoever starts it again knows where: what the
 * region says of positions is not to be believed any more. */
void virtqueue_inflight_settle(struct virtqueue_inflight *inflight);

/* Whether chains are waiting to be popped again. */
static inline bool virtqueue_inflight_waiting(const struct virtqueue_inflight *inflight)
{
	return inflight->again_next < inflight->again_count;
}

/* ---- For virtqueue*.c ---- */

/* Takes the region over as it was left; the ring is set up, its positions are corrected here. -ENOSPC (too
 * short for the ring), -EINVAL (says what cannot be) or -ENOMEM. */
int virtqueue_inflight_start(struct virtqueue *vq);
void virtqueue_inflight_stop(struct virtqueue_inflight *inflight);

/* Packed: descriptor number `number` of a chain that is being taken. */
void virtqueue_inflight_copy(struct virtqueue *vq, unsigned number, uint64_t address,
			     uint32_t length, uint16_t flags, uint16_t id);
/* It was taken; sets chain->tracked. */
void virtqueue_inflight_taken(struct virtqueue *vq, struct virtqueue_chain *chain);
void virtqueue_inflight_rewind(struct virtqueue *vq, const struct virtqueue_chain *chains,
			       unsigned count);
/* The next one that is waiting: 1 or -EPROTO. */
int virtqueue_inflight_pop(struct virtqueue *vq, struct virtqueue_chain *chain);

static inline void virtqueue_inflight_used(struct virtqueue_inflight *inflight, uint16_t tracked)
{
	inflight->pending[inflight->pending_count++] = tracked;
}

/* Around the store that shows the driver all that is pending. */
void virtqueue_inflight_show_begin(struct virtqueue *vq);
void virtqueue_inflight_show_end(struct virtqueue *vq);

#endif
