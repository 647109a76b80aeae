/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lib/virtio/virtio_net: where a checksum may be left open. Finishing it writes two bytes of the sender's choice, so its place is none
 * that anything was decided by: not the IP protocol, an address, a port or a group.
 */
#include "unit.h"

#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>

#include "util/bytes.h"
#include "virtio/virtio_net.h"

#define LENGTH 200u

struct scene {
	uint8_t bytes[LENGTH];
	size_t network, transport;
};

/* `tags` of the VLAN type, then IP with a transport of `protocol` behind `options` bytes. */
static struct scene make_frame(bool ipv6, unsigned tags, uint8_t protocol, size_t options)
{
	struct scene scene = { .network = 14 + 4 * tags };
	uint8_t *ip = scene.bytes + scene.network;

	for (unsigned i = 0; i < tags; i++)
		put_be16(scene.bytes + 12 + 4 * i, ETHERTYPE_VLAN);
	put_be16(ip - 2, ipv6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP);
	scene.transport = scene.network + (ipv6 ? 40 : 20) + options;
	if (ipv6) {
		ip[0] = 0x60;
		ip[6] = options ? IPPROTO_HOPOPTS : protocol;
		ip[40] = options ? protocol : 0;
		ip[41] = options ? (uint8_t)(options / 8 - 1) : 0;
	} else {
		ip[0] = (uint8_t)(0x45 + options / 4);
		ip[9] = protocol;
	}
	return scene;
}

static bool is_taken(const struct scene *scene, size_t start, size_t offset)
{
	const struct virtio_net_header header = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
						  .csum_start = htole16((uint16_t)start),
						  .csum_offset = htole16((uint16_t)offset) };
	struct virtio_net_offload offload;
	enum virtio_net_fault fault =
		virtio_net_decode(&header, scene->bytes, LENGTH, LENGTH, &offload);

	CU_ASSERT(fault == VIRTIO_NET_FAULT_NONE || fault == VIRTIO_NET_FAULT_CHECKSUM);
	return fault == VIRTIO_NET_FAULT_NONE;
}

/* Every place in a TCP or UDP packet: its checksum's, from its start, and those of a packet in it. */
static void check_every_place(bool ipv6, unsigned tags, uint8_t protocol, size_t options)
{
	struct scene scene = make_frame(ipv6, tags, protocol, options);
	size_t own = protocol == IPPROTO_TCP ? 16 : 6;

	for (size_t start = 14; start < LENGTH - 2; start++)
		for (size_t offset = 0; start + offset + 2 <= LENGTH; offset++) {
			bool wanted = start == scene.transport ? offset == own
							       : start >= scene.transport + 8;

			if (is_taken(&scene, start, offset) == wanted)
				continue;
			printf("ipv6 %d, %u tags, protocol %u, %zu options: %zu+%zu\n", ipv6, tags,
			       protocol, options, start, offset);
			CU_FAIL_FATAL("taken, or not, against the rule");
		}
}

static void test_no_header_is_written(void)
{
	for (unsigned tags = 0; tags <= 2; tags++)
		for (unsigned tcp = 0; tcp < 2; tcp++)
			for (unsigned options = 0; options <= 16; options += 8) {
				uint8_t protocol = tcp ? IPPROTO_TCP : IPPROTO_UDP;

				check_every_place(false, tags, protocol, options);
				check_every_place(true, tags, protocol, options);
			}
}

/* A group's message may only have its own checksum open. */
static void test_groups(void)
{
	struct scene igmp = make_frame(false, 0, IPPROTO_IGMP, 4);
	struct scene mld = make_frame(true, 0, IPPROTO_ICMPV6, 8);

	CU_ASSERT(is_taken(&igmp, igmp.transport, 2));
	CU_ASSERT_FALSE(is_taken(&igmp, igmp.transport, 0));
	CU_ASSERT_FALSE(is_taken(&igmp, igmp.transport, 4));
	CU_ASSERT(is_taken(&mld, mld.transport, 2));
	CU_ASSERT_FALSE(is_taken(&mld, mld.transport, 8));
	/* The options before it, by which a router is alerted. */
	CU_ASSERT_FALSE(is_taken(&mld, mld.transport - 8, 2));
}

/* What is not whole or no IP: behind what is known of it. */
static void test_others(void)
{
	struct scene fragment = make_frame(false, 0, IPPROTO_UDP, 0);
	struct scene other = { .network = 14 };
	struct scene tags = { .network = 14 };

	put_be16(fragment.bytes + 14 + 6, 0x2000);
	CU_ASSERT(is_taken(&fragment, fragment.transport, 0));
	CU_ASSERT_FALSE(is_taken(&fragment, fragment.transport - 1, 1));
	put_be16(other.bytes + 12, 0x88b5);
	CU_ASSERT(is_taken(&other, 14, 0));
	put_be16(other.bytes + 12, 0); /* a length */
	CU_ASSERT(is_taken(&other, 20, 0));
	for (unsigned i = 0; i < 3; i++)
		put_be16(tags.bytes + 12 + 4 * i, ETHERTYPE_VLAN);
	CU_ASSERT(is_taken(&tags, 26, 0));
	CU_ASSERT_FALSE(is_taken(&tags, 25, 0));
}

UNIT_MAIN("where a checksum may be left open", UNIT(test_no_header_is_written), UNIT(test_groups),
	  UNIT(test_others))
