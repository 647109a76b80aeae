/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-net frames: the header before each frame, what it asks of the receiver, and doing in
 * software what a receiver cannot do.
 *
 * A sender may leave a checksum unfinished (flags NEEDS_CSUM: sum from csum_start to the end of the
 * frame, store at csum_start + csum_offset, where the sender has put the pseudo header's sum) and may
 * hand over one large frame for the receiver to cut into segments of gso_size (GSO). Both travel
 * through the switch unchanged where the receiver negotiated them; else virtio_net_complete_checksum()
 * and the segmenter do the work. virtio_net_action() decides which.
 *
 * Everything in a header is hostile. hdr_len is a hint that may be wrong, so the packet's own headers
 * are parsed. virtio_net_decode() is the one place that reads a header; all else works on the checked
 * `struct virtio_net_offload`.
 *
 * A frame is given as pieces (struct iovec) of which the first is private memory that the sender can no
 * longer change; all that is decided on lies in that first piece, the "head".
 *
 * Source: virtio 1.2, section 5.1.6 (device operation); section 5.1.3 (feature bits).
 */
#ifndef TENON_VIRTIO_NET_H
#define TENON_VIRTIO_NET_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Since virtio 1.2; Debian 12's kernel headers lack them. */
#ifndef VIRTIO_NET_F_GUEST_USO4
#define VIRTIO_NET_F_GUEST_USO4 54
#define VIRTIO_NET_F_GUEST_USO6 55
#define VIRTIO_NET_F_HOST_USO   56
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

#define VIRTIO_NET_BIT(feature) (1ULL << VIRTIO_NET_F_##feature)

/* What a receiver may be handed. */
#define VIRTIO_NET_GUEST_OFFLOADS                                                                  \
	(VIRTIO_NET_BIT(GUEST_CSUM) | VIRTIO_NET_BIT(GUEST_TSO4) | VIRTIO_NET_BIT(GUEST_TSO6) |    \
	 VIRTIO_NET_BIT(GUEST_ECN) | VIRTIO_NET_BIT(GUEST_USO4) | VIRTIO_NET_BIT(GUEST_USO6))

/* What a sender may hand over. */
#define VIRTIO_NET_HOST_OFFLOADS                                                                   \
	(VIRTIO_NET_BIT(CSUM) | VIRTIO_NET_BIT(HOST_TSO4) | VIRTIO_NET_BIT(HOST_TSO6) |            \
	 VIRTIO_NET_BIT(HOST_ECN) | VIRTIO_NET_BIT(HOST_USO))

/* As it lies before the frame, with VIRTIO_F_VERSION_1 or VIRTIO_NET_F_MRG_RXBUF; little-endian. */
struct virtio_net_header {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
	uint16_t num_buffers;
} __attribute__((packed));

_Static_assert(sizeof(struct virtio_net_header) == 12, "virtio 1.2, 5.1.6");
_Static_assert(offsetof(struct virtio_net_header, num_buffers) == 10, "virtio 1.2, 5.1.6");

#define VIRTIO_NET_FRAME_MIN 14 /* an Ethernet header */
#define VIRTIO_NET_FRAME_MAX                                                                       \
	65553 /* 65535 of IP, Ethernet header, one tag: the largest GSO frame */

/* All headers of a frame, and its checksum field, must lie within this many bytes: Ethernet, two tags,
 * IPv6 with some extension headers, TCP with all its options; or a tunnel's headers twice. */
#define VIRTIO_NET_HEAD_MAX 256

/* A large frame that would be cut into more is refused: no stack makes one, and it costs the sender
 * nothing while it costs the switch much. */
#define VIRTIO_NET_SEGMENTS_MAX 8192

/* What a frame asks for, checked against the frame, in host byte order. All zero: nothing. */
struct virtio_net_offload {
	bool needs_checksum;
	bool checksum_valid; /* the sender vouches for the checksums (DATA_VALID) */
	bool ecn;            /* the large TCP frame has CWR set */
	bool ipv6;           /* of a large frame */
	uint8_t gso;         /* VIRTIO_NET_HDR_GSO_NONE, _TCPV4, _TCPV6 or _UDP_L4 */
	uint16_t gso_size;   /* payload of a segment; > 0 with gso */
	uint16_t checksum_start;
	uint16_t checksum_offset;
	/* Of a large frame: where the IP header and the payload begin; the transport header begins at
	 * checksum_start. */
	uint16_t network;
	uint16_t headers;
};

static inline bool virtio_net_asks_nothing(const struct virtio_net_offload *offload)
{
	return !(offload->needs_checksum | offload->checksum_valid | offload->gso);
}

/* Why a header was refused; also the order of the counters' names. */
enum virtio_net_fault {
	VIRTIO_NET_FAULT_NONE,
	VIRTIO_NET_FAULT_LENGTH,   /* frame shorter than an Ethernet header or too long */
	VIRTIO_NET_FAULT_CHECKSUM, /* the checksum's place is not inside the frame's headers */
	VIRTIO_NET_FAULT_GSO,      /* unknown or unoffered type, no size, no NEEDS_CSUM, too many */
	VIRTIO_NET_FAULT_PACKET,   /* the packet's headers are not what the GSO type says */
};

/*
 * Checks `header` against a frame of `length` bytes, of which the first `head_length` (the lesser of
 * `length` and VIRTIO_NET_HEAD_MAX, or more) lie at `head`, and describes it in *out. Returns
 * VIRTIO_NET_FAULT_NONE, or why the frame must be dropped; *out is then zeroed.
 */
enum virtio_net_fault virtio_net_decode(const struct virtio_net_header *header, const uint8_t *head,
					size_t head_length, size_t length,
					struct virtio_net_offload *out);

/* The header that tells a receiver the same, with num_buffers 1. */
void virtio_net_encode(const struct virtio_net_offload *offload, struct virtio_net_header *out);

enum virtio_net_action {
	VIRTIO_NET_PASS,     /* the receiver takes it as it is */
	VIRTIO_NET_CHECKSUM, /* finish the checksum first */
	VIRTIO_NET_SEGMENT,  /* cut into segments with finished checksums first */
};

/* What must be done before a receiver that negotiated `features` (VIRTIO_NET_F_GUEST_* count) gets it. */
enum virtio_net_action virtio_net_action(const struct virtio_net_offload *offload,
					 uint64_t features);

/* The longest frame, Ethernet header included, that a receiver would see on a wire: of a large frame,
 * one segment. */
size_t virtio_net_wire_length(const struct virtio_net_offload *offload, size_t length);

/* How many frames it is on a wire: of a large frame, its segments. */
unsigned virtio_net_wire_frames(const struct virtio_net_offload *offload, size_t length);

/* ---- Checksums ---- */

/* Adds `length` bytes to a ones' complement sum (RFC 1071) in memory order; `sum` is what an earlier
 * call returned, or 0. A piece of odd length may only be the last one. */
uint64_t virtio_net_sum(uint64_t sum, const void *at, size_t length);

/* The sum folded to 16 bits, not inverted, in memory order. */
uint16_t virtio_net_fold(uint64_t sum);

/* The sum of bytes [offset, offset + length) of a frame in pieces, whatever the pieces' lengths. */
uint64_t virtio_net_sum_pieces(uint64_t sum, const struct iovec *pieces, size_t count,
			       size_t offset, size_t length);

/*
 * Finishes the checksum that `offload` asks for and clears the request. The checksum's place lies in
 * pieces[0], which is written; the rest is only read. `length`: of the whole frame. Not for large frames.
 */
void virtio_net_complete_checksum(struct virtio_net_offload *offload, const struct iovec *pieces,
				  size_t count, size_t length);

/* ---- Segmentation ---- */

/* Cuts one large frame; `frame` stays the caller's and must not change meanwhile. */
struct virtio_net_segmenter {
	const struct iovec *pieces;
	size_t count, length;
	struct virtio_net_offload offload;
	unsigned next, total;
};

struct virtio_net_segment {
	size_t headers;        /* bytes at `head` */
	size_t payload_offset; /* in the large frame */
	size_t payload_length;
	uint8_t head[VIRTIO_NET_HEAD_MAX];
};

/* `offload->gso` is not NONE, and was decoded from this frame. */
void virtio_net_segmenter_start(struct virtio_net_segmenter *segmenter,
				const struct virtio_net_offload *offload,
				const struct iovec *pieces, size_t count, size_t length);

/* Makes the next segment: its headers with all checksums finished, and where its payload lies. False
 * after the last. */
bool virtio_net_segmenter_next(struct virtio_net_segmenter *segmenter,
			       struct virtio_net_segment *segment);

#endif
