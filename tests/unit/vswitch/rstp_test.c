/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vswitch/rstp: whole networks of bridges in virtual time. The networks of figures 17-4 to 17-7 of IEEE 802.1D-2004, the roles
 * and costs that are shown there; times until all is calm again; and that no loop ever forwards.
 */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vswitch/rstp_network.h"
#include "util/bytes.h"
#include "util/error.h"

#define OLD_PORT_CALM 40000
#define CALM          10000

static void expect(struct network *network, unsigned bridge, const char *roles)
{
	const char *found = network_describe(network, bridge);

	if (strcmp(found, roles) != 0)
		printf("bridge %u: found \"%s\", expected \"%s\"\n", bridge, found, roles);
	CU_ASSERT_STRING_EQUAL(found, roles);
}

static void end(struct network *network)
{
	CU_ASSERT_EQUAL(network->loops, 0);
	CU_ASSERT_TRUE(network_is_connected(network));
	network_destroy(network);
}

static void test_one_bridge(void)
{
	struct network *network = network_create();

	network_bridge(network, 0x111, "a b", NULL);
	/* Edges that are found: after the migration time, on which nobody was heard. */
	CU_ASSERT_TRUE(network_settle(network, CALM) <= 4000);
	expect(network, 0, "root D D");
	end(network);
}

static void test_a_triangle_and_a_lost_link(void)
{
	struct network *network = network_create();

	network_bridge(network, 0x111, "a b", NULL);
	network_bridge(network, 0x222, "a c", NULL);
	network_bridge(network, 0x333, "b c", NULL);
	/* By proposals and agreements: no timer is waited for. */
	CU_ASSERT_TRUE(network_settle(network, CALM) < 1500);
	expect(network, 0, "root D D");
	expect(network, 1, "R:200000 D");
	expect(network, 2, "R:200000 A");
	/* What is blocked takes over at once. */
	network_plug(network, 2, 0, '-');
	CU_ASSERT_TRUE(network_settle(network, CALM) <= 10);
	expect(network, 2, "- R:400000");
	end(network);
}

static void test_two_lost_links_costs_and_a_new_root(void)
{
	struct rstp_port_config half = { .cost = 100000 };
	struct network *network = network_create();
	struct rstp_config config;

	network_bridge(network, 0x111, "a b", NULL);
	network_bridge(network, 0x222, "a c d", NULL);
	network_bridge(network, 0x333, "b c e", NULL);
	network_bridge(network, 0x444, "d f", NULL);
	network_bridge(network, 0x555, "e f", NULL);
	network_settle(network, CALM);
	expect(network, 1, "R:200000 D D");
	expect(network, 2, "R:200000 A D");
	expect(network, 3, "R:400000 D");
	expect(network, 4, "R:400000 A");
	network_plug(network, 2, 0, '-');
	network_settle(network, CALM);
	expect(network, 2, "- R:400000 D");
	expect(network, 4, "R:600000 A");
	network_plug(network, 4, 0, '-');
	network_settle(network, CALM);
	expect(network, 4, "- R:600000");
	rstp_port_set(&network->bridges[4].bridge, 1, &half, 100000000);
	network_settle(network, CALM);
	expect(network, 4, "- R:500000");
	config = network->bridges[4].bridge.config;
	config.priority = 28672;
	rstp_bridge_begin(&network->bridges[4].bridge, network->bridges[4].bridge.ops, &config);
	network_settle(network, CALM);
	expect(network, 4, "root - D");
	expect(network, 0, "R:600000 D");
	end(network);
}

