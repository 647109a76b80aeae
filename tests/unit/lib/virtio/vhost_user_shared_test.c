/* SPDX-License-Identifier: BSD-2-Clause */
/* What vhost-user's two ends share besides guest memory: the in-flight region, the dirty log, the back-end's channel;
 * and waiting for a back-end on a fiber. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "echo_device.h"
#include "fiber_run.h"
#include "util/bytes.h"
#include "util/unix_socket.h"
#include "virtio/vhost_user.h"
#include "virtio/virtqueue_inflight.h"

#define ENTRY_INFLIGHT(region, packed, entry)                                                      \
	((region)[(packed ? 32 + 32 * (entry) : 16 + 16 * (entry))])

static void test_a_region_for_chains_in_flight_goes_round(void)
{
	static const uint64_t formats[] = { ECHO_FEATURES & ~ECHO_PACKED, ECHO_FEATURES };
	unsigned files = echo_open_files();

	for (unsigned f = 0; f < ARRAY_SIZE(formats); f++) {
		struct vhost_user_inflight_region region;
		struct error error;
		struct guest guest;
		struct echo echo;
		uint32_t base;
		uint8_t *at;

		guest_begin_with(&guest, echo_begin(&echo), formats[f]);
		guest_check(vhost_user_frontend_get_inflight(guest.fe, 2, ECHO_SIZE, &region,
							     &error),
			    &error);
		CU_ASSERT_TRUE(region.size >= 2 * virtqueue_inflight_bytes(ECHO_SIZE, f));
		CU_ASSERT_EQUAL(region.offset, 0);
		CU_ASSERT_TRUE(fcntl(region.fd, F_GET_SEALS) & F_SEAL_SHRINK);
		at = mmap(NULL, region.size, PROT_READ | PROT_WRITE, MAP_SHARED, region.fd, 0);
		CU_ASSERT_PTR_NOT_EQUAL_FATAL(at, MAP_FAILED);
		CU_ASSERT_TRUE(bytes_all_zero(at, region.size));
		guest_check(vhost_user_frontend_set_inflight(guest.fe, &region, &error), &error);
		guest_start(&guest, 0, virtqueue_driver_base(&guest.queue));
		CU_ASSERT_EQUAL(get_le16(at + 8), 1);
		CU_ASSERT_EQUAL(get_le16(at + 10), ECHO_SIZE);
		for (unsigned i = 0; i < 200; i++)
			guest_echo(&guest, "noted");
		for (unsigned i = 0; i < ECHO_SIZE; i++)
			CU_ASSERT_EQUAL(ENTRY_INFLIGHT(at, f, i), 0);

		/* Given up in order: the ring's place is the front-end's to say. */
		guest_check(vhost_user_frontend_stop_queue(guest.fe, 0, &base, &error), &error);
		CU_ASSERT_EQUAL(get_le16(at + 8), 0);
		guest_start(&guest, 0, base);
		guest_echo(&guest, "again");
		/* Also while it runs. */
		guest_check(vhost_user_frontend_set_inflight(guest.fe, &region, &error), &error);
		guest_echo(&guest, "and again");
		guest_end(&guest);
		CU_ASSERT_EQUAL(echo_end(&echo), -ENOTCONN);

		/* The connection was lost: whoever comes next knows the place by itself. */
		CU_ASSERT_EQUAL(get_le16(at + 8), 1);
		munmap(at, region.size);
		close(region.fd);
	}
	CU_ASSERT_EQUAL(echo_open_files(), files);
}

static uint64_t last_taken(const uint8_t *region)
{
	uint64_t last = 0;

	for (unsigned i = 0; i < ECHO_SIZE; i++)
		last = MAX(last, get_le64(region + 16 + 16 * i + 8));
	return last;
}

