/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What deciding costs: 64-byte frames through a switch in this process, from a port that always has a burst to
 * ports that take all and keep nothing. Cycles of the time-stamp counter a frame, without those that making the frame took, the best and the median of some runs, for
 * so many addresses on either side, each as likely as the others.
 *
 *	switch_bench		that
 *	switch_bench capture	what a capture in memory loses of so many frames a second, and costs a frame; in real time
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "null_port.h"
#include "util/bytes.h"
#include "util/random.h"

#define RUNS   91 /* short ones, so that some have the processor for themselves */
#define ROUNDS 2000

struct sender {
	struct null_port null;    /* first: null_port_destroy() frees it */
	unsigned addresses, next; /* 0: has nothing to send */
	uint64_t first, peers;
	struct random random;
};

static void put_mac(uint8_t *at, uint64_t mac)
{
	put_be16(at, (uint16_t)(mac >> 32));
	put_be32(at + 2, (uint32_t)mac);
}

static void fill(struct null_port *null, unsigned count)
{
	struct sender *sender = container_of(null, struct sender, null);

	for (unsigned i = 0; i < count; i++) {
		uint64_t to = random_below(&sender->random, sender->addresses);

		put_mac(null->bytes[i], sender->peers + to);
		put_mac(null->bytes[i] + 6, sender->first + sender->next++ % sender->addresses);
	}
}

static void set_addresses(struct sender *sender, unsigned addresses)
{
	sender->addresses = addresses;
	sender->null.fill = addresses ? fill : NULL;
}

static struct sender *add(struct vswitch *vswitch, const char *name, uint64_t first, uint64_t peers)
{
	struct sender *sender = calloc(1, sizeof(*sender));

	sender->first = first;
	sender->peers = peers;
	sender->random.state = 1;
	return null_port_add(vswitch, &sender->null, name) ? NULL : sender;
}

static int compare(const void *a, const void *b)
{
	double difference = *(const double *)a - *(const double *)b;

	return difference < 0 ? -1 : difference > 0;
}

static void measure(unsigned addresses)
{
	struct vswitch_options options = { .seed = 1,
					   .table_size = 2 * addresses + 64,
					   .table_per_port = addresses + 32 };
	struct sender *a, *b;
	struct vswitch *vswitch;
	double cycles[RUNS];

	if (vswitch_create(&vswitch, &options, NULL))
		exit(1);
	a = add(vswitch, "a", 0x020000000000, 0x024000000000);
	b = add(vswitch, "b", 0x024000000000, 0x020000000000);
	add(vswitch, "c", 0, 0);
	/* Both sides are learned. */
	set_addresses(a, addresses);
	set_addresses(b, addresses);
	for (unsigned i = 0; i < addresses / PORT_BURST + 2; i++)
		vswitch_round(vswitch);
	set_addresses(b, 0);
	for (unsigned run = 0; run < RUNS; run++) {
		uint64_t from = __rdtsc();

		a->null.making = 0;
		for (unsigned i = 0; i < ROUNDS; i++)
			vswitch_round(vswitch);
		cycles[run] = (double)(__rdtsc() - from - a->null.making) / ROUNDS / PORT_BURST;
	}
	qsort(cycles, RUNS, sizeof(cycles[0]), compare);
	printf("%u addresses: best %.1f cycles a frame, median %.1f cycles a frame\n", addresses,
	       cycles[0], cycles[RUNS / 2]);
	vswitch_destroy(vswitch);
}

/* ---- Captures ---- */

#define CAPTURE_SECONDS 0.5
#define RING            (4u << 20) /* little, so that it hides nothing: 30 ms of a million frames a second */
#define CAPTURE_FILE    "/dev/shm/tenon-capture-bench.pcapng"

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* A burst when it is due, for CAPTURE_SECONDS; cycles a frame. */
static double go_at(struct vswitch *vswitch, struct sender *from, double rate)
{
	double start = now(), due = start;
	uint64_t cycles = 0, frames = 0;

	from->null.making = 0;
	for (; due < start + CAPTURE_SECONDS; due += PORT_BURST / rate) {
		uint64_t began;

		while (now() < due)
			_mm_pause();
		began = __rdtsc();
		vswitch_round(vswitch);
		cycles += __rdtsc() - began;
		frames += PORT_BURST;
	}
	return (double)(cycles - from->null.making) / (double)frames;
}

static int measure_capture(double rate)
{
	struct vswitch_options options = { .seed = 1 };
	struct vswitch_capture_options capture = { .path = CAPTURE_FILE,
						   .port = "a",
						   .force = true };
	struct capture_status last = { 0 };
	struct sender *from;
	struct vswitch *vswitch;
	double without, with;
	unsigned id;

	if (vswitch_create(&vswitch, &options, NULL))
		return 1;
	from = add(vswitch, "a", 0x020000000000, 0x024000000000);
	add(vswitch, "b", 0x024000000000, 0x020000000000);
	set_addresses(from, 1);
	without = go_at(vswitch, from, rate);
	if (vswitch_start_capture(vswitch, &capture, &id, NULL))
		return 1;
	with = go_at(vswitch, from, rate);
	vswitch_stop_capture(vswitch, id, &last, NULL);
	printf("capture of %.0f M frames a second: written %llu, lost %llu; %.0f cycles a frame, "
	       "without %.0f cycles a frame\n",
	       rate / 1e6, (unsigned long long)last.written, (unsigned long long)last.lost, with,
	       without);
	vswitch_destroy(vswitch);
	unlink(CAPTURE_FILE);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "capture"))
		return measure_capture(1e6) || measure_capture(2e6) || measure_capture(4e6);
	measure(1);
	measure(1000);
	measure(100000);
	return 0;
}
