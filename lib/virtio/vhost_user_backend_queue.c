/* SPDX-License-Identifier: BSD-2-Clause */
/* Rings of a vhost-user back-end: when they run, and changes while they do. */
#include "virtio/vhost_user_backend_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/error.h"
#include "util/event_guard.h"
#include "util/peer_file.h"

void backend_queue_init(struct vhost_user_backend *be, unsigned index)
{
	struct backend_queue *queue = &be->queues[index];

	*queue = (struct backend_queue){ 0 };
	virtqueue_init(&queue->vq, &be->memory, index, 0);
	queue->vq.enabled = false;
}

static void close_eventfd(int *fd)
{
	peer_file_close(*fd);
	*fd = -1;
}

/* Resolves the ring in the present memory and has the device run it. */
static int start_ring(struct vhost_user_backend *be, unsigned index, struct error *error)
{
	struct backend_queue *queue = &be->queues[index];
	struct virtqueue *vq = &queue->vq;
	uint64_t desc, avail, used;
	int rc;

	virtqueue_set_features(vq, be->features);
	if (!guest_memory_user_to_guest(&be->memory, queue->address.desc,
					virtqueue_desc_bytes(queue->size), &desc) ||
	    !guest_memory_user_to_guest(&be->memory, queue->address.avail,
					virtqueue_avail_bytes(queue->size, vq->packed), &avail) ||
	    !guest_memory_user_to_guest(&be->memory, queue->address.used,
					virtqueue_used_bytes(queue->size, vq->packed), &used))
		return error_set(error, -EFAULT,
				 "%s: queue %u: its rings (user addresses 0x%" PRIx64 ", 0x%" PRIx64
				 ", 0x%" PRIx64 ") are not all in the memory table",
				 be->name, index, (uint64_t)queue->address.desc,
				 (uint64_t)queue->address.avail, (uint64_t)queue->address.used);
	if (!queue->has_base)
		queue->base = vq->packed ? VIRTQUEUE_BASE_PACKED : VIRTQUEUE_BASE_SPLIT;
	vq->was_ours = queue->was_left && queue->base == queue->left_at;
	rc = virtqueue_start(vq, queue->size, desc, avail, used, queue->base);
	if (rc == -ENOSPC)
		return error_set(error, rc,
				 "%s: queue %u: its part of the in-flight region has %" PRIu64
				 " bytes, a %s ring of %u entries needs %" PRIu64,
				 be->name, index, queue->inflight.bytes,
				 vq->packed ? "packed" : "split", queue->size,
				 virtqueue_inflight_bytes(queue->size, vq->packed));
	if (rc < 0)
		return error_set(error, rc,
				 "%s: queue %u: a %s ring of %u entries at 0x%" PRIx64
				 ", 0x%" PRIx64 ", 0x%" PRIx64 " that begins at 0x%x: %s",
				 be->name, index, vq->packed ? "packed" : "split", queue->size,
				 desc, avail, used, queue->base,
				 rc == -EINVAL ? "misaligned, or no place of it" : error_name(rc));
	if (queue->address.flags & VHOST_USER_VRING_LOG)
		vq->used_log = queue->address.log;
	rc = be->ops->queue_start(be->device, index, vq);
	if (rc < 0)
		return error_set(error, rc, "%s: queue %u does not start: %s", be->name, index,
				 error_name(rc));
	queue->running = true;
	/* Who was here before us may have ended between showing a chain and telling of it. */
	if (vq->inflight && vq->call_fd >= 0)
		(void)event_give(vq->call_fd);
	return 0;
}

static void stop_ring(struct vhost_user_backend *be, unsigned index)
{
	struct backend_queue *queue = &be->queues[index];

	if (!queue->running)
		return;
	be->ops->queue_stop(be->device, index);
	queue->running = false;
	queue->base = queue->left_at = virtqueue_base(&queue->vq);
	queue->has_base = queue->was_left = true;
	virtqueue_stop(&queue->vq);
}

int backend_queue_update(struct vhost_user_backend *be, unsigned index, struct error *error)
{
	struct backend_queue *queue = &be->queues[index];
	bool run = queue->size && queue->has_address && queue->has_kick &&
		   (be->ops->run_disabled || queue->vq.enabled);

	if (run && !queue->running)
		return start_ring(be, index, error);
	if (!run)
		stop_ring(be, index);
	return 0;
}

void backend_queue_stop(struct vhost_user_backend *be, unsigned index)
{
	struct backend_queue *queue = &be->queues[index];

	stop_ring(be, index);
	queue->has_kick = false;
	close_eventfd(&queue->vq.kick_fd);
}

void backend_queue_destroy(struct vhost_user_backend *be, unsigned index)
{
	struct backend_queue *queue = &be->queues[index];

	backend_queue_stop(be, index);
	virtqueue_stop(&queue->vq);
	close_eventfd(&queue->vq.call_fd);
	close_eventfd(&queue->vq.error_fd);
}

void backend_queue_pause(struct vhost_user_backend *be, unsigned index)
{
	struct backend_queue *queue = &be->queues[index];

	queue->paused = queue->running;
	stop_ring(be, index);
}

int backend_queue_resume(struct vhost_user_backend *be, unsigned index, struct error *error)
{
	struct backend_queue *queue = &be->queues[index];
	const char *broken = queue->vq.broken;
	int rc;

	if (!queue->paused)
		return 0;
	queue->paused = false;
	rc = start_ring(be, index, error);
	/* A pause mends nothing: a broken ring stays so until the driver sets it up anew. */
	queue->vq.broken = broken;
	return rc;
}

void backend_pause_all(struct vhost_user_backend *be)
{
	for (unsigned i = 0; i < be->queue_count; i++)
		backend_queue_pause(be, i);
}

int backend_resume_all(struct vhost_user_backend *be, struct error *error)
{
	int rc = 0;

	for (unsigned i = 0; i < be->queue_count; i++) {
		int resumed = backend_queue_resume(be, i, rc < 0 ? NULL : error);

		if (rc == 0)
			rc = resumed;
	}
	return rc;
}

void backend_queue_enable(struct vhost_user_backend *be, unsigned index, bool enabled)
{
	struct backend_queue *queue = &be->queues[index];

	if (queue->vq.enabled == enabled)
		return;
	queue->vq.enabled = enabled;
	if (queue->running && be->ops->run_disabled && be->ops->queue_enable)
		be->ops->queue_enable(be->device, index, enabled);
}

int backend_replace_eventfd(struct backend_queue *queue, int *slot, int fd)
{
	int rc, old;

	/* So that a full counter, or a pipe that nobody empties, does not hold the device up. */
	if (fd >= 0) {
		int flags = fcntl(fd, F_GETFL);

		if (flags >= 0 && !(flags & O_NONBLOCK))
			(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	}
	if (!queue->running || *slot < 0) {
		old = *slot;
		__atomic_store_n(slot, fd, __ATOMIC_RELEASE);
		peer_file_close(old);
		return 0;
	}
	/* Another thread may be about to write to it: the number stays, the file behind it is
	 * exchanged. For no file, one that nobody reads. */
	if (fd < 0)
		fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	/* Or what is exchanged would be closed here. */
	old = fd < 0 ? -1 : fcntl(*slot, F_DUPFD_CLOEXEC, 0);
	if (old < 0) {
		rc = -errno;
		peer_file_close(fd);
		return rc;
	}
	do {
		rc = dup3(fd, *slot, O_CLOEXEC);
	} while (rc < 0 && (errno == EINTR || errno == EBUSY));
	rc = rc < 0 ? -errno : 0;
	peer_file_close(fd);
	peer_file_close(old);
	return rc;
}
