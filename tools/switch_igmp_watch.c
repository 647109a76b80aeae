/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `--watch` of `tenon switch igmp`: what is known as it begins, and then what comes, changes and goes of members of groups, of ports that get all groups, and of
 * queriers; see switch.h and switch_rates.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/output.h"
#include "tools/switch.h"

/* ---- Sources ---- */

json_t *switch_igmp_sources_text(json_t *member)
{
	bool exclude =
		!strcmp(json_string_value(json_object_get(member, "filter_mode")), "exclude");
	json_t *text = json_string(exclude ? "all" : ""), *source;
	bool first = true;
	size_t index;

	if (json_is_true(json_object_get(member, "too_many_sources"))) {
		json_decref(text);
		return json_string("all: it named too many");
	}
	json_array_foreach(json_object_get(member, "membership_sources"), index, source) {
		json_t *longer;

		if (exclude != json_is_true(json_object_get(source, "source_blocked")))
			continue;
		longer = json_sprintf("%s%s%s", json_string_value(text),
				      !first    ? ", "
				      : exclude ? " but "
						: "",
				      json_string_value(json_object_get(source, "source_address")));
		json_decref(text);
		text = longer;
		first = false;
	}
	return text;
}

/* ---- Changes ---- */

/* What one list of `switch.igmp.show` is watched for, and by which keys a row of it is the same as before. */
static const struct watched_list {
	const char *list, *one;
	const char *identity[4];
} watched_lists[] = {
	{ "snooped_vlans", "snooped_vlan", { "vlan", "family" } },
	{ "open_ports", "open_port", { "vlan", "family", "port", "why" } },
	{ "memberships", "membership", { "vlan", "multicast_group", "port" } },
};

#define WATCHED_LISTS (sizeof(watched_lists) / sizeof(watched_lists[0]))

/* Without what passes by itself. */
static json_t *lasting(json_t *row)
{
	json_t *copy = json_deep_copy(row), *source;
	size_t index;

	json_object_del(copy, "seconds_left");
	json_object_del(copy, "querier_seconds_left");
	json_object_del(copy, "leaving");
	json_array_foreach(json_object_get(copy, "membership_sources"), index, source)
		json_object_del(source, "seconds_left");
	return copy;
}

/* All rows of an answer (NULL: none), by what each is: {"row", "lasting", "one"}. */
static json_t *index_rows(json_t *answer)
{
	json_t *out = json_object(), *row;
	size_t at;

	for (size_t i = 0; answer && i < WATCHED_LISTS; i++)
		json_array_foreach(json_object_get(answer, watched_lists[i].list), at, row) {
			const char *const *keys = watched_lists[i].identity;
			json_t *identity = json_pack("[s]", watched_lists[i].one);
			char *key;

			for (unsigned k = 0; k < 4 && keys[k]; k++)
				json_array_append(identity, json_object_get(row, keys[k]));
			key = json_dumps(identity, JSON_COMPACT);
			if (key)
				json_object_set_new(out, key,
						    json_pack("{s:O, s:o, s:s}", "row", row,
							      "lasting", lasting(row), "one",
							      watched_lists[i].one));
			free(key);
			json_decref(identity);
		}
	return out;
}

static const char *text_at(json_t *row, const char *key)
{
	const char *text = json_string_value(json_object_get(row, key));

	return text ? text : "none";
}

static void say_change(const char *change, const char *one, json_t *row)
{
	int vlan = (int)json_integer_value(json_object_get(row, "vlan"));

	if (!strcmp(one, "snooped_vlan")) {
		cli_say("%-7s  querier    vlan %d  %s  %s  port %s  %s", change, vlan,
			text_at(row, "family"), text_at(row, "querier_address"),
			text_at(row, "querier_port"), text_at(row, "state"));
	} else if (!strcmp(one, "open_port")) {
		cli_say("%-7s  open port  vlan %d  %s  port %s  %s", change, vlan,
			text_at(row, "family"), text_at(row, "port"), text_at(row, "why"));
	} else {
		json_t *sources = switch_igmp_sources_text(row);

		cli_say("%-7s  member     vlan %d  %s  port %s  %s", change, vlan,
			text_at(row, "multicast_group"), text_at(row, "port"),
			json_string_value(sources));
		json_decref(sources);
	}
}

static void print_change_of(const char *change, json_t *entry, const struct cli_listing *listing)
{
	const char *one = json_string_value(json_object_get(entry, "one"));
	json_t *row = json_object_get(entry, "row"), *line;

	if (!listing->json) {
		say_change(change, one, row);
		return;
	}
	line = json_pack("{s:s}", "change", change);
	for (size_t i = 0; i < WATCHED_LISTS; i++)
		json_object_set_new(line, watched_lists[i].one, json_null());
	json_object_set(line, one, row);
	json_dumpf(line, stdout, JSON_COMPACT);
	printf("\n");
	json_decref(line);
}

static void print_groups(json_t *now, json_t *before, double seconds,
			 const struct cli_listing *listing)
{
	json_t *there = index_rows(now), *then = index_rows(before), *entry, *old;
	const char *key;

	(void)seconds;
	json_object_foreach(then, key, entry)
		if (!json_object_get(there, key))
			print_change_of("gone", entry, listing);
	json_object_foreach(there, key, entry) {
		old = json_object_get(then, key);
		if (!old)
			print_change_of(before ? "came" : "known", entry, listing);
		else if (!json_equal(json_object_get(old, "lasting"),
				     json_object_get(entry, "lasting")))
			print_change_of("changed", entry, listing);
	}
	json_decref(there);
	json_decref(then);
}

const struct switch_watched switch_watched_groups = { "switch.igmp.show", print_groups };
