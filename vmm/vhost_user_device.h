/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio device whose back-end is another process (or thread) behind a vhost-user connection: the
 * front-end half. What the guest is offered is what the back-end offers, cut down to what this
 * transport and this code know; the configuration space of a disk is the back-end's, that of a NIC is
 * made here, because back-ends for NICs have none.
 */
#ifndef TENON_VMM_VHOST_USER_DEVICE_H
#define TENON_VMM_VHOST_USER_DEVICE_H

#include "vmm/machine.h"
#include "vmm/virtio_device.h"

struct error;
struct guest_memory;
struct vhost_user_frontend;

/* Shakes hands over `config->fd`, which it takes over, also when it fails. `memory` must outlive the
 * device. Destroyed through its ops. Errors: -EOPNOTSUPP (the back-end is too old, or is no disk), and
 * those of vhost_user_frontend_adopt(). */
int vhost_user_device_create(struct virtio_device **out, const struct machine_device *config,
			     const struct guest_memory *memory, struct error *error);

/* Goes on with another connection to the same device, while nothing runs; takes `fd` over, also when it
 * fails, and then keeps the old one. Errors as above, and -EINVAL if it is not like the first. */
int vhost_user_device_reconnect(struct virtio_device *device, int fd, struct error *error);

/* The first half of that, on any thread while the device is in use: a connection for its resume(). Takes `fd` over,
 * also when it fails. */
int vhost_user_device_shake_hands(const struct virtio_device *device, int fd,
				  struct vhost_user_frontend **out, struct error *error);

/* What the back-end says unasked, to wait for; or -1. */
int vhost_user_device_channel(const struct virtio_device *device);

#define VHOST_USER_DEVICE_TIMEOUT_MS 30000u /* as vhost_user_frontend.h has it */

/* How long an answer of the back-end is waited for from now on. */
void vhost_user_device_set_timeout(struct virtio_device *device, unsigned timeout_ms);

/* The connection, to watch for a hang-up. */
int vhost_user_device_fd(const struct virtio_device *device);

#endif
