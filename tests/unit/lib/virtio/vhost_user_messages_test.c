/* SPDX-License-Identifier: BSD-2-Clause */
/* Each message of vhost-user to a back-end: one that is carried out or answered, and ones that are refused. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "echo_device.h"
#include "util/bytes.h"
#include "virtio/vhost_user.h"

#define FILE_BYTES (1u << 20)
#define USER       0x7000000000ULL
#define DONE       0 /* the acknowledgement */
#define REFUSED    1

enum file { NO_FILE, EVENTFD, MEMFD, TWO_FILES };

struct expected {
	const char *what;
	uint32_t request;
	uint32_t size;
	uint8_t payload[288];
	enum file file;
	uint64_t answer;
};

static struct expected list[160];
static unsigned count;

static void expect(const char *what, uint32_t request, const void *payload, uint32_t size,
		   enum file file, uint64_t answer)
{
	struct expected *expected = &list[count++];

	*expected = (struct expected){ what, request, size, { 0 }, file, answer };
	if (payload)
		memcpy(expected->payload, payload, size);
}

static void expect_u64(const char *what, uint32_t request, uint64_t value, enum file file,
		       uint64_t answer)
{
	expect(what, request, &value, sizeof(value), file, answer);
}

static void expect_state(const char *what, uint32_t request, uint32_t index, uint32_t number,
			 uint64_t answer)
{
	struct vhost_user_vring_state state = { index, number };

	expect(what, request, &state, sizeof(state), NO_FILE, answer);
}

static void expect_region(const char *what, uint32_t request, uint64_t guest, uint64_t size,
			  enum file file, uint64_t answer)
{
	struct vhost_user_single_region region = { 0, { guest, size, USER + guest, 0 } };

	expect(what, request, &region, sizeof(region), file, answer);
}

static void expect_config(const char *what, uint32_t request, uint32_t offset, uint32_t size,
			  uint32_t payload, uint64_t answer)
{
	struct vhost_user_config config = { .offset = offset, .size = size };

	expect(what, request, &config, payload, NO_FILE, answer);
}

/* Sends what is expected over one connection, message by message. */
static void run(struct echo *echo, int fd)
{
	for (unsigned i = 0; i < count; i++) {
		struct expected *expected = &list[i];
		int fds[2] = { -1, -1 };
		unsigned files = expected->file == NO_FILE     ? 0
				 : expected->file == TWO_FILES ? 2
							       : 1;
		uint64_t answer;

		for (unsigned k = 0; k < files; k++) {
			fds[k] = expected->file == MEMFD
					 ? memfd_create("message", MFD_ALLOW_SEALING)
					 : eventfd(0, EFD_NONBLOCK);
			if (expected->file == MEMFD)
				CU_ASSERT_EQUAL(ftruncate(fds[k], FILE_BYTES), 0);
		}
		raw_send(fd, expected->request, NEED, expected->payload, expected->size, fds,
			 files);
		answer = raw_answer(fd, expected->request);
		if (answer != expected->answer)
			printf("  %s: %llx, expected %llx\n", expected->what,
			       (unsigned long long)answer, (unsigned long long)expected->answer);
		CU_ASSERT_EQUAL(answer, expected->answer);
		for (unsigned k = 0; k < files; k++)
			close(fds[k]);
	}
	count = 0;
	CU_ASSERT_EQUAL(atomic_load(&echo->result), 1);
}

static void finish(struct echo *echo, int fd)
{
	run(echo, fd);
	close(fd);
	CU_ASSERT_EQUAL(echo_end(echo), -ENOTCONN);
}

