/* SPDX-License-Identifier: BSD-2-Clause */
/* virtio-blk requests over a plain buffer: layouts, limits, errors of the disk, caching. In virtual time. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <linux/virtio_blk.h>

#include "block/block.h"
#include "block/fault.h"
#include "fiber_run.h"
#include "util/bytes.h"
#include "util/log.h"
#include "virtio/virtio_blk.h"
#include "virtio/virtqueue.h"
#include "virtio/virtqueue_driver.h"

#define BASE     0x100000
#define BYTES    (1u << 20)
#define SIZE     64
#define HEADER   0x10000
#define DATA     0x20000
#define STATUS   0x11000
#define DISK     (4u << 20)
#define SECTORS  (DISK / 512)
#define MS       1000000ULL
#define FEATURES (~(1ULL << VIRTIO_BLK_F_CONFIG_WCE)) /* all that is offered, but that */

/* A disk, the faulty layer on it, and a driver. */
struct rig {
	uint8_t bytes[BYTES];
	struct guest_memory memory;
	struct virtqueue vq;
	struct virtqueue_driver driver;
	struct block *disk, *fault;
	struct virtio_blk blk;
	struct virtio_blk_queue queue;
} __attribute__((aligned(4096)));

static struct rig rig;

static void begin(bool read_only)
{
	uint64_t features;

	memset(&rig, 0, sizeof(rig));
	guest_memory_add_region(&rig.memory, BASE, BYTES, rig.bytes, NULL);
	CU_ASSERT_EQUAL_FATAL(block_create_memory(&rig.disk, "disk", DISK, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(block_create_fault(&rig.fault, "fault", rig.disk, 1, NULL), 0);
	rig.fault->read_only = read_only;
	virtio_blk_init(&rig.blk, rig.fault, "serial-number-which-is-long", 1);
	features = virtio_blk_features(&rig.blk) & FEATURES;
	virtio_blk_set_features(&rig.blk, features);
	virtqueue_init(&rig.vq, &rig.memory, 0, features);
	virtqueue_driver_init(&rig.driver, rig.bytes, BASE, SIZE, features);
	CU_ASSERT_EQUAL(virtqueue_start(&rig.vq, SIZE, rig.driver.desc_address,
					rig.driver.avail_address, rig.driver.used_address,
					virtqueue_driver_base(&rig.driver)),
			0);
	virtio_blk_queue_init(&rig.queue, &rig.blk, &rig.vq);
}

static int end(void)
{
	virtio_blk_queue_drain(&rig.queue);
	CU_ASSERT_EQUAL(rig.vq.in_flight, 0);
	virtqueue_driver_destroy(&rig.driver);
	block_unref(rig.fault);
	block_unref(rig.disk);
	return 0;
}

static void put_header(uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr header = { .type = htole32(type), .sector = htole64(sector) };

	memcpy(rig.bytes + HEADER, &header, sizeof(header));
	rig.bytes[STATUS] = 0xee;
}

/* Adds a chain of parts given as offsets into the memory, and starts it. */
static uint16_t start(const struct virtqueue_part *parts, unsigned readable, unsigned writable)
{
	struct virtqueue_part moved[16];
	uint16_t head = 0xffff;

	for (unsigned i = 0; i < readable + writable; i++)
		moved[i] =
			(struct virtqueue_part){ BASE + parts[i].guest_address, parts[i].length };
	CU_ASSERT_EQUAL(virtqueue_driver_add(&rig.driver, moved, readable, writable, &head), 0);
	virtqueue_driver_kick(&rig.driver);
	CU_ASSERT_EQUAL(virtio_blk_queue_poll(&rig.queue, 64), 1);
	return head;
}

/* Waits for a request to end; returns used.len. */
static uint32_t finish(void)
{
	uint32_t written = 0;
	uint16_t head;

	while (rig.queue.in_flight)
		fiber_sleep(MS);
	virtio_blk_queue_poll(&rig.queue, 0);
	CU_ASSERT_EQUAL(virtqueue_driver_take(&rig.driver, &head, &written), 1);
	return written;
}

/* One request in the usual layout; `length` bytes at DATA. Returns the status. */
static uint8_t request(uint32_t type, uint64_t sector, uint32_t length)
{
	bool in = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
	struct virtqueue_part parts[3] = { { HEADER, 16 }, { DATA, length }, { STATUS, 1 } };

	put_header(type, sector);
	if (!length)
		parts[1] = parts[2];
	start(parts, in || !length ? 1 : 2, in && length ? 2 : 1);
	finish();
	return rig.bytes[STATUS];
}

static void fill(uint8_t seed, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		rig.bytes[DATA + i] = (uint8_t)(seed + i * 7 + i / 512);
}

static bool filled(uint8_t seed, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		if (rig.bytes[DATA + i] != (uint8_t)(seed + i * 7 + i / 512))
			return false;
	return true;
}

static int in_and_out(void *arg)
{
	uint8_t at[512];

	(void)arg;
	begin(false);
	fill(1, 65536);
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_OUT, 8, 65536), VIRTIO_BLK_S_OK);
	CU_ASSERT_EQUAL(block_read(rig.disk, 8 * 512, at, 512), 0);
	CU_ASSERT_EQUAL(memcmp(at, rig.bytes + DATA, 512), 0);
	fill(9, 65536);
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_IN, 8, 65536), VIRTIO_BLK_S_OK);
	CU_ASSERT_TRUE(filled(1, 65536));
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_IN, SECTORS - 1, 512), VIRTIO_BLK_S_OK);
	CU_ASSERT_TRUE(bytes_all_zero(rig.bytes + DATA, 512));
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_GET_ID, 0, 20), VIRTIO_BLK_S_OK);
	CU_ASSERT_EQUAL(memcmp(rig.bytes + DATA, "serial-number-which-", 20), 0);
	CU_ASSERT_EQUAL(rig.blk.counters.writes, 1);
	CU_ASSERT_EQUAL(rig.blk.counters.reads, 2);
	CU_ASSERT_EQUAL(rig.blk.counters.written_bytes, 65536);
	return end();
}

