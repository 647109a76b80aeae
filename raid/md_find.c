/* SPDX-License-Identifier: BSD-2-Clause */
/* Looking for md superblocks on a device. */
#include <errno.h>
#include <stdlib.h>

#include "block/block.h"
#include "raid/md_superblock.h"
#include "util/bytes.h"
#include "util/error.h"

/* One place: 0, -ENOENT, -EINVAL (decoded as far as possible), or the error of the read. */
static int look_at(struct block *block, unsigned minor, struct md_superblock *sb,
		   struct error *error)
{
	uint64_t sectors = block->size >> MD_SECTOR_SHIFT, place, start;
	uint8_t page[MD_SUPERBLOCK_BYTES];
	int rc;

	if (md_superblock_place(minor, sectors, &place))
		return -ENOENT;
	start = place << MD_SECTOR_SHIFT;
	rc = block_read(block, start, page, sizeof(page));
	/* -ENXIO is for what is found here; this one shrank since it was opened. */
	if (rc == -ENXIO)
		rc = -EIO;
	if (rc)
		return error_set(error, rc, "%s: md superblock at byte %llu: cannot be read: %s",
				 block->name, (unsigned long long)start, error_name(rc));
	rc = md_superblock_decode(page, minor, sb, error);
	if (rc == -ENOENT)
		return rc;
	if (!rc)
		rc = md_superblock_validate(sb, sectors, error);
	if (rc)
		error_prefix(error, "%s: md superblock at byte %llu", block->name,
			     (unsigned long long)start);
	return rc;
}

/* Whether a superblock of version 0.90 (of either byte order) is in the last 128 KiB. */
static bool has_version_90(struct block *block)
{
	uint64_t sectors = block->size >> MD_SECTOR_SHIFT;
	uint8_t page[MD_SUPERBLOCK_BYTES];
	uint64_t place;

	if (sectors < 2 * MD_RESERVED_SECTORS_90)
		return false;
	place = (round_down(sectors, MD_RESERVED_SECTORS_90) - MD_RESERVED_SECTORS_90)
		<< MD_SECTOR_SHIFT;
	if (place % block->logical_block_size || block_read(block, place, page, sizeof(page)))
		return false;
	return (get_le32(page) == MD_MAGIC && get_le32(page + 4) == 0) ||
	       (get_be32(page) == MD_MAGIC && get_be32(page + 4) == 0);
}

int md_superblock_find(struct block *block, struct md_superblock *sb, bool *found,
		       struct error *error)
{
	static const unsigned order[] = { 2, 1, 0 };
	CLEANUP_FREE struct md_superblock *candidate = malloc(sizeof(*candidate));
	struct error trouble = { 0 };
	int result = -ENOENT;

	*found = false;
	if (!candidate)
		return error_set(error, -ENOMEM, "out of memory");
	for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
		int rc = look_at(block, order[i], candidate, &trouble);

		if (rc == -ENOENT)
			continue;
		if (rc && rc != -EINVAL && rc != -ENXIO)
			return error_set(error, rc, "%s", trouble.text);
		/* A good one is better than a damaged one; of two good ones, the younger array. */
		if (!rc && (result || candidate->ctime > sb->ctime)) {
			*sb = *candidate;
			*found = true;
			result = 0;
		} else if (rc && (result == -ENOENT || (result == -EINVAL && rc == -ENXIO))) {
			*sb = *candidate;
			*found = true;
			result = rc;
			if (error)
				*error = trouble;
		}
	}
	if (result == -ENOENT && has_version_90(block)) {
		error_set(error, -EINVAL,
			  "%s: its md superblock is of version 0.90, expected 1.0, 1.1 or 1.2",
			  block->name);
		error_advise(error, "with the kernel's md: mdadm --assemble --update=metadata");
		return -EINVAL;
	}
	return result;
}
