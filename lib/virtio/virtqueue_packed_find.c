/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a device was in a packed ring when it was killed: see virtqueue_resume_in_order(). No index says it, but the flags of the entries do,
 * if each chain has one of them. Going round from where the device was, with the driver's wrap counter (W) there, which turns over at
 * the end of the ring:
 *
 *	taken, or to be taken		AVAIL = W, USED = not W		as many as the driver has made available
 *	of the last round		AVAIL = USED = not W		all others
 *
 * A device that shows several used entries at once (packed_show()) writes the first last. Was it killed before that, they are behind the
 * first one:
 *
 *	the first of them		AVAIL = W, USED = not W
 *	behind it			AVAIL = USED = W
 *
 * The driver waits for the first, and has looked at none behind it. How long the first was there is no way to tell, and buffers of one frame
 * mean nothing without their first: all are given back for a length of 0, which is right for what was read, and of what was to be filled makes
 * frames that are too short. They come again where what they were copied from was not given back either.
 *
 * QEMU (7.2) takes what its guest sends while nobody is connected, and drops it; in a packed ring from entry 0 on if that is available in a
 * round with W = 1, or where it stopped the last time, wherever the device was. Then used entries are anywhere among available ones, also behind
 * those that were being shown. All up to the last used one are given back: what they were is lost, as those are.
 */
#include "util/bytes.h"
#include "virtio/virtqueue_private.h"

#define CANDIDATES 16
#define TRIES      4 /* the driver may make more available meanwhile */

struct entry_flags {
	bool avail, used;
};

static struct entry_flags flags_at(const struct virtqueue *vq, unsigned position)
{
	uint16_t flags = le16toh(__atomic_load_n(&vq->ring[position].flags, __ATOMIC_ACQUIRE));

	return (struct entry_flags){ flags >> VRING_PACKED_DESC_F_AVAIL & 1,
				     flags >> VRING_PACKED_DESC_F_USED & 1 };
}

/* Whether it was there, with that wrap counter; and how many entries, used or not, there are up to the last used one. */
static bool was_at(const struct virtqueue *vq, unsigned position, bool wrap, unsigned *shown)
{
	bool old = false;

	*shown = 0;
	for (unsigned n = 0; n < vq->size; n++) {
		unsigned at = position + n;
		bool now = at < vq->size ? wrap : !wrap;
		struct entry_flags flags = flags_at(vq, at < vq->size ? at : at - vq->size);
		bool used = flags.avail == flags.used;

		if (used && flags.avail != now) {
			old = true;
			continue;
		}
		if (old || flags.avail != now || (used && !n))
			return false;
		if (used)
			*shown = n + 1;
	}
	return true;
}

/* Whether it may have been there: entries differ from those before them. */
static bool is_candidate(const struct virtqueue *vq, unsigned position)
{
	struct entry_flags before = flags_at(vq, position ? position - 1 : vq->size - 1u);
	struct entry_flags here = flags_at(vq, position);
	struct entry_flags next = flags_at(vq, position + 1u < vq->size ? position + 1 : 0);

	return !position || here.avail != before.avail || here.used != before.used ||
	       here.avail != next.avail || here.used != next.used;
}

static bool find_place(const struct virtqueue *vq, unsigned *position, bool *wrap, unsigned *shown)
{
	unsigned candidates = 0;

	for (*position = 0; *position < vq->size && candidates < CANDIDATES; ++*position) {
		struct entry_flags flags;

		if (!is_candidate(vq, *position))
			continue;
		flags = flags_at(vq, *position);
		*wrap = flags.avail != flags.used ? flags.avail : !flags.avail;
		if (was_at(vq, *position, *wrap, shown))
			return true;
		candidates++;
	}
	return false;
}

/* Gives back what is ahead of used entries, and these: the first, for which the driver waits, at last. */
static void show_rest(struct virtqueue *vq, unsigned position, bool wrap, unsigned shown)
{
	for (unsigned n = shown; n-- > 0;) {
		unsigned at = position + n;
		bool now = at < vq->size ? wrap : !wrap;
		struct vring_packed_desc *entry = &vq->ring[at < vq->size ? at : at - vq->size];
		uint16_t flags =
			now ? 1u << VRING_PACKED_DESC_F_AVAIL | 1u << VRING_PACKED_DESC_F_USED : 0;

		__atomic_store_n(&entry->len, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&entry->flags, htole16(flags), __ATOMIC_RELEASE);
		virtqueue_note(vq, vq->desc_address + 16ULL * (at % vq->size), 16);
	}
}

void packed_resume_in_order(struct virtqueue *vq)
{
	unsigned position, shown;
	bool wrap, found = false;

	if (!vq->indirect || vq->in_order || vq->inflight || vq->was_ours)
		return;
	for (unsigned i = 0; i < TRIES && !found; i++)
		found = find_place(vq, &position, &wrap, &shown);
	if (!found)
		return;
	if (shown) {
		show_rest(vq, position, wrap, shown);
		position += shown;
		if (position >= vq->size) {
			position -= vq->size;
			wrap = !wrap;
		}
	}
	vq->last_avail = vq->used_next = vq->used_shown = (uint16_t)position;
	vq->avail_wrap = vq->used_wrap = vq->shown_wrap = wrap;
	vq->slots_taken = 0;
}
