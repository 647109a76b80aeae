/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The writer thread of a capture; see capture.h. It alone waits: for the reader of a FIFO, for room in a pipe,
 * for a disk; and always for its wake_fd too, but in write(2) to a disk.
 *
 * Invariant: what is in the output is a header and whole records up to `tail`, and of the next one the bytes up
 * to `cursor`. The latter is so only while that record is being written, and at an end by a failure: then a
 * file is cut back to `tail`. Into a pipe no record is begun that it has no room for (capture_pipe.h), so
 * there the case does not arise but for a record that is larger than the whole pipe.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/clock.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"
#include "vswitch/capture_internal.h"

#define MILLISECOND 1000000ULL

#define WRITE_MOST   (1u << 20) /* bytes at once */
#define RETRY_MS     100        /* whether the reader of a FIFO has come */
#define ROOM_MS      2          /* whether a pipe has more room */
#define GATHER_NS    500000     /* of a trickle, so much goes out together */
#define GATHER_BYTES 65536
#define GRACE        (1000 * MILLISECOND) /* for a reader, once it is to end */

void capture_unref(struct capture *capture)
{
	if (atomic_fetch_sub(&capture->users, 1) > 1)
		return;
	output_close(&capture->output);
	cleanup_close(&capture->wake_fd);
	cleanup_close(&capture->ended_fd);
	if (capture->ring)
		munmap(capture->ring, 2 * capture->size);
	free(capture->header);
	pthread_mutex_destroy(&capture->producers);
	pthread_mutex_destroy(&capture->lock);
	free(capture);
}

static bool stopping(struct capture *capture)
{
	bool is = atomic_load(&capture->stopping);

	if (is && !capture->deadline)
		capture->deadline = monotonic_ns() + GRACE;
	return is;
}

/* Waits for the wake, for `events` of the output (0: its end), or until `milliseconds` have passed. */
static void wait_for(struct capture *capture, short events, int milliseconds)
{
	struct pollfd fds[2] = { { capture->wake_fd, POLLIN, 0 },
				 { capture->output.fd, events, 0 } };
	bool to_end = stopping(capture);
	uint64_t count;
	ssize_t unused;

	/* Once it is to end, the wake has been: it would be ready for ever. */
	if (to_end)
		fds[0].fd = -1;
	if (to_end && (milliseconds < 0 || milliseconds > 50))
		milliseconds = 50;
	poll(fds, 2, milliseconds);
	if (fds[0].revents) {
		unused = read(capture->wake_fd, &count, sizeof(count));
		(void)unused;
	}
}

/* ---- Ends ---- */

static void lose_packet(struct capture *capture, const uint8_t *record)
{
	unsigned interface = capture_record_interface(capture->format, record);

	if (interface < CAPTURE_PORTS_MAX)
		atomic_fetch_add_explicit(&capture->interfaces[interface].dropped, 1,
					  memory_order_relaxed);
}

/* Counts the packets in [tail, head) as lost, and takes them out. */
static void abandon(struct capture *capture)
{
	uint64_t head = atomic_load_explicit(&capture->head, memory_order_acquire);
	uint64_t at = atomic_load(&capture->tail), lost = 0;

	while (at < head) {
		const uint8_t *record = capture->ring + (at & (capture->size - 1));

		if (capture_record_is_packet(capture->format, record)) {
			lost++;
			lose_packet(capture, record);
		}
		at += capture_record_size(capture->format, record);
	}
	atomic_fetch_add(&capture->abandoned, lost);
	capture->cursor = head;
	atomic_store_explicit(&capture->tail, head, memory_order_release);
}

