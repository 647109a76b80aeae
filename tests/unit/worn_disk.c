/* SPDX-License-Identifier: BSD-2-Clause */
/* Disks whose flushes fail; see worn_disk.h. */
#include "worn_disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "block/iov.h"
#include "block/lease.h"
#include "fiber/fiber.h"
#include "util/bytes.h"

#define SECTOR 512u
#define PAGE   4096u

struct worn_disk {
	struct block block;
	struct worn_power *power;
	struct worn_disk *next;
	char *seen, *medium; /* what reads give; what is there without power */
	int fd;           /* of `seen`, which is shared with who has a lease; -1: nobody gets one */
	uint8_t *dirty;   /* by sector: written since the last flush */
	uint8_t *differs; /* by sector: `seen` may not be on the medium */
	uint64_t fail_after, fail_count;
	uint64_t page; /* of the last coin, plus 1 */
	bool coin;
};

static struct worn_disk *disk_of(struct block *block)
{
	return container_of(block, struct worn_disk, block);
}

static bool toss(struct worn_disk *disk, uint64_t sector)
{
	uint64_t page = sector / 8 + 1;

	if (disk->power->whole_pages && page == disk->page && sector % 8)
		return disk->coin;
	disk->page = page;
	disk->coin = random_below(&disk->power->random, 2);
	return disk->coin;
}

static void write_down(struct worn_disk *disk, uint64_t sector)
{
	memcpy(disk->medium + sector * SECTOR, disk->seen + sector * SECTOR, SECTOR);
	disk->dirty[sector] = disk->differs[sector] = 0;
}

/* Whether the change fails, and how it is told; the power may go with it. */
static int count_change(struct worn_disk *disk)
{
	struct worn_power *power = disk->power;

	if (power->off)
		return -EIO;
	power->changes++;
	if (power->cut_at && power->changes >= power->cut_at)
		power->off = true;
	if (disk->fail_after) {
		disk->fail_after--;
		return power->off ? -EIO : 0;
	}
	if (disk->fail_count) {
		disk->fail_count--;
		return -EIO;
	}
	return power->off ? -EIO : 0;
}

static int disk_readv(struct block *block, uint64_t offset, uint64_t length,
		      const struct iovec *iov, unsigned count)
{
	struct iov_range to = iov_range_of(iov, count);

	if (disk_of(block)->power->off)
		return -EIO;
	iov_copy_in(&to, disk_of(block)->seen + offset, length);
	return 0;
}

static int disk_writev(struct block *block, uint64_t offset, uint64_t length,
		       const struct iovec *iov, unsigned count, unsigned flags)
{
	struct worn_disk *disk = disk_of(block);
	struct iov_range from = iov_range_of(iov, count);
	bool was_off;
	int rc;

	if (disk->power->slow)
		fiber_sleep_always(1000);
	was_off = disk->power->off;
	rc = count_change(disk);
	if (was_off)
		return rc;
	for (uint64_t at = offset / SECTOR; at < (offset + length) / SECTOR; at++) {
		char sector[SECTOR];

		iov_copy_out(&from, sector, SECTOR);
		if (rc && toss(disk, at))
			continue;
		memcpy(disk->seen + at * SECTOR, sector, SECTOR);
		disk->dirty[at] = disk->differs[at] = 1;
		if (!rc && flags & BLOCK_FUA)
			write_down(disk, at);
	}
	return rc;
}

static const void *disk_lend(struct block *block, uint64_t offset)
{
	const struct worn_disk *disk = disk_of(block);

	return disk->power->lends && !disk->power->off ? disk->seen + offset : NULL;
}

static int disk_lease(const struct block *block, uint64_t end, struct lease_file *out)
{
	const struct worn_disk *disk = disk_of((struct block *)block);

	(void)end;
	if (disk->fd < 0)
		return -EOPNOTSUPP;
	*out = (struct lease_file){ .least = block->size, .unit = SECTOR, .memory = 1 };
	return disk->fd;
}