static void test_what_is_written_is_read(void)
{
	CU_ASSERT_EQUAL(fiber_run_each(in_and_out, NULL), 0);
}

static int layouts(void *arg)
{
	/* A header cut in three, the last part of it together with data; data in odd pieces. */
	struct virtqueue_part out[] = { { HEADER, 3 },
					{ HEADER + 3, 12 },
					{ DATA - 1, 101 },
					{ DATA + 100, 412 },
					{ STATUS, 1 } };
	/* Data and status in one buffer. */
	struct virtqueue_part in[] = { { HEADER, 16 }, { DATA, 200 }, { DATA + 200, 313 } };
	struct virtqueue_part bytes[16];

	(void)arg;
	begin(false);
	fill(3, 512);
	put_header(VIRTIO_BLK_T_OUT, 5);
	rig.bytes[DATA - 1] = rig.bytes[HEADER + 15];
	start(out, 4, 1);
	CU_ASSERT_EQUAL(finish(), 1);
	CU_ASSERT_EQUAL(rig.bytes[STATUS], VIRTIO_BLK_S_OK);

	put_header(VIRTIO_BLK_T_IN, 5);
	memset(rig.bytes + DATA, 0xee, 600);
	start(in, 1, 2);
	CU_ASSERT_EQUAL(finish(), 513);
	CU_ASSERT_TRUE(filled(3, 512));
	CU_ASSERT_EQUAL(rig.bytes[DATA + 512], VIRTIO_BLK_S_OK);
	CU_ASSERT_EQUAL(rig.bytes[DATA + 513], 0xee);

	/* A header byte by byte, with nowhere to put data. */
	for (uint32_t i = 0; i < 15; i++)
		bytes[i] = (struct virtqueue_part){ HEADER + i, 1 };
	bytes[15] = (struct virtqueue_part){ STATUS, 1 };
	put_header(VIRTIO_BLK_T_FLUSH, 0);
	start(bytes, 15, 1); /* one byte is missing */
	CU_ASSERT_EQUAL(finish(), 1);
	CU_ASSERT_EQUAL(rig.bytes[STATUS], VIRTIO_BLK_S_IOERR);
	return end();
}

static void test_any_layout_of_a_request_will_do(void)
{
	CU_ASSERT_EQUAL(fiber_run_each(layouts, NULL), 0);
}

