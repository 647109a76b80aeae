/* `tenon vm run --disk FILE`: the vhost-user-blk back-end on a thread of this process. */
#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "block/block.h"
#include "fiber/fiber.h"
#include "tools/vm_devices.h"
#include "util/cleanup.h"
#include "virtio/vhost_user_blk.h"

struct vm_local_disk {
	struct worker *worker;
	const char *path;
	struct log *log;
	int fd;   /* the back-end's end, until it is taken */
	int stop; /* an eventfd */
	sem_t ready;
	int rc; /* how starting went; set before `ready` */
	struct error error;
};

static int start_server(struct vm_local_disk *disk, struct vhost_user_blk_server **server)
{
	CLEANUP_BLOCK struct block *block = NULL;
	struct vhost_user_blk_options options = { .log = disk->log };
	int rc;

	rc = block_open_file(&block, disk->path, BLOCK_OPEN_WRITE | BLOCK_OPEN_LOCK, 0,
			     &disk->error);
	if (rc < 0)
		return rc;
	return vhost_user_blk_server_adopt(server, block, steal_fd(&disk->fd), disk->path, &options,
					   &disk->error);
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
		return error_set(error, rc, "%s: cannot start a thread: %s", disk->path,
				 error_name(rc));
	while (sem_wait(&disk->ready) < 0)
		;
	if (disk->rc < 0) {
		worker_join(disk->worker);
		*error = disk->error;
	}
	return disk->rc;
}

int vm_local_disk_start(struct vm_local_disk **out, const char *path, struct log *log, int *fd,
			struct error *error)
{
	struct vm_local_disk *disk = calloc(1, sizeof(*disk));
	int pair[2], rc;

	if (!disk)
		return error_set(error, -ENOMEM, "out of memory");
	disk->path = path;
	disk->log = log;
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
