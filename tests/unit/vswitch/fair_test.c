/* SPDX-License-Identifier: BSD-2-Clause */
/* A port that floods takes nothing from others who ask for less than their share: of what a thread can do, and of a receiver. */
#include "unit.h"

#include <stdlib.h>

#include "util/bytes.h"
#include "vswitch/internal.h"

#define ROUNDS 2000
#define LENGTH 60
#define HEAD   64
#define LARGE  65226u /* 45 segments of 1448 bytes, and headers */
#define CUT    45u

/* Sends so many frames in each round, or takes so many. */
struct paced_port {
	struct port port;
	unsigned sends, takes;
	unsigned room; /* in this round */
	size_t length; /* of its frames */
	uint8_t bytes[HEAD];
	struct virtio_net_offload offload;
	uint32_t next; /* frame of its own */
	struct frame frames[PORT_BURST];
	struct iovec pieces[PORT_BURST][2];
	uint8_t copies[PORT_BURST][HEAD];
	uint64_t sent;
	uint64_t got[256]; /* by the last byte of the sender's address */
	uint32_t last[256];
	unsigned disordered;
};

static uint8_t zeroes[65536];

static struct paced_port *paced_of(struct port *port)
{
	return container_of(port, struct paced_port, port);
}

static unsigned receive(struct port *port, struct frame **frames, unsigned max)
{
	struct paced_port *paced = paced_of(port);
	unsigned count = MIN(paced->sends, max);

	paced->room = paced->takes;
	for (unsigned i = 0; i < count; i++) {
		size_t head = MIN(paced->length, (size_t)HEAD);

		memcpy(paced->copies[i], paced->bytes, HEAD);
		put_be32(paced->copies[i] + 20, ++paced->next);
		paced->pieces[i][0] = (struct iovec){ paced->copies[i], head };
		paced->pieces[i][1] = (struct iovec){ zeroes, paced->length - head };
		paced->frames[i] = (struct frame){ .pieces = paced->pieces[i],
						   .count = paced->length > head ? 2 : 1,
						   .length = (uint32_t)paced->length,
						   .offload = paced->offload };
		frames[i] = &paced->frames[i];
	}
	paced->sent += count;
	return count;
}

static void release(struct port *port)
{
	(void)port;
}

static unsigned transmit(struct port *port, struct frame *const *frames, unsigned count)
{
	struct paced_port *paced = paced_of(port);
	unsigned taken = MIN(count, paced->room);

	for (unsigned i = 0; i < taken; i++) {
		const uint8_t *bytes = frames[i]->pieces[0].iov_base;
		uint32_t number = get_be32(bytes + 20);

		paced->got[bytes[11]]++;
		paced->disordered += number < paced->last[bytes[11]];
		paced->last[bytes[11]] = number;
	}
	paced->room -= taken;
	return taken;
}

static void destroy(struct port *port)
{
	free(paced_of(port));
}

/* A guest's, and one whose frames the kernel is called for. */
static const struct port_ops ops = { .type = "paced",
				     .polled = true,
				     .receive = receive,
				     .release = release,
				     .transmit = transmit,
				     .destroy = destroy };
static const struct port_ops called_ops = { .type = "called",
					    .receive = receive,
					    .release = release,
					    .transmit = transmit,
					    .destroy = destroy };

/* And one that hands them to a thread of its own, as what records them does. */
static const struct port_ops recorded_ops = { .type = "recorded",
					      .no_calls = true,
					      .receive = receive,
					      .release = release,
					      .transmit = transmit,
					      .destroy = destroy };

static struct paced_port *add(struct vswitch *vswitch, const char *name, uint8_t address,
			      unsigned sends, unsigned takes)
{
	struct paced_port *paced = calloc(1, sizeof(*paced));
	static const uint8_t head[12] = { 2, 0, 0, 0, 0, 'r', 2 };

	paced->port.ops = &ops;
	paced->port.up = true;
	paced->sends = sends;
	paced->takes = takes;
	paced->length = LENGTH;
	memcpy(paced->bytes, head, sizeof(head));
	paced->bytes[11] = address;
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port(vswitch, &paced->port, name, NULL), 0);
	return paced;
}

