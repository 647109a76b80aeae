/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared by the files of the device side of a virtqueue:
 *
 *	virtqueue.c		setting up, in-order use, what both formats have
 *	virtqueue_split.c	split rings
 *	virtqueue_packed.c	packed rings
 *	virtqueue_chain.c	buffers of a chain, indirect tables, what breaks a queue
 *	virtqueue_inflight.c	chains that outlive this process
 *
 * Ring fields are little-endian (VERSION_1) and loaded once each, with the helpers below.
 */
#ifndef TENON_VIRTIO_VIRTQUEUE_PRIVATE_H
#define TENON_VIRTIO_VIRTQUEUE_PRIVATE_H

#include <endian.h>

#include "virtio/dirty_log.h"
#include "virtio/virtqueue.h"
#include "virtio/virtqueue_inflight.h"

static inline uint16_t load16(const __virtio16 *at)
{
	return le16toh(__atomic_load_n(at, __ATOMIC_RELAXED));
}

static inline void store16(__virtio16 *at, uint16_t value)
{
	__atomic_store_n(at, htole16(value), __ATOMIC_RELAXED);
}

/* Has the processor fetch two lines, all of a small frame; a hint, whatever is there. */
static inline void fetch_to_read(const void *at, size_t length)
{
	__builtin_prefetch(at);
	if (length > 64)
		__builtin_prefetch((const uint8_t *)at + 64);
}

static inline void fetch_line_to_write(const void *at)
{
#ifdef __x86_64__
	/* Which the compiler leaves out where it is not told of the processor; the others take it for nothing. */
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)at));
#else
	__builtin_prefetch(at, 1);
#endif
}

static inline void fetch_to_write(const void *at, size_t length)
{
	fetch_line_to_write(at);
	if (length > 64)
		fetch_line_to_write((const uint8_t *)at + 64);
}

/* Notes a write of ours into guest memory. */
static inline void virtqueue_note(const struct virtqueue *vq, uint64_t guest_address,
				  uint64_t length)
{
	if (vq->memory->log)
		dirty_log_note(vq->memory->log, guest_address, length);
}

/* Breaks the queue; -EPROTO. */
int virtqueue_broken(struct virtqueue *vq, const char *reason);

/* ---- Chains ---- */

/* Gathers one chain: what has been found so far. */
struct chain_walk {
	struct virtqueue *vq;
	struct virtqueue_chain *chain;
	unsigned used;     /* pieces in chain->iov */
	unsigned readable; /* how many of them are */
	uint64_t read_bytes, write_bytes;
};

static inline struct chain_walk chain_walk_begin(struct virtqueue *vq,
						 struct virtqueue_chain *chain)
{
	return (struct chain_walk){ .vq = vq, .chain = chain };
}

static inline void chain_walk_end(const struct chain_walk *walk)
{
	walk->chain->readable = walk->readable;
	walk->chain->writable = walk->used - walk->readable;
	walk->chain->readable_bytes = (uint32_t)walk->read_bytes;
	walk->chain->writable_bytes = (uint32_t)walk->write_bytes;
}

/* A buffer that is empty, or not in the region of the last one, or wrong. */
const char *chain_add_slowly(struct chain_walk *walk, uint64_t address, uint32_t length,
			     bool writable);

/* Adds what a descriptor tells of, whose fields are the caller's copies; returns why it is wrong, or NULL.
 * Inline, for this is what a queue does most. */
static inline __attribute__((always_inline)) const char *chain_add_buffer(struct chain_walk *walk,
									  uint64_t address,
									  uint32_t length,
									  bool writable)
{
	const struct virtqueue *vq = walk->vq;
	uint64_t offset = address - vq->region.guest_address;
	struct iovec *iov = &walk->chain->iov[walk->used];

	if (__builtin_expect(offset >= vq->region.size || length > vq->region.size - offset ||
				     !length || walk->used >= walk->chain->capacity ||
				     (!writable && walk->used != walk->readable),
			     0))
		return chain_add_slowly(walk, address, length, writable);
	iov->iov_base = vq->region.host + offset;
	iov->iov_len = length;
	walk->used++;
	if (writable) {
		walk->write_bytes += length;
	} else {
		walk->readable++;
		walk->read_bytes += length;
	}
	return (walk->read_bytes | walk->write_bytes) >> 32 ? "a chain is longer than 4 GiB" : NULL;
}

/*
 * A whole chain of one buffer in the region of the last, which most are; the descriptor's fields are the caller's copies, and there is
 * room for a piece at `iov`. False, and nothing done: it is more, or wrong.
 */
static inline __attribute__((always_inline)) bool chain_of_one(const struct virtqueue *vq,
							       struct virtqueue_chain *chain,
							       struct iovec *iov, uint64_t address,
							       uint32_t length, uint16_t flags)
{
	uint64_t offset = address - vq->region.guest_address;
	bool writable = flags & VRING_DESC_F_WRITE;

	if (__builtin_expect((flags & (VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT)) ||
				     offset >= vq->region.size ||
				     length > vq->region.size - offset || !length,
			     0))
		return false;
	iov->iov_base = vq->region.host + offset;
	iov->iov_len = length;
	chain->iov = iov;
	chain->readable = !writable;
	chain->writable = writable;
	chain->readable_bytes = writable ? 0 : length;
	chain->writable_bytes = writable ? length : 0;
	return true;
}

