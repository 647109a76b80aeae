/* SPDX-License-Identifier: BSD-2-Clause */
/* A capture's beginning and end, and the forwarding thread's half of it; see capture.h. */
#include "vswitch/capture.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"
#include "util/thread.h"
#include "vswitch/capture_internal.h"

#define RING_DEFAULT (64u << 20)
#define RING_LEAST   (4u * CAPTURE_RECORD_MAX)

#define TELL_INTERVAL 10000000000ULL /* ns between two messages about losses */

/* How long the writer's end is waited for: longer than it waits for a reader. */
#define END_SECONDS 5

/* ---- The ring's memory ---- */

/* Maps `size` bytes twice in a row, so that what goes over the end is at the beginning. (A memfd would be
 * under the user's limit for file sizes.) */
static uint8_t *map_twice(size_t size)
{
	uint8_t *at = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	/* Of a shared mapping, mremap() of no bytes makes another one: mremap(2). */
	if (mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
		    MAP_FAILED ||
	    mremap(at, 0, size, MREMAP_MAYMOVE | MREMAP_FIXED, at + size) == MAP_FAILED) {
		munmap(at, 2 * size);
		return NULL;
	}
	return at;
}

static int make_ring(struct capture *capture, size_t wanted)
{
	capture->size = 1;
	while (capture->size < MAX(wanted, (size_t)RING_LEAST))
		capture->size *= 2;
	capture->ring = map_twice(capture->size);
	return capture->ring ? 0 : -ENOMEM;
}

/* ---- Beginning and end ---- */

static struct capture *create_capture(const struct capture_options *options, struct error *error)
{
	struct capture *capture = calloc(1, sizeof(*capture));
	size_t length = strlen(options->path);
	int rc;

	if (!capture || length >= sizeof(capture->path)) {
		free(capture);
		error_set(error, capture ? -ENAMETOOLONG : -ENOMEM, "capture %.80s: %s",
			  options->path, error_name(capture ? -ENAMETOOLONG : -ENOMEM));
		return NULL;
	}
	strcpy(capture->path, options->path);
	capture->log = options->log;
	capture->force = options->force;
	capture->format = length > 7 && !strcmp(options->path + length - 7, ".pcapng")
				  ? CAPTURE_PCAPNG
				  : CAPTURE_PCAP;
	capture->output.fd = -1;
	atomic_init(&capture->users, 1);
	pthread_mutex_init(&capture->lock, NULL);
	capture->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	capture->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = capture->wake_fd < 0 || capture->ended_fd < 0
		     ? -errno
		     : make_ring(capture, options->ring_bytes ? options->ring_bytes : RING_DEFAULT);
	if (!rc)
		rc = capture_make_header(capture);
	if (!rc)
		return capture;
	error_set(error, rc, "capture %s: cannot make its ring: %s", capture->path, error_name(rc));
	capture_unref(capture);
	return NULL;
}

static int start_writer(struct capture *capture)
{
	int rc;

	atomic_fetch_add(&capture->users, 1);
	rc = thread_start(&capture->thread, "tenon-capture", capture_writer, capture);
	if (rc)
		atomic_fetch_sub(&capture->users, 1);
	return rc;
}

int capture_open(struct capture **out, const struct capture_options *options, struct error *error)
{
	struct capture *capture = create_capture(options, error);
	int rc;

	if (!capture)
		return error ? error->code : -ENOMEM;
	rc = capture_open_output(capture, error);
	if (rc == -EAGAIN)
		rc = 0; /* the writer goes on trying */
	else if (!rc)
		atomic_store(&capture->state, CAPTURE_RECORDING);
	if (!rc) {
		rc = start_writer(capture);
		if (rc)
			error_set(error, rc, "capture %s: cannot start its thread: %s",
				  capture->path, error_name(rc));
	}
	if (rc) {
		output_discard(&capture->output, capture->path);
		capture_unref(capture);
		return rc;
	}
	*out = capture;
	return 0;
}

static void wake_writer(struct capture *capture)
{
	uint64_t one = 1;
	ssize_t unused = write(capture->wake_fd, &one, sizeof(one));

	(void)unused;
}

static int end_of_writer(struct capture *capture, struct error *error)
{
	struct pollfd ended = { .fd = capture->ended_fd, .events = POLLIN };
	int rc;

	/* Not by the time of day, which may be set meanwhile. */
	while (poll(&ended, 1, END_SECONDS * 1000) < 0 && errno == EINTR)
		;
	if (!ended.revents) {
		/* It holds the capture until write() returns, should it ever. */
		pthread_detach(capture->thread);
		return error_set(error, -ETIMEDOUT,
				 "capture %s: its disk or reader does not answer; its end is "
				 "missing",
				 capture->path);
	}
	pthread_join(capture->thread, NULL);
	rc = atomic_load(&capture->failed);
	if (rc && rc != -EPIPE)
		return error_set(error, rc, "capture %s: writing failed, it is not whole: %s",
				 capture->path, error_name(rc));
	return 0;
}