static int limits(void *arg)
{
	(void)arg;
	begin(false);
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_IN, SECTORS - 1, 1024), VIRTIO_BLK_S_IOERR);
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_IN, SECTORS, 512), VIRTIO_BLK_S_IOERR);
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_OUT, UINT64_MAX / 512 + 1, 512), VIRTIO_BLK_S_IOERR);
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_OUT, UINT64_MAX, 512), VIRTIO_BLK_S_IOERR);
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_IN, 0, 511), VIRTIO_BLK_S_IOERR);
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_OUT, 0, 1), VIRTIO_BLK_S_IOERR);
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_IN, 0, 0), VIRTIO_BLK_S_OK);
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_SECURE_ERASE, 0, 16), VIRTIO_BLK_S_UNSUPP);
	CU_ASSERT_EQUAL(request(0xffffffff, 0, 512), VIRTIO_BLK_S_UNSUPP);
	CU_ASSERT_EQUAL(rig.blk.counters.unsupported, 2);
	CU_ASSERT_EQUAL(rig.blk.counters.failed, 6);
	CU_ASSERT_PTR_NULL(rig.vq.broken);
	return end();
}

static void test_requests_past_the_disk_fail_and_unknown_ones_are_unsupported(void)
{
	CU_ASSERT_EQUAL(fiber_run_each(limits, NULL), 0);
}

static uint8_t erase(uint32_t type, unsigned index, uint64_t sector, uint32_t sectors,
		     uint32_t flags)
{
	struct virtio_blk_discard_write_zeroes range = { htole64(sector), htole32(sectors),
							 htole32(flags) };

	memcpy(rig.bytes + DATA + 16 * index, &range, 16);
	return request(type, 0, 16 * (index + 1));
}

static char logged[256];

static void keep_line(struct log *log, enum log_level level, const char *text)
{
	(void)log, (void)level;
	snprintf(logged, sizeof(logged), "%s", text);
}

/* The guest hears of an error, and whoever runs the server which. */
static int failing(void *arg)
{
	struct log log = { .level = LOG_LEVEL_WARNING, .write = keep_line };

	(void)arg;
	begin(false);
	rig.blk.log = &log;
	*logged = '\0';
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_OUT, SECTORS, 512), VIRTIO_BLK_S_IOERR);
	CU_ASSERT_STRING_EQUAL(logged, "");
	block_fault_add(rig.fault, &(struct block_fault_rule){ .requests = BLOCK_FAULT_WRITE,
							       .action = BLOCK_FAULT_ERROR,
							       .error = -ENOSPC });
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_OUT, 8, 512), VIRTIO_BLK_S_IOERR);
	CU_ASSERT_STRING_EQUAL(logged,
			       "fault: writing 512 bytes at byte 4096: No space left on device");
	return end();
}

static void test_what_the_disk_fails_is_logged(void)
{
	CU_ASSERT_EQUAL(fiber_run_each(failing, NULL), 0);
}

static int erasing(void *arg)
{
	struct virtio_blk_discard_write_zeroes range = { htole64(16), htole32(8), 0 };

	(void)arg;
	begin(false);
	fill(1, 65536);
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_OUT, 0, 65536), VIRTIO_BLK_S_OK);
	/* Two ranges in one request. */
	memcpy(rig.bytes + DATA, &range, 16);
	CU_ASSERT_EQUAL(erase(VIRTIO_BLK_T_WRITE_ZEROES, 1, 0, 1,
			      VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP),
			VIRTIO_BLK_S_OK);
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_IN, 0, 65536), VIRTIO_BLK_S_OK);
	CU_ASSERT_TRUE(bytes_all_zero(rig.bytes + DATA, 512));
	CU_ASSERT_FALSE(bytes_all_zero(rig.bytes + DATA + 512, 512));
	CU_ASSERT_TRUE(bytes_all_zero(rig.bytes + DATA + 16 * 512, 8 * 512));
	CU_ASSERT_FALSE(bytes_all_zero(rig.bytes + DATA + 24 * 512, 512));

	CU_ASSERT_EQUAL(erase(VIRTIO_BLK_T_DISCARD, 0, 24, 8, 0), VIRTIO_BLK_S_OK);
	/* Flags that may not be; ranges off the disk; payloads that are no ranges. */
	CU_ASSERT_EQUAL(erase(VIRTIO_BLK_T_DISCARD, 0, 0, 8, 1), VIRTIO_BLK_S_UNSUPP);
	CU_ASSERT_EQUAL(erase(VIRTIO_BLK_T_WRITE_ZEROES, 0, 0, 8, 2), VIRTIO_BLK_S_UNSUPP);
	CU_ASSERT_EQUAL(erase(VIRTIO_BLK_T_DISCARD, 0, SECTORS - 1, 2, 0), VIRTIO_BLK_S_IOERR);
	CU_ASSERT_EQUAL(erase(VIRTIO_BLK_T_WRITE_ZEROES, 0, UINT64_MAX, 1, 0), VIRTIO_BLK_S_IOERR);
	CU_ASSERT_EQUAL(erase(VIRTIO_BLK_T_WRITE_ZEROES, 0, 0, 0xffffffff, 0), VIRTIO_BLK_S_IOERR);
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_DISCARD, 0, 0), VIRTIO_BLK_S_IOERR);
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_DISCARD, 0, 15), VIRTIO_BLK_S_IOERR);
	memset(rig.bytes + DATA, 0, 16 * 17);
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_DISCARD, 0, 16 * 17), VIRTIO_BLK_S_IOERR);
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_DISCARD, 0, 16 * 16), VIRTIO_BLK_S_OK);
	return end();
}

