/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether a run ended as was expected; see run.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tools/lab/run.h"
#include "util/bytes.h"

static void __attribute__((format(printf, 2, 3)))
unmet(struct lab_result *result, const char *format, ...)
{
	char text[300];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (result->failure_count < ARRAY_SIZE(result->failures))
		result->failures[result->failure_count++] = strdup(text);
}

static void check_data(const struct lab_expect *expect, struct lab_result *result)
{
	const struct lab_damage *first = result->damage_count ? &result->damages[0] : NULL;

	if (result->silent && !expect->silent && first && first->silent)
		unmet(result,
		      "data: sector %llu holds version %lld, expected %u to %u, and no error said "
		      "so "
		      "(%llu sectors in all)",
		      (unsigned long long)first->sector,
		      first->found == LAB_ANYTHING ? -1LL : (long long)first->found,
		      first->legal.least, first->legal.most, (unsigned long long)result->silent);
	else if (result->silent && !expect->silent)
		unmet(result, "data: %llu sectors are wrong, and no error said so",
		      (unsigned long long)result->silent);
	if (!result->silent && expect->silent)
		unmet(result, "data: silent corruption was expected, and there is none");
	if (result->lost && expect->data == LAB_DATA_INTACT)
		unmet(result, "data: %llu sectors are lost, the first %llu",
		      (unsigned long long)result->lost,
		      first ? (unsigned long long)first->sector : 0);
	if (!result->lost && expect->data == LAB_DATA_LOST)
		unmet(result, "data: losses were expected, and there are none");
}

/* Exactly these are lost. */
static void check_lost(const struct lab_expect *expect, struct lab_result *result)
{
	unsigned found = 0;

	for (unsigned i = 0; i < expect->lost.count; i++) {
		unsigned long long sector = 0, count = 0;
		bool there = false;

		sscanf(expect->lost.texts[i], "%llu %llu", &sector, &count);
		for (unsigned k = 0; k < result->damage_count; k++)
			there = there || (!result->damages[k].silent &&
					  result->damages[k].sector == sector &&
					  result->damages[k].count == count);
		found += there;
		if (!there)
			unmet(result, "lost: sectors %llu to %llu were expected to be, and are not",
			      sector, sector + count - 1);
	}
	if (expect->lost.count && result->damage_count > found)
		unmet(result, "lost: %u ranges are that were not expected to be",
		      result->damage_count - found);
}

static void check_times(const struct lab_expect *expect, struct lab_result *result)
{
	char a[LAB_DURATION_TEXT], b[LAB_DURATION_TEXT];

	if (expect->rebuilt_before_ns && !result->rebuilt_at_ns)
		unmet(result, "rebuilt-before: it was not rebuilt at all");
	else if (expect->rebuilt_before_ns && result->rebuilt_at_ns > expect->rebuilt_before_ns)
		unmet(result, "rebuilt-before %s: it was at %s",
		      lab_duration_format(expect->rebuilt_before_ns, a),
		      lab_duration_format(result->rebuilt_at_ns, b));
	if (result->exposed_ns > expect->exposed_ns)
		unmet(result, "exposed-at-most %s: it was for %s",
		      lab_duration_format(expect->exposed_ns, a),
		      lab_duration_format(result->exposed_ns, b));
	if (result->degraded_ns > expect->degraded_ns)
		unmet(result, "degraded-at-most %s: it was for %s",
		      lab_duration_format(expect->degraded_ns, a),
		      lab_duration_format(result->degraded_ns, b));
	if (expect->latency_ns && result->work.latency_most > expect->latency_ns)
		unmet(result, "latency-at-most %s: a request took %s",
		      lab_duration_format(expect->latency_ns, a),
		      lab_duration_format(result->work.latency_most, b));
	if (result->timed_out)
		unmet(result, "until: at %s something was still going on",
		      lab_duration_format(result->end_ns, a));
}

void lab_verdict(struct lab_run *run)
{
	const struct lab_expect *expect = &run->scenario->expect;
	struct lab_result *result = run->result;
	enum lab_end end = result->failed     ? LAB_END_FAILED
			   : result->degraded ? LAB_END_DEGRADED
					      : LAB_END_WHOLE;
	char text[LAB_MOMENT_TEXT];

	check_data(expect, result);
	check_lost(expect, result);
	check_times(expect, result);
	if (expect->state != LAB_END_ANY && expect->state != end)
		unmet(result, "state: it is %s, expected %s", lab_end_names[end],
		      lab_end_names[expect->state]);
	if (expect->parity && result->mismatches)
		unmet(result, "parity: members differ in %llu bytes",
		      (unsigned long long)result->mismatches);
	if (result->corrected < expect->corrected)
		unmet(result, "corrected-at-least %llu: it is %llu",
		      (unsigned long long)expect->corrected, (unsigned long long)result->corrected);
	for (unsigned i = 0; i < run->scenario->events.count; i++)
		if (!run->fired[i].fired)
			unmet(result, "events: the %u. (%s) never came: %s", i + 1,
			      lab_action_names[run->fired[i].event->action],
			      lab_moment_format(&run->fired[i].event->at, text));
	result->met = !result->failure_count;
}
