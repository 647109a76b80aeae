/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vswitch: bad links of several ports. On one clock a network of two switches gives the same captures, to the byte, each time, and a link
 * that is added changes none of those that its traffic does not meet. By several threads a way "in" is the same, and a way "out" for
 * each packet number.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_port.h"
#include "fiber_run.h"
#include "util/bytes.h"
#include "util/random.h"
#include "vswitch/on_fiber.h"

#define MS       1000000ULL
#define EPOCH    1700000000000000000ULL
#define STATIONS 4 /* of each switch: the last ones only speak to each other */
#define ROOM     64
#define LENGTH   100
#define FRAMES   3000

/* ---- Two switches on fibers ---- */

struct wire_port {
	struct port port;
	struct vswitch_on_fiber *runner;
	struct wire_port *
		peer; /* the other end of the cable; NULL: a station, of which nobody asks what it got */
	unsigned count;
	uint8_t in[ROOM][LENGTH], held[ROOM][LENGTH];
	struct iovec pieces[ROOM];
	struct frame frames[ROOM];
};

static struct wire_port *wire_of(struct port *port)
{
	return container_of(port, struct wire_port, port);
}

static void put_in(struct wire_port *wire, const uint8_t *bytes)
{
	CU_ASSERT_TRUE_FATAL(wire->count < ROOM);
	memcpy(wire->in[wire->count++], bytes, LENGTH);
	vswitch_on_fiber_wake(wire->runner);
}

static unsigned wire_receive(struct port *port, struct frame **frames, unsigned max)
{
	struct wire_port *wire = wire_of(port);
	unsigned count = MIN(wire->count, max);

	memcpy(wire->held, wire->in, sizeof(wire->in));
	for (unsigned i = 0; i < count; i++) {
		wire->pieces[i] = (struct iovec){ wire->held[i], LENGTH };
		wire->frames[i] =
			(struct frame){ .pieces = &wire->pieces[i], .count = 1, .length = LENGTH };
		frames[i] = &wire->frames[i];
	}
	wire->count -= count;
	memmove(wire->in, wire->in[count], sizeof(wire->in[0]) * wire->count);
	return count;
}

static void wire_release(struct port *port)
{
	(void)port;
}

static unsigned wire_transmit(struct port *port, struct frame *const *frames, unsigned count)
{
	struct wire_port *wire = wire_of(port);

	for (unsigned i = 0; i < count; i++) {
		uint8_t bytes[LENGTH];

		frame_copy_out(frames[i]->pieces, frames[i]->count, 0, bytes, LENGTH);
		port_count_tx(port, frames[i]);
		if (wire->peer)
			put_in(wire->peer, bytes);
	}
	return count;
}

static void wire_destroy(struct port *port)
{
	(void)port;
}

static const struct port_ops wire_ops = { .type = "wire",
					  .receive = wire_receive,
					  .release = wire_release,
					  .transmit = wire_transmit,
					  .destroy = wire_destroy };

struct network {
	const char *name; /* of the folder of its captures */
	uint64_t seed;
	bool at_once; /* several frames come in the same nanosecond */
	const char *
		add; /* a link more, of one of the stations that only speak to each other; NULL: none */
	struct vswitch *switches[2];
	struct vswitch_on_fiber runners[2];
	struct wire_port cables[2], stations[2][STATIONS];
};

static void set_link(struct network *network, unsigned at, const char *port, unsigned ways,
		     const char *words)
{
	/* Ports of one name draw alike: not with another seed. */
	struct link_model model = { .seed = 2 * network->seed + at };
	char copy[128], *rest = copy, *word;

	snprintf(copy, sizeof(copy), "%s", words);
	while ((word = strsep(&rest, " ")))
		CU_ASSERT_EQUAL_FATAL(link_model_set(&model, word, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_set_link(network->switches[at], port, ways, &model, NULL), 0);
}

static void path_of(char path[160], const char *name, unsigned at, const char *port)
{
	snprintf(path, 160, "%s/%s-%u-%s.pcapng", unit_directory(), name, at, port);
}

static void add(struct network *network, unsigned at, struct wire_port *wire, const char *name)
{
	struct vswitch_capture_options options = { .port = name, .label = name, .force = true };
	char path[160];

	wire->port.ops = &wire_ops;
	wire->port.up = true;
	wire->runner = &network->runners[at];
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port(network->switches[at], &wire->port, name, NULL), 0);
	path_of(path, network->name, at, name);
	options.path = path;
	CU_ASSERT_EQUAL_FATAL(vswitch_start_capture(network->switches[at], &options, NULL, NULL),
			      0);
}

static void make_frame(uint8_t bytes[LENGTH], unsigned to, unsigned from, uint32_t number)
{
	memset(bytes, 0, LENGTH);
	bytes[0] = bytes[6] = 2;
	bytes[5] = (uint8_t)to;
	bytes[11] = (uint8_t)from;
	put_be16(bytes + 12, 0x88b5);
	put_be32(bytes + 14, number);
}

/* All are heard once, so that nothing is flooded any more; then anybody speaks to anybody, often several at the same time, or the last ones
 * to each other. */
