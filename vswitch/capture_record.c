/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The forwarding threads' half of a capture: frames become records in its ring, or are counted where there is no room; see capture.h. None of it waits
 * for the writer (capture_writer.c), which takes them out.
 */
#include "vswitch/capture.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "util/bytes.h"
#include "util/log.h"
#include "vswitch/capture_internal.h"

#define TELL_INTERVAL 10000000000ULL /* ns between two messages about losses */

bool capture_has_ended(const struct capture *capture)
{
	return atomic_load_explicit(&capture->state, memory_order_relaxed) == CAPTURE_ENDED;
}

/* ---- The ring ---- */

bool capture_has_directions(const struct capture *capture)
{
	return capture->format == CAPTURE_PCAPNG;
}

/* Room for a record, or NULL. */
static uint8_t *reserve(struct capture *capture, size_t size)
{
	uint64_t head = atomic_load_explicit(&capture->head, memory_order_relaxed);
	uint64_t tail = atomic_load_explicit(&capture->tail, memory_order_acquire);

	if (capture->size - (head - tail) < size)
		return NULL;
	return capture->ring + (head & (capture->size - 1));
}

static void publish(struct capture *capture, size_t size)
{
	uint64_t head = atomic_load_explicit(&capture->head, memory_order_relaxed);

	atomic_store_explicit(&capture->head, head + size, memory_order_release);
}

static void drop(struct capture *capture, const struct capture_event *event)
{
	uint64_t dropped = atomic_fetch_add(&capture->dropped, 1) + 1;

	if (event->interface < CAPTURE_PORTS_MAX) {
		atomic_fetch_add_explicit(&capture->interfaces[event->interface].dropped, 1,
					  memory_order_relaxed);
		capture->interfaces[event->interface].untold++;
	}
	/* Why it ended was told when it did. */
	if (capture_has_ended(capture) ||
	    (capture->told_dropped && event->time_ns - capture->told_ns < TELL_INTERVAL))
		return;
	log_warning(capture->log, "capture %s: frames are lost (%llu so far): %s", capture->label,
		    (unsigned long long)dropped,
		    atomic_load(&capture->state) == CAPTURE_WAITING
			    ? "nobody reads it yet, and the ring is full"
			    : "its reader or disk is too slow");
	capture->told_dropped = dropped;
	capture->told_ns = event->time_ns;
}

/* Tells of ports that the ring does not know yet, as far as there is room. The lock is held by the other
 * side for a moment only, when a new reader comes. */
static void announce(struct capture *capture)
{
	pthread_mutex_lock(&capture->lock);
	while (capture->announced < capture->name_count) {
		uint8_t *at = reserve(capture, CAPTURE_INTERFACE);

		if (!at)
			break;
		publish(capture, capture_put_interface(at, capture->names[capture->announced],
						       capture->filter[0] ? capture->filter : NULL,
						       capture->snaplen));
		capture->announced++;
	}
	pthread_mutex_unlock(&capture->lock);
}

unsigned capture_add_port(struct capture *capture, const char *name)
{
	unsigned number = capture->name_count;

	if (capture->format != CAPTURE_PCAPNG)
		return CAPTURE_PORTS_MAX;
	/* One that comes again goes on with its interface: a switch's own captures see ports come and go for months. */
	for (unsigned i = 0; i < number; i++)
		if (!strncmp(capture->names[i], name, PORT_NAME_MAX - 1))
			return i;
	if (number == CAPTURE_PORTS_MAX)
		return CAPTURE_PORTS_MAX;
	pthread_mutex_lock(&capture->lock);
	snprintf(capture->names[capture->name_count++], PORT_NAME_MAX, "%s", name);
	pthread_mutex_unlock(&capture->lock);
	announce(capture);
	return number;
}

/* ---- Frames ---- */

static void lock_producers(struct capture *capture)
{
	if (capture->shared)
		pthread_mutex_lock(&capture->producers);
}

static void unlock_producers(struct capture *capture)
{
	if (capture->shared)
		pthread_mutex_unlock(&capture->producers);
}

/* A packet as it is recorded: `head` bytes at `at`, then [offset, offset + length) of `frame`. */
struct recorded {
	const uint8_t *at;
	size_t head;
	const struct frame *frame;
	size_t offset, length;
};

static enum capture_reception reception_of(const uint8_t *destination)
{
	static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	if (!(destination[0] & 1))
		return CAPTURE_UNICAST;
	return memcmp(destination, broadcast, sizeof(broadcast)) ? CAPTURE_MULTICAST
								 : CAPTURE_BROADCAST;
}

static void put_content(const struct recorded *what, uint8_t *to, size_t captured)
{
	size_t head = MIN(what->head, captured);

	memcpy(to, what->at, head);
	frame_copy_out(what->frame->pieces, what->frame->count, what->offset, to + head,
		       MIN(what->length, captured - head));
}

static bool may_record(const struct capture *capture, const struct capture_event *event)
{
	return !capture_has_ended(capture) && capture->announced == capture->name_count &&
	       (event->interface < CAPTURE_PORTS_MAX || capture->format == CAPTURE_PCAP);
}