/* Cuts a file back to its last whole record, unless something of somebody else's is behind it. */
static void cut(struct capture *capture)
{
	struct stat status;
	uint64_t part = capture->header ? capture->header_done
					: capture->cursor - atomic_load(&capture->tail);

	if (!part || !capture->output.is_file)
		return;
	if (fstat(capture->output.fd, &status) || (uint64_t)status.st_size != capture->file_at ||
	    part > capture->file_at) {
		log_warning(capture->log,
			    "capture %s: it ends in half a packet, and somebody else has changed "
			    "the file",
			    capture->label);
		return;
	}
	capture->file_at -= part;
	if (ftruncate(capture->output.fd, (off_t)capture->file_at) ||
	    lseek(capture->output.fd, (off_t)capture->file_at, SEEK_SET) < 0)
		log_warning(capture->log, "capture %s: it ends in half a packet: %s",
			    capture->label, error_name(errno));
	else
		atomic_fetch_sub(&capture->bytes, part);
}

static void end(struct capture *capture, int code)
{
	cut(capture);
	atomic_store(&capture->failed, code);
	atomic_store(&capture->state, CAPTURE_ENDED);
	abandon(capture);
	if (code == -EPIPE)
		log_warning(capture->log, "capture %s: its reader left, and it ends",
			    capture->label);
	else if (code)
		log_error(capture->log,
			  "capture %s: writing failed after %llu frames, and it ends: %s",
			  capture->label, (unsigned long long)atomic_load(&capture->written),
			  error_name(code));
}

/* The reader of a FIFO left: another may come, and needs to be told all. */
static int begin_anew(struct capture *capture)
{
	int rc;

	log_warning(capture->log, "capture %s: its reader left; it waits for another",
		    capture->label);
	output_close(&capture->output);
	atomic_store(&capture->state, CAPTURE_WAITING);
	pthread_mutex_lock(&capture->lock);
	abandon(capture);
	rc = capture_make_header(capture, capture->announced);
	pthread_mutex_unlock(&capture->lock);
	return rc;
}

/* ---- Writing ---- */

/* How many of the bytes from `cursor` on are whole records, the rest of a begun one included, and at most
 * `most`; but the first, *unit bytes, in any case. */
static size_t whole_records(const struct capture *capture, size_t most, size_t *unit)
{
	uint64_t head = atomic_load_explicit(&capture->head, memory_order_acquire);
	uint64_t at = atomic_load(&capture->tail), end = at;

	*unit = 0;
	while (at < head) {
		at += capture_record_size(capture->format,
					  capture->ring + (at & (capture->size - 1)));
		if (!*unit)
			*unit = at - capture->cursor;
		else if (at - capture->cursor > most)
			break;
		end = at;
	}
	return *unit ? end - capture->cursor : 0;
}

/* `bytes` more are out: moves the tail over the records that are whole by that. */
static void advance(struct capture *capture, size_t bytes)
{
	uint64_t tail = atomic_load(&capture->tail), frames = 0, at;

	capture->cursor += bytes;
	at = capture->file_at -
	     (capture->cursor - tail); /* where the one at `tail` is, in a file */
	while (tail < capture->cursor) {
		const uint8_t *record = capture->ring + (tail & (capture->size - 1));
		size_t size = capture_record_size(capture->format, record);

		if (capture->cursor - tail < size)
			break;
		frames += capture_record_is_packet(capture->format, record);
		if (capture_record_is_interface(capture->format, record)) {
			capture->names_written++;
			/* With no packet before it, it is of what the file begins with. */
			capture->prefix += at == capture->prefix ? size : 0;
		}
		at += size;
		tail += size;
	}
	atomic_fetch_add(&capture->written, frames);
	atomic_store_explicit(&capture->tail, tail, memory_order_release);
}

/* How much may go out at once. */
static size_t room_at_once(struct capture *capture)
{
	uint64_t file = capture->row.bytes;

	if (capture->is_pipe)
		return capture_pipe_room(&capture->pipe, capture->output.fd);
	return file ? MIN(file - MIN(capture->file_at, file), (uint64_t)WRITE_MOST) : WRITE_MOST;
}

