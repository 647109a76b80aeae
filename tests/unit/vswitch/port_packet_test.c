/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch: a port on one end of a veth pair, in a network namespace of the test's own. */
#include "unit.h"

#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_port.h"
#include "net_namespace.h"
#include "netdev/link.h"
#include "netdev/tap.h"
#include "util/bytes.h"
#include "util/error.h"
#include "vswitch/internal.h"
#include "vswitch/port_packet.h"

#define MTU  9000
#define LONG (MTU + 14)

struct bed {
	struct vswitch *vswitch;
	struct fake_port *a;
	int fd; /* of the other end */
	unsigned sent;
};

static bool has_carrier(const char *name)
{
	struct link_info info;

	return !link_get(name, -1, &info, NULL) && info.up && info.carrier;
}

static bool bed_make(struct bed *bed, bool plain)
{
	struct link_settings settings = { .mtu = MTU, .up = true };
	struct vswitch_packet_options packet = { .plain = plain };
	struct vswitch_options options = { .seed = 1 };
	struct sockaddr_ll to = { .sll_family = AF_PACKET };
	struct error error = { 0 };

	*bed = (struct bed){ .fd = -1 };
	if (!net_namespace_enter())
		return false;
	if (link_create_veth("ra", "rb", -1, &error)) {
		unit_skip("%s", error.text);
		return false;
	}
	CU_ASSERT_EQUAL_FATAL(link_configure("ra", -1, &settings, &error), 0);
	CU_ASSERT_EQUAL_FATAL(link_configure("rb", -1, &settings, &error), 0);
	for (unsigned i = 0; i < 1000 && !(has_carrier("ra") && has_carrier("rb")); i++)
		usleep(10000);
	bed->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	to.sll_ifindex = (int)if_nametoindex("rb");
	CU_ASSERT_EQUAL_FATAL(bind(bed->fd, (struct sockaddr *)&to, sizeof(to)), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&bed->vswitch, &options, NULL), 0);
	bed->a = fake_port_add(bed->vswitch, "a", 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port_packet(bed->vswitch, "p", "ra", &packet, &error), 0);
	return true;
}

static void bed_end(struct bed *bed)
{
	vswitch_destroy(bed->vswitch);
	close(bed->fd);
	(void)link_delete("ra", -1, NULL);
}

static const struct port *port_of(const struct bed *bed)
{
	return vswitch_find_port(bed->vswitch, "p");
}

/* One round. False: there was nothing to do. */
static bool bed_step(struct bed *bed)
{
	return vswitch_thread_dispatch(&bed->vswitch->threads[0], 0) + vswitch_round(bed->vswitch);
}

static void bed_run(struct bed *bed)
{
	for (unsigned i = 0; i < 1000; i++)
		if (!bed_step(bed))
			return;
	CU_FAIL("it never ends");
}

/* A frame that has its number and its length in it, and this type. False: the interface takes none. */
static bool send_frame(struct bed *bed, size_t length, const char *types, size_t types_length)
{
	static uint8_t bytes[LONG + 4] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 0xb1
	};

	memcpy(bytes + 12, types, types_length);
	put_be32(bytes + 12 + types_length, bed->sent);
	memset(bytes + 16 + types_length, (int)(bed->sent * 7 + length),
	       sizeof(bytes) - 16 - types_length);
	if (send(bed->fd, bytes, length, 0) != (ssize_t)length)
		return false;
	bed->sent++;
	return true;
}

#define TYPE              "\x88\xb5"
#define SEND(bed, length) CU_ASSERT_TRUE(send_frame(bed, length, TYPE, 2))

/* Whether what came is whole, and (from what it is) which one it is; this host says things of its own there, too. */
static bool is_ours(const struct fake_frame *frame, uint32_t *number)
{
	if (frame->length < 60 || memcmp(frame->bytes + 12, TYPE, 2))
		return false;
	*number = get_be32(frame->bytes + 14);
	for (size_t i = 18; i < frame->length; i++)
		if (frame->bytes[i] != (uint8_t)(*number * 7 + frame->length))
			CU_FAIL_FATAL("other bytes than were sent");
	return true;
}

/* Runs until all was taken, of `length` (0: of any), and so many of ours came; how many did, in the order of their numbers. What was sent may come a
 * little later: then the kernel has left it to ksoftirqd. */
static unsigned take(struct bed *bed, size_t length, unsigned wanted)
{
	unsigned count = 0;
	int64_t last = -1;

	for (unsigned tries = 0; tries < 1000; tries++) {
		while (bed_step(bed) || bed->a->out_count) {
			for (unsigned i = 0; i < bed->a->out_count; i++) {
				uint32_t number;

				if (!is_ours(&bed->a->out[i], &number))
					continue;
				CU_ASSERT_TRUE(number > last);
				CU_ASSERT_TRUE(!length || bed->a->out[i].length == length);
				last = number;
				count++;
			}
			fake_port_clear(bed->a);
		}
		if (count >= wanted)
			break;
		usleep(10000);
	}
	return count;
}

