/* SPDX-License-Identifier: BSD-2-Clause */
/* Headers of a partial parity log, with the checksum made right, and what their entries are about. */
#include <stdlib.h>
#include <string.h>

#include "raid/md_ppl.h"
#include "raid/raid5_geometry.h"
#include "util/bytes.h"
#include "util/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct raid_geometry g = { 5, RAID5_LEFT_SYMMETRIC, 8, 5, 4096 };
	uint8_t page[MD_PPL_HEADER_BYTES] = { 0 }, again[MD_PPL_HEADER_BYTES];
	struct md_ppl_header header, back;
	struct md_ppl_span span;
	struct error error;

	if (size < 2 || size > sizeof(page))
		return 0;
	g.layout = data[0] % 6;
	g.disks = 2 + data[1] % 16;
	memcpy(page, data, size);
	put_le32(page + 532, 0);
	put_le32(page + 532, md_crc32c(0, page, sizeof(page)));
	if (md_ppl_decode(page, &header, &error))
		return 0;
	md_ppl_encode(&header, again);
	if (md_ppl_decode(again, &back, &error) || memcmp(&header, &back, sizeof(back)) != 0)
		abort();
	for (uint32_t i = 0; i < header.count; i++) {
		if (md_ppl_check(&header.entries[i], &g, &span, &error))
			continue;
		if (!span.count || span.column + span.count > g.chunk_sectors ||
		    span.index + span.chunks > raid5_data_disks(&g) ||
		    span.row >= g.member_sectors / g.chunk_sectors)
			abort();
	}
	return 0;
}
