/* SPDX-License-Identifier: BSD-2-Clause */
/* What a check or repair of an array found, told; see raid_rebuild.h. */
#include <errno.h>
#include <stdio.h>

#include "tools/raid_rebuild.h"
#include "util/size.h"

static uint64_t number(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

/* One range that differs; which member is wrong there, where that is known. */
static void say_range(const json_t *range)
{
	unsigned long long offset = number(range, "offset_bytes");
	const char *device = json_string_value(json_object_get(range, "wrong_device"));
	json_t *stripe = json_object_get(range, "stripe");
	char where[48] = "";

	if (json_is_integer(stripe))
		snprintf(where, sizeof(where), " of each member (stripe %lld)",
			 (long long)json_integer_value(stripe));
	cli_say("  bytes %llu to %llu%s: %s%s", offset, offset + number(range, "length_bytes") - 1,
		where, device ? device : "which member is wrong cannot be known",
		device ? " is wrong" : "");
}

void scrub_say(const struct rebuild *rebuild, uint64_t mismatches, bool repaired)
{
	json_t *ranges = json_object_get(rebuild->result, "mismatches"), *range;
	char done[SIZE_TEXT];
	size_t index;

	cli_say("%s: %llu bytes differ between the members%s", rebuild->target,
		(unsigned long long)mismatches, repaired && mismatches ? "; they agree now" : "");
	json_array_foreach(ranges, index, range)
		say_range(range);
	if (number(rebuild->result, "mismatch_count") > json_array_size(ranges))
		cli_say("  and more");
	if (json_is_true(json_object_get(rebuild->result, "cut_short")))
		cli_warn("%s: the %s was ended after %s: what comes after that was not compared",
			 rebuild->target, rebuild->repair ? "repair" : "check",
			 size_format(number(rebuild->result, "scrubbed_bytes"), done));
}

int scrub_result(struct rebuild *rebuild, struct error *error)
{
	uint64_t mismatches = number(rebuild->result, "mismatch_bytes");
	uint64_t unresolved = number(rebuild->result, "unresolved_bytes");
	uint64_t skipped = number(rebuild->result, "not_compared_bytes");

	scrub_say(rebuild, mismatches, rebuild->repair && !unresolved);
	if (skipped)
		cli_warn(
			"%s: %llu bytes could not be compared on all members: they are missing, or "
			"cannot be read, or their bad-block logs say so",
			rebuild->target, (unsigned long long)skipped);
	rebuild->in_part = skipped || json_is_true(json_object_get(rebuild->result, "cut_short"));
	if (!mismatches || (rebuild->repair && !unresolved))
		return 0;
	if (rebuild->repair) {
		error_set(error, -EIO,
			  "%s: %llu bytes differ still: which of the members is wrong there cannot "
			  "be known",
			  rebuild->target, (unsigned long long)unresolved);
		error_advise(error,
			     "%s --force makes parity anew from the data, "
			     "and takes the first copy in order; if it was those that were "
			     "wrong, the right ones cannot be had back then",
			     rebuild->open ? "`tenon lv scrub --repair`" : "`tenon raid repair`");
		return -EIO;
	}
	error_set(error, -EIO, "%s: the members differ in %llu bytes", rebuild->target,
		  (unsigned long long)mismatches);
	error_advise(error,
		     "`tenon %s` makes them agree where most copies, or P and Q, say who is wrong; "
		     "what two copies or one parity cannot tell it leaves",
		     rebuild->open ? "lv scrub --repair" : "raid repair");
	return -EIO;
}
