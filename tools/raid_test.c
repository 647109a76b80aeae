/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon raid test`: the rebuild laboratory (tools/lab). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/lab/library.h"
#include "tools/lab/many.h"
#include "tools/lab/report.h"
#include "tools/lab/run.h"
#include "tools/lab/subject.h"
#include "tools/output.h"
#include "tools/raid.h"
#include "tools/raid_test.h"
#include "tools/raid_test_explore.h"
#include "tools/uml.h"

struct raid_test {
	struct cli_words names;
	uint64_t seed;
	uint64_t runs;
	bool seed_said, json, explore, compare, both, live;
	const char *seed_text, *report, *target_name, *subject;
	const struct lab_target *target;
};

/* ---- list, show ---- */

static int list_scenarios(const struct raid_test *test)
{
	static const struct cli_column columns[] = {
		{ "NAME", "name", CLI_AS_TEXT, 0 },
		{ "ABOUT", "about", CLI_AS_NOTE, 0 },
		{ NULL },
	};
	struct cli_listing listing = { .json = test->json };
	json_t *rows = json_array();

	for (unsigned i = 0; i < lab_library_count(); i++) {
		struct lab_scenario scenario;
		struct error error = { 0 };

		if (lab_library_load(&scenario, lab_library_name(i), &error))
			cli_warn("%s", error.text);
		else
			json_array_append_new(rows,
					      json_pack("{ssss*}", "name", lab_library_name(i),
							"about", scenario.about));
		lab_scenario_free(&scenario);
	}
	cli_print_result(rows, columns, NULL, &listing);
	json_decref(rows);
	return EXIT_DONE;
}

static int show_scenario(const char *name)
{
	const char *text = lab_library_find(name);

	if (!text)
		return cli_usage_error("there is no ready scenario '%s'; 'tenon raid test list' "
				       "shows those",
				       name);
	fputs(text, stdout);
	return EXIT_DONE;
}

/* ---- A run ---- */

static int run_once(const struct raid_test *test, const struct lab_scenario *scenario)
{
	struct lab_run_options options = { .seed = test->seed_said ? test->seed : scenario->seed,
					   .target = test->target };
	struct lab_result result;
	struct error error = { 0 };
	int rc = lab_run_scenario(scenario, &options, &result, &error), status;

	if (!rc && test->report)
		rc = lab_report_write(test->report, scenario, &result, &error);
	status = rc ? EXIT_USAGE : result.met ? EXIT_DONE : EXIT_FAILED;
	if (rc) {
		cli_fail(rc, &error);
	} else if (test->json) {
		json_t *report = lab_report_json(scenario, &result, true);

		cli_print_json(report);
		json_decref(report);
	} else {
		raid_test_tell(scenario, &result);
	}
	lab_result_end(&result);
	return status;
}

/* ---- Many of them ---- */

static int run_many(const struct raid_test *test, const struct lab_scenario *scenario,
		    struct lab_many *many)
{
	struct error error = { 0 };
	int rc = lab_many_run(scenario, test->seed_said ? test->seed : scenario->seed, test->runs,
			      many, &error);

	if (rc)
		cli_fail(rc, &error);
	return rc ? EXIT_USAGE : many->met == many->runs ? EXIT_DONE : EXIT_FAILED;
}

static int tell_many(const struct raid_test *test, const struct lab_scenario *scenario)
{
	struct lab_many many;
	int status = run_many(test, scenario, &many);

	if (status != EXIT_USAGE && test->json) {
		json_t *report = lab_many_json(scenario, &many);

		cli_print_json(report);
		json_decref(report);
	} else if (status != EXIT_USAGE) {
		lab_many_text(scenario, &many, cli_say);
		if (many.unmet[0])
			raid_test_shrink_run(scenario, many.first_unmet, test->report);
	}
	return status;
}

/* Whether the scenario can be had so. */
static int check_subject(const struct raid_test *test, const struct lab_scenario *scenario,
			 struct error *error)
{
	const struct lab_subject *subject = lab_subject_of(scenario);

	if (test->subject && strcmp(test->subject, subject->name) != 0)
		return error_set(error, -EINVAL, "%s: it is about a%s %s, expected %s",
				 scenario->name, *subject->name == 'a' ? "n" : "", subject->name,
				 test->subject);
	if (!test->explore && !subject->runs)
		return error_set(error, -EINVAL,
				 "%s: it is about a %s, which is explored: "
				 "expected --explore",
				 scenario->name, subject->name);
	return 0;
}

/* Two scenarios from the same seeds; that losses are expected or not does not matter. */
static int compare(struct raid_test *test)
{
	struct lab_scenario scenarios[2];
	struct error error = { 0 };
	struct lab_many many[2];
	int status = EXIT_DONE;

	test->runs = test->runs ? test->runs : 20;
	for (unsigned i = 0; i < 2; i++) {
		int rc = lab_library_load(&scenarios[i], test->names.words[i], &error);

		if (!rc)
			rc = check_subject(test, &scenarios[i], &error);

		if (rc && status != EXIT_USAGE)
			cli_fail(rc, &error);
		if (rc || run_many(test, &scenarios[i], &many[i]) == EXIT_USAGE)
			status = EXIT_USAGE;
	}
	if (status == EXIT_DONE)
		lab_many_compare((const struct lab_scenario *[]){ &scenarios[0], &scenarios[1] },
				 many, cli_say);
	for (unsigned i = 0; i < 2; i++)
		lab_scenario_free(&scenarios[i]);
	return status;
}

static int run_named(const struct raid_test *test, const char *name)
{
	struct lab_scenario scenario;
	struct error error = { 0 };
	int status;

	if (lab_library_load(&scenario, name, &error) || check_subject(test, &scenario, &error)) {
		cli_fail(error.code, &error);
		status = EXIT_USAGE;
	} else {
		uint64_t seed = test->seed_said ? test->seed : scenario.seed;

		status = test->both      ? raid_test_both(&scenario, seed, test->json, test->report)
			 : test->explore ? raid_test_explore(&scenario, seed, test->report)
			 : test->runs    ? tell_many(test, &scenario)
					 : run_once(test, &scenario);
	}
	lab_scenario_free(&scenario);
	return status;
}

int raid_test_verb(int argc, char **argv)
{
	struct raid_test test = { 0 };
	const struct cli_option options[] = {
		{ "seed", CLI_TEXT, &test.seed_text, "N",
		  "where chance begins, instead of the scenario's" },
		{ "runs", CLI_NUMBER, &test.runs, "N",
		  "so many seeds: distributions, and how sure they are", .least = 1,
		  .most = 1000000 },
		{ "compare", CLI_FLAG, &test.compare, NULL,
		  "two scenarios side by side, from the same seeds" },
		{ "explore", CLI_FLAG, &test.explore, NULL,
		  "cut the power at every write, with each subset of what was not flushed" },
		{ "target", CLI_TEXT, &test.target_name, "tenon|md|both",
		  "whose array: tenon's (tenon), the kernel's in User Mode Linux, or each, "
		  "compared" },
		{ "subject", CLI_TEXT, &test.subject, "array|volume",
		  "what the scenario has to be about: an array, or a volume group, to be "
		  "explored" },
		{ "live", CLI_FLAG, &test.live, NULL,
		  "in real time, with the array served to a guest of User Mode Linux" },
		{ "report", CLI_TEXT, &test.report, "DIR",
		  "write NAME.html and NAME.json there, or the shortest scenario that fails" },
		{ "json", CLI_FLAG, &test.json, NULL, "print JSON" },
		{ NULL },
	};
	int status;

	if (!cli_parse("raid test SCENARIO...|list|show SCENARIO [--seed N] [--runs N] [--compare] "
		       "[--explore] [--report DIR] [--json]",
		       options, argc, argv, 1, 2, &test.names, &status))
		return status;
	if (test.seed_text) {
		char *end;

		test.seed = strtoull(test.seed_text, &end, 10);
		test.seed_said = true;
		if (*end || end == test.seed_text || *test.seed_text == '-')
			return cli_usage_error("--seed %s: expected a number", test.seed_text);
	}
	test.both = test.target_name && !strcmp(test.target_name, "both");
	if (test.target_name && !strcmp(test.target_name, "md"))
		test.target = &raid_test_md;
	else if (test.target_name && strcmp(test.target_name, "tenon") != 0 && !test.both)
		return cli_usage_error("--target %s: expected tenon, md or both", test.target_name);
	if (test.subject && !lab_subject_find(test.subject))
		return cli_usage_error("--subject %s: expected array or volume", test.subject);
	if (test.live && test.target_name)
		return cli_usage_error("--live is of tenon's array: expected no --target");
	if (test.live)
		test.target = &raid_test_live;
	if ((test.target || test.both) && (test.explore || test.runs || test.compare))
		return cli_usage_error("--live and --target %s take real time: expected no "
				       "--explore, --runs or --compare",
				       test.both ? "both" : "md");
	if (test.explore && (test.json || test.runs || test.compare))
		return cli_usage_error("--explore takes no more than --seed and --report");
	if (test.report && test.compare)
		return cli_usage_error("--report is of one scenario: expected no --compare");
	if (test.compare != (test.names.count == 2 && strcmp(test.names.words[0], "show") != 0 &&
			     strcmp(test.names.words[0], "agent") != 0) ||
	    (test.compare && test.json))
		return cli_usage_error("--compare takes two scenarios, and prints no JSON");
	if (test.compare)
		return compare(&test);
	if (!strcmp(test.names.words[0], "agent") && test.names.count == 2)
		return uml_agent(test.names.words[1]);
	if (!strcmp(test.names.words[0], "list") && test.names.count == 1)
		return list_scenarios(&test);
	if (!strcmp(test.names.words[0], "show") && test.names.count == 2)
		return show_scenario(test.names.words[1]);
	if (test.names.count != 1)
		return cli_usage_error("expected one scenario, list, or show NAME");
	return run_named(&test, test.names.words[0]);
}
