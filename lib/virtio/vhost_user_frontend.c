/* SPDX-License-Identifier: BSD-2-Clause */
/* The vhost-user front-end: connection, memory and queues; see vhost_user_frontend.h. */
#include "virtio/vhost_user_frontend_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fiber/fiber.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/peer_file.h"
#include "util/unix_socket.h"
#include "virtio/guest_memory.h"
#include "virtio/virtqueue.h"

#define DEFAULT_TIMEOUT_MS 30000
#define CONNECT_RETRY_NS   1000000

/* What we can make use of. */
#define PROTOCOL_FEATURES                                                                          \
	(1ULL << VHOST_USER_PROTOCOL_F_MQ | 1ULL << VHOST_USER_PROTOCOL_F_LOG_SHMFD |              \
	 1ULL << VHOST_USER_PROTOCOL_F_REPLY_ACK | 1ULL << VHOST_USER_PROTOCOL_F_BACKEND_REQ |     \
	 1ULL << VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD | 1ULL << VHOST_USER_PROTOCOL_F_CONFIG |     \
	 1ULL << VHOST_USER_PROTOCOL_F_RESET_DEVICE |                                              \
	 1ULL << VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS | 1ULL << VHOST_USER_PROTOCOL_F_STATUS)

static int command_state(struct vhost_user_frontend *fe, enum vhost_user_request request,
			 uint32_t index, uint32_t number, struct error *error)
{
	struct vhost_user_message message = {
		.header = { request, 0, sizeof(message.payload.state) },
		.payload.state = { index, number },
	};

	return frontend_command(fe, &message, NULL, 0, error);
}

static int negotiate_protocol(struct vhost_user_frontend *fe, struct error *error)
{
	uint64_t offered = 0, number = 0;
	int rc = frontend_query_u64(fe, VHOST_USER_GET_PROTOCOL_FEATURES, &offered, error);

	if (rc < 0)
		return rc;
	/* Set before REPLY_ACK counts: this message itself gets no acknowledgement. */
	rc = frontend_command_u64(fe, VHOST_USER_SET_PROTOCOL_FEATURES, offered & PROTOCOL_FEATURES,
				  error);
	if (rc < 0)
		return rc;
	fe->protocol_features = offered & PROTOCOL_FEATURES;
	if (frontend_has(fe, VHOST_USER_PROTOCOL_F_MQ)) {
		rc = frontend_query_u64(fe, VHOST_USER_GET_QUEUE_NUM, &number, error);
		if (rc < 0)
			return rc;
		fe->queue_count = (unsigned)MIN(number, 256);
	}
	if (frontend_has(fe, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS)) {
		rc = frontend_query_u64(fe, VHOST_USER_GET_MAX_MEM_SLOTS, &number, error);
		if (rc < 0)
			return rc;
		fe->max_regions = (unsigned)MAX(number, VHOST_USER_MAX_TABLE_REGIONS);
	}
	if (frontend_has(fe, VHOST_USER_PROTOCOL_F_BACKEND_REQ))
		return frontend_open_channel(fe, error);
	return 0;
}

static int negotiate(struct vhost_user_frontend *fe, struct error *error)
{
	struct vhost_user_message owner = { .header = { .request = VHOST_USER_SET_OWNER } };
	int rc = frontend_query_u64(fe, VHOST_USER_GET_FEATURES, &fe->features, error);

	if (rc == 0 && fe->features >> VHOST_USER_F_PROTOCOL_FEATURES & 1)
		rc = negotiate_protocol(fe, error);
	return rc < 0 ? rc : frontend_command(fe, &owner, NULL, 0, error);
}

int vhost_user_frontend_adopt(struct vhost_user_frontend **out, int fd, const char *name,
			      struct error *error)
{
	struct vhost_user_frontend *fe = calloc(1, sizeof(*fe));
	int rc;

