/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The requests of a vhost-user front-end that are about its rings: what they are, where, from where on, and
 * by which eventfds they speak. See vhost_user_backend_requests.c.
 */
#include "virtio/vhost_user_backend_private.h"

#include <errno.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/event.h"
#include "util/event_guard.h"
#include "util/peer_file.h"

/* The queue that a message is about, or NULL with the error set. */
static struct backend_queue *find_queue(struct vhost_user_backend *be, uint32_t index,
					struct error *error)
{
	if (index < be->queue_count)
		return &be->queues[index];
	if (be->ops->in_pairs) {
		error_set(error, -EINVAL,
			  "%s: the front-end wants queue pair %u, the port has %u: give it as many "
			  "as the machine (queues=N)",
			  be->name, index / 2 + 1, be->queue_count / 2);
		return NULL;
	}
	error_set(error, -EINVAL, "%s: queue %u, expected one below %u", be->name, index,
		  be->queue_count);
	return NULL;
}

static int refuse_running(struct vhost_user_backend *be, uint32_t index, struct error *error)
{
	return error_set(error, -EBUSY, "%s: queue %u runs, and its size and base cannot change",
			 be->name, index);
}

int backend_set_vring_num(struct vhost_user_backend *be, struct vhost_user_message *message,
			  struct error *error)
{
	struct vhost_user_vring_state state = message->payload.state;
	struct backend_queue *queue = find_queue(be, state.index, error);

	if (!queue)
		return -EINVAL;
	if (queue->running && state.number != queue->size)
		return refuse_running(be, state.index, error);
	if (!state.number || state.number > VIRTQUEUE_MAX_SIZE ||
	    (!(be->features >> VIRTIO_F_RING_PACKED & 1) && !is_power_of_two(state.number)))
		return error_set(error, -EINVAL,
				 "%s: queue %u: its size is %u, expected a power of two up to %d",
				 be->name, state.index, state.number, VIRTQUEUE_MAX_SIZE);
	queue->size = (uint16_t)state.number;
	return backend_queue_update(be, state.index, error);
}

int backend_set_vring_addr(struct vhost_user_backend *be, struct vhost_user_message *message,
			   struct error *error)
{
	struct vhost_user_vring_address address = message->payload.address;
	struct backend_queue *queue = find_queue(be, address.index, error);

	if (!queue)
		return -EINVAL;
	if (queue->has_address && queue->address.desc == address.desc &&
	    queue->address.avail == address.avail && queue->address.used == address.used &&
	    queue->address.flags == address.flags && queue->address.log == address.log)
		return 0;
	backend_queue_pause(be, address.index);
	queue->address = address;
	queue->has_address = true;
	if (queue->paused)
		return backend_queue_resume(be, address.index, error);
	return backend_queue_update(be, address.index, error);
}

int backend_set_vring_base(struct vhost_user_backend *be, struct vhost_user_message *message,
			   struct error *error)
{
	struct vhost_user_vring_state state = message->payload.state;
	struct backend_queue *queue = find_queue(be, state.index, error);

	if (!queue)
		return -EINVAL;
	if (queue->running)
		return refuse_running(be, state.index, error);
	if (state.number > UINT16_MAX && !(be->features >> VIRTIO_F_RING_PACKED & 1))
		return error_set(error, -EINVAL, "%s: queue %u: base %u is no 16-bit number",
				 be->name, state.index, state.number);
	queue->base = state.number;
	queue->has_base = true;
	return 0;
}

int backend_get_vring_base(struct vhost_user_backend *be, struct vhost_user_message *message,
			   struct error *error)
{
	struct vhost_user_vring_state state = message->payload.state;
	struct backend_queue *queue = find_queue(be, state.index, error);

	if (!queue)
		return -EINVAL;
	backend_queue_stop(be, state.index);
	if (queue->vq.inflight)
		virtqueue_inflight_settle(&queue->inflight);
	message->payload.state.number = queue->base;
	return REPLY;
}

