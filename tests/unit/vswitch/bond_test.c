/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch/bond: bonds in switches, and two switches with cables between their bonds, in virtual time. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fake_port.h"
#include "util/bytes.h"
#include "util/error.h"
#include "vswitch/bond.h"
#include "vswitch/stp.h"

#define A         0x0200000000a1ULL
#define B         0x0200000000b1ULL
#define BROADCAST 0xffffffffffffULL
#define MS        1000000ULL
#define SECOND    (1000 * MS)

static uint64_t now;

static uint64_t test_clock(void *arg)
{
	(void)arg;
	return now;
}

/* A switch with a station and a bond of two links. */
struct lab {
	struct vswitch *vswitch;
	struct fake_port *station, *other, *link[2];
};

static void set_words(struct vswitch *vswitch, const char *port, const char *words)
{
	struct port_config config = { 0 };
	char copy[200], *rest = copy, *word;
	struct error error = { 0 };

	strcpy(copy, words);
	while ((word = strsep(&rest, ",")))
		CU_ASSERT_EQUAL_FATAL(port_config_set(&config, word, &error), 0);
	CU_ASSERT_EQUAL(vswitch_set_port(vswitch, port, &config, &error), 0);
}

static struct lab make_lab(const char *words, unsigned threads)
{
	struct vswitch_options options = { .seed = now, .clock = test_clock, .threads = threads };
	struct lab lab;

	CU_ASSERT_EQUAL_FATAL(vswitch_create(&lab.vswitch, &options, NULL), 0);
	lab.station = fake_port_add(lab.vswitch, "x", 0);
	lab.other = fake_port_add(lab.vswitch, "y", 0);
	lab.link[0] = fake_port_add(lab.vswitch, "l0", 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port_bond(lab.vswitch, "b", NULL, NULL), 0);
	lab.link[1] = fake_port_add(lab.vswitch, "l1", 0);
	set_words(lab.vswitch, "b", words);
	set_words(lab.vswitch, "l0", "bond=b");
	set_words(lab.vswitch, "l1", "bond=b");
	vswitch_round(lab.vswitch);
	vswitch_round(lab.vswitch);
	return lab;
}

static void clear(struct lab *lab)
{
	fake_port_clear(lab->station);
	fake_port_clear(lab->other);
	fake_port_clear(lab->link[0]);
	fake_port_clear(lab->link[1]);
}

static void put(struct lab *lab, struct fake_port *port, uint64_t destination, uint64_t source)
{
	fake_port_put_frame(port, destination, source, 0);
	vswitch_round(lab->vswitch);
}

static struct vswitch_bond *look(const struct lab *lab)
{
	static struct vswitch_bond bond;
	struct vswitch_bond_status *status;

	CU_ASSERT_EQUAL_FATAL(vswitch_bond_status(lab->vswitch, &status), 0);
	CU_ASSERT_EQUAL_FATAL(status->count, 1);
	bond = status->bonds[0];
	vswitch_bond_status_free(status);
	return &bond;
}

static uint64_t drops(const struct fake_port *fake, enum port_drop why)
{
	return fake->port.counters.drops[why];
}

/* ---- Static ---- */

