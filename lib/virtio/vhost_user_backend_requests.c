/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The requests of a vhost-user front-end: a line for each in `requests`, with the payload sizes it may have
 * and its handler.
 *
 * A handler returns 0 (done), REPLY (it has put the answer into the message), or a negative errno with the
 * error set. Descriptors stay in the receiver, which closes them, unless a handler takes them out.
 */
#include "virtio/vhost_user_backend_private.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/event.h"
#include "util/log.h"

#define STATUS_NEEDS_RESET 0x40 /* virtio 1.2, 2.1 */

typedef int handler_fn(struct vhost_user_backend *be, struct vhost_user_message *message,
		       struct error *error);

int backend_reply_u64(struct vhost_user_message *message, uint64_t value)
{
	message->payload.u64 = value;
	message->header.size = sizeof(value);
	return REPLY;
}

static uint64_t offered_features(struct vhost_user_backend *be)
{
	return be->ops->features(be->device) | 1ULL << VHOST_USER_F_PROTOCOL_FEATURES |
	       1ULL << VHOST_USER_F_LOG_ALL;
}

static uint64_t offered_protocol_features(const struct vhost_user_backend *be)
{
	uint64_t features = 1ULL << VHOST_USER_PROTOCOL_F_MQ |
			    1ULL << VHOST_USER_PROTOCOL_F_LOG_SHMFD |
			    1ULL << VHOST_USER_PROTOCOL_F_REPLY_ACK |
			    1ULL << VHOST_USER_PROTOCOL_F_BACKEND_REQ |
			    1ULL << VHOST_USER_PROTOCOL_F_RESET_DEVICE |
			    1ULL << VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS |
			    1ULL << VHOST_USER_PROTOCOL_F_STATUS;

	if (be->ops->inflight)
		features |= 1ULL << VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD;
	if (be->ops->get_config)
		features |= 1ULL << VHOST_USER_PROTOCOL_F_CONFIG;
	if (be->ops->set_mtu)
		features |= 1ULL << VHOST_USER_PROTOCOL_F_MTU;
	if (be->ops->send_rarp)
		features |= 1ULL << VHOST_USER_PROTOCOL_F_RARP;
	return features;
}

static int get_features(struct vhost_user_backend *be, struct vhost_user_message *message,
			struct error *error)
{
	(void)error;
	return backend_reply_u64(message, offered_features(be));
}

static int set_features(struct vhost_user_backend *be, struct vhost_user_message *message,
			struct error *error)
{
	uint64_t features = message->payload.u64;
	int rc;

	if (features & ~offered_features(be))
		return error_set(error, -EINVAL,
				 "%s: the front-end wants features 0x%" PRIx64
				 ", expected a part of 0x%" PRIx64,
				 be->name, features, offered_features(be));
	backend_pause_all(be);
	be->features = features;
	backend_update_log(be);
	if (be->ops->features_set)
		be->ops->features_set(be->device, vhost_user_backend_features(be));
	rc = backend_resume_all(be, error);
	if (features >> VHOST_USER_F_PROTOCOL_FEATURES & 1)
		return rc;
	for (unsigned i = 0; i < be->queue_count && rc == 0; i++) {
		backend_queue_enable(be, i, true);
		rc = backend_queue_update(be, i, error);
	}
	return rc;
}

static int get_protocol_features(struct vhost_user_backend *be, struct vhost_user_message *message,
				 struct error *error)
{
	(void)error;
	return backend_reply_u64(message, offered_protocol_features(be));
}

static int set_protocol_features(struct vhost_user_backend *be, struct vhost_user_message *message,
				 struct error *error)
{
	uint64_t features = message->payload.u64;

	if (features & ~offered_protocol_features(be))
		return error_set(error, -EINVAL,
				 "%s: the front-end wants protocol features 0x%" PRIx64
				 ", expected a part of 0x%" PRIx64,
				 be->name, features, offered_protocol_features(be));
	be->protocol_features = features;
	return 0;
}

