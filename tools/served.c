/* SPDX-License-Identifier: BSD-2-Clause */
/* See served.h. */
#include "tools/served.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fiber/fiber.h"
#include "rpc/rpc.h"
#include "tools/alone.h"
#include "tools/ask.h"
#include "tools/cli.h"
#include "tools/describe.h"
#include "tools/owner.h"
#include "tools/pieces.h"
#include "tools/runtime.h"
#include "tools/stack.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/process.h"

/* A listing does not wait long for what is only a part of it. */
#define EXPORTS_NS (3 * 1000000000ull)

/* ---- Arrays ---- */

/* Whether one of the devices that the server says it has the array on is one of ours. */
static bool same_devices(const struct stack *stack, unsigned index, json_t *theirs)
{
	for (unsigned i = 0; i < stack->node_count; i++) {
		const struct stack_node *node = &stack->nodes[i];
		json_t *shown, *device;
		size_t k;
		bool same = false;

		if (node->array != (int)index || !node->is_member)
			continue;
		shown = describe_text(node->name);
		json_array_foreach(theirs, k, device)
			same |= json_equal(shown, device);
		json_decref(shown);
		if (same)
			return true;
	}
	return false;
}

/* Who runs an array knows more of it than who looks at its disks: what `raid show` says of it, the list says too. */
static int take_row(json_t *rows, unsigned index, json_t *answer, const struct stack *stack,
		    const struct cli_words *given)
{
	json_t *own = json_array_get(rows, index), *theirs = NULL, *shown = NULL;
	const char *uuid = json_string_value(json_object_get(own, "uuid")), *key;
	CLEANUP_FREE char *target = NULL;
	json_t *value;
	size_t k;
	int rc = 0;

	json_array_foreach(answer, k, value)
		if (json_equal(json_object_get(value, "uuid"), json_object_get(own, "uuid")))
			theirs = value;
	if (!theirs || json_is_string(json_object_get(theirs, "problem")))
		return 0;
	if (!same_devices(stack, index, json_object_get(theirs, "member_devices"))) {
		struct error error = { 0 };

		if (asprintf(&target, "md/%s", uuid) < 0)
			return -ENOMEM;
		/* Another name of the same bytes, or a copy of it. */
		rc = owner_call(given, target, "raid.show", json_pack("{s:s}", "name", target),
				&shown, &error);
		if (rc <= 0)
			return rc == -ENOMEM ? rc : 0;
		theirs = shown;
	}
	json_object_foreach(own, key, value)
		if (json_object_get(theirs, key))
			json_object_set(own, key, json_object_get(theirs, key));
	json_decref(shown);
	return 0;
}

int served_arrays(json_t *rows, const struct stack *stack, const struct cli_words *given)
{
	CLEANUP(ask_free) struct ask ask = { 0 };
	int rc = 0;

	if (json_array_size(rows))
		rc = ask_own(&ask, "serve-", "raid.list", ASK_LIST_NS, NULL);
	for (unsigned i = 0; !rc && i < ask.count; i++)
		for (unsigned k = 0; !rc && k < json_array_size(rows); k++)
			rc = take_row(rows, k, ask.answers[i].result, stack, given);
	return rc;
}

/* ---- Sockets ---- */

/* One server that is asked for all its exports. */
struct asking {
	const char *path;
	const char *id; /* of the one that is asked for, or NULL */
	struct fiber *fiber;
	json_t *exports;
};

static int note_path(const char *path, void *arg)
{
	cli_words_add(arg, cli_keep_text(path));
	return 0;
}

static int ask(void *arg)
{
	struct asking *asking = arg;
	struct pieces pieces = { 0 };
	bool more = true;

	while (more) {
		struct error error = { 0 };
		json_t *answer = NULL, *exports;
		json_t *params = json_pack("{s:I}", "from", (json_int_t)pieces.from);
		size_t bytes;
		int rc;

		if (asking->id)
			json_object_set_new(params, "id", json_string(asking->id));
		rc = rpc_call_measured(asking->path, "server.exports", params, EXPORTS_NS, &answer,
				       &bytes, &error);
		if (rc == -ETIMEDOUT)
			cli_warn("%s", error.text);
		exports = json_object_get(answer, "exports");
		json_array_extend(asking->exports, exports);
		more = !asking->id && json_is_true(json_object_get(answer, "more")) &&
		       pieces_next(&pieces, json_array_size(exports), bytes);
		json_decref(answer);
		if (pieces.left)
			cli_warn("%s: it says that there is more than %zu disks", asking->path,
				 pieces.from);
	}
	return 0;
}

