/* SPDX-License-Identifier: BSD-2-Clause */
/* See loop.h. */
#include "tools/loop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

#define FREE_TRIES 50u /* of finding a free loop device that nobody else takes first */

/* Of a loop device by its name ("loop0"). */
static int read_file(const char *name, char **out)
{
	CLEANUP_FREE char *path = NULL;
	char line[4096], *end;
	FILE *file;

	*out = NULL;
	if (asprintf(&path, "/sys/block/%s/loop/backing_file", name) < 0)
		return path = NULL, -ENOMEM;
	file = fopen(path, "re");
	if (!file)
		return errno == ENOENT ? 0 : -errno;
	/* It may have been let go of since: then it says nothing, or is no more. */
	if (!fgets(line, sizeof(line), file)) {
		int rc = ferror(file) && errno != ENODEV ? -errno : 0;

		fclose(file);
		return rc;
	}
	fclose(file);
	line[strcspn(line, "\n")] = '\0';
	/* So the kernel says where the file's name is no more, as of a mount whose process was killed. */
	end = strrchr(line, ' ');
	if (end && !strcmp(end, " (deleted)"))
		*end = '\0';
	*out = strdup(line);
	return *out ? 0 : -ENOMEM;
}

int loop_file(const char *device, char **file)
{
	*file = NULL;
	return strncmp(device, "/dev/loop", 9) ? 0 : read_file(device + 5, file);
}

int loop_find(const char *path, char **device)
{
	DIR *all = opendir("/sys/block");
	const struct dirent *entry;
	int rc = 0;

	*device = NULL;
	if (!all)
		return -errno;
	while (!rc && !*device && (errno = 0, entry = readdir(all))) {
		CLEANUP_FREE char *file = NULL;

		if (strncmp(entry->d_name, "loop", 4))
			continue;
		rc = read_file(entry->d_name, &file);
		if (file && !strcmp(file, path) && asprintf(device, "/dev/%s", entry->d_name) < 0)
			*device = NULL, rc = -ENOMEM;
		errno = 0;
	}
	rc = rc ? rc : -errno;
	closedir(all);
	return rc;
}

int loop_configure(int backing, const char *path, bool read_only)
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

int loop_follow_size(const char *path)
{
	CLEANUP_FREE char *device = NULL;
	CLEANUP_CLOSE int fd = -1;
	struct stat status;
	uint64_t size;
	int rc;

	/* The kernel goes by the length that the file had when somebody last looked. */
	if (stat(path, &status))
		return -errno;
	rc = loop_find(path, &device);
	if (rc || !device)
		return rc;
	fd = open(device, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &size))
		return -errno;
	/* Told again while the mount is killed, the kernel would take no answer for no bytes. */
	if (size == (uint64_t)status.st_size / 512 * 512)
		return 0;
	return ioctl(fd, LOOP_SET_CAPACITY, 0) ? -errno : 0;
}
