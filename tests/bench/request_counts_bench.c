/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a 4 KiB request costs in counts, which no other load of the machine changes: switches into fibers, entries
 * into the kernel's ring and requests given to it, on a file, on a linear volume over it and on a two-way mirror; one at
 * a time, or several started together and waited for once. And the same of a request through a virtqueue, where the
 * driver is this program, on a disk that does nothing, on a file, or on a mirror.
 *
 *	request_counts_bench file|linear|mirror|queue-null|queue-file|queue-mirror write|read DEPTH FOLDER REQUESTS
 *
 * counts.sh adds the instructions.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/virtio_blk.h>

#include "block/block.h"
#include "fiber/fiber.h"
#include "raid/raid.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/standard.h"
#include "virtio/guest_memory.h"
#include "virtio/virtio_blk.h"
#include "virtio/virtqueue.h"
#include "virtio/virtqueue_driver.h"
#include "volume/volume.h"

#define FILE_SIZE  (64u << 20)
#define UNIT       4096u
#define UNITS      1024u /* of the device that are written to, in turn */
#define MAX_DEPTH  64u
#define QUEUE_SIZE 256u
#define GUEST      0x100000u
#define HEADERS    0x10000u /* in guest memory, behind the ring */
#define DATA       0x20000u

struct bench {
	const char *kind, *folder;
	bool write;
	unsigned depth;
	unsigned long requests;
	uint64_t next; /* unit */
	struct error error;

	/* of a virtqueue */
	struct guest_memory memory;
	struct virtqueue_driver driver;
	struct virtqueue vq;
	struct virtio_blk blk;
	struct virtio_blk_queue queue;
};

static int open_image(const struct bench *bench, const char *name, struct block **out,
		      struct error *error)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s.img", bench->folder, name);
	unlink(path);
	return block_open_file(out, path, BLOCK_OPEN_CREATE, FILE_SIZE, error);
}

static uint64_t next_offset(struct bench *bench)
{
	return bench->next++ % UNITS * UNIT;
}

/* `depth` requests, as a caller of blocks makes them. */
static int turn_of_blocks(struct bench *bench, struct block *block)
{
	static unsigned char data[MAX_DEPTH][UNIT] __attribute__((aligned(4096)));
	struct block_io ios[MAX_DEPTH];
	struct iovec iov[MAX_DEPTH];

	if (bench->depth == 1)
		return bench->write ? block_write(block, next_offset(bench), data, UNIT, 0)
				    : block_read(block, next_offset(bench), data, UNIT);
	for (unsigned i = 0; i < bench->depth; i++) {
		iov[i] = (struct iovec){ data[i], UNIT };
		ios[i] = (struct block_io){ .block = block,
					    .kind = bench->write ? BLOCK_WRITE : BLOCK_READ,
					    .offset = next_offset(bench),
					    .length = UNIT,
					    .iov = &iov[i],
					    .count = 1 };
	}
	return block_run_all(ios, bench->depth);
}

static uint8_t *host(const struct bench *bench, uint64_t offset)
{
	return bench->memory.regions[0].host + offset;
}

static int add_to_queue(struct bench *bench, unsigned slot)
{
	uint64_t header = HEADERS + slot * 64ULL, data = DATA + slot * (uint64_t)UNIT;
	struct virtio_blk_outhdr *request = (struct virtio_blk_outhdr *)host(bench, header);
	struct virtqueue_part parts[3] = { { GUEST + header, sizeof(*request) },
					   { GUEST + data, UNIT },
					   { GUEST + header + 32, 1 } };
	uint16_t head;

	request->type = htole32(bench->write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN);
	request->sector = htole64(next_offset(bench) / 512);
	*host(bench, header + 32) = 0xff;
	return virtqueue_driver_add(&bench->driver, parts, bench->write ? 2 : 1,
				    bench->write ? 1 : 2, &head);
}

/* The same as a guest makes them, who waits for all of them. */
static int turn_of_queue(struct bench *bench)
{
	unsigned left = bench->depth;
	uint32_t written;
	uint16_t head;
	int rc = 0;

	for (unsigned i = 0; !rc && i < bench->depth; i++)
		rc = add_to_queue(bench, i);
	virtqueue_driver_kick(&bench->driver);
	while (rc >= 0 && left) {
		rc = virtio_blk_queue_poll(&bench->queue, MAX_DEPTH);
		while (bench->queue.in_flight)
			fiber_queue_wait_always(&bench->queue.drained);
		while (rc >= 0 && virtqueue_driver_take(&bench->driver, &head, &written) > 0)
			left--;
	}
	for (unsigned i = 0; rc >= 0 && i < bench->depth; i++)
		if (*host(bench, HEADERS + i * 64ULL + 32) != VIRTIO_BLK_S_OK)
			rc = -EIO;
	return MIN(rc, 0);
}

static int turn(struct bench *bench, struct block *block)
{
	return strncmp(bench->kind, "queue-", 6) ? turn_of_blocks(bench, block)
						 : turn_of_queue(bench);
}

static int measure(struct bench *bench, struct block *block)
{
	struct worker_counters before, after;
	double requests = (double)(bench->requests / bench->depth * bench->depth);
	int rc = 0;

	/* The first writes allocate, and mark an array dirty. */
	for (uint64_t i = 0; !rc && i < UNITS; i++)
		rc = block_write_zeroes(block, i * UNIT, UNIT, 0);
	for (unsigned i = 0; !rc && i < UNITS / bench->depth; i++)
		rc = turn(bench, block);
	worker_counters(worker_current(), &before);
	for (unsigned long i = 0; !rc && i < bench->requests / bench->depth; i++)
		rc = turn(bench, block);
	worker_counters(worker_current(), &after);
	if (rc)
		return error_set(&bench->error, rc, "%s: %s", block->name, error_name(rc));
	printf("fiber_switches %.3f ring_calls %.3f ring_requests %.3f\n",
	       (double)(after.switches - before.switches) / requests,
	       (double)(after.enters - before.enters) / requests,
	       (double)(after.submitted - before.submitted) / requests);
	return 0;
}

