/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vhost-user back-end's protocol engine: it owns the connected socket, the mapped guest memory and
 * the eventfds, checks all that the front-end says, and tells a device when a queue starts and stops.
 *
 * No threads and no waiting of its own: call vhost_user_backend_input() when the socket is readable,
 * on a fiber or in a plain poll loop. It never blocks on the socket.
 *
 * Ring states. A ring is started once its size, addresses and kick eventfd are there (a kick that came
 * earlier is not lost: a device looks at its ring when it starts), and stopped by GET_VRING_BASE,
 * RESET_DEVICE, a status of 0, and the end of the connection. Where VHOST_USER_F_PROTOCOL_FEATURES was
 * negotiated, rings are disabled until SET_VRING_ENABLE. With `run_disabled`, queue_start() comes when
 * a ring is started, and queue_enable() tells of changes (a NIC discards what is sent on a disabled
 * ring); without it, queue_start() comes when the ring is started and enabled both.
 *
 * SET_MEM_TABLE, ADD_MEM_REG, REM_MEM_REG and a new kick eventfd may come while queues run: the engine
 * stops the queues it must, changes what is to be changed, and starts them again where they were. A new
 * call eventfd takes effect at once, without a stop.
 *
 * Memory besides the guest's. INFLIGHT_SHMFD: the engine makes a region for chains in flight, the front-end keeps
 * it and gives it to whoever serves the device next. LOG_SHMFD: what is written into guest memory is noted in
 * a bitmap of the front-end's, while it has the feature LOG_ALL on.
 *
 * A front-end that breaks the protocol loses its connection, and nothing else.
 */
#ifndef TENON_VIRTIO_VHOST_USER_BACKEND_H
#define TENON_VIRTIO_VHOST_USER_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "virtio/virtqueue.h"

struct error;
struct log;
struct vhost_user_backend;

/* What a device implements; `device` is the pointer given at the start. Those marked optional may be
 * NULL, and then the protocol feature behind them is not offered. */
struct vhost_user_backend_ops {
	bool run_disabled; /* see above */
	/* Chains in flight may be noted in memory that outlives this process; the device does not mind
	 * to be given some that were in the hands of a process before it (virtqueue_inflight.h). */
	bool inflight;

	/* The virtio features on offer: the device's own and VIRTQUEUE_FEATURES or a part of it. */
	uint64_t (*features)(void *device);
	/* What was negotiated: a part of the above. Optional. */
	void (*features_set)(void *device, uint64_t features);
	/* At most 256. */
	unsigned (*queue_count)(void *device);
	bool in_pairs; /* a NIC: front-ends ask for, and are told of, pairs of queues */

	/* The ring is set up, its eventfds (maybe -1) are in `vq`; process it from now on, beginning
	 * with a look at it. A negative errno ends the connection. */
	int (*queue_start)(void *device, unsigned index, struct virtqueue *vq);
	/* Stop taking chains, and return when every chain taken was pushed and shown, so that nothing
	 * touches guest memory any more. May suspend if input() and close() are called on a fiber. */
	void (*queue_stop)(void *device, unsigned index);
	/* The ring's `vq->enabled` changed while it runs. Only with run_disabled; optional. */
	void (*queue_enable)(void *device, unsigned index, bool enabled);

	/* Device configuration space: [offset, offset + size) is within 256 bytes. Bytes past the
	 * device's own fields read as 0. Negative errno to refuse. Optional. */
	int (*get_config)(void *device, uint32_t offset, void *at, uint32_t size);
	/* `migration`: also read-only fields are to be taken. Optional. */
	int (*set_config)(void *device, uint32_t offset, const void *at, uint32_t size,
			  bool migration);

	/* Back to the state of a new connection; queues are stopped by then. Optional. */
	void (*reset)(void *device);
	/* The guest's MTU; -EINVAL to refuse. Optional. */
	int (*set_mtu)(void *device, uint64_t mtu);
	/* Announce this address after a migration (the guest cannot). Optional. */
	void (*send_rarp)(void *device, const uint8_t mac[6]);
};

struct vhost_user_backend_options {
	const char *name;  /* for messages: the device and the socket; copied */
	struct log *log;   /* may be NULL */
	bool require_seal; /* refuse memory whose file could be shortened: see guest_memory.h */
	unsigned messages; /* that input() handles at once, so that others get their turn; 0: 64 */
};

/* Takes the connected socket `fd` over (it becomes non-blocking), also when it fails: -ENOMEM or
 * -EINVAL. */
int vhost_user_backend_create(struct vhost_user_backend **out, int fd,
			      const struct vhost_user_backend_ops *ops, void *device,
			      const struct vhost_user_backend_options *options,
			      struct error *error);

/* Stops what runs, and waits for it. The queues can be looked at still. */
void vhost_user_backend_stop(struct vhost_user_backend *be);
/* The same; and unmaps, closes, frees. NULL is fine. */
void vhost_user_backend_close(struct vhost_user_backend *be);

/*
 * Reads and handles what has arrived. 0: all of it, or as much as is done at once, wait for more; -ENOTCONN: the front-end hung up;
 * another negative errno with `error` set: it broke the protocol, or the connection failed. After an
 * error, vhost_user_backend_close() is all that is left to do.
 */
int vhost_user_backend_input(struct vhost_user_backend *be, struct error *error);

/* Tells the front-end that configuration space has changed; it asks for it when it likes. -EOPNOTSUPP if it has
 * not given us a channel for that; another negative errno if the channel is full or closed. */
int vhost_user_backend_config_changed(struct vhost_user_backend *be);

int vhost_user_backend_fd(const struct vhost_user_backend *be);
const struct guest_memory *vhost_user_backend_memory(const struct vhost_user_backend *be);
/* Negotiated virtio features, without the protocol's own. */
uint64_t vhost_user_backend_features(const struct vhost_user_backend *be);
/* A queue, running or not; NULL past queue_count. */
struct virtqueue *vhost_user_backend_queue(struct vhost_user_backend *be, unsigned index);

#endif
