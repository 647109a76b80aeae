/* SPDX-License-Identifier: BSD-2-Clause */
/* See link_ecn.h. */
#include "vswitch/link_ecn.h"

#include "util/bytes.h"

#define TAGS_MOST 2
#define ECN_MASK  3u

/* Where the IP header begins, and of which version it is; 0: there is none. */
static size_t find_header(const uint8_t *frame, size_t length, unsigned *version)
{
	size_t at = 12;
	uint16_t type;

	if (length < 14)
		return 0;
	type = get_be16(frame + at);
	for (unsigned i = 0; i < TAGS_MOST && (type == 0x8100 || type == 0x88a8); i++) {
		at += 4;
		if (length < at + 2)
			return 0;
		type = get_be16(frame + at);
	}
	at += 2;
	*version = type == 0x0800 ? 4 : type == 0x86dd ? 6 : 0;
	if (!*version || length < at + (*version == 4 ? 20u : 40u) || frame[at] >> 4 != *version)
		return 0;
	return *version == 4 && (frame[at] & 15) < 5 ? 0 : at;
}

bool link_ecn_header(const uint8_t *frame, size_t length, uint8_t *traffic_class, uint8_t *hops)
{
	unsigned version;
	size_t at = find_header(frame, length, &version);

	if (!at)
		return false;
	*traffic_class = version == 4 ? frame[at + 1] : (uint8_t)(get_be16(frame + at) >> 4);
	*hops = frame[at + (version == 4 ? 8 : 7)];
	return true;
}

int link_ecn_field(const uint8_t *frame, size_t length)
{
	uint8_t traffic_class, hops;

	return link_ecn_header(frame, length, &traffic_class, &hops) ? traffic_class & (int)ECN_MASK
								     : -1;
}

bool link_ecn_capable(const uint8_t *frame, size_t length)
{
	return link_ecn_field(frame, length) > 0;
}

void link_ecn_set(uint8_t *frame, size_t length, unsigned field)
{
	unsigned version;
	size_t at = find_header(frame, length, &version);
	uint32_t before, sum;

	if (!at)
		return;
	if (version == 6) {
		frame[at + 1] = (uint8_t)((frame[at + 1] & ~(ECN_MASK << 4)) | field << 4);
		return;
	}
	before = get_be16(frame + at);
	frame[at + 1] = (uint8_t)((frame[at + 1] & ~ECN_MASK) | field);
	/* RFC 1624, equation 3. */
	sum = (uint16_t)~get_be16(frame + at + 10) + (uint16_t)~before + get_be16(frame + at);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	put_be16(frame + at + 10, (uint16_t)~sum);
}

void link_ecn_mark(uint8_t *frame, size_t length)
{
	link_ecn_set(frame, length, LINK_ECN_CE);
}
