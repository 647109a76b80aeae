/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch/on_fiber: two switches, a cable between them, and stations on fibers: a network in virtual time. */
#include "unit.h"

#include <string.h>

#include "fiber_run.h"
#include "util/bytes.h"
#include "vswitch/on_fiber.h"
#include "vswitch/switch.h"

#define MS    1000000ULL
#define ROOM  16
#define PINGS 1000

/* A port whose frames a peer has: another switch, or a station. */
struct memory_port {
	struct port port;
	struct vswitch_on_fiber *runner;
	struct memory_port *cable; /* what is transmitted comes in there; else to a station: */
	struct fiber_queue *station;
	uint8_t in[ROOM][64], got[ROOM][64];
	unsigned in_count, got_count;
	uint8_t held[ROOM][64];
	struct iovec pieces[ROOM];
	struct frame frames[ROOM];
};

static struct memory_port *memory_of(struct port *port)
{
	return container_of(port, struct memory_port, port);
}

static void put_in(struct memory_port *memory, const uint8_t *bytes)
{
	CU_ASSERT_TRUE_FATAL(memory->in_count < ROOM);
	memcpy(memory->in[memory->in_count++], bytes, 64);
	vswitch_on_fiber_wake(memory->runner);
}

static unsigned receive(struct port *port, struct frame **frames, unsigned max)
{
	struct memory_port *memory = memory_of(port);
	unsigned count = MIN(memory->in_count, max);

	memcpy(memory->held, memory->in, sizeof(memory->in));
	for (unsigned i = 0; i < count; i++) {
		memory->pieces[i] = (struct iovec){ memory->held[i], 64 };
		memory->frames[i] =
			(struct frame){ .pieces = &memory->pieces[i], .count = 1, .length = 64 };
		frames[i] = &memory->frames[i];
	}
	memory->in_count = 0;
	return count;
}

static void release(struct port *port)
{
	(void)port;
}

static unsigned transmit(struct port *port, struct frame *const *frames, unsigned count)
{
	struct memory_port *memory = memory_of(port);

	for (unsigned i = 0; i < count; i++) {
		uint8_t bytes[64];

		frame_copy_out(frames[i]->pieces, frames[i]->count, 0, bytes, 64);
		port_count_tx(port, frames[i]);
		if (memory->cable) {
			put_in(memory->cable, bytes);
			continue;
		}
		CU_ASSERT_TRUE_FATAL(memory->got_count < ROOM);
		memcpy(memory->got[memory->got_count++], bytes, 64);
		fiber_queue_wake_one(memory->station);
	}
	return count;
}

static void destroy(struct port *port)
{
	(void)port;
}

static const struct port_ops ops = { .type = "memory",
				     .receive = receive,
				     .release = release,
				     .transmit = transmit,
				     .destroy = destroy };

struct network {
	struct vswitch *switches[2];
	struct vswitch_on_fiber runners[2];
	struct memory_port ends[2], stations[2]; /* of the cable; of each switch */
	struct fiber_queue queues[2];
	bool ending;
	uint64_t answered, lost;
	uint64_t least, most; /* of the way there and back */
};

static void make_frame(uint8_t bytes[64], unsigned to, unsigned from)
{
	memset(bytes, 0, 64);
	bytes[0] = bytes[6] = 2;
	bytes[5] = (uint8_t)to;
	bytes[11] = (uint8_t)from;
	put_be16(bytes + 12, 0x88b5);
}

/* Answers each frame, after a millisecond. */
static int answer(void *arg)
{
	struct network *network = arg;
	struct memory_port *station = &network->stations[1];
	uint8_t bytes[64];

	while (!network->ending) {
		if (!station->got_count) {
			fiber_queue_wait(&network->queues[1], FIBER_FOREVER);
			continue;
		}
		station->got_count--;
		fiber_sleep(MS);
		make_frame(bytes, 1, 2);
		put_in(station, bytes);
	}
	return 0;
}

/* One frame each second, and a second for its answer. */
static void ask(struct network *network)
{
	struct memory_port *station = &network->stations[0];
	uint64_t began = worker_now(), took;
	uint8_t bytes[64];

	make_frame(bytes, 2, 1);
	put_in(station, bytes);
	while (!station->got_count && worker_now() - began < 1000 * MS)
		fiber_queue_wait(&network->queues[0], 1000 * MS);
	took = worker_now() - began;
	if (station->got_count) {
		network->answered++;
		network->least = MIN(network->least, took);
		network->most = MAX(network->most, took);
	} else {
		network->lost++;
	}
	station->got_count = 0;
	fiber_sleep(1000 * MS - MIN(took, 1000 * MS));
}

static void add(struct network *network, unsigned at, struct memory_port *memory, const char *name)
{
	memory->port.ops = &ops;
	memory->port.up = true;
	memory->runner = &network->runners[at];
	memory->station = &network->queues[at];
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port(network->switches[at], &memory->port, name, NULL),
			      0);
}

static int run_network(void *arg)
{
	struct network *network = arg;
	struct vswitch_options options = { .seed = 1, .clock = vswitch_worker_clock };
	struct link_model model = { .delay_ns = 20 * MS };
	struct fiber *answering;

	network->least = UINT64_MAX;
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL_FATAL(vswitch_create(&network->switches[i], &options, NULL), 0);
		fiber_queue_init(&network->queues[i]);
		add(network, i, &network->stations[i], "station");
		add(network, i, &network->ends[i], "cable");
		network->ends[i].cable = &network->ends[1 - i];
	}
	CU_ASSERT_EQUAL(vswitch_set_link(network->switches[0], "cable", LINK_IN | LINK_OUT, &model,
					 NULL),
			0);
	model.delay_ns = 5 * MS;
	CU_ASSERT_EQUAL(vswitch_set_link(network->switches[1], "station", LINK_OUT, &model, NULL),
			0);
	for (unsigned i = 0; i < 2; i++)
		vswitch_on_fiber_start(&network->runners[i], network->switches[i]);
	answering = fiber_spawn(answer, network);
	for (unsigned i = 0; i < PINGS; i++)
		ask(network);
	/* The cable is cut for a minute. */
	model = (struct link_model){ .loss = LINK_ALWAYS };
	CU_ASSERT_EQUAL(vswitch_set_link(network->switches[1], "cable", LINK_IN, &model, NULL), 0);
	for (unsigned i = 0; i < 60; i++)
		ask(network);
	network->ending = true;
	fiber_queue_wake_one(&network->queues[1]);
	fiber_join(answering);
	for (unsigned i = 0; i < 2; i++) {
		vswitch_on_fiber_stop(&network->runners[i]);
		vswitch_destroy(network->switches[i]);
	}
	return 0;
}

/* There 20 and 5, a millisecond to answer, back 20: each time, to the nanosecond. */
static void test_a_network_in_virtual_time(void)
{
	struct network network = { 0 };

	CU_ASSERT_EQUAL(fiber_run_virtual(fiber_run_first_engine(), run_network, &network), 0);
	CU_ASSERT_EQUAL(network.answered, PINGS);
	CU_ASSERT_EQUAL(network.lost, 60);
	CU_ASSERT_EQUAL(network.least, 46 * MS);
	CU_ASSERT_EQUAL(network.most, 46 * MS);
}

UNIT_MAIN("on_fiber", UNIT(test_a_network_in_virtual_time))
