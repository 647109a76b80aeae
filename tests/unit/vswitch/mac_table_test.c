/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch/mac_table: learning, moving, ageing, bounds; against a plain array as reference. */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
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
	CU_ASSERT_EQUAL(mac_table_lookup(table, 0, 0x020000000001, 0), MAC_TABLE_NO_PORT);
	mac_table_learn(table, 0, 0x020000000001, 3, 0);
	mac_table_learn(table, 0, 0x020000000001, 3, 1);
	CU_ASSERT_EQUAL(mac_table_lookup(table, 0, 0x020000000001, 1), 3);
	mac_table_learn(table, 0, 0x020000000001, 4, 2);
	CU_ASSERT_EQUAL(mac_table_lookup(table, 0, 0x020000000001, 2), 4);
	CU_ASSERT_EQUAL(mac_table_count(table), 1);
	mac_table_counters(table, &counters);
	CU_ASSERT_EQUAL(counters.learned, 1);
	CU_ASSERT_EQUAL(counters.moved, 1);
}

static void test_groups_and_zero_are_not_learned(void)
{
	CLEANUP(cleanup_mac_table) struct mac_table *table = NULL;

	CU_ASSERT_EQUAL_FATAL(mac_table_create(&table, NULL), 0);
	mac_table_learn(table, 0, 0, 1, 0);
	mac_table_learn(table, 0, 0xffffffffffff, 1, 0);
	mac_table_learn(table, 0, 0x01005e000001, 1, 0);
	CU_ASSERT_EQUAL(mac_table_count(table), 0);
}

static void test_ageing(void)
{
	CLEANUP(cleanup_mac_table) struct mac_table *table = NULL;
	struct mac_table_counters counters;
	struct mac_entry entries[4];

	CU_ASSERT_EQUAL_FATAL(mac_table_create(&table, NULL), 0);
	mac_table_learn(table, 0, 0x0200000000a1, 1, 0);
	mac_table_learn(table, 0, 0x0200000000a2, 2, 10 * SECOND);
	CU_ASSERT_EQUAL(mac_table_lookup(table, 0, 0x0200000000a1, 300 * SECOND - 1), 1);
	CU_ASSERT_EQUAL(mac_table_lookup(table, 0, 0x0200000000a1, 300 * SECOND),
			MAC_TABLE_NO_PORT);
	CU_ASSERT_EQUAL(mac_table_list(table, 300 * SECOND, entries, 4), 1);
	CU_ASSERT_EQUAL(entries[0].mac, 0x0200000000a2);
	CU_ASSERT_EQUAL(entries[0].seen, 10 * SECOND);
	/* Seen again in time, it stays; its place by age is the last now. */
	mac_table_learn(table, 0, 0x0200000000a1, 1, 299 * SECOND);
	CU_ASSERT_EQUAL(mac_table_lookup(table, 0, 0x0200000000a1, 400 * SECOND), 1);
	CU_ASSERT_EQUAL(mac_table_list(table, 300 * SECOND, entries, 4), 2);
	CU_ASSERT_EQUAL(entries[1].mac, 0x0200000000a1);
	mac_table_expire(table, 310 * SECOND);
	CU_ASSERT_EQUAL(mac_table_count(table), 1);
	mac_table_expire(table, 700 * SECOND);
	CU_ASSERT_EQUAL(mac_table_count(table), 0);
	mac_table_counters(table, &counters);
	CU_ASSERT_EQUAL(counters.aged, 2);
}

/* Each thread has its own time, of the beginning of its round. */
static void test_what_another_thread_has_just_seen_is_not_old(void)
{
	CLEANUP(cleanup_mac_table) struct mac_table *table = NULL;
	struct mac_table_counters counters;

	CU_ASSERT_EQUAL_FATAL(mac_table_create(&table, NULL), 0);
	mac_table_learn(table, 0, 0x0200000000a1, 1, 500 * SECOND + 1);
	CU_ASSERT_EQUAL(mac_table_lookup(table, 0, 0x0200000000a1, 500 * SECOND), 1);
	mac_table_learn(table, 0, 0x0200000000a2, 2, 500 * SECOND);
	mac_table_expire(table, 500 * SECOND);
	CU_ASSERT_EQUAL(mac_table_count(table), 2);
	mac_table_counters(table, &counters);
	CU_ASSERT_EQUAL(counters.aged, 0);
	/* Seen here a moment before it was seen there: it has moved, and back. */
	mac_table_learn(table, 0, 0x0200000000a1, 3, 500 * SECOND);
	CU_ASSERT_EQUAL(mac_table_lookup(table, 0, 0x0200000000a1, 500 * SECOND + 1), 3);
	mac_table_counters(table, &counters);
	CU_ASSERT_EQUAL(counters.moved, 1);
}

