/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a capture's writer puts what it has (capture_writer.c): files, pipes, what they begin and end with; see capture.h. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/log.h"
#include "vswitch/capture_internal.h"

/* Has `size` bytes at `at` written before all else; they are the capture's now. */
static void put_first(struct capture *capture, uint8_t *at, size_t size)
{
	free(capture->header);
	capture->header = at;
	capture->header_size = size;
	capture->header_done = 0;
}

int capture_make_header(struct capture *capture, unsigned names)
{
	uint8_t *at = malloc(CAPTURE_HEADER + names * CAPTURE_INTERFACE);
	size_t size;

	if (!at)
		return -ENOMEM;
	size = capture_put_header(capture->format, capture->snaplen, at);
	for (unsigned i = 0; i < names; i++)
		size += capture_put_interface(at + size, capture->names[i],
					      capture->filter[0] ? capture->filter : NULL,
					      capture->snaplen);
	capture->names_written = names;
	capture->prefix = size;
	put_first(capture, at, size);
	return 0;
}

int capture_make_end(struct capture *capture)
{
	uint64_t time_ns = atomic_load(&capture->last_ns);
	unsigned count = capture->format == CAPTURE_PCAPNG ? capture->names_written : 0;
	uint8_t *at = malloc(count * CAPTURE_STATISTICS + 1);
	size_t size = 0;

	if (!at)
		return -ENOMEM;
	for (unsigned i = 0; i < count; i++)
		size += capture_put_statistics(at + size, i, time_ns,
					       atomic_load(&capture->interfaces[i].received),
					       atomic_load(&capture->interfaces[i].dropped));
	put_first(capture, at, size);
	capture->at_end = true;
	return 0;
}

/* Where a file that is added to is written is known afterwards only. */
static void note_place(struct capture *capture)
{
	off_t at = capture->output.is_file ? lseek(capture->output.fd, 0, SEEK_CUR) : 0;

	capture->file_at = at < 0 ? 0 : (uint64_t)at;
}

/* What goes into a file without a name is gone at its end: that is said once. */
static void look_for_name(struct capture *capture)
{
	struct stat status;

	if (!capture->output.is_file || atomic_load(&capture->removed) ||
	    fstat(capture->output.fd, &status) || status.st_nlink)
		return;
	atomic_store(&capture->removed, true);
	log_warning(capture->log,
		    "capture %s: its file was removed, and what is recorded goes with it",
		    capture->label);
}

ssize_t capture_put(struct capture *capture, const uint8_t *at, size_t unit, size_t length)
{
	ssize_t put;

	if (capture->is_pipe) {
		size_t room = capture_pipe_room(&capture->pipe, capture->output.fd);

		/* Larger than all of the pipe: in pieces, then, beginning with an empty one. */
		if (room < unit && (unit <= capture->pipe.capacity || capture->pipe.used))
			return -EAGAIN;
		length = MIN(length, MAX(room, unit));
	}
	if (capture->is_socket)
		put = send(capture->output.fd, at, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		put = write(capture->output.fd, at, length);
	if (put < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (capture->is_pipe && put)
		capture_pipe_written(&capture->pipe, (size_t)put);
	note_place(capture);
	look_for_name(capture);
	atomic_fetch_add(&capture->bytes, (uint64_t)put);
	return put;
}

int capture_put_header_out(struct capture *capture)
{
	while (capture->header_done < capture->header_size) {
		size_t left = capture->header_size - capture->header_done;
		ssize_t done =
			capture_put(capture, capture->header + capture->header_done, left, left);

		if (done < 0)
			return (int)done;
		capture->header_done += (size_t)done;
	}
	free(capture->header);
	capture->header = NULL;
	return 0;
}

static int look_at_output(struct capture *capture, struct error *error)
{
	struct stat status;

	if (fstat(capture->output.fd, &status))
		return error_set(error, -errno, "capture %s: %s", capture->label,
				 error_name(errno));
	if (isatty(capture->output.fd)) {
		error_set(error, -EINVAL, "capture %s: is a terminal", capture->label);
		return error_advise(error, "pipe it into what reads it: ... | tcpdump -r -"),
		       -EINVAL;
	}
	capture->is_pipe = S_ISFIFO(status.st_mode);
	capture->is_socket = S_ISSOCK(status.st_mode);
	/* One of a name can be opened again; that on standard output goes with its reader. */
	capture->is_fifo = capture->is_pipe && !stat(capture->file, &status) &&
			   S_ISFIFO(status.st_mode) && !output_is_descriptor(capture->file);
	if (capture->is_pipe)
		capture_pipe_init(&capture->pipe, capture->output.fd);
	note_place(capture);
	return 0;
}

int capture_open_output(struct capture *capture, struct error *error)
{
	static const struct output_kind kind = { "a capture", capture_is_one };
	unsigned flags = OUTPUT_NONBLOCK | (capture->force ? OUTPUT_FORCE : 0) |
			 (capture->once ? OUTPUT_FIFO : 0);
	int rc = capture_row_name(&capture->row, capture->path, capture->file_number + 1,
				  capture->file);

	if (rc)
		return error_set(error, rc, "capture %.80s: %s", capture->label, error_name(rc));
	rc = output_open(&capture->output, capture->file, flags, &kind, error);
	if (rc == -ENXIO)
		return -EAGAIN;
	if (rc) {
		error_prefix(error, "capture");
		return rc;
	}
	rc = look_at_output(capture, error);
	if (!rc && capture_row_is(&capture->row) && !capture->output.is_file)
		rc = error_set(error, -EINVAL, "capture %s: a row needs files, and this is none",
			       capture->file);
	if (rc)
		return rc;
	rc = capture_put_header_out(capture);
	if (rc == -EPIPE && capture->is_fifo) {
		/* It came and left since open(2): as if it had not come. */
		output_close(&capture->output);
		capture->header_done = 0;
		return -EAGAIN;
	}
	if (rc && rc != -EAGAIN)
		return error_set(error, rc, "capture %s: cannot write it: %s", capture->label,
				 error_name(rc));
	capture->file_number++;
	atomic_store(&capture->removed, false);
	capture->opened_ns = monotonic_ns();
	capture_row_shorten(&capture->row, capture->path, capture->file_number);
	return 0;
}

int capture_turn(struct capture *capture)
{
	struct error error = { 0 };
	int rc;

	output_close(&capture->output);
	rc = capture_make_header(capture, capture->names_written);
	if (!rc)
		rc = capture_open_output(capture, &error);
	if (rc && error.text[0])
		log_error(capture->log, "%s", error.text);
	return rc;
}
