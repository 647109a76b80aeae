/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch: schedules of links, in virtual time; scripts that are wrong. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fake_port.h"
#include "util/bytes.h"
#include "util/error.h"
#include "vswitch/internal.h"
#include "vswitch/link_schedule.h"
#include "vswitch/port_link.h"

#define A  0x0200000000a1ULL
#define B  0x0200000000b1ULL
#define MS 1000000ULL

static uint64_t test_clock(void *arg)
{
	return *(uint64_t *)arg;
}

struct lab {
	uint64_t clock;
	struct vswitch *vswitch;
	struct fake_port *a, *b, *c;
};

static void start(struct lab *lab, unsigned threads)
{
	struct vswitch_options options = {
		.seed = 1, .clock = test_clock, .clock_arg = &lab->clock, .threads = threads
	};

	lab->clock = 5000 * MS;
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&lab->vswitch, &options, NULL), 0);
	lab->a = fake_port_add(lab->vswitch, "a", VIRTIO_NET_GUEST_OFFLOADS);
	lab->b = fake_port_add(lab->vswitch, "b", VIRTIO_NET_GUEST_OFFLOADS);
	lab->c = fake_port_add(lab->vswitch, "c", VIRTIO_NET_GUEST_OFFLOADS);
}

static void run_until(struct lab *lab, uint64_t end)
{
	for (;;) {
		while (vswitch_round(lab->vswitch))
			;
		if (vswitch_next_timer(lab->vswitch) > end)
			break;
		lab->clock = MAX(lab->clock, vswitch_next_timer(lab->vswitch));
	}
	lab->clock = end;
}

static void schedule(struct lab *lab, const char *port, const char *text)
{
	struct error error = { 0 };

	CU_ASSERT_EQUAL_FATAL(
		vswitch_start_schedule(lab->vswitch, port, "s", text, NULL, false, &error), 0);
}

/* How many of a frame from `from` arrive at `to`, now or within a little. */
static unsigned passes(struct lab *lab, struct fake_port *from, struct fake_port *to)
{
	unsigned count;

	fake_port_clear(to);
	fake_port_put_frame(from, (1ULL << 48) - 1, from == lab->a ? A : B + from->port.index, 100);
	run_until(lab, lab->clock);
	count = to->out_count;
	fake_port_clear(lab->a);
	fake_port_clear(lab->b);
	fake_port_clear(lab->c);
	return count;
}

/* Recorded rates come and go by steps, which share what was read. */
static void test_traces(void)
{
	static const struct link_schedule_files files = {
		2, { { "dir/one", "10\n20\n" }, { "two", "7\n" } }
	};
	static const char text[] =
		"set out trace=dir/one queue=1s\nat 1s\nset out trace=two delay=1ms\n"
		"at 2s\nset out trace=none rate=1M\nat 3s\nset out trace=dir/one\n";
	static const char *const names[] = { "one", "two", NULL, "one" };
	static const struct {
		const char *text, *said;
	} wrong[] = { { "down\nset trace=three", "s: line 2, column 5: trace=three: this file" },
		      { "set trace=two rate=1M", "s: line 1, column 5: rate and trace" },
		      { "set trace=", "s: line 1, column 5: trace=: this file" } };
	static const struct link_schedule_files broken = { 1, { { "x", "5\n4\n" } } };
	struct error error = { 0 };
	struct lab lab;

	start(&lab, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		CU_ASSERT_EQUAL(vswitch_start_schedule(lab.vswitch, "b", "s", wrong[i].text, &files,
						       false, &error),
				-EINVAL);
		CU_ASSERT_EQUAL(strncmp(error.text, wrong[i].said, strlen(wrong[i].said)), 0);
	}
	CU_ASSERT_EQUAL(vswitch_start_schedule(lab.vswitch, "b", "s", "set trace=x", &broken, false,
					       &error),
			-EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "line 1, column 5: trace x: line 2"));
	CU_ASSERT_EQUAL_FATAL(
		vswitch_start_schedule(lab.vswitch, "b", "s", text, &files, false, &error), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		const struct link_model *model;

		run_until(&lab, (5000 + 1000 * i + 500) * MS);
		model = &port_link_way(vswitch_find_port(lab.vswitch, "b"), LINK_OUT)->model;
		CU_ASSERT_EQUAL(model->trace != NULL, names[i] != NULL);
		CU_ASSERT_TRUE(!names[i] || !strcmp(model->trace->name, names[i]));
	}
	/* The first packet begins it, with room for 1500 bytes 10 ms later. */
	CU_ASSERT_EQUAL(passes(&lab, lab.a, lab.b), 0);
	run_until(&lab, lab.clock + 10 * MS);
	fake_port_clear(lab.b);
	fake_port_put_frame(lab.a, (1ULL << 48) - 1, A, 1500);
	run_until(&lab, lab.clock + 10 * MS - 1);
	CU_ASSERT_EQUAL(lab.b->out_count, 0);
	run_until(&lab, lab.clock + 1);
	CU_ASSERT_EQUAL(lab.b->out_count, 1);
	vswitch_destroy(lab.vswitch);
}