static void test_bounds(void)
{
	struct mac_table_options options = { .size = 10, .per_port = 6 };
	CLEANUP(cleanup_mac_table) struct mac_table *table = NULL;
	struct mac_table_counters counters;

	CU_ASSERT_EQUAL_FATAL(mac_table_create(&table, &options), 0);
	for (uint64_t i = 1; i <= 20; i++)
		mac_table_learn(table, 0, 0x020000000000 + i, 1, i);
	CU_ASSERT_EQUAL(mac_table_count(table), 6);
	/* Another port has room still, until the table is full. */
	for (uint64_t i = 1; i <= 20; i++)
		mac_table_learn(table, 0, 0x020000000100 + i, 2, 20 + i);
	CU_ASSERT_EQUAL(mac_table_count(table), 10);
	mac_table_counters(table, &counters);
	CU_ASSERT_EQUAL(counters.refused, 14 + 15);
	/* An address may not move to a port that has its share; what was known stays. The first port gave one up. */
	CU_ASSERT_EQUAL(counters.displaced, 1);
	mac_table_limit_port(table, 1, 5);
	mac_table_learn(table, 0, 0x020000000101, 1, 50);
	CU_ASSERT_EQUAL(mac_table_lookup(table, 0, 0x020000000101, 50), 2);
	/* Room comes back with age, without being asked for. */
	mac_table_learn(table, 0, 0x020000000200, 3, 301 * SECOND);
	CU_ASSERT_EQUAL(mac_table_lookup(table, 0, 0x020000000200, 301 * SECOND), 3);
	CU_ASSERT_EQUAL(mac_table_count(table), 1);
}

/* Two ports invent addresses until the table is full; a third's few are learned, and an address that was made by hand stays. */
static void test_a_full_table_is_shared(void)
{
	struct mac_table_options options = { .size = 1000, .per_port = 500, .seed = 7 };
	CLEANUP(cleanup_mac_table) struct mac_table *table = NULL;
	struct mac_table_counters counters;
	unsigned known = 0;

	CU_ASSERT_EQUAL_FATAL(mac_table_create(&table, &options), 0);
	CU_ASSERT_EQUAL(mac_table_add_static(table, 0, 0x020000009999, 1), 0);
	for (uint64_t i = 0; i < 5000; i++)
		mac_table_learn(table, 0, 0x020000010000 + i, 1, 1);
	for (uint64_t i = 0; i < 5000; i++)
		mac_table_learn(table, 0, 0x020000020000 + i, 2, 1);
	CU_ASSERT_EQUAL(mac_table_count(table), 1000);
	for (uint64_t i = 0; i < 10; i++) {
		mac_table_learn(table, 0, 0x020000030000 + i, 3, 2);
		/* The two do not stop. */
		mac_table_learn(table, 0, 0x020000040000 + i, 1, 2);
		mac_table_learn(table, 0, 0x020000050000 + i, 2, 2);
	}
	for (uint64_t i = 0; i < 10; i++)
		known += mac_table_lookup(table, 0, 0x020000030000 + i, 3) == 3;
	CU_ASSERT_EQUAL(known, 10);
	CU_ASSERT_EQUAL(mac_table_lookup(table, 0, 0x020000009999, 3), 1);
	CU_ASSERT_EQUAL(mac_table_count(table), 1000);
	mac_table_counters(table, &counters);
	/* Each of the ten, and what the two take from each other until their shares are equal. */
	CU_ASSERT(counters.displaced >= 10 && counters.displaced <= 20);
	/* No port takes more than an equal share this way, and those of equal shares take nothing from each other. */
	for (uint64_t i = 0; i < 100000; i++)
		mac_table_learn(table, 0, 0x020000100000 + i, (uint16_t)(3 + i % 2), 3);
	mac_table_counters(table, &counters);
	CU_ASSERT(counters.displaced >= 2 * 240 && counters.displaced <= 20 + 2 * 260);
	CU_ASSERT_EQUAL(mac_table_count(table), 1000);
	/* What is made by hand has room as long as not all is made so. */
	for (uint64_t i = 0; i < 999; i++)
		CU_ASSERT_EQUAL(mac_table_add_static(table, 0, 0x020000200000 + i, 3), 0);
	CU_ASSERT_EQUAL(mac_table_add_static(table, 0, 0x020000300000, 3), -ENOSPC);
	CU_ASSERT_EQUAL(mac_table_count(table), 1000);
}