static void test_discard_and_write_zeroes(void)
{
	CU_ASSERT_EQUAL(fiber_run_each(erasing, NULL), 0);
}

static int read_only(void *arg)
{
	uint64_t features;

	(void)arg;
	begin(true);
	features = virtio_blk_features(&rig.blk);
	CU_ASSERT_TRUE(features >> VIRTIO_BLK_F_RO & 1);
	CU_ASSERT_FALSE(features >> VIRTIO_BLK_F_DISCARD & 1);
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_OUT, 0, 512), VIRTIO_BLK_S_IOERR);
	CU_ASSERT_EQUAL(erase(VIRTIO_BLK_T_DISCARD, 0, 0, 8, 0), VIRTIO_BLK_S_IOERR);
	CU_ASSERT_EQUAL(erase(VIRTIO_BLK_T_WRITE_ZEROES, 0, 0, 8, 0), VIRTIO_BLK_S_IOERR);
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
	return end();
}

static void test_a_read_only_disk_is_not_written(void)
{
	CU_ASSERT_EQUAL(fiber_run_each(read_only, NULL), 0);
}

static int faults(void *arg)
{
	(void)arg;
	begin(false);
	block_fault_add(rig.fault, &(struct block_fault_rule){ .requests = BLOCK_FAULT_READ,
							       .offset = 4096,
							       .length = 512,
							       .action = BLOCK_FAULT_ERROR,
							       .error = -EIO });
	block_fault_add(rig.fault, &(struct block_fault_rule){ .requests = BLOCK_FAULT_FLUSH,
							       .action = BLOCK_FAULT_ERROR,
							       .error = -ENOSPC });
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_IN, 7, 1024), VIRTIO_BLK_S_IOERR);
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_IN, 9, 1024), VIRTIO_BLK_S_OK);
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_IOERR);
	return end();
}

static void test_errors_of_the_disk_reach_the_driver(void)
{
	CU_ASSERT_EQUAL(fiber_run_each(faults, NULL), 0);
}

