/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vhost-user back-end's connection: receives messages, has them carried out, answers. What each
 * message does is in vhost_user_backend_requests.c and _memory.c, rings are in _queue.c.
 */
#include "virtio/vhost_user_backend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"
#include "util/peer_file.h"
#include "virtio/vhost_user_backend_private.h"

/* So that a front-end that never stops talking leaves others their turn. */
#define MESSAGES_PER_INPUT 64

/* Handles the message in the receiver and answers where an answer is due. */
static int handle(struct vhost_user_backend *be, struct error *error)
{
	struct vhost_user_message *message = &be->receiver.message;
	bool asked, answer;
	int rc;

	/* Read before the message is carried out: an answer is written over it. */
	asked = message->header.flags & VHOST_USER_FLAG_NEED_REPLY;
	rc = backend_dispatch(be, message, error);
	/* User-mode Linux wants an answer to the very message that negotiates answers. */
	answer = asked && be->protocol_features >> VHOST_USER_PROTOCOL_F_REPLY_ACK & 1;
	/* Before the answer: the front-end may count on it that we hold no descriptor any more. */
	vhost_user_receiver_reset(&be->receiver);
	if (rc < 0) {
		/* A front-end that cannot be told that its message failed is better hung up on than
		 * left to wait for a device that never runs. */
		if (!answer && rc != -EOPNOTSUPP)
			return rc;
		log_warning(be->log, "%s", error->text);
	}
	if (rc != REPLY) {
		if (!answer)
			return 0;
		backend_reply_u64(message, rc < 0);
	}
	message->header.flags = VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY;
	/* A front-end that asks on and on without reading the answers is not waited for. */
	rc = vhost_user_send(be->fd, message, &be->answer_fd, be->answer_fd >= 0, MSG_DONTWAIT);
	cleanup_close(&be->answer_fd);
	be->answer_fd = -1;
	if (rc < 0)
		return error_set(error, rc, "%s: cannot send an answer: %s", be->name,
				 error_name(rc));
	return 0;
}

/* The handler of SIGBUS hung up: see memory_guard.h. */
static int is_torn(const struct vhost_user_backend *be, struct error *error)
{
	return error_set(error, -EFAULT,
			 "%s: the front-end shortened a file of its memory while it was in use, or "
			 "there was no memory for it",
			 be->name);
}

int vhost_user_backend_input(struct vhost_user_backend *be, struct error *error)
{
	struct error local;

	if (!error)
		error = &local;
	for (unsigned i = 0; i < be->messages; i++) {
		int rc = vhost_user_receive(&be->receiver, be->fd, MSG_DONTWAIT);

		if (rc == -EAGAIN)
			return 0;
		if (backend_torn(be))
			return is_torn(be, error);
		if (rc == 0 || rc == -ECONNRESET)
			return -ENOTCONN;
		if (rc == -EPROTO)
			return error_set(error, rc, "%s: what came is no vhost-user message",
					 be->name);
		if (rc < 0)
			return error_set(error, rc, "%s: a message could not be received: %s",
					 be->name, peer_error_name(rc));
		rc = handle(be, error);
		/* Also while the message was carried out, so that there is nobody to answer. */
		if (rc < 0)
			return backend_torn(be) ? is_torn(be, error) : rc;
	}
	return 0;
}

int vhost_user_backend_create(struct vhost_user_backend **out, int fd_owned,
			      const struct vhost_user_backend_ops *ops, void *device,
			      const struct vhost_user_backend_options *options, struct error *error)
{
	CLEANUP_CLOSE int fd = fd_owned;
	unsigned count = ops->queue_count(device);
	struct vhost_user_backend *be;
	int flags;

	if (!count || count > VHOST_USER_VRING_INDEX_MASK + 1)
		return error_set(error, -EINVAL, "%s: %u queues, expected 1 to 256", options->name,
				 count);
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return error_set(error, -errno, "%s: the connection: %s", options->name,
				 error_name(errno));
	be = calloc(1, sizeof(*be) + count * sizeof(be->queues[0]));
	if (!be || !(be->name = strdup(options->name))) {
		free(be);
		return error_set(error, -ENOMEM, "%s: out of memory", options->name);
	}
	be->fd = steal_fd(&fd);
	peer_socket_begin(be->fd);
	be->channel_fd = be->answer_fd = -1;
	be->ops = ops;
	be->device = device;
	be->log = options->log;
	be->require_seal = options->require_seal;
	be->messages = options->messages ? options->messages : MESSAGES_PER_INPUT;
	be->queue_count = count;
	vhost_user_receiver_init(&be->receiver);
	for (unsigned i = 0; i < count; i++)
		backend_queue_init(be, i);
	*out = be;
	return 0;
}

void vhost_user_backend_stop(struct vhost_user_backend *be)
{
	for (unsigned i = 0; i < be->queue_count; i++)
		backend_queue_stop(be, i);
}

void vhost_user_backend_close(struct vhost_user_backend *be)
{
	if (!be)
		return;
	for (unsigned i = 0; i < be->queue_count; i++)
		backend_queue_destroy(be, i);
	guest_memory_clear(&be->memory);
	backend_close_shared(be);
	vhost_user_receiver_reset(&be->receiver);
	peer_socket_close(be->fd);
	free(be->name);
	free(be);
}

int vhost_user_backend_fd(const struct vhost_user_backend *be)
{
	return be->fd;
}

const struct guest_memory *vhost_user_backend_memory(const struct vhost_user_backend *be)
{
	return &be->memory;
}

struct virtqueue *vhost_user_backend_queue(struct vhost_user_backend *be, unsigned index)
{
	return index < be->queue_count ? &be->queues[index].vq : NULL;
}
