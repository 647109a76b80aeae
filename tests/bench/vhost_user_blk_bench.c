/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A closed-loop vhost-user-blk client, to measure servers with: keeps DEPTH requests in flight and counts
 * completions. The same client for every server, so that only the server differs.
 *
 *	vhost_user_blk_bench SOCKET [option value]...
 *	  mode randread|randwrite|read|write   size 4K   depth 1   seconds 2   span 1G
 *	  wait sleep|poll	on the call eventfd, or on the used ring
 *	  pid PID		of the server, for its CPU time
 *	  queues 1		as many, at most 4, on which requests take turns
 *	  packed 1		a packed ring, where the server has them
 *	  verify 1		reads must find what write mode left (each sector begins with its number)
 *	  every MICROSECONDS	instead: a request at each such time, and how long it took from then on
 *
 * Prints one line: requests per second, MB/s, CPU seconds of the server, requests per CPU-second of it and of both together, kicks
 * per request.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>
#include <linux/virtio_blk.h>

#include "util/bytes.h"
#include "util/error.h"
#include "util/random.h"
#include "util/size.h"
#include "util/standard.h"
#include "virtio/guest_memory.h"
#include "virtio/vhost_user_frontend.h"
#include "virtio/virtqueue.h"
#include "virtio/virtqueue_driver.h"

#define QUEUE_SIZE   512 /* three descriptors for each request */
#define MAX_DEPTH    128
#define MAX_QUEUES   4
#define RING_BYTES   16384 /* of each queue, from the start of the memory */
#define GUEST        0x100000
#define HEADERS      (MAX_QUEUES * RING_BYTES) /* offset in the memory, behind the rings */
#define DATA         (1u << 20)
#define WARM_UP      0.2
#define SECTOR_BYTES 512

/* Up to the secure-erase fields, which qemu-storage-daemon 7.2 does not know and so refuses. */
#define CONFIG_BYTES offsetof(struct virtio_blk_config, max_secure_erase_sectors)

struct bench_queue {
	struct virtqueue_driver driver;
	int call_fd;
	unsigned slot_of[QUEUE_SIZE];
};

struct bench {
	const char *socket;
	bool random, write, poll, verify, packed;
	uint64_t size, span;
	unsigned depth;
	double seconds;
	long pid;