/* Whichever way a frame takes, it comes whole, once, and in its turn. */
static void check_sizes(bool plain)
{
	struct bed bed;

	if (!bed_make(&bed, plain))
		return;
	/* Round about where a slot ends. */
	for (size_t length = 1900; length < 2060; length++)
		SEND(&bed, length);
	CU_ASSERT_EQUAL(take(&bed, 0, 160), 160);
	bed.sent = 0;
	for (unsigned i = 0; i < 30; i++) {
		SEND(&bed, 60);
		SEND(&bed, i % 3 ? 1514 : LONG);
	}
	CU_ASSERT_EQUAL(take(&bed, 0, 60), 60);
	CU_ASSERT_EQUAL(port_of(&bed)->counters.drops[PORT_DROP_OVERRUN], 0);
	CU_ASSERT_EQUAL(port_of(&bed)->counters.drops[PORT_DROP_BAD_LENGTH], 0);
	bed_end(&bed);
}

static void test_sizes(void)
{
	check_sizes(false);
}

static void test_sizes_without_header(void)
{
	check_sizes(true);
}

/* Whether a frame with a tag came. */
static bool tagged(const struct bed *bed)
{
	for (unsigned i = 0; i < bed->a->out_count; i++)
		if (!memcmp(bed->a->out[i].bytes + 12, "\x88\xa8", 2))
			return true;
	return false;
}

/* The kernel takes the first tag off; of small frames and of ones that are too long for a slot. */
static void test_tags(void)
{
	static const size_t lengths[] = { 64, 1518, LONG };
	struct bed bed;

	if (!bed_make(&bed, false))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		unsigned seen = 0;

		CU_ASSERT_TRUE(
			send_frame(&bed, lengths[i], "\x88\xa8\x60\x07\x81\x00\x00\x08" TYPE, 10));
		for (unsigned tries = 0; tries < 1000 && !tagged(&bed); tries++) {
			usleep(tries ? 10000 : 0);
			bed_run(&bed);
		}
		for (unsigned each = 0; each < bed.a->out_count; each++) {
			const struct fake_frame *out = &bed.a->out[each];

			if (memcmp(out->bytes + 12, "\x88\xa8", 2) != 0)
				continue;
			CU_ASSERT_EQUAL(out->length, lengths[i]);
			CU_ASSERT_EQUAL(memcmp(out->bytes, "\xff\xff\xff\xff\xff\xff\2\0\0\0\0\xb1",
					       12),
					0);
			CU_ASSERT_EQUAL(memcmp(out->bytes + 12,
					       "\x88\xa8\x60\x07\x81\x00\x00\x08" TYPE, 10),
					0);
			seen++;
		}
		CU_ASSERT_EQUAL(seen, 1);
		fake_port_clear(bed.a);
	}
	bed_end(&bed);
}

static bool has_ring(const struct bed *bed)
{
	char where[PORT_TEXT_MAX], state[PORT_TEXT_MAX], features[PORT_TEXT_MAX];
	struct port *port = vswitch_find_port(bed->vswitch, "p");

	port->ops->describe(port, where, state, features);
	return strstr(features, "ring");
}

/* What nobody took in time is counted, and nothing of it comes cut. */
static void check_overrun(size_t length, unsigned count)
{
	const struct port *port;
	struct bed bed;
	unsigned came;
	bool ring;

	if (!bed_make(&bed, false))
		return;
	port = port_of(&bed);
	ring = has_ring(&bed);
	(void)take(&bed, 0, 0);
	for (unsigned i = 0; i < count; i++)
		SEND(&bed, length);
	came = take(&bed, length, 1);
	CU_ASSERT_TRUE(came > 0);
	/* It looks ten times in a second. */
	for (unsigned i = 0; i < 600 && came + port->counters.drops[PORT_DROP_OVERRUN] < count;
	     i++) {
		usleep(10000);
		came += take(&bed, length, 0);
	}
	CU_ASSERT_TRUE(came < count);
	/* What this host says there may be dropped, too. */
	CU_ASSERT_TRUE(came + port->counters.drops[PORT_DROP_OVERRUN] >= count);
	CU_ASSERT_TRUE(came + port->counters.drops[PORT_DROP_OVERRUN] <= count + 20);
	SEND(&bed, length);
	CU_ASSERT_EQUAL(take(&bed, length, 1), 1);
	/* A ring that was full goes on. */
	CU_ASSERT_EQUAL(has_ring(&bed), ring);
	bed_end(&bed);
}

