/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch/bond: two switches with cables between their bonds, which come to terms by LACP, in virtual time. */
#include "unit.h"

#include "bond_lab.h"
#include "util/bytes.h"
#include "vswitch/port_mirror.h"
#include "vswitch/stp.h"

static bool cut[2];

static void carry(struct fake_port *from, struct fake_port *to, bool is_cut)
{
	for (unsigned i = 0; i < from->out_count && !is_cut; i++)
		fake_port_put(to, from->out[i].bytes, from->out[i].length, NULL);
	fake_port_clear(from);
}

static void pass(struct lab labs[2], uint64_t time)
{
	for (uint64_t until = now + time; now < until; now += 100 * MS) {
		for (unsigned i = 0; i < 2; i++) {
			vswitch_round(labs[0].vswitch);
			vswitch_round(labs[1].vswitch);
			for (unsigned k = 0; k < 2; k++) {
				carry(labs[0].link[k], labs[1].link[k], cut[k]);
				carry(labs[1].link[k], labs[0].link[k], cut[k]);
			}
		}
	}
}

static void test_two_switches_agree(void)
{
	struct lab labs[2];

	now = 1000 * SECOND;
	cut[0] = cut[1] = false;
	for (unsigned i = 0; i < 2; i++) {
		now += i;
		labs[i] = make_lab("bond-rate=fast", 1 + i);
	}
	CU_ASSERT_FALSE(look(&labs[0])->up);
	pass(labs, 6 * SECOND);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_TRUE(look(&labs[i])->up);
		CU_ASSERT_TRUE(look(&labs[i])->links[0].carries &&
			       look(&labs[i])->links[1].carries);
	}
	CU_ASSERT_EQUAL(look(&labs[0])->partner.system, look(&labs[1])->lacp.system);
	/* A broadcast comes once, and over one cable. */
	fake_port_clear(labs[1].station);
	fake_port_put_frame(labs[0].station, BROADCAST, A, 0);
	pass(labs, SECOND);
	CU_ASSERT_EQUAL(labs[1].station->out_count, 1);
	/* A cable that is cut, and neither end sees it. */
	cut[0] = true;
	pass(labs, 4 * SECOND);
	CU_ASSERT_FALSE(look(&labs[0])->links[0].carries);
	fake_port_clear(labs[1].station);
	for (unsigned i = 0; i < 20; i++)
		fake_port_put_frame(labs[0].station, BROADCAST, A + 256 + i, 0);
	pass(labs, SECOND);
	CU_ASSERT_EQUAL(labs[1].station->out_count, 20);
	cut[0] = false;
	pass(labs, 10 * SECOND);
	CU_ASSERT_TRUE(look(&labs[0])->links[0].carries);
	/* By hand: the other end is told, and does not wait. */
	set_words(labs[0].vswitch, "l0", "bond=none,stp=off");
	port_set_up(&labs[0].link[0]->port, false);
	pass(labs, 200 * MS);
	CU_ASSERT_FALSE(look(&labs[1])->links[0].carries);
	CU_ASSERT_TRUE(look(&labs[1])->links[1].carries);
	vswitch_destroy(labs[0].vswitch);
	vswitch_destroy(labs[1].vswitch);
}

static void test_spanning_trees_see_bonds(void)
{
	struct rstp_config config = rstp_config_default();
	struct stp_status *status;
	struct lab labs[2];

	now = 1000 * SECOND;
	cut[0] = cut[1] = false;
	for (unsigned i = 0; i < 2; i++) {
		now += i;
		labs[i] = make_lab("bond-rate=fast", 1);
		config.address = 0x020000000001 + i;
		CU_ASSERT_EQUAL_FATAL(vswitch_set_stp(labs[i].vswitch, &config, NULL), 0);
	}
	pass(labs, 20 * SECOND);
	CU_ASSERT_EQUAL_FATAL(vswitch_stp_status(labs[1].vswitch, &status), 0);
	CU_ASSERT_EQUAL(status->port_count, 3);
	CU_ASSERT_STRING_EQUAL(status->root_port, "b");
	for (unsigned i = 0; i < status->port_count; i++) {
		CU_ASSERT_STRING_EQUAL(status->ports[i].state, "forwarding");
		CU_ASSERT_TRUE(status->ports[i].name[0] != 'l');
		if (status->ports[i].name[0] == 'b')
			CU_ASSERT_EQUAL(status->ports[i].cost, 1000); /* of two links at 10 Gb/s */
	}
	vswitch_stp_status_free(status);
	/* One that leaves is a port of the tree: a second way, which is blocked. */
	set_words(labs[0].vswitch, "l0", "bond=none");
	set_words(labs[1].vswitch, "l0", "bond=none");
	pass(labs, 10 * SECOND);
	CU_ASSERT_EQUAL_FATAL(vswitch_stp_status(labs[1].vswitch, &status), 0);
	CU_ASSERT_EQUAL(status->port_count, 4);
	for (unsigned i = 0; i < status->port_count; i++)
		if (!strcmp(status->ports[i].name, "l0"))
			CU_ASSERT_STRING_EQUAL(status->ports[i].role, "alternate");
	vswitch_stp_status_free(status);
	vswitch_destroy(labs[0].vswitch);
	vswitch_destroy(labs[1].vswitch);
}