/* Slow requests overlap, and a drain waits for the last. */
static int overlap(void *arg)
{
	struct virtqueue_part parts[3] = { { HEADER, 16 }, { DATA, 512 }, { STATUS, 1 } };
	uint64_t began;
	uint32_t written;
	uint16_t head;

	(void)arg;
	begin(false);
	block_fault_add(rig.fault, &(struct block_fault_rule){ .requests = BLOCK_FAULT_READ,
							       .action = BLOCK_FAULT_LATENCY,
							       .latency_ns = 100 * MS });
	put_header(VIRTIO_BLK_T_IN, 0);
	began = worker_now();
	for (int i = 0; i < 10; i++)
		start(parts, 1, 2);
	CU_ASSERT_EQUAL(rig.queue.in_flight, 10);
	virtio_blk_queue_drain(&rig.queue);
	CU_ASSERT_EQUAL(rig.queue.in_flight, 0);
	CU_ASSERT_EQUAL(worker_now() - began, 100 * MS);
	for (int i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(virtqueue_driver_take(&rig.driver, &head, &written), 1);
	return end();
}

static void test_requests_overlap_and_draining_waits_for_all(void)
{
	CU_ASSERT_EQUAL(fiber_run_each(overlap, NULL), 0);
}

/* Which of FLUSH and the cache setting decides whether writes may wait for a flush (5.2.5). */
static int caching(void *arg)
{
	uint64_t features;
	uint8_t wce = 7;

	(void)arg;
	begin(false);
	features = virtio_blk_features(&rig.blk);
	CU_ASSERT_EQUAL(rig.blk.cache, VIRTIO_BLK_WRITE_BACK);
	/* No FLUSH, no choice: writes are durable at once. */
	virtio_blk_set_features(&rig.blk, features & ~(1ULL << VIRTIO_BLK_F_FLUSH) & FEATURES);
	CU_ASSERT_EQUAL(rig.blk.cache, VIRTIO_BLK_WRITE_THROUGH);
	/* With the choice, the driver's byte decides. */
	virtio_blk_set_features(&rig.blk, features);
	CU_ASSERT_EQUAL(virtio_blk_set_config(&rig.blk, 32, &(uint8_t){ 1 }, 1), 0);
	CU_ASSERT_EQUAL(rig.blk.cache, VIRTIO_BLK_WRITE_BACK);
	CU_ASSERT_EQUAL(virtio_blk_set_config(&rig.blk, 32, &(uint8_t){ 0 }, 1), 0);
	CU_ASSERT_EQUAL(rig.blk.cache, VIRTIO_BLK_WRITE_THROUGH);
	CU_ASSERT_EQUAL(virtio_blk_get_config(&rig.blk, 32, &wce, 1), 0);
	CU_ASSERT_EQUAL(wce, 0);
	CU_ASSERT_EQUAL(virtio_blk_set_config(&rig.blk, 0, &wce, 1), -EACCES);
	CU_ASSERT_EQUAL(virtio_blk_set_config(&rig.blk, 32, "ab", 2), -EACCES);
	return end();
}

static void test_the_driver_chooses_the_cache_mode(void)
{
	CU_ASSERT_EQUAL(fiber_run_each(caching, NULL), 0);
}

/* A driver that another process served chose there; what it chose shows only when it flushes. */
static int resumed_cache(void *arg)
{
	uint64_t features;

	(void)arg;
	begin(false);
	features = virtio_blk_features(&rig.blk);
	virtio_blk_set_features(&rig.blk, features);
	virtio_blk_resumed(&rig.blk);
	CU_ASSERT_EQUAL(rig.blk.cache, VIRTIO_BLK_WRITE_THROUGH_GUESSED);
	fill(1, 4096);
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_OUT, 0, 4096), VIRTIO_BLK_S_OK);
	CU_ASSERT_EQUAL(rig.blk.cache, VIRTIO_BLK_WRITE_THROUGH_GUESSED);
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
	CU_ASSERT_EQUAL(rig.blk.cache, VIRTIO_BLK_WRITE_BACK);

	/* What it chooses here stands, whatever is flushed and however often it is away. */
	CU_ASSERT_EQUAL(virtio_blk_set_config(&rig.blk, 32, &(uint8_t){ 0 }, 1), 0);
	virtio_blk_resumed(&rig.blk);
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
	CU_ASSERT_EQUAL(rig.blk.cache, VIRTIO_BLK_WRITE_THROUGH);

	/* One that begins anew has a cache, and one that cannot choose is not guessed at. */
	virtio_blk_reset(&rig.blk);
	CU_ASSERT_EQUAL(rig.blk.cache, VIRTIO_BLK_WRITE_BACK);
	virtio_blk_set_features(&rig.blk, features & FEATURES);
	virtio_blk_resumed(&rig.blk);
	CU_ASSERT_EQUAL(rig.blk.cache, VIRTIO_BLK_WRITE_BACK);
	return end();
}

static void test_the_cache_mode_of_a_driver_that_comes_back_is_not_taken_for_granted(void)
{
	CU_ASSERT_EQUAL(fiber_run_each(resumed_cache, NULL), 0);
}

static int config(void *arg)
{
	struct virtio_blk_config at;
	uint8_t past[16];

	(void)arg;
	begin(false);
	rig.fault->logical_block_size = 512;
	rig.fault->physical_block_size = 4096;
	rig.fault->preferred_io_size = 65536;
	CU_ASSERT_EQUAL(virtio_blk_get_config(&rig.blk, 0, &at, sizeof(at)), 0);
	CU_ASSERT_EQUAL(le64toh(at.capacity), SECTORS);
	CU_ASSERT_EQUAL(le32toh(at.seg_max), 126);
	CU_ASSERT_EQUAL(le32toh(at.blk_size), 512);
	CU_ASSERT_EQUAL(at.physical_block_exp, 3);
	CU_ASSERT_EQUAL(le16toh(at.min_io_size), 8);
	CU_ASSERT_EQUAL(le32toh(at.opt_io_size), 128);
	CU_ASSERT_EQUAL(le16toh(at.num_queues), 1);
	CU_ASSERT_EQUAL(at.wce, 1);
	memset(past, 0xee, sizeof(past));
	CU_ASSERT_EQUAL(virtio_blk_get_config(&rig.blk, 200, past, sizeof(past)), 0);
	CU_ASSERT_TRUE(bytes_all_zero(past, sizeof(past)));
	return end();
}

