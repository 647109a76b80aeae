/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `tenon mount` and `tenon unmount`: volumes of a group as files; see mount.h.
 *
 * A mount is a process in the background. The command waits until it serves the folder, or has said why not, and ends with its
 * exit status. It is found again by a control socket, mount-PID, that says which folder is its own.
 */
#include "tools/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "rpc/rpc.h"
#include "tools/ask.h"
#include "tools/devices.h"
#include "tools/describe.h"
#include "tools/runtime.h"
#include "tools/spawn.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/log_queue.h"
#include "util/process.h"
#include "util/text.h"

#define UNMOUNT_TRIES 600u /* of 50 ms: until the process has ended */
#define UNMOUNT_STEP  50000000ull
#define BUSY_TRIES    100u
#define OPEN_TRIES    10u /* with files of it open, whose end nobody knows */
#define UNMOUNT_GRACE 20u /* tries in which it ends by itself, unless a copy of its mount is left */
#define UNMOUNT_AGAIN 100u /* tries from one look at that to the next */

struct mount_command {
	struct mount mount;
	struct rpc_server *control;
	bool foreground;
	int ready_fd; /* -1: in the foreground */
	struct log system;
	struct log_queue *queue; /* to `system`, whose reader may be stopped; or NULL */
};

/* ---- In the background ---- */

static void write_syslog(struct log *log, enum log_level level, const char *text)
{
	static const int priorities[] = { LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
	CLEANUP_FREE char *clean = text_cleaned(text, NULL);

	(void)log;
	if (clean)
		syslog(LOG_USER | priorities[level], "%s", clean);
}

static void write_queued(struct log *log, enum log_level level, const char *text)
{
	const struct mount_command *command = container_of(log, struct mount_command, mount.log);

	log_message(log_queue_log(command->queue), level, "%s", text);
}

/* All that is to be said at the start was said: the rest goes to the system's log. */
static void go_to_background(struct mount_command *command)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char done = EXIT_DONE;

	openlog("tenon mount", LOG_PID, LOG_USER);
	command->system = (struct log){ .level = command->mount.log.level, .write = write_syslog };
	if (log_queue_start(&command->queue, &command->system, NULL))
		command->mount.log.write = write_syslog;
	else
		command->mount.log.write = write_queued;
	if (null >= 0) {
		for (int fd = 0; fd <= 2; fd++)
			dup2(null, fd);
		close(null);
	}
	if (chdir("/"))
		log_warning(&command->mount.log, "/: %s", error_name(errno));
	if (write(command->ready_fd, &done, 1) != 1)
		log_warning(&command->mount.log, "nobody waited for %s", command->mount.directory);
	close(command->ready_fd);
}

static int describe(void *context, json_t *params, json_t **result, struct error *error)
{
	const struct mount *mount = context;
	unsigned opens = 0;

	(void)params, (void)error;
	list_for_each(at, &mount->volumes) {
		const struct mount_volume *volume = list_entry(at, struct mount_volume, node);

		opens += volume->ways[MOUNT_BESIDE].opens + volume->ways[MOUNT_ALONE].opens;
	}
	*result = json_pack("{s:o, s:o, s:b, s:i}", "vg", describe_text(mount->group), "directory",
			    describe_text(mount->directory), "shared", mount->shared, "open",
			    (int)opens);
	return 0;
}

static const struct rpc_method methods[] = {
	{ "mount.describe", describe },
	{ NULL, NULL },
};

static int start_control(struct mount_command *command, struct error *error)
{
	CLEANUP_FREE char *path = NULL;
	char name[32];
	int rc;

	snprintf(name, sizeof(name), "mount-%d", (int)getpid());
	rc = runtime_socket(name, &path, error);
	return rc ? rc
		  : rpc_server_start(&command->control, path, methods, &command->mount,
				     &command->mount.log, error);
}

static int mount_run(void *arg, struct error *error)
{
	struct mount_command *command = arg;
	struct mount *mount = &command->mount;
	int rc = mount_refresh(mount);

	if (rc == -ENOENT) {
		error_set(error, rc, "%s: no running server serves this volume group",
			  mount->group);
		error_advise(error, "`tenon serve %s --socket-dir DIR` does, as the same user",
			     mount->group);
	} else if (rc) {
		error_set(error, rc, "%s: which servers run cannot be seen: %s", mount->group,
			  error_name(rc));
	}
	if (!rc)
		rc = start_control(command, error);
	if (!rc)
		rc = mount_begin(mount, error);
	if (!rc) {
		if (command->ready_fd >= 0)
			go_to_background(command);
		else
			cli_say("ready");
		cli_ready();
		rc = mount_serve(mount);
	}
	mount_end(mount);
	mount_free_all(mount);
	guest_memory_clear(&mount->memory);
	rpc_server_stop(command->control);
	if (command->queue) {
		mount->log.write = write_syslog;
		log_queue_stop(command->queue);
	}
	return rc;
}

