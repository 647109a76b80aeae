/* SPDX-License-Identifier: BSD-2-Clause */
/* What of an array is not there, or not in sync any more, and whether it is started all the same; see assemble.h. */
#include <errno.h>
#include <stdio.h>

#include "raid/assemble.h"
#include "raid/members.h"
#include "util/bytes.h"

/* "none of the devices given is in sync, expected one", or which places are empty. */
static void say_no_data(const struct raid_array *array, struct error *error)
{
	unsigned working = raid_array_working(array);
	uint32_t first = 0;

	while (first + 1 < array->now.disks && array->places[first].member &&
	       array->places[first].member->state == RAID_MEMBER_IN_SYNC)
		first++;
	if (!working)
		error_set(error, -ENODEV, "%s: none of the devices given is in sync, expected one",
			  array->block.name);
	else
		error_set(error, -ENODEV,
			  "%s: %u of its %u members are here and in sync, which do not have all "
			  "data; place %u is the first without",
			  array->block.name, working, array->now.disks, first);
}

int raid_assemble_no_data(struct raid_array *array, const struct raid_candidate *candidates,
			  unsigned count, const struct raid_candidate *newest, struct error *error)
{
	const struct raid_candidate *best = raid_find_freshest(candidates, count, true, &newest);
	char when[RAID_TIME_TEXT], text[sizeof(error->text)];
	struct raid_member *oldest;

	say_no_data(array, error);
	list_for_each(at, &array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);

		if (!member->reason[0] || !error)
			continue;
		snprintf(text, sizeof(text), "%s", error->text);
		error_set(error, -ENODEV, "%s; %s: %s", text, member->block->name, member->reason);
		break;
	}
	error_advise(error, "give its other members too");
	if (raid_array_working(array) && raid_assemble_stale(array, false, &oldest)) {
		error_advise(error,
			     "give its other members too; if they are lost, `tenon raid assemble "
			     "--force` takes %s as it is, last written %s at event %llu: what "
			     "was written to its place later is lost",
			     oldest->block->name, raid_time_format(oldest->sb.utime, when),
			     (unsigned long long)oldest->sb.events);
		return -ENODEV;
	}
	if (raid_array_working(array) || !raid_candidate_has_data(best) || best == newest)
		return -ENODEV;
	raid_time_format(best->sb.utime, when);
	error_set(error, -ENODEV,
		  "%s: none of the devices given is in sync: %s, last written %s at event %llu, is "
		  "no "
		  "part of the array any more by the superblock of %s (event %llu)",
		  array->block.name, best->block->name, when, (unsigned long long)best->sb.events,
		  newest->block->name, (unsigned long long)newest->sb.events);
	error_advise(error,
		     "give its other members too; if they are lost, `tenon raid assemble --force` "
		     "goes on with %s, and what was written after %s is lost",
		     best->block->name, when);
	return -ENODEV;
}

/* What became of the device that has this place by the freshest superblock, as far as it was given. */
static const char *reason_of(const struct raid_array *array, uint32_t number, const char **name)
{
	list_for_each(at, &array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);

		if (member->state == RAID_MEMBER_STALE && member->sb.dev_number == number) {
			*name = member->block->name;
			return member->reason;
		}
	}
	return NULL;
}

/* Whether the device that has the place by the freshest superblock is missed there. Of two, one of which replaces
 * the other, it is the one with the data. */
static bool is_missed(struct raid_array *array, uint32_t number, uint32_t place)
{
	const struct raid_member *member = array->places[place].member;

	if (!member)
		return true;
	return member->state != RAID_MEMBER_IN_SYNC && member->sb.dev_number != number &&
	       (member->sb.features & MD_FEATURE_REPLACEMENT);
}

/* Whoever is missing must not come back one event behind. */
static bool is_lost(struct raid_array *array, uint32_t number)
{
	const struct raid_member *member = raid_member_by_number(array, number);

	return !member || !raid_member_active(member);
}

/* Places that the freshest superblock has filled, and that are not. */
int raid_assemble_complete(struct raid_array *array, const struct md_superblock *freshest,
			   bool refuse_degraded, struct error *error)
{
	unsigned filled = 0, missing = 0;
	uint32_t first = 0;

	for (uint32_t i = 0; i < MIN(freshest->max_dev, MD_MAX_DEVICES); i++) {
		if (freshest->roles[i] >= raid_array_places(array))
			continue;
		filled++;
		array->lost = array->lost || is_lost(array, i);
		if (!is_missed(array, i, freshest->roles[i]))
			continue;
		first = missing ? first : i;
		missing++;
	}
	array->missing = missing;
	if (!missing)
		return 0;
	if (refuse_degraded) {
		const char *name = "", *why = reason_of(array, first, &name);

		error_set(error, -ENODEV,
			  "%s: %u of the %u members that it had when it was last written are here; "
			  "that of place %u %s%s%s%s",
			  array->block.name, filled - missing, filled, freshest->roles[first],
			  why ? "cannot be used: " : "is not", name, why ? ": " : "",
			  why ? why : "");
		error_advise(error,
			     "make it available; or insist with --degraded: it then misses what is "
			     "written, and must be added again");
		return -ENODEV;
	}
	log_warning(array->log, "%s: starts with %u of %u members", array->block.name,
		    filled - missing, filled);
	return 0;
}

/* ---- The journal ---- */

/* Why the journal's device cannot be used, as far as one was given. */
static const struct raid_member *stale_journal(const struct raid_array *array)
{
	list_for_each(at, &array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);

		if (md_superblock_role(&member->sb, member->sb.dev_number) == MD_ROLE_JOURNAL)
			return member;
	}
	return NULL;
}

/* What was flushed last may be in the journal only. */
int raid_assemble_journal(struct raid_array *array, const struct raid_assemble_options *options,
			  struct error *error)
{
	const struct raid_member *stale = stale_journal(array);

	if (!(array->features & MD_FEATURE_JOURNAL) || array->journal)
		return 0;
	if (options->read_only) {
		log_warning(array->log,
			    "%s: its journal's device is missing: what is read may be older than "
			    "what was "
			    "written last",
			    array->block.name);
		return 0;
	}
	if (options->journal_comes || options->force) {
		log_warning(array->log,
			    "%s: %s: what was there and not on the members yet is lost, and parity "
			    "is made anew",
			    array->block.name,
			    options->journal_comes ? "its journal's device is missing"
						   : "goes on without its journal by force");
		if (!options->journal_comes)
			array->features &= ~MD_FEATURE_JOURNAL;
		array->resync_position = array->resync_checkpoint = 0;
		return 0;
	}
	error_set(error, -ENODEV,
		  "%s: the device of its journal %s%s%s%s: what was written last may be there only",
		  array->block.name, stale ? "cannot be used: " : "is missing",
		  stale ? stale->block->name : "", stale ? ": " : "", stale ? stale->reason : "");
	error_advise(
		error,
		"give it too; if it is lost, what was in it is lost: `tenon raid add %s DEVICE "
		"--journal` gives it another, and `tenon raid assemble %s --force` goes on "
		"without one",
		array->name, array->name);
	return -ENODEV;
}
