/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Partition tables and formats of any disk, and what names of other files its head has: what is found lies inside it, and no two of them meet. GPTs get good
 * checksums, or nothing behind them would be reached.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "block/block.h"
#include "block/dos_table.h"
#include "block/gpt.h"
#include "block/image_alone.h"
#include "block/image_format.h"
#include "block/partition.h"
#include "util/bytes.h"
#include "util/error.h"

#define DISK_SIZE (128u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void mend_gpt(uint8_t *disk, uint32_t sector)
{
	uint8_t *header = disk + sector;
	uint64_t at = get_le64(header + 72);
	uint64_t length = (uint64_t)get_le32(header + 80) * get_le32(header + 84);
	uint32_t header_size = get_le32(header + 12);

	if (memcmp(header, "EFI PART", 8) || header_size > sector || at > DISK_SIZE / sector ||
	    !range_within(at * sector, length, DISK_SIZE))
		return;
	put_le32(header + 88, (uint32_t)crc32(0, disk + at * sector, (unsigned)length));
	put_le32(header + 16, 0);
	put_le32(header + 16, (uint32_t)crc32(0, header, header_size));
}

static void check(const struct partition_table *table)
{
	const struct partition *one, *other;
	char list[128];

	partition_table_list(table, list, sizeof(list));
	for (unsigned i = 0; i < table->count; i++) {
		if (partition_find(table, table->partitions[i].number, DISK_SIZE, "disk", &one,
				   NULL))
			continue;
		if (!one->length || !range_within(one->start, one->length, DISK_SIZE))
			abort();
		for (unsigned k = 0; k < table->count; k++)
			if (!partition_find(table, table->partitions[k].number, DISK_SIZE, "disk",
					    &other, NULL) &&
			    other != one && one->has_parent == other->has_parent &&
			    one->start < other->start + other->length &&
			    other->start < one->start + one->length)
				abort();
	}
}

/* The tables with their damage; and what is believed of a GPT can be enlarged, written, and is whole then. */
static void check_tables(const uint8_t *disk)
{
	CLEANUP_BLOCK struct block *block = NULL;
	CLEANUP_GPT_LOOK struct gpt_look look = { 0 }, again = { 0 };
	struct dos_table dos;
	struct gpt_partition partition;
	uint64_t length;
	unsigned number;

	if (block_create_memory(&block, "disk", 2 * DISK_SIZE, NULL) ||
	    block_write(block, 0, disk, DISK_SIZE, 0))
		abort();
	if (dos_table_read(block, &dos, NULL) < 0 || dos.count > DOS_MOST)
		abort();
	if (gpt_look(block, &look, NULL) != 1)
		return;
	for (uint32_t i = 0; i < look.gpt.count; i++)
		if (gpt_partition(&look.gpt, i, &partition) &&
		    !range_within(partition.start, partition.length, block->size))
			abort();
	if (gpt_fit(&look.gpt, block->size))
		return;
	gpt_grow_last(&look.gpt, &number, &length);
	if (gpt_write(block, &look.gpt, NULL) || gpt_look(block, &again, NULL) != 1 ||
	    *again.problem)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_PARTITION_TABLE struct partition_table table = { 0 };
	CLEANUP_CLOSE int fd = memfd_create("disk", MFD_CLOEXEC);
	CLEANUP_FREE uint8_t *disk = calloc(1, DISK_SIZE);
	struct error error = { 0 };

	if (fd < 0 || !disk)
		abort();
	memcpy(disk, data, MIN(size, (size_t)DISK_SIZE));
	mend_gpt(disk, 512);
	mend_gpt(disk, 4096);
	if (write(fd, disk, DISK_SIZE) != (ssize_t)DISK_SIZE)
		abort();
	if (partition_table_read(&table, fd, "disk", &error) < 0 && !error.code)
		abort();
	check(&table);
	check_tables(disk);
	image_format_of_file(fd);
	(void)image_check_head(data, size, "disk", "qcow2", &error);
	(void)image_check_head(data, size, "disk", "vmdk", &error);
	return 0;
}