	if (!fe || !(fe->name = strdup(name))) {
		free(fe);
		close(fd);
		return error_set(error, -ENOMEM, "%s: out of memory", name);
	}
	fe->fd = fd;
	fe->channel = -1;
	peer_socket_begin(fd);
	vhost_user_receiver_init(&fe->requests);
	fe->max_regions = VHOST_USER_MAX_TABLE_REGIONS;
	vhost_user_receiver_init(&fe->receiver);
	vhost_user_frontend_set_timeout(fe, DEFAULT_TIMEOUT_MS);
	rc = negotiate(fe, error);
	if (rc < 0) {
		vhost_user_frontend_close(fe);
		return rc;
	}
	*out = fe;
	return 0;
}

static int wait_on_fiber(void *arg)
{
	const uint64_t *until = arg;

	return worker_now() < *until ? fiber_sleep(CONNECT_RETRY_NS) : -ETIMEDOUT;
}

int vhost_user_frontend_connect(struct vhost_user_frontend **out, const char *path,
				struct error *error)
{
	uint64_t until = fiber_current() ? worker_now() + UNIX_SOCKET_PATIENCE_NS : 0;
	int fd = until ? unix_socket_connect_server(path, wait_on_fiber, &until, error)
		       : unix_socket_connect(path, error);

	return fd < 0 ? fd : vhost_user_frontend_adopt(out, fd, path, error);
}

void vhost_user_frontend_close(struct vhost_user_frontend *fe)
{
	if (!fe)
		return;
	vhost_user_receiver_reset(&fe->receiver);
	vhost_user_receiver_reset(&fe->requests);
	peer_socket_close(steal_fd(&fe->channel));
	peer_socket_close(fe->fd);
	free(fe->name);
	free(fe);
}

uint64_t vhost_user_frontend_features(const struct vhost_user_frontend *fe)
{
	return fe->features &
	       ~(1ULL << VHOST_USER_F_PROTOCOL_FEATURES | 1ULL << VHOST_USER_F_LOG_ALL);
}

uint64_t vhost_user_frontend_protocol_features(const struct vhost_user_frontend *fe)
{
	return fe->protocol_features;
}

unsigned vhost_user_frontend_queue_count(const struct vhost_user_frontend *fe)
{
	return fe->queue_count;
}

int vhost_user_frontend_fd(const struct vhost_user_frontend *fe)
{
	return fe->fd;
}

void vhost_user_frontend_set_timeout(struct vhost_user_frontend *fe, unsigned timeout_ms)
{
	fe->timeout_ms = timeout_ms;
}

int vhost_user_frontend_set_features(struct vhost_user_frontend *fe, uint64_t features,
				     struct error *error)
{
	uint64_t protocol = fe->features & 1ULL << VHOST_USER_F_PROTOCOL_FEATURES;

	if (features & ~vhost_user_frontend_features(fe))
		return error_set(error, -EINVAL,
				 "%s: features 0x%" PRIx64
				 " are not among those offered, 0x%" PRIx64,
				 fe->name, features, vhost_user_frontend_features(fe));
	fe->packed = features >> VIRTIO_F_RING_PACKED & 1;
	fe->accepted = features | protocol;
	return frontend_command_u64(fe, VHOST_USER_SET_FEATURES, fe->accepted, error);
}

static struct vhost_user_region describe(const struct guest_memory_region *region)
{
	return (struct vhost_user_region){ region->guest_address, region->size,
					   region->user_address, region->fd_offset };
}

int vhost_user_frontend_set_memory(struct vhost_user_frontend *fe,
				   const struct guest_memory *memory, struct error *error)
{
	unsigned in_table = MIN(memory->count, VHOST_USER_MAX_TABLE_REGIONS);
	struct vhost_user_message table = {
		.header = { VHOST_USER_SET_MEM_TABLE, 0,
			    8 + in_table * (uint32_t)sizeof(struct vhost_user_region) },
		.payload.memory.count = in_table,
	};
	int fds[VHOST_USER_MAX_FDS];
	int rc;

	if (memory->count > fe->max_regions)
		return error_set(error, -E2BIG, "%s: guest memory has %u regions, it takes %u",
				 fe->name, memory->count, fe->max_regions);
	for (unsigned i = 0; i < in_table; i++) {
		struct vhost_user_region region = describe(&memory->regions[i]);

		memcpy(&table.payload.memory.regions[i], &region, sizeof(region));
		fds[i] = memory->regions[i].fd;
	}
	rc = frontend_command(fe, &table, fds, in_table, error);
	for (unsigned i = in_table; rc == 0 && i < memory->count; i++) {
		struct vhost_user_message one = {
			.header = { VHOST_USER_ADD_MEM_REG, 0, sizeof(one.payload.region) },
			.payload.region.region = describe(&memory->regions[i]),
		};

		rc = frontend_command(fe, &one, &memory->regions[i].fd, 1, error);
	}
	fe->memory = memory;
	return rc;
}

