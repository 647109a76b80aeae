/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch/port_tunnel: behind which remote an address is, on loopback addresses that are this process's own. */
#include "unit.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fake_port.h"
#include "util/bytes.h"
#include "util/error.h"
#include "vswitch/internal.h"
#include "vswitch/port_tunnel.h"
#include "vswitch/tunnel_send.h"

#define VNI   7
#define TRIES 60000 /* of a millisecond */
#define FRAME 60
#define A     0x0200000000a1ULL
#define S     0x0200000000b1ULL

struct bed {
	struct vswitch *vswitch;
	struct fake_port *a;
	struct sockaddr_in local;
	int remotes[2];
};

static struct endpoint endpoint_of(unsigned host)
{
	unsigned pid = (unsigned)getpid();
	struct endpoint endpoint = { 0 };
	char text[ENDPOINT_TEXT];

	snprintf(text, sizeof(text), "127.%u.%u.%u", 1 + (pid >> 8) % 250, pid & 0xff, host);
	CU_ASSERT_EQUAL_FATAL(endpoint_parse_udp(&endpoint, text, VXLAN_UDP_PORT, NULL), 0);
	return endpoint;
}

static void bed_make_with(struct bed *bed, struct tunnel_outer_rule outer)
{
	struct vswitch_options options = { .seed = 1 };
	struct vswitch_tunnel_options tunnel = { .kind = TUNNEL_VXLAN,
						 .vni = VNI,
						 .local = endpoint_of(1),
						 .outer = outer,
						 .remote_count = 2,
						 .remotes = { endpoint_of(2), endpoint_of(3) } };

	for (unsigned i = 0; i < 2; i++) {
		bed->remotes[i] = endpoint_listen(&tunnel.remotes[i], SOCK_DGRAM, NULL);
		CU_ASSERT_TRUE_FATAL(bed->remotes[i] >= 0);
	}
	bed->local = tunnel.local.address.in;
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&bed->vswitch, &options, NULL), 0);
	bed->a = fake_port_add(bed->vswitch, "a", 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port_tunnel(bed->vswitch, "t", &tunnel, NULL), 0);
}

static void bed_make(struct bed *bed)
{
	bed_make_with(bed, (struct tunnel_outer_rule){ 0 });
}

static void bed_end(struct bed *bed)
{
	vswitch_destroy(bed->vswitch);
	close(bed->remotes[0]);
	close(bed->remotes[1]);
}

static void bed_run(struct bed *bed)
{
	vswitch_thread_dispatch(&bed->vswitch->threads[0], 0);
	while (vswitch_round(bed->vswitch))
		;
}

/* A frame from `source` comes from a remote. */
static void send_as(struct bed *bed, unsigned remote, uint64_t source)
{
	const struct port *tunnel = vswitch_find_port(bed->vswitch, "t");
	uint8_t bytes[TUNNEL_HEADER + FRAME] = { 0 };
	uint64_t before = tunnel->counters.rx_frames;

	tunnel_encode(TUNNEL_VXLAN, VNI, bytes);
	memset(bytes + TUNNEL_HEADER, 0xff, 6);
	put_be16(bytes + TUNNEL_HEADER + 6, (uint16_t)(source >> 32));
	put_be32(bytes + TUNNEL_HEADER + 8, (uint32_t)source);
	CU_ASSERT_EQUAL(sendto(bed->remotes[remote], bytes, sizeof(bytes), 0,
			       (struct sockaddr *)&bed->local, sizeof(bed->local)),
			sizeof(bytes));
	/* The kernel may hand it over a little later. */
	for (unsigned tries = 0; tries < TRIES && tunnel->counters.rx_frames == before; tries++) {
		if (tries)
			usleep(1000);
		bed_run(bed);
	}
	CU_ASSERT_EQUAL(tunnel->counters.rx_frames, before + 1);
}

static void send_from(struct bed *bed, unsigned remote)
{
	send_as(bed, remote, S);
}

