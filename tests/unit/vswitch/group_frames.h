/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames of IGMP and MLD for tests, made by hand: an Ethernet header, an IP header, the bytes of a message. */
#ifndef TENON_TESTS_UNIT_GROUP_FRAMES_H
#define TENON_TESTS_UNIT_GROUP_FRAMES_H

#include <stdint.h>
#include <string.h>

#include "util/bytes.h"

#define GROUP_FRAME_ROOM 2048

struct group_frame {
	uint8_t bytes[GROUP_FRAME_ROOM];
	size_t length;
	size_t ip, message; /* where these begin */
};

static inline uint16_t group_frame_sum(uint32_t sum, const uint8_t *at, size_t length)
{
	for (size_t i = 0; i < length; i++)
		sum += i % 2 ? at[i] : (uint32_t)at[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Sets the checksums anew. */
static inline void group_frame_finish(struct group_frame *frame)
{
	uint8_t *ip = frame->bytes + frame->ip, *message = frame->bytes + frame->message;
	size_t length = frame->length - frame->message;
	uint32_t pseudo = 0;

	if (ip[0] >> 4 == 4) {
		put_be16(ip + 10, 0);
		put_be16(ip + 10, group_frame_sum(0, ip, (ip[0] & 15) * 4u));
	} else {
		pseudo = 58 + (uint32_t)length;
		for (unsigned i = 0; i < 32; i += 2)
			pseudo += get_be16(ip + 8 + i);
	}
	put_be16(message + 2, 0);
	put_be16(message + 2, group_frame_sum(pseudo, message, length));
}

/* IGMP with a router alert. */
static inline void group_frame_igmp(struct group_frame *frame, uint32_t source,
				    uint32_t destination, const void *message, size_t length)
{
	uint8_t *ip = frame->bytes + 14;

	memset(frame, 0, sizeof(*frame));
	frame->ip = 14;
	frame->message = 38;
	frame->length = 38 + length;
	put_be16(frame->bytes, 0x0100);
	put_be32(frame->bytes + 2, 0x5e000000 | (destination & 0x7fffff));
	put_be32(frame->bytes + 6, 0x02000000);
	put_be16(frame->bytes + 10, (uint16_t)source);
	put_be16(frame->bytes + 12, 0x0800);
	ip[0] = 0x46;
	put_be16(ip + 2, (uint16_t)(24 + length));
	ip[8] = 1;
	ip[9] = 2;
	put_be32(ip + 12, source);
	put_be32(ip + 16, destination);
	put_be32(ip + 20, 0x94040000);
	memcpy(frame->bytes + 38, message, length);
	group_frame_finish(frame);
}

/* Of 8 bytes: a query of IGMP 1 or 2, a report, a leave. */
static inline void group_frame_igmp_plain(struct group_frame *frame, uint32_t source,
					  uint32_t destination, uint8_t type, uint8_t code,
					  uint32_t group)
{
	uint8_t message[8] = { type, code };

	put_be32(message + 4, group);
	group_frame_igmp(frame, source, destination, message, sizeof(message));
}

/* A report of IGMP 3 with one record, and `sources` sources. */
static inline void group_frame_igmp_record(struct group_frame *frame, uint32_t source, uint8_t type,
					   uint32_t group, unsigned sources)
{
	uint8_t message[16 + 4 * 16] = { 0x22, [7] = 1, [8] = type };

	put_be16(message + 10, (uint16_t)sources);
	put_be32(message + 12, group);
	for (unsigned i = 0; i < sources; i++)
		put_be32(message + 16 + 4 * i, 0x0a000100 + i);
	group_frame_igmp(frame, source, 0xe0000016, message, 16 + 4 * sources);
}

/* MLD from fe80::`source` to the group ff`scope_and_flags`::`destination`. */
static inline void group_frame_mld(struct group_frame *frame, uint64_t source, uint8_t scope,
				   uint64_t destination, const void *message, size_t length)
{
	static const uint8_t alert[8] = { 58, 0, 5, 2, 0, 0, 1, 0 };
	uint8_t *ip = frame->bytes + 14;

	memset(frame, 0, sizeof(*frame));
	frame->ip = 14;
	frame->message = 62;
	frame->length = 62 + length;
	put_be16(frame->bytes, 0x3333);
	put_be32(frame->bytes + 2, (uint32_t)destination);
	put_be32(frame->bytes + 6, 0x02000000);
	put_be16(frame->bytes + 10, (uint16_t)source);
	put_be16(frame->bytes + 12, 0x86dd);
	ip[0] = 0x60;
	put_be16(ip + 4, (uint16_t)(8 + length));
	ip[7] = 1;
	put_be64(ip + 8, source ? 0xfe80000000000000 : 0);
	put_be64(ip + 16, source);
	ip[24] = 0xff;
	ip[25] = scope;
	put_be64(ip + 32, destination);
	memcpy(ip + 40, alert, 8);
	memcpy(frame->bytes + 62, message, length);
	group_frame_finish(frame);
}

/* Of 24 bytes: a query of MLD 1, a report, done; of the group ff0e::`group`, or none (0). */
static inline void group_frame_mld_plain(struct group_frame *frame, uint64_t source, uint8_t type,
					 uint16_t code, uint64_t group)
{
	uint8_t message[24] = { type };

	put_be16(message + 4, code);
	if (group)
		put_be16(message + 8, 0xff0e);
	put_be64(message + 16, group);
	group_frame_mld(frame, source, group ? 0x0e : 2, group ? group : 1, message,
			sizeof(message));
}

/* A report of MLD 2 with one record. */
static inline void group_frame_mld_record(struct group_frame *frame, uint64_t source, uint8_t type,
					  uint64_t group, unsigned sources)
{
	uint8_t message[28 + 16 * 4] = { 143, [7] = 1, [8] = type };

	put_be16(message + 10, (uint16_t)sources);
	put_be16(message + 12, 0xff0e);
	put_be64(message + 20, group);
	group_frame_mld(frame, source, 2, 0x16, message, 28 + 16 * sources);
}

#endif
