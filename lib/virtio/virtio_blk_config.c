/* SPDX-License-Identifier: BSD-2-Clause */
/* virtio-blk: what a device offers, and its configuration space (virtio 1.2, 5.2.3 and 5.2.4). */
#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <linux/virtio_blk.h>

#include "block/block.h"
#include "util/bytes.h"
#include "virtio/virtio_blk.h"
#include "virtio/virtio_blk_private.h"

#define BIT(number) (1ULL << (number))

void virtio_blk_init(struct virtio_blk *blk, struct block *block, const char *serial,
		     uint16_t queue_count)
{
	*blk = (struct virtio_blk){
		.block = block,
		.queue_count = queue_count,
	};
	if (serial)
		memcpy(blk->serial, serial, strnlen(serial, sizeof(blk->serial)));
}

uint64_t virtio_blk_features(const struct virtio_blk *blk)
{
	uint64_t features = VIRTQUEUE_FEATURES | BIT(VIRTIO_BLK_F_SEG_MAX) |
			    BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_TOPOLOGY) |
			    BIT(VIRTIO_BLK_F_MQ) | BIT(VIRTIO_BLK_F_FLUSH);

	if (blk->block->read_only)
		return features | BIT(VIRTIO_BLK_F_RO);
	features |= BIT(VIRTIO_BLK_F_CONFIG_WCE) | BIT(VIRTIO_BLK_F_WRITE_ZEROES);
	if (blk->block->discard_granularity)
		features |= BIT(VIRTIO_BLK_F_DISCARD);
	return features;
}

static void set_cache(struct virtio_blk *blk, bool writeback)
{
	__atomic_store_n(&blk->cache, writeback ? VIRTIO_BLK_WRITE_BACK : VIRTIO_BLK_WRITE_THROUGH,
			 __ATOMIC_RELAXED);
}

/* A driver that will not flush gets a disk without a cache (5.2.5); one that can choose, chooses. */
void virtio_blk_set_features(struct virtio_blk *blk, uint64_t features)
{
	blk->features = features;
	if (!(features & BIT(VIRTIO_BLK_F_CONFIG_WCE)))
		set_cache(blk, features & BIT(VIRTIO_BLK_F_FLUSH));
}

void virtio_blk_resumed(struct virtio_blk *blk)
{
	if (!blk->cache_chosen && blk->features & BIT(VIRTIO_BLK_F_CONFIG_WCE))
		__atomic_store_n(&blk->cache, VIRTIO_BLK_WRITE_THROUGH_GUESSED, __ATOMIC_RELAXED);
}

void virtio_blk_reset(struct virtio_blk *blk)
{
	blk->features = 0;
	blk->cache_chosen = false;
	set_cache(blk, true);
}

static uint8_t exponent(uint32_t ratio)
{
	return ratio ? (uint8_t)__builtin_ctz(ratio) : 0;
}

static struct virtio_blk_config fill_config(const struct virtio_blk *blk)
{
	const struct block *block = blk->block;
	uint32_t logical = block->logical_block_size;
	uint32_t physical = MAX(block->physical_block_size, logical);
	uint32_t granularity = MAX(block->discard_granularity, logical) / SECTOR_BYTES;
	uint64_t optimal = block->preferred_io_size / logical;

	return (struct virtio_blk_config){
		.capacity = htole64(block->size / SECTOR_BYTES),
		.seg_max = htole32(VIRTIO_BLK_SEGMENTS),
		.blk_size = htole32(logical),
		.physical_block_exp = exponent(physical / logical),
		.min_io_size = htole16((uint16_t)MIN(physical / logical, UINT16_MAX)),
		.opt_io_size = htole32((uint32_t)optimal),
		.wce = blk->cache != VIRTIO_BLK_WRITE_THROUGH,
		.num_queues = htole16(blk->queue_count),
		.max_discard_sectors = htole32(VIRTIO_BLK_DISCARD_SECTORS),
		.max_discard_seg = htole32(VIRTIO_BLK_RANGES),
		.discard_sector_alignment = htole32(granularity),
		.max_write_zeroes_sectors = htole32(VIRTIO_BLK_ZEROES_SECTORS),
		.max_write_zeroes_seg = htole32(VIRTIO_BLK_RANGES),
		.write_zeroes_may_unmap = 1,
	};
}

int virtio_blk_get_config(const struct virtio_blk *blk, uint32_t offset, void *at, uint32_t size)
{
	struct virtio_blk_config config = fill_config(blk);

	memset(at, 0, size);
	if (offset < sizeof(config))
		memcpy(at, (const uint8_t *)&config + offset, MIN(size, sizeof(config) - offset));
	return 0;
}

int virtio_blk_set_config(struct virtio_blk *blk, uint32_t offset, const void *at, uint32_t size)
{
	const uint8_t *value = at;

	if (offset != offsetof(struct virtio_blk_config, wce) || size != 1 || blk->block->read_only)
		return -EACCES;
	blk->cache_chosen = true;
	set_cache(blk, *value & 1);
	return 0;
}
