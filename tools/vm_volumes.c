/* SPDX-License-Identifier: BSD-2-Clause */
/* See vm_volumes.h. */
#include "tools/vm_volumes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rpc/rpc.h"
#include "tools/describe.h"
#include "tools/image_look.h"
#include "tools/owner.h"
#include "tools/runtime.h"
#include "util/cleanup.h"
#include "util/process.h"
#include "util/unix_socket.h"

#define VHOST_USER "vhost-user:"
#define DIRECTORY  "vm-%d-disks"

struct find {
	const struct cli_words *given;
	struct cli_words *disks;
	struct cli_words unserved;
	bool all; /* everything should be served by now */
};

/* ---- Finding ---- */

/* "VG/LV,ro" is a volume as well: one that cannot be had so. */
static int check_options(const char *word, const struct find *find, struct error *error)
{
	CLEANUP_FREE char *name = strndup(word, strcspn(word, ","));
	bool object = false;
	int rc = name ? image_is_object(find->given, name, &object, error) : -ENOMEM;

	if (rc || !object)
		return rc;
	error_set(error, -EINVAL, "%s: a volume takes no options of an image file", word);
	return error_advise(error,
			    "it is read-only where the server says so: `tenon lv change %s "
			    "--read-only`, or `tenon serve --read-only`",
			    name);
}

static int ask_socket(char **word, const char *control, struct error *error)
{
	json_t *answer = NULL;
	const char *path;
	char *socket = NULL;
	int rc = rpc_call(control, "export.find", json_pack("{s:o}", "name", describe_text(*word)),
			  &answer, error);

	if (rc)
		return rc;
	path = json_string_value(json_object_get(answer, "socket"));
	if (!path)
		rc = error_set(error, -EPROTO, "%s: the server named no socket", *word);
	else if (asprintf(&socket, VHOST_USER "%s", path) < 0)
		socket = NULL, rc = -ENOMEM;
	if (!rc)
		*word = cli_keep_text(socket);
	free(socket);
	json_decref(answer);
	return rc;
}

static int find_one(struct find *find, char **word, struct error *error)
{
	CLEANUP_FREE char *control = NULL;
	bool object = false;
	int rc;

	if (!strncmp(*word, VHOST_USER, strlen(VHOST_USER)))
		return 0;
	if (strchr(*word, ','))
		return check_options(*word, find, error);
	rc = image_is_object(find->given, *word, &object, error);
	if (!rc && object)
		rc = owner_find(find->given, *word, &control, error);
	if (rc || !object)
		return rc;
	if (control)
		return ask_socket(word, control, error);
	if (find->all)
		return error_set(error, -ENOENT, "%s: nobody serves it", *word);
	cli_words_add(&find->unserved, *word);
	return 0;
}

static int find_all(void *arg, struct error *error)
{
	struct find *find = arg;
	int rc = 0;

	for (unsigned i = 0; !rc && i < find->disks->count; i++)
		rc = find_one(find, &find->disks->words[i], error);
	return rc;
}

/* ---- Its folder of sockets ---- */

/* Of a server that was killed; one that listens keeps its own. */
static void remove_stale(int folder, const char *path, const char *name)
{
	CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	CLEANUP_FREE char *whole = NULL;
	struct sockaddr_un address;

	if (asprintf(&whole, "%s/%s", path, name) < 0) {
		whole = NULL;
		return;
	}
	if (fd >= 0 && !unix_socket_address(&address, whole, NULL) &&
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 &&
	    errno == ECONNREFUSED)
		unlinkat(folder, name, 0);
}

/* With what is stale in it; else it stays. The lock is that of servers which start there. */
static void remove_directory(const char *path)
{
	DIR *listing = opendir(path);
	struct dirent *entry;

	if (!listing)
		return;
	if (!flock(dirfd(listing), LOCK_EX | LOCK_NB)) {
		while ((entry = readdir(listing)))
			if (entry->d_type == DT_SOCK)
				remove_stale(dirfd(listing), path, entry->d_name);
		rmdir(path);
	}
	closedir(listing);
}

