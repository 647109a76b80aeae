/* SPDX-License-Identifier: BSD-2-Clause */
/* See capture_files.h. */
#include "tools/capture_files.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fiber/fiber.h"
#include "util/bytes.h"
#include "util/error.h"

/* What of a record says how long it is. */
#define RECORD_HEAD 16u

/* ---- Files ---- */

bool capture_files_names_pcap(const char *path)
{
	size_t length = strlen(path);

	return length > 5 && !strcmp(path + length - 5, ".pcap");
}

static int open_next(struct capture_files *files, struct error *error)
{
	static const struct output_kind kind = { "a capture", capture_is_one };
	struct stat status;
	int rc = capture_row_name(&files->options.row, files->options.path, files->number + 1,
				  files->name);

	if (rc)
		return error_set(error, rc, "capture %.80s: %s", files->options.path,
				 error_name(rc));
	rc = output_open(&files->output, files->name,
			 OUTPUT_WAIT | OUTPUT_LATER | (files->options.force ? OUTPUT_FORCE : 0),
			 &kind, error);
	if (rc)
		return rc;
	files->is_stream = fstat(files->output.fd, &status) || !S_ISREG(status.st_mode);
	if (isatty(files->output.fd)) {
		error_set(error, -EINVAL, "capture %s: is a terminal", files->name);
		return error_advise(error, "pipe it into what reads it: ... | tcpdump -r -"),
		       -EINVAL;
	}
	return 0;
}

/* What it is opened for goes on: it is emptied, and the row is shortened. */
static int begin_next(struct capture_files *files, struct error *error)
{
	int rc = output_empty(&files->output, files->name, error);

	if (rc)
		return rc;
	files->number++;
	files->bytes = 0;
	files->opened_ns = worker_now();
	capture_row_shorten(&files->options.row, files->options.path, files->number);
	return 0;
}

int capture_files_open(struct capture_files *files, const struct capture_files_options *options,
		       struct error *error)
{
	*files = (struct capture_files){ .options = *options, .output.fd = -1 };
	files->pending.at = malloc(CAPTURE_FILES_ROOM);
	if (!files->pending.at)
		return error_set(error, -ENOMEM, "capture: out of memory");
	return open_next(files, error);
}

int capture_files_begin(struct capture_files *files, struct error *error)
{
	int rc = begin_next(files, error);

	files->begun = !rc;
	return rc;
}

int capture_files_close(struct capture_files *files, struct error *error)
{
	int rc = 0;

	free(files->pending.at);
	free(files->prefix);
	files->pending.at = files->prefix = NULL;
	/* A file system may tell only now that it has no room. */
	if (files->begun && files->output.is_file && fsync(files->output.fd))
		rc = error_set(error, -errno, "capture %s: %s", files->name, error_name(errno));
	if (files->begun)
		output_close(&files->output);
	else
		output_discard(&files->output, files->name);
	return rc;
}

/* ---- Writing ---- */

/* Of the record at `at`, whose head is there. The header of classic pcap is one here. */
static size_t record_size(const struct capture_files *files, const uint8_t *at)
{
	if (files->options.format == CAPTURE_PCAP && !files->prefix_size)
		return CAPTURE_PCAP_HEADER;
	return capture_record_size(files->options.format, at);
}

/* As many bytes as go out at once without waiting for longer than a reader may take; or a negative errno. */
static ssize_t write_some(struct capture_files *files, const uint8_t *at, size_t length,
			  uint64_t timeout_ns)
{
	ssize_t done;

	if (files->is_stream) {
		int ready = fiber_poll(files->output.fd, POLLOUT, timeout_ns);

		if (ready < 0)
			return ready;
		/* A pipe that is writable takes so much without waiting: pipe(7). */
		length = MIN(length, (size_t)PIPE_BUF);
	}
	done = write(files->output.fd, at, length);
	return done < 0 ? (errno == EINTR || errno == EAGAIN ? 0 : -errno) : done;
}

static int failed(const struct capture_files *files, int rc, struct error *error)
{
	if (rc == -ECANCELED || rc == -ETIMEDOUT || rc == -EPIPE)
		return rc;
	return error_set(error, rc, "capture %s: writing failed: %s", files->name, error_name(rc));
}

/* Nothing of half a record stays in a file that cannot grow. */
static void cut(struct capture_files *files)
{
	struct capture_room *pending = &files->pending;
	size_t at = pending->from;

	while (at < pending->done) {
		size_t size = record_size(files, pending->at + at);

		if (at + size > pending->done)
			break;
		at += size;
	}
	if (files->output.is_file && pending->done > at &&
	    !ftruncate(files->output.fd, (off_t)(files->bytes - (pending->done - at))))
		files->bytes -= pending->done - at;
}

