/* SPDX-License-Identifier: BSD-2-Clause */
/* The write-intent bitmap on disk (drivers/md/md-bitmap.c of Linux 6.1, md_bitmap_read_sb()). */
#include "raid/md_bitmap.h"

#include <errno.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"

#define FIELD(super, bits, field)                                                                  \
	get_le##bits((const uint8_t *)(super) + offsetof(struct md_bitmap_super, field))
#define PUT_FIELD(super, bits, field, value)                                                       \
	put_le##bits((uint8_t *)(super) + offsetof(struct md_bitmap_super, field), value)

uint64_t md_bitmap_chunks(uint64_t sync_sectors, uint32_t chunk_bytes)
{
	uint64_t chunk_sectors = chunk_bytes >> MD_SECTOR_SHIFT;

	return sync_sectors / chunk_sectors + (sync_sectors % chunk_sectors != 0);
}

uint64_t md_bitmap_bytes(uint64_t chunks)
{
	return MD_BITMAP_SUPER_BYTES + chunks / 8 + (chunks % 8 != 0);
}

static int check_version(const struct md_bitmap *bitmap, struct error *error)
{
	switch (bitmap->version) {
	case MD_BITMAP_VERSION:
	case MD_BITMAP_VERSION_HOST: /* the same thing on a little-endian host */
		break;
	case MD_BITMAP_VERSION_CLUSTERED:
		return error_set(error, -EINVAL, "version is 5, a clustered array's, expected 4");
	case MD_BITMAP_VERSION_LOCKLESS:
		return error_set(error, -EINVAL, "version is 6, a lockless bitmap, expected 4");
	default:
		return error_set(error, -EINVAL, "version is %u, expected 4", bitmap->version);
	}
	if (bitmap->nodes)
		return error_set(error, -EINVAL, "nodes is %u, expected 0", bitmap->nodes);
	return 0;
}

int md_bitmap_decode(const void *super, uint64_t room, struct md_bitmap *bitmap,
		     struct error *error)
{
	uint64_t chunks;
	int rc;

	memset(bitmap, 0, sizeof(*bitmap));
	if (FIELD(super, 32, magic) != MD_BITMAP_MAGIC)
		return -ENOENT;
	bitmap->version = FIELD(super, 32, version);
	memcpy(bitmap->uuid, (const uint8_t *)super + offsetof(struct md_bitmap_super, uuid), 16);
	bitmap->events = FIELD(super, 64, events);
	bitmap->events_cleared = FIELD(super, 64, events_cleared);
	bitmap->sync_sectors = FIELD(super, 64, sync_size);
	bitmap->state = FIELD(super, 32, state);
	bitmap->chunk_bytes = FIELD(super, 32, chunksize);
	bitmap->daemon_sleep = FIELD(super, 32, daemon_sleep);
	bitmap->write_behind = FIELD(super, 32, write_behind);
	bitmap->sectors_reserved = FIELD(super, 32, sectors_reserved);
	bitmap->nodes = FIELD(super, 32, nodes);

	rc = check_version(bitmap, error);
	if (rc)
		return rc;
	if (bitmap->chunk_bytes < MD_BITMAP_CHUNK_MIN || !is_power_of_two(bitmap->chunk_bytes))
		return error_set(error, -EINVAL,
				 "the chunk is %u bytes, expected a power of two of "
				 "512 or more",
				 bitmap->chunk_bytes);
	if (bitmap->daemon_sleep < 1)
		return error_set(error, -EINVAL, "daemon_sleep is 0 seconds, expected 1 or more");
	chunks = md_bitmap_chunks(bitmap->sync_sectors, bitmap->chunk_bytes);
	if (chunks / 8 > MD_BITMAP_BYTES_MAX || md_bitmap_bytes(chunks) > room)
		return error_set(error, -EINVAL,
				 "%llu sectors in chunks of %u bytes need %llu bytes, expected at "
				 "most the %llu there are",
				 (unsigned long long)bitmap->sync_sectors, bitmap->chunk_bytes,
				 (unsigned long long)md_bitmap_bytes(chunks),
				 (unsigned long long)MIN(room, MD_BITMAP_BYTES_MAX));
	return 0;
}

void md_bitmap_encode(const struct md_bitmap *bitmap, void *super)
{
	memset(super, 0, MD_BITMAP_SUPER_BYTES);
	PUT_FIELD(super, 32, magic, MD_BITMAP_MAGIC);
	PUT_FIELD(super, 32, version, bitmap->version);
	memcpy((uint8_t *)super + offsetof(struct md_bitmap_super, uuid), bitmap->uuid, 16);
	PUT_FIELD(super, 64, events, bitmap->events);
	PUT_FIELD(super, 64, events_cleared, bitmap->events_cleared);
	PUT_FIELD(super, 64, sync_size, bitmap->sync_sectors);
	PUT_FIELD(super, 32, state, bitmap->state);
	PUT_FIELD(super, 32, chunksize, bitmap->chunk_bytes);
	PUT_FIELD(super, 32, daemon_sleep, bitmap->daemon_sleep);
	PUT_FIELD(super, 32, write_behind, bitmap->write_behind);
	PUT_FIELD(super, 32, sectors_reserved, bitmap->sectors_reserved);
	PUT_FIELD(super, 32, nodes, bitmap->nodes);
}

uint32_t md_bitmap_smallest_chunk(uint64_t sync_sectors, uint64_t room)
{
	uint32_t chunk = 4096;

	while (chunk < 1u << 31 && md_bitmap_bytes(md_bitmap_chunks(sync_sectors, chunk)) > room)
		chunk *= 2;
	return chunk;
}