static void test_configuration_space_tells_the_disk(void)
{
	CU_ASSERT_EQUAL(fiber_run_each(config, NULL), 0);
}

/* A ring may hold more requests than are carried out at a time; the rest waits in it. */
static int more_than_at_a_time(void *arg)
{
	enum { RING = 4096, AT = 0x40000, COUNT = VIRTIO_BLK_IN_FLIGHT + 100 };
	struct virtqueue_part parts[2] = { { BASE + HEADER, 16 }, { BASE + STATUS, 1 } };
	unsigned taken = 0;
	uint32_t written;
	uint16_t head;

	(void)arg;
	begin(false);
	virtqueue_driver_destroy(&rig.driver);
	virtqueue_driver_init(&rig.driver, rig.bytes + AT, BASE + AT, RING,
			      rig.blk.features & ~(1ULL << VIRTIO_RING_F_INDIRECT_DESC));
	virtqueue_start(&rig.vq, RING, rig.driver.desc_address, rig.driver.avail_address,
			rig.driver.used_address, virtqueue_driver_base(&rig.driver));
	block_fault_add(rig.fault, &(struct block_fault_rule){ .requests = BLOCK_FAULT_FLUSH,
							       .action = BLOCK_FAULT_LATENCY,
							       .latency_ns = 100 * MS });
	put_header(VIRTIO_BLK_T_FLUSH, 0);
	for (unsigned i = 0; i < COUNT; i++)
		CU_ASSERT_EQUAL(virtqueue_driver_add(&rig.driver, parts, 1, 1, &head), 0);
	virtqueue_driver_kick(&rig.driver);
	while (virtio_blk_queue_poll(&rig.queue, 64) > 0)
		;
	CU_ASSERT_EQUAL(rig.queue.in_flight, VIRTIO_BLK_IN_FLIGHT);
	/* Nothing to do until one ends. */
	CU_ASSERT_FALSE(virtio_blk_queue_arm(&rig.queue));
	fiber_sleep(150 * MS);
	while (virtio_blk_queue_poll(&rig.queue, 64) > 0)
		;
	CU_ASSERT_EQUAL(rig.queue.in_flight, 100);
	virtio_blk_queue_drain(&rig.queue);
	while (virtqueue_driver_take(&rig.driver, &head, &written) == 1)
		taken++;
	CU_ASSERT_EQUAL(taken, COUNT);
	return end();
}

static void test_a_large_ring_does_not_take_all_memory(void)
{
	CU_ASSERT_EQUAL(fiber_run_each(more_than_at_a_time, NULL), 0);
}

static int wait_for_end(void *arg)
{
	fiber_queue_wait_always(arg);
	return 0;
}

/* Others have taken so many stacks that a queue takes only a few, and goes on with a few at a time. */
static int in_a_crowd(void *arg)
{
	const struct virtqueue_part parts[] = { { BASE + HEADER, 16 }, { BASE + STATUS, 1 } };
	struct fiber_queue ending;
	unsigned taken = 0;
	uint32_t written;
	uint16_t head;

	(void)arg;
	begin(false);
	block_fault_add(rig.fault, &(struct block_fault_rule){ .requests = BLOCK_FAULT_FLUSH,
							       .action = BLOCK_FAULT_LATENCY,
							       .latency_ns = 100 * MS });
	put_header(VIRTIO_BLK_T_FLUSH, 0);
	fiber_queue_init(&ending);
	while (worker_fibers() < VIRTIO_BLK_CROWD)
		fiber_start(wait_for_end, &ending);
	fiber_yield();
	for (unsigned i = 0; i < SIZE / 2; i++)
		CU_ASSERT_EQUAL(virtqueue_driver_add(&rig.driver, parts, 1, 1, &head), 0);
	virtqueue_driver_kick(&rig.driver);
	for (unsigned i = 0; i < SIZE / 2 / VIRTIO_BLK_FEW; i++) {
		while (virtio_blk_queue_poll(&rig.queue, 64) > 0)
			;
		CU_ASSERT_EQUAL(rig.queue.in_flight, VIRTIO_BLK_FEW);
		CU_ASSERT_FALSE(virtio_blk_queue_arm(&rig.queue));
		fiber_sleep(150 * MS);
	}
	fiber_queue_wake_all(&ending);
	virtio_blk_queue_poll(&rig.queue, 64);
	while (virtqueue_driver_take(&rig.driver, &head, &written) == 1)
		taken++;
	CU_ASSERT_EQUAL(taken, SIZE / 2);
	return end();
}

