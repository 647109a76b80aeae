/* SPDX-License-Identifier: BSD-2-Clause */
/* What a scenario says of disks is about disks, and sectors, that are there. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/lab/scenario.h"
#include "tools/lab/volume.h"
#include "unit.h"
#include "util/error.h"

#define HEAD                                                                                       \
	"name: test\n"                                                                             \
	"array: {level: 5, members: 4}\n"                                                          \
	"disks: {size: 8M, each: [{disk: 1, size: 4M}]}\n"                                         \
	"events:\n"

/* Of a scenario with this event; the parser says no where `refusal` is not NULL, and that. */
static unsigned disks_of(const char *event, const char *refusal)
{
	struct lab_scenario scenario;
	struct error error = { 0 };
	char text[500];
	unsigned count;
	int rc;

	snprintf(text, sizeof(text), "%s  - {at: 1s, %s}\n", HEAD, event);
	rc = lab_scenario_parse(&scenario, "test", text, strlen(text), &error);
	if (rc != (refusal ? -EINVAL : 0) || (refusal && !strstr(error.text, refusal))) {
		printf("  %s: %d %s\n", event, rc, error.text);
		CU_FAIL("not as expected");
	}
	count = scenario.disk_count;
	lab_scenario_free(&scenario);
	return count;
}

static void test_replacement_is_a_disk(void)
{
	CU_ASSERT_EQUAL(disks_of("do: replace, disk: 1, with: 3", NULL), 4);
	CU_ASSERT_EQUAL(disks_of("do: replace, disk: 1, with: 20", NULL), 21);
	CU_ASSERT_EQUAL(disks_of("do: replace, disk: 1, with: 31", NULL), 32);
	disks_of("do: replace, disk: 1, with: 32", "32");
	/* It says nothing of others. */
	CU_ASSERT_EQUAL(disks_of("do: fail, disk: 1, with: 20", NULL), 4);
}

static void test_rot_is_on_the_disk(void)
{
	disks_of("do: rot, disk: 0, sector: 16383", NULL);
	disks_of("do: rot, disk: 0, sector: 16384",
		 "events: the 1. (rot): disk 0 has 16384 sectors");
	disks_of("do: rot, disks: [0, 1], sector: 8191, sectors: 1", NULL);
	disks_of("do: rot, disks: [0, 1], sector: 8191, sectors: 2", "disk 1 has 8192 sectors");
	disks_of("do: rot, disk: 0, sector: 0, sectors: 16385", "disk 0");
	disks_of("do: rot, disk: 0, sector: 9223372036854775807, sectors: 2", "disk 0");
	/* Nobody ever asks for those. */
	disks_of("do: latent, disk: 0, sector: 16384", NULL);
}

/* A size is rounded up to extents of all stripes, and then is more than there are versions for. */
static void test_volumes_fit_after_rounding(void)
{
	static const struct {
		const char *ops;
		bool fits;
	} cases[] = {
		{ "[create a 2M 2]", true },
		{ "[create a 2M 3]", false },
		{ "[create a 192K 3, resize a 2M]", false },
		{ "[create a 1M 2, resize a 2M]", true },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct lab_explore_options options = { .seed = 1 };
		struct lab_explored explored;
		struct lab_scenario scenario;
		struct error error = { 0 };
		char text[500];
		int rc;

		snprintf(text, sizeof(text),
			 "name: test\nvolume: {pvs: 3, extent: 64K, ops: %s}\n"
			 "disks: {model: instant, size: 8M}\nexplore: {states: 4}\n",
			 cases[i].ops);
		CU_ASSERT_EQUAL_FATAL(
			lab_scenario_parse(&scenario, "test", text, strlen(text), &error), 0);
		rc = lab_volume_explore(&scenario, &options, &explored, &error);
		if (rc != (cases[i].fits ? 0 : -EINVAL))
			printf("  %s: %d %s\n", cases[i].ops, rc, error.text);
		CU_ASSERT_EQUAL(rc, cases[i].fits ? 0 : -EINVAL);
		free(explored.pending);
		lab_scenario_free(&scenario);
	}
}

UNIT_MAIN("lab scenario", UNIT(test_replacement_is_a_disk), UNIT(test_rot_is_on_the_disk),
	  UNIT(test_volumes_fit_after_rounding))