static void test_flush_of_a_port(void)
{
	CLEANUP(cleanup_mac_table) struct mac_table *table = NULL;

	CU_ASSERT_EQUAL_FATAL(mac_table_create(&table, NULL), 0);
	for (uint64_t i = 1; i <= 100; i++)
		mac_table_learn(table, 0, 0x020000000000 + i, (uint16_t)(i % 3), i);
	mac_table_flush_port(table, 1);
	CU_ASSERT_EQUAL(mac_table_count(table), 66);
	for (uint64_t i = 1; i <= 100; i++)
		CU_ASSERT_EQUAL(mac_table_lookup(table, 0, 0x020000000000 + i, 100),
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

			mac_table_learn(table, 0, mac, (uint16_t)to, now);
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
		CU_ASSERT_EQUAL_FATAL(mac_table_lookup(table, 0, mac, now), expected);
	}
}

/* The same address in two databases is two. */
static void test_databases_are_apart(void)
{
	CLEANUP(cleanup_mac_table) struct mac_table *table = NULL;

	CU_ASSERT_EQUAL_FATAL(mac_table_create(&table, NULL), 0);
	mac_table_learn(table, 1, 0x020000000001, 3, 0);
	mac_table_learn(table, 4094, 0x020000000001, 4, 0);
	CU_ASSERT_EQUAL(mac_table_lookup(table, 1, 0x020000000001, 1), 3);
	CU_ASSERT_EQUAL(mac_table_lookup(table, 4094, 0x020000000001, 1), 4);
	CU_ASSERT_EQUAL(mac_table_lookup(table, 0, 0x020000000001, 1), MAC_TABLE_NO_PORT);
}

/* They stay: of age, against whoever claims the address, and when their port goes down; not when it goes. */
static void test_static_entries(void)
{
	struct mac_table_options options = { .size = 3 };
	CLEANUP(cleanup_mac_table) struct mac_table *table = NULL;
	struct mac_table_counters counters;
	struct mac_entry entries[3];

	CU_ASSERT_EQUAL_FATAL(mac_table_create(&table, &options), 0);
	mac_table_learn(table, 0, 0x020000000001, 3, 0);
	CU_ASSERT_EQUAL(mac_table_add_static(table, 0, 0x020000000001, 4), 0);
	CU_ASSERT_EQUAL(mac_table_add_static(table, 0, 0x01005e000001, 4), -EINVAL);
	CU_ASSERT_EQUAL(mac_table_add_static(table, 0, 0, 4), -EINVAL);
	mac_table_learn(table, 0, 0x020000000001, 3, 1);
	mac_table_learn(table, 0, 0x020000000002, 4, 1);
	mac_table_flush_port(table, 4);
	CU_ASSERT_EQUAL(mac_table_count(table), 1);
	CU_ASSERT_EQUAL(mac_table_lookup(table, 0, 0x020000000001, 9999 * SECOND), 4);
	CU_ASSERT_EQUAL(mac_table_list(table, 9999 * SECOND, entries, 3), 1);
	CU_ASSERT_TRUE(entries[0].is_static);
	mac_table_counters(table, &counters);
	CU_ASSERT_EQUAL(counters.held, 1);
	mac_table_flush(table);
	CU_ASSERT_EQUAL(mac_table_count(table), 1);
	CU_ASSERT_EQUAL(mac_table_add_static(table, 0, 0x020000000011, 5), 0);
	CU_ASSERT_EQUAL(mac_table_add_static(table, 0, 0x020000000012, 5), 0);
	CU_ASSERT_EQUAL(mac_table_add_static(table, 0, 0x020000000013, 5), -ENOSPC);
	CU_ASSERT_EQUAL(mac_table_remove(table, 0, 0x020000000012), 0);
	CU_ASSERT_EQUAL(mac_table_remove(table, 0, 0x020000000012), -ENOENT);
	mac_table_drop_port(table, 4);
	CU_ASSERT_EQUAL(mac_table_lookup(table, 0, 0x020000000001, 1), MAC_TABLE_NO_PORT);
	CU_ASSERT_EQUAL(mac_table_lookup(table, 0, 0x020000000011, 1), 5);
}