static int get_queue_num(struct vhost_user_backend *be, struct vhost_user_message *message,
			 struct error *error)
{
	(void)error;
	/* QEMU and DPDK take a NIC's answer as pairs. */
	return backend_reply_u64(message,
				 be->ops->in_pairs ? be->queue_count / 2 : be->queue_count);
}

/* SET_OWNER begins a session, which the connection did already. RESET_OWNER is deprecated, and the
 * specification recommends to ignore it. SET_LOG_FD is to be told of new dirty pages, which nobody waits for. */
static int ignore(struct vhost_user_backend *be, struct vhost_user_message *message,
		  struct error *error)
{
	(void)be;
	(void)message;
	(void)error;
	return 0;
}

static int get_max_mem_slots(struct vhost_user_backend *be, struct vhost_user_message *message,
			     struct error *error)
{
	(void)be;
	(void)error;
	return backend_reply_u64(message, GUEST_MEMORY_MAX_REGIONS);
}

/* ---- Rings ---- */

/* The queue that a message is about, or NULL with the error set. */
static struct backend_queue *find_queue(struct vhost_user_backend *be, uint32_t index,
					struct error *error)
{
	if (index < be->queue_count)
		return &be->queues[index];
	if (be->ops->in_pairs) {
		error_set(error, -EINVAL,
			  "%s: the front-end wants queue pair %u, there are %u (QEMU: queues=%u)",
			  be->name, index / 2 + 1, be->queue_count / 2, be->queue_count / 2);
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

static int set_vring_num(struct vhost_user_backend *be, struct vhost_user_message *message,
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

static int set_vring_addr(struct vhost_user_backend *be, struct vhost_user_message *message,
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

static int set_vring_base(struct vhost_user_backend *be, struct vhost_user_message *message,
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

static int get_vring_base(struct vhost_user_backend *be, struct vhost_user_message *message,
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

static int set_vring_kick(struct vhost_user_backend *be, struct vhost_user_message *message,
			  struct error *error)
{
	unsigned index;
	int fd, rc = take_eventfd(be, message, &index, &fd, error);

	if (rc < 0)
		return rc;
	/* A kick that is taken here is not lost: a device looks at its ring when it starts. */
	rc = fd < 0 ? 0 : event_take(fd);
	if (rc < 0) {
		close(fd);
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
	queue = &be->queues[index];
	rc = backend_replace_eventfd(queue, error_fd ? &queue->vq.error_fd : &queue->vq.call_fd,
				     fd);
	if (rc < 0)
		return error_set(error, rc, "%s: queue %u: cannot change its eventfd: %s", be->name,
				 index, error_name(rc));
	return 0;
}

static int set_vring_call(struct vhost_user_backend *be, struct vhost_user_message *message,
			  struct error *error)
{
	return set_eventfd(be, message, false, error);
}

static int set_vring_err(struct vhost_user_backend *be, struct vhost_user_message *message,
			 struct error *error)
{
	return set_eventfd(be, message, true, error);
}

static int set_vring_enable(struct vhost_user_backend *be, struct vhost_user_message *message,
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

/* ---- Device ---- */

static int get_config(struct vhost_user_backend *be, struct vhost_user_message *message,
		      struct error *error)
{
	struct vhost_user_config *config = &message->payload.config;

	(void)error;
	/* The answer to a request that cannot be met is one without payload. */
	if (!be->ops->get_config ||
	    message->header.size != VHOST_USER_CONFIG_HEADER + (uint64_t)config->size ||
	    !range_within(config->offset, config->size, VHOST_USER_MAX_CONFIG) ||
	    be->ops->get_config(be->device, config->offset, config->data, config->size) < 0)
		message->header.size = 0;
	return REPLY;
}

static int set_config(struct vhost_user_backend *be, struct vhost_user_message *message,
		      struct error *error)
{
	const struct vhost_user_config *config = &message->payload.config;
	int rc = -EOPNOTSUPP;

	if (message->header.size != VHOST_USER_CONFIG_HEADER + (uint64_t)config->size ||
	    !range_within(config->offset, config->size, VHOST_USER_MAX_CONFIG))
		return error_set(error, -EPROTO,
				 "%s: SET_CONFIG of %u bytes at %u in a payload of %u", be->name,
				 config->size, config->offset, message->header.size);
	if (be->ops->set_config)
		rc = be->ops->set_config(be->device, config->offset, config->data, config->size,
					 config->flags & 1);
	/* A refusal is the driver's fault and no reason to lose the connection. */
	if (rc < 0)
		log_debug(be->log, "%s: configuration bytes %u to %u cannot be written", be->name,
			  config->offset, config->offset + config->size);
	return 0;
}

static void reset(struct vhost_user_backend *be)
{
	for (unsigned i = 0; i < be->queue_count; i++) {
		backend_queue_destroy(be, i);
		backend_queue_init(be, i);
	}
	backend_forget_inflight(be);
	be->features = 0;
	be->status = 0;
	backend_update_log(be);
	if (be->ops->reset)
		be->ops->reset(be->device);
}

static int reset_device(struct vhost_user_backend *be, struct vhost_user_message *message,
			struct error *error)
{
	(void)message;
	(void)error;
	reset(be);
	return 0;
}

static int set_status(struct vhost_user_backend *be, struct vhost_user_message *message,
		      struct error *error)
{
	(void)error;
	be->status = (uint8_t)message->payload.u64;
	for (unsigned i = 0; be->status == 0 && i < be->queue_count; i++) {
		backend_queue_stop(be, i);
		if (be->queues[i].vq.inflight)
			virtqueue_inflight_settle(&be->queues[i].inflight);
	}
	return 0;
}

static int get_status(struct vhost_user_backend *be, struct vhost_user_message *message,
		      struct error *error)
{
	uint8_t status = be->status;

	(void)error;
	for (unsigned i = 0; i < be->queue_count; i++)
		if (be->queues[i].vq.broken)
			status |= STATUS_NEEDS_RESET;
	return backend_reply_u64(message, status);
}

static int net_set_mtu(struct vhost_user_backend *be, struct vhost_user_message *message,
		       struct error *error)
{
	int rc =
		be->ops->set_mtu ? be->ops->set_mtu(be->device, message->payload.u64) : -EOPNOTSUPP;

	return rc < 0 ? error_set(error, rc, "%s: an MTU of %" PRIu64 ": %s", be->name,
				  (uint64_t)message->payload.u64, error_name(rc))
		      : 0;
}

static int send_rarp(struct vhost_user_backend *be, struct vhost_user_message *message,
		     struct error *error)
{
	(void)error;
	if (be->ops->send_rarp)
		be->ops->send_rarp(be->device, message->payload.bytes);
	return 0;
}

/* ---- Messages ---- */

#define STATE_BYTES sizeof(struct vhost_user_vring_state)

static const struct request_rule {
	handler_fn *handle;
	uint16_t least, most; /* bytes of payload */
} requests[] = {
	[VHOST_USER_GET_FEATURES] = { get_features, 0, 0 },
	[VHOST_USER_SET_FEATURES] = { set_features, 8, 8 },
	[VHOST_USER_SET_OWNER] = { ignore, 0, 0 },
	[VHOST_USER_RESET_OWNER] = { ignore, 0, 0 },
	[VHOST_USER_SET_MEM_TABLE] = { backend_set_mem_table, 8,
				       sizeof(struct vhost_user_memory_table) },
	[VHOST_USER_SET_VRING_NUM] = { set_vring_num, STATE_BYTES, STATE_BYTES },
	[VHOST_USER_SET_VRING_ADDR] = { set_vring_addr, sizeof(struct vhost_user_vring_address),
					sizeof(struct vhost_user_vring_address) },
	[VHOST_USER_SET_VRING_BASE] = { set_vring_base, STATE_BYTES, STATE_BYTES },
	[VHOST_USER_GET_VRING_BASE] = { get_vring_base, STATE_BYTES, STATE_BYTES },
	[VHOST_USER_SET_VRING_KICK] = { set_vring_kick, 8, 8 },
	[VHOST_USER_SET_VRING_CALL] = { set_vring_call, 8, 8 },
	[VHOST_USER_SET_VRING_ERR] = { set_vring_err, 8, 8 },
	[VHOST_USER_GET_PROTOCOL_FEATURES] = { get_protocol_features, 0, 0 },
	[VHOST_USER_SET_PROTOCOL_FEATURES] = { set_protocol_features, 8, 8 },
	[VHOST_USER_GET_QUEUE_NUM] = { get_queue_num, 0, 0 },
	[VHOST_USER_SET_VRING_ENABLE] = { set_vring_enable, STATE_BYTES, STATE_BYTES },
	[VHOST_USER_SEND_RARP] = { send_rarp, 8, 8 },
	[VHOST_USER_NET_SET_MTU] = { net_set_mtu, 8, 8 },
	[VHOST_USER_SET_BACKEND_REQ_FD] = { backend_set_backend_req_fd, 0, 0 },
	[VHOST_USER_SET_LOG_BASE] = { backend_set_log_base, sizeof(struct vhost_user_log),
				      sizeof(struct vhost_user_log) },
	[VHOST_USER_SET_LOG_FD] = { ignore, 0, 8 },
	[VHOST_USER_GET_INFLIGHT_FD] = { backend_get_inflight_fd, VHOST_USER_INFLIGHT_BYTES,
					 sizeof(struct vhost_user_inflight) },
	[VHOST_USER_SET_INFLIGHT_FD] = { backend_set_inflight_fd, VHOST_USER_INFLIGHT_BYTES,
					 sizeof(struct vhost_user_inflight) },
	[VHOST_USER_GET_CONFIG] = { get_config, VHOST_USER_CONFIG_HEADER,
				    sizeof(struct vhost_user_config) },
	[VHOST_USER_SET_CONFIG] = { set_config, VHOST_USER_CONFIG_HEADER,
				    sizeof(struct vhost_user_config) },
	[VHOST_USER_RESET_DEVICE] = { reset_device, 0, 0 },
	[VHOST_USER_GET_MAX_MEM_SLOTS] = { get_max_mem_slots, 0, 0 },
	[VHOST_USER_ADD_MEM_REG] = { backend_add_mem_reg, sizeof(struct vhost_user_single_region),
				     sizeof(struct vhost_user_single_region) },
	[VHOST_USER_REM_MEM_REG] = { backend_rem_mem_reg, sizeof(struct vhost_user_single_region),
				     sizeof(struct vhost_user_single_region) },
	[VHOST_USER_SET_STATUS] = { set_status, 8, 8 },
	[VHOST_USER_GET_STATUS] = { get_status, 0, 0 },
};

int backend_dispatch(struct vhost_user_backend *be, struct vhost_user_message *message,
		     struct error *error)
{
	uint32_t number = message->header.request;
	const struct request_rule *request =
		number < ARRAY_SIZE(requests) ? &requests[number] : NULL;
	char buffer[VHOST_USER_NAME];

	if (!request || !request->handle)
		return error_set(error, -EOPNOTSUPP, "%s: %s is not supported", be->name,
				 vhost_user_request_name(number, buffer));
	if (message->header.size < request->least || message->header.size > request->most)
		return error_set(error, -EPROTO,
				 "%s: %s has %u bytes of payload, expected %u to %u", be->name,
				 vhost_user_request_name(number, buffer), message->header.size,
				 request->least, request->most);
	return request->handle(be, message, error);
}