/* And so do tables of jitter. All of this one is half a jitter. */
static void test_tables(void)
{
	static const struct link_schedule_files files = {
		2, { { "dir/half", "4096 4096\n" }, { "wrong", "1\n40000\n" } }
	};
	static const char text[] = "set out delay=10ms jitter=4ms,table=dir/half\nat 1s\n"
				   "set out delay=10ms\nat 2s\n"
				   "set out delay=20ms jitter=8ms,table=dir/half\n";
	static const unsigned ms[] = { 12, 10, 24 };
	static const struct {
		const char *text, *said;
	} bad[] = { { "down\nset jitter=1ms,table=x", "s: line 2, column 5: table=x: this file" },
		    { "set jitter=1ms,table=wrong", "s: line 1, column 5: table wrong: line 2" },
		    { "set jitter=1,table=dir/half", "s: line 1, column 5: jitter=1: expected" } };
	struct error error = { 0 };
	struct lab lab;

	start(&lab, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		CU_ASSERT_EQUAL(vswitch_start_schedule(lab.vswitch, "b", "s", bad[i].text, &files,
						       false, &error),
				-EINVAL);
		CU_ASSERT_EQUAL(strncmp(error.text, bad[i].said, strlen(bad[i].said)), 0);
	}
	CU_ASSERT_EQUAL_FATAL(
		vswitch_start_schedule(lab.vswitch, "b", "s", text, &files, false, &error), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(ms); i++) {
		run_until(&lab, (5000 + 1000 * i + 500) * MS);
		CU_ASSERT_EQUAL(passes(&lab, lab.a, lab.b), 0);
		run_until(&lab, lab.clock + ms[i] * MS - 1);
		CU_ASSERT_EQUAL(lab.b->out_count, 0);
		run_until(&lab, lab.clock + 1);
		CU_ASSERT_EQUAL(lab.b->out_count, 1);
	}
	vswitch_destroy(lab.vswitch);
}

/* One second down, two up, twice; to the nanosecond. */
static void test_flaps(void)
{
	static const bool up[] = { true, false, true, true, false, true, true, true };
	struct lab lab;

	start(&lab, 1);
	schedule(&lab, "a", "repeat 2\n at 1s\n down\n at 2s\n up\n at 3s\nend\n");
	for (unsigned i = 0; i < ARRAY_SIZE(up); i++) {
		run_until(&lab, (5000 + 1000 * i) * MS);
		CU_ASSERT_EQUAL(passes(&lab, lab.a, lab.b), up[i]);
		CU_ASSERT_EQUAL(passes(&lab, lab.b, lab.a), up[i]);
		if (i + 1 == ARRAY_SIZE(up))
			break;
		run_until(&lab, (6000 + 1000 * i) * MS - 1);
		CU_ASSERT_EQUAL(passes(&lab, lab.a, lab.b), up[i]);
	}
	CU_ASSERT_EQUAL(vswitch_next_timer(lab.vswitch), UINT64_MAX);
	/* A port without its cable is no port: what is for it goes elsewhere, or has its name. */
	CU_ASSERT_EQUAL(lab.b->port.counters.drops[PORT_DROP_NO_PORT], 0);
	vswitch_destroy(lab.vswitch);
}

/* In one way nothing passes; in the other all does. Large frames count as their packets. */
static void test_one_way(void)
{
	CLEANUP(cleanup_vswitch_status) struct vswitch_status *status = NULL;
	struct lab lab;

	start(&lab, 1);
	schedule(&lab, "a", "at 1s\ndown in\nat 2s\nup in\ndown out\nat 3s\nup\n");
	run_until(&lab, 6000 * MS);
	CU_ASSERT_EQUAL(passes(&lab, lab.a, lab.b), 0);
	CU_ASSERT_EQUAL(passes(&lab, lab.b, lab.a), 1);
	run_until(&lab, 7000 * MS);
	CU_ASSERT_EQUAL(passes(&lab, lab.a, lab.b), 1);
	CU_ASSERT_EQUAL(passes(&lab, lab.b, lab.a), 0);
	run_until(&lab, 8000 * MS);
	CU_ASSERT_EQUAL(passes(&lab, lab.a, lab.b), 1);
	CU_ASSERT_EQUAL(passes(&lab, lab.b, lab.a), 1);
	CU_ASSERT_EQUAL_FATAL(vswitch_status(lab.vswitch, &status), 0);
	CU_ASSERT_EQUAL(status->ports[0].link_in.counters.down, 1);
	CU_ASSERT_EQUAL(status->ports[0].link_out.counters.down, 1);
	CU_ASSERT_EQUAL(status->ports[0].link_in.counters.lost, 0);
	vswitch_destroy(lab.vswitch);
}

