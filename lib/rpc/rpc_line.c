/* See rpc_line.h. */
#include "rpc/rpc_line.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fiber/fiber.h"
#include "rpc/rpc.h"

static int rpc_reader_grow(struct rpc_reader *reader)
{
	size_t size = reader->size ? reader->size * 2 : 4096;
	char *buffer;

	if (reader->used < reader->size)
		return 0;
	if (size > RPC_MESSAGE_MAX)
		return -EMSGSIZE;
	buffer = realloc(reader->buffer, size);
	if (!buffer)
		return -ENOMEM;
	reader->buffer = buffer;
	reader->size = size;
	return 0;
}

int rpc_read_line(struct rpc_reader *reader, char **line, size_t *length)
{
	size_t searched = 0;

	reader->used -= reader->taken;
	if (reader->taken && reader->used)
		memmove(reader->buffer, reader->buffer + reader->taken, reader->used);
	reader->taken = 0;
	for (;;) {
		char *end = NULL;
		ssize_t got;
		int rc;

		if (reader->used > searched)
			end = memchr(reader->buffer + searched, '\n', reader->used - searched);
		if (end) {
			*line = reader->buffer;
			*length = (size_t)(end - reader->buffer);
			reader->taken = *length + 1;
			return 1;
		}
		searched = reader->used;
		rc = rpc_reader_grow(reader);
		if (rc)
			return rc;
		got = fiber_read(reader->fd, reader->buffer + reader->used,
				 reader->size - reader->used);
		if (got <= 0)
			return (int)got;
		reader->used += (size_t)got;
	}
}

void rpc_reader_free(struct rpc_reader *reader)
{
	free(reader->buffer);
	reader->buffer = NULL;
}

int rpc_write_line(int fd, const char *line)
{
	int rc = fiber_write(fd, line, strlen(line));

	return rc ? rc : fiber_write(fd, "\n", 1);
}
