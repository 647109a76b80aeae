/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log of a mirror, as dm-log's type "disk" has it: "MiRr", version 2, how many regions; from byte 1024 on a bit for each region, in
 * little-endian words, set where all legs agree. Bits beyond the number of regions do not count: what the volume grew by agrees nowhere.
 * lvm2 gives a new log the highest number there is, and bits that say what it wants.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/active.h"
#include "volume/lvm_io.h"
#include "volume/mirror.h"
#include "volume/segment_raid.h"

#define LOG_MAGIC 0x4d695272u

int lvm_mirror_log_decode(const void *at, const char *name, uint64_t regions, uint64_t *valid,
			  struct error *error)
{
	struct {
		uint32_t magic, version;
		uint64_t regions;
	} header;
	uint32_t version;

	memcpy(&header, at, sizeof(header));
	version = le32toh(header.version);
	*valid = 0;
	/* dm-log takes one without the mark for a new one. */
	if (le32toh(header.magic) != LOG_MAGIC)
		return 0;
	if (version != 1 && version != 2)
		return error_set(error, -EBADMSG, "%s: is a mirror's log of version %u, expected 2",
				 name, version);
	*valid = MIN(le64toh(header.regions), regions);
	return 0;
}

static int read_bits(struct block *block, struct lvm_mirror_map *map, uint64_t valid,
		     struct error *error)
{
	uint64_t bytes = (valid + 7) / 8;
	int rc = bytes ? lvm_read(block, LVM_MIRROR_LOG_BITS, map->bits, bytes, error) : 0;

	if (rc)
		return rc;
	if (valid % 8)
		map->bits[valid / 8] &= (uint8_t)((1u << valid % 8) - 1);
	for (uint64_t i = 0; i < bytes; i++)
		map->in_sync += (unsigned)__builtin_popcount(map->bits[i]);
	return 0;
}

static int read_log(struct block *block, struct lvm_mirror_map *map, struct error *error)
{
	uint64_t needed = LVM_MIRROR_LOG_BITS + (map->regions + 7) / 8, valid;
	uint8_t header[LVM_MIRROR_LOG_BITS];
	struct error why = { 0 };
	int rc;

	if (block->size < needed)
		return error_set(error, -EBADMSG,
				 "%s: has %llu bytes, the log of %llu regions takes %llu",
				 block->name, (unsigned long long)block->size,
				 (unsigned long long)map->regions, (unsigned long long)needed);
	rc = lvm_read(block, 0, header, sizeof(header), &why);
	if (!rc && lvm_mirror_log_decode(header, block->name, map->regions, &valid, error))
		return -EBADMSG;
	if (!rc)
		rc = read_bits(block, map, valid, &why);
	if (!rc)
		return 0;
	/* Of one that cannot be read dm-log assumes that no region agrees. */
	memset(map->bits, 0, map->regions / 8 + 1);
	map->in_sync = 0;
	return 0;
}

int lvm_mirror_map_read(struct volume_group *group, const struct volume_lv *lv,
			struct lvm_mirror_map *map, struct error *error)
{
	const struct volume_segment *segment = lvm_lv_mirror(lv);
	const struct lvm_mirror *mirror = segment->private->mirror;
	uint64_t bytes = segment->extent_count * group->extent_size;
	struct volume_lv *log = mirror->log ? segment->areas[mirror->legs].lv : NULL;
	CLEANUP_BLOCK struct block *block = NULL;
	int rc;

	*map = (struct lvm_mirror_map){ .regions = (bytes + mirror->region - 1) / mirror->region };
	if (map->regions > UINT32_MAX)
		return error_set(error, -EBADMSG,
				 "%s/%s: has %llu regions of %llu bytes, dm-mirror has at most %u",
				 group->name, lv->name, (unsigned long long)map->regions,
				 (unsigned long long)mirror->region, UINT32_MAX);
	map->bits = calloc(1, map->regions / 8 + 1);
	if (!map->bits)
		return error_set(error, -ENOMEM, "%s/%s: no memory for %llu regions", group->name,
				 lv->name, (unsigned long long)map->regions);
	if (!log || lvm_raid_part_lost(log))
		return 0;
	rc = lvm_active_open(group, log, false, &block, error);
	return rc ? rc : read_log(block, map, error);
}

void lvm_mirror_map_free(struct lvm_mirror_map *map)
{
	free(steal_pointer(&map->bits));
}

bool lvm_mirror_map_agrees(const struct lvm_mirror_map *map, uint64_t first, uint64_t last)
{
	if (map->in_sync == map->regions)
		return true;
	for (uint64_t i = first; i <= last; i++)
		if (!(map->bits[i / 8] >> i % 8 & 1))
			return false;
	return true;
}