/* A region that cannot be mapped is refused, and the one that there is goes on being kept. */
static void test_a_refused_region_changes_nothing(void)
{
	struct vhost_user_inflight_region region, wrong;
	struct error error;
	struct guest guest;
	struct echo echo;
	uint64_t taken;
	uint8_t *at;

	guest_begin_with(&guest, echo_begin(&echo), ECHO_FEATURES & ~ECHO_PACKED);
	guest_check(vhost_user_frontend_get_inflight(guest.fe, 1, ECHO_SIZE, &region, &error),
		    &error);
	guest_check(vhost_user_frontend_set_inflight(guest.fe, &region, &error), &error);
	at = mmap(NULL, region.size, PROT_READ | PROT_WRITE, MAP_SHARED, region.fd, 0);
	CU_ASSERT_PTR_NOT_EQUAL_FATAL(at, MAP_FAILED);
	guest_start(&guest, 0, virtqueue_driver_base(&guest.queue));
	guest_echo(&guest, "noted");
	taken = last_taken(at);
	wrong = region;
	wrong.size = 1ULL << 60;
	wrong.fd = memfd_create("long", MFD_CLOEXEC);
	CU_ASSERT_EQUAL(ftruncate(wrong.fd, (off_t)wrong.size), 0);
	CU_ASSERT_EQUAL(vhost_user_frontend_set_inflight(guest.fe, &wrong, &error), -EIO);
	for (unsigned i = 0; i < 5; i++)
		guest_echo(&guest, "noted in the old one");
	CU_ASSERT_TRUE(last_taken(at) > taken);
	guest_end(&guest);
	CU_ASSERT_EQUAL(echo_end(&echo), -ENOTCONN);
	munmap(at, region.size);
	close(region.fd);
	close(wrong.fd);
}

/* As QEMU does it: the region is asked for by the size that the device offers, and its driver (SeaBIOS 1.16.3) chose
 * a ring twice as long. */
static void test_a_ring_may_be_longer_than_the_region_was_asked_for(void)
{
	static const uint64_t formats[] = { ECHO_FEATURES & ~ECHO_PACKED, ECHO_FEATURES };

	for (unsigned f = 0; f < ARRAY_SIZE(formats); f++) {
		struct vhost_user_inflight_region region;
		struct error error;
		struct guest guest;
		struct echo echo;
		uint8_t *at;

		guest_begin_with(&guest, echo_begin(&echo), formats[f]);
		guest_check(vhost_user_frontend_get_inflight(guest.fe, ECHO_QUEUES, ECHO_SIZE / 2,
							     &region, &error),
			    &error);
		guest_check(vhost_user_frontend_set_inflight(guest.fe, &region, &error), &error);
		at = mmap(NULL, region.size, PROT_READ | PROT_WRITE, MAP_SHARED, region.fd, 0);
		CU_ASSERT_PTR_NOT_EQUAL_FATAL(at, MAP_FAILED);
		guest_start(&guest, 1, virtqueue_driver_base(&guest.queue));
		for (unsigned i = 0; i < 3 * ECHO_SIZE; i++)
			guest_echo(&guest, "a long ring");
		at += region.size / ECHO_QUEUES;
		CU_ASSERT_EQUAL(get_le16(at + 8), 1);
		CU_ASSERT_EQUAL(get_le16(at + 10), ECHO_SIZE);
		/* The neighbours' parts are theirs. */
		CU_ASSERT_TRUE(
			bytes_all_zero(at - region.size / ECHO_QUEUES, region.size / ECHO_QUEUES));
		CU_ASSERT_TRUE(
			bytes_all_zero(at + region.size / ECHO_QUEUES, region.size / ECHO_QUEUES));
		guest_end(&guest);
		CU_ASSERT_EQUAL(echo_end(&echo), -ENOTCONN);
		munmap(at - region.size / ECHO_QUEUES, region.size);
		close(region.fd);
	}
}

