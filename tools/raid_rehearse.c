/* SPDX-License-Identifier: BSD-2-Clause */
/* --dry-run of `tenon raid bitmap` and `rebuild`; see rehearse.h. */
#include <inttypes.h>

#include "block/block.h"
#include "raid/geometry.h"
#include "tools/raid.h"
#include "tools/raid_rebuild.h"
#include "tools/rehearse.h"
#include "util/size.h"

int raid_rehearse_bitmap(const struct cli_words *given, char *target, bool remove, uint64_t chunk,
			 struct error *error)
{
	CLEANUP_STACK struct stack *stack = NULL;
	struct raid_status status;
	struct raid_array *array;
	char size[SIZE_TEXT];
	int rc = rehearse_claim(&stack, given, target, error);

	if (!rc)
		rc = stack_find_running(stack, target, &array, error);
	if (!rc)
		rc = remove ? raid_bitmap_remove(array, error)
			    : raid_bitmap_add(array, chunk, error);
	if (rc)
		return rc;
	raid_status(array, &status);
	if (remove)
		cli_say("%s: its bitmap would be removed: after a crash all of it would be "
			"resynced",
			target);
	else
		cli_say("%s: would get a bitmap with a bit for each %s", target,
			size_format(status.bitmap.chunk, size));
	raid_status_free(&status);
	return 0;
}

static bool say_resync(const char *target, const struct raid_status *status)
{
	char size[SIZE_TEXT];

	if (status->agree || !raid_geometry_redundant(status->level))
		return false;
	if (status->bitmap.present)
		cli_say("%s: a resync would make its members equal where the bitmap says so: "
			"%" PRIu64 " of %" PRIu64 " chunks",
			target, status->bitmap.dirty, status->bitmap.chunks);
	else
		cli_say("%s: a resync would make its members equal: %s of each", target,
			size_format(status->member_size, size));
	return true;
}

/* Spares fill places as long as there are empty ones. */
static bool say_recovery(const char *target, const struct raid_status *status)
{
	unsigned empty = status->raid_disks - status->working;
	char sizes[2][SIZE_TEXT];
	bool said = false;

	for (unsigned i = 0; i < status->member_count; i++) {
		const struct raid_member_status *member = &status->members[i];

		if (member->state == RAID_MEMBER_REBUILDING)
			cli_say("%s: would get its data as a member of %s, %s of %s are there",
				member->device, target, size_format(member->recovered, sizes[0]),
				size_format(status->member_size, sizes[1]));
		else if (member->state == RAID_MEMBER_SPARE && empty)
			cli_say("%s: would fill an empty place of %s, and get its data",
				member->device, target);
		else
			continue;
		said = true;
		empty -= empty && !member->replaces;
	}
	if (empty && raid_geometry_redundant(status->level)) {
		cli_say("%s: %u of %u places would stay empty: there is no spare for them", target,
			empty, status->raid_disks);
		said = true;
	}
	return said;
}

bool rebuild_say_planned(const char *target, struct raid_array *array)
{
	struct raid_status status;
	bool said;

	raid_status(array, &status);
	said = say_resync(target, &status);
	said |= say_recovery(target, &status);
	raid_status_free(&status);
	return said;
}

int raid_rehearse_rebuild(const struct cli_words *given, char *target, struct error *error)
{
	CLEANUP_STACK struct stack *stack = NULL;
	struct raid_array *array;
	int rc = rehearse_claim(&stack, given, target, error);

	if (!rc)
		rc = stack_find_running(stack, target, &array, error);
	if (!rc && !rebuild_say_planned(target, array))
		cli_say("%s: nothing is left to rebuild", target);
	return rc;
}
