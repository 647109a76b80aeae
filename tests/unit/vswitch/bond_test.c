/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch/bond: bonds in switches, in virtual time; two of these: bond_pair_test.c. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bond_lab.h"
#include "util/bytes.h"

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

/* A link that has come back, or gone, for a moment; in milliseconds. */
static void test_links_count_when_they_have_lasted(void)
{
	struct lab lab;

	now = 1000 * SECOND;
	lab = make_lab("bond-mode=active-backup", 1);
	set_words(lab.vswitch, "b",
		  "bond-mode=active-backup,bond-primary=l0,bond-updelay=500,bond-downdelay=200");
	CU_ASSERT_STRING_EQUAL(look(&lab)->active, "l0");
	/* Not long enough to be believed. */
	port_set_up(&lab.link[0]->port, false);
	vswitch_round(lab.vswitch);
	now += 100 * MS;
	vswitch_round(lab.vswitch);
	port_set_up(&lab.link[0]->port, true);
	vswitch_round(lab.vswitch);
	now += SECOND;
	vswitch_round(lab.vswitch);
	CU_ASSERT_STRING_EQUAL(look(&lab)->active, "l0");
	CU_ASSERT_EQUAL(look(&lab)->failovers, 0);
	port_set_up(&lab.link[0]->port, false);
	vswitch_round(lab.vswitch);
	now += 199 * MS;
	vswitch_round(lab.vswitch);
	CU_ASSERT_STRING_EQUAL(look(&lab)->active, "l0");
	now += 1 * MS;
	vswitch_round(lab.vswitch);
	CU_ASSERT_STRING_EQUAL(look(&lab)->active, "l1");
	/* The primary one comes back, and is not used until it has lasted. */
	port_set_up(&lab.link[0]->port, true);
	vswitch_round(lab.vswitch);
	now += 499 * MS;
	vswitch_round(lab.vswitch);
	CU_ASSERT_STRING_EQUAL(look(&lab)->active, "l1");
	now += 1 * MS;
	vswitch_round(lab.vswitch);
	CU_ASSERT_STRING_EQUAL(look(&lab)->active, "l0");
	CU_ASSERT_EQUAL(look(&lab)->failovers, 2);
	/* Where no other carries, one that comes is not waited for. */
	port_set_up(&lab.link[0]->port, false);
	port_set_up(&lab.link[1]->port, false);
	vswitch_round(lab.vswitch);
	now += 200 * MS;
	vswitch_round(lab.vswitch);
	CU_ASSERT_FALSE(look(&lab)->up);
	port_set_up(&lab.link[1]->port, true);
	vswitch_round(lab.vswitch);
	CU_ASSERT_TRUE(look(&lab)->up);
	/* Nor one that was, when the last other one goes. */
	port_set_up(&lab.link[0]->port, true);
	vswitch_round(lab.vswitch);
	port_set_up(&lab.link[1]->port, false);
	vswitch_round(lab.vswitch);
	now += 200 * MS;
	vswitch_round(lab.vswitch);
	CU_ASSERT_STRING_EQUAL(look(&lab)->active, "l0");
	CU_ASSERT_TRUE(look(&lab)->up);
	port_set_up(&lab.link[1]->port, true);
	port_set_up(&lab.link[0]->port, false);
	vswitch_round(lab.vswitch);
	now += SECOND;
	vswitch_round(lab.vswitch);
	CU_ASSERT_STRING_EQUAL(look(&lab)->active, "l1");
	/* One that leaves while it is waited for is up where it is then. */
	port_set_up(&lab.link[0]->port, true);
	vswitch_round(lab.vswitch);
	set_words(lab.vswitch, "l0", "bond=none");
	set_words(lab.vswitch, "l0", "bond=b");
	CU_ASSERT_STRING_EQUAL(look(&lab)->active, "l0");
	vswitch_destroy(lab.vswitch);
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
	refused(lab.vswitch, "b", "bond-mode=active-backup,bond-primary=nosuch", -ENOENT,
		"no port of that name");
	refused(lab.vswitch, "b", "bond-mode=active-backup,bond-primary=x", -ENOENT,
		"no link of this bond");
	CU_ASSERT_EQUAL(look(&lab)->config.mode, BOND_STATIC);
	/* One that was a link stays named when it has left. */
	set_words(lab.vswitch, "b", "bond-mode=static,bond-primary=l1");
	set_words(lab.vswitch, "l1", "bond=none");
	set_words(lab.vswitch, "b", "bond-mode=static,bond-primary=l1,bond-hash=layer3+4");
	/* Static addresses are not lost by the way. */
	CU_ASSERT_EQUAL(vswitch_add_address(lab.vswitch, 0, A, "l1", &error), 0);
	refused(lab.vswitch, "l1", "bond=b", -EBUSY, "1 static address is at it");
	CU_ASSERT_EQUAL(vswitch_remove_address(lab.vswitch, 0, A, &error), 0);
	set_words(lab.vswitch, "l1", "bond=b");
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
	  UNIT(test_a_failover_is_announced), UNIT(test_links_count_when_they_have_lasted),
	  UNIT(test_what_cannot_be_is_refused), UNIT(test_mirrors_look_at_bonds),
	  UNIT(test_random_changes))