static void test_small_frames_overrun(void)
{
	/* Also of a socket's queue, where the kernel gives no ring. */
	check_overrun(60, 20000);
}

static void test_large_frames_overrun(void)
{
	check_overrun(LONG, 1500);
}

/* That is told once, and the port rests; when it comes up again it is heard again. */
static void test_down_and_up(void)
{
	struct link_settings down = { .down = true }, up = { .up = true };
	struct error error = { 0 };
	unsigned came = 0;
	struct bed bed;

	if (!bed_make(&bed, false))
		return;
	SEND(&bed, LONG);
	SEND(&bed, 60);
	CU_ASSERT_EQUAL(link_configure("ra", -1, &down, &error), 0);
	/* What had come before is whole. */
	CU_ASSERT_EQUAL(take(&bed, 0, 2), 2);
	bed_run(&bed);
	CU_ASSERT_EQUAL(link_configure("ra", -1, &up, &error), 0);
	for (unsigned i = 0; i < 1000 && !came; i++) {
		usleep(10000);
		if (send_frame(&bed, LONG, TYPE, 2))
			came = take(&bed, LONG, 0);
	}
	CU_ASSERT_TRUE(came > 0);
	CU_ASSERT_EQUAL(link_delete("ra", -1, &error), 0);
	bed_run(&bed);
	bed_end(&bed);
}

/* A broadcast that is_ours(), as the host receives it from a TAP. */
static void write_frame(const struct tap *tap, uint32_t number)
{
	uint8_t frame[12 + 60] = { 0 };

	memset(frame + 12, 0xff, 6);
	frame[18] = 2;
	memcpy(frame + 24, TYPE, 2);
	put_be32(frame + 26, number);
	memset(frame + 30, (int)(number * 7 + 60), sizeof(frame) - 30);
	CU_ASSERT_EQUAL(write(tap->fd, frame, sizeof(frame)), sizeof(frame));
}

static uint64_t lost(const struct bed *bed)
{
	const uint64_t *drops = port_of(bed)->counters.drops;

	return drops[PORT_DROP_OVERRUN] + drops[PORT_DROP_BAD_GSO];
}

/* The kernel has no header for a large datagram that is yet to be cut in fragments (nor, before Linux 6.2, for UDP segments). It is lost, and not all
 * that comes behind it, too. */
static void test_what_no_header_can_say(void)
{
	static const uint8_t datagram[12 + 42 + 4000] = {
		/* NEEDS_CSUM, GSO_UDP, 42 bytes of heads, 1480 in a fragment, a checksum from 34 on at 6 */
		1, 3, 42, 0, 0xc8, 5, 34, 0, 6, 0, 0, 0,
		/* Ethernet, IPv4, UDP */
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 0xb1, 8, 0, 0x45, 0, 0x0f, 0xbc,
		0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x13, 0x88, 0x13, 0x88, 0x0f,
		0xa8, 0, 0
	};
	struct error error = { 0 };
	struct bed bed = { .fd = -1 };
	unsigned came = 0;
	struct tap tap;

	if (!net_namespace_with_taps())
		return;
	CU_ASSERT_EQUAL_FATAL(tap_open(&tap, "ra", NULL, &error), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&bed.vswitch, NULL, NULL), 0);
	bed.a = fake_port_add(bed.vswitch, "a", 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port_packet(bed.vswitch, "p", "ra", NULL, &error), 0);
	CU_ASSERT_EQUAL(write(tap.fd, datagram, sizeof(datagram)), sizeof(datagram));
	for (unsigned i = 0; i < 1000 && (came < 3 || !lost(&bed)); i++) {
		write_frame(&tap, i);
		came += take(&bed, 60, 0);
		usleep(10000);
	}
	CU_ASSERT_TRUE(came >= 3);
	CU_ASSERT_TRUE(lost(&bed) > 0);
	if (!has_ring(&bed)) {
		uint64_t before = lost(&bed);

		/* It was left, and nothing but such frames is lost any more. */
		for (uint32_t i = 0; i < 3; i++) {
			CU_ASSERT_EQUAL(write(tap.fd, datagram, sizeof(datagram)),
					sizeof(datagram));
			write_frame(&tap, i);
			CU_ASSERT_EQUAL(take(&bed, 60, 1), 1);
		}
		CU_ASSERT_EQUAL(lost(&bed), before + 3);
	}
	vswitch_destroy(bed.vswitch);
	tap_close(&tap);
}

UNIT_MAIN("port_packet", UNIT(test_sizes), UNIT(test_sizes_without_header), UNIT(test_tags),
	  UNIT(test_small_frames_overrun), UNIT(test_large_frames_overrun), UNIT(test_down_and_up),
	  UNIT(test_what_no_header_can_say))