/* The flood begins before the others in each round, so that it would have all. */
static void test_a_flood_costs_a_neighbour_nothing(void)
{
	struct vswitch_options options = { .seed = 1 };
	struct paced_port *receiver;
	struct vswitch *vswitch;

	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, &options, NULL), 0);
	add(vswitch, "flood", 'f', PORT_BURST, 0);
	add(vswitch, "neighbour", 'n', 2, 0);
	add(vswitch, "other", 'o', 1, 0);
	receiver = add(vswitch, "receiver", 'r', 0, 8);
	/* Where it is. */
	CU_ASSERT_EQUAL(vswitch_add_address(vswitch, 0, 0x020000000072, "receiver", NULL), 0);
	for (unsigned i = 0; i < ROUNDS; i++)
		vswitch_round(vswitch);
	/* All but what the first round cost, in which nobody knew that there is no room. */
	CU_ASSERT_TRUE(receiver->got['n'] >= 2 * (ROUNDS - 1));
	CU_ASSERT_TRUE(receiver->got['o'] >= ROUNDS - 1);
	/* And the flood has what is left. */
	CU_ASSERT_EQUAL(receiver->got['f'], 8 * ROUNDS - receiver->got['n'] - receiver->got['o']);
	CU_ASSERT_EQUAL(receiver->disordered, 0);
	vswitch_destroy(vswitch);
}

/* Two that both want more than there is have the same. */
static void test_two_floods_share(void)
{
	struct vswitch_options options = { .seed = 1 };
	struct paced_port *receiver;
	struct vswitch *vswitch;

	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, &options, NULL), 0);
	add(vswitch, "a", 'a', PORT_BURST, 0);
	add(vswitch, "b", 'b', PORT_BURST, 0);
	receiver = add(vswitch, "receiver", 'r', 0, 8);
	CU_ASSERT_EQUAL(vswitch_add_address(vswitch, 0, 0x020000000072, "receiver", NULL), 0);
	for (unsigned i = 0; i < ROUNDS; i++)
		vswitch_round(vswitch);
	CU_ASSERT_EQUAL(receiver->got['a'] + receiver->got['b'], 8 * ROUNDS);
	CU_ASSERT_TRUE(receiver->got['a'] - receiver->got['b'] <= 16);
	CU_ASSERT_EQUAL(receiver->disordered, 0);
	vswitch_destroy(vswitch);
}

/* Rounds are short, and a guest gives back one buffer at a time: it is not always the first one's. */
static void test_little_room_is_shared_too(void)
{
	static const char names[] = { 'a', 'b', 'c' };

	for (unsigned takes = 1; takes <= 2; takes++) {
		struct vswitch_options options = { .seed = 1 };
		struct paced_port *receiver;
		struct vswitch *vswitch;

		CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, &options, NULL), 0);
		for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
			add(vswitch, (char[]){ names[i], 0 }, (uint8_t)names[i], 4, 0);
		receiver = add(vswitch, "receiver", 'r', 0, takes);
		CU_ASSERT_EQUAL(vswitch_add_address(vswitch, 0, 0x020000000072, "receiver", NULL),
				0);
		for (unsigned i = 0; i < ROUNDS; i++)
			vswitch_round(vswitch);
		for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
			CU_ASSERT_TRUE(receiver->got[(uint8_t)names[i]] > ROUNDS * takes / 4);
		CU_ASSERT_EQUAL(receiver->disordered, 0);
		vswitch_destroy(vswitch);
	}
}

/* ---- Of what a thread can do ---- */

#define MOST 0xffffffu /* there is room for all */

struct lab {
	struct vswitch *vswitch;
	struct paced_port *flood, *neighbour, *receiver, *other;
};

