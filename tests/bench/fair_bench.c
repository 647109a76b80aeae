/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a port that floods costs its neighbour, which offers a million frames of 60 bytes a second to a receiver: how many of them
 * arrive, and how long they are on their way, alone and beside each kind of flood.
 *
 * The ports are in this process; they have rings as guests do (RING frames, buffers of BUFFER bytes), and what is given to them is copied. Time is what
 * the switch's rounds took by the time-stamp counter, and passes in no other way: so the million frames a second are exact, another
 * process that takes the processor away is not seen (a round in which that happened takes as long as the one before), and two forwarding threads run side by side on one processor: the one
 * that is behind has the next round.
 *
 *	fair_bench		all floods, one forwarding thread and two
 *	fair_bench NAME		one flood
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <x86intrin.h>

#include "fair_floods.h"
#include "util/bytes.h"
#include "util/error.h"
#include "vswitch/internal.h"
#include "vswitch/lldp.h"
#include "vswitch/snooping_protocol.h"
#include "vswitch/stp.h"

#define RUNS       5
#define RUN_NS     10e6
#define WARM_NS    2e6
#define RATE       1e6 /* of the neighbour, frames a second */
#define SHORT      60u
#define RING       256u
#define BUFFER     2048u
#define AREA       (64u * 65536)
#define FLOODS_MAX 16
#define WAITS      (1u << 16)

struct guest {
	struct port port;
	struct lab *lab;
	/* What it sends. */
	const struct flood *flood; /* of one that floods */
	bool paced;                /* the neighbour */
	uint64_t offered,
		sent; /* of the neighbour, since the lab began: arrived at its ring, and left that or were lost */
	uint64_t number;
	struct frame frames[PORT_BURST];
	struct iovec pieces[PORT_BURST][2];
	uint8_t heads[PORT_BURST][HEAD];
	/* What it receives into. */
	double drain,
		drained; /* buffers a second (0: at once); until when it has given them back */
	unsigned bursts;
	bool stopped;
	unsigned used; /* buffers */
	unsigned next;
	uint8_t *buffers;
};

struct lab {
	struct vswitch *vswitch;
	const struct flood *flood;
	double time[2]; /* of each thread, ns */
	unsigned running;
	double hertz;
	uint8_t *area;
	struct guest *neighbour;
	/* Of the run. */
	uint64_t flooded, flooded_bytes, arrived;
	double came[PORT_BURST * 4]; /* in this round: when they were offered */
	unsigned came_count;
	float waits[WAITS];
	unsigned wait_count;
};

/* As it was when the round began. */
static double now_of(const struct lab *lab)
{
	return lab->time[lab->running];
}

static uint64_t clock_of(void *arg)
{
	return 1000000000 + (uint64_t)now_of(arg);
}

static struct guest *guest_of(struct port *port)
{
	return container_of(port, struct guest, port);
}

/* ---- Sending ---- */

/* The neighbour has frames as time goes on; what its ring has no room for is lost. */
static unsigned pace(struct guest *guest, unsigned max)
{
	struct lab *lab = guest->lab;
	unsigned count;

	guest->offered = (uint64_t)(now_of(lab) * RATE / 1e9);
	if (guest->offered - guest->sent > RING)
		guest->sent = guest->offered - RING;
	count = (unsigned)MIN(guest->offered - guest->sent, (uint64_t)max);
	for (unsigned i = 0; i < count; i++) {
		double when = (double)(guest->sent + i + 1) / RATE * 1e9;

		memcpy(guest->heads[i] + 20, &when, sizeof(when));
	}
	guest->sent += count;
	return count;
}

static unsigned receive(struct port *port, struct frame **frames, unsigned max)
{
	struct guest *guest = guest_of(port);
	unsigned count = guest->paced ? pace(guest, max) : guest->flood ? max : 0;

	for (unsigned i = 0; i < count; i++) {
		if (guest->flood && guest->flood->sources)
			put_mac(guest->heads[i] + 6, 0x061000000000 + ++guest->number);
		if (guest->flood && guest->flood->to == TO_UNKNOWN)
			put_mac(guest->heads[i], 0x0a1000000000 + ++guest->number);
		frames[i] = &guest->frames[i];
	}
	if (guest->flood) {
		uint64_t from = __rdtsc();

		guest->lab->flooded += count;
		guest->lab->flooded_bytes += (uint64_t)count * guest->flood->length;
		while ((double)(__rdtsc() - from) / guest->lab->hertz * 1e9 <
		       count * guest->flood->call_ns)
			_mm_pause();
	}
	return count;
}

