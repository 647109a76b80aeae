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
#include "util/mounts.h"
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
	/* What this process is short of is not the loop device's. */
	if (code == -EMFILE)
		error_advise(error, "allow this process more open files: ulimit -n");
	else if (code != -ENFILE && code != -ENOMEM)
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

/* What the device shows, once for all that is compared with it. */
static void see(struct file_loop *loop)
{
	char path[512];
	unsigned at[2];
	bool found;
	FILE *file;

	if (loop->seen)
		return;
	loop->seen = true;
	snprintf(path, sizeof(path), "%s/dev", loop->folder);
	file = fopen(path, "re");
	if (!file) {
		loop->gone = errno == ENOENT;
		loop->rc = loop->gone ? 0 : -errno;
		return;
	}
	found = fscanf(file, "%u:%u", &at[0], &at[1]) == 2;
	fclose(file);
	loop->gone = !found;
	if (!found)
		return;
	loop->device = makedev(at[0], at[1]);
	loop->rc = block_identify_number(&loop->identity, loop->device);
}

/* Whether it shows a part of `identity` and is not below it; a negative errno where that cannot be told. */
static int overlaps(struct file_loop *loop, const struct block_identity *identity)
{
	see(loop);
	if (loop->gone || (!loop->rc && is_part_of(identity, loop->device)))
		return 0;
	return loop->rc ? loop->rc : block_identity_overlaps(identity, &loop->identity);
}

/* Whether its file is on a file system in user space, and which. */
static void find_mount(struct file_loop *loop, const struct mounts *mounts)
{
	const struct mount_point *mount;
	char path[PATH_MAX + 1];
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "%s/loop/backing_file", loop->folder);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	length = fd < 0 ? -1 : read(fd, path, sizeof(path) - 1);
	if (fd >= 0)
		close(fd);
	if (length <= 0)
		return;
	path[length] = '\0';
	path[strcspn(path, "\n")] = '\0';
	mount = mounts_of(mounts, path);
	loop->on_fuse = mount && !strncmp(mount->type, "fuse", 4);
	loop->mount = mount ? mount->device : 0;
}

/*
 * Whether its file is on a file system in user space of which `identity` has nothing. Nothing of such a one is looked at: one
 * that is stopped, as of a mount of `tenon attach`, would hold up whoever looks, for ever.
 */
static bool is_elsewhere(const struct file_loop *loop, const struct block_identity *identity)
{
	for (unsigned i = 0; loop->on_fuse && i < identity->count; i++)
		if (identity->parts[i].is_file && identity->parts[i].device == loop->mount)
			return false;
	return loop->on_fuse;
}

/* A claim on a partition is one on the whole as well: where there are partitions, they tell which. */
static int check_loop(struct file_loop *loop, const char *path,
		      const struct block_identity *identity, struct error *error)
{
	bool partitions = false;
	char pattern[512], node[300];
	glob_t found;
	int rc = is_elsewhere(loop, identity) ? 0 : overlaps(loop, identity);

	snprintf(node, sizeof(node), "/dev/%.250s", strrchr(loop->folder, '/') + 1);
	if (rc < 0)
		return cannot_look(path, node, rc, error);
	if (!rc)
		return 0;
	rc = 0;
	snprintf(pattern, sizeof(pattern), "%s/loop*p*", loop->folder);
	if (!glob(pattern, 0, NULL, &found)) {
		for (size_t i = 0; !rc && i < found.gl_pathc; i++) {
			struct file_loop partition = { .folder = found.gl_pathv[i] };
			int shown = overlaps(&partition, identity);

			block_identity_free(&partition.identity);
			if (!shown)
				continue;
			partitions = true;
			snprintf(node, sizeof(node), "/dev/%.250s",
				 strrchr(found.gl_pathv[i], '/') + 1);
			rc = shown < 0 ? cannot_look(path, node, shown, error)
				       : check_claim(path, node, error);
		}
		globfree(&found);
	}
	if (partitions)
		return rc;
	snprintf(node, sizeof(node), "/dev/%.250s", strrchr(loop->folder, '/') + 1);
	return check_claim(path, node, error);
}

/* Whether it is a loop device that shows something. `folder` is that of all of them, through which the way is short. */
static bool is_attached(int folder, const char *name)
{
	char path[300];

	if (strncmp(name, "loop", 4) != 0 || strlen(name) > 250)
		return false;
	snprintf(path, sizeof(path), "%s/loop/backing_file", name);
	return !faccessat(folder, path, F_OK, 0) || errno != ENOENT;
}

static int keep_folder(struct file_loops *list, const char *name)
{
	struct file_loop *grown = realloc(list->loops, (list->count + 1) * sizeof(*grown));
	char *folder;

	if (!grown)
		return -ENOMEM;
	list->loops = grown;
	if (asprintf(&folder, "%s/%s", LOOPS, name) < 0)
		return -ENOMEM;
	grown[list->count++] = (struct file_loop){ .folder = folder };
	return 0;
}

/* Those that show something. */
static int keep_folders(struct file_loops *list)
{
	DIR *all = opendir(LOOPS);
	const struct dirent *entry;
	int rc = 0;

	if (!all)
		return errno == ENOENT ? 0 : -errno;
	while (!rc && (errno = 0, entry = readdir(all)))
		if (is_attached(dirfd(all), entry->d_name))
			rc = keep_folder(list, entry->d_name);
	rc = rc ? rc : -errno;
	closedir(all);
	return rc;
}

int file_loops_find(struct file_loops *list, const char *path, struct error *error)
{
	struct mounts mounts = { 0 };
	int rc = keep_folders(list);

	if (rc == -ENOMEM)
		return error_set(error, rc, "no memory to look at loop devices");
	if (rc)
		return error_set(error, rc,
				 "%s: it cannot be seen which loop devices show it: %s: %s", path,
				 LOOPS, error_name(rc));
	if (list->count)
		(void)mounts_read(&mounts);
	for (unsigned i = 0; i < list->count; i++)
		find_mount(&list->loops[i], &mounts);
	mounts_free(&mounts);
	return 0;
}

void file_loops_free(struct file_loops *list)
{
	for (unsigned i = 0; i < list->count; i++) {
		free(list->loops[i].folder);
		block_identity_free(&list->loops[i].identity);
	}
	free(list->loops);
}

int file_loops_check(struct file_loops *list, const struct block_identity *identity,
		     const char *path, struct error *error)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < list->count; i++)
		rc = check_loop(&list->loops[i], path, identity, error);
	return rc;
}

int file_check_loops(const struct block_identity *identity, const char *path, struct error *error)
{
	struct file_loops list = { 0 };
	int rc = file_loops_find(&list, path, error);

	if (!rc)
		rc = file_loops_check(&list, identity, path, error);
	file_loops_free(&list);
	return rc;
}
