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
 *	a loop device over it	attached
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/cli.h"
#include "tools/devices.h"
#include "tools/lv_name.h"
#include "tools/mount.h"
#include "tools/runtime.h"
#include "util/cleanup.h"

#define FREE_TRIES 50u /* of finding a free loop device that nobody else takes first */
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

/* ---- Loop devices ---- */

/* The file of a loop device as the kernel tells it, or NULL. */
static char *loop_file(const char *device)
{
	CLEANUP_FREE char *path = NULL;
	char line[4096], *end;
	FILE *file;

	if (strncmp(device, "/dev/loop", 9) != 0 ||
	    asprintf(&path, "/sys/block/%s/loop/backing_file", device + 5) < 0)
		return NULL;
	file = fopen(path, "re");
	if (!file)
		return NULL;
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	fclose(file);
	line[strcspn(line, "\n")] = '\0';
	/* So the kernel says where the file's name is no more, as of a mount whose process was killed. */
	end = strrchr(line, ' ');
	if (end && !strcmp(end, " (deleted)"))
		*end = '\0';
	return strdup(line);
}

/* The loop device over `path`, or NULL. */
static char *find_loop(const char *path)
{
	glob_t found = { 0 };
	char *device = NULL;

	if (glob("/sys/block/loop*/loop/backing_file", 0, NULL, &found))
		return NULL;
	for (size_t i = 0; i < found.gl_pathc && !device; i++) {
		CLEANUP_FREE char *name = strdup(found.gl_pathv[i] + strlen("/sys/block/"));
		CLEANUP_FREE char *candidate = NULL, *file = NULL;

		if (!name)
			break;
		name[strcspn(name, "/")] = '\0';
		if (asprintf(&candidate, "/dev/%s", name) < 0)
			break;
		file = loop_file(candidate);
		if (file && !strcmp(file, path))
			device = steal_pointer(&candidate);
	}
	globfree(&found);
	return device;
}

/* Sets one up; its number, or a negative errno. */
static int loop_configure(int backing, const char *path, bool read_only)
{
	CLEANUP_CLOSE int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	struct loop_config config = {
		.fd = (uint32_t)backing,
		.info.lo_flags = LO_FLAGS_PARTSCAN | (read_only ? LO_FLAGS_READ_ONLY : 0),
	};

	if (control < 0)
		return -errno;
	snprintf((char *)config.info.lo_file_name, LO_NAME_SIZE, "%s", path);
	for (unsigned i = 0; i < FREE_TRIES; i++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);
		CLEANUP_CLOSE int device = -1;
		char name[32];

		if (number < 0)
			return -errno;
		snprintf(name, sizeof(name), "/dev/loop%d", number);
		device = open(name, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
		if (device < 0)
			return -errno;
		if (!ioctl(device, LOOP_CONFIGURE, &config))
			return number;
		if (errno != EBUSY)
			return -errno;
	}
	return -EBUSY;
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
	int status = EXIT_DONE;

	if (mount_is_there(attachment->directory))
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
	error_set(error, -errno, "%s: %s", attachment->name,
		  errno == EBUSY ? "a machine has it" : error_name(errno));
	if (error->code == -EBUSY && !shared)
		error_advise(error,
			     "shut it down, or take --read-only, which may see half of what it "
			     "changes");
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

static int check_free(const struct attachment *attachment, struct error *error)
{
	CLEANUP_FREE char *device = find_loop(attachment->file);

	if (!device)
		return 0;
	error_set(error, -EEXIST, "%s: is attached as %s already", attachment->name, device);
	return error_advise(error, "`tenon detach %s`", attachment->name);
}

int command_attach(int argc, char **argv)
{
	CLEANUP(attachment_free) struct attachment attachment = { 0 };
	bool shared = false, read_only = false;
	const struct cli_option options[] = {
		{ "shared", CLI_FLAG, &shared, NULL,
		  "write beside a machine that has the disk: it must know" },
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
		rc = check_free(&attachment, &error);
	/* What one that was cut off has left is in the way. */
	if (!rc && mount_is_there(attachment.directory) && take_down(&attachment) != EXIT_DONE)
		return EXIT_FAILED;
	if (!rc)
		rc = make_folder(&attachment, &error);
	if (rc)
		return cli_fail(rc, &error);
	status = mount_in_background(attachment.group, attachment.directory, shared, read_only);
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
	file = loop_file(word);
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
static int let_go(const char *device, bool force, struct error *error)
{
	CLEANUP_CLOSE int fd = open(device, O_RDONLY | O_EXCL | O_CLOEXEC);
	char *file;

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
		file = loop_file(device);
		if (!file)
			return 0;
		free(file);
		usleep(GONE_STEP);
	}
	error_set(error, -EBUSY, "%s: somebody has it open", device);
	return error_advise(error, "`fuser -v %s` tells who; it goes when that ends", device);
}

int command_detach(int argc, char **argv)
{
	CLEANUP(attachment_free) struct attachment attachment = { 0 };
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
		device = find_loop(attachment.file);
	if (!rc && !device && !mount_is_there(attachment.directory))
		rc = error_set(&error, -ENOENT, "%s: is not attached", operands.words[0]);
	if (!rc && device)
		rc = let_go(device, force, &error);
	return rc ? cli_fail(rc, &error) : take_down(&attachment);
}
