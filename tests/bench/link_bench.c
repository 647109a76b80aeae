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

#include "null_port.h"
#include "util/bytes.h"

#define RUNS     7
#define ROUNDS   10000 /* a run: 320,000 frames */
#define ROUND_NS 32000 /* of virtual time, for a burst of 32 */
#define WARM     10000 /* rounds until the link is full, and more */

struct sender {
	struct null_port null; /* first: null_port_destroy() frees it */
	uint32_t number;
};

static void fill(struct null_port *null, unsigned count)
{
	struct sender *sender = container_of(null, struct sender, null);

	for (unsigned i = 0; i < count; i++)
		put_be32(null->bytes[i] + 20, sender->number++);
}

static struct sender *add(struct vswitch *vswitch, const char *name, bool sends)
{
	struct sender *sender = calloc(1, sizeof(*sender));

	sender->null.fill = sends ? fill : NULL;
	for (unsigned i = 0; i < PORT_BURST; i++) {
		memset(sender->null.bytes[i], 0xff, 6);
		sender->null.bytes[i][6] = 2;
	}
	return null_port_add(vswitch, &sender->null, name) ? NULL : sender;
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
	struct sender *a, *b;
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
	arrived = b->null.port.counters.tx_frames;
	for (unsigned run = 0; run < RUNS; run++) {
		double from = cpu_ns();

		go(vswitch, &clock, ROUNDS);
		ns[run] = (cpu_ns() - from) / ROUNDS / PORT_BURST;
	}
	qsort(ns, RUNS, sizeof(ns[0]), compare);
	/* Each that arrives of those that are sent; more where some are sent twice. */
	printf("%s: best %.0f ns a frame, median %.0f ns a frame, arrived %.2f percent\n",
	       *words ? words : "perfect", ns[0], ns[RUNS / 2],
	       100.0 * (double)(b->null.port.counters.tx_frames - arrived) / (a->number - sent));
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
