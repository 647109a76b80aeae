/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How frames leave: tagged as their port wants them, with the checksums and in the sizes that it takes, in order, in
 * bursts; see thread.h.
 */
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "vswitch/bond.h"
#include "vswitch/internal.h"
#include "vswitch/port_link.h"
#include "vswitch/port_mirror.h"
#include "vswitch/shares.h"
#include "vswitch/tunnel_format.h"
#include "vswitch/turns.h"
#include "vswitch/vlan.h"

/* A frame of any port has fewer; see VIRTQUEUE_MAX_CHAIN. */
#define SCRATCH_PIECES 4096

/* A port that once had no room shares it out for so many rounds. */
#define CROWDED_ROUNDS 255

#define HEAD_ROOM (VIRTIO_NET_HEAD_MAX + VLAN_TAG_SIZE)

/* A frame made here: a new head before pieces of another frame. */
struct made_frame {
	struct frame frame;
	uint8_t head[HEAD_ROOM];
};

struct egress_scratch {
	unsigned made_count, piece_count;
	struct made_frame made[PORT_BURST];
	struct iovec pieces[SCRATCH_PIECES];
};

/* The frames that wait to be transmitted on one port. */
struct egress_batch {
	struct vswitch_thread *thread;
	struct port *port;
	struct frame *frames[PORT_BURST];
	unsigned count;
	struct filter_mark mark; /* of the entry that is being added */
};

struct egress_scratch *egress_scratch_create(void)
{
	return calloc(1, sizeof(struct egress_scratch));
}

void egress_scratch_destroy(struct egress_scratch *scratch)
{
	free(scratch);
}

/* ---- Batches ---- */

/* A frame ends here. */
static void drop_frame(struct vswitch_thread *thread, struct port *port, const struct frame *frame,
		       enum port_drop why)
{
	port_drop(port, why);
	if (port->checkpoint[PORT_OUT].active)
		checkpoint_capture(thread, port, PORT_OUT, frame, port_drop_name(why));
}

static void note_given(struct port *port, struct frame *const *frames, unsigned count)
{
	for (unsigned i = 0; i < count && port->shares; i++)
		shares_given(port->shares, shares_buffers(frames[i]->length));
}

/*
 * What becomes of a frame the port may count itself. Where frames are recorded one at a time goes, so that it is known of which;
 * and before it goes, for the receiver may change what it has.
 */
static void transmit_recorded(struct egress_batch *batch, struct frame *frame)
{
	struct port *port = batch->port, *lower = port_link_lower(port);
	struct port_drops_out before[2];
	const char *dropped;

	port_drops_note(port, &before[0]);
	if (lower)
		port_drops_note(lower, &before[1]);
	if (port->ops->transmit(port, &frame, 1)) {
		note_given(port, &frame, port->crowded != 0);
	} else {
		port_drop(port, PORT_DROP_NO_BUFFER);
		port->crowded = CROWDED_ROUNDS;
	}
	if (port_link_out_waits(port, &dropped)) {
		if (dropped)
			checkpoint_capture(batch->thread, port, PORT_OUT, frame, dropped);
		return;
	}
	dropped = port_drops_since(port, &before[0]);
	if (!dropped && lower)
		dropped = port_drops_since(lower, &before[1]);
	checkpoint_capture(batch->thread, port, PORT_OUT, frame, dropped);
}

static void transmit_all(struct egress_batch *batch)
{
	struct port *port = batch->port;
	unsigned done = 0;

	while (done < batch->count) {
		unsigned took =
			port->ops->transmit(port, batch->frames + done, batch->count - done);

		if (port->crowded)
			note_given(port, batch->frames + done, took);
		done += took;
		/* There may be room for the next one, if it is smaller. */
		if (done < batch->count) {
			port_drop(port, PORT_DROP_NO_BUFFER);
			port->crowded = CROWDED_ROUNDS;
			done++;
		}
	}
}

static void batch_flush(struct egress_batch *batch)
{
	if (batch->port->checkpoint[PORT_OUT].capture_count)
		for (unsigned i = 0; i < batch->count; i++)
			transmit_recorded(batch, batch->frames[i]);
	else
		transmit_all(batch);
	batch->count = 0;
	batch->thread->scratch->made_count = batch->thread->scratch->piece_count = 0;
}

/* Whether the rules of the port let it go; else it has ended. */
static bool rules_allow(struct egress_batch *batch, const struct frame *frame)
{
	struct vswitch_thread *thread = batch->thread;
	struct filter *filter = batch->port->checkpoint[PORT_OUT].filter;
	enum filter_verdict verdict;

	if (!filter)
		return true;
	verdict = filter_decide(filter, frame, thread->now, thread->room, NULL);
	if (verdict != FILTER_ALLOW)
		drop_frame(thread, batch->port, frame,
			   verdict == FILTER_DROP ? PORT_DROP_FILTERED_OUT : PORT_DROP_POLICED_OUT);
	return verdict == FILTER_ALLOW;
}

