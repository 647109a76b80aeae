/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by vhost_user_backend*.c: connection, requests, memory, rings. */
#ifndef TENON_VIRTIO_VHOST_USER_BACKEND_PRIVATE_H
#define TENON_VIRTIO_VHOST_USER_BACKEND_PRIVATE_H

#include "virtio/dirty_log.h"
#include "virtio/guest_memory.h"
#include "virtio/memory_guard.h"
#include "virtio/vhost_user.h"
#include "virtio/vhost_user_backend.h"
#include "virtio/virtqueue.h"
#include "virtio/virtqueue_inflight.h"

struct backend_queue {
	struct virtqueue vq; /* owns its eventfds */
	struct virtqueue_inflight inflight;
	uint16_t size; /* 0 until told */
	uint32_t base; /* where to begin, while it does not run: see virtqueue_start() */
	bool has_base;
	uint32_t left_at; /* where it was when it was stopped last */
	bool was_left;
	struct vhost_user_vring_address address;
	bool has_address;
	bool has_kick; /* told, maybe to poll */
	bool running;
	bool paused; /* stopped for a change, to be started again after it */
};

struct vhost_user_backend {
	int fd;
	int channel_fd; /* for requests of ours; or -1 */
	const struct vhost_user_backend_ops *ops;
	void *device;
	char *name;
	struct log *log;
	bool require_seal;
	unsigned messages; /* handled at once */

	struct vhost_user_receiver receiver;
	uint64_t features; /* negotiated, with bit 30 */
	uint64_t protocol_features;
	uint8_t status;
	struct guest_memory memory;
	struct dirty_log dirty; /* noted in while memory.log is set */
	struct {
		void *mapping; /* NULL: none */
		uint64_t size;
		struct memory_guard *guard;
	} inflight;
	int answer_fd; /* goes with the answer to the message at hand, and is closed; or -1 */
	unsigned queue_count;
	struct backend_queue queues[];
};

/* What a handler returns that has put the answer into the message. */
#define REPLY 1
static inline int backend_reply_u64(struct vhost_user_message *message, uint64_t value)
{
	message->payload.u64 = value;
	message->header.size = sizeof(value);
	return REPLY;
}

/* Carries one message out: 0, REPLY, or a negative errno with the error set, -EOPNOTSUPP for a message
 * that is not known. */
int backend_dispatch(struct vhost_user_backend *be, struct vhost_user_message *message,
		     struct error *error);

/* Handlers of the messages about memory. */
int backend_set_mem_table(struct vhost_user_backend *be, struct vhost_user_message *message,
			  struct error *error);
int backend_add_mem_reg(struct vhost_user_backend *be, struct vhost_user_message *message,
			struct error *error);
int backend_rem_mem_reg(struct vhost_user_backend *be, struct vhost_user_message *message,
			struct error *error);

/* Handlers of the messages about rings. */
int backend_set_vring_num(struct vhost_user_backend *be, struct vhost_user_message *message,
			  struct error *error);
int backend_set_vring_addr(struct vhost_user_backend *be, struct vhost_user_message *message,
			   struct error *error);
int backend_set_vring_base(struct vhost_user_backend *be, struct vhost_user_message *message,
			   struct error *error);
int backend_get_vring_base(struct vhost_user_backend *be, struct vhost_user_message *message,
			   struct error *error);
int backend_set_vring_kick(struct vhost_user_backend *be, struct vhost_user_message *message,
			   struct error *error);
int backend_set_vring_call(struct vhost_user_backend *be, struct vhost_user_message *message,
			   struct error *error);
int backend_set_vring_err(struct vhost_user_backend *be, struct vhost_user_message *message,
			  struct error *error);
int backend_set_vring_enable(struct vhost_user_backend *be, struct vhost_user_message *message,
			     struct error *error);

/* Whether memory of the front-end's may be looked at without waiting for anybody: 0 or -EPERM. */
int backend_check_file(const struct vhost_user_backend *be, int fd, struct error *error);
/* Whether a file of the front-end's was shortened. */
bool backend_torn(const struct vhost_user_backend *be);

/* Handlers of the messages about other memory, and the channel. */
int backend_get_inflight_fd(struct vhost_user_backend *be, struct vhost_user_message *message,
			    struct error *error);
int backend_set_inflight_fd(struct vhost_user_backend *be, struct vhost_user_message *message,
			    struct error *error);
int backend_set_log_base(struct vhost_user_backend *be, struct vhost_user_message *message,
			 struct error *error);
int backend_set_backend_req_fd(struct vhost_user_backend *be, struct vhost_user_message *message,
			       struct error *error);
/* Has the log kept, or not, as the features now say. */
void backend_update_log(struct vhost_user_backend *be);
void backend_forget_inflight(struct vhost_user_backend *be);
void backend_close_shared(struct vhost_user_backend *be);

void backend_queue_init(struct vhost_user_backend *be, unsigned index);
/* Stops it and closes its eventfds. */
void backend_queue_destroy(struct vhost_user_backend *be, unsigned index);

/* Starts or stops the queue, as what is known of it now demands. */
int backend_queue_update(struct vhost_user_backend *be, unsigned index, struct error *error);
/* Stops it and forgets its kick, so that only a new one starts it. */
void backend_queue_stop(struct vhost_user_backend *be, unsigned index);

/* Around a change: stops what runs; starts it again where it was. */
void backend_queue_pause(struct vhost_user_backend *be, unsigned index);
int backend_queue_resume(struct vhost_user_backend *be, unsigned index, struct error *error);
void backend_pause_all(struct vhost_user_backend *be);
int backend_resume_all(struct vhost_user_backend *be, struct error *error);

void backend_queue_enable(struct vhost_user_backend *be, unsigned index, bool enabled);

/* Puts `fd` (owned, or -1 for none) in the place of an eventfd, also while others write to it. */
int backend_replace_eventfd(struct backend_queue *queue, int *slot, int fd);

#endif
