/* SPDX-License-Identifier: BSD-2-Clause */
/* An array held still; see still.h. */
#include "raid/still.h"

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
