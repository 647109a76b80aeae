/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether what the kernel wrote is decoded, and encoded again is the same:
 *
 *	md_formats 90 MEMBER			a 0.90 superblock: prints level, disks, events, UUID
 *	md_formats dm-raid FILE			a dm-raid superblock at byte 0: prints level, layout, places
 *	md_formats ppl MEMBER			the headers of a partial parity log: prints how many and the last generation
 *	md_formats journal MEMBER		the meta blocks of a journal: prints how many, and of which payloads
 *
 * ppl and journal find their place by the superblock, of version 1.2.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raid/dm_raid.h"
#include "raid/geometry.h"
#include "raid/md_journal.h"
#include "raid/md_ppl.h"
#include "raid/md_superblock.h"
#include "raid/md_superblock_90.h"
#include "util/bytes.h"
#include "util/error.h"

#define PAGE 4096u

static int failed(const char *what, const struct error *error)
{
	printf("%s: %s\n", what, error ? error->text : "differs");
	return 1;
}

static bool read_page(FILE *file, uint64_t byte, uint8_t *page)
{
	return !fseek(file, (long)byte, SEEK_SET) && fread(page, PAGE, 1, file) == 1;
}

static int look_90(FILE *file)
{
	uint8_t page[PAGE], again[PAGE];
	struct md90_superblock sb;
	struct error error;
	uint64_t sector;

	fseek(file, 0, SEEK_END);
	if (md90_place((uint64_t)ftell(file) / 512, &sector) ||
	    !read_page(file, sector * 512, page))
		return failed("place", NULL);
	if (md90_decode(page, &sb, &error))
		return failed("0.90", &error);
	md90_encode(&sb, again);
	if (memcmp(page, again, PAGE) != 0)
		return failed("0.90 encoded again", NULL);
	printf("level %d disks %u events %llu role %u uuid %02x%02x%02x%02x\n", sb.level,
	       sb.raid_disks, (unsigned long long)sb.events, sb.this_device.raid_disk, sb.uuid[3],
	       sb.uuid[2], sb.uuid[1], sb.uuid[0]);
	return 0;
}

static int look_dm_raid(FILE *file)
{
	uint8_t page[PAGE], again[PAGE] = { 0 };
	struct dm_raid_superblock sb;
	struct error error;

	if (!read_page(file, 0, page) || dm_raid_decode(page, &sb, &error))
		return failed("dm-raid", &error);
	dm_raid_encode(&sb, again);
	if (memcmp(page, again, PAGE) != 0)
		return failed("dm-raid encoded again", NULL);
	printf("level %d layout %u place %u of %u stripe %u\n", sb.level, sb.layout, sb.position,
	       sb.devices, sb.stripe_sectors);
	return 0;
}

static int look_ppl(FILE *file, const struct md_superblock *sb)
{
	uint64_t start = md_superblock_byte(sb, sb->ppl_offset), at = 0;
	uint8_t page[PAGE], again[PAGE];
	struct md_ppl_header header = { 0 }, next;
	unsigned count = 0, entries = 0;
	struct md_ppl_span span;
	struct error error;
	struct raid_geometry g = { sb->level, sb->layout, sb->chunk_sectors, sb->raid_disks,
				   sb->size };

	while (at + PAGE <= sb->ppl_size * 512ull && read_page(file, start + at, page)) {
		if (md_ppl_decode(page, &next, &error) ||
		    next.signature != md_ppl_signature(sb->set_uuid) ||
		    next.generation < header.generation)
			break;
		header = next;
		md_ppl_encode(&header, again);
		if (memcmp(page, again, PAGE) != 0)
			return failed("ppl encoded again", NULL);
		for (uint32_t i = 0; i < header.count; i++) {
			if (md_ppl_check(&header.entries[i], &g, &span, &error))
				return failed("ppl entry", &error);
			entries++;
		}
		count++;
		at += PAGE + md_ppl_bytes(&header);
	}
	if (!count)
		return failed("ppl", &error);
	printf("headers %u entries %u\n", count, entries);
	return 0;
}

static int look_journal(FILE *file, const struct md_superblock *sb)
{
	uint64_t tail = sb->recovery_offset, start = sb->data_offset * 512, size;
	unsigned count = 0, payloads[3] = { 0 }, good = 0;
	struct md_journal_meta meta, first = { 0 };
	uint8_t page[PAGE], block[PAGE];
	struct error error;

	size = round_down(sb->data_size, MD_JOURNAL_SECTORS);
	for (;;) {
		uint32_t at = MD_JOURNAL_HEADER;
		struct md_journal_payload payload;
		uint64_t here = tail;
		int rc;

		if (!read_page(file, start + here * 512, page) ||
		    md_journal_decode(page, sb->set_uuid, &meta, &error) || meta.position != here ||
		    (count && meta.sequence != first.sequence + count))
			break;
		if (!count++)
			first = meta;
		tail = (tail + MD_JOURNAL_SECTORS) % size;
		while ((rc = md_journal_next(page, &meta, &at, &payload, &error)) == 1) {
			payloads[payload.type]++;
			for (uint32_t i = 0; i < payload.blocks; i++) {
				if (!read_page(file, start + tail * 512, block))
					return failed("journal", NULL);
				good += md_journal_checksum(sb->set_uuid, block) ==
					payload.checksums[i];
				tail = (tail + MD_JOURNAL_SECTORS) % size;
			}
		}
		if (rc)
			return failed("journal payload", &error);
	}
	if (!count)
		return failed("journal", &error);
	printf("blocks %u data %u parity %u flush %u good %u\n", count, payloads[0], payloads[1],
	       payloads[2], good);
	return 0;
}

int main(int argc, char **argv)
{
	FILE *file = argc == 3 ? fopen(argv[2], "rb") : NULL;
	static struct md_superblock sb;
	uint8_t page[PAGE];
	struct error error;

	if (!file)
		return 2;
	if (strcmp(argv[1], "90") == 0)
		return look_90(file);
	if (strcmp(argv[1], "dm-raid") == 0)
		return look_dm_raid(file);
	if (!read_page(file, PAGE, page) || md_superblock_decode(page, 2, &sb, &error))
		return failed("superblock", &error);
	return strcmp(argv[1], "ppl") == 0 ? look_ppl(file, &sb) : look_journal(file, &sb);
}
