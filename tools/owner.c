/* See owner.h. */
#include "tools/owner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rpc/rpc.h"
#include "tools/runtime.h"
#include "tools/stack.h"

struct owner_search {
	const struct device_list *paths; /* or, when it is empty: */
	const char *target;
	char *socket;
};

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

	for (unsigned i = 0; i < search->paths->count; i++)
		if (list_holds(json_object_get(server, "devices"), search->paths->paths[i]))
			return true;
	if (search->paths->count)
		return false;
	if (stack_names_array(search->target))
		return list_holds(json_object_get(server, "arrays"), search->target + 3);
	if (search->target[name]) {
		CLEANUP_FREE char *group = strndup(search->target, name);

		return group && list_holds(json_object_get(server, "groups"), group);
	}
	return list_holds(json_object_get(server, "groups"), search->target);
}

static int owner_ask(const char *path, void *arg)
{
	struct owner_search *search = arg;
	json_t *server = NULL;
	int rc = rpc_call(path, "server.describe", NULL, &server, NULL);

	/* The socket of a server that was killed: nobody listens there any more. */
	if (rc == -ECONNREFUSED)
		unlink(path);
	if (!rc && owner_matches(search, server))
		search->socket = strdup(path);
	json_decref(server);
	return search->socket != NULL;
}

int owner_find(const struct cli_words *given, const char *target, char **socket,
	       struct error *error)
{
	CLEANUP_DEVICES struct device_list paths = { 0 };
	struct owner_search search = { .paths = &paths, .target = target };
	struct stack *look = NULL;
	bool known;
	int rc = stack_look(&look, given, error);

	if (rc)
		return rc;
	known = look->node_count > 0;
	rc = stack_devices_of(look, target, &paths, error);
	stack_close(look, NULL);
	*socket = NULL;
	if (rc && (rc != -ENOENT || known))
		return rc == -ENOENT ? 0 : rc;
	runtime_each_socket("serve-", owner_ask, &search);
	*socket = search.socket;
	return 0;
}

int owner_call(const struct cli_words *given, const char *target, const char *method,
	       json_t *params, json_t **result, struct error *error)
{
	CLEANUP_FREE char *socket = NULL;
	int rc = owner_find(given, target, &socket, error);

	if (rc || !socket) {
		json_decref(params);
		return rc;
	}
	rc = rpc_call(socket, method, params, result, error);
	return rc ? rc : 1;
}
