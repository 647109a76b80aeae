/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `tenon raid watch`: what happens to the arrays of running servers, by the names and the calling convention of mdadm --monitor.
 *
 * Servers keep the last events of each array (raid/events.h), and are asked for those after the number that was seen last; so nothing
 * is missed between two looks. That an array is there, or is not any more, is seen by the looks themselves.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "raid/raid.h"
#include "rpc/rpc.h"
#include "tools/ask.h"
#include "tools/describe.h"
#include "tools/devices.h"
#include "tools/output.h"
#include "tools/raid.h"
#include "tools/runtime.h"
#include "tools/spawn.h"
#include "util/error.h"

extern char **environ;

struct event_watch {
	const char *name;        /* md/NAME, NAME, or a UUID; NULL: all */
	char *command;           /* its path, or NULL */
	struct cli_words spares; /* [ARRAY=]N: how many each is to have */
	uint64_t delay;          /* seconds */
	bool json, once, test;

	bool first;    /* look */
	json_t *known; /* by UUID: {name, next, socket, seen} */
	struct error *error;
};

/* ---- Telling ---- */

static int wait_for(pid_t pid)
{
	int status = 0, fd = (int)syscall(SYS_pidfd_open, pid, 0), rc = 0;

	if (fd >= 0) {
		rc = fiber_poll(fd, POLLIN, FIBER_FOREVER);
		close(fd);
	}
	if (rc == -ECANCELED)
		return rc;
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
}

/* COMMAND EVENT ARRAY [COMPONENT], without a shell, as mdadm does; the next event waits for it. */
static int run_command(const struct event_watch *watch, const char *event, const char *array,
		       const char *component)
{
	char *words[] = { watch->command, (char *)event, (char *)array, (char *)component, NULL };
	posix_spawnattr_t attributes;
	sigset_t none;
	pid_t pid;
	int rc;

	sigemptyset(&none);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	rc = posix_spawn(&pid, watch->command, NULL, &attributes, words, environ);
	posix_spawnattr_destroy(&attributes);
	if (rc) {
		cli_warn("%s: %s: %s", event, watch->command, strerror(rc));
		return 0;
	}
	rc = wait_for(pid);
	if (rc > 0)
		cli_warn("%s: %s %s: exit status %d", array, watch->command, event, rc);
	return rc < 0 ? rc : 0;
}

