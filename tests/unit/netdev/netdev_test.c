/* SPDX-License-Identifier: BSD-2-Clause */
/* netdev: TAP interfaces, links and namespaces, in a network namespace of the test's own. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_namespace.h"
#include "netdev/link.h"
#include "netdev/netns.h"
#include "netdev/tap.h"
#include "netdev/tap_batch.h"
#include "netdev/tap_users.h"
#include "util/bytes.h"
#include "util/error.h"
#include "virtio/virtio_net.h"

static void test_impossible_names(void)
{
	static const char *const names[] = { "",    ".",   "..",    "a/b",
					     "a b", "a:b", "tap%d", "0123456789abcdef" };
	struct error error;
	struct tap tap;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		CU_ASSERT_EQUAL(link_check_name(names[i], &error), -EINVAL);
		CU_ASSERT_EQUAL(tap_open(&tap, names[i], NULL, &error), -EINVAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(error.text, names[i]));
	}
	CU_ASSERT_EQUAL(link_check_name("0123456789abcde", &error), 0);
}

static void test_missing_driver_is_named(void)
{
	struct tap_options options = { .device = "/dev/net/none-such" };
	struct error error;
	struct tap tap;

	CU_ASSERT_EQUAL(tap_open(&tap, "tap0", &options, &error), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "tap0"));
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "/dev/net/none-such"));
	CU_ASSERT_PTR_NOT_NULL(strstr(error.advice, "modprobe tun"));
}

static void test_a_created_tap_is_up_and_goes_away(void)
{
	struct error error = { 0 };
	struct tap_options options = { .mtu = 9000 };
	struct link_info info;
	struct tap tap;

	if (!net_namespace_with_taps())
		return;
	CU_ASSERT_EQUAL_FATAL(tap_open(&tap, "tapa", &options, &error), 0);
	CU_ASSERT_TRUE(tap.created);
	CU_ASSERT_TRUE(tap.header);
	CU_ASSERT_TRUE(tap.offloads & TUN_F_CSUM);
	CU_ASSERT_EQUAL(link_get("tapa", -1, &info, &error), 0);
	CU_ASSERT_TRUE(info.up);
	CU_ASSERT_EQUAL(info.mtu, 9000);
	CU_ASSERT_TRUE(info.has_mac);
	tap_close(&tap);
	CU_ASSERT_EQUAL(link_get("tapa", -1, &info, &error), -ENODEV);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "tapa"));
}

static void test_a_busy_tap_and_what_is_no_tap(void)
{
	struct error error = { 0 };
	struct tap tap, second;

	if (!net_namespace_with_taps())
		return;
	CU_ASSERT_EQUAL_FATAL(tap_open(&tap, "tapb", NULL, &error), 0);
	CU_ASSERT_EQUAL(tap_open(&second, "tapb", NULL, &error), -EBUSY);
	CU_ASSERT_EQUAL(second.fd, -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "tapb"));
	CU_ASSERT_PTR_NOT_NULL(strstr(error.advice, "of this process itself"));
	tap_close(&tap);
	CU_ASSERT_EQUAL(tap_open(&second, "lo", NULL, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.advice, "no TAP"));
}

/* What the host sends comes out of the TAP with its header in front, and the other way round. */
static void test_frames_carry_the_header(void)
{
	struct link_settings settings = { .address = "10.9.8.1/24", .up = true };
	struct error error = { 0 };
	uint8_t frame[2048];
	bool seen = false;
	struct tap tap;
	int fd;

	if (!net_namespace_with_taps())
		return;
	CU_ASSERT_EQUAL_FATAL(tap_open(&tap, "tapc", NULL, &error), 0);
	CU_ASSERT_EQUAL(link_configure("tapc", -1, &settings, &error), 0);
	CU_ASSERT_EQUAL(link_configure("tapc", -1, &settings, &error), 0); /* again is fine */
	/* The kernel greets a new link with ARP or IPv6 multicasts; an ARP request is made sure of. */
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	{
		uint8_t to[16] = { AF_INET, 0, 0, 9, 10, 9, 8, 2 };

		CU_ASSERT_EQUAL(sendto(fd, "x", 1, 0, (struct sockaddr *)to, sizeof(to)), 1);
	}
	close(fd);
	for (;;) {
		ssize_t got = read(tap.fd, frame, sizeof(frame));

		if (got < 0)
			break;
		CU_ASSERT_TRUE(got >= 12 + 14);
		seen |= get_be16(frame + 12 + 12) == 0x0806 && frame[0] == 0 && frame[1] == 0;
	}
	CU_ASSERT_TRUE(seen);
	CU_ASSERT_EQUAL(write(tap.fd, frame, 12 + 60), 12 + 60);
	tap_close(&tap);
}

