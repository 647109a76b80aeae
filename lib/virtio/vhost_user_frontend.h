/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vhost-user front-end: drives a device that another process (or thread) implements. Used by the
 * machine monitor and by our own clients.
 *
 * All calls wait for the back-end, each at most `timeout_ms`: on a fiber, others run meanwhile; on a plain thread, which
 * must not be the back-end's, they block. One call at a time. A back-end that does not answer in time, or with
 * something else, is hung up on: all later calls fail at once.
 *
 * Order of calls: connect or adopt (which asks for features, protocol features and the number of
 * queues); set_features; set_memory; start_queue for each; the device runs, kicked and calling through
 * the eventfds; stop_queue for each. set_memory may be called again while queues run.
 */
#ifndef TENON_VIRTIO_VHOST_USER_FRONTEND_H
#define TENON_VIRTIO_VHOST_USER_FRONTEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct guest_memory;
struct vhost_user_frontend;

/* A queue to start: its size, where the device begins, the guest addresses of its parts, and the
 * eventfds, which stay the caller's (-1: none; a call_fd of -1 says that the used ring is polled). A
 * back-end may set O_NONBLOCK on them, which both sides then have; ours does. */
struct vhost_user_queue {
	uint16_t size;
	uint32_t base; /* as of virtqueue_start(); a new packed ring's is VIRTQUEUE_BASE_PACKED */
	uint64_t desc, avail, used;
	int kick_fd;
	int call_fd;
};

/*
 * Connects to the back-end that listens on the unix socket `path`, and asks what it offers. Errors:
 * -ENAMETOOLONG, connect()'s, -EPROTO (not a vhost-user back-end, or it hung up), -ETIMEDOUT.
 * adopt() does the same over a connected socket, which it takes over, also when it fails; `name` is
 * for messages.
 */
int vhost_user_frontend_connect(struct vhost_user_frontend **out, const char *path,
				struct error *error);
int vhost_user_frontend_adopt(struct vhost_user_frontend **out, int fd, const char *name,
			      struct error *error);

/* Hangs up, whatever runs; frees it. NULL is fine. */
void vhost_user_frontend_close(struct vhost_user_frontend *fe);

/* The virtio features on offer (without the protocol's own bit 30). */
uint64_t vhost_user_frontend_features(const struct vhost_user_frontend *fe);
/* The protocol features in use, a mask of 1 << VHOST_USER_PROTOCOL_F_*. */
uint64_t vhost_user_frontend_protocol_features(const struct vhost_user_frontend *fe);
/* The most queues it serves, if it says so (the MQ protocol feature), else 0: the caller knows from
 * the device type. */
unsigned vhost_user_frontend_queue_count(const struct vhost_user_frontend *fe);
/* The connected socket, to watch for a hang-up. */
int vhost_user_frontend_fd(const struct vhost_user_frontend *fe);
/* How long to wait for an answer; 30 s unless set. */
void vhost_user_frontend_set_timeout(struct vhost_user_frontend *fe, unsigned timeout_ms);

/* Tells the back-end what was negotiated, a part of what it offered (-EINVAL otherwise). */
int vhost_user_frontend_set_features(struct vhost_user_frontend *fe, uint64_t features,
				     struct error *error);

/* Gives it guest memory. Each region needs an fd. `memory` must live until the next set_memory() or
 * close: ring addresses are translated with it. -E2BIG if it takes no more than 8 regions. */
int vhost_user_frontend_set_memory(struct vhost_user_frontend *fe,
				   const struct guest_memory *memory, struct error *error);

int vhost_user_frontend_start_queue(struct vhost_user_frontend *fe, unsigned index,
				    const struct vhost_user_queue *queue, struct error *error);
/* Stops it and waits until nothing is in flight; *base (may be NULL) is where to go on. */
int vhost_user_frontend_stop_queue(struct vhost_user_frontend *fe, unsigned index, uint32_t *base,
				   struct error *error);

/*
 * Memory in which the back-end notes chains in flight, kept here for the one that comes after it: asked for before
 * the queues are started for the first time, and given to each back-end that serves the same rings, before it
 * starts them. A fresh one is needed when the driver begins anew. `fd` is the caller's; -EOPNOTSUPP if the back-end
 * does not do that (INFLIGHT_SHMFD).
 */
struct vhost_user_inflight_region {
	int fd;
	uint64_t size, offset;
	uint16_t queue_count, queue_size;
};
int vhost_user_frontend_get_inflight(struct vhost_user_frontend *fe, uint16_t queue_count,
				     uint16_t queue_size, struct vhost_user_inflight_region *out,
				     struct error *error);
int vhost_user_frontend_set_inflight(struct vhost_user_frontend *fe,
				     const struct vhost_user_inflight_region *region,
				     struct error *error);

/* Has the back-end note what it writes, in a bitmap (dirty_log.h) of `bytes` at `offset` of `fd`, while the feature
 * bit VHOST_USER_F_LOG_ALL is on: vhost_user_frontend_log(). -EOPNOTSUPP without LOG_SHMFD. */
int vhost_user_frontend_set_log(struct vhost_user_frontend *fe, int fd, uint64_t offset,
				uint64_t bytes, struct error *error);
int vhost_user_frontend_log(struct vhost_user_frontend *fe, bool on, struct error *error);

/* What the back-end sends unasked. The channel's descriptor, to wait for; -1 if it has none. take_request() takes the
 * next: 1 if it says that configuration space has changed, 0 if there is none, -ENOTCONN after a hang-up,
 * -EPROTO for nonsense; then there is no channel any more. */
int vhost_user_frontend_channel(const struct vhost_user_frontend *fe);
int vhost_user_frontend_take_request(struct vhost_user_frontend *fe);

/* Device configuration space; -EOPNOTSUPP if the back-end has none (no CONFIG protocol feature). */
int vhost_user_frontend_get_config(struct vhost_user_frontend *fe, uint32_t offset, void *at,
				   uint32_t size, struct error *error);
int vhost_user_frontend_set_config(struct vhost_user_frontend *fe, uint32_t offset, const void *at,
				   uint32_t size, struct error *error);

/* Device status (virtio 1.2, 2.1), where the back-end has the STATUS protocol feature, else nothing
 * is sent and get gives 0. */
int vhost_user_frontend_set_status(struct vhost_user_frontend *fe, uint8_t status,
				   struct error *error);
int vhost_user_frontend_get_status(struct vhost_user_frontend *fe, uint8_t *status,
				   struct error *error);

/* RESET_DEVICE, where the back-end has it; else 0: queues have been stopped, that must do. */
int vhost_user_frontend_reset_device(struct vhost_user_frontend *fe, struct error *error);

#endif
