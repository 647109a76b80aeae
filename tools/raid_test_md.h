/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel's md as a target of scenarios: between what is done with it (raid_test_md.c) and how it stands (raid_test_md_status.c). */
#ifndef TENON_TOOLS_RAID_TEST_MD_H
#define TENON_TOOLS_RAID_TEST_MD_H

#include <stdbool.h>
#include <stdint.h>

#define MD           "/sys/block/md0/md/"
#define MD_SECOND_NS 1000000000ull
#define MD_NOT_KNOWN (UINT64_MAX - 1) /* what was said last of sync_max */

struct lab_run;
struct raid_status;
struct uml;

struct md {
	struct uml *uml;
	uint64_t data_offset; /* bytes; what an array of ours has */
	uint32_t layout;
	uint64_t sync_max;   /* thousandths of a percent, as said last */
	uint64_t sync_total; /* sectors; 0: not known yet */
	uint64_t left_ns;    /* since when a spare is not filled; 0: it is, or none is needed */
	bool idle, gone;
};

/* What /sys says of the array of `run`, whose machine is a struct md; what the kernel has said meanwhile is noted. */
void raid_test_md_status(struct lab_run *run, struct raid_status *status);
/* Notes what it has said. */
void raid_test_md_listen(struct lab_run *run);

#endif
