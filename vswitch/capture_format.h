/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes of capture files: classic pcap, or pcapng, with nanoseconds in both, in this host's byte order, as
 * both formats want it.
 *
 * libpcap reads pcapng but writes only classic pcap, which has room for neither port nor direction. pcapng's
 * interfaces all have the same link type and snapshot length, for libpcap refuses to read a file where they
 * differ.
 *
 * A packet that the switch dropped has the verdict of a Linux traffic control program that says so (TC_ACT_SHOT), which
 * Wireshark knows, and the reason as a comment.
 *
 * Sources: draft-ietf-opsawg-pcapng; pcap-savefile(5).
 */
#ifndef TENON_VSWITCH_CAPTURE_FORMAT_H
#define TENON_VSWITCH_CAPTURE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "virtio/virtio_net.h"

#define CAPTURE_SNAPLEN 262144

enum capture_format { CAPTURE_PCAP, CAPTURE_PCAPNG };

/* What a file begins with; at least CAPTURE_HEADER bytes at `at`. Returns how many it has. */
#define CAPTURE_HEADER      28u
#define CAPTURE_PCAP_HEADER 24u /* of classic pcap */
size_t capture_put_header(enum capture_format format, uint32_t snaplen, uint8_t *at);

/* pcapng's block that names an interface, and the filter of what is recorded there (NULL: all is); at most
 * CAPTURE_INTERFACE bytes, for a name of 31. Of a longer filter it has the beginning. */
#define CAPTURE_INTERFACE   400u
#define CAPTURE_FILTER_TEXT 255u
size_t capture_put_interface(uint8_t *at, const char *name, const char *filter, uint32_t snaplen);

/* pcapng's block of what an interface has counted until `time_ns`: CAPTURE_STATISTICS bytes. */
#define CAPTURE_STATISTICS 56u
size_t capture_put_statistics(uint8_t *at, unsigned interface, uint64_t time_ns, uint64_t received,
			      uint64_t dropped);

/* Of the link layer, as pcapng has it. */
enum capture_reception {
	CAPTURE_UNSPECIFIED,
	CAPTURE_UNICAST,
	CAPTURE_MULTICAST,
	CAPTURE_BROADCAST
};

#define CAPTURE_COMMENT 256u

struct capture_packet {
	unsigned interface;
	bool out;
	bool dropped; /* the switch dropped it: the verdict */
	enum capture_reception reception;
	uint64_t time_ns;
	uint64_t id;                   /* the same for all records of one packet; 0: none */
	uint64_t lost;                 /* records of the interface missing before this one */
	uint32_t captured, length;     /* bytes that are here; of the packet */
	char comment[CAPTURE_COMMENT]; /* or "" */
};

/*
 * A packet's record: capture_packet_room() bytes hold one, whose content goes to at + capture_packet_data().
 * capture_put_packet() writes the rest round it; returns its size. Classic pcap has room for time and lengths only.
 */
size_t capture_packet_room(enum capture_format format, const struct capture_packet *packet);
size_t capture_packet_data(enum capture_format format);
size_t capture_put_packet(enum capture_format format, uint8_t *at,
			  const struct capture_packet *packet);

/* The largest record there is. */
#define CAPTURE_RECORD_MAX (VIRTIO_NET_FRAME_MAX + 112u + CAPTURE_COMMENT)

/* The size of the record (packet or interface) that begins at `at`; whether it is a packet. */
size_t capture_record_size(enum capture_format format, const uint8_t *at);
bool capture_record_is_packet(enum capture_format format, const uint8_t *at);
bool capture_record_is_interface(enum capture_format format, const uint8_t *at);
/* Of a packet: the number of its interface; UINT32_MAX where the format does not say. */
uint32_t capture_record_interface(enum capture_format format, const uint8_t *at);

/* Whether a file that begins with these bytes is a capture of one kind or the other. */
bool capture_is_one(const void *head, size_t length);

#endif
