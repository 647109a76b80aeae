/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside of `tenon raid test`: what its scenarios run against besides tenon's arrays in virtual time. */
#ifndef TENON_TOOLS_RAID_TEST_H
#define TENON_TOOLS_RAID_TEST_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/lab/target.h"

struct lab_scenario;

extern const struct lab_target raid_test_md; /* the kernel's md, in User Mode Linux */

extern const struct lab_target raid_test_live; /* tenon's, in real time, served to a guest */

/* Both, compared; prints, and returns an exit status. `report` may be NULL. */
int raid_test_both(const struct lab_scenario *scenario, uint64_t seed, bool as_json,
		   const char *report);

#endif
