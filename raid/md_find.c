/* SPDX-License-Identifier: BSD-2-Clause */
/* Looking for md superblocks on a device. */
#include <errno.h>
#include <stdlib.h>

#include "block/block.h"
#include "raid/md_superblock.h"
#include "raid/md_superblock_90.h"
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
	rc = minor == MD_VERSION_90 ? md90_load(page, sectors, sb, error)
				    : md_superblock_decode(page, minor, sb, error);
	if (rc == -ENOENT)
		return rc;
	if (!rc)
		rc = md_superblock_validate(sb, sectors, error);
	if (rc)
		error_prefix(error, "%s: md superblock at byte %llu", block->name,
			     (unsigned long long)start);
	return rc;
}

/* Places that could not be read. */
struct unread {
	uint64_t sectors[4];
	unsigned count;
	int rc;
	struct error error; /* of the first */
};

static void note_unread(struct unread *unread, const struct block *block, unsigned minor, int rc,
			const struct error *trouble)
{
	if (!unread->count) {
		unread->rc = rc;
		unread->error = *trouble;
	}
	if (!md_superblock_place(minor, block->size >> MD_SECTOR_SHIFT,
				 &unread->sectors[unread->count]))
		unread->count++;
}

/* Where a good superblock says that its array has data there is no other: an unreadable sector of data loses no member. */
static bool is_all_data(const struct unread *unread, const struct md_superblock *sb)
{
	for (unsigned i = 0; i < unread->count; i++)
		if (unread->sectors[i] < sb->data_offset ||
		    unread->sectors[i] - sb->data_offset >= sb->data_size)
			return false;
	return true;
}

int md_superblock_find(struct block *block, struct md_superblock *sb, bool *found,
		       struct error *error)
{
	static const unsigned order[] = { 2, 1, 0, MD_VERSION_90 };
	CLEANUP_FREE struct md_superblock *candidate = malloc(sizeof(*candidate));
	struct error trouble = { 0 };
	struct unread unread = { 0 };
	int result = -ENOENT;

	*found = false;
	if (!candidate)
		return error_set(error, -ENOMEM, "out of memory");
	for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
		int rc = look_at(block, order[i], candidate, &trouble);

		if (rc == -ENOENT)
			continue;
		if (rc && rc != -EINVAL && rc != -ENXIO) {
			note_unread(&unread, block, order[i], rc, &trouble);
			continue;
		}
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
	if (unread.count && (result || !is_all_data(&unread, sb))) {
		*found = false;
		return error_set(error, unread.rc, "%s", unread.error.text);
	}
	return result;
}
