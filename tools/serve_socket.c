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
#define BATCH    64 /* exports that a home opens, or tells of, in one call */

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

static int open_volume(struct opening *opening, bool writable, struct block **out)
{
	const struct export *export = opening->export;
	const struct volume_lv *lv = export->lv;

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

/* ---- Asking ---- */

/* One that is asked about, and the answer. */
struct question {
	json_t *object; /* what is known of it here; borrowed */
	const struct block *block;
	const struct vhost_user_blk_server *server, *beside;
	uint64_t size;
	bool read_only;
	unsigned machines; /* clients of the socket that machines know */
	struct vhost_user_blk_status status;
};

/* Exports of one home: after a call to another, they may not be there any more. */
struct questions {
	const struct serve_home *home;
	struct question *all; /* has room for what is asked */
	unsigned count;
};

static void add_question(struct questions *questions, const struct export *export, json_t *object)
{
	if (!export->server)
		return;
	questions->home = export->home;
	questions->all[questions->count++] = (struct question){ .object = object,
								.block = export->block,
								.server = export->server,
								.beside = export->beside };
}

/* Who uses it on this host is one who uses it. */
static void add_beside(struct question *question)
{
	struct vhost_user_blk_status *sum = &question->status, more;
	unsigned known = 0;

	vhost_user_blk_server_status(question->beside, &more);
	while (known < VHOST_USER_BLK_PEERS && sum->peers[known])
		known++;
	for (unsigned i = 0; i < VHOST_USER_BLK_PEERS && more.peers[i]; i++)
		if (known < VHOST_USER_BLK_PEERS)
			sum->peers[known++] = more.peers[i];
	sum->clients += more.clients;
	sum->in_flight += more.in_flight;
	sum->pinned_bytes += more.pinned_bytes;
	sum->requests.reads += more.requests.reads;
	sum->requests.writes += more.requests.writes;
	sum->requests.flushes += more.requests.flushes;
	sum->requests.read_bytes += more.requests.read_bytes;
	sum->requests.written_bytes += more.requests.written_bytes;
	sum->requests.failed += more.requests.failed;
}

/* Must not suspend: see serve_call(). */
static int answer(void *arg)
{
	struct questions *questions = arg;

	for (unsigned i = 0; i < questions->count; i++) {
		struct question *question = &questions->all[i];

		question->size = question->block->size;
		question->read_only = question->block->read_only;
		vhost_user_blk_server_status(question->server, &question->status);
		question->machines = question->status.clients;
		if (question->beside)
			add_beside(question);
	}
	return 0;
}

static void ask(struct questions *questions)
{
	if (questions->count)
		serve_call(questions->home, answer, questions);
}

unsigned export_clients(const struct export *export)
{
	struct question question = { 0 };
	struct questions questions = { .all = &question };

	add_question(&questions, export, NULL);
	ask(&questions);
	return question.status.clients;
}

unsigned export_machines(const struct export *export, json_t *peers)
{
	struct question question = { 0 };
	struct questions questions = { .all = &question };

	add_question(&questions, export, NULL);
	ask(&questions);
	for (unsigned i = 0; i < MIN(question.machines, VHOST_USER_BLK_PEERS); i++)
		if (question.status.peers[i])
			json_array_append_new(peers,
					      json_integer((json_int_t)question.status.peers[i]));
	return question.machines;
}

static json_t *describe(const struct export *export)
{
	/* Of one that is not served the rest is null; complete() says it of the others. */
	return json_pack("{s:o, s:s, s:o, s:o, s:o, s:[], s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:n, "
			 "s:n, s:n, s:n}",
			 "name", describe_text(export->name), "id", export->id, "serial",
			 describe_text(export->serial), "socket",
			 describe_path(export->server ? export->path : NULL), "problem",
			 describe_text(export->problem), "peers", "in_flight", "size_bytes",
			 "read_only", "clients", "reads", "writes", "flushes", "read_bytes",
			 "written_bytes", "pinned_bytes", "failed_requests");
}

static void complete(const struct question *question)
{
	const struct virtio_blk_counters *requests = &question->status.requests;

	json_t *peers = json_array();

	for (unsigned i = 0; i < VHOST_USER_BLK_PEERS && question->status.peers[i]; i++)
		json_array_append_new(peers, describe_process(question->status.peers[i]));
	json_object_update_new(
		question->object,
		json_pack("{s:o, s:i, s:I, s:b, s:i, s:I, s:I, s:I, s:I, s:I, s:I}", "peers", peers,
			  "in_flight", (int)question->status.in_flight, "size_bytes",
			  (json_int_t)question->size, "read_only", question->read_only, "clients",
			  (int)question->status.clients, "reads", (json_int_t)requests->reads,
			  "writes", (json_int_t)requests->writes, "pinned_bytes",
			  (json_int_t)question->status.pinned_bytes, "flushes",
			  (json_int_t)requests->flushes, "read_bytes",
			  (json_int_t)requests->read_bytes, "written_bytes",
			  (json_int_t)requests->written_bytes, "failed_requests",
			  (json_int_t)requests->failed));
}

/* The next ones of one home, from number `from` on. Returns how many. */
static size_t describe_batch(const struct serve *serve, size_t from, size_t most, json_t *list,
			     struct questions *questions)
{
	const struct serve_home *home = NULL;
	size_t index = 0, count = 0;

	questions->count = 0;
	list_for_each(at, &serve->exports) {
		const struct export *export = list_entry(at, struct export, node);

		if (index++ < from)
			continue;
		if (count == MIN(most, (size_t)BATCH) || (home && export->home != home))
			break;
		home = export->home;
		json_array_append_new(list, describe(export));
		add_question(questions, export, json_array_get(list, json_array_size(list) - 1));
		count++;
	}
	ask(questions);
	for (unsigned i = 0; i < questions->count; i++)
		complete(&questions->all[i]);
	return count;
}

/* Of what no home is to be asked. */
static void describe_briefly(const struct serve *serve, const struct export_choice *choice,
			     json_t *list)
{
	size_t index = 0;

	list_for_each(at, &serve->exports) {
		const struct export *export = list_entry(at, struct export, node);

		if (index++ < choice->from)
			continue;
		if (json_array_size(list) == choice->most)
			return;
		json_array_append_new(list,
				      json_pack("{s:s, s:o, s:o, s:o}", "id", export->id, "serial",
						describe_text(export->serial), "socket",
						describe_path(export->server ? export->path : NULL),
						"problem", describe_text(export->problem)));
	}
}

static size_t number_of(const struct serve *serve, const char *id)
{
	size_t index = 0;

	list_for_each(at, &serve->exports) {
		if (!strcmp(list_entry(at, struct export, node)->id, id))
			break;
		index++;
	}
	return index;
}

int export_describe(const struct serve *serve, const struct export_choice *choice, json_t *list)
{
	CLEANUP_FREE struct question *all = calloc(BATCH, sizeof(*all));
	struct questions questions = { .all = all };
	size_t from = choice->id ? number_of(serve, choice->id) : choice->from;
	size_t most = choice->id ? 1 : choice->most, done = 0, count = 1;

	if (!all)
		return -ENOMEM;
	if (choice->brief && !choice->id)
		describe_briefly(serve, choice, list);
	else
		for (; count && done < most; done += count)
			count = describe_batch(serve, from + done, most - done, list, &questions);
	return 0;
}
