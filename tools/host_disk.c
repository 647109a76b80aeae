/* SPDX-License-Identifier: BSD-2-Clause */
/* Finding disks that running servers serve, and connecting to them; see host_disk.h. */
#include "tools/host_disk.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/block.h"
#include "rpc/rpc.h"
#include "tools/alone.h"
#include "tools/pieces.h"
#include "tools/runtime.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/process.h"
#include "virtio/vhost_user_blk_client.h"

#define ASK_NS (5 * 1000000000ull)
#define QUEUES 1u

/* A server sees that a client has gone when it comes to it. */
#define LEAVING_NS      5000000000ull
#define LEAVING_STEP_NS 20000000ull

/* ---- Servers ---- */

struct servers {
	char **paths;
	unsigned count;
};

static int note_server(const char *path, void *arg)
{
	struct servers *servers = arg;
	char **grown = realloc(servers->paths, (servers->count + 1) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	servers->paths = grown;
	grown[servers->count] = strdup(path);
	return grown[servers->count] ? (servers->count++, 0) : -ENOMEM;
}

static void servers_free(struct servers *servers)
{
	while (servers->count)
		free(servers->paths[--servers->count]);
	free(servers->paths);
}

/* One that is stopped answers nobody until somebody has it continue: it is not waited for. */
static int check_runs(const char *path, struct error *error)
{
	pid_t pid = runtime_pid_of(path);

	if (!pid || !process_is_stopped(pid))
		return 0;
	error_set(error, -ETIMEDOUT, "process %d, a server, is stopped", (int)pid);
	return error_advise(error, "`kill -CONT %d` lets it go on", (int)pid);
}

static int ask_measured(const char *path, const char *method, json_t *params, json_t **answer,
			size_t *bytes, struct error *error)
{
	int rc = check_runs(path, error);

	if (rc)
		json_decref(params);
	return rc ? -ETIMEDOUT
		  : rpc_call_measured(path, method, params, ASK_NS, answer, bytes, error);
}

static int ask(const char *path, const char *method, json_t *params, json_t **answer,
	       struct error *error)
{
	size_t bytes;

	return ask_measured(path, method, params, answer, &bytes, error);
}

/* ---- Finding one ---- */

/* What a server says of a disk that it serves. */
struct found {
	char *control, *socket, *lease;
	char id[32];
	int machines;
	pid_t machine;  /* the process of the first; 0: not known */
	unsigned count; /* servers that have it */
};

static void found_free(struct found *found)
{
	free(found->control);
	free(found->socket);
	free(found->lease);
}

static int ask_server(const struct host_disk *disk, const char *path, const char *id,
		      struct found *found, struct error *error)
{
	json_t *answer = NULL;
	const char *socket, *its, *lease;
	int rc = ask(path, "export.attach",
		     json_pack("{s:s, s:b}", "name", disk->name, "shared", disk->shared), &answer,
		     error);

	if (rc)
		return rc;
	socket = json_string_value(json_object_get(answer, "socket"));
	its = json_string_value(json_object_get(answer, "id"));
	lease = json_string_value(json_object_get(answer, "lease"));
	if (!socket || !its || strlen(its) >= sizeof(found->id)) {
		rc = error_set(error, -EPROTO, "%s: the server named no socket", disk->name);
	} else if (id && *id && strcmp(its, id) != 0) {
		rc = error_set(error, -ENOENT, "%s: is another disk now", disk->name);
	} else if (!found->count++) {
		found->control = strdup(path);
		found->socket = strdup(socket);
		found->lease = lease ? strdup(lease) : NULL;
		snprintf(found->id, sizeof(found->id), "%s", its);
		found->machines = (int)json_integer_value(json_object_get(answer, "machines"));
		found->machine = (pid_t)json_integer_value(
			json_array_get(json_object_get(answer, "peers"), 0));
		rc = found->control && found->socket ? 0 : -ENOMEM;
	}
	json_decref(answer);
	return rc;
}

/* A server that says more than that it has no such disk. */
static bool is_reason(int rc)
{
	return rc && rc != -ENOENT && rc != -ECONNREFUSED && rc != -EPIPE;
}

static int find(const struct host_disk *disk, struct found *found, struct error *error)
{
	CLEANUP(servers_free) struct servers servers = { .count = 0 };
	struct error why = { 0 };
	int reason = 0, seen = runtime_each_own_socket("serve-", note_server, &servers, error);

	if (seen)
		return seen;
	for (unsigned i = 0; i < servers.count; i++) {
		struct error one = { 0 };
		int rc = ask_server(disk, servers.paths[i], disk->id, found, &one);

		if (!is_reason(rc) || reason)
			continue;
		reason = rc;
		why = one;
	}
	if (found->count == 1)
		return 0;
	if (found->count) {
		error_set(error, -EEXIST, "%s: %u servers serve disks of this name", disk->name,
			  found->count);
		return error_advise(error, "stop those that are not meant");
	}
	if (reason) {
		if (error)
			*error = why;
		return reason;
	}
	error_set(error, -ENOENT, "%s: no running server serves it", disk->name);
	return error_advise(error, "`tenon serve` does, as the same user");
}

static int say_taken(const char *name, pid_t process, struct error *error)
{
	char who[PROCESS_TEXT] = "another process";

	if (process > 0)
		process_describe(process, who);
	error_set(error, -EBUSY, "%s: %s has it", name, who);
	return error_advise(error, "end that first, or shut the machine down that it is; or share "
				   "the disk with it");
}

/* Once, for as long as it is open here; the id stays the same. */
static int take_alone(struct host_disk *disk, const char *id, struct error *error)
{
	pid_t holder;
	int rc = disk->shared || disk->alone_fd >= 0 ? 0 : alone_take(id, &disk->alone_fd, &holder);

	if (rc == -EBUSY)
		return say_taken(disk->name, holder, error);
	return rc ? error_set(error, rc, "%s: taking it alone: %s", disk->name, error_name(rc)) : 0;
}

static int connect_found(struct host_disk *disk, struct found *found, struct error *error)
{
	const struct vhost_user_blk_client_options options = { .memory = disk->memory,
							       .queues = QUEUES };
	int rc;

	if (!disk->shared && found->machines)
		return say_taken(disk->name, found->machine, error);
	rc = take_alone(disk, found->id, error);
	if (rc)
		return rc;
	/* It suspends: once there is a block, others may use it, and find that it is away. */
	host_lease_set_path(&disk->lease, steal_pointer(&found->lease));
	rc = vhost_user_blk_client_open(&disk->block, found->socket, &options, error);
	/* Somebody came between. */
	if (rc == -EPROTO && !disk->shared)
		rc = say_taken(disk->name, 0, error);
	if (rc)
		return rc;
	block_watch(disk->block, &disk->watch);
	if (disk->resized)
		disk->resized(disk->resized_arg);
	memcpy(disk->id, found->id, sizeof(disk->id));
	free(disk->control);
	disk->control = steal_pointer(&found->control);
	return 0;
}

static void disk_changed(struct block_watch *watch, struct block *block, unsigned what)
{
	struct host_disk *disk = container_of(watch, struct host_disk, watch);

	(void)block;
	if (what & BLOCK_CHANGED_SIZE && disk->resized)
		disk->resized(disk->resized_arg);
}

void host_disk_tell(struct host_disk *disk, void (*resized)(void *arg), void *arg)
{
	disk->resized = resized;
	disk->resized_arg = arg;
}

/* Whether who has it has let go, and the server will see that in a moment: this process, or one that is gone. */
static bool is_leaving(const struct found *found)
{
	return found->machine == getpid() ||
	       (found->machine > 0 && kill(found->machine, 0) && errno == ESRCH);
}

static int find_and_connect(struct host_disk *disk, struct error *error)
{
	CLEANUP(found_free) struct found found = { .count = 0 };
	int rc = find(disk, &found, error);

	for (unsigned i = 0; !rc && !disk->shared && found.machines && is_leaving(&found) &&
			     i < LEAVING_NS / LEAVING_STEP_NS;
	     i++) {
		found_free(&found);
		found = (struct found){ .count = 0 };
		rc = fiber_sleep(LEAVING_STEP_NS);
		if (!rc)
			rc = find(disk, &found, error);
	}
	return rc ? rc : connect_found(disk, &found, error);
}

/* ---- Who has it ---- */

static int explain_taken(const char *name, struct error *error)
{
	CLEANUP(found_free) struct found found = { .count = 0 };
	struct host_disk disk = { .name = (char *)name, .alone_fd = -1 };
	int rc = find(&disk, &found, error);

	if (rc)
		return rc;
	if (!found.machines)
		(void)alone_is_taken(found.id, &found.machine);
	return say_taken(name, found.machine, error);
}

struct taken_question {
	const char *name;
	struct error *error;
};

static int explain_fiber(void *arg)
{
	struct taken_question *explaining = arg;

	return explain_taken(explaining->name, explaining->error);
}

int host_disk_explain_taken(const char *name, struct error *error)
{
	struct taken_question explaining = { name, error };
	struct worker *worker;
	int rc = worker_create(&worker, NULL, error);

	if (rc)
		return rc;
	rc = worker_run(worker, explain_fiber, &explaining);
	worker_destroy(worker);
	return rc;
}

/* ---- Coming and going ---- */

int host_disk_open(struct host_disk **out, const char *name,
		   const struct host_disk_options *options, struct error *error)
{
	struct host_disk *disk = calloc(1, sizeof(*disk));
	int rc = -ENOMEM;

	if (disk) {
		disk->alone_fd = -1;
		disk->watch.changed = disk_changed;
		list_init(&disk->watch.node);
		disk->name = strdup(name);
	}
	if (disk && disk->name) {
		disk->shared = options->shared;
		disk->memory = options->memory;
		disk->lease.wanted = options->direct;
		disk->lease.name = disk->name;
		disk->lease.id = disk->id;
		snprintf(disk->id, sizeof(disk->id), "%s", options->id ? options->id : "");
		fiber_mutex_init(&disk->finding);
		range_lock_init(&disk->lock, 16);
		rc = find_and_connect(disk, error);
	}
	if (rc)
		host_disk_close(disk);
	else
		*out = disk;
	return rc;
}

void host_disk_close(struct host_disk *disk)
{
	if (!disk)
		return;
	host_lease_end(&disk->lease);
	/* First: who comes to the server once we have left it is not to find it kept. */
	if (disk->alone_fd >= 0)
		close(disk->alone_fd);
	block_unwatch(&disk->watch);
	block_unref(disk->block);
	free(disk->control);
	free(disk->name);
	free(disk);
}

/* With `finding`. */
static struct block *get_locked(struct host_disk *disk)
{
	uint64_t now = worker_now();

	if (disk->block)
		return block_ref(disk->block);
	if (disk->looked_ns && now - disk->looked_ns < HOST_DISK_RETRY_NS)
		return NULL;
	disk->why = (struct error){ 0 };
	if (!find_and_connect(disk, &disk->why))
		return block_ref(disk->block);
	disk->looked_ns = worker_now();
	return NULL;
}

struct block *host_disk_get(struct host_disk *disk)
{
	struct block *block;

	if (disk->block)
		return block_ref(disk->block);
	fiber_mutex_lock(&disk->finding);
	block = get_locked(disk);
	fiber_mutex_unlock(&disk->finding);
	return block;
}

/* ---- Lists ---- */

static int list_server(const char *path, const char *group, json_t *list)
{
	struct pieces pieces = { 0 };
	size_t length = strlen(group);
	bool more = true;
	int rc = 0;

	while (more && !rc) {
		json_t *answer = NULL, *exports, *export;
		struct error error;
		size_t index, bytes = 0;

		rc = ask_measured(path, "server.exports",
				  json_pack("{s:I}", "from", (json_int_t)pieces.from), &answer,
				  &bytes, &error);
		exports = json_object_get(answer, "exports");
		json_array_foreach(exports, index, export) {
			const char *name = json_string_value(json_object_get(export, "name"));

			if (name && !strncmp(name, group, length) && name[length] == '/')
				json_array_append(list, export);
		}
		more = json_is_true(json_object_get(answer, "more")) &&
		       pieces_next(&pieces, json_array_size(exports), bytes);
		json_decref(answer);
	}
	return !rc && pieces.left ? -EPROTO : rc; /* half of a list is none */
}

static bool server_has(const char *path, const char *group)
{
	json_t *answer = NULL, *name;
	struct error error;
	bool has = false;
	size_t index;

	if (!ask(path, "server.describe", NULL, &answer, &error)) {
		has = !strcmp(group, "md") && json_array_size(json_object_get(answer, "arrays"));
		json_array_foreach(json_object_get(answer, "groups"), index, name)
			has |= json_is_string(name) && !strcmp(json_string_value(name), group);
	}
	json_decref(answer);
	return has;
}

static bool list_if_there(const char *path, const char *group, json_t *list)
{
	return server_has(path, group) && !list_server(path, group, list);
}

int host_disk_list(const char *group, char **server, json_t **out, bool *served)
{
	CLEANUP(servers_free) struct servers servers = { .count = 0 };
	/* Arrays can be with several. */
	bool one = strcmp(group, "md") != 0;
	int rc;

	*served = false;
	*out = json_array();
	if (!*out)
		return -ENOMEM;
	/* The one that had the group has it still, mostly, whatever has become of others. */
	if (one && *server && list_if_there(*server, group, *out)) {
		*served = true;
		return 0;
	}
	json_array_clear(*out);
	rc = runtime_each_own_socket("serve-", note_server, &servers, NULL);
	for (unsigned i = 0; !rc && i < servers.count && !(one && *served); i++) {
		if (!list_if_there(servers.paths[i], group, *out))
			continue;
		*served = true;
		free(*server);
		*server = strdup(servers.paths[i]);
	}
	return rc;
}
