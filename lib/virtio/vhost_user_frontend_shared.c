/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a vhost-user front-end shares with its back-end besides guest memory: the region for chains in flight, the
 * dirty log, and the channel on which the back-end makes requests. See vhost_user_frontend.h.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/peer_file.h"
#include "virtio/vhost_user_frontend_private.h"

/* ---- Chains in flight ---- */

static int require_inflight(const struct vhost_user_frontend *fe, struct error *error)
{
	return frontend_has(fe, VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD)
		       ? 0
		       : error_set(error, -EOPNOTSUPP,
				   "%s: the back-end does not note what is in flight "
				   "(INFLIGHT_SHMFD)",
				   fe->name);
}

int vhost_user_frontend_get_inflight(struct vhost_user_frontend *fe, uint16_t queue_count,
				     uint16_t queue_size, struct vhost_user_inflight_region *out,
				     struct error *error)
{
	struct vhost_user_message message = {
		.header = { VHOST_USER_GET_INFLIGHT_FD, 0, sizeof(message.payload.inflight) },
		.payload.inflight = { .queue_count = queue_count, .queue_size = queue_size },
	};
	struct vhost_user_inflight answer;
	int rc = require_inflight(fe, error);

	if (rc == 0)
		rc = frontend_query(fe, &message, -1, sizeof(answer), error);
	if (rc < 0)
		return rc;
	if (fe->receiver.fd_count != 1)
		return error_set(error, -EPROTO,
				 "%s: the in-flight region came with %u files, expected one",
				 fe->name, fe->receiver.fd_count);
	answer = fe->receiver.message.payload.inflight;
	*out = (struct vhost_user_inflight_region){
		.fd = steal_fd(&fe->receiver.fds[0]),
		.size = answer.mmap_size,
		.offset = answer.mmap_offset,
		.queue_count = queue_count,
		.queue_size = queue_size,
	};
	return 0;
}

int vhost_user_frontend_set_inflight(struct vhost_user_frontend *fe,
				     const struct vhost_user_inflight_region *region,
				     struct error *error)
{
	struct vhost_user_message message = {
		.header = { VHOST_USER_SET_INFLIGHT_FD, 0, sizeof(message.payload.inflight) },
		.payload.inflight = { region->size, region->offset, region->queue_count,
				      region->queue_size },
	};
	int rc = require_inflight(fe, error);

	return rc < 0 ? rc : frontend_command(fe, &message, &region->fd, 1, error);
}

/* ---- The dirty log ---- */

int vhost_user_frontend_set_log(struct vhost_user_frontend *fe, int fd, uint64_t offset,
				uint64_t bytes, struct error *error)
{
	struct vhost_user_message message = {
		.header = { VHOST_USER_SET_LOG_BASE, 0, sizeof(message.payload.log) },
		.payload.log = { bytes, offset },
	};

	if (!frontend_has(fe, VHOST_USER_PROTOCOL_F_LOG_SHMFD))
		return error_set(error, -EOPNOTSUPP,
				 "%s: the back-end does not note what it writes (LOG_SHMFD)",
				 fe->name);
	return frontend_query(fe, &message, fd, sizeof(uint64_t), error);
}

int vhost_user_frontend_log(struct vhost_user_frontend *fe, bool on, struct error *error)
{
	uint64_t bit = 1ULL << VHOST_USER_F_LOG_ALL;

	if (on && !(fe->features & bit))
		return error_set(error, -EOPNOTSUPP, "%s: the back-end does not offer LOG_ALL",
				 fe->name);
	fe->accepted = on ? fe->accepted | bit : fe->accepted & ~bit;
	return frontend_command_u64(fe, VHOST_USER_SET_FEATURES, fe->accepted, error);
}

/* ---- The channel ---- */

int frontend_open_channel(struct vhost_user_frontend *fe, struct error *error)
{
	struct vhost_user_message message = {
		.header = { .request = VHOST_USER_SET_BACKEND_REQ_FD },
	};
	int fds[2], rc;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return error_set(error, -errno, "%s: cannot make a channel: %s", fe->name,
				 error_name(errno));
	fe->channel = fds[0];
	peer_socket_begin(fe->channel);
	rc = frontend_command(fe, &message, &fds[1], 1, error);
	close(fds[1]);
	return rc;
}

int vhost_user_frontend_channel(const struct vhost_user_frontend *fe)
{
	return fe->channel;
}

/* Answers a request that wants it; 0 says that it was carried out. */
static int answer(struct vhost_user_frontend *fe, const struct vhost_user_header *header,
		  uint64_t value)
{
	struct vhost_user_message message = {
		.header = { header->request, VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY,
			    sizeof(value) },
		.payload.u64 = value,
	};

	if (!(header->flags & VHOST_USER_FLAG_NEED_REPLY))
		return 0;
	return vhost_user_send(fe->channel, &message, NULL, 0, MSG_DONTWAIT);
}

/* It is of no more use, and is not to be waited for. */
static int close_channel(struct vhost_user_frontend *fe, int rc)
{
	peer_socket_close(steal_fd(&fe->channel));
	return rc;
}

int vhost_user_frontend_take_request(struct vhost_user_frontend *fe)
{
	const struct vhost_user_header *header = &fe->requests.message.header;
	bool changed;
	int rc;

	if (fe->channel < 0)
		return 0;
	rc = vhost_user_receive(&fe->requests, fe->channel, MSG_DONTWAIT);
	if (rc == -EAGAIN)
		return 0;
	if (rc == 0 || rc == -ECONNRESET)
		return close_channel(fe, -ENOTCONN);
	if (rc < 0)
		return close_channel(fe, -EPROTO);
	changed = header->request == VHOST_USER_BACKEND_CONFIG_CHANGE_MSG;
	/* Of the others we negotiated none. */
	rc = answer(fe, header, !changed);
	vhost_user_receiver_reset(&fe->requests);
	return rc < 0 ? close_channel(fe, -EPROTO) : changed;
}
