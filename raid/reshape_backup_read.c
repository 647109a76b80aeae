/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading what the backup of a reshape in place was found to hold; see reshape_backup.h. */
#include "raid/reshape_backup.h"

#include <errno.h>
#include <stdlib.h>

#include "block/iov.h"
#include "util/bytes.h"

#define PIECE_BYTES (256u << 10)

int raid_backup_read(struct raid_backup *backup, const struct raid_backup_held *held,
		     uint64_t offset, void *bytes, uint64_t length)
{
	return block_read(backup->places[held->place].block,
			  held->byte + offset - (held->from << MD_SECTOR_SHIFT), bytes, length);
}

static int lay_over(struct raid_backup *backup, const struct raid_backup_held *held,
		    uint64_t offset, uint64_t length, struct iov_range at)
{
	uint64_t from = MAX(offset, held->from << MD_SECTOR_SHIFT);
	uint64_t to = MIN(offset + length, held->to << MD_SECTOR_SHIFT);
	CLEANUP_FREE uint8_t *bytes = NULL;
	int rc = 0;

	if (from >= to)
		return 0;
	if (posix_memalign((void **)&bytes, 4096, PIECE_BYTES))
		return -ENOMEM;
	iov_advance(&at, from - offset);
	while (!rc && from < to) {
		uint64_t part = MIN(to - from, (uint64_t)PIECE_BYTES);

		rc = raid_backup_read(backup, held, from, bytes, part);
		if (!rc)
			iov_copy_in(&at, bytes, part);
		from += part;
	}
	return rc;
}

int raid_backup_lay_over(struct raid_backup *backup, uint64_t offset, uint64_t length,
			 const struct iovec *iov, unsigned count)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < backup->held_count; i++)
		rc = lay_over(backup, &backup->held[i], offset, length, iov_range_of(iov, count));
	return rc;
}
