/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon raid test --target both`: one scenario with an array of tenon's and one of the kernel's md, compared. */
#include <stdio.h>

#include "tools/lab/differ.h"
#include "tools/lab/report.h"
#include "tools/lab/run.h"
#include "tools/output.h"
#include "tools/raid.h"
#include "tools/raid_test.h"

static void tell_both(bool as_json, const struct lab_scenario *scenario,
		      const struct lab_result results[2], json_t *differences)
{
	json_t *text, *both;
	size_t i;

	if (as_json) {
		both = json_pack("{sososO}", "tenon", lab_report_json(scenario, &results[0], true),
				 "md", lab_report_json(scenario, &results[1], true), "differences",
				 differences);
		cli_print_json(both);
		json_decref(both);
		return;
	}
	raid_test_tell(scenario, &results[0]);
	raid_test_tell(scenario, &results[1]);
	cli_say("%s", json_array_size(differences) ? "they differ:" : "both are the same");
	json_array_foreach(differences, i, text)
		cli_say("  %s", json_string_value(text));
}

int raid_test_both(const struct lab_scenario *scenario, uint64_t seed, bool as_json,
		   const char *report)
{
	const struct lab_target *const targets[2] = { &lab_target_tenon, &raid_test_md };
	struct lab_result results[2] = { 0 };
	struct error error = { 0 };
	int rc = 0, status = EXIT_USAGE;

	/* What the second cannot have is said before the first runs. */
	rc = targets[1]->check(scenario, &error);
	for (unsigned i = 0; i < 2 && !rc; i++) {
		struct lab_run_options options = { .seed = seed, .target = targets[i] };

		rc = lab_run_scenario(scenario, &options, &results[i], &error);
		if (!rc && report)
			rc = lab_report_write(report, scenario, &results[i], &error);
	}
	if (rc) {
		cli_fail(rc, &error);
	} else {
		json_t *differences = lab_differ(&results[0], &results[1]);

		tell_both(as_json, scenario, results, differences);
		status = results[0].met && results[1].met && !json_array_size(differences)
				 ? EXIT_DONE
				 : EXIT_FAILED;
		json_decref(differences);
	}
	lab_result_end(&results[0]);
	lab_result_end(&results[1]);
	return status;
}
