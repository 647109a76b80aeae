/* SPDX-License-Identifier: BSD-2-Clause */
/* See volume_cuts.h. */
#include "volume_cuts.h"

#include <stdlib.h>
#include <string.h>

/* What fixture_run() runs takes nothing else. */
static struct cuts *the_cuts;
static void (*the_attempt)(struct fixture *f, struct cuts *cuts);

static void attempt_one(struct fixture *f)
{
	for (unsigned i = 0; i < f->count; i++) {
		char name[] = { 'd', (char)('0' + i), '\0' };
		uint64_t size = f->disks[i]->size;

		block_unref(f->disks[i]);
		f->disks[i] = worn_disk_create(&the_cuts->power, name, size);
	}
	the_attempt(f, the_cuts);
}

void cuts_begin(const struct fixture *f, struct cuts *cuts)
{
	cuts->changes = cuts->power.changes;
	if (cuts->at && cuts->fails)
		worn_disk_fail(f->disks[cuts->at % f->count], cuts->at / f->count,
			       1 + cuts->at % 5);
	else if (cuts->at)
		worn_power_cut_after(&cuts->power, cuts->at);
}

void cuts_mend(struct cuts *cuts)
{
	cuts->changes = cuts->power.changes - cuts->changes;
	worn_power_mend(&cuts->power);
}

void cuts_run(void (*attempt)(struct fixture *f, struct cuts *cuts), unsigned disks, uint64_t size,
	      bool fails, unsigned seeds, struct cuts *out)
{
	*out = (struct cuts){ .fails = fails };
	seeds = getenv("TORTURE") ? 30 : seeds;
	for (uint64_t seed = 1; seed <= seeds; seed++)
		for (uint64_t at = 0; at <= out->changes; at++) {
			struct cuts cuts = { .power.random.state = seed * 7919 + at,
					     .fails = fails,
					     .seed = seed,
					     .at = at };

			the_cuts = &cuts;
			the_attempt = attempt;
			fixture_run(attempt_one, disks, size);
			if (!at)
				out->changes = cuts.changes;
			for (unsigned i = 0; i < CUTS_COUNTS; i++)
				out->counts[i] += cuts.counts[i];
		}
}
