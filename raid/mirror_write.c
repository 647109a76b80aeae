/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mirrors: writing; see mirror.h.
 *
 * A write goes to all copies on members in sync, and to those that are being rebuilt, wherever the rebuild is:
 * the range lock keeps the two apart, and what is written is then right on both sides of its position. A
 * read goes to one copy; mirror_read.c says to which, and what happens when that fails.
 */
#include "raid/mirror.h"

#include <errno.h>
#include <stdlib.h>

#include "block/iov.h"
#include "raid/legs.h"
#include "raid/mirror_group.h"
#include "util/bytes.h"

/*
 * Looks at what became of a span, legs `first` to `end`: who did not take it is bad there, or failed (write_error.c). 0 when one that is in
 * sync has it. When nobody has it the error
 * goes up and no member is failed, for none is the better copy (two images on a full host file system,
 * perhaps); but they may differ there now, so a resync is due.
 */
int mirror_judge(const struct mirror_span *span, const struct raid_legs *legs, unsigned first,
		 unsigned end)
{
	int rc = -EIO;

	for (unsigned i = first; i < end; i++) {
		int result = legs->ios[i].result;

		if (!result && legs->members[i]->state == RAID_MEMBER_IN_SYNC)
			rc = 0;
		else if (rc == -EIO && result == -ENOSPC)
			rc = -ENOSPC;
	}
	for (unsigned i = first; i < end; i++) {
		struct raid_member *member = legs->members[i];
		int result = legs->ios[i].result;

		if (!result && legs->ios[i].kind != BLOCK_DISCARD)
			raid_member_written(member, legs->ios[i].offset, span->length);
		if (!result || (!rc && raid_member_write_again(member, &legs->ios[i])))
			continue;
		if (!rc || member->state != RAID_MEMBER_IN_SYNC)
			raid_member_fail(member, "write of %llu bytes at byte %llu: %s",
					 (unsigned long long)span->length,
					 (unsigned long long)legs->ios[i].offset,
					 raid_member_trouble(member, result));
	}
	if (rc && end - first > 1)
		raid_array_resync_from(span->array, span->offset >> MD_SECTOR_SHIFT);
	return rc;
}

/* Several spans, with the bracket open. */
static int write_group(struct mirror_group *group, const struct raid_write *write)
{
	static const enum block_kind kinds[] = {
		[RAID_WRITE_DATA] = BLOCK_WRITE,
		[RAID_WRITE_ZEROES] = BLOCK_WRITE_ZEROES,
		[RAID_WRITE_DISCARD] = BLOCK_DISCARD,
	};
	CLEANUP_RAID_LEGS struct raid_legs legs;
	unsigned ends[MIRROR_GROUP];
	unsigned both = group->spans[0].array->replacements ? 2 : 1;
	int rc = raid_legs_begin(&legs, group->count * group->spans[0].copies * both), failed;

	if (rc)
		return rc;
	for (unsigned i = 0; i < group->count; i++) {
		const struct mirror_span *span = &group->spans[i];

		for (unsigned k = 0; k < span->copies; k++) {
			struct mirror_copy copy = mirror_copy(span, k);
			const struct block_io io = { .kind = kinds[write->kind],
						     .flags = write->flags,
						     .offset = copy.offset,
						     .length = span->length,
						     .iov = group->data[i].iov,
						     .count = group->data[i].count };

			if (copy.member)
				raid_legs_add(&legs, copy.member, &io);
			if (copy.replacement)
				raid_legs_add(&legs, copy.replacement, &io);
		}
		ends[i] = legs.count;
	}
	raid_legs_run(&legs);
	for (unsigned i = 0; i < group->count; i++) {
		failed = mirror_judge(&group->spans[i], &legs, i ? ends[i - 1] : 0, ends[i]);
		rc = rc ? rc : failed;
	}
	return rc;
}

int mirror_write(struct raid_array *array, const struct raid_write *write)
{
	struct raid_span span = { write->offset >> MD_SECTOR_SHIFT,
				  write->length >> MD_SECTOR_SHIFT };
	struct mirror_groups groups;
	struct raid_bracket bracket;
	int rc = raid_bracket_begin(array, &bracket, span, span);

	if (rc)
		return rc;
	mirror_groups_begin(&groups, array, write->offset, write->length, write->iov, write->count);
	while (!rc && mirror_groups_next(&groups, &rc))
		rc = write_group(&groups.group, write);
	mirror_groups_end(&groups);
	return raid_bracket_end(&bracket, rc);
}
