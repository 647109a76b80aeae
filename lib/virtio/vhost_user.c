/* SPDX-License-Identifier: BSD-2-Clause */
/* Sending and receiving of vhost-user messages: see vhost_user.h. */
#include "virtio/vhost_user.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/peer_file.h"

void vhost_user_receiver_init(struct vhost_user_receiver *receiver)
{
	receiver->have = 0;
	receiver->fd_count = 0;
}

void vhost_user_receiver_reset(struct vhost_user_receiver *receiver)
{
	for (unsigned i = 0; i < receiver->fd_count; i++)
		if (receiver->fds[i] >= 0)
			peer_file_close(receiver->fds[i]);
	vhost_user_receiver_init(receiver);
}

/* How many bytes the message has, as far as is known; 0 if it cannot be one. */
static size_t wanted(const struct vhost_user_receiver *receiver)
{
	const struct vhost_user_header *header = &receiver->message.header;

	if (receiver->have < sizeof(*header))
		return sizeof(*header);
	if ((header->flags & VHOST_USER_FLAG_VERSION_MASK) != VHOST_USER_VERSION ||
	    header->size > sizeof(receiver->message.payload))
		return 0;
	return sizeof(*header) + header->size;
}

int vhost_user_receive(struct vhost_user_receiver *receiver, int fd, int flags)
{
	for (;;) {
		size_t want = wanted(receiver);
		unsigned room = VHOST_USER_MAX_FDS - receiver->fd_count, came = room;
		ssize_t got;

		if (!want)
			return -EPROTO;
		if (want == receiver->have)
			return 1;
		got = peer_receive(fd, (uint8_t *)&receiver->message + receiver->have,
				   want - receiver->have, flags, receiver->fds + receiver->fd_count,
				   &came);
		receiver->fd_count += MIN(came, room);
		if (came > room)
			return -EPROTO;
		if (got == -EINTR)
			continue;
		if (got < 0)
			return got == -EWOULDBLOCK ? -EAGAIN : (int)got;
		if (got == 0)
			return receiver->have ? -EPROTO : 0;
		receiver->have += (size_t)got;
	}
}

int vhost_user_send(int fd, const struct vhost_user_message *message, const int *fds,
		    unsigned fd_count, int flags)
{
	size_t length = sizeof(message->header) + message->header.size;
	union {
		char bytes[CMSG_SPACE(VHOST_USER_MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)message, length };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t sent;

	if (fd_count > VHOST_USER_MAX_FDS || message->header.size > sizeof(message->payload))
		return -EINVAL;
	if (fd_count) {
		struct cmsghdr *c;

		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		c = CMSG_FIRSTHDR(&header);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, fd_count * sizeof(int));
	}
	do {
		sent = sendmsg(fd, &header, flags | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return (size_t)sent == length ? 0 : -EPROTO;
}

const char *vhost_user_request_name(uint32_t request, char buffer[VHOST_USER_NAME])
{
	static const char *const names[] = {
		[VHOST_USER_GET_FEATURES] = "GET_FEATURES",
		[VHOST_USER_SET_FEATURES] = "SET_FEATURES",
		[VHOST_USER_SET_OWNER] = "SET_OWNER",
		[VHOST_USER_RESET_OWNER] = "RESET_OWNER",
		[VHOST_USER_SET_MEM_TABLE] = "SET_MEM_TABLE",
		[VHOST_USER_SET_LOG_BASE] = "SET_LOG_BASE",
		[VHOST_USER_SET_LOG_FD] = "SET_LOG_FD",
		[VHOST_USER_SET_VRING_NUM] = "SET_VRING_NUM",
		[VHOST_USER_SET_VRING_ADDR] = "SET_VRING_ADDR",
		[VHOST_USER_SET_VRING_BASE] = "SET_VRING_BASE",
		[VHOST_USER_GET_VRING_BASE] = "GET_VRING_BASE",
		[VHOST_USER_SET_VRING_KICK] = "SET_VRING_KICK",
		[VHOST_USER_SET_VRING_CALL] = "SET_VRING_CALL",
		[VHOST_USER_SET_VRING_ERR] = "SET_VRING_ERR",
		[VHOST_USER_GET_PROTOCOL_FEATURES] = "GET_PROTOCOL_FEATURES",
		[VHOST_USER_SET_PROTOCOL_FEATURES] = "SET_PROTOCOL_FEATURES",
		[VHOST_USER_GET_QUEUE_NUM] = "GET_QUEUE_NUM",
		[VHOST_USER_SET_VRING_ENABLE] = "SET_VRING_ENABLE",
		[VHOST_USER_SEND_RARP] = "SEND_RARP",
		[VHOST_USER_NET_SET_MTU] = "NET_SET_MTU",
		[VHOST_USER_SET_BACKEND_REQ_FD] = "SET_BACKEND_REQ_FD",
		[VHOST_USER_IOTLB_MSG] = "IOTLB_MSG",
		[VHOST_USER_SET_VRING_ENDIAN] = "SET_VRING_ENDIAN",
		[VHOST_USER_GET_CONFIG] = "GET_CONFIG",
		[VHOST_USER_SET_CONFIG] = "SET_CONFIG",
		[VHOST_USER_GET_INFLIGHT_FD] = "GET_INFLIGHT_FD",
		[VHOST_USER_SET_INFLIGHT_FD] = "SET_INFLIGHT_FD",
		[VHOST_USER_RESET_DEVICE] = "RESET_DEVICE",
		[VHOST_USER_GET_MAX_MEM_SLOTS] = "GET_MAX_MEM_SLOTS",
		[VHOST_USER_ADD_MEM_REG] = "ADD_MEM_REG",
		[VHOST_USER_REM_MEM_REG] = "REM_MEM_REG",
		[VHOST_USER_SET_STATUS] = "SET_STATUS",
		[VHOST_USER_GET_STATUS] = "GET_STATUS",
	};

	if (request < ARRAY_SIZE(names) && names[request])
		return names[request];
	snprintf(buffer, VHOST_USER_NAME, "message %u", request);
	return buffer;
}
