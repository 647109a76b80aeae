/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch/mac_table: learning, moving, ageing, bounds; against a plain array as reference. */
#include "unit.h"

#include <string.h>

#include "util/bytes.h"
#include "util/random.h"
#include "vswitch/mac_table.h"

#define SECOND 1000000000ULL

static void test_learn_look_up_move(void)
{
	CLEANUP(cleanup_mac_table) struct mac_table *table = NULL;
	struct mac_table_counters counters;

	CU_ASSERT_EQUAL_FATAL(mac_table_create(&table, NULL), 0);
	CU_ASSERT_EQUAL(mac_table_lookup(table, 0x020000000001, 0), MAC_TABLE_NO_PORT);
	mac_table_learn(table, 0x020000000001, 3, 0);
	mac_table_learn(table, 0x020000000001, 3, 1);
	CU_ASSERT_EQUAL(mac_table_lookup(table, 0x020000000001, 1), 3);
	mac_table_learn(table, 0x020000000001, 4, 2);
	CU_ASSERT_EQUAL(mac_table_lookup(table, 0x020000000001, 2), 4);
	CU_ASSERT_EQUAL(mac_table_count(table), 1);
	mac_table_counters(table, &counters);
	CU_ASSERT_EQUAL(counters.learned, 1);
	CU_ASSERT_EQUAL(counters.moved, 1);
}

static void test_groups_and_zero_are_not_learned(void)
{
	CLEANUP(cleanup_mac_table) struct mac_table *table = NULL;

	CU_ASSERT_EQUAL_FATAL(mac_table_create(&table, NULL), 0);
	mac_table_learn(table, 0, 1, 0);
	mac_table_learn(table, 0xffffffffffff, 1, 0);
	mac_table_learn(table, 0x01005e000001, 1, 0);
	CU_ASSERT_EQUAL(mac_table_count(table), 0);
}

static void test_ageing(void)
{
	CLEANUP(cleanup_mac_table) struct mac_table *table = NULL;
	struct mac_table_counters counters;
	struct mac_entry entries[4];

	CU_ASSERT_EQUAL_FATAL(mac_table_create(&table, NULL), 0);
	mac_table_learn(table, 0x0200000000a1, 1, 0);
	mac_table_learn(table, 0x0200000000a2, 2, 10 * SECOND);
	CU_ASSERT_EQUAL(mac_table_lookup(table, 0x0200000000a1, 300 * SECOND - 1), 1);
	CU_ASSERT_EQUAL(mac_table_lookup(table, 0x0200000000a1, 300 * SECOND), MAC_TABLE_NO_PORT);
	CU_ASSERT_EQUAL(mac_table_list(table, 300 * SECOND, entries, 4), 1);
	CU_ASSERT_EQUAL(entries[0].mac, 0x0200000000a2);
	CU_ASSERT_EQUAL(entries[0].seen, 10 * SECOND);
	/* Seen again in time, it stays; its place by age is the last now. */
	mac_table_learn(table, 0x0200000000a1, 1, 299 * SECOND);
	CU_ASSERT_EQUAL(mac_table_lookup(table, 0x0200000000a1, 400 * SECOND), 1);
	CU_ASSERT_EQUAL(mac_table_list(table, 300 * SECOND, entries, 4), 2);
	CU_ASSERT_EQUAL(entries[1].mac, 0x0200000000a1);
	mac_table_expire(table, 310 * SECOND);
	CU_ASSERT_EQUAL(mac_table_count(table), 1);
	mac_table_expire(table, 700 * SECOND);
	CU_ASSERT_EQUAL(mac_table_count(table), 0);
	mac_table_counters(table, &counters);
	CU_ASSERT_EQUAL(counters.aged, 2);
}

