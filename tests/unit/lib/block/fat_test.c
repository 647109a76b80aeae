/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/block/fat: what mkfs.fat and mtools make is read; chains and folders that bite their tails end. None of it suspends. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/block.h"
#include "block/fat.h"
#include "util/bytes.h"
#include "util/error.h"

#define MIB (1ULL << 20)

/* The smallest FAT16 there is by hand: sectors of 512, clusters of one, a root of 16 entries, 5000 clusters. */
static struct block *small(void)
{
	struct block *block = NULL;
	uint8_t sector[512] = { 0xeb, 0x3c, 0x90 };

	CU_ASSERT_EQUAL_FATAL(block_create_memory(&block, "disk", 4 * MIB, NULL), 0);
	put_le16(sector + 11, 512);
	sector[13] = 1;
	put_le16(sector + 14, 1);
	sector[16] = 1;
	put_le16(sector + 17, 16);
	put_le16(sector + 19, 5022);
	put_le16(sector + 22, 20);
	sector[510] = 0x55;
	sector[511] = 0xaa;
	CU_ASSERT_EQUAL_FATAL(block_write(block, 0, sector, 512, 0), 0);
	return block;
}

#define ROOT  (21 * 512)
#define DATA  (22 * 512)
#define TABLE 512

static void set_chain(struct block *block, unsigned cluster, unsigned next)
{
	uint8_t sector[512];

	CU_ASSERT_EQUAL_FATAL(block_read(block, TABLE, sector, 512), 0);
	put_le16(sector + 2 * cluster, (uint16_t)next);
	CU_ASSERT_EQUAL_FATAL(block_write(block, TABLE, sector, 512, 0), 0);
}

static void add(struct block *block, uint64_t folder, unsigned index, const char *name,
		uint8_t attributes, unsigned cluster, uint32_t size)
{
	uint8_t sector[512], *entry = sector + 32 * index;

	CU_ASSERT_EQUAL_FATAL(block_read(block, folder, sector, 512), 0);
	memcpy(entry, name, 11);
	entry[11] = attributes;
	put_le16(entry + 26, (uint16_t)cluster);
	put_le32(entry + 28, size);
	CU_ASSERT_EQUAL_FATAL(block_write(block, folder, sector, 512, 0), 0);
}

static int list(void *arg, const struct fat_file *file)
{
	char *text = arg;

	if (strlen(text) + strlen(file->path) < 4000)
		sprintf(text + strlen(text), "%s%s ", file->path, file->is_folder ? "/" : "");
	return 0;
}

static void test_files_are_read(void)
{
	CLEANUP_BLOCK struct block *block = small();
	CLEANUP_FAT struct fat *fat = NULL;
	CLEANUP_FREE char *data = NULL;
	uint8_t sector[512];
	char text[4096] = "";
	size_t length;
	uint64_t used;

	add(block, ROOT, 0, "EFI        ", 0x10, 2, 0);
	add(block, ROOT, 1, "A       TXT", 0x20, 3, 700);
	add(block, DATA, 0, "BOOTX64 EFI", 0x20, 5, 0);
	set_chain(block, 2, 0xffff);
	set_chain(block, 3, 7);
	set_chain(block, 7, 0xffff);
	memset(sector, 'x', 512);
	CU_ASSERT_EQUAL(block_write(block, DATA + 512, sector, 512, 0), 0);
	memset(sector, 'y', 512);
	CU_ASSERT_EQUAL(block_write(block, DATA + 5 * 512, sector, 512, 0), 0);
	CU_ASSERT_EQUAL_FATAL(fat_open(&fat, block, NULL), 0);
	CU_ASSERT_EQUAL(fat_walk(fat, list, text), 0);
	CU_ASSERT_STRING_EQUAL(text, "EFI/ EFI/BOOTX64.EFI A.TXT ");
	CU_ASSERT_EQUAL(fat_used(fat, &used), 0);
	CU_ASSERT_EQUAL(used, 3 * 512);
	CU_ASSERT_EQUAL_FATAL(fat_read(fat, "a.txt", 1000, &data, &length), 0);
	CU_ASSERT_EQUAL(length, 700);
	CU_ASSERT_TRUE(data[511] == 'x' && data[512] == 'y' && data[699] == 'y' && !data[700]);
	free(steal_pointer(&data));
	CU_ASSERT_EQUAL(fat_read(fat, "a.txt", 10, &data, &length), 0);
	CU_ASSERT_EQUAL(length, 10);
	free(steal_pointer(&data));
	CU_ASSERT_EQUAL(fat_read(fat, "none", 10, &data, &length), -ENOENT);
}

