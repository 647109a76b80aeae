/* SPDX-License-Identifier: BSD-2-Clause */
/* What is underneath a device, by sysfs and LOOP_GET_STATUS64; see identity.h. */
#include "block/identity.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <linux/major.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "block/partition.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"

#define DEPTH_MAX 8u  /* loops over loops over ...: more than anybody stacks */
#define NODE_SIZE 256 /* of the path of a device node */

/* Where the bytes of one device lie in what is below it, while the chain is followed. */
struct identity_place {
	uint64_t start, end;
	bool exact, claimed;
	unsigned depth;
};

static int descend(struct block_identity *identity, dev_t device, int fd,
		   struct identity_place place);

static int add_part(struct block_identity *identity, struct block_part part, const char *path)
{
	struct block_part *grown;

	if (identity->count >= BLOCK_IDENTITY_PARTS_MAX)
		return -ELOOP;
	grown = realloc(identity->parts, (identity->count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	identity->parts = grown;
	part.path = path ? strdup(path) : NULL;
	grown[identity->count++] = part;
	return path && !part.path ? -ENOMEM : 0;
}

static void set_unknown(struct block_identity *identity, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void set_unknown(struct block_identity *identity, const char *format, ...)
{
	va_list arguments;

	if (identity->unknown)
		return;
	va_start(arguments, format);
	if (vasprintf(&identity->unknown, format, arguments) < 0)
		identity->unknown = NULL;
	va_end(arguments);
}

/* ---- sysfs ---- */

/* What is there and could not be read must not be taken for none: the search fails. What may not be read is not known. */
static void note_unread(struct block_identity *identity, dev_t device, int code)
{
	if (code == -ENOENT || code == -ENOTDIR || code == -ENODEV || code == -ENXIO)
		return;
	if (code == -EACCES || code == -EPERM)
		set_unknown(identity, "what device %u:%u lies on may not be seen", major(device),
			    minor(device));
	else if (!identity->failed)
		identity->failed = code;
}

/* Of a node, which may be unusable for many a reason: sysfs tells of it yet. */
static void note_shortage(struct block_identity *identity, dev_t device, int code)
{
	if (error_is_shortage(code))
		note_unread(identity, device, code);
}

static FILE *open_attribute(struct block_identity *identity, dev_t device, const char *name)
{
	char path[400];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", major(device), minor(device), name);
	file = fopen(path, "re");
	if (!file)
		note_unread(identity, device, -errno);
	return file;
}

/* The first line of an attribute of a block device; false without one. */
static bool read_attribute(struct block_identity *identity, dev_t device, const char *name,
			   char *text, size_t size)
{
	FILE *file = open_attribute(identity, device, name);
	bool found = file && fgets(text, (int)size, file);

	if (file && !found && ferror(file))
		note_unread(identity, device, -errno);
	if (file)
		fclose(file);
	if (found)
		text[strcspn(text, "\n")] = '\0';
	return found;
}

static uint64_t read_number(struct block_identity *identity, dev_t device, const char *name)
{
	char text[32];

	return read_attribute(identity, device, name, text, sizeof(text)) ? strtoull(text, NULL, 10)
									  : 0;
}

static bool read_device_number(struct block_identity *identity, dev_t device, const char *name,
			       dev_t *number)
{
	unsigned at[2];
	char text[32];

	if (!read_attribute(identity, device, name, text, sizeof(text)) ||
	    sscanf(text, "%u:%u", &at[0], &at[1]) != 2)
		return false;
	*number = makedev(at[0], at[1]);
	return true;
}

/* The node in /dev, where it is the device's. */
static bool find_node(struct block_identity *identity, dev_t device, char *path, size_t size)
{
	FILE *file = open_attribute(identity, device, "uevent");
	char line[NODE_SIZE];
	struct stat status;
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		found = !strncmp(line, "DEVNAME=", 8) &&
			(size_t)snprintf(path, size, "/dev/%s", line + 8) < size;
	}
	if (file && !found && ferror(file))
		note_unread(identity, device, -errno);
	if (file)
		fclose(file);
	if (!found)
		return false;
	if (stat(path, &status)) {
		note_shortage(identity, device, -errno);
		return false;
	}
	return S_ISBLK(status.st_mode) && status.st_rdev == device;
}

/* ---- From one device to what is below it ---- */

static struct identity_place below(const struct identity_place *above, uint64_t start,
				   uint64_t length)
{
	struct identity_place place = *above;
	uint64_t end = length == BLOCK_TO_THE_END ? length : start + length;

	place.start += start;
	place.end = above->end == BLOCK_TO_THE_END ? end : MIN(end, start + above->end);
	place.depth++;
	return place;
}

static int add_device(struct block_identity *identity, dev_t device,
		      const struct identity_place *place)
{
	const struct block_part part = {
		.device = device,
		.start = place->start,
		.end = place->end,
		.exact = place->exact,
		.claimed = place->claimed,
	};
	char node[NODE_SIZE];
	int rc = add_part(identity, part,
			  find_node(identity, device, node, sizeof(node)) ? node : NULL);

	return rc ? rc : descend(identity, device, -1, *place);
}

/* What a loop device shows, as far as it can be seen: LOOP_GET_STATUS64 knows the inode whatever its name is
 * by now, sysfs the name as it was. */
struct loop {
	char path[PATH_MAX]; /* empty: none that leads to it */
	bool is_device, known;
	dev_t device; /* of the file system, or of the block device */
	ino_t inode;
	uint64_t size;
};

static void ask_loop(struct block_identity *identity, struct loop *loop, dev_t device, int given)
{
	struct loop_info64 info;
	char node[NODE_SIZE];
	CLEANUP_CLOSE int opened = -1;
	int fd = given;

	if (fd < 0 && find_node(identity, device, node, sizeof(node))) {
		fd = opened = open(node, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			note_shortage(identity, device, -errno);
	}
	loop->known = fd >= 0 && !ioctl(fd, LOOP_GET_STATUS64, &info);
	if (!loop->known)
		return;
	/* The number of a node; else 0 or, from old kernels, the file system's once more. */
	loop->is_device = info.lo_rdevice && info.lo_rdevice != info.lo_device;
	loop->device = (dev_t)(loop->is_device ? info.lo_rdevice : info.lo_device);
	loop->inode = loop->is_device ? 0 : (ino_t)info.lo_inode;
}

/* Compares the name with what the kernel said, or believes it where that said nothing. */
static void judge_path(struct loop *loop)
{
	struct stat status;
	bool is_device;

	if (!*loop->path || stat(loop->path, &status)) {
		loop->path[0] = '\0';
		return;
	}
	is_device = S_ISBLK(status.st_mode);
	if (!loop->known) {
		loop->known = true;
		loop->is_device = is_device;
		loop->device = is_device ? status.st_rdev : status.st_dev;
		loop->inode = is_device ? 0 : status.st_ino;
	}
	if (is_device != loop->is_device ||
	    loop->device != (is_device ? status.st_rdev : status.st_dev) ||
	    loop->inode != (is_device ? 0 : status.st_ino))
		loop->path[0] = '\0';
	else
		loop->size = (uint64_t)status.st_size;
}

static int descend_loop(struct block_identity *identity, dev_t device, int fd,
			struct identity_place place)
{
	CLEANUP_FREE struct loop *loop = calloc(1, sizeof(*loop));
	struct block_part part;
	char name[200];
	uint64_t limit;

	if (!loop)
		return -ENOMEM;
	read_attribute(identity, device, "loop/backing_file", loop->path, sizeof(loop->path));
	snprintf(name, sizeof(name), "%.199s", loop->path);
	limit = read_number(identity, device, "loop/sizelimit");
	place = below(&place, read_number(identity, device, "loop/offset"),
		      limit ? limit : BLOCK_TO_THE_END);
	place.claimed = false;
	ask_loop(identity, loop, device, fd);
	if (!loop->known || !identity->nameless)
		judge_path(loop);
	if (!loop->known || (!loop->is_device && !*loop->path))
		set_unknown(identity,
			    "%s, which loop%u shows, cannot be reached from here (deleted, or in "
			    "another mount namespace)",
			    name, minor(device));
	if (!loop->known)
		return 0;
	if (loop->is_device)
		return add_device(identity, loop->device, &place);
	part = (struct block_part){ .is_file = true,
				    .device = loop->device,
				    .inode = loop->inode,
				    .size = loop->size,
				    .start = place.start,
				    .end = place.end,
				    .exact = place.exact };
	return add_part(identity, part, *loop->path ? loop->path : NULL);
}

/* Device-mapper, the kernel's md, bcache: on parts of all their slaves. */
static int descend_slaves(struct block_identity *identity, dev_t device,
			  struct identity_place place)
{
	char path[64], uuid[16] = "";
	struct dirent *entry;
	DIR *slaves;
	int rc = 0;

	if (!place.depth)
		identity->assembled =
			major(device) == MD_MAJOR ||
			(read_attribute(identity, device, "dm/uuid", uuid, sizeof(uuid)) &&
			 !strncmp(uuid, "mpath-", 6));

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/slaves", major(device), minor(device));
	slaves = opendir(path);
	if (!slaves)
		note_unread(identity, device, -errno);
	place = (struct identity_place){ .end = BLOCK_TO_THE_END,
					 .claimed = true,
					 .depth = place.depth + 1 };
	while (!rc && slaves && (errno = 0, entry = readdir(slaves))) {
		char name[300];
		dev_t slave;

		snprintf(name, sizeof(name), "slaves/%s/dev", entry->d_name);
		if (entry->d_name[0] != '.' && read_device_number(identity, device, name, &slave))
			rc = add_device(identity, slave, &place);
	}
	if (!rc && slaves && errno)
		note_unread(identity, device, -errno);
	if (slaves)
		closedir(slaves);
	return rc;
}

/* `fd`: the device, or a partition of it, where it is open; else -1. */
static int descend(struct block_identity *identity, dev_t device, int fd,
		   struct identity_place place)
{
	char text[8];
	dev_t whole;

	if (place.depth > DEPTH_MAX)
		return -ELOOP;
	if (read_number(identity, device, "partition") &&
	    read_device_number(identity, device, "../dev", &whole)) {
		place = below(&place, read_number(identity, device, "start") * 512,
			      read_number(identity, device, "size") * 512);
		place.claimed = true;
		return add_device(identity, whole, &place);
	}
	if (read_attribute(identity, device, "loop/backing_file", text, sizeof(text)))
		return descend_loop(identity, device, fd, place);
	return descend_slaves(identity, device, place);
}

/* ---- Identities ---- */

/* Half of what is below is nothing to go by. */
static int found_out(struct block_identity *identity, int rc)
{
	rc = rc ? rc : identity->failed;
	if (rc)
		block_identity_free(identity);
	return rc;
}

int block_identify_number(struct block_identity *identity, dev_t device)
{
	const struct identity_place place = { .end = BLOCK_TO_THE_END, .exact = true };
	int rc;

	*identity = (struct block_identity){ .nameless = true };
	rc = add_device(identity, device, &place);
	return found_out(identity, rc == -ELOOP ? 0 : rc);
}

static int identify(struct block_identity *identity, const struct stat *status, int fd,
		    const char *path)
{
	struct block_part part = { .end = BLOCK_TO_THE_END, .exact = true };
	const struct identity_place place = { .end = BLOCK_TO_THE_END, .exact = true };
	char node[NODE_SIZE];
	int rc;

	*identity = (struct block_identity){ 0 };
	if (!S_ISREG(status->st_mode) && !S_ISBLK(status->st_mode))
		return 0;
	part.is_file = S_ISREG(status->st_mode);
	part.device = part.is_file ? status->st_dev : status->st_rdev;
	part.inode = part.is_file ? status->st_ino : 0;
	part.size = part.is_file ? (uint64_t)status->st_size : 0;
	if (!part.is_file && find_node(identity, part.device, node, sizeof(node)))
		path = node;
	rc = add_part(identity, part, path);
	if (!rc && !part.is_file)
		rc = descend(identity, part.device, fd, place);
	if (rc == -ELOOP) {
		set_unknown(identity, "it lies on more devices than can be followed");
		rc = 0;
	}
	return found_out(identity, rc);
}

int block_identify(struct block_identity *identity, int fd, const char *path)
{
	struct stat status;

	*identity = (struct block_identity){ 0 };
	return fstat(fd, &status) ? -errno : identify(identity, &status, fd, path);
}

static int identify_partition(struct block_identity *identity, const char *path, unsigned number)
{
	uint64_t start, length;
	int rc = partition_locate(path, number, &start, &length, NULL);

	if (!rc)
		rc = block_identify_path(identity, path);
	if (!rc)
		block_identity_narrow(identity, start, length);
	return rc;
}

int block_identify_path(struct block_identity *identity, const char *path)
{
	CLEANUP_FREE char *whole = NULL;
	CLEANUP_CLOSE int fd = -1;
	struct stat status;
	unsigned number;

	*identity = (struct block_identity){ 0 };
	if (partition_split(path, &whole, &number))
		return identify_partition(identity, whole, number);
	if (stat(path, &status))
		return -errno;
	/* Without permission sysfs still tells of the names. */
	if (S_ISBLK(status.st_mode))
		fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return identify(identity, &status, fd, path);
}

void block_identity_free(struct block_identity *identity)
{
	for (unsigned i = 0; i < identity->count; i++)
		free(identity->parts[i].path);
	free(identity->parts);
	free(identity->unknown);
	*identity = (struct block_identity){ 0 };
}

void block_identity_narrow(struct block_identity *identity, uint64_t offset, uint64_t length)
{
	for (unsigned i = 0; i < identity->count; i++) {
		struct block_part *part = &identity->parts[i];

		if (!part->exact)
			continue;
		part->start += offset;
		part->end = MIN(part->end, part->start + length);
	}
}

const struct block_part *block_identity_bottom(const struct block_identity *identity)
{
	for (unsigned i = identity->count; i-- > 0;)
		if (identity->parts[i].exact)
			return &identity->parts[i];
	return NULL;
}

static bool is_same_object(const struct block_part *one, const struct block_part *other)
{
	return one->is_file == other->is_file && one->device == other->device &&
	       one->inode == other->inode;
}

bool block_identity_overlaps(const struct block_identity *one, const struct block_identity *other)
{
	for (unsigned i = 0; i < one->count; i++)
		for (unsigned k = 0; k < other->count; k++) {
			const struct block_part *a = &one->parts[i], *b = &other->parts[k];

			if (is_same_object(a, b) && a->start < b->end && b->start < a->end &&
			    (a->exact || b->exact))
				return true;
		}
	return false;
}

static uint64_t end_now(const struct block_part *part)
{
	return part->size ? MIN(part->end, part->size) : part->end;
}

bool block_identity_same(const struct block_identity *one, const struct block_identity *other)
{
	const struct block_part *a = block_identity_bottom(one), *b = block_identity_bottom(other);

	return a && b && is_same_object(a, b) && a->start == b->start && end_now(a) == end_now(b);
}