static void test_bounds(void)
{
	struct mac_table_options options = { .size = 10, .per_port = 6 };
	CLEANUP(cleanup_mac_table) struct mac_table *table = NULL;
	struct mac_table_counters counters;

	CU_ASSERT_EQUAL_FATAL(mac_table_create(&table, &options), 0);
	for (uint64_t i = 1; i <= 20; i++)
		mac_table_learn(table, 0x020000000000 + i, 1, i);
	CU_ASSERT_EQUAL(mac_table_count(table), 6);
	/* Another port has room still, until the table is full. */
	for (uint64_t i = 1; i <= 20; i++)
		mac_table_learn(table, 0x020000000100 + i, 2, 20 + i);
	CU_ASSERT_EQUAL(mac_table_count(table), 10);
	mac_table_counters(table, &counters);
	CU_ASSERT_EQUAL(counters.refused, 14 + 16);
	/* An address may not move to a port that has its share; what was known stays. */
	mac_table_learn(table, 0x020000000101, 1, 50);
	CU_ASSERT_EQUAL(mac_table_lookup(table, 0x020000000101, 50), 2);
	/* Room comes back with age, without being asked for. */
	mac_table_learn(table, 0x020000000200, 3, 301 * SECOND);
	CU_ASSERT_EQUAL(mac_table_lookup(table, 0x020000000200, 301 * SECOND), 3);
	CU_ASSERT_EQUAL(mac_table_count(table), 1);
}

static void test_flush_of_a_port(void)
{
	CLEANUP(cleanup_mac_table) struct mac_table *table = NULL;

	CU_ASSERT_EQUAL_FATAL(mac_table_create(&table, NULL), 0);
	for (uint64_t i = 1; i <= 100; i++)
		mac_table_learn(table, 0x020000000000 + i, (uint16_t)(i % 3), i);
	mac_table_flush_port(table, 1);
	CU_ASSERT_EQUAL(mac_table_count(table), 66);
	for (uint64_t i = 1; i <= 100; i++)
		CU_ASSERT_EQUAL(mac_table_lookup(table, 0x020000000000 + i, 100),
				i % 3 == 1 ? MAC_TABLE_NO_PORT : i % 3);
}

/* A long random history gives what a plain array gives. */
static void test_against_an_array(void)
{
	enum { ADDRESSES = 64 };
	struct mac_table_options options = { .size = ADDRESSES, .per_port = ADDRESSES, .seed = 5 };
	CLEANUP(cleanup_mac_table) struct mac_table *table = NULL;
	uint64_t seen[ADDRESSES] = { 0 }, now = 1;
	struct random random = { 42 };
	int port[ADDRESSES];

	memset(port, -1, sizeof(port));
	CU_ASSERT_EQUAL_FATAL(mac_table_create(&table, &options), 0);
	for (unsigned round = 0; round < 100000; round++) {
		unsigned at = (unsigned)random_below(&random, ADDRESSES);
		uint64_t mac = 0x020000000000 + at;
		uint16_t expected = MAC_TABLE_NO_PORT;

		now += random_below(&random, 20 * SECOND);
		if (random_below(&random, 4) == 0) {
			bool live = port[at] >= 0 && now - seen[at] < 300 * SECOND;
			int to = (int)random_below(&random, 5);

			mac_table_learn(table, mac, (uint16_t)to, now);
			if (!live || port[at] != to || now - seen[at] >= SECOND)
				seen[at] = now;
			port[at] = to;
		} else if (random_below(&random, 500) == 0) {
			int gone = (int)random_below(&random, 5);

			mac_table_flush_port(table, (uint16_t)gone);
			for (unsigned i = 0; i < ADDRESSES; i++)
				port[i] = port[i] == gone ? -1 : port[i];
		}
		if (port[at] >= 0 && now - seen[at] < 300 * SECOND)
			expected = (uint16_t)port[at];
		CU_ASSERT_EQUAL_FATAL(mac_table_lookup(table, mac, now), expected);
	}
}

static void test_addresses_as_text_and_bytes(void)
{
	static const uint8_t bytes[6] = { 0x02, 0x00, 0x5e, 0x10, 0xab, 0x01 };
	char text[MAC_TEXT];

	CU_ASSERT_EQUAL(mac_from_bytes(bytes), 0x02005e10ab01);
	CU_ASSERT_STRING_EQUAL(mac_format(0x02005e10ab01, text), "02:00:5e:10:ab:01");
	CU_ASSERT_TRUE(mac_is_group(0x01005e000001));
	CU_ASSERT_FALSE(mac_is_group(0x02005e10ab01));
}

UNIT_MAIN("mac_table", UNIT(test_learn_look_up_move), UNIT(test_groups_and_zero_are_not_learned),
	  UNIT(test_ageing), UNIT(test_bounds), UNIT(test_flush_of_a_port),
	  UNIT(test_against_an_array), UNIT(test_addresses_as_text_and_bytes))