	struct vhost_user_frontend *fe;
	struct guest_memory memory;
	struct bench_queue queues[MAX_QUEUES];
	unsigned queue_count;
	struct random numbers;
	uint64_t next; /* sequential offset */
	uint64_t sector_of[MAX_DEPTH];
	uint64_t done, errors;
	double every; /* seconds; 0: as fast as they go */
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static _Noreturn void die(const char *text)
{
	fprintf(stderr, "vhost_user_blk_bench: %s\n", text);
	exit(1);
}

/* Processor time of the server so far, of all its threads, those that ended and the ring's in the kernel
 * included; 0 without a pid. */
static double server_seconds(long pid)
{
	struct timespec time;
	clockid_t clock;

	if (!pid)
		return 0;
	if (clock_getcpuclockid((pid_t)pid, &clock) || clock_gettime(clock, &time))
		die("the server's processor time cannot be read");
	return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static uint8_t *host(const struct bench *bench, uint64_t offset)
{
	return bench->memory.regions[0].host + offset;
}

static void submit(struct bench *bench, unsigned slot)
{
	uint64_t header = HEADERS + slot * 64ULL, data = DATA + slot * bench->size;
	struct bench_queue *queue = &bench->queues[slot % bench->queue_count];
	uint64_t offset = bench->next;
	struct virtio_blk_outhdr *request = (struct virtio_blk_outhdr *)host(bench, header);
	struct virtqueue_part parts[3] = {
		{ GUEST + header, sizeof(*request) },
		{ GUEST + data, (uint32_t)bench->size },
		{ GUEST + header + 32, 1 },
	};
	uint16_t head;

	if (bench->random)
		offset = random_below(&bench->numbers, bench->span / bench->size) * bench->size;
	else
		bench->next = (offset + bench->size) % bench->span;
	request->type = htole32(bench->write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN);
	request->sector = htole64(offset / SECTOR_BYTES);
	bench->sector_of[slot] = offset / SECTOR_BYTES;
	for (uint64_t at = 0; bench->verify && bench->write && at < bench->size; at += SECTOR_BYTES)
		put_le64(host(bench, data + at), (offset + at) / SECTOR_BYTES);
	*host(bench, header + 32) = 0xff;
	if (virtqueue_driver_add(&queue->driver, parts, bench->write ? 2 : 1, bench->write ? 1 : 2,
				 &head) < 0)
		die("the queue is full");
	queue->slot_of[head] = slot;
}

static void check(struct bench *bench, unsigned slot)
{
	bench->errors += *host(bench, HEADERS + slot * 64ULL + 32) != VIRTIO_BLK_S_OK;
	if (!bench->verify || bench->write)
		return;
	for (uint64_t at = 0; at < bench->size; at += SECTOR_BYTES)
		bench->errors += get_le64(host(bench, DATA + slot * bench->size + at)) !=
				 bench->sector_of[slot] + at / SECTOR_BYTES;
}

static unsigned turn_queue(struct bench *bench, struct bench_queue *queue, bool go_on)
{
	unsigned count = 0;
	uint32_t written;
	uint16_t head;
	int got;

	while ((got = virtqueue_driver_take(&queue->driver, &head, &written)) > 0) {
		check(bench, queue->slot_of[head]);
		if (go_on)
			submit(bench, queue->slot_of[head]);
		count++;
	}
	if (got < 0)
		die("the server wrote nonsense into the used ring");
	virtqueue_driver_kick(&queue->driver);
	bench->done += count;
	return count;
}

/* Takes what is used and, while `go_on`, makes the same slots available again. Returns how many. */
static unsigned turn(struct bench *bench, bool go_on)
{
	unsigned count = 0;

	for (unsigned i = 0; i < bench->queue_count; i++)
		count += turn_queue(bench, &bench->queues[i], go_on);
	return count;
}

static void wait_for_call(struct bench *bench)
{
	struct pollfd fds[MAX_QUEUES + 1] = { { vhost_user_frontend_fd(bench->fe), POLLIN, 0 } };
	bool come = false;
	uint64_t count;

	for (unsigned i = 0; i < bench->queue_count; i++) {
		fds[i + 1] = (struct pollfd){ bench->queues[i].call_fd, POLLIN, 0 };
		come |= virtqueue_driver_enable_calls(&bench->queues[i].driver);
	}
	if (!come && poll(fds, bench->queue_count + 1, 10000) <= 0)
		die("the server does not answer");
	if (fds[0].revents)
		die("the server has gone");
	for (unsigned i = 0; i < bench->queue_count; i++) {
		if (fds[i + 1].revents &&
		    read(bench->queues[i].call_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
			die("eventfd");
		virtqueue_driver_disable_calls(&bench->queues[i].driver);
	}
}

/* Runs for `seconds`, or until `limit` requests are done; leaves them in flight. */
static void run(struct bench *bench, double seconds)
{
	double end = now() + seconds;
	unsigned rounds = 0;

	for (;;) {
		if (!turn(bench, true)) {
			if (!bench->poll)
				wait_for_call(bench);
			else
				__builtin_ia32_pause();
		}
		if (++rounds % 16 == 0 && now() >= end)
			return;
	}
}

static void start_queue(struct bench *bench, unsigned index, uint64_t features)
{
	uint64_t place = (uint64_t)index * RING_BYTES;
	struct bench_queue *own = &bench->queues[index];
	struct vhost_user_queue queue = { .size = QUEUE_SIZE };
	struct error error;

	if (virtqueue_driver_init(&own->driver, host(bench, place), GUEST + place, QUEUE_SIZE,
				  features) < 0)
		die("out of memory");
	queue.base = virtqueue_driver_base(&own->driver);
	queue.desc = own->driver.desc_address;
	queue.avail = own->driver.avail_address;
	queue.used = own->driver.used_address;
	queue.kick_fd = own->driver.kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	queue.call_fd = own->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vhost_user_frontend_start_queue(bench->fe, index, &queue, &error) < 0)
		die(error.text);
	/* A server that polls because we never sleep needs no calls. */
	virtqueue_driver_disable_calls(&own->driver);
}

static void connect_server(struct bench *bench)
{
	uint64_t wanted = 1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RING_F_EVENT_IDX |
			  1ULL << VIRTIO_BLK_F_FLUSH;
	struct virtio_blk_config config = { 0 };
	struct error error;
	uint64_t bytes = DATA + bench->depth * bench->size;

	if (vhost_user_frontend_connect(&bench->fe, bench->socket, &error) < 0)
		die(error.text);
	if (bench->packed)
		wanted |= 1ULL << VIRTIO_F_RING_PACKED;
	wanted &= vhost_user_frontend_features(bench->fe);
	if (vhost_user_frontend_get_config(bench->fe, 0, &config, CONFIG_BYTES, &error) < 0 ||
	    guest_memory_create_region(&bench->memory, "bench", GUEST, round_up(bytes, 4096),
				       &error) < 0 ||
	    vhost_user_frontend_set_features(bench->fe, wanted, &error) < 0 ||
	    vhost_user_frontend_set_memory(bench->fe, &bench->memory, &error) < 0)
		die(error.text);
	bench->span = MIN(bench->span, le64toh(config.capacity) * SECTOR_BYTES);
	bench->span -= bench->span % bench->size;
	if (!bench->span)
		die("the disk is smaller than a request");
	memset(host(bench, DATA), 0x5a, bench->depth * bench->size);
	for (unsigned i = 0; i < bench->queue_count; i++)
		start_queue(bench, i, wanted);
}

static uint64_t count_kicks(const struct bench *bench)
{
	uint64_t kicks = 0;

	for (unsigned i = 0; i < bench->queue_count; i++)
		kicks += bench->queues[i].driver.kicks;
	return kicks;
}

static double own_seconds(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void measure(struct bench *bench)
{
	double cpu, own, began, seconds;
	uint64_t kicks;
	unsigned left;

	for (unsigned i = 0; i < bench->depth; i++)
		submit(bench, i);
	for (unsigned i = 0; i < bench->queue_count; i++)
		virtqueue_driver_kick(&bench->queues[i].driver);
	run(bench, WARM_UP);
	bench->done = 0;
	kicks = count_kicks(bench);
	cpu = server_seconds(bench->pid);
	own = own_seconds();
	began = now();
	run(bench, bench->seconds);
	seconds = now() - began;
	cpu = server_seconds(bench->pid) - cpu;
	own = own_seconds() - own;
	kicks = count_kicks(bench) - kicks;
	printf("iops %.0f mbs %.1f cpu %.3f per_cpu_second %.0f per_cpu_second_of_both %.0f "
	       "kicks_per_request %.3f errors %lu\n",
	       (double)bench->done / seconds, (double)(bench->done * bench->size) / seconds / 1e6,
	       cpu / seconds, cpu > 0 ? (double)bench->done / cpu : 0,
	       (double)bench->done / (cpu + own),
	       bench->done ? (double)kicks / (double)bench->done : 0, bench->errors);
	/* All requests end before the memory goes. */
	for (left = bench->depth; left; left -= turn(bench, false))
		if (left && !bench->poll)
			wait_for_call(bench);
}

static int compare_times(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static void sleep_until(double when)
{
	struct timespec time = { (time_t)when, (long)((when - (double)(time_t)when) * 1e9) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR)
		;
}

/* From the time at which a request was due: one that is late because of the one before it counts as late. */
static void measure_latency(struct bench *bench)
{
	size_t count = (size_t)(bench->seconds / bench->every);
	double *times = calloc(count + 1, sizeof(*times)), due = now() + bench->every;

	if (!times || !count)
		die("nothing to measure");
	for (size_t i = 0; i < count; i++, due += bench->every) {
		sleep_until(due);
		submit(bench, 0);
		virtqueue_driver_kick(&bench->queues[0].driver);
		while (!turn(bench, false))
			if (!bench->poll)
				wait_for_call(bench);
		times[i] = now() - due;
	}
	qsort(times, count, sizeof(*times), compare_times);
	printf("requests %zu p50 %.0f p99 %.0f p99.9 %.0f most %.0f microseconds errors %lu\n",
	       count, times[count / 2] * 1e6, times[count * 99 / 100] * 1e6,
	       times[count * 999 / 1000] * 1e6, times[count - 1] * 1e6, bench->errors);
	free(times);
}

static void set_option(struct bench *bench, const char *name, const char *value)
{
	struct error error;

	if (!strcmp(name, "mode")) {
		bench->random = !strncmp(value, "rand", 4);
		bench->write = strstr(value, "write") != NULL;
	} else if (!strcmp(name, "size") || !strcmp(name, "span")) {
		if (size_parse(value, *name == 's' && name[1] == 'i' ? &bench->size : &bench->span,
			       &error) < 0)
			die(error.text);
	} else if (!strcmp(name, "depth")) {
		bench->depth = (unsigned)atoi(value);
	} else if (!strcmp(name, "queues")) {
		bench->queue_count = (unsigned)atoi(value);
	} else if (!strcmp(name, "seconds")) {
		bench->seconds = atof(value);
	} else if (!strcmp(name, "wait")) {
		bench->poll = !strcmp(value, "poll");
	} else if (!strcmp(name, "pid")) {
		bench->pid = atol(value);
	} else if (!strcmp(name, "every")) {
		bench->every = atof(value) * 1e-6;
	} else if (!strcmp(name, "packed")) {
		bench->packed = atoi(value);
	} else if (!strcmp(name, "verify")) {
		bench->verify = atoi(value);
	} else {
		die("unknown option");
	}
}

int main(int argc, char **argv)
{
	struct bench bench = { .random = true,
			       .size = 4096,
			       .span = 1ULL << 30,
			       .depth = 1,
			       .queue_count = 1,
			       .seconds = 2,
			       .numbers = { 1 } };

	if (standard_open())
		return 1;
	if (argc < 2 || argc % 2)
		die("usage: SOCKET [option value]...");
	bench.socket = argv[1];
	for (int i = 2; i < argc; i += 2)
		set_option(&bench, argv[i], argv[i + 1]);
	if (!bench.depth || bench.depth > MAX_DEPTH || bench.size % SECTOR_BYTES || !bench.size)
		die("depth is 1 to 128, size a multiple of 512");
	if (!bench.queue_count || bench.queue_count > MAX_QUEUES)
		die("queues is 1 to 4");
	connect_server(&bench);
	if (bench.every > 0)
		measure_latency(&bench);
	else
		measure(&bench);
	vhost_user_frontend_close(bench.fe);
	return bench.errors ? 1 : 0;
}
