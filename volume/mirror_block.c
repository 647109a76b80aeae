/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading a mirror. The first leg has all data; where it is lost or cannot be read, another one has what the log says that all agree on. A mirror
 * whose first leg is lost and of which some region does not agree is not opened: nobody knows what was there.
 *
 * Nothing is written, and nobody else writes to the legs or the log meanwhile, since they belong to the group: so the log is read once.
 */
#include "volume/mirror.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "block/iov.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/active.h"
#include "volume/segment_raid.h"

struct mirror_block {
	struct block block;
	unsigned legs;
	struct block *lower[LVM_MIRROR_LEGS]; /* NULL: lost */
	uint64_t region;
	struct lvm_mirror_map map;
};

static struct mirror_block *mirror_of(struct block *block)
{
	return container_of(block, struct mirror_block, block);
}

/* ---- Reading ---- */

/* Within one region. */
static int read_piece(struct mirror_block *mirror, uint64_t offset, const struct iovec *iov,
		      unsigned count)
{
	uint64_t region = offset / mirror->region;
	bool agree = lvm_mirror_map_agrees(&mirror->map, region, region);
	int rc = -EIO;

	for (unsigned i = 0; rc && i < (agree ? mirror->legs : 1); i++)
		if (mirror->lower[i])
			rc = block_readv(mirror->lower[i], offset, iov, count);
	return rc;
}

/* A region at a time: the first leg did not give all of it. */
static int read_pieces(struct mirror_block *mirror, uint64_t offset, uint64_t length,
		       const struct iovec *iov, unsigned count)
{
	CLEANUP_FREE struct iovec *piece = calloc(count, sizeof(*piece));
	struct iov_range at = iov_range_of(iov, count);
	int rc = piece ? 0 : -ENOMEM;

	while (!rc && length) {
		uint64_t now = MIN(length, mirror->region - offset % mirror->region);
		unsigned used;

		iov_take(&at, now, piece, count, &used);
		rc = read_piece(mirror, offset, piece, used);
		offset += now;
		length -= now;
	}
	return rc;
}

static int mirror_block_readv(struct block *block, uint64_t offset, uint64_t length,
			      const struct iovec *iov, unsigned count)
{
	struct mirror_block *mirror = mirror_of(block);

	if (mirror->lower[0] && !block_readv(mirror->lower[0], offset, iov, count))
		return 0;
	return read_pieces(mirror, offset, length, iov, count);
}

/* Of the leg that is read first. */
static int mirror_block_status(struct block *block, uint64_t offset, uint64_t *length,
			       enum block_status *status)
{
	struct mirror_block *mirror = mirror_of(block);
	unsigned i = 0;

	while (!mirror->lower[i])
		i++;
	return block_status(mirror->lower[i], offset, length, status);
}

static int mirror_block_writev(struct block *block, uint64_t offset, uint64_t length,
			       const struct iovec *iov, unsigned count, unsigned flags)
{
	(void)block;
	(void)offset;
	(void)length;
	(void)iov;
	(void)count;
	(void)flags;
	return -EROFS;
}

static int mirror_block_flush(struct block *block)
{
	(void)block;
	return 0;
}

static void mirror_block_close(struct block *block)
{
	struct mirror_block *mirror = mirror_of(block);

	for (unsigned i = 0; i < mirror->legs; i++)
		block_unref(mirror->lower[i]);
	lvm_mirror_map_free(&mirror->map);
	free(mirror);
}

static const struct block_ops mirror_block_ops = {
	.type = "mirror",
	.readv = mirror_block_readv,
	.writev = mirror_block_writev,
	.status = mirror_block_status,
	.flush = mirror_block_flush,
	.close = mirror_block_close,
};

/* ---- Opening ---- */

struct mirror_opening {
	struct lvm_activation *activation;
	const struct volume_segment *segment;
	struct mirror_block *mirror;
	struct error lost; /* why the first of them is */
	struct error *error;
};

static int open_leg(struct mirror_opening *opening, unsigned number)
{
	struct mirror_block *mirror = opening->mirror;
	struct volume_lv *leg = opening->segment->areas[number].lv;
	struct error why = { 0 };
	int rc = lvm_active_open(opening->activation->group, leg, false, &mirror->lower[number],
				 &why);

	if (!rc) {
		const struct block *lower = mirror->lower[number];

		mirror->block.logical_block_size =
			MAX(mirror->block.logical_block_size, lower->logical_block_size);
		mirror->block.physical_block_size =
			MAX(mirror->block.physical_block_size, lower->physical_block_size);
		return 0;
	}
	mirror->lower[number] = NULL;
	if (rc == -ENXIO || lvm_raid_part_lost(leg)) {
		if (!opening->lost.text[0])
			opening->lost = why;
		return 0;
	}
	if (opening->error)
		*opening->error = why;
	error_prefix(opening->error, "%s/%s", opening->activation->group->name,
		     opening->activation->lv->name);
	return rc;
}

/* Whether what is there has all data. */
static int check_whole(const struct mirror_opening *opening)
{
	const struct mirror_block *mirror = opening->mirror;
	const struct lvm_mirror_map *map = &mirror->map;
	unsigned left = 0;

	if (mirror->lower[0])
		return 0;
	for (unsigned i = 1; i < mirror->legs; i++)
		left += !!mirror->lower[i];
	if (left && map->in_sync == map->regions)
		return 0;
	if (!left)
		error_set(opening->error, -ENXIO, "%s/%s: all of its legs are lost",
			  opening->activation->group->name, opening->activation->lv->name);
	else
		error_set(opening->error, -ENXIO,
			  "%s/%s: its first leg is lost, and %s says of %llu of %llu regions that "
			  "the "
			  "others have the same",
			  opening->activation->group->name, opening->activation->lv->name,
			  opening->segment->private->mirror->log ? "its log"
								 : "no log (it has none)",
			  (unsigned long long)map->in_sync, (unsigned long long)map->regions);
	return opening->lost.text[0] ? error_advise(opening->error, "%s", opening->lost.text)
				     : -ENXIO;
}

static int open_mirror(struct mirror_opening *opening)
{
	struct mirror_block *mirror = opening->mirror;
	int rc = 0;

	for (unsigned i = 0; !rc && i < mirror->legs; i++)
		rc = open_leg(opening, i);
	if (!rc)
		rc = lvm_mirror_map_read(opening->activation->group, opening->activation->lv,
					 &mirror->map, opening->error);
	return rc ? rc : check_whole(opening);
}

int lvm_mirror_activate(struct lvm_activation *activation, const struct volume_segment *segment,
			struct error *error)
{
	uint64_t length = segment->extent_count * activation->group->extent_size;
	struct mirror_opening opening = { .activation = activation,
					  .segment = segment,
					  .mirror = calloc(1, sizeof(*opening.mirror)),
					  .error = error };
	struct mirror_block *mirror = opening.mirror;
	int rc;

	if (!mirror)
		return error_set(error, -ENOMEM, "%s/%s: no memory to open it",
				 activation->group->name, activation->lv->name);
	block_init(&mirror->block, &mirror_block_ops, activation->lv->name);
	mirror->block.size = length;
	mirror->block.read_only = true;
	mirror->legs = segment->private->mirror->legs;
	mirror->region = segment->private->mirror->region;
	rc = open_mirror(&opening);
	if (!rc) {
		lv_table_add_segment(activation->table, 0, length, 0, 1);
		lv_table_add_block(activation->table, &mirror->block);
	}
	block_unref(&mirror->block);
	return rc;
}
