/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See qemu_disk.h.
 *
 * The socket is listened on, connected to and removed again before the child is there: it inherits the listener, with our
 * connection waiting. qemu-nbd ends by itself, in order, once its only client has gone. A kill -9 of ours kills it, and
 * leaves the image as a power cut would.
 */
#include "tools/qemu_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "block/block.h"
#include "block/file_locks.h"
#include "block/identity.h"
#include "block/image_alone.h"
#include "block/nbd.h"
#include "fiber/fiber.h"
#include "tools/child.h"
#include "tools/spawn.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/confine.h"
#include "util/error.h"

#define PACKAGE   "qemu-utils"
#define CLOSE_NS  60000000000ull
#define FORMAT_NS 60000000000ull

struct qemu_disk {
	struct child child;
	struct block *block;
	char *name, *path; /* as it was given; without symbolic links */
	int locked;        /* open with our lock, while it is read; else -1 */
	struct file_locks below;
};

struct qemu_format {
	const char *name, *qemu, *options;
};

static const struct qemu_format formats[] = {
	{ "qcow2", "qcow2", "compat=1.1" },
	{ "vmdk", "vmdk", "subformat=monolithicSparse" },
	{ "vdi", "vdi", "static=off" },
	{ "vhdx", "vhdx", "subformat=dynamic" },
	{ "vhd", "vpc", "subformat=dynamic,force_size=on" },
};

const char qemu_disk_formats[] = "qcow2, vmdk, vdi, vhdx or vhd";

static const struct qemu_format *find_format(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (!strcasecmp(name, formats[i].name))
			return &formats[i];
	return NULL;
}

bool qemu_disk_is_format(const char *format)
{
	const struct qemu_format *found = find_format(format);

	return found && !strcmp(found->name, format);
}

const char *qemu_disk_format_of_name(const char *path)
{
	const char *name = strrchr(path, '/'), *dot = strrchr(name ? name + 1 : path, '.');
	const struct qemu_format *found = dot ? find_format(dot + 1) : NULL;

	return found ? found->name : NULL;
}

/* ---- The socket ---- */

/* A listening socket, and one that is connected to it; no name is left of them. */
static int make_sockets(int *listener, int *connected, struct error *error)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char folder[] = "/tmp/tenon-nbd-XXXXXX";
	int rc = 0;

	*listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	*connected = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*listener < 0 || *connected < 0 || !mkdtemp(folder))
		return error_set(error, -errno, "a socket for qemu-nbd: %s", error_name(errno));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", folder);
	if (bind(*listener, (struct sockaddr *)&address, sizeof(address)) || listen(*listener, 1) ||
	    connect(*connected, (struct sockaddr *)&address, sizeof(address)))
		rc = error_set(error, -errno, "%s: %s", address.sun_path, error_name(errno));
	unlink(address.sun_path);
	rmdir(folder);
	return rc;
}

/* ---- Opening ---- */

static int check(const char *path, const char *format, unsigned flags, bool *is_device,
		 struct error *error)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat status;

	if (fd < 0 || fstat(fd, &status))
		return error_set(error, -errno, "%s: opening it: %s", path, error_name(errno));
	*is_device = S_ISBLK(status.st_mode);
	if (!S_ISREG(status.st_mode) && !*is_device)
		return error_set(error, -EINVAL, "%s: expected a file that holds a %s image", path,
				 format);
	return image_check_alone(fd, path, format, flags & QEMU_DISK_OTHERS, error);
}

static void unlock(struct qemu_disk *disk)
{
	if (disk->locked >= 0)
		close(disk->locked);
	disk->locked = -1;
	file_unlock(&disk->below);
}

/* Of all that uses an image, qemu-nbd heeds only what does not share it. A writer's lock of ours would keep qemu-nbd out, whose own
 * then keeps out others. */
static int lock(struct qemu_disk *disk, unsigned flags, struct error *error)
{
	bool write = flags & QEMU_DISK_WRITE;
	int rc;

	disk->locked = open(disk->path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY);
	if (disk->locked < 0)
		return error_set(error, -errno, "%s: opening it: %s", disk->name,
				 error_name(errno));
	rc = file_lock_range(disk->locked, disk->name, write, 0, BLOCK_TO_THE_END, &disk->below,
			     error);
	if (write)
		unlock(disk);
	return rc;
}

/* What qemu-nbd is to open. Without leave nothing is below it, whatever the image has become since it was looked at. */
static char *describe(const char *path, const char *format, unsigned flags, bool is_device)
{
	json_t *node = json_pack("{s:s, s:{s:s, s:s}}", "driver", find_format(format)->qemu, "file",
				 "driver", is_device ? "host_device" : "file", "filename", path);
	char *text = NULL, *all = NULL;

	if (node && !(flags & QEMU_DISK_OTHERS))
		json_object_set_new(node, "backing", json_null());
	if (node)
		text = json_dumps(node, JSON_COMPACT);
	json_decref(node);
	if (!text || asprintf(&all, "json:%s", text) < 0)
		all = NULL;
	free(text);
	return all;
}

static int refuse_name(const char *name, struct error *error)
{
	return error_set(error, -EINVAL,
			 "%s: its name is no UTF-8, which qemu-nbd wants; rename it", name);
}

static int start(struct qemu_disk *disk, const char *node, unsigned flags, int listener,
		 struct error *error)
{
	bool write = flags & QEMU_DISK_WRITE;
	const struct confine_path files[] = { { disk->path, write } };
	const struct child_options options = {
		.package = PACKAGE,
		.listener = listener,
		.files = flags & QEMU_DISK_OTHERS ? NULL : files,
		.file_count = 1,
	};
	char *argv[] = { (char *)"qemu-nbd", (char *)"--discard=unmap",
			 write ? (char *)"--shared=1" : (char *)"--read-only", (char *)node, NULL };