/* Runs it in a process of its own; this one's exit status once that is known. */
static int run_behind(struct mount_command *command)
{
	char said = EXIT_FAILED;
	int fds[2], status;
	ssize_t got;
	pid_t child;

	if (pipe2(fds, O_CLOEXEC))
		return cli_usage_error("pipe: %s", error_name(errno));
	fflush(NULL);
	child = fork();
	if (child < 0)
		return cli_usage_error("fork: %s", error_name(errno));
	if (!child) {
		close(fds[0]);
		setsid();
		command->ready_fd = fds[1];
		return cli_on_fiber(mount_run, command);
	}
	close(fds[1]);
	do
		got = read(fds[0], &said, 1);
	while (got < 0 && errno == EINTR);
	if (got == 1)
		return said;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : EXIT_FAILED;
}

static void prepare(struct mount *mount)
{
	log_to_stderr(&mount->log, LOG_LEVEL_WARNING);
	list_init(&mount->volumes);
	fiber_mutex_init(&mount->listing);
	fiber_mutex_init(&mount->receiving);
	fiber_queue_init(&mount->resized);
	mount->next_number = MOUNT_ROOT + 1;
	mount->began = time(NULL);
}

/* ---- Before it begins ---- */

static int check_host(struct error *error)
{
	if (access("/dev/fuse", R_OK | W_OK)) {
		error_set(error, -errno, "/dev/fuse: %s", error_name(errno));
		return error_advise(error, "FUSE is needed for this: `modprobe fuse` as root; in a "
					   "container, give it that device");
	}
	if (geteuid() && !spawn_finds("fusermount3")) {
		error_set(error, -ENOENT, "fusermount3 is not installed");
		return error_advise(error, "who is not root needs it for this: install the package "
					   "fuse3");
	}
	return 0;
}

int mount_in_background(const char *group, const char *directory, const char *looped, bool shared,
			bool read_only)
{
	struct mount_command command = { .ready_fd = -1 };
	struct mount *mount = &command.mount;
	struct error error = { 0 };
	int rc = check_host(&error), status;

	if (rc)
		return cli_fail(rc, &error);
	mount->group = group;
	mount->looped = looped;
	mount->shared = shared;
	mount->read_only = read_only;
	mount->directory = strdup(directory);
	if (!mount->directory)
		return cli_fail(-ENOMEM, &error);
	prepare(mount);
	status = run_behind(&command);
	free(mount->directory);
	/* The child has done what it was made for. */
	if (command.ready_fd >= 0)
		exit(status);
	return status;
}

static int check_directory(const char *word, char **directory, struct error *error)
{
	struct stat status;
	int there;

	*directory = mount_real_directory(word);
	there = *directory ? mount_is_there(*directory, error) : 0;
	if (there < 0)
		return there;
	if (there) {
		if (mount_is_dead(*directory))
			error_set(error, -ENOTCONN, "%s: a mount whose process was killed is there",
				  word);
		else
			error_set(error, -EBUSY, "%s: a volume group is mounted there already",
				  word);
		return error_advise(error, "`tenon unmount %s`", word);
	}
	if (*directory && !stat(*directory, &status))
		return S_ISDIR(status.st_mode)
			       ? 0
			       : error_set(error, -ENOTDIR, "%s: expected a folder", word);
	error_set(error, -errno, "%s: %s", word, error_name(errno));
	return error->code == -ENOENT ? error_advise(error, "make it first: mkdir") : error->code;
}

int command_mount(int argc, char **argv)
{
	struct mount_command command = { .ready_fd = -1 };
	struct mount *mount = &command.mount;
	const struct cli_option options[] = {
		{ "shared", CLI_FLAG, &mount->shared, NULL,
		  "write beside who has the disk, who must know" },
		{ "read-only", CLI_FLAG, &mount->read_only, NULL, "nothing can be written" },
		{ "foreground", CLI_FLAG, &command.foreground, NULL,
		  "stay, and say on standard error what fails" },
		CLI_OPTION_END,
	};
	struct error error = { 0 };
	struct cli_words operands;
	int status, rc;

	if (!cli_parse("mount VG DIR [--shared | --read-only]", options, argc, argv, 2, 2,
		       &operands, &status))
		return status;
	mount->group = operands.words[0];
	if (!*mount->group || strchr(mount->group, '/') || strchr(mount->group, ','))
		return cli_usage_error("%s: expected the name of a volume group", mount->group);
	if (mount->shared && mount->read_only)
		return cli_usage_error("give either --shared or --read-only");
	prepare(mount);
	rc = check_directory(operands.words[1], &mount->directory, &error);
	if (!rc)
		rc = check_host(&error);
	status = rc                   ? cli_fail(rc, &error)
		 : command.foreground ? cli_on_fiber(mount_run, &command)
				      : run_behind(&command);
	free(mount->directory);
	return status;
}

/* ---- unmount ---- */

struct unmount {
	const char *directory;
	char *real;
};

/* Whose mount it is. */
struct mounter {
	pid_t process; /* 0: none is found */
	pid_t silent; /* one that does not answer, and may be it, or 0; it cannot be said which mount is whose otherwise */
	json_int_t opens; /* how many files of it are open */
};

