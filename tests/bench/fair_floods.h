/* SPDX-License-Identifier: BSD-2-Clause */
/* The floods of fair_bench.c. */
#ifndef TENON_TESTS_BENCH_FAIR_FLOODS_H
#define TENON_TESTS_BENCH_FAIR_FLOODS_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "vswitch/frame.h"

#define LARGE 65226u /* 45 segments of 1448 bytes, and headers */
#define HEAD  128u

enum to { TO_OTHER, TO_RECEIVER, TO_STOPPED, TO_ALL, TO_UNKNOWN, TO_TREE, TO_LLDP, TO_GROUPS };

static const struct flood {
	const char *name;
	enum to to;
	unsigned length;
	unsigned floods; /* ports that do so; 0: one */
	unsigned others; /* ports beside */
	bool uncut;      /* large frames are taken by who they are for */
	double drain;    /* buffers that the receiver gives back a second; 0: each at once */
	unsigned bursts; /* so many at a time */
	bool sources;    /* each frame from an address that is new */
	bool filtered;
	unsigned call_ns; /* what the kernel takes to give one frame */
} floods[] = {
	{ "alone", .length = 0 },
	{ "60 bytes to another", TO_OTHER, 60 },
	{ "1514 bytes to another", TO_OTHER, 1514 },
	{ "large frames to another", TO_OTHER, LARGE, .uncut = true },
	{ "large frames to another who wants them cut", TO_OTHER, LARGE },
	{ "system calls for each frame", TO_OTHER, 60, .call_ns = 1500 },
	{ "60 bytes to the same", TO_RECEIVER, 60, .drain = 3e6 },
	{ "1514 bytes to the same", TO_RECEIVER, 1514, .drain = 3e6 },
	{ "large frames to the same", TO_RECEIVER, LARGE, .uncut = true, .drain = 3e6 },
	{ "large frames to the same who wants them cut", TO_RECEIVER, LARGE, .drain = 3e6 },
	{ "60 bytes to the same, which gives back 64 at a time", TO_RECEIVER, 60, .drain = 3e6,
	  .bursts = 64 },
	{ "12 ports to the same", TO_RECEIVER, 60, .floods = 12, .drain = 16e6 },
	{ "12 ports to another", TO_OTHER, 60, .floods = 12 },
	{ "broadcast to 4", TO_ALL, 60, .others = 4 },
	{ "broadcast to 60", TO_ALL, 60, .others = 60 },
	{ "broadcast to 240", TO_ALL, 60, .others = 240 },
	{ "unknown stations, to 60", TO_UNKNOWN, 60, .others = 60 },
	{ "broadcast of 1514 bytes to 60", TO_ALL, 1514, .others = 60 },
	{ "broadcast of large frames to 4", TO_ALL, LARGE, .others = 4, .uncut = true },
	{ "broadcast of large frames to 4 who want them cut", TO_ALL, LARGE, .others = 4 },
	{ "sources that are new", TO_OTHER, 60, .sources = true },
	{ "frames that a rule drops", TO_OTHER, 60, .filtered = true },
	{ "frames for the tree", TO_TREE, 60 },
	{ "frames for LLDP", TO_LLDP, 60 },
	{ "reports of groups", TO_GROUPS, 60 },
	{ "to who does not read", TO_STOPPED, 60 },
	{ "large frames to who does not read", TO_STOPPED, LARGE },
};

/* ---- Their frames ---- */

static void put_mac(uint8_t *at, uint64_t mac)
{
	put_be16(at, (uint16_t)(mac >> 32));
	put_be32(at + 2, (uint32_t)mac);
}

static uint64_t station(char name)
{
	return 0x020000000000 + (uint8_t)name;
}

static void make_large(struct frame *frame, uint8_t *head)
{
	struct virtio_net_header header = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					    .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
					    .hdr_len = htole16(66),
					    .gso_size = htole16(1448),
					    .csum_start = htole16(34),
					    .csum_offset = htole16(16) };

	put_be16(head + 12, 0x0800);
	head[14] = 0x45;
	put_be16(head + 16, (uint16_t)(frame->length - 14));
	head[23] = 6;
	head[46] = 0x80;
	if (virtio_net_decode(&header, head, HEAD, frame->length, &frame->offload))
		abort();
}

static uint64_t destination(const struct flood *flood)
{
	switch (flood->to) {
	case TO_RECEIVER:
		return station('r');
	case TO_STOPPED:
		return station('s');
	case TO_ALL:
		return 0xffffffffffff;
	case TO_TREE:
		return 0x0180c2000000;
	case TO_LLDP:
		return 0x0180c200000e;
	case TO_GROUPS:
		return 0x01005e010203;
	default:
		return station('o');
	}
}

/* What protocols look at; the checksums are right. */
static void fill_payload(const struct flood *flood, uint8_t *head)
{
	static const uint8_t tree[] = { 0,    0x26, 0x42, 0x42, 0x03, 0, 0, 2,   2,  0x3c,
					0x80, 0,    2,    0,    0,    0, 0, 'f', 0,  0,
					0,    0,    0x80, 0,    2,    0, 0, 0,   0,  'f',
					0x80, 1,    0,    0,    20,   0, 2, 0,   15, 0 };
	static const uint8_t lldp[] = { 0x88, 0xcc, 2, 7,   4, 2, 0, 0,   0, 0, 'f',
					4,    2,    7, 'p', 6, 2, 0, 120, 0, 0 };
	static const uint8_t report[] = { 0x08, 0, 0x46, 0, 0, 32, 0,   0, 0, 0, 1,    2,
					  0,    0, 10,   0, 0, 1,  239, 1, 2, 3, 0x94, 4,
					  0,    0, 0x16, 0, 0, 0,  239, 1, 2, 3 };
	uint16_t sum;
	const struct {
		const void *bytes;
		size_t length;
	} what[] = { [TO_TREE] = { tree, sizeof(tree) },
		     [TO_LLDP] = { lldp, sizeof(lldp) },
		     [TO_GROUPS] = { report, sizeof(report) } };

	put_be16(head + 12, 0x88b5);
	if (flood->to < TO_TREE)
		return;
	memcpy(head + 12, what[flood->to].bytes, what[flood->to].length);
	if (flood->to != TO_GROUPS)
		return;
	sum = (uint16_t)~virtio_net_fold(virtio_net_sum(0, head + 14, 24));
	memcpy(head + 24, &sum, sizeof(sum));
	sum = (uint16_t)~virtio_net_fold(virtio_net_sum(0, head + 38, 8));
	memcpy(head + 40, &sum, sizeof(sum));
}

#endif
