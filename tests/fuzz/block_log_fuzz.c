/* SPDX-License-Identifier: BSD-2-Clause */
/* The reader of dm-log-writes logs: the input is a log, replayed on a small disk. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "block/block.h"
#include "block/record.h"
#include "util/bytes.h"
#include "util/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_BLOCK struct block *log = NULL, *target = NULL;
	CLEANUP_FREE char *padded = NULL;
	struct error error = { 0 };
	struct block_log at;
	size_t whole = round_up(size, 512);

	if (!size || size > 1 << 20)
		return 0;
	padded = calloc(1, whole);
	if (!padded || block_create_memory(&log, "log", whole, NULL) ||
	    block_create_memory(&target, "target", 64 << 10, NULL))
		abort();
	memcpy(padded, data, size);
	if (block_write(log, 0, padded, whole, 0))
		abort();
	if (!block_log_open(&at, log, &error))
		while (block_log_replay(&at, target, BLOCK_LOG_FLUSH, "mark", NULL, &error) > 0)
			;
	return 0;
}
