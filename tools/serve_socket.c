/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sockets of a storage server: bound by the control worker, for a file system takes its time; opened, asked and closed at
 * home, on its behalf; see serve.h.
 *
 * What is at home of an export (`block`, `server`) is taken out of it before its home is told to close that: who
 * asks about it from then on finds none, and who has asked before has asked first (serve_call()).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "tools/alone.h"
#include "tools/describe.h"
#include "tools/limits.h"
#include "tools/serve.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/unix_socket.h"
#include "virtio/vhost_user_blk.h"
#include "volume/volume_raid.h"

#define STOPPERS 16
#define BATCH    64 /* exports that a home opens in one call */

/* ---- Opening ---- */

/* One that is opened; its home fills in what comes last. */
struct opening {
	struct serve *serve;
	struct export *export;
	struct unix_listener listener;
	struct block_limits limits;
	struct block *block;
	struct vhost_user_blk_server *server;
	struct error error;
	int rc;
};

struct openings {
	struct opening all[BATCH];
	unsigned count;
};

/* What is flushed to a volume is not to go with a change of its group that a process before left unknown. */
static void settle_group(struct serve *serve, struct serve_home *home, struct volume_group *group)
{
	struct error why = { 0 };

	if (home->unsettled == group || !volume_group_settle(group, &why))
		return;
	home->unsettled = group;
	log_warning(
		&serve->log,
		"volume group %s: its metadata cannot be written anew: should a change before "
		"have failed, a cut of power may undo it, and what is written meanwhile with it: "
		"%s",
		group->name, why.text);
}

/* A reshape that is committed and has not begun does, as device-mapper's would when it is activated; where images are lost somebody has to ask for it. */
static void begin_reshape(const struct opening *opening)
{
	const struct export *export = opening->export;
	struct error why = { 0 };

	if (!volume_lv_is_to_begin(export->lv) || export->lv->partial || !export->lv->writable)
		return;
	if (volume_lv_begin(export->group, export->lv->name, &why))
		log_warning(&opening->serve->log,
			    "%s: a reshape of it was to begin, and does not: %s", export->name,
			    why.text);
	else
		log_warning(&opening->serve->log,
			    "%s: a reshape of it was to begin when the power went, or who began "
			    "it was ended: it goes on",
			    export->name);
}

static int open_volume(struct opening *opening, bool writable, struct block **out)
{
	const struct export *export = opening->export;
	const struct volume_lv *lv = export->lv;

	if (writable)
		begin_reshape(opening);
	/* A volume that is marked read-only is served so, and one of a type that is not written to. */
	writable = writable && lv->writable && !volume_lv_reads_only(lv);
	if (writable)
		settle_group(opening->serve, export->home, export->group);
	/* Its images become alike meanwhile, and those that are lost are repaired; machines write nothing. */
	if (!writable && !opening->serve->read_only && volume_lv_is_raid(lv) &&
	    !volume_open_for_upkeep(export->group, lv->name, out, NULL))
		return 0;
	return volume_open_lv(export->group, lv->name, writable, out, &opening->error);
}

static int open_block(struct opening *opening)
{
	CLEANUP_BLOCK struct block *served = NULL;
	const struct export *export = opening->export;
	bool writable = !opening->serve->read_only;
	int rc = export->group ? open_volume(opening, writable, &served)
			       : stack_open_block(export->home->stack, export->name, writable,
						  &served, &opening->error);

	if (!rc)
		rc = block_create_limit(&opening->block, served->name, served, &opening->limits,
					&opening->error);
	if (!rc && export->group && !export->lv->writable)
		opening->block->read_only = true;
	return rc;
}

/* An export is there longer than its socket, and its id does not change. */
static bool is_kept(void *arg, pid_t *process)
{
	const struct export *export = arg;

	return alone_is_taken(export->id, process);
}

static void open_one(struct opening *opening)
{
	struct serve *serve = opening->serve;
	const struct export *export = opening->export;
	struct vhost_user_blk_options options = { .serial = export->serial,
						  .queue_count = (uint16_t)serve->queues,
						  .log = &serve->log,
						  .pin_memory = serve->pin_memory,
						  .workers = serve->queue_workers,
						  .worker_count = serve->home_count,
						  .listener = &opening->listener,
						  .kept = is_kept,
						  .kept_arg = opening->export,
						  .acceptor = export->home->acceptor };

	if (!opening->rc)
		opening->rc = open_block(opening);
	if (!opening->rc)
		opening->rc = vhost_user_blk_server_start(&opening->server, opening->block,
							  export->path, &options, &opening->error);
	if (!opening->rc)
		return;
	opening->server = NULL;
	block_unref(steal_pointer(&opening->block));
}

