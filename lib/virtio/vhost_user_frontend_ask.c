/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sending and asking of a vhost-user front-end: see vhost_user_frontend_private.h.
 *
 * Where the back-end has REPLY_ACK, every message asks for an answer, so that a refusal is reported at
 * the message that caused it.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include "fiber/fiber.h"
#include "util/bytes.h"
#include "util/clock.h"
#include "util/error.h"
#include "virtio/vhost_user_frontend_private.h"

#define PAUSE_NS 2000000

static int fail(struct vhost_user_frontend *fe, const struct vhost_user_message *message, int rc,
		const char *what, struct error *error)
{
	char buffer[VHOST_USER_NAME];

	return error_set(error, rc, "%s: vhost-user %s: %s", fe->name,
			 vhost_user_request_name(message->header.request, buffer), what);
}

/*
 * After a message that was not sent or answered as it should be, an answer that comes late would be taken
 * for that to a later message, and each later message would be waited for in vain. So the connection ends
 * here: whatever follows fails at once, and who watches its descriptor sees a hang-up.
 */
static int lose(struct vhost_user_frontend *fe, const struct vhost_user_message *message, int rc,
		const char *what, struct error *error)
{
	(void)shutdown(fe->fd, SHUT_RDWR);
	return fail(fe, message, rc, what, error);
}

static uint64_t now(void)
{
	return fiber_current() ? worker_now() : monotonic_ns();
}

/* When what is begun now must be over: a back-end that sends an answer byte by byte gets no more time for it. */
static uint64_t deadline(const struct vhost_user_frontend *fe)
{
	return now() + fe->timeout_ms * 1000000ULL;
}

/* Waits for the socket, on a fiber while others run; 0, -ETIMEDOUT or -ECANCELED. */
static int await_socket(struct vhost_user_frontend *fe, short events, uint64_t until)
{
	struct pollfd entry = { .fd = fe->fd, .events = events };
	uint64_t at = now(), left = until > at ? until - at : 0;
	int rc;

	if (fiber_current()) {
		rc = fiber_poll_until(fe->fd, events, until);
		return MIN(rc, 0);
	}
	rc = poll(&entry, 1, left ? (int)(left / 1000000 + 1) : 0);
	if (rc < 0)
		return errno == EINTR ? 0 : -errno;
	return rc || left ? 0 : -ETIMEDOUT;
}

/*
 * All processes of this user together have as many descriptors on their way as one may have open; whoever they are sent to takes them
 * out, or is closed. 0, -ETOOMANYREFS when it took too long, or -ECANCELED.
 */
static int pause_for_descriptors(uint64_t until)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };

	if (now() >= until)
		return -ETOOMANYREFS;
	if (fiber_current())
		return fiber_sleep(PAUSE_NS);
	nanosleep(&pause, NULL);
	return 0;
}

static int receive_message(struct vhost_user_frontend *fe)
{
	uint64_t until = deadline(fe);
	int rc;

	do {
		rc = vhost_user_receive(&fe->receiver, fe->fd, MSG_DONTWAIT);
		if (rc != -EAGAIN)
			return rc;
		rc = await_socket(fe, POLLIN, until);
	} while (rc == 0);
	return rc;
}

/* Receives the answer to `message` into fe->receiver. */
static int receive(struct vhost_user_frontend *fe, const struct vhost_user_message *message,
		   struct error *error)
{
	const struct vhost_user_header *header = &fe->receiver.message.header;
	int rc;

	vhost_user_receiver_reset(&fe->receiver);
	rc = receive_message(fe);
	if (rc == 0 || rc == -ECONNRESET)
		return lose(fe, message, -EPROTO, "the back-end hung up", error);
	if (rc == -ETIMEDOUT)
		return lose(fe, message, -ETIMEDOUT, "the back-end did not answer", error);
	if (rc == -ECANCELED)
		return lose(fe, message, -ECANCELED, "given up", error);
	if (rc == -EPROTO)
		return lose(fe, message, rc, "the answer is no vhost-user message", error);
	if (rc < 0)
		return lose(fe, message, rc, error_name(rc), error);
	if (header->request != message->header.request || !(header->flags & VHOST_USER_FLAG_REPLY))
		return lose(fe, message, -EPROTO, "the answer is to something else", error);
	return 0;
}

static int send_message(struct vhost_user_frontend *fe, struct vhost_user_message *message,
			const int *fds, unsigned fd_count, struct error *error)
{
	uint64_t until = deadline(fe);
	int rc, waited;

	message->header.flags |= VHOST_USER_VERSION;
	do {
		rc = vhost_user_send(fe->fd, message, fds, fd_count, MSG_DONTWAIT);
		if (rc == -EAGAIN)
			waited = rc = await_socket(fe, POLLOUT, until);
		else if (rc == -ETOOMANYREFS)
			waited = rc = pause_for_descriptors(until);
		else
			waited = 1;
	} while (!waited);
	if (rc == -EPIPE || rc == -ECONNRESET)
		return lose(fe, message, -EPROTO, "the back-end hung up", error);
	if (rc < 0)
		return lose(fe, message, rc, error_name(rc), error);
	return 0;
}

/* Sends a message that has no answer of its own, and waits until it was carried out. */
int frontend_command(struct vhost_user_frontend *fe, struct vhost_user_message *message,
		     const int *fds, unsigned fd_count, struct error *error)
{
	bool acknowledge = frontend_has(fe, VHOST_USER_PROTOCOL_F_REPLY_ACK);
	int rc;

	message->header.flags = acknowledge ? VHOST_USER_FLAG_NEED_REPLY : 0;
	rc = send_message(fe, message, fds, fd_count, error);
	if (rc < 0 || !acknowledge)
		return rc;
	rc = receive(fe, message, error);
	if (rc < 0)
		return rc;
	if (fe->receiver.message.header.size != sizeof(uint64_t))
		return fail(fe, message, -EPROTO, "the answer has the wrong size", error);
	if (fe->receiver.message.payload.u64)
		return fail(fe, message, -EIO, "the back-end refused it", error);
	return 0;
}

int frontend_command_u64(struct vhost_user_frontend *fe, enum vhost_user_request request,
			 uint64_t value, struct error *error)
{
	struct vhost_user_message message = { .header = { request, 0, sizeof(value) },
					      .payload.u64 = value };

	return frontend_command(fe, &message, NULL, 0, error);
}

/* Sends a message that has an answer, and checks the answer's size. */
int frontend_query(struct vhost_user_frontend *fe, struct vhost_user_message *message, int fd,
		   uint32_t answer_size, struct error *error)
{
	int rc = send_message(fe, message, &fd, fd >= 0, error);

	if (rc == 0)
		rc = receive(fe, message, error);
	if (rc == 0 && fe->receiver.message.header.size != answer_size)
		rc = fail(fe, message, -EPROTO, "the answer has the wrong size", error);
	return rc;
}

int frontend_query_u64(struct vhost_user_frontend *fe, enum vhost_user_request request,
		       uint64_t *value, struct error *error)
{
	struct vhost_user_message message = { .header = { .request = request } };
	int rc = frontend_query(fe, &message, -1, sizeof(*value), error);

	if (rc == 0)
		*value = fe->receiver.message.payload.u64;
	return rc;
}