static int start_queue(struct bench *bench, struct block *block)
{
	static const uint64_t features =
		1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RING_F_EVENT_IDX;
	struct virtqueue_driver *driver = &bench->driver;
	int rc = guest_memory_create_region(&bench->memory, "bench", GUEST, DATA + MAX_DEPTH * UNIT,
					    &bench->error);

	if (!rc)
		rc = virtqueue_driver_init(driver, host(bench, 0), GUEST, QUEUE_SIZE, features);
	if (rc)
		return rc;
	driver->kick_fd = -1;
	virtqueue_driver_disable_calls(driver);
	virtqueue_init(&bench->vq, &bench->memory, 0, features);
	rc = virtqueue_start(&bench->vq, QUEUE_SIZE, driver->desc_address, driver->avail_address,
			     driver->used_address, virtqueue_driver_base(driver));
	virtio_blk_init(&bench->blk, block, NULL, 1);
	virtio_blk_set_features(&bench->blk, features | 1ULL << VIRTIO_BLK_F_FLUSH);
	virtio_blk_queue_init(&bench->queue, &bench->blk, &bench->vq);
	return rc;
}

static int on_queue(struct bench *bench, struct block *block)
{
	int rc = start_queue(bench, block);

	if (!rc)
		rc = measure(bench, block);
	virtio_blk_queue_drain(&bench->queue);
	virtqueue_stop(&bench->vq);
	virtqueue_driver_destroy(&bench->driver);
	guest_memory_clear(&bench->memory);
	return rc;
}

static int on_queue_null(struct bench *bench)
{
	CLEANUP_BLOCK struct block *null = NULL;
	int rc = block_create_null(&null, "null", FILE_SIZE, &bench->error);

	return rc ? rc : on_queue(bench, null);
}

static int on_queue_file(struct bench *bench)
{
	CLEANUP_BLOCK struct block *file = NULL;
	int rc = open_image(bench, "a", &file, &bench->error);

	return rc ? rc : on_queue(bench, file);
}

static int on_file(struct bench *bench)
{
	CLEANUP_BLOCK struct block *file = NULL;
	int rc = open_image(bench, "a", &file, &bench->error);

	return rc ? rc : measure(bench, file);
}

static int on_linear(struct bench *bench)
{
	const struct volume_group_options options = { 0 };
	const struct volume_context context = { .command = "request_counts_bench" };
	CLEANUP_BLOCK struct block *file = NULL, *volume = NULL;
	struct volume_group *group = NULL;
	int rc = open_image(bench, "a", &file, &bench->error);

	if (!rc)
		rc = volume_group_create(&group, "bench", &file, 1, &options, &context,
					 &bench->error);
	if (!rc)
		rc = volume_lv_create(group, "l", &(struct volume_lv_options){ .extents = 10 },
				      NULL, &bench->error);
	if (!rc)
		rc = volume_open_lv(group, "l", true, &volume, &bench->error);
	if (!rc)
		rc = measure(bench, volume);
	block_unref(steal_pointer(&volume));
	if (group)
		volume_group_unref(group);
	return rc;
}

static int mirror(struct bench *bench, int (*then)(struct bench *bench, struct block *block))
{
	struct raid_create_options options = {
		.name = "bench", .level = 1, .bitmap = RAID_BITMAP_NONE, .assume_clean = true
	};
	CLEANUP_BLOCK struct block *a = NULL, *b = NULL;
	struct raid_array *array = NULL;
	int rc = open_image(bench, "a", &a, &bench->error);

	if (!rc)
		rc = open_image(bench, "b", &b, &bench->error);
	if (!rc) {
		struct raid_new_member members[2] = { { .block = a }, { .block = b } };

		rc = raid_create(&array, members, 2, &options, &bench->error);
	}
	if (!rc)
		rc = then(bench, raid_array_block(array));
	raid_stop(array, NULL);
	return rc;
}

static int on_mirror(struct bench *bench)
{
	return mirror(bench, measure);
}

static int on_queue_mirror(struct bench *bench)
{
	return mirror(bench, on_queue);
}

static int run(void *arg)
{
	struct bench *bench = arg;

	static const struct {
		const char *name;
		int (*run)(struct bench *bench);
	} kinds[] = { { "file", on_file },
		      { "linear", on_linear },
		      { "mirror", on_mirror },
		      { "queue-null", on_queue_null },
		      { "queue-file", on_queue_file },
		      { "queue-mirror", on_queue_mirror } };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(bench->kind, kinds[i].name))
			return kinds[i].run(bench);
	return error_set(&bench->error, -EINVAL, "%s: no such kind", bench->kind);
}

int main(int argc, char **argv)
{
	struct bench bench = { .requests = 1000 };
	struct worker *worker;
	int rc;

	if (standard_open() || argc != 6)
		return 2;
	bench.kind = argv[1];
	bench.write = !strcmp(argv[2], "write");
	bench.depth = (unsigned)strtoul(argv[3], NULL, 10);
	bench.folder = argv[4];
	bench.requests = strtoul(argv[5], NULL, 10);
	if (!bench.depth || bench.depth > MAX_DEPTH)
		return 2;
	rc = worker_create(&worker, NULL, &bench.error);
	if (!rc) {
		rc = worker_run(worker, run, &bench);
		worker_destroy(worker);
	}
	if (rc)
		fprintf(stderr, "%s\n", bench.error.text);
	return rc != 0;
}