static int open_some(void *arg)
{
	struct openings *openings = arg;

	for (unsigned i = 0; i < openings->count; i++) {
		open_one(&openings->all[i]);
		fiber_yield();
	}
	return 0;
}

static void bind_one(struct opening *opening)
{
	opening->rc = unix_listen_for(&opening->listener, opening->export->path,
				      &opening->serve->sockets.access, &opening->error);
	if (opening->rc)
		opening->listener = (struct unix_listener){ .fd = -1 };
}

static void take_opened(struct opening *opening)
{
	struct serve *serve = opening->serve;
	struct export *export = opening->export;

	unix_listener_close(&opening->listener); /* that no server has taken */
	if (opening->rc) {
		export->lv = NULL;
		export_refuse_for(serve, export, &opening->error, opening->rc);
		return;
	}
	export->block = opening->block;
	export->server = opening->server;
	serve->served++;
	log_info(&serve->log, "%s: %s", export->path, export->name);
}

static void open_these(struct serve_home *home, struct openings *openings)
{
	for (unsigned i = 0; i < openings->count; i++)
		bind_one(&openings->all[i]);
	serve_call(home, open_some, openings);
	for (unsigned i = 0; i < openings->count; i++)
		take_opened(&openings->all[i]);
}

static bool is_to_be_opened(const struct export *export)
{
	return !export->server && !export->problem;
}

static struct opening opening_of(struct serve *serve, struct export *export)
{
	return (struct opening){ .serve = serve,
				 .export = export,
				 .limits = serve_limits_of(serve, export) };
}

/* The next ones of one home; false: there are no more. */
static bool open_batch(struct serve *serve, struct serve_home *home, struct openings *openings)
{
	openings->count = 0;
	list_for_each(at, &serve->exports) {
		struct export *export = list_entry(at, struct export, node);

		if (export->home != home || !is_to_be_opened(export))
			continue;
		openings->all[openings->count++] = opening_of(serve, export);
		if (openings->count == BATCH)
			break;
	}
	if (!openings->count)
		return false;
	open_these(home, openings);
	return true;
}

int export_open(struct serve *serve, struct export *export)
{
	CLEANUP_FREE struct openings *openings = malloc(sizeof(*openings));

	if (!openings)
		return -ENOMEM;
	openings->count = is_to_be_opened(export);
	openings->all[0] = opening_of(serve, export);
	if (openings->count)
		open_these(export->home, openings);
	return 0;
}

int export_open_all(struct serve *serve)
{
	CLEANUP_FREE struct openings *openings = malloc(sizeof(*openings));

	if (!openings)
		return -ENOMEM;
	for (unsigned i = 0; i < serve->home_count; i++)
		while (open_batch(serve, &serve->homes[i], openings))
			;
	return 0;
}

/* ---- Closing ---- */

struct closing {
	struct block *block;
	struct vhost_user_blk_server *server, *beside;
};

static int close_one(void *arg)
{
	struct closing *closing = arg;

	vhost_user_blk_server_stop(closing->beside);
	vhost_user_blk_server_stop(closing->server);
	block_unref(closing->block);
	return 0;
}

void export_stop(struct serve *serve, struct export *export)
{
	struct closing closing;

	closing.block = steal_pointer(&export->block);
	closing.server = steal_pointer(&export->server);
	closing.beside = steal_pointer(&export->beside);
	if (closing.server) {
		serve->served--;
		serve_call(export->home, close_one, &closing);
	}
	export_forget(serve, export);
}

struct stopping {
	struct serve *serve;
	const struct serve_home *home;
};

/* The next one of a home that is not being closed yet, or NULL. */
static struct export *next_of(const struct stopping *stopping)
{
	list_for_each(at, &stopping->serve->exports) {
		struct export *export = list_entry(at, struct export, node);

		if (export->home == stopping->home)
			return export;
	}
	return NULL;
}

/* One of those that close what is left, so that a disk that does not answer holds up only its own. */
static int stop_some(void *arg)
{
	const struct stopping *stopping = arg;
	struct export *export;

	while ((export = next_of(stopping))) {
		list_remove(&export->node);
		list_add_tail(&stopping->serve->stopping, &export->node);
		export_stop(stopping->serve, export);
	}
	return 0;
}

void export_stop_all(struct serve *serve, const struct serve_home *home)
{
	struct stopping stopping = { serve, home };
	struct fiber *fibers[STOPPERS];

	for (unsigned i = 0; i < STOPPERS; i++)
		fibers[i] = fiber_spawn(stop_some, &stopping);
	for (unsigned i = 0; i < STOPPERS; i++)
		fiber_join(fibers[i]);
}