static int find_mount(const char *directory, struct mounter *mounter, struct error *error)
{
	CLEANUP(ask_free) struct ask ask = { 0 };
	int rc = ask_own(&ask, "mount-", "mount.describe", ASK_LIST_NS, error);

	*mounter = (struct mounter){ 0 };
	for (unsigned i = 0; !rc && i < ask.count && !mounter->process; i++) {
		const char *its =
			json_string_value(json_object_get(ask.answers[i].result, "directory"));

		if (ask.answers[i].rc == -ETIMEDOUT)
			mounter->silent = ask.answers[i].pid;
		if (its && !strcmp(its, directory)) {
			mounter->process = ask.answers[i].pid;
			mounter->opens =
				json_integer_value(json_object_get(ask.answers[i].result, "open"));
		}
	}
	return rc;
}

static int unmount(const char *directory, bool quiet, struct error *error)
{
	char *const argv[] = { (char *)"fusermount3", (char *)(quiet ? "-uq" : "-u"),
			       (char *)directory, NULL };
	int rc;

	if (!geteuid() && !umount2(directory, UMOUNT_NOFOLLOW))
		return 0;
	rc = geteuid() ? spawn_wait(argv, quiet) : -errno;
	if (!rc)
		return 0;
	error_set(error, rc, "%s: cannot be unmounted%s", directory,
		  rc == -EBUSY ? ": it is in use" : "");
	return error_advise(error, "`fuser -vm %s` tells who has files of it open", directory);
}

/*
 * Every mount namespace that was made meanwhile (`unshare -m`, `ip netns exec`, a container) may have a copy of the mount,
 * with which the kernel goes on asking its process. Unless files are open there, it is told to end.
 */
static void end_copies(const char *directory, pid_t process)
{
	struct mounter mounter;

	if (!find_mount(directory, &mounter, NULL) && mounter.process == process && !mounter.opens)
		kill(process, SIGTERM);
}

/* It ends by itself once it goes on. */
static int say_silent(const char *shown, pid_t process, struct error *error)
{
	char who[PROCESS_TEXT];

	if (process_is_gone(process))
		return 0;
	error_set(error, -ETIMEDOUT,
		  "%s: unmounted, but %s does not answer: if it had that mounted, it has the disks "
		  "yet",
		  shown, process_describe(process, who));
	return process_is_stopped(process)
		       ? error_advise(error, "`kill -CONT %d` lets it go on, and end", (int)process)
		       : error_advise(error, "see what it waits for, or end it");
}

int mount_take_down(const char *directory, const char *shown, struct error *error)
{
	struct mounter mounter;
	char who[PROCESS_TEXT];
	int rc = find_mount(directory, &mounter, error);
	pid_t process = mounter.process;
	unsigned tries;
	bool dead;

	/* It could not be waited for. */
	if (rc)
		return rc;
	dead = !process && mounter.silent && mount_is_dead(directory);
	tries = mounter.opens ? OPEN_TRIES : BUSY_TRIES;
	rc = -EBUSY;
	/* Who only looks at it has it for a moment, or for as long as he has no processor; fusermount3 does not tell that from what else fails. */
	for (unsigned i = 0; i <= tries && (rc == -EBUSY || rc == -EIO); i++) {
		if (i && fiber_sleep(UNMOUNT_STEP))
			return -ECANCELED;
		rc = unmount(directory, i < tries, error);
	}
	/* Disks are free once it has ended. */
	for (unsigned i = 0; !rc && process && i < UNMOUNT_TRIES; i++) {
		if (process_is_gone(process))
			return 0;
		if (i % UNMOUNT_AGAIN == UNMOUNT_GRACE)
			end_copies(directory, process);
		if (fiber_sleep(UNMOUNT_STEP))
			return -ECANCELED;
	}
	if (!rc && !process && mounter.silent && !dead)
		return say_silent(shown, mounter.silent, error);
	if (rc || !process)
		return rc;
	error_set(error, -ETIMEDOUT, "%s: unmounted, but %s does not end", shown,
		  process_describe(process, who));
	return error_advise(error,
			    "where a container or another mount namespace has a copy of the mount, "
			    "close the files of it that are open there");
}

static int unmount_run(void *arg, struct error *error)
{
	const struct unmount *what = arg;
	int there = mount_is_there(what->real, error);

	if (there < 0)
		return there;
	if (!there)
		return error_set(error, -EINVAL, "%s: no volume group is mounted there",
				 what->directory);
	return mount_take_down(what->real, what->directory, error);
}

int command_unmount(int argc, char **argv)
{
	const struct cli_option options[] = { CLI_OPTION_END };
	struct unmount what;
	struct cli_words operands;
	struct error error = { 0 };
	int status;

	if (!cli_parse("unmount DIR", options, argc, argv, 1, 1, &operands, &status))
		return status;
	what.directory = operands.words[0];
	what.real = mount_real_directory(what.directory);
	if (!what.real)
		return cli_fail(-errno, (error_set(&error, -errno, "%s: %s", what.directory,
						   error_name(errno)),
					 &error));
	status = cli_on_fiber(unmount_run, &what);
	free(what.real);
	return status;
}
