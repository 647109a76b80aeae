/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a vhost-user back-end shares with its front-end besides guest memory: the region for chains in flight, the
 * dirty log, and the channel for requests of the back-end's own.
 */
#include <errno.h>
#include <inttypes.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/peer_file.h"
#include "virtio/vhost_user_backend_private.h"

/* ---- Files ---- */

int backend_check_file(const struct vhost_user_backend *be, int fd, struct error *error)
{
	return peer_file_is_prompt(fd)
		       ? 0
		       : error_set(
				 error, -EPERM,
				 "%s: its memory is a file of a file system that may have us wait, "
				 "expected a memfd, tmpfs, huge pages, or a disk's of this host",
				 be->name);
}

/* ---- Chains in flight ---- */

/* The region is the queues' parts of equal length, each beginning on a cache line of its own. */
#define PART_ALIGNMENT 64u

static int check_inflight(struct vhost_user_backend *be, const struct vhost_user_inflight *region,
			  struct error *error)
{
	if (be->ops->inflight && region->queue_count && region->queue_count <= be->queue_count &&
	    region->queue_size && region->queue_size <= VIRTQUEUE_MAX_SIZE)
		return 0;
	return error_set(
		error, -EINVAL,
		"%s: an in-flight region for %u queues of %u entries, expected up to %u of %d",
		be->name, region->queue_count, region->queue_size,
		be->ops->inflight ? be->queue_count : 0, VIRTQUEUE_MAX_SIZE);
}

int backend_get_inflight_fd(struct vhost_user_backend *be, struct vhost_user_message *message,
			    struct error *error)
{
	struct vhost_user_inflight region = message->payload.inflight;
	CLEANUP_CLOSE int fd = -1;
	int rc = check_inflight(be, &region, error);

	if (rc < 0)
		return rc;
	/* For the longest ring, whatever size the front-end names: QEMU names its device's, and its driver may
	 * choose a longer one later (SeaBIOS 1.16.3: 256 of 128). Pages that nobody touches cost nothing. */
	region.mmap_size =
		region.queue_count *
		round_up(virtqueue_inflight_bytes(VIRTQUEUE_MAX_SIZE, true), PART_ALIGNMENT);
	region.mmap_offset = 0;
	fd = memfd_create("vhost-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, (off_t)region.mmap_size) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		return error_set(error, -errno, "%s: cannot make an in-flight region: %s", be->name,
				 error_name(errno));
	be->answer_fd = steal_fd(&fd);
	message->payload.inflight = region;
	message->header.size = sizeof(region); /* with its padding, as QEMU wants it */
	return REPLY;
}

void backend_forget_inflight(struct vhost_user_backend *be)
{
	for (unsigned i = 0; i < be->queue_count; i++) {
		be->queues[i].vq.inflight = NULL;
		be->queues[i].inflight = (struct virtqueue_inflight){ .region = NULL };
	}
	memory_guard_remove(be->inflight.guard);
	if (be->inflight.mapping)
		munmap(be->inflight.mapping, be->inflight.size);
	be->inflight.mapping = NULL;
	be->inflight.guard = NULL;
}

/* Maps the file and gives each queue its part, which is as long as whoever made the region made it: that need not
 * be us. Whether the ring fits in shows when it starts. All queues are stopped. */
static int take_inflight(struct vhost_user_backend *be, const struct vhost_user_inflight *region,
			 int fd, struct error *error)
{
	uint64_t least =
		round_up(virtqueue_inflight_bytes(region->queue_size, false), PART_ALIGNMENT);
	uint64_t part = region->mmap_size / region->queue_count / PART_ALIGNMENT * PART_ALIGNMENT;
	size_t length = region->mmap_offset + region->mmap_size;
	struct memory_guard *guard;
	struct stat status;
	void *at;
	int rc;

	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || region->mmap_offset % 8 ||
	    part < least ||
	    !range_within(region->mmap_offset, region->mmap_size, (uint64_t)status.st_size))
		return error_set(error, -EINVAL,
				 "%s: an in-flight region of %" PRIu64 " bytes at %" PRIu64
				 ", expected at least %" PRIu64 " bytes, and a file that has them",
				 be->name, region->mmap_size, region->mmap_offset,
				 region->queue_count * least);
	rc = memory_guard_map(&guard, &at, &length, fd, be->fd);
	if (rc < 0)
		return error_set(error, rc, "%s: cannot map the in-flight region: %s", be->name,
				 error_name(rc));
	/* Only now: what is refused changes nothing, and what the old one tells of is not lost. */
	backend_forget_inflight(be);
	be->inflight.size = length;
	be->inflight.mapping = at;
	be->inflight.guard = guard;
	for (unsigned i = 0; i < region->queue_count; i++) {
		be->queues[i].inflight.region = (uint8_t *)at + region->mmap_offset + i * part;
		be->queues[i].inflight.bytes = part;
		be->queues[i].vq.inflight = &be->queues[i].inflight;
	}
	return 0;
}