static void test_the_session(void)
{
	uint64_t offered = ECHO_FEATURES | 1ULL << VHOST_USER_F_PROTOCOL_FEATURES |
			   1ULL << VHOST_USER_F_LOG_ALL;
	uint64_t protocol =
		1ULL << VHOST_USER_PROTOCOL_F_MQ | 1ULL << VHOST_USER_PROTOCOL_F_LOG_SHMFD |
		1ULL << VHOST_USER_PROTOCOL_F_REPLY_ACK |
		1ULL << VHOST_USER_PROTOCOL_F_BACKEND_REQ | 1ULL << VHOST_USER_PROTOCOL_F_CONFIG |
		1ULL << VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD |
		1ULL << VHOST_USER_PROTOCOL_F_RESET_DEVICE |
		1ULL << VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS |
		1ULL << VHOST_USER_PROTOCOL_F_STATUS;
	struct echo echo;
	int fd = raw_begin(&echo);

	expect("owner", VHOST_USER_SET_OWNER, NULL, 0, NO_FILE, DONE);
	expect("no owner", VHOST_USER_RESET_OWNER, NULL, 0, NO_FILE, DONE);
	expect("features", VHOST_USER_GET_FEATURES, NULL, 0, NO_FILE, offered);
	expect_u64("all features", VHOST_USER_SET_FEATURES, offered, NO_FILE, DONE);
	expect_u64("others", VHOST_USER_SET_FEATURES, 1ULL << 63, NO_FILE, REFUSED);
	expect("half of them", VHOST_USER_SET_FEATURES, "\0\0\0", 4, NO_FILE, REFUSED);
	expect("protocol features", VHOST_USER_GET_PROTOCOL_FEATURES, NULL, 0, NO_FILE, protocol);
	expect_u64("all of them", VHOST_USER_SET_PROTOCOL_FEATURES, protocol, NO_FILE, DONE);
	expect_u64("others", VHOST_USER_SET_PROTOCOL_FEATURES, 1ULL << 40, NO_FILE, REFUSED);
	expect("queues", VHOST_USER_GET_QUEUE_NUM, NULL, 0, NO_FILE, ECHO_QUEUES);
	expect_u64("status", VHOST_USER_SET_STATUS, 0x0f, NO_FILE, DONE);
	expect("status", VHOST_USER_GET_STATUS, NULL, 0, NO_FILE, 0x0f);
	expect_u64("status", VHOST_USER_SET_STATUS, 0, NO_FILE, DONE);
	expect("status", VHOST_USER_GET_STATUS, NULL, 0, NO_FILE, 0);
	expect("reset", VHOST_USER_RESET_DEVICE, NULL, 0, NO_FILE, DONE);
	expect("a payload", VHOST_USER_RESET_DEVICE, "1234567", 8, NO_FILE, REFUSED);
	expect("a NIC's", VHOST_USER_SEND_RARP, "\1\2\3\4\5\6\0", 8, NO_FILE, DONE);
	expect_u64("a NIC's", VHOST_USER_NET_SET_MTU, 1500, NO_FILE, REFUSED);
	expect("of no use", VHOST_USER_IOTLB_MSG, NULL, 0, NO_FILE, REFUSED);
	expect("of no use", VHOST_USER_SET_VRING_ENDIAN, "1234567", 8, NO_FILE, REFUSED);
	finish(&echo, fd);
	CU_ASSERT_EQUAL(echo.resets, 1);
}

static void test_rings(void)
{
	struct vhost_user_vring_address address = { 0, 0, USER, USER + 4096, USER + 2048, 0 };
	struct vhost_user_memory_table table = { 1, 0, { { 0x1000, 65536, USER, 0 } } };
	struct echo echo;
	int fd = raw_begin(&echo);

	expect_state("size", VHOST_USER_SET_VRING_NUM, 0, 64, DONE);
	expect_state("no power of two", VHOST_USER_SET_VRING_NUM, 0, 63, REFUSED);
	expect_state("no size", VHOST_USER_SET_VRING_NUM, 0, 0, REFUSED);
	expect_state("too long", VHOST_USER_SET_VRING_NUM, 0, 65536, REFUSED);
	expect_state("no queue", VHOST_USER_SET_VRING_NUM, ECHO_QUEUES, 64, REFUSED);
	expect_state("base", VHOST_USER_SET_VRING_BASE, 0, 0, DONE);
	expect_state("32 bits", VHOST_USER_SET_VRING_BASE, 0, 0x80008000, REFUSED);
	expect_state("no queue", VHOST_USER_SET_VRING_BASE, 99, 0, REFUSED);
	expect("table", VHOST_USER_SET_MEM_TABLE, &table, 8 + 32, MEMFD, DONE);
	expect("addresses", VHOST_USER_SET_VRING_ADDR, &address, sizeof(address), NO_FILE, DONE);
	expect("a half", VHOST_USER_SET_VRING_ADDR, &address, 20, NO_FILE, REFUSED);
	address.index = 7;
	expect("no queue", VHOST_USER_SET_VRING_ADDR, &address, sizeof(address), NO_FILE, REFUSED);
	expect_u64("call", VHOST_USER_SET_VRING_CALL, 0, EVENTFD, DONE);
	expect_u64("no file", VHOST_USER_SET_VRING_CALL, 0, NO_FILE, REFUSED);
	expect_u64("polled", VHOST_USER_SET_VRING_CALL, VHOST_USER_VRING_NOFD, NO_FILE, DONE);
	expect_u64("two files", VHOST_USER_SET_VRING_CALL, 0, TWO_FILES, REFUSED);
	expect_u64("error", VHOST_USER_SET_VRING_ERR, 0, EVENTFD, DONE);
	expect_u64("no queue", VHOST_USER_SET_VRING_ERR, 5, EVENTFD, REFUSED);
	expect_u64("kick", VHOST_USER_SET_VRING_KICK, 0, EVENTFD, DONE);
	expect_u64("no eventfd", VHOST_USER_SET_VRING_KICK, 0, MEMFD, REFUSED);
	expect_state("enable", VHOST_USER_SET_VRING_ENABLE, 0, 1, DONE);
	expect_state("neither", VHOST_USER_SET_VRING_ENABLE, 0, 2, REFUSED);
	expect_state("no queue", VHOST_USER_SET_VRING_ENABLE, 8, 1, REFUSED);
	expect_state("size of one that runs", VHOST_USER_SET_VRING_NUM, 0, 32, REFUSED);
	expect_state("base of one that runs", VHOST_USER_SET_VRING_BASE, 0, 7, REFUSED);
	/* Answered with index and base: 0 and 0. */
	expect_state("stop", VHOST_USER_GET_VRING_BASE, 0, 0, 0);
	expect_state("no queue", VHOST_USER_GET_VRING_BASE, 9, 0, REFUSED);
	/* Packed. */
	expect_u64("packed", VHOST_USER_SET_FEATURES, ECHO_FEATURES, NO_FILE, DONE);
	expect_state("no power of two", VHOST_USER_SET_VRING_NUM, 1, 63, DONE);
	expect_state("32 bits", VHOST_USER_SET_VRING_BASE, 1, 0x80058005, DONE);
	expect_state("stop", VHOST_USER_GET_VRING_BASE, 1, 0, 0x8005800500000001);
	finish(&echo, fd);
	CU_ASSERT_EQUAL(echo.starts, 1);
}

