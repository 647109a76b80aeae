/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `tenon attach` and `tenon detach`: a volume that is served as a block device of this host, for root.
 *
 * A loop device over the volume's file in a mount of its own (mount.h), at RUNTIME/attached/VG/LV. The loop device keeps the
 * file open, and so the disk is taken as a machine takes it, unless it is shared. What exists at each moment, and what
 * detach finds of an attach that was cut off:
 *
 *	a folder		nothing: it is used again
 *	a mount on it		the process of the mount, with no file open: detach takes it down
 *	a loop device over it	attached; the process of the mount tells it when the volume has another size
 *
 * All of that is changed by one command at a time (lock_volume()).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/cli.h"
#include "tools/devices.h"
#include "tools/host_disk.h"
#include "tools/loop.h"
#include "tools/lv_name.h"
#include "tools/mount.h"
#include "tools/runtime.h"
#include "util/cleanup.h"
#include "util/process.h"

#define LOCK_TRIES 600u /* of as long: 30 s for one that attaches or detaches it at this moment */
#define GONE_TRIES 1200u
#define GONE_STEP  50000u /* microseconds: 60 s until the kernel has let go of it */

struct attachment {
	char *name;      /* VG/LV */
	char *group;     /* VG */
	char *directory; /* of its mount */
	char *file;      /* in that */
};

static void attachment_free(struct attachment *attachment)
{
	free(attachment->name);
	free(attachment->group);
	free(attachment->directory);
	free(attachment->file);
}

static int attachment_of(struct attachment *attachment, const char *name, struct error *error)
{
	CLEANUP_FREE char *runtime = NULL, *real = NULL;
	const char *volume = strchr(name, '/') + 1;
	int rc;

	/* It becomes a path. */
	if (!strcmp(volume, ".") || !strcmp(volume, ".."))
		return error_set(error, -EINVAL, "%s: there is no volume of this name", name);
	rc = runtime_directory(&runtime, error);
	if (rc)
		return rc;
	real = realpath(runtime, NULL);
	attachment->name = strdup(name);
	attachment->group = strndup(name, (size_t)(volume - 1 - name));
	if (!real || asprintf(&attachment->directory, "%s/attached/%s", real, name) < 0)
		attachment->directory = NULL;
	if (!attachment->directory ||
	    asprintf(&attachment->file, "%s/%s", attachment->directory, volume) < 0)
		attachment->file = NULL;
	return attachment->name && attachment->group && attachment->file ? 0 : -ENOMEM;
}

/* ---- One at a time ---- */

/* Which byte of the lock file is a volume's. Two that have the same one wait for each other: no harm. */
static off_t byte_of(const char *name)
{
	uint32_t hash = 2166136261u;

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	return (off_t)hash;
}

/*
 * Whoever attaches or detaches a volume is the only one who does until he ends: what another has made half would be taken for
 * what is left of one that was cut off. A lock of POSIX's kind, which the process of the mount does not inherit.
 */
static int lock_volume(const struct attachment *attachment, int *out, struct error *error)
{
	struct flock lock = { .l_type = F_WRLCK,
			      .l_whence = SEEK_SET,
			      .l_start = byte_of(attachment->name),
			      .l_len = 1 };
	CLEANUP_FREE char *path = strndup(
		attachment->directory,
		(size_t)(strstr(attachment->directory, "/attached/") - attachment->directory));
	CLEANUP_FREE char *file = NULL;
	CLEANUP_CLOSE int fd = -1;
	char who[PROCESS_TEXT] = "another process";

	if (!path || asprintf(&file, "%s/attached.lock", path) < 0)
		return file = NULL, -ENOMEM;
	fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_set(error, -errno, "%s: %s", file, error_name(errno));
	for (unsigned i = 0; i < LOCK_TRIES; i++) {
		if (!fcntl(fd, F_SETLK, &lock)) {
			*out = steal_fd(&fd);
			return 0;
		}
		if (errno != EAGAIN && errno != EACCES)
			return error_set(error, -errno, "%s: %s", file, error_name(errno));
		usleep(GONE_STEP);
	}
	if (!fcntl(fd, F_GETLK, &lock) && lock.l_type != F_UNLCK && lock.l_pid > 0)
		process_describe(lock.l_pid, who);
	error_set(error, -EBUSY, "%s: %s attaches or detaches it", attachment->name, who);
	return error_advise(error, "wait for its end, or end it");
}

/* ---- attach ---- */