static void test_limits_of_one_port(void)
{
	CLEANUP(cleanup_mac_table) struct mac_table *table = NULL;

	CU_ASSERT_EQUAL_FATAL(mac_table_create(&table, NULL), 0);
	mac_table_limit_port(table, 1, 2);
	for (uint64_t i = 1; i <= 5; i++) {
		mac_table_learn(table, 0, 0x020000000000 + i, 1, i);
		mac_table_learn(table, 0, 0x020000000100 + i, 2, i);
	}
	CU_ASSERT_EQUAL(mac_table_count(table), 2 + 5);
	mac_table_limit_port(table, 1, 0);
	mac_table_learn(table, 0, 0x020000000005, 1, 9);
	CU_ASSERT_EQUAL(mac_table_count(table), 2 + 6);
}

/* Three moves in a second and no fourth; then it stays for five seconds, and may move again. */
static void test_an_address_that_moves_too_often_is_held(void)
{
	struct mac_table_options options = { .move_limit = 3 };
	CLEANUP(cleanup_mac_table) struct mac_table *table = NULL;
	struct mac_table_counters counters;
	uint64_t now = 100 * SECOND;

	CU_ASSERT_EQUAL_FATAL(mac_table_create(&table, &options), 0);
	for (unsigned i = 0; i < 100; i++)
		mac_table_learn(table, 0, 0x020000000001, i % 2, now++);
	CU_ASSERT_EQUAL(mac_table_lookup(table, 0, 0x020000000001, now), 1);
	mac_table_counters(table, &counters);
	CU_ASSERT_EQUAL(counters.moved, 3);
	CU_ASSERT_EQUAL(counters.held, 48);
	now += MAC_TABLE_HOLD - 100;
	mac_table_learn(table, 0, 0x020000000001, 0, now);
	CU_ASSERT_EQUAL(mac_table_lookup(table, 0, 0x020000000001, now), 1);
	now += 1000;
	mac_table_learn(table, 0, 0x020000000001, 0, now);
	CU_ASSERT_EQUAL(mac_table_lookup(table, 0, 0x020000000001, now), 0);
	/* Now and then is not too often. */
	for (unsigned i = 1; i < 20; i++)
		mac_table_learn(table, 0, 0x020000000001, i % 2, now + i * SECOND / 2);
	mac_table_counters(table, &counters);
	CU_ASSERT_EQUAL(counters.moved, 3 + 1 + 19);
}

/* ---- Several threads ---- */

enum { FIRM = 64, WRITERS = 2 };

struct shared {
	struct mac_table *table;
	unsigned number;
	bool stop;
};

/* Learns addresses of its own, far more than fit, and forgets them. */
static void *write_table(void *arg)
{
	struct shared *shared = arg;
	uint16_t port = (uint16_t)(10 + shared->number);

	for (unsigned i = 0; !__atomic_load_n(&shared->stop, __ATOMIC_RELAXED); i++) {
		mac_table_learn(shared->table, 0, 0x024000000000 + i % 3000, port, i);
		if (i % 1000 == 999)
			mac_table_flush_port(shared->table, port);
	}
	return NULL;
}

/* What nobody changes is found at all times, between all that comes and goes. */
static void test_readers_beside_writers(void)
{
	struct mac_table_options options = { .size = 1024, .ageing_ns = UINT64_MAX };
	CLEANUP(cleanup_mac_table) struct mac_table *table = NULL;
	struct shared shared[WRITERS];
	pthread_t threads[WRITERS];
	uint64_t wrong = 0;

	CU_ASSERT_EQUAL_FATAL(mac_table_create(&table, &options), 0);
	for (uint64_t i = 1; i <= FIRM; i++)
		mac_table_learn(table, 0, 0x020000000000 + i, (uint16_t)(i % 7), 0);
	for (unsigned i = 0; i < WRITERS; i++) {
		shared[i] = (struct shared){ .table = table, .number = i };
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, write_table, &shared[i]),
				      0);
	}
	for (uint64_t i = 0; i < 200000; i++) {
		uint64_t at = 1 + i % FIRM;

		wrong += mac_table_lookup(table, 0, 0x020000000000 + at, 0) != at % 7;
	}
	for (unsigned i = 0; i < WRITERS; i++) {
		__atomic_store_n(&shared[i].stop, true, __ATOMIC_RELAXED);
		pthread_join(threads[i], NULL);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_TRUE(mac_table_count(table) <= 1024);
}

