/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon serve`: the storage server; see serve.h. */
#include "tools/serve.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "block/blkid_library.h"
#include "block/block.h"
#include "fiber/signal.h"
#include "tools/backup_file.h"
#include "tools/limits.h"
#include "tools/runtime.h"

struct serve_arguments {
	struct cli_words given, targets, backups; /* the last of --backup-file */
	struct serve serve;
};

/* ---- Open files ---- */

#define OWN_FILES    32 /* control clients, a device that is added, the kernel's rings */
#define CLIENT_FILES 6  /* of one machine: its connection, memory, and the events of a queue */

static unsigned count_open_files(void)
{
	DIR *descriptors = opendir("/proc/self/fd");
	unsigned count = 0;

	while (descriptors && readdir(descriptors))
		count++;
	if (descriptors)
		closedir(descriptors);
	return count;
}

/* Takes as many open files as the system allows, and says beforehand if they do not suffice. */
static int allow_files(struct serve *serve, struct error *error)
{
	uint64_t planned = export_count_planned(serve);
	uint64_t least = count_open_files() + planned + OWN_FILES,
		 all = least + planned * CLIENT_FILES;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return 0;
	if (limit.rlim_cur < limit.rlim_max) {
		struct rlimit raised = { limit.rlim_max, limit.rlim_max };

		if (!setrlimit(RLIMIT_NOFILE, &raised))
			limit = raised;
	}
	if (least > limit.rlim_cur) {
		error_set(error, -EMFILE,
			  "%llu disks need %llu open files, this process may have %llu",
			  (unsigned long long)planned, (unsigned long long)least,
			  (unsigned long long)limit.rlim_cur);
		error_advise(
			error,
			"raise the hard limit to %llu (`ulimit -Hn` as root, LimitNOFILE= of a "
			"systemd service), or serve fewer",
			(unsigned long long)all);
		return -EMFILE;
	}
	if (all > limit.rlim_cur)
		cli_warn("%llu disks with a machine on each need %llu open files, this process may "
			 "have "
			 "%llu: enough for %llu machines; `ulimit -n`, LimitNOFILE= of a service",
			 (unsigned long long)planned, (unsigned long long)all,
			 (unsigned long long)limit.rlim_cur,
			 (unsigned long long)(limit.rlim_cur - least) / CLIENT_FILES);
	return 0;
}

/* ---- Running ---- */

/* Says what cannot be served, once: where something was asked for and nothing can be had, there is nothing to run for. */
static int tell_refused(struct serve *serve, struct error *error)
{
	const struct export *only = NULL;
	unsigned refused = 0;

	serve->tells_refused = true;
	list_for_each(at, &serve->exports) {
		const struct export *export = list_entry(at, struct export, node);

		if (export->problem && !refused++)
			only = export;
	}
	if (!serve->served && refused == 1)
		return error_set(error, -EIO, "%s: not served: %s", only->name, only->problem);
	list_for_each(at, &serve->exports)
		export_tell_refused(serve, list_entry(at, struct export, node));
	return serve->served || !refused
		       ? 0
		       : error_set(error, -EIO, "none of the %u can be served", refused);
}

/* Before it locks anything: whoever finds a device locked finds the server too, and waits for it. */
static int start_control(struct serve *serve, struct error *error)
{
	CLEANUP_FREE char *path = NULL;
	char name[32];
	int rc;

	snprintf(name, sizeof(name), "serve-%d", (int)getpid());
	rc = runtime_socket(name, &path, error);
	if (!rc)
		rc = rpc_server_start(&serve->control, path, serve_methods, serve, &serve->log,
				      error);
	if (!rc)
		rpc_server_hold(serve->control);
	return rc;
}

static int start(struct serve *serve, struct serve_arguments *arguments, struct error *error)
{
	int rc = socket_options_make_directory(&serve->sockets, error);

	/* While nobody else runs here: processes aside of this one use it. Who needs it is told where it is not there. */
	(void)libblkid_load(NULL);
	serve->given = &arguments->given;
	runtime_tidy_disks();
	if (!rc)
		rc = start_control(serve, error);
	if (!rc)
		rc = serve_claim(serve, &arguments->given, &arguments->targets, error);
	if (!rc)
		rc = allow_files(serve, error);
	if (rc)
		return rc;
	rc = export_open_all(serve);
	serve_limits_tell(serve);
	if (!rc)
		rc = tell_refused(serve, error);
	if (!rc) {
		serve_leases_start(serve);
		serve_moves_start(serve);
		rpc_server_release(serve->control);
	}
	return rc;
}

static void print_exports(const struct serve *serve)
{
	list_for_each(at, &serve->exports) {
		const struct export *export = list_entry(at, struct export, node);

		if (export->server)
			cli_say("%s %s", export->name, export->path);
	}
	cli_say("ready");
	cli_ready();
}

/* ---- The end ---- */

#define TELL_NS  (2 * 1000000000ull)
#define LIMIT_NS (60 * 1000000000ull)

struct serve_end {
	struct serve *serve;
	sigset_t signals;
	bool came;
	int rc; /* of waiting for them */
	struct fiber_queue waiter;
};

static void tell_what_waits(const struct serve *serve)
{
	unsigned count = 0;

	list_for_each(at, &serve->stopping) {
		const struct export *export = list_entry(at, struct export, node);

		if (!count++)
			cli_note("ending: waits for requests in flight of the client at %s (%s)",
				 export->name, export->path ? export->path : "no socket");
	}
	if (count > 1)
		cli_note("ending: and for those of %u more", count - 1);
	if (!count)
		cli_note("ending: waits for %s", serve->waits_for ? serve->waits_for : "the start");
}

/* From the signal on the server has a time to end in; for whom it waits is said. What a disk does not answer by
 * then was acknowledged to nobody, and arrays are as after a power cut. */
static int watch_end(void *arg)
{
	struct serve_end *end = arg;

	end->rc = fiber_wait_signal(&end->signals);
	end->came = true;
	fiber_queue_wake_all(&end->waiter);
	for (uint64_t waited = 0; !fiber_sleep(TELL_NS);) {
		waited += TELL_NS;
		tell_what_waits(end->serve);
		if (waited < LIMIT_NS)
			continue;
		cli_warn("ending without it after %llu s: arrays were not marked clean",
			 (unsigned long long)(LIMIT_NS / 1000000000));
		_exit(EXIT_FAILED);
	}
	return 0;
}

static int serve_until_signal(struct serve *serve, struct serve_arguments *arguments,
			      struct serve_end *end, struct error *error)
{
	int rc = start(serve, arguments, error);

	if (rc || end->came)
		return rc;
	print_exports(serve);
	if (serve->spare_groups.count)
		serve->spares = fiber_spawn(serve_spares_fiber, serve);
	while (!end->came)
		fiber_queue_wait_always(&end->waiter);
	return MIN(end->rc, 0);
}

static int serve_run(void *arg, struct error *error)
{
	struct serve_arguments *arguments = arg;
	struct serve *serve = &arguments->serve;
	struct serve_end end = { .serve = serve };
	struct fiber *watcher;
	int rc;

	sigemptyset(&end.signals);
	sigaddset(&end.signals, SIGINT);
	sigaddset(&end.signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &end.signals, NULL);
	serve->control_worker = worker_current();
	list_init(&serve->exports);
	list_init(&serve->stopping);
	list_init(&serve->limits);
	fiber_mutex_init(&serve->changing);
	fiber_queue_init(&end.waiter);
	watcher = fiber_spawn(watch_end, &end);
	rc = serve_until_signal(serve, arguments, &end, error);
	serve->waits_for = "what a command has asked for";
	if (serve->spares) {
		fiber_cancel(serve->spares);
		fiber_join(serve->spares);
	}
	rpc_server_drain(serve->control);
	serve->waits_for = "a process that reads or writes a disk by itself";
	serve_leases_end(serve);
	serve->waits_for = "the devices of its arrays and groups";
	rc = serve_homes_end(serve, rc, error);
	/* Commands that came meanwhile go on with the devices, which are free now. */
	rpc_server_stop(serve->control);
	device_list_free(&serve->owned);
	serve_limits_free(serve);
	fiber_cancel(watcher);
	fiber_join(watcher);
	return rc;
}

/* Each of its own, and each fit to be one. */
static bool check_serials(const struct cli_words *serials)
{
	for (unsigned i = 0; i < serials->count; i++) {
		const char *serial = strchr(serials->words[i], '=');
		struct error error = { 0 };

		if (!serial || serial == serials->words[i])
			return cli_usage_error("--serial %s: expected VG/LV=SERIAL or "
					       "md/NAME=SERIAL",
					       serials->words[i]),
			       false;
		if (serial_check(serial + 1, &error))
			return cli_usage_error("--serial %s: %s", serials->words[i], error.text),
			       false;
		for (unsigned k = 0; k < i; k++)
			if (!strcmp(strchr(serials->words[k], '=') + 1, serial + 1))
				return cli_usage_error(
					       "--serial %s and %s: two disks with one serial "
					       "number",
					       serials->words[k], serials->words[i]),
				       false;
	}
	return true;
}

int command_serve(int argc, char **argv)
{
	struct serve_arguments arguments = { 0 };
	struct serve *serve = &arguments.serve;
	bool verbose = false;
	const struct cli_option options[] = {
		CLI_OPTION_SOCKETS(&serve->sockets),
		{ "read-only", CLI_FLAG, &serve->read_only, NULL, "write nothing to any device" },
		{ "queues", CLI_NUMBER, &serve->queues, "N", "virtqueues of each disk (16)", 1,
		  64 },
		{ "workers", CLI_NUMBER, &serve->workers, "N",
		  "threads that serve, at most (the processors there are, at most 4)", 1,
		  SERVE_WORKERS_MAX },
		{ "pin-memory", CLI_FLAG, &serve->pin_memory, NULL,
		  "lock the memory of machines into RAM, for large requests; none may give memory "
		  "back (a balloon)" },
		{ "serial", CLI_LIST, &serve->serials, "VG/LV=SERIAL",
		  "the serial number that guests see (repeatable)" },
		{ "limit", CLI_LIST, &serve->limits_given, "VG/LV=iops=N,...",
		  "of md/NAME too; also bandwidth=SIZE, burst=TIME: see `tenon lv limit` "
		  "(repeatable)" },
		CLI_OPTION_BACKUP_FILE(&arguments.backups),
		{ "spare-group", CLI_LIST, &serve->spare_groups, "NAME=ARRAY,ARRAY...",
		  "spares of these arrays go to the one that needs one (repeatable)" },
		{ "verbose", CLI_FLAG, &verbose, NULL, "say what happens" },
		CLI_OPTION_DEVICE(&arguments.given),
		CLI_OPTION_END,
	};
	int status;

	if (!cli_parse("serve [VG | VG/LV | md/NAME]... --socket-dir DIR", options, argc, argv, 0,
		       CLI_ANY, &arguments.targets, &status))
		return status;
	if (!serve->sockets.directory)
		return cli_usage_error("--socket-dir is needed");
	if (!socket_options_parse(&serve->sockets) || !check_serials(&serve->serials) ||
	    !limits_check(&serve->limits_given) || !serve_spares_check(&serve->spare_groups))
		return EXIT_USAGE;
	if (!serve->workers)
		serve->workers = serve_default_workers();
	if (!serve->workers)
		return cli_usage_error("TENON_WORKERS: expected from 1 to %u", SERVE_WORKERS_MAX);
	log_to_stderr(&serve->log, verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING);
	arguments.given.backups = &arguments.backups;
	return cli_on_fiber(serve_run, &arguments);
}
