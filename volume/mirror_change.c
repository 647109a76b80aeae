/* SPDX-License-Identifier: BSD-2-Clause */
/* Mirrors that are removed, with all of their parts: legs, log, and legs of the log; see mirror.h. */
#include "volume/mirror.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "volume/raid_change.h"

int lvm_mirror_drop(struct change *change, struct volume_lv *lv)
{
	const struct volume_segment *segment = lvm_lv_mirror(lv);
	int rc = change_drop_lv(change, lv);

	for (unsigned i = 0; segment && !rc && i < segment->area_count; i++)
		rc = lvm_mirror_drop(change, segment->areas[i].lv);
	return rc;
}