int backend_set_inflight_fd(struct vhost_user_backend *be, struct vhost_user_message *message,
			    struct error *error)
{
	struct vhost_user_inflight region = message->payload.inflight;
	int rc = check_inflight(be, &region, error), resumed;

	if (rc < 0)
		return rc;
	if (be->receiver.fd_count != 1)
		return error_set(error, -EBADF,
				 "%s: %u files with the in-flight region, expected one", be->name,
				 be->receiver.fd_count);
	rc = backend_check_file(be, be->receiver.fds[0], error);
	if (rc < 0)
		return rc;
	backend_pause_all(be);
	rc = take_inflight(be, &region, be->receiver.fds[0], error);
	resumed = backend_resume_all(be, rc < 0 ? NULL : error);
	return rc < 0 ? rc : resumed;
}

/* ---- The dirty log ---- */

void backend_update_log(struct vhost_user_backend *be)
{
	bool wanted = be->features >> VHOST_USER_F_LOG_ALL & 1;

	be->memory.log = wanted && be->dirty.bitmap ? &be->dirty : NULL;
}

int backend_set_log_base(struct vhost_user_backend *be, struct vhost_user_message *message,
			 struct error *error)
{
	struct vhost_user_log log = message->payload.log;
	struct dirty_log fresh;
	int rc, resumed;

	if (be->receiver.fd_count != 1)
		return error_set(error, -EBADF, "%s: %u files with the dirty log, expected one",
				 be->name, be->receiver.fd_count);
	rc = backend_check_file(be, be->receiver.fds[0], error);
	if (rc < 0)
		return rc;
	rc = dirty_log_map(&fresh, be->receiver.fds[0], log.mmap_offset, log.mmap_size, be->fd,
			   error);
	if (rc < 0) {
		error_prefix(error, "%s", be->name);
		return rc;
	}
	backend_pause_all(be);
	dirty_log_unmap(&be->dirty);
	be->dirty = fresh;
	backend_update_log(be);
	resumed = backend_resume_all(be, error);
	return resumed < 0 ? resumed : backend_reply_u64(message, 0);
}

/* ---- The channel ---- */

/* Taken and kept open also where we have nothing to say, because the driver of user-mode Linux (6.1) has
 * no interrupts without it. */
static void end_channel(struct vhost_user_backend *be)
{
	if (peer_file_is_socket(be->channel_fd))
		peer_socket_close(be->channel_fd);
	else
		peer_file_close(be->channel_fd);
	be->channel_fd = -1;
}

int backend_set_backend_req_fd(struct vhost_user_backend *be, struct vhost_user_message *message,
			       struct error *error)
{
	(void)message;
	if (be->receiver.fd_count != 1)
		return error_set(error, -EINVAL,
				 "%s: %u files with the back-end's channel, expected one", be->name,
				 be->receiver.fd_count);
	end_channel(be);
	be->channel_fd = steal_fd(&be->receiver.fds[0]);
	return 0;
}

int vhost_user_backend_config_changed(struct vhost_user_backend *be)
{
	struct vhost_user_message message = {
		.header = { VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, VHOST_USER_VERSION, 0 },
	};
	uint64_t needed =
		1ULL << VHOST_USER_PROTOCOL_F_BACKEND_REQ | 1ULL << VHOST_USER_PROTOCOL_F_CONFIG;

	if (be->channel_fd < 0 || (be->protocol_features & needed) != needed)
		return -EOPNOTSUPP;
	return vhost_user_send(be->channel_fd, &message, NULL, 0, MSG_DONTWAIT);
}

void backend_close_shared(struct vhost_user_backend *be)
{
	backend_forget_inflight(be);
	dirty_log_unmap(&be->dirty);
	end_channel(be);
	cleanup_close(&be->answer_fd);
}
