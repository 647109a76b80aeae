/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside of `tenon raid test`: what its scenarios run against besides tenon's arrays in virtual time. */
#ifndef TENON_TOOLS_RAID_TEST_H
#define TENON_TOOLS_RAID_TEST_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/lab/target.h"

struct lab_result;
struct lab_scenario;

extern const struct lab_target raid_test_md; /* the kernel's md, in User Mode Linux */

extern const struct lab_target raid_test_live; /* tenon's, in real time, served to a guest */

/* Prints the report of a run, in lines that fit a terminal. */
void raid_test_tell(const struct lab_scenario *scenario, const struct lab_result *result);

/* Both, compared; prints, and returns an exit status. `report` may be NULL. */
int raid_test_both(const struct lab_scenario *scenario, uint64_t seed, bool as_json,
		   const char *report);

#endif
