/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A change of a group, whole and then with the power cut, or a disk failing, at each write of it. An attempt makes the group on the
 * fixture's disks, which are worn (worn_disk.h), and
 *
 *	cuts_begin(f, cuts);
 *	rc = the change
 *	cuts_mend(cuts);		what comes then works, on disks of which it is not known what they hold
 *	worn_power_cycle(&cuts->power);	what was not flushed is there or is not
 *
 * and looks at what is there.
 */
#ifndef TENON_TESTS_VOLUME_CUTS_H
#define TENON_TESTS_VOLUME_CUTS_H

#include "volume_fixture.h"
#include "worn_disk.h"

#define CUTS_COUNTS 4u

struct cuts {
	struct worn_power power;
	bool fails;                   /* a write fails, and not the power */
	uint64_t seed;                /* of this round */
	uint64_t at;                  /* which write; 0: none */
	uint64_t changes;             /* writes and flushes of the whole */
	unsigned counts[CUTS_COUNTS]; /* what the test counts, of all attempts */
};

/* Runs `attempt` for each write, `seeds` times (TORTURE: 30 times) over; *out has the counts of all, and `changes`. */
void cuts_run(void (*attempt)(struct fixture *f, struct cuts *cuts), unsigned disks, uint64_t size,
	      bool fails, unsigned seeds, struct cuts *out);

void cuts_begin(const struct fixture *f, struct cuts *cuts);
void cuts_mend(struct cuts *cuts);

#endif