	return child_start(&disk->child, argv, &options, error);
}

/* Why it did not come to a connection. It knows better than we do, which see a socket that was closed. */
static int explain(struct qemu_disk *disk, int rc, struct error *error)
{
	char words[256];

	child_end(&disk->child);
	child_last_words(&disk->child, words, sizeof(words));
	if (!*words)
		return rc;
	rc = strcasestr(words, " lock") ? -EBUSY : -EIO;
	error_set(error, rc, "%s: %s: %s", disk->name, disk->child.program, words);
	if (rc == -EBUSY)
		error_advise(error, "`fuser -v %s` says who uses it", disk->name);
	return rc;
}

static int connect_once(struct qemu_disk *disk, const char *node, unsigned flags,
			struct error *error)
{
	CLEANUP_CLOSE int listener = -1;
	CLEANUP_CLOSE int connected = -1;
	int rc = make_sockets(&listener, &connected, error);

	if (!rc)
		rc = start(disk, node, flags, listener, error);
	if (rc)
		return rc;
	/* Its end is the end of the connection. */
	close(steal_fd(&listener));
	rc = block_open_nbd_socket(&disk->block, disk->name, steal_fd(&connected),
				   flags & QEMU_DISK_WRITE, error);
	if (!rc)
		return 0;
	rc = explain(disk, rc, error);
	child_forget(&disk->child);
	return rc;
}

static int open_image(struct qemu_disk *disk, const char *format, unsigned flags,
		      struct error *error)
{
	CLEANUP_FREE char *node = NULL;
	bool is_device = false;
	int rc = check(disk->name, format, flags, &is_device, error);

	if (rc)
		return rc;
	node = describe(disk->path, format, flags, is_device);
	if (!node)
		return refuse_name(disk->name, error);
	rc = lock(disk, flags, error);
	return rc ? rc : connect_once(disk, node, flags, error);
}

static void free_disk(struct qemu_disk *disk)
{
	child_forget(&disk->child);
	unlock(disk);
	free(disk->name);
	free(disk->path);
	free(disk);
}

int qemu_disk_open(struct qemu_disk **out, const char *path, const char *format, unsigned flags,
		   struct error *error)
{
	struct qemu_disk *disk = calloc(1, sizeof(*disk));
	int rc;

	if (!disk || !(disk->name = strdup(path))) {
		free(disk);
		return error_set(error, -ENOMEM, "%s: out of memory", path);
	}
	disk->child = (struct child){ .pidfd = -1, .said = -1 };
	disk->locked = -1;
	disk->path = realpath(path, NULL);
	if (!disk->path)
		rc = error_set(error, -errno, "%s: opening it: %s", path, error_name(errno));
	else
		rc = open_image(disk, format, flags, error);
	if (rc)
		free_disk(disk);
	else
		*out = disk;
	return rc;
}

struct block *qemu_disk_block(struct qemu_disk *disk)
{
	return disk->block;
}

int qemu_disk_close(struct qemu_disk *disk, struct error *error)
{
	char words[256];
	int rc;

	if (!disk)
		return 0;
	block_unref(disk->block);
	rc = child_wait(&disk->child, CLOSE_NS);
	if (rc < 0)
		child_end(&disk->child);
	child_last_words(&disk->child, words, sizeof(words));
	if (rc && !*words)
		snprintf(words, sizeof(words), "%s",
			 rc < 0 ? "it did not end within a minute" : "it did not say why");
	if (rc)
		rc = error_set(error, -EIO, "%s: closing it: %s: %s", disk->name,
			       disk->child.program, words);
	free_disk(disk);
	return rc;
}

/* ---- Making ---- */

int qemu_disk_check_host(const char *path, struct error *error)
{
	static const char *const programs[] = { "qemu-img", "qemu-nbd" };
	CLEANUP_FREE char *full = realpath(path, NULL);
	json_t *name = json_string(full ? full : path);

	if (!name)
		return refuse_name(path, error);
	json_decref(name);
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		if (spawn_finds(programs[i]))
			continue;
		error_set(error, -ENOENT, "%s: there is no such program on this host", programs[i]);
		return error_advise(error, "install the package " PACKAGE);
	}
	return 0;
}

int qemu_disk_format(const char *path, const char *format, uint64_t size, struct error *error)
{
	const struct qemu_format *how = find_format(format);
	const struct child_options options = { .package = PACKAGE, .listener = -1 };
	CLEANUP_FREE char *full = realpath(path, NULL), *file = NULL;
	struct child child;
	char number[32], words[256];
	int rc;

	/* No name of a protocol, whatever is in the path. */
	if (!full || asprintf(&file, "file:%s", full) < 0) {
		file = NULL;
		return error_set(error, -errno, "%s: %s", path, error_name(errno));
	}
	snprintf(number, sizeof(number), "%llu", (unsigned long long)round_up(size, 512));
	rc = child_start(&child,
			 (char *[]){ (char *)"qemu-img", (char *)"create", (char *)"-q",
				     (char *)"-f", (char *)how->qemu, (char *)"-o",
				     (char *)how->options, file, number, NULL },
			 &options, error);
	if (rc)
		return rc;
	rc = child_wait(&child, FORMAT_NS);
	if (rc < 0)
		child_end(&child);
	if (rc) {
		child_last_words(&child, words, sizeof(words));
		error_set(error, rc < 0 ? rc : -EIO, "%s: making a %s image: qemu-img: %s", path,
			  format, *words ? words : "it failed, and did not say why");
	}
	child_forget(&child);
	return rc < 0 ? rc : rc ? -EIO : 0;
}
