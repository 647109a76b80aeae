/* SPDX-License-Identifier: BSD-2-Clause */
/* See pv_find.h. */
#include "tools/pv_find.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "tools/device_look.h"
#include "tools/stack.h"
#include "util/bytes.h"
#include "util/error.h"

static int fail_orphan(const char *device, struct error *error)
{
	error_set(error, -EINVAL, "%s: is a physical volume of no group", device);
	return error_advise(error,
			    "`tenon vg create NAME %s`, or `vg extend VG %s`, has a group of it, "
			    "with all of the device",
			    device, device);
}

int pv_find(struct cli_words *given, const char *device, char **vg, char uuid[VOLUME_UUID_TEXT],
	    struct error *error)
{
	CLEANUP_STACK struct stack *look = NULL;
	CLEANUP_FREE char *path = device_resolve(device);
	int rc = stack_look(&look, given, error);

	for (unsigned i = 0; !rc && i < look->scan->device_count; i++) {
		const struct volume_scanned *scanned = &look->scan->devices[i];

		if (strcmp(scanned->block->name, path ? path : device) &&
		    strcmp(scanned->info.uuid, device))
			continue;
		if (!scanned->is_pv || !scanned->group)
			return fail_orphan(device, error);
		memcpy(uuid, scanned->info.uuid, VOLUME_UUID_TEXT);
		*vg = cli_keep_text(scanned->group->name);
		return *vg ? 0 : -ENOMEM;
	}
	if (rc)
		return rc;
	error_set(error, -ENOENT, "%s: is no physical volume on the devices that were looked at",
		  device);
	return error_advise(error, "`tenon pv list` shows what there is");
}
