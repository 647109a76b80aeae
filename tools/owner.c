/* SPDX-License-Identifier: BSD-2-Clause */
/* See owner.h. */
#include "tools/owner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rpc/rpc.h"
#include "tools/ask.h"
#include "tools/device_look.h"
#include "tools/stack.h"
#include "util/error.h"
#include "util/process.h"
#include "util/text.h"

/* A server says what it has from memory. */
#define DESCRIBE_NS (5 * 1000000000ull)

struct owner_search {
	const struct device_list *paths; /* or, when it is empty: */
	const char *target;
	struct device_look *looks; /* at `paths`, once they were needed */
};

/* Aside, as a file system may hang on which they lie. */
static int owner_look(struct owner_search *search)
{
	unsigned count = search->paths->count;
	int rc;

	if (search->looks)
		return 0;
	search->looks = calloc(count + 1, sizeof(*search->looks));
	rc = search->looks ? devices_look(search->paths->paths, count, search->looks) : -ENOMEM;
	/* Nothing is left in them to be freed. */
	if (rc)
		free(steal_pointer(&search->looks));
	return rc;
}

static void owner_search_end(struct owner_search *search)
{
	if (search->looks)
		devices_look_free(search->looks, search->paths->count);
	free(search->looks);
}

static bool list_holds(json_t *list, const char *word)
{
	size_t index;
	json_t *value;

	json_array_foreach(list, index, value) {
		if (json_is_string(value) && !strcmp(json_string_value(value), word))
			return true;
	}
	return false;
}

static bool owner_matches(const struct owner_search *search, json_t *server)
{
	size_t name = strcspn(search->target, "/");

	/* A server says names and paths as people see them. */
	for (unsigned i = 0; i < search->paths->count; i++) {
		CLEANUP_FREE char *path = text_cleaned(search->paths->paths[i], NULL);

		if (path &&
		    (list_holds(json_object_get(server, "devices"), path) ||
		     list_holds(json_object_get(server, "devices"), search->paths->paths[i])))
			return true;
	}
	if (search->paths->count)
		return false;
	if (stack_names_array(search->target)) {
		CLEANUP_FREE char *word = text_name(search->target + 3);

		return list_holds(json_object_get(server, "arrays"), search->target + 3) ||
		       (word && list_holds(json_object_get(server, "arrays"), word));
	}
	if (search->target[name]) {
		CLEANUP_FREE char *group = strndup(search->target, name);

		return group && list_holds(json_object_get(server, "groups"), group);
	}
	return list_holds(json_object_get(server, "groups"), search->target);
}

/* ---- Which of them it is ---- */

/* Whether the process may have that open: it has, or what it has cannot be seen. */
static bool owner_may_have_part(pid_t pid, const struct block_part *part)
{
	const struct stat status = {
		.st_mode = part->is_file ? S_IFREG : S_IFBLK,
		.st_dev = part->is_file ? part->device : 0,
		.st_ino = part->inode,
		.st_rdev = part->is_file ? 0 : part->device,
	};

	return process_has_open(pid, &status) != 0;
}

/* The same of what is at the bottom of one of ours. */
static bool owner_may_have_bottom(pid_t pid, const struct owner_search *search)
{
	bool may = false;

	for (unsigned i = 0; !may && i < search->paths->count; i++) {
		const struct block_part *bottom = block_identity_bottom(&search->looks[i].identity);

		may = bottom && owner_may_have_part(pid, bottom);
	}
	return may;
}

static int owner_compare(json_t *devices, const struct owner_search *search, bool *same)
{
	unsigned others = (unsigned)json_array_size(devices);
	CLEANUP_FREE struct device_look *looks = calloc(others + 1, sizeof(*looks));
	CLEANUP_FREE char **paths = calloc(others + 1, sizeof(char *));
	unsigned used = 0;
	int rc;

	if (!looks || !paths)
		return -ENOMEM;
	for (unsigned i = 0; i < others; i++)
		if (json_is_string(json_array_get(devices, i)))
			paths[used++] = (char *)json_string_value(json_array_get(devices, i));
	rc = devices_look(paths, used, looks);
	for (unsigned i = 0; !rc && i < used; i++)
		for (unsigned k = 0; k < search->paths->count; k++)
			*same |=
				block_identity_same(&looks[i].identity, &search->looks[k].identity);
	if (!rc)
		devices_look_free(looks, used);
	return rc;
}