static unsigned reads_ended;

static void read_ended(struct worker_request *request, int result)
{
	(void)request;
	reads_ended += result == 1;
}

/* The same where they have requests on their way that need no stack: reads of a socket, for which libaio has no way. */
static int in_a_crowd_of_requests(void *arg)
{
	static struct worker_request reads[VIRTIO_BLK_CROWD];
	const struct virtqueue_part parts[] = { { BASE + HEADER, 16 }, { BASE + STATUS, 1 } };
	char bytes[VIRTIO_BLK_CROWD] = { 0 }, byte;
	const struct iovec iov = { &byte, 1 };
	uint16_t head;
	int ends[2];

	(void)arg;
	if (strcmp(worker_engine_name(worker_current()), "io_uring") != 0)
		return 0;
	begin(false);
	block_fault_add(rig.fault, &(struct block_fault_rule){ .requests = BLOCK_FAULT_FLUSH,
							       .action = BLOCK_FAULT_LATENCY,
							       .latency_ns = MS });
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	reads_ended = 0;
	for (unsigned i = 0; i < VIRTIO_BLK_CROWD; i++) {
		reads[i] = (struct worker_request){ .type = WORKER_READ,
						    .fd = ends[0],
						    .iov = &iov,
						    .count = 1,
						    .done = read_ended };
		worker_submit(worker_current(), &reads[i]);
	}
	put_header(VIRTIO_BLK_T_FLUSH, 0);
	for (unsigned i = 0; i < SIZE / 2; i++)
		CU_ASSERT_EQUAL(virtqueue_driver_add(&rig.driver, parts, 1, 1, &head), 0);
	virtqueue_driver_kick(&rig.driver);
	while (virtio_blk_queue_poll(&rig.queue, 64) > 0)
		;
	CU_ASSERT_EQUAL(rig.queue.in_flight, VIRTIO_BLK_FEW);
	CU_ASSERT_FALSE(virtio_blk_queue_arm(&rig.queue));
	CU_ASSERT_EQUAL(write(ends[1], bytes, sizeof(bytes)), sizeof(bytes));
	while (reads_ended < VIRTIO_BLK_CROWD)
		fiber_yield();
	CU_ASSERT_EQUAL(worker_requests(), 0);
	virtio_blk_queue_poll(&rig.queue, 64);
	CU_ASSERT_EQUAL(rig.queue.in_flight, SIZE / 2);
	close(ends[0]);
	close(ends[1]);
	return end();
}

static void test_guests_do_not_take_all_memory(void)
{
	CU_ASSERT_EQUAL(fiber_run_each(in_a_crowd_of_requests, NULL), 0);
}

static void test_guests_do_not_take_all_stacks(void)
{
	CU_ASSERT_EQUAL(fiber_run_each(in_a_crowd, NULL), 0);
}

/* A disk that begins every request, and then has it done again by a call; its end is not in the start. */
struct returning {
	struct block block;
	struct block *lower;
	struct block_work *works[SIZE];
	unsigned count, most, running;
};

static bool returning_start(struct block *block, struct block_work *work)
{
	struct returning *disk = container_of(block, struct returning, block);

	disk->works[disk->count++] = work;
	return true;
}

static int returning_readv(struct block *block, uint64_t offset, uint64_t length,
			   const struct iovec *iov, unsigned count)
{
	struct returning *disk = container_of(block, struct returning, block);

	(void)length;
	disk->running++;
	disk->most = MAX(disk->most, disk->running);
	fiber_sleep(MS);
	disk->running--;
	return block_readv(disk->lower, offset, iov, count);
}

static int returning_flush(struct block *block)
{
	(void)block;
	return 0;
}

static void returning_close(struct block *block)
{
	(void)block;
}

