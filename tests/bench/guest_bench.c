/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a frame costs from one vhost-user guest to another: both guests are in this process (unit/net_guest.h), each has 64 frames on
 * their way to the other, and gives what it gets back to the switch as another frame. Cycles of the time-stamp counter that the
 * switch's rounds took, a frame; from the frame in one guest's ring to the frame in the other's.
 *
 *	guest_bench		guests and switch in turn on one processor: the switch's own work; its caches are warm
 *	guest_bench cores	the guests have processor 0, the switch processor 1: what it takes to get lines from there, too
 *
 *	guest_bench distance	cycles that a cache line takes from one processor to the other and back: a host may move them
 *
 * The best of some runs, and their median. guest_bench count CASE ROUNDS: for callgrind.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <x86intrin.h>

#include "net_guest.h"
#include "util/bytes.h"
#include "util/error.h"
#include "vswitch/switch.h"

#define RUNS        41
#define ROUNDS      400
#define TOKENS      64
#define BUFFER      2048
#define SLOT        2048
#define SLOTS       64 /* of net_guest's area for transmission */
#define BURST       32
#define TX_AREA     0x10000 /* as in net_guest.c */
#define RX_AREA     0x30000
#define GUEST_BASE  0x100000ULL
#define WARM_ROUNDS 2000

static const struct bench_case {
	const char *name;
	uint64_t features;
	unsigned length;
} cases[] = {
	{ "split 60", 0, 60 },
	{ "split in order 60", 1ULL << VIRTIO_F_IN_ORDER, 60 },
	{ "packed 60", 1ULL << VIRTIO_F_RING_PACKED, 60 },
	{ "packed in order 60", 1ULL << VIRTIO_F_RING_PACKED | 1ULL << VIRTIO_F_IN_ORDER, 60 },
	{ "split 1514", 0, 1514 },
	{ "packed 1514", 1ULL << VIRTIO_F_RING_PACKED, 1514 },
};

struct side {
	struct net_guest *guest;
	unsigned tokens, length;
	uint16_t slot_of[NET_GUEST_QUEUE];
	uint16_t free[SLOTS];
	unsigned free_count;
	uint8_t mac[2]; /* last bytes of its own address and of the other's */
	uint64_t received;
};

struct lab {
	struct vswitch *vswitch;
	struct side sides[2];
	bool stop;
};

static void pin(unsigned processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set))
		fprintf(stderr, "guest_bench: there is no processor %u\n", processor);
}

static struct net_guest *plug_in(struct vswitch *vswitch, const char *name, uint64_t features)
{
	struct vhost_user_frontend *frontend;
	struct error error = { 0 };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) ||
	    vswitch_add_port_vhost_user_fd(vswitch, name, pair[0], &error) ||
	    vhost_user_frontend_adopt(&frontend, pair[1], name, &error)) {
		fprintf(stderr, "guest_bench: %s\n", error.text);
		exit(1);
	}
	return net_guest_start(frontend, features | VIRTIO_NET_BIT(MRG_RXBUF));
}

static void begin(struct lab *lab, const struct bench_case *what)
{
	struct vswitch_options options = { .seed = 1 };

	*lab = (struct lab){ 0 };
	if (vswitch_create(&lab->vswitch, &options, NULL) || vswitch_start(lab->vswitch, NULL))
		exit(1);
	for (unsigned i = 0; i < 2; i++) {
		struct side *side = &lab->sides[i];

		side->guest = plug_in(lab->vswitch, i ? "b" : "a", what->features);
		side->guest->rx.kick_fd = side->guest->tx.kick_fd = -1;
		virtqueue_driver_disable_calls(&side->guest->rx);
		virtqueue_driver_disable_calls(&side->guest->tx);
		net_guest_give_buffers(side->guest, NET_GUEST_QUEUE, BUFFER);
		side->length = what->length;
		side->tokens = TOKENS;
		side->mac[0] = (uint8_t)(10 + i);
		side->mac[1] = (uint8_t)(11 - i);
		while (side->free_count < SLOTS) {
			side->free[side->free_count] = (uint16_t)side->free_count;
			side->free_count++;
		}
	}
	vswitch_stop(lab->vswitch);
}

static void end(struct lab *lab)
{
	vswitch_destroy(lab->vswitch);
	net_guest_end(lab->sides[0].guest);
	net_guest_end(lab->sides[1].guest);
}

static void send_some(struct side *side)
{
	struct net_guest *guest = side->guest;
	uint32_t written;
	uint16_t head;

	while (virtqueue_driver_take(&guest->tx, &head, &written) > 0)
		side->free[side->free_count++] = side->slot_of[head];
	for (unsigned i = 0; i < BURST && side->tokens && side->free_count; i++) {
		uint16_t slot = side->free[--side->free_count];
		uint64_t at = TX_AREA + (uint64_t)slot * SLOT;
		struct virtqueue_part part = {
			GUEST_BASE + at, (uint32_t)sizeof(struct virtio_net_header) + side->length
		};
		uint8_t *frame = guest->base + at;

		memset(frame, 0, sizeof(struct virtio_net_header));
		frame += sizeof(struct virtio_net_header);
		memcpy(frame,
		       (uint8_t[]){ 2, 0, 0, 0, 0, side->mac[1], 2, 0, 0, 0, 0, side->mac[0], 0x88,
				    0xb5 },
		       14);
		if (virtqueue_driver_add(&guest->tx, &part, 1, 0, &head))
			abort();
		side->slot_of[head] = slot;
		side->tokens--;
	}
	virtqueue_driver_kick(&guest->tx);
}