/* Those of machines that were killed. */
static void tidy(const char *runtime)
{
	DIR *listing = opendir(runtime);
	struct dirent *entry;

	while (listing && (entry = readdir(listing))) {
		CLEANUP_FREE char *path = NULL;
		int pid, length = 0;

		if (sscanf(entry->d_name, DIRECTORY "%n", &pid, &length) != 1 || !length ||
		    entry->d_name[length] || pid <= 0 || !process_is_gone(pid))
			continue;
		if (asprintf(&path, "%s/%s", runtime, entry->d_name) < 0)
			path = NULL;
		if (path)
			remove_directory(path);
	}
	if (listing)
		closedir(listing);
}

/* One that a killed machine of the same number has left is as good. */
static int make_directory(struct vm_volumes *volumes, struct error *error)
{
	CLEANUP_FREE char *runtime = NULL;
	int rc = runtime_directory(&runtime, error);

	if (rc)
		return rc;
	tidy(runtime);
	if (asprintf(&volumes->directory, "%s/" DIRECTORY, runtime, (int)getpid()) < 0)
		return volumes->directory = NULL, -ENOMEM;
	if (mkdir(volumes->directory, 0700) && errno != EEXIST)
		return error_set(error, -errno, "%s: %s", volumes->directory, error_name(errno));
	return 0;
}

/* ---- A server of its own ---- */

/* Keys of a terminal are the guest's, and no signals for the server. */
static void become_server(const struct vm_volumes *volumes, const struct find *find, int output,
			  pid_t parent)
{
	const struct cli_words *given = find->given, *targets = &find->unserved;
	char **argv = calloc(8 + 2 * given->count + targets->count, sizeof(*argv));
	unsigned argc = 0;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (!argv || getppid() != parent || setsid() < 0 || dup2(output, STDOUT_FILENO) < 0)
		_exit(EXIT_FAILED);
	argv[argc++] = (char *)"tenon";
	argv[argc++] = (char *)"serve";
	argv[argc++] = (char *)"--socket-dir";
	argv[argc++] = volumes->directory;
	if (given->degraded)
		argv[argc++] = (char *)"--degraded";
	for (unsigned i = 0; i < given->count; i++) {
		argv[argc++] = (char *)"--device";
		argv[argc++] = given->words[i];
	}
	argv[argc++] = (char *)"--";
	for (unsigned i = 0; i < targets->count; i++)
		argv[argc++] = targets->words[i];
	execv("/proc/self/exe", argv);
	_exit(EXIT_FAILED);
}

/* It says "ready" in a line of its own; or it ends, and has said why. */
static int await_ready(struct vm_volumes *volumes)
{
	char line[8] = "";
	size_t length = 0;
	int status = 0;
	char at;

	for (;;) {
		ssize_t got = read(volumes->output, &at, 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		if (at == '\n' && length == 5 && !memcmp(line, "ready", 5))
			return EXIT_DONE;
		if (at != '\n' && length < sizeof(line))
			line[length] = at;
		length = at == '\n' ? 0 : length + 1;
	}
	while (waitpid(volumes->server, &status, 0) < 0 && errno == EINTR)
		;
	volumes->server = 0;
	return EXIT_FAILED;
}

static int start_server(struct vm_volumes *volumes, const struct find *find)
{
	struct error error = { 0 };
	int rc = make_directory(volumes, &error), ends[2];
	pid_t parent = getpid();

	if (!rc && pipe2(ends, O_CLOEXEC))
		rc = -errno;
	if (rc)
		return cli_fail(rc, &error);
	fflush(NULL);
	volumes->server = fork();
	if (!volumes->server)
		become_server(volumes, find, ends[1], parent);
	volumes->output = ends[0];
	close(ends[1]);
	if (volumes->server > 0)
		return await_ready(volumes);
	volumes->server = 0;
	return cli_fail(-errno, &error);
}

int vm_volumes_start(struct vm_volumes *volumes, const struct cli_words *given,
		     struct cli_words *disks)
{
	struct find find = { .given = given, .disks = disks };
	int status = cli_on_fiber(find_all, &find);

	if (status || !find.unserved.count)
		return status;
	status = start_server(volumes, &find);
	find.all = true;
	return status ? status : cli_on_fiber(find_all, &find);
}

void vm_volumes_stop(struct vm_volumes *volumes)
{
	if (volumes->server) {
		kill(volumes->server, SIGTERM);
		while (waitpid(volumes->server, NULL, 0) < 0 && errno == EINTR)
			;
	}
	cleanup_close(&volumes->output);
	if (volumes->directory)
		remove_directory(volumes->directory);
	free(volumes->directory);
	*volumes = VM_VOLUMES_NONE;
}