/* A flood to "other", or as a test will have it, and a neighbour that always has frames for "receiver". */
static void begin(struct lab *lab)
{
	struct vswitch_options options = { .seed = 1 };

	CU_ASSERT_EQUAL_FATAL(vswitch_create(&lab->vswitch, &options, NULL), 0);
	lab->flood = add(lab->vswitch, "flood", 'f', PORT_BURST, 0);
	lab->neighbour = add(lab->vswitch, "neighbour", 'n', PORT_BURST, 0);
	lab->receiver = add(lab->vswitch, "receiver", 'r', 0, MOST);
	lab->other = add(lab->vswitch, "other", 'o', 0, MOST);
	lab->flood->bytes[5] = 'o';
	CU_ASSERT_EQUAL(vswitch_add_address(lab->vswitch, 0, 0x020000000072, "receiver", NULL), 0);
	CU_ASSERT_EQUAL(vswitch_add_address(lab->vswitch, 0, 0x02000000006f, "other", NULL), 0);
}

static void go(struct lab *lab)
{
	for (unsigned i = 0; i < ROUNDS; i++)
		vswitch_round(lab->vswitch);
}

static void end(struct lab *lab)
{
	CU_ASSERT_EQUAL(lab->receiver->disordered, 0);
	vswitch_destroy(lab->vswitch);
}

static void make_large(struct paced_port *paced)
{
	struct virtio_net_header header = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					    .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
					    .hdr_len = htole16(54),
					    .gso_size = htole16(1448),
					    .csum_start = htole16(34),
					    .csum_offset = htole16(16) };
	uint8_t *head = paced->bytes;

	paced->length = LARGE;
	put_be16(head + 12, 0x0800);
	head[14] = 0x45;
	put_be16(head + 16, LARGE - 14);
	head[23] = 6;
	head[46] = 0x50;
	CU_ASSERT_EQUAL(virtio_net_decode(&header, head, HEAD, LARGE, &paced->offload),
			VIRTIO_NET_FAULT_NONE);
}

/* So many rounds, of 32 frames of 1514 bytes each, may the flood be worth. */
static void test_large_frames_are_many(void)
{
	struct lab lab;

	begin(&lab);
	lab.flood->length = LARGE;
	go(&lab);
	CU_ASSERT_EQUAL(lab.receiver->got['n'], ROUNDS * PORT_BURST);
	CU_ASSERT_TRUE(lab.flood->sent >= ROUNDS * 9 / 10);
	CU_ASSERT_TRUE(lab.flood->sent <= ROUNDS + PORT_BURST);
	end(&lab);
}

static void test_large_frames_that_are_cut_are_more(void)
{
	struct lab lab;

	begin(&lab);
	make_large(lab.flood);
	go(&lab);
	CU_ASSERT_EQUAL(lab.receiver->got['n'], ROUNDS * PORT_BURST);
	CU_ASSERT_TRUE(lab.flood->sent * CUT >= ROUNDS * 8);
	CU_ASSERT_TRUE(lab.flood->sent * CUT <= ROUNDS * PORT_BURST);
	end(&lab);
}

/* Not more at once than the neighbour's ring holds meanwhile. */
static void test_a_burst_is_bounded(void)
{
	struct lab lab;
	uint64_t most = 0;

	begin(&lab);
	make_large(lab.flood);
	vswitch_round(lab.vswitch); /* it could not be known */
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t before = lab.flood->sent;

		vswitch_round(lab.vswitch);
		most = MAX(most, lab.flood->sent - before);
	}
	CU_ASSERT_TRUE(most >= 1 && most <= 4);
	end(&lab);
}

static void test_copies_to_all_count(void)
{
	struct lab lab;

	begin(&lab);
	memset(lab.flood->bytes, 0xff, 6);
	for (unsigned i = 0; i < 60; i++) {
		char name[8];

		snprintf(name, sizeof(name), "p%u", i);
		add(lab.vswitch, name, (uint8_t)i, 0, MOST);
	}
	go(&lab);
	CU_ASSERT_EQUAL(lab.receiver->got['n'], ROUNDS * PORT_BURST);
	/* A turn is worth 114 copies of 60 bytes. */
	CU_ASSERT_TRUE(lab.flood->sent * 63 <= 120ull * ROUNDS);
	CU_ASSERT_TRUE(lab.flood->sent * 63 >= 100ull * ROUNDS);
	end(&lab);
}

