/* SPDX-License-Identifier: BSD-2-Clause */
/* Mirrors: what a resync, recovery or repair writes to a copy. */
#include "raid/mirror.h"

#include "raid/rebuild.h"

void mirror_target_written(struct raid_member *member, const struct raid_sync *sync,
			   const struct block_io *io)
{
	if (!io->result)
		raid_member_written(member, io->offset, io->length);
	else if (!raid_member_write_again(member, io))
		raid_member_fail(member, "%s of %llu bytes at byte %llu: %s",
				 raid_operation_name(sync->operation),
				 (unsigned long long)io->length, (unsigned long long)io->offset,
				 raid_member_trouble(member, io->result));
}

static void write_one(struct raid_member *member, const struct raid_sync *sync, uint64_t offset,
		      const uint8_t *data, uint64_t length)
{
	const struct iovec iov = { (void *)data, length };
	struct block_io io = { .block = member->block,
			       .kind = BLOCK_WRITE,
			       .offset = mirror_data_start(member) + offset,
			       .length = length,
			       .iov = &iov,
			       .count = 1 };

	raid_member_hold(member);
	block_run_all(&io, 1);
	mirror_target_written(member, sync, &io);
	raid_member_release(member);
}

void mirror_write_copy(const struct mirror_copy *copy, const struct raid_sync *sync,
		       const uint8_t *data, uint64_t length)
{
	const struct raid_place *place = &sync->array->places[copy->member->role];
	struct raid_member *replacement = place->member == copy->member ? place->replacement : NULL;

	if (replacement)
		raid_member_hold(replacement);
	write_one(copy->member, sync, copy->offset, data, length);
	if (replacement && raid_member_active(replacement))
		write_one(replacement, sync, copy->offset, data, length);
	if (replacement)
		raid_member_release(replacement);
}
