/* The exports of a storage server; see serve.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "tools/describe.h"
#include "tools/serve.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "virtio/vhost_user_blk.h"

struct export *export_find(struct serve *serve, const char *name)
{
	list_for_each(at, &serve->exports) {
		struct export *export = list_entry(at, struct export, node);

		if (!strcmp(export->name, name))
			return export;
	}
	return NULL;
}

static struct export *export_find_path(struct serve *serve, const char *path)
{
	list_for_each(at, &serve->exports) {
		struct export *export = list_entry(at, struct export, node);

		if (!strcmp(export->path, path))
			return export;
	}
	return NULL;
}

/* DIR/VG-LV.sock; the slash of the name becomes a hyphen. */
static char *export_path(const struct serve *serve, const char *name)
{
	int head = (int)strcspn(name, "/");
	char *path;

	return asprintf(&path, "%s/%.*s-%s.sock", serve->sockets.directory, head, name,
			name + head + 1) < 0
		       ? NULL
		       : path;
}

unsigned export_clients(const struct export *export)
{
	struct vhost_user_blk_status status;

	vhost_user_blk_server_status(export->server, &status);
	return status.clients;
}

void export_stop(struct export *export)
{
	vhost_user_blk_server_stop(export->server);
	block_unref(export->block);
	if (export->node.next)
		list_remove(&export->node);
	free(export->name);
	free(export->path);
	free(export);
}

void export_stop_all(struct serve *serve)
{
	while (!list_empty(&serve->exports))
		export_stop(list_entry(serve->exports.next, struct export, node));
}

/* Whether `name` may be opened for writing: not a volume that is marked read-only. */
static bool export_writable(struct serve *serve, const char *name)
{
	struct volume_group *group;
	struct volume_lv *lv;

	if (serve->read_only)
		return false;
	if (stack_names_array(name))
		return true;
	return stack_find_volume(serve->stack, name, &group, &lv, NULL) || lv->writable;
}

int export_start(struct serve *serve, const char *name, struct error *error)
{
	struct vhost_user_blk_options options = { .serial = name,
						  .queue_count = (uint16_t)serve->queues,
						  .log = &serve->log,
						  .access = &serve->sockets.access };
	struct export *export, *other;
	int rc;

	if (export_find(serve, name))
		return 0;
	export = calloc(1, sizeof(*export));
	if (!export)
		return -ENOMEM;
	export->name = strdup(name);
	export->path = export_path(serve, name);
	rc = export->name && export->path ? 0 : -ENOMEM;
	other = rc ? NULL : export_find_path(serve, export->path);
	if (other) {
		rc = error_set(error, -EEXIST, "%s: its socket %s is that of %s", name,
			       export->path, other->name);
		error_advise(error, "serve them from two directories");
	}
	if (!rc)
		rc = stack_open_block(serve->stack, name, export_writable(serve, name),
				      &export->block, error);
	if (!rc)
		rc = vhost_user_blk_server_start(&export->server, export->block, export->path,
						 &options, error);
	if (rc) {
		export_stop(export);
		return rc;
	}
	list_add_tail(&serve->exports, &export->node);
	log_info(&serve->log, "%s: %s", export->path, export->name);
	return 0;
}

int export_start_group(struct serve *serve, struct volume_group *group, struct error *error)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < group->lv_count; i++) {
		const struct volume_lv *lv = group->lvs[i];
		CLEANUP_FREE char *name = NULL;

		if (!lv->visible)
			continue;
		if (!lv->supported || lv->partial) {
			log_warning(&serve->log, "%s/%s is left out: %s", group->name, lv->name,
				    lv->partial ? "a physical volume is missing"
						: volume_lv_type(lv));
			continue;
		}
		if (asprintf(&name, "%s/%s", group->name, lv->name) < 0)
			return -ENOMEM;
		rc = export_start(serve, name, error);
	}
	return rc;
}

json_t *export_describe(const struct export *export)
{
	struct vhost_user_blk_status status;

	vhost_user_blk_server_status(export->server, &status);
	return json_pack("{s:o, s:o, s:I, s:b, s:i, s:I, s:I, s:I, s:I}", "name",
			 describe_text(export->name), "socket", describe_text(export->path),
			 "size_bytes", (json_int_t) export->block->size, "read_only",
			 export->block->read_only, "clients", (int)status.clients, "reads",
			 (json_int_t)status.requests.reads, "writes",
			 (json_int_t)status.requests.writes, "flushes",
			 (json_int_t)status.requests.flushes, "failed",
			 (json_int_t)status.requests.failed);
}
