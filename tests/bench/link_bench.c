/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a bad link costs: 64-byte frames at one million a second of virtual time through a switch in this process, from a port that
 * always has them to one that takes all and keeps nothing, over a link on which 100,000 are on their way at once. Nanoseconds of processor
 * time a frame, the best and the median of some runs, for each kind of delay.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/bytes.h"
#include "vswitch/switch.h"

#define RUNS     7
#define ROUNDS   10000 /* a run: 320,000 frames */
#define ROUND_NS 32000 /* of virtual time, for a burst of 32 */
#define WARM     10000 /* rounds until the link is full, and more */

struct null_port {
	struct port port;
	bool sends;
	uint32_t number;
	struct frame frames[PORT_BURST];
	struct iovec pieces[PORT_BURST];
	uint8_t bytes[PORT_BURST][64];
};

static unsigned receive(struct port *port, struct frame **frames, unsigned max)
{
	struct null_port *null = container_of(port, struct null_port, port);

	if (!null->sends)
		return 0;
	for (unsigned i = 0; i < max; i++) {
		put_be32(null->bytes[i] + 20, null->number++);
		null->pieces[i] = (struct iovec){ null->bytes[i], 64 };
		null->frames[i] =
			(struct frame){ .pieces = &null->pieces[i], .count = 1, .length = 64 };
		frames[i] = &null->frames[i];
	}
	return max;
}

static void release(struct port *port)
{
	(void)port;
}

static unsigned transmit(struct port *port, struct frame *const *frames, unsigned count)
{
	(void)frames;
	port->counters.tx_frames += count;
	return count;
}

static void destroy(struct port *port)
{
	free(container_of(port, struct null_port, port));
}

static const struct port_ops ops = { .type = "null",
				     .receive = receive,
				     .release = release,
				     .transmit = transmit,
				     .destroy = destroy };

static struct null_port *add(struct vswitch *vswitch, const char *name, bool sends)
{
	struct null_port *null = calloc(1, sizeof(*null));

	null->port.ops = &ops;
	null->port.up = true;
	null->sends = sends;
	for (unsigned i = 0; i < PORT_BURST; i++) {
		memset(null->bytes[i], 0xff, 6);
		null->bytes[i][6] = 2;
	}
	return vswitch_add_port(vswitch, &null->port, name, NULL) ? NULL : null;
}

static uint64_t test_clock(void *arg)
{
	return *(uint64_t *)arg;
}

static double cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double difference = *(const double *)a - *(const double *)b;

	return difference < 0 ? -1 : difference > 0;
}

static void go(struct vswitch *vswitch, uint64_t *clock, unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		vswitch_round(vswitch);
		*clock += ROUND_NS;
	}
}

static void measure(const char *words)
{
	uint64_t clock = 1000000000;
	struct vswitch_options options = { .seed = 1, .clock = test_clock, .clock_arg = &clock };
	char copy[128], *rest = copy, *word;
	struct link_model model = { 0 };
	struct vswitch *vswitch;
	uint64_t sent, arrived;
	struct null_port *a, *b;
	double ns[RUNS];

	snprintf(copy, sizeof(copy), "%s", words);
	if (vswitch_create(&vswitch, &options, NULL))
		exit(1);
	while ((word = strsep(&rest, " ")) && *word)
		if (link_model_set(&model, word, NULL))
			exit(1);
	a = add(vswitch, "a", true);
	b = add(vswitch, "b", false);
	if (!a || !b || vswitch_set_link(vswitch, "b", LINK_OUT, &model, NULL))
		exit(1);
	go(vswitch, &clock, WARM);
	sent = a->number;
	arrived = b->port.counters.tx_frames;
	for (unsigned run = 0; run < RUNS; run++) {
		double from = cpu_ns();

		go(vswitch, &clock, ROUNDS);
		ns[run] = (cpu_ns() - from) / ROUNDS / PORT_BURST;
	}
	qsort(ns, RUNS, sizeof(ns[0]), compare);
	/* Each that arrives of those that are sent; more where some are sent twice. */
	printf("%s: best %.0f ns a frame, median %.0f ns a frame, arrived %.2f percent\n",
	       *words ? words : "perfect", ns[0], ns[RUNS / 2],
	       100.0 * (double)(b->port.counters.tx_frames - arrived) / (a->number - sent));
	vswitch_destroy(vswitch);
}

int main(int argc, char **argv)
{
	static const char *const all[] = { "",
					   "delay=100ms",
					   "delay=100ms jitter=50ms",
					   "delay=100ms jitter=20ms,normal",
					   "delay=100ms jitter=50ms keep-order=yes",
					   "loss=1%",
					   "loss=gemodel,1%,10%",
					   "duplicate=1%",
					   "corrupt=1%",
					   "delay=1ms reorder=1%",
					   "rate=1G" };

	for (int i = 1; i < argc; i++)
		measure(argv[i]);
	for (size_t i = 0; argc == 1 && i < ARRAY_SIZE(all); i++)
		measure(all[i]);
	return 0;
}