/* A region that another back-end made has just the places that were asked for. */
static void test_the_region_of_another_back_end(void)
{
	static const char need[] = "echo: queue 0: its part of the in-flight region has 576 bytes, "
				   "a split ring of 64 entries needs 1040";

	for (unsigned kind = 0; kind < 2; kind++) {
		uint16_t size = kind ? ECHO_SIZE / 2 : ECHO_SIZE;
		uint64_t part = round_up(virtqueue_inflight_bytes(size, false), 64);
		struct vhost_user_inflight_region region = {
			.fd = memfd_create("theirs", MFD_CLOEXEC),
			.size = ECHO_QUEUES * part,
			.queue_count = ECHO_QUEUES,
			.queue_size = size,
		};
		struct vhost_user_queue queue = { .size = ECHO_SIZE };
		struct error error;
		struct guest guest;
		struct echo echo;

		CU_ASSERT_EQUAL(ftruncate(region.fd, (off_t)region.size), 0);
		guest_begin(&guest, echo_begin(&echo));
		guest_check(vhost_user_frontend_set_inflight(guest.fe, &region, &error), &error);
		queue.desc = guest.queue.desc_address;
		queue.avail = guest.queue.avail_address;
		queue.used = guest.queue.used_address;
		queue.kick_fd = guest.kick_fd;
		queue.call_fd = guest.call_fd;
		if (kind) {
			CU_ASSERT_TRUE(
				vhost_user_frontend_start_queue(guest.fe, 0, &queue, &error) < 0);
		} else {
			guest_start(&guest, 0, 0);
			guest_echo(&guest, "in theirs");
		}
		guest_end(&guest);
		CU_ASSERT_EQUAL(echo_end(&echo), -ENOTCONN);
		if (kind)
			CU_ASSERT_STRING_EQUAL(echo.error.text, need);
		close(region.fd);
	}
}

static void test_regions_that_cannot_be_are_refused(void)
{
	struct vhost_user_inflight_region region;
	struct error error;
	struct guest guest;
	struct echo echo;

	guest_begin(&guest, echo_begin(&echo));
	CU_ASSERT_TRUE(vhost_user_frontend_get_inflight(guest.fe, 0, ECHO_SIZE, &region, &error) <
		       0);
	guest_end(&guest);
	CU_ASSERT_EQUAL(echo_end(&echo), -EINVAL);

	for (unsigned kind = 0; kind < 5; kind++) {
		guest_begin(&guest, echo_begin(&echo));
		guest_check(vhost_user_frontend_get_inflight(guest.fe, 1, ECHO_SIZE, &region,
							     &error),
			    &error);
		switch (kind) {
		case 0:
			region.queue_count = 77;
			break;
		case 1:
			region.size = virtqueue_inflight_bytes(ECHO_SIZE, false) - 1;
			break;
		case 2:
			region.size += 4096; /* more than the file has */
			break;
		case 3:
			region.offset = UINT64_MAX;
			break;
		case 4:
			region.offset = 4;
			break;
		}
		CU_ASSERT_EQUAL(vhost_user_frontend_set_inflight(guest.fe, &region, &error), -EIO);
		guest_start(&guest, 0, 0);
		guest_echo(&guest, "as ever");
		guest_end(&guest);
		CU_ASSERT_EQUAL(echo_end(&echo), -ENOTCONN);
		close(region.fd);
	}
}

static void test_what_the_back_end_writes_is_noted(void)
{
	uint64_t bytes = (ECHO_MEMORY + (1 << 20)) / 4096 / 8, page;
	int fd = memfd_create("log", MFD_CLOEXEC);
	struct error error;
	struct guest guest;
	struct echo echo;
	uint8_t *bitmap;

	CU_ASSERT_EQUAL(ftruncate(fd, (off_t)bytes + 4096), 0);
	bitmap = mmap(NULL, bytes + 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	guest_begin(&guest, echo_begin(&echo));
	guest_start(&guest, 0, 0);
	guest_check(vhost_user_frontend_set_log(guest.fe, fd, 4096, bytes, &error), &error);
	guest_echo(&guest, "not yet");
	CU_ASSERT_TRUE(bytes_all_zero(bitmap, bytes + 4096));
	guest_check(vhost_user_frontend_log(guest.fe, true, &error), &error);
	guest_echo(&guest, "now");
	page = (guest.data + 4096) / 4096; /* the answer */
	CU_ASSERT_TRUE(bitmap[4096 + page / 8] >> (page % 8) & 1);
	page = guest.data / 4096; /* the question */
	CU_ASSERT_FALSE(bitmap[4096 + page / 8] >> (page % 8) & 1);
	page = guest.queue.used_address / 4096;
	CU_ASSERT_TRUE(bitmap[4096 + page / 8] >> (page % 8) & 1);
	/* Another table of memory keeps it. */
	guest_check(vhost_user_frontend_set_memory(guest.fe, &guest.memory, &error), &error);
	memset(bitmap, 0, bytes + 4096);
	guest_echo(&guest, "still");
	CU_ASSERT_FALSE(bytes_all_zero(bitmap + 4096, bytes));
	guest_check(vhost_user_frontend_log(guest.fe, false, &error), &error);
	memset(bitmap, 0, bytes + 4096);
	guest_echo(&guest, "no more");
	CU_ASSERT_TRUE(bytes_all_zero(bitmap, bytes + 4096));
	/* One that is longer than its file ends the connection, for there is no telling. */
	CU_ASSERT_EQUAL(vhost_user_frontend_set_log(guest.fe, fd, 4096, bytes + 1, &error),
			-EPROTO);
	guest_end(&guest);
	CU_ASSERT_EQUAL(echo_end(&echo), -EINVAL);
	munmap(bitmap, bytes + 4096);
	close(fd);
}

/* Whether anything of a file of that name is mapped. */
static bool is_mapped(const char *name)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	bool found = false;

	CU_ASSERT_PTR_NOT_NULL_FATAL(maps);
	while (!found && fgets(line, sizeof(line), maps))
		found = strstr(line, name);
	fclose(maps);
	return found;
}

