/* SPDX-License-Identifier: BSD-2-Clause */
/* The vhost-user front-end, as far as the device as a whole is concerned: see vhost_user_frontend.h. */
#include <errno.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "virtio/vhost_user_frontend_private.h"

static int check_config(struct vhost_user_frontend *fe, uint32_t offset, uint32_t size,
			struct error *error)
{
	if (!frontend_has(fe, VHOST_USER_PROTOCOL_F_CONFIG))
		return error_set(error, -EOPNOTSUPP,
				 "%s: the back-end has no configuration space (CONFIG)", fe->name);
	if (!range_within(offset, size, VHOST_USER_MAX_CONFIG))
		return error_set(error, -EINVAL,
				 "%s: configuration bytes %u to %u: there are at most %d", fe->name,
				 offset, offset + size, VHOST_USER_MAX_CONFIG);
	return 0;
}

int vhost_user_frontend_get_config(struct vhost_user_frontend *fe, uint32_t offset, void *at,
				   uint32_t size, struct error *error)
{
	struct vhost_user_message message = {
		.header = { VHOST_USER_GET_CONFIG, 0, VHOST_USER_CONFIG_HEADER + size },
		.payload.config = { .offset = offset, .size = size },
	};
	int rc = check_config(fe, offset, size, error);

	if (rc == 0)
		rc = frontend_query(fe, &message, -1, message.header.size, error);
	if (rc == 0)
		memcpy(at, fe->receiver.message.payload.config.data, size);
	return rc;
}

int vhost_user_frontend_set_config(struct vhost_user_frontend *fe, uint32_t offset, const void *at,
				   uint32_t size, struct error *error)
{
	struct vhost_user_message message = {
		.header = { VHOST_USER_SET_CONFIG, 0, VHOST_USER_CONFIG_HEADER + size },
		.payload.config = { .offset = offset, .size = size },
	};
	int rc = check_config(fe, offset, size, error);

	if (rc < 0)
		return rc;
	memcpy(message.payload.config.data, at, size);
	return frontend_command(fe, &message, NULL, 0, error);
}

int vhost_user_frontend_set_status(struct vhost_user_frontend *fe, uint8_t status,
				   struct error *error)
{
	if (!frontend_has(fe, VHOST_USER_PROTOCOL_F_STATUS))
		return 0;
	return frontend_command_u64(fe, VHOST_USER_SET_STATUS, status, error);
}

int vhost_user_frontend_get_status(struct vhost_user_frontend *fe, uint8_t *status,
				   struct error *error)
{
	uint64_t value = 0;
	int rc = 0;

	if (frontend_has(fe, VHOST_USER_PROTOCOL_F_STATUS))
		rc = frontend_query_u64(fe, VHOST_USER_GET_STATUS, &value, error);
	*status = (uint8_t)value;
	return rc;
}

int vhost_user_frontend_reset_device(struct vhost_user_frontend *fe, struct error *error)
{
	struct vhost_user_message message = { .header = { .request = VHOST_USER_RESET_DEVICE } };

	if (!frontend_has(fe, VHOST_USER_PROTOCOL_F_RESET_DEVICE))
		return 0;
	return frontend_command(fe, &message, NULL, 0, error);
}