static int make_folder(const struct attachment *attachment, struct error *error)
{
	CLEANUP_FREE char *path = strdup(attachment->directory);
	char *at;

	if (!path)
		return -ENOMEM;
	/* The runtime directory is there; what is below it, this makes. */
	at = strstr(path, "/attached/") + 1;
	do {
		at = strchr(at, '/');
		if (at)
			*at = '\0';
		if (mkdir(path, 0700) && errno != EEXIST)
			return error_set(error, -errno, "%s: %s", path, error_name(errno));
		if (at)
			*at++ = '/';
	} while (at);
	return 0;
}

static void remove_folder(const struct attachment *attachment)
{
	char *slash = strrchr(attachment->directory, '/');

	rmdir(attachment->directory);
	*slash = '\0';
	rmdir(attachment->directory);
	*slash = '/';
}

struct take_down {
	const struct attachment *attachment;
};

static int take_down_run(void *arg, struct error *error)
{
	const struct take_down *down = arg;

	return mount_take_down(down->attachment->directory, down->attachment->directory, error);
}

/* As far as there is one. */
static int take_down(const struct attachment *attachment)
{
	struct take_down down = { attachment };
	struct error error = { 0 };
	int status = EXIT_DONE, there = mount_is_there(attachment->directory, &error);

	if (there < 0)
		status = cli_fail(there, &error);
	else if (there)
		status = cli_on_fiber(take_down_run, &down);
	if (status == EXIT_DONE)
		remove_folder(attachment);
	return status;
}

static int open_file(const struct attachment *attachment, bool *read_only, bool shared,
		     struct error *error)
{
	struct stat status;
	int fd;