/* The eight bridges of figures 17-4 and 17-5. */
static void test_figures_17_4_and_17_5(void)
{
	struct network *network = network_create();

	network_bridge(network, 0x111, "a b e c", NULL);
	network_bridge(network, 0x222, "a b d f", NULL);
	network_bridge(network, 0x333, "c d l j h g", NULL);
	network_bridge(network, 0x444, "e f n m k i", NULL);
	network_bridge(network, 0x555, "g i 0 0", NULL);
	network_bridge(network, 0x666, "h k 0 0", NULL);
	network_bridge(network, 0x777, "j m 0 0", NULL);
	network_bridge(network, 0x888, "l n 0 0", NULL);
	network_settle(network, CALM);
	expect(network, 0, "root D D D D");
	expect(network, 1, "R:200000 A D D");
	expect(network, 2, "R:200000 A D D D D");
	expect(network, 3, "R:200000 A D D D D");
	for (unsigned i = 4; i < 8; i++)
		expect(network, i, "R:400000 A D D");
	/* Two ports of one bridge on one LAN. */
	network_plug(network, 7, 2, 'o');
	network_plug(network, 7, 3, 'o');
	network_settle(network, CALM);
	expect(network, 7, "R:400000 A D B");
	expect(network, 6, "R:400000 A D D");
	end(network);
}

static void test_figure_17_6(void)
{
	struct network *network = network_create();

	network_bridge(network, 0x111, "a b l", NULL);
	network_bridge(network, 0x222, "b c d", NULL);
	network_bridge(network, 0x333, "d e f", NULL);
	network_bridge(network, 0x444, "f g h", NULL);
	network_bridge(network, 0x555, "j h i", NULL);
	network_bridge(network, 0x666, "l j k", NULL);
	network_settle(network, CALM);
	expect(network, 0, "root D D D");
	expect(network, 1, "R:200000 D D");
	expect(network, 2, "R:400000 D D");
	expect(network, 3, "R:600000 D A");
	expect(network, 4, "R:400000 D D");
	expect(network, 5, "R:200000 D D");
	end(network);
}

static void test_figure_17_7(void)
{
	struct rstp_port_config better = { .priority_steps = 112 / 16 + 1 };
	struct network *network = network_create();

	network_bridge(network, 0x0aa, "b", NULL);
	network_bridge(network, 0x111, "a b d f h g e c", NULL);
	network_bridge(network, 0x222, "g h j l n m k i", NULL);
	network_settle(network, CALM);
	expect(network, 0, "root D");
	expect(network, 1, "D R:200000 D D D D D D");
	expect(network, 2, "A R:400000 D D D D D D");
	rstp_port_set(&network->bridges[1].bridge, 5, &better, 100000000);
	network_settle(network, CALM);
	expect(network, 2, "R:400000 A D D D D D D");
	end(network);
}

/* ---- The protocol of 1998 ---- */

static struct rstp_config old_protocol(void)
{
	struct rstp_config config = rstp_config_default();

	config.legacy = true;
	return config;
}

static void set_cost(struct network *network, unsigned bridge, unsigned port, uint32_t cost)
{
	struct rstp_port_config config = { .cost = cost };

	rstp_port_set(&network->bridges[bridge].bridge, port, &config, 100000000);
}

/* The example of 802.1D-1998. Its times are those of clause 17: a port that comes up listens for the maximum age (17.29.1), and
 * learns for the forward delay; what is lost is known until it has aged. */
static void test_the_old_protocol(void)
{
	struct rstp_config config = old_protocol();
	struct network *network = network_create();
	uint64_t time;

	network_bridge(network, 0x42, "a b", &config);
	network_bridge(network, 0x97, "c a d", &config);
	network_bridge(network, 0x45, "b e", &config);
	network_bridge(network, 0x57, "b e", &config);
	network_bridge(network, 0x83, "a e", &config);
	for (unsigned i = 0; i < 5; i++)
		for (unsigned k = 0; k < network->bridges[i].port_count; k++)
			set_cost(network, i, k, i == 1 ? (k == 1 ? 10 : 5) : i < 3 ? 10 : 5);
	time = network_settle(network, OLD_PORT_CALM);
	CU_ASSERT_TRUE(time >= 34000 && time <= 37000);
	expect(network, 0, "root D D");
	expect(network, 1, "D R:10 D");
	expect(network, 2, "R:10 A");
	expect(network, 3, "R:5 D");
	expect(network, 4, "R:5 A");
	/* A bridge that is gone without its neighbours' links going. */
	network->bad_lans['b'] = true;
	time = network_settle(network, OLD_PORT_CALM);
	CU_ASSERT_TRUE(time >= 20000 && time <= 55000);
	expect(network, 3, "D R:10");
	end(network);
}