/* Of how many datagrams each remote got: a digit for each. Waits for `wanted`. */
static unsigned got(struct bed *bed, unsigned wanted)
{
	unsigned counts[2] = { 0 };
	uint8_t bytes[2048];

	for (unsigned tries = 0; tries < TRIES; tries++) {
		for (unsigned i = 0; i < 2; i++)
			while (recv(bed->remotes[i], bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
				counts[i]++;
		if (counts[0] + counts[1] >= wanted / 10 + wanted % 10)
			break;
		usleep(1000);
	}
	return counts[0] * 10 + counts[1];
}

static void send_to_s(struct bed *bed, unsigned wanted)
{
	fake_port_put_frame(bed->a, S, A, FRAME);
	bed_run(bed);
	CU_ASSERT_EQUAL(got(bed, wanted), wanted);
}

static void test_which_remote(void)
{
	struct bed bed;

	bed_make(&bed);
	send_to_s(&bed, 11);
	send_from(&bed, 1);
	CU_ASSERT_EQUAL(bed.a->out_count, 1);
	send_to_s(&bed, 1);
	send_from(&bed, 0);
	send_to_s(&bed, 10);
	bed_end(&bed);
}

/* The TOS and TTL of the packet that the next datagram came in. */
static unsigned next_header(int fd)
{
	char control[256], bytes[2048];
	struct iovec piece = { bytes, sizeof(bytes) };
	struct msghdr message = { .msg_iov = &piece,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };
	unsigned tos = 0;
	int ttl = 0;

	for (unsigned tries = 0; tries < TRIES && recvmsg(fd, &message, MSG_DONTWAIT) < 0; tries++)
		usleep(1000);
	for (struct cmsghdr *at = CMSG_FIRSTHDR(&message); at; at = CMSG_NXTHDR(&message, at)) {
		if (at->cmsg_type == IP_TOS)
			tos = *CMSG_DATA(at);
		else if (at->cmsg_type == IP_TTL)
			memcpy(&ttl, CMSG_DATA(at), sizeof(ttl));
	}
	return tos << 8 | (unsigned)ttl;
}

/* Frames of one flow and length that come together go as one message only where their headers are the same. */
static void test_headers_of_a_burst(void)
{
	static const uint16_t headers[] = {
		0xb807, 0xb807, 0x4807, 0x4809, 0x0009, 0x0209, 0xb807
	};
	uint8_t frame[FRAME] = { 2, 0, 0, 0, 0, 0xb1, 2, 0, 0, 0, 0, 0xa1, 8, 0, 0x45 };
	struct bed bed;
	int on = 1;

	bed_make_with(&bed, (struct tunnel_outer_rule){ .inherit_tos = true, .inherit_ttl = true });
	setsockopt(bed.remotes[0], IPPROTO_IP, IP_RECVTOS, &on, sizeof(on));
	setsockopt(bed.remotes[0], IPPROTO_IP, IP_RECVTTL, &on, sizeof(on));
	send_from(&bed, 0); /* what goes to several remotes is not put together */
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
		frame[15] = (uint8_t)(headers[i] >> 8);
		frame[22] = (uint8_t)headers[i];
		fake_port_put(bed.a, frame, sizeof(frame), NULL);
	}
	bed_run(&bed);
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++)
		CU_ASSERT_EQUAL(next_header(bed.remotes[0]), headers[i]);
	bed_end(&bed);
}

/* A remote that invents addresses fills its own share. */
static void test_one_that_invents(void)
{
	struct bed bed;

	bed_make(&bed);
	for (uint64_t i = 1; i <= MAC_TABLE_SIZE + 100; i++)
		send_as(&bed, 0, S + i);
	send_from(&bed, 1);
	send_to_s(&bed, 1);
	bed_end(&bed);
}