/* Takes the eventfd of SET_VRING_KICK, _CALL or _ERR: *fd is -1 if the message says "none". */
static int take_eventfd(struct vhost_user_backend *be, const struct vhost_user_message *message,
			unsigned *index, int *fd, struct error *error)
{
	char buffer[VHOST_USER_NAME];

	*index = (unsigned)(message->payload.u64 & VHOST_USER_VRING_INDEX_MASK);
	*fd = -1;
	if (!find_queue(be, *index, error))
		return -EINVAL;
	if (message->payload.u64 & VHOST_USER_VRING_NOFD)
		return 0;
	if (be->receiver.fd_count != 1)
		return error_set(error, -EBADF,
				 "%s: %s of queue %u came with %u descriptors, "
				 "expected one",
				 be->name, vhost_user_request_name(message->header.request, buffer),
				 *index, be->receiver.fd_count);
	*fd = steal_fd(&be->receiver.fds[0]);
	return 0;
}

int backend_set_vring_kick(struct vhost_user_backend *be, struct vhost_user_message *message,
			   struct error *error)
{
	unsigned index;
	int fd, rc = take_eventfd(be, message, &index, &fd, error);

	if (rc < 0)
		return rc;
	/* A kick that is taken here is not lost: a device looks at its ring when it starts. */
	rc = fd < 0 ? 0 : event_can_be_taken(fd) ? event_take(fd) : -EBADF;
	if (rc < 0) {
		peer_file_close(fd);
		return error_set(error, -EBADF,
				 "%s: queue %u: its kick file is no eventfd, or has ended: %s",
				 be->name, index, error_name(rc));
	}
	backend_queue_pause(be, index);
	backend_replace_eventfd(&be->queues[index], &be->queues[index].vq.kick_fd, fd);
	be->queues[index].has_kick = true;
	if (be->queues[index].paused)
		return backend_queue_resume(be, index, error);
	return backend_queue_update(be, index, error);
}

static int set_eventfd(struct vhost_user_backend *be, struct vhost_user_message *message,
		       bool error_fd, struct error *error)
{
	struct backend_queue *queue;
	unsigned index;
	int fd, rc = take_eventfd(be, message, &index, &fd, error);

	if (rc < 0)
		return rc;
	if (fd >= 0 && !event_can_be_given(fd)) {
		peer_file_close(fd);
		return error_set(error, -EBADF, "%s: queue %u: its %s file is no eventfd or pipe",
				 be->name, index, error_fd ? "error" : "call");
	}
	queue = &be->queues[index];
	rc = backend_replace_eventfd(queue, error_fd ? &queue->vq.error_fd : &queue->vq.call_fd,
				     fd);
	if (rc < 0)
		return error_set(error, rc, "%s: queue %u: cannot change its eventfd: %s", be->name,
				 index, error_name(rc));
	return 0;
}

/*
 * QEMU starts a ring with an eventfd that it reads no more, and gives the one of its guest then. What was said by the first is lost; a driver
 * that waits for it would wait without end. One signal too many does no harm.
 */
int backend_set_vring_call(struct vhost_user_backend *be, struct vhost_user_message *message,
			   struct error *error)
{
	unsigned index = (unsigned)(message->payload.u64 & VHOST_USER_VRING_INDEX_MASK);
	int rc = set_eventfd(be, message, false, error);

	if (!rc && be->queues[index].running && !(message->payload.u64 & VHOST_USER_VRING_NOFD))
		(void)event_give(be->queues[index].vq.call_fd);
	return rc;
}

int backend_set_vring_err(struct vhost_user_backend *be, struct vhost_user_message *message,
			  struct error *error)
{
	return set_eventfd(be, message, true, error);
}

int backend_set_vring_enable(struct vhost_user_backend *be, struct vhost_user_message *message,
			     struct error *error)
{
	struct vhost_user_vring_state state = message->payload.state;

	if (!find_queue(be, state.index, error))
		return -EINVAL;
	if (state.number > 1)
		return error_set(error, -EINVAL, "%s: SET_VRING_ENABLE says %u, expected 0 or 1",
				 be->name, state.number);
	backend_queue_enable(be, state.index, state.number);
	return backend_queue_update(be, state.index, error);
}
