/* SPDX-License-Identifier: BSD-2-Clause */
/* netdev: fragments of IPv4 are put together, in whatever order they come. */
#include "unit.h"

#include <string.h>

#include "netdev/ip_fragments.h"
#include "util/bytes.h"

#define ETHERNET 14
#define SECOND   1000000000ull

static uint64_t random_state = 1;

static unsigned any(unsigned below)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(random_state >> 33) % below;
}

static uint16_t sum_of(const uint8_t *header, size_t length)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < length; i += 2)
		sum += get_be16(header + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* The bytes of a datagram of that number. */
static uint8_t byte_at(uint16_t id, unsigned offset)
{
	return (uint8_t)(id * 7 + offset + offset / 251);
}

/* A fragment with `length` bytes from `offset` on; returns the frame's length. */
static size_t make(uint8_t *frame, uint16_t id, unsigned offset, unsigned length, bool more)
{
	unsigned header = offset ? 20 : 24; /* the first one has an option */
	uint8_t *ip = frame + ETHERNET;

	memset(frame, 0, ETHERNET + header);
	frame[5] = (uint8_t)id;
	put_be16(frame + 12, 0x0800);
	ip[0] = (uint8_t)(0x40 | header / 4);
	put_be16(ip + 2, (uint16_t)(header + length));
	put_be16(ip + 4, id);
	put_be16(ip + 6, (uint16_t)(offset / 8 | (more ? 0x2000 : 0)));
	ip[8] = 64;
	ip[9] = 17;
	put_be32(ip + 12, 0x0a00020f);
	put_be32(ip + 16, 0xc0000201);
	if (header == 24)
		memset(ip + 20, 1, 4);
	put_be16(ip + 10, sum_of(ip, header));
	for (unsigned i = 0; i < length; i++)
		ip[header + i] = byte_at(id, offset + i);
	return ETHERNET + header + length;
}

/* From the station of that number. */
static const uint8_t *give_from(struct ip_fragments *fragments, uint8_t station, uint16_t id,
				unsigned offset, unsigned length, bool more, uint64_t now,
				size_t *whole)
{
	static uint8_t frame[ETHERNET + 60 + 65536];

	*whole = make(frame, id, offset, length, more);
	frame[11] = station;
	return ip_fragments_add(fragments, frame, whole, now);
}

static const uint8_t *give(struct ip_fragments *fragments, uint16_t id, unsigned offset,
			   unsigned length, bool more, uint64_t now, size_t *whole)
{
	return give_from(fragments, 0, id, offset, length, more, now, whole);
}

static bool is_right(const uint8_t *frame, size_t length, uint16_t id, unsigned payload)
{
	const uint8_t *ip = frame + ETHERNET;

	if (length != ETHERNET + 24 + payload || get_be16(ip + 2) != 24 + payload ||
	    get_be16(ip + 6) || sum_of(ip, 24) || frame[5] != (uint8_t)id)
		return false;
	for (unsigned i = 0; i < payload; i++)
		if (ip[24 + i] != byte_at(id, i))
			return false;
	return true;
}

/* 2000 datagrams, up to three at a time, in parts of any size, in any order, some of them twice. */
static void test_any_order(void)
{
	struct ip_fragments *fragments = ip_fragments_create();

	for (uint16_t id = 0; id < 2000; id++) {
		unsigned size = 9 + any(id % 50 ? 3000 : 65400), cuts[64] = { 0 }, parts = 1,
			 done = 0;
		unsigned order[64];

		while (parts < 40 && cuts[parts - 1] + 8 < size) {
			cuts[parts] =
				cuts[parts - 1] + 8 * (1 + any(size > 3000 ? 400 : 1 + size / 16));
			if (cuts[parts] >= size)
				break;
			parts++;
		}
		cuts[parts] = size;
		for (unsigned i = 0; i < parts; i++) {
			unsigned k = any(i + 1);

			order[i] = order[k];
			order[k] = i;
		}
		for (unsigned i = 0; i < parts && parts > 1; i++) {
			unsigned part = order[i];
			bool twice = i + 1 < parts && !any(5);

			for (unsigned k = 0; k <= twice; k++) {
				size_t length;
				const uint8_t *frame =
					give(fragments, id, cuts[part], cuts[part + 1] - cuts[part],
					     part + 1 < parts, id, &length);

				CU_ASSERT_EQUAL(frame != NULL, i + 1 == parts);
				if (frame) {
					CU_ASSERT_TRUE(is_right(frame, length, id, size));
					done++;
				}
			}
		}
		CU_ASSERT_EQUAL(done, parts > 1);
	}
	ip_fragments_destroy(fragments);
}

/* What does not fit together ends the datagram; what comes after it begins another one. */
static void test_contradictions(void)
{
	static const struct {
		unsigned offset[4], length[4];
		bool more[4];
		unsigned count;
	} cases[] = {
		{ { 0, 8, 24 }, { 16, 16, 8 }, { true, true, false }, 3 },     /* overlap */
		{ { 0, 24, 16 }, { 16, 8, 24 }, { true, false, true }, 3 },    /* behind the end */
		{ { 24, 16, 0 }, { 8, 8, 16 }, { false, false, true }, 3 },    /* two ends */
		{ { 16, 0, 8 }, { 8, 24, 8 }, { false, true, true }, 3 },      /* covers another */
		{ { 0, 65512, 16 }, { 16, 40, 8 }, { true, false, true }, 3 }, /* too long */
		{ { 0, 20, 24 }, { 20, 8, 8 }, { true, true, false }, 3 },     /* no whole units */
		{ { 0, 40, 16 }, { 8, 8, 8 }, { true, true, false }, 3 },      /* a hole */
		{ { 40, 16, 0 }, { 8, 8, 8 }, { true, false, true }, 3 },      /* as above */
	};
	struct ip_fragments *fragments = ip_fragments_create();
	const uint8_t *frame;
	size_t length;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (unsigned k = 0; k < cases[i].count; k++)
			CU_ASSERT_PTR_NULL(give(fragments, (uint16_t)i, cases[i].offset[k],
						cases[i].length[k], cases[i].more[k], 0, &length));
	/* A datagram of 65535 bytes, but with an option in its first part: it is one too long. */
	CU_ASSERT_PTR_NULL(give(fragments, 50, 65512, 3, false, 0, &length));
	CU_ASSERT_PTR_NULL(give(fragments, 50, 0, 65504, true, 0, &length));
	CU_ASSERT_PTR_NULL(give(fragments, 50, 65504, 8, true, 0, &length));
	/* The last one alone, which libslirp 4.7 does not survive. */
	CU_ASSERT_PTR_NULL(give(fragments, 60, 8, 93, false, 0, &length));
	frame = give(fragments, 60, 0, 8, true, 0, &length);
	CU_ASSERT_PTR_NOT_NULL_FATAL(frame);
	CU_ASSERT_TRUE(is_right(frame, length, 60, 101));
	ip_fragments_destroy(fragments);
}

static void test_room_and_patience(void)
{
	struct ip_fragments *fragments = ip_fragments_create();
	size_t length;

	for (uint16_t id = 0; id <= IP_FRAGMENTS_DATAGRAMS; id++)
		CU_ASSERT_PTR_NULL(give(fragments, id, 0, 16, true, id, &length));
	CU_ASSERT_PTR_NULL(give(fragments, 0, 16, 5, false, 20, &length)); /* given up */
	for (uint16_t id = 2; id <= IP_FRAGMENTS_DATAGRAMS; id++)
		CU_ASSERT_PTR_NOT_NULL(give(fragments, id, 16, 5, false, 20, &length));
	CU_ASSERT_PTR_NULL(give(fragments, 99, 0, 16, true, 20, &length));
	CU_ASSERT_PTR_NULL(give(fragments, 99, 16, 5, false, 20 + 31 * SECOND, &length));
	CU_ASSERT_PTR_NOT_NULL(give(fragments, 99, 0, 16, true, 20 + 32 * SECOND, &length));
	ip_fragments_destroy(fragments);
}

/* One that begins datagrams without end takes nobody else's place, and its fragments are part of nobody else's datagram. */
static void test_greedy_station(void)
{
	struct ip_fragments *fragments = ip_fragments_create();
	const uint8_t *frame;
	uint64_t now = 0;
	size_t length;

	for (uint16_t id = 0; id < 100; id++)
		CU_ASSERT_PTR_NULL(give_from(fragments, 1, id, 0, 16, true, now++, &length));
	/* Three others, of which one has several on their way. */
	for (uint8_t station = 2; station < 5; station++)
		for (uint16_t id = 0; id < (station == 4 ? 5 : 1); id++)
			CU_ASSERT_PTR_NULL(
				give_from(fragments, station, id, 0, 16, true, now++, &length));
	for (uint16_t id = 100; id < 1000; id++)
		CU_ASSERT_PTR_NULL(give_from(fragments, 1, id, 0, 16, true, now++, &length));
	/* A station that says it were another. */
	CU_ASSERT_PTR_NULL(give_from(fragments, 1, 0, 8, 16, true, now, &length));
	for (uint8_t station = 2; station < 5; station++)
		for (uint16_t id = 0; id < (station == 4 ? 5 : 1); id++) {
			frame = give_from(fragments, station, id, 16, 5, false, now, &length);
			CU_ASSERT_PTR_NOT_NULL_FATAL(frame);
			CU_ASSERT_TRUE(is_right(frame, length, id, 21));
		}
	/* Alone, it has all the room. */
	for (uint16_t id = 0; id < IP_FRAGMENTS_DATAGRAMS; id++)
		CU_ASSERT_PTR_NULL(give_from(fragments, 1, (uint16_t)(2000 + id), 0, 16, true,
					     now + id, &length));
	for (uint16_t id = 0; id < IP_FRAGMENTS_DATAGRAMS; id++)
		CU_ASSERT_PTR_NOT_NULL(give_from(fragments, 1, (uint16_t)(2000 + id), 16, 5, false,
						 now + 99, &length));
	ip_fragments_destroy(fragments);
}

static void test_what_is_a_fragment(void)
{
	struct ip_fragments *fragments = ip_fragments_create();
	uint8_t frame[ETHERNET + 100];
	size_t length = make(frame, 1, 8, 8, false), again;

	CU_ASSERT_TRUE(ip_fragments_is_one(frame, length));
	CU_ASSERT_FALSE(ip_fragments_is_one(frame, 33));
	for (size_t cut = 34; cut < length; cut++) {
		again = cut;
		CU_ASSERT_PTR_NULL(ip_fragments_add(fragments, frame, &again, 0));
	}
	frame[ETHERNET + 10] ^= 1; /* its checksum */
	again = length;
	CU_ASSERT_PTR_NULL(ip_fragments_add(fragments, frame, &again, 0));
	CU_ASSERT_PTR_NULL(give(fragments, 1, 0, 8, true, 0, &again));
	frame[ETHERNET + 10] ^= 1;
	CU_ASSERT_PTR_NOT_NULL(ip_fragments_add(fragments, frame, &length, 0));
	make(frame, 1, 0, 8, false);
	CU_ASSERT_FALSE(ip_fragments_is_one(frame, sizeof(frame)));
	put_be16(frame + ETHERNET + 6, 0x4000); /* not to be fragmented */
	CU_ASSERT_FALSE(ip_fragments_is_one(frame, sizeof(frame)));
	ip_fragments_destroy(fragments);
}

UNIT_MAIN("fragments of IPv4", UNIT(test_any_order), UNIT(test_contradictions),
	  UNIT(test_room_and_patience), UNIT(test_greedy_station), UNIT(test_what_is_a_fragment))