/* Between both: the old one is found after the migration time, and what is new is tried again when asked for. */
static void test_a_neighbour_of_the_old_protocol(void)
{
	struct rstp_config old = old_protocol(), config;
	struct network *network = network_create();

	network_bridge(network, 0x111, "a b", NULL);
	network_bridge(network, 0x222, "a c", &old);
	network_bridge(network, 0x333, "b c", NULL);
	network_settle(network, OLD_PORT_CALM);
	expect(network, 0, "root D D");
	expect(network, 2, "R:200000 A");
	CU_ASSERT_FALSE(network->bridges[0].bridge.ports[0].send_rstp);
	CU_ASSERT_TRUE(network->bridges[0].bridge.ports[1].send_rstp);
	CU_ASSERT_TRUE(network->bridges[1].bridge.ports[0].rx_bpdus > 0);
	/* A lost link is found by the old bridge, too: it hears a TCN's acknowledgement, and flushes. */
	network_plug(network, 2, 0, '-');
	network_settle(network, OLD_PORT_CALM);
	CU_ASSERT_TRUE(network->bridges[1].ports[0].flushes > 0);
	config = network->bridges[1].bridge.config;
	config.legacy = false;
	rstp_bridge_begin(&network->bridges[1].bridge, network->bridges[1].bridge.ops, &config);
	rstp_port_migrate(&network->bridges[0].bridge, 0);
	network_settle(network, CALM);
	CU_ASSERT_TRUE(network->bridges[0].bridge.ports[0].send_rstp);
	CU_ASSERT_TRUE(network->bridges[1].bridge.ports[0].send_rstp);
	end(network);
}

/* ---- Single things ---- */

static void test_an_edge_is_forwarding_at_once_until_a_bridge_is_heard(void)
{
	struct rstp_port_config edge = { .edge = RSTP_YES };
	struct network *network = network_create();
	struct rstp_port *port;

	network_bridge(network, 0x111, "- b", NULL);
	port = &network->bridges[0].bridge.ports[0];
	rstp_port_set(&network->bridges[0].bridge, 0, &edge, 100000000);
	network_plug(network, 0, 0, 'a');
	CU_ASSERT_TRUE(port->forwarding);
	network_run(network, 5000);
	CU_ASSERT_EQUAL(network->bridges[0].bridge.topology_changes, 0);
	/* A cable to another port of the same bridge: both are edges that were trusted, for a moment. */
	network_plug(network, 0, 1, 'a');
	network_run(network, 100);
	CU_ASSERT_FALSE(port->oper_edge);
	network->loops = 0;
	network_settle(network, CALM);
	expect(network, 0, "root D B");
	end(network);
}

static void test_guards(void)
{
	struct rstp_port_config bpdu = { .bpdu_guard = true }, root = { .root_guard = true },
				plain = { 0 };
	struct network *network = network_create();

	network_bridge(network, 0x222, "a b", NULL);
	network_bridge(network, 0x111, "a", NULL);
	network_bridge(network, 0x333, "b", NULL);
	rstp_port_set(&network->bridges[0].bridge, 0, &root, 100000000);
	rstp_port_set(&network->bridges[0].bridge, 1, &bpdu, 100000000);
	network_settle(network, CALM);
	/* Better information blocks the port, and is not believed. */
	expect(network, 0, "root A -");
	CU_ASSERT_TRUE(network->bridges[0].bridge.ports[1].shut);
	CU_ASSERT_EQUAL(network->loops, 0);
	/* A link that comes anew is heard again. */
	network_plug(network, 0, 1, '0');
	CU_ASSERT_FALSE(network->bridges[0].bridge.ports[1].shut);
	network_settle(network, CALM);
	expect(network, 0, "root A D");
	rstp_port_set(&network->bridges[0].bridge, 0, &plain, 100000000);
	network_settle(network, CALM);
	expect(network, 0, "R:200000 D");
	network_destroy(network);
}

