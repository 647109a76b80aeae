/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where `tenon switch capture` puts what a switch gives it: a stream of whole records (capture_format.h), to one file, to a row of
 * files of some size or time each, or to a pipe. Each file can be read by itself: it begins with the header and the interfaces.
 *
 * What is written ends at a whole record, but in a pipe whose reader stops in the middle of one.
 */
#ifndef TENON_TOOLS_CAPTURE_FILES_H
#define TENON_TOOLS_CAPTURE_FILES_H

#include "block/output.h"
#include "vswitch/capture_format.h"
#include "vswitch/capture_row.h"

struct capture_files_options {
	const char *path; /* "-": standard output */
	bool force;       /* over files that hold something else */
	struct capture_row row;
	uint64_t most; /* packets are written, in all files; 0: all */
	enum capture_format format;
};

struct capture_files {
	struct capture_files_options options;
	struct output output;
	char name[4096]; /* of the file that is open */
	unsigned number; /* of it, from 1 */
	uint64_t bytes, opened_ns;
	uint64_t packets; /* in all files */
	bool is_stream, begun;
	uint8_t *prefix; /* what each file begins with, as far as it is known */
	size_t prefix_size, prefix_room;
	struct capture_room {
		uint8_t *at;
		/* Bytes that are there; that are whole records to be written to this file; that are written; and where
		 * the records among these begin of which the file may have to be cut back. */
		size_t used, end, done, from;
	} pending;
};

/* What a file is by its name, where nothing else is said: classic pcap, or pcapng. */
bool capture_files_names_pcap(const char *path);

/* Room for what comes in one go. */
#define CAPTURE_FILES_ROOM (1u << 20)

/* Opens the first file, which keeps what it has until capture_files_begin(). On a fiber; see output_open() for errors. */
int capture_files_open(struct capture_files *files, const struct capture_files_options *options,
		       struct error *error);

/* There will be a capture: empties the file, and shortens the row. Without it capture_files_close() leaves all as it was. */
int capture_files_begin(struct capture_files *files, struct error *error);

/* Where the next bytes of the stream go, and how many fit. */
uint8_t *capture_files_room(struct capture_files *files, size_t *room);

/* So many came. Writes all whole records, and suspends while a pipe's reader does not read; `timeout_ns`: for so long at
 * most. 0; -EPIPE; -EPROTO: no capture; -ECANCELED and -ETIMEDOUT, after which it may be called again (with 0 bytes). */
int capture_files_take(struct capture_files *files, size_t bytes, uint64_t timeout_ns,
		       struct error *error);

/* 0, or the errno of a close that failed. May be called for what was not opened. */
int capture_files_close(struct capture_files *files, struct error *error);

#endif
