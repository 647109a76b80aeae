/* SPDX-License-Identifier: BSD-2-Clause */
/* netdev: what guests may send to the router of a port `user`, and the words of a forward. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "netdev/user_network.h"
#include "util/bytes.h"
#include "util/error.h"

#define ROUTER 0x0a000202u
#define NAMES  0x0a000203u

struct packet {
	uint8_t bytes[100];
};

/* An IPv4 packet with a transport header whose destination port is `port`. */
static struct packet make_packet(uint32_t destination, uint8_t protocol, uint16_t port)
{
	struct packet packet = { { 0 } };
	uint8_t *ip = packet.bytes + 14;

	put_be16(packet.bytes + 12, 0x0800);
	ip[0] = 0x45;
	ip[9] = protocol;
	put_be32(ip + 16, destination);
	put_be16(ip + 22, port);
	return packet;
}

static bool passes(uint32_t destination, uint8_t protocol, uint16_t port)
{
	struct packet packet = make_packet(destination, protocol, port);

	return user_network_may_pass(packet.bytes, sizeof(packet.bytes), false);
}

static void test_the_loopback_is_not_reached(void)
{
	struct packet packet;

	CU_ASSERT_TRUE(passes(0xc0000201, IPPROTO_TCP, 22));
	CU_ASSERT_TRUE(passes(ROUTER, IPPROTO_UDP, 67));
	CU_ASSERT_FALSE(passes(0x7f000001, IPPROTO_TCP, 22));
	CU_ASSERT_FALSE(passes(0x7fffffff, IPPROTO_UDP, 53));
	CU_ASSERT_FALSE(passes(0, IPPROTO_TCP, 22));
	CU_ASSERT_FALSE(passes(0x00000001, IPPROTO_TCP, 22));
	CU_ASSERT_TRUE(passes(NAMES, IPPROTO_UDP, 53));
	CU_ASSERT_TRUE(passes(NAMES, IPPROTO_TCP, 53));
	CU_ASSERT_TRUE(passes(NAMES, IPPROTO_ICMP, 0));
	CU_ASSERT_FALSE(passes(NAMES, IPPROTO_TCP, 22));
	CU_ASSERT_FALSE(passes(NAMES, IPPROTO_UDP, 5353));
	CU_ASSERT_FALSE(passes(NAMES, 132, 53));
	/* A port that is somewhere else than it seems: options, fragments. */
	packet = make_packet(NAMES, IPPROTO_TCP, 53);
	packet.bytes[14] = 0x46;
	CU_ASSERT_FALSE(user_network_may_pass(packet.bytes, 100, false));
	put_be16(packet.bytes + 14 + 26, 53);
	CU_ASSERT_TRUE(user_network_may_pass(packet.bytes, 100, false));
	packet.bytes[14] = 0x44;
	CU_ASSERT_FALSE(user_network_may_pass(packet.bytes, 100, false));
	packet.bytes[14] = 0x4f;
	CU_ASSERT_FALSE(user_network_may_pass(packet.bytes, 77, false));
	for (uint16_t fragment = 1; fragment < 0x4000; fragment *= 2) {
		packet = make_packet(NAMES, IPPROTO_TCP, 53);
		put_be16(packet.bytes + 14 + 6, fragment);
		CU_ASSERT_FALSE(user_network_may_pass(packet.bytes, 100, false));
	}
	packet = make_packet(NAMES, IPPROTO_TCP, 53);
	put_be16(packet.bytes + 14 + 6, 0x4000); /* not to be fragmented */
	CU_ASSERT_TRUE(user_network_may_pass(packet.bytes, 100, false));
	/* What is no IPv4 is nothing but ARP. */
	put_be16(packet.bytes + 12, 0x0806);
	CU_ASSERT_TRUE(user_network_may_pass(packet.bytes, 60, false));
	put_be16(packet.bytes + 12, 0x86dd);
	CU_ASSERT_FALSE(user_network_may_pass(packet.bytes, 100, false));
	put_be16(packet.bytes + 12, 0x8100);
	CU_ASSERT_FALSE(user_network_may_pass(packet.bytes, 100, false));
	put_be16(packet.bytes + 12, 0x0800);
	packet.bytes[14] = 0x65;
	CU_ASSERT_FALSE(user_network_may_pass(packet.bytes, 100, false));
	for (size_t length = 0; length < 38; length++) {
		packet = make_packet(NAMES, IPPROTO_UDP, 53);
		CU_ASSERT_FALSE(user_network_may_pass(packet.bytes, length, false));
	}
	/* With leave, the router's address and the name server's are free; 127.0.0.1 itself is not. */
	packet = make_packet(NAMES, IPPROTO_TCP, 22);
	CU_ASSERT_TRUE(user_network_may_pass(packet.bytes, 100, true));
	packet = make_packet(0x7f000001, IPPROTO_TCP, 22);
	CU_ASSERT_FALSE(user_network_may_pass(packet.bytes, 100, true));
}

static void test_forwards(void)
{
	static const char *const bad[] = { "",
					   "tcp",
					   "tcp:",
					   "tcp:1-:1",
					   "sctp::1-:1",
					   "tcp::0-:1",
					   "tcp::1-:65536",
					   "tcp::1",
					   "tcp:localhost:1-:1",
					   "tcp::1-127.0.0.1:1",
					   "tcp::1-10.0.3.15:1",
					   "tcp::+1-:1",
					   "tcp::1-:1:" };
	struct user_network_options options = { 0 };
	struct error error = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CU_ASSERT_EQUAL(user_network_parse_forward(&options, bad[i], &error), -EINVAL);
	CU_ASSERT_EQUAL(options.count, 0);
	CU_ASSERT_EQUAL(user_network_parse_forward(&options, "tcp:127.0.0.1:2222-:22", &error), 0);
	CU_ASSERT_EQUAL(user_network_parse_forward(&options, "udp::53-10.0.2.20:5353", &error), 0);
	CU_ASSERT_FALSE(options.forwards[0].udp);
	CU_ASSERT_EQUAL(options.forwards[0].host_port, 2222);
	CU_ASSERT_EQUAL(ntohl(options.forwards[0].guest.s_addr), 0x0a00020f);
	CU_ASSERT_EQUAL(options.forwards[0].guest_port, 22);
	CU_ASSERT_TRUE(options.forwards[1].udp);
	CU_ASSERT_EQUAL(ntohl(options.forwards[1].host.s_addr), 0x7f000001);
	CU_ASSERT_EQUAL(ntohl(options.forwards[1].guest.s_addr), 0x0a000214);
	while (options.count < USER_NETWORK_FORWARDS)
		CU_ASSERT_EQUAL_FATAL(user_network_parse_forward(&options, "tcp::1-:1", &error), 0);
	CU_ASSERT_EQUAL(user_network_parse_forward(&options, "tcp::1-:1", &error), -ENOSPC);
}

UNIT_MAIN("the router of a port user", UNIT(test_the_loopback_is_not_reached), UNIT(test_forwards))