static void batch_add(struct egress_batch *batch, struct frame *frame)
{
	if (batch->port->checkpoint[PORT_OUT].active && !rules_allow(batch, frame))
		return;
	batch->frames[batch->count++] = frame;
	if (batch->count == PORT_BURST)
		batch_flush(batch);
}

/*
 * Makes a frame of a head that the caller fills in, `head` bytes long, and bytes [offset, offset +
 * length) of `source`. Flushes the batch when there is no room. NULL if `source` is in too many pieces.
 */
static struct made_frame *make_frame(struct egress_batch *batch, const struct frame *source,
				     size_t head, size_t offset, size_t length)
{
	struct egress_scratch *scratch = batch->thread->scratch;
	struct made_frame *made;
	struct iovec *pieces;
	unsigned count = 0;

	/* A frame that was made and then dropped by a rule has a slot, and no place in the batch. */
	if (scratch->made_count == PORT_BURST)
		batch_flush(batch);
	for (unsigned attempt = 0; length && !count; attempt++) {
		unsigned space = SCRATCH_PIECES - scratch->piece_count;

		if (space > 1)
			count = frame_slice(source, offset, length,
					    &scratch->pieces[scratch->piece_count + 1], space - 1);
		if (!count && attempt)
			return NULL;
		if (!count)
			batch_flush(batch);
	}
	if (scratch->piece_count == SCRATCH_PIECES)
		batch_flush(batch);
	made = &scratch->made[scratch->made_count++];
	pieces = &scratch->pieces[scratch->piece_count];
	scratch->piece_count += count + 1;
	pieces[0] = (struct iovec){ made->head, head };
	made->frame = (struct frame){
		.pieces = pieces,
		.count = count + 1,
		.length = (uint32_t)(head + length),
		.id = source->id,
	};
	return made;
}

/* ---- What has to be done ---- */

/* A copy of the frame's head, its tag changed, before the rest of it. */
static struct made_frame *copy_head(struct egress_batch *batch, const struct frame *frame,
				    const struct vlan_change *change)
{
	size_t head = MIN(frame->pieces[0].iov_len, (size_t)VIRTIO_NET_HEAD_MAX);
	struct made_frame *made = make_frame(batch, frame, head + (size_t)vlan_growth(change), head,
					     frame->length - head);

	if (!made) {
		drop_frame(batch->thread, batch->port, frame, PORT_DROP_FAILED);
		return NULL;
	}
	vlan_copy_head(change, made->head, frame->pieces[0].iov_base, head);
	filter_mark_apply(&batch->mark, made->head, made->frame.pieces[0].iov_len);
	made->frame.offload = frame->offload;
	vlan_move_offload(change, &made->frame.offload);
	return made;
}

static void add_with_checksum(struct egress_batch *batch, const struct frame *frame,
			      const struct vlan_change *change)
{
	struct made_frame *made = copy_head(batch, frame, change);

	if (!made)
		return;
	virtio_net_complete_checksum(&made->frame.offload, made->frame.pieces, made->frame.count,
				     made->frame.length);
	batch->port->counters.checksummed++;
	batch_add(batch, &made->frame);
}

static void add_segments(struct egress_batch *batch, const struct frame *frame,
			 const struct vlan_change *change)
{
	struct virtio_net_segmenter segmenter;
	struct virtio_net_segment segment;

	virtio_net_segmenter_start(&segmenter, &frame->offload, frame->pieces, frame->count,
				   frame->length);
	while (virtio_net_segmenter_next(&segmenter, &segment)) {
		struct made_frame *made =
			make_frame(batch, frame, segment.headers + (size_t)vlan_growth(change),
				   segment.payload_offset, segment.payload_length);

		if (!made) {
			drop_frame(batch->thread, batch->port, frame, PORT_DROP_FAILED);
			return;
		}
		vlan_copy_head(change, made->head, segment.head, segment.headers);
		filter_mark_apply(&batch->mark, made->head, made->frame.pieces[0].iov_len);
		batch_add(batch, &made->frame);
	}
	batch->port->counters.segmented++;
}

static void add_as_it_is(struct egress_batch *batch, struct frame *frame,
			 const struct vlan_change *change)
{
	struct made_frame *made;

	if (change->kind == VLAN_KEEP && !filter_marks(&batch->mark)) {
		batch_add(batch, frame);
		return;
	}
	made = copy_head(batch, frame, change);
	if (made)
		batch_add(batch, &made->frame);
}