static void test_memory(void)
{
	struct vhost_user_memory_table table = { 2, 0, { { 0, 65536, USER, 0 } } };
	struct echo echo;
	int fd = raw_begin(&echo);

	expect("slots", VHOST_USER_GET_MAX_MEM_SLOTS, NULL, 0, NO_FILE, GUEST_MEMORY_MAX_REGIONS);
	expect_region("region", VHOST_USER_ADD_MEM_REG, 0x10000, 65536, MEMFD, DONE);
	expect_region("overlap", VHOST_USER_ADD_MEM_REG, 0x1f000, 65536, MEMFD, REFUSED);
	expect_region("no file", VHOST_USER_ADD_MEM_REG, 0x50000, 65536, NO_FILE, REFUSED);
	expect_region("no memory", VHOST_USER_ADD_MEM_REG, 0x50000, 65536, EVENTFD, REFUSED);
	expect_region("too long", VHOST_USER_ADD_MEM_REG, 0x50000, 2 * FILE_BYTES, MEMFD, REFUSED);
	expect_region("another", VHOST_USER_REM_MEM_REG, 0x50000, 65536, NO_FILE, REFUSED);
	expect_region("removed", VHOST_USER_REM_MEM_REG, 0x10000, 65536, NO_FILE, DONE);
	expect_region("once only", VHOST_USER_REM_MEM_REG, 0x10000, 65536, NO_FILE, REFUSED);
	expect("two regions, one file", VHOST_USER_SET_MEM_TABLE, &table, 8 + 64, MEMFD, REFUSED);
	table.count = 9;
	expect("too many", VHOST_USER_SET_MEM_TABLE, &table, sizeof(table), MEMFD, REFUSED);
	table.count = 1;
	expect("cut", VHOST_USER_SET_MEM_TABLE, &table, 8 + 31, MEMFD, REFUSED);
	expect("table", VHOST_USER_SET_MEM_TABLE, &table, 8 + 32, MEMFD, DONE);
	finish(&echo, fd);
}

static void test_configuration(void)
{
	struct echo echo;
	int fd = raw_begin(&echo);

	/* An answer begins with offset and size; without payload, what was asked for cannot be given. */
	expect_config("bytes", VHOST_USER_GET_CONFIG, 4, 8, 12 + 8, 4 | 8ULL << 32);
	expect_config("written", VHOST_USER_SET_CONFIG, 4, 8, 12 + 8, DONE);
	expect_config("nowhere", VHOST_USER_SET_CONFIG, 250, 8, 12 + 8, REFUSED);
	expect_config("less than said", VHOST_USER_SET_CONFIG, 4, 8, 12 + 7, REFUSED);
	expect_config("not even a header", VHOST_USER_SET_CONFIG, 4, 8, 11, REFUSED);
	expect("channel", VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, EVENTFD, DONE);
	expect("no channel", VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, NO_FILE, REFUSED);
	finish(&echo, fd);
}