/* Writes what is ready to be. */
static int write_ready(struct capture_files *files, uint64_t timeout_ns, struct error *error)
{
	struct capture_room *pending = &files->pending;

	while (pending->done < pending->end) {
		ssize_t put = write_some(files, pending->at + pending->done,
					 pending->end - pending->done, timeout_ns);

		if (put < 0) {
			if (put != -ECANCELED && put != -ETIMEDOUT)
				cut(files);
			return failed(files, (int)put, error);
		}
		pending->done += (size_t)put;
		files->bytes += (size_t)put;
	}
	pending->from = pending->done;
	return 0;
}

/* ---- Records ---- */

static int remember(struct capture_files *files, const uint8_t *at, size_t size)
{
	if (files->prefix_size + size > files->prefix_room) {
		size_t room = 2 * (files->prefix_size + size);
		uint8_t *prefix = realloc(files->prefix, room);

		if (!prefix)
			return -ENOMEM;
		files->prefix = prefix;
		files->prefix_room = room;
	}
	memcpy(files->prefix + files->prefix_size, at, size);
	files->prefix_size += size;
	return 0;
}

static int rotate(struct capture_files *files, struct error *error)
{
	ssize_t put;

	if (files->output.is_file && fsync(files->output.fd))
		return failed(files, -errno, error);
	output_close(&files->output);
	if (open_next(files, error) || begin_next(files, error))
		return error ? error->code : -EIO;
	put = write(files->output.fd, files->prefix, files->prefix_size);
	if (put != (ssize_t)files->prefix_size)
		return failed(files, put < 0 ? -errno : -ENOSPC, error);
	files->bytes = files->prefix_size;
	return 0;
}

static bool is_time_to_rotate(const struct capture_files *files, size_t size)
{
	return capture_row_turns(&files->options.row,
				 files->bytes + (files->pending.end - files->pending.done),
				 files->prefix_size, size, worker_now() - files->opened_ns);
}

/* The size of what begins at `at`, of which `there` bytes have come; 0: not all of it has. */
static ssize_t next_record(const struct capture_files *files, const uint8_t *at, size_t there)
{
	size_t size;

	if (there < RECORD_HEAD)
		return 0;
	if (!files->prefix_size && !capture_is_one(at, there))
		return -EPROTO;
	size = record_size(files, at);
	if (size < RECORD_HEAD || size > CAPTURE_RECORD_MAX)
		return -EPROTO;
	return there < size ? 0 : (ssize_t)size;
}

/* The next record is not to be written. */
static void pass_over(struct capture_files *files, size_t size)
{
	struct capture_room *pending = &files->pending;
	uint8_t *at = pending->at + pending->end;

	memmove(at, at + size, pending->used - pending->end - size);
	pending->used -= size;
}

/* One more record is ready to be written; what is before it is written first where a new file begins with it. */
static int take_record(struct capture_files *files, size_t size, uint64_t timeout_ns,
		       struct error *error)
{
	const uint8_t *at = files->pending.at + files->pending.end;
	bool opens = !files->prefix_size || capture_record_is_interface(files->options.format, at);
	bool is_packet = !opens && capture_record_is_packet(files->options.format, at);
	int rc;

	/* The switch was not told to end yet. */
	if (is_packet && files->options.most && files->packets == files->options.most) {
		pass_over(files, size);
		return 0;
	}

	if (opens) {
		rc = remember(files, at, size);
		if (rc)
			return error_set(error, rc, "capture: out of memory");
	} else if (is_packet && is_time_to_rotate(files, size)) {
		rc = write_ready(files, timeout_ns, error);
		if (!rc)
			rc = rotate(files, error);
		if (rc)
			return rc;
	}
	files->packets += is_packet;
	files->pending.end += size;
	return 0;
}

int capture_files_take(struct capture_files *files, size_t bytes, uint64_t timeout_ns,
		       struct error *error)
{
	struct capture_room *pending = &files->pending;
	ssize_t size;
	int rc = 0;

	pending->used += bytes;
	while (!rc) {
		size = next_record(files, pending->at + pending->end, pending->used - pending->end);
		if (size < 0)
			return error_set(error, (int)size,
					 "capture: what the switch sends is no capture");
		if (!size)
			break;
		rc = take_record(files, (size_t)size, timeout_ns, error);
	}
	if (!rc)
		rc = write_ready(files, timeout_ns, error);
	if (rc)
		return rc;
	memmove(pending->at, pending->at + pending->done, pending->used - pending->done);
	pending->used -= pending->done;
	pending->from = pending->done = pending->end = 0;
	return 0;
}

uint8_t *capture_files_room(struct capture_files *files, size_t *room)
{
	*room = CAPTURE_FILES_ROOM - files->pending.used;
	return files->pending.at + files->pending.used;
}