static void talk(struct network *network)
{
	struct random random = { 5 };
	uint8_t bytes[LENGTH];

	for (unsigned from = 0; from < 2 * STATIONS; from++) {
		make_frame(bytes, 255, from, 0);
		bytes[0] = 3;
		put_in(&network->stations[from % 2][from / 2], bytes);
		fiber_sleep(1000 * MS);
	}
	if (network->add)
		set_link(network, 1, "s3", LINK_IN | LINK_OUT, network->add);
	for (unsigned i = 0; i < FRAMES; i++) {
		unsigned last = 2 * STATIONS - 2, from = (unsigned)random_below(&random, last), to;

		do
			to = (unsigned)random_below(&random, last);
		while (to == from);
		make_frame(bytes, to, from, i);
		put_in(&network->stations[from % 2][from / 2], bytes);
		make_frame(bytes, last + i % 2, last + 1 - i % 2, i);
		put_in(&network->stations[1 - i % 2][STATIONS - 1], bytes);
		if (!network->at_once || random_below(&random, 3))
			fiber_sleep(1 + random_below(&random, MS));
	}
	fiber_sleep(10000 * MS);
}

static int run_network(void *arg)
{
	struct network *network = arg;
	struct vswitch_options options = { .seed = 1,
					   .clock = vswitch_worker_clock,
					   .epoch_ns = EPOCH };

	for (unsigned i = 0; i < 2; i++) {
		char name[8];

		CU_ASSERT_EQUAL_FATAL(vswitch_create(&network->switches[i], &options, NULL), 0);
		add(network, i, &network->cables[i], "cable");
		network->cables[i].peer = &network->cables[1 - i];
		for (unsigned k = 0; k < STATIONS; k++) {
			snprintf(name, sizeof(name), "s%u", k);
			add(network, i, &network->stations[i][k], name);
		}
		set_link(network, i, "s0", LINK_IN | LINK_OUT,
			 "delay=3ms jitter=3ms loss=3% duplicate=2%");
		set_link(network, i, "s1", LINK_OUT, "rate=1M queue=20p corrupt=1%");
	}
	set_link(network, 0, "s2", LINK_OUT, "loss=gemodel,5%,30% delay=1ms");
	for (unsigned i = 0; i < 2; i++)
		vswitch_on_fiber_start(&network->runners[i], network->switches[i]);
	talk(network);
	for (unsigned i = 0; i < 2; i++) {
		vswitch_on_fiber_stop(&network->runners[i]);
		CU_ASSERT_EQUAL(vswitch_stop_captures(network->switches[i], NULL), 0);
		vswitch_destroy(network->switches[i]);
	}
	return 0;
}

static void run(const char *name, uint64_t seed, bool at_once, const char *added)
{
	struct network *network = calloc(1, sizeof(*network));

	CU_ASSERT_PTR_NOT_NULL_FATAL(network);
	network->name = name;
	network->seed = seed;
	network->at_once = at_once;
	network->add = added;
	CU_ASSERT_EQUAL(fiber_run_virtual(fiber_run_first_engine(), run_network, network), 0);
	free(network);
}

/* The numbers of packets (epb_packetid) count all that came to a switch. */
static void forget_ids(uint8_t *bytes, size_t length)
{
	for (size_t at = 0; at + 12 <= length; at += get_le32(bytes + at + 4)) {
		uint8_t *option = bytes + at + 28 + round_up((size_t)get_le32(bytes + at + 20), 4);

		if (get_le32(bytes + at) != 6)
			continue;
		for (; get_le16(option); option += 4 + round_up((size_t)get_le16(option + 2), 4))
			if (get_le16(option) == 5)
				memset(option + 4, 0, 8);
	}
}

/* Whether the captures of a port are the same in two runs. */
static bool same(const char *first, const char *second, unsigned at, const char *port, bool ids)
{
	static uint8_t bytes[2][4 << 20];
	const char *names[] = { first, second };
	size_t length[2] = { 0 };

	for (unsigned i = 0; i < 2; i++) {
		char path[160];
		FILE *file;

		path_of(path, names[i], at, port);
		file = fopen(path, "re");
		CU_ASSERT_PTR_NOT_NULL_FATAL(file);
		length[i] = fread(bytes[i], 1, sizeof(bytes[i]), file);
		fclose(file);
		CU_ASSERT_TRUE(length[i] > 10000 && length[i] < sizeof(bytes[i]));
		if (!ids)
			forget_ids(bytes[i], length[i]);
	}
	return length[0] == length[1] && !memcmp(bytes[0], bytes[1], length[0]);
}

static const char *const ports[] = { "s0", "s1", "s2", "cable", "s3" };

static void test_a_network_repeats_itself(void)
{
	run("first", 1, true, NULL);
	run("again", 1, true, NULL);
	run("other", 2, true, NULL);
	for (unsigned at = 0; at < 2; at++)
		for (unsigned i = 0; i < ARRAY_SIZE(ports); i++)
			CU_ASSERT_TRUE(same("first", "again", at, ports[i], true));
	CU_ASSERT_FALSE(same("first", "other", 0, "s0", false));
	CU_ASSERT_FALSE(same("first", "other", 1, "s1", false));
}

