/* SPDX-License-Identifier: BSD-2-Clause */
/* One scenario from many seeds; see many.h. */
#include "tools/lab/many.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/lab/run.h"
#include "util/bytes.h"

enum { REBUILD, EXPOSED, DEGRADED, LATENCY, QUANTITIES };
#define Z95 1.959964 /* of the normal distribution */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static struct lab_spread spread_of(double *values, uint64_t count)
{
	struct lab_spread spread = { 0 };
	double sum = 0, squares = 0, error;

	qsort(values, count, sizeof(*values), by_value);
	for (uint64_t i = 0; i < count; i++)
		sum += values[i];
	spread.mean = sum / (double)count;
	for (uint64_t i = 0; i < count; i++)
		squares += (values[i] - spread.mean) * (values[i] - spread.mean);
	error = count > 1 ? Z95 * sqrt(squares / (double)(count - 1) / (double)count) : 0;
	spread.low = spread.mean - error;
	spread.high = spread.mean + error;
	spread.least = values[0];
	spread.most = values[count - 1];
	spread.p5 = values[(count - 1) * 5 / 100];
	spread.median = values[(count - 1) / 2];
	spread.p95 = values[(count - 1) * 95 / 100];
	return spread;
}

/* E. B. Wilson 1927: fits also where none of the runs, or all of them, lose data. */
static void wilson(uint64_t hits, uint64_t count, double *low, double *high)
{
	double n = (double)count, p = (double)hits / n, z = Z95;
	double middle = (p + z * z / (2 * n)) / (1 + z * z / n);
	double half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n));

	*low = hits ? MAX(middle - half, 0.0) : 0;
	*high = hits < count ? MIN(middle + half, 1.0) : 1;
}

static void count_run(struct lab_many *many, const struct lab_result *result)
{
	many->met += result->met;
	many->lost += result->lost != 0 || (result->failed && !result->assembled);
	many->silent += result->silent != 0;
	if (result->met || many->unmet[0])
		return;
	many->first_unmet = result->seed;
	snprintf(many->unmet, sizeof(many->unmet), "%s", result->failures[0]);
}

int lab_many_run(const struct lab_scenario *scenario, uint64_t seed, uint64_t runs,
		 struct lab_many *many, struct error *error)
{
	CLEANUP_FREE double *values = calloc(runs * QUANTITIES, sizeof(*values));
	int rc = 0;

	*many = (struct lab_many){ .runs = runs };
	if (!values)
		return error_set(error, -ENOMEM, "out of memory");
	for (uint64_t i = 0; i < runs && !rc; i++) {
		struct lab_run_options options = { .seed = seed + i };
		struct lab_result result;

		rc = lab_run_scenario(scenario, &options, &result, error);
		if (!rc)
			count_run(many, &result);
		values[REBUILD * runs + i] = (double)result.rebuild_ns / 1e9;
		values[EXPOSED * runs + i] = (double)result.exposed_ns / 1e9;
		values[DEGRADED * runs + i] = (double)result.degraded_ns / 1e9;
		values[LATENCY * runs + i] = (double)result.work.latency_most / 1e6;
		lab_result_end(&result);
	}
	if (rc)
		return rc;
	many->rebuild_s = spread_of(values + REBUILD * runs, runs);
	many->exposed_s = spread_of(values + EXPOSED * runs, runs);
	many->degraded_s = spread_of(values + DEGRADED * runs, runs);
	many->latency_ms = spread_of(values + LATENCY * runs, runs);
	wilson(many->lost, runs, &many->lost_low, &many->lost_high);
	return 0;
}

/* ---- Reports ---- */

static json_t *spread_json(const struct lab_spread *spread)
{
	return json_pack("{sfsfsfsfsfsfsfsf}", "least", spread->least, "p5", spread->p5, "median",
			 spread->median, "p95", spread->p95, "most", spread->most, "mean",
			 spread->mean, "mean_low", spread->low, "mean_high", spread->high);
}