static void release(struct port *port)
{
	(void)port;
}

static void prepare(struct guest *guest, uint64_t to, uint64_t from, unsigned length,
		    const struct flood *flood)
{
	for (unsigned i = 0; i < PORT_BURST; i++) {
		uint8_t *head = guest->heads[i];
		unsigned in_head = MIN(length, length > HEAD ? HEAD : SHORT);

		put_mac(head, to);
		put_mac(head + 6, from);
		if (flood)
			fill_payload(flood, head);
		else
			put_be16(head + 12, 0x88b5);
		guest->pieces[i][0] = (struct iovec){ head, in_head };
		guest->pieces[i][1] = (struct iovec){ guest->lab->area + (size_t)i * 2 * 65536,
						      length - in_head };
		guest->frames[i] = (struct frame){ .pieces = guest->pieces[i],
						   .count = length > in_head ? 2 : 1,
						   .length = length };
		if (length == LARGE)
			make_large(&guest->frames[i], head);
	}
}

/* ---- Receiving ---- */

static void give_back(struct guest *guest)
{
	double now, count;

	if (guest->stopped)
		return;
	if (guest->drain == 0) {
		guest->used = 0;
		return;
	}
	now = now_of(guest->lab);
	count = floor((now - guest->drained) * guest->drain / 1e9);
	if (count <= guest->bursts)
		return;
	guest->drained += count / guest->drain * 1e9;
	guest->used -= MIN(guest->used, (unsigned)count);
}

static unsigned room(struct port *port)
{
	struct guest *guest = guest_of(port);

	give_back(guest);
	return RING - guest->used;
}

static unsigned transmit(struct port *port, struct frame *const *frames, unsigned count)
{
	struct guest *guest = guest_of(port);
	struct lab *lab = guest->lab;

	give_back(guest);
	for (unsigned i = 0; i < count; i++) {
		unsigned needs = (frames[i]->length + BUFFER - 1) / BUFFER;
		const uint8_t *head = frames[i]->pieces[0].iov_base;
		uint8_t *to;

		if (guest->used + needs > RING)
			return i;
		guest->used += needs;
		if (guest->next + needs > RING)
			guest->next = 0;
		to = guest->buffers + (size_t)guest->next * BUFFER;
		guest->next += needs;
		for (unsigned j = 0; j < frames[i]->count; j++) {
			memcpy(to, frames[i]->pieces[j].iov_base, frames[i]->pieces[j].iov_len);
			to += frames[i]->pieces[j].iov_len;
		}
		port_count_tx(port, frames[i]);
		if (head[11] != 'n' || head[5] != 'r')
			continue;
		memcpy(&lab->came[lab->came_count], head + 20, sizeof(double));
		lab->came_count += lab->came_count < ARRAY_SIZE(lab->came) - 1;
	}
	return count;
}

static void destroy(struct port *port)
{
	free(guest_of(port)->buffers);
	free(guest_of(port));
}

static const struct port_ops polled_ops = { .type = "guest",
					    .polled = true,
					    .receive = receive,
					    .release = release,
					    .transmit = transmit,
					    .room = room,
					    .destroy = destroy };
static const struct port_ops called_ops = { .type = "host",
					    .receive = receive,
					    .release = release,
					    .transmit = transmit,
					    .room = room,
					    .destroy = destroy };

/* ---- The lab ---- */

static struct guest *add(struct lab *lab, const char *name, const struct flood *flood)
{
	struct guest *guest = calloc(1, sizeof(*guest));

