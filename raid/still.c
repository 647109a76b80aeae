/* SPDX-License-Identifier: BSD-2-Clause */
/* An array held still; see still.h. */
#include "raid/still.h"

#include <errno.h>

#include "raid/array.h"
#include "raid/rebuild.h"

void raid_hold_still(struct raid_array *array)
{
	struct raid_rebuild *rebuild = &array->rebuild;

	rebuild->frozen = true;
	while (!rebuild->idle)
		fiber_queue_wait_always(&rebuild->change);
	block_quiesce(&array->block);
	fiber_mutex_lock(&array->clearing);
}

void raid_go_on(struct raid_array *array)
{
	fiber_mutex_unlock(&array->clearing);
	block_resume(&array->block);
	array->rebuild.frozen = false;
	raid_rebuild_kick(array);
}

static int check(const struct raid_array *array, struct error *error)
{
	const struct raid_rebuild *rebuild = &array->rebuild;
	enum raid_operation running =
		rebuild->operation != RAID_IDLE ? rebuild->operation : rebuild->wanted;

	if (array->block.read_only)
		return error_set(error, -EROFS, "%s is assembled read-only", array->block.name);
	if (array->reshaping)
		return error_set(error, -EBUSY, "%s is being reshaped", array->block.name);
	if (running != RAID_IDLE) {
		error_set(error, -EBUSY, "%s: %s is running", array->block.name,
			  raid_operation_name(running));
		error_advise(error, "wait for it, or end it with `tenon raid stop-sync %s`",
			     array->name);
		return -EBUSY;
	}
	return 0;
}

int raid_while_still(struct raid_array *array, uint64_t arg,
		     int (*change)(struct raid_array *array, uint64_t arg, struct error *error),
		     struct error *error)
{
	int rc;

	fiber_mutex_lock(&array->membership);
	rc = array->rebuild.frozen ? error_set(error, -EBUSY, "%s is held still", array->block.name)
				   : check(array, error);
	if (!rc) {
		raid_hold_still(array);
		rc = change(array, arg, error);
		raid_go_on(array);
	}
	fiber_mutex_unlock(&array->membership);
	return rc;
}
