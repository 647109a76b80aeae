/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports of guests that do nothing are not asked for frames, until they have some. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_guest.h"
#include "util/bytes.h"
#include "util/error.h"
#include "vswitch/internal.h"

#define GUESTS   10
#define ATTEMPTS 100000

static struct vswitch *lab;
static struct net_guest *guests[GUESTS];

static struct net_guest *plug_in(const char *name)
{
	struct vhost_user_frontend *frontend;
	struct error error = { 0 };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) ||
	    vswitch_add_port_vhost_user_fd(lab, name, pair[0], &error) ||
	    vhost_user_frontend_adopt(&frontend, pair[1], name, &error)) {
		fprintf(stderr, "plug_in: %s\n", error.text);
		abort();
	}
	return net_guest_start(frontend,
			       VIRTIO_NET_BIT(MRG_RXBUF) | 1ULL << VIRTIO_RING_F_EVENT_IDX);
}

static int count_awake(void *arg)
{
	*(unsigned *)arg = lab->threads[0].awake_count;
	return 0;
}

static unsigned awake(void)
{
	unsigned count;

	CU_ASSERT_EQUAL_FATAL(vswitch_call(lab, count_awake, &count), 0);
	return count;
}

/* From guest `number` to all. */
static void send_from(unsigned number)
{
	uint8_t frame[60];

	memset(frame, 0xff, sizeof(frame));
	memcpy(frame + 6, (uint8_t[]){ 2, 0, 0, 0, 0, (uint8_t)number }, 6);
	CU_ASSERT_TRUE_FATAL(net_guest_send(guests[number], frame, sizeof(frame), NULL, 1));
}

/* The first guest sends until all others rest. */
static void wait_for_rest(unsigned ports)
{
	unsigned i;

	for (i = 0; i < ATTEMPTS && awake() + GUESTS - 1 > ports; i++)
		for (unsigned k = 0; k < 32; k++)
			send_from(0);
	CU_ASSERT_FATAL(i < ATTEMPTS);
}

/* What guest `from` sends comes to guest `to`, which has had no buffers so far. */
static void must_pass(unsigned from, unsigned to)
{
	uint8_t got[64];

	net_guest_give_buffers(guests[to], 1, 256);
	send_from(from);
	CU_ASSERT_EQUAL_FATAL(net_guest_receive(guests[to], got, sizeof(got), NET_GUEST_PATIENCE),
			      60);
	CU_ASSERT_EQUAL(got[11], from);
}

static void test_guests_that_do_nothing_rest_and_are_woken(void)
{
	struct link_model model = { 0 };

	CU_ASSERT_EQUAL_FATAL(vswitch_create(&lab, NULL, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_start(lab, NULL), 0);
	for (unsigned i = 0; i < GUESTS; i++) {
		char name[] = { 'g', (char)('0' + i), 0 };

		guests[i] = plug_in(name);
	}
	wait_for_rest(GUESTS);
	CU_ASSERT_EQUAL(awake(), 1);
	must_pass(1, 2);
	wait_for_rest(GUESTS);
	/* One under which a link comes, and one that goes. */
	CU_ASSERT_EQUAL(link_model_set(&model, "delay=1ms", NULL), 0);
	CU_ASSERT_EQUAL(vswitch_set_link(lab, "g3", LINK_IN, &model, NULL), 0);
	must_pass(3, 4);
	CU_ASSERT_EQUAL(vswitch_remove_port(lab, "g5", NULL), 0);
	must_pass(6, 7);
	/* All sleep, and are woken. */
	must_pass(8, 9);
	vswitch_destroy(lab);
	for (unsigned i = 0; i < GUESTS; i++)
		net_guest_end(guests[i]);
}

/* One that has a frame each third time that it is asked. */
struct steady_port {
	struct port port;
	unsigned asked;
	uint8_t bytes[60];
	struct iovec piece;
	struct frame frame;
};

static unsigned receive_now_and_then(struct port *port, struct frame **frames, unsigned max)
{
	struct steady_port *steady = container_of(port, struct steady_port, port);

	if (!max || ++steady->asked % 3)
		return 0;
	steady->piece = (struct iovec){ steady->bytes, sizeof(steady->bytes) };
	steady->frame = (struct frame){ .pieces = &steady->piece,
					.count = 1,
					.length = sizeof(steady->bytes) };
	frames[0] = &steady->frame;
	return 1;
}

static void release_nothing(struct port *port)
{
	(void)port;
}

static unsigned transmit_nowhere(struct port *port, struct frame *const *frames, unsigned count)
{
	(void)port;
	(void)frames;
	return count;
}

static void free_steady(struct port *port)
{
	free(container_of(port, struct steady_port, port));
}

/* Who is always found to have something as soon as the thread polls does not keep it from its descriptors: calls come by one. */
static void test_a_port_that_answers_polling_keeps_nobody_waiting(void)
{
	static const struct port_ops ops = { .type = "steady",
					     .polled = true,
					     .receive = receive_now_and_then,
					     .release = release_nothing,
					     .transmit = transmit_nowhere,
					     .destroy = free_steady };
	struct steady_port *steady = calloc(1, sizeof(*steady));
	struct vswitch_options options = { .poll_ns = 1000000000 };

	steady->port.ops = &ops;
	steady->port.up = true;
	memcpy(steady->bytes + 6, (uint8_t[]){ 2, 0, 0, 0, 0, 1 }, 6);
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&lab, &options, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port(lab, &steady->port, "steady", NULL), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_start(lab, NULL), 0);
	for (unsigned i = 0; i < 1000; i++)
		(void)awake();
	vswitch_destroy(lab);
}

UNIT_MAIN("switch_rest", UNIT(test_guests_that_do_nothing_rest_and_are_woken),
	  UNIT(test_a_port_that_answers_polling_keeps_nobody_waiting))