/* A server may have the same bytes under another name: a file of which we have the loop device. Its devices are
 * looked at only where it may have open what is at the bottom of one of ours. */
static int owner_by_identity(struct owner_search *search, const struct ask *asked, char **socket)
{
	int rc = owner_look(search);

	for (unsigned i = 0; !rc && !*socket && i < asked->count; i++) {
		const struct ask_answer *answer = &asked->answers[i];
		bool same = false;

		if (answer->rc || !answer->pid || !owner_may_have_bottom(answer->pid, search))
			continue;
		rc = owner_compare(json_object_get(answer->result, "devices"), search, &same);
		if (same && !(*socket = strdup(answer->path)))
			rc = -ENOMEM;
	}
	return rc;
}

/* Whether a server that does not answer has one of the devices; where none are known, or one does not answer
 * either, it may. */
static int owner_may_have(struct owner_search *search, const struct ask_answer *answer, bool *may)
{
	pid_t pid = answer->pid;
	int rc = 0;

	*may = !search->paths->count || !pid;
	if (!*may)
		rc = owner_look(search);
	for (unsigned i = 0; !rc && !*may && i < search->paths->count; i++) {
		const struct device_look *look = &search->looks[i];

		*may = look->silent || look->failed ||
		       (look->identity.count && owner_may_have_part(pid, &look->identity.parts[0]));
	}
	return rc;
}

static int owner_say_unseen(const struct owner_search *search, int rc, struct error *error)
{
	return rc ? error_set(error, rc, "%s: which server has it cannot be seen: %s",
			      search->target, error_name(rc))
		  : 0;
}

static int owner_choose(struct owner_search *search, const struct ask *asked, char **socket,
			struct error *error)
{
	const struct ask_answer *silent = NULL;

	for (unsigned i = 0; i < asked->count; i++) {
		const struct ask_answer *answer = &asked->answers[i];
		bool may = false;
		int rc = 0;

		if (!answer->rc && owner_matches(search, answer->result)) {
			*socket = strdup(answer->path);
			return *socket ? 0 : -ENOMEM;
		}
		if (answer->rc == -ETIMEDOUT || answer->rc == -EBUSY)
			rc = owner_may_have(search, answer, &may);
		if (rc)
			return owner_say_unseen(search, rc, error);
		if (may)
			silent = answer;
	}
	if (!silent)
		return search->paths->count && asked->count
			       ? owner_say_unseen(search, owner_by_identity(search, asked, socket),
						  error)
			       : 0;
	if (error)
		*error = silent->error;
	error_prefix(error, "%s", search->target);
	return silent->rc;
}

/* ---- Without a look ---- */

static bool has_silent(const struct ask *asked)
{
	bool silent = false;

	for (unsigned i = 0; i < asked->count; i++)
		silent |= asked->answers[i].rc == -ETIMEDOUT || asked->answers[i].rc == -EBUSY;
	return silent;
}

static bool says_group(const struct ask_answer *answer, const char *target)
{
	CLEANUP_FREE char *group = strndup(target, strcspn(target, "/"));

	return !answer->rc && group && list_holds(json_object_get(answer->result, "groups"), group);
}

/* Takes the devices of a server out of the list. False: not all of them are in it. */
static bool take_out(struct device_list *devices, json_t *owned)
{
	unsigned before = devices->count;

	for (unsigned i = devices->count; i-- > 0;) {
		CLEANUP_FREE char *path = text_cleaned(devices->paths[i], NULL);

		if (path && list_holds(owned, path))
			device_list_remove(devices, devices->paths[i]);
	}
	return before - devices->count == json_array_size(owned) && before > devices->count;
}