static int send_eventfd(struct vhost_user_frontend *fe, enum vhost_user_request request,
			unsigned index, int fd, struct error *error)
{
	struct vhost_user_message message = {
		.header = { request, 0, sizeof(uint64_t) },
		.payload.u64 = index | (fd < 0 ? VHOST_USER_VRING_NOFD : 0),
	};

	return frontend_command(fe, &message, &fd, fd < 0 ? 0 : 1, error);
}

static int send_addresses(struct vhost_user_frontend *fe, unsigned index,
			  const struct vhost_user_queue *queue, struct error *error)
{
	struct vhost_user_vring_address address = { .index = index };
	struct vhost_user_message message = {
		.header = { VHOST_USER_SET_VRING_ADDR, 0, sizeof(address) },
	};

	if (!fe->memory ||
	    !guest_memory_guest_to_user(fe->memory, queue->desc, virtqueue_desc_bytes(queue->size),
					&address.desc) ||
	    !guest_memory_guest_to_user(fe->memory, queue->avail,
					virtqueue_avail_bytes(queue->size, fe->packed),
					&address.avail) ||
	    !guest_memory_guest_to_user(fe->memory, queue->used,
					virtqueue_used_bytes(queue->size, fe->packed),
					&address.used))
		return error_set(error, -EFAULT,
				 "%s: queue %u: its rings (descriptors 0x%" PRIx64
				 ", available 0x%" PRIx64 ", used 0x%" PRIx64
				 ") are not all in guest memory",
				 fe->name, index, queue->desc, queue->avail, queue->used);
	memcpy(&message.payload.address, &address, sizeof(address));
	return frontend_command(fe, &message, NULL, 0, error);
}

int vhost_user_frontend_start_queue(struct vhost_user_frontend *fe, unsigned index,
				    const struct vhost_user_queue *queue, struct error *error)
{
	int rc = command_state(fe, VHOST_USER_SET_VRING_NUM, index, queue->size, error);

	if (rc == 0)
		rc = command_state(fe, VHOST_USER_SET_VRING_BASE, index, queue->base, error);
	if (rc == 0)
		rc = send_addresses(fe, index, queue, error);
	if (rc == 0)
		rc = send_eventfd(fe, VHOST_USER_SET_VRING_CALL, index, queue->call_fd, error);
	if (rc == 0)
		rc = send_eventfd(fe, VHOST_USER_SET_VRING_KICK, index, queue->kick_fd, error);
	if (rc == 0 && fe->features >> VHOST_USER_F_PROTOCOL_FEATURES & 1)
		rc = command_state(fe, VHOST_USER_SET_VRING_ENABLE, index, 1, error);
	return rc;
}

int vhost_user_frontend_stop_queue(struct vhost_user_frontend *fe, unsigned index, uint32_t *base,
				   struct error *error)
{
	struct vhost_user_message message = {
		.header = { VHOST_USER_GET_VRING_BASE, 0, sizeof(message.payload.state) },
		.payload.state = { index, 0 },
	};
	int rc = 0;

	if (fe->features >> VHOST_USER_F_PROTOCOL_FEATURES & 1)
		rc = command_state(fe, VHOST_USER_SET_VRING_ENABLE, index, 0, error);
	if (rc == 0)
		rc = frontend_query(fe, &message, -1, sizeof(message.payload.state), error);
	if (rc == 0 && base)
		*base = fe->receiver.message.payload.state.number;
	return rc;
}