static void test_a_plain_tap_has_no_header(void)
{
	struct tap_options options = { .plain = true };
	struct error error = { 0 };
	struct tap tap;

	if (!net_namespace_with_taps())
		return;
	CU_ASSERT_EQUAL_FATAL(tap_open(&tap, "tapd", &options, &error), 0);
	CU_ASSERT_FALSE(tap.header);
	CU_ASSERT_EQUAL(tap.offloads, 0);
	tap_close(&tap);
}

/* How many answers to ARP requests a batch of reads finds; `empty`: and reads that find nothing. */
static unsigned batch_answers(struct tap_batch *batch, unsigned *empty)
{
	static uint8_t buffers[TAP_BATCH_MAX][70000];
	struct tap_batch_frame frames[TAP_BATCH_MAX];
	struct iovec pieces[TAP_BATCH_MAX];
	unsigned answers = 0;

	for (unsigned i = 0; i < TAP_BATCH_MAX; i++) {
		pieces[i] = (struct iovec){ buffers[i], sizeof(buffers[i]) };
		frames[i] = (struct tap_batch_frame){ .pieces = &pieces[i], .count = 1 };
	}
	tap_batch_read(batch, frames, TAP_BATCH_MAX);
	for (unsigned i = 0; i < TAP_BATCH_MAX; i++) {
		answers += frames[i].result == 12 + 42 && get_be16(buffers[i] + 32) == 2;
		*empty += frames[i].result == -EAGAIN;
	}
	return answers;
}

/* A batch ends at once, with a result for each frame: here the kernel's answers to ARP requests. */
static void test_batches(void)
{
	static const uint8_t request[12 + 42] = {
		[12] = 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0,  9, 8, 6,
		0,           1,    8,    0,    6,    4,    0, 1, 2, 0, 0,  0, 0, 9,
		10,          9,    7,    2,    0,    0,    0, 0, 0, 0, 10, 9, 7, 1,
	};
	struct link_settings settings = { .address = "10.9.7.1/24", .up = true };
	struct tap_batch_frame frames[5];
	struct iovec pieces[5][2];
	struct error error = { 0 };
	unsigned answers = 0, empty = 0;
	struct tap_batch *batch;
	struct tap tap;

	if (!net_namespace_with_taps())
		return;
	CU_ASSERT_EQUAL_FATAL(tap_open(&tap, "tape", NULL, &error), 0);
	CU_ASSERT_EQUAL(link_configure("tape", -1, &settings, &error), 0);
	if (tap_batch_create(&batch, &tap)) {
		unit_skip("no io_uring here");
		tap_close(&tap);
		return;
	}
	for (unsigned i = 0; i < 5; i++) {
		pieces[i][0] = (struct iovec){ (void *)(uintptr_t)request, 20 };
		/* The third is too short to be a frame; those behind it go on their way. */
		pieces[i][1] = (struct iovec){ (void *)(uintptr_t)(request + 20),
					       i == 2 ? 0 : sizeof(request) - 20 };
		frames[i] = (struct tap_batch_frame){ .pieces = pieces[i], .count = 2 };
	}
	/* One in one piece. */
	pieces[4][0].iov_len = sizeof(request);
	frames[4].count = 1;
	tap_batch_write(batch, frames, 5);
	for (unsigned i = 0; i < 5; i++)
		CU_ASSERT_EQUAL(frames[i].result, i == 2 ? -EINVAL : (int)sizeof(request));
	/* Left to ksoftirqd, they take their time. */
	for (unsigned tries = 0; tries < 6000 && answers < 4; tries++) {
		usleep(10000);
		answers += batch_answers(batch, &empty);
	}
	CU_ASSERT_EQUAL(answers, 4);
	CU_ASSERT_TRUE(empty > 0);
	/* The interface ends with the descriptor, not with the ring, which may take its time; a little later where somebody looks at it in /proc. */
	tap_batch_destroy(batch);
	tap_close(&tap);
	for (unsigned tries = 0; tries < 6000 && if_nametoindex("tape"); tries++)
		usleep(10000);
	CU_ASSERT_EQUAL(if_nametoindex("tape"), 0);
}

