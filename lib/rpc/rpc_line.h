/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines on a non-blocking stream socket, read and written on fibers, within a time. */
#ifndef TENON_RPC_RPC_LINE_H
#define TENON_RPC_RPC_LINE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* How long the other side is waited for. */
struct rpc_patience {
	uint64_t idle_ns; /* for the first byte of a line; FIBER_FOREVER: for ever */
	uint64_t line_ns; /* from then on for the rest of it, and for what is written to be taken */
	pid_t peer; /* one that is stopped is not waited for longer than a second; 0: not known */
	/* As worker_now(): a limit moves up to here while `peer` is slow and does not wait itself, and none is later; 0: none moves. */
	uint64_t latest;
};

struct rpc_reader {
	int fd;
	const struct rpc_patience *patience;
	size_t most;  /* bytes of a line, a power of two */
	char *buffer; /* freed by rpc_reader_free() */
	size_t used;  /* bytes in the buffer */
	size_t taken; /* of which the last line, with its newline */
	size_t size;
};

/* The next line without its newline: 1 with *line and *length (valid until the next call), 0 at the
 * end of the stream, -ETIMEDOUT, -EMSGSIZE over `most`, or another negative errno. Suspends. */
int rpc_read_line(struct rpc_reader *reader, char **line, size_t *length);
void rpc_reader_free(struct rpc_reader *reader);

/* Writes the line and a newline. 0, -ETIMEDOUT or another negative errno. Suspends. */
int rpc_write_line(int fd, const char *line, const struct rpc_patience *patience);
/* The same without a newline. */
int rpc_write_text(int fd, const char *text, const struct rpc_patience *patience);

#endif
