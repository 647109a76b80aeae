/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Recording frames to a file, a FIFO or standard output.
 *
 *	forwarding thread		writer thread
 *	capture_frame() --> ring of records --> write(2)
 *	 (capture_record.c)			(capture_writer.c, capture_pipe.c)
 *
 * Nothing that a disk or a reader does holds the forwarding thread: it puts the records (capture_format.c),
 * as they are to be in the file, into a ring of bounded size, and a thread of the capture's own writes them.
 * What does not fit is dropped and counted; the log says so at once, and capture_status() any time.
 *
 * The output always ends at a whole record. A file that cannot grow is cut back to the last whole one. Into a
 * pipe goes only what it has room for. A FIFO is opened when its reader comes; when the reader leaves, the
 * capture waits for the next one, for whom it begins anew with a header. Of a row (capture_row.h) each file can be read by itself.
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
#include "vswitch/capture_row.h"
#include "vswitch/frame.h"

struct capture;
struct error;
struct log;

#define CAPTURE_PORTS_MAX 4096 /* names, in the life of a capture */

enum capture_format_choice { CAPTURE_BY_NAME, CAPTURE_AS_PCAP, CAPTURE_AS_PCAPNG };

struct capture_options {
	const char *path;
	const char *label; /* what users know it by; NULL: `path` */
	struct log *log;   /* may be NULL; must outlive it */
	bool force;        /* over what is no older capture: see output.h */
	bool once; /* only to the FIFO of that name, whose reader is there (else -ENXIO), and until that leaves */
	bool shared;       /* several threads give it frames */
	bool segments;     /* large frames are recorded as the segments that a wire would have */
	size_t ring_bytes; /* 0: 64 MiB; rounded up to a power of two that holds a few records */
	uint32_t snaplen;  /* bytes of a packet that are recorded; 0: all */
	enum capture_format_choice format;
	struct capture_row row; /* -EINVAL where the output is no file */
	const char *filter;     /* what was asked for, to be said in the file; may be NULL */
};

/*
 * Opens the output (see output_open() for paths, and for what is refused) and starts the writer. CAPTURE_BY_NAME: ".pcapng"
 * at the end of the path makes it that, all else classic pcap. Does not wait. Errors of opening, -ENOSPC and such where not
 * even the header can be written, -EINVAL for a terminal.
 */
int capture_open(struct capture **out, const struct capture_options *options, struct error *error);

/*
 * Writes what is in the ring, waiting for a slow reader a second at most and for a disk five, and closes it.
 * 0, or the negative errno that ended it, or -ETIMEDOUT, with `error` set. That a reader left is no error.
 * NULL is fine.
 */
int capture_close(struct capture *capture, struct error *error);

/* ---- The forwarding threads' ---- */

/* Whether it has room for directions; else only frames that come in are worth recording. */
bool capture_has_directions(const struct capture *capture);

/* Names an interface for a port, at most PORT_NAME_MAX bytes; returns its number, the same for the same name. Beyond CAPTURE_PORTS_MAX the number is
 * nobody's, and frames of the port are lost. */
unsigned capture_add_port(struct capture *capture, const char *name);

struct capture_event {
	unsigned interface;  /* capture_add_port() */
	bool out;            /* it went out of the port, or was to */
	const char *dropped; /* why the switch dropped it, or NULL */
	uint64_t time_ns;    /* since the epoch */
	uint64_t id;         /* the same for all records of one packet; 0: none */
};

/*
 * Records `frame`, with its checksum finished in the copy. A large frame is recorded whole, or as its segments, as the options say.
 * In pcapng a comment says what the copy has that the frame had not.
 */
void capture_frame(struct capture *capture, const struct capture_event *event,
		   const struct frame *frame);

/* Has the writer look, if there is something new. Cheap. */
void capture_flush(struct capture *capture);

/* ---- Anybody's ---- */

struct capture_status {
	const char *path; /* or its label; as long as the capture */
	char state[80];
	uint64_t recorded; /* frames that the ring took */
	uint64_t written;  /* of these, in the output */
	uint64_t lost;     /* frames that will never be there */
	uint64_t bytes;    /* of output */
	bool once; /* of one that was stopped: it was for one reader (vswitch_stop_capture()) */
};

void capture_status(const struct capture *capture, struct capture_status *out);

bool capture_has_ended(const struct capture *capture);

/* Whether it writes the file, or the row, at `place`. */
bool capture_writes(const struct capture *capture, const struct capture_place *place);

/* capture_close(), and what there is to say then, but for its path. */
int capture_close_saying(struct capture *capture, struct capture_status *last, struct error *error);

#endif
