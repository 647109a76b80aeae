/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vswitch: a TAP port with several queues, on a real TAP. The kernel says which of them a frame passed: packet sockets whose filters look at
 * its queue (SKF_AD_QUEUE: of what comes in it is one more).
 */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "fake_port.h"
#include "net_namespace.h"
#include "netdev/tap.h"
#include "netdev/tap_users.h"
#include "util/bytes.h"
#include "util/error.h"
#include "vswitch/internal.h"

#define QUEUES 4
#define FLOWS  64
#define SIZE   64

/* The kernel forgets a flow after three seconds. */
#define FRESH_NS 1000000000
#define TRIES    20

struct lab {
	struct vswitch *vswitch;
	struct fake_port *fake;
	int sender;             /* sends as the host does */
	int judges[QUEUES + 1]; /* what passes with that mark */
};

static int packet_socket(const char *ifname, uint16_t protocol)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET,
				       .sll_protocol = htons(protocol),
				       .sll_ifindex = (int)if_nametoindex(ifname) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static int judge_of(const char *ifname, unsigned mark)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_QUEUE)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, mark, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = { ARRAY_SIZE(code), code };
	int fd = packet_socket(ifname, ETH_P_ALL);

	CU_ASSERT_EQUAL_FATAL(
		setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)), 0);
	return fd;
}

static struct lab make_lab(const char *ifname)
{
	struct vswitch_tap_options options = { .queues = QUEUES };
	struct error error = { 0 };
	struct lab lab;

	CU_ASSERT_EQUAL_FATAL(vswitch_create(&lab.vswitch, NULL, NULL), 0);
	lab.fake = fake_port_add(lab.vswitch, "fake", 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port_tap(lab.vswitch, "t", ifname, &options, &error), 0);
	lab.sender = packet_socket(ifname, 0);
	for (unsigned i = 0; i <= QUEUES; i++)
		lab.judges[i] = judge_of(ifname, i);
	return lab;
}

static void end_lab(struct lab *lab)
{
	close(lab->sender);
	for (unsigned i = 0; i <= QUEUES; i++)
		close(lab->judges[i]);
	vswitch_destroy(lab->vswitch);
}

/* UDP over IPv4 of one flow of many, with a number in it; the other way its ports and addresses are exchanged. */
static void fill_flow(uint8_t frame[SIZE], unsigned flow, bool back, uint32_t number)
{
	memset(frame, 0, SIZE);
	frame[0] = frame[6] = 2;
	frame[back ? 11 : 5] = 9;
	frame[back ? 5 : 11] = 7;
	put_be16(frame + 12, ETHERTYPE_IP);
	frame[14] = 0x45;
	put_be16(frame + 16, SIZE - 14);
	frame[22] = 64;
	frame[23] = 17;
	put_be32(frame + (back ? 26 : 30), 0x0a000009);
	put_be32(frame + (back ? 30 : 26), 0x0a000007);
	put_be16(frame + (back ? 34 : 36), 5000);
	put_be16(frame + (back ? 36 : 34), (uint16_t)(1000 + flow));
	put_be16(frame + 38, SIZE - 34);
	put_be32(frame + 42, number);
	put_be32(frame + 46, flow);
}

/* The queue on which a judge saw the frame; QUEUES: none has. */
static unsigned look_for(struct lab *lab, const uint8_t frame[SIZE], bool in)
{
	unsigned queue = QUEUES;

	for (unsigned i = 0; i <= QUEUES; i++) {
		struct sockaddr_ll from;
		socklen_t length = sizeof(from);
		uint8_t got[2048];

		while (recvfrom(lab->judges[i], got, sizeof(got), 0, (struct sockaddr *)&from,
				&length) > 0)
			if (!memcmp(got, frame, SIZE) &&
			    in != (from.sll_pkttype == PACKET_OUTGOING))
				queue = in ? i - 1 : i;
	}
	return queue;
}

/* The queue on which the frame passed just now, out of the host or (`in`) into it; QUEUES: none. Where another processor sends something of
 * the host's own there, it sends ours, too, a little later. */
static unsigned queue_of(struct lab *lab, const uint8_t frame[SIZE], bool in)
{
	unsigned queue = look_for(lab, frame, in);

	for (unsigned i = 0; i < 60000 && queue == QUEUES; i++) {
		usleep(1000);
		queue = look_for(lab, frame, in);
	}
	return queue;
}

/* Out of the host. */
static unsigned host_sends(struct lab *lab, unsigned flow, uint32_t number)
{
	uint8_t frame[SIZE];

	fill_flow(frame, flow, false, number);
	CU_ASSERT_EQUAL(send(lab->sender, frame, SIZE, 0), SIZE);
	return queue_of(lab, frame, false);
}

/* Into it. */
static unsigned switch_sends(struct lab *lab, unsigned flow, uint32_t number)
{
	uint8_t frame[SIZE];

	fill_flow(frame, flow, true, number);
	fake_port_put(lab->fake, frame, SIZE, NULL);
	vswitch_round(lab->vswitch);
	return queue_of(lab, frame, true);
}