/* Who has a table forgotten, or a tree that changed, means what the tunnel knows, too; also below a link. */
static void test_what_it_knew_is_forgotten(void)
{
	struct link_model model = { .duplicate = LINK_ALWAYS };
	struct port_config config = { 0 };
	struct bed bed;

	bed_make(&bed);
	send_from(&bed, 0);
	send_to_s(&bed, 10);
	CU_ASSERT_EQUAL(vswitch_flush_addresses(bed.vswitch, "t", NULL), 0);
	send_to_s(&bed, 11);
	send_from(&bed, 0);
	CU_ASSERT_EQUAL(vswitch_flush_addresses(bed.vswitch, "a", NULL), 0);
	send_to_s(&bed, 10);
	CU_ASSERT_EQUAL(vswitch_flush_addresses(bed.vswitch, NULL, NULL), 0);
	send_to_s(&bed, 11);
	send_from(&bed, 0);
	CU_ASSERT_EQUAL(port_config_set(&config, "vlan=5", NULL), 0);
	CU_ASSERT_EQUAL(vswitch_set_port(bed.vswitch, "t", &config, NULL), 0);
	CU_ASSERT_EQUAL(vswitch_set_port(bed.vswitch, "a", &config, NULL), 0);
	send_to_s(&bed, 11);
	send_from(&bed, 0);
	CU_ASSERT_EQUAL(vswitch_set_link(bed.vswitch, "t", LINK_OUT, &model, NULL), 0);
	send_to_s(&bed, 20);
	CU_ASSERT_EQUAL(vswitch_flush_addresses(bed.vswitch, "t", NULL), 0);
	send_to_s(&bed, 22);
	bed_end(&bed);
}

static struct sockaddr_in6 host_of(unsigned number)
{
	struct sockaddr_in6 from = { 0 };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(5000) };

	in.sin_addr.s_addr = htonl(0x0a000000 + number);
	memcpy(&from, &in, sizeof(in));
	return from;
}

