/* SPDX-License-Identifier: BSD-2-Clause */
/* See served.h. */
#include "tools/served.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "fiber/fiber.h"
#include "rpc/rpc.h"
#include "tools/ask.h"
#include "tools/cli.h"
#include "tools/describe.h"
#include "tools/owner.h"
#include "tools/runtime.h"
#include "tools/stack.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"

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
		rc = ask_all(&ask, "serve-", "raid.list", ASK_LIST_NS);
	for (unsigned i = 0; !rc && i < ask.count; i++)
		for (unsigned k = 0; !rc && k < json_array_size(rows); k++)
			rc = take_row(rows, k, ask.answers[i].result, stack, given);
	return rc;
}

/* ---- Sockets ---- */

/* One server that is asked for all its exports. */
struct asking {
	const char *path;
	struct fiber *fiber;
	json_t *by_id;
};

static int note_path(const char *path, void *arg)
{
	cli_words_add(arg, cli_keep_text(path));
	return 0;
}

static int ask(void *arg)
{
	struct asking *asking = arg;
	json_int_t from = 0;
	bool more = true;

	while (more) {
		struct error error = { 0 };
		json_t *answer = NULL, *exports, *export;
		size_t index;
		int rc = rpc_call_within(asking->path, "server.exports",
					 json_pack("{s:I}", "from", from), EXPORTS_NS, &answer,
					 &error);

		if (rc == -ETIMEDOUT)
			cli_warn("%s", error.text);
		exports = json_object_get(answer, "exports");
		json_array_foreach(exports, index, export) {
			const char *id = json_string_value(json_object_get(export, "id"));

			if (id)
				json_object_set(asking->by_id, id, export);
		}
		from += (json_int_t)json_array_size(exports);
		more = !rc && json_array_size(exports) &&
		       json_is_true(json_object_get(answer, "more"));
		json_decref(answer);
	}
	return 0;
}

/* What nobody serves has no socket, and no problem with that either. */
static void add_to(json_t *row, json_t *by_id)
{
	const char *id = json_string_value(json_object_get(row, "serial"));
	json_t *export = id ? json_object_get(by_id, id) : NULL;
	json_t *serial = json_object_get(export, "serial");
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
}

int served_add(json_t *rows)
{
	struct cli_words paths = { 0 };
	CLEANUP_FREE struct asking *all = NULL;
	json_t *by_id = NULL, *row;
	size_t index;

	if (json_is_array(rows) && !json_array_size(rows))
		return 0;
	runtime_each_socket("serve-", note_path, &paths);
	all = calloc(paths.count + 1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	by_id = json_object();
	for (unsigned i = 0; i < paths.count; i++) {
		all[i] = (struct asking){ .path = paths.words[i], .by_id = by_id };
		all[i].fiber = fiber_spawn(ask, &all[i]);
	}
	for (unsigned i = 0; i < paths.count; i++)
		fiber_join(all[i].fiber);
	if (json_is_object(rows))
		add_to(rows, by_id);
	json_array_foreach(rows, index, row)
		add_to(row, by_id);
	json_decref(by_id);
	return 0;
}
