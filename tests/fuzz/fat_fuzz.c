/* SPDX-License-Identifier: BSD-2-Clause */
/* FAT file systems of any bytes: walking and reading ends, inside of the device. */
#include <stdlib.h>

#include "block/block.h"
#include "block/fat.h"
#include "util/bytes.h"

#define DISK_SIZE (256u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int visit(void *arg, const struct fat_file *file)
{
	unsigned *count = arg;

	if (strlen(file->path) >= FAT_PATH || ++*count > 4096)
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_BLOCK struct block *block = NULL;
	CLEANUP_FAT struct fat *fat = NULL;
	CLEANUP_FREE uint8_t *disk = calloc(1, DISK_SIZE);
	CLEANUP_FREE char *text = NULL;
	unsigned count = 0;
	uint64_t used;
	size_t length;

	if (!disk)
		abort();
	memcpy(disk, data, MIN(size, (size_t)DISK_SIZE));
	disk[0] = 0xeb;
	disk[510] = 0x55;
	disk[511] = 0xaa;
	if (block_create_memory(&block, "disk", DISK_SIZE, NULL) ||
	    block_write(block, 0, disk, DISK_SIZE, 0))
		abort();
	if (fat_open(&fat, block, NULL))
		return 0;
	fat_walk(fat, visit, &count);
	if (!fat_used(fat, &used) && used > DISK_SIZE * 8ull)
		abort();
	if (!fat_read(fat, "A", 1000, &text, &length) && (length > 1000 || text[length]))
		abort();
	return 0;
}
