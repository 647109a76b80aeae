/* SPDX-License-Identifier: BSD-2-Clause */
/* What a server says of its exports: all that is known, for which their homes are asked, or where they are in a line each. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "tools/describe.h"
#include "tools/serve.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/text.h"
#include "virtio/vhost_user_blk.h"

#define BATCH      64           /* exports that a home is asked about at once */
#define LINES_MOST (512l << 10) /* bytes of one answer, about */

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
		json_pack("{s:o, s:i, s:I, s:b, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "peers",
			  peers, "in_flight", (int)question->status.in_flight, "size_bytes",
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

/* How long those from number `from` on are as text. */
static size_t bytes_of(const json_t *list, size_t from)
{
	size_t bytes = 0;

	for (size_t i = from; i < json_array_size(list); i++)
		bytes += json_dumpb(json_array_get(list, i), NULL, 0, JSON_COMPACT);
	return bytes;
}

int export_describe(const struct serve *serve, const struct export_choice *choice, json_t *list,
		    bool *more)
{
	CLEANUP_FREE struct question *all = calloc(BATCH, sizeof(*all));
	struct questions questions = { .all = all };
	size_t from = choice->id ? number_of(serve, choice->id) : choice->from;
	size_t most = choice->id ? 1 : choice->most, done = 0, count = 1, bytes = 0;

	*more = true;
	if (!all)
		return -ENOMEM;
	for (; count && done < most && bytes < choice->bytes; done += count) {
		size_t before = json_array_size(list);

		count = describe_batch(serve, from + done, most - done, list, &questions);
		bytes += bytes_of(list, before);
	}
	*more = count && !choice->id;
	return 0;
}

/* ---- In few words ---- */

static void put_line(FILE *to, const struct export *export)
{
	const char *what = export->server ? export->path : export->problem;
	char clean[1024]; /* a line must stay one */

	text_clean(clean, sizeof(clean), what ? what : "");
	fprintf(to, "%s %s %c %s\n", export->uuids[0] ? export->uuids : "-", export->id,
		export->server ? '+' : '-', clean);
}

json_t *export_lines(const struct serve *serve, size_t from, size_t *count)
{
	CLEANUP_FREE char *lines = NULL;
	size_t index = 0, size = 0;
	FILE *to = open_memstream(&lines, &size);

	*count = 0;
	if (!to)
		return NULL;
	list_for_each(at, &serve->exports) {
		if (index++ < from)
			continue;
		if (ftell(to) > LINES_MOST)
			break;
		put_line(to, list_entry(at, struct export, node));
		(*count)++;
	}
	return fclose(to) ? NULL : json_stringn(lines, size);
}
