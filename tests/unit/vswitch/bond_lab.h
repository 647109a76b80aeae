/* SPDX-License-Identifier: BSD-2-Clause */
/* Switches with a bond of two links, for tests of bonds; time is what the test says. */
#ifndef TENON_TESTS_UNIT_VSWITCH_BOND_LAB_H
#define TENON_TESTS_UNIT_VSWITCH_BOND_LAB_H

#include <stdlib.h>
#include <string.h>

#include "fake_port.h"
#include "util/error.h"
#include "vswitch/bond.h"

#define A         0x0200000000a1ULL
#define B         0x0200000000b1ULL
#define BROADCAST 0xffffffffffffULL
#define MS        1000000ULL
#define SECOND    (1000 * MS)

static uint64_t now;

static inline uint64_t test_clock(void *arg)
{
	(void)arg;
	return now;
}

/* A switch with a station and a bond of two links. */
struct lab {
	struct vswitch *vswitch;
	struct fake_port *station, *other, *link[2];
};

static inline void set_words(struct vswitch *vswitch, const char *port, const char *words)
{
	struct port_config config = { 0 };
	char copy[200], *rest = copy, *word;
	struct error error = { 0 };

	strcpy(copy, words);
	while ((word = strsep(&rest, ",")))
		CU_ASSERT_EQUAL_FATAL(port_config_set(&config, word, &error), 0);
	CU_ASSERT_EQUAL(vswitch_set_port(vswitch, port, &config, &error), 0);
}

static inline struct lab make_lab(const char *words, unsigned threads)
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

static inline void clear(struct lab *lab)
{
	fake_port_clear(lab->station);
	fake_port_clear(lab->other);
	fake_port_clear(lab->link[0]);
	fake_port_clear(lab->link[1]);
}

static inline void put(struct lab *lab, struct fake_port *port, uint64_t destination,
		       uint64_t source)
{
	fake_port_put_frame(port, destination, source, 0);
	vswitch_round(lab->vswitch);
}

static inline struct vswitch_bond *look(const struct lab *lab)
{
	static struct vswitch_bond bond;
	struct vswitch_bond_status *status;

	CU_ASSERT_EQUAL_FATAL(vswitch_bond_status(lab->vswitch, &status), 0);
	CU_ASSERT_EQUAL_FATAL(status->count, 1);
	bond = status->bonds[0];
	vswitch_bond_status_free(status);
	return &bond;
}

static inline uint64_t drops(const struct fake_port *fake, enum port_drop why)
{
	return fake->port.counters.drops[why];
}

#endif
