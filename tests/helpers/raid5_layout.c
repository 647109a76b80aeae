/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether the data areas of members hold an array's data, P and Q where raid/raid5_geometry.h and raid/parity.h say
 * that they are:
 *
 *	raid5_layout LEVEL LAYOUT CHUNK_SECTORS ROWS ARRAY MEMBER...
 *
 * ARRAY is what the array holds, MEMBERs the data areas in the order of their roles.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raid/geometry.h"
#include "raid/parity.h"
#include "raid/raid5_geometry.h"
#include "util/bytes.h"
#include "util/cleanup.h"

#define SECTOR       512u
#define MEMBERS_MAX  16
#define COLUMN_BYTES (MEMBERS_MAX + 2) * SECTOR

struct layout {
	struct raid_geometry g;
	unsigned long rows;
	FILE *array, *members[MEMBERS_MAX];
};

static void read_sector(FILE *file, uint64_t sector, void *at)
{
	if (fseek(file, (long)(sector * SECTOR), SEEK_SET) || fread(at, SECTOR, 1, file) != 1) {
		fprintf(stderr, "raid5_layout: a file is too short for sector %llu\n",
			(unsigned long long)sector);
		exit(2);
	}
}

static void differs(const struct layout *layout, const char *what, uint64_t sector, uint32_t role)
{
	printf("level %d layout %u disks %u: %s at sector %llu of member %u is other than "
	       "expected\n",
	       layout->g.level, layout->g.layout, layout->g.disks, what, (unsigned long long)sector,
	       role);
	exit(1);
}

static void check_data(const struct layout *layout, uint64_t array_sector)
{
	struct raid5_place place = raid5_map(&layout->g, array_sector);
	char expected[SECTOR], found[SECTOR];

	read_sector(layout->array, array_sector, expected);
	read_sector(layout->members[place.role], place.sector, found);
	if (memcmp(expected, found, SECTOR) != 0)
		differs(layout, "data", place.sector, place.role);
}

static void check_parity(const struct layout *layout, uint64_t sector)
{
	static uint8_t memory[COLUMN_BYTES] __attribute__((aligned(RAID_PARITY_ALIGN)));
	struct raid5_row row = raid5_row(&layout->g, sector / layout->g.chunk_sectors);
	void *blocks[MEMBERS_MAX + 2];
	struct raid_column column = { blocks, raid5_slots(&row), row.q != RAID5_NO_ROLE, SECTOR };
	uint8_t found[SECTOR];

	for (uint32_t i = 0; i < column.slots + 2; i++)
		blocks[i] = i < column.slots ? RAID_PARITY_GAP : memory + i * SECTOR;
	for (uint32_t i = 0; i < row.data; i++) {
		uint32_t role = raid5_role(&row, i), slot = raid5_slot(&row, role);

		blocks[slot] = memory + slot * SECTOR;
		read_sector(layout->members[role], sector, blocks[slot]);
	}
	raid_parity_generate(&column);
	read_sector(layout->members[row.p], sector, found);
	if (memcmp(found, blocks[column.slots], SECTOR) != 0)
		differs(layout, "P", sector, row.p);
	if (!column.has_q)
		return;
	read_sector(layout->members[row.q], sector, found);
	if (memcmp(found, blocks[column.slots + 1], SECTOR) != 0)
		differs(layout, "Q", sector, row.q);
}

int main(int argc, char **argv)
{
	struct layout layout = { 0 };
	uint64_t sectors;

	if (argc < 8 || argc - 6 > MEMBERS_MAX)
		return 2;
	layout.g.level = atoi(argv[1]);
	layout.g.layout = (uint32_t)atoi(argv[2]);
	layout.g.chunk_sectors = (uint32_t)atoi(argv[3]);
	layout.rows = strtoul(argv[4], NULL, 10);
	layout.g.disks = (uint32_t)argc - 6;
	layout.array = fopen(argv[5], "rb");
	for (int i = 6; i < argc; i++) {
		layout.members[i - 6] = fopen(argv[i], "rb");
		if (!layout.array || !layout.members[i - 6])
			return 2;
	}
	sectors = layout.rows * layout.g.chunk_sectors;
	for (uint64_t at = 0; at < sectors * raid5_data_disks(&layout.g); at++)
		check_data(&layout, at);
	for (uint64_t at = 0; at < sectors; at++)
		check_parity(&layout, at);
	return 0;
}