/*
 * Shared files in huge pages, of which a part is said to be used. Mappings of those begin and end with a page: where a part is to be unmapped,
 * or replaced as there is no such page to be had, the kernel refuses it.
 */
static void test_a_part_of_a_huge_page(void)
{
	for (unsigned kind = 0; kind < 2; kind++) {
		struct vhost_user_inflight_region region = {
			.fd = memfd_create("vhost-huge", MFD_CLOEXEC | MFD_HUGETLB),
			.size = 65536,
			.queue_count = ECHO_QUEUES,
			.queue_size = ECHO_SIZE,
		};
		struct error error;
		struct guest guest;
		struct echo echo;
		int rc;

		if (region.fd < 0 || ftruncate(region.fd, 1 << 30)) {
			printf("(no huge pages: %s) ", strerror(errno));
			close(region.fd);
			return;
		}
		guest_begin_with(&guest, echo_begin(&echo), ECHO_FEATURES & ~ECHO_PACKED);
		for (unsigned i = 0; i < 3; i++) {
			rc = kind ? vhost_user_frontend_set_log(guest.fe, region.fd, 0, 4096,
								&error)
				  : vhost_user_frontend_set_inflight(guest.fe, &region, &error);
			guest_check(rc, &error);
		}
		if (kind) {
			guest_check(vhost_user_frontend_log(guest.fe, true, &error), &error);
			guest_start(&guest, 0, virtqueue_driver_base(&guest.queue));
			guest_send(&guest, "huge");
			/* Whether the answer is there before the write into the log fails is open. */
			for (unsigned i = 0; i < 500 && atomic_load(&echo.result) == 1; i++)
				if (poll(&(struct pollfd){ guest.call_fd, POLLIN, 0 }, 1, 10) == 1)
					break;
		} else {
			struct vhost_user_queue queue = { .size = ECHO_SIZE,
							  .desc = guest.queue.desc_address,
							  .avail = guest.queue.avail_address,
							  .used = guest.queue.used_address,
							  .kick_fd = guest.kick_fd,
							  .call_fd = guest.call_fd };

			/* The region is used at once, and the connection lost there. */
			(void)vhost_user_frontend_start_queue(guest.fe, 0, &queue, &error);
		}
		guest_end(&guest);
		rc = echo_end(&echo);
		/* The machine may have some. */
		CU_ASSERT_TRUE(rc == -EFAULT || rc == -ENOTCONN);
		CU_ASSERT_FALSE(is_mapped("vhost-huge"));
		close(region.fd);
	}
}

static void test_a_changed_configuration_is_told(void)
{
	struct error error;
	struct pollfd pollfd = { .events = POLLIN };
	struct guest guest;
	struct echo echo;
	uint8_t byte = 0;

	guest_begin(&guest, echo_begin(&echo));
	pollfd.fd = vhost_user_frontend_channel(guest.fe);
	CU_ASSERT_TRUE_FATAL(pollfd.fd >= 0);
	CU_ASSERT_EQUAL(vhost_user_frontend_take_request(guest.fe), 0);
	for (uint8_t i = 1; i < 4; i++) {
		echo.config[3] = i;
		atomic_store(&echo.announce, true);
		CU_ASSERT_EQUAL(poll(&pollfd, 1, -1), 1);
		CU_ASSERT_EQUAL(vhost_user_frontend_take_request(guest.fe), 1);
		CU_ASSERT_EQUAL(vhost_user_frontend_take_request(guest.fe), 0);
		guest_check(vhost_user_frontend_get_config(guest.fe, 3, &byte, 1, &error), &error);
		CU_ASSERT_EQUAL(byte, i);
	}
	guest_end(&guest);
	CU_ASSERT_EQUAL(echo_end(&echo), -ENOTCONN);
}