	guest->lab = lab;
	guest->flood = flood;
	guest->buffers = aligned_alloc(64, (size_t)RING * BUFFER);
	memset(guest->buffers, 1, (size_t)RING * BUFFER);
	guest->port.ops = flood && flood->call_ns ? &called_ops : &polled_ops;
	guest->port.up = true;
	if (lab->flood->uncut)
		guest->port.features = VIRTIO_NET_GUEST_OFFLOADS;
	if (vswitch_add_port(lab->vswitch, &guest->port, name, NULL))
		exit(1);
	return guest;
}

static void must(int rc, const struct error *error)
{
	if (!rc)
		return;
	fprintf(stderr, "fair_bench: %s\n", error->text);
	exit(1);
}

static void set_up_protocol(struct lab *lab)
{
	struct rstp_config tree = rstp_config_default();
	static const char *const snoop[] = { "igmp=on" }, *const lldp[] = { "mode=both" };
	struct port_config config = { 0 };
	struct filter_program *program;
	struct error error = { 0 };

	switch (lab->flood->to) {
	case TO_TREE:
		tree.address = 0x0200000000f0;
		must(port_config_set(&config, "stp-edge=yes", &error), &error);
		for (unsigned i = 0; i < lab->vswitch->port_count; i++)
			must(vswitch_set_port(lab->vswitch, lab->vswitch->list[i]->name, &config,
					      &error),
			     &error);
		must(vswitch_set_stp(lab->vswitch, &tree, &error), &error);
		break;
	case TO_LLDP:
		must(vswitch_set_lldp(lab->vswitch, 0x0200000000f0, NULL, lldp, 1, &error), &error);
		break;
	case TO_GROUPS:
		must(vswitch_set_snooping(lab->vswitch, NULL, snoop, 1, &error), &error);
		break;
	default:
		break;
	}
	if (!lab->flood->filtered)
		return;
	must(filter_program_compile(&program, "ether proto 0x88b5", &error), &error);
	must(vswitch_add_rule(lab->vswitch, "flood0", PORT_IN, 0, program, "drop", &error), &error);
}

static void begin(struct lab *lab, const struct flood *flood, unsigned threads)
{
	struct vswitch_options options = {
		.seed = 1, .threads = threads, .clock = clock_of, .clock_arg = lab
	};
	unsigned count = !flood->length ? 0 : flood->floods ? flood->floods : 1;
	struct guest *receiver;
	char name[32];

	lab->flood = flood;
	must(vswitch_create(&lab->vswitch, &options, NULL), &(struct error){ .text = "no switch" });
	/* Of two threads, one has the floods and one the neighbour; the floods come first in a round. */
	for (unsigned i = 0; i < count; i++) {
		struct guest *guest;

		snprintf(name, sizeof(name), "flood%u", i);
		guest = add(lab, name, flood);
		prepare(guest, destination(flood), station('A') + i, flood->length, flood);
		snprintf(name, sizeof(name), "%s%u", i ? "idle" : "neighbour", i);
		guest = threads > 1 || i + 1 == count
				? add(lab, i + 1 == count ? "neighbour" : name, NULL)
				: NULL;
		lab->neighbour = guest;
	}
	if (!count)
		lab->neighbour = add(lab, "neighbour", NULL);
	prepare(lab->neighbour, station('r'), station('n'), SHORT, NULL);
	lab->neighbour->paced = true;
	receiver = add(lab, "receiver", NULL);
	receiver->drain = flood->drain;
	receiver->bursts = flood->bursts;
	add(lab, "other", NULL);
	add(lab, "stopped", NULL)->stopped = true;
	for (unsigned i = 0; i < flood->others; i++) {
		snprintf(name, sizeof(name), "p%u", i);
		add(lab, name, NULL);
	}
	vswitch_add_address(lab->vswitch, 0, station('r'), "receiver", NULL);
	vswitch_add_address(lab->vswitch, 0, station('o'), "other", NULL);
	vswitch_add_address(lab->vswitch, 0, station('s'), "stopped", NULL);
	set_up_protocol(lab);
}