/* a and b on one side, c on the other; learned addresses do not lead across. */
static void test_partition(void)
{
	struct error error = { 0 };
	struct lab lab;

	start(&lab, 2);
	CU_ASSERT_EQUAL(passes(&lab, lab.c, lab.a), 1);
	schedule(&lab, "a", "at 1s\npartition a,b c\nat 2s\nheal\nat 3s\npartition b c\n");
	run_until(&lab, 6000 * MS);
	CU_ASSERT_EQUAL(passes(&lab, lab.a, lab.b), 1);
	CU_ASSERT_EQUAL(passes(&lab, lab.a, lab.c), 0);
	CU_ASSERT_EQUAL(passes(&lab, lab.c, lab.b), 0);
	fake_port_put_frame(lab.a, B + lab.c->port.index, A, 100);
	run_until(&lab, lab.clock);
	CU_ASSERT_EQUAL(lab.c->out_count, 0);
	run_until(&lab, 7000 * MS);
	CU_ASSERT_EQUAL(passes(&lab, lab.a, lab.c), 1);
	run_until(&lab, 8000 * MS);
	CU_ASSERT_EQUAL(passes(&lab, lab.a, lab.c), 1);
	CU_ASSERT_EQUAL(passes(&lab, lab.a, lab.b), 1);
	CU_ASSERT_EQUAL(passes(&lab, lab.b, lab.c), 0);
	CU_ASSERT_EQUAL(vswitch_end_schedule(lab.vswitch, "c", &error), 0);
	CU_ASSERT_EQUAL(passes(&lab, lab.b, lab.c), 1);
	CU_ASSERT_EQUAL(vswitch_end_schedule(lab.vswitch, "a", &error), -ENOENT);
	vswitch_destroy(lab.vswitch);
}

/* Models of both links, in either way; the status says where it is. */
static void test_models(void)
{
	struct vswitch_schedule_status status;
	struct error error = { 0 };
	struct lab lab;

	start(&lab, 1);
	schedule(&lab, "a",
		 "set out loss=100% # all\nport b,c set in delay=10ms\nwait 1s\nclear\nwait 1s\n"
		 "port b clear in\n");
	run_until(&lab, 5000 * MS);
	CU_ASSERT_EQUAL(passes(&lab, lab.b, lab.a), 0);
	CU_ASSERT_EQUAL(vswitch_schedule_status(lab.vswitch, "c", &status, &error), 0);
	CU_ASSERT_FALSE(status.ended);
	CU_ASSERT_EQUAL(status.port_count, 3);
	CU_ASSERT_EQUAL(status.next_line, 4);
	CU_ASSERT_EQUAL(status.next_ns, 1000 * MS);
	CU_ASSERT_EQUAL(status.ports[1].changes, 1);
	CU_ASSERT_EQUAL(status.ports[1].last_line, 2);
	run_until(&lab, 6000 * MS);
	CU_ASSERT_EQUAL(passes(&lab, lab.b, lab.a), 0);
	run_until(&lab, lab.clock + 10 * MS);
	CU_ASSERT_EQUAL(lab.a->out_count, 1);
	run_until(&lab, 7000 * MS);
	CU_ASSERT_EQUAL(passes(&lab, lab.b, lab.a), 1);
	CU_ASSERT_EQUAL(passes(&lab, lab.c, lab.a), 0);
	CU_ASSERT_EQUAL(vswitch_schedule_status(lab.vswitch, "a", &status, &error), 0);
	CU_ASSERT_TRUE(status.ended);
	vswitch_destroy(lab.vswitch);
}