/* What a port sends comes back to it ('Z' does that). */
static void test_a_port_that_hears_itself(void)
{
	struct network *network = network_create();

	network_bridge(network, 0x111, "Z b", NULL);
	network_run(network, 120000);
	CU_ASSERT_EQUAL(network->bridges[0].bridge.ports[0].transitions, 0);
	CU_ASSERT_TRUE(network->bridges[0].bridge.ports[1].forwarding);
	network_plug(network, 0, 0, 'a');
	network_settle(network, CALM);
	expect(network, 0, "root D D");
	end(network);
}

/* One way of a cable is dead: the dispute keeps the ring open. */
static void test_a_link_that_fails_one_way(void)
{
	struct network *network = network_create();

	network_bridge(network, 0x111, "a b", NULL);
	network_bridge(network, 0x222, "a c", NULL);
	network_bridge(network, 0x333, "b c", NULL);
	network_settle(network, CALM);
	expect(network, 2, "R:200000 A");
	/* The blocked end hears no more of the designated one, which goes on forwarding. */
	network->bridges[2].ports[1].deaf = true;
	network_run(network, 60000);
	expect(network, 2, "R:200000 D");
	CU_ASSERT_FALSE(network->bridges[1].bridge.ports[1].forwarding);
	CU_ASSERT_EQUAL(network->loops, 0);
	network_destroy(network);
}

static void test_no_more_messages_than_the_hold_count(void)
{
	struct network *network = network_create();
	struct rstp_port *port;
	uint64_t before;

	network_bridge(network, 0x222, "a", NULL);
	port = &network->bridges[0].bridge.ports[0];
	network_run(network, 10000);
	before = port->tx_bpdus;
	/* Each change of priority is told, but not more than so many in a second. */
	for (unsigned i = 0; i < 100; i++) {
		struct rstp_config config = network->bridges[0].bridge.config;

		config.priority = i % 2 ? 4096 : 8192;
		rstp_bridge_begin(&network->bridges[0].bridge, network->bridges[0].bridge.ops,
				  &config);
	}
	CU_ASSERT_TRUE(port->tx_bpdus - before <= 6);
	network_run(network, 1000);
	CU_ASSERT_TRUE(port->tx_bpdus - before <= 7);
	network_destroy(network);
}

/* Stations that have moved with the tree are looked for again: on the ports of the tree, but not where the change came from. */
static void test_a_topology_change_flushes(void)
{
	struct network *network = network_create();
	unsigned before, edge;

	network_bridge(network, 0x111, "a b 0", NULL);
	network_bridge(network, 0x222, "a c 0", NULL);
	network_bridge(network, 0x333, "b c 0", NULL);
	network_settle(network, CALM);
	before = network->bridges[0].ports[1].flushes;
	edge = network->bridges[0].ports[2].flushes;
	/* The link between the root and the second: the third's blocked port forwards. */
	network_plug(network, 1, 0, '-');
	network_plug(network, 0, 0, '-');
	network_settle(network, CALM);
	expect(network, 1, "- R:400000 D");
	CU_ASSERT_EQUAL(network->bridges[0].ports[1].flushes, before); /* it came in here */
	CU_ASSERT_EQUAL(network->bridges[0].ports[2].flushes, edge);
	CU_ASSERT_TRUE(network->bridges[2].ports[0].flushes + network->bridges[1].ports[1].flushes >
		       0);
	CU_ASSERT_TRUE(network->bridges[0].bridge.since_change < 60);
	end(network);
}