/* One round, of the thread that is behind. */
static void go_round(struct lab *lab)
{
	static double last[2];
	static long before;
	struct rusage usage;
	uint64_t from;
	double took;

	lab->running = lab->vswitch->thread_count > 1 && lab->time[1] < lab->time[0];
	lab->came_count = 0;
	from = __rdtsc();
	vswitch_thread_round(&lab->vswitch->threads[lab->running]);
	took = (double)(__rdtsc() - from) / lab->hertz * 1e9;
	getrusage(RUSAGE_THREAD, &usage);
	if (usage.ru_nivcsw != before)
		took = MIN(took, last[lab->running]);
	before = usage.ru_nivcsw;
	last[lab->running] = took;
	lab->time[lab->running] += took;
	for (unsigned i = 0; i < lab->came_count; i++)
		if (lab->wait_count < WAITS)
			lab->waits[lab->wait_count++] =
				(float)(lab->time[lab->running] - lab->came[i]);
	lab->arrived += lab->came_count;
}

static void go(struct lab *lab, double ns)
{
	double end =
		fmin(lab->time[0], lab->vswitch->thread_count > 1 ? lab->time[1] : INFINITY) + ns;

	lab->flooded = lab->flooded_bytes = lab->arrived = 0;
	lab->wait_count = 0;
	while (lab->time[0] < end || (lab->vswitch->thread_count > 1 && lab->time[1] < end))
		go_round(lab);
}

static int compare(const void *a, const void *b)
{
	double difference = *(const float *)a - *(const float *)b;

	return difference < 0 ? -1 : difference > 0;
}

struct result {
	double share, p50, p99, frames, gigabits;
};

static int compare_results(const void *a, const void *b)
{
	double difference = ((const struct result *)a)->share - ((const struct result *)b)->share;

	return difference < 0 ? -1 : difference > 0;
}

static void measure(const struct flood *flood, unsigned threads, double hertz, uint8_t *area)
{
	static struct lab lab;
	struct result results[RUNS];
	const struct result *middle = &results[RUNS / 2];

	lab = (struct lab){ .hertz = hertz, .area = area };
	begin(&lab, flood, threads);
	go(&lab, WARM_NS);
	for (unsigned i = 0; i < RUNS; i++) {
		struct result *one = &results[i];
		uint64_t offered = lab.neighbour->offered;
		double from = lab.time[0], spent;

		go(&lab, RUN_NS);
		spent = (lab.time[0] - from) / 1e9;
		offered = lab.neighbour->offered - offered;
		qsort(lab.waits, lab.wait_count, sizeof(lab.waits[0]), compare);
		one->share = 100.0 * fmin(1, (double)lab.arrived / (double)offered);
		one->p50 = lab.wait_count ? lab.waits[lab.wait_count / 2] / 1e3 : 0;
		one->p99 = lab.wait_count ? lab.waits[lab.wait_count * 99 / 100] / 1e3 : 0;
		one->frames = (double)lab.flooded / spent / 1e6;
		one->gigabits = (double)lab.flooded_bytes * 8 / spent / 1e9;
	}
	qsort(results, RUNS, sizeof(results[0]), compare_results);
	printf("%s, threads %u: neighbour %.1f percent, p50 %.1f us, p99 %.1f us; flood %.3f M "
	       "frames a second, flood %.1f Gbit\n",
	       flood->name, threads, middle->share, middle->p50, middle->p99, middle->frames,
	       middle->gigabits);
	fflush(stdout);
	vswitch_destroy(lab.vswitch);
}

static double cycles_of_second(void)
{
	struct timespec from, to;
	uint64_t cycles = __rdtsc();

	clock_gettime(CLOCK_MONOTONIC, &from);
	do
		clock_gettime(CLOCK_MONOTONIC, &to);
	while (to.tv_sec - from.tv_sec + (double)(to.tv_nsec - from.tv_nsec) / 1e9 < 0.1);
	return (double)(__rdtsc() - cycles) /
	       ((double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9);
}

int main(int argc, char **argv)
{
	double hertz = cycles_of_second();
	uint8_t *area = calloc(1, AREA);

	for (unsigned threads = 1; threads <= 2; threads++)
		for (size_t i = 0; i < ARRAY_SIZE(floods); i++)
			if (argc < 2 || !strcmp(floods[i].name, argv[1]))
				measure(&floods[i], threads, hertz, area);
	free(area);
	return 0;
}