/* A frame to a group has the cost of one to a port for each member. */
static void test_a_group_of_one_costs_as_one(void)
{
	struct group_policy policy = { .trusted = true, .drop_unknown = true };
	struct group_set *groups = calloc(1, sizeof(*groups));
	struct lab lab;

	begin(&lab);
	CU_ASSERT_PTR_NOT_NULL_FATAL(groups);
	CU_ASSERT_EQUAL_FATAL(group_set_init(groups, 1, 1), 0);
	groups->policies[0][0] = &policy;
	lab.vswitch->groups = groups;
	memcpy(lab.flood->bytes, (uint8_t[]){ 1, 0, 0x5e, 1, 1, 1 }, 6);
	put_be16(lab.flood->bytes + 12, 0x0800);
	put_be32(lab.flood->bytes + 30, 0xef010101);
	lab.flood->length = 1514;
	for (unsigned members = 1; members <= 2; members++) {
		port_set_add(&policy.always, (members == 1 ? lab.other : lab.receiver)->port.index);
		lab.flood->sent = lab.receiver->got['f'] = 0;
		go(&lab);
		CU_ASSERT_TRUE(lab.flood->sent * members >= (ROUNDS - 2) * PORT_BURST);
		CU_ASSERT_TRUE(lab.flood->sent * members <= ROUNDS * PORT_BURST * 102ull / 100);
		CU_ASSERT_EQUAL(lab.receiver->got['f'], members == 1 ? 0 : lab.flood->sent);
	}
	lab.vswitch->groups = NULL;
	vswitch_destroy(lab.vswitch);
	group_set_finish(groups);
	free(groups);
}

/* Either way: calls to take a frame, and to hand it on. */
static void test_calls_of_the_kernel_count(void)
{
	for (unsigned out = 0; out < 2; out++) {
		struct lab lab;

		begin(&lab);
		(out ? lab.other : lab.flood)->port.ops = &called_ops;
		go(&lab);
		CU_ASSERT_EQUAL(lab.receiver->got['n'], ROUNDS * PORT_BURST);
		CU_ASSERT_TRUE(lab.flood->sent <= 8 * ROUNDS);
		CU_ASSERT_TRUE(lab.flood->sent >= 6 * ROUNDS);
		end(&lab);
	}
}

static void test_what_is_recorded_costs_no_calls(void)
{
	for (unsigned out = 0; out < 2; out++) {
		struct lab lab;

		begin(&lab);
		(out ? lab.other : lab.flood)->port.ops = &recorded_ops;
		go(&lab);
		CU_ASSERT_EQUAL(lab.receiver->got['n'], ROUNDS * PORT_BURST);
		CU_ASSERT_TRUE(lab.flood->sent >= 30 * ROUNDS);
		end(&lab);
	}
}

/* While nobody else has frames nothing is owed to anybody; two that both flood have the same. */
static void test_who_is_alone_is_not_held_up(void)
{
	struct lab lab;

	begin(&lab);
	make_large(lab.flood);
	lab.neighbour->sends = 0;
	go(&lab);
	CU_ASSERT_TRUE(lab.flood->sent >= ROUNDS / 2);
	lab.neighbour->sends = PORT_BURST;
	make_large(lab.neighbour);
	lab.flood->sent = lab.neighbour->sent = 0;
	go(&lab);
	CU_ASSERT_TRUE(lab.flood->sent >= ROUNDS / 2);
	CU_ASSERT_TRUE(lab.flood->sent - lab.neighbour->sent + PORT_BURST <= 2 * PORT_BURST);
	end(&lab);
}

/* A link takes no more than it is asked for: the rest is to wait at the sender, not in its memory. */
static void test_a_link_takes_what_it_gives(void)
{
	CLEANUP(cleanup_vswitch_status) struct vswitch_status *status = NULL;
	struct link_model model = { 0 };
	struct lab lab;

	begin(&lab);
	lab.flood->length = LARGE;
	CU_ASSERT_EQUAL_FATAL(link_model_set(&model, "delay=1us", NULL), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_set_link(lab.vswitch, "flood", LINK_IN, &model, NULL), 0);
	go(&lab);
	CU_ASSERT_EQUAL_FATAL(vswitch_status(lab.vswitch, &status), 0);
	CU_ASSERT_TRUE(status->ports[0].has_link);
	CU_ASSERT_TRUE(status->ports[0].link_in.counters.delivered >= ROUNDS / 2);
	CU_ASSERT_EQUAL(status->ports[0].link_in.counters.queue_full, 0);
	end(&lab);
}