static void flood_and_learn(unsigned threads)
{
	struct lab lab;

	now = 1000 * SECOND;
	lab = make_lab("bond-mode=static", threads);
	CU_ASSERT_TRUE(look(&lab)->up);
	/* To one of the links, and to all other ports. */
	put(&lab, lab.station, BROADCAST, A);
	CU_ASSERT_EQUAL(lab.link[0]->out_count + lab.link[1]->out_count, 1);
	CU_ASSERT_EQUAL(lab.other->out_count, 1);
	clear(&lab);
	/* What comes by a link goes to no other. */
	put(&lab, lab.link[0], BROADCAST, B);
	CU_ASSERT_EQUAL(lab.link[0]->out_count + lab.link[1]->out_count, 0);
	CU_ASSERT_EQUAL(lab.station->out_count, 1);
	clear(&lab);
	/* The station is at the bond, by whatever link it sends. */
	put(&lab, lab.link[1], A, B);
	CU_ASSERT_EQUAL(lab.station->out_count, 1);
	CU_ASSERT_EQUAL(lab.other->out_count, 0);
	clear(&lab);
	for (unsigned i = 0; i < 10; i++)
		put(&lab, lab.station, B, A);
	/* Of one flow. */
	CU_ASSERT_EQUAL(lab.link[0]->out_count + lab.link[1]->out_count, 10);
	CU_ASSERT_TRUE(!lab.link[0]->out_count || !lab.link[1]->out_count);
	CU_ASSERT_EQUAL(lab.other->out_count, 0);
	/* From one station of the bond to another one there. */
	put(&lab, lab.link[0], B, 0x0200000000b2ULL);
	CU_ASSERT_EQUAL(drops(lab.link[0], PORT_DROP_SAME_PORT), 1);
	vswitch_destroy(lab.vswitch);
}

static void test_a_bond_is_one_port(void)
{
	flood_and_learn(1);
}

static void test_a_bond_of_several_threads_is_one_port(void)
{
	flood_and_learn(3);
}

static void test_many_flows_take_all_links(void)
{
	struct lab lab;

	now = 1000 * SECOND;
	lab = make_lab("bond-mode=static", 1);
	now += 2 * SECOND; /* all buckets are where they are to be */
	for (unsigned i = 0; i < 10; i++)
		vswitch_round(lab.vswitch);
	for (unsigned i = 0; i < 300; i++)
		put(&lab, lab.station, BROADCAST, A + 256 + i);
	CU_ASSERT_EQUAL(lab.link[0]->out_count + lab.link[1]->out_count, 300);
	CU_ASSERT_TRUE(lab.link[0]->out_count > 100 && lab.link[1]->out_count > 100);
	/* More than there is room for in one round. */
	clear(&lab);
	for (unsigned k = 0; k < 40; k++) {
		for (unsigned i = 0; i < 10; i++)
			fake_port_put_frame(lab.station, BROADCAST, A + 256 + i, 0);
		vswitch_round(lab.vswitch);
	}
	vswitch_round(lab.vswitch);
	CU_ASSERT_EQUAL(lab.link[0]->out_count + lab.link[1]->out_count, 400);
	vswitch_destroy(lab.vswitch);
}

static void test_links_have_the_settings_of_the_bond(void)
{
	struct lab lab;

	now = 1000 * SECOND;
	lab = make_lab("bond-mode=static,trunk=10", 1);
	set_words(lab.vswitch, "x", "vlan=10");
	put(&lab, lab.station, BROADCAST, A);
	CU_ASSERT_EQUAL(lab.link[0]->out_count + lab.link[1]->out_count, 1);
	for (unsigned i = 0; i < 2; i++)
		if (lab.link[i]->out_count)
			CU_ASSERT_EQUAL(get_be32(lab.link[i]->out[0].bytes + 12), 0x8100000a);
	/* What has no tag comes not in. */
	put(&lab, lab.link[0], BROADCAST, B);
	CU_ASSERT_EQUAL(drops(lab.link[0], PORT_DROP_VLAN), 1);
	/* Changed for all of them. */
	clear(&lab);
	set_words(lab.vswitch, "b", "bond-mode=static,vlan=10");
	put(&lab, lab.link[1], BROADCAST, B);
	CU_ASSERT_EQUAL(lab.station->out_count, 1);
	/* Who leaves has its own again. */
	set_words(lab.vswitch, "l1", "bond=none");
	clear(&lab);
	put(&lab, lab.link[1], BROADCAST, B);
	CU_ASSERT_EQUAL(lab.station->out_count, 0);
	CU_ASSERT_EQUAL(lab.other->out_count, 1);
	CU_ASSERT_EQUAL(lab.link[0]->out_count, 0);
	vswitch_destroy(lab.vswitch);
}