static void test_shared_files(void)
{
	struct vhost_user_inflight inflight = { 65536, 0, 2, 64 };
	struct vhost_user_log log = { 4096, 4096 };
	uint64_t longest = 2 * (32 + 32 * 32768 + 32), least = 2 * round_up(16 + 16 * 64, 64);
	struct echo echo;
	int fd = raw_begin(&echo);

	/* The answer begins with the length of the region, which has places for the longest ring. */
	expect("region", VHOST_USER_GET_INFLIGHT_FD, &inflight, 24, NO_FILE, longest);
	expect("without padding", VHOST_USER_GET_INFLIGHT_FD, &inflight, 20, NO_FILE, longest);
	expect("taken", VHOST_USER_SET_INFLIGHT_FD, &inflight, 24, MEMFD, DONE);
	expect("no file", VHOST_USER_SET_INFLIGHT_FD, &inflight, 24, NO_FILE, REFUSED);
	expect("no memory", VHOST_USER_SET_INFLIGHT_FD, &inflight, 24, EVENTFD, REFUSED);
	inflight.mmap_size = least - 1;
	expect("too short", VHOST_USER_SET_INFLIGHT_FD, &inflight, 24, MEMFD, REFUSED);
	inflight.mmap_size = UINT64_MAX;
	expect("too long", VHOST_USER_SET_INFLIGHT_FD, &inflight, 24, MEMFD, REFUSED);
	inflight.queue_size = 0;
	expect("no size", VHOST_USER_GET_INFLIGHT_FD, &inflight, 24, NO_FILE, REFUSED);
	expect("log", VHOST_USER_SET_LOG_BASE, &log, sizeof(log), MEMFD, 0);
	expect("no file", VHOST_USER_SET_LOG_BASE, &log, sizeof(log), NO_FILE, REFUSED);
	log.mmap_size = FILE_BYTES;
	expect("too long", VHOST_USER_SET_LOG_BASE, &log, sizeof(log), MEMFD, REFUSED);
	log.mmap_size = 0;
	expect("no log", VHOST_USER_SET_LOG_BASE, &log, sizeof(log), MEMFD, REFUSED);
	expect("to be told", VHOST_USER_SET_LOG_FD, NULL, 0, EVENTFD, DONE);
	finish(&echo, fd);
}

static bool was_signalled(int fd)
{
	uint64_t said;

	return read(fd, &said, sizeof(said)) == sizeof(said);
}

/* QEMU gives its guest's eventfd when the ring runs already: what was said by the one before is said again. */
static void test_another_call_eventfd(void)
{
	struct vhost_user_vring_address address = { 0, 0, USER, USER + 4096, USER + 2048, 0 };
	struct vhost_user_memory_table table = { 1, 0, { { 0x1000, 65536, USER, 0 } } };
	int calls[2] = { eventfd(0, EFD_NONBLOCK), eventfd(0, EFD_NONBLOCK) };
	struct echo echo;
	int fd = raw_begin(&echo);

	expect_state("size", VHOST_USER_SET_VRING_NUM, 0, 64, DONE);
	expect("table", VHOST_USER_SET_MEM_TABLE, &table, 8 + 32, MEMFD, DONE);
	expect("addresses", VHOST_USER_SET_VRING_ADDR, &address, sizeof(address), NO_FILE, DONE);
	run(&echo, fd);
	for (unsigned i = 0; i < 2; i++) {
		raw_send(fd, VHOST_USER_SET_VRING_CALL, NEED, &(uint64_t){ 0 }, 8, &calls[i], 1);
		CU_ASSERT_EQUAL(raw_answer(fd, VHOST_USER_SET_VRING_CALL), DONE);
		/* Nothing can have been said before it runs. */
		CU_ASSERT_EQUAL(was_signalled(calls[i]), i == 1);
		expect_u64("kick", VHOST_USER_SET_VRING_KICK, 0, EVENTFD, DONE);
		expect_state("enable", VHOST_USER_SET_VRING_ENABLE, 0, 1, DONE);
		run(&echo, fd);
	}
	CU_ASSERT_FALSE(was_signalled(calls[0]));
	expect_u64("polled", VHOST_USER_SET_VRING_CALL, VHOST_USER_VRING_NOFD, NO_FILE, DONE);
	finish(&echo, fd);
	close(calls[0]);
	close(calls[1]);
}

UNIT_MAIN("vhost_user_messages", UNIT(test_the_session), UNIT(test_rings), UNIT(test_memory),
	  UNIT(test_configuration), UNIT(test_shared_files), UNIT(test_another_call_eventfd))
