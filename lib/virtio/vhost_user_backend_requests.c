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

#include "util/bytes.h"
#include "util/error.h"
#include "util/log.h"

#define STATUS_NEEDS_RESET 0x40 /* virtio 1.2, 2.1 */

typedef int handler_fn(struct vhost_user_backend *be, struct vhost_user_message *message,
		       struct error *error);

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

uint64_t vhost_user_backend_features(const struct vhost_user_backend *be)
{
	return be->features &
	       ~(1ULL << VHOST_USER_F_PROTOCOL_FEATURES | 1ULL << VHOST_USER_F_LOG_ALL);
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

/* ---- Device ---- */

static int handle_get_config(struct vhost_user_backend *be, struct vhost_user_message *message,
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

static int handle_set_config(struct vhost_user_backend *be, struct vhost_user_message *message,
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

static void reset_all(struct vhost_user_backend *be)
{
	for (unsigned i = 0; i < be->queue_count; i++) {
		struct virtqueue_counters counters = be->queues[i].vq.counters;

		backend_queue_destroy(be, i);
		backend_queue_init(be, i);
		be->queues[i].vq.counters = counters;
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
	reset_all(be);
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
	[VHOST_USER_SET_VRING_NUM] = { backend_set_vring_num, STATE_BYTES, STATE_BYTES },
	[VHOST_USER_SET_VRING_ADDR] = { backend_set_vring_addr,
					sizeof(struct vhost_user_vring_address),
					sizeof(struct vhost_user_vring_address) },
	[VHOST_USER_SET_VRING_BASE] = { backend_set_vring_base, STATE_BYTES, STATE_BYTES },
	[VHOST_USER_GET_VRING_BASE] = { backend_get_vring_base, STATE_BYTES, STATE_BYTES },
	[VHOST_USER_SET_VRING_KICK] = { backend_set_vring_kick, 8, 8 },
	[VHOST_USER_SET_VRING_CALL] = { backend_set_vring_call, 8, 8 },
	[VHOST_USER_SET_VRING_ERR] = { backend_set_vring_err, 8, 8 },
	[VHOST_USER_GET_PROTOCOL_FEATURES] = { get_protocol_features, 0, 0 },
	[VHOST_USER_SET_PROTOCOL_FEATURES] = { set_protocol_features, 8, 8 },
	[VHOST_USER_GET_QUEUE_NUM] = { get_queue_num, 0, 0 },
	[VHOST_USER_SET_VRING_ENABLE] = { backend_set_vring_enable, STATE_BYTES, STATE_BYTES },
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
	[VHOST_USER_GET_CONFIG] = { handle_get_config, VHOST_USER_CONFIG_HEADER,
				    sizeof(struct vhost_user_config) },
	[VHOST_USER_SET_CONFIG] = { handle_set_config, VHOST_USER_CONFIG_HEADER,
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
