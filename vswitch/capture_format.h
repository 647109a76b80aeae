/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes of capture files: classic pcap, or pcapng, with nanoseconds in both, in this host's byte order, as
 * both formats want it.
 *
 * libpcap reads pcapng but writes only classic pcap, which has room for neither port nor direction. pcapng's
 * interfaces all have the same link type and snapshot length, for libpcap refuses to read a file where they
 * differ.
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
#define CAPTURE_HEADER 28u
size_t capture_put_header(enum capture_format format, uint8_t *at);

/* pcapng's block that names an interface; at most CAPTURE_INTERFACE bytes for a name of 31. */
#define CAPTURE_INTERFACE 80u
size_t capture_put_interface(uint8_t *at, const char *name);

/*
 * A packet's record: capture_packet_room() bytes hold one of `length` bytes, whose content goes to
 * at + capture_packet_data(). capture_put_packet() writes the rest round it; returns its size.
 */
size_t capture_packet_room(enum capture_format format, size_t length);
size_t capture_packet_data(enum capture_format format);
size_t capture_put_packet(enum capture_format format, uint8_t *at, unsigned interface, bool out,
			  uint64_t time_ns, uint32_t length);

/* The largest record there is. */
#define CAPTURE_RECORD_MAX (VIRTIO_NET_FRAME_MAX + 64u)

/* The size of the record (packet or interface) that begins at `at`; whether it is a packet. */
size_t capture_record_size(enum capture_format format, const uint8_t *at);
bool capture_record_is_packet(enum capture_format format, const uint8_t *at);

/* Whether a file that begins with these bytes is a capture of one kind or the other. */
bool capture_is_one(const void *head, size_t length);

#endif