json_t *lab_many_json(const struct lab_scenario *scenario, const struct lab_many *many)
{
	return json_pack(
		"{sssIsIsIsIsfsfsososososo}", "scenario", scenario->name, "runs",
		(json_int_t)many->runs, "runs_met", (json_int_t)many->met, "runs_lost",
		(json_int_t)many->lost, "runs_silent", (json_int_t)many->silent, "lost_low",
		many->lost_low, "lost_high", many->lost_high, "rebuild_seconds",
		spread_json(&many->rebuild_s), "exposed_seconds", spread_json(&many->exposed_s),
		"degraded_seconds", spread_json(&many->degraded_s), "slowest_ms",
		spread_json(&many->latency_ms), "first_unmet",
		many->unmet[0] ? json_integer((json_int_t)many->first_unmet) : json_null());
}

static void say_spread(void (*say)(const char *format, ...), const char *name,
		       const struct lab_spread *spread)
{
	say("  %-22s %9.4g  %9.4g  %9.4g  %9.4g  %9.4g  %9.4g (%.4g to %.4g)", name, spread->least,
	    spread->p5, spread->median, spread->p95, spread->most, spread->mean, spread->low,
	    spread->high);
}

void lab_many_text(const struct lab_scenario *scenario, const struct lab_many *many,
		   void (*say)(const char *format, ...))
{
	say("%s: %llu of %llu runs as expected", scenario->name, (unsigned long long)many->met,
	    (unsigned long long)many->runs);
	if (many->unmet[0])
		say("  unmet with seed %llu: %s", (unsigned long long)many->first_unmet,
		    many->unmet);
	say("  data lost in %llu runs: %.3g %% of them (%.3g %% to %.3g %%); wrong without an "
	    "error in "
	    "%llu",
	    (unsigned long long)many->lost, 100.0 * (double)many->lost / (double)many->runs,
	    100 * many->lost_low, 100 * many->lost_high, (unsigned long long)many->silent);
	say("  %-22s %9s  %9s  %9s  %9s  %9s  %9s (95 %% confidence)", "", "least", "5 %", "median",
	    "95 %", "most", "mean");
	say_spread(say, "rebuilding, s", &many->rebuild_s);
	say_spread(say, "exposed, s", &many->exposed_s);
	say_spread(say, "degraded, s", &many->degraded_s);
	say_spread(say, "slowest request, ms", &many->latency_ms);
}

static void say_both(void (*say)(const char *format, ...), const char *name,
		     const struct lab_spread *a, const struct lab_spread *b)
{
	bool apart = a->low > b->high || b->low > a->high;
	char left[64], right[64];

	snprintf(left, sizeof(left), "%.4g (%.4g to %.4g)", a->mean, a->low, a->high);
	snprintf(right, sizeof(right), "%.4g (%.4g to %.4g)", b->mean, b->low, b->high);
	say("  %-22s %-34s %-34s %s", name, left, right, apart ? "differ" : "");
}

void lab_many_compare(const struct lab_scenario *const scenarios[2], const struct lab_many many[2],
		      void (*say)(const char *format, ...))
{
	char left[64], right[64];

	say("%llu runs each; means, and where they are with 95 %% confidence",
	    (unsigned long long)many[0].runs);
	say("  %-22s %-34s %-34s", "", scenarios[0]->name, scenarios[1]->name);
	for (unsigned i = 0; i < 2; i++)
		snprintf(i ? right : left, sizeof(left), "%.3g (%.3g to %.3g)",
			 100.0 * (double)many[i].lost / (double)many[i].runs,
			 100 * many[i].lost_low, 100 * many[i].lost_high);
	say("  %-22s %-34s %-34s %s", "runs with losses, %", left, right,
	    many[0].lost_low > many[1].lost_high || many[1].lost_low > many[0].lost_high ? "differ"
											 : "");
	say_both(say, "rebuilding, s", &many[0].rebuild_s, &many[1].rebuild_s);
	say_both(say, "exposed, s", &many[0].exposed_s, &many[1].exposed_s);
	say_both(say, "degraded, s", &many[0].degraded_s, &many[1].degraded_s);
	say_both(say, "slowest request, ms", &many[0].latency_ms, &many[1].latency_ms);
}