static void receive_some(struct side *side)
{
	struct net_guest *guest = side->guest;
	uint16_t head, again;
	uint32_t written;
	unsigned count;

	for (count = 0; count < BURST && virtqueue_driver_take(&guest->rx, &head, &written) > 0;
	     count++) {
		struct virtqueue_part part = { GUEST_BASE + guest->rx_at[head], BUFFER };

		if (written != sizeof(struct virtio_net_header) + side->length ||
		    guest->base[guest->rx_at[head] + sizeof(struct virtio_net_header) + 5] !=
			    side->mac[0]) {
			fprintf(stderr, "guest_bench: another frame came than was sent\n");
			abort();
		}
		if (virtqueue_driver_add(&guest->rx, &part, 0, 1, &again))
			abort();
		guest->rx_at[again] = part.guest_address - GUEST_BASE;
	}
	virtqueue_driver_kick(&guest->rx);
	side->tokens += count;
	side->received += count;
}

static void guests_turn(struct lab *lab)
{
	for (unsigned i = 0; i < 2; i++) {
		receive_some(&lab->sides[i]);
		send_some(&lab->sides[i]);
	}
}

static void *run_guests(void *arg)
{
	struct lab *lab = arg;

	while (!__atomic_load_n(&lab->stop, __ATOMIC_RELAXED))
		guests_turn(lab);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	double difference = *(const double *)a - *(const double *)b;

	return difference < 0 ? -1 : difference > 0;
}

/* One run of so many rounds: cycles a frame. Rounds in which nothing came do not count. */
static double go(struct lab *lab, unsigned rounds, bool in_turn, double *burst)
{
	uint64_t cycles = 0, frames = 0, busy = 0;

	while (busy < rounds) {
		uint64_t from;
		unsigned work;

		if (in_turn)
			guests_turn(lab);
		from = __rdtsc();
		work = vswitch_round(lab->vswitch);
		if (!work)
			continue;
		cycles += __rdtsc() - from;
		frames += work;
		busy++;
	}
	*burst = (double)frames / (double)busy;
	return (double)cycles / (double)frames;
}

static void measure(const struct bench_case *what, bool cores)
{
	double cycles[RUNS], burst[RUNS];
	pthread_t thread;
	struct lab lab;

	begin(&lab, what);
	if (cores) {
		/* Made where it is to run: with a real-time priority it would not get away from here. */
		pin(0);
		if (pthread_create(&thread, NULL, run_guests, &lab))
			exit(1);
		pin(1);
	}
	go(&lab, WARM_ROUNDS, !cores, &burst[0]);
	for (unsigned run = 0; run < RUNS; run++)
		cycles[run] = go(&lab, ROUNDS, !cores, &burst[run]);
	if (cores) {
		__atomic_store_n(&lab.stop, true, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
	}
	qsort(cycles, RUNS, sizeof(cycles[0]), compare);
	qsort(burst, RUNS, sizeof(burst[0]), compare);
	printf("%s%s: best %.0f cycles a frame, median %.0f cycles a frame; frames a round %.0f\n",
	       what->name, cores ? ", two processors" : "", cycles[0], cycles[RUNS / 2],
	       burst[RUNS / 2]);
	end(&lab);
}

/* ---- The distance ---- */

#define TRIPS 2000

static _Alignas(64) unsigned ball;

static void *return_ball(void *arg)
{
	(void)arg;
	for (unsigned i = 1; i < 2 * TRIPS * RUNS; i += 2) {
		while (__atomic_load_n(&ball, __ATOMIC_ACQUIRE) != i)
			;
		__atomic_store_n(&ball, i + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static int measure_distance(void)
{
	double cycles[RUNS];
	pthread_t thread;
	unsigned next = 0;

	pin(0);
	if (pthread_create(&thread, NULL, return_ball, NULL))
		return 1;
	pin(1);
	for (unsigned run = 0; run < RUNS; run++) {
		uint64_t from = __rdtsc();

		for (unsigned i = 0; i < TRIPS; i++, next += 2) {
			__atomic_store_n(&ball, next + 1, __ATOMIC_RELEASE);
			while (__atomic_load_n(&ball, __ATOMIC_ACQUIRE) != next + 2)
				;
		}
		cycles[run] = (double)(__rdtsc() - from) / TRIPS;
	}
	pthread_join(thread, NULL);
	qsort(cycles, RUNS, sizeof(cycles[0]), compare);
	printf("%.0f\n", cycles[0]);
	return 0;
}

int main(int argc, char **argv)
{
	bool cores = argc > 1 && !strcmp(argv[1], "cores");
	double burst;

	if (argc == 2 && !strcmp(argv[1], "distance"))
		return measure_distance();
	if (argc == 4 && !strcmp(argv[1], "count")) {
		unsigned number = (unsigned)atoi(argv[2]);
		struct lab lab;

		if (number >= ARRAY_SIZE(cases))
			return 2;
		begin(&lab, &cases[number]);
		go(&lab, (unsigned)atoi(argv[3]), true, &burst);
		printf("%s: frames %llu\n", cases[number].name,
		       (unsigned long long)(lab.sides[0].received + lab.sides[1].received));
		end(&lab);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		measure(&cases[i], cores);
	return 0;
}