static int ask_exports(const char *id, json_t **out)
{
	CLEANUP_FREE struct asking *all = NULL;
	struct cli_words paths = { 0 };
	struct error why = { 0 };

	/* What lists say of disks is without who serves them then. */
	if (runtime_each_socket("serve-", note_path, &paths, &why))
		cli_warn("%s: servers are not seen", why.text);
	all = calloc(paths.count + 1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	*out = json_object();
	for (unsigned i = 0; i < paths.count; i++) {
		json_t *exports = json_array();

		json_object_set_new(*out, paths.words[i], exports);
		all[i] = (struct asking){ .path = paths.words[i], .id = id, .exports = exports };
		all[i].fiber = fiber_spawn(ask, &all[i]);
	}
	for (unsigned i = 0; i < paths.count; i++)
		fiber_join(all[i].fiber);
	return 0;
}

int served_exports(json_t **out)
{
	return ask_exports(NULL, out);
}

static int find_by_id(const char *only, json_t **out)
{
	json_t *servers, *exports, *export;
	const char *path;
	size_t index;
	int rc = ask_exports(only, &servers);

	if (rc)
		return rc;
	*out = json_object();
	json_object_foreach(servers, path, exports)
		json_array_foreach(exports, index, export) {
			const char *id = json_string_value(json_object_get(export, "id"));

			if (id)
				json_object_set(*out, id, export);
		}
	json_decref(servers);
	return 0;
}

static void set_in_use(json_t *row, const char *attributes)
{
	CLEANUP_FREE char *changed = strdup(attributes);

	if (!changed)
		return;
	describe_in_use(changed);
	json_object_set_new(row, "attributes", json_string(changed));
}

/* What nobody serves has no socket, and no problem with that either. */
static void add_to(json_t *row, json_t *by_id)
{
	const char *id = json_string_value(json_object_get(row, "serial"));
	json_t *export = id ? json_object_get(by_id, id) : NULL;
	json_t *serial = json_object_get(export, "serial");
	const char *attributes = json_string_value(json_object_get(row, "attributes"));
	static const struct {
		const char *key, *from;
	} members[] = { { "served", "socket" },
			{ "not_served", "problem" },
			{ "clients", "clients" } };

	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		json_t *value = json_object_get(export, members[i].from);

		json_object_set_new(row, members[i].key, value ? json_incref(value) : json_null());
	}
	if (json_is_string(serial))
		json_object_set(row, "serial", serial);
	if (attributes && json_is_string(json_object_get(export, "socket")))
		set_in_use(row, attributes);
}

int served_add(json_t *rows)
{
	json_t *by_id, *row;
	size_t index;
	int rc;

	if (json_is_array(rows) && !json_array_size(rows))
		return 0;
	rc = find_by_id(json_string_value(json_object_get(rows, "serial")), &by_id);
	if (rc)
		return rc;
	if (json_is_object(rows))
		add_to(rows, by_id);
	json_array_foreach(rows, index, row)
		add_to(row, by_id);
	json_decref(by_id);
	return 0;
}

/* ---- Who has a disk ---- */

/* "process 77 (qemu-system-x86_64 ...)" of those that are connected. */
static char *say_peers(json_t *export)
{
	json_t *peers = json_object_get(export, "peers"), *peer;
	char *text = NULL, who[PROCESS_TEXT];
	size_t length, index;
	FILE *out = open_memstream(&text, &length);

	if (!out)
		return NULL;
	json_array_foreach(peers, index, peer) {
		pid_t pid = (pid_t)json_integer_value(json_object_get(peer, "pid"));

		fprintf(out, "%s%s", index ? ", " : "", process_describe(pid, who));
	}
	return fclose(out) ? NULL : text;
}

static void say_busy(json_t *export, const char *what, struct error *error)
{
	CLEANUP_FREE char *who = say_peers(export);
	const char *id = json_string_value(json_object_get(export, "id"));
	char kept[PROCESS_TEXT] = "another process";
	pid_t process;

	if (json_is_true(json_object_get(export, "read_only")))
		return;
	if (json_array_size(json_object_get(export, "peers"))) {
		error_set(error, -EBUSY, "%s: one at a time can have it, and %s has it", what,
			  who && *who ? who : "another process");
		error_advise(error, "end that, or shut it down, first");
	} else if (id && alone_is_taken(id, &process)) {
		if (process)
			process_describe(process, kept);
		error_set(error, -EBUSY,
			  "%s: it is kept for %s, which had it before its server "
			  "was started anew",
			  what, kept);
		error_advise(error, "end that first, or wait until it has done what it does");
	}
}

/* Of the ports of our switches. `real` is the socket's path. */
static int explain_port(const char *real, const char *what, struct error *error)
{
	CLEANUP(ask_free) struct ask switches = { 0 };
	int rc = ask_own(&switches, "switch-", "switch.show", ASK_LIST_NS, NULL);

	for (unsigned i = 0; !rc && i < switches.count; i++) {
		json_t *port;
		size_t index;

		json_array_foreach(json_object_get(switches.answers[i].result, "ports"), index,
				   port) {
			const char *where = json_string_value(json_object_get(port, "where"));
			CLEANUP_FREE char *theirs = where ? realpath(where, NULL) : NULL;

			if (theirs && !strcmp(real, theirs))
				say_busy(port, what, error);
		}
	}
	return rc;
}

static int explain(const char *socket, const char *what, struct error *error)
{
	CLEANUP_FREE char *real = realpath(socket, NULL);
	json_t *servers, *exports, *export;
	const char *path;
	size_t index;
	int rc = served_exports(&servers);

	if (rc)
		return rc;
	json_object_foreach(servers, path, exports)
		json_array_foreach(exports, index, export) {
			const char *of = json_string_value(json_object_get(export, "socket"));
			CLEANUP_FREE char *theirs = of ? realpath(of, NULL) : NULL;

			if (real && theirs && !strcmp(real, theirs))
				say_busy(export, what, error);
		}
	json_decref(servers);
	return real ? explain_port(real, what, error) : 0;
}

struct explaining {
	const char *socket, *what;
	struct error *error;
};

static int explain_fiber(void *arg)
{
	struct explaining *explaining = arg;

	return explain(explaining->socket, explaining->what, explaining->error);
}

void served_explain(const char *socket, const char *what, struct error *error)
{
	struct explaining explaining = { socket, what, error };
	struct worker *worker;

	if (fiber_current()) {
		explain(socket, what, error);
	} else if (!worker_create(&worker, NULL, NULL)) {
		worker_run(worker, explain_fiber, &explaining);
		worker_destroy(worker);
	}
}
