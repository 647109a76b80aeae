/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The super of a write-intent bitmap from a hostile disk. What is accepted must fit into the room there
 * is, and encode to the same fields again.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "raid/md_bitmap.h"
#include "util/bytes.h"
#include "util/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t super[MD_BITMAP_SUPER_BYTES] = { 0 };
	struct md_bitmap bitmap, back;
	struct error error;
	uint64_t room, chunks;

	if (size < 4)
		return 0;
	room = get_le32(data);
	memcpy(super, data + 4, MIN(size - 4, sizeof(super)));
	if (md_bitmap_decode(super, room, &bitmap, &error))
		return 0;
	chunks = md_bitmap_chunks(bitmap.sync_sectors, bitmap.chunk_bytes);
	assert(md_bitmap_bytes(chunks) <= room);
	assert(chunks * (bitmap.chunk_bytes >> MD_SECTOR_SHIFT) >= bitmap.sync_sectors);
	md_bitmap_encode(&bitmap, super);
	assert(md_bitmap_decode(super, room, &back, &error) == 0);
	assert(memcmp(&bitmap, &back, sizeof(back)) == 0);
	return 0;
}
