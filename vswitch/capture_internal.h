/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of a capture share; see capture.h. */
#ifndef TENON_VSWITCH_CAPTURE_INTERNAL_H
#define TENON_VSWITCH_CAPTURE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "block/output.h"
#include "vswitch/capture.h"
#include "vswitch/capture_pipe.h"
#include "vswitch/port.h"

enum capture_state { CAPTURE_WAITING, CAPTURE_RECORDING, CAPTURE_ENDED };

/*
 * The ring: bytes [tail, head) hold whole records. Positions count up and never wrap; the memory is mapped twice
 * in a row, so that each record lies in one piece. The forwarding thread moves `head`, the writer
 * `tail`, each with release order after its work is done.
 *
 * `names` and what the ring says of them change together, under `lock`, so that a writer that begins
 * anew can say what its new reader has missed. Frames do not need it.
 */
struct capture {
	char path[4096], label[4096];
	struct capture_row row;
	struct capture_place place; /* at its beginning */
	enum capture_format format;
	struct log *log;
	bool force, once, segments;
	uint32_t snaplen;
	char filter[CAPTURE_FILTER_TEXT + 1];
	atomic_int users; /* the owner and the writer; the last one frees it */

	uint8_t *ring;
	size_t size; /* a power of two */

	/* The forwarding threads', with `producers` where there are several. */
	bool shared;
	pthread_mutex_t producers;
	_Atomic uint64_t head;
	uint64_t flushed;   /* head, when the writer was last told */
	unsigned announced; /* names that the ring has told of */
	uint64_t told_ns, told_dropped;
	_Atomic uint64_t recorded, dropped;
	_Atomic uint64_t last_ns; /* when the last packet was seen */
	struct capture_interface {
		_Atomic uint64_t received, dropped;
		uint64_t untold; /* of those dropped, what no record has said */
	} interfaces[CAPTURE_PORTS_MAX];

	pthread_mutex_t lock;
	unsigned name_count;
	char names[CAPTURE_PORTS_MAX][PORT_NAME_MAX];

	/* The writer's. */
	pthread_t thread;
	_Atomic uint64_t tail; /* the first record that is not written whole */
	uint64_t cursor;       /* the next byte to write: within that record */
	struct output output;
	char file[PATH_MAX];    /* that is open, or was last */
	unsigned file_number;   /* of it, from 1 */
	unsigned names_written; /* the interfaces that are in it */
	uint64_t opened_ns, prefix;
	atomic_bool removed; /* it has no name any more */
	bool is_fifo, is_pipe, is_socket;
	struct capture_pipe pipe;
	uint8_t *header; /* not yet written, or the end; NULL: it is */
	bool at_end;     /* the statistics are on their way */
	size_t header_size, header_done;
	uint64_t file_at;  /* of a file: behind the last byte written */
	uint64_t deadline; /* when it is to stop: until when it waits for a reader; ns */
	_Atomic uint64_t written, bytes, abandoned; /* frames; bytes; frames */
	_Atomic int state, failed;                  /* enum capture_state; a negative errno */

	int wake_fd, ended_fd; /* of the writer; by the writer as its last act */
	atomic_bool sleeping, stopping;
};

/* Makes the header that a new reader needs, with the first `names` interfaces. -ENOMEM. */
int capture_make_header(struct capture *capture, unsigned names);

/* The same for what the file ends with: statistics of all interfaces, in pcapng. */
int capture_make_end(struct capture *capture);

/* Opens the output and writes the header if that does not wait. -EAGAIN: it is a FIFO without a reader. */
int capture_open_output(struct capture *capture, struct error *error);

/* Writes `unit` bytes or more, up to `length`, as far as it can be done without waiting. */
ssize_t capture_put(struct capture *capture, const uint8_t *at, size_t unit, size_t length);
/* The same for the header: 0 when it is out, -EAGAIN, or what went wrong. */
int capture_put_header_out(struct capture *capture);
/* At a whole record: the next file of the row. */
int capture_turn(struct capture *capture);

/* The writer thread; drops its use of the capture at its end. */
void *capture_writer(void *capture);

/* There is something for it in the ring, or to end for. */
void capture_wake_writer(struct capture *capture);

void capture_unref(struct capture *capture);

#endif
