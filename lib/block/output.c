/* SPDX-License-Identifier: BSD-2-Clause */
/* See output.h. */
#include "block/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/identity.h"
#include "block/signature.h"
#include "util/error.h"

bool output_is_text(const void *head, size_t length)
{
	return !memchr(head, '\0', length);
}

static int fail(const char *path, int code, struct error *error)
{
	error_set(error, code, "%s: opening it for writing: %s", path, error_name(code));
	if (code == -ENOENT)
		error_advise(error, "create the folder first");
	else if (code == -EBUSY)
		error_advise(error, "see `lsblk %s` for what uses it", path);
	return code;
}

static int set_blocking(int fd, bool blocking)
{
	int flags = fcntl(fd, F_GETFL);

	flags = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) ? -errno : 0;
}

/* ---- Descriptors that we were started with ---- */

/* The number of the descriptor that `path` stands for, or -1. */
static int inherited(const char *path)
{
	static const char *const folders[] = { "/dev/fd/", "/proc/self/fd/" };

	if (!strcmp(path, "-") || !strcmp(path, "/dev/stdout"))
		return STDOUT_FILENO;
	if (!strcmp(path, "/dev/stderr"))
		return STDERR_FILENO;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		size_t length = strlen(folders[i]);
		const char *digits = path + length;

		if (!strncmp(path, folders[i], length) && *digits &&
		    strspn(digits, "0123456789") == strlen(digits) && strlen(digits) < 8)
			return atoi(digits);
	}
	return -1;
}

bool output_is_descriptor(const char *path)
{
	return inherited(path) >= 0;
}

bool output_is_standard(const char *path)
{
	return inherited(path) == STDOUT_FILENO;
}

/* A description of our own where the mode is ours to choose: O_NONBLOCK on the one that a shell handed over
 * would be the shell's too. */
static int open_inherited(struct output *out, int number, const char *path, unsigned flags,
			  struct error *error)
{
	struct stat status;
	char again[32];

	if (fstat(number, &status))
		return fail(path, -errno, error);
	/* A parent that closed it is not asking for a copy to nowhere. */
	if ((fcntl(number, F_GETFL) & O_ACCMODE) == O_RDONLY)
		return fail(path, -EBADF, error);
	out->fd = -1;
	if (flags & OUTPUT_NONBLOCK && (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode))) {
		snprintf(again, sizeof(again), "/proc/self/fd/%d", number);
		out->fd = open(again, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	}
	if (out->fd < 0)
		out->fd = fcntl(number, F_DUPFD_CLOEXEC, 3);
	if (out->fd < 0)
		return fail(path, -errno, error);
	out->is_file = S_ISREG(status.st_mode);
	return 0;
}

/* ---- What is not a file ---- */

/* `follow`: 0 or O_NOFOLLOW. */
static int open_stream(struct output *out, const char *path, int follow, unsigned flags,
		       struct error *error)
{
	const int mode = O_WRONLY | O_NOCTTY | O_CLOEXEC | follow;
	struct stat status;
	bool is_fifo = !stat(path, &status) && S_ISFIFO(status.st_mode);
	int rc = 0;

	out->fd = open(path, mode | O_NONBLOCK);
	if (out->fd < 0 && errno == ENXIO && is_fifo && flags & OUTPUT_WAIT)
		out->fd = open(path, mode);
	if (out->fd < 0 && errno == ENXIO && is_fifo) {
		error_set(error, -ENXIO, "%s: nobody reads this FIFO", path);
		error_advise(error, "start what reads it first");
		return -ENXIO;
	}
	if (out->fd < 0)
		return fail(path, -errno, error);
	rc = set_blocking(out->fd, !(flags & OUTPUT_NONBLOCK));
	return rc ? fail(path, rc, error) : 0;
}

/* Made for one reader by somebody else, who may have removed it since: nothing is made in its place, and no link is followed. */
static int open_fifo(struct output *out, const char *path, unsigned flags, struct error *error)
{
	struct stat status;
	int rc;

	if (lstat(path, &status))
		return error_set(error, -errno, "%s: opening the FIFO for writing: %s", path,
				 error_name(errno));
	rc = S_ISFIFO(status.st_mode) ? open_stream(out, path, O_NOFOLLOW, flags, error) : -EINVAL;
	if (!rc && (fstat(out->fd, &status) || !S_ISFIFO(status.st_mode)))
		rc = -EINVAL;
	if (rc == -EINVAL)
		error_set(error, rc, "%s: expected a FIFO", path);
	return rc;
}

static int open_device(struct output *out, const char *path, unsigned flags, struct error *error)
{
	if (!(flags & OUTPUT_FORCE)) {
		error_set(error, -EEXIST, "%s: is a block device, expected a file", path);
		error_advise(error, "give --force to write to it, if nothing on it is needed");
		return -EEXIST;
	}
	out->fd = open(path, O_RDWR | O_EXCL | O_CLOEXEC);
	if (out->fd < 0)
		return fail(path, -errno, error);
	return file_lock_range(out->fd, path, true, 0, BLOCK_TO_THE_END, &out->below, error);
}

/* ---- Files ---- */