	if (stat(attachment->file, &status)) {
		error_set(error, -errno, "%s: no running server serves it", attachment->name);
		return error_advise(error, "`tenon lv list` tells what is served");
	}
	*read_only |= !(status.st_mode & 0200);
	fd = open(attachment->file, (*read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	if (errno != EBUSY || shared)
		return error_set(error, -errno, "%s: %s", attachment->name, error_name(errno));
	if (host_disk_explain_taken(attachment->name, error) == -EBUSY)
		error_advise(error,
			     "end that, or shut the machine down that it is; or take --read-only, "
			     "which may see half of what is changed");
	return error->code;
}

static int attach(const struct attachment *attachment, bool shared, bool read_only,
		  struct error *error)
{
	CLEANUP_CLOSE int fd = open_file(attachment, &read_only, shared, error);
	int number;

	if (fd < 0)
		return fd;
	number = loop_configure(fd, attachment->file, read_only);
	if (number < 0) {
		error_set(error, number, "%s: no loop device: %s", attachment->name,
			  error_name(number));
		return error_advise(error,
				    "`modprobe loop`; a container has to be given /dev/loop*");
	}
	cli_say("/dev/loop%d", number);
	return 0;
}

static int check_root(struct error *error)
{
	if (!geteuid())
		return 0;
	error_set(error, -EPERM, "block devices are root's to make");
	return error_advise(error, "`tenon mount` shows volumes as files to anybody");
}

static int find_loop(const struct attachment *attachment, char **device, struct error *error)
{
	int rc = loop_find(attachment->file, device);

	return rc ? error_set(error, rc, "%s: which loop devices there are cannot be seen: %s",
			      attachment->name, error_name(rc))
		  : 0;
}

static int check_free(const struct attachment *attachment, struct error *error)
{
	CLEANUP_FREE char *device = NULL;
	int rc = find_loop(attachment, &device, error);

	if (rc || !device)
		return rc;
	error_set(error, -EEXIST, "%s: is attached as %s already", attachment->name, device);
	return error_advise(error, "`tenon detach %s`", attachment->name);
}

int command_attach(int argc, char **argv)
{
	CLEANUP(attachment_free) struct attachment attachment = { 0 };
	CLEANUP_CLOSE int lock = -1;
	bool shared = false, read_only = false;
	const struct cli_option options[] = {
		{ "shared", CLI_FLAG, &shared, NULL,
		  "write beside who has the disk, who must know" },
		{ "read-only", CLI_FLAG, &read_only, NULL, "nothing can be written" },
		CLI_OPTION_END,
	};
	struct error error = { 0 };
	struct cli_words operands;
	int status, rc;

	if (!cli_parse("attach VG/LV [--shared | --read-only]", options, argc, argv, 1, 1,
		       &operands, &status))
		return status;
	if (!lv_check_name(operands.words[0], &error))
		return cli_wrong_value(NULL, &error);
	if (shared && read_only)
		return cli_usage_error("give either --shared or --read-only");
	rc = check_root(&error);
	if (!rc)
		rc = attachment_of(&attachment, operands.words[0], &error);
	if (!rc)
		rc = lock_volume(&attachment, &lock, &error);
	if (!rc)
		rc = check_free(&attachment, &error);
	/* What one that was cut off has left is in the way. */
	if (!rc)
		rc = mount_is_there(attachment.directory, &error);
	if (rc > 0 && take_down(&attachment) != EXIT_DONE)
		return EXIT_FAILED;
	if (rc >= 0)
		rc = make_folder(&attachment, &error);
	if (rc)
		return cli_fail(rc, &error);
	status = mount_in_background(attachment.group, attachment.directory, attachment.file,
				     shared, read_only);
	if (status != EXIT_DONE) {
		remove_folder(&attachment);
		return status;
	}
	rc = attach(&attachment, shared, read_only, &error);
	if (!rc)
		return EXIT_DONE;
	status = cli_fail(rc, &error);
	take_down(&attachment);
	return status;
}

/* ---- detach ---- */

/* What a word means: a loop device of ours, or a volume. */
static int find_attachment(const char *word, struct attachment *attachment, struct error *error)
{
	CLEANUP_FREE char *file = NULL, *name = NULL;
	char *at;
	int rc;

	if (*word != '/') {
		if (!lv_check_name(word, error))
			return error->code;
		return attachment_of(attachment, word, error);
	}
	rc = loop_file(word, &file);
	if (rc)
		return error_set(error, rc, "%s: what it shows cannot be seen: %s", word,
				 error_name(rc));
	at = file ? strstr(file, "/attached/") : NULL;
	name = at ? strdup(at + strlen("/attached/")) : NULL;
	at = name ? strrchr(name, '/') : NULL;
	if (at)
		*at = '\0';
	if (!at || !lv_check_name(name, NULL))
		return error_set(error, -EINVAL, "%s: is no device that `tenon attach` has made",
				 word);
	rc = attachment_of(attachment, name, error);
	if (!rc && strcmp(attachment->file, file) != 0)
		rc = error_set(error, -EINVAL, "%s: is over %s, which is another user's", word,
			       file);
	return rc;
}

/* One that is mounted, or a part of something, would stay until it is not any more. */
static int let_go(const char *device, const char *over, bool force, struct error *error)
{
	CLEANUP_CLOSE int fd = open(device, O_RDONLY | O_EXCL | O_CLOEXEC);

	if (fd < 0) {
		error_set(error, -errno, "%s: %s", device,
			  errno == EBUSY ? "it is in use" : error_name(errno));
		return error_advise(error, "`lsblk %s` tells by what; unmount that first", device);
	}
	if (fsync(fd) && !force) {
		error_set(error, -errno, "%s: flushing: %s", device, error_name(errno));
		return error_advise(error,
				    "start the server again, or detach it with --force: what "
				    "was not flushed may be lost");
	}
	if (ioctl(fd, LOOP_CLR_FD))
		return error_set(error, -errno, "%s: %s", device, error_name(errno));
	cleanup_close(&fd);
	fd = -1;
	for (unsigned i = 0; i < GONE_TRIES; i++) {
		CLEANUP_FREE char *file = NULL;

		/* Somebody else may have it by now. */
		if (!loop_file(device, &file) && (!file || strcmp(file, over) != 0))
			return 0;
		usleep(GONE_STEP);
	}
	error_set(error, -EBUSY, "%s: somebody has it open", device);
	return error_advise(error, "`fuser -v %s` tells who; it goes when that ends", device);
}

int command_detach(int argc, char **argv)
{
	CLEANUP(attachment_free) struct attachment attachment = { 0 };
	CLEANUP_CLOSE int lock = -1;
	bool force = false;
	const struct cli_option options[] = {
		{ "force", CLI_FLAG, &force, NULL, "also where it cannot be flushed" },
		CLI_OPTION_END,
	};
	CLEANUP_FREE char *device = NULL;
	struct error error = { 0 };
	struct cli_words operands;
	int status, rc;

	if (!cli_parse("detach VG/LV|/dev/loopN [--force]", options, argc, argv, 1, 1, &operands,
		       &status))
		return status;
	rc = check_root(&error);
	if (!rc)
		rc = find_attachment(operands.words[0], &attachment, &error);
	if (!rc)
		rc = lock_volume(&attachment, &lock, &error);
	if (!rc)
		rc = find_loop(&attachment, &device, &error);
	if (!rc && !device)
		rc = mount_is_there(attachment.directory, &error);
	else if (!rc)
		rc = let_go(device, attachment.file, force, &error);
	if (!rc && !device)
		rc = error_set(&error, -ENOENT, "%s: is not attached", operands.words[0]);
	return rc < 0 ? cli_fail(rc, &error) : take_down(&attachment);
}