/* All come back at the same time; they are done by a few fibers, and each is answered once. */
static int returned(void *arg)
{
	static const struct block_ops ops = { .type = "returning",
					      .start = returning_start,
					      .readv = returning_readv,
					      .flush = returning_flush,
					      .close = returning_close };
	const struct virtqueue_part parts[] = { { BASE + HEADER, 16 },
						{ BASE + DATA, 512 },
						{ BASE + STATUS, 1 } };
	static struct returning disk;
	unsigned taken = 0, fibers;
	uint32_t written;
	uint16_t head;

	(void)arg;
	begin(false);
	disk = (struct returning){ .lower = rig.disk };
	block_init(&disk.block, &ops, "returning");
	block_copy_limits(&disk.block, rig.disk);
	rig.queue.block = &disk.block;
	put_header(VIRTIO_BLK_T_IN, 0);
	for (unsigned i = 0; i < SIZE / 3; i++)
		CU_ASSERT_EQUAL(virtqueue_driver_add(&rig.driver, parts, 1, 2, &head), 0);
	virtqueue_driver_kick(&rig.driver);
	fibers = worker_fibers();
	virtio_blk_queue_poll(&rig.queue, 64);
	CU_ASSERT_EQUAL(disk.count, SIZE / 3);
	CU_ASSERT_EQUAL(worker_fibers(), fibers);
	for (unsigned i = 0; i < disk.count; i++)
		disk.works[i]->done(disk.works[i], -EAGAIN);
	CU_ASSERT_EQUAL(rig.queue.in_flight, SIZE / 3);
	virtio_blk_queue_drain(&rig.queue);
	CU_ASSERT_EQUAL(disk.most, VIRTIO_BLK_FEW);
	CU_ASSERT_EQUAL(rig.bytes[STATUS], VIRTIO_BLK_S_OK);
	while (virtqueue_driver_take(&rig.driver, &head, &written) == 1)
		taken += written == 513;
	CU_ASSERT_EQUAL(taken, SIZE / 3);
	CU_ASSERT_EQUAL(disk.block.gate.inside, 0);
	block_unref(&disk.block);
	return end();
}

static void test_what_comes_back_is_done_by_few_fibers(void)
{
	CU_ASSERT_EQUAL(fiber_run_each(returned, NULL), 0);
}

static int no_status(void *arg)
{
	struct virtqueue_part parts[2] = { { HEADER, 16 }, { DATA, 512 } };
	uint16_t head;

	(void)arg;
	begin(false);
	put_header(VIRTIO_BLK_T_OUT, 0);
	for (int i = 0; i < 2; i++)
		parts[i].guest_address += BASE;
	virtqueue_driver_add(&rig.driver, parts, 2, 0, &head);
	virtqueue_driver_kick(&rig.driver);
	CU_ASSERT_EQUAL(virtio_blk_queue_poll(&rig.queue, 64), -EPROTO);
	CU_ASSERT_PTR_NOT_NULL(rig.vq.broken);
	CU_ASSERT_EQUAL(virtio_blk_queue_poll(&rig.queue, 64), 0);
	return end();
}

static void test_a_request_without_a_status_byte_breaks_the_ring(void)
{
	CU_ASSERT_EQUAL(fiber_run_each(no_status, NULL), 0);
}

UNIT_MAIN("virtio-blk", UNIT(test_what_is_written_is_read),
	  UNIT(test_any_layout_of_a_request_will_do),
	  UNIT(test_requests_past_the_disk_fail_and_unknown_ones_are_unsupported),
	  UNIT(test_what_the_disk_fails_is_logged), UNIT(test_discard_and_write_zeroes),
	  UNIT(test_a_read_only_disk_is_not_written),
	  UNIT(test_errors_of_the_disk_reach_the_driver),
	  UNIT(test_requests_overlap_and_draining_waits_for_all),
	  UNIT(test_the_driver_chooses_the_cache_mode),
	  UNIT(test_the_cache_mode_of_a_driver_that_comes_back_is_not_taken_for_granted),
	  UNIT(test_configuration_space_tells_the_disk),
	  UNIT(test_a_large_ring_does_not_take_all_memory),
	  UNIT(test_guests_do_not_take_all_stacks), UNIT(test_guests_do_not_take_all_memory),
	  UNIT(test_what_comes_back_is_done_by_few_fibers),
	  UNIT(test_a_request_without_a_status_byte_breaks_the_ring))
