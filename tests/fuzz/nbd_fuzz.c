/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile NBD server: the first byte says how the disk is opened, the rest is all that the server ever says. What must hold: a disk that was
 * opened is one that can be; requests end; a flush after a write that was not acknowledged before the end of the
 * connection does not succeed. And whatever a URI looks like, its host is in it.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "block/block.h"
#include "block/nbd.h"
#include "block/nbd_uri.h"
#include "fiber/fiber.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t size;
	bool writable;
};

static void use(struct block *block, bool writable)
{
	char bytes[8192] = { 0 };
	uint64_t length = block->size;
	enum block_status status;
	uint64_t unit = block->logical_block_size;
	uint64_t some = MIN(round_down(sizeof(bytes), unit), block->size);

	if ((unit != 512 && unit != 4096) || !block->size || block->size % unit ||
	    block->read_only == writable)
		abort();
	if (block_status(block, 0, &length, &status) || !length || length > block->size)
		abort();
	(void)block_read(block, 0, bytes, some);
	(void)block_read(block, block->size - unit, bytes, unit);
	if (!writable)
		return;
	(void)block_write(block, 0, bytes, some, 0);
	(void)block_write_zeroes(block, 0, unit, BLOCK_MAY_UNMAP);
	(void)block_discard(block, 0, unit);
	(void)block_write(block, block->size - unit, bytes, unit, BLOCK_FUA);
	(void)block_flush(block);
}

/* Whoever says no more: then requests end with the connection. */
static int talk(void *arg)
{
	const struct input *input = arg;
	CLEANUP_BLOCK struct block *block = NULL;
	struct error error = { 0 };
	int ends[2], rc;
	size_t most = MIN(input->size, (size_t)65536);

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) ||
	    write(ends[0], input->data, most) != (ssize_t)most || shutdown(ends[0], SHUT_WR))
		abort();
	rc = block_open_nbd_socket(&block, "disk", ends[1], input->writable, &error);
	if (rc ? !error.code || block : !block)
		abort();
	if (!rc)
		use(block, input->writable);
	close(ends[0]);
	return 0;
}

static void check_uri(const uint8_t *data, size_t size)
{
	CLEANUP_FREE char *text = malloc(size + 7), *with = NULL;
	struct nbd_uri uri;

	memcpy(text, "nbd://", 6);
	memcpy(text + 6, data, size);
	text[size + 6] = '\0';
	if (!nbd_uri_parse(text, &uri))
		return;
	if (uri.host < text || uri.host + uri.host_length > text + strlen(text) ||
	    uri.before + uri.host_length + uri.after > strlen(text))
		abort();
	with = nbd_uri_with_address(text, &uri, "::1");
	if (!with || !nbd_uri_parse(with, &uri) || !uri.is_address)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct worker *worker;

	if (!size)
		return 0;
	check_uri(data, size);
	if (!worker &&
	    worker_create(&worker,
			  &(struct worker_options){
				  .engine = WORKER_ENGINE_AIO, .virtual_clock = true, .seed = 1 },
			  NULL))
		abort();
	worker_run(worker, talk, &(struct input){ data + 1, size - 1, data[0] & 1 });
	return 0;
}
