/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks that this host uses beside machines: what `tenon mount`, `tenon attach` and the nbdkit plugin (host_disk.h) ask of a
 * storage server.
 *
 *	export.attach	{name, shared} -> {socket, id, machines, peers, lease}: the socket for it, and how many clients have the disk as machines
 *		have it, with their processes.
 *		Not shared, that is the socket that machines know, which has one client at a time where the disk can be
 *		written to. Shared, it is another one in the runtime directory, made when it is first asked for, which has any number
 *		of clients, whatever machine has the disk. `lease` is where it can be asked for as a lease
 *		(lease_socket.h), or null.
 *	export.extents	{name, offset, length} -> {extents: [LENGTH, ZERO, LENGTH, ZERO, ...]}: from `offset` on, which part reads
 *		as zeroes without being read (ZERO is true); it may end before `length` does
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/block.h"
#include "tools/describe.h"
#include "tools/runtime.h"
#include "tools/serve.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "virtio/vhost_user_blk.h"

static int find_served(struct serve *serve, json_t *params, struct export **out,
		       struct error *error)
{
	const char *name;
	int rc = rpc_param_string(params, "name", &name, error);

	if (rc)
		return rc;
	*out = export_find(serve, name);
	if (*out && (*out)->server)
		return 0;
	if (*out)
		return error_set(error, -EBUSY, "%s: not served: %s", name,
				 (*out)->problem ? (*out)->problem : "it is being closed");
	return error_set(error, -ENOENT, "%s: the server does not serve it", name);
}

/* ---- export.attach ---- */

struct beside {
	struct serve *serve;
	const struct export *export;
	struct vhost_user_blk_server *server;
	char *path;
	struct error *error;
};

/* At home. */
static int open_beside(void *arg)
{
	struct beside *beside = arg;
	struct serve *serve = beside->serve;
	const struct export *export = beside->export;
	const struct vhost_user_blk_options options = { .serial = export->serial,
							.queue_count = (uint16_t)serve->queues,
							.log = &serve->log,
							.shared = true,
							.workers = serve->queue_workers,
							.worker_count = serve->home_count,
							.acceptor = export->home->acceptor };

	return vhost_user_blk_server_start(&beside->server, export->block, beside->path, &options,
					   beside->error);
}

/* With `changing`, so that the export stays. */
static int beside_start(struct serve *serve, struct export *export, struct error *error)
{
	struct beside beside = { .serve = serve, .export = export, .error = error };
	char name[32 + SERIAL_TEXT];
	int rc;

	snprintf(name, sizeof(name), "disk-%d-%s", (int)getpid(), export->id);
	rc = runtime_socket(name, &beside.path, error);
	if (!rc)
		rc = serve_call(export->home, open_beside, &beside);
	if (rc) {
		free(beside.path);
		return rc;
	}
	export->beside = beside.server;
	export->beside_path = beside.path;
	return 0;
}

static int attach(struct serve *serve, json_t *params, json_t **result, struct error *error)
{
	bool shared = json_is_true(json_object_get(params, "shared"));
	const char *lease = serve_leases_path(serve);
	struct export *export;
	json_t *peers;
	unsigned machines;
	int rc = find_served(serve, params, &export, error);

	if (!rc && shared && !export->beside)
		rc = beside_start(serve, export, error);
	if (rc)
		return rc;
	peers = json_array();
	machines = export_machines(export, peers);
	*result = json_pack("{s:o, s:s, s:i, s:o, s:o}", "socket",
			    describe_path(shared ? export->beside_path : export->path), "id",
			    export->id, "machines", (int)machines, "peers", peers, "lease",
			    lease ? describe_path(lease) : json_null());
	return 0;
}

int serve_export_attach(void *context, json_t *params, json_t **result, struct error *error)
{
	struct serve *serve = context;
	int rc;

	fiber_mutex_lock(&serve->changing);
	rc = attach(serve, params, result, error);
	fiber_mutex_unlock(&serve->changing);
	return rc;
}

/* ---- export.extents ---- */

#define EXTENTS_AT_ONCE 1024u

struct extents {
	struct block *block;
	uint64_t offset, length;
	unsigned count;
	struct {
		uint64_t length;
		bool zero;
	} all[EXTENTS_AT_ONCE];
};

/* At home. */
static int find_extents(void *arg)
{
	struct extents *extents = arg;
	CLEANUP_BLOCK struct block *block = block_ref(extents->block);
	uint64_t unit = block->logical_block_size;
	uint64_t at = round_down(extents->offset, unit), end;

	if (extents->offset >= block->size)
		return -EINVAL;
	end = MIN(extents->length, block->size - extents->offset) + extents->offset;
	while (at < end && extents->count < EXTENTS_AT_ONCE) {
		uint64_t length = round_up(end, unit) - at;
		enum block_status status;
		int rc = block_status(block, at, &length, &status);
		bool zero = status == BLOCK_STATUS_ZERO;
		uint64_t from = MAX(at, extents->offset), to = MIN(at + length, end);

		if (rc)
			return rc;
		if (extents->count && extents->all[extents->count - 1].zero == zero) {
			extents->all[extents->count - 1].length += to - from;
		} else {
			extents->all[extents->count].length = to - from;
			extents->all[extents->count++].zero = zero;
		}
		at += length;
	}
	return 0;
}

static bool take_size(json_t *params, const char *key, uint64_t *value)
{
	const json_t *given = json_object_get(params, key);

	*value = (uint64_t)json_integer_value(given);
	return json_is_integer(given) && json_integer_value(given) >= 0;
}

int serve_export_extents(void *context, json_t *params, json_t **result, struct error *error)
{
	CLEANUP_FREE struct extents *extents = calloc(1, sizeof(*extents));
	struct export *export;
	json_t *list;
	int rc = extents ? find_served(context, params, &export, error) : -ENOMEM;

	if (rc)
		return rc;
	if (!take_size(params, "offset", &extents->offset) ||
	    !take_size(params, "length", &extents->length) || !extents->length)
		return error_set(error, -EINVAL, "%s: expected offset and length of a range",
				 export->name);
	extents->block = export->block;
	rc = serve_call(export->home, find_extents, extents);
	if (rc)
		return error_set(error, rc, "extents: %s", error_name(rc));
	list = json_array();
	for (unsigned i = 0; i < extents->count; i++) {
		json_array_append_new(list, json_integer((json_int_t)extents->all[i].length));
		json_array_append_new(list, json_boolean(extents->all[i].zero));
	}
	*result = json_pack("{s:o}", "extents", list);
	return 0;
}
