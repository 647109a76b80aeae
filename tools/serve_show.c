/* SPDX-License-Identifier: BSD-2-Clause */
/* What a storage server says of one of its volumes, so that nobody needs to look at the devices of a group for that; see serve.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "tools/describe.h"
#include "tools/lv_synced.h"
#include "tools/serve.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "volume/volume_raid.h"

struct show_call {
	struct serve_home *home;
	const char *name;
	json_t **result;
	struct error *error;
};

/* At home. */
static int show_volume(void *arg)
{
	struct show_call *call = arg;
	struct volume_group *group;
	struct volume_lv *lv;
	int rc = stack_find_volume(call->home->stack, call->name, &group, &lv, call->error);

	if (rc)
		return rc;
	/* How much of it agrees is known of an array that runs; a look assembles it for that. */
	if (volume_lv_is_raid(lv) && !volume_lv_array(lv))
		return error_set(call->error, -EOPNOTSUPP, "%s: is not in use", call->name);
	*call->result = describe_lv(group, lv);
	lv_synced_look(*call->result, group, lv, true);
	return 0;
}

int serve_lv_show(void *context, json_t *params, json_t **result, struct error *error)
{
	struct serve *serve = context;
	struct show_call call = { .result = result, .error = error };
	CLEANUP_FREE char *vg = NULL;
	struct volume_group *group;
	int rc = rpc_param_string(params, "name", &call.name, error);

	if (!rc && !strchr(call.name, '/'))
		rc = error_set(error, -EINVAL, "%s: expected VG/LV", call.name);
	if (rc)
		return rc;
	vg = strndup(call.name, strcspn(call.name, "/"));
	if (!vg)
		return -ENOMEM;
	fiber_mutex_lock(&serve->changing);
	rc = serve_find_group(serve, vg, &call.home, &group, error);
	if (!rc)
		rc = serve_call(call.home, show_volume, &call);
	fiber_mutex_unlock(&serve->changing);
	return rc;
}