/* Nor does it cut and copy more large ones than there is a turn for: so its neighbour waits no longer, and what is on the link does not grow. */
static void test_a_link_has_turns_for_what_it_takes(void)
{
	CLEANUP(cleanup_vswitch_status) struct vswitch_status *status = NULL;
	struct link_model model = { 0 };
	struct lab lab;

	begin(&lab);
	make_large(lab.flood);
	CU_ASSERT_EQUAL_FATAL(link_model_set(&model, "delay=1us", NULL), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_set_link(lab.vswitch, "flood", LINK_IN, &model, NULL), 0);
	go(&lab);
	CU_ASSERT_EQUAL(lab.receiver->got['n'], ROUNDS * PORT_BURST);
	CU_ASSERT_TRUE(lab.flood->sent >= ROUNDS / 8);
	CU_ASSERT_TRUE(lab.flood->sent <= ROUNDS);
	CU_ASSERT_EQUAL_FATAL(vswitch_status(lab.vswitch, &status), 0);
	CU_ASSERT_TRUE(status->ports[0].link_in.counters.offered -
			       status->ports[0].link_in.counters.delivered <=
		       PORT_BURST * CUT);
	end(&lab);
}

/* ---- Of a receiver ---- */

/* More of them than a thread lines up frames of at once. */
static void test_many_floods_cost_a_neighbour_nothing(void)
{
	struct vswitch_options options = { .seed = 1 };
	struct paced_port *receiver;
	struct vswitch *vswitch;

	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, &options, NULL), 0);
	for (unsigned i = 0; i < 20; i++)
		add(vswitch, (char[]){ (char)('A' + i), 0 }, (uint8_t)('A' + i), PORT_BURST, 0);
	add(vswitch, "neighbour", 'n', 2, 0);
	receiver = add(vswitch, "receiver", 'r', 0, 63);
	CU_ASSERT_EQUAL(vswitch_add_address(vswitch, 0, 0x020000000072, "receiver", NULL), 0);
	for (unsigned i = 0; i < ROUNDS; i++)
		vswitch_round(vswitch);
	CU_ASSERT_TRUE(receiver->got['n'] >= 2 * (ROUNDS - 2));
	for (unsigned i = 0; i < 20; i++)
		CU_ASSERT_TRUE(receiver->got['A' + i] >= 2 * ROUNDS);
	CU_ASSERT_EQUAL(receiver->disordered, 0);
	vswitch_destroy(vswitch);
}

/* Turns are by buffers. The receiver takes large frames, of which one fills it; or has them cut, into as many buffers. */
static void test_turns_are_by_buffers(void)
{
	struct lab lab;

	begin(&lab);
	make_large(lab.flood);
	lab.flood->bytes[5] = 'r';
	lab.neighbour->sends = 16;
	lab.receiver->takes = 64;
	go(&lab);
	CU_ASSERT_TRUE(lab.receiver->got['n'] >= 16ull * (ROUNDS - 1) * 9 / 10);
	CU_ASSERT_TRUE(lab.receiver->got['f'] >= 4 * ROUNDS);
	vswitch_destroy(lab.vswitch);
}

UNIT_MAIN("fair", UNIT(test_a_flood_costs_a_neighbour_nothing), UNIT(test_two_floods_share),
	  UNIT(test_little_room_is_shared_too), UNIT(test_large_frames_are_many),
	  UNIT(test_large_frames_that_are_cut_are_more), UNIT(test_a_burst_is_bounded),
	  UNIT(test_copies_to_all_count), UNIT(test_a_group_of_one_costs_as_one),
	  UNIT(test_calls_of_the_kernel_count), UNIT(test_what_is_recorded_costs_no_calls),
	  UNIT(test_a_link_takes_what_it_gives), UNIT(test_a_link_has_turns_for_what_it_takes),
	  UNIT(test_who_is_alone_is_not_held_up), UNIT(test_many_floods_cost_a_neighbour_nothing),
	  UNIT(test_turns_are_by_buffers))