static void run_rounds(struct lab *lab)
{
	do
		vswitch_thread_dispatch(&lab->vswitch->threads[0], 0);
	while (vswitch_round(lab->vswitch));
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* What the host has not sent in goes by its hash, each flow on one queue, all of them used; and the host sends there, too. */
static void test_flows_that_the_switch_begins(void)
{
	unsigned share[QUEUES + 1] = { 0 }, followed = 0;
	struct lab lab;

	if (!net_namespace_with_taps())
		return;
	lab = make_lab("tapq");
	CU_ASSERT_EQUAL(tap_attached_queues("tapq"), QUEUES);
	for (unsigned flow = 0; flow < FLOWS; flow++) {
		unsigned queue = switch_sends(&lab, flow, 1);
		bool fresh = false;

		share[queue]++;
		CU_ASSERT_EQUAL(switch_sends(&lab, flow, 2), queue);
		for (unsigned i = 0; i < TRIES && !fresh; i++) {
			uint64_t began = now_ns();
			unsigned back;

			CU_ASSERT_EQUAL(switch_sends(&lab, flow, 3 + i), queue);
			back = host_sends(&lab, flow, 3 + i);
			fresh = now_ns() - began < FRESH_NS;
			CU_ASSERT_TRUE(!fresh || back == queue);
			followed += fresh;
		}
		run_rounds(&lab);
		fake_port_clear(lab.fake);
	}
	for (unsigned i = 0; i < QUEUES; i++)
		CU_ASSERT(share[i] >= FLOWS / QUEUES / 3);
	CU_ASSERT_EQUAL(share[QUEUES], 0);
	CU_ASSERT(followed > 0);
	end_lab(&lab);
}

/* What it has goes where the host had it, so that the host's flow does not move. */
static void test_flows_that_the_host_begins(void)
{
	unsigned share[QUEUES + 1] = { 0 };
	struct lab lab;

	if (!net_namespace_with_taps())
		return;
	lab = make_lab("tapr");
	for (unsigned flow = 0; flow < FLOWS; flow++) {
		unsigned queue = host_sends(&lab, flow, 1);

		share[queue]++;
		run_rounds(&lab);
		for (uint32_t number = 2; number < 5; number++) {
			CU_ASSERT_EQUAL(switch_sends(&lab, flow, number), queue);
			CU_ASSERT_EQUAL(host_sends(&lab, flow, number), queue);
		}
		run_rounds(&lab);
		fake_port_clear(lab.fake);
	}
	for (unsigned i = 0; i < QUEUES; i++)
		CU_ASSERT(share[i] > 0);
	CU_ASSERT_EQUAL(share[QUEUES], 0);
	end_lab(&lab);
}

/* Frames of ours that came to the other port from `first` on, each flow's in order: `next` has what comes next of each. */
static unsigned check_order(const struct lab *lab, unsigned first, uint32_t next[FLOWS + 1])
{
	unsigned count = 0;

	for (unsigned i = first; i < lab->fake->out_count; i++) {
		const uint8_t *frame = lab->fake->out[i].bytes;
		uint32_t flow;

		if (lab->fake->out[i].length != SIZE || get_be16(frame + 12) != ETHERTYPE_IP ||
		    get_be16(frame + 36) != 5000)
			continue;
		flow = get_be32(frame + 46);
		CU_ASSERT_FATAL(flow <= FLOWS);
		CU_ASSERT_EQUAL(get_be32(frame + 42), next[flow]);
		next[flow]++;
		count++;
	}
	return count;
}

/* A flow of each queue, of which nothing waits then. */
static void find_flows(struct lab *lab, unsigned flows[QUEUES])
{
	unsigned missing = QUEUES;

	for (unsigned i = 0; i < QUEUES; i++)
		flows[i] = FLOWS;
	for (unsigned flow = 0; flow < FLOWS && missing; flow++) {
		unsigned queue = host_sends(lab, flow, 0);

		CU_ASSERT_FATAL(queue < QUEUES);
		missing -= flows[queue] == FLOWS;
		flows[queue] = flow;
	}
	CU_ASSERT_EQUAL_FATAL(missing, 0);
	run_rounds(lab);
	fake_port_clear(lab->fake);
}

static void one_round(struct lab *lab)
{
	vswitch_thread_dispatch(&lab->vswitch->threads[0], 0);
	vswitch_round(lab->vswitch);
}

/* One flow floods its queue, and has had whole rounds: the next one takes what is in the others, too. */
static void test_one_queue_is_flooded(void)
{
	uint32_t next[FLOWS + 1] = { 0 };
	unsigned flows[QUEUES];
	struct lab lab;

	if (!net_namespace_with_taps())
		return;
	lab = make_lab("taps");
	find_flows(&lab, flows);
	for (uint32_t number = 0; number < 200; number++)
		host_sends(&lab, flows[0], number);
	for (unsigned i = 0; i < 4; i++)
		one_round(&lab);
	CU_ASSERT(check_order(&lab, 0, next) > 2 * PORT_BURST);
	fake_port_clear(lab.fake);
	for (unsigned i = 1; i < QUEUES; i++)
		host_sends(&lab, flows[i], 0);
	one_round(&lab);
	CU_ASSERT(lab.fake->out_count <= PORT_BURST);
	check_order(&lab, 0, next);
	for (unsigned i = 1; i < QUEUES; i++)
		CU_ASSERT_EQUAL(next[flows[i]], 1);
	fake_port_clear(lab.fake);
	run_rounds(&lab);
	check_order(&lab, 0, next);
	CU_ASSERT_EQUAL(next[flows[0]], 200);
	end_lab(&lab);
}

/* All are, and there is room for two frames at a time: each has its turn. */
static void test_queues_take_turns(void)
{
	unsigned flows[QUEUES], came[FLOWS] = { 0 };
	struct port *port;
	struct lab lab;

	if (!net_namespace_with_taps())
		return;
	lab = make_lab("tapw");
	find_flows(&lab, flows);
	for (uint32_t number = 0; number < 100; number++)
		for (unsigned i = 0; i < QUEUES; i++)
			host_sends(&lab, flows[i], number);
	vswitch_thread_dispatch(&lab.vswitch->threads[0], 0);
	port = vswitch_find_port(lab.vswitch, "t");
	for (unsigned i = 0; i < 20 * QUEUES; i++) {
		struct frame *frames[PORT_BURST];
		unsigned count = port->ops->receive(port, frames, 2);

		CU_ASSERT(count <= 2);
		for (unsigned j = 0; j < count; j++) {
			uint32_t flow = get_be32((uint8_t *)frames[j]->pieces[0].iov_base + 46);

			if (frames[j]->length == SIZE && flow < FLOWS)
				came[flow]++;
		}
		port->ops->release(port);
	}
	/* Forty each; and what the host said for itself. */
	for (unsigned i = 0; i < QUEUES; i++)
		CU_ASSERT(came[flows[i]] >= 30 && came[flows[i]] <= 45);
	end_lab(&lab);
}

/* The host's, of some flows: `count` numbers from `first` on. */
static void send_in_turn(struct lab *lab, uint32_t first, unsigned count)
{
	for (uint32_t number = first; number < first + count; number++)
		for (unsigned flow = 0; flow < FLOWS / 4; flow++) {
			uint8_t frame[SIZE];

			fill_flow(frame, flow, false, number);
			CU_ASSERT_EQUAL(send(lab->sender, frame, SIZE, 0), SIZE);
		}
}

/* An answer that comes while frames of the flow wait in a queue does not have later ones pass them by in another. */
static void test_order_is_kept(void)
{
	uint32_t next[FLOWS + 1] = { 0 };
	struct lab lab;

	if (!net_namespace_with_taps())
		return;
	lab = make_lab("tapu");
	for (unsigned turn = 0; turn < 20; turn++) {
		run_rounds(&lab);
		fake_port_clear(lab.fake);
		send_in_turn(&lab, turn * 10, 5);
		/* In the first turn the switch knows none of the flows, and the host moves. */
		for (unsigned flow = 0; flow < FLOWS / 4 && turn; flow++)
			switch_sends(&lab, flow, turn);
		send_in_turn(&lab, turn * 10 + 5, 5);
		run_rounds(&lab);
		CU_ASSERT_EQUAL(check_order(&lab, 0, next), 10 * FLOWS / 4);
	}
	end_lab(&lab);
}

static void test_what_cannot_be(void)
{
	CLEANUP(cleanup_vswitch) struct vswitch *vswitch = NULL;
	struct vswitch_tap_options options = { .queues = QUEUES },
				   many = { .queues = VSWITCH_TAP_QUEUES_MAX + 1 };
	struct tap_options several = { .queues = 2 };
	struct error error = { 0 };
	struct tap tap;

	if (!net_namespace_with_taps())
		return;
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, NULL, NULL), 0);
	CU_ASSERT_EQUAL(vswitch_add_port_tap(vswitch, "p", "tapv", &many, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "128"));
	CU_ASSERT_EQUAL(if_nametoindex("tapv"), 0);
	CU_ASSERT_EQUAL_FATAL(tap_open(&tap, "tapv", &several, &error), 0);
	CU_ASSERT_EQUAL(vswitch_add_port_tap(vswitch, "p", "tapv", &options, &error), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "port p"));
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "found 2"));
	CU_ASSERT_EQUAL(tap_attached_queues("tapv"), 2);
	tap_close(&tap);
	CU_ASSERT_EQUAL_FATAL(tap_open(&tap, "tapv", NULL, &error), 0);
	CU_ASSERT_EQUAL(vswitch_add_port_tap(vswitch, "p", "tapv", &options, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "a single queue"));
	tap_close(&tap);
	CU_ASSERT_EQUAL(vswitch_add_port_tap(vswitch, "p", "tapv", &options, &error), 0);
	CU_ASSERT_EQUAL(tap_attached_queues("tapv"), QUEUES);
}

UNIT_MAIN("switch_tap_queues", UNIT(test_flows_that_the_switch_begins),
	  UNIT(test_flows_that_the_host_begins), UNIT(test_one_queue_is_flooded),
	  UNIT(test_queues_take_turns), UNIT(test_order_is_kept), UNIT(test_what_cannot_be))