static void test_the_last_link_takes_the_bond_down(void)
{
	struct vswitch_status *status;
	struct lab lab;

	now = 1000 * SECOND;
	lab = make_lab("bond-mode=static", 1);
	put(&lab, lab.link[0], BROADCAST, B);
	port_set_up(&lab.link[0]->port, false);
	/* Before anybody was told, and after. */
	for (unsigned i = 0; i < 2; i++) {
		clear(&lab);
		put(&lab, lab.station, B, A);
		CU_ASSERT_EQUAL(lab.link[1]->out_count, 1);
	}
	CU_ASSERT_TRUE(look(&lab)->up);
	port_set_up(&lab.link[1]->port, false);
	vswitch_round(lab.vswitch);
	CU_ASSERT_FALSE(look(&lab)->up);
	CU_ASSERT_EQUAL_FATAL(vswitch_status(lab.vswitch, &status), 0);
	CU_ASSERT_EQUAL(status->address_count, 1); /* A */
	vswitch_status_free(status);
	clear(&lab);
	put(&lab, lab.station, B, A);
	CU_ASSERT_EQUAL(lab.link[0]->out_count + lab.link[1]->out_count, 0);
	CU_ASSERT_EQUAL(lab.other->out_count, 1);
	port_set_up(&lab.link[0]->port, true);
	vswitch_round(lab.vswitch);
	CU_ASSERT_TRUE(look(&lab)->up);
	/* Too few. */
	set_words(lab.vswitch, "b", "bond-mode=static,bond-min-links=2");
	CU_ASSERT_FALSE(look(&lab)->up);
	put(&lab, lab.link[0], BROADCAST, B);
	CU_ASSERT_EQUAL(drops(lab.link[0], PORT_DROP_BLOCKED), 1);
	vswitch_destroy(lab.vswitch);
}

/* A link that is taken out, or comes, disturbs no flow of another one. */
static void test_flows_of_other_links_stay(void)
{
	unsigned moved = 0;
	struct lab lab;

	now = 1000 * SECOND;
	lab = make_lab("bond-mode=static", 1);
	now += 2 * SECOND;
	for (unsigned i = 0; i < 10; i++)
		vswitch_round(lab.vswitch);
	CU_ASSERT_EQUAL(vswitch_remove_port(lab.vswitch, "l0", NULL), 0);
	lab.link[0] = fake_port_add(lab.vswitch, "l2", 0);
	for (unsigned i = 0; i < 100; i++) {
		clear(&lab);
		put(&lab, lab.station, BROADCAST, A + 256 + i);
		CU_ASSERT_EQUAL(lab.link[1]->out_count, 1);
		/* As a port of its own it has all broadcasts. */
		CU_ASSERT_EQUAL(lab.link[0]->out_count, 1);
	}
	set_words(lab.vswitch, "l2", "bond=b");
	/* A flow that is never idle stays where it is, for a second. */
	for (unsigned i = 0; i < 180; i++) {
		clear(&lab);
		put(&lab, lab.station, BROADCAST, A + 256);
		CU_ASSERT_EQUAL(lab.link[1]->out_count, 1);
		now += 5 * MS;
	}
	now += 2 * SECOND;
	vswitch_round(lab.vswitch);
	for (unsigned i = 0; i < 100; i++) {
		clear(&lab);
		put(&lab, lab.station, BROADCAST, A + 256 + i);
		CU_ASSERT_EQUAL(lab.link[0]->out_count + lab.link[1]->out_count, 1);
		moved += lab.link[0]->out_count;
	}
	CU_ASSERT_TRUE(moved > 20 && moved < 80);
	CU_ASSERT_EQUAL(look(&lab)->links[1].share, BOND_BUCKETS / 2);
	vswitch_destroy(lab.vswitch);
}

/* ---- Active and backup ---- */

