/* SPDX-License-Identifier: BSD-2-Clause */
/* Workers beside the test's own, and a layer that can be used by all of them. */
#ifndef TENON_TESTS_CREW_H
#define TENON_TESTS_CREW_H

#include <stdbool.h>

#include "fiber/fiber.h"

struct block;

#define CREW_WORKERS 2u

struct crew {
	struct worker *workers[CREW_WORKERS];
	struct crew_member {
		struct fiber_queue end;
		bool ended;
	} members[CREW_WORKERS];
};

/* In real time. On a fiber. */
void crew_begin(struct crew *crew);
void crew_end(struct crew *crew);

/* A layer over any other that has views, which call it at home. Takes a reference. */
struct block *crew_share(struct block *lower);

#endif