/* ---- A back-end played by hand ---- */

struct played {
	int fd;
	int channel;
};

/* Answers what a front-end asks when it connects, and keeps the channel. */
static void *play(void *arg)
{
	struct played *played = arg;
	struct vhost_user_receiver receiver;

	vhost_user_receiver_init(&receiver);
	while (vhost_user_receive(&receiver, played->fd, 0) == 1) {
		struct vhost_user_message *message = &receiver.message;
		bool asked = message->header.flags & VHOST_USER_FLAG_NEED_REPLY;

		switch (message->header.request) {
		case VHOST_USER_GET_FEATURES:
			message->payload.u64 = 1ULL << VHOST_USER_F_PROTOCOL_FEATURES | 1ULL << 32;
			asked = true;
			break;
		case VHOST_USER_GET_PROTOCOL_FEATURES:
			message->payload.u64 = 1ULL << VHOST_USER_PROTOCOL_F_REPLY_ACK |
					       1ULL << VHOST_USER_PROTOCOL_F_BACKEND_REQ;
			asked = true;
			break;
		case VHOST_USER_SET_BACKEND_REQ_FD:
			played->channel = dup(receiver.fds[0]);
			message->payload.u64 = 0;
			break;
		default:
			message->payload.u64 = 0;
		}
		message->header.size = 8;
		message->header.flags = VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY;
		vhost_user_receiver_reset(&receiver);
		if (asked && vhost_user_send(played->fd, message, NULL, 0, 0) < 0)
			break;
	}
	vhost_user_receiver_reset(&receiver);
	return NULL;
}

static void send_request(int channel, uint32_t request, uint32_t flags)
{
	struct vhost_user_message message = {
		.header = { request, VHOST_USER_VERSION | flags, 0 },
	};

	CU_ASSERT_EQUAL(vhost_user_send(channel, &message, NULL, 0, 0), 0);
}

static void test_requests_of_the_back_end_are_answered_where_it_asks(void)
{
	struct played played = { .channel = -1 };
	struct vhost_user_receiver answers;
	struct vhost_user_frontend *fe;
	struct error error;
	pthread_t thread;
	int fds[2];

	CU_ASSERT_EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	played.fd = fds[1];
	pthread_create(&thread, NULL, play, &played);
	guest_check(vhost_user_frontend_adopt(&fe, fds[0], "played", &error), &error);
	CU_ASSERT_TRUE_FATAL(played.channel >= 0);
	vhost_user_receiver_init(&answers);
	send_request(played.channel, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG,
		     VHOST_USER_FLAG_NEED_REPLY);
	CU_ASSERT_EQUAL(vhost_user_frontend_take_request(fe), 1);
	CU_ASSERT_EQUAL(vhost_user_receive(&answers, played.channel, MSG_DONTWAIT), 1);
	CU_ASSERT_EQUAL(answers.message.payload.u64, 0);
	vhost_user_receiver_reset(&answers);
	/* One that we do not know is refused. */
	send_request(played.channel, 77, VHOST_USER_FLAG_NEED_REPLY);
	CU_ASSERT_EQUAL(vhost_user_frontend_take_request(fe), 0);
	CU_ASSERT_EQUAL(vhost_user_receive(&answers, played.channel, MSG_DONTWAIT), 1);
	CU_ASSERT_EQUAL(answers.message.payload.u64, 1);
	vhost_user_receiver_reset(&answers);
	CU_ASSERT_EQUAL(write(played.channel, "nonsense....", 12), 12);
	CU_ASSERT_EQUAL(vhost_user_frontend_take_request(fe), -EPROTO);
	close(played.channel);
	vhost_user_frontend_close(fe);
	pthread_join(thread, NULL);
	close(fds[1]);
}

/* ---- On a fiber ---- */