static void put_packet(struct capture *capture, const struct capture_event *event,
		       struct capture_packet *packet, const struct recorded *what)
{
	struct capture_interface *interface = event->interface < CAPTURE_PORTS_MAX
						      ? &capture->interfaces[event->interface]
						      : NULL;
	uint8_t *at;

	packet->length = (uint32_t)(what->head + what->length);
	packet->captured = MIN(packet->length, capture->snaplen);
	packet->lost = interface ? interface->untold : 0;
	atomic_store_explicit(&capture->last_ns, event->time_ns, memory_order_relaxed);
	if (interface)
		atomic_fetch_add_explicit(&interface->received, 1, memory_order_relaxed);
	at = may_record(capture, event)
		     ? reserve(capture, capture_packet_room(capture->format, packet))
		     : NULL;
	if (!at) {
		drop(capture, event);
		return;
	}
	put_content(what, at + capture_packet_data(capture->format), packet->captured);
	publish(capture, capture_put_packet(capture->format, at, packet));
	if (interface)
		interface->untold = 0;
	atomic_fetch_add_explicit(&capture->recorded, 1, memory_order_relaxed);
}

static void put_segments(struct capture *capture, const struct capture_event *event,
			 struct capture_packet *packet, const struct frame *frame)
{
	struct virtio_net_segmenter segmenter;
	struct virtio_net_segment segment;

	virtio_net_segmenter_start(&segmenter, &frame->offload, frame->pieces, frame->count,
				   frame->length);
	while (virtio_net_segmenter_next(&segmenter, &segment))
		put_packet(capture, event, packet,
			   &(struct recorded){ segment.head, segment.headers, frame,
					       segment.payload_offset, segment.payload_length });
}

/* The frame's head with its checksum finished, by what lies in all of the frame. */
static void finish_checksum(const struct frame *frame, uint8_t *head)
{
	const struct virtio_net_offload *offload = &frame->offload;
	size_t start = offload->checksum_start;
	uint64_t sum =
		virtio_net_sum_pieces(0, frame->pieces, frame->count, start, frame->length - start);
	uint16_t folded = (uint16_t)~virtio_net_fold(sum);

	folded = folded ? folded : 0xffff;
	memcpy(head + start + offload->checksum_offset, &folded, sizeof(folded));
}

/* "dropped: vlan; the sender had left the checksum open, ..." */
static void comment_on(struct capture_packet *packet, const struct capture_event *event,
		       const struct frame *frame, bool in_segments)
{
	const struct virtio_net_offload *offload = &frame->offload;
	char dropped[64] = "", large[96] = "";
	const char *checksum = "";

	if (event->dropped)
		snprintf(dropped, sizeof(dropped), "dropped: %s; ", event->dropped);
	if (offload->gso)
		snprintf(large, sizeof(large),
			 in_segments ? "one of %u segments of a large frame of %u bytes; "
				     : "a large frame: on a wire, %u segments of %u bytes; ",
			 virtio_net_wire_frames(offload, frame->length),
			 in_segments ? frame->length : offload->gso_size);
	if (offload->needs_checksum)
		checksum = "checksum left open by the sender, finished in this copy; ";
	snprintf(packet->comment, sizeof(packet->comment), "%s%s%s", dropped, large, checksum);
	/* Without the last "; ". */
	if (packet->comment[0])
		packet->comment[strlen(packet->comment) - 2] = '\0';
}

static void record_frame(struct capture *capture, const struct capture_event *event,
			 const struct frame *frame)
{
	size_t head = MIN(frame->pieces[0].iov_len, (size_t)VIRTIO_NET_HEAD_MAX);
	struct capture_packet packet = { .interface = event->interface,
					 .out = event->out,
					 .dropped = event->dropped != NULL,
					 .reception = reception_of(frame->pieces[0].iov_base),
					 .time_ns = event->time_ns,
					 .id = event->id };
	bool in_segments = capture->segments && frame->offload.gso;
	uint8_t bytes[VIRTIO_NET_HEAD_MAX];

	if (capture->format == CAPTURE_PCAPNG)
		comment_on(&packet, event, frame, in_segments);
	if (in_segments) {
		put_segments(capture, event, &packet, frame);
		return;
	}
	memcpy(bytes, frame->pieces[0].iov_base, head);
	if (frame->offload.needs_checksum)
		finish_checksum(frame, bytes);
	put_packet(capture, event, &packet,
		   &(struct recorded){ bytes, head, frame, head, frame->length - head });
}

void capture_frame(struct capture *capture, const struct capture_event *event,
		   const struct frame *frame)
{
	lock_producers(capture);
	if (capture->announced < capture->name_count)
		announce(capture);
	record_frame(capture, event, frame);
	unlock_producers(capture);
}

static bool take_news(struct capture *capture)
{
	uint64_t head = atomic_load(&capture->head);
	bool news = head != capture->flushed;

	capture->flushed = head;
	return news;
}

void capture_flush(struct capture *capture)
{
	bool news;

	lock_producers(capture);
	news = take_news(capture);
	unlock_producers(capture);
	if (news && atomic_exchange(&capture->sleeping, false))
		capture_wake_writer(capture);
}