static void test_settings(void)
{
	static const char *const bad[] = { "priority=1", "priority=65536",
					   "hello=0",    "hello=11",
					   "max-age=5",  "forward-delay=31",
					   "tx-hold=0",  "mode=mstp",
					   "address=1",  "x=1",
					   "priority",   "address=01:00:00:00:00:01" };
	static const char *const bad_port[] = { "stp-cost=0",     "stp-cost=200000001",
						"stp-priority=8", "stp-priority=256",
						"stp-edge=maybe", "stp-bpdu-guard=auto",
						"stp=",           "stp-x=1" };
	struct rstp_config config = rstp_config_default(), before = config;
	struct rstp_port_config port = { 0 };
	struct error error = { 0 };
	char text[256];

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		CU_ASSERT_EQUAL(rstp_config_set(&config, bad[i], &error), -EINVAL);
	CU_ASSERT_EQUAL(memcmp(&config, &before, sizeof(config)), 0);
	CU_ASSERT_EQUAL(rstp_config_set(&config, "max-age=29", NULL), 0);
	CU_ASSERT_EQUAL(rstp_config_check(&config, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "max-age=29 with forward-delay=15"));
	CU_ASSERT_EQUAL(rstp_config_set(&config, "forward-delay=16", NULL), 0);
	CU_ASSERT_EQUAL(rstp_config_check(&config, NULL), 0);
	CU_ASSERT_EQUAL(rstp_config_set(&config, "hello=3", NULL), 0);
	CU_ASSERT_EQUAL(rstp_config_check(&config, NULL), -EINVAL);
	CU_ASSERT_EQUAL(rstp_config_set(&config, "mode=stp", NULL), 0);
	CU_ASSERT_EQUAL(rstp_config_check(&config, NULL), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(bad_port); i++)
		CU_ASSERT_EQUAL(rstp_port_config_set(&port, bad_port[i], &error),
				!strcmp(bad_port[i], "stp=") ? 0 : -EINVAL);
	CU_ASSERT_EQUAL(rstp_port_config_set(&port, "stp-cost=7", NULL), 0);
	CU_ASSERT_EQUAL(rstp_port_config_set(&port, "stp-priority=0", NULL), 0);
	CU_ASSERT_EQUAL(rstp_port_config_set(&port, "stp-edge=yes", NULL), 0);
	CU_ASSERT_EQUAL(rstp_port_config_set(&port, "stp-root-guard=yes", NULL), 0);
	rstp_port_config_describe(&port, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, ",stp-cost=7,stp-priority=0,stp-edge=yes,stp-root-guard=yes");
	CU_ASSERT_EQUAL(rstp_port_config_set(&port, "stp-priority=none", NULL), 0);
	CU_ASSERT_EQUAL(port.priority_steps, 0);
	CU_ASSERT_EQUAL(rstp_cost_of_speed(1000000000, false), 20000);
	CU_ASSERT_EQUAL(rstp_cost_of_speed(10000000, false), 2000000);
	CU_ASSERT_EQUAL(rstp_cost_of_speed(1, false), 200000000);
	CU_ASSERT_EQUAL(rstp_cost_of_speed(100000000000000, false), 1);
	CU_ASSERT_EQUAL(rstp_cost_of_speed(100000000, true), 19);
}

/* ---- Many networks ---- */

/* A network of so many bridges in a row, and some cables more, that come and go. */
static struct network *make_random(struct random *random, const struct rstp_config *config)
{
	struct network *network = network_create();
	char lans[NETWORK_BRIDGES][NETWORK_PORTS * 2] = { { 0 } };
	unsigned bridges = 3 + (unsigned)random_below(random, 6);
	char next = 'a';