/* Whether the port takes a frame of that length; a tag is no part of what its limit counts, but of a tunnel's. */
static bool fits(const struct port *port, const struct egress_entry *entry,
		 const struct frame *frame, const struct vlan_change *change)
{
	size_t length = virtio_net_wire_length(&frame->offload, frame->length);

	if (port->encloses)
		length += (size_t)vlan_growth(change);
	else if (entry->tag != FRAME_UNTAGGED)
		length -= VLAN_TAG_SIZE;
	size_t most = __atomic_load_n(&port->frame_max, __ATOMIC_RELAXED);

	return (!most || length <= most) &&
	       frame->length + (size_t)vlan_growth(change) <= VIRTIO_NET_FRAME_MAX &&
	       vlan_offload_fits(change, &frame->offload);
}

static void add(struct egress_batch *batch, const struct egress_entry *entry)
{
	struct port *port = batch->port;
	struct frame *frame = entry->frame, smaller;
	struct vlan_change change = { VLAN_KEEP, 0 };

	batch->mark = entry->mark;
	if (entry->vlan)
		change = vlan_change_for(&port->config.vlan, entry->vlan, entry->tag, entry->type);
	/* It takes no offloads, so all that is made of the copy is its segments. */
	if (port->encloses && port->frame_max) {
		smaller = *frame;
		if (tunnel_fit(&smaller, port->frame_max - (size_t)vlan_growth(&change)))
			frame = &smaller;
	}
	if ((port->frame_max || change.kind != VLAN_KEEP) && !fits(port, entry, frame, &change)) {
		drop_frame(batch->thread, port, frame, PORT_DROP_TOO_LONG);
		return;
	}
	switch (virtio_net_action(&frame->offload,
				  __atomic_load_n(&port->features, __ATOMIC_RELAXED))) {
	case VIRTIO_NET_PASS:
		add_as_it_is(batch, frame, &change);
		break;
	case VIRTIO_NET_CHECKSUM:
		add_with_checksum(batch, frame, &change);
		break;
	case VIRTIO_NET_SEGMENT:
		turn_charge_source(batch->thread, entry,
				   frame->length + (uint64_t)TURN_SEGMENT *
							   virtio_net_wire_frames(&frame->offload,
										  frame->length));
		add_segments(batch, frame, &change);
		break;
	}
}

/* ---- Copies of mirrors: see port_mirror.h ---- */

void port_mirror_copy_to(struct vswitch_thread *thread, struct port *to,
			 const struct egress_entry *entry)
{
	struct egress_entry copy = *entry;

	copy.is_copy = true;
	turn_charge_source(thread, entry, turn_frame_cost(entry->frame->length));
	if (port_is_up(to)) {
		egress_line_up(thread, to, &copy);
		return;
	}
	vswitch_lock_if_shared(thread->vswitch, &to->out_lock);
	port_drop(to, PORT_DROP_DOWN);
	vswitch_unlock_if_shared(thread->vswitch, &to->out_lock);
}

/* To the ports that were given the VLAN: with its tag in place of one that there is. */
static void copy_to_vlan(struct vswitch_thread *thread, const struct port *source,
			 const struct port_mirror *mirror, const struct egress_entry *entry)
{
	struct vswitch *vswitch = thread->vswitch;
	struct egress_entry copy = *entry;

	copy.vlan = mirror->options.to_vlan;
	if (copy.tag != FRAME_UNTAGGED)
		copy.tag = FRAME_PRIORITY_TAGGED;
	for (unsigned i = 0; i < vswitch->port_count; i++) {
		struct port *port = vswitch->list[i];

		if (port->home != source->home && port->config.vlan.kind != VLAN_PORT_ANY &&
		    egress_carries(port, &copy) && port_is_up(port) &&
		    !(port->holds & PORT_HOLDS_OUT))
			port_mirror_copy_to(thread, port, &copy);
	}
}

void port_mirror_copy(struct vswitch_thread *thread, const struct port *port, enum port_way way,
		      const struct egress_entry *entry)
{
	const struct checkpoint *checkpoint = &port->checkpoint[way];

	for (unsigned i = 0; i < checkpoint->mirror_count && !entry->is_copy; i++) {
		struct port_mirror *mirror = checkpoint->mirrors[i];

		if (mirror->options.some_vlans && !vlan_in_list(mirror->options.vlans, entry->vlan))
			continue;
		/* Another switch's copy. */
		if (!mirror->options.to[0] && entry->vlan == mirror->options.to_vlan)
			continue;
		__atomic_fetch_add(&mirror->copies, 1, __ATOMIC_RELAXED);
		if (!mirror->options.to[0]) {
			copy_to_vlan(thread, port, mirror, entry);
		} else if (mirror->port) {
			struct egress_entry copy = *entry;

			/* As it came. */
			if (way == PORT_IN)
				copy.vlan = 0;
			port_mirror_copy_to(thread, mirror->port, &copy);
		}
	}
}

