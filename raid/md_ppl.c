/* SPDX-License-Identifier: BSD-2-Clause */
/* The partial parity log on disk; see md_ppl.h. */
#include "raid/md_ppl.h"

#include <assert.h>
#include <errno.h>
#include <isa-l/crc.h>
#include <string.h>

#include "raid/raid5_geometry.h"
#include "util/bytes.h"
#include "util/error.h"

#define RESERVED 512u /* bytes of ones at the start */

struct ppl_entry {
	uint64_t data_sector;
	uint32_t pp_size, data_size, parity_disk, checksum;
} __attribute__((packed));

struct ppl_header {
	uint8_t reserved[RESERVED];
	uint32_t signature, padding;
	uint64_t generation;
	uint32_t entries_count, checksum;
	struct ppl_entry entries[MD_PPL_ENTRIES_MAX];
} __attribute__((packed));

static_assert(offsetof(struct ppl_header, checksum) == 532, "ppl header");
static_assert(offsetof(struct ppl_header, entries) == 536, "ppl header");
static_assert(sizeof(struct ppl_entry) == 24, "ppl entry");
static_assert(sizeof(struct ppl_header) <= MD_PPL_HEADER_BYTES, "ppl header");

#define FIELD(at, bits, type, field)                                                               \
	get_le##bits((const uint8_t *)(at) + offsetof(struct type, field))
#define PUT_FIELD(at, bits, type, field, value)                                                    \
	put_le##bits((uint8_t *)(at) + offsetof(struct type, field), value)

uint32_t md_crc32c(uint32_t before, const void *at, size_t length)
{
	return ~crc32_iscsi((unsigned char *)at, (int)length, ~before);
}

uint32_t md_ppl_signature(const uint8_t uuid[16])
{
	return md_crc32c(0, uuid, 16);
}

/* Over the page, its own field taken as 0. */
static uint32_t header_checksum(const void *page)
{
	static const uint8_t zero[4];
	const size_t at = offsetof(struct ppl_header, checksum);
	uint32_t sum = md_crc32c(0, page, at);

	sum = md_crc32c(sum, zero, sizeof(zero));
	return md_crc32c(sum, (const uint8_t *)page + at + 4, MD_PPL_HEADER_BYTES - at - 4);
}

int md_ppl_decode(const void *page, struct md_ppl_header *header, struct error *error)
{
	uint32_t found = FIELD(page, 32, ppl_header, checksum), sum = header_checksum(page);

	memset(header, 0, sizeof(*header));
	if (found != sum)
		return error_set(error, -EINVAL, "the PPL header's checksum is %08x, expected %08x",
				 found, sum);
	header->signature = FIELD(page, 32, ppl_header, signature);
	header->generation = FIELD(page, 64, ppl_header, generation);
	header->count = FIELD(page, 32, ppl_header, entries_count);
	if (header->count > MD_PPL_ENTRIES_MAX) {
		int rc = error_set(error, -EINVAL,
				   "the PPL header has %u entries, expected at most %u",
				   header->count, MD_PPL_ENTRIES_MAX);

		header->count = 0;
		return rc;
	}
	for (uint32_t i = 0; i < header->count; i++) {
		const uint8_t *at = (const uint8_t *)page + offsetof(struct ppl_header, entries) +
				    i * sizeof(struct ppl_entry);
		struct md_ppl_entry *entry = &header->entries[i];

		entry->data_sector = FIELD(at, 64, ppl_entry, data_sector);
		entry->pp_bytes = FIELD(at, 32, ppl_entry, pp_size);
		entry->data_bytes = FIELD(at, 32, ppl_entry, data_size);
		entry->parity_disk = FIELD(at, 32, ppl_entry, parity_disk);
		entry->checksum = FIELD(at, 32, ppl_entry, checksum);
	}
	return 0;
}

void md_ppl_encode(const struct md_ppl_header *header, void *page)
{
	memset(page, 0, MD_PPL_HEADER_BYTES);
	memset(page, 0xff, RESERVED);
	PUT_FIELD(page, 32, ppl_header, signature, header->signature);
	PUT_FIELD(page, 64, ppl_header, generation, header->generation);
	PUT_FIELD(page, 32, ppl_header, entries_count, header->count);
	for (uint32_t i = 0; i < header->count; i++) {
		uint8_t *at = (uint8_t *)page + offsetof(struct ppl_header, entries) +
			      i * sizeof(struct ppl_entry);
		const struct md_ppl_entry *entry = &header->entries[i];

		PUT_FIELD(at, 64, ppl_entry, data_sector, entry->data_sector);
		PUT_FIELD(at, 32, ppl_entry, pp_size, entry->pp_bytes);
		PUT_FIELD(at, 32, ppl_entry, data_size, entry->data_bytes);
		PUT_FIELD(at, 32, ppl_entry, parity_disk, entry->parity_disk);
		PUT_FIELD(at, 32, ppl_entry, checksum, entry->checksum);
	}
	PUT_FIELD(page, 32, ppl_header, checksum, header_checksum(page));
}

uint64_t md_ppl_bytes(const struct md_ppl_header *header)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < header->count; i++)
		bytes += header->entries[i].pp_bytes;
	return bytes;
}

static int wrong(const struct md_ppl_entry *entry, const char *expected, struct error *error)
{
	return error_set(
		error, -EINVAL,
		"a PPL entry has data sector %llu, %u bytes of data, %u of partial parity, "
		"P on disk %u; expected %s",
		(unsigned long long)entry->data_sector, entry->data_bytes, entry->pp_bytes,
		entry->parity_disk, expected);
}

int md_ppl_check(const struct md_ppl_entry *entry, const struct raid_geometry *g,
		 struct md_ppl_span *span, struct error *error)
{
	uint32_t data = raid5_data_disks(g), each;
	uint64_t rows = g->member_sectors / g->chunk_sectors;
	struct raid5_place place = raid5_map(g, entry->data_sector);
	struct raid5_row row = raid5_row(g, place.row);

	if (!entry->data_bytes || entry->data_bytes % 512 || entry->pp_bytes % 512)
		return wrong(entry, "sizes of whole sectors", error);
	if (place.row >= rows)
		return wrong(entry, "a sector within the array", error);
	if (entry->pp_bytes ? entry->data_bytes % entry->pp_bytes : entry->data_bytes % data)
		return wrong(entry, "as much of each chunk", error);
	each = entry->pp_bytes ? entry->pp_bytes : entry->data_bytes / data;
	span->row = place.row;
	span->index = place.index;
	span->chunks = entry->data_bytes / each;
	span->column = (uint32_t)(entry->data_sector % g->chunk_sectors);
	span->count = each / 512;
	if (each % 512 || span->count > g->chunk_sectors - span->column ||
	    span->chunks > data - span->index)
		return wrong(entry, "all of it in one row", error);
	if (entry->parity_disk != row.p)
		return wrong(entry, "P where the layout has it", error);
	return 0;
}