/* The times at which `port` went up or down, as a sum. */
static uint64_t flap_times(const char *seed, unsigned port, unsigned *count)
{
	uint64_t sum = 0, last = UINT64_MAX;
	struct fake_port *ports[2];
	char text[128];
	struct lab lab;

	start(&lab, 1);
	snprintf(text, sizeof(text),
		 "%srepeat\nwait 10ms..90ms\nport a,b down\nwait 1ms..5ms\n"
		 "port a,b up\nend\n",
		 seed);
	schedule(&lab, "a", text);
	ports[0] = lab.a;
	ports[1] = lab.b;
	*count = 0;
	run_until(&lab, lab.clock);
	while (lab.clock < 15000 * MS) {
		uint64_t up;

		run_until(&lab, MAX(lab.clock, vswitch_next_timer(lab.vswitch)));
		up = ports[port]->port.over->up;
		if (up != last) {
			sum = sum * 31 + lab.clock + up;
			(*count)++;
		}
		last = up;
	}
	vswitch_destroy(lab.vswitch);
	return sum;
}

/* Random times are those of the seed, and the same for all ports. */
static void test_random_times(void)
{
	unsigned count[4];
	uint64_t sum = flap_times("seed 5\n", 0, &count[0]);

	CU_ASSERT_EQUAL(flap_times("seed 5\n", 0, &count[1]), sum);
	CU_ASSERT_EQUAL(flap_times("seed 5\n", 1, &count[2]), sum);
	CU_ASSERT_NOT_EQUAL(flap_times("seed 6\n", 0, &count[3]), sum);
	/* Ten seconds of passes of 53 ms in the mean, two changes in each. */
	CU_ASSERT_TRUE(count[0] > 320 && count[0] < 440);
}

/* Ports go, one with its schedule running; the front-end's end leaves the schedule as it was. */
static void test_ports_come_and_go(void)
{
	struct vswitch_schedule_status status;
	struct error error = { 0 };
	struct lab lab;

	start(&lab, 2);
	schedule(&lab, "a", "repeat\nwait 1s\nport a,b down\nwait 1s\nport a,b up\nend\n");
	run_until(&lab, 6000 * MS);
	port_set_up(&lab.a->port, false);
	port_set_up(&lab.a->port, true);
	CU_ASSERT_EQUAL(passes(&lab, lab.c, lab.a), 0);
	run_until(&lab, 7000 * MS);
	CU_ASSERT_EQUAL(passes(&lab, lab.c, lab.a), 1);
	CU_ASSERT_EQUAL(vswitch_remove_port(lab.vswitch, "a", &error), 0);
	lab.a = fake_port_add(lab.vswitch, "a", 0);
	run_until(&lab, 8000 * MS);
	CU_ASSERT_EQUAL(passes(&lab, lab.c, lab.a), 1);
	CU_ASSERT_EQUAL(passes(&lab, lab.c, lab.b), 0);
	/* The new port of that name is in none; the schedule is that of b now, until a gets a new one. */
	CU_ASSERT_EQUAL(vswitch_end_schedule(lab.vswitch, "a", &error), -ENOENT);
	CU_ASSERT_EQUAL(vswitch_start_schedule(lab.vswitch, "c", "s", "port b down", NULL, false,
					       &error),
			-EBUSY);
	CU_ASSERT_STRING_EQUAL(error.advice, "`tenon link schedule switch b clear` ends that one");
	CU_ASSERT_EQUAL(vswitch_schedule_status(lab.vswitch, "b", &status, &error), 0);
	CU_ASSERT_STRING_EQUAL(status.owner, "a");
	CU_ASSERT_TRUE(status.absent);
	schedule(&lab, "a", "down");
	run_until(&lab, lab.clock);
	CU_ASSERT_EQUAL(passes(&lab, lab.c, lab.b), 1);
	CU_ASSERT_EQUAL(passes(&lab, lab.c, lab.a), 0);
	vswitch_destroy(lab.vswitch);
}

/* Said again of a switch that has only some of the ports: it goes on with these. Without any there is nothing to do. */
static void test_absent_ports(void)
{
	struct vswitch_schedule_status status;
	struct error error = { 0 };
	struct lab lab;

	start(&lab, 1);
	CU_ASSERT_EQUAL(vswitch_remove_port(lab.vswitch, "a", &error), 0);
	lab.a = fake_port_add(lab.vswitch, "d", 0);
	CU_ASSERT_EQUAL(vswitch_start_schedule(lab.vswitch, "a", "s", "port a,b down", NULL, false,
					       &error),
			-ENOENT);
	CU_ASSERT_EQUAL(vswitch_start_schedule(lab.vswitch, "a", "s", "port a,b down", NULL, true,
					       &error),
			0);
	run_until(&lab, lab.clock);
	CU_ASSERT_EQUAL(passes(&lab, lab.c, lab.b), 0);
	CU_ASSERT_EQUAL(vswitch_schedule_status(lab.vswitch, "b", &status, &error), 0);
	CU_ASSERT_TRUE(status.absent && status.port_count == 1);
	CU_ASSERT_EQUAL(vswitch_start_schedule(lab.vswitch, "x", "s", "port y down", NULL, true,
					       &error),
			-ENOENT);
	vswitch_destroy(lab.vswitch);
}

