/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch/bond_hash, bond_config: which link a frame leaves by, and what moves when links come and go. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "vswitch/bond_hash.h"
#include "vswitch/port_config.h"

#define NETWORK 12

static void make_ipv4(uint8_t frame[64], uint8_t from, uint8_t to, uint16_t from_port,
		      uint16_t to_port)
{
	memset(frame, 0, 64);
	frame[0] = frame[6] = 2;
	frame[5] = to;
	frame[11] = from;
	put_be16(frame + 12, 0x0800);
	frame[14] = 0x45;
	frame[23] = 6;
	put_be32(frame + 26, 0x0a000000u | from);
	put_be32(frame + 30, 0x0a000000u | to);
	put_be16(frame + 34, from_port);
	put_be16(frame + 36, to_port);
}

static uint32_t hash_of(enum bond_hash_kind kind, const uint8_t frame[64])
{
	return bond_hash(kind, 1, frame, 64, NETWORK);
}

static void test_both_ways_are_one_flow(void)
{
	static const enum bond_hash_kind kinds[] = { BOND_LAYER2, BOND_LAYER23, BOND_LAYER34 };
	uint8_t there[64], back[64];

	make_ipv4(there, 1, 2, 1000, 80);
	make_ipv4(back, 2, 1, 80, 1000);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		CU_ASSERT_EQUAL(hash_of(kinds[i], there), hash_of(kinds[i], back));
	CU_ASSERT_NOT_EQUAL(hash_of(BOND_VLAN_SOURCE, there), hash_of(BOND_VLAN_SOURCE, back));
}

static void test_each_kind_looks_at_its_fields(void)
{
	uint8_t a[64], b[64], ip[64], ports[64], tagged[68];

	make_ipv4(a, 1, 2, 1000, 80);
	make_ipv4(ports, 1, 2, 1001, 80);
	make_ipv4(b, 1, 3, 1000, 80);
	memcpy(ip, a, 64);
	ip[33] = 77;
	CU_ASSERT_EQUAL(hash_of(BOND_LAYER2, a), hash_of(BOND_LAYER2, ports));
	CU_ASSERT_EQUAL(hash_of(BOND_LAYER2, a), hash_of(BOND_LAYER2, ip));
	CU_ASSERT_NOT_EQUAL(hash_of(BOND_LAYER2, a), hash_of(BOND_LAYER2, b));
	CU_ASSERT_EQUAL(hash_of(BOND_LAYER23, a), hash_of(BOND_LAYER23, ports));
	CU_ASSERT_NOT_EQUAL(hash_of(BOND_LAYER23, a), hash_of(BOND_LAYER23, ip));
	CU_ASSERT_NOT_EQUAL(hash_of(BOND_LAYER34, a), hash_of(BOND_LAYER34, ports));
	CU_ASSERT_NOT_EQUAL(hash_of(BOND_LAYER34, a), hash_of(BOND_LAYER34, ip));
	CU_ASSERT_NOT_EQUAL(bond_hash(BOND_VLAN_SOURCE, 1, a, 64, NETWORK),
			    bond_hash(BOND_VLAN_SOURCE, 2, a, 64, NETWORK));
	/* Behind a tag all is as without. */
	memcpy(tagged, a, 12);
	put_be32(tagged + 12, 0x81000005);
	memcpy(tagged + 16, a + 12, 52);
	CU_ASSERT_EQUAL(bond_hash(BOND_LAYER34, 5, tagged, 68, NETWORK + 4),
			hash_of(BOND_LAYER34, a));
}

/* All fragments of a packet go one way: the later ones have no ports. */
static void test_fragments_stay_together(void)
{
	uint8_t first[64], later[64];

	make_ipv4(first, 1, 2, 1000, 80);
	put_be16(first + 20, 0x2000);
	make_ipv4(later, 1, 2, 0x1234, 0x5678);
	put_be16(later + 20, 100);
	CU_ASSERT_EQUAL(hash_of(BOND_LAYER34, first), hash_of(BOND_LAYER34, later));
}

/* What is short, or wrong, is looked at as far as it goes. */
static void test_short_frames_are_hashed(void)
{
	uint8_t frame[64];

	make_ipv4(frame, 1, 2, 1000, 80);
	for (size_t length = 14; length <= 64; length++) {
		uint8_t exact[64];

		memcpy(exact, frame, length);
		bond_hash(BOND_LAYER34, 0, exact, length, NETWORK);
		bond_hash(BOND_LAYER23, 0, exact, length, length < 18 ? NETWORK : NETWORK + 4);
	}
	frame[14] = 0x4f; /* options beyond the head */
	bond_hash(BOND_LAYER34, 0, frame, 40, NETWORK);
	frame[14] = 0x41; /* a header shorter than a header */
	CU_ASSERT_EQUAL(bond_hash(BOND_LAYER34, 0, frame, 64, NETWORK),
			bond_hash(BOND_LAYER34, 0, frame, 34, NETWORK));
}

static void test_flows_spread(void)
{
	unsigned at[4] = { 0 };
	uint8_t frame[64];

	for (unsigned i = 0; i < 4000; i++) {
		make_ipv4(frame, 1, 2, (uint16_t)(1024 + i), 80);
		at[hash_of(BOND_LAYER34, frame) % 256 / 64]++;
	}
	for (unsigned i = 0; i < 4; i++)
		CU_ASSERT_TRUE(at[i] > 800 && at[i] < 1200);
}