static void test_a_failover_is_announced(void)
{
	struct lab lab;

	now = 1000 * SECOND;
	lab = make_lab("bond-mode=active-backup", 1);
	put(&lab, lab.station, BROADCAST, A);
	CU_ASSERT_EQUAL(lab.link[0]->out_count, 1);
	CU_ASSERT_EQUAL(lab.link[1]->out_count, 0);
	/* The one in reserve takes nothing. */
	put(&lab, lab.link[1], BROADCAST, B);
	CU_ASSERT_EQUAL(drops(lab.link[1], PORT_DROP_BLOCKED), 1);
	put(&lab, lab.link[0], BROADCAST, B);
	clear(&lab);
	port_set_up(&lab.link[0]->port, false);
	vswitch_round(lab.vswitch);
	CU_ASSERT_STRING_EQUAL(look(&lab)->active, "l1");
	CU_ASSERT_EQUAL(look(&lab)->failovers, 1);
	/* A, which is here, and not B, which is there. */
	CU_ASSERT_EQUAL_FATAL(lab.link[1]->out_count, 1);
	CU_ASSERT_EQUAL(mac_from_bytes(lab.link[1]->out[0].bytes), BROADCAST);
	CU_ASSERT_EQUAL(mac_from_bytes(lab.link[1]->out[0].bytes + 6), A);
	CU_ASSERT_EQUAL(get_be16(lab.link[1]->out[0].bytes + 12), 0x8035);
	/* It stays when the other comes back, but for a primary one. */
	port_set_up(&lab.link[0]->port, true);
	vswitch_round(lab.vswitch);
	CU_ASSERT_STRING_EQUAL(look(&lab)->active, "l1");
	set_words(lab.vswitch, "b", "bond-mode=active-backup,bond-primary=l0");
	CU_ASSERT_STRING_EQUAL(look(&lab)->active, "l0");
	vswitch_destroy(lab.vswitch);
}

/* ---- LACP between two switches ---- */

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

/* ---- What cannot be ---- */

static void refused(struct vswitch *vswitch, const char *port, const char *words, int with,
		    const char *text)
{
	struct port_config config = { 0 };
	char copy[200], *rest = copy, *word;
	struct error error = { 0 };

	strcpy(copy, words);
	while ((word = strsep(&rest, ",")))
		CU_ASSERT_EQUAL_FATAL(port_config_set(&config, word, NULL), 0);
	CU_ASSERT_EQUAL(vswitch_set_port(vswitch, port, &config, &error), with);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, text));
}

static void test_what_cannot_be_is_refused(void)
{
	struct port_mirror_options mirror = { .name = "m", .to = "l0", .source_count = 1 };
	struct link_model model = { 0 };
	struct error error = { 0 };
	struct lab lab;

	now = 1000 * SECOND;
	lab = make_lab("bond-mode=static", 1);
	refused(lab.vswitch, "x", "bond=nobody", -ENOENT, "there is none of that name");
	refused(lab.vswitch, "x", "bond=y", -EINVAL, "no bond");
	refused(lab.vswitch, "b", "bond=b", -EINVAL, "it is a bond itself");
	refused(lab.vswitch, "x", "bond=b,vlan=7", -EINVAL, "vlan=7");
	refused(lab.vswitch, "x", "bond-mode=static", -EINVAL, "settings of a bond");
	CU_ASSERT_EQUAL(vswitch_remove_port(lab.vswitch, "b", &error), -EBUSY);
	CU_ASSERT_EQUAL(vswitch_add_address(lab.vswitch, 0, B, "l0", &error), -EINVAL);
	CU_ASSERT_EQUAL(vswitch_add_address(lab.vswitch, 0, B, "b", &error), 0);
	CU_ASSERT_EQUAL(vswitch_set_link(lab.vswitch, "b", LINK_IN, &model, &error), -EINVAL);
	CU_ASSERT_EQUAL(vswitch_set_link(lab.vswitch, "l0", LINK_IN, &model, &error), 0);
	strcpy(mirror.sources[0].port, "x");
	mirror.sources[0].ways = PORT_BOTH_WAYS;
	CU_ASSERT_EQUAL(vswitch_add_mirror(lab.vswitch, &mirror, &error), -EINVAL);
	strcpy(mirror.to, "y");
	CU_ASSERT_EQUAL(vswitch_add_mirror(lab.vswitch, &mirror, &error), 0);
	refused(lab.vswitch, "y", "bond=b", -EBUSY, "mirror m has it");
	vswitch_destroy(lab.vswitch);
}