/* ---- The stage ---- */

/* What was lined up at a bond leaves by its links. */
static void to_links(struct vswitch_thread *thread, struct port *port)
{
	struct egress *egress = thread->egress[port->index];
	unsigned lost = 0;

	for (unsigned i = 0; i < egress->count; i++) {
		const struct egress_entry *entry = &egress->entries[i];
		struct port *link = port_is_up(port) ? bond_choose_link(port->bond, entry) : NULL;

		if (link)
			egress_line_up(thread, link, entry);
		else
			lost++;
	}
	egress->count = 0;
	if (!lost)
		return;
	vswitch_lock_if_shared(thread->vswitch, &port->out_lock);
	port->counters.drops[PORT_DROP_DOWN] += lost;
	vswitch_unlock_if_shared(thread->vswitch, &port->out_lock);
}

/* Whether the frame goes as it is, by a port that looks at nothing: most do, by most ports. */
static inline bool goes_as_it_is(const struct egress_entry *entry)
{
	return !entry->vlan && !filter_marks(&entry->mark) &&
	       virtio_net_asks_nothing(&entry->frame->offload);
}

/* A receiver had no room for all lately: who has it now. */
static void share_room(struct vswitch_thread *thread, struct port *port)
{
	struct egress *egress = thread->egress[port->index];
	unsigned room = port->ops->room ? port->ops->room(port) : UINT_MAX, kept = 0;

	port->crowded--;
	turns_at_receiver(thread, egress);
	if (room == UINT_MAX)
		return;
	if (!port->shares)
		port->shares = calloc(1, sizeof(*port->shares));
	if (!port->shares)
		return;
	shares_begin_round(port->shares, room);
	for (unsigned i = 0; i < egress->count; i++) {
		const struct egress_entry *entry = &egress->entries[i];

		if (shares_allow(port->shares, entry->source,
				 shares_buffers(entry->frame->length))) {
			egress->entries[kept++] = *entry;
			continue;
		}
		drop_frame(thread, port, entry->frame, PORT_DROP_NO_BUFFER);
		port->crowded = CROWDED_ROUNDS;
	}
	egress->count = kept;
	if (!port->crowded)
		*port->shares = (struct shares){ 0 };
}

static void egress_port(struct vswitch_thread *thread, struct port *port)
{
	struct egress_batch batch;
	struct egress *egress = thread->egress[port->index];
	bool plain = !port->checkpoint[PORT_OUT].active && !port->encloses &&
		     !__atomic_load_n(&port->frame_max, __ATOMIC_RELAXED);

	if (port->bond) {
		to_links(thread, port);
		return;
	}
	batch.thread = thread;
	batch.port = port;
	batch.count = 0;
	vswitch_lock_if_shared(thread->vswitch, &port->out_lock);
	if (port->crowded)
		share_room(thread, port);
	for (unsigned i = 0; i < egress->count && turn_call_cost(port); i++)
		turn_charge_source(thread, &egress->entries[i], turn_call_cost(port));
	for (unsigned i = 0; i < egress->count; i++)
		if (!port_is_up(port)) {
			drop_frame(thread, port, egress->entries[i].frame, PORT_DROP_DOWN);
		} else if (plain && goes_as_it_is(&egress->entries[i])) {
			batch.frames[batch.count++] = egress->entries[i].frame;
			if (batch.count == PORT_BURST)
				batch_flush(&batch);
		} else {
			add(&batch, &egress->entries[i]);
		}
	if (batch.count)
		batch_flush(&batch);
	vswitch_unlock_if_shared(thread->vswitch, &port->out_lock);
	egress->count = 0;
}

void egress_line_up_slowly(struct vswitch_thread *thread, struct port *port,
			   const struct egress_entry *entry)
{
	struct egress *egress = thread->egress[port->index];

	/* Now, not when they leave: then two ports could fill each other's entries beyond their room. */
	if (port->checkpoint[PORT_OUT].mirror_count)
		port_mirror_copy(thread, port, PORT_OUT, entry);
	if (!egress->listed) {
		egress->listed = true;
		thread->active[thread->active_count++] = port;
	}
	egress->entries[egress->count++] = *entry;
	if (egress->count == EGRESS_ROOM)
		egress_port(thread, port);
}

void egress_all(struct vswitch_thread *thread)
{
	for (unsigned i = 0; i < thread->active_count; i++) {
		struct port *port = thread->active[i];

		if (thread->egress[port->index]->count)
			egress_port(thread, port);
		thread->egress[port->index]->listed = false;
	}
	thread->active_count = 0;
}
