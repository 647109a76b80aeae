/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loop devices over what is to be written to: the kernel takes no locks on a file that a loop device shows, so
 * what it has mounted or claimed through one is looked for here.
 */
#include "block/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "block/identity.h"
#include "util/error.h"
#include "util/process.h"

#define LOOPS "/sys/devices/virtual/block" /* what /sys/block links to */

static bool is_part_of(const struct block_identity *identity, dev_t device)
{
	for (unsigned i = 0; i < identity->count; i++)
		if (!identity->parts[i].is_file && identity->parts[i].device == device)
			return true;
	return false;
}

static int cannot_look(const char *path, const char *node, int code, struct error *error)
{
	error_set(error, code,
		  "%s: is shown by %s too, and it cannot be seen what that is used for: %s", path,
		  node, error_name(code));
	error_advise(error, "detach it: losetup -d %s", node);
	return code;
}

/* Another process has the loop device or the like itself. */
static int say_process(int fd, const char *path, const char *node, struct error *error)
{
	char by[PROCESS_TEXT] = "another user's process";
	struct stat status;
	pid_t pid = fstat(fd, &status) ? 0 : process_with_lock(&status, getpid());

	if (pid)
		process_describe(pid, by);
	error_set(error, -EBUSY, "%s: in use through %s by %s", path, node, by);
	if (pid)
		error_advise(error, "end it, or work on a copy");
	else
		error_advise(error, "find it with `fuser -v %s`, as root", node);
	return -EBUSY;
}

/* Whether the kernel or another process has claimed the device, which shows a part of what `path` shows. */
static int check_claim(const char *path, const char *node, struct error *error)
{
	CLEANUP_CLOSE int fd = open(node, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fd < 0 && errno != EBUSY)
		return cannot_look(path, node, -errno, error);
	if (fd < 0) {
		error_set(error, -EBUSY, "%s: in use by the kernel through %s", path, node);
		error_advise(error, "unmount or stop what `lsblk %s` shows first", node);
		return -EBUSY;
	}
	if (fcntl(fd, F_OFD_GETLK, &lock) || lock.l_type == F_UNLCK)
		return 0;
	return say_process(fd, path, node, error);
}

/* Whether the device whose sysfs folder this is shows a part of `identity` and is not below it; a negative errno where
 * that cannot be told. */
static int overlaps(const char *folder, const struct block_identity *identity)
{
	struct block_identity other;
	char path[512];
	unsigned at[2];
	bool found;
	FILE *file;
	int rc;

	snprintf(path, sizeof(path), "%s/dev", folder);
	file = fopen(path, "re");
	if (!file)
		return errno == ENOENT ? 0 : -errno;
	found = fscanf(file, "%u:%u", &at[0], &at[1]) == 2;
	fclose(file);
	if (!found || is_part_of(identity, makedev(at[0], at[1])))
		return 0;
	rc = block_identify_number(&other, makedev(at[0], at[1]));
	if (rc)
		return rc;
	found = block_identity_overlaps(identity, &other);
	block_identity_free(&other);
	return found;
}

/*
 * Whether its file is on a file system in user space of which `identity` has nothing. Nothing of such a one is looked at: one
 * that is stopped, as of a mount of `tenon attach`, would hold up whoever looks, for ever.
 */
static bool is_elsewhere(const char *folder, const struct mounts *mounts,
			 const struct block_identity *identity)
{
	const struct mount_point *mount;
	char path[PATH_MAX + 1];
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "%s/loop/backing_file", folder);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	length = fd < 0 ? -1 : read(fd, path, sizeof(path) - 1);
	if (fd >= 0)
		close(fd);
	if (length <= 0)
		return false;
	path[length] = '\0';
	path[strcspn(path, "\n")] = '\0';
	mount = mounts_of(mounts, path);
	if (!mount || strncmp(mount->type, "fuse", 4) != 0)
		return false;
	for (unsigned i = 0; i < identity->count; i++)
		if (identity->parts[i].is_file && identity->parts[i].device == mount->device)
			return false;
	return true;
}