int capture_close(struct capture *capture, struct error *error)
{
	struct capture_status status;
	int rc;

	if (!capture)
		return 0;
	atomic_store(&capture->stopping, true);
	wake_writer(capture);
	rc = end_of_writer(capture, error);
	capture_status(capture, &status);
	if (status.lost)
		log_warning(capture->log, "capture %s: %llu of %llu frames are not in it",
			    capture->path, (unsigned long long)status.lost,
			    (unsigned long long)(status.lost + status.written));
	capture_unref(capture);
	return rc;
}

void capture_status(const struct capture *capture, struct capture_status *out)
{
	static const char *const names[] = { "waiting for a reader", "recording", "ended" };
	int state = atomic_load(&capture->state), failed = atomic_load(&capture->failed);

	*out = (struct capture_status){
		.path = capture->path,
		.recorded = atomic_load(&capture->recorded),
		.written = atomic_load(&capture->written),
		.lost = atomic_load(&capture->dropped),
		.bytes = atomic_load(&capture->bytes),
	};
	/* One may have come into the ring behind the writer's back as it ended. */
	out->lost += state == CAPTURE_ENDED ? out->recorded - out->written
					    : atomic_load(&capture->abandoned);
	snprintf(out->state, sizeof(out->state), "%s%s%s", names[state], failed ? ": " : "",
		 failed ? error_name(failed) : "");
}

/* ---- The forwarding thread's half ---- */

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

static bool ended(const struct capture *capture)
{
	return atomic_load_explicit(&capture->state, memory_order_relaxed) == CAPTURE_ENDED;
}

static void drop(struct capture *capture, uint64_t time_ns)
{
	uint64_t dropped = atomic_fetch_add(&capture->dropped, 1) + 1;

	/* Why it ended was told when it did. */
	if (ended(capture) || (capture->told_dropped && time_ns - capture->told_ns < TELL_INTERVAL))
		return;
	log_warning(capture->log, "capture %s: frames are lost (%llu so far): %s", capture->path,
		    (unsigned long long)dropped,
		    atomic_load(&capture->state) == CAPTURE_WAITING
			    ? "nobody reads it yet, and the ring is full"
			    : "its reader or disk is too slow");
	capture->told_dropped = dropped;
	capture->told_ns = time_ns;
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
		publish(capture, capture_put_interface(at, capture->names[capture->announced]));
		capture->announced++;
	}
	pthread_mutex_unlock(&capture->lock);
}

unsigned capture_add_port(struct capture *capture, const char *name)
{
	unsigned number = capture->name_count;

	if (capture->format != CAPTURE_PCAPNG || number == CAPTURE_PORTS_MAX)
		return CAPTURE_PORTS_MAX;
	pthread_mutex_lock(&capture->lock);
	snprintf(capture->names[capture->name_count++], PORT_NAME_MAX, "%s", name);
	pthread_mutex_unlock(&capture->lock);
	announce(capture);
	return number;
}

void capture_frame(struct capture *capture, unsigned index, bool out, uint64_t time_ns,
		   const struct frame *frame)
{
	uint32_t length = MIN(frame->length, (uint32_t)VIRTIO_NET_FRAME_MAX);
	struct virtio_net_offload offload = frame->offload;
	uint8_t *at, *data;

	if (capture->announced < capture->name_count)
		announce(capture);
	at = ended(capture) || capture->announced < capture->name_count ||
			     (index == CAPTURE_PORTS_MAX && capture_has_directions(capture))
		     ? NULL
		     : reserve(capture, capture_packet_room(capture->format, length));
	if (!at) {
		drop(capture, time_ns);
		return;
	}
	data = at + capture_packet_data(capture->format);
	frame_copy_out(frame->pieces, frame->count, 0, data, length);
	if (offload.needs_checksum)
		virtio_net_complete_checksum(&offload, &(struct iovec){ data, length }, 1, length);
	publish(capture, capture_put_packet(capture->format, at, index, out, time_ns, length));
	atomic_fetch_add_explicit(&capture->recorded, 1, memory_order_relaxed);
}

void capture_flush(struct capture *capture)
{
	uint64_t head = atomic_load(&capture->head);

	if (head == capture->flushed)
		return;
	capture->flushed = head;
	if (atomic_exchange(&capture->sleeping, false))
		wake_writer(capture);
}