static void test_what_bites_its_tail_ends(void)
{
	CLEANUP_BLOCK struct block *block = small();
	CLEANUP_FAT struct fat *fat = NULL;
	CLEANUP_FREE char *data = NULL;
	char text[4096] = "";
	size_t length;

	add(block, ROOT, 0, "LOOP       ", 0x10, 2, 0);
	add(block, DATA, 0, "LOOP       ", 0x10, 2, 0);
	add(block, ROOT, 1, "LONG       ", 0x20, 3, UINT32_MAX);
	add(block, ROOT, 2, "FAR        ", 0x20, 60000, 100);
	set_chain(block, 2, 2);
	set_chain(block, 3, 3);
	CU_ASSERT_EQUAL_FATAL(fat_open(&fat, block, NULL), 0);
	CU_ASSERT_EQUAL(fat_walk(fat, list, text), 0);
	CU_ASSERT_EQUAL_FATAL(fat_read(fat, "LONG", 1 << 20, &data, &length), 0);
	CU_ASSERT_EQUAL(length, 1 << 20);
	free(steal_pointer(&data));
	CU_ASSERT_EQUAL_FATAL(fat_read(fat, "FAR", 1 << 20, &data, &length), 0);
	CU_ASSERT_EQUAL(length, 0);
}

static void test_what_is_none_is_refused(void)
{
	CLEANUP_BLOCK struct block *block = small();
	CLEANUP_FAT struct fat *fat = NULL;
	uint8_t boot[512], sector[512];

	CU_ASSERT_EQUAL(block_read(block, 0, boot, 512), 0);
	for (unsigned i = 0; i < 40; i++) {
		static const uint8_t values[] = { 0, 0xff, 0x7f, 1 };

		for (size_t k = 0; k < ARRAY_SIZE(values); k++) {
			memcpy(sector, boot, 512);
			sector[i] = values[k];
			CU_ASSERT_EQUAL(block_write(block, 0, sector, 512, 0), 0);
			if (!fat_open(&fat, block, NULL))
				fat_close(fat);
			fat = NULL;
		}
	}
	memcpy(sector, boot, 512);
	put_le16(sector + 19, 20000);
	CU_ASSERT_EQUAL(block_write(block, 0, sector, 512, 0), 0);
	CU_ASSERT_EQUAL(fat_open(&fat, block, NULL), -EINVAL);
	memset(sector, 0, 512);
	CU_ASSERT_EQUAL(block_write(block, 0, sector, 512, 0), 0);
	CU_ASSERT_EQUAL(fat_open(&fat, block, NULL), -EINVAL);
}

/* ---- Other tools' ---- */

static struct block *load(const char *path, uint64_t size)
{
	struct block *block = NULL;
	CLEANUP_FREE char *data = malloc(size);
	CLEANUP_CLOSE int fd = open(path, O_RDONLY);

	CU_ASSERT_EQUAL_FATAL(read(fd, data, size), (ssize_t)size);
	CU_ASSERT_EQUAL_FATAL(block_create_memory(&block, "disk", size, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(block_write(block, 0, data, size, 0), 0);
	return block;
}

static void test_of_each_size_as_mtools_makes_them(void)
{
	static const struct {
		const char *bits;
		unsigned mib;
	} kinds[] = { { "12", 1 }, { "16", 16 }, { "32", 40 } };

	if (system("PATH=$PATH:/usr/sbin; command -v mkfs.fat mcopy >/dev/null")) {
		unit_skip("mkfs.fat or mcopy is not installed");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		char command[2048], path[256], text[4096] = "";
		CLEANUP_BLOCK struct block *block = NULL;
		CLEANUP_FAT struct fat *fat = NULL;
		CLEANUP_FREE char *data = NULL;
		size_t length;

		snprintf(path, sizeof(path), "%s/fat", unit_directory());
		snprintf(
			command, sizeof(command),
			"PATH=$PATH:/usr/sbin; rm -f %s; truncate -s %uM %s; mkfs.fat -F %s %s "
			">/dev/null && cd %s && seq 20000 >a && "
			"mmd -i %s ::EFI ::EFI/debian && mcopy -i %s a '::EFI/debian/a rather long "
			"name of a file.conf' && mcopy -i %s a ::meta-data",
			path, kinds[i].mib, path, kinds[i].bits, path, unit_directory(), path, path,
			path);
		CU_ASSERT_EQUAL_FATAL(system(command), 0);
		block = load(path, kinds[i].mib * MIB);
		CU_ASSERT_EQUAL_FATAL(fat_open(&fat, block, NULL), 0);
		CU_ASSERT_EQUAL(fat_walk(fat, list, text), 0);
		CU_ASSERT_STRING_EQUAL(text, "EFI/ EFI/debian/ EFI/debian/a rather long "
					     "name of a file.conf meta-data ");
		CU_ASSERT_EQUAL_FATAL(fat_read(fat, "META-DATA", 1 << 20, &data, &length), 0);
		CU_ASSERT_EQUAL(length, 108894);
		CU_ASSERT_STRING_EQUAL(data + length - 12, "19999\n20000\n");
	}
}

UNIT_MAIN("FAT", UNIT(test_files_are_read), UNIT(test_what_bites_its_tail_ends),
	  UNIT(test_what_is_none_is_refused), UNIT(test_of_each_size_as_mtools_makes_them))
