/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * In what two results differ; see differ.h.
 *
 * Phases are compared in their order, not in their time. How much is seen of what passes depends on who looks how often: a
 * phase of less than a second is left out where it is the pause before an operation, in which the array is no better or worse,
 * or the end of one, when the array is already as it will be.
 */
#include "tools/lab/differ.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/lab/run.h"
#include "util/bytes.h"

#define SHORT_NS 1000000000ull

static void __attribute__((format(printf, 2, 3)))
tell_difference(json_t *list, const char *format, ...)
{
	char text[1200];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_array_append_new(list, json_string(text));
}

static bool is_left_out(const struct lab_result *result, unsigned i)
{
	const struct lab_phase *phase = &result->phases[i], *next = phase + 1;

	if (!i || i + 1 == result->phase_count || phase->health != next->health ||
	    next->ns - phase->ns >= SHORT_NS)
		return false;
	return phase->operation == RAID_IDLE ||
	       (next->operation == RAID_IDLE && phase[-1].operation == phase->operation);
}

/* "whole > exposed > exposed, recover > whole". */
static void phases_text(const struct lab_result *result, char *text, size_t size)
{
	const struct lab_phase *last = NULL;

	text[0] = '\0';
	for (unsigned i = 0; i < result->phase_count; i++) {
		const struct lab_phase *phase = &result->phases[i];
		size_t at = strlen(text);

		if (is_left_out(result, i) ||
		    (last && last->health == phase->health && last->operation == phase->operation))
			continue;
		snprintf(text + at, size - at, "%s%s%s%s", last ? " > " : "",
			 lab_health_names[phase->health], phase->operation != RAID_IDLE ? ", " : "",
			 phase->operation != RAID_IDLE ? raid_operation_name(phase->operation)
						       : "");
		last = phase;
	}
}

static void differ_phases(json_t *list, const struct lab_result *a, const struct lab_result *b)
{
	char left[500], right[500];

	phases_text(a, left, sizeof(left));
	phases_text(b, right, sizeof(right));
	if (strcmp(left, right) != 0)
		tell_difference(list, "phases: %s: %s; %s: %s", a->target, left, b->target, right);
}

static void damages_text(const struct lab_result *result, char *text, size_t size)
{
	snprintf(text, size, "none");
	for (unsigned i = 0; i < result->damage_count && i < 4; i++) {
		const struct lab_damage *damage = &result->damages[i];
		size_t at = i ? strlen(text) : 0;

		snprintf(text + at, size - at, "%s%llu to %llu%s", i ? ", " : "",
			 (unsigned long long)damage->sector,
			 (unsigned long long)(damage->sector + damage->count - 1),
			 damage->silent ? " (wrong without an error)" : "");
	}
	if (result->damage_count > 4)
		snprintf(text + strlen(text), size - strlen(text), " and %u more ranges",
			 result->damage_count - 4);
}

/* Exactly the same sectors. */
static bool same_damages(const struct lab_result *a, const struct lab_result *b)
{
	if (a->damage_count != b->damage_count)
		return false;
	for (unsigned i = 0; i < a->damage_count; i++)
		if (a->damages[i].sector != b->damages[i].sector ||
		    a->damages[i].count != b->damages[i].count ||
		    a->damages[i].silent != b->damages[i].silent)
			return false;
	return true;
}

static void differ_data(json_t *list, const struct lab_result *a, const struct lab_result *b)
{
	char left[400], right[400];

	if (a->lost == b->lost && a->silent == b->silent && same_damages(a, b))
		return;
	damages_text(a, left, sizeof(left));
	damages_text(b, right, sizeof(right));
	tell_difference(list, "data: sectors lost: %s: %llu (%s); %s: %llu (%s)", a->target,
			(unsigned long long)a->lost, left, b->target, (unsigned long long)b->lost,
			right);
}

static void differ_bool(json_t *list, const char *what, const struct lab_result *a, uint64_t left,
			const struct lab_result *b, uint64_t right)
{
	if (!left != !right)
		tell_difference(list, "%s: %s: %llu; %s: %llu", what, a->target,
				(unsigned long long)left, b->target, (unsigned long long)right);
}

const char *lab_end_of(const struct lab_result *result)
{
	return result->failed ? "failed" : result->degraded ? "degraded" : "whole";
}

json_t *lab_differ(const struct lab_result *a, const struct lab_result *b)
{
	json_t *list = json_array();

	if (strcmp(lab_end_of(a), lab_end_of(b)) != 0)
		tell_difference(list, "state in the end: %s: %s; %s: %s", a->target, lab_end_of(a),
				b->target, lab_end_of(b));
	differ_phases(list, a, b);
	differ_data(list, a, b);
	differ_bool(list, "bytes in which members differ", a, a->mismatches, b, b->mismatches);
	differ_bool(list, "read errors made good", a, a->corrected, b, b->corrected);
	differ_bool(list, "requests that failed", a, a->work.errors, b, b->work.errors);
	if (a->met != b->met)
		tell_difference(list, "%s: %s; %s: %s", a->target,
				a->met ? "as expected" : a->failures[0], b->target,
				b->met ? "as expected" : b->failures[0]);
	return list;
}
