/* SPDX-License-Identifier: BSD-2-Clause */
/* One scenario from many seeds; see many.h. */
#include "tools/lab/many.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/lab/run.h"
#include "util/bytes.h"
#include "util/thread.h"

enum { REBUILD, EXPOSED, DEGRADED, LATENCY, QUANTITIES };
#define Z95          1.959964 /* of the normal distribution */
#define THREADS_MOST 64u

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

/* ---- Runs, by several threads ---- */

struct one {
	double values[QUANTITIES];
	bool met, lost, silent;
	char unmet[300];
};

/* Each run is of one thread, and knows of no other; who runs which makes no difference. */
struct crew {
	const struct lab_scenario *scenario;
	uint64_t seed, runs;
	_Atomic uint64_t next;
	struct one *ones;
	pthread_mutex_t lock;
	struct error *error; /* of the first that cannot be run */
	int rc;
};

static void note_run(struct one *one, const struct lab_result *result)
{
	one->met = result->met;
	one->lost = result->lost != 0 || (result->failed && !result->assembled);
	one->silent = result->silent != 0;
	one->values[REBUILD] = (double)result->rebuild_ns / 1e9;
	one->values[EXPOSED] = (double)result->exposed_ns / 1e9;
	one->values[DEGRADED] = (double)result->degraded_ns / 1e9;
	one->values[LATENCY] = (double)result->work.latency_most / 1e6;
	if (!result->met)
		snprintf(one->unmet, sizeof(one->unmet), "%s", result->failures[0]);
}

static void *run_some(void *arg)
{
	struct crew *crew = arg;
	uint64_t number;

	while ((number = crew->next++) < crew->runs) {
		struct lab_run_options options = { .seed = crew->seed + number };
		struct lab_result result;
		struct error error = { 0 };
		int rc = lab_run_scenario(crew->scenario, &options, &result, &error);

		if (!rc)
			note_run(&crew->ones[number], &result);
		lab_result_end(&result);
		if (!rc)
			continue;
		pthread_mutex_lock(&crew->lock);
		if (!crew->rc)
			*crew->error = error;
		crew->rc = crew->rc ? crew->rc : rc;
		crew->next = crew->runs;
		pthread_mutex_unlock(&crew->lock);
	}
	return NULL;
}

static void run_all(struct crew *crew)
{
	cpu_set_t cpus;
	pthread_t threads[THREADS_MOST];
	unsigned count = 0, most = 1;

	if (!sched_getaffinity(0, sizeof(cpus), &cpus))
		most = MIN((unsigned)CPU_COUNT(&cpus), THREADS_MOST);
	/* This one is one of them. */
	while (count + 1 < most && count + 1 < crew->runs &&
	       !thread_start(&threads[count], "lab", run_some, crew))
		count++;
	run_some(crew);
	while (count)
		pthread_join(threads[--count], NULL);
}

static void sum_up(struct crew *crew, struct lab_many *many)
{
	struct lab_spread *spreads[QUANTITIES] = { &many->rebuild_s, &many->exposed_s,
						   &many->degraded_s, &many->latency_ms };
	CLEANUP_FREE double *values = calloc(crew->runs, sizeof(*values));

	if (!values)
		abort();
	for (uint64_t i = 0; i < crew->runs; i++) {
		const struct one *one = &crew->ones[i];

		many->met += one->met;
		many->lost += one->lost;
		many->silent += one->silent;
		if (one->met || many->unmet[0])
			continue;
		many->first_unmet = crew->seed + i;
		snprintf(many->unmet, sizeof(many->unmet), "%s", one->unmet);
	}
	for (unsigned quantity = 0; quantity < QUANTITIES; quantity++) {
		for (uint64_t i = 0; i < crew->runs; i++)
			values[i] = crew->ones[i].values[quantity];
		*spreads[quantity] = spread_of(values, crew->runs);
	}
	wilson(many->lost, crew->runs, &many->lost_low, &many->lost_high);
}

int lab_many_run(const struct lab_scenario *scenario, uint64_t seed, uint64_t runs,
		 struct lab_many *many, struct error *error)
{
	struct crew crew = { .scenario = scenario,
			     .seed = seed,
			     .runs = runs,
			     .ones = calloc(runs, sizeof(struct one)),
			     .lock = PTHREAD_MUTEX_INITIALIZER,
			     .error = error };

	*many = (struct lab_many){ .runs = runs };
	if (!crew.ones)
		return error_set(error, -ENOMEM, "out of memory");
	run_all(&crew);
	if (!crew.rc)
		sum_up(&crew, many);
	free(crew.ones);
	return crew.rc;
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