/* Adds an indirect table. A packed ring's is a list; a split ring's is a chain of its own. */
const char *chain_add_table(struct chain_walk *walk, uint64_t address, uint32_t length,
			    uint16_t flags, bool packed);

/* A chain was taken, from the ring or again. */
static inline int virtqueue_took(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	chain->order = vq->popped++;
	vq->in_flight++;
	virtqueue_count(&vq->counters.chains, 1);
	return 1;
}

/* Of what is read the beginning decides what becomes of it; what is written is wanted for that. */
static inline void virtqueue_fetch(const struct iovec *iov, bool writable)
{
	if (writable)
		fetch_to_write(iov->iov_base, iov->iov_len);
	else
		fetch_to_read(iov->iov_base, iov->iov_len);
}

/* The same of one of a burst; the caller counts them. */
static inline void virtqueue_took_one(struct virtqueue *vq, struct virtqueue_space *space,
				      struct virtqueue_chain *chain)
{
	unsigned used = chain->readable + chain->writable;

	chain->order = vq->popped++;
	vq->in_flight++;
	if (used)
		virtqueue_fetch(&chain->iov[0], !chain->readable);
	space->iov += used + space->gap;
	space->capacity -= used + space->gap;
}

/* For how many chains of one buffer there is room. */
static inline unsigned virtqueue_room(const struct virtqueue_space *space)
{
	unsigned least = space->gap + space->longest;

	return space->capacity < least ? 0 : (space->capacity - least) / (space->gap + 1) + 1;
}

/* `count` chains of one buffer were taken, whose descriptors lie one behind the other. */
static inline void virtqueue_took_simple(struct virtqueue *vq, struct virtqueue_space *space,
					 unsigned count)
{
	space->iov += count * (space->gap + 1);
	space->capacity -= count * (space->gap + 1);
	vq->popped += (uint16_t)count;
	vq->in_flight += (uint16_t)count;
	vq->slots_taken += (uint16_t)count;
}

/* Has `chain` begin where there is room for it; false if there is not enough. */
static inline bool virtqueue_chain_fits(const struct virtqueue_space *space,
					struct virtqueue_chain *chain)
{
	if (space->capacity < space->gap + space->longest)
		return false;
	chain->iov = space->iov + space->gap;
	chain->capacity = space->capacity - space->gap;
	return true;
}

/* ---- Formats ---- */

int split_start(struct virtqueue *vq, uint64_t desc, uint64_t avail, uint64_t used, uint32_t base);
int split_pop(struct virtqueue *vq, struct virtqueue_chain *chain);
unsigned split_pop_burst(struct virtqueue *vq, struct virtqueue_space *space,
			 struct virtqueue_chain *chains, unsigned count);
int split_pop_head(struct virtqueue *vq, struct virtqueue_chain *chain);
void split_use_burst(struct virtqueue *vq, const struct virtqueue_chain *chains,
		     const uint32_t *written, unsigned count);
unsigned split_prefetch(struct virtqueue *vq, unsigned count);
bool split_show(struct virtqueue *vq);
bool split_available(const struct virtqueue *vq);
unsigned split_offered(const struct virtqueue *vq);
void split_enable_kicks(struct virtqueue *vq);
void split_disable_kicks(struct virtqueue *vq);

int packed_start(struct virtqueue *vq, uint64_t ring, uint64_t driver, uint64_t device,
		 uint32_t base);
int packed_pop(struct virtqueue *vq, struct virtqueue_chain *chain);
unsigned packed_pop_burst(struct virtqueue *vq, struct virtqueue_space *space,
			  struct virtqueue_chain *chains, unsigned count);
unsigned packed_prefetch(struct virtqueue *vq, unsigned count);
void packed_rewind(struct virtqueue *vq, unsigned slots);
void packed_use(struct virtqueue *vq, uint16_t id, uint16_t slots, uint32_t written);
/* Chains of a queue that needs no more for them; `written` of each, or NULL: nothing. */
void packed_use_burst(struct virtqueue *vq, const struct virtqueue_chain *chains,
		      const uint32_t *written, unsigned count);
bool packed_show(struct virtqueue *vq);
bool packed_available(const struct virtqueue *vq);
unsigned packed_offered(const struct virtqueue *vq);
void packed_enable_kicks(struct virtqueue *vq);
void packed_disable_kicks(struct virtqueue *vq);
uint32_t packed_base(const struct virtqueue *vq);
void packed_resume_in_order(struct virtqueue *vq);

/* Notes a write into the used ring. */
static inline void split_note(const struct virtqueue *vq, const void *at, uint64_t length)
{
	virtqueue_note(vq, vq->used_log + (uint64_t)((const uint8_t *)at - (uint8_t *)vq->used),
		       length);
}

/* Writes a used entry, which the caller notes. */
static inline void split_use(struct virtqueue *vq, uint16_t head, uint32_t written)
{
	vring_used_elem_t *entry = &vq->used->ring[vq->used_next & (vq->size - 1)];

	entry->id = htole32(head);
	entry->len = htole32(written);
	vq->used_next++;
	vq->unshown++;
}

/* Moves a position of a packed ring on. */
static inline void packed_advance(const struct virtqueue *vq, uint16_t *position, bool *wrap,
				  unsigned slots)
{
	unsigned next = *position + slots;

	if (next >= vq->size) {
		next -= vq->size;
		*wrap = !*wrap;
	}
	*position = (uint16_t)next;
}

#endif