	for (unsigned i = 1; i < bridges; i++, next++) {
		strncat(lans[i], &next, 1);
		strncat(lans[random_below(random, i)], &next, 1);
	}
	for (unsigned extra = 1 + (unsigned)random_below(random, 5); extra; extra--, next++) {
		unsigned a = (unsigned)random_below(random, bridges),
			 b = (unsigned)random_below(random, bridges);

		if (strlen(lans[a]) + 2 < NETWORK_PORTS && strlen(lans[b]) + 2 < NETWORK_PORTS) {
			strncat(lans[a], &next, 1);
			strncat(lans[b], &next, 1);
		}
	}
	for (unsigned i = 0; i < bridges; i++)
		network_bridge(network, 0x1000 + random_below(random, 1000) * 16 + i, lans[i],
			       config);
	return network;
}

/* A cable's link goes down and up at both ends; or (`silent`) it carries nothing from now on, or again, and nobody sees it. */
static void disturb(struct network *network, struct random *random, bool silent)
{
	char lan = (char)('a' + random_below(random, 12));

	if (silent && random_below(random, 2)) {
		network->bad_lans[(unsigned)lan] = !network->bad_lans[(unsigned)lan];
		return;
	}
	for (unsigned i = 0; i < network->bridge_count; i++)
		for (unsigned k = 0; k < network->bridges[i].port_count; k++) {
			if (network->bridges[i].ports[k].lan != lan)
				continue;
			rstp_port_link(&network->bridges[i].bridge, k, false);
			rstp_port_link(&network->bridges[i].bridge, k, true);
		}
}

/* What comes of a dozen disturbances: it ends calm and connected. Returns for how long there was a loop, in ms. */
static uint64_t run_random(uint64_t seed, bool silent)
{
	struct random random = { .state = seed };
	struct rstp_config config = rstp_config_default();
	struct network *network;
	uint64_t loops;

	config.legacy = seed % 5 == 0;
	network = make_random(&random, &config);
	for (unsigned i = 0; i < 12; i++) {
		network_run(network, random_below(&random, 3000) + 1);
		disturb(network, &random, silent);
	}
	CU_ASSERT_NOT_EQUAL(network_settle(network, OLD_PORT_CALM + 10000), UINT64_MAX);
	CU_ASSERT_TRUE(network_is_connected(network));
	loops = network->loops;
	if (loops && !silent)
		printf("seed %llu: a loop\n", (unsigned long long)seed);
	network_destroy(network);
	return loops;
}

static void test_random_networks_never_loop(void)
{
	unsigned networks = getenv("TORTURE") ? 3000 : 60;

	for (unsigned seed = 1; seed <= networks; seed++)
		CU_ASSERT_EQUAL(run_random(seed, false), 0);
}

/* A cable that comes back unseen joins ports that forward both: until the next message, at most a hello time later. */
static void test_cables_that_fail_unseen(void)
{
	unsigned networks = getenv("TORTURE") ? 3000 : 60;

	for (unsigned seed = 1; seed <= networks; seed++)
		CU_ASSERT_TRUE(run_random(seed, true) <= 12 * 2000);
}

UNIT_MAIN("rapid spanning tree", UNIT(test_one_bridge), UNIT(test_a_triangle_and_a_lost_link),
	  UNIT(test_two_lost_links_costs_and_a_new_root), UNIT(test_figures_17_4_and_17_5),
	  UNIT(test_figure_17_6), UNIT(test_figure_17_7), UNIT(test_the_old_protocol),
	  UNIT(test_a_neighbour_of_the_old_protocol),
	  UNIT(test_an_edge_is_forwarding_at_once_until_a_bridge_is_heard), UNIT(test_guards),
	  UNIT(test_a_port_that_hears_itself), UNIT(test_a_link_that_fails_one_way),
	  UNIT(test_no_more_messages_than_the_hold_count), UNIT(test_a_topology_change_flushes),
	  UNIT(test_settings), UNIT(test_random_networks_never_loop),
	  UNIT(test_cables_that_fail_unseen))