/* The added one changes its own packets, and nothing of other ports; what comes in the same nanosecond over different ports is in an order that a
 * round more may change. */
static void test_one_link_more_changes_no_other(void)
{
	run("first", 1, false, NULL);
	run("more", 1, false, "delay=7ms jitter=5ms loss=20% duplicate=10% seed=9");
	CU_ASSERT_FALSE(same("first", "more", 1, "s3", false));
	CU_ASSERT_FALSE(same("first", "more", 0, "s3", false));
	for (unsigned at = 0; at < 2; at++)
		for (unsigned i = 0; i < 3; i++)
			CU_ASSERT_TRUE(same("first", "more", at, ports[i], false));
}

/* ---- Several threads, as fast as they run ---- */

#define SENDERS 4
#define EACH    100
#define TARGET  0x0200000000eeULL
#define SENDER  0x020000000100ULL

static void set_port_link(struct vswitch *vswitch, const char *port, unsigned way,
			  const char *words)
{
	struct link_model model = { .seed = 3 };
	char copy[128], *rest = copy, *word;

	snprintf(copy, sizeof(copy), "%s", words);
	while ((word = strsep(&rest, " ")))
		CU_ASSERT_EQUAL_FATAL(link_model_set(&model, word, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_set_link(vswitch, port, way, &model, NULL), 0);
}

/* Waits until all has come that the senders sent. */
static void wait_for_all(struct vswitch *vswitch)
{
	uint64_t come;

	do {
		CLEANUP(cleanup_vswitch_status) struct vswitch_status *status = NULL;

		usleep(1000);
		come = 0;
		CU_ASSERT_EQUAL_FATAL(vswitch_status(vswitch, &status), 0);
		for (unsigned i = 0; i < SENDERS; i++)
			come += status->ports[i].link_in.counters.offered;
	} while (come < SENDERS * EACH);
}

/* What the last port got: of each sender, a bit for each frame, in the order in which it sent them; and the switch's end. */
static unsigned receive_all(unsigned threads, const char *out, bool got[SENDERS][EACH])
{
	struct vswitch_options options = { .seed = 1, .threads = threads };
	struct fake_port *senders[SENDERS], *target;
	unsigned last[SENDERS] = { 0 }, count;
	struct vswitch *vswitch;
	char name[8];

	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, &options, NULL), 0);
	for (unsigned i = 0; i < SENDERS; i++) {
		snprintf(name, sizeof(name), "p%u", i);
		senders[i] = fake_port_add(vswitch, name, 0);
		set_port_link(vswitch, name, LINK_IN, "loss=30%");
		for (unsigned k = 0; k < EACH; k++)
			fake_port_put_frame(senders[i], TARGET, SENDER + i, 100 + k);
	}
	target = fake_port_add(vswitch, "target", 0);
	set_port_link(vswitch, "target", LINK_OUT, out);
	CU_ASSERT_EQUAL_FATAL(vswitch_start(vswitch, NULL), 0);
	wait_for_all(vswitch);
	vswitch_stop(vswitch);
	while (vswitch_round(vswitch))
		;
	count = target->out_count;
	memset(got, 0, SENDERS * EACH * sizeof(bool));
	for (unsigned i = 0; i < count; i++) {
		unsigned from = target->out[i].bytes[11],
			 frame = (unsigned)target->out[i].length - 100;

		CU_ASSERT_TRUE_FATAL(from < SENDERS && frame < EACH && frame >= last[from]);
		last[from] = frame;
		got[from][frame] = true;
	}
	vswitch_destroy(vswitch);
	return count;
}

/* A way "in" is its sender's alone. A way "out" meets the packets in the order in which they come from the threads: the same numbers are lost, and each sender's
 * are in order, but whose they are is not the same each time. */
static void test_several_threads(void)
{
	static const unsigned threads[] = { 1, 2, 4, 4 };
	bool first[SENDERS][EACH], got[SENDERS][EACH];
	unsigned come = receive_all(1, "loss=list,1000", first), left = 0;

	for (unsigned i = 0; i < SENDERS * EACH; i++)
		left += first[i / EACH][i % EACH];
	CU_ASSERT_EQUAL(come, left);
	CU_ASSERT_TRUE(come > SENDERS * EACH / 2 && come < SENDERS * EACH);
	CU_ASSERT_NOT_EQUAL(memcmp(first[0], first[1], sizeof(first[0])), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++) {
		CU_ASSERT_EQUAL(receive_all(threads[i], "loss=list,1000", got), come);
		CU_ASSERT_EQUAL(memcmp(got, first, sizeof(got)), 0);
		CU_ASSERT_EQUAL(receive_all(threads[i], "loss=list,1-50,90-99", got), come - 60);
	}
}

UNIT_MAIN("a network with bad links", UNIT(test_a_network_repeats_itself),
	  UNIT(test_one_link_more_changes_no_other), UNIT(test_several_threads))