/* ---- Buckets ---- */

static unsigned count_moved(const struct bond_buckets *before, const struct bond_buckets *after,
			    uint16_t but)
{
	unsigned moved = 0;

	for (unsigned i = 0; i < BOND_BUCKETS; i++)
		moved += before->at[i] != after->at[i] && before->at[i] != but;
	return moved;
}

static void test_only_what_was_at_a_link_that_goes_moves(void)
{
	static const uint16_t all[] = { 3, 5, 9 }, left[] = { 3, 9 };
	struct bond_buckets buckets, before;

	bond_buckets_init(&buckets);
	bond_buckets_share(&buckets, all, 3);
	bond_buckets_move(&buckets, true);
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT_TRUE(bond_buckets_at(&buckets, all[i]) >= 84 &&
			       bond_buckets_at(&buckets, all[i]) <= 86);
	before = buckets;
	bond_buckets_share(&buckets, left, 2);
	CU_ASSERT_EQUAL(buckets.moving, 0);
	CU_ASSERT_EQUAL(count_moved(&before, &buckets, 5), 0);
	CU_ASSERT_EQUAL(bond_buckets_at(&buckets, 5), 0);
	CU_ASSERT_EQUAL(bond_buckets_at(&buckets, 3), 128);
	bond_buckets_share(&buckets, NULL, 0);
	for (unsigned i = 0; i < BOND_BUCKETS; i++)
		CU_ASSERT_EQUAL(buckets.at[i], BOND_NOWHERE);
}

static void test_a_new_link_gets_what_is_idle(void)
{
	static const uint16_t one[] = { 3 }, two[] = { 3, 5 };
	struct bond_buckets buckets;

	bond_buckets_init(&buckets);
	bond_buckets_share(&buckets, one, 1);
	bond_buckets_share(&buckets, two, 2);
	/* At once nothing moves; those that are not used do later. */
	CU_ASSERT_EQUAL(buckets.moving, 128);
	for (unsigned i = 0; i < BOND_BUCKETS; i++)
		CU_ASSERT_EQUAL(buckets.at[i], 3);
	bond_buckets_move(&buckets, false);
	CU_ASSERT_EQUAL(buckets.moving, 128);
	for (unsigned i = 0; i < BOND_BUCKETS; i += 2)
		buckets.used[i] = true;
	bond_buckets_move(&buckets, false);
	CU_ASSERT_EQUAL(buckets.moving, 64);
	for (unsigned i = 0; i < BOND_BUCKETS; i += 2)
		CU_ASSERT_EQUAL(buckets.at[i], 3);
	bond_buckets_move(&buckets, true);
	CU_ASSERT_EQUAL(buckets.moving, 0);
	CU_ASSERT_EQUAL(bond_buckets_at(&buckets, 5), 128);
}

/* ---- Words ---- */

static void test_words_are_read_and_written(void)
{
	static const char *const words[] = {
		"bond-primary=p1",    "bond-mode=active-backup",
		"bond-hash=layer3+4", "bond-lacp=passive",
		"bond-rate=fast",     "bond-fallback=yes",
		"bond-key=5",         "bond-system-priority=1",
		"bond-min-links=2",   "bond-system=02:00:00:00:00:01"
	};
	struct port_config config = { 0 }, again = { 0 };
	char text[PORT_CONFIG_TEXT], same[PORT_CONFIG_TEXT], *rest = text, *word;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		CU_ASSERT_EQUAL(port_config_set(&config, words[i], NULL), 0);
	port_config_describe(&config, text, sizeof(text));
	memcpy(same, text, sizeof(same));
	while ((word = strsep(&rest, ",")))
		CU_ASSERT_EQUAL(port_config_set(&again, word, NULL), 0);
	port_config_describe(&again, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, same);
	CU_ASSERT_TRUE(strlen(text) > 100);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		char none[40];

		snprintf(none, sizeof(none), "%.*s=none", (int)strcspn(words[i], "="), words[i]);
		CU_ASSERT_EQUAL(port_config_set(&config, none, NULL), 0);
	}
	port_config_describe(&config, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "");
}

static void test_wrong_words_are_refused(void)
{
	static const char *const words[] = { "bond-mode=lcap",
					     "bond-hash=layer4",
					     "bond-key=0",
					     "bond-key=65536",
					     "bond-min-links=17",
					     "bond-system=03:00:00:00:00:01",
					     "bond-rate=quick",
					     "bond-what=1",
					     "bond=a b",
					     "bond-priority=-1",
					     "bond=aaaaaaaaaabbbbbbbbbbccccccccccdd" };
	struct port_config config = { 0 };
	char text[PORT_CONFIG_TEXT];

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		struct error error = { 0 };

		CU_ASSERT_EQUAL(port_config_set(&config, words[i], &error), -EINVAL);
		CU_ASSERT_TRUE(error.text[0]);
	}
	port_config_describe(&config, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "");
}

UNIT_MAIN("bond hash", UNIT(test_both_ways_are_one_flow), UNIT(test_each_kind_looks_at_its_fields),
	  UNIT(test_fragments_stay_together), UNIT(test_short_frames_are_hashed),
	  UNIT(test_flows_spread), UNIT(test_only_what_was_at_a_link_that_goes_moves),
	  UNIT(test_a_new_link_gets_what_is_idle), UNIT(test_words_are_read_and_written),
	  UNIT(test_wrong_words_are_refused))