/* A mirror of a bond sees what comes by any link, once, and what leaves. */
static void test_mirrors_look_at_bonds(void)
{
	struct port_mirror_options mirror = { .name = "m", .to = "y", .source_count = 1 };
	struct lab lab;

	now = 1000 * SECOND;
	lab = make_lab("bond-mode=static", 1);
	strcpy(mirror.sources[0].port, "b");
	mirror.sources[0].ways = PORT_BOTH_WAYS;
	CU_ASSERT_EQUAL_FATAL(vswitch_add_mirror(lab.vswitch, &mirror, NULL), 0);
	put(&lab, lab.link[0], BROADCAST, B);
	put(&lab, lab.link[1], BROADCAST, B);
	CU_ASSERT_EQUAL(lab.other->out_count, 2);
	put(&lab, lab.station, B, A);
	CU_ASSERT_EQUAL(lab.other->out_count, 3);
	CU_ASSERT_EQUAL(lab.link[0]->out_count + lab.link[1]->out_count, 1);
	vswitch_destroy(lab.vswitch);
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

/* Ports, bonds and settings come and go in any order while frames pass. */
static void test_random_changes(void)
{
	static const char *const settings[] = { "bond=b",          "bond=none", "bond=c",
						"bond-priority=5", "vlan=3",    "bond=b" };
	static const char *const of_bond[] = { "bond-mode=lacp", "bond-mode=static",
					       "bond-mode=active-backup",
					       "vlan=3,bond-mode=static" };
	uint32_t random = 99;
	struct lab lab;

	now = 1000 * SECOND;
	lab = make_lab("bond-mode=static", 2);
	for (unsigned i = 0; i < 8; i++) {
		char name[] = "p0";

		name[1] = (char)('0' + i);
		fake_port_add(lab.vswitch, name, 0);
	}
	for (unsigned step = 0; step < 3000; step++) {
		struct port_config config = { 0 };
		char name[] = "p0", copy[64], *rest = copy, *word;
		unsigned what;

		random = random * 1664525 + 1013904223;
		what = random >> 24;
		name[1] = (char)('0' + what % 8);
		if (what < 8) {
			vswitch_remove_port(lab.vswitch, name, NULL);
			fake_port_add(lab.vswitch, name, 0);
		} else if (what < 16) {
			vswitch_add_port_bond(lab.vswitch, "c", NULL, NULL);
		} else if (what < 24) {
			vswitch_remove_port(lab.vswitch, "c", NULL);
		} else {
			strcpy(copy, what < 64 ? of_bond[what % 4] : settings[what % 6]);
			while ((word = strsep(&rest, ",")))
				CU_ASSERT_EQUAL_FATAL(port_config_set(&config, word, NULL), 0);
			vswitch_set_port(lab.vswitch, what < 64 ? "b" : name, &config, NULL);
		}
		fake_port_clear(lab.station);
		fake_port_put_frame(lab.station, BROADCAST, A + step, 0);
		fake_port_put_frame(lab.other, BROADCAST, B + step % 7, 0);
		vswitch_round(lab.vswitch);
		clear(&lab);
		now += (random & 0xff) * MS;
	}
	vswitch_destroy(lab.vswitch);
}

UNIT_MAIN("bond", UNIT(test_a_bond_is_one_port), UNIT(test_a_bond_of_several_threads_is_one_port),
	  UNIT(test_many_flows_take_all_links), UNIT(test_links_have_the_settings_of_the_bond),
	  UNIT(test_the_last_link_takes_the_bond_down), UNIT(test_flows_of_other_links_stay),
	  UNIT(test_a_failover_is_announced), UNIT(test_two_switches_agree),
	  UNIT(test_spanning_trees_see_bonds), UNIT(test_what_cannot_be_is_refused),
	  UNIT(test_mirrors_look_at_bonds), UNIT(test_a_bond_gets_copies),
	  UNIT(test_random_changes))
