/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch: marks of congestion in IPv4 and IPv6, under tags, cut short, with right and wrong checksums. */
#include "unit.h"

#include <string.h>

#include "util/bytes.h"
#include "util/random.h"
#include "vswitch/link_ecn.h"

static uint16_t checksum(const uint8_t *at, unsigned length)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < length; i += 2)
		sum += get_be16(at + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* An IP header of random fields behind `tags` tags; returns where. */
static unsigned make(uint8_t frame[80], unsigned tags, unsigned version, unsigned ecn,
		     struct random *random)
{
	unsigned at = 12;

	random_fill(random, frame, 80);
	for (unsigned i = 0; i < tags; i++, at += 4)
		put_be16(frame + at, i + 1 < tags ? 0x88a8 : 0x8100);
	put_be16(frame + at, version == 4 ? 0x0800 : 0x86dd);
	at += 2;
	if (version == 4) {
		frame[at] = 0x45;
		frame[at + 1] = (uint8_t)((frame[at + 1] & ~3u) | ecn);
		put_be16(frame + at + 10, 0);
		put_be16(frame + at + 10, checksum(frame + at, 20));
	} else {
		frame[at] = (uint8_t)(0x60 | (frame[at] & 15));
		frame[at + 1] = (uint8_t)((frame[at + 1] & ~0x30u) | ecn << 4);
	}
	return at;
}

/* Nothing but the two bits changes, and the checksum is right as it was before. */
static void test_marks(void)
{
	struct random random = { 1 };

	for (unsigned i = 0; i < 3000; i++) {
		unsigned version = i & 1 ? 4 : 6, ecn = i / 2 % 4, tags = i / 8 % 3, at;
		uint8_t frame[80], before[80];

		at = make(frame, tags, version, ecn, &random);
		CU_ASSERT_EQUAL(link_ecn_capable(frame, sizeof(frame)), ecn != 0);
		if (!ecn)
			continue;
		memcpy(before, frame, sizeof(frame));
		link_ecn_mark(frame, sizeof(frame));
		CU_ASSERT_EQUAL(version == 4 ? frame[at + 1] & 3 : frame[at + 1] >> 4 & 3, 3);
		if (version == 4)
			CU_ASSERT_EQUAL(checksum(frame + at, 20), 0);
		before[at + 1] = frame[at + 1];
		if (version == 4)
			memcpy(before + at + 10, frame + at + 10, 2);
		CU_ASSERT_EQUAL(memcmp(before, frame, sizeof(frame)), 0);
	}
}

/* What is cut short, of another version than it says, or no IP, is not touched. */
static void test_what_is_no_packet(void)
{
	struct random random = { 2 };
	uint8_t frame[80], before[80];
	unsigned at;

	for (unsigned version = 4; version <= 6; version += 2)
		for (unsigned tags = 0; tags < 3; tags++) {
			at = make(frame, tags, version, 1, &random);
			memcpy(before, frame, sizeof(frame));
			for (unsigned length = 0; length < at + (version == 4 ? 20 : 40);
			     length++) {
				CU_ASSERT_FALSE(link_ecn_capable(frame, length));
				link_ecn_mark(frame, length);
			}
			CU_ASSERT_EQUAL(memcmp(before, frame, sizeof(frame)), 0);
		}
	at = make(frame, 0, 4, 2, &random);
	frame[at] = 0x44;
	CU_ASSERT_FALSE(link_ecn_capable(frame, sizeof(frame)));
	frame[at] = 0x65;
	CU_ASSERT_FALSE(link_ecn_capable(frame, sizeof(frame)));
	put_be16(frame + 12, 0x0806);
	CU_ASSERT_FALSE(link_ecn_capable(frame, sizeof(frame)));
}

UNIT_MAIN("link_ecn", UNIT(test_marks), UNIT(test_what_is_no_packet))
