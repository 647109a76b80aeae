/* SPDX-License-Identifier: BSD-2-Clause */
/* Looking for md superblocks on a device. */
#include <errno.h>
#include <stdlib.h>

#include "block/block.h"
#include "raid/md_superblock.h"
#include "raid/raid.h"
#include "raid/md_superblock_90.h"
#include "util/bytes.h"
#include "util/error.h"

#define PLACES 4u

static const unsigned order[PLACES] = { 2, 1, 0, MD_VERSION_90 };

/* All places at once, so that a device that answers late, or with an error after long, takes that time once. */
struct places {
	uint64_t starts[PLACES];
	int results[PLACES]; /* -ENOENT: it has no such place */
	uint8_t pages[PLACES][MD_SUPERBLOCK_BYTES];
	struct md_superblock candidate;
};

static void read_places(struct block *block, struct places *places)
{
	struct block_io ios[PLACES];
	struct iovec iov[PLACES];
	unsigned count = 0, of[PLACES];

	for (unsigned i = 0; i < PLACES; i++) {
		uint64_t sector;

		places->results[i] = -ENOENT;
		if (md_superblock_place(order[i], block->size >> MD_SECTOR_SHIFT, &sector))
			continue;
		places->starts[i] = sector << MD_SECTOR_SHIFT;
		iov[count] = (struct iovec){ places->pages[i], MD_SUPERBLOCK_BYTES };
		ios[count] = (struct block_io){ .block = block,
						.kind = BLOCK_READ,
						.offset = places->starts[i],
						.length = MD_SUPERBLOCK_BYTES,
						.iov = &iov[count],
						.count = 1 };
		of[count++] = i;
	}
	block_run_all(ios, count);
	for (unsigned i = 0; i < count; i++)
		places->results[of[i]] = ios[i].result;
}

/* One place: 0, -ENOENT, -EINVAL (decoded as far as possible), or the error of the read. */
static int look_at(const struct block *block, struct places *places, unsigned place,
		   struct error *error)
{
	uint64_t sectors = block->size >> MD_SECTOR_SHIFT, start = places->starts[place];
	struct md_superblock *sb = &places->candidate;
	const uint8_t *page = places->pages[place];
	int rc = places->results[place];

	if (rc == -ENOENT)
		return rc;
	/* -ENXIO is for what is found here; this one shrank since it was opened. */
	if (rc == -ENXIO)
		rc = -EIO;
	if (rc)
		return error_set(error, rc, "%s: md superblock at byte %llu: cannot be read: %s",
				 block->name, (unsigned long long)start, error_name(rc));
	rc = order[place] == MD_VERSION_90 ? md90_load(page, sectors, sb, error)
					   : md_superblock_decode(page, order[place], sb, error);
	if (rc == -ENOENT)
		return rc;
	if (!rc)
		rc = md_superblock_validate(sb, sectors, error);
	if (rc)
		error_prefix(error, "%s: md superblock at byte %llu", block->name,
			     (unsigned long long)start);
	return rc;
}

bool raid_end_is_of_part(uint64_t size, uint64_t start, uint64_t length, bool old, uint64_t least)
{
	unsigned minor = old ? MD_VERSION_90 : 0;
	uint64_t whole, part;

	return !md_superblock_place(minor, size >> MD_SECTOR_SHIFT, &whole) &&
	       !md_superblock_place(minor, length >> MD_SECTOR_SHIFT, &part) &&
	       whole == part + (start >> MD_SECTOR_SHIFT) && least <= part << MD_SECTOR_SHIFT;
}

bool raid_end_has_superblock(struct block *block, bool old)
{
	uint8_t page[MD_SUPERBLOCK_BYTES];
	uint64_t sector;

	if (md_superblock_place(old ? MD_VERSION_90 : 0, block->size >> MD_SECTOR_SHIFT, &sector) ||
	    block_read(block, sector << MD_SECTOR_SHIFT, page, sizeof(page)))
		return false;
	return old ? md90_is_there(page) : get_le32(page) == MD_MAGIC;
}

/*
 * Whether it ends before the device does, as the superblock at the start of an array does whose member is another array, with its own superblock at
 * the end of this device. That of a member ends where the device ends: what was left over from an earlier array, too.
 */
static bool is_short(const struct md_superblock *sb, uint64_t sectors)
{
	uint64_t last;

	return (sb->minor_version == 1 || sb->minor_version == 2) &&
	       !md_superblock_place(0, sectors, &last) &&
	       range_within(sb->data_offset, sb->data_size, last);
}

/* The higher, the better. Of one inside another the outer is told even where it is damaged: what this disk is, nobody can say any more. */
enum rank { NONE, DAMAGED, INNER, DAMAGED_OUTER, TOO_LONG, GOOD };

static enum rank rank_of(const struct md_superblock *sb, int rc, uint64_t sectors)
{
	if (rc == -ENOENT)
		return NONE;
	if (!rc)
		return is_short(sb, sectors) ? INNER : GOOD;
	if (rc == -ENXIO)
		return TOO_LONG;
	return sb->minor_version == 1 || sb->minor_version == 2 ? DAMAGED : DAMAGED_OUTER;
}

static unsigned version_of(const struct md_superblock *sb)
{
	return sb->minor_version == MD_VERSION_90 ? 0 : 1 + sb->minor_version;
}

bool md_superblock_is_better(const struct md_superblock *one, int one_rc,
			     const struct md_superblock *other, int other_rc, uint64_t sectors)
{
	enum rank rank = rank_of(one, one_rc, sectors), than = rank_of(other, other_rc, sectors);

	if (rank != than || rank == NONE)
		return rank > than;
	if (one->ctime != other->ctime)
		return one->ctime > other->ctime;
	return version_of(one) > version_of(other);
}

/* Places that could not be read. */
struct unread {
	uint64_t sectors[PLACES];
	unsigned count;
	int rc;
	struct error error; /* of the first */
};

static void note_unread(struct unread *unread, uint64_t start, int rc, const struct error *trouble)
{
	if (!unread->count) {
		unread->rc = rc;
		unread->error = *trouble;
	}
	unread->sectors[unread->count++] = start >> MD_SECTOR_SHIFT;
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
	CLEANUP_FREE struct places *places = malloc(sizeof(*places));
	const struct md_superblock *candidate;
	struct error trouble = { 0 };
	struct unread unread = { 0 };
	int result = -ENOENT;

	*found = false;
	if (!places)
		return error_set(error, -ENOMEM, "out of memory");
	candidate = &places->candidate;
	read_places(block, places);
	for (unsigned i = 0; i < PLACES; i++) {
		int rc = look_at(block, places, i, &trouble);

		if (rc && rc != -ENOENT && rc != -EINVAL && rc != -ENXIO) {
			note_unread(&unread, places->starts[i], rc, &trouble);
			continue;
		}
		if (!md_superblock_is_better(candidate, rc, sb, result,
					     block->size >> MD_SECTOR_SHIFT))
			continue;
		*sb = *candidate;
		*found = true;
		result = rc;
		if (rc && error)
			*error = trouble;
	}
	if (unread.count && (result || !is_all_data(&unread, sb))) {
		*found = false;
		return error_set(error, unread.rc, "%s", unread.error.text);
	}
	return result;
}