/*
 * A link is taken out while frames of the other end are on their way: the other end is told, and takes 100 ms to stop; what it sends
 * until then arrives.
 */
static void test_nothing_is_lost_by_a_link_that_leaves(void)
{
	struct lab labs[2];
	unsigned waits = 0, over = 0;

	now = 1000 * SECOND;
	cut[0] = cut[1] = false;
	for (unsigned i = 0; i < 2; i++) {
		now += i;
		labs[i] = make_lab("bond-rate=fast", 1 + i);
	}
	pass(labs, 6 * SECOND);
	clear(&labs[0]);
	/* The last to come by either cable before, and what left while nobody had heard. */
	for (unsigned i = 0; i < 40; i++)
		fake_port_put_frame(labs[1].station, BROADCAST, A + 256 + i, 0);
	vswitch_round(labs[1].vswitch);
	vswitch_round(labs[1].vswitch);
	while (vswitch_link_leaves(labs[0].vswitch, "l0", true)) {
		waits++;
		over += labs[1].link[0]->out_count > 5;
		CU_ASSERT_FALSE(look(&labs[0])->links[0].carries);
		pass(labs, 100 * MS);
		CU_ASSERT_FATAL(waits < 20);
	}
	CU_ASSERT_TRUE(waits && over);
	CU_ASSERT_FALSE(look(&labs[1])->links[0].carries);
	CU_ASSERT_TRUE(look(&labs[0])->links[1].carries && look(&labs[1])->links[1].carries);
	set_words(labs[0].vswitch, "l0", "bond=none,vlan=99");
	for (unsigned i = 0; i < 40; i++)
		fake_port_put_frame(labs[1].station, BROADCAST, A + 256 + i, 0);
	pass(labs, SECOND);
	CU_ASSERT_EQUAL(labs[0].station->out_count, 80);
	CU_ASSERT_EQUAL(drops(labs[0].link[0], PORT_DROP_BLOCKED), 0);
	/* One that nobody is at is not waited for, nor one that is none. */
	CU_ASSERT_FALSE(vswitch_link_leaves(labs[0].vswitch, "l0", true));
	CU_ASSERT_FALSE(vswitch_link_leaves(labs[0].vswitch, "nosuch", true));
	/* And one that was to leave, and does not, comes back. */
	CU_ASSERT_TRUE(vswitch_link_leaves(labs[0].vswitch, "l1", true));
	pass(labs, SECOND);
	CU_ASSERT_FALSE(look(&labs[0])->up);
	CU_ASSERT_FALSE(vswitch_link_leaves(labs[0].vswitch, "l1", false));
	pass(labs, 10 * SECOND);
	CU_ASSERT_TRUE(look(&labs[0])->up);
	vswitch_destroy(labs[0].vswitch);
	vswitch_destroy(labs[1].vswitch);
}

static unsigned broadcasts(const struct fake_port *port)
{
	unsigned count = 0;

	for (unsigned i = 0; i < port->out_count; i++)
		count += mac_from_bytes(port->out[i].bytes) == BROADCAST;
	return count;
}

/* A bond that gets copies gets nothing else, and nobody gets anything of it: but its links come to terms. */
static void test_a_bond_gets_copies(void)
{
	struct port_mirror_options mirror = { .name = "m", .to = "b", .source_count = 1 };
	struct lab labs[2];

	for (unsigned i = 0; i < 2; i++) {
		now = 1000 * SECOND + i; /* and seed */
		labs[i] = make_lab("bond-mode=lacp,bond-rate=fast", 1);
	}
	strcpy(mirror.sources[0].port, "x");
	mirror.sources[0].ways = PORT_WAY(PORT_IN);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_mirror(labs[0].vswitch, &mirror, NULL), 0);
	pass(labs, 10 * SECOND);
	CU_ASSERT_TRUE(look(&labs[0])->up);
	clear(&labs[0]);
	put(&labs[0], labs[0].station, BROADCAST, A);
	CU_ASSERT_EQUAL(broadcasts(labs[0].link[0]) + broadcasts(labs[0].link[1]), 1);
	CU_ASSERT_EQUAL(labs[0].other->out_count, 1);
	clear(&labs[0]);
	put(&labs[0], labs[0].link[0], BROADCAST, B);
	CU_ASSERT_EQUAL(labs[0].station->out_count, 0);
	CU_ASSERT_EQUAL(labs[0].other->out_count, 0);
	CU_ASSERT_EQUAL(drops(labs[0].link[0], PORT_DROP_MIRROR), 1);
	for (unsigned i = 0; i < 2; i++)
		vswitch_destroy(labs[i].vswitch);
}

UNIT_MAIN("bonds of two switches", UNIT(test_two_switches_agree),
	  UNIT(test_nothing_is_lost_by_a_link_that_leaves), UNIT(test_spanning_trees_see_bonds),
	  UNIT(test_a_bond_gets_copies))