/* That none of these, which the server has not, has a group of that name; as far as it can be told. */
static bool is_not_on(const struct device_list *devices, const char *target)
{
	const struct stack_options options = { .pvs_only = true };
	CLEANUP_FREE char *group = strndup(target, strcspn(target, "/"));
	CLEANUP_STACK struct stack *stack = NULL;
	struct volume_group *found;

	if (!devices->count)
		return true;
	return group && !stack_open(&stack, devices, &options, NULL) &&
	       !stack_problems(stack, NULL, NULL) &&
	       volume_scan_find(stack->scan, group, &found, NULL) == -ENOENT;
}

/*
 * A server says what it has from memory; so where it says that it has the group, and all its devices are among those that the user
 * means, these need not be looked at. Whatever is not as plain as that is left to the look: *socket stays NULL.
 */
static int owner_find_at_once(const struct cli_words *given, const char *target,
			      const struct ask *asked, char **socket)
{
	CLEANUP_DEVICES struct device_list devices = { 0 };
	const struct ask_answer *has = NULL;

	if (stack_names_array(target) || has_silent(asked))
		return 0;
	for (unsigned i = 0; i < asked->count; i++) {
		bool says = says_group(&asked->answers[i], target);

		if (says && has)
			return 0;
		if (says)
			has = &asked->answers[i];
	}
	if (!has || device_list_collect(&devices, given, NULL) ||
	    !take_out(&devices, json_object_get(has->result, "devices")) ||
	    !is_not_on(&devices, target))
		return 0;
	*socket = strdup(has->path);
	return *socket ? 0 : -ENOMEM;
}

int owner_find_look(const struct cli_words *given, const char *target, bool volumes, char **socket,
		    struct stack **look, struct error *error)
{
	CLEANUP_DEVICES struct device_list paths = { 0 };
	CLEANUP(ask_free) struct ask asked = { 0 };
	CLEANUP(owner_search_end)
	struct owner_search search = { .paths = &paths, .target = target };
	bool known;
	int rc;

	*socket = NULL;
	*look = NULL;
	rc = ask_own(&asked, "serve-", "server.describe", DESCRIBE_NS, error);
	if (!rc)
		rc = owner_find_at_once(given, target, &asked, socket);
	if (rc || *socket)
		return rc;
	rc = volumes ? stack_look(look, given, error) : stack_look_below(look, given, error);
	if (rc)
		return rc;
	/* Since then one may have come, or gone; who was silent would be waited for once more. */
	if (!has_silent(&asked)) {
		ask_free(&asked);
		rc = ask_own(&asked, "serve-", "server.describe", DESCRIBE_NS, error);
	}
	if (rc || !asked.count)
		return rc;
	known = (*look)->node_count > 0;
	rc = stack_devices_of(*look, target, &paths, error);
	if (rc && (rc != -ENOENT || known))
		return rc == -ENOENT ? 0 : rc;
	return owner_choose(&search, &asked, socket, error);
}

int owner_find(const struct cli_words *given, const char *target, char **socket,
	       struct error *error)
{
	struct stack *look;
	int rc = owner_find_look(given, target, false, socket, &look, error);

	stack_close(look, NULL);
	return rc;
}

bool owner_has_ended(int rc, const char *socket)
{
	return rc == -ECONNREFUSED || (rc == -ENOENT && access(socket, F_OK));
}

int owner_call(const struct cli_words *given, const char *target, const char *method,
	       json_t *params, json_t **result, struct error *error)
{
	bool ended;
	int rc;

	do {
		CLEANUP_FREE char *socket = NULL;

		ended = false;
		rc = owner_find(given, target, &socket, error);
		if (rc || !socket)
			break;
		rc = rpc_call(socket, method, json_incref(params), result, error);
		ended = rc && owner_has_ended(rc, socket);
		rc = rc ? rc : 1;
	} while (ended);
	json_decref(params);
	return rc;
}
