/* SPDX-License-Identifier: BSD-2-Clause */
/* Every power loss of a scenario, and the shortest scenario of what failed. */
#include "tools/raid_test_explore.h"

#include <stdio.h>
#include <stdlib.h>

#include "tools/cli.h"
#include "tools/lab/explore.h"
#include "tools/lab/report.h"
#include "tools/lab/scenario.h"
#include "tools/lab/shrink.h"
#include "tools/lab/subject.h"
#include "util/cleanup.h"
#include "util/error.h"

static void tell_shrunk(const struct lab_scenario *scenario, const struct lab_shrunk *shrunk,
			const char *directory)
{
	const char *more = shrunk->explored ? " --explore" : "";
	char path[LAB_REPORT_PATH];
	struct error error = { 0 };

	cli_say("  the shortest that fails so, after %llu tries: %u requests, %u events, %u "
		"members",
		(unsigned long long)shrunk->tries, shrunk->ops, shrunk->events, shrunk->members);
	cli_say("  it is: %s", shrunk->what);
	if (directory &&
	    !lab_report_write_scenario(directory, scenario, shrunk->text, path, &error)) {
		cli_say("  again: tenon raid test %s%s", path, more);
		return;
	}
	if (error.code)
		cli_warn("%s", error.text);
	cli_say("  again: tenon raid test ./%s-shrunk.yaml%s, which is this (--report DIR writes "
		"it):",
		scenario->name, more);
	puts("---");
	fputs(shrunk->text, stdout);
}

static void tell(const struct lab_scenario *scenario, int rc, struct lab_shrunk *shrunk,
		 const struct error *error, const char *directory)
{
	if (rc)
		cli_warn("it cannot be shrunk: %s", error->text);
	else if (!shrunk->text)
		cli_warn("it does not fail again, so it is not shrunk");
	else
		tell_shrunk(scenario, shrunk, directory);
	free(shrunk->text);
}

void raid_test_shrink_run(const struct lab_scenario *scenario, uint64_t seed, const char *directory)
{
	struct lab_shrunk shrunk;
	struct error error = { 0 };
	int rc = lab_shrink_run(scenario, seed, &shrunk, &error);

	tell(scenario, rc, &shrunk, &error, directory);
}

int raid_test_explore(const struct lab_scenario *scenario, uint64_t seed, const char *directory)
{
	const struct lab_explore_options options = { .seed = seed };
	struct lab_explored explored;
	struct lab_shrunk shrunk;
	struct error error = { 0 };
	const struct lab_subject *subject = lab_subject_of(scenario);
	int rc = subject->explore(scenario, &options, &explored, &error);

	if (rc) {
		cli_fail(rc, &error);
		return EXIT_USAGE;
	}
	cli_say("%s: %llu states at %llu moments of %llu writes: %llu failures", scenario->name,
		(unsigned long long)explored.states, (unsigned long long)explored.moments,
		(unsigned long long)explored.writes, (unsigned long long)explored.failures);
	if (explored.trials)
		cli_say("  %llu operations on disks that fail in the middle among them",
			(unsigned long long)explored.trials);
	if (explored.refused)
		cli_say("  %llu of them assemble only if that is insisted on",
			(unsigned long long)explored.refused);
	free(explored.pending);
	if (!explored.failures)
		return EXIT_DONE;
	cli_say("  the first, at write %llu: %s", (unsigned long long)explored.at_write,
		explored.what);
	/* What is shrunk is runs. */
	if (!subject->runs)
		return EXIT_FAILED;
	rc = lab_shrink_explored(scenario, seed, &shrunk, &error);
	tell(scenario, rc, &shrunk, &error, directory);
	return EXIT_FAILED;
}