/* A claim on a partition is one on the whole as well: where there are partitions, they tell which. */
static int check_loop(const char *folder, const char *path, const struct block_identity *identity,
		      const struct mounts *mounts, struct error *error)
{
	bool partitions = false;
	char pattern[512], node[300];
	glob_t found;
	int rc = is_elsewhere(folder, mounts, identity) ? 0 : overlaps(folder, identity);

	snprintf(node, sizeof(node), "/dev/%.250s", strrchr(folder, '/') + 1);
	if (rc < 0)
		return cannot_look(path, node, rc, error);
	if (!rc)
		return 0;
	rc = 0;
	snprintf(pattern, sizeof(pattern), "%s/loop*p*", folder);
	if (!glob(pattern, 0, NULL, &found)) {
		for (size_t i = 0; !rc && i < found.gl_pathc; i++) {
			if (overlaps(found.gl_pathv[i], identity) <= 0)
				continue;
			partitions = true;
			snprintf(node, sizeof(node), "/dev/%.250s",
				 strrchr(found.gl_pathv[i], '/') + 1);
			rc = check_claim(path, node, error);
		}
		globfree(&found);
	}
	if (partitions)
		return rc;
	snprintf(node, sizeof(node), "/dev/%.250s", strrchr(folder, '/') + 1);
	return check_claim(path, node, error);
}

/* Whether it is a loop device that shows something. `folder` is that of all of them, through which the way is short. */
static bool is_attached(int folder, const char *name)
{
	char path[300];

	if (strncmp(name, "loop", 4) != 0 || strlen(name) > 250)
		return false;
	snprintf(path, sizeof(path), "%s/loop/backing_file", name);
	return !faccessat(folder, path, F_OK, 0);
}

/* Calls `fn` for the folder of each loop device that shows something, until it does not return 0. */
static int each_loop(int (*fn)(void *arg, const char *folder), void *arg)
{
	DIR *all = opendir(LOOPS);
	const struct dirent *entry;
	int rc = 0;

	if (!all)
		return errno == ENOENT ? 0 : -EIO;
	while (!rc && (entry = readdir(all))) {
		char folder[320];

		if (!is_attached(dirfd(all), entry->d_name))
			continue;
		snprintf(folder, sizeof(folder), "%s/%.250s", LOOPS, entry->d_name);
		rc = fn(arg, folder);
	}
	closedir(all);
	return rc;
}

static int not_seen(const char *path, struct error *error)
{
	return error_set(error, -EIO,
			 "%s: it cannot be seen which loop devices show it: %s cannot be read",
			 path, LOOPS);
}

struct loop_check {
	const struct block_identity *identity;
	const char *path;
	struct error *error;
	struct mounts mounts;
	bool begun;
};

static int check_one(void *arg, const char *folder)
{
	struct loop_check *check = arg;

	if (!check->begun)
		(void)mounts_read(&check->mounts);
	check->begun = true;
	return check_loop(folder, check->path, check->identity, &check->mounts, check->error);
}

int file_check_loops(const struct block_identity *identity, const char *path, struct error *error)
{
	struct loop_check check = { .identity = identity, .path = path, .error = error };
	int rc = each_loop(check_one, &check);

	mounts_free(&check.mounts);
	return rc && !check.begun ? not_seen(path, error) : rc;
}

static int keep_folder(void *arg, const char *folder)
{
	struct file_loops *list = arg;
	char **grown = realloc(list->folders, (list->count + 1) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	list->folders = grown;
	grown[list->count] = strdup(folder);
	if (!grown[list->count])
		return -ENOMEM;
	list->count++;
	return 0;
}

int file_loops_find(struct file_loops *list, const char *path, struct error *error)
{
	int rc = each_loop(keep_folder, list);

	if (!rc && list->count)
		(void)mounts_read(&list->mounts);
	if (rc == -ENOMEM)
		return error_set(error, rc, "no memory to look at loop devices");
	return rc ? not_seen(path, error) : 0;
}

void file_loops_free(struct file_loops *list)
{
	for (unsigned i = 0; i < list->count; i++)
		free(list->folders[i]);
	free(list->folders);
	mounts_free(&list->mounts);
}

int file_loops_check(const struct file_loops *list, const struct block_identity *identity,
		     const char *path, struct error *error)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < list->count; i++)
		rc = check_loop(list->folders[i], path, identity, &list->mounts, error);
	return rc;
}
