/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests to several members; see raid5.h. */
#include <errno.h>
#include <stdlib.h>

#include "raid/raid5.h"

int raid5_ios_begin(struct raid5_ios *ios, const struct raid5 *r, unsigned capacity)
{
	ios->r = r;
	ios->count = 0;
	ios->capacity = capacity;
	ios->ios = ios->few_ios;
	ios->members = ios->few_members;
	ios->iovs = ios->few_iovs;
	if (capacity <= RAID5_IOS_FEW)
		return 0;
	ios->ios =
		malloc(capacity * (sizeof(*ios->ios) + sizeof(*ios->iovs) + sizeof(*ios->members)));
	if (!ios->ios) {
		ios->ios = ios->few_ios;
		return -ENOMEM;
	}
	ios->iovs = (struct iovec *)(ios->ios + capacity);
	ios->members = (struct raid_member **)(ios->iovs + capacity);
	return 0;
}

void raid5_ios_add(struct raid5_ios *ios, struct raid_member *member, enum block_kind kind,
		   unsigned flags, uint64_t offset, void *at, uint64_t length)
{
	unsigned i = ios->count++;

	ios->iovs[i] = (struct iovec){ at, length };
	ios->ios[i] = (struct block_io){
		.block = member->block,
		.kind = kind,
		.flags = flags,
		.offset = (raid5_device_sector(ios->r, member, 0) << MD_SECTOR_SHIFT) + offset,
		.length = length,
		.iov = &ios->iovs[i],
		.count = at ? 1 : 0
	};
	ios->members[i] = member;
	raid_member_hold(member);
}

void raid5_ios_add_iov(struct raid5_ios *ios, struct raid_member *member, uint64_t offset,
		       const struct iovec *iov, unsigned count, uint64_t length)
{
	raid5_ios_add(ios, member, BLOCK_READ, 0, offset, NULL, length);
	ios->ios[ios->count - 1].iov = iov;
	ios->ios[ios->count - 1].count = count;
}

void raid5_ios_run(struct raid5_ios *ios)
{
	block_run_all(ios->ios, ios->count);
}

void raid5_ios_run_with(struct raid5_ios *ios, unsigned first, void (*meanwhile)(void *arg),
			void *arg)
{
	block_run_all_with(ios->ios, ios->count, first, meanwhile, arg);
}

void raid5_ios_end(struct raid5_ios *ios)
{
	for (unsigned i = 0; i < ios->count; i++)
		raid_member_release(ios->members[i]);
	if (ios->ios != ios->few_ios)
		free(ios->ios);
}

bool raid5_readable(const struct raid5 *r, uint32_t role, uint64_t sector, uint64_t count)
{
	const struct raid_member *member = r->array->places[role].member;

	if (!member)
		return false;
	/* What has been filled in a reshape is in the new shape. */
	if (member->state != RAID_MEMBER_IN_SYNC &&
	    (r != raid5_of(r->array) || sector + count > member->recovered))
		return false;
	return !member->bad.count ||
	       !md_badblocks_find(&member->bad, raid5_device_sector(r, member, sector), count);
}

/* ---- How writes went ---- */

static bool was_written_by(const struct raid_member *member)
{
	return member->state == RAID_MEMBER_IN_SYNC || member->state == RAID_MEMBER_REBUILDING;
}

/* Whose data are not to be had where a write failed, since they did not take it or their logs say so. Whether there are any of the second kind. */
static bool add_bad(const struct raid5 *r, const struct block_io *io,
		    const struct raid_member *failed, struct raid_set *absent)
{
	uint64_t sector = (io->offset >> MD_SECTOR_SHIFT) - raid5_device_sector(r, failed, 0);
	bool bad = false;

	raid_set_add(absent, (uint32_t)failed->role);
	for (uint32_t i = 0; i < r->g.disks; i++) {
		const struct raid_member *member = r->array->places[i].member;

		if (member == failed || raid5_readable(r, i, sector, io->length >> MD_SECTOR_SHIFT))
			continue;
		raid_set_add(absent, i);
		bad |= member && member->state == RAID_MEMBER_IN_SYNC;
	}
	return bad;
}

int raid5_judge(struct raid_array *array, const struct raid5_ios *ios)
{
	struct raid_set absent;
	int rc = 0;
	bool survives, known_bad = false, failed = false;

	for (unsigned i = 0; i < ios->count; i++) {
		struct raid_member *member = ios->members[i];

		failed |= ios->ios[i].result;
		if (!ios->ios[i].result)
			raid_member_written(member, ios->ios[i].offset, ios->ios[i].length);
	}
	if (!failed)
		return 0;
	absent = raid_array_absent(array);
	for (unsigned i = 0; i < ios->count; i++) {
		if (ios->ios[i].result && raid_member_counts(ios->members[i]))
			known_bad |= add_bad(ios->r, &ios->ios[i], ios->members[i], &absent);
	}
	survives = array->level->survives(array, &absent);
	for (unsigned i = 0; i < ios->count; i++) {
		const struct block_io *io = &ios->ios[i];
		struct raid_member *member = ios->members[i];

		if (!io->result || !was_written_by(member))
			continue;
		/* Parity that fits the data which this one did not take would give wrong data for what is bad on another: who
		 * reads that must get an error. */
		if ((survives || known_bad) && raid_member_write_again(member, io)) {
			rc = survives ? rc : -EIO;
			continue;
		}
		if ((!survives && raid_member_counts(member)) ||
		    !raid_member_fail(member, "write of %llu bytes at byte %llu: %s",
				      (unsigned long long)io->length,
				      (unsigned long long)io->offset,
				      raid_member_trouble(member, io->result)))
			rc = io->result == -ENOSPC ? -ENOSPC : -EIO;
	}
	/* It may have what its member has not, and a resync makes parity of what members have. */
	for (unsigned i = 0; rc && i < ios->count; i++) {
		if (ios->members[i]->replaces)
			raid_member_fail(ios->members[i],
					 "a write failed that %s, which it was to replace, was in",
					 array->places[ios->members[i]->role].member->block->name);
	}
	return rc;
}