/* `time` NULL: now. 0 or -ECANCELED. */
static int tell(const struct event_watch *watch, const char *time_text, const char *event,
		const char *name, const char *component)
{
	char now[RAID_TIME_TEXT], array[160];

	if (!time_text)
		time_text = raid_time_format((uint64_t)time(NULL), now);
	snprintf(array, sizeof(array), "md/%s", name);
	if (watch->json) {
		json_t *object =
			json_pack("{s:s, s:s, s:s, s:o}", "time", time_text, "event", event,
				  "array", array, "component", describe_text(component));

		json_dumpf(object, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(object);
	} else {
		cli_say("%s %s %s%s%s", time_text, event, array, component ? " " : "",
			component ? component : "");
	}
	cli_ready();
	return watch->command ? run_command(watch, event, array, component) : 0;
}

/* The program, malloc. One that cannot be run would be told of with the first event only: years later, of the disk that nobody then hears of. */
static char *find_command(const char *given)
{
	bool is_path = strchr(given, '/');
	char *path = is_path ? strdup(given) : spawn_find(given);
	struct error error = { 0 };
	struct stat info;
	int rc = !path ? -ENOENT : access(path, X_OK) || stat(path, &info) ? -errno : 0;

	/* Which may be entered, and not run. */
	if (!rc && S_ISDIR(info.st_mode))
		rc = -EISDIR;
	if (!rc)
		return path;
	error_set(&error, rc, "%s: %s", given,
		  is_path ? error_name(rc) : "no such program in $PATH");
	error_advise(&error, "give one program without arguments: it is run without a shell");
	cli_wrong_value("exec", &error);
	free(path);
	return NULL;
}

/* ---- Looking ---- */

static bool is_meant(const char *word, const char *name, const char *uuid)
{
	word += strncmp(word, "md/", 3) ? 0 : 3;
	return !strcmp(word, name) || !strcmp(word, uuid);
}

static bool is_wanted(const struct event_watch *watch, const char *name, const char *uuid)
{
	return !watch->name || is_meant(watch->name, name, uuid);
}

static const char *text_of(const json_t *row, const char *key)
{
	const char *text = json_string_value(json_object_get(row, key));

	return text ? text : "";
}

/* How many spares an array is to have; what names it counts more than what is for all. */
static uint64_t expected_spares(const struct event_watch *watch, const char *name, const char *uuid)
{
	uint64_t all = 0, own = 0;
	bool named = false;

	for (unsigned i = 0; i < watch->spares.count; i++) {
		const char *word = watch->spares.words[i], *equals = strrchr(word, '=');
		CLEANUP_FREE char *array = equals ? strndup(word, (size_t)(equals - word)) : NULL;

		if (!equals)
			all = strtoull(word, NULL, 10);
		else if (array && is_meant(array, name, uuid)) {
			own = strtoull(equals + 1, NULL, 10);
			named = true;
		}
	}
	return named ? own : all;
}

static bool check_spares(const struct cli_words *spares)
{
	for (unsigned i = 0; i < spares->count; i++) {
		const char *word = spares->words[i], *equals = strrchr(word, '=');
		const char *number = equals ? equals + 1 : word;
		size_t digits = strspn(number, "0123456789");

		if (digits && digits <= 4 && !number[digits] && equals != word)
			continue;
		cli_usage_error("--spares %s: expected N or ARRAY=N", word);
		return false;
	}
	return true;
}

/* One that was not known: what there is to say before its events. */
static int tell_new(const struct event_watch *watch, const json_t *row)
{
	const char *name = text_of(row, "name");
	int rc = 0;

	if (!watch->first)
		rc = tell(watch, NULL, "NewArray", name, NULL);
	if (!rc && watch->first && watch->test)
		rc = tell(watch, NULL, "TestMessage", name, NULL);
	if (!rc && json_is_true(json_object_get(row, "degraded")))
		rc = tell(watch, NULL, "DegradedArray", name, NULL);
	if (!rc && (uint64_t)json_integer_value(json_object_get(row, "spares")) <
			   expected_spares(watch, name, text_of(row, "uuid")))
		rc = tell(watch, NULL, "SparesMissing", name, NULL);
	if (!rc && watch->first && strcmp(text_of(row, "operation"), "idle"))
		rc = tell(watch, NULL, "RebuildStarted", name, NULL);
	return rc;
}

static int take_row(struct event_watch *watch, const char *socket, const json_t *row)
{
	const char *name = text_of(row, "name"), *uuid = text_of(row, "uuid");
	json_t *known = json_object_get(watch->known, uuid), *event;
	json_int_t lost = json_integer_value(json_object_get(row, "lost"));
	size_t index;
	int rc = 0;

	if (!is_wanted(watch, name, uuid))
		return 0;
	if (!known)
		rc = tell_new(watch, row);
	else if (lost)
		cli_warn("md/%s: %lld events went by unseen", name, (long long)lost);
	json_array_foreach(json_object_get(row, "events"), index, event) {
		if (!rc)
			rc = tell(watch, text_of(event, "time"), text_of(event, "event"), name,
				  json_string_value(json_object_get(event, "component")));
	}
	json_object_set_new(watch->known, uuid,
			    json_pack("{s:s, s:I, s:s, s:b}", "name", name, "next",
				      json_integer_value(json_object_get(row, "next")), "socket",
				      socket, "seen", 1));
	return rc;
}

static json_t *ask_params(const struct event_watch *watch)
{
	json_t *after = json_object(), *known;
	const char *uuid;

	json_object_foreach(watch->known, uuid, known)
		json_object_set(after, uuid, json_object_get(known, "next"));
	return json_pack("{s:o, s:b}", "after", after, "all", !watch->first);
}

/* Of one that does not answer nobody knows whether its arrays are still there. */
static void keep_its_arrays(const struct event_watch *watch, const char *socket)
{
	const char *uuid;
	json_t *known;

	json_object_foreach(watch->known, uuid, known)
		if (!strcmp(text_of(known, "socket"), socket))
			json_object_set_new(known, "seen", json_true());
}

static int ask_server(struct event_watch *watch, const char *socket)
{
	struct error why = { 0 };
	json_t *rows = NULL, *row;
	size_t index;
	int rc =
		rpc_call_within(socket, "raid.events", ask_params(watch), ASK_LIST_NS, &rows, &why);

	if (rc == -ETIMEDOUT)
		keep_its_arrays(watch, socket);
	if (rc && rc != -ECANCELED && rc != -ETIMEDOUT)
		ask_is_left_over(socket, 0);
	rc = rc == -ECANCELED ? rc : 0;
	json_array_foreach(rows, index, row) {
		if (!rc)
			rc = take_row(watch, socket, row);
	}
	json_decref(rows);
	return rc;
}

static int tell_gone(struct event_watch *watch)
{
	const char *uuid;
	json_t *known;
	void *next;
	int rc = 0;

	json_object_foreach_safe(watch->known, next, uuid, known)
	{
		if (json_is_true(json_object_get(known, "seen")))
			continue;
		rc = rc ? rc : tell(watch, NULL, "DeviceDisappeared", text_of(known, "name"), NULL);
		json_object_del(watch->known, uuid);
	}
	return rc;
}

static int note_path(const char *path, void *arg)
{
	json_array_append_new(arg, json_string(path));
	return 0;
}

static int look_once(struct event_watch *watch)
{
	json_t *sockets = json_array(), *socket, *known;
	const char *uuid;
	size_t index;
	int rc;

	json_object_foreach(watch->known, uuid, known)
		json_object_set_new(known, "seen", json_false());
	rc = runtime_each_socket("serve-", note_path, sockets, watch->error);
	json_array_foreach(sockets, index, socket) {
		if (!rc)
			rc = ask_server(watch, json_string_value(socket));
	}
	json_decref(sockets);
	return rc ? rc : tell_gone(watch);
}

static int watch_fiber(void *arg)
{
	struct event_watch *watch = arg;
	int rc = look_once(watch);

	if (!rc && watch->name && !json_object_size(watch->known))
		cli_note("%s: no server runs it", watch->name);
	else if (!rc && !json_object_size(watch->known))
		cli_note("no server of this user runs an array%s",
			 watch->once ? "" : "; those that begin to are told of");
	for (watch->first = false; !rc && !watch->once;) {
		rc = fiber_sleep(watch->delay * 1000000000ull);
		if (!rc)
			rc = look_once(watch);
	}
	return rc;
}

static int watch_run(void *arg, struct error *error)
{
	struct event_watch *watch = arg;
	int rc;

	watch->first = true;
	watch->error = error;
	watch->known = json_object();
	rc = cli_interruptible(watch_fiber, watch, error);
	json_decref(watch->known);
	return rc;
}

int raid_watch_verb(int argc, char **argv)
{
	struct event_watch watch = { .delay = 1 };
	const char *command = NULL;
	const struct cli_option options[] = {
		{ "exec", CLI_TEXT, &command, "COMMAND",
		  "run for each event with its name, the array, and the component if there is "
		  "one" },
		{ "delay", CLI_NUMBER, &watch.delay, "SECONDS", "between looks (1)", 1, 86400 },
		{ "oneshot", CLI_FLAG, &watch.once, NULL, "tell how things stand, and end" },
		{ "spares", CLI_LIST, &watch.spares, "[ARRAY=]N",
		  "a SparesMissing for each array that has fewer when it is first seen "
		  "(repeatable)" },
		{ "test", CLI_FLAG, &watch.test, NULL,
		  "a TestMessage for each array, to begin with" },
		CLI_OPTION_JSON(&watch.json),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	int status;

	if (!cli_parse("raid watch [NAME] [--exec COMMAND] [--json]", options, argc, argv, 0, 1,
		       &operands, &status))
		return status;
	if (!check_spares(&watch.spares) || (command && !(watch.command = find_command(command))))
		return EXIT_USAGE;
	watch.name = operands.count ? operands.words[0] : NULL;
	status = cli_on_fiber(watch_run, &watch);
	free(watch.command);
	return status;
}