struct waiting {
	int fd;
	unsigned turns;
	bool done;
	int result;
	struct error error;
};

static int shake_hands(void *arg)
{
	struct waiting *waiting = arg;
	struct vhost_user_frontend *fe = NULL;

	waiting->result = vhost_user_frontend_adopt(&fe, waiting->fd, "silent", &waiting->error);
	waiting->done = true;
	vhost_user_frontend_close(fe);
	return 0;
}

/* A back-end that says nothing for a while holds up its own fiber, and no other. */
static int wait_for_silent(void *arg)
{
	struct waiting waiting = { .done = false };
	struct fiber *fiber;
	struct played played = { .channel = -1 };
	pthread_t thread;
	int fds[2];

	(void)arg;
	for (unsigned kind = 0; kind < 2; kind++) {
		CU_ASSERT_EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
		waiting = (struct waiting){ .fd = fds[0] };
		fiber = fiber_spawn(shake_hands, &waiting);
		for (; waiting.turns < 20; waiting.turns++)
			fiber_sleep(1000000);
		CU_ASSERT_FALSE(waiting.done);
		if (kind == 0) {
			played.fd = fds[1];
			pthread_create(&thread, NULL, play, &played);
		} else {
			fiber_cancel(fiber);
		}
		fiber_join(fiber);
		CU_ASSERT_EQUAL(waiting.result, kind == 0 ? 0 : -ECANCELED);
		if (kind == 0) {
			pthread_join(thread, NULL);
			close(played.channel);
		}
		close(fds[1]);
	}
	return 0;
}

static void test_a_front_end_waits_on_its_fiber(void)
{
	fiber_run_real(WORKER_ENGINE_AUTO, wait_for_silent, NULL);
}

static int give_up(void *arg)
{
	(void)arg;
	return -EAGAIN;
}

static int connect_now(const char *path)
{
	return unix_socket_connect_with(path, give_up, NULL, NULL);
}

static int connect_to_full(void *arg)
{
	struct waiting *waiting = arg;
	struct vhost_user_frontend *fe;
	char path[200];

	snprintf(path, sizeof(path), "%s/full.sock", unit_directory());
	waiting->result = vhost_user_frontend_connect(&fe, path, NULL);
	waiting->done = true;
	return 0;
}

/* Nor does a server that accepts nobody, and whose backlog is full, hold up others. */
static int wait_for_full(void *arg)
{
	struct waiting waiting = { .done = false };
	struct unix_listener listener;
	int others[200], count = 0;
	struct fiber *fiber;
	char path[200];

	(void)arg;
	snprintf(path, sizeof(path), "%s/full.sock", unit_directory());
	CU_ASSERT_EQUAL_FATAL(unix_listen(&listener, path, NULL), 0);
	while (count < 200 && (others[count] = connect_now(path)) >= 0)
		count++;
	CU_ASSERT_TRUE(count < 200);
	fiber = fiber_spawn(connect_to_full, &waiting);
	for (; waiting.turns < 20 && !waiting.done; waiting.turns++)
		fiber_sleep(1000000);
	CU_ASSERT_FALSE(waiting.done);
	fiber_cancel(fiber);
	fiber_join(fiber);
	CU_ASSERT_EQUAL(waiting.result, -ECANCELED);
	while (count)
		close(others[--count]);
	unix_listener_close(&listener);
	return 0;
}

static void test_a_front_end_connects_on_its_fiber(void)
{
	fiber_run_real(WORKER_ENGINE_AUTO, wait_for_full, NULL);
}

UNIT_MAIN("vhost_user_shared", UNIT(test_a_region_for_chains_in_flight_goes_round),
	  UNIT(test_a_refused_region_changes_nothing),
	  UNIT(test_a_ring_may_be_longer_than_the_region_was_asked_for),
	  UNIT(test_the_region_of_another_back_end), UNIT(test_regions_that_cannot_be_are_refused),
	  UNIT(test_what_the_back_end_writes_is_noted), UNIT(test_a_part_of_a_huge_page),
	  UNIT(test_a_changed_configuration_is_told),
	  UNIT(test_requests_of_the_back_end_are_answered_where_it_asks),
	  UNIT(test_a_front_end_waits_on_its_fiber), UNIT(test_a_front_end_connects_on_its_fiber))
