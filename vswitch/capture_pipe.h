/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How much a pipe takes now, for certain.
 *
 * A record that does not fit would be cut in two: its reader may never come back for the second half. But a
 * pipe's room is in pages, and how many are in use nobody says, only how many bytes are unread. Each write of
 * ours takes at most one page for each begun PAGE_SIZE of it; so the pages of those writes that are not read
 * to their end are a bound.
 *
 * Source: Linux fs/pipe.c, pipe_write() (6.1); pipe(7), "Pipe capacity".
 */
#ifndef TENON_VSWITCH_CAPTURE_PIPE_H
#define TENON_VSWITCH_CAPTURE_PIPE_H

#include <stddef.h>
#include <stdint.h>

#define CAPTURE_PIPE_WRITES 256u
#define CAPTURE_PIPE_BYTES  (1u << 20) /* what is asked for: the most that an ordinary user gets */

struct capture_pipe {
	size_t capacity;      /* of the empty pipe, in bytes */
	unsigned pages, used; /* all, and those of unread writes */
	uint64_t put;         /* bytes in all, with those that were there before */
	/* Writes that are not read to their end: the `put` after each, and its pages. */
	unsigned first, count;
	struct {
		uint64_t end;
		unsigned pages;
	} writes[CAPTURE_PIPE_WRITES];
};

/* Makes the pipe `fd` larger if it may, and takes stock. */
void capture_pipe_init(struct capture_pipe *pipe, int fd);

/* How many bytes a write takes whole. */
size_t capture_pipe_room(struct capture_pipe *pipe, int fd);

/* So many were written at once. */
void capture_pipe_written(struct capture_pipe *pipe, size_t bytes);

#endif
