/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a frame costs from one vhost-user guest to another: both guests are in this process (unit/net_guest.h), each has 64 frames on
 * their way to the other, and gives what it gets back to the switch as another frame. Cycles of the time-stamp counter that the
 * switch's rounds took, a frame; from the frame in one guest's ring to the frame in the other's.
 *
 *	guest_bench		guests and switch in turn on one processor: the switch's own work; its caches are warm
 *	guest_bench cores	the guests have processor 0, the switch processor 1: what it takes to get lines from there, too
 *	guest_bench cold	in turn, but what the guests have touched is in no cache: how much of the way to memory is
 *				waited for; as from a processor far away, wherever the host has put this one
 *
 *	guest_bench idle	beside 0 to 252 other guests that do nothing, asked for frames in each round, and resting
 *	guest_bench latency	how long frames are on their way at 10, 50 and 90 % of what can be sent, and after a pause; what it
 *				costs to do nothing
 *
 * The best of some runs, and their median. guest_bench count CASE ROUNDS: for callgrind.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "net_guest.h"
#include "util/bytes.h"
#include "util/error.h"
#include "vswitch/internal.h"

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
#define STAMP_AT    16 /* in a frame: when it was sent */
#define LINE        64

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
	uint32_t *waits; /* cycles that frames were on their way, where that is asked */
	size_t wait_count, wait_room;
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
	uint64_t now;

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
		now = __rdtsc();
		memcpy(frame + STAMP_AT, &now, sizeof(now));
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
		if (side->wait_count < side->wait_room) {
			uint64_t sent;

			memcpy(&sent,
			       guest->base + guest->rx_at[head] + sizeof(struct virtio_net_header) +
				       STAMP_AT,
			       sizeof(sent));
			side->waits[side->wait_count++] = (uint32_t)(__rdtsc() - sent);
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

static void flush(const uint8_t *from, size_t length)
{
	for (size_t i = 0; i < length; i += LINE)
		_mm_clflush(from + i);
}

/* The rings, and of buffers what a frame takes. */
static void make_cold(const struct side *side)
{
	const struct net_guest *guest = side->guest;
	size_t taken = sizeof(struct virtio_net_header) + side->length;

	flush(guest->base, TX_AREA);
	for (unsigned i = 0; i < SLOTS; i++)
		flush(guest->base + TX_AREA + (size_t)i * SLOT, taken);
	for (unsigned i = 0; i < NET_GUEST_QUEUE; i++)
		flush(guest->base + RX_AREA + (size_t)i * BUFFER, taken);
	_mm_mfence();
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

enum where { WARM, COLD, CORES };

/* One run of so many rounds: cycles a frame. Rounds in which nothing came do not count. */
static double go(struct lab *lab, unsigned rounds, enum where where, double *burst)
{
	uint64_t cycles = 0, frames = 0, busy = 0;

	while (busy < rounds) {
		uint64_t from;
		unsigned work;

		if (where != CORES)
			guests_turn(lab);
		for (unsigned i = 0; where == COLD && i < 2; i++)
			make_cold(&lab->sides[i]);
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

static void measure(const struct bench_case *what, enum where where)
{
	static const char *const names[] = { "", ", cold", ", two processors" };
	double cycles[RUNS], burst[RUNS];
	pthread_t thread;
	struct lab lab;

	begin(&lab, what);
	if (where == CORES) {
		/* Made where it is to run: with a real-time priority it would not get away from here. */
		pin(0);
		if (pthread_create(&thread, NULL, run_guests, &lab))
			exit(1);
		pin(1);
	}
	go(&lab, WARM_ROUNDS, where, &burst[0]);
	for (unsigned run = 0; run < RUNS; run++)
		cycles[run] = go(&lab, ROUNDS, where, &burst[run]);
	if (where == CORES) {
		__atomic_store_n(&lab.stop, true, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
	}
	qsort(cycles, RUNS, sizeof(cycles[0]), compare);
	qsort(burst, RUNS, sizeof(burst[0]), compare);
	printf("%s%s: best %.0f cycles a frame, median %.0f cycles a frame; frames a round %.0f\n",
	       what->name, names[where], cycles[0], cycles[RUNS / 2], burst[RUNS / 2]);
	end(&lab);
}

/* ---- Others that do nothing ---- */

#define IDLE_MOST 252

static void measure_beside(unsigned others)
{
	double cycles[2][RUNS], burst;
	static struct net_guest *guests[IDLE_MOST];
	struct lab lab;

	begin(&lab, &cases[0]);
	if (vswitch_start(lab.vswitch, NULL))
		exit(1);
	for (unsigned i = 0; i < others; i++) {
		char name[8];

		snprintf(name, sizeof(name), "o%u", i);
		guests[i] = plug_in(lab.vswitch, name, 0);
		net_guest_give_buffers(guests[i], NET_GUEST_QUEUE, BUFFER);
	}
	vswitch_stop(lab.vswitch);
	for (unsigned rests = 0; rests < 2; rests++) {
		go(&lab, WARM_ROUNDS, WARM, &burst);
		if (rests)
			vswitch_thread_rest(&lab.vswitch->threads[0]);
		for (unsigned run = 0; run < RUNS; run++)
			cycles[rests][run] = go(&lab, ROUNDS, WARM, &burst);
		qsort(cycles[rests], RUNS, sizeof(cycles[rests][0]), compare);
	}
	printf("%s, beside %u idle guests: %.0f cycles a frame, resting %.0f cycles a frame\n",
	       cases[0].name, others, cycles[0][0], cycles[1][0]);
	end(&lab);
	for (unsigned i = 0; i < others; i++)
		net_guest_end(guests[i]);
}

static int measure_idle(void)
{
	static const unsigned others[] = { 0, 62, IDLE_MOST };

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		measure_beside(others[i]);
	return 0;
}

/* ---- How long frames are on their way ---- */

#define WAITS    4000000
#define SECONDS  0.3
#define WAKES    100
#define QUIET_US 5000 /* by then the switch sleeps */
#define IDLE_US  1000000

static double seconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cycles_of_second(void)
{
	double from = seconds(CLOCK_MONOTONIC);
	uint64_t cycles = __rdtsc();

	while (seconds(CLOCK_MONOTONIC) < from + 0.05)
		;
	return (double)(__rdtsc() - cycles) / (seconds(CLOCK_MONOTONIC) - from);
}

static int compare_waits(const void *a, const void *b)
{
	uint32_t first = *(const uint32_t *)a, second = *(const uint32_t *)b;

	return first < second ? -1 : first > second;
}

static double percentile(const struct side *side, double share, double hertz)
{
	return side->wait_count
		       ? side->waits[(size_t)((double)(side->wait_count - 1) * share)] / hertz * 1e6
		       : 0;
}

static void print_waits(struct side *side, double hertz)
{
	qsort(side->waits, side->wait_count, sizeof(side->waits[0]), compare_waits);
	printf("p50 %.1f us, p99 %.1f us, p99.9 %.1f us\n", percentile(side, 0.5, hertz),
	       percentile(side, 0.99, hertz), percentile(side, 0.999, hertz));
	side->wait_count = 0;
}

/* From the first guest to the second, for SECONDS, at so many frames a second; 0: as many as come back. Returns how many came. */
static double pump(struct lab *lab, double rate, double hertz)
{
	struct side *from = &lab->sides[0], *to = &lab->sides[1];
	uint64_t start = __rdtsc(), before = to->received, sent = 0;
	uint64_t end = start + (uint64_t)(SECONDS * hertz);

	from->tokens = rate > 0 ? 0 : TOKENS;
	for (uint64_t now = start; now < end; now = __rdtsc()) {
		uint64_t due = (uint64_t)((double)(now - start) / hertz * rate);

		receive_some(to);
		if (rate > 0) {
			from->tokens = (unsigned)MIN(due - sent, (uint64_t)BURST);
			sent += from->tokens;
		} else {
			from->tokens += to->tokens;
		}
		to->tokens = 0;
		send_some(from);
		if (rate > 0)
			sent -= from->tokens;
	}
	return (double)(to->received - before) / SECONDS;
}

static void drain(struct lab *lab)
{
	uint64_t end = __rdtsc() + 100000000;

	while (__rdtsc() < end)
		receive_some(&lab->sides[1]);
}

/* The first frame after a pause. */
static void measure_wakes(struct lab *lab, double hertz)
{
	struct side *from = &lab->sides[0], *to = &lab->sides[1];

	for (unsigned i = 0; i < WAKES; i++) {
		uint64_t before = to->received;

		usleep(QUIET_US);
		from->tokens = 1;
		send_some(from);
		while (to->received == before)
			receive_some(to);
	}
	printf("%s, first frame after a pause: ", cases[0].name);
	print_waits(to, hertz);
}

static int measure_latency(void)
{
	static const unsigned shares[] = { 10, 50, 90 };
	double hertz = cycles_of_second(), most, used;
	struct lab lab;
	struct side *to = &lab.sides[1];

	begin(&lab, &cases[0]);
	for (unsigned i = 0; i < 2; i++) {
		lab.sides[i].guest->tx.kick_fd = lab.sides[i].guest->tx_kick;
		lab.sides[i].guest->rx.kick_fd = lab.sides[i].guest->rx_kick;
	}
	to->tokens = 1; /* once, so that its address is known */
	send_some(to);
	pin(1);
	if (vswitch_start(lab.vswitch, NULL))
		return 1;
	pin(0);
	to->tokens = 0;
	pump(&lab, 0, hertz);
	most = pump(&lab, 0, hertz);
	drain(&lab);
	to->waits = malloc(WAITS * sizeof(to->waits[0]));
	to->wait_room = to->waits ? WAITS : 0;
	for (size_t i = 0; i < ARRAY_SIZE(shares); i++) {
		double came = pump(&lab, most * shares[i] / 100, hertz);

		printf("%s, at %u percent: of %.2f M a second, came %.2f M a second, ",
		       cases[0].name, shares[i], most / 1e6, came / 1e6);
		print_waits(to, hertz);
		drain(&lab);
		to->wait_count = 0;
	}
	measure_wakes(&lab, hertz);
	used = seconds(CLOCK_PROCESS_CPUTIME_ID);
	usleep(IDLE_US);
	used = seconds(CLOCK_PROCESS_CPUTIME_ID) - used;
	printf("idle switch: %.4f percent of a processor\n", used / (IDLE_US / 1e6) * 100);
	end(&lab);
	free(to->waits);
	return 0;
}

int main(int argc, char **argv)
{
	enum where where = argc < 2 ? WARM : !strcmp(argv[1], "cold") ? COLD : CORES;
	double burst;

	if (argc == 2 && !strcmp(argv[1], "idle"))
		return measure_idle();
	if (argc == 2 && !strcmp(argv[1], "latency"))
		return measure_latency();
	if (argc == 4 && !strcmp(argv[1], "count")) {
		unsigned number = (unsigned)atoi(argv[2]);
		struct lab lab;

		if (number >= ARRAY_SIZE(cases))
			return 2;
		begin(&lab, &cases[number]);
		go(&lab, (unsigned)atoi(argv[3]), WARM, &burst);
		printf("%s: frames %llu\n", cases[number].name,
		       (unsigned long long)(lab.sides[0].received + lab.sides[1].received));
		end(&lab);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		measure(&cases[i], where);
	return 0;
}
