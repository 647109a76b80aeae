/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vhost-user protocol (QEMU docs/interop/vhost-user.rst, as of 7.2): messages over a unix stream
 * socket between a front-end (who owns the guest's memory) and a back-end (who runs the device), with
 * file descriptors in ancillary data. Numbers are in native byte order.
 *
 * Used by vhost_user_frontend.c and vhost_user_backend.c; nobody else needs the message structures.
 */
#ifndef TENON_VIRTIO_VHOST_USER_H
#define TENON_VIRTIO_VHOST_USER_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VHOST_USER_VERSION           1u
#define VHOST_USER_FLAG_VERSION_MASK 3u
#define VHOST_USER_FLAG_REPLY        (1u << 2)
#define VHOST_USER_FLAG_NEED_REPLY   (1u << 3)

/* The virtio feature bit that stands for "protocol features can be asked for"; a guest never sees it. */
#define VHOST_USER_F_PROTOCOL_FEATURES 30
/* And the one that asks for all writes to be noted in the dirty log. */
#define VHOST_USER_F_LOG_ALL 26

enum vhost_user_protocol_feature {
	VHOST_USER_PROTOCOL_F_MQ = 0,
	VHOST_USER_PROTOCOL_F_LOG_SHMFD = 1,
	VHOST_USER_PROTOCOL_F_RARP = 2,
	VHOST_USER_PROTOCOL_F_REPLY_ACK = 3,
	VHOST_USER_PROTOCOL_F_MTU = 4,
	VHOST_USER_PROTOCOL_F_BACKEND_REQ = 5,
	VHOST_USER_PROTOCOL_F_CROSS_ENDIAN = 6,
	VHOST_USER_PROTOCOL_F_CRYPTO_SESSION = 7,
	VHOST_USER_PROTOCOL_F_PAGEFAULT = 8,
	VHOST_USER_PROTOCOL_F_CONFIG = 9,
	VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD = 10,
	VHOST_USER_PROTOCOL_F_HOST_NOTIFIER = 11,
	VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD = 12,
	VHOST_USER_PROTOCOL_F_RESET_DEVICE = 13,
	VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS = 14,
	VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15,
	VHOST_USER_PROTOCOL_F_STATUS = 16,
};

enum vhost_user_request {
	VHOST_USER_GET_FEATURES = 1,
	VHOST_USER_SET_FEATURES = 2,
	VHOST_USER_SET_OWNER = 3,
	VHOST_USER_RESET_OWNER = 4,
	VHOST_USER_SET_MEM_TABLE = 5,
	VHOST_USER_SET_LOG_BASE = 6,
	VHOST_USER_SET_LOG_FD = 7,
	VHOST_USER_SET_VRING_NUM = 8,
	VHOST_USER_SET_VRING_ADDR = 9,
	VHOST_USER_SET_VRING_BASE = 10,
	VHOST_USER_GET_VRING_BASE = 11,
	VHOST_USER_SET_VRING_KICK = 12,
	VHOST_USER_SET_VRING_CALL = 13,
	VHOST_USER_SET_VRING_ERR = 14,
	VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	VHOST_USER_SET_PROTOCOL_FEATURES = 16,
	VHOST_USER_GET_QUEUE_NUM = 17,
	VHOST_USER_SET_VRING_ENABLE = 18,
	VHOST_USER_SEND_RARP = 19,
	VHOST_USER_NET_SET_MTU = 20,
	VHOST_USER_SET_BACKEND_REQ_FD = 21,
	VHOST_USER_IOTLB_MSG = 22,
	VHOST_USER_SET_VRING_ENDIAN = 23,
	VHOST_USER_GET_CONFIG = 24,
	VHOST_USER_SET_CONFIG = 25,
	VHOST_USER_GET_INFLIGHT_FD = 31,
	VHOST_USER_SET_INFLIGHT_FD = 32,
	VHOST_USER_RESET_DEVICE = 34,
	VHOST_USER_GET_MAX_MEM_SLOTS = 36,
	VHOST_USER_ADD_MEM_REG = 37,
	VHOST_USER_REM_MEM_REG = 38,
	VHOST_USER_SET_STATUS = 39,
	VHOST_USER_GET_STATUS = 40,
};

/* Requests of the back-end, on the channel of SET_BACKEND_REQ_FD. */
enum vhost_user_backend_request {
	VHOST_USER_BACKEND_CONFIG_CHANGE_MSG = 2,
};

#define VHOST_USER_MAX_TABLE_REGIONS 8   /* in one SET_MEM_TABLE */
#define VHOST_USER_MAX_FDS           8   /* with one message */
#define VHOST_USER_MAX_CONFIG        256 /* bytes of device configuration space */

/* In the payload of SET_VRING_KICK, _CALL and _ERR. */
#define VHOST_USER_VRING_INDEX_MASK 0xffu
#define VHOST_USER_VRING_NOFD       (1u << 8)

struct vhost_user_vring_state {
	uint32_t index;
	uint32_t number;
};

/* In the flags of a ring's addresses: writes to the used ring are to be noted, at `log`. */
#define VHOST_USER_VRING_LOG (1u << 0)

struct vhost_user_vring_address {
	uint32_t index;
	uint32_t flags;
	uint64_t desc; /* user addresses of the front-end */
	uint64_t used;
	uint64_t avail;
	uint64_t log;
};
static_assert(sizeof(struct vhost_user_vring_address) == 40, "vhost-user ring address");
static_assert(offsetof(struct vhost_user_vring_address, used) == 16, "vhost-user ring address");

struct vhost_user_region {
	uint64_t guest_address;
	uint64_t size;
	uint64_t user_address;
	uint64_t mmap_offset; /* of the region in its file */
};

struct vhost_user_memory_table {
	uint32_t count;
	uint32_t padding;
	struct vhost_user_region regions[VHOST_USER_MAX_TABLE_REGIONS];
};
static_assert(sizeof(struct vhost_user_memory_table) == 8 + 8 * 32, "vhost-user memory table");

struct vhost_user_single_region {
	uint64_t padding;
	struct vhost_user_region region;
};

/* The region in which chains in flight are noted, and for what it is to be. */
struct vhost_user_inflight {
	uint64_t mmap_size;
	uint64_t mmap_offset;
	uint16_t queue_count;
	uint16_t queue_size;
};
#define VHOST_USER_INFLIGHT_BYTES 20
static_assert(offsetof(struct vhost_user_inflight, queue_size) == 18, "vhost-user in flight");

struct vhost_user_log {
	uint64_t mmap_size;
	uint64_t mmap_offset;
};

struct vhost_user_config {
	uint32_t offset;
	uint32_t size;
	uint32_t flags; /* 0: a write by the driver; 1: live migration */
	uint8_t data[VHOST_USER_MAX_CONFIG];
};
#define VHOST_USER_CONFIG_HEADER 12
static_assert(offsetof(struct vhost_user_config, data) == VHOST_USER_CONFIG_HEADER, "config");

struct vhost_user_header {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* of the payload */
};

struct vhost_user_message {
	struct vhost_user_header header;
	union {
		uint64_t u64;
		struct vhost_user_vring_state state;
		struct vhost_user_vring_address address;
		struct vhost_user_memory_table memory;
		struct vhost_user_single_region region;
		struct vhost_user_config config;
		struct vhost_user_inflight inflight;
		struct vhost_user_log log;
		uint8_t bytes[VHOST_USER_CONFIG_HEADER + VHOST_USER_MAX_CONFIG];
	} __attribute__((packed, aligned(4))) payload;
} __attribute__((packed, aligned(4)));
static_assert(offsetof(struct vhost_user_message, payload) == 12, "vhost-user header");

/* A message that may not have arrived whole yet, and its descriptors. */
struct vhost_user_receiver {
	struct vhost_user_message message;
	size_t have;
	int fds[VHOST_USER_MAX_FDS];
	unsigned fd_count;
};

void vhost_user_receiver_init(struct vhost_user_receiver *receiver);

/* Closes the descriptors that are still in it and makes it ready for the next message. Take one by
 * putting -1 in its place. */
void vhost_user_receiver_reset(struct vhost_user_receiver *receiver);

/*
 * Reads on, up to the end of one message and never beyond. 1: the message is whole; -EAGAIN: it is
 * not, and the socket (non-blocking, or with a receive timeout, or MSG_DONTWAIT in `flags`) gives no more; 0: the peer hung up
 * between messages; -EPROTO: no version 1 message, a payload larger than any, too many descriptors,
 * or a hang-up within a message; -EMFILE: descriptors that came were lost, for this process has too many, or cannot be
 * taken now (peer_files_wait()); another negative errno from recvmsg().
 */
int vhost_user_receive(struct vhost_user_receiver *receiver, int fd, int flags);

/* Sends header and payload (header.size bytes) with `fd_count` descriptors, which stay the caller's.
 * `flags` go to sendmsg(). 0 or a negative errno: -EAGAIN if nothing was sent, -EPROTO if a part was, which
 * ends the connection. */
int vhost_user_send(int fd, const struct vhost_user_message *message, const int *fds,
		    unsigned fd_count, int flags);

/* "SET_MEM_TABLE", or "message 77" by way of `buffer`. */
#define VHOST_USER_NAME 24
const char *vhost_user_request_name(uint32_t request, char buffer[VHOST_USER_NAME]);

#endif