/* Of a group's hosts so many are remembered; then the one unheard for longest makes room, with the addresses that were behind it. */
static void test_hosts_of_a_group(void)
{
	struct tunnel_group group = { .first = 1 };
	struct tunnel_send send = { .group = &group };
	struct mac_table *table = NULL;
	struct sockaddr_in6 from;
	struct port *port;
	struct bed bed;

	bed_make(&bed);
	port = &bed.a->port;
	tunnel_send_init(&send);
	CU_ASSERT_EQUAL_FATAL(endpoint_parse_udp(&group.address, "239.1.1.1", 4789, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(mac_table_create(&table, NULL), 0);
	CU_ASSERT_EQUAL(tunnel_send_add(&send, &group.address), 0);
	for (unsigned i = 0; i < TUNNEL_HEARD_MAX; i++) {
		from = host_of(i);
		CU_ASSERT_EQUAL(tunnel_remote_of(&send, &from), -1);
		CU_ASSERT_EQUAL(tunnel_group_heard(&group, &send, port, table, -1, &from), i + 1);
		CU_ASSERT_EQUAL(tunnel_remote_of(&send, &from), i + 1);
		group.heard[i] = 1000 + i;
	}
	CU_ASSERT_EQUAL(send.remotes[1].endpoint.address.in.sin_port, htons(4789));
	/* Who was heard of late stays. */
	group.heard[0] = 5000;
	mac_table_learn(table, 0, S, 2, 0);
	mac_table_learn(table, 0, A, 1, 0);
	from = host_of(999);
	CU_ASSERT_EQUAL(tunnel_group_heard(&group, &send, port, table, -1, &from), 2);
	CU_ASSERT_EQUAL(mac_table_lookup(table, 0, S, 0), MAC_TABLE_NO_PORT);
	CU_ASSERT_EQUAL(mac_table_lookup(table, 0, A, 0), 1);
	CU_ASSERT_EQUAL(send.count, TUNNEL_HEARD_MAX + 1);
	from = host_of(1);
	CU_ASSERT_EQUAL(tunnel_remote_of(&send, &from), -1);
	/* Nobody who was heard within a second makes room: what is for one more goes to the group. */
	for (unsigned i = 0; i < TUNNEL_HEARD_MAX; i++)
		group.heard[i] = port_now(port);
	CU_ASSERT_EQUAL(tunnel_group_heard(&group, &send, port, table, -1, &from), 0);
	CU_ASSERT_EQUAL(tunnel_remote_of(&send, &from), -1);
	/* Another family than the group's cannot be sent to. */
	from.sin6_family = AF_INET6;
	CU_ASSERT_EQUAL(tunnel_group_heard(&group, &send, port, table, -1, &from), -1);
	/* Nor who has no address: that would be this host. */
	from = (struct sockaddr_in6){ .sin6_family = AF_INET };
	CU_ASSERT_EQUAL(tunnel_group_heard(&group, &send, port, table, -1, &from), -1);
	mac_table_destroy(table);
	tunnel_send_close(&send);
	bed_end(&bed);
}

/* The group is one interface's: what is for it goes by no other one while that is gone, and joining is tried until it succeeds. */
static void test_an_interface_that_goes(void)
{
	struct tunnel_group group = { .interface = "lo", .ttl = 1 };
	int receiver = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	unsigned index;

	CU_ASSERT_TRUE_FATAL(receiver >= 0);
	CU_ASSERT_EQUAL_FATAL(endpoint_parse_udp(&group.address, "239.1.1.1", 4789, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(tunnel_group_join(&group, receiver, NULL), 0);
	index = group.index;
	CU_ASSERT_TRUE(index != 0);
	CU_ASSERT_FALSE(tunnel_group_follow(&group));
	strcpy(group.interface, "no-such-tenon");
	CU_ASSERT_FALSE(tunnel_group_follow(&group));
	CU_ASSERT_EQUAL(group.index, index);
	/* It is there again as another one, first without room for a membership. */
	group.index = index + 100000;
	strcpy(group.interface, "lo");
	group.receiver = -1;
	CU_ASSERT_FALSE(tunnel_group_follow(&group));
	group.receiver = receiver;
	CU_ASSERT_TRUE(tunnel_group_follow(&group));
	CU_ASSERT_EQUAL(group.index, index);
	close(receiver);
}

/* Hosts of addresses that are a link's own are sent to by the interface that there is now. */
static void test_hosts_behind_an_interface_made_anew(void)
{
	struct tunnel_group group = { .first = 1 };
	struct mac_table *table = NULL;
	struct tunnel_send send = { 0 };
	struct sockaddr_in6 from = { .sin6_family = AF_INET6 };
	struct bed bed;

	bed_make(&bed);
	tunnel_send_init(&send);
	CU_ASSERT_EQUAL_FATAL(endpoint_parse_udp(&group.address, "[ff02::42]", 4789, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(mac_table_create(&table, NULL), 0);
	CU_ASSERT_EQUAL(tunnel_send_add(&send, &group.address), 0);
	CU_ASSERT_EQUAL(inet_pton(AF_INET6, "fe80::1", &from.sin6_addr), 1);
	for (unsigned index = 7; index < 9; index++) {
		group.index = from.sin6_scope_id = index;
		CU_ASSERT_EQUAL(tunnel_group_heard(&group, &send, &bed.a->port, table,
						   tunnel_remote_of(&send, &from), &from),
				1);
		CU_ASSERT_EQUAL(send.remotes[1].endpoint.address.in6.sin6_scope_id, index);
	}
	/* Not by one that is not the group's. */
	from.sin6_scope_id = 9;
	CU_ASSERT_EQUAL(tunnel_group_heard(&group, &send, &bed.a->port, table, 1, &from), 1);
	CU_ASSERT_EQUAL(send.remotes[1].endpoint.address.in6.sin6_scope_id, 8);
	mac_table_destroy(table);
	tunnel_send_close(&send);
	bed_end(&bed);
}

UNIT_MAIN("tunnels", UNIT(test_which_remote), UNIT(test_headers_of_a_burst),
	  UNIT(test_one_that_invents), UNIT(test_what_it_knew_is_forgotten),
	  UNIT(test_hosts_of_a_group), UNIT(test_an_interface_that_goes),
	  UNIT(test_hosts_behind_an_interface_made_anew))