/* Only such devices are leased. None is made here. */
static bool disk_has_views(const struct block *block)
{
	return disk_of((struct block *)block)->fd >= 0;
}

static struct block *disk_view(struct block *block)
{
	(void)block;
	return NULL;
}

static void find_leased(struct worn_disk *disk)
{
	for (uint64_t at = 0; disk->fd >= 0 && at < disk->block.size / SECTOR; at++)
		if (memcmp(disk->seen + at * SECTOR, disk->medium + at * SECTOR, SECTOR))
			disk->dirty[at] = disk->differs[at] = 1;
}

static int disk_flush(struct block *block)
{
	struct worn_disk *disk = disk_of(block);
	bool was_off;
	int rc;

	if (disk->power->slow)
		fiber_sleep_always(1000);
	was_off = disk->power->off;
	rc = count_change(disk);
	find_leased(disk);
	for (uint64_t at = 0; !was_off && at < block->size / SECTOR; at++) {
		if (!disk->dirty[at])
			continue;
		disk->dirty[at] = 0;
		if (!rc || toss(disk, at))
			write_down(disk, at);
	}
	return rc;
}

static void disk_close(struct block *block)
{
	struct worn_disk *disk = disk_of(block);
	struct worn_disk **link = &disk->power->disks;

	while (*link != disk)
		link = &(*link)->next;
	*link = disk->next;
	if (disk->fd < 0) {
		free(disk->seen);
	} else {
		munmap(disk->seen, block->size);
		close(disk->fd);
	}
	free(disk->medium);
	free(disk->dirty);
	free(disk->differs);
	free(disk);
}

static const struct block_ops ops = {
	.type = "worn",
	.readv = disk_readv,
	.writev = disk_writev,
	.lend = disk_lend,
	.has_views = disk_has_views,
	.view = disk_view,
	.lease = disk_lease,
	.flush = disk_flush,
	.close = disk_close,
};

struct block *worn_disk_create(struct worn_power *power, const char *name, uint64_t size)
{
	struct worn_disk *disk = calloc(1, sizeof(*disk));

	block_init(&disk->block, &ops, name);
	disk->block.size = size;
	disk->power = power;
	disk->next = power->disks;
	power->disks = disk;
	disk->fd = power->leases ? memfd_create(name, MFD_CLOEXEC) : -1;
	if (disk->fd >= 0 && ftruncate(disk->fd, (off_t)size))
		abort();
	disk->seen = disk->fd < 0
			     ? aligned_alloc(PAGE, (size + PAGE - 1) & ~(size_t)(PAGE - 1))
			     : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, disk->fd, 0);
	memset(disk->seen, 0, size);
	disk->medium = calloc(1, size);
	disk->dirty = calloc(1, size / SECTOR);
	disk->differs = calloc(1, size / SECTOR);
	return &disk->block;
}

void worn_disk_fail(struct block *disk, uint64_t after, uint64_t count)
{
	disk_of(disk)->fail_after = after;
	disk_of(disk)->fail_count = count;
}

void worn_power_mend(struct worn_power *power)
{
	for (struct worn_disk *disk = power->disks; disk; disk = disk->next)
		disk->fail_after = disk->fail_count = 0;
}

void worn_power_cut_after(struct worn_power *power, uint64_t count)
{
	power->cut_at = power->changes + count + 1;
}

void worn_power_cycle(struct worn_power *power)
{
	for (struct worn_disk *disk = power->disks; disk; disk = disk->next) {
		find_leased(disk);
		for (uint64_t at = 0; at < disk->block.size / SECTOR; at++) {
			if (!disk->differs[at])
				continue;
			/* What a failed flush forgot is lost for good; the rest may have arrived. */
			if (disk->dirty[at] && toss(disk, at))
				write_down(disk, at);
			memcpy(disk->seen + at * SECTOR, disk->medium + at * SECTOR, SECTOR);
			disk->dirty[at] = disk->differs[at] = 0;
		}
	}
	power->cut_at = 0;
	power->off = false;
}