/* An answer that is kept is given up when the table knows better. */
static void test_recent_answers(void)
{
	CLEANUP(cleanup_mac_table) struct mac_table *table = NULL;
	struct mac_recent recent = { 0 }, source = { 0 };
	uint64_t now = SECOND;

	CU_ASSERT_EQUAL_FATAL(mac_table_create(&table, NULL), 0);
	CU_ASSERT_EQUAL(mac_recent_lookup(&recent, table, 0, 0x020000000001, now),
			MAC_TABLE_NO_PORT);
	mac_table_learn(table, 0, 0x020000000001, 3, now);
	CU_ASSERT_EQUAL(mac_recent_lookup(&recent, table, 0, 0x020000000001, now), 3);
	CU_ASSERT_EQUAL(mac_recent_lookup(&recent, table, 1, 0x020000000001, now),
			MAC_TABLE_NO_PORT);
	CU_ASSERT_EQUAL(mac_recent_lookup(&recent, table, 0, 0x020000000001, now), 3);
	mac_table_learn(table, 0, 0x020000000001, 4, now);
	CU_ASSERT_EQUAL(mac_recent_lookup(&recent, table, 0, 0x020000000001, now), 4);
	CU_ASSERT_EQUAL(mac_recent_lookup(&recent, table, 0, 0x020000000001, now + 301 * SECOND),
			MAC_TABLE_NO_PORT);
	/* A source keeps its entry young, by way of the kept answer too. */
	for (unsigned i = 0; i < 1000; i++, now += SECOND / 2) {
		mac_recent_learn(&source, table, 0, 0x020000000001, 4, now);
		CU_ASSERT_EQUAL(mac_recent_lookup(&recent, table, 0, 0x020000000001, now), 4);
	}
	mac_table_flush_port(table, 4);
	CU_ASSERT_EQUAL(mac_recent_lookup(&recent, table, 0, 0x020000000001, now),
			MAC_TABLE_NO_PORT);
	mac_recent_learn(&source, table, 0, 0x020000000001, 4, now);
	CU_ASSERT_EQUAL(mac_recent_lookup(&recent, table, 0, 0x020000000001, now), 4);
}

static void test_addresses_as_text_and_bytes(void)
{
	static const uint8_t bytes[6] = { 0x02, 0x00, 0x5e, 0x10, 0xab, 0x01 };
	uint64_t mac = 7;
	char text[MAC_TEXT];

	CU_ASSERT_EQUAL(mac_from_bytes(bytes), 0x02005e10ab01);
	CU_ASSERT_STRING_EQUAL(mac_format(0x02005e10ab01, text), "02:00:5e:10:ab:01");
	CU_ASSERT_TRUE(mac_parse("02:00:5e:10:AB:01", &mac));
	CU_ASSERT_EQUAL(mac, 0x02005e10ab01);
	CU_ASSERT_TRUE(mac_parse("02-00-5e-10-ab-01", &mac));
	CU_ASSERT_FALSE(mac_parse("02:00:5e:10:ab", &mac));
	CU_ASSERT_FALSE(mac_parse("02:00:5e:10:ab:01:", &mac));
	CU_ASSERT_FALSE(mac_parse("02:00:5e:10:ab:0g", &mac));
	CU_ASSERT_FALSE(mac_parse("", &mac));
	CU_ASSERT_TRUE(mac_is_group(0x01005e000001));
	CU_ASSERT_FALSE(mac_is_group(0x02005e10ab01));
}

UNIT_MAIN("mac_table", UNIT(test_learn_look_up_move), UNIT(test_groups_and_zero_are_not_learned),
	  UNIT(test_ageing), UNIT(test_what_another_thread_has_just_seen_is_not_old),
	  UNIT(test_bounds), UNIT(test_a_full_table_is_shared), UNIT(test_flush_of_a_port),
	  UNIT(test_against_an_array), UNIT(test_databases_are_apart), UNIT(test_static_entries),
	  UNIT(test_limits_of_one_port), UNIT(test_an_address_that_moves_too_often_is_held),
	  UNIT(test_readers_beside_writers), UNIT(test_recent_answers),
	  UNIT(test_addresses_as_text_and_bytes))
