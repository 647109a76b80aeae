/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Recording frames to a file, a FIFO or standard output.
 *
 *	forwarding thread		writer thread
 *	capture_frame() --> ring of records --> write(2)
 *	 (capture.c)				(capture_writer.c, capture_pipe.c)
 *
 * Nothing that a disk or a reader does holds the forwarding thread: it puts the records (capture_format.c),
 * as they are to be in the file, into a ring of bounded size, and a thread of the capture's own writes them.
 * What does not fit is dropped and counted; the log says so at once, and capture_status() any time.
 *
 * The output always ends at a whole record. A file that cannot grow is cut back to the last whole one. Into a
 * pipe goes only what it has room for. A FIFO is opened when its reader comes; when the reader leaves, the
 * capture waits for the next one, for whom it begins anew with a header.
 *
 * States, as a user sees them: waiting (for the reader of a FIFO), recording, ended (by an error, which is told
 * at once; or by a reader that cannot come back). The writer alone changes them.
 */
#ifndef TENON_VSWITCH_CAPTURE_H
#define TENON_VSWITCH_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vswitch/capture_format.h"
#include "vswitch/frame.h"

struct capture;
struct error;
struct log;

#define CAPTURE_PORTS_MAX 4096 /* in the life of a capture */

struct capture_options {
	const char *path;
	struct log *log;   /* may be NULL; must outlive it */
	bool force;        /* over what is no older capture: see output.h */
	size_t ring_bytes; /* 0: 64 MiB; rounded up to a power of two that holds a few records */
};

/*
 * Opens the output (see output_open() for paths, and for what is refused) and starts the writer. ".pcapng" at
 * the end of the path decides the format. Does not wait. Errors of opening, -ENOSPC and such where not
 * even the header can be written, -EINVAL for a terminal.
 */
int capture_open(struct capture **out, const struct capture_options *options, struct error *error);

/*
 * Writes what is in the ring, waiting for a slow reader a second at most and for a disk five, and closes it.
 * 0, or the negative errno that ended it, or -ETIMEDOUT, with `error` set. That a reader left is no error.
 * NULL is fine.
 */
int capture_close(struct capture *capture, struct error *error);

/* ---- The forwarding threads', one at a time ---- */

/* Whether it has room for directions; else only frames that come in are worth recording. */
bool capture_has_directions(const struct capture *capture);

/* Names an interface for a port, at most PORT_NAME_MAX bytes; returns its number. Beyond CAPTURE_PORTS_MAX the number is
 * nobody's, and frames of the port are lost. */
unsigned capture_add_port(struct capture *capture, const char *name);

/* Records `frame` as it came in at the port numbered `index` (or went out of it), with its checksum finished.
 * `time_ns` since the epoch. */
void capture_frame(struct capture *capture, unsigned index, bool out, uint64_t time_ns,
		   const struct frame *frame);

/* Has the writer look, if there is something new. Cheap. */
void capture_flush(struct capture *capture);

/* ---- Anybody's ---- */

struct capture_status {
	const char *path; /* as long as the capture */
	char state[80];
	uint64_t recorded; /* frames that the ring took */
	uint64_t written;  /* of these, in the output */
	uint64_t lost;     /* frames that will never be there */
	uint64_t bytes;    /* of output */
};

void capture_status(const struct capture *capture, struct capture_status *out);

#endif
