/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by vhost_user_frontend*.c: the connection, and sending and asking over it. */
#ifndef TENON_VIRTIO_VHOST_USER_FRONTEND_PRIVATE_H
#define TENON_VIRTIO_VHOST_USER_FRONTEND_PRIVATE_H

#include "virtio/vhost_user.h"
#include "virtio/vhost_user_frontend.h"

struct vhost_user_frontend {
	int fd;
	int channel; /* our end of the back-end's own channel; or -1 */
	char *name;
	unsigned timeout_ms;
	uint64_t features;          /* offered, with the protocol's own */
	uint64_t accepted;          /* as set last */
	uint64_t protocol_features; /* in use */
	bool packed;                /* negotiated */
	unsigned queue_count;
	unsigned max_regions;
	const struct guest_memory *memory;
	struct vhost_user_receiver receiver; /* the last answer */
	struct vhost_user_receiver requests; /* from the channel */
};

static inline bool frontend_has(const struct vhost_user_frontend *fe,
				enum vhost_user_protocol_feature feature)
{
	return fe->protocol_features >> feature & 1;
}

/* Sends a message that has no answer of its own, and waits until it was carried out. */
int frontend_command(struct vhost_user_frontend *fe, struct vhost_user_message *message,
		     const int *fds, unsigned fd_count, struct error *error);
int frontend_command_u64(struct vhost_user_frontend *fe, enum vhost_user_request request,
			 uint64_t value, struct error *error);
/* Sends a message that has an answer, which is in the receiver then, with just so many bytes; `fd` may be -1. */
int frontend_query(struct vhost_user_frontend *fe, struct vhost_user_message *message, int fd,
		   uint32_t answer_size, struct error *error);
int frontend_query_u64(struct vhost_user_frontend *fe, enum vhost_user_request request,
		       uint64_t *value, struct error *error);

/* Makes the channel and gives the back-end its end of it. */
int frontend_open_channel(struct vhost_user_frontend *fe, struct error *error);

#endif