/* A script that has fallen behind goes on; its thread is not held. */
static void test_far_behind(void)
{
	struct vswitch_schedule_status status;
	struct error error = { 0 };
	struct lab lab;

	start(&lab, 1);
	schedule(&lab, "a", "repeat\nport b down\nwait 1ms\nport b up\nend");
	lab.clock += 100 * 1000 * MS;
	for (unsigned i = 0; i < 10000; i++)
		vswitch_round(lab.vswitch);
	CU_ASSERT_EQUAL(vswitch_schedule_status(lab.vswitch, "b", &status, &error), 0);
	CU_ASSERT_EQUAL(status.ports[1].changes, 200001);
	CU_ASSERT_EQUAL(status.next_ns, 100001 * MS);
	vswitch_destroy(lab.vswitch);
}

static void test_wrong_scripts(void)
{
	static const struct {
		const char *text, *says;
	} wrong[] = {
		{ "", "s: there is nothing in it" },
		{ "# nothing\n\n", "s: there is nothing in it" },
		{ "down\n  bounce", "s: line 2, column 3: \"bounce\": expected at, wait, repeat" },
		{ "wait", "s: line 1, column 5: the line ends here: expected a time" },
		{ "wait 5", "s: line 1, column 6: \"5\": expected a time" },
		{ "wait 5s..2s", "s: line 1, column 6: \"5s..2s\": expected a time" },
		{ "wait 1s 2s", "s: line 1, column 9: \"2s\": expected nothing after" },
		{ "wait 2000h", "s: line 1, column 6" },
		{ "wait 5s\nat 4s", "s: line 2, column 4: \"4s\": expected a time that has not" },
		{ "at", "s: line 1, column 3: the line ends here" },
		{ "seed x", "s: line 1, column 6: \"x\": expected a number" },
		{ "seed", "s: line 1, column 5: the line ends here: expected a number" },
		{ "down\nseed 4", "s: line 2, column 1: \"seed\": expected at most one seed" },
		{ "repeat\ndown\nend", "s: line 1, column 1: a pass of this repeat takes no time" },
		{ "repeat 5\nwait 1us\nend", "s: line 1, column 1: a pass of this repeat" },
		{ "repeat 0\nwait 1s\nend", "s: line 1, column 8: \"0\": expected how often" },
		{ "repeat\nwait 1s\nend\ndown", "s: line 4, column 1: this is never reached" },
		{ "repeat\nwait 1s", "s: line 1, column 1: this repeat has no end" },
		{ "end", "s: line 1, column 1: \"end\": expected a repeat" },
		{ "port a", "s: line 1, column 7: the line ends here: expected" },
		{ "port a,a down", "s: line 1, column 6: port a: it is here twice" },
		{ "port a! down", "s: line 1, column 6: port name \"a!\"" },
		{ "port z down", "port z: there is none" },
		{ "down up", "s: line 1, column 6: \"up\": expected in, out or nothing" },
		{ "down in out", "s: line 1, column 9: \"out\": expected nothing more" },
		{ "set in", "s: line 1, column 7: the line ends here" },
		{ "set delay=4", "s: line 1, column 5: delay=4: expected a time" },
		{ "set in reorder=5%", "s: line 1, column 8: reorder: without delay=" },
		{ "partition a", "s: line 1, column 12: the line ends here: expected two groups" },
		{ "partition a,b b", "s: line 1, column 15: \"b\": expected ports that are in no" },
		{ "heal a", "s: line 1, column 6: \"a\": expected nothing after" },
	};
	struct lab lab;

	start(&lab, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct error error = { 0 };

		CU_ASSERT_NOT_EQUAL(vswitch_start_schedule(lab.vswitch, "a", "s", wrong[i].text,
							   NULL, false, &error),
				    0);
		if (!strstr(error.text, wrong[i].says))
			printf("%s: said %s\n", wrong[i].text, error.text);
		CU_ASSERT_PTR_NOT_NULL(strstr(error.text, wrong[i].says));
		CU_ASSERT_PTR_NULL(lab.a->port.over);
	}
	vswitch_destroy(lab.vswitch);
}

UNIT_MAIN("link_schedule", UNIT(test_traces), UNIT(test_tables), UNIT(test_flaps),
	  UNIT(test_one_way), UNIT(test_partition), UNIT(test_models), UNIT(test_random_times),
	  UNIT(test_ports_come_and_go), UNIT(test_absent_ports), UNIT(test_far_behind),
	  UNIT(test_wrong_scripts))
