/* SPDX-License-Identifier: BSD-2-Clause */
/* A capture's beginning and end, and how it is; see capture.h. */
#include "vswitch/capture.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
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

static enum capture_format format_of(const struct capture_options *options)
{
	size_t length = strlen(options->path);

	if (options->format != CAPTURE_BY_NAME)
		return options->format == CAPTURE_AS_PCAPNG ? CAPTURE_PCAPNG : CAPTURE_PCAP;
	return length > 7 && !strcmp(options->path + length - 7, ".pcapng") ? CAPTURE_PCAPNG
									    : CAPTURE_PCAP;
}

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
	snprintf(capture->label, sizeof(capture->label), "%s",
		 options->label ? options->label : options->path);
	capture->log = options->log;
	capture->force = options->force;
	capture->once = options->once;
	capture->shared = options->shared;
	capture->segments = options->segments;
	capture->snaplen = options->snaplen ? options->snaplen : CAPTURE_SNAPLEN;
	snprintf(capture->filter, sizeof(capture->filter), "%s",
		 options->filter ? options->filter : "");
	capture->row = options->row;
	capture->format = format_of(options);
	capture->output.fd = -1;
	atomic_init(&capture->users, 1);
	pthread_mutex_init(&capture->lock, NULL);
	pthread_mutex_init(&capture->producers, NULL);
	capture->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	capture->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = capture->wake_fd < 0 || capture->ended_fd < 0
		     ? -errno
		     : make_ring(capture, options->ring_bytes ? options->ring_bytes : RING_DEFAULT);
	if (!rc)
		rc = capture_make_header(capture, 0);
	if (!rc)
		return capture;
	error_set(error, rc, "capture %s: cannot make its ring: %s", capture->label,
		  error_name(rc));
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
	struct capture *capture;
	int rc;

	if (capture_row_is(&options->row) && output_is_descriptor(options->path))
		return error_set(error, -EINVAL,
				 "capture %s: a row needs files, and this is a "
				 "stream",
				 options->path);
	capture = create_capture(options, error);
	if (!capture)
		return error ? error->code : -ENOMEM;
	rc = capture_open_output(capture, error);
	capture_place_find(&capture->place, capture->path, &capture->row);
	if (rc == -EAGAIN && capture->once)
		rc = error_set(error, -ENXIO, "capture %s: nobody reads it", capture->label);
	else if (rc == -EAGAIN)
		rc = 0; /* the writer goes on trying */
	else if (!rc)
		atomic_store(&capture->state, CAPTURE_RECORDING);
	if (!rc) {
		rc = start_writer(capture);
		if (rc)
			error_set(error, rc, "capture %s: cannot start its thread: %s",
				  capture->label, error_name(rc));
	}
	if (rc) {
		output_discard(&capture->output, capture->file);
		capture_unref(capture);
		return rc;
	}
	*out = capture;
	return 0;
}

void capture_wake_writer(struct capture *capture)
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
				 capture->label);
	}
	pthread_join(capture->thread, NULL);
	rc = atomic_load(&capture->failed);
	if (rc && rc != -EPIPE)
		return error_set(error, rc, "capture %s: writing failed, it is not whole: %s",
				 capture->label, error_name(rc));
	return 0;
}

int capture_close(struct capture *capture, struct error *error)
{
	struct capture_status status;

	return capture ? capture_close_saying(capture, &status, error) : 0;
}

int capture_close_saying(struct capture *capture, struct capture_status *last, struct error *error)
{
	int rc;

	atomic_store(&capture->stopping, true);
	capture_wake_writer(capture);
	rc = end_of_writer(capture, error);
	capture_status(capture, last);
	last->path = NULL;
	if (last->lost)
		log_warning(capture->log, "capture %s: %llu of %llu frames are not in it",
			    capture->label, (unsigned long long)last->lost,
			    (unsigned long long)(last->lost + last->written));
	capture_unref(capture);
	return rc;
}

void capture_status(const struct capture *capture, struct capture_status *out)
{
	static const char *const names[] = { "waiting for a reader", "recording", "ended" };
	int state = atomic_load(&capture->state), failed = atomic_load(&capture->failed);

	*out = (struct capture_status){
		.path = capture->label,
		.recorded = atomic_load(&capture->recorded),
		.written = atomic_load(&capture->written),
		.lost = atomic_load(&capture->dropped),
		.bytes = atomic_load(&capture->bytes),
	};
	/* One may have come into the ring behind the writer's back as it ended. */
	out->lost += state == CAPTURE_ENDED ? out->recorded - out->written
					    : atomic_load(&capture->abandoned);
	snprintf(out->state, sizeof(out->state), "%s%s%s", names[state], failed ? ": " : "",
		 failed                           ? error_name(failed)
		 : atomic_load(&capture->removed) ? ", but its file was removed"
						  : "");
}

bool capture_writes(const struct capture *capture, const struct capture_place *place)
{
	return atomic_load(&capture->state) != CAPTURE_ENDED &&
	       capture_place_same(&capture->place, place);
}