/* Each queue has a descriptor, and all of one device; what cannot be is said, and leaves nothing. */
static void test_queues(void)
{
	struct tap_options options = { .queues = 4 }, most = { .queues = TAP_QUEUES_MAX };
	struct error error = { 0 };
	struct tap tap, second;

	if (!net_namespace_with_taps())
		return;
	CU_ASSERT_EQUAL_FATAL(tap_open(&tap, "tapq", &options, &error), 0);
	CU_ASSERT_EQUAL(tap.queues, 4);
	CU_ASSERT_EQUAL(tap_attached_queues("tapq"), 4);
	CU_ASSERT_EQUAL(tap_is_multi_queue("tapq"), 1);
	for (unsigned i = 0; i < 4; i++) {
		struct ifreq request = { 0 };

		CU_ASSERT_EQUAL(ioctl(tap_queue_fd(&tap, i), TUNGETIFF, &request), 0);
		CU_ASSERT_STRING_EQUAL(request.ifr_name, "tapq");
	}
	CU_ASSERT_EQUAL(tap_open(&second, "tapq", &options, &error), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "found 4"));
	CU_ASSERT_EQUAL(tap_attached_queues("tapq"), 4);
	tap_close(&tap);
	CU_ASSERT_EQUAL(tap_open(&tap, "tapq", NULL, &error), 0);
	CU_ASSERT_EQUAL(tap_is_multi_queue("tapq"), 0);
	CU_ASSERT_EQUAL(tap_open(&second, "tapq", &options, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "a single queue"));
	CU_ASSERT_PTR_NOT_NULL(strstr(error.advice, "--multi-queue"));
	tap_close(&tap);
	CU_ASSERT_EQUAL(tap_open(&second, "lo", &options, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.advice, "no TAP"));
	CU_ASSERT_EQUAL(tap_open(&tap, "tapq", &most, &error), 0);
	CU_ASSERT_EQUAL(tap_attached_queues("tapq"), TAP_QUEUES_MAX);
	tap_close(&tap);
}

static void test_links(void)
{
	static const uint8_t mac[6] = { 2, 3, 4, 5, 6, 7 };
	struct link_settings settings = { .mac = mac, .mtu = 1400, .up = true };
	struct link_settings bad = { .address = "10.0.0.1/77" }, down = { .down = true };
	struct error error = { 0 };
	struct link_info info;

	if (!net_namespace_enter())
		return;
	if (link_create_veth("va", "vb", -1, &error)) {
		unit_skip("%s", error.text);
		return;
	}
	CU_ASSERT_EQUAL(link_create_veth("va", "vc", -1, &error), -EEXIST);
	CU_ASSERT_EQUAL(link_configure("va", -1, &settings, &error), 0);
	CU_ASSERT_EQUAL(link_get("va", -1, &info, &error), 0);
	CU_ASSERT_TRUE(info.up);
	CU_ASSERT_FALSE(info.carrier);
	CU_ASSERT_EQUAL(info.mtu, 1400);
	CU_ASSERT_EQUAL(memcmp(info.mac, mac, 6), 0);
	CU_ASSERT_EQUAL(link_configure("va", -1, &bad, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "10.0.0.1/77"));
	CU_ASSERT_EQUAL(link_configure("va", -1, &down, &error), 0);
	CU_ASSERT_EQUAL(link_get("va", -1, &info, &error), 0);
	CU_ASSERT_FALSE(info.up);
	CU_ASSERT_EQUAL(link_delete("vb", -1, &error), 0);
	CU_ASSERT_EQUAL(link_delete("va", -1, &error), -ENODEV);
}

static int stay_behind(void *arg)
{
	*(int *)arg =
		unshare(CLONE_NEWNET) ? -1 : open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	return 0;
}

/* Work in another namespace does not move the caller. */
static void test_other_namespaces(void)
{
	struct error error = { 0 };
	struct link_info info;
	int own, other = -1, fd;

	if (!net_namespace_enter())
		return;
	own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	CU_ASSERT_TRUE_FATAL(own >= 0);
	CU_ASSERT_EQUAL(netns_call(own, stay_behind, &other, &error), 0);
	CU_ASSERT_TRUE_FATAL(other >= 0);
	if (link_create_veth("na", "nb", other, &error)) {
		unit_skip("%s", error.text);
	} else {
		struct link_settings to_own = { .move_to_netns = own };

		CU_ASSERT_EQUAL(link_get("na", -1, &info, &error), -ENODEV);
		CU_ASSERT_EQUAL(link_get("na", other, &info, &error), 0);
		CU_ASSERT_EQUAL(link_configure("na", other, &to_own, &error), 0);
		CU_ASSERT_EQUAL(link_get("na", -1, &info, &error), 0);
		CU_ASSERT_EQUAL(link_delete("na", -1, &error), 0);
	}
	fd = netns_socket(other, AF_INET, SOCK_DGRAM, 0, &error);
	CU_ASSERT_TRUE(fd >= 0);
	close(fd);
	CU_ASSERT_EQUAL(netns_socket(other, 9999, SOCK_DGRAM, 0, &error), -EAFNOSUPPORT);
	CU_ASSERT_EQUAL(netns_open("none-such", &error), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "/run/netns/none-such"));
	close(other);
	close(own);
}

UNIT_MAIN("netdev", UNIT(test_impossible_names), UNIT(test_missing_driver_is_named),
	  UNIT(test_a_created_tap_is_up_and_goes_away), UNIT(test_a_busy_tap_and_what_is_no_tap),
	  UNIT(test_frames_carry_the_header), UNIT(test_a_plain_tap_has_no_header),
	  UNIT(test_batches), UNIT(test_queues), UNIT(test_links), UNIT(test_other_namespaces))
