/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon vm run --disk FILE`: the vhost-user-blk back-end on a thread of this process. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "block/block.h"
#include "block/image_format.h"
#include "fiber/fiber.h"
#include "tools/vm_devices.h"
#include "util/cleanup.h"
#include "virtio/vhost_user_blk.h"

struct vm_local_disk {
	struct worker *worker;
	struct vm_local_disk_options options;
	int fd;   /* the back-end's end, until it is taken */
	int stop; /* an eventfd */
	sem_t ready;
	int rc; /* how starting went; set before `ready` */
	struct error error;
};

/* A format's bytes are not the disk's; a guest that wrote to them would destroy what is in it. */
static int check_format(const struct vm_local_disk_options *options, struct error *error)
{
	CLEANUP_CLOSE int fd = -1;
	const struct image_format *format;
	int rc;

	if (options->raw)
		return 0;
	/* What cannot be opened is told by who opens it for good. */
	fd = open(options->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	format = fd < 0 ? NULL : image_format_of_file(fd);
	if (!format)
		return 0;
	rc = image_format_refuse(format, options->path, error);
	if (format->qemu)
		error_advise(error,
			     "first `qemu-img convert -f %s -O raw %s disk.raw`; --disk %s,raw "
			     "takes its bytes as they are",
			     format->qemu, options->path, options->path);
	else
		error_advise(error, "unpack it first; --disk %s,raw takes its bytes as they are",
			     options->path);
	return rc;
}

static int open_image(const struct vm_local_disk_options *options, struct block **block,
		      struct error *error)
{
	unsigned flags = BLOCK_OPEN_LOCK | (options->read_only ? 0 : BLOCK_OPEN_WRITE);
	int rc = check_format(options, error);

	if (rc == 0)
		rc = block_open_file(block, options->path, flags, 0, error);
	if (rc == 0 && !(*block)->size) {
		error_set(error, -EINVAL, "%s: a disk of 0 bytes", options->path);
		error_advise(error, "give it a size first: truncate -s SIZE FILE");
		return -EINVAL;
	}
	return rc;
}

static int start_server(struct vm_local_disk *disk, struct vhost_user_blk_server **server)
{
	CLEANUP_BLOCK struct block *block = NULL;
	struct vhost_user_blk_options options = { .serial = disk->options.serial,
						  .log = disk->options.log };
	int rc;

	rc = open_image(&disk->options, &block, &disk->error);
	if (rc < 0)
		return rc;
	return vhost_user_blk_server_adopt(server, block, steal_fd(&disk->fd), disk->options.path,
					   &options, &disk->error);
}

static int disk_main(void *argument)
{
	struct vm_local_disk *disk = argument;
	struct vhost_user_blk_server *server = NULL;

	disk->rc = start_server(disk, &server);
	sem_post(&disk->ready);
	if (disk->rc < 0)
		return disk->rc;
	while (fiber_poll(disk->stop, POLLIN, FIBER_FOREVER) == -EINTR)
		;
	vhost_user_blk_server_stop(server);
	return 0;
}

static void free_disk(struct vm_local_disk *disk)
{
	if (disk->worker)
		worker_destroy(disk->worker);
	cleanup_close(&disk->fd);
	cleanup_close(&disk->stop);
	sem_destroy(&disk->ready);
	free(disk);
}

static int start_worker(struct vm_local_disk *disk, struct error *error)
{
	int rc = worker_create(&disk->worker, NULL, error);

	if (rc < 0)
		return rc;
	disk->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (disk->stop < 0)
		return error_set(error, -errno, "eventfd: %s", error_name(errno));
	rc = worker_start(disk->worker, "disk", disk_main, disk);
	if (rc < 0)
		return error_set(error, rc, "%s: cannot start a thread: %s", disk->options.path,
				 error_name(rc));
	while (sem_wait(&disk->ready) < 0)
		;
	if (disk->rc < 0) {
		worker_join(disk->worker);
		*error = disk->error;
	}
	return disk->rc;
}

int vm_local_disk_start(struct vm_local_disk **out, const struct vm_local_disk_options *options,
			int *fd, struct error *error)
{
	struct vm_local_disk *disk = calloc(1, sizeof(*disk));
	int pair[2], rc;

	if (!disk)
		return error_set(error, -ENOMEM, "out of memory");
	disk->options = *options;
	disk->fd = disk->stop = -1;
	sem_init(&disk->ready, 0, 0);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		free_disk(disk);
		return error_set(error, -errno, "socketpair: %s", error_name(errno));
	}
	disk->fd = pair[1];
	rc = start_worker(disk, error);
	if (rc < 0) {
		close(pair[0]);
		free_disk(disk);
		return rc;
	}
	*fd = pair[0];
	*out = disk;
	return 0;
}

void vm_local_disk_stop(struct vm_local_disk *disk)
{
	eventfd_write(disk->stop, 1);
	worker_join(disk->worker);
	free_disk(disk);
}
