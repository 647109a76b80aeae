/* SPDX-License-Identifier: BSD-2-Clause */
/* See raid_magic.h. Sources: linux/raid/md_p.h, mdadm's super-intel.c and super-ddf.c. */
#include "block/raid_magic.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"

#define MD_MAGIC       0xa92b4efcu
#define MD_90_RESERVED 65536u
#define MD_1_LEAST     (24 * 512u)
#define DDF_MAGIC      0xde11de11u
#define PIECE          4096u

static const char imsm_magic[] = "Intel Raid ISM Cfg Sig. ";

typedef int read_fn(void *arg, uint64_t offset, void *at, uint64_t length);

struct raid_magic_place {
	const char *name;
	uint64_t offset;
	bool (*matches)(const uint8_t *at);
	unsigned length;
};

static bool is_md(const uint8_t *at)
{
	return get_le32(at) == MD_MAGIC || get_be32(at) == MD_MAGIC;
}

static bool is_ddf(const uint8_t *at)
{
	return get_le32(at) == DDF_MAGIC || get_be32(at) == DDF_MAGIC;
}

static bool is_imsm(const uint8_t *at)
{
	return !memcmp(at, imsm_magic, sizeof(imsm_magic) - 1);
}

/* All of them lie in whole sectors of 512 bytes, within one piece. */
static int look_at(const struct raid_magic_place *place, uint64_t size, read_fn *read, void *arg,
		   struct block_raid_magic *found)
{
	uint64_t start = round_down(place->offset, PIECE);
	uint8_t piece[PIECE];
	int rc;

	/* The end of a device of 512-byte sectors need not be that of a piece. */
	if (start + PIECE > size)
		start = size - PIECE;
	rc = read(arg, start, piece, PIECE);
	if (rc || !place->matches(piece + (place->offset - start)))
		return rc;
	*found = (struct block_raid_magic){ place->name, place->offset, place->length };
	return 1;
}

/* Bytes before `others` are known to be of something else: it costs nothing there that they cannot be read. */
static int find(uint64_t size, uint64_t others, read_fn *read, void *arg,
		struct block_raid_magic *found)
{
	uint64_t end = round_down(size, 512);
	const struct raid_magic_place places[] = {
		{ "md superblock 1.2", 4096, is_md, 4 },
		{ "md superblock 1.1", 0, is_md, 4 },
		{ "md superblock 1.0", round_down(end - 8192, 4096), is_md, 4 },
		{ "md superblock 0.90", round_down(end, MD_90_RESERVED) - MD_90_RESERVED, is_md,
		  4 },
		{ "Intel RAID superblock", end - 1024, is_imsm, sizeof(imsm_magic) - 1 },
		{ "DDF RAID header", end - 512, is_ddf, 4 },
		{ "DDF RAID header", end - 257 * 512ull, is_ddf, 4 },
	};
	int rc = 0;

	for (size_t i = 0; !rc && i < ARRAY_SIZE(places); i++) {
		if (end >= MD_1_LEAST && range_within(places[i].offset, 512, end))
			rc = look_at(&places[i], end, read, arg, found);
		if (rc < 0 && range_within(places[i].offset, 512, others))
			rc = 0;
	}
	return rc;
}

static int read_block(void *arg, uint64_t offset, void *at, uint64_t length)
{
	return block_read(arg, offset, at, length);
}

int block_raid_magic_find(struct block *block, uint64_t others, struct block_raid_magic *found,
			  struct error *error)
{
	int rc = find(block->size, others, read_block, block, found);

	return rc >= 0 ? rc
		       : error_set(error, rc, "%s: looking for RAID superblocks: %s", block->name,
				   error_name(rc));
}

static int read_file(void *arg, uint64_t offset, void *at, uint64_t length)
{
	ssize_t got = pread(*(int *)arg, at, length, (off_t)offset);

	return got == (ssize_t)length ? 0 : got < 0 ? -errno : -EIO;
}

int block_raid_magic_find_file(int fd, uint64_t size, struct block_raid_magic *found)
{
	return find(size, 0, read_file, &fd, found);
}