/* Without emptying it. A path that ends in a symbolic link to nothing makes what the link names. */
static int open_unemptied(struct output *out, const char *path)
{
	const int mode = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

	for (unsigned attempt = 0; attempt < 3; attempt++) {
		out->fd = open(path, O_RDWR | mode);
		if (out->fd < 0 && errno == EACCES)
			out->fd = open(path, O_WRONLY | mode);
		if (out->fd >= 0 || errno != ENOENT)
			break;
		out->fd = open(path, O_RDWR | O_CREAT | O_EXCL | mode, 0666);
		out->created = out->fd >= 0;
		if (out->fd < 0 && errno == EEXIST && attempt)
			out->fd = open(path, O_RDWR | O_CREAT | mode, 0666);
		if (out->fd >= 0 || errno != EEXIST)
			break;
	}
	return out->fd >= 0 ? 0 : -errno;
}

static int refuse(const char *path, const char *holds, const char *expected, struct error *error)
{
	if (expected)
		error_set(error, -EEXIST, "%s: holds %s, expected %s or nothing", path, holds,
			  expected);
	else
		error_set(error, -EEXIST, "%s: holds %s", path, holds);
	error_advise(error, "name another file, or give --force if nothing in it is needed");
	return -EEXIST;
}

int output_check_content(int fd, const char *path, const struct output_kind *kind,
			 struct error *error)
{
	struct block_signature found;
	char head[OUTPUT_HEAD], what[160];
	struct stat status;
	ssize_t got;
	int rc;

	if (fstat(fd, &status))
		return fail(path, -errno, error);
	if (!status.st_size)
		return 0;
	got = pread(fd, head, sizeof(head), 0);
	if (got <= 0)
		return refuse(path, "what cannot be read, so it is not known what", NULL, error);
	rc = block_signature_find_file(fd, &found);
	if (rc < 0)
		return refuse(path, "what cannot be searched for signatures", NULL, error);
	if (rc > 0) {
		snprintf(what, sizeof(what), "%s %s (magic at byte %llu)",
			 strchr("aeioxLF", found.name[0]) ? "an" : "a", found.name,
			 (unsigned long long)found.offset);
		return refuse(path, what, kind ? kind->name : NULL, error);
	}
	if (!kind || kind->matches(head, (size_t)got))
		return 0;
	snprintf(what, sizeof(what), "%llu bytes of something else",
		 (unsigned long long)status.st_size);
	return refuse(path, what, kind->name, error);
}

static int open_file(struct output *out, const char *path, unsigned flags,
		     const struct output_kind *kind, struct error *error)
{
	struct stat status;
	int rc = open_unemptied(out, path);

	if (rc)
		return fail(path, rc, error);
	if (fstat(out->fd, &status))
		return fail(path, -errno, error);
	if (!S_ISREG(status.st_mode))
		return error_set(error, -EAGAIN, "%s: it was replaced while it was opened", path);
	out->is_file = true;
	rc = file_lock_range(out->fd, path, true, 0, BLOCK_TO_THE_END, &out->below, error);
	if (!rc && !(flags & OUTPUT_FORCE))
		rc = output_check_content(out->fd, path, kind, error);
	out->later = !(flags & OUTPUT_APPEND);
	if (!rc && !(flags & OUTPUT_LATER))
		rc = output_empty(out, path, error);
	/* The probes may have moved it. */
	if (!rc && lseek(out->fd, 0, SEEK_SET) < 0)
		rc = fail(path, -errno, error);
	if (!rc && fcntl(out->fd, F_SETFL, flags & OUTPUT_APPEND ? O_APPEND : 0))
		rc = fail(path, -errno, error);
	return rc;
}

int output_open(struct output *out, const char *path, unsigned flags,
		const struct output_kind *kind, struct error *error)
{
	int number = inherited(path), rc;
	struct stat status;
	bool exists;

	*out = (struct output){ .fd = -1 };
	if (number >= 0 && !(flags & OUTPUT_FIFO))
		return open_inherited(out, number, path, flags, error);
	exists = !stat(path, &status);
	if (exists && !(flags & OUTPUT_FIFO) &&
	    (S_ISDIR(status.st_mode) || S_ISSOCK(status.st_mode)))
		return error_set(error, -EINVAL, "%s: is a %s, expected a file", path,
				 S_ISDIR(status.st_mode) ? "folder" : "socket");
	if (flags & OUTPUT_FIFO)
		rc = open_fifo(out, path, flags, error);
	else if (exists && S_ISBLK(status.st_mode))
		rc = open_device(out, path, flags, error);
	else if (exists && !S_ISREG(status.st_mode))
		rc = open_stream(out, path, 0, flags, error);
	else
		rc = open_file(out, path, flags, kind, error);
	if (rc)
		output_discard(out, path);
	return rc;
}

int output_empty(struct output *out, const char *path, struct error *error)
{
	if (!out->later)
		return 0;
	out->later = false;
	if (!ftruncate(out->fd, 0))
		return 0;
	return error_set(error, -errno, "%s: emptying it: %s", path, error_name(errno));
}

void output_remove(int fd, const char *path)
{
	struct stat ours, there;

	if (fd >= 0 && !fstat(fd, &ours) && !lstat(path, &there) && ours.st_dev == there.st_dev &&
	    ours.st_ino == there.st_ino)
		unlink(path);
}

void output_discard(struct output *out, const char *path)
{
	if (out->created)
		output_remove(out->fd, path);
	output_close(out);
}

void output_close(struct output *out)
{
	if (out->fd >= 0)
		close(out->fd);
	file_unlock(&out->below);
	*out = (struct output){ .fd = -1 };
}