/* Writes what it can. 1: all is out; 0: some is, or was not to be had without waiting: -EAGAIN. */
static int write_some(struct capture *capture)
{
	size_t unit, length;
	ssize_t done;
	int rc = capture->header ? capture_put_header_out(capture) : 0;

	if (rc)
		return rc;
	length = whole_records(capture, room_at_once(capture), &unit);
	if (!length)
		return 1;
	if (capture->cursor == atomic_load(&capture->tail) &&
	    capture_row_turns(&capture->row, capture->file_at, capture->prefix, unit,
			      monotonic_ns() - capture->opened_ns))
		return capture_turn(capture);
	done = capture_put(capture, capture->ring + (capture->cursor & (capture->size - 1)), unit,
			   length);
	if (done < 0)
		return (int)done;
	advance(capture, (size_t)done);
	return 0;
}

/* A pipe that is full is never written to, and so never says that nobody reads it any more. */
static bool reader_left(const struct capture *capture)
{
	struct pollfd reader = { capture->output.fd, 0, 0 };

	return !capture->output.is_file && poll(&reader, 1, 0) > 0 &&
	       reader.revents & (POLLERR | POLLHUP);
}

/* Nothing is to be written: sleeps until there is, or the reader goes. */
static void wait_for_packets(struct capture *capture)
{
	const struct timespec gather = { .tv_nsec = GATHER_NS };

	atomic_store(&capture->sleeping, true);
	if (atomic_load(&capture->head) == atomic_load(&capture->tail))
		wait_for(capture, 0, -1);
	atomic_store(&capture->sleeping, false);
	if (!stopping(capture) && atomic_load(&capture->head) - capture->cursor < GATHER_BYTES)
		nanosleep(&gather, NULL);
}

static bool too_late(struct capture *capture)
{
	return stopping(capture) && monotonic_ns() > capture->deadline;
}

/* One step of a capture that has its output. False: it has ended. */
static bool record(struct capture *capture)
{
	int rc = reader_left(capture) ? -EPIPE : write_some(capture);

	if (rc == 1 && stopping(capture)) {
		if (capture->at_end)
			return false;
		rc = capture_make_end(capture);
	}
	if (rc == 1)
		wait_for_packets(capture);
	if (rc == -EAGAIN && too_late(capture)) {
		log_warning(capture->log, "capture %s: its reader does not read; it ends",
			    capture->label);
		abandon(capture);
		return false;
	}
	if (rc == -EAGAIN) {
		/* A pipe is writable with one page free, which may be too little. */
		wait_for(capture, capture->is_pipe ? 0 : POLLOUT,
			 capture->is_pipe ? ROOM_MS : 1000);
		rc = 0;
	}
	if (rc == -EPIPE && capture->is_fifo && !capture->once && !stopping(capture))
		rc = begin_anew(capture);
	if (rc < 0)
		end(capture, rc);
	return rc >= 0;
}

/* One try to open a FIFO. False: it has ended. */
static bool try_to_open(struct capture *capture)
{
	struct error error = { 0 };
	int rc;

	if (stopping(capture)) {
		abandon(capture);
		return false;
	}
	rc = capture_open_output(capture, &error);
	if (rc == -EAGAIN) {
		wait_for(capture, 0, RETRY_MS);
		return true;
	}
	if (rc) {
		log_error(capture->log, "%s", error.text);
		end(capture, rc);
		return false;
	}
	log_info(capture->log, "capture %s: a reader came", capture->label);
	atomic_store(&capture->state, CAPTURE_RECORDING);
	return true;
}

void *capture_writer(void *arg)
{
	struct capture *capture = arg;
	bool going = true;

	while (going)
		going = capture->output.fd < 0 ? try_to_open(capture) : record(capture);
	atomic_store(&capture->state, CAPTURE_ENDED);
	eventfd_write(capture->ended_fd, 1);
	capture_unref(capture);
	return NULL;
}
