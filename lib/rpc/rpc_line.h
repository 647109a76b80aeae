/* Lines on a non-blocking stream socket, read and written on fibers. */
#ifndef TENON_RPC_RPC_LINE_H
#define TENON_RPC_RPC_LINE_H

#include <stddef.h>

struct rpc_reader {
	int fd;
	char *buffer; /* freed by rpc_reader_free() */
	size_t used;  /* bytes in the buffer */
	size_t taken; /* of which the last line, with its newline */
	size_t size;
};

/* The next line without its newline: 1 with *line and *length (valid until the next call), 0 at the
 * end of the stream, -EMSGSIZE over RPC_MESSAGE_MAX, or another negative errno. Suspends. */
int rpc_read_line(struct rpc_reader *reader, char **line, size_t *length);
void rpc_reader_free(struct rpc_reader *reader);

/* Writes the line and a newline. Suspends. */
int rpc_write_line(int fd, const char *line);

#endif
